"""Whatever fails, and wherever: all of it happened, or none of it (A2, A3, A4, A5, A7, A13, B6, C4).

Each operation is run again and again, and fails at its first statement, its second, and so on
until it comes through; after each failure every table is as it was, byte for byte, and so is
the storage of proofs.
"""

import resource
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import FileSystemStorage
from django.db import InterfaceError, OperationalError, connection, transaction
from django.utils import timezone

from audit.context import Actor
from audit.errors import Unavailable
from bookings import codes, signals
from bookings.models import Booking, CheckInCode, Pool, PoolMember, Proposal, Resource
from bookings.services import bookings, check_in, resources
from bookings.services import reschedule as proposals
from bookings.services.free_times import FreeTime
from payments import files
from payments.models import CartItem, CartTransaction, Proof, Refund
from payments.models.proof import proof_storage
from payments.services import (
    cancellation,
    carts,
    checkout,
    decisions,
    desk,
    proofs,
    refunds,
    reschedule,
    series,
)
from tests import factories as f
from tests.api.client import Client
from tests.faults import (
    at_commit,
    cut_connection,
    limited,
    other_session,
    proofs_in,
    raising,
    settings_left,
    striking,
)
from tests.invariants import assert_consistent, everything
from tests.payments import money as m

pytestmark = pytest.mark.django_db(transaction=True)

ALERT = "operation.failed"


def state():
    """Everything there is, in the database and on disk, but for the alert about the failure."""
    found: dict[str, Any] = everything()
    found["audit_outboxevent"] = [e for e in found["audit_outboxevent"] if ALERT not in e]
    found["files"] = stored_files()
    return found


def stored_files():
    root = Path(proof_storage().path(""))
    return sorted(str(p) for p in root.rglob("*") if p.is_file())


def priced(**resource):
    resource = f.ResourceFactory(**resource)
    f.PriceFactory(resource=resource)
    return resource


def customer_of(resource):
    return f.CustomerFactory(organization=resource.organization)


# The operations. Each function sets a scene and returns what is done in it.


def adding_to_the_cart():
    """The longest way: a doctor whose time is taken by an overdue hold in another slot."""
    resource = priced(exclusive=True)
    slot = f.make_slot(resource)
    rival = f.make_slot(resource, starts_at=slot.starts_at + timedelta(minutes=30))
    f.hold(customer_of(resource), rival, now=timezone.now() - timedelta(minutes=16))
    customer = customer_of(resource)
    return lambda: f.hold(customer, slot)


def removing_from_the_cart():
    slot = f.make_slot(priced())
    customer = customer_of(slot)
    item = f.hold(customer, slot).cart_item
    return lambda: carts.remove_item(
        customer=customer, item_id=item.pk, actor=f.actor_of(customer), now=timezone.now()
    )


def checking_out(method="pay_now", priced_=True, count=2):
    resource = priced() if priced_ else f.ResourceFactory()
    customer = customer_of(resource)
    for slot in f.make_slots(resource, count):
        f.hold(customer, slot)
    return lambda: f.check_out(customer, method=method)


def checking_out_what_is_free():
    return checking_out("free", priced_=False)


def booking_directly():
    slot = f.make_slot(priced())
    customer = customer_of(slot)
    return lambda: checkout.book(
        organization=customer.organization,
        customer=customer,
        slot_id=slot.pk,
        units=1,
        payment_method="pay_on_arrival",
        actor=f.actor_of(customer),
        now=timezone.now(),
    )


def checked_out(proof=True):
    resource = priced()
    transaction = f.check_out(customer_of(resource), *f.make_slots(resource, 2))
    if proof:
        f.submit_proof(transaction)
    return transaction


def uploading_a_proof():
    transaction = checked_out(proof=False)
    return lambda: f.submit_proof(transaction)


def approving():
    transaction = checked_out()
    member = f.MembershipFactory(organization=transaction.organization, role="reviewer")
    return lambda: f.approve(transaction, member)


def deciding(service, **kwargs):
    transaction = checked_out()
    return lambda: service(
        transaction_id=transaction.pk,
        organization_id=transaction.organization_id,
        actor=f.SYSTEM,
        now=timezone.now(),
        **kwargs,
    )


def rejecting():
    return deciding(decisions.reject, reason="not received")


def cancelling():
    return deciding(decisions.cancel, reason="closed")


def cancelling_the_last_booking():
    transaction = checked_out()
    one, other = Booking.objects.filter(cart_item__transaction=transaction)

    def cancel(booking):
        return cancellation.cancel_booking(
            booking_id=booking.pk,
            organization_id=booking.organization_id,
            actor=f.SYSTEM,
            reason="ill",
            now=timezone.now(),
        )

    cancel(one)
    return lambda: cancel(other)


def checking_in():
    slot = f.make_slot()
    f.check_out(customer_of(slot), slot)
    code = CheckInCode.objects.select_related("booking").get()
    return lambda: check_in.check_in(
        code=codes.derive(code.booking.pk, bytes(code.nonce)),
        organization_ids=None,
        actor=f.SYSTEM,
        now=slot.starts_at,
    )


def sweeping_holds():
    resource = f.ResourceFactory()
    for slot in f.make_slots(resource, 3):
        f.hold(customer_of(resource), slot, now=timezone.now() - timedelta(minutes=16))
    return lambda: bookings.expire_holds(actor=f.SYSTEM, now=timezone.now())


def booking_a_series():
    """The longest way: a room that needs a beamer, and overdue holds in the way of both dates."""
    room, slots = weekly_room()
    past = timezone.now() - timedelta(minutes=16)
    f.hold(customer_of(room), slots[0], now=past)
    beamer = Resource.objects.get(pk=room_beamer(room))
    rival = f.make_slot(beamer, starts_at=slots[1].starts_at + timedelta(minutes=30))
    f.hold(customer_of(room), rival, now=past)
    customer = customer_of(room)
    return lambda: book_weekly(customer, slots)


def weekly_room():
    room = priced(time_zone="UTC")
    pool = Pool.objects.create(organization=room.organization, name="Beamers")
    beamer = f.ResourceFactory(organization=room.organization, exclusive=True)
    PoolMember.objects.create(pool=pool, resource=beamer)
    resources.compose(
        resource_id=room.pk,
        organization_id=room.organization_id,
        part_ids=[],
        pool_ids=[pool.pk],
        actor=f.SYSTEM,
        now=timezone.now(),
    )
    room.refresh_from_db()
    start = f.soon(48)
    return room, [f.make_slot(room, starts_at=start + timedelta(weeks=n)) for n in range(2)]


def room_beamer(room):
    return PoolMember.objects.get(pool__in=room.pools).resource_id


def book_weekly(customer, slots):
    return series.book_series(
        organization=customer.organization,
        customer=customer,
        wish=series.Wish(slots[0].resource_id, slots[0].starts_at, times=len(slots)),
        payment_method="pay_now",
        all_or_nothing=True,
        actor=f.actor_of(customer),
        now=timezone.now(),
    )


def cancelling_a_series():
    room, slots = weekly_room()
    made = book_weekly(customer_of(room), slots).series
    return lambda: series.cancel_series(
        series_id=made.pk,
        organization_id=made.organization_id,
        actor=f.SYSTEM,
        reason="away",
        now=timezone.now(),
    )


def booking_at_the_desk():
    slot = f.make_slot(priced())
    staff = f.MembershipFactory(organization=slot.organization, role="front_desk")
    return lambda: desk.book_for(
        organization=slot.organization,
        customer=desk.NewCustomer("Ada", "ada@example.com"),
        slot_id=slot.pk,
        units=1,
        payment_method="pay_on_arrival",
        actor=f.actor_of(staff),
        now=timezone.now(),
    )


def confirmed(count=1):
    """Bookings in one approved order, with a slot that is free."""
    resource = priced()
    *taken, new = f.make_slots(resource, count + 1, start=f.soon(24 * 5))
    transaction = f.check_out(customer_of(resource), *taken)
    f.submit_proof(transaction)
    f.approve(transaction)
    return list(Booking.objects.filter(cart_item__transaction=transaction).order_by("pk")), new


def stepping(service, booking, **kwargs):
    return lambda: service(
        booking_id=booking.pk,
        organization_id=booking.organization_id,
        actor=Actor("staff", None, "Mia"),
        now=timezone.now(),
        **kwargs,
    )


def moving():
    """The longest way: two that wait for payment, and the first start comes nearer."""
    resource = priced(exclusive=True)
    transaction = f.check_out(
        customer_of(resource), *f.make_slots(resource, 2, start=f.soon(24 * 5))
    )
    near = f.make_slot(resource, starts_at=f.soon(3))
    booking = Booking.objects.filter(cart_item__transaction=transaction).order_by("-pk")[0]
    f.PriceFactory(resource=resource, amount=30, priority=9)
    return stepping(reschedule.reschedule, booking, slot_id=near.pk, accept_price=True)


def moving_to_a_free_time():
    """It takes a part of its own time again, and the slot is made."""
    court = priced(mode="free_times", exclusive=True, time_zone="UTC")
    f.open_hours(court)
    start = f.soon(48).replace(hour=12)
    customer = customer_of(court)
    free_time(customer, court, start)
    made = checkout.check_out(
        organization=court.organization,
        customer=customer,
        payment_method="pay_on_arrival",
        actor=f.actor_of(customer),
        now=timezone.now(),
    )
    booking = Booking.objects.get(cart_item__transaction=made)
    wanted = FreeTime(court.pk, start + timedelta(minutes=30), 60)
    return stepping(reschedule.reschedule, booking, slot_id=wanted)


def proposing():
    [booking], new = confirmed()
    return stepping(proposals.propose, booking, slot_id=new.pk)


def proposed(count=1):
    found, new = confirmed(count)
    stepping(proposals.propose, found[0], slot_id=new.pk)()
    return found[0]


def accepting_a_proposal():
    return stepping(proposals.accept, proposed())


def declining_a_proposal():
    return stepping(proposals.decline, proposed())


def withdrawing_a_proposal():
    return stepping(proposals.withdraw, proposed())


def cancelling_with_a_proposal():
    return stepping(cancellation.cancel_booking, proposed(), reason="ill")


def sweeping_a_proposal():
    proposed()
    until = Proposal.objects.get(status="open").expires_at
    return lambda: bookings.expire_holds(actor=f.SYSTEM, now=until)


def booking_a_free_time():
    """An overdue hold is in the way, and the slot is made."""
    court = priced(mode="free_times", exclusive=True, time_zone="UTC")
    f.open_hours(court)
    start = f.soon(48).replace(hour=12)
    past = timezone.now() - timedelta(minutes=16)
    free_time(customer_of(court), court, start, now=past)
    customer = customer_of(court)
    return lambda: free_time(customer, court, start + timedelta(minutes=30))


def free_time(customer, court, start, now=None):
    return carts.add_item(
        organization=customer.organization,
        customer=customer,
        slot_id=FreeTime(court.pk, start, 60),
        units=1,
        actor=f.actor_of(customer),
        now=now or timezone.now(),
    )


def cancelling_for_a_fee():
    """The longest way: the customer accepts the fee, and the last booking ends the order."""
    made = m.paid(count=2)
    return lambda: m.cancel_order(made, actor=f.actor_of(made.customer), accepted_fee=Decimal(20))


def cancelling_one_of_two_that_are_paid():
    made = m.paid(count=2)
    return lambda: m.cancel(m.bookings_of(made)[0], keep_fee=True)


def partly_cancelled():
    made = m.under_review(count=2)
    m.cancel(m.bookings_of(made)[0])
    return made


def approving_what_is_partly_cancelled():
    made = partly_cancelled()
    member = f.MembershipFactory(organization=made.organization, role="reviewer")
    return lambda: f.approve(made, member)


def rejecting_what_is_partly_cancelled(**kwargs):
    made = partly_cancelled()
    return lambda: decisions.reject(
        transaction_id=made.pk,
        organization_id=made.organization_id,
        actor=f.SYSTEM,
        reason="no",
        now=timezone.now(),
        **kwargs,
    )


def rejecting_although_the_money_came():
    return rejecting_what_is_partly_cancelled(refund=True)


def two_refunds():
    made = m.paid(count=2)
    for booking in m.bookings_of(made):
        m.cancel(booking)
    return list(Refund.objects.filter(transaction=made))


def settling_refunds():
    found = two_refunds()
    return lambda: m.change(refunds.settle, *found)


def waiving_refunds():
    found = two_refunds()
    return lambda: m.change(refunds.waive, *found)


def reopening_refunds():
    found = two_refunds()
    m.change(refunds.settle, *found)
    return lambda: m.change(refunds.reopen, *found)


def giving_back_by_hand():
    made = m.paid()
    return lambda: m.give_back(made)


SWEEPS = (sweeping_holds, sweeping_a_proposal)
OPERATIONS = [
    booking_a_free_time,
    booking_a_series,
    cancelling_a_series,
    booking_at_the_desk,
    adding_to_the_cart,
    removing_from_the_cart,
    checking_out,
    checking_out_what_is_free,
    booking_directly,
    uploading_a_proof,
    approving,
    rejecting,
    cancelling,
    cancelling_the_last_booking,
    checking_in,
    sweeping_holds,
    moving,
    moving_to_a_free_time,
    proposing,
    accepting_a_proposal,
    declining_a_proposal,
    withdrawing_a_proposal,
    cancelling_with_a_proposal,
    sweeping_a_proposal,
    cancelling_for_a_fee,
    cancelling_one_of_two_that_are_paid,
    approving_what_is_partly_cancelled,
    rejecting_what_is_partly_cancelled,
    rejecting_although_the_money_came,
    settling_refunds,
    waiving_refunds,
    reopening_refunds,
    giving_back_by_hand,
]
each_operation = pytest.mark.parametrize("prepare", OPERATIONS, ids=lambda p: p.__name__)
MOST_STATEMENTS = 40


@each_operation
@pytest.mark.parametrize(
    "error", [RuntimeError("a bug"), OperationalError("the database is ill")], ids=repr
)
def test_a_failure_at_any_statement_leaves_everything_as_it_was(prepare, error):
    act = prepare()
    before = state()

    for number in range(1, MOST_STATEMENTS):
        with striking(number, raising(error)) as injector, suppress(type(error)):
            act()
        if not injector.struck:
            break
        if prepare in SWEEPS and isinstance(error, RuntimeError) and state() != before:
            # What is no database's fault is a row's: each was tried again by itself, and done.
            assert_consistent()
            act = prepare()
            before = state()
            continue
        assert state() == before, f"after a failure at {injector.statements[-1]}"

    assert number > 3, "it was never struck"
    assert not injector.struck, "it never came through"
    assert state() != before
    assert_consistent()


@each_operation
def test_a_connection_cut_at_any_statement_leaves_everything_as_it_was(prepare):
    act = prepare()
    before = state()

    for number in range(1, MOST_STATEMENTS):
        with striking(number, cut_connection) as injector:
            try:
                act()
            except (OperationalError, InterfaceError):
                connection.close()
        if not injector.struck:
            break
        assert state() == before, f"after a cut at {injector.statements[-1]}"

    assert number > 3, "it was never cut"
    assert not injector.struck, "it never came through"
    assert state() != before
    assert_consistent()


@each_operation
@pytest.mark.parametrize("strike", [raising(OperationalError("no answer")), cut_connection])
def test_a_failure_right_before_the_commit_leaves_everything_as_it_was(
    prepare, strike, monkeypatch
):
    act = prepare()
    before = state()

    at_commit(monkeypatch, strike, after=False)
    with pytest.raises((OperationalError, InterfaceError)):
        act()
    connection.close()

    after = state()
    if prepare is uploading_a_proof:  # nobody can know yet: the sweep looks after it
        assert len(after.pop("files")) == len(before.pop("files")) + 1
        assert proofs.remove_orphans(older_than_seconds=-1) == 1
        assert stored_files() == []
    assert after == before
    assert_consistent()


@each_operation
def test_an_answer_lost_after_the_commit_leaves_everything_done(prepare, monkeypatch):
    act = prepare()
    before = state()

    at_commit(monkeypatch, raising(OperationalError("no answer")), after=True)
    with pytest.raises(OperationalError):
        act()
    connection.close()

    assert state() != before
    assert set(stored_files()) == {
        proof_storage().path(name) for name in Proof.objects.values_list("file", flat=True)
    }
    assert proofs.remove_orphans(older_than_seconds=-1) == 0
    assert_consistent()


@pytest.mark.parametrize("prepare", [approving, rejecting], ids=lambda p: p.__name__)
def test_a_failed_decision_alerts_the_administrators(prepare, settings):
    settings.ADMIN_ALERT_EMAILS = ["admin@example.com"]
    act = prepare()

    with striking(4, raising(RuntimeError("a bug"))), pytest.raises(RuntimeError):
        act()

    (event,) = [e for e in everything()["audit_outboxevent"] if ALERT in e]
    assert "admin@example.com" in event


# What follows a change undoes it when it fails


class Broken(Exception):
    pass


def break_down(**kwargs):
    raise Broken


@contextmanager
def connected(signal):
    signal.connect(break_down, dispatch_uid="broken")
    try:
        yield
    finally:
        signal.disconnect(dispatch_uid="broken")


MOVED = (moving, moving_to_a_free_time)
OF_REFUNDS = (settling_refunds, waiving_refunds, reopening_refunds, giving_back_by_hand)
MOVING = [p for p in OPERATIONS if p not in (uploading_a_proof, *MOVED, *OF_REFUNDS)]
FREEING = [
    cancelling_a_series,
    adding_to_the_cart,
    removing_from_the_cart,
    rejecting,
    cancelling,
    cancelling_the_last_booking,
    cancelling_for_a_fee,
    cancelling_one_of_two_that_are_paid,
    rejecting_what_is_partly_cancelled,
    rejecting_although_the_money_came,
    sweeping_holds,
    *MOVED,
    accepting_a_proposal,
    declining_a_proposal,
    withdrawing_a_proposal,
    cancelling_with_a_proposal,
    sweeping_a_proposal,
]


@pytest.mark.parametrize(
    ("signal", "prepare"),
    [("bookings_moved", p) for p in MOVING]
    + [("seats_released", p) for p in FREEING]
    + [("bookings_rescheduled", p) for p in (*MOVED, accepting_a_proposal)],
    ids=lambda p: getattr(p, "__name__", p),
)
def test_a_receiver_that_fails_undoes_all_of_it(signal, prepare):
    act = prepare()
    before = state()

    with connected(getattr(signals, signal)):
        if prepare in SWEEPS:
            assert act() == 0  # each row fails by itself, and is reported
        else:
            with pytest.raises(Broken):
                act()

    assert state() == before
    act()
    assert_consistent()


# A slow database


@dataclass
class Slow:
    """A limit on every statement, and what PostgreSQL says when it is hit."""

    setting: str
    words: str


WAITED_FOR = (
    "payments_cart",
    "bookings_booking",
    "bookings_slot",
    "payments_carttransaction",
    "payments_refund",
)
LIMITS = [
    Slow("lock_timeout", "lock timeout"),
    Slow("statement_timeout", "statement timeout"),
]


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.setting)
@pytest.mark.parametrize(
    "prepare",
    [
        p
        for p in OPERATIONS
        # These wait for none of the rows that are locked here, or pass them over.
        if p
        not in (
            booking_a_free_time,
            booking_directly,
            checking_in,
            sweeping_a_proposal,
            sweeping_holds,
        )
    ],
    ids=lambda p: p.__name__,
)
def test_a_database_that_is_too_slow_is_an_error_and_changes_nothing(prepare, limit):
    act = prepare()
    before = state()
    with other_session(autocommit=False) as other:
        for table in WAITED_FOR:
            other.execute(f"SELECT 1 FROM {table} FOR UPDATE")

        with limited(limit.setting, 60), pytest.raises(OperationalError, match=limit.words):
            act()

    assert state() == before
    act()
    assert_consistent()


def test_over_http_a_database_that_is_too_slow_is_a_503_that_changed_nothing():
    transaction = checked_out()
    member = f.MembershipFactory(organization=transaction.organization, role="reviewer")
    staff = Client(member.user, transaction.organization.slug)
    before = state()
    with other_session(autocommit=False) as other:
        other.execute("SELECT 1 FROM bookings_booking FOR UPDATE")

        with limited("lock_timeout", 60):
            answer = staff.post(f"transactions/{transaction.pk}/approve/")

    assert answer.problem() == (503, "unavailable")
    assert answer.headers["Retry-After"]
    assert state() == before
    assert staff.post(f"transactions/{transaction.pk}/approve/").status == 200


def test_every_connection_has_limits_on_how_long_it_waits():
    for setting in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
        assert shown(setting) not in ("0", "")


def test_a_limit_of_a_test_ends_with_it_whatever_happens_in_it():
    with suppress(Broken), limited("statement_timeout", 60), transaction.atomic():
        assert shown("statement_timeout") == "60ms"
        raise Broken

    assert shown("statement_timeout") != "60ms"
    assert settings_left() == {}


def test_a_setting_left_on_a_connection_is_named_and_taken_back():
    before = shown("lock_timeout")
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = 60")

    assert settings_left() == {"lock_timeout": "60"}

    assert shown("lock_timeout") == before
    assert settings_left() == {}


def shown(setting):
    with connection.cursor() as cursor:
        cursor.execute(f"SHOW {setting}")
        return cursor.fetchone()[0]


# A broken disk


def test_a_storage_that_takes_no_files_is_an_error_and_changes_nothing(tmp_path):
    act = uploading_a_proof()
    before = everything()
    (tmp_path / "no folder").write_text("")

    with proofs_in(tmp_path / "no folder"), pytest.raises(Unavailable):
        act()

    assert everything() == before


def test_a_disk_that_fills_up_on_the_way_leaves_no_half_of_a_file():
    act = uploading_a_proof()
    before = state()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    resource.setrlimit(resource.RLIMIT_FSIZE, (20, hard))
    try:
        with pytest.raises(Unavailable):
            act()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert state() == before


def test_the_error_is_the_database_s_even_if_the_file_cannot_be_deleted_either(monkeypatch):
    act = uploading_a_proof()
    before = everything()
    monkeypatch.setattr(FileSystemStorage, "delete", lambda *a: raising(OSError("read-only"))())

    with striking(4, raising(RuntimeError("a bug"))), pytest.raises(RuntimeError, match="a bug"):
        act()

    assert everything() == before
    monkeypatch.undo()
    assert proofs.remove_orphans(older_than_seconds=-1) == 1


EXITS = [SystemExit, KeyboardInterrupt, GeneratorExit]


@pytest.mark.parametrize("exit_", EXITS)
def test_an_exit_after_the_commit_leaves_the_file_of_a_committed_proof(exit_):
    act = uploading_and_then(exit_)

    with pytest.raises(exit_):
        act()

    assert_the_file_of_the_proof_is_there()


def test_a_failure_after_the_commit_leaves_the_file_of_a_committed_proof():
    act = uploading_and_then(RuntimeError)

    with pytest.raises(RuntimeError):
        act()

    assert_the_file_of_the_proof_is_there()


@pytest.mark.parametrize("exit_", EXITS)
def test_an_exit_between_the_commit_and_its_callback_leaves_the_file_to_the_sweep(
    exit_, monkeypatch
):
    act = uploading_and_then(None)

    at_commit(monkeypatch, raising(exit_()), after=True)
    with pytest.raises(exit_):
        act()
    connection.close()

    assert_the_file_of_the_proof_is_there()


@pytest.mark.parametrize("exit_", EXITS)
def test_an_exit_before_the_row_is_written_leaves_no_file(exit_):
    before = state()

    with pytest.raises(exit_), files.stored(files.examine(f.png(), "a.png")):
        raise exit_

    assert state() == before


def uploading_and_then(error):
    """Upload a proof; what is given is raised after its commit, while the request goes on."""
    transaction = checked_out(proof=False)

    def act():
        with files.stored(files.examine(f.png(), "a.png")) as file:
            proofs.submit(
                transaction_id=transaction.pk,
                organization_id=transaction.organization_id,
                customer=transaction.customer,
                file=file,
                actor=f.actor_of(transaction.customer),
                now=timezone.now(),
            )
            if error is not None:
                raise error

    return act


def assert_the_file_of_the_proof_is_there():
    assert stored_files() == [proof_storage().path(Proof.objects.get().file.name)]
    assert proofs.remove_orphans(older_than_seconds=-1) == 0
    assert_consistent()


def test_the_sweep_asks_for_a_bounded_number_of_names_at_a_time(
    monkeypatch, django_assert_num_queries
):
    kept = f.submit_proof(checked_out(proof=False)).file.name
    root = Path(proof_storage().path(""))
    for number in range(6):
        (root / f"left-{number}").write_bytes(b"x")
    monkeypatch.setattr(files, "NAMES_AT_ONCE", 3)

    with django_assert_num_queries(3):
        found = files.orphans(older_than_seconds=-1)

    assert found == [f"left-{number}" for number in range(6)]
    assert kept not in found
    assert proofs.remove_orphans(older_than_seconds=-1) == 6
    assert_consistent()


def test_a_file_without_a_service_that_keeps_it_is_gone_at_the_end():
    with files.stored(files.examine(f.png(), "a.png")) as file:
        assert proof_storage().exists(file.name)

    assert stored_files() == []


def test_the_sweep_leaves_files_alone_that_may_still_be_on_their_way():
    with files.stored(files.examine(f.png(), "a.png")):
        assert proofs.remove_orphans() == 0
        assert len(stored_files()) == 1


def test_nothing_of_a_refused_operation_is_left():
    """A refusal is a failure like any other: here in the middle of a checkout."""
    act = checking_out(method="free")
    before = state()

    with pytest.raises(Exception, match="choose how to pay"):
        act()

    assert state() == before
    assert CartTransaction.objects.count() == 0
    assert CartItem.objects.filter(status="in_cart").count() == 2
