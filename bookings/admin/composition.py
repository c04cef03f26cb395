"""What a resource is made of and needs: courts of a hall, a room for a doctor (B5, F3)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.db import DatabaseError, models
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from audit.admin.scope import staff_actor
from audit.errors import DomainError
from bookings.admin.base import person, refusal
from bookings.admin.dialogs import reason_field
from bookings.admin.show import link_to, slot_time
from bookings.models import Pool, PoolNeed, Resource, ResourcePart, Slot
from bookings.permissions import may
from bookings.services import resources as services

CHANGE = "bookings.change_resource"
MOST_SLOTS = 20


class MadeOfForm(forms.Form):
    """Parts and pools of one resource; what does not fit together the service says."""

    parts = forms.ModelMultipleChoiceField(
        Resource.objects.none(),
        label=_("It is made of"),
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text=_(
            "Whoever books it takes these as well, and who books one of these blocks it. Only what"
            " takes one booking at a time can be a part."
        ),
    )
    pools = forms.ModelMultipleChoiceField(
        Pool.objects.none(),
        label=_("It needs one out of"),
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text=_("Of each pool one that is free is taken with every booking."),
    )
    reason = reason_field(required=False)

    def __init__(self, *args: Any, resource: Resource, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        mine = {"organization": resource.organization_id}
        named = models.Q(is_active=True, exclusive=True) | models.Q(whole_links__whole=resource)
        parts: Any = self.fields["parts"]
        pools: Any = self.fields["pools"]
        parts.queryset = Resource.objects.filter(named, **mine).exclude(pk=resource.pk).distinct()
        pools.queryset = Pool.objects.filter(**mine)


class CompositionPages:
    """The page that puts a resource together, below its own."""

    def get_urls(self) -> list[URLPattern]:
        site: Any = self.admin_site  # type: ignore[attr-defined]
        page = path(
            "<uuid:pk>/made-of/",
            site.admin_view(self.made_of_page),
            name="bookings_resource_made_of",
        )
        return [page, *super().get_urls()]  # type: ignore[misc]

    def made_of_page(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Tick parts and pools; slots to come follow at once."""
        resource: Resource = self.resource_for(request, pk, CHANGE)  # type: ignore[attr-defined]
        back = reverse("admin:bookings_resource_change", args=[resource.pk])
        begin = {
            "parts": ResourcePart.objects.filter(whole=resource).values_list("part", flat=True),
            "pools": PoolNeed.objects.filter(resource=resource).values_list("pool", flat=True),
        }
        form = MadeOfForm(request.POST or None, resource=resource, initial=begin)
        taken: list[Slot] = []
        if form.is_valid():
            try:
                services.compose(
                    resource_id=resource.pk,
                    organization_id=resource.organization_id,
                    part_ids=[one.pk for one in form.cleaned_data["parts"]],
                    pool_ids=[one.pk for one in form.cleaned_data["pools"]],
                    actor=staff_actor(request),
                    reason=form.cleaned_data["reason"],
                    now=timezone.now(),
                )
            except (DomainError, DatabaseError) as error:
                words = refusal(error)
                if words is None:
                    raise
                form.add_error(None, words)
                taken = _slots_in(error, resource)
            else:
                text = gettext("%s is put together like this from now on.") % resource
                self.message_user(request, text, messages.SUCCESS)  # type: ignore[attr-defined]
                return HttpResponseRedirect(back)
        site: Any = self.admin_site  # type: ignore[attr-defined]
        return TemplateResponse(
            request,
            "admin/schedules/made_of.html",
            {
                **site.each_context(request),
                "opts": Resource._meta,
                "title": gettext("What %s is made of") % resource,
                "resource": resource,
                "form": form,
                "taken": [(link_to(slot, slot_time(slot)), slot.resource) for slot in taken],
                "back": back,
            },
        )


def _slots_in(error: Exception, resource: Resource) -> list[Slot]:
    """The slots that the service named as the reason."""
    ids = getattr(error, "extra", {}).get("slots", [])[:MOST_SLOTS]
    return list(
        Slot.objects.filter(pk__in=ids, organization=resource.organization_id)
        .select_related("resource")
        .order_by("starts_at", "pk")
    )


def made_of(request: HttpRequest, resource: Resource) -> tuple[str, dict[str, Any]]:
    """Parts, pools and wholes of a resource, below its own page."""
    parts = ResourcePart.objects.filter(whole=resource).select_related("part")
    wholes = ResourcePart.objects.filter(part=resource).select_related("whole")
    needs = PoolNeed.objects.filter(resource=resource).select_related("pool")
    rows: list[list[Any]] = [
        *([gettext("Made of"), link_to(one.part)] for one in parts),
        *([gettext("Needs one out of"), link_to(one.pool)] for one in needs),
        *([gettext("Part of"), link_to(one.whole)] for one in wholes),
    ]
    found: dict[str, Any] = {
        "title": gettext("What it is made of"),
        "headers": ["", gettext("What")],
        "rows": rows,
        "empty": gettext("It stands for itself: whoever books it takes nothing else."),
    }
    if may(person(request), CHANGE, resource.organization_id):
        found["more"] = reverse("admin:bookings_resource_made_of", args=[resource.pk])
        found["more_text"] = gettext("Change what it is made of")
    return "admin/holdfast/table_panel.html", found
