"""What is charged by the hour: every minute costs what counts then, rounded once (A2, B1)."""

import zoneinfo
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from payments.prices import PARTS, Quote, quote, stretches
from tests.payments.test_prices import BERLIN, D, price, slot_at

MINUTE = timedelta(minutes=1)


def hourly(**fields: Any) -> Any:
    return price(**({"amount": D("10.00"), "basis": "hour"} | fields))


def lasting(start: datetime, minutes: int, zone: str = BERLIN) -> Any:
    slot = slot_at(start.astimezone(UTC), zone)
    slot.ends_at = slot.starts_at + minutes * MINUTE
    return slot


def on_monday(hour: int, minute: int = 0, *, minutes: int = 60) -> Any:
    start = datetime(2027, 1, 4, hour, minute, tzinfo=zoneinfo.ZoneInfo(BERLIN))
    return lasting(start, minutes)


DAY = hourly(name="Day")
PEAK = hourly(name="Peak", amount=D("40.00"), from_time=time(12), priority=5)


@pytest.mark.parametrize(
    ("minutes", "amount"), [(15, "2.50"), (60, "10.00"), (100, "16.67"), (240, "40.00")]
)
def test_longer_costs_more(minutes, amount):
    assert quote(on_monday(9, minutes=minutes), 1, [hourly(until_time=time(14))]).amount == D(
        amount
    )


def test_each_part_costs_what_counts_then():
    found = quote(on_monday(11, 45, minutes=240), 3, [PEAK, DAY])

    assert (found.amount, found.unit_price, found.quantity) == (D("152.50"), D("152.50"), 1)
    assert (found.name, found.by_time) == ("Day + Peak", True)


def test_per_person_and_hour_is_both():
    assert quote(on_monday(9, minutes=90), 4, [hourly(basis="unit_hour")]).amount == D("60.00")


def test_midnight_weekdays_and_dates_are_borders_too():
    tuesday = hourly(amount=D("20.00"), weekdays=[2], priority=1)
    wednesday = hourly(amount=D("50.00"), valid_from=date(2027, 1, 6), priority=9)

    # Two hours of Monday, all of Tuesday, three hours of Wednesday.
    found = quote(on_monday(22, minutes=(2 + 24 + 3) * 60), 1, [DAY, tuesday, wednesday])

    assert found.amount == 2 * 10 + 24 * 20 + 3 * 50


@pytest.mark.parametrize(
    ("day", "until", "amount"),
    [
        # From 01:00 to 04:00 on the wall; 40.00 an hour from 02:00 to 03:00, 10.00 otherwise.
        (date(2027, 3, 27), 180, 10 + 40 + 10),
        (date(2027, 3, 28), 120, 10 + 10),  # that hour does not exist
        (date(2027, 10, 31), 240, 10 + 2 * 40 + 10),  # it comes twice
    ],
)
def test_in_nights_when_the_clock_is_changed_the_minutes_that_pass_are_paid(day, until, amount):
    night = hourly(amount=D("40.00"), from_time=time(2), until_time=time(3), priority=1)
    start = datetime.combine(day, time(1), zoneinfo.ZoneInfo(BERLIN))

    assert quote(lasting(start, until), 1, [DAY, night]).amount == amount


# What cannot be added


def test_a_price_per_booking_counts_for_all_of_the_time_of_who_starts_then():
    flat = price(amount=D("15.00"), until_time=time(12), priority=9)

    assert quote(on_monday(11, 45, minutes=240), 1, [flat, PEAK]).amount == D("15.00")
    assert quote(on_monday(12, minutes=240), 1, [flat, PEAK]).amount == D("160.00")


@pytest.mark.parametrize("other", [price(basis="unit"), hourly(amount=D(1), currency="CHF")])
def test_what_cannot_be_added_leaves_the_price_by_time_as_it_is(other):
    other.from_time, other.priority = time(12), 9
    morning = hourly(name="Morning", until_time=time(12), amount=D("30.00"), priority=1)

    for rules, after in (([morning, other], "30.00"), ([morning, other, DAY], "10.00")):
        found = quote(on_monday(11, minutes=120), 1, rules)
        assert (found.amount, found.currency) == (D("30.00") + D(after), "EUR")


def test_where_no_price_counts_the_time_is_free():
    rules = [hourly(until_time=time(10)), hourly(from_time=time(12))]

    assert quote(on_monday(9, minutes=240), 1, rules).amount == D("20.00")
    assert quote(on_monday(10, minutes=180), 1, rules).amount == D("10.00")  # free at its start
    free = quote(on_monday(10, minutes=120), 1, rules)
    assert (free.amount, free.by_time) == (D(0), False)


# Rounding


def test_it_is_rounded_once_and_not_for_each_part():
    thirds = [
        hourly(amount=D("0.01"), from_time=time(n), until_time=time(n + 1)) for n in range(9, 12)
    ]

    # Three times 20 minutes would be three times nothing.
    assert quote(on_monday(9, minutes=20), 1, thirds).amount == D("0.00")
    assert quote(on_monday(9, 30, minutes=90), 1, thirds).amount == D("0.02")  # of 0.015


def test_tax_and_discount_are_those_of_each_part():
    full = hourly(tax_percent=D(19), until_time=time(12))
    less = hourly(amount=D("20.00"), tax_percent=D(7), discount_percent=D(50), from_time=time(12))

    found = quote(on_monday(11, minutes=120), 1, [full, less])

    assert (found.unit_price, found.discount, found.amount) == (D("30.00"), D("10.00"), D("20.00"))
    assert found.tax == D("2.25")  # 10 × 19/119 + 10 × 7/107 = 1.5966 + 0.6542
    assert found.tax_percent == D("12.68")  # what comes of it: 2.2508 of 17.7492


cents = st.integers(0, 100_000_000).map(lambda n: D(n) / 100)
percents = st.integers(0, 10_000).map(lambda n: D(n) / 100)


@given(amount=cents, off=percents, tax=percents, units=st.integers(1, 100))
def test_an_hour_of_one_price_costs_what_a_booking_at_it_does(amount, off, tax, units):
    fields = {"amount": amount, "discount_percent": off, "tax_percent": tax}
    by_time = quote(on_monday(9), units, [price(basis="unit_hour", **fields)])
    fixed = quote(on_monday(9), units, [price(basis="unit", **fields)])

    def money(found: Quote) -> Any:
        return found.amount, found.discount, found.tax, found.tax_percent

    assert money(by_time) == money(fixed)
    assert by_time.unit_price == fixed.unit_price * units


# Any prices, any nights

# Near the nights when the clock is changed: Berlin and New York, half an hour in Lord Howe, at
# midnight in Havana.
zones = st.sampled_from([BERLIN, "America/New_York", "Australia/Lord_Howe", "America/Havana"])
nights = st.sampled_from(
    [datetime(2027, month, day) for month, day in [(3, 14), (3, 28), (4, 3), (10, 31), (11, 7)]]  # noqa: DTZ001
)
starts = st.builds(
    lambda night, minutes: (night + minutes * MINUTE).replace(tzinfo=UTC),
    nights,
    st.integers(-1440, 2880),
)
lengths = st.integers(1, 3000)
hours = st.none() | st.builds(time, st.integers(0, 23), st.sampled_from([0, 1, 30]))


def some(*bases: str) -> Any:
    return st.lists(
        st.builds(
            price,
            amount=cents,
            basis=st.sampled_from(bases),
            currency=st.sampled_from(["EUR", "EUR", "CHF"]) if "unit" in bases else st.just("EUR"),
            discount_percent=percents,
            tax_percent=percents,
            weekdays=st.lists(st.integers(1, 7), max_size=3),
            from_time=hours,
            until_time=hours,
            valid_from=st.none() | st.dates(date(2027, 3, 13), date(2027, 4, 4)),
            priority=st.integers(0, 2),
            created_at=st.datetimes(timezones=st.just(UTC)),
        ),
        max_size=5,
    )


def minute_by_minute(slot: Any, units: int, rules: list[Any]) -> Fraction:
    """The same said in another way: ask the clock at every minute."""
    zone = zoneinfo.ZoneInfo(slot.resource.time_zone)
    total = Fraction(0)
    before, currency = None, None
    moment = slot.starts_at
    while moment < slot.ends_at:
        local = moment.astimezone(zone)
        clock = local.hour * 60 + local.minute

        def counts(rule: Any, local: datetime = local, clock: int = clock) -> bool:
            first, last = rule.from_time or time(0), rule.until_time or time(0)
            return (
                local.isoweekday() in (rule.weekdays or range(1, 8))
                and first.hour * 60 + first.minute <= clock
                and clock < (last.hour * 60 + last.minute or 1440)
                and local.date() >= (rule.valid_from or date.min)
            )

        there = sorted(filter(counts, rules), key=lambda r: (r.priority, r.created_at))
        by_time = [r for r in there if r.basis.endswith("hour")]
        added = [r for r in by_time if currency is None or r.currency == currency]
        rule = added[-1] if added else (before if there else None)
        if rule is not None:
            people = units if rule.basis == "unit_hour" else 1
            total += Fraction(rule.amount) * people / 60
            currency = currency or rule.currency
        before = rule
        moment += MINUTE
    return total


def exact(slot: Any, units: int, rules: list[Any]) -> Fraction:
    return Fraction(sum(s.gross(units) for s in stretches(slot, rules)), 100 * PARTS)


@given(
    start=starts,
    minutes=lengths,
    zone=zones,
    units=st.integers(1, 9),
    rules=some("booking", "unit", "hour", "unit_hour"),
)
def test_it_is_what_asking_the_clock_at_every_minute_comes_to(start, minutes, zone, units, rules):
    slot = lasting(start, minutes, zone)
    found = stretches(slot, rules)

    assert exact(slot, units, rules) == minute_by_minute(slot, units, rules)
    assert (found[0].starts_at, found[-1].ends_at) == (slot.starts_at, slot.ends_at)
    for one, other in pairwise(found):
        assert one.starts_at < one.ends_at == other.starts_at
        assert one.rule is not other.rule


@given(
    start=starts,
    minutes=lengths,
    zone=zones,
    units=st.integers(1, 9),
    rules=some("hour", "unit_hour"),
    data=st.data(),
)
def test_the_parts_of_a_time_cost_together_what_the_whole_does(
    start, minutes, zone, units, rules, data
):
    slot = lasting(start, minutes, zone)
    borders = [s.ends_at for s in stretches(slot, rules)[:-1]]
    anywhere = st.integers(1, minutes).map(lambda n: start + n * MINUTE)
    cut = data.draw(st.sampled_from(borders) if borders else anywhere)
    assume(slot.starts_at < cut < slot.ends_at)

    first, second = slot_at(slot.starts_at, zone), slot_at(cut, zone)
    first.ends_at, second.ends_at = cut, slot.ends_at
    assert exact(first, units, rules) + exact(second, units, rules) == exact(slot, units, rules)


@given(
    start=starts,
    minutes=lengths,
    zone=zones,
    units=st.integers(1, 9),
    rules=some("hour", "unit_hour"),
)
def test_whatever_the_prices_the_sum_adds_up_and_is_rounded_once(
    start, minutes, zone, units, rules
):
    slot = lasting(start, minutes, zone)

    found = quote(slot, units, rules)

    assert found.amount == found.unit_price * found.quantity - found.discount
    assert 0 <= found.tax <= found.amount <= found.unit_price
    assert abs(Fraction(found.unit_price) - exact(slot, units, rules)) <= Fraction(1, 200)
    for money in (found.amount, found.discount, found.tax, found.unit_price):
        assert money.as_tuple().exponent == Decimal("0.01").as_tuple().exponent
