"""How slots, carts, transactions and proofs look in JSON; see ``bookings/api``."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.urls import reverse

from audit.api.answers import money, money_or_none, stamp, stamp_or_none
from audit.errors import DomainError
from bookings import rules
from bookings.api import representations as bookings
from bookings.models import Booking, Series, Slot
from bookings.selectors import Availability, Viewer
from payments import cancelling, selectors
from payments.cancelling import NOTHING, Cost, Total, owed, to_pay
from payments.lifecycle import UNDECIDED, PaymentMethod, PaymentStatus
from payments.models import CartItem, CartTransaction, LatePayment, Proof, Refund
from payments.prices import Quote
from payments.services.series import Made, Occurrence


def slot(row: Slot, left: Availability, price: Quote, *, now: datetime) -> dict[str, Any]:
    """A slot with what is left in it and what it costs."""
    return {
        **bookings.slot_of_booking(row),
        "status": row.status,
        "bookable": rules.may_be_booked(row, now=now),
        "capacity": row.max_units,
        "max_bookings": row.max_bookings,
        "available_units": left.units,
        "available_bookings": left.bookings,
        "price": money(price.amount),
        "currency": price.currency,
        "cancellation": terms(row, price),
    }


def free_time(row: Slot, price: Quote) -> dict[str, Any]:
    """A time that can be booked freely, and what it costs."""
    return {
        "starts_at": stamp(row.starts_at),
        "ends_at": stamp(row.ends_at),
        "price": money(price.amount),
        "currency": price.currency,
    }


def terms(row: Slot, price: Quote) -> dict[str, Any]:
    """Until when a booking could be cancelled, and what it would cost; the resource is loaded."""
    free = price.free_until_minutes
    free_until = (
        row.starts_at - timedelta(minutes=free) if price.late_fee and free is not None else None
    )
    return {
        "possible_until": stamp(rules.cancel_until(row))
        if row.resource.customers_may_cancel
        else None,
        "free_until": stamp_or_none(free_until),
        "late_fee": money(price.late_fee),
    }


def terms_agreed(row: Booking, item: CartItem | None) -> dict[str, Any] | None:
    """The same of a booking that was checked out and is live; its slot and resource are loaded."""
    if item is None or item.transaction_id is None or not cancelling.is_live(row):
        return None
    return {
        "possible_until": stamp_or_none(cancelling.possible_until(row, item)),
        "free_until": stamp_or_none(item.free_until),
        "late_fee": money(item.late_fee),
    }


def item(row: CartItem, price: Quote) -> dict[str, Any]:
    """An item of an open cart, with today's price; its slot and resource must be loaded."""
    booking = row.booking
    return {
        "id": str(row.pk),
        "booking": str(row.booking_id),
        "slot": bookings.slot_of_booking(booking.slot),
        "units": booking.units,
        "hold_expires_at": stamp_or_none(booking.held_until),
        "price": {
            "name": price.name,
            "unit_price": money(price.unit_price),
            "quantity": price.quantity,
            "discount": money(price.discount),
            "tax": money(price.tax),
        },
        "amount": money(price.amount),
        "currency": price.currency,
        "cancellation": terms(booking.slot, price),
    }


def cart(items: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """A cart; ``totals`` has one line per currency."""
    found = list(items)
    totals: dict[str, Decimal] = {}
    for one in found:
        totals[one["currency"]] = totals.get(one["currency"], Decimal(0)) + Decimal(one["amount"])
    return {
        "items": found,
        "totals": [{"currency": c, "amount": money(a)} for c, a in sorted(totals.items())],
    }


def booking(
    row: Booking, viewer: Viewer, item: CartItem | None = None, *, with_code: bool = True
) -> dict[str, Any]:
    """A booking with what it costs, which is frozen at checkout."""
    if item is None:
        item = getattr(row, "cart_item", None)
    return bookings.booking(row, viewer, with_code=with_code) | {
        "transaction": str(item.transaction_id) if item and item.transaction_id else None,
        "amount": money_or_none(item.amount) if item else None,
        "currency": (item.currency or None) if item else None,
        "fee": money(item.fee) if item else money(NOTHING),
        "refund": money(owed(item)) if item and item.refund_id else None,
        "cancellation": terms_agreed(row, item),
    }


def cost(row: Booking, found: Cost) -> dict[str, Any]:
    """What cancelling a booking now would cost."""
    return {
        "booking": str(row.pk),
        **_whether(found.refused),
        "possible_until": stamp_or_none(found.possible_until),
        "free_until": stamp_or_none(found.free_until),
        "late_fee": money(found.late_fee),
        "fee": money(found.fee),
        "refund": money(found.refund),
        "currency": found.currency or None,
        "verified": found.verified,
    }


def cost_of_all(
    row: CartTransaction,
    refused: DomainError | None,
    bookings: Iterable[dict[str, Any]],
    sum_: Total,
) -> dict[str, Any]:
    """What cancelling a transaction now would cost, in all and for each live booking."""
    return {
        "transaction": str(row.pk),
        **_whether(refused),
        "fee": money(sum_.fee),
        "refund": money(sum_.refund),
        "currency": row.currency,
        "verified": sum_.verified,
        "bookings": list(bookings),
    }


def _whether(refused: DomainError | None) -> dict[str, Any]:
    return {
        "may_cancel": refused is None,
        "problem": refused.code if refused else None,
        "reason": refused.detail if refused else "",
    }


def refund(row: Refund, viewer: Viewer) -> dict[str, Any]:
    """Money that is owed back; who settled it, and notes, are for staff."""
    inside = viewer.may("payments.view_refund")
    return {
        "id": str(row.pk),
        "transaction": str(row.transaction_id),
        "amount": money(row.amount),
        "currency": row.currency,
        "way": row.way,
        "status": row.status,
        "verified": row.verified,
        "by_hand": row.by_hand,
        "reason": row.reason,
        "created_at": stamp(row.created_at),
        "settled_at": stamp_or_none(row.settled_at),
        "settled_by": row.settled_by if inside and row.settled_at else None,
        "reference": row.reference,
        "note": row.note if inside else "",
    }


def refund_alone(row: Refund, viewer: Viewer) -> dict[str, Any]:
    """The same with whose it is; transaction and customer must be loaded."""
    return refund(row, viewer) | {
        "transaction_reference": row.transaction.reference,
        "customer": {"id": str(row.customer_id), "name": row.customer.name},
    }


def proof(row: Proof, viewer: Viewer) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "transaction": str(row.transaction_id),
        "booking": str(row.booking_id) if row.booking_id else None,
        "status": row.status,
        "amount": money_or_none(row.amount),
        "reference": row.reference,
        "original_name": row.original_name,
        "content_type": row.content_type,
        "size": row.size,
        "uploaded_at": stamp(row.uploaded_at),
        "file": reverse("proof-file", args=[viewer.organization.slug, row.pk]),
    }


def transaction(
    row: CartTransaction,
    viewer: Viewer,
    items: Iterable[CartItem],
    proofs: Iterable[Proof],
    *,
    with_code: bool = True,
) -> dict[str, Any]:
    """A transaction with its bookings, proofs and refunds; its customer, and the refunds of the
    items, must be loaded."""
    items = list(items)
    return {
        "id": str(row.pk),
        "reference": row.reference,
        "status": row.status,
        "payment_method": row.payment_method,
        "payment_status": row.payment_status,
        "amount": money(row.amount),
        "amount_due": money(_due(row, items)),
        "tax": money(row.tax),
        "discount": money(row.discount),
        "currency": row.currency,
        "note": row.note,
        "customer": {"id": str(row.customer_id), "name": row.customer.name},
        "due_at": stamp_or_none(row.due_at),
        "created_at": stamp(row.created_at),
        "submitted_at": stamp_or_none(row.submitted_at),
        "review_due_at": stamp_or_none(row.review_due_at) if viewer.is_staff else None,
        "paid_at": stamp_or_none(row.paid_at),
        "decided_at": stamp_or_none(row.decided_at),
        "decided_by": row.decided_by if viewer.is_staff and row.decided_at else None,
        "decision_reason": row.decision_reason,
        "ended_at": stamp_or_none(row.ended_at),
        "late_payment": late_payment(selectors.late_payment_of(row)),
        "version": row.version,
        "bookings": [booking(i.booking, viewer, i, with_code=with_code) for i in items],
        "proofs": [proof(p, viewer) for p in proofs],
        "refunds": [refund(r, viewer) for r in selectors.refunds_of(row, items)],
    }


def late_payment(row: LatePayment | None) -> dict[str, Any] | None:
    """What became of money that came too late."""
    if row is None:
        return None
    return {
        "status": row.status,
        "reason": row.reason,
        "created_at": stamp(row.created_at),
        "resolved_at": stamp_or_none(row.resolved_at),
    }


def _due(row: CartTransaction, items: Iterable[CartItem]) -> Decimal:
    """What is still to be paid: without what was cancelled before; nothing once it is over."""
    if row.payment_status != PaymentStatus.PENDING or row.ended_at is not None:
        return NOTHING
    return to_pay(row, items)


def instructions(row: CartTransaction) -> str:
    """How to pay what is still to be paid."""
    if row.payment_method != PaymentMethod.PAY_NOW or row.status not in UNDECIDED:
        return ""
    return selectors.policy_of(row.organization).instructions


def series(row: Series) -> dict[str, Any]:
    """A series; its resource and customer must be loaded."""
    return {
        "id": str(row.pk),
        "resource": str(row.resource_id),
        "resource_name": row.resource.name,
        "time_zone": row.resource.time_zone,
        "customer": {"id": str(row.customer_id), "name": row.customer.name},
        "starts_at": stamp(row.starts_at),
        "ends_at": stamp(row.ends_at),
        "every_weeks": row.every_weeks,
        "times": row.times,
        "units": row.units,
        "created_at": stamp(row.created_at),
    }


def series_made(made: Made) -> dict[str, Any]:
    """A series that was just booked, with what became of each date."""
    return series(made.series) | {
        "transaction": str(made.transaction.pk),
        "dates": [occurrence(d) for d in made.dates],
    }


def occurrence(found: Occurrence) -> dict[str, Any]:
    """One date of a series."""
    return {
        "date": found.date.isoformat(),
        "starts_at": stamp_or_none(found.starts_at),
        "outcome": str(found.outcome),
        "slot": str(found.slot.pk) if found.slot else None,
        "booking": str(found.booking.pk) if found.booking else None,
    }
