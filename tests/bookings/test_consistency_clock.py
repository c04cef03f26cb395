"""Checks of what the clock should have done, and their repairs (A9, A10)."""

from datetime import timedelta

import pytest
from django.utils import timezone

from audit.models import Lease, OutboxEvent
from bookings.models import Booking, Organization, Reminder
from tests import factories as f
from tests.corruption import check, check_rows, corrupt, fix, last_line

pytestmark = pytest.mark.django_db

MISSED, REMINDED, LEASES = (
    "bookings.no_shows_not_marked",
    "bookings.reminders_not_sent",
    "audit.leases_run_out",
)


def confirmed(hours=100):
    slot = f.make_slot(starts_at=f.soon(hours))
    f.check_out(f.CustomerFactory(organization=slot.organization), slot, method="free")
    return Booking.objects.get(slot=slot)


def ended(hours_ago):
    """A confirmed booking whose slot ended so long ago."""
    booking = confirmed()
    corrupt(
        "UPDATE bookings_slot SET starts_at = now() - %s, ends_at = now() - %s, busy_from = now()"
        " - %s, busy_until = now() - %s WHERE id = %s",
        [
            timedelta(hours=hours_ago + 1),
            timedelta(hours=hours_ago),
            timedelta(hours=hours_ago + 1),
            timedelta(hours=hours_ago),
            booking.slot_id,
        ],
    )
    return booking


def test_a_no_show_that_nobody_marked_is_found_and_marked():
    late, soon, old = ended(3), ended(1.5), ended(60)
    assert confirmed()

    assert check(MISSED) == {str(late.pk)}
    assert fix(MISSED) == {str(late.pk): "fixed"}

    late.refresh_from_db()
    assert late.status == "no_show"
    assert {Booking.objects.get(pk=b.pk).status for b in (soon, old)} == {"confirmed"}
    assert OutboxEvent.objects.filter(kind="booking.missed").count() == 1
    assert last_line(late).history_change_reason == f"consistency: {MISSED}"
    assert fix(MISSED) == {}
    assert check_rows() == set()


def test_where_the_clock_marks_nobody_or_somebody_is_excused_nothing_is_found():
    by_hand, excused = ended(3), ended(3)
    Organization.objects.filter(pk=by_hand.organization_id).update(no_show_minutes=None)
    Booking.objects.filter(pk=excused.pk).update(excused_at=timezone.now())

    assert check(MISSED) == set()


def test_a_no_show_whose_counters_are_wrong_is_marked_all_the_same():
    booking = ended(3)
    corrupt("UPDATE bookings_slot SET taken_bookings = 0, taken_units = 0")

    assert fix(MISSED) == {str(booking.pk): "fixed"}
    assert check("bookings.slot_counters") == set()


def starts_in(hours):
    """A booking that was confirmed long ago and starts soon."""
    booking = confirmed()
    start = timezone.now() + timedelta(hours=hours)
    corrupt(
        "UPDATE bookings_slot SET starts_at = %s, busy_from = %s WHERE id = %s",
        [start, start, booking.slot_id],
    )
    Booking.objects.filter(pk=booking.pk).update(confirmed_at=timezone.now() - timedelta(days=9))
    return booking


def test_a_reminder_that_did_not_go_out_is_found_and_sent():
    late, fresh, far = starts_in(23), starts_in(23.8), starts_in(25)

    assert check(REMINDED) == {str(late.pk)}
    assert fix(REMINDED) == {str(late.pk): "fixed"}

    (event,) = OutboxEvent.objects.filter(kind="booking.reminder")
    assert (event.subject_id, event.payload["hours"]) == (str(late.pk), 24)
    assert Reminder.objects.count() == 1
    assert check(REMINDED) == set()
    assert fresh.pk != far.pk


def test_nobody_is_reminded_of_what_has_begun():
    starts_in(-0.1)

    assert check(REMINDED) == set()


def test_a_no_show_that_does_not_say_since_when_is_found():
    booking = ended(3)
    corrupt(
        "UPDATE bookings_booking SET status = 'no_show' WHERE id = %s",
        [booking.pk],
        drop=[("bookings_booking", "bookings_booking_missed_says_when")],
    )

    assert str(booking.pk) in check("bookings.times")


def test_a_lease_that_would_last_for_hours_is_found_and_runs_out():
    now = timezone.now()
    for name, hours in (("stuck", 5), ("fine", 0.05)):
        Lease.objects.create(
            name=name, holder=f.some_id(), taken_at=now, until=now + timedelta(hours=hours)
        )

    assert check(LEASES) == {"stuck"}
    assert fix(LEASES) == {"stuck": "fixed"}

    assert Lease.objects.get(pk="stuck").until <= timezone.now()
    assert check(LEASES) == set()
