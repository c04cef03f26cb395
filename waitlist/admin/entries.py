"""The line: who waits for what, and what staff do about it (F3)."""

from __future__ import annotations

import uuid
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
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminSelectWidget

from audit.admin.scope import go_to, staff_actor
from bookings.admin.base import (
    LongListMixin,
    OwnOrganizationFilter,
    OwnRelatedFilter,
    ScopedModelAdmin,
    person,
)
from bookings.admin.dialogs import Reason, ReasonDialog, ask, attempt, reason_field
from bookings.admin.show import NOTHING, link_to, slot_time, when
from bookings.lifecycle import SlotStatus
from bookings.models import Slot
from bookings.permissions import may
from waitlist import selectors
from waitlist.admin import panels, show
from waitlist.lifecycle import GOING_ON, IN_LINE, EntryStatus, OfferStatus
from waitlist.models import Offer, WaitlistEntry
from waitlist.services import line

OFFER = "waitlist.offer_waitlistentry"
MOST_SLOTS = 100


class LineFilter(admin.SimpleListFilter):
    """Those whose story goes on, unless somebody asks for others."""

    title = _("state")
    parameter_name = "line"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            ("waiting", _("Waiting")),
            ("offered", _("Offered seats")),
            ("soon", _("Offer ends within an hour")),
            ("over", _("Over")),
            ("all", _("All")),
        ]

    def choices(self, changelist: Any) -> Any:
        first, *others = super().choices(changelist)
        yield {**first, "display": _("In line")}
        yield from others

    def queryset(self, request: HttpRequest, queryset: models.QuerySet) -> models.QuerySet:
        value = self.value()
        if value == "all":
            return queryset
        if value == "soon":
            return queryset.filter(
                offers__status=OfferStatus.OPEN, offers__expires_at__lte=timezone.now() + show.SOON
            )
        if value in ("waiting", "offered"):
            return queryset.filter(status=value)
        if value == "over":
            return queryset.exclude(status__in=GOING_ON)
        return queryset.filter(status__in=GOING_ON)


class PlaceDialog(BaseDialogForm):
    """Another place in line, and why."""

    position = forms.IntegerField(
        label=_("Place"), min_value=1, widget=UnfoldAdminIntegerFieldWidget
    )
    reason = reason_field()


class OfferDialog(BaseDialogForm):
    """Seats out of turn, and why."""

    slot = forms.ChoiceField(label=_("Slot"), widget=UnfoldAdminSelectWidget)
    reason = reason_field()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["slot"]
        entry = _entry_of(self.request)
        field.choices = _slots_for(entry) if entry is not None else []


def _entry_of(request: HttpRequest | None) -> WaitlistEntry | None:
    """The entry that the address of a dialog names."""
    match = getattr(request, "resolver_match", None)
    named = match.kwargs.get("object_id") if match else None
    if request is None or named is None:
        return None
    page: Any = admin.site._registry[WaitlistEntry]
    found: WaitlistEntry | None = page.get_object_or_none(request, named)
    return found


def _slots_for(entry: WaitlistEntry) -> list[tuple[str, str]]:
    slots = Slot.objects.filter(status=SlotStatus.OPEN, starts_at__gt=timezone.now())
    if entry.slot_id is not None:
        slots = slots.filter(pk=entry.slot_id)
    else:
        slots = slots.filter(
            resource=entry.resource_id, starts_at__gte=entry.from_at, ends_at__lte=entry.until_at
        ).exclude(source=Slot.Source.FREE)
    return [
        (
            str(slot.pk),
            f"{slot_time(slot)} · "
            + gettext("%(taken)d of %(most)d taken")
            % {"taken": slot.taken_units, "most": slot.max_units},
        )
        for slot in slots.select_related("resource").order_by("starts_at")[:MOST_SLOTS]
    ]


@admin.register(WaitlistEntry)
class WaitlistAdmin(LongListMixin, ScopedModelAdmin):
    """Nothing here is typed over: every change is a button that calls a service."""

    provider_path = "resource__provider"
    list_display = (
        "who",
        "wanted",
        "place",
        "units",
        "since",
        "show_passed_over",
        "offered",
        "reach",
        "show_status",
    )
    list_filter = (
        LineFilter,
        ("resource", OwnRelatedFilter),
        ("status", ChoicesDropdownFilter),
        ("slot__starts_at", RangeDateTimeFilter),
        ("organization", OwnOrganizationFilter),
    )
    list_filter_submit = True
    search_fields = (
        "customer__name",
        "customer__email",
        "customer__phone",
        "^offers__booking__reference",
    )
    search_help_text = _("Name, e-mail address or phone of the customer, or a booking's reference")
    ordering = ("placed_at", "id")
    actions = ("close_chosen",)
    actions_detail = ("offer_this", "place_this", "close_this")
    panels = []
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("customer_link", "reach"),
                    ("resource_link", "wanted"),
                    ("units", "show_status"),
                    ("place", "show_passed_over"),
                    ("slot_link", "organization"),
                )
            },
        ),
        (
            _("What happened when"),
            {"fields": (("since", "placed"), ("ended", "ended_reason"))},
        ),
    )
    readonly_fields = (
        "customer_link",
        "reach",
        "resource_link",
        "wanted",
        "show_status",
        "place",
        "show_passed_over",
        "slot_link",
        "since",
        "placed",
        "ended",
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        return selectors.with_parts(super().get_queryset(request))

    def get_search_results(
        self, request: HttpRequest, queryset: models.QuerySet, search_term: str
    ) -> Any:
        found, _distinct = super().get_search_results(request, queryset, search_term)
        return found, bool(search_term)

    # --- what somebody may -------------------------------------------------------------------

    def has_line_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Whether somebody may change the line at all, or this entry as it is now."""
        if object_id is None:
            return self.may(request, OFFER)
        found = self.get_object_or_none(request, object_id)
        return found is not None and found.status in IN_LINE and self.may(request, OFFER, found)

    def has_waiting_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        if not object_id or not self.has_line_permission(request, object_id):
            return False
        found = self.get_object_or_none(request, object_id)
        return bool(found.status == EntryStatus.WAITING)

    def _entry(self, request: HttpRequest, object_id: str) -> WaitlistEntry:
        found = self.get_object_or_none(request, object_id)
        if found is None:
            raise Http404
        return found  # type: ignore[no-any-return]

    # --- buttons -----------------------------------------------------------------------------

    @action(
        description=_("Offer seats now"),
        icon="confirmation_number",
        url_path="offer",
        permissions=["waiting"],
        variant=ActionVariant.PRIMARY,
        dialog={
            "title": _("Offer seats out of turn?"),
            "description": _(
                "They are held for this customer, who is told, although others may have come"
                " earlier. Nobody loses seats by it: there must be enough that are free."
            ),
            "form_class": OfferDialog,
            "form_submit_text": _("Offer them"),
        },
    )
    def offer_this(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        entry = self._entry(request, object_id)
        attempt(
            self,
            request,
            lambda: line.offer_by_hand(
                entry_id=entry.pk,
                organization_id=entry.organization_id,
                slot_id=uuid.UUID(form.cleaned_data["slot"]),
                reason=form.cleaned_data["reason"],
                actor=staff_actor(request),
                now=timezone.now(),
            ),
            gettext("Seats are held for %s.") % entry.customer,
        )
        return self._back(request, object_id)

    @action(
        description=_("Another place"),
        icon="swap_vert",
        url_path="place",
        permissions=["waiting"],
        dialog={
            "title": _("Give another place in line?"),
            "description": _(
                "Among those who wait for the same. Whoever is passed is not told; the reason"
                " stays in the history."
            ),
            "form_class": PlaceDialog,
            "form_submit_text": _("Move"),
        },
    )
    def place_this(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        entry = self._entry(request, object_id)
        attempt(
            self,
            request,
            lambda: line.place(
                entry_id=entry.pk,
                organization_id=entry.organization_id,
                position=form.cleaned_data["position"],
                reason=form.cleaned_data["reason"],
                actor=staff_actor(request),
                now=timezone.now(),
            ),
            gettext("%s has another place in line.") % entry.customer,
        )
        return self._back(request, object_id)

    @action(
        description=_("Take out of the line"),
        icon="person_remove",
        url_path="close",
        permissions=["line"],
        variant=ActionVariant.DANGER,
        dialog={
            "title": _("Take this customer out of the line?"),
            "description": _(
                "The customer is told why. What was offered goes to the next in line at once."
                " This cannot be undone."
            ),
            "form_class": ReasonDialog,
            "form_submit_text": _("Take out"),
        },
    )
    def close_this(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        entry = self._entry(request, object_id)
        attempt(
            self,
            request,
            lambda: line.close(
                entry_id=entry.pk,
                organization_id=entry.organization_id,
                reason=form.cleaned_data["reason"],
                actor=staff_actor(request),
                now=timezone.now(),
            ),
            gettext("%s is not in line any more.") % entry.customer,
        )
        return self._back(request, object_id)

    @admin.action(description=_("Take out of the line"), permissions=["line"])
    def close_chosen(
        self, request: HttpRequest, queryset: models.QuerySet[WaitlistEntry]
    ) -> HttpResponse | None:
        chosen = [
            e
            for e in queryset
            if e.status in IN_LINE and may(person(request), OFFER, e.organization_id)
        ]
        return ask(
            self,
            request,
            chosen,
            action="close_chosen",
            title=_("Take these customers out of the line"),
            words=_(
                "Each of them is told why. What was offered goes to the next in line at once."
                " This cannot be undone."
            ),
            form_class=Reason,
            call=lambda given: [
                line.close(
                    entry_id=e.pk,
                    organization_id=e.organization_id,
                    reason=given["reason"],
                    actor=staff_actor(request),
                    now=timezone.now(),
                )
                for e in chosen
            ],
            done=lambda closed: (
                ngettext(
                    "%d customer is not in line any more.",
                    "%d customers are not in line any more.",
                    len(closed),
                )
                % len(closed)
            ),
        )

    def _back(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return go_to(request, reverse("admin:waitlist_waitlistentry_change", args=[object_id]))

    # --- columns -----------------------------------------------------------------------------

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        found = super().get_changelist_instance(request)
        rows = list(found.result_list)
        selectors.load_positions(rows)
        found.result_list = rows
        return found

    @display(description=_("customer"), ordering="customer__name")
    def who(self, entry: WaitlistEntry) -> str:
        return str(entry.customer)

    @display(description=_("customer"))
    def customer_link(self, entry: WaitlistEntry) -> SafeString:
        return link_to(entry.customer)

    @display(description=_("resource"))
    def resource_link(self, entry: WaitlistEntry) -> SafeString:
        return link_to(entry.resource)

    @display(description=_("slot"))
    def slot_link(self, entry: WaitlistEntry) -> Any:
        return link_to(entry.slot, gettext("Who is in it")) if entry.slot else NOTHING

    @display(description=_("waits for"), ordering="slot__starts_at")
    def wanted(self, entry: WaitlistEntry) -> SafeString:
        return format_html(
            '{}<br><span class="hf-quiet">{}</span>', entry.resource, show.wanted(entry)
        )

    @display(description=_("place"), ordering="placed_at")
    def place(self, entry: WaitlistEntry) -> Any:
        if entry.status != EntryStatus.WAITING:
            return NOTHING
        if not hasattr(entry, "position"):
            selectors.load_positions([entry])
        return entry.position

    @display(description=_("since"), ordering="joined_at")
    def since(self, entry: WaitlistEntry) -> str:
        return when(entry.joined_at)

    @display(description=_("place in line since"))
    def placed(self, entry: WaitlistEntry) -> str:
        if entry.placed_at == entry.joined_at:
            return gettext("as joined")
        return gettext("moved by staff; see the history")

    @display(description=_("passed over"), ordering="passed_over")
    def show_passed_over(self, entry: WaitlistEntry) -> Any:
        return show.passed_over(entry)

    @display(description=_("offer"))
    def offered(self, entry: WaitlistEntry) -> Any:
        offer = selectors.open_offer(entry)
        return show.left(offer.expires_at, now=timezone.now()) if offer else NOTHING

    @display(description=_("contact"))
    def reach(self, entry: WaitlistEntry) -> Any:
        return show.contact(entry)

    @display(description=_("state"), ordering="status")
    def show_status(self, entry: WaitlistEntry) -> SafeString:
        return show.entry_badge(entry)

    @display(description=_("ended"))
    def ended(self, entry: WaitlistEntry) -> str:
        return when(entry.ended_at)


def whole_line(request: HttpRequest, entry: WaitlistEntry) -> tuple[str, dict[str, Any]]:
    """Everybody who waits for the same, in order, with this one marked."""
    same = WaitlistEntry.objects.filter(resource=entry.resource_id, status__in=GOING_ON)
    same = same.filter(slot=entry.slot_id) if entry.slot_id else same.filter(slot__isnull=True)
    found = list(selectors.with_parts(same.order_by("placed_at", "pk"))[: panels.MOST])
    return panels.TABLE, {
        "title": gettext("The line"),
        "headers": panels.headers(),
        "rows": panels.line_rows(found, marked=entry.pk),
        "empty": gettext("Nobody waits for this any more."),
    }


def offers_made(request: HttpRequest, entry: WaitlistEntry) -> tuple[str, dict[str, Any]]:
    """What was offered to this customer, and what became of it."""
    found = Offer.objects.filter(entry=entry).select_related("booking__slot__resource")
    return panels.TABLE, {
        "title": gettext("Offers"),
        "headers": [
            gettext("Booking"),
            gettext("When"),
            gettext("Offered"),
            gettext("Answer until"),
            gettext("State"),
        ],
        "rows": [
            [
                link_to(offer.booking),
                slot_time(offer.booking.slot),
                gettext("%(when)s by %(who)s")
                % {"when": when(offer.made_at), "who": offer.offered_by}
                if offer.by_hand
                else when(offer.made_at),
                when(offer.expires_at),
                show.offer_badge(offer),
            ]
            for offer in found.order_by("-made_at")[: panels.MOST]
        ],
        "empty": gettext("Nothing has been offered yet."),
    }


WaitlistAdmin.panels.extend([whole_line, offers_made])
