"""Checking people in by their code (A8)."""

from __future__ import annotations

import uuid
import zoneinfo
from datetime import datetime, timedelta

from django.db import transaction
from django.utils.timezone import localtime

from audit.context import Actor, audited
from audit.observability.operations import operation
from bookings import codes, locks, transitions
from bookings.errors import (
    AlreadyCheckedIn,
    BookingCancelled,
    NotConfirmed,
    UnknownCode,
    WrongDay,
)
from bookings.lifecycle import ENDED, BookingStatus
from bookings.models import Booking

BY_CODE = "checked in by code"


def check_in(
    *,
    code: str,
    organization_ids: set[uuid.UUID] | None,
    own_only: bool = False,
    actor: Actor,
    now: datetime,
) -> Booking:
    """Check a booking in by its code; a code works once.

    Args:
        organization_ids: where the actor may scan; None means everywhere.
        own_only: a provider scans for the resources they provide, and no others.

    Raises:
        UnknownCode: nobody's, or another organisation's.
        AlreadyCheckedIn: used before; ``checked_in_at`` says when.
        BookingCancelled: cancelled, rejected or expired.
        NotConfirmed: not approved yet.
        WrongDay: not today, in the time zone of the resource.
    """
    with (
        operation("booking.check_in", actor=actor) as op,
        transaction.atomic(savepoint=False),
        audited(actor, reason=BY_CODE),
    ):
        found = locks.check_in_code(codes.fingerprint(code), organization_ids=organization_ids)
        if found is None:
            raise UnknownCode
        if own_only and found.booking.slot.resource.provider_id != actor.id:
            raise UnknownCode
        booking = found.booking
        booking.check_in_code = found
        _check(booking, now=now)
        transitions.check_in(booking, now=now)
        op.rows = 1
    return booking


def check_in_by_hand(
    *,
    booking_id: uuid.UUID,
    organization_id: uuid.UUID,
    actor: Actor,
    reason: str = "",
    now: datetime,
) -> Booking:
    """Check in somebody who has no code with them; their code is used by it.

    Raises:
        NotFound, AlreadyCheckedIn, BookingCancelled, NotConfirmed, WrongDay: see ``check_in``.
    """
    with (
        operation("booking.check_in_by_hand", actor=actor, booking=str(booking_id)) as op,
        transaction.atomic(savepoint=False),
        audited(actor, reason=reason or "checked in by hand"),
    ):
        booking = locks.booking(booking_id, organization_id=organization_id)
        _check(booking, now=now)
        transitions.check_in(booking, now=now)
        op.rows = 1
    return booking


def _check(booking: Booking, *, now: datetime) -> None:
    about = {"booking": str(booking.pk), "reference": booking.reference}
    if booking.status in (BookingStatus.CHECKED_IN, BookingStatus.COMPLETED):
        assert booking.checked_in_at is not None
        raise AlreadyCheckedIn(
            f"Checked in already at {_local(booking, booking.checked_in_at):%H:%M on %d %B %Y}.",
            checked_in_at=booking.checked_in_at.isoformat(),
            **about,
        )
    if booking.status in ENDED:
        raise BookingCancelled(f"This booking is {booking.get_status_display()}.", **about)
    if booking.status == BookingStatus.NO_SHOW:
        raise NotConfirmed(
            "This booking is marked as a no-show. Excuse it first: then it can be checked in.",
            **about,
        )
    if booking.status != BookingStatus.CONFIRMED:
        raise NotConfirmed(f"This booking is {booking.get_status_display()}.", **about)
    today = _local(booking, now).date()
    first = _local(booking, booking.slot.starts_at)
    last = _local(booking, booking.slot.ends_at - timedelta.resolution)  # 24:00 is the day before
    if not first.date() <= today <= last.date():
        raise WrongDay(
            f"This booking is for {first:%A, %d %B %Y at %H:%M}.",
            starts_at=booking.slot.starts_at.isoformat(),
            **about,
        )


def _local(booking: Booking, moment: datetime) -> datetime:
    return localtime(moment, zoneinfo.ZoneInfo(booking.slot.resource.time_zone))
