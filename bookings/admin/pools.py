"""Pools: resources of which any will do, such as the rooms of a clinic (B5, F3)."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from bookings.admin.base import AuditedForm, OwnOrganizationFilter, ScopedModelAdmin, person
from bookings.admin.show import link_to
from bookings.models import Pool, PoolMember, PoolNeed, Resource
from bookings.permissions import may


class PoolForm(AuditedForm):
    resources = forms.ModelMultipleChoiceField(
        Resource.objects.none(),
        label=_("Members"),
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text=_(
            "Resources that take one booking at a time and are not made of others. Whoever needs"
            " one out of this pool gets the first that is free."
        ),
    )

    class Meta:
        model = Pool
        fields = ("organization", "name")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields.get("resources")
        if field is None:  # somebody who may only look
            return
        if self.instance.organization_id:
            fit = Resource.objects.filter(
                organization=self.instance.organization_id,
                exclusive=True,
                parts=[],
                pools=[],
            )
            field.queryset = fit.order_by("name")
            field.initial = list(self.instance.members.values_list("resource", flat=True))
        else:
            del self.fields["resources"]

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean() or {}
        needed = self.instance.pk and PoolNeed.objects.filter(pool=self.instance).exists()
        if needed and "resources" in cleaned and not cleaned["resources"]:
            text = gettext("Some resources need one out of this pool, so it cannot be empty.")
            raise ValidationError({"resources": text})
        return cleaned


@admin.register(Pool)
class PoolAdmin(ScopedModelAdmin):
    form = PoolForm
    list_display = ("name", "show_members", "show_needs")
    list_filter = (("organization", OwnOrganizationFilter),)
    search_fields = ("name",)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Only what nobody needs goes; a need protects its pool."""
        return self.may(request, self.permission("delete"), obj)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        members, needs = Count("members", distinct=True), Count("needs", distinct=True)
        found: QuerySet[Any] = super().get_queryset(request)
        counted: QuerySet[Any] = found.annotate(member_count=members, need_count=needs)
        return counted

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        names = ["organization", "name"]
        if obj is not None and may(person(request), self.permission("change"), obj.organization_id):
            names.append("resources")
        found = list(super().get_fieldsets(request, obj))
        return [(None, {"fields": names}), *found[1:]]

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: Any = None) -> Any:
        """On to the members, which depend on the organisation."""
        sent = request.POST.copy()
        sent["_continue"] = "1"
        request.POST = sent  # type: ignore[assignment]
        return super().response_add(request, obj, post_url_continue)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        if "resources" not in form.cleaned_data:
            return
        pool, wanted = form.instance, {one.pk for one in form.cleaned_data["resources"]}
        members = PoolMember.objects.filter(pool=pool)
        known = set(members.values_list("resource_id", flat=True))
        members.exclude(resource__in=wanted).delete()
        PoolMember.objects.bulk_create(
            PoolMember(pool=pool, resource_id=pk) for pk in sorted(wanted - known)
        )

    @display(description=_("members"), ordering="member_count")
    def show_members(self, pool: Any) -> int:
        return int(pool.member_count)

    @display(description=_("needed by"), ordering="need_count")
    def show_needs(self, pool: Any) -> int:
        return int(pool.need_count)


def members_of(request: HttpRequest, pool: Pool) -> tuple[str, dict[str, Any]]:
    """What is in a pool, and who needs it."""
    members = PoolMember.objects.filter(pool=pool).select_related("resource")
    needs = PoolNeed.objects.filter(pool=pool).select_related("resource")
    return "admin/holdfast/table_panel.html", {
        "title": gettext("In use"),
        "headers": ["", gettext("Resource")],
        "rows": [
            *([gettext("Member"), link_to(m.resource)] for m in members.order_by("resource__name")),
            *(
                [gettext("Needs one of them"), link_to(n.resource)]
                for n in needs.order_by("resource__name")
            ),
        ],
        "empty": gettext("Nothing is in it yet. Tick members above and save."),
    }


PoolAdmin.panels.append(members_of)
