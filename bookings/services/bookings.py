"""What happens to a booking after it was made, apart from money."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime

from django.db import transaction

from audit.context import Actor, audited
from audit.errors import StaleVersion
from audit.languages import our_reason
from audit.leases import Lease
from audit.observability import sweeps
from audit.observability.sweeps import Failures
from bookings import locks, transitions
from bookings.lifecycle import BookingStatus
from bookings.models import Booking

EXPIRE_HOLDS, COMPLETE = "hold.expire", "booking.complete"  # as the log and alerts name them
RAN_OUT = our_reason("The hold ran out.")


def check_version(row: object, version: int | None) -> None:
    """Raise StaleVersion if ``row`` is not the version the caller read."""
    current = row.version  # type: ignore[attr-defined]
    if version is not None and version != current:
        raise StaleVersion(
            f"You read version {version}; it is at version {current} now. Read it again.",
            current_version=current,
        )


def expire_holds(
    *,
    actor: Actor,
    now: datetime,
    batch: int = 100,
    failed: Failures | None = None,
    passed: set[uuid.UUID] | None = None,
) -> int:
    """Give the seats of overdue holds back, one batch (D7).

    Safe to run twice, in parallel and in the middle of anything: it passes over slots that
    somebody has locked. Holds past their deadline count as free even before this runs.
    A hold that the database refuses to expire does not keep the others.

    Args:
        failed: holds to pass over; those that fail now are added.
        passed: slots to pass over; those that somebody else holds now are added.

    Returns:
        How many bookings it expired; call again until it is 0 and nothing more failed or was
        passed over.
    """
    failed = {} if failed is None else failed

    return sweep(
        EXPIRE_HOLDS,
        find=lambda: locks.holds_to_expire(now=now, limit=batch, skip=failed, passed=passed),
        is_due=lambda b: (
            b.status == BookingStatus.HELD and b.held_until is not None and b.held_until <= now
        ),
        step=lambda found: transitions.expire(found, now=now, reason=RAN_OUT),
        actor=actor,
        reason=RAN_OUT,
        failed=failed,
    )


def complete_bookings(
    *,
    actor: Actor,
    now: datetime,
    batch: int = 500,
    failed: Failures | None = None,
    passed: set[uuid.UUID] | None = None,
) -> int:
    """Complete checked-in bookings whose slot has ended, one batch; returns how many.

    Args:
        failed: bookings to pass over; those that fail now are added.
        passed: slots to pass over; those that somebody else holds now are added.
    """
    failed = {} if failed is None else failed
    return sweep(
        COMPLETE,
        find=lambda: locks.finished_bookings(before=now, limit=batch, skip=failed, passed=passed),
        is_due=lambda b: b.status == BookingStatus.CHECKED_IN and b.slot.ends_at <= now,
        step=lambda found: transitions.complete(found, now=now),
        actor=actor,
        reason="",
        failed=failed,
    )


def sweep(
    name: str,
    *,
    find: Callable[[], list[Booking]],
    is_due: Callable[[Booking], bool],
    step: Callable[[list[Booking]], None],
    actor: Actor,
    reason: str,
    failed: Failures,
    lease: Lease | None = None,
) -> int:
    """Take a step with all that ``find`` locks; if it fails, with one at a time.

    Args:
        is_due: whether a booking that was locked again still is what ``find`` looks for.
        lease: renewed in each transaction, where nobody else may do this at the same time.
    """
    slot_of: dict[uuid.UUID, uuid.UUID] = {}
    renew = lease.renew if lease else lambda: None

    def all_at_once() -> int:
        with transaction.atomic(), audited(actor, reason=reason):
            renew()
            found = find()
            slot_of.update((b.pk, b.slot_id) for b in found)
            step(found)
        return len(found)

    def alone(booking_id: uuid.UUID) -> bool:
        with transaction.atomic(), audited(actor, reason=reason):
            renew()
            # The locks went with the batch: look again.
            free = locks.slots_nobody_holds([slot_of[booking_id]])
            found = [b for b in locks.bookings([booking_id]) if b.slot_id in free and is_due(b)]
            step(found)
        return bool(found)

    return sweeps.together(name, slot_of, all_at_once, alone, failed=failed)
