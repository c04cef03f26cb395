"""Moving a booking to another time, at once or by proposal (B6)."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from django.db import transaction

from audit.context import Actor, audited
from audit.errors import Invalid, NotFound
from audit.observability.operations import operation
from bookings import locks, rules, selectors, transitions
from bookings.errors import BookingOver, NoProposal, ResourceTaken
from bookings.lifecycle import BookingStatus
from bookings.models import Booking, Organization, Proposal, Slot
from bookings.services.bookings import check_version

LONGEST_MESSAGE = 500
BEFORE_START = timedelta(hours=1)  # a proposal is answered at the latest so long before
SHORTEST_ANSWER = timedelta(minutes=15)
MOVABLE = (BookingStatus.PENDING, BookingStatus.CONFIRMED)


def reschedule(
    *,
    booking_id: uuid.UUID,
    organization_id: uuid.UUID,
    slot_id: uuid.UUID,
    actor: Actor,
    reason: str = "",
    now: datetime,
    version: int | None = None,
) -> Booking:
    """Move a booking to another slot; the old seats are given back only if the new are got.

    Customers stay with the resource, its notice and horizon, and its deadline; staff do not.
    Money is not looked at: ``payments.services.reschedule`` does, and then calls this.

    Raises:
        BookingOver: it is not pending or confirmed, or has started and the actor is a customer.
        SlotGone, SlotFull, ResourceTaken: see ``bookings.transitions.hold``. Nothing is changed.
        TooLate, TooSoon, TooFarAhead: for customers.
        StaleVersion: somebody changed it since the caller read it.
        NotFound: the organisation has no such booking or slot.
    """
    with (
        operation("booking.reschedule", actor=actor, booking=str(booking_id)) as op,
        transaction.atomic(savepoint=False),
        audited(actor, reason=reason),
    ):
        booking, slot = _lock(booking_id, organization_id, slot_id)
        check_version(booking, version)
        _check_movable(booking)
        check_slot(booking, slot, actor=actor, now=now)
        transitions.move(booking, slot, now=now)
        op.rows = 1
    return booking


def propose(
    *,
    booking_id: uuid.UUID,
    organization_id: uuid.UUID,
    slot_id: uuid.UUID,
    message: str = "",
    actor: Actor,
    now: datetime,
    version: int | None = None,
) -> Proposal:
    """Propose another time for a confirmed booking; both times are held until the answer.

    The customer has the organisation's hours to answer, at most until an hour before the
    earlier of both starts.

    Raises:
        BookingOver: it is not confirmed, or so close that there is no time for an answer.
        SlotGone, SlotFull, ResourceTaken, StaleVersion, NotFound: see :func:`reschedule`.
        Invalid: it is the slot the booking has, or the message is too long.
    """
    if len(message) > LONGEST_MESSAGE:
        raise Invalid(f"A message has at most {LONGEST_MESSAGE} characters.", field="message")
    with (
        operation("booking.propose", actor=actor, booking=str(booking_id)) as op,
        transaction.atomic(savepoint=False),
        audited(actor, reason=message),
    ):
        booking, slot = _lock(booking_id, organization_id, slot_id)
        check_version(booking, version)
        if booking.status != BookingStatus.CONFIRMED:
            raise BookingOver(
                f"Only a confirmed booking gets proposals; this one is {_status(booking)}."
            )
        check_slot(booking, slot, actor=actor, now=now)
        expires_at = _answer_until(booking, slot, now=now)
        try:
            stand_in = transitions.hold(
                slot,
                customer=booking.customer,
                units=booking.units,
                held_until=expires_at,
                now=now,
                stands_for=booking,
            )
        except ResourceTaken as error:
            if not _overlap(booking.slot, slot):
                raise
            raise ResourceTaken(
                "The proposed time overlaps the present one, and both cannot be held."
                " Move the booking instead."
            ) from error
        made = Proposal(
            organization_id=organization_id,
            booking=booking,
            stand_in=stand_in,
            expires_at=expires_at,
            message=message,
            proposed_by=actor.label[:200],
            created_at=now,
        )
        transitions.propose(booking, stand_in, made, now=now)
        op.rows = 3
    return made


def accept(
    *,
    booking_id: uuid.UUID,
    organization_id: uuid.UUID,
    actor: Actor,
    now: datetime,
    version: int | None = None,
) -> Booking:
    """Accept the proposed time: the booking moves there, at the price it has.

    Raises:
        NoProposal: there is none, or the time to answer has run out.
        StaleVersion: somebody changed the booking since the caller read it.
    """
    with (
        operation("proposal.accept", actor=actor, booking=str(booking_id)) as op,
        transaction.atomic(savepoint=False),
        audited(actor, reason="proposal accepted"),
    ):
        booking, proposal, stand_in = _lock_proposal(booking_id, organization_id)
        check_version(booking, version)
        if proposal.expires_at <= now:
            raise NoProposal("The time to answer has run out; the booking stays as it was.")
        target = stand_in.slot
        transitions.settle([booking], "accept", now=now)
        transitions.cancel([stand_in], now=now, reason="Proposal accepted.", tell=False)
        target.refresh_from_db(fields=["taken_bookings", "taken_units", "picked"])
        transitions.move(booking, target, now=now)
        op.rows = 3
    return booking


def decline(
    *,
    booking_id: uuid.UUID,
    organization_id: uuid.UUID,
    actor: Actor,
    reason: str = "",
    now: datetime,
    version: int | None = None,
) -> Booking:
    """Decline the proposed time: the booking stays where it is.

    Raises:
        NoProposal, StaleVersion: see :func:`accept`.
    """
    return _give_up("decline", booking_id, organization_id, actor, reason, now, version)


def withdraw(
    *,
    booking_id: uuid.UUID,
    organization_id: uuid.UUID,
    actor: Actor,
    reason: str = "",
    now: datetime,
    version: int | None = None,
) -> Booking:
    """Take a proposal back; its customer is told.

    Raises:
        NoProposal, StaleVersion: see :func:`accept`.
    """
    return _give_up("withdraw", booking_id, organization_id, actor, reason, now, version)


def check_slot(booking: Booking, slot: Slot, *, actor: Actor, now: datetime) -> None:
    """Whether an actor may move a booking to a slot, seats and money apart.

    Raises:
        Invalid, BookingOver, TooLate, TooSoon, TooFarAhead: see :func:`reschedule`.
    """
    if slot.pk == booking.slot_id:
        raise Invalid("The booking is in this slot already.", field="slot")
    if actor.kind != "customer":
        return
    if booking.slot.starts_at <= now:
        raise BookingOver("This booking has started; ask the staff.")
    if slot.resource_id != booking.slot.resource_id:
        raise Invalid("Choose another time of the same; ask the staff for more.", field="slot")
    rules.check_reschedule(booking, now=now)
    rules.check_time(slot.resource, slot.starts_at, now=now)


def _lock(
    booking_id: uuid.UUID, organization_id: uuid.UUID, slot_id: uuid.UUID
) -> tuple[Booking, Slot]:
    booking = locks.slot_and_booking(booking_id, organization_id=organization_id, also=[slot_id])
    if booking.stands_for_id:
        raise NotFound("There is no such booking.")
    slot = locks.slot(slot_id, organization_id=organization_id)
    booking.slot = locks.slot(booking.slot_id, organization_id=organization_id)
    return booking, slot


def _lock_proposal(
    booking_id: uuid.UUID, organization_id: uuid.UUID
) -> tuple[Booking, Proposal, Booking]:
    booking = locks.slot_and_booking(booking_id, organization_id=organization_id)
    proposal = selectors.open_proposal(booking)
    if proposal is None:
        raise NoProposal("No other time is proposed for this booking, or not any more.")
    (stand_in,) = locks.stand_ins([booking])
    return booking, proposal, stand_in


def _give_up(
    move: str,
    booking_id: uuid.UUID,
    organization_id: uuid.UUID,
    actor: Actor,
    reason: str,
    now: datetime,
    version: int | None,
) -> Booking:
    if len(reason) > LONGEST_MESSAGE:
        raise Invalid(f"A reason has at most {LONGEST_MESSAGE} characters.", field="reason")
    with (
        operation(f"proposal.{move}", actor=actor, booking=str(booking_id)) as op,
        transaction.atomic(savepoint=False),
        audited(actor, reason=reason or f"proposal: {move}"),
    ):
        booking, proposal, stand_in = _lock_proposal(booking_id, organization_id)
        check_version(booking, version)
        transitions.settle([booking], move, now=now)
        transitions.cancel([stand_in], now=now, reason=reason or "Proposal over.", tell=False)
        transitions.tell_proposal_over(booking, stand_in.slot, move, reason=reason)
        op.rows = 3
        op.note(proposal=str(proposal.pk))
    return booking


def _check_movable(booking: Booking) -> None:
    if booking.status in MOVABLE:
        return
    if booking.status == BookingStatus.HELD:
        raise BookingOver("It is still in the cart: remove it and add the other time.")
    if booking.status == BookingStatus.RESCHEDULE_PROPOSED:
        raise BookingOver("Another time is proposed already: accept or decline it first.")
    raise BookingOver(f"This booking is {_status(booking)} already.")


def _answer_until(booking: Booking, slot: Slot, *, now: datetime) -> datetime:
    hours = Organization.objects.values_list("proposal_hours", flat=True).get(
        pk=booking.organization_id
    )
    first = min(booking.slot.starts_at, slot.starts_at)
    until = min(now + timedelta(hours=hours), first - BEFORE_START)
    if until < now + SHORTEST_ANSWER:
        raise BookingOver("It starts too soon to wait for an answer: call, and move it yourself.")
    return until


def _overlap(one: Slot, other: Slot) -> bool:
    return one.busy_from < other.busy_until and other.busy_from < one.busy_until


def _status(booking: Booking) -> str:
    return str(booking.get_status_display())
