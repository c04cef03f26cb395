"""What is not paid in time ends, and gives its seats back. Serves D6, D7, A7, C9.

The deadline is what the API shows as ``expires_at`` and what "hours until an unpaid booking
expires" promises.
"""

from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from audit.models import OutboxEvent
from bookings.models import Booking, Slot
from config.celery import CELERY_BEAT_SCHEDULE
from payments import locks, tasks
from payments.models import CartItem, CartTransaction
from payments.services import cancellation, decisions, expiry
from tests import factories as f
from tests.corruption import corrupt
from tests.faults import raising, striking
from tests.invariants import assert_consistent, everything

pytestmark = pytest.mark.django_db

SECOND = timedelta(seconds=1)


@pytest.fixture
def room():
    resource: Any = f.ResourceFactory()
    f.PriceFactory(resource=resource)
    return resource


def order(room, count=1, **kwargs):
    customer: Any = f.CustomerFactory(organization=room.organization)
    start = f.soon(100 + 10 * Slot.objects.filter(resource=room).count())
    return f.check_out(customer, *f.make_slots(room, count, start=start), **kwargs)


def expire(now, **kwargs):
    return expiry.expire_unpaid(actor=f.SYSTEM, now=now, **kwargs)


def statuses(transaction):
    """Of the transaction, its bookings and its items."""
    transaction.refresh_from_db()
    items = CartItem.objects.filter(transaction=transaction)
    return (
        transaction.status,
        set(items.values_list("booking__status", flat=True)),
        set(items.values_list("status", flat=True)),
    )


EXPIRED = ("expired", {"expired"}, {"expired"})
PENDING = ("pending", {"pending"}, {"checked_out"})


def test_at_its_deadline_an_unpaid_order_ends_with_all_that_is_in_it(room):
    made = order(room, 3)
    assert made.due_at == made.created_at + timedelta(hours=room.organization.pending_hours)

    assert expire(made.due_at) == 1

    assert statuses(made) == EXPIRED
    assert (made.ended_at, made.decision_reason) == (made.due_at, "Not paid in time.")
    assert set(Slot.objects.values_list("taken_bookings", "taken_units")) == {(0, 0)}
    line = CartTransaction.history.filter(id=made.pk).latest("history_id")
    assert (line.actor_label, line.status) == (f.SYSTEM.label, "expired")
    assert line.history_change_reason == "The time to pay ran out."
    assert_consistent()


def test_before_its_deadline_nothing_happens_to_it(room):
    made = order(room)
    before = everything()

    assert expire(made.due_at - SECOND) == 0

    assert everything() == before


def test_a_second_sweep_finds_nothing_to_do(room):
    made = order(room)
    expire(made.due_at)
    before = everything()

    assert expire(made.due_at) == 0

    assert everything() == before


def test_one_message_names_all_bookings_and_the_reason(room):
    made = order(room, 3)

    expire(made.due_at)

    (told,) = OutboxEvent.objects.filter(kind__endswith=".expired")
    assert told.kind == "transaction.expired"
    assert told.recipients[0]["address"] == made.customer.email
    assert told.payload["reason"] == "Not paid in time."
    assert {b["status"] for b in told.payload["bookings"]} == {"expired"}
    assert len(told.payload["bookings"]) == 3


def test_what_somebody_else_books_is_not_touched(room):
    late, early = order(room), order(room)
    CartTransaction.objects.filter(pk=early.pk).update(due_at=late.due_at + SECOND)

    assert expire(late.due_at) == 1

    assert statuses(late) == EXPIRED
    assert statuses(early) == PENDING


def test_the_seats_can_be_had_by_somebody_else(room):
    made = order(room)
    slot = Slot.objects.get()
    expire(made.due_at)

    f.check_out(f.CustomerFactory(organization=room.organization), slot)

    slot.refresh_from_db()
    assert slot.taken_bookings == 1
    assert_consistent()


def test_no_clock_runs_while_a_proof_is_reviewed(room):
    made = order(room)
    f.submit_proof(made)
    before = everything()

    assert expire(made.due_at + timedelta(days=30)) == 0

    assert everything() == before


@pytest.mark.parametrize("decide", [decisions.reject, decisions.cancel])
def test_what_was_decided_stays_decided(decide, room):
    made = order(room)
    decide(
        transaction_id=made.pk,
        organization_id=made.organization_id,
        actor=f.SYSTEM,
        reason="closed",
        now=timezone.now(),
    )
    before = everything()

    assert expire(made.due_at) == 0

    assert everything() == before


def test_without_a_deadline_it_never_expires(room):
    made = order(room)
    CartTransaction.objects.filter(pk=made.pk).update(due_at=None)
    before = everything()

    assert expire(timezone.now() + timedelta(days=400)) == 0

    assert everything() == before


@pytest.mark.parametrize("hours", [24, 24 * 60])
def test_payment_on_arrival_that_nobody_confirmed_expires_in_time_or_when_it_starts(room, hours):
    room.organization.pending_hours = hours
    room.organization.save()
    made = order(room, 2, method="pay_on_arrival")
    first = min(s.starts_at for s in Slot.objects.all())
    due = min(made.created_at + timedelta(hours=hours), first)
    assert made.due_at == due

    assert expire(due - SECOND) == 0
    assert expire(due) == 1

    assert statuses(made) == EXPIRED
    assert made.decision_reason == "Not confirmed in time."
    assert_consistent()


def test_bookings_that_ended_before_stay_as_they_ended(room):
    made = order(room, 2)
    gone, _left = Booking.objects.order_by("pk")
    cancellation.cancel_booking(
        booking_id=gone.pk,
        organization_id=gone.organization_id,
        actor=f.SYSTEM,
        reason="ill",
        now=timezone.now(),
    )

    expire(made.due_at)

    assert statuses(made) == ("expired", {"cancelled", "expired"}, {"cancelled", "expired"})
    assert_consistent()


def test_the_longest_overdue_come_first_and_the_rest_in_the_next_batch(room):
    orders = [order(room) for _ in range(3)]
    for hours, made in zip((2, 3, 1), orders, strict=True):
        due_at = timezone.now() - timedelta(hours=hours)
        CartTransaction.objects.filter(pk=made.pk).update(due_at=due_at)
    now = timezone.now()

    assert expire(now, batch=2) == 2
    assert [statuses(o)[0] for o in orders] == ["expired", "expired", "pending"]
    assert [expire(now, batch=2), expire(now, batch=2)] == [1, 0]


def test_any_number_of_bookings_costs_the_same_number_of_statements(room):
    counts = []
    for number in (1, 12):
        made = order(room, number)
        with CaptureQueriesContext(connection) as captured:
            assert expire(made.due_at) == 1
        counts.append(len(captured))

    assert counts[0] == counts[1]


def test_any_number_of_orders_costs_the_same_number_of_statements(room):
    counts = []
    for number in (1, 12, 30):
        made = [order(room, 2, method=("pay_now", "pay_on_arrival")[n % 2]) for n in range(number)]
        with CaptureQueriesContext(connection) as captured:
            assert expire(max(o.due_at for o in made)) == number
        counts.append(len(captured))

    assert counts[1] == counts[2]
    assert counts[1] - counts[0] <= 10  # the two ways to pay are told two reasons
    assert {statuses(o) == EXPIRED for o in CartTransaction.objects.all()} == {True}


def test_a_batch_locks_a_thousand_bookings_at_most_and_the_next_one_the_rest(room, monkeypatch):
    made = [order(room, 3) for _ in range(4)]
    monkeypatch.setattr(locks, "MOST_AT_ONCE", 7)
    now = max(o.due_at for o in made)

    assert [expire(now) for _ in range(3)] == [2, 2, 0]

    monkeypatch.setattr(locks, "MOST_AT_ONCE", 1)
    large = order(room, 3)
    assert expire(large.due_at) == 1


def test_the_query_reads_the_index_of_what_is_pending():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT indexdef FROM pg_indexes WHERE indexname = 'payments_pending_by_deadline'"
        )
        (definition,) = cursor.fetchone()

    assert "(due_at)" in definition
    assert "'pending'" in definition


# One that cannot end


def poison(transaction):
    """Its slot says that nobody is in it, so that nobody can be taken out."""
    corrupt(
        "UPDATE bookings_slot SET taken_bookings = 0, taken_units = 0 WHERE id IN"
        " (SELECT slot_id FROM bookings_booking b JOIN payments_cartitem i ON i.booking_id = b.id"
        " WHERE i.transaction_id = %s)",
        [transaction.pk],
    )


def make_overdue(*transactions):
    for transaction in transactions:
        CartTransaction.objects.filter(pk=transaction.pk).update(
            due_at=timezone.now() - timedelta(hours=1)
        )


def alerts():
    return list(OutboxEvent.objects.filter(kind="operation.failed"))


def test_one_that_cannot_end_does_not_keep_the_others(room):
    orders = [order(room, 2) for _ in range(4)]
    make_overdue(*orders)
    poison(orders[0])
    failed: dict[Any, str] = {}

    assert expire(timezone.now(), failed=failed) == 3

    assert [statuses(o)[0] for o in orders] == ["pending", "expired", "expired", "expired"]
    assert statuses(orders[0]) == PENDING
    assert failed == {orders[0].pk: "IntegrityError"}


def test_those_that_cannot_end_do_not_fill_every_batch(room, monkeypatch):
    orders = [order(room) for _ in range(4)]
    make_overdue(*orders)
    for made in orders[:3]:
        poison(made)
    original = expiry.expire_unpaid
    monkeypatch.setattr(expiry, "expire_unpaid", lambda **kw: original(**kw, batch=2))

    assert tasks.expire_unpaid() == 1

    assert statuses(orders[3]) == EXPIRED


def test_bookings_that_contradict_their_transaction_are_left_to_people(room):
    made = order(room)
    make_overdue(made)
    corrupt("UPDATE bookings_booking SET status = 'confirmed', confirmed_at = now()")
    failed: dict[Any, str] = {}
    before = everything()

    assert expire(timezone.now(), failed=failed) == 0

    assert everything() == before
    assert failed == {made.pk: "Contradiction"}


def test_administrators_are_told_once_a_day_which_cannot_end(room, settings):
    settings.ADMIN_ALERT_EMAILS = ["admin@example.com"]
    made = order(room)
    make_overdue(made)
    poison(made)

    assert tasks.expire_unpaid() == 0
    assert tasks.expire_unpaid() == 0

    (alert,) = alerts()
    assert alert.recipients[0]["address"] == "admin@example.com"
    assert alert.payload["operation"] == "transaction.expire"
    assert alert.payload["ids"] == {"rows": str(made.pk)}
    assert alert.payload["error"] == "IntegrityError"

    another = order(room)
    make_overdue(another)
    poison(another)
    tasks.expire_unpaid()
    assert str(another.pk) in next(a for a in alerts() if a.pk != alert.pk).payload["failed"]

    OutboxEvent.objects.update(created_at=timezone.now() - timedelta(days=1, minutes=1))
    tasks.expire_unpaid()
    assert len(alerts()) == 3


def test_nobody_is_alerted_when_all_goes_well(room):
    make_overdue(order(room), order(room))

    assert tasks.expire_unpaid() == 2

    assert alerts() == []


# Failures


@pytest.mark.django_db(transaction=True)
def test_a_bug_at_any_statement_of_the_batch_leaves_no_trace_in_what_is_done_singly(room):
    """A batch that fails is tried order by order: that which only fails together ends then."""
    for number in range(1, 60):
        made = [order(room, 2) for _ in range(2)]
        OutboxEvent.objects.all().delete()
        now = max(o.due_at for o in made)
        with striking(number, raising(RuntimeError("a bug"))) as injector, suppress(RuntimeError):
            expire(now)
        if injector.struck and statuses(made[0]) == PENDING:
            expire(now)  # it was struck before it knew of any
        assert [statuses(o) for o in made] == [EXPIRED] * 2
        assert OutboxEvent.objects.filter(kind="transaction.expired").count() == 2
        if not injector.struck:
            break

    assert number > 10, "it was never struck"
    assert not injector.struck, "it never came through"
    assert_consistent()


@pytest.mark.django_db(transaction=True)
def test_a_database_that_fails_at_any_statement_leaves_everything_as_it_was(room):
    error = OperationalError("the database is ill")
    made = order(room, 2)
    before = everything()

    for number in range(1, 40):
        with striking(number, raising(error)) as injector, suppress(type(error)):
            expire(made.due_at)
        if not injector.struck:
            break
        assert everything() == before, f"after a failure at {injector.statements[-1]}"

    assert number > 3, "it was never struck"
    assert not injector.struck, "it never came through"
    assert statuses(made) == EXPIRED
    assert_consistent()


def test_a_database_in_trouble_stops_the_sweep_and_blames_no_order(room):
    orders = [order(room), order(room)]
    make_overdue(*orders)
    failed: dict[Any, str] = {}

    with (
        striking(4, raising(OperationalError("the database is ill"))),
        pytest.raises(OperationalError),
    ):
        expire(timezone.now(), failed=failed)

    assert failed == {}
    assert [statuses(o) for o in orders] == [PENDING, PENDING]


def test_it_runs_every_thirty_minutes():
    entry = CELERY_BEAT_SCHEDULE["expire-unpaid"]

    assert entry["task"] == tasks.expire_unpaid.name
    assert entry["schedule"] == entry["options"]["expire_seconds"] == 1_800
