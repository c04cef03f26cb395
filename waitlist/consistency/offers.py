"""An offer stands exactly as long as its seats are held, and its entry says so."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from uuid import UUID

from audit.consistency.registry import FixResult, Problem, Scope, check, fix, rows
from audit.context import Actor
from audit.errors import NotFound
from audit.languages import our_reason
from bookings import locks as booking_locks
from bookings import transitions as booking_transitions
from bookings.consistency.parts import mine, params, recount
from bookings.lifecycle import ENDED, BookingStatus
from bookings.models import Booking
from waitlist import locks, transitions
from waitlist.lifecycle import EntryStatus, OfferStatus
from waitlist.models import Offer, WaitlistEntry

B, E, Of = BookingStatus, EntryStatus, OfferStatus
REASON = our_reason("Put right by a consistency check.")

_WRONG = f"""
    SELECT e.id::text, e.organization_id, TRUE AS fixable,
           CASE WHEN b.status <> '{B.HELD}' THEN 'it has an open offer of seats that are not held'
                WHEN e.status <> '{E.OFFERED}' THEN 'it has an open offer and is ' || e.status
                ELSE 'its offer ends at another time than the hold of the seats' END AS wrong
    FROM waitlist_offer o JOIN waitlist_waitlistentry e ON e.id = o.entry_id
    JOIN bookings_booking b ON b.id = o.booking_id
    WHERE o.status = '{Of.OPEN}' AND {mine("e.organization_id")}
      AND (b.status <> '{B.HELD}' OR e.status <> '{E.OFFERED}' OR b.held_until <> o.expires_at)
    UNION ALL
    SELECT e.id::text, e.organization_id, TRUE, 'it is offered seats, and there is no open offer'
    FROM waitlist_waitlistentry e
    WHERE e.status = '{E.OFFERED}' AND {mine("e.organization_id")} AND NOT EXISTS (
          SELECT 1 FROM waitlist_offer o WHERE o.entry_id = e.id AND o.status = '{Of.OPEN}')
    UNION ALL
    SELECT e.id::text, e.organization_id, EXISTS (
               SELECT 1 FROM waitlist_offer o WHERE o.entry_id = e.id AND o.status IN
                   ('{Of.ACCEPTED}', '{Of.OPEN}')),
           'it is accepted, and no booking of it waits'
    FROM waitlist_waitlistentry e
    WHERE e.status = '{E.ACCEPTED}' AND {mine("e.organization_id")} AND NOT EXISTS (
          SELECT 1 FROM waitlist_offer o JOIN bookings_booking b ON b.id = o.booking_id
          WHERE o.entry_id = e.id AND (o.status = '{Of.OPEN}' OR o.status = '{Of.ACCEPTED}'
                AND b.status IN ('{B.HELD}', '{B.PENDING}')))
    ORDER BY 1
"""  # noqa: S608


@check(
    id="waitlist.offers",
    title="An entry, its offer and the booking held for it agree",
    help=(
        "Seats may be held that nobody can accept, or somebody may wait for an answer to an offer"
        " that is gone. --fix lets the booking decide: what is held is offered, what has ended"
        " ends the offer, and what was approved fulfils the entry."
    ),
)
def offers(scope: Scope) -> Iterator[Problem]:
    for row in rows(_WRONG, params(scope)):
        yield Problem(
            subject_type="waitlist.waitlistentry",
            subject_id=row["id"],
            message=f"The entry does not agree with its offer: {row['wrong']}.",
            organization_id=row["organization_id"],
            details={"wrong": row["wrong"]},
            fixable=row["fixable"],
        )


@fix("waitlist.offers")
def fix_offers(problem: Problem, actor: Actor, now: datetime) -> FixResult:
    found = _lock(UUID(problem.subject_id), problem.organization_id)
    if found is None:
        return FixResult.gone()
    entry, made = found
    opened = next((o for o in made if o.status == Of.OPEN), None)
    if opened is not None:
        return _fix_open(entry, opened, now=now)
    if entry.status == E.OFFERED:
        transitions.move([entry], "put_back", now=now)
        return FixResult.fixed("There was no offer; it waits again.")
    if entry.status == E.ACCEPTED:
        return _fix_accepted(entry, made, now=now)
    return FixResult.gone()


def _lock(entry_id: UUID, organization_id: UUID | None) -> tuple[WaitlistEntry, list[Offer]] | None:
    """Lock an entry with the slots and bookings of its offers that have not failed."""
    if organization_id is None:
        return None
    try:
        locks.slots_of_entries([entry_id], organization_id=organization_id)
        made = list(Offer.objects.filter(entry=entry_id, status__in=[Of.OPEN, Of.ACCEPTED]))
        bookings = {b.pk: b for b in booking_locks.bookings(o.booking_id for o in made)}
        entry = locks.entry(entry_id, organization_id=organization_id)
    except NotFound:
        return None
    for offer in made:
        offer.entry, offer.booking = entry, bookings[offer.booking_id]
    return entry, made


def _fix_open(entry: WaitlistEntry, offer: Offer, *, now: datetime) -> FixResult:
    booking = offer.booking
    if booking.status in ENDED:
        how = "expire" if booking.status == B.EXPIRED else "cancel"
        transitions.offers_ended([offer], how, by_customer=False, reason=REASON, now=now)
        return FixResult.fixed("Its seats were given back, and the offer ended.")
    if booking.status != B.HELD:
        return _taken(entry, offer, now=now)
    if entry.status == E.OFFERED:
        if offer.expires_at == booking.held_until:
            return FixResult.gone()
        Offer.objects.filter(pk=offer.pk).update(expires_at=booking.held_until)
        return FixResult.fixed("It ends when the hold of its seats does.")
    if entry.status == E.WAITING:
        transitions.move([entry], "offer", now=now)
        return FixResult.fixed("The entry is offered what is held for it.")
    if entry.status == E.ACCEPTED:
        transitions.answer([offer], "accept", now=now)
        return FixResult.fixed("The offer is accepted, as its entry is.")
    transitions.answer([offer], "withdraw", now=now)
    return _give_back(booking, now=now)


def _give_back(booking: Booking, *, now: datetime) -> FixResult:
    recount([booking.slot_id])
    booking_transitions.cancel([booking], now=now, reason=REASON, tell=False)
    return FixResult.fixed("The entry has ended; the offer was withdrawn and its seats given back.")


def _taken(entry: WaitlistEntry, offer: Offer, *, now: datetime) -> FixResult:
    """The booking was ordered although nobody said that the offer was accepted."""
    transitions.answer([offer], "accept", now=now)
    if entry.status == E.WAITING:
        transitions.move([entry], "offer", now=now)
    if entry.status == E.OFFERED:
        transitions.move([entry], "accept", now=now)
    if entry.status == E.ACCEPTED and offer.booking.confirmed_at:
        transitions.move([entry], "fulfil", now=now, reason=REASON)
    return FixResult.fixed("The seats were taken, so the offer is accepted.")


def _fix_accepted(entry: WaitlistEntry, made: list[Offer], *, now: datetime) -> FixResult:
    if any(o.booking.status in (B.HELD, B.PENDING) for o in made):
        return FixResult.gone()
    if not made:
        return FixResult.needs_review("It is accepted, and there was no offer.")
    booking = made[-1].booking
    move = "fulfil" if booking.confirmed_at and booking.status not in ENDED else "close"
    if booking.status == B.EXPIRED:
        move = "run_out"
    transitions.move([entry], move, now=now, reason=REASON)
    return FixResult.fixed(f"Its booking is {booking.get_status_display()}; the entry follows.")


_UNFULFILLED = f"""
    SELECT e.id::text, e.organization_id FROM waitlist_waitlistentry e
    WHERE e.status = '{E.FULFILLED}' AND {mine("e.organization_id")} AND NOT EXISTS (
          SELECT 1 FROM waitlist_offer o JOIN bookings_booking b ON b.id = o.booking_id
          WHERE o.entry_id = e.id AND o.status = '{Of.ACCEPTED}' AND b.confirmed_at IS NOT NULL)
    ORDER BY e.id
"""  # noqa: S608


@check(
    id="waitlist.fulfilled",
    title="Who got seats in line has a booking that was approved",
    help=(
        "Somebody lost their place without getting seats. The timeline of the entry says who"
        " changed it. Ask the customer, and book for them or offer seats by hand."
    ),
)
def fulfilled(scope: Scope) -> Iterator[Problem]:
    for row in rows(_UNFULFILLED, params(scope)):
        yield Problem(
            subject_type="waitlist.waitlistentry",
            subject_id=row["id"],
            message="The entry says that it got seats, and no booking of it was approved.",
            organization_id=row["organization_id"],
        )


_LINKS = f"""
    SELECT * FROM (
        SELECT o.id::text, 'waitlist.offer' AS kind, o.organization_id, array_remove(ARRAY[
            CASE WHEN e.id IS NULL THEN 'its entry is missing'
                 WHEN e.organization_id <> o.organization_id
                 THEN 'its entry is another organisation''s' END,
            CASE WHEN b.id IS NULL THEN 'its booking is missing'
                 WHEN b.organization_id <> o.organization_id
                 THEN 'its booking is another organisation''s'
                 WHEN b.customer_id <> e.customer_id THEN 'its booking is another customer''s'
                 WHEN b.units <> e.units AND o.status = '{Of.OPEN}'
                 THEN 'its booking is for another number of people' END
        ], NULL) AS wrong
        FROM waitlist_offer o
        LEFT JOIN waitlist_waitlistentry e ON e.id = o.entry_id
        LEFT JOIN bookings_booking b ON b.id = o.booking_id
        WHERE {mine("o.organization_id")}
        UNION ALL
        SELECT e.id::text, 'waitlist.waitlistentry', e.organization_id, array_remove(ARRAY[
            CASE WHEN c.id IS NULL THEN 'its customer is missing'
                 WHEN c.organization_id <> e.organization_id
                 THEN 'its customer is another organisation''s' END,
            CASE WHEN r.id IS NULL THEN 'its resource is missing'
                 WHEN r.organization_id <> e.organization_id
                 THEN 'its resource is another organisation''s' END,
            CASE WHEN e.slot_id IS NOT NULL AND s.id IS NULL THEN 'its slot is missing'
                 WHEN s.resource_id <> e.resource_id THEN 'its slot is another resource''s' END
        ], NULL)
        FROM waitlist_waitlistentry e
        LEFT JOIN bookings_customer c ON c.id = e.customer_id
        LEFT JOIN bookings_resource r ON r.id = e.resource_id
        LEFT JOIN bookings_slot s ON s.id = e.slot_id
        WHERE {mine("e.organization_id")}
    ) w WHERE w.wrong <> '{{}}' ORDER BY w.id
"""  # noqa: S608


@check(
    id="waitlist.links",
    title="Entries and offers belong to one customer and one organisation",
    help=(
        "Somebody could accept seats that are held for another person. The trail of the rows says"
        " which was changed: correct that one, or close the entry with a reason."
    ),
    severity="critical",
)
def links(scope: Scope) -> Iterator[Problem]:
    for row in rows(_LINKS, params(scope)):
        yield Problem(
            subject_type=row["kind"],
            subject_id=row["id"],
            message=f"This does not belong together: {', '.join(row['wrong'])}.",
            organization_id=row["organization_id"],
            details={"wrong": row["wrong"]},
        )
