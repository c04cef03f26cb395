"""Two weeks that lie behind the demo: bookings that were made, paid, kept and missed.

The database refuses new live bookings in slots that have started, so nothing of this can go
through the services. Rows are written in their final status, with everything that belongs to
it (item, transaction, code, proof), and the trail says that the demo wrote them.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from audit.context import Actor
from bookings import codes
from bookings.lifecycle import ADMITTED, BookingStatus
from bookings.models import PEOPLE, Booking, CheckInCode, Customer, Organization, Slot
from config.demo.seed_files import Files
from config.demo.seed_venues import slots_of
from payments.lifecycle import (
    ITEM_OF_BOOKING,
    CartStatus,
    PaymentMethod,
    PaymentStatus,
    ProofStatus,
    RefundStatus,
    TransactionStatus,
)
from payments.models import Cart, CartItem, CartTransaction, Price, Proof, Refund
from payments.prices import Quote, quote

B, T, Method = BookingStatus, TransactionStatus, PaymentMethod

HOUR = timedelta(hours=1)
# How often an exclusive slot was taken, and how many came to a class at most.
TAKEN, MOST_IN_CLASS = 0.22, 4
# Percent.
OUTCOMES = {B.COMPLETED: 68, B.NO_SHOW: 8, B.CANCELLED: 10, B.EXPIRED: 8, B.REJECTED: 6}
PAID_IN_ADVANCE = 0.25
TRANSACTION_OF = {
    B.CHECKED_IN: T.APPROVED,
    B.COMPLETED: T.APPROVED,
    B.NO_SHOW: T.APPROVED,
    B.CANCELLED: T.CANCELLED,
    B.EXPIRED: T.EXPIRED,
    B.REJECTED: T.REJECTED,
}
REASONS = {
    B.CANCELLED: ["Cannot come.", "Is ill.", "Found another time."],
    B.EXPIRED: ["It was not paid in time."],
    B.REJECTED: ["The transfer never arrived.", "The receipt is for another booking."],
}


class Past:
    """What happened at one venue until now, gathered row by row and written in one go."""

    def __init__(
        self,
        organization: Organization,
        *,
        reviewer: Actor,
        files: Files,
        rng: random.Random,
        now: datetime,
    ) -> None:
        self._organization = organization
        self._reviewer = reviewer
        self._files = files
        self._rng = rng
        self._now = now
        self._customers = list(Customer.objects.filter(organization=organization).order_by("email"))
        prices = Price.objects.filter(organization=organization)
        self._prices = list(prices.select_related("resource__cancellation_policy"))
        self._rows: dict[type, list[Any]] = {
            model: []
            for model in (CartTransaction, Refund, Booking, Cart, CartItem, CheckInCode, Proof)
        }

    def write(self) -> None:
        """Fill the past two weeks, and the slot that is on."""
        slots = slots_of(self._organization)
        for slot in slots:
            # What is made of others stays empty: they are filled without looking at it.
            made_of_others = any(number < PEOPLE for number in slot.parts)
            if slot.ends_at <= self._now and not made_of_others:
                self._fill(slot)
        self._check_in_the_latest(slots)
        for model, rows in self._rows.items():
            model.objects.bulk_create(rows, batch_size=1_000)  # type: ignore[attr-defined]

    def _fill(self, slot: Slot) -> None:
        count = self._rng.randrange(MOST_IN_CLASS)
        if slot.exclusive:
            count = int(self._rng.random() < TAKEN)
        for customer in self._rng.sample(self._customers, count):
            [status] = self._rng.choices(list(OUTCOMES), weights=list(OUTCOMES.values()))
            units = 1 if slot.exclusive else self._rng.choice([1, 1, 1, 2])
            self._add(slot, customer, status, units)

    def _check_in_the_latest(self, slots: Sequence[Slot]) -> None:
        """People are in the class that began last; a sweep completes them when it is over."""
        classes = [s for s in slots if not s.exclusive and s.starts_at <= self._now]
        for customer in self._rng.sample(self._customers, 3) if classes else []:
            self._add(classes[-1], customer, B.CHECKED_IN, 1)

    def _add(self, slot: Slot, customer: Customer, status: BookingStatus, units: int) -> None:
        price = quote(slot, units, self._prices)
        method = self._method(price, status)
        if method == Method.FREE and status in (B.EXPIRED, B.REJECTED):
            status = B.COMPLETED  # what is free was confirmed at once
        made_at = min(slot.starts_at, self._now) - self._rng.randint(26, 120) * HOUR
        admitted = status in ADMITTED or (status == B.CANCELLED and self._rng.random() < 0.5)
        transaction = self._transaction(customer, price, method, status, admitted, made_at, slot)
        booking = Booking(
            organization=self._organization,
            slot=slot,
            customer=customer,
            units=units,
            status=status,
            created_at=made_at,
            requested_at=made_at + timedelta(minutes=4),
            pending_until=None if admitted else transaction.due_at,
            confirmed_at=transaction.decided_at if admitted else None,
            checked_in_at=slot.starts_at - timedelta(minutes=self._rng.randint(1, 12))
            if status in (B.CHECKED_IN, B.COMPLETED)
            else None,
            missed_at=slot.ends_at + HOUR if status == B.NO_SHOW else None,
            ended_at=transaction.ended_at,
            ended_reason=transaction.decision_reason if transaction.ended_at else "",
        )
        self._rows[CartTransaction].append(transaction)
        self._rows[Booking].append(booking)
        self._add_item(booking, transaction, price)
        if admitted:
            self._add_code(booking)
        if method == Method.PAY_NOW and status != B.EXPIRED:
            self._add_proof(transaction)

    def _method(self, price: Quote, status: BookingStatus) -> PaymentMethod:
        if not price.amount:
            return Method.FREE
        if status in (B.REJECTED, B.EXPIRED) or self._rng.random() < PAID_IN_ADVANCE:
            return Method.PAY_NOW
        return Method.PAY_ON_ARRIVAL

    def _transaction(
        self,
        customer: Customer,
        price: Quote,
        method: PaymentMethod,
        status: BookingStatus,
        admitted: bool,
        made_at: datetime,
        slot: Slot,
    ) -> CartTransaction:
        decided = admitted or status == B.REJECTED
        at_once = method == Method.FREE
        decided_at = made_at + timedelta(minutes=5) if at_once else made_at + 6 * HOUR
        due_at = slot.starts_at
        if method == Method.PAY_NOW:
            due_at = min(due_at, made_at + self._organization.pending_hours * HOUR)
        paid_at = self._paid_at(method, status, admitted, made_at, decided_at, slot)
        payment = PaymentStatus.PAID if paid_at else PaymentStatus.PENDING
        if status == B.REJECTED:
            payment = PaymentStatus.FAILED
        ended_at = None
        reason = ""
        if status in REASONS:
            ended_at = due_at if status == B.EXPIRED else decided_at + 3 * HOUR
            if status == B.REJECTED:
                ended_at = decided_at
            reason = self._rng.choice(REASONS[status])
        by = Actor.system("payment policy") if at_once else self._reviewer
        return CartTransaction(
            organization=self._organization,
            customer=customer,
            status=TRANSACTION_OF[status],
            payment_method=method,
            payment_status=payment,
            amount=price.amount,
            tax=price.tax,
            discount=price.discount,
            currency=price.currency,
            due_at=due_at,
            created_at=made_at + timedelta(minutes=4),
            submitted_at=made_at + HOUR
            if method == Method.PAY_NOW and status != B.EXPIRED
            else None,
            paid_at=paid_at,
            decided_at=decided_at if decided else None,
            decided_by_id=by.id if decided else None,
            decided_by=by.label if decided else "",
            decision_reason=reason,
            ended_at=ended_at,
        )

    def _paid_at(
        self,
        method: PaymentMethod,
        status: BookingStatus,
        admitted: bool,
        made_at: datetime,
        decided_at: datetime,
        slot: Slot,
    ) -> datetime | None:
        if method == Method.FREE:
            return made_at + timedelta(minutes=4)
        if method == Method.PAY_NOW:
            return decided_at if admitted else None
        return slot.starts_at if status in (B.CHECKED_IN, B.COMPLETED) else None

    def _add_item(self, booking: Booking, transaction: CartTransaction, price: Quote) -> None:
        cart = None
        if transaction.payment_method == Method.PAY_NOW:
            cart = Cart(
                organization=self._organization,
                customer=booking.customer,
                status=CartStatus.CHECKED_OUT,
                created_at=booking.created_at,
                checked_out_at=transaction.created_at,
            )
            self._rows[Cart].append(cart)
        refund = None
        if (
            transaction.payment_status == PaymentStatus.PAID
            and price.amount
            and transaction.ended_at
        ):
            refund = self._paid_back(transaction)
            self._rows[Refund].append(refund)
        self._rows[CartItem].append(
            CartItem(
                refund=refund,
                organization=self._organization,
                cart=cart,
                transaction=transaction,
                booking=booking,
                status=ITEM_OF_BOOKING[booking.status],
                price_name=price.name,
                unit_price=price.unit_price,
                quantity=price.quantity,
                discount=price.discount,
                tax_percent=price.tax_percent,
                tax=price.tax,
                amount=price.amount,
                currency=price.currency,
                created_at=booking.created_at,
            )
        )

    def _paid_back(self, transaction: CartTransaction) -> Refund:
        """What was paid for a cancelled booking went back the same day."""
        assert transaction.ended_at is not None
        return Refund(
            organization=self._organization,
            customer=transaction.customer,
            transaction=transaction,
            amount=transaction.amount,
            currency=transaction.currency,
            status=RefundStatus.DONE,
            reason=transaction.decision_reason,
            created_at=transaction.ended_at,
            settled_at=transaction.ended_at + 12 * HOUR,
            settled_by_id=self._reviewer.id,
            settled_by=self._reviewer.label,
            reference=f"SEPA {self._rng.randint(1000, 2399)}",
        )

    def _add_code(self, booking: Booking) -> None:
        assert booking.confirmed_at is not None
        nonce = codes.new_nonce()
        self._rows[CheckInCode].append(
            CheckInCode(
                booking=booking,
                nonce=nonce,
                code_hash=codes.fingerprint(codes.derive(booking.pk, nonce)),
                created_at=booking.confirmed_at,
                used_at=booking.checked_in_at,
            )
        )

    def _add_proof(self, transaction: CartTransaction) -> None:
        assert transaction.submitted_at is not None
        status = ProofStatus.ACCEPTED if transaction.decided_at else ProofStatus.REJECTED
        if transaction.status == T.REJECTED:
            status = ProofStatus.REJECTED
        amount = transaction.amount
        if status == ProofStatus.REJECTED and self._rng.random() < 0.5:
            amount -= Decimal("5.00")
        file = self._files.receipt(
            transaction, paid_at=transaction.submitted_at, kind="jpg", amount=amount
        )
        file.keep_on_commit()
        self._rows[Proof].append(
            Proof(
                organization=self._organization,
                customer=transaction.customer,
                transaction=transaction,
                file=file.name,
                content_type=file.clean.content_type,
                size=len(file.clean.content),
                sha256=file.clean.sha256,
                original_name=file.clean.original_name,
                amount=amount,
                reference=transaction.reference,
                status=status,
                uploaded_at=transaction.submitted_at,
            )
        )
