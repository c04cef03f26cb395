"""Resources and slots: what can be booked, what is left, what it costs. Serves B1, B3, F2."""

from __future__ import annotations

from datetime import UTC, time, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from bookings.models import Booking
from bookings.services import slots as slot_services
from tests import factories as f
from tests.api.client import Client, new_key

pytestmark = pytest.mark.django_db


def ids(answer):
    assert answer.status == 200, answer
    return [row["id"] for row in answer.data["results"]]


# -- resources ----------------------------------------------------------------------------------


def test_resources_come_by_name_and_only_active_ones(world):
    b = f.ResourceFactory(organization=world.here.organization, name="Beta")
    a = f.ResourceFactory(organization=world.here.organization, name="Alpha")
    f.ResourceFactory(organization=world.here.organization, name="Gone", is_active=False)

    answer = world.here.as_stranger().get("resources/")

    assert ids(answer) == [str(a.pk), str(b.pk)]
    assert answer.data["results"][0]["name"] == "Alpha"


def test_resources_are_filtered_by_kind_and_text(world):
    court = f.ResourceFactory(organization=world.here.organization, name="Court 1")
    coach = f.ResourceFactory(
        organization=world.here.organization, name="Ana", kind="person", description="On court"
    )
    client = world.here.as_stranger()

    assert ids(client.get("resources/", query={"kind": "person"})) == [str(coach.pk)]
    assert set(ids(client.get("resources/", query={"search": "COURT"}))) == {
        str(court.pk),
        str(coach.pk),
    }
    assert ids(client.get("resources/", query={"search": "court", "kind": "place"})) == [
        str(court.pk)
    ]
    assert ids(client.get("resources/", query={"search": "100%"})) == []


def test_a_resource_that_is_not_offered_is_not_found(world):
    gone = f.ResourceFactory(organization=world.here.organization, is_active=False)

    assert world.here.as_stranger().get(f"resources/{gone.pk}/").problem() == (404, "not_found")


# -- slots --------------------------------------------------------------------------------------


def test_a_slot_says_all_that_a_booking_needs(world):
    slot = world.here.slot(max_bookings=3, max_units=10)
    f.hold(world.here.customer, slot, 4)

    [row] = world.here.as_stranger().get("slots/").data["results"]

    assert row == {
        "id": str(slot.pk),
        "resource": str(slot.resource_id),
        "resource_name": slot.resource.name,
        "starts_at": slot.starts_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "ends_at": slot.ends_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "time_zone": "Europe/Berlin",
        "status": "open",
        "bookable": True,
        "capacity": 10,
        "max_bookings": 3,
        "available_units": 6,
        "available_bookings": 2,
        "price": "20.00",
        "currency": "EUR",
        "cancellation": {
            "possible_until": slot.starts_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "free_until": None,
            "late_fee": "0.00",
        },
    }


def test_slots_that_a_booking_would_refuse_as_too_soon_or_too_far_ahead_are_marked(world):
    resource = f.ResourceFactory(
        organization=world.here.organization, notice_minutes=48 * 60, horizon_days=5
    )
    soon, right, far = (
        world.here.slot(resource=resource, starts_at=f.soon(hours)) for hours in (24, 72, 24 * 7)
    )
    client = world.here.as_customer()

    rows = client.get("slots/", query={"resource": resource.pk}).data["results"]
    free = client.get("slots/", query={"resource": resource.pk, "available": "true"}).data

    assert [(r["id"], r["bookable"]) for r in rows] == [
        (str(soon.pk), False),
        (str(right.pk), True),
        (str(far.pk), False),
    ]
    assert [r["id"] for r in free["results"]] == [str(right.pk)]


def test_slots_that_are_closed_past_or_of_a_hidden_resource_are_not_listed(world):
    shown, closed, legacy = world.here.slot(), world.here.slot(), world.here.slot()
    slot_services.close_slots(slot_ids=[closed.pk], actor=f.SYSTEM, reason="", now=timezone.now())
    legacy.status = "legacy"
    legacy.save()
    world.here.slot(starts_at=timezone.now() - timedelta(minutes=1))
    hidden = f.ResourceFactory(organization=world.here.organization, is_active=False)
    world.here.slot(resource=hidden)

    assert ids(world.here.as_stranger().get("slots/")) == [str(shown.pk)]


def test_slots_are_filtered_by_resource_and_time(world):
    first, second, third = (world.here.slot() for _ in range(3))
    other = world.here.slot(resource=world.here.free_resource)
    client = world.here.as_stranger()

    assert ids(client.get("slots/", query={"resource": str(other.resource_id)})) == [str(other.pk)]
    between = {"from": second.starts_at.isoformat(), "to": third.starts_at.isoformat()}
    assert ids(client.get("slots/", query=between)) == [str(second.pk)]
    assert str(first.pk) not in ids(client.get("slots/", query={"from": between["from"]}))


def test_a_plus_that_nobody_escaped_is_understood(world):
    slot = world.here.slot()
    local = slot.starts_at.astimezone(timezone.get_fixed_timezone(120)).isoformat()
    assert "+02:00" in local

    answer = world.here.as_stranger().send("GET", "slots/?from=" + local)

    assert ids(answer) == [str(slot.pk)]


def test_the_price_is_for_as_many_people_as_asked_for(world):
    resource = f.ResourceFactory(organization=world.here.organization)
    f.PriceFactory(
        resource=resource, amount=Decimal("9.99"), basis="unit", discount_percent=Decimal(10)
    )
    world.here.slot(resource=resource, max_bookings=9)

    answer = world.here.as_stranger().get("slots/", query={"units": 3})

    assert answer.data["results"][0]["price"] == "26.97"


def test_free_times_and_the_cart_say_what_a_length_costs(world):
    court = f.ResourceFactory(
        organization=world.here.organization, mode="free_times", exclusive=True, time_zone="UTC"
    )
    f.open_hours(court)
    f.PriceFactory(resource=court, amount=Decimal("10.00"), basis="unit_hour")
    f.PriceFactory(
        resource=court, amount=Decimal("40.00"), basis="hour", from_time=time(12), priority=5
    )
    since = world.here.opening + timedelta(hours=10)
    query = {"from": since.isoformat(), "to": (since + timedelta(hours=3)).isoformat()}

    answer = world.here.as_stranger().get(
        f"resources/{court.pk}/free-times/", query={**query, "minutes": 90, "units": 3}
    )

    times = answer.data["times"]
    assert [time["starts_at"] for time in times] == answer.data["starts"]
    costs = {time["starts_at"][11:16]: time["price"] for time in times}
    assert (costs["10:00"], costs["11:00"], costs["12:00"]) == ("45.00", "50.00", "60.00")
    body = {"resource": str(court.pk), "starts_at": times[4]["starts_at"], "minutes": 90}
    item = world.here.as_customer().post("cart/items/", body | {"units": 1}, key=new_key())
    assert (item.data["amount"], item.data["price"]["quantity"]) == ("30.00", 1)


def test_what_has_no_price_is_free(world):
    world.here.slot(resource=world.here.free_resource)

    [row] = world.here.as_stranger().get("slots/").data["results"]

    assert row["price"] == "0.00"


def available(world, **query):
    return ids(world.here.as_stranger().get("slots/", query={"available": "true", **query}))


def test_only_slots_with_room_are_available(world):
    full = world.here.slot()
    f.hold(world.here.customer, full)
    half = world.here.slot(max_bookings=5, max_units=4)
    f.hold(world.here.customer, half, 2)

    assert available(world) == [str(half.pk)]
    assert available(world, units=2) == [str(half.pk)]
    assert available(world, units=3) == []


def test_a_hold_past_its_deadline_counts_as_free(world):
    slot = world.here.slot()
    booking = f.hold(world.here.customer, slot)
    assert available(world) == []

    Booking.objects.filter(pk=booking.pk).update(held_until=timezone.now())

    assert available(world) == [str(slot.pk)]
    [row] = world.here.as_stranger().get("slots/").data["results"]
    assert (row["available_bookings"], row["available_units"]) == (1, 1)


def test_an_exclusive_resource_is_not_available_while_another_slot_takes_it(world):
    doctor = f.ResourceFactory(organization=world.here.organization, exclusive=True)
    start = f.soon(48)
    early = world.here.slot(resource=doctor, starts_at=start)
    overlapping = world.here.slot(resource=doctor, starts_at=start + timedelta(minutes=30))
    later = world.here.slot(resource=doctor, starts_at=start + timedelta(hours=2))
    booking = f.hold(world.here.customer, early)

    assert available(world) == [str(later.pk)]
    rows = world.here.as_stranger().get("slots/").data["results"]
    assert {r["id"]: r["available_units"] for r in rows} == {
        str(early.pk): 0,
        str(overlapping.pk): 0,
        str(later.pk): 1,
    }
    Booking.objects.filter(pk=booking.pk).update(held_until=timezone.now())
    assert available(world) == [str(s.pk) for s in (early, overlapping, later)]


@pytest.mark.parametrize(
    ("path", "query", "field"),
    [
        ("slots/", {"resource": "1"}, "resource"),
        ("slots/", {"resource": "\x00"}, "resource"),
        ("slots/", {"from": "yesterday"}, "from"),
        ("slots/", {"from": "2030-01-01T10:00:00"}, "from"),
        ("slots/", {"to": "2030-13-01"}, "to"),
        ("slots/", {"to": "9" * 50}, "to"),
        ("slots/", {"from": "0001-01-01T00:00:00+14:00"}, "from"),
        ("slots/", {"units": "0"}, "units"),
        ("slots/", {"units": "-1"}, "units"),
        ("slots/", {"units": "1" * 400}, "units"),
        ("slots/", {"units": "1.5"}, "units"),
        ("slots/", {"available": "perhaps"}, "available"),
        ("slots/", {"page_size": "0"}, "page_size"),
        ("slots/", {"page_size": "501"}, "page_size"),
        ("slots/", {"cursor": "garbage"}, "cursor"),
        ("slots/", {"resorce": "x"}, "resorce"),
        ("resources/", {"kind": "boat"}, "kind"),
        ("resources/", {"search": "a\x00b"}, "search"),
        ("resources/", {"search": "x" * 101}, "search"),
        ("resources/", {"cursor": "e30"}, "cursor"),
    ],
)
def test_a_bad_parameter_is_named(world, path, query, field):
    answer = world.here.as_stranger().get(path, query=query)

    assert answer.problem() == (400, "invalid")
    assert list(answer.data["errors"]) == [field]


def test_the_offer_is_not_for_the_signed_out(world):
    assert Client(org="here").get("slots/").problem() == (401, "not_authenticated")
