"""Approve, reject, cancel: transaction, bookings, items, codes and proofs together (A4, A5, A7)."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from django.db import transaction

from audit import outbox
from audit.context import Actor, audited
from audit.errors import Invalid
from audit.observability.operations import operation
from bookings import transitions as booking_transitions
from bookings.lifecycle import BookingStatus
from bookings.models import Booking
from bookings.notices import Said
from bookings.services.bookings import check_version
from payments import cancelling, locks, notices, owing, selectors, transitions
from payments.errors import NotPayable, OwnTransaction, ProofMissing
from payments.lifecycle import ItemStatus, PaymentMethod, PaymentStatus, ProofStatus
from payments.models import CartItem, CartTransaction
from payments.services import cancellation

LONGEST_REASON = 1_000


def approve(
    *,
    transaction_id: uuid.UUID,
    organization_id: uuid.UUID,
    actor: Actor,
    now: datetime,
    reason: str = "",
    version: int | None = None,
) -> CartTransaction:
    """Approve a transaction; every booking in it is confirmed and gets its code.

    Raises:
        AlreadyDecided: somebody was faster, or it has expired. Nothing is changed.
        OwnTransaction: staff do not approve their own order.
        ProofMissing: paid in advance, no proof, and the organisation wants one.
        StaleVersion: it changed since the caller read ``version``.
    """
    with (
        operation(
            "transaction.approve",
            actor=actor,
            transaction=str(transaction_id),
            alert_on_failure=True,
        ) as op,
        transaction.atomic(savepoint=False),
        audited(actor, reason=reason),
    ):
        # Where the waitlist is concerned, seats may change hands, and slots come first.
        if selectors.concerns_line(transaction_id):
            bookings = locks.slots_and_bookings_of(transaction_id)
        else:
            bookings = locks.bookings_of(transaction_id)
        found = locks.transaction(transaction_id, organization_id=organization_id)
        transitions.check(found, "approve")
        check_version(found, version)
        _not_own(found, actor)
        _has_proof(found)
        op.rows = approve_locked(found, bookings, actor=actor, now=now, reason=reason)
        found.locked_bookings = bookings
    return found


def approve_locked(
    found: CartTransaction,
    bookings: Sequence[Booking],
    *,
    actor: Actor,
    now: datetime,
    reason: str,
) -> int:
    """The steps of an approval on locked rows; returns how many rows changed.

    What was cancelled under review is owed back for certain now.
    """
    pending = [b for b in bookings if b.status == BookingStatus.PENDING]
    booking_transitions.confirm(pending, now=now)
    changes = transitions.decided(actor, now=now, reason=reason)
    if found.payment_method == PaymentMethod.PAY_NOW:
        changes |= {"payment_status": PaymentStatus.PAID, "paid_at": now}
    transitions.move([found], "approve", **changes)
    found.given_back = []  # nothing is by hand before a decision
    if _some_cancelled(bookings):
        owing.verify_refunds(found)
    accepted = transitions.decide_proofs([found], "accept", now=now)
    amount = selectors.asked_for(found, bookings)
    outbox.emit_many(
        [notices.to_customer("transaction.approved", found, pending, amount=str(amount))]
    )
    return 1 + 3 * len(pending) + accepted


def reject(
    *,
    transaction_id: uuid.UUID,
    organization_id: uuid.UUID,
    actor: Actor,
    reason: str,
    now: datetime,
    version: int | None = None,
    refund: bool = False,
) -> CartTransaction:
    """Reject a transaction with a reason; its seats go back at once.

    Args:
        refund: the money has arrived all the same: all of it is owed back. Without it, nothing
            is owed of what was cancelled while the proof was under review.

    Raises:
        AlreadyDecided, OwnTransaction, StaleVersion: see ``approve``.
        Invalid: no reason, or nothing was to be paid in advance that could have arrived.
    """
    check_reason(reason)
    with (
        operation(
            "transaction.reject",
            actor=actor,
            transaction=str(transaction_id),
            alert_on_failure=True,
        ) as op,
        transaction.atomic(savepoint=False),
        audited(actor, reason=reason),
    ):
        bookings = locks.slots_and_bookings_of(transaction_id)
        found = locks.transaction(transaction_id, organization_id=organization_id)
        transitions.check(found, "reject")
        check_version(found, version)
        _not_own(found, actor)
        if refund and found.payment_method != PaymentMethod.PAY_NOW:
            raise Invalid("Nothing was to be paid in advance.", field="refund")
        pending = [b for b in bookings if b.status == BookingStatus.PENDING]
        gone = _some_cancelled(bookings)
        booking_transitions.reject(pending, now=now, reason=reason)
        changes = transitions.decided(actor, now=now, reason=reason)
        if refund:
            changes |= {"payment_status": PaymentStatus.PAID, "paid_at": now}
        elif found.payment_method == PaymentMethod.PAY_NOW:
            changes["payment_status"] = PaymentStatus.FAILED
        transitions.move([found], "reject", ended_at=now, **changes)
        transitions.decide_proofs([found], "reject", now=now)
        said: Said = {}
        if refund:
            said = _owe_all(found, now=now, reason=reason, some_cancelled=gone)
        elif gone:
            owing.waive_unseen(found, actor=actor, now=now, note=reason)
        outbox.emit_many(
            [
                notices.to_customer(
                    "transaction.rejected",
                    found,
                    pending,
                    amount=str(selectors.asked_for(found, bookings)),
                    reason=reason,
                    **notices.money_back(said),
                )
            ]
        )
        op.rows = 1 + 2 * len(pending)
        found.locked_bookings, found.given_back = bookings, []
    return found


def cancel(
    *,
    transaction_id: uuid.UUID,
    organization_id: uuid.UUID,
    actor: Actor,
    reason: str,
    now: datetime,
    version: int | None = None,
    accepted_fee: Decimal | None = None,
    keep_fee: bool = False,
) -> CartTransaction:
    """Cancel a transaction with every booking in it that is still live; what was paid for them
    is owed back, less the fee.

    Args:
        accepted_fee, keep_fee: see ``cancellation.cancel_booking``; of all of them together.

    Raises:
        AlreadyDecided: it has ended.
        BookingOver: somebody came or was missed, or it has started and the actor is a customer.
        TooLate: the actor is a customer, and the deadline of one of the bookings has passed.
        FeeDue, OwnTransaction: see ``cancellation.cancel_booking``.
    """
    check_reason(reason)
    with (
        operation("transaction.cancel", actor=actor, transaction=str(transaction_id)) as op,
        transaction.atomic(savepoint=False),
        audited(actor, reason=reason),
    ):
        bookings = locks.slots_and_bookings_of(transaction_id)
        found = locks.transaction(transaction_id, organization_id=organization_id)
        transitions.check(found, "cancel")
        check_version(found, version)
        items = cancellation.terms_of(bookings, actor=actor, keep_fee=keep_fee)
        live = cancelling.check_all(
            bookings, items, by_customer=cancellation.is_customer(actor), now=now
        )
        cancellation.agree(
            live, items, actor=actor, accepted_fee=accepted_fee, keep_fee=keep_fee, now=now
        )
        # The last booking takes the transaction with it (payments/receivers.py).
        said = booking_transitions.cancel(live, now=now, reason=reason, tell=False)
        found.refresh_from_db()
        outbox.emit_many(
            [
                notices.to_customer(
                    "transaction.cancelled", found, live, reason=reason, **notices.money_back(said)
                )
            ]
        )
        op.rows = 1 + 2 * len(live)
        found.locked_bookings = bookings
    return found


def take_payment(
    *,
    transaction_id: uuid.UUID,
    organization_id: uuid.UUID,
    actor: Actor,
    now: datetime,
    note: str = "",
) -> CartTransaction:
    """Note that a customer has paid on arrival.

    Raises:
        NotPayable: it is paid already, not approved, or paid in another way.
        OwnTransaction: staff do not mark their own order paid.
    """
    with (
        operation("transaction.take_payment", actor=actor, transaction=str(transaction_id)) as op,
        transaction.atomic(savepoint=False),
        audited(actor, reason=note or "paid on arrival"),
    ):
        found = locks.transaction(transaction_id, organization_id=organization_id)
        _not_own(found, actor)
        if found.payment_method != PaymentMethod.PAY_ON_ARRIVAL:
            raise NotPayable("This transaction is not paid on arrival.")
        if found.status != "approved" or found.payment_status != PaymentStatus.PENDING:
            raise NotPayable(
                f"It is {found.get_status_display()} and its payment is"
                f" {found.get_payment_status_display()}."
            )
        CartTransaction.objects.filter(pk=found.pk).update(
            payment_status=PaymentStatus.PAID, paid_at=now
        )
        found.payment_status, found.paid_at = PaymentStatus.PAID, now
        found.version += 1
        op.rows = 1
    return found


def check_reason(reason: str) -> None:
    if not reason.strip():
        raise Invalid("Say why: the customer will read it.", field="reason")
    if len(reason) > LONGEST_REASON:
        raise Invalid(f"A reason has at most {LONGEST_REASON} characters.", field="reason")


def _some_cancelled(bookings: Sequence[Booking]) -> bool:
    """Whether something may be owed back already, which nobody has verified."""
    return any(b.status == BookingStatus.CANCELLED for b in bookings)


def _owe_all(found: CartTransaction, *, now: datetime, reason: str, some_cancelled: bool) -> Said:
    """The money of a transaction that was just rejected is there: all of it is owed back."""
    rejected = CartItem.objects.filter(transaction=found, status=ItemStatus.REJECTED)
    if some_cancelled:
        owing.verify_refunds(found)
    # What was cancelled before the proof came was not to be paid, and is not owed back.
    return owing.owe_refunds([found], list(rejected.order_by("pk")), now=now, reason=reason)


def _not_own(found: CartTransaction, actor: Actor) -> None:
    if actor.is_user(found.customer.user_id):
        raise OwnTransaction("Ask a colleague: nobody decides on their own order.")


def _has_proof(found: CartTransaction) -> None:
    if found.payment_method != PaymentMethod.PAY_NOW:
        return
    if found.proofs.filter(status=ProofStatus.SUBMITTED).exists():
        return
    if selectors.policy_of(found.organization).proof_required:
        raise ProofMissing("Wait for the customer's proof of payment, or reject the transaction.")
