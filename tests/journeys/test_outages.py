"""Parts of the running system die, and nothing that was promised is lost (A3, A4, B4, B9, C4, D7).

Seeded, so that a failure can be run again.
"""

import random
import threading
import time
import uuid

import httpx
import pytest
from django.db import connection

from audit.models import Delivery
from bookings.models import Booking, Slot
from payments.models import CartItem, CartTransaction
from tests import factories as f
from tests.faults import other_session
from tests.invariants import assert_consistent
from tests.journeys.people import (
    add,
    all_at_once,
    check_out,
    crowd,
    customer_of,
    nothing_is_owed,
    staff_of,
    upload,
)
from tests.journeys.system import eventually

pytestmark = [
    pytest.mark.system,
    pytest.mark.xdist_group("system"),
    pytest.mark.django_db(transaction=True),
]

SEED = 20261120


def nobody_takes_deliveries():
    """PostgreSQL still commits what a process had asked for when it was killed."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT NOT EXISTS (SELECT FROM pg_locks WHERE pid <> pg_backend_pid()"
            " AND relation = 'audit_delivery'::regclass AND mode <> 'AccessShareLock')"
        )
        return cursor.fetchone()[0]


def test_mails_that_were_due_when_the_worker_was_killed_arrive_with_one_id_each(
    system, shop, monkeypatch
):
    customers = [customer_of(system, shop) for _ in range(8)]
    slots = f.make_slots(shop, 8)
    third_mail, killed = threading.Event(), threading.Event()
    seen = []

    def before_each():
        seen.append(1)
        if len(seen) == 3:
            third_mail.set()
            killed.wait(30)

    monkeypatch.setattr(system.mail, "before_each", before_each)
    for customer, slot in zip(customers, slots, strict=True):
        check_out(customer, slot)
    assert third_mail.wait(30)
    system.kill("worker")
    eventually(nobody_takes_deliveries)
    killed.set()
    assert Delivery.objects.filter(status="sending").exists()

    # The lease of a worker that died runs out after minutes; here at once.
    Delivery.objects.filter(status="sending").update(next_attempt_at="2000-01-01T00:00Z")
    system.start_part("worker")
    eventually(nothing_is_owed, seconds=60)

    for customer in customers:
        assert len({m["Message-ID"] for m in system.mail.to(customer.email)}) == 1
    came = sum(len(system.mail.to(c.email)) for c in customers)
    assert came in (8, 9), "only the one that was on its way may have come twice"
    assert_consistent()


def test_without_redis_bookings_go_on_and_mails_arrive_when_it_is_back(system, shop):
    system.kill_valkey()
    try:
        customer, staff = customer_of(system, shop), staff_of(system, shop)
        began = time.monotonic()
        order = check_out(customer, *f.make_slots(shop, 2))
        upload(customer, order)
        staff.did(f"transactions/{order['id']}/approve/")
        rejected = check_out(customer, f.make_slot(shop, starts_at=f.soon(99)))
        upload(customer, rejected)
        staff.did(f"transactions/{rejected['id']}/reject/", {"reason": "not received"})

        assert time.monotonic() - began < 15, "nobody waits for Redis"
        assert httpx.get(f"{system.url}/readyz/").json()["redis"] == "away"
        assert CartTransaction.objects.get(pk=order["id"]).status == "approved"
        assert system.mail.to(customer.email) == []
        assert_consistent()
    finally:
        system.valkey.start()

    eventually(nothing_is_owed, seconds=90)
    told = [m["subject"] for m in system.mail.to(customer.email)]
    assert sum(order["reference"] in subject for subject in told) == 3, told
    assert httpx.get(f"{system.url}/readyz/").json()["redis"] == "ok"
    assert_consistent()


SLOTS, SEATS, PEOPLE = 8, 4, 12


class Buyer:
    """Takes seats until there are none. What has no answer is asked again with the same key."""

    def __init__(self, person, slots, seed):
        self.person = person
        self.slots = list(slots)
        random.Random(seed).shuffle(self.slots)
        self.bought = []
        self.strange = []

    def run(self):
        while self.slots:
            answer = self.insist({"slot": str(self.slots[0].pk), "units": 1})
            if answer.status_code == 201:
                self.bought.append(answer.json()["id"])
                self.slots.append(self.slots.pop(0))
            elif answer.status_code == 409 and answer.json()["code"] == "slot_full":
                self.slots.pop(0)
            else:
                self.strange.append(answer.text)
                return

    def insist(self, body):
        key = uuid.uuid4().hex
        deadline = time.monotonic() + 60
        while True:
            assert time.monotonic() < deadline, "it never answered"
            try:
                answer = self.person.post("cart/items/", body, key=key)
            except httpx.TransportError:
                continue
            if answer.status_code == 500:
                self.strange.append(answer.text)
            if answer.status_code < 500 and answer.json().get("code") != "idempotency_in_progress":
                return answer


def test_seats_are_sold_once_while_connections_are_cut_and_web_workers_killed(system, shop):
    slots = f.make_slots(shop, SLOTS, max_bookings=SEATS)
    buyers = [
        Buyer(person, slots, SEED + n) for n, person in enumerate(crowd(system, shop, PEOPLE))
    ]
    done = threading.Event()
    strikes: list[int] = []

    def strike():
        with other_session() as session:
            while not done.wait(0.15):
                cut = session.execute(
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                    " AND query LIKE %s",
                    ["%bookings%"],
                ).fetchone()
                strikes.append(sum(cut or ()))
                if len(strikes) == 2:
                    system.kill_a_web_worker()

    striker = threading.Thread(target=strike)
    striker.start()
    try:
        all_at_once([b.run for b in buyers], PEOPLE)
    finally:
        done.set()
        striker.join()

    connection.close()  # it may have been cut too, and so may those that wait in the pool
    connection.close_pool()  # type: ignore[attr-defined]
    assert [b.strange for b in buyers if b.strange] == []
    bought = [item for b in buyers for item in b.bought]
    assert len(bought) == len(set(bought)) == SLOTS * SEATS
    assert {str(pk) for pk in CartItem.objects.values_list("pk", flat=True)} >= set(bought)
    held = Booking.objects.filter(slot__in=slots, status="held")
    assert held.count() == SLOTS * SEATS
    assert {s.taken_bookings for s in Slot.objects.filter(pk__in=[s.pk for s in slots])} == {SEATS}
    assert sum(strikes) > 0, "nothing was ever cut"
    assert len(strikes) >= 2, "no web worker was ever killed"
    assert_consistent()

    # And everything goes on.
    customer = customer_of(system, shop)
    add(customer, f.make_slot(shop, starts_at=f.soon(99)))
    eventually(nothing_is_owed, seconds=60)
