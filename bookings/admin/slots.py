"""Slots: how full they are, opening and closing them, and what made them (B1, B3, F3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin
from django.db import models
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateTimeFilter
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm

from audit.admin.scope import go_to, staff_actor
from audit.errors import StaleVersion
from bookings.admin.base import (
    LongListMixin,
    OwnOrganizationFilter,
    OwnRelatedFilter,
    ScopedModelAdmin,
    person,
)
from bookings.admin.bookings import StartFilter
from bookings.admin.dialogs import (
    Capacity,
    CapacityDialog,
    Reason,
    ReasonDialog,
    SeenField,
    ask,
    attempt,
    who_changed,
)
from bookings.admin.make_slots import ADD, MakeSlotsPage
from bookings.admin.show import bar, booking_badge, link, link_to, slot_badge, slot_time, when
from bookings.lifecycle import ENDED, LIVE, SLOT
from bookings.models import Booking, Slot
from bookings.permissions import may
from bookings.services import slots as services

CHANGE = "bookings.change_slot"


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


def change(
    name: str,
    service: Callable[..., list[Slot]],
    *,
    form: type[forms.Form],
    dialog: type[BaseDialogForm],
    label: Any,
    icon: str,
    permission: str,
    title: Any,
    words: Any,
    button: Any,
    done: Any,
    label_many: Any,
    title_many: Any,
    words_many: Any,
    done_many: Any,
    marks: Callable[[list[Slot]], dict[str, str]] = lambda chosen: {},
) -> tuple[Any, Any]:
    """A button on a slot's page and an action of the list that call the same service."""

    def one(self: SlotAdmin, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        slot = self.get_object_or_none(request, object_id)
        if slot is None:
            raise Http404
        given = {key: form.cleaned_data[key] for key in asked}
        actor = staff_actor(request)
        attempt(
            self,
            request,
            lambda: service(slot_ids=[slot.pk], actor=actor, now=timezone.now(), **given),
            done,
        )
        return go_to(request, reverse("admin:bookings_slot_change", args=[object_id]))

    def many(
        self: SlotAdmin, request: HttpRequest, queryset: models.QuerySet[Slot]
    ) -> HttpResponse | None:
        chosen = [s for s in queryset if may(person(request), CHANGE, s.organization_id)]
        ids, actor = [s.pk for s in chosen], staff_actor(request)
        return ask(
            self,
            request,
            chosen,
            action=f"{name}_chosen",
            title=title_many,
            words=words_many,
            form_class=form,
            call=lambda given: service(slot_ids=ids, actor=actor, now=timezone.now(), **given),
            done=lambda slots: _counted(slots, done_many),
            marks=lambda: marks(chosen),
        )

    asked = list(form.base_fields)
    one.__name__, many.__name__ = f"{name}_this", f"{name}_chosen"
    question = {
        "title": title,
        "description": words,
        "form_class": dialog,
        "form_submit_text": button,
    }
    path = name.rpartition("_")[2]
    button_of_one = action(
        description=label, icon=icon, url_path=path, permissions=[permission], dialog=question
    )
    return button_of_one(one), admin.action(description=label_many, permissions=["manage"])(many)


def change_capacity(**said: Any) -> list[Slot]:
    """The service, with the name of whoever changed a slot while it was looked at."""
    try:
        return services.change_capacity(**said)
    except StaleVersion as error:
        ids = error.extra["slots"]
        first = Slot.objects.select_related("resource").get(pk=ids[0])
        text = gettext(
            "%(who)s changed how many %(slot)s takes while you had this open: %(bookings)d bookings,"
            " %(units)d people now. Press the button again to change it all the same."
        ) % {
            "who": who_changed(first, "max_bookings", "max_units"),
            "slot": first,
            "bookings": first.max_bookings,
            "units": first.max_units,
        }
        raise StaleVersion(text, **error.extra) from error


@admin.register(Slot)
class SlotAdmin(MakeSlotsPage, LongListMixin, ScopedModelAdmin):
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
    actions = ("close_chosen", "open_chosen", "change_capacity_chosen", "follow_schedule_chosen")
    actions_list = ("make_slots",)
    actions_detail = ("close_this", "open_this", "change_capacity_this", "follow_schedule_this")
    fieldsets = (
        (
            None,
            {"fields": (("resource_link", "time"), ("show_status", "organization"), "made_by")},
        ),
        (_("How full it is"), {"fields": (("show_bookings", "show_units"),)}),
    )
    readonly_fields = (
        "resource_link",
        "time",
        "show_status",
        "show_bookings",
        "show_units",
        "made_by",
    )

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

    def has_follow_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        if not object_id or not self.has_manage_permission(request, object_id):
            return False
        return bool(self.get_object_or_none(request, object_id).limits_by_hand)

    def _allows(self, request: HttpRequest, object_id: Any, move: str) -> bool:
        if not object_id or not self.has_manage_permission(request, object_id):
            return False
        return SLOT.allows(move, self.get_object_or_none(request, object_id).status)

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        return super().get_queryset(request).select_related("resource")

    # --- opening, closing, capacity: one and many -------------------------------------------

    close_this, close_chosen = change(
        "close",
        services.close_slots,
        form=Reason,
        dialog=ReasonDialog,
        label=_("Close"),
        icon="block",
        permission="close",
        title=_("Close this slot?"),
        words=_("It is offered to nobody new. Whoever is booked stays booked."),
        button=_("Close it"),
        done=_("The slot is closed."),
        label_many=_("Close: offer them to nobody new"),
        title_many=_("Close these slots"),
        words_many=_("They are offered to nobody new. Whoever is booked in them stays booked."),
        done_many=_("closed"),
    )
    open_this, open_chosen = change(
        "open",
        services.open_slots,
        form=Reason,
        dialog=ReasonDialog,
        label=_("Open"),
        icon="lock_open",
        permission="open",
        title=_("Open this slot?"),
        words=_("It is offered to everybody again."),
        button=_("Open it"),
        done=_("The slot is open."),
        label_many=_("Open: offer them again"),
        title_many=_("Open these slots"),
        words_many=_("Closed slots among them are offered again; the others stay as they are."),
        done_many=_("opened"),
    )
    change_capacity_this, change_capacity_chosen = change(
        "change_capacity",
        change_capacity,
        form=Capacity,
        dialog=CapacityDialog,
        label=_("Capacity"),
        icon="groups",
        permission="manage",
        title=_("How many does this slot take?"),
        words=_("Never fewer than are in it already. The schedule leaves this alone from now on."),
        button=_("Change"),
        done=_("The slot takes other numbers now."),
        label_many=_("Change how many they take"),
        title_many=_("Change how many they take"),
        words_many=_(
            "All of them get both limits. If one has more people in it, none is changed. Their"
            " schedules leave these limits alone from now on."
        ),
        done_many=_("changed"),
        marks=lambda chosen: {"seen": SeenField.text(chosen)},
    )

    follow_schedule_this, follow_schedule_chosen = change(
        "follow_schedule",
        services.follow_schedule,
        form=Reason,
        dialog=ReasonDialog,
        label=_("Limits of the schedule"),
        icon="restart_alt",
        permission="follow",
        title=_("Take the limits of the schedule again?"),
        words=_("Never fewer than are in it. The schedule may change them again."),
        button=_("Follow the schedule"),
        done=_("The slot takes what its schedule says."),
        label_many=_("Take the limits of the schedule again"),
        title_many=_("Take the limits of the schedule again"),
        words_many=_(
            "Those whose limits were changed by hand take what their schedules say, never fewer than"
            " are in them. The others stay as they are."
        ),
        done_many=_("follow their schedule"),
    )

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

    @display(description=_("made"))
    def made_by(self, slot: Slot) -> SafeString:
        """By what it was made, and what that means for changes by hand."""
        if slot.source != Slot.Source.SCHEDULE:
            return format_html("{}", slot.get_source_display())
        url = reverse("admin:bookings_resource_schedule", args=[slot.resource_id])
        return format_html(
            '{} · {}<br><span class="hf-quiet">{}</span>',
            slot.get_source_display(),
            link(url, gettext("Open the schedule")),
            gettext("Its limits were changed by hand; the schedule leaves them alone.")
            if slot.limits_by_hand
            else gettext("What is changed here by hand stays when the schedule changes."),
        )

    @display(description=_("resource"))
    def resource_link(self, slot: Slot) -> SafeString:
        return link_to(slot.resource)


def people_in(request: HttpRequest, slot: Slot) -> tuple[str, dict[str, Any]]:
    """Who is booked in a slot: those who take seats first, then those who did."""
    found = sorted(
        Booking.objects.filter(slot=slot)
        .exclude(stands_for__isnull=False, status__in=ENDED)
        .select_related("customer", "stands_for")[:300],
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
                link_to(booking.stands_for or booking),
                booking.customer,
                booking.units,
                gettext("proposed time") if booking.stands_for_id else booking_badge(booking),
                when(booking.created_at),
            ]
            for booking in found
        ],
        "empty": gettext("Nobody has booked it yet."),
    }


SlotAdmin.panels.append(people_in)


def _counted(slots: list[Slot], done: Any) -> str:
    text = ngettext("%(n)d slot %(done)s.", "%(n)d slots %(done)s.", len(slots))
    return text % {"n": len(slots), "done": done}
