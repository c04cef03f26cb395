"""Whatever fails while a schedule changes, and wherever: all of it happened, or none (B1, B2, B5).

As for the other operations (tests/payments/test_failures.py): each is run again and again, and
fails at its first statement, its second, and so on until it comes through. After each failure
every table is as it was.
"""

from contextlib import suppress

import pytest
from django.db import InterfaceError, OperationalError, connection

from audit.models import OutboxEvent
from bookings import signals
from bookings.models import Booking, Schedule, Slot
from bookings.services import reschedule, resources, schedules
from bookings.services import slots as slot_services
from tests import factories as f
from tests.faults import at_commit, cut_connection, raising, striking
from tests.invariants import assert_consistent, everything
from tests.timetable import (
    DAY,
    NOW,
    STAFF,
    TODAY,
    add,
    booked,
    change,
    closed,
    extra,
    regenerate,
    room,
    rule,
    slot_at,
    slots,
    somebody,
    withdraw,
)

pytestmark = pytest.mark.django_db(transaction=True)

MOST_STATEMENTS = 120
FRIDAY = TODAY + 4 * DAY


def state():
    """Everything there is but for the alert about the failure."""
    found = everything()
    found["audit_outboxevent"] = [
        e for e in found["audit_outboxevent"] if "operation.failed" not in e
    ]
    return found


def busy_room():
    """Something of everything: people, a hold, a past, a proposal, and a slot made by hand."""
    made = room(horizon_days=6)
    change(made, rule(max_units=6))
    for hour in (9, 10):
        booked(slot_at(made, FRIDAY, hour), units=2)
    f.hold(somebody(made), slot_at(made, FRIDAY, 11), now=NOW)
    f.make_slot(made, starts_at=slot_at(made, FRIDAY, 16).ends_at)
    moving = booked(slot_at(made, FRIDAY, 12))
    reschedule.propose(
        booking_id=moving.pk,
        organization_id=moving.organization_id,
        slot_id=slot_at(made, FRIDAY - DAY, 12).pk,
        actor=STAFF,
        now=NOW,
    )
    return made


# Each function sets a scene and returns what is done in it.


def changing_a_schedule():
    made = busy_room()
    change(made, rule(from_time=rule().from_time.replace(minute=30)))  # people are legacy by now
    return lambda: change(
        made, rule(max_bookings=5, max_units=8, until_time=rule().until_time.replace(hour=12))
    )


def moving_to_another_zone():
    made = busy_room()
    return lambda: schedules.move_to_zone(
        resource_id=made.pk,
        organization_id=made.organization_id,
        time_zone="Asia/Kathmandu",
        actor=STAFF,
        now=NOW,
    )


def closing_days():
    made = busy_room()
    return lambda: add(made, closed(made, FRIDAY), extra(made, FRIDAY, 20, 22))


def closing_and_cancelling():
    made = busy_room()
    return lambda: add(made, closed(None, FRIDAY), then="cancel", reason="The roof leaks.")


def closing_and_moving():
    made = busy_room()
    return lambda: add(
        made, closed(made, FRIDAY), then="move", move_by_days=1, reason="The roof leaks."
    )


def withdrawing_a_closing():
    made = busy_room()
    add(made, closed(made, FRIDAY))
    ids = list(made.schedule_exceptions.values_list("pk", flat=True))
    return lambda: withdraw(made, ids)


def opening_what_a_closing_shut():
    made = busy_room()
    add(made, closed(made, FRIDAY))
    [slot] = slots(made, source="hand")
    assert slot.shut
    return lambda: slot_services.open_slots(
        slot_ids=[slot.pk], actor=STAFF, reason="a wedding", now=NOW
    )


def regenerating():
    made = busy_room()
    Slot.objects.filter(resource=made, taken_bookings=0, source="schedule").update(max_units=1)
    Slot.objects.filter(pk__in=[s.pk for s in slots(made, max_units=1)[:5]]).delete()
    return lambda: regenerate(made)


def putting_a_hall_together():
    hall = room(exclusive=True)
    court = room(exclusive=True, organization=hall.organization)
    for resource in (hall, court):
        change(resource, rule(max_bookings=1, max_units=1))
    booked(slot_at(hall, FRIDAY, 11))
    return lambda: resources.compose(
        resource_id=hall.pk,
        organization_id=hall.organization_id,
        part_ids=[court.pk],
        pool_ids=[],
        actor=STAFF,
        now=NOW,
    )


OPERATIONS = [
    changing_a_schedule,
    moving_to_another_zone,
    closing_days,
    closing_and_cancelling,
    closing_and_moving,
    withdrawing_a_closing,
    regenerating,
    putting_a_hall_together,
]
each_operation = pytest.mark.parametrize("prepare", OPERATIONS, ids=lambda p: p.__name__)


def fails_everywhere(act, strike, errors):
    """Run it until it comes through, failing at each statement in turn; how many there are."""
    before = state()
    for number in range(1, MOST_STATEMENTS):
        with striking(number, strike) as injector, suppress(*errors):
            act()
        if not injector.struck:
            assert state() != before
            return number - 1
        if InterfaceError in errors:
            connection.close()
        assert state() == before, f"after a failure at {injector.statements[-1]}"
    raise AssertionError("it never came through")


@each_operation
def test_a_failure_at_any_statement_leaves_everything_as_it_was(prepare):
    act = prepare()

    struck = fails_everywhere(act, raising(RuntimeError("a bug")), [RuntimeError])

    assert struck > 8
    assert_consistent()


@each_operation
def test_a_connection_cut_at_any_statement_leaves_everything_as_it_was(prepare):
    act = prepare()

    struck = fails_everywhere(act, cut_connection, [OperationalError, InterfaceError])

    assert struck > 8
    assert_consistent()


def test_opening_what_a_closing_shut_happens_as_a_whole_or_not_at_all():
    act = opening_what_a_closing_shut()

    struck = fails_everywhere(act, raising(RuntimeError("a bug")), [RuntimeError])

    assert struck == 8  # it is short
    assert_consistent()


@each_operation
def test_a_failure_right_before_the_commit_leaves_everything_as_it_was(prepare, monkeypatch):
    act = prepare()
    before = state()

    with monkeypatch.context() as patched:
        at_commit(patched, raising(OperationalError("no answer")), after=False)
        with pytest.raises(OperationalError):
            act()
    connection.close()

    assert state() == before
    act()
    assert state() != before
    assert_consistent()


class Broken(Exception):
    pass


def break_down(**kwargs):
    raise Broken


@pytest.mark.parametrize(
    ("prepare", "signal"),
    [
        (changing_a_schedule, signals.seats_released),
        (closing_and_cancelling, signals.bookings_moved),
        (closing_and_moving, signals.bookings_rescheduled),
        (withdrawing_a_closing, signals.seats_released),
    ],
    ids=lambda p: getattr(p, "__name__", ""),
)
def test_what_follows_a_change_undoes_it_when_it_fails(prepare, signal):
    act = prepare()
    before = state()

    signal.connect(break_down, dispatch_uid="broken")
    try:
        with pytest.raises(Broken):
            act()
    finally:
        signal.disconnect(dispatch_uid="broken")

    assert state() == before
    act()
    assert_consistent()


def test_after_all_of_that_a_closing_tells_everybody_once():
    """An operation that failed at every one of its statements has left no letter behind."""
    act = closing_and_cancelling()
    OutboxEvent.objects.all().delete()

    fails_everywhere(act, raising(RuntimeError("a bug")), [RuntimeError])

    cancelled = OutboxEvent.objects.filter(kind="booking.cancelled")
    gone = Booking.objects.filter(status="cancelled", confirmed_at__isnull=False)
    assert sorted(cancelled.values_list("subject_id", flat=True)) == sorted(
        str(pk) for pk in gone.values_list("pk", flat=True)
    )
    assert gone.count() == 3
    assert Schedule.objects.count() == 1
