"""Staff book for somebody who stands before them or calls (B1, F3)."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.core.exceptions import ValidationError
from django.db import transaction

from audit.context import Actor, audited
from audit.errors import Forbidden, Invalid, NotFound
from audit.languages import supported
from audit.observability.operations import operation
from bookings import holding, locks, rules
from bookings.errors import CustomerKnown
from bookings.lifecycle import BookingStatus
from bookings.models import Booking, Customer, Organization
from bookings.selectors_customers import reached_at
from bookings.services import free_times
from bookings.services.accounts import tidy_name
from bookings.services.free_times import FreeTime
from payments.errors import MethodNotOffered
from payments.lifecycle import PaymentMethod
from payments.models import CartTransaction
from payments.services import checkout
from payments.services.carts import check_units
from payments.services.decisions import LONGEST_REASON

# What a role needs to book for others, and to go beyond the booking rules of a resource. As with
# moving a booking, whoever may do the one may do the other; a reason is in the trail.
BOOK = "bookings.change_booking"
GO_BEYOND = "bookings.change_booking"
REASON = "booked by staff"
MOST_KNOWN = 50


@dataclass(frozen=True, slots=True)
class NewCustomer:
    """Somebody who was not a customer before; they have no account.

    Args:
        language: what they are written to in; empty: the first of those that there are.
        none_of: customers with the same address or number, whom it was looked at and is not.
    """

    name: str
    email: str = ""
    phone: str = ""
    none_of: frozenset[uuid.UUID] = frozenset()
    language: str = ""


def book_for(
    *,
    organization: Organization,
    customer: Customer | NewCustomer,
    slot_id: uuid.UUID | FreeTime,
    units: int,
    payment_method: str,
    note: str = "",
    overriding: str = "",
    may_approve: bool = False,
    actor: Actor,
    now: datetime,
) -> CartTransaction:
    """Book one slot for a customer, who hears of it by mail if there is an address.

    What is free or paid on arrival is confirmed at once: that staff make it is the approval,
    unless the resource needs one that they may not give. What is paid in advance waits for its
    proof, as after a checkout. Nobody approves their own order:
    staff who book for themselves get what any customer gets.

    Somebody who comes after the start gets what is left of it, with a reason, until it is over;
    they are confirmed at once or not booked at all. Decision 27.

    Args:
        slot_id: a slot, or the free time for which one is made.
        customer: of this organisation, or somebody new, who becomes one.
        overriding: why the resource's booking rules do not count this time, and that it may have
            started; empty: they do, and it may not.
        may_approve: whether the actor may approve orders.

    Raises:
        SlotFull, SlotGone, ResourceTaken: see ``bookings.holding.hold``; a reason helps only
            where it has started and is not over.
        TooSoon, TooFarAhead, TooManyBookings, TooManyNoShows: the rules; see ``overriding``.
        NotOffered: a free time that is not offered; no reason helps.
        MethodNotOffered: the organisation is not paid that way, or it has started and would be
            paid in advance.
        CustomerKnown: somebody new has the address or the number of a customer; ``customers``
            says of which. Book for one of them, or say that it is none of them.
        Invalid: units, note, reason or the new customer's data cannot be used.
        NotFound: the organisation has no such slot, or the customer is another one's.
        Forbidden: nobody goes beyond the rules for themselves; or it has started and needs an
            approval that the actor may not give.
    """
    check_units(units)
    checkout.check_note(note)
    overriding = check_overriding(overriding)
    with (
        operation("booking.book_for", actor=actor, slot=free_times.named(slot_id)) as op,
        transaction.atomic(savepoint=False),
        audited(actor, reason=reason_of(overriding)),
    ):
        beyond = bool(overriding)
        slot = free_times.lock(slot_id, organization_id=organization.pk, now=now, walk_in=beyond)
        person = customer_in(organization, customer)
        check_not_own(overriding, actor, person)
        if not overriding:
            rules.check_new([slot], person, now=now)
        booking = holding.hold(
            slot,
            customer=person,
            units=units,
            held_until=now + timedelta(minutes=organization.hold_minutes),
            now=now,
            walk_in=beyond,
        )
        made = checkout.order_of(
            organization,
            person,
            [booking],
            method=payment_method,
            note=note,
            now=now,
            staff=approver(actor, person),
            may_approve=may_approve,
        )
        if slot.starts_at <= now:
            _check_confirmed(booking, made)
        op.rows = 3
    return made


def _check_confirmed(booking: Booking, made: CartTransaction) -> None:
    """Raise what keeps a walk-in from being confirmed: no deadline is left to wait for."""
    if booking.status == BookingStatus.CONFIRMED:
        return
    if made.payment_method == PaymentMethod.PAY_NOW:
        raise MethodNotOffered(
            "It has begun, so it cannot be paid in advance: take the money here."
        )
    raise Forbidden("It has begun and needs approval: ask somebody who may approve orders.")


def check_overriding(reason: str) -> str:
    """Why the rules do not count, tidied; raises Invalid if it is too long."""
    reason = reason.strip()
    if len(reason) > LONGEST_REASON:
        raise Invalid(f"A reason has at most {LONGEST_REASON} characters.", field="overriding")
    return reason


def check_not_own(overriding: str, actor: Actor, customer: Customer) -> None:
    """Raise Forbidden if staff would go beyond the rules for themselves."""
    if overriding and actor.is_user(customer.user_id):
        raise Forbidden("Ask a colleague: nobody goes beyond the rules for themselves.")


def reason_of(overriding: str) -> str:
    """What the trail says of a booking that staff made."""
    return f"{REASON}, beyond the rules: {overriding}" if overriding else REASON


def approver(actor: Actor, customer: Customer) -> Actor | None:
    """The staff member whose making is the approval; nobody, if it is their own order."""
    own = actor.is_user(customer.user_id)
    return actor if actor.kind == "staff" and not own else None


def customer_in(organization: Organization, customer: Customer | NewCustomer) -> Customer:
    """The customer of a booking; a new one is inserted, without an account.

    Raises:
        NotFound: it is another organisation's.
        CustomerKnown: see :func:`book_for`.
        Invalid: no name, or an address or a number that cannot be one.
    """
    if isinstance(customer, Customer):
        if customer.organization_id != organization.pk:
            raise NotFound("There is no such customer.")
        customer.organization = organization  # loaded, so that its rules cost no statement
        return customer
    made = _tidied(organization, customer)
    known = _known(made, none_of=customer.none_of)
    if known:
        raise CustomerKnown(
            "Somebody with this e-mail address or phone number is a customer already:"
            f" {', '.join(one.name for one in known)}. Book for them, or say that it is somebody"
            " else.",
            customers=[str(one.pk) for one in known],
        )
    made.save(force_insert=True)
    return made


def known(organization: Organization, customer: NewCustomer) -> list[Customer]:
    """Whom :func:`book_for` would ask about, without a booking; nobody if the data cannot be."""
    try:
        return _matches(_tidied(organization, customer), none_of=customer.none_of)
    except Invalid:
        return []


def _known(made: Customer, *, none_of: frozenset[uuid.UUID]) -> list[Customer]:
    """The same with the addresses locked: who else would make this customer waits for us."""
    addresses = [str(text) for text in (made.email, made.phone) if text]
    if not addresses:
        return []
    locks.addresses(made.organization_id, addresses)
    return _matches(made, none_of=none_of)


def _matches(made: Customer, *, none_of: frozenset[uuid.UUID]) -> list[Customer]:
    if not (made.email or made.phone):
        return []
    found = reached_at(made.organization_id, email=made.email, phone=str(made.phone or ""))
    return list(found.exclude(pk__in=none_of)[:MOST_KNOWN])


def _tidied(organization: Organization, customer: NewCustomer) -> Customer:
    """Somebody new, with their number as it is stored; raises Invalid."""
    made = Customer(
        organization=organization,
        name=tidy_name(customer.name),
        email=customer.email.strip(),
        phone=customer.phone.strip(),
        language=supported(customer.language),
    )
    try:
        made.clean_fields(exclude=["organization"])
    except ValidationError as error:
        field, words = next(iter(error.message_dict.items()))
        raise Invalid(" ".join(words), field=field) from error
    return made
