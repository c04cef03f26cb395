"""Whether locked slots have room for somebody, and making it: overdue holds go, whoever waits in line
is served first, and what a slot takes for itself alone is claimed. Who then takes the seats is in
``holding``."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence
from datetime import datetime

from audit.errors import DomainError
from audit.languages import our_reason
from bookings import locks, signals, transitions
from bookings.errors import ResourceTaken, SlotFull, SlotGone
from bookings.lifecycle import SlotStatus
from bookings.models import Booking, Slot

COUNTERS = ("taken_bookings", "taken_units")


def check_bookable(slot: Slot, *, now: datetime, walk_in: bool = False) -> None:
    """Raise SlotGone if a slot takes no new people; walk-ins come until it is over."""
    if slot.status != SlotStatus.OPEN:
        raise SlotGone("This slot is closed.")
    if slot.starts_at <= now and not walk_in:
        raise SlotGone("This slot has already started.")
    if slot.ends_at <= now:
        raise SlotGone("This slot is over.")
    if not slot.resource.is_active:
        raise SlotGone("This is not offered any more.")


def is_bookable(slot: Slot, *, now: datetime) -> bool:
    try:
        check_bookable(slot, now=now)
    except SlotGone:
        return False
    return True


def make_room(slots: Sequence[Slot], *, now: datetime) -> None:
    """Expire the overdue holds of locked slots and read the counters again."""
    overdue = locks.overdue_holds([s.pk for s in slots], now=now)
    if not overdue:
        return
    transitions.expire(overdue, now=now, reason=our_reason("The hold ran out."))
    read_counters(slots)


def read_counters(slots: Sequence[Slot]) -> None:
    """Read again what is taken in locked slots."""
    counted = Slot.objects.filter(pk__in=[s.pk for s in slots]).order_by()
    counters = {pk: taken for pk, *taken in counted.values_list("pk", *COUNTERS)}
    for slot in slots:
        slot.taken_bookings, slot.taken_units = counters[slot.pk]


def serve_lines(slots: Sequence[Slot], *, now: datetime) -> None:
    """Let those who wait in line for locked slots be served before somebody from outside.

    Nothing where nobody waits. Where the line was served as soon as seats came free, as it
    always should be, what is left fits nobody in it.
    """
    waited_for = [s for s in slots if s.has_line]
    if not waited_for:
        return
    make_room(waited_for, now=now)
    if free := [s for s in waited_for if s.has_room(s.least_in_line)]:
        signals.seats_released.send(Slot, slot_ids=sorted(s.pk for s in free), now=now)
        read_counters(free)


def check_room(slot: Slot, units: int, *, now: datetime) -> None:
    """Make room in a locked slot for one more booking, or raise SlotFull."""
    serve_lines([slot], now=now)
    check_seats(slot, units, now=now)


def check_seats(slot: Slot, units: int, *, now: datetime) -> None:
    """The same for somebody whose turn it is, whoever waits in line."""
    if units <= slot.max_units and not slot.has_room(units):
        make_room([slot], now=now)
    if not slot.has_room(units):
        raise full_error(slot, units, waitlist=bool(open_lines([slot], now=now)))


def keep_in_line(old: Slot, slot: Slot) -> None:
    """Note of a locked slot that whoever moves in may have been offered the old seats in line:
    what becomes of the booking still concerns the entry."""
    if old.concerns_line and not slot.waited_for:
        Slot.objects.filter(pk=slot.pk).update(waited_for=True)
        slot.waited_for = True


def takes_line(slot: Slot) -> bool:
    """Whether customers can wait in line for a slot."""
    return bool(slot.resource.takes_waitlist and slot.source != Slot.Source.FREE)


_lines_open: list[Callable[[Sequence[Slot], datetime], set[uuid.UUID]]] = []


def lines_open_where(condition: Callable[[Sequence[Slot], datetime], set[uuid.UUID]]) -> None:
    """Let an app above say in which slots, at a moment, it is not too late to get in line."""
    if condition not in _lines_open:
        _lines_open.append(condition)


def open_lines(slots: Sequence[Slot], *, now: datetime) -> set[uuid.UUID]:
    """In which of these slots customers can get in line now."""
    found = [s for s in slots if takes_line(s)]
    for condition in _lines_open if found else ():
        there = condition(found, now)
        found = [s for s in found if s.pk in there]
    return {s.pk for s in found}


def full_error(slot: Slot, units: int, *, waitlist: bool) -> SlotFull:
    if units > slot.max_units:
        return SlotFull(f"This slot takes {slot.max_units} at most.", waitlist=False)
    free = max(0, slot.max_units - slot.taken_units)
    if slot.taken_bookings >= slot.max_bookings:
        free = 0
    return SlotFull(
        "This slot is full." if not free else f"Only {free} left in this slot.",
        available_units=free,
        waitlist=waitlist,
    )


def claim(slot: Slot, *, now: datetime, leaving: Slot | None = None) -> None:
    """Get what a locked slot's people take for themselves alone, before the first of them.

    Overdue holds in slots that take the same are expired on the spot. Out of each pool one is
    picked. What is picked is on the slot until its next first people.

    Args:
        leaving: the locked slot that whoever comes leaves in the same transaction.

    Raises:
        ResourceTaken: the resource, a part of it or all of a pool is taken at that time.
    """
    if not slot.takes_exclusively or slot.taken_bookings:
        return
    ignored = {leaving.pk} if leaving is not None and leaving.taken_bookings == 1 else set()
    pools = locks.pool_members(slot.pools) if slot.pools else {}
    numbers = {*slot.numbers, *(n for members in pools.values() for n in members)}
    locks.take_in_turn(numbers)
    taken = _taken(slot, numbers, ignored)
    if taken:
        make_room(locks.rivals(set().union(*taken.values())), now=now)
        taken = _taken(slot, numbers, ignored)
    picked = _choose(slot, pools, taken)
    if picked != slot.picked:
        Slot.objects.filter(pk=slot.pk).update(picked=picked)
        slot.picked = picked


def _choose(
    slot: Slot, pools: Mapping[uuid.UUID, Sequence[int]], taken: Collection[int]
) -> list[int]:
    """What a slot's first people take out of its pools, or raise ResourceTaken."""
    if any(number in taken for number in slot.numbers):
        raise ResourceTaken(f"{slot.resource.name} is taken at that time by another booking.")
    if not slot.pools:
        return slot.picked
    picked = pick(slot.pools, pools, taken={*taken, *slot.numbers})
    if picked is None:
        raise ResourceTaken(f"Nothing that {slot.resource.name} needs is free at that time.")
    return picked


def claim_many(slots: Sequence[Slot], *, now: datetime) -> dict[uuid.UUID, DomainError]:
    """Do for each of these locked slots what :func:`claim` does for one, in their order.

    Returns:
        By the primary key of a slot that gets nothing, what ``claim`` would have raised. One
        whose time is taken by a slot before it in the list is among them.
    """
    empty = [s for s in slots if s.takes_exclusively and not s.taken_bookings]
    if not empty:
        return {}
    wanted = {pool for slot in empty for pool in slot.pools}
    pools = locks.pool_members(wanted) if wanted else {}
    numbers = {n for slot in empty for n in slot.numbers} | {n for m in pools.values() for n in m}
    locks.take_in_turn(numbers)
    taken = locks.occupied(empty, numbers)
    # Not those of the list itself: what we know of their counters would no longer be true.
    listed = {s.pk for s in slots}
    rivals = {r for found in taken.values() for some in found.values() for r in some} - listed
    if rivals and (freed := locks.rivals(rivals)):
        make_room(freed, now=now)
        taken = locks.occupied(empty, numbers)
    refused: dict[uuid.UUID, DomainError] = {}
    before: list[tuple[Slot, list[int]]] = []
    picks: dict[tuple[int, ...], list[Slot]] = defaultdict(list)
    for slot in empty:
        at_its_time = set(taken[slot.pk]) | {
            number for other, its in before if _meet(slot, other) for number in its
        }
        try:
            picked = _choose(slot, pools, at_its_time)
        except ResourceTaken as error:
            refused[slot.pk] = error
            continue
        before.append((slot, slot.numbers + picked))
        if picked != slot.picked:
            picks[tuple(picked)].append(slot)
    for picked_numbers, chosen in picks.items():
        Slot.objects.filter(pk__in=[s.pk for s in chosen]).update(picked=list(picked_numbers))
        for slot in chosen:
            slot.picked = list(picked_numbers)
    return refused


def could_claim(slots: Sequence[Slot]) -> list[Slot]:
    """Of these slots, those whose first people would get now what they take for themselves alone,
    each looked at by itself; nothing is locked."""
    empty = [s for s in slots if s.takes_exclusively and not s.taken_bookings]
    if not empty:
        return list(slots)
    wanted = {pool for slot in empty for pool in slot.pools}
    pools = locks.pool_members(wanted) if wanted else {}
    numbers = {n for slot in empty for n in slot.numbers} | {n for m in pools.values() for n in m}
    taken = locks.occupied(empty, numbers)
    refused = set()
    for slot in empty:
        try:
            _choose(slot, pools, set(taken[slot.pk]))
        except ResourceTaken:
            refused.add(slot.pk)
    return [s for s in slots if s.pk not in refused]


def _meet(slot: Slot, other: Slot) -> bool:
    return slot.busy_from < other.busy_until and other.busy_from < slot.busy_until


def _taken(slot: Slot, numbers: Iterable[int], ignored: set[uuid.UUID]) -> locks.Occupied:
    found = locks.occupied([slot], numbers)[slot.pk]
    return {number: left for number, rivals in found.items() if (left := rivals - ignored)}


def pick(
    wanted: Sequence[uuid.UUID], pools: Mapping[uuid.UUID, Sequence[int]], *, taken: Container[int]
) -> list[int] | None:
    """One free number out of each pool, none of them twice; None if that cannot be.

    Pools may share members, so a number already picked is passed on where that helps
    (augmenting paths, as in bipartite matching).
    """
    owner: dict[int, int] = {}

    def give(place: int, tried: set[int]) -> bool:
        for number in pools.get(wanted[place], ()):
            if number in taken or number in tried:
                continue
            tried.add(number)
            if number not in owner or give(owner[number], tried):
                owner[number] = place
                return True
        return False

    if not all(give(place, set()) for place in range(len(wanted))):
        return None
    by_place = {place: number for number, place in owner.items()}
    return [by_place[place] for place in range(len(wanted))]


def has_room_for(slot: Slot, pairs: Sequence[tuple[Booking, Slot]]) -> bool:
    """Whether a slot has room for all the bookings that are to be in it."""
    units = [booking.units for booking, wanted in pairs if wanted.pk == slot.pk]
    return (
        slot.taken_bookings + len(units) <= slot.max_bookings
        and slot.taken_units + sum(units) <= slot.max_units
    )
