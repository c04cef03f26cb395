"""First come, first served among those it fits: the plan against a naive one (A5, D7)."""

from __future__ import annotations

import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from waitlist.planning import Free, Plan, Waiting, plan, wants

BEGIN = datetime(2030, 6, 1, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)
RESOURCES = [uuid.UUID(int=n) for n in (1, 2)]
CUSTOMERS = [uuid.UUID(int=n) for n in range(10, 14)]


def at(hours: int) -> datetime:
    return BEGIN + hours * HOUR


@st.composite
def slots(draw: st.DrawFn) -> list[Free]:
    limits = {r: draw(st.sampled_from([None, None, 1, 2])) for r in RESOURCES}
    found = []
    for number in range(draw(st.integers(0, 5))):
        resource = draw(st.sampled_from(RESOURCES))
        start = draw(st.integers(0, 6))
        found.append(
            Free(
                uuid.UUID(int=100 + number),
                resource,
                at(start),
                at(start + draw(st.integers(1, 2))),
                draw(st.integers(0, 4)),
                draw(st.integers(0, 6)),
                limits[resource],
            )
        )
    return found


@st.composite
def scenes(draw: st.DrawFn) -> tuple[list[Free], list[Waiting], dict[str, Any]]:
    free: list[Free] = draw(slots())
    line: list[Waiting] = []
    for number in range(draw(st.integers(0, 12))):
        of_slot = bool(free) and draw(st.booleans())
        slot = free[draw(st.integers(0, len(free) - 1))] if of_slot else None
        since = draw(st.integers(0, 6))
        line.append(
            Waiting(
                uuid.UUID(int=1000 + number),
                draw(st.sampled_from(CUSTOMERS)),
                slot.resource_id if slot else draw(st.sampled_from(RESOURCES)),
                slot.id if slot else None,
                None if slot else at(since),
                None if slot else at(since + draw(st.integers(1, 6))),
                draw(st.integers(1, 5)),
                at(-draw(st.integers(0, 3))),
            )
        )
    line.sort(key=lambda w: w.place)
    live = {
        (c, r): draw(st.integers(0, 2))
        for c in CUSTOMERS[:2]
        for r in RESOURCES
        if draw(st.booleans())
    }
    holding = {(c, s.id) for c in CUSTOMERS[:2] for s in free if draw(st.integers(0, 3)) == 0}
    return free, line, {"live": live, "holding": holding}


def naive(free: list[Free], line: list[Waiting], facts: dict[str, Any]) -> Plan:
    """One seat after the other: whoever is first of those who can take what is left now."""
    had, holding = Counter(facts["live"]), set(facts["holding"])
    offers: list[tuple[uuid.UUID, uuid.UUID]] = []
    for slot in free:
        bookings, units = slot.bookings, slot.units
        while True:
            given_ = {entry for entry, _ in offers}
            takers = [
                w
                for w in line
                if w.id not in given_
                and wants(w, slot)
                and bookings >= 1
                and w.units <= units
                and (w.customer_id, slot.id) not in holding
                and (
                    slot.most_per_customer is None
                    or had[w.customer_id, slot.resource_id] < slot.most_per_customer
                )
            ]
            if not takers:
                break
            first = min(takers, key=lambda w: w.place)
            offers.append((first.id, slot.id))
            had[first.customer_id, slot.resource_id] += 1
            holding.add((first.customer_id, slot.id))
            bookings, units = bookings - 1, units - first.units
    return Plan(offers=offers)


@settings(max_examples=400, deadline=None)
@given(scenes())
def test_the_plan_is_what_one_seat_after_the_other_would_give(scene):
    free, line, facts = scene

    assert plan(free, line, **facts).offers == naive(free, line, facts).offers


@settings(max_examples=400, deadline=None)
@given(scenes())
def test_nobody_behind_gets_seats_that_somebody_ahead_whom_they_fit_did_not(scene):
    free, line, facts = scene
    by_id, slot_of = {w.id: w for w in line}, {s.id: s for s in free}
    found = plan(free, line, **facts)
    left = {s.id: [s.bookings, s.units] for s in free}
    had, holding = Counter(facts["live"]), set(facts["holding"])
    given_: set[uuid.UUID] = set()
    for entry_id, slot_id in found.offers:
        got, slot = by_id[entry_id], slot_of[slot_id]
        for other in line:
            if other.place >= got.place or other.id in given_ or not wants(other, slot):
                continue
            limited = (
                slot.most_per_customer is not None
                and had[other.customer_id, slot.resource_id] >= slot.most_per_customer
            )
            holds = (other.customer_id, slot_id) in holding
            assert other.units > left[slot_id][1] or limited or holds, f"{other} before {got}"
        given_.add(entry_id)
        had[got.customer_id, slot.resource_id] += 1
        holding.add((got.customer_id, slot_id))
        left[slot_id][0] -= 1
        left[slot_id][1] -= got.units


@settings(max_examples=400, deadline=None)
@given(scenes())
def test_never_more_is_offered_than_is_free_nor_twice_nor_what_nobody_wants(scene):
    free, line, facts = scene
    by_id = {w.id: w for w in line}
    found = plan(free, line, **facts)
    assert len({entry for entry, _ in found.offers}) == len(found.offers)
    for slot in free:
        got = [by_id[entry] for entry, slot_id in found.offers if slot_id == slot.id]
        assert len(got) <= slot.bookings
        assert sum(w.units for w in got) <= slot.units
        people = {w.customer_id for w in got}
        assert len(people) == len(got)
        assert not {(pk, slot.id) for pk in people} & facts["holding"]
        assert all(wants(w, slot) for w in got)


@settings(max_examples=400, deadline=None)
@given(scenes())
def test_a_reason_is_given_to_exactly_those_whom_somebody_behind_came_before(scene):
    free, line, facts = scene
    by_id, slot_of = {w.id: w for w in line}, {s.id: s for s in free}
    found = plan(free, line, **facts)
    got = {entry for entry, _ in found.offers}
    expected = {
        w.id
        for w in line
        if w.id not in got
        and any(
            by_id[entry].place > w.place and wants(w, slot_of[slot_id])
            for entry, slot_id in found.offers
        )
    }
    assert set(found.passed) == expected
    for entry_id, why in found.passed.items():
        units = by_id[entry_id].units
        assert why.startswith(("Has ", f"Needs {units} seats; ", "Is offered "))


def test_a_party_that_is_too_large_is_told_how_many_seats_there_were():
    slot = Free(uuid.UUID(int=100), RESOURCES[0], at(1), at(2), 3, 2)
    large, small = (
        Waiting(
            uuid.UUID(int=n), CUSTOMERS[n - 1], RESOURCES[0], slot.id, None, None, units, at(-n)
        )
        for n, units in ((2, 3), (1, 1))
    )

    found = plan([slot], [large, small])

    assert found.offers == [(small.id, slot.id)]
    assert found.passed == {large.id: "Needs 3 seats; 2 came free."}
