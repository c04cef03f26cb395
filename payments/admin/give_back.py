"""Money that came besides what was to be paid goes back: noted by hand (B9, F3)."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext

from audit.admin.scope import staff_actor
from audit.errors import DomainError, StaleVersion
from bookings.admin.base import person, refusal, typed
from payments import selectors
from payments.admin import queue, show
from payments.admin.late import MOST_TYPED, amount_in
from payments.models import CartTransaction
from payments.services import refunds

if TYPE_CHECKING:
    from bookings.admin.base import ScopedModelAdmin as Base
else:
    Base = object

SETTLE = "payments.settle_refund"


class GiveBackPages(Base):
    """The page on which somebody notes it, as a part of the ModelAdmin of transactions."""

    def give_back_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.give_back_view)
        return [path("<uuid:object_id>/give-back/", view, name="payments_give_back")]

    def may_give_back(self, request: HttpRequest, found: CartTransaction) -> bool:
        """Whether this person may note it, and it can be noted now; two statements at most."""
        if found.customer.user_id == person(request).pk or not self.may(request, SETTLE, found):
            return False
        try:
            refunds.check_can_give_back(found)
        except DomainError:
            return False
        return selectors.most_by_hand(found) > 0

    def give_back_view(self, request: HttpRequest, object_id: uuid.UUID) -> HttpResponse:
        """Ask how much and why, and note it."""
        found = self.get_object_or_none(request, str(object_id))
        if found is None or not self.has_view_permission(request, found):
            raise Http404
        if not self.may(request, SETTLE, found):
            raise PermissionDenied
        here = reverse("admin:payments_carttransaction_change", args=[object_id])
        if request.method != "POST":
            return self._ask_how_much(request, found)
        version = request.POST.get("version", "")
        if request.POST.get("seen") != "yes" or not (version.isascii() and version.isdigit()):
            words = gettext("Nothing was noted: first say that you have seen the money.")
            return self._ask_how_much(request, found, error=words, status=400)
        try:
            refunds.give_back(
                transaction_id=found.pk,
                organization_id=found.organization_id,
                amount=amount_in(request),
                reason=typed(request.POST, "reason", MOST_TYPED),
                actor=staff_actor(request),
                now=timezone.now(),
                version=int(version[:9]),
            )
        except StaleVersion:
            words = gettext(
                "Nothing was noted: something changed while the page was open, or it was noted"
                " already. Look at it again; what you typed is still in its place."
            )
            return self._ask_how_much(request, found, error=words, status=409)
        except (DomainError, DatabaseError) as error:
            refused = refusal(error)
            if refused is None:
                raise
            return self._ask_how_much(request, found, error=refused, status=409)
        text = gettext("It is noted to be paid back; %s is told.") % found.customer.name
        self.message_user(request, text, messages.SUCCESS)
        return HttpResponseRedirect(here)

    def _ask_how_much(
        self, request: HttpRequest, found: CartTransaction, *, error: str = "", status: int = 200
    ) -> HttpResponse:
        facts: dict[str, Any] = queue.detail(found.pk, now=timezone.now())
        most = selectors.most_by_hand(facts["transaction"])
        request.current_app = self.admin_site.name
        return TemplateResponse(
            request,
            "admin/payments/carttransaction/give_back.html",
            {
                **self.admin_site.each_context(request),
                **facts,
                "title": gettext("Money to give back for %s") % found.reference,
                "opts": self.opts,
                "original": facts["transaction"],
                "over": show.money(facts["transaction"].amount, found.currency),
                "most": show.money(most, found.currency),
                "possible": most > Decimal(0),
                "amount_value": request.POST.get("amount", ""),
                "reason_typed": request.POST.get("reason", ""),
                "seen": request.POST.get("seen", ""),
                "error": error,
            },
            status=status,
        )
