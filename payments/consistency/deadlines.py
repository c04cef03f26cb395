"""What is not paid in time does not keep its seats."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import UUID

from audit.consistency.registry import FixResult, Problem, Scope, check, fix, rows
from audit.context import Actor
from bookings.consistency.parts import mine, params, recount
from payments import locks, transitions
from payments.lifecycle import TransactionStatus

SWEEP_IS_LATE_AFTER = timedelta(hours=1)  # it runs every thirty minutes

_OVERDUE = f"""
    SELECT t.id::text, t.reference, t.organization_id, t.due_at
    FROM payments_carttransaction t
    WHERE t.status = '{TransactionStatus.PENDING}' AND t.due_at < %(late)s
      AND {mine("t.organization_id")}
    ORDER BY t.due_at, t.id
"""  # noqa: S608


@check(
    id="payments.unpaid_overdue",
    title="What is not paid in time gives its seats back",
    help=(
        "The sweep that expires unpaid transactions does not run, or cannot end this one: see that"
        " a worker and beat are alive, and look for its id in the log. Its seats count as taken"
        " until then. --fix expires it."
    ),
    severity="warning",
)
def unpaid_overdue(scope: Scope) -> Iterator[Problem]:
    for row in rows(_OVERDUE, params(scope, late=scope.now - SWEEP_IS_LATE_AFTER)):
        yield Problem(
            subject_type="payments.carttransaction",
            subject_id=row["id"],
            message=f"Transaction {row['reference']} was due at {row['due_at']:%Y-%m-%d %H:%M}"
            " UTC and still waits for payment.",
            organization_id=row["organization_id"],
        )


@fix("payments.unpaid_overdue")
def fix_unpaid_overdue(problem: Problem, actor: Actor, now: datetime) -> FixResult:
    transaction_id = UUID(problem.subject_id)
    bookings = locks.slots_and_bookings_of(transaction_id)
    found = locks.transactions([transaction_id])
    if not found or not transitions.is_overdue(found[0], now=now):
        return FixResult.gone()
    requests = transitions.requests_in(bookings)
    if not requests:
        return FixResult.needs_review("Its bookings have ended, or one of them is confirmed.")
    recount({b.slot_id for b in requests})
    transitions.expire([(found[0], requests)], now=now)
    return FixResult.fixed(f"It expired with {len(requests)} bookings.")
