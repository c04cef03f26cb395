"""Checks that concern live bookings do not read the years of those that are over. Serves C9."""

import json
from datetime import time
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from bookings.models import Resource, ScheduleRule
from bookings.services import schedules
from tests import factories as f
from tests.corruption import check, corrupt

pytestmark = pytest.mark.django_db

OVER = 20_000
LIVE_ONLY = [
    "bookings.checked_in_not_completed",
    "bookings.exclusive_overlap",
    "bookings.holds_overdue",
    "bookings.occupancies",
    "bookings.overbooked",
    "bookings.picked",
]
# Checks of slots to come.
TO_COME = [
    "bookings.slot_composition",
    "bookings.slots_follow_rules",
]


def scanned(sql: str) -> set[str]:
    """The tables that the plan of ``sql`` reads from end to end."""
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN (FORMAT JSON) " + sql)
        [answer] = cursor.fetchone()
    found = set()

    def walk(node: dict[str, Any]) -> None:
        if node["Node Type"] == "Seq Scan":
            found.add(node["Relation Name"])
        for part in node.get("Plans", []):
            walk(part)

    walk((json.loads(answer) if isinstance(answer, str) else answer)[0]["Plan"])
    return found


@pytest.fixture
def years():
    """Many bookings that are over, and one that is not."""
    slot = f.make_slot(max_bookings=5)
    customer: Any = f.CustomerFactory(organization=slot.organization)
    corrupt(
        "INSERT INTO bookings_booking (id, reference, organization_id, slot_id, customer_id, units,"
        " status, version, created_at, confirmed_at, checked_in_at, ended_reason)"
        " SELECT gen_random_uuid(), lpad(g::text, 11, '0'), %s, %s, %s, 1, 'completed', 1, now(),"
        " now(), now(), '' FROM generate_series(1, %s) g",
        [slot.organization_id, slot.pk, customer.pk, OVER],
    )
    f.hold(customer, slot)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE bookings_booking; ANALYZE bookings_slot")


@pytest.fixture
def past_slots(years):
    """A resource with a schedule, and many slots of it that are over."""
    slot = f.make_slot()
    resource = slot.resource
    Resource.objects.filter(pk=resource.pk).update(horizon_days=3, time_zone="UTC")
    schedules.change_schedule(
        resource_id=resource.pk,
        organization_id=resource.organization_id,
        valid_from=timezone.now().date(),
        rules=[ScheduleRule(from_time=time(9), until_time=time(17), slot_minutes=60)],
        actor=f.SYSTEM,
        now=timezone.now(),
    )
    corrupt(
        "INSERT INTO bookings_slot (id, organization_id, resource_id, exclusive, starts_at,"
        " ends_at, busy_from, busy_until, max_bookings, max_units, taken_bookings, taken_units,"
        " status, source, parts, pools, picked, created_at)"
        " SELECT gen_random_uuid(), %s, %s, FALSE, at, at + interval '1 h', at, at + interval"
        " '1 h', 1, 1, 0, 0, 'open', 'schedule', '{}', '{}', '{}', at"
        " FROM (SELECT now() - g * interval '1 h' - interval '30 d' AS at"
        "       FROM generate_series(1, %s) g) x",
        [resource.organization_id, resource.pk, OVER],
    )
    corrupt(  # as in life, each booking is in a slot of its own
        "UPDATE bookings_booking b SET slot_id = s.id FROM"
        " (SELECT id, row_number() OVER (ORDER BY id) AS n FROM bookings_slot"
        "  WHERE ends_at < now()) s,"
        " (SELECT id, row_number() OVER (ORDER BY id) AS n FROM bookings_booking"
        "  WHERE status = 'completed') x WHERE x.n = s.n AND b.id = x.id"
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE bookings_slot; ANALYZE bookings_resource; ANALYZE bookings_booking")


def queries_of(check_id: str, table: str = "bookings_booking") -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        check(check_id)
    asked = [q["sql"] for q in captured if table in q["sql"]]
    assert asked, f"the check did not ask about {table}"
    return asked


@pytest.mark.parametrize("check_id", LIVE_ONLY)
def test_a_check_of_live_bookings_leaves_the_others_alone(check_id, years):
    for sql in queries_of(check_id):
        assert "bookings_booking" not in scanned(sql)


@pytest.mark.parametrize("check_id", TO_COME)
def test_a_check_of_slots_to_come_leaves_the_others_alone(check_id, past_slots):
    for sql in queries_of(check_id, "bookings_slot"):
        assert not scanned(sql) & {"bookings_slot", "bookings_booking"}


def test_all_slots_that_are_read_would_be_seen(past_slots):
    """The control: this one has to compare every slot."""
    asked = queries_of("bookings.booking_links", "bookings_slot")
    assert any("bookings_slot" in scanned(sql) for sql in asked)


def test_a_whole_table_that_is_read_would_be_seen(years):
    """The control: this one has to compare every booking."""
    assert any("bookings_booking" in scanned(sql) for sql in queries_of("bookings.times"))
