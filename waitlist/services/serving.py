"""Freed seats find their next owner, in the transaction that freed them (A5, A6)."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q

from audit.context import Actor, audited
from audit.languages import our_reason
from bookings import claiming, holding, rules
from bookings import locks as booking_locks
from bookings.errors import ResourceTaken
from bookings.models import Slot
from waitlist import locks, planning, selectors, transitions
from waitlist.lifecycle import EntryStatus
from waitlist.models import Offer, WaitlistEntry, WaitlistPolicy
from waitlist.planning import Free, Plan, Waiting
from waitlist.selectors import SHORTEST_OFFER

WAITLIST = Actor.system("waitlist")
REASON = "offered to the next in line"
TOO_LATE = our_reason(
    "Seats came free, but so shortly before the start that they could not be offered to you any"
    " more."
)
MOST_ROUNDS = 20
MOST_TRIES = 5
MOST_PLANS = 50
AT_ONCE = 500  # slots that one look plans


@dataclass(slots=True)
class Served:
    """What became of the lines of slots.

    Attributes:
        offers: each a held booking that its customer can accept until it runs out.
        held: slots that somebody else holds at this moment, or whose next in line somebody does.
        unsettled: slots that could not be settled in as many tries as there are.
    """

    offers: list[Offer] = field(default_factory=list)
    held: set[uuid.UUID] = field(default_factory=set)
    unsettled: set[uuid.UUID] = field(default_factory=set)

    @property
    def undecided(self) -> set[uuid.UUID]:
        """Slots in which nobody from outside may have seats now."""
        return self.held | self.unsettled


_freed: ContextVar[set[uuid.UUID] | None] = ContextVar("waitlist_freed", default=None)


def serve(slot_ids: Collection[uuid.UUID], *, now: datetime, only: bool = False) -> Served:
    """Offer what is free in these slots to the first in line whom it fits.

    Inside the caller's transaction, which holds the slots. Slots that take at the same time what
    the people of these took for themselves alone are served as well, if nobody else holds them
    at this moment; a sweep serves the others within a minute.

    Serving may itself free seats (of overdue holds in the way): those are offered in a round of
    their own, when the round that freed them is over.

    Args:
        only: no other slots are served. These need not be locked: what somebody holds is undecided.
    """
    queue = _freed.get()
    if queue is not None:
        queue.update(slot_ids)
        return Served()
    queue = set(slot_ids)
    token = _freed.set(queue)
    served = Served()
    try:
        for number in range(MOST_ROUNDS):
            if not queue:
                break
            ids = list(queue)
            queue.clear()
            found = ids if only and not number else selectors.slots_to_serve(ids, now=now)
            if found:
                _round(found, served, now=now)
        served.unsettled |= queue
    finally:
        _freed.reset(token)
    return served


@contextmanager
def held_back() -> Iterator[set[uuid.UUID]]:
    """Nobody in line is served inside: it is for a caller who takes freed seats for somebody whose
    they are, and then serves the slots that this gives."""
    queue: set[uuid.UUID] = set()
    token = _freed.set(queue)
    try:
        yield queue
    finally:
        _freed.reset(token)


def _round(slot_ids: Collection[uuid.UUID], served: Served, *, now: datetime) -> None:
    slots = locks.free_slots(slot_ids, now=now)
    served.held -= set(slot_ids)
    served.unsettled -= set(slot_ids)
    served.held |= set(slot_ids) - {s.pk for s in slots}
    policies = selectors.policies_of(s.organization_id for s in slots)
    until = {s.pk: answer_until(s, policies[s.organization_id], now=now) for s in slots}
    late = [s for s in slots if until[s.pk] < now + SHORTEST_OFFER]
    if late:
        _too_late(late, now=now)
    slots = [s for s in slots if until[s.pk] >= now + SHORTEST_OFFER]
    if not slots:
        return
    claiming.make_room(slots, now=now)
    settling = _Settling(slots, now=now)
    plan = settling.share_out()
    served.held |= settling.held
    served.unsettled |= settling.unsettled
    if not plan.offers:
        return
    by_id = {s.pk: s for s in slots}
    entries = settling.entries
    pairs = [(entries[entry_id], by_id[slot_id]) for entry_id, slot_id in plan.offers]
    with audited(WAITLIST, reason=REASON):
        served.offers += _offer(pairs, until, now=now)
        passed = [(entries[pk], why) for pk, why in plan.passed.items() if pk in entries]
        transitions.pass_over(passed, now=now)


def _too_late(slots: Sequence[Slot], *, now: datetime) -> None:
    """What comes free in these locked slots is anybody's: who waited for them is told so."""
    waited_for = [s for s in slots if s.line_units and s.has_room(s.line_units)]
    free = {s.pk: s for s in claiming.could_claim(waited_for)} if waited_for else {}
    if not free:
        return
    entries = [
        e
        for e in locks.entries_nobody_holds(Q(slot__in=free, status=EntryStatus.WAITING))
        if e.slot_id and free[e.slot_id].has_room(e.units)
    ]
    with audited(WAITLIST, reason=TOO_LATE):
        transitions.end(entries, "run_out", now=now, reason=TOO_LATE)


class _Settling:
    """Who gets what in locked slots, with what it takes claimed and then their entries locked.

    An entry that somebody else holds is not waited for, as they may come to wait for us. Nobody
    gets its seats either, as it may want them still: that slot is ``held``, and the others go out
    as if it had got them. So it is with customers, of whom a resource takes some bookings only:
    what they have is counted again when they are locked.
    """

    def __init__(self, slots: Sequence[Slot], *, now: datetime) -> None:
        self.slots = {s.pk: s for s in slots}
        self.now = now
        self.entries: dict[uuid.UUID, WaitlistEntry] = {}
        self.held: set[uuid.UUID] = set()
        self.unsettled: set[uuid.UUID] = set()
        self._claims = claiming.Claims(slots, now=now)
        self._line = selectors.line_for(slots)
        self._customer_of = {w.id: w.customer_id for w in self._line}
        self._asked: set[uuid.UUID] = set()  # customers; and of them those that we hold
        self._ours: set[uuid.UUID] = set()
        self._away: set[uuid.UUID] = set()  # entries that wait, and that somebody else holds

    def share_out(self) -> Plan:
        """The offers that can be made now."""
        for _ in range(MOST_TRIES):
            counted = set(self._ours)
            plan = self._plan()
            if not self._locks_something_new(plan):
                break
        trouble = {
            slot_id for pk, slot_id in plan.offers if not self._is_ours(pk, slot_id, counted)
        }
        self.held = {
            slot_id
            for pk, slot_id in plan.offers
            if slot_id in trouble
            and (pk in self._away or self._customer_of[pk] in self._asked - self._ours)
        }
        self.unsettled |= trouble - self.held
        plan = plan.without(trouble)
        self._claims.write([self.slots[pk] for pk in dict.fromkeys(s for _, s in plan.offers)])
        return plan

    def _limited(self, slot_id: uuid.UUID) -> bool:
        return self.slots[slot_id].resource.most_live_bookings is not None

    def _is_ours(
        self, entry_id: uuid.UUID, slot_id: uuid.UUID, counted: Collection[uuid.UUID]
    ) -> bool:
        is_counted = self._customer_of[entry_id] in counted
        return entry_id in self.entries and (is_counted or not self._limited(slot_id))

    def _locks_something_new(self, plan: Plan) -> bool:
        """Lock what the plan needs; whether that makes another one necessary."""
        limited = {self._customer_of[pk] for pk, slot_id in plan.offers if self._limited(slot_id)}
        if new := limited - self._asked:
            self._asked |= new
            got = booking_locks.customers_nobody_holds(new)
            self._ours |= got
            if got:
                return True
        offered = {pk for pk, _ in plan.offers}
        if wanted := (offered | set(plan.passed)) - self.entries.keys() - self._away:
            self.entries |= locks.by_key(locks.waiting(wanted))
        missing = offered - self.entries.keys() - self._away
        if not missing:
            return False
        self._away |= selectors.still_waiting(missing)
        gone = missing - self._away
        self._line = [w for w in self._line if w.id not in gone]
        return bool(gone)

    def _plan(self) -> Plan:
        """Who is offered what. Slots for the same court are claimed in the order of the line."""
        self._claims.start_anew()
        self.unsettled = set()
        facts = _facts(list(self.slots.values()), self._line, now=self.now)
        free = {pk: _free(s, now=self.now) for pk, s in self.slots.items() if self._claims.could(s)}
        place = {w.id: n for n, w in enumerate(self._line)}
        claimed: set[uuid.UUID] = set()
        for _ in range(MOST_PLANS):
            plan = planning.plan(list(free.values()), self._line, **facts)
            in_turn = sorted(plan.offers, key=lambda offer: place[offer[0]])
            refused = set()
            for pk in dict.fromkeys(slot_id for _, slot_id in in_turn):
                if pk in claimed:
                    continue
                if self._claim(pk):
                    claimed.add(pk)
                else:
                    refused.add(pk)
            if not refused:
                return plan
            free = {pk: f for pk, f in free.items() if pk not in refused}
        self.unsettled |= free.keys() - claimed
        return planning.plan([f for pk, f in free.items() if pk in claimed], self._line, **facts)

    def _claim(self, slot_id: uuid.UUID) -> bool:
        try:
            self._claims.take(self.slots[slot_id])
        except ResourceTaken:
            return False
        return True


def _free(slot: Slot, *, now: datetime) -> Free:
    return Free(
        slot.pk,
        slot.resource_id,
        slot.starts_at,
        slot.ends_at,
        slot.max_bookings - slot.taken_bookings,
        slot.max_units - slot.taken_units,
        slot.resource.most_live_bookings,
        rules.may_be_booked(slot, now=now),
    )


def _facts(slots: Sequence[Slot], line: Sequence[Waiting], *, now: datetime) -> dict[str, Any]:
    """What else decides who is offered something, as :func:`planning.plan` takes it."""
    customers = {w.customer_id for w in line}
    limited = {s.resource_id for s in slots if s.resource.most_live_bookings is not None}
    live = rules.live_bookings(customers, limited, now=now) if limited and line else {}
    missed = rules.missed_too_often(customers, {s.organization for s in slots}, now=now)
    barred = {
        pk: f"Missed {count} booking{'s' if count > 1 else ''}; ask the staff."
        for pk, count in missed.items()
    }
    holds = selectors.holding(s.pk for s in slots) if line else set()
    return {"live": live, "barred": barred, "holding": holds}


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
        line = selectors.line_for(slots)
        free = [_free(s, now=now) for s in slots]
        plan = planning.plan(free, line, **_facts(slots, line, now=now))
        offers = Counter(pk for _, pk in plan.offers)
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
