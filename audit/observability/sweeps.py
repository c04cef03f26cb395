"""Sweeps: what is due is worked off in batches, and a row that cannot be done fails alone.

A row that fails is logged by its id and passed over for the rest of the run, so that rows which
fail for ever do not fill every batch. Administrators are told once a day which they are.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Sized
from datetime import timedelta
from uuid import UUID

import structlog
from celery.exceptions import SoftTimeLimitExceeded
from django.db import DatabaseError, InterfaceError, OperationalError
from django.utils import timezone

from audit.context import Actor, current_origin
from audit.delivery import alerts
from audit.errors import constraint_name
from audit.leases import Lease, LeaseLost, taken
from audit.models import OutboxEvent

log = structlog.get_logger("holdfast.operations")

ALERT = "operation.failed"
TELL_AGAIN_AFTER = timedelta(days=1)
MOST_BATCHES = 1_000
MOST_SECONDS = 60  # then the next run goes on; a task is told to stop after 90
MOST_SHOWN = 10
MOST_TOLD = 1_000

# The database is in trouble, the time is up or the lease is lost: no row is to blame.
NO_ROW_S_FAULT = (OperationalError, InterfaceError, SoftTimeLimitExceeded, LeaseLost)

Failures = dict[UUID, str]
"""What failed in a run, and the kind of error it failed with."""


def run(
    name: str,
    batch: Callable[[Failures], int],
    *,
    actor: Actor,
    most: int = MOST_BATCHES,
    passed: Sized = (),
) -> int:
    """Call ``batch`` until it does nothing, fails at nothing more and passes over nothing more.

    Args:
        name: ``noun.verb``, for the alert.
        batch: does one batch without the rows it is given, adds to them those that fail, and
            returns how many rows it did.
        most: how many batches at most; the rest waits for the next run, as it does after a minute.
        passed: where ``batch`` notes what it passes over, as somebody else holds it.

    Returns:
        How many rows were done.
    """
    failed: Failures = {}
    done = 0
    until = time.monotonic() + MOST_SECONDS
    try:
        for _ in range(most):
            before = len(failed) + len(passed)
            count = batch(failed)
            done += count
            if not count and len(failed) + len(passed) == before:
                break
            if time.monotonic() > until:
                break
    finally:
        if failed:
            _tell(name, failed, actor)
    return done


def run_alone(name: str, work: Callable[[Lease], int]) -> int:
    """Do ``work`` if nobody else is doing it, here or on another machine.

    Args:
        name: of the lease.
        work: renews the lease first in each of its transactions.

    Returns:
        How many rows were done; 0 if somebody else is at it.
    """
    with taken(name) as lease:
        if lease is None:
            return 0
        try:
            return work(lease)
        except LeaseLost:
            log.warning("lease_lost", lease=name, holder=str(lease.holder))
            return 0


def together(
    name: str,
    rows: Collection[UUID],
    all_at_once: Callable[[], int],
    alone: Callable[[UUID], bool],
    *,
    failed: Failures,
) -> int:
    """Do a batch at once; if that fails and a row may be to blame, do one row at a time.

    Args:
        name: see ``run``.
        rows: of the batch. ``all_at_once`` may note them there as it finds and locks them; what it
            raises before there are any is raised on.
        all_at_once: does the batch in a transaction of its own, and returns how many rows it did.
        alone: looks again and does one row, also in a transaction of its own; see ``each``.
        failed: rows that fail alone are added.

    Returns:
        How many rows were done.
    """
    try:
        return all_at_once()
    except NO_ROW_S_FAULT:
        raise
    except Exception:
        if not rows:
            raise
    return each(name, list(rows), alone, failed=failed)


def each(
    name: str,
    ids: Iterable[UUID],
    act: Callable[[UUID], bool],
    *,
    failed: Failures,
    blame: type[Exception] = Exception,
) -> int:
    """Do one row at a time; what raises ``blame`` is logged and added to ``failed``.

    ``act`` opens a transaction of its own and says whether it did anything. What is no row's fault
    is raised on.
    """
    done = 0
    for row_id in ids:
        try:
            done += act(row_id)
        except NO_ROW_S_FAULT:
            raise
        except blame as error:
            failed[row_id] = type(error).__name__
            log.error(
                "sweep_row_failed",
                operation=name,
                row=str(row_id),
                error_code=type(error).__name__,
                constraint=constraint_name(error),
            )
    return done


def _tell(name: str, failed: Failures, actor: Actor) -> None:
    """Alert administrators, unless they were told of all of these within a day."""
    ids = sorted(map(str, failed))[:MOST_TOLD]
    try:
        news = set(ids) - _told(name)
    except (DatabaseError, InterfaceError):
        news = set(ids)
    if not news:
        return
    shown = ", ".join(ids[:MOST_SHOWN]) + (" …" if len(ids) > MOST_SHOWN else "")
    alerts.alert_after_failure(
        ALERT,
        subject=(name, min(news)),
        payload={
            "operation": name,
            "ids": {"rows": shown},
            "failed": ids,
            "error": ", ".join(sorted(set(failed.values()))),
            "actor": actor.label,
            "request_id": current_origin().request_id,
        },
    )


def _told(name: str) -> set[str]:
    recent = OutboxEvent.objects.filter(
        kind=ALERT, subject_type=name, created_at__gt=timezone.now() - TELL_AGAIN_AFTER
    )
    return {row for ids in recent.values_list("payload__failed", flat=True) for row in ids or ()}
