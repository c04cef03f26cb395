"""Schedules that change while people book, cancel and come, on real connections (B2, B4, B5, D7).

Each race is run at its worst moment by two, and a control shows the harm without what protects;
then freely by many.
"""

import threading
from contextlib import contextmanager
from datetime import timedelta
from unittest import mock

import pytest
from django.db import IntegrityError

from audit.errors import DomainError, constraint_name, translate
from audit.models import OutboxEvent
from bookings import codes, locks, selectors_schedules, slot_rows
from bookings.models import Booking, Schedule, Slot
from bookings.services import bookings, check_in, regenerating, reschedule, resources
from bookings.services import slots as slot_services
from payments.services import cancellation
from tests import factories as f
from tests import timetable
from tests.concurrency import interleave, locks_off, lost, race, without, won
from tests.invariants import assert_consistent, problems
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
    rule,
    slot_at,
    slots,
    somebody,
)

pytestmark = pytest.mark.django_db(transaction=True)

ONE = {"max_bookings": 1, "max_units": 1}
FRIDAY = TODAY + 4 * DAY


def open_room(**fields):
    """Open from nine to five, one place an hour."""
    made = timetable.room(**{"exclusive": False, "horizon_days": 5, **fields})
    change(made, rule(**ONE))
    return made


@pytest.fixture
def room():
    return open_room()


def hold(slot, customer=None):
    customer = customer or somebody(slot.resource)
    return lambda: f.hold(customer, slot, now=NOW)


def close_down(room):
    """No slot fits any more."""
    return lambda: change(room)


def cancel(booking):
    return lambda: cancellation.cancel_booking(
        booking_id=booking.pk,
        organization_id=booking.organization_id,
        actor=STAFF,
        reason="ill",
        now=NOW,
    )


def close_friday(room, **kwargs):
    return lambda: add(room, closed(room, FRIDAY), **kwargs)


CANCELS = {"then": "cancel", "reason": "The roof leaks."}


@contextmanager
def slots_unlocked():
    """Regeneration locks no slots, and nobody else does."""
    with mock.patch.object(slot_rows, "lock"), locks_off():
        yield


# The last seat of a slot that goes


def test_who_is_taking_a_seat_keeps_it_and_the_slot_becomes_legacy(room):
    slot = slot_at(room, FRIDAY, 11)

    taken, done = interleave(hold(slot), after=(locks, "slot"), second=close_down(room))

    assert [b.pk for b in done.affected] == [taken.pk]
    assert [(s.pk, s.status, s.taken_bookings) for s in slots(room)] == [(slot.pk, "legacy", 1)]
    assert_follows(room)


def test_who_comes_while_the_slot_is_being_deleted_is_told_that_it_is_gone(room):
    slot = slot_at(room, FRIDAY, 11)

    done, refused = interleave(close_down(room), after=(slot_rows, "lock"), second=hold(slot))

    assert done.counts()["delete"] == 48
    assert refused.code == "not_found"
    assert slots(room) == []
    assert not Booking.objects.exists()
    assert_follows(room)


def test_who_comes_while_the_slot_is_being_archived_is_told_that_it_is_gone(room):
    slot = slot_at(room, FRIDAY, 11)
    cancel(hold(slot)())()

    done, refused = interleave(close_down(room), after=(slot_rows, "lock"), second=hold(slot))

    assert done.counts()["archive"] == 1
    assert refused.code == "slot_gone"
    assert [(s.pk, s.status, s.taken_bookings) for s in slots(room)] == [(slot.pk, "legacy", 0)]
    assert_follows(room)


def test_control_without_locks_who_books_makes_the_new_schedule_fail(room):
    slot = slot_at(room, FRIDAY, 11)

    with slots_unlocked():
        failed, taken = interleave(close_down(room), after=(slot_rows, "retire"), second=hold(slot))

    assert isinstance(taken, Booking)
    assert isinstance(failed, IntegrityError)
    assert Schedule.objects.count() == 1


def test_control_without_locks_somebody_new_comes_into_a_legacy_slot(room):
    """The plan says that the slot is empty and had people; somebody is in it by then."""
    slot = slot_at(room, FRIDAY, 11)
    cancel(hold(slot)())()

    with slots_unlocked():
        done, taken = interleave(close_down(room), after=(slot_rows, "change"), second=hold(slot))

    assert isinstance(taken, Booking)
    assert done.affected == []  # nobody was told, asked or counted
    assert done.counts()["archive"] == 1


def test_however_they_meet_a_seat_is_kept_or_refused_and_nothing_is_half_done(room):
    wanted = [slot_at(room, FRIDAY, hour) for hour in (9, 10)]
    people = [somebody(room) for _ in range(8)]

    outcomes = race(
        *[hold(wanted[i % 2], p) for i, p in enumerate(people)],
        close_down(room),
        lambda: regenerate(room),
    )

    assert all(isinstance(o, DomainError) for o in lost(outcomes)), outcomes
    assert {o.code for o in lost(outcomes)} <= {"slot_full", "slot_gone", "not_found"}
    taken = [o for o in won(outcomes) if isinstance(o, Booking)]
    assert len(taken) + len(lost(outcomes)) == 8
    assert {(s.pk, s.status) for s in slots(room)} == {(b.slot_id, "legacy") for b in taken}
    assert_follows(room)


def test_a_capacity_is_not_lowered_below_who_is_just_coming():
    room = timetable.room()
    change(room, rule(max_bookings=3, max_units=3))
    slot = slot_at(room, FRIDAY, 11)
    hold(slot)()

    taken, _done = interleave(
        hold(slot), after=(locks, "slot"), second=lambda: change(room, rule(**ONE))
    )

    assert isinstance(taken, Booking)
    slot.refresh_from_db()
    assert (slot.taken_bookings, slot.max_bookings, slot.max_units) == (2, 2, 2)
    assert_follows(room)


def test_control_without_locks_the_constraint_refuses_the_lower_capacity():
    room = timetable.room()
    change(room, rule(max_bookings=3, max_units=3))
    slot = slot_at(room, FRIDAY, 11)
    hold(slot)()

    with slots_unlocked():
        failed, taken = interleave(
            lambda: change(room, rule(**ONE)), after=(regenerating, "people_in"), second=hold(slot)
        )

    assert isinstance(taken, Booking)
    assert isinstance(failed, IntegrityError)
    assert constraint_name(failed) in {
        "bookings_slot_bookings_within_capacity",
        "bookings_slot_units_within_capacity",
    }


# A slot made by hand that staff open while its day is closed once more


def shut_slot(room):
    """Made by hand, on a day that was closed afterwards."""
    slot = f.make_slot(room, starts_at=slot_at(room, FRIDAY, 16).ends_at)
    add(room, closed(room, FRIDAY))
    assert timetable.statuses([slot]) == ["closed"]
    return slot


def opening(slot, now):
    return lambda: slot_services.open_slots(
        slot_ids=[slot.pk], actor=STAFF, reason="a wedding", now=now
    )


def closing_again(room, now):
    return lambda: add(room, closed(room, FRIDAY), now=now)


LOOKED = r'MAX\("bookings_scheduleexception"."created_at"\)'
SOON, LATER = NOW + timedelta(minutes=1), NOW + timedelta(minutes=2)


def test_a_closing_waits_for_who_opens_a_slot_and_shuts_it(room):
    slot = shut_slot(room)

    interleave(opening(slot, SOON), after=LOOKED, second=closing_again(room, LATER))

    assert timetable.statuses([slot]) == ["closed"]
    assert_follows(room, now=LATER)


def test_who_opens_a_slot_waits_for_a_closing_and_means_it_in_spite_of_that(room):
    slot = shut_slot(room)

    interleave(closing_again(room, LATER), after=(locks, "planning"), second=opening(slot, SOON))

    assert timetable.statuses([slot]) == ["open"]
    assert_follows(room, now=LATER)


def test_control_without_taking_turns_the_slot_stays_open_although_it_was_closed_later(room):
    slot = shut_slot(room)

    with slots_unlocked():
        interleave(opening(slot, SOON), after=LOOKED, second=closing_again(room, LATER))

    assert timetable.statuses([slot]) == ["open"]
    [plan] = regenerating.preview(resources=[room], now=LATER).plans
    assert [there.id for there in plan.shut] == [slot.pk]


# Schedules against each other


def two_versions(room):
    return interleave(
        lambda: change(room, rule()),
        after=r'SELECT MAX\("bookings_schedule"."number"\)',
        second=lambda: change(room, rule(slot_minutes=30)),
    )


def test_two_who_change_a_schedule_do_it_one_after_the_other(room):
    first, second = two_versions(room)

    assert not isinstance(first, Exception)
    assert not isinstance(second, Exception)
    versions = Schedule.objects.filter(resource=room).order_by("number")
    assert [(v.number, v.rules.get().slot_minutes) for v in versions] == [(1, 60), (2, 60), (3, 30)]
    assert_follows(room)


def test_without_the_lock_the_constraint_refuses_the_second_version(room):
    with slots_unlocked():
        first, second = two_versions(room)

    assert not isinstance(second, Exception)
    assert constraint_name(first) == "bookings_schedule_version_is_unique"
    assert Schedule.objects.filter(resource=room).count() == 2


def test_control_without_lock_and_constraint_two_versions_have_one_number(room):
    with without("bookings_schedule_version_is_unique"), slots_unlocked():
        two_versions(room)

        numbers = Schedule.objects.filter(resource=room).values_list("number", flat=True)
        assert sorted(numbers) == [1, 2, 2]


@pytest.mark.parametrize("first", ["change", "regenerate"])
def test_a_change_and_a_regeneration_wait_for_each_other(room, first):
    Slot.objects.filter(pk=slot_at(room, FRIDAY, 11).pk).delete()  # so that there is work
    acts = [lambda: change(room, rule(slot_minutes=30)), lambda: regenerate(room)]
    if first == "regenerate":
        acts.reverse()

    outcomes = interleave(acts[0], after=(slot_rows, "create"), second=acts[1])

    assert lost(outcomes) == []
    assert_follows(room)


def test_regenerations_that_run_together_make_each_slot_once(room):
    Slot.objects.filter(resource=room).delete()

    outcomes = race(*[lambda: regenerate(room)] * 5)

    assert lost(outcomes) == []
    assert sorted(o.counts()["create"] for o in outcomes) == [0, 0, 0, 0, 48]
    assert_follows(room)


def test_changes_closings_and_regenerations_of_two_resources_never_deadlock():
    organization = f.OrganizationFactory()
    rooms = [open_room(organization=organization) for _ in range(2)]

    outcomes = race(
        *[lambda r=r: change(r, rule(slot_minutes=30, **ONE)) for r in rooms],
        *[lambda r=r: regenerate(r) for r in reversed(rooms)],
        *[lambda d=d: add(rooms[0], closed(None, TODAY + d * DAY)) for d in (2, 3)],
        *[hold(slot_at(r, FRIDAY, 11)) for r in rooms],
    )

    assert all(getattr(o, "code", o) in ("slot_gone", "not_found") for o in lost(outcomes))
    for room in rooms:
        regenerate(room)
    assert_follows(*rooms)


# People who leave, come or run out of time meanwhile


def test_who_cancels_while_the_slot_is_retired_leaves_it_empty(room):
    slot = slot_at(room, FRIDAY, 11)
    booking = booked(slot)

    gone, done = interleave(
        cancel(booking), after=(locks, "slot_and_booking"), second=close_down(room)
    )

    assert gone.status == "cancelled"
    assert done.affected == []
    assert (done.counts()["archive"], done.counts()["retire"]) == (1, 0)
    assert_follows(room)


def test_who_cancels_right_after_the_slot_was_retired_still_can(room):
    booking = booked(slot_at(room, FRIDAY, 11))

    done, gone = interleave(close_down(room), after=(slot_rows, "lock"), second=cancel(booking))

    assert [b.pk for b in done.affected] == [booking.pk]
    assert gone.status == "cancelled"
    assert_follows(room)


@pytest.mark.parametrize("first", ["regeneration", "check-in"])
def test_people_come_in_while_their_slot_becomes_legacy(room, first):
    slot = slot_at(room, FRIDAY, 11)
    booking = booked(slot)

    def arrive():
        return check_in.check_in(
            code=codes.derive(booking.pk, bytes(booking.check_in_code.nonce)),
            organization_ids=None,
            actor=STAFF,
            now=slot.starts_at,
        )

    if first == "regeneration":
        outcomes = interleave(close_down(room), after=(slot_rows, "retire"), second=arrive)
    else:
        outcomes = interleave(arrive, after=(locks, "check_in_code"), second=close_down(room))

    assert lost(outcomes) == []
    booking.refresh_from_db()
    slot.refresh_from_db()
    assert (booking.status, slot.status, slot.taken_bookings) == ("checked_in", "legacy", 1)
    assert_follows(room)


def sweep(now):
    return lambda: bookings.expire_holds(actor=f.SYSTEM, now=now)


def test_a_sweep_passes_over_slots_that_are_being_retired_and_takes_them_next_time(room):
    held = hold(slot_at(room, FRIDAY, 11))()
    later = NOW + timedelta(hours=1)

    done, passed_over = interleave(close_down(room), after=(slot_rows, "lock"), second=sweep(later))

    assert [b.pk for b in done.affected] == [held.pk]
    assert passed_over == 0
    assert sweep(later)() == 1
    assert_follows(room)


def test_a_regeneration_waits_for_a_sweep_and_sees_what_it_freed(room):
    hold(slot_at(room, FRIDAY, 11))()

    expired, done = interleave(
        sweep(NOW + timedelta(hours=1)), after=(locks, "overdue_holds"), second=close_down(room)
    )

    assert expired == 1
    assert done.affected == []
    assert done.counts()["archive"] == 1
    assert_follows(room)


# Closing a day and cancelling


def letters():
    return OutboxEvent.objects.filter(kind="booking.cancelled").count()


def test_who_cancels_while_the_day_is_closed_is_told_once_that_it_is_off(room):
    booking = booked(slot_at(room, FRIDAY, 11))

    done, late = interleave(
        close_friday(room, **CANCELS), after=(slot_rows, "lock"), second=cancel(booking)
    )

    assert [b.pk for b in done.cancelled] == [booking.pk]
    assert late.code == "booking_over"
    assert letters() == 1
    assert_follows(room)


def test_a_closing_does_not_cancel_who_has_just_cancelled(room):
    booking = booked(slot_at(room, FRIDAY, 11))

    gone, done = interleave(
        cancel(booking),
        after=(locks, "slot_and_booking"),
        second=close_friday(room, **CANCELS),
    )

    assert gone.ended_reason == "ill"
    assert done.cancelled == []
    assert letters() == 1
    assert_follows(room)


def test_control_without_locks_a_closing_and_a_cancellation_end_in_a_deadlock(room):
    booking = booked(slot_at(room, FRIDAY, 11))

    with slots_unlocked():
        outcomes = interleave(
            close_friday(room, **CANCELS),
            after=(locks, "bookings_of_orders"),
            second=cancel(booking),
        )

    assert "deadlock" in str(lost(outcomes))


@pytest.fixture(params=["before", "after"])
def proposed(room, request):
    """A booking on Friday, and a time proposed for it, before or after it in the order of locks."""
    by_key = sorted(slots(room), key=lambda s: s.pk)
    if request.param == "after":
        by_key.reverse()
    other = next(s for s in by_key if s.starts_at.date() != FRIDAY)
    own = next(s for s in reversed(by_key) if s.starts_at.date() == FRIDAY)
    booking = booked(own)
    proposal = reschedule.propose(
        booking_id=booking.pk,
        organization_id=booking.organization_id,
        slot_id=other.pk,
        actor=STAFF,
        now=NOW,
    )
    return booking, proposal


def accept(booking):
    return lambda: reschedule.accept(
        booking_id=booking.pk, organization_id=booking.organization_id, actor=STAFF, now=NOW
    )


def test_a_customer_accepts_another_time_while_the_old_one_is_cancelled(room, proposed):
    booking, proposal = proposed

    done, late = interleave(
        close_friday(room, **CANCELS), after=(slot_rows, "lock"), second=accept(booking)
    )

    assert [b.pk for b in done.cancelled] == [booking.pk]
    assert late.code == "no_proposal"
    booking.refresh_from_db()
    assert booking.status == "cancelled"
    assert Slot.objects.get(pk=proposal.stand_in.slot_id).taken_bookings == 0
    assert_follows(room)


def test_who_has_just_accepted_another_time_is_not_cancelled(room, proposed):
    booking, proposal = proposed

    accepted, done = interleave(
        accept(booking), after=(locks, "slot_and_booking"), second=close_friday(room, **CANCELS)
    )

    assert accepted.status == "confirmed"
    assert done.cancelled == []
    booking.refresh_from_db()
    assert (booking.status, booking.slot_id) == ("confirmed", proposal.stand_in.slot_id)


def test_control_without_the_proposed_slot_s_lock_one_order_ends_in_a_deadlock(room, proposed):
    booking, proposal = proposed
    mine, around = threading.get_ident(), locks.slots_around

    def forgetful(condition, stand_ins):
        found = around(condition, stand_ins)
        return found - {proposal.stand_in.slot_id} if threading.get_ident() == mine else found

    with mock.patch.object(locks, "slots_around", forgetful):
        outcomes = interleave(
            close_friday(room, **CANCELS), after=(slot_rows, "lock"), second=accept(booking)
        )

    theirs_comes_first = proposal.stand_in.slot_id < booking.slot_id
    assert ("deadlock" in str(lost(outcomes))) == theirs_comes_first
    assert_consistent()


# What a resource is made of changes while somebody books


@pytest.fixture
def club():
    """A hall with people at eleven on Friday, and a court that is free then."""
    hall = open_room(exclusive=True)
    court = open_room(exclusive=True, organization=hall.organization)
    return hall, court


def compose(hall, *parts):
    return lambda: resources.compose(
        resource_id=hall.pk,
        organization_id=hall.organization_id,
        part_ids=[p.pk for p in parts],
        pool_ids=[],
        actor=STAFF,
        now=NOW,
    )


def test_a_court_that_is_being_booked_does_not_become_part_of_a_hall_with_people(club):
    hall, court = club
    booked(slot_at(hall, FRIDAY, 11))

    taken, refused = interleave(
        hold(slot_at(court, FRIDAY, 11)),
        after=(locks, "take_in_turn"),
        second=compose(hall, court),
    )

    assert isinstance(taken, Booking)
    assert refused.code == "resource_taken"
    hall.refresh_from_db()
    assert hall.parts == []
    assert_follows(hall, court)


def compose_while_the_court_is_wanted(hall, court):
    booked(slot_at(hall, FRIDAY, 11))
    return interleave(
        compose(hall, court),
        after=(locks, "occupied"),
        second=hold(slot_at(court, FRIDAY, 11)),
    )


def test_who_wants_a_court_that_becomes_part_of_a_hall_with_people_is_told(club):
    done, refused = compose_while_the_court_is_wanted(*club)

    assert done.parts == [club[1].number]
    assert refused.code == "resource_taken"
    assert_follows(*club)


def test_without_turns_the_constraint_refuses_what_comes_second(club):
    with locks_off():
        failed, taken = compose_while_the_court_is_wanted(*club)

    assert isinstance(taken, Booking)
    assert constraint_name(failed) == "bookings_occupancy_never_overlaps"
    assert_follows(*club)


def test_control_without_turns_and_constraint_the_court_is_taken_twice(club):
    with without("bookings_occupancy_never_overlaps"), locks_off():
        outcomes = compose_while_the_court_is_wanted(*club)

        assert lost(outcomes) == []
        assert problems() != {}


def enter_the_hall_while_it_is_composed(hall, court):
    booked(slot_at(court, FRIDAY, 11))
    return interleave(
        compose(hall, court),
        after=(locks, "slots_to_come"),
        second=hold(slot_at(hall, FRIDAY, 11)),
    )


def test_who_comes_into_a_hall_takes_what_it_is_made_of_by_then(club):
    done, refused = enter_the_hall_while_it_is_composed(*club)

    assert done.parts == [club[1].number]
    assert refused.code == "resource_taken"
    assert_follows(*club)


def test_without_locks_the_database_lets_no_slot_follow_that_somebody_came_into(club):
    with locks_off():
        failed, taken = enter_the_hall_while_it_is_composed(*club)

    assert isinstance(taken, Booking)
    assert constraint_name(failed) == "bookings_slot_with_people_keeps_its_time"
    assert_follows(*club)


def test_control_without_locks_and_that_somebody_is_in_the_hall_but_has_not_its_court(club):
    with without("bookings_slot.match_composition"), locks_off():
        _done, taken = enter_the_hall_while_it_is_composed(*club)

        assert isinstance(taken, Booking)
        assert "an occupancy is missing, left over or for another time" in problems()


def test_slots_made_while_a_hall_is_put_together_take_its_courts(club):
    hall, court = club

    outcomes = interleave(
        lambda: change(hall, rule(slot_minutes=30, **ONE)),
        after=(slot_rows, "create"),
        second=compose(hall, court),
    )

    assert lost(outcomes) == []
    assert {tuple(s.parts) for s in slots(hall)} == {(court.number,)}
    assert_follows(hall, court)


def test_two_links_at_once_close_no_circle(club):
    hall, court = club

    done, refused = interleave(
        compose(hall, court), after=(resources, "_relink"), second=compose(court, hall)
    )

    assert done.parts == [court.number]
    assert translate(refused).code == "made_in_circles"
    court.refresh_from_db()
    assert court.parts == []
    assert_follows(hall, court)


def a_first_schedule_while_everything_is_closed_on_friday():
    """Neither sees the rows of the other: one makes the slots of a resource that has had none."""
    room = timetable.room(exclusive=False, horizon_days=5)
    outcomes = interleave(
        lambda: change(room, rule(**ONE)),
        after=(slot_rows, "create"),
        second=lambda: add(room, closed(None, FRIDAY)),
    )
    assert lost(outcomes) == []
    return room


def test_what_closes_everything_waits_for_a_first_schedule_that_is_being_made():
    room = a_first_schedule_while_everything_is_closed_on_friday()

    assert slots(room, starts_at__date=FRIDAY) == []
    assert_follows(room)


def test_control_without_waiting_a_new_resource_is_open_on_a_day_that_is_closed(monkeypatch):
    monkeypatch.setattr(locks, "schedules_of", lambda *args, **kwargs: None)
    room = a_first_schedule_while_everything_is_closed_on_friday()

    assert len(slots(room, starts_at__date=FRIDAY)) == 8
    assert not selectors_schedules.out_of_date().exists()  # and nobody would notice until the night
