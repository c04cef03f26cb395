"""From schedule rules to times: which slots there are, and when a resource is open (B1, D1).

Pure: rules in, periods out, no database and no clock. Rules are of the clock on the wall;
results are instants, whole seconds since the epoch. What the wall clock leaves open, the
nights when it is changed and the day a new version begins, is settled in docs/time.md.

A day costs two conversions of its zone for each rule; the rest is arithmetic of integers, so
that a year of quarter hours is planned in a moment.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise, repeat
from operator import itemgetter
from typing import NamedTuple, Protocol
from zoneinfo import ZoneInfo

DAY = timedelta(days=1)
MIDNIGHT = time(0)
# No window is open for longer than a day and the hour a clock is put back, no slot outlasts its
# window, and the days of two zones begin at most 26 hours apart: what concerns an instant is
# found within this many days.
REACH = timedelta(days=4)


@dataclass(frozen=True, slots=True)
class Hours:
    """Opening hours of some weekdays, and the slots made in them.

    ``weekdays`` are ISO numbers, 1 is Monday; none means every day. An end that is not after
    the start is on the next day, so equal ends are 24 hours. ``valid_until`` is included.
    """

    weekdays: frozenset[int]
    from_time: time
    until_time: time
    slot_minutes: int
    gap_minutes: int
    buffer_before_minutes: int
    buffer_after_minutes: int
    max_bookings: int
    max_units: int
    valid_from: date | None
    valid_until: date | None

    def __post_init__(self) -> None:
        if self.slot_minutes < 1 or min(self.max_bookings, self.max_units) < 1:
            raise ValueError("A slot lasts a minute and takes one booking of one unit, or more.")
        if min(self.gap_minutes, self.buffer_before_minutes, self.buffer_after_minutes) < 0:
            raise ValueError("Gaps and buffers are not negative.")
        if not self.weekdays <= frozenset(range(1, 8)):
            raise ValueError("Weekdays are numbers from 1, Monday, to 7, Sunday.")

    def count_on(self, day: date) -> bool:
        return (
            (not self.weekdays or day.isoweekday() in self.weekdays)
            and (self.valid_from is None or self.valid_from <= day)
            and (self.valid_until is None or day <= self.valid_until)
        )


@dataclass(frozen=True, slots=True)
class Closure:
    """Days, or the same hours of each of these days, on which nothing is open.

    Without times the days are closed as a whole, from the first midnight to the last.
    """

    first_day: date
    last_day: date
    from_time: time | None
    until_time: time | None
    made_at: int | None = None  # in microseconds since the epoch; None: it is being made now

    def __post_init__(self) -> None:
        if (self.from_time is None) != (self.until_time is None):
            raise ValueError("A closure has both times or none.")


@dataclass(frozen=True, slots=True)
class Extra:
    """Hours that are open on each of these days, whatever rules and closures say.

    Weekdays and validity of ``hours`` are not looked at.
    """

    first_day: date
    last_day: date
    hours: Hours


@dataclass(frozen=True, slots=True)
class Version:
    """The rules of a resource from a local day on, until a higher number takes over."""

    number: int
    valid_from: date
    time_zone: str
    hours: tuple[Hours, ...]


class Planned(NamedTuple):
    """A slot, in seconds since the epoch; ``busy`` is the time with its buffers."""

    starts_at: int
    ends_at: int
    busy_from: int
    busy_until: int
    max_bookings: int
    max_units: int


class Spell(Protocol):
    """Whatever is from one moment to another, in seconds since the epoch."""

    @property
    def starts_at(self) -> int: ...

    @property
    def ends_at(self) -> int: ...


class Window(NamedTuple):
    """A period in which a resource is open, in seconds since the epoch, and by which rule.

    ``begun_at`` is when the rule opened, where a closure or extra hours cut that off.
    """

    opens_at: int
    closes_at: int
    hours: Hours
    begun_at: int | None = None

    @property
    def grid_from(self) -> int:
        """From when starts are counted: what is cut off moves none of them."""
        return self.opens_at if self.begun_at is None else self.begun_at


def instant(zone: ZoneInfo, day: date, at: time) -> int:
    """The first instant at which the clock in ``zone`` shows this time of this day, or a later one.

    So a time that comes twice, because the clock is put back, is its first occurrence; and a
    time that never comes, because the clock is put forward over it, is the moment when the clock
    is put forward. Fractions of a second are dropped.
    """
    wall = datetime.combine(day, at).replace(microsecond=0, tzinfo=None, fold=0)
    found = _seconds(wall.replace(tzinfo=zone))
    if _wall(found, zone) == wall:
        return found
    # Never shown. Read by the offset before the transition it lies after it (that is `found`),
    # and read by the offset after the transition it lies before it.
    before, after = _seconds(wall.replace(tzinfo=zone, fold=1)), found
    while after - before > 1:
        middle = (before + after) // 2
        if _wall(middle, zone) < wall:
            before = middle
        else:
            after = middle
    return after


def minutes(hours: Hours) -> int:
    """How long a window is by the clock on the wall, 1 to 1440 minutes."""
    start = hours.from_time.hour * 60 + hours.from_time.minute
    until = hours.until_time.hour * 60 + hours.until_time.minute
    return (until - start - 1) % 1440 + 1


def version_on(versions: Iterable[Version], day: date) -> Version | None:
    """The version in force on a local day: the highest number that has begun, or None."""
    begun = [version for version in versions if version.valid_from <= day]
    return max(begun, key=lambda version: version.number, default=None)


def plan(
    versions: Sequence[Version],
    closures: Iterable[Closure],
    extras: Sequence[Extra],
    *,
    start: int,
    end: int,
) -> list[Planned]:
    """The slots that start in ``[start, end)``, sorted, each (start, end) once.

    What is planned for a time does not depend on the range asked for: ranges that adjoin give
    the slots of the whole. Overlapping rules give overlapping slots; where two rules give the
    same start and end, the first counts.
    """
    if not versions or start >= end:
        return []
    days = _Days(versions, start, end)
    extra = days.extra_windows(extras)
    taken = _Blocks([*days.closed(closures), *((w.opens_at, w.closes_at) for w, _ in extra)])
    runs = []
    over = None  # when the last slot of the versions before is over
    for reign in days.reigns:
        ends = []
        for window, rank in days.regular_windows(reign):
            hours = window.hours
            for starts in _starts(window, taken, not_before=over, before=reign.replaced_at):
                ends.append(starts[-1] + hours.slot_minutes * 60)
                runs.append(_Run(_within(starts, start, end), hours, rank))
        over = max(ends if over is None else [over, *ends], default=None)
    for window, rank in extra:
        every = _starts(window, _Blocks([]))
        runs += [_Run(_within(starts, start, end), window.hours, rank) for starts in every]
    return _slots([run for run in runs if run.starts])


def windows(
    versions: Sequence[Version],
    closures: Iterable[Closure],
    extras: Sequence[Extra],
    *,
    start: int,
    end: int,
) -> list[Window]:
    """The periods that are open at some time in ``[start, end)``, whole, sorted.

    For resources that are booked at free times. Closures are cut out, extra hours are cut out
    of regular ones and stand for themselves, and a version's windows end where the next begins.
    """
    if not versions or start >= end:
        return []
    days = _Days(versions, start, end)
    extra = days.extra_windows(extras)
    taken = _Blocks([*days.closed(closures), *((w.opens_at, w.closes_at) for w, _ in extra)])
    found = [window for window, _ in extra]
    for reign in days.reigns:
        for window, _ in days.regular_windows(reign):
            closes = window.closes_at
            if reign.replaced_at is not None:
                closes = min(closes, reign.replaced_at)
            found += [
                Window(
                    opens_at,
                    closes_at,
                    window.hours,
                    None if opens_at == window.opens_at else window.opens_at,
                )
                for opens_at, closes_at in taken.left_of(window.opens_at, closes)
            ]
    wanted = [w for w in dict.fromkeys(found) if w.opens_at < end and w.closes_at > start]
    return sorted(wanted, key=itemgetter(0, 1))


def closed(
    versions: Sequence[Version],
    closures: Sequence[Closure],
    extras: Sequence[Extra],
    *,
    start: int,
    end: int,
) -> Iterator[list[tuple[int, int]]]:
    """For each closure the periods it closes that matter in ``[start, end)``, sorted, what is
    open as extra hours cut out."""
    if not versions or start >= end:
        yield from ([] for _ in closures)
        return
    days = _Days(versions, start, end)
    extra = _Blocks((w.opens_at, w.closes_at) for w, _ in days.extra_windows(extras))
    for closure in closures:
        yield sorted(p for period in days.closed([closure]) for p in extra.left_of(*period))


# -- days -------------------------------------------------------------------------------------


class _Reign(NamedTuple):
    """The local days on which a version is in force, and the instant at which its time is up."""

    version: Version
    first_day: date
    last_day: date
    replaced_at: int | None


class _Days:
    """The local days that can matter between two instants, and what is open and closed on them."""

    def __init__(self, versions: Sequence[Version], start: int, end: int) -> None:
        self.effective = _effective(versions)
        self.first = _first_that_matters(self.effective, _utc_day(start) - REACH)
        self.last = _utc_day(end) + REACH
        self.reigns = self._reigns()

    def regular_windows(self, reign: _Reign) -> Iterator[tuple[Window, int]]:
        """A version's windows, with the rule's place among the rules."""
        zone = ZoneInfo(reign.version.time_zone)
        for day in _each(reign.first_day, reign.last_day):
            for rank, hours in enumerate(reign.version.hours):
                if hours.count_on(day):
                    opens_at, closes_at = _period(zone, day, hours.from_time, hours.until_time)
                    if opens_at < closes_at:
                        yield Window(opens_at, closes_at, hours), rank

    def extra_windows(self, extras: Sequence[Extra]) -> list[tuple[Window, int]]:
        found = []
        for rank, extra in enumerate(extras):
            hours = extra.hours
            for day in self._each_of(extra):
                zone = self._zone(day)
                opens_at, closes_at = _period(zone, day, hours.from_time, hours.until_time)
                following = day + DAY
                if following <= extra.last_day and self._zone(following) is not zone:
                    # The next day is of another zone and may begin before this one is over.
                    next_opens = instant(self._zone(following), following, hours.from_time)
                    closes_at = min(closes_at, next_opens)
                if opens_at < closes_at:
                    found.append((Window(opens_at, closes_at, hours), rank))
        return found

    def closed(self, closures: Iterable[Closure]) -> Iterator[tuple[int, int]]:
        for closure in closures:
            if closure.from_time is not None and closure.until_time is not None:
                for day in self._each_of(closure):
                    yield _period(self._zone(day), day, closure.from_time, closure.until_time)
            else:
                first, last = self._clip(closure)
                if first <= last:
                    opens_at = instant(self._zone(first), first, MIDNIGHT)
                    yield opens_at, instant(self._zone(last), last + DAY, MIDNIGHT)

    def _clip(self, spell: Closure | Extra) -> tuple[date, date]:
        return max(spell.first_day, self.first), min(spell.last_day, self.last)

    def _each_of(self, spell: Closure | Extra) -> Iterator[date]:
        return _each(*self._clip(spell))

    def _zone(self, day: date) -> ZoneInfo:
        """Of the version in force; before the first one, of the first one."""
        at = bisect_right(self.effective, day, key=lambda version: version.valid_from)
        return ZoneInfo(self.effective[max(at - 1, 0)].time_zone)

    def _reigns(self) -> list[_Reign]:
        found = []
        replaced_at: int | None = None
        until = self.last
        for version in reversed(self.effective):
            first = max(version.valid_from, self.first)
            if first <= until:
                found.append(_Reign(version, first, until, replaced_at))
            if version.valid_from <= self.first:
                break
            if version.valid_from <= self.last + DAY:
                until = version.valid_from - DAY
                begins_at = instant(ZoneInfo(version.time_zone), version.valid_from, MIDNIGHT)
                # Across zones a later version can begin at an earlier instant.
                replaced_at = begins_at if replaced_at is None else min(begins_at, replaced_at)
        return found[::-1]


def _effective(versions: Iterable[Version]) -> list[Version]:
    """The versions that are in force on some day, in order of their days and numbers."""
    found: list[Version] = []
    for version in sorted(versions, key=lambda version: version.number, reverse=True):
        if not found or version.valid_from < found[-1].valid_from:
            found.append(version)
    return found[::-1]


def _first_that_matters(effective: Sequence[Version], day: date) -> date:
    """``day``, or earlier where versions follow each other so closely that each depends on the last.

    A version's first slots depend on what the one before leaves unfinished. Looking back ends in
    a version that has been in force for long enough to depend on nothing before it.
    """
    for version in reversed(effective[1:]):
        if version.valid_from <= day - REACH:
            break
        day = min(day, version.valid_from - REACH)
    return day


# -- instants ---------------------------------------------------------------------------------


class _Blocks:
    """Periods as a sorted list without overlaps, to be looked up and cut out."""

    def __init__(self, periods: Iterable[tuple[int, int]]) -> None:
        self.begins: list[int] = []
        self.ends: list[int] = []
        for begins, ends in sorted(p for p in periods if p[0] < p[1]):
            if self.ends and begins <= self.ends[-1]:
                self.ends[-1] = max(ends, self.ends[-1])
            else:
                self.begins.append(begins)
                self.ends.append(ends)

    def overlapping(self, begins: int, ends: int) -> Iterator[tuple[int, int]]:
        at = bisect_right(self.ends, begins)
        while at < len(self.begins) and self.begins[at] < ends:
            yield self.begins[at], self.ends[at]
            at += 1

    def left_of(self, begins: int, ends: int) -> Iterator[tuple[int, int]]:
        """What of a period is in no block."""
        for block_begins, block_ends in self.overlapping(begins, ends):
            if begins < block_begins:
                yield begins, block_begins
            begins = block_ends
        if begins < ends:
            yield begins, ends


class _Run(NamedTuple):
    """Slots of one window that follow each other: their starts, and the rule's place."""

    starts: range
    hours: Hours
    rank: int

    @property
    def is_over_at(self) -> int:
        return self.starts[-1] + self.hours.slot_minutes * 60


def _starts(
    window: Window, taken: _Blocks, *, not_before: int | None = None, before: int | None = None
) -> Iterator[range]:
    """When the slots of a window start that overlap nothing taken.

    The steps are counted from the window's opening, so what is taken moves no slot.
    """
    hours = window.hours
    lasts = hours.slot_minutes * 60
    step = lasts + hours.gap_minutes * 60
    opens = window.opens_at
    first = 0
    stop = (window.closes_at - opens - lasts) // step + 1
    if not_before is not None:
        first = max(first, _steps(not_before - opens, step))
    if before is not None:
        stop = min(stop, _steps(before - opens, step))
    for begins, ends in taken.overlapping(opens, window.closes_at):
        # The first slot that ends after `begins`, and the first that starts at or after `ends`.
        hit = (begins - opens - lasts) // step + 1
        if first < min(hit, stop):
            yield range(opens + first * step, opens + min(hit, stop) * step, step)
        first = max(first, _steps(ends - opens, step))
    if first < stop:
        yield range(opens + first * step, opens + stop * step, step)


def _steps(distance: int, step: int) -> int:
    """How many steps it takes to come at least that far."""
    return -(-distance // step)


def _within(starts: range, start: int, end: int) -> range:
    low = max(0, _steps(start - starts.start, starts.step))
    high = max(0, _steps(end - starts.start, starts.step))
    return starts[low:high]


def _slots(runs: list[_Run]) -> list[Planned]:
    """The slots of all runs in order; only runs that overlap need to be sorted into each other."""
    found: list[Planned] = []
    together: list[_Run] = []
    over = 0
    for run in sorted(runs, key=lambda run: run.starts.start):
        if together and run.starts.start >= over:
            found += _merged(together)
            together = []
        over = max(over, run.is_over_at) if together else run.is_over_at
        together.append(run)
    return found + _merged(together)


def _merged(runs: list[_Run]) -> list[Planned]:
    if len(runs) == 1:
        return list(_of(runs[0]))
    in_order_of_rules = sorted(runs, key=lambda run: run.rank)
    slots = sorted((slot for run in in_order_of_rules for slot in _of(run)), key=itemgetter(0, 1))
    return slots[:1] + [slot for last, slot in pairwise(slots) if slot[:2] != last[:2]]


def _of(run: _Run) -> Iterator[Planned]:
    starts, hours = run.starts, run.hours
    lasts = hours.slot_minutes * 60
    before = hours.buffer_before_minutes * 60
    after = lasts + hours.buffer_after_minutes * 60
    return map(
        Planned._make,
        zip(
            starts,
            _moved(starts, lasts),
            _moved(starts, -before),
            _moved(starts, after),
            repeat(hours.max_bookings),
            repeat(hours.max_units),
            strict=False,
        ),
    )


def _moved(starts: range, by: int) -> range:
    return range(starts.start + by, starts.stop + by, starts.step)


def _period(zone: ZoneInfo, day: date, from_time: time, until_time: time) -> tuple[int, int]:
    last_day = day if from_time < until_time else day + DAY
    return instant(zone, day, from_time), instant(zone, last_day, until_time)


def _each(first: date, last: date) -> Iterator[date]:
    return (first + timedelta(days=n) for n in range((last - first).days + 1))


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())


def _wall(seconds: int, zone: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(seconds, zone).replace(tzinfo=None)


def _utc_day(seconds: int) -> date:
    return datetime.fromtimestamp(seconds, UTC).date()
