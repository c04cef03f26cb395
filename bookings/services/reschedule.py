"""Moving a booking to another time, at once or by proposal (B6)."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q

from audit.context import Actor, audited
from audit.errors import Forbidden, Invalid, NotFound
from audit.languages import our_reason
from audit.observability.operations import operation
from bookings import claiming, holding, locks, rules, transitions
from bookings.errors import BookingOver, NoProposal, ProposalOpen, ResourceTaken, TooLate
from bookings.lifecycle import PROPOSAL, BookingStatus
from bookings.models import Booking, Organization, Proposal, Slot
from bookings.services import free_times, moving
from bookings.services.bookings import check_version
from bookings.services.free_times import FreeTime

LONGEST_MESSAGE = 500
LONGEST_REASON = 1_000
BEFORE_START = timedelta(hours=1)  # a proposal is answered at the latest so long before
SHORTEST_ANSWER = timedelta(minutes=15)
MOVABLE = (BookingStatus.PENDING, BookingStatus.CONFIRMED)
RAN_OUT = our_reason("The time to answer ran out.")
BY_PHONE = "answered by phone"


@dataclass(frozen=True, slots=True)
class Terms:
    """What stays as it was agreed when a booking moves: in words, and for the message."""

    words: str = ""
    said: Mapping[str, Any] = field(default_factory=dict)


def reschedule(
    *,
    booking_id: uuid.UUID,
    organization_id: uuid.UUID,
    slot_id: uuid.UUID | FreeTime,
    actor: Actor,
    reason: str = "",
    now: datetime,
    version: int | None = None,
) -> Booking:
    """Move a booking to another slot; the old seats are given back only if the new are got.

    Customers stay with the resource, its notice and horizon, and its deadline; staff do not.
    Money is not looked at: where it may differ, ``payments.services.reschedule`` is the way in.

    Args:
        slot_id: a slot, or the free time for which one is made.

    Raises:
        BookingOver: it is not pending or confirmed, or has started and the actor is a customer.
        ProposalOpen: another time is proposed, and nobody has answered yet.
        NotOffered: a free time that is not offered; see ``bookings.services.free_times``.
        SlotGone, SlotFull, ResourceTaken: see ``bookings.holding.hold``. Nothing is changed.
        TooLate, TooSoon, TooFarAhead: for customers.
        Invalid: it is the slot the booking has, another resource's and the actor is a customer,
            or the reason is too long.
        StaleVersion: somebody changed it since the caller read it.
        NotFound: the organisation has no such booking or slot.
    """
    check_reason(reason)
    with (
        operation("booking.reschedule", actor=actor, booking=str(booking_id)) as op,
        transaction.atomic(savepoint=False),
        audited(actor, reason=reason),
    ):
        booking, slot = take(
            booking_id, organization_id, slot_id, actor=actor, now=now, version=version
        )
        holding.move(
            booking, slot, now=now, by_customer=is_customers_wish(booking, actor), reason=reason
        )
        op.rows = 1
    return booking


def take(
    booking_id: uuid.UUID,
    organization_id: uuid.UUID,
    slot_id: uuid.UUID | FreeTime,
    *,
    actor: Actor,
    now: datetime,
    version: int | None,
    together: Q | None = None,
) -> tuple[Booking, Slot]:
    """Lock a booking and the slot it is to move to, and check all but seats and money.

    A proposal that nobody answered in time does not stand in the way: it ends here.

    Args:
        together: bookings to lock with this one.

    Raises:
        BookingOver, ProposalOpen, NotOffered, SlotGone, TooLate, TooSoon, TooFarAhead, Invalid,
            StaleVersion, NotFound: see :func:`reschedule`.
    """
    booking, slot = _lock(
        booking_id, organization_id, slot_id, now=now, version=version, together=together
    )
    _check_movable(booking)
    check_slot(booking, slot, actor=actor, now=now)
    return booking, slot


def propose(
    *,
    booking_id: uuid.UUID,
    organization_id: uuid.UUID,
    slot_id: uuid.UUID | FreeTime,
    message: str = "",
    actor: Actor,
    now: datetime,
    expires_at: datetime | None = None,
    version: int | None = None,
    provider_id: uuid.UUID | None = None,
    agree: Callable[[Booking, Slot], Terms] | None = None,
) -> Proposal:
    """Propose another time for a confirmed booking; both times are held until the answer.

    Args:
        slot_id: a slot, or the free time for which one is made.
        expires_at: until when the customer may answer, between 15 minutes from now and an hour
            before the earlier of both starts; None is the organisation's hours, or that hour.
        provider_id: whose resources the booking and the slot must be of; None means any.
        agree: asked by an app above with both locked: what stays as it was agreed, or it raises.
            Where prices may differ, ``payments.services.reschedule.propose`` is the way in.

    Returns:
        The proposal, with its booking and its stand-in.

    Raises:
        BookingOver: it is not confirmed.
        ProposalOpen: another time is proposed already.
        TooLate: one of both times is so near that there is none left to answer.
        NotOffered, SlotGone, SlotFull, ResourceTaken, StaleVersion, NotFound: see
            :func:`reschedule`. Two times of one resource that overlap cannot both be held: staff
            move such a booking.
        Invalid: it is the slot the booking has, the message is too long, or ``expires_at`` is
            not possible.
        Forbidden: the actor is a customer, or proposes to themselves, or the slot is another
            provider's.
    """
    if len(message) > LONGEST_MESSAGE:
        raise Invalid(f"A message has at most {LONGEST_MESSAGE} characters.", field="message")
    if actor.kind == "customer":
        raise Forbidden("Staff propose another time; move the booking yourself instead.")
    with (
        operation("booking.propose", actor=actor, booking=str(booking_id)) as op,
        transaction.atomic(savepoint=False),
        audited(actor, reason=message),
    ):
        booking, slot = _lock(booking_id, organization_id, slot_id, now=now, version=version)
        _check_provider(booking, slot, provider_id)
        if actor.is_user(booking.customer.user_id):  # or a yes would be the house's doing
            raise Forbidden("This booking is your own: move it, or ask a colleague.")
        if booking.status == BookingStatus.RESCHEDULE_PROPOSED:
            raise ProposalOpen(
                "Another time is proposed already. Wait for the answer, or take that proposal back"
                " and propose this one."
            )
        if booking.status != BookingStatus.CONFIRMED:
            raise BookingOver(
                f"Only a confirmed booking gets proposals; this one is {_status(booking)}."
            )
        check_slot(booking, slot, actor=actor, now=now)
        claiming.check_bookable(slot, now=now)
        if _cannot_be_in_both(booking.slot, slot):
            raise ResourceTaken(
                "The proposed time overlaps the present one, and both cannot be held. Move the"
                " booking instead."
            )
        until = _answer_until(booking, slot, wish=expires_at, now=now)
        terms = agree(booking, slot) if agree else Terms()
        stand_in = holding.hold(
            slot,
            customer=booking.customer,
            units=booking.units,
            held_until=until,
            now=now,
            stands_for=booking,
        )
        made = Proposal(
            organization_id=organization_id,
            booking=booking,
            stand_in=stand_in,
            expires_at=until,
            message=message,
            terms=terms.words[:200],
            proposed_by=actor.label[:200],
            created_at=now,
        )
        transitions.propose(booking, stand_in, made, now=now, **terms.said)
        op.rows = 3
    return made


def accept(
    *,
    booking_id: uuid.UUID,
    organization_id: uuid.UUID,
    actor: Actor,
    reason: str = "",
    now: datetime,
    version: int | None = None,
) -> Booking:
    """Accept the proposed time: the booking moves there, at the price it has.

    Where that time costs something else by now, the trail and the message say that it stays.
    Staff do so for a customer who said so to them; the trail names the staff member.

    Args:
        reason: what the trail says besides; :func:`by_phone` for staff.

    Raises:
        NoProposal: there is none, or the time to answer has run out.
        SlotGone: the proposed time is not offered any more; one that was only closed is kept.
        StaleVersion: somebody changed the booking since the caller read it.
        Invalid: the reason is too long.
        Forbidden: staff answer for themselves; as customers they may.
        NotFound: the organisation has no such booking.
    """
    check_reason(reason)
    with (
        operation("proposal.accept", actor=actor, booking=str(booking_id)) as op,
        transaction.atomic(savepoint=False),
        audited(actor),
    ):
        booking, stand_in = _lock_proposal(booking_id, organization_id, now=now, version=version)
        _check_not_own(booking, actor)
        said = moving.what_is_said([(booking, stand_in.slot)]).get(booking.pk, {})
        why = f"proposal accepted, {reason}" if reason else "proposal accepted"
        with audited(actor, reason=f"{why} ({moving.PRICES_STAY})" if said else why):
            holding.accept(booking, stand_in, now=now, **said)
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
    """Decline the proposed time: the booking stays where it is, and the organisation is told.

    Raises:
        NoProposal, StaleVersion, Invalid, Forbidden, NotFound: see :func:`accept`.
    """
    return _give_up(
        "decline", booking_id, organization_id, actor=actor, reason=reason, now=now, version=version
    )


def withdraw(
    *,
    booking_id: uuid.UUID,
    organization_id: uuid.UUID,
    actor: Actor,
    reason: str = "",
    now: datetime,
    version: int | None = None,
    provider_id: uuid.UUID | None = None,
) -> Booking:
    """Take a proposal back; its customer is told.

    Args:
        provider_id: whose resource the booking must be of; None means any.

    Raises:
        NoProposal, StaleVersion, NotFound: see :func:`accept`.
        Forbidden: the actor is a customer.
    """
    if actor.kind == "customer":
        raise Forbidden("Decline the proposal instead.")
    return _give_up(
        "withdraw",
        booking_id,
        organization_id,
        actor=actor,
        reason=reason,
        now=now,
        version=version,
        provider_id=provider_id,
    )


def by_phone(note: str = "") -> str:
    """What the trail says of an answer that the customer gave to the staff."""
    return f"{BY_PHONE}: {note}" if note else BY_PHONE


def check_reason(reason: str) -> None:
    """Raise Invalid if a reason is too long."""
    if len(reason) > LONGEST_REASON:
        raise Invalid(f"A reason has at most {LONGEST_REASON} characters.", field="reason")


def is_customers_wish(booking: Booking, actor: Actor) -> bool:
    """Whether it is its customer who moves a booking; staff are customers of their own."""
    return actor.kind == "customer" or actor.is_user(booking.customer.user_id)


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
    if booking.status == BookingStatus.CONFIRMED and slot.resource.needs_approval:
        raise BookingOver("It was approved for its time; ask the staff to move it.")
    rules.check_reschedule(booking, now=now)
    rules.check_time(slot.resource, slot.starts_at, now=now)


def _lock(
    booking_id: uuid.UUID,
    organization_id: uuid.UUID,
    slot_id: uuid.UUID | FreeTime,
    *,
    now: datetime,
    version: int | None,
    together: Q | None = None,
) -> tuple[Booking, Slot]:
    # A free time's slot is made while we hold nothing: who makes the same one may be waited for.
    wanted = free_times.find(slot_id, organization_id=organization_id, now=now)
    booking = locks.slot_and_booking(
        booking_id, organization_id=organization_id, also=[wanted.slot_id], together=together
    )
    check_version(booking, version)
    if booking.status == BookingStatus.RESCHEDULE_PROPOSED:
        _end_overdue_proposal(booking, now=now)
    return booking, free_times.lock_found(wanted, organization_id=organization_id)


def _end_overdue_proposal(booking: Booking, *, now: datetime) -> None:
    """What the sweep would do within a minute."""
    overdue = [s for s in locks.stand_ins([booking]) if _is_over(s, now=now)]
    if overdue:
        transitions.expire(overdue, now=now, reason=RAN_OUT)
        booking.refresh_from_db(fields=["status", "version"])


def _is_over(stand_in: Booking, *, now: datetime) -> bool:
    return stand_in.held_until is None or stand_in.held_until <= now


def _lock_proposal(
    booking_id: uuid.UUID, organization_id: uuid.UUID, *, now: datetime, version: int | None
) -> tuple[Booking, Booking]:
    booking = locks.slot_and_booking(booking_id, organization_id=organization_id)
    if booking.status != BookingStatus.RESCHEDULE_PROPOSED:
        raise NoProposal("No other time is proposed for this booking, or not any more.")
    check_version(booking, version)
    stand_in = next(iter(locks.stand_ins([booking])), None)
    if stand_in is None or _is_over(stand_in, now=now):
        raise NoProposal("The time to answer has run out; the booking stays as it was.")
    return booking, stand_in


def _give_up(
    move: str,
    booking_id: uuid.UUID,
    organization_id: uuid.UUID,
    *,
    actor: Actor,
    reason: str,
    now: datetime,
    version: int | None,
    provider_id: uuid.UUID | None = None,
) -> Booking:
    check_reason(reason)
    with (
        operation(f"proposal.{move}", actor=actor, booking=str(booking_id)) as op,
        transaction.atomic(savepoint=False),
        audited(actor, reason=reason or f"proposal: {move}"),
    ):
        booking, stand_in = _lock_proposal(booking_id, organization_id, now=now, version=version)
        _check_provider(booking, None, provider_id)
        if move == "decline":
            _check_not_own(booking, actor)
        over = f"The proposal is {PROPOSAL.target(move)}."
        transitions.cancel([stand_in], now=now, reason=reason or over, tell=False)
        transitions.settle([booking], move, now=now)
        transitions.tell_proposal_over(booking, stand_in.slot, move, reason=reason)
        op.rows = 3
    return booking


def _check_provider(booking: Booking, slot: Slot | None, provider_id: uuid.UUID | None) -> None:
    if provider_id is None:
        return
    if booking.slot.resource.provider_id != provider_id:
        raise NotFound("There is no such booking.")
    if slot is not None and slot.resource.provider_id != provider_id:
        raise Forbidden("Propose a time of your own; the staff can propose others.")


def _check_not_own(booking: Booking, actor: Actor) -> None:
    if actor.kind == "staff" and actor.is_user(booking.customer.user_id):
        raise Forbidden("This booking is your own: answer as its customer, or ask a colleague.")


def _check_movable(booking: Booking) -> None:
    if booking.status in MOVABLE:
        return
    if booking.status == BookingStatus.HELD:
        raise BookingOver("It is still in the cart: remove it and add the other time.")
    if booking.status == BookingStatus.RESCHEDULE_PROPOSED:
        raise ProposalOpen(
            "Another time is proposed for this booking. Accept or decline it, or have it taken"
            " back; then the booking can be moved."
        )
    raise BookingOver(f"This booking is {_status(booking)} already.")


def _answer_until(
    booking: Booking, slot: Slot, *, wish: datetime | None, now: datetime
) -> datetime:
    latest = min(booking.slot.starts_at, slot.starts_at) - BEFORE_START
    if latest < now + SHORTEST_ANSWER:
        raise TooLate(
            "An answer is due an hour before the earlier of both times, and that is too near."
            " Agree on it with the customer, and move the booking yourself.",
            until=latest.isoformat(),
        )
    if wish is None:
        hours = Organization.objects.values_list("proposal_hours", flat=True).get(
            pk=booking.organization_id
        )
        return max(min(now + timedelta(hours=hours), latest), now + SHORTEST_ANSWER)
    if not now + SHORTEST_ANSWER <= wish <= latest:
        raise Invalid(
            "Give the customer at least 15 minutes, and at most until an hour before the earlier"
            " of both times.",
            field="expires_at",
        )
    return wish


def _cannot_be_in_both(own: Slot, other: Slot) -> bool:
    """Whether a booking takes what its own slot takes already, at a time that overlaps."""
    overlap = own.busy_from < other.busy_until and other.busy_from < own.busy_until
    return overlap and bool(set(own.every_number) & set(other.numbers))


def _status(booking: Booking) -> str:
    return str(booking.get_status_display())
