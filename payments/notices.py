"""What outbox events say about transactions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from audit.outbox import Event
from bookings import notices
from bookings.models import Booking
from payments.models import CartTransaction


def to_customer(
    kind: str, transaction: CartTransaction, bookings: Sequence[Booking], **payload: Any
) -> Event:
    """An event about a transaction the customer hears of, with its bookings in it."""
    return Event(
        kind=kind,
        organization_id=transaction.organization_id,
        subject=transaction,
        payload={
            "id": str(transaction.pk),
            "organization": transaction.organization.name,
            "customer": transaction.customer.name,
            "reference": transaction.reference,
            "amount": str(transaction.amount),
            "currency": transaction.currency,
            "payment_method": transaction.payment_method,
            "payment_status": transaction.payment_status,
            "due_at": transaction.due_at.isoformat() if transaction.due_at else "",
            "bookings": [notices.describe(b) for b in bookings],
            **payload,
        },
        to=notices.recipient(transaction.customer),
        reply_to=transaction.organization.email,
    )
