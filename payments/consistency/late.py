"""Money that came too late waits for somebody, and only as long as it has to."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from uuid import UUID

from audit.consistency.registry import FixResult, Problem, Scope, check, fix, rows
from audit.context import Actor
from audit.languages import our_reason
from bookings.consistency.parts import mine, params
from payments import locks, owing, transitions
from payments.lifecycle import LateStatus, ProofStatus, TransactionStatus
from payments.models import LatePayment, Proof

_UNSEEN = f"""
    SELECT t.id::text, t.reference, t.organization_id, l.status AS late
    FROM payments_carttransaction t
    LEFT JOIN payments_latepayment l ON l.transaction_id = t.id
    WHERE t.status = '{TransactionStatus.EXPIRED}'
      AND l.status IS DISTINCT FROM '{LateStatus.OPEN}'
      AND EXISTS (
          SELECT 1 FROM payments_proof p
          WHERE p.transaction_id = t.id AND p.status = '{ProofStatus.SUBMITTED}'
      )
      AND {mine("t.organization_id")}
    ORDER BY t.id
"""  # noqa: S608
NEEDS_PEOPLE = (LateStatus.REINSTATED, LateStatus.REFUNDED, LateStatus.CREDITED)


@check(
    id="payments.late_proofs",
    title="A proof of payment that came too late waits for a decision",
    help=(
        "Somebody has paid, and nobody will ever look at it: the transaction has expired, and no"
        " late payment is open. --fix opens one; where one was decided already, people decide"
        " what the other proof is for."
    ),
    severity="critical",
)
def late_proofs(scope: Scope) -> Iterator[Problem]:
    for row in rows(_UNSEEN, params(scope)):
        yield Problem(
            subject_type="payments.carttransaction",
            subject_id=row["id"],
            message=f"Transaction {row['reference']} has expired, and a proof of it waits for"
            " nobody.",
            organization_id=row["organization_id"],
            details={"late_payment": row["late"]},
            fixable=row["late"] not in NEEDS_PEOPLE,
        )


@fix("payments.late_proofs")
def fix_late_proofs(problem: Problem, actor: Actor, now: datetime) -> FixResult:
    transaction_id = UUID(problem.subject_id)
    locks.bookings_of(transaction_id)
    found = locks.transactions([transaction_id])
    proof = (
        Proof.objects.filter(transaction=transaction_id, status=ProofStatus.SUBMITTED)
        .order_by("-uploaded_at", "-pk")
        .first()
    )
    if not found or proof is None or found[0].status != TransactionStatus.EXPIRED:
        return FixResult.gone()
    late = LatePayment.objects.filter(transaction=transaction_id).first()
    if late is not None and late.status == LateStatus.OPEN:
        return FixResult.gone()
    if late is not None and late.status in NEEDS_PEOPLE:
        return FixResult.needs_review(f"A late payment is {late.get_status_display()} already.")
    transitions.touch(found[0])
    owing.open_late(found[0], proof, now=now, reason=our_reason("Found by a consistency check."))
    return FixResult.fixed("A late payment is open now.")


_OVER = f"""
    SELECT l.id::text, l.organization_id, t.reference, t.status
    FROM payments_latepayment l
    JOIN payments_carttransaction t ON t.id = l.transaction_id
    WHERE l.status = '{LateStatus.OPEN}' AND t.status <> '{TransactionStatus.EXPIRED}'
      AND {mine("l.organization_id")}
    ORDER BY l.id
"""  # noqa: S608


@check(
    id="payments.late_open",
    title="A late payment is open only while its transaction is expired",
    help=(
        "Staff are asked to decide on money whose transaction goes on: its seats were taken again,"
        " and the late payment was not closed. --fix closes it as booked after all."
    ),
)
def late_open(scope: Scope) -> Iterator[Problem]:
    for row in rows(_OVER, params(scope)):
        yield Problem(
            subject_type="payments.latepayment",
            subject_id=row["id"],
            message=f"A late payment is open, and its transaction {row['reference']} is"
            f" {row['status']}.",
            organization_id=row["organization_id"],
        )


@fix("payments.late_open")
def fix_late_open(problem: Problem, actor: Actor, now: datetime) -> FixResult:
    rows_ = LatePayment.objects.filter(pk=UUID(problem.subject_id))
    transaction_id = rows_.values_list("transaction_id", flat=True).first()
    if transaction_id is None:
        return FixResult.gone()
    locks.bookings_of(transaction_id)
    found = locks.transactions([transaction_id])
    late = rows_.first()
    if not found or late is None or late.status != LateStatus.OPEN:
        return FixResult.gone()
    if found[0].status == TransactionStatus.EXPIRED:
        return FixResult.gone()
    owing.resolve_late(
        late, "reinstate", actor=actor, now=now, note="Closed by a consistency check."
    )
    return FixResult.fixed("It is closed as booked after all.")
