"""Refunds: what is owed first, and noting what became of it, one and many (A7, B9, F3)."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin
from django.db import models
from django.db.models import Count, Q, Sum
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import RangeDateTimeFilter
from unfold.decorators import action, display
from unfold.enums import ActionVariant

from audit.admin.scope import go_to, staff_actor
from bookings.admin.base import (
    LongListMixin,
    OwnOrganizationFilter,
    ScopedModelAdmin,
    person,
)
from bookings.admin.dialogs import Reason, ReasonDialog, ask, attempt
from bookings.admin.show import NOTHING, badge, link_to, when
from bookings.permissions import may
from payments.admin import show
from payments.admin.refund_forms import (
    UNSEEN,
    Chosen,
    Note,
    NoteDialog,
    Nothing,
    Reference,
    ReferenceDialog,
    StateFilter,
)
from payments.lifecycle import REFUND, RefundStatus
from payments.models import Refund
from payments.services import refunds

SETTLE = "payments.settle_refund"


@admin.register(Refund)
class RefundAdmin(LongListMixin, ScopedModelAdmin):
    """Nothing here is typed over: every change is a button that calls a service."""

    list_display = (
        "show_amount",
        "customer",
        "transaction_link",
        "since",
        "show_reason",
        "show_status",
        "settled",
    )
    list_display_links = ("show_amount",)
    list_filter = (
        StateFilter,
        ("created_at", RangeDateTimeFilter),
        ("organization", OwnOrganizationFilter),
    )
    list_filter_submit = True
    list_select_related = ("customer", "transaction", "organization")
    list_before_template = "admin/payments/refund/sums.html"
    search_fields = (
        "^transaction__reference",
        "customer__name",
        "customer__email",
        "reference",
    )
    search_help_text = _("Reference of the order or of the transfer, or name or e-mail address")
    actions = ("settle_chosen", "verify_chosen", "waive_chosen", "reopen_chosen")
    actions_detail = ("settle_this", "verify_this", "waive_this", "reopen_this")
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("show_amount", "show_status"),
                    ("who", "transaction_link"),
                    ("since", "organization"),
                    ("show_reason", "way"),
                    "covers",
                )
            },
        ),
        (
            _("What became of it"),
            {"fields": (("settled", "settled_by"), ("reference", "note"))},
        ),
    )
    readonly_fields = (
        "show_amount",
        "show_status",
        "who",
        "transaction_link",
        "since",
        "show_reason",
        "covers",
        "settled",
        "settled_by",
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        """Whoever waits longest comes first; of the rest, the newest."""
        waiting = request.GET.get("state", "") in ("", UNSEEN)
        return ("created_at", "id") if waiting else ("-created_at", "-id")

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        response = super().changelist_view(request, extra_context)
        found = getattr(response, "context_data", None) or {}
        if "cl" in found:
            found["refund_sums"] = sums(found["cl"].queryset)
        return response

    # --- many --------------------------------------------------------------------------------

    def has_settle_some_permission(self, request: HttpRequest) -> bool:
        return self.may(request, SETTLE)

    @admin.action(description=_("Mark as paid back"), permissions=["settle_some"])
    def settle_chosen(
        self, request: HttpRequest, queryset: models.QuerySet[Refund]
    ) -> HttpResponse | None:
        return self._many(
            request,
            queryset,
            refunds.settle,
            name="settle_chosen",
            title=_("Mark as paid back"),
            words=_("All of these are marked as paid back, and each customer gets an e-mail."),
            form=Reference,
            done=lambda n: ngettext(
                "%d refund is marked as paid back.", "%d refunds are marked as paid back.", n
            ),
        )

    @admin.action(description=_("The money has been seen"), permissions=["settle_some"])
    def verify_chosen(
        self, request: HttpRequest, queryset: models.QuerySet[Refund]
    ) -> HttpResponse | None:
        return self._many(
            request,
            queryset,
            refunds.verify,
            name="verify_chosen",
            title=_("The money has been seen"),
            words=_(
                "These were cancelled while their proof of payment waited. Go on if the money is on"
                " your account: then they can be paid back."
            ),
            form=Nothing,
            done=lambda n: ngettext(
                "%d refund is owed for certain.", "%d refunds are owed for certain.", n
            ),
        )

    @admin.action(description=_("Waive"), permissions=["settle_some"])
    def waive_chosen(
        self, request: HttpRequest, queryset: models.QuerySet[Refund]
    ) -> HttpResponse | None:
        return self._many(
            request,
            queryset,
            refunds.waive,
            name="waive_chosen",
            title=_("Waive"),
            words=_(
                "None of these is paid back: the money never came, or nobody wants it. Each customer"
                " gets an e-mail with the reason."
            ),
            form=Note,
            done=lambda n: ngettext("%d refund is waived.", "%d refunds are waived.", n),
        )

    @admin.action(description=_("Owe again"), permissions=["settle_some"])
    def reopen_chosen(
        self, request: HttpRequest, queryset: models.QuerySet[Refund]
    ) -> HttpResponse | None:
        return self._many(
            request,
            queryset,
            refunds.reopen,
            name="reopen_chosen",
            title=_("Owe again"),
            words=_(
                "These were settled by mistake, or the transfer came back. Each customer gets an"
                " e-mail with the reason."
            ),
            form=Reason,
            done=lambda n: ngettext("%d refund is owed again.", "%d refunds are owed again.", n),
        )

    def _many(
        self,
        request: HttpRequest,
        queryset: models.QuerySet[Refund],
        service: Callable[..., list[Refund]],
        *,
        name: str,
        title: Any,
        words: Any,
        form: type[forms.Form],
        done: Callable[[int], str],
    ) -> HttpResponse | None:
        chosen = [r for r in queryset if may(person(request), SETTLE, r.organization_id)]
        together = gettext("Together: %s.") % ", ".join(show.sums(chosen))

        def call(given: dict[str, Any]) -> list[Refund]:
            return service(
                refund_ids=[r.pk for r in chosen],
                organization_ids={r.organization_id for r in chosen},
                actor=staff_actor(request),
                now=timezone.now(),
                **given,
            )

        return ask(
            self,
            request,
            [Chosen(r.pk, _line(r)) for r in chosen],
            action=name,
            title=title,
            words=f"{words} {together}",
            form_class=form,
            call=call,
            done=lambda found: done(len(found)) % len(found),
        )

    # --- one ---------------------------------------------------------------------------------

    def _may_move(self, request: HttpRequest, object_id: Any, move: str) -> bool:
        found = self.get_object_or_none(request, object_id) if object_id else None
        return (
            found is not None
            and REFUND.allows(move, found.status)
            and self.may(request, SETTLE, found)
        )

    def has_settle_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        if not self._may_move(request, object_id, "settle"):
            return False
        return bool(self.get_object_or_none(request, object_id).verified)

    def has_verify_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        if not self._may_move(request, object_id, "settle"):
            return False
        return not self.get_object_or_none(request, object_id).verified

    def has_waive_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self._may_move(request, object_id, "waive")

    def has_reopen_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self._may_move(request, object_id, "reopen")

    @action(
        description=_("Mark as paid back"),
        icon="currency_exchange",
        url_path="settle",
        permissions=["settle"],
        variant=ActionVariant.PRIMARY,
        dialog={
            "title": _("Was this paid back?"),
            "description": _("The customer gets an e-mail with the amount and the reference."),
            "form_class": ReferenceDialog,
            "form_submit_text": _("Mark as paid back"),
        },
    )
    def settle_this(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        return self._one(
            request,
            object_id,
            refunds.settle,
            gettext("It is marked as paid back, and the customer is told."),
            reference=form.cleaned_data["reference"],
        )

    @action(
        description=_("The money has been seen"),
        icon="visibility",
        url_path="verify",
        permissions=["verify"],
        variant=ActionVariant.PRIMARY,
        dialog={
            "title": _("Is the money on your account?"),
            "description": _(
                "It was cancelled while its proof of payment waited. Once the money has been seen,"
                " it can be paid back."
            ),
            "form_submit_text": _("Yes, it is"),
        },
    )
    def verify_this(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        return self._one(request, object_id, refunds.verify, gettext("It is owed for certain now."))

    @action(
        description=_("Waive"),
        icon="money_off",
        url_path="waive",
        permissions=["waive"],
        variant=ActionVariant.DANGER,
        dialog={
            "title": _("Pay nothing back?"),
            "description": _(
                "The money never came, or the customer does not want it. They get an e-mail with"
                " the reason."
            ),
            "form_class": NoteDialog,
            "form_submit_text": _("Waive it"),
        },
    )
    def waive_this(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        return self._one(
            request,
            object_id,
            refunds.waive,
            gettext("It is waived, and the customer is told."),
            note=form.cleaned_data["note"],
        )

    @action(
        description=_("Owe again"),
        icon="undo",
        url_path="reopen",
        permissions=["reopen"],
        dialog={
            "title": _("Is this owed after all?"),
            "description": _(
                "It was settled by mistake, or the transfer came back. The customer gets an e-mail"
                " with the reason."
            ),
            "form_class": ReasonDialog,
            "form_submit_text": _("Owe it again"),
        },
    )
    def reopen_this(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        return self._one(
            request,
            object_id,
            refunds.reopen,
            gettext("It is owed again, and the customer is told."),
            reason=form.cleaned_data["reason"],
        )

    def _one(
        self,
        request: HttpRequest,
        object_id: str,
        service: Callable[..., list[Refund]],
        done: str,
        **said: Any,
    ) -> HttpResponse:
        found = self.get_object_or_none(request, object_id)
        if found is None:
            raise Http404
        attempt(
            self,
            request,
            lambda: service(
                refund_ids=[found.pk],
                organization_ids={found.organization_id},
                actor=staff_actor(request),
                now=timezone.now(),
                **said,
            ),
            done,
        )
        return go_to(request, reverse("admin:payments_refund_change", args=[object_id]))

    # --- columns -----------------------------------------------------------------------------

    @display(description=_("amount"), ordering="amount")
    def show_amount(self, refund: Refund) -> str:
        return show.money(refund.amount, refund.currency)

    @display(description=_("transaction"), ordering="transaction__reference")
    def transaction_link(self, refund: Refund) -> SafeString:
        return link_to(refund.transaction)

    @display(description=_("customer"))
    def who(self, refund: Refund) -> SafeString:
        return link_to(refund.customer)

    @display(description=_("owed since"), ordering="created_at")
    def since(self, refund: Refund) -> str:
        return when(refund.created_at)

    @display(description=_("why"))
    def show_reason(self, refund: Refund) -> str:
        return refund.reason or NOTHING

    @display(description=_("status"), ordering="status")
    def show_status(self, refund: Refund) -> SafeString:
        return show.refund_badge(refund)

    @display(description=_("settled at"), ordering="settled_at")
    def settled(self, refund: Refund) -> str:
        return when(refund.settled_at)

    @display(description=_("for"))
    def covers(self, refund: Refund) -> str:
        items = refund.items.select_related("booking").order_by("created_at", "pk")
        return ", ".join(item.booking.reference for item in items) or (
            gettext("noted by hand") if refund.by_hand else NOTHING
        )


def sums(found: models.QuerySet[Refund]) -> list[SafeString]:
    """What the refunds of a list that are owed come to, one badge for each currency."""
    owed = (
        found.order_by()
        .filter(status=RefundStatus.OWED)
        .values("currency")
        .annotate(
            total=Sum("amount"),
            n=Count("pk"),
            unseen=Sum("amount", filter=Q(verified=False), default=Decimal(0)),
        )
        .order_by("currency")
    )
    return [
        badge(
            gettext("%(sum)s owed, of which nobody has seen %(unseen)s")
            % {
                "sum": show.money(row["total"], row["currency"]),
                "unseen": show.money(row["unseen"], row["currency"]),
            }
            if row["unseen"]
            else gettext("%s owed") % show.money(row["total"], row["currency"]),
            "warning",
        )
        for row in owed
    ]


def _line(refund: Refund) -> str:
    amount = show.money(refund.amount, refund.currency)
    return f"{amount}, {refund.customer}, {refund.transaction.reference}"
