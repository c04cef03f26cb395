"""Moving a booking to another time, and what that means for its price (B6)."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import NotRequired, TypedDict, Unpack

from django.db import transaction

from audit.context import Actor, audited
from audit.observability.operations import operation
from bookings import holding
from bookings.models import Booking, Proposal, Slot
from bookings.services import reschedule as bookings_reschedule
from bookings.services.free_times import FreeTime
from bookings.services.reschedule import Terms
from payments import locks, selectors
from payments.errors import LengthDiffers, PriceDiffers
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
    there; the trail and the message to the customer then say so. A free time of another length is
    another thing to customers where its price does not depend on the length; staff may move there.
    Until when cancelling is free, and possible, follows the new start: never for the worse if the
    house moves it, and not any more once it has passed if the customer does
    (``cancelling.after_move``).

    Args:
        slot_id: a slot, or the free time for which one is made.
        accept_price: staff let the booking keep its price although the slot has another.

    Raises:
        PriceDiffers: the slot costs something else; ``amount`` and ``new_amount`` say what.
        LengthDiffers: a customer's own move, to a free time that is longer or shorter and has the
            same price whatever its length; ``minutes`` and ``new_minutes`` say how long.
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
        op.rows = 1
        terms = _agree(booking, slot, actor=actor, accept_price=accept_price)
        why = " ".join(filter(None, [reason, f"({terms.words})" if terms.words else ""]))
        with audited(actor, reason=why):
            wish = bookings_reschedule.is_customers_wish(booking, actor)
            holding.move(booking, slot, now=now, by_customer=wish, reason=reason, **terms.said)
    return booking


def propose(
    *, accept_price: bool = False, actor: Actor, **about: Unpack[ProposalFacts]
) -> Proposal:
    """Propose another time at the price that was agreed; see ``bookings.services.reschedule``.

    Args:
        accept_price: the booking keeps its price although the slot has another; proposal and
            message say so.

    Raises:
        PriceDiffers: the slot costs something else, and nobody said that the price stays.
        Whatever ``bookings.services.reschedule.propose`` raises.
    """
    return bookings_reschedule.propose(
        actor=actor,
        agree=lambda booking, slot: _agree(booking, slot, actor=actor, accept_price=accept_price),
        **about,
    )


class ProposalFacts(TypedDict):
    """What a proposal is about, as ``bookings.services.reschedule.propose`` takes it."""

    booking_id: uuid.UUID
    organization_id: uuid.UUID
    slot_id: uuid.UUID | FreeTime
    now: datetime
    message: NotRequired[str]
    expires_at: NotRequired[datetime | None]
    version: NotRequired[int | None]
    provider_id: NotRequired[uuid.UUID | None]


def _agree(booking: Booking, slot: Slot, *, actor: Actor, accept_price: bool) -> Terms:
    """What stays when a booking moves to a slot; raises where that was not said."""
    found = compare(booking, slot)
    own = actor.kind == "customer" or actor.is_user(booking.customer.user_id)
    if not found.differs:
        if own and found.then and not found.by_time:
            _check_length(booking.slot, slot)
        return Terms()
    if own or not accept_price:
        raise PriceDiffers(
            f"This booking costs {found.now} {found.currency}, and that time costs"
            f" {found.then} {found.then_currency}."
            + (
                " Ask the staff to move it."
                if actor.kind == "customer"
                else " Say that it keeps its price, or book that time anew."
            ),
            amount=str(found.now),
            currency=found.currency,
            new_amount=str(found.then),
            new_currency=found.then_currency,
        )
    return Terms(
        f"the price stays {found.now} {found.currency}, today it would be {found.then}"
        f" {found.then_currency}",
        {"price_stays": {"amount": str(found.now), "currency": found.currency}},
    )


def _check_length(own: Slot, other: Slot) -> None:
    """Raise LengthDiffers if a free time is not as long as what was booked for the same price."""
    booked, wanted = (slot.ends_at - slot.starts_at for slot in (own, other))
    if other.source != Slot.Source.FREE or wanted == booked:
        return
    minutes, new_minutes = (length // timedelta(minutes=1) for length in (booked, wanted))
    raise LengthDiffers(
        f"This booking is for {minutes} minutes, and that time is for {new_minutes}. Choose one as"
        " long as yours, or ask the staff.",
        minutes=minutes,
        new_minutes=new_minutes,
    )
