"""Races over what is owed back, on real connections (A7, A13, B9).

Each at its worst moment by two; a control shows the harm without the protection.
"""

from decimal import Decimal

import pytest
from django.db import transaction
from django.utils import timezone

from audit.context import audited
from audit.errors import Invalid, StaleVersion
from audit.models import OutboxEvent
from bookings import locks as booking_locks
from bookings.errors import BookingOver
from payments import locks, owing, selectors
from payments.errors import FeeDue, NotPayable, RefundSettled
from payments.models import CartItem, CartTransaction, Refund
from payments.services import cancellation, decisions, refunds
from tests import factories as f
from tests.concurrency import interleave, locks_off, lost, race, without, won
from tests.invariants import assert_consistent, problems
from tests.payments import money as m

pytestmark = pytest.mark.django_db(transaction=True)

BOOKING_MOVES = "bookings_booking.follow_lifecycle"
ITEM_MOVES = "payments_cartitem.follow_lifecycle"
BOOKING_END = "bookings_booking_ended_says_when"
ITEM_ENDED = "payments_cartitem_refunded_has_ended"


def cancelling(booking, **kwargs):
    return lambda: m.cancel(booking, **kwargs)


def cancelling_order(made, **kwargs):
    return lambda: m.cancel_order(made, **kwargs)


def taking(made):
    return lambda: m.take(made)


def approving(made):
    member = f.MembershipFactory(organization=made.organization, role="reviewer")
    return lambda: f.approve(made, member)


def rejecting(made, **kwargs):
    return lambda: decisions.reject(
        transaction_id=made.pk,
        organization_id=made.organization_id,
        actor=f.SYSTEM,
        reason="not received",
        now=timezone.now(),
        **kwargs,
    )


def settling(*found, reference="SEPA 1"):
    return lambda: m.change(refunds.settle, *found, reference=reference)


def events(kind):
    return OutboxEvent.objects.filter(kind=kind).count()


# Cancel ∥ cancel


def test_of_eight_who_cancel_the_same_one_wins_and_it_is_owed_once():
    made = m.paid()
    (booking,) = m.bookings_of(made)

    outcomes = race(
        *[cancelling(booking)] * 3,
        *[cancelling_order(made)] * 3,
        *[cancelling(booking, actor=f.actor_of(made.customer), accepted_fee=Decimal(10))] * 2,
    )

    assert len(won(outcomes)) == 1
    assert len(Refund.objects.all()) == 1
    assert_consistent()


def test_who_cancels_what_is_being_cancelled_waits_and_is_told():
    made = m.paid()
    (booking,) = m.bookings_of(made)

    first, second = interleave(
        cancelling(booking), after=(booking_locks, "slot_and_booking"), second=cancelling(booking)
    )

    assert first.status == "cancelled"
    assert isinstance(second, BookingOver)
    assert m.owed(made) == [("20.00", "owed", True)]
    assert_consistent()


OWES = 'INSERT INTO "payments_refund"'


def test_control_without_locks_one_booking_is_owed_twice():
    """Two fixers, or whoever else owes without the lock: what the order of locks is for."""
    made = m.paid()
    m.cancel_order(made)
    item = CartItem.objects.get(transaction=made)
    CartItem.objects.update(refund=None)
    Refund.objects.all().delete()

    def owe():
        with transaction.atomic(), audited(f.SYSTEM):
            found = locks.transactions([made.pk])
            row = CartItem.objects.get(pk=item.pk)
            owing.owe_refunds(found, [row], now=timezone.now(), reason="test")

    with locks_off():
        interleave(owe, after=OWES, second=owe)

    assert Refund.objects.count() == 2
    assert "a refund differs from what its items were paid less what was kept" in problems()


def test_bookings_of_one_order_that_are_cancelled_at_once_are_each_owed_once():
    made = m.paid(count=4)

    outcomes = race(*[cancelling(b) for b in m.bookings_of(made)])

    assert lost(outcomes) == []
    assert m.owed(made) == [("20.00", "owed", True)] * 4
    assert_consistent()


# Cancel ∥ take payment


@pytest.mark.parametrize("count", [1, 2])
def test_who_cancels_while_the_payment_is_taken_owes_it_back(count):
    made = m.on_arrival(count=count)
    booking = m.bookings_of(made)[0]

    first, second = interleave(
        taking(made), after=(locks, "transaction"), second=cancelling(booking)
    )

    assert (first.payment_status, second.status) == ("paid", "cancelled")
    assert m.owed(made) == [("20.00", "owed", True)]
    assert_consistent()


def test_what_is_being_cancelled_is_not_paid_any_more():
    made = m.on_arrival()
    (booking,) = m.bookings_of(made)

    first, second = interleave(
        cancelling(booking), after=(locks, "transactions"), second=taking(made)
    )

    assert first.status == "cancelled"
    assert isinstance(second, NotPayable)
    assert not Refund.objects.exists()
    assert_consistent()


def test_control_without_locks_an_order_is_paid_and_cancelled_and_nothing_is_owed():
    made = m.on_arrival()
    (booking,) = m.bookings_of(made)

    with locks_off():
        first, second = interleave(
            taking(made), after=(locks, "transaction"), second=cancelling(booking)
        )

    assert (first.payment_status, second.status) == ("paid", "cancelled")
    made.refresh_from_db()
    assert (made.status, made.payment_status) == ("cancelled", "paid")
    assert not Refund.objects.exists()


def test_a_payment_and_a_cancellation_at_once_agree_in_every_order():
    for _ in range(3):
        made = m.on_arrival(count=2)
        booking = m.bookings_of(made)[0]

        outcomes = race(taking(made), cancelling(booking))

        assert lost(outcomes) == []
        assert len(m.owed(made)) <= 1
        assert_consistent()


def late(made):
    """A customer who saw no fee, since nothing was paid."""
    return {"actor": f.actor_of(made.customer)}


def test_nobody_pays_between_the_fee_and_the_refund():
    made = m.on_arrival(count=2)
    booking = m.bookings_of(made)[0]

    first, second = interleave(
        cancelling(booking, **late(made)), after=(cancellation, "agree"), second=taking(made)
    )

    assert (first.status, second.payment_status) == ("cancelled", "paid")
    assert not Refund.objects.exists()
    assert_consistent()


def test_who_cancels_while_the_payment_is_taken_is_told_of_the_fee():
    made = m.on_arrival(count=2)
    booking = m.bookings_of(made)[0]

    _first, second = interleave(
        taking(made), after=(locks, "transaction"), second=cancelling(booking, **late(made))
    )

    assert isinstance(second, FeeDue)
    booking.refresh_from_db()
    assert booking.status == "confirmed"
    assert_consistent()


def test_control_without_locks_the_fee_is_lost():
    made = m.on_arrival(count=2)
    booking = m.bookings_of(made)[0]

    with locks_off():
        interleave(
            cancelling(booking, **late(made)), after=(cancellation, "agree"), second=taking(made)
        )

    assert m.owed(made) == [("20.00", "owed", True)]  # and 10.00 of it were to be kept


# Cancel ∥ approve, cancel ∥ reject


def test_what_is_cancelled_while_the_order_is_approved_is_owed_for_certain():
    made = m.under_review(count=2)
    booking = m.bookings_of(made)[0]

    first, second = interleave(
        approving(made), after=(locks, "transaction"), second=cancelling(booking)
    )

    assert (first.status, second.status) == ("approved", "cancelled")
    assert m.owed(made) == [("20.00", "owed", True)]
    assert_consistent()


def test_an_approval_waits_for_the_cancellation_and_makes_it_certain():
    made = m.under_review(count=2)
    booking = m.bookings_of(made)[0]

    first, second = interleave(
        cancelling(booking), after=(locks, "transactions"), second=approving(made)
    )

    assert (first.status, second.status) == ("cancelled", "approved")
    assert m.owed(made) == [("20.00", "owed", True)]
    assert_consistent()


def test_without_locks_the_constraint_still_refuses_an_item_that_is_approved_and_paid_back():
    made = m.under_review(count=2)
    booking = m.bookings_of(made)[0]

    with without(BOOKING_MOVES, ITEM_MOVES, BOOKING_END), locks_off():
        first, _second = interleave(
            approving(made), after=(locks, "transaction"), second=cancelling(booking)
        )

        assert ITEM_ENDED in str(first)
        made.refresh_from_db()
        assert made.status == "under_review"


def test_control_without_locks_and_constraints_an_approved_item_is_owed_and_nobody_verified_it():
    made = m.under_review(count=2)
    booking = m.bookings_of(made)[0]

    with without(BOOKING_MOVES, ITEM_MOVES, BOOKING_END, ITEM_ENDED), locks_off():
        first, second = interleave(
            approving(made), after=(locks, "transaction"), second=cancelling(booking)
        )

        assert (first.status, second.status) == ("approved", "cancelled")
        assert m.owed(made) == [("20.00", "owed", False)]
        assert CartItem.objects.get(booking=booking).status == "approved"


@pytest.mark.parametrize("refund", [True, False])
def test_a_rejection_waits_for_the_cancellation_and_settles_what_it_owes(refund):
    made = m.under_review(count=2)
    booking = m.bookings_of(made)[0]

    first, second = interleave(
        cancelling(booking), after=(locks, "transactions"), second=rejecting(made, refund=refund)
    )

    assert (first.status, second.status) == ("cancelled", "rejected")
    owed = [("20.00", "owed", True)] * 2 if refund else [("20.00", "waived", False)]
    assert m.owed(made) == owed
    assert_consistent()


# Settle ∥ settle


def a_refund():
    made = m.paid()
    m.cancel_order(made)
    return Refund.objects.get(transaction=made)


def test_of_eight_who_pay_back_the_same_one_wins_and_one_mail_goes_out():
    refund, other = a_refund(), a_refund()

    outcomes = race(
        *[settling(refund, reference=f"run {n}") for n in range(4)],
        *[settling(refund, other, reference=f"run {n}") for n in range(4, 8)],
    )

    refund.refresh_from_db()
    assert refund.status == "done"
    assert len({r.reference for r in (w[0] for w in won(outcomes))} & {refund.reference}) == 1
    assert len(won(outcomes)) == 1
    assert {type(e) for e in lost(outcomes)} == {RefundSettled}
    assert events("refund.settled") == len(won(outcomes)[0])
    assert_consistent()


def test_who_pays_back_what_is_being_paid_back_waits_and_is_told():
    refund = a_refund()

    first, second = interleave(
        settling(refund), after=(locks, "refunds"), second=settling(refund, reference="SEPA 2")
    )

    assert [r.reference for r in first] == ["SEPA 1"]
    assert isinstance(second, RefundSettled)
    assert Refund.objects.get().reference == "SEPA 1"
    assert events("refund.settled") == 1


def test_control_without_locks_it_is_paid_back_twice_and_two_mails_go_out():
    refund = a_refund()

    with locks_off():
        interleave(
            settling(refund), after=(locks, "refunds"), second=settling(refund, reference="SEPA 2")
        )

    assert events("refund.settled") == 2


def test_two_runs_over_the_same_refunds_in_opposite_order_end_without_deadlock():
    found = [a_refund() for _ in range(4)]

    outcomes = race(settling(*found), settling(*reversed(found)))

    assert len(won(outcomes)) == 1
    assert {type(e) for e in lost(outcomes)} == {RefundSettled}


# By hand ∥ by hand


def giving_back(made, amount, **kwargs):
    return lambda: m.give_back(made, amount, **kwargs)


def by_hand(made):
    return [str(r.amount) for r in Refund.objects.filter(transaction=made, by_hand=True)]


def test_who_notes_what_is_being_noted_waits_and_no_more_is_owed_than_can_have_been_paid():
    made = m.paid()

    first, second = interleave(
        giving_back(made, "15.00"), after=(locks, "transaction"), second=giving_back(made, "15.00")
    )

    assert isinstance(first, CartTransaction)
    assert isinstance(second, Invalid)
    assert by_hand(made) == ["15.00"]
    assert events("refund.owed") == 1
    assert_consistent()


def test_control_without_locks_more_is_owed_than_can_have_been_paid():
    made = m.paid()

    with locks_off():
        interleave(
            giving_back(made, "15.00"),
            after=(selectors, "most_by_hand"),
            second=giving_back(made, "15.00"),
        )

    assert by_hand(made) == ["15.00"] * 2
    assert "more is given back by hand than anybody can have paid" in problems()


def test_of_eight_who_press_the_same_button_one_notes_it():
    made = m.paid()
    made.refresh_from_db()

    outcomes = race(*[giving_back(made, "1.00", version=made.version)] * 8)

    assert len(won(outcomes)) == 1
    assert {type(e) for e in lost(outcomes)} == {StaleVersion}
    assert by_hand(made) == ["1.00"]


def test_a_cancellation_and_money_by_hand_at_once_agree():
    made = m.paid(count=2)
    booking = m.bookings_of(made)[0]

    outcomes = race(cancelling(booking), giving_back(made, "40.00"))

    assert lost(outcomes) == []
    assert sorted(by_hand(made)) == ["40.00"]
    assert_consistent()


def test_everything_at_once_ends_without_deadlock_and_agrees():
    made = m.under_review(count=3)
    one, two, _three = m.bookings_of(made)

    race(
        approving(made),
        rejecting(made, refund=True),
        cancelling(one),
        cancelling(two),
        cancelling_order(made),
    )

    assert CartTransaction.objects.get().status in ("approved", "rejected", "cancelled")
    assert_consistent()
