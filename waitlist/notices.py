"""What outbox events say about places in line and offers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from django.db.models import prefetch_related_objects

from audit.outbox import Event
from bookings import notices
from bookings.models import Slot
from waitlist.models import Offer, WaitlistEntry


def describe(entry: WaitlistEntry, slot: Slot | None = None) -> dict[str, Any]:
    """An entry in the words of a message.

    Args:
        slot: the one it is about, where the entry is for any time.
    """
    slot = slot or entry.slot
    if slot is not None:
        when = {"starts_at": slot.starts_at.isoformat(), "ends_at": slot.ends_at.isoformat()}
    else:
        assert entry.from_at is not None
        assert entry.until_at is not None
        when = {"from_at": entry.from_at.isoformat(), "until_at": entry.until_at.isoformat()}
    return {
        "id": str(entry.pk),
        "resource": entry.resource.name,
        "time_zone": entry.resource.time_zone,
        "units": entry.units,
        "status": entry.status,
        **when,
    }


def about(kind: str, entries: Sequence[WaitlistEntry], **payload: Any) -> list[Event]:
    """Events for integrations; no mail goes out for them."""
    return [
        Event(
            kind=kind,
            organization_id=e.organization_id,
            subject=e,
            payload={"entry": describe(e), **payload},
        )
        for e in entries
    ]


def to_customers(kind: str, entries: Sequence[WaitlistEntry], **payload: Any) -> list[Event]:
    """Events that customers hear of by mail; one statement for their organisations."""
    prefetch_related_objects(entries, "organization")
    return [_to_customer(kind, e, **payload) for e in entries]


def offered(pairs: Sequence[tuple[WaitlistEntry, Offer]]) -> list[Event]:
    """Somebody is offered seats, and until when they can say yes."""
    prefetch_related_objects([entry for entry, _ in pairs], "organization")
    return [
        _to_customer(
            "waitlist.offered",
            entry,
            offer.booking.slot,
            offer=str(offer.pk),
            booking=notices.describe(offer.booking),
            answer_until=offer.expires_at.isoformat(),
        )
        for entry, offer in pairs
    ]


def ran_out(offers: Sequence[Offer], *, reason: str) -> list[Event]:
    """Nobody answered, or checked out, in time; their entries and bookings are loaded."""
    return _of_offers("waitlist.offer_expired", offers, reason=reason)


def withdrawn(offers: Sequence[Offer], *, reason: str) -> list[Event]:
    """The house took them back, and they are in line again; loaded like those of ``ran_out``."""
    return _of_offers("waitlist.offer_withdrawn", offers, reason=reason)


def _of_offers(kind: str, offers: Sequence[Offer], **payload: Any) -> list[Event]:
    prefetch_related_objects([o.entry for o in offers], "organization")
    return [_to_customer(kind, o.entry, o.booking.slot, **payload) for o in offers]


def _to_customer(
    kind: str, entry: WaitlistEntry, slot: Slot | None = None, **payload: Any
) -> Event:
    """The time zone of the place serves whoever never said theirs."""
    place = entry.resource.time_zone
    to = [replace(r, time_zone=r.time_zone or place) for r in notices.recipient(entry.customer)]
    return Event(
        kind=kind,
        organization_id=entry.organization_id,
        subject=entry,
        payload={
            "organization": entry.organization.name,
            "customer": entry.customer.name,
            "entry": describe(entry, slot),
            **payload,
        },
        to=to,
        reply_to=entry.organization.email,
    )
