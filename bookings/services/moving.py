"""Moving many bookings together, to another day at the same hour (B2)."""

from __future__ import annotations

import uuid
import zoneinfo
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils.timezone import localtime

from audit.context import Actor, audited
from bookings import holding, locks, planning, selectors_free_times, signals
from bookings.lifecycle import BookingStatus, SlotStatus
from bookings.models import Booking, Resource, Slot
from bookings.selectors_schedules import Rules
from bookings.services import free_times
from bookings.services.regenerating import Applied, Preview

MOVABLE = (BookingStatus.PENDING, BookingStatus.CONFIRMED)
PRICES_STAY = "prices stay as they were agreed"
Pairs = list[tuple[Booking, Slot]]


@dataclass(frozen=True, slots=True)
class Target:
    """Where a booking goes: a slot that is there, or of a free time one that may have to be made."""

    slot: Slot
    hours: planning.Hours | None = None  # of a free time


def fitting(previewed: Preview, *, days: int, now: datetime) -> Pairs:
    """Which of the affected bookings find room so many days later, and where, as it looks now."""
    gone = {
        there.id
        for plan in previewed.plans
        for rows in (plan.retire, plan.archive, plan.delete, plan.shut)
        for there in rows
    }
    found = targets(previewed.affected, timedelta(days=days), rules=previewed.rules, now=now)
    gone |= _taken_free_times(found.values(), now=now)
    free_to_move = {s.stands_for_id for s in previewed.proposals}
    come: dict[uuid.UUID, list[int]] = defaultdict(lambda: [0, 0])
    fit: Pairs = []
    for booking in previewed.affected:
        if booking.pk not in found or found[booking.pk].slot.pk in gone:
            continue
        if not (_is_movable(booking) or booking.pk in free_to_move):
            continue
        slot = found[booking.pk].slot
        bookings, units = come[slot.pk]
        if (
            slot.taken_bookings + bookings < slot.max_bookings
            and slot.taken_units + units + booking.units <= slot.max_units
        ):
            come[slot.pk] = [bookings + 1, units + booking.units]
            fit.append((booking, slot))
    return fit


def _taken_free_times(found: Iterable[Target], *, now: datetime) -> set[uuid.UUID]:
    """The slots of free times at which something that they take is taken."""
    asked = [
        (t.slot, int(t.slot.starts_at.timestamp()), int(t.slot.ends_at.timestamp()), t.hours)
        for t in found
        if t.hours is not None
    ]
    if not asked:
        return set()
    resources = {slot.resource_id: slot.resource for slot, *_ in asked}
    taken = selectors_free_times.taken_of(
        list(resources.values()),
        min(int(slot.busy_from.timestamp()) for slot, *_ in asked),
        max(int(slot.busy_until.timestamp()) for slot, *_ in asked),
        now=now,
    )
    return {
        slot.pk
        for slot, starts_at, ends_at, hours in asked
        if not taken[slot.resource_id].free(starts_at, ends_at, hours)
    }


def what_is_said(pairs: Pairs) -> dict[uuid.UUID, dict[str, Any]]:
    """What the apps above have to say of bookings that move, by booking: that a price stays."""
    return signals.merged(signals.bookings_moving.send(Booking, pairs=pairs))


def slots_to_lock(bookings: Sequence[Booking], by: timedelta, *, now: datetime) -> set[uuid.UUID]:
    """The slots to which these bookings move; those of free times are made. None is locked.

    The planning locks of their resources are held.
    """
    found = targets(bookings, by, now=now).values()
    new = [t.slot for t in found if t.slot._state.adding]
    there = {t.slot.pk for t in found if not t.slot._state.adding}
    return there.union(free_times.insert(new))


def move(done: Applied, by: timedelta, *, actor: Actor, reason: str, now: datetime) -> None:
    """Move the affected bookings so many days; where there is no room they stay.

    Their slots and those they move to are locked. The number of statements does not grow with
    that of the bookings.
    """
    found = targets(done.affected, by, now=now)
    slots = {s.pk: s for s in locks.slots(t.slot.pk for t in found.values())}
    found = {pk: target for pk, target in found.items() if target.slot.pk in slots}
    hours = {t.slot.pk: t.hours for t in found.values() if t.hours is not None}
    free_times.follow((slots[pk], its) for pk, its in hours.items())
    # With all that is paid together, so that nobody who decides on an order waits in a circle.
    bookings = {b.pk: b for b in locks.bookings_of_orders(b.pk for b in done.affected)}
    pairs = [
        (bookings[b.pk], slots[found[b.pk].slot.pk])
        for b in done.affected
        if b.pk in found and _is_movable(bookings[b.pk])
    ]
    said = what_is_said(pairs)
    why = f"{reason} ({PRICES_STAY})" if said else reason
    with audited(actor, reason=why):
        done.moved = holding.move_many(pairs, now=now, said=said, reason=reason)
    free_times.drop_empty(list(slots.values()))
    moved = {b.pk for b in done.moved}
    done.stayed = [bookings[b.pk] for b in done.affected if b.pk not in moved]


def _is_movable(booking: Booking) -> bool:
    return booking.status in MOVABLE and not booking.stands_for_id


def targets(
    bookings: Sequence[Booking],
    by: timedelta,
    *,
    rules: Mapping[uuid.UUID, Rules] | None = None,
    now: datetime,
) -> dict[uuid.UUID, Target]:
    """For each booking the slot of its resource at the same hour so many days later, as long as its
    own: an open one; or, where times are free, the one of that time, which may have to be made.

    Args:
        rules: those of the resources, or None for those that are in force.
    """
    wanted = {b.pk: _shifted(b.slot, by) for b in bookings}
    slots = Slot.objects.filter(
        resource__in={resource_id for resource_id, *_ in wanted.values()},
        starts_at__in={starts_at for _, starts_at, _ in wanted.values()},
        status=SlotStatus.OPEN,
    ).select_related("resource")
    there = {(s.resource_id, s.starts_at, s.ends_at): s for s in slots}
    offered = {at: Target(s) for at, s in there.items() if s.source != Slot.Source.FREE}
    free = {
        wanted[b.pk]: b.slot.resource
        for b in bookings
        if b.slot.resource.mode == Resource.Mode.FREE_TIMES
        and wanted[b.pk] not in offered
        and wanted[b.pk][1] > now
    }
    asked = [(resource, at[1:]) for at, resource in free.items()]
    for (resource, period), hours in zip(
        asked, selectors_free_times.hours_of(asked, rules=rules), strict=True
    ):
        if hours is not None:
            at = resource.pk, *period
            slot = there.get(at) or free_times.slot_of(resource, period, hours)
            offered[at] = Target(slot, hours)
    return {b.pk: offered[wanted[b.pk]] for b in bookings if wanted[b.pk] in offered}


def _shifted(slot: Slot, by: timedelta) -> tuple[uuid.UUID, datetime, datetime]:
    zone = zoneinfo.ZoneInfo(slot.resource.time_zone)
    start = localtime(slot.starts_at, zone)
    moved = planning.instant(zone, start.date() + by, start.time())
    starts_at = datetime.fromtimestamp(moved, UTC)
    return slot.resource_id, starts_at, starts_at + (slot.ends_at - slot.starts_at)
