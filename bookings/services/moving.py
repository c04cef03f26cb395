"""Moving many bookings together, to another day at the same hour (B2)."""

from __future__ import annotations

import uuid
import zoneinfo
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils.timezone import localtime

from audit.context import Actor, audited
from bookings import holding, locks, planning, signals
from bookings.lifecycle import BookingStatus, SlotStatus
from bookings.models import Booking, Slot
from bookings.services.regenerating import Applied, Preview

MOVABLE = (BookingStatus.PENDING, BookingStatus.CONFIRMED)
PRICES_STAY = "prices stay as they were agreed"
Pairs = list[tuple[Booking, Slot]]


def fitting(previewed: Preview, *, days: int) -> Pairs:
    """Which of the affected bookings find room so many days later, and where, as it looks now."""
    gone = {
        there.id
        for plan in previewed.plans
        for rows in (plan.retire, plan.archive, plan.delete, plan.shut)
        for there in rows
    }
    found = targets(previewed.affected, timedelta(days=days))
    free_to_move = {s.stands_for_id for s in previewed.proposals}
    come: dict[uuid.UUID, list[int]] = defaultdict(lambda: [0, 0])
    fit: Pairs = []
    for booking in previewed.affected:
        slot = found.get(booking.pk)
        if slot is None or slot.pk in gone:
            continue
        if not (_is_movable(booking) or booking.pk in free_to_move):
            continue
        bookings, units = come[slot.pk]
        if (
            slot.taken_bookings + bookings < slot.max_bookings
            and slot.taken_units + units + booking.units <= slot.max_units
        ):
            come[slot.pk] = [bookings + 1, units + booking.units]
            fit.append((booking, slot))
    return fit


def what_is_said(pairs: Pairs) -> dict[uuid.UUID, dict[str, Any]]:
    """What the apps above have to say of bookings that move, by booking: that a price stays."""
    return signals.merged(signals.bookings_moving.send(Booking, pairs=pairs))


def move(done: Applied, by: timedelta, *, actor: Actor, reason: str, now: datetime) -> None:
    """Move the affected bookings so many days; where there is no room they stay.

    Their slots and those they move to are locked. The number of statements does not grow with
    that of the bookings.
    """
    found = targets(done.affected, by)
    slots = {s.pk: s for s in locks.slots(s.pk for s in found.values())}
    # With all that is paid together, so that nobody who decides on an order waits in a circle.
    bookings = {b.pk: b for b in locks.bookings_of_orders(b.pk for b in done.affected)}
    pairs = [
        (bookings[b.pk], slots[found[b.pk].pk])
        for b in done.affected
        if b.pk in found and found[b.pk].pk in slots and _is_movable(bookings[b.pk])
    ]
    said = what_is_said(pairs)
    why = f"{reason} ({PRICES_STAY})" if said else reason
    with audited(actor, reason=why):
        done.moved = holding.move_many(pairs, now=now, said=said, reason=reason)
    moved = {b.pk for b in done.moved}
    done.stayed = [bookings[b.pk] for b in done.affected if b.pk not in moved]


def _is_movable(booking: Booking) -> bool:
    return booking.status in MOVABLE and not booking.stands_for_id


def targets(bookings: Sequence[Booking], by: timedelta) -> dict[uuid.UUID, Slot]:
    """For each booking the open slot of its resource at the same hour so many days later."""
    wanted = {b.pk: _shifted(b.slot, by) for b in bookings}
    found: dict[tuple[uuid.UUID, int], Slot] = {}
    slots = Slot.objects.filter(
        resource__in={b.slot.resource_id for b in bookings},
        starts_at__in={datetime.fromtimestamp(start, UTC) for start in wanted.values()},
        status=SlotStatus.OPEN,
    ).exclude(source=Slot.Source.FREE)
    for slot in slots.select_related("resource").order_by("ends_at", "pk"):
        found.setdefault((slot.resource_id, int(slot.starts_at.timestamp())), slot)
    return {
        b.pk: found[b.slot.resource_id, wanted[b.pk]]
        for b in bookings
        if (b.slot.resource_id, wanted[b.pk]) in found
    }


def _shifted(slot: Slot, by: timedelta) -> int:
    zone = zoneinfo.ZoneInfo(slot.resource.time_zone)
    start = localtime(slot.starts_at, zone)
    return planning.instant(zone, start.date() + by, start.time())
