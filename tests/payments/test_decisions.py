"""Approve, reject, cancel, take payment: all sides follow (A4, A5, A7, B10, B11)."""

from datetime import timedelta

import pytest
from django.utils import timezone

from audit.context import Actor
from audit.errors import Invalid, NotFound, StaleVersion
from audit.models import OutboxEvent
from bookings.errors import BookingOver
from bookings.models import Booking, CheckInCode, Slot
from payments.errors import AlreadyDecided, NotPayable, OwnTransaction, ProofMissing
from payments.models import CartItem, CartTransaction, Proof
from payments.services import cancellation, decisions
from tests import factories as f
from tests.invariants import assert_consistent, refusal

pytestmark = pytest.mark.django_db


def make_order(method="pay_now", count=3, *, proof=True, **policy):
    resource = f.ResourceFactory()
    f.PriceFactory(resource=resource)
    if policy:
        f.PolicyFactory(organization=resource.organization, **policy)
    customer = f.CustomerFactory(organization=resource.organization)
    order = f.check_out(customer, *f.make_slots(resource, count), method=method)
    if proof and method == "pay_now":
        f.submit_proof(order)
    return order


@pytest.fixture
def order():
    return make_order()


def decide(what, order, **kwargs):
    arguments = {
        "transaction_id": order.pk,
        "organization_id": order.organization_id,
        "actor": f.SYSTEM,
        "now": timezone.now(),
    }
    if what in (decisions.reject, decisions.cancel):
        arguments["reason"] = "not received"
    return what(**(arguments | kwargs))


def statuses(model):
    return set(model.objects.values_list("status", flat=True))


def mails(kind):
    return OutboxEvent.objects.filter(kind=kind)


def cancel_one(booking, **kwargs):
    return cancellation.cancel_booking(
        **{
            "booking_id": booking.pk,
            "organization_id": booking.organization_id,
            "actor": f.SYSTEM,
            "reason": "ill",
            "now": timezone.now(),
        }
        | kwargs
    )


# Approve


def test_an_approval_confirms_everything_and_gives_out_codes(order):
    staff = f.MembershipFactory(organization=order.organization, role="reviewer")

    f.approve(order, staff)

    order.refresh_from_db()
    assert (order.status, order.payment_status) == ("approved", "paid")
    assert order.paid_at == order.decided_at
    assert (order.decided_by_id, order.decided_by) == (staff.user_id, str(staff.user))
    assert statuses(Booking) == {"confirmed"}
    assert statuses(CartItem) == {"approved"}
    assert statuses(Proof) == {"accepted"}
    assert CheckInCode.objects.count() == 3
    assert_consistent()


def test_an_approval_is_told_once_with_all_its_bookings(order):
    f.approve(order)

    event = mails("transaction.approved").get()
    assert len(event.payload["bookings"]) == 3
    assert [r["address"] for r in event.recipients] == [order.customer.email]


@pytest.mark.parametrize("what", [decisions.approve, decisions.reject])
def test_what_was_decided_cannot_be_decided_again(order, what):
    approved = f.approve(order)

    with refusal(AlreadyDecided) as caught:
        decide(what, order)

    assert approved.decided_by in caught.value.detail
    assert caught.value.extra["transaction_status"] == "approved"


def test_what_comes_back_is_what_is_in_the_database(order):
    for act in (f.approve, lambda o: decide(decisions.cancel, o)):
        done = act(order)
        stored = CartTransaction.objects.get()
        for field in CartTransaction._meta.concrete_fields:
            assert getattr(done, field.attname) == getattr(stored, field.attname), field.name


def test_without_a_proof_nothing_paid_in_advance_is_approved():
    order = make_order(proof=False)

    with refusal(ProofMissing):
        decide(decisions.approve, order)


def test_without_a_proof_it_is_approved_where_the_organisation_looks_at_its_account():
    order = make_order(proof=False, proof_required=False)

    assert decide(decisions.approve, order).payment_status == "paid"
    assert_consistent()


def test_what_is_paid_on_arrival_is_approved_unpaid():
    order = make_order("pay_on_arrival")

    done = decide(decisions.approve, order)

    assert (done.status, done.payment_status, done.paid_at) == ("approved", "pending", None)
    assert_consistent()


@pytest.mark.parametrize("what", [decisions.approve, decisions.reject])
def test_nobody_decides_on_their_own_order(order, what):
    f.MembershipFactory(organization=order.organization, user=order.customer.user)
    me = Actor("staff", order.customer.user_id, "me")

    with refusal(OwnTransaction):
        decide(what, order, actor=me)


@pytest.mark.parametrize("what", [decisions.approve, decisions.reject, decisions.cancel])
def test_another_organisation_s_order_does_not_exist(order, what):
    elsewhere = f.OrganizationFactory()

    with refusal(NotFound):
        decide(what, order, organization_id=elsewhere.pk)
    with refusal(NotFound):
        decide(what, order, transaction_id=f.some_id())


@pytest.mark.parametrize("what", [decisions.approve, decisions.reject, decisions.cancel])
def test_a_decision_about_something_else_than_was_read_is_refused(order, what):
    order.refresh_from_db()
    read = order.version
    f.submit_proof(order)
    CartTransaction.objects.update(note="changed meanwhile")

    with refusal(StaleVersion) as caught:
        decide(what, order, version=read)

    decide(what, order, version=caught.value.extra["current_version"])


def test_a_booking_that_was_cancelled_before_is_not_confirmed(order):
    gone = Booking.objects.all()[0]
    cancel_one(gone)

    f.approve(order)

    gone.refresh_from_db()
    assert gone.status == "cancelled"
    assert CheckInCode.objects.count() == 2
    assert_consistent()


# Reject


def test_a_rejection_gives_the_seats_back_and_says_why(order):
    decide(decisions.reject, order, reason="no such transfer")

    order.refresh_from_db()
    assert (order.status, order.payment_status) == ("rejected", "failed")
    assert order.decision_reason == "no such transfer"
    assert statuses(Booking) == statuses(CartItem) == statuses(Proof) == {"rejected"}
    assert {b.ended_reason for b in Booking.objects.all()} == {"no such transfer"}
    assert {s.taken_units for s in Slot.objects.all()} == {0}
    assert mails("transaction.rejected").get().payload["reason"] == "no such transfer"
    assert_consistent()


def test_seats_that_were_given_back_can_be_had_at_once(order):
    decide(decisions.reject, order)

    f.check_out(f.CustomerFactory(organization=order.organization), Slot.objects.all()[0])
    assert_consistent()


def test_what_would_have_been_paid_on_arrival_is_rejected_without_a_payment():
    order = make_order("pay_on_arrival")

    assert decide(decisions.reject, order).payment_status == "pending"
    assert_consistent()


@pytest.mark.parametrize("what", [decisions.reject, decisions.cancel])
@pytest.mark.parametrize("reason", ["", "  \n", "x" * 1_001])
def test_a_reason_is_needed_and_has_a_length(order, what, reason):
    with refusal(Invalid) as caught:
        decide(what, order, reason=reason)

    assert "reason" in caught.value.extra["errors"]


def test_a_long_reason_is_kept_in_full_on_the_order(order):
    decide(decisions.reject, order, reason="x" * 1_000)

    order.refresh_from_db()
    assert len(order.decision_reason) == 1_000
    assert CartTransaction.history.latest().history_change_reason == "x" * 1_000


# Cancel, from either side (A7)


@pytest.mark.parametrize("approved", [False, True])
def test_cancelling_the_order_cancels_everything_in_it(order, approved):
    if approved:
        f.approve(order)

    decide(decisions.cancel, order)

    order.refresh_from_db()
    # An approval keeps its own words; why the order ended is on the bookings.
    words = "" if approved else "not received"
    assert (order.status, order.decision_reason) == ("cancelled", words)
    assert {b.ended_reason for b in Booking.objects.all()} == {"not received"}
    assert statuses(Booking) == statuses(CartItem) == {"cancelled"}
    assert {s.taken_units for s in Slot.objects.all()} == {0}
    assert mails("transaction.cancelled").count() == 1
    assert mails("booking.cancelled").count() == 0
    assert_consistent()


@pytest.mark.parametrize("approved", [False, True])
def test_cancelling_bookings_one_by_one_cancels_the_order_with_the_last(order, approved):
    if approved:
        f.approve(order)

    for booking in Booking.objects.all():
        order.refresh_from_db()
        assert order.status == ("approved" if approved else "under_review")
        cancel_one(booking)
        assert_consistent()

    order.refresh_from_db()
    assert (order.status, order.decision_reason) == ("cancelled", "" if approved else "ill")
    assert {b.ended_reason for b in Booking.objects.all()} == {"ill"}
    assert statuses(CartItem) == {"cancelled"}
    assert statuses(Proof) == {"accepted" if approved else "rejected"}


def test_the_item_follows_its_booking(order):
    booking = Booking.objects.all()[0]

    cancel_one(booking)

    assert booking.cart_item.status == "cancelled"
    assert CartItem.objects.exclude(booking=booking).values_list("status", flat=True)[0] != (
        "cancelled"
    )


def test_a_paid_order_stays_paid_when_it_is_cancelled(order):
    f.approve(order)

    decide(decisions.cancel, order)

    order.refresh_from_db()
    assert order.payment_status == "paid"


@pytest.mark.parametrize("end", [decisions.reject, decisions.cancel])
def test_what_is_over_cannot_be_cancelled(order, end):
    decide(end, order)

    with refusal(AlreadyDecided):
        decide(decisions.cancel, order)


@pytest.mark.parametrize("status", ["checked_in", "completed", "no_show"])
def test_an_order_with_somebody_who_came_or_was_missed_is_not_cancelled_as_a_whole(order, status):
    f.approve(order)
    came = Booking.objects.all()[0]
    now = timezone.now()
    if status != "no_show":
        Booking.objects.filter(pk=came.pk).update(status="checked_in", checked_in_at=now)
    if status != "checked_in":
        missed_at = came.slot.starts_at if status == "no_show" else None
        Booking.objects.filter(pk=came.pk).update(status=status, missed_at=missed_at)

    with refusal(BookingOver, "singly"):
        decide(decisions.cancel, order)


def test_an_order_of_which_everybody_came_is_not_cancelled(order):
    f.approve(order)
    Booking.objects.update(status="checked_in", checked_in_at=timezone.now())
    Booking.objects.update(status="completed")

    with refusal(BookingOver):
        decide(decisions.cancel, order)


def test_a_customer_cannot_cancel_an_order_that_has_begun_and_staff_can(order):
    start = Slot.objects.order_by("starts_at")[0].starts_at

    with refusal(BookingOver, "ask the staff"):
        decide(decisions.cancel, order, actor=f.actor_of(order.customer), now=start)

    decide(decisions.cancel, order, now=start)
    assert_consistent()


def test_a_customer_cancels_their_own_order_in_time(order):
    start = Slot.objects.order_by("starts_at")[0].starts_at
    now = start - timedelta(seconds=1)

    done = decide(decisions.cancel, order, actor=f.actor_of(order.customer), now=now)

    assert done.status == "cancelled"


# Payment on arrival


def test_a_payment_on_arrival_is_noted_once():
    order = make_order("pay_on_arrival")
    decide(decisions.approve, order)
    now = timezone.now()

    done = decide(decisions.take_payment, order, now=now)

    order.refresh_from_db()
    assert (order.payment_status, order.paid_at) == ("paid", now)
    assert done.version == order.version
    with refusal(NotPayable, "paid"):
        decide(decisions.take_payment, order)
    assert_consistent()


@pytest.mark.parametrize("method", ["pay_now", "pay_on_arrival"])
def test_what_is_not_approved_or_paid_otherwise_is_not_paid_at_the_desk(method):
    order = make_order(method)

    with refusal(NotPayable):
        decide(decisions.take_payment, order)


def test_nobody_marks_their_own_order_paid():
    order = make_order("pay_on_arrival")
    decide(decisions.approve, order)
    desk = f.MembershipFactory(
        organization=order.organization, role="front_desk", user=order.customer.user
    )

    with refusal(OwnTransaction):
        decide(decisions.take_payment, order, actor=f.actor_of(desk))


# The trail


def test_one_decision_is_one_name_and_one_reason_on_everything_it_changed(order):
    staff = f.MembershipFactory(organization=order.organization)

    decide(decisions.reject, order, actor=f.actor_of(staff), reason="no such transfer")

    for model in (CartTransaction, Booking, CartItem, Proof):
        line = model.history.filter(status="rejected").latest()
        assert (line.actor_kind, line.actor_id) == ("staff", staff.user_id)
        assert line.history_change_reason == "no such transfer"
