"""What is left on each day: for a calendar of the month."""

from __future__ import annotations

from datetime import timedelta

from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from audit.api import answers
from audit.api.answers import stamp_or_none
from audit.api.fields import Fields
from audit.errors import NotFound
from bookings import selectors
from bookings.api import serializers
from bookings.api.views import OrganizationView

LONGEST = timedelta(days=62)
MOST_RESOURCES = 50
MOST_UNITS = 10_000


class Availability(OrganizationView):
    """Slots offered and slots with room, by resource and day of the resource's time zone.

    Days without slots are left out.
    """

    @extend_schema(
        operation_id="list_availability",
        tags=["Offer"],
        parameters=[
            OpenApiParameter(
                "from", OpenApiTypes.DATETIME, required=True, description="From this moment on."
            ),
            OpenApiParameter(
                "to",
                OpenApiTypes.DATETIME,
                required=True,
                description="Before this moment, at most 62 days later.",
            ),
            OpenApiParameter(
                "resource",
                OpenApiTypes.UUID,
                description="Only this one; otherwise the first 50 by name.",
            ),
            OpenApiParameter("units", OpenApiTypes.INT, description="People; 1 if not said."),
        ],
        responses={200: serializers.AvailabilitySerializer},
        extensions={"x-problems": ["invalid"]},
    )
    def get(self, request: Request, org: str) -> HttpResponse:
        fields = Fields(request.query_params)
        resource = fields.uuid("resource")
        since = fields.moment("from", required=True)
        until = fields.moment("to", required=True)
        units = fields.integer("units", least=1, most=MOST_UNITS, default=1)
        if since and until and not timedelta(0) < until - since <= LONGEST:
            fields.refuse("to", "After `from`, and at most 62 days later.")
        fields.check(known=True)
        assert since
        assert until
        offered = selectors.resources(self.viewer.organization.pk).order_by("name", "pk")
        if resource:
            offered = offered.filter(pk=resource)
        ids = list(offered.values_list("pk", flat=True)[:MOST_RESOURCES])
        if resource and not ids:
            raise NotFound("There is no such resource.")
        days = selectors.availability_by_day(
            self.viewer.organization.pk, ids, since, until, units=units, now=timezone.now()
        )
        return answers.respond(
            {
                "results": [
                    {
                        "resource": str(day.resource_id),
                        "date": day.date.isoformat(),
                        "slots": day.slots,
                        "available": day.available,
                        "first_available": stamp_or_none(day.first_available),
                    }
                    for day in days
                ]
            }
        )
