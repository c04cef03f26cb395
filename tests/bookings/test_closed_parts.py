"""What closes a court closes the hall around it, and a closed room is not picked (B2, B5)."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from bookings import claiming, selectors, selectors_calendar, selectors_free_times
from bookings.errors import PlanChanged, ResourceTaken
from bookings.models import Pool, PoolMember, Resource, Slot
from bookings.services import closings, resources
from tests import factories as f
from tests import timetable
from tests.concurrency import interleave, locks_off
from tests.invariants import assert_consistent
from tests.timetable import (
    DAY,
    NOW,
    STAFF,
    TODAY,
    add,
    assert_follows,
    booked,
    change,
    closed,
    extra,
    rule,
    slot_at,
    withdraw,
)

pytestmark = pytest.mark.django_db
RACE = pytest.mark.django_db(transaction=True)

FRIDAY = TODAY + 4 * DAY
CANCEL: Any = {"then": "cancel", "reason": "The floor is wet."}


def one(organization, name, **fields):
    made = timetable.room(organization=organization, exclusive=True, name=name, **fields)
    change(made, rule(max_bookings=1, max_units=1))
    return made


def compose(whole, *, parts=(), pools=()):
    resources.compose(
        resource_id=whole.pk,
        organization_id=whole.organization_id,
        part_ids=[p.pk for p in parts],
        pool_ids=[p.pk for p in pools],
        actor=STAFF,
        now=NOW,
    )
    whole.refresh_from_db()


@pytest.fixture
def hall_and_court():
    organization = f.OrganizationFactory()
    hall, court = one(organization, "Hall"), one(organization, "Court")
    compose(hall, parts=[court])
    return hall, court


@pytest.fixture
def doctor_and_rooms():
    organization = f.OrganizationFactory()
    doctor, *rooms = (one(organization, name) for name in ("Doctor", "Room 1", "Room 2"))
    pool = Pool.objects.create(organization=organization, name="Rooms")
    for room in rooms:
        PoolMember.objects.create(pool=pool, resource=room)
    compose(doctor, pools=[pool])
    return doctor, *rooms


def fresh(row):
    row.refresh_from_db()
    return row


def is_free(slot):
    """Whether customers see it as free; both ways of asking say the same."""
    slot = Slot.objects.select_related("resource").get(pk=slot.pk)
    mine = Slot.objects.filter(pk=slot.pk)
    seen = selectors.with_room(mine, 1, organization_id=slot.organization_id, now=NOW).exists()
    assert bool(selectors.availability([slot], now=NOW)[slot.pk].bookings) == seen
    assert (claiming.could_claim([slot]) == [slot]) == seen
    return seen


def is_refused(slot):
    with pytest.raises(ResourceTaken), transaction.atomic():
        booked(slot)
    return True


def test_a_day_on_which_a_court_is_closed_is_not_offered_by_its_hall(hall_and_court):
    hall, court = hall_and_court
    booking = booked(slot_at(hall, FRIDAY, 10))
    closing = closed(court, FRIDAY)
    said = closings.preview_exceptions(
        resources=closings.resources_of(court.organization_id, [closing]),
        exceptions=[closing],
        now=NOW,
    )

    done = add(court, closing, seen=said.seen)

    assert said.affected == done.affected == [booking]
    offered = Slot.objects.filter(resource=hall, status="open")
    assert not offered.filter(starts_at__date=FRIDAY).exists()
    assert offered.filter(starts_at__date=FRIDAY + DAY).count() == 8
    assert (fresh(booking).status, fresh(booking.slot).status) == ("confirmed", "legacy")
    why = selectors_calendar.closed_days(hall.organization_id, [hall], first=TODAY, last=FRIDAY)
    assert why == {(hall.pk, FRIDAY): "Closed"}
    assert_follows(hall, court)

    withdraw(court, [closing.pk])

    assert offered.filter(starts_at__date=FRIDAY).count() == 8
    assert_follows(hall, court)


@pytest.mark.parametrize("then", ["move", "cancel"])
def test_who_has_the_hall_on_that_day_moves_or_is_cancelled(hall_and_court, then):
    hall, court = hall_and_court
    booking = booked(slot_at(hall, FRIDAY, 10))
    how = CANCEL if then == "cancel" else {"then": "move", "move_by_days": 1, "reason": "Wet."}

    done = add(court, closed(court, FRIDAY), **how)

    assert (done.cancelled if then == "cancel" else done.moved) == [booking]
    assert_consistent()


def test_a_closure_of_everything_is_each_resources_own_affair(hall_and_court):
    hall, court = hall_and_court
    hall.observes_holidays = False
    hall.save()

    add(court, closed(None, FRIDAY, kind="holiday"))

    assert is_free(slot_at(hall, FRIDAY, 10))
    assert booked(slot_at(hall, FRIDAY, 10)).status == "confirmed"
    assert_follows(hall, court)


def test_a_court_that_becomes_a_part_closes_the_hall_when_it_is_closed():
    organization = f.OrganizationFactory()
    hall, court = one(organization, "Hall"), one(organization, "Court")
    add(court, closed(court, FRIDAY))
    assert slot_at(hall, FRIDAY, 10).status == "open"

    compose(hall, parts=[court])

    assert not Slot.objects.filter(resource=hall, starts_at__date=FRIDAY, status="open").exists()
    assert_follows(hall, court)


def test_extra_hours_of_a_hall_need_its_courts_to_be_open_as_well(hall_and_court):
    hall, court = hall_and_court
    add(court, closed(court, FRIDAY))
    add(hall, extra(hall, FRIDAY, 18, 20, max_bookings=1, max_units=1))
    slot = slot_at(hall, FRIDAY, 18)
    assert not is_free(slot)
    assert is_refused(slot)

    add(court, extra(court, FRIDAY, 18, 19, max_bookings=1, max_units=1))

    assert is_free(slot)
    assert not is_free(slot_at(hall, FRIDAY, 19))
    assert booked(slot).status == "confirmed"


def test_a_slot_of_a_hall_that_staff_make_when_its_court_is_closed_is_meant(hall_and_court):
    hall, court = hall_and_court
    start = datetime.combine(FRIDAY, time(20), UTC)
    before = f.make_slot(hall, starts_at=start)
    long_ago = NOW - 4000 * DAY  # longer ago than the slots were made
    add(court, closed(court, FRIDAY), now=long_ago)
    assert is_free(before)

    add(court, closed(court, FRIDAY))

    assert fresh(before).status == "closed"
    assert_follows(hall, court)


def test_a_hall_with_a_court_that_is_not_offered_any_more_is_taken(hall_and_court):
    hall, court = hall_and_court
    Resource.objects.filter(pk=court.pk).update(is_active=False)

    assert not is_free(slot_at(hall, FRIDAY, 10))
    assert is_refused(slot_at(hall, FRIDAY, 10))
    assert_consistent()


def test_a_closed_room_is_not_picked(doctor_and_rooms):
    doctor, first, second = doctor_and_rooms
    add(first, closed(first, FRIDAY, from_time=time(9), until_time=time(12)))
    slot = slot_at(doctor, FRIDAY, 10)
    assert is_free(slot)

    booked(slot)

    assert fresh(slot).picked == [second.number]
    add(second, closed(second, FRIDAY, from_time=time(11), until_time=time(12)))
    slots = [slot_at(doctor, FRIDAY, hour) for hour in (11, 12)]
    assert [is_free(s) for s in slots] == [False, True]
    assert is_refused(slots[0])
    assert_follows(doctor, first, second)


def test_closing_a_room_concerns_whoever_was_given_it(doctor_and_rooms):
    doctor, first, second = doctor_and_rooms
    slot = slot_at(doctor, FRIDAY, 10)
    booking = booked(slot)
    [room] = [r for r in (first, second) if [r.number] == fresh(slot).picked]
    other = booked(slot_at(doctor, FRIDAY + DAY, 10))
    closing = closed(room, FRIDAY)
    said = closings.preview_exceptions(
        resources=closings.resources_of(room.organization_id, [closing]),
        exceptions=[closing],
        now=NOW,
    )

    done = add(room, closing, seen=said.seen, **CANCEL)

    assert said.affected == done.cancelled == [booking]
    assert fresh(other).status == "confirmed"
    assert_follows(doctor, first, second)


def test_nobody_else_comes_into_a_class_whose_room_is_closed_by_now():
    organization = f.OrganizationFactory()
    room = one(organization, "Room")
    course = timetable.room(organization=organization, exclusive=False, name="Course")
    change(course, rule(max_bookings=3, max_units=3))
    pool = Pool.objects.create(organization=organization, name="Rooms")
    PoolMember.objects.create(pool=pool, resource=room)
    compose(course, pools=[pool])
    slot = slot_at(course, FRIDAY, 10)
    kept = booked(slot)

    done = add(room, closed(room, FRIDAY))

    assert done.affected == [kept]
    assert not is_free(slot)
    assert is_refused(slot)
    assert fresh(slot).taken_bookings == 1


def test_free_times_that_need_a_closed_room_are_not_offered():
    organization = f.OrganizationFactory()
    room = one(organization, "Room")
    doctor = timetable.room(
        organization=organization, exclusive=True, name="Doctor", mode="free_times"
    )
    change(doctor, rule(max_bookings=1, max_units=1))
    pool = Pool.objects.create(organization=organization, name="Rooms")
    PoolMember.objects.create(pool=pool, resource=room)
    compose(doctor, pools=[pool])

    add(room, closed(room, FRIDAY, from_time=time(10), until_time=time(15)))

    since = datetime.combine(FRIDAY, time(0), UTC)
    starts = selectors_free_times.free_starts(
        doctor, since, since + DAY, timetable.DAY / 24, now=NOW
    )
    assert [f"{s:%H:%M}" for s in starts] == ["09:00", "15:00", "15:15", "15:30", "15:45", "16:00"]


def test_asking_costs_the_same_however_much_is_closed(hall_and_court):
    hall, court = hall_and_court

    def statements():
        slots = list(Slot.objects.filter(resource=hall).select_related("resource")[:50])
        with CaptureQueriesContext(connection) as queries:
            selectors.availability(slots, now=NOW)
            selectors.availability_by_day(
                hall.organization_id, [hall.pk], NOW, NOW + 10 * DAY, units=1, now=NOW
            )
        return len(queries)

    before = statements()
    for days in range(1, 4):
        add(court, closed(court, TODAY + days * DAY))
        add(hall, extra(hall, TODAY + days * DAY, 18, 20, max_bookings=1, max_units=1))

    assert statements() == before == 3 + 2


def picked_while_closed(doctor, room):
    slot = slot_at(doctor, FRIDAY, 10)

    def close():
        return add(room, closed(room, FRIDAY), **CANCEL)

    booking, closing = interleave(lambda: booked(slot), after=(claiming, "pick"), second=close)
    assert fresh(booking).status == "confirmed"
    assert fresh(slot).picked == [room.number]
    return booking, closing, close


@RACE
def test_a_room_that_was_picked_while_it_was_closed_is_looked_at_again(doctor_and_rooms):
    doctor, first, _second = doctor_and_rooms

    booking, error, close_again = picked_while_closed(doctor, first)

    assert isinstance(error, PlanChanged)
    assert close_again().cancelled == [booking]
    assert_consistent()


@RACE
def test_without_locks_somebody_is_given_a_room_that_is_closed(doctor_and_rooms):
    doctor, first, _second = doctor_and_rooms

    with locks_off():
        _booking, done, _close = picked_while_closed(doctor, first)

    assert done.affected == []
