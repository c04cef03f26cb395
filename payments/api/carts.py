"""The cart: hold seats, let them go, check out (A1, A2)."""

from __future__ import annotations

import uuid

from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from audit.api import answers
from audit.api.fields import Fields
from audit.errors import NotFound
from audit.idempotency import Answer
from bookings.api.views import OrganizationView
from bookings.services.free_times import named
from bookings.services.organizations import customer_of
from payments import selectors
from payments.api import representations, serializers
from payments.api.times import time_in
from payments.lifecycle import PaymentMethod
from payments.prices import quote
from payments.services import carts, checkout


class CartView(OrganizationView):
    """The open cart."""

    @extend_schema(
        operation_id="get_cart", tags=["Cart"], responses={200: serializers.CartSerializer}
    )
    def get(self, request: Request, org: str) -> HttpResponse:
        customer = self.viewer.customer
        cart = selectors.open_cart(customer) if customer else None
        items = selectors.items_in_cart(cart) if cart else []
        rules = selectors.price_rules(i.booking.slot.resource_id for i in items) if items else []
        return answers.respond(
            representations.cart(
                representations.item(i, quote(i.booking.slot, i.booking.units, rules))
                for i in items
            )
        )

    @extend_schema(operation_id="empty_cart", tags=["Cart"], responses={204: None})
    def delete(self, request: Request, org: str) -> HttpResponse:
        """Let every seat go."""
        if self.viewer.customer:
            carts.empty(customer=self.viewer.customer, actor=self.actor, now=timezone.now())
        return HttpResponse(status=204)


class CartItems(OrganizationView):
    """Items of the open cart."""

    @extend_schema(
        operation_id="add_to_cart",
        tags=["Cart"],
        request=serializers.ItemRequest,
        responses={201: serializers.ItemSerializer},
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
                "cart_full",
            ]
        },
    )
    def post(self, request: Request, org: str) -> HttpResponse:
        """Hold seats in a slot, or a free time of a resource that is booked at free times."""
        fields = Fields(request.data)
        wanted = time_in(fields)
        units = fields.integer("units", least=1, most=carts.MOST_UNITS, default=1)
        fields.check()
        now = timezone.now()

        def execute() -> Answer:
            item, price = carts.add_item(
                organization=self.viewer.organization,
                customer=customer_of(self.viewer),
                slot_id=wanted,
                units=units,
                actor=self.actor,
                now=now,
            )
            return answers.answer(representations.item(item, price), 201)

        return self.once(request, [named(wanted), units], execute)


class CartItemDetail(OrganizationView):
    """One item of the open cart."""

    @extend_schema(
        operation_id="remove_from_cart",
        tags=["Cart"],
        responses={204: None},
        extensions={"x-problems": ["booking_over"]},
    )
    def delete(self, request: Request, org: str, pk: uuid.UUID) -> HttpResponse:
        """Let the seats of one item go."""
        if self.viewer.customer is None:
            raise NotFound("There is no such item in your cart.")
        carts.remove_item(
            customer=self.viewer.customer,
            item_id=pk,
            actor=self.actor,
            now=timezone.now(),
        )
        return HttpResponse(status=204)


class Checkout(OrganizationView):
    """From the cart to a transaction."""

    @extend_schema(
        operation_id="check_out",
        tags=["Cart"],
        request=serializers.CheckoutRequest,
        responses={201: serializers.TransactionSerializer},
        extensions={
            "x-problems": [
                "cart_empty",
                "hold_expired",
                "payment_method_not_offered",
                "mixed_currencies",
                "slot_gone",
            ],
            "x-etag": True,
        },
    )
    def post(self, request: Request, org: str) -> HttpResponse:
        """Turn everything in the cart into one transaction with a pending booking per item.

        What costs nothing becomes `free`, whatever `payment_method` says, and is confirmed at
        once unless the organisation says otherwise.
        """
        fields = Fields(request.data)
        method = fields.choice("payment_method", PaymentMethod.values, required=True)
        note = fields.text("note", longest=checkout.LONGEST_NOTE)
        fields.check()
        now = timezone.now()

        def execute() -> Answer:
            made = checkout.check_out(
                organization=self.viewer.organization,
                customer=customer_of(self.viewer),
                payment_method=method,
                note=note,
                actor=self.actor,
                now=now,
            )
            items = selectors.items_of(made)
            return answers.answer(
                representations.transaction(made, self.viewer, items, [], with_code=False)
                | {"payment_instructions": representations.instructions(made)},
                201,
                headers={"ETag": answers.etag(made)},
            )

        return self.once(request, [method, note], execute, reason=checkout.CHECKOUT)
