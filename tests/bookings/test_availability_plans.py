"""What is free is asked slot by slot, whatever else is taken. Serves B12 and C9."""

import json
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from bookings import selectors
from bookings.models import Slot
from tests import factories as f

pytestmark = pytest.mark.django_db

RESOURCES, TAKEN, ASKED = 40, 100, 60

_TAKE = """
    WITH made AS (
        INSERT INTO bookings_slot (id, organization_id, resource_id, exclusive, parts, pools, picked,
            starts_at, ends_at, busy_from, busy_until, max_bookings, max_units, taken_bookings,
            taken_units, status, source, created_at)
        SELECT gen_random_uuid(), r.organization_id, r.id, TRUE, '{}', '{}', '{}', at.starts_at,
            at.starts_at + interval '15 min', at.starts_at, at.starts_at + interval '15 min',
            1, 1, 1, 1, 'open', 'hand', now()
        FROM bookings_resource r CROSS JOIN (
            SELECT now() + interval '9 d' + n * interval '15 min' AS starts_at
            FROM generate_series(1, %(taken)s) AS n
        ) at WHERE r.organization_id = %(organization)s
        RETURNING id, organization_id, resource_id, busy_from, busy_until
    ), people AS (
        INSERT INTO bookings_booking (id, reference, organization_id, slot_id, customer_id, units,
            status, version, created_at, confirmed_at, ended_reason)
        SELECT gen_random_uuid(), upper(substr(md5(id::text), 1, 11)), organization_id, id,
            %(customer)s, 1, 'confirmed', 1, now(), now(), '' FROM made
    )
    INSERT INTO bookings_occupancy (slot_id, resource_number, period)
    SELECT m.id, r.number, tstzrange(m.busy_from, m.busy_until, '[)')
    FROM made m JOIN bookings_resource r ON r.id = m.resource_id
"""


@pytest.fixture(params=["a court", "a doctor"])
def court(request: Any) -> Any:
    """One of many courts that are taken all day, a week from now, with free slots tomorrow; or
    somebody who provides one."""
    provider = f.UserFactory() if request.param == "a doctor" else None
    first: Any = f.ResourceFactory(exclusive=True, provider=provider)
    f.ResourceFactory.create_batch(RESOURCES - 1, organization=first.organization, exclusive=True)
    customer: Any = f.CustomerFactory(organization=first.organization)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(
            _TAKE,
            {"taken": TAKEN, "organization": first.organization_id, "customer": customer.pk},
        )
        cursor.execute("SET LOCAL session_replication_role = origin")
        cursor.execute("ANALYZE")
    f.make_slots(first, ASKED)
    return first


def occupancies_read(act: Any) -> float:
    """How many occupancies the statements of ``act`` read, by what PostgreSQL did."""
    asked: list[tuple[str, Any]] = []

    def watch(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        asked.append((sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(watch):
        act()
    found = 0.0
    with connection.cursor() as cursor:
        for sql, params in asked:
            cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", params)
            [plan] = cursor.fetchone()
            for node in nodes((json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]):
                if node.get("Relation Name") == "bookings_occupancy":
                    found += node["Actual Rows"] * node["Actual Loops"]
                if node["Node Type"] == "Materialize":
                    found += node["Actual Rows"] * node["Actual Loops"]
    return found


def nodes(node: dict[str, Any]) -> Any:
    yield node
    for part in node.get("Plans", []):
        yield from nodes(part)


def test_a_page_of_free_slots_reads_none_of_the_times_that_are_taken_elsewhere(court):
    slots = list(Slot.objects.filter(resource=court, taken_bookings=0).select_related("resource"))
    assert len(slots) == ASKED
    now = timezone.now()

    assert occupancies_read(lambda: selectors.availability(slots, now=now)) <= ASKED


def test_a_month_of_free_slots_reads_none_of_them_either(court):
    asked = Slot.objects.filter(resource=court, taken_bookings=0)
    now = timezone.now()

    def ask():
        return list(selectors.with_room(asked, 1, organization_id=court.organization_id, now=now))

    assert occupancies_read(ask) <= ASKED
