"""Closing days concerns everybody who is booked on them, whatever slot they are in (B1, B2)."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from audit.models import OutboxEvent
from bookings.errors import NoProposal, PlanChanged
from bookings.models import Booking, Resource, ScheduleException, Slot
from bookings.services import closings, moving, regenerating, reschedule
from bookings.services import slots as slot_services
from bookings.services.free_times import FreeTime
from payments.services import checkout, desk
from tests import factories as f
from tests import timetable
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
    regenerate,
    rule,
    slot_at,
    withdraw,
)

pytestmark = pytest.mark.django_db

FRIDAY = TODAY + 4 * DAY
MINUTE = timedelta(minutes=1)
CANCEL: Any = {"then": "cancel", "reason": "The roof leaks."}


@pytest.fixture
def room():
    made = timetable.room(exclusive=False)
    change(made, rule(max_bookings=3, max_units=6))
    return made


def by_hand(room, hour=20, **fields):
    start = datetime.combine(FRIDAY, time(hour), UTC)
    return f.make_slot(room, starts_at=start, max_bookings=3, **fields)


def close_friday(room, **kwargs):
    return add(room, closed(room, FRIDAY), **kwargs)


def open_by_hand(slot, *, now=NOW):
    slot_services.open_slots(slot_ids=[slot.pk], actor=STAFF, reason="a wedding", now=now)


def fresh(row):
    row.refresh_from_db()
    return row


def test_who_was_kept_by_an_earlier_change_is_cancelled_with_the_others(room):
    kept = booked(slot_at(room, FRIDAY, 9))
    change(room, rule(from_time=time(10), max_bookings=3, max_units=6))
    assert fresh(kept.slot).status == "legacy"

    done = close_friday(room, **CANCEL)

    assert done.cancelled == [kept]
    assert fresh(kept).status == "cancelled"
    assert_follows(room)


def test_a_slot_made_by_hand_is_closed_with_its_day_and_its_people_are_asked_about(room):
    empty, used = by_hand(room, 19), by_hand(room, 21)
    booking = booked(used)
    said = closings.preview_exceptions(resources=[room], exceptions=[closed(room, FRIDAY)], now=NOW)

    done = close_friday(room, seen=said.seen, **CANCEL)

    assert said.affected == done.affected == [booking]
    assert said.counts()["shut"] == done.counts()["shut"] == 2
    assert [fresh(s).status for s in (empty, used)] == ["closed", "closed"]
    assert fresh(booking).status == "cancelled"
    assert_follows(room)


def test_people_in_a_slot_made_by_hand_may_stay_in_it(room):
    used = by_hand(room)
    booking = booked(used)

    done = close_friday(room)

    assert (done.affected, done.cancelled) == ([booking], [])
    assert (fresh(booking).status, fresh(used).status) == ("confirmed", "closed")
    assert_consistent()


def test_what_was_shut_opens_again_with_its_day_and_what_staff_closed_does_not(room):
    shut, closed_before = by_hand(room, 19), by_hand(room, 21)
    slot_services.close_slots(slot_ids=[closed_before.pk], actor=STAFF, reason="a leak", now=NOW)
    close_friday(room)
    [exception] = ScheduleException.objects.values_list("pk", flat=True)

    withdraw(room, [exception])

    assert [fresh(s).status for s in (shut, closed_before)] == ["open", "closed"]
    assert_follows(room)


def test_staff_open_a_slot_on_a_closed_day_and_it_stays_open(room):
    slot = by_hand(room)
    close_friday(room)

    open_by_hand(slot)
    regenerate(room)

    assert fresh(slot).status == "open"
    assert_follows(room)


def test_a_closing_made_after_staff_opened_a_slot_shuts_it_again_and_its_withdrawal_opens_it(room):
    slot = by_hand(room)
    close_friday(room)
    open_by_hand(slot, now=NOW + MINUTE)
    late = NOW + timedelta(hours=1)
    holiday = closed(room, FRIDAY, kind="holiday")
    said = closings.preview_exceptions(resources=[room], exceptions=[holiday], now=late)

    done = add(room, holiday, seen=said.seen, now=late)

    assert said.counts()["shut"] == done.counts()["shut"] == 1
    assert fresh(slot).status == "closed"
    assert_follows(room)

    withdraw(room, [holiday.pk], now=late + MINUTE)

    assert fresh(slot).status == "open"  # what it was opened in spite of does not count
    assert_follows(room)


def test_staff_may_open_a_slot_once_more_after_another_closing(room):
    slot = by_hand(room)
    for hour in range(3):
        now = NOW + timedelta(hours=hour)
        close_friday(room, now=now)
        assert fresh(slot).status == "closed"

        open_by_hand(slot, now=now + MINUTE)
        regenerate(room)
        assert fresh(slot).status == "open"
        assert_follows(room)


def test_what_staff_close_after_opening_it_is_meant_no_more(room):
    slot = by_hand(room)
    close_friday(room)
    open_by_hand(slot, now=NOW + MINUTE)
    assert fresh(slot).opened_at == NOW + MINUTE

    slot_services.close_slots(slot_ids=[slot.pk], actor=STAFF, reason="no", now=NOW + 2 * MINUTE)

    assert (fresh(slot).opened_at, slot.status) == (None, "closed")
    assert_follows(room)


def test_what_staff_had_closed_before_the_day_was_and_open_afterwards_stays_open(room):
    slot = by_hand(room)
    slot_services.close_slots(slot_ids=[slot.pk], actor=STAFF, reason="a leak", now=NOW)
    close_friday(room, now=NOW + MINUTE)

    open_by_hand(slot, now=NOW + 2 * MINUTE)
    regenerate(room)

    assert fresh(slot).status == "open"
    assert_follows(room)


def test_a_slot_of_the_schedule_that_staff_open_is_not_marked(room):
    slot = slot_at(room, FRIDAY, 9)
    slot_services.close_slots(slot_ids=[slot.pk], actor=STAFF, reason="a leak", now=NOW)

    open_by_hand(slot)

    assert (fresh(slot).status, slot.opened_at) == ("open", None)


def test_a_slot_made_on_a_closed_day_is_shut_by_a_later_closing(room):
    close_friday(room, now=NOW - timedelta(days=4000))  # longer ago than the slot below
    slot = by_hand(room)
    regenerate(room)
    assert fresh(slot).status == "open"

    close_friday(room)

    assert fresh(slot).status == "closed"
    assert_follows(room)


def test_a_slot_made_on_a_day_that_is_closed_already_is_meant(room):
    close_friday(room, now=NOW - timedelta(days=4000))  # longer ago than the slot below
    slot = by_hand(room)

    regenerate(room)

    assert fresh(slot).status == "open"


def test_extra_hours_on_a_closed_day_keep_what_was_made_by_hand_open(room):
    inside, outside = by_hand(room, 20), by_hand(room, 7)

    add(room, closed(room, FRIDAY), extra(room, FRIDAY, 19, 22))

    assert [fresh(s).status for s in (inside, outside)] == ["open", "closed"]


def test_what_closes_everything_closes_resources_that_have_only_slots_made_by_hand(room):
    other = timetable.room(exclusive=False, organization=room.organization)
    slot = by_hand(other)

    add(room, closed(None, FRIDAY))

    assert fresh(slot).status == "closed"
    assert_consistent()


def test_people_in_slots_made_by_hand_move_where_there_is_one_at_that_hour(room):
    booking = booked(by_hand(room))
    later = f.make_slot(
        room, starts_at=datetime.combine(FRIDAY + DAY, time(20), UTC), max_bookings=1
    )

    done = close_friday(room, then="move", move_by_days=1, reason="The roof leaks.")

    assert (done.moved, done.stayed) == ([booking], [])
    assert fresh(booking).slot_id == later.pk
    assert_consistent()


def test_moved_people_keep_their_price_and_are_told_so_where_it_is_another(room):
    f.PriceFactory(resource=room, amount=20)
    cheap = booked_for(room, 9)
    f.PriceFactory(resource=room, amount=35, weekdays=[6], priority=5)
    said = closings.preview_exceptions(resources=[room], exceptions=[closed(room, FRIDAY)], now=NOW)
    fit = moving.fitting(said, days=1, now=NOW)

    assert [b.pk for b, _slot in fit] == [cheap.pk]
    assert list(moving.what_is_said(fit)) == [cheap.pk]

    close_friday(room, then="move", move_by_days=1, reason="The roof leaks.")

    [event] = OutboxEvent.objects.filter(kind="booking.rescheduled")
    assert event.payload["price_stays"] == {"amount": "20.00", "currency": "EUR"}
    assert event.payload["new_price"] == {"amount": "35.00", "currency": "EUR"}
    line = Booking.history.filter(id=cheap.pk).latest("history_id")
    assert line.history_change_reason == "The roof leaks. (prices stay as they were agreed)"
    assert_consistent()


def booked_for(room, hour):
    slot = slot_at(room, FRIDAY, hour)
    made = f.check_out(timetable.somebody(room), slot, method="pay_on_arrival", now=NOW)
    f.approve(made)
    return Booking.objects.get(cart_item__transaction=made)


def test_closing_everything_and_opening_it_again_takes_the_statements_of_one_resource(room):
    def statements(act):
        with CaptureQueriesContext(connection) as queries:
            act()
        return [q["sql"] for q in queries]

    def both():
        holiday = closed(None, FRIDAY)
        closing = statements(lambda: add(room, holiday))
        assert Slot.objects.filter(status="open", starts_at__date=FRIDAY).count() == 0
        return closing, statements(lambda: withdraw(room, [holiday.pk]))

    few = both()
    for _number in range(3):
        another = timetable.room(exclusive=False, organization=room.organization)
        change(another, rule(max_bookings=3, max_units=6))
    many = both()

    assert Slot.objects.filter(status="open", starts_at__date=FRIDAY).count() == 4 * 8
    assert [len(some) for some in few] == [len(some) for some in many]
    for some in (*few, *many):  # the rules are read once
        assert len([sql for sql in some if 'FROM "bookings_schedulerule"' in sql]) == 1
    assert_consistent()


FAR = TODAY + 40 * DAY  # the horizon is ten days


def far_away(room, hour=20, **fields):
    start = datetime.combine(FAR, time(hour), UTC)
    return f.make_slot(room, starts_at=start, max_bookings=3, **fields)


def booked_by_staff(slot):
    """Customers cannot book so far ahead."""
    order = desk.book_for(
        organization=slot.organization,
        customer=timetable.somebody(slot.resource),
        slot_id=slot.pk,
        units=1,
        payment_method="pay_on_arrival",
        overriding="They asked nicely.",
        actor=STAFF,
        now=NOW,
    )
    booking = Booking.objects.select_related("slot").get(cart_item__transaction=order)
    assert booking.status == "confirmed"
    return booking


def test_a_closing_beyond_the_horizon_shuts_what_is_there_and_asks_about_its_people(room):
    empty, used = far_away(room, 19), far_away(room, 21)
    next_day = f.make_slot(room, starts_at=used.starts_at + DAY, max_bookings=3)
    booking = booked_by_staff(used)
    closing = closed(room, FAR)
    said = closings.preview_exceptions(resources=[room], exceptions=[closing], now=NOW)

    done = add(room, closing, seen=said.seen, **CANCEL)

    assert said.affected == done.affected == done.cancelled == [booking]
    assert said.counts()["shut"] == done.counts()["shut"] == 2
    assert [fresh(s).status for s in (empty, used, next_day)] == ["closed", "closed", "open"]
    assert fresh(booking).status == "cancelled"
    assert_follows(room)

    withdraw(room, [closing.pk])

    assert [fresh(s).status for s in (empty, used)] == ["open", "open"]
    assert_follows(room)


def test_people_beyond_the_horizon_move_with_the_others(room):
    booking = booked_by_staff(far_away(room))
    there = f.make_slot(room, starts_at=booking.slot.starts_at + DAY, max_bookings=1)

    done = add(room, closed(room, FAR), then="move", move_by_days=1, reason="The roof leaks.")

    assert (done.moved, done.stayed) == ([booking], [])
    assert fresh(booking).slot_id == there.pk
    assert_follows(room)


def test_people_whom_a_shorter_horizon_left_beyond_it_are_asked_about(room):
    kept = booked(slot_at(room, TODAY + 9 * DAY, 9))
    Resource.objects.filter(pk=room.pk).update(horizon_days=3)
    fresh(room)
    regenerate(room)
    assert fresh(kept.slot).status == "open"  # nobody says anything of that day yet

    done = add(room, closed(room, TODAY + 9 * DAY))

    assert done.affected == [kept]
    assert (fresh(kept).status, fresh(kept.slot).status) == ("confirmed", "legacy")
    assert_follows(room)


def test_a_free_time_beyond_the_horizon_is_left_alone_until_it_is_closed():
    court = timetable.room(exclusive=True, mode="free_times")
    change(court, rule(max_bookings=1, max_units=1))
    start = datetime.combine(FAR, time(10), UTC)
    free = f.make_slot(court, starts_at=start, source="free")
    booking = booked_by_staff(free)
    assert regenerate(court).counts()["retire"] == 0
    assert fresh(free).status == "open"

    done = add(court, closed(court, FAR), **CANCEL)

    assert done.cancelled == [booking]
    assert_consistent()


def test_the_night_shuts_what_is_beyond_the_horizon_when_nobody_did(room):
    """As after a closing that was written past the services."""
    slot = far_away(room)
    closing = closed(room, FAR, created_at=NOW, organization=room.organization)
    closing.save()
    [plan] = regenerating.preview(resources=[room], now=NOW).plans
    assert [there.id for there in plan.shut] == [slot.pk]

    regenerate(room, now=NOW + MINUTE)

    assert fresh(slot).status == "closed"
    assert_follows(room, now=NOW + MINUTE)


def test_moving_many_takes_the_statements_of_moving_few(room):
    taken = []
    for week, count in enumerate((2, 20)):
        day = TODAY + (3 + 3 * week) * DAY
        for n in range(count):
            booked(slot_at(room, day, 9 + n % 8))
        with CaptureQueriesContext(
            connection,
        ) as queries:
            done = add(room, closed(room, day), then="move", move_by_days=1, reason="x")
        assert len(done.moved) == count
        taken.append(len(queries))

    assert taken[0] == taken[1], taken
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


def told(kind):
    return [e.payload for e in OutboxEvent.objects.filter(kind=kind)]


@pytest.mark.parametrize("then", [{}, CANCEL], ids=["keep", "cancel"])
def test_what_was_proposed_in_a_slot_made_by_hand_ends_with_its_day(room, then):
    booking = booked(slot_at(room, FRIDAY + DAY, 10))
    stand_in = propose(booking, by_hand(room)).stand_in
    said = closings.preview_exceptions(resources=[room], exceptions=[closed(room, FRIDAY)], now=NOW)

    done = close_friday(room, seen=said.seen, **then)

    assert said.proposals == done.proposals == [stand_in]
    assert (said.affected, done.affected) == ([], [])
    assert (fresh(booking).status, fresh(stand_in).status) == ("confirmed", "expired")
    assert [(p["booking"]["id"], p["gone"]) for p in told("booking.proposal_expired")] == [
        (str(booking.pk), True)
    ]
    with pytest.raises(NoProposal), transaction.atomic():
        reschedule.accept(
            booking_id=booking.pk,
            organization_id=booking.organization_id,
            actor=f.actor_of(booking.customer),
            now=NOW,
        )
    assert_follows(room)


def test_a_proposal_made_since_the_preview_is_not_ended_unseen(room):
    booking = booked(slot_at(room, FRIDAY + DAY, 10))
    slot = by_hand(room)
    said = closings.preview_exceptions(resources=[room], exceptions=[closed(room, FRIDAY)], now=NOW)
    propose(booking, slot)

    with pytest.raises(PlanChanged), transaction.atomic():
        close_friday(room, seen=said.seen)

    assert fresh(booking).status == "reschedule_proposed"


def test_who_is_moved_or_cancelled_with_the_proposal_is_told_so_and_nothing_else(room):
    going = booked(slot_at(room, FRIDAY, 10))
    propose(going, by_hand(room))
    staying = booked(by_hand(room, 18))  # nothing is offered at that hour a day later
    propose(staying, by_hand(room, 21))
    said = closings.preview_exceptions(resources=[room], exceptions=[closed(room, FRIDAY)], now=NOW)
    assert [b.pk for b, _slot in moving.fitting(said, days=1, now=NOW)] == [going.pk]

    done = close_friday(room, then="move", move_by_days=1, reason="The roof leaks.")

    assert (done.moved, done.stayed) == ([going], [staying])
    assert [p["booking"]["id"] for p in told("booking.proposal_expired")] == [str(staying.pk)]
    assert [p["booking"]["id"] for p in told("booking.rescheduled")] == [str(going.pk)]

    add(room, closed(room, FRIDAY + DAY), **CANCEL)

    assert fresh(going).status == "cancelled"
    assert_follows(room)


# Moving together


def test_who_moves_together_stays_as_long_as_before_or_stays(room):
    """Of slots that start together the one of the same length is meant, not the shortest."""
    change(
        room,
        rule(from_time=time(9), until_time=time(11), slot_minutes=120),
        rule(from_time=time(9), until_time=time(10), slot_minutes=30),
    )
    long, short = Slot.objects.filter(
        resource=room, status="open", starts_at=datetime.combine(FRIDAY, time(9), UTC)
    ).order_by("-ends_at")
    moving_on, too_long = booked(long), booked(short)
    change(
        room,
        rule(from_time=time(9), until_time=time(11), slot_minutes=120),
        valid_from=FRIDAY + DAY,
    )

    done = close_friday(room, then="move", move_by_days=1, reason="The roof leaks.")

    assert (done.moved, done.stayed) == ([moving_on], [too_long])
    slot = fresh(moving_on).slot
    assert (slot.starts_at.date(), slot.ends_at - slot.starts_at) == (
        FRIDAY + DAY,
        timedelta(hours=2),
    )
    assert_consistent()


def free_court(**fields):
    court = timetable.room(exclusive=True, mode="free_times", **fields)
    hours = {"buffer_after_minutes": 10, "max_bookings": 1, "max_units": 4}
    change(court, rule(**hours))
    return court


def at_free_time(court, day, hour, minutes=60):
    start = datetime.combine(day, time(hour), UTC)
    order = checkout.book(
        organization=court.organization,
        customer=timetable.somebody(court),
        slot_id=FreeTime(court.pk, start, minutes),
        units=1,
        payment_method="pay_on_arrival",
        actor=STAFF,
        now=NOW,
    )
    return Booking.objects.select_related("slot").get(cart_item__transaction=order)


def test_who_is_booked_at_free_times_moves_together_where_it_is_open_and_free():
    court = free_court()
    moves = [at_free_time(court, FRIDAY, 9), at_free_time(court, FRIDAY, 13, 90)]
    taken = at_free_time(court, FRIDAY, 11)
    at_free_time(court, FRIDAY + DAY, 11, 30)
    shut = at_free_time(court, FRIDAY, 15)
    add(court, closed(court, FRIDAY + DAY, from_time=time(15), until_time=time(16)))
    said = closings.preview_exceptions(
        resources=[court], exceptions=[closed(court, FRIDAY)], now=NOW
    )
    fit = moving.fitting(said, days=1, now=NOW)

    done = add(
        court, closed(court, FRIDAY), seen=said.seen, then="move", move_by_days=1, reason="Rain."
    )

    assert [b for b, _slot in fit] == done.moved == moves
    assert done.stayed == [taken, shut]
    for booking in moves:
        before, slot = booking.slot, fresh(booking).slot
        assert (slot.starts_at, slot.ends_at) == (before.starts_at + DAY, before.ends_at + DAY)
        assert slot.busy_until - slot.ends_at == timedelta(minutes=10)
        assert (slot.source, slot.status) == ("free", "open")
    # Nothing was made for nobody.
    assert not Slot.objects.filter(starts_at__date=FRIDAY + DAY, taken_bookings=0).exists()
    assert_consistent()


def test_moving_many_free_times_takes_the_statements_of_moving_few():
    taken = []
    for count in (1, 7):
        court = free_court()
        for hour in range(count):
            at_free_time(court, FRIDAY, 9 + hour, 45)
        with CaptureQueriesContext(connection) as queries:
            done = add(court, closed(court, FRIDAY), then="move", move_by_days=1, reason="Rain.")
        assert len(done.moved) == count
        taken.append(len(queries))

    assert taken[0] == taken[1]
