"""From a cart to a transaction with pending bookings, all or nothing (A2)."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import transaction

from audit import outbox
from audit.context import Actor, audited
from audit.errors import Invalid
from audit.observability.operations import operation
from audit.sql import update_rows
from bookings import holding
from bookings import locks as booking_locks
from bookings import rules as booking_rules
from bookings import transitions as booking_transitions
from bookings.errors import HoldExpired, SlotGone
from bookings.lifecycle import BookingStatus
from bookings.models import Booking, Customer, Organization
from bookings.services import free_times
from bookings.services.free_times import FreeTime
from payments import cancelling, locks, notices, selectors, transitions
from payments.errors import CartEmpty, MethodNotOffered, MixedCurrencies
from payments.lifecycle import CART, PaymentMethod, PaymentStatus
from payments.models import Cart, CartItem, CartTransaction, PaymentPolicy
from payments.prices import Quote, quote
from payments.services import decisions
from payments.services.carts import check_units

LONGEST_NOTE = 2_000
CHECKOUT = "checkout"  # the reason in the trail
LARGEST_SUM = Decimal("999999999.99")  # of one transaction, before discounts


def check_out(
    *,
    organization: Organization,
    customer: Customer,
    payment_method: str,
    note: str = "",
    actor: Actor,
    now: datetime,
) -> CartTransaction:
    """Turn the open cart into one transaction and one pending booking per item.

    Prices, tax and discount are frozen on the items now. What is free, or paid on arrival
    where the organisation confirms that at once, is approved in the same transaction, unless
    a resource in it needs the approval of the staff.

    Raises:
        CartEmpty: there is no item.
        HoldExpired: an item's hold ran out; ``items`` says which. Nothing is changed.
        MethodNotOffered, MixedCurrencies: see there.
        Invalid: the note is too long, or the sum is more than a transaction can have.
    """
    check_note(note)
    with (
        operation("cart.check_out", actor=actor, customer=str(customer.pk)) as op,
        transaction.atomic(savepoint=False),
        audited(actor, reason=CHECKOUT),
    ):
        cart = locks.open_cart(customer)
        items = locks.items_in(cart) if cart else []
        if not cart or not items:
            raise CartEmpty("Put something into the cart first.")
        # No seat changes hands, so the slots need no lock: whoever expires a hold on the spot
        # waits for the lock of its booking like we do.
        bookings = {b.pk: b for b in booking_locks.bookings(i.booking_id for i in items)}
        for item in items:
            item.booking = bookings[item.booking_id]
        _check_holds(items, now=now)
        made = order(organization, customer, items, method=payment_method, note=note, now=now)
        Cart.objects.filter(pk=cart.pk).update(status=CART.target("check_out"), checked_out_at=now)
        op.rows = 2 + 2 * len(items)
    return made


def book(
    *,
    organization: Organization,
    customer: Customer,
    slot_id: uuid.UUID | FreeTime,
    units: int,
    payment_method: str,
    note: str = "",
    actor: Actor,
    now: datetime,
) -> CartTransaction:
    """Book one slot directly, without a cart: what is free or paid on arrival.

    Args:
        slot_id: a slot, or the free time for which one is made.

    Raises:
        NotOffered: a free time that is not offered; see ``bookings.services.free_times``.
        SlotFull, SlotGone, ResourceTaken: see ``bookings.holding.hold``.
        TooSoon, TooFarAhead, TooManyBookings: the booking rules of the resource.
        TooManyNoShows: the customer did not come too often.
        MethodNotOffered: pay now needs the cart.
    """
    check_units(units)
    check_note(note)
    if payment_method == PaymentMethod.PAY_NOW:
        raise MethodNotOffered("What is paid in advance is booked through the cart.")
    with (
        operation("booking.book", actor=actor, slot=free_times.named(slot_id)) as op,
        transaction.atomic(savepoint=False),
        audited(actor, reason="booked directly"),
    ):
        slot = free_times.lock(slot_id, organization_id=organization.pk, now=now)
        booking_rules.check_new([slot], customer, now=now)
        held_until = now + timedelta(minutes=organization.hold_minutes)
        booking = holding.hold(slot, customer=customer, units=units, held_until=held_until, now=now)
        made = order_of(
            organization, customer, [booking], method=payment_method, note=note, now=now
        )
        op.rows = 3
    return made


def order_of(
    organization: Organization,
    customer: Customer,
    bookings: Sequence[Booking],
    *,
    method: str,
    note: str,
    now: datetime,
    staff: Actor | None = None,
    may_approve: bool = False,
) -> CartTransaction:
    """Request held bookings that never were in a cart; see :func:`order`."""
    items = [CartItem(organization_id=organization.pk, booking=b, created_at=now) for b in bookings]
    return order(
        organization,
        customer,
        items,
        method=method,
        note=note,
        now=now,
        new_items=True,
        staff=staff,
        may_approve=may_approve,
    )


def check_note(note: str) -> None:
    if len(note) > LONGEST_NOTE:
        raise Invalid(f"A note has at most {LONGEST_NOTE} characters.", field="note")


def _check_holds(items: Sequence[CartItem], *, now: datetime) -> None:
    late = [
        i
        for i in items
        if i.booking.status != BookingStatus.HELD or (i.booking.held_until or now) <= now
    ]
    if any(i.booking.slot.starts_at <= now for i in items):
        raise SlotGone("A slot in your cart has started already; remove it.")
    if late:
        raise HoldExpired(
            f"The hold on {len(late)} of {len(items)} items has run out. Remove what has run out"
            " and add it again if there is still room.",
            items=[str(i.pk) for i in late],
        )


def order(
    organization: Organization,
    customer: Customer,
    items: Sequence[CartItem],
    *,
    method: str,
    note: str,
    now: datetime,
    new_items: bool = False,
    staff: Actor | None = None,
    may_approve: bool = False,
) -> CartTransaction:
    """Freeze the prices of items whose bookings are held and locked, and request them.

    Args:
        new_items: they are not in the database yet.
        staff: who makes this for the customer; then what is free or paid on arrival needs no
            approval but theirs.
        may_approve: they may approve orders, and so what needs approval, too.
    """
    policy = selectors.policy_of(organization)
    rules = selectors.price_rules(i.booking.slot.resource_id for i in items)
    quotes = [quote(i.booking.slot, i.booking.units, rules) for i in items]
    total = sum((q.amount for q in quotes), Decimal("0.00"))
    if sum(q.unit_price * q.quantity for q in quotes) > LARGEST_SUM:
        raise Invalid("This is more than can be paid at once; check out in parts.")
    method = _method(method, total, policy)
    bookings = [i.booking for i in items]
    due_at = transitions.due_at(
        [b.slot.starts_at for b in bookings],
        hours=organization.pending_hours,
        since=now,
    )
    made = CartTransaction(
        organization=organization,
        customer=customer,
        payment_method=method,
        payment_status=PaymentStatus.PAID
        if method == PaymentMethod.FREE
        else PaymentStatus.PENDING,
        paid_at=now if method == PaymentMethod.FREE else None,
        amount=total,
        tax=sum((q.tax for q in quotes), Decimal("0.00")),
        discount=sum((q.discount for q in quotes), Decimal("0.00")),
        currency=_currency(quotes),
        note=note,
        due_at=due_at,
        review_due_at=transitions.request_due_at(
            method, hours=policy.review_hours, since=now, due=due_at
        ),
        created_at=now,
    )
    made.save(force_insert=True)
    _freeze(items, quotes, made, new=new_items)
    booking_transitions.request(bookings, pending_until=due_at, now=now)
    outbox.emit_many(
        [
            notices.to_customer(
                "transaction.received", made, bookings, payment_instructions=policy.instructions
            )
        ]
    )
    approved = may_approve or not any(b.slot.resource.needs_approval for b in bookings)
    if staff is not None and approved and method != PaymentMethod.PAY_NOW:
        decisions.approve_locked(made, bookings, actor=staff, now=now, reason="booked by staff")
    elif _at_once(method, policy, bookings):
        decisions.approve_locked(
            made, bookings, actor=Actor.system("payment policy"), now=now, reason="by policy"
        )
    return made


def _at_once(method: str, policy: PaymentPolicy, bookings: Sequence[Booking]) -> bool:
    """Whether an order that a customer makes is confirmed without anybody looking at it."""
    if any(b.slot.resource.needs_approval for b in bookings):
        return False
    ways = {
        PaymentMethod.FREE: policy.confirms_free,
        PaymentMethod.PAY_ON_ARRIVAL: policy.confirms_pay_on_arrival,
    }
    return ways.get(PaymentMethod(method), False)


def _method(method: str, total: Decimal, policy: PaymentPolicy) -> str:
    if total == 0:
        return PaymentMethod.FREE
    offered = {
        PaymentMethod.PAY_NOW: policy.accepts_pay_now,
        PaymentMethod.PAY_ON_ARRIVAL: policy.accepts_pay_on_arrival,
    }
    if method == PaymentMethod.FREE:
        raise MethodNotOffered(f"This costs {total}; choose how to pay.", amount=str(total))
    if not offered.get(PaymentMethod(method)):
        raise MethodNotOffered("This organisation does not take payment that way.")
    return method


def _currency(quotes: Sequence[Quote]) -> str:
    paid = {q.currency for q in quotes if q.amount} or {quotes[0].currency}
    if len(paid) > 1:
        raise MixedCurrencies(f"Check out {' and '.join(sorted(paid))} separately.")
    return paid.pop()


FROZEN = (
    "transaction",
    "price_name",
    "unit_price",
    "quantity",
    "discount",
    "tax_percent",
    "tax",
    "amount",
    "currency",
    "free_until_minutes",
    "late_fee",
    "free_until",
)


def _freeze(
    items: Sequence[CartItem], quotes: Sequence[Quote], made: CartTransaction, *, new: bool
) -> None:
    for item, q in zip(items, quotes, strict=True):
        item.transaction = made
        item.price_name, item.unit_price, item.quantity = q.name, q.unit_price, q.quantity
        item.discount, item.tax_percent, item.tax = q.discount, q.tax_percent, q.tax
        item.amount, item.currency = q.amount, q.currency
        item.free_until_minutes, item.late_fee = q.free_until_minutes, q.late_fee
        item.free_until = cancelling.free_until(item, item.booking.slot.starts_at)
    if new:
        CartItem.objects.bulk_create(items)
        return
    fields = [CartItem._meta.get_field(name) for name in FROZEN]
    update_rows(
        CartItem,
        FROZEN,
        [[i.pk, *(getattr(i, f.attname) for f in fields)] for i in items],  # type: ignore[union-attr]
    )
