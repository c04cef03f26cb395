"""Bookings: the list, everything about one, and checking in by hand (F3).

Cancelling concerns money: ``payments/admin/cancelling.py`` adds it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.contrib import admin
from django.db import models
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter
from unfold.decorators import action, display
from unfold.enums import ActionVariant

from audit.admin.scope import go_to, staff_actor
from bookings.admin.base import (
    LongListMixin,
    OwnOrganizationFilter,
    OwnRelatedFilter,
    ScopedModelAdmin,
)
from bookings.admin.dialogs import OptionalReasonDialog, attempt
from bookings.admin.no_shows import NoShowActions
from bookings.admin.show import NOTHING, booking_badge, link_to, slot_time, when
from bookings.lifecycle import BOOKING
from bookings.models import Booking
from bookings.services import check_in as check_in_services

CHANGE = "bookings.change_booking"
CHECK_IN = "bookings.check_in_booking"


class StartFilter(DropdownFilter):
    """When the slot of a booking starts, on the reader's clock."""

    title = _("start")
    parameter_name = "when"
    path = "slot__starts_at"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            ("today", _("Today")),
            ("tomorrow", _("Tomorrow")),
            ("week", _("Next 7 days")),
            ("future", _("From now on")),
            ("past", _("Past")),
        ]

    def span(self) -> tuple[datetime | None, datetime | None]:
        """From when until when; None is for ever."""
        today = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
        return {
            "today": (today, today + timedelta(days=1)),
            "tomorrow": (today + timedelta(days=1), today + timedelta(days=2)),
            "week": (today, today + timedelta(days=7)),
            "future": (timezone.now(), None),
            "past": (None, timezone.now()),
        }.get(self.value() or "", (None, None))

    def queryset(self, request: HttpRequest, queryset: models.QuerySet) -> models.QuerySet:
        start, end = self.span()
        if start:
            queryset = queryset.filter(**{f"{self.path}__gte": start})
        if end:
            queryset = queryset.filter(**{f"{self.path}__lt": end})
        return queryset


@admin.register(Booking)
class BookingAdmin(NoShowActions, LongListMixin, ScopedModelAdmin):
    """Nothing here is typed over: every change is a button that calls a service."""

    provider_path = "slot__resource__provider"
    list_display = ("reference", "customer", "resource", "time", "units", "show_status", "made")
    list_filter = (
        ("status", ChoicesDropdownFilter),
        StartFilter,
        ("slot__resource", OwnRelatedFilter),
        ("organization", OwnOrganizationFilter),
    )
    list_filter_submit = True
    list_select_related = ("customer", "slot__resource")
    search_fields = ("^reference", "customer__name", "customer__email")
    search_help_text = _("Reference, or name or e-mail address of the customer")
    actions_detail: ClassVar[tuple[str, ...]] = ("check_in_this", "miss_this", "excuse_this")
    actions = ("miss_chosen", "excuse_chosen")
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("reference", "show_status"),
                    ("resource", "time"),
                    ("who", "units"),
                    ("slot_link", "organization"),
                )
            },
        ),
        (
            _("What happened when"),
            {
                "fields": (
                    ("made", "held_until_shown"),
                    ("requested", "pending_until_shown"),
                    ("confirmed", "checked_in"),
                    ("missed", "excused"),
                    ("reminded", "moved"),
                    ("ended", "ended_reason"),
                )
            },
        ),
    )
    readonly_fields = (
        "show_status",
        "resource",
        "time",
        "who",
        "slot_link",
        "made",
        "held_until_shown",
        "requested",
        "pending_until_shown",
        "confirmed",
        "checked_in",
        "missed",
        "excused",
        "reminded",
        "moved",
        "ended",
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        """Without what holds proposed times: those have no say of their own."""
        return self.with_stand_ins(request).filter(stands_for__isnull=True)

    def with_stand_ins(self, request: HttpRequest) -> models.QuerySet[Any]:
        """Whatever takes seats, as far as this person may see it."""
        return super().get_queryset(request).select_related("slot__resource", "customer")

    # --- buttons ---------------------------------------------------------------------------

    def has_cancel_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        booking = self.get_object_or_none(request, object_id) if object_id else None
        return (
            booking is not None
            and BOOKING.allows("cancel", booking.status)
            and self.may(request, CHANGE, booking)
        )

    def has_admit_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        booking = self.get_object_or_none(request, object_id) if object_id else None
        return (
            booking is not None
            and BOOKING.allows("check_in", booking.status)
            and self.may(request, CHECK_IN, booking)
        )

    @action(
        description=_("Check in"),
        icon="how_to_reg",
        url_path="check-in-by-hand",
        permissions=["admit"],
        variant=ActionVariant.PRIMARY,
        dialog={
            "title": _("Check this person in by hand?"),
            "description": _("For somebody who has no code with them. The code is used by it."),
            "form_class": OptionalReasonDialog,
            "form_submit_text": _("Check in"),
        },
    )
    def check_in_this(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        booking = self._booking(request, object_id)
        attempt(
            self,
            request,
            lambda: check_in_services.check_in_by_hand(
                booking_id=booking.pk,
                organization_id=booking.organization_id,
                actor=staff_actor(request),
                reason=form.cleaned_data["reason"],
                now=timezone.now(),
            ),
            gettext("%s is checked in.") % booking.customer,
        )
        return go_to(request, reverse("admin:bookings_booking_change", args=[object_id]))

    def _booking(self, request: HttpRequest, object_id: str) -> Booking:
        found = self.get_object_or_none(request, object_id)
        if found is None:
            raise Http404
        return found  # type: ignore[no-any-return]

    # --- columns ---------------------------------------------------------------------------

    @display(description=_("resource"), ordering="slot__resource__name")
    def resource(self, booking: Booking) -> str:
        return booking.slot.resource.name

    @display(description=_("when"), ordering="slot__starts_at")
    def time(self, booking: Booking) -> str:
        return slot_time(booking.slot)

    @display(description=_("status"), ordering="status")
    def show_status(self, booking: Booking) -> SafeString:
        return booking_badge(booking)

    @display(description=_("customer"))
    def who(self, booking: Booking) -> SafeString:
        return link_to(booking.customer)

    @display(description=_("slot"))
    def slot_link(self, booking: Booking) -> SafeString:
        return link_to(booking.slot, gettext("Who else is in it"))

    @display(description=_("made"), ordering="created_at")
    def made(self, booking: Booking) -> str:
        return when(booking.created_at)

    @display(description=_("hold ends"))
    def held_until_shown(self, booking: Booking) -> str:
        return when(booking.held_until)

    @display(description=_("checked out"))
    def requested(self, booking: Booking) -> str:
        return when(booking.requested_at)

    @display(description=_("expires unpaid"))
    def pending_until_shown(self, booking: Booking) -> str:
        return when(booking.pending_until)

    @display(description=_("confirmed"))
    def confirmed(self, booking: Booking) -> str:
        return when(booking.confirmed_at)

    @display(description=_("checked in"))
    def checked_in(self, booking: Booking) -> str:
        return when(booking.checked_in_at)

    @display(description=_("marked as a no-show"))
    def missed(self, booking: Booking) -> str:
        return when(booking.missed_at)

    @display(description=_("excused"))
    def excused(self, booking: Booking) -> str:
        return when(booking.excused_at)

    @display(description=_("reminded"))
    def reminded(self, booking: Booking) -> str:
        times = sorted(set(booking.reminders.values_list("created_at", flat=True)))
        return "; ".join(when(at) for at in times) or NOTHING

    @display(description=_("moved here"))
    def moved(self, booking: Booking) -> str:
        return when(booking.slot_since)

    @display(description=_("ended"))
    def ended(self, booking: Booking) -> str:
        return when(booking.ended_at)
