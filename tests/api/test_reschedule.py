"""Moving a booking, and answering a proposal, over HTTP (B6, B11, F2)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from bookings.models import Booking, Proposal, Slot
from bookings.services.free_times import FreeTime
from payments.models import CartItem
from payments.services import checkout
from tests import factories as f
from tests.api.client import new_key
from tests.api.operations import if_match
from tests.api.test_statements import counted
from tests.api.world import booking_of

pytestmark = pytest.mark.django_db


def path(booking, step=""):
    return f"bookings/{booking.pk}/{step}/" if step else f"bookings/{booking.pk}/"


def place_of(booking):
    return Booking.objects.values_list("slot_id", "status").get(pk=booking.pk)


def taken(slot):
    return Slot.objects.get(pk=slot.pk).taken_bookings


def test_a_customer_moves_a_booking_and_reads_its_new_time(world):
    booking, slot = booking_of(world.here.transaction()), world.here.slot()
    client = world.here.as_customer()

    answer = client.post(
        path(booking, "reschedule"), {"slot": str(slot.pk)}, headers=if_match(booking)
    )

    assert answer.status == 200
    assert answer.data["slot"]["id"] == str(slot.pk)
    read = client.get(path(booking))
    assert answer.headers["ETag"] == read.headers["ETag"]
    assert answer.data == read.data


def test_the_same_request_twice_moves_once(world):
    booking, slot = world.here.confirmed(), world.here.slot()
    client, key = world.here.as_customer(), new_key()
    ask = {"slot": str(slot.pk), "reason": "Work"}

    first, second = (
        client.post(path(booking, "reschedule"), ask, key=key, headers=if_match(booking))
        for _ in range(2)
    )

    assert (first.status, first.data) == (second.status, second.data)
    assert second.headers["Idempotent-Replay"] == "true"
    assert Booking.objects.get(pk=booking.pk).version == booking.version + 1


@pytest.mark.parametrize("step", ["reschedule", "propose", "accept", "decline", "withdraw"])
def test_each_step_needs_the_version_that_was_read(world, step):
    booking = world.here.confirmed() if step in ("reschedule", "propose") else world.here.proposed()
    by_staff = step in ("propose", "withdraw")
    client = world.here.as_role("manager") if by_staff else world.here.as_customer()
    body = {"slot": str(world.here.slot().pk)} if step in ("reschedule", "propose") else {}
    before = place_of(booking)

    missing = client.post(path(booking, step), body)
    stale = client.post(path(booking, step), body, headers={"If-Match": '"v1"'})

    assert missing.problem() == (428, "precondition_required")
    assert stale.problem() == (412, "stale_version")
    assert place_of(booking) == before


@pytest.mark.parametrize("step", ["reschedule", "accept", "decline"])
def test_other_customers_and_strangers_find_nothing(world, step):
    booking, slot = world.here.proposed(), world.here.slot()
    before = place_of(booking)

    for client in (
        world.here.as_other_customer(),
        world.here.as_stranger(),
        world.there.as_role("manager"),
    ):
        answer = client.post(path(booking, step), {"slot": str(slot.pk)}, headers=if_match(booking))
        assert answer.problem() == (404, "not_found")
    assert place_of(booking) == before


def test_what_is_proposed_is_read_in_the_booking_and_in_lists(world):
    booking, slot = world.here.confirmed(), world.here.slot()
    manager, customer = world.here.as_role("manager"), world.here.as_customer()
    assert customer.get(path(booking)).data["proposal"] is None

    answer = manager.post(
        path(booking, "propose"),
        {"slot": str(slot.pk), "message": "The doctor is away"},
        headers=if_match(booking),
    )

    assert answer.status == 200
    proposal = answer.data["proposal"]
    assert proposal["slot"]["id"] == str(slot.pk)
    assert (proposal["message"], proposal["terms"]) == ("The doctor is away", "")
    made = Proposal.objects.get()
    assert made.proposed_by
    for client in (customer, manager):
        [listed] = client.get("bookings/").data["results"]
        assert listed["proposal"] == proposal
        assert (listed["id"], listed["status"]) == (str(booking.pk), "reschedule_proposed")
    assert customer.get(f"transactions/{listed['transaction']}/").data["bookings"][0][
        "proposal"
    ] == (proposal)


def test_a_proposal_says_that_the_price_stays_where_that_time_costs_more(world):
    booking, slot = world.here.confirmed(), world.here.slot()
    f.PriceFactory(resource=world.here.resource, amount=99, priority=9)
    paid = world.here.as_customer().get(path(booking)).data["amount"]

    answer = world.here.as_role("manager").post(
        path(booking, "propose"),
        {"slot": str(slot.pk), "accept_price": True},
        headers=if_match(booking),
    )

    assert answer.status == 200
    terms = f"the price stays {paid} EUR, today it would be 99.00 EUR"
    assert answer.data["proposal"]["terms"] == terms
    shown = world.here.as_customer().get(path(booking)).data
    assert (shown["proposal"]["terms"], shown["amount"]) == (terms, paid)


def test_the_customer_accepts_and_keeps_price_and_code(world):
    booking = world.here.proposed()
    slot = Proposal.objects.get().stand_in.slot
    f.PriceFactory(resource=world.here.resource, amount=99, priority=9)
    client = world.here.as_customer()
    before = client.get(path(booking)).data

    answer = client.post(path(booking, "accept"), headers=if_match(booking))

    assert answer.status == 200
    assert (answer.data["status"], answer.data["proposal"]) == ("confirmed", None)
    assert answer.data["slot"]["id"] == str(slot.pk)
    after = client.get(path(booking))
    assert after.headers["ETag"] == answer.headers["ETag"]
    for kept in ("amount", "currency", "check_in_code", "reference"):
        assert after.data[kept] == before[kept]
    assert (taken(booking.slot), taken(slot)) == (0, 1)


@pytest.mark.parametrize(("step", "status"), [("decline", "declined"), ("withdraw", "withdrawn")])
def test_a_proposal_that_is_given_up_leaves_the_booking_where_it_is(world, step, status):
    booking = world.here.proposed()
    slot = Proposal.objects.get().stand_in.slot
    client = world.here.as_customer() if step == "decline" else world.here.as_role("front_desk")

    answer = client.post(path(booking, step), {"reason": "No"}, headers=if_match(booking))

    assert answer.status == 200
    assert (answer.data["status"], answer.data["proposal"]) == ("confirmed", None)
    assert place_of(booking) == (booking.slot_id, "confirmed")
    assert Proposal.objects.get().status == status
    assert (taken(booking.slot), taken(slot)) == (1, 0)


def test_what_holds_a_proposed_time_is_no_booking_of_the_api(world):
    booking = world.here.proposed()
    stand_in = Proposal.objects.get().stand_in
    headers = if_match(stand_in)

    for client in (world.here.as_customer(), world.here.as_role("owner")):
        assert client.get(path(stand_in)).problem() == (404, "not_found")
        answer = client.post(path(stand_in, "cancel"), {"reason": "No"}, headers=headers)
        assert answer.problem() == (404, "not_found")
        assert [b["id"] for b in client.get("bookings/").data["results"]] == [str(booking.pk)]
    assert not CartItem.objects.filter(booking=stand_in).exists()
    assert Proposal.objects.get().status == "open"


def test_staff_let_a_booking_keep_its_price(world):
    booking, slot = world.here.confirmed(), world.here.slot()
    f.PriceFactory(resource=world.here.resource, amount=25, priority=9)
    client = world.here.as_role("front_desk")
    ask = {"slot": str(slot.pk), "reason": "The hall is closed"}

    refused = client.post(path(booking, "reschedule"), ask, headers=if_match(booking))
    moved = client.post(
        path(booking, "reschedule"), ask | {"accept_price": True}, headers=if_match(booking)
    )

    assert refused.problem() == (409, "price_differs")
    assert (moved.status, moved.data["amount"]) == (200, "20.00")


def test_providers_propose_their_own_times_and_move_nothing(world):
    provider = world.here.staff("provider")
    world.here.resource.provider = provider.user
    world.here.resource.save()
    client = world.here.client(provider)
    booking, slot = world.here.confirmed(), world.here.slot()
    others = world.here.slot(resource=world.here.free_resource)

    def send(step, target):
        body = {"slot": str(target.pk)}
        return client.post(path(booking, step), body, headers=if_match(booking))

    assert send("reschedule", slot).problem() == (403, "permission_denied")
    assert send("propose", others).problem() == (403, "permission_denied")
    assert send("propose", slot).status == 200


def test_a_provider_proposes_nothing_for_a_booking_of_their_own_at_somebody_else(world):
    provider = world.here.staff("provider")
    me = f.CustomerFactory(organization=world.here.organization, user=provider.user)
    made = f.check_out(me, world.here.slot(resource=world.here.free_resource), method="free")
    if made.status != "approved":
        f.approve(made)
    booking = booking_of(made)
    mine = f.ResourceFactory(organization=world.here.organization, provider=provider.user)

    answer = world.here.client(provider).post(
        path(booking, "propose"),
        {"slot": str(world.here.slot(resource=mine).pk)},
        headers=if_match(booking),
    )

    assert answer.problem() == (404, "not_found")
    assert not Proposal.objects.exists()


def test_a_list_costs_the_same_however_many_proposals_are_in_it(world):
    client = world.here.as_role("manager")

    def costs():
        with counted() as statements:
            assert client.get("bookings/").status == 200
        with counted() as more:
            assert client.get("transactions/").status == 200
        return len(statements), len(more)

    world.here.proposed()
    few = costs()
    for _ in range(4):
        world.here.proposed()
    assert costs() == few


# Free times


def court_booking(place, hour=10):
    """A confirmed booking of the court that is booked at free times."""
    made = checkout.book(
        organization=place.organization,
        customer=place.customer,
        slot_id=FreeTime(place.court.pk, place.opening + timedelta(hours=hour), 60),
        units=1,
        payment_method="pay_on_arrival",
        actor=f.actor_of(place.customer),
        now=timezone.now(),
    )
    if made.status != "approved":
        f.approve(made)
    return booking_of(made)


def free_time(place, hour, minutes=60):
    starts_at = place.opening + timedelta(hours=hour)
    return {
        "resource": str(place.court.pk),
        "starts_at": starts_at.isoformat(),
        "minutes": minutes,
    }


def test_a_customer_moves_to_a_free_time_that_overlaps_their_own(world):
    booking = court_booking(world.here)
    client = world.here.as_customer()
    later = free_time(world.here, 10.5)

    answer = client.post(path(booking, "reschedule"), later, headers=if_match(booking))

    assert answer.status == 200, answer.data
    slot = Booking.objects.get(pk=booking.pk).slot
    assert answer.data["slot"]["id"] == str(slot.pk)
    assert slot.starts_at == world.here.opening + timedelta(hours=10.5)
    assert (taken(slot), taken(booking.slot)) == (1, 0)


def test_staff_propose_a_free_time_and_the_customer_accepts(world):
    booking = court_booking(world.here)
    manager, customer = world.here.as_role("manager"), world.here.as_customer()

    answer = manager.post(
        path(booking, "propose"), free_time(world.here, 14), headers=if_match(booking)
    )

    assert answer.status == 200, answer.data
    proposed = answer.data["proposal"]["slot"]["id"]
    etag = {"If-Match": answer.headers["ETag"]}
    assert customer.post(path(booking, "accept"), {}, headers=etag).status == 200
    assert str(place_of(booking)[0]) == proposed


def test_a_slot_and_a_free_time_are_not_both_said_and_one_of_them_is(world):
    booking, slot = world.here.confirmed(), world.here.slot()
    client = world.here.as_customer()

    for body in (
        {},
        free_time(world.here, 10) | {"slot": str(slot.pk)},
        {"resource": str(world.here.court.pk)},
    ):
        answer = client.post(path(booking, "reschedule"), body, headers=if_match(booking))
        assert answer.problem() == (400, "invalid"), body
