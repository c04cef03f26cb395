"""Getting in line: for one slot, or for any time of a resource."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from audit import outbox
from audit.context import Actor, audited
from audit.errors import Invalid, NotFound
from audit.observability.operations import operation
from audit.sql import insert
from bookings import claiming, rules
from bookings import locks as booking_locks
from bookings import selectors as booking_selectors
from bookings.errors import SlotGone
from bookings.models import Customer, Organization, Resource, Slot
from waitlist import locks, notices, planning, selectors
from waitlist.errors import AlreadyWaiting, NoWaitlist, SeatsAvailable, TooManyEntries
from waitlist.lifecycle import IN_LINE
from waitlist.models import WaitlistEntry
from waitlist.selectors import SHORTEST_OFFER
from waitlist.services.serving import answer_until

MOST_UNITS = 10_000
MOST_ENTRIES = 50  # of one customer of an organisation at a time
LONGEST_WINDOW = timedelta(days=92)


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
        AlreadyWaiting: in this line already, or in one for some of the same seats.
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
        _check_not_in_line(entry)
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


def _check_not_in_line(entry: WaitlistEntry) -> None:
    """Nobody is twice in line for the same seats, and so none gets more of them than one place."""
    mine = list(
        WaitlistEntry.objects.filter(customer=entry.customer, status__in=IN_LINE)
        .select_related("slot")
        .order_by()
    )
    slots = {e.slot.pk: e.slot for e in (entry, *mine) if e.slot is not None}
    for other in mine:
        if not planning.rivals(entry, other, slots=slots):
            continue
        if _target(other) == _target(entry):
            raise AlreadyWaiting(
                "Leave the line first if you want to wait with more or fewer people."
            )
        raise AlreadyWaiting("You wait for some of this time already: leave that line first.")
    if len(mine) >= MOST_ENTRIES:
        raise TooManyEntries(f"One customer is in {MOST_ENTRIES} lines at most; leave one first.")


def _target(entry: WaitlistEntry) -> tuple[object, ...]:
    return entry.slot_id, entry.from_at, entry.until_at
