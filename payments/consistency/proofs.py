"""Proofs of payment: their files are there, and they are decided as their transactions are."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection

from audit.consistency.registry import FixResult, Problem, Scope, check, fix, rows
from audit.context import Actor
from bookings import transitions as booking_transitions
from bookings.consistency.parts import literals, mine, params
from bookings.lifecycle import BookingStatus
from payments import files, locks, selectors, transitions
from payments.lifecycle import UNDECIDED, ProofStatus, TransactionStatus
from payments.models import Proof
from payments.models.proof import proof_storage

READ_AGAIN_FOR = timedelta(days=1)
P, T = ProofStatus, TransactionStatus
OVER = (T.REJECTED, T.CANCELLED)  # of what has expired: payments.late_proofs

_FILES = f"""
    SELECT p.id::text, p.organization_id, p.file, p.size, p.sha256,
           p.uploaded_at >= %(recently)s AS recent
    FROM payments_proof p
    WHERE {mine("p.organization_id")}
    ORDER BY p.id
"""  # noqa: S608


@check(
    id="payments.proofs",
    title="The file of every proof of payment is there and unchanged",
    help=(
        "A file is missing or was changed: restore it from backup. Existence and size are"
        " compared for all, the content for what was uploaded in the last day."
    ),
)
def proofs(scope: Scope) -> Iterator[Problem]:
    _take_time()
    for row in rows(_FILES, params(scope, recently=scope.now - READ_AGAIN_FOR)):
        wrong = _what_is_wrong(row["file"], row["size"], row["sha256"] if row["recent"] else "")
        if wrong:
            yield Problem(
                subject_type="payments.proof",
                subject_id=row["id"],
                message=f"The file of this proof {wrong}.",
                organization_id=row["organization_id"],
                details={"file": row["file"], "size": row["size"]},
            )


def _take_time() -> None:
    """Let this transaction be idle while many files are looked at, longer than a request's may."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('idle_in_transaction_session_timeout', '0', true)")


def _what_is_wrong(name: str, size: int, sha256: str) -> str:
    storage = proof_storage()
    try:
        if storage.size(name) != size:
            return "has another size than was uploaded"
        if sha256:
            with storage.open(name) as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                    return "is not what was uploaded"
    except FileNotFoundError:
        return "is missing"
    except OSError:
        return "cannot be read"
    return ""


@check(
    id="payments.orphan_files",
    title="Every stored file belongs to a proof of payment",
    help=(
        "A process died between storing a file and writing its row. The hourly task removes"
        " such files; if there are many, it does not run. --fix removes them."
    ),
    severity="warning",
)
def orphan_files(scope: Scope) -> Iterator[Problem]:
    if scope.organization_id:
        return  # nobody knows whose they are
    _take_time()
    for name in files.orphans():
        yield Problem(
            subject_type="payments.proof_file",
            subject_id=name,
            message="This file belongs to no proof of payment.",
        )


@fix("payments.orphan_files")
def fix_orphan_files(problem: Problem, actor: Actor, now: datetime) -> FixResult:
    name = problem.subject_id
    if Proof.objects.filter(file=name).exists() or not proof_storage().exists(name):
        return FixResult.gone()
    proof_storage().delete(name)
    return FixResult.fixed("The file was removed.")


_DECIDED = f"""
    SELECT t.id::text, t.reference, t.organization_id, t.status, w.kind
    FROM payments_carttransaction t
    LEFT JOIN LATERAL (
        SELECT array_agg(DISTINCT p.status) AS statuses
        FROM payments_proof p WHERE p.transaction_id = t.id
    ) p ON true
    LEFT JOIN payments_latepayment l ON l.transaction_id = t.id
    CROSS JOIN LATERAL (
        SELECT CASE
            WHEN t.status = '{T.APPROVED}' AND '{P.SUBMITTED}' = ANY (p.statuses) THEN 'accept'
            WHEN t.status IN ({literals(OVER)}) AND '{P.SUBMITTED}' = ANY (p.statuses)
                 THEN 'reject'
            WHEN t.status = '{T.PENDING}' AND '{P.SUBMITTED}' = ANY (p.statuses) THEN 'submit'
            WHEN (t.status IN ('{T.REJECTED}', {literals(UNDECIDED)})
                  OR t.status = '{T.EXPIRED}' AND l.refund_id IS NULL)
                 AND '{P.ACCEPTED}' = ANY (p.statuses) THEN 'accepted'
            WHEN t.status = '{T.UNDER_REVIEW}'
                 AND NOT COALESCE('{P.SUBMITTED}' = ANY (p.statuses), false) THEN 'nothing'
        END AS kind
    ) w
    WHERE w.kind IS NOT NULL AND {mine("t.organization_id")}
    ORDER BY t.id
"""  # noqa: S608
_MESSAGES = {
    "accept": "is {status}, and a proof of it is still undecided",
    "reject": "is {status}, and a proof of it is still undecided",
    "submit": "has a proof and is not under review",
    "accepted": "is {status}, and a proof of it was accepted",
    "nothing": "is under review, and there is no proof to review",
}


@check(
    id="payments.proof_status",
    title="A proof of payment is decided as its transaction is",
    help=(
        "--fix accepts or rejects the proofs of a transaction that is decided, and puts one with"
        " a proof under review. An accepted proof of a transaction that is not approved, or a"
        " review without a proof, is for people to decide."
    ),
)
def proof_status(scope: Scope) -> Iterator[Problem]:
    for row in rows(_DECIDED, params(scope)):
        yield Problem(
            subject_type="payments.carttransaction",
            subject_id=row["id"],
            message=f"Transaction {row['reference']} {_MESSAGES[row['kind']].format_map(row)}.",
            organization_id=row["organization_id"],
            details={"kind": row["kind"], "status": row["status"]},
            fixable=row["kind"] in ("accept", "reject", "submit"),
        )


@fix("payments.proof_status")
def fix_proof_status(problem: Problem, actor: Actor, now: datetime) -> FixResult:
    transaction_id = UUID(problem.subject_id)
    bookings = locks.bookings_of(transaction_id)
    found = locks.transactions([transaction_id])
    waiting = list(
        Proof.objects.filter(transaction=transaction_id, status=P.SUBMITTED).order_by("uploaded_at")
    )
    if not found or not waiting:
        return FixResult.gone()
    [settled] = found
    if settled.status == T.UNDER_REVIEW:
        return FixResult.gone()
    if settled.status == T.PENDING:
        pending = [b for b in bookings if b.status == BookingStatus.PENDING]
        submitted_at = waiting[0].uploaded_at
        review_due_at = transitions.review_due_at(
            [b.slot.starts_at for b in pending or bookings],
            hours=selectors.policy_of(settled.organization).review_hours,
            since=submitted_at,
        )
        transitions.move(
            [settled], "submit_proof", submitted_at=submitted_at, review_due_at=review_due_at
        )
        booking_transitions.set_deadline(pending, pending_until=None)
        return FixResult.fixed("The transaction is under review now.")
    name = "accept" if settled.status == T.APPROVED else "reject"
    count = transitions.decide_proofs([settled], name, now=now)
    return FixResult.fixed(f"{count} proofs were decided as the transaction was.")
