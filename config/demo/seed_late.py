"""What came late at the demo: a proof that nobody decided on in time, and money for seats that are
gone.

As in ``seed_present``, every story begins some hours ago and goes through the services.
"""

from __future__ import annotations

import random
from datetime import datetime

from audit.context import Actor
from bookings.models import Organization
from config.demo.seed_files import Files
from config.demo.seed_people import staff_actor
from config.demo.seed_present import HOUR, Venue
from config.demo.seed_venues import RIVERSIDE
from payments.models import LatePayment
from payments.services import expiry, reviews


def play(
    organizations: dict[str, Organization], *, files: Files, rng: random.Random, now: datetime
) -> None:
    """Both stories, at the sports club."""
    venue = Venue(
        organizations[RIVERSIDE],
        reviewer=staff_actor("reviewer@riverside.example"),
        desk=staff_actor("desk@riverside.example"),
        files=files,
        rng=rng,
        now=now,
    )
    _overdue_review(venue)
    _late_money(venue)


def _overdue_review(venue: Venue) -> None:
    """Owner and manager were told some hours ago, and still nobody has looked."""
    now = venue.now
    made = venue.order(venue.somebody(), venue.slot("Court 1", days=6), at=now - 34 * HOUR)
    venue.pay(made, at=now - 32 * HOUR)
    reviews.escalate(actor=Actor.system("review deadline"), now=now - 7 * HOUR)
    made.refresh_from_db()
    assert made.escalations == 1


def _late_money(venue: Venue) -> None:
    """Paid two hours after the seats were gone; the day has others at the same price."""
    now = venue.now
    slot = venue.slot("Court 2", days=6)
    assert slot is not None
    made = venue.order(venue.somebody(), slot, at=now - 30 * HOUR)
    payment_deadline = Actor.system("payment deadline")
    expiry.expire_singly([made.pk], actor=payment_deadline, now=now - 5 * HOUR, failed={})
    venue.book(venue.somebody(), slot, at=now - 4 * HOUR, method="pay_on_arrival")
    venue.pay(made, at=now - 2 * HOUR, kind="jpg")
    assert LatePayment.objects.get(transaction=made).status == "open"
