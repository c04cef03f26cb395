"""Whether locked slots have room for somebody, and making it: overdue holds go, whoever waits in line
is served first, and what a slot takes for itself alone is claimed. Who then takes the seats is in
``holding``."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from audit.errors import DomainError
from audit.languages import our_reason
from bookings import locks, selectors_closures, signals, transitions
from bookings.errors import LineFirst, ResourceTaken, SlotFull, SlotGone
from bookings.lifecycle import SlotStatus
from bookings.models import PEOPLE, Booking, Slot

TAKEN = ("taken_bookings", "taken_units", "picked")


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


def make_room(slots: Sequence[Slot], *, now: datetime) -> bool:
    """Expire the overdue holds of locked slots and read the counters again; whether there were any."""
    overdue = locks.overdue_holds([s.pk for s in slots], now=now)
    if not overdue:
        return False
    transitions.expire(overdue, now=now, reason=our_reason("The hold ran out."))
    read_taken(slots)
    return True


def read_taken(slots: Sequence[Slot]) -> None:
    """Read again what is taken in locked slots, and by it."""
    rows = Slot.objects.filter(pk__in=[s.pk for s in slots]).order_by()
    found = {pk: taken for pk, *taken in rows.values_list("pk", *TAKEN)}
    for slot in slots:
        slot.taken_bookings, slot.taken_units, slot.picked = found[slot.pk]


def serve_lines(slots: Sequence[Slot], *, now: datetime) -> set[uuid.UUID]:
    """Let those who wait in line for locked slots be served before somebody from outside.

    Nothing where nobody waits. Where the line was served as soon as seats came free, as it
    always should be, what is left fits nobody in it.

    Returns:
        The slots of which that cannot be said, as somebody holds what is needed to say it: nobody
        from outside gets seats in them now.
    """
    waited_for = [s for s in slots if s.has_line]
    if not waited_for:
        return set()
    make_room(waited_for, now=now)
    free = [s for s in waited_for if s.has_room(s.least_in_line)]
    if not free:
        return set()
    undecided = _serve({s.pk for s in free}, now=now)
    read_taken(free)
    return undecided & {s.pk for s in free}


def _serve(slot_ids: Iterable[uuid.UUID], *, now: datetime, only: bool = False) -> set[uuid.UUID]:
    """Ask for the lines of slots to be served; those that cannot be, now."""
    undecided: set[uuid.UUID] = set()
    answers: list[tuple[Any, Any]] = signals.seats_released.send(
        Slot, slot_ids=sorted(slot_ids), now=now, only=only
    )
    return undecided.union(*(found or () for _receiver, found in answers))


def check_room(slot: Slot, units: int, *, now: datetime) -> None:
    """Make room in a locked slot for one more booking, or raise SlotFull or LineFirst."""
    undecided = serve_lines([slot], now=now)
    check_seats(slot, units, now=now)
    if undecided:
        raise LineFirst


def check_seats(slot: Slot, units: int, *, now: datetime) -> None:
    """The same for somebody whose turn it is, whoever waits in line."""
    if units <= slot.max_units and not slot.has_room(units):
        make_room([slot], now=now)
    if not slot.has_room(units):
        raise full_error(slot, units, waitlist=bool(open_lines([slot], now=now)))


def check_left(slot: Slot, units: int) -> None:
    """Raise SlotFull if a line that was served while the slot claimed what it takes got the seats."""
    if not slot.has_room(units):
        raise full_error(slot, units, waitlist=True)


def keep_in_line(moves: Iterable[tuple[Slot, Slot]]) -> None:
    """Note of locked slots that whoever moves in may have been offered the old seats in line: what
    becomes of the booking still concerns the entry.

    Args:
        moves: old slot and new one of each.
    """
    new = [slot for old, slot in moves if old.concerns_line and not slot.waited_for]
    if new:
        Slot.objects.filter(pk__in={s.pk for s in new}).update(waited_for=True)
        for slot in new:
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


def claim(
    slot: Slot, *, now: datetime, leaving: Slot | None = None, out_of_turn: bool = False
) -> None:
    """Get what a locked slot's people take for themselves alone, before the first of them.

    Overdue holds in slots that take the same are expired on the spot. Whoever waits in line for
    one of those slots is served before. Out of each pool one is picked. What is picked is on the
    slot until its next first people.

    Args:
        leaving: the locked slot that whoever comes leaves in the same transaction.
        out_of_turn: the staff say so, whoever waits elsewhere.

    Raises:
        ResourceTaken: the resource, a part of it or all of a pool is taken at that time.
        LineFirst: somebody waits for it elsewhere, and cannot be served at this moment.
    """
    claims = Claims([slot], now=now, leaving=leaving, after_lines=not out_of_turn)
    claims.take(slot)
    claims.write([slot])


Pools = Mapping[uuid.UUID, locks.Members]


def numbers_in(pools: Pools) -> set[int]:
    """All that may be taken by whoever gets one out of each of these pools."""
    return {n for members in pools.values() for takes in members.values() for n in takes}


def with_picked(slot: Slot, picked: Sequence[int], pools: Pools) -> set[int]:
    """All that is taken in a slot for whose people these were picked out of its pools."""
    given = zip(slot.pools, picked, strict=False)
    return {*slot.numbers, *(n for pool, number in given for n in pools[pool][number])}


def claim_many(slots: Sequence[Slot], *, now: datetime) -> dict[uuid.UUID, DomainError]:
    """Do for each of these locked slots what :func:`claim` does for one, in their order.

    Returns:
        By the primary key of a slot that gets nothing, what ``claim`` would have raised. One
        whose time is taken by a slot before it in the list is among them.
    """
    claims = Claims(slots, now=now, after_lines=True)
    refused: dict[uuid.UUID, DomainError] = {}
    for slot in slots:
        try:
            claims.take(slot)
        except (ResourceTaken, LineFirst) as error:
            refused[slot.pk] = error
    claims.write([s for s in slots if s.pk not in refused])
    return refused


class Claims:
    """What locked slots would take for themselves alone, looked at once for all of them.

    It is given away in Python, one slot after the other; a slot whose time an earlier one takes
    gets nothing. :meth:`write` makes it so.

    Args:
        slots: of one organisation, if lines come first.
        now: None to look only: nothing is locked, and no hold in the way is expired.
        leaving: see :func:`claim`.
        after_lines: whether those who wait in line for slots that take the same are served before.
    """

    def __init__(
        self,
        slots: Sequence[Slot],
        *,
        now: datetime | None,
        leaving: Slot | None = None,
        after_lines: bool = False,
    ) -> None:
        self._taken: Mapping[uuid.UUID, locks.Occupied] = {}
        self._pools: Pools = {}
        self._undecided: set[uuid.UUID] = set()
        self._closures = selectors_closures.Closures()
        self._empty = {s.pk: s for s in slots if s.takes_exclusively and not s.taken_bookings}
        self.start_anew()
        if not self._empty:
            self._closures = selectors_closures.of_slots(slots)
            return
        left = leaving is not None and leaving.taken_bookings == 1
        self._ignored = {leaving.pk} if leaving is not None and left else set()
        wanted = {pool for slot in self._empty.values() for pool in slot.pools}
        self._pools = locks.pool_members(wanted) if wanted else {}
        numbers = {n for slot in self._empty.values() for n in slot.numbers}
        numbers |= numbers_in(self._pools)
        if now is None:
            self._closures = selectors_closures.of_slots(slots)
            self._read(numbers)
        else:
            self._take_turn(slots, numbers, now=now, after_lines=after_lines)

    def start_anew(self) -> None:
        """Nothing is given away yet."""
        self._picked: dict[uuid.UUID, list[int]] = {}
        self._before: list[tuple[Slot, set[int]]] = []

    def _take_turn(
        self, slots: Sequence[Slot], numbers: Collection[int], *, now: datetime, after_lines: bool
    ) -> None:
        empty = list(self._empty.values())
        beside = locks.take_in_turn(numbers, beside=empty if after_lines else (), now=now)
        # Now, as whoever closes a part or a room of a pool takes its turn with us.
        self._closures = selectors_closures.of_slots(slots)
        self._read(numbers)
        # Not those of the list itself: what we know of their counters would no longer be true.
        rivals = {r for found in self._taken.values() for some in found.values() for r in some}
        rivals -= {s.pk for s in empty} | self._ignored
        changed = False
        if rivals and (freed := locks.rivals(rivals)):
            changed = make_room(freed, now=now)
            self._read(numbers)
        lines = {pk for s in empty if self.could(s) for pk in beside.get(s.pk, ())}
        if lines:
            undecided = _serve(lines, now=now, only=True)
            self._undecided = {pk for pk, others in beside.items() if others & undecided}
            changed = True
            self._read(numbers)
        if changed:  # the line of one of these themselves may have been served
            read_taken(empty)
            self._empty = {s.pk: s for s in empty if not s.taken_bookings}

    def _read(self, numbers: Iterable[int]) -> None:
        found = locks.occupied(list(self._empty.values()), numbers)
        self._taken = {
            pk: {n: left for n, rivals in some.items() if (left := rivals - self._ignored)}
            for pk, some in found.items()
        }

    def could(self, slot: Slot) -> bool:
        """Whether a slot would get what it takes, looked at by itself."""
        try:
            if slot.pk in self._empty:
                self._choose(slot, ())
            else:
                self._check_open(slot)
        except ResourceTaken:
            return False
        return True

    def take(self, slot: Slot) -> None:
        """Give a slot what it takes, besides those that were given something before.

        Raises:
            ResourceTaken, LineFirst: see :func:`claim`.
        """
        if slot.pk not in self._empty:
            self._check_open(slot)
            return
        given = {n for other, its in self._before if _meet(slot, other) for n in its}
        picked = self._choose(slot, given)
        if slot.pk in self._undecided:
            raise LineFirst
        self._before.append((slot, with_picked(slot, picked, self._pools)))
        self._picked[slot.pk] = picked

    def _choose(self, slot: Slot, given: Collection[int]) -> list[int]:
        taken = {*self._taken.get(slot.pk, ()), *given}
        return _choose(slot, self._pools, taken, self._closures.at(slot))

    def _check_open(self, slot: Slot) -> None:
        if slot.taken_bookings:
            _check_open(slot, self._closures.at(slot))

    def write(self, slots: Sequence[Slot]) -> None:
        """Note what was picked on those of these slots to which something was given."""
        picks: dict[tuple[int, ...], list[Slot]] = defaultdict(list)
        for slot in slots:
            picked = self._picked.get(slot.pk, slot.picked)
            if picked != slot.picked:
                picks[tuple(picked)].append(slot)
        for numbers, chosen in picks.items():
            Slot.objects.filter(pk__in=[s.pk for s in chosen]).update(picked=list(numbers))
            for slot in chosen:
                slot.picked = list(numbers)


def _choose(slot: Slot, pools: Pools, taken: Collection[int], closed: Collection[int]) -> list[int]:
    """What a slot's first people take out of its pools, or raise ResourceTaken."""
    if any(number in closed for number in slot.parts):
        raise _not_open(slot)
    if gone := [number for number in slot.numbers if number in taken]:
        if min(gone) > PEOPLE:
            raise ResourceTaken(
                f"Whoever provides {slot.resource.name} is booked for something else at that time."
            )
        raise ResourceTaken(f"{slot.resource.name} is taken at that time by another booking.")
    if not slot.pools:
        return slot.picked
    picked = pick(slot.pools, pools, taken={*taken, *slot.numbers, *closed})
    if picked is None:
        raise ResourceTaken(f"Nothing that {slot.resource.name} needs is free at that time.")
    return picked


def _check_open(slot: Slot, closed: Collection[int]) -> None:
    """Raise ResourceTaken if something that a slot's people take already is closed by now."""
    if any(number in closed for number in (*slot.parts, *slot.picked)):
        raise _not_open(slot)


def _not_open(slot: Slot) -> ResourceTaken:
    return ResourceTaken(f"Something that {slot.resource.name} takes is closed at that time.")


def could_claim(slots: Sequence[Slot]) -> list[Slot]:
    """Of these slots, those whose first people would get now what they take for themselves alone,
    each looked at by itself; nothing is locked."""
    claims = Claims(slots, now=None)
    return [s for s in slots if claims.could(s)]


def _meet(slot: Slot, other: Slot) -> bool:
    return slot.busy_from < other.busy_until and other.busy_from < slot.busy_until


def pick(wanted: Sequence[uuid.UUID], pools: Pools, *, taken: Container[int]) -> list[int] | None:
    """One free number out of each pool, none of them and nobody twice; None if that cannot be.

    Pools may share members, and members a provider, so one already picked is passed on where that
    helps (augmenting paths, as in bipartite matching).
    """
    owner: dict[int, tuple[int, int]] = {}  # by provider, or else number: the place, the number

    def give(place: int, tried: set[int]) -> bool:
        for number, takes in pools.get(wanted[place], {}).items():
            who = takes[-1]
            if who in tried or any(n in taken for n in takes):
                continue
            tried.add(who)
            if who not in owner or give(owner[who][0], tried):
                owner[who] = (place, number)
                return True
        return False

    if not all(give(place, set()) for place in range(len(wanted))):
        return None
    by_place = dict(owner.values())
    return [by_place[place] for place in range(len(wanted))]


def has_room_for(slot: Slot, pairs: Sequence[tuple[Booking, Slot]]) -> bool:
    """Whether a slot has room for all the bookings that are to be in it."""
    units = [booking.units for booking, wanted in pairs if wanted.pk == slot.pk]
    return (
        slot.taken_bookings + len(units) <= slot.max_bookings
        and slot.taken_units + sum(units) <= slot.max_units
    )
