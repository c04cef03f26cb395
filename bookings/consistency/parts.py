"""Pieces that checks share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.db import connection

from audit.consistency.registry import Problem, Scope
from audit.errors import NotFound
from bookings import locks
from bookings.lifecycle import LIVE
from bookings.models import Booking
from bookings.triggers import repairing


def literals(values: Iterable[str]) -> str:
    """Values of our own enumerations as the inside of an ``IN (…)``."""
    return ", ".join(f"'{value}'" for value in sorted(map(str, values)))


def mine(*columns: str) -> str:
    """The condition that one of these columns is the organisation looked at, if it is one."""
    same = " OR ".join(f"{column} = %(organization)s" for column in columns)
    return f"(%(organization)s::uuid IS NULL OR {same})"


def params(scope: Scope, **more: Any) -> dict[str, Any]:
    return {"organization": scope.organization_id, "now": scope.now, **more}


_RECOUNT = f"""
    UPDATE bookings_slot s SET taken_bookings = l.bookings, taken_units = l.units
    FROM (
        SELECT s.id, count(b.id)::int AS bookings, COALESCE(sum(b.units), 0)::int AS units
        FROM bookings_slot s
        LEFT JOIN bookings_booking b ON b.slot_id = s.id AND b.status IN ({literals(LIVE)})
        WHERE s.id = ANY (%s)
        GROUP BY s.id
    ) l
    WHERE s.id = l.id AND (s.taken_bookings <> l.bookings OR s.taken_units <> l.units)
      AND l.bookings <= s.max_bookings AND l.units <= s.max_units
"""  # noqa: S608


def recount(slot_ids: Iterable[UUID]) -> int:
    """Give locked slots the counters that follow from their live bookings, where they fit.

    Fixers that end bookings do this first: the triggers take off what was never counted, and
    the database would refuse the result.

    Returns:
        How many slots were wrong.
    """
    with repairing(), connection.cursor() as cursor:
        cursor.execute(_RECOUNT, [list(slot_ids)])
        return int(cursor.rowcount)


def lock_booking(problem: Problem, booking_id: UUID | None = None) -> Booking | None:
    """Lock the slot and the booking that a problem is about; None if it is gone.

    Args:
        booking_id: if the problem's subject is not the booking itself.
    """
    if problem.organization_id is None:
        return None
    try:
        return locks.slot_and_booking(
            booking_id or UUID(problem.subject_id),
            organization_id=problem.organization_id,
            stand_in=True,
        )
    except NotFound:
        return None
