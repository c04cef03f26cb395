"""What a resource is made of and needs: courts of a hall, a room for a doctor (B5, F3)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.db import DatabaseError, models, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from audit.admin.scope import staff_actor
from audit.errors import DomainError
from bookings import locks
from bookings.admin.base import person, refusal
from bookings.admin.dialogs import reason_field
from bookings.admin.merge import MARKS, Meanwhile, Merge, Ticks, as_text, marks_in, newest_lines
from bookings.admin.show import link_to, slot_time
from bookings.models import PEOPLE, Pool, PoolNeed, Provider, Resource, ResourcePart, Slot
from bookings.permissions import may
from bookings.services import resources as services

CHANGE = "bookings.change_resource"
MOST_SLOTS = 20
LINKS = (
    Ticks("parts", ResourcePart, "whole_id", "part_id"),
    Ticks("pools", PoolNeed, "resource_id", "pool_id"),
)


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
        # Before the links are read: a mark may be older than what is shown, never newer.
        marks = request.POST.get(MARKS) or as_text(_newest(resource))
        begin = {
            "parts": ResourcePart.objects.filter(whole=resource).values_list("part", flat=True),
            "pools": PoolNeed.objects.filter(resource=resource).values_list("pool", flat=True),
        }
        form = MadeOfForm(request.POST or None, resource=resource, initial=begin)
        taken: list[Slot] = []
        found: Meanwhile | None = None
        if form.is_valid():
            try:
                found = _compose(request, resource, form.cleaned_data)
            except (DomainError, DatabaseError) as error:
                words = refusal(error)
                if words is None:
                    raise
                form.add_error(None, words)
                taken = _slots_in(error, resource)
            else:
                if found is None:
                    text = gettext("%s is put together like this from now on.") % resource
                    self.message_user(request, text, messages.SUCCESS)  # type: ignore[attr-defined]
                    return HttpResponseRedirect(back)
                form = MadeOfForm(found.sent, resource=resource, initial=begin)
                marks = as_text(found.marks)
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
                "holdfast_marks": marks,
                "meanwhile": found,
                "meanwhile_headline": found and found.headline(person(request).pk),
            },
            status=409 if found else 200,
        )


def _newest(resource: Resource) -> dict[str, dict[str, int]]:
    return newest_lines([], [(links, resource.pk) for links in LINKS])


def _compose(request: HttpRequest, resource: Resource, said: dict[str, Any]) -> Meanwhile | None:
    """Call the service; or say what others changed since the page was shown, and change nothing."""
    with transaction.atomic():
        locks.composition()  # nobody changes links meanwhile
        marks = marks_in(request.POST)
        if marks is not None:
            found = Meanwhile(request.POST.copy(), _newest(resource))
            merge = Merge(request, found, ())
            for links in LINKS:
                merge.ticks(links, resource.pk, marks)
            if found.holds_back:
                return found
        services.compose(
            resource_id=resource.pk,
            organization_id=resource.organization_id,
            part_ids=[one.pk for one in said["parts"]],
            pool_ids=[one.pk for one in said["pools"]],
            actor=staff_actor(request),
            reason=said["reason"],
            now=timezone.now(),
        )
    return None


def _slots_in(error: Exception, resource: Resource) -> list[Slot]:
    """The slots that the service named as the reason."""
    ids = getattr(error, "extra", {}).get("slots", [])[:MOST_SLOTS]
    return list(
        Slot.objects.filter(pk__in=ids, organization=resource.organization_id)
        .select_related("resource")
        .order_by("starts_at", "pk")
    )


def _people(resource: Resource) -> list[list[Any]]:
    """Who is taken with it, and by what else they are."""
    numbers = [number for number in resource.parts if number > PEOPLE]
    if not numbers:
        return []
    found = []
    for provider in Provider.objects.filter(number__in=numbers).select_related("user"):
        others = (
            Resource.objects.filter(parts__contains=[provider.number])
            .exclude(pk=resource.pk)
            .order_by("name")
        )
        found.append([gettext("Takes the time of"), str(provider.user)])
        found += ([gettext("Not while they give"), link_to(one)] for one in others)
    return found


def made_of(request: HttpRequest, resource: Resource) -> tuple[str, dict[str, Any]]:
    """Parts, pools, wholes and people of a resource, below its own page."""
    parts = ResourcePart.objects.filter(whole=resource).select_related("part")
    wholes = ResourcePart.objects.filter(part=resource).select_related("whole")
    needs = PoolNeed.objects.filter(resource=resource).select_related("pool")
    rows: list[list[Any]] = [
        *([gettext("Made of"), link_to(one.part)] for one in parts),
        *([gettext("Needs one out of"), link_to(one.pool)] for one in needs),
        *([gettext("Part of"), link_to(one.whole)] for one in wholes),
        *_people(resource),
    ]
    found: dict[str, Any] = {
        "title": gettext("What it is made of"),
        "headers": ["", gettext("What")],
        "rows": rows,
        "empty": gettext("It stands for itself: whoever books it takes nothing and nobody else."),
    }
    if may(person(request), CHANGE, resource.organization_id):
        found["more"] = reverse("admin:bookings_resource_made_of", args=[resource.pk])
        found["more_text"] = gettext("Change what it is made of")
    return "admin/holdfast/table_panel.html", found
