"""When what slots take besides their own resource cannot be had: closed, or not offered any more (B2, B5).

What closes a part closes the slots that a schedule makes of the whole (``selectors_schedules``).
This is for all the rest: rooms that are picked out of pools, extra hours, what is not active.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import Any, NamedTuple

from audit.sql import prepared_cursor
from bookings import planning
from bookings.models import Slot, without_people
from bookings.selectors_schedules import REACH

NEVER, ALWAYS = 0, 1 << 37  # seconds; the database knows no later year than 294276
AHEAD = planning.DAY * 3_660


class Closed(NamedTuple):
    """A period in which a number cannot be had, in seconds, and when that was said.

    ``made_at`` is in microseconds; None where it is not active, which nobody means to overlook.
    """

    begins: int
    ends: int
    made_at: int | None


@dataclass(frozen=True, slots=True)
class Closures:
    """What parts and members of pools cannot be had when, by number."""

    by_number: dict[int, list[Closed]] = field(default_factory=dict)

    def at(self, slot: Slot) -> set[int]:
        """What cannot be had for a slot.

        A slot that staff made or opened by hand after its part was closed is meant to be there.
        """
        starts_at, ends_at = _seconds(slot.starts_at), _seconds(slot.ends_at)
        return {
            number
            for number, periods in self.by_number.items()
            for closed in periods
            if number != slot.resource.number
            and closed.begins < ends_at
            and starts_at < closed.ends
            and not (number in slot.parts and _is_meant(slot, closed))
        }

    def are_open(self, number: int, starts_at: int, ends_at: int) -> bool:
        """Whether a number can be had in a period, in seconds."""
        periods = self.by_number.get(number, ())
        return not any(c.begins < ends_at and starts_at < c.ends for c in periods)

    def columns(self) -> list[Any]:
        """Numbers, begins, ends and the moments they were made, as parameters of ``IS_CLOSED``."""
        rows = [(number, *closed) for number, some in self.by_number.items() for closed in some]
        if not rows:
            return [[], [], [], []]
        numbers, begins, ends, made_at = (list(column) for column in zip(*rows, strict=True))
        return [numbers, begins, ends, made_at]


# Whether the number ``{n}`` cannot be had at the time of the slot ``{s}``.
IS_CLOSED = """EXISTS (
    SELECT 1 FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[])
      AS c (number, begins, ends, made_at)
    WHERE c.number = {n} AND to_timestamp(c.begins) < {s}.ends_at
      AND to_timestamp(c.ends) > {s}.starts_at
)"""
# The same for a part, which a slot made or opened by hand after that is meant to have.
IS_PART_CLOSED = (
    IS_CLOSED[:-1]
    + """  AND ({s}.source <> 'hand' OR c.made_at IS NULL OR c.made_at
           > (extract(epoch FROM greatest({s}.created_at, {s}.opened_at)) * 1000000)::bigint)
)"""
)


def _is_meant(slot: Slot, closed: Closed) -> bool:
    if slot.source != Slot.Source.HAND or closed.made_at is None:
        return False
    meant_at = max(slot.created_at, slot.opened_at or slot.created_at)
    return closed.made_at <= round(meant_at.timestamp() * 1_000_000)


def of_slots(slots: Iterable[Slot]) -> Closures:
    """Of what slots take besides their own resource; one statement, or none if that is nothing."""
    taking = [s for s in slots if s.pools or without_people(s.parts)]
    if not taking:
        return Closures()
    first, last = min(s.starts_at for s in taking), max(s.ends_at for s in taking)
    return of_organizations({s.organization_id for s in taking}, first, last)


def of_organizations(
    organization_ids: Collection[uuid.UUID], since: datetime, until: datetime | None = None
) -> Closures:
    """Of all that anything takes besides itself, from one moment to another; one statement."""
    until = since + AHEAD if until is None else until
    days = [(since - REACH).date(), (until + REACH).date()]
    with prepared_cursor() as cursor:
        cursor.execute(_READ, [list(organization_ids), *days])
        rows = cursor.fetchall()
    start, end = _seconds(since), _seconds(until)
    return Closures({number: _periods(start, end, *row) for number, *row in rows})


_READ = """
    WITH asked (ids, first, last) AS (SELECT %s::uuid[], %s::date, %s::date)
    SELECT r.number, r.is_active, r.time_zone,
        (SELECT json_agg(json_build_array(s.number, s.valid_from, s.time_zone))
         FROM bookings_schedule s WHERE s.resource_id = r.id)::text,
        (SELECT json_agg(json_build_array(
             e.kind, e.first_day, e.last_day, e.from_time, e.until_time,
             (extract(epoch FROM e.created_at) * 1000000)::bigint))
         FROM bookings_scheduleexception e
         WHERE e.resource_id = r.id AND e.withdrawn_at IS NULL
           AND e.last_day >= asked.first AND e.first_day <= asked.last)::text
    FROM asked JOIN bookings_resource r ON r.organization_id = ANY(asked.ids)
    WHERE (
        NOT r.is_active OR EXISTS (
            SELECT 1 FROM bookings_scheduleexception e
            WHERE e.resource_id = r.id AND e.withdrawn_at IS NULL AND e.kind <> 'extra'
              AND e.last_day >= asked.first AND e.first_day <= asked.last
        )
    ) AND (
        EXISTS (SELECT 1 FROM bookings_resourcepart p WHERE p.part_id = r.id)
        OR EXISTS (SELECT 1 FROM bookings_poolmember m WHERE m.resource_id = r.id)
    )
"""


def _periods(
    start: int, end: int, is_active: bool, time_zone: str, versions: str, exceptions: str
) -> list[Closed]:
    if not is_active:
        return [Closed(NEVER, ALWAYS, None)]
    closures, extras = _exceptions(json.loads(exceptions))
    known = [
        planning.Version(number, date.fromisoformat(valid_from), zone, ())
        for number, valid_from, zone in json.loads(versions or "[]")
    ] or [planning.Version(0, date.min, time_zone, ())]
    periods = planning.closed(known, closures, extras, start=start, end=end)
    return [
        Closed(begins, ends, closure.made_at)
        for closure, found in zip(closures, periods, strict=True)
        for begins, ends in found
    ]


def _exceptions(
    rows: Sequence[Sequence[Any]],
) -> tuple[list[planning.Closure], list[planning.Extra]]:
    closures, extras = [], []
    for kind, *days, from_time, until_time, made_at in rows:
        first, last = map(date.fromisoformat, days)
        begins, ends = (time.fromisoformat(t) if t else None for t in (from_time, until_time))
        if kind == "extra":
            extras.append(planning.Extra(first, last, _open(begins, ends)))
        else:
            closures.append(planning.Closure(first, last, begins, ends, made_at))
    return closures, extras


def _open(from_time: time | None, until_time: time | None) -> planning.Hours:
    """Hours in which something is open, whatever slots are made in them."""
    return planning.Hours(
        weekdays=frozenset(),
        from_time=from_time or planning.MIDNIGHT,
        until_time=until_time or planning.MIDNIGHT,
        slot_minutes=1,
        gap_minutes=0,
        buffer_before_minutes=0,
        buffer_after_minutes=0,
        max_bookings=1,
        max_units=1,
        valid_from=None,
        valid_until=None,
    )


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())
