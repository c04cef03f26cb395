"""Races over carts, checkouts, proofs and decisions, on real connections (A1 to A5, A7, A13).

Each race is run freely by many, then at its worst moment by two; and a control shows that the
worst moment does the harm when locks, triggers and constraints are taken away.
"""

import threading
from datetime import timedelta

import pytest
from django.db import IntegrityError, OperationalError
from django.utils import timezone

from audit.models import OutboxEvent
from bookings import locks as booking_locks
from bookings.models import Booking, CheckInCode
from bookings.services import bookings
from payments import files, locks, transitions
from payments.errors import AlreadyDecided, CartEmpty
from payments.models import CartItem, CartTransaction, Proof
from payments.services import cancellation, carts, checkout, decisions, expiry, proofs
from tests import factories as f
from tests.concurrency import interleave, locks_off, lost, race, without, won
from tests.invariants import assert_consistent, problems

pytestmark = pytest.mark.django_db(transaction=True)

BOOKING_MOVES = "bookings_booking.follow_lifecycle"
ITEM_MOVES = "payments_cartitem.follow_lifecycle"
TRANSACTION_MOVES = "payments_carttransaction.follow_lifecycle"
BOOKING_END = "bookings_booking_ended_says_when"
TRANSACTION_END = "payments_carttransaction_ended_says_when"
AT_APPROVAL = (decisions, "_has_proof")  # the last look before the first change
LIMITS = ("bookings_slot_bookings_within_capacity", "bookings_slot_units_within_capacity")


def shop(**resource):
    """A resource that costs something, so that nothing is confirmed at once."""
    resource = f.ResourceFactory(**resource)
    f.PriceFactory(resource=resource)
    return resource


def checked_out(count=2, *, proof=True, **slot):
    resource = shop()
    customer = f.CustomerFactory(organization=resource.organization)
    transaction = f.check_out(customer, *f.make_slots(resource, count, **slot))
    if proof:
        f.submit_proof(transaction)
    return transaction


def staff(transaction, count):
    return f.MembershipFactory.create_batch(
        count, organization=transaction.organization, role="reviewer"
    )


def approving(transaction, member=None):
    member = member or staff(transaction, 1)[0]
    return lambda: f.approve(transaction, member)


def rejecting(transaction, member=None):
    member = member or staff(transaction, 1)[0]
    return lambda: decisions.reject(
        transaction_id=transaction.pk,
        organization_id=transaction.organization_id,
        actor=f.actor_of(member),
        reason="not received",
        now=timezone.now(),
    )


def cancelling(transaction):
    return lambda: decisions.cancel(
        transaction_id=transaction.pk,
        organization_id=transaction.organization_id,
        actor=f.SYSTEM,
        reason="closed",
        now=timezone.now(),
    )


def cancelling_one(booking):
    return lambda: cancellation.cancel_booking(
        booking_id=booking.pk,
        organization_id=booking.organization_id,
        actor=f.SYSTEM,
        reason="ill",
        now=timezone.now(),
    )


def bookings_of(transaction):
    return list(Booking.objects.filter(cart_item__transaction=transaction).order_by("pk"))


def events(kind):
    return OutboxEvent.objects.filter(kind=kind).count()


def codes_of(outcomes):
    return [getattr(e, "code", repr(e)) for e in lost(outcomes)]


# Approve ∥ approve


def test_of_eight_staff_who_approve_one_wins_and_one_mail_goes_out():
    transaction = checked_out(3)

    outcomes = race(*[approving(transaction, m) for m in staff(transaction, 8)])

    assert len(won(outcomes)) == 1
    assert codes_of(outcomes) == ["already_decided"] * 7
    assert events("transaction.approved") == 1
    assert CheckInCode.objects.count() == 3
    found = CartTransaction.objects.get()
    assert (found.status, found.decided_by) == ("approved", won(outcomes)[0].decided_by)
    assert {found.decided_by in e.detail for e in lost(outcomes)} == {True}
    assert_consistent()


def test_who_approves_what_is_being_approved_waits_and_is_told_by_whom():
    transaction = checked_out()

    first, second = interleave(
        approving(transaction), after=(locks, "transaction"), second=approving(transaction)
    )

    assert first.status == "approved"
    assert isinstance(second, AlreadyDecided)
    assert first.decided_by in second.detail
    assert_consistent()


def test_without_locks_the_check_in_code_still_refuses_a_second_approval():
    transaction = checked_out()

    with locks_off():
        first, second = interleave(
            approving(transaction), after=AT_APPROVAL, second=approving(transaction)
        )

    assert second.status == "approved"
    assert isinstance(first, IntegrityError)
    assert events("transaction.approved") == 1
    assert_consistent()


def test_control_without_locks_and_constraint_both_approve_and_two_mails_go_out():
    transaction = checked_out()

    with without("bookings_checkincode_pkey"), locks_off():
        first, second = interleave(
            approving(transaction), after=AT_APPROVAL, second=approving(transaction)
        )

        assert first.status == second.status == "approved"
        assert events("transaction.approved") == 2
        assert CheckInCode.objects.count() == 4


# Approve ∥ reject


def test_of_four_who_approve_and_four_who_reject_one_wins():
    transaction = checked_out(3)
    members = staff(transaction, 8)

    outcomes = race(
        *[approving(transaction, m) for m in members[:4]],
        *[rejecting(transaction, m) for m in members[4:]],
    )

    assert len(won(outcomes)) == 1
    assert codes_of(outcomes) == ["already_decided"] * 7
    assert events("transaction.approved") + events("transaction.rejected") == 1
    assert_consistent()


@pytest.mark.parametrize(
    ("one", "other", "end"),
    [(approving, rejecting, "approved"), (rejecting, approving, "rejected")],
)
def test_who_decides_otherwise_at_the_same_moment_waits_and_is_told(one, other, end):
    transaction = checked_out()

    first, second = interleave(
        one(transaction), after=(locks, "transaction"), second=other(transaction)
    )

    assert first.status == end
    assert isinstance(second, AlreadyDecided)
    assert {b.status for b in bookings_of(transaction)} == {
        "confirmed" if end == "approved" else "rejected"
    }
    assert_consistent()


def test_control_without_locks_and_triggers_one_order_is_approved_and_rejected():
    transaction = checked_out()

    with (
        without(
            BOOKING_MOVES,
            ITEM_MOVES,
            TRANSACTION_MOVES,
            BOOKING_END,
            TRANSACTION_END,
            "payments_carttransaction.payment_status_lifecycle",
        ),
        locks_off(),
    ):
        first, second = interleave(
            approving(transaction), after=AT_APPROVAL, second=rejecting(transaction)
        )

        assert (first.status, second.status) == ("approved", "rejected")
        assert events("transaction.approved") == events("transaction.rejected") == 1
        assert {b.status for b in bookings_of(transaction)} == {"confirmed"}
        assert all(b.ended_at for b in bookings_of(transaction))


# Proof ∥ decision


def test_a_proof_that_races_with_an_approval_is_decided_with_it_or_refused():
    transaction = checked_out()

    outcomes = race(approving(transaction), *[lambda: f.submit_proof(transaction)] * 4)

    assert outcomes[0].status == "approved"
    assert set(codes_of(outcomes)) <= {"already_decided"}
    assert set(Proof.objects.values_list("status", flat=True)) == {"accepted"}
    assert_consistent()


DECIDE = [approving, rejecting, cancelling]


@pytest.mark.parametrize("decide", DECIDE)
def test_a_decision_waits_for_the_proof_that_is_being_added_and_takes_it_in(decide):
    transaction = checked_out()

    first, second = interleave(
        lambda: f.submit_proof(transaction),
        after=(locks, "transaction"),
        second=decide(transaction),
    )

    assert isinstance(first, Proof)
    assert isinstance(second, CartTransaction)
    assert not Proof.objects.filter(status="submitted").exists()
    assert_consistent()


@pytest.mark.parametrize("decide", DECIDE)
def test_a_proof_that_comes_during_a_decision_waits_and_is_refused(decide):
    transaction = checked_out()

    first, second = interleave(
        decide(transaction),
        after=(locks, "transaction"),
        second=lambda: f.submit_proof(transaction),
    )

    assert isinstance(first, CartTransaction)
    assert isinstance(second, AlreadyDecided)
    assert Proof.objects.count() == 1
    assert_consistent()


@pytest.mark.parametrize("decide", DECIDE)
def test_control_without_locks_a_proof_is_left_that_nobody_will_ever_decide(decide):
    transaction = checked_out()

    with locks_off():
        interleave(
            lambda: f.submit_proof(transaction),
            after=(locks, "transaction"),
            second=decide(transaction),
        )

    assert "a decided transaction has a proof that waits" in problems()


def test_the_first_proof_and_a_cancellation_leave_no_review_of_what_is_over():
    transaction = checked_out(proof=False)

    outcomes = race(lambda: f.submit_proof(transaction), cancelling(transaction))

    assert isinstance(outcomes[1], CartTransaction)
    assert set(codes_of(outcomes)) <= {"already_decided"}
    assert CartTransaction.objects.get().status == "cancelled"
    assert_consistent()


def two_uploads_and_room_for_one(settings):
    one = checked_out(proof=False)
    slot = f.make_slot(bookings_of(one)[0].slot.resource, starts_at=f.soon(500))
    other = f.check_out(one.customer, slot)
    settings.PROOF_QUOTA_BYTES = len(files.examine(f.png(), "a.png").content)
    return interleave(
        lambda: f.submit_proof(one),
        after=(proofs, "_check_quota"),
        second=lambda: f.submit_proof(other),
    )


def test_uploads_for_two_orders_at_once_stay_within_the_quota_together(settings):
    first, second = two_uploads_and_room_for_one(settings)

    assert isinstance(first, Proof)
    assert second.code == "quota_exceeded"
    assert_consistent()


def test_control_without_locks_two_uploads_both_find_room_for_themselves(settings):
    with locks_off():
        two_uploads_and_room_for_one(settings)

    assert Proof.objects.count() == 2


# The end of the time to pay ∥ a proof ∥ an approval


def unpaid(count=2):
    """An order that may be approved without a proof."""
    transaction = checked_out(count, proof=False)
    f.PolicyFactory(organization=transaction.organization, proof_required=False)
    return transaction


def expiring(transaction):
    return lambda: expiry.expire_unpaid(actor=f.SYSTEM, now=transaction.due_at)


def singly(transaction):
    return lambda: expiry.expire_singly(
        [transaction.pk], actor=f.SYSTEM, now=transaction.due_at, failed={}
    )


def submitting(transaction):
    return lambda: f.submit_proof(transaction)


def test_an_order_that_expires_while_it_is_paid_and_approved_is_not_lost():
    for _ in range(5):
        transaction = unpaid()

        expired, *others = race(
            expiring(transaction), submitting(transaction), approving(transaction)
        )

        transaction.refresh_from_db()
        assert set(codes_of(others)) <= {"already_decided"}
        assert transaction.status in {"under_review", "approved"}
        assert won(others)
        if expired:  # the proof came late, and its seats were still free
            assert isinstance(others[0], Proof)
        assert (
            events("proof.received_late")
            == CartTransaction.history.filter(status="expired").count()
        )
        assert_consistent()


def test_four_sweeps_at_once_expire_each_order_once():
    orders = [checked_out(proof=False) for _ in range(5)]
    last = max(orders, key=lambda t: t.due_at)

    outcomes = race(*[expiring(last)] * 4)

    assert sum(outcomes) == 5
    assert events("transaction.expired") == 5
    assert CartTransaction.history.filter(status="expired").count() == 5
    assert_consistent()


def expiry_and(act):
    transaction = unpaid()
    return interleave(
        expiring(transaction), after=(transitions, "is_overdue"), second=act(transaction)
    )


def test_who_pays_what_is_just_expiring_waits_and_has_the_seats_again():
    first, second = expiry_and(submitting)

    assert first == 1
    assert isinstance(second, Proof)
    assert CartTransaction.objects.get().status == "under_review"
    assert events("transaction.expired") == events("proof.received_late") == 1
    assert_consistent()


def test_who_approves_what_is_just_expiring_waits_and_is_told():
    first, second = expiry_and(approving)

    assert first == 1
    assert second.code == "already_decided"
    assert CartTransaction.objects.get().status == "expired"
    assert events("transaction.expired") == 1
    assert_consistent()


@pytest.mark.parametrize("alone", [False, True], ids=["batch", "singly"])
def test_a_sweep_meets_an_upload_and_leaves_the_order_alone(alone):
    """In a batch it waits for nobody; what was held is tried again singly, and that waits."""
    transaction = unpaid()
    sweep = singly(transaction) if alone else expiring(transaction)

    first, second = interleave(
        submitting(transaction), after=(proofs, "_check_quota"), second=sweep
    )

    assert isinstance(first, Proof)
    assert second == 0
    assert CartTransaction.objects.get().status == "under_review"
    assert_consistent()


def test_control_without_locks_an_order_expires_right_after_its_proof_was_received():
    with locks_off():
        first, second = expiry_and(submitting)

    assert first == 1
    assert isinstance(second, Proof)
    assert events("proof.received") == events("transaction.expired") == 1
    assert CartTransaction.objects.get().status == "expired"


def test_without_locks_the_lifecycle_still_refuses_to_expire_what_was_approved():
    with locks_off():
        first, second = expiry_and(approving)

    assert first == 0
    assert second.status == "approved"
    assert CartTransaction.objects.get().status == "approved"
    assert events("transaction.expired") == 0
    assert_consistent()


def test_control_without_locks_and_triggers_an_order_is_approved_and_its_bookings_expire():
    with without(BOOKING_MOVES, ITEM_MOVES, BOOKING_END), locks_off():
        first, second = expiry_and(approving)

        assert first == 1
        assert second.status == "approved"
        assert set(Booking.objects.values_list("status", flat=True)) == {"expired"}
        assert events("transaction.approved") == events("transaction.expired") == 1


# Cancelling one booking ∥ approving all


def test_a_booking_cancelled_while_its_order_is_approved_stays_cancelled():
    transaction = checked_out(3)
    gone = bookings_of(transaction)[0]

    outcomes = race(approving(transaction), cancelling_one(gone))

    assert lost(outcomes) == []
    gone.refresh_from_db()
    assert gone.status == "cancelled"
    assert CartTransaction.objects.get().status == "approved"
    assert_consistent()


def test_a_cancellation_waits_for_the_approval_and_follows_it():
    transaction = checked_out()
    gone = bookings_of(transaction)[0]

    first, second = interleave(
        approving(transaction), after=(locks, "transaction"), second=cancelling_one(gone)
    )

    assert (first.status, second.status) == ("approved", "cancelled")
    assert_consistent()


def test_control_without_locks_and_triggers_a_cancelled_booking_is_confirmed():
    transaction = checked_out()
    gone = bookings_of(transaction)[0]

    refunded = "payments_cartitem_refunded_has_ended"
    with without(BOOKING_MOVES, ITEM_MOVES, BOOKING_END, refunded), locks_off():
        first, second = interleave(
            approving(transaction), after=(locks, "transaction"), second=cancelling_one(gone)
        )

        assert (first.status, second.status) == ("approved", "cancelled")
        gone.refresh_from_db()
        assert (gone.status, bool(gone.ended_at)) == ("confirmed", True)


# Two bookings of one order cancelled at once


def test_the_last_of_bookings_cancelled_at_once_takes_the_order_with_it_once():
    transaction = checked_out(4)

    outcomes = race(*[cancelling_one(b) for b in bookings_of(transaction)])

    assert lost(outcomes) == []
    found = CartTransaction.objects.get()
    assert found.status == "cancelled"
    assert CartTransaction.history.filter(status="cancelled").count() == 1
    assert Proof.objects.get().status == "rejected"
    assert_consistent()


LOOKED_WHO_IS_LEFT = r'SELECT .*"transaction_id".* FROM "payments_cartitem" WHERE .*"status" IN'


def test_who_cancels_the_other_half_waits_and_then_ends_the_order():
    transaction = checked_out(2)
    one, other = bookings_of(transaction)

    first, second = interleave(
        cancelling_one(one), after=LOOKED_WHO_IS_LEFT, second=cancelling_one(other)
    )

    assert first.status == second.status == "cancelled"
    assert CartTransaction.objects.get().status == "cancelled"
    assert_consistent()


def test_control_without_locks_an_order_outlives_all_its_bookings():
    transaction = checked_out(2)
    one, other = bookings_of(transaction)

    with locks_off():
        interleave(cancelling_one(one), after=LOOKED_WHO_IS_LEFT, second=cancelling_one(other))

    assert CartTransaction.objects.get().status == "under_review"
    assert "a transaction differs from its items" in problems()


# Checkout ∥ expiry of its holds


def held(count=1, **options):
    """A customer whose holds run out in a moment: one clock says not yet, another already."""
    resource = shop()
    customer = f.CustomerFactory(organization=resource.organization)
    now = timezone.now()
    slots = f.make_slots(resource, count, **options)
    for slot in slots:
        f.hold(customer, slot, now=now)
    return customer, slots, now + timedelta(minutes=14, seconds=59), now + timedelta(minutes=15)


def checking_out(customer, now=None):
    return lambda: checkout.check_out(
        organization=customer.organization,
        customer=customer,
        payment_method="pay_now",
        actor=f.actor_of(customer),
        now=now or timezone.now(),
    )


def test_seats_go_to_the_checkout_or_to_the_sweep_and_never_to_both():
    customer, _slots, before, after = held(4)

    outcomes = race(
        checking_out(customer, before), lambda: bookings.expire_holds(actor=f.SYSTEM, now=after)
    )

    if isinstance(outcomes[0], CartTransaction):
        assert outcomes[1] == 0
        assert set(Booking.objects.values_list("status", flat=True)) == {"pending"}
    else:  # the sweep took all of them, or those that were not locked yet
        assert outcomes[0].code in {"hold_expired", "cart_empty"}
        assert outcomes[1] == 4
    assert_consistent()


def checkout_and_sweep():
    customer, _slots, before, after = held()
    return interleave(
        checking_out(customer, before),
        after=(booking_locks, "bookings"),
        second=lambda: bookings.expire_holds(actor=f.SYSTEM, now=after),
    )


def test_a_sweep_leaves_alone_what_is_being_checked_out():
    first, second = checkout_and_sweep()

    assert first.status == "pending"
    assert second == 0
    assert_consistent()


def test_without_locks_the_lifecycle_still_refuses_a_checkout_of_what_expired():
    with locks_off():
        first, second = checkout_and_sweep()

    assert isinstance(first, IntegrityError)
    assert second == 1
    assert CartTransaction.objects.count() == 0
    assert_consistent()


def test_control_without_locks_and_triggers_an_expired_hold_is_checked_out():
    with without(BOOKING_MOVES, ITEM_MOVES, BOOKING_END), locks_off():
        first, second = checkout_and_sweep()

        assert first.status == "pending"
        assert second == 1
        assert Booking.objects.get().status == "pending"
        assert Booking.objects.get().ended_at is not None


def test_a_seat_whose_hold_runs_out_goes_to_its_owner_or_to_one_of_those_who_ask():
    customer, (slot,), before, after = held()
    others = f.CustomerFactory.create_batch(5, organization=customer.organization)

    outcomes = race(
        checking_out(customer, before), *[lambda c=c: f.hold(c, slot, now=after) for c in others]
    )

    assert len(won(outcomes)) == 1
    assert set(codes_of(outcomes)) <= {"slot_full", "hold_expired", "cart_empty"}
    assert_consistent()


def checkout_and_rival():
    customer, (slot,), before, after = held()
    rival = f.CustomerFactory(organization=customer.organization)
    return interleave(
        checking_out(customer, before),
        after=(booking_locks, "bookings"),
        second=lambda: f.hold(rival, slot, now=after),
    )


def test_who_wants_a_seat_that_is_being_checked_out_waits_and_is_told():
    first, second = checkout_and_rival()

    assert first.status == "pending"
    assert second.code == "slot_full"
    assert_consistent()


def test_control_without_locks_and_constraints_the_seat_is_sold_to_both():
    with without(BOOKING_MOVES, ITEM_MOVES, BOOKING_END, *LIMITS), locks_off():
        first, second = checkout_and_rival()

        assert first.status == "pending"
        assert second.status == "held"
        assert "a slot is over one of its limits" in problems()


def test_a_doctors_time_whose_hold_runs_out_goes_to_one_side_only():
    resource = shop(exclusive=True)
    at = f.soon()
    early = f.make_slot(resource, starts_at=at)
    late = f.make_slot(resource, starts_at=at + timedelta(minutes=30))
    owner, rival = f.CustomerFactory.create_batch(2, organization=resource.organization)
    now = timezone.now()
    f.hold(owner, early, now=now)

    first, second = interleave(
        checking_out(owner, now + timedelta(minutes=14)),
        after=(booking_locks, "bookings"),
        second=lambda: f.hold(rival, late, now=now + timedelta(minutes=16)),
    )

    assert first.status == "pending"
    assert second.code == "resource_taken"
    assert_consistent()


# One cart


def test_a_cart_that_is_checked_out_eight_times_at_once_becomes_one_order():
    customer, _slots, _before, _after = held(3)

    outcomes = race(*[checking_out(customer)] * 8)

    assert len(won(outcomes)) == 1
    assert codes_of(outcomes) == ["cart_empty"] * 7
    assert CartTransaction.objects.count() == 1
    assert events("transaction.received") == 1
    assert_consistent()


def test_a_second_checkout_of_the_same_cart_waits_and_finds_it_empty():
    customer, _slots, _before, _after = held(2)

    first, second = interleave(
        checking_out(customer), after=(locks, "items_in"), second=checking_out(customer)
    )

    assert first.status == "pending"
    assert isinstance(second, CartEmpty)
    assert_consistent()


def test_control_without_locks_one_cart_becomes_two_orders():
    customer, _slots, _before, _after = held(2)

    with locks_off():
        first, second = interleave(
            checking_out(customer),
            after=(booking_locks, "bookings"),
            second=checking_out(customer),
        )

    assert first.pk != second.pk
    assert CartTransaction.objects.count() == 2
    assert "a transaction differs from its items" in problems()


def test_what_is_added_during_a_checkout_is_in_the_order_or_in_the_next_cart():
    customer, (slot, *_), _before, _after = held(2)
    more = f.make_slots(slot.resource, 4, start=f.soon(500))

    outcomes = race(checking_out(customer), *[lambda s=s: f.hold(customer, s) for s in more])

    assert lost(outcomes) == []
    in_order = CartItem.objects.filter(transaction=outcomes[0]).count()
    in_cart = CartItem.objects.filter(status="in_cart", cart__status="open").count()
    assert in_order + in_cart == 6
    assert_consistent()


def test_what_is_added_during_a_checkout_waits_and_goes_into_a_new_cart():
    customer, (slot, *_), _before, _after = held(2)
    another = f.make_slot(slot.resource, starts_at=f.soon(500))

    first, second = interleave(
        checking_out(customer),
        after=(locks, "items_in"),
        second=lambda: f.hold(customer, another),
    )

    assert CartItem.objects.filter(transaction=first).count() == 2
    assert second.cart_item.cart.status == "open"
    assert_consistent()


def test_control_without_locks_what_is_added_is_stuck_in_a_cart_that_is_gone():
    customer, (slot, *_), _before, _after = held(2)
    another = f.make_slot(slot.resource, starts_at=f.soon(500))

    with locks_off():
        interleave(
            checking_out(customer),
            after=(locks, "items_in"),
            second=lambda: f.hold(customer, another),
        )

    assert "a cart that was checked out has things in it" in problems()


def test_first_items_that_are_added_at_once_go_into_one_cart():
    resource = shop()
    customer = f.CustomerFactory(organization=resource.organization)
    slots = f.make_slots(resource, 6)

    outcomes = race(*[lambda s=s: f.hold(customer, s) for s in slots])

    assert lost(outcomes) == []
    assert CartItem.objects.values("cart").distinct().count() == 1
    assert_consistent()


def test_an_item_that_is_removed_during_a_checkout_is_either_bought_or_given_back():
    customer, _slots, _before, _after = held(2)
    item = CartItem.objects.all()[0]

    outcomes = race(
        checking_out(customer),
        lambda: carts.remove_item(
            customer=customer, item_id=item.pk, actor=f.actor_of(customer), now=timezone.now()
        ),
    )

    assert isinstance(outcomes[0], CartTransaction)
    assert set(codes_of(outcomes)) <= {"not_found"}
    count = CartItem.objects.filter(transaction=outcomes[0]).count()
    assert count == (2 if lost(outcomes) else 1)
    assert_consistent()


# Slots in another order


def crossing_orders():
    """Two orders for the same slots, put into the carts in opposite order."""
    resource = shop()
    slots = f.make_slots(resource, 5, max_bookings=2)
    one, other = f.CustomerFactory.create_batch(2, organization=resource.organization)
    for there, back in zip(slots, reversed(slots), strict=True):
        f.hold(one, there)
        f.hold(other, back)
    return f.check_out(one), f.check_out(other)


def test_orders_for_the_same_slots_are_rejected_at_once_in_whatever_order_they_were_put_together():
    for _ in range(3):
        one, other = crossing_orders()

        assert lost(race(rejecting(one), rejecting(other))) == []

    assert_consistent()


def test_checkouts_of_the_same_slots_in_opposite_order_all_get_through():
    resource = shop()
    slots = f.make_slots(resource, 4, max_bookings=6)
    customers = f.CustomerFactory.create_batch(6, organization=resource.organization)

    outcomes = race(
        *[lambda c=c: f.check_out(c, *slots) for c in customers[:3]],
        *[lambda c=c: f.check_out(c, *reversed(slots)) for c in customers[3:]],
    )

    assert lost(outcomes) == []
    assert_consistent()


def test_control_slots_locked_in_the_order_of_the_cart_end_in_a_deadlock(monkeypatch):
    one, other = crossing_orders()
    both_have_one = threading.Barrier(2)
    backwards = [True, False]
    original = booking_locks.slots

    def in_order_of_the_cart(ids):
        first, *rest = sorted(ids, reverse=backwards.pop())
        locked = original([first])
        both_have_one.wait(10)
        return locked + [slot for slot_id in rest for slot in original([slot_id])]

    monkeypatch.setattr(booking_locks, "slots", in_order_of_the_cart)
    outcomes = race(rejecting(one), rejecting(other))

    (victim,) = lost(outcomes)
    assert isinstance(victim, OperationalError)
    assert "deadlock" in str(victim)
    assert_consistent()


def test_everything_at_once_ends_without_deadlock_and_agrees():
    resource = shop()
    slots = f.make_slots(resource, 4, max_bookings=20)
    owners = f.CustomerFactory.create_batch(3, organization=resource.organization)
    orders = [f.check_out(c, *slots) for c in owners]
    for order in orders:
        f.submit_proof(order)
    newcomers = f.CustomerFactory.create_batch(3, organization=resource.organization)

    outcomes = race(
        approving(orders[0]),
        rejecting(orders[1]),
        cancelling(orders[2]),
        cancelling_one(bookings_of(orders[0])[0]),
        cancelling_one(bookings_of(orders[1])[1]),
        lambda: f.submit_proof(orders[0]),
        *[lambda c=c: f.check_out(c, *reversed(slots)) for c in newcomers],
        lambda: bookings.expire_holds(actor=f.SYSTEM, now=timezone.now()),
    )

    assert set(codes_of(outcomes)) <= {"already_decided", "booking_over"}
    assert_consistent()
