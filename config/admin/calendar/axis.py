"""Where a moment stands on the calendar's axis of time.

The axis has a row for every half hour on the clock of one place, as it really passes: a night
in which the clocks go back has its hour twice, one in which they go forward lacks it. Several
days side by side share the rows of the longest, so that 09:00 is at the same height everywhere;
a day that lacks an hour of the others leaves it empty.
"""

from __future__ import annotations

import zoneinfo
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

HALF_HOUR = 30
# What is shown where nothing happens: office hours, as rows.
QUIET = (16, 36)
SHORTEST_ROWS = 12

# An hour and its half on the clock, and whether it is the second time round.
Row = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Day:
    """A day on the clock of a place, from midnight to midnight as instants."""

    day: date
    start: datetime
    end: datetime

    @classmethod
    def of(cls, day: date, zone: zoneinfo.ZoneInfo) -> Day:
        return cls(day, _midnight(day, zone), _midnight(day + timedelta(days=1), zone))

    @property
    def hours(self) -> float:
        """How long it really is: 24 on most days."""
        return (self.end - self.start).total_seconds() / 3600


def _midnight(day: date, zone: zoneinfo.ZoneInfo) -> datetime:
    return datetime.combine(day, time(0), tzinfo=zone).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Label:
    """What stands beside an hour, and how many minutes below the top."""

    text: str
    minutes: int


class Axis:
    """The hours that are shown, and where everything stands on them, in minutes from the top."""

    def __init__(
        self,
        days: Sequence[Day],
        zone: zoneinfo.ZoneInfo,
        spans: Sequence[tuple[datetime, datetime]],
    ) -> None:
        """Make room for ``spans``, each a piece of one of ``days``, and cut off what is empty."""
        self.zone = zone
        longest = max(days, key=lambda d: d.end - d.start)
        self._rows = _rows_of(longest, zone)
        self._at = {row: index for index, row in enumerate(self._rows)}
        self._longest = longest
        self._ends = {day.end for day in days}
        tops = [self._minutes(start) for start, _end in spans]
        bottoms = [self._minutes_to_end(end) for _start, end in spans]
        first, last = QUIET
        if spans:
            first, last = min(tops) // HALF_HOUR, -(-max(bottoms) // HALF_HOUR)
            last = max(last, first + SHORTEST_ROWS)
        last = min(last, len(self._rows))
        first = max(0, min(first, last - SHORTEST_ROWS))
        while first > 0 and self._rows[first][1]:
            first -= 1
        while last < len(self._rows) and self._rows[last][1]:
            last += 1
        self._first, self._last = first, last

    @property
    def minutes(self) -> int:
        """How long the axis is."""
        return (self._last - self._first) * HALF_HOUR

    def top(self, moment: datetime) -> int:
        """Minutes from the top to where something begins."""
        return self._shown(self._minutes(moment))

    def bottom(self, moment: datetime) -> int:
        """Minutes from the top to where something ends; midnight ends its day."""
        return self._shown(self._minutes_to_end(moment))

    def shows(self, moment: datetime) -> bool:
        """Whether a moment is between the first hour that is shown and the last."""
        return self._first * HALF_HOUR <= self._minutes(moment) <= self._last * HALF_HOUR

    def labels(self) -> list[Label]:
        """The full hours; one that comes twice says by which clock it is meant."""
        twice = {(hour, half) for hour, half, again in self._rows if again}
        shown = []
        for index in range(self._first, self._last):
            hour, half, again = self._rows[index]
            if half:
                continue
            text = f"{hour:02}:00"
            if (hour, half) in twice:
                local = datetime.combine(self._longest.day, time(hour), self.zone)
                text += f" {local.replace(fold=again).isoformat()[-6:]}"
            shown.append(Label(text, (index - self._first) * HALF_HOUR))
        return shown

    def missing(self, day: Day) -> list[tuple[int, int]]:
        """The stretches of the axis that do not exist on a day: from and to, in minutes."""
        if day.end - day.start == self._longest.end - self._longest.start:
            return []
        there = set(_rows_of(day, self.zone))
        found: list[tuple[int, int]] = []
        for index in range(self._first, self._last):
            if self._rows[index] in there:
                continue
            top = (index - self._first) * HALF_HOUR
            if found and found[-1][1] == top:
                top = found.pop()[0]
            found.append((top, (index - self._first + 1) * HALF_HOUR))
        return found

    def _shown(self, minutes: int) -> int:
        return min(max(minutes - self._first * HALF_HOUR, 0), self.minutes)

    def _minutes_to_end(self, moment: datetime) -> int:
        return len(self._rows) * HALF_HOUR if moment in self._ends else self._minutes(moment)

    def _minutes(self, moment: datetime) -> int:
        local = moment.astimezone(self.zone)
        row = (local.hour, local.minute // HALF_HOUR, local.fold)
        index = self._at.get(row)
        if index is None:  # an hour of this day alone: where it would be
            index = sum(one[:2] < row[:2] for one in self._rows)
        return index * HALF_HOUR + local.minute % HALF_HOUR


def _rows_of(day: Day, zone: zoneinfo.ZoneInfo) -> list[Row]:
    rows: list[Row] = []
    moment = day.start
    while moment < day.end:
        local = moment.astimezone(zone)
        rows.append((local.hour, local.minute // HALF_HOUR, local.fold))
        moment += timedelta(minutes=HALF_HOUR)
    return rows
