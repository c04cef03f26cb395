"""Steps of what is kept, owed back and kept for customers: fees, refunds, late payments, and the
terms of cancelling. As in ``transitions`` they take rows that are locked, and open no transaction."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import Q

from audit.context import Actor
from audit.sql import insert_rows, update_rows
from bookings import rules
from bookings.models import Booking, Slot
from payments import cancelling, selectors
from payments.cancelling import Money
from payments.errors import LatePaymentDecided, RefundSettled
from payments.lifecycle import (
    LATE,
    PROOF,
    REFUND,
    ItemStatus,
    LateStatus,
    ProofStatus,
    RefundStatus,
)
from payments.models import CartItem, CartTransaction, LatePayment, Proof, Refund

TERMS = ("free_until", "cancel_until")


def move_terms(
    bookings: Sequence[Booking],
    old: Mapping[uuid.UUID, Slot],
    *,
    by_customer: bool,
    now: datetime,
) -> dict[uuid.UUID, dict[str, Any]]:
    """Bookings have moved; so do the deadlines of cancelling them, as ``cancelling.after_move``
    says. Two statements for any number.

    Args:
        old: the slot of each before.

    Returns:
        What its customer is to know of it, by booking: until when cancelling is free now and what
        it costs after that; and whether only the staff cancel it.
    """
    items = selectors.ordered_items(b.pk for b in bookings)
    changed: list[CartItem] = []
    said: dict[uuid.UUID, dict[str, Any]] = {}
    for booking in bookings:
        item, before = items.get(booking.pk), old.get(booking.pk)
        if item is None or before is None:
            continue
        was = (item.free_until, item.cancel_until)
        free = cancelling.free_until(item, booking.slot.starts_at)
        if free is not None and item.free_until is not None:
            free = cancelling.after_move(item.free_until, free, by_customer=by_customer, now=now)
        item.free_until = free
        rule = rules.cancel_until(booking.slot)
        until = item.cancel_until or rules.cancel_until(before)
        until = cancelling.after_move(until, rule, by_customer=by_customer, now=now)
        item.cancel_until = None if until == rule else until
        if (item.free_until, item.cancel_until) != was:
            changed.append(item)
        said[booking.pk] = _said_of_terms(booking, item, now=now)
    update_rows(CartItem, TERMS, [[i.pk, *(getattr(i, name) for name in TERMS)] for i in changed])
    return said


def _said_of_terms(booking: Booking, item: CartItem, *, now: datetime) -> dict[str, Any]:
    said: dict[str, Any] = {}
    if item.free_until is not None:
        said |= {
            "free_until": item.free_until.isoformat(),
            "free_is_over": item.free_until < now,
            "late_fee": str(item.late_fee),
            "late_fee_currency": item.currency,
        }
    if item.cancel_until is not None and booking.slot.resource.customers_may_cancel:
        said["cancel_until"] = item.cancel_until.isoformat()
        said["cancel_is_over"] = item.cancel_until < now
    return said


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
    """A late payment that was dismissed is decided anew; the proofs that were rejected with it
    wait again, and the newest one in any case."""
    check_late(late, "reopen")
    mine = Q(pk=late.proof_id) | Q(transaction=late.transaction_id, decided_at=late.resolved_at)
    late.status = LATE.target("reopen")
    late.resolved_at, late.resolved_by_id, late.resolved_by, late.note = None, None, "", ""
    late.save()
    Proof.objects.filter(mine, status=ProofStatus.REJECTED).update(
        status=PROOF.target("reopen"), decided_at=None
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
