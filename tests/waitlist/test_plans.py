"""Nothing that looks at lines reads the years of those that are over. Serves C9."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from bookings.models import Slot
from tests.bookings.test_consistency_plans import scanned
from tests.corruption import check, corrupt
from tests.waitlist.line import free, full_slot, join, window
from waitlist import selectors

pytestmark = pytest.mark.django_db

LARGE = {
    "waitlist_waitlistentry", "waitlist_offer", "bookings_slot", "bookings_booking",
}  # fmt: skip
OVER = 20_000


@pytest.fixture
def years() -> Any:
    """Many slots, bookings, entries and offers that are over, and a few that are not."""
    slot, _ = full_slot(seats=2)
    entry = join(slot)
    free(slot)
    join(window(slot.resource))
    join(slot)
    series = f"generate_series(1, {OVER}) g"
    corrupt(
        "INSERT INTO bookings_slot (id, organization_id, resource_id, starts_at, ends_at, busy_from,"
        " busy_until, exclusive, max_bookings, max_units, taken_bookings, taken_units, status,"
        " source, parts, pools, picked, created_at, waited_for, stays_closed, limits_by_hand)"
        " SELECT md5('slot' || g)::uuid, %s, %s, at, at + interval '1 hour', at,"
        " at + interval '1 hour', FALSE, 1, 1, 1, 1, 'open', 'hand', '{}', '{}', '{}', at, TRUE,"
        f" FALSE, FALSE FROM {series}, LATERAL (SELECT now() - g * interval '2 hours' AS at) a",
        [slot.organization_id, slot.resource_id],
    )
    corrupt(
        "INSERT INTO bookings_booking (id, reference, organization_id, slot_id, customer_id, units,"
        " status, version, created_at, confirmed_at, checked_in_at, ended_reason)"
        " SELECT md5('booking' || g)::uuid, lpad(g::text, 11, '0'), %s, md5('slot' || g)::uuid, %s,"
        f" 1, 'completed', 1, now(), now(), now(), '' FROM {series}",
        [slot.organization_id, entry.customer_id],
    )
    corrupt(
        "INSERT INTO waitlist_waitlistentry (id, organization_id, customer_id, resource_id, slot_id,"
        " units, status, version, joined_at, placed_at, passed_over, passed_over_reason, ended_at,"
        " ended_reason) SELECT md5('entry' || g)::uuid, %s, %s, %s, md5('slot' || g)::uuid, 1,"
        f" 'fulfilled', 1, now(), now(), 0, '', now(), '' FROM {series}",
        [slot.organization_id, entry.customer_id, slot.resource_id],
    )
    corrupt(
        "INSERT INTO waitlist_offer (id, organization_id, entry_id, booking_id, status, expires_at,"
        " made_at, by_hand, offered_by, answered_at) SELECT md5('offer' || g)::uuid, %s,"
        " md5('entry' || g)::uuid, md5('booking' || g)::uuid, 'accepted', now(), now(), FALSE, '',"
        f" now() FROM {series}",
        [slot.organization_id],
    )
    with connection.cursor() as cursor:
        cursor.execute(
            "ANALYZE bookings_slot; ANALYZE bookings_booking; ANALYZE bookings_resource;"
            " ANALYZE waitlist_waitlistentry; ANALYZE waitlist_offer"
        )
    return slot


def read_whole(act: Any) -> set[str]:
    with CaptureQueriesContext(connection) as captured:
        act()
    asked = [q["sql"] for q in captured if q["sql"].lstrip().upper().startswith(("SELECT", "WITH"))]
    assert asked
    found: set[str] = set()
    for sql in asked:
        found |= scanned(sql)
    return found & LARGE


LOOKS = {
    "slots_to_serve": lambda s: selectors.slots_to_serve([s.pk], now=timezone.now()),
    "unserved_slots": lambda s: selectors.unserved_slots(now=timezone.now(), limit=100),
    "overdue_entries": lambda s: selectors.overdue_entries(now=timezone.now(), limit=100),
    "miscounted_lines": lambda s: selectors.miscounted_lines(),
    "line_for": lambda s: selectors.line_for([s]),
    "load_positions": lambda s: selectors.load_positions(
        list(s.waitlist_entries.filter(status="waiting")), now=timezone.now()
    ),
}


@pytest.mark.parametrize("look", LOOKS)
def test_serving_and_sweeping_leave_what_is_over_alone(look, years):
    slot = Slot.objects.select_related("resource").get(pk=years.pk)
    assert read_whole(lambda: LOOKS[look](slot)) == set()


@pytest.mark.parametrize(
    "check_id",
    [
        "waitlist.gates",
        "waitlist.offers",
        "waitlist.overdue",
        "waitlist.settled",
        "waitlist.unserved",
    ],
)
def test_a_check_of_those_in_line_leaves_what_is_over_alone(check_id, years):
    def tables() -> None:
        check(check_id)

    assert read_whole(tables) == set()


def test_a_whole_table_that_is_read_would_be_seen(years):
    """The control: this one has to compare every entry."""
    assert "waitlist_waitlistentry" in read_whole(lambda: check("waitlist.links"))
