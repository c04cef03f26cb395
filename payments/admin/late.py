"""Money that came too late: the list, and the page on which staff decide what becomes of it (F3).

Every decision is one call of ``payments.services.late``; what it refuses is told on the page, and
nothing that was typed is lost.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, models
from django.db.models import Case, F, OuterRef, Subquery, Sum, Value, When
from django.db.models.functions import Coalesce
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import formats, timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from audit.admin.scope import staff_actor
from audit.errors import DomainError, Invalid, StaleVersion
from bookings.admin.base import (
    LongListMixin,
    OwnOrganizationFilter,
    ScopedModelAdmin,
    person,
    refusal,
    typed,
)
from bookings.admin.show import ago, badge, link_to, slot_time, when
from bookings.lifecycle import BookingStatus
from bookings.permissions import organizations_with
from payments import cancelling, selectors
from payments.admin import queue, show
from payments.lifecycle import ItemStatus, LateStatus
from payments.models import CartItem, LatePayment
from payments.selectors import Comparison
from payments.services import late as services

RESOLVE = "payments.resolve_latepayment"
MOST_TYPED = 2_000  # more than a note may have, so that the service says so
COLOURS = {
    LateStatus.OPEN.value: "warning",
    LateStatus.REINSTATED.value: "success",
    LateStatus.REFUNDED.value: "info",
    LateStatus.CREDITED.value: "info",
    LateStatus.DISMISSED.value: "default",
}
DECISIONS = ("rebook", "refund", "credit", "dismiss", "reopen")


def open_first() -> tuple[Any, ...]:
    """What waits for a decision, the oldest first; then the newest of what is decided."""
    return (
        Case(When(status=LateStatus.OPEN, then=Value(0)), default=Value(1)),
        Case(When(status=LateStatus.OPEN, then=F("created_at"))).asc(nulls_last=True),
        "-created_at",
        "-pk",
    )


def waiting(user: Any) -> models.QuerySet[LatePayment]:
    """What waits for this person's decision."""
    mine = organizations_with(user, RESOLVE)
    return LatePayment.objects.filter(selectors.late_payments(mine))


def late_badge(late: LatePayment) -> SafeString:
    return badge(late.get_status_display(), COLOURS[late.status])


@admin.register(LatePayment)
class LatePaymentAdmin(LongListMixin, ScopedModelAdmin):
    """Nothing here is typed over: every change is a button that calls a service."""

    list_display = ("link", "customer", "came", "stated", "due", "why", "state")
    list_display_links = None
    list_filter = (
        ("status", ChoicesDropdownFilter),
        ("organization", OwnOrganizationFilter),
    )
    list_select_related = ("transaction__customer", "proof", "organization")
    search_fields = (
        "^transaction__reference",
        "transaction__customer__name",
        "transaction__customer__email",
    )
    search_help_text = _("Reference of the transaction, or name or e-mail address of the customer")
    empty_text = _(
        "No payment came too late. If a proof of payment comes after the time to pay has run out,"
        " and the seats are gone, it waits here for somebody to decide."
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_ordering(self, request: HttpRequest) -> Any:
        return open_first()

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("<uuid:object_id>/decide/", view(self.decide_view), name="payments_late_decide"),
            *super().get_urls(),
        ]

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        """With what was to be paid: not what was cancelled before anybody paid."""
        parts = CartItem.objects.filter(
            transaction=OuterRef("transaction"),
            status=ItemStatus.CANCELLED,
            refund__isnull=True,
            fee=0,
        )
        gone = parts.order_by().values("transaction").annotate(n=Sum("amount")).values("n")
        not_due = Coalesce(Subquery(gone), Decimal(0))
        due = F("transaction__amount") - not_due
        found: models.QuerySet[Any] = super().get_queryset(request).annotate(was_due=due)
        return found

    # --- the list ----------------------------------------------------------------------------

    @display(description=_("transaction"), ordering="transaction__reference")
    def link(self, late: LatePayment) -> SafeString:
        return link_to(late, late.transaction.reference)

    @display(description=_("customer"), ordering="transaction__customer__name")
    def customer(self, late: LatePayment) -> str:
        return str(late.transaction.customer)

    @display(description=_("waits since"), ordering="created_at")
    def came(self, late: LatePayment) -> str:
        if late.status == LateStatus.OPEN:
            return ago(late.created_at, now=timezone.now())
        return when(late.created_at)

    @display(description=_("amount stated"), ordering="proof__amount")
    def stated(self, late: LatePayment) -> str:
        amount = late.proof.amount
        return show.money(amount, late.transaction.currency) if amount is not None else "–"

    @display(description=_("was to be paid"), ordering="was_due")
    def due(self, late: Any) -> str:
        return show.money(late.was_due, late.transaction.currency)

    @display(description=_("why the seats are gone"))
    def why(self, late: LatePayment) -> str:
        return late.reason

    @display(description=_("status"), ordering="status")
    def state(self, late: LatePayment) -> SafeString:
        return late_badge(late)

    # --- one of them ---------------------------------------------------------------------------

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
        return self.page(request, object_id)

    def page(
        self, request: HttpRequest, object_id: Any, *, error: str = "", status: int = 200
    ) -> HttpResponse:
        """The proof beside what was booked, and the choices this person has."""
        late = self._visible(request, object_id)
        now = timezone.now()
        facts = queue.detail(late.transaction_id, now=now)
        found = facts["transaction"]
        may = self.may(request, RESOLVE, late)
        own = found.customer.user_id == person(request).pk
        is_open = late.status == LateStatus.OPEN
        posted = request.POST
        most = services.most_owed(found) if is_open else Decimal(0)
        due = cancelling.to_pay(found, found.items.all())
        stated = late.proof.amount if late.proof.amount is not None else due
        request.current_app = self.admin_site.name
        return TemplateResponse(
            request,
            "admin/payments/latepayment/page.html",
            {
                **self.admin_site.each_context(request),
                **facts,
                "title": gettext("Late payment for %s") % found.reference,
                "late": late,
                "late_status": late_badge(late),
                "original": late,
                "opts": self.opts,
                "waits": ago(late.created_at, now=now),
                "came": when(late.created_at),
                "resolved": when(late.resolved_at) if late.resolved_at else "",
                "refund": show.money(late.refund.amount, late.refund.currency)
                if late.refund
                else "",
                "may_decide": is_open and may and not own,
                "may_reopen": late.status == LateStatus.DISMISSED and may and not own,
                "own": (is_open or late.status == LateStatus.DISMISSED) and may and own,
                "places": _places(facts["items"], now, posted) if is_open and may else [],
                "most": show.money(most, found.currency),
                "amount_value": posted.get("amount")
                or formats.localize_input(min(stated, most) if is_open else stated),
                "note": posted.get("note", ""),
                "reason_typed": posted.get("reason", ""),
                "seen": posted.get("seen", ""),
                "pressed": posted.get("decision", ""),
                "may_see_customer": self.may(request, "bookings.view_customer", late),
                "error": error,
            },
            status=status,
        )

    def decide_view(self, request: HttpRequest, object_id: uuid.UUID) -> HttpResponse:
        """Carry out one decision."""
        late = self._visible(request, object_id)
        here = reverse("admin:payments_latepayment_change", args=[object_id])
        if request.method != "POST":
            return HttpResponseRedirect(here)
        if not self.may(request, RESOLVE, late):
            raise PermissionDenied
        decision = request.POST.get("decision", "")
        version = request.POST.get("version", "")
        if decision not in DECISIONS or not (version.isascii() and version.isdigit()):
            words = gettext("Choose what to do, then try again.")
            return self.page(request, object_id, error=words, status=400)
        if decision in ("refund", "credit") and request.POST.get("seen") != "yes":
            words = gettext("Nothing was decided: first say that you have seen the money.")
            return self.page(request, object_id, error=words, status=400)
        try:
            decided = self._decide(request, late, decision, int(version[:9]))
        except StaleVersion:
            words = gettext(
                "Nothing was decided: something changed while the page was open. Look at it again;"
                " what you typed is still in its place."
            )
            return self.page(request, object_id, error=words, status=409)
        except (DomainError, DatabaseError) as error:
            refused = refusal(error)
            if refused is None:
                raise
            return self.page(request, object_id, error=refused, status=409)
        text = gettext("%(reference)s: %(status)s. %(name)s is told.") % {
            "reference": late.transaction.reference,
            "status": decided.get_status_display(),
            "name": late.transaction.customer.name,
        }
        self.message_user(request, text, messages.SUCCESS)
        if decision == "rebook":  # whether the money came is decided there
            here = reverse("admin:payments_carttransaction_change", args=[late.transaction_id])
        return HttpResponseRedirect(here)

    def _decide(
        self, request: HttpRequest, late: LatePayment, decision: str, version: int
    ) -> LatePayment:
        common: dict[str, Any] = {
            "late_id": late.pk,
            "organization_id": late.organization_id,
            "actor": staff_actor(request),
            "now": timezone.now(),
            "version": version,
        }
        note = typed(request.POST, "note", MOST_TYPED)
        reason = typed(request.POST, "reason", MOST_TYPED)
        calls: dict[str, Callable[[], LatePayment]] = {
            "rebook": lambda: services.rebook(**common, note=note, slots=_slots(request.POST)),
            "refund": lambda: services.pay_back(**common, note=note, amount=amount_in(request)),
            "credit": lambda: services.credit(**common, note=note, amount=amount_in(request)),
            "dismiss": lambda: services.dismiss(**common, reason=reason),
            "reopen": lambda: services.reopen(**common, reason=reason),
        }
        return calls[decision]()

    def _visible(self, request: HttpRequest, object_id: Any) -> LatePayment:
        found = self.get_queryset(request).select_related(
            "transaction__customer", "proof", "refund", "organization"
        )
        late = found.filter(pk=object_id).first()
        if late is None or not self.has_view_permission(request, late):
            raise Http404
        return late  # type: ignore[no-any-return]


def _places(
    items: list[dict[str, Any]], now: datetime, posted: Mapping[str, str]
) -> list[dict[str, Any]]:
    """For each booking, the times it could have."""
    bookings = [i["booking"] for i in items if i["booking"].status == BookingStatus.EXPIRED]
    times = selectors.other_times(bookings, now=now)
    found = []
    for booking in bookings:
        name = f"slot_{booking.pk}"
        free = {slot.pk for slot, _price in times[booking.pk]}
        found.append(
            {
                "booking": booking,
                "name": name,
                "resource": booking.slot.resource.name,
                "time": slot_time(booking.slot),
                "own_is_free": booking.slot_id in free,
                "times": [
                    {
                        "value": str(slot.pk),
                        "words": slot_time(slot),
                        "own": slot.pk == booking.slot_id,
                        "price": price_words(price),
                        "chosen": posted.get(name) == str(slot.pk)
                        or (name not in posted and slot.pk == booking.slot_id),
                    }
                    for slot, price in times[booking.pk]
                ],
            }
        )
    return found


def price_words(price: Comparison) -> str:
    """What a time costs today beside what was agreed, which stays."""
    if not price.differs:
        return gettext("same price")
    then = show.money(price.then, price.then_currency)
    if price.currency != price.then_currency:
        return gettext("today %s") % then
    difference = show.money(abs(price.then - price.now), price.currency)
    if price.then > price.now:
        return gettext("today %(price)s, %(difference)s more") % {
            "price": then,
            "difference": difference,
        }
    return gettext("today %(price)s, %(difference)s less") % {
        "price": then,
        "difference": difference,
    }


def _slots(posted: Any) -> dict[uuid.UUID, uuid.UUID]:
    """Where each booking goes, as it was chosen."""
    found = {}
    for name in posted:
        if name.startswith("slot_"):
            try:
                found[uuid.UUID(name.removeprefix("slot_"))] = uuid.UUID(posted[name])
            except ValueError:
                raise Invalid(gettext("Choose a time for every booking."), field="slots") from None
    return found


def amount_in(request: HttpRequest) -> Decimal:
    """The amount that somebody typed, as people of their language write it."""
    text = formats.sanitize_separators(typed(request.POST, "amount"))
    try:
        amount = Decimal(str(text))
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite():
        raise Invalid(gettext("This is no amount: write it as 20.00."), field="amount")
    return amount
