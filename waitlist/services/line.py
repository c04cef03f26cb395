"""Joining a line, leaving it, and what staff do with it."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q

from audit import outbox
from audit.context import Actor, audited
from audit.errors import Forbidden, Invalid, NotFound
from audit.languages import our_reason
from audit.observability.operations import operation
from audit.sql import insert
from bookings import claiming, holding, rules
from bookings import locks as booking_locks
from bookings import selectors as booking_selectors
from bookings import transitions as booking_transitions
from bookings.errors import SlotGone
from bookings.lifecycle import BookingStatus
from bookings.models import Booking, Customer, Organization, Resource, Slot
from waitlist import locks, notices, planning, selectors, transitions
from waitlist.errors import (
    AlreadyWaiting,
    NoLongerWaiting,
    NoOffer,
    NoWaitlist,
    SeatsAvailable,
    TooManyEntries,
)
from waitlist.lifecycle import IN_LINE, EntryStatus, OfferStatus
from waitlist.models import Offer, WaitlistEntry
from waitlist.services.serving import SHORTEST_OFFER, answer_until

MOST_UNITS = 10_000
MOST_ENTRIES = 50  # of one customer of an organisation at a time
LONGEST_REASON = 500
LONGEST_WINDOW = timedelta(days=92)
LEFT = "left the line"


@dataclass(frozen=True, slots=True)
class Window:
    """Any slot of a resource that lies between two moments."""

    resource_id: uuid.UUID
    from_at: datetime
    until_at: datetime


def join(
    *,
    organization: Organization,
    customer: Customer,
    wanted: uuid.UUID | Window,
    units: int,
    actor: Actor,
    now: datetime,
) -> WaitlistEntry:
    """Get in line for a full slot, or for any slot of a resource in a time in which all are full.

    Args:
        wanted: a slot, or a window of at most 92 days.

    Raises:
        SeatsAvailable: there is room; ``slot`` says where.
        NoWaitlist: the resource has none, or nothing is offered so shortly before the start.
        SlotGone: closed, legacy or started.
        AlreadyWaiting: in this line already.
        TooManyEntries: in 50 lines already.
        TooSoon, TooFarAhead: nothing of it is in the time in which customers may book.
        TooManyNoShows: the customer did not come too often, and nobody of the staff asks.
        Invalid: more people than would ever fit, or a window that makes no sense.
        NotFound: the organisation has no such slot or resource.
    """
    if not 1 <= units <= MOST_UNITS:
        raise Invalid(f"Between 1 and {MOST_UNITS} people can wait.", field="units")
    with (
        operation("waitlist.join", actor=actor, customer=str(customer.pk)) as op,
        transaction.atomic(savepoint=False),
        audited(actor, reason="joined the waitlist"),
    ):
        resource, slots = _lock_wanted(organization, wanted, now=now)
        if isinstance(wanted, Window):
            locks.resource_of_window(resource)
        booking_locks.customer(customer.pk)  # one line after the other
        if actor.kind == "customer":
            rules.check_no_shows(customer, now=now)
        _check_slots(organization, resource, slots, units, now=now)
        _check_not_in_line(customer, wanted)
        entry = WaitlistEntry(
            organization=organization,
            customer=customer,
            resource=resource,
            units=units,
            joined_at=now,
            placed_at=now,
        )
        if isinstance(wanted, Window):
            entry.from_at, entry.until_at = wanted.from_at, wanted.until_at
        else:
            entry.slot = slots[0]
        insert(entry)
        selectors.load_positions([entry], now=now)
        outbox.emit_many(notices.to_customers("waitlist.joined", [entry], position=entry.position))
        op.rows = 1
    return entry


def _lock_wanted(
    organization: Organization, wanted: uuid.UUID | Window, *, now: datetime
) -> tuple[Resource, list[Slot]]:
    if not isinstance(wanted, Window):
        slot = booking_locks.slot(wanted, organization_id=organization.pk)
        claiming.check_bookable(slot, now=now)
        return slot.resource, [slot]
    if not wanted.from_at < wanted.until_at:
        raise Invalid("A time ends after it begins.", field="until")
    if wanted.until_at - wanted.from_at > LONGEST_WINDOW:
        raise Invalid(f"Wait for at most {LONGEST_WINDOW.days} days at once.", field="until")
    if wanted.until_at <= now:
        raise SlotGone("This time is over.")
    resource = booking_selectors.resources(organization.pk).filter(pk=wanted.resource_id).first()
    if resource is None:
        raise NotFound("There is no such resource.")
    slots = locks.slots_in_window(resource, max(now, wanted.from_at), wanted.until_at)
    if len(slots) > locks.MOST_SLOTS:
        raise Invalid("These are too many slots to wait for at once.", field="until")
    return resource, slots


def _check_slots(
    organization: Organization,
    resource: Resource,
    slots: Sequence[Slot],
    units: int,
    *,
    now: datetime,
) -> None:
    policy = selectors.policy_of(organization)
    if not resource.takes_waitlist or not all(claiming.takes_line(s) for s in slots):
        raise NoWaitlist(f"{resource.name} has no waitlist.")
    in_time = [s for s in slots if answer_until(s, policy, now=now) >= now + SHORTEST_OFFER]
    if not in_time:
        raise NoWaitlist(
            "Nothing is offered then."
            if not slots
            else f"Seats are offered until {rules.words(timedelta(minutes=policy.offer_until_minutes))}"
            " before the start; it is too late to wait for this."
        )
    if units > max(s.max_units for s in in_time):
        raise Invalid(f"At most {max(s.max_units for s in in_time)} people fit in.", field="units")
    bookable = [s for s in in_time if rules.may_be_booked(s, now=now)]
    if not bookable:
        rules.check_time(resource, in_time[0].starts_at, now=now)
    left = booking_selectors.availability(bookable, now=now)
    for slot in bookable:
        if left[slot.pk].bookings >= 1 and left[slot.pk].units >= units:
            raise SeatsAvailable(
                "There is room: book it instead of waiting for it.", slot=str(slot.pk)
            )


def _check_not_in_line(customer: Customer, wanted: uuid.UUID | Window) -> None:
    mine = list(
        WaitlistEntry.objects.filter(customer=customer, status__in=IN_LINE).values_list(
            "slot_id", "resource_id", "from_at", "until_at"
        )
    )
    same = (
        (None, wanted.resource_id, wanted.from_at, wanted.until_at)
        if isinstance(wanted, Window)
        else wanted
    )
    if any(row == same or row[0] == same for row in mine):
        raise AlreadyWaiting("Leave the line first if you want to wait with more or fewer people.")
    if len(mine) >= MOST_ENTRIES:
        raise TooManyEntries(f"One customer is in {MOST_ENTRIES} lines at most; leave one first.")


def lock_entry(
    entry_id: uuid.UUID, *, organization_id: uuid.UUID
) -> tuple[WaitlistEntry, Offer | None]:
    """Lock an entry, and before it the slots it has to do with and the booking of its open offer.

    Returns:
        The entry, and its open offer with its booking, slot and resource.

    Raises:
        NotFound: the organisation has no such entry.
    """
    found = lock_entries([entry_id], organization_id=organization_id)
    if not found:
        raise NotFound("There is no such entry in the waitlist.")
    return found[0]


def lock_entries(
    ids: Collection[uuid.UUID], *, organization_id: uuid.UUID
) -> list[tuple[WaitlistEntry, Offer | None]]:
    """Lock entries of an organisation with what :func:`lock_entry` locks of one, each kind in
    one statement; those it has not are left out."""
    while True:  # until nobody offered anything while we waited
        point = transaction.savepoint()
        slots, bookings = locks.slots_and_bookings_of_entries(ids, organization_id=organization_id)
        entries = locks.entries_where(Q(pk__in=set(ids), organization_id=organization_id))
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


def place(
    *,
    entry_id: uuid.UUID,
    organization_id: uuid.UUID,
    position: int,
    reason: str,
    actor: Actor,
    now: datetime,
) -> WaitlistEntry:
    """Staff give somebody another place among those who wait for the same.

    Args:
        position: counted from 1, as ``selectors.load_positions`` counts; beyond the end is the
            end.

    Raises:
        NoLongerWaiting: it does not wait.
        Invalid: no reason, or no such position.
        Forbidden: it is the actor's own place, or one before or behind it.
        NotFound: the organisation has no such entry.
    """
    check_reason(reason, words="Say why: it stays in the history.")
    if position < 1:
        raise Invalid("The first place is 1.", field="position")
    with (
        operation("waitlist.place", actor=actor, entry=str(entry_id)) as op,
        transaction.atomic(savepoint=False),
        audited(actor, reason=reason),
    ):
        entry, _ = lock_entry(entry_id, organization_id=organization_id)
        check_no_rival([entry], actor)
        if entry.status != EntryStatus.WAITING:
            raise NoLongerWaiting(f"This place in line: {entry.get_status_display()}.")
        same = (
            selectors.same_line(entry, now=now)
            .filter(status=EntryStatus.WAITING)
            .exclude(pk=entry.pk)
        )
        others = list(same.values_list("placed_at", flat=True))
        if others:
            entry.placed_at = _between(others, position)
            WaitlistEntry.objects.filter(pk=entry.pk).update(placed_at=entry.placed_at)
            entry.version += 1
        op.rows = 1
    return entry


def _between(others: Sequence[datetime], position: int) -> datetime:
    before = others[: position - 1]
    after = others[position - 1 :]
    if not before:
        return after[0] - timedelta(seconds=1)
    if not after:
        return before[-1] + timedelta(microseconds=1)
    return before[-1] + (after[0] - before[-1]) / 2


def offer_by_hand(
    *,
    entry_id: uuid.UUID,
    organization_id: uuid.UUID,
    slot_id: uuid.UUID | None = None,
    reason: str,
    actor: Actor,
    now: datetime,
) -> Offer:
    """Staff offer seats to somebody out of turn, as far as there are any.

    Args:
        slot_id: in which slot, for somebody who waits for any time.

    Raises:
        NoLongerWaiting: it does not wait.
        SlotFull, SlotGone, ResourceTaken: see ``bookings.holding.hold``.
        NoWaitlist: so shortly before the start that nobody could answer.
        Invalid: no reason, or a slot it does not wait for.
        Forbidden: it is the actor's own place, or one before or behind it.
        NotFound: the organisation has no such entry or slot.
    """
    check_reason(reason, words="Say why: it stays in the history.")
    with (
        operation("waitlist.offer_by_hand", actor=actor, entry=str(entry_id)) as op,
        transaction.atomic(savepoint=False),
        audited(actor, reason=reason),
    ):
        target = _slot_of(entry_id, organization_id, wish=slot_id)
        slot = booking_locks.slot(target, organization_id=organization_id)
        until = _until(slot, now=now)
        claiming.check_bookable(slot, now=now)
        units = WaitlistEntry.objects.values_list("units", flat=True).get(pk=entry_id)
        claiming.check_seats(slot, units, now=now)
        claiming.claim(slot, now=now)
        entry = locks.entry(entry_id, organization_id=organization_id)
        check_no_rival([entry], actor)
        if entry.status != EntryStatus.WAITING:
            raise NoLongerWaiting(f"This place in line: {entry.get_status_display()}.")
        if not planning.is_for(entry, slot):
            raise Invalid("This is not what they wait for.", field="slot")
        (booking,) = holding.hold_for([(slot, entry.customer, entry.units, until)], now=now)
        (offer,) = transitions.offer(
            [(entry, booking)], by_hand=True, offered_by=actor.label, now=now
        )
        op.rows = 3
    return offer


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


def _slot_of(
    entry_id: uuid.UUID, organization_id: uuid.UUID, *, wish: uuid.UUID | None
) -> uuid.UUID:
    row = WaitlistEntry.objects.filter(pk=entry_id, organization=organization_id).first()
    if row is None:
        raise NotFound("There is no such entry in the waitlist.")
    found = wish or row.slot_id
    if found is None:
        raise Invalid("Say in which slot.", field="slot")
    return found


def _until(slot: Slot, *, now: datetime) -> datetime:
    policy = selectors.policies_of([slot.organization_id])[slot.organization_id]
    until = answer_until(slot, policy, now=now)
    if until < now + SHORTEST_OFFER:
        raise NoWaitlist("It starts too soon to wait for an answer; book it for them instead.")
    return until
