"""Who did not come: marked by the clock or by staff, and excused (F3, D7)."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q

from audit.context import Actor, audited
from audit.errors import DomainError, Forbidden, Invalid, NotFound
from audit.languages import our_reason
from audit.leases import Lease
from audit.observability.operations import operation
from audit.observability.sweeps import Failures
from bookings import locks, locks_times, transitions
from bookings.errors import BookingOver, NotStarted
from bookings.lifecycle import BOOKING, BookingStatus
from bookings.models import Booking
from bookings.services import bookings as sweeping

MARK = "booking.miss"  # as the log, alerts and the lease name it
NOBODY_CAME = our_reason("Nobody came.")
# What ended longer ago is left to the staff: whoever switches this on, or had no worker for a week,
# does not want to tell people what they missed long ago.
LOOKS_BACK = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done with several bookings, and why not with the others, by their reference."""

    done: list[Booking] = field(default_factory=list)
    refused: dict[str, DomainError] = field(default_factory=dict)


def mark_no_shows(
    *,
    actor: Actor,
    now: datetime,
    batch: int = 200,
    failed: Failures | None = None,
    passed: set[uuid.UUID] | None = None,
    lease: Lease | None = None,
) -> int:
    """Mark confirmed bookings to which nobody came, one batch; returns how many.

    Their slot ended as long ago as the organisation says. Excused ones are left alone.

    Args:
        failed: bookings to pass over; those that fail now are added.
        passed: slots to pass over; those that somebody else holds now are added.
        lease: renewed in each transaction.
    """
    failed = {} if failed is None else failed
    return sweeping.sweep(
        MARK,
        find=lambda: locks_times.missed_bookings(
            now=now, since=now - LOOKS_BACK, limit=batch, skip=failed, passed=passed
        ),
        is_due=lambda b: is_missed(b, now=now),
        step=lambda found: transitions.miss(found, now=now),
        actor=actor,
        reason=NOBODY_CAME,
        failed=failed,
        lease=lease,
    )


def is_missed(booking: Booking, *, now: datetime) -> bool:
    """Whether the clock says that nobody came to a booking."""
    minutes = booking.organization.no_show_minutes
    return (
        booking.status == BookingStatus.CONFIRMED
        and booking.excused_at is None
        and minutes is not None
        and booking.slot.ends_at <= now - timedelta(minutes=minutes)
    )


def miss(
    *,
    booking_ids: Collection[uuid.UUID],
    organization_ids: Collection[uuid.UUID] | None,
    actor: Actor,
    reason: str = "",
    now: datetime,
) -> Outcome:
    """Staff mark those who did not come; each customer is told.

    Those that are not confirmed or have not started are left as they are, and named.

    Args:
        organization_ids: whose bookings the actor may change; None: everybody's.

    Raises:
        NotFound: one of them is not there, or another organisation's.
    """

    def check(booking: Booking) -> None:
        _check_move(booking, "miss")
        if booking.slot.starts_at > now:
            raise NotStarted(f"Booking {booking.reference} has not started yet.")

    with (
        operation(MARK, actor=actor, bookings=len(booking_ids)) as op,
        transaction.atomic(savepoint=False),
        audited(actor, reason=reason or NOBODY_CAME),
    ):
        outcome = _sort(_lock(booking_ids, organization_ids), check)
        transitions.miss(outcome.done, now=now)
        op.rows = len(outcome.done)
    return outcome


def excuse(
    *,
    booking_ids: Collection[uuid.UUID],
    organization_ids: Collection[uuid.UUID] | None,
    actor: Actor,
    reason: str,
    now: datetime,
) -> Outcome:
    """Staff take no-shows back; each customer is told, and no sweep marks them again.

    Those that are no no-shows are left as they are, and named.

    Raises:
        Invalid: no reason.
        NotFound: as for :func:`miss`.
        SlotFull, ResourceTaken: somebody else has the seats since. Nothing is changed.
    """

    def check(booking: Booking) -> None:
        _check_move(booking, "excuse")
        if actor.is_user(booking.customer.user_id):
            raise Forbidden(f"Booking {booking.reference} is your own: ask a colleague.")

    if not reason.strip():
        raise Invalid("Say why: it stays in the history.", field="reason")
    with (
        operation("booking.excuse", actor=actor, bookings=len(booking_ids)) as op,
        transaction.atomic(savepoint=False),
        audited(actor, reason=reason),
    ):
        outcome = _sort(_lock(booking_ids, organization_ids), check)
        transitions.excuse(outcome.done, now=now, reason=reason)
        op.rows = len(outcome.done)
    return outcome


def _check_move(booking: Booking, move: str) -> None:
    if not BOOKING.allows(move, booking.status):
        raise BookingOver(f"Booking {booking.reference} is {booking.get_status_display()}.")


def _lock(
    ids: Collection[uuid.UUID], organization_ids: Collection[uuid.UUID] | None
) -> list[Booking]:
    mine = Q(pk__in=set(ids), stands_for__isnull=True)
    if organization_ids is not None:
        mine &= Q(organization__in=list(organization_ids))
    found = locks.slots_and_bookings(mine, Q(stands_for__in=set(ids)))
    if len(found) < len(set(ids)):
        raise NotFound("There is no such booking.")
    return found


def _sort(bookings: Collection[Booking], check: Callable[[Booking], None]) -> Outcome:
    outcome = Outcome()
    for booking in bookings:
        try:
            check(booking)
        except DomainError as error:
            outcome.refused[booking.reference] = error
        else:
            outcome.done.append(booking)
    return outcome
