"""Every row lock of this app, named; the order is in ``bookings/locks.py``.

An item has no lock of its own: whoever changes one holds the lock of its booking.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable
from datetime import datetime

from django.db.models import Q, QuerySet

from audit.compiled import Compiled, Param
from audit.errors import NotFound
from bookings import locks as booking_locks
from bookings.models import Booking, Customer, Slot
from payments.lifecycle import CartStatus, ItemStatus, TransactionStatus
from payments.models import Cart, CartItem, CartTransaction, Refund

MOST_AT_ONCE = 1_000  # bookings that a batch of transactions locks, if it is more than one


def open_cart(customer: Customer) -> Cart | None:
    """Lock a customer's open cart, if there is one."""
    return _OPEN_CART.first(customer=customer.pk)


_OPEN_CART = Compiled(
    lambda: (
        Cart.objects.select_for_update(no_key=True)
        .filter(customer=Param("customer"), status=CartStatus.OPEN)
        .order_by()
    )
)


def open_cart_or_new(customer: Customer, *, now: datetime) -> Cart:
    """Lock a customer's open cart, made if there is none."""
    cart = open_cart(customer)
    while cart is None:
        new = Cart(organization_id=customer.organization_id, customer=customer, created_at=now)
        Cart.objects.bulk_create([new], ignore_conflicts=True)  # two first items at once
        cart = open_cart(customer)
    return cart


def items_in(cart: Cart) -> list[CartItem]:
    """The items of a locked cart with their bookings; nobody adds or removes meanwhile."""
    return list(
        CartItem.objects.filter(cart=cart, status=ItemStatus.IN_CART)
        .select_related("booking__slot__resource", "booking__customer")
        .order_by("created_at", "pk")
    )


def carts_nobody_holds(booking_ids: Iterable[uuid.UUID]) -> list[uuid.UUID]:
    """Lock the open carts of these bookings, passing over those that somebody else holds.

    They come out of the order of locks, so it never waits for them.
    """
    rows = (
        Cart.objects.select_for_update(no_key=True, skip_locked=True)
        .filter(
            pk__in=CartItem.objects.filter(booking__in=set(booking_ids)).order_by().values("cart"),
            status=CartStatus.OPEN,
        )
        .order_by("pk")
    )
    return [cart.pk for cart in rows.only("pk")]


def without_items(cart_ids: Iterable[uuid.UUID]) -> list[uuid.UUID]:
    """Of locked carts, those in which nothing is any more."""
    ids = list(cart_ids)
    used = set(
        CartItem.objects.filter(cart__in=ids, status=ItemStatus.IN_CART).values_list(
            "cart_id", flat=True
        )
    )
    return [pk for pk in ids if pk not in used]


def bookings_of(transaction_id: uuid.UUID) -> list[Booking]:
    """Lock the bookings of a transaction; whose they are never changes after checkout."""
    return booking_locks.bookings_alone(Q(cart_item__transaction_id=transaction_id))


def paid_together(booking_ids: Iterable[uuid.UUID]) -> Q:
    """The condition of all bookings that are in a transaction with one of these."""
    items = CartItem.objects.filter(transaction__items__booking__in=set(booking_ids))
    return Q(pk__in=items.order_by().values("booking"))


def slots_and_bookings_of(transaction_id: uuid.UUID) -> list[Booking]:
    """Lock the slots of a transaction's bookings, then the bookings."""
    return booking_locks.slots_and_bookings(
        Q(cart_item__transaction_id=transaction_id),
        Q(stands_for__cart_item__transaction_id=transaction_id),
    )


def slots_of(transaction_id: uuid.UUID, *, also: Iterable[uuid.UUID] = ()) -> dict[uuid.UUID, Slot]:
    """Lock the slots of a transaction's bookings, also of those that have ended, by primary key.

    Args:
        also: slots to lock with them, in the same order; what is not there is left out.
    """
    mine = Q(cart_item__transaction_id=transaction_id)
    stand_ins = Q(stands_for__cart_item__transaction_id=transaction_id)
    others = set(also)
    found: dict[uuid.UUID, Slot] = {}
    while True:  # until nobody moved one of them while we waited
        wanted = booking_locks.slots_around(mine, stand_ins)
        if wanted <= set(found):
            return found
        found = {s.pk: s for s in booking_locks.slots(wanted | others)}


def transaction(transaction_id: uuid.UUID, *, organization_id: uuid.UUID) -> CartTransaction:
    """Lock one transaction of an organisation."""
    found = (
        CartTransaction.objects.select_for_update(no_key=True, of=("self",))
        .select_related("customer", "organization")
        .filter(pk=transaction_id, organization_id=organization_id)
        .first()
    )
    if found is None:
        raise NotFound("There is no such transaction.")
    return found


def transactions(ids: Iterable[uuid.UUID]) -> list[CartTransaction]:
    """Lock transactions, by primary key, with customers, organisations and policies loaded."""
    return list(_transactions().filter(pk__in=set(ids)))


def _transactions(*, skip_locked: bool = False) -> QuerySet[CartTransaction]:
    return (
        CartTransaction.objects.select_for_update(
            no_key=True, of=("self",), skip_locked=skip_locked
        )
        .select_related("customer", "organization__payment_policy")
        .order_by("pk")
    )


def overdue(
    *, now: datetime, limit: int, skip: Collection[uuid.UUID], passed: set[uuid.UUID]
) -> list[tuple[CartTransaction, list[Booking]]]:
    """Lock overdue transactions with their slots and bookings, waiting for nobody.

    Args:
        limit: of transactions, the longest overdue first; of their bookings ``MOST_AT_ONCE``.
        skip: transactions that are not looked at.
        passed: the same; those of which somebody else holds something are added.
    """
    due = (
        CartTransaction.objects.filter(status=TransactionStatus.PENDING, due_at__lte=now)
        .exclude(pk__in=[*skip, *passed])
        .order_by("due_at", "pk")
    )
    wanted: dict[uuid.UUID, dict[uuid.UUID, uuid.UUID]] = {
        pk: {} for pk in due.values_list("pk", flat=True)[:limit]
    }
    rows = CartItem.objects.filter(transaction__in=list(wanted)).order_by()
    for pk, booking_id, slot_id in rows.values_list("transaction", "booking", "booking__slot"):
        wanted[pk][booking_id] = slot_id
    chosen: list[uuid.UUID] = []
    many = 0
    for pk, places in wanted.items():
        if chosen and many + len(places) > MOST_AT_ONCE:
            break
        chosen.append(pk)
        many += len(places)
    if not chosen:
        return []
    slots = set(booking_locks.slots_nobody_holds(s for pk in chosen for s in wanted[pk].values()))
    # Not what they have in other slots: whoever holds those wants the bookings too, and two that
    # each hold a part of an order would both pass it over, for ever.
    within = [pk for pk in chosen if slots.issuperset(wanted[pk].values())]
    ours = [b for pk in within for b in wanted[pk]]
    bookings = {b.pk: b for b in booking_locks.bookings_nobody_holds(ours) if b.slot_id in slots}
    whole = [pk for pk in within if all(b in bookings for b in wanted[pk])]
    found = {t.pk: t for t in _transactions(skip_locked=True).filter(pk__in=whole)}
    passed.update(set(chosen).difference(found))
    return [(t, [bookings[b] for b in sorted(wanted[t.pk])]) for t in found.values()]


def overdue_reviews(
    *, now: datetime, limit: int, skip: Collection[uuid.UUID], passed: set[uuid.UUID]
) -> list[CartTransaction]:
    """Lock transactions on which a decision is overdue, waiting for nobody.

    Args:
        limit: of transactions. An organisation of which not all are within it is left to the next
            batch, unless it is the first one.
        skip: transactions that are not looked at.
        passed: the same; those that somebody else holds are added.
    """
    due = Q(review_due_at__lte=now)  # only what waits for a decision has one
    rows = CartTransaction.objects.filter(due).exclude(pk__in=[*skip, *passed])
    rows = rows.order_by("organization_id", "review_due_at", "pk")
    wanted = list(rows.values_list("pk", "organization_id")[: limit + 1])
    if len(wanted) > limit:
        whole = [one for one in wanted if one[1] != wanted[-1][1]]
        wanted = whole or wanted[:limit]
    ids = {pk for pk, _ in wanted}
    if not ids:
        return []
    locked = list(_transactions(skip_locked=True).filter(due, pk__in=ids))
    passed.update(ids.difference(t.pk for t in locked))
    return locked


def refunds(
    ids: Iterable[uuid.UUID], *, organization_ids: Collection[uuid.UUID] | None
) -> list[Refund]:
    """Lock refunds, by primary key, with transaction, customer and organisation loaded.

    Args:
        organization_ids: whose they must be; None: anybody's.

    Raises:
        NotFound: one of them is not there, or another organisation's.
    """
    wanted = set(ids)
    rows = (
        Refund.objects.select_for_update(no_key=True, of=("self",))
        .select_related("transaction", "customer", "organization")
        .filter(pk__in=wanted)
        .order_by("pk")
    )
    if organization_ids is not None:
        rows = rows.filter(organization__in=list(organization_ids))
    found = list(rows)
    if len(found) < len(wanted):
        raise NotFound("There is no such refund.")
    return found


def quota_of(customer_id: uuid.UUID) -> None:
    """Count uploads of one customer one after the other, until this transaction ends."""
    Customer.objects.select_for_update(no_key=True).only("pk").get(pk=customer_id)
