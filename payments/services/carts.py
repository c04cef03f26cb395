"""Putting slots into a cart and taking them out (A1)."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from django.db import transaction

from audit.context import Actor, audited
from audit.errors import Invalid, NotFound
from audit.languages import our_reason
from audit.sql import insert
from bookings import holding
from bookings import locks as booking_locks
from bookings import rules as booking_rules
from bookings import transitions as booking_transitions
from bookings.errors import BookingOver
from bookings.lifecycle import BOOKING
from bookings.models import Customer, Organization
from bookings.services import free_times
from bookings.services.free_times import FreeTime
from payments import locks, selectors
from payments.errors import CartFull
from payments.models import CartItem
from payments.prices import Quote, quote

MOST_UNITS = 10_000
MOST_ITEMS = 100


def add_item(
    *,
    organization: Organization,
    customer: Customer,
    slot_id: uuid.UUID | FreeTime,
    units: int,
    actor: Actor,
    now: datetime,
) -> tuple[CartItem, Quote]:
    """Hold seats in a slot for as long as the organisation lets carts hold them, and at most
    until it starts.

    Args:
        slot_id: a slot, or the free time for which one is made.

    Returns:
        The item, and what it costs today; the price is frozen at checkout.

    Raises:
        SlotFull, SlotGone, ResourceTaken: see ``bookings.holding.hold``.
        TooSoon, TooFarAhead, TooManyBookings: the booking rules of the resource.
        TooManyNoShows: the customer did not come too often.
        CartFull: there are 100 items in it.
        Invalid: ``units`` is not between 1 and 10,000.
        NotOffered: a free time that is not offered; see ``bookings.services.free_times``.
        NotFound: the organisation has no such slot.
    """
    check_units(units)
    with transaction.atomic(savepoint=False), audited(actor):
        cart = locks.open_cart_or_new(customer, now=now)
        if selectors.count_items(cart) >= MOST_ITEMS:
            raise CartFull(f"A cart takes {MOST_ITEMS} items; check these out first.")
        if isinstance(slot_id, FreeTime):
            rules = selectors.price_rules([slot_id.resource_id])
        else:
            rules = selectors.price_rules_of_slot(slot_id)
        slot = free_times.lock(slot_id, organization_id=organization.pk, now=now)
        booking_rules.check_new([slot], customer, now=now)
        booking = holding.hold(
            slot,
            customer=customer,
            units=units,
            held_until=min(now + timedelta(minutes=organization.hold_minutes), slot.starts_at),
            now=now,
        )
        item = CartItem(organization_id=organization.pk, cart=cart, booking=booking, created_at=now)
        insert(item)
    return item, quote(slot, units, rules)


def check_units(units: int) -> None:
    if not 1 <= units <= MOST_UNITS:
        raise Invalid(f"Between 1 and {MOST_UNITS} people can be booked.", field="units")


def remove_item(*, customer: Customer, item_id: uuid.UUID, actor: Actor, now: datetime) -> None:
    """Let the seats of one item go.

    Raises:
        NotFound: it is not in this customer's open cart.
    """
    with transaction.atomic(savepoint=False), audited(actor, reason="removed from the cart"):
        _remove(customer, now=now, item_id=item_id)


def empty(*, customer: Customer, actor: Actor, now: datetime) -> int:
    """Let every seat in the cart go; returns how many items there were."""
    with transaction.atomic(savepoint=False), audited(actor, reason="cart emptied"):
        return _remove(customer, now=now)


def _remove(customer: Customer, *, now: datetime, item_id: uuid.UUID | None = None) -> int:
    cart = locks.open_cart(customer)
    items = locks.items_in(cart) if cart else []
    if item_id is not None:
        items = [i for i in items if i.pk == item_id]
        if not items:
            raise NotFound("There is no such item in your cart.")
    booking_locks.slots({i.booking.slot_id for i in items})
    bookings = booking_locks.bookings({i.booking_id for i in items})
    live = [b for b in bookings if BOOKING.allows("cancel", b.status)]
    if item_id is not None and not live:
        raise BookingOver("This item has run out already.")
    booking_transitions.cancel(
        live, now=now, reason=our_reason("Removed from the cart."), tell=False
    )
    return len(live)
