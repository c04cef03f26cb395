"""Every row lock of this app, named; the order is in ``bookings/locks.py``.

An entry for one slot changes only under the lock of that slot. One for any time of a resource
has only its own. An offer has none: whoever changes one holds the lock of its booking.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime

from django.db import connection
from django.db.models import Q

from audit.errors import NotFound
from bookings import locks as booking_locks
from bookings.lifecycle import SlotStatus
from bookings.models import Booking, Resource, Slot
from waitlist.lifecycle import GOING_ON_SQL, EntryStatus, OfferStatus
from waitlist.models import WaitlistEntry

MOST_SLOTS = 5_000  # that one entry can wait for


def entries(ids: Iterable[uuid.UUID]) -> list[WaitlistEntry]:
    """Lock entries, with their customers loaded."""
    return entries_where(Q(pk__in=set(ids)))


def waiting(ids: Iterable[uuid.UUID]) -> list[WaitlistEntry]:
    """Lock those of these entries that still wait and that nobody else holds, with their
    customers loaded."""
    return entries_nobody_holds(Q(pk__in=set(ids), status=EntryStatus.WAITING))


def entries_where(condition: Q) -> list[WaitlistEntry]:
    """Lock entries that a condition selects."""
    return list(
        WaitlistEntry.objects.select_for_update(no_key=True, of=("self",))
        .select_related("customer", "resource", "slot")
        .filter(condition)
        .order_by("pk")
    )


def entries_nobody_holds(condition: Q) -> list[WaitlistEntry]:
    """Lock entries that a condition selects, passing over those that somebody else holds."""
    return list(
        WaitlistEntry.objects.select_for_update(no_key=True, of=("self",), skip_locked=True)
        .select_related("customer", "resource", "slot")
        .filter(condition)
        .order_by("pk")
    )


def entry(entry_id: uuid.UUID, *, organization_id: uuid.UUID) -> WaitlistEntry:
    """Lock one entry of an organisation.

    Raises:
        NotFound: there is none.
    """
    for found in entries_where(Q(pk=entry_id, organization_id=organization_id)):
        return found
    raise NotFound("There is no such entry in the waitlist.")


def slots_of_entries(ids: Iterable[uuid.UUID], *, organization_id: uuid.UUID) -> list[Slot]:
    """Lock the slots that entries of an organisation wait for, and those in which they were
    offered seats."""
    found = (
        WaitlistEntry.objects.filter(pk__in=set(ids), organization_id=organization_id)
        .values_list("slot_id", "offers__booking__slot_id")
        .order_by()
    )
    return booking_locks.slots({pk for row in found for pk in row if pk is not None})


def slots_and_bookings_of_entries(
    ids: Iterable[uuid.UUID], *, organization_id: uuid.UUID
) -> tuple[set[uuid.UUID], dict[uuid.UUID, Booking]]:
    """Lock what ``slots_of_entries`` does, and the bookings of open offers; which they are.

    Somebody may have offered something else while this waited for the slots.
    """
    found = list(
        WaitlistEntry.objects.filter(pk__in=set(ids), organization_id=organization_id)
        .values_list("slot_id", "offers__booking__slot_id", "offers__booking_id", "offers__status")
        .order_by()
    )
    slots = booking_locks.slots({pk for row in found for pk in row[:2] if pk is not None})
    offered = {row[2] for row in found if row[3] == OfferStatus.OPEN}
    bookings = booking_locks.bookings(offered) if offered else []
    return {s.pk for s in slots}, {b.pk: b for b in bookings}


def slots_in_window(resource: Resource, since: datetime, until: datetime) -> list[Slot]:
    """Lock the slots that somebody who joins for any time of a resource waits for, so that
    nothing in them comes free meanwhile."""
    return list(
        Slot.objects.select_for_update(no_key=True, of=("self",))
        .select_related("resource")
        .filter(
            resource=resource,
            starts_at__gte=since,
            starts_at__lt=until,
            ends_at__lte=until,
            status=SlotStatus.OPEN,
        )
        .exclude(source=Slot.Source.FREE)
        .order_by("pk")[: MOST_SLOTS + 1]
    )


def free_slots(ids: Iterable[uuid.UUID], *, now: datetime) -> list[Slot]:
    """Lock slots that seats came free in and that are still offered, with their resources and
    organisations loaded, passing over those that somebody else holds.

    Those that this transaction holds are among them. The others come out of the order of locks,
    so it never waits for them; and somebody may have closed one since it was found.
    """
    return list(
        Slot.objects.select_for_update(no_key=True, of=("self",), skip_locked=True)
        .select_related("resource", "organization")
        .filter(pk__in=set(ids), status=SlotStatus.OPEN, starts_at__gt=now)
        .filter(resource__is_active=True)
        .exclude(source=Slot.Source.FREE)
        .order_by("starts_at", "pk")
    )


def resource_of_window(resource: Resource) -> None:
    """Lock a resource, before a customer, for somebody who joins for any time of it: the count of
    those in line is raised when the entry is written, and whoever brings a slot of their own
    holds the resource before the customer."""
    Resource.objects.select_for_update(no_key=True).only("pk").get(pk=resource.pk)


_RECOUNT = f"""
    UPDATE bookings_resource r SET line = n.entries
    FROM (
        SELECT r.id, count(e.id)::int AS entries FROM bookings_resource r
        LEFT JOIN waitlist_waitlistentry e ON e.resource_id = r.id AND e.slot_id IS NULL
             AND e.status IN ({GOING_ON_SQL})
        WHERE r.id = ANY(%s) GROUP BY r.id
    ) n
    WHERE n.id = r.id AND r.line <> n.entries
"""  # noqa: S608  our own statuses
_RECOUNT_SLOT = """
    UPDATE bookings_slot s SET line_units = n.units, waited_for = s.waited_for OR n.waited_for
    FROM (
        SELECT min(units) FILTER (WHERE status = 'waiting') AS units, count(*) > 0 AS waited_for
        FROM waitlist_waitlistentry WHERE slot_id = %(slot)s
    ) n
    WHERE s.id = %(slot)s AND (s.line_units IS DISTINCT FROM n.units
                               OR n.waited_for AND NOT s.waited_for)
"""


def recount_lines(resource_ids: Iterable[uuid.UUID]) -> int:
    """Lock resources that nobody holds and count anew who is in line for any time of them."""
    wanted = set(resource_ids)
    if not wanted:
        return 0
    free = Resource.objects.select_for_update(no_key=True, skip_locked=True).filter(pk__in=wanted)
    ours = list(free.order_by("pk").values_list("pk", flat=True))
    with connection.cursor() as cursor:
        cursor.execute(_RECOUNT, [ours])
        return int(cursor.rowcount)


def recount_slot(slot_id: uuid.UUID) -> int:
    """Count anew who waits for a locked slot; 1 if it was wrong."""
    with connection.cursor() as cursor:
        cursor.execute(_RECOUNT_SLOT, {"slot": slot_id})
        return int(cursor.rowcount)


def by_key(rows: Sequence[WaitlistEntry]) -> dict[uuid.UUID, WaitlistEntry]:
    return {row.pk: row for row in rows}
