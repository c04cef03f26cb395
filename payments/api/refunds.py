"""Refunds: what is owed back, and what became of it (A7, B9)."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from audit.api import answers
from audit.api.fields import Fields
from audit.api.pages import page_in, paginate
from audit.errors import Forbidden, NotFound
from audit.idempotency import Answer
from bookings.api.views import OrganizationView
from payments import selectors
from payments.api import representations, serializers
from payments.lifecycle import RefundStatus
from payments.models import Refund
from payments.services import refunds

SETTLE = "payments.settle_refund"
PROBLEMS = ["refund_settled", "own_transaction", "permission_denied"]


class Refunds(OrganizationView):
    """Staff see the organisation's refunds, customers their own; newest first."""

    @extend_schema(
        operation_id="list_refunds",
        tags=["Refunds"],
        parameters=[
            OpenApiParameter(
                "status", description="One or several, with commas.", enum=RefundStatus.values
            ),
        ],
        responses={200: serializers.RefundPage},
        extensions={"x-paged": True},
    )
    def get(self, request: Request, org: str) -> HttpResponse:
        fields = Fields(request.query_params)
        statuses = fields.choices("status", RefundStatus.values)
        page = page_in(fields)
        fields.check(known=True)
        found = selectors.refunds(self.viewer)
        if statuses:
            found = found.filter(status__in=statuses)
        rows, links = paginate(found, page, order="-created_at", request=request)
        return answers.respond(
            links | {"results": [representations.refund_alone(r, self.viewer) for r in rows]}
        )


class Change(OrganizationView):
    """Base of what staff say about a refund."""

    def change(
        self,
        request: Request,
        pk: uuid.UUID,
        service: Callable[..., list[Refund]],
        **said: Any,
    ) -> HttpResponse:
        def execute() -> Answer:
            (found,) = service(
                refund_ids=[pk],
                organization_ids={self.viewer.organization.pk},
                actor=self.actor,
                now=timezone.now(),
                **said,
            )
            return answers.answer(representations.refund_alone(found, self.viewer))

        return self.once(request, list(said.values()), execute)

    def allow(self, pk: uuid.UUID) -> None:
        """Let pass who may settle.

        Raises:
            NotFound: there is no such refund that the person may see.
            Forbidden: they see it, and this is not theirs to do.
        """
        if self.viewer.may(SETTLE):
            return
        if not selectors.refunds(self.viewer).filter(pk=pk).exists():
            raise NotFound("There is no such refund.")
        raise Forbidden

    @staticmethod
    def text(request: Request, name: str, longest: int) -> str:
        fields = Fields(request.data)
        found = fields.text(name, longest=longest, required=True, one_line=True)
        fields.check()
        return found


class Settle(Change):
    """Staff have paid it back."""

    @extend_schema(
        operation_id="settle_refund",
        tags=["Refunds"],
        request=serializers.SettleRequest,
        responses={200: serializers.RefundOfCustomer},
        extensions={"x-problems": [*PROBLEMS, "refund_unverified"]},
    )
    def post(self, request: Request, org: str, pk: uuid.UUID) -> HttpResponse:
        """Note that it was paid back; the customer is told, with the reference."""
        self.allow(pk)
        reference = self.text(request, "reference", refunds.LONGEST_REFERENCE)
        return self.change(request, pk, refunds.settle, reference=reference)


class Waive(Change):
    """It is not paid back."""

    @extend_schema(
        operation_id="waive_refund",
        tags=["Refunds"],
        request=serializers.WaiveRequest,
        responses={200: serializers.RefundOfCustomer},
        extensions={"x-problems": PROBLEMS},
    )
    def post(self, request: Request, org: str, pk: uuid.UUID) -> HttpResponse:
        """Note that it is not paid back, and why: the money never came, for one."""
        self.allow(pk)
        note = self.text(request, "note", refunds.LONGEST_NOTE)
        return self.change(request, pk, refunds.waive, note=note)


class Reopen(Change):
    """It is owed after all."""

    @extend_schema(
        operation_id="reopen_refund",
        tags=["Refunds"],
        request=serializers.ReopenRequest,
        responses={200: serializers.RefundOfCustomer},
        extensions={"x-problems": PROBLEMS},
    )
    def post(self, request: Request, org: str, pk: uuid.UUID) -> HttpResponse:
        """What was settled by mistake is owed again, with a reason for the history."""
        self.allow(pk)
        reason = self.text(request, "reason", refunds.LONGEST_NOTE)
        return self.change(request, pk, refunds.reopen, reason=reason)


class Verify(Change):
    """The money has been seen."""

    @extend_schema(
        operation_id="verify_refund",
        tags=["Refunds"],
        request=None,
        responses={200: serializers.RefundOfCustomer},
        extensions={"x-problems": PROBLEMS},
    )
    def post(self, request: Request, org: str, pk: uuid.UUID) -> HttpResponse:
        """Note that the money was found on the account: what was cancelled while its proof was
        under review can be paid back now."""
        self.allow(pk)
        Fields(request.data).check()  # nothing is asked for, and yet it must be readable
        return self.change(request, pk, refunds.verify)
