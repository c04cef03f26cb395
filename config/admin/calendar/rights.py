"""Which booking a page of the calendar is about, and what somebody may do with it (F1, F3)."""

from __future__ import annotations

import uuid
from typing import NamedTuple

from django.contrib.admin import site
from django.db.models import QuerySet
from django.http import Http404, HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _

from bookings.admin.base import person
from bookings.models import Booking, Proposal, User
from bookings.permissions import may

CHANGE_BOOKING = "bookings.change_booking"
PROPOSE_TIME = "bookings.propose_booking"
SEE_MONEY = "payments.view_carttransaction"
ACCEPT, DECLINE = "accept", "decline"


class MayDo(NamedTuple):
    """What somebody may do with the bookings they see in an organisation."""

    move: bool
    propose: bool


def what_may(user: User, organization_id: uuid.UUID) -> MayDo:
    return MayDo(
        move=may(user, CHANGE_BOOKING, organization_id),
        propose=may(user, PROPOSE_TIME, organization_id),
    )


def booking_of(request: HttpRequest, booking_id: uuid.UUID) -> Booking:
    """The booking, with its slot, resource and customer.

    Raises:
        Http404: it is not there, or not this person's to see.
    """
    rows: QuerySet[Booking] = site._registry[Booking].get_queryset(request)
    found = rows.select_related("slot__resource__organization", "customer").filter(pk=booking_id)
    booking = found.first()
    if booking is None:
        raise Http404
    return booking


def may_answer(user: User, booking: Booking) -> bool:
    """Whether somebody may answer for a booking's customer: who may move it, unless it is theirs."""
    own = booking.customer.user_id is not None and booking.customer.user_id == user.pk
    return not own and what_may(user, booking.organization_id).move


def terms_of(request: HttpRequest, proposal: Proposal | None) -> str:
    """What a proposal says of the price, as a sentence; without amounts for who sees no money."""
    if proposal is None or not proposal.terms:
        return ""
    if not may(person(request), SEE_MONEY, proposal.organization_id):
        return _("The price stays as it was agreed.")
    return f"{proposal.terms[0].upper()}{proposal.terms[1:]}."


def answers_to(request: HttpRequest, booking: Booking) -> list[tuple[str, str]]:
    """The ways to pass on what the customer said to a proposal: address and words."""
    if not may_answer(person(request), booking):
        return []
    return [
        (reverse("admin:calendar_answer", args=[booking.pk, how]), words)
        for how, words in (
            (ACCEPT, _("They said yes, by phone")),
            (DECLINE, _("They said no, by phone")),
        )
    ]
