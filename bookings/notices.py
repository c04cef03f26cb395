"""What outbox events say about bookings, and to whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from django.db.models import prefetch_related_objects

from audit.outbox import Event, Recipient
from bookings.models import Booking, Customer, Slot

Said = Mapping[UUID, Mapping[str, Any]]  # what the apps above say, by primary key of the booking
NOTHING_SAID: Said = {}


def describe_slot(slot: Slot) -> dict[str, Any]:
    """A slot in the words of a message; its resource must be loaded."""
    return {
        "resource": slot.resource.name,
        "starts_at": slot.starts_at.isoformat(),
        "ends_at": slot.ends_at.isoformat(),
        "time_zone": slot.resource.time_zone,
    }


def describe(booking: Booking) -> dict[str, Any]:
    """A booking in the words of a message; its slot and resource must be loaded."""
    return {
        "id": str(booking.pk),
        "reference": booking.reference,
        **describe_slot(booking.slot),
        "units": booking.units,
        "status": booking.status,
    }


def recipient(customer: Customer) -> list[Recipient]:
    """Where a customer wants to hear; nowhere, if there is no address."""
    if not customer.email:
        return []
    return [
        Recipient(
            address=customer.email, language=customer.language, time_zone=customer.time_zone or ""
        )
    ]


def about(kind: str, booking: Booking, **payload: Any) -> Event:
    """An event for integrations; no mail goes out for it."""
    return Event(
        kind=kind,
        organization_id=booking.organization_id,
        subject=booking,
        payload={"booking": describe(booking), **payload},
    )


def to_customers(
    kind: str, bookings: Sequence[Booking], *, said: Said = NOTHING_SAID, **payload: Any
) -> list[Event]:
    """Events that the customers hear of by mail; one statement for their organisations.

    Args:
        said: what else the message about a booking says.
    """
    prefetch_related_objects(bookings, "organization")
    return [
        _to_customer(kind, booking, **payload, **said.get(booking.pk, {})) for booking in bookings
    ]


def rescheduled(
    bookings: Sequence[Booking],
    old: Mapping[UUID, Slot],
    *,
    said: Said,
    reason: str,
) -> list[Event]:
    """Many bookings moved; each customer hears from which slot, and what else is said of it."""
    prefetch_related_objects(bookings, "organization")
    return [
        _to_customer(
            "booking.rescheduled",
            booking,
            previous=describe_slot(old[booking.pk]),
            reason=reason,
            **said.get(booking.pk, {}),
        )
        for booking in bookings
    ]


def to_organization(kind: str, booking: Booking, **payload: Any) -> list[Event]:
    """An event that the organisation hears of by mail, if it has an address; who answers that
    writes to the customer."""
    organization, customer = booking.organization, booking.customer
    event = _to_customer(kind, booking, **payload)
    to = [Recipient(address=organization.email)] if organization.email else []
    return [replace(event, to=to, reply_to=customer.email)]


def _to_customer(kind: str, booking: Booking, **payload: Any) -> Event:
    return Event(
        kind=kind,
        organization_id=booking.organization_id,
        subject=booking,
        payload={
            "organization": booking.organization.name,
            "customer": booking.customer.name,
            "booking": describe(booking),
            **payload,
        },
        to=recipient(booking.customer),
        reply_to=booking.organization.email,
    )
