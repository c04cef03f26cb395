"""For any time means what customers may book: not too soon, not too far ahead (A5, B1)."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from bookings import claiming, rules
from bookings import locks as booking_locks
from bookings.errors import SlotFull
from bookings.models import Resource, Slot
from bookings.services import slots as slot_services
from tests import factories as f
from tests.corruption import check
from tests.invariants import assert_consistent, refusal
from tests.waitlist.line import STAFF, free, fresh, full_slot, join, offer_of, somebody, window
from waitlist import selectors
from waitlist.models import WaitlistEntry
from waitlist.services import by_hand, line, sweeps

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
MICROSECOND = timedelta(microseconds=1)


def strict() -> Resource:
    """Booked a day to five days ahead; one full slot in that time, so that one can wait."""
    resource: Resource = f.ResourceFactory(notice_minutes=60 * 24, horizon_days=5)
    full_slot(resource, starts_at=f.soon(72))
    return resource


def make_more_room(slot: Slot, *, now: datetime | None = None) -> None:
    slot_services.change_capacity(
        slot_ids=[slot.pk],
        max_bookings=slot.max_bookings + 1,
        max_units=slot.max_units + 1,
        actor=STAFF,
        reason="a larger room",
        now=now or timezone.now(),
    )


def sweep(now: datetime) -> None:
    sweeps.serve_lines(actor=f.SYSTEM, now=now)


def position(entry: WaitlistEntry, *, now: datetime) -> int:
    row = fresh(entry)
    selectors.load_positions([row], now=now)
    return row.position


@pytest.mark.parametrize("hours", [12, 24 * 6], ids=["too soon", "too far ahead"])
def test_who_waits_for_any_time_is_not_offered_what_nobody_may_book(hours: int) -> None:
    resource = strict()
    slot = f.make_slot(resource, starts_at=f.soon(hours), max_bookings=1)
    entry = join(window(resource))

    make_more_room(slot)
    sweep(timezone.now())

    assert fresh(entry).status == "waiting"
    assert entry.passed_over == 0
    assert selectors.unserved_slots(now=timezone.now(), limit=9) == []
    assert check("waitlist.unserved") == set()
    # Nobody who may have it, as the staff say, is kept behind somebody who may not.
    with transaction.atomic():
        locked = booking_locks.slot(slot.pk, organization_id=slot.organization_id)
        claiming.check_room(locked, 2, now=timezone.now())
    assert_consistent()


def test_what_comes_into_the_horizon_is_offered_by_the_sweep_and_to_no_outsider() -> None:
    resource = strict()
    slot = f.make_slot(resource, starts_at=f.soon(24 * 6), max_bookings=1)
    entry = join(window(resource))
    later = timezone.now() + 2 * DAY

    with refusal(SlotFull):
        f.hold(somebody(slot), slot, now=later)
    sweep(later)

    assert fresh(entry).status == "offered"
    assert offer_of(entry).booking.slot_id == slot.pk


def test_who_waits_for_one_slot_asked_in_time_and_is_offered_it_when_the_notice_has_passed() -> (
    None
):
    resource = strict()
    slot, _ = full_slot(resource, starts_at=f.soon(48))
    anytime, entry = join(window(resource)), join(slot)
    later = slot.starts_at - timedelta(hours=12)

    free(slot, now=later)

    assert (fresh(anytime).status, fresh(entry).status) == ("waiting", "offered")
    assert offer_of(entry).expires_at == slot.starts_at - timedelta(hours=1)
    assert (anytime.passed_over, anytime.passed_over_reason) == (0, "")


def test_staff_offer_by_hand_what_customers_may_not_book() -> None:
    resource = strict()
    slot = f.make_slot(resource, starts_at=f.soon(12))
    entry = join(window(resource))

    offer = by_hand.offer_by_hand(
        entry_id=entry.pk,
        organization_id=entry.organization_id,
        slot_id=slot.pk,
        reason="They called.",
        actor=STAFF,
        now=timezone.now(),
    )

    assert offer.booking.slot_id == slot.pk
    assert_consistent()


@pytest.mark.parametrize(
    ("start", "bookable"),
    [
        (DAY - MICROSECOND, False),
        (DAY, True),
        (5 * DAY, True),
        (5 * DAY + MICROSECOND, False),
    ],
)
def test_serving_the_sweep_and_the_places_in_line_agree_on_the_bounds(
    start: timedelta, bookable: bool
) -> None:
    """``now`` is chosen to the microsecond: the slot starts so long after it."""
    resource = strict()
    slot, _ = full_slot(resource, starts_at=f.soon(60))
    now = slot.starts_at - start
    anytime, entry = join(window(resource, days=20)), join(slot)
    assert rules.may_be_booked(slot, now=now) is bookable
    assert position(entry, now=now) == (2 if bookable else 1)
    assert [e.pk for e in selectors.line_of(slot, now=now)] == (
        [anytime.pk, entry.pk] if bookable else [entry.pk]
    )
    assert (
        entry.pk in set(selectors.same_line(anytime, now=now).values_list("pk", flat=True))
    ) is (bookable)
    line.leave(
        entry_id=entry.pk,
        organization_id=entry.organization_id,
        actor=STAFF,
        now=timezone.now(),
    )
    Slot.objects.filter(pk=slot.pk).update(max_bookings=2, max_units=2)  # past the services

    assert selectors.unserved_slots(now=now, limit=9) == ([slot.pk] if bookable else [])
    sweep(now)
    assert fresh(anytime).status == ("offered" if bookable else "waiting")


def test_a_window_that_has_begun_counts_what_is_still_to_come() -> None:
    """The sweep ends who waits for a slot that is over within five minutes; until then they are
    before nobody any more."""
    resource = f.ResourceFactory()
    early, _ = full_slot(resource, starts_at=f.soon(30))
    late, _ = full_slot(resource, starts_at=f.soon(60))
    first, second, anytime = join(early), join(late), join(window(resource))
    now = timezone.now()
    assert position(anytime, now=now) == 3

    begun = early.starts_at + timedelta(minutes=1)

    assert position(anytime, now=begun) == 2
    there = selectors.same_line(fresh(anytime), now=begun)
    assert [e.pk for e in there] == [second.pk, anytime.pk]
    assert first.pk in {e.pk for e in selectors.same_line(fresh(anytime), now=now)}


@pytest.mark.parametrize("place", [1, 2, 3])
def test_staff_move_somebody_in_a_window_that_has_begun_among_those_who_are_shown(
    place: int,
) -> None:
    resource = f.ResourceFactory()
    early, _ = full_slot(resource, starts_at=f.soon(30))
    late, _ = full_slot(resource, starts_at=f.soon(60))
    over, second, third = join(early), join(late), join(late)
    anytime = join(window(resource))
    begun = early.starts_at + timedelta(minutes=1)

    by_hand.place(
        entry_id=anytime.pk,
        organization_id=anytime.organization_id,
        position=place,
        reason="They asked nicely.",
        actor=STAFF,
        now=begun,
    )

    assert position(anytime, now=begun) == place
    assert sorted(position(e, now=begun) for e in (second, third, anytime)) == [1, 2, 3]
    assert fresh(over).status == "waiting"


def test_who_joins_a_window_that_has_begun_waits_for_no_slot_that_is_over() -> None:
    resource = f.ResourceFactory()
    early, _ = full_slot(resource, starts_at=f.soon(30))
    full_slot(resource, starts_at=f.soon(60))
    Slot.objects.filter(pk=early.pk).update(max_bookings=2, max_units=2)
    begun = early.starts_at + timedelta(minutes=1)

    entry = join(window(resource), now=begun)

    assert entry.status == "waiting"
