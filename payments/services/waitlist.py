"""Accepting what was offered to somebody in line: into the cart, or booked at once (A5, A6)."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from audit import outbox
from audit.context import Actor, audited
from audit.errors import NotFound
from audit.observability.operations import operation
from audit.sql import insert
from bookings import holding, rules
from bookings.models import Customer, Organization
from payments import locks, selectors
from payments.errors import CartFull
from payments.lifecycle import PaymentMethod
from payments.models import CartItem, CartTransaction
from payments.prices import Quote, quote
from payments.services import checkout
from payments.services.carts import MOST_ITEMS
from waitlist import notices as waitlist_notices
from waitlist import transitions as waitlist_transitions
from waitlist.models import Offer, WaitlistEntry
from waitlist.services import line


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of an accepted offer: an item of the cart, or an order where nothing is due."""

    entry: WaitlistEntry
    item: CartItem | None
    quote: Quote
    transaction: CartTransaction | None


def accept(
    *,
    organization: Organization,
    customer: Customer,
    entry_id: uuid.UUID,
    actor: Actor,
    now: datetime,
) -> Accepted:
    """Accept an offer. Its seats go into the customer's cart and are paid like any others; what
    costs nothing is ordered at once, and confirmed if the organisation confirms what is free.

    In the cart they are held until the offer would have run out, and at least for as long as the
    cart holds anything.

    Raises:
        NoOffer: there is none, or it has run out; the seats are the next one's.
        CartFull: there are 100 items in the cart.
        TooManyNoShows: the customer did not come too often since it was offered, and staff did not
            offer it by hand.
        NotFound: it is not this customer's.
    """
    with (
        operation("waitlist.accept", actor=actor, entry=str(entry_id)) as op,
        transaction.atomic(savepoint=False),
        audited(actor, reason="accepted the offer"),
    ):
        cart = locks.open_cart_or_new(customer, now=now)
        entry, found = line.lock_entry(entry_id, organization_id=organization.pk)
        if entry.customer_id != customer.pk:
            raise NotFound("There is no such entry in the waitlist.")
        offer = line.check_open(found, now=now)
        booking = offer.booking
        if actor.kind == "customer" and not offer.by_hand:  # else staff have made up their mind
            rules.check_no_shows(customer, now=now)
        _say_yes(entry, offer, now=now)
        price = quote(
            booking.slot, booking.units, selectors.price_rules([booking.slot.resource_id])
        )
        op.rows = 3
        if price.amount == 0:
            made = checkout.order_of(
                organization, customer, [booking], method=PaymentMethod.FREE, note="", now=now
            )
            # What is confirmed has fulfilled it.
            entry.refresh_from_db(fields=["status", "version", "ended_at"])
            return Accepted(entry, None, price, made)
        if selectors.count_items(cart) >= MOST_ITEMS:
            raise CartFull(f"A cart takes {MOST_ITEMS} items; check these out first.")
        least = min(now + timedelta(minutes=organization.hold_minutes), booking.slot.starts_at)
        if least > offer.expires_at:
            holding.extend_hold(booking, held_until=least)
        item = CartItem(organization_id=organization.pk, cart=cart, booking=booking, created_at=now)
        insert(item)
    return Accepted(entry, item, price, None)


def accept_for(
    *,
    organization: Organization,
    entry_id: uuid.UUID,
    payment_method: str,
    note: str = "",
    may_approve: bool = False,
    actor: Actor,
    now: datetime,
) -> CartTransaction:
    """Staff accept for a customer who calls, and book what was offered at once.

    It is ordered alone, whatever else is in the customer's cart; as in ``desk.book_for``, what is
    free or paid on arrival is confirmed by it.

    Args:
        payment_method: how it is paid; what costs nothing is free.
        may_approve: whether the actor may approve orders.

    Raises:
        NoOffer: there is none, or it has run out; the seats are the next one's.
        MethodNotOffered: the organisation is not paid that way.
        Invalid: the note is too long.
        Forbidden: it is the actor's own offer.
        NotFound: the organisation has no such entry.
    """
    checkout.check_note(note)
    with (
        operation("waitlist.accept_for", actor=actor, entry=str(entry_id)) as op,
        transaction.atomic(savepoint=False),
        audited(actor, reason="accepted for the customer"),
    ):
        entry, found = line.lock_entry(entry_id, organization_id=organization.pk)
        offer = line.check_open(found, now=now)
        line.check_not_own(entry, actor)
        _say_yes(entry, offer, now=now)
        made = checkout.order_of(
            organization,
            entry.customer,
            [offer.booking],
            method=payment_method,
            note=note,
            now=now,
            staff=actor,
            may_approve=may_approve,
        )
        op.rows = 4
    return made


def _say_yes(entry: WaitlistEntry, offer: Offer, *, now: datetime) -> None:
    waitlist_transitions.answer([offer], "accept", now=now)
    waitlist_transitions.move([entry], "accept", now=now)
    outbox.emit_many(waitlist_notices.about("waitlist.accepted", [entry]))
