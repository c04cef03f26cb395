"""What has to change so that slots follow their rules, and no promise is broken (B2). Pure.

A slot that is planned and there is kept, its limits never below what is taken. One that is
planned and not there is made. One that is there and not planned is deleted when nobody was ever
in it, and otherwise becomes legacy: it still serves the people in it, and nobody new.

Who is in a slot that no rule makes any more is in the room all the same. Of what is not exclusive,
slots that are planned for the same time take so many fewer until these people leave.
"""

from __future__ import annotations

import hashlib
import uuid
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import NamedTuple

from bookings.lifecycle import SlotStatus
from bookings.models import Resource, Slot
from bookings.planning import Planned


class There(NamedTuple):
    """A slot as it is in the database; instants in seconds since the epoch."""

    id: uuid.UUID
    resource_id: uuid.UUID
    starts_at: int
    ends_at: int
    busy_from: int
    busy_until: int
    max_bookings: int
    max_units: int
    taken_bookings: int
    taken_units: int
    status: str
    source: str
    # It has, or had, bookings, or somebody waited for it, or staff closed it or changed its limits:
    # it is not deleted.
    has_history: bool
    limits_by_hand: bool = False
    stays_closed: bool = False
    shut: bool = False
    meant_at: int = 0  # when staff last meant it to be open, in microseconds: see Slot.opened_at

    @property
    def limits(self) -> Limits:
        return Limits(self.max_bookings, self.max_units, self.busy_from, self.busy_until)


class Limits(NamedTuple):
    """What may change of a slot that stays."""

    max_bookings: int
    max_units: int
    busy_from: int
    busy_until: int


@dataclass(slots=True)
class Plan:
    """What regenerating one resource does, in the order of time.

    Attributes:
        create: slots to make.
        kept: how many stay as they are.
        change: slots that stay with other limits, and these limits.
        revive: legacy slots that fit again: they are offered again, or closed if they were.
        retire: slots with people that no longer fit: they become legacy.
        archive: empty slots that no longer fit and had bookings once, or of which staff said
            something: legacy as well, because of what points at them and for when they fit again.
        delete: empty slots that no longer fit.
        shut: open slots that were made by hand before their resource was closed then.
        reopen: slots that were shut, and whose resource is not closed then any more.
        fewer: what is planned, and takes fewer people than that or none, as others are there.
        across: slots that no rule makes, empty ones as well; their people are those others.
        beside: slots that stay across one that somebody can still come into: who is to find the
            right limits locks both.
        there: all that was compared, and what lies beyond.
    """

    resource: Resource
    create: list[Planned] = field(default_factory=list)
    kept: int = 0
    change: list[tuple[There, Limits]] = field(default_factory=list)
    revive: list[There] = field(default_factory=list)
    retire: list[There] = field(default_factory=list)
    archive: list[There] = field(default_factory=list)
    delete: list[There] = field(default_factory=list)
    shut: list[There] = field(default_factory=list)
    reopen: list[There] = field(default_factory=list)
    fewer: list[Planned] = field(default_factory=list)
    across: list[There] = field(default_factory=list, repr=False)
    beside: list[There] = field(default_factory=list, repr=False)
    there: list[There] = field(default_factory=list, repr=False)

    @property
    def moves(self) -> tuple[list[There], ...]:
        """The lists of slots that are there and get another status, or go; always in this order."""
        return self.revive, self.retire, self.archive, self.delete, self.shut, self.reopen

    @property
    def touched(self) -> list[uuid.UUID]:
        """The slots that change or go."""
        changed = [there for there, _limits in self.change]
        return [there.id for some in (changed, *self.moves) for there in some]

    @property
    def is_empty(self) -> bool:
        return not self.create and not self.touched

    def extend(self, later: Plan) -> None:
        """Add the plan of the time that comes next."""
        self.create += later.create
        self.kept += later.kept
        self.change += later.change
        for mine, theirs in zip(self.moves, later.moves, strict=True):
            mine += theirs
        self.fewer += later.fewer
        self.across += later.across
        self.beside += later.beside
        self.there += later.there

    def counts(self) -> dict[str, int]:
        """How many slots each thing happens to, for people and machines."""
        return {
            "create": len(self.create),
            "keep": self.kept,
            "change": len(self.change),
            "revive": len(self.revive),
            "retire": len(self.retire),
            "archive": len(self.archive),
            "delete": len(self.delete),
            "shut": len(self.shut),
            "reopen": len(self.reopen),
        }


def compare(
    resource: Resource,
    planned: Iterable[Planned],
    existing: Sequence[There],
    *,
    beyond: Sequence[There] = (),
    around: Sequence[There] = (),
    ahead: Sequence[There] = (),
    planned_around: Collection[tuple[int, int]] = (),
    is_open: Callable[[There], bool],
    is_closed: Callable[[There], bool] = lambda there: False,
) -> Plan:
    """What makes the slots of a resource follow its rules.

    Args:
        planned: what the rules say.
        existing: its slots that start in the same time. What was made by hand and is not planned
            is left alone, but for closures.
        beyond: its slots that start behind the horizon. Nothing is planned then: what a schedule
            made and nobody is in goes, and nothing else changes, but for closures.
        around: its slots that start before or after all of these, and may reach into their time.
        ahead: of those after, the ones that are not planned go with these if they lie across what
            is planned: nobody comes into them any more when their people are counted.
        planned_around: when the slots start and end that are planned then.
        is_open: whether a slot that was made with a booking, of a free time, lies in the hours.
        is_closed: whether a slot that was made by hand, or lies beyond, lies in a closure that was
            made after somebody last meant it to be open.
    """
    by_time: dict[tuple[int, int], list[There]] = defaultdict(list)
    free = [there for there in existing if there.source == Slot.Source.FREE]
    for there in existing:
        if there.source == Slot.Source.FREE:
            continue
        by_time[there.starts_at, there.ends_at].append(there)
    plan = Plan(resource, there=[*existing, *beyond])
    for there in plan.there:
        if there.source != Slot.Source.HAND:
            continue
        if there.status == SlotStatus.OPEN and is_closed(there):
            plan.shut.append(there)
        elif there.shut and there.status == SlotStatus.CLOSED and not is_closed(there):
            plan.reopen.append(there)
    planned = list(planned)
    if not resource.exclusive:  # where people exclude each other, the database sees to it
        times = {(p.starts_at, p.ends_at) for p in planned} | set(planned_around)
        plan.across = _unplanned([*around, *existing, *beyond, *ahead], times)
    others = _Others(plan.across)
    may_grow = lie_across([t for t in plan.across if t.status != SlotStatus.LEGACY])
    for wanted in planned:
        found = by_time.pop((wanted.starts_at, wanted.ends_at), [])
        found.sort(key=_first)
        _make_or_keep(plan, wanted, others.leave(wanted), found[0] if found else None)
        if found and may_grow(wanted):
            plan.beside.append(found[0])
        for other in found[1:]:
            _drop(plan, other)
    for found in by_time.values():
        for there in found:
            _drop(plan, there)
    offered = {(t.starts_at, t.ends_at) for t in existing if t.status != SlotStatus.LEGACY}
    for there in free:
        if not is_open(there):
            _drop(plan, there)
        elif there.status != SlotStatus.LEGACY:
            plan.kept += 1
        elif there.taken_bookings and (there.starts_at, there.ends_at) not in offered:
            plan.revive.append(there)
    for there in beyond:
        if is_closed(there) if there.taken_bookings else there.source == Slot.Source.SCHEDULE:
            _drop(plan, there)
    last = max((p.ends_at for p in planned), default=0)
    in_the_way = {t.id for t in ahead if t.starts_at < last}
    for there in plan.across:
        if there.id in in_the_way:
            _drop(plan, there)
    return plan


def _first(there: There) -> tuple[bool, int]:
    """The order of slots of one time; there is at most one that is not legacy."""
    return there.status == SlotStatus.LEGACY, -there.taken_bookings


def _unplanned(slots: Iterable[There], times: Collection[tuple[int, int]]) -> list[There]:
    """Slots that no rule makes; what was made by hand needs none."""
    found, same = [], defaultdict(list)
    for there in slots:
        if there.source != Slot.Source.FREE and (there.starts_at, there.ends_at) in times:
            same[there.starts_at, there.ends_at].append(there)
        else:
            found.append(there)
    for of_one_time in same.values():
        found += sorted(of_one_time, key=_first)[1:]
    return [there for there in found if there.source != Slot.Source.HAND]


class _Others:
    """How many bookings and people are in slots, moment by moment."""

    def __init__(self, slots: Iterable[There], *, empty: bool = False) -> None:
        """With ``empty``, each slot counts for one more."""
        bookings, units = Counter[int](), Counter[int]()
        for there in slots:
            for at, sign in ((there.starts_at, 1), (there.ends_at, -1)):
                bookings[at] += sign * (there.taken_bookings + empty)
                units[at] += sign * (there.taken_units + empty)
        self._moments = sorted(bookings)
        self._bookings = list(accumulate(bookings[at] for at in self._moments))
        self._units = list(accumulate(units[at] for at in self._moments))

    def most(self, starts_at: int, ends_at: int) -> tuple[int, int]:
        """The most bookings and the most people that are there at any one moment."""
        first = max(bisect_right(self._moments, starts_at) - 1, 0)
        last = bisect_left(self._moments, ends_at)
        return max(self._bookings[first:last], default=0), max(self._units[first:last], default=0)

    def leave(self, wanted: Planned) -> Planned:
        """What is left of a slot; it may be less than nothing."""
        bookings, units = self.most(wanted.starts_at, wanted.ends_at)
        return wanted._replace(
            max_bookings=wanted.max_bookings - bookings, max_units=wanted.max_units - units
        )


def _make_or_keep(plan: Plan, wanted: Planned, left: Planned, there: There | None) -> None:
    """Offer what is left of a planned slot."""
    if there is not None and (there.source == Slot.Source.HAND or there.limits_by_hand):
        _keep(plan, there, wanted)  # as staff said
        return
    if left != wanted:
        plan.fewer.append(wanted)
    none = left.max_bookings < 1 or left.max_units < 1
    if there is None:
        if not none:
            plan.create.append(left)
    elif none and not there.taken_bookings:
        _drop(plan, there)
    else:
        _keep(plan, there, left)


def _keep(plan: Plan, there: There, wanted: Planned) -> None:
    if there.source == Slot.Source.HAND:
        plan.kept += 1
        return
    by_hand = there.limits_by_hand
    limits = Limits(
        there.max_bookings if by_hand else max(wanted.max_bookings, there.taken_bookings),
        there.max_units if by_hand else max(wanted.max_units, there.taken_units),
        # People in it have been promised the time around it as well.
        there.busy_from if there.taken_bookings else wanted.busy_from,
        there.busy_until if there.taken_bookings else wanted.busy_until,
    )
    if there.status == SlotStatus.LEGACY:
        plan.revive.append(there)
    if limits != there.limits:
        plan.change.append((there, limits))
    elif there.status != SlotStatus.LEGACY:
        plan.kept += 1


def _drop(plan: Plan, there: There) -> None:
    if there.source == Slot.Source.HAND:
        return
    if there.taken_bookings:
        if there.status != SlotStatus.LEGACY:
            plan.retire.append(there)
    elif not there.has_history:
        plan.delete.append(there)
    elif there.status != SlotStatus.LEGACY:
        plan.archive.append(there)


def lie_across(slots: Iterable[There]) -> Callable[[Planned | There], bool]:
    """Whether one of these slots, empty or not, overlaps a given one."""
    others = _Others(slots, empty=True)
    return lambda slot: any(others.most(slot.starts_at, slot.ends_at))


def borders(plan: Plan, *, most_made: int, most_changed: int) -> list[int]:
    """Where to cut a plan so that each part makes and changes no more slots than so many.

    A slot belongs to the part in which it starts, and those that start together are not parted.

    Returns:
        The instants at which the second part begins, the third, and so on.
    """
    made, changed = Counter(wanted.starts_at for wanted in plan.create), Counter[int]()
    for rows in ([there for there, _limits in plan.change], *plan.moves):
        changed.update(there.starts_at for there in rows)
    found: list[int] = []
    so_far = 0, 0
    for start in sorted({*made, *changed}):
        here = made[start], changed[start]
        sums = so_far[0] + here[0], so_far[1] + here[1]
        if (sums[0] > most_made or sums[1] > most_changed) and any(so_far):
            found.append(start)
            sums = here
        so_far = sums
    return found


def fingerprint(plans: Iterable[Plan], booking_ids: Iterable[uuid.UUID]) -> str:
    """The same for the same changes to the same bookings; what a preview is recognised by."""
    digest = hashlib.sha256()
    for plan in plans:
        digest.update(plan.resource.pk.bytes)
        for wanted in plan.create:
            digest.update(repr(tuple(wanted)).encode())
        for there, limits in plan.change:
            digest.update(there.id.bytes + repr(tuple(limits)).encode())
        for rows in plan.moves:
            digest.update(b"|" + b"".join(sorted(there.id.bytes for there in rows)))
    digest.update(b"".join(sorted(b.bytes for b in booking_ids)))
    return digest.hexdigest()
