"""The row locks of what happens by the clock; the order is in ``bookings/locks.py``."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from datetime import datetime, timedelta

from django.db import connection
from django.db.models import DateTimeField, ExpressionWrapper, F, Q, Value

from bookings import locks
from bookings.lifecycle import BookingStatus
from bookings.models import Booking


def missed_bookings(
    *,
    now: datetime,
    since: datetime,
    limit: int,
    skip: Collection[uuid.UUID] = (),
    passed: set[uuid.UUID] | None = None,
) -> list[Booking]:
    """Lock confirmed bookings to which nobody came, and the slots before them.

    Their slot ended as long ago as the organisation says, but after ``since``, and staff have not
    excused them. ``skip``, ``passed`` and ``limit`` are as for ``locks.finished_bookings``.
    """
    passed = set() if passed is None else passed
    missed = Q(status=BookingStatus.CONFIRMED, excused_at=None) & ~Q(pk__in=list(skip))
    minutes = F("organization__no_show_minutes") * timedelta(minutes=1)
    over = Booking.objects.filter(
        missed,
        organization__no_show_minutes__isnull=False,
        slot__ends_at__gt=since,
        slot__ends_at__lte=ExpressionWrapper(Value(now) - minutes, DateTimeField()),
    )
    ids = over.exclude(slot__in=list(passed)).order_by("slot__ends_at", "pk")
    ours = locks.slots_not_passed(ids.values_list("slot_id", flat=True)[:limit], passed)
    return locks.bookings_where(Q(slot_id__in=ours) & missed, limit=limit) if ours else []


DueReminder = tuple[uuid.UUID, uuid.UUID, list[int]]
"""A booking, its slot, and how many hours before the start it is reminded, the fewest first."""


def due_reminders(
    *,
    now: datetime,
    limit: int,
    skip: Collection[uuid.UUID] = (),
    only: Collection[uuid.UUID] | None = None,
) -> list[DueReminder]:
    """Lock bookings that are to be reminded, passing over those that somebody is changing.

    Args:
        skip: bookings that are not looked at.
        only: the bookings that are; None: all.
    """
    chosen = None if only is None else list(only)
    with connection.cursor() as cursor:
        cursor.execute(
            _DUE_REMINDERS, {"now": now, "limit": limit, "skip": list(skip), "only": chosen}
        )
        return list(cursor.fetchall())


# Who was confirmed or moved after the moment of a reminder has just been told when it is.
REMINDERS_TO_SEND = """
    FROM bookings_organization o
    JOIN bookings_slot s ON s.organization_id = o.id AND s.starts_at > %(now)s
        AND s.starts_at <= %(now)s
            + (SELECT max(h) FROM unnest(o.reminder_hours) AS h) * interval '1 hour'
    JOIN bookings_booking b ON b.slot_id = s.id
        AND b.status IN ('confirmed', 'reschedule_proposed')
    CROSS JOIN LATERAL (
        SELECT array_agg(h ORDER BY h) AS hours
        FROM unnest(o.reminder_hours) AS h
        WHERE s.starts_at <= %(now)s + h * interval '1 hour'
          AND greatest(b.confirmed_at, b.slot_since) <= s.starts_at - h * interval '1 hour'
          AND NOT EXISTS (
              SELECT 1 FROM bookings_reminder r
              WHERE r.booking_id = b.id AND r.slot_id = b.slot_id AND r.hours = h
          )
    ) due
    WHERE due.hours IS NOT NULL
"""
_DUE_REMINDERS = f"""
    SELECT b.id, b.slot_id, due.hours {REMINDERS_TO_SEND}
      AND b.id <> ALL (%(skip)s::uuid[])
      AND (%(only)s::uuid[] IS NULL OR b.id = ANY (%(only)s::uuid[]))
    ORDER BY s.starts_at, b.id
    LIMIT %(limit)s
    FOR NO KEY UPDATE OF b SKIP LOCKED
"""
