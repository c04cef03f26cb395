"""Who is offered what: first come, first served among those it fits. Pure.

Nobody is offered seats before somebody who came earlier, for whom they would be enough, has
been. Who waits with more people than there are seats keeps the place, and is told why.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple


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
    """A slot with what is left in it, and until when an offer in it can stand."""

    id: uuid.UUID
    resource_id: uuid.UUID
    starts_at: datetime
    ends_at: datetime
    bookings: int
    units: int
    most_per_customer: int | None = None


@dataclass(slots=True)
class Plan:
    """What to offer to whom, in the order of the slots and then of the line.

    Attributes:
        offers: entry and slot.
        passed: why somebody who came earlier than one of these got nothing, by entry.
    """

    offers: list[tuple[uuid.UUID, uuid.UUID]] = field(default_factory=list)
    passed: dict[uuid.UUID, str] = field(default_factory=dict)


def wants(waiting: Waiting, free: Free) -> bool:
    """Whether an entry is for this slot."""
    if waiting.slot_id is not None:
        return waiting.slot_id == free.id
    assert waiting.from_at is not None
    assert waiting.until_at is not None
    return (
        waiting.resource_id == free.resource_id
        and waiting.from_at <= free.starts_at
        and free.ends_at <= waiting.until_at
    )


def plan(
    slots: Sequence[Free],
    line: Sequence[Waiting],
    *,
    live: Mapping[tuple[uuid.UUID, uuid.UUID], int] | None = None,
) -> Plan:
    """Share what is free out.

    Args:
        slots: in the order in which they are given away.
        line: everybody who waits for one of them, in the order of the line.
        live: how many live bookings a customer has of a resource, by (customer, resource), where
            the resource limits them.
    """
    found = Plan()
    given: set[uuid.UUID] = set()
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
            had[key] += 1
            bookings, units = bookings - 1, units - waiting.units
            passed |= before
            before = {}
    found.passed = {pk: why for pk, why in passed.items() if pk not in given}
    return found
