"""Which times a resource is offered at: the arithmetic behind "Make slots". Pure (B1)."""

from __future__ import annotations

import zoneinfo
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

MIDNIGHT = time(0, 0)


@dataclass(frozen=True, slots=True)
class Plan:
    """Slots of one length, on some weekdays, between two clock times of a place.

    ``weekdays`` are 1 (Monday) to 7; ``until`` 00:00 means the end of the day.
    """

    zone: str
    first: date
    last: date
    weekdays: Collection[int]
    start: time
    until: time
    minutes: int
    gap_minutes: int = 0

    def days(self) -> Iterator[date]:
        for number in range((self.last - self.first).days + 1):
            day = self.first + timedelta(days=number)
            if day.isoweekday() in self.weekdays:
                yield day

    def periods(self) -> list[tuple[datetime, datetime]]:
        """The times as UTC, earliest first, none overlapping another.

        Starts follow the clock on the wall and lengths the real time. On a night when clocks
        change, a start that the clock skips is left out, and so is one before the slot ahead
        of it has ended.
        """
        zone = zoneinfo.ZoneInfo(self.zone)
        length, gap = timedelta(minutes=self.minutes), timedelta(minutes=self.gap_minutes)
        found: list[tuple[datetime, datetime]] = []
        for day in self.days():
            close = datetime.combine(day, self.until)
            if self.until == MIDNIGHT:
                close += timedelta(days=1)
            closes_at = close.replace(tzinfo=zone).astimezone(UTC)
            wall = datetime.combine(day, self.start)
            free_from = wall.replace(tzinfo=zone).astimezone(UTC)
            while wall + length <= close:
                start = wall.replace(tzinfo=zone).astimezone(UTC)
                exists = start.astimezone(zone).replace(tzinfo=None) == wall
                if exists and start >= free_from and start + length <= closes_at:
                    found.append((start, start + length))
                    free_from = start + length + gap
                wall += length + gap
        return found

    def changes(self) -> list[date]:
        """The days in it on which clocks change."""
        zone = zoneinfo.ZoneInfo(self.zone)
        return [
            day
            for day in self.days()
            if datetime.combine(day, MIDNIGHT, zone).utcoffset()
            != datetime.combine(day + timedelta(days=1), MIDNIGHT, zone).utcoffset()
        ]
