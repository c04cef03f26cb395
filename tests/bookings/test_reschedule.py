"""Moving a booking to another slot: what it may, what it costs nobody (B1, B6, D1)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from audit.errors import Invalid, NotFound, StaleVersion
from audit.models import OutboxEvent
from bookings import signals
from bookings.errors import (
    BookingOver,
    ResourceTaken,
    SlotFull,
    SlotGone,
    TooFarAhead,
    TooLate,
    TooSoon,
)
from bookings.models import Booking, Occupancy, Slot
from bookings.services import reschedule
from payments.services import cancellation
from tests import factories as f
from tests.corruption import last_line
from tests.invariants import assert_consistent

pytestmark = pytest.mark.django_db


def booked(slot: Slot, units: int = 1, customer=None) -> Booking:
    """A confirmed booking of what costs nothing."""
    customer = customer or f.CustomerFactory(organization=slot.organization)
    made = f.check_out(customer, slot, units=units, method="free")
    if made.status != "approved":
        f.approve(made)
    return Booking.objects.select_related("customer__user").get(cart_item__transaction=made)


def staff_of(thing):
    return f.actor_of(f.MembershipFactory(organization=thing.organization))


def move(booking, slot, *, actor=None, now=None, **kwargs) -> Booking:
    kwargs.setdefault("organization_id", booking.organization_id)
    return reschedule.reschedule(
        booking_id=booking.pk,
        slot_id=slot.pk,
        actor=actor or staff_of(booking),
        now=now or timezone.now(),
        **kwargs,
    )


def own(booking):
    return f.actor_of(booking.customer)


def taken(*found: Slot):
    return [Slot.objects.get(pk=s.pk).taken_units for s in found]


def place(booking):
    return Booking.objects.values_list("slot_id", "status", "version").get(pk=booking.pk)


def refused(error, booking, act):
    """The refusal; and the booking and every counter are as they were."""
    slots_before = list(Slot.objects.order_by("pk").values())
    before, told = place(booking), OutboxEvent.objects.count()
    with pytest.raises(error) as caught, transaction.atomic():
        act()
    assert place(booking) == before
    assert list(Slot.objects.order_by("pk").values()) == slots_before
    assert OutboxEvent.objects.count() == told
    return caught.value


@pytest.fixture
def hall():
    return f.ResourceFactory()


@pytest.fixture
def court():
    return f.ResourceFactory(exclusive=True)


def test_seats_change_hands_and_the_booking_stays_what_it_is(hall):
    old, new = f.make_slots(hall, 2, max_bookings=5)
    booking = booked(old, units=3)
    code = bytes(booking.check_in_code.code_hash)

    moved = move(booking, new, reason="the pipe burst")

    assert taken(old, new) == [0, 3]
    assert place(booking) == (new.pk, "confirmed", booking.version + 1)
    assert (moved.slot_id, moved.version) == (new.pk, booking.version + 1)
    again = Booking.objects.get(pk=booking.pk)
    assert (again.reference, again.units) == (booking.reference, 3)
    assert bytes(again.check_in_code.code_hash) == code
    assert_consistent()


def test_the_trail_says_who_moved_it_and_why(hall):
    old, new = f.make_slots(hall, 2)
    booking = booked(old)
    actor = staff_of(booking)

    move(booking, new, actor=actor, reason="the pipe burst")

    line = last_line(booking)
    assert line.slot_id == new.pk
    assert (line.actor_label, line.history_change_reason) == (actor.label, "the pipe burst")


def test_the_customer_hears_of_the_new_time_once_with_the_old_one(hall):
    old, new = f.make_slots(hall, 2)
    booking = booked(old)
    before = OutboxEvent.objects.count()

    move(booking, new, reason="the pipe burst")

    [event] = OutboxEvent.objects.order_by("pk")[before:]
    assert event.kind == "booking.rescheduled"
    assert event.payload["booking"]["starts_at"] == new.starts_at.isoformat()
    assert event.payload["previous"]["starts_at"] == old.starts_at.isoformat()
    assert event.payload["reason"] == "the pipe burst"


def test_an_exclusive_resource_is_free_at_the_old_time_and_taken_at_the_new(court):
    old, new = f.make_slots(court, 2)
    booking = booked(old)

    move(booking, new)

    assert list(Occupancy.objects.values_list("slot_id", flat=True)) == [new.pk]
    f.hold(f.CustomerFactory(organization=court.organization), old)
    assert_consistent()


def test_half_an_hour_later_overlaps_only_itself(court):
    old = f.make_slot(court)
    new = f.make_slot(court, starts_at=old.starts_at + timedelta(minutes=30))
    booking = booked(old)

    move(booking, new)

    assert taken(old, new) == [0, 1]
    assert_consistent()


def test_a_time_that_somebody_else_takes_is_refused(court):
    old, theirs = f.make_slots(court, 2)
    late = f.make_slot(court, starts_at=theirs.starts_at + timedelta(minutes=30))
    booking, _other = booked(old), booked(theirs)

    refused(ResourceTaken, booking, lambda: move(booking, late))
    refused(SlotFull, booking, lambda: move(booking, theirs))


def test_too_few_seats_are_refused(hall):
    old, new = f.make_slots(hall, 2, max_bookings=3)
    booking = booked(old, units=2)
    booked(new, units=2)

    refused(SlotFull, booking, lambda: move(booking, new))


def test_an_overdue_hold_gives_way(hall):
    old, new = f.make_slots(hall, 2)
    booking = booked(old)
    customer = f.CustomerFactory(organization=hall.organization)
    late = f.hold(customer, new, now=timezone.now() - timedelta(minutes=16))

    move(booking, new)

    late.refresh_from_db()
    assert late.status == "expired"
    assert taken(old, new) == [0, 1]
    assert_consistent()


def test_the_same_slot_is_no_move(hall):
    booking = booked(f.make_slot(hall, max_bookings=2))

    error = refused(Invalid, booking, lambda: move(booking, booking.slot))

    assert error.extra["errors"] == {"slot": ["The booking is in this slot already."]}


def test_a_closed_and_a_past_slot_are_refused_to_staff_too(hall):
    old = f.make_slot(hall)
    closed = f.make_slot(hall, starts_at=f.soon(50), status="closed")
    past = f.make_slot(hall, starts_at=timezone.now() - timedelta(hours=1))
    booking = booked(old)

    refused(SlotGone, booking, lambda: move(booking, closed))
    refused(SlotGone, booking, lambda: move(booking, past))


def test_nothing_is_moved_to_or_from_another_organisation(hall):
    old, new = f.make_slots(hall, 2)
    booking, foreign = booked(old), f.make_slot()
    theirs = foreign.organization_id

    refused(NotFound, booking, lambda: move(booking, foreign))
    refused(NotFound, booking, lambda: move(booking, new, organization_id=theirs))
    refused(NotFound, booking, lambda: move(booking, foreign, organization_id=theirs))


def test_whoever_read_an_old_version_moves_nothing(hall):
    old, new = f.make_slots(hall, 2)
    booking = booked(old)

    error = refused(StaleVersion, booking, lambda: move(booking, new, version=booking.version - 1))

    assert error.extra["current_version"] == booking.version
    move(booking, new, version=booking.version)


def test_what_is_in_a_cart_or_over_is_not_moved(hall):
    one, two, three = f.make_slots(hall, 3)
    customer = f.CustomerFactory(organization=hall.organization)
    held = f.hold(customer, one)
    error = refused(BookingOver, held, lambda: move(held, three))
    assert "cart" in error.detail

    gone = booked(two)
    cancellation.cancel_booking(
        booking_id=gone.pk,
        organization_id=gone.organization_id,
        actor=f.SYSTEM,
        reason="ill",
        now=timezone.now(),
    )
    refused(BookingOver, gone, lambda: move(gone, three))


def test_a_reason_has_its_length(hall):
    old, new = f.make_slots(hall, 2)
    booking = booked(old)

    refused(Invalid, booking, lambda: move(booking, new, reason="x" * 1001))


# Rules for customers


@pytest.fixture
def strict():
    return f.ResourceFactory(
        reschedule_until_minutes=24 * 60, notice_minutes=120, horizon_days=30, name="Court"
    )


def test_a_customer_moves_within_the_deadline_and_not_after_it(strict):
    old, new = f.make_slots(strict, 2, start=f.soon(72))
    booking = booked(old)
    deadline = old.starts_at - timedelta(hours=24)

    refused(
        TooLate,
        booking,
        lambda: move(booking, new, actor=own(booking), now=deadline + timedelta(seconds=1)),
    )
    move(booking, new, actor=own(booking), now=deadline)
    assert place(booking)[0] == new.pk


def test_a_customer_keeps_to_notice_and_horizon_of_the_new_time(strict):
    far = f.make_slot(strict, starts_at=f.soon(24 * 31))
    soon = f.make_slot(strict, starts_at=timezone.now() + timedelta(hours=1))
    booking = booked(f.make_slot(strict, starts_at=f.soon(72)))

    refused(TooFarAhead, booking, lambda: move(booking, far, actor=own(booking)))
    refused(TooSoon, booking, lambda: move(booking, soon, actor=own(booking)))


def test_staff_are_not_bound_by_the_rules(strict):
    soon, far = (
        f.make_slot(strict, starts_at=timezone.now() + timedelta(hours=1)),
        f.make_slot(strict, starts_at=f.soon(24 * 60)),
    )
    booking = booked(f.make_slot(strict, starts_at=f.soon(3)))

    move(booking, soon)
    move(booking, far)

    assert taken(soon, far) == [0, 1]


def test_a_customer_stays_with_the_resource_and_staff_need_not(hall):
    old = f.make_slot(hall)
    other = f.make_slot(f.ResourceFactory(organization=hall.organization))
    booking = booked(old)

    refused(Invalid, booking, lambda: move(booking, other, actor=own(booking)))
    move(booking, other)
    assert place(booking)[0] == other.pk


def test_what_has_started_only_staff_move(hall):
    old, new = f.make_slots(hall, 2, start=f.soon(3))
    booking = booked(old)
    late = old.starts_at

    refused(BookingOver, booking, lambda: move(booking, new, actor=own(booking), now=late))
    move(booking, new, now=late)
    assert place(booking)[0] == new.pk


# What follows


def test_those_above_hear_of_the_move_and_of_the_seats_that_came_free(hall):
    old, new = f.make_slots(hall, 2)
    booking = booked(old)
    heard = []

    def moved(bookings, **kwargs):
        heard.append(("moved", [b.slot_id for b in bookings]))

    def freed(slot_ids, **kwargs):
        heard.append(("free", slot_ids))

    signals.bookings_rescheduled.connect(moved)
    signals.seats_released.connect(freed)
    try:
        move(booking, new)
    finally:
        signals.bookings_rescheduled.disconnect(moved)
        signals.seats_released.disconnect(freed)

    assert heard == [("moved", [new.pk]), ("free", [old.pk])]


def statements(count):
    """What a move costs in an organisation of so many bookings."""
    hall = f.ResourceFactory()
    old, new = f.make_slots(hall, 2, max_bookings=count + 1)
    booking = booked(old)
    for _ in range(count):
        booked(new)
    actor = staff_of(booking)
    with CaptureQueriesContext(connection) as caught:
        move(booking, new, actor=actor)
    return len(caught)


def test_a_move_costs_the_same_however_full_the_slot_is():
    assert statements(1) == statements(8) <= 16


# Around Python


def sql(statement, params):
    with connection.cursor() as cursor:
        cursor.execute(statement, params)


def test_the_database_refuses_to_move_into_a_slot_that_is_closed_past_or_foreign(hall):
    booking = booked(f.make_slot(hall))
    closed = f.make_slot(hall, starts_at=f.soon(50), status="closed")
    past = f.make_slot(hall, starts_at=timezone.now() - timedelta(hours=1))
    foreign = f.make_slot()

    for slot in (closed, past, foreign):
        with pytest.raises(IntegrityError, match="closed, has started"), transaction.atomic():
            sql("UPDATE bookings_booking SET slot_id = %s WHERE id = %s", [slot.pk, booking.pk])

    assert place(booking)[0] == booking.slot_id
    assert_consistent()


def test_the_database_refuses_to_move_where_there_is_no_seat_or_the_resource_is_taken(court):
    old, theirs = f.make_slots(court, 2)
    late = f.make_slot(court, starts_at=theirs.starts_at + timedelta(minutes=30))
    booking, _other = booked(old), booked(theirs)

    for slot, claim in (
        (theirs, "bookings_slot_bookings_within_capacity"),
        (late, "bookings_occupancy_never_overlaps"),
    ):
        with pytest.raises(IntegrityError, match=claim), transaction.atomic():
            sql("UPDATE bookings_booking SET slot_id = %s WHERE id = %s", [slot.pk, booking.pk])

    assert place(booking)[0] == old.pk
    assert_consistent()
