"""Until when cancelling is free, and possible, is what was agreed, unless a move changed it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from uuid import UUID

from audit.consistency.registry import FixResult, Problem, Scope, check, fix, rows
from audit.context import Actor
from bookings.consistency.parts import literals, lock_booking, mine, params
from bookings.lifecycle import BookingStatus
from payments import cancelling
from payments.models import CartItem

ORDERED = (BookingStatus.PENDING, BookingStatus.CONFIRMED, BookingStatus.RESCHEDULE_PROPOSED)

# The database keeps since when a booking is in its slot, if it was moved there.
_TERMS = f"""
    SELECT i.id::text, b.id::text AS booking, b.reference, b.organization_id
    FROM payments_cartitem i
    JOIN bookings_booking b ON b.id = i.booking_id
    JOIN bookings_slot s ON s.id = b.slot_id
    WHERE b.status IN ({literals(ORDERED)}) AND b.slot_since IS NULL
      AND (i.cancel_until IS NOT NULL OR i.free_until IS DISTINCT FROM CASE
          WHEN i.late_fee > 0 THEN s.starts_at - make_interval(mins => i.free_until_minutes) END)
      AND {mine("b.organization_id")}
    ORDER BY i.id
"""  # noqa: S608


@check(
    id="payments.cancellation_terms",
    title="A booking that was never moved is cancelled by the terms of its start",
    help=(
        "Its customer is charged too early or too late. Only a move changes until when cancelling"
        " is free or possible, and this booking is where it was booked. --fix counts it from the"
        " start again."
    ),
)
def cancellation_terms(scope: Scope) -> Iterator[Problem]:
    for row in rows(_TERMS, params(scope)):
        yield Problem(
            subject_type="payments.cartitem",
            subject_id=row["id"],
            message=f"Booking {row['reference']} is free to cancel, or can be cancelled, until"
            " another moment than was agreed, and was never moved.",
            organization_id=row["organization_id"],
            details={"booking": row["booking"]},
        )


@fix("payments.cancellation_terms")
def fix_cancellation_terms(problem: Problem, actor: Actor, now: datetime) -> FixResult:
    booking = lock_booking(problem, UUID(problem.details["booking"]))
    item = CartItem.objects.filter(booking=booking).first() if booking else None
    if booking is None or item is None:
        return FixResult.gone()
    if booking.slot_since is not None or booking.status not in ORDERED:
        return FixResult.gone()
    free = cancelling.free_until(item, booking.slot.starts_at)
    if (item.free_until, item.cancel_until) == (free, None):
        return FixResult.gone()
    CartItem.objects.filter(pk=item.pk).update(free_until=free, cancel_until=None)
    return FixResult.fixed("The deadlines count from the start again.")
