"""Never two sweeps at a time, in whatever process, and a killed one keeps nobody (D6, D7)."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.db import connection, transaction
from django.utils import timezone

from audit.models import Lease, OutboxEvent
from bookings.models import Slot
from payments import locks, tasks
from payments.models import CartTransaction
from payments.services import expiry
from tests import factories as f
from tests.concurrency import interleave, locks_off, race
from tests.faults import other_session
from tests.invariants import assert_consistent

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = Path(__file__).resolve().parents[2]
ORDERS = 12

# A worker process: it says when it is ready, and sweeps when it is told to.
WORKER = """
import django, os, sys
django.setup()
from django.db import connection
connection.settings_dict["NAME"] = os.environ["TEST_DATABASE"]
from payments import tasks
connection.ensure_connection()
print("ready", flush=True)
sys.stdin.readline()
print(tasks.expire_unpaid(), flush=True)
"""
# The same, and in the middle of its batch it stops and waits to be killed.
STUCK = WORKER.replace(
    'print("ready", flush=True)',
    """
from payments import transitions
from audit import outbox
def stop(*args, **kwargs):
    print("in the middle", flush=True)
    sys.stdin.readline()
outbox.emit_many = stop
print("ready", flush=True)
""",
)


@contextmanager
def worker(code: str) -> Iterator[subprocess.Popen[str]]:
    environment = {
        **os.environ,
        "TEST_DATABASE": connection.settings_dict["NAME"],
        "DJANGO_SETTINGS_MODULE": "config.settings.test",
    }
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            assert hear(process) == "ready"
            yield process
        finally:
            process.kill()


def hear(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def tell(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def overdue(count: int = ORDERS, *, slot: Slot | None = None) -> list[CartTransaction]:
    resource = slot.resource if slot else f.ResourceFactory()
    f.PriceFactory(resource=resource)
    made = []
    for number in range(count):
        customer = f.CustomerFactory(organization=resource.organization)
        at = slot or f.make_slot(resource, starts_at=f.soon(100 + number))
        made.append(f.check_out(customer, at))
    CartTransaction.objects.update(due_at=timezone.now())
    return made


def expired() -> int:
    """How many orders; each was told once, and its trail says so once."""
    count = CartTransaction.objects.filter(status="expired").count()
    assert OutboxEvent.objects.filter(kind="transaction.expired").count() == count
    assert CartTransaction.history.filter(status="expired").count() == count
    assert_consistent()
    return count


def let_the_lease_run_out():
    with other_session() as session:
        session.execute("UPDATE audit_lease SET until = clock_timestamp() - interval '1 ms'")


def sweeping(now=None):
    return lambda: expiry.expire_unpaid(actor=f.SYSTEM, now=now or timezone.now())


def test_of_two_tasks_at_once_one_sweeps():
    overdue()

    outcomes = race(tasks.expire_unpaid, tasks.expire_unpaid)

    assert sorted(outcomes)[1] >= 1
    assert sum(outcomes) == ORDERS
    assert expired() == ORDERS


def test_a_second_task_finds_the_first_at_work_and_leaves():
    overdue(3)

    first, second = interleave(
        tasks.expire_unpaid, after=(locks, "overdue"), second=tasks.expire_unpaid
    )

    assert (first, second) == (3, 0)
    assert expired() == 3


def test_two_sweeps_without_a_lease_expire_each_order_once_all_the_same():
    """The lease saves work; that nothing happens twice is kept by the locks."""
    overdue()

    outcomes = race(*[sweeping()] * 4)

    assert sum(outcomes) == ORDERS
    assert expired() == ORDERS


def test_control_without_lease_and_locks_two_sweeps_tell_the_same_customer():
    overdue(1)

    with locks_off():
        interleave(sweeping(), after=(locks, "overdue"), second=sweeping())

    assert OutboxEvent.objects.filter(kind="transaction.expired").count() == 2


def test_of_two_worker_processes_at_once_each_order_has_one_effect_and_one_message():
    overdue()

    with worker(WORKER) as one, worker(WORKER) as other:
        tell(one)
        tell(other)
        outcomes = [int(hear(one)), int(hear(other))]

    assert sum(outcomes) == ORDERS
    assert expired() == ORDERS


def test_a_killed_sweep_leaves_nothing_half_done_and_its_lease_runs_out():
    overdue()

    with worker(STUCK) as stuck:
        tell(stuck)
        assert hear(stuck) == "in the middle"
        assert tasks.expire_unpaid() == 0  # somebody is at it
        stuck.kill()
        stuck.wait(20)

    assert tasks.expire_unpaid() == 0  # perhaps it is only slow
    assert expired() == 0
    left = Lease.objects.get().until - timezone.now()
    assert 0 < left.total_seconds() <= 240

    let_the_lease_run_out()
    assert tasks.expire_unpaid() == ORDERS
    assert expired() == ORDERS


def test_a_sweep_that_lost_its_lease_stops():
    overdue(2)

    original = expiry.expire_unpaid

    def lose(**kwargs):
        with other_session() as session:
            session.execute("UPDATE audit_lease SET holder = gen_random_uuid()")
        return original(**kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(expiry, "expire_unpaid", lose)
        assert tasks.expire_unpaid() == 0

    assert expired() == 0


def test_orders_in_a_slot_that_somebody_holds_do_not_keep_the_others_and_are_tried_again():
    busy = f.make_slot(max_bookings=5)
    overdue(3, slot=busy)
    overdue(3)
    now = timezone.now()
    passed: set = set()

    with other_session(autocommit=False) as session:
        session.execute("SELECT 1 FROM bookings_slot WHERE id = %s FOR NO KEY UPDATE", [busy.pk])
        counts = [
            expiry.expire_unpaid(actor=f.SYSTEM, now=now, batch=2, passed=passed) for _ in range(4)
        ]

    assert sum(counts) == 3
    assert len(passed) == 3
    assert expiry.expire_singly(passed, actor=f.SYSTEM, now=now, failed={}) == 3
    assert expired() == 6


def test_the_task_waits_at_its_end_for_what_was_held():
    busy = f.make_slot(max_bookings=5)
    overdue(2, slot=busy)

    def holding():
        """What somebody does who books in that slot, and the sweep at its worst moment."""
        with transaction.atomic():
            Slot.objects.select_for_update().get(pk=busy.pk)
        return "booked"

    first, second = interleave(holding, after="FOR UPDATE", second=tasks.expire_unpaid)

    assert (first, second) == ("booked", 2)
    assert expired() == 2
