"""A proof of payment, or a request, that nobody decides on comes before the managers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import UUID

from audit.consistency.registry import FixResult, Problem, Scope, check, fix, rows
from audit.context import Actor
from bookings.consistency.parts import mine, params
from payments import locks, transitions
from payments.services import reviews

SWEEP_IS_LATE_AFTER = timedelta(hours=1)  # it runs every five minutes

_OVERDUE = f"""
    SELECT t.id::text, t.reference, t.organization_id, t.review_due_at
    FROM payments_carttransaction t
    WHERE t.review_due_at < %(late)s AND {mine("t.organization_id")}
    ORDER BY t.review_due_at, t.id
"""  # noqa: S608


@check(
    id="payments.reviews_overdue",
    title="Managers are told of a review that is overdue",
    help=(
        "A proof of payment, or a request that is not paid first, waits longer than the"
        " organisation allows, and nobody was told: the sweep does not run, or cannot tell of this one. See that a worker and beat are alive,"
        " and look for its id in the log. --fix tells owners and managers."
    ),
    severity="warning",
)
def reviews_overdue(scope: Scope) -> Iterator[Problem]:
    for row in rows(_OVERDUE, params(scope, late=scope.now - SWEEP_IS_LATE_AFTER)):
        yield Problem(
            subject_type="payments.carttransaction",
            subject_id=row["id"],
            message=f"Transaction {row['reference']} was to be decided by"
            f" {row['review_due_at']:%Y-%m-%d %H:%M} UTC, and nobody was told that it was not.",
            organization_id=row["organization_id"],
        )


@fix("payments.reviews_overdue")
def fix_reviews_overdue(problem: Problem, actor: Actor, now: datetime) -> FixResult:
    found = locks.transactions([UUID(problem.subject_id)])
    if not found or not transitions.is_review_overdue(found[0], now):
        return FixResult.gone()
    reviews.tell_managers(found, now=now)
    return FixResult.fixed("Owners and managers were told.")
