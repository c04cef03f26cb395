"""What a change of schedules would do, as a page shows it before it is done (B2, F3).

A year of slots is counted, drawn and shown by example, never listed. Costs no statement.
"""

from __future__ import annotations

import zoneinfo
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.utils.dateformat import format as date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from bookings.admin.show import DAY, DAY_AND_TIME, booking_badge, link_to, slot_time
from bookings.models import Booking
from bookings.planning import Planned
from bookings.regeneration import Limits, Plan, There
from bookings.services.regenerating import Applied, Preview

MOST_SHOWN = 50
MOST_DAYS = 62  # as single bars; beyond, a bar is a week

# In the order in which they are told, and from the line in the middle outwards.
UP = ("new", "again", "closed", "changed")
DOWN = ("legacy", "removed", "archived")


@dataclass(frozen=True)
class Kind:
    """Slots to which the same happens: how many, in words, and the first of them."""

    name: str
    count: int
    words: str
    colour: str
    samples: Sequence[str] = ()

    @property
    def more(self) -> int:
        return self.count - len(self.samples)


def context(preview: Preview) -> dict[str, Any]:
    """All that ``admin/schedules/_preview.html`` shows."""
    kinds = _kinds(preview.plans, Counter(preview.counts()))
    return {
        "kinds": kinds,
        "changes": sum(k.count for k in kinds if k.name not in ("kept", "fewer")),
        "plot": plot(preview.plans),
        "affected": affected(preview.affected),
        "proposals": proposals(preview.proposals),
        "resources": len(preview.plans),
    }


def affected(bookings: Sequence[Booking]) -> dict[str, Any]:
    """The bookings that lose their time, the first of them with links."""
    return {
        "count": len(bookings),
        "rows": [
            {
                "booking": link_to(one),
                "customer": one.customer or _("nobody yet"),
                "time": slot_time(one.slot),
                "resource": one.slot.resource,
                "status": booking_badge(one),
            }
            for one in bookings[:MOST_SHOWN]
        ],
        "more": max(0, len(bookings) - MOST_SHOWN),
    }


def proposals(stand_ins: Sequence[Booking]) -> dict[str, Any]:
    """The proposed times that are not offered any more, the first of them with their bookings."""
    return {
        "count": len(stand_ins),
        "rows": [
            {
                "booking": link_to(one.stands_for),
                "customer": one.customer,
                "time": slot_time(one.slot),
                "resource": one.slot.resource,
            }
            for one in stand_ins[:MOST_SHOWN]
        ],
        "more": max(0, len(stand_ins) - MOST_SHOWN),
    }


def _kinds(plans: Sequence[Plan], counts: Counter[str]) -> list[Kind]:
    def words(singular: str, plural: str, count: int) -> str:
        return ngettext(singular, plural, count) % {"n": f"{count:,}"}

    new = words("%(n)s new slot", "%(n)s new slots", counts["create"])
    kept = words("%(n)s slot stays as it is", "%(n)s slots stay as they are", counts["keep"])
    changed = words(
        "%(n)s slot takes other numbers or has other buffers",
        "%(n)s slots take other numbers or have other buffers",
        counts["change"],
    )
    offered = [_only_revived(plan, closed=False) for plan in plans]
    still_closed = [_only_revived(plan, closed=True) for plan in plans]
    n_offered = sum(len(plan.revive) for plan in offered)
    n_closed = counts["revive"] - n_offered
    again = words("%(n)s slot is offered again", "%(n)s slots are offered again", n_offered)
    closed = words(
        "%(n)s slot fits again and comes back closed, as staff had closed it",
        "%(n)s slots fit again and come back closed, as staff had closed them",
        n_closed,
    )
    legacy = words(
        "%(n)s slot keeps its people and is offered to nobody new",
        "%(n)s slots keep their people and are offered to nobody new",
        counts["retire"],
    )
    removed = words("%(n)s empty slot goes", "%(n)s empty slots go", counts["delete"])
    archived = words(
        "%(n)s empty slot is not offered any more, and stays for what was said of it or booked in it",
        "%(n)s empty slots are not offered any more, and stay for what was said of them or booked in"
        " them",
        counts["archive"],
    )
    shut = words(
        "%(n)s slot made by hand is closed; its people keep it",
        "%(n)s slots made by hand are closed; their people keep them",
        counts["shut"],
    )
    reopened = words(
        "%(n)s slot made by hand opens again",
        "%(n)s slots made by hand open again",
        counts["reopen"],
    )
    n_fewer = sum(len(plan.fewer) for plan in plans)
    fewer = words(
        "%(n)s slot takes fewer people, or none, while earlier slots still have people in them",
        "%(n)s slots take fewer people, or none, while earlier slots still have people in them",
        n_fewer,
    )
    many = len(plans) > 1
    found = [
        Kind("new", counts["create"], new, "success", _first(plans, "create", many)),
        Kind("kept", counts["keep"], kept, "default"),
        Kind("changed", counts["change"], changed, "info", _first(plans, "change", many)),
        Kind("fewer", n_fewer, fewer, "warning", _first(plans, "fewer", many)),
        Kind("again", n_offered, again, "success", _first(offered, "revive", many)),
        Kind("closed", n_closed, closed, "default", _first(still_closed, "revive", many)),
        Kind("legacy", counts["retire"], legacy, "warning", _first(plans, "retire", many)),
        Kind("removed", counts["delete"], removed, "danger", _first(plans, "delete", many)),
        Kind("shut", counts["shut"], shut, "warning", _first(plans, "shut", many)),
        Kind("reopened", counts["reopen"], reopened, "success", _first(plans, "reopen", many)),
        Kind("archived", counts["archive"], archived, "default", _first(plans, "archive", many)),
    ]
    return [kind for kind in found if kind.count]


def _only_revived(plan: Plan, *, closed: bool) -> Plan:
    """Of a plan, the slots that come back, open or closed."""
    return Plan(plan.resource, revive=[t for t in plan.revive if t.stays_closed == closed])


def _first(plans: Iterable[Plan], rows: str, many: bool) -> list[str]:
    found: list[str] = []
    for plan in plans:
        zone = zoneinfo.ZoneInfo(plan.resource.time_zone)
        for row in getattr(plan, rows)[: MOST_SHOWN - len(found)]:
            text = _line(row, zone)
            found.append(f"{plan.resource}: {text}" if many else text)
    return found


def _line(row: Planned | There | tuple[There, Limits], zone: zoneinfo.ZoneInfo) -> str:
    if not isinstance(row, Planned | There):
        there, limits = row
        return f"{_period(there, zone)}: {_difference(there, limits)}"
    text = _period(row, zone)
    taken = getattr(row, "taken_bookings", 0)
    if not taken:
        return text
    return f"{text}, " + ngettext("%d booking", "%d bookings", taken) % taken


def _period(row: Planned | There, zone: zoneinfo.ZoneInfo) -> str:
    start, end = _local(row.starts_at, zone), _local(row.ends_at, zone)
    return f"{date_format(start, DAY_AND_TIME)}–{end:%H:%M}"


def _difference(there: There, limits: Limits) -> str:
    parts = []
    if there.max_bookings != limits.max_bookings:
        now, then = there.max_bookings, limits.max_bookings
        parts.append(_("bookings %(now)d → %(then)d") % {"now": now, "then": then})
    if there.max_units != limits.max_units:
        now, then = there.max_units, limits.max_units
        parts.append(_("people %(now)d → %(then)d") % {"now": now, "then": then})
    if (there.busy_from, there.busy_until) != (limits.busy_from, limits.busy_until):
        parts.append(_("other buffers"))
    return ", ".join(parts)


def _local(seconds: int, zone: zoneinfo.ZoneInfo) -> datetime:
    return datetime.fromtimestamp(seconds, UTC).astimezone(zone)


# --- the plot -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bar:
    """A piece of a column of the plot, in units of its view box."""

    x: float
    y: float
    width: float
    height: float
    name: str


@dataclass(frozen=True)
class Column:
    """A day or a week: what happens in it in words, and as pieces of a column."""

    words: str
    come: int
    change: int
    go: int
    bars: Sequence[Bar]


WIDTH, HEIGHT, GAP = 1000.0, 160.0, 0.2


def plot(plans: Sequence[Plan]) -> dict[str, Any] | None:
    """Columns over time: what comes and changes upwards, what goes downwards."""
    by_day = _by_day(plans)
    if len(by_day) < 2:
        return None  # one number needs no picture
    first, last = min(by_day), max(by_day)
    step = 1 if (last - first).days < MOST_DAYS else 7
    if step == 7:
        first -= timedelta(days=first.weekday())
    count = (last - first).days // step + 1
    totals = [Counter[str]() for _column in range(count)]
    for day, counter in by_day.items():
        totals[(day - first).days // step].update(counter)
    up = max(sum(t[n] for n in UP) for t in totals)
    down = max(sum(t[n] for n in DOWN) for t in totals)
    scale = HEIGHT / (up + down)
    zero = up * scale
    width = WIDTH / count
    columns = [
        _column(number, width, zero, scale, total, first + timedelta(days=number * step), step)
        for number, total in enumerate(totals)
        if total
    ]
    return {
        "columns": columns,
        "zero": zero,
        "width": WIDTH,
        "height": HEIGHT,
        "first": date_format(first, DAY),
        "last": date_format(last, DAY),
        "weekly": step == 7,
        "most_up": up,
        "most_down": down,
    }


def _by_day(plans: Iterable[Plan]) -> dict[date, Counter[str]]:
    found: dict[date, Counter[str]] = {}
    for plan in plans:
        zone = zoneinfo.ZoneInfo(plan.resource.time_zone)
        for name, rows in (
            ("new", plan.create),
            ("again", [t for t in plan.revive if not t.stays_closed]),
            ("closed", [t for t in plan.revive if t.stays_closed]),
            ("changed", [there for there, _limits in plan.change]),
            ("legacy", plan.retire),
            ("removed", plan.delete),
            ("archived", plan.archive),
            ("legacy", plan.shut),
            ("again", plan.reopen),
        ):
            for row in rows:
                day = _local(row.starts_at, zone).date()
                found.setdefault(day, Counter())[name] += 1
    return found


def _column(
    number: int, width: float, zero: float, scale: float, total: Counter[str], day: date, step: int
) -> Column:
    bars = []
    x, wide = number * width + width * GAP / 2, width * (1 - GAP)
    top, bottom = zero, zero
    for name in UP:
        if total[name]:
            top -= total[name] * scale
            bars.append(_bar(x, top, wide, total[name] * scale, name))
    for name in DOWN:
        if total[name]:
            bars.append(_bar(x, bottom, wide, total[name] * scale, name))
            bottom += total[name] * scale
    words = date_format(day, DAY)
    if step > 1:
        words = _("week of %s") % words
    come, change = total["new"] + total["again"] + total["closed"], total["changed"]
    return Column(words, come, change, sum(total[n] for n in DOWN), bars)


def _bar(x: float, y: float, width: float, height: float, name: str) -> Bar:
    return Bar(round(x, 2), round(y, 2), round(width, 2), round(height, 2), name)


def outcome(applied: Applied) -> str:
    """What was done to slots, and whether more is to come."""
    counts = applied.counts()
    if applied.left is None:
        return done(counts)
    rest = _("Not all of its slots follow yet; the others do so within ten minutes.")
    changed = any(n for name, n in counts.items() if name not in ("keep", "bookings"))
    return f"{done(counts)} {rest}" if changed else rest


def done(counts: dict[str, int]) -> str:
    """One sentence on what was done to slots."""
    parts = [
        (_("%d new"), counts.get("create", 0)),
        (_("%d that fit again"), counts.get("revive", 0)),
        (_("%d changed"), counts.get("change", 0)),
        (_("%d made by hand closed"), counts.get("shut", 0)),
        (_("%d made by hand opened again"), counts.get("reopen", 0)),
        (_("%d gone"), counts.get("delete", 0) + counts.get("archive", 0)),
        (_("%d that keep their people and are offered to nobody new"), counts.get("retire", 0)),
    ]
    told = [words % count for words, count in parts if count]
    return _("Slots: %s.") % ", ".join(told) if told else _("No slot changes.")
