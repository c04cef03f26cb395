"""What is booked: courts, classes, doctors; their prices stand beside them (F3)."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db import models
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from bookings.admin.base import (
    AuditedForm,
    OwnOrganizationFilter,
    ScopedModelAdmin,
    organizations_where,
)
from bookings.admin.show import bar, link, slot_badge, slot_time
from bookings.models import Resource, Slot, User

MOST = 12


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
class ResourceAdmin(ScopedModelAdmin):
    form = ResourceForm
    provider_path = "provider"
    list_display = (
        "name",
        "show_kind",
        "provider",
        "exclusive",
        "time_zone",
        "is_active",
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
    fieldsets = (
        (None, {"fields": ("organization", "name", ("kind", "is_active"), "description")}),
        (
            _("How it is booked"),
            {
                "fields": (
                    ("exclusive", "provider"),
                    ("buffer_before_minutes", "buffer_after_minutes"),
                    "time_zone",
                )
            },
        ),
    )

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Only what was never offered goes; slots protect their resource."""
        return self.may(request, self.permission("delete"), obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        found = super().get_readonly_fields(request, obj)
        has_slots = obj is not None and Slot.objects.filter(resource=obj).exists()
        return (*found, "exclusive") if has_slots else found

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

    @display(description=_("slots"))
    def to_slots(self, resource: Resource) -> SafeString:
        url = reverse("admin:bookings_slot_changelist")
        return link(f"{url}?resource__id__exact={resource.pk}", gettext("Slots"))


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
        "empty": gettext("It is offered at no time yet. Make slots to let people book it."),
        "more": f"{url}?resource__id__exact={resource.pk}",
        "more_text": gettext("All of them"),
    }


ResourceAdmin.panels.append(next_slots)
