"""Races over moves and proposals, on real connections (A4, A7, B6, D1, D7).

Each race is run freely, then at its worst moment by two; and a control shows that the worst
moment does the harm when locks, triggers and constraints are taken away.
"""

from __future__ import annotations

from datetime import UTC, timedelta
from functools import partial
from zoneinfo import ZoneInfo

import pytest
from django.db import OperationalError
from django.db.models import Q
from django.utils import timezone

from audit.errors import DomainError, StaleVersion
from audit.models import OutboxEvent
from bookings import claiming
from bookings import locks as booking_locks
from bookings.errors import BookingOver, NoProposal, ResourceTaken, SlotFull
from bookings.models import Booking, Proposal, ScheduleException, Slot
from bookings.services import bookings, closings
from bookings.services import reschedule as proposals
from payments import locks
from payments.models import CartTransaction
from payments.services import cancellation, decisions, reschedule
from tests import factories as f
from tests.concurrency import interleave, locks_off, lost, race, without, won
from tests.invariants import assert_consistent, problems

pytestmark = pytest.mark.django_db(transaction=True)

LIMITS = ("bookings_slot_bookings_within_capacity", "bookings_slot_units_within_capacity")
BOOKING_MOVES = "bookings_booking.follow_lifecycle"
PROPOSAL_MOVES = "bookings_proposal.follow_lifecycle"
BEFORE_A_MOVE = (claiming, "check_room")  # the last look at the seats
BEFORE_AN_ANSWER = (proposals, "_lock_proposal")


def booked(slot, *, customer=None):
    customer = customer or f.CustomerFactory(organization=slot.organization)
    made = f.check_out(customer, slot, method="free")
    if made.status != "approved":
        f.approve(made)
    return Booking.objects.select_related("customer__user").get(cart_item__transaction=made)


def moving(booking, slot, *, version=None):
    return lambda: reschedule.reschedule(
        booking_id=booking.pk,
        organization_id=booking.organization_id,
        slot_id=slot.pk,
        actor=f.SYSTEM,
        now=timezone.now(),
        version=version,
    )


def cancelling(booking):
    return lambda: cancellation.cancel_booking(
        booking_id=booking.pk,
        organization_id=booking.organization_id,
        actor=f.SYSTEM,
        reason="ill",
        now=timezone.now(),
    )


def proposing(booking, slot):
    return lambda: proposals.propose(
        booking_id=booking.pk,
        organization_id=booking.organization_id,
        slot_id=slot.pk,
        actor=f.SYSTEM,
        now=timezone.now(),
    )


def answering(service, booking, *, now=None):
    return lambda: service(
        booking_id=booking.pk,
        organization_id=booking.organization_id,
        actor=f.SYSTEM,
        now=now or timezone.now(),
    )


def accepting(booking, **kwargs):
    return answering(proposals.accept, booking, **kwargs)


def declining(booking, **kwargs):
    return answering(proposals.decline, booking, **kwargs)


def holding(slot, *, now=None):
    customer = f.CustomerFactory(organization=slot.organization)
    return lambda: f.hold(customer, slot, now=now)


def taken(*slots):
    return [Slot.objects.get(pk=s.pk).taken_bookings for s in slots]


def place(booking):
    return Booking.objects.values_list("slot_id", "status").get(pk=booking.pk)


def kinds(outcomes):
    return [type(e) for e in lost(outcomes)]


def told(booking):
    """What the customer heard last, in order."""
    about = OutboxEvent.objects.filter(subject_id=str(booking.pk)).order_by("pk")
    return [e.kind for e in about][-2:]


def far(count, resource=None, **kwargs):
    resource = resource or f.ResourceFactory()
    return f.make_slots(resource, count, start=f.soon(24 * 5), **kwargs)


# Two bookings change places


def test_bookings_that_change_places_again_and_again_never_lock_each_other_out():
    """There is room for one more in each, so that everybody can go everywhere."""
    slots = far(3, max_bookings=4)
    people = [booked(slot) for slot in slots for _ in range(2)]

    for turn in (1, 2):
        outcomes = race(
            *[moving(b, slots[(i // 2 + turn) % 3]) for i, b in enumerate(people)],
        )
        assert set(kinds(outcomes)) <= {SlotFull}, outcomes

    assert sum(taken(*slots)) == 6
    assert_consistent()


@pytest.mark.parametrize("exclusive", [False, True])
def test_two_full_slots_are_not_swapped_by_halves(exclusive):
    """Neither seat is free before the other is given back: both are told so, and both stay."""
    one, other = far(2, f.ResourceFactory(exclusive=exclusive))
    a, b = booked(one), booked(other)

    outcomes = race(moving(a, other), moving(b, one))

    assert kinds(outcomes) == [SlotFull, SlotFull]
    assert [place(a)[0], place(b)[0]] == [one.pk, other.pk]
    assert_consistent()


def test_crossing_moves_lock_in_one_order():
    one, other = far(2, max_bookings=2)
    a, b = booked(one), booked(other)

    outcomes = interleave(moving(a, other), after=(booking_locks, "slots"), second=moving(b, one))

    assert lost(outcomes) == []
    assert [place(a)[0], place(b)[0]] == [other.pk, one.pk]
    assert taken(one, other) == [1, 1]
    assert_consistent()


# The last seat


def test_of_many_who_move_or_book_at_the_last_seat_one_gets_it():
    last, *others = far(5)
    movers = [booked(slot) for slot in others]

    outcomes = race(*[moving(b, last) for b in movers], *[holding(last) for _ in range(4)])

    assert len(won(outcomes)) == 1
    assert set(kinds(outcomes)) == {SlotFull}
    assert taken(last) == [1]
    assert sum(taken(*others)) in (3, 4)
    assert_consistent()


def a_move_and_a_hold_at_the_last_seat():
    old, last = far(2)
    booking = booked(old)
    return last, interleave(moving(booking, last), after=BEFORE_A_MOVE, second=holding(last))


def test_a_seat_that_is_moved_into_is_not_sold_meanwhile():
    last, outcomes = a_move_and_a_hold_at_the_last_seat()

    assert kinds(outcomes) == [SlotFull]
    assert taken(last) == [1]
    assert_consistent()


def test_control_without_locks_and_limits_the_seat_is_sold_while_it_is_moved_into():
    with locks_off(), without(*LIMITS):
        last, outcomes = a_move_and_a_hold_at_the_last_seat()

        assert lost(outcomes) == []
        assert Booking.objects.filter(slot=last, status__in=["held", "confirmed"]).count() == 2
        assert problems()


# Moved and cancelled


def a_move_and_a_cancellation():
    old, new = far(2)
    booking = booked(old)
    outcomes = interleave(moving(booking, new), after=BEFORE_A_MOVE, second=cancelling(booking))
    return booking, (old, new), outcomes


def test_a_booking_that_is_moved_and_cancelled_at_once_gives_back_what_it_has():
    booking, slots, outcomes = a_move_and_a_cancellation()

    assert lost(outcomes) == []
    assert place(booking) == (slots[1].pk, "cancelled")
    assert taken(*slots) == [0, 0]
    assert told(booking) == ["booking.rescheduled", "booking.cancelled"]
    assert_consistent()


def test_control_without_locks_a_cancelled_booking_moves_on():
    with locks_off():
        booking, slots, outcomes = a_move_and_a_cancellation()

        assert lost(outcomes) == []  # the move did not see that the booking is over
        assert place(booking) == (slots[1].pk, "cancelled")
        assert told(booking) == ["booking.cancelled", "booking.rescheduled"]


def test_moves_and_cancellations_in_any_order_leave_no_seat_behind():
    for _ in range(3):
        old, new, other = far(3)
        booking = booked(old)

        outcomes = race(moving(booking, new), moving(booking, other), cancelling(booking))

        assert set(kinds(outcomes)) <= {BookingOver}
        assert place(booking)[1] == "cancelled"
        assert taken(old, new, other) == [0, 0, 0]
    assert_consistent()


def test_of_two_who_read_the_same_version_one_moves_it():
    old, new, other = far(3)
    booking = booked(old)

    outcomes = race(
        moving(booking, new, version=booking.version),
        moving(booking, other, version=booking.version),
    )

    assert kinds(outcomes) == [StaleVersion]
    assert sum(taken(new, other)) == 1
    assert_consistent()


# Moved and approved


def order(count=3):
    resource = f.ResourceFactory()
    f.PriceFactory(resource=resource)
    *slots, new, newer = far(count + 2, resource)
    made = f.check_out(f.CustomerFactory(organization=resource.organization), *slots)
    found = list(Booking.objects.filter(cart_item__transaction=made).order_by("pk"))
    member = f.MembershipFactory(organization=resource.organization, role="reviewer")
    return made, found, new, newer, member


def an_approval_while_one_is_moved(*, proof=True):
    made, found, new, _newer, member = order()
    if proof:
        f.submit_proof(made)
    outcomes = interleave(
        moving(found[1], new), after=BEFORE_A_MOVE, second=lambda: f.approve(made, member)
    )
    return made, found, new, outcomes


def test_an_approval_confirms_what_is_moved_meanwhile_too():
    _made, found, new, outcomes = an_approval_while_one_is_moved()

    assert lost(outcomes) == []
    assert [place(b)[1] for b in found] == ["confirmed"] * 3
    assert place(found[1])[0] == new.pk
    assert_consistent()


def test_control_locked_and_read_in_one_statement_the_moved_one_is_left_out(monkeypatch):
    """Why ``bookings_alone`` locks first and reads then."""
    monkeypatch.setattr(booking_locks, "bookings_alone", booking_locks.bookings_where)

    _made, found, _new, outcomes = an_approval_while_one_is_moved()

    assert lost(outcomes) == []
    assert sorted(place(b)[1] for b in found) == ["confirmed", "confirmed", "pending"]
    assert problems()


def test_moving_and_approving_an_order_do_not_lock_each_other_out():
    for _ in range(3):
        made, found, new, newer, member = order()
        f.submit_proof(made)

        outcomes = race(
            moving(found[0], new), partial(f.approve, made, member), moving(found[2], newer)
        )

        assert lost(outcomes) == []
        assert [place(b)[1] for b in found] == ["confirmed"] * 3
    assert_consistent()


def test_deadlines_follow_two_moves_of_one_order_at_once():
    for _ in range(3):
        made, found, *_rest = order(2)
        near, nearer = f.make_slots(found[0].slot.resource, 2, start=f.soon(3))

        outcomes = race(moving(found[0], near), moving(found[1], nearer))

        assert lost(outcomes) == []
        due = CartTransaction.objects.get(pk=made.pk).due_at
        assert due == near.starts_at
        assert {b.pending_until for b in Booking.objects.filter(pk__in=[b.pk for b in found])} == {
            due
        }
    assert_consistent()


def a_move_of_the_last_while_all_are_approved():
    made, found, *_rest, member = order(2)
    f.PolicyFactory(organization=made.organization, proof_required=False)
    near = f.make_slot(found[0].slot.resource, starts_at=f.soon(3))
    outcomes = interleave(
        moving(found[1], near), after=BEFORE_A_MOVE, second=lambda: f.approve(made, member)
    )
    return found, outcomes


def test_an_approval_waits_for_a_move_that_holds_all_that_is_paid_together():
    found, outcomes = a_move_of_the_last_while_all_are_approved()

    assert lost(outcomes) == []
    assert [place(b)[1] for b in found] == ["confirmed"] * 2
    assert_consistent()


def test_control_a_move_that_holds_only_its_own_booking_ends_in_a_deadlock(monkeypatch):
    """The approval has the first and waits for the second; the deadline wants the first."""
    original, calls = locks.paid_together, []

    def alone_at_first(ids):
        calls.append(ids)
        return Q(pk__in=ids) if len(calls) == 1 else original(ids)

    monkeypatch.setattr(locks, "paid_together", alone_at_first)
    _found, outcomes = a_move_of_the_last_while_all_are_approved()

    (victim,) = lost(outcomes)
    assert isinstance(victim, OperationalError)
    assert "deadlock" in str(victim)
    assert_consistent()


# Proposed and cancelled


def test_proposing_and_cancelling_at_once_holds_nothing_for_nobody():
    for _ in range(3):
        old, new = far(2)
        booking = booked(old)

        outcomes = race(proposing(booking, new), cancelling(booking))

        assert set(kinds(outcomes)) <= {BookingOver}
        assert place(booking)[1] == "cancelled"
        assert taken(old, new) == [0, 0]
        assert not Proposal.objects.filter(status="open").exists()
    assert_consistent()


def a_proposal_and_a_cancellation():
    old, new = far(2)
    booking = booked(old)
    outcomes = interleave(proposing(booking, new), after=BEFORE_A_MOVE, second=cancelling(booking))
    return booking, (old, new), outcomes


def test_a_cancellation_sees_the_proposal_that_is_made_meanwhile():
    _booking, slots, outcomes = a_proposal_and_a_cancellation()

    assert lost(outcomes) == []
    assert taken(*slots) == [0, 0]
    assert Proposal.objects.get().status == "withdrawn"
    assert_consistent()


def test_control_without_locks_seats_are_held_for_what_is_cancelled():
    with locks_off(), without(BOOKING_MOVES, "bookings_booking_ended_says_when"):
        _booking, _slots, outcomes = a_proposal_and_a_cancellation()

        assert lost(outcomes) == []
        assert Proposal.objects.get().status == "open"
        assert problems()


# Answers


@pytest.fixture
def waiting():
    """A booking with a proposal: the booking, its slot, the proposed one, until when."""
    old, new = far(2)
    booking = booked(old)
    made = proposing(booking, new)()
    return booking, old, new, made.expires_at


def test_of_many_answers_one_counts(waiting):
    booking, old, new, _until = waiting

    outcomes = race(*[accepting(booking), declining(booking)] * 4)

    assert len(won(outcomes)) == 1
    assert set(kinds(outcomes)) == {NoProposal}
    status = Proposal.objects.get().status
    assert place(booking) == ((new if status == "accepted" else old).pk, "confirmed")
    assert sum(taken(old, new)) == 1
    assert_consistent()


def two_answers(waiting):
    booking, _old, _new, _until = waiting
    return interleave(accepting(booking), after=BEFORE_AN_ANSWER, second=declining(booking))


def test_who_accepts_while_it_is_declined_waits_and_is_told(waiting):
    outcomes = two_answers(waiting)

    assert kinds(outcomes) == [NoProposal]
    assert Proposal.objects.get().status == "accepted"
    assert taken(*waiting[1:3]) == [0, 1]
    assert_consistent()


def test_control_without_locks_a_proposal_is_declined_and_accepted(waiting):
    with locks_off(), without(BOOKING_MOVES, PROPOSAL_MOVES, *LIMITS):
        outcomes = two_answers(waiting)

        assert lost(outcomes) == []  # both were told that their answer counts


def test_accepting_running_out_and_another_customer_come_to_one_end(waiting):
    """At the deadline, as three clocks see it: a moment before, and right at it."""
    booking, old, new, until = waiting
    just = until - timedelta(milliseconds=1)

    outcomes = race(
        accepting(booking, now=just),
        lambda: bookings.expire_holds(actor=f.SYSTEM, now=until),
        holding(new, now=until),
        holding(new, now=until),
    )

    unexpected = [o for o in lost(outcomes) if not isinstance(o, NoProposal | SlotFull)]
    assert unexpected == []
    status = Proposal.objects.get().status
    assert status in ("accepted", "expired")
    assert place(booking) == ((new if status == "accepted" else old).pk, "confirmed")
    assert taken(new) == [1]
    assert taken(old) == [0 if status == "accepted" else 1]
    assert_consistent()


def an_acceptance_and_a_customer(waiting):
    booking, _old, new, until = waiting
    just = until - timedelta(milliseconds=1)
    return interleave(
        accepting(booking, now=just), after=BEFORE_AN_ANSWER, second=holding(new, now=until)
    )


def test_a_proposed_seat_is_not_sold_while_it_is_accepted(waiting):
    outcomes = an_acceptance_and_a_customer(waiting)

    assert kinds(outcomes) == [SlotFull]
    assert taken(*waiting[1:3]) == [0, 1]
    assert Proposal.objects.get().status == "accepted"
    assert_consistent()


def test_control_without_locks_and_limits_an_accepted_seat_is_sold(waiting):
    with (
        locks_off(),
        without(BOOKING_MOVES, PROPOSAL_MOVES, *LIMITS, "bookings_booking_ended_says_when"),
    ):
        outcomes = an_acceptance_and_a_customer(waiting)

        assert lost(outcomes) == []
        assert (
            Booking.objects.filter(slot=waiting[2], status__in=["held", "confirmed"]).count() == 2
        )


def test_an_answer_and_a_cancelled_order_leave_no_seat_behind():
    for _ in range(3):
        made, found, new, _newer, member = order(2)
        f.submit_proof(made)
        f.approve(made, member)
        proposing(found[0], new)()

        outcomes = race(
            accepting(found[0]),
            partial(
                decisions.cancel,
                transaction_id=made.pk,
                organization_id=made.organization_id,
                actor=f.SYSTEM,
                reason="closed",
                now=timezone.now(),
            ),
        )

        assert all(isinstance(o, DomainError) for o in lost(outcomes)), outcomes
        assert [place(b)[1] for b in found] == ["cancelled"] * 2
        assert taken(new) == [0]
    assert_consistent()


def a_seat_asked_for_while_what_is_paid_with_its_stand_in_moves():
    """One asks for a court at a time that a proposal, whose time to answer ran out, still holds;
    beside it another booking of the same order moves to a third time of that court."""
    court = f.ResourceFactory(exclusive=True)
    hall = f.ResourceFactory(organization=court.organization)
    start = f.soon(24 * 4)
    customer = f.CustomerFactory(organization=court.organization)
    made = f.check_out(customer, *f.make_slots(hall, 2, start=f.soon(24 * 6)), method="free")
    first, second = Booking.objects.filter(cart_item__transaction=made).order_by("pk")
    held = f.make_slot(court, starts_at=start)
    proposing(first, held)()
    beside = f.make_slot(court, starts_at=start + timedelta(minutes=30))
    third = f.make_slot(court, starts_at=start + timedelta(days=1))
    late = Proposal.objects.get().expires_at + timedelta(seconds=1)
    outcomes = interleave(
        holding(beside, now=late),
        after=(booking_locks, "take_in_turn"),
        second=moving(second, third),
    )
    return first, second, third, outcomes


def test_who_asks_for_a_proposed_time_that_ran_out_never_waits_for_its_booking():
    first, second, third, (asked, moved) = (
        a_seat_asked_for_while_what_is_paid_with_its_stand_in_moves()
    )

    assert isinstance(asked, ResourceTaken)  # for this moment: the next one gets it
    assert place(moved) == (third.pk, "confirmed")
    assert place(first)[1] == "reschedule_proposed"
    assert second.pk == moved.pk
    assert_consistent()


def test_control_waiting_for_the_booking_of_a_stand_in_ends_in_a_deadlock(monkeypatch):
    def waiting(slot_ids, *, now, skip=()):
        return booking_locks.bookings_where(
            Q(slot_id__in=list(slot_ids), status="held", held_until__lte=now)
        )

    monkeypatch.setattr(booking_locks, "overdue_holds", waiting)
    *_rest, outcomes = a_seat_asked_for_while_what_is_paid_with_its_stand_in_moves()

    (victim,) = lost(outcomes)
    assert isinstance(victim, OperationalError)
    assert "deadlock" in str(victim)
    assert_consistent()


def an_approval_while_a_closing_moves_one_of_the_order():
    """The last of an order moves with its day, and its new start is so near that the deadline of
    the whole order moves too; beside it the order is approved."""
    made, found, *_rest, member = order(2)
    f.PolicyFactory(organization=made.organization, proof_required=False)
    moved = found[1]
    room = moved.slot.resource
    zone = ZoneInfo(room.time_zone)
    there = moved.slot.starts_at.astimezone(zone)
    days = (timezone.localdate(timezone=zone) + timedelta(days=1) - there.date()).days
    near = (there + timedelta(days=days)).astimezone(UTC)
    f.make_slot(room, starts_at=near)
    Slot.objects.filter(pk=moved.slot_id).update(source="hand")
    closure = ScheduleException(
        resource=room,
        kind="closed",
        name="x",
        first_day=there.date(),
        last_day=there.date(),
        from_time=there.time(),
        until_time=(there + timedelta(hours=1)).time(),
    )

    def close():
        return closings.add_exceptions(
            organization_id=room.organization_id,
            exceptions=[closure],
            then="move",
            move_by_days=days,
            reason="The roof leaks.",
            actor=f.SYSTEM,
            now=timezone.now(),
        )

    outcomes = interleave(
        close, after=(claiming, "claim_many"), second=lambda: f.approve(made, member)
    )
    return found, outcomes


def test_an_approval_waits_for_a_closing_that_moves_one_of_its_order():
    found, (done, _approved) = an_approval_while_a_closing_moves_one_of_the_order()

    assert [b.pk for b in done.moved] == [found[1].pk]
    assert [place(b)[1] for b in found] == ["confirmed"] * 2
    assert_consistent()


def test_control_a_closing_that_holds_only_whom_it_moves_ends_in_a_deadlock(monkeypatch):
    monkeypatch.setattr(booking_locks, "_together", [])
    _found, outcomes = an_approval_while_a_closing_moves_one_of_the_order()

    (victim,) = lost(outcomes)
    assert isinstance(victim, OperationalError)
    assert "deadlock" in str(victim)
    assert_consistent()
