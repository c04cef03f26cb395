"""What the waitlist follows when bookings move, in the same transaction (A5, A6, D6)."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from audit.context import current_actor_kind
from bookings import claiming, signals
from bookings.models import Booking
from waitlist import locks, selectors, transitions
from waitlist.lifecycle import OfferStatus
from waitlist.models import Offer
from waitlist.services import serving, settlement

MOST_NEW = 500  # new slots looked at in their own transaction; the sweep serves the others
ENDING = ("cancel", "expire", "reject")


def connect() -> None:
    claiming.lines_open_where(serving.still_offered)
    signals.bookings_moved.connect(offers_follow, dispatch_uid="waitlist.offers_follow")
    signals.seats_released.connect(line_is_served, dispatch_uid="waitlist.line_is_served")
    signals.slots_made.connect(new_slots_are_offered, dispatch_uid="waitlist.new_slots_are_offered")


def offers_follow(
    bookings: Sequence[Booking], move: str, now: datetime, reason: str, **kwargs: Any
) -> None:
    """Offers end with their bookings; an approval settles what it settles."""
    if move == "confirm":
        settlement.settle(bookings, now=now)
    if move not in ENDING:
        return
    ended = {b.pk: b for b in bookings if b.slot.concerns_line}
    if not ended:
        return
    offers = list(
        Offer.objects.filter(booking__in=ended, status__in=[OfferStatus.OPEN, OfferStatus.ACCEPTED])
    )
    entries = locks.by_key(locks.entries(o.entry_id for o in offers)) if offers else {}
    for offer in offers:
        offer.booking, offer.entry = ended[offer.booking_id], entries[offer.entry_id]
    if offers:
        transitions.offers_ended(
            offers, move, by_customer=current_actor_kind() == "customer", reason=reason, now=now
        )


def line_is_served(
    slot_ids: Sequence[uuid.UUID], now: datetime, only: bool = False, **kwargs: Any
) -> set[uuid.UUID]:
    """Freed seats are offered to the first in line whom they fit; the slots that are undecided."""
    return serving.serve(slot_ids, now=now, only=only).undecided


def new_slots_are_offered(resource_ids: Sequence[uuid.UUID], now: datetime, **kwargs: Any) -> None:
    """Who waits for any time of a resource is offered one of its new slots."""
    if slot_ids := selectors.unserved_slots(now=now, limit=MOST_NEW, resources=resource_ids):
        serving.serve(slot_ids, now=now)
