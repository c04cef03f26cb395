"""Checking people in at the door (A8)."""

from __future__ import annotations

from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from audit.api import answers
from audit.api.fields import Fields
from audit.idempotency import Answer
from bookings.api import representations, serializers
from bookings.api.views import OrganizationView
from bookings.models import Role
from bookings.services import check_in

LONGEST_CODE = 64


class CheckIns(OrganizationView):
    """Scan a code: the booking is checked in, or the answer says why not."""

    throttle_scope = "check_in"

    @extend_schema(
        operation_id="check_in",
        tags=["Check-in"],
        request=serializers.CheckInRequest,
        responses={200: serializers.CheckedIn},
        extensions={
            "x-problems": [
                "unknown_code",
                "already_checked_in",
                "wrong_day",
                "not_confirmed",
                "booking_cancelled",
                "permission_denied",
            ],
            "x-etag": True,
        },
    )
    def post(self, request: Request, org: str) -> HttpResponse:
        self.need("bookings.check_in_booking")
        fields = Fields(request.data)
        code = fields.text("code", longest=LONGEST_CODE, required=True)
        fields.check()
        now = timezone.now()

        def execute() -> Answer:
            booking = check_in.check_in(
                code=code,
                organization_ids={self.viewer.organization.pk},
                own_only=self.viewer.role == Role.PROVIDER,
                actor=self.actor,
                now=now,
            )
            return answers.answer(
                {
                    "status": "checked_in",
                    "booking": representations.booking(booking, self.viewer, with_code=False),
                },
                headers={"ETag": answers.etag(booking)},
            )

        return self.once(request, {"code": code}, execute, reason=check_in.BY_CODE)
