"""What moving a booking means for its price and for what is due (A7, B1, B6)."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from audit.delivery.email import render
from audit.errors import NotFound, StaleVersion
from audit.models import OutboxEvent
from bookings import signals
from bookings.errors import BookingOver, TooLate
from bookings.models import Booking, Organization, Proposal
from bookings.services import reschedule as proposals
from payments.errors import PriceDiffers
from payments.models import CartItem, CartTransaction, PaymentPolicy, Price
from payments.services import cancellation, decisions, expiry, reschedule
from tests import factories as f
from tests.bookings.test_reschedule import own, place, refused, staff_of, taken
from tests.corruption import last_line
from tests.invariants import assert_consistent

pytestmark = pytest.mark.django_db


def priced(amount="20.00", **kwargs):
    resource = f.ResourceFactory(**kwargs)
    f.PriceFactory(resource=resource, amount=Decimal(amount), basis=Price.Basis.UNIT)
    return resource


def slot_in(resource, days=0, **kwargs):
    return f.make_slot(resource, starts_at=f.soon(24 * 5 + 24 * days), **kwargs)


def order(*slots, method="pay_now", units=1, now=None):
    customer = f.CustomerFactory(organization=slots[0].organization)
    return f.check_out(customer, *slots, method=method, units=units, now=now)


def bookings_in(made):
    rows = Booking.objects.filter(cart_item__transaction=made).select_related("slot")
    return list(rows.order_by("cart_item__created_at", "pk"))


def move(booking, slot, *, actor=None, now=None, **kwargs):
    kwargs.setdefault("organization_id", booking.organization_id)
    return reschedule.reschedule(
        booking_id=booking.pk,
        slot_id=slot.pk,
        actor=actor or staff_of(booking),
        now=now or timezone.now(),
        **kwargs,
    )


def frozen(booking):
    return CartItem.objects.filter(booking=booking).values_list("amount", "tax", "currency").get()


@pytest.fixture
def shop():
    """A hall for 20.00, and a dearer one of the same organisation."""
    cheap = priced(name="Hall")
    dear = priced("25.00", organization=cheap.organization, name="Big hall")
    return cheap, dear


# The price


def test_at_the_same_price_it_is_moved(shop):
    one, other = slot_in(shop[0]), slot_in(shop[0], 1)
    [booking] = bookings_in(order(one))
    before = frozen(booking)

    moved = move(booking, other, actor=own(booking), reason="another day suits me")

    assert moved.slot_id == other.pk
    assert taken(one, other) == [0, 1]
    assert frozen(booking) == before
    assert_consistent()


def test_another_price_is_refused_with_both(shop):
    one, other = slot_in(shop[0], max_bookings=2), slot_in(shop[1], max_bookings=2)
    [booking] = bookings_in(order(one, units=2))

    error = refused(PriceDiffers, booking, lambda: move(booking, other))

    assert error.extra == {
        "amount": "40.00",
        "currency": "EUR",
        "new_amount": "50.00",
        "new_currency": "EUR",
    }


def test_a_customer_cannot_say_that_the_price_stays(shop):
    one, other = slot_in(shop[0]), slot_in(shop[0], 1)
    [booking] = bookings_in(order(one))
    f.PriceFactory(resource=shop[0], amount=Decimal("30.00"), priority=9)

    error = refused(
        PriceDiffers,
        booking,
        lambda: move(booking, other, actor=own(booking), accept_price=True),
    )

    assert "Ask the staff" in error.detail


def test_staff_may_let_it_keep_its_price_and_everybody_reads_so(shop):
    one, other = slot_in(shop[0]), slot_in(shop[1])
    [booking] = bookings_in(order(one))
    before = frozen(booking)

    move(booking, other, accept_price=True, reason="the small hall is closed")

    assert place(booking)[0] == other.pk
    assert frozen(booking) == before
    assert last_line(booking).history_change_reason == (
        "the small hall is closed (the price stays 20.00 EUR, today it would be 25.00 EUR)"
    )
    event = OutboxEvent.objects.filter(kind="booking.rescheduled").latest("pk")
    assert event.payload["price_stays"] == {"amount": "20.00", "currency": "EUR"}
    assert event.payload["reason"] == "the small hall is closed"
    assert_consistent()


def test_accepting_the_price_where_it_is_the_same_says_nothing(shop):
    one, other = slot_in(shop[0]), slot_in(shop[0], 1)
    [booking] = bookings_in(order(one))

    move(booking, other, accept_price=True, reason="closed")

    assert last_line(booking).history_change_reason == "closed"
    event = OutboxEvent.objects.filter(kind="booking.rescheduled").latest("pk")
    assert "price_stays" not in event.payload


def test_what_is_free_moves_to_what_is_free_and_not_to_what_costs(shop):
    free = f.ResourceFactory(organization=shop[0].organization)
    one, other = slot_in(free), slot_in(free, 1)
    [booking] = bookings_in(order(one, method="free"))

    costs = slot_in(shop[0])
    error = refused(PriceDiffers, booking, lambda: move(booking, costs))
    assert (error.extra["amount"], error.extra["new_amount"]) == ("0.00", "20.00")
    move(booking, other)
    assert place(booking)[0] == other.pk


def test_another_currency_is_another_price(shop):
    yen = f.ResourceFactory(organization=shop[0].organization)
    f.PriceFactory(resource=yen, amount=Decimal("20.00"), currency="USD")
    there = slot_in(yen)
    [booking] = bookings_in(order(slot_in(shop[0])))

    error = refused(PriceDiffers, booking, lambda: move(booking, there))

    assert (error.extra["currency"], error.extra["new_currency"]) == ("EUR", "USD")


def test_the_comparison_is_there_to_be_shown_before(shop):
    one, other = slot_in(shop[0], max_bookings=3), slot_in(shop[1], max_bookings=3)
    [booking] = bookings_in(order(one, units=3))

    found = reschedule.compare(booking, other)

    assert (found.now, found.then, found.currency, found.differs) == (
        Decimal("60.00"),
        Decimal("75.00"),
        "EUR",
        True,
    )
    assert not reschedule.compare(booking, slot_in(shop[0], 2, max_bookings=3)).differs


def test_what_bookings_refuse_is_refused_here(shop):
    one, other = slot_in(shop[0]), slot_in(shop[0], 1)
    [booking] = bookings_in(order(one))
    held = f.hold(booking.customer, slot_in(shop[0], 2))

    refused(BookingOver, held, lambda: move(held, other))
    refused(StaleVersion, booking, lambda: move(booking, other, version=booking.version + 1))
    refused(NotFound, booking, lambda: move(booking, other, organization_id=f.some_id()))


def test_an_accepted_proposal_keeps_its_price(shop):
    one, other = slot_in(shop[0]), slot_in(shop[1])
    made = order(one)
    f.submit_proof(made)
    f.approve(made)
    [booking] = bookings_in(made)
    before = frozen(booking)
    facts = {"booking_id": booking.pk, "organization_id": booking.organization_id}
    now = timezone.now()

    reschedule.propose(
        slot_id=other.pk, actor=staff_of(booking), accept_price=True, now=now, **facts
    )
    proposals.accept(actor=own(booking), now=now, **facts)

    assert place(booking)[:2] == (other.pk, "confirmed")
    assert frozen(booking) == before
    made.refresh_from_db()
    assert (made.status, made.payment_status) == ("approved", "paid")
    assert_consistent()


def test_a_time_with_another_price_is_proposed_only_if_the_booking_keeps_its_own(shop):
    one, other = slot_in(shop[0]), slot_in(shop[1])
    made = order(one)
    f.submit_proof(made)
    f.approve(made)
    [booking] = bookings_in(made)
    facts = {"booking_id": booking.pk, "organization_id": booking.organization_id}

    def propose(**more):
        return reschedule.propose(
            slot_id=other.pk, actor=staff_of(booking), now=timezone.now(), **facts, **more
        )

    error = refused(PriceDiffers, booking, propose)
    assert error.extra["new_amount"] != error.extra["amount"]
    proposal = propose(accept_price=True)

    assert proposal.terms.startswith(f"the price stays {error.extra['amount']}")
    [event] = OutboxEvent.objects.filter(kind="booking.reschedule_proposed")
    assert event.payload["price_stays"]["amount"] == error.extra["amount"]
    assert Proposal.history.get(id=proposal.pk).terms == proposal.terms
    assert says_that_the_price_stays(event, error.extra["amount"])


def says_that_the_price_stays(event, amount):
    mail = render(event)
    words = f"The price stays {amount} EUR."
    return words in mail.text and words in mail.html


def test_who_accepts_a_time_with_another_price_is_told_that_theirs_stays(shop):
    one, other = slot_in(shop[0]), slot_in(shop[1])
    made = order(one)
    f.submit_proof(made)
    f.approve(made)
    [booking] = bookings_in(made)
    before = frozen(booking)
    facts = {"booking_id": booking.pk, "organization_id": booking.organization_id}
    now = timezone.now()
    reschedule.propose(
        slot_id=other.pk, actor=staff_of(booking), accept_price=True, now=now, **facts
    )

    proposals.accept(actor=own(booking), now=now, **facts)

    assert frozen(booking) == before
    [event] = OutboxEvent.objects.filter(kind="booking.rescheduled")
    amount = str(booking.cart_item.amount)
    assert event.payload["price_stays"] == {"amount": amount, "currency": "EUR"}
    assert says_that_the_price_stays(event, amount)
    line = last_line(booking)
    assert line.history_change_reason == "proposal accepted (prices stay as they were agreed)"


def test_who_accepts_a_time_at_the_same_price_is_told_nothing_of_it(shop):
    one, other = slot_in(shop[0]), slot_in(shop[0], 1)
    made = order(one)
    f.submit_proof(made)
    f.approve(made)
    [booking] = bookings_in(made)
    facts = {"booking_id": booking.pk, "organization_id": booking.organization_id}
    now = timezone.now()
    proposal = reschedule.propose(slot_id=other.pk, actor=staff_of(booking), now=now, **facts)

    proposals.accept(actor=own(booking), now=now, **facts)

    assert proposal.terms == ""
    [event] = OutboxEvent.objects.filter(kind="booking.rescheduled")
    assert "price_stays" not in event.payload
    assert "The price stays" not in render(event).text
    assert last_line(booking).history_change_reason == "proposal accepted"


# What is due


def deadlines(made):
    found = CartTransaction.objects.get(pk=made.pk)
    return found.due_at, {b.pending_until for b in bookings_in(made)}


def test_a_request_is_due_at_the_first_start_where_that_is_sooner_than_the_hours(shop):
    Organization.objects.update(pending_hours=24 * 60)
    first, second = slot_in(shop[0], 1), slot_in(shop[0], 3)
    earlier, later = slot_in(shop[0], 0), slot_in(shop[0], 9)
    PaymentPolicy.objects.update_or_create(
        organization=shop[0].organization, defaults={"confirms_pay_on_arrival": False}
    )
    made = order(first, second, method="pay_on_arrival")
    one, _two = bookings_in(made)
    assert deadlines(made) == (first.starts_at, {first.starts_at})

    move(one, earlier)
    assert deadlines(made) == (earlier.starts_at, {earlier.starts_at})
    move(one, later)
    assert deadlines(made) == (second.starts_at, {second.starts_at})
    made.refresh_from_db()  # in 24 hours, as any review: sooner than half of the time
    assert made.review_due_at == made.created_at + timedelta(hours=24)
    assert_consistent()


def test_what_is_paid_in_advance_is_due_within_the_hours_and_before_the_start(shop):
    Organization.objects.update(pending_hours=48)
    far, near, farther = slot_in(shop[0], 1), f.make_slot(shop[0]), slot_in(shop[0], 2)
    made = order(far)
    [booking] = bookings_in(made)
    within = made.created_at + timedelta(hours=48)
    assert deadlines(made) == (within, {within})

    moved = move(booking, near)
    assert deadlines(made) == (near.starts_at, {near.starts_at})
    assert (moved.pending_until, moved.version) == (near.starts_at, place(booking)[2])

    moved = move(booking, farther)
    assert deadlines(made) == (within, {within})
    assert moved.version == place(booking)[2]


def test_a_deadline_that_stays_is_not_written(shop):
    one, other = slot_in(shop[0]), slot_in(shop[0], 1)
    made = order(one)
    version = CartTransaction.objects.get(pk=made.pk).version
    [booking] = bookings_in(made)

    move(booking, other)

    assert CartTransaction.objects.get(pk=made.pk).version == version
    assert place(booking)[2] == booking.version + 1


def test_under_review_no_clock_starts(shop):
    one, other = slot_in(shop[0]), slot_in(shop[0], 1)
    made = order(one)
    f.submit_proof(made)
    [booking] = bookings_in(made)

    move(booking, other)

    assert bookings_in(made)[0].pending_until is None
    made.refresh_from_db()
    assert made.status == "under_review"
    f.approve(made)
    assert place(booking)[:2] == (other.pk, "confirmed")
    assert_consistent()


def test_what_is_approved_is_due_as_before(shop):
    one, other = slot_in(shop[0]), slot_in(shop[0], 1)
    made = order(one, method="pay_on_arrival")
    if made.status != "approved":
        f.approve(made)
    due = CartTransaction.objects.get(pk=made.pk).due_at
    [booking] = bookings_in(made)

    move(booking, other)

    assert CartTransaction.objects.get(pk=made.pk).due_at == due
    assert bookings_in(made)[0].pending_until is None


def test_the_sweep_goes_by_the_new_deadline(shop):
    PaymentPolicy.objects.update_or_create(
        organization=shop[0].organization, defaults={"confirms_pay_on_arrival": False}
    )
    Organization.objects.update(pending_hours=24 * 60)
    one, other = slot_in(shop[0]), slot_in(shop[0], 2)
    made = order(one, method="pay_on_arrival")
    [booking] = bookings_in(made)
    move(booking, other)

    assert expiry.expire_unpaid(actor=f.SYSTEM, now=one.starts_at) == 0
    assert expiry.expire_unpaid(actor=f.SYSTEM, now=other.starts_at) == 1
    assert place(booking)[1] == "expired"


def test_a_hundred_that_are_moved_cost_what_three_do(shop):
    """As a schedule does it: the signal is sent with the whole batch."""

    def costs(count):
        resource = priced(organization=shop[0].organization)
        slots = f.make_slots(resource, 2 * count, start=f.soon(24 * 5))
        made = [order(slot) for slot in slots[:count]]
        batch = [b for m in made for b in bookings_in(m)]
        new = f.soon(2)
        for index, booking in enumerate(batch):
            slot = f.make_slot(resource, starts_at=new + timedelta(minutes=index), max_bookings=9)
            Booking.objects.filter(pk=booking.pk).update(slot=slot)
            booking.slot = slot
        with CaptureQueriesContext(connection) as caught:
            signals.bookings_rescheduled.send(Booking, bookings=batch, now=timezone.now())
        for m, booking in zip(made, batch, strict=True):
            assert deadlines(m) == (booking.slot.starts_at, {booking.slot.starts_at})
        return len(caught)

    assert costs(1) == costs(12) <= 6


def test_a_move_costs_the_same_however_much_is_paid_together(shop):
    def costs(count):
        resource = priced(organization=shop[0].organization)
        made = order(*f.make_slots(resource, count, start=f.soon(24 * 5)))
        booking = bookings_in(made)[0]
        near = f.make_slot(resource, starts_at=f.soon(3))
        actor = staff_of(booking)
        with CaptureQueriesContext(connection) as caught:
            move(booking, near, actor=actor)
        assert deadlines(made) == (near.starts_at, {near.starts_at})
        return len(caught)

    assert costs(1) == costs(12) <= 24


# Cancelling


def cancel(made, actor, now=None):
    return decisions.cancel(
        transaction_id=made.pk,
        organization_id=made.organization_id,
        actor=actor,
        reason="ill",
        now=now or timezone.now(),
    )


@pytest.fixture
def waiting(shop):
    """An approved transaction of two, with another time proposed for the first."""
    one, two, new = slot_in(shop[0]), slot_in(shop[0], 1), slot_in(shop[0], 2)
    made = order(one, two)
    f.submit_proof(made)
    made = f.approve(made)
    booking = bookings_in(made)[0]
    proposals.propose(
        booking_id=booking.pk,
        organization_id=booking.organization_id,
        slot_id=new.pk,
        actor=staff_of(booking),
        now=timezone.now(),
    )
    return made, [one, two, new]


def test_a_transaction_that_is_cancelled_takes_its_proposals_back(waiting):
    made, slots = waiting
    before = OutboxEvent.objects.count()

    cancel(made, f.SYSTEM)

    assert taken(*slots) == [0, 0, 0]
    assert Proposal.objects.get().status == "withdrawn"
    assert [e.kind for e in OutboxEvent.objects.order_by("pk")[before:]] == [
        "transaction.cancelled"
    ]
    assert_consistent()


def test_the_last_booking_takes_transaction_and_proposal_with_it(waiting):
    made, slots = waiting
    one, two = bookings_in(made)
    for booking in (two, one):
        cancellation.cancel_booking(
            booking_id=booking.pk,
            organization_id=booking.organization_id,
            actor=f.SYSTEM,
            reason="ill",
            now=timezone.now(),
        )

    made.refresh_from_db()
    assert made.status == "cancelled"
    assert taken(*slots) == [0, 0, 0]
    assert_consistent()


def test_customers_cancel_within_the_deadline_and_not_after_it(shop):
    shop[0].cancel_until_minutes = 24 * 60
    shop[0].save()
    slot, other = slot_in(shop[0]), slot_in(shop[0], 1)
    made = order(slot, other)
    one, two = bookings_in(made)
    deadline = slot.starts_at - timedelta(hours=24)
    late = deadline + timedelta(seconds=1)

    def single(booking, actor, now):
        return cancellation.cancel_booking(
            booking_id=booking.pk,
            organization_id=booking.organization_id,
            actor=actor,
            reason="ill",
            now=now,
        )

    refused(TooLate, one, lambda: single(one, own(one), late))
    refused(TooLate, one, lambda: cancel(made, own(one), late))
    single(two, own(two), late)
    single(one, staff_of(one), late)
    assert [b.status for b in bookings_in(made)] == ["cancelled", "cancelled"]


def test_to_the_last_second_a_customer_cancels_the_whole_order(shop):
    shop[0].cancel_until_minutes = 24 * 60
    shop[0].save()
    slot = slot_in(shop[0])
    made = order(slot)
    [booking] = bookings_in(made)

    cancel(made, own(booking), slot.starts_at - timedelta(hours=24))

    assert place(booking)[1] == "cancelled"


def test_what_is_only_in_the_cart_has_no_deadline(shop):
    shop[0].cancel_until_minutes = 24 * 60
    shop[0].save()
    slot = f.make_slot(shop[0], starts_at=f.soon(3))
    held = f.hold(f.CustomerFactory(organization=shop[0].organization), slot)

    with transaction.atomic():
        cancellation.cancel_booking(
            booking_id=held.pk,
            organization_id=held.organization_id,
            actor=own(held),
            reason="no",
            now=timezone.now(),
        )

    assert place(held)[1] == "cancelled"


def test_staff_do_not_keep_the_price_of_what_is_their_own(shop):
    cheap, dear = shop
    member = f.MembershipFactory(organization=cheap.organization, role="manager")
    me = f.CustomerFactory(organization=cheap.organization, user=member.user)
    (booking,) = bookings_in(f.check_out(me, slot_in(cheap)))

    there, actor = slot_in(dear), f.actor_of(member)
    refused(PriceDiffers, booking, lambda: move(booking, there, actor=actor, accept_price=True))


def test_what_was_approved_for_its_time_is_moved_by_staff_only():
    resource = priced(needs_approval=True)
    made = order(slot_in(resource))
    f.submit_proof(made)
    f.approve(made)
    (booking,) = bookings_in(made)
    other = slot_in(resource, days=1)

    refused(BookingOver, booking, lambda: move(booking, other, actor=own(booking)))
    assert move(booking, other).slot == other
    assert_consistent()
