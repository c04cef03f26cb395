"""What is booked: courts, classes, doctors, and by which rules (B1, F3)."""

from __future__ import annotations

import zoneinfo
from typing import Any, ClassVar
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db import models
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminSelectWidget

from audit.admin.scope import staff_actor
from bookings.admin import schedule_preview, two_steps
from bookings.admin.base import (
    AuditedForm,
    OwnOrganizationFilter,
    ScopedModelAdmin,
    organizations_where,
)
from bookings.admin.composition import CompositionPages, made_of
from bookings.admin.resource_preview import ShownBeforeSaved
from bookings.admin.schedules import SchedulePages, schedule_of
from bookings.admin.show import bar, link, slot_badge, slot_time
from bookings.models import Resource, Schedule, Slot, User
from bookings.services import resources, schedules

MOST = 12
CHANGE = "bookings.change_resource"


class ZoneForm(forms.Form):
    """Another time zone for a resource that has a schedule."""

    time_zone = forms.ChoiceField(
        label=_("Time zone"),
        choices=[(name, name) for name in sorted(zoneinfo.available_timezones())],
        widget=UnfoldAdminSelectWidget,
        help_text=_("The hours of the schedule mean the clock of this zone from today on."),
    )


class ResourceForm(AuditedForm):
    class Meta:
        model = Resource
        fields = "__all__"

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean() or {}
        provider = cleaned.get("provider")
        organization = cleaned.get("organization") or (
            self.instance.organization if self.instance.organization_id else None
        )
        if (
            provider
            and organization
            and not provider.memberships.filter(organization=organization).exists()
        ):
            raise ValidationError(
                {"provider": gettext("This person does not work in this organisation.")}
            )
        return cleaned


@admin.register(Resource)
class ResourceAdmin(ShownBeforeSaved, SchedulePages, CompositionPages, ScopedModelAdmin):
    form = ResourceForm
    provider_path = "provider"
    list_display = (
        "name",
        "show_kind",
        "provider",
        "exclusive",
        "time_zone",
        "is_active",
        "to_schedule",
        "to_slots",
    )
    list_filter = (
        ("kind", ChoicesDropdownFilter),
        "is_active",
        ("organization", OwnOrganizationFilter),
    )
    list_select_related = ("provider", "organization")
    search_fields = ("name",)
    inlines: ClassVar[Any] = ()
    actions_detail = ("open_schedule",)

    class Media:
        css = {"all": ("holdfast/schedules.css",)}

    conditional_fields = dict.fromkeys(
        ("grid_minutes", "shortest_minutes", "longest_minutes"), "mode == 'free_times'"
    )
    fieldsets = (
        (None, {"fields": ("organization", "name", ("kind", "is_active"), "description")}),
        (
            _("How it is booked"),
            {
                "fields": (
                    ("exclusive", "provider"),
                    "mode",
                    "grid_minutes",
                    ("shortest_minutes", "longest_minutes"),
                    ("buffer_before_minutes", "buffer_after_minutes"),
                    ("time_zone", "observes_holidays"),
                ),
                "description": _(
                    "Minutes kept free before and after are those of slots made by hand and of"
                    " free times; a schedule has its own for each of its hours."
                ),
            },
        ),
        (
            _("What customers may ask for"),
            {
                "fields": (
                    ("notice_minutes", "horizon_days"),
                    ("most_live_bookings", "needs_approval"),
                    "takes_waitlist",
                    "customers_may_cancel",
                    ("cancel_until_minutes", "reschedule_until_minutes"),
                ),
                "description": _(
                    "Staff are not bound by these. 60 minutes are an hour, 1440 a day, 10080 a"
                    " week; 0 means up to the start."
                ),
            },
        ),
    )

    def get_urls(self) -> list[URLPattern]:
        page = path(
            "<uuid:pk>/time-zone/",
            self.admin_site.admin_view(self.time_zone_page),
            name="bookings_resource_time_zone",
        )
        return [page, *super().get_urls()]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Only what was never offered goes; slots protect their resource."""
        return self.may(request, self.permission("delete"), obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        found = super().get_readonly_fields(request, obj)
        if obj is None:
            return found
        if Slot.objects.filter(resource=obj).exists():
            found = (*found, "exclusive")
        if Schedule.objects.filter(resource=obj).exists():
            found = (*("zone_link" if f == "time_zone" else f for f in found), "zone_link")
        return found

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """The zone of a resource with a schedule has a page of its own, which shows what moves."""
        found = super().get_fieldsets(request, obj)
        if "zone_link" not in self.get_readonly_fields(request, obj):
            return found
        return [(title, _with_zone_link(options)) for title, options in found]

    def save_model(self, request: HttpRequest, obj: Resource, form: Any, change: bool) -> None:
        if change and "provider" in form.changed_data:
            resources.check_provider(obj, now=timezone.now())
        super().save_model(request, obj, form, change)

    @action(
        description=_("Schedule"),
        icon="calendar_clock",
        url_path="open-schedule",
        permissions=["open_schedule"],
    )
    def open_schedule(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:bookings_resource_schedule", args=[object_id]))

    def has_open_schedule_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        found = self.get_object_or_none(request, object_id) if object_id else None
        return found is not None and self.may(request, "bookings.view_schedule", found)

    def time_zone_page(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Choose a zone, look at what it moves, then move it."""
        resource = self.resource_for(request, pk, CHANGE)
        now = timezone.now()
        form = ZoneForm(request.POST or None, initial={"time_zone": resource.time_zone})
        outcome = two_steps.Outcome()
        if form.is_valid():
            zone = form.cleaned_data["time_zone"]
            outcome = two_steps.take(
                request,
                facts=zone,
                look=lambda: schedules.preview_zone(resource=resource, time_zone=zone, now=now),
                do=lambda seen: schedules.move_to_zone(
                    resource_id=resource.pk,
                    organization_id=resource.organization_id,
                    time_zone=zone,
                    seen=seen,
                    actor=staff_actor(request),
                    now=now,
                ),
            )
            two_steps.put_error(form, outcome)
        if outcome.done is not None:
            text = gettext("%(name)s is on the clock of %(zone)s now.")
            words = text % {"name": resource, "zone": form.cleaned_data["time_zone"]}
            words = f"{words} {schedule_preview.outcome(outcome.done)}"
            level = messages.SUCCESS if outcome.done.left is None else messages.WARNING
            self.message_user(request, words, level)
            url = reverse("admin:bookings_resource_schedule", args=[resource.pk])
            return HttpResponseRedirect(url)
        return TemplateResponse(
            request,
            "admin/schedules/time_zone.html",
            {
                **self._around(request, resource),
                "title": gettext("Time zone of %s") % resource,
                "form": form,
                "outcome": outcome,
                "preview": outcome.preview and schedule_preview.context(outcome.preview),
            },
        )

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        found: dict[str, Any] = super().get_changeform_initial_data(request)
        only = list(organizations_where(request, self.permission("add"))[:2])
        if len(only) == 1:
            found.setdefault("time_zone", only[0].time_zone)
        return found

    def choices_for(
        self, request: HttpRequest, db_field: models.ForeignKey
    ) -> models.QuerySet[Any] | None:
        if db_field.name == "provider":
            mine = organizations_where(request, self.permission("add"), self.permission("change"))
            return User.objects.filter(memberships__organization__in=mine).distinct()
        return super().choices_for(request, db_field)

    @display(description=_("kind"), ordering="kind")
    def show_kind(self, resource: Resource) -> str:
        return resource.get_kind_display()

    @display(description=_("time zone"))
    def zone_link(self, resource: Resource) -> SafeString:
        url = reverse("admin:bookings_resource_time_zone", args=[resource.pk])
        return format_html("{} · {}", resource.time_zone, link(url, gettext("Change it")))

    @display(description=_("schedule"))
    def to_schedule(self, resource: Resource) -> SafeString:
        url = reverse("admin:bookings_resource_schedule", args=[resource.pk])
        return link(url, gettext("Schedule"))

    @display(description=_("slots"))
    def to_slots(self, resource: Resource) -> SafeString:
        url = reverse("admin:bookings_slot_changelist")
        return link(f"{url}?resource__id__exact={resource.pk}", gettext("Slots"))


def _with_zone_link(options: dict[str, Any]) -> dict[str, Any]:
    def swap(name: Any) -> Any:
        if isinstance(name, tuple | list):
            return tuple(swap(one) for one in name)
        return "zone_link" if name == "time_zone" else name

    return {**options, "fields": tuple(swap(name) for name in options["fields"])}


def next_slots(request: HttpRequest, resource: Resource) -> tuple[str, dict[str, Any]]:
    """The next slots of a resource."""
    following = (
        Slot.objects.filter(resource=resource, ends_at__gt=timezone.now())
        .select_related("resource")
        .order_by("starts_at", "pk")[:MOST]
    )
    url = reverse("admin:bookings_slot_changelist")
    return "admin/holdfast/table_panel.html", {
        "title": gettext("Next slots"),
        "headers": [gettext("When"), gettext("Bookings"), gettext("People"), gettext("Status")],
        "rows": [
            [
                link(reverse("admin:bookings_slot_change", args=[slot.pk]), slot_time(slot)),
                bar(slot.taken_bookings, slot.max_bookings),
                bar(slot.taken_units, slot.max_units),
                slot_badge(slot),
            ]
            for slot in following
        ],
        "empty": gettext("Nobody has booked a time to come; slots are made with bookings.")
        if resource.mode == Resource.Mode.FREE_TIMES
        else gettext("It is offered at no time yet. Make a schedule, or slots by hand."),
        "more": f"{url}?resource__id__exact={resource.pk}",
        "more_text": gettext("All of them"),
    }


ResourceAdmin.panels += [schedule_of, next_slots, made_of]
