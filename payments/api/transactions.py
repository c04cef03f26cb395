"""Transactions: what a customer owes, and what staff decide about it (A4, A5, A7)."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from audit.api import answers
from audit.api.fields import Fields
from audit.api.pages import page_in, paginate
from audit.context import Actor
from audit.errors import Forbidden, NotFound
from audit.idempotency import Answer
from bookings.api.serializers import OptionalReason
from bookings.api.views import OrganizationView
from bookings.selectors import Viewer, load_proposals
from payments import selectors
from payments.api import representations, serializers
from payments.api.cancelling import fee_in
from payments.lifecycle import PaymentStatus, TransactionStatus
from payments.models import CartTransaction
from payments.services import decisions, refunds

DECISIONS = ["already_decided", "own_transaction", "stale_version", "permission_denied"]


class Transactions(OrganizationView):
    """Staff see the organisation's transactions, customers their own; newest first."""

    @extend_schema(
        operation_id="list_transactions",
        tags=["Transactions"],
        parameters=[
            OpenApiParameter(
                "status", description="One or several, with commas.", enum=TransactionStatus.values
            ),
            OpenApiParameter("payment_status", enum=PaymentStatus.values),
        ],
        responses={200: serializers.TransactionPage},
        extensions={"x-paged": True},
    )
    def get(self, request: Request, org: str) -> HttpResponse:
        fields = Fields(request.query_params)
        statuses = fields.choices("status", TransactionStatus.values)
        payment_status = fields.choice("payment_status", PaymentStatus.values)
        page = page_in(fields)
        fields.check(known=True)
        found = selectors.transactions(self.viewer)
        if statuses:
            found = found.filter(status__in=statuses)
        if payment_status:
            found = found.filter(payment_status=payment_status)
        rows, links = paginate(found, page, order="-created_at", request=request)
        load_proposals(item.booking for row in rows for item in row.items.all())
        selectors.load_given_back(rows)
        return answers.respond(
            links
            | {
                "results": [
                    representations.transaction(t, self.viewer, t.items.all(), t.proofs.all())
                    for t in rows
                ]
            }
        )


class TransactionDetail(OrganizationView):
    """One transaction."""

    @extend_schema(
        operation_id="get_transaction",
        tags=["Transactions"],
        responses={200: serializers.TransactionSerializer},
        extensions={"x-etag": True},
    )
    def get(self, request: Request, org: str, pk: uuid.UUID) -> HttpResponse:
        found = (
            selectors.transactions(self.viewer)
            .select_related("organization__payment_policy")
            .filter(pk=pk)
            .first()
        )
        if found is None:
            raise NotFound("There is no such transaction.")
        load_proposals(item.booking for item in found.items.all())
        return answers.respond(
            representations.transaction(found, self.viewer, found.items.all(), found.proofs.all())
            | {"payment_instructions": representations.instructions(found)},
            headers={"ETag": answers.etag(found)},
        )


class Decision(OrganizationView):
    """Base of what is decided about a transaction: check, call the service, show the result."""

    def allow(self, pk: uuid.UUID, permission: str, *, owner: bool = False) -> Actor:
        """Let staff with a permission pass, and its customer if ``owner`` says so.

        Returns who they act as: the owner is a customer here, whatever else they are.

        Raises:
            NotFound: there is no such transaction that the person may see.
            Forbidden: they see it, and this is not theirs to do.
        """
        if self.viewer.may(permission):
            return self.actor
        found = selectors.transaction_of(self.viewer, pk)
        if found is None:
            raise NotFound("There is no such transaction.")
        if not (owner and selectors.belongs_to(found, self.viewer)):
            raise Forbidden
        return self.viewer.as_customer

    def decide(
        self,
        request: Request,
        data: list[object],
        service: Callable[[], CartTransaction],
        *,
        reason: str = "",
    ) -> HttpResponse:
        return self.once(request, data, lambda: shown(service(), self.viewer), reason=reason)

    def version(self, request: Request, *, required: bool = False) -> int | None:
        return answers.version_in(request.headers.get("If-Match", ""), required=required)


def shown(found: CartTransaction, viewer: Viewer) -> Answer:
    """A transaction after a decision, with its parts read once more."""
    items = selectors.items_of(found)
    return answers.answer(
        representations.transaction(
            found, viewer, items, selectors.proofs_of(found), with_code=False
        )
        | {"payment_instructions": ""},
        headers={"ETag": answers.etag(found)},
    )


def _reason(request: Request, *, required: bool) -> str:
    fields = Fields(request.data)
    reason = fields.text("reason", longest=decisions.LONGEST_REASON, required=required)
    fields.check()
    return reason


class Approve(Decision):
    """Staff approve a transaction."""

    @extend_schema(
        operation_id="approve_transaction",
        tags=["Transactions"],
        request=OptionalReason,
        responses={200: serializers.TransactionSerializer},
        extensions={
            "x-problems": [*DECISIONS, "proof_missing"],
            "x-if-match": "optional",
            "x-etag": True,
        },
    )
    def post(self, request: Request, org: str, pk: uuid.UUID) -> HttpResponse:
        """Confirm every booking in it; each gets its check-in code."""
        self.allow(pk, "payments.approve_carttransaction")
        reason, version, now = _reason(request, required=False), self.version(request), _now()
        return self.decide(
            request,
            [reason, version],
            lambda: decisions.approve(
                transaction_id=pk,
                organization_id=self.viewer.organization.pk,
                actor=self.actor,
                reason=reason,
                version=version,
                now=now,
            ),
            reason=reason,
        )


class Reject(Decision):
    """Staff reject a transaction."""

    @extend_schema(
        operation_id="reject_transaction",
        tags=["Transactions"],
        request=serializers.RejectRequest,
        responses={200: serializers.TransactionSerializer},
        extensions={"x-problems": DECISIONS, "x-if-match": "optional", "x-etag": True},
    )
    def post(self, request: Request, org: str, pk: uuid.UUID) -> HttpResponse:
        """Reject it with a reason that the customer reads; the seats go back at once."""
        self.allow(pk, "payments.approve_carttransaction")
        fields = Fields(request.data)
        reason = fields.text("reason", longest=decisions.LONGEST_REASON, required=True)
        refund = bool(fields.boolean("refund"))
        fields.check()
        version, now = self.version(request), _now()
        return self.decide(
            request,
            [reason, version, refund],
            lambda: decisions.reject(
                transaction_id=pk,
                organization_id=self.viewer.organization.pk,
                actor=self.actor,
                reason=reason,
                version=version,
                refund=refund,
                now=now,
            ),
            reason=reason,
        )


class Cancel(Decision):
    """Its customer, or staff, cancel a transaction."""

    @extend_schema(
        operation_id="cancel_transaction",
        tags=["Transactions"],
        request=serializers.CancelRequest,
        responses={200: serializers.TransactionSerializer},
        extensions={
            "x-problems": [
                "already_decided",
                "booking_over",
                "too_late",
                "fee_due",
                "own_transaction",
                "stale_version",
            ],
            "x-if-match": "required",
            "x-etag": True,
        },
    )
    def post(self, request: Request, org: str, pk: uuid.UUID) -> HttpResponse:
        """Cancel it with every booking in it that is still live.

        What was paid for them is owed back, less the fee, which a customer accepts by sending it.
        """
        actor = self.allow(pk, "payments.change_carttransaction", owner=True)
        fields = Fields(request.data)
        reason = fields.text("reason", longest=decisions.LONGEST_REASON, required=True)
        fee, keep = fee_in(fields)
        fields.check()
        now = _now()
        version = self.version(request, required=True)
        return self.decide(
            request,
            [reason, version, fee, keep],
            lambda: decisions.cancel(
                transaction_id=pk,
                organization_id=self.viewer.organization.pk,
                actor=actor,
                reason=reason,
                version=version,
                accepted_fee=fee,
                keep_fee=keep,
                now=now,
            ),
            reason=reason,
        )


class GiveBack(Decision):
    """Staff saw more money than was to be paid."""

    @extend_schema(
        operation_id="give_back",
        tags=["Transactions"],
        request=serializers.GiveBackRequest,
        responses={200: serializers.TransactionSerializer},
        extensions={
            "x-problems": [
                "refund_not_possible",
                "own_transaction",
                "stale_version",
                "permission_denied",
            ],
            "x-if-match": "optional",
            "x-etag": True,
        },
    )
    def post(self, request: Request, org: str, pk: uuid.UUID) -> HttpResponse:
        """Note that somebody paid twice, or what they had cancelled before: the amount is owed to
        them as a refund that names no booking, and they are told."""
        self.allow(pk, "payments.settle_refund")
        fields = Fields(request.data)
        amount = fields.amount("amount", required=True)
        reason = fields.text("reason", longest=refunds.LONGEST_NOTE, required=True, one_line=True)
        fields.check()
        assert amount is not None
        version, now = self.version(request), _now()
        return self.decide(
            request,
            [amount, reason, version],
            lambda: refunds.give_back(
                transaction_id=pk,
                organization_id=self.viewer.organization.pk,
                amount=amount,
                reason=reason,
                actor=self.actor,
                version=version,
                now=now,
            ),
            reason=reason,
        )


class TakePayment(Decision):
    """Staff note that somebody has paid on arrival."""

    @extend_schema(
        operation_id="take_payment",
        tags=["Transactions"],
        request=serializers.PaymentNote,
        responses={200: serializers.TransactionSerializer},
        extensions={
            "x-problems": ["not_payable", "own_transaction", "permission_denied"],
            "x-etag": True,
        },
    )
    def post(self, request: Request, org: str, pk: uuid.UUID) -> HttpResponse:
        """The customer has paid on arrival."""
        self.allow(pk, "payments.take_payment_carttransaction")
        fields = Fields(request.data)
        note = fields.text("note", longest=500)
        fields.check()
        now = _now()
        return self.decide(
            request,
            [note],
            lambda: decisions.take_payment(
                transaction_id=pk,
                organization_id=self.viewer.organization.pk,
                actor=self.actor,
                note=note,
                now=now,
            ),
        )


_now = timezone.now
