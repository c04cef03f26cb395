"""Rules, exceptions and versions of a schedule as people say them (B1, F3)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, time

from django.utils.dateformat import format as date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from bookings.admin.inputs import DAYS
from bookings.admin.show import DAY, NOTHING
from bookings.models import Schedule, ScheduleException, ScheduleRule
from bookings.models.schedule import Opening

MIDNIGHT = time(0)
EVERY_DAY = range(1, 8)


def weekdays(days: Collection[int]) -> str:
    """``Mon–Fri``, ``Mon, Wed, Sat–Sun``; none means every day."""
    wanted = sorted(set(days))
    if len(wanted) in (0, 7):
        return _("Every day")
    names = {number: str(name) for number, name in DAYS}
    runs: list[list[int]] = []
    for day in wanted:
        if runs and runs[-1][-1] == day - 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    return ", ".join(
        f"{names[run[0]]}–{names[run[-1]]}" if len(run) > 1 else names[run[0]] for run in runs
    )


def hours(start: time | None, until: time | None) -> str:
    """From when to when on the wall; says so where the end is on the next day."""
    if start is None or until is None:
        return _("the whole day")
    if start == until:
        return _("from %(start)s for 24 hours") % {"start": f"{start:%H:%M}"}
    if until == MIDNIGHT:
        return _("%(start)s until midnight") % {"start": f"{start:%H:%M}"}
    text = f"{start:%H:%M}–{until:%H:%M}"
    return _("%s the next day") % text if until < start else text


def length(opening: Opening) -> str:
    """How long slots are, and what lies between and around them."""
    parts = [ngettext("%d minute", "%d minutes", opening.slot_minutes) % opening.slot_minutes]
    if opening.gap_minutes:
        parts.append(_("%d between") % opening.gap_minutes)
    if opening.buffer_before_minutes:
        parts.append(_("%d kept free before") % opening.buffer_before_minutes)
    if opening.buffer_after_minutes:
        parts.append(_("%d kept free after") % opening.buffer_after_minutes)
    return ", ".join(parts)


def room(opening: Opening) -> str:
    """How many a slot takes; people only where they are not as many as bookings."""
    text = ngettext("%d booking", "%d bookings", opening.max_bookings) % opening.max_bookings
    if opening.max_units == opening.max_bookings:
        return text
    people = ngettext("%d person", "%d people", opening.max_units) % opening.max_units
    return f"{text}, {people}"


def span(first: date | None, last: date | None) -> str:
    """From which day to which."""
    if first and last and first == last:
        return date_format(first, DAY)
    if first and last:
        return f"{date_format(first, DAY)} – {date_format(last, DAY)}"
    if first:
        return _("from %s on") % date_format(first, DAY)
    if last:
        return _("until %s") % date_format(last, DAY)
    return ""


def rule(one: ScheduleRule) -> str:
    """``Mon–Fri 09:00–17:00, 60 minutes, 1 booking``."""
    when = f"{weekdays(one.weekdays)} {hours(one.from_time, one.until_time)}"
    between = span(one.valid_from, one.valid_until)
    return ", ".join(filter(None, [when, length(one), room(one), between]))


def table(rules: Iterable[ScheduleRule], *, with_slots: bool = True) -> list[dict[str, str]]:
    """The lines of a small table of a week, the days without any hours last."""
    ordered = sorted(rules, key=lambda r: (sorted(r.weekdays or EVERY_DAY), r.from_time))
    found = [
        {
            "days": weekdays(one.weekdays),
            "hours": hours(one.from_time, one.until_time),
            "length": length(one) if with_slots else "",
            "room": room(one) if with_slots else "",
            "only": span(one.valid_from, one.valid_until),
        }
        for one in ordered
    ]
    open_on = {day for one in ordered for day in one.weekdays or EVERY_DAY}
    closed = set(EVERY_DAY) - open_on
    if closed:
        line = {
            "days": weekdays(closed),
            "hours": _("closed"),
            "length": "",
            "room": "",
            "only": "",
        }
        found.append(line)
    return found


def when(exception: ScheduleException) -> str:
    """The days of an exception, and its hours if it has any."""
    text = span(exception.first_day, exception.last_day)
    if exception.from_time is None:
        return text
    return f"{text}, {hours(exception.from_time, exception.until_time)}"


def whom(exception: ScheduleException) -> str:
    return str(exception.resource) if exception.resource_id else _("All resources")


@dataclass(frozen=True)
class Standing:
    """A version and where it stands: in force, to come, over or never begun."""

    version: Schedule
    state: str  # now | later | over | replaced
    until: date | None

    @property
    def words(self) -> str:
        return {
            "now": _("In force"),
            "later": _("To come"),
            "over": _("Over"),
            "replaced": _("Replaced before it began"),
        }[self.state]

    @property
    def colour(self) -> str:
        return {"now": "success", "later": "info"}.get(self.state, "default")


def standings(versions: Sequence[Schedule], *, today: date) -> list[Standing]:
    """Where each version stands on a day; newest first.

    On a day counts the highest number that has begun, so a version ends where one with a
    higher number begins, and never begins if that one begins on the same day or before.
    """
    found = []
    for one in sorted(versions, key=lambda v: v.number, reverse=True):
        begins = [v.valid_from for v in versions if v.number > one.number]
        until = min(begins, default=None)
        if until is not None and until <= one.valid_from:
            state = "replaced"
        elif until is not None and until <= today:
            state = "over"
        else:
            state = "later" if one.valid_from > today else "now"
        found.append(Standing(one, state, None if state == "replaced" else until))
    return found


def made(version: Schedule, when_made: str) -> str:
    """Who made a version, and when."""
    return f"{when_made} · {version.created_by or NOTHING}"
