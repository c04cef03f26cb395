"""Steps of a booking's lifecycle. They take rows already locked, change them, tell; they open no
transaction. Every step takes a list: a hundred bookings cost what three do. Taking seats is in ``holding``."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

from audit import outbox
from audit.sql import insert, insert_new, insert_rows, update_rows
from bookings import codes, locks, notices, signals
from bookings.errors import BookingOver
from bookings.lifecycle import BOOKING, ENDED, LIVE, PROPOSAL, BookingStatus, ProposalStatus
from bookings.locks_times import DueReminder
from bookings.models import Booking, CheckInCode, Proposal, Reminder, Slot


def propose(
    booking: Booking, stand_in: Booking, proposal: Proposal, *, now: datetime, **said: Any
) -> None:
    """Confirmed becomes reschedule proposed, while ``stand_in`` holds the seats.

    Args:
        said: what else the message to the customer says.
    """
    move([booking], "propose", now=now)
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
    answer_proposals(bookings, answer, now=now)
    move(bookings, "settle", now=now)


def forget_proposals(bookings: Sequence[Booking], *, now: datetime) -> None:
    """Withdraw the proposals of bookings that are not waiting for an answer; nobody is told."""
    answer_proposals(bookings, "withdraw", now=now)


def answer_proposals(bookings: Sequence[Booking], answer: str, *, now: datetime) -> None:
    Proposal.objects.filter(
        booking__in=[b.pk for b in bookings], status=ProposalStatus.OPEN
    ).update(status=PROPOSAL.target(answer), answered_at=now)


def request(bookings: Sequence[Booking], *, pending_until: datetime | None, now: datetime) -> None:
    """Held becomes pending: the customer has checked out."""
    move(
        bookings, "request", now=now, pending_until=pending_until, requested_at=now, held_until=None
    )


def confirm(bookings: Sequence[Booking], *, now: datetime) -> None:
    """Pending becomes confirmed, and each booking gets its check-in code."""
    move(bookings, "confirm", now=now, confirmed_at=now, pending_until=None)
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
    move(bookings, "reject", now=now, reason=reason, ended_at=now, ended_reason=reason[:500])


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
        answer_proposals(proposed, "withdraw", now=now)
        cancel(locks.stand_ins(proposed), now=now, reason=reason)
    said = move(bookings, "cancel", now=now, reason=reason, ended_at=now, ended_reason=reason[:500])
    if told:
        outbox.emit_many(notices.to_customers("booking.cancelled", told, said=said, reason=reason))
    return said


def expire(
    bookings: Sequence[Booking],
    *,
    now: datetime,
    reason: str,
    tell: bool = True,
    gone: bool = False,
    untold: Collection[uuid.UUID] = (),
) -> None:
    """A hold or a request ran out; seats go back. Requests are told, holds are not.

    Args:
        gone: of holds of proposed times: they are not offered any more.
        untold: bookings whose customers are not told from here that a proposal is over.
    """
    told = [b for b in bookings if b.status == BookingStatus.PENDING] if tell else []
    move(bookings, "expire", now=now, reason=reason, ended_at=now, ended_reason=reason[:500])
    if told:
        outbox.emit_many(notices.to_customers("booking.expired", told, reason=reason))
    proposed = {b.stands_for_id for b in bookings if b.stands_for_id}
    if proposed:
        _end_proposals(proposed, gone=gone, untold=untold, now=now)


def _end_proposals(
    booking_ids: set[uuid.UUID], *, gone: bool, untold: Collection[uuid.UUID], now: datetime
) -> None:
    """The holds of proposed times ran out: these bookings stay where they are."""
    waiting = [
        b for b in locks.bookings(booking_ids) if b.status == BookingStatus.RESCHEDULE_PROPOSED
    ]
    if waiting:
        settle(waiting, "expire", now=now)
        tell_proposals_expired([b for b in waiting if b.pk not in untold], gone=gone)


def tell_proposals_expired(bookings: Sequence[Booking], *, gone: bool) -> None:
    """Say that what was proposed for these bookings is over.

    Args:
        gone: it is not offered any more; else nobody answered in time.
    """
    if bookings:
        outbox.emit_many(notices.to_customers("booking.proposal_expired", bookings, gone=gone))


def check_in(booking: Booking, *, now: datetime) -> None:
    """Confirmed becomes checked in, and the code is used."""
    move([booking], "check_in", now=now, checked_in_at=now)
    CheckInCode.objects.filter(booking=booking).update(used_at=now)


def complete(bookings: Sequence[Booking], *, now: datetime) -> None:
    """Checked in becomes completed, after the end."""
    move(bookings, "complete", now=now)


def miss(bookings: Sequence[Booking], *, now: datetime, tell: bool = True) -> None:
    """Confirmed becomes no-show: nobody came. The customers are told."""
    move(bookings, "miss", now=now, missed_at=now, excused_at=None)
    if tell and bookings:
        outbox.emit_many(notices.to_customers("booking.missed", bookings))


def excuse(bookings: Sequence[Booking], *, now: datetime, reason: str) -> None:
    """A no-show was none, and no sweep makes it one again; the customers are told.

    They take their seats again, in slots that are over or on: the slots are locked.
    """
    move(bookings, "excuse", now=now, reason=reason, missed_at=None, excused_at=now)
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


def move(
    bookings: Sequence[Booking], move: str, *, now: datetime, reason: str = "", **changes: Any
) -> notices.Said:
    """Take one move of the lifecycle with a whole batch, and tell the apps above.

    Returns:
        What they say of it, by booking.
    """
    if not bookings:
        return notices.NOTHING_SAID
    check_allowed(move, bookings)
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


def check_allowed(move: str, bookings: Sequence[Booking]) -> None:
    stuck = [b for b in bookings if not BOOKING.allows(move, b.status)]
    if stuck:
        raise BookingOver(
            f"Booking {stuck[0].reference} is {stuck[0].get_status_display()} already."
        )
