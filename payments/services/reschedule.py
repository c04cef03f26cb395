"""Moving a booking to another time, and what that means for its price (B6)."""

from __future__ import annotations

import uuid
from datetime import datetime

from django.db import transaction

from audit.context import Actor, audited
from audit.observability.operations import operation
from bookings import transitions
from bookings.models import Booking, Slot
from bookings.services import reschedule as bookings_reschedule
from bookings.services.free_times import FreeTime
from payments import locks, selectors
from payments.errors import PriceDiffers
from payments.selectors import Comparison


def compare(booking: Booking, slot: Slot) -> Comparison:
    """The price that was frozen for a booking beside today's price of a slot."""
    return selectors.compare_prices([(booking, slot)])[booking.pk]


def reschedule(
    *,
    booking_id: uuid.UUID,
    organization_id: uuid.UUID,
    slot_id: uuid.UUID | FreeTime,
    actor: Actor,
    reason: str = "",
    accept_price: bool = False,
    now: datetime,
    version: int | None = None,
) -> Booking:
    """Move a booking to another slot; its price stays the one that was frozen at checkout.

    So a slot with another price is refused, unless staff say that the booking keeps its price
    there; the trail and the message to the customer then say so.

    Args:
        slot_id: a slot, or the free time for which one is made.
        accept_price: staff let the booking keep its price although the slot has another.

    Raises:
        PriceDiffers: the slot costs something else; ``amount`` and ``new_amount`` say what.
        BookingOver, ProposalOpen, NotOffered, SlotGone, SlotFull, ResourceTaken, TooLate, TooSoon,
        TooFarAhead, Invalid, StaleVersion, NotFound: see ``bookings.services.reschedule``.
    """
    bookings_reschedule.check_reason(reason)
    with (
        operation("booking.reschedule", actor=actor, booking=str(booking_id)) as op,
        transaction.atomic(savepoint=False),
        audited(actor, reason=reason),
    ):
        booking, slot = bookings_reschedule.take(
            booking_id,
            organization_id,
            slot_id,
            actor=actor,
            now=now,
            version=version,
            together=locks.paid_together([booking_id]),
        )
        comparison = compare(booking, slot)
        op.rows = 1
        if not comparison.differs:
            transitions.move(booking, slot, now=now, reason=reason)
            return booking
        own = actor.id is not None and booking.customer.user_id == actor.id
        if own or not accept_price or actor.kind == "customer":
            raise PriceDiffers(
                f"This booking costs {comparison.now} {comparison.currency}, and that time costs"
                f" {comparison.then} {comparison.then_currency}."
                + (
                    " Ask the staff to move it."
                    if actor.kind == "customer"
                    else " Say that it keeps its price, or book that time anew."
                ),
                amount=str(comparison.now),
                currency=comparison.currency,
                new_amount=str(comparison.then),
                new_currency=comparison.then_currency,
            )
        stays = (
            f"the price stays {comparison.now} {comparison.currency}, today it would be"
            f" {comparison.then} {comparison.then_currency}"
        )
        with audited(actor, reason=f"{reason} ({stays})" if reason else stays):
            transitions.move(
                booking,
                slot,
                now=now,
                reason=reason,
                price_stays={"amount": str(comparison.now), "currency": comparison.currency},
            )
    return booking
