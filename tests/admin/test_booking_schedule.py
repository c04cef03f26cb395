"""A booking's page shows the schedule that was in force when it was made (B1)."""

from datetime import time, timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from audit.context import Actor
from bookings.models import ScheduleException, ScheduleRule, Slot
from bookings.services import closings, reschedule, schedules
from tests import factories as f
from tests.admin.conftest import as_role

pytestmark = pytest.mark.django_db

STAFF = Actor("staff", None, "Mia")


def change(resource, start, *, now):
    schedules.change_schedule(
        resource_id=resource.pk,
        organization_id=resource.organization_id,
        valid_from=now.date(),
        rules=[ScheduleRule(from_time=time(start), until_time=time(20), slot_minutes=60)],
        actor=STAFF,
        now=now,
    )


def page(venue, booking):
    url = reverse("admin:bookings_booking_change", args=[booking.pk])
    return as_role(venue, "manager").get(url).content.decode()


def test_it_shows_the_version_and_the_exceptions_as_they_were_known(venue):
    now = timezone.now() - timedelta(hours=3)
    court = f.ResourceFactory(organization=venue.organization, time_zone="UTC", horizon_days=5)
    change(court, 9, now=now)
    slot = Slot.objects.filter(resource=court, starts_at__gt=now + timedelta(days=2)).earliest(
        "starts_at"
    )
    day = slot.starts_at.date()
    closings.add_exceptions(
        organization_id=court.organization_id,
        exceptions=[
            ScheduleException(
                resource=court,
                kind="extra",
                name="Long evening",
                first_day=day,
                last_day=day,
                from_time=time(20),
                until_time=time(22),
            )
        ],
        actor=STAFF,
        now=now + timedelta(minutes=10),
    )
    booking = f.hold(
        f.CustomerFactory(organization=court.organization), slot, now=now + timedelta(hours=1)
    )
    change(court, 10, now=now + timedelta(hours=2))

    shown = page(venue, booking)

    assert "version 1" in shown
    assert "09:00–20:00" in shown
    assert "Long evening" in shown
    assert "10:00–20:00" not in shown


def test_who_was_moved_since_is_shown_the_version_that_was_in_force_then(venue):
    now = timezone.now() - timedelta(hours=3)
    court = f.ResourceFactory(organization=venue.organization, time_zone="UTC", horizon_days=5)
    change(court, 9, now=now)
    later = Slot.objects.filter(resource=court, starts_at__gt=now + timedelta(days=2))
    somebody = f.CustomerFactory(organization=court.organization)
    order = f.check_out(somebody, later.earliest("starts_at"), now=now + timedelta(hours=1))
    booking = order.items.get().booking
    change(court, 10, now=now + timedelta(hours=2))
    reschedule.reschedule(
        booking_id=booking.pk,
        organization_id=court.organization_id,
        slot_id=later.filter(starts_at__hour=15, status="open").earliest("starts_at").pk,
        actor=STAFF,
        now=timezone.now(),
    )
    change(court, 11, now=timezone.now() + timedelta(hours=1))

    shown = page(venue, booking)

    assert "Schedule when it was moved there: version 2" in shown
    assert "10:00–20:00" in shown


def test_a_slot_made_by_hand_has_none(venue):
    slot = f.make_slot(f.ResourceFactory(organization=venue.organization))
    booking = f.hold(f.CustomerFactory(organization=venue.organization), slot)

    assert "Schedule when it was booked" not in page(venue, booking)
