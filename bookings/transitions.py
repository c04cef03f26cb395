"""Steps of a booking. They take rows already locked, change them, tell; they open no
transaction. Every step takes a list: a hundred bookings cost what three do."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from audit import outbox
from audit.sql import insert, insert_rows
from bookings import codes, locks, notices, signals
from bookings.errors import BookingOver, ResourceTaken, SlotFull, SlotGone
from bookings.lifecycle import BOOKING, ENDED, LIVE, BookingStatus, SlotStatus
from bookings.models import Booking, CheckInCode, Customer, Slot


def hold(
    slot: Slot, *, customer: Customer, units: int, held_until: datetime, now: datetime
) -> Booking:
    """Hold seats in a locked slot.

    Overdue holds that stand in the way are expired on the spot, in this slot and in those
    that take the same exclusive resource at its time.

    Raises:
        SlotGone: closed, legacy or started.
        SlotFull: not enough seats, even so.
        ResourceTaken: the resource is taken at that time through another slot.
    """
    check_bookable(slot, now=now)
    if units > slot.max_units:
        raise SlotFull(f"This slot takes {slot.max_units} at most.", waitlist=False)
    if not slot.has_room(units):
        make_room([slot], now=now)
    if not slot.has_room(units):
        free = max(0, slot.max_units - slot.taken_units)
        if slot.taken_bookings >= slot.max_bookings:
            free = 0
        raise SlotFull(
            "This slot is full." if not free else f"Only {free} left in this slot.",
            available_units=free,
        )
    if slot.exclusive:
        _clear_rivals(slot, now=now)
    booking = Booking(
        organization_id=slot.organization_id,
        slot=slot,
        customer=customer,
        units=units,
        status=BookingStatus.HELD,
        held_until=held_until,
        created_at=now,
    )
    insert(booking)
    slot.taken_bookings += 1
    slot.taken_units += units
    return booking


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
    expire(overdue, now=now, reason="The hold ran out.")
    for slot in slots:
        slot.refresh_from_db(fields=["taken_bookings", "taken_units"])


def _clear_rivals(slot: Slot, *, now: datetime) -> None:
    rivals, some_are_locked = locks.rival_slots(slot)
    if rivals:
        make_room(rivals, now=now)
    if some_are_locked or any(r.taken_bookings for r in rivals):
        raise ResourceTaken(f"{slot.resource.name} is taken at that time by another booking.")


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


def cancel(bookings: Sequence[Booking], *, now: datetime, reason: str, tell: bool = True) -> None:
    """A live booking is called off; seats go back."""
    told = [b for b in bookings if b.status != BookingStatus.HELD] if tell else []
    _move(bookings, "cancel", now=now, reason=reason, ended_at=now, ended_reason=reason[:500])
    if told:
        outbox.emit_many(notices.to_customers("booking.cancelled", told, reason=reason))


def expire(bookings: Sequence[Booking], *, now: datetime, reason: str, tell: bool = True) -> None:
    """A hold or a request ran out; seats go back. Requests are told, holds are not."""
    told = [b for b in bookings if b.status == BookingStatus.PENDING] if tell else []
    _move(bookings, "expire", now=now, reason=reason, ended_at=now, ended_reason=reason[:500])
    if told:
        outbox.emit_many(notices.to_customers("booking.expired", told, reason=reason))


def check_in(booking: Booking, *, now: datetime) -> None:
    """Confirmed becomes checked in, and the code is used."""
    _move([booking], "check_in", now=now, checked_in_at=now)
    CheckInCode.objects.filter(booking=booking).update(used_at=now)


def complete(bookings: Sequence[Booking], *, now: datetime) -> None:
    """Checked in becomes completed, after the end."""
    _move(bookings, "complete", now=now)


def set_deadline(bookings: Sequence[Booking], *, pending_until: datetime | None) -> None:
    """Move the deadline of pending bookings, or stop their clock with None."""
    Booking.objects.filter(pk__in=[b.pk for b in bookings]).update(pending_until=pending_until)
    for booking in bookings:
        booking.pending_until = pending_until
        booking.version += 1


def _move(
    bookings: Sequence[Booking], move: str, *, now: datetime, reason: str = "", **changes: Any
) -> None:
    """Take one move of the lifecycle with a whole batch, and tell the apps above."""
    if not bookings:
        return
    stuck = [b for b in bookings if not BOOKING.allows(move, b.status)]
    if stuck:
        raise BookingOver(
            f"Booking {stuck[0].reference} is {stuck[0].get_status_display()} already."
        )
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
    signals.bookings_moved.send(Booking, bookings=list(bookings), move=move, now=now, reason=reason)
    if freed and target in ENDED:
        signals.seats_released.send(Slot, slot_ids=sorted(freed), now=now)
