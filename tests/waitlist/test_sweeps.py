"""The line by the clock: one bad row does not keep the others, and nobody is waited for (D7)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import InterfaceError, OperationalError, connection
from django.utils import timezone
from django.utils.translation import override
from structlog.testing import capture_logs

from audit.languages import in_words
from audit.models import OutboxEvent
from bookings import claiming
from bookings import locks as booking_locks
from bookings.models import Resource, Slot
from tests import factories as f
from tests.concurrency import interleave, lost, race
from tests.corruption import corrupt
from tests.faults import other_session, raising, striking
from tests.invariants import assert_consistent
from tests.payments.test_failures import state
from tests.waitlist.line import free, fresh, full_slot, join, offer_of, window
from waitlist import locks, tasks
from waitlist.models import Offer, WaitlistEntry, WaitlistPolicy
from waitlist.services import serving, sweeps
from waitlist.services.sweeps import end_overdue, serve_lines

pytestmark = pytest.mark.django_db


def beside_a_seat() -> WaitlistEntry:
    """Somebody who waits beside a free seat that only a sweep finds."""
    slot, _ = full_slot(starts_at=f.soon(72))
    entry = join(slot)
    Slot.objects.filter(pk=slot.pk).update(max_bookings=2, max_units=2)  # past the services
    return entry


def too_late() -> WaitlistEntry:
    """Somebody who waits for what nobody offers any more when ``end`` looks."""
    return join(full_slot()[0])


def too_late_for_any_time() -> WaitlistEntry:
    return join(window(full_slot()[0].resource, days=3))


def serve(**more: Any) -> int:
    return serve_lines(actor=f.SYSTEM, now=timezone.now(), **more)


def end(**more: Any) -> int:
    return end_overdue(actor=f.SYSTEM, now=timezone.now() + timedelta(days=4), **more)


def served(entries: list[WaitlistEntry]) -> list[bool]:
    return [fresh(e).status == "offered" for e in entries]


def ended(entries: list[WaitlistEntry]) -> list[bool]:
    return [fresh(e).status == "expired" for e in entries]


# What makes a row impossible, and what it then fails with


def of_another_house(entry: WaitlistEntry) -> Any:
    """The database refuses to write it."""
    stranger = f.CustomerFactory()
    corrupt(
        "UPDATE waitlist_waitlistentry SET customer_id = %s WHERE id = %s", [stranger.pk, entry.pk]
    )
    return entry.slot_id or entry.pk


def before_our_calendar(entry: WaitlistEntry) -> Any:
    """Its offers would end before the year 1."""
    WaitlistPolicy.objects.create(
        organization=entry.organization, offer_until_minutes=2_000_000_000
    )
    return entry.slot_id


def without_a_beginning(entry: WaitlistEntry) -> Any:
    """Nobody can tell its customer what it was for."""
    corrupt(
        "UPDATE waitlist_waitlistentry SET from_at = NULL WHERE id = %s",
        [entry.pk],
        drop=[("waitlist_waitlistentry", "waitlist_entry_is_for_a_slot_or_a_window")],
    )
    return entry.pk


def another_houses_entry(entry: WaitlistEntry) -> Any:
    of_another_house(entry)
    return entry.pk


each_poison = pytest.mark.parametrize(
    ("make", "poison", "sweep", "done", "error"),
    [
        (beside_a_seat, of_another_house, serve, served, "IntegrityError"),
        (beside_a_seat, before_our_calendar, serve, served, "OverflowError"),
        (too_late, another_houses_entry, end, ended, "IntegrityError"),
        (too_late_for_any_time, without_a_beginning, end, ended, "AssertionError"),
    ],
    ids=["serve, database", "serve, anything", "end, database", "end, anything"],
)
each_sweep = pytest.mark.parametrize(
    ("make", "sweep", "done"),
    [(beside_a_seat, serve, served), (too_late, end, ended), (too_late_for_any_time, end, ended)],
    ids=["serve", "end", "end any time"],
)


@each_poison
def test_one_row_that_cannot_be_done_does_not_keep_the_others(make, poison, sweep, done, error):
    entries = [make() for _ in range(4)]
    row = poison(entries[1])
    failed: dict[Any, str] = {}

    with capture_logs() as lines:
        sweep(failed=failed)

    assert failed == {row: error}
    assert done(entries) == [True, False, True, True]
    (line,) = [x for x in lines if x["event"] == "sweep_row_failed"]
    assert (line["row"], line["error_code"]) == (str(row), error)


@each_poison
def test_administrators_are_told_once_which_cannot_be_done_and_the_others_are_done(
    make, poison, sweep, done, error, settings, monkeypatch
):
    settings.ADMIN_ALERT_EMAILS = ["admin@example.com"]
    entries = [make() for _ in range(3)]
    row = poison(entries[0])
    monkeypatch.setattr(
        sweeps,
        "serve_lines" if sweep is serve else "end_overdue",
        lambda now, actor, **m: sweep(**m),
    )
    task = tasks.serve_lines if sweep is serve else tasks.end_overdue

    task()
    task()

    assert done(entries) == [False, True, True]
    (alert,) = OutboxEvent.objects.filter(kind="operation.failed")
    assert alert.payload["failed"] == [str(row)]
    assert alert.payload["error"] == error


@each_sweep
@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
def test_a_database_in_trouble_stops_the_sweep_and_blames_nobody(make, sweep, done, error):
    entries = [make() for _ in range(2)]
    failed: dict[Any, str] = {}

    with (
        pytest.raises(error, match="ill"),
        striking(5, raising(error("the database is ill"))),
    ):
        sweep(failed=failed)

    assert failed == {}
    assert done(entries) == [False, False]


@each_sweep
def test_twice_is_as_good_as_once(make, sweep, done):
    entries = [make() for _ in range(3)]
    sweep()
    assert done(entries) == [True] * 3
    once = state()

    assert sweep() == 0

    assert state() == once
    assert_consistent()


# Several at once


@each_sweep
@pytest.mark.django_db(transaction=True)
def test_of_two_sweeps_at_the_worst_moment_the_second_waits_for_nobody(make, sweep, done):
    entries = [make() for _ in range(3)]
    after = (
        (locks, "entries_nobody_holds")
        if make is too_late_for_any_time
        else (booking_locks, "slots_nobody_holds")
    )
    looked: list[bool] = []

    def second() -> int:
        found: int = sweep()
        looked.extend(done(entries))  # while the first still stands where it was
        return found

    outcomes = interleave(sweep, after=after, second=second)

    assert not lost(outcomes), outcomes
    assert looked == [False] * 3
    assert done(entries) == [True] * 3
    assert_consistent()


@each_sweep
@pytest.mark.django_db(transaction=True)
def test_many_sweeps_at_once_do_everything_once(make, sweep, done):
    entries = [make() for _ in range(8)]

    outcomes = race(*[partial(sweep, batch=3)] * 6)

    assert not lost(outcomes), outcomes
    while sweep(batch=3):
        pass
    assert done(entries) == [True] * 8
    kind = "waitlist.offered" if sweep is serve else "waitlist.closed"
    told = OutboxEvent.objects.filter(kind=kind).values_list("subject_id", flat=True)
    assert sorted(told) == sorted(str(e.pk) for e in entries)
    assert Offer.objects.count() == (8 if sweep is serve else 0)
    assert_consistent()


HELD: list[tuple[Callable[[], WaitlistEntry], str]] = [
    (beside_a_seat, "bookings_slot"),
    (beside_a_seat, "waitlist_waitlistentry"),
    (too_late, "bookings_slot"),
    (too_late, "waitlist_waitlistentry"),
    (too_late_for_any_time, "waitlist_waitlistentry"),
]


@pytest.mark.parametrize(("make", "table"), HELD, ids=lambda x: getattr(x, "__name__", x))
@pytest.mark.django_db(transaction=True)
def test_what_somebody_holds_is_passed_over_and_done_by_the_next_run(make, table):
    sweep, done = (serve, served) if make is beside_a_seat else (end, ended)
    entries = [make() for _ in range(3)]
    held = entries[1].slot_id if table == "bookings_slot" else entries[1].pk
    with other_session(autocommit=False) as session:
        session.execute(f"SELECT 1 FROM {table} WHERE id = %s FOR UPDATE", [held])
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = 2000")
        try:
            sweep()
        finally:
            with connection.cursor() as cursor:
                cursor.execute("RESET lock_timeout")
        assert done(entries) == [True, False, True]

    sweep()

    assert done(entries) == [True] * 3
    assert_consistent()


@pytest.mark.django_db(transaction=True)
def test_entries_that_somebody_holds_do_not_fill_every_batch():
    entries = sorted((too_late_for_any_time() for _ in range(4)), key=lambda e: e.pk)
    passed: set[Any] = set()
    with other_session(autocommit=False) as session:
        session.execute(
            "SELECT 1 FROM waitlist_waitlistentry WHERE id = ANY(%s) FOR UPDATE",
            [[e.pk for e in entries[:2]]],
        )
        assert [end(batch=2, passed=passed) for _ in range(3)] == [0, 2, 0]

    assert passed == {e.pk for e in entries[:2]}
    assert ended(entries) == [False, False, True, True]
    assert offer_of(entries[0]) is None


# How a place ends


@pytest.mark.parametrize("minutes", [61, 69, 71])
def test_seats_that_come_free_too_late_are_anybodys_and_nobody_is_told_otherwise(minutes: int):
    """What cannot be answered for ten minutes before the last hour is not offered any more."""
    slot, _ = full_slot(starts_at=f.soon(30))
    entry, party = join(slot), join(slot, units=1)
    then = slot.starts_at - timedelta(minutes=minutes)
    in_time = minutes > 70

    assert bool(claiming.open_lines([slot], now=then)) is in_time
    free(slot, now=then)

    if in_time:
        assert [fresh(e).status for e in (entry, party)] == ["offered", "waiting"]
        return
    for one in (entry, party):
        assert (fresh(one).status, one.ended_reason) == ("expired", serving.TOO_LATE)
    assert OutboxEvent.objects.filter(kind="waitlist.closed").count() == 2
    assert f.hold(f.CustomerFactory(organization=slot.organization), slot, now=then).pk
    slot.refresh_from_db()
    assert slot.line_units is None
    assert_consistent()


def test_a_place_ends_when_nothing_can_be_offered_any_more_and_not_before():
    slot, _ = full_slot(starts_at=f.soon(30))
    entry = join(slot)
    last = slot.starts_at - timedelta(minutes=70)

    assert end_overdue(actor=f.SYSTEM, now=last) == 0
    assert end_overdue(actor=f.SYSTEM, now=last + timedelta(seconds=1)) == 1

    assert (fresh(entry).status, entry.ended_reason) == ("expired", sweeps.OVER)


def with_a_seat(entry: WaitlistEntry) -> None:
    Slot.objects.filter(pk=entry.slot_id).update(max_bookings=2, max_units=2)


def retired(entry: WaitlistEntry) -> None:
    Slot.objects.filter(pk=entry.slot_id).update(status="legacy")


def closed(entry: WaitlistEntry) -> None:
    Slot.objects.filter(pk=entry.slot_id).update(status="closed")


def given_up(entry: WaitlistEntry) -> None:
    Resource.objects.filter(pk=entry.resource_id).update(is_active=False)


@pytest.mark.parametrize(
    ("happens", "words"),
    [
        (with_a_seat, serving.TOO_LATE),
        (retired, sweeps.GONE),
        (closed, sweeps.GONE),
        (given_up, sweeps.GONE),
    ],
)
def test_everybody_is_told_why_their_place_ended(happens: Any, words: str):
    entry, other = too_late(), too_late()
    happens(entry)

    end()

    assert [(fresh(e).status, e.ended_reason) for e in (entry, other)] == [
        ("expired", words),
        ("expired", sweeps.OVER),
    ]
    with override("de"):
        assert len({in_words(w) for w in (words, sweeps.OVER)} - {words, sweeps.OVER}) == 2
    assert_consistent()


def test_who_waits_for_what_is_not_offered_any_more_is_told_within_minutes():
    slot, _ = full_slot(starts_at=f.soon(72))
    entry = join(slot)
    retired(entry)

    end_overdue(actor=f.SYSTEM, now=timezone.now())

    assert (fresh(entry).status, entry.ended_reason) == ("expired", sweeps.GONE)
