"""What is left on each day, for a calendar of the month (B1, C9, F2)."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from bookings.models import Resource
from tests import factories as f

pytestmark = pytest.mark.django_db

BERLIN = ZoneInfo("Europe/Berlin")


def noon(days):
    """A moment in some days, in Berlin, at which it is the same day everywhere in Europe."""
    today = timezone.now().astimezone(BERLIN).date()
    return datetime.combine(today + timedelta(days=days), datetime.min.time(), BERLIN).replace(
        hour=12
    )


def ask(place, since, until, **more):
    query = {"from": since.isoformat(), "to": until.isoformat(), **more}
    text = "&".join(f"{k}={str(v).replace('+', '%2B')}" for k, v in query.items())
    return place.as_stranger().get(f"availability/?{text}")


@pytest.fixture
def court(world):
    return f.ResourceFactory(
        organization=world.here.organization, exclusive=True, time_zone="Europe/Berlin"
    )


def test_each_day_says_how_many_slots_have_room_and_the_first_of_them(world, court):
    first, second, third = (
        f.make_slot(court, starts_at=noon(days) + timedelta(hours=hours))
        for days, hours in ((2, 0), (2, 2), (3, 0))
    )
    f.hold(f.CustomerFactory(organization=court.organization), first)

    answer = ask(world.here, noon(1), noon(10), resource=court.pk)

    assert answer.status == 200
    assert [(d["date"], d["slots"], d["available"]) for d in answer.data["results"]] == [
        (noon(2).date().isoformat(), 2, 1),
        (noon(3).date().isoformat(), 1, 1),
    ]
    found = [datetime.fromisoformat(d["first_available"]) for d in answer.data["results"]]
    assert found == [second.starts_at, third.starts_at]


def test_a_day_is_one_of_the_resources_own_zone(world, court):
    late = noon(2).replace(hour=0, minute=30)  # still the day before in UTC
    f.make_slot(court, starts_at=late)

    (day,) = ask(world.here, noon(1), noon(4), resource=court.pk).data["results"]

    assert day["date"] == late.date().isoformat()


def test_a_full_day_is_listed_with_nothing_left(world, court):
    slot = f.make_slot(court, starts_at=noon(2))
    f.hold(f.CustomerFactory(organization=court.organization), slot)

    (day,) = ask(world.here, noon(1), noon(4), resource=court.pk).data["results"]

    assert (day["slots"], day["available"], day["first_available"]) == (1, 0, None)


def test_what_is_too_soon_or_too_far_ahead_for_customers_is_not_counted(world, court):
    Resource.objects.filter(pk=court.pk).update(notice_minutes=2 * 1440, horizon_days=5)
    for starts_at in (noon(2) - timedelta(hours=13), noon(3), noon(7)):
        f.make_slot(court, starts_at=starts_at)

    found = ask(world.here, noon(1), noon(9), resource=court.pk).data["results"]

    assert [(d["date"], d["slots"], d["available"]) for d in found] == [
        (noon(3).date().isoformat(), 1, 1)
    ]


@pytest.mark.parametrize("days", [0, -1, 63])
def test_a_range_that_is_empty_or_too_long_is_refused(world, days):
    answer = ask(world.here, noon(1), noon(1) + timedelta(days=days))

    assert answer.status == 400
    assert "to" in answer.data["errors"]


def test_somebody_elses_resource_is_not_found(world, court):
    assert ask(world.there, noon(1), noon(4), resource=court.pk).status == 404


def test_the_number_of_statements_does_not_grow(world, court):
    client = world.here.as_customer()

    def statements():
        query = f"from={noon(1):%Y-%m-%dT%H:%M:%SZ}&to={noon(30):%Y-%m-%dT%H:%M:%SZ}"
        with CaptureQueriesContext(connection) as captured:
            assert client.get(f"availability/?{query}").status == 200
        return sum("SAVEPOINT" not in query["sql"] for query in captured)

    f.make_slot(court, starts_at=noon(2))
    few = statements()
    other = f.ResourceFactory(organization=court.organization)
    for day in range(3, 20):
        f.make_slot(court, starts_at=noon(day))
        f.make_slot(other, starts_at=noon(day))
    assert statements() == few <= 5
