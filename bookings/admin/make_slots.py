"""Making many slots by hand: the arithmetic, which is pure, the form and the page (B1, F3).

What is offered every week has a schedule instead; see ``schedules.py``.
"""

from __future__ import annotations

import zoneinfo
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db import DatabaseError, models
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.dateformat import format as date_format
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminSelectWidget

from audit.admin.scope import staff_actor
from audit.errors import DomainError
from bookings.admin.base import person, refusal
from bookings.admin.inputs import clock_input, day_input, weekdays_field
from bookings.models import Resource, Slot
from bookings.permissions import may
from bookings.services import slots as services

ADD = "bookings.add_slot"
LONGEST_PLAN = timedelta(days=370)
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


class MakeSlotsForm(forms.Form):
    """What to offer and when, on the clock of the resource."""

    resource = forms.ModelChoiceField(
        Resource.objects.none(), label=_("Resource"), widget=UnfoldAdminSelectWidget
    )
    first = forms.DateField(label=_("From day"), widget=day_input())
    last = forms.DateField(label=_("To day"), widget=day_input())
    weekdays = weekdays_field(label=_("On"))
    start = forms.TimeField(label=_("First start"), widget=clock_input())
    until = forms.TimeField(
        label=_("Last end"),
        widget=clock_input(),
        help_text=_("00:00 is the end of the day."),
    )
    minutes = forms.IntegerField(
        label=_("Minutes each"),
        min_value=5,
        max_value=1440,
        initial=60,
        widget=UnfoldAdminIntegerFieldWidget,
    )
    gap_minutes = forms.IntegerField(
        label=_("Minutes between"),
        min_value=0,
        max_value=720,
        initial=0,
        widget=UnfoldAdminIntegerFieldWidget,
    )
    max_bookings = forms.IntegerField(
        label=_("Most bookings in each"),
        min_value=1,
        initial=1,
        widget=UnfoldAdminIntegerFieldWidget,
    )
    max_units = forms.IntegerField(
        label=_("Most people in each"),
        min_value=1,
        initial=1,
        widget=UnfoldAdminIntegerFieldWidget,
    )

    def __init__(self, *args: Any, resources: models.QuerySet[Resource], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["resource"].queryset = resources  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean() or {}
        first, last = cleaned.get("first"), cleaned.get("last")
        start, until = cleaned.get("start"), cleaned.get("until")
        if first and last and last < first:
            raise ValidationError({"last": gettext("This is before the first day.")})
        if first and last and last - first > LONGEST_PLAN:
            raise ValidationError({"last": gettext("One year at a time is the most.")})
        if start and until and until != time(0, 0) and until <= start:
            raise ValidationError({"until": gettext("This is not after the first start.")})
        resource = cleaned.get("resource")
        if resource and resource.exclusive and cleaned.get("max_bookings", 1) != 1:
            raise ValidationError(
                {"max_bookings": gettext("This resource takes one booking at a time.")}
            )
        return cleaned

    def plan(self) -> Plan:
        facts = self.cleaned_data
        return Plan(
            zone=facts["resource"].time_zone,
            first=facts["first"],
            last=facts["last"],
            weekdays=set(facts["weekdays"]),
            start=facts["start"],
            until=facts["until"],
            minutes=facts["minutes"],
            gap_minutes=facts["gap_minutes"],
        )


class MakeSlotsPage:
    """The page that makes slots by hand, beside their list."""

    @action(
        description=_("Make slots"), icon="add", url_path="make", permissions=["make"], attrs={}
    )
    def make_slots(self, request: HttpRequest) -> HttpResponse:
        """Say what is to be offered, look at what that comes to, then make it."""
        resources = self._resources(request)
        today = timezone.localdate()
        begin = {
            "first": today,
            "last": today + timedelta(days=27),
            "weekdays": [1, 2, 3, 4, 5],
            "start": time(9),
            "until": time(17),
            "resource": request.GET.get("resource"),
        }
        form = MakeSlotsForm(request.POST or None, resources=resources, initial=begin)
        preview: dict[str, Any] = {}
        if request.method == "POST" and form.is_valid():
            facts, plan = form.cleaned_data, form.plan()
            resource: Resource = facts["resource"]
            periods = [p for p in plan.periods() if p[0] > timezone.now()]
            if request.POST.get("step") == "make" and periods:
                try:
                    count = services.create_slots(
                        resource=resource,
                        periods=periods,
                        max_bookings=facts["max_bookings"],
                        max_units=facts["max_units"],
                        actor=staff_actor(request),
                        now=timezone.now(),
                    )
                except (DomainError, DatabaseError) as error:
                    words = refusal(error)
                    if words is None:
                        raise
                    form.add_error(None, words)
                else:
                    self.message_user(  # type: ignore[attr-defined]
                        request, _made(count, resource), messages.SUCCESS
                    )
                    url = reverse("admin:bookings_slot_changelist")
                    return HttpResponseRedirect(f"{url}?resource__id__exact={resource.pk}")
            if not form.errors:
                preview = _preview(resource, plan, periods)
        site: Any = self.admin_site  # type: ignore[attr-defined]
        return TemplateResponse(
            request,
            "admin/bookings/slot/make.html",
            {
                **site.each_context(request),
                "title": _("Make slots"),
                "form": form,
                "preview": preview,
            },
        )

    def _resources(self, request: HttpRequest) -> models.QuerySet[Resource]:
        site: Any = self.admin_site  # type: ignore[attr-defined]
        related = site._registry[Resource]
        found = related.get_queryset(request).filter(is_active=True)
        user = person(request)
        mine = [r for r in found if may(user, ADD, r.organization_id)]
        return Resource.objects.filter(pk__in=[r.pk for r in mine])


def _preview(
    resource: Resource, plan: Plan, periods: list[tuple[datetime, datetime]]
) -> dict[str, Any]:
    starts = [p[0] for p in periods]
    there = set(
        Slot.objects.filter(resource=resource, starts_at__in=starts)
        .exclude(status="legacy")
        .values_list("starts_at", "ends_at")
    )
    zone = zoneinfo.ZoneInfo(resource.time_zone)
    by_day: dict[date, list[str]] = {}
    for start, end in periods:
        local = start.astimezone(zone)
        text = f"{local:%H:%M}–{end.astimezone(zone):%H:%M}"
        by_day.setdefault(local.date(), []).append(text)
    return {
        "resource": resource,
        "count": len(periods) - sum(p in there for p in periods),
        "there": sum(p in there for p in periods),
        "days": len(by_day),
        "first_days": [
            (date_format(day, "D j M Y"), ", ".join(texts))
            for day, texts in list(by_day.items())[:7]
        ],
        "more_days": max(0, len(by_day) - 7),
        "clock_changes": [date_format(day, "D j M Y") for day in plan.changes()],
    }


def _made(count: int, resource: Resource) -> str:
    text = ngettext("%(n)d new slot of %(name)s.", "%(n)d new slots of %(name)s.", count)
    return text % {"n": count, "name": resource.name}
