"""Steps of items, transactions and proofs. They take rows whose bookings are locked."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import F

from audit import outbox
from audit.context import Actor
from audit.languages import our_reason
from audit.sql import insert_rows, update_rows
from bookings import transitions as booking_transitions
from bookings.lifecycle import ENDED, BookingStatus
from bookings.models import Booking
from payments import cancelling, notices, selectors
from payments.cancelling import Money
from payments.errors import AlreadyDecided, LatePaymentDecided, RefundSettled
from payments.lifecycle import (
    LATE,
    PROOF,
    REFUND,
    TRANSACTION,
    ItemStatus,
    LateStatus,
    PaymentMethod,
    ProofStatus,
    RefundStatus,
    TransactionStatus,
)
from payments.models import CartItem, CartTransaction, LatePayment, Proof, Refund


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
    """Whether a proof waits for a decision longer than it should."""
    return (
        transaction.status == TransactionStatus.UNDER_REVIEW
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
    outbox.emit_many(
        [
            notices.to_customer("transaction.expired", t, requests, reason=_why_expired(t))
            for t, requests in orders
        ]
    )


def _why_expired(transaction: CartTransaction) -> str:
    paid_first = transaction.payment_method == PaymentMethod.PAY_NOW
    return our_reason("Not paid in time.") if paid_first else our_reason("Not confirmed in time.")


def due_at(method: str, starts: Collection[datetime], *, hours: int, since: datetime) -> datetime:
    """When pending bookings expire: the organisation's hours, but never past the first start."""
    first = min(starts)
    latest = since + timedelta(hours=hours)
    return first if method != PaymentMethod.PAY_NOW else min(latest, first)


def follow_starts(found: Sequence[tuple[CartTransaction, Sequence[Booking]]]) -> None:
    """Move the deadlines of locked transactions, and of the requests in them, with the starts.

    Under review no clock runs for the customer, but one for the staff, until they are told.
    Three statements for any number.
    """
    late: list[CartTransaction] = []
    deadlines: list[tuple[Booking, datetime]] = []
    follow_reviews(found)
    for transaction, requests in found:
        if transaction.status != TransactionStatus.PENDING or transaction.due_at is None:
            continue
        due = due_at(
            transaction.payment_method,
            [b.slot.starts_at for b in requests],
            hours=transaction.organization.pending_hours,
            since=transaction.created_at,
        )
        if due != transaction.due_at:
            transaction.due_at = due
            late.append(transaction)
        deadlines += [(b, due) for b in requests if b.pending_until != due]
    if late:
        update_rows(CartTransaction, ["due_at"], [[t.pk, t.due_at] for t in late])
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


def open_late(
    transaction: CartTransaction, proof: Proof, *, now: datetime, reason: str
) -> LatePayment:
    """Staff decide what becomes of money that came too late for a locked transaction.

    One that is open already, or was dismissed, takes the newer proof.
    """
    late = LatePayment.objects.filter(transaction=transaction).first()
    if late is None:
        late = LatePayment(
            organization_id=transaction.organization_id, transaction=transaction, created_at=now
        )
    elif late.status != LateStatus.OPEN:
        check_late(late, "reopen")
    adding = late._state.adding
    late.proof, late.reason, late.status = proof, shorten(reason), LateStatus.OPEN
    late.resolved_at, late.resolved_by_id, late.resolved_by, late.note = None, None, "", ""
    late.save(force_insert=adding)
    transaction.late_payment = late
    return late


def resolve_late(
    late: LatePayment, name: str, *, actor: Actor, now: datetime, note: str, **changes: Any
) -> None:
    """Take one move with a late payment, whose transaction is locked."""
    check_late(late, name)
    late.status = LATE.target(name)
    late.resolved_at, late.resolved_by_id = now, actor.id
    late.resolved_by, late.note = actor.label[:200], shorten(note)
    for field, value in changes.items():
        setattr(late, field, value)
    late.save()


def reopen_late(late: LatePayment) -> None:
    """A late payment that was dismissed is decided anew; its proof waits again."""
    check_late(late, "reopen")
    late.status = LATE.target("reopen")
    late.resolved_at, late.resolved_by_id, late.resolved_by, late.note = None, None, "", ""
    late.save()
    Proof.objects.filter(pk=late.proof_id, status=ProofStatus.REJECTED).update(
        status=PROOF.target("reopen")
    )


def check_late(late: LatePayment, name: str) -> None:
    """Raise LatePaymentDecided if a late payment cannot take a move; its transaction is locked."""
    if not LATE.allows(name, late.status):
        when = f" at {late.resolved_at:%Y-%m-%d %H:%M} UTC" if late.resolved_at else ""
        by = f" by {late.resolved_by}" if late.resolved_by else ""
        raise LatePaymentDecided(
            f"This late payment is {late.get_status_display()}{by}{when}.",
            late_payment_status=late.status,
        )


def owe(late: LatePayment, refund: Refund) -> None:
    """Write down what is owed for money that came too late; its items are what it is for."""
    refund.save(force_insert=True)
    CartItem.objects.filter(
        transaction=late.transaction_id, status=ItemStatus.EXPIRED, refund__isnull=True
    ).update(refund=refund)


def shorten(words: str, longest: int = 500) -> str:
    """Words as a column takes them."""
    return words if len(words) <= longest else f"{words[: longest - 1]}…"


def decided(actor: Actor, *, now: datetime, reason: str) -> dict[str, Any]:
    """The columns that say who decided."""
    return {
        "decided_at": now,
        "decided_by_id": actor.id,
        "decided_by": actor.label[:200],
        "decision_reason": reason,
    }


def decide_proofs(transactions: Iterable[CartTransaction], name: str) -> int:
    """Accept or reject the proofs that wait for the decision of these."""
    ids = [t.pk for t in transactions]
    return Proof.objects.filter(transaction__in=ids, status=ProofStatus.SUBMITTED).update(
        status=PROOF.target(name)
    )


def keep_fees(quotes: Iterable[tuple[CartItem, Decimal]]) -> None:
    """Note what is kept of items whose bookings are about to be cancelled; one statement."""
    kept = [(item, fee) for item, fee in quotes if fee != item.fee]
    update_rows(CartItem, ["fee"], [[item.pk, fee] for item, fee in kept])
    for item, fee in kept:
        item.fee = fee


def owe_refunds(
    transactions: Sequence[CartTransaction],
    items: Sequence[CartItem],
    *,
    now: datetime,
    reason: str,
    known: Money | None = None,
) -> dict[uuid.UUID, dict[str, Any]]:
    """What was paid for ended items of locked transactions, and is not kept, is owed back.

    One refund for each transaction; where only a proof says that the money came, it is not
    verified. Two statements for any number, and none where no money is.

    Args:
        items: with bookings locked, each of one of the transactions.
        known: what is known of the money, if it is not what the transactions say of it now.

    Returns:
        What is kept and owed back of each, by booking.
    """
    of = {t.pk: t for t in transactions}
    money = {t.pk: known or cancelling.money_in(t) for t in transactions}
    together: dict[uuid.UUID, list[CartItem]] = defaultdict(list)
    said: dict[uuid.UUID, dict[str, Any]] = {}
    for item in items:
        if item.transaction_id not in of or money[item.transaction_id] == Money.NONE:
            continue
        if item.refund_id is not None or not item.amount:
            continue
        back = item.amount - item.fee
        said[item.booking_id] = {
            "fee": str(item.fee),
            "refund": str(back),
            "refund_currency": item.currency,
            "refund_verified": money[item.transaction_id] == Money.SEEN,
        }
        if back > 0:
            together[item.transaction_id].append(item)
    refunds = [
        Refund(
            organization_id=of[pk].organization_id,
            customer_id=of[pk].customer_id,
            transaction=of[pk],
            amount=sum((cancelling.owed(i) for i in found), Decimal(0)),
            currency=of[pk].currency,
            verified=money[pk] == Money.SEEN,
            reason=reason[:500],
            created_at=now,
        )
        for pk, found in together.items()
    ]
    insert_rows(refunds)
    update_rows(
        CartItem,
        ["refund"],
        [[item.pk, r.pk] for r in refunds for item in together[r.transaction_id]],
    )
    for refund in refunds:
        for item in together[refund.transaction_id]:
            item.refund = refund
    return said


def move_refunds(refunds: Sequence[Refund], name: str, **changes: Any) -> None:
    """Take one move of the lifecycle with locked refunds; one statement.

    Raises:
        RefundSettled: one of them cannot take it. Nothing is changed.
    """
    for refund in refunds:
        if not REFUND.allows(name, refund.status):
            raise RefundSettled(
                f"The refund of {refund.amount} {refund.currency} for"
                f" {refund.transaction.reference} is {refund.get_status_display()}.",
                refund=str(refund.pk),
                refund_status=refund.status,
            )
    target = REFUND.target(name)
    Refund.objects.filter(pk__in=[r.pk for r in refunds]).update(status=target, **changes)
    for refund in refunds:
        refund.status = target
        for field, value in changes.items():
            setattr(refund, field, value)


def verify_refunds(transaction: CartTransaction) -> int:
    """The money of a locked transaction has been seen: what is owed of it is owed for certain."""
    return Refund.objects.filter(
        transaction=transaction, status=RefundStatus.OWED, verified=False
    ).update(verified=True)


def waive_unseen(transaction: CartTransaction, *, actor: Actor, now: datetime, note: str) -> int:
    """The money of a locked transaction never came: nothing of it is owed back."""
    return Refund.objects.filter(
        transaction=transaction, status=RefundStatus.OWED, verified=False
    ).update(
        status=REFUND.target("waive"),
        settled_at=now,
        settled_by_id=actor.id,
        settled_by=actor.label[:200],
        note=note[:500],
    )
