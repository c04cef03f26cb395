"""Places in line: leaving, declining, and what staff close."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import Q

from audit import outbox
from audit.context import Actor, audited
from audit.errors import Forbidden, Invalid, NotFound
from audit.languages import our_reason
from audit.observability.operations import operation
from bookings import transitions as booking_transitions
from bookings.lifecycle import BookingStatus
from bookings.models import Booking
from waitlist import locks, notices, selectors, transitions
from waitlist.errors import (
    NoLongerWaiting,
    NoOffer,
)
from waitlist.lifecycle import GOING_ON, IN_LINE, OfferStatus
from waitlist.models import Offer, WaitlistEntry

LONGEST_REASON = 500
LEFT = "left the line"


def lock_entry(
    entry_id: uuid.UUID, *, organization_id: uuid.UUID, line_of: uuid.UUID | None = None
) -> tuple[WaitlistEntry, Offer | None]:
    """Lock an entry, and before it the slots it has to do with and the booking of its open offer.

    Args:
        line_of: a resource; everybody in line for something of it is locked with the entry.

    Returns:
        The entry, and its open offer with its booking, slot and resource.

    Raises:
        NotFound: the organisation has no such entry.
    """
    found = lock_entries([entry_id], organization_id=organization_id, line_of=line_of)
    if not found:
        raise NotFound("There is no such entry in the waitlist.")
    return found[0]


def lock_entries(
    ids: Collection[uuid.UUID], *, organization_id: uuid.UUID, line_of: uuid.UUID | None = None
) -> list[tuple[WaitlistEntry, Offer | None]]:
    """Lock entries of an organisation with what :func:`lock_entry` locks of one, each kind in
    one statement; those it has not are left out."""
    chosen = Q(pk__in=set(ids))
    if line_of is not None:
        chosen |= Q(resource=line_of, status__in=GOING_ON)
    while True:  # until nobody offered anything while we waited
        point = transaction.savepoint()
        slots, bookings = locks.slots_and_bookings_of_entries(ids, organization_id=organization_id)
        entries = locks.entries_where(chosen & Q(organization_id=organization_id))
        entries = [e for e in entries if e.pk in set(ids)]
        offers = {o.entry_id: o for o in _open_offers([e.pk for e in entries])}
        if all(
            o.booking_id in bookings and bookings[o.booking_id].slot_id in slots
            for o in offers.values()
        ):
            break
        # Let go of the entries: whoever holds the slots that we want now may be waiting for them.
        transaction.savepoint_rollback(point)
    by_id = {e.pk: e for e in entries}
    for pk, offer in offers.items():
        offer.entry, offer.booking = by_id[pk], bookings[offer.booking_id]
    return [(e, offers.get(e.pk)) for e in entries]


def _open_offers(entry_ids: Collection[uuid.UUID]) -> list[Offer]:
    return list(Offer.objects.filter(entry__in=entry_ids, status=OfferStatus.OPEN).order_by())


def check_open(offer: Offer | None, *, now: datetime) -> Offer:
    """The offer, if it can still be answered.

    Raises:
        NoOffer: there is none, or it has run out.
    """
    if offer is None:
        raise NoOffer("Nothing is offered, or not any more.")
    if offer.booking.status != BookingStatus.HELD or offer.expires_at <= now:
        raise NoOffer("The time to answer has run out; the seats went to the next in line.")
    return offer


def leave(
    *, entry_id: uuid.UUID, organization_id: uuid.UUID, actor: Actor, now: datetime
) -> WaitlistEntry:
    """Leave the line; what was offered goes to the next.

    Raises:
        NoLongerWaiting: it is not in line any more.
        NotFound: the organisation has no such entry.
    """
    return _end(entry_id, organization_id, "leave", actor=actor, reason=LEFT, now=now, tell=False)


def decline(
    *,
    entry_id: uuid.UUID,
    organization_id: uuid.UUID,
    reason: str = "",
    actor: Actor,
    now: datetime,
) -> WaitlistEntry:
    """Decline an offer, also for who calls; the seats go to the next in line at once.

    Raises:
        NoOffer: there is none, or not any more.
        Forbidden: staff decline for somebody, and are in this line as well.
        NotFound: the organisation has no such entry.
    """
    return _end(
        entry_id, organization_id, "decline", actor=actor, reason=reason, now=now, tell=False
    )


def close(
    *, entry_id: uuid.UUID, organization_id: uuid.UUID, reason: str, actor: Actor, now: datetime
) -> WaitlistEntry:
    """Staff take somebody out of the line; the customer reads why.

    Raises:
        NoLongerWaiting: it is not in line any more.
        Invalid: no reason.
        Forbidden: the actor is in this line as well.
        NotFound: the organisation has no such entry.
    """
    check_reason(reason)
    return _end(entry_id, organization_id, "close", actor=actor, reason=reason, now=now, tell=True)


def close_many(
    *,
    entry_ids: Collection[uuid.UUID],
    organization_id: uuid.UUID,
    reason: str,
    actor: Actor,
    now: datetime,
) -> list[WaitlistEntry]:
    """Staff take several out of their lines at once; each customer reads why.

    Returns:
        Those that were closed; who is not in line any more, or is another organisation's, is
        passed over.

    Raises:
        Invalid: no reason.
        Forbidden: the actor is in line for the same as one of them; nobody is closed.
    """
    check_reason(reason)
    with (
        operation("waitlist.close_many", actor=actor, entries=len(entry_ids)) as op,
        transaction.atomic(savepoint=False),
        audited(actor, reason=reason),
    ):
        found = lock_entries(entry_ids, organization_id=organization_id)
        found = [(e, o) for e, o in found if e.status in IN_LINE]
        entries = [e for e, _ in found]
        check_no_rival(entries, actor)
        offers = [o for _, o in found if o is not None]
        transitions.answer(offers, "withdraw", now=now)
        transitions.end(entries, "close", now=now, reason=reason)
        _let_go([o.booking for o in offers], reason=reason, now=now)
        op.rows = len(entries)
    return entries


def check_reason(reason: str, *, words: str = "Say why: the customer will read it.") -> None:
    if not reason.strip():
        raise Invalid(words, field="reason")
    if len(reason) > LONGEST_REASON:
        raise Invalid(f"A reason has at most {LONGEST_REASON} characters.", field="reason")


def _end(
    entry_id: uuid.UUID,
    organization_id: uuid.UUID,
    move: str,
    *,
    actor: Actor,
    reason: str,
    now: datetime,
    tell: bool,
) -> WaitlistEntry:
    if len(reason) > LONGEST_REASON:
        raise Invalid(f"A reason has at most {LONGEST_REASON} characters.", field="reason")
    with (
        operation(f"waitlist.{move}", actor=actor, entry=str(entry_id)) as op,
        transaction.atomic(savepoint=False),
        audited(actor, reason=reason),
    ):
        entry, offer = lock_entry(entry_id, organization_id=organization_id)
        if move == "decline":
            check_open(offer, now=now)
        elif entry.status not in IN_LINE:
            raise NoLongerWaiting(f"This place in line: {entry.get_status_display()}.")
        check_no_rival([entry], actor)
        if offer is not None:
            transitions.answer([offer], "withdraw" if tell else "decline", now=now)
        transitions.end([entry], move, now=now, reason=reason, tell=tell)
        outbox.emit_many(notices.about(EVENTS[move], [entry], reason=reason) if not tell else [])
        if offer is not None:
            _let_go(
                [offer.booking], reason=reason or our_reason("The offer was declined."), now=now
            )
        op.rows = 1
    return entry


EVENTS = {"leave": "waitlist.left", "decline": "waitlist.declined"}


def _let_go(bookings: Sequence[Booking], *, reason: str, now: datetime) -> None:
    held = [b for b in bookings if b.status == BookingStatus.HELD]
    if held:
        booking_transitions.cancel(held, now=now, reason=reason, tell=False)


def check_not_own(entry: WaitlistEntry, actor: Actor) -> None:
    """Raise Forbidden if staff would decide on their own place or offer."""
    if actor.is_user(entry.customer.user_id):
        raise Forbidden("Ask a colleague: nobody changes the line for themselves.")


def check_no_rival(entries: Sequence[WaitlistEntry], actor: Actor) -> None:
    """Raise Forbidden if staff would change a line, of locked entries, in which they wait
    themselves: who goes, or gets another place, decides on theirs."""
    if actor.kind != "staff" or actor.id is None or not entries:
        return
    for entry in entries:
        check_not_own(entry, actor)
    if selectors.own_rivals(entries, actor.id):
        raise Forbidden("Ask a colleague: you are in this line yourself.")
