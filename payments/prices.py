"""What a slot costs. Pure: rules in, money out."""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from django.utils.timezone import localtime

from bookings.models import Slot
from payments.models import CancellationPolicy, Price
from payments.models.price import MIDNIGHT

CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Quote:
    """The price of a booking: ``amount`` is to be paid, ``tax`` is the part that is tax.

    Cancelling is free until ``free_until_minutes`` before the start (None: at any time); after
    that ``late_fee`` of the amount is kept.
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
    late_fee: Decimal = Decimal("0.00")


def rule_for(slot: Slot, rules: Iterable[Price]) -> Price | None:
    """The rule that counts for a slot: highest priority, then newest; None means free."""
    start = localtime(slot.starts_at, zoneinfo.ZoneInfo(slot.resource.time_zone))
    fitting = [
        r
        for r in rules
        if r.resource_id == slot.resource_id
        and (not r.weekdays or start.isoweekday() in r.weekdays)
        and (r.from_time is None or start.time() >= r.from_time)
        and (r.until_time in (None, MIDNIGHT) or start.time() < r.until_time)
        and (r.valid_from is None or start.date() >= r.valid_from)
        and (r.valid_until is None or start.date() <= r.valid_until)
    ]
    return max(fitting, key=lambda r: (r.priority, r.created_at), default=None)


def quote(slot: Slot, units: int, rules: Iterable[Price]) -> Quote:
    """What ``units`` people in a slot cost, rounded half up to the cent."""
    rule = rule_for(slot, rules)
    if rule is None:
        zero = Decimal("0.00")
        return Quote("", zero, units, zero, zero, zero, zero, "EUR")
    quantity = units if rule.basis == Price.Basis.UNIT else 1
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
        late_fee=late_fee(terms, amount) if terms else Decimal("0.00"),
    )


def policy_of(rule: Price) -> CancellationPolicy | None:
    """What cancelling costs where this price counts; None: nothing."""
    found: CancellationPolicy | None = getattr(rule.resource, "cancellation_policy", None)
    return found


def late_fee(policy: CancellationPolicy, amount: Decimal) -> Decimal:
    """What is kept of an amount when it is cancelled late; never more than the amount."""
    return min(amount, max(_round(amount * policy.fee_percent / 100), policy.least_fee))


def _round(value: Decimal) -> Decimal:
    return value.quantize(CENT, rounding=ROUND_HALF_UP)
