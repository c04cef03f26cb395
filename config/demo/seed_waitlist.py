"""Who waits in line at the demo: a full class with a line, and a court somebody gave back.

As in ``seed_present``, every story begins some hours ago and goes through the services. An offer
stands for twelve hours: one that was made fourteen hours ago has run out.
"""

from __future__ import annotations

import random
from datetime import datetime

from audit.context import Actor
from bookings.models import Booking, Customer, Organization, Slot
from bookings.services import bookings as booking_services
from config.demo.seed_files import Files
from config.demo.seed_people import staff_actor
from config.demo.seed_present import HOUR, Venue, first_booking
from config.demo.seed_venues import RIVERSIDE
from waitlist.models import WaitlistEntry, WaitlistPolicy
from waitlist.services import by_hand, joining, line
from waitlist.services.joining import Window

DESK = "desk@riverside.example"


def play(
    organizations: dict[str, Organization], *, files: Files, rng: random.Random, now: datetime
) -> None:
    """Both stories, at the sports club."""
    place = organizations[RIVERSIDE]
    WaitlistPolicy.objects.create(organization=place)
    venue = Venue(
        place,
        reviewer=staff_actor("reviewer@riverside.example"),
        desk=staff_actor(DESK),
        files=files,
        rng=rng,
        now=now,
    )
    _full_class(venue)
    _court_given_back(venue)


def _full_class(venue: Venue) -> None:
    """Everybody wants the same class: six wait, two by two and one by one."""
    now = venue.now
    slot = venue.slot("Yoga", days=4)
    assert slot is not None
    leaving = _fill(venue, slot, at=now - 30 * HOUR)

    first = _join(venue, slot, units=2, at=now - 28 * HOUR)
    family = _join(venue, slot, units=4, at=now - 25 * HOUR)
    _join(venue, slot, units=2, at=now - 20 * HOUR)
    single = _join(venue, slot, units=1, at=now - 18 * HOUR)
    _join(venue, slot, units=3, at=now - 16 * HOUR)
    early = Window(slot.resource_id, slot.starts_at - HOUR / 4, slot.ends_at + HOUR / 4)
    _join(venue, early, units=1, at=now - 15 * HOUR)

    # Two seats come free: the first in line lets the offer run out, and the family of four is
    # passed over when it goes on to the next two.
    venue.cancel_booking(leaving, at=now - 14 * HOUR, reason="They have moved away.")
    booking_services.expire_holds(actor=Actor.system("hold expiry"), now=now - 2 * HOUR)
    assert _status(first) == "expired"
    assert _status(family) == "waiting"

    _join(venue, slot, units=2, at=now - HOUR)
    by_hand.place(
        entry_id=single.pk,
        organization_id=single.organization_id,
        position=1,
        reason="Came in vain last week, when the class was called off.",
        actor=venue.desk,
        now=now - HOUR / 2,
    )
    gone = _join(venue, slot, units=1, at=now - 10 * HOUR)
    line.leave(
        entry_id=gone.pk,
        organization_id=gone.organization_id,
        actor=venue.desk,
        now=now - 9 * HOUR,
    )


def _court_given_back(venue: Venue) -> None:
    """An hour that is offered to somebody who has a phone and no e-mail, for another half hour."""
    now = venue.now
    slot = venue.slot("Court 2", days=3)
    assert slot is not None
    made = venue.order(venue.somebody(), slot, at=now - 30 * HOUR, method="pay_on_arrival")
    venue.approve(made, at=now - 29 * HOUR)
    caller = Customer.objects.create(
        organization=venue.organization, name="Hedwig Sonntag", phone="+4930231250"
    )
    _join(venue, slot, units=1, at=now - 20 * HOUR, customer=caller)
    _join(venue, slot, units=1, at=now - 19 * HOUR)
    closed = _join(venue, slot, units=1, at=now - 18 * HOUR)
    line.close(
        entry_id=closed.pk,
        organization_id=closed.organization_id,
        reason="You booked another court for the same hour, as you told us on the phone.",
        actor=venue.desk,
        now=now - 17 * HOUR,
    )
    venue.cancel_booking(
        first_booking(made), at=now - 11.5 * HOUR, reason="They called: a knee is injured."
    )


def _fill(venue: Venue, slot: Slot, *, at: datetime) -> Booking:
    """Groups take every seat; the booking of two that is returned will be given back."""
    sizes = [2, 6, 5, 4]
    sizes.append(slot.max_units - sum(sizes))
    made = [
        venue.order(
            venue.somebody(),
            slot,
            at=at + number * HOUR / 10,
            units=size,
            method="pay_on_arrival",
        )
        for number, size in enumerate(sizes)
    ]
    for order in made:
        venue.approve(order, at=at + HOUR)
    return first_booking(made[0])


def _join(
    venue: Venue,
    wanted: Slot | Window,
    *,
    units: int,
    at: datetime,
    customer: Customer | None = None,
) -> WaitlistEntry:
    customer = customer or venue.somebody()
    with venue.acting_for(customer) as actor:
        return joining.join(
            organization=venue.organization,
            customer=customer,
            wanted=wanted.pk if isinstance(wanted, Slot) else wanted,
            units=units,
            actor=actor,
            now=at,
        )


def _status(entry: WaitlistEntry) -> str:
    entry.refresh_from_db(fields=["status"])
    return entry.status
