"""Transaction, items and bookings say the same, and what counts where they do not.

An item has no say of its own: it follows its booking (A7). Between a transaction and its
bookings :func:`right_answer` decides.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

import pgtrigger
from django.db import IntegrityError, transaction

from audit.consistency.registry import FixResult, Problem, Scope, check, fix, rows
from audit.context import Actor
from audit.languages import our_reason
from bookings import transitions as booking_transitions
from bookings.consistency.parts import literals, lock_booking, mine, params, recount
from bookings.lifecycle import ADMITTED, BOOKING, ENDED, BookingStatus
from bookings.models import Booking, CheckInCode
from payments import locks, transitions
from payments.lifecycle import (
    ITEM,
    ITEM_OF_BOOKING,
    UNDECIDED,
    PaymentMethod,
    PaymentStatus,
    TransactionStatus,
)
from payments.models import CartItem, CartTransaction

B, T = BookingStatus, TransactionStatus

OVER = (T.REJECTED, T.EXPIRED, T.CANCELLED)
CANCELLABLE = (B.CONFIRMED, B.RESCHEDULE_PROPOSED)
Answer = Literal["agree", "confirm", "end bookings", "end transaction", "review"]


def right_answer(
    status: str, *, paid: bool, bookings: Collection[str], any_started: bool
) -> Answer:
    """What is to be done about a transaction and the statuses of its bookings.

    ========================  ======================  =========================================
    transaction               a booking is            then
    ========================  ======================  =========================================
    rejected, expired,        held, pending           the decision counts: the booking ends too
    cancelled                 confirmed               the same, if nothing has started yet
                              there, missed           people decide: somebody was served
    approved                  pending                 the decision counts: it is confirmed, if
                                                      it is paid or is paid on arrival
                              held                    people decide: it was never checked out
    pending, under review     confirmed and later     people decide: nobody approved it
    pending, under review,    ended, and so are       the transaction ends as its bookings did
    approved                  all others
    ========================  ======================  =========================================

    Args:
        paid: it is approved lawfully: paid, free, or to be paid on arrival.
        any_started: the slot of a booking that has not ended has begun.
    """
    going_on = {b for b in bookings if b not in ENDED}
    if not bookings:
        return "agree"  # payments.transaction_links names it
    if status in OVER:
        if not going_on:
            return "agree"
        if going_on <= {B.HELD, B.PENDING}:
            return "end bookings"
        if going_on <= {B.HELD, B.PENDING, *CANCELLABLE} and not any_started:
            return "end bookings"
        return "review"
    if not going_on:
        return "end transaction"
    if status == T.APPROVED:
        if B.HELD in going_on:
            return "review"
        if B.PENDING in going_on:
            return "confirm" if paid else "review"
        return "agree"
    return "agree" if going_on <= {B.PENDING} else "review"


_DISAGREE = f"""
    SELECT t.id::text, t.reference, t.organization_id, t.status,
           t.payment_method = '{PaymentMethod.PAY_ON_ARRIVAL}'
               OR t.payment_status = '{PaymentStatus.PAID}' AS paid,
           array_agg(DISTINCT b.status ORDER BY b.status) AS statuses,
           bool_or(s.starts_at <= %(now)s AND b.status NOT IN ({literals(ENDED)})) AS any_started,
           array_agg(b.id::text ORDER BY b.id) AS bookings
    FROM payments_carttransaction t
    JOIN payments_cartitem i ON i.transaction_id = t.id
    JOIN bookings_booking b ON b.id = i.booking_id
    JOIN bookings_slot s ON s.id = b.slot_id
    WHERE {mine("t.organization_id")}
    GROUP BY t.id
    HAVING bool_or(
               t.status IN ({literals(OVER)}) AND b.status NOT IN ({literals(ENDED)})
               OR t.status = '{T.APPROVED}' AND b.status IN ('{B.HELD}', '{B.PENDING}')
               OR t.status IN ({literals(UNDECIDED)})
                  AND b.status IN ('{B.HELD}', {literals(ADMITTED)})
           )
        OR (t.status NOT IN ({literals(OVER)}) AND bool_and(b.status IN ({literals(ENDED)})))
    ORDER BY t.id
"""  # noqa: S608


@check(
    id="payments.transaction_bookings",
    title="A transaction and its bookings say the same",
    help=(
        "A customer is told one thing by the transaction and another by a booking. --fix"
        " follows the decision: approved and paid confirms what is pending, a transaction that"
        " is over ends its bookings, and one whose bookings have all ended ends too. A booking"
        " that nobody approved, or that somebody was served for, is for people to decide."
    ),
    severity="critical",
)
def transaction_bookings(scope: Scope) -> Iterator[Problem]:
    for row in rows(_DISAGREE, params(scope)):
        answer = right_answer(
            row["status"],
            paid=row["paid"],
            bookings=row["statuses"],
            any_started=row["any_started"],
        )
        yield Problem(
            subject_type="payments.carttransaction",
            subject_id=row["id"],
            message=f"Transaction {row['reference']} is {row['status']}; its bookings are"
            f" {', '.join(row['statuses'])}.",
            organization_id=row["organization_id"],
            details={"bookings": row["bookings"], "statuses": row["statuses"]},
            fixable=answer != "review",
        )


@fix("payments.transaction_bookings")
def fix_transaction_bookings(problem: Problem, actor: Actor, now: datetime) -> FixResult:
    transaction_id = UUID(problem.subject_id)
    bookings = locks.slots_and_bookings_of(transaction_id)
    found = locks.transactions([transaction_id])
    if not found:
        return FixResult.gone()
    [settled] = found
    answer = right_answer(
        settled.status,
        paid=settled.payment_method == PaymentMethod.PAY_ON_ARRIVAL
        or settled.payment_status == PaymentStatus.PAID,
        bookings=[b.status for b in bookings],
        any_started=any(b.slot.starts_at <= now and b.status not in ENDED for b in bookings),
    )
    if answer == "confirm":
        return _confirm(bookings, now=now)
    if answer == "end bookings":
        recount({b.slot_id for b in bookings})
        return _end_bookings(settled, bookings, now=now)
    if answer == "end transaction":
        return _end_transaction(settled, bookings, actor=actor, now=now)
    if answer == "review":
        return FixResult.needs_review("Transaction and bookings contradict each other.")
    return FixResult.gone()


def _confirm(bookings: Sequence[Booking], *, now: datetime) -> FixResult:
    pending = [b for b in bookings if b.status == B.PENDING]
    # A code from before it was pending opens nothing, and would stand in the way of its own.
    CheckInCode.objects.filter(booking__in=[b.pk for b in pending]).delete()
    booking_transitions.confirm(pending, now=now)
    return FixResult.fixed(f"{len(pending)} bookings were confirmed, as the transaction says.")


def _end_bookings(
    settled: CartTransaction, bookings: Sequence[Booking], *, now: datetime
) -> FixResult:
    """End them as the transaction did; what cannot end like that is cancelled."""
    reason = settled.decision_reason or f"The order is {settled.get_status_display()}."
    live = [b for b in bookings if b.status not in ENDED]
    move = {T.REJECTED: "reject", T.EXPIRED: "expire"}.get(T(settled.status), "cancel")
    same = [b for b in live if BOOKING.allows(move, b.status)]
    others = [b for b in live if not BOOKING.allows(move, b.status)]
    steps: dict[str, Callable[..., object]] = {
        "reject": booking_transitions.reject,
        "expire": booking_transitions.expire,
        "cancel": booking_transitions.cancel,
    }
    steps[move](same, now=now, reason=reason)
    booking_transitions.cancel(others, now=now, reason=reason)
    return FixResult.fixed(f"{len(live)} bookings were ended, as the transaction was.")


def _end_transaction(
    settled: CartTransaction, bookings: Sequence[Booking], *, actor: Actor, now: datetime
) -> FixResult:
    """All its bookings have ended: all in one way, or else it counts as cancelled."""
    ways = {b.status for b in bookings}
    name = "cancel"
    changes = {"ended_at": now, "decision_reason": our_reason("All its bookings have ended.")}
    if settled.status in UNDECIDED and ways == {B.EXPIRED}:
        name = "expire"
    elif settled.status in UNDECIDED and ways == {B.REJECTED}:
        name = "reject"
        changes |= transitions.decided(actor, now=now, reason=bookings[0].ended_reason)
        if settled.payment_method == PaymentMethod.PAY_NOW:
            changes["payment_status"] = PaymentStatus.FAILED
    transitions.move([settled], name, **changes)
    transitions.decide_proofs([settled], "reject", now=now)
    return FixResult.fixed(f"The transaction is {settled.get_status_display()} now.")


_MIRROR = ", ".join(f"('{booking}', '{item}')" for booking, item in ITEM_OF_BOOKING.items())
_ITEMS = f"""
    SELECT i.id::text, b.id::text AS booking, b.organization_id, b.reference, b.status,
           i.status AS item, m.item AS follows
    FROM payments_cartitem i
    JOIN bookings_booking b ON b.id = i.booking_id
    JOIN (VALUES {_MIRROR}) m (booking, item) ON m.booking = b.status
    WHERE i.status <> m.item AND {mine("b.organization_id")}
    ORDER BY i.id
"""  # noqa: S608


@check(
    id="payments.item_booking",
    title="A cart item says what its booking says",
    help=(
        "The status of an item is a function of its booking's. --fix gives the item the status"
        " that follows; if it was the booking that was changed, correct the booking first."
    ),
)
def item_booking(scope: Scope) -> Iterator[Problem]:
    for row in rows(_ITEMS, params(scope)):
        yield Problem(
            subject_type="payments.cartitem",
            subject_id=row["id"],
            message=f"Booking {row['reference']} is {row['status']}, and its cart item is"
            f" {row['item']} instead of {row['follows']}.",
            organization_id=row["organization_id"],
            details={"booking": row["booking"], "status": row["item"], "follows": row["follows"]},
        )


@fix("payments.item_booking")
def fix_item_booking(problem: Problem, actor: Actor, now: datetime) -> FixResult:
    booking = lock_booking(problem, UUID(problem.details["booking"]))
    item = CartItem.objects.filter(booking=booking).first() if booking else None
    if booking is None or item is None:
        return FixResult.gone()
    right = ITEM_OF_BOOKING[booking.status]
    if item.status == right:
        return FixResult.gone()
    if (item.status, right) in ITEM.pairs():
        transitions.mirror_items([booking.pk], right)
        return FixResult.fixed(f"The item is {right} now.")
    # No step leads there, and still there is one right answer: the item only repeats its booking.
    try:
        with transaction.atomic(), pgtrigger.ignore("payments.CartItem:follow_lifecycle"):
            transitions.mirror_items([booking.pk], right)
    except IntegrityError:
        return FixResult.needs_review(f"The item cannot be {right}: it lacks what that needs.")
    return FixResult.fixed(f"The item is {right} now, past its lifecycle.")
