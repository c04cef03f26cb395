"""The line: who waits for what, and what staff do about it (F3)."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, ClassVar

from django.contrib import admin
from django.db import models
from django.db.models.functions import Coalesce
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import RangeDateTimeFilter
from unfold.decorators import action
from unfold.enums import ActionVariant

from audit.admin.scope import go_to, staff_actor
from bookings.admin.base import (
    LongListMixin,
    OwnOrganizationFilter,
    OwnRelatedFilter,
    ScopedModelAdmin,
    person,
)
from bookings.admin.dialogs import OptionalReasonDialog, Reason, ReasonDialog, ask, attempt
from bookings.permissions import may
from waitlist import selectors
from waitlist.admin import panels
from waitlist.admin.columns import EntryColumns
from waitlist.admin.dialogs import OfferDialog, PlaceDialog
from waitlist.admin.filters import SOON, LineFilter, WantedFilter
from waitlist.lifecycle import GOING_ON, IN_LINE, EntryStatus
from waitlist.models import WaitlistEntry
from waitlist.services import by_hand, line

OFFER = "waitlist.offer_waitlistentry"
CONTACT = "bookings.view_customer"


@admin.register(WaitlistEntry)
class WaitlistAdmin(EntryColumns, LongListMixin, ScopedModelAdmin):
    """Nothing here is typed over: every change is a button that calls a service."""

    provider_path = "resource__provider"
    list_display = (
        "who",
        "wanted",
        "place",
        "units",
        "since",
        "show_passed_over",
        "show_status",
        "reach",
    )
    list_filter = (
        LineFilter,
        ("resource", OwnRelatedFilter),
        WantedFilter,
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
    actions = ("close_chosen",)
    actions_detail: ClassVar[tuple[str, ...]] = (
        "offer_this",
        "place_this",
        "decline_this",
        "close_this",
    )
    empty_text = _(
        "Nobody is in line. Customers wait here for what is full, if its resource has a waitlist;"
        " seats that come free are offered to the first whom they fit."
    )
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("customer_link", "reach"),
                    ("resource_link", "time"),
                    ("units", "show_status"),
                    ("place", "show_passed_over"),
                )
            },
        ),
        (
            _("What happened when"),
            {"fields": (("joined", "placed"), ("ended", "ended_reason"), "organization")},
        ),
    )
    readonly_fields = (
        "customer_link",
        "reach",
        "resource_link",
        "time",
        "show_status",
        "place",
        "show_passed_over",
        "joined",
        "placed",
        "ended",
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        return selectors.with_parts(super().get_queryset(request))

    def get_ordering(self, request: HttpRequest) -> Any:
        """One line after the other, each in its order; what is over, the newest first."""
        if request.GET.get("line", "") in ("", SOON, *GOING_ON):
            return (
                Coalesce("slot__starts_at", "from_at").asc(),
                "resource__name",
                "slot_id",
                "placed_at",
                "id",
            )
        return ("-joined_at", "-id")

    def get_list_display(self, request: HttpRequest) -> Any:
        """Without how to reach people, for those who read that of nobody."""
        found = super().get_list_display(request)
        return found if self.may(request, CONTACT) else [n for n in found if n != "reach"]

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        found = super().get_object(request, object_id, from_field)
        if found is not None:
            self.prepare(request, [found])
        return found

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        found = super().get_changelist_instance(request)
        found.result_list = list(found.result_list)
        self.prepare(request, found.result_list)
        return found

    def prepare(self, request: HttpRequest, rows: Sequence[WaitlistEntry]) -> None:
        """Set what the columns say besides the row: the place in line, and whether this person
        may read how to reach the customer. One statement."""
        selectors.load_positions(rows, now=timezone.now())
        for row in rows:
            row.shows_contact = may(person(request), CONTACT, row.organization_id)  # type: ignore[attr-defined]

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

    def has_answer_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Whether somebody may pass on what the customer says to an open offer."""
        if not object_id or not self.has_line_permission(request, object_id):
            return False
        found = self.get_object_or_none(request, object_id)
        return bool(found.status == EntryStatus.OFFERED)

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
            lambda: by_hand.offer_by_hand(
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
            lambda: by_hand.place(
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
        description=_("They decline"),
        icon="thumb_down",
        url_path="decline",
        permissions=["answer"],
        dialog={
            "title": _("Does the customer not want the seats?"),
            "description": _(
                "For somebody who calls. The seats go to the next in line at once, and this"
                " customer is not in line any more. This cannot be undone."
            ),
            "form_class": OptionalReasonDialog,
            "form_submit_text": _("Decline for them"),
        },
    )
    def decline_this(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        entry = self._entry(request, object_id)
        attempt(
            self,
            request,
            lambda: line.decline(
                entry_id=entry.pk,
                organization_id=entry.organization_id,
                reason=form.cleaned_data["reason"] or gettext("declined by phone"),
                actor=staff_actor(request),
                now=timezone.now(),
            ),
            gettext("Declined for %s; the seats go to the next in line.") % entry.customer,
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
            call=lambda given: self._close(request, chosen, given["reason"]),
            done=lambda closed: (
                ngettext(
                    "%d customer is not in line any more.",
                    "%d customers are not in line any more.",
                    len(closed),
                )
                % len(closed)
            ),
        )

    def _close(
        self, request: HttpRequest, chosen: Sequence[WaitlistEntry], reason: str
    ) -> list[WaitlistEntry]:
        """Of each organisation all at once; few people work in more than one."""
        by_organization: dict[uuid.UUID, list[uuid.UUID]] = {}
        for entry in chosen:
            by_organization.setdefault(entry.organization_id, []).append(entry.pk)
        closed: list[WaitlistEntry] = []
        for organization_id, ids in by_organization.items():
            closed += line.close_many(
                entry_ids=ids,
                organization_id=organization_id,
                reason=reason,
                actor=staff_actor(request),
                now=timezone.now(),
            )
        return closed

    def _back(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return go_to(request, reverse("admin:waitlist_waitlistentry_change", args=[object_id]))


WaitlistAdmin.panels += [panels.whole_line, panels.offers_made]
