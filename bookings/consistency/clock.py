"""What happens by the clock has happened: no-shows are marked, reminders have gone out."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import UUID

from audit.consistency.registry import FixResult, Problem, Scope, check, fix, rows
from audit.context import Actor
from bookings import locks_times, transitions
from bookings.consistency.parts import lock_booking, mine, params, recount
from bookings.lifecycle import BookingStatus
from bookings.locks_times import REMINDERS_TO_SEND
from bookings.services.no_shows import LOOKS_BACK, is_missed

MARKED_AFTER = timedelta(hours=1)  # the sweep runs every fifteen minutes
REMINDED_AFTER = timedelta(minutes=30)  # the sweep runs every five minutes

_NOT_MARKED = f"""
    SELECT b.id::text, b.reference, b.organization_id, s.ends_at
    FROM bookings_slot s
    JOIN bookings_booking b ON b.slot_id = s.id
        AND b.status = '{BookingStatus.CONFIRMED}' AND b.excused_at IS NULL
    JOIN bookings_organization o ON o.id = b.organization_id
    WHERE s.ends_at > %(since)s AND s.ends_at <= %(late)s
      AND s.ends_at <= %(late)s - o.no_show_minutes * interval '1 minute'
      AND {mine("b.organization_id")}
    ORDER BY s.ends_at, b.id
"""  # noqa: S608


@check(
    id="bookings.no_shows_not_marked",
    title="Who did not come is marked as a no-show in time",
    help=(
        "The sweep that marks no-shows does not run, or cannot mark this one: see that a worker"
        " and beat are alive, and look for its id in the log. --fix marks it; the customer is"
        " told."
    ),
    severity="warning",
)
def no_shows_not_marked(scope: Scope) -> Iterator[Problem]:
    since, late = scope.now - LOOKS_BACK, scope.now - MARKED_AFTER
    for row in rows(_NOT_MARKED, params(scope, since=since, late=late)):
        yield Problem(
            subject_type="bookings.booking",
            subject_id=row["id"],
            message=f"Nobody came to booking {row['reference']}, which ended at"
            f" {row['ends_at']:%Y-%m-%d %H:%M} UTC, and it is not marked as a no-show.",
            organization_id=row["organization_id"],
        )


@fix("bookings.no_shows_not_marked")
def fix_no_shows_not_marked(problem: Problem, actor: Actor, now: datetime) -> FixResult:
    booking = lock_booking(problem)
    if booking is None or not is_missed(booking, now=now):
        return FixResult.gone()
    recount([booking.slot_id])
    transitions.miss([booking], now=now)
    return FixResult.fixed("It was marked as a no-show.")


_NOT_REMINDED = f"""
    SELECT b.id::text, b.reference, b.organization_id, s.starts_at
    {REMINDERS_TO_SEND.replace("%(now)s", "%(late)s")}
      AND s.starts_at > %(now)s AND {mine("b.organization_id")}
    ORDER BY s.starts_at, b.id
"""


@check(
    id="bookings.reminders_not_sent",
    title="Customers are reminded when their organisation says",
    help=(
        "The sweep that sends reminders does not run, or cannot send this one: see that a worker"
        " and beat are alive, and look for its id in the log. --fix sends it, if the booking has"
        " not started."
    ),
    severity="warning",
)
def reminders_not_sent(scope: Scope) -> Iterator[Problem]:
    for row in rows(_NOT_REMINDED, params(scope, late=scope.now - REMINDED_AFTER)):
        yield Problem(
            subject_type="bookings.booking",
            subject_id=row["id"],
            message=f"Nobody was reminded of booking {row['reference']}, which starts at"
            f" {row['starts_at']:%Y-%m-%d %H:%M} UTC.",
            organization_id=row["organization_id"],
        )


@fix("bookings.reminders_not_sent")
def fix_reminders_not_sent(problem: Problem, actor: Actor, now: datetime) -> FixResult:
    due = locks_times.due_reminders(now=now, limit=1, only=[UUID(problem.subject_id)])
    if not transitions.remind(due, now=now):
        return FixResult.gone()
    return FixResult.fixed("The reminder was sent.")
