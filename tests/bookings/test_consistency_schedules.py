"""Checks of schedules and of composed resources name what was made wrong, and repair it.

Serves A9, A10, B1, B2, B5.
"""

import uuid
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from audit.consistency.registry import Problem, Scope, registry
from audit.context import Actor
from bookings.models import (
    Occupancy,
    Pool,
    PoolMember,
    PoolNeed,
    Resource,
    ResourcePart,
    ScheduleException,
    ScheduleRule,
    Slot,
)
from bookings.services import closings, schedules
from bookings.services import resources as resource_services
from bookings.services import slots as slot_services
from payments.services import cancellation
from tests import factories as f
from tests.corruption import check, check_rows, corrupt, fix, last_line
from tests.invariants import everything

pytestmark = pytest.mark.django_db

STAFF = Actor("staff", None, "Mia")
FOLLOWS, LATE = "bookings.slots_follow_rules", "bookings.schedules_followed"
DAY = timedelta(days=1)


def rule(**fields) -> ScheduleRule:
    given: dict[str, Any] = {"from_time": time(9), "until_time": time(17), "slot_minutes": 60}
    return ScheduleRule(**{**given, **fields})


def change(resource, *rules, now=None) -> None:
    schedules.change_schedule(
        resource_id=resource.pk,
        organization_id=resource.organization_id,
        valid_from=(now or timezone.now()).date(),
        rules=list(rules),
        actor=STAFF,
        now=now or timezone.now(),
    )


def open_room(**fields) -> Any:
    """A room that is open from nine to five, in UTC, for the next days."""
    room: Any = f.ResourceFactory(
        **{"horizon_days": 6, "time_zone": "UTC", "exclusive": False, **fields}
    )
    change(room, rule(max_bookings=1 if room.exclusive else 3, max_units=3))
    return room


@pytest.fixture
def room():
    return open_room()


@pytest.fixture
def other():
    """Another room, that no check may name."""
    made = open_room()
    assert check() == set()
    return made


def to_come(resource) -> list[Slot]:
    slots = Slot.objects.filter(resource=resource, starts_at__gt=timezone.now() + DAY)
    return list(slots.order_by("starts_at"))


def somebody(resource) -> Any:
    return f.CustomerFactory(organization=resource.organization)


def problem(check_id, resource=None, **scope) -> Problem:
    """The only problem of a check."""
    [found] = problems(check_id, **scope)
    assert resource is None or found.subject_id == str(resource.pk)
    return found


def problems(check_id, *, now=None, organization=None) -> list[Problem]:
    [registered] = registry.checks([check_id])
    return list(registered.function(Scope(now=now or timezone.now(), organization_id=organization)))


# Slots against rules


def test_slots_that_no_rule_makes_are_named_and_deleted(room, other):
    slots = to_come(room)
    moved, with_history = slots[3], slots[5]
    held = f.hold(somebody(room), with_history, now=timezone.now() - timedelta(minutes=20))
    corrupt(
        "UPDATE bookings_booking SET status = 'expired', ended_at = now() WHERE id = %s", [held.pk]
    )
    corrupt(
        "UPDATE bookings_slot SET starts_at = starts_at + interval '7 minutes', taken_bookings = 0,"
        " taken_units = 0, source = 'schedule' WHERE id IN (%s, %s)",
        [moved.pk, with_history.pk],
    )

    found = problem(FOLLOWS, room)

    assert set(found.details["not planned"]) == {str(moved.pk), str(with_history.pk)}
    assert found.details["missing"] == [s.starts_at.isoformat() for s in (moved, with_history)]
    assert set(found.details) == {"not planned", "missing"}
    assert fix(FOLLOWS) == {str(room.pk): "fixed"}
    assert not Slot.objects.filter(pk=moved.pk).exists()
    assert Slot.objects.get(pk=with_history.pk).status == "legacy"
    assert {s.starts_at for s in slots} <= {s.starts_at for s in to_come(room)}
    assert fix(FOLLOWS) == {}


def test_slots_that_are_missing_are_named_and_made(room, other):
    gone = to_come(room)[2:5]
    corrupt("DELETE FROM bookings_slot WHERE id = ANY(%s)", [[s.pk for s in gone]])

    found = problem(FOLLOWS, room)

    assert found.details == {"missing": [s.starts_at.isoformat() for s in gone]}
    assert "3 slots of its rules are not there" in found.message
    assert fix(FOLLOWS) == {str(room.pk): "fixed"}
    made = Slot.objects.filter(resource=room, starts_at__in=[s.starts_at for s in gone])
    assert made.count() == 3
    line = last_line(made[0])
    assert (line.actor_label, line.actor_kind) == ("auditor", "system")
    assert fix(FOLLOWS) == {}
    assert check_rows() == set()


def test_the_last_slot_of_the_horizon_is_missed_as_well(room, other):
    last = to_come(room)[-1]
    corrupt("DELETE FROM bookings_slot WHERE id = %s", [last.pk])

    assert problem(FOLLOWS, room).details == {"missing": [last.starts_at.isoformat()]}


def test_limits_that_differ_are_named_and_put_back_as_far_as_people_allow(room, other):
    too_few, too_many, full = to_come(room)[:3]
    corrupt("UPDATE bookings_slot SET max_units = 1 WHERE id = %s", [too_few.pk])
    corrupt("UPDATE bookings_slot SET max_bookings = 9 WHERE id = %s", [too_many.pk])
    # Five people are in this one: it may stay above its rule, but not as far.
    corrupt("UPDATE bookings_slot SET max_units = 8 WHERE id = %s", [full.pk])
    full.refresh_from_db()
    f.hold(somebody(room), full, units=5)

    found = problem(FOLLOWS, room)

    assert set(found.details["other limits"]) == {str(s.pk) for s in (too_few, too_many, full)}
    assert fix(FOLLOWS) == {str(room.pk): "fixed"}
    for slot, limits in ((too_few, (3, 3)), (too_many, (3, 3)), (full, (3, 5))):
        slot.refresh_from_db()
        assert (slot.max_bookings, slot.max_units) == limits
    assert fix(FOLLOWS) == {}
    assert check_rows() == set()


def test_buffers_that_differ_are_named(room, other):
    slot = to_come(room)[0]
    corrupt(
        "UPDATE bookings_slot SET busy_until = busy_until + interval '1 hour' WHERE id = %s",
        [slot.pk],
    )

    assert problem(FOLLOWS, room).details == {"other limits": [str(slot.pk)]}


def test_wrong_legacy_marks_are_named_and_put_right(room, other):
    hidden, shown = to_come(room)[:2]
    f.hold(somebody(room), hidden)
    f.hold(somebody(room), shown)
    corrupt("UPDATE bookings_slot SET status = 'legacy' WHERE id = %s", [hidden.pk])
    corrupt(
        "UPDATE bookings_slot SET starts_at = starts_at + interval '7 minutes' WHERE id = %s",
        [shown.pk],
    )

    found = problem(FOLLOWS, room)

    assert found.details["wrongly legacy"] == [str(hidden.pk)]
    assert found.details["not legacy"] == [str(shown.pk)]
    assert fix(FOLLOWS) == {str(room.pk): "fixed"}
    statuses = dict(Slot.objects.filter(pk__in=[hidden.pk, shown.pk]).values_list("pk", "status"))
    assert statuses == {hidden.pk: "open", shown.pk: "legacy"}
    assert fix(FOLLOWS) == {}


def closed_on(room, day, *, now):
    made = ScheduleException(
        resource=room, kind="closed", name="Works", first_day=day, last_day=day
    )
    closings.add_exceptions(
        organization_id=room.organization_id, exceptions=[made], actor=STAFF, now=now
    )


def test_what_staff_opened_before_the_last_closing_is_named_and_shut(room, other):
    slot = f.make_slot(room, starts_at=to_come(room)[0].starts_at + timedelta(hours=11))
    now = timezone.now()
    closed_on(room, slot.starts_at.date(), now=now)
    slot_services.open_slots(slot_ids=[slot.pk], actor=STAFF, reason="a wedding", now=now + DAY)
    assert check() == set()  # meant after the closing
    corrupt(
        "UPDATE bookings_slot SET opened_at = opened_at - interval '2 days', created_at ="
        " created_at - interval '3 days' WHERE id = %s",
        [slot.pk],
    )

    found = problem(FOLLOWS, room)

    assert found.details == {"not closed": [str(slot.pk)]}
    assert fix(FOLLOWS) == {str(room.pk): "fixed"}
    slot.refresh_from_db()
    assert (slot.status, slot.shut) == ("closed", True)
    assert fix(FOLLOWS) == {}


def test_what_staff_opened_after_the_last_closing_and_is_shut_is_named_and_opened(room, other):
    slot = f.make_slot(room, starts_at=to_come(room)[0].starts_at + timedelta(hours=11))
    closed_on(room, slot.starts_at.date(), now=timezone.now())
    assert check() == set()
    corrupt(
        "UPDATE bookings_slot SET opened_at = now() + interval '1 minute' WHERE id = %s", [slot.pk]
    )

    found = problem(FOLLOWS, room)

    assert found.details == {"not opened": [str(slot.pk)]}
    assert fix(FOLLOWS) == {str(room.pk): "fixed"}
    slot.refresh_from_db()
    assert (slot.status, slot.shut) == ("open", False)


def test_what_happens_every_day_is_no_finding(room):
    people = [somebody(room) for _ in range(3)]
    first, second, third, fourth = to_come(room)[:4]
    for customer in people:
        f.hold(customer, first)
    change(room, rule(max_bookings=1, max_units=1))  # lowered under people
    assert check() == set()
    booking = first.bookings.order_by("pk").first()

    cancellation.cancel_booking(
        booking_id=booking.pk,
        organization_id=room.organization_id,
        actor=STAFF,
        reason="ill",
        now=timezone.now(),
    )
    assert check() == set()  # it is lower next night
    f.hold(people[0], second)
    closed = ScheduleException(
        resource=room,
        kind="closed",
        name="Works",
        first_day=second.starts_at.date(),
        last_day=second.starts_at.date(),
    )
    closings.add_exceptions(
        organization_id=room.organization_id,
        exceptions=[closed],
        actor=STAFF,
        now=timezone.now(),
    )
    assert check() == set()  # with a legacy slot
    slot_services.close_slots(
        slot_ids=[fourth.pk], actor=STAFF, reason="cleaning", now=timezone.now()
    )
    f.make_slot(room, starts_at=third.starts_at + timedelta(hours=11))  # by hand
    assert check() == set()
    # The day after, before the sweep came round.
    assert problems(FOLLOWS, now=timezone.now() + DAY) == []


def test_rules_that_are_not_followed_yet_are_left_to_the_sweep_for_an_hour(room, other):
    now = timezone.now()
    ScheduleException.objects.create(
        organization=room.organization,
        resource=room,
        kind="closed",
        name="Works",
        first_day=timezone.now().date() + DAY,
        last_day=timezone.now().date() + 2 * DAY,
        created_at=now,
    )

    assert problems(FOLLOWS) == problems(LATE) == []
    assert problems(LATE, now=now + timedelta(minutes=59)) == []
    late = now + timedelta(minutes=61)
    assert problem(LATE, room, now=late)

    Resource.objects.filter(pk=room.pk).update(planned_at=now - timedelta(hours=3))
    corrupt(
        "UPDATE bookings_scheduleexception SET created_at = %s WHERE resource_id = %s",
        [now - timedelta(hours=2), room.pk],
    )
    assert check(LATE) == {str(room.pk)}
    assert fix(LATE) == {str(room.pk): "fixed"}
    assert fix(LATE) == {}
    assert check_rows() == set()


def test_an_exception_of_everybody_and_one_withdrawn_are_rules_that_changed(room, other):
    now = timezone.now()
    ScheduleException.objects.create(
        organization=room.organization,
        kind="holiday",
        name="New Year",
        first_day=date(2000, 1, 1),
        last_day=date(2000, 1, 1),
        created_at=now - timedelta(days=9),
        withdrawn_at=now - timedelta(hours=2),
    )
    Resource.objects.update(planned_at=now - timedelta(hours=3))

    assert check(LATE) == {str(room.pk)}


def test_a_horizon_that_no_longer_moves_is_named_and_moved(room, other):
    Resource.objects.filter(pk=room.pk).update(planned_at=timezone.now() - timedelta(days=3))

    assert check(LATE) == {str(room.pk)}
    assert fix(LATE) == {str(room.pk): "fixed"}
    assert fix(LATE) == {}


def test_a_resource_that_was_never_planned_is_named(room, other):
    Resource.objects.filter(pk=room.pk).update(planned_at=None)

    assert check(LATE) == set()
    later = timezone.now() + timedelta(hours=2)
    assert [p.subject_id for p in problems(LATE, now=later)] == [str(room.pk)]


@pytest.mark.parametrize("what", ["resource", "organization"])
def test_what_is_not_offered_any_more_needs_no_slots(what, room):
    corrupt("DELETE FROM bookings_slot WHERE resource_id = %s", [room.pk])
    Resource.objects.update(planned_at=timezone.now() - timedelta(days=3))
    assert check(LATE) == {str(room.pk)}
    row = getattr(room, what, room)
    type(row).objects.filter(pk=row.pk).update(is_active=False)

    assert check(FOLLOWS, LATE) == set()


def test_an_organisation_sees_its_own_schedules_only(room, other):
    for resource in (room, other):
        corrupt("DELETE FROM bookings_slot WHERE id = %s", [to_come(resource)[0].pk])

    assert check(FOLLOWS, organization=room.organization_id) == {str(room.pk)}
    assert check(FOLLOWS) == {str(room.pk), str(other.pk)}


def test_planning_again_costs_the_same_for_one_resource_and_for_many(room):
    def statements() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert len(problems(FOLLOWS)) == Resource.objects.count()
        return len(queries)

    corrupt("DELETE FROM bookings_slot WHERE id = %s", [to_come(room)[0].pk])
    one = statements()
    for _ in range(5):
        another = open_room(organization=room.organization)
        corrupt("DELETE FROM bookings_slot WHERE id = %s", [to_come(another)[0].pk])

    assert statements() == one


# Composed resources


@pytest.fixture
def club() -> Any:
    return f.OrganizationFactory()


def court(club, **fields) -> Any:
    return f.ResourceFactory(organization=club, exclusive=True, time_zone="UTC", **fields)


def compose(resource, *, parts=(), pools=()) -> Any:
    return resource_services.compose(
        resource_id=resource.pk,
        organization_id=resource.organization_id,
        part_ids=[p.pk for p in parts],
        pool_ids=[p.pk for p in pools],
        actor=STAFF,
        now=timezone.now(),
    )


def pool_of(club, *members) -> Pool:
    pool = Pool.objects.create(organization=club, name=f"Pool {uuid.uuid4()}")
    for member in members:
        PoolMember.objects.create(pool=pool, resource=member)
    return pool


@pytest.fixture
def hall(club):
    """A hall of two courts that needs one of two caretakers, and somebody in its first slot."""
    hall = court(club, name="Hall")
    pool = pool_of(club, court(club, name="Anna"), court(club, name="Ben"))
    hall = compose(hall, parts=[court(club, name="North"), court(club, name="South")], pools=[pool])
    f.make_slots(hall, 3)
    f.hold(f.CustomerFactory(organization=club), first(hall))
    assert check() == set()
    return hall


def first(resource) -> Slot:
    return Slot.objects.filter(resource=resource).order_by("starts_at")[0]


def marks(slot) -> set[int]:
    return set(Occupancy.objects.filter(slot=slot).values_list("resource_number", flat=True))


def test_marks_of_a_composed_slot_are_its_own_its_parts_and_what_was_picked(hall):
    slot = first(hall)
    expected = {hall.number, *hall.parts, *slot.picked}
    assert marks(slot) == expected
    assert len(expected) == 4
    lost = [hall.parts[0], slot.picked[0]]
    stray = court(hall.organization).number
    corrupt(
        "DELETE FROM bookings_occupancy WHERE slot_id = %s AND resource_number = ANY(%s)",
        [slot.pk, lost],
    )
    assert problem("bookings.occupancies").details == {"kinds": ["missing"]}
    corrupt(
        "INSERT INTO bookings_occupancy (slot_id, resource_number, period)"
        " SELECT id, %s, tstzrange(busy_from, busy_until, '[)') FROM bookings_slot WHERE id = %s",
        [stray, slot.pk],
    )

    found = problem("bookings.occupancies")

    assert (found.subject_id, found.details["kinds"]) == (str(slot.pk), ["missing", "surplus"])
    assert fix("bookings.occupancies") == {str(slot.pk): "fixed"}
    assert marks(slot) == expected
    assert fix("bookings.occupancies") == {}
    assert check_rows() == set()


def test_marks_of_what_is_not_exclusive_but_has_parts_are_right(club):
    """Classes in a hall: many come, and the courts below are taken."""
    lesson: Any = f.ResourceFactory(organization=club, exclusive=False)
    lesson = compose(lesson, parts=[court(club), court(club)])
    slot = f.make_slot(lesson, max_bookings=5)
    for _ in range(2):
        f.hold(f.CustomerFactory(organization=club), slot)
    assert marks(slot) == set(lesson.parts)
    assert check() == set()

    corrupt("DELETE FROM bookings_occupancy WHERE slot_id = %s", [slot.pk])

    assert fix("bookings.occupancies") == {str(slot.pk): "fixed"}
    assert marks(slot) == set(lesson.parts)


def test_a_part_that_somebody_else_has_is_not_marked_but_left_to_people(hall):
    north = Resource.objects.get(number=hall.parts[0])
    slot, rival = first(hall), f.make_slot(north, starts_at=first(hall).starts_at)
    corrupt(
        "DELETE FROM bookings_occupancy WHERE slot_id = %s AND resource_number = %s",
        [slot.pk, north.number],
    )
    f.hold(f.CustomerFactory(organization=hall.organization), rival)
    both = {str(b.pk) for s in (slot, rival) for b in s.bookings.all()}

    assert check("bookings.exclusive_overlap") == both
    for found in problems("bookings.exclusive_overlap"):
        assert found.details["resources"] == [str(north.pk)]
    assert fix("bookings.occupancies") == {str(slot.pk): "needs_review"}
    assert marks(rival) == {north.number}


def test_parts_and_pools_that_differ_from_the_links_are_worked_out_again(hall, club):
    other = compose(court(club), parts=[court(club)])
    expected = (hall.parts, hall.pools)
    assert problems("bookings.composition") == []
    corrupt("UPDATE bookings_resource SET parts = '{}', pools = '{}' WHERE id = %s", [hall.pk])
    corrupt(
        "UPDATE bookings_resource SET parts = parts || %s::bigint WHERE id = %s",
        [hall.number, other.pk],
    )
    wrong = {str(hall.pk), str(other.pk)}

    assert check("bookings.composition") == wrong
    assert set(fix("bookings.composition").values()) <= {"fixed", "gone"}

    for resource, numbers in ((hall, expected), (other, (other.parts, []))):
        resource.refresh_from_db()
        assert (resource.parts, resource.pools) == numbers
    assert fix("bookings.composition") == {}
    assert check() == set()


def test_slots_to_come_follow_their_resource_and_take_it_for_the_people_in_them(hall, club):
    slots = list(Slot.objects.filter(resource=hall).order_by("starts_at"))
    extra = court(club)
    corrupt(
        "INSERT INTO bookings_resourcepart (id, organization_id, whole_id, part_id)"
        " VALUES (gen_random_uuid(), %s, %s, %s)",
        [club.pk, hall.pk, extra.pk],
    )
    assert check("bookings.composition") == {str(hall.pk)}
    assert fix("bookings.composition") == {str(hall.pk): "fixed"}

    found = problem("bookings.slot_composition", hall)

    assert found.details == {"slots": [str(s.pk) for s in slots]}
    assert "3 slots to come, 1 of them with people" in found.message
    assert fix("bookings.slot_composition") == {str(hall.pk): "fixed"}
    assert all(extra.number in s.parts for s in Slot.objects.filter(resource=hall))
    assert extra.number in marks(slots[0])
    assert fix("bookings.slot_composition") == {}
    assert check_rows() == set()


def test_a_part_that_is_taken_while_people_need_it_is_left_to_people(hall, club):
    extra = court(club)
    rival = f.make_slot(extra, starts_at=first(hall).starts_at)
    f.hold(f.CustomerFactory(organization=club), rival)
    corrupt(
        "INSERT INTO bookings_resourcepart (id, organization_id, whole_id, part_id)"
        " VALUES (gen_random_uuid(), %s, %s, %s)",
        [club.pk, hall.pk, extra.pk],
    )
    fix("bookings.composition")
    before = marks(first(hall))

    assert fix("bookings.slot_composition") == {str(hall.pk): "needs_review"}

    assert marks(first(hall)) == before
    assert extra.number not in first(hall).parts


def test_slots_that_are_over_keep_what_they_took(hall):
    corrupt(
        "UPDATE bookings_slot SET parts = '{}', starts_at = starts_at - interval '9 d', ends_at ="
        " ends_at - interval '9 d', busy_from = busy_from - interval '9 d', busy_until ="
        " busy_until - interval '9 d' WHERE resource_id = %s AND taken_bookings = 0",
        [hall.pk],
    )

    assert problems("bookings.slot_composition") == []


def test_links_that_the_database_refuses_are_named_and_left_to_people(hall, club):
    north = Resource.objects.get(number=hall.parts[0])
    loose: Any = f.ResourceFactory(organization=club, exclusive=False)
    stranger: Any = f.ResourceFactory(exclusive=True)
    pool = Pool.objects.get(organization=club)
    strange_pool = Pool.objects.create(organization=stranger.organization, name="Far")

    def link(whole, part) -> str:
        made = uuid.uuid4()
        corrupt(
            "INSERT INTO bookings_resourcepart (id, organization_id, whole_id, part_id)"
            " VALUES (%s, %s, %s, %s)",
            [made, club.pk, whole.pk, part.pk],
        )
        return str(made)

    whole = court(club)
    wrong = {
        link(north, hall): "it closes a circle",
        link(whole, loose): "the part is not exclusive",
        link(whole, stranger): "it crosses organisations",
        str(ResourcePart.objects.get(whole=hall, part=north).pk): "it closes a circle",
    }
    for model, values in (
        ("poolneed (id, organization_id, resource_id, pool_id)", [club.pk, whole.pk]),
        ("poolmember (id, resource_id, pool_id)", [hall.pk]),
    ):
        made = uuid.uuid4()
        target = strange_pool if "need" in model else pool
        row = [made, *values, target.pk]
        marks_ = ", ".join(["%s"] * len(row))
        corrupt(f"INSERT INTO bookings_{model} VALUES ({marks_})", row)
        wrong[str(made)] = "it crosses" if "need" in model else "it takes others itself"
    before = everything()

    found = {p.subject_id: p.message for p in problems("bookings.composition_links")}

    assert set(found) == set(wrong)
    for subject, words in wrong.items():
        assert words in found[subject]
    assert set(fix("bookings.composition_links").values()) == {"needs_review"}
    # Nothing can be worked out from a circle.
    assert set(fix("bookings.composition").values()) == {"needs_review"}
    after = everything()
    assert {t for t in before if before[t] != after[t]} <= {
        "audit_consistencyreport",
        "audit_finding",
    }


def test_what_was_picked_from_elsewhere_is_named_and_left_to_people(hall, club):
    slot = first(hall)
    free = Slot.objects.filter(resource=hall).order_by("starts_at")[1]
    corrupt("UPDATE bookings_slot SET picked = %s WHERE id = %s", [[hall.parts[0]], slot.pk])
    # Nobody is in this one, so nothing has to be picked for it.
    corrupt("UPDATE bookings_slot SET picked = %s WHERE id = %s", [[hall.parts[0]], free.pk])

    assert check("bookings.picked") == {str(slot.pk)}
    assert fix("bookings.picked") == {str(slot.pk): "needs_review"}


def test_who_had_a_room_that_left_the_pool_is_named(hall):
    slot = first(hall)
    corrupt(
        "DELETE FROM bookings_poolmember WHERE resource_id IN"
        " (SELECT id FROM bookings_resource WHERE number = ANY(%s))",
        [slot.picked],
    )

    assert check("bookings.picked") == {str(slot.pk)}


def test_nothing_picked_is_named(hall):
    slot = first(hall)
    corrupt(
        "UPDATE bookings_slot SET picked = '{}' WHERE id = %s",
        [slot.pk],
        drop=[("bookings_slot", "bookings_slot_with_people_has_what_it_needs")],
    )

    assert check("bookings.picked") == {str(slot.pk)}


def test_a_need_that_is_gone_is_found_on_the_resource(hall):
    corrupt("DELETE FROM bookings_poolneed WHERE resource_id = %s", [hall.pk])

    assert check("bookings.composition") == {str(hall.pk)}
    assert not PoolNeed.objects.filter(resource=hall).exists()
    fix("bookings.composition", "bookings.slot_composition")
    hall.refresh_from_db()
    assert hall.pools == []
    assert first(hall).picked == []
    assert check_rows() == set()


def test_datetimes_of_missing_slots_are_in_utc(room, other):
    slot = to_come(room)[0]
    corrupt("DELETE FROM bookings_slot WHERE id = %s", [slot.pk])

    [start] = problem(FOLLOWS, room).details["missing"]

    assert datetime.fromisoformat(start) == slot.starts_at
    assert datetime.fromisoformat(start).tzinfo == UTC
