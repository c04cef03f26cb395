"""Customers are reminded once, in time, of what still is to come (B9, D7)."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from audit.models import OutboxEvent
from bookings import locks_times, tasks
from bookings.models import Booking, Reminder
from bookings.services import reminders
from bookings.services import reschedule as proposals
from config.celery import CELERY_BEAT_SCHEDULE
from payments.services import cancellation, checkout, decisions, reschedule
from tests import factories as f
from tests.concurrency import interleave, race, without
from tests.corruption import corrupt
from tests.faults import other_session, raising, striking
from tests.invariants import assert_consistent, everything, refusal

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
FAR = 24 * 10  # hours from now


def a_slot(hours=FAR, organization=None, **fields):
    organization = organization or f.OrganizationFactory(**fields.pop("says", {}))
    resource = f.ResourceFactory(organization=organization)
    return f.make_slot(resource, starts_at=f.soon(hours), max_bookings=9, **fields)


def confirmed(slot=None, *, now=None, method="free"):
    slot = slot or a_slot()
    customer = f.CustomerFactory(organization=slot.organization)
    made = checkout.book(
        organization=slot.organization,
        customer=customer,
        slot_id=slot.pk,
        units=1,
        payment_method=method,
        actor=f.actor_of(customer),
        now=now or timezone.now(),
    )
    return Booking.objects.get(cart_item__transaction=made)


def remind(now, **kwargs):
    return reminders.remind(actor=f.SYSTEM, now=now, **kwargs)


def reminded(booking):
    """Lead times of the messages about a booking, in their order."""
    events = OutboxEvent.objects.filter(kind="booking.reminder", subject_id=str(booking.pk))
    return [e.payload["hours"] for e in events.order_by("created_at", "pk")]


def move(booking, slot, *, now=None):
    return reschedule.reschedule(
        booking_id=booking.pk,
        organization_id=booking.organization_id,
        slot_id=slot.pk,
        actor=f.SYSTEM,
        reason="",
        now=now or timezone.now(),
    )


def cancel(booking):
    return cancellation.cancel_booking(
        booking_id=booking.pk,
        organization_id=booking.organization_id,
        actor=f.SYSTEM,
        reason="ill",
        now=timezone.now(),
    )


def test_a_day_and_two_hours_before_they_are_reminded_once_each():
    booking = confirmed()
    start = booking.slot.starts_at

    assert remind(start - DAY - SECOND) == 0
    assert remind(start - DAY) == 1
    assert remind(start - DAY + 5 * MINUTE) == 0
    assert remind(start - 2 * HOUR - SECOND) == 0
    assert remind(start - 2 * HOUR) == 1
    assert remind(start - 1 * HOUR) == 0

    assert reminded(booking) == [24, 2]
    (first, _) = OutboxEvent.objects.filter(kind="booking.reminder").order_by("created_at", "pk")
    assert first.recipients[0]["address"] == booking.customer.email
    assert first.payload["booking"]["reference"] == booking.reference
    assert first.payload["booking"]["starts_at"] == start.isoformat()
    assert_consistent()


@pytest.mark.parametrize(("hours", "expected"), [([], []), ([1], [1]), ([720, 48], [48])])
def test_the_organisation_says_how_long_before(hours, expected):
    booking = confirmed(a_slot(says={"reminder_hours": hours}))
    at = booking.slot.starts_at - 30 * DAY

    while at < booking.slot.starts_at:
        remind(at)
        at += HOUR

    assert reminded(booking) == expected


def test_who_books_after_the_moment_of_a_reminder_gets_the_next_one_alone():
    booking = confirmed(a_slot(5))

    assert remind(timezone.now() + MINUTE) == 0
    assert remind(booking.slot.starts_at - 2 * HOUR) == 1

    assert reminded(booking) == [2]


def test_it_is_the_confirmation_that_counts_not_the_request():
    """Who is confirmed twenty hours before was told the time just then."""
    slot = a_slot(30)
    f.PriceFactory(resource=slot.resource)
    order = f.check_out(f.CustomerFactory(organization=slot.organization), slot)
    confirmed_at = slot.starts_at - 20 * HOUR
    f.submit_proof(order)
    decisions.approve(
        transaction_id=order.pk,
        organization_id=order.organization_id,
        actor=f.SYSTEM,
        now=confirmed_at,
    )

    assert remind(confirmed_at + MINUTE) == 0
    assert remind(slot.starts_at - 2 * HOUR) == 1


def test_after_a_pause_they_hear_of_the_nearest_alone():
    booking = confirmed()

    assert remind(booking.slot.starts_at - HOUR) == 1
    assert remind(booking.slot.starts_at - MINUTE) == 0

    assert reminded(booking) == [2]
    assert Reminder.objects.count() == 2


def test_of_what_has_started_nobody_is_reminded():
    booking = confirmed()

    assert remind(booking.slot.starts_at) == 0


@pytest.mark.parametrize("ends", ["held", "pending", "cancelled"])
def test_nobody_is_reminded_of_what_is_not_confirmed(ends):
    slot = a_slot()
    if ends == "cancelled":
        cancel(confirmed(slot))
    else:
        f.PriceFactory(resource=slot.resource)
        customer = f.CustomerFactory(organization=slot.organization)
        f.hold(customer, slot) if ends == "held" else f.check_out(customer, slot)

    assert remind(slot.starts_at - HOUR) == 0
    assert Booking.objects.get().status == ends


def test_who_is_asked_about_another_time_is_reminded_of_the_one_they_have():
    slot = a_slot()
    booking = confirmed(slot)
    proposals.propose(
        booking_id=booking.pk,
        organization_id=booking.organization_id,
        slot_id=f.make_slot(slot.resource, starts_at=slot.starts_at + DAY).pk,
        message="",
        actor=f.SYSTEM,
        now=timezone.now(),
    )

    assert remind(slot.starts_at - DAY) == 1
    assert reminded(booking) == [24]


def test_after_a_move_they_are_reminded_of_the_new_time():
    slot = a_slot()
    booking = confirmed(slot)
    assert remind(slot.starts_at - DAY) == 1
    later = f.make_slot(slot.resource, starts_at=slot.starts_at + 3 * DAY)

    move(booking, later)

    assert remind(slot.starts_at - 2 * HOUR) == 0
    assert remind(later.starts_at - DAY) == 1
    assert remind(later.starts_at - 2 * HOUR) == 1
    assert reminded(booking) == [24, 24, 2]


def test_who_moves_to_a_time_that_is_near_has_just_been_told():
    slot = a_slot()
    booking = confirmed(slot)
    soon = f.make_slot(slot.resource, starts_at=f.soon(5))

    Booking.objects.update(confirmed_at=timezone.now() - 9 * DAY)

    move(booking, soon)

    assert remind(timezone.now() + MINUTE) == 0
    assert remind(soon.starts_at - 2 * HOUR) == 1
    assert reminded(booking) == [2]


def test_who_moves_back_is_not_reminded_twice_of_the_same():
    slot = a_slot()
    booking = confirmed(slot)
    remind(slot.starts_at - DAY)
    other = f.make_slot(slot.resource, starts_at=slot.starts_at + 3 * DAY)
    move(booking, other)
    move(booking, slot)

    assert remind(slot.starts_at - DAY + MINUTE) == 0
    assert reminded(booking) == [24]


def test_a_sweep_that_runs_twice_does_nothing_the_second_time():
    booking = confirmed()
    remind(booking.slot.starts_at - DAY)
    before = everything()

    assert remind(booking.slot.starts_at - DAY) == 0

    assert everything() == before


def test_any_number_costs_the_same_number_of_statements():
    counts = []
    for number in (1, 12):
        made = [confirmed(a_slot(FAR + 100 * number)) for _ in range(number)]
        then = max(b.slot.starts_at for b in made) - DAY
        with CaptureQueriesContext(connection) as captured:
            assert remind(then) == number
        counts.append(len(captured))

    assert counts[0] == counts[1] <= 9


def test_a_batch_takes_what_it_can_carry_and_the_next_one_the_rest():
    slot = a_slot()
    for _ in range(5):
        confirmed(slot)

    assert [remind(slot.starts_at - HOUR, batch=2) for _ in range(4)] == [2, 2, 1, 0]
    assert OutboxEvent.objects.filter(kind="booking.reminder").count() == 5


def test_one_whose_address_cannot_be_one_does_not_keep_the_others():
    slot = a_slot()
    made = [confirmed(slot) for _ in range(3)]
    corrupt(
        "UPDATE bookings_customer SET email = %s WHERE id = %s", ["a\nb@c", made[1].customer_id]
    )
    failed: dict[Any, str] = {}

    assert remind(slot.starts_at - DAY, failed=failed) == 2

    assert [reminded(b) for b in made] == [[24], [], [24]]
    assert failed == {made[1].pk: "ValueError"}
    assert remind(slot.starts_at - DAY, failed=failed) == 0


def test_a_database_in_trouble_blames_nobody():
    booking = confirmed()
    failed: dict[Any, str] = {}

    with refusal(OperationalError), striking(4, raising(OperationalError("ill"))):
        remind(booking.slot.starts_at - DAY, failed=failed)

    assert failed == {}


def test_somebody_without_an_address_is_marked_and_not_mailed():
    booking = confirmed()
    booking.customer.email = ""
    booking.customer.save()

    assert remind(booking.slot.starts_at - DAY) == 1

    assert OutboxEvent.objects.get(kind="booking.reminder").recipients == []


def test_it_runs_every_five_minutes():
    entry = CELERY_BEAT_SCHEDULE["send-reminders"]

    assert entry["task"] == tasks.send_reminders.name
    assert entry["schedule"] == entry["options"]["expire_seconds"] == 300
    assert tasks.send_reminders() == 0


# Races and failures

AT_ONCE = pytest.mark.django_db(transaction=True)


@AT_ONCE
def test_sweeps_at_once_remind_once():
    slot = a_slot()
    made = [confirmed(slot) for _ in range(6)]

    outcomes = race(*[lambda: remind(slot.starts_at - DAY)] * 4)

    assert sum(outcomes) == 6
    assert [reminded(b) for b in made] == [[24]] * 6


@AT_ONCE
def test_control_without_the_locks_each_is_still_reminded_once(monkeypatch):
    """The unique row decides, whatever was read before."""
    booking = confirmed()
    then = booking.slot.starts_at - DAY
    unlocked = locks_times._DUE_REMINDERS.replace("FOR NO KEY UPDATE OF b SKIP LOCKED", "")
    monkeypatch.setattr(locks_times, "_DUE_REMINDERS", unlocked)

    outcomes = interleave(
        lambda: remind(then), after=(locks_times, "due_reminders"), second=lambda: remind(then)
    )

    assert sorted(outcomes) == [0, 1]
    assert reminded(booking) == [24]


@AT_ONCE
def test_control_without_the_unique_row_two_sweeps_remind_twice(monkeypatch):
    unlocked = locks_times._DUE_REMINDERS.replace("FOR NO KEY UPDATE OF b SKIP LOCKED", "")
    monkeypatch.setattr(locks_times, "_DUE_REMINDERS", unlocked)
    with without("bookings_reminder_once"):
        booking = confirmed()
        then = booking.slot.starts_at - DAY
        interleave(
            lambda: remind(then), after=(locks_times, "due_reminders"), second=lambda: remind(then)
        )

        assert reminded(booking) == [24, 24]


@AT_ONCE
def test_a_cancellation_waits_for_the_reminder_so_that_it_is_the_last_word():
    booking = confirmed()

    first, second = interleave(
        lambda: remind(booking.slot.starts_at - DAY),
        after=(locks_times, "due_reminders"),
        second=lambda: cancel(booking),
    )

    assert (first, second.status) == (1, "cancelled")
    kinds = OutboxEvent.objects.filter(subject_id=str(booking.pk)).order_by("created_at", "pk")
    assert list(kinds.values_list("kind", flat=True))[-2:] == [
        "booking.reminder",
        "booking.cancelled",
    ]


@AT_ONCE
def test_control_without_the_lock_a_cancelled_booking_is_reminded_of(monkeypatch):
    booking = confirmed()
    unlocked = locks_times._DUE_REMINDERS.replace("FOR NO KEY UPDATE OF b SKIP LOCKED", "")
    monkeypatch.setattr(locks_times, "_DUE_REMINDERS", unlocked)

    first, second = interleave(
        lambda: remind(booking.slot.starts_at - DAY),
        after=(locks_times, "due_reminders"),
        second=lambda: cancel(booking),
    )

    assert (first, second.status) == (1, "cancelled")
    assert reminded(booking) == [24]


@AT_ONCE
def test_what_somebody_is_changing_is_passed_over_and_done_next_time():
    slot = a_slot()
    held, free = confirmed(slot), confirmed(slot)

    with other_session(autocommit=False) as session:
        session.execute("SELECT 1 FROM bookings_booking WHERE id = %s FOR UPDATE", [held.pk])
        assert remind(slot.starts_at - DAY) == 1

    assert (reminded(held), reminded(free)) == ([], [24])
    assert remind(slot.starts_at - DAY + 5 * MINUTE) == 1
    assert reminded(held) == [24]


@AT_ONCE
def test_a_failure_at_any_statement_reminds_nobody_halfway():
    booking = confirmed()
    before = everything()

    for number in range(1, 30):
        with striking(number, raising(OperationalError("ill"))) as injector:
            try:
                remind(booking.slot.starts_at - DAY)
            except OperationalError:
                assert everything() == before, f"after a failure at {injector.statements[-1]}"
        if not injector.struck:
            break

    assert number > 4
    assert reminded(booking) == [24]
