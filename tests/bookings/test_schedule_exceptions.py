"""Days that differ: closed, holidays, extra hours; and what becomes of who was booked (B1, B2)."""

from datetime import time, timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext

from audit.errors import Invalid, NotFound
from audit.models import OutboxEvent
from bookings.models import Booking, Proposal, ScheduleException, Slot
from bookings.services import reschedule
from tests import factories as f
from tests import timetable
from tests.invariants import assert_consistent, refusal
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
    regenerate,
    rule,
    slot_at,
    slots,
    somebody,
    withdraw,
)

pytestmark = pytest.mark.django_db

ALL_DAY = list(range(9, 17))
ROOF = "The roof leaks."


def open_room(**fields):
    """Open from nine to five, three bookings of six people an hour, or one if it is exclusive."""
    made = timetable.room(**{"exclusive": False, **fields})
    limits = {"max_bookings": 1, "max_units": 1} if made.exclusive else {"max_units": 6}
    change(made, rule(**limits))
    return made


@pytest.fixture
def room():
    return open_room()


def day(days):
    return TODAY + days * DAY


def hours(room, days):
    """At which full hours slots are offered on a day."""
    return [s.starts_at.hour for s in slots(room, status="open") if s.starts_at.date() == day(days)]


def close(room, days, **kwargs):
    return add(room, closed(room, day(days)), **kwargs)


def hold(slot, units=1):
    return f.hold(somebody(slot.resource), slot, units, now=NOW)


def told(kind):
    """What events of this kind say, by the booking that they are about."""
    return {e.subject_id: e.payload for e in OutboxEvent.objects.filter(kind=kind)}


# What is offered


def test_a_closed_day_has_no_slots_and_the_others_have_theirs(room):
    close(room, 3)

    assert [hours(room, n) for n in (2, 3, 4)] == [ALL_DAY, [], ALL_DAY]
    assert_consistent()


def test_closed_hours_take_what_overlaps_them(room):
    add(room, closed(room, day(3), from_time=time(11, 30), until_time=time(13)))

    assert hours(room, 3) == [9, 10, 13, 14, 15, 16]


def test_days_are_closed_from_the_first_to_the_last(room):
    add(room, closed(room, day(3), day(5)))

    assert [len(hours(room, n)) for n in range(2, 7)] == [8, 0, 0, 0, 8]


def test_extra_hours_are_open_whatever_is_closed(room):
    close(room, 3)

    add(room, extra(room, day(3), 20, 22, max_bookings=2, max_units=4))

    assert hours(room, 3) == [20, 21]
    slot = slot_at(room, day(3), 20)
    assert (slot.source, slot.max_bookings, slot.max_units) == ("schedule", 2, 4)


def test_what_closes_everything_closes_each_resource_of_the_organisation(room):
    other = open_room(organization=room.organization)
    elsewhere = open_room()

    done = add(room, closed(None, day(3)))

    assert [p.resource for p in done.plans] == [room, other]
    assert hours(room, 3) == hours(other, 3) == []
    assert hours(elsewhere, 3) == ALL_DAY


def test_a_holiday_closes_only_what_observes_holidays(room):
    hotel = open_room(organization=room.organization, observes_holidays=False)

    add(room, closed(None, day(3), kind="holiday"))

    assert hours(room, 3) == []
    assert hours(hotel, 3) == ALL_DAY
    regenerate(hotel)
    assert hours(hotel, 3) == ALL_DAY


def test_a_resource_that_comes_later_is_closed_on_the_holidays_there_are(room):
    add(room, closed(None, day(3), kind="holiday"))

    later = open_room(organization=room.organization)

    assert hours(later, 3) == []
    assert hours(later, 4) == ALL_DAY


def test_what_is_withdrawn_is_as_if_it_had_never_been(room):
    before = {(s.starts_at, s.ends_at) for s in slots(room)}
    close(room, 3)
    add(room, extra(room, day(4), 20, 22))
    assert {(s.starts_at, s.ends_at) for s in slots(room)} != before

    withdraw(room, room.schedule_exceptions.values_list("pk", flat=True))

    assert {(s.starts_at, s.ends_at) for s in slots(room)} == before
    assert ScheduleException.objects.filter(withdrawn_at__isnull=True).count() == 0
    assert ScheduleException.history.filter(history_type="~").count() == 2


def test_an_exception_is_withdrawn_once(room):
    close(room, 3)
    (closing,) = room.schedule_exceptions.all()
    withdraw(room, [closing.pk])

    with refusal(NotFound):
        withdraw(room, [closing.pk])


def test_one_exception_takes_the_place_of_another_in_one_step(room):
    close(room, 3)
    (old,) = room.schedule_exceptions.all()

    done = add(room, closed(room, day(4)), withdraw=[old.pk])

    assert [hours(room, n) for n in (3, 4)] == [ALL_DAY, []]
    assert (done.counts()["create"], done.counts()["delete"]) == (8, 8)


# What is refused


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"then": "ask"}, "kept, moved or cancelled"),
        ({"then": "cancel"}, "Say why"),
        ({"then": "cancel", "reason": "  "}, "Say why"),
        ({"then": "move", "move_by_days": 1}, "Say why"),
        ({"then": "move", "reason": "works"}, "which day"),
        ({"then": "move", "reason": "works", "move_by_days": 0}, "which day"),
    ],
    ids=str,
)
def test_what_happens_to_people_has_to_be_said(room, fields, match):
    with refusal(Invalid, match=match):
        close(room, 3, **fields)


@pytest.mark.parametrize(
    "wrong",
    [
        {"last_day": TODAY + 2 * DAY},
        {"from_time": time(9)},
        {"kind": "siesta"},
        {"kind": "extra"},
        {"kind": "extra", "from_time": time(20), "until_time": time(22), "slot_minutes": 0},
        {"kind": "extra", "from_time": time(20), "until_time": time(22), "resource": None},
    ],
    ids=str,
)
def test_a_day_that_makes_no_sense_is_refused(room, wrong):
    made = closed(room, day(3))
    for name, value in wrong.items():
        setattr(made, name, value)

    with refusal((Invalid, ValidationError)):
        add(room, made)


def test_extra_hours_of_what_is_exclusive_take_one_booking_at_a_time():
    doctor = open_room(exclusive=True)

    with refusal(Invalid, match="one booking at a time"):
        add(doctor, extra(doctor, day(3), 20, 22, max_bookings=2, max_units=2))


# People who lose their time: kept


def test_people_are_kept_unless_something_else_is_asked_for(room):
    booking = booked(slot_at(room, day(3), 11))
    OutboxEvent.objects.all().delete()

    done = close(room, 3)

    assert [b.pk for b in done.affected] == [booking.pk]
    assert (done.cancelled, done.moved, done.stayed) == ([], [], [])
    booking.refresh_from_db()
    assert booking.status == "confirmed"
    assert Slot.objects.get(pk=booking.slot_id).status == "legacy"
    assert not OutboxEvent.objects.exists()
    assert_consistent()


# Cancelled


def test_everybody_in_closed_hours_is_cancelled_and_told_why(room):
    gone = [booked(slot_at(room, day(3), at), units=2) for at in (9, 16)]
    f.PriceFactory(resource=room)
    order = f.check_out(somebody(room), slot_at(room, day(3), 9), now=NOW)
    gone.append(order.items.get().booking)
    assert gone[-1].status == "pending"
    held = hold(slot_at(room, day(3), 10))
    stays = hold(slot_at(room, day(4), 9))

    done = close(room, 3, then="cancel", reason=ROOF)

    everybody = [*gone, held]
    assert {b.pk for b in done.cancelled} == {b.pk for b in everybody}
    for booking in everybody:
        booking.refresh_from_db()
        assert (booking.status, booking.ended_reason) == ("cancelled", ROOF)
    letters = told("booking.cancelled")
    assert set(letters) == {str(b.pk) for b in gone}  # a hold was promised nothing
    assert {p["reason"] for p in letters.values()} == {ROOF}
    stays.refresh_from_db()
    assert stays.status == "held"
    order.refresh_from_db()
    assert order.status == "cancelled"
    line = Booking.history.filter(id=gone[0].pk).latest()
    assert (line.actor_label, line.history_change_reason) == ("Mia", ROOF)
    assert hours(room, 3) == []
    assert_consistent()


def test_what_was_cancelled_stays_in_slots_of_the_past_that_nobody_books(room):
    booking = booked(slot_at(room, day(3), 11))

    close(room, 3, then="cancel", reason=ROOF)

    assert [(s.pk, s.status) for s in slots(room, bookings__isnull=False)] == [
        (booking.slot_id, "legacy")
    ]
    assert all(plan.is_empty for plan in regenerate(room).plans)


# Moved


def move(room, days, by=1, **kwargs):
    return close(room, days, then="move", move_by_days=by, reason=ROOF, **kwargs)


def test_people_move_to_the_same_hour_of_the_other_day_and_are_told(room):
    bookings = [booked(slot_at(room, day(3), at), units=2) for at in (9, 11)]

    done = move(room, 3, by=2)

    assert [b.pk for b in done.moved] == [b.pk for b in bookings]
    assert done.stayed == []
    for booking, at in zip(bookings, (9, 11), strict=True):
        booking.refresh_from_db()
        assert booking.slot_id == slot_at(room, day(5), at).pk
        assert booking.status == "confirmed"
    letters = told("booking.rescheduled")
    assert set(letters) == {str(b.pk) for b in bookings}
    assert {letter["reason"] for letter in letters.values()} == {ROOF}
    assert_consistent()
    # Nobody is left in the old slots, and nobody's history is there: they go with the next run.
    regenerate(room)
    assert slots(room, starts_at__date=day(3)) == []
    assert_follows(room)


def test_people_may_move_to_an_earlier_day(room):
    booking = booked(slot_at(room, day(3), 11))

    move(room, 3, by=-1)

    booking.refresh_from_db()
    assert booking.slot_id == slot_at(room, day(2), 11).pk


def test_who_finds_no_room_stays_where_they_are(room):
    target = slot_at(room, day(4), 11)
    booked(target, units=3)
    fits, does_not = (booked(slot_at(room, day(3), 11), units=n) for n in (2, 2))

    done = move(room, 3)

    assert [b.pk for b in done.moved] == [fits.pk]
    assert [b.pk for b in done.stayed] == [does_not.pk]
    does_not.refresh_from_db()
    slot = Slot.objects.get(pk=does_not.slot_id)
    assert (slot.status, slot.taken_units) == ("legacy", 2)
    assert does_not.status == "confirmed"
    target.refresh_from_db()
    assert (target.taken_bookings, target.taken_units) == (2, 5)
    assert_consistent()


def test_who_has_no_slot_to_go_to_stays(room):
    booking = booked(slot_at(room, day(3), 11))
    close(room, 4)

    done = move(room, 3)

    assert [b.pk for b in done.stayed] == [booking.pk]
    booking.refresh_from_db()
    assert Slot.objects.get(pk=booking.slot_id).status == "legacy"


def test_nobody_is_moved_into_what_closes_at_the_same_time(room):
    booking = booked(slot_at(room, day(3), 11))

    done = add(
        room,
        closed(room, day(3), day(4)),
        then="move",
        move_by_days=1,
        reason=ROOF,
    )

    assert [b.pk for b in done.stayed] == [booking.pk]


def test_people_move_into_what_opens_at_the_same_time(room):
    booking = booked(slot_at(room, day(3), 11))
    close(room, 5)

    add(
        room,
        closed(room, day(3)),
        extra(room, day(5), 11, 13),
        then="move",
        move_by_days=2,
        reason=ROOF,
    )

    booking.refresh_from_db()
    assert booking.slot_id == slot_at(room, day(5), 11).pk
    assert_consistent()


def test_a_hold_in_a_cart_is_not_moved_behind_its_customer_s_back(room):
    booking = hold(slot_at(room, day(3), 11))

    done = move(room, 3)

    assert [b.pk for b in done.stayed] == [booking.pk]
    booking.refresh_from_db()
    assert Slot.objects.get(pk=booking.slot_id).status == "legacy"


def test_people_of_a_doctor_move_only_where_the_doctor_is_free():
    doctor = open_room(exclusive=True, buffer_after_minutes=10)
    free, taken = (booked(slot_at(doctor, day(3), at)) for at in (9, 11))
    rival = f.make_slot(
        doctor, starts_at=slot_at(doctor, day(4), 11).starts_at + timedelta(minutes=30)
    )
    booked(rival)

    done = move(doctor, 3)

    assert [b.pk for b in done.moved] == [free.pk]
    assert [b.pk for b in done.stayed] == [taken.pk]
    assert_consistent()


# Proposed times


def propose(booking, slot):
    return reschedule.propose(
        booking_id=booking.pk,
        organization_id=booking.organization_id,
        slot_id=slot.pk,
        actor=STAFF,
        now=NOW,
    )


@pytest.mark.parametrize(
    "then",
    [
        {},
        {"then": "cancel", "reason": ROOF},
        {"then": "move", "move_by_days": 2, "reason": ROOF},
    ],
    ids=["kept", "cancelled", "moved"],
)
def test_a_proposal_ends_when_its_day_is_closed_and_its_booking_stays_where_it_is(room, then):
    booking = booked(slot_at(room, day(3), 11))
    proposal = propose(booking, slot_at(room, day(5), 11))

    done = close(room, 5, **then)

    assert (done.affected, done.cancelled, done.moved, done.stayed) == ([], [], [], [])
    proposal.refresh_from_db()
    booking.refresh_from_db()
    stand_in = Booking.objects.get(pk=proposal.stand_in_id)
    assert (proposal.status, stand_in.status) == ("expired", "expired")
    assert (booking.status, booking.slot_id) == ("confirmed", slot_at(room, day(3), 11).pk)
    assert set(told("booking.proposal_expired")) == {str(booking.pk)}
    assert Slot.objects.get(pk=stand_in.slot_id).taken_bookings == 0
    assert_follows(room)


def test_who_is_cancelled_gives_back_the_proposed_time_as_well(room):
    booking = booked(slot_at(room, day(3), 11))
    target = slot_at(room, day(5), 11)
    propose(booking, target)

    close(room, 3, then="cancel", reason=ROOF)

    booking.refresh_from_db()
    target.refresh_from_db()
    assert booking.status == "cancelled"
    assert (target.status, target.taken_bookings) == ("open", 0)
    assert Proposal.objects.get().status == "withdrawn"
    assert_consistent()


def test_who_has_not_answered_a_proposal_is_not_moved(room):
    booking = booked(slot_at(room, day(3), 11))
    propose(booking, slot_at(room, day(5), 11))

    done = move(room, 3)

    assert [b.pk for b in done.stayed] == [booking.pk]
    booking.refresh_from_db()
    assert booking.status == "reschedule_proposed"
    assert Slot.objects.get(pk=booking.slot_id).status == "legacy"
    assert booking.slot.starts_at.date() == day(3)
    assert_consistent()


# However many


@pytest.mark.parametrize("then", ["keep", "cancel"])
def test_the_number_of_statements_does_not_depend_on_the_number_of_people(then):
    counts = []
    for people in (1, 20):
        room = timetable.room()
        change(room, rule(max_bookings=9, max_units=9))
        for number in range(people):
            booking = booked(slot_at(room, day(3), 9 + number % 7))
            if number < people / 2:
                propose(booking, slot_at(room, day(5), 9 + number % 7))
        OutboxEvent.objects.all().delete()
        with CaptureQueriesContext(connection) as captured:
            done = close(room, 3, then=then, reason=ROOF if then == "cancel" else "")
        assert len(done.affected) == people
        assert len(done.cancelled) == (people if then == "cancel" else 0)
        counts.append(len(captured))

    assert counts[0] == counts[1]
