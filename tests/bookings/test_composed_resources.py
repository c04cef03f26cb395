"""Courts in a hall, doctors who need a room: what people take beside what they book (B5, D1)."""

import random
from datetime import timedelta
from itertools import product
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from audit.errors import NotFound, translate
from bookings import claiming, selectors
from bookings.errors import DoesNotFit, MadeInCircles, ResourceTaken
from bookings.models import Occupancy, Pool, PoolMember, PoolNeed, Resource, ResourcePart, Slot
from bookings.services import reschedule, resources
from payments.services import cancellation
from tests import factories as f
from tests.invariants import assert_consistent, everything, refusal

pytestmark = pytest.mark.django_db

HALF_AN_HOUR = timedelta(minutes=30)


@pytest.fixture
def club():
    return f.OrganizationFactory()


def single(club, name, **fields) -> Any:
    return f.ResourceFactory(**{"organization": club, "name": name, "exclusive": True, **fields})


def compose(resource, *, parts=(), pools=(), **kwargs) -> Resource:
    given = {"resource_id": resource.pk, "organization_id": resource.organization_id}
    return resources.compose(
        **{**given, **kwargs},
        part_ids=[p.pk for p in parts],
        pool_ids=[p.pk for p in pools],
        actor=f.SYSTEM,
        now=timezone.now(),
    )


def pool_of(club, name, *members) -> Pool:
    pool = Pool.objects.create(organization=club, name=name)
    for member in members:
        PoolMember.objects.create(pool=pool, resource=member)
    return pool


def slot_of(resource, later=timedelta(), **fields) -> Slot:
    """A slot of an hour tomorrow, or so much later, taking what the resource takes by now."""
    again = Resource.objects.get(pk=resource.pk)
    return f.make_slot(again, starts_at=f.soon() + later, **fields)


def book(slot, **kwargs):
    return f.hold(f.CustomerFactory(organization=slot.organization), slot, **kwargs)


def leave(booking):
    cancellation.cancel_booking(
        booking_id=booking.pk,
        organization_id=booking.organization_id,
        actor=f.SYSTEM,
        reason="x",
        now=timezone.now(),
    )


def taken(slot):
    """The names of what the people in a slot take."""
    numbers = Occupancy.objects.filter(slot=slot).values_list("resource_number", flat=True)
    return set(Resource.objects.filter(number__in=numbers).values_list("name", flat=True))


def free(*slots):
    """Which of these slots customers see as free; both ways of asking say the same."""
    now = timezone.now()
    rows = list(Slot.objects.select_related("resource").filter(pk__in=[s.pk for s in slots]))
    left = selectors.availability(rows, now=now)
    found = {pk for pk, a in left.items() if a.bookings}
    asked = Slot.objects.filter(pk__in=list(left))
    mine = rows[0].organization_id
    with_room = selectors.with_room(asked, 1, organization_id=mine, now=now)
    assert set(with_room.values_list("pk", flat=True)) == found
    return [s.pk in found for s in slots]


# A hall and its courts


@pytest.fixture
def hall(club):
    """A hall of two courts, and a court that is none of its."""
    made = single(club, "hall")
    compose(made, parts=[single(club, "one"), single(club, "two")])
    single(club, "outside")
    return Resource.objects.get(pk=made.pk)


def named(name) -> Any:
    return Resource.objects.get(name=name)


@pytest.mark.parametrize("court", ["one", "two"])
@pytest.mark.parametrize("first", ["the hall", "the court"])
def test_a_hall_and_its_court_are_never_booked_at_once(hall, court, first):
    # Through slots that only overlap, so that nothing but their times says so.
    slots = [slot_of(hall), slot_of(named(court), HALF_AN_HOUR)]
    mine, other = slots if first == "the hall" else reversed(slots)
    assert free(mine, other) == [True, True]
    book(mine)

    assert free(other) == [False]
    with refusal(ResourceTaken):
        book(other)

    assert_consistent()


def test_both_courts_can_be_booked_at_once_and_one_is_enough_to_keep_the_hall_from_others(hall):
    one, two, whole = slot_of(named("one")), slot_of(named("two")), slot_of(hall)

    first, _second = book(one), book(two)
    leave(first)

    assert (taken(one), taken(two)) == (set(), {"two"})
    assert free(one, whole) == [True, False]
    with refusal(ResourceTaken):
        book(whole)


def test_who_books_the_hall_takes_it_and_its_courts_and_gives_all_of_it_back(hall):
    whole, court = slot_of(hall), slot_of(named("one"))
    booking = book(whole)
    assert taken(whole) == {"hall", "one", "two"}

    leave(booking)

    assert taken(whole) == set()
    assert free(court, whole) == [True, True]
    book(court)
    assert_consistent()


def test_what_is_not_a_part_stays_free(hall):
    book(slot_of(hall))

    assert taken(book(slot_of(named("outside"))).slot) == {"outside"}


def test_right_after_the_hall_a_court_is_free_and_within_its_buffer_it_is_not(hall):
    Resource.objects.filter(pk=hall.pk).update(buffer_after_minutes=30)
    book(slot_of(hall))

    with refusal(ResourceTaken):
        book(slot_of(named("one"), timedelta(minutes=75)))
    assert book(slot_of(named("two"), timedelta(minutes=90))).status == "held"


def test_parts_of_parts_are_taken_through_all_levels(club, hall):
    stadium, corner = single(club, "stadium"), single(club, "corner")
    compose(stadium, parts=[hall])
    compose(named("one"), parts=[corner])

    whole = slot_of(stadium)
    booking = book(whole)
    assert taken(whole) == {"stadium", "hall", "one", "two", "corner"}
    for below in (corner, named("two"), hall):
        with refusal(ResourceTaken):
            book(slot_of(below, HALF_AN_HOUR))

    leave(booking)
    book(slot_of(corner, HALF_AN_HOUR))
    for above in (named("one"), hall, stadium):
        assert free(slot_of(above, timedelta(minutes=40))) == [False]
        with refusal(ResourceTaken):
            book(slot_of(above, timedelta(minutes=50)))
    assert book(slot_of(named("two"))).status == "held"
    assert_consistent()


def test_an_overdue_hold_of_a_court_does_not_keep_the_hall(hall):
    court, whole = slot_of(named("one")), slot_of(hall)
    overdue = book(court, now=timezone.now() - timedelta(minutes=16))
    assert free(whole) == [True]

    book(whole)

    overdue.refresh_from_db()
    assert overdue.status == "expired"
    assert (taken(court), taken(whole)) == (set(), {"hall", "one", "two"})
    assert_consistent()


def test_who_has_the_hall_can_move_it_by_half_an_hour(hall):
    early, late = slot_of(hall), slot_of(hall, HALF_AN_HOUR)
    f.check_out(f.CustomerFactory(organization=hall.organization), early)

    move(early.bookings.get(), late)

    assert (taken(early), taken(late)) == (set(), {"hall", "one", "two"})
    assert_consistent()


def move(booking, slot):
    return reschedule.reschedule(
        booking_id=booking.pk,
        organization_id=booking.organization_id,
        slot_id=slot.pk,
        actor=f.SYSTEM,
        reason="x",
        now=timezone.now(),
    )


# Doctors and classes, and the rooms they need


@pytest.fixture
def clinic(club):
    """Three doctors who need one of two rooms each."""
    rooms = pool_of(club, "rooms", single(club, "red"), single(club, "blue"))
    for name in ("Anna", "Ben", "Carl"):
        compose(single(club, name), pools=[rooms])
    return rooms


def test_each_doctor_gets_a_room_and_when_all_are_taken_the_next_is_refused(clinic):
    anna, ben, carl = (slot_of(named(name)) for name in ("Anna", "Ben", "Carl"))
    later = slot_of(named("Carl"), timedelta(hours=1))
    first = book(anna)
    assert free(ben, carl) == [True, True]

    book(ben)

    assert taken(anna) | taken(ben) == {"Anna", "Ben", "red", "blue"}
    assert taken(anna) & taken(ben) == set()
    assert free(carl, later) == [False, True]
    with refusal(ResourceTaken, match="Nothing that Carl needs"):
        book(carl)

    leave(first)
    assert free(carl) == [True]
    book(carl)
    assert taken(carl) == {"Carl", *(taken(ben) ^ {"Ben", "red", "blue"})}
    assert_consistent()


def test_a_room_that_is_booked_by_itself_is_not_given_to_a_doctor(clinic):
    book(slot_of(named("red"), HALF_AN_HOUR))

    assert taken(book(slot_of(named("Anna"))).slot) == {"Anna", "blue"}
    with refusal(ResourceTaken):
        book(slot_of(named("Ben")))


def test_a_room_that_is_out_of_service_is_not_given_to_a_doctor(clinic):
    Resource.objects.filter(name="red").update(is_active=False)

    assert taken(book(slot_of(named("Anna"))).slot) == {"Anna", "blue"}
    assert free(slot_of(named("Ben"))) == [False]
    with refusal(ResourceTaken):
        book(slot_of(named("Ben"), timedelta(minutes=1)))


def test_a_pool_of_nobody_gives_nobody(clinic):
    PoolMember.objects.all().delete()
    slot = slot_of(named("Anna"))

    assert free(slot) == [False]
    with refusal(ResourceTaken):
        book(slot)


def test_overdue_holds_of_rooms_are_freed_on_the_spot(clinic):
    past = timezone.now() - timedelta(minutes=16)
    late = [book(slot_of(named(name)), now=past) for name in ("Anna", "Ben")]
    carl = slot_of(named("Carl"), HALF_AN_HOUR)
    assert free(carl) == [True]

    book(carl)

    assert len(taken(carl)) == 2
    for booking in late:
        booking.refresh_from_db()
    assert "expired" in {b.status for b in late}
    assert_consistent()


def test_a_class_takes_one_room_for_all_its_people(club, clinic):
    yoga = compose(
        f.ResourceFactory(organization=club, name="yoga", exclusive=False), pools=[clinic]
    )
    course = slot_of(yoga, max_bookings=3)
    people = [book(course) for _ in range(3)]
    (room,) = taken(course)

    other_room = ({"red", "blue"} - {room}).pop()
    assert taken(book(slot_of(named("Anna"))).slot) == {"Anna", other_room}
    with refusal(ResourceTaken):
        book(slot_of(named("Ben")))

    for booking in people[:2]:
        leave(booking)
    assert taken(course) == {room}
    book(course)  # others may still join, though no room is free
    leave(people[2])
    leave(course.bookings.get(status="held"))
    assert taken(course) == set()
    assert taken(book(slot_of(named("Ben"), timedelta(minutes=1))).slot) == {"Ben", room}
    assert_consistent()


def test_the_next_first_people_of_a_class_may_get_another_room(club, clinic):
    yoga = compose(
        f.ResourceFactory(organization=club, name="yoga", exclusive=False), pools=[clinic]
    )
    course = slot_of(yoga, max_bookings=3)
    booking = book(course)
    before = taken(course)
    leave(booking)
    book(slot_of(named(next(iter(before)))))

    book(course)

    assert taken(course) == {"red", "blue"} - before
    assert_consistent()


def test_the_only_room_moves_along_when_its_doctor_moves_by_half_an_hour(club):
    only = pool_of(club, "rooms", single(club, "red"))
    anna = compose(single(club, "Anna"), pools=[only])
    early, late = slot_of(anna), slot_of(anna, HALF_AN_HOUR)
    f.check_out(f.CustomerFactory(organization=club), early)

    move(early.bookings.get(), late)

    assert (taken(early), taken(late)) == (set(), {"Anna", "red"})
    assert_consistent()


def test_one_of_each_pool_is_found_though_they_share_members(club):
    red, blue = single(club, "red"), single(club, "blue")
    both, one = pool_of(club, "any", red, blue), pool_of(club, "red ones", red)
    surgeon = compose(single(club, "surgeon"), pools=[both, one])

    slot = slot_of(surgeon)
    book(slot)

    assert taken(slot) == {"surgeon", "red", "blue"}
    slot.refresh_from_db()
    assert dict(zip(slot.pools, slot.picked, strict=True)) == {
        both.pk: blue.number,
        one.pk: red.number,
    }
    nurse = compose(single(club, "nurse"), pools=[both, one])
    book(slot_of(blue, timedelta(hours=1)))
    with refusal(ResourceTaken):
        book(slot_of(nurse, timedelta(hours=1)))  # red is free, but is not two rooms
    assert_consistent()


def test_a_part_is_not_also_what_is_picked_out_of_a_pool(club):
    red, blue = single(club, "red"), single(club, "blue")
    suite = compose(single(club, "suite"), parts=[red], pools=[pool_of(club, "any", red, blue)])

    slot = slot_of(suite)
    book(slot)

    assert taken(slot) == {"suite", "red", "blue"}


def test_the_needs_of_parts_are_needs_of_the_whole(club, clinic):
    team = compose(single(club, "team"), parts=[named("Anna"), named("Ben")])

    slot = slot_of(team)
    book(slot)

    # One room for the team: a pool is needed once, however many of its parts need it.
    assert taken(slot) >= {"team", "Anna", "Ben"}
    assert len(taken(slot) & {"red", "blue"}) == 1
    assert_consistent()


@pytest.mark.parametrize("seed", range(20))
def test_a_choice_is_found_if_and_only_if_there_is_one(seed):
    chance = random.Random(seed)
    for _ in range(50):
        wanted: list[Any] = [str(n) for n in range(chance.randint(0, 4))]
        # Some of them are provided by somebody, who may provide two of them.
        takes = {n: [n, *chance.sample([101, 102, 103], chance.randint(0, 1))] for n in range(6)}
        members = {p: chance.sample(range(6), chance.randint(0, 4)) for p in wanted}
        pools = {p: {n: takes[n] for n in numbers} for p, numbers in members.items()}
        busy = set(chance.sample([*range(6), 101, 102, 103], chance.randint(0, 4)))
        every = product(*([n for n in pools[p] if not busy & {*takes[n]}] for p in wanted))
        possible = {
            choice for choice in every if len({takes[n][-1] for n in choice}) == len(choice)
        }

        picked = claiming.pick(wanted, pools, taken=busy)

        assert (tuple(picked) in possible) if picked is not None else not possible


def test_a_bigger_pool_and_more_taken_rooms_cost_no_more_statements(club):
    counts = []
    for size in (2, 12):
        rooms = [single(club, f"{size}/{n}") for n in range(size)]
        doctor = compose(
            single(club, f"doctor {size}"), pools=[pool_of(club, f"pool {size}", *rooms)]
        )
        for room in rooms[:-1]:
            book(slot_of(room))
        slot = slot_of(doctor)
        customer = f.CustomerFactory(organization=club)
        with CaptureQueriesContext(connection) as captured:
            f.hold(customer, slot)
        assert taken(slot) == {f"doctor {size}", rooms[-1].name}
        counts.append(len(captured))
    assert counts[0] == counts[1]


# Putting together anew


def stale():
    return [s for s in Slot.objects.select_related("resource") if s.parts != s.resource.parts]


def test_slots_to_come_follow_empty_ones_and_those_with_people(club, hall):
    shed = single(club, "shed")
    empty, used = slot_of(hall), slot_of(hall, timedelta(hours=3))
    book(used)

    compose(hall, parts=[named("one"), shed])

    assert stale() == []
    assert taken(used) == {"hall", "one", "shed"}
    book(empty)
    assert taken(empty) == {"hall", "one", "shed"}
    assert taken(book(slot_of(named("two"))).slot) == {"two"}
    with refusal(ResourceTaken):
        book(slot_of(shed))
    assert_consistent()


def test_what_the_resource_is_a_part_of_follows_too(club, hall):
    corner = single(club, "corner")
    whole = slot_of(hall)
    book(whole)

    compose(named("one"), parts=[corner])

    assert taken(whole) == {"hall", "one", "two", "corner"}
    assert stale() == []
    with refusal(ResourceTaken):
        book(slot_of(corner))


@pytest.mark.parametrize("what", ["part", "pool"])
def test_nothing_is_put_together_over_the_heads_of_people(club, hall, what):
    shed = single(club, "shed")
    used, fine = slot_of(hall), slot_of(hall, timedelta(hours=5))
    book(used)
    book(fine)
    book(slot_of(shed, HALF_AN_HOUR))
    parts = [named("one"), named("two")]
    new: dict[str, Any] = {
        "part": {"parts": [*parts, shed]},
        "pool": {"parts": parts, "pools": [pool_of(club, "sheds", shed)]},
    }[what]

    with refusal(ResourceTaken, match="In 1 slots with people") as caught:
        compose(hall, **new)

    assert caught.value.extra["slots"] == [str(used.pk)]


def test_people_in_a_class_get_a_room_when_it_comes_to_need_one(club, clinic):
    yoga = f.ResourceFactory(organization=club, name="yoga", exclusive=False)
    course = slot_of(yoga, max_bookings=3)
    book(course)
    book(course)
    book(slot_of(named("red")))

    compose(yoga, pools=[clinic])

    assert taken(course) == {"blue"}
    assert_consistent()
    compose(yoga)
    assert taken(course) == set()
    assert_consistent()


def test_two_slots_with_people_at_one_time_get_different_rooms(club, clinic):
    slots = []
    yoga = f.ResourceFactory(organization=club, name="yoga", exclusive=False)
    for minutes in (0, 20):
        slots.append(slot_of(yoga, timedelta(minutes=minutes), max_bookings=3))
        book(slots[-1])

    compose(yoga, pools=[clinic])

    assert {n for s in slots for n in taken(s)} == {"red", "blue"}
    assert_consistent()
    third = slot_of(yoga, timedelta(minutes=40), max_bookings=3)
    assert free(third) == [False]


def test_three_at_one_time_do_not_fit_into_two_rooms(club, clinic):
    yoga = f.ResourceFactory(organization=club, name="yoga", exclusive=False)
    for minutes in (0, 20, 40):
        book(slot_of(yoga, timedelta(minutes=minutes), max_bookings=3))

    with refusal(ResourceTaken):
        compose(yoga, pools=[clinic])


def test_people_keep_the_room_they_have_when_a_part_is_added(club, clinic):
    anna = named("Anna")
    slot = slot_of(anna)
    book(slot)
    before = taken(slot)

    compose(anna, parts=[single(club, "machine")], pools=[clinic])

    assert taken(slot) == before | {"machine"}
    assert_consistent()


def test_what_is_over_is_left_as_it_was(club, hall):
    past = f.make_slot(hall, starts_at=timezone.now() - timedelta(days=2))
    before = list(past.parts)

    compose(hall, parts=[named("one")])

    past.refresh_from_db()
    assert past.parts == before


def test_composing_the_same_again_changes_no_slot(club, hall, clinic):
    anna = named("Anna")
    slots = [slot_of(hall), slot_of(anna)]
    for slot in slots:
        book(slot)
    before = everything()

    compose(hall, parts=[named("one"), named("two")])
    compose(anna, pools=[clinic])

    assert everything() == before


def test_the_number_of_statements_does_not_depend_on_the_number_of_slots(club):
    counts = []
    for size in (2, 30):
        hall, part = single(club, f"hall {size}"), single(club, f"part {size}")
        for n in range(size):
            slot = slot_of(hall, timedelta(hours=2 * n))
            if n % 2:
                book(slot)
        with CaptureQueriesContext(connection) as captured:
            compose(hall, parts=[part])
        counts.append(len(captured))
    assert counts[0] == counts[1]


# What cannot be put together


def refused(error, **kwargs):
    """The service refuses it in the database, and the words are those of this error."""
    before = everything()
    with pytest.raises(DatabaseError) as caught, transaction.atomic():
        compose(**kwargs)
    assert isinstance(translate(caught.value), error)
    assert everything() == before


def test_nothing_is_a_part_of_itself_through_any_number_of_levels(club, hall):
    stadium = compose(single(club, "stadium"), parts=[hall])

    for inner in (hall, named("one"), stadium):
        refused(MadeInCircles, resource=inner, parts=[stadium])


def test_a_part_is_exclusive_and_a_pool_member_stays_single(club, hall, clinic):
    course = f.ResourceFactory(organization=club, exclusive=False)

    refused(DoesNotFit, resource=hall, parts=[course])
    refused(DoesNotFit, resource=named("red"), parts=[named("one")])
    refused(DoesNotFit, resource=named("red"), pools=[clinic])


def test_nothing_of_another_organisation_is_put_together(club, hall, clinic):
    stranger = single(f.OrganizationFactory(), "stranger")
    far = pool_of(stranger.organization, "far")

    for attempt in (
        lambda: compose(hall, parts=[stranger]),
        lambda: compose(hall, pools=[far]),
        lambda: compose(stranger, parts=[], organization_id=club.pk),
    ):
        with refusal(NotFound):
            attempt()


def test_links_are_in_the_trail_under_the_name_of_who_made_them(hall):
    line = ResourcePart.history.filter(whole_id=hall.pk).latest()

    assert (line.history_type, line.actor_label) == ("+", f.SYSTEM.label)
    assert PoolNeed.history.count() == 0
