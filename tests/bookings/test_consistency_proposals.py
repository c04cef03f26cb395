"""Proposals and what is held for them are compared, and repaired or left (A9, A10, B6)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from audit.models import Finding
from bookings.models import Booking, Proposal, Slot
from bookings.services import bookings
from tests import factories as f
from tests.bookings.test_proposals import decline, propose
from tests.bookings.test_reschedule import booked, place, taken
from tests.corruption import AUDITOR, check, check_rows, corrupt, fix, last_line

pytestmark = pytest.mark.django_db

AGREE, LINKS = "bookings.proposals", "bookings.stand_ins"


@pytest.fixture
def court():
    return f.ResourceFactory(exclusive=True)


@pytest.fixture
def two(court):
    return f.make_slots(court, 2, start=f.soon(24 * 5))


@pytest.fixture
def booking(two):
    return booked(two[0])


@pytest.fixture
def proposed(booking, two):
    """A booking with a proposal; and others, declined and run out, that no check may name."""
    hall = f.ResourceFactory(organization=booking.organization)
    for end in (decline, ran_out):
        one, other = f.make_slots(hall, 2, start=f.soon(24 * 5), max_bookings=2)
        hall = f.ResourceFactory(organization=booking.organization)
        healthy = booked(one)
        propose(healthy, other)
        end(healthy)
    made = propose(booking, two[1])
    assert check(AGREE, LINKS) == set()
    booking.refresh_from_db()
    return made


def ran_out(booking):
    until = Proposal.objects.get(booking=booking, status="open").expires_at
    assert bookings.expire_holds(actor=f.SYSTEM, now=until) == 1


def test_all_is_well_with_what_is_proposed_answered_and_run_out(proposed):
    assert check_rows() == set()


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE bookings_proposal SET status = 'declined', answered_at = now() WHERE id = %(p)s",
        "UPDATE bookings_booking SET status = 'confirmed' WHERE id = %(b)s",
        "DELETE FROM bookings_proposal WHERE id = %(p)s",
        "UPDATE bookings_booking SET stands_for_id = NULL WHERE id = %(h)s",
    ],
    ids=["answered", "not waiting", "no proposal", "stands for nothing"],
)
def test_a_proposal_that_is_half_there_is_taken_back(sql, proposed, booking, two):
    ids = {"p": proposed.pk, "b": booking.pk, "h": proposed.stand_in_id}
    name = next(key for key in ids if f"%({key})s" in sql)
    corrupt(sql.replace(f"%({name})s", "%s"), [ids[name]])

    assert check(AGREE) == {str(booking.pk)}
    assert fix(AGREE) == {str(booking.pk): "fixed"}

    assert place(booking)[:2] == (two[0].pk, "confirmed")
    assert not Proposal.objects.filter(status="open").exists()
    assert not Booking.objects.filter(stands_for=booking, status="held").exists()
    assert check(AGREE) == set()
    assert fix(AGREE) == {}


def test_a_hold_that_is_gone_takes_its_proposal_with_it(proposed, booking, two):
    corrupt(
        "UPDATE bookings_booking SET status = 'cancelled', ended_at = now() WHERE id = %s",
        [proposed.stand_in_id],
    )
    corrupt(
        "UPDATE bookings_slot SET taken_bookings = 0, taken_units = 0 WHERE id = %s", [two[1].pk]
    )
    corrupt("DELETE FROM bookings_occupancy WHERE slot_id = %s", [two[1].pk])

    assert check(AGREE) == {str(booking.pk)}
    assert fix(AGREE) == {str(booking.pk): "fixed"}

    assert place(booking)[:2] == (two[0].pk, "confirmed")
    assert Proposal.objects.get(pk=proposed.pk).status == "withdrawn"
    assert last_line(booking).actor_label == AUDITOR.label
    assert check_rows() == set()


def test_seats_that_nobody_was_asked_about_are_free_again(proposed, booking, two):
    corrupt("UPDATE bookings_booking SET status = 'confirmed' WHERE id = %s", [booking.pk])
    corrupt(
        "UPDATE bookings_proposal SET status = 'declined', answered_at = now() WHERE id = %s",
        [proposed.pk],
    )

    assert fix(AGREE) == {str(booking.pk): "fixed"}

    assert taken(*two) == [1, 0]
    assert check_rows() == set()


def test_a_counter_that_was_wrong_as_well_does_not_stop_the_repair(proposed, booking, two):
    corrupt("DELETE FROM bookings_proposal WHERE id = %s", [proposed.pk])
    corrupt(
        "UPDATE bookings_slot SET taken_units = 0, taken_bookings = 0 WHERE id = %s", [two[1].pk]
    )

    assert fix(AGREE) == {str(booking.pk): "fixed"}

    assert taken(*two) == [1, 0]


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("units", 2, "another number of people"),
        ("held_until", "2040-01-01T00:00:00Z", "runs out at another time"),
        ("customer_id", None, "another customer's"),
        ("status", "pending", "no hold"),
    ],
)
def test_a_hold_that_is_not_its_bookings_is_left_to_people(column, value, words, proposed):
    if column == "customer_id":
        value = f.CustomerFactory(organization=proposed.organization).pk
    corrupt(
        f"UPDATE bookings_booking SET {column} = %s WHERE id = %s",
        [value, proposed.stand_in_id],
        drop=[("bookings_booking", "bookings_booking_stand_in_is_only_held")],
    )
    before = Booking.objects.filter(pk=proposed.stand_in_id).values().get()

    assert check(LINKS) == {str(proposed.stand_in_id)}
    assert fix(LINKS) == {str(proposed.stand_in_id): "needs_review"}
    assert words in wrong()
    assert Booking.objects.filter(pk=proposed.stand_in_id).values().get() == before


def test_a_hold_for_another_booking_than_its_proposal_says_is_left_to_people(proposed, two):
    other = booked(f.make_slot(two[0].resource, starts_at=f.soon(24 * 9)))
    corrupt("UPDATE bookings_proposal SET booking_id = %s WHERE id = %s", [other.pk, proposed.pk])

    assert check(LINKS) == {str(proposed.stand_in_id)}
    assert "another booking" in wrong()


def test_a_proposal_whose_hold_is_gone_is_left_to_people(proposed):
    corrupt("DELETE FROM bookings_booking WHERE id = %s", [proposed.stand_in_id])

    assert check(LINKS) == {str(proposed.stand_in_id)}
    assert "has no hold" in wrong()


def test_an_overdue_hold_of_a_proposal_is_expired_with_it(proposed, booking, two):
    long_ago = timezone.now() - timedelta(hours=1)
    corrupt(
        "UPDATE bookings_booking SET held_until = %s WHERE id = %s",
        [long_ago, proposed.stand_in_id],
    )
    corrupt("UPDATE bookings_proposal SET expires_at = %s WHERE id = %s", [long_ago, proposed.pk])

    assert fix("bookings.holds_overdue") == {str(proposed.stand_in_id): "fixed"}

    assert place(booking)[:2] == (two[0].pk, "confirmed")
    assert Proposal.objects.get(pk=proposed.pk).status == "expired"
    assert [Slot.objects.get(pk=s.pk).taken_units for s in two] == [1, 0]


def test_each_organisation_sees_its_own(proposed, booking):
    corrupt("UPDATE bookings_booking SET status = 'confirmed' WHERE id = %s", [booking.pk])
    corrupt("UPDATE bookings_booking SET units = 2 WHERE id = %s", [proposed.stand_in_id])

    assert check(AGREE, LINKS, organization=f.some_id()) == set()
    assert check(AGREE, LINKS, organization=booking.organization_id) == {
        str(booking.pk),
        str(proposed.stand_in_id),
    }


def wrong() -> str:
    return Finding.objects.latest("pk").message
