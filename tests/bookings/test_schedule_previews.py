"""What a preview shows is what is done, also where rules say two things of one time (B1, B2)."""

from datetime import time

import pytest

from bookings.errors import PlanChanged
from bookings.models import Booking
from bookings.services import closings, moving, schedules
from tests import factories as f
from tests.invariants import everything, refusal
from tests.timetable import (
    DAY,
    NOW,
    TODAY,
    add,
    assert_follows,
    booked,
    change,
    closed,
    extra,
    room,
    rule,
    slot_at,
    slots,
    somebody,
    withdraw,
)

pytestmark = pytest.mark.django_db

FRIDAY = TODAY + 4 * DAY


def places(resource, day, hour):
    return slot_at(resource, day, hour).max_units


def preview_version(resource, rules):
    return schedules.preview_version(resource=resource, valid_from=TODAY, rules=rules, now=NOW)


# Two rules, one time: the first counts, and rules stand in order of their start


@pytest.mark.parametrize("attempt", range(5))
def test_of_two_rules_that_start_together_the_first_counts(attempt):
    court = room()
    rules = [rule(until_time=time(9 + n), max_units=n) for n in range(8, 0, -1)]
    said = preview_version(court, rules)

    change(court, *rules, seen=said.seen)

    assert places(court, FRIDAY, 9) == 8
    assert [r.max_units for r in court.schedules.get().rules.all()] == list(range(8, 0, -1))
    assert_follows(court)


def test_rules_stand_in_order_of_their_start_in_the_preview_as_well():
    court = room()
    rules = [rule(from_time=time(13), max_units=5), rule(max_units=2)]
    said = preview_version(court, rules)

    change(court, *rules, seen=said.seen)

    assert places(court, FRIDAY, 14) == 2
    assert_follows(court)


@pytest.mark.parametrize("attempt", range(5))
def test_rules_keep_their_order_in_another_zone(attempt):
    court = room()
    change(court, *[rule(max_units=n) for n in (6, 1, 2, 3, 4, 5)])
    said = schedules.preview_zone(resource=court, time_zone="Africa/Abidjan", now=NOW)

    done = schedules.move_to_zone(
        resource_id=court.pk,
        organization_id=court.organization_id,
        time_zone="Africa/Abidjan",  # where the clock shows UTC as well
        seen=said.seen,
        actor=f.SYSTEM,
        now=NOW,
    )

    assert all(plan.is_empty for plan in done.plans)
    assert places(court, FRIDAY, 9) == 6


@pytest.mark.parametrize("attempt", range(5))
def test_of_two_extra_hours_the_first_counts(attempt):
    court = room()
    change(court, rule())
    hours = [extra(court, FRIDAY, 19, 22, max_units=n) for n in (6, 1, 2, 3, 4, 5)]
    said = closings.preview_exceptions(resources=[court], exceptions=hours, now=NOW)

    add(court, *hours, seen=said.seen)

    assert places(court, FRIDAY, 20) == 6
    assert_follows(court)


# Closings


def test_a_closing_of_everything_is_previewed_for_each_resource():
    rooms = [room() for _ in range(1)]
    rooms += [room(organization=rooms[0].organization) for _ in range(2)]
    for each in rooms:
        change(each, rule())
    booked(slot_at(rooms[1], FRIDAY, 11))
    closing = closed(None, FRIDAY)
    found = closings.resources_of(rooms[0].organization_id, [closing])
    before = everything()

    said = closings.preview_exceptions(resources=found, exceptions=[closing], now=NOW)

    assert everything() == before
    assert (said.counts()["delete"], said.counts()["retire"]) == (23, 1)
    done = add(rooms[0], closing, seen=said.seen)
    assert done.counts() == said.counts()
    assert_follows(*rooms)


def test_withdrawing_is_previewed():
    court = room()
    change(court, rule())
    booking = booked(slot_at(court, FRIDAY, 11))
    add(court, closed(court, FRIDAY))
    ids = list(court.schedule_exceptions.values_list("pk", flat=True))
    before = everything()

    said = closings.preview_exceptions(resources=[court], exceptions=[], withdraw=ids, now=NOW)

    assert everything() == before
    assert (said.counts()["create"], said.counts()["revive"]) == (7, 1)
    done = withdraw(court, ids, seen=said.seen)
    assert done.counts() == said.counts()
    assert [s.pk for s in slots(court, taken_bookings=1, status="open")] == [booking.slot_id]


@pytest.mark.parametrize("then", ["keep", "cancel", "move"])
def test_nobody_is_cancelled_or_moved_who_was_not_in_the_preview(then):
    court = room()
    change(court, rule())
    booked(slot_at(court, FRIDAY, 11))
    closing = closed(court, FRIDAY)
    said = closings.preview_exceptions(resources=[court], exceptions=[closing], now=NOW)
    f.hold(somebody(court), slot_at(court, FRIDAY, 11), now=NOW)

    with refusal(PlanChanged):
        add(
            court,
            closing,
            seen=said.seen,
            then=then,
            move_by_days=1 if then == "move" else None,
            reason="" if then == "keep" else "The roof leaks.",
        )

    assert set(Booking.objects.values_list("status", flat=True)) == {"confirmed", "held"}


def test_how_many_find_room_on_another_day_is_said_before_they_are_moved():
    court = room()
    change(court, rule(max_bookings=2, max_units=4))
    for hour, units in ((9, 1), (9, 3), (10, 2), (11, 1)):
        booked(slot_at(court, FRIDAY, hour), units=units)
    booked(slot_at(court, FRIDAY + DAY, 9), units=2)  # leaves room for one more, of two
    add(court, closed(court, FRIDAY + DAY, from_time=time(11), until_time=time(12)))
    closing = closed(court, FRIDAY)
    said = closings.preview_exceptions(resources=[court], exceptions=[closing], now=NOW)

    expected = len(moving.fitting(said, days=1, now=NOW))
    done = add(
        court, closing, seen=said.seen, then="move", move_by_days=1, reason="The roof leaks."
    )

    assert expected == len(done.moved) == 2
    assert len(done.stayed) == 2
