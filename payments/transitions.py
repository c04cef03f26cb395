"""Steps of items, transactions and proofs. They take rows whose bookings are locked."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F

from audit import outbox
from audit.context import Actor
from audit.languages import our_reason
from audit.sql import update_rows
from bookings import transitions as booking_transitions
from bookings.lifecycle import ENDED, BookingStatus
from bookings.models import Booking
from payments import notices, selectors
from payments.errors import AlreadyDecided
from payments.lifecycle import (
    PROOF,
    TRANSACTION,
    UNDECIDED,
    PaymentMethod,
    ProofStatus,
    TransactionStatus,
)
from payments.models import CartItem, CartTransaction, Proof


def mirror_items(booking_ids: Collection[uuid.UUID], status: str) -> int:
    """Give the items of locked bookings the status that follows from their bookings'."""
    return (
        CartItem.objects.filter(booking_id__in=booking_ids)
        .exclude(status=status)
        .update(status=status)
    )


def check(transaction: CartTransaction, move: str) -> None:
    """Raise AlreadyDecided if a locked transaction cannot take a move."""
    if not TRANSACTION.allows(move, transaction.status):
        when = f" at {transaction.decided_at:%Y-%m-%d %H:%M} UTC" if transaction.decided_at else ""
        by = f" by {transaction.decided_by}" if transaction.decided_by else ""
        raise AlreadyDecided(
            f"Transaction {transaction.reference} is {transaction.get_status_display()}"
            f" already{by}{when}.",
            transaction_status=transaction.status,
        )


def move(transactions: Sequence[CartTransaction], name: str, **changes: Any) -> None:
    """Take one move of the lifecycle with a whole batch of locked transactions."""
    for transaction in transactions:
        check(transaction, name)
    target = TRANSACTION.target(name)
    if target != TransactionStatus.UNDER_REVIEW:
        changes["review_due_at"] = None
    CartTransaction.objects.filter(pk__in=[t.pk for t in transactions]).update(
        status=target, **changes
    )
    for transaction in transactions:
        transaction.status = target
        transaction.version += 1
        for field, value in changes.items():
            setattr(transaction, field, value)


def touch(transaction: CartTransaction) -> None:
    """Make it a new version: who read it before has not seen all that belongs to it now."""
    CartTransaction.objects.filter(pk=transaction.pk).update(version=F("version") + 1)
    transaction.version += 1


def is_overdue(transaction: CartTransaction, *, now: datetime) -> bool:
    """Whether a transaction waits for its customer, and its deadline has passed.

    Under review no clock runs; without a deadline it never does.
    """
    return (
        transaction.status == TransactionStatus.PENDING
        and transaction.due_at is not None
        and transaction.due_at <= now
    )


def is_review_overdue(transaction: CartTransaction, now: datetime) -> bool:
    """Whether a proof, or a request, waits for a decision longer than it should."""
    return (
        transaction.status in UNDECIDED
        and transaction.review_due_at is not None
        and transaction.review_due_at <= now
    )


def requests_in(bookings: Sequence[Booking]) -> list[Booking]:
    """The bookings that expire with their transaction; none, if one of them went further."""
    live = [b for b in bookings if b.status not in ENDED]
    return live if all(b.status == BookingStatus.PENDING for b in live) else []


def expire(orders: Sequence[tuple[CartTransaction, Sequence[Booking]]], *, now: datetime) -> None:
    """Overdue transactions end with all that was requested in them; one message for each.

    Args:
        orders: locked transactions, each with what ``requests_in`` says of its locked bookings,
            at least one.
    """
    together: dict[str, list[Booking]] = defaultdict(list)
    for transaction, requests in orders:
        together[_why_expired(transaction)] += requests
    for reason, requests in together.items():
        # The last booking takes its transaction with it (payments/receivers.py).
        booking_transitions.expire(requests, now=now, reason=reason, tell=False)
    names = ("status", "version", "decision_reason", "ended_at")
    ended = CartTransaction.objects.in_bulk([transaction.pk for transaction, _ in orders])
    for transaction, _ in orders:
        for name in names:
            setattr(transaction, name, getattr(ended[transaction.pk], name))
    due = selectors.to_pay_of([t for t, _ in orders])
    outbox.emit_many(
        [
            notices.to_customer(
                "transaction.expired",
                t,
                requests,
                amount=str(due[t.pk]),
                reason=_why_expired(t),
            )
            for t, requests in orders
        ]
    )


def _why_expired(transaction: CartTransaction) -> str:
    paid_first = transaction.payment_method == PaymentMethod.PAY_NOW
    return our_reason("Not paid in time.") if paid_first else our_reason("Not confirmed in time.")


def due_at(starts: Collection[datetime], *, hours: int, since: datetime) -> datetime:
    """When pending bookings expire: within the organisation's hours, and never past the first
    start, whether the customer was to pay or the house to confirm (decision 24)."""
    return min(since + timedelta(hours=hours), *starts)


def request_due_at(method: str, *, hours: int, since: datetime, due: datetime) -> datetime | None:
    """By when somebody should have confirmed a request that expires when it is ``due``: within the
    hours for a review, and when half of its time has passed; None for what is to be paid first."""
    if method == PaymentMethod.PAY_NOW:
        return None
    return since + min(timedelta(hours=hours), (due - since) / 2)


def follow_starts(found: Sequence[tuple[CartTransaction, Sequence[Booking]]]) -> None:
    """Move the deadlines of locked transactions, and of the requests in them, with the starts.

    Under review no clock runs for the customer, but one for the staff, until they are told. One
    runs for both on a request that waits for the house. Three statements for any number.
    """
    late: list[CartTransaction] = []
    deadlines: list[tuple[Booking, datetime]] = []
    follow_reviews(found)
    for transaction, requests in found:
        if transaction.status != TransactionStatus.PENDING or transaction.due_at is None:
            continue
        due = due_at(
            [b.slot.starts_at for b in requests],
            hours=transaction.organization.pending_hours,
            since=transaction.created_at,
        )
        if due != transaction.due_at:
            transaction.due_at = due
            if not transaction.escalations:
                transaction.review_due_at = request_due_at(
                    transaction.payment_method,
                    hours=selectors.policy_of(transaction.organization).review_hours,
                    since=transaction.created_at,
                    due=due,
                )
            late.append(transaction)
        deadlines += [(b, due) for b in requests if b.pending_until != due]
    if late:
        rows = [[t.pk, t.due_at, t.review_due_at] for t in late]
        update_rows(CartTransaction, ["due_at", "review_due_at"], rows)
    for transaction in late:
        transaction.version += 1
    booking_transitions.set_deadlines(deadlines)


def review_due_at(starts: Collection[datetime], *, hours: int, since: datetime) -> datetime:
    """By when somebody should have decided on a proof: within the organisation's hours, and an
    hour before the first start; at once, if that is over."""
    latest = since + timedelta(hours=hours)
    return max(since, min([latest, *(start - timedelta(hours=1) for start in starts)]))


def follow_reviews(found: Sequence[tuple[CartTransaction, Sequence[Booking]]]) -> None:
    """Move the deadlines of reviews with the starts of what is requested; one statement.

    Not of those that the managers were told of: when they are told again has nothing to do with
    the start.
    """
    moved: list[CartTransaction] = []
    for transaction, requests in found:
        if transaction.status != TransactionStatus.UNDER_REVIEW or transaction.escalations:
            continue
        assert transaction.submitted_at is not None
        due = review_due_at(
            [b.slot.starts_at for b in requests],
            hours=selectors.policy_of(transaction.organization).review_hours,
            since=transaction.submitted_at,
        )
        if due != transaction.review_due_at:
            transaction.review_due_at = due
            moved.append(transaction)
    if moved:
        update_rows(CartTransaction, ["review_due_at"], [[t.pk, t.review_due_at] for t in moved])
    for transaction in moved:
        transaction.version += 1


def escalate(overdue: Sequence[CartTransaction], *, now: datetime) -> None:
    """Note that the managers are told of overdue reviews, and when they are told again: after as
    many hours as a review may take. One statement; who tells them calls this."""
    for transaction in overdue:
        hours = selectors.policy_of(transaction.organization).review_hours
        transaction.escalations += 1
        transaction.review_due_at = now + timedelta(hours=hours)
    names = ["escalations", "review_due_at"]
    update_rows(CartTransaction, names, [[t.pk, *(getattr(t, n) for n in names)] for t in overdue])
    for transaction in overdue:
        transaction.version += 1


def reinstate(transaction: CartTransaction, bookings: Sequence[Booking], *, now: datetime) -> None:
    """A locked transaction that had expired goes under review, with bookings that have their
    seats again."""
    due = review_due_at(
        [b.slot.starts_at for b in bookings],
        hours=selectors.policy_of(transaction.organization).review_hours,
        since=now,
    )
    move(
        [transaction],
        "reinstate",
        submitted_at=now,
        review_due_at=due,
        escalations=0,
        ended_at=None,
        decision_reason="",
    )


def decided(actor: Actor, *, now: datetime, reason: str) -> dict[str, Any]:
    """The columns that say who decided."""
    return {
        "decided_at": now,
        "decided_by_id": actor.id,
        "decided_by": actor.label[:200],
        "decision_reason": reason,
    }


def decide_proofs(transactions: Iterable[CartTransaction], name: str, *, now: datetime) -> int:
    """Accept or reject the proofs that wait for the decision of these."""
    ids = [t.pk for t in transactions]
    return Proof.objects.filter(transaction__in=ids, status=ProofStatus.SUBMITTED).update(
        status=PROOF.target(name), decided_at=now
    )
