"""The same hour of the week, again and again: what there is, book it, cancel it (B1, B4, B5)."""

from __future__ import annotations

import uuid
import zoneinfo
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum

from django.db import transaction
from django.db.models import Q

from audit import outbox
from audit.context import Actor, audited
from audit.errors import DomainError, Invalid, NotFound
from audit.observability.operations import operation
from bookings import holding, planning, rules, selectors_free_times, selectors_schedules
from bookings import locks as booking_locks
from bookings import selectors as booking_selectors
from bookings import transitions as booking_transitions
from bookings.errors import (
    BookingOver,
    LineFirst,
    NotOffered,
    ResourceTaken,
    SlotFull,
    SlotGone,
    TooFarAhead,
    TooLate,
    TooSoon,
)
from bookings.lifecycle import BOOKING, SlotStatus
from bookings.models import Booking, Customer, Organization, Resource, Series, Slot
from bookings.services import free_times
from payments import cancelling, notices
from payments.errors import SeriesNotFree
from payments.models import CartItem, CartTransaction
from payments.services import cancellation, checkout, desk
from payments.services.carts import check_units
from payments.services.decisions import check_reason

MOST_TIMES = 100
MOST_WEEKS = 52
MOST_MINUTES = 60 * 24 * 7
REASON = "booked as a series"


class Outcome(StrEnum):
    """What there is on a date of a series, or what became of it."""

    FREE = "free"
    BOOKED = "booked"
    FULL = "full"
    TAKEN = "taken"
    CLOSED = "closed"
    TOO_SOON = "too_soon"
    TOO_FAR_AHEAD = "too_far_ahead"


@dataclass(slots=True)
class Occurrence:
    """One date of a series.

    ``starts_at`` is None where the clock never shows the hour on that day, because it is put
    forward over it.
    """

    date: date
    starts_at: datetime | None
    outcome: Outcome = Outcome.CLOSED
    slot: Slot | None = None
    booking: Booking | None = None
    period: selectors_free_times.Period | None = None  # where the rules allow one
    hours: planning.Hours | None = None  # in which it lies, where times are free


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants: the hour of the first start, on the clock of the resource.

    ``minutes`` says how long; None is as long as the slot that starts first.
    """

    resource_id: uuid.UUID
    starts_at: datetime
    every_weeks: int = 1
    times: int = 1
    units: int = 1
    minutes: int | None = None

    def check(self, *, now: datetime) -> None:
        """Raise Invalid for numbers out of their bounds, SlotGone for a start that is over."""
        check_units(self.units)
        if not 1 <= self.every_weeks <= MOST_WEEKS:
            raise Invalid(f"Every 1 to {MOST_WEEKS} weeks.", field="every_weeks")
        if not 1 <= self.times <= MOST_TIMES:
            raise Invalid(f"Between 1 and {MOST_TIMES} times.", field="times")
        if self.minutes is not None and not 1 <= self.minutes <= MOST_MINUTES:
            raise Invalid(f"Between 1 and {MOST_MINUTES} minutes.", field="minutes")
        if self.starts_at <= now:
            raise SlotGone("The first start has passed already.")
        if self.starts_at > now + timedelta(days=3650):
            raise Invalid("A series starts within ten years.", field="starts_at")


@dataclass(frozen=True, slots=True)
class Made:
    """A series that was booked, and what became of each of its dates."""

    series: Series
    transaction: CartTransaction
    dates: Sequence[Occurrence]


@dataclass(frozen=True, slots=True)
class Cancelled:
    """What was cancelled of a series, and what could not be any more."""

    series: Series
    cancelled: Sequence[Booking]
    too_late: Sequence[Booking]


def plan(
    *, organization: Organization, wish: Wish, overriding: bool = False, now: datetime
) -> list[Occurrence]:
    """What there is on each date of a series. Nothing is held.

    Args:
        overriding: the booking rules of the resource do not count.

    Raises:
        SlotGone: the first start has passed.
        NotOffered: nothing starts then, so that nobody knows how long it is.
        Invalid: a number is out of its bounds, or several slots of other lengths start then.
        NotFound: the organisation has no such resource.
    """
    wish.check(now=now)
    resource = _resource(organization, wish.resource_id)
    return _what_there_is(resource, wish, _length(resource, wish), overriding=overriding, now=now)


def _what_there_is(
    resource: Resource, wish: Wish, length: timedelta, *, overriding: bool, now: datetime
) -> list[Occurrence]:
    dates = _look(resource, wish, length, overriding=overriding, now=now)
    slots = [d.slot for d in dates if d.slot is not None]
    left = booking_selectors.availability(slots, now=now)
    for found in dates:
        if found.slot is not None:
            found.outcome = _outcome(found.slot, left[found.slot.pk], wish.units)
    _look_at_free_times(resource, [d for d in dates if d.hours is not None], wish, now=now)
    return dates


@dataclass(frozen=True, slots=True)
class Standing:
    """What became of a series: each date, with its booking or what there is now; and bookings
    that were moved to other times."""

    dates: Sequence[Occurrence]
    elsewhere: Sequence[Booking]


def standing(series: Series, *, now: datetime) -> Standing:
    """Where a series stands; its resource is loaded. A few statements for any number of dates.

    A date that is over and has no booking is CLOSED.
    """
    length = series.ends_at - series.starts_at
    wish = Wish(
        series.resource_id,
        series.starts_at,
        every_weeks=series.every_weeks,
        times=series.times,
        units=series.units,
    )
    dates = _what_there_is(series.resource, wish, length, overriding=True, now=now)
    found = Booking.objects.filter(series=series, stands_for__isnull=True)
    bookings = found.select_related("slot__resource", "customer").order_by("slot__starts_at", "pk")
    by_start = {b.slot.starts_at: b for b in bookings if b.slot.resource_id == series.resource_id}
    for date_of in dates:
        if date_of.starts_at is not None:
            date_of.booking = by_start.get(date_of.starts_at)
        if date_of.booking is not None:
            date_of.outcome = Outcome.BOOKED
        elif date_of.starts_at is None or date_of.starts_at <= now:
            date_of.outcome = Outcome.CLOSED
    there = {d.booking.pk for d in dates if d.booking is not None}
    return Standing(dates, [b for b in bookings if b.pk not in there])


def to_come(
    series: Series, *, from_booking_id: uuid.UUID | None = None, now: datetime
) -> list[Booking]:
    """What :func:`cancel_series` would cancel for staff now; nothing is locked.

    Raises:
        NotFound: the series has no such booking.
    """
    found = Booking.objects.filter(series=series, stands_for__isnull=True)
    bookings = list(found.select_related("slot__resource", "customer"))
    return [b for b in _from(bookings, from_booking_id) if _can_be_cancelled(b, now=now)]


def _look_at_free_times(
    resource: Resource, dates: Sequence[Occurrence], wish: Wish, *, now: datetime
) -> None:
    """Say of each date on which a resource is open whether it is free; one statement."""
    asked = [
        (found, _epoch(found.period[0]), _epoch(found.period[1]), found.hours)
        for found in dates
        if found.period and found.hours
    ]
    if not asked:
        return
    busy = [selectors_free_times.busy_period(start, end, hours) for _, start, end, hours in asked]
    first, last = busy[0][0], busy[-1][1]
    taken = selectors_free_times.taken_of([resource], first, last, now=now)[resource.pk]
    for found, starts_at, ends_at, hours in asked:
        is_free = taken.free(starts_at, ends_at, hours)
        found.outcome = Outcome.FREE if is_free else Outcome.TAKEN
        if wish.units > hours.max_units:
            found.outcome = Outcome.FULL


def _epoch(moment: datetime) -> int:
    return int(moment.timestamp())


def book_series(
    *,
    organization: Organization,
    customer: Customer | desk.NewCustomer,
    wish: Wish,
    payment_method: str,
    all_or_nothing: bool,
    note: str = "",
    overriding: str = "",
    may_approve: bool = False,
    actor: Actor,
    now: datetime,
) -> Made:
    """Book the same hour every so many weeks, in one order. Each booking is an ordinary one.

    All slots are locked at once, in their order, so that two series never wait for each other
    in a circle. The number of statements does not grow with that of the dates.

    Args:
        all_or_nothing: book every date, or none; else those that are free.
        overriding: why the booking rules do not count this time; staff only, empty: they do.
        may_approve: whether staff who book for a customer may approve orders.

    Raises:
        SeriesNotFree: a date is not free and all are wanted, or none is. ``dates`` says what there
            is on each; nothing is changed.
        TooManyBookings: the customer would have more than the resource allows.
        TooManyNoShows: the customer did not come too often.
        CustomerKnown: see ``desk.book_for``.
        SlotGone, NotOffered, NotFound: see :func:`plan`.
        MethodNotOffered, MixedCurrencies: see checkout.
        Invalid: as in :func:`plan`, or the note or the reason is too long.
    """
    wish.check(now=now)
    checkout.check_note(note)
    overriding = desk.check_overriding(overriding) if actor.kind == "staff" else ""
    with (
        operation("series.book", actor=actor, resource=str(wish.resource_id)) as op,
        transaction.atomic(savepoint=False),
        audited(actor, reason=desk.reason_of(overriding) if overriding else REASON),
    ):
        person = desk.customer_in(organization, customer)
        desk.check_not_own(overriding, actor, person)
        resource = _resource(organization, wish.resource_id)
        length = _length(resource, wish)
        if resource.mode == Resource.Mode.FREE_TIMES:
            booking_locks.hours_stay(resource)
        dates = _look(resource, wish, length, overriding=bool(overriding), now=now)
        slots = _lock(resource, dates)
        if not overriding:
            rules.check_no_shows(person, now=now)
        left = None if overriding else rules.left_for(resource, person, now=now)
        series = Series(
            organization=organization,
            customer=person,
            resource=resource,
            starts_at=wish.starts_at,
            ends_at=wish.starts_at + length,
            every_weeks=wish.every_weeks,
            times=wish.times,
            units=wish.units,
            created_at=now,
        )
        series.save(force_insert=True)
        bookings, refused = holding.hold_many(
            slots,
            customer=person,
            units=wish.units,
            held_until=now + timedelta(minutes=organization.hold_minutes),
            now=now,
            series=series,
        )
        _tell_dates(dates, bookings, refused)
        if resource.mode == Resource.Mode.FREE_TIMES:
            _clean_up(dates, wish)
        if not bookings or (all_or_nothing and len(bookings) < wish.times):
            raise _not_free(dates, bookings)
        rules.check_number(resource, len(bookings), left)
        made = checkout.order_of(
            organization,
            person,
            bookings,
            method=payment_method,
            note=note,
            now=now,
            staff=desk.approver(actor, person),
            may_approve=may_approve,
        )
        op.rows = 2 + 2 * len(bookings)
    return Made(series, made, dates)


def cancel_series(
    *,
    series_id: uuid.UUID,
    organization_id: uuid.UUID,
    from_booking_id: uuid.UUID | None = None,
    actor: Actor,
    reason: str,
    now: datetime,
    accepted_fee: Decimal | None = None,
    keep_fee: bool = False,
) -> Cancelled:
    """Cancel what is to come of a series: all of it, or from one booking on.

    Items, orders and money follow as with any cancelled booking; one message says what was
    cancelled.

    Args:
        from_booking_id: leave what starts before this booking.
        accepted_fee, keep_fee: see ``cancellation.cancel_booking``; of all of them together.

    Raises:
        BookingOver: nothing of it is to come.
        TooLate: the actor is a customer, and for all of it the deadline has passed.
        Invalid: no reason.
        NotFound: the organisation has no such series, or the series no such booking.
        FeeDue, OwnTransaction: see ``cancellation.cancel_booking``.
    """
    check_reason(reason)
    with (
        operation("series.cancel", actor=actor, series=str(series_id)) as op,
        transaction.atomic(savepoint=False),
        audited(actor, reason=reason),
    ):
        mine = Series.objects.filter(pk=series_id, organization=organization_id)
        series = mine.select_related("organization", "customer", "resource").first()
        if series is None:
            raise NotFound("There is no such series.")
        bookings = booking_locks.slots_and_bookings(
            Q(series=series_id), Q(stands_for__series=series_id)
        )
        live = [b for b in _from(bookings, from_booking_id) if _can_be_cancelled(b, now=now)]
        if not live:
            raise BookingOver("Nothing of this series is to come.")
        items = cancellation.terms_of(live, actor=actor, keep_fee=keep_fee)
        too_late = [b for b in live if actor.kind == "customer" and _is_too_late(b, items, now=now)]
        going = [b for b in live if b not in too_late]
        if not going:
            cancelling.check_in_time(too_late[0], items.get(too_late[0].pk), now=now)
        cancellation.agree(
            going, items, actor=actor, accepted_fee=accepted_fee, keep_fee=keep_fee, now=now
        )
        said = booking_transitions.cancel(going, now=now, reason=reason, tell=False)
        outbox.emit_many([notices.series_cancelled(series, going, reason=reason, said=said)])
        op.rows = 2 * len(going)
    return Cancelled(series, going, too_late)


def _resource(organization: Organization, resource_id: uuid.UUID) -> Resource:
    found = booking_selectors.resources(organization.pk).filter(pk=resource_id).first()
    if found is None:
        raise NotFound("There is no such resource.")
    return found


def _length(resource: Resource, wish: Wish) -> timedelta:
    """How long each booking is: as said, or as long as the one slot that starts first, or would if
    it were not closed then."""
    if resource.mode == Resource.Mode.FREE_TIMES:
        if wish.minutes is None:
            raise Invalid("Say how long it is.", field="minutes")
        selectors_free_times.check_length(resource, timedelta(minutes=wish.minutes))
    if wish.minutes is not None:
        return timedelta(minutes=wish.minutes)
    slots = _offered(resource, [wish.starts_at])
    lengths = {s.ends_at - s.starts_at for s in slots} or _lengths_if_open(resource, wish)
    if not lengths:
        raise NotOffered("Nothing starts at that time. Choose a start that is offered.")
    if len(lengths) > 1:
        raise Invalid("Several slots start then; say how long it is.", field="minutes")
    return lengths.pop()


def _lengths_if_open(resource: Resource, wish: Wish) -> set[timedelta]:
    """How long what starts first would be if nothing had closed it: its slot, or its rule, says."""
    there = Slot.objects.filter(resource=resource, starts_at=wish.starts_at)
    closed = there.filter(status=SlotStatus.CLOSED).exclude(source=Slot.Source.FREE)
    found = {ends_at - wish.starts_at for ends_at in closed.values_list("ends_at", flat=True)}
    if found:
        return found
    since = wish.starts_at.date() - planning.REACH
    its = selectors_schedules.rules_of([resource], since=since)[resource.pk]
    start = _epoch(wish.starts_at)
    planned = planning.plan(its.versions, (), its.extras, start=start, end=start + 1)
    return {timedelta(seconds=p.ends_at - p.starts_at) for p in planned}


def _offered(resource: Resource, starts: Iterable[datetime]) -> list[Slot]:
    """The open slots of a resource that start at these moments; those of free times are not."""
    found = Slot.objects.filter(
        resource=resource, starts_at__in=list(starts), status=SlotStatus.OPEN
    ).exclude(source=Slot.Source.FREE)
    slots = list(found.order_by("starts_at", "ends_at"))
    for slot in slots:
        slot.resource = resource
    return slots


def _look(
    resource: Resource, wish: Wish, length: timedelta, *, overriding: bool, now: datetime
) -> list[Occurrence]:
    """The dates of a series, each with the slot that may be booked, or with why there is none."""
    dates = [Occurrence(*when) for when in occurrences(resource, wish)]
    for found in dates:
        if found.starts_at is None:
            continue
        try:
            if not overriding:
                rules.check_time(resource, found.starts_at, now=now)
        except TooSoon:
            found.outcome = Outcome.TOO_SOON
        except TooFarAhead:
            found.outcome = Outcome.TOO_FAR_AHEAD
        else:
            found.period = (found.starts_at, found.starts_at + length)
    wanted = [d for d in dates if d.period is not None]
    if resource.mode == Resource.Mode.FREE_TIMES:
        open_at = selectors_free_times.hours_at(resource, [d.period for d in wanted if d.period])
        for found, hours in zip(wanted, open_at, strict=True):
            found.hours = hours
    else:
        slots = {(s.starts_at, s.ends_at): s for s in _offered(resource, _starts(wanted))}
        for found in wanted:
            found.slot = slots.get(found.period) if found.period else None
    return dates


def _starts(dates: Iterable[Occurrence]) -> list[datetime]:
    return [d.starts_at for d in dates if d.starts_at is not None]


def occurrences(resource: Resource, wish: Wish) -> list[tuple[date, datetime | None]]:
    """The local days of a series, each with the moment when the clock shows its hour, if ever.

    An hour that comes twice is its first occurrence; that of the first start is as it was said.
    """
    zone = zoneinfo.ZoneInfo(resource.time_zone)
    first = wish.starts_at.astimezone(zone)
    at = first.time().replace(fold=0)
    found: list[tuple[date, datetime | None]] = [(first.date(), wish.starts_at)]
    for number in range(1, wish.times):
        day = first.date() + timedelta(weeks=wish.every_weeks * number)
        found.append((day, _moment(zone, day, at)))
    return found


def _moment(zone: zoneinfo.ZoneInfo, day: date, at: time) -> datetime | None:
    moment = datetime.fromtimestamp(planning.instant(zone, day, at), UTC)
    shown = moment.astimezone(zone).replace(tzinfo=None, fold=0)
    return moment if shown == datetime.combine(day, at.replace(microsecond=0)) else None


def _outcome(slot: Slot, left: booking_selectors.Availability, units: int) -> Outcome:
    if left.bookings > 0 and left.units >= units:
        return Outcome.FREE
    # Nobody is in it, and yet nothing is left: somebody is where it would be.
    return Outcome.TAKEN if not slot.taken_bookings and not left.units else Outcome.FULL


def _lock(resource: Resource, dates: Sequence[Occurrence]) -> list[Slot]:
    """Lock the slots of a series at once; one that changed since it was seen is closed now.

    Those of free times are made.
    """
    if resource.mode == Resource.Mode.FREE_TIMES:
        return _make(resource, [d for d in dates if d.hours is not None])
    locked = {s.pk: s for s in booking_locks.slots(d.slot.pk for d in dates if d.slot is not None)}
    found = []
    for one in dates:
        if one.slot is None:
            continue
        seen, one.slot = one.slot, locked.get(one.slot.pk)
        if one.slot is None or (one.slot.starts_at, one.slot.ends_at) != (
            seen.starts_at,
            seen.ends_at,
        ):
            one.slot = None
        else:
            found.append(one.slot)
    return found


def _make(resource: Resource, dates: Sequence[Occurrence]) -> list[Slot]:
    periods = [d.period for d in dates if d.period is not None]
    slots = free_times.make_slots(resource, periods, [d.hours for d in dates if d.hours])
    for found, period in zip(dates, periods, strict=True):
        found.slot = slots[period]
    return [slots[period] for period in periods]


def _clean_up(dates: Sequence[Occurrence], wish: Wish) -> None:
    """Leave no slot that was made for nobody, and say what a free time is that is not free."""
    refused = [d for d in dates if d.slot is not None and d.booking is None]
    free_times.drop_empty([d.slot for d in refused if d.slot])
    for found in refused:
        fits = found.slot is not None and wish.units <= found.slot.max_units
        if found.outcome == Outcome.FULL and fits:
            found.outcome = Outcome.TAKEN  # somebody has this very time
        found.slot = None


REFUSALS = (
    (SlotFull, Outcome.FULL),
    (LineFirst, Outcome.FULL),
    (ResourceTaken, Outcome.TAKEN),
    (SlotGone, Outcome.CLOSED),
)


def _tell_dates(
    dates: Sequence[Occurrence], bookings: Sequence[Booking], refused: dict[uuid.UUID, DomainError]
) -> None:
    by_slot = {b.slot_id: b for b in bookings}
    for found in dates:
        if found.slot is None:
            continue
        found.booking = by_slot.get(found.slot.pk)
        if found.booking is not None:
            found.outcome = Outcome.BOOKED
            continue
        error = refused[found.slot.pk]
        found.outcome = next(outcome for kind, outcome in REFUSALS if isinstance(error, kind))


def _not_free(dates: Sequence[Occurrence], bookings: Sequence[Booking]) -> SeriesNotFree:
    """What there is on each date, now that nothing is booked."""
    if bookings:
        words = f"Only {len(bookings)} of {len(dates)} dates are free. Nothing was booked."
    else:
        words = "None of these dates is free. Nothing was booked."
    return SeriesNotFree(
        words,
        dates=[
            {
                "date": d.date.isoformat(),
                "starts_at": d.starts_at.isoformat() if d.starts_at else None,
                "outcome": str(Outcome.FREE if d.outcome == Outcome.BOOKED else d.outcome),
            }
            for d in dates
        ],
    )


def _from(bookings: Sequence[Booking], first_id: uuid.UUID | None) -> list[Booking]:
    in_order = sorted(bookings, key=lambda b: (b.slot.starts_at, b.pk))
    if first_id is None:
        return in_order
    for place, booking in enumerate(in_order):
        if booking.pk == first_id:
            return in_order[place:]
    raise NotFound("There is no such booking in this series.")


def _can_be_cancelled(booking: Booking, *, now: datetime) -> bool:
    return BOOKING.allows("cancel", booking.status) and booking.slot.starts_at > now


def _is_too_late(booking: Booking, items: Mapping[uuid.UUID, CartItem], *, now: datetime) -> bool:
    try:
        cancelling.check_in_time(booking, items.get(booking.pk), now=now)
    except TooLate:
        return True
    return False
