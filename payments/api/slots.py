"""When something can be booked, with what is left and what it costs."""

from __future__ import annotations

from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from audit.api import answers
from audit.api.fields import Fields
from audit.api.pages import page_in, paginate
from bookings import selectors as booking_selectors
from bookings.api.views import OrganizationView
from payments import selectors
from payments.api import representations, serializers
from payments.services.carts import MOST_UNITS


class Slots(OrganizationView):
    """Open slots that have not started, by their start."""

    @extend_schema(
        operation_id="list_slots",
        tags=["Offer"],
        parameters=[
            OpenApiParameter("resource", OpenApiTypes.UUID, description="Only this resource's."),
            OpenApiParameter(
                "from", OpenApiTypes.DATETIME, description="Starting at this moment or later."
            ),
            OpenApiParameter("to", OpenApiTypes.DATETIME, description="Starting before it."),
            OpenApiParameter(
                "units", OpenApiTypes.INT, description="People: for price and room; 1 if not said."
            ),
            OpenApiParameter(
                "available",
                OpenApiTypes.BOOL,
                description="true: only with room for `units`, and `bookable`.",
            ),
        ],
        responses={200: serializers.SlotPage},
        extensions={"x-paged": True},
    )
    def get(self, request: Request, org: str) -> HttpResponse:
        fields = Fields(request.query_params)
        resource = fields.uuid("resource")
        since, until = fields.moment("from"), fields.moment("to")
        units = fields.integer("units", least=1, most=MOST_UNITS, default=1)
        available = fields.boolean("available")
        page = page_in(fields)
        fields.check(known=True)

        now = timezone.now()
        found = booking_selectors.bookable_slots(self.viewer.organization.pk, now=now)
        if resource:
            found = found.filter(resource=resource)
        if since:
            found = found.filter(starts_at__gte=since)
        if until:
            found = found.filter(starts_at__lt=until)
        if available:
            found = booking_selectors.with_room(
                booking_selectors.in_time(found, now=now),
                units,
                organization_id=self.viewer.organization.pk,
                now=now,
            )
        slots, links = paginate(found, page, order="starts_at", request=request)
        left = booking_selectors.availability(slots, with_room=bool(available), now=now)
        prices = selectors.quotes(slots, units)
        results = [representations.slot(s, left[s.pk], prices[s.pk], now=now) for s in slots]
        return answers.respond(links | {"results": results})
