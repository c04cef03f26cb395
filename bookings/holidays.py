"""Holidays out of an iCalendar file, as every public calendar offers them (B1).

Pure: bytes in, days out. Only whole days are read; whatever else is in the file is named with
the reason why it was left out, so that nobody believes to be closed on a day that is not.
"""

from __future__ import annotations

import hashlib
import re
from calendar import monthrange
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, NamedTuple

from icalendar import Calendar, Event, vDDDTypes

from audit.errors import Invalid

MAX_BYTES = 1_000_000
MAX_EVENTS = 2_000
MAX_HOLIDAYS = 1_000  # after what is repeated was expanded
MAX_DAYS = 366
NAME_LENGTH = 200
UID_LENGTH = 255
DAY = timedelta(days=1)
WEEKDAYS = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"]
DATES = {"DTSTART", "DTEND", "DURATION", "EXDATE", "RDATE", "RECURRENCE-ID"}
KINDS = {"DTSTART": date, "DTEND": date, "RECURRENCE-ID": date, "DURATION": timedelta}
# What is understood of a rule; WKST says nothing to a rule of years without numbers of weeks.
RULE_PARTS = {"FREQ", "INTERVAL", "COUNT", "UNTIL", "BYMONTH", "BYMONTHDAY", "BYDAY", "WKST"}


@dataclass(frozen=True, slots=True)
class Holiday:
    """Whole days, both included. ``uid`` is the same whenever the same file is read."""

    uid: str
    name: str
    first_day: date
    last_day: date


@dataclass(frozen=True, slots=True)
class Skipped:
    """An event that was left out, and why, for a person to read."""

    name: str
    day: date | None
    reason: str


class Read(NamedTuple):
    holidays: list[Holiday]
    skipped: list[Skipped]


class _Skip(Exception):
    """The event is left out, for this reason."""


def read(data: bytes, *, first_day: date, last_day: date) -> Read:
    """The holidays of an .ics file that touch the days from ``first_day`` to ``last_day``.

    Events repeated every year are expanded within these days. Sorted by day.

    Raises:
        Invalid: it is too large, no calendar, or a date in it cannot be read.
    """
    events = _events(data)
    replaced = defaultdict(set)  # days of repeated events that stand in the file by themselves
    for event in events:
        if "RECURRENCE-ID" in event:
            replaced[_uid(event)].add(_day(_value(event, "RECURRENCE-ID").dt))
    holidays: dict[str, Holiday] = {}
    skipped: list[Skipped] = []
    for event in events:
        name, first = _name(event), _day(_value(event, "DTSTART").dt)
        try:
            found = list(_of(event, replaced[_uid(event)], first_day, last_day))
            if not found:
                raise _Skip(f"It has no day between {first_day} and {last_day}.")
            if any(holiday.uid in holidays for holiday in found):
                raise _Skip("Another event of the file has the same identifier (UID).")
        except _Skip as reason:
            skipped.append(Skipped(name, first, str(reason)))
        else:
            holidays |= {holiday.uid: holiday for holiday in found}
        if len(holidays) > MAX_HOLIDAYS:
            raise _invalid(f"The file has more than {MAX_HOLIDAYS} holidays; take fewer years.")
    in_order = sorted(holidays.values(), key=lambda h: (h.first_day, h.last_day, h.name, h.uid))
    return Read(in_order, skipped)


def _of(event: Event, replaced: set[date], since: date, until: date) -> Iterator[Holiday]:
    """The holidays of one event; raises _Skip."""
    if str(event.get("STATUS", "")).upper() == "CANCELLED":
        raise _Skip("It is cancelled.")
    first, last = _days(event)
    if last - first >= timedelta(days=MAX_DAYS):
        raise _Skip(f"It lasts {(last - first).days + 1} days, more than a year.")
    name, uid = _name(event), _uid(event)
    if "RECURRENCE-ID" in event:
        this = _value(event, "RECURRENCE-ID")
        if "RANGE" in this.params:
            raise _Skip("It changes all later days of a repeated event.")
        days = {_day(this.dt): first}
    elif "RRULE" in event or "RDATE" in event:
        left_out = _listed(event, "EXDATE") | replaced
        repeated = _repeated(event, first, since - (last - first), until)
        days = {day: day for day in repeated | _listed(event, "RDATE") if day not in left_out}
    else:
        if first <= until and since <= last:
            yield Holiday(_short(uid), name, first, last)
        return
    for original, day in sorted(days.items()):
        ends = min(day, date.max - (last - first)) + (last - first)
        if day <= until and since <= ends:
            yield Holiday(_short(f"{uid}/{original.isoformat()}"), name, day, ends)


# -- the file ---------------------------------------------------------------------------------


def _events(data: bytes) -> list[Event]:
    if len(data) > MAX_BYTES:
        raise _invalid(f"The file is larger than {MAX_BYTES // 1_000_000} MB.")
    if data.upper().count(b"BEGIN:VEVENT") > MAX_EVENTS:
        raise _invalid(f"The file has more than {MAX_EVENTS} events.")
    is_calendar = b"BEGIN:VCALENDAR" in data.upper()
    try:
        # Always as bytes: a text of one line would be taken for the name of a file.
        text = data.decode("utf-8-sig") if is_calendar else ""
        calendars = Calendar.from_ical(text.encode(), multiple=True)
    except UnicodeDecodeError:
        raise _invalid("The text of the file is not UTF-8. Export it again as UTF-8.") from None
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError):
        calendars = []
    if not calendars or any(c.name != "VCALENDAR" for c in calendars):
        raise _invalid("This is not a whole iCalendar file (.ics).")
    events = [e for c in calendars for e in c.subcomponents if isinstance(e, Event)]
    if len(events) > MAX_EVENTS:
        raise _invalid(f"The file has more than {MAX_EVENTS} events.")
    for event in events:
        _check_dates(event)
    return events


def _check_dates(event: Event) -> None:
    broken = sorted(_broken(event) & DATES)
    broken += [key for key, kind in KINDS.items() if key in event and not _is_one(event, key, kind)]
    if broken or "DTSTART" not in event:
        which = broken[0] if broken else "DTSTART"
        raise _invalid(f"A date of “{_name(event)}” is missing or cannot be read: {which}.")
    try:
        first, last = _span(event)
    except (OverflowError, TypeError):
        first, last = date.max, date.min
    if last < first:
        raise _invalid(f"“{_name(event)}” ends before it starts, or never.")


def _broken(event: Event) -> set[str]:
    """The properties whose values the library could not read."""
    return {key for key, _ in event.errors if key is not None}


def _is_one(event: Event, key: str, kind: type) -> bool:
    """Whether it stands there once, as what it should be: a date may also be written as a time."""
    value = _value(event, key)
    return isinstance(value, vDDDTypes) and isinstance(value.dt, kind)


def _invalid(detail: str) -> Invalid:
    return Invalid(f"{detail} Nothing was read.", field="file")


# -- an event ---------------------------------------------------------------------------------


def _name(event: Event) -> str:
    name = _value(event, "SUMMARY")
    name = name[0] if isinstance(name, list) else name
    return _printable(str(name or ""))[:NAME_LENGTH].strip() or "Holiday"


def _uid(event: Event) -> str:
    """The event's own, or one that depends on nothing but its name and first day."""
    uid = _printable(str(event.get("UID", "")))
    return uid or f"{_day(_value(event, 'DTSTART').dt).isoformat()} {_name(event)}"


def _value(event: Event, key: str) -> Any:
    """A property as the library made it of its text, or None: a list if it stands there twice."""
    return event.get(key)


def _short(uid: str) -> str:
    if len(uid) <= UID_LENGTH:
        return uid
    return hashlib.sha256(uid.encode()).hexdigest()


def _printable(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _day(value: date | datetime) -> date:
    return value.date() if isinstance(value, datetime) else value


def _span(event: Event) -> tuple[date, date]:
    """The first and the last day that the event touches."""
    starts = _value(event, "DTSTART").dt
    ends = starts
    if "DTEND" in event:
        ends = _value(event, "DTEND").dt
    elif "DURATION" in event:
        ends = starts + _value(event, "DURATION").dt
    first, last = _day(starts), _day(ends)
    if isinstance(ends, datetime) and ends.time() != time(0):
        return first, last
    # The end is not included. Without one, or with the same day again, it is a single day.
    return first, last - DAY if last > first else last


def _days(event: Event) -> tuple[date, date]:
    """The days of an event of whole days.

    Some programs write midnight to midnight instead of days. Midnight in Greenwich is not
    midnight where the holiday is, so that does not count.
    """
    ends = _value(event, "DTEND")
    for value in (_value(event, "DTSTART"), ends):
        moment = value.dt if value is not None else None
        if isinstance(moment, datetime):
            local = moment.tzinfo is None or "TZID" in value.params
            whole = moment.time() == time(0) and local and ends is not None
            if not whole or ends.dt == _value(event, "DTSTART").dt:
                raise _Skip("It has hours; only whole days are read.")
    return _span(event)


def _listed(event: Event, key: str) -> set[date]:
    """The days of EXDATE or RDATE, which may stand on one line or on several."""
    lists = _value(event, key) or []
    days = set()
    for one in lists if isinstance(lists, list) else [lists]:
        for value in one.dts:
            if not isinstance(value.dt, date):
                raise _Skip(f"Its {key} lists periods.")
            days.add(_day(value.dt))
    return days


# -- every year -------------------------------------------------------------------------------


def _repeated(event: Event, first: date, since: date, until: date) -> set[date]:
    """The first days of a yearly event from ``since`` to ``until``; raises _Skip."""
    if "RRULE" not in event:
        return {first}
    rule = _value(event, "RRULE")
    if isinstance(rule, list) or "RRULE" in _broken(event):
        raise _Skip("Its rule of repetition cannot be read.")
    parts = {key.upper(): list(values) for key, values in rule.items()}
    if str(parts.get("FREQ", [""])[0]).upper() != "YEARLY":
        raise _Skip("It is repeated, but not every year.")
    if not parts.keys() <= RULE_PARTS or any(len(values) != 1 for values in parts.values()):
        raise _Skip(_UNKNOWN_RULE)
    if not isinstance(parts.get("UNTIL", [first])[0], date):
        raise _Skip("Its rule of repetition cannot be read.")
    every = parts.get("INTERVAL", [1])[0]
    most = parts.get("COUNT", [None])[0]
    if every < 1 or _on(first.year, first, parts) != first:
        raise _Skip(_UNKNOWN_RULE)
    stop = min(until, _day(parts["UNTIL"][0])) if "UNTIL" in parts else until
    year = first.year
    if most is None and since.year > year:
        year += (since.year - year) // every * every  # nothing is counted: pass over the past
    days: list[date] = []
    while year <= stop.year and (most is None or len(days) < most):
        day = _on(year, first, parts)
        if day is not None and day <= stop:
            days.append(day)
        year += every
    return {day for day in days if day >= since}


_UNKNOWN_RULE = "It is repeated by a rule that is not understood."


def _on(year: int, first: date, parts: dict[str, list[Any]]) -> date | None:
    """The day of a year that a rule means, or None in a year that has no such day."""
    month = parts.get("BYMONTH", [first.month])[0]
    if getattr(month, "leap", False) or not 1 <= int(month) <= 12:
        raise _Skip(_UNKNOWN_RULE)
    days_in_month = monthrange(year, int(month))[1]
    if "BYDAY" in parts:
        found = re.fullmatch(r"([+-]?[1-5])([A-Z]{2})", str(parts["BYDAY"][0]).upper())
        if found is None or "BYMONTH" not in parts or "BYMONTHDAY" in parts:
            raise _Skip(_UNKNOWN_RULE)
        place, weekday = int(found[1]), WEEKDAYS.index(found[2])
        if place > 0:
            day = 1 + (weekday - date(year, int(month), 1).weekday()) % 7 + (place - 1) * 7
        else:
            last = date(year, int(month), days_in_month).weekday()
            day = days_in_month - (last - weekday) % 7 + (place + 1) * 7
    elif "BYMONTHDAY" in parts:
        if "BYMONTH" not in parts:
            raise _Skip(_UNKNOWN_RULE)
        day = int(parts["BYMONTHDAY"][0])
        day = day if day > 0 else days_in_month + 1 + day
    else:
        day = first.day
    return date(year, int(month), day) if 1 <= day <= days_in_month else None
