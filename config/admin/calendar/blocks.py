"""What the calendar draws: a block for each slot, with its people, beside the others of its time.

A place is given as CSS classes for hours and minutes (calendar.css), never as a style of its
own, which a content security policy would refuse.
"""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from bookings.admin import show
from bookings.lifecycle import SlotStatus
from bookings.models import Booking, Resource, Slot
from bookings.selectors_calendar import Blocked, Sitting
from bookings.selectors_free_times import Opening, lengths_of
from bookings.services.free_times import FreeTime
from bookings.services.reschedule import MOVABLE
from config.admin.calendar.axis import Axis, Day
from config.admin.calendar.wanted import value_of

LANES = 8
# What a block needs for its first line and for one person, in pixels (calendar.css).
HEAD_PIXELS, PERSON_PIXELS, ROOMY_PIXELS = 22, 20, 35
# Pixels for a minute, by the name of the scale; the shortest block decides.
SCALES = {"s": 1.0, "m": 1.5, "l": 2.25, "xl": 3.0}
COMFORT = 60


class May(NamedTuple):
    """What the reader may do with what they see."""

    move: bool
    book: bool


@dataclass(slots=True)
class Person:
    """One booking in a block."""

    name: str
    units: int
    status: str
    words: str
    colour: str
    url: str
    move_url: str = ""

    @classmethod
    def of(cls, booking: Booking, *, may_move: bool) -> Person:
        movable = may_move and not booking.stands_for_id and booking.status in MOVABLE
        return cls(
            name=booking.customer.name,
            units=booking.units,
            status=booking.status,
            words=_("proposed time") if booking.stands_for_id else booking.get_status_display(),
            colour=show.BOOKING_COLOURS[booking.status],
            url=reverse(
                "admin:bookings_booking_change", args=[booking.stands_for_id or booking.pk]
            ),
            move_url=reverse("admin:calendar_move", args=[booking.pk]) if movable else "",
        )


class Starts(NamedTuple):
    """What a script needs to let somebody choose a start by pointing or by keys (calendar.js)."""

    first: str
    clock: str  # every start as the clock shows it
    grid: int
    lengths: str  # in minutes


@dataclass(slots=True)
class Block:
    """A stretch of time in a column: a slot, a time that is open and free, or one that another
    resource takes."""

    start: datetime
    end: datetime
    top: int
    height: int
    hours: str
    state: str  # free, some, full, taken, closed, legacy, over
    words: str
    filled: str = ""
    url: str = ""
    book_url: str = ""
    people: list[Person] = field(default_factory=list)
    fits: int = 0  # how many people have a line of their own in the grid
    roomy: bool = False  # each person may have two lines
    hidden: int = 0  # bookings without one
    unnamed: int = 0  # bookings that were not even read
    starts: Starts | None = None  # where one can start, in a time that is free
    lane: int = 0
    lanes: int = 1

    @property
    def plain(self) -> bool:
        """Whether those who see the people need no words about the block."""
        return bool(self.people) and self.state in ("over", "full")

    @property
    def classes(self) -> str:
        return (
            f"{_at(self.top, 'h', 'm')} {_at(self.height, 'dh', 'dm')}"
            f" hf-cal-l-{self.lane % LANES} hf-cal-n-{min(self.lanes, LANES)}"
        )


def _at(minutes: int, hours: str, rest: str) -> str:
    return f"hf-cal-{hours}-{minutes // 60} hf-cal-{rest}-{minutes % 60}"


def at(minutes: int) -> str:
    """The classes for something that stands some minutes below the top."""
    return _at(minutes, "h", "m")


def long(minutes: int) -> str:
    """The classes for something that is some minutes long."""
    return _at(minutes, "dh", "dm")


def scale_for(spans: Iterable[tuple[datetime, datetime]]) -> str:
    """The smallest scale at which the shortest of these can be read."""
    shortest = min(((end - start).total_seconds() / 60 for start, end in spans), default=60)
    for name, pixels in SCALES.items():
        if shortest * pixels >= COMFORT:
            return name
    return "xl"


def column(
    sittings: Sequence[Sitting],
    others: Sequence[Blocked],
    openings: Sequence[tuple[Resource, Opening]] = (),
    *,
    day: Day,
    axis: Axis,
    scale: str,
    now: datetime,
    may: May,
) -> list[Block]:
    """The blocks of one resource on one day, in the order of time, side by side where needed.

    Args:
        openings: where the resource is free, if it is booked at free times.
    """
    free_of_slots = [
        other
        for other in others
        if not any(
            s.slot.starts_at < other.ends_at and s.slot.ends_at > other.starts_at for s in sittings
        )
    ]
    blocks = [
        _of_slot(sitting, others, day=day, axis=axis, scale=scale, now=now, may=may)
        for sitting in sittings
        if sitting.slot.starts_at < day.end and sitting.slot.ends_at > day.start
    ] + [
        _of_other(other, day=day, axis=axis)
        for other in free_of_slots
        if other.starts_at < day.end and other.ends_at > day.start
    ]
    blocks += [
        _of_opening(resource, part, day=day, axis=axis, may=may)
        for resource, opening in openings
        if (part := part_of(opening, day)) is not None
    ]
    blocks.sort(key=lambda block: (block.start, block.end))
    _side_by_side(blocks)
    return blocks


def _of_slot(
    sitting: Sitting,
    others: Sequence[Blocked],
    *,
    day: Day,
    axis: Axis,
    scale: str,
    now: datetime,
    may: May,
) -> Block:
    slot = sitting.slot
    block = _block(slot.starts_at, slot.ends_at, day=day, axis=axis)
    block.url = reverse("admin:bookings_slot_change", args=[slot.pk])
    block.filled = f"{sitting.taken_units}/{slot.max_units}"
    block.state, block.words = _state(sitting, others, now=now)
    if may.book and block.state in ("free", "some"):
        block.book_url = f"{reverse('admin:calendar_book')}?slot={slot.pk}"
    block.people = [Person.of(booking, may_move=may.move) for booking in sitting.bookings]
    block.unnamed = sitting.more
    pixels = block.height * SCALES[scale] - HEAD_PIXELS
    block.roomy = pixels >= sitting.taken_bookings * ROOMY_PIXELS
    lines = int(pixels // PERSON_PIXELS)
    block.fits = min(lines if lines >= sitting.taken_bookings else lines - 1, len(block.people))
    block.fits = max(block.fits, 1)
    block.hidden = max(sitting.taken_bookings - block.fits, 0)
    return block


def part_of(opening: Opening, day: Day) -> Opening | None:
    """What of an opening starts on a day: one that lasts over midnight is in both columns."""
    starts = tuple(start for start in opening.starts if day.start <= start < day.end)
    if not starts:
        return None
    least = opening.ends_at - opening.starts[-1]
    return Opening(starts, starts[-1] + least)


def _of_opening(resource: Resource, opening: Opening, *, day: Day, axis: Axis, may: May) -> Block:
    block = _block(opening.starts_at, opening.ends_at, day=day, axis=axis)
    block.state, block.words = "free", _("free")
    if may.book:
        lengths = lengths_of(resource)
        first = value_of(FreeTime(resource.pk, opening.starts_at, lengths[0]))
        block.book_url = f"{reverse('admin:calendar_book')}?slot={first}"
        block.starts = Starts(
            opening.starts_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            " ".join(f"{start.astimezone(axis.zone):%H:%M}" for start in opening.starts),
            resource.grid_minutes,
            " ".join(map(str, lengths)),
        )
    return block


def _of_other(other: Blocked, *, day: Day, axis: Axis) -> Block:
    block = _block(other.starts_at, other.ends_at, day=day, axis=axis)
    block.state, block.words = "taken", _("in use with %s") % other.by
    return block


def _block(starts_at: datetime, ends_at: datetime, *, day: Day, axis: Axis) -> Block:
    start, end = max(starts_at, day.start), min(ends_at, day.end)
    top = axis.top(start)
    return Block(
        start=starts_at,
        end=ends_at,
        top=top,
        height=max(axis.bottom(end) - top, 1),
        hours=_hours(starts_at, ends_at, day=day, zone=axis.zone),
        state="",
        words="",
    )


def _hours(starts_at: datetime, ends_at: datetime, *, day: Day, zone: zoneinfo.ZoneInfo) -> str:
    """From when to when, with the day of an end that lies outside of the column's day."""
    start, end = starts_at.astimezone(zone), ends_at.astimezone(zone)
    first = f"{start:%H:%M}" if starts_at >= day.start else f"{start:%a %H:%M}"
    last = f"{end:%H:%M}" if ends_at <= day.end else f"{end:%a %H:%M}"
    return f"{first}–{last}"


def _state(sitting: Sitting, others: Sequence[Blocked], *, now: datetime) -> tuple[str, str]:
    """How a block looks, and the same in words."""
    slot = sitting.slot
    if slot.status == SlotStatus.LEGACY:
        return "legacy", _("legacy: no longer offered")
    if slot.status == SlotStatus.CLOSED:
        return "closed", _("closed")
    if sitting.left is None:
        if slot.ends_at <= now:
            return "over", _("over")
        if slot.starts_at <= now:
            return "over", _("running now")  # of a free time, or nobody offers it any more
        is_free_time = slot.source == Slot.Source.FREE
        return ("full", _("booked")) if is_free_time else ("over", _("not offered"))
    started = slot.starts_at <= now
    if sitting.left.bookings > 0 and sitting.left.units > 0:
        if not sitting.taken_bookings:
            return "free", _("running, and free") if started else _("free")
        left = ngettext("%d place left", "%d places left", sitting.left.units)
        words = left % sitting.left.units
        return "some", _("running, %s") % words if started else words
    if started:
        return "over", _("running now")
    if sitting.taken_bookings:
        return "full", _("full")
    by = next(
        (o.by for o in others if o.starts_at < slot.busy_until and o.ends_at > slot.busy_from), ""
    )
    return "taken", _("in use with %s") % by if by else _("not free: taken at this time")


def _side_by_side(blocks: Sequence[Block]) -> None:
    """Give blocks that overlap lanes of their own; those of one bunch share the width."""
    bunch: list[Block] = []
    ends: list[int] = []
    for block in blocks:
        if bunch and block.top >= max(ends):
            _close(bunch, ends)
            bunch, ends = [], []
        free = next((n for n, end in enumerate(ends) if end <= block.top), None)
        block.lane = len(ends) if free is None else free
        if free is None:
            ends.append(block.top + block.height)
        else:
            ends[free] = block.top + block.height
        bunch.append(block)
    _close(bunch, ends)


def _close(bunch: Sequence[Block], ends: Sequence[int]) -> None:
    for block in bunch:
        block.lanes = len(ends)
