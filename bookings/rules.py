"""What customers may ask of a resource: notice, horizon, most bookings, deadlines (B1).

Staff are not bound by these rules; what nobody may do is kept by ``transitions`` and the
database.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.db.models import Count, Q

from bookings import locks
from bookings.errors import TooFarAhead, TooLate, TooManyBookings, TooManyNoShows, TooSoon
from bookings.lifecycle import LIVE, BookingStatus
from bookings.models import Booking, Customer, Organization, Resource, Slot


def check_new(slots: Sequence[Slot], customer: Customer, *, now: datetime) -> None:
    """Whether a customer may book these locked slots, all of one resource, now.

    Raises:
        TooSoon, TooFarAhead: see there.
        TooManyBookings: they would have more than the resource allows.
        TooManyNoShows: they did not come too often.
    """
    check_no_shows(customer, now=now)
    for slot in slots:
        check_time(slot.resource, slot.starts_at, now=now)
    check_number(slots[0].resource, len(slots), left_for(slots[0].resource, customer, now=now))


def check_no_shows(customer: Customer, *, now: datetime) -> None:
    """Raise TooManyNoShows if a customer did not come too often to book themselves.

    No statement is sent where the organisation sets no limit, if it is loaded.
    """
    count = missed_too_often([customer.pk], [customer.organization], now=now).get(customer.pk)
    if count:
        days = customer.organization.no_show_days
        raise TooManyNoShows(
            f"{count} booking{'s were' if count > 1 else ' was'} missed within {days} days, so new"
            " ones are made by the staff: ask them.",
            no_shows=count,
            limit=customer.organization.no_show_limit,
        )


def missed_too_often(
    customer_ids: Collection[uuid.UUID], organizations: Collection[Organization], *, now: datetime
) -> dict[uuid.UUID, int]:
    """Those of these organisations' customers who did not come too often to book themselves, and
    how often that was.

    One statement, or none where no organisation sets a limit.
    """
    limits = {o.pk: o.no_show_limit for o in organizations if o.no_show_limit is not None}
    counted = Q()
    for organization in organizations:
        if organization.pk in limits:
            since = now - timedelta(days=organization.no_show_days)
            counted |= Q(organization=organization.pk, slot__ends_at__gt=since)
    if not counted or not customer_ids:
        return {}
    rows = (
        Booking.objects.filter(counted, customer__in=customer_ids, status=BookingStatus.NO_SHOW)
        .order_by()
        .values_list("customer_id", "organization_id")
        .annotate(Count("pk"))
    )
    return {customer: count for customer, house, count in rows if count >= limits[house]}


def count_no_shows(customer: Customer, *, now: datetime) -> int:
    """How often a customer did not come, in the time for which their organisation counts it."""
    since = now - timedelta(days=customer.organization.no_show_days)
    return Booking.objects.filter(
        customer=customer, status=BookingStatus.NO_SHOW, slot__ends_at__gt=since
    ).count()


def left_for(resource: Resource, customer: Customer, *, now: datetime) -> int | None:
    """How many more bookings of a resource a customer may have now; None: any number.

    Whoever else books for them counts after us, as the customer is locked.
    """
    if resource.most_live_bookings is None:
        return None
    locks.customer(customer.pk)
    live = count_live(customer.pk, resource.pk, now=now)
    return max(0, resource.most_live_bookings - live)


def check_number(resource: Resource, count: int, left: int | None) -> None:
    """Raise TooManyBookings if ``count`` more are more than are ``left``."""
    if left is None or count <= left:
        return
    most = resource.most_live_bookings
    raise TooManyBookings(
        f"{resource.name} takes at most {most} bookings of one person at a time; {left} more"
        f" {'is' if left == 1 else 'are'} possible now.",
        most=most,
        left=left,
    )


def count_live(customer_id: uuid.UUID, resource_id: uuid.UUID, *, now: datetime) -> int:
    """How many bookings of a resource a customer has that are not over, holds included."""
    found = live_bookings([customer_id], [resource_id], now=now)
    return found.get((customer_id, resource_id), 0)


def live_bookings(
    customer_ids: Collection[uuid.UUID], resource_ids: Collection[uuid.UUID], *, now: datetime
) -> dict[tuple[uuid.UUID, uuid.UUID], int]:
    """How many bookings customers have of resources that are not over, holds included, by
    (customer, resource); nothing for none. One statement."""
    rows = (
        Booking.objects.filter(
            customer__in=customer_ids,
            slot__resource__in=resource_ids,
            slot__ends_at__gt=now,
            status__in=LIVE,
            stands_for__isnull=True,
        )
        .exclude(status=BookingStatus.HELD, held_until__lte=now)
        .order_by()
        .values_list("customer_id", "slot__resource_id")
        .annotate(Count("pk"))
    )
    return {(customer, resource): count for customer, resource, count in rows}


def check_time(resource: Resource, starts_at: datetime, *, now: datetime) -> None:
    """Whether a start is neither too soon nor too far ahead for a customer.

    Raises:
        TooSoon, TooFarAhead: with the first or last moment that is possible.
    """
    if starts_at < now + resource.notice and starts_at > now:
        raise TooSoon(
            f"{resource.name} is booked at least {words(resource.notice)} before the start;"
            " ask the staff.",
            notice_minutes=resource.notice_minutes,
        )
    if starts_at > now + resource.horizon:
        raise TooFarAhead(
            f"{resource.name} is booked at most {resource.horizon_days} days ahead.",
            horizon_days=resource.horizon_days,
        )


def may_be_booked(slot: Slot, *, now: datetime) -> bool:
    """Whether a slot is neither too soon nor too far ahead for a customer."""
    return now + slot.resource.notice <= slot.starts_at <= now + slot.resource.horizon


def check_cancel(booking: Booking, *, now: datetime, until: datetime | None = None) -> None:
    """Raise TooLate when a customer may not cancel any more, or never could.

    Args:
        until: the last moment, where a move has left another than the rule says.
    """
    resource = booking.slot.resource
    if not resource.customers_may_cancel:
        raise TooLate("Only the staff can cancel this booking; ask them.")
    if until is None:
        if cancel_until(booking.slot) < now:
            raise _too_late(booking, resource.cancel_until_minutes, "cancelled")
    elif until < now:
        there = until.astimezone(ZoneInfo(resource.time_zone))
        raise TooLate(
            f"This booking could be cancelled until {there:%Y-%m-%d %H:%M}, and moving it has not"
            " changed that; ask the staff.",
            until=until.isoformat(),
        )


def cancel_until(slot: Slot) -> datetime:
    """The last moment at which customers may cancel what is booked in a slot, if they may."""
    return slot.starts_at - timedelta(minutes=slot.resource.cancel_until_minutes)


def may_be_cancelled(slot: Slot, *, now: datetime) -> bool:
    """Whether customers may still cancel what they have booked in a slot."""
    return slot.resource.customers_may_cancel and cancel_until(slot) >= now


def check_reschedule(booking: Booking, *, now: datetime) -> None:
    """Raise TooLate when a customer may not reschedule any more."""
    minutes = booking.slot.resource.reschedule_until_minutes
    if booking.slot.starts_at - timedelta(minutes=minutes) < now:
        raise _too_late(booking, minutes, "moved")


def _too_late(booking: Booking, minutes: int, what: str) -> TooLate:
    before = timedelta(minutes=minutes)
    return TooLate(
        f"This booking could be {what} until {words(before)} before the start; ask the staff.",
        until=(booking.slot.starts_at - before).isoformat(),
    )


def words(length: timedelta) -> str:
    """A length of time as people say it, in its largest whole unit."""
    minutes = int(length.total_seconds() // 60)
    for unit, size in (("day", 1440), ("hour", 60)):
        if minutes >= size and minutes % size == 0:
            count = minutes // size
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return f"{minutes} minute{'s' if minutes != 1 else ''}"
