"""What is owed back, wherever a booking is cancelled, and what becomes of it (A7, B9)."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from audit.delivery.email import render
from audit.errors import Invalid, NotFound, StaleVersion
from audit.models import OutboxEvent
from bookings.services import closings, reschedule
from payments import selectors
from payments.errors import (
    OwnTransaction,
    RefundNotPossible,
    RefundSettled,
    RefundUnverified,
)
from payments.models import CartItem, Refund
from payments.services import decisions, refunds
from tests import factories as f
from tests.audit.mails import english_in
from tests.corruption import last_line
from tests.invariants import assert_consistent, refusal
from tests.payments import money as m

pytestmark = pytest.mark.django_db

EVERY = (refunds.settle, refunds.waive, refunds.reopen, refunds.verify)


def reject(made, **kwargs):
    arguments = {
        "transaction_id": made.pk,
        "organization_id": made.organization_id,
        "actor": f.SYSTEM,
        "reason": "not on our account",
        "now": timezone.now(),
    }
    return decisions.reject(**(arguments | kwargs))


def a_refund(**kwargs):
    made = m.paid(**kwargs)
    m.cancel_order(made)
    return Refund.objects.get(transaction=made)


def an_unseen_refund():
    made = m.under_review(count=2)
    m.cancel(m.bookings_of(made)[0])
    return made, Refund.objects.get(transaction=made)


# Owed


def test_what_was_paid_is_owed_back_in_one_refund_with_its_items():
    made = m.paid(count=3)

    m.cancel_order(made, reason="the roof leaks")

    refund = Refund.objects.get()
    assert (str(refund.amount), refund.currency, refund.status) == ("60.00", "EUR", "owed")
    assert (refund.verified, refund.reason, refund.way) == (True, "the roof leaks", "transfer")
    assert (refund.customer, refund.organization) == (made.customer, made.organization)
    assert set(refund.items.all()) == set(made.items.all())
    assert_consistent()


def test_bookings_that_are_cancelled_one_by_one_are_owed_one_by_one():
    made = m.paid(count=2)

    for booking in m.bookings_of(made):
        m.cancel(booking)

    assert m.owed(made) == [("20.00", "owed", True)] * 2
    made.refresh_from_db()
    assert made.status == "cancelled"
    assert_consistent()


@pytest.mark.parametrize("order", [m.ordered, m.on_arrival])
def test_nothing_is_owed_of_what_was_not_paid(order):
    m.cancel_order(order())

    assert not Refund.objects.exists()
    assert_consistent()


def test_nothing_is_owed_of_what_was_free():
    slot = f.make_slot()
    made = f.check_out(f.CustomerFactory(organization=slot.organization), slot, method="free")

    m.cancel_order(made)

    assert not Refund.objects.exists()


def test_what_was_paid_on_arrival_is_owed_back():
    made = m.on_arrival()
    m.take(made)

    m.cancel_order(made)

    assert m.owed(made) == [("20.00", "owed", True)]
    assert_consistent()


def test_a_closing_day_owes_everybody_in_as_many_statements_as_for_one():
    counts = {}
    for number in (1, 10):
        resource = m.priced()
        start = f.soon(48)
        slots = f.make_slots(resource, number, start=start)
        orders = []
        for slot in slots:
            made = f.check_out(f.CustomerFactory(organization=resource.organization), slot)
            f.submit_proof(made)
            orders.append(f.approve(made))
        bookings = [b for made in orders for b in m.bookings_of(made)]
        with CaptureQueriesContext(connection) as captured:
            closings._cancel(bookings, reason="water damage", now=timezone.now())
        counts[number] = len(captured)
        assert [m.owed(made) for made in orders] == [[("20.00", "owed", True)]] * number
        assert {i.fee for i in CartItem.objects.all()} == {0}

    assert len(set(counts.values())) == 1, counts
    told = OutboxEvent.objects.filter(kind="booking.cancelled")
    assert {e.payload["refund"] for e in told} == {"20.00"}


# Not seen yet


def test_what_only_a_proof_says_was_paid_is_owed_under_reserve():
    made, _refund = an_unseen_refund()

    assert m.owed(made) == [("20.00", "owed", False)]
    told = OutboxEvent.objects.get(kind="booking.cancelled").payload
    assert (told["refund"], told["refund_verified"]) == ("20.00", False)
    assert_consistent()


def test_an_approval_says_that_the_money_is_there():
    made, _refund = an_unseen_refund()

    f.approve(made)

    assert m.owed(made) == [("20.00", "owed", True)]
    assert_consistent()


def test_a_rejection_says_that_it_never_came():
    made, refund = an_unseen_refund()
    staff = f.MembershipFactory(organization=made.organization, role="reviewer")

    reject(made, actor=f.actor_of(staff))

    refund.refresh_from_db()
    assert (refund.status, refund.note) == ("waived", "not on our account")
    assert (refund.settled_by_id, refund.settled_at is not None) == (staff.user_id, True)
    assert_consistent()


def test_a_rejection_touches_nothing_that_is_owed_for_certain():
    made, refund = an_unseen_refund()
    m.change(refunds.verify, refund)

    reject(made)

    assert m.owed(made) == [("20.00", "owed", True)]


def test_a_rejection_although_the_money_came_owes_all_of_it():
    made, _refund = an_unseen_refund()

    done = reject(made, refund=True)

    assert m.owed(made) == [("20.00", "owed", True)] * 2
    assert (done.status, done.payment_status) == ("rejected", "paid")
    assert done.paid_at == done.ended_at
    told = OutboxEvent.objects.get(kind="transaction.rejected").payload
    assert (told["refund"], told["refund_verified"]) == ("20.00", True)
    assert_consistent()


def test_a_rejection_of_a_request_owes_nothing_that_was_never_to_be_paid():
    resource = m.priced(needs_approval=True)
    made = m.ordered(resource, method="pay_on_arrival")
    assert made.status == "pending"

    with refusal(Invalid):
        reject(made, refund=True)
    reject(made)

    assert not Refund.objects.exists()


def test_an_order_that_is_cancelled_under_review_waits_until_somebody_has_looked():
    made = m.under_review()
    m.cancel_order(made)
    refund = Refund.objects.get()

    with refusal(RefundUnverified):
        m.change(refunds.settle, refund)
    m.change(refunds.verify, refund)
    m.change(refunds.settle, refund)

    assert m.owed(made) == [("20.00", "done", True)]
    assert_consistent()


# Settled


def test_a_settled_refund_says_who_when_and_how_and_its_customer_is_told():
    refund = a_refund()
    staff = f.MembershipFactory(organization=refund.organization, role="reviewer")

    (done,) = m.change(refunds.settle, refund, actor=f.actor_of(staff), reference=" SEPA 1 ")

    stored = Refund.objects.get()
    for field in Refund._meta.concrete_fields:
        assert getattr(done, field.attname) == getattr(stored, field.attname), field.name
    assert (stored.status, stored.reference) == ("done", "SEPA 1")
    assert (stored.settled_by_id, stored.settled_by) == (staff.user_id, str(staff.user))
    event = OutboxEvent.objects.get(kind="refund.settled")
    assert [r["address"] for r in event.recipients] == [refund.customer.email]
    assert (event.payload["amount"], event.payload["reference"]) == ("20.00", "SEPA 1")
    line = last_line(stored)
    assert (line.status, line.actor_id) == ("done", staff.user_id)


def test_a_waived_refund_says_why():
    refund = a_refund()

    m.change(refunds.waive, refund, note="they took a voucher")

    stored = Refund.objects.get()
    assert (stored.status, stored.note, stored.reference) == ("waived", "they took a voucher", "")


@pytest.mark.parametrize("first", [refunds.settle, refunds.waive])
def test_what_was_settled_by_mistake_is_owed_again(first):
    refund = a_refund()
    m.change(first, refund)

    m.change(refunds.reopen, refund, reason="wrong account")

    stored = Refund.objects.get()
    assert (stored.status, stored.settled_at, stored.settled_by) == ("owed", None, "")
    assert (stored.reference, stored.note) == ("", "")
    assert last_line(stored).history_change_reason == "wrong account"
    m.change(refunds.settle, refund)


@pytest.mark.parametrize("service", [refunds.settle, refunds.waive, refunds.verify])
@pytest.mark.parametrize("first", [refunds.settle, refunds.waive])
def test_what_is_settled_is_not_settled_again_not_even_among_others(first, service):
    done, other = a_refund(), a_refund()
    m.change(first, done)

    with refusal(RefundSettled):
        m.change(service, done, other)

    other.refresh_from_db()
    assert other.status == "owed"


def test_what_is_owed_is_not_opened_again():
    with refusal(RefundSettled):
        m.change(refunds.reopen, a_refund())


@pytest.mark.parametrize("service", EVERY)
def test_nobody_decides_on_money_that_is_owed_to_themselves(service):
    refund, other = a_refund(), a_refund()
    if service is refunds.reopen:
        m.change(refunds.settle, refund, other)

    with refusal(OwnTransaction):
        m.change(service, refund, other, actor=f.actor_of(refund.customer.user))


@pytest.mark.parametrize("service", EVERY)
def test_another_organisation_s_refunds_do_not_exist(service):
    refund, mine = a_refund(), a_refund()
    if service is refunds.reopen:
        m.change(refunds.settle, refund, mine)

    for ids in ([refund.pk], [refund.pk, mine.pk], [f.some_id()]):
        with refusal(NotFound):
            m.change(service, refund_ids=ids, organization_ids={mine.organization_id})


@pytest.mark.parametrize(
    ("service", "field", "longest"),
    [
        (refunds.settle, "reference", 100),
        (refunds.waive, "note", 500),
        (refunds.reopen, "reason", 500),
    ],
)
def test_each_says_why_in_so_many_words(service, field, longest):
    refund = a_refund()
    if service is refunds.reopen:
        m.change(refunds.settle, refund)

    for text in ("", "  ", "x" * (longest + 1)):
        with refusal(Invalid) as caught:
            m.change(service, refund, **{field: text})
        assert field in caught.value.extra["errors"]
    m.change(service, refund, **{field: "x" * longest})


@pytest.mark.parametrize("service", EVERY)
def test_many_cost_as_many_statements_as_one(service):
    counts = {}
    for number in (1, 10, 100):
        resource = m.priced(policy=False)
        made = m.paid(resource, number)
        for booking in m.bookings_of(made):
            m.cancel(booking)
        found = list(Refund.objects.filter(transaction=made))
        assert len(found) == number
        if service is refunds.reopen:
            m.change(refunds.settle, *found)
        with CaptureQueriesContext(connection) as captured:
            m.change(service, *found)
        counts[number] = len(captured)

    assert len(set(counts.values())) == 1, counts


def test_a_hundred_are_paid_back_with_one_reference():
    made = m.paid(count=5)
    for booking in m.bookings_of(made):
        m.cancel(booking)

    m.change(refunds.settle, *Refund.objects.all(), reference="run 17")

    assert list(Refund.objects.values_list("status", "reference")) == [("done", "run 17")] * 5
    assert OutboxEvent.objects.filter(kind="refund.settled").count() == 5
    assert_consistent()


def test_a_time_that_was_proposed_is_no_money():
    """The stand-in that holds a proposed time goes with the booking, and is owed nothing."""
    made = m.paid()
    (booking,) = m.bookings_of(made)
    other = f.make_slot(booking.slot.resource, starts_at=booking.slot.starts_at + timedelta(days=1))
    reschedule.propose(
        booking_id=booking.pk,
        slot_id=other.pk,
        organization_id=booking.organization_id,
        message="",
        actor=f.SYSTEM,
        now=timezone.now(),
    )

    m.cancel(booking)

    assert m.owed(made) == [("20.00", "owed", True)]
    assert_consistent()


# Told


@pytest.mark.parametrize(
    ("service", "kind", "words", "said"),
    [
        (refunds.waive, "refund.waived", "That does not happen.", {"note": "They want none"}),
        (refunds.reopen, "refund.owed_again", "after all", {"reason": "It came back"}),
    ],
)
def test_whoever_was_told_of_money_hears_what_becomes_of_it(service, kind, words, said):
    refund = a_refund()
    if service is refunds.reopen:
        m.change(refunds.settle, refund)

    m.change(service, refund, **said)

    event = OutboxEvent.objects.get(kind=kind)
    assert [r["address"] for r in event.recipients] == [refund.customer.email]
    mail = render(event, language="en")
    for text in (mail.text, mail.html):
        for part in (words, "20.00 EUR", refund.transaction.reference, *said.values()):
            assert part in text
    assert english_in(event, language="de") == []


# By hand


def test_whoever_paid_what_they_had_cancelled_gets_it_back():
    made = m.ordered(count=2)
    m.cancel(m.bookings_of(made)[0], actor=f.actor_of(made.customer))
    f.submit_proof(made, amount=Decimal(40))
    f.approve(made)
    staff = f.MembershipFactory(organization=made.organization, role="reviewer")

    m.give_back(made, "20.00", reason="paid for both", actor=f.actor_of(staff))

    refund = Refund.objects.get()
    assert (str(refund.amount), refund.status, refund.verified) == ("20.00", "owed", True)
    assert (refund.by_hand, refund.reason, refund.items.count()) == (True, "paid for both", 0)
    event = OutboxEvent.objects.get(kind="refund.owed")
    assert [r["address"] for r in event.recipients] == [made.customer.email]
    assert "paid for both" in render(event, language="en").text
    assert english_in(event, language="de") == []
    line = last_line(refund)
    assert (line.actor_id, line.history_change_reason) == (staff.user_id, "paid for both")
    assert_consistent()
    m.change(refunds.settle, refund)
    assert_consistent()


@pytest.mark.parametrize(
    ("order", "most"),
    [
        (lambda: m.paid(), 20),  # twice the price, and once it is for the booking
        (lambda: m.paid(count=2), 40),
        (lambda: m.on_arrival(), 20),
    ],
)
def test_no_more_goes_back_than_can_have_been_paid(order, most):
    made = order()
    assert selectors.most_by_hand(made) == most

    for amount in (f"{most}.01", "0", "-1", "1.001"):
        with refusal(Invalid) as caught:
            m.give_back(made, amount)
        assert "amount" in caught.value.extra["errors"]
    m.give_back(made, f"{most}.00")

    with refusal(Invalid):
        m.give_back(made, "0.01")
    assert_consistent()


def test_what_is_owed_back_already_and_what_was_kept_counts():
    made = m.paid(count=2)
    m.cancel(m.bookings_of(made)[0], keep_fee=True)  # 10 kept, 10 owed
    assert selectors.most_by_hand(made) == 80 - 20 - 10 - 10

    m.give_back(made, "40.00")
    m.cancel(m.bookings_of(made)[1])

    assert selectors.most_by_hand(made) == 0
    assert_consistent()
    m.change(refunds.waive, Refund.objects.get(by_hand=True))
    assert selectors.most_by_hand(made) == 40


def test_where_a_proof_says_that_more_was_paid_that_much_can_go_back():
    made = m.ordered()
    f.submit_proof(made, amount=Decimal(200))
    f.approve(made)

    assert selectors.most_by_hand(made) == 180


def test_nothing_goes_back_by_hand_before_a_decision():
    for made in (m.ordered(), m.under_review()):
        with refusal(RefundNotPossible):
            m.give_back(made)


def test_nobody_gives_money_back_to_themselves_nor_twice_from_one_page():
    made = m.paid()
    made.refresh_from_db()
    with refusal(OwnTransaction):
        m.give_back(made, actor=f.actor_of(made.customer.user))
    with refusal(NotFound):
        m.give_back(made, organization_id=f.OrganizationFactory().pk)
    for reason in ("", " ", "x" * 501):
        with refusal(Invalid):
            m.give_back(made, reason=reason)

    m.give_back(made, version=made.version)

    with refusal(StaleVersion):
        m.give_back(made, version=made.version)


def test_what_was_noted_by_hand_stays_what_it_was():
    made = m.paid()
    m.give_back(made)

    with pytest.raises(IntegrityError, match="stays what was owed"), transaction.atomic():
        Refund.objects.update(by_hand=False)


# What was cancelled before it was paid


@pytest.mark.parametrize("order", [m.ordered, m.on_arrival])
def test_what_was_cancelled_before_it_was_paid_is_not_to_be_paid(order):
    made = order(count=3)
    m.cancel(m.bookings_of(made)[0])
    made.refresh_from_db()

    assert made.amount == 60
    assert selectors.to_pay(made) == 40


def test_what_was_cancelled_after_it_was_paid_was_paid():
    made = m.paid(count=3)
    m.cancel(m.bookings_of(made)[0])
    m.cancel(m.bookings_of(made)[1], keep_fee=True)

    assert selectors.to_pay(made) == 60


def test_a_rejection_owes_back_only_what_was_to_be_paid():
    made = m.ordered(count=3)
    m.cancel(m.bookings_of(made)[0])
    f.submit_proof(made)

    reject(made, refund=True)

    assert m.owed(made) == [("40.00", "owed", True)]
    assert_consistent()
