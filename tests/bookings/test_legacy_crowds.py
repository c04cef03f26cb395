"""Who is in a slot that no rule makes any more is in the room all the same (B2, B4)."""

import random
import uuid
from datetime import time
from typing import Any
from unittest import mock

import pytest

from audit.consistency.registry import Scope, registry
from bookings import slot_rows
from bookings.admin import schedule_preview
from bookings.models import Resource, Slot
from bookings.planning import Planned
from bookings.regeneration import There, compare
from bookings.services import regenerating, schedules, slot_plans
from bookings.services import slots as slot_services
from payments.services import cancellation
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
    regenerate,
    room,
    rule,
    slot_at,
    slots,
)

pytestmark = pytest.mark.django_db

FRIDAY = TODAY + 4 * DAY
ROOM = Resource(name="Room", exclusive=False)


def wanted(start, end, *, bookings=10, units=10):
    return Planned(start, end, start, end, bookings, units)


def there(start, end, *, taken=(0, 0), limits=(10, 10), status="open", **fields):
    return There(
        id=uuid.uuid4(),
        resource_id=uuid.uuid4(),
        starts_at=start,
        ends_at=end,
        busy_from=start,
        busy_until=end,
        max_bookings=limits[0],
        max_units=limits[1],
        taken_bookings=taken[0],
        taken_units=taken[1],
        status=status,
        **{"source": "schedule", "has_history": taken[0] > 0, **fields},
    )


def compared(planned, existing, *, resource=ROOM, **kwargs):
    return compare(resource, planned, existing, is_open=lambda t: False, **kwargs)


def made(plan):
    return {(p.starts_at, p.ends_at): (p.max_bookings, p.max_units) for p in plan.create}


# What is left of a slot, without a database


def test_people_in_slots_across_a_new_one_are_taken_off_it():
    plan = compared(
        [wanted(0, 90), wanted(90, 180), wanted(180, 270)],
        [there(60, 120, taken=(2, 7)), there(120, 180), there(180, 240, taken=(1, 1))],
    )

    assert made(plan) == {(0, 90): (8, 3), (90, 180): (8, 3), (180, 270): (9, 9)}
    assert len(plan.fewer) == 3
    assert (len(plan.retire), len(plan.delete)) == (2, 1)


def test_those_who_are_there_one_after_the_other_count_once():
    plan = compared(
        [wanted(0, 120)],
        [
            there(0, 60, taken=(1, 6), status="legacy"),
            there(60, 120, taken=(3, 4), status="legacy"),
            there(100, 120, taken=(1, 1), status="legacy"),
        ],
    )

    assert made(plan) == {(0, 120): (6, 4)}


@pytest.mark.parametrize("taken", [(10, 5), (5, 10), (12, 12)])
def test_where_nothing_is_left_no_slot_is_made_and_an_empty_one_goes(taken):
    others = there(30, 60, taken=taken, limits=(12, 12), status="legacy")
    empty, closed_by_staff = there(0, 60), there(0, 60, status="closed", has_history=True)

    assert made(compared([wanted(0, 60)], [others])) == {}
    assert compared([wanted(0, 60)], [others, empty]).delete == [empty]
    assert compared([wanted(0, 60)], [others, closed_by_staff]).archive == [closed_by_staff]


def test_a_slot_with_people_keeps_room_for_them_and_no_more():
    others, used = there(30, 60, taken=(4, 9), status="legacy"), there(0, 60, taken=(1, 3))

    plan = compared([wanted(0, 60)], [others, used])

    [(changed, limits)] = plan.change
    assert (changed, limits[:2]) == (used, (6, 3))


@pytest.mark.parametrize("fields", [{"limits_by_hand": True}, {"source": "hand"}])
def test_what_staff_said_of_a_slot_stays(fields):
    others = there(30, 60, taken=(9, 9), status="legacy")

    plan = compared([wanted(0, 60)], [others, there(0, 60, **fields)])

    assert (plan.kept, plan.fewer, plan.touched) == (1, [], [])


def test_slots_that_only_meet_and_exclusive_resources_take_nothing_off():
    before, after = (there(*t, taken=(1, 5), status="legacy") for t in ((0, 30), (60, 90)))

    assert made(compared([wanted(30, 60)], [before, after])) == {(30, 60): (10, 10)}
    court = Resource(name="Court", exclusive=True)
    across = there(0, 60, taken=(1, 5), status="legacy")
    assert made(compared([wanted(30, 90)], [across], resource=court)) == {(30, 90): (10, 10)}


def test_slots_of_the_time_around_count_if_no_rule_makes_them():
    old, made_by_a_rule = there(0, 60, taken=(1, 4)), there(90, 150, taken=(2, 2))

    plan = compared([wanted(30, 120)], [], around=[old, made_by_a_rule], planned_around={(90, 150)})

    assert made(plan) == {(30, 120): (9, 6)}
    assert plan.touched == []


def test_of_slots_of_one_time_only_those_that_stay_legacy_count():
    again, other = (there(0, 60, taken=(n, n), status="legacy") for n in (3, 2))

    plan = compared([wanted(0, 60), wanted(30, 90)], [again, other])

    assert plan.revive == [again]
    assert [limits[:2] for _there, limits in plan.change] == [(8, 8)]
    assert made(plan) == {(30, 90): (8, 8)}


@pytest.mark.parametrize("seed", range(40))
def test_at_no_moment_are_more_people_there_than_the_rules_say(seed):
    dice = random.Random(seed)
    planned: list[tuple[int, int]] = []
    existing: list[tuple[int, int]] = []
    for rows in (planned, existing):
        start = dice.randrange(5)
        while start < 60:
            end = start + dice.randrange(1, 12)
            rows.append((start, end))
            start = end + dice.choice([0, 0, 3])
    slots = []
    for when in existing:
        taken = dice.randrange(9)
        legacy = dice.choice(["open", "legacy"])
        slots.append(there(*when, taken=(taken, taken), status=legacy, has_history=taken > 0))
        if dice.random() < 0.3:  # an older version of the schedule
            taken = dice.randrange(1, 4)
            moved = (when[0] + 1, when[1] + 4)
            slots.append(there(*moved, taken=(taken, taken), status="legacy"))

    plan = compared([wanted(*when) for when in planned], slots)

    gone = {t.id for t in (*plan.delete, *plan.archive, *plan.across)}
    limits = {t.id: limits for t, limits in plan.change}
    offers = [(when, limits[1]) for when, limits in made(plan).items()]
    for t in slots:
        limit = limits.get(t.id, t.limits).max_units
        if t.id not in gone and limit > t.taken_units:  # otherwise it is full
            offers.append(((t.starts_at, t.ends_at), limit))
    for moment in range(60):
        offered = [limit for (since, until), limit in offers if since <= moment < until]
        inside = [t.taken_units for t in plan.across if t.starts_at <= moment < t.ends_at]
        assert not offered or sum(offered) + sum(inside) <= 10, moment


# In the database


def cancel(booking, *, now=NOW):
    cancellation.cancel_booking(
        booking_id=booking.pk,
        organization_id=booking.organization_id,
        actor=STAFF,
        reason="ill",
        now=now,
    )


def found(*, now=NOW):
    [check] = registry.checks(["bookings.slots_follow_rules"])
    return {problem.subject_id for problem in check.function(Scope(now=now))}


def limits_at(resource, *time):
    slot = slot_at(resource, FRIDAY, *time)
    return slot.max_bookings, slot.max_units


def test_a_room_is_not_sold_twice_when_its_grid_changes():
    hall = room()
    change(hall, rule(max_units=10))
    first = booked(slot_at(hall, FRIDAY, 10), units=10)
    longer = rule(slot_minutes=90, max_units=10)
    said = schedules.preview_version(resource=hall, valid_from=TODAY, rules=[longer], now=NOW)

    change(hall, rule(slot_minutes=90, max_units=10), seen=said.seen)

    kinds = {kind.name: kind for kind in schedule_preview.context(said)["kinds"]}
    assert kinds["fewer"].words == (
        "2 slots take fewer people, or none, while earlier slots still have people in them"
    )
    assert len(kinds["fewer"].samples) == 2
    across = {(s.starts_at, s.ends_at) for s in slots(hall, status="open")}
    ten = first.slot.starts_at
    assert not [times for times in across if times[0] < first.slot.ends_at and times[1] > ten]
    assert found() == set()
    [plan] = regenerating.preview(resources=[hall], now=NOW).plans
    assert plan.is_empty

    cancel(first)

    assert found() == set()  # until the next night
    regenerate(hall)
    assert limits_at(hall, 9) == limits_at(hall, 10, 30) == (3, 10)
    assert_follows(hall)


def test_limits_rise_as_people_leave_and_nothing_is_wrong_meanwhile():
    hall = room()
    change(hall, rule(max_bookings=4, max_units=10))
    one, _two = (booked(slot_at(hall, FRIDAY, 10), units=n) for n in (3, 2))
    change(hall, rule(slot_minutes=90, max_bookings=4, max_units=10))
    assert limits_at(hall, 9) == limits_at(hall, 10, 30) == (2, 5)

    cancel(one)

    assert found() == set()
    regenerate(hall)
    assert limits_at(hall, 9) == (3, 8)
    # What is too much is wrong whoever left, and so is what is too little anywhere else.
    Slot.objects.filter(pk=slot_at(hall, FRIDAY, 9).pk).update(max_units=9)
    assert found() == {str(hall.pk)}
    Slot.objects.filter(pk=slot_at(hall, FRIDAY, 9).pk).update(max_units=7)
    assert found() == set()
    Slot.objects.filter(pk=slot_at(hall, FRIDAY, 12).pk).update(max_units=7)
    assert found() == {str(hall.pk)}


def test_who_books_meanwhile_is_counted():
    """The slot across is locked as well: who comes into the old one is seen before it is offered."""
    hall = room()
    half_past = rule(from_time=time(9, 30), max_units=10)
    change(hall, rule(max_units=10), half_past)
    calls: list[Any] = []
    original = slot_rows.lock

    def lock(ids):
        if not calls:
            calls.append(ids)
            booked(slot_at(hall, FRIDAY, 9, 30), units=8)
        original(ids)

    with mock.patch.object(slot_rows, "lock", lock):
        change(hall, rule(max_units=10))

    assert limits_at(hall, 9) == limits_at(hall, 10) == (2, 2)


def test_slots_that_a_new_one_reaches_into_go_with_its_part():
    hall = room()
    change(hall, rule(max_units=10))
    old, next_one = slot_at(hall, FRIDAY, 10), slot_at(hall, FRIDAY, 11)
    booked(old, units=4)
    rules = slot_plans.rules_of([hall], now=NOW)[hall.pk].with_version(
        schedules._draft(hall, TODAY, [rule(slot_minutes=90, max_units=10)], number=9)
    )
    border = int(old.starts_at.timestamp())

    def planned_until(border, **kwargs):
        part = slot_plans.Part(slot_plans.all_to_come(NOW).since, border)
        [plan] = slot_plans.plans([hall], {hall.pk: rules}, part=part, now=NOW, **kwargs)
        return plan

    for kwargs, gone in (({}, []), ({"for_good": True}, [old.pk])):
        plan = planned_until(border, **kwargs)
        assert [p.max_units for p in plan.create if p.ends_at > border] == [6]
        assert [t.id for t in plan.retire] == gone
    # One hour on nothing reaches over the border but a slot from half past ten.
    plan = planned_until(border + 3600, for_good=True)
    assert [t.id for t in plan.delete if t.starts_at >= border + 3600] == [next_one.pk]


# Behind the horizon


FAR = TODAY + 8 * DAY


def test_nothing_that_nobody_is_in_is_offered_behind_a_shorter_horizon():
    hall = room()
    change(hall, rule())
    used, said, gone = (slot_at(hall, FAR, hour) for hour in (10, 11, 12))
    booking = booked(used)
    slot_services.change_capacity(
        slot_ids=[said.pk], max_bookings=2, max_units=2, actor=STAFF, reason="paint", now=NOW
    )
    Resource.objects.filter(pk=hall.pk).update(horizon_days=3)
    assert found() == {str(hall.pk)}
    hall.refresh_from_db()

    regenerate(hall)

    far = [(s.pk, s.status) for s in slots(hall, starts_at__gte=NOW + 4 * DAY)]
    assert far == [(used.pk, "open"), (said.pk, "legacy")]
    assert not Slot.objects.filter(pk=gone.pk).exists()
    assert found() == set()

    add(hall, closed(hall, FAR))

    used.refresh_from_db()
    assert (used.status, booking.status) == ("legacy", "confirmed")
    assert_follows(hall)
    later = NOW + 5 * DAY  # the horizon reaches the day
    regenerate(hall, now=later)
    assert found(now=later) == set()
    assert {s.status for s in slots(hall, starts_at__date=FAR)} == {"legacy"}
