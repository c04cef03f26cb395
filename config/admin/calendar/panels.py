"""From a booking to moving it, and from a slot to booking it for somebody (B6, F3)."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from bookings import selectors
from bookings.admin import show
from bookings.admin.base import person
from bookings.admin.bookings import BookingAdmin
from bookings.admin.slots import SlotAdmin
from bookings.lifecycle import BookingStatus, SlotStatus
from bookings.models import Booking, Slot
from bookings.permissions import may
from bookings.services.reschedule import MOVABLE
from config.admin.calendar.rights import answers_to, terms_of, what_may
from payments.services import desk

TEMPLATE = "admin/calendar/_panel.html"


def move_of_booking(request: HttpRequest, booking: Booking) -> tuple[str, dict[str, Any]] | None:
    """The button that leads to another time, for who may move this booking."""
    proposed = booking.status == BookingStatus.RESCHEDULE_PROPOSED
    if not (proposed or booking.status in MOVABLE):
        return None
    if booking.stands_for_id or not any(what_may(person(request), booking.organization_id)):
        return None
    return TEMPLATE, {
        "url": reverse("admin:calendar_move", args=[booking.pk]),
        "text": _("See the proposed time") if proposed else _("Move or propose another time"),
        "icon": "event_repeat",
        "more": answers_to(request, booking) if proposed else [],
        "words": _proposed(request, booking) if proposed else "",
    }


def _proposed(request: HttpRequest, booking: Booking) -> str:
    """Which time is proposed, until when there may be an answer, and what stays of the price."""
    proposal = selectors.open_proposal(booking)
    if proposal is None:
        return ""
    slot = proposal.stand_in.slot
    words = _("Proposed: %(resource)s, %(time)s. Both times are held until %(until)s.") % {
        "resource": slot.resource.name,
        "time": show.slot_time(slot),
        "until": show.when(proposal.expires_at),
    }
    return " ".join(filter(None, [words, terms_of(request, proposal)]))


def book_of_slot(request: HttpRequest, slot: Slot) -> tuple[str, dict[str, Any]] | None:
    """The button that books a slot for somebody, until it is over."""
    if slot.status != SlotStatus.OPEN or slot.ends_at <= timezone.now():
        return None
    if not may(person(request), desk.BOOK, slot.organization_id):
        return None
    return TEMPLATE, {
        "url": f"{reverse('admin:calendar_book')}?slot={slot.pk}",
        "text": _("Book for somebody"),
        "icon": "event_available",
    }


BookingAdmin.panels.insert(0, move_of_booking)
SlotAdmin.panels.insert(0, book_of_slot)
