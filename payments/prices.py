"""What a slot costs. Pure: rules in, money out.

The price that counts at the start says how a booking is charged. Per booking or per person, it is
for all of the time. By time, the slot is cut where another price begins to count, and each stretch
costs what the price by time that counts then says. What cannot be added to that (a price per
booking or per person, or one in another currency) counts only for who starts then: meanwhile the
next best price by time counts, and where there is none, the one before goes on. Where no price
counts at all, the time is free. See docs/decisions/0031-prices-by-time.md.
"""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from itertools import pairwise
from math import floor

from django.utils.timezone import localtime

from bookings.models import Slot
from payments.models import CancellationPolicy, Price
from payments.models.price import MIDNIGHT

CENT = Decimal("0.01")
ZERO = Decimal("0.00")
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
MICROSECOND = timedelta(microseconds=1)
PARTS = HOUR // MICROSECOND  # of a cent
WHOLE = 10_000  # hundredths of a percent
LONGEST_NAME = 100


@dataclass(frozen=True, slots=True)
class Quote:
    """The price of a booking: ``amount`` is to be paid, ``tax`` is the part that is tax.

    By time, ``unit_price`` is the sum for all of the time, ``quantity`` is 1, and ``name`` has the
    names of all prices in it. Cancelling is free until ``free_until_minutes`` before the start
    (None: at any time); after that ``late_fee`` of the amount is kept.
    """

    name: str
    unit_price: Decimal
    quantity: int
    discount: Decimal
    tax_percent: Decimal
    tax: Decimal
    amount: Decimal
    currency: str
    free_until_minutes: int | None = None
    late_fee: Decimal = ZERO
    by_time: bool = False


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a slot's time in which one price by time counts; without a rule it is free."""

    rule: Price | None
    starts_at: datetime
    ends_at: datetime

    def gross(self, units: int) -> int:
        """What it costs for so many people before any discount, exactly: in ``PARTS`` of a cent."""
        if self.rule is None:
            return 0
        per_hour = _hundredths(self.rule.amount) * self.rule.people(units)
        return per_hour * ((self.ends_at - self.starts_at) // MICROSECOND)


def rule_for(slot: Slot, rules: Iterable[Price]) -> Price | None:
    """The rule that counts at a slot's start: highest priority, then newest; None means free."""
    start = localtime(slot.starts_at, zoneinfo.ZoneInfo(slot.resource.time_zone))
    return _first(r for r in rules if r.resource_id == slot.resource_id and _fits(r, start))


def _first(rules: Iterable[Price]) -> Price | None:
    return max(rules, key=lambda r: (r.priority, r.created_at), default=None)


def _fits(rule: Price, local: datetime) -> bool:
    """Whether a rule counts when the clock of its resource shows this."""
    return (
        (not rule.weekdays or local.isoweekday() in rule.weekdays)
        and (rule.from_time is None or local.time() >= rule.from_time)
        and (rule.until_time in (None, MIDNIGHT) or local.time() < rule.until_time)
        and (rule.valid_from is None or local.date() >= rule.valid_from)
        and (rule.valid_until is None or local.date() <= rule.valid_until)
    )


def quote(slot: Slot, units: int, rules: Iterable[Price]) -> Quote:
    """What ``units`` people in a slot cost, rounded half up to the cent, once."""
    mine = [r for r in rules if r.resource_id == slot.resource_id]
    rule = rule_for(slot, mine)
    if rule is not None and not rule.is_by_time:
        return _fixed(rule, units)
    by_time = any(r.is_by_time for r in mine)
    charged = [s for s in stretches(slot, mine) if s.rule] if by_time else []
    if not charged:
        return Quote("", ZERO, units, ZERO, ZERO, ZERO, ZERO, "EUR")
    return _by_time(charged, units)


def _fixed(rule: Price, units: int) -> Quote:
    quantity = rule.people(units)
    gross = rule.amount * quantity
    discount = _round(gross * rule.discount_percent / 100)
    amount = _round(gross - discount)
    tax = _round(amount * rule.tax_percent / (100 + rule.tax_percent))
    terms = policy_of(rule)
    return Quote(
        name=rule.name,
        unit_price=rule.amount,
        quantity=quantity,
        discount=discount,
        tax_percent=rule.tax_percent,
        tax=tax,
        amount=amount,
        currency=rule.currency,
        free_until_minutes=terms.free_until_minutes if terms else None,
        late_fee=late_fee(terms, amount) if terms else ZERO,
    )


def _by_time(charged: Sequence[Stretch], units: int) -> Quote:
    """The sum of stretches. It and its discount are added up exactly, and rounded once each.

    Where the tax differs, it is split as the stretches are, and ``tax_percent`` is what comes of it.
    """
    parts = [(s.rule, s.gross(units)) for s in charged if s.rule]
    rule, _ = parts[0]
    off = [(r, gross * _hundredths(r.discount_percent)) for r, gross in parts]
    gross = _half_up(sum(n for _, n in parts), PARTS)
    discount = _half_up(sum(n for _, n in off), PARTS * WHOLE)
    amount = _money(gross - discount)
    percents = {r.tax_percent for r, _ in parts}
    if len(percents) == 1:
        percent = rule.tax_percent
        tax = _half_up((gross - discount) * _hundredths(percent), WHOLE + _hundredths(percent))
    else:
        nets = [(r, whole * WHOLE - less) for (r, whole), (_, less) in zip(parts, off, strict=True)]
        share = _share_of_tax(nets)
        tax = _half_up((gross - discount) * share.numerator, share.denominator)
        percent = _money(_half_up(WHOLE * share.numerator, share.denominator - share.numerator))
    terms = policy_of(rule)
    return Quote(
        name=" + ".join(dict.fromkeys(r.name for r, _ in parts))[:LONGEST_NAME],
        unit_price=_money(gross),
        quantity=1,
        discount=_money(discount),
        tax_percent=percent,
        tax=_money(tax),
        amount=amount,
        currency=rule.currency,
        free_until_minutes=terms.free_until_minutes if terms else None,
        late_fee=late_fee(terms, amount) if terms else ZERO,
        by_time=True,
    )


def _share_of_tax(nets: Sequence[tuple[Price, int]]) -> Fraction:
    """How much of a sum is tax, whose parts have each its own."""
    whole = sum(net for _, net in nets)
    percents = [(net, _hundredths(rule.tax_percent)) for rule, net in nets]
    taxes = sum((Fraction(net * its, WHOLE + its) for net, its in percents), Fraction(0))
    return taxes / whole if whole else Fraction(0)


def stretches(slot: Slot, rules: Iterable[Price]) -> list[Stretch]:
    """The time of a slot, cut where another price by time counts, in its order and without gaps.

    Which one counts is what the clock of the resource shows, also in the nights when it is changed;
    how long it counts is elapsed time.
    """
    zone = zoneinfo.ZoneInfo(slot.resource.time_zone)
    mine = [r for r in rules if r.resource_id == slot.resource_id]
    found: list[Stretch] = []
    going: Price | None = None
    currency = ""
    for begins, ends in pairwise(_cuts(slot, mine, zone)):
        local = localtime(begins, zone)
        fitting = [r for r in mine if _fits(r, local)]
        added = _first(r for r in fitting if r.is_by_time and currency in ("", r.currency))
        rule = added or (going if fitting else None)
        if found and rule is going:
            begins = found.pop().starts_at
        found.append(Stretch(rule, begins, ends))
        currency = currency or (rule.currency if rule else "")
        going = rule
    return found


def _cuts(slot: Slot, rules: Sequence[Price], zone: zoneinfo.ZoneInfo) -> Iterator[datetime]:
    """Where another price may begin to count, with the slot's start and end."""
    start, end = slot.starts_at.astimezone(UTC), slot.ends_at.astimezone(UTC)
    times = {MIDNIGHT, *(t for r in rules for t in (r.from_time, r.until_time) if t is not None)}
    in_order = sorted(times)
    # From one change of the clock to the next it goes evenly, so that a span on it is one of time.
    for begins, ends in pairwise([start, *_changes(start, end, zone), end]):
        wall = begins.astimezone(zone).replace(tzinfo=None)
        last = wall + (ends - begins)
        yield begins
        day = wall.date()
        while day <= last.date():
            for at in in_order:
                shown = datetime.combine(day, at)
                if wall < shown < last:
                    yield begins + (shown - wall)
            day += DAY
    yield end


def _changes(start: datetime, end: datetime, zone: zoneinfo.ZoneInfo) -> Iterator[datetime]:
    """When the clock is changed between two moments, which it is at most once in a day."""
    begins = start
    while begins < end:
        ends = min(begins + DAY, end)
        if _offset(begins, zone) != _offset(ends, zone):
            before, after = floor(begins.timestamp()), floor(ends.timestamp())
            while after - before > 1:
                middle = (before + after) // 2
                same = _offset(datetime.fromtimestamp(middle, UTC), zone) == _offset(begins, zone)
                before, after = (middle, after) if same else (before, middle)
            change = datetime.fromtimestamp(after, UTC)
            if change < end:
                yield change
        begins = ends


def _offset(moment: datetime, zone: zoneinfo.ZoneInfo) -> timedelta | None:
    return moment.astimezone(zone).utcoffset()


def policy_of(rule: Price) -> CancellationPolicy | None:
    """What cancelling costs where this price counts; None: nothing."""
    found: CancellationPolicy | None = getattr(rule.resource, "cancellation_policy", None)
    return found


def late_fee(policy: CancellationPolicy, amount: Decimal) -> Decimal:
    """What is kept of an amount when it is cancelled late; never more than the amount."""
    return min(amount, max(_round(amount * policy.fee_percent / 100), policy.least_fee))


def _round(value: Decimal) -> Decimal:
    return value.quantize(CENT, rounding=ROUND_HALF_UP)


def _hundredths(value: Decimal) -> int:
    """Cents of an amount, hundredths of a percentage: both have two digits."""
    return int(value.scaleb(2))


def _money(cents: int) -> Decimal:
    return Decimal(cents).scaleb(-2)


def _half_up(numerator: int, denominator: int) -> int:
    """The same as :func:`_round`, of an exact value that is not negative."""
    return (2 * numerator + denominator) // (2 * denominator)
