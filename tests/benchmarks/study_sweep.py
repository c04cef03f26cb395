"""Sweeps at their size: a hundred thousand overdue holds, and what they cost those who book (D7)."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import connection

from bookings.models import Resource
from tests.benchmarks.correctness import Finding
from tests.benchmarks.server import System
from tests.benchmarks.studies import CROWD_SLOTS, SEED, Study, _crowd, _waits, _wrong_counters
from tests.benchmarks.world import World, seeding

HOLDS, ORDERS, REMINDERS = 100_000, 10_000, 50_000

# A worker: it sweeps until nothing is left, and says what that took.
WORKER = """
import json, sys, time
import django
django.setup()
from django.db import connection
from importlib import import_module
from audit.observability import sweeps

module, name = sys.argv[1].rsplit(".", 1)
task = getattr(import_module(module), name)
connection.ensure_connection()

def peak():
    with open("/proc/self/status") as status:  # what getrusage says is inherited from the parent
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))

longest, statements, batches = 0.0, 0, 0
original = sweeps.run

def count(execute, sql, params, many, context):
    global statements
    statements += 1
    return execute(sql, params, many, context)

def run(name, batch, **kwargs):
    def timed(failed):
        global longest, batches
        began = time.perf_counter()
        try:
            return batch(failed)
        finally:
            longest = max(longest, time.perf_counter() - began)
            batches += 1
    return original(name, timed, **kwargs)

sweeps.run = run
before, began, done, runs = peak(), time.perf_counter(), 0, 0
cpu = time.process_time()
with connection.execute_wrapper(count):
    while count_of_run := task():
        done += count_of_run
        runs += 1
print(json.dumps({
    "done": done, "runs": runs, "seconds": time.perf_counter() - began, "longest": longest,
    "statements": statements, "batches": batches, "before": before, "peak": peak(),
    "cpu": time.process_time() - cpu,
}))
"""


def sweep(system: System, world: World, *, quick: bool) -> Study:
    """Overdue holds, unpaid orders and reminders by the thousand, worked off by one worker."""
    share = 20 if quick else 1
    study = Study(
        f"Sweeps by one worker, {HOLDS // share:,} overdue holds and more",
        ("", "seconds", "rows per second", "statements per row", "what it took"),
    )
    with seeding():
        hall = _crowd(world)
        customer = world.people(1)[0].customer
    assert customer is not None
    jobs: list[tuple[str, str, int, Callable[[Resource, uuid.UUID, int], None], str]] = [
        ("overdue holds", "bookings.tasks.expire_holds", HOLDS // share, _hold, _HOLDS_LEFT),
        ("unpaid orders", "payments.tasks.expire_unpaid", ORDERS // share, _order, _ORDERS_LEFT),
        ("reminders", "bookings.tasks.send_reminders", REMINDERS // share, _confirm, _UNTOLD),
    ]
    for name, task, count, make, left in jobs:
        with seeding():
            make(hall, customer.pk, count)
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
        with _booking_beside(hall) as waits:
            took = _work(task)
        study.rows.append(
            (
                f"{count:,} {name}",
                f"{took['seconds']:.1f}",
                f"{took['done'] / took['seconds']:,.0f}",
                f"{took['statements'] / max(took['done'], 1):.2f}",
                f"longest batch {took['longest'] * 1000:.0f} ms of {took['batches']};"
                f" processor time of the worker {took['cpu']:.0f} s;"
                f" memory {took['before']:.0f} → {took['peak']:.0f} MB",
            )
        )
        study.rows.append(("lock of a slot beside it", "", "", "", f"{_waits(waits)}"))
        with connection.cursor() as cursor:
            cursor.execute(left, [hall.pk])
            (remaining,) = cursor.fetchone()
        study.findings.append(
            Finding(
                f"{name}: each was done once",
                remaining == 0 and took["done"] == count,
                f"{took['done']:,} done, {remaining:,} left",
            )
        )
    study.findings.append(Finding("counters are right", not _wrong_counters([hall]), "all slots"))
    return study


def _work(task: str) -> dict[str, Any]:
    made = subprocess.run(
        [sys.executable, "-c", WORKER, task],
        env={**os.environ},
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        raise RuntimeError(made.stderr[-2_000:])
    found: dict[str, Any] = json.loads(made.stdout.strip().splitlines()[-1])
    return found


@contextmanager
def _booking_beside(hall: Resource) -> Iterator[list[float]]:
    """Meanwhile lock slots, one after the other, and note how long that takes."""
    with connection.cursor() as cursor:
        cursor.execute(_SLOTS, [hall.pk, CROWD_SLOTS])
        ids = [row[0] for row in cursor.fetchall()]
    waits: list[float] = []
    over = threading.Event()

    def run() -> None:
        chance = random.Random(SEED)
        try:
            while not over.wait(0.02):
                began = time.perf_counter()
                with connection.cursor() as cursor:
                    cursor.execute(
                        "SELECT 1 FROM bookings_slot WHERE id = %s FOR NO KEY UPDATE",
                        [chance.choice(ids)],
                    )
                waits.append(time.perf_counter() - began)
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield waits
    finally:
        over.set()
        thread.join()


# -- rows as the services leave them ----------------------------------------------------------------

_SLOTS = """
    SELECT id FROM bookings_slot WHERE resource_id = %s AND starts_at > now() + interval '40 days'
    ORDER BY starts_at LIMIT %s
"""
_BOOKINGS = """
    INSERT INTO bookings_booking (id, reference, organization_id, slot_id, customer_id, units,
        status, version, created_at, held_until, pending_until, requested_at, confirmed_at,
        ended_reason)
    SELECT gen_random_uuid(), upper(substr(md5(random()::text || n::text), 1, 11)),
           s.organization_id, s.id, %(customer)s, 1, %(status)s, 1, now() - interval '9 days',
           now() - random() * interval '1 hour', now() - interval '1 hour',
           now() - interval '8 days', now() - interval '7 days', ''
    FROM generate_series(1, %(count)s) AS n
    JOIN (
        SELECT id, organization_id, row_number() OVER (ORDER BY starts_at) AS place
        FROM bookings_slot WHERE id = ANY(%(slots)s)
    ) s ON s.place = 1 + n %% %(places)s
    RETURNING id
"""
_ITEMS = """
    INSERT INTO payments_cartitem (id, organization_id, cart_id, transaction_id, booking_id,
        status, price_name, discount, tax_percent, tax, currency, created_at, unit_price, quantity,
        amount)
    SELECT gen_random_uuid(), %(organization)s, %(cart)s, NULL, b, 'in_cart', '', 0, 0, 0, '',
           now(), NULL, NULL, NULL
    FROM unnest(%(bookings)s::uuid[]) AS b
"""
_ORDERS = """
    WITH made AS (
        INSERT INTO payments_carttransaction (id, reference, organization_id, customer_id, status,
            version, payment_method, payment_status, amount, tax, discount, currency, note, due_at,
            created_at, decided_by, decision_reason)
        SELECT b, upper(substr(md5(random()::text || b::text), 1, 11)), %(organization)s,
               %(customer)s, 'pending', 1, 'pay_now', 'pending', 20, 0, 0, 'EUR', '',
               now() - interval '1 hour', now() - interval '2 days', '', ''
        FROM unnest(%(bookings)s::uuid[]) AS b
        RETURNING id
    )
    INSERT INTO payments_cartitem (id, organization_id, cart_id, transaction_id, booking_id,
        status, price_name, discount, tax_percent, tax, currency, created_at, unit_price, quantity,
        amount)
    SELECT gen_random_uuid(), %(organization)s, NULL, id, id, 'checked_out', 'Seat', 0, 0, 0,
           'EUR', now(), 20, 1, 20
    FROM made
"""
_HOLDS_LEFT = """
    SELECT count(*) FROM bookings_booking b JOIN bookings_slot s ON s.id = b.slot_id
    WHERE s.resource_id = %s AND b.status = 'held'
"""
_ORDERS_LEFT = """
    SELECT count(*) FROM payments_carttransaction t JOIN payments_cartitem i
    ON i.transaction_id = t.id JOIN bookings_booking b ON b.id = i.booking_id
    JOIN bookings_slot s ON s.id = b.slot_id
    WHERE s.resource_id = %s AND t.status = 'pending'
"""
_UNTOLD = """
    SELECT count(*) FROM bookings_booking b JOIN bookings_slot s ON s.id = b.slot_id
    WHERE s.resource_id = %s AND b.status = 'confirmed'
      AND NOT EXISTS (SELECT 1 FROM bookings_reminder r WHERE r.booking_id = b.id)
"""


def _bookings(slots: Sequence[uuid.UUID], customer: uuid.UUID, count: int, status: str) -> list:
    with connection.cursor() as cursor:
        cursor.execute(
            _BOOKINGS,
            {
                "customer": customer,
                "status": status,
                "count": count,
                "slots": list(slots),
                "places": len(slots),
            },
        )
        return [row[0] for row in cursor.fetchall()]


def _slots(hall: Resource) -> list[uuid.UUID]:
    with connection.cursor() as cursor:
        cursor.execute(_SLOTS, [hall.pk, CROWD_SLOTS])
        return [row[0] for row in cursor.fetchall()]


def _hold(hall: Resource, customer: uuid.UUID, count: int) -> None:
    bookings = _bookings(_slots(hall), customer, count, "held")
    cart = uuid.uuid4()
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO payments_cart (id, organization_id, customer_id, status, created_at)"
            " VALUES (%s, %s, %s, 'open', now()) ON CONFLICT DO NOTHING",
            [cart, hall.organization_id, customer],
        )
        cursor.execute(
            _ITEMS,
            {"organization": hall.organization_id, "cart": cart, "bookings": bookings},
        )


def _order(hall: Resource, customer: uuid.UUID, count: int) -> None:
    bookings = _bookings(_slots(hall), customer, count, "pending")
    with connection.cursor() as cursor:
        cursor.execute(
            _ORDERS,
            {
                "organization": hall.organization_id,
                "customer": customer,
                "bookings": bookings,
            },
        )


def _confirm(hall: Resource, customer: uuid.UUID, count: int) -> None:
    """Confirmed bookings of the next hours; the hall has slots then as at any time."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM bookings_slot WHERE resource_id = %s AND starts_at > now()"
            " + interval '1 hour' AND starts_at < now() + interval '23 hours'",
            [hall.pk],
        )
        soon = [row[0] for row in cursor.fetchall()]
    _bookings(soon, customer, count, "confirmed")
