"""What a customer takes along: the QR code and the calendar file of a booking (A8, F2)."""

from __future__ import annotations

import uuid
from datetime import datetime

import icalendar
from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from audit.errors import NotFound
from bookings import codes, selectors
from bookings.api import representations
from bookings.api.views import OrganizationView
from bookings.errors import BookingOver, NotConfirmed
from bookings.lifecycle import BookingStatus
from bookings.models import Booking
from bookings.selectors import Viewer

PRIVATE = {"Cache-Control": "private, no-store", "X-Content-Type-Options": "nosniff"}


def own_live_booking(viewer: Viewer, pk: uuid.UUID) -> Booking:
    """A customer's own booking that has not ended.

    Raises:
        NotFound: it is somebody else's.
        BookingOver: it has ended, or is over.
    """
    found = selectors.bookings(viewer).filter(pk=pk, customer=viewer.customer).first()
    if found is None:
        raise NotFound("There is no such booking of yours.")
    if not found.is_live:
        raise BookingOver(f"This booking is {found.get_status_display()}.")
    return found


class QrCode(OrganizationView):
    """Base of both pictures."""

    def code(self, pk: uuid.UUID) -> str:
        booking = own_live_booking(self.viewer, pk)
        code = representations.check_in_code(booking)
        if code is None:
            raise NotConfirmed(f"This booking is {booking.get_status_display()}.")
        return code


class QrSvg(QrCode):
    """The check-in code as a picture that scales."""

    @extend_schema(
        operation_id="get_qr_svg",
        tags=["Bookings"],
        responses={(200, "image/svg+xml"): OpenApiTypes.STR},
        extensions={"x-problems": ["not_confirmed", "booking_over"]},
    )
    def get(self, request: Request, org: str, pk: uuid.UUID) -> HttpResponse:
        headers = PRIVATE | {"Content-Security-Policy": "default-src 'none'; sandbox"}
        picture = codes.qr_svg(self.code(pk))
        return HttpResponse(picture, content_type="image/svg+xml", headers=headers)


class QrPng(QrCode):
    """The check-in code as a picture of dots."""

    @extend_schema(
        operation_id="get_qr_png",
        tags=["Bookings"],
        responses={(200, "image/png"): OpenApiTypes.BINARY},
        extensions={"x-problems": ["not_confirmed", "booking_over"]},
    )
    def get(self, request: Request, org: str, pk: uuid.UUID) -> HttpResponse:
        return HttpResponse(codes.qr_png(self.code(pk)), content_type="image/png", headers=PRIVATE)


class CalendarFile(OrganizationView):
    """The booking as an iCalendar file."""

    @extend_schema(
        operation_id="get_calendar_file",
        tags=["Bookings"],
        responses={(200, "text/calendar"): OpenApiTypes.STR},
        extensions={"x-problems": ["booking_over"]},
    )
    def get(self, request: Request, org: str, pk: uuid.UUID) -> HttpResponse:
        booking = own_live_booking(self.viewer, pk)
        name = f'attachment; filename="booking-{booking.reference}.ics"'
        return HttpResponse(
            ics(booking, self.viewer.organization.name, now=timezone.now()),
            content_type="text/calendar; charset=utf-8",
            headers=PRIVATE | {"Content-Disposition": name},
        )


def ics(booking: Booking, venue: str, *, now: datetime) -> bytes:
    """One event. Its UID is the booking's for ever, so a second import changes the first."""
    slot = booking.slot
    tentative = booking.status in (BookingStatus.HELD, BookingStatus.PENDING)
    event = icalendar.Event()
    event.add("uid", f"{booking.pk}@holdfast")
    event.add("sequence", booking.version)
    event.add("dtstamp", now)
    event.add("dtstart", slot.starts_at)
    event.add("dtend", slot.ends_at)
    event.add("summary", f"{slot.resource.name}, {venue}")
    event.add("description", f"Booking {booking.reference}, {booking.units} people")
    event.add("status", "TENTATIVE" if tentative else "CONFIRMED")
    calendar = icalendar.Calendar()
    calendar.add("prodid", "-//Holdfast//Bookings//EN")
    calendar.add("version", "2.0")
    calendar.add("method", "PUBLISH")
    calendar.add_component(event)
    content: bytes = calendar.to_ical()
    return content
