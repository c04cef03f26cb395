"""What customers may ask of a resource: notice, horizon, most bookings, approval (B1)."""

from datetime import timedelta

import pytest
from django.utils import timezone

from bookings import rules
from bookings.errors import SlotGone, TooFarAhead, TooManyBookings, TooSoon
from bookings.models import Booking, Slot
from bookings.services import reschedule
from payments.services import cancellation, carts, checkout
from tests import factories as f
from tests.concurrency import interleave, locks_off, lost, race, won
from tests.invariants import assert_consistent, refusal

pytestmark = pytest.mark.django_db


def add(customer, slot, *, now=None):
    return f.hold(customer, slot, now=now)


def book(customer, slot, *, now=None):
    made = checkout.book(
        organization=customer.organization,
        customer=customer,
        slot_id=slot.pk,
        units=1,
        payment_method="free",
        actor=f.actor_of(customer),
        now=now or timezone.now(),
    )
    return Booking.objects.get(cart_item__transaction=made)


WAYS = pytest.mark.parametrize("way", [add, book])


def of(resource):
    return f.CustomerFactory(organization=resource.organization)


# Notice and horizon


@WAYS
def test_a_customer_books_until_the_notice_begins_and_no_later(way):
    slot = f.make_slot(f.ResourceFactory(notice_minutes=90), starts_at=f.soon(48), max_bookings=2)
    last = slot.starts_at - timedelta(minutes=90)

    with refusal(TooSoon, "at least 90 minutes before"):
        way(of(slot.resource), slot, now=last + timedelta(seconds=1))
    assert way(of(slot.resource), slot, now=last).slot == slot


@WAYS
def test_a_customer_books_as_far_ahead_as_the_horizon_and_no_farther(way):
    slot = f.make_slot(f.ResourceFactory(horizon_days=7), starts_at=f.soon(24 * 9), max_bookings=2)
    first = slot.starts_at - timedelta(days=7)

    with refusal(TooFarAhead, "at most 7 days ahead"):
        way(of(slot.resource), slot, now=first - timedelta(seconds=1))
    assert way(of(slot.resource), slot, now=first).slot == slot


@WAYS
def test_what_has_started_is_gone_and_not_too_soon(way):
    slot = f.make_slot(f.ResourceFactory(notice_minutes=90))

    with refusal(SlotGone):
        way(of(slot.resource), slot, now=slot.starts_at)


# The most bookings at a time


@pytest.fixture
def limited():
    return f.ResourceFactory(most_live_bookings=2)


@WAYS
def test_a_customer_has_no_more_bookings_than_the_resource_allows(limited, way):
    customer = of(limited)
    one, two, three = f.make_slots(limited, 3, max_bookings=2)
    way(customer, one)
    way(customer, two)

    with refusal(
        TooManyBookings, "at most 2 bookings of one person at a time; 0 more are possible"
    ):
        way(customer, three)
    with refusal(TooManyBookings):
        way(customer, two)
    assert way(of(limited), three).slot == three  # somebody else
    assert way(customer, f.make_slot(f.ResourceFactory(organization=limited.organization)))
    assert_consistent()


def test_what_is_cancelled_counts_no_more(limited):
    customer = of(limited)
    one, two, three = f.make_slots(limited, 3)
    booking = book(customer, one)
    add(customer, two)
    cancellation.cancel_booking(
        booking_id=booking.pk,
        organization_id=limited.organization_id,
        actor=f.actor_of(customer),
        reason="Ill",
        now=timezone.now(),
    )

    assert book(customer, three).slot == three


def test_what_is_over_counts_no_more(limited):
    customer = of(limited)
    one, two, three = f.make_slots(limited, 3, start=f.soon(24))
    book(customer, one)
    book(customer, two)

    assert add(customer, f.make_slot(limited, starts_at=f.soon(99)), now=one.ends_at)
    with refusal(TooManyBookings):
        add(customer, f.make_slot(limited, starts_at=f.soon(98)), now=one.ends_at)
    assert three.taken_bookings == 0


def test_a_hold_that_ran_out_counts_no_more(limited):
    customer = of(limited)
    one, two, three = f.make_slots(limited, 3, start=f.soon(48))
    add(customer, one)
    add(customer, two)
    later = timezone.now() + timedelta(minutes=limited.organization.hold_minutes + 1)

    assert add(customer, three, now=later).slot == three


def test_a_time_that_is_proposed_counts_only_once(limited):
    customer = of(limited)
    one, two, three, four = f.make_slots(limited, 4)
    booking = book(customer, one)
    reschedule.propose(
        booking_id=booking.pk,
        organization_id=limited.organization_id,
        slot_id=two.pk,
        actor=f.SYSTEM,
        now=timezone.now(),
    )

    assert rules.count_live(customer.pk, limited.pk, now=timezone.now()) == 1
    assert add(customer, three).slot == three
    with refusal(TooManyBookings):
        add(customer, four)


# Approval


@pytest.mark.parametrize(("needs", "status"), [(True, "pending"), (False, "approved")])
def test_what_needs_approval_is_not_confirmed_at_once(needs, status):
    free = f.ResourceFactory()
    careful = f.ResourceFactory(organization=free.organization, needs_approval=needs)

    order = f.check_out(of(free), f.make_slot(free), f.make_slot(careful), method="free")

    assert order.status == status
    assert_consistent()


@pytest.mark.parametrize(("needs", "status"), [(True, "pending"), (False, "confirmed")])
def test_what_needs_approval_waits_for_it_without_a_cart_too(needs, status):
    resource = f.ResourceFactory(needs_approval=needs)

    assert book(of(resource), f.make_slot(resource)).status == status


# Races


RACE = pytest.mark.django_db(transaction=True)


@RACE
@pytest.mark.parametrize("ways", [(add, add), (book, book), (add, book)])
def test_somebody_who_books_many_times_at_once_gets_as_many_as_are_allowed(limited, ways):
    customer = of(limited)
    slots = f.make_slots(limited, 8)

    outcomes = race(*[lambda s=s, i=i: ways[i % 2](customer, s) for i, s in enumerate(slots)])

    assert len(won(outcomes)) == 2
    assert {type(e) for e in lost(outcomes)} == {TooManyBookings}
    assert Booking.objects.count() == 2
    assert_consistent()


def two_at_the_limit(resource, first, second):
    customer = of(resource)
    have, one, two = f.make_slots(resource, 3)
    add(customer, have)
    return interleave(
        lambda: first(customer, one),
        after=(rules, "count_live"),
        second=lambda: second(customer, two),
    )


@RACE
@pytest.mark.parametrize(("first", "second"), [(add, add), (book, book), (add, book), (book, add)])
def test_of_two_at_the_limit_at_the_worst_moment_one_gets_it(limited, first, second):
    one, two = two_at_the_limit(limited, first, second)

    assert isinstance(one, Booking)
    assert isinstance(two, TooManyBookings)
    assert Booking.objects.count() == 2
    assert_consistent()


@RACE
@pytest.mark.parametrize(("first", "second"), [(add, add), (book, book), (add, book), (book, add)])
def test_control_without_locks_both_get_it(limited, first, second):
    with locks_off():
        one, two = two_at_the_limit(limited, first, second)

    assert isinstance(one, Booking)
    assert isinstance(two, Booking)
    assert Booking.objects.count() == 3


def test_without_a_limit_nobody_is_locked_and_nothing_is_counted(django_assert_num_queries):
    slot = f.make_slot()
    customer = of(slot.resource)
    slot = Slot.objects.select_related("resource").get()

    with django_assert_num_queries(0):
        rules.check_new([slot], customer, now=timezone.now())


def test_a_refused_customer_keeps_what_is_in_the_cart(limited):
    customer = of(limited)
    one, two, three = f.make_slots(limited, 3)
    add(customer, one)
    add(customer, two)

    with refusal(TooManyBookings):
        add(customer, three)
    assert carts.empty(customer=customer, actor=f.SYSTEM, now=timezone.now()) == 2
