"""How an organisation offers what came free, beside the organisation and for managers alone."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.admin import StackedInline

from bookings.admin.base import AuditedForm, ScopedInline, ScopedModelAdmin
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
