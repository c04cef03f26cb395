"""Steps of entries and offers. They take rows already locked, change them, tell; they open no
transaction. Every step takes a list."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from audit import outbox
from audit.sql import insert_rows, update_rows
from bookings.lifecycle import SlotStatus
from bookings.models import Booking
from waitlist import notices
from waitlist.errors import NoLongerWaiting, NoOffer
from waitlist.lifecycle import ENTRY, GOING_ON, OFFER, EntryStatus, OfferStatus
from waitlist.models import Offer, WaitlistEntry


def offer(
    pairs: Sequence[tuple[WaitlistEntry, Booking]],
    *,
    by_hand: bool = False,
    offered_by: str = "",
    now: datetime,
) -> list[Offer]:
    """Seats that are held for these entries are theirs to accept; their customers are told."""
    made = [
        Offer(
            organization_id=entry.organization_id,
            entry=entry,
            booking=booking,
            expires_at=_deadline(booking),
            made_at=now,
            by_hand=by_hand,
            offered_by=offered_by[:200],
        )
        for entry, booking in pairs
    ]
    move([entry for entry, _ in pairs], "offer", now=now)
    insert_rows(made)
    outbox.emit_many(notices.offered([(e, o) for (e, _), o in zip(pairs, made, strict=True)]))
    return made


def _deadline(booking: Booking) -> datetime:
    assert booking.held_until is not None
    return booking.held_until


PASSED = ("passed_over", "passed_over_at", "passed_over_reason")


def pass_over(passed: Sequence[tuple[WaitlistEntry, str]], *, now: datetime) -> None:
    """Note why somebody kept the place while somebody behind was offered seats."""
    for entry, reason in passed:
        entry.passed_over += 1
        entry.passed_over_at = now
        entry.passed_over_reason = reason[:300]
        entry.version += 1
    rows = [[entry.pk, *(getattr(entry, name) for name in PASSED)] for entry, _ in passed]
    update_rows(WaitlistEntry, PASSED, rows)


def answer(offers: Sequence[Offer], name: str, *, now: datetime) -> None:
    """Take one move of the lifecycle of open offers whose bookings are locked.

    Raises:
        NoOffer: one of them is not open any more.
    """
    if not offers:
        return
    if any(not OFFER.allows(name, o.status) for o in offers):
        raise NoOffer
    target = OFFER.target(name)
    Offer.objects.filter(pk__in=[o.pk for o in offers]).update(status=target, answered_at=now)
    for one in offers:
        one.status, one.answered_at = OfferStatus(target), now


def move(entries: Sequence[WaitlistEntry], name: str, *, now: datetime, reason: str = "") -> None:
    """Take one move of the lifecycle with a whole batch of locked entries.

    Raises:
        NoLongerWaiting: one of them cannot take it any more.
    """
    if not entries:
        return
    for entry in entries:
        if not ENTRY.allows(name, entry.status):
            raise NoLongerWaiting(f"This place in line: {entry.get_status_display()}.")
    target = EntryStatus(ENTRY.target(name))
    ended = target not in GOING_ON
    changes = {"ended_at": now, "ended_reason": reason[:500]} if ended else {}
    WaitlistEntry.objects.filter(pk__in=[e.pk for e in entries]).update(status=target, **changes)
    for entry in entries:
        entry.status = target
        entry.version += 1
        for field, value in changes.items():
            setattr(entry, field, value)


def end(
    entries: Sequence[WaitlistEntry], name: str, *, now: datetime, reason: str, tell: bool = True
) -> None:
    """End entries, and tell their customers why."""
    move(entries, name, now=now, reason=reason)
    if tell and entries:
        outbox.emit_many(notices.to_customers("waitlist.closed", entries, reason=reason))


def offers_ended(
    offers: Sequence[Offer], how: str, *, by_customer: bool, reason: str, now: datetime
) -> None:
    """The bookings of these offers are over, and so their entries follow.

    Who waits for any time is in line again if the house takes back a time that is not offered
    any more.

    Args:
        offers: open or accepted, with their entries and bookings loaded.
        how: the move of the bookings: "cancel", "expire" or "reject".
    """
    opened = [o for o in offers if o.status == OfferStatus.OPEN]
    answer(opened, "run_out" if how == "expire" else "withdraw", now=now)
    entries = [o.entry for o in offers if o.entry.status in GOING_ON]
    if how == "expire":
        move(entries, "run_out", now=now, reason=reason)
        # Who had checked out is told that the order has expired.
        unheard = [o for o in offers if o.booking.requested_at is None]
        if unheard:
            outbox.emit_many(notices.ran_out(unheard, reason=reason))
        return
    if by_customer:
        move(entries, "decline", now=now, reason=reason)
        return
    # A time that is still offered would be offered to them again: then it is them who are refused.
    back = [
        o for o in opened if o.entry.slot_id is None and o.booking.slot.status != SlotStatus.OPEN
    ]
    move([o.entry for o in back], "put_back", now=now)
    if back:
        outbox.emit_many(notices.withdrawn(back, reason=reason))
    gone = [e for e in entries if e.status != EntryStatus.WAITING]
    # Who had checked out is told that the booking is cancelled, or the order rejected.
    heard = {o.entry_id for o in offers if o.booking.requested_at is not None}
    end([e for e in gone if e.pk not in heard], "close", now=now, reason=reason)
    move([e for e in gone if e.pk in heard], "close", now=now, reason=reason)
