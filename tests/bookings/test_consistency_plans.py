"""Checks that concern live bookings do not read the years of those that are over. Serves C9."""

import json
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

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


def queries_of(check_id: str) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        check(check_id)
    asked = [q["sql"] for q in captured if "bookings_booking" in q["sql"]]
    assert asked, "the check did not ask about bookings"
    return asked


@pytest.mark.parametrize("check_id", LIVE_ONLY)
def test_a_check_of_live_bookings_leaves_the_others_alone(check_id, years):
    for sql in queries_of(check_id):
        assert "bookings_booking" not in scanned(sql)


def test_a_whole_table_that_is_read_would_be_seen(years):
    """The control: this one has to compare every booking."""
    assert any("bookings_booking" in scanned(sql) for sql in queries_of("bookings.times"))
