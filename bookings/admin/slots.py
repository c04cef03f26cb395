"""Slots: how full they are, opening and closing them, and making many (B1, B3, F3)."""

from __future__ import annotations

import zoneinfo
from datetime import date, datetime, time, timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db import DatabaseError, models
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.dateformat import format as date_format
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateTimeFilter
from unfold.decorators import action, display
from unfold.widgets import (
    INPUT_CLASSES,
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
)

from audit.admin.scope import go_to, staff_actor
from audit.errors import DomainError
from bookings.admin.base import (
    LongListMixin,
    OwnOrganizationFilter,
    OwnRelatedFilter,
    ScopedModelAdmin,
    person,
    refusal,
)
from bookings.admin.bookings import StartFilter
from bookings.admin.dialogs import Capacity, CapacityDialog, Reason, ReasonDialog, ask, attempt
from bookings.admin.make_slots import Plan
from bookings.admin.show import bar, booking_badge, link_to, slot_badge, slot_time, when
from bookings.lifecycle import LIVE, SLOT
from bookings.models import Booking, Resource, Slot
from bookings.permissions import may
from bookings.services import slots as services

ADD = "bookings.add_slot"
CHANGE = "bookings.change_slot"
LONGEST_PLAN = timedelta(days=370)
DAYS = [
    (1, _("Mon")),
    (2, _("Tue")),
    (3, _("Wed")),
    (4, _("Thu")),
    (5, _("Fri")),
    (6, _("Sat")),
    (7, _("Sun")),
]


class SlotStartFilter(StartFilter):
    """Slots from today on, unless somebody asks for others."""

    path = "starts_at"
    all_option = None

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            ("", _("From today on")),
            *super().lookups(request, model_admin)[:3],
            ("past", _("Past")),
            ("all", _("All")),
        ]

    def queryset(self, request: HttpRequest, queryset: models.QuerySet) -> models.QuerySet:
        if not self.value() and not any(k.startswith("starts_at") for k in request.GET):
            today = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
            return queryset.filter(starts_at__gte=today)
        return super().queryset(request, queryset)


def day_input() -> forms.DateInput:
    attrs = {"type": "date", "class": " ".join(INPUT_CLASSES)}
    return forms.DateInput(format="%Y-%m-%d", attrs=attrs)


def clock_input() -> forms.TimeInput:
    attrs = {"type": "time", "class": " ".join(INPUT_CLASSES)}
    return forms.TimeInput(format="%H:%M", attrs=attrs)


class MakeSlotsForm(forms.Form):
    """What to offer and when, on the clock of the resource."""

    resource = forms.ModelChoiceField(
        Resource.objects.none(), label=_("Resource"), widget=UnfoldAdminSelectWidget
    )
    first = forms.DateField(label=_("From day"), widget=day_input())
    last = forms.DateField(label=_("To day"), widget=day_input())
    weekdays = forms.TypedMultipleChoiceField(
        label=_("On"), choices=DAYS, coerce=int, widget=UnfoldAdminCheckboxSelectMultipleWidget
    )
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


@admin.register(Slot)
class SlotAdmin(LongListMixin, ScopedModelAdmin):
    """Times and counters are never typed over: every change is a button that calls a service."""

    provider_path = "resource__provider"
    list_display = ("time", "resource", "show_bookings", "show_units", "show_status")
    list_filter = (
        SlotStartFilter,
        ("resource", OwnRelatedFilter),
        ("status", ChoicesDropdownFilter),
        ("starts_at", RangeDateTimeFilter),
        ("organization", OwnOrganizationFilter),
    )
    list_filter_submit = True
    list_select_related = ("resource",)
    search_fields = ("resource__name",)
    search_help_text = _("Name of the resource")
    ordering = ("starts_at", "id")
    actions = ("close_chosen", "open_chosen", "change_capacity_chosen")
    actions_list = ("make_slots",)
    actions_detail = ("close_this", "open_this", "change_capacity_this")
    fieldsets = (
        (None, {"fields": (("resource_link", "time"), ("show_status", "organization"))}),
        (_("How full it is"), {"fields": (("show_bookings", "show_units"),)}),
    )
    readonly_fields = ("resource_link", "time", "show_status", "show_bookings", "show_units")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_manage_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        found = self.get_object_or_none(request, object_id) if object_id else None
        if object_id and found is None:
            return False
        return self.may(request, CHANGE, found)

    def has_make_permission(self, request: HttpRequest) -> bool:
        return self.may(request, ADD)

    def has_close_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self._allows(request, object_id, "close")

    def has_open_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self._allows(request, object_id, "open")

    def _allows(self, request: HttpRequest, object_id: Any, move: str) -> bool:
        if not object_id or not self.has_manage_permission(request, object_id):
            return False
        return SLOT.allows(move, self.get_object_or_none(request, object_id).status)

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        return super().get_queryset(request).select_related("resource")

    # --- many ------------------------------------------------------------------------------

    def _mine(self, request: HttpRequest, queryset: models.QuerySet[Slot]) -> list[Slot]:
        return [s for s in queryset if may(person(request), CHANGE, s.organization_id)]

    @admin.action(description=_("Close: offer them to nobody new"), permissions=["manage"])
    def close_chosen(
        self, request: HttpRequest, queryset: models.QuerySet[Slot]
    ) -> HttpResponse | None:
        chosen = self._mine(request, queryset)
        return ask(
            self,
            request,
            chosen,
            action="close_chosen",
            title=_("Close these slots"),
            words=_("They are offered to nobody new. Whoever is booked in them stays booked."),
            form_class=Reason,
            call=lambda typed: services.close_slots(
                slot_ids=[s.pk for s in chosen],
                actor=staff_actor(request),
                reason=typed["reason"],
            ),
            done=lambda closed: _counted(closed, _("closed")),
        )

    @admin.action(description=_("Open: offer them again"), permissions=["manage"])
    def open_chosen(
        self, request: HttpRequest, queryset: models.QuerySet[Slot]
    ) -> HttpResponse | None:
        chosen = self._mine(request, queryset)
        return ask(
            self,
            request,
            chosen,
            action="open_chosen",
            title=_("Open these slots"),
            words=_("Closed slots among them are offered again; the others stay as they are."),
            form_class=Reason,
            call=lambda typed: services.open_slots(
                slot_ids=[s.pk for s in chosen],
                actor=staff_actor(request),
                reason=typed["reason"],
            ),
            done=lambda opened: _counted(opened, _("opened")),
        )

    @admin.action(description=_("Change how many they take"), permissions=["manage"])
    def change_capacity_chosen(
        self, request: HttpRequest, queryset: models.QuerySet[Slot]
    ) -> HttpResponse | None:
        chosen = self._mine(request, queryset)
        return ask(
            self,
            request,
            chosen,
            action="change_capacity_chosen",
            title=_("Change how many they take"),
            words=_("All of them get both limits. If one has more people in it, none is changed."),
            form_class=Capacity,
            call=lambda typed: services.change_capacity(
                slot_ids=[s.pk for s in chosen], actor=staff_actor(request), **typed
            ),
            done=lambda changed: _counted(changed, _("changed")),
        )

    # --- one -------------------------------------------------------------------------------

    @action(
        description=_("Close"),
        icon="block",
        url_path="close",
        permissions=["close"],
        dialog={
            "title": _("Close this slot?"),
            "description": _("It is offered to nobody new. Whoever is booked stays booked."),
            "form_class": ReasonDialog,
            "form_submit_text": _("Close it"),
        },
    )
    def close_this(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        slot = self._slot(request, object_id)
        attempt(
            self,
            request,
            lambda: services.close_slots(
                slot_ids=[slot.pk],
                actor=staff_actor(request),
                reason=form.cleaned_data["reason"],
            ),
            gettext("The slot is closed."),
        )
        return go_to(request, reverse("admin:bookings_slot_change", args=[object_id]))

    @action(
        description=_("Open"),
        icon="lock_open",
        url_path="open",
        permissions=["open"],
        dialog={
            "title": _("Open this slot?"),
            "description": _("It is offered to everybody again."),
            "form_class": ReasonDialog,
            "form_submit_text": _("Open it"),
        },
    )
    def open_this(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        slot = self._slot(request, object_id)
        attempt(
            self,
            request,
            lambda: services.open_slots(
                slot_ids=[slot.pk],
                actor=staff_actor(request),
                reason=form.cleaned_data["reason"],
            ),
            gettext("The slot is open."),
        )
        return go_to(request, reverse("admin:bookings_slot_change", args=[object_id]))

    @action(
        description=_("Capacity"),
        icon="groups",
        url_path="capacity",
        permissions=["manage"],
        dialog={
            "title": _("How many does this slot take?"),
            "description": _("Never fewer than are in it already."),
            "form_class": CapacityDialog,
            "form_submit_text": _("Change"),
        },
    )
    def change_capacity_this(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        slot = self._slot(request, object_id)
        attempt(
            self,
            request,
            lambda: services.change_capacity(
                slot_ids=[slot.pk],
                actor=staff_actor(request),
                max_bookings=form.cleaned_data["max_bookings"],
                max_units=form.cleaned_data["max_units"],
                reason=form.cleaned_data["reason"],
            ),
            gettext("The slot takes other numbers now."),
        )
        return go_to(request, reverse("admin:bookings_slot_change", args=[object_id]))

    def _slot(self, request: HttpRequest, object_id: str) -> Slot:
        found = self.get_object_or_none(request, object_id)
        if found is None:
            raise Http404
        return found  # type: ignore[no-any-return]

    # --- making many -----------------------------------------------------------------------

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
                    )
                except (DomainError, DatabaseError) as error:
                    words = refusal(error)
                    if words is None:
                        raise
                    form.add_error(None, words)
                else:
                    self.message_user(request, _made(count, resource), messages.SUCCESS)
                    url = reverse("admin:bookings_slot_changelist")
                    return HttpResponseRedirect(f"{url}?resource__id__exact={resource.pk}")
            if not form.errors:
                preview = _preview(resource, plan, periods)
        return TemplateResponse(
            request,
            "admin/bookings/slot/make.html",
            {
                **self.admin_site.each_context(request),
                "title": _("Make slots"),
                "form": form,
                "preview": preview,
            },
        )

    def _resources(self, request: HttpRequest) -> models.QuerySet[Resource]:
        related = self.admin_site._registry[Resource]
        found = related.get_queryset(request).filter(is_active=True)
        user = person(request)
        mine = [r for r in found if may(user, ADD, r.organization_id)]
        return Resource.objects.filter(pk__in=[r.pk for r in mine])

    # --- columns ---------------------------------------------------------------------------

    @display(description=_("when"), ordering="starts_at")
    def time(self, slot: Slot) -> str:
        return slot_time(slot)

    @display(description=_("bookings"), ordering="taken_bookings")
    def show_bookings(self, slot: Slot) -> SafeString:
        return bar(slot.taken_bookings, slot.max_bookings)

    @display(description=_("people"), ordering="taken_units")
    def show_units(self, slot: Slot) -> SafeString:
        return bar(slot.taken_units, slot.max_units)

    @display(description=_("status"), ordering="status")
    def show_status(self, slot: Slot) -> SafeString:
        return slot_badge(slot)

    @display(description=_("resource"))
    def resource_link(self, slot: Slot) -> SafeString:
        return link_to(slot.resource)


def people_in(request: HttpRequest, slot: Slot) -> tuple[str, dict[str, Any]]:
    """Who is booked in a slot: those who take seats first, then those who did."""
    found = sorted(
        Booking.objects.filter(slot=slot).select_related("customer")[:300],
        key=lambda b: (b.status not in LIVE, b.created_at),
    )
    return "admin/holdfast/table_panel.html", {
        "title": gettext("People in it"),
        "headers": [
            gettext("Reference"),
            gettext("Customer"),
            gettext("People"),
            gettext("Status"),
            gettext("Made"),
        ],
        "rows": [
            [
                link_to(booking),
                booking.customer,
                booking.units,
                booking_badge(booking),
                when(booking.created_at),
            ]
            for booking in found
        ],
        "empty": gettext("Nobody has booked it yet."),
    }


SlotAdmin.panels.append(people_in)


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


def _counted(slots: list[Slot], done: Any) -> str:
    text = ngettext("%(n)d slot %(done)s.", "%(n)d slots %(done)s.", len(slots))
    return text % {"n": len(slots), "done": done}
