"""Customers are reminded of what they booked, some hours before it starts (B9)."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from datetime import datetime

from django.db import transaction

from audit.context import Actor, audited
from audit.leases import Lease
from audit.observability import sweeps
from audit.observability.sweeps import Failures
from bookings import locks_times, transitions

REMIND = "booking.remind"  # as the log, alerts and the lease name it


def remind(
    *,
    actor: Actor,
    now: datetime,
    batch: int = 500,
    failed: Failures | None = None,
    lease: Lease | None = None,
) -> int:
    """Remind customers of bookings that start soon, one batch.

    An organisation says how many hours before. Each booking is reminded once for each of these,
    in each slot it is moved to; not of what was passed already when it was confirmed or moved, and
    of the nearest alone where several are due. What somebody is changing waits for the next run.

    Args:
        failed: bookings to pass over; those that fail now are added.
        lease: renewed in each transaction.

    Returns:
        How many bookings were reminded; call again until it is 0 and nothing more has failed.
    """
    failed = {} if failed is None else failed
    found: list[uuid.UUID] = []

    def act(only: Collection[uuid.UUID] | None = None) -> int:
        with transaction.atomic(), audited(actor):
            if lease is not None:
                lease.renew()
            due = locks_times.due_reminders(now=now, limit=batch, skip=failed, only=only)
            found[:] = {booking_id for booking_id, _, _ in due}
            return len(transitions.remind(due, now=now))

    return sweeps.together(REMIND, found, act, lambda pk: bool(act([pk])), failed=failed)
