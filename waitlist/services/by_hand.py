"""What staff do with a line by hand: give another place, offer out of turn."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Q

from audit.context import Actor, audited
from audit.errors import Invalid, NotFound
from audit.observability.operations import operation
from bookings import claiming, holding
from bookings import locks as booking_locks
from bookings.models import Slot
from waitlist import locks, planning, selectors, transitions
from waitlist.errors import NoLongerWaiting, NoWaitlist
from waitlist.lifecycle import GOING_ON, EntryStatus
from waitlist.models import Offer, WaitlistEntry
from waitlist.selectors import SHORTEST_OFFER
from waitlist.services import line
from waitlist.services.serving import answer_until

GAP = timedelta(seconds=1)
SMALLEST_GAP = timedelta(microseconds=2)  # something lies in the middle of it


def place(
    *,
    entry_id: uuid.UUID,
    organization_id: uuid.UUID,
    position: int,
    reason: str,
    actor: Actor,
    now: datetime,
) -> WaitlistEntry:
    """Staff give somebody another place among those who wait for the same.

    Args:
        position: counted from 1, as ``selectors.load_positions`` counts; beyond the end is the
            end.

    Raises:
        NoLongerWaiting: it does not wait.
        Invalid: no reason, or no such position.
        Forbidden: it is the actor's own place, or one before or behind it.
        NotFound: the organisation has no such entry.
    """
    line.check_reason(reason, words="Say why: it stays in the history.")
    if position < 1:
        raise Invalid("The first place is 1.", field="position")
    with (
        operation("waitlist.place", actor=actor, entry=str(entry_id)) as op,
        transaction.atomic(savepoint=False),
        audited(actor, reason=reason),
    ):
        point = transaction.savepoint()
        entry, _ = line.lock_entry(entry_id, organization_id=organization_id)
        at = _place_for(entry, position, actor, now=now)
        if at is None:
            # Let go of it: whoever holds another one of the line may be waiting for it.
            transaction.savepoint_rollback(point)
            entry, _ = line.lock_entry(
                entry_id, organization_id=organization_id, line_of=entry.resource_id
            )
            at = _place_for(entry, position, actor, make_room=True, now=now)
            assert at is not None
        if at != entry.placed_at:
            entry.placed_at = at
            WaitlistEntry.objects.filter(pk=entry.pk).update(placed_at=at)
            entry.version += 1
        op.rows = 1
    return entry


def _place_for(
    entry: WaitlistEntry, position: int, actor: Actor, *, make_room: bool = False, now: datetime
) -> datetime | None:
    """Where a locked entry stands at a position among those who wait for the same; None if no
    moment lies between its neighbours, unless room may be made, as all of the line is locked."""
    line.check_no_rival([entry], actor)
    if entry.status != EntryStatus.WAITING:
        raise NoLongerWaiting(f"This place in line: {entry.get_status_display()}.")
    same = selectors.same_line(entry, now=now).filter(status=EntryStatus.WAITING)
    others = list(same.exclude(pk=entry.pk).values_list("placed_at", "pk"))
    before, after = others[: position - 1], others[position - 1 :]
    if not others:
        return entry.placed_at
    if not before:
        return after[0][0] - GAP
    last_at, last_id = before[-1]
    if not after:
        return max(now, last_at + GAP)
    if after[0][0] - last_at < SMALLEST_GAP:
        if not make_room:
            return None
        _move_ahead(entry, last_at, last_id)
        last_at -= GAP
    return last_at + (after[0][0] - last_at) / 2


def _move_ahead(entry: WaitlistEntry, last_at: datetime, last_id: uuid.UUID) -> None:
    """Put everybody up to a place, in all lines of the resource, a second ahead: among themselves,
    and before those behind, they stay in order. One statement."""
    up_to = Q(placed_at__lt=last_at) | Q(placed_at=last_at, pk__lte=last_id)
    ahead = WaitlistEntry.objects.filter(
        up_to, resource=entry.resource_id, status__in=GOING_ON
    ).exclude(pk=entry.pk)
    ahead.update(placed_at=F("placed_at") - GAP)


def offer_by_hand(
    *,
    entry_id: uuid.UUID,
    organization_id: uuid.UUID,
    slot_id: uuid.UUID | None = None,
    reason: str,
    actor: Actor,
    now: datetime,
) -> Offer:
    """Staff offer seats to somebody out of turn, as far as there are any.

    Args:
        slot_id: in which slot, for somebody who waits for any time.

    Raises:
        NoLongerWaiting: it does not wait.
        SlotFull, SlotGone, ResourceTaken: see ``bookings.holding.hold``.
        NoWaitlist: so shortly before the start that nobody could answer.
        Invalid: no reason, or a slot it does not wait for.
        Forbidden: it is the actor's own place, or one before or behind it.
        NotFound: the organisation has no such entry or slot.
    """
    line.check_reason(reason, words="Say why: it stays in the history.")
    with (
        operation("waitlist.offer_by_hand", actor=actor, entry=str(entry_id)) as op,
        transaction.atomic(savepoint=False),
        audited(actor, reason=reason),
    ):
        target = _slot_of(entry_id, organization_id, wish=slot_id)
        slot = booking_locks.slot(target, organization_id=organization_id)
        until = _until(slot, now=now)
        claiming.check_bookable(slot, now=now)
        units = WaitlistEntry.objects.values_list("units", flat=True).get(pk=entry_id)
        claiming.check_seats(slot, units, now=now)
        claiming.claim(slot, now=now, out_of_turn=True)
        entry = locks.entry(entry_id, organization_id=organization_id)
        line.check_no_rival([entry], actor)
        if entry.status != EntryStatus.WAITING:
            raise NoLongerWaiting(f"This place in line: {entry.get_status_display()}.")
        if not planning.is_for(entry, slot):
            raise Invalid("This is not what they wait for.", field="slot")
        (booking,) = holding.hold_for([(slot, entry.customer, entry.units, until)], now=now)
        (offer,) = transitions.offer(
            [(entry, booking)], by_hand=True, offered_by=actor.label, now=now
        )
        op.rows = 3
    return offer


def _slot_of(
    entry_id: uuid.UUID, organization_id: uuid.UUID, *, wish: uuid.UUID | None
) -> uuid.UUID:
    row = WaitlistEntry.objects.filter(pk=entry_id, organization=organization_id).first()
    if row is None:
        raise NotFound("There is no such entry in the waitlist.")
    found = wish or row.slot_id
    if found is None:
        raise Invalid("Say in which slot.", field="slot")
    return found


def _until(slot: Slot, *, now: datetime) -> datetime:
    policy = selectors.policies_of([slot.organization_id])[slot.organization_id]
    until = answer_until(slot, policy, now=now)
    if until < now + SHORTEST_OFFER:
        raise NoWaitlist("It starts too soon to wait for an answer; book it for them instead.")
    return until
