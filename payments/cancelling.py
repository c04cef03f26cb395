"""What cancelling costs: the terms that were frozen at checkout, the clock and the money. Pure.

A fee is only kept of what was paid; nobody owes one. Decision 22.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from audit.errors import DomainError
from bookings import rules
from bookings.errors import BookingOver
from bookings.lifecycle import BOOKING, ENDED, BookingStatus
from bookings.models import Booking
from payments.lifecycle import ItemStatus, PaymentStatus, TransactionStatus
from payments.models import CartItem, CartTransaction

NOTHING = Decimal("0.00")


class Money(StrEnum):
    """What is known of the money of a transaction."""

    NONE = "none"  # nothing is paid
    CLAIMED = "claimed"  # a proof says so; nobody has looked at the account yet
    SEEN = "seen"


@dataclass(frozen=True, slots=True)
class Cost:
    """What cancelling a booking would do to its money.

    Attributes:
        refused: why the asker cannot cancel it; None if they can.
        possible_until: until when, inclusive, its customer may cancel it; None: only the staff may.
        free_until: until when, inclusive, it costs nothing; None: at any time.
        late_fee: what is kept after that, of what was paid.
        fee: what is kept if it is cancelled now.
        refund: what is owed back then.
        verified: the money has been seen, so that the refund is certain.
    """

    refused: DomainError | None
    possible_until: datetime | None
    free_until: datetime | None
    late_fee: Decimal
    fee: Decimal
    refund: Decimal
    currency: str
    verified: bool


def money_in(transaction: CartTransaction | None) -> Money:
    """What is known of the money of a transaction; there is none in a cart."""
    if transaction is None:
        return Money.NONE
    if transaction.payment_status == PaymentStatus.PAID:
        return Money.SEEN
    if transaction.status == TransactionStatus.UNDER_REVIEW:
        return Money.CLAIMED
    return Money.NONE


def is_unpaid_part(item: CartItem) -> bool:
    """Whether an item ended before anything was paid for it: nobody owes anything for it."""
    ended = item.status in (ItemStatus.CANCELLED, ItemStatus.EXPIRED)
    return ended and item.refund_id is None and not item.fee


def to_pay(transaction: CartTransaction, items: Iterable[CartItem]) -> Decimal:
    """What a transaction costs without what ended before it was paid.

    Of one that has expired it is what was to be paid until then; of one that was cancelled, what it
    was over.
    """
    if transaction.status == TransactionStatus.CANCELLED:
        return transaction.amount
    # What expired with the transaction was to be paid until then.
    together = ItemStatus.EXPIRED if transaction.status == TransactionStatus.EXPIRED else None
    gone = (i for i in items if i.status != together and is_unpaid_part(i))
    return transaction.amount - sum((i.amount or NOTHING for i in gone), NOTHING)


def most_by_hand(
    transaction: CartTransaction,
    items: Iterable[CartItem],
    *,
    stated: Decimal,
    owed: Decimal,
) -> Decimal:
    """The most that may be given back by hand: what can have been paid, less what it was for.

    That is twice what a transaction was over, for whoever paid twice, or what its proofs state, if
    that is more. Not what is still booked, or was served, nor what was kept.

    Args:
        stated: in its proofs, together.
        owed: the refunds of it, but for those that were waived.
    """
    can_be_paid = max(2 * transaction.amount, stated)
    used = sum(
        ((i.amount or NOTHING) if i.status == ItemStatus.APPROVED else i.fee for i in items),
        NOTHING,
    )
    return max(NOTHING, can_be_paid - used - owed)


def owed(item: CartItem) -> Decimal:
    """What is owed back of a paid item that has ended."""
    return (item.amount or NOTHING) - item.fee


def free_until(item: CartItem, starts_at: datetime) -> datetime | None:
    """The last moment at which cancelling costs nothing where a booking starts then, by the terms
    of its item; None: there is no such end. What counts for it is ``item.free_until``."""
    if item.free_until_minutes is None or not item.late_fee:
        return None
    return starts_at - timedelta(minutes=item.free_until_minutes)


def possible_until(booking: Booking, item: CartItem | None) -> datetime | None:
    """The last moment at which its customer may cancel a booking; None: only the staff may."""
    if not booking.slot.resource.customers_may_cancel:
        return None
    moved = item.cancel_until if item else None
    return moved or rules.cancel_until(booking.slot)


def after_move(old: datetime, new: datetime, *, by_customer: bool, now: datetime) -> datetime:
    """The deadline of a booking that moves, which was ``old`` and would be ``new`` by its start.

    The house does nobody harm, so the later one counts. Nor does a customer escape by moving: what
    has passed stays passed, or else who is late to cancel would move far ahead first.
    """
    if not by_customer:
        return max(old, new)
    return min(old, new) if old < now else new


def cost(
    booking: Booking,
    item: CartItem | None,
    transaction: CartTransaction | None,
    *,
    by_customer: bool,
    keep_fee: bool = False,
    now: datetime,
) -> Cost:
    """What cancelling a booking now would cost.

    Args:
        booking: with slot and resource loaded.
        by_customer: or else the house cancels, which is free unless it keeps the fee.
        keep_fee: the house keeps what a customer would be charged.
    """
    money = money_in(transaction)
    amount = (item.amount if item else None) or NOTHING
    until = item.free_until if item else None
    fee = NOTHING
    # While nobody has looked at the account, it is all or nothing: there is nothing to keep from.
    if money == Money.SEEN and (by_customer or keep_fee) and until is not None and now > until:
        fee = min(item.late_fee, amount) if item else NOTHING
    return Cost(
        refused=refusal(booking, item, by_customer=by_customer, now=now),
        possible_until=possible_until(booking, item),
        free_until=until,
        late_fee=item.late_fee if item and until else NOTHING,
        fee=fee,
        refund=NOTHING if money == Money.NONE else amount - fee,
        currency=item.currency if item else "",
        verified=money == Money.SEEN,
    )


def refusal(
    booking: Booking, item: CartItem | None, *, by_customer: bool, now: datetime
) -> DomainError | None:
    """Why a booking cannot be cancelled by this side now, or None."""
    try:
        check(booking, item, by_customer=by_customer, now=now)
    except DomainError as error:
        return error
    return None


def check(booking: Booking, item: CartItem | None, *, by_customer: bool, now: datetime) -> None:
    """Raise what keeps a booking from being cancelled by this side now.

    Args:
        item: of the booking; the house is not bound by what it says.

    Raises:
        BookingOver: it has ended, or it has started and a customer asks.
        TooLate: a customer asks, and the deadline has passed, or they never may.
    """
    if not is_live(booking):
        raise BookingOver(f"This booking is {booking.get_status_display()} already.")
    if by_customer:
        if booking.slot.starts_at <= now:
            raise BookingOver("This booking has started; ask the staff.")
        if booking.status != BookingStatus.HELD:
            check_in_time(booking, item, now=now)


def check_in_time(booking: Booking, item: CartItem | None, *, now: datetime) -> None:
    """Raise TooLate when its customer may not cancel a booking any more, or never could."""
    rules.check_cancel(booking, now=now, until=item.cancel_until if item else None)


def is_live(booking: Booking) -> bool:
    """Whether it is in a status in which it can be cancelled at all."""
    return BOOKING.allows("cancel", booking.status)


def check_all(
    bookings: Sequence[Booking],
    items: Mapping[UUID, CartItem],
    *,
    by_customer: bool,
    now: datetime,
) -> list[Booking]:
    """Those of an order that would be cancelled together; raises what keeps them from it.

    Args:
        items: of the bookings, by their primary keys; the house is not bound by what they say.

    Raises:
        BookingOver: somebody came or was missed, or one has started and a customer asks.
        TooLate: a customer asks, and the deadline of one of them has passed.
    """
    live = [b for b in bookings if is_live(b)]
    if len(live) < sum(b.status not in ENDED for b in bookings):
        raise BookingOver("Somebody was there already; cancel the other bookings singly.")
    if by_customer:
        if any(b.slot.starts_at <= now for b in live):
            raise BookingOver("A booking has started already; ask the staff.")
        for booking in live:
            check_in_time(booking, items.get(booking.pk), now=now)
    return live


@dataclass(frozen=True, slots=True)
class Total:
    """What cancelling several bookings of one currency would cost together."""

    fee: Decimal
    refund: Decimal
    currency: str
    verified: bool


def total(costs: Iterable[Cost]) -> Total:
    """The sum of what can be cancelled."""
    found = [c for c in costs if c.refused is None]
    paid = [c for c in found if c.fee or c.refund]
    priced = [c.currency for c in found if c.fee or c.refund] or [c.currency for c in found] or [""]
    return Total(
        fee=sum((c.fee for c in found), NOTHING),
        refund=sum((c.refund for c in found), NOTHING),
        currency=priced[0],
        verified=bool(paid) and all(c.verified for c in paid),
    )
