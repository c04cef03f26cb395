"""What cancelling would cost, before anybody does it (A7, B9)."""

from __future__ import annotations

import uuid
from decimal import Decimal

from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from audit.api import answers
from audit.api.fields import Fields
from audit.errors import DomainError, Forbidden, NotFound
from bookings import selectors as booking_selectors
from bookings.api.views import OrganizationView
from payments import cancelling, selectors, transitions
from payments.api import representations, serializers

KEEP_FEE = OpenApiParameter(
    "keep_fee", OpenApiTypes.BOOL, description="Staff: as if what a customer would pay were kept."
)


def fee_in(fields: Fields) -> tuple[Decimal | None, bool]:
    """The fee that a customer accepts, and whether staff keep it."""
    return fields.amount("fee"), bool(fields.boolean("keep_fee"))


class Cancellation(OrganizationView):
    """Base: staff see what it costs if they cancel, customers what it costs them."""

    def asker(self, permission: str, customer_id: uuid.UUID) -> bool:
        """Whether it is the customer who asks; raises Forbidden for whoever may not cancel."""
        if self.viewer.may(permission):
            return False
        if self.viewer.customer is None or self.viewer.customer.pk != customer_id:
            raise Forbidden
        return True

    def keep_fee(self, request: Request) -> bool:
        fields = Fields(request.query_params)
        found = fields.boolean("keep_fee")
        fields.check(known=True)
        return bool(found)


class OfBooking(Cancellation):
    """What cancelling a booking now would cost."""

    @extend_schema(
        operation_id="get_cancellation_of_booking",
        tags=["Bookings"],
        parameters=[KEEP_FEE],
        responses={200: serializers.CancellationOfBooking},
        extensions={"x-problems": ["permission_denied", "invalid"]},
    )
    def get(self, request: Request, org: str, pk: uuid.UUID) -> HttpResponse:
        """Show it, then cancel with this `fee`: if it has changed meanwhile, that is refused."""
        keep = self.keep_fee(request)
        booking = booking_selectors.bookings(self.viewer).filter(pk=pk).first()
        if booking is None:
            raise NotFound("There is no such booking.")
        by_customer = self.asker("bookings.change_booking", booking.customer_id)
        (found,) = selectors.costs(
            [booking], by_customer=by_customer, keep_fee=keep, now=timezone.now()
        )
        return answers.respond(representations.cost(booking, found))


class OfTransaction(Cancellation):
    """What cancelling a transaction now would cost."""

    @extend_schema(
        operation_id="get_cancellation_of_transaction",
        tags=["Transactions"],
        parameters=[KEEP_FEE],
        responses={200: serializers.CancellationOfTransaction},
        extensions={"x-problems": ["invalid"]},
    )
    def get(self, request: Request, org: str, pk: uuid.UUID) -> HttpResponse:
        """In all, and for each booking in it that is live."""
        keep = self.keep_fee(request)
        found = selectors.transaction_of(self.viewer, pk)
        if found is None:
            raise NotFound("There is no such transaction.")
        by_customer = self.asker("payments.change_carttransaction", found.customer_id)
        now = timezone.now()
        items = {item.booking_id: item for item in selectors.items_of(found)}
        bookings = [item.booking for item in items.values()]
        refused: DomainError | None = None
        try:
            transitions.check(found, "cancel")
            cancelling.check_all(bookings, items, by_customer=by_customer, now=now)
        except DomainError as error:
            refused = error
        live = [b for b in bookings if cancelling.is_live(b)]
        costs = selectors.costs(live, by_customer=by_customer, keep_fee=keep, now=now)
        each = [representations.cost(b, c) for b, c in zip(live, costs, strict=True)]
        return answers.respond(
            representations.cost_of_all(found, refused, each, cancelling.total(costs))
        )
