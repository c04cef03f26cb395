"""Waiting in line over HTTP: join, follow, leave, accept, decline (A5, A6, B4, F1, F2)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from audit.api.answers import stamp
from bookings.models import Booking, Resource
from bookings.services import bookings as booking_services
from tests import factories as f
from tests.api.client import new_key
from tests.api.test_statements import counted
from tests.invariants import assert_consistent
from tests.waitlist.line import cancel, fresh, join, offer_of, somebody
from waitlist.models import WaitlistEntry

pytestmark = pytest.mark.django_db


def ids(answer):
    assert answer.status == 200, answer
    return [row["id"] for row in answer.data["results"]]


# -- joining ------------------------------------------------------------------------------------


def test_whoever_joins_is_told_everything_about_their_place(world):
    slot, _ = world.here.full_slot(max_bookings=1, max_units=3)
    join(slot)

    answer = world.here.as_customer().post("waitlist/", {"slot": str(slot.pk), "units": 2})

    assert answer.status == 201
    entry = WaitlistEntry.objects.get(customer=world.here.customer)
    assert answer.headers["ETag"] == '"v1"'
    assert answer.data == {
        "id": str(entry.pk),
        "customer": {"id": str(world.here.customer.pk), "name": world.here.customer.name},
        "resource": str(slot.resource_id),
        "resource_name": slot.resource.name,
        "time_zone": "Europe/Berlin",
        "slot": {
            "id": str(slot.pk),
            "starts_at": stamp(slot.starts_at),
            "ends_at": stamp(slot.ends_at),
            "time_zone": "Europe/Berlin",
            "resource": str(slot.resource_id),
            "resource_name": slot.resource.name,
        },
        "from": None,
        "until": None,
        "units": 2,
        "status": "waiting",
        "position": 2,
        "joined_at": stamp(entry.joined_at),
        "passed_over": 0,
        "passed_over_reason": "",
        "offer": None,
        "booking": None,
        "ended_at": None,
        "ended_reason": "",
        "version": 1,
    }
    assert world.here.as_customer().get(f"waitlist/{entry.pk}/").data == answer.data


def test_any_time_of_a_resource_can_be_waited_for(world):
    slot, booking = world.here.full_slot()
    since, until = slot.starts_at - timedelta(hours=1), slot.ends_at + timedelta(hours=1)
    body = {
        "resource": str(slot.resource_id),
        "from": since.isoformat(),
        "until": until.isoformat(),
    }
    client = world.here.as_customer()

    made = client.post("waitlist/", body).data

    assert (made["slot"], made["position"]) == (None, 1)
    assert (made["from"], made["until"]) == (stamp(since), stamp(until))
    cancel(booking)
    found = client.get(f"waitlist/{made['id']}/").data
    assert (found["status"], found["position"]) == ("offered", None)
    assert found["offer"]["slot"]["id"] == str(slot.pk)


def test_somebody_who_was_never_here_becomes_a_customer_by_waiting(world):
    slot, _ = world.here.full_slot()
    client = world.here.as_stranger()

    assert client.post("waitlist/", {"slot": str(slot.pk)}).status == 201
    assert len(ids(client.get("waitlist/"))) == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "slot"),
        ({"slot": "1"}, "slot"),
        ({"resource": None, "from": "2030-01-01"}, "resource"),
        ({"from": "2030-01-01", "until": "2030-01-02"}, "resource"),
        ({"from": "soon"}, "from"),
        ({"units": 0}, "units"),
        ({"units": 10_001}, "units"),
    ],
)
def test_what_cannot_be_waited_for_is_named(world, body, field):
    answer = world.here.as_customer().post("waitlist/", body)

    assert answer.problem() == (400, "invalid")
    assert field in answer.data["errors"]


def test_a_slot_and_a_window_are_not_waited_for_in_one(world):
    slot, _ = world.here.full_slot()
    body = {"slot": str(slot.pk), "resource": str(slot.resource_id), "until": "2030-01-01"}

    answer = world.here.as_customer().post("waitlist/", body)

    assert set(answer.data["errors"]) == {"resource", "until"}


@pytest.mark.parametrize(
    ("since", "until"),
    [("2030-01-02", "2030-01-01"), ("2030-01-01", "2030-09-01"), ("0001-01-02", "9999-12-31")],
)
def test_a_window_ends_after_it_begins_and_within_three_months(world, since, until):
    body = {"resource": str(world.here.resource.pk), "from": since, "until": until}

    answer = world.here.as_customer().post("waitlist/", body)

    assert list(answer.data["errors"]) == ["until"]


def test_more_people_than_ever_fit_cannot_wait(world):
    slot, _ = world.here.full_slot(max_bookings=1, max_units=3)

    answer = world.here.as_customer().post("waitlist/", {"slot": str(slot.pk), "units": 4})

    assert answer.problem() == (400, "invalid")
    assert list(answer.data["errors"]) == ["units"]
    assert "At most 3" in answer.data["detail"]


# -- the way there: slot_full -------------------------------------------------------------------


def book(place, body):
    return place.as_customer().post("bookings/", body | {"payment_method": "pay_on_arrival"})


def hold(place, body):
    return place.as_customer().post("cart/items/", body)


@pytest.mark.parametrize("ask", [book, hold])
def test_a_full_slot_leads_to_the_waitlist_where_there_is_one(world, ask):
    slot, _ = world.here.full_slot()
    bare = f.ResourceFactory(organization=world.here.organization, takes_waitlist=False)
    without, _ = world.here.full_slot(bare)
    large = world.here.slot(max_bookings=5, max_units=3)

    answers = [
        ask(world.here, {"slot": str(slot.pk)}),
        ask(world.here, {"slot": str(without.pk)}),
        ask(world.here, {"slot": str(large.pk), "units": 4}),
    ]

    assert {a.problem() for a in answers} == {(409, "slot_full")}
    assert [a.data["waitlist"] for a in answers] == [True, False, False]


@pytest.mark.parametrize("ask", [book, hold])
def test_nobody_waits_for_a_free_time(world, ask):
    court = world.here.court
    body = {"resource": str(court.pk), "starts_at": world.here.opening.isoformat(), "minutes": 60}
    first = world.here.as_other_customer().post("cart/items/", body)
    assert first.status == 201, first

    answer = ask(world.here, body)

    assert answer.problem() == (409, "slot_full")
    assert answer.data["waitlist"] is False
    slot = {"slot": first.data["slot"]["id"]}
    assert world.here.as_customer().post("waitlist/", slot).problem() == (409, "no_waitlist")


def test_whoever_is_refused_at_the_slot_gets_into_its_line(world):
    """A hold that ran out is the line's: nobody is sent from the slot to its line and back."""
    slot = world.here.slot()
    holder, first = somebody(slot), somebody(slot)
    f.hold(holder, slot)
    entry = join(slot, first)
    Booking.objects.filter(slot=slot).update(held_until=timezone.now())
    client, body = world.here.as_customer(), {"slot": str(slot.pk)}

    refused = client.post("cart/items/", body)
    joined = client.post("waitlist/", body)

    assert (refused.code, refused.data["waitlist"]) == ("slot_full", True)
    assert (joined.status, joined.data["position"]) == (201, 2)
    booking_services.expire_holds(actor=f.SYSTEM, now=timezone.now())
    assert fresh(entry).status == "offered"
    assert_consistent()


# -- looking ------------------------------------------------------------------------------------


def test_customers_see_their_own_and_staff_everybodys_newest_first(world):
    slot, _ = world.here.full_slot()
    other = join(slot)
    mine = join(slot, world.here.customer)
    there = world.there.waiting()

    assert ids(world.here.as_customer().get("waitlist/")) == [str(mine.pk)]
    for role in ("owner", "manager", "front_desk", "reviewer"):
        assert ids(world.here.as_role(role).get("waitlist/")) == [str(mine.pk), str(other.pk)]
    assert ids(world.here.as_stranger().get("waitlist/")) == []
    assert ids(world.there.as_customer().get("waitlist/")) == [str(there.pk)]


def test_a_provider_sees_who_waits_for_their_own_resources(world):
    provider = world.here.staff("provider")
    entry = world.here.waiting()
    world.here.waiting(world.here.free_resource)
    Resource.objects.filter(pk=entry.resource_id).update(provider=provider.user)
    client = world.here.client(provider)

    assert ids(client.get("waitlist/")) == [str(entry.pk)]
    assert client.delete(f"waitlist/{entry.pk}/").problem() == (403, "permission_denied")


def test_entries_are_filtered(world):
    first = world.here.waiting()
    second = world.here.waiting(world.here.free_resource)
    offered = world.here.offered()
    another = join(first.slot)
    client = world.here.as_role("manager")

    def found(**query):
        return set(ids(client.get("waitlist/", query=query)))

    def those(*entries):
        return {str(e.pk) for e in entries}

    assert found(slot=first.slot_id) == those(first, another)
    assert found(resource=second.resource_id) == those(second)
    assert found(customer=another.customer_id) == those(another)
    assert found(status="offered") == those(offered)
    assert found(status="waiting,offered") == those(first, second, offered, another)
    assert found(status="waiting", customer=world.here.customer.pk) == those(first, second)
    assert client.get("waitlist/", query={"status": "hoping"}).code == "invalid"
    assert client.get("waitlist/", query={"from": "2030-01-01"}).code == "invalid"


def test_a_page_leads_to_the_next(world):
    entries = [world.here.waiting() for _ in range(3)]
    client = world.here.as_customer()

    page = client.get("waitlist/", query={"page_size": 2})
    rest = client.get(page.data["next"].partition("testserver")[2])

    assert ids(page) + ids(rest) == [str(e.pk) for e in reversed(entries)]


def test_a_list_takes_the_same_for_one_and_for_fifty(world):
    """Sign-in (2), entries, their offers, positions, prices."""
    client = world.here.as_customer()
    taken = []
    for count in (1, 24):
        for _ in range(count):
            world.here.offered()
            world.here.waiting()
        with counted() as statements:
            answer = client.get("waitlist/")
        taken.append(statements)

    rows = answer.data["results"]
    assert len(rows) == 50
    assert {r["offer"]["price"] for r in rows if r["status"] == "offered"} == {"20.00"}
    assert {r["position"] for r in rows if r["status"] == "waiting"} == {1}
    assert [len(statements) for statements in taken] == [6, 6], taken


def test_joining_takes_at_most_20_for_any_number_in_line(world):
    slot, _ = world.here.full_slot()
    taken = []
    for count in (1, 20):
        for _ in range(count):
            join(slot)
        client = world.here.client(somebody(slot))
        with counted() as statements:
            answer = client.post("waitlist/", {"slot": str(slot.pk)}, key=new_key())
        assert answer.status == 201
        taken.append(statements)

    assert len({len(statements) for statements in taken}) == 1, taken
    assert len(taken[0]) <= 20, taken[0]


# -- the offer ----------------------------------------------------------------------------------


def test_an_offer_says_what_until_when_and_for_how_much(world):
    entry = world.here.offered()
    offer = offer_of(entry)

    answer = world.here.as_customer().get(f"waitlist/{entry.pk}/")

    assert answer.headers["ETag"] == f'"v{entry.version}"'
    assert answer.data["status"] == "offered"
    assert answer.data["position"] is None
    assert answer.data["offer"] == {
        "slot": answer.data["slot"],
        "answer_until": stamp(offer.expires_at),
        "booking": str(offer.booking_id),
        "price": "20.00",
        "currency": "EUR",
    }


def test_accepting_puts_it_into_the_cart_and_it_is_checked_out_like_anything(world):
    entry = world.here.offered()
    offer, client = offer_of(entry), world.here.as_customer()

    accepted = client.post(f"waitlist/{entry.pk}/accept/", key=new_key())

    assert accepted.status == 200
    assert (accepted.data["status"], accepted.data["offer"]) == ("accepted", None)
    assert accepted.data["booking"] == str(offer.booking_id)
    assert accepted.data["transaction"] is None
    item = accepted.data["item"]
    assert item["booking"] == str(offer.booking_id)
    assert (item["amount"], item["currency"]) == ("20.00", "EUR")
    assert item["hold_expires_at"] == stamp(offer.expires_at)
    assert client.get("cart/").data["items"] == [item]
    order = client.post("cart/checkout/", {"payment_method": "pay_on_arrival"}).data
    assert order["bookings"][0]["id"] == str(offer.booking_id)
    approved = world.here.as_role("manager").post(f"transactions/{order['id']}/approve/", {})
    assert approved.status == 200
    found = client.get(f"waitlist/{entry.pk}/").data
    assert (found["status"], found["booking"]) == ("fulfilled", str(offer.booking_id))
    assert found["ended_at"]
    assert_consistent()


def test_accepting_what_costs_nothing_books_it(world):
    entry = world.here.offered(world.here.free_resource)
    client = world.here.as_customer()

    accepted = client.post(f"waitlist/{entry.pk}/accept/").data

    assert (accepted["status"], accepted["item"]) == ("fulfilled", None)
    order = accepted["transaction"]
    assert (order["status"], order["amount"]) == ("approved", "0.00")
    assert [b["id"] for b in order["bookings"]] == [accepted["booking"]]
    # The answer is kept for retries, and so it has no code; the booking has.
    assert order["bookings"][0]["check_in_code"] is None
    assert client.get(f"bookings/{accepted['booking']}/").data["check_in_code"]
    assert client.get("cart/").data["items"] == []
    assert_consistent()


def test_an_accepted_place_is_left_through_the_cart(world):
    entry = world.here.offered()
    client = world.here.as_customer()
    item = client.post(f"waitlist/{entry.pk}/accept/").data["item"]

    assert client.delete(f"waitlist/{entry.pk}/").problem() == (409, "no_longer_waiting")
    assert client.delete(f"cart/items/{item['id']}/").status == 204

    assert client.get(f"waitlist/{entry.pk}/").data["status"] == "declined"
    assert_consistent()


def test_declining_passes_the_seats_on_and_keeps_the_reason(world):
    entry = world.here.offered()
    second = join(entry.slot)

    answer = world.here.as_customer().post(f"waitlist/{entry.pk}/decline/", {"reason": "Ill"})

    assert (answer.data["status"], answer.data["ended_reason"]) == ("declined", "Ill")
    assert answer.data["offer"] is None
    assert fresh(second).status == "offered"
    assert_consistent()


def test_leaving_frees_the_place(world):
    entry = world.here.waiting()
    second = join(entry.slot)
    client = world.here.as_customer()

    assert client.delete(f"waitlist/{entry.pk}/").status == 204

    found = client.get(f"waitlist/{entry.pk}/").data
    assert (found["status"], found["position"]) == ("left", None)
    place = world.here.client(second.customer).get(f"waitlist/{second.pk}/").data
    assert place["position"] == 1


@pytest.mark.parametrize("step", ["accept", "decline"])
def test_an_offer_that_ran_out_cannot_be_answered(world, step):
    entry = world.here.offered()
    booking = offer_of(entry).booking
    Booking.objects.filter(pk=booking.pk).update(held_until=timezone.now())
    booking_services.expire_holds(actor=f.SYSTEM, now=timezone.now())
    client = world.here.as_customer()

    assert client.post(f"waitlist/{entry.pk}/{step}/", {}).problem() == (409, "no_offer")
    assert client.get(f"waitlist/{entry.pk}/").data["status"] == "expired"


def test_the_trail_names_a_customer_even_if_they_work_here(world):
    """What becomes of an offer depends on who ended it: the customer, or the house."""
    entry = world.here.offered()
    f.MembershipFactory(
        organization=world.here.organization, user=world.here.customer.user, role="manager"
    )

    answer = world.here.as_customer().post(f"waitlist/{entry.pk}/decline/", {})

    assert answer.data["status"] == "declined"
    assert WaitlistEntry.history.filter(id=entry.pk).latest("history_id").actor_kind == "customer"


def test_who_was_passed_over_reads_why(world):
    slot = world.here.slot(max_bookings=3, max_units=3)
    holders = [somebody(slot) for _ in range(3)]
    bookings = [f.hold(h, slot) for h in holders]
    entry = join(slot, world.here.customer, units=2)
    join(slot)
    cancel(bookings[0])

    found = world.here.as_customer().get(f"waitlist/{entry.pk}/").data

    assert (found["status"], found["position"], found["passed_over"]) == ("waiting", 1, 1)
    assert found["passed_over_reason"] == "Needs 2 seats; 1 came free."


def test_resources_say_whether_there_is_a_waitlist(world):
    bare = f.ResourceFactory(organization=world.here.organization, takes_waitlist=False)
    client = world.here.as_stranger()

    def says(resource):
        return client.get(f"resources/{resource.pk}/").data["takes_waitlist"]

    assert [says(r) for r in (world.here.resource, bare, world.here.court)] == [True, False, False]
