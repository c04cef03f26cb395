"""Moving a booking to another time, and what that means for its price (B6)."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from audit.context import Actor
from bookings import selectors as booking_selectors
from bookings.models import Booking, Slot
from bookings.services import reschedule as bookings_reschedule
from payments import selectors
from payments.errors import PriceDiffers
from payments.models import CartItem


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a booking costs, and what it would cost in another slot if it were booked today."""

    now: Decimal
    then: Decimal
    currency: str
    then_currency: str

    @property
    def differs(self) -> bool:
        return self.now != self.then or (self.then > 0 and self.currency != self.then_currency)


def compare(booking: Booking, slot: Slot) -> Comparison:
    """The price that was frozen for a booking beside today's price of a slot.

    A booking without an item, or that was free, costs nothing.
    """
    frozen = (
        CartItem.objects.filter(booking=booking, amount__isnull=False)
        .values_list("amount", "currency")
        .first()
    )
    quote = selectors.quotes([slot], booking.units)[slot.pk]
    amount, currency = frozen or (None, quote.currency)
    return Comparison(amount or Decimal("0.00"), quote.amount, currency, quote.currency)


def reschedule(
    *,
    booking_id: uuid.UUID,
    organization_id: uuid.UUID,
    slot_id: uuid.UUID,
    actor: Actor,
    reason: str = "",
    accept_price: bool = False,
    now: datetime,
    version: int | None = None,
) -> Booking:
    """Move a booking to another slot of the same price.

    Prices of a slot do not change while somebody looks: they are compared before the locks are
    taken, and what is frozen stays frozen, so nothing is charged twice or not at all.

    Args:
        accept_price: staff let the booking keep its price although the slot has another.

    Raises:
        PriceDiffers: the slot costs something else; ``amount`` and ``new_amount`` say what.
        Others: see ``bookings.services.reschedule``.
    """
    slot = booking_selectors.slot_of(organization_id, slot_id)
    booking = booking_selectors.booking_of(organization_id, booking_id)
    comparison = compare(booking, slot)
    kept = accept_price and actor.kind == "staff"
    if comparison.differs and not kept:
        raise PriceDiffers(
            f"This booking costs {comparison.now} {comparison.currency}, and that time"
            f" {comparison.then} {comparison.then_currency}; ask the staff to move it.",
            amount=str(comparison.now),
            new_amount=str(comparison.then),
            currency=comparison.then_currency,
        )
    if comparison.differs:
        reason = f"{reason} (price stays {comparison.now} {comparison.currency})".strip()
    return bookings_reschedule.reschedule(
        booking_id=booking_id,
        organization_id=organization_id,
        slot_id=slot_id,
        actor=actor,
        reason=reason,
        now=now,
        version=version,
    )
