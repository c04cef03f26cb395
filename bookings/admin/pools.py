"""Pools: resources of which any will do, such as the rooms of a clinic (B5, F3)."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from bookings.admin.base import AuditedForm, OwnOrganizationFilter, ScopedModelAdmin, person
from bookings.admin.merge import Ticks
from bookings.admin.show import link_to, slot_time
from bookings.models import Pool, PoolMember, PoolNeed, Resource, Slot
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
        if self.instance.pk and "resources" in cleaned:
            self._check_picked(cleaned["resources"])
        return cleaned

    def _check_picked(self, wanted: QuerySet[Resource]) -> None:
        """What people to come were given stays in; the database says the same."""
        pool = self.instance
        for resource in Resource.objects.filter(
            pk__in=pool.members.exclude(resource__in=wanted).values("resource")
        ):
            first = _first_that_picked(resource, pool)
            if first is not None:
                text = gettext(
                    "%(resource)s was given to people who are still to come, first to those in"
                    " %(slot)s, %(time)s. Move them first; or make it inactive, so that nobody new"
                    " gets it."
                )
                words = {"resource": resource, "slot": first.resource, "time": slot_time(first)}
                raise ValidationError({"resources": text % words})


def _first_that_picked(resource: Resource, pool: Pool) -> Slot | None:
    """The next slot whose people were given a resource out of a pool."""
    slots = Slot.objects.filter(
        organization=pool.organization_id,
        ends_at__gt=timezone.now(),
        taken_bookings__gt=0,
        pools__contains=[pool.pk],
        picked__contains=[resource.number],
    )
    for slot in slots.select_related("resource").order_by("starts_at").iterator():
        if slot.picked[slot.pools.index(pool.pk)] == resource.number:
            return slot
    return None


@admin.register(Pool)
class PoolAdmin(ScopedModelAdmin):
    form = PoolForm
    list_display = ("name", "show_members", "show_needs")
    list_filter = (("organization", OwnOrganizationFilter),)
    search_fields = ("name",)
    ticks = (Ticks("resources", PoolMember, "pool_id", "resource_id"),)

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
