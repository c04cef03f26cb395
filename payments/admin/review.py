"""The pages on which payments are reviewed and decided, one and many (A4, A5, B11, F3).

Every decision is one call of ``payments.services.decisions``; what it refuses is told on the
page, and nothing that was typed is lost.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db import DatabaseError
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from audit.admin.scope import staff_actor
from audit.errors import DomainError, StaleVersion
from bookings.admin.base import go_back, person, refusal, typed
from payments.admin import queue, show
from payments.errors import AlreadyDecided
from payments.lifecycle import PaymentMethod
from payments.models import CartTransaction
from payments.selectors import to_pay
from payments.services import decisions

if TYPE_CHECKING:
    from payments.admin.give_back import GiveBackPages as Base
else:
    Base = object

log = structlog.get_logger("holdfast.admin")

# More than a reason may have, so that the service says so and nothing is cut off unseen.
MOST_TYPED = 5000

PAGE = 50
TAKE_PAYMENT = "payments.take_payment_carttransaction"
CHANGE = "payments.change_carttransaction"
COMMON_REASONS = [
    pgettext_lazy("reason", "The amount does not match what is to be paid."),
    pgettext_lazy("reason", "The picture cannot be read. Please send a clear one."),
    pgettext_lazy("reason", "The payment has not arrived on our account."),
    pgettext_lazy("reason", "The payment reference does not match this booking."),
    pgettext_lazy("reason", "This proof was used for another payment already."),
]


@dataclass(slots=True)
class Outcome:
    """What became of one transaction in a bulk decision."""

    transaction: Any
    amount: str
    kind: str  # done, refused or failed
    words: str


class ReviewPages(Base):
    """The review queue and the page of one transaction, as a part of its ModelAdmin."""

    def review_urls(self) -> list[URLPattern]:
        def view(function: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
            return self.admin_site.admin_view(function)

        return [
            path("review/", view(self.queue_view), name="payments_review"),
            path("review/many/", view(self.many_view), name="payments_review_many"),
            path("<uuid:object_id>/decide/", view(self.decide_view), name="payments_decide"),
            path("<uuid:object_id>/take-payment/", view(self.pay_view), name="payments_take"),
            path("<uuid:object_id>/cancel/", view(self.cancel_view), name="payments_cancel"),
        ]

    # --- the queue ---------------------------------------------------------------------------

    def queue_view(self, request: HttpRequest) -> HttpResponse:
        """Everything that waits for this person's decision, oldest first."""
        if not self.may(request, queue.APPROVE):
            raise PermissionDenied
        requests = request.GET.get("tab") == "requests"
        waiting = queue.queue(request.user, requests=requests)
        query = typed(request.GET, "q")
        if query:
            waiting = waiting.filter(
                Q(reference__istartswith=query)
                | Q(customer__name__icontains=query)
                | Q(customer__email__icontains=query)
            )
        page = Paginator(queue.with_figures(waiting), PAGE).get_page(request.GET.get("page"))
        found = queue.rows(list(page.object_list), now=timezone.now())
        return self._page(
            request,
            "admin/payments/carttransaction/queue.html",
            title=_("Review queue"),
            rows=found,
            page=page,
            q=query,
            requests=requests,
            several=len({r.transaction.organization_id for r in found}) > 1,
        )

    def many_view(self, request: HttpRequest) -> HttpResponse:
        """Confirm and then carry out one decision about many; one bad row stops no other."""
        if request.method != "POST":
            return HttpResponseRedirect(reverse("admin:payments_review"))
        if not self.may(request, queue.APPROVE):
            raise PermissionDenied
        decision = request.POST.get("decision", "")
        chosen = self._chosen(request)
        if decision not in ("approve", "reject") or not chosen:
            self.message_user(request, gettext("Choose at least one transaction."), messages.ERROR)
            return HttpResponseRedirect(reverse("admin:payments_review"))
        reason = _reason(request)
        error = ""
        if request.POST.get("confirmed") == "yes":
            if decision == "approve" or reason:
                outcomes = [self._decide_one(request, one, decision, reason) for one in chosen]
                return self._results(request, decision, outcomes)
            error = gettext("Say why: the customers will read it.")
        return self._page(
            request,
            "admin/payments/carttransaction/confirm.html",
            title=_("Approve payments") if decision == "approve" else _("Reject payments"),
            decision=decision,
            rows=queue.rows(chosen, now=timezone.now()),
            sums=show.sums(chosen),
            bookings=sum(one.item_count for one in chosen),
            reasons=COMMON_REASONS,
            typed=request.POST.get("reason", ""),
            ticked=request.POST.get("common", ""),
            refund="refund" in request.POST,
            may_refund=any(one.payment_method == PaymentMethod.PAY_NOW for one in chosen),
            error=error,
        )

    def _chosen(self, request: HttpRequest) -> list[Any]:
        """The chosen rows that are this person's to decide, in any status."""
        ids = []
        for text in request.POST.getlist("ids")[:PAGE]:
            try:
                ids.append(uuid.UUID(text))
            except ValueError:
                continue
        found = self.get_queryset(request).filter(pk__in=ids).order_by("submitted_at", "pk")
        rows = list(queue.with_figures(found))
        return [one for one in rows if self.may(request, queue.APPROVE, one)]

    def _decide_one(
        self, request: HttpRequest, one: CartTransaction, decision: str, reason: str
    ) -> Outcome:
        amount = show.money(one.amount, one.currency)
        try:
            self._call(
                request,
                one,
                decision,
                reason,
                _number(request.POST.get(f"version_{one.pk}")),
                refund="refund" in request.POST and one.payment_method == PaymentMethod.PAY_NOW,
            )
        except (DomainError, DatabaseError) as error:
            words = refusal(error)
            if words is not None:
                return Outcome(one, amount, "refused", words)
            return self._failed(one, amount, error)
        except Exception as error:
            return self._failed(one, amount, error)
        words = gettext("Approved") if decision == "approve" else gettext("Rejected")
        return Outcome(one, amount, "done", words)

    def _failed(self, one: CartTransaction, amount: str, error: Exception) -> Outcome:
        log.error("bulk_decision_failed", transaction=str(one.pk), error_code=type(error).__name__)
        words = gettext("Something went wrong and nothing was changed here. Try this one again.")
        return Outcome(one, amount, "failed", words)

    def _results(
        self, request: HttpRequest, decision: str, outcomes: list[Outcome]
    ) -> HttpResponse:
        done = [o for o in outcomes if o.kind == "done"]
        return self._page(
            request,
            "admin/payments/carttransaction/results.html",
            title=_("Approved payments") if decision == "approve" else _("Rejected payments"),
            outcomes=outcomes,
            done=len(done),
            others=len(outcomes) - len(done),
            sums=show.sums(o.transaction for o in done),
        )

    # --- one transaction -----------------------------------------------------------------------

    def detail_page(
        self,
        request: HttpRequest,
        object_id: Any,
        *,
        error: str = "",
        status: int = 200,
        **more: Any,
    ) -> HttpResponse:
        """The proofs beside the bookings, and the buttons this person may press."""
        found = self._visible(request, object_id)
        now = timezone.now()
        facts = queue.detail(found.pk, now=now)
        transaction = facts["transaction"]
        may_decide = facts["undecided"] and self.may(request, queue.APPROVE, transaction)
        own = transaction.customer.user_id == person(request).pk
        in_queue = "queue" in request.GET or "queue" in request.POST
        waiting, following = queue.position(request.user, transaction) if in_queue else (0, None)
        due = transaction.payment_method == "pay_on_arrival" and transaction.status == "approved"
        may_take = (
            due
            and transaction.payment_status == "pending"
            and self.may(request, TAKE_PAYMENT, transaction)
        )
        return self._page(
            request,
            "admin/payments/carttransaction/detail.html",
            code=status,
            title=f"{gettext('Transaction')} {transaction.reference}",
            original=transaction,
            opts=self.opts,
            **facts,
            may_decide=may_decide and not own,
            own=may_decide and own,
            may_take_payment=may_take and not own,
            own_payment=may_take and own,
            may_cancel=transaction.status in ("pending", "under_review", "approved")
            and self.may(request, CHANGE, transaction),
            may_give_back=self.may_give_back(request, transaction),
            may_see_customer=self.may(request, "bookings.view_customer", transaction),
            reasons=COMMON_REASONS,
            typed=request.POST.get("reason", ""),
            ticked=request.POST.get("common", ""),
            pressed=request.POST.get("decision", ""),
            in_queue=in_queue,
            waiting_others=waiting,
            following=following,
            error=error,
            **more,
        )

    def decide_view(self, request: HttpRequest, object_id: uuid.UUID) -> HttpResponse:
        """Approve or reject one, and open the next of the queue."""
        here = reverse("admin:payments_carttransaction_change", args=[object_id])
        if request.method != "POST":
            return HttpResponseRedirect(here)
        found = self._visible(request, object_id)
        if not self.may(request, queue.APPROVE, found):
            raise PermissionDenied
        decision, version = request.POST.get("decision"), _number(request.POST.get("version"))
        if decision not in ("approve", "reject") or version is None:
            return self.detail_page(
                request, object_id, error=gettext("Choose what to do, then try again."), status=400
            )
        shown = _number(request.POST.get("proofs"))
        if decision == "approve" and shown is not None and found.proofs.count() != shown:
            return self.detail_page(
                request,
                object_id,
                error=gettext(
                    "Another proof of payment came in while this page was open. Nothing was"
                    " decided: look at it below, then decide again."
                ),
                status=409,
            )
        following = queue.position(request.user, found)[1]
        try:
            decided = self._call(
                request,
                found,
                decision,
                _reason(request),
                version,
                refund=decision == "reject" and "refund" in request.POST,
            )
        except (StaleVersion, AlreadyDecided) as error:
            return self._stale(request, found, version, error)
        except (DomainError, DatabaseError) as error:
            words = refusal(error)
            if words is None:
                raise
            return self.detail_page(request, object_id, error=words, status=409)
        self.message_user(request, _told(decided, decision), messages.SUCCESS)
        if "queue" not in request.POST:
            return HttpResponseRedirect(here)
        if following is None:
            return HttpResponseRedirect(reverse("admin:payments_review"))
        return HttpResponseRedirect(
            reverse("admin:payments_carttransaction_change", args=[following.pk]) + "?queue=1"
        )

    def _stale(
        self, request: HttpRequest, found: CartTransaction, version: int, error: DomainError
    ) -> HttpResponse:
        if isinstance(error, StaleVersion):
            words = gettext(
                "Nothing was decided: this transaction changed while the page was open. What"
                " changed is listed here; what you typed is still in its place."
            )
        else:
            words = error.detail
        since = queue.changes_since(found, version)
        return self.detail_page(request, found.pk, error=words, status=409, since=since)

    def _call(
        self,
        request: HttpRequest,
        one: CartTransaction,
        decision: str,
        reason: str,
        version: int | None,
        *,
        refund: bool = False,
    ) -> CartTransaction:
        facts: dict[str, Any] = {
            "transaction_id": one.pk,
            "organization_id": one.organization_id,
            "actor": staff_actor(request),
            "now": timezone.now(),
            "version": version,
        }
        if decision == "approve":
            return decisions.approve(**facts)
        return decisions.reject(reason=reason, refund=refund, **facts)

    def pay_view(self, request: HttpRequest, object_id: uuid.UUID) -> HttpResponse:
        """Note that somebody paid on arrival."""
        found = self._visible(request, object_id)
        here = reverse("admin:payments_carttransaction_change", args=[object_id])
        if request.method == "POST":
            if not self.may(request, TAKE_PAYMENT, found):
                raise PermissionDenied
            try:
                paid = decisions.take_payment(
                    transaction_id=found.pk,
                    organization_id=found.organization_id,
                    actor=staff_actor(request),
                    now=timezone.now(),
                    note=typed(request.POST, "note"),
                )
            except DomainError as error:
                self.message_user(request, error.detail, messages.ERROR)
            else:
                text = gettext("%(amount)s was taken for %(reference)s.") % {
                    "amount": show.money(to_pay(paid), paid.currency),
                    "reference": paid.reference,
                }
                self.message_user(request, text, messages.SUCCESS)
        return go_back(request, here)

    def cancel_view(self, request: HttpRequest, object_id: uuid.UUID) -> HttpResponse:
        """Cancel a transaction with every booking in it that is still live."""
        found = self._visible(request, object_id)
        here = reverse("admin:payments_carttransaction_change", args=[object_id])
        if request.method != "POST":
            return HttpResponseRedirect(here)
        if not self.may(request, CHANGE, found):
            raise PermissionDenied
        version = _number(request.POST.get("version"))
        try:
            decisions.cancel(
                transaction_id=found.pk,
                organization_id=found.organization_id,
                actor=staff_actor(request),
                reason=typed(request.POST, "cancel_reason", MOST_TYPED),
                now=timezone.now(),
                version=version,
                keep_fee="keep_fee" in request.POST,
            )
        except (StaleVersion, AlreadyDecided) as error:
            return self._stale(request, found, version or 0, error)
        except (DomainError, DatabaseError) as error:
            words = refusal(error)
            if words is None:
                raise
            return self.detail_page(request, object_id, error=words, status=409)
        text = gettext("%s is cancelled; its seats are free again.") % found.reference
        self.message_user(request, text, messages.SUCCESS)
        return HttpResponseRedirect(here)

    def _visible(self, request: HttpRequest, object_id: Any) -> CartTransaction:
        found = self.get_object_or_none(request, str(object_id))
        if found is None or not self.has_view_permission(request, found):
            raise Http404
        return found  # type: ignore[no-any-return]

    def _page(
        self, request: HttpRequest, template: str, *, code: int = 200, **context: Any
    ) -> HttpResponse:
        request.current_app = self.admin_site.name
        base = self.admin_site.each_context(request)
        return TemplateResponse(request, template, {**base, **context}, status=code)


def _told(decided: CartTransaction, decision: str) -> str:
    amount = show.money(decided.amount, decided.currency)
    facts = {"reference": decided.reference, "amount": amount, "name": decided.customer.name}
    if decision == "approve":
        return gettext("Approved: %(reference)s, %(amount)s, %(name)s. They are told.") % facts
    return gettext("Rejected: %(reference)s, %(name)s. They are told why.") % facts


def _reason(request: HttpRequest) -> str:
    """The common reason that was ticked and what was typed, together."""
    parts = [typed(request.POST, name, MOST_TYPED) for name in ("common", "reason")]
    return " ".join(part for part in parts if part)


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else None
