"""What is read of an iCalendar file of holidays, and what is refused or left out (B1)."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

import pytest
from dateutil.rrule import rrulestr  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.errors import Invalid
from bookings import holidays
from bookings.holidays import Holiday, Read

FIRST, LAST = date(2026, 1, 1), date(2028, 12, 31)
checked = settings(derandomize=True, deadline=None, max_examples=100, database=None)


def event(*lines: str, uid: str = "one", name: str = "Holiday of trees") -> str:
    head = [f"UID:{uid}"] if uid else []
    head += [f"SUMMARY:{name}"] if name else []
    return "\r\n".join(["BEGIN:VEVENT", *head, *lines, "END:VEVENT", ""])


def calendar(*events: str) -> bytes:
    body = "".join(events)
    return f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{body}END:VCALENDAR\r\n".encode()


def read(*events: str, first_day: date = FIRST, last_day: date = LAST) -> Read:
    return holidays.read(calendar(*events), first_day=first_day, last_day=last_day)


def days(*events: str) -> list[str]:
    """First and last days, when nothing is left out."""
    found = read(*events)
    assert found.skipped == []
    return [f"{h.first_day}/{h.last_day}" for h in found.holidays]


def one_left_out(*events: str) -> str:
    found = read(*events)
    assert found.holidays == []
    (left_out,) = found.skipped
    return left_out.reason


def on(first: str, last: str = "") -> tuple[str, ...]:
    return (f"DTSTART;VALUE=DATE:{first}", *([f"DTEND;VALUE=DATE:{last}"] if last else []))


# -- days -------------------------------------------------------------------------------------


def test_an_event_of_whole_days_is_a_holiday_and_its_end_is_not_included():
    found = read(event(*on("20261224", "20261227"), uid="x@y", name="Christmas"))

    assert found == Read([Holiday("x@y", "Christmas", date(2026, 12, 24), date(2026, 12, 26))], [])


@pytest.mark.parametrize(
    "lines",
    [
        on("20261225"),
        on("20261225", "20261226"),
        on("20261225", "20261225"),  # as some programs write it
        (*on("20261225"), "DURATION:P1D"),
        ("DTSTART:20261225T000000", "DTEND:20261226T000000"),
        (
            "DTSTART;TZID=Europe/Berlin:20261225T000000",
            "DTEND;TZID=Europe/Berlin:20261226T000000",
        ),
    ],
)
def test_a_single_day_is_read_however_it_is_written(lines):
    assert days(event(*lines)) == ["2026-12-25/2026-12-25"]


def test_holidays_come_in_order_of_their_days():
    found = days(
        event(*on("20261225"), uid="b"),
        event(*on("20260101"), uid="a"),
        event(*on("20270101"), uid="c"),
    )

    assert found == ["2026-01-01/2026-01-01", "2026-12-25/2026-12-25", "2027-01-01/2027-01-01"]


def test_an_event_that_only_reaches_into_the_range_is_read_whole():
    assert days(event(*on("20251224", "20260102"))) == ["2025-12-24/2026-01-01"]
    assert days(event(*on("20281231", "20290103"))) == ["2028-12-31/2029-01-02"]


def test_events_outside_the_range_are_left_out_and_named():
    for day in ("20251231", "20290101"):
        assert "no day between 2026-01-01 and 2028-12-31" in one_left_out(event(*on(day)))


@pytest.mark.parametrize(
    "lines",
    [
        ("DTSTART:20261225T100000", "DTEND:20261225T120000"),
        ("DTSTART:20261225T000000", "DTEND:20261225T120000"),
        ("DTSTART:20261225T000000",),
        ("DTSTART:20261225T000000", "DTEND:20261225T000000"),
        ("DTSTART:20261225T000000Z", "DTEND:20261226T000000Z"),  # midnight in Greenwich
        ("DTSTART;VALUE=DATE:20261225", "DTEND:20261225T120000"),
    ],
)
def test_events_with_hours_are_left_out(lines):
    assert one_left_out(event(*lines)) == "It has hours; only whole days are read."


def test_cancelled_events_are_left_out():
    assert one_left_out(event(*on("20261225"), "STATUS:CANCELLED")) == "It is cancelled."


def test_an_event_of_more_than_a_year_is_left_out():
    assert days(event(*on("20260101", "20270102"))) == ["2026-01-01/2027-01-01"]
    assert "367 days" in one_left_out(event(*on("20260101", "20270103")))


def test_what_is_left_out_is_named_with_its_day():
    found = read(
        event(*on("20261225"), name="Christmas"),
        event("DTSTART:20261231T200000", "DTEND:20261231T230000", uid="two", name="Party"),
    )

    assert [h.name for h in found.holidays] == ["Christmas"]
    assert [(s.name, s.day) for s in found.skipped] == [("Party", date(2026, 12, 31))]


def test_other_things_in_the_file_are_passed_over():
    todo = "BEGIN:VTODO\r\nUID:t\r\nSUMMARY:Buy\r\nEND:VTODO\r\n"

    assert days(todo, event(*on("20261225"))) == ["2026-12-25/2026-12-25"]
    assert read(todo) == Read([], [])


def test_the_events_of_several_calendars_in_one_file_are_read():
    both = calendar(event(*on("20261225"), uid="a")) + calendar(event(*on("20260101"), uid="b"))

    assert len(holidays.read(both, first_day=FIRST, last_day=LAST).holidays) == 2


# -- names and identifiers --------------------------------------------------------------------


def test_names_are_unfolded_cleaned_and_cut():
    (found,) = read(event(*on("20261225"), name="Fête\\, no\r\n ël\\n\x07 and on")).holidays
    assert found.name == "Fête, noël and on"
    (found,) = read(event(*on("20261225"), name="x" * 300)).holidays
    assert found.name == "x" * 200
    (found,) = read(event(*on("20261225"), name="")).holidays
    assert found.name == "Holiday"


def test_a_byte_order_mark_is_passed_over():
    data = b"\xef\xbb\xbf" + calendar(event(*on("20261225")))

    assert len(holidays.read(data, first_day=FIRST, last_day=LAST).holidays) == 1


def test_an_event_without_identifier_gets_one_that_stays_the_same():
    same = event(*on("20261225"), uid="", name="Christmas")
    other = event(*on("20261226"), uid="", name="Christmas")

    first, second = read(same, other).holidays

    assert first.uid != second.uid
    assert read(same).holidays == [first]


def test_a_long_identifier_is_shortened_and_stays_different():
    found = read(
        event(*on("20261225"), uid="u" * 300 + "1"), event(*on("20261226"), uid="u" * 300 + "2")
    ).holidays

    assert [len(h.uid) <= 255 for h in found] == [True, True]
    assert found[0].uid != found[1].uid


def test_of_two_events_with_one_identifier_the_second_is_left_out():
    found = read(event(*on("20261225")), event(*on("20261226")))

    assert [h.first_day for h in found.holidays] == [date(2026, 12, 25)]
    assert "same identifier" in found.skipped[0].reason


# -- every year -------------------------------------------------------------------------------


def test_a_yearly_event_is_a_holiday_in_each_year_of_the_range():
    found = read(event(*on("20151224", "20151227"), "RRULE:FREQ=YEARLY", uid="x")).holidays

    assert found == [
        Holiday(f"x/{year}-12-24", "Holiday of trees", date(year, 12, 24), date(year, 12, 26))
        for year in (2026, 2027, 2028)
    ]


def test_a_repeated_event_that_reaches_into_the_range_is_read():
    assert days(event(*on("20151230", "20160103"), "RRULE:FREQ=YEARLY"))[0] == (
        "2025-12-30/2026-01-02"
    )


RULES = [
    ("20200120", "FREQ=YEARLY;BYMONTH=1;BYDAY=3MO", ["2026-01-19", "2027-01-18", "2028-01-17"]),
    ("20200525", "FREQ=YEARLY;BYDAY=-1MO;BYMONTH=5", ["2026-05-25", "2027-05-31", "2028-05-29"]),
    (
        "20191231",
        "FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=-1",
        ["2026-12-31", "2027-12-31", "2028-12-31"],
    ),
    (
        "20200501",
        "FREQ=YEARLY;BYMONTH=5;BYMONTHDAY=1;WKST=SU",
        ["2026-05-01", "2027-05-01", "2028-05-01"],
    ),
    ("20200229", "FREQ=YEARLY", ["2028-02-29"]),
    ("20210501", "FREQ=YEARLY;INTERVAL=3", ["2027-05-01"]),
    ("20250501", "FREQ=YEARLY;COUNT=3", ["2026-05-01", "2027-05-01"]),
    ("20200501", "FREQ=YEARLY;UNTIL=20270501", ["2026-05-01", "2027-05-01"]),
    ("20200501", "FREQ=YEARLY;UNTIL=20270430T220000Z", ["2026-05-01"]),
]


@pytest.mark.parametrize(("first", "rule", "expected"), RULES)
def test_rules_of_holidays_are_understood(first, rule, expected):
    assert days(event(*on(first), f"RRULE:{rule}")) == [f"{day}/{day}" for day in expected]


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ("FREQ=MONTHLY", "not every year"),
        ("FREQ=DAILY;COUNT=3", "not every year"),
        ("FREQ=NONSENSE", "cannot be read"),
        ("FREQ=YEARLY;UNTIL=100000", "cannot be read"),
        ("FREQ=YEARLY;BYEASTER=1", "not understood"),
        ("FREQ=YEARLY;BYYEARDAY=1", "not understood"),
        ("FREQ=YEARLY;BYMONTH=1,5;BYMONTHDAY=1", "not understood"),
        ("FREQ=YEARLY;BYMONTHDAY=1", "not understood"),
        ("FREQ=YEARLY;BYDAY=1FR", "not understood"),
        ("FREQ=YEARLY;BYMONTH=5;BYDAY=FR", "not understood"),
        ("FREQ=YEARLY;BYMONTH=5;BYDAY=1FR;BYMONTHDAY=1", "not understood"),
        ("FREQ=YEARLY;BYMONTH=5;BYDAY=2FR", "not understood"),  # 1 May 2026 is the first one
        ("FREQ=YEARLY;BYMONTH=5L", "not understood"),
        ("FREQ=YEARLY;INTERVAL=0", "not understood"),
    ],
)
def test_rules_that_are_not_understood_are_left_out_and_named(rule, reason):
    assert reason in one_left_out(event(*on("20260501"), f"RRULE:{rule}"))


def test_days_may_be_taken_out_of_a_rule_and_added_to_it():
    assert days(
        event(
            *on("20200501"),
            "RRULE:FREQ=YEARLY",
            "EXDATE;VALUE=DATE:20260501",
            "EXDATE;VALUE=DATE:20250501,20280501",
            "RDATE;VALUE=DATE:20260502,20400101",
        )
    ) == ["2026-05-02/2026-05-02", "2027-05-01/2027-05-01"]
    assert days(event(*on("20260501"), "RDATE;VALUE=DATE:20270502")) == [
        "2026-05-01/2026-05-01",
        "2027-05-02/2027-05-02",
    ]
    periods = "RDATE;VALUE=PERIOD:20260501T000000Z/P1D"
    assert "periods" in one_left_out(event(*on("20260501"), periods))


def test_a_single_year_may_be_moved_or_cancelled():
    yearly = event(*on("20200501"), "RRULE:FREQ=YEARLY")
    moved = event(*on("20270503"), "RECURRENCE-ID;VALUE=DATE:20270501", name="Moved")
    gone = event(*on("20280501"), "RECURRENCE-ID;VALUE=DATE:20280501", "STATUS:CANCELLED")

    found = read(moved, yearly, gone)

    assert [(h.uid, h.name, h.first_day) for h in found.holidays] == [
        ("one/2026-05-01", "Holiday of trees", date(2026, 5, 1)),
        ("one/2027-05-01", "Moved", date(2027, 5, 3)),
    ]
    assert [s.reason for s in found.skipped] == ["It is cancelled."]


def test_a_change_of_all_later_years_is_left_out():
    changed = event(*on("20270503"), "RECURRENCE-ID;RANGE=THISANDFUTURE;VALUE=DATE:20270501")

    assert "all later days" in one_left_out(changed)


ordinals = st.builds(
    "{}{}".format, st.sampled_from([1, 2, 3, 4, 5, -1, -2, -5]), st.sampled_from(holidays.WEEKDAYS)
)


@checked
@given(
    st.integers(1990, 2027),
    st.integers(1, 12),
    st.one_of(ordinals, st.integers(-31, 31).filter(bool)),
    st.sampled_from(["", ";INTERVAL=2", ";INTERVAL=4", ";COUNT=1", ";COUNT=20", ";UNTIL=20270615"]),
)
def test_yearly_rules_mean_the_days_that_another_library_finds(year, month, which, more):
    part = "BYDAY" if isinstance(which, str) else "BYMONTHDAY"
    rule = f"FREQ=YEARLY;BYMONTH={month};{part}={which}"
    start = rrulestr(f"DTSTART:{year}0101T000000\nRRULE:{rule}")[0]
    every = rrulestr(f"DTSTART:{start:%Y%m%dT%H%M%S}\nRRULE:{rule}{more}")
    expected = [d.date() for d in every.between(*_around(FIRST, LAST), inc=True)]

    found = read(event(*on(f"{start:%Y%m%d}"), f"RRULE:{rule}{more}"))

    assert [h.first_day for h in found.holidays] == expected
    assert len(found.skipped) == (0 if expected else 1)


def _around(first: date, last: date):
    return datetime.combine(first, time(0)), datetime.combine(last, time(0))


# -- files that are refused -------------------------------------------------------------------


def refusal(data: bytes) -> str:
    with pytest.raises(Invalid) as refused:
        holidays.read(data, first_day=FIRST, last_day=LAST)
    assert refused.value.extra["errors"] == {"file": [refused.value.detail]}
    assert refused.value.detail.endswith("Nothing was read.")
    return refused.value.detail


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"/etc/hostname",
        b"\x89PNG\r\n\x1a\n",
        b"<!doctype html>\r\n<p>Sign in</p>\r\n",
        b"BEGIN:VCARD\r\nFN:Ada\r\nEND:VCARD\r\n",
        calendar(event(*on("20261225")))[:-20],
        calendar(event(*on("20261225")))[20:],
    ],
)
def test_what_is_no_whole_calendar_is_refused(data):
    assert "not a whole iCalendar file" in refusal(data)


def test_a_text_that_is_not_utf_8_is_refused_rather_than_garbled():
    data = calendar(event(*on("20261225"), name="Weihnachten für alle"))

    assert "UTF-8" in refusal(data.decode().encode("latin-1"))


def test_a_file_that_is_too_large_is_refused():
    small = calendar(event(*on("20261225")))
    padding = b" " * (holidays.MAX_BYTES - len(small))

    assert "larger than 1 MB" in refusal(small + padding + b" ")


def test_a_few_events_that_become_too_many_holidays_are_refused():
    days = ",".join(f"2026{month:02}{day:02}" for month in range(1, 13) for day in range(1, 29))
    many = [event(*on("20260101"), f"RDATE;VALUE=DATE:{days}", uid=f"{n}") for n in range(4)]

    assert "more than 1000 holidays" in refusal(calendar(*many))


def test_a_file_with_too_many_events_is_refused(monkeypatch):
    most = [event(*on("20261225"), uid=str(n)) for n in range(holidays.MAX_EVENTS)]

    monkeypatch.setattr(holidays, "MAX_HOLIDAYS", holidays.MAX_EVENTS)
    assert len(read(*most).holidays) == holidays.MAX_EVENTS
    assert "more than 2000 events" in refusal(calendar(*most, event(*on("20261225"))))
    folded = event(*on("20261225")).replace("BEGIN:VEVENT", "BEGIN:VE\r\n VENT")
    assert "more than 2000 events" in refusal(calendar(*most, folded))


@pytest.mark.parametrize(
    ("lines", "which"),
    [
        (on("20260230"), "DTSTART"),
        (on("soon"), "DTSTART"),
        ((), "DTSTART"),
        (("DTSTART:P1D",), "DTSTART"),
        ((*on("20261225"), *on("20261226")), "DTSTART"),
        (on("20261225", "20261301"), "DTEND"),
        ((*on("20261225"), "DURATION:20261226"), "DURATION"),
        ((*on("20261225"), "RRULE:FREQ=YEARLY", "EXDATE;VALUE=DATE:2026"), "EXDATE"),
    ],
)
def test_a_file_with_a_date_that_cannot_be_read_is_refused(lines, which):
    detail = refusal(calendar(event(*on("20260101"), uid="good"), event(*lines, name="Tree day")))

    assert "“Tree day”" in detail
    assert which in detail


@pytest.mark.parametrize(
    "lines",
    [
        on("20261225", "20261224"),
        ("DTSTART:20261225T100000", "DTEND:20261224T100000"),
        (*on("20261225"), "DURATION:-P2D"),
        (*on("99991231"), "DURATION:P99D"),
    ],
)
def test_an_event_that_ends_before_it_starts_or_never_is_refused(lines):
    assert "ends before it starts, or never" in refusal(calendar(event(*lines, name="Tree day")))


def test_the_last_day_of_all_is_no_trouble():
    far = event(*on("99991231"), "RRULE:FREQ=YEARLY")

    assert "no day between" in one_left_out(far)
    found = read(event(*on("99981230", "99990103"), "RRULE:FREQ=YEARLY"), last_day=date.max)
    assert [h.last_day for h in found.holidays] == [date(9999, 1, 2), date.max]


pieces = st.sampled_from(
    [
        *("BEGIN:VEVENT", "END:VEVENT", "BEGIN:VCALENDAR", "END:VCALENDAR", "UID:a", "SUMMARY:b"),
        *("DTSTART;VALUE=DATE:20260501", "DTSTART:20260501T000000", "DTSTART:100000", "DTSTART:"),
        *("DTEND;VALUE=DATE:20260502", "DTEND:20260502T000000Z", "DTEND:-P1D", "DURATION:P1D"),
        *("DTSTART:20260501T000000Z/P1D", "RDATE:100000", "EXDATE:20260501T000000Z", "EXDATE:P1D"),
        *("RRULE:FREQ=YEARLY", "RRULE:FREQ=YEARLY;UNTIL=100000", "RRULE:", "RRULE:X", "STATUS:"),
        *("RRULE:FREQ=YEARLY;BYMONTH=13", "RRULE:FREQ=YEARLY;BYMONTH=5;BYDAY=99MO", "SUMMARY:c"),
        *("RRULE:FREQ=YEARLY;COUNT=-1", "RRULE:FREQ=YEARLY;INTERVAL=99999999999", "UID:", "UID:d"),
        *("RECURRENCE-ID:20260501", "RECURRENCE-ID;RANGE=THISANDFUTURE:20260501", " folded", ":"),
        *("DTSTART;TZID=Nowhere/At_all:20260501T000000", "DTSTART;TZID=:20260501T000000", "\x00"),
    ]
)


starts = st.sampled_from(["DTSTART;VALUE=DATE:20260501", "DTSTART:20260501T000000"])


@settings(checked, max_examples=400)
@given(st.lists(starts, max_size=1), st.lists(pieces, max_size=4), st.lists(pieces, max_size=2))
def test_whatever_is_in_a_file_it_is_read_or_refused(start, within, after):
    lines = ["BEGIN:VCALENDAR", "BEGIN:VEVENT", *start, *within, "END:VEVENT", *after]
    data = "\r\n".join([*lines, "END:VCALENDAR", ""]).encode()

    try:
        found = holidays.read(data, first_day=FIRST, last_day=LAST)
    except Invalid:
        return  # any other exception fails the test

    for h in found.holidays:
        assert h.first_day <= h.last_day < h.first_day + timedelta(days=holidays.MAX_DAYS)
        assert h.first_day <= LAST
        assert h.last_day >= FIRST
        assert h.name
        assert h.uid
