"""When something can be booked for as long as one wants, and what it costs."""

from __future__ import annotations

import uuid
from datetime import timedelta

from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from audit.api import answers
from audit.api.fields import Fields
from audit.errors import NotFound
from bookings import selectors as booking_selectors
from bookings import selectors_free_times
from bookings.api.views import OrganizationView
from bookings.models import Slot
from payments import selectors
from payments.api import representations, serializers
from payments.services.carts import MOST_UNITS

LONGEST = timedelta(days=31)
MOST_MINUTES = 60 * 24 * 7


class FreeTimes(OrganizationView):
    """Starts at which a resource of free times can be booked by customers now."""

    @extend_schema(
        operation_id="list_free_times",
        tags=["Offer"],
        parameters=[
            OpenApiParameter(
                "from", OpenApiTypes.DATETIME, required=True, description="From this moment on."
            ),
            OpenApiParameter(
                "to",
                OpenApiTypes.DATETIME,
                required=True,
                description="Before this moment, at most 31 days later.",
            ),
            OpenApiParameter(
                "minutes",
                OpenApiTypes.INT,
                description="How long; as long as the shortest booking if not said.",
            ),
            OpenApiParameter(
                "units", OpenApiTypes.INT, description="People: for the price; 1 if not said."
            ),
        ],
        responses={200: serializers.FreeTimesSerializer},
        extensions={"x-problems": ["invalid", "not_offered"]},
    )
    def get(self, request: Request, org: str, pk: uuid.UUID) -> HttpResponse:
        fields = Fields(request.query_params)
        since = fields.moment("from", required=True)
        until = fields.moment("to", required=True)
        minutes = fields.integer("minutes", least=1, most=MOST_MINUTES, default=0)
        units = fields.integer("units", least=1, most=MOST_UNITS, default=1)
        if since and until and not timedelta(0) < until - since <= LONGEST:
            fields.refuse("to", "After `from`, and at most 31 days later.")
        fields.check(known=True)
        assert since
        assert until
        organization_id = self.viewer.organization.pk
        resource = booking_selectors.resources(organization_id).filter(pk=pk).first()
        if resource is None:
            raise NotFound("There is no such resource.")
        length = timedelta(minutes=minutes or resource.shortest_minutes)
        starts = selectors_free_times.free_starts(
            resource, since, until, length, now=timezone.now()
        )
        # The slot of each is only thought of: it is made with its booking.
        slots = [
            Slot.at(resource, start, start + length, max_bookings=1, max_units=units)
            for start in starts
        ]
        prices = selectors.quotes(slots, units)
        times = [representations.free_time(s, prices[s.pk]) for s in slots]
        return answers.respond(
            {
                "minutes": length // timedelta(minutes=1),
                "time_zone": resource.time_zone,
                "starts": [time["starts_at"] for time in times],
                "times": times,
            }
        )
