"""Nobody provides two things at a time: services, classes, and what is picked (B5, D1)."""

from datetime import timedelta
from importlib import import_module
from typing import Any

import pytest
from django.utils import timezone

from bookings import claiming, locks, selectors_calendar
from bookings.errors import ResourceTaken
from bookings.models import PEOPLE, Booking, Occupancy, Provider, Resource, Slot
from bookings.services import resources
from tests import factories as f
from tests.bookings.test_composed_resources import (
    HALF_AN_HOUR,
    book,
    compose,
    free,
    leave,
    move,
    named,
    pool_of,
    single,
    slot_of,
    taken,
)
from tests.bookings.test_constraints_schedules import assert_consistent_seats
from tests.bookings.test_free_times import at, hold, of, open_court, quarters, starts
from tests.concurrency import interleave, locks_off, without
from tests.corruption import check, check_rows, corrupt, fix
from tests.invariants import assert_consistent, problems, refusal
from tests.plain_sql import change, refused, sql
from waitlist.selectors import slots_to_serve

pytestmark = pytest.mark.django_db
RACE = pytest.mark.django_db(transaction=True)
HOUR = timedelta(hours=1)


@pytest.fixture
def club():
    return f.OrganizationFactory()


@pytest.fixture
def lena(club):
    return f.MembershipFactory(organization=club, role="provider", user__name="Dr. Lena").user


@pytest.fixture
def services(club, lena) -> Any:
    """Two services of one doctor."""
    return [single(club, name, provider=lena) for name in ("Consultation", "Video")]


def number_of(user, organization) -> int:
    return Provider.objects.get(user=user, organization=organization).number


def busy(user, organization) -> set[Any]:
    """The slots whose people have this person's time."""
    marks = Occupancy.objects.filter(resource_number=number_of(user, organization))
    return set(marks.values_list("slot_id", flat=True))


@pytest.mark.parametrize("later", [timedelta(), HALF_AN_HOUR, -HALF_AN_HOUR])
def test_two_services_of_one_person_are_never_booked_at_once(services, later):
    here, there = slot_of(services[0], HOUR), slot_of(services[1], HOUR + later)
    assert free(here, there) == [True, True]
    booking = book(here)

    assert free(there) == [False]
    with refusal(ResourceTaken, match="Whoever provides Video is booked for something else"):
        book(there)
    assert claiming.could_claim([there]) == []

    leave(booking)
    assert (free(there), claiming.could_claim([there])) == ([True], [there])
    book(there)
    assert_consistent()


def test_the_database_says_so_where_python_does_not(services):
    here, there = slot_of(services[0]), slot_of(services[1], HALF_AN_HOUR)
    booking, after = book(here), slot_of(services[1], HOUR)
    customer = f.CustomerFactory(organization=here.organization)
    columns = {"organization": here.organization, "customer": customer, "status": "pending"}

    with refused("bookings_occupancy_never_overlaps"):
        Booking.objects.create(slot=there, created_at=timezone.now(), **columns)

    Booking.objects.create(slot=after, created_at=timezone.now(), **columns)
    with refused("bookings_occupancy_never_overlaps"):
        change(booking, slot_id=there.pk)
    assert_consistent_seats()


def test_who_moves_from_one_service_of_somebody_to_another_is_not_in_their_own_way(services):
    here, there = slot_of(services[0]), slot_of(services[1], HALF_AN_HOUR)
    f.check_out(f.CustomerFactory(organization=here.organization), here)

    move(here.bookings.get(), there)

    assert (free(here), taken(there)) == ([False], {"Video"})
    assert_consistent()


def test_a_class_takes_its_trainer_once_however_many_come(club, lena):
    yoga, pilates = (
        single(club, name, exclusive=False, provider=lena) for name in ("Yoga", "Pilates")
    )
    class_, same_time = slot_of(yoga, max_bookings=20), slot_of(pilates, max_bookings=20)
    overlapping = slot_of(yoga, HALF_AN_HOUR, max_bookings=20)

    for _ in range(3):
        book(class_)

    assert free(class_, same_time, overlapping) == [True, False, False]
    for slot in (same_time, overlapping):
        with refusal(ResourceTaken):
            book(slot)
    assert_consistent()


def test_where_somebody_is_booked_elsewhere_is_nobody_s_business_here(club, lena, services):
    elsewhere = f.OrganizationFactory()
    f.MembershipFactory(organization=elsewhere, user=lena)
    theirs = slot_of(single(elsewhere, "Surgery", provider=lena))

    book(slot_of(services[0]))

    assert free(theirs) == [True]
    book(theirs)
    assert number_of(lena, elsewhere) != number_of(lena, club)


def test_who_books_a_whole_takes_those_who_provide_its_parts(club, lena, services):
    day = compose(single(club, "Check-up"), parts=[services[0]])

    whole, video = slot_of(day), slot_of(services[1])
    booking = book(whole)

    assert taken(whole) == {"Check-up", "Consultation"}
    with refusal(ResourceTaken):
        book(video)
    leave(booking)
    book(video)
    with refusal(ResourceTaken, match="Whoever provides Check-up"):
        book(whole)
    assert_consistent()


def test_who_is_booked_elsewhere_is_not_picked_and_who_is_picked_is_booked(club, lena, services):
    max_ = single(club, "Max", provider=f.UserFactory())
    pool = pool_of(club, "therapists", services[0], max_)
    massages = [compose(single(club, f"massage {n}"), pools=[pool]) for n in range(2)]
    one, other, video = slot_of(massages[0]), slot_of(massages[1]), slot_of(services[1])
    booking = book(video)

    book(one)

    assert taken(one) == {"massage 0", "Max"}
    assert free(other) == [False]
    with refusal(ResourceTaken, match="Nothing that massage 1 needs"):
        book(other)
    leave(booking)
    book(other)
    assert taken(other) == {"massage 1", "Consultation"}
    assert busy(lena, club) == {other.pk}
    assert free(video) == [False]
    with refusal(ResourceTaken):
        book(video)
    # Somebody else gives consultations from now on: those who were given one follow.
    change(services[0], provider_id=f.UserFactory().pk)
    assert (busy(lena, club), free(video)) == (set(), [True])
    assert check() == set()
    assert_consistent()


def test_free_times_are_those_at_which_their_provider_is_free_too(club, lena):
    court = open_court(club, provider=lena)
    lesson = single(club, "lesson", provider=lena)
    book(f.make_slot(lesson, starts_at=at(12)))

    assert starts(court) == quarters(at(9), at(11)) + quarters(at(13), at(16))

    hold(of(court), court, at(14))
    assert free(f.make_slot(lesson, starts_at=at(14, 30))) == [False]
    assert_consistent()


def test_times_at_which_somebody_gives_something_else_are_on_the_calendar(services):
    slot = slot_of(services[0])
    book(slot)

    found = selectors_calendar.blocked(services, start=slot.starts_at, end=slot.ends_at)

    [blocked] = found[services[1].pk]
    assert (blocked.by, blocked.starts_at) == ("Consultation", slot.starts_at)
    assert services[0].pk not in found


def test_who_waits_for_another_service_is_served_when_somebody_comes_free(services):
    here, there = slot_of(services[0]), slot_of(services[1])
    Slot.objects.filter(pk=there.pk).update(line_units=1)

    assert slots_to_serve([here.pk], now=timezone.now()) == [there.pk]


# Another provider


def test_slots_to_come_follow_a_new_provider_with_the_people_in_them(club, lena, services):
    max_ = f.MembershipFactory(organization=club, user__name="Max").user
    with_people, empty = slot_of(services[0]), slot_of(services[0], HOUR)
    video = slot_of(services[1])
    book(with_people)

    sql("UPDATE bookings_resource SET provider_id = %s WHERE id = %s", max_.pk, services[0].pk)

    assert busy(max_, club) == {with_people.pk}
    assert busy(lena, club) == set()
    empty.refresh_from_db()
    assert empty.parts == [number_of(max_, club)]
    book(video)
    # Every slot has its line of the trail, and nothing differs from anything.
    assert [s.history.count() for s in (with_people, empty)] == [2, 2]
    assert check() == set()
    assert_consistent()


@pytest.mark.parametrize("how", ["services", "classes"])
def test_nobody_becomes_the_provider_of_two_things_at_a_time(club, lena, how):
    if how == "services":
        one, other = single(club, "one", provider=lena), single(club, "other")
    else:
        one = other = single(club, "classes", exclusive=False)
    book(slot_of(one, max_bookings=1))
    late = slot_of(other, HALF_AN_HOUR)
    book(late)
    other.provider = lena

    with refusal(ResourceTaken, match="In 1 slots with people Dr. Lena is booked") as caught:
        resources.check_provider(other, now=timezone.now())
    assert caught.value.extra["slots"] == [str(late.pk)]
    with refused("bookings_occupancy_never_overlaps"):
        change(other, provider_id=lena.pk)
    assert Resource.objects.get(pk=other.pk).parts == []


def test_a_provider_is_taken_back_and_everybody_s_account_can_go(club, lena, services):
    slot = slot_of(services[0])
    book(slot)

    sql("DELETE FROM bookings_provider")

    assert set(Resource.objects.values_list("provider", flat=True)) == {None}
    assert Slot.objects.get(pk=slot.pk).parts == []
    assert taken(slot) == {"Consultation"}
    again = Resource.objects.get(pk=services[0].pk)
    again.provider = lena
    again.save()
    assert again.parts == [number_of(lena, club)]  # it knows what the database made of it
    again.save()
    lena.delete()
    assert not Provider.objects.exists()
    assert check() == set()


# Checks, and what was there before


def test_slots_that_do_not_take_their_provider_are_found_and_repaired(club, lena, services):
    slot = slot_of(services[0])
    book(slot)
    number = number_of(lena, club)
    corrupt("UPDATE bookings_resource SET parts = '{}' WHERE id = %s", [services[0].pk])
    corrupt("UPDATE bookings_slot SET parts = '{}' WHERE id = %s", [slot.pk])
    corrupt("DELETE FROM bookings_occupancy WHERE resource_number = %s", [number])
    corrupt("DELETE FROM bookings_provider")

    assert check("bookings.composition") == {str(r.pk) for r in services}
    assert set(fix("bookings.composition").values()) == {"fixed", "gone"}
    found = {str(services[0].pk)}
    assert check("bookings.slot_composition") == found
    assert fix("bookings.slot_composition") == dict.fromkeys(found, "fixed")

    assert busy(lena, club) == {slot.pk}
    assert number_of(lena, club) > PEOPLE
    assert check_rows() == set()


def test_what_a_picked_therapist_takes_is_found_and_repaired(club, lena, services):
    massage = compose(single(club, "massage"), pools=[pool_of(club, "all", services[0])])
    slot = slot_of(massage)
    book(slot)
    corrupt("UPDATE bookings_slot SET picked_parts = '{}' WHERE id = %s", [slot.pk])
    corrupt("DELETE FROM bookings_occupancy WHERE resource_number > %s", [PEOPLE])

    assert fix("bookings.slot_composition") == {str(massage.pk): "fixed"}

    assert busy(lena, club) == {slot.pk}
    assert check_rows() == set()


def test_who_was_booked_twice_before_is_named_and_everybody_else_follows(club, lena, services):
    """The step of the migration, on what was there before it."""
    early, late = slot_of(services[0]), slot_of(services[1], HALF_AN_HOUR)
    fine, empty = slot_of(services[0], 5 * HOUR), slot_of(services[1], 7 * HOUR)
    book(fine)
    corrupt("UPDATE bookings_resource SET parts = '{}'")
    corrupt("UPDATE bookings_slot SET parts = '{}'")
    corrupt("DELETE FROM bookings_occupancy WHERE resource_number > %s", [PEOPLE])
    corrupt("DELETE FROM bookings_provider")
    both = {str(book(Slot.objects.get(pk=s.pk)).pk) for s in (early, late)}

    sql(import_module("bookings.migrations.0002_provider_numbers").FOLLOW)

    number = number_of(lena, club)
    parts = dict(Slot.objects.values_list("pk", "parts"))
    assert parts == {early.pk: [number], late.pk: [], fine.pk: [number], empty.pk: [number]}
    assert busy(lena, club) == {early.pk, fine.pk}
    assert check("bookings.exclusive_overlap") == both
    assert fix("bookings.slot_composition") == {str(services[1].pk): "needs_review"}
    leave(early.bookings.get())
    assert fix("bookings.slot_composition") == {str(services[1].pk): "fixed"}
    assert check_rows() == set()


# Races


def two_at_one_person():
    club, user = f.OrganizationFactory(), f.UserFactory()
    slots = [
        slot_of(single(club, f"service {n}", provider=user), n * HALF_AN_HOUR) for n in range(2)
    ]
    one, other = f.CustomerFactory.create_batch(2, organization=club)
    return interleave(
        lambda: f.hold(one, slots[0]),
        after=(locks, "occupied"),
        second=lambda: f.hold(other, slots[1]),
    )


@RACE
def test_who_comes_while_a_person_is_being_taken_for_something_else_waits_and_is_told():
    first, second = two_at_one_person()

    assert isinstance(first, Booking)
    assert second.code == "resource_taken"
    assert_consistent()


@RACE
def test_without_turns_the_constraint_still_keeps_a_person_from_two_services_at_once():
    with locks_off():
        first, second = two_at_one_person()

    assert isinstance(second, Booking)
    assert "bookings_occupancy_never_overlaps" in str(first)
    assert_consistent()


@RACE
def test_control_without_turns_and_constraint_a_person_gives_two_services_at_once():
    with without("bookings_occupancy_never_overlaps"), locks_off():
        first, second = two_at_one_person()

        assert isinstance(first, Booking)
        assert isinstance(second, Booking)
        assert "a provider is booked twice" in problems()


def a_therapist_is_picked_while_another_takes_over():
    club, after = f.OrganizationFactory(), f.UserFactory()
    therapist = single(club, "therapist", provider=f.UserFactory())
    massage = compose(single(club, "massage"), pools=[pool_of(club, "all", therapist)])
    slot, customer = slot_of(massage), f.CustomerFactory(organization=club)
    outcomes = interleave(
        lambda: f.hold(customer, slot),
        after='UPDATE "bookings_slot" SET "picked"',
        second=lambda: Resource.objects.filter(pk=therapist.pk).update(provider=after),
    )
    return outcomes, busy(after, club) == {slot.pk}


@RACE
def test_who_takes_over_while_somebody_is_picked_waits_and_is_taken_instead():
    (first, second), follows = a_therapist_is_picked_while_another_takes_over()

    assert isinstance(first, Booking)
    assert (second, follows) == (1, True)
    assert named("therapist").parts == [Provider.objects.order_by("number").last().number]
    assert_consistent()
