"""Whoever gets seats in another way lets go of what they were offered for them in line."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from datetime import datetime

from bookings import locks as booking_locks
from bookings import transitions as booking_transitions
from bookings.lifecycle import BookingStatus
from waitlist import locks, transitions
from waitlist.lifecycle import OfferStatus
from waitlist.models import Offer
from waitlist.services.settlement import OTHERWISE


def open_offers(slot_ids: Collection[uuid.UUID], customer_id: uuid.UUID) -> list[Offer]:
    """What a customer is offered in locked slots, with bookings and entries locked.

    Nobody answers an offer or lets it run out without the lock of its slot.
    """
    found = list(
        Offer.objects.filter(
            status=OfferStatus.OPEN,
            booking__slot__in=list(slot_ids),
            booking__customer=customer_id,
            booking__status=BookingStatus.HELD,
        ).order_by("pk")
    )
    if not found:
        return []
    bookings = {b.pk: b for b in booking_locks.bookings(o.booking_id for o in found)}
    entries = locks.by_key(locks.entries(o.entry_id for o in found))
    for offer in found:
        offer.booking, offer.entry = bookings[offer.booking_id], entries[offer.entry_id]
    return found


def let_go(offers: Sequence[Offer], *, now: datetime) -> None:
    """End open offers and settle their entries; the seats are free for whoever asks next, or for
    the line. Offers, bookings and entries are locked."""
    transitions.answer(offers, "withdraw", now=now)
    transitions.move([o.entry for o in offers], "settle", now=now, reason=OTHERWISE)
    held = [o.booking for o in offers]
    booking_transitions.cancel(held, now=now, reason=OTHERWISE, tell=False)
