"""Transactions: the list of all, and the page of one (A4, A5, F3)."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateTimeFilter
from unfold.decorators import display

from bookings.admin.base import LongListMixin, OwnOrganizationFilter, ScopedModelAdmin
from bookings.admin.show import when
from payments.admin import queue, show
from payments.admin.give_back import GiveBackPages
from payments.admin.review import ReviewPages
from payments.models import CartTransaction


@admin.register(CartTransaction)
class TransactionAdmin(LongListMixin, ReviewPages, GiveBackPages, ScopedModelAdmin):
    """Nothing here is typed over: every change is a button that calls a service."""

    list_display = (
        "reference",
        "customer",
        "made",
        "show_amount",
        "show_method",
        "show_payment",
        "bookings",
        "show_status",
    )
    list_filter = (
        ("status", ChoicesDropdownFilter),
        ("payment_method", ChoicesDropdownFilter),
        ("payment_status", ChoicesDropdownFilter),
        ("created_at", RangeDateTimeFilter),
        ("organization", OwnOrganizationFilter),
    )
    list_filter_submit = True
    search_fields = ("^reference", "customer__name", "customer__email")
    search_help_text = _("Reference, or name or e-mail address of the customer")
    list_select_related = ("customer", "organization")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_urls(self) -> list[URLPattern]:
        return [*self.review_urls(), *self.give_back_urls(), *super().get_urls()]

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        found = super().get_queryset(request)
        match = request.resolver_match
        if match and match.url_name == "payments_carttransaction_changelist":
            return queue.with_figures(found)
        return found

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        if request.method != "GET" or object_id is None:
            raise PermissionDenied
        if self.get_object_or_none(request, object_id) is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id or "")  # type: ignore[no-any-return]
        return self.detail_page(request, object_id)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if request.method == "POST":
            return HttpResponseRedirect(reverse("admin:payments_carttransaction_changelist"))
        return super().changelist_view(request, extra_context)

    @display(description=_("made at"), ordering="created_at")
    def made(self, one: CartTransaction) -> str:
        return when(one.created_at)

    @display(description=_("amount"), ordering="amount")
    def show_amount(self, one: CartTransaction) -> str:
        return show.money(one.amount, one.currency)

    @display(description=_("payment"), ordering="payment_method")
    def show_method(self, one: CartTransaction) -> str:
        return one.get_payment_method_display()

    @display(description=_("paid"), ordering="payment_status")
    def show_payment(self, one: CartTransaction) -> SafeString:
        return show.payment_badge(one)

    @display(description=_("bookings"))
    def bookings(self, one: Any) -> int:
        return one.item_count  # type: ignore[no-any-return]

    @display(description=_("status"), ordering="status")
    def show_status(self, one: CartTransaction) -> SafeString:
        return show.status_badge(one)
