"""The line by the clock: whoever was passed by is served, and what is over ends (D7).

Both are safe to run twice, in parallel and in the middle of anything: they pass over slots that
somebody holds, and one that cannot be done does not keep the others.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import Q

from audit.context import Actor, audited
from audit.languages import our_reason
from audit.observability import sweeps
from audit.observability.sweeps import Failures
from bookings import claiming
from bookings import locks as booking_locks
from bookings.lifecycle import SlotStatus
from bookings.models import Slot
from waitlist import locks, selectors, transitions
from waitlist.lifecycle import EntryStatus
from waitlist.models import WaitlistEntry
from waitlist.services import serving

SERVE, END = "waitlist.serve", "waitlist.end"  # as the log and alerts name them
OVER = our_reason("No seats came free in time.")
GONE = our_reason("This time is not offered any more.")


class Unsettled(Exception):
    """Who is offered seats in a slot could not be settled in as many tries as there are."""


def serve_lines(
    *,
    actor: Actor,
    now: datetime,
    batch: int = 100,
    seen: set[uuid.UUID] | None = None,
    failed: Failures | None = None,
) -> int:
    """Offer seats that are free in slots with a line, one batch of slots.

    Seats are offered in the transaction that frees them. This is for those it could not reach: a
    slot of another service of the same doctor that somebody was just booking, or seats whose
    last hold ran out while nobody asked.

    Args:
        seen: slots to pass over; those looked at now are added.
        failed: slots that cannot be served; those that fail now are added.

    Returns:
        How many slots it looked at; call again until it is 0.
    """
    seen = set() if seen is None else seen
    failed = {} if failed is None else failed
    found = selectors.unserved_slots(now=now, limit=batch, skip=[*seen, *failed])
    seen.update(found)

    if not found:
        return 0

    def act(slot_ids: Collection[uuid.UUID]) -> set[uuid.UUID]:
        with transaction.atomic(), audited(actor, reason=serving.REASON):
            ours = booking_locks.slots_nobody_holds(slot_ids)
            return serving.serve(ours, now=now).unsettled & set(ours)

    def alone(slot_id: uuid.UUID) -> bool:
        if act([slot_id]):
            raise Unsettled
        return True

    def all_at_once() -> int:
        left.update(act(found))
        return len(found)

    left: set[uuid.UUID] = set()
    sweeps.together(SERVE, found, all_at_once, alone, failed=failed)
    sweeps.each(SERVE, sorted(left), alone, failed=failed)
    return len(found)


def end_overdue(
    *,
    actor: Actor,
    now: datetime,
    batch: int = 500,
    failed: Failures | None = None,
    passed: set[uuid.UUID] | None = None,
) -> int:
    """End entries whose slot or time is over or not offered any more, one batch; returns how many.

    Args:
        failed: entries to pass over; those that fail now are added.
        passed: the same; those that somebody else holds now, or whose slots, are added.
    """
    failed = {} if failed is None else failed
    passed = set() if passed is None else passed
    found = dict(selectors.overdue_entries(now=now, limit=batch, skip=[*failed, *passed]))
    if not found:
        return 0

    def act(ids: Collection[uuid.UUID]) -> int:
        with transaction.atomic(), audited(actor):
            wanted = {slot_id for pk in ids if (slot_id := found[pk])}
            ours = set(booking_locks.slots_nobody_holds(wanted)) if wanted else set()
            free = [pk for pk in ids if found[pk] is None or found[pk] in ours]
            entries = locks.entries_nobody_holds(Q(pk__in=free, status=EntryStatus.WAITING))
            end(entries, actor=actor, now=now)
        passed.update(set(ids) - {e.pk for e in entries})
        return len(entries)

    return sweeps.together(
        END, found, lambda: act(found), lambda pk: bool(act([pk])), failed=failed
    )


def end(entries: Sequence[WaitlistEntry], *, actor: Actor, now: datetime) -> None:
    """End locked entries, whose slots are locked, and say why; a few statements for any number."""
    by_reason: dict[str, list[WaitlistEntry]] = defaultdict(list)
    free = _with_seats({e.slot_id for e in entries if e.slot_id})
    for entry in entries:
        gone = not entry.resource.is_active or (entry.slot and entry.slot.status != SlotStatus.OPEN)
        slot = free.get(entry.slot_id) if entry.slot_id else None
        fits = slot is not None and slot.has_room(entry.units)
        reason = GONE if gone else serving.TOO_LATE if fits else OVER
        by_reason[reason].append(entry)
    for reason, some in by_reason.items():
        with audited(actor, reason=reason):
            transitions.end(some, "run_out", now=now, reason=reason)


def _with_seats(slot_ids: set[uuid.UUID]) -> dict[uuid.UUID, Slot]:
    rows = Slot.objects.filter(pk__in=slot_ids).order_by().select_related("resource")
    slots = [s for s in rows if s.has_room(1)] if slot_ids else []
    return {s.pk: s for s in claiming.could_claim(slots)}


def recount_lines(*, actor: Actor, now: datetime) -> int:
    """Count anew how many are in line for any time of resources; how many counts were wrong.

    A count is too high where somebody held the resource when an entry ended. Whoever joins holds
    the resource until the entry can be seen, so it is passed over meanwhile.
    """
    with transaction.atomic(), audited(actor):
        return locks.recount_lines(selectors.miscounted_lines())
