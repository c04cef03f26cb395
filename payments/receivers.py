"""What payments follows when bookings move, in the same transaction (A7)."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from bookings import locks as booking_locks
from bookings import signals
from bookings.lifecycle import BOOKING, BookingStatus
from bookings.models import Booking, Slot
from payments import locks, owing, selectors, transitions
from payments.lifecycle import (
    CART,
    ITEM_OF_BOOKING,
    LIVE_ITEMS,
    TRANSACTION,
)
from payments.models import Cart, CartItem, CartTransaction
from waitlist import signals as waitlist_signals

NOWHERE: Mapping[uuid.UUID, Slot] = {}


def connect() -> None:
    signals.bookings_moved.connect(items_follow, dispatch_uid="payments.items_follow")
    signals.bookings_rescheduled.connect(deadlines_follow, dispatch_uid="payments.deadlines_follow")
    signals.bookings_rescheduled.connect(terms_follow, dispatch_uid="payments.terms_follow")
    signals.bookings_moving.connect(prices_stay, dispatch_uid="payments.prices_stay")
    booking_locks.lock_together(locks.paid_together)
    waitlist_signals.entries_settled.connect(carts_follow, dispatch_uid="payments.carts_follow")


def items_follow(
    bookings: Sequence[Booking], move: str, now: datetime, reason: str, **kwargs: Any
) -> dict[uuid.UUID, dict[str, Any]]:
    """Items mirror their bookings; the last one gone takes its transaction with it, and what was
    paid for those that are cancelled is owed back.

    Returns:
        What is owed back and what is kept, by booking.
    """
    target = ITEM_OF_BOOKING[bookings[0].status]
    if all(ITEM_OF_BOOKING[source] == target for source in BOOKING.moves[move].sources):
        return {}  # checking in, for one: the item is approved before and after
    changed = transitions.mirror_items([b.pk for b in bookings], target)
    if not changed or move not in ("cancel", "expire"):
        return {}
    items = list(
        CartItem.objects.filter(
            booking__in=[b.pk for b in bookings], transaction__isnull=False
        ).order_by("pk")
    )
    if not items:
        return {}
    # Under this lock nobody pays: either the money is there and owed back, or nothing is paid.
    touched = locks.transactions(i.transaction_id for i in items if i.transaction_id)
    said = {}
    if move == "cancel":
        said = owing.owe_refunds(touched, items, now=now, reason=reason)
    _end_empty_transactions(touched, move, now=now, reason=reason)
    return said


def _end_empty_transactions(
    touched: Sequence[CartTransaction], move: str, *, now: datetime, reason: str
) -> None:
    alive = set(
        CartItem.objects.filter(
            transaction__in=[t.pk for t in touched], status__in=LIVE_ITEMS
        ).values_list("transaction_id", flat=True)
    )
    empty = [t for t in touched if t.pk not in alive and TRANSACTION.allows(move, t.status)]
    if empty:
        # A decision keeps its own words; why it ended is on the bookings and in the trail.
        decided = [t for t in empty if t.decided_at]
        if decided:
            transitions.move(decided, move, ended_at=now)
        undecided = [t for t in empty if not t.decided_at]
        if undecided:
            transitions.move(undecided, move, ended_at=now, decision_reason=reason)
        transitions.decide_proofs(empty, "reject", now=now)


def carts_follow(bookings: Sequence[Booking], now: datetime, **kwargs: Any) -> None:
    """Carts that held nothing but what a settlement has ended are closed (A6).

    A cart that its customer is using at this moment stays open: they are not waited for.
    """
    carts = locks.carts_nobody_holds([b.pk for b in bookings])
    empty = locks.without_items(carts)
    if empty:
        Cart.objects.filter(pk__in=empty).update(status=CART.target("close"), closed_at=now)


def prices_stay(pairs: Sequence[tuple[Booking, Slot]], **kwargs: Any) -> dict[uuid.UUID, Any]:
    """Of bookings that move to a slot with another price: the one that was frozen stays."""
    found = selectors.compare_prices(pairs)
    return {
        booking_id: {
            "price_stays": {"amount": str(c.now), "currency": c.currency},
            "new_price": {"amount": str(c.then), "currency": c.then_currency},
        }
        for booking_id, c in found.items()
        if c.differs
    }


def terms_follow(
    bookings: Sequence[Booking],
    now: datetime,
    old: Mapping[uuid.UUID, Slot] = NOWHERE,
    by_customer: bool = False,
    **kwargs: Any,
) -> dict[uuid.UUID, dict[str, Any]]:
    """Until when cancelling is free, and possible, follows the start, as far as it may.

    Returns:
        What the customers are to know of it, by booking.
    """
    if not old:
        return {}
    return owing.move_terms(bookings, old, by_customer=by_customer, now=now)


def deadlines_follow(bookings: Sequence[Booking], now: datetime, **kwargs: Any) -> None:
    """What has to be paid or confirmed before the start follows the start.

    As at checkout: within the organisation's hours, but never past the first start. Under review
    no clock runs but that of the staff. The others in the same transaction have the same deadline;
    who moves one should hold them all (``payments.services.reschedule``), as they are locked here
    out of turn otherwise.
    """
    moved = {b.pk: b for b in bookings if b.status == BookingStatus.PENDING}
    if not moved:
        return
    requests = [
        moved.get(b.pk, b)
        for b in booking_locks.bookings_alone(locks.paid_together(moved))
        if b.status == BookingStatus.PENDING
    ]
    transaction_of: dict[uuid.UUID, uuid.UUID] = dict(
        CartItem.objects.filter(booking__in=[b.pk for b in requests]).values_list(
            "booking_id", "transaction_id"
        )
    )
    together: dict[uuid.UUID, list[Booking]] = defaultdict(list)
    for booking in requests:
        together[transaction_of[booking.pk]].append(booking)
    transitions.follow_starts(
        [(found, together[found.pk]) for found in locks.transactions(together)]
    )
