"""Idempotency over HTTP, with real connections and commits. Serves F2; promises 2, 3, 18."""

from __future__ import annotations

import threading

import pytest
from django.db import connection

from audit.models import IdempotencyKey
from bookings.models import Booking
from payments.models import CartTransaction
from payments.services import checkout
from tests import factories as f
from tests.api.client import Client, new_key
from tests.api.world import World
from tests.concurrency import race

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def place():
    return World().here


def test_a_request_sent_eight_times_at_once_is_done_once(place):
    slot, key = place.slot(max_bookings=9), new_key()
    clients = [place.as_customer() for _ in range(8)]

    answers = race(
        *[lambda c=c: c.post("cart/items/", {"slot": str(slot.pk)}, key=key) for c in clients]
    )

    statuses = {a.status for a in answers}
    assert statuses <= {201, 409}
    assert 201 in statuses
    assert {a.code for a in answers if a.status == 409} <= {"idempotency_in_progress"}
    assert len({a.body for a in answers if a.status == 201}) == 1
    assert Booking.objects.count() == 1
    again = clients[0].post("cart/items/", {"slot": str(slot.pk)}, key=key)
    assert again.headers["Idempotent-Replay"] == "true"


def test_without_a_key_each_is_done(place):
    """The control: it is the key that makes them one."""
    slot = place.slot(max_bookings=9)
    clients = [place.as_customer() for _ in range(4)]

    answers = race(*[lambda c=c: c.post("cart/items/", {"slot": str(slot.pk)}) for c in clients])

    assert [a.status for a in answers] == [201] * 4
    assert Booking.objects.count() == 4


def test_the_second_is_told_while_the_first_is_at_work(place, monkeypatch):
    place.hold()
    client, key = place.as_customer(), new_key()
    inside, go_on = threading.Event(), threading.Event()
    check_out = checkout.check_out

    def slowly(**kwargs):
        inside.set()
        assert go_on.wait(20)
        return check_out(**kwargs)

    monkeypatch.setattr(checkout, "check_out", slowly)
    answers = []

    def first():
        try:
            answers.append(client.post("cart/checkout/", {"payment_method": "pay_now"}, key=key))
        finally:
            connection.close()

    thread = threading.Thread(target=first)
    thread.start()
    assert inside.wait(20)
    second = place.as_customer().post("cart/checkout/", {"payment_method": "pay_now"}, key=key)
    go_on.set()
    thread.join(20)
    third = place.as_customer().post("cart/checkout/", {"payment_method": "pay_now"}, key=key)

    assert second.problem() == (409, "idempotency_in_progress")
    assert answers[0].status == third.status == 201
    assert third.body == answers[0].body
    assert CartTransaction.objects.count() == 1


def test_what_failed_of_our_own_fault_may_be_tried_again_with_the_same_key(place, monkeypatch):
    place.hold()
    client, key = place.as_customer(), new_key()
    monkeypatch.setattr(checkout, "_freeze", lambda *a, **k: 1 / 0)

    broken = client.post("cart/checkout/", {"payment_method": "pay_now"}, key=key, check=False)
    monkeypatch.undo()
    mended = client.post("cart/checkout/", {"payment_method": "pay_now"}, key=key)

    assert broken.problem() == (500, "internal")
    assert mended.status == 201
    assert "Idempotent-Replay" not in mended.headers


def test_a_refusal_is_kept_and_a_bad_request_is_not(place):
    client, key = place.as_customer(), new_key()

    bad = client.post("cart/items/", {"slot": "x"}, key=key)
    slot = place.slot()
    f.hold(f.CustomerFactory(organization=place.organization), slot)
    full = client.post("cart/items/", {"slot": str(slot.pk)}, key=key)
    Booking.objects.update(held_until="2020-01-01T00:00:00Z")
    again = client.post("cart/items/", {"slot": str(slot.pk)}, key=key)

    assert bad.status == 400
    assert full.problem() == (409, "slot_full")
    assert (again.status, again.body) == (full.status, full.body)
    assert IdempotencyKey.objects.count() == 1


def test_a_key_is_its_users_and_its_routes(place):
    key = new_key()
    first, second = place.as_customer(), place.as_other_customer()
    slot = place.slot(max_bookings=9)

    answers = [
        first.post("cart/items/", {"slot": str(slot.pk)}, key=key),
        second.post("cart/items/", {"slot": str(slot.pk)}, key=key),
        first.post("cart/checkout/", {"payment_method": "pay_now"}, key=key),
    ]

    assert [a.status for a in answers] == [201, 201, 201]
    assert not any("Idempotent-Replay" in a.headers for a in answers)


def test_a_key_used_for_another_object_is_refused(place):
    key, client = new_key(), place.as_role("manager")
    (first, _), (second, _) = place.submitted(), place.submitted()

    one = client.post(f"transactions/{first.pk}/approve/", {}, key=key)
    other = client.post(f"transactions/{second.pk}/approve/", {}, key=key)

    assert one.status == 200
    assert other.problem() == (422, "idempotency_key_reused")
    second.refresh_from_db()
    assert second.status == "under_review"


def test_an_empty_key_is_no_key(place):
    slot = place.slot(max_bookings=9)
    client = place.as_customer()

    for _ in range(2):
        answer = client.post("cart/items/", {"slot": str(slot.pk)}, headers={"Idempotency-Key": ""})
        assert answer.status == 201

    assert Booking.objects.count() == 2
    assert isinstance(client, Client)
