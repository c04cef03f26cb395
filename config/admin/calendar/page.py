"""The page of the calendar: one day of many resources, or one week of one (B2, F3).

Everything is a link and needs no script. What is read is what the admin's lists would show this
person, so that a provider sees their own resources and nobody another organisation.
"""

from __future__ import annotations

import zoneinfo
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.contrib.admin import site
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.dateformat import format as date_format
from django.utils.translation import gettext as _

from bookings import selectors_calendar as calendar
from bookings import selectors_free_times as free_times
from bookings.admin.base import person
from bookings.admin.show import BOOKING_COLOURS
from bookings.lifecycle import BookingStatus
from bookings.models import Booking, Resource, Slot
from bookings.permissions import may as may_do
from bookings.selectors_calendar import Blocked, Sitting
from config.admin.calendar import asked as asking
from config.admin.calendar import blocks
from config.admin.calendar.asked import DAY, WEEK, Asked
from config.admin.calendar.axis import Axis, Day
from config.admin.calendar.blocks import Block, May
from config.admin.calendar.rights import what_may
from payments.services import desk

LONG_DAY = "l, j F Y"
SHORT_DAY = "D j M"


def page(request: HttpRequest) -> HttpResponse:
    """The calendar of what this person may see, on the day and for the resources asked for."""
    now = timezone.now()
    slots, resources = _rows(request, Slot), _rows(request, Resource)
    bookings = _rows(request, Booking, "with_stand_ins")
    asked = asking.read(request, resources, now=now)
    return TemplateResponse(
        request,
        "admin/calendar/page.html",
        {
            **site.each_context(request),
            "title": _("Calendar"),
            "is_week": asked.view == WEEK,
            "asked": asked,
            "kinds": Resource.Kind.choices,
            "legend": _legend(),
            "may_book": bool(asked.shown)
            and may_do(person(request), desk.BOOK, asked.shown[0].organization_id),
            **_around(asked),
            **(_grid(request, asked, slots, bookings, now=now) if asked.shown else {}),
        },
    )


def _rows(request: HttpRequest, model: type[Any], which: str = "get_queryset") -> QuerySet[Any]:
    """The rows of a model that this person may see."""
    model_admin = site._registry[model]
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    rows: QuerySet[Any] = getattr(model_admin, which)(request)
    return rows.order_by()


def _around(asked: Asked) -> dict[str, Any]:
    """The heading and the links to other days and views."""
    days = asked.days
    if asked.view == DAY:
        heading = date_format(asked.day, LONG_DAY)
    else:
        same = days[0].month == days[-1].month
        first = date_format(days[0], "j" if same else "j F")
        heading = f"{first} – {date_format(days[-1], 'j F Y')}"
    return {
        "heading": heading,
        "earlier_url": asked.url(day=(asked.day - asked.step).isoformat()),
        "later_url": asked.url(day=(asked.day + asked.step).isoformat()),
        "today_url": asked.url(day=asked.today.isoformat()),
        "is_today": asked.today in days,
        "day_url": asked.url(view=DAY, resource=None),
        "week_url": asked.url(view=WEEK, page=None),
        "all_url": asked.url(kind=None, names=None, resource=None, page=None),
        "pages": [
            {"number": n, "url": asked.url(page=n), "here": n == asked.page}
            for n in range(1, asked.pages + 1)
        ]
        if asked.pages > 1
        else [],
    }


def _grid(
    request: HttpRequest,
    asked: Asked,
    slots: QuerySet[Slot],
    bookings: QuerySet[Booking],
    *,
    now: datetime,
) -> dict[str, Any]:
    """The axis and the columns, each with its blocks."""
    shown = asked.shown
    organization_id = shown[0].organization_id
    zone, mixed = zone_of(asked)
    days = [Day.of(day, zone) for day in asked.days]
    start, end = days[0].start, days[-1].end
    found = calendar.sittings(slots, bookings, resources=shown, start=start, end=end, now=now)
    others = calendar.blocked(shown, start=start, end=end)
    closed = calendar.closed_days(organization_id, shown, first=asked.days[0], last=asked.days[-1])
    open_at = free_times.openings([r for r in shown if r.is_active], start, end, now=now)
    times = _times(*found.by_resource.values(), *others.values())
    scale = blocks.scale_for(times)
    times += [(o.starts_at, o.ends_at) for openings in open_at.values() for o in openings]
    spans = [
        (max(first, day.start), min(last, day.end))
        for day in days
        for first, last in times
        if first < day.end and last > day.start
    ]
    may = May(
        move=any(what_may(person(request), organization_id)),
        book=may_do(person(request), desk.BOOK, organization_id),
    )
    axis = Axis(days, zone, spans)
    columns = []
    for resource in shown:
        of_resource = (
            found.by_resource.get(resource.pk, []),
            others.get(resource.pk, []),
            [(resource, opening) for opening in open_at.get(resource.pk, [])],
        )
        for day in days:
            made = blocks.column(*of_resource, day=day, axis=axis, scale=scale, now=now, may=may)
            shut = closed.get((resource.pk, day.day), "")
            columns.append(
                _column(asked, resource, day, zone)
                | {"closed": shut}
                | _body(made, day=day, axis=axis, now=now)
            )
    # Not where something from the day before ends.
    begins = [
        axis.top(first) for day in days for first, _last in times if day.start <= first < day.end
    ]
    return {
        "columns": columns,
        "opens_at": blocks.at(min(begins)) if begins else "",
        "labels": [
            {"text": label.text, "classes": blocks.at(label.minutes)} for label in axis.labels()
        ],
        "axis_classes": blocks.long(axis.minutes),
        "scale": scale,
        "nothing": not any(column["blocks"] for column in columns)
        and all(resource.mode == Resource.Mode.SLOTS for resource in shown),
        "can_choose": any(block.starts for column in columns for block in column["blocks"]),
        "cut": found.cut,
        "zone": str(zone),
        "mixed": mixed,
        "long_days": [
            {"day": date_format(d.day, SHORT_DAY), "hours": f"{d.hours:g}"}
            for d in days
            if d.hours != 24
        ],
        "now": now,
    }


def _body(made: list[Block], *, day: Day, axis: Axis, now: datetime) -> dict[str, Any]:
    """What stands in a column."""
    return {
        "blocks": made,
        "is_over": bool(made) and all(b.state == "over" and not b.people for b in made),
        "missing": [
            f"{blocks.at(top)} {blocks.long(bottom - top)}" for top, bottom in axis.missing(day)
        ],
        "now": blocks.at(axis.top(now)) if day.start <= now < day.end and axis.shows(now) else "",
    }


def _times(*lists: Sequence[Sitting | Blocked]) -> list[tuple[datetime, datetime]]:
    """From when to when each of these is."""
    slots = [one.slot if isinstance(one, Sitting) else one for many in lists for one in many]
    return [(slot.starts_at, slot.ends_at) for slot in slots]


def zone_of(asked: Asked) -> tuple[zoneinfo.ZoneInfo, bool]:
    """Whose clock the axis is on: the resources', or the organisation's where theirs differ."""
    names = {resource.time_zone for resource in asked.shown}
    if len(names) == 1:
        return zoneinfo.ZoneInfo(names.pop()), False
    assert asked.organization is not None, "resources belong to one"
    return zoneinfo.ZoneInfo(asked.organization.time_zone), True


def _column(asked: Asked, resource: Resource, day: Day, zone: zoneinfo.ZoneInfo) -> dict[str, Any]:
    """What stands above a column: the resource in a day, the day in a week."""
    common = {
        "resource": resource,
        "resource_url": reverse("admin:bookings_resource_schedule", args=[resource.pk]),
        "is_today": day.day == asked.today,
    }
    if asked.view == WEEK:
        return common | {
            "title": date_format(day.day, SHORT_DAY),
            "url": asked.url(view=DAY, day=day.day.isoformat(), resource=None),
            "label": date_format(day.day, LONG_DAY),
        }
    note = "" if resource.time_zone == str(zone) else resource.time_zone
    return common | {
        "title": resource.name,
        "note": note,
        "url": asked.url(view=WEEK, resource=[str(resource.pk)], page=None),
        "label": resource.name,
    }


def _legend() -> list[dict[str, Any]]:
    return [
        {"words": status.label, "colour": BOOKING_COLOURS[status.value]}
        for status in BookingStatus
        if status in calendar.SEATED
    ]
