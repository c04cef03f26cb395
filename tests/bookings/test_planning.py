"""Which slots a schedule makes, through nights when the clock is changed and versions (B1, D1).

Examples say what docs/time.md says. Properties compare with an oracle that walks through UTC
minute by minute and looks at the clock on the wall, and never converts the other way.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bookings.planning import (
    Closure,
    Extra,
    Hours,
    Version,
    Window,
    instant,
    plan,
    version_on,
    windows,
)

BERLIN, NEW_YORK, TOKYO = "Europe/Berlin", "America/New_York", "Asia/Tokyo"
MON, TUE, WED = date(2027, 1, 4), date(2027, 1, 5), date(2027, 1, 6)
FORWARD, BACK = date(2027, 3, 28), date(2027, 10, 31)  # the nights in Berlin
DAY = timedelta(days=1)
LONG_AGO = date(1980, 1, 1)


def hours(of: str = "09:00-12:00", slot: int = 60, gap: int = 0, **fields) -> Hours:
    from_time, until_time = (time.fromisoformat(t) for t in of.split("-"))
    values: dict[str, Any] = {
        "weekdays": frozenset(),
        "from_time": from_time,
        "until_time": until_time,
        "slot_minutes": slot,
        "gap_minutes": gap,
        "buffer_before_minutes": 0,
        "buffer_after_minutes": 0,
        "max_bookings": 1,
        "max_units": 1,
        "valid_from": None,
        "valid_until": None,
    }
    return Hours(**values | fields)


def version(*rules: Hours, number=1, since=LONG_AGO, zone=BERLIN) -> Version:
    return Version(number, since, zone, rules)


def closed(first: date, last: date | None = None, of: str | None = None) -> Closure:
    both = [time.fromisoformat(t) for t in of.split("-")] if of else [None, None]
    return Closure(first, last or first, *both)


def extra(first: date, rule: Hours, last: date | None = None) -> Extra:
    return Extra(first, last or first, rule)


def at(day: date, wall: str, zone: str = BERLIN, *, fold: int = 0) -> int:
    """An instant by the standard library alone, for times that exist."""
    moment = datetime.combine(day, time.fromisoformat(wall), ZoneInfo(zone)).replace(fold=fold)
    back = moment.astimezone(UTC).astimezone(ZoneInfo(zone))
    assert back.replace(tzinfo=None) == moment.replace(tzinfo=None)
    return int(moment.timestamp())


def shown(seconds: int, zone: str = BERLIN) -> str:
    return f"{datetime.fromtimestamp(seconds, ZoneInfo(zone)):%H:%M}"


def planned(versions, first: date, days: int = 1, zone=BERLIN, closures=(), extras=()):
    """All slots that start on these local days."""
    if isinstance(versions, Version):
        versions = [versions]
    start, end = at(first, "00:00", zone), at(first + days * DAY, "00:00", zone)
    return plan(versions, closures, extras, start=start, end=end)


def times(slots, zone: str = BERLIN) -> list[str]:
    return [f"{shown(s.starts_at, zone)}-{shown(s.ends_at, zone)}" for s in slots]


def opened(versions, first: date, days: int = 1, closures=(), extras=()) -> list[str]:
    start, end = at(first, "00:00"), at(first + days * DAY, "00:00")
    found = windows(versions, closures, extras, start=start, end=end)
    return [f"{shown(w.opens_at)}-{shown(w.closes_at)}" for w in found]


# -- instants ---------------------------------------------------------------------------------

INSTANTS = [
    # zone, day, wall clock, the same in UTC
    (BERLIN, date(2027, 1, 4), "09:00", "2027-01-04 08:00"),
    (BERLIN, BACK, "02:30", "2027-10-31 00:30"),  # twice: the first
    (BERLIN, BACK, "02:00", "2027-10-31 00:00"),
    (BERLIN, BACK, "03:00", "2027-10-31 02:00"),
    (BERLIN, FORWARD, "02:00", "2027-03-28 01:00"),  # never: when the clock is put forward
    (BERLIN, FORWARD, "02:30", "2027-03-28 01:00"),
    (BERLIN, FORWARD, "03:00", "2027-03-28 01:00"),
    ("Australia/Lord_Howe", date(2027, 10, 3), "02:15", "2027-10-02 15:30"),  # by half an hour
    ("Australia/Lord_Howe", date(2027, 4, 4), "01:45", "2027-04-03 14:45"),
    ("Pacific/Apia", date(2011, 12, 30), "00:00", "2011-12-30 10:00"),  # a day left out
    ("Pacific/Apia", date(2011, 12, 30), "15:00", "2011-12-30 10:00"),
    ("Pacific/Apia", date(2011, 12, 31), "00:00", "2011-12-30 10:00"),
    ("Asia/Kathmandu", date(2027, 1, 4), "00:00", "2027-01-03 18:15"),
    ("America/Havana", date(2027, 3, 14), "00:00", "2027-03-14 05:00"),  # no midnight
    ("America/Havana", date(2026, 11, 1), "00:30", "2026-11-01 04:30"),  # midnight twice
    ("UTC", date(2027, 1, 4), "09:00", "2027-01-04 09:00"),
]


@pytest.mark.parametrize(("zone", "day", "wall", "utc"), INSTANTS)
def test_a_time_of_the_wall_is_the_first_instant_that_shows_it_or_a_later_one(zone, day, wall, utc):
    expected = datetime.fromisoformat(utc).replace(tzinfo=UTC)

    found = instant(ZoneInfo(zone), day, time.fromisoformat(wall))

    assert datetime.fromtimestamp(found, UTC) == expected


def test_fractions_of_a_second_are_dropped():
    assert instant(ZoneInfo(BERLIN), MON, time(9, 0, 0, 999_999)) == at(MON, "09:00")


# -- windows of a day -------------------------------------------------------------------------


def test_slots_follow_each_other_through_the_hours():
    assert times(planned(version(hours("09:00-12:00")), MON)) == [
        "09:00-10:00",
        "10:00-11:00",
        "11:00-12:00",
    ]


def test_a_gap_lies_between_slots_and_the_last_slot_ends_within_the_hours():
    assert times(planned(version(hours("09:00-12:00", slot=45, gap=15)), MON)) == [
        "09:00-09:45",
        "10:00-10:45",
        "11:00-11:45",
    ]
    assert times(planned(version(hours("09:00-11:44", slot=45, gap=15)), MON)) == [
        "09:00-09:45",
        "10:00-10:45",
    ]


def test_hours_shorter_than_a_slot_have_none():
    assert planned(version(hours("09:00-09:59")), MON) == []


def test_buffers_lie_around_the_slot_and_reach_out_of_the_hours_and_into_closures():
    rule = hours("09:00-10:00", buffer_before_minutes=10, buffer_after_minutes=20)

    (slot,) = planned(version(rule), MON, closures=[closed(MON, of="10:00-12:00")])

    assert (shown(slot.starts_at), shown(slot.ends_at)) == ("09:00", "10:00")
    assert (shown(slot.busy_from), shown(slot.busy_until)) == ("08:50", "10:20")


def test_a_slot_has_the_capacity_of_its_rule():
    (slot,) = planned(version(hours("09:00-10:00", max_bookings=4, max_units=12)), MON)

    assert (slot.max_bookings, slot.max_units) == (4, 12)


def test_weekdays_are_those_of_the_day_on_which_the_hours_start():
    night = version(hours("22:00-02:00", weekdays=frozenset({1})))

    assert times(planned(night, MON - DAY, days=1)) == []
    assert times(planned(night, MON, days=1)) == ["22:00-23:00", "23:00-00:00"]
    assert times(planned(night, TUE, days=1)) == ["00:00-01:00", "01:00-02:00"]


def test_no_weekdays_mean_every_day():
    assert len(planned(version(hours("09:00-10:00")), MON, days=14)) == 14
    some = hours("09:00-10:00", weekdays=frozenset({1, 7}))
    assert len(planned(version(some), MON, days=14)) == 4


def test_a_rule_counts_from_its_first_day_to_its_last():
    rule = hours("09:00-10:00", valid_from=TUE, valid_until=WED)

    found = planned(version(rule), MON, days=7)

    assert [slot.starts_at for slot in found] == [at(TUE, "09:00"), at(WED, "09:00")]


def test_equal_ends_are_24_hours():
    assert len(planned(version(hours("00:00-00:00")), MON)) == 24
    turn = version(hours("08:00-08:00", slot=480, weekdays=frozenset({1})))
    assert times(planned(turn, MON, days=2)) == ["08:00-16:00", "16:00-00:00", "00:00-08:00"]


def test_only_slots_that_start_in_the_range_are_planned():
    found = plan(
        [version(hours("09:00-12:00"))], [], [], start=at(MON, "09:01"), end=at(MON, "11:00")
    )

    assert times(found) == ["10:00-11:00"]


def test_an_empty_range_or_a_resource_without_rules_has_no_slots():
    rules = [version(hours("09:00-12:00"))]

    assert plan(rules, [], [], start=at(TUE, "00:00"), end=at(MON, "00:00")) == []
    assert planned([], MON, extras=[extra(MON, hours())]) == []
    assert (
        windows([], [], [extra(MON, hours())], start=at(MON, "00:00"), end=at(TUE, "00:00")) == []
    )


def test_rules_may_overlap_and_both_count():
    both = version(hours("09:00-11:00"), hours("09:30-10:30", slot=30))

    assert times(planned(both, MON)) == [
        "09:00-10:00",
        "09:30-10:00",
        "10:00-10:30",
        "10:00-11:00",
    ]


def test_of_equal_slots_of_two_rules_the_first_counts():
    both = version(
        hours("10:00-12:00", max_units=5), hours("09:00-11:00", max_units=9), hours("13:00-14:00")
    )

    found = planned(both, MON)

    assert times(found) == ["09:00-10:00", "10:00-11:00", "11:00-12:00", "13:00-14:00"]
    assert [slot.max_units for slot in found] == [9, 5, 5, 1]


def test_slots_of_any_number_of_overlapping_rules_come_in_order():
    three = version(
        hours("09:00-12:00"), hours("09:30-10:00", slot=30), hours("10:30-11:30", slot=60)
    )

    assert times(planned(three, MON)) == [
        "09:00-10:00",
        "09:30-10:00",
        "10:00-11:00",
        "10:30-11:30",
        "11:00-12:00",
    ]


@pytest.mark.parametrize(
    "nonsense",
    [
        {"slot": 0},
        {"gap": -1},
        {"buffer_before_minutes": -1},
        {"buffer_after_minutes": -1},
        {"max_bookings": 0},
        {"max_units": 0},
        {"weekdays": frozenset({0})},
        {"weekdays": frozenset({8})},
    ],
)
def test_hours_that_make_no_sense_are_refused(nonsense):
    with pytest.raises(ValueError, match=r"\."):
        hours(**nonsense)


def test_a_closure_with_one_time_is_refused():
    with pytest.raises(ValueError, match="both times"):
        Closure(MON, MON, time(9), None)


# -- nights when the clock is changed ----------------------------------------------------------


def test_a_whole_day_has_23_or_25_hours_when_the_clock_is_changed():
    whole = version(hours("00:00-00:00"))

    assert [len(planned(whole, day)) for day in (MON, FORWARD, BACK)] == [24, 23, 25]


def test_a_time_that_does_not_exist_has_no_slot():
    assert times(planned(version(hours("01:00-04:00")), FORWARD)) == ["01:00-03:00", "03:00-04:00"]
    assert planned(version(hours("02:30-03:00", slot=30)), FORWARD) == []
    assert planned(version(hours("02:00-03:00", slot=15)), FORWARD) == []


def test_hours_that_begin_in_a_time_that_does_not_exist_begin_when_the_clock_is_put_forward():
    assert times(planned(version(hours("02:30-04:30")), FORWARD)) == ["03:00-04:00"]


def test_an_hour_that_comes_twice_has_its_slots_twice():
    found = planned(version(hours("02:00-03:00")), BACK)

    assert times(found) == ["02:00-02:00", "02:00-03:00"]
    assert [s.starts_at for s in found] == [at(BACK, "02:00"), at(BACK, "02:00", fold=1)]
    assert [s.ends_at - s.starts_at for s in found] == [3600, 3600]


def test_hours_end_when_their_end_is_shown_for_the_first_time():
    (slot,) = planned(version(hours("01:30-02:30")), BACK)

    assert (slot.starts_at, slot.ends_at) == (at(BACK, "01:30"), at(BACK, "02:30"))


def test_slots_step_in_elapsed_time_through_the_change():
    found = planned(version(hours("00:00-06:00", slot=90)), BACK)

    assert times(found) == ["00:00-01:30", "01:30-02:00", "02:00-03:30", "03:30-05:00"]
    assert {s.ends_at - s.starts_at for s in found} == {5400}


def test_a_day_that_was_left_out_has_no_slots():
    whole = version(hours("00:00-00:00"), zone="Pacific/Apia")
    start, end = (at(date(2011, 12, day), "00:00", "Pacific/Apia") for day in (29, 31))

    found = plan([whole], [], [], start=start, end=end)

    assert len(found) == 24
    assert found[-1].ends_at == at(date(2011, 12, 31), "00:00", "Pacific/Apia")


# -- closures ---------------------------------------------------------------------------------


def test_a_closed_day_has_no_slots_and_its_neighbours_keep_theirs():
    found = planned(version(hours("09:00-10:00")), MON, days=3, closures=[closed(TUE)])

    assert [slot.starts_at for slot in found] == [at(MON, "09:00"), at(WED, "09:00")]


def test_a_slot_that_overlaps_a_closure_is_left_out_and_no_other_slot_moves():
    rule = version(hours("09:00-13:00", slot=45, gap=15))

    assert times(planned(rule, MON, closures=[closed(MON, of="10:44-11:30")])) == [
        "09:00-09:45",
        "12:00-12:45",
    ]
    assert len(planned(rule, MON, closures=[closed(MON, of="09:45-10:00")])) == 4


def test_hours_of_a_closure_count_on_each_of_its_days():
    rule = version(hours("11:00-14:00"))

    found = planned(rule, MON, days=3, closures=[closed(MON, TUE, of="12:00-13:00")])

    assert times(found) == ["11:00-12:00", "13:00-14:00"] * 2 + [
        "11:00-12:00",
        "12:00-13:00",
        "13:00-14:00",
    ]


def test_a_closure_through_midnight_ends_the_next_day():
    whole = version(hours("00:00-00:00"))

    found = planned(whole, MON, days=2, closures=[closed(MON, of="22:00-02:00")])

    assert len(found) == 44
    assert all(not at(MON, "22:00") <= s.starts_at < at(TUE, "02:00") for s in found)
    assert len(planned(whole, MON, days=3, closures=[closed(MON, of="10:00-10:00")])) == 48


def test_a_closed_day_ends_at_midnight_for_hours_that_run_into_it_and_out_of_it():
    night = version(hours("22:00-02:00"))

    found = planned(night, MON, days=3, closures=[closed(TUE)])

    assert [slot.starts_at for slot in found if slot.starts_at >= at(MON, "22:00")] == [
        at(MON, "22:00"),
        at(MON, "23:00"),
        at(WED, "00:00"),
        at(WED, "01:00"),
        at(WED, "22:00"),
        at(WED, "23:00"),
    ]


def test_closed_days_in_the_night_of_the_change_are_closed_for_all_their_hours():
    whole = version(hours("00:00-00:00"))

    for day in (FORWARD, BACK):
        found = planned(whole, day - DAY, days=3, closures=[closed(day)])
        assert len(found) == 48
        assert all(not at(day, "00:00") <= s.starts_at < at(day + DAY, "00:00") for s in found)


def test_closures_that_overlap_or_reach_to_the_end_of_time_are_no_trouble():
    rule = version(hours("09:00-10:00"))
    shut = [closed(TUE, date.max), closed(TUE, WED), closed(date.min, MON - DAY)]

    assert len(planned(rule, MON - 3 * DAY, days=10, closures=shut)) == 1


# -- extra hours ------------------------------------------------------------------------------


def test_extra_hours_open_a_closed_day():
    found = planned(
        version(hours("09:00-12:00")),
        MON,
        closures=[closed(MON)],
        extras=[extra(MON, hours("10:00-12:00", max_units=7))],
    )

    assert times(found) == ["10:00-11:00", "11:00-12:00"]
    assert {slot.max_units for slot in found} == {7}


def test_extra_hours_replace_the_regular_slots_they_overlap():
    found = planned(
        version(hours("09:00-13:00")), MON, extras=[extra(MON, hours("10:30-11:30", slot=30))]
    )

    assert times(found) == ["09:00-10:00", "10:30-11:00", "11:00-11:30", "12:00-13:00"]


def test_in_extra_hours_only_their_own_slots_count_even_where_they_have_none():
    found = planned(
        version(hours("09:00-12:00")), MON, extras=[extra(MON, hours("10:00-11:00", slot=45))]
    )

    assert times(found) == ["09:00-10:00", "10:00-10:45", "11:00-12:00"]


def test_weekdays_and_validity_of_extra_hours_are_not_looked_at():
    rule = hours("09:00-10:00", weekdays=frozenset({7}), valid_from=WED, valid_until=WED)

    assert times(planned(version(), MON, extras=[extra(MON, rule)])) == ["09:00-10:00"]


def test_extra_hours_count_on_each_of_their_days():
    found = planned(version(), MON, days=5, extras=[extra(TUE, hours("09:00-10:00"), WED)])

    assert [slot.starts_at for slot in found] == [at(TUE, "09:00"), at(WED, "09:00")]


def test_extra_hours_may_overlap_each_other_and_of_equal_slots_the_first_counts():
    found = planned(
        version(),
        MON,
        extras=[
            extra(MON, hours("09:00-11:00", max_units=2)),
            extra(MON, hours("10:00-12:00", max_units=3)),
        ],
    )

    assert times(found) == ["09:00-10:00", "10:00-11:00", "11:00-12:00"]
    assert [slot.max_units for slot in found] == [2, 2, 3]


def test_extra_hours_before_the_first_version_are_in_its_time_zone():
    first = version(hours("09:00-10:00"), since=WED, zone=TOKYO)
    second = version(number=2, since=WED + DAY, zone=NEW_YORK)

    found = planned([first, second], MON, days=4, extras=[extra(MON, hours("12:00-13:00"))])

    assert [slot.starts_at for slot in found] == [
        at(MON, "12:00", TOKYO),
        at(WED, "09:00", TOKYO),
    ]


# -- versions ---------------------------------------------------------------------------------


def test_on_a_day_counts_the_highest_number_that_has_begun():
    one = version(number=1, since=MON)
    two = version(number=2, since=WED)
    three = version(number=3, since=TUE)

    def counting(day, *versions):
        return getattr(version_on(versions, day), "number", None)

    assert counting(MON - DAY, one, two) is None
    assert [counting(day, one, two) for day in (MON, TUE, WED)] == [1, 1, 2]
    assert [counting(day, two, three, one) for day in (MON, TUE, WED)] == [1, 3, 3]


def test_a_new_version_replaces_everything_from_its_first_day_on():
    old = version(hours("09:00-10:00"), hours("20:00-21:00"))
    new = version(hours("10:00-11:00"), number=2, since=TUE)

    assert times(planned([new, old], MON, days=2)) == ["09:00-10:00", "20:00-21:00", "10:00-11:00"]


def test_before_the_first_version_nothing_is_open():
    assert planned(version(hours("09:00-10:00"), since=WED), MON, days=2) == []


def test_a_version_overtaken_before_it_began_never_counts():
    one = version(hours("09:00-10:00"))
    two = version(hours("12:00-13:00"), number=2, since=WED)
    three = version(hours("15:00-16:00"), number=3, since=TUE)

    assert times(planned([one, two, three], MON, days=3)) == [
        "09:00-10:00",
        "15:00-16:00",
        "15:00-16:00",
    ]


def test_a_night_of_the_old_version_ends_where_the_new_one_begins():
    old = version(hours("22:00-02:00"))
    new = version(hours("12:00-13:00"), number=2, since=TUE)

    assert times(planned([old, new], MON, days=2))[-3:] == [
        "22:00-23:00",
        "23:00-00:00",
        "12:00-13:00",
    ]


def test_a_slot_of_the_old_version_that_runs_into_the_new_one_stays_and_new_ones_give_way():
    old = version(hours("22:30-02:30", weekdays=frozenset({1})))
    new = version(hours("00:00-03:00"), number=2, since=TUE)

    assert times(planned([old, new], MON, days=2)) == [
        "22:30-23:30",
        "23:30-00:30",
        "01:00-02:00",
        "02:00-03:00",
    ]


def test_a_closed_slot_of_the_old_version_stands_in_nobodys_way():
    old = version(hours("22:30-02:30", weekdays=frozenset({1})))
    new = version(hours("00:00-03:00"), number=2, since=TUE)

    found = planned([old, new], MON, days=2, closures=[closed(MON, of="23:30-00:00")])

    assert times(found) == ["22:30-23:30", "00:00-01:00", "01:00-02:00", "02:00-03:00"]


def test_after_a_move_to_the_east_the_old_version_ends_when_the_new_day_begins_there():
    old = version(hours("00:00-00:00"), zone=NEW_YORK)
    new = version(hours("00:00-00:00"), number=2, since=TUE, zone=TOKYO)

    found = plan([old, new], [], [], start=at(MON, "00:00", TOKYO), end=at(WED, "00:00", TOKYO))

    assert [s.starts_at for s in found] == list(
        range(at(MON, "00:00", TOKYO), at(WED, "00:00", TOKYO), 3600)
    )


def test_after_a_move_to_the_west_nothing_is_open_until_the_new_day_begins_there():
    old = version(hours("00:00-00:00"), zone=TOKYO)
    new = version(hours("00:00-00:00"), number=2, since=TUE, zone=NEW_YORK)

    found = plan([old, new], [], [], start=at(MON, "00:00", TOKYO), end=at(WED, "00:00", TOKYO))

    assert [s.starts_at for s in found] == [
        *range(at(MON, "00:00", TOKYO), at(TUE, "00:00", TOKYO), 3600),
        *range(at(TUE, "00:00", NEW_YORK), at(WED, "00:00", TOKYO), 3600),
    ]


def test_closed_days_around_a_move_are_closed_without_a_break():
    old = version(hours("12:00-12:00"), zone=TOKYO)
    new = version(hours("00:00-00:00"), number=2, since=TUE, zone=NEW_YORK)

    found = plan(
        [old, new], [closed(MON, TUE)], [], start=at(MON, "00:00", TOKYO), end=at(WED, "12:00")
    )

    assert found[0].starts_at == at(WED, "00:00", NEW_YORK)


def test_extra_hours_around_a_move_do_not_overlap_themselves():
    versions = [version(zone=NEW_YORK), version(number=2, since=TUE, zone=TOKYO)]
    # Tuesday begins in Tokyo ten hours after Monday in New York: 13 slots, and a quarter left.
    found = plan(
        versions,
        [],
        [extra(MON, hours("00:00-00:00", slot=45), TUE)],
        start=at(MON, "00:00", NEW_YORK),
        end=at(WED, "00:00", TOKYO),
    )

    monday, tuesday = at(MON, "00:00", NEW_YORK), at(TUE, "00:00", TOKYO)
    assert [s.starts_at for s in found] == [
        *range(monday, monday + 13 * 2700, 2700),
        *range(tuesday, tuesday + 86400, 2700),
    ]


def test_a_later_version_may_begin_at_an_earlier_instant_in_the_east():
    west, east = "Pacific/Pago_Pago", "Pacific/Kiritimati"
    versions = [
        version(hours("00:00-00:00", max_units=1), zone=west),
        version(hours("00:00-00:00", max_units=2), number=2, since=TUE, zone=west),
        version(hours("00:00-00:00", max_units=3), number=3, since=WED, zone=east),
    ]  # the third begins on Tuesday at ten in Greenwich, the second at eleven

    found = plan(versions, [], [], start=at(TUE, "00:00", "UTC"), end=at(WED, "00:00", "UTC"))

    assert [(shown(s.starts_at, "UTC"), s.max_units) for s in found] == [
        (f"{hour:02}:00", 1 if hour < 10 else 3) for hour in range(24)
    ]


def test_a_version_between_does_not_hide_a_slot_that_is_not_over():
    versions = [
        version(hours("23:00-23:00", slot=1440), zone="UTC"),
        version(number=2, since=TUE, zone="UTC"),
        version(hours("00:00-00:00"), number=3, since=WED, zone="Pacific/Kiritimati"),
    ]

    found = plan(versions, [], [], start=at(MON, "12:00", "UTC"), end=at(WED, "02:00", "UTC"))

    assert [s.starts_at for s in found] == [
        at(MON, "23:00", "UTC"),  # until Tuesday at 23:00
        *range(at(TUE, "23:00", "UTC"), at(WED, "02:00", "UTC"), 3600),
    ]


def test_versions_that_follow_each_other_daily_give_the_same_for_any_range():
    # Each has one slot of 24 hours that starts an hour earlier than the one before, so that of
    # two versions the second gives way: every day depends on the day before.
    versions = [
        version(hours(f"{20 - n}:00-{20 - n}:00", slot=1440), number=n, since=MON + n * DAY)
        for n in range(11)
    ]

    whole = planned(versions, MON, days=11)

    assert [s.starts_at for s in whole] == [
        at(MON + n * DAY, f"{20 - n}:00") for n in range(0, 11, 2)
    ]
    assert [s for n in range(11) for s in planned(versions, MON + n * DAY)] == whole


# -- free times -------------------------------------------------------------------------------


def test_windows_are_the_hours_without_closures():
    rules = [version(hours("09:00-17:00"))]

    assert opened(rules, MON) == ["09:00-17:00"]
    assert opened(rules, MON, closures=[closed(MON, of="12:00-13:00")]) == [
        "09:00-12:00",
        "13:00-17:00",
    ]
    assert opened(rules, MON, closures=[closed(MON, of="08:00-10:00"), closed(TUE)]) == [
        "10:00-17:00"
    ]
    assert opened(rules, MON, closures=[closed(MON)]) == []


def test_a_rule_that_stands_there_twice_opens_one_window():
    assert opened([version(hours("09:00-17:00"), hours("09:00-17:00"))], MON) == ["09:00-17:00"]


def test_a_window_is_given_whole_and_with_its_rule():
    night = hours("22:00-02:00", weekdays=frozenset({1}))

    found = windows([version(night)], [], [], start=at(TUE, "01:00"), end=at(TUE, "01:01"))

    assert found == [Window(at(MON, "22:00"), at(TUE, "02:00"), night)]
    assert windows([version(night)], [], [], start=at(TUE, "02:00"), end=at(TUE, "09:00")) == []
    assert windows([version(night)], [], [], start=at(MON, "09:00"), end=at(MON, "22:00")) == []


def test_extra_hours_are_windows_of_their_own_cut_out_of_the_regular_ones():
    regular, more = hours("09:00-17:00"), hours("16:00-20:00", max_units=3)

    found = windows(
        [version(regular)],
        [closed(MON, of="12:00-18:00")],
        [extra(MON, more)],
        start=at(MON, "00:00"),
        end=at(TUE, "00:00"),
    )

    assert found == [
        Window(at(MON, "09:00"), at(MON, "12:00"), regular),
        Window(at(MON, "16:00"), at(MON, "20:00"), more),
    ]


def test_a_window_ends_where_the_next_version_begins():
    versions = [version(hours("22:00-02:00")), version(number=2, since=TUE)]

    assert opened(versions, MON, days=2) == ["22:00-02:00", "22:00-00:00"]


# -- any zone, any year: against an oracle that only looks at the clock -------------------------

ZONES = sorted(available_timezones())
checked = settings(derandomize=True, deadline=None, max_examples=60, database=None)


@cache
def zone_and_changes(name: str, year: int) -> tuple[ZoneInfo, list[date]]:
    """The zone, and the days of a year around which its offset changes."""
    zone = ZoneInfo(name)
    days = [date(year, 1, 1) + n * DAY for n in range(366)]
    offsets = [datetime.combine(day, time(12), UTC).astimezone(zone).utcoffset() for day in days]
    return zone, [day for day, (a, b) in zip(days, pairwise(offsets), strict=False) if a != b]


@st.composite
def places(draw) -> tuple[str, date]:
    """A zone and a day; often one on which the clock is changed, if there is one in that year."""
    name = draw(st.sampled_from(ZONES))
    year = draw(st.integers(1990, 2037))
    changes = zone_and_changes(name, year)[1]
    if changes and draw(st.integers(0, 3)):
        return name, draw(st.sampled_from(changes)) + draw(st.integers(-1, 1)) * DAY
    return name, date(year, 1, 1) + draw(st.integers(0, 364)) * DAY


walls = st.builds(time, st.integers(0, 23), st.sampled_from([0, 15, 30, 45]))
rules = st.builds(
    hours,
    st.builds("{:%H:%M}-{:%H:%M}".format, walls, walls),
    slot=st.sampled_from([5, 15, 25, 45, 60, 90, 480]),
    gap=st.sampled_from([0, 5, 60]),
    weekdays=st.sets(st.integers(1, 7), max_size=5).map(frozenset),
)


class Clock:
    """The clock on the wall of a zone, read at every minute of some days."""

    def __init__(self, name: str, day: date, days: int) -> None:
        begin = int(datetime.combine(day, time(0), UTC).timestamp()) - 2 * 86400
        zone = ZoneInfo(name)
        self.minutes = range(begin, begin + (days + 4) * 86400, 60)
        self.shows = [datetime.fromtimestamp(m, zone).replace(tzinfo=None) for m in self.minutes]

    def first(self, day: date, wall: time) -> int:
        """When it first shows this time or a later one."""
        wanted = datetime.combine(day, wall)
        return next(m for m, s in zip(self.minutes, self.shows, strict=True) if s >= wanted)

    def open_minutes(self, rule: Hours, day: date, days: int) -> set[int]:
        found: set[int] = set()
        for one in (day + n * DAY for n in range(days)):
            if not rule.weekdays or one.isoweekday() in rule.weekdays:
                last = one if rule.from_time < rule.until_time else one + DAY
                begins, ends = self.first(one, rule.from_time), self.first(last, rule.until_time)
                found.update(m for m in self.minutes if begins <= m < ends)
        return found


@checked
@given(places(), walls)
def test_any_instant_agrees_with_the_clock(place, wall):
    name, day = place

    assert instant(ZoneInfo(name), day, wall) == Clock(name, day, 1).first(day, wall)


@checked
@given(places(), rules)
def test_a_resource_is_open_in_exactly_the_minutes_of_its_hours(place, rule):
    name, day = place
    clock = Clock(name, day - DAY, 4)
    expected = clock.open_minutes(rule, day - DAY, 3)
    start, end = clock.first(day, time(0)), clock.first(day + DAY, time(0))
    assume(start < end)

    found = windows([version(rule, zone=name)], [], [], start=start, end=end)

    minutes = [m for w in found for m in range(w.opens_at, w.closes_at, 60)]
    assert len(minutes) == len(set(minutes))
    assert {m for m in minutes if start <= m < end} == {m for m in expected if start <= m < end}


@checked
@given(places(), rules)
def test_slots_fill_the_hours_from_their_start_and_never_overlap(place, rule):
    name, day = place
    clock = Clock(name, day - DAY, 4)
    found = plan(
        [version(rule, zone=name)],
        [],
        [],
        start=clock.first(day, time(0)),
        end=clock.first(day + DAY, time(0)),
    )
    expected = clock.open_minutes(rule, day - DAY, 3)

    step = (rule.slot_minutes + rule.gap_minutes) * 60
    openings = [clock.first(one, rule.from_time) for one in (day - DAY, day)]

    assert all(a.ends_at <= b.starts_at for a, b in pairwise(found))
    for slot in found:
        assert slot.ends_at - slot.starts_at == rule.slot_minutes * 60
        assert expected.issuperset(range(slot.starts_at, slot.ends_at, 60))
        assert any((slot.starts_at - opens) % step == 0 for opens in openings)


@checked
@given(places(), rules)
def test_where_the_clock_is_not_changed_slots_show_times_within_their_hours(place, rule):
    name, day = place
    clock = Clock(name, day, 2)
    assume(all(b - a == timedelta(minutes=1) for a, b in pairwise(clock.shows)))
    lasts, step = rule.slot_minutes, rule.slot_minutes + rule.gap_minutes
    opens = datetime.combine(day, rule.from_time)
    closes = datetime.combine(day, rule.until_time)
    closes += DAY if closes <= opens else timedelta(0)
    expected = []
    while opens + timedelta(minutes=lasts) <= closes:
        expected.append(opens)
        opens += timedelta(minutes=step)
    if rule.weekdays and day.isoweekday() not in rule.weekdays:
        expected = []

    found = plan(
        [version(replace(rule, valid_from=day, valid_until=day), zone=name)],
        [],
        [],
        start=clock.first(day, time(0)),
        end=clock.first(day + 2 * DAY, time(0)),
    )

    zone = ZoneInfo(name)
    walls_shown = [datetime.fromtimestamp(s.starts_at, zone).replace(tzinfo=None) for s in found]
    assert walls_shown == expected


@checked
@given(places(), st.integers(1, 40))
def test_a_rule_of_whole_days_covers_every_instant_once(place, days):
    name, day = place
    start, end = (instant(ZoneInfo(name), d, time(0)) for d in (day, day + days * DAY))
    whole = [version(hours("00:00-00:00", slot=5), zone=name)]

    slots = plan(whole, [], [], start=start, end=end)
    open_time = windows(whole, [], [], start=start, end=end)

    # Every day of these zones and years is a multiple of five minutes long.
    assert [s.starts_at for s in slots] == list(range(start, end, 300))
    assert all(a.closes_at == b.opens_at for a, b in pairwise(open_time))
    assert not open_time or (open_time[0].opens_at, open_time[-1].closes_at) == (start, end)


near = st.integers(-4, 4).map(lambda n: n * DAY)
spells = st.tuples(near, st.integers(0, 3).map(lambda n: n * DAY))


@st.composite
def schedules(draw):
    """Versions, closures and extra hours around a day, of a few zones; and an instant near it."""
    name, day = draw(places())
    zones = st.sampled_from([name, name, "Pacific/Kiritimati", "Pacific/Pago_Pago", BERLIN])
    starts = draw(st.lists(near, min_size=1, max_size=5))
    versions = [
        version(*draw(st.lists(rules, max_size=3)), number=n, since=day + by, zone=draw(zones))
        for n, by in enumerate([-30 * DAY, *starts])
    ]
    closures = [
        Closure(
            day + by, day + by + length, *(draw(st.tuples(walls, walls)) if timed else (None, None))
        )
        for (by, length), timed in draw(st.lists(st.tuples(spells, st.booleans()), max_size=3))
    ]
    extras = [
        Extra(day + by, day + by + length, rule)
        for (by, length), rule in draw(st.lists(st.tuples(spells, rules), max_size=2))
    ]
    middle = int(datetime.combine(day, draw(walls), UTC).timestamp())
    return versions, closures, extras, middle


@checked
@given(schedules(), st.integers(0, 6 * 86400), st.integers(0, 6 * 86400))
def test_ranges_that_adjoin_give_the_slots_of_the_whole(schedule, before, after):
    *rules_of_it, middle = schedule
    a, c = middle - before, middle + after

    whole = plan(*rules_of_it, start=a, end=c)

    assert (
        plan(*rules_of_it, start=a, end=middle) + plan(*rules_of_it, start=middle, end=c) == whole
    )
    assert whole == sorted(whole, key=lambda s: s[:2])
    assert len({s[:2] for s in whole}) == len(whole)
    assert all(a <= s.starts_at < c for s in whole)


@checked
@given(schedules())
def test_the_slots_of_a_resource_lie_in_its_windows_or_run_over_from_an_old_version(schedule):
    versions, closures, extras, middle = schedule
    span = {"start": middle - 6 * 86400, "end": middle + 6 * 86400}
    ends = {instant(ZoneInfo(v.time_zone), v.valid_from, time(0)) for v in versions}

    found = windows(versions, closures, extras, **span)

    for s in plan(versions, closures, extras, **span):
        within = [w for w in found if w.opens_at <= s.starts_at < w.closes_at]
        assert within
        if not any(s.ends_at <= w.closes_at for w in within):
            assert any(s.starts_at < e < s.ends_at for e in ends)


@checked
@given(schedules())
def test_no_slot_overlaps_a_closure_nor_extra_hours_that_are_not_its_own(schedule):
    versions, closures, extras, middle = schedule
    span = {"start": middle - 6 * 86400, "end": middle + 6 * 86400}
    only_extra = [replace(v, hours=()) for v in versions]

    own = windows(only_extra, [], extras, **span)
    added = set(plan(only_extra, [], extras, **span))
    regular = [s for s in plan(versions, closures, extras, **span) if s not in added]

    assert added == set(plan(only_extra, closures, extras, **span))
    assert not [
        s for s in regular for w in own if s.starts_at < w.closes_at and w.opens_at < s.ends_at
    ]
    for c in closures:
        for day in (c.first_day + n * DAY for n in range((c.last_day - c.first_day).days + 1)):
            zone = ZoneInfo(version_on(versions, day).time_zone)
            if c.from_time is None:
                begins, ends = instant(zone, day, time(0)), instant(zone, day + DAY, time(0))
            else:
                last = day if c.from_time < c.until_time else day + DAY
                begins, ends = instant(zone, day, c.from_time), instant(zone, last, c.until_time)
            assert not [s for s in regular if s.starts_at < ends and begins < s.ends_at]


@checked
@given(schedules())
def test_slots_of_one_version_never_overlap_slots_of_another(schedule):
    versions, closures, _, middle = schedule
    marked = [
        replace(v, hours=tuple(replace(h, max_units=v.number + 1) for h in v.hours))
        for v in versions
    ]

    found = plan(marked, closures, [], start=middle - 6 * 86400, end=middle + 6 * 86400)

    for index, one in enumerate(found):
        for other in found[index + 1 :]:
            if other.starts_at >= one.ends_at:
                break
            assert one.max_units == other.max_units
