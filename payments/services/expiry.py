"""What is not paid or confirmed in time ends, and its seats go back (D6)."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from datetime import datetime

from django.db import transaction

from audit.context import Actor, audited
from audit.languages import our_reason
from audit.leases import Lease
from audit.observability import sweeps
from audit.observability.operations import operation
from audit.observability.sweeps import Failures
from bookings.models import Booking
from payments import locks, transitions
from payments.models import CartTransaction

EXPIRE = "transaction.expire"  # as the log, alerts and the lease name it
REASON = our_reason("The time to pay ran out.")

Order = tuple[CartTransaction, Sequence[Booking]]


class Contradiction(Exception):
    """A transaction waits for payment, and its bookings have ended or are confirmed."""


def expire_unpaid(
    *,
    actor: Actor,
    now: datetime,
    batch: int = 100,
    failed: Failures | None = None,
    passed: set[uuid.UUID] | None = None,
    lease: Lease | None = None,
) -> int:
    """Expire transactions that were not paid by their ``due_at``, one batch, the longest overdue
    first.

    So does what is paid on arrival or free, and was not confirmed by then (decision 24). Under
    review no clock runs. The batch is one transaction of as many statements for a hundred orders as for
    one, looks again under lock and waits for nobody: it is safe to run this twice, in parallel,
    and while customers upload and staff decide. If one cannot end, each of the batch is tried by
    itself, and the others end.

    Args:
        failed: transactions to pass over; those that fail now are added.
        passed: the same; those of which somebody else holds something are added.
        lease: renewed in each transaction, where nobody else may do this at the same time.

    Returns:
        How many it expired; call again until it is 0 and nothing more failed or was passed over.
    """
    failed = {} if failed is None else failed
    passed = set() if passed is None else passed
    rows: list[uuid.UUID] = []
    left: list[uuid.UUID] = []  # contradict themselves; alone, each says so

    def all_at_once() -> int:
        with (
            operation(EXPIRE, actor=actor) as op,
            transaction.atomic(),
            audited(actor, reason=REASON),
        ):
            _renew(lease)
            found = list(locks.overdue(now=now, limit=batch, skip=failed, passed=passed))
            rows.extend(order.pk for order, _ in found)
            orders = _to_end(found, now=now)
            transitions.expire(orders, now=now)
            op.rows = sum(1 + 2 * len(requests) for _, requests in orders)
            op.note(transactions=[str(order.pk) for order, _ in orders])
        ended = {order.pk for order, _ in orders}
        left.extend(pk for pk in rows if pk not in ended)
        return len(orders)

    def alone(transaction_id: uuid.UUID) -> bool:
        return _expire(transaction_id, actor=actor, now=now, lease=lease)

    done = sweeps.together(EXPIRE, rows, all_at_once, alone, failed=failed)
    return done + expire_singly(left, actor=actor, now=now, failed=failed, lease=lease)


def expire_singly(
    transaction_ids: Collection[uuid.UUID],
    *,
    actor: Actor,
    now: datetime,
    failed: Failures,
    lease: Lease | None = None,
) -> int:
    """Expire those of these transactions that are overdue, each in a transaction of its own, and
    wait for whoever holds them."""
    return sweeps.each(
        EXPIRE,
        transaction_ids,
        lambda pk: _expire(pk, actor=actor, now=now, lease=lease),
        failed=failed,
    )


def _expire(transaction_id: uuid.UUID, *, actor: Actor, now: datetime, lease: Lease | None) -> bool:
    with (
        operation(EXPIRE, actor=actor, transaction=str(transaction_id)) as op,
        transaction.atomic(),
        audited(actor, reason=REASON),
    ):
        _renew(lease)
        bookings = locks.slots_and_bookings_of(transaction_id)
        found = locks.transactions([transaction_id])
        if not found or not transitions.is_overdue(found[0], now=now):
            return False  # somebody was faster
        orders = _to_end([(found[0], bookings)], now=now)
        if not orders:
            raise Contradiction(f"{transaction_id} is pending and its bookings are not.")
        transitions.expire(orders, now=now)
        op.rows = 1 + 2 * len(orders[0][1])
    return True


def _to_end(found: Sequence[Order], *, now: datetime) -> list[Order]:
    """Those that are overdue and do not contradict themselves, with what expires in each."""
    return [
        (order, requests)
        for order, bookings in found
        if transitions.is_overdue(order, now=now)
        and (requests := transitions.requests_in(bookings))
    ]


def _renew(lease: Lease | None) -> None:
    if lease is not None:
        lease.renew()
