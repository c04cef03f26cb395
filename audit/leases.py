"""Work that must never be done by two at a time, on any number of machines (D6).

A lease is a row. Taking it and giving it back are short statements of their own, so that it
outlives transactions, needs no session (PgBouncer hands them out anew) and no Redis. If its
holder dies, it runs out by itself.

A holder that only slept too long is not dead, and may wake while somebody else has the lease.
So each transaction of the work begins with :meth:`Lease.renew`, which says that the lease is still ours
and keeps its row locked until the commit: nobody can take it meanwhile, and whoever has lost it
changes nothing. Why: docs/decisions/0021.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID, uuid4

import structlog
from django.db import InterfaceError, OperationalError, connection, transaction

log = structlog.get_logger("holdfast.operations")

# Longer than any one transaction may take (a task is killed after two minutes), and shorter than
# the time between two runs of what takes leases.
LASTING = timedelta(minutes=4)


class LeaseLost(Exception):
    """The lease ran out while its holder was away, and somebody else may have it."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease that was taken."""

    name: str
    holder: UUID
    lasting: timedelta

    def renew(self) -> None:
        """Make it last again from now on; first in each transaction of the work.

        Raises:
            LeaseLost: it is not ours any more. Nothing may be changed.
        """
        with connection.cursor() as cursor:
            cursor.execute(_RENEW, [self.lasting.total_seconds(), self.name, self.holder])
            if not cursor.rowcount:
                raise LeaseLost(self.name)


@contextmanager
def taken(name: str, *, lasting: timedelta = LASTING) -> Iterator[Lease | None]:
    """Take a lease, and give it back at the end, however that comes.

    Args:
        lasting: how long it is ours if we are never heard of again.

    Yields:
        The lease; None if somebody else has it.
    """
    lease = Lease(name, uuid4(), lasting)
    ours = _take(lease)
    log.info("lease_taken" if ours else "lease_busy", lease=name, holder=str(lease.holder))
    try:
        yield lease if ours else None
    finally:
        if ours:
            _give_back(lease)


def _take(lease: Lease) -> bool:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_MAKE, [lease.name, lease.holder, lease.name])
        worker = f"{socket.gethostname()}:{os.getpid()}"[:200]
        seconds = lease.lasting.total_seconds()
        cursor.execute(_TAKE, [lease.holder, worker, seconds, lease.name])
        return bool(cursor.rowcount)


def _give_back(lease: Lease) -> None:
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(_GIVE_BACK, [lease.name, lease.holder])
    except (OperationalError, InterfaceError) as error:  # then it runs out
        log.warning("lease_not_given_back", lease=lease.name, error_code=type(error).__name__)


# All by the clock of the database, which all workers share.
_MAKE = """
    INSERT INTO audit_lease (name, holder, worker, taken_at, until)
    SELECT %s, %s, '', clock_timestamp(), clock_timestamp()
    WHERE NOT EXISTS (SELECT 1 FROM audit_lease WHERE name = %s) ON CONFLICT (name) DO NOTHING
"""
# ON CONFLICT alone would wait for whoever is changing the row.
# Who is in the middle of a transaction of the work holds the row: that is not waited for.
_TAKE = """
    UPDATE audit_lease
    SET holder = %s, worker = %s, taken_at = clock_timestamp(), until = clock_timestamp() + make_interval(secs => %s)
    WHERE name IN (
        SELECT name FROM audit_lease WHERE name = %s AND until <= clock_timestamp()
        FOR NO KEY UPDATE SKIP LOCKED
    )
"""
_RENEW = """
    UPDATE audit_lease SET until = clock_timestamp() + make_interval(secs => %s)
    WHERE name = %s AND holder = %s
"""
_GIVE_BACK = """
    UPDATE audit_lease SET until = clock_timestamp() WHERE name = %s AND holder = %s
"""
