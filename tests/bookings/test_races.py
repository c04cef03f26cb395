"""Races for seats and at the door, on real connections (A1, A8, B3, B4, B5, D1, D7).

Each race is run freely by many, then at its worst moment by two; and a control shows that the
worst moment does the harm when locks and constraints are taken away.
"""

from datetime import timedelta

import pytest
from django.db import IntegrityError
from django.utils import timezone

from audit.errors import constraint_name
from bookings import codes, locks
from bookings.models import Booking, Resource, Slot, User
from bookings.services import bookings, check_in, organizations, slots
from payments.services import cancellation
from tests import factories as f
from tests.concurrency import interleave, locks_off, lost, race, without, won
from tests.invariants import assert_consistent, problems

pytestmark = pytest.mark.django_db(transaction=True)

LIMITS = ("bookings_slot_bookings_within_capacity", "bookings_slot_units_within_capacity")


def codes_of(outcomes):
    return [getattr(e, "code", repr(e)) for e in lost(outcomes)]


def people(organization, count):
    return f.CustomerFactory.create_batch(count, organization=organization)


# The last seat


def test_of_twelve_at_the_last_seat_one_gets_it():
    slot = f.make_slot()

    outcomes = race(*[lambda c=c: f.hold(c, slot) for c in people(slot.organization, 12)])

    assert len(won(outcomes)) == 1
    assert codes_of(outcomes) == ["slot_full"] * 11
    assert_consistent()


def test_groups_that_race_never_get_more_places_than_there_are():
    slot = f.make_slot(max_bookings=100, max_units=10)

    outcomes = race(*[lambda c=c: f.hold(c, slot, units=3) for c in people(slot.organization, 8)])

    assert len(won(outcomes)) == 3
    assert codes_of(outcomes) == ["slot_full"] * 5
    slot.refresh_from_db()
    assert (slot.taken_bookings, slot.taken_units) == (3, 9)
    assert_consistent()


def two_at_the_last_seat():
    slot = f.make_slot()
    one, other = people(slot.organization, 2)
    return interleave(
        lambda: f.hold(one, slot), after=(locks, "slot"), second=lambda: f.hold(other, slot)
    )


def test_who_comes_while_the_last_seat_is_being_taken_waits_and_is_told():
    first, second = two_at_the_last_seat()

    assert isinstance(first, Booking)
    assert second.code == "slot_full"
    assert_consistent()


def test_without_the_lock_the_constraint_still_refuses_the_second():
    with locks_off():
        first, second = two_at_the_last_seat()

    assert isinstance(second, Booking)
    assert isinstance(first, IntegrityError)
    assert "bookings_slot_bookings_within_capacity" in str(first)
    assert_consistent()


def test_control_without_lock_and_constraint_the_last_seat_is_sold_twice():
    with without(*LIMITS), locks_off():
        first, second = two_at_the_last_seat()

        assert isinstance(first, Booking)
        assert isinstance(second, Booking)
        assert Slot.objects.get().taken_bookings == 2
        assert "a slot is over one of its limits" in problems()


# An exclusive resource through slots that overlap


def overlapping(count, **resource):
    resource = f.ResourceFactory(exclusive=True, **resource)
    at = f.soon()
    return [f.make_slot(resource, starts_at=at + timedelta(minutes=7 * i)) for i in range(count)]


def test_of_eight_at_overlapping_slots_of_a_doctor_one_gets_the_time():
    slots = overlapping(8)
    patients = people(slots[0].organization, 8)

    outcomes = race(*[lambda c=c, s=s: f.hold(c, s) for c, s in zip(patients, slots, strict=True)])

    assert len(won(outcomes)) == 1
    assert codes_of(outcomes) == ["resource_taken"] * 7
    assert_consistent()


def test_buffers_count_as_taken_in_a_race():
    resource = f.ResourceFactory(exclusive=True, buffer_after_minutes=30)
    at = f.soon()
    slots = [f.make_slot(resource, starts_at=at + timedelta(hours=i)) for i in range(2)]
    patients = people(resource.organization, 2)

    outcomes = race(*[lambda c=c, s=s: f.hold(c, s) for c, s in zip(patients, slots, strict=True)])

    assert len(won(outcomes)) == 1
    assert codes_of(outcomes) == ["resource_taken"]
    assert_consistent()


def two_at_one_doctor():
    early, late = overlapping(2)
    one, other = people(early.organization, 2)
    return interleave(
        lambda: f.hold(one, early),
        after=(locks, "occupied"),
        second=lambda: f.hold(other, late),
    )


def test_who_comes_while_the_doctor_is_being_taken_waits_and_is_told():
    first, second = two_at_one_doctor()

    assert isinstance(first, Booking)
    assert second.code == "resource_taken"
    assert_consistent()


def test_without_the_lock_the_constraint_still_keeps_the_doctor_from_two_places_at_once():
    with locks_off():
        first, second = two_at_one_doctor()

    assert isinstance(second, Booking)
    assert isinstance(first, IntegrityError)
    assert "bookings_occupancy_never_overlaps" in str(first)
    assert_consistent()


def test_control_without_lock_and_constraint_the_doctor_is_in_two_places_at_once():
    with without("bookings_occupancy_never_overlaps"), locks_off():
        first, second = two_at_one_doctor()

        assert isinstance(first, Booking)
        assert isinstance(second, Booking)
        assert "an exclusive resource is taken twice" in problems()


def test_the_time_of_an_overdue_hold_goes_to_exactly_one_of_those_who_ask_for_it():
    slots = overlapping(6)
    now = timezone.now()
    owner, *others = people(slots[0].organization, 7)
    overdue = f.hold(owner, slots[0], now=now - timedelta(minutes=16))

    outcomes = race(*[lambda c=c, s=s: f.hold(c, s) for c, s in zip(others, slots, strict=True)])

    assert len(won(outcomes)) == 1
    assert set(codes_of(outcomes)) <= {"resource_taken", "slot_full"}
    overdue.refresh_from_db()
    assert overdue.status == "expired"
    assert_consistent()


def test_nobody_waits_for_a_rival_slot_that_somebody_is_working_on():
    early, late = overlapping(2)
    owner, other = people(early.organization, 2)
    booking = f.hold(owner, early)

    first, second = interleave(
        lambda: cancellation.cancel_booking(
            booking_id=booking.pk,
            organization_id=booking.organization_id,
            actor=f.SYSTEM,
            reason="x",
            now=timezone.now(),
        ),
        after=(locks, "slot_and_booking"),
        second=lambda: f.hold(other, late),
    )

    assert first.status == "cancelled"
    assert second.code == "resource_taken"
    assert_consistent()


# Sweeps


def overdue_holds(count):
    now = timezone.now()
    resource = f.ResourceFactory()
    slots = f.make_slots(resource, count, max_bookings=3)
    customer = f.CustomerFactory(organization=resource.organization)
    for slot in slots:
        f.hold(customer, slot, now=now - timedelta(minutes=16))
    return now


def sweep(now):
    return lambda: bookings.expire_holds(actor=f.SYSTEM, now=now)


def test_sweeps_that_run_together_expire_each_hold_once():
    now = overdue_holds(12)

    outcomes = race(*[sweep(now)] * 4)

    assert lost(outcomes) == []
    assert sum(outcomes) + bookings.expire_holds(actor=f.SYSTEM, now=now) == 12
    assert Booking.history.filter(status="expired").count() == 12
    assert_consistent()


def test_a_sweep_passes_over_slots_that_another_one_works_on():
    now = overdue_holds(3)

    first, second = interleave(sweep(now), after=(locks, "overdue_holds"), second=sweep(now))

    assert (first, second) == (3, 0)
    assert_consistent()


def test_control_without_locks_two_sweeps_both_claim_the_same_holds():
    now = overdue_holds(3)

    with locks_off():
        first, second = interleave(sweep(now), after=(locks, "overdue_holds"), second=sweep(now))

    assert (first, second) == (3, 3)


def test_completions_that_run_together_complete_each_booking_once():
    at = timezone.now()
    resource = f.ResourceFactory()
    slots = f.make_slots(resource, 4, max_bookings=3)
    for customer in people(resource.organization, 3):
        f.check_out(customer, *slots)
    now = slots[-1].ends_at + timedelta(minutes=1)
    for booking in Booking.objects.select_related("slot", "check_in_code"):
        check_in.check_in(
            code=code_of(booking),
            organization_ids=None,
            actor=f.SYSTEM,
            now=max(at, booking.slot.starts_at),
        )

    outcomes = race(
        *[lambda: bookings.complete_bookings(actor=f.SYSTEM, now=now, batch=5) for _ in range(4)]
    )
    while done := bookings.complete_bookings(actor=f.SYSTEM, now=now):
        outcomes.append(done)

    assert lost(outcomes) == []
    assert sum(outcomes) == 12
    assert set(Booking.objects.values_list("status", flat=True)) == {"completed"}
    assert_consistent()


# The door


def code_of(booking):
    return codes.derive(booking.pk, booking.check_in_code.nonce)


def confirmed():
    slot = f.make_slot()  # without a price it is free, and confirmed at once
    f.check_out(f.CustomerFactory(organization=slot.organization), slot)
    return Booking.objects.select_related("slot", "check_in_code").get()


def scan(booking):
    return lambda: check_in.check_in(
        code=code_of(booking), organization_ids=None, actor=f.SYSTEM, now=booking.slot.starts_at
    )


def test_of_eight_gates_that_scan_one_code_one_lets_in():
    booking = confirmed()

    outcomes = race(*[scan(booking)] * 8)

    assert len(won(outcomes)) == 1
    assert codes_of(outcomes) == ["already_checked_in"] * 7
    when = booking.slot.starts_at.isoformat()
    assert {e.extra["checked_in_at"] for e in lost(outcomes)} == {when}
    assert Booking.history.filter(status="checked_in").count() == 1
    assert_consistent()


def test_the_second_gate_waits_and_says_when_the_code_was_used():
    booking = confirmed()

    first, second = interleave(scan(booking), after=(locks, "check_in_code"), second=scan(booking))

    assert first.status == "checked_in"
    assert second.code == "already_checked_in"
    assert_consistent()


def test_control_without_the_lock_two_gates_let_in_on_one_code():
    booking = confirmed()

    with locks_off():
        first, second = interleave(
            scan(booking), after=(locks, "check_in_code"), second=scan(booking)
        )

    assert first.status == second.status == "checked_in"


def test_of_check_in_and_cancellation_at_once_one_wins():
    booking = confirmed()

    outcomes = race(
        scan(booking),
        lambda: cancellation.cancel_booking(
            booking_id=booking.pk,
            organization_id=booking.organization_id,
            actor=f.SYSTEM,
            reason="x",
            now=timezone.now(),
        ),
    )

    assert len(won(outcomes)) == 1
    assert codes_of(outcomes)[0] in {"booking_cancelled", "booking_over"}
    assert_consistent()


def test_a_resource_does_not_become_exclusive_while_its_slots_are_being_made():
    resource = f.ResourceFactory(exclusive=False)
    start = f.soon()

    def offer():
        return slots.create_slots(
            resource=Resource.objects.get(pk=resource.pk),
            periods=[(start, start + timedelta(hours=1))],
            max_bookings=5,
            max_units=5,
            actor=f.SYSTEM,
            now=timezone.now(),
        )

    def make_exclusive():
        return Resource.objects.filter(pk=resource.pk).update(exclusive=True)

    made, changed = interleave(offer, after='INSERT INTO "bookings_slot"', second=make_exclusive)

    assert made == 1
    assert constraint_name(changed) == "bookings_resource_with_slots_keeps_its_kind"
    resource.refresh_from_db()
    assert resource.exclusive is False


def test_who_is_taken_out_of_one_organisation_and_into_another_stays_staff():
    first = f.MembershipFactory(role="reviewer")
    owner = f.MembershipFactory(organization=first.organization, role="owner")
    other = f.OrganizationFactory()
    f.MembershipFactory(organization=other, role="owner")
    user = User.objects.get(pk=first.user_id)

    interleave(
        lambda: organizations.remove_member(membership=first, actor=f.actor_of(owner)),
        after=(locks, "user"),
        second=lambda: organizations.add_member(
            organization=other, user=user, role="manager", actor=f.SYSTEM
        ),
    )

    user.refresh_from_db()
    assert user.is_staff is True
    assert [m.organization for m in user.memberships.all()] == [other]
