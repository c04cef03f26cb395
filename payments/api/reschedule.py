"""Moving a booking: at once, or by a proposal that its customer answers (B6, B11)."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from audit.api import answers
from audit.api.fields import Fields
from audit.context import Actor
from audit.errors import Forbidden, NotFound
from audit.idempotency import Answer
from bookings import selectors as booking_selectors
from bookings.api.serializers import OptionalReason
from bookings.api.views import OrganizationView
from bookings.models import Booking, Role
from bookings.services import reschedule as proposals
from bookings.services.free_times import named
from payments.api import representations, serializers
from payments.api.times import time_in
from payments.services import reschedule

SEATS = [
    "slot_full",
    "line_first",
    "slot_gone",
    "resource_taken",
    "not_offered",
    "booking_over",
    "proposal_open",
]


class BookingStep(OrganizationView):
    """A POST that changes one booking whose version the caller has read."""

    def step(
        self, request: Request, facts: list[Any], version: int | None, act: Callable[[], Booking]
    ) -> HttpResponse:
        def execute() -> Answer:
            booking = act()
            return answers.answer(
                representations.booking(booking, self.viewer, with_code=False),
                headers={"ETag": answers.etag(booking)},
            )

        return self.once(request, [*facts, version], execute)

    def version(self, request: Request) -> int | None:
        return answers.version_in(request.headers.get("If-Match", ""), required=True)

    def mover(self, pk: uuid.UUID) -> Actor:
        """Who this is for a booking: staff who may, or its customer.

        Raises:
            NotFound: it is not for this person to see.
            Forbidden: they see it, and may not.
        """
        found = booking_selectors.bookings(self.viewer).filter(pk=pk).first()
        if found is None:
            raise NotFound("There is no such booking.")
        if self.viewer.customer is not None and found.customer_id == self.viewer.customer.pk:
            return self.viewer.as_customer  # with one's own, staff are customers
        if self.viewer.may("bookings.change_booking"):
            return self.actor
        raise Forbidden

    def staff(self, pk: uuid.UUID) -> Actor:
        """A member of staff who may propose times for this booking."""
        if not booking_selectors.bookings(self.viewer).filter(pk=pk).exists():
            raise NotFound("There is no such booking.")
        if not self.viewer.may("bookings.propose_booking"):
            raise Forbidden
        return self.actor

    @property
    def provider_id(self) -> uuid.UUID | None:
        """Whose resources alone this person proposes times of; None for any."""
        return self.viewer.user.pk if self.viewer.role == Role.PROVIDER else None


class Reschedule(BookingStep):
    """Its customer, or staff, move a booking to another slot or free time."""

    @extend_schema(
        operation_id="reschedule_booking",
        tags=["Bookings"],
        request=serializers.RescheduleRequest,
        responses={200: serializers.PricedBooking},
        extensions={
            "x-problems": [
                *SEATS,
                "price_differs",
                "length_differs",
                "too_late",
                "too_soon",
                "too_far_ahead",
                "permission_denied",
            ],
            "x-if-match": "required",
            "x-etag": True,
        },
    )
    def post(self, request: Request, org: str, pk: uuid.UUID) -> HttpResponse:
        """Give the old seats back, if the new ones can be had.

        Customers choose another time of the same resource and price, within its deadlines. Where a
        free time has the same price whatever its length, it is as long as theirs
        (`length_differs`). A deadline of cancelling that has passed does not come back
        (`cancellation` of the booking). While a proposal is open, it is answered or withdrawn first
        (`proposal_open`).
        """
        actor = self.mover(pk)
        fields = Fields(request.data)
        wanted = time_in(fields)
        reason = fields.text("reason", longest=proposals.LONGEST_MESSAGE)
        accept_price = fields.boolean("accept_price") or False
        fields.check()
        version = self.version(request)
        now = timezone.now()
        return self.step(
            request,
            [named(wanted), reason, accept_price],
            version,
            lambda: reschedule.reschedule(
                booking_id=pk,
                organization_id=self.viewer.organization.pk,
                slot_id=wanted,
                actor=actor,
                reason=reason,
                accept_price=accept_price,
                now=now,
                version=version,
            ),
        )


class Propose(BookingStep):
    """Staff propose another time to the customer of a confirmed booking."""

    @extend_schema(
        operation_id="propose_reschedule",
        tags=["Bookings"],
        request=serializers.ProposeRequest,
        responses={200: serializers.PricedBooking},
        extensions={
            "x-problems": [*SEATS, "price_differs", "too_late", "permission_denied"],
            "x-if-match": "required",
            "x-etag": True,
        },
    )
    def post(self, request: Request, org: str, pk: uuid.UUID) -> HttpResponse:
        """Hold both times until the customer has answered, or the time to answer has run out."""
        actor = self.staff(pk)
        fields = Fields(request.data)
        wanted = time_in(fields)
        message = fields.text("message", longest=proposals.LONGEST_MESSAGE)
        accept_price = fields.boolean("accept_price") or False
        fields.check()
        version = self.version(request)
        now = timezone.now()

        def act() -> Booking:
            made = reschedule.propose(
                accept_price=accept_price,
                booking_id=pk,
                organization_id=self.viewer.organization.pk,
                slot_id=wanted,
                message=message,
                actor=actor,
                now=now,
                version=version,
                provider_id=self.provider_id,
            )
            return made.booking

        return self.step(request, [named(wanted), message, accept_price], version, act)


ANSWER: dict[str, Any] = {
    "x-problems": ["no_proposal", "permission_denied"],
    "x-if-match": "required",
    "x-etag": True,
}


class Accept(BookingStep):
    """The customer, or staff on their behalf, accept the proposed time."""

    @extend_schema(
        operation_id="accept_proposal",
        tags=["Bookings"],
        request=None,
        responses={200: serializers.PricedBooking},
        extensions={**ANSWER, "x-problems": ["slot_gone", *ANSWER["x-problems"]]},
    )
    def post(self, request: Request, org: str, pk: uuid.UUID) -> HttpResponse:
        """Move to the proposed time, at the price that was agreed."""
        actor = self.mover(pk)
        Fields(request.data).check()  # nothing is asked for, and yet it must be readable
        version, now = self.version(request), timezone.now()
        return self.step(
            request,
            [],
            version,
            lambda: proposals.accept(
                booking_id=pk,
                organization_id=self.viewer.organization.pk,
                actor=actor,
                now=now,
                version=version,
            ),
        )


class Decline(BookingStep):
    """The customer declines the proposed time."""

    @extend_schema(
        operation_id="decline_proposal",
        tags=["Bookings"],
        request=OptionalReason,
        responses={200: serializers.PricedBooking},
        extensions=ANSWER,
    )
    def post(self, request: Request, org: str, pk: uuid.UUID) -> HttpResponse:
        """Stay at the present time."""
        return self._give_up(request, pk, self.mover(pk), proposals.decline)

    def _give_up(
        self, request: Request, pk: uuid.UUID, actor: Actor, service: Callable[..., Booking]
    ) -> HttpResponse:
        fields = Fields(request.data)
        reason = fields.text("reason", longest=proposals.LONGEST_MESSAGE)
        fields.check()
        version, now = self.version(request), timezone.now()
        return self.step(
            request,
            [reason],
            version,
            lambda: service(
                booking_id=pk,
                organization_id=self.viewer.organization.pk,
                actor=actor,
                reason=reason,
                now=now,
                version=version,
            ),
        )


class Withdraw(Decline):
    """Staff take a proposed time back."""

    @extend_schema(
        operation_id="withdraw_proposal",
        tags=["Bookings"],
        request=OptionalReason,
        responses={200: serializers.PricedBooking},
        extensions=ANSWER,
    )
    def post(self, request: Request, org: str, pk: uuid.UUID) -> HttpResponse:
        """Stay at the present time; the customer is told."""
        withdraw = partial(proposals.withdraw, provider_id=self.provider_id)
        return self._give_up(request, pk, self.staff(pk), withdraw)
