"""Who is offered what: first come, first served among those it fits. Pure.

Nobody is offered seats before somebody who came earlier, for whom they would be enough, has
been. Who waits with more people than there are seats keeps the place, and is told why.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Protocol


class Waiting(NamedTuple):
    """A place in line, as far as offering needs it."""

    id: uuid.UUID
    customer_id: uuid.UUID
    resource_id: uuid.UUID
    slot_id: uuid.UUID | None
    from_at: datetime | None
    until_at: datetime | None
    units: int
    placed_at: datetime

    @property
    def place(self) -> tuple[datetime, uuid.UUID]:
        return self.placed_at, self.id


class Free(NamedTuple):
    """A slot with what is left in it.

    ``anytime`` says whether customers may book it now: who waits for any time is not offered it
    otherwise.
    """

    id: uuid.UUID
    resource_id: uuid.UUID
    starts_at: datetime
    ends_at: datetime
    bookings: int
    units: int
    most_per_customer: int | None = None
    anytime: bool = True


class Wish(Protocol):
    """What somebody waits for: a slot, or any time of a resource between two moments."""

    @property
    def slot_id(self) -> uuid.UUID | None: ...
    @property
    def resource_id(self) -> uuid.UUID: ...
    @property
    def from_at(self) -> datetime | None: ...
    @property
    def until_at(self) -> datetime | None: ...


class Time(Protocol):
    """A slot, as far as it decides who waits for it."""

    @property
    def id(self) -> uuid.UUID: ...
    @property
    def resource_id(self) -> uuid.UUID: ...
    @property
    def starts_at(self) -> datetime: ...
    @property
    def ends_at(self) -> datetime: ...


@dataclass(slots=True)
class Plan:
    """What to offer to whom, in the order of the slots and then of the line.

    Attributes:
        offers: entry and slot.
        passed: why somebody who came earlier than one of these got nothing, by entry.
        passed_at: the slot in which that was.
    """

    offers: list[tuple[uuid.UUID, uuid.UUID]] = field(default_factory=list)
    passed: dict[uuid.UUID, str] = field(default_factory=dict)
    passed_at: dict[uuid.UUID, uuid.UUID] = field(default_factory=dict)

    def without(self, slot_ids: Collection[uuid.UUID]) -> Plan:
        """The same, but that nothing is offered in some of the slots."""
        return Plan(
            [(pk, slot_id) for pk, slot_id in self.offers if slot_id not in slot_ids],
            {pk: why for pk, why in self.passed.items() if self.passed_at[pk] not in slot_ids},
            {pk: at for pk, at in self.passed_at.items() if at not in slot_ids},
        )


def is_for(wish: Wish, slot: Time) -> bool:
    """Whether seats in this slot are what somebody waits for."""
    if wish.slot_id is not None:
        return wish.slot_id == slot.id
    assert wish.from_at is not None
    assert wish.until_at is not None
    return (
        wish.resource_id == slot.resource_id
        and wish.from_at <= slot.starts_at
        and slot.ends_at <= wish.until_at
    )


def rivals(one: Wish, other: Wish, *, slots: Mapping[uuid.UUID, Time]) -> bool:
    """Whether two wait for something that both could get.

    Args:
        slots: those that one of them waits for.
    """
    if one.slot_id is not None:
        return is_for(other, slots[one.slot_id])
    if other.slot_id is not None:
        return is_for(one, slots[other.slot_id])
    assert one.from_at is not None
    assert one.until_at is not None
    assert other.from_at is not None
    assert other.until_at is not None
    return (
        one.resource_id == other.resource_id
        and one.from_at < other.until_at
        and other.from_at < one.until_at
    )


def wants(waiting: Waiting, free: Free) -> bool:
    """Whether what is free may be offered to somebody.

    Who waits for one slot named it when it could be booked, and is offered it as long as anything
    is. Who waits for any time gets what they could book themselves now.
    """
    return is_for(waiting, free) and (free.anytime or waiting.slot_id is not None)


def plan(
    slots: Sequence[Free],
    line: Sequence[Waiting],
    *,
    live: Mapping[tuple[uuid.UUID, uuid.UUID], int] | None = None,
    barred: Mapping[uuid.UUID, str] | None = None,
    holding: Collection[tuple[uuid.UUID, uuid.UUID]] = (),
) -> Plan:
    """Share what is free out. Nobody gets a slot twice, however often they wait for it.

    Args:
        slots: in the order in which they are given away.
        line: everybody who waits for one of them, in the order of the line.
        live: how many live bookings a customer has of a resource, by (customer, resource), where
            the resource limits them.
        barred: customers to whom nothing is offered, and why.
        holding: what customers were offered in line and have not got for good, by (customer, slot).
    """
    found = Plan()
    given: set[uuid.UUID] = set()
    holds = set(holding)
    had: Counter[tuple[uuid.UUID, uuid.UUID]] = Counter(live or {})
    passed: dict[uuid.UUID, str] = {}
    for slot in slots:
        bookings, units = slot.bookings, slot.units
        before: dict[uuid.UUID, str] = {}  # who did not fit, and nobody behind them got it yet
        for waiting in line:
            if bookings < 1 or units < 1:
                break
            if waiting.id in given or not wants(waiting, slot):
                continue
            if barred and waiting.customer_id in barred:
                before[waiting.id] = barred[waiting.customer_id]
                continue
            if (waiting.customer_id, slot.id) in holds:
                before[waiting.id] = "Is offered seats here already."
                continue
            key = (waiting.customer_id, slot.resource_id)
            if slot.most_per_customer is not None and had[key] >= slot.most_per_customer:
                before[waiting.id] = (
                    f"Has {had[key]} bookings already; at most {slot.most_per_customer} of one"
                    " person are taken."
                )
                continue
            if waiting.units > units:
                before[waiting.id] = f"Needs {waiting.units} seats; {units} came free."
                continue
            found.offers.append((waiting.id, slot.id))
            given.add(waiting.id)
            holds.add((waiting.customer_id, slot.id))
            had[key] += 1
            bookings, units = bookings - 1, units - waiting.units
            passed |= before
            found.passed_at |= dict.fromkeys(before, slot.id)
            before = {}
    found.passed = {pk: why for pk, why in passed.items() if pk not in given}
    return found
