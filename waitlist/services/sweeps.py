"""The line by the clock: whoever was passed by is served, and what is over ends (D7).

Both are safe to run twice, in parallel and in the middle of anything: they pass over slots that
somebody holds, and one that cannot be done does not keep the others.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection
from datetime import datetime

from django.db import transaction
from django.db.models import Q

from audit.context import Actor, audited
from audit.languages import our_reason
from audit.observability import sweeps
from audit.observability.sweeps import Failures
from bookings import locks as booking_locks
from waitlist import locks, selectors, transitions
from waitlist.lifecycle import EntryStatus
from waitlist.services import serving

SERVE, END = "waitlist.serve", "waitlist.end"  # as the log and alerts name them
OVER = our_reason("No seats came free in time.")


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

    def act(slot_ids: Collection[uuid.UUID]) -> int:
        with transaction.atomic(), audited(actor, reason=serving.REASON):
            ours = booking_locks.slots_nobody_holds(slot_ids)
            serving.serve(ours, now=now)
        return len(ours)

    sweeps.together(SERVE, found, lambda: act(found), lambda pk: bool(act([pk])), failed=failed)
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
        with transaction.atomic(), audited(actor, reason=OVER):
            wanted = {slot_id for pk in ids if (slot_id := found[pk])}
            ours = set(booking_locks.slots_nobody_holds(wanted)) if wanted else set()
            free = [pk for pk in ids if found[pk] is None or found[pk] in ours]
            entries = locks.entries_nobody_holds(Q(pk__in=free, status=EntryStatus.WAITING))
            transitions.end(entries, "run_out", now=now, reason=OVER)
        passed.update(set(ids) - {e.pk for e in entries})
        return len(entries)

    return sweeps.together(
        END, found, lambda: act(found), lambda pk: bool(act([pk])), failed=failed
    )


def recount_lines(*, actor: Actor, now: datetime) -> int:
    """Count anew how many are in line for any time of resources; how many counts were wrong.

    A count is too high where somebody held the resource when an entry ended. Whoever joins holds
    the resource until the entry can be seen, so it is passed over meanwhile.
    """
    with transaction.atomic(), audited(actor):
        return locks.recount_lines(selectors.miscounted_lines())
