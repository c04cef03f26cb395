"""A booking is moved to any time of a resource that is booked at free times (B1, B5, B6)."""

from __future__ import annotations

from datetime import time, timedelta
from decimal import Decimal

import pytest
from django.db import OperationalError
from django.utils import timezone

from audit.errors import Forbidden, Invalid, NotFound
from audit.history import trail_of
from bookings import locks
from bookings.errors import NotOffered, ResourceTaken, SlotFull, SlotGone, TooSoon
from bookings.models import Booking, Proposal, Slot
from bookings.services import free_times
from bookings.services import reschedule as proposals
from bookings.services.free_times import FreeTime
from payments.errors import LengthDiffers, PriceDiffers
from payments.services import checkout, reschedule
from tests import factories as f
from tests.concurrency import interleave, locks_off, lost, race, without, won
from tests.invariants import assert_consistent, problems, refusal

pytestmark = pytest.mark.django_db
RACE = pytest.mark.django_db(transaction=True)
TODAY = f.soon(0).replace(hour=0)


def open_court(organization=None, **fields):
    given = {"mode": "free_times", "exclusive": True, "time_zone": "UTC", "horizon_days": 60}
    if organization is not None:
        given["organization"] = organization
    return f.open_hours(f.ResourceFactory(**given | fields), time(9), time(17))


@pytest.fixture
def court():
    return open_court()


def at(hour, minute=0):
    return TODAY + timedelta(days=5, hours=hour, minutes=minute)


def wanted(court, hour, minute=0, *, minutes=60):
    return FreeTime(court.pk, at(hour, minute), minutes)


def booked(court, hour, *, minutes=60, customer=None):
    customer = customer or f.CustomerFactory(organization=court.organization)
    made = checkout.book(
        organization=court.organization,
        customer=customer,
        slot_id=wanted(court, hour, minutes=minutes),
        units=1,
        payment_method="pay_on_arrival",
        actor=f.actor_of(customer),
        now=timezone.now(),
    )
    if made.status != "approved":
        f.approve(made)
    return Booking.objects.select_related("slot", "customer").get(cart_item__transaction=made)


def move(booking, to, *, actor=f.SYSTEM, **more):
    return reschedule.reschedule(
        booking_id=booking.pk,
        organization_id=booking.organization_id,
        slot_id=to,
        actor=actor,
        now=more.pop("now", None) or timezone.now(),
        **more,
    )


def propose(booking, to, **more):
    return proposals.propose(
        booking_id=booking.pk,
        organization_id=booking.organization_id,
        slot_id=to,
        actor=f.SYSTEM,
        now=timezone.now(),
        **more,
    )


def answer(service, booking):
    return service(
        booking_id=booking.pk,
        organization_id=booking.organization_id,
        actor=f.SYSTEM,
        now=timezone.now(),
    )


def when(booking):
    booking = Booking.objects.select_related("slot").get(pk=booking.pk)
    return booking.slot.starts_at, booking.slot.ends_at


def test_a_booking_moves_to_a_free_time_whose_slot_is_made_with_it(court):
    booking = booked(court, 10)

    moved = move(booking, wanted(court, 14, 15, minutes=90))

    assert when(booking) == (at(14, 15), at(15, 45))
    assert (moved.slot.source, moved.slot.taken_bookings) == ("free", 1)
    assert Slot.objects.get(pk=booking.slot_id).taken_bookings == 0
    booked(court, 10)  # what it left can be had
    assert_consistent()


@pytest.mark.parametrize(("hour", "minute", "minutes"), [(10, 30, 60), (10, 0, 120), (10, 0, 30)])
def test_its_own_time_is_in_nobody_s_way(court, hour, minute, minutes):
    booking = booked(court, 10)

    move(booking, wanted(court, hour, minute, minutes=minutes))

    assert when(booking) == (at(hour, minute), at(hour, minute) + timedelta(minutes=minutes))
    assert_consistent()


def test_it_moves_between_slots_and_free_times(court):
    hall = f.ResourceFactory(organization=court.organization)
    slot = f.make_slot(hall, starts_at=at(9))
    booking = booked(court, 10)

    move(booking, slot.pk)
    move(booking, wanted(court, 11))

    assert when(booking)[0] == at(11)
    assert_consistent()


@pytest.mark.parametrize(
    ("hour", "minute", "minutes", "error"),
    [
        (8, 0, 60, NotOffered),  # closed
        (16, 30, 60, NotOffered),  # closes meanwhile
        (14, 7, 60, NotOffered),  # off the grid
        (14, 0, 5, NotOffered),  # too short
        (14, 0, 300, NotOffered),  # too long
        (12, 30, 60, ResourceTaken),  # overlaps another
        (12, 0, 60, SlotFull),  # the very time of another
        (10, 0, 60, Invalid),  # where it is
        (-24 * 6, 0, 60, SlotGone),  # over
    ],
)
@pytest.mark.parametrize("step", [move, propose])
def test_what_cannot_be_had_leaves_nothing_behind(court, hour, minute, minutes, error, step):
    booking = booked(court, 10)
    booked(court, 12)

    with refusal(error):
        step(booking, wanted(court, hour, minute, minutes=minutes))
    assert Slot.objects.count() == 2


def test_another_organisation_s_court_is_not_found(court):
    booking = booked(court, 10)

    with refusal(NotFound):
        move(booking, wanted(open_court(), 14))


def test_customers_keep_to_the_notice_and_staff_do_not(court):
    booking = booked(court, 10)
    type(court).objects.filter(pk=court.pk).update(notice_minutes=60 * 24 * 7)

    with refusal(TooSoon):
        move(booking, wanted(court, 14), actor=f.actor_of(booking.customer))
    staff = f.MembershipFactory(organization=court.organization, role="front_desk")
    move(booking, wanted(court, 14), actor=f.actor_of(staff))

    assert when(booking)[0] == at(14)


def test_a_time_that_costs_more_is_refused_unless_the_price_stays(court):
    f.PriceFactory(resource=court, amount=Decimal("10.00"))
    booking = booked(court, 10)
    f.PriceFactory(resource=court, amount=Decimal("20.00"), priority=9)

    with refusal(PriceDiffers) as caught:
        move(booking, wanted(court, 10, minutes=120))
    move(booking, wanted(court, 10, minutes=120), accept_price=True)

    assert (caught.value.extra["amount"], caught.value.extra["new_amount"]) == ("10.00", "20.00")
    assert booking.cart_item.amount == Decimal("10.00")
    assert_consistent()


def test_a_price_per_booking_was_agreed_for_a_length(court):
    f.PriceFactory(resource=court, amount=Decimal("20.00"))
    booking = booked(court, 10, minutes=15)
    me = f.actor_of(booking.customer)

    with refusal(LengthDiffers) as caught:
        move(booking, wanted(court, 12, minutes=240), actor=me)
    move(booking, wanted(court, 12, minutes=15), actor=me)

    assert caught.value.extra == {"minutes": 15, "new_minutes": 240}
    assert when(booking) == (at(12), at(12, 15))
    staff = f.MembershipFactory(organization=court.organization, role="front_desk")
    move(booking, wanted(court, 12, minutes=30), actor=f.actor_of(staff))
    assert when(booking) == (at(12), at(12, 30))
    assert_consistent()


def test_staff_do_not_lengthen_what_is_their_own(court):
    f.PriceFactory(resource=court, amount=Decimal("20.00"))
    staff = f.MembershipFactory(organization=court.organization, role="manager")
    me = f.CustomerFactory(organization=court.organization, user=staff.user)
    booking = booked(court, 10, customer=me)

    with refusal(LengthDiffers):
        move(booking, wanted(court, 12, minutes=240), actor=f.actor_of(staff))


def test_by_the_hour_a_longer_time_costs_more(court):
    f.PriceFactory(resource=court, amount=Decimal("20.00"), basis="hour")
    booking = booked(court, 10, minutes=15)

    with refusal(PriceDiffers) as caught:
        move(booking, wanted(court, 12, minutes=240), actor=f.actor_of(booking.customer))
    move(booking, wanted(court, 12, minutes=240), accept_price=True)

    assert (caught.value.extra["amount"], caught.value.extra["new_amount"]) == ("5.00", "80.00")
    assert booking.cart_item.amount == Decimal("5.00")
    assert_consistent()


def test_by_the_hour_customers_choose_another_length_where_it_costs_the_same(court):
    f.PriceFactory(resource=court, amount=Decimal("10.00"), basis="hour")
    f.PriceFactory(
        resource=court, amount=Decimal("30.00"), basis="hour", from_time=time(12), priority=5
    )
    booking = booked(court, 14, minutes=60)

    move(booking, wanted(court, 9, minutes=180), actor=f.actor_of(booking.customer))

    assert when(booking) == (at(9), at(12))
    assert_consistent()


def test_what_is_free_of_charge_may_be_of_any_length(court):
    booking = booked(court, 10)

    move(booking, wanted(court, 12, minutes=240), actor=f.actor_of(booking.customer))

    assert when(booking) == (at(12), at(16))


def test_a_free_time_is_proposed_held_and_accepted(court):
    booking = booked(court, 10)

    propose(booking, wanted(court, 14))

    with refusal((SlotFull, ResourceTaken)):
        booked(court, 14)
    with refusal(ResourceTaken):
        move(booked(court, 16), wanted(court, 13, 30))
    answer(proposals.accept, booking)
    assert when(booking)[0] == at(14)
    assert_consistent()


def test_a_declined_free_time_can_be_had_again(court):
    booking = booked(court, 10)
    propose(booking, wanted(court, 14))

    answer(proposals.decline, booking)

    assert when(booking)[0] == at(10)
    booked(court, 14)
    assert_consistent()


def test_a_provider_proposes_no_free_time_of_somebody_else(court):
    user = f.MembershipFactory(organization=court.organization, role="provider").user
    mine = open_court(court.organization, provider=user)
    booking = booked(mine, 10)

    with refusal(Forbidden):
        propose(booking, wanted(court, 14), provider_id=user.pk)
    propose(booking, wanted(mine, 14), provider_id=user.pk)

    assert Proposal.objects.count() == 1


# Answers that staff pass on


def test_staff_pass_an_answer_on_and_the_trail_says_so(court):
    booking = booked(court, 10)
    propose(booking, wanted(court, 14))
    staff = f.MembershipFactory(organization=court.organization, role="front_desk")

    proposals.accept(
        booking_id=booking.pk,
        organization_id=booking.organization_id,
        actor=f.actor_of(staff),
        reason=proposals.by_phone("called at nine"),
        now=timezone.now(),
    )

    assert when(booking)[0] == at(14)
    line = trail_of(Booking).objects.filter(id=booking.pk).latest("history_id")
    assert (line.actor_kind, line.actor_id) == ("staff", staff.user.pk)
    assert line.history_change_reason == ("proposal accepted, answered by phone: called at nine")


@pytest.mark.parametrize("service", [proposals.accept, proposals.decline])
def test_staff_do_not_answer_for_themselves_but_as_customers(court, service):
    staff = f.MembershipFactory(organization=court.organization, role="manager")
    me = f.CustomerFactory(organization=court.organization, user=staff.user)
    booking = booked(court, 10, customer=me)
    propose(booking, wanted(court, 14))
    call = {
        "booking_id": booking.pk,
        "organization_id": booking.organization_id,
        "now": timezone.now(),
    }

    with refusal(Forbidden):
        service(actor=f.actor_of(staff), **call)
    service(actor=f.actor_of(me), **call)

    assert Proposal.objects.get().status != "open"


# At once


@RACE
def test_of_many_who_move_to_overlapping_times_one_gets_there(court):
    people = [booked(court, 9 + n) for n in range(4)]

    outcomes = race(
        *[lambda b=b, n=n: move(b, wanted(court, 14, 15 * n)) for n, b in enumerate(people)]
    )

    assert len(won(outcomes)) == 1
    assert {type(e) for e in lost(outcomes)} == {ResourceTaken}
    assert_consistent()


@RACE
def test_a_time_that_is_moved_to_is_not_sold_meanwhile(court):
    booking = booked(court, 10)

    moved, sold = interleave(
        lambda: move(booking, wanted(court, 14)),
        after=r'INSERT INTO "bookings_slot"',
        second=lambda: booked(court, 14),
    )

    assert isinstance(moved, Booking)
    assert isinstance(sold, SlotFull)
    assert_consistent()


@RACE
def test_control_without_locks_and_constraint_it_is_sold_twice(court, monkeypatch):
    monkeypatch.setattr(locks, "take_in_turn", lambda numbers, **beside: {})
    booking = booked(court, 10)
    with without("bookings_occupancy_never_overlaps"), locks_off():
        outcomes = interleave(
            lambda: move(booking, wanted(court, 14)),
            after=(locks, "occupied"),
            second=lambda: booked(court, 14, minutes=90),
        )

        assert lost(outcomes) == []
        assert "an exclusive resource is taken twice" in problems()


def crossing(court):
    """Two want each other's time; both slots are there."""
    first, second = sorted((booked(court, 10), booked(court, 14)), key=lambda b: str(b.slot_id))
    to_second, to_first = (FreeTime(court.pk, b.slot.starts_at, 60) for b in (second, first))
    return interleave(
        lambda: move(first, to_second),
        after=(free_times, "find"),
        second=lambda: move(second, to_first),
    )


@RACE
def test_two_who_want_each_other_s_time_are_both_told_that_it_is_taken(court):
    assert [type(e) for e in lost(crossing(court))] == [SlotFull, SlotFull]
    assert_consistent()


@RACE
def test_control_who_locks_the_new_time_first_ends_in_a_deadlock(court, monkeypatch):
    """Why the slot of a free time is found first, and locked with the others in their order."""
    original = free_times.find

    def eager(*args, **kwargs):
        found = original(*args, **kwargs)
        locks.slots([found.slot_id])
        return found

    monkeypatch.setattr(free_times, "find", eager)

    outcomes = lost(crossing(court))

    assert any(isinstance(e, OperationalError) and "deadlock" in str(e) for e in outcomes)
    assert_consistent()
