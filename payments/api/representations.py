"""How slots, carts, transactions and proofs look in JSON; see ``bookings/api``."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from django.urls import reverse

from audit.api.answers import money, money_or_none, stamp, stamp_or_none
from bookings.api import representations as bookings
from bookings.models import Booking, Series, Slot
from bookings.selectors import Availability, Viewer
from payments import selectors
from payments.lifecycle import UNDECIDED, PaymentMethod
from payments.models import CartItem, CartTransaction, LatePayment, Proof
from payments.prices import Quote
from payments.services.series import Made, Occurrence


def slot(row: Slot, left: Availability, price: Quote) -> dict[str, Any]:
    """A slot with what is left in it and what it costs."""
    return {
        **bookings.slot_of_booking(row),
        "status": row.status,
        "capacity": row.max_units,
        "max_bookings": row.max_bookings,
        "available_units": left.units,
        "available_bookings": left.bookings,
        "price": money(price.amount),
        "currency": price.currency,
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
    """A transaction with its bookings and proofs; its customer must be loaded."""
    return {
        "id": str(row.pk),
        "reference": row.reference,
        "status": row.status,
        "payment_method": row.payment_method,
        "payment_status": row.payment_status,
        "amount": money(row.amount),
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
