"""What the clock does in the demo: somebody who was missed and excused, a limit, reminders."""

from __future__ import annotations

from datetime import datetime

from audit.context import Actor
from bookings.lifecycle import BookingStatus
from bookings.models import Booking, Organization
from bookings.services import no_shows, reminders
from config.demo import seed_people, seed_venues

LIMIT = 4
REASON = "Was at the other entrance; the trainer remembers them."


def play(organizations: dict[str, Organization], *, now: datetime) -> None:
    """Excuse one of those who did not come, and remind those whose time is near."""
    place = organizations[seed_venues.RIVERSIDE]
    place.no_show_limit, place.no_show_days = LIMIT, 180
    place.save(update_fields=["no_show_limit", "no_show_days"])
    missed = Booking.objects.filter(
        organization=place, status=BookingStatus.NO_SHOW, slot__exclusive=False
    )
    latest = missed.order_by("-slot__ends_at", "pk").first()
    if latest is not None:
        no_shows.excuse(
            booking_ids=[latest.pk],
            organization_ids=[place.pk],
            actor=seed_people.staff_actor("desk@riverside.example"),
            reason=REASON,
            now=now,
        )
    while reminders.remind(actor=Actor.system("reminders"), now=now):
        pass
