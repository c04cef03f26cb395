"""What a slot costs: which price counts, and how it is rounded (A2)."""

import zoneinfo
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from payments.models import Price
from payments.prices import quote, rule_for
from tests import factories as f

BERLIN = "Europe/Berlin"
D = Decimal
RESOURCE = "the court"


def slot_at(starts_at: datetime, zone: str = BERLIN) -> Any:
    return SimpleNamespace(
        starts_at=starts_at,
        resource_id=RESOURCE,
        resource=SimpleNamespace(time_zone=zone),
    )


MONDAY_NOON = slot_at(datetime(2027, 1, 4, 11, 0, tzinfo=UTC))  # 12:00 in Berlin


def price(**fields: Any) -> Any:
    rule = Price(**({"amount": D("20.00")} | fields))
    rule.resource_id = RESOURCE
    Price._meta.get_field("resource").set_cached_value(rule, SimpleNamespace())  # type: ignore[arg-type]  # no terms
    rule.created_at = fields.get("created_at", datetime(2026, 1, 1, tzinfo=UTC))
    return rule


def test_without_a_price_it_is_free():
    found = quote(MONDAY_NOON, 3, [])

    assert (found.amount, found.tax, found.discount) == (D(0), D(0), D(0))


def test_the_price_of_another_resource_does_not_count():
    other = price()
    other.resource_id = "another court"

    assert rule_for(MONDAY_NOON, [other]) is None


FITTING = [
    ({}, True),
    ({"weekdays": [1]}, True),
    ({"weekdays": [2, 3, 4, 5, 6, 7]}, False),
    ({"from_time": time(12)}, True),
    ({"from_time": time(12, 1)}, False),
    ({"until_time": time(12)}, False),
    ({"until_time": time(12, 1)}, True),
    ({"from_time": time(11), "until_time": time(13)}, True),
    ({"from_time": time(11), "until_time": time(0)}, True),  # until the day is over
    ({"from_time": time(13), "until_time": time(0)}, False),
    ({"until_time": time(0)}, True),
    ({"valid_from": date(2027, 1, 4)}, True),
    ({"valid_from": date(2027, 1, 5)}, False),
    ({"valid_until": date(2027, 1, 4)}, True),
    ({"valid_until": date(2027, 1, 3)}, False),
]


@pytest.mark.parametrize(("fields", "fits"), FITTING)
def test_a_price_counts_on_its_days_and_hours(fields, fits):
    assert (rule_for(MONDAY_NOON, [price(**fields)]) is not None) == fits


def test_days_and_hours_are_those_of_the_resource():
    late = datetime(2027, 1, 3, 23, 30, tzinfo=UTC)  # Sunday in London, Monday in Berlin
    monday_night = price(weekdays=[1], from_time=time(0), until_time=time(1))

    assert rule_for(slot_at(late), [monday_night]) == monday_night
    assert rule_for(slot_at(late, "Europe/London"), [monday_night]) is None


@pytest.mark.parametrize("month", [1, 7])
def test_hours_follow_summer_time(month):
    evening = price(from_time=time(18))
    local = datetime(2027, month, 4, 18, 0, tzinfo=zoneinfo.ZoneInfo(BERLIN))

    assert rule_for(slot_at(local.astimezone(UTC)), [evening]) == evening
    assert rule_for(slot_at(local.astimezone(UTC) - timedelta(minutes=1)), [evening]) is None


def test_the_highest_priority_counts_and_of_several_the_newest():
    old = price(priority=1, created_at=datetime(2026, 1, 1, tzinfo=UTC))
    new = price(priority=1, created_at=datetime(2026, 2, 1, tzinfo=UTC))
    low = price(priority=0, created_at=datetime(2026, 3, 1, tzinfo=UTC))

    for rules in ([old, new, low], [low, new, old], [new, low, old]):
        assert rule_for(MONDAY_NOON, rules) is new


def test_a_price_that_does_not_fit_does_not_count_whatever_its_priority():
    base, sunday = price(), price(priority=9, weekdays=[7])

    assert rule_for(MONDAY_NOON, [base, sunday]) is base


@pytest.mark.parametrize(("basis", "amount"), [("booking", "20.00"), ("unit", "60.00")])
def test_a_price_is_per_booking_or_per_person(basis, amount):
    found = quote(MONDAY_NOON, 3, [price(basis=basis)])

    assert found.amount == D(amount)
    assert found.quantity == (3 if basis == "unit" else 1)


ROUNDING = [
    # amount, units, discount %, tax %, → discount, amount, tax
    ("20.00", 1, "0", "19", "0.00", "20.00", "3.19"),  # 3.1932…
    ("0.05", 1, "50", "0", "0.03", "0.02", "0.00"),  # 0.025 rounds up
    ("10.01", 1, "50", "0", "5.01", "5.00", "0.00"),
    ("0.01", 1, "49", "0", "0.00", "0.01", "0.00"),
    ("0.01", 1, "50", "0", "0.01", "0.00", "0.00"),
    ("33.33", 3, "33.33", "7", "33.33", "66.66", "4.36"),  # of 99.99: 33.326667
    ("100.00", 1, "100", "19", "100.00", "0.00", "0.00"),
    ("19.99", 1, "0", "100", "0.00", "19.99", "10.00"),  # 9.995 rounds up
]


@pytest.mark.parametrize(("each", "units", "off", "percent", "discount", "amount", "tax"), ROUNDING)
def test_cents_are_rounded_half_up_and_the_discount_first(
    each, units, off, percent, discount, amount, tax
):
    rule = price(amount=D(each), basis="unit", discount_percent=D(off), tax_percent=D(percent))

    found = quote(MONDAY_NOON, units, [rule])

    assert (found.discount, found.amount, found.tax) == (D(discount), D(amount), D(tax))


cents = st.integers(0, 100_000_000).map(lambda n: D(n) / 100)
percents = st.integers(0, 10_000).map(lambda n: D(n) / 100)


@given(
    amount=cents,
    units=st.integers(1, 10_000),
    basis=st.sampled_from(["booking", "unit"]),
    off=percents,
    tax=percents,
)
def test_the_parts_of_a_price_always_add_up(amount, units, basis, off, tax):
    rule = price(amount=amount, basis=basis, discount_percent=off, tax_percent=tax)

    found = quote(MONDAY_NOON, units, [rule])

    gross = found.unit_price * found.quantity
    assert found.amount + found.discount == gross
    assert 0 <= found.tax <= found.amount <= gross
    for money in (found.amount, found.discount, found.tax):
        assert money == money.quantize(D("0.01"))
    exact_tax = found.amount * tax / (100 + tax)
    assert abs(found.tax - exact_tax) <= D("0.005")
    assert abs(found.discount - gross * off / 100) <= D("0.005")


moments = st.datetimes(datetime(2026, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
rules_of_all_kinds = st.lists(
    st.builds(
        price,
        weekdays=st.lists(st.integers(1, 7), max_size=7),
        from_time=st.none() | st.times(),
        until_time=st.none() | st.times(),
        valid_from=st.none() | st.dates(date(2026, 1, 1), date(2028, 1, 1)),
        valid_until=st.none() | st.dates(date(2026, 1, 1), date(2028, 1, 1)),
        priority=st.integers(-2, 2),
        created_at=moments,
    ),
    max_size=6,
)
zones = st.sampled_from([BERLIN, "America/New_York", "Australia/Lord_Howe", "UTC"])


@given(starts_at=moments, zone=zones, rules=rules_of_all_kinds, data=st.data())
def test_whatever_the_order_of_the_prices_the_same_one_counts_and_it_fits(
    starts_at, zone, rules, data
):
    found: Any = rule_for(slot_at(starts_at, zone), rules)

    local = starts_at.astimezone(zoneinfo.ZoneInfo(zone))
    fitting = [
        r
        for r in rules
        if (not r.weekdays or local.weekday() + 1 in r.weekdays)
        and (r.from_time or time.min) <= local.time()
        and (r.until_time in (None, time.min) or local.time() < r.until_time)  # 00:00: all day
        and (r.valid_from or date.min) <= local.date() <= (r.valid_until or date.max)
    ]
    if not fitting:
        assert found is None
        return
    assert found in fitting
    assert found.priority == max(r.priority for r in fitting)
    same = [r.created_at for r in fitting if r.priority == found.priority]
    assert found.created_at == max(same)
    shuffled = data.draw(st.permutations(rules))
    again = rule_for(slot_at(starts_at, zone), shuffled)
    assert again is not None
    assert (again.priority, again.created_at) == (found.priority, found.created_at)


@pytest.mark.django_db
def test_hours_past_midnight_are_refused_where_they_would_never_count():
    made = f.PriceFactory.build(resource=f.ResourceFactory(), from_time=time(22))
    made.organization = made.resource.organization
    for until, passes in [(time(2), False), (time(22), False), (time(0), True), (time(23), True)]:
        made.until_time = until
        if passes:
            made.full_clean()
        else:
            with pytest.raises(ValidationError, match="two prices"):
                made.full_clean()
