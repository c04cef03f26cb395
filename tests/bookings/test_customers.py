"""Customers are found by what they can be reached at, whatever their number (C9, F3)."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from bookings.selectors_customers import reached_at
from tests import factories as f
from tests.bookings.test_consistency_plans import scanned
from tests.corruption import corrupt

pytestmark = pytest.mark.django_db

MANY = 20_000


def test_an_address_and_a_number_are_looked_up_in_their_indexes():
    organization = f.OrganizationFactory()
    corrupt(
        "INSERT INTO bookings_customer (id, organization_id, name, email, phone, language,"
        " time_zone, notes, created_at) SELECT gen_random_uuid(), %s, 'Guest ' || g,"
        " 'guest' || g || '@example.com', '+49151' || lpad(g::text, 8, '0'), 'en', '', '', now()"
        " FROM generate_series(1, %s) g",
        [organization.pk, MANY],
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE bookings_customer")

    with CaptureQueriesContext(connection) as asked:
        found = list(
            reached_at(organization.pk, email="GUEST7@example.com", phone="+4915100000008")
        )

    assert sorted(one.name for one in found) == ["Guest 7", "Guest 8"]
    assert "bookings_customer" not in scanned(asked[0]["sql"])
