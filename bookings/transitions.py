"""Steps of a booking. They take rows already locked, change them, tell; they open no
transaction. Every step takes a list: a hundred bookings cost what three do."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from audit import outbox
from audit.errors import DomainError
from audit.languages import our_reason
from audit.sql import insert, insert_new, insert_rows, update_rows
from bookings import codes, locks, notices, signals
from bookings.errors import BookingOver, ResourceTaken, SlotFull, SlotGone
from bookings.lifecycle import (
    BOOKING,
    ENDED,
    LIVE,
    PROPOSAL,
    BookingStatus,
    ProposalStatus,
    SlotStatus,
)
from bookings.locks_times import DueReminder
from bookings.models import Booking, CheckInCode, Customer, Proposal, Reminder, Series, Slot

COUNTERS = ("taken_bookings", "taken_units")


def hold(
    slot: Slot,
    *,
    customer: Customer,
    units: int,
    held_until: datetime,
    now: datetime,
    stands_for: Booking | None = None,
) -> Booking:
    """Hold seats in a locked slot.

    Overdue holds that stand in the way are expired on the spot, in this slot and in those
    that take the same exclusive resource at its time.

    Args:
        stands_for: the booking for which this time is proposed.

    Whoever waits in line for the slot is served before: what is left then is to be had.

    Raises:
        SlotGone: closed, legacy or started.
        SlotFull: not enough seats, even so.
        ResourceTaken: the resource, or something it needs, is taken at that time.
    """
    check_bookable(slot, now=now)
    check_room(slot, units, now=now)
    claim(slot, now=now)
    booking = Booking(
        organization_id=slot.organization_id,
        slot=slot,
        customer=customer,
        units=units,
        status=BookingStatus.HELD,
        held_until=held_until,
        created_at=now,
        stands_for=stands_for,
    )
    insert(booking)
    slot.taken_bookings += 1
    slot.taken_units += units
    return booking


def hold_for(
    wanted: Sequence[tuple[Slot, Customer, int, datetime]], *, now: datetime
) -> list[Booking]:
    """Hold seats for those who waited in line: slot, customer, units and deadline of each.

    The slots are locked, have room for all of them, and what they take for themselves alone is
    claimed (:func:`claim_many`). One statement, whatever the number.
    """
    bookings = [
        Booking(
            organization_id=slot.organization_id,
            slot=slot,
            customer=customer,
            units=units,
            status=BookingStatus.HELD,
            held_until=held_until,
            created_at=now,
        )
        for slot, customer, units, held_until in wanted
    ]
    insert_rows(bookings)
    for booking in bookings:
        booking.slot.taken_bookings += 1
        booking.slot.taken_units += booking.units
    return bookings


def extend_hold(booking: Booking, *, held_until: datetime) -> None:
    """Give a held booking another deadline."""
    Booking.objects.filter(pk=booking.pk).update(held_until=held_until)
    booking.held_until = held_until
    booking.version += 1


def hold_many(
    slots: Sequence[Slot],
    *,
    customer: Customer,
    units: int,
    held_until: datetime,
    now: datetime,
    series: Series | None = None,
) -> tuple[list[Booking], dict[uuid.UUID, DomainError]]:
    """Hold seats in each of these locked slots that has them, for one customer.

    What is overdue and in the way is expired as by :func:`hold`. The number of statements does
    not grow with that of the slots, but for one for each other choice out of the pools.

    Returns:
        The bookings, in the order of the slots; and for each other slot, by its primary key, what
        :func:`hold` would have raised.
    """
    refused: dict[uuid.UUID, DomainError] = {}
    for slot in slots:
        try:
            check_bookable(slot, now=now)
        except SlotGone as error:
            refused[slot.pk] = error
    serve_lines([s for s in slots if s.pk not in refused], now=now)
    full = [s for s in slots if s.pk not in refused and not s.has_room(units)]
    if full:
        make_room(full, now=now)
    full = [s for s in full if not s.has_room(units)]
    lines = open_lines(full, now=now)
    refused |= {s.pk: _full(s, units, waitlist=s.pk in lines) for s in full}
    refused |= claim_many([s for s in slots if s.pk not in refused], now=now)
    bookings = [
        Booking(
            organization_id=slot.organization_id,
            slot=slot,
            customer=customer,
            units=units,
            status=BookingStatus.HELD,
            held_until=held_until,
            created_at=now,
            series=series,
        )
        for slot in slots
        if slot.pk not in refused
    ]
    insert_rows(bookings)
    for booking in bookings:
        booking.slot.taken_bookings += 1
        booking.slot.taken_units += units
    return bookings, refused


def check_bookable(slot: Slot, *, now: datetime) -> None:
    """Raise SlotGone if a slot takes no new people."""
    if slot.status != SlotStatus.OPEN:
        raise SlotGone("This slot is closed.")
    if slot.starts_at <= now:
        raise SlotGone("This slot has already started.")
    if not slot.resource.is_active:
        raise SlotGone("This is not offered any more.")


def make_room(slots: Sequence[Slot], *, now: datetime) -> None:
    """Expire the overdue holds of locked slots and read the counters again."""
    overdue = locks.overdue_holds([s.pk for s in slots], now=now)
    if not overdue:
        return
    expire(overdue, now=now, reason=our_reason("The hold ran out."))
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
        raise _full(slot, units, waitlist=bool(open_lines([slot], now=now)))


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


def _full(slot: Slot, units: int, *, waitlist: bool) -> SlotFull:
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


def move(booking: Booking, slot: Slot, *, now: datetime, tell: bool = True, **said: Any) -> None:
    """Move a live booking to another slot; both are locked. The old seats go back in the same
    statement in which the new ones are taken.

    Args:
        said: what else the message to the customer says.

    Raises:
        SlotGone, SlotFull, ResourceTaken: see :func:`hold`. Nothing is changed.
    """
    old = booking.slot
    check_bookable(slot, now=now)
    check_room(slot, booking.units, now=now)
    claim(slot, now=now, leaving=old)
    keep_in_line(old, slot)
    Booking.objects.filter(pk=booking.pk).update(slot=slot)
    old.refresh_from_db(fields=["taken_bookings", "taken_units"])
    slot.refresh_from_db(fields=["taken_bookings", "taken_units"])
    booking.slot = slot
    booking.version += 1
    _tell_rescheduled(booking, old, now=now, tell=tell, **said)


def move_many(
    pairs: Sequence[tuple[Booking, Slot]],
    *,
    now: datetime,
    said: Mapping[uuid.UUID, Mapping[str, Any]],
    reason: str,
) -> list[Booking]:
    """Move live bookings to other slots, all of them locked, as far as there is room, in their
    order; what :func:`move` does for one. The number of statements does not grow with theirs.

    Args:
        said: what else the message to each customer says, by booking.

    Returns:
        Those that moved.
    """
    slots = list({slot.pk: slot for _, slot in pairs}.values())
    open_ones = [s for s in slots if _is_bookable(s, now=now)]
    serve_lines(open_ones, now=now)
    make_room(open_ones, now=now)
    first_of = [s for s in open_ones if s.has_room(1)]
    refused = claim_many(first_of, now=now)
    free = {s.pk for s in first_of} - set(refused)
    moved: list[tuple[Booking, Slot]] = []
    for booking, slot in pairs:
        if slot.pk in free and slot.has_room(booking.units):
            slot.taken_bookings += 1
            slot.taken_units += booking.units
            moved.append((booking, slot))
    if not moved:
        return []
    old = {booking.pk: booking.slot for booking, _ in moved}
    update_rows(Booking, ["slot"], [[booking.pk, slot.pk] for booking, slot in moved])
    for booking, slot in moved:
        booking.slot = slot
        booking.version += 1
    bookings = [booking for booking, _ in moved]
    signals.bookings_rescheduled.send(Booking, bookings=bookings, now=now)
    outbox.emit_many(notices.rescheduled(bookings, old, said=said, reason=reason))
    left = sorted({slot.pk for slot in old.values()})
    signals.seats_released.send(Slot, slot_ids=left, now=now)
    return bookings


def _is_bookable(slot: Slot, *, now: datetime) -> bool:
    try:
        check_bookable(slot, now=now)
    except SlotGone:
        return False
    return True


def _tell_rescheduled(
    booking: Booking, old: Slot, *, now: datetime, tell: bool = True, **said: Any
) -> None:
    signals.bookings_rescheduled.send(Booking, bookings=[booking], now=now)
    if tell:
        outbox.emit_many(
            notices.to_customers(
                "booking.rescheduled", [booking], previous=notices.describe_slot(old), **said
            )
        )
    signals.seats_released.send(Slot, slot_ids=[old.pk], now=now)


def reinstate(
    pairs: Sequence[tuple[Booking, Slot]], *, now: datetime, reason: str
) -> dict[uuid.UUID, DomainError]:
    """Requests that had expired take seats again, in their own slots or in others: all or none.

    No clock runs on them. The slots are locked, and whoever waits in line for them is served
    before. The number of statements does not grow with that of the bookings.

    Returns:
        Why some cannot have them, by booking; then nothing is changed but for overdue holds that
        were in the way, and what was offered to those in line.
    """
    slots = list({slot.pk: slot for _, slot in pairs}.values())
    gone: dict[uuid.UUID, DomainError] = {}
    for slot in slots:
        try:
            check_bookable(slot, now=now)
        except SlotGone as error:
            gone[slot.pk] = error
    open_ones = [s for s in slots if s.pk not in gone]
    serve_lines(open_ones, now=now)
    if full := [s for s in open_ones if not _has_room_for(s, pairs)]:
        make_room(full, now=now)
    gone |= claim_many([s for s in open_ones if s.has_room(1)], now=now)
    refused: dict[uuid.UUID, DomainError] = {}
    for booking, slot in pairs:
        if slot.pk in gone:
            refused[booking.pk] = gone[slot.pk]
        elif not slot.has_room(booking.units):
            refused[booking.pk] = _full(slot, booking.units, waitlist=False)
        else:
            slot.taken_bookings += 1
            slot.taken_units += booking.units
    if refused:
        read_counters(open_ones)
        return refused
    moved = [(booking, slot) for booking, slot in pairs if booking.slot_id != slot.pk]
    for booking, slot in moved:
        keep_in_line(booking.slot, slot)
    update_rows(Booking, ["slot"], [[booking.pk, slot.pk] for booking, slot in moved])
    for booking, slot in pairs:
        booking.version += booking.slot_id != slot.pk
        booking.slot = slot
    changes = {"pending_until": None, "ended_at": None, "ended_reason": ""}
    _move([b for b, _ in pairs], "reinstate", now=now, reason=reason, **changes)
    return {}


def _has_room_for(slot: Slot, pairs: Sequence[tuple[Booking, Slot]]) -> bool:
    """Whether a slot has room for all the bookings that are to be in it."""
    units = [booking.units for booking, wanted in pairs if wanted.pk == slot.pk]
    return (
        slot.taken_bookings + len(units) <= slot.max_bookings
        and slot.taken_units + sum(units) <= slot.max_units
    )


def propose(
    booking: Booking, stand_in: Booking, proposal: Proposal, *, now: datetime, **said: Any
) -> None:
    """Confirmed becomes reschedule proposed, while ``stand_in`` holds the seats.

    Args:
        said: what else the message to the customer says.
    """
    _move([booking], "propose", now=now)
    insert(proposal)
    outbox.emit_many(
        notices.to_customers(
            "booking.reschedule_proposed",
            [booking],
            proposed=notices.describe_slot(stand_in.slot),
            answer_until=proposal.expires_at.isoformat(),
            message=proposal.message,
            **said,
        )
    )


def accept(booking: Booking, stand_in: Booking, *, now: datetime, **said: Any) -> None:
    """The booking takes the seats of its stand-in, in the one statement in which the stand-in
    lets them go: at no moment are they anybody else's to have. A slot that was closed meanwhile
    still serves the people in it, and the stand-in is one of them.

    Args:
        said: what else the message to the customer says.

    Raises:
        SlotGone: the proposed slot has started, or its rules have changed.
    """
    old, slot = booking.slot, stand_in.slot
    if slot.status == SlotStatus.LEGACY or slot.starts_at <= now:
        raise SlotGone(
            "The proposed time is not offered any more. Decline it; the booking stays where it is."
        )
    _answer([booking], "accept", now=now)
    _check("settle", [booking])
    _check("cancel", [stand_in])
    settled, gone = BOOKING.target("settle"), BOOKING.target("cancel")
    reason = our_reason("The proposal was accepted.")
    update_rows(
        Booking,
        ["slot", "status", "ended_at", "ended_reason"],
        [
            [booking.pk, slot.pk, settled, None, ""],
            [stand_in.pk, slot.pk, gone, now, reason],
        ],
    )
    for slot_of in (old, slot):
        slot_of.refresh_from_db(fields=["taken_bookings", "taken_units"])
    booking.slot, booking.status = slot, settled
    stand_in.status, stand_in.ended_at, stand_in.ended_reason = gone, now, reason
    booking.version += 1
    stand_in.version += 1
    for moved, name in ((booking, "settle"), (stand_in, "cancel")):
        signals.bookings_moved.send(Booking, bookings=[moved], move=name, now=now, reason=reason)
    _tell_rescheduled(booking, old, now=now, **said)


def tell_proposal_over(booking: Booking, slot: Slot, how: str, *, reason: str) -> None:
    """Say that a proposed time is off: to the organisation if the customer declined it, to the
    customer if the staff withdrew it.

    Args:
        how: the proposal's move.
    """
    facts: dict[str, Any] = {"proposed": notices.describe_slot(slot), "reason": reason}
    if how == "withdraw":
        outbox.emit_many(notices.to_customers("booking.proposal_withdrawn", [booking], **facts))
    else:
        outbox.emit_many(notices.to_organization("booking.proposal_declined", booking, **facts))


def settle(bookings: Sequence[Booking], answer: str, *, now: datetime) -> None:
    """Their proposals are answered, and the bookings are confirmed again.

    Args:
        answer: the proposal's move.
    """
    _answer(bookings, answer, now=now)
    _move(bookings, "settle", now=now)


def forget_proposals(bookings: Sequence[Booking], *, now: datetime) -> None:
    """Withdraw the proposals of bookings that are not waiting for an answer; nobody is told."""
    _answer(bookings, "withdraw", now=now)


def _answer(bookings: Sequence[Booking], answer: str, *, now: datetime) -> None:
    Proposal.objects.filter(
        booking__in=[b.pk for b in bookings], status=ProposalStatus.OPEN
    ).update(status=PROPOSAL.target(answer), answered_at=now)


def request(bookings: Sequence[Booking], *, pending_until: datetime | None, now: datetime) -> None:
    """Held becomes pending: the customer has checked out."""
    _move(
        bookings, "request", now=now, pending_until=pending_until, requested_at=now, held_until=None
    )


def confirm(bookings: Sequence[Booking], *, now: datetime) -> None:
    """Pending becomes confirmed, and each booking gets its check-in code."""
    _move(bookings, "confirm", now=now, confirmed_at=now, pending_until=None)
    issue_codes(bookings, now=now)
    outbox.emit_many([notices.about("booking.confirmed", b) for b in bookings])


def issue_codes(bookings: Iterable[Booking], *, now: datetime) -> None:
    """Give each booking its check-in code."""
    rows = []
    for booking in bookings:
        nonce = codes.new_nonce()
        digest = codes.fingerprint(codes.derive(booking.pk, nonce))
        rows.append(CheckInCode(booking=booking, nonce=nonce, code_hash=digest, created_at=now))
    insert_rows(rows)


def reject(bookings: Sequence[Booking], *, now: datetime, reason: str) -> None:
    """Pending becomes rejected; seats go back."""
    _move(bookings, "reject", now=now, reason=reason, ended_at=now, ended_reason=reason[:500])


def cancel(
    bookings: Sequence[Booking], *, now: datetime, reason: str, tell: bool = True
) -> notices.Said:
    """A live booking is called off; seats go back.

    Returns:
        What the apps above say of it, by booking; it is in the messages to the customers.
    """
    told = [b for b in bookings if b.status != BookingStatus.HELD] if tell else []
    proposed = [b for b in bookings if b.status == BookingStatus.RESCHEDULE_PROPOSED]
    if proposed:
        _answer(proposed, "withdraw", now=now)
        cancel(locks.stand_ins(proposed), now=now, reason=reason)
    said = _move(
        bookings, "cancel", now=now, reason=reason, ended_at=now, ended_reason=reason[:500]
    )
    if told:
        outbox.emit_many(notices.to_customers("booking.cancelled", told, said=said, reason=reason))
    return said


def expire(bookings: Sequence[Booking], *, now: datetime, reason: str, tell: bool = True) -> None:
    """A hold or a request ran out; seats go back. Requests are told, holds are not."""
    told = [b for b in bookings if b.status == BookingStatus.PENDING] if tell else []
    _move(bookings, "expire", now=now, reason=reason, ended_at=now, ended_reason=reason[:500])
    if told:
        outbox.emit_many(notices.to_customers("booking.expired", told, reason=reason))
    proposed = {b.stands_for_id for b in bookings if b.stands_for_id}
    if proposed:
        _end_proposals(proposed, now=now)


def _end_proposals(booking_ids: set[uuid.UUID], *, now: datetime) -> None:
    """The holds of proposed times ran out: these bookings stay where they are."""
    waiting = [
        b for b in locks.bookings(booking_ids) if b.status == BookingStatus.RESCHEDULE_PROPOSED
    ]
    if waiting:
        settle(waiting, "expire", now=now)
        outbox.emit_many(notices.to_customers("booking.proposal_expired", waiting))


def check_in(booking: Booking, *, now: datetime) -> None:
    """Confirmed becomes checked in, and the code is used."""
    _move([booking], "check_in", now=now, checked_in_at=now)
    CheckInCode.objects.filter(booking=booking).update(used_at=now)


def complete(bookings: Sequence[Booking], *, now: datetime) -> None:
    """Checked in becomes completed, after the end."""
    _move(bookings, "complete", now=now)


def miss(bookings: Sequence[Booking], *, now: datetime, tell: bool = True) -> None:
    """Confirmed becomes no-show: nobody came. The customers are told."""
    _move(bookings, "miss", now=now, missed_at=now, excused_at=None)
    if tell and bookings:
        outbox.emit_many(notices.to_customers("booking.missed", bookings))


def excuse(bookings: Sequence[Booking], *, now: datetime, reason: str) -> None:
    """A no-show was none, and no sweep makes it one again; the customers are told.

    They take their seats again, in slots that are over or on: the slots are locked.
    """
    _move(bookings, "excuse", now=now, reason=reason, missed_at=None, excused_at=now)
    if bookings:
        outbox.emit_many(notices.to_customers("booking.excused", bookings))


def remind(due: Sequence[DueReminder], *, now: datetime) -> list[Booking]:
    """Remind of locked bookings, once for each slot and lead time; those that were reminded.

    Of several reminders of one booking only the last goes out.

    Args:
        due: booking, slot and lead times in hours of each.
    """
    written = insert_new(
        Reminder,
        [
            Reminder(booking_id=booking_id, slot_id=slot_id, hours=lead, created_at=now)
            for booking_id, slot_id, leads in due
            for lead in leads
        ],
        returning=("booking_id", "hours"),
    )
    hours: dict[uuid.UUID, int] = {}
    for booking_id, lead in written:
        hours[booking_id] = min(lead, hours.get(booking_id, lead))
    if not hours:
        return []
    found = Booking.objects.filter(pk__in=list(hours)).select_related(
        "slot__resource", "customer", "organization"
    )
    bookings = list(found.order_by("slot__starts_at", "pk"))
    events = notices.to_customers("booking.reminder", bookings)
    for event, booking in zip(events, bookings, strict=True):
        event.payload["hours"] = hours[booking.pk]  # type: ignore[index]
    outbox.emit_many(events)
    return bookings


def set_deadline(bookings: Sequence[Booking], *, pending_until: datetime | None) -> None:
    """Move the deadline of pending bookings, or stop their clock with None."""
    Booking.objects.filter(pk__in=[b.pk for b in bookings]).update(pending_until=pending_until)
    for booking in bookings:
        booking.pending_until = pending_until
        booking.version += 1


def set_deadlines(deadlines: Sequence[tuple[Booking, datetime]]) -> None:
    """Give pending bookings deadlines of their own, in one statement."""
    update_rows(Booking, ["pending_until"], [[b.pk, until] for b, until in deadlines])
    for booking, until in deadlines:
        booking.pending_until = until
        booking.version += 1


def _move(
    bookings: Sequence[Booking], move: str, *, now: datetime, reason: str = "", **changes: Any
) -> notices.Said:
    """Take one move of the lifecycle with a whole batch, and tell the apps above.

    Returns:
        What they say of it, by booking.
    """
    if not bookings:
        return notices.NOTHING_SAID
    _check(move, bookings)
    target = BOOKING.target(move)
    freed: set[uuid.UUID] = set()
    if target not in LIVE:
        freed = {b.slot_id for b in bookings if b.status in LIVE and b.slot_id}
    Booking.objects.filter(pk__in=[b.pk for b in bookings]).update(status=target, **changes)
    for booking in bookings:
        booking.status = target
        booking.version += 1
        for name, value in changes.items():
            setattr(booking, name, value)
    said = signals.merged(
        signals.bookings_moved.send(
            Booking, bookings=list(bookings), move=move, now=now, reason=reason
        )
    )
    if freed and target in ENDED:
        signals.seats_released.send(Slot, slot_ids=sorted(freed), now=now)
    return said


def _check(move: str, bookings: Sequence[Booking]) -> None:
    stuck = [b for b in bookings if not BOOKING.allows(move, b.status)]
    if stuck:
        raise BookingOver(
            f"Booking {stuck[0].reference} is {stuck[0].get_status_display()} already."
        )
