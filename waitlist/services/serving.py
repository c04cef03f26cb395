"""Freed seats find their next owner, in the transaction that freed them (A5, A6)."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextvars import ContextVar
from datetime import datetime, timedelta

from audit.context import Actor, audited
from bookings import claiming, holding, rules
from bookings import locks as booking_locks
from bookings.models import Slot
from waitlist import locks, planning, selectors, transitions
from waitlist.models import Offer, WaitlistEntry, WaitlistPolicy
from waitlist.planning import Free, Plan, Waiting

WAITLIST = Actor.system("waitlist")
REASON = "offered to the next in line"
SHORTEST_OFFER = timedelta(minutes=10)
MOST_ROUNDS = 20
MOST_TRIES = 5
AT_ONCE = 500  # slots that one look plans

_freed: ContextVar[set[uuid.UUID] | None] = ContextVar("waitlist_freed", default=None)


def serve(slot_ids: Collection[uuid.UUID], *, now: datetime) -> list[Offer]:
    """Offer what is free in these slots to the first in line whom it fits.

    Inside the caller's transaction, which holds the slots. Slots that take at the same time what
    the people of these took for themselves alone are served as well, if nobody else holds them
    at this moment; a sweep serves the others within a minute.

    Serving may itself free seats (of overdue holds in the way): those are offered in a round of
    their own, when the round that freed them is over.

    Returns:
        The offers made, each a held booking that its customer can accept until it runs out.
    """
    queue = _freed.get()
    if queue is not None:
        queue.update(slot_ids)
        return []
    queue = set(slot_ids)
    token = _freed.set(queue)
    made: list[Offer] = []
    try:
        for _ in range(MOST_ROUNDS):
            if not queue:
                break
            ids = list(queue)
            queue.clear()
            made += _round(ids, now=now)
    finally:
        _freed.reset(token)
    return made


def _round(slot_ids: Collection[uuid.UUID], *, now: datetime) -> list[Offer]:
    wanted = selectors.slots_to_serve(slot_ids, now=now)
    if not wanted:
        return []
    slots = locks.free_slots(wanted, now=now)
    policies = selectors.policies_of(s.organization_id for s in slots)
    until = {s.pk: answer_until(s, policies[s.organization_id], now=now) for s in slots}
    slots = [s for s in slots if until[s.pk] >= now + SHORTEST_OFFER]
    if not slots:
        return []
    claiming.make_room(slots, now=now)
    plan, entries = _share_out(slots, now=now)
    if not plan.offers:
        return []
    by_id = {s.pk: s for s in slots}
    pairs = [(entries[entry_id], by_id[slot_id]) for entry_id, slot_id in plan.offers]
    with audited(WAITLIST, reason=REASON):
        made = _offer(pairs, until, now=now)
        passed = [(entries[pk], why) for pk, why in plan.passed.items() if pk in entries]
        transitions.pass_over(passed, now=now)
    return made


def _share_out(
    slots: Sequence[Slot], *, now: datetime
) -> tuple[Plan, Mapping[uuid.UUID, WaitlistEntry]]:
    """Who gets what, with what it takes claimed and then their entries locked.

    Slots for the same court are claimed in the order of the line. An entry that somebody else
    holds is not waited for, as they may come to wait for us: whoever is behind does not get the
    seats either, and the sweep looks again. So it is with customers, of whom a resource takes some
    bookings only: what they have is counted again when they are locked.
    """
    free = {s.pk: s for s in slots}
    claimed: set[uuid.UUID] = set()
    missed: set[uuid.UUID] = set()
    counted: set[uuid.UUID] = set()
    for _ in range(MOST_TRIES):
        line = selectors.line_for(list(free.values()))
        plan = _plan(list(free.values()), line, now=now)
        place = {waiting.id: n for n, waiting in enumerate(line)}
        in_turn = sorted(plan.offers, key=lambda offer: place[offer[0]])
        chosen = [free[pk] for pk in dict.fromkeys(pk for _, pk in in_turn)]
        refused = claiming.claim_many([s for s in chosen if s.pk not in claimed], now=now)
        claimed |= {s.pk for s in chosen}
        if refused:  # taken by others, or by slots before them in this list
            for pk in refused:
                del free[pk]
            continue
        if not plan.offers:
            break
        customer_of = {waiting.id: waiting.customer_id for waiting in line}
        limited = [
            (customer_of[pk], slot_id)
            for pk, slot_id in plan.offers
            if free[slot_id].resource.most_live_bookings is not None
        ]
        if new := {customer for customer, _ in limited} - counted:
            counted |= booking_locks.customers_nobody_holds(new)
            for customer, slot_id in limited:
                if customer not in counted:
                    free.pop(slot_id, None)
            continue
        entries = locks.by_key(locks.waiting({pk for pk, _ in plan.offers} | set(plan.passed)))
        away = [(pk, slot_id) for pk, slot_id in plan.offers if pk not in entries]
        if not away:
            return plan, entries
        for pk, slot_id in away:  # gone, or held: the second time we know which
            if pk in missed:
                free.pop(slot_id, None)
        missed |= {pk for pk, _ in away}
    return Plan(), {}


def _plan(slots: Sequence[Slot], line: Sequence[Waiting], *, now: datetime) -> Plan:
    limited = {s.resource_id for s in slots if s.resource.most_live_bookings is not None}
    live = {}
    if limited and line:
        live = rules.live_bookings({w.customer_id for w in line}, limited, now=now)
    free = [
        Free(
            s.pk,
            s.resource_id,
            s.starts_at,
            s.ends_at,
            s.max_bookings - s.taken_bookings,
            s.max_units - s.taken_units,
            s.resource.most_live_bookings,
            rules.may_be_booked(s, now=now),
        )
        for s in slots
    ]
    missed = rules.missed_too_often(
        {w.customer_id for w in line}, {s.organization for s in slots}, now=now
    )
    barred = {
        pk: f"Missed {count} booking{'s' if count > 1 else ''}; ask the staff."
        for pk, count in missed.items()
    }
    return planning.plan(free, line, live=live, barred=barred)


def unserved(slot_ids: Sequence[uuid.UUID], *, now: datetime) -> Iterator[tuple[Slot, int]]:
    """Slots in which :func:`serve` would offer seats now, and to how many; nothing is locked."""
    for start in range(0, len(slot_ids), AT_ONCE):
        some = slot_ids[start : start + AT_ONCE]
        slots = list(
            Slot.objects.filter(pk__in=some, resource__is_active=True)
            .order_by("pk")
            .select_related("resource", "organization")
        )
        in_time = still_offered(slots, now)
        slots = [s for s in claiming.could_claim(slots) if s.pk in in_time]
        offers = Counter(pk for _, pk in _plan(slots, selectors.line_for(slots), now=now).offers)
        yield from ((s, offers[s.pk]) for s in slots if offers[s.pk])


def _offer(
    pairs: Sequence[tuple[WaitlistEntry, Slot]],
    until: Mapping[uuid.UUID, datetime],
    *,
    now: datetime,
) -> list[Offer]:
    bookings = holding.hold_for(
        [(slot, entry.customer, entry.units, until[slot.pk]) for entry, slot in pairs], now=now
    )
    return transitions.offer(
        [(entry, booking) for (entry, _), booking in zip(pairs, bookings, strict=True)], now=now
    )


def still_offered(slots: Sequence[Slot], now: datetime) -> set[uuid.UUID]:
    """Which of these slots do not start so soon that an offer could not be answered any more; one
    statement."""
    policies = selectors.policies_of(s.organization_id for s in slots)
    return {
        s.pk
        for s in slots
        if answer_until(s, policies[s.organization_id], now=now) >= now + SHORTEST_OFFER
    }


def answer_until(slot: Slot, policy: WaitlistPolicy, *, now: datetime) -> datetime:
    """Until when an offer that is made now stands."""
    return min(
        now + timedelta(hours=policy.offer_hours),
        slot.starts_at - timedelta(minutes=policy.offer_until_minutes),
    )
