"""What outbox events say about transactions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from audit.outbox import Event, Recipient
from bookings import notices
from bookings.models import Booking, Organization, Series
from bookings.notices import Said
from payments.lifecycle import TransactionStatus
from payments.models import CartTransaction, Refund


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


def to_organization(
    kind: str,
    transaction: CartTransaction,
    bookings: Sequence[Booking],
    *,
    others: Sequence[Recipient] = (),
    **payload: Any,
) -> Event:
    """The same for the organisation; who answers it writes to the customer.

    Args:
        others: whom it goes to where the organisation has no address.
    """
    address = transaction.organization.email
    return replace(
        to_customer(kind, transaction, bookings, **payload),
        to=[Recipient(address)] if address else others,
        reply_to=transaction.customer.email,
    )


def money_back(said: Said) -> dict[str, Any]:
    """What is kept and owed back of several bookings together, as each says it for itself."""
    if not said:
        return {}
    facts = list(said.values())
    return {
        "fee": str(sum(Decimal(one["fee"]) for one in facts)),
        "refund": str(sum(Decimal(one["refund"]) for one in facts)),
        "refund_currency": facts[0]["refund_currency"],
        "refund_verified": all(one["refund_verified"] for one in facts),
    }


def refunds(kind: str, found: Sequence[Refund], **payload: Any) -> list[Event]:
    """Events about refunds that their customers hear of; transaction, customer and organisation
    must be loaded."""
    return [
        Event(
            kind=kind,
            organization_id=one.organization_id,
            subject=one,
            payload={
                "id": str(one.pk),
                "organization": one.organization.name,
                "customer": one.customer.name,
                "transaction": one.transaction.reference,
                "amount": str(one.amount),
                "currency": one.currency,
                "way": one.way,
                **payload,
            },
            to=notices.recipient(one.customer),
            reply_to=one.organization.email,
        )
        for one in found
    ]


def series_cancelled(
    series: Series, bookings: Sequence[Booking], *, reason: str, said: Said
) -> Event:
    """One message about all that was cancelled of a series, and the money of it."""
    return Event(
        kind="series.cancelled",
        organization_id=series.organization_id,
        subject=series,
        payload={
            "id": str(series.pk),
            "organization": series.organization.name,
            "customer": series.customer.name,
            "resource": series.resource.name,
            "bookings": [notices.describe(b) for b in bookings],
            "reason": reason,
            **money_back(said),
        },
        to=notices.recipient(series.customer),
        reply_to=series.organization.email,
    )


MOST_LISTED = 20


def expires_at(one: CartTransaction) -> str:
    """When a request ends by itself if nobody decides; a proof waits for ever."""
    waits = one.status == TransactionStatus.PENDING and one.due_at is not None
    return one.due_at.isoformat() if waits and one.due_at else ""


def reviews_overdue(
    organization: Organization,
    overdue: Sequence[CartTransaction],
    *,
    since: Sequence[datetime],
    to: Sequence[Recipient],
) -> Event:
    """One message about all the decisions of an organisation that are overdue now.

    Args:
        since: when each was due, this time.
    """
    listed = sorted(zip(since, overdue, strict=True), key=lambda one: (one[0], one[1].pk))
    return Event(
        kind="transaction.review_overdue",
        organization_id=organization.pk,
        subject=organization,
        payload={
            "organization": organization.name,
            "count": len(listed),
            "more": max(0, len(listed) - MOST_LISTED),
            "transactions": [
                {
                    "id": str(one.pk),
                    "reference": one.reference,
                    "customer": one.customer.name,
                    "amount": str(one.amount),
                    "currency": one.currency,
                    "submitted_at": (one.submitted_at or one.created_at).isoformat(),
                    "expires_at": expires_at(one),
                    "due_at": due_at.isoformat(),
                    "time_zone": organization.time_zone,
                    "escalations": one.escalations,
                }
                for due_at, one in listed[:MOST_LISTED]
            ],
        },
        to=to,
    )
