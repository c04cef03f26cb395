"""On a booking's page: the schedule that was in force when it was made, or moved to its time (B1)."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _

from bookings import selectors_schedules
from bookings.admin import schedule_words as words
from bookings.admin.bookings import BookingAdmin
from bookings.admin.show import when
from bookings.models import Booking, Slot


def schedule_when_booked(
    request: HttpRequest, booking: Booking
) -> tuple[str, dict[str, Any]] | None:
    """The hours, and the days that differed, as they were known when the booking got its time."""
    if booking.slot.source == Slot.Source.HAND:
        return None
    version = selectors_schedules.version_for(booking)
    if version is None:
        return None
    rows = [
        [line["days"], line["hours"], line["length"], line["room"]]
        for line in words.table(version.rules.all())
    ]
    rows += [
        [words.when(exception), exception.get_kind_display(), exception.name, ""]
        for exception in selectors_schedules.exceptions_for(booking)
    ]
    title = _("Schedule when it was booked: version %(number)d, made %(when)s")
    if booking.slot_since is not None:
        title = _("Schedule when it was moved there: version %(number)d, made %(when)s")
    schedule = reverse("admin:bookings_resource_schedule", args=[booking.slot.resource_id])
    return "admin/holdfast/table_panel.html", {
        "title": title % {"number": version.number, "when": when(version.created_at)},
        "headers": [_("Days"), _("Hours"), _("Slots"), _("Room")],
        "rows": rows,
        "empty": _("Closed: nothing was offered."),
        "more": schedule,
        "more_text": _("The schedule today"),
    }


BookingAdmin.panels.append(schedule_when_booked)
