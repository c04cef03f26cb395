"""Customers with their bookings (F3)."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from bookings.admin.base import (
    AuditedForm,
    LongListMixin,
    OwnOrganizationFilter,
    ScopedModelAdmin,
    person,
)
from bookings.admin.no_shows import no_shows_of
from bookings.admin.show import booking_badge, link_to, slot_time, when
from bookings.models import Booking, Customer
from bookings.permissions import may

MOST = 20


class CustomerForm(AuditedForm):
    class Meta:
        model = Customer
        fields = ("organization", "name", "email", "phone", "language", "time_zone", "notes")


@admin.register(Customer)
class CustomerAdmin(LongListMixin, ScopedModelAdmin):
    form = CustomerForm
    list_display = ("name", "email", "phone", "account", "since")
    list_filter = (("organization", OwnOrganizationFilter),)
    search_fields = ("name", "email", "phone")
    search_help_text = _("Name, e-mail address or phone number")
    fieldsets = (
        (None, {"fields": ("organization", "name", "email", "phone")}),
        (_("Language and time"), {"fields": (("language", "time_zone"),)}),
        (_("For the staff"), {"fields": ("notes", ("account", "since"), "no_shows")}),
    )
    readonly_fields = ("account", "since", "no_shows")

    @display(description=_("account"), boolean=True)
    def account(self, customer: Customer) -> bool:
        return customer.user_id is not None

    @display(description=_("no-shows"))
    def no_shows(self, customer: Customer) -> str:
        return no_shows_of(customer) if customer.pk and not customer._state.adding else "–"

    @display(description=_("customer since"), ordering="created_at")
    def since(self, customer: Customer) -> str:
        return when(customer.created_at) if customer.created_at else "–"


def bookings_of_customer(
    request: HttpRequest, customer: Customer
) -> tuple[str, dict[str, Any]] | None:
    """The newest bookings of a customer."""
    if not may(person(request), "bookings.view_booking", customer.organization_id):
        return None
    newest = (
        Booking.objects.filter(customer=customer, stands_for__isnull=True)
        .select_related("slot__resource")
        .order_by("-created_at", "-pk")[:MOST]
    )
    rows: list[list[str | SafeString]] = [
        [
            link_to(booking),
            booking.slot.resource.name,
            slot_time(booking.slot),
            str(booking.units),
            booking_badge(booking),
        ]
        for booking in newest
    ]
    url = reverse("admin:bookings_booking_changelist")
    return "admin/holdfast/table_panel.html", {
        "title": gettext("Bookings"),
        "headers": [
            gettext("Reference"),
            gettext("Resource"),
            gettext("When"),
            gettext("People"),
            gettext("Status"),
        ],
        "rows": rows,
        "empty": gettext("No bookings yet."),
        "more": f"{url}?when=all&customer__id__exact={customer.pk}",
        "more_text": gettext("All of them"),
    }


CustomerAdmin.panels.append(bookings_of_customer)
