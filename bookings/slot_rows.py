"""Slots by the thousand: read, locked and written by a handful of statements (B2).

For the services that make schedules real; everybody else uses the models.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime

from django.db import connection
from django.db.models import Case, Q, Value, When

from audit.ids import uuid7
from audit.sql import update_rows
from bookings.lifecycle import SLOT, SlotStatus
from bookings.models import Resource, Slot
from bookings.planning import Planned
from bookings.regeneration import Limits, There


def read(
    ids: Collection[uuid.UUID], *, start: int, until: int | None = None
) -> dict[uuid.UUID, list[There]]:
    """The slots of resources that start from ``start`` on, and before ``until``, in seconds."""
    found: dict[uuid.UUID, list[There]] = {resource_id: [] for resource_id in ids}
    with connection.cursor() as cursor:
        if until is None:
            cursor.execute(_READ + _ORDER, [list(ids), start])
        else:
            cursor.execute(_READ + _UNTIL + _ORDER, [list(ids), start, until])
        for row in cursor.fetchall():
            there = There(*row)
            found[there.resource_id].append(there)
    return found


_READ = """
    SELECT s.id, s.resource_id, extract(epoch FROM s.starts_at)::bigint,
           extract(epoch FROM s.ends_at)::bigint, extract(epoch FROM s.busy_from)::bigint,
           extract(epoch FROM s.busy_until)::bigint, s.max_bookings, s.max_units,
           s.taken_bookings, s.taken_units, s.status, s.source, s.taken_bookings > 0
           OR s.waited_for OR s.status = 'closed' OR s.stays_closed OR s.limits_by_hand
           OR EXISTS (SELECT 1 FROM bookings_booking b WHERE b.slot_id = s.id),
           s.limits_by_hand, s.stays_closed, s.shut,
           (extract(epoch FROM greatest(s.created_at, s.opened_at)) * 1000000)::bigint
    FROM bookings_slot s
    WHERE s.resource_id = ANY(%s) AND s.starts_at >= to_timestamp(%s)
"""
_UNTIL = " AND s.starts_at < to_timestamp(%s)"
_ORDER = " ORDER BY s.starts_at, s.id"


def lock(ids: Iterable[uuid.UUID]) -> None:
    """Lock slots against everything, a new booking's foreign key included, in their order."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM (SELECT 1 FROM bookings_slot WHERE id = ANY(%s)"
            " ORDER BY id FOR UPDATE) AS locked",
            [list(ids)],
        )


def create(planned: Iterable[tuple[Resource, Planned]]) -> None:
    """Make slots of resources; one that somebody made by hand at the same time is left alone."""
    rows = [(uuid7(), resource.pk, *slot) for resource, slot in planned]
    if not rows:
        return
    with connection.cursor() as cursor:
        cursor.execute(_CREATE, [list(column) for column in zip(*rows, strict=True)])


_CREATE = """
    INSERT INTO bookings_slot (
        organization_id, resource_id, exclusive, parts, pools, id, starts_at, ends_at, busy_from,
        busy_until, max_bookings, max_units, taken_bookings, taken_units, status, source, picked,
        created_at
    )
    SELECT r.organization_id, r.id, r.exclusive, r.parts, r.pools, p.id, to_timestamp(p.starts_at),
           to_timestamp(p.ends_at), to_timestamp(p.busy_from), to_timestamp(p.busy_until),
           p.max_bookings, p.max_units, 0, 0, 'open', 'schedule', '{}', now()
    FROM unnest(%s::uuid[], %s::uuid[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[],
                %s::int[], %s::int[])
      AS p (id, resource_id, starts_at, ends_at, busy_from, busy_until, max_bookings, max_units)
    JOIN bookings_resource r ON r.id = p.resource_id
    ON CONFLICT DO NOTHING
"""


def change(changes: Sequence[tuple[There, Limits]]) -> None:
    """Give locked slots other limits and buffers."""
    update_rows(
        Slot,
        ["max_bookings", "max_units", "busy_from", "busy_until"],
        [
            (
                there.id,
                limits.max_bookings,
                limits.max_units,
                _moment(limits.busy_from),
                _moment(limits.busy_until),
            )
            for there, limits in changes
        ],
    )


def revive(ids: Sequence[uuid.UUID]) -> None:
    """Offer locked legacy slots again; those that staff had closed come back closed."""
    if ids:
        closed = When(stays_closed=True, then=Value(SLOT.target("revive_closed")))
        Slot.objects.filter(pk__in=ids).update(
            status=Case(closed, default=Value(SLOT.target("revive"))), stays_closed=False
        )


def shut(ids: Sequence[uuid.UUID]) -> None:
    """Close locked slots that were made by hand, as their resource is closed then."""
    if ids:
        Slot.objects.filter(pk__in=ids).update(status=SLOT.target("close"), shut=True)


def reopen(ids: Sequence[uuid.UUID]) -> None:
    """Open them again: their resource is."""
    if ids:
        Slot.objects.filter(pk__in=ids).update(status=SLOT.target("open"), shut=False)


def retire(ids: Sequence[uuid.UUID]) -> None:
    """Offer locked slots to nobody new."""
    if ids:
        Slot.objects.filter(pk__in=ids).update(
            status=SLOT.target("retire"), stays_closed=Q(status=SlotStatus.CLOSED)
        )


def delete(ids: Sequence[uuid.UUID]) -> None:
    """Delete locked slots in which nobody ever was."""
    if ids:
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM bookings_slot WHERE id = ANY(%s)", [list(ids)])


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
