"""Proofs of payment: file, row, transaction and bookings change together (A3)."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.conf import settings
from django.db import transaction

from audit import outbox
from audit.context import Actor, audited
from audit.errors import Invalid, NotFound
from audit.observability.operations import Operation, operation
from bookings import transitions as booking_transitions
from bookings.lifecycle import BookingStatus
from bookings.models import Booking, Customer
from payments import files, locks, notices, selectors, transitions
from payments.errors import AlreadyDecided, NotPayable, QuotaExceeded
from payments.files import StoredFile
from payments.lifecycle import UNDECIDED, PaymentMethod, TransactionStatus
from payments.models import CartItem, CartTransaction, Proof
from payments.models.price import MOST
from payments.models.proof import proof_storage
from payments.services import late as late_money

QUOTA_DAYS = 30


def submit(
    *,
    transaction_id: uuid.UUID,
    organization_id: uuid.UUID,
    customer: Customer,
    file: StoredFile,
    booking_id: uuid.UUID | None = None,
    amount: Decimal | None = None,
    reference: str = "",
    actor: Actor,
    now: datetime,
) -> Proof:
    """Add a proof to a customer's own transaction and put it under review.

    While it is under review no clock runs on its bookings. ``file`` comes from
    ``files.stored(files.examine(...))`` and stays only if this commits.

    One that comes after the time to pay has run out takes the seats again, if all of them are
    still free; else staff decide what becomes of the money (``services.late``).

    Raises:
        NotFound: not this customer's, or the booking is not in it.
        AlreadyDecided: the transaction is not waiting for payment any more.
        NotPayable: it is not paid by proof.
        QuotaExceeded: more than ``settings.PROOF_QUOTA_BYTES`` in 30 days.
    """
    if amount is not None and not 0 < amount <= MOST:
        raise Invalid(f"An amount is more than 0 and at most {MOST}.", field="amount")
    if len(reference) > 100:
        raise Invalid("A payment reference has at most 100 characters.", field="reference")
    upload = _Upload(
        transaction_id, organization_id, customer, file, booking_id, amount, reference, now
    )
    with operation("proof.submit", actor=actor, transaction=str(transaction_id)) as op:
        # Where seats may change hands slots come first, and before any lock nobody knows that.
        status = selectors.status_of(transaction_id)
        try:
            return _submit(upload, op, actor=actor, seen=status)
        except _ExpiredMeanwhile:  # its locks were let go with the savepoint
            return _submit(upload, op, actor=actor, seen=TransactionStatus.EXPIRED)


class _ExpiredMeanwhile(Exception):
    """It expired between the look and the lock."""


@dataclass(frozen=True, slots=True)
class _Upload:
    """A proof that somebody sends."""

    transaction_id: uuid.UUID
    organization_id: uuid.UUID
    customer: Customer
    file: StoredFile
    booking_id: uuid.UUID | None
    amount: Decimal | None
    reference: str
    now: datetime


def _submit(upload: _Upload, op: Operation, *, actor: Actor, seen: str | None) -> Proof:
    now, customer = upload.now, upload.customer
    with (
        transaction.atomic(savepoint=seen == TransactionStatus.PENDING),
        audited(actor, reason="proof of payment"),
    ):
        came_late = seen == TransactionStatus.EXPIRED
        slots = locks.slots_of(upload.transaction_id) if came_late else {}
        locks.quota_of(customer.pk)
        bookings = locks.bookings_of(upload.transaction_id)
        found = locks.transaction(upload.transaction_id, organization_id=upload.organization_id)
        _check_payable(found, upload, bookings)
        late = None
        if found.status == TransactionStatus.EXPIRED:
            if not came_late:
                raise _ExpiredMeanwhile
            late = late_money.check_may_come(found)
        elif found.status not in UNDECIDED:
            raise AlreadyDecided(
                f"Transaction {found.reference} is {found.get_status_display()} already.",
                transaction_status=found.status,
            )
        _check_quota(customer, len(upload.file.clean.content), now=now)
        proof = _proof(found, upload)
        proof.save(force_insert=True)
        if found.status == TransactionStatus.EXPIRED:
            late_money.take(found, proof, bookings, slots, late=late, actor=actor, now=now)
        else:
            _put_under_review(found, bookings, now=now)
        upload.file.keep_on_commit()
        op.rows = 2 + len(bookings)
    return proof


def _check_payable(found: CartTransaction, upload: _Upload, bookings: Sequence[Booking]) -> None:
    if found.customer_id != upload.customer.pk:
        raise NotFound("There is no such transaction.")
    if upload.booking_id is not None and upload.booking_id not in {b.pk for b in bookings}:
        raise NotFound("There is no such booking in this transaction.")
    if found.payment_method != PaymentMethod.PAY_NOW:
        raise NotPayable("This transaction needs no proof of payment.")


def _proof(found: CartTransaction, upload: _Upload) -> Proof:
    clean = upload.file.clean
    return Proof(
        organization_id=upload.organization_id,
        customer=upload.customer,
        transaction=found,
        booking_id=upload.booking_id,
        file=upload.file.name,
        content_type=clean.content_type,
        size=len(clean.content),
        sha256=clean.sha256,
        original_name=clean.original_name,
        amount=upload.amount,
        reference=upload.reference,
        uploaded_at=upload.now,
    )


def _put_under_review(
    found: CartTransaction, bookings: Sequence[Booking], *, now: datetime
) -> None:
    if found.status == TransactionStatus.PENDING:
        pending = [b for b in bookings if b.status == BookingStatus.PENDING]
        review_due_at = transitions.review_due_at(
            [b.slot.starts_at for b in pending],
            hours=selectors.policy_of(found.organization).review_hours,
            since=now,
        )
        transitions.move([found], "submit_proof", submitted_at=now, review_due_at=review_due_at)
        booking_transitions.set_deadline(pending, pending_until=None)
    else:
        transitions.touch(found)
    amount = selectors.asked_for(found, bookings)
    outbox.emit_many([notices.to_customer("proof.received", found, bookings, amount=str(amount))])


def transaction_of_booking(*, booking_id: uuid.UUID, customer: Customer) -> uuid.UUID:
    """The transaction a customer's booking is paid in.

    Raises:
        NotFound: not this customer's.
        NotPayable: it is still in the cart.
    """
    item = CartItem.objects.filter(booking=booking_id, booking__customer=customer).first()
    if item is None:
        raise NotFound("There is no such booking.")
    if item.transaction_id is None:
        raise NotPayable("Check the cart out first.")
    return item.transaction_id


def _check_quota(customer: Customer, size: int, *, now: datetime) -> None:
    used = selectors.uploaded_bytes(customer.pk, since=now - timedelta(days=QUOTA_DAYS))
    if used + size > settings.PROOF_QUOTA_BYTES:
        raise QuotaExceeded(
            f"{settings.PROOF_QUOTA_BYTES // 1024 // 1024} MB in {QUOTA_DAYS} days is the most."
        )


def remove_orphans(*, older_than_seconds: int = files.GRACE_SECONDS) -> int:
    """Delete stored files that no proof names and that are older than an hour."""
    found = files.orphans(older_than_seconds=older_than_seconds)
    for name in found:
        proof_storage().delete(name)
    return len(found)
