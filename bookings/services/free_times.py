"""Slots of times that somebody chose: made when they are booked, inside the caller's transaction (B1)."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from audit.errors import NotFound
from audit.sql import update_rows
from bookings import locks, planning, selectors
from bookings import selectors_free_times as free_times
from bookings.errors import NotOffered, SlotGone
from bookings.lifecycle import SlotStatus
from bookings.models import Resource, Slot

AHEAD = timedelta(days=3650)
CHANGED = "This time was changed just now. Look again."


@dataclass(frozen=True, slots=True)
class FreeTime:
    """A time of a resource that is booked at free times."""

    resource_id: uuid.UUID
    starts_at: datetime
    minutes: int

    @property
    def length(self) -> timedelta:
        return timedelta(minutes=self.minutes)


def named(wanted: uuid.UUID | FreeTime) -> str:
    """What a log says of it."""
    if isinstance(wanted, uuid.UUID):
        return str(wanted)
    return f"{wanted.resource_id} {wanted.starts_at.isoformat()} {wanted.minutes}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A slot that somebody wants and nobody has locked yet; of a free time, with its hours."""

    slot_id: uuid.UUID
    period: free_times.Period | None = None
    hours: planning.Hours | None = None


def lock(
    wanted: uuid.UUID | FreeTime,
    *,
    organization_id: uuid.UUID,
    now: datetime,
    walk_in: bool = False,
) -> Slot:
    """Lock the slot that somebody wants; that of a free time is made if it is not there.

    Args:
        walk_in: staff let somebody in, also after the start.

    Raises:
        NotOffered, SlotGone, NotFound: see :func:`find`.
    """
    found = find(wanted, organization_id=organization_id, now=now, walk_in=walk_in)
    return lock_found(found, organization_id=organization_id)


def find(
    wanted: uuid.UUID | FreeTime,
    *,
    organization_id: uuid.UUID,
    now: datetime,
    walk_in: bool = False,
) -> Wanted:
    """Which slot somebody wants; that of a free time is made if it is not there, and not locked.

    For those who lock other slots too: they do this first, and lock all of them in their order.

    Raises:
        NotOffered: outside of the opening hours, off the grid, or of another length.
        SlotGone: it has started, or this very time was closed.
        NotFound: the organisation has no such resource; whether there is such a slot, locking says.
    """
    if isinstance(wanted, uuid.UUID):
        return Wanted(wanted)
    resource = selectors.resources(organization_id).filter(pk=wanted.resource_id).first()
    if resource is None:
        raise NotFound("There is no such resource.")
    if wanted.starts_at > now + AHEAD:
        raise NotOffered("This is too far ahead for anybody to know.")
    period = _utc((wanted.starts_at, wanted.starts_at + wanted.length))
    free_times.check_length(resource, wanted.length)
    if (period[1] if walk_in else period[0]) <= now:
        raise SlotGone("This time has already begun.")
    locks.hours_stay(resource)
    (hours,) = free_times.hours_at(resource, [period])
    if hours is None:
        raise NotOffered(
            f"{resource.name} is closed then, or does not start at that time. Choose one of its"
            " free times."
        )
    for slot_id in insert([slot_of(resource, period, hours)]):
        return Wanted(slot_id, period, hours)
    raise SlotGone(CHANGED)


def lock_found(found: Wanted, *, organization_id: uuid.UUID) -> Slot:
    """Lock what :func:`find` found; whether what it takes is free, its hold will say.

    Raises:
        SlotGone: the slot of this time was changed just now.
        NotFound: the organisation has no such slot.
    """
    if found.period is None or found.hours is None:
        return locks.slot(found.slot_id, organization_id=organization_id)
    slots = {(s.starts_at, s.ends_at): s for s in locks.slots([found.slot_id])}
    if found.period not in slots:
        raise SlotGone(CHANGED)
    slot = slots[found.period]
    follow([(slot, found.hours)])
    return slot


def make_slots(
    resource: Resource, periods: Sequence[free_times.Period], hours: Sequence[planning.Hours]
) -> dict[free_times.Period, Slot]:
    """Lock the slots of some periods of a resource, made where there are none; by period.

    Two who want the same time at once get the same slot, one after the other: the second waits
    for the first. A slot that nobody is in follows the hours as they are now.

    Args:
        hours: the opening hours of each period, read when ``locks.hours_stay`` was called.

    Raises:
        SlotGone: the slots of these times were closed just now.
    """
    wanted = {_utc(period): its for period, its in zip(periods, hours, strict=True)}
    if not wanted:
        return {}
    ids = insert(slot_of(resource, period, its) for period, its in wanted.items())
    found = {(s.starts_at, s.ends_at): s for s in locks.slots(ids)}
    if set(found) != set(wanted):
        raise SlotGone(CHANGED)
    follow((slot, wanted[period]) for period, slot in found.items())
    return {period: found[_utc(period)] for period in periods}


def insert(slots: Iterable[Slot]) -> list[uuid.UUID]:
    """Make those of these slots that are not there, and lock none; which they all are."""
    wanted = {(s.resource_id, s.starts_at, s.ends_at): s for s in slots}
    if not wanted:
        return []
    Slot.objects.bulk_create([wanted[key] for key in sorted(wanted)], ignore_conflicts=True)
    there = Slot.objects.filter(
        resource__in={resource_id for resource_id, *_ in wanted},
        starts_at__in={starts_at for _, starts_at, _ in wanted},
    ).exclude(status=SlotStatus.LEGACY)
    return [
        pk
        for pk, *key in there.values_list("pk", "resource_id", "starts_at", "ends_at")
        if tuple(key) in wanted
    ]


FOLLOWING = ("busy_from", "busy_until", "max_bookings", "max_units")


def follow(pairs: Iterable[tuple[Slot, planning.Hours]]) -> None:
    """Give locked slots that nobody is in the buffers and limits of today's hours."""
    changed = []
    for slot, hours in pairs:
        if slot.taken_bookings or slot.source != Slot.Source.FREE:
            continue
        fresh = slot_of(slot.resource, (slot.starts_at, slot.ends_at), hours)
        if any(getattr(slot, name) != getattr(fresh, name) for name in FOLLOWING):
            for name in FOLLOWING:
                setattr(slot, name, getattr(fresh, name))
            changed.append(slot)
    update_rows(Slot, FOLLOWING, [[s.pk, *(getattr(s, n) for n in FOLLOWING)] for s in changed])


def slot_of(resource: Resource, period: free_times.Period, hours: planning.Hours) -> Slot:
    """The slot of a period in these hours, not saved."""
    starts_at, ends_at = period
    slot = Slot.at(
        resource,
        starts_at,
        ends_at,
        max_bookings=1,
        max_units=hours.max_units,
        source=Slot.Source.FREE,
    )
    slot.busy_from = starts_at - timedelta(minutes=hours.buffer_before_minutes)
    slot.busy_until = ends_at + timedelta(minutes=hours.buffer_after_minutes)
    return slot


def _utc(period: free_times.Period) -> free_times.Period:
    return period[0].astimezone(UTC), period[1].astimezone(UTC)


def drop_empty(slots: Sequence[Slot]) -> None:
    """Remove locked slots of free times that were made for nobody, as something is in their way."""
    empty = [s.pk for s in slots if s.source == Slot.Source.FREE and not s.taken_bookings]
    if empty:
        Slot.objects.filter(pk__in=empty, bookings__isnull=True).delete()
