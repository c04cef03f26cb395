"""When something can be booked for as long as one wants: starts on the grid that are free (B1, B5)."""

from __future__ import annotations

import uuid
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from audit.sql import prepared_cursor
from bookings import planning, selectors_closures
from bookings.errors import NotOffered
from bookings.models import Resource
from bookings.selectors import IS_LIVE
from bookings.selectors_closures import Closures
from bookings.selectors_schedules import Rules, rules_of

Period = tuple[datetime, datetime]
SECOND = timedelta(seconds=1)


def check_length(resource: Resource, length: timedelta) -> None:
    """Raise NotOffered if a resource is not booked at free times, or not for that long."""
    if resource.mode != Resource.Mode.FREE_TIMES:
        raise NotOffered(f"{resource.name} is booked in fixed slots. Choose one of them.")
    minutes, grid = length // timedelta(minutes=1), resource.grid_minutes
    least, most = resource.shortest_minutes, resource.longest_minutes
    if not least <= minutes <= most or minutes % grid or length % timedelta(minutes=1):
        raise NotOffered(
            f"{resource.name} is booked for {least} to {most} minutes, in steps of {grid}.",
            shortest_minutes=least,
            longest_minutes=most,
            grid_minutes=grid,
        )


def hours_at(resource: Resource, periods: Sequence[Period]) -> list[planning.Hours | None]:
    """The opening hours in which each period lies with its start on the grid, or None.

    Three statements for any number of periods, one more for what is made of others.
    """
    return hours_of([(resource, period) for period in periods])


def hours_of(
    wanted: Sequence[tuple[Resource, Period]], *, rules: Mapping[uuid.UUID, Rules] | None = None
) -> list[planning.Hours | None]:
    """The same for periods of several resources of one organisation.

    Args:
        rules: those that are to count, of some or all of them, instead of those in force.
    """
    resources = {resource.pk: resource for resource, _ in wanted}
    rules = dict(rules or {})
    if others := [r for pk, r in resources.items() if pk not in rules]:
        first = min(starts_at for _, (starts_at, _ends_at) in wanted)
        rules |= rules_of(others, since=_since(_seconds(first)))
    stretches = {}
    for pk in resources:
        mine = [period for resource, period in wanted if resource.pk == pk]
        start, end = min(_seconds(p[0]) for p in mine), max(_seconds(p[1]) for p in mine)
        stretches[pk] = _stretches_by(rules[pk], start, end)
    return [_hours(resource, stretches[resource.pk], *period) for resource, period in wanted]


def _hours(
    resource: Resource, stretches: Sequence[Stretch], *period: datetime
) -> planning.Hours | None:
    opens = [s.window.opens_at for s in stretches]
    starts_at, ends_at = map(_seconds, period)
    if any(moment.microsecond for moment in period):
        return None
    near = bisect_right(opens, starts_at - planning.REACH // SECOND)
    for window, open_until in stretches[near : bisect_right(opens, starts_at)]:
        on_grid = (starts_at - window.grid_from) % (resource.grid_minutes * 60) == 0
        if starts_at < window.closes_at and ends_at <= open_until and on_grid:
            return window.hours
    return None


def free_starts(
    resource: Resource, since: datetime, until: datetime, length: timedelta, *, now: datetime
) -> list[datetime]:
    """When customers can start in ``[since, until)``, for so long; four statements.

    Not what has begun, nor what the resource's notice and horizon leave out.

    Raises:
        NotOffered: the resource is not booked at free times, or not for that long.
    """
    first = max(_seconds(since), _seconds(now + resource.notice))
    last = min(_seconds(until) - 1, _seconds(now + resource.horizon))
    return _free_starts(resource, first, last, length, now=now)


def starts_for_staff(
    resource: Resource,
    since: datetime,
    until: datetime,
    length: timedelta,
    *,
    now: datetime,
    leaving: uuid.UUID | None = None,
    walk_in: bool = False,
) -> list[datetime]:
    """The same for staff, whom notice and horizon do not bind.

    Args:
        walk_in: also the newest start on the grid that has passed.
        leaving: a slot that is left for it, which is in nobody's way then.
    """
    first, last = _seconds(since), _seconds(until) - 1
    passed = timedelta(minutes=resource.grid_minutes) if walk_in else timedelta(0)
    return _free_starts(
        resource, first, last, length, now=now, leaving=leaving, not_before=now - passed
    )


def _free_starts(
    resource: Resource,
    first: int,
    last: int,
    length: timedelta,
    *,
    now: datetime,
    leaving: uuid.UUID | None = None,
    not_before: datetime | None = None,
) -> list[datetime]:
    check_length(resource, length)
    first = max(first, _seconds(not_before or now) + 1)
    if first > last:
        return []
    lasts = length // SECOND
    hours: dict[int, planning.Hours] = {}
    for stretch in _stretches(resource, first, last + lasts):
        for start in _starts(stretch, lasts, resource.grid_minutes * 60, first, last):
            hours.setdefault(start, stretch.window.hours)
    if not hours:
        return []
    busy = [busy_period(start, start + lasts, its) for start, its in hours.items()]
    since, until = min(b[0] for b in busy), max(b[1] for b in busy)
    taken = taken_of([resource], since, until, now=now, leaving=leaving)[resource.pk]
    return [
        datetime.fromtimestamp(start, UTC)
        for start, its in sorted(hours.items())
        if taken.free(start, start + lasts, its)
    ]


def lengths_of(resource: Resource) -> list[int]:
    """For how many minutes a resource can be booked: its rules, on its grid."""
    grid = resource.grid_minutes
    first = -(-resource.shortest_minutes // grid) * grid
    return list(range(first, resource.longest_minutes + 1, grid))


@dataclass(frozen=True, slots=True)
class Opening:
    """A stretch in which a resource is open and free: where one can start, and until when."""

    starts: tuple[datetime, ...]
    ends_at: datetime

    @property
    def starts_at(self) -> datetime:
        return self.starts[0]


def openings(
    resources: Sequence[Resource], start: datetime, end: datetime, *, now: datetime
) -> dict[uuid.UUID, list[Opening]]:
    """Where each resource of free times can be booked for as short as possible, for starts in
    ``[start, end)`` that are to come; four statements for any number of resources."""
    first, last = max(_seconds(start), _seconds(now) + 1), _seconds(end) - 1
    asked = [r for r in resources if r.mode == Resource.Mode.FREE_TIMES and lengths_of(r)]
    if not asked or first > last:
        return {}
    rules = rules_of(asked, since=_since(first))
    margin = planning.REACH // SECOND
    taken = taken_of(asked, first - margin, last + margin, now=now)
    found = {}
    for resource in asked:
        stretches = _stretches_by(rules[resource.pk], first, last + margin)
        found[resource.pk] = _openings(resource, stretches, taken[resource.pk], first, last)
    return found


def _openings(
    resource: Resource, stretches: Sequence[Stretch], taken: Taken, first: int, last: int
) -> list[Opening]:
    grid, lasts = resource.grid_minutes * 60, lengths_of(resource)[0] * 60
    runs: list[tuple[list[int], int]] = []
    for stretch in stretches:
        run: list[int] = []
        for start in _starts(stretch, lasts, grid, first, last):
            if not taken.free(start, start + lasts, stretch.window.hours):
                continue
            if not run or start != run[-1] + grid:
                run = []
                runs.append((run, stretch.window.closes_at))
            run.append(start)
    return [
        Opening(
            tuple(datetime.fromtimestamp(s, UTC) for s in run),
            datetime.fromtimestamp(min(run[-1] + lasts, closes_at), UTC),
        )
        for run, closes_at in runs
    ]


def busy_period(starts_at: int, ends_at: int, hours: planning.Hours) -> tuple[int, int]:
    """A period with the buffers of its opening hours, which may reach beyond these."""
    return starts_at - hours.buffer_before_minutes * 60, ends_at + hours.buffer_after_minutes * 60


@dataclass(slots=True)
class Busy:
    """When one number is taken, in seconds. Occupancies of a number never overlap; those of a
    resource and of its provider do not either, or are of one slot."""

    number: int
    begins: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)

    def free(self, begins: int, ends: int) -> bool:
        at = bisect_right(self.ends, begins)
        return at == len(self.begins) or self.begins[at] >= ends


@dataclass(slots=True)
class Taken:
    """When what a resource takes for itself is taken: numbers it needs, and pools of others."""

    needed: list[Busy]
    pools: list[list[Busy]]
    own: int
    closures: Closures

    def free(self, starts_at: int, ends_at: int, hours: planning.Hours) -> bool:
        """Whether all that is needed is free with the buffers of these hours, and one of each
        pool; and open, but for the buffers.

        Where pools share members this may be too hopeful: who books is told.
        """
        begins, ends = busy_period(starts_at, ends_at, hours)

        def is_free(one: Busy) -> bool:
            is_open = one.number == self.own or self.closures.are_open(
                one.number, starts_at, ends_at
            )
            return is_open and one.free(begins, ends)

        return all(map(is_free, self.needed)) and all(any(map(is_free, p)) for p in self.pools)


_OCCUPIED = f"""
    SELECT n.pool_id, n.takes, extract(epoch FROM lower(o.period))::bigint,
           extract(epoch FROM upper(o.period))::bigint
    FROM (
        SELECT NULL::uuid AS pool_id, ARRAY[own.number] AS takes, own.number
        FROM unnest(%s::bigint[]) AS own (number)
        UNION ALL
        SELECT m.pool_id, r.number || r.parts, one.number FROM bookings_poolmember m
        JOIN bookings_resource r ON r.id = m.resource_id
        CROSS JOIN unnest(r.number || r.parts) AS one (number)
        WHERE m.pool_id = ANY(%s::uuid[]) AND r.is_active
    ) n
    LEFT JOIN bookings_occupancy o
      ON int8range(o.resource_number, o.resource_number, '[]') = int8range(n.number, n.number, '[]')
     AND o.period && tstzrange(to_timestamp(%s), to_timestamp(%s), '[)')
     AND o.slot_id IS DISTINCT FROM %s::uuid
     AND {IS_LIVE}
    ORDER BY 2, 3
"""  # noqa: S608  constant text


def taken_of(
    resources: Sequence[Resource],
    since: int,
    until: int,
    *,
    now: datetime,
    leaving: uuid.UUID | None = None,
) -> dict[uuid.UUID, Taken]:
    """When what each resource takes is taken, holds past their deadline left out; one statement,
    two where some take more than themselves.

    Args:
        leaving: a slot that does not count.
    """
    own = {r.pk: [r.number, *r.parts] if r.exclusive else list(r.parts) for r in resources}
    numbers = sorted({number for its in own.values() for number in its})
    pools = sorted({pool for r in resources for pool in r.pools})
    by_takes: dict[tuple[uuid.UUID | None, tuple[int, ...]], Busy] = {}
    for number in numbers:
        by_takes[None, (number,)] = Busy(number)
    with prepared_cursor() as cursor:
        cursor.execute(_OCCUPIED, [numbers, pools, since, until, leaving, now])
        for pool_id, takes, begins, ends in cursor.fetchall():
            busy = by_takes.setdefault((pool_id, tuple(takes)), Busy(takes[0]))
            if begins is not None:
                busy.begins.append(begins)
                busy.ends.append(ends)
    taking = {r.organization_id for r in resources if r.takes_others}
    closures = Closures()
    if taking:
        first, last = (datetime.fromtimestamp(moment, UTC) for moment in (since, until))
        closures = selectors_closures.of_organizations(taking, first, last)
    return {
        r.pk: Taken(
            needed=[by_takes[None, (number,)] for number in own[r.pk]],
            pools=[
                [
                    busy
                    for (pool_id, takes), busy in by_takes.items()
                    if pool_id == pool and not set(takes) & set(own[r.pk])
                ]
                for pool in r.pools
            ],
            own=r.number,
            closures=closures,
        )
        for r in resources
    }


class Stretch(NamedTuple):
    """A window, and until when it goes on without a break on the same terms: past midnight, where
    a resource is always open. What starts in it may last until then."""

    window: planning.Window
    open_until: int


def _stretches(resource: Resource, start: int, end: int) -> list[Stretch]:
    return _stretches_by(rules_of([resource], since=_since(start))[resource.pk], start, end)


def _stretches_by(rules: Rules, start: int, end: int) -> list[Stretch]:
    windows = planning.windows(rules.versions, rules.closures, rules.extras, start=start, end=end)
    until: dict[planning.Window, int] = {}
    for same in _by_terms(windows):
        together: list[planning.Window] = []
        over = 0
        for window in same:
            if together and window.opens_at > over:
                until |= dict.fromkeys(together, over)
                together = []
            over = max(over, window.closes_at) if together else window.closes_at
            together.append(window)
        until |= dict.fromkeys(together, over)
    return [Stretch(window, until[window]) for window in windows]


def _by_terms(windows: Iterable[planning.Window]) -> Iterable[list[planning.Window]]:
    """Windows in their order, those with the same buffers and limits together."""
    found: dict[tuple[int, ...], list[planning.Window]] = {}
    for window in windows:
        its = window.hours
        terms = (
            its.buffer_before_minutes,
            its.buffer_after_minutes,
            its.max_bookings,
            its.max_units,
        )
        found.setdefault(terms, []).append(window)
    return found.values()


def _since(start: int) -> date:
    return datetime.fromtimestamp(start, UTC).date() - planning.REACH


def _starts(stretch: Stretch, lasts: int, grid: int, first: int, last: int) -> Iterable[int]:
    """The starts in a window, on its grid, of what lasts so long, from ``first`` to ``last``."""
    window, open_until = stretch
    steps = -(-(max(first, window.opens_at) - window.grid_from) // grid)
    stop = min(open_until - lasts, window.closes_at - 1, last) + 1
    return range(window.grid_from + steps * grid, stop, grid)


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())
