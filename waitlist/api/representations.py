"""How places in line look in JSON; see ``bookings/api``."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from uuid import UUID

from audit.api.answers import money, stamp, stamp_or_none
from bookings.api import representations as bookings
from waitlist import selectors
from waitlist.lifecycle import EntryStatus
from waitlist.models import Offer, WaitlistEntry

Prices = Mapping[UUID, tuple[Decimal, str]]  # amount and currency, by offer

GOT_A_BOOKING = (EntryStatus.ACCEPTED, EntryStatus.FULFILLED)


def entry(row: WaitlistEntry, prices: Prices) -> dict[str, Any]:
    """An entry, with customer, resource and slot loaded, its position if it waits, and its
    offers (``selectors.with_parts``)."""
    open_offer = selectors.open_offer(row) if row.status == EntryStatus.OFFERED else None
    return {
        "id": str(row.pk),
        "customer": {"id": str(row.customer_id), "name": row.customer.name},
        "resource": str(row.resource_id),
        "resource_name": row.resource.name,
        "time_zone": row.resource.time_zone,
        "slot": bookings.slot_of_booking(row.slot) if row.slot else None,
        "from": stamp_or_none(row.from_at),
        "until": stamp_or_none(row.until_at),
        "units": row.units,
        "status": row.status,
        "position": row.position if row.status == EntryStatus.WAITING else None,
        "joined_at": stamp(row.joined_at),
        "passed_over": row.passed_over,
        "passed_over_reason": row.passed_over_reason,
        "offer": offer(open_offer, prices) if open_offer else None,
        "booking": _booking(row),
        "ended_at": stamp_or_none(row.ended_at),
        "ended_reason": row.ended_reason,
        "version": row.version,
    }


def offer(row: Offer, prices: Prices) -> dict[str, Any]:
    """An open offer, with its booking, slot and resource loaded."""
    amount, currency = prices.get(row.pk, (None, None))
    return {
        "slot": bookings.slot_of_booking(row.booking.slot),
        "answer_until": stamp(row.expires_at),
        "booking": str(row.booking_id),
        "price": None if amount is None else money(amount),
        "currency": currency,
    }


def _booking(row: WaitlistEntry) -> str | None:
    """What they accepted; an entry has one open or accepted offer at most."""
    accepted = selectors.offers_of(row) if row.status in GOT_A_BOOKING else []
    return str(accepted[-1].booking_id) if accepted else None
