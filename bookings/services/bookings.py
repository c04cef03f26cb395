"""What happens to a booking after it was made, apart from money."""

from __future__ import annotations

import uuid
from datetime import datetime

from django.db import transaction

from audit.context import Actor, audited
from audit.errors import StaleVersion
from audit.observability.operations import operation
from bookings import locks, transitions
from bookings.errors import BookingOver
from bookings.lifecycle import BOOKING
from bookings.models import Booking


def cancel(
    *,
    booking_id: uuid.UUID,
    organization_id: uuid.UUID,
    actor: Actor,
    reason: str,
    now: datetime,
    version: int | None = None,
) -> Booking:
    """Cancel a live booking and give its seats back; its cart item follows (A7).

    Args:
        version: the version the caller read, or None not to compare.

    Raises:
        BookingOver: it has ended, or its slot has started and the actor is a customer.
        StaleVersion: somebody changed it since the caller read it.
    """
    with (
        operation("booking.cancel", actor=actor, booking=str(booking_id)) as op,
        transaction.atomic(savepoint=False),
        audited(actor, reason=reason),
    ):
        booking = locks.slot_and_booking(booking_id, organization_id=organization_id)
        if not BOOKING.allows("cancel", booking.status):
            raise BookingOver(f"This booking is {booking.get_status_display()} already.")
        check_version(booking, version)
        if actor.kind == "customer" and booking.slot.starts_at <= now:
            raise BookingOver("This booking has started; ask the staff.")
        transitions.cancel([booking], now=now, reason=reason)
        op.rows = 1
    return booking


def check_version(row: object, version: int | None) -> None:
    """Raise StaleVersion if ``row`` is not the version the caller read."""
    current = row.version  # type: ignore[attr-defined]
    if version is not None and version != current:
        raise StaleVersion(
            f"You read version {version}; it is at version {current} now. Read it again.",
            current_version=current,
        )


def expire_holds(*, actor: Actor, now: datetime, batch: int = 200) -> int:
    """Give the seats of overdue holds back, one batch (D7).

    Safe to run twice, in parallel and in the middle of anything: it passes over slots that
    somebody has locked. Holds past their deadline count as free even before this runs.

    Returns:
        How many bookings it expired; call again until it is 0.
    """
    with transaction.atomic(savepoint=False), audited(actor, reason="The hold ran out."):
        slot_ids = locks.slots_with_overdue_holds(now=now, limit=batch)
        overdue = locks.overdue_holds(slot_ids, now=now) if slot_ids else []
        transitions.expire(overdue, now=now, reason="The hold ran out.")
    return len(overdue)


def complete_bookings(*, actor: Actor, now: datetime, batch: int = 500) -> int:
    """Complete checked-in bookings whose slot has ended, one batch; returns how many."""
    with transaction.atomic(savepoint=False), audited(actor):
        done = locks.finished_bookings(before=now, limit=batch)
        transitions.complete(done, now=now)
    return len(done)
