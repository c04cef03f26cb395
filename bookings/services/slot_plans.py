"""What rules would do to the slots of resources: read, planned and compared (B1, B2)."""

from __future__ import annotations

import uuid
import zoneinfo
from bisect import bisect_right
from collections.abc import Collection, Iterable, Sequence
from datetime import date, datetime, time, timedelta
from functools import partial
from operator import itemgetter
from typing import NamedTuple

from django.utils.timezone import localtime

from audit.errors import Invalid
from bookings import planning, selectors_schedules, slot_rows
from bookings.models import Resource
from bookings.regeneration import Plan, There, compare
from bookings.selectors_schedules import Rules

MOST_VERSIONS = 20  # the newest are those that count
MOST_SLOTS = 100_000  # of one resource within its horizon: a slot each ten minutes for two years
_FOREVER = 1 << 62
_REACH = 2 * 86_400  # no slot of a schedule is longer than the hours of a day


class Part(NamedTuple):
    """A period, in seconds since the epoch, with the slots that start in it; without end, all."""

    since: int
    until: int | None


def all_to_come(now: datetime) -> Part:
    """What has not begun."""
    return Part(int(now.timestamp()) + 1, None)


def rules_of(
    resources: Sequence[Resource], *, without: Collection[uuid.UUID] = (), now: datetime
) -> dict[uuid.UUID, Rules]:
    return selectors_schedules.rules_of(resources, since=now.date(), without=without)


def plans(
    resources: Sequence[Resource],
    rules: dict[uuid.UUID, Rules],
    *,
    part: Part | None = None,
    for_good: bool = False,
    now: datetime,
) -> list[Plan]:
    """What makes the slots of resources follow these rules, now or in a part of the time to come.

    The plans of parts that adjoin are together the plan of the whole.

    Args:
        for_good: slots that the next part would let go, go with this one where they lie across what
            is planned in it, and are in the plan of this one.
    """
    start, until = part or all_to_come(now)
    existing = slot_rows.read(
        [r.pk for r in resources],
        start=start - _REACH,
        until=None if until is None else until + _REACH,
    )
    found = []
    for resource in resources:
        of, horizon = rules[resource.pk], end_of_horizon(resource, now=now)
        after = _FOREVER if until is None else until
        end = min(horizon, after)
        within = [t for t in existing[resource.pk] if start <= t.starts_at < end]
        beyond = [t for t in existing[resource.pk] if max(start, end) <= t.starts_at < after]
        around = [t for t in existing[resource.pk] if t.starts_at < start]
        later = [t for t in existing[resource.pk] if t.starts_at >= after]
        last = max([start, end, *(there.ends_at for there in beyond)])
        planned: list[planning.Planned] = []
        planned_around: set[tuple[int, int]] = set()
        hours: list[tuple[int, int]] = []
        if resource.mode == Resource.Mode.SLOTS:
            _check_size(resource, of)
            every = planning.plan(
                of.versions,
                of.closures,
                of.extras,
                start=start if resource.exclusive else start - _REACH,
                end=end if resource.exclusive else end + _REACH,
            )
            planned = [p for p in every if start <= p.starts_at < end]
            planned_around = {(p.starts_at, p.ends_at) for p in every}
            if resource.exclusive:  # whatever the rules said before it was
                planned = [p._replace(max_bookings=1) if p.max_bookings > 1 else p for p in planned]
        else:
            # What starts before the end may be over after it.
            over = max([end, *(there.ends_at for there in within)])
            hours = _joined(
                planning.windows(of.versions, of.closures, of.extras, start=start, end=over)
            )
        found.append(
            compare(
                resource,
                planned,
                within,
                beyond=beyond,
                around=around if for_good else [*around, *later],
                ahead=later if for_good else (),
                planned_around=planned_around,
                is_open=partial(_lies_in, hours),
                is_closed=partial(_is_closed, closed_by(resource, of, start=start, end=last)),
            )
        )
    return found


def _check_size(resource: Resource, rules: Rules) -> None:
    """Raise Invalid if there could be far too many slots to plan them all.

    Estimated from above: the rules of every version, on every day of the horizon they count on.
    """
    for version in rules.versions[-MOST_VERSIONS:]:
        a_week = sum(
            planning.minutes(hours)
            // (hours.slot_minutes + hours.gap_minutes)
            * len(hours.weekdays or range(7))
            for hours in version.hours
        )
        count = a_week * (resource.horizon_days + 7) // 7
        if count > MOST_SLOTS:
            raise Invalid(
                f"{resource.name} would have about {count} slots; {MOST_SLOTS} is the most."
                " Make slots longer or the horizon shorter."
            )


def _joined(windows: Iterable[planning.Window]) -> list[tuple[int, int]]:
    """Opening periods, in order, those that adjoin or overlap as one."""
    found: list[tuple[int, int]] = []
    for window in windows:
        if found and window.opens_at <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], window.closes_at)
        else:
            found.append((window.opens_at, window.closes_at))
    return found


Closed = list[tuple[list[tuple[int, int]], int | None]]
"""For each closure the periods it closes, and when it was made; None: it is being made."""


def closed_by(resource: Resource, rules: Rules, *, start: int, end: int) -> Closed:
    """What closures close of a resource, extra hours cut out; days are those of its clock."""
    versions = rules.versions or (
        planning.Version(number=0, valid_from=date.min, time_zone=resource.time_zone, hours=()),
    )
    periods = planning.closed(versions, rules.closures, rules.extras, start=start, end=end)
    return [
        (found, closure.made_at)
        for found, closure in zip(periods, rules.closures, strict=True)
        if found
    ]


def overlaps(periods: Sequence[tuple[int, int]], there: planning.Spell) -> bool:
    """Whether a slot lies in one of these periods, wholly or in part."""
    at = bisect_right(periods, there.starts_at, key=itemgetter(1))
    return at < len(periods) and periods[at][0] < there.ends_at


def _is_closed(closed: Closed, there: There) -> bool:
    """Made or opened by hand on a day that was closed already, a slot is meant to be open.

    Only a closure that was made after that closes it.
    """
    return any(
        (made_at is None or made_at > there.meant_at) and overlaps(periods, there)
        for periods, made_at in closed
    )


def _lies_in(hours: Sequence[tuple[int, int]], there: There) -> bool:
    at = bisect_right(hours, (there.starts_at, _FOREVER)) - 1
    return at >= 0 and there.ends_at <= hours[at][1]


def end_of_horizon(resource: Resource, *, now: datetime) -> int:
    """The end of the last day of the horizon."""
    zone = zoneinfo.ZoneInfo(resource.time_zone)
    day = localtime(now, zone).date() + timedelta(days=resource.horizon_days + 1)
    return planning.instant(zone, day, time(0))
