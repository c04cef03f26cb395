"""Cart and checkout over HTTP. Serves A1, A2, B4."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from bookings.models import Booking, Customer
from payments.models import CartItem, CartTransaction, PaymentPolicy
from tests import factories as f
from tests.api.client import new_key

pytestmark = pytest.mark.django_db


def test_an_item_holds_its_seats_for_as_long_as_the_organisation_says(world):
    world.here.organization.hold_minutes = 7
    world.here.organization.save()
    slot = world.here.slot(max_bookings=5)
    before = timezone.now()

    answer = world.here.as_customer().post("cart/items/", {"slot": str(slot.pk), "units": 2})

    assert answer.status == 201
    expires = datetime.fromisoformat(answer.data["hold_expires_at"])
    assert timedelta(minutes=7) <= expires - before < timedelta(minutes=8)
    slot.refresh_from_db()
    assert (slot.taken_bookings, slot.taken_units) == (1, 2)
    assert answer.data["units"] == 2
    assert (answer.data["amount"], answer.data["currency"]) == ("20.00", "EUR")


def test_a_stranger_becomes_a_customer_with_their_first_item(world):
    client = world.here.as_stranger()
    slot = world.here.slot()

    answer = client.post("cart/items/", {"slot": str(slot.pk)})

    assert answer.status == 201
    customer = Customer.objects.get(user=client.user)
    assert customer.organization == world.here.organization
    assert Booking.objects.get().customer == customer
    assert customer.history.get().actor_id == client.user.pk


def test_a_stranger_who_is_refused_does_not_become_a_customer(world):
    client = world.here.as_stranger()

    assert client.post("cart/items/", {"slot": str(f.some_id())}).status == 404
    assert client.post("cart/checkout/", {"payment_method": "free"}).status == 409

    assert not Customer.objects.filter(user=client.user).exists()


def test_the_answer_of_a_post_is_what_the_cart_shows(world):
    client = world.here.as_customer()
    slot = world.here.slot()

    item = client.post("cart/items/", {"slot": str(slot.pk)}).data
    cart = client.get("cart/").data

    assert cart["items"] == [item]
    assert cart["totals"] == [{"currency": "EUR", "amount": "20.00"}]


def test_a_cart_of_two_currencies_has_two_totals(world):
    swiss = f.ResourceFactory(organization=world.here.organization)
    f.PriceFactory(resource=swiss, currency="CHF", amount=Decimal("5.50"))
    world.here.hold()
    world.here.hold(resource=swiss)
    world.here.hold(resource=swiss)

    totals = world.here.as_customer().get("cart/").data["totals"]

    assert totals == [
        {"currency": "CHF", "amount": "11.00"},
        {"currency": "EUR", "amount": "20.00"},
    ]


def test_an_empty_cart_is_no_error(world):
    for client in (world.here.as_customer(), world.here.as_stranger()):
        assert client.get("cart/").data == {"items": [], "totals": []}
        assert client.delete("cart/").status == 204


def test_a_removed_item_gives_its_seats_back_at_once(world):
    client, slot = world.here.as_customer(), world.here.slot()
    item = client.post("cart/items/", {"slot": str(slot.pk)}).data

    assert client.delete(f"cart/items/{item['id']}/").status == 204

    slot.refresh_from_db()
    assert slot.taken_bookings == 0
    assert CartItem.objects.get().status == "cancelled"
    assert client.get("cart/").data["items"] == []
    assert client.delete(f"cart/items/{item['id']}/").problem() == (404, "not_found")


def test_emptying_the_cart_gives_everything_back(world):
    for _ in range(3):
        world.here.hold()

    assert world.here.as_customer().delete("cart/").status == 204

    assert set(Booking.objects.values_list("status", flat=True)) == {"cancelled"}


def test_an_expired_hold_is_somebody_elses_at_once(world):
    slot = world.here.slot()
    mine = f.hold(world.here.customer, slot)
    Booking.objects.filter(pk=mine.pk).update(held_until=timezone.now())

    answer = world.here.as_other_customer().post("cart/items/", {"slot": str(slot.pk)})

    assert answer.status == 201
    mine.refresh_from_db()
    assert mine.status == "expired"


BAD_ITEMS = [
    ({}, "slot"),
    ({"slot": None}, "slot"),
    ({"slot": ""}, "slot"),
    ({"slot": 1}, "slot"),
    ({"slot": []}, "slot"),
    ({"slot": {}}, "slot"),
    ({"slot": "x"}, "slot"),
    ({"slot": "\x00" * 36}, "slot"),
    ({"slot": "0" * 36}, "slot"),
    ({"slot": "\ud800"}, "slot"),
    ({"units": 0}, "units"),
    ({"units": -1}, "units"),
    ({"units": 10_001}, "units"),
    ({"units": 10**30}, "units"),
    ({"units": 1.5}, "units"),
    ({"units": True}, "units"),
    ({"units": "many"}, "units"),
    ({"units": [1]}, "units"),
]


@pytest.mark.parametrize(("body", "field"), BAD_ITEMS)
@pytest.mark.parametrize("path", ["cart/items/", "bookings/"])
def test_a_bad_item_is_refused_and_named(world, path, body, field):
    slot = world.here.slot(max_bookings=5)
    sent = {"slot": str(slot.pk), "payment_method": "pay_on_arrival"} | body
    if body == {}:
        del sent["slot"]

    answer = world.here.as_customer().post(path, sent)

    assert answer.problem() == (400, "invalid")
    assert list(answer.data["errors"]) == [field]
    assert not Booking.objects.exists()


def test_what_a_client_says_about_price_and_status_does_not_count(world):
    slot = world.here.slot()
    lies = {"price": "0.01", "amount": "0.01", "status": "confirmed", "customer": str(f.some_id())}

    item = world.here.as_customer().post("cart/items/", {"slot": str(slot.pk)} | lies).data
    made = world.here.as_customer().post("cart/checkout/", {"payment_method": "pay_now"} | lies)

    assert item["amount"] == "20.00"
    assert (made.data["amount"], made.data["status"]) == ("20.00", "pending")
    assert made.data["bookings"][0]["status"] == "pending"


def test_checkout_makes_one_transaction_with_a_booking_for_each_item(world):
    PaymentPolicy.objects.create(
        organization=world.here.organization, instructions="To IBAN DE00, please."
    )
    held = [world.here.hold() for _ in range(3)]
    client = world.here.as_customer()

    answer = client.post("cart/checkout/", {"payment_method": "pay_now", "note": "Hi"})

    assert answer.status == 201
    assert (answer.data["status"], answer.data["payment_status"]) == ("pending", "pending")
    assert (answer.data["amount"], answer.data["currency"]) == ("60.00", "EUR")
    assert answer.data["note"] == "Hi"
    assert answer.data["payment_instructions"] == "To IBAN DE00, please."
    assert [b["id"] for b in answer.data["bookings"]] == [str(b.pk) for b in held]
    assert {b["status"] for b in answer.data["bookings"]} == {"pending"}
    assert {b["amount"] for b in answer.data["bookings"]} == {"20.00"}
    assert client.get("cart/").data["items"] == []
    assert CartTransaction.objects.count() == 1


def test_the_answer_of_a_checkout_is_what_the_transaction_shows(world):
    world.here.hold()
    client = world.here.as_customer()

    made = client.post("cart/checkout/", {"payment_method": "pay_now"})
    read = client.get(f"transactions/{made.data['id']}/")

    assert made.data == read.data
    assert made.headers["ETag"] == read.headers["ETag"] == f'"v{made.data["version"]}"'


def test_what_is_free_is_confirmed_at_once_and_has_its_code(world):
    world.here.hold(resource=world.here.free_resource)
    client = world.here.as_customer()

    made = client.post("cart/checkout/", {"payment_method": "pay_now"})

    assert (made.data["status"], made.data["payment_method"]) == ("approved", "free")
    assert made.data["payment_status"] == "paid"
    [booking] = made.data["bookings"]
    assert booking["status"] == "confirmed"
    assert booking["check_in_code"] is None, "an answer that is kept has no code in it"
    read = client.get(f"transactions/{made.data['id']}/")
    [shown] = read.data["bookings"]
    assert shown.pop("check_in_code")
    assert booking.pop("check_in_code") is None
    assert read.data == made.data
    assert read.headers["ETag"] == made.headers["ETag"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "payment_method"),
        ({"payment_method": "gold"}, "payment_method"),
        ({"payment_method": 1}, "payment_method"),
        ({"payment_method": ["pay_now"]}, "payment_method"),
        ({"payment_method": {"a": 1}}, "payment_method"),
        ({"payment_method": "pay_now", "note": "x" * 2_001}, "note"),
        ({"payment_method": "pay_now", "note": "\x00"}, "note"),
        ({"payment_method": "pay_now", "note": "\ud83d"}, "note"),
        ({"payment_method": "pay_now", "note": 1}, "note"),
    ],
)
def test_a_bad_checkout_is_refused_and_the_cart_stays(world, body, field):
    world.here.hold()
    client = world.here.as_customer()

    answer = client.post("cart/checkout/", body, key=new_key())

    assert answer.problem() == (400, "invalid")
    assert list(answer.data["errors"]) == [field]
    assert len(client.get("cart/").data["items"]) == 1
    assert not CartTransaction.objects.exists()
