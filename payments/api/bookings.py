"""Bookings with what they cost: follow them, make one directly, cancel one (A7, B11)."""

from __future__ import annotations

import uuid

from django.db.models import QuerySet
from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from audit.api import answers
from audit.api.fields import Fields
from audit.api.pages import page_in, paginate
from audit.errors import Forbidden, NotFound
from audit.idempotency import Answer
from bookings import selectors as booking_selectors
from bookings.api.views import OrganizationView
from bookings.lifecycle import BookingStatus
from bookings.models import Booking
from bookings.services.free_times import named
from bookings.services.organizations import customer_of
from payments import selectors
from payments.api import representations, serializers
from payments.api.cancelling import fee_in
from payments.api.times import time_in
from payments.lifecycle import PaymentMethod
from payments.services import cancellation, carts, checkout, decisions


class Bookings(OrganizationView):
    """Staff see the organisation's bookings, providers their own resources', customers their
    own; newest first."""

    @extend_schema(
        operation_id="list_bookings",
        tags=["Bookings"],
        parameters=[
            OpenApiParameter(
                "status", description="One or several, with commas.", enum=BookingStatus.values
            ),
            OpenApiParameter(
                "from", OpenApiTypes.DATETIME, description="Starting at this moment or later."
            ),
            OpenApiParameter("to", OpenApiTypes.DATETIME, description="Starting before it."),
        ],
        responses={200: serializers.BookingPage},
        extensions={"x-paged": True},
    )
    def get(self, request: Request, org: str) -> HttpResponse:
        fields = Fields(request.query_params)
        statuses = fields.choices("status", BookingStatus.values)
        since, until = fields.moment("from"), fields.moment("to")
        page = page_in(fields)
        fields.check(known=True)
        found = self.rows()
        if statuses:
            found = found.filter(status__in=statuses)
        if since:
            found = found.filter(slot__starts_at__gte=since)
        if until:
            found = found.filter(slot__starts_at__lt=until)
        rows, links = paginate(found, page, order="-created_at", request=request)
        booking_selectors.load_proposals(rows)
        return answers.respond(
            links | {"results": [representations.booking(b, self.viewer) for b in rows]}
        )

    def rows(self) -> QuerySet[Booking]:
        return booking_selectors.bookings(self.viewer).select_related("cart_item")

    @extend_schema(
        operation_id="book",
        tags=["Bookings"],
        request=serializers.BookRequest,
        responses={201: serializers.PricedBooking},
        extensions={
            "x-problems": [
                "slot_full",
                "line_first",
                "slot_gone",
                "resource_taken",
                "too_soon",
                "too_far_ahead",
                "too_many_bookings",
                "too_many_no_shows",
                "not_offered",
                "payment_method_not_offered",
            ],
            "x-etag": True,
        },
    )
    def post(self, request: Request, org: str) -> HttpResponse:
        """Book one slot, or one free time, without a cart: what is free, or paid on arrival."""
        fields = Fields(request.data)
        wanted = time_in(fields)
        units = fields.integer("units", least=1, most=carts.MOST_UNITS, default=1)
        method = fields.choice("payment_method", PaymentMethod.values, required=True)
        note = fields.text("note", longest=checkout.LONGEST_NOTE)
        fields.check()
        now = timezone.now()

        def execute() -> Answer:
            made = checkout.book(
                organization=self.viewer.organization,
                customer=customer_of(self.viewer),
                slot_id=wanted,
                units=units,
                payment_method=method,
                note=note,
                actor=self.actor,
                now=now,
            )
            item = selectors.items_of(made)[0]
            return answers.answer(
                representations.booking(item.booking, self.viewer, item, with_code=False),
                201,
                headers={"ETag": answers.etag(item.booking)},
            )

        return self.once(request, [named(wanted), units, method, note], execute)


class BookingDetail(OrganizationView):
    """One booking."""

    @extend_schema(
        operation_id="get_booking",
        tags=["Bookings"],
        responses={200: serializers.PricedBooking},
        extensions={"x-etag": True},
    )
    def get(self, request: Request, org: str, pk: uuid.UUID) -> HttpResponse:
        found = (
            booking_selectors.bookings(self.viewer)
            .select_related("cart_item")
            .filter(pk=pk)
            .first()
        )
        if found is None:
            raise NotFound("There is no such booking.")
        return answers.respond(
            representations.booking(found, self.viewer), headers={"ETag": answers.etag(found)}
        )


class Cancel(OrganizationView):
    """Its customer, or staff, cancel a booking."""

    @extend_schema(
        operation_id="cancel_booking",
        tags=["Bookings"],
        request=serializers.CancelRequest,
        responses={200: serializers.PricedBooking},
        extensions={
            "x-problems": [
                "booking_over",
                "too_late",
                "fee_due",
                "own_transaction",
                "permission_denied",
            ],
            "x-if-match": "required",
            "x-etag": True,
        },
    )
    def post(self, request: Request, org: str, pk: uuid.UUID) -> HttpResponse:
        """Give the seats back. With the last booking, its transaction is cancelled too.

        What was paid for it is owed back, less the fee, which a customer accepts by sending it.
        """
        actor = self.actor
        if not self.viewer.may("bookings.change_booking"):
            self._allow_owner(pk)
            actor = self.viewer.as_customer
        fields = Fields(request.data)
        reason = fields.text("reason", longest=decisions.LONGEST_REASON, required=True)
        fee, keep = fee_in(fields)
        fields.check()
        version = answers.version_in(request.headers.get("If-Match", ""), required=True)
        now = timezone.now()

        def execute() -> Answer:
            booking = cancellation.cancel_booking(
                booking_id=pk,
                organization_id=self.viewer.organization.pk,
                actor=actor,
                reason=reason,
                now=now,
                version=version,
                accepted_fee=fee,
                keep_fee=keep,
            )
            return answers.answer(
                representations.booking(booking, self.viewer, with_code=False),
                headers={"ETag": answers.etag(booking)},
            )

        return self.once(request, [reason, version, fee, keep], execute)

    def _allow_owner(self, pk: uuid.UUID) -> None:
        found = booking_selectors.bookings(self.viewer).filter(pk=pk).first()
        if found is None:
            raise NotFound("There is no such booking.")
        if self.viewer.customer is None or found.customer_id != self.viewer.customer.pk:
            raise Forbidden
