"""How many statements an endpoint may send, sign-in and idempotency included (C6, C9, F2)."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import time, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests import factories as f
from tests.api.client import new_key

pytestmark = pytest.mark.django_db


class Counted:
    """Statements besides those that begin and end transactions."""

    def __init__(self) -> None:
        self.statements: list[str] = []

    def __len__(self) -> int:
        return len(self.statements)

    def __repr__(self) -> str:
        return "\n".join(f"{n:3} {s[:200]}" for n, s in enumerate(self.statements, 1))


@contextmanager
def counted():
    found = Counted()
    with CaptureQueriesContext(
        connection,
    ) as captured:
        yield found
    skipped = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE")
    found.statements = [
        sql for q in captured.captured_queries if not (sql := q["sql"] or "?").startswith(skipped)
    ]


def put_in_cart(world, client, **slot):
    made = world.here.slot(**slot)
    return client.post("cart/items/", {"slot": str(made.pk)}, key=new_key())


def test_adding_to_an_open_cart_takes_10(world):
    client = world.here.as_customer()
    assert put_in_cart(world, client).status == 201
    slot = world.here.slot(max_bookings=5)

    with counted() as statements:
        answer = client.post("cart/items/", {"slot": str(slot.pk)}, key=new_key())

    assert answer.status == 201
    assert len(statements) <= 10, statements


def test_adding_an_exclusive_resource_takes_two_more(world):
    client = world.here.as_customer()
    resource = f.ResourceFactory(organization=world.here.organization, exclusive=True)
    assert put_in_cart(world, client).status == 201
    slot = world.here.slot(resource=resource)

    with counted() as statements:
        answer = client.post("cart/items/", {"slot": str(slot.pk)}, key=new_key())

    assert answer.status == 201
    assert len(statements) <= 12, statements


def test_free_times_of_a_month_with_prices_take_6_and_2_of_the_sign_in(world):
    court = world.here.court
    f.PriceFactory(resource=court, basis="hour", from_time=time(12), priority=5)
    taken = []
    for days in (1, 31):
        since, until = world.here.opening, world.here.opening + timedelta(days=days)
        query = f"from={since.isoformat()}&to={until.isoformat()}".replace("+", "%2B")
        client = world.here.as_stranger()
        with counted() as statements:
            answer = client.get(f"resources/{court.pk}/free-times/?{query}")
        assert answer.status == 200
        assert len(answer.data["times"]) >= 96 * days - 1
        taken.append(statements)

    assert len({len(statements) for statements in taken}) == 1, taken
    assert len(taken[0]) <= 8, taken[0]


def test_counting_what_a_customer_has_takes_two_more(world):
    client = world.here.as_customer()
    resource = f.ResourceFactory(organization=world.here.organization, most_live_bookings=5)
    assert put_in_cart(world, client).status == 201
    slot = world.here.slot(resource=resource)

    with counted() as statements:
        answer = client.post("cart/items/", {"slot": str(slot.pk)}, key=new_key())

    assert answer.status == 201
    assert len(statements) <= 12, statements


@pytest.mark.parametrize("method", ["pay_now", "pay_on_arrival"])
def test_checkout_takes_the_same_for_any_number_of_items(world, method):
    client = world.here.as_customer()
    taken = []
    for count in (1, 2, 20):
        for _ in range(count):
            world.here.hold()
        with counted() as statements:
            answer = client.post("cart/checkout/", {"payment_method": method}, key=new_key())
        assert answer.status == 201
        assert len(answer.data["bookings"]) == count
        taken.append(statements)

    assert len({len(statements) for statements in taken}) == 1, taken
    assert len(taken[0]) <= 18, taken[0]


@pytest.mark.parametrize("count", [1, 10])
def test_a_checkout_that_is_confirmed_at_once_takes_at_most_25(world, count):
    client = world.here.as_customer()
    free = f.ResourceFactory(organization=world.here.organization)
    for _ in range(count):
        world.here.hold(resource=free)

    with counted() as statements:
        answer = client.post("cart/checkout/", {"payment_method": "free"}, key=new_key())

    assert answer.status == 201
    assert answer.data["status"] == "approved"
    assert len(statements) <= 25, statements


def test_approving_takes_the_same_for_any_number_of_bookings(world):
    client = world.here.as_role("reviewer")
    taken = []
    for count in (1, 10, 100):
        transaction, _ = world.here.submitted(count)
        with counted() as statements:
            answer = client.post(f"transactions/{transaction.pk}/approve/", {}, key=new_key())
        assert answer.status == 200
        assert [b["status"] for b in answer.data["bookings"]] == ["confirmed"] * count
        taken.append(statements)

    assert len({len(statements) for statements in taken}) == 1, taken
    assert len(taken[0]) <= 18, taken[0]


def test_checking_in_takes_at_most_12(world):
    booking = world.here.confirmed_today()
    client = world.here.as_role("front_desk")
    code = world.here.as_customer().get(f"bookings/{booking.pk}/").data["check_in_code"]

    with counted() as statements:
        answer = client.post("check-ins/", {"code": code}, key=new_key())

    assert answer.status == 200, answer
    assert len(statements) <= 12, statements


@pytest.mark.parametrize("available", ["", "true"])
def test_a_page_of_500_slots_takes_at_most_6(world, available):
    exclusive = f.ResourceFactory(organization=world.here.organization, exclusive=True)
    f.make_slots(exclusive, 250)
    f.make_slots(world.here.resource, 260, max_bookings=3)
    client = world.here.as_customer()

    with counted() as statements:
        answer = client.get("slots/", query={"page_size": 500, "available": available})

    assert len(answer.data["results"]) == 500
    assert len(statements) <= 6, statements


@pytest.mark.parametrize("count", [1, 12])
@pytest.mark.parametrize(("path", "most"), [("transactions/", 5), ("bookings/", 3)])
def test_a_list_takes_the_same_for_any_number_of_rows(world, path, most, count):
    for _ in range(count):
        world.here.submitted(2)
    client = world.here.as_role("manager")

    with counted() as statements:
        answer = client.get(path)

    assert len(answer.data["results"]) >= count
    assert len(statements) == most, statements
