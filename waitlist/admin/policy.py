"""How an organisation offers what came free, beside the organisation and for managers alone."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.admin import StackedInline

from bookings.admin.base import AuditedForm, ScopedInline, ScopedModelAdmin, organizations_where
from bookings.admin.organizations import OrganizationAdmin
from waitlist.models import WaitlistPolicy


class PolicyInline(ScopedInline, StackedInline):
    model = WaitlistPolicy
    can_delete = False
    max_num = 1
    tab = True
    verbose_name_plural = _("Waitlist")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


OrganizationAdmin.inlines = (*OrganizationAdmin.inlines, PolicyInline)


class PolicyForm(AuditedForm):
    class Meta:
        model = WaitlistPolicy
        fields = "__all__"


@admin.register(WaitlistPolicy)
class PolicyAdmin(ScopedModelAdmin):
    """For managers, who may say how long offers stand but not change the organisation itself."""

    form = PolicyForm
    list_display = ("organization", "offer_hours", "offer_until_minutes", "closes_when_approved")
    list_select_related = ("organization",)
    empty_text = _(
        "There are no rules of your own yet: whoever is offered seats has 12 hours to answer, and"
        " until 60 minutes before the start."
    )

    def choices_for(
        self, request: HttpRequest, db_field: models.ForeignKey
    ) -> models.QuerySet[Any] | None:
        """Organisations that have no rules yet."""
        found = super().choices_for(request, db_field)
        return found.filter(waitlist_policy=None) if found is not None else None

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nothing can be added where every organisation has its rules."""
        mine = organizations_where(request, self.permission("add"))
        return mine.filter(waitlist_policy=None).exists()
