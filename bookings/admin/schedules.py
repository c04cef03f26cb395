"""The schedule of a resource: its versions, and the editor that makes a new one (B1, B2, F3)."""

from __future__ import annotations

import zoneinfo
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.forms import model_to_dict
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.dateformat import format as date_format
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from audit.admin.scope import staff_actor
from bookings.admin import schedule_preview, schedule_words, two_steps
from bookings.admin.base import Panel, person
from bookings.admin.schedule_forms import (
    MOST_ROWS,
    NUMBERS,
    SPARE_ROWS,
    ChangeForm,
    RuleForm,
    RuleFormSet,
    Rules,
)
from bookings.admin.show import DAY, when
from bookings.models import Resource, Schedule, ScheduleException, ScheduleRule
from bookings.permissions import may
from bookings.services import schedules

VIEW = "bookings.view_schedule"
CHANGE = "bookings.change_schedule"
MOST_EXCEPTIONS = 5


class SchedulePages:
    """Pages below a resource's own: its schedule, and the editor."""

    #: Shown below the schedule; apps above append theirs.
    schedule_panels: ClassVar[list[Panel]] = []

    def get_urls(self) -> list[URLPattern]:
        site: Any = self.admin_site  # type: ignore[attr-defined]
        pages = [
            path(
                "<uuid:pk>/schedule/",
                site.admin_view(self.schedule_page),
                name="bookings_resource_schedule",
            ),
            path(
                "<uuid:pk>/schedule/change/",
                site.admin_view(self.schedule_editor),
                name="bookings_resource_schedule_change",
            ),
        ]
        return pages + super().get_urls()  # type: ignore[misc,no-any-return]

    def resource_for(self, request: HttpRequest, pk: UUID, permission: str) -> Resource:
        """The resource of a page, if this person may see it and do this with it."""
        found: Resource | None = self.get_object_or_none(request, str(pk))  # type: ignore[attr-defined]
        if found is None:
            raise Http404
        if not may(person(request), permission, found.organization_id):
            raise PermissionDenied
        return found

    def schedule_page(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """The versions: in force, to come and past."""
        resource = self.resource_for(request, pk, VIEW)
        now = timezone.now()
        versions = list(
            Schedule.objects.filter(resource=resource).prefetch_related("rules").order_by("-number")
        )
        found = schedule_words.standings(versions, today=today_of(resource, now))
        cards = [_card(one, resource) for one in found]
        panels = [panel(request, resource) for panel in self.schedule_panels]
        return TemplateResponse(
            request,
            "admin/schedules/schedule.html",
            {
                **self._around(request, resource),
                "title": gettext("Schedule of %s") % resource,
                "current": [c for c in cards if c["state"] == "now"],
                "later": [c for c in cards if c["state"] == "later"],
                "past": [c for c in cards if c["state"] in ("over", "replaced")],
                "may_change": may(person(request), CHANGE, resource.organization_id),
                "exceptions": _coming_exceptions(resource, today_of(resource, now)),
                "panels": [
                    SafeString(render_to_string(*made, request=request)) for made in panels if made
                ],
            },
        )

    def schedule_editor(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Type the hours, look at what they do, then apply them."""
        resource = self.resource_for(request, pk, CHANGE)
        now = timezone.now()
        today = today_of(resource, now)
        newest = schedules.newest_number(resource)
        if request.method != "POST":
            form, rows = _preset(request, resource, today)
            return self._editor(request, resource, form, rows, two_steps.Outcome(), newest)
        sent = _with_more_rows(request.POST)
        known = _known(sent, newest)
        form = ChangeForm(sent, today=today)
        rows = Rules(sent, prefix="rules", form_kwargs={"resource": resource})
        outcome = two_steps.Outcome()
        if sent is request.POST and all([form.is_valid(), rows.is_valid()]) and known == newest:
            typed, rules = form.cleaned_data, rows.rules()
            outcome = two_steps.take(
                request,
                facts=(typed["valid_from"], [_facts(rule) for rule in rules]),
                look=lambda: schedules.preview_version(
                    resource=resource, valid_from=typed["valid_from"], rules=rules, now=now
                ),
                do=lambda seen: schedules.change_schedule(
                    resource_id=resource.pk,
                    organization_id=resource.organization_id,
                    valid_from=typed["valid_from"],
                    rules=rules,
                    note=typed["note"],
                    after=known,
                    seen=seen,
                    actor=staff_actor(request),
                    now=now,
                ),
            )
        if outcome.done is not None:
            version, applied = outcome.done
            text = gettext("Version %(number)d counts from %(day)s on.") % {
                "number": version.number,
                "day": date_format(version.valid_from, DAY),
            }
            text = f"{text} {schedule_preview.outcome(applied)}"
            level = messages.SUCCESS if applied.left is None else messages.WARNING
            self.message_user(request, text, level)  # type: ignore[attr-defined]
            return HttpResponseRedirect(
                reverse("admin:bookings_resource_schedule", args=[resource.pk])
            )
        meanwhile = _made_since(resource, known, today)
        if meanwhile:
            newest, outcome = meanwhile[0]["number"], two_steps.Outcome()
        elif outcome.error:
            two_steps.put_error(form, outcome)
        return self._editor(request, resource, form, rows, outcome, newest, meanwhile)

    def _editor(
        self,
        request: HttpRequest,
        resource: Resource,
        form: ChangeForm,
        rows: RuleFormSet,
        outcome: two_steps.Outcome,
        newest: int,
        meanwhile: Sequence[dict[str, Any]] = (),
    ) -> HttpResponse:
        """The page.

        Args:
            newest: the newest version there is, which the page now knows of.
            meanwhile: versions that others made while it was open.
        """
        previewed = outcome.preview
        today = today_of(resource, timezone.now())
        closes = previewed is not None and not rows.rules()
        return TemplateResponse(
            request,
            "admin/schedules/change.html",
            {
                **self._around(request, resource),
                "title": gettext("Change the schedule of %s") % resource,
                "form": form,
                "rows": rows,
                "outcome": outcome,
                "preview": schedule_preview.context(previewed) if previewed else None,
                "week": schedule_words.table(
                    rows.rules(), with_slots=resource.mode == Resource.Mode.SLOTS
                )
                if previewed
                else [],
                "closes": closes,
                "complain": request.POST.get("step") in (two_steps.LOOK, two_steps.DO),
                "replaced": _replaced(resource, form, today) if previewed else [],
                "ended": _ended(resource, form, today) if previewed else None,
                "newest": newest,
                "meanwhile": meanwhile,
            },
            status=409 if meanwhile else 200,
        )

    def _around(self, request: HttpRequest, resource: Resource) -> dict[str, Any]:
        site: Any = self.admin_site  # type: ignore[attr-defined]
        return {
            **site.each_context(request),
            "opts": Resource._meta,
            "resource": resource,
            "with_slots": resource.mode == Resource.Mode.SLOTS,
            "resource_url": reverse("admin:bookings_resource_change", args=[resource.pk]),
            "schedule_url": reverse("admin:bookings_resource_schedule", args=[resource.pk]),
        }


def today_of(resource: Resource, now: datetime) -> date:
    """Which day it is where a resource is."""
    return timezone.localtime(now, zoneinfo.ZoneInfo(resource.time_zone)).date()


def _preset(
    request: HttpRequest, resource: Resource, today: date
) -> tuple[ChangeForm, RuleFormSet]:
    """The form with the hours of the version in force, or of the one that is asked for."""
    versions = list(Schedule.objects.filter(resource=resource).prefetch_related("rules"))
    wanted = request.GET.get("version", "")
    standing = schedule_words.standings(versions, today=today)
    start = next(
        (
            s.version
            for s in standing
            if (str(s.version.number) == wanted if wanted else s.state == "now")
        ),
        None,
    )
    names = RuleForm.Meta.fields
    rows = [model_to_dict(rule, fields=names) for rule in start.rules.all()] if start else []
    if not start:
        rows = [{"weekdays": [1, 2, 3, 4, 5], "from_time": "09:00", "until_time": "17:00"}]
    form = ChangeForm(
        today=today, initial={"valid_from": today + timedelta(days=1) if start else today}
    )
    return form, Rules(initial=rows, prefix="rules", form_kwargs={"resource": resource})


def _replaced(resource: Resource, form: ChangeForm, today: date) -> list[dict[str, Any]]:
    """The versions to come that would never begin, as the new one has a higher number."""
    return [
        _card(one, resource)
        for one in _standings(resource, today)
        if one.state == "later" and one.version.valid_from >= form.cleaned_data["valid_from"]
    ]


def _ended(resource: Resource, form: ChangeForm, today: date) -> dict[str, Any] | None:
    """The version that the new one takes over from."""
    before = [
        one
        for one in _standings(resource, today)
        if one.state == "now"
        or (one.state == "later" and one.version.valid_from < form.cleaned_data["valid_from"])
    ]
    last = max(before, key=lambda one: one.version.number, default=None)
    return _card(last, resource) if last else None


def _known(sent: QueryDict, newest: int) -> int:
    """The newest version that the page knew of; one that does not say so is taken as it is."""
    text = sent.get("base", "")
    return int(text[:9]) if text.isdecimal() else newest


def _made_since(resource: Resource, known: int, today: date) -> list[dict[str, Any]]:
    """The versions that are newer than the page, the newest first."""
    return [
        _card(one, resource) for one in _standings(resource, today) if one.version.number > known
    ]


def _standings(resource: Resource, today: date) -> list[schedule_words.Standing]:
    versions = list(
        Schedule.objects.filter(resource=resource).prefetch_related("rules").order_by("-number")
    )
    return schedule_words.standings(versions, today=today)


def _with_more_rows(sent: QueryDict) -> QueryDict:
    """What was sent, with further empty rows if that is what was asked for."""
    if sent.get("step") != "more":
        return sent
    more = sent.copy()
    total = sent.get("rules-TOTAL_FORMS", "")
    if total.isdecimal():
        last = min(int(total[:4]) + SPARE_ROWS, MOST_ROWS)
        more["rules-TOTAL_FORMS"] = str(last)
        for number in range(int(total[:4]), last):
            for name in NUMBERS:  # what stands in an empty row
                field: Any = ScheduleRule._meta.get_field(name)
                more[f"rules-{number}-{name}"] = str(field.get_default())
    return more


def _facts(rule: ScheduleRule) -> tuple[Any, ...]:
    return tuple(getattr(rule, name) for name in RuleForm.Meta.fields)


def _card(standing: schedule_words.Standing, resource: Resource) -> dict[str, Any]:
    version = standing.version
    if standing.until:
        last = standing.until - timedelta(days=1)
        days = schedule_words.span(version.valid_from, last)
    else:
        days = schedule_words.span(version.valid_from, None)
    return {
        "state": standing.state,
        "words": standing.words,
        "colour": standing.colour,
        "number": version.number,
        "days": days,
        "made": schedule_words.made(version, when(version.created_at)),
        "note": version.note,
        "zone": "" if version.time_zone == resource.time_zone else version.time_zone,
        "week": schedule_words.table(
            version.rules.all(), with_slots=resource.mode == Resource.Mode.SLOTS
        ),
        "closed": not version.rules.all(),
    }


def _coming_exceptions(resource: Resource, today: date) -> list[dict[str, Any]]:
    kinds = Q(resource=resource) | Q(resource__isnull=True)
    if not resource.observes_holidays:
        kinds &= ~Q(kind=ScheduleException.Kind.HOLIDAY)
    found = ScheduleException.objects.filter(
        kinds,
        organization=resource.organization_id,
        last_day__gte=today,
        withdrawn_at__isnull=True,
    ).order_by("first_day", "pk")[:MOST_EXCEPTIONS]
    return [
        {
            "exception": one,
            "when": schedule_words.when(one),
            "url": reverse("admin:bookings_scheduleexception_change", args=[one.pk]),
        }
        for one in found
    ]


def schedule_of(request: HttpRequest, resource: Resource) -> tuple[str, dict[str, Any]] | None:
    """The version in force, below a resource's own page."""
    if not may(person(request), VIEW, resource.organization_id):
        return None
    versions = list(
        Schedule.objects.filter(resource=resource).prefetch_related("rules").order_by("-number")
    )
    standing = schedule_words.standings(versions, today=today_of(resource, timezone.now()))
    return "admin/schedules/panel.html", {
        "resource": resource,
        "current": next((_card(s, resource) for s in standing if s.state == "now"), None),
        "later": sum(s.state == "later" for s in standing),
        "with_slots": resource.mode == Resource.Mode.SLOTS,
        "may_change": may(person(request), CHANGE, resource.organization_id),
    }
