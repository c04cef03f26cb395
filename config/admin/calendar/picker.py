"""Choosing a time: a resource, a day, and its slots with room and price (B6, F3)."""

from __future__ import annotations

import uuid
import zoneinfo
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from django.db.models import QuerySet
from django.utils.dateformat import format as date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from bookings import selectors
from bookings import selectors_free_times as free_times
from bookings.models import Resource, Slot
from bookings.selectors import Availability
from bookings.selectors_calendar import slots_of_day
from bookings.services.free_times import FreeTime
from config.admin.calendar import wanted
from config.admin.calendar.axis import Day
from payments.admin import show
from payments.prices import Quote
from payments.selectors import quotes


@dataclass(frozen=True, slots=True)
class Choice:
    """A time that can be chosen, or cannot and says why."""

    slot: Slot
    value: str
    hours: str
    fits: bool
    words: str
    price: str
    amount: Decimal
    difference: str = ""
    is_chosen: bool = False


@dataclass(frozen=True, slots=True)
class Picker:
    """The slots of a resource on a day."""

    resource: Resource
    day: date
    day_words: str
    zone: str
    choices: list[Choice]
    lengths: list[tuple[int, str]]  # in minutes, of a resource that is booked at free times
    minutes: int = 0

    @property
    def is_free(self) -> bool:
        return self.resource.mode == Resource.Mode.FREE_TIMES

    @property
    def any_fits(self) -> bool:
        return any(choice.fits for choice in self.choices)


class Wish(NamedTuple):
    """For how many a time is looked for, and what is known already; see :func:`pick`."""

    units: int
    chosen: uuid.UUID | FreeTime | None
    leaving: Slot | None
    paid: Decimal | None
    walk_in: bool


def pick(
    slots: QuerySet[Slot],
    *,
    resource: Resource,
    day: date,
    units: int,
    now: datetime,
    minutes: int = 0,
    chosen: uuid.UUID | FreeTime | None = None,
    leaving: Slot | None = None,
    paid: Decimal | None = None,
    walk_in: bool = False,
) -> Picker:
    """What can be chosen on a day, in at most five statements.

    Args:
        slots: as far as the person may see them.
        minutes: how long, where that is free; what the resource does not offer counts as not said.
        leaving: the slot a booking is moved away from; it is left out, and its own seats do
            not stand in the way of the others.
        paid: what the booking costs now, to say what the difference is.
        walk_in: what has started and is not over can be chosen too.
    """
    zone = zoneinfo.ZoneInfo(resource.time_zone)
    span = Day.of(day, zone)
    wish = Wish(units=units, chosen=chosen, leaving=leaving, paid=paid, walk_in=walk_in)
    lengths: list[int] = []
    if resource.mode == Resource.Mode.FREE_TIMES:
        lengths = free_times.lengths_of(resource)
        minutes = minutes if minutes in lengths else next(iter(lengths), 0)
        choices = _free_choices(resource, span, minutes, wish, zone=zone, now=now)
    else:
        choices = _slot_choices(slots, resource, span, wish, zone=zone, now=now)
    return Picker(
        resource=resource,
        day=day,
        day_words=date_format(day, "l, j F Y"),
        zone=resource.time_zone,
        choices=choices,
        lengths=[(length, duration(length)) for length in lengths],
        minutes=minutes if lengths else 0,
    )


def _slot_choices(
    slots: QuerySet[Slot],
    resource: Resource,
    span: Day,
    wish: Wish,
    *,
    zone: zoneinfo.ZoneInfo,
    now: datetime,
) -> list[Choice]:
    found = slots_of_day(
        slots,
        resource=resource,
        start=span.start,
        end=span.end,
        now=now,
        walk_in=wish.walk_in,
    )
    found = [slot for slot in found if wish.leaving is None or slot.pk != wish.leaving.pk]
    left = selectors.availability(found, now=now)
    prices = quotes(found, wish.units)
    choices = [_choice(slot, left[slot.pk], prices[slot.pk], zone, wish) for slot in found]
    return [_begun(choice, now) for choice in choices]


def _begun(choice: Choice, now: datetime) -> Choice:
    """Say of what has started that it has."""
    if choice.slot.starts_at > now:
        return choice
    return replace(choice, words=", ".join(filter(None, [_("has begun"), choice.words])))


def _free_choices(
    resource: Resource,
    span: Day,
    minutes: int,
    wish: Wish,
    *,
    zone: zoneinfo.ZoneInfo,
    now: datetime,
) -> list[Choice]:
    """The starts that are free for so long; the slot of each is only thought of."""
    leaving, paid = wish.leaving, wish.paid
    length = timedelta(minutes=minutes)
    starts = (
        free_times.starts_for_staff(
            resource,
            span.start,
            span.end,
            length,
            now=now,
            leaving=leaving.pk if leaving else None,
            walk_in=wish.walk_in,
        )
        if minutes
        else []
    )
    found = [
        Slot.at(resource, start, start + length, max_bookings=1, max_units=wish.units)
        for start in starts
    ]
    if leaving and leaving.resource_id == resource.pk:
        own = (leaving.starts_at, leaving.ends_at)
        found = [slot for slot in found if (slot.starts_at, slot.ends_at) != own]
    prices = quotes(found, wish.units)
    choices = []
    for slot in found:
        price = prices[slot.pk]
        free = FreeTime(resource.pk, slot.starts_at, minutes)
        choices.append(
            Choice(
                slot=slot,
                value=wanted.value_of(free),
                hours=hours(slot, zone),
                fits=True,
                words=_("overlaps its own time")
                if leaving and _may_be_in_its_own_way(slot, leaving)
                else "",
                price=_price(price),
                amount=price.amount,
                difference=difference(price, paid) if paid is not None else "",
                is_chosen=free == wish.chosen,
            )
        )
    return [_begun(choice, now) for choice in choices]


def _choice(
    slot: Slot,
    left: Availability,
    price: Quote,
    zone: zoneinfo.ZoneInfo,
    wish: Wish,
) -> Choice:
    units, leaving, paid = wish.units, wish.leaving, wish.paid
    # An exclusive resource that only this booking takes is free for it at a time beside.
    own = leaving is not None and _may_be_in_its_own_way(slot, leaving)
    fits = (left.bookings > 0 and left.units >= units) or (own and left.bookings == 0)
    if fits and left.bookings == 0:
        words = _("overlaps its own time")
    elif left.bookings <= 0 or left.units <= 0:
        words = _("full") if slot.taken_bookings else _("taken at this time")
    elif left.units < units:
        words = ngettext("only %d place left", "only %d places left", left.units) % left.units
    else:
        words = ngettext("%d place left", "%d places left", left.units) % left.units
    return Choice(
        slot=slot,
        value=wanted.value_of(slot.pk),
        hours=hours(slot, zone),
        fits=fits,
        words=words,
        price=_price(price),
        amount=price.amount,
        difference=difference(price, paid) if paid is not None else "",
        is_chosen=slot.pk == wish.chosen,
    )


def _may_be_in_its_own_way(slot: Slot, leaving: Slot) -> bool:
    return (
        slot.exclusive
        and slot.taken_bookings == 0
        and slot.resource_id == leaving.resource_id
        and leaving.busy_from < slot.busy_until
        and leaving.busy_until > slot.busy_from
    )


def _price(price: Quote) -> str:
    return show.money(price.amount, price.currency) if price.amount else _("free of charge")


def duration(minutes: int) -> str:
    """How long, in words."""
    full, rest = divmod(minutes, 60)
    if not full:
        return ngettext("%d minute", "%d minutes", rest) % rest
    words = ngettext("%d hour", "%d hours", full) % full
    return _("%(hours)s %(minutes)d minutes") % {"hours": words, "minutes": rest} if rest else words


def hours(slot: Slot, zone: zoneinfo.ZoneInfo) -> str:
    """From when to when; on the night the clocks go back, by which clock."""
    start, end = slot.starts_at.astimezone(zone), slot.ends_at.astimezone(zone)
    text = f"{start:%H:%M}–{end:%H:%M}"
    return text if start.utcoffset() == end.utcoffset() else f"{text} (UTC{start:%z} → {end:%z})"


def difference(price: Quote, paid: Decimal) -> str:
    """What a change of price means for the customer."""
    more = price.amount - paid
    if not more:
        return _("same price")
    amount = show.money(abs(more), price.currency)
    return (_("%s more") if more > 0 else _("%s less")) % amount


def resources_by_nearness(resources: Sequence[Resource], first: Resource | None) -> list[Resource]:
    """The resource of a booking, then those of its kind, then the others."""
    if first is None:
        return list(resources)
    return sorted(resources, key=lambda r: (r.pk != first.pk, r.kind != first.kind, r.name))
