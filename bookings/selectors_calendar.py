"""What a calendar shows: the slots of a stretch of time, who is in them, what blocks them (F3).

Read in a number of statements that does not depend on how many resources, slots and bookings
there are. Who may see what is the caller's: it passes the rows as far as a person may see them.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from django.db.models import Count, F, Q, QuerySet, Sum, Value, Window
from django.db.models.functions import RowNumber

from bookings import selectors
from bookings.lifecycle import LIVE, BookingStatus, SlotStatus
from bookings.locks import number_range
from bookings.models import PEOPLE, Booking, Occupancy, Resource, ScheduleException, Slot
from bookings.selectors import Availability

# Those who take a seat, and those who took one: past days look as they were.
SEATED = (*LIVE, BookingStatus.COMPLETED, BookingStatus.NO_SHOW)
# Longer than any slot the rules allow (32767 minutes); it keeps the past out of the search.
LONGEST_SLOT = timedelta(days=23)
MOST_SLOTS = 2500
MOST_PEOPLE = 12


@dataclass(slots=True)
class Sitting:
    """A slot with those who sit in it: the first ones by name, and how many there are."""

    slot: Slot
    bookings: list[Booking] = field(default_factory=list)
    taken_bookings: int = 0
    taken_units: int = 0
    left: Availability | None = None  # None: nobody new can come, whatever is free

    @property
    def more(self) -> int:
        """How many bookings there are besides the ones in ``bookings``."""
        return self.taken_bookings - len(self.bookings)


@dataclass(frozen=True, slots=True)
class Blocked:
    """A time at which a resource is taken by people of another one: a court by its hall, or a
    service by another one of the same person."""

    starts_at: datetime
    ends_at: datetime
    by: str


@dataclass(frozen=True, slots=True)
class Sittings:
    """The sittings of each resource by start; ``cut`` if there were more than can be shown."""

    by_resource: dict[uuid.UUID, list[Sitting]]
    cut: bool


def sittings(
    slots: QuerySet[Slot],
    bookings: QuerySet[Booking],
    *,
    resources: Sequence[Resource],
    start: datetime,
    end: datetime,
    now: datetime,
) -> Sittings:
    """What touches ``start`` to ``end``, in four statements.

    Args:
        slots, bookings: as far as the reader may see them.
        resources: whose; each slot gets its own of these.
    """
    by_id = {resource.pk: resource for resource in resources}
    found = list(
        slots.select_related(None)
        .filter(
            resource__in=by_id,
            starts_at__lt=end,
            starts_at__gt=start - LONGEST_SLOT,
            ends_at__gt=start,
        )
        .exclude(status=SlotStatus.LEGACY, taken_bookings=0, ends_at__gt=now)
        .order_by("starts_at", "ends_at", "pk")[: MOST_SLOTS + 1]
    )
    cut, found = len(found) > MOST_SLOTS, found[:MOST_SLOTS]
    for slot in found:  # before anything asks for it
        slot.resource = by_id[slot.resource_id]
    made = {slot.pk: Sitting(slot) for slot in found}
    for booking in _people(bookings, list(made), now=now):
        sitting = made[booking.slot_id]
        sitting.bookings.append(booking)
        sitting.taken_bookings = booking.beside  # type: ignore[attr-defined]
        sitting.taken_units = booking.units_beside  # type: ignore[attr-defined]
    offered = [
        slot
        for slot in found
        if slot.status == SlotStatus.OPEN
        and slot.source != Slot.Source.FREE  # gone with its booking
        and slot.ends_at > now  # what has started is for walk-ins
        and by_id[slot.resource_id].is_active
    ]
    for slot_id, left in selectors.availability(offered, now=now).items():
        made[slot_id].left = left
    by_resource: dict[uuid.UUID, list[Sitting]] = defaultdict(list)
    for slot in found:
        sitting = made[slot.pk]
        # What nobody sits in concerns nobody, if it is not offered by itself.
        is_own = slot.status != SlotStatus.LEGACY and slot.source != Slot.Source.FREE
        if sitting.taken_bookings or is_own:
            by_resource[slot.resource_id].append(sitting)
    return Sittings(by_resource, cut)


def _people(
    bookings: QuerySet[Booking], slots: Sequence[uuid.UUID], *, now: datetime
) -> QuerySet[Booking]:
    """The first people of each slot, with how many there are in all, without overdue holds."""
    slot = [F("slot_id")]
    return (
        bookings.select_related(None)
        .select_related("customer")
        .filter(slot__in=slots, status__in=SEATED)
        .exclude(status=BookingStatus.HELD, held_until__lte=now)
        .annotate(
            beside=Window(Count("pk"), partition_by=slot),
            units_beside=Window(Sum("units"), partition_by=slot),
            place=Window(RowNumber(), partition_by=slot, order_by=["created_at", "pk"]),
        )
        .filter(place__lte=MOST_PEOPLE)
        .order_by("created_at", "pk")
    )


def blocked(
    resources: Sequence[Resource], *, start: datetime, end: datetime
) -> dict[uuid.UUID, list[Blocked]]:
    """When these, or who provides them, are taken by people of other resources; one statement."""
    by_number: dict[int, list[uuid.UUID]] = defaultdict(list)
    for resource in resources:
        own = [resource.number] if resource.exclusive else []
        for number in own + [n for n in resource.parts if n > PEOPLE]:
            by_number[number].append(resource.pk)
    rows = (
        Occupancy.objects.alias(key=number_range(F("resource_number")))
        .filter(
            key__in=[number_range(Value(number)) for number in by_number],
            period__overlap=(start, end),
        )
        .exclude(slot__resource__number=F("resource_number"))
        .values_list("resource_number", "period", "slot__resource", "slot__resource__name")
        .order_by("period")[:MOST_SLOTS]
    )
    found: dict[uuid.UUID, list[Blocked]] = defaultdict(list)
    for number, period, by, name in rows:
        time = Blocked(period.lower, period.upper, name)
        for pk in by_number[number]:
            if pk != by and time not in found[pk]:
                found[pk].append(time)
    return found


def closed_days(
    organization_id: uuid.UUID, resources: Sequence[Resource], *, first: date, last: date
) -> dict[tuple[uuid.UUID, date], str]:
    """Why a resource, or a part of it, is closed for a whole day, by resource and day; one
    statement."""
    rows = (
        ScheduleException.objects.select_related("resource")
        .filter(
            Q(resource__isnull=True)
            | Q(resource__in=[r.pk for r in resources])
            | Q(resource__number__in={number for r in resources for number in r.parts}),
            organization=organization_id,
            withdrawn_at__isnull=True,
            kind__in=[ScheduleException.Kind.CLOSED, ScheduleException.Kind.HOLIDAY],
            from_time__isnull=True,
            first_day__lte=last,
            last_day__gte=first,
        )
        .order_by("first_day", "pk")
    )
    found: dict[tuple[uuid.UUID, date], str] = {}
    for row in rows:
        day = max(row.first_day, first)
        while day <= min(row.last_day, last):
            for resource in resources:
                mine = row.resource is None or row.resource.number in (
                    resource.number,
                    *resource.parts,
                )
                if row.kind == ScheduleException.Kind.HOLIDAY and not resource.observes_holidays:
                    mine = mine and row.resource_id is not None
                if mine:
                    found.setdefault((resource.pk, day), row.name)
            day += timedelta(days=1)
    return found


def slots_of_day(
    slots: QuerySet[Slot],
    *,
    resource: Resource,
    start: datetime,
    end: datetime,
    now: datetime,
    walk_in: bool = False,
) -> list[Slot]:
    """The slots of a resource that begin between two moments and can still be booked, whether
    or not there is room; one statement.

    Args:
        walk_in: also those that have started and are not over.
    """
    found = list(
        slots.select_related(None)
        .filter(
            resource=resource,
            status=SlotStatus.OPEN,
            starts_at__gte=start if walk_in else max(start, now),
            starts_at__lt=end,
            ends_at__gt=now,
        )
        .exclude(source=Slot.Source.FREE)
        .order_by("starts_at", "pk")[:MOST_SLOTS]
    )
    for slot in found:
        slot.resource = resource
    return found
