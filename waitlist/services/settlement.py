"""What an approval settles: entries, and the carts, items and bookings made for them (A6)."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from audit.languages import our_reason
from audit.sql import prepared_cursor
from bookings import locks as booking_locks
from bookings import rules
from bookings import transitions as booking_transitions
from bookings.lifecycle import BookingStatus
from bookings.models import Booking, Slot
from waitlist import locks, planning, selectors, signals, transitions
from waitlist.lifecycle import GOING_ON, GOING_ON_SQL, EntryStatus, OfferStatus
from waitlist.models import Offer, WaitlistEntry

GOT_IT = our_reason("The booking was approved.")
OTHERWISE = our_reason("Settled: the customer got these seats in another way.")
FULL = our_reason("The slot is full, and nobody in it can give seats back any more.")
NOT_FINAL = (BookingStatus.HELD, BookingStatus.PENDING, BookingStatus.RESCHEDULE_PROPOSED)


def settle(bookings: Sequence[Booking], *, now: datetime) -> None:
    """Bookings were confirmed; close what that settles, in the same transaction.

    Three kinds of entries: the ones whose offers these bookings were; those of the same
    customers for the same seats, whose offers, bookings and cart items end as well; and
    everybody's for a slot that is full for good. Slots that somebody else holds at this moment
    are passed over; ``waitlist.settled`` of the consistency checks finds what that leaves.
    """
    near = [b for b in bookings if b.slot.concerns_line]
    concerned = _concerned(near) if near else []
    if not concerned:
        return
    ours, locked = _lock_what_is_held(concerned, {b.slot_id for b in bookings})
    over = _full_for_good({b.slot_id for b in near} & ours, now=now)
    # Entries for a slot wait under its lock. Those whose offers these bookings were follow them.
    mine = [
        c
        for c in concerned
        if c.offered or ((c.same_customer or c.slot_id in over) and c.slot_id in (None, *ours))
    ]
    entries = [e for e in locks.entries(c.entry_id for c in mine) if e.status in GOING_ON]
    offers = list(
        Offer.objects.filter(
            entry__in=[e.pk for e in entries],
            status__in=[OfferStatus.OPEN, OfferStatus.ACCEPTED],
        )
        .select_related("booking")
        .order_by()
    )
    held = [o for o in offers if o.booking.status == BookingStatus.HELD]
    out_of_reach = {o.entry_id for o in held if o.booking_id not in locked}
    got = _fulfilled(entries, offers, bookings)
    entries = [e for e in entries if e.slot_id is None or e.slot_id in ours]
    otherwise = [
        e for e in entries if e not in got and e.pk not in out_of_reach and _has_them(e, bookings)
    ]
    waiting = [
        e
        for e in entries
        if e.slot_id in over and e.status == EntryStatus.WAITING and e not in otherwise
    ]
    transitions.move(got, "fulfil", now=now, reason=GOT_IT)
    transitions.end(waiting, "settle", now=now, reason=FULL)
    _end_otherwise(otherwise, held, locked, now=now)


def _lock_what_is_held(
    concerned: Sequence[Concerned], slot_ids: set[uuid.UUID]
) -> tuple[set[uuid.UUID], dict[uuid.UUID, Booking]]:
    """Lock slots and held bookings that entries which may be settled have to do with, as far as
    nobody else holds them; which they are.

    They come out of the order of locks, after the bookings and the order that are approved, so
    nobody is waited for.
    """
    held = list(
        Offer.objects.filter(
            entry__in=[c.entry_id for c in concerned if c.offered or c.same_customer],
            status__in=[OfferStatus.OPEN, OfferStatus.ACCEPTED],
            booking__status=BookingStatus.HELD,
        ).values_list("booking_id", "booking__slot_id")
    )
    ours = set(booking_locks.slots_nobody_holds(slot_ids | {slot_id for _, slot_id in held}))
    within = [pk for pk, slot_id in held if slot_id in ours]
    bookings = booking_locks.bookings_nobody_holds(within) if within else []
    held_here = [b for b in bookings if b.status == BookingStatus.HELD and b.slot_id in ours]
    return ours, {b.pk: b for b in held_here}


def _end_otherwise(
    entries: Sequence[WaitlistEntry],
    held: Sequence[Offer],
    locked: Mapping[uuid.UUID, Booking],
    *,
    now: datetime,
) -> None:
    ids = {e.pk for e in entries}
    offers = [o for o in held if o.entry_id in ids]
    transitions.answer([o for o in offers if o.status == OfferStatus.OPEN], "withdraw", now=now)
    transitions.move(entries, "settle", now=now, reason=OTHERWISE)
    gone = [locked[pk] for pk in sorted({o.booking_id for o in offers})]
    if gone:
        booking_transitions.cancel(gone, now=now, reason=OTHERWISE, tell=False)
        signals.entries_settled.send(WaitlistEntry, bookings=gone, now=now)


_CONCERNED = f"""
    SELECT e.id, e.slot_id, bool_or(offered), e.customer_id = ANY(%(customers)s)
    FROM (
        SELECT o.entry_id AS id, TRUE AS offered FROM waitlist_offer o
        WHERE o.booking_id = ANY(%(bookings)s)
        UNION ALL
        SELECT id, FALSE FROM waitlist_waitlistentry
        WHERE slot_id = ANY(%(slots)s) AND status IN ({GOING_ON_SQL})
        UNION ALL
        SELECT id, FALSE FROM waitlist_waitlistentry
        WHERE slot_id IS NULL AND resource_id = ANY(%(resources)s)
          AND customer_id = ANY(%(customers)s) AND status IN ({GOING_ON_SQL})
    ) x JOIN waitlist_waitlistentry e ON e.id = x.id
    WHERE e.status IN ({GOING_ON_SQL})
    GROUP BY e.id
"""  # noqa: S608  our own statuses


class Concerned(NamedTuple):
    """An entry that goes on and may have to do with what was confirmed."""

    entry_id: uuid.UUID
    slot_id: uuid.UUID | None
    offered: bool  # one of the bookings was offered to it
    same_customer: bool


def _concerned(bookings: Sequence[Booking]) -> list[Concerned]:
    """Entries that may have to do with these bookings; one statement."""
    with prepared_cursor() as cursor:
        cursor.execute(
            _CONCERNED,
            {
                "bookings": [b.pk for b in bookings],
                "slots": list({b.slot_id for b in bookings}),
                "resources": list({b.slot.resource_id for b in bookings}),
                "customers": list({b.customer_id for b in bookings}),
            },
        )
        return [Concerned(*row) for row in cursor.fetchall()]


def _fulfilled(
    entries: Sequence[WaitlistEntry], offers: Sequence[Offer], bookings: Sequence[Booking]
) -> list[WaitlistEntry]:
    ids = {b.pk for b in bookings}
    theirs = {
        o.entry_id for o in offers if o.status == OfferStatus.ACCEPTED and o.booking_id in ids
    }
    return [e for e in entries if e.status == EntryStatus.ACCEPTED and e.pk in theirs]


def _has_them(entry: WaitlistEntry, bookings: Iterable[Booking]) -> bool:
    """Whether one of these bookings, made after the customer had joined, is what they wait for."""
    return any(
        b.customer_id == entry.customer_id
        and b.units >= entry.units
        and b.created_at >= entry.joined_at
        and planning.is_for(entry, b.slot)
        for b in bookings
    )


def _full_for_good(slot_ids: set[uuid.UUID], *, now: datetime) -> set[uuid.UUID]:
    """Of locked slots, those in which no seat can come free any more by a customer's doing."""
    if not slot_ids:
        return set()
    slots = [
        s
        for s in Slot.objects.filter(pk__in=slot_ids).select_related("resource")
        if not s.has_room(1)
    ]
    open_ended = set(
        Booking.objects.filter(slot__in=[s.pk for s in slots], status__in=NOT_FINAL).values_list(
            "slot_id", flat=True
        )
    )
    policies = selectors.policies_of(s.organization_id for s in slots)
    return {
        s.pk
        for s in slots
        if s.pk not in open_ended
        and (
            policies[s.organization_id].closes_when_approved
            or not rules.may_be_cancelled(s, now=now)
        )
    }
