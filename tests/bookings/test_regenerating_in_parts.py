"""What is too much for one transaction is done in parts, and is right after each of them (B2, B4, D7)."""

import threading
from contextlib import suppress
from unittest import mock

import psycopg
import pytest
from django.db import OperationalError, connection, transaction
from django.test.utils import CaptureQueriesContext

from audit.consistency.registry import Scope, registry
from bookings import selectors_schedules, slot_rows
from bookings.errors import PlanChanged
from bookings.models import Booking, Resource, Schedule, Slot
from bookings.regeneration import Plan
from bookings.services import regenerating, schedule_sweeps, schedules
from tests import factories as f
from tests.concurrency import interleave, lost, race
from tests.faults import cut_connection, other_session
from tests.invariants import assert_consistent
from tests.timetable import (
    DAY,
    NOW,
    TODAY,
    assert_follows,
    booked,
    change,
    offered,
    planned,
    regenerate,
    room,
    rule,
    slot_at,
    slots,
    somebody,
    statuses,
)
from tests.waitlist.line import join
from waitlist.services import serving

pytestmark = pytest.mark.django_db(transaction=True)

LATER = NOW + DAY / 24
FIRST, LAST = TODAY + DAY, TODAY + 4 * DAY


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    """Two days are too much."""
    monkeypatch.setattr(regenerating, "MOST_CHANGED", 12)
    monkeypatch.setattr(regenerating, "MOST_MADE", 12)


@pytest.fixture
def court():
    """Open from nine to five for six days, with people on the first and on the last of them."""
    made = room(horizon_days=5)
    change(made, rule())
    for day in (FIRST, LAST):
        booked(slot_at(made, day, 11))
    return made


def half_past():
    """All slots go, and others come."""
    return rule(from_time=rule().from_time.replace(minute=30))


def failing(strike, *, at):
    """The part with this number fails when its slots are locked."""
    original, calls = slot_rows.lock, []

    def lock(ids):
        calls.append(ids)
        if len(calls) == at:
            strike()
        original(ids)

    return mock.patch.object(slot_rows, "lock", lock)


def ill():
    raise OperationalError("the database is ill")


def killed():
    raise SystemExit


def failing_to_make(*, at):
    """The part with this number fails when its slots are made."""
    original, calls = slot_rows.create, []

    def create(planned):
        calls.append(1)
        if len(calls) == at:
            ill()
        original(planned)

    return mock.patch.object(slot_rows, "create", create)


def lose_all(resource):
    """But those with people."""
    Slot.objects.filter(resource=resource, taken_bookings=0).delete()


def regenerating_preview(resource, *rules):
    return schedules.preview_version(resource=resource, valid_from=TODAY, rules=rules, now=NOW)


def counted(**counts):
    nothing = Plan(Resource()).counts()
    return {**nothing, **counts}


def is_known_to_be_late(resource):
    return resource in selectors_schedules.out_of_date()


def nothing_is_wrong():
    assert_consistent()
    checks = registry.checks(["bookings.slots_follow_rules", "bookings.schedules_followed"])
    assert [p for check in checks for p in check.function(Scope(now=LATER))] == []


def sweep():
    return schedule_sweeps.follow(actor=f.SYSTEM, now=LATER)


@pytest.mark.parametrize("strike", [ill, cut_connection, killed], ids=lambda s: s.__name__)
def test_a_version_stands_when_a_part_fails_and_the_sweep_lets_the_other_slots_follow(
    court, strike
):
    Resource.objects.update(planned_at=NOW + DAY / 48)  # by a clock that is ahead of ours
    before, people = offered(court), list(Booking.objects.values_list("pk", "slot"))
    done = None

    with failing(strike, at=3), suppress(SystemExit):
        done = change(court, half_past())
    connection.close()

    assert Schedule.objects.filter(resource=court).count() == 2
    there = offered(court)
    assert before & there
    assert planned(court) & there
    assert list(Booking.objects.values_list("pk", "slot")) == people
    assert is_known_to_be_late(court)
    nothing_is_wrong()
    if strike is not killed:
        assert done.left is not None
        assert done.counts()["create"] == len(planned(court) & there)
        assert done.counts()["retire"] == 1
    assert sweep() == 1
    assert not is_known_to_be_late(court)
    assert_follows(court, now=LATER)
    assert {s.status for s in slots(court, taken_bookings=1)} == {"legacy"}


def test_a_regeneration_that_fails_is_gone_on_with_by_the_next_one(court):
    lose_all(court)

    with failing_to_make(at=3), pytest.raises(OperationalError):
        regenerate(court)

    made = len(offered(court))
    assert 0 < made < len(planned(court))
    assert_consistent()
    assert regenerate(court).counts()["create"] == len(planned(court)) - made
    assert_follows(court)


def test_what_is_done_in_parts_is_counted_together(court):
    said = regenerating_preview(court, half_past())

    done = change(court, half_past())

    assert done.left is None
    assert done.counts() == said.counts() == counted(create=42, delete=46, retire=2, bookings=2)
    assert [b.pk for b in done.affected] == [b.pk for b in said.affected]
    assert_follows(court)


def test_what_was_booked_since_the_preview_is_shown_first_and_nothing_is_done(court):
    said = regenerating_preview(court, half_past())
    booked(slot_at(court, LAST, 12))

    with pytest.raises(PlanChanged):
        change(court, half_past(), seen=said.seen)

    assert Schedule.objects.filter(resource=court).count() == 1
    assert_follows(court)


def test_in_the_transaction_of_a_caller_everything_is_done_at_once_or_not_at_all(court):
    before = offered(court)

    with suppress(ZeroDivisionError), transaction.atomic():
        assert change(court, half_past()).left is None
        assert offered(court) == planned(court)
        1 / 0  # noqa: B018

    assert offered(court) == before
    assert_follows(court)


def test_each_part_takes_as_many_statements_however_many_slots_are_in_it(monkeypatch):
    made = room(horizon_days=5)
    change(made, rule())

    def statements(*rules):
        """In each transaction: that of the version, those of the parts."""
        with CaptureQueriesContext(connection) as captured:
            change(made, *rules)
        each = " ".join(q["sql"].split()[0] for q in captured).split("COMMIT")
        return [len(one.split()) for one in each[1:-1]]

    few = statements(half_past())
    change(made, rule())
    monkeypatch.setattr(regenerating, "MOST_CHANGED", 24)
    monkeypatch.setattr(regenerating, "MOST_MADE", 24)
    many = statements(half_past())

    assert len(few) > len(many) > 1
    assert len({*few[:-1], *many[:-1]}) == 1
    assert few[-1] == many[-1] == few[0] + 1  # which says that all of them follow


# Beside others


def can_be_locked(slot):
    def look():
        with other_session(autocommit=False) as session:
            try:
                session.execute(
                    "SELECT 1 FROM bookings_slot WHERE id = %s FOR NO KEY UPDATE NOWAIT", [slot.pk]
                )
            except psycopg.errors.LockNotAvailable:
                return False
            return True

    return look


def test_while_a_part_is_open_the_slots_of_another_wait_for_nobody(court):
    early, late = slot_at(court, FIRST, 12), slot_at(court, LAST, 12)

    done, free = interleave(
        lambda: change(court, half_past()),
        after=(slot_rows, "lock"),
        second=lambda: [can_be_locked(slot)() for slot in (early, late)],
    )

    assert done.left is None
    assert free == [False, True]


def test_control_at_once_every_slot_that_goes_is_locked(court, monkeypatch):
    early, late = slot_at(court, FIRST, 12), slot_at(court, LAST, 12)
    monkeypatch.setattr(regenerating, "MOST_CHANGED", 1_000)
    monkeypatch.setattr(regenerating, "MOST_MADE", 1_000)

    _done, free = interleave(
        lambda: change(court, half_past()),
        after=(slot_rows, "lock"),
        second=lambda: [can_be_locked(slot)() for slot in (early, late)],
    )

    assert free == [False, False]


def test_who_books_while_another_part_is_open_keeps_the_slot(court):
    late = slot_at(court, LAST, 12)

    done, taken = interleave(
        lambda: change(court, half_past()),
        after=(slot_rows, "lock"),
        second=lambda: f.hold(somebody(court), late, now=NOW),
    )

    assert taken in done.affected
    assert done.counts()["retire"] == 3
    assert statuses([late]) == ["legacy"]
    assert_follows(court)


def test_regenerations_that_run_together_make_each_slot_once(court):
    lose_all(court)

    outcomes = race(*[lambda: regenerate(court)] * 4)

    assert lost(outcomes) == []
    assert sum(o.counts()["create"] for o in outcomes) == 46
    assert_follows(court)


def test_changes_regenerations_and_people_together_leave_nothing_half_done(court):
    wanted = [slot_at(court, day, 14) for day in (FIRST, LAST)]

    outcomes = race(
        lambda: change(court, half_past()),
        lambda: regenerate(court),
        lambda: change(court, rule(slot_minutes=45)),
        *[lambda s=s: f.hold(somebody(court), s, now=NOW) for s in wanted],
    )

    assert {getattr(o, "code", o) for o in lost(outcomes)} <= {"slot_gone", "not_found"}
    assert_follows(court)


def changed_by_one_who_dies(court):
    """Between two parts of a regeneration somebody makes a version, and does one part of it."""
    lose_all(court)
    mine, original, calls = threading.get_ident(), slot_rows.create, []

    def create(planned):
        if threading.get_ident() != mine:
            calls.append(1)
            if len(calls) == 2:
                raise SystemExit
        original(planned)

    with mock.patch.object(slot_rows, "create", create):
        return interleave(
            lambda: regenerate(court),
            after=(regenerating, "_write"),
            second=lambda: change(court, half_past()),
        )


def test_who_finds_other_rules_between_two_parts_begins_again(court):
    done, died = changed_by_one_who_dies(court)

    assert done.left is None
    assert isinstance(died, SystemExit)
    assert Schedule.objects.filter(resource=court).count() == 2
    assert_follows(court)


def test_control_without_that_the_first_part_stays_as_it_was_and_nobody_knows(court):
    with mock.patch.object(regenerating, "_known", return_value=()):
        changed_by_one_who_dies(court)

    assert offered(court) != planned(court)
    assert not is_known_to_be_late(court)


def test_the_line_is_served_in_the_transaction_of_the_part_that_frees_seats(monkeypatch):
    made = room(horizon_days=5)
    change(made, rule(max_bookings=1, max_units=1))
    late = slot_at(made, LAST, 11)
    booked(late)
    entry = join(late, now=NOW)
    broken = mock.patch.object(serving, "_offer", side_effect=ill)

    with broken:
        done = change(made, rule(max_bookings=2, max_units=2))

    assert done.left is not None
    late.refresh_from_db()
    assert late.max_bookings == 1
    assert slot_at(made, FIRST, 11).max_bookings == 2
    assert sweep() == 1
    late.refresh_from_db()
    entry.refresh_from_db()
    assert (late.max_bookings, entry.status) == (2, "offered")
    assert_consistent()
