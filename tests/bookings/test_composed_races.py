"""Races for rooms out of pools, halls and their courts, and while they are put together (B5, D1).

Each race is run freely by many, then at its worst moment by two; controls show that the worst
moment does the harm when what protects is taken away.
"""

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from audit.errors import constraint_name, translate
from bookings import locks
from bookings.models import Booking, Pool, PoolMember, Resource, ResourcePart, Slot
from bookings.services import resources
from tests import factories as f
from tests.concurrency import interleave, locks_off, lost, race, without, won
from tests.invariants import assert_consistent, problems

pytestmark = pytest.mark.django_db(transaction=True)

TAKEN = "bookings_occupancy_never_overlaps"
CIRCLE = "bookings_resourcepart_makes_no_circle"


def single(club, name) -> Any:
    return f.ResourceFactory(organization=club, name=name, exclusive=True)


def compose(resource, *, parts=(), pools=()) -> Resource:
    return resources.compose(
        resource_id=resource.pk,
        organization_id=resource.organization_id,
        part_ids=[p.pk for p in parts],
        pool_ids=[p.pk for p in pools],
        actor=f.SYSTEM,
        now=timezone.now(),
    )


def slot_of(resource, minutes=0) -> Slot:
    again = Resource.objects.get(pk=resource.pk)
    return f.make_slot(again, starts_at=f.soon() + timedelta(minutes=minutes))


def holds(*slots):
    """For each slot, somebody new who wants it."""
    people = f.CustomerFactory.create_batch(len(slots), organization=slots[0].organization)
    return [lambda c=c, s=s: f.hold(c, s) for c, s in zip(people, slots, strict=True)]


def codes_of(outcomes):
    return [getattr(e, "code", repr(e)) for e in lost(outcomes)]


def takers(resource):
    """How many slots with people take a resource."""
    return Slot.objects.filter(occupancies__resource_number=resource.number).count()


def clinic(doctors, rooms):
    """The slots of doctors at one time who need one of a few rooms each."""
    club = f.OrganizationFactory()
    pool = Pool.objects.create(organization=club, name="rooms")
    for n in range(rooms):
        PoolMember.objects.create(pool=pool, resource=single(club, f"room {n}"))
    made = [compose(single(club, f"doctor {n}"), pools=[pool]) for n in range(doctors)]
    return [slot_of(doctor, minutes=3 * n) for n, doctor in enumerate(made)]


# Rooms out of a pool


def test_of_twelve_doctors_at_three_rooms_three_get_one_each():
    outcomes = race(*holds(*clinic(doctors=12, rooms=3)))

    assert len(won(outcomes)) == 3
    assert codes_of(outcomes) == ["resource_taken"] * 9
    assert [takers(r) for r in Resource.objects.filter(name__startswith="room")] == [1, 1, 1]
    assert_consistent()


def two_at_the_last_room():
    one, other = holds(*clinic(doctors=2, rooms=1))
    return interleave(one, after=(locks, "occupied"), second=other)


def test_who_comes_while_the_last_room_is_being_picked_waits_and_is_told():
    first, second = two_at_the_last_room()

    assert isinstance(first, Booking)
    assert second.code == "resource_taken"
    assert_consistent()


def test_who_comes_while_a_room_is_being_picked_gets_the_other_one():
    one, other = holds(*clinic(doctors=2, rooms=2))

    outcomes = interleave(one, after=(locks, "occupied"), second=other)

    assert lost(outcomes) == []
    assert [takers(r) for r in Resource.objects.filter(name__startswith="room")] == [1, 1]
    assert_consistent()


def test_without_turns_the_constraint_still_gives_no_room_twice():
    with locks_off():
        first, second = two_at_the_last_room()

    assert isinstance(second, Booking)
    assert isinstance(first, IntegrityError)
    assert constraint_name(first) == TAKEN
    assert_consistent()


def test_control_without_turns_and_constraint_two_doctors_have_one_room():
    with without(TAKEN), locks_off():
        first, second = two_at_the_last_room()

        assert isinstance(first, Booking)
        assert isinstance(second, Booking)
        assert takers(Resource.objects.get(name="room 0")) == 2
        assert len(problems()) > 0


# A hall and its courts


def a_room_leaves_while_it_is_picked():
    """The seats are taken before anybody looks, and nothing is committed yet."""
    [slot] = clinic(doctors=1, rooms=1)
    [hold] = holds(slot)
    return interleave(
        hold,
        after='UPDATE "bookings_slot" SET "picked"',
        second=lambda: PoolMember.objects.all().delete(),
    )


def test_a_room_that_leaves_its_pool_while_it_is_picked_waits_and_stays():
    first, second = a_room_leaves_while_it_is_picked()

    assert isinstance(first, Booking)
    assert constraint_name(second) == "bookings_poolmember_stays_while_picked"
    assert PoolMember.objects.count() == 1
    assert_consistent()


def test_control_without_its_lock_a_room_is_picked_that_is_not_in_the_pool():
    with without("bookings_slot.pick_update"):
        first, second = a_room_leaves_while_it_is_picked()

        assert lost([first, second]) == []
        assert Slot.objects.get(taken_bookings=1).picked
        assert not PoolMember.objects.exists()


def test_who_comes_while_a_room_leaves_its_pool_does_not_get_it():
    [slot] = clinic(doctors=1, rooms=1)
    [hold] = holds(slot)

    def leave():
        with transaction.atomic():
            return PoolMember.objects.all().delete()

    left, asked = interleave(leave, after="DELETE FROM", second=hold)

    assert lost([left]) == []
    assert translate(asked).code == "resource_taken"
    assert not Booking.objects.exists()
    assert_consistent()


def hall_of(count):
    club = f.OrganizationFactory()
    courts = [single(club, f"court {n}") for n in range(count)]
    return compose(single(club, "hall"), parts=courts), courts


def test_of_a_hall_and_all_its_courts_at_once_either_the_hall_or_courts_are_booked():
    hall, courts = hall_of(5)
    slots = [slot_of(hall), slot_of(hall, minutes=20), *(slot_of(c, minutes=40) for c in courts)]

    outcomes = race(*holds(*slots))

    assert set(codes_of(outcomes)) == {"resource_taken"}
    booked = {o.slot.resource_id for o in won(outcomes)}
    assert booked in ({hall.pk}, {c.pk for c in courts})
    assert len(won(outcomes)) == len(booked)
    assert_consistent()


@pytest.mark.parametrize("hall_first", [True, False])
def test_who_comes_while_a_court_or_its_hall_is_being_taken_waits_and_is_told(hall_first):
    hall, (court, _other) = hall_of(2)
    actions = holds(slot_of(hall), slot_of(court, minutes=30))
    one, other = actions if hall_first else reversed(actions)

    first, second = interleave(one, after=(locks, "occupied"), second=other)

    assert isinstance(first, Booking)
    assert second.code == "resource_taken"
    assert_consistent()


def test_halls_that_share_courts_crosswise_do_not_wait_for_each_other_for_ever():
    club = f.OrganizationFactory()
    courts = [single(club, f"court {n}") for n in range(6)]
    halls = [
        compose(single(club, f"hall {n}"), parts=order)
        for n, order in enumerate((courts, courts[::-1], courts[1:], courts[:5][::-1]))
    ]

    outcomes = race(*holds(*[slot_of(h, minutes=m) for h in halls for m in (0, 10, 20)]))

    assert len(won(outcomes)) == 1
    assert codes_of(outcomes) == ["resource_taken"] * 11
    assert_consistent()


# Putting together while others book


def test_who_books_while_the_hall_gets_another_part_takes_it_as_well():
    hall, _courts = hall_of(1)
    shed = single(hall.organization, "shed")
    slot = slot_of(hall)
    (book,) = holds(slot)

    first, second = interleave(
        lambda: compose(hall, parts=[shed]), after=(locks, "slots_to_come"), second=book
    )

    assert isinstance(first, Resource)
    assert isinstance(second, Booking)
    assert takers(shed) == 1
    assert_consistent()


def test_who_is_booking_already_gets_the_new_part_of_the_hall_too():
    hall, _courts = hall_of(1)
    shed = single(hall.organization, "shed")
    (book,) = holds(slot_of(hall))

    first, second = interleave(
        book, after=(locks, "slot"), second=lambda: compose(hall, parts=[shed])
    )

    assert isinstance(first, Booking)
    assert isinstance(second, Resource)
    assert takers(shed) == 1
    assert_consistent()


def test_of_a_new_part_and_who_books_it_elsewhere_at_the_moment_one_is_refused():
    hall, _courts = hall_of(1)
    shed = single(hall.organization, "shed")
    in_hall, in_shed = holds(slot_of(hall), slot_of(shed, minutes=30))
    in_hall()

    first, second = interleave(
        lambda: compose(hall, parts=[shed]), after=(locks, "occupied"), second=in_shed
    )

    assert isinstance(first, Resource)
    assert second.code == "resource_taken"
    assert takers(shed) == 1
    assert_consistent()


def test_compositions_and_bookings_all_at_once_leave_nothing_half_done():
    hall, (court, other) = hall_of(2)
    shed = single(hall.organization, "shed")
    slots = [slot_of(r, minutes=m) for r in (hall, court, shed) for m in (0, 90)]

    outcomes = race(
        lambda: compose(hall, parts=[court, shed]),
        lambda: compose(hall, parts=[court, other]),
        lambda: compose(court, parts=[shed]),
        lambda: compose(court),
        *holds(*slots),
    )

    assert set(codes_of(outcomes)) <= {"resource_taken", "slot_full"}
    assert_consistent()


def two_links():
    """The ends of a circle, each made while the other is being made."""
    club = f.OrganizationFactory()
    one, other = single(club, "one"), single(club, "other")
    return interleave(
        lambda: compose(one, parts=[other]),
        after='INSERT INTO "bookings_resourcepart"',
        second=lambda: compose(other, parts=[one]),
    )


def test_two_links_at_once_do_not_close_a_circle():
    first, second = two_links()

    assert isinstance(first, Resource)
    assert constraint_name(second) == CIRCLE
    assert ResourcePart.objects.count() == 1
    assert_consistent()


def test_a_whole_that_is_linked_while_its_part_is_put_together_follows():
    """The hall becomes a whole of the court after it was asked what the court is a part of."""
    club = f.OrganizationFactory()
    hall, court, corner = single(club, "hall"), single(club, "court"), single(club, "corner")
    (book,) = holds(slot_of(hall))
    book()

    outcomes = interleave(
        lambda: compose(court, parts=[corner]),
        after=(locks, "planning"),
        second=lambda: compose(hall, parts=[court]),
    )

    assert lost(outcomes) == []
    assert (takers(court), takers(corner)) == (1, 1)
    assert_consistent()


class _Moment:
    @staticmethod
    def reached():
        """A point of the first actor's work that has no name of its own."""


MOMENT: Any = _Moment


def test_the_same_right_before_the_court_is_put_together(monkeypatch):
    club = f.OrganizationFactory()
    hall, court, corner = single(club, "hall"), single(club, "court"), single(club, "corner")
    (book,) = holds(slot_of(hall))
    book()
    relink = resources._relink
    monkeypatch.setattr(resources, "_relink", lambda *args: (MOMENT.reached(), relink(*args)))

    outcomes = interleave(
        lambda: compose(court, parts=[corner]),
        after=(MOMENT, "reached"),
        second=lambda: compose(hall, parts=[court]),
    )

    assert lost(outcomes) == []
    assert (takers(court), takers(corner)) == (1, 1)
    assert_consistent()
