"""Nobody reaches what is not theirs: role × endpoint × foreign id (F1; promises 1, 2, 8, 19).

The endpoints come from the OpenAPI document, which a test compares with the URL patterns, so
that a new one is in the matrix at once.
"""

from __future__ import annotations

import pytest

from bookings.models import Booking, CheckInCode
from payments.models import CartTransaction, Proof, Refund
from tests import factories as f
from tests.api.operations import EXAMPLES, operations
from tests.api.world import ROLES, World, booking_of
from waitlist.models import WaitlistEntry

pytestmark = pytest.mark.django_db

WITH_ID = sorted(name for name, (_, path) in operations().items() if "{id}" in path)
# They take the id of what they are about in the body.
WITH_ID_INSIDE = ["add_to_cart", "book", "check_in", "join_waitlist"]
# Whoever is signed in sees what an organisation offers.
PUBLIC = {"get_resource", "list_free_times"}
PEOPLE = [*ROLES, "customer", "stranger"]


def person(place, who):
    if who == "stranger":
        return place.as_stranger()
    return place.as_other_customer() if who == "customer" else place.as_role(who)


def state() -> dict[str, list]:
    """Everything a request in the matrix could change."""
    return {
        "bookings": list(Booking.objects.order_by("pk").values_list("pk", "status", "version")),
        "transactions": list(
            CartTransaction.objects.order_by("pk").values_list("pk", "status", "version")
        ),
        "refunds": list(Refund.objects.order_by("pk").values_list("pk", "status", "verified")),
        "proofs": list(Proof.objects.order_by("pk").values_list("pk", "status")),
        "waitlist": list(WaitlistEntry.objects.order_by("pk").values_list("pk", "status")),
        "codes": list(CheckInCode.objects.order_by("pk").values_list("pk", "used_at")),
    }


@pytest.mark.parametrize("who", PEOPLE)
@pytest.mark.parametrize("name", WITH_ID)
def test_a_foreign_id_in_ones_own_organisation_is_not_found(world, name, who):
    call = EXAMPLES[name](world.there)
    before = state()

    answer = call.send(person(world.here, who))

    assert answer.problem() == (404, "not_found")
    assert state() == before


@pytest.mark.parametrize("who", PEOPLE)
@pytest.mark.parametrize("name", [n for n in WITH_ID if n not in PUBLIC])
def test_in_the_other_organisation_one_is_nobody(world, name, who):
    call = EXAMPLES[name](world.there)
    before = state()
    intruder = person(world.here, who)
    intruder.org = "there"

    answer = call.send(intruder)

    assert answer.problem() == (404, "not_found")
    assert state() == before


@pytest.mark.parametrize("who", PEOPLE)
@pytest.mark.parametrize("name", WITH_ID_INSIDE)
def test_a_foreign_id_inside_a_request_is_not_found(world, name, who):
    call = EXAMPLES[name](world.there)
    before = state()

    answer = call.send(person(world.here, who))

    expected = {(404, "not_found")}
    if name == "check_in":
        may = who in ("owner", "manager", "front_desk", "provider")
        expected = {(404, "unknown_code") if may else (403, "permission_denied")}
    assert answer.problem() in expected
    assert state() == before


@pytest.mark.parametrize("who", PEOPLE)
@pytest.mark.parametrize(
    "name", ["list_transactions", "list_bookings", "list_refunds", "list_waitlist", "get_cart"]
)
def test_lists_show_nothing_of_another_organisation(world, name, who):
    call = EXAMPLES[name](world.there)
    assert call.send().data.get("results") or call.send().data.get("items")

    inside = call.send(person(world.here, who))
    intruder = person(world.here, who)
    intruder.org = "there"
    outside = call.send(intruder)

    for answer in (inside, outside):
        assert answer.status == 200
        assert not answer.data.get("results")
        assert not answer.data.get("items")


@pytest.mark.parametrize("name", [n for n in WITH_ID if n not in PUBLIC])
def test_another_customer_of_the_same_organisation_finds_nothing(world, name):
    call = EXAMPLES[name](world.here)
    before = state()

    answer = call.send(world.here.as_other_customer())

    assert answer.problem() == (404, "not_found")
    assert state() == before


STAFF_ONLY = {
    "approve_transaction": {"owner", "manager", "reviewer"},
    "reject_transaction": {"owner", "manager", "reviewer"},
    "take_payment": {"owner", "manager", "front_desk"},
    "check_in": {"owner", "manager", "front_desk"},
    "give_back": {"owner", "manager", "reviewer"},
    "settle_refund": {"owner", "manager", "reviewer"},
    "waive_refund": {"owner", "manager", "reviewer"},
    "reopen_refund": {"owner", "manager", "reviewer"},
    "verify_refund": {"owner", "manager", "reviewer"},
}
STAFF_OR_OWNER = {
    "cancel_transaction": {"owner", "manager", "front_desk", "reviewer"},
    "cancel_booking": {"owner", "manager", "front_desk", "reviewer"},
}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(("name", "allowed"), list((STAFF_ONLY | STAFF_OR_OWNER).items()))
def test_each_role_does_what_it_may_and_nothing_else(world, name, allowed, role):
    call = EXAMPLES[name](world.here)
    before = state()

    answer = call.send(world.here.as_role(role))

    if role in allowed:
        assert answer.status == 200, answer
        assert state() != before
    else:
        # A provider sees neither the transactions of others nor bookings of others' resources.
        hidden = "unknown_code" if name == "check_in" else "not_found"
        expected = (404, hidden) if role == "provider" else (403, "permission_denied")
        assert answer.problem() == expected
        assert state() == before


@pytest.mark.parametrize("name", STAFF_ONLY)
def test_a_customer_may_not_do_with_their_own_what_staff_do(world, name):
    call = EXAMPLES[name](world.here)
    before = state()

    answer = call.send(world.here.as_customer())

    assert answer.problem() == (403, "permission_denied")
    assert state() == before


@pytest.mark.parametrize("name", STAFF_OR_OWNER)
def test_a_customer_may_cancel_their_own(world, name):
    assert EXAMPLES[name](world.here).send(world.here.as_customer()).status == 200


def test_a_provider_sees_and_cancels_only_what_they_may(world):
    provider = world.here.staff("provider")
    world.here.resource.provider = provider.user
    world.here.resource.save()
    booking = booking_of(world.here.transaction())
    client = world.here.client(provider)

    assert client.get(f"bookings/{booking.pk}/").status == 200
    answer = client.post(
        f"bookings/{booking.pk}/cancel/", {"reason": "Ill"}, headers={"If-Match": "*"}
    )

    assert answer.problem() == (403, "permission_denied")
    booking.refresh_from_db()
    assert booking.status == "pending"


def test_somebody_is_staff_in_one_and_customer_in_the_other(world):
    staff = world.here.staff("manager")
    f.CustomerFactory(organization=world.there.organization, user=staff.user)
    transaction, _ = world.there.submitted()
    client = world.here.client(staff)
    client.org = "there"

    answer = client.post(f"transactions/{transaction.pk}/approve/", {})

    assert answer.problem() == (404, "not_found")
    assert client.get("transactions/").data["results"] == []


def test_a_superuser_works_everywhere(world):
    transaction, _ = world.there.submitted()
    root = f.UserFactory(is_superuser=True, is_staff=True)

    answer = world.there.client(root).post(f"transactions/{transaction.pk}/approve/", {})

    assert answer.status == 200


def test_only_the_owner_of_an_order_uploads_for_it(world):
    transaction = world.here.transaction()

    answer = world.here.as_role("owner").upload(f"transactions/{transaction.pk}/proofs/", f.png())

    assert answer.problem() == (404, "not_found")
    assert not Proof.objects.exists()


def test_the_check_in_code_is_shown_to_its_customer_alone(world):
    booking = world.here.confirmed()
    path = f"bookings/{booking.pk}/"

    assert world.here.as_customer().get(path).data["check_in_code"]
    for role in ("owner", "front_desk", "reviewer"):
        assert world.here.as_role(role).get(path).data["check_in_code"] is None
        listed = world.here.as_role(role).get("bookings/").data["results"]
        assert [b["check_in_code"] for b in listed] == [None]


def test_customers_are_not_told_who_decided(world):
    transaction = world.here.approved()
    path = f"transactions/{transaction.pk}/"

    assert world.here.as_customer().get(path).data["decided_by"] is None
    assert world.here.as_role("manager").get(path).data["decided_by"]


def test_there_are_two_worlds():
    """The fixtures are what the matrix takes them for."""
    world = World()
    assert world.here.customer.organization != world.there.customer.organization
