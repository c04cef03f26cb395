"""Bookings take seats: they are held, moved, or taken again. The slots are locked; no transaction is
opened here. Whether there is room is asked in ``claiming``; lifecycles are in ``transitions``."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from datetime import datetime
from typing import Any

from audit import outbox
from audit.errors import DomainError
from audit.languages import our_reason
from audit.sql import insert, insert_rows, update_rows
from bookings import claiming, notices, signals, transitions, walk_ins
from bookings.errors import LineFirst, SlotGone
from bookings.lifecycle import BOOKING, BookingStatus, SlotStatus
from bookings.models import Booking, Customer, Series, Slot


def hold(
    slot: Slot,
    *,
    customer: Customer,
    units: int,
    held_until: datetime,
    now: datetime,
    stands_for: Booking | None = None,
    walk_in: bool = False,
) -> Booking:
    """Hold seats in a locked slot.

    Overdue holds that stand in the way are expired on the spot, in this slot and in those
    that take the same exclusive resource at its time.

    Args:
        stands_for: the booking for which this time is proposed.
        walk_in: staff let somebody in, also after the start.

    Whoever waits in line for the slot is served before: what is left then is to be had.

    Raises:
        SlotGone: closed, legacy, or started (for walk-ins: over).
        SlotFull: not enough seats, even so.
        LineFirst: who waits in line for them cannot be served at this moment.
        ResourceTaken: the resource, or something it needs, is taken at that time.
    """
    claiming.check_bookable(slot, now=now, walk_in=walk_in)
    claiming.check_room(slot, units, now=now)
    claiming.claim(slot, now=now)
    claiming.check_left(slot, units)
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
    with walk_ins.let_in() if slot.starts_at <= now else nullcontext():
        insert(booking)
    slot.taken_bookings += 1
    slot.taken_units += units
    return booking


def hold_for(
    wanted: Sequence[tuple[Slot, Customer, int, datetime]],
    *,
    series: Series | None = None,
    now: datetime,
) -> list[Booking]:
    """Hold seats that are there: slot, customer, units and deadline of each.

    The slots are locked, have room for all of them, and what they take for themselves alone is
    claimed (``claiming.claim_many``). One statement, whatever the number.
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
            series=series,
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
            claiming.check_bookable(slot, now=now)
        except SlotGone as error:
            refused[slot.pk] = error
    undecided = claiming.serve_lines([s for s in slots if s.pk not in refused], now=now)
    full = [s for s in slots if s.pk not in refused and not s.has_room(units)]
    if full:
        claiming.make_room(full, now=now)
    full = [s for s in full if not s.has_room(units)]
    lines = claiming.open_lines(full, now=now)
    refused |= {s.pk: claiming.full_error(s, units, waitlist=s.pk in lines) for s in full}
    refused |= {pk: LineFirst() for pk in undecided - refused.keys()}
    left = [s for s in slots if s.pk not in refused]
    refused |= claiming.claim_many(left, now=now)
    full = [s for s in left if s.pk not in refused and not s.has_room(units)]
    refused |= {s.pk: claiming.full_error(s, units, waitlist=True) for s in full}
    wanted = [(s, customer, units, held_until) for s in slots if s.pk not in refused]
    return hold_for(wanted, series=series, now=now), refused


def move(
    booking: Booking,
    slot: Slot,
    *,
    now: datetime,
    by_customer: bool = False,
    tell: bool = True,
    **said: Any,
) -> None:
    """Move a live booking to another slot; both are locked. The old seats go back in the same
    statement in which the new ones are taken.

    Args:
        by_customer: its customer wants it; else the house does.
        said: what else the message to the customer says.

    Raises:
        SlotGone, SlotFull, LineFirst, ResourceTaken: see :func:`hold`. Nothing is changed.
    """
    old = booking.slot
    claiming.check_bookable(slot, now=now)
    claiming.check_room(slot, booking.units, now=now)
    claiming.claim(slot, now=now, leaving=old)
    claiming.check_left(slot, booking.units)
    claiming.keep_in_line([(old, slot)])
    Booking.objects.filter(pk=booking.pk).update(slot=slot)
    old.refresh_from_db(fields=["taken_bookings", "taken_units"])
    slot.refresh_from_db(fields=["taken_bookings", "taken_units"])
    booking.slot = slot
    booking.version += 1
    _tell_rescheduled(booking, old, now=now, by_customer=by_customer, tell=tell, **said)


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
    open_ones = [s for s in slots if claiming.is_bookable(s, now=now)]
    undecided = claiming.serve_lines(open_ones, now=now)
    claiming.make_room(open_ones, now=now)
    first_of = [s for s in open_ones if s.has_room(1) and s.pk not in undecided]
    refused = claiming.claim_many(first_of, now=now)
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
    claiming.keep_in_line((booking.slot, slot) for booking, slot in moved)
    update_rows(Booking, ["slot"], [[booking.pk, slot.pk] for booking, slot in moved])
    for booking, slot in moved:
        booking.slot = slot
        booking.version += 1
    bookings = [booking for booking, _ in moved]
    terms = signals.merged(
        signals.bookings_rescheduled.send(
            Booking, bookings=bookings, old=old, by_customer=False, now=now
        )
    )
    said = {pk: {**said.get(pk, {}), **terms.get(pk, {})} for pk in old}
    outbox.emit_many(notices.rescheduled(bookings, old, said=said, reason=reason))
    left = sorted({slot.pk for slot in old.values()})
    signals.seats_released.send(Slot, slot_ids=left, now=now)
    return bookings


def _tell_rescheduled(
    booking: Booking,
    old: Slot,
    *,
    now: datetime,
    by_customer: bool = False,
    tell: bool = True,
    **said: Any,
) -> None:
    terms = signals.merged(
        signals.bookings_rescheduled.send(
            Booking, bookings=[booking], old={booking.pk: old}, by_customer=by_customer, now=now
        )
    )
    if tell:
        outbox.emit_many(
            notices.to_customers(
                "booking.rescheduled",
                [booking],
                said=terms,
                previous=notices.describe_slot(old),
                **said,
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
            claiming.check_bookable(slot, now=now)
        except SlotGone as error:
            gone[slot.pk] = error
    open_ones = [s for s in slots if s.pk not in gone]
    undecided = claiming.serve_lines(open_ones, now=now)
    if full := [s for s in open_ones if not claiming.has_room_for(s, pairs)]:
        claiming.make_room(full, now=now)
    gone |= {s.pk: LineFirst() for s in open_ones if s.pk in undecided and s.has_room(1)}
    left = [s for s in open_ones if s.pk not in gone and s.has_room(1)]
    gone |= claiming.claim_many(left, now=now)
    refused: dict[uuid.UUID, DomainError] = {}
    for booking, slot in pairs:
        if slot.pk in gone:
            refused[booking.pk] = gone[slot.pk]
        elif not slot.has_room(booking.units):
            refused[booking.pk] = claiming.full_error(slot, booking.units, waitlist=False)
        else:
            slot.taken_bookings += 1
            slot.taken_units += booking.units
    if refused:
        claiming.read_taken(open_ones)
        return refused
    moved = [(booking, slot) for booking, slot in pairs if booking.slot_id != slot.pk]
    claiming.keep_in_line((booking.slot, slot) for booking, slot in moved)
    update_rows(Booking, ["slot"], [[booking.pk, slot.pk] for booking, slot in moved])
    for booking, slot in pairs:
        booking.version += booking.slot_id != slot.pk
        booking.slot = slot
    changes = {"pending_until": None, "ended_at": None, "ended_reason": ""}
    transitions.move([b for b, _ in pairs], "reinstate", now=now, reason=reason, **changes)
    return {}


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
    transitions.answer_proposals([booking], "accept", now=now)
    transitions.check_allowed("settle", [booking])
    transitions.check_allowed("cancel", [stand_in])
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
