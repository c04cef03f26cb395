"""What must never be done by two at a time is done by one (D6, D7)."""

from __future__ import annotations

from datetime import timedelta
from unittest import mock
from uuid import uuid4

import pytest
from django.db import OperationalError, connection, transaction
from django.db.models.functions import Now
from structlog.testing import capture_logs

from audit import leases
from audit.context import Actor
from audit.leases import LeaseLost, taken
from audit.models import Lease
from audit.observability import sweeps
from tests.concurrency import interleave, race
from tests.faults import cut_connection, other_session

pytestmark = pytest.mark.django_db(transaction=True)

WORK = "test.work"


def take_for_good():
    """Take it and never give it back, as one does who dies."""
    lease = leases.Lease(WORK, uuid4(), leases.LASTING)
    return lease if leases._take(lease) else None


def let_it_run_out():
    with other_session() as session:
        session.execute("UPDATE audit_lease SET until = clock_timestamp() - interval '1 ms'")


def test_who_comes_second_gets_nothing_until_the_first_gives_it_back():
    with taken(WORK) as first:
        assert first is not None
        with taken(WORK) as second:
            assert second is None
    with taken(WORK) as third:
        assert third is not None


def test_it_is_given_back_by_work_that_fails():
    with pytest.raises(ZeroDivisionError), taken(WORK):
        1 / 0  # noqa: B018

    with taken(WORK) as next_one:
        assert next_one is not None


def test_other_work_is_not_kept():
    with taken(WORK), taken("test.other") as other:
        assert other is not None


def test_of_many_at_once_one_gets_it():
    outcomes = race(*[take_for_good] * 8)

    assert len([o for o in outcomes if o]) == 1


def test_control_with_looking_first_and_writing_then_two_get_it():
    """What the one statement is for: between a look and a write there is room for another."""

    def look_and_write():
        lease = leases.Lease(WORK, uuid4(), leases.LASTING)
        found = Lease.objects.filter(name=WORK, until__gt=Now()).exists()
        if not found:
            with connection.cursor() as cursor:
                cursor.execute(leases._MAKE, [WORK, lease.holder, WORK])
                cursor.execute(
                    "UPDATE audit_lease SET holder = %s, until = now() + interval '4 min'",
                    [lease.holder],
                )
        return lease if not found else None

    first, second = interleave(look_and_write, after="SELECT", second=look_and_write)

    assert first is not None
    assert second is not None


def test_of_somebody_who_died_it_runs_out():
    dead = take_for_good()
    assert take_for_good() is None

    let_it_run_out()

    assert take_for_good() is not None
    with pytest.raises(LeaseLost), transaction.atomic():
        dead.renew()


def test_who_woke_up_late_goes_on_if_nobody_took_it():
    late = take_for_good()
    let_it_run_out()

    late.renew()

    assert take_for_good() is None


def test_it_lasts_again_from_each_renewal():
    lease = take_for_good()
    let_it_run_out()
    lease.renew()

    with connection.cursor() as cursor:
        cursor.execute("SELECT until - clock_timestamp() FROM audit_lease")
        (left,) = cursor.fetchone()
    assert leases.LASTING - timedelta(minutes=1) < left <= leases.LASTING


def test_nobody_takes_it_in_the_middle_of_a_transaction_of_its_holder():
    """Even if it ran out meanwhile: whoever holds it has not finished what they began."""
    lease = take_for_good()
    let_it_run_out()

    def work():
        with transaction.atomic():
            lease.renew()
        return True

    assert interleave(work, after="UPDATE audit_lease", second=take_for_good) == (True, None)


def test_whoever_finds_it_in_use_does_not_wait():
    take_for_good()
    let_it_run_out()

    with other_session(autocommit=False) as holder:
        holder.execute("UPDATE audit_lease SET until = clock_timestamp()")
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '50ms'")
            assert take_for_good() is None


def test_control_without_the_renewal_it_is_taken_in_the_middle():
    take_for_good()
    let_it_run_out()

    def work():
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT 'work'")
        return True

    _, second = interleave(work, after="'work'", second=take_for_good)
    assert second is not None


def test_work_whose_lease_was_lost_stops_and_changes_nothing():
    def work(lease):
        with transaction.atomic():
            lease.renew()
        let_it_run_out()
        assert take_for_good() is not None
        with transaction.atomic():
            lease.renew()
            raise AssertionError("it went on")

    with capture_logs() as lines:
        assert sweeps.run_alone(WORK, work) == 0

    assert "lease_lost" in {line["event"] for line in lines}
    assert take_for_good() is None  # it did not give back what is somebody else's


def test_a_lost_lease_is_no_row_s_fault():
    def act(row_id):
        raise LeaseLost(WORK)

    failed: dict = {}
    with pytest.raises(LeaseLost):
        sweeps.each(WORK, [uuid4()], act, failed=failed, blame=Exception)
    assert failed == {}


def test_a_database_that_goes_away_does_not_hide_why():
    def work():
        with taken(WORK), connection.cursor() as cursor:
            cut_connection()
            cursor.execute("SELECT 1")

    with pytest.raises(OperationalError):
        work()
    connection.close()

    assert take_for_good() is None  # until it runs out


def test_a_run_ends_after_a_minute_and_the_next_goes_on():
    clock = mock.Mock(side_effect=[0, *range(30, 300, 20)])
    with mock.patch.object(sweeps, "time", mock.Mock(monotonic=clock)):
        done = sweeps.run(WORK, lambda failed: 1, actor=Actor.system("test"))

    assert done == 3


def test_a_run_goes_on_while_it_passes_over_more():
    passed: set[int] = set()

    def batch(failed):
        passed.add(len(passed)) if len(passed) < 3 else None
        return 0

    assert sweeps.run(WORK, batch, actor=Actor.system("test"), passed=passed) == 0
    assert len(passed) == 3


def test_the_row_says_which_worker_has_it():
    take_for_good()

    found = Lease.objects.get()
    assert (found.name, str(found)) == (WORK, WORK)
    assert ":" in found.worker
