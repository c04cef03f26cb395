"""Every row lock of this app, named; the order is in ``bookings/locks.py``.

An entry for one slot changes only under the lock of that slot. One for any time of a resource
has only its own. An offer has none: whoever changes one holds the lock of its booking.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime

from django.db.models import Q

from audit.errors import NotFound
from bookings import locks as booking_locks
from bookings.lifecycle import SlotStatus
from bookings.models import Resource, Slot
from waitlist.lifecycle import EntryStatus
from waitlist.models import WaitlistEntry

MOST_SLOTS = 5_000  # that one entry can wait for


def entries(ids: Iterable[uuid.UUID]) -> list[WaitlistEntry]:
    """Lock entries, with their customers loaded."""
    return entries_where(Q(pk__in=set(ids)))


def waiting(ids: Iterable[uuid.UUID]) -> list[WaitlistEntry]:
    """Lock those of these entries that still wait, with their customers loaded."""
    return entries_where(Q(pk__in=set(ids), status=EntryStatus.WAITING))


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


def free_slots(ids: Iterable[uuid.UUID]) -> list[Slot]:
    """Lock slots that seats came free in, passing over those that somebody else holds.

    Those that this transaction holds are among them. The others come out of the order of locks,
    so it never waits for them.
    """
    return list(
        Slot.objects.select_for_update(no_key=True, of=("self",), skip_locked=True)
        .select_related("resource")
        .filter(pk__in=set(ids))
        .order_by("starts_at", "pk")
    )


def by_key(rows: Sequence[WaitlistEntry]) -> dict[uuid.UUID, WaitlistEntry]:
    return {row.pk: row for row in rows}
