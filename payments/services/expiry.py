"""What is not paid in time ends, and its seats go back (D6)."""

from __future__ import annotations

import uuid
from datetime import datetime

from django.db import transaction

from audit.context import Actor, audited
from audit.observability import sweeps
from audit.observability.operations import operation
from audit.observability.sweeps import Failures
from payments import locks, transitions
from payments.lifecycle import TransactionStatus
from payments.models import CartTransaction

EXPIRE = "transaction.expire"  # as the log and alerts name it


class Contradiction(Exception):
    """A transaction waits for payment, and its bookings have ended or are confirmed."""


def expire_unpaid(
    *, actor: Actor, now: datetime, batch: int = 100, failed: Failures | None = None
) -> int:
    """Expire transactions that were not paid by their ``due_at``, the longest overdue first.

    What is paid on arrival or free, and was never confirmed, is due when it starts. Under review
    no clock runs. Each ends in a transaction of its own, after a second look under lock: it is
    safe to run this twice, in parallel, and while customers upload and staff decide. One that
    cannot end does not keep the others.

    Args:
        failed: transactions to pass over; those that fail now are added.

    Returns:
        How many it expired; call again until it is 0 and nothing more has failed.
    """
    failed = {} if failed is None else failed
    overdue = list(
        CartTransaction.objects.filter(status=TransactionStatus.PENDING, due_at__lte=now)
        .exclude(pk__in=list(failed))
        .order_by("due_at")
        .values_list("pk", flat=True)[:batch]
    )
    return sweeps.each(
        EXPIRE,
        overdue,
        lambda transaction_id: _expire(transaction_id, actor=actor, now=now),
        failed=failed,
        blame=Exception,
    )


def _expire(transaction_id: uuid.UUID, *, actor: Actor, now: datetime) -> bool:
    with (
        operation(EXPIRE, actor=actor, transaction=str(transaction_id)) as op,
        transaction.atomic(),
        audited(actor, reason="The time to pay ran out."),
    ):
        bookings = locks.slots_and_bookings_of(transaction_id)
        found = locks.transactions([transaction_id])
        if not found or not transitions.is_overdue(found[0], now=now):
            return False  # somebody was faster
        requests = transitions.requests_in(bookings)
        if not requests:
            raise Contradiction(f"{transaction_id} is pending and its bookings are not.")
        transitions.expire(found[0], requests, now=now)
        op.rows = 1 + 2 * len(requests)
    return True
