"""Pieces that checks share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from audit.consistency.registry import Problem, Scope
from audit.errors import NotFound
from bookings import locks
from bookings.models import Booking


def literals(values: Iterable[str]) -> str:
    """Values of our own enumerations as the inside of an ``IN (…)``."""
    return ", ".join(f"'{value}'" for value in sorted(map(str, values)))


def mine(*columns: str) -> str:
    """The condition that one of these columns is the organisation looked at, if it is one."""
    same = " OR ".join(f"{column} = %(organization)s" for column in columns)
    return f"(%(organization)s::uuid IS NULL OR {same})"


def params(scope: Scope, **more: Any) -> dict[str, Any]:
    return {"organization": scope.organization_id, "now": scope.now, **more}


def lock_booking(problem: Problem, booking_id: UUID | None = None) -> Booking | None:
    """Lock the slot and the booking that a problem is about; None if it is gone.

    Args:
        booking_id: if the problem's subject is not the booking itself.
    """
    if problem.organization_id is None:
        return None
    try:
        return locks.slot_and_booking(
            booking_id or UUID(problem.subject_id), organization_id=problem.organization_id
        )
    except NotFound:
        return None
