"""What closing days and overdue holds must not forget (B1, B2, B5, B6)."""

from datetime import timedelta

import pytest
from django.utils import timezone

from audit.context import Actor
from audit.models import OutboxEvent
from bookings import selectors
from bookings.models import Booking, Resource, ResourcePart, ScheduleException, Slot
from bookings.services import closings, free_times
from bookings.services.free_times import FreeTime
from tests import factories as f
from tests.invariants import assert_consistent

pytestmark = pytest.mark.django_db

STAFF = Actor("staff", None, "Mia")


def close(resource, day, **kwargs):
    return closings.add_exceptions(
        organization_id=resource.organization_id,
        exceptions=[
            ScheduleException(
                resource=resource, kind="closed", name="Repairs", first_day=day, last_day=day
            )
        ],
        reason="The roof leaks.",
        actor=STAFF,
        now=timezone.now(),
        **kwargs,
    )


@pytest.fixture
def studio():
    """Booked at free times, open around the clock."""
    made = f.ResourceFactory(
        exclusive=True, mode=Resource.Mode.FREE_TIMES, time_zone="UTC", horizon_days=30
    )
    f.open_hours(made)
    return made


def held_at_a_free_time(studio):
    starts_at = f.soon(100)
    slot = free_times.lock(
        FreeTime(studio.pk, starts_at, 60),
        organization_id=studio.organization_id,
        now=timezone.now(),
    )
    return f.hold(f.CustomerFactory(organization=studio.organization), slot)


def test_closing_a_day_finds_who_booked_a_free_time(studio):
    booking = held_at_a_free_time(studio)

    done = close(studio, booking.slot.starts_at.date(), then="cancel")

    assert [b.pk for b in done.cancelled] == [booking.pk]
    booking.refresh_from_db()
    assert booking.status == "cancelled"
    assert Slot.objects.get(pk=booking.slot_id).status == "legacy"
    assert_consistent()


def test_the_empty_slot_of_a_free_time_is_not_left_open_on_a_closed_day(studio):
    booking = held_at_a_free_time(studio)
    Booking.objects.filter(pk=booking.pk).update(
        status="cancelled", ended_at=timezone.now(), held_until=None
    )

    close(studio, booking.slot.starts_at.date())

    assert Slot.objects.get(pk=booking.slot_id).status == "legacy"


def test_who_is_moved_by_a_closing_reads_why():
    court = f.ResourceFactory(time_zone="UTC", horizon_days=30)
    f.open_hours(court)
    slot = Slot.objects.filter(resource=court, starts_at__gt=f.soon(60)).earliest("starts_at")
    customer = f.CustomerFactory(organization=court.organization)
    f.check_out(customer, slot, method="pay_on_arrival")

    done = close(court, slot.starts_at.date(), then="move", move_by_days=1)

    assert len(done.moved) == 1
    (event,) = OutboxEvent.objects.filter(kind="booking.rescheduled")
    assert event.payload["reason"] == "The roof leaks."
    assert_consistent()


def test_several_overdue_holds_in_the_way_are_all_expired_on_the_spot():
    hall = f.ResourceFactory(exclusive=True)
    court = f.ResourceFactory(organization=hall.organization, exclusive=True)
    ResourcePart.objects.create(organization=hall.organization, whole=hall, part=court)
    hall.refresh_from_db()
    start, hour = f.soon(50), timedelta(hours=1)
    wide = f.make_slot(hall, starts_at=start, minutes=120)
    narrow = [f.make_slot(court, starts_at=start + n * hour) for n in range(2)]
    long_ago = timezone.now() - timedelta(hours=1)
    for slot in narrow:
        f.hold(f.CustomerFactory(organization=hall.organization), slot, now=long_ago)
    assert selectors.availability([wide], now=timezone.now())[wide.pk].bookings == 1

    booking = f.hold(f.CustomerFactory(organization=hall.organization), wide)

    assert booking.status == "held"
    assert set(Booking.objects.filter(slot__in=narrow).values_list("status", flat=True)) == {
        "expired"
    }
    assert_consistent()
