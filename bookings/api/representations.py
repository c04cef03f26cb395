"""How resources and bookings look in JSON. Plain functions: a page has up to 500 of them.

``serializers.py`` describes the same shapes for the OpenAPI document; a test compares every
answer with it.
"""

from __future__ import annotations

from typing import Any

from audit.api.answers import stamp, stamp_or_none
from bookings import codes, selectors
from bookings.lifecycle import BookingStatus
from bookings.models import Booking, Resource, Slot
from bookings.selectors import Viewer

SHOWS_CODE = (BookingStatus.CONFIRMED, BookingStatus.RESCHEDULE_PROPOSED, BookingStatus.CHECKED_IN)


RULES = (
    "notice_minutes",
    "horizon_days",
    "grid_minutes",
    "shortest_minutes",
    "longest_minutes",
    "most_live_bookings",
    "customers_may_cancel",
    "cancel_until_minutes",
    "reschedule_until_minutes",
    "needs_approval",
)


def resource(row: Resource) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "name": row.name,
        "kind": row.kind,
        "description": row.description,
        "time_zone": row.time_zone,
        "exclusive": row.exclusive,
        "mode": row.mode,
        "takes_waitlist": row.takes_waitlist and row.mode == Resource.Mode.SLOTS,
        "rules": {name: getattr(row, name) for name in RULES},
    }


def slot_of_booking(row: Slot) -> dict[str, Any]:
    """When and where; the resource must be loaded."""
    return {
        "id": str(row.pk),
        "starts_at": stamp(row.starts_at),
        "ends_at": stamp(row.ends_at),
        "time_zone": row.resource.time_zone,
        "resource": str(row.resource_id),
        "resource_name": row.resource.name,
    }


def booking(row: Booking, viewer: Viewer, *, with_code: bool = True) -> dict[str, Any]:
    """A booking, with slot, resource and customer loaded; its code only for its owner.

    Answers that are kept under an idempotency key are made ``with_code=False``: whoever reads
    a copy of the database must find no code in it (``bookings/codes.py``).
    """
    return {
        "id": str(row.pk),
        "reference": row.reference,
        "status": row.status,
        "units": row.units,
        "slot": slot_of_booking(row.slot),
        "customer": {"id": str(row.customer_id), "name": row.customer.name},
        "check_in_code": check_in_code(row) if with_code and is_own(row, viewer) else None,
        "hold_expires_at": (
            stamp_or_none(row.held_until) if row.status == BookingStatus.HELD else None
        ),
        "expires_at": stamp_or_none(row.pending_until),
        "created_at": stamp(row.created_at),
        "confirmed_at": stamp_or_none(row.confirmed_at),
        "checked_in_at": stamp_or_none(row.checked_in_at),
        "ended_at": stamp_or_none(row.ended_at),
        "ended_reason": row.ended_reason,
        "series": str(row.series_id) if row.series_id else None,
        "proposal": proposal(row),
        "version": row.version,
    }


def proposal(row: Booking) -> dict[str, Any] | None:
    """The time proposed for a booking; lists load theirs with ``selectors.load_proposals``."""
    if row.status != BookingStatus.RESCHEDULE_PROPOSED:
        return None
    if not hasattr(row, "open_proposal"):
        selectors.load_proposals([row])
    found = row.open_proposal
    if found is None:
        return None
    return {
        "slot": slot_of_booking(found.stand_in.slot),
        "answer_until": stamp(found.expires_at),
        "message": found.message,
        "terms": found.terms,
    }


def is_own(row: Booking, viewer: Viewer) -> bool:
    return viewer.customer is not None and row.customer_id == viewer.customer.pk


def check_in_code(row: Booking) -> str | None:
    """The code of an admitted booking whose code is loaded; None if it has none now."""
    if row.status not in SHOWS_CODE or not hasattr(row, "check_in_code"):
        return None
    return codes.derive(row.pk, bytes(row.check_in_code.nonce))
