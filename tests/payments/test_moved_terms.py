"""Until when cancelling is free, and possible, once a booking was moved: nobody escapes a fee by
moving first, and the house does nobody harm (A7, B6, B9)."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from audit.delivery.email import render
from audit.models import OutboxEvent
from bookings import holding, signals
from bookings.errors import TooLate
from bookings.models import Booking, Resource
from bookings.services import reschedule as proposals
from payments import selectors
from payments.errors import FeeDue
from payments.models import CartItem
from payments.services import reschedule
from tests import factories as f
from tests.corruption import check, check_rows, corrupt, fix
from tests.invariants import assert_consistent, refusal
from tests.payments import money as m

pytestmark = pytest.mark.django_db

FEE = Decimal("10.00")
DAY = timedelta(days=1)


def paid_booking(hours: float, **kwargs: Any) -> Booking:
    """Free to cancel until a day before it starts."""
    booking: Booking
    (booking,) = m.bookings_of(m.paid(m.priced(**kwargs), hours=hours))
    return booking


def item_of(booking: Booking) -> CartItem:
    return CartItem.objects.get(booking=booking)


def to(booking: Booking, hours: float) -> Any:
    return f.make_slot(booking.slot.resource, starts_at=f.soon(hours))


def me(booking: Booking) -> Any:
    return f.actor_of(booking.customer)


def desk(booking: Booking) -> Any:
    return f.actor_of(f.MembershipFactory(organization=booking.organization))


def move(booking: Booking, hours: float, actor: Any, **kwargs: Any) -> Booking:
    return reschedule.reschedule(
        booking_id=booking.pk,
        slot_id=to(booking, hours).pk,
        organization_id=booking.organization_id,
        actor=actor,
        now=timezone.now(),
        **kwargs,
    )


def cost_of(booking: Booking) -> Any:
    fresh = Booking.objects.select_related("slot__resource", "customer").get(pk=booking.pk)
    return selectors.costs([fresh], by_customer=True, now=timezone.now())[0]


def mail(booking: Booking, language: str = "en") -> str:
    event = OutboxEvent.objects.filter(kind="booking.rescheduled", subject_id=booking.pk).last()
    assert event is not None
    return render(event, language=language, time_zone="Europe/Berlin").text


# A customer moves


def test_who_is_late_to_cancel_for_nothing_does_not_escape_by_moving_first():
    booking = paid_booking(3)
    was = item_of(booking).free_until
    moved = move(booking, 20 * 24, me(booking))

    assert item_of(booking).free_until == was
    assert (cost_of(booking).fee, cost_of(booking).free_until) == (FEE, was)
    assert "The time in which cancelling is free has passed" in mail(booking)
    with refusal(FeeDue):
        m.cancel(moved, actor=me(booking))
    m.cancel(moved, actor=me(booking), accepted_fee=FEE)
    assert item_of(booking).fee == FEE
    assert_consistent()


def test_nor_by_moving_twice_nor_with_the_whole_order():
    booking = paid_booking(3)
    for hours in (100, 200):
        booking = move(booking, hours, me(booking))

    with refusal(FeeDue):
        m.cancel_order(item_of(booking).transaction, actor=me(booking))


def test_who_moves_in_time_gets_the_new_deadline_even_if_it_is_past():
    booking = paid_booking(100)
    moved = move(booking, 200, me(booking))
    assert item_of(booking).free_until == moved.slot.starts_at - DAY
    assert "You can cancel free of charge until" in mail(booking)

    moved = move(booking, 5, me(booking))

    assert item_of(booking).free_until == moved.slot.starts_at - DAY
    assert cost_of(booking).fee == FEE


def test_staff_are_customers_of_their_own():
    resource = m.priced()
    staff = f.MembershipFactory(organization=resource.organization, role="front_desk")
    mine = f.CustomerFactory(organization=resource.organization, user=staff.user)
    (booking,) = m.bookings_of(m.paid(resource, customer=mine))

    move(booking, 200, f.actor_of(staff))

    assert cost_of(booking).fee == FEE


def test_who_may_not_cancel_any_more_does_not_either_after_a_move():
    booking = paid_booking(3, policy=False, cancel_until_minutes=m.DAY)
    last = booking.slot.starts_at - DAY
    moved = move(booking, 20 * 24, me(booking))

    assert (cost_of(booking).possible_until, cost_of(booking).free_until) == (last, None)
    assert isinstance(cost_of(booking).refused, TooLate)
    assert "could cancel it yourself has passed" in mail(booking)
    with refusal(TooLate, match="moving it has not changed that") as caught:
        m.cancel(moved, actor=me(booking))
    assert caught.value.extra["until"] == last.isoformat()
    with refusal(TooLate):
        m.cancel_order(item_of(booking).transaction, actor=me(booking))
    m.cancel(moved, actor=desk(booking))
    assert m.owed(item_of(booking).transaction) == [("20.00", "owed", True)]
    assert_consistent()


def test_who_moves_in_time_cancels_by_the_rule_of_that_moment():
    booking = paid_booking(100, policy=False, cancel_until_minutes=m.DAY)
    moved = move(booking, 200, me(booking))
    assert item_of(booking).cancel_until is None

    Resource.objects.update(cancel_until_minutes=60)

    assert cost_of(booking).possible_until == moved.slot.starts_at - timedelta(hours=1)


# The house moves


def test_what_the_house_moves_nearer_stays_free_as_long_as_it_was():
    booking = paid_booking(100)
    was = item_of(booking).free_until
    moved = move(booking, 5, desk(booking))

    assert (item_of(booking).free_until, cost_of(booking).fee) == (was, 0)
    m.cancel(moved, actor=me(booking))
    assert m.owed(item_of(booking).transaction) == [("20.00", "owed", True)]
    assert_consistent()


def test_what_the_house_moves_ahead_is_free_again():
    booking = paid_booking(3)

    moved = move(booking, 200, desk(booking))

    assert item_of(booking).free_until == moved.slot.starts_at - DAY
    assert cost_of(booking).fee == 0


def test_what_the_house_moves_nearer_can_be_cancelled_as_long_as_before():
    booking = paid_booking(100, policy=False, cancel_until_minutes=m.DAY)
    last = booking.slot.starts_at - DAY
    moved = move(booking, 5, desk(booking))

    assert (item_of(booking).cancel_until, cost_of(booking).possible_until) == (last, last)
    assert "You can cancel it yourself until" in mail(booking)
    m.cancel(moved, actor=me(booking))
    assert_consistent()


def test_a_time_that_the_house_proposed_is_the_house_s_doing():
    booking = paid_booking(100)
    was = item_of(booking).free_until
    slot = to(booking, 6)
    common: dict[str, Any] = {
        "booking_id": booking.pk,
        "organization_id": booking.organization_id,
        "now": timezone.now(),
    }
    reschedule.propose(slot_id=slot.pk, actor=desk(booking), **common)

    proposals.accept(actor=me(booking), **common)

    assert (item_of(booking).free_until, cost_of(booking).fee) == (was, 0)


def test_a_closing_day_moves_many_as_the_house_in_as_many_statements_as_one():
    counts = {}
    for number in (1, 8):
        resource = m.priced()
        made = [m.paid(resource, hours=100 + n) for n in range(number)]
        bookings = [b for one in made for b in m.bookings_of(one)]
        was = {b.pk: item_of(b).free_until for b in bookings}
        pairs = [(b, to(b, 5 + n)) for n, b in enumerate(bookings)]
        for _, slot in pairs:
            slot.resource = resource
        with CaptureQueriesContext(connection) as captured:
            moved = holding.move_many(pairs, now=timezone.now(), said={}, reason="roof")
        counts[number] = len(captured)
        assert len(moved) == number
        assert {b.pk: item_of(b).free_until for b in bookings} == was

    assert len(set(counts.values())) == 1, counts
    told = OutboxEvent.objects.filter(kind="booking.rescheduled").last()
    assert told is not None
    assert told.payload["free_is_over"] is False


# What is said


def test_the_message_is_in_the_customer_s_language():
    booking = paid_booking(3, cancel_until_minutes=m.DAY)
    move(booking, 200, me(booking))

    text = mail(booking, "de")

    assert "kostenlose Stornierung ist abgelaufen" in text
    assert "Bitte wenden Sie sich dafür an uns" in text


def test_nothing_is_said_where_nothing_was_agreed():
    booking = paid_booking(3, policy=False)
    move(booking, 200, me(booking))

    assert "cancel" not in mail(booking).lower()


def test_whoever_hears_of_a_move_hears_who_wanted_it():
    heard: list[Any] = []

    def listen(old: Any, by_customer: bool, **kwargs: Any) -> None:
        heard.append((list(old), by_customer))

    booking = paid_booking(100)
    signals.bookings_rescheduled.connect(listen)
    try:
        move(booking, 200, me(booking))
        move(booking, 300, desk(booking))
    finally:
        signals.bookings_rescheduled.disconnect(listen)

    assert heard == [([booking.pk], True), ([booking.pk], False)]


# The check


@pytest.mark.parametrize(
    "change",
    [
        "free_until = free_until + interval '1 h'",
        "cancel_until = free_until",
    ],
)
def test_terms_that_somebody_changed_are_found_and_counted_from_the_start_again(change):
    moved, wrong = paid_booking(100), paid_booking(100)
    move(moved, 5, desk(moved))
    right = item_of(wrong).free_until
    assert check_rows() == set()
    item = item_of(wrong)
    corrupt(f"UPDATE payments_cartitem SET {change} WHERE id = %s", [item.pk])

    assert check("payments.cancellation_terms") == {str(item.pk)}
    assert fix("payments.cancellation_terms") == {str(item.pk): "fixed"}

    assert (item_of(wrong).free_until, item_of(wrong).cancel_until) == (right, None)
    assert check_rows() == set()
