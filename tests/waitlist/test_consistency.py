"""What is wrong in the line is found by name, repaired once, and then left alone (A6, A9, A10)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from bookings.models import Booking, Slot
from tests import factories as f
from tests.corruption import AUDITOR, check, check_rows, corrupt, fix, last_line
from tests.waitlist.line import (
    accept,
    also_in,
    bookings_in,
    free,
    fresh,
    full_slot,
    join,
    offer_of,
    somebody,
    window,
)
from waitlist.models import Offer, WaitlistEntry, WaitlistPolicy

pytestmark = pytest.mark.django_db

GATES, OFFERS, FULFILLED = "waitlist.gates", "waitlist.offers", "waitlist.fulfilled"
LINKS, OVERDUE = "waitlist.links", "waitlist.overdue"
SETTLED, UNSERVED = "waitlist.settled", "waitlist.unserved"


def priced() -> Any:
    resource = f.ResourceFactory()
    f.PriceFactory(resource=resource)
    return resource


def offered(resource: Any = None) -> WaitlistEntry:
    slot, _ = full_slot(resource, starts_at=f.soon(72))
    entry = join(slot)
    free(slot)
    return fresh(entry)


def repaired(check_id: str, *rows: Any) -> None:
    """The check names these rows; they are repaired once, and twice changes nothing."""
    names = {str(r.pk) for r in rows}
    assert check(check_id) == names
    assert fix(check_id) == dict.fromkeys(names, "fixed")
    assert check(check_id) == set()
    assert fix(check_id) == {}
    assert check_rows() == set()


def left_to_people(check_id: str, *rows: Any) -> None:
    names = {str(r.pk) for r in rows}
    assert check(check_id) == names
    assert set(fix(check_id).values()) <= {"open", "needs_review"}
    assert check(check_id) == names


def test_a_line_in_every_state_is_clean():
    entry = offered(priced())
    accept(entry)
    other = offered()
    accept(other)
    join(window(entry.resource))
    slot, _ = full_slot()
    join(slot)
    assert check_rows() == set()


# Gates


@pytest.mark.parametrize("says", ["line_units = NULL", "line_units = 7", "waited_for = FALSE"])
def test_a_slot_that_does_not_know_who_waits_is_counted_again(says):
    slot, _ = full_slot()
    join(slot)
    full_slot()
    corrupt(f"UPDATE bookings_slot SET {says} WHERE id = %s", [slot.pk])

    repaired(GATES, slot)

    slot.refresh_from_db()
    assert (slot.line_units, slot.waited_for) == (1, True)


def test_a_slot_that_says_that_somebody_waits_where_nobody_does_is_counted_again():
    slot = f.make_slot()
    corrupt("UPDATE bookings_slot SET line_units = 1 WHERE id = %s", [slot.pk])
    repaired(GATES, slot)


@pytest.mark.parametrize("line", [0, 5])
def test_a_resource_that_does_not_know_its_line_is_counted_again(line):
    slot, _ = full_slot()
    join(window(slot.resource))
    corrupt("UPDATE bookings_resource SET line = %s WHERE id = %s", [line, slot.resource_id])

    repaired(GATES, slot.resource)

    slot.resource.refresh_from_db()
    assert slot.resource.line == 1


# Entries, offers, bookings


def test_an_offer_that_ends_at_another_time_than_its_hold_follows_the_hold():
    entry = offered()
    corrupt("UPDATE waitlist_offer SET expires_at = expires_at + interval '1 day'")
    repaired(OFFERS, entry)
    offer = offer_of(entry)
    assert offer is not None
    assert offer.expires_at == offer.booking.held_until
    assert last_line(offer).actor_label == AUDITOR.label


def test_an_open_offer_of_seats_that_were_given_back_ends_and_its_entry_too():
    entry = offered()
    corrupt(
        "UPDATE bookings_booking SET status = 'expired', ended_at = now(), held_until = NULL"
        " WHERE id = %s",
        [offer_of(entry).booking_id],
    )
    corrupt("UPDATE bookings_slot SET taken_bookings = 0, taken_units = 0")
    repaired(OFFERS, entry)
    assert fresh(entry).status == "expired"


def test_an_open_offer_whose_seats_were_ordered_is_accepted():
    entry = offered(priced())
    accept(entry)
    f.check_out(entry.customer, method="pay_on_arrival")
    corrupt("UPDATE waitlist_offer SET status = 'open', answered_at = NULL")
    corrupt("UPDATE waitlist_waitlistentry SET status = 'offered'")
    repaired(OFFERS, entry)
    assert fresh(entry).status == "accepted"


@pytest.mark.parametrize(
    ("status", "becomes", "seats"),
    [
        ("waiting", "offered", "held"),
        ("left", "left", "cancelled"),
        ("accepted", "accepted", "held"),
    ],
)
def test_an_open_offer_of_an_entry_that_says_otherwise_agrees_again(status, becomes, seats):
    entry = offered()
    booking = offer_of(entry).booking
    ended = timezone.now() if status == "left" else None
    corrupt("UPDATE waitlist_waitlistentry SET status = %s, ended_at = %s", [status, ended])
    if status == "waiting":
        corrupt("UPDATE bookings_slot SET line_units = 1 WHERE id = %s", [booking.slot_id])

    repaired(OFFERS, entry)

    booking.refresh_from_db()
    assert (fresh(entry).status, booking.status) == (becomes, seats)


def test_an_entry_that_is_offered_nothing_waits_again():
    entry = offered()
    waiting = full_slot()[0]
    other = join(waiting)
    corrupt("UPDATE waitlist_waitlistentry SET status = 'offered' WHERE id = %s", [other.pk])
    corrupt("UPDATE bookings_slot SET line_units = NULL WHERE id = %s", [waiting.pk])
    repaired(OFFERS, other)
    assert (fresh(entry).status, fresh(other).status) == ("offered", "waiting")


def test_an_accepted_entry_follows_the_booking_that_was_approved():
    entry = offered()
    accept(entry)
    corrupt("UPDATE waitlist_waitlistentry SET status = 'accepted', ended_at = NULL")
    repaired(OFFERS, entry)
    assert fresh(entry).status == "fulfilled"


def test_an_accepted_entry_without_any_offer_is_left_to_people():
    slot, _ = full_slot()
    entry = join(slot)
    corrupt("UPDATE waitlist_waitlistentry SET status = 'accepted'")
    corrupt("UPDATE bookings_slot SET line_units = NULL WHERE id = %s", [slot.pk])
    left_to_people(OFFERS, entry)


def test_an_entry_that_got_nothing_and_says_so_is_left_to_people():
    slot, _ = full_slot()
    entry = join(slot)
    corrupt("UPDATE waitlist_waitlistentry SET status = 'fulfilled', ended_at = now()")
    corrupt("UPDATE bookings_slot SET line_units = NULL WHERE id = %s", [slot.pk])
    left_to_people(FULFILLED, entry)


# Links and orphans


def test_an_offer_for_another_customers_booking_or_for_none_is_named():
    entry = offered()
    other = offered()
    first, second = offer_of(entry), offer_of(other)
    corrupt(
        "UPDATE bookings_booking SET customer_id = %s WHERE id = %s",
        [somebody(entry.resource).pk, first.booking_id],
    )
    corrupt("UPDATE waitlist_offer SET booking_id = %s WHERE id = %s", [f.some_id(), second.pk])
    left_to_people(LINKS, first, second)


@pytest.mark.parametrize("column", ["customer_id", "resource_id", "slot_id"])
def test_an_entry_that_points_at_nothing_is_named(column):
    slot, _ = full_slot()
    entry = join(slot)
    corrupt(f"UPDATE waitlist_waitlistentry SET {column} = %s", [f.some_id()])
    assert check(LINKS) == {str(entry.pk)}


# Over, settled, unserved


def into_the_past(slot: Slot) -> None:
    corrupt(
        "UPDATE bookings_slot SET starts_at = starts_at - interval '9 days',"
        " ends_at = ends_at - interval '9 days', busy_from = busy_from - interval '9 days',"
        " busy_until = busy_until - interval '9 days' WHERE id = %s",
        [slot.pk],
    )


def test_nobody_waits_for_what_is_over():
    (slot, _), (gone, _) = full_slot(), full_slot()
    here, late, legacy = join(full_slot()[0]), join(slot), join(gone)
    anytime = join(window(slot.resource))
    into_the_past(slot)
    corrupt("UPDATE bookings_slot SET status = 'legacy' WHERE id = %s", [gone.pk])
    corrupt(
        "UPDATE waitlist_waitlistentry SET from_at = now() - interval '2 days',"
        " until_at = now() - interval '1 day' WHERE id = %s",
        [anytime.pk],
    )
    names = {str(e.pk) for e in (late, legacy, anytime)}
    assert check(OVERDUE) == names
    assert fix(OVERDUE) == dict.fromkeys(names, "fixed")
    assert fix(OVERDUE) == {}
    assert [fresh(e).status for e in (here, late, legacy, anytime)] == ["waiting"] + ["expired"] * 3


def passed_over(entry: WaitlistEntry, status: str = "waiting") -> None:
    """As an approval leaves it that could not lock the slot."""
    corrupt(
        "UPDATE waitlist_waitlistentry SET status = %s, ended_at = NULL, ended_reason = ''"
        " WHERE id = %s",
        [status, entry.pk],
    )
    corrupt("UPDATE bookings_resource SET line = 1 WHERE id = %s", [entry.resource_id])


def test_who_got_the_seats_in_another_way_is_settled_later():
    resource = priced()
    one, other = full_slot(resource)[0], full_slot(resource, starts_at=f.soon(30))[0]
    first = join(one)
    second = also_in(window(resource), first.customer)
    free(one)
    accept(first)
    f.approve(f.check_out(first.customer, method="pay_on_arrival"))
    assert fresh(second).status == "settled"
    passed_over(second)
    del other

    repaired(SETTLED, second)

    assert fresh(second).status == "settled"


def test_a_line_that_the_last_approval_should_have_closed_is_closed_later():
    slot, orders = full_slot(priced())
    entry = join(slot)
    f.approve(orders[0])
    assert check(SETTLED) == set()  # its customer may still cancel
    WaitlistPolicy.objects.create(organization=slot.organization, closes_when_approved=True)

    repaired(SETTLED, entry)

    assert fresh(entry).status == "settled"


def test_who_joined_after_the_last_approval_is_not_settled():
    slot, orders = full_slot(priced())
    WaitlistPolicy.objects.create(organization=slot.organization, closes_when_approved=True)
    f.approve(orders[0])
    join(slot)
    assert check(SETTLED) == set()


def test_somebody_waiting_beside_a_free_seat_is_served():
    slot, _ = full_slot()
    entry = join(slot)
    Slot.objects.filter(pk=slot.pk).update(max_bookings=2, max_units=2)  # past the services

    repaired(UNSERVED, slot)

    assert fresh(entry).status == "offered"


def test_seats_that_are_too_few_or_at_a_time_that_is_taken_are_nobodys_fault():
    slot, _ = full_slot(seats=2)
    join(slot, units=2)
    free(slot)
    court = f.ResourceFactory(exclusive=True)
    start = f.soon(48)
    one = f.make_slot(court, starts_at=start)
    other = f.make_slot(court, starts_at=start + timedelta(minutes=30))
    f.hold(somebody(one), one)
    join(other)
    assert check(UNSERVED) == set()


def test_a_check_of_one_organisation_leaves_the_others_alone():
    slots = [full_slot()[0] for _ in range(2)]
    for slot in slots:
        join(slot)
    corrupt("UPDATE bookings_slot SET line_units = 9")
    Slot.objects.all()
    found = check(GATES, organization=slots[0].organization_id)
    assert found == {str(slots[0].pk)}
    assert Offer.objects.count() == 0
    assert Booking.objects.count() == len(bookings_in(slots[0])) * 2
