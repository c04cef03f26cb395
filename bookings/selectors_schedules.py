"""The rules of resources, as the planner takes them: now, or as they were at some time (B1)."""

from __future__ import annotations

import uuid
import zoneinfo
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta

from django.db.models import BooleanField, Exists, F, Func, OuterRef, Prefetch, Q, QuerySet
from django.utils.timezone import localtime

from bookings import planning
from bookings.models import (
    Booking,
    Resource,
    Schedule,
    ScheduleException,
    ScheduleRule,
    without_people,
)

# An exception of a day can reach a day further, and the day can be two behind that of UTC.
REACH = timedelta(days=3)


@dataclass(frozen=True, slots=True)
class Rules:
    """All that says when a resource is offered."""

    versions: tuple[planning.Version, ...] = ()
    closures: tuple[planning.Closure, ...] = ()
    extras: tuple[planning.Extra, ...] = ()

    def with_version(self, version: planning.Version) -> Rules:
        return replace(self, versions=(*self.versions, version))

    def with_exceptions(self, exceptions: Iterable[ScheduleException]) -> Rules:
        """With more exceptions, saved or not."""
        found = list(exceptions)
        return replace(
            self,
            closures=self.closures + tuple(_closure(e) for e in found if e.kind != "extra"),
            extras=self.extras + tuple(_extra(e) for e in found if e.kind == "extra"),
        )


def rules_of(
    resources: Sequence[Resource],
    *,
    since: date,
    at: datetime | None = None,
    without: Collection[uuid.UUID] = (),
) -> dict[uuid.UUID, Rules]:
    """The rules of resources of one organisation; three statements for any number of them, four
    where some are made of others: what closes a part closes them as well.

    Args:
        since: exceptions that are over by this day are left out.
        at: as they were then, or None for now.
        without: exceptions that are not to count.
    """
    versions = defaultdict(list)
    for schedule in _versions([r.pk for r in resources], at=at):
        versions[schedule.resource_id].append(_version(schedule))
    parts = _parts(resources)
    found = _exceptions(
        [*(r.pk for r in resources), *parts.values()], resources, since=since, at=at
    )
    counting = _for_each(resources, parts, [e for e in found if e.pk not in without])
    return {r.pk: Rules(tuple(versions[r.pk])).with_exceptions(counting[r.pk]) for r in resources}


def exceptions_of(
    resources: Sequence[Resource], exceptions: Sequence[ScheduleException]
) -> dict[uuid.UUID, list[ScheduleException]]:
    """Which of these exceptions, saved or not, count for each resource; at most one statement."""
    return _for_each(resources, _parts(resources), exceptions)


def _for_each(
    resources: Sequence[Resource],
    parts: Mapping[int, uuid.UUID],
    exceptions: Sequence[ScheduleException],
) -> dict[uuid.UUID, list[ScheduleException]]:
    """Its own, those of all, and what closes a part of it.

    What closes everything is each resource's own affair: one that is open on holidays is, also
    where its parts by themselves are not.
    """
    own, common = defaultdict(list), []
    for exception in exceptions:
        if exception.resource_id:
            own[exception.resource_id].append(exception)
        else:
            common.append(exception)
    return {
        r.pk: [
            *own[r.pk],
            *(e for e in common if e.kind != "holiday" or r.observes_holidays),
            *(e for n in r.parts if n in parts for e in own[parts[n]] if e.kind != "extra"),
        ]
        for r in resources
    }


def _parts(resources: Sequence[Resource]) -> dict[int, uuid.UUID]:
    """The keys of what resources are made of, by number."""
    numbers = {number for r in resources for number in without_people(r.parts)}
    if not numbers:
        return {}
    return dict(Resource.objects.filter(number__in=numbers).values_list("number", "pk"))


def seated_at(booking: Booking) -> datetime:
    """When a booking came into its slot: when it was made, or moved there."""
    return booking.slot_since or booking.created_at


def version_for(booking: Booking) -> Schedule | None:
    """The version that was in force for a booking's slot when the booking came into it (B1)."""
    slot = booking.slot
    for version in _versions([slot.resource_id], at=seated_at(booking)).order_by("-number"):
        # The day is that of the version's own zone, also when the resource has moved since.
        day = localtime(slot.starts_at, zoneinfo.ZoneInfo(version.time_zone)).date()
        if version.valid_from <= day:
            return version
    return None


def exceptions_for(booking: Booking) -> list[ScheduleException]:
    """The exceptions that held on the day of a booking's slot when the booking came into it."""
    slot = booking.slot
    day = localtime(slot.starts_at, zoneinfo.ZoneInfo(slot.resource.time_zone)).date()
    found = _exceptions([slot.resource_id], [slot.resource], since=day, at=seated_at(booking))
    return list(found.filter(first_day__lte=day, last_day__gte=day))


def current(resource_id: uuid.UUID, *, day: date) -> Schedule | None:
    """The version in force on a day, with its rules."""
    return _versions([resource_id]).filter(valid_from__lte=day).order_by("-number").first()


# Of an exception: its resource is a part of the one that is asked about.
_IS_PART = Func(
    F("resource__number"),
    OuterRef("parts"),
    template="(%(expressions)s))",
    arg_joiner=" = ANY(",
    output_field=BooleanField(),
)


def out_of_date() -> QuerySet[Resource]:
    """Active resources whose rules changed since their slots were last made."""
    newer = Schedule.objects.filter(resource=OuterRef("pk"), created_at__gt=OuterRef("planned_at"))
    exceptions = ScheduleException.objects.filter(
        Q(resource=OuterRef("pk"))
        | Q(_IS_PART)
        | Q(resource__isnull=True, organization=OuterRef("organization")),
        Q(created_at__gt=OuterRef("planned_at")) | Q(withdrawn_at__gt=OuterRef("planned_at")),
    )
    return planned().filter(Q(planned_at__isnull=True) | Exists(newer) | Exists(exceptions))


def planned() -> QuerySet[Resource]:
    """Active resources whose slots a schedule makes."""
    return Resource.objects.filter(
        Exists(Schedule.objects.filter(resource=OuterRef("pk"))),
        is_active=True,
        organization__is_active=True,
    ).order_by(F("planned_at").asc(nulls_first=True), "pk")


def _versions(ids: Sequence[uuid.UUID], *, at: datetime | None = None) -> QuerySet[Schedule]:
    found = Schedule.objects.filter(resource__in=ids).order_by("resource", "number")
    if at is not None:
        found = found.filter(created_at__lte=at)
    rules = ScheduleRule.objects.order_by("from_time", "pk")
    return found.prefetch_related(Prefetch("rules", queryset=rules))


def _exceptions(
    ids: Sequence[uuid.UUID], resources: Sequence[Resource], *, since: date, at: datetime | None
) -> QuerySet[ScheduleException]:
    found = ScheduleException.objects.filter(
        Q(resource__in=ids) | Q(resource__isnull=True),
        organization__in={r.organization_id for r in resources},
        last_day__gte=since - REACH,
    ).order_by("created_at", "pk")
    if at is None:
        return found.filter(withdrawn_at__isnull=True)
    return found.filter(Q(withdrawn_at__isnull=True) | Q(withdrawn_at__gt=at), created_at__lte=at)


def _version(schedule: Schedule) -> planning.Version:
    return planning.Version(
        number=schedule.number,
        valid_from=schedule.valid_from,
        time_zone=schedule.time_zone,
        hours=tuple(
            hours(rule, rule.weekdays, rule.valid_from, rule.valid_until)
            for rule in schedule.rules.all()
        ),
    )


def _closure(exception: ScheduleException) -> planning.Closure:
    return planning.Closure(
        exception.first_day,
        exception.last_day,
        exception.from_time,
        exception.until_time,
        round(exception.created_at.timestamp() * 1_000_000) if exception.created_at else None,
    )


def _extra(exception: ScheduleException) -> planning.Extra:
    return planning.Extra(exception.first_day, exception.last_day, hours(exception))


def hours(
    opening: ScheduleRule | ScheduleException,
    weekdays: Iterable[int] = (),
    valid_from: date | None = None,
    valid_until: date | None = None,
) -> planning.Hours:
    """Opening hours as the planner takes them."""
    return planning.Hours(
        weekdays=frozenset(weekdays),
        from_time=opening.from_time or time(0),
        until_time=opening.until_time or time(0),
        slot_minutes=opening.slot_minutes,
        gap_minutes=opening.gap_minutes,
        buffer_before_minutes=opening.buffer_before_minutes,
        buffer_after_minutes=opening.buffer_after_minutes,
        max_bookings=opening.max_bookings,
        max_units=opening.max_units,
        valid_from=valid_from,
        valid_until=valid_until,
    )
