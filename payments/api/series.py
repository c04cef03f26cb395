"""Series: look, book, follow, cancel (B1, B4)."""

from __future__ import annotations

import uuid
from dataclasses import astuple

from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from audit.api import answers
from audit.api.fields import Fields
from audit.api.pages import page_in, paginate
from audit.context import Actor
from audit.errors import Forbidden, NotFound
from audit.idempotency import Answer
from bookings import selectors as booking_selectors
from bookings import selectors_series
from bookings.api.views import OrganizationView
from bookings.models import Customer, Series
from bookings.services.organizations import customer_of
from payments.api import representations, serializers
from payments.api.cancelling import fee_in
from payments.lifecycle import PaymentMethod
from payments.services import carts, checkout, decisions, desk, series


def wish_in(fields: Fields) -> series.Wish:
    """Which series is meant; what is wrong with it is noted in ``fields``."""
    resource_id = fields.uuid("resource", required=True)
    starts_at = fields.moment("starts_at", required=True)
    minutes = fields.integer("minutes", least=1, most=series.MOST_MINUTES, default=0)
    return series.Wish(
        resource_id=resource_id or uuid.UUID(int=0),
        starts_at=starts_at or timezone.now(),
        every_weeks=fields.integer("every_weeks", least=1, most=series.MOST_WEEKS, default=1),
        times=fields.integer("times", least=1, most=series.MOST_TIMES),
        units=fields.integer("units", least=1, most=carts.MOST_UNITS, default=1),
        minutes=minutes or None,
    )


class AllSeries(OrganizationView):
    """Series, newest first: staff see the organisation's, customers their own."""

    @extend_schema(
        operation_id="list_series",
        tags=["Series"],
        responses={200: serializers.SeriesPage},
        extensions={"x-paged": True},
    )
    def get(self, request: Request, org: str) -> HttpResponse:
        fields = Fields(request.query_params)
        page = page_in(fields)
        fields.check(known=True)
        rows, links = paginate(
            selectors_series.series(self.viewer), page, order="-created_at", request=request
        )
        return answers.respond(links | {"results": [representations.series(s) for s in rows]})

    @extend_schema(
        operation_id="book_series",
        tags=["Series"],
        request=serializers.BookSeriesRequest,
        responses={201: serializers.SeriesMade},
        extensions={
            "x-problems": [
                "series_not_free",
                "slot_gone",
                "not_offered",
                "too_many_bookings",
                "too_many_no_shows",
                "payment_method_not_offered",
                "permission_denied",
            ]
        },
    )
    def post(self, request: Request, org: str) -> HttpResponse:
        """Book the same hour every so many weeks, in one order; the answer tells of each date."""
        fields = Fields(request.data)
        wish = wish_in(fields)
        method = fields.choice("payment_method", PaymentMethod.values, required=True)
        everything = fields.boolean("all_or_nothing")
        note = fields.text("note", longest=checkout.LONGEST_NOTE)
        customer_id = fields.uuid("customer")
        overriding = fields.text("overriding", longest=decisions.LONGEST_REASON)
        fields.check()
        if customer_id or overriding:
            self.need(desk.BOOK)
        now = timezone.now()

        def execute() -> Answer:
            customer, actor = self._customer(customer_id)
            made = series.book_series(
                organization=self.viewer.organization,
                customer=customer,
                wish=wish,
                payment_method=method,
                all_or_nothing=everything is not False,
                note=note,
                overriding=overriding,
                may_approve=self.viewer.may("payments.approve_carttransaction"),
                actor=actor,
                now=now,
            )
            return answers.answer(representations.series_made(made), 201)

        facts = [*astuple(wish), method, everything, note, customer_id, overriding]
        return self.once(request, facts, execute)

    def _customer(self, customer_id: uuid.UUID | None) -> tuple[Customer, Actor]:
        """For whom, and who acts: staff for a customer, or somebody for themselves."""
        if customer_id is None:
            return customer_of(self.viewer), self.viewer.as_customer
        found = Customer.objects.filter(
            pk=customer_id, organization=self.viewer.organization
        ).first()
        if found is None:
            raise NotFound("There is no such customer.")
        return found, self.actor


class Preview(OrganizationView):
    """What there is on the dates of a series."""

    @extend_schema(
        operation_id="preview_series",
        tags=["Series"],
        request=serializers.SeriesRequest,
        responses={200: serializers.SeriesPreview},
        extensions={"x-problems": ["slot_gone", "not_offered"]},
    )
    def post(self, request: Request, org: str) -> HttpResponse:
        """Look at each date. Nothing is held, so that it may be gone when it is booked."""
        fields = Fields(request.data)
        wish = wish_in(fields)
        fields.check()
        now = timezone.now()

        def execute() -> Answer:
            dates = series.plan(organization=self.viewer.organization, wish=wish, now=now)
            return answers.answer({"dates": [representations.occurrence(d) for d in dates]})

        return self.once(request, [*astuple(wish)], execute)


class SeriesDetail(OrganizationView):
    """One series with its bookings."""

    @extend_schema(
        operation_id="get_series",
        tags=["Series"],
        responses={200: serializers.SeriesDetail},
    )
    def get(self, request: Request, org: str, pk: uuid.UUID) -> HttpResponse:
        found = series_of(self, pk)
        bookings = list(
            booking_selectors.bookings(self.viewer)
            .filter(series=found)
            .select_related("cart_item")
            .order_by("slot__starts_at", "pk")
        )
        booking_selectors.load_proposals(bookings)
        return answers.respond(
            representations.series(found)
            | {"bookings": [representations.booking(b, self.viewer) for b in bookings]}
        )


class Cancel(OrganizationView):
    """Its customer, or staff, cancel what is to come of a series."""

    @extend_schema(
        operation_id="cancel_series",
        tags=["Series"],
        request=serializers.CancelSeriesRequest,
        responses={200: serializers.SeriesCancelled},
        extensions={
            "x-problems": [
                "booking_over",
                "too_late",
                "fee_due",
                "own_transaction",
                "permission_denied",
            ]
        },
    )
    def post(self, request: Request, org: str, pk: uuid.UUID) -> HttpResponse:
        """Cancel all of it that is to come, or from one booking on. What a customer may not
        cancel any more stays, and is named in the answer."""
        found = series_of(self, pk)
        actor = self.actor
        if not self.viewer.may("bookings.change_booking"):
            if self.viewer.customer is None or found.customer_id != self.viewer.customer.pk:
                raise Forbidden
            actor = self.viewer.as_customer
        fields = Fields(request.data)
        reason = fields.text("reason", longest=decisions.LONGEST_REASON, required=True)
        first = fields.uuid("from")
        fee, keep = fee_in(fields)
        fields.check()
        now = timezone.now()

        def execute() -> Answer:
            done = series.cancel_series(
                series_id=pk,
                organization_id=self.viewer.organization.pk,
                from_booking_id=first,
                actor=actor,
                reason=reason,
                accepted_fee=fee,
                keep_fee=keep,
                now=now,
            )
            return answers.answer(
                {
                    "cancelled": [str(b.pk) for b in done.cancelled],
                    "too_late": [str(b.pk) for b in done.too_late],
                }
            )

        return self.once(request, [reason, first, fee, keep], execute)


def series_of(view: OrganizationView, pk: uuid.UUID) -> Series:
    found = selectors_series.series(view.viewer).filter(pk=pk).first()
    if found is None:
        raise NotFound("There is no such series.")
    return found
