"""Horizons stay filled, and slots follow rules that changed without them. Serves B1, B2, D7."""

from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from celery.schedules import crontab
from django.db import OperationalError
from django.utils import timezone

from audit.context import Actor
from audit.models import OutboxEvent
from bookings import tasks
from bookings.models import Resource, ScheduleRule, Slot
from bookings.services import schedule_sweeps, schedules
from config.celery import CELERY_BEAT_SCHEDULE
from tests import factories as f
from tests.concurrency import lost, race
from tests.corruption import corrupt
from tests.faults import raising, striking
from tests.invariants import assert_consistent, everything

pytestmark = pytest.mark.django_db

STAFF = Actor("staff", None, "Mia")
BERLIN = ZoneInfo("Europe/Berlin")


def court(**fields) -> Any:
    """A court that is open from nine to five, its horizon filled now."""
    made: Any = f.ResourceFactory(horizon_days=5, **fields)
    schedules.change_schedule(
        resource_id=made.pk,
        organization_id=made.organization_id,
        valid_from=timezone.localdate(timezone=ZoneInfo(made.time_zone)),
        rules=[ScheduleRule(from_time=time(9), until_time=time(17), slot_minutes=60)],
        actor=STAFF,
        now=timezone.now(),
    )
    made.refresh_from_db()
    return made


def midnight(days: int, zone: ZoneInfo = BERLIN) -> datetime:
    """A minute after the beginning of the day so many days from now."""
    day = timezone.localdate(timezone=zone) + timedelta(days=days)
    return datetime.combine(day, time(0, 1), zone)


def last_day(resource) -> Any:
    slots = Slot.objects.filter(resource=resource)
    return max(s.starts_at.astimezone(BERLIN) for s in slots).date()


def extend(now, failed=None, **kwargs) -> int:
    return schedule_sweeps.extend(actor=f.SYSTEM, now=now, failed=failed, **kwargs)


def forget(*resources) -> None:
    """Their slots were made days ago, and nobody extended them since."""
    Resource.objects.filter(pk__in=[r.pk for r in resources]).update(
        planned_at=timezone.now() - timedelta(days=2)
    )


def lose_slots(resource) -> None:
    corrupt("DELETE FROM bookings_slot WHERE resource_id = %s", [resource.pk])


def poison(resource) -> None:
    """Its rules make no sense to the planner."""
    corrupt(
        "UPDATE bookings_schedulerule SET slot_minutes = 0 WHERE schedule_id IN"
        " (SELECT id FROM bookings_schedule WHERE resource_id = %s)",
        [resource.pk],
        drop=[("bookings_schedulerule", "bookings_schedulerule_makes_sense")],
    )


def test_a_day_comes_into_the_horizon_with_each_midnight():
    resource = court()
    before = last_day(resource)

    assert extend(midnight(1)) == 1

    assert last_day(resource) == before + timedelta(days=1)
    assert_consistent()


def test_it_is_the_resource_s_own_midnight():
    zone = ZoneInfo("Pacific/Auckland")
    far = court(time_zone=zone.key)
    before = timezone.localdate(timezone=zone)

    # Shortly before its midnight there, and after it.
    assert extend(midnight(1, zone) - timedelta(minutes=2)) == 0
    assert extend(midnight(1, zone)) == 1

    far.refresh_from_db()
    assert far.planned_at.astimezone(zone).date() == before + timedelta(days=1)


def test_a_night_that_was_missed_is_made_up_for():
    resource = court()
    before = last_day(resource)

    extend(midnight(4))

    assert last_day(resource) == before + timedelta(days=4)


def test_running_again_on_the_same_day_changes_nothing():
    court()
    assert extend(midnight(1)) == 1
    before = everything()

    assert extend(midnight(1) + timedelta(hours=5)) == 0

    assert everything() == before


def test_it_works_in_batches_the_longest_waiting_first():
    resources = [court() for _ in range(3)]
    forget(resources[2])

    assert [extend(midnight(1), batch=2) for _ in range(3)] == [2, 1, 0]

    resources[2].refresh_from_db()
    assert resources[2].planned_at == midnight(1)


@pytest.mark.parametrize("inactive", ["resource", "organization"])
def test_what_is_not_offered_any_more_gets_no_slots(inactive):
    resource = court()
    row = getattr(resource, inactive, resource)
    type(row).objects.filter(pk=row.pk).update(is_active=False)

    assert extend(midnight(1)) == 0


@pytest.mark.parametrize("sweep", [schedule_sweeps.extend, schedule_sweeps.follow])
def test_one_resource_that_cannot_be_done_does_not_keep_the_others(sweep):
    good, bad, another = court(), court(), court()
    poison(bad)
    Resource.objects.update(planned_at=None)
    failed: dict[Any, str] = {}

    assert sweep(actor=f.SYSTEM, now=timezone.now(), failed=failed) == 2
    assert sweep(actor=f.SYSTEM, now=timezone.now(), failed=failed) == 0

    assert failed == {bad.pk: "ValueError"}
    assert set(Resource.objects.filter(planned_at=None)) == {bad}
    assert {good, another} <= set(Resource.objects.exclude(planned_at=None))


def test_a_resource_in_a_zone_that_is_not_known_fails_alone():
    lost_one, good = court(), court()
    corrupt("UPDATE bookings_resource SET time_zone = 'Mars/Base' WHERE id = %s", [lost_one.pk])
    failed: dict[Any, str] = {}

    assert extend(midnight(1), failed) == 1

    assert set(failed) == {lost_one.pk}
    good.refresh_from_db()
    assert good.planned_at == midnight(1)


def test_administrators_are_told_which_resource_cannot_be_done(settings):
    settings.ADMIN_ALERT_EMAILS = ["admin@example.com"]
    bad = court()
    poison(bad)
    forget(bad)

    assert tasks.extend_schedules() == 0

    (alert,) = OutboxEvent.objects.filter(kind="operation.failed")
    assert alert.payload["operation"] == "slots.extend"
    assert alert.payload["failed"] == [str(bad.pk)]


def test_a_database_in_trouble_stops_the_sweep_and_blames_no_resource():
    forget(court(), court())
    failed: dict[Any, str] = {}

    with (
        striking(4, raising(OperationalError("the database is ill"))),
        pytest.raises(OperationalError),
    ):
        extend(timezone.now(), failed)

    assert failed == {}


def test_slots_follow_rules_that_came_without_them():
    resource, other = court(), court()
    corrupt(
        "UPDATE bookings_schedule SET created_at = now() + interval '1 minute'"
        " WHERE resource_id = %s",
        [resource.pk],
    )
    for row in (resource, other):
        lose_slots(row)

    assert tasks.follow_schedules() == 1  # not for ever, although our clock is not there yet

    assert Slot.objects.filter(resource=resource).exists()
    assert not Slot.objects.filter(resource=other).exists()


def test_nothing_is_followed_when_nothing_changed():
    court()
    before = everything()

    assert tasks.follow_schedules() == 0

    assert everything() == before


def test_the_tasks_run_every_hour_and_every_ten_minutes():
    extends, follows = (
        CELERY_BEAT_SCHEDULE[name] for name in ("extend-schedules", "follow-schedules")
    )

    assert extends["task"] == tasks.extend_schedules.name
    assert isinstance(extends["schedule"], crontab)
    assert extends["schedule"].hour == set(range(24))
    assert len(extends["schedule"].minute) == 1
    assert follows["task"] == tasks.follow_schedules.name
    assert follows["schedule"] == 600


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("sweep", [schedule_sweeps.extend, schedule_sweeps.follow])
def test_sweeps_that_run_together_make_each_slot_once(sweep):
    resources = [court() for _ in range(4)]
    for resource in resources:
        expected = Slot.objects.filter(resource=resource).count()
        Slot.objects.filter(resource=resource).delete()
    Resource.objects.update(planned_at=None)
    now = timezone.now()

    outcomes = race(*[lambda: sweep(actor=f.SYSTEM, now=now)] * 4)

    assert lost(outcomes) == []
    for resource in resources:
        slots = list(Slot.objects.filter(resource=resource))
        assert len({s.starts_at for s in slots}) == len(slots) == expected
    assert_consistent()


@pytest.mark.django_db(transaction=True)
def test_people_book_while_the_horizon_is_extended():
    resource = court(exclusive=True)
    slot = Slot.objects.filter(resource=resource, starts_at__gt=timezone.now()).first()
    customers = [f.CustomerFactory(organization=resource.organization) for _ in range(3)]

    outcomes = race(
        lambda: extend(midnight(1)),
        lambda: extend(midnight(1)),
        *[lambda c=c: f.hold(c, slot) for c in customers],
    )

    assert len([o for o in outcomes[2:] if not isinstance(o, BaseException)]) == 1
    assert lost(outcomes[:2]) == []
    slot.refresh_from_db()
    assert slot.taken_bookings == 1
    assert_consistent()
