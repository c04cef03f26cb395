"""Races in the line, on real connections (A5, A6, A7, D1, D6, D7).

Each is run freely by many or at its worst moment by two. Afterwards seats have one owner each,
gates and counters are right, nobody met a deadlock, and the line was served in its order.
Controls show that the same moments do harm without locks, triggers or gates.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from unittest import mock

import pytest
from django.db import OperationalError
from django.utils import timezone

from audit.models import OutboxEvent
from bookings import claiming, rules
from bookings import locks as booking_locks
from bookings.models import Booking, Slot
from bookings.services import bookings as booking_services
from bookings.services import slots as slot_services
from payments.models import CartItem, CartTransaction
from payments.services import expiry, reschedule
from tests import factories as f
from tests.concurrency import interleave, locks_off, lost, race, without, won
from tests.corruption import fix
from tests.faults import limited, other_session
from tests.invariants import assert_consistent, problems
from tests.waitlist.line import (
    STAFF,
    accept,
    accept_for,
    also_in,
    bookings_in,
    cancel,
    decline,
    free,
    fresh,
    full_slot,
    join,
    leave,
    offer_of,
    somebody,
    window,
)
from tests.waitlist.order import assert_in_order, out_of_turn
from waitlist import locks, selectors
from waitlist.models import Offer, WaitlistEntry
from waitlist.services import line, serving, sweeps
from waitlist.services.joining import Window

pytestmark = pytest.mark.django_db(transaction=True)

HOURS = timedelta(hours=1)


def codes_of(outcomes: list[Any]) -> list[str]:
    return [getattr(e, "code", repr(e)) for e in lost(outcomes)]


def nobody_deadlocked(outcomes: list[Any] | tuple[Any, ...]) -> None:
    assert not [o for o in outcomes if isinstance(o, OperationalError)], outcomes


def all_right(*slot_ids: Any) -> None:
    """Nothing is wrong between any two rows, and the line was served in its order."""
    assert_consistent()
    assert_in_order(*slot_ids)


def expire_holds(now: datetime) -> Callable[[], int]:
    return lambda: booking_services.expire_holds(actor=f.SYSTEM, now=now)


def sweep(now: datetime) -> Callable[[], int]:
    return lambda: sweeps.serve_lines(actor=f.SYSTEM, now=now)


def statuses(*entries: WaitlistEntry) -> list[str]:
    return [fresh(e).status for e in entries]


def priced(**fields: Any) -> Any:
    resource = f.ResourceFactory(**fields)
    f.PriceFactory(resource=resource)
    return resource


def offered(slot: Slot) -> WaitlistEntry:
    """Somebody who was offered a seat of a full slot."""
    entry = join(slot)
    free(slot)
    assert fresh(entry).status == "offered"
    return entry


def join_many(slot: Slot, count: int, units: int = 1) -> list[WaitlistEntry]:
    """People in line by the dozen: as joining writes them, but in one statement."""
    now = timezone.now()
    people = f.CustomerFactory.create_batch(count, organization=slot.organization)
    return WaitlistEntry.objects.bulk_create(
        [
            WaitlistEntry(
                organization_id=slot.organization_id,
                customer=person,
                resource=slot.resource,
                slot=slot,
                units=units,
                joined_at=now + timedelta(microseconds=n),
                placed_at=now + timedelta(microseconds=n),
            )
            for n, person in enumerate(people)
        ]
    )


# Ten seats, fifty waiting


def test_ten_seats_freed_with_fifty_waiting_while_offers_are_answered_go_out_in_order():
    slot, _ = full_slot(seats=10, starts_at=f.soon(72))
    entries = join_many(slot, 50)
    taken = bookings_in(slot)
    for booking in taken[:4]:
        cancel(booking)
    first = entries[:4]
    later = timezone.now() + 13 * HOURS
    outcomes = race(
        *[lambda b=b: cancel(b) for b in taken[4:]],
        lambda: accept(first[0]),
        lambda: decline(first[1]),
        lambda: leave(first[2]),
        expire_holds(later),
        sweep(timezone.now()),
        lambda: f.hold(somebody(slot), slot),
    )
    nobody_deadlocked(outcomes)
    assert set(codes_of(outcomes)) <= {"slot_full", "no_offer", "no_longer_waiting"}
    while booking_services.expire_holds(actor=f.SYSTEM, now=timezone.now()):
        pass
    slot.refresh_from_db()
    assert (slot.taken_bookings, slot.taken_units) == (10, 10)
    live = Booking.objects.filter(slot=slot, status__in=["held", "pending", "confirmed"])
    owners = set(live.values_list("customer", flat=True))
    assert owners <= {e.customer_id for e in entries}
    answered = sum(s not in ("waiting", "offered") for s in statuses(*entries))
    assert (
        Offer.objects.filter(status="open").count() == 10 - live.filter(status="confirmed").count()
    )
    assert answered >= 1
    all_right(slot.pk)


def test_parties_of_every_size_are_served_in_order_while_seats_come_free_one_by_one():
    slot, _ = full_slot(seats=8, starts_at=f.soon(72))
    entries = [join_many(slot, 1, units)[0] for units in (3, 1, 2, 1, 4, 1, 2, 1)]

    outcomes = race(*[lambda b=b: cancel(b) for b in bookings_in(slot)])

    nobody_deadlocked(outcomes)
    assert len(won(outcomes)) == 8
    got = [e for e in entries if fresh(e).status == "offered"]
    assert sum(e.units for e in got) <= 8
    all_right(slot.pk)


def test_control_offers_out_of_turn_would_be_seen():
    slot, _ = full_slot(seats=2)
    first, second = join(slot), join(slot)

    def backwards(slots: Any) -> Any:
        return list(reversed(in_order(slots)))

    in_order = selectors.line_for
    with mock.patch.object(selectors, "line_for", backwards):
        free(slot)
    assert statuses(first, second) == ["waiting", "offered"]
    assert out_of_turn(slot.pk) == [f"{second.pk} got seats that {first.pk} waited for"]


# One booking, everything at once


@pytest.mark.parametrize("proved", [False, True])
def test_expiry_proof_approval_and_the_line_at_once_end_in_one_way(proved):
    slot, _ = full_slot(priced(), starts_at=f.soon(72))
    entry, waiting = join(slot), join(slot)
    free(slot)
    accept(entry)
    order = f.check_out(entry.customer)
    reviewer = f.MembershipFactory(organization=order.organization, role="reviewer")
    if proved:
        f.submit_proof(order)
    overdue = order.due_at + HOURS

    outcomes = race(
        lambda: expiry.expire_unpaid(actor=f.SYSTEM, now=overdue),
        lambda: f.submit_proof(order),
        lambda: f.approve(order, reviewer),
        expire_holds(timezone.now()),
        sweep(timezone.now()),
        lambda: leave(waiting),
    )

    nobody_deadlocked(outcomes)
    order = CartTransaction.objects.get(pk=order.pk)
    booking = Booking.objects.get(offer__entry=entry)
    assert (order.status, booking.status, fresh(entry).status) in {
        ("approved", "confirmed", "fulfilled"),
        ("under_review", "pending", "accepted"),
        ("expired", "expired", "expired"),
        # It expired, nobody waited any more, and the proof that came late took the seat again.
        ("under_review", "pending", "expired"),
        ("approved", "confirmed", "expired"),
    }
    assert fresh(waiting).status == "left"
    all_right(slot.pk)


def test_an_unpaid_order_that_expires_while_it_is_approved_serves_the_line_or_nobody():
    resource = priced()
    slot, _ = full_slot(resource, starts_at=f.soon(72))
    entry, waiting = join(slot), join(slot)
    free(slot)
    accept(entry)
    order = f.check_out(entry.customer, method="pay_on_arrival")
    reviewer = f.MembershipFactory(organization=order.organization, role="reviewer")

    outcomes = race(
        lambda: expiry.expire_unpaid(actor=f.SYSTEM, now=slot.starts_at),
        lambda: f.approve(order, reviewer),
    )

    nobody_deadlocked(outcomes)
    order = CartTransaction.objects.get(pk=order.pk)
    assert order.status in ("approved", "expired")
    if order.status == "approved":
        assert statuses(entry, waiting) == ["fulfilled", "waiting"]
    else:
        # At the start nothing is offered any more; by our clock it is a day until then.
        assert statuses(entry, waiting) == ["expired", "waiting"]
        sweep(timezone.now())()
    all_right(slot.pk)


@pytest.mark.parametrize("approval_first", [True, False])
def test_an_approval_and_a_cancellation_of_an_accepted_offer_come_one_after_the_other(
    approval_first,
):
    resource = priced()
    slot, _ = full_slot(resource)
    entry, waiting = join(slot), join(slot)
    free(slot)
    accept(entry)
    order = f.check_out(entry.customer, method="pay_on_arrival")
    booking = Booking.objects.get(offer__entry=entry)
    reviewer = f.MembershipFactory(organization=order.organization, role="reviewer")
    approving, cancelling = (lambda: f.approve(order, reviewer)), (lambda: cancel(booking))

    if approval_first:
        outcomes = interleave(approving, after=(booking_locks, "bookings_where"), second=cancelling)
        assert statuses(entry, waiting) == ["fulfilled", "offered"]
    else:
        outcomes = interleave(
            cancelling, after=(booking_locks, "slot_and_booking"), second=approving
        )
        assert statuses(entry, waiting) == ["closed", "offered"]
        assert codes_of(list(outcomes)) == ["already_decided"]
    nobody_deadlocked(outcomes)
    all_right(slot.pk)


# Sweeps


def test_two_sweeps_of_each_kind_at_once_serve_everybody_once():
    slots = [full_slot(starts_at=f.soon(72))[0] for _ in range(4)]
    entries = {slot.pk: [join(slot) for _ in range(3)] for slot in slots}
    for slot in slots:
        free(slot)
    later = timezone.now() + 13 * HOURS

    outcomes = race(
        expire_holds(later),
        expire_holds(later),
        sweep(later),
        sweep(later),
        lambda: sweeps.end_overdue(actor=f.SYSTEM, now=later),
        lambda: sweeps.recount_lines(actor=f.SYSTEM, now=later),
    )

    nobody_deadlocked(outcomes)
    assert codes_of(outcomes) == []
    while booking_services.expire_holds(actor=f.SYSTEM, now=later):
        pass
    for slot in slots:
        assert statuses(*entries[slot.pk]) == ["expired", "offered", "waiting"]
    assert OutboxEvent.objects.filter(kind="waitlist.offered").count() == 8
    all_right(*[s.pk for s in slots])


# Join ∥ release: nobody sleeps through a seat


@pytest.mark.parametrize("what", ["slot", "window"])
def test_who_joins_while_the_seat_comes_free_gets_it_or_is_told_that_there_is_room(what):
    slot, _ = full_slot()
    person = somebody(slot)
    (booking,) = bookings_in(slot)
    wanted = slot if what == "slot" else window(slot.resource)
    point = (booking_locks, "slot") if what == "slot" else (locks, "slots_in_window")

    joined, cancelled = interleave(
        lambda: join(wanted, person), after=point, second=lambda: cancel(booking)
    )

    nobody_deadlocked((joined, cancelled))
    assert fresh(joined).status == "offered"
    all_right(slot.pk)


@pytest.mark.parametrize("what", ["slot", "window"])
def test_who_joins_after_the_seat_came_free_is_told_that_there_is_room(what):
    slot, _ = full_slot()
    person = somebody(slot)
    (booking,) = bookings_in(slot)
    wanted = slot if what == "slot" else window(slot.resource)

    cancelled, joined = interleave(
        lambda: cancel(booking),
        after=(booking_locks, "slot_and_booking"),
        second=lambda: join(wanted, person),
    )

    assert cancelled.status == "cancelled"
    assert joined.code == "seats_available"
    all_right(slot.pk)


def test_control_without_locks_somebody_waits_beside_a_free_seat():
    slot, _ = full_slot()
    person = somebody(slot)
    (booking,) = bookings_in(slot)

    with locks_off():
        joined, _cancelled = interleave(
            lambda: join(slot, person),
            after=(booking_locks, "slot"),
            second=lambda: cancel(booking),
        )
        slot.refresh_from_db()
        assert (fresh(joined).status, slot.taken_bookings) == ("waiting", 0)


def test_a_slot_that_is_made_while_somebody_joins_for_any_time_is_theirs_within_a_minute():
    resource = f.ResourceFactory()
    full_slot(resource)
    person = somebody(resource)
    start = f.soon(30)

    def make() -> int:
        return slot_services.create_slots(
            resource=resource,
            periods=[(start, start + HOURS)],
            max_bookings=1,
            max_units=1,
            actor=STAFF,
            now=timezone.now(),
        )

    joined, made = interleave(
        lambda: join(window(resource), person), after=(locks, "slots_in_window"), second=make
    )

    nobody_deadlocked((joined, made))
    assert made == 1
    sweep(timezone.now())()
    assert fresh(joined).status == "offered"
    all_right()


# Leaving, declining, accepting, running out


def test_who_leaves_while_a_seat_is_offered_is_offered_none_and_the_next_one_is():
    slot, _ = full_slot()
    first, second = join(slot), join(slot)
    (booking,) = bookings_in(slot)

    left, cancelled = interleave(
        lambda: leave(first), after=(locks, "entries_where"), second=lambda: cancel(booking)
    )

    nobody_deadlocked((left, cancelled))
    assert statuses(first, second) == ["left", "offered"]
    all_right(slot.pk)


def test_who_leaves_right_after_being_offered_a_seat_passes_it_on():
    slot, _ = full_slot()
    first, second = join(slot), join(slot)
    (booking,) = bookings_in(slot)

    cancelled, left = interleave(
        lambda: cancel(booking), after=(locks, "waiting"), second=lambda: leave(first)
    )

    nobody_deadlocked((left, cancelled))
    assert statuses(first, second) == ["left", "offered"]
    all_right(slot.pk)


def test_who_leaves_a_window_while_a_seat_of_it_is_offered_to_them_passes_it_on():
    resource = f.ResourceFactory()
    slot, _ = full_slot(resource)
    first, second = join(window(resource)), join(window(resource))
    (booking,) = bookings_in(slot)

    cancelled, left = interleave(
        lambda: cancel(booking), after=(locks, "waiting"), second=lambda: leave(first)
    )

    nobody_deadlocked((left, cancelled))
    assert statuses(first, second) == ["left", "offered"]
    all_right()


def test_a_seat_for_somebody_who_is_just_leaving_a_window_waits_for_the_sweep_and_not_for_them():
    resource = f.ResourceFactory()
    slot, _ = full_slot(resource)
    first, second = join(window(resource)), join(window(resource))
    (booking,) = bookings_in(slot)

    left, cancelled = interleave(
        lambda: leave(first), after=(locks, "entries_where"), second=lambda: cancel(booking)
    )

    nobody_deadlocked((left, cancelled))
    assert statuses(first, second) == ["left", "waiting"]  # had the first stayed, it was theirs
    outsider = somebody(slot)
    with pytest.raises(Exception, match="full"):
        f.hold(outsider, slot)
    sweep(timezone.now())()
    assert fresh(second).status == "offered"
    all_right()


@pytest.mark.parametrize("accept_first", [True, False])
def test_an_offer_is_accepted_or_runs_out(accept_first):
    slot, _ = full_slot(starts_at=f.soon(72))
    entry, waiting = join(slot), join(slot)
    free(slot)
    until = offer_of(entry).expires_at
    accepting = lambda: accept(entry, now=until - timedelta(seconds=1))  # noqa: E731

    if accept_first:
        outcomes = interleave(accepting, after=(locks, "entries_where"), second=expire_holds(until))
        expire_holds(until)()
        assert statuses(entry, waiting) == ["fulfilled", "waiting"]
    else:
        outcomes = interleave(
            expire_holds(until), after=(booking_locks, "overdue_holds"), second=accepting
        )
        assert codes_of(list(outcomes)) == ["no_offer"]
        assert statuses(entry, waiting) == ["expired", "offered"]
    nobody_deadlocked(outcomes)
    all_right(slot.pk)


def test_of_many_answers_to_one_offer_one_counts():
    slot, _ = full_slot()
    entry = offered(slot)
    waiting = join(slot)

    outcomes = race(
        *[lambda: accept(entry)] * 4,
        *[lambda: accept_for(entry)] * 2,
        *[lambda: decline(entry)] * 4,
        lambda: leave(entry),
    )

    nobody_deadlocked(outcomes)
    assert len(won(outcomes)) == 1
    assert set(codes_of(outcomes)) <= {"no_offer", "no_longer_waiting"}
    got_it = fresh(entry).status == "fulfilled"
    assert fresh(waiting).status == ("waiting" if got_it else "offered")
    assert CartItem.objects.filter(booking__offer__entry=entry).count() == int(got_it)
    all_right(slot.pk)


def test_many_are_closed_while_what_they_are_offered_is_answered_and_seats_come_free():
    slot, _ = full_slot(priced(), seats=6)
    entries = [join(slot) for _ in range(6)]
    free(slot, 3)
    last = join(slot)

    def close(chosen: list[WaitlistEntry]) -> list[WaitlistEntry]:
        return line.close_many(
            entry_ids=[e.pk for e in chosen],
            organization_id=slot.organization_id,
            reason="The trainer is ill.",
            actor=STAFF,
            now=timezone.now(),
        )

    outcomes = race(
        lambda: close(entries[:4]),
        lambda: close(entries[2:]),
        lambda: accept_for(entries[0]),
        lambda: accept(entries[1]),
        lambda: free(slot),
    )

    nobody_deadlocked(outcomes)
    assert set(codes_of(outcomes)) <= {"no_offer"}
    assert set(statuses(*entries[2:])) == {"closed"}
    assert set(statuses(*entries[:2])) <= {"closed", "accepted", "fulfilled"}
    assert fresh(last).status == "offered"
    all_right()


def test_control_without_locks_and_lifecycle_an_offer_is_accepted_and_declined():
    slot, _ = full_slot(priced())
    entry = offered(slot)

    with (
        without(*UNPROTECTED),
        locks_off(),
    ):
        accepted, declined = interleave(
            lambda: accept(entry), after=(line, "check_open"), second=lambda: decline(entry)
        )
        assert (accepted.entry.status, declined.status) == ("accepted", "declined")
        assert problems()


def close_all(*entries: WaitlistEntry) -> list[WaitlistEntry]:
    return line.close_many(
        entry_ids=[e.pk for e in entries],
        organization_id=entries[0].organization_id,
        reason="The trainer is ill.",
        actor=STAFF,
        now=timezone.now(),
    )


@pytest.mark.parametrize("accept_first", [True, False])
def test_an_offer_is_accepted_for_who_calls_or_closed_with_others(accept_first):
    slot, _ = full_slot(priced())
    entry, waiting, last = offered(slot), join(slot), join(slot)
    accepting, closing = (lambda: accept_for(entry)), (lambda: close_all(entry, waiting))

    if accept_first:
        outcomes = interleave(accepting, after=(line, "check_open"), second=closing)
        assert statuses(entry, waiting, last) == ["fulfilled", "closed", "waiting"]
        assert codes_of(list(outcomes)) == []
        assert said_of(entry) == {"booking.confirmed"}
    else:
        outcomes = interleave(closing, after=(line, "lock_entries"), second=accepting)
        assert statuses(entry, waiting, last) == ["closed", "closed", "offered"]
        assert codes_of(list(outcomes)) == ["no_offer"]
        assert said_of(entry) == {"waitlist.closed"}
    nobody_deadlocked(outcomes)
    all_right(slot.pk)


def said_of(entry: WaitlistEntry) -> set[str]:
    """Whether its customer was told that it is booked, or that they are out of the line."""
    booking = Booking.objects.get(offer__entry=entry)
    told = OutboxEvent.objects.filter(
        kind__in=["booking.confirmed", "waitlist.closed"], subject_id__in=[entry.pk, booking.pk]
    )
    return set(told.values_list("kind", flat=True))


UNPROTECTED = (
    "waitlist_entry_ended_says_when",
    "waitlist_offer_answered_says_when",
    "waitlist_waitlistentry.follow_lifecycle",
    "waitlist_offer.follow_lifecycle",
    "bookings_booking.follow_lifecycle",
)


def test_control_without_locks_and_lifecycle_an_offer_is_accepted_for_who_calls_and_closed():
    slot, _ = full_slot(priced())
    entry = offered(slot)

    with without(*UNPROTECTED), locks_off():
        closed, order = interleave(
            lambda: close_all(entry),
            after=(line, "lock_entries"),
            second=lambda: accept_for(entry),
        )
        assert [e.status for e in closed] == ["closed"]
        assert order.status == "approved"
        assert said_of(entry) == {"booking.confirmed", "waitlist.closed"}


def test_control_without_locks_one_entry_is_closed_twice_and_its_customer_told_twice():
    slot, _ = full_slot(priced())
    entry = offered(slot)

    with without(*UNPROTECTED), locks_off():
        both = interleave(
            lambda: close_all(entry),
            after=(line, "lock_entries"),
            second=lambda: close_all(entry),
        )
        assert [len(closed) for closed in both] == [1, 1]
        assert OutboxEvent.objects.filter(kind="waitlist.closed").count() == 2


# Windows


def test_two_who_wait_for_any_time_get_one_each_when_two_slots_come_free_at_once():
    resource = f.ResourceFactory()
    one, other = full_slot(resource)[0], full_slot(resource, starts_at=f.soon(30))[0]
    entries = [join(window(resource)) for _ in range(2)]
    (first,), (second,) = bookings_in(one), bookings_in(other)

    outcomes = race(lambda: cancel(first), lambda: cancel(second))

    nobody_deadlocked(outcomes)
    assert len(won(outcomes)) == 2
    sweep(timezone.now())()
    assert statuses(*entries) == ["offered", "offered"]
    assert Offer.objects.values("booking__slot").distinct().count() == 2
    all_right()


def test_two_slots_that_come_free_at_the_worst_moment_never_offer_one_entry_twice():
    resource = f.ResourceFactory()
    one, other = full_slot(resource)[0], full_slot(resource, starts_at=f.soon(30))[0]
    first, second = join(window(resource)), join(window(resource))
    (a,), (b,) = bookings_in(one), bookings_in(other)

    outcomes = interleave(lambda: cancel(a), after=(locks, "waiting"), second=lambda: cancel(b))

    nobody_deadlocked(outcomes)
    # Whoever is behind does not get what the first may still come to want.
    assert statuses(first, second) == ["offered", "waiting"]
    sweep(timezone.now())()
    assert statuses(first, second) == ["offered", "offered"]
    all_right()


def test_who_joins_for_any_time_while_the_only_other_one_leaves_is_counted():
    """The count of a resource is written by people who hold no lock in common."""
    resource = f.ResourceFactory()
    slot, _ = full_slot(resource)
    far = Window(resource.pk, f.soon(24 * 20), f.soon(24 * 30))
    full_slot(resource, starts_at=f.soon(24 * 25))
    there = join(far, somebody(resource))
    person = somebody(resource)
    near = Window(resource.pk, timezone.now(), f.soon(48))

    joined, left = interleave(
        lambda: join(near, person),
        after="INSERT INTO .*waitlist_waitlistentry",
        second=lambda: leave(there),
    )

    nobody_deadlocked((joined, left))
    resource.refresh_from_db()
    assert resource.line >= 1
    sweeps.recount_lines(actor=f.SYSTEM, now=timezone.now())
    resource.refresh_from_db()
    assert resource.line == 1
    free(slot)
    assert fresh(joined).status == "offered"
    all_right()


def test_two_who_join_for_different_times_at_once_are_both_counted():
    resource = f.ResourceFactory()
    full_slot(resource)
    full_slot(resource, starts_at=f.soon(24 * 25))
    people = [somebody(resource) for _ in range(2)]
    near = Window(resource.pk, timezone.now(), f.soon(48))
    far = Window(resource.pk, f.soon(24 * 20), f.soon(24 * 30))

    outcomes = interleave(
        lambda: join(near, people[0]),
        after="INSERT INTO .*waitlist_waitlistentry",
        second=lambda: join(far, people[1]),
    )

    nobody_deadlocked(outcomes)
    resource.refresh_from_db()
    assert resource.line == 2
    all_right()


def test_leaving_never_waits_for_whoever_makes_slots_and_wants_the_entry():
    """Slots are made holding the resource, and then offered to those who wait for any time."""
    resource = f.ResourceFactory()
    full_slot(resource)
    entry = join(window(resource))
    start = f.soon(30)

    def make() -> int:
        return slot_services.create_slots(
            resource=resource,
            periods=[(start, start + HOURS)],
            max_bookings=1,
            max_units=1,
            actor=STAFF,
            now=timezone.now(),
        )

    outcomes = interleave(make, after="INSERT INTO .*bookings_slot", second=lambda: leave(entry))

    nobody_deadlocked(outcomes)
    assert fresh(entry).status == "left"
    sweeps.recount_lines(actor=f.SYSTEM, now=timezone.now())
    resource.refresh_from_db()
    assert resource.line == 0
    all_right()


# At most so many bookings of one person


def at_the_limit() -> tuple[list[WaitlistEntry], list[Callable[[], Any]]]:
    """Somebody in two lines of a resource of which they may have one; with what frees a seat."""
    resource = f.ResourceFactory(most_live_bookings=1)
    person = somebody(resource)
    slots = [full_slot(resource, starts_at=f.soon(hours))[0] for hours in (30, 60)]
    entries = [join(slot, person) for slot in slots]
    return entries, [partial(cancel, b) for slot in slots for b in bookings_in(slot)]


@pytest.mark.parametrize(
    ("after", "offered_first"),
    [
        ((rules, "live_bookings"), False),
        ((booking_locks, "customers_nobody_holds"), True),
        ((locks, "waiting"), True),
    ],
    ids=lambda p: p[1] if isinstance(p, tuple) else "",
)
def test_of_two_slots_that_come_free_at_once_nobody_gets_more_than_they_may_have(
    after, offered_first
):
    entries, (one, other) = at_the_limit()

    outcomes = interleave(one, after=after, second=other)

    assert not lost(outcomes), outcomes
    expected = ["offered", "waiting"] if offered_first else ["waiting", "offered"]
    assert statuses(*entries) == expected
    sweep(timezone.now())()
    assert statuses(*entries) == expected
    all_right()


def test_two_slots_that_come_free_at_once_by_chance_are_not_both_offered():
    entries, cancelling = at_the_limit()

    outcomes = race(*cancelling)

    assert not lost(outcomes), outcomes
    sweep(timezone.now())()
    assert sorted(statuses(*entries)) == ["offered", "waiting"]
    all_right()


def test_control_without_the_lock_of_the_customer_both_are_offered():
    entries, (one, other) = at_the_limit()

    with mock.patch.object(booking_locks, "customers_nobody_holds", set):
        interleave(one, after=(locks, "waiting"), second=other)

    assert statuses(*entries) == ["offered", "offered"]


# Outsiders


@pytest.mark.parametrize("outsider_first", [True, False])
def test_an_outsider_never_gets_the_seat_that_comes_free_for_the_line(outsider_first):
    slot, _ = full_slot()
    entry = join(slot)
    outsider = somebody(slot)
    (booking,) = bookings_in(slot)
    holding, cancelling = (lambda: f.hold(outsider, slot)), (lambda: cancel(booking))

    if outsider_first:
        outcomes = interleave(holding, after=(booking_locks, "slot"), second=cancelling)
    else:
        outcomes = interleave(cancelling, after=(booking_locks, "slot_and_booking"), second=holding)

    nobody_deadlocked(outcomes)
    assert codes_of(list(outcomes)) == ["slot_full"]
    assert fresh(entry).status == "offered"
    all_right(slot.pk)


def test_of_ten_outsiders_and_the_line_the_line_gets_the_last_seat():
    slot, _ = full_slot()
    entry = join(slot)
    (booking,) = bookings_in(slot)
    outsiders = f.CustomerFactory.create_batch(8, organization=slot.organization)

    outcomes = race(lambda: cancel(booking), *[lambda c=c: f.hold(c, slot) for c in outsiders])

    nobody_deadlocked(outcomes)
    assert codes_of(outcomes) == ["slot_full"] * 8
    assert fresh(entry).status == "offered"
    all_right(slot.pk)


def test_control_without_the_gate_an_outsider_takes_what_the_line_has_not_been_offered_yet():
    slot = f.make_slot(starts_at=f.soon(72))
    f.hold(somebody(slot), slot)
    entry, outsider = join(slot), somebody(slot)
    later = timezone.now() + timedelta(minutes=20)
    with (
        mock.patch.object(claiming, "serve_lines", return_value=set()),
        mock.patch.object(serving, "serve", return_value=serving.Served()),
    ):
        f.hold(outsider, slot, now=later)
    assert fresh(entry).status == "waiting"


def test_whoever_waits_for_any_time_comes_before_outsiders_beside_a_larger_party():
    """The smallest party in line for the slot is not the smallest that may have a seat in it."""
    resource = f.ResourceFactory()
    slot, _ = full_slot(resource, seats=3)
    party, entry = join(slot, units=3), join(window(resource))
    with mock.patch.object(serving, "serve", return_value=serving.Served()):
        free(slot, 1)  # somebody held the line's entries, say
    with pytest.raises(Exception, match="full"):
        f.hold(somebody(slot), slot)
    sweep(timezone.now())()
    assert statuses(party, entry) == ["waiting", "offered"]


# Capacity


@pytest.mark.parametrize("join_first", [True, False])
def test_who_joins_while_the_capacity_is_raised_gets_the_seat_or_is_told(join_first):
    slot, _ = full_slot()
    person = somebody(slot)

    def raise_it() -> Any:
        return slot_services.change_capacity(
            slot_ids=[slot.pk],
            max_bookings=2,
            max_units=2,
            actor=STAFF,
            reason="a larger room",
            now=timezone.now(),
        )

    joining = lambda: join(slot, person)  # noqa: E731
    if join_first:
        joined, raised = interleave(joining, after=(booking_locks, "slot"), second=raise_it)
        assert fresh(joined).status == "offered"
    else:
        raised, joined = interleave(raise_it, after=(booking_locks, "slots"), second=joining)
        assert joined.code == "seats_available"
    nobody_deadlocked((joined, raised))
    all_right(slot.pk)


# What is closed, settled or moved meanwhile


def test_a_slot_that_is_closed_while_its_rival_is_cancelled_offers_nothing_and_stops_nobody():
    court = f.ResourceFactory(exclusive=True)
    start = f.soon(48)
    one = f.make_slot(court, starts_at=start)
    other = f.make_slot(court, starts_at=start + timedelta(minutes=30))
    booking = f.hold(somebody(one), one)
    entry = join(other)

    cancelled, closed = interleave(
        lambda: cancel(booking),
        after=(selectors, "slots_to_serve"),
        second=lambda: slot_services.close_slots(
            slot_ids=[other.pk], actor=STAFF, reason="a leak", now=timezone.now()
        ),
    )

    assert cancelled.status == "cancelled"
    assert len(closed) == 1
    assert fresh(entry).status == "waiting"
    all_right(one.pk, other.pk)


def test_what_is_offered_to_a_customer_while_another_booking_of_theirs_is_approved_stays_whole():
    """The entry that an approval settles is just being offered seats in another slot."""
    resource = priced()
    one, other = full_slot(resource)[0], full_slot(resource, starts_at=f.soon(30))[0]
    person = somebody(resource)
    accepted, entry = join(one, person), also_in(window(resource), person)
    free(one)
    accept(accepted)
    order = f.check_out(person, method="pay_on_arrival")
    reviewer = f.MembershipFactory(organization=order.organization, role="reviewer")
    (booking,) = bookings_in(other)

    outcomes = interleave(
        lambda: f.approve(order, reviewer),
        after=(booking_locks, "slots_nobody_holds"),
        second=lambda: cancel(booking),
    )

    nobody_deadlocked(outcomes)
    # It is passed over, whole, and found later.
    assert statuses(accepted, entry) == ["fulfilled", "offered"]
    assert set(problems()) == {"waitlist.settled"}
    assert fix("waitlist.settled") == {str(entry.pk): "fixed"}
    assert statuses(accepted, entry) == ["fulfilled", "settled"]
    assert_consistent()


def two_offers(**second: Any) -> tuple[WaitlistEntry, WaitlistEntry, Any, Any]:
    """Somebody with an order of what they were offered, and offered seats in another slot as well;
    with how to approve the order."""
    resource = priced()
    one, _ = full_slot(resource)
    other, _ = full_slot(resource, seats=2, starts_at=f.soon(30))
    person = somebody(resource)
    accepted, entry = join(one, person), also_in(window(resource), person, **second)
    free(one)
    accept(accepted)
    order = f.check_out(person, method="pay_on_arrival")
    free(other, entry.units)
    assert statuses(accepted, entry) == ["accepted", "offered"]
    reviewer = f.MembershipFactory(organization=order.organization, role="reviewer")
    return accepted, entry, lambda: f.approve(order, reviewer), other


def test_an_approval_does_not_wait_for_who_accepts_what_it_does_not_settle():
    """A party of two is not settled by one seat; that it may not be is known before it is locked."""
    accepted, entry, approve, _ = two_offers(units=2)
    seen: list[str] = []

    def approving() -> None:
        approve()
        seen.extend(statuses(accepted, entry))  # while the other one still stands there

    outcomes = interleave(
        lambda: accept(entry), after=(booking_locks, "bookings"), second=approving
    )

    assert not lost(outcomes), outcomes
    assert seen == ["fulfilled", "offered"]
    assert statuses(accepted, entry) == ["fulfilled", "accepted"]
    assert_consistent()


@pytest.mark.parametrize("status", ["offered", "accepted"])
@pytest.mark.parametrize("held", ["slot", "booking"])
def test_an_approval_waits_for_nobody_who_holds_what_was_offered_to_the_same_customer(held, status):
    accepted, entry, approve, other = two_offers()
    booking = offer_of(entry).booking
    if status == "accepted":
        accept(entry)
    table, pk = ("bookings_slot", other.pk) if held == "slot" else ("bookings_booking", booking.pk)

    with other_session(autocommit=False) as session, limited("lock_timeout", 2000):
        session.execute(f"SELECT 1 FROM {table} WHERE id = %s FOR UPDATE", [pk])
        approve()

    # It is passed over, whole, and found later.
    booking.refresh_from_db()
    assert (*statuses(accepted, entry), booking.status) == ("fulfilled", status, "held")
    assert set(problems()) == {"waitlist.settled"}
    assert fix("waitlist.settled") == {str(entry.pk): "fixed"}
    assert statuses(accepted, entry) == ["fulfilled", "settled"]
    assert not CartItem.objects.filter(booking=booking, status="in_cart").exists()
    assert_consistent()


def test_control_an_approval_that_would_wait_for_the_booking_would_not_come_through():
    _, entry, approve, _ = two_offers()

    held = offer_of(entry).booking_id

    with (
        mock.patch.object(booking_locks, "bookings_nobody_holds", booking_locks.bookings),
        other_session(autocommit=False) as session,
        limited("lock_timeout", 500),
    ):
        session.execute("SELECT 1 FROM bookings_booking WHERE id = %s FOR UPDATE", [held])
        with pytest.raises(OperationalError, match="lock timeout"):
            approve()


def test_an_order_of_an_accepted_offer_that_is_moved_still_ends_its_entry():
    resource = f.ResourceFactory()
    slot, _ = full_slot(resource)
    target = f.make_slot(resource, starts_at=f.soon(40))
    entry = offered(slot)
    f.PriceFactory(resource=resource)
    accept(entry)
    f.check_out(entry.customer, method="pay_on_arrival")
    booking = Booking.objects.get(offer__entry=entry)
    reschedule.reschedule(
        booking_id=booking.pk,
        organization_id=booking.organization_id,
        slot_id=target.pk,
        actor=STAFF,
        now=timezone.now(),
    )
    cancel(Booking.objects.get(pk=booking.pk))
    assert fresh(entry).status == "closed"
    assert_consistent()


def test_of_two_times_of_one_court_the_one_that_was_waited_for_first_is_offered():
    court = f.ResourceFactory(exclusive=True)
    start = f.soon(48)
    early = f.make_slot(court, starts_at=start)
    middle = f.make_slot(court, starts_at=start + timedelta(minutes=30))
    late = f.make_slot(court, starts_at=start + timedelta(minutes=45))
    booking = f.hold(somebody(middle), middle)
    first, second = join(late), join(early)

    cancel(booking)

    assert statuses(first, second) == ["offered", "waiting"]
    all_right()
