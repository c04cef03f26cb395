"""Proposing another time: both are held until the answer, and never longer (B6, D1, D7)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from audit.errors import Forbidden, Invalid, NotFound, StaleVersion
from audit.models import OutboxEvent
from bookings import selectors, signals
from bookings.errors import (
    BookingOver,
    NoProposal,
    ProposalOpen,
    ResourceTaken,
    SlotFull,
    SlotGone,
    TooLate,
)
from bookings.models import Booking, Occupancy, Pool, PoolMember, PoolNeed, Proposal, Slot
from bookings.services import bookings, reschedule
from payments.services import cancellation
from tests import factories as f
from tests.bookings.test_reschedule import booked, move, own, place, refused, staff_of, taken
from tests.corruption import last_line
from tests.invariants import assert_consistent

pytestmark = pytest.mark.django_db


def propose(booking, slot, *, actor=None, now=None, **kwargs) -> Proposal:
    kwargs.setdefault("organization_id", booking.organization_id)
    return reschedule.propose(
        booking_id=booking.pk,
        slot_id=slot.pk,
        actor=actor or staff_of(booking),
        now=now or timezone.now(),
        **kwargs,
    )


def answer(service, booking, *, actor=None, now=None, **kwargs) -> Booking:
    kwargs.setdefault("organization_id", booking.organization_id)
    answered: Booking = service(
        booking_id=booking.pk, actor=actor or own(booking), now=now or timezone.now(), **kwargs
    )
    return answered


def accept(booking, **kwargs):
    return answer(reschedule.accept, booking, **kwargs)


def decline(booking, **kwargs):
    return answer(reschedule.decline, booking, **kwargs)


def withdraw(booking, **kwargs):
    kwargs.setdefault("actor", staff_of(booking))
    return answer(reschedule.withdraw, booking, **kwargs)


def cancel(booking):
    return cancellation.cancel_booking(
        booking_id=booking.pk,
        organization_id=booking.organization_id,
        actor=f.SYSTEM,
        reason="ill",
        now=timezone.now(),
    )


def news(since):
    """The kinds of messages that customers and the organisation got since then."""
    return [e.kind for e in OutboxEvent.objects.order_by("pk")[since:] if e.kind != "slot.freed"]


@pytest.fixture
def court():
    return f.ResourceFactory(exclusive=True)


@pytest.fixture
def two(court):
    """Two slots of a court, days ahead."""
    return f.make_slots(court, 2, start=f.soon(24 * 5))


@pytest.fixture
def booking(two):
    return booked(two[0])


@pytest.fixture
def proposed(booking, two):
    """A booking with a proposal for the second slot."""
    propose(booking, two[1], message="the court is flooded")
    booking.refresh_from_db()
    return booking


def test_both_times_are_held_and_the_customer_is_asked_once(booking, two):
    old, new = two
    now, before = timezone.now(), OutboxEvent.objects.count()

    made = propose(booking, new, message="the court is flooded", now=now)

    assert taken(old, new) == [1, 1]
    assert set(Occupancy.objects.values_list("slot_id", flat=True)) == {old.pk, new.pk}
    assert place(booking) == (old.pk, "reschedule_proposed", booking.version + 1)
    assert made.booking.version == booking.version + 1
    assert made.expires_at == now + timedelta(hours=booking.organization.proposal_hours)
    stand_in = made.stand_in
    assert (stand_in.customer, stand_in.units, stand_in.status, stand_in.held_until) == (
        booking.customer,
        1,
        "held",
        made.expires_at,
    )
    [event] = OutboxEvent.objects.order_by("pk")[before:]
    assert event.kind == "booking.reschedule_proposed"
    assert event.payload["proposed"]["starts_at"] == new.starts_at.isoformat()
    assert event.payload["answer_until"] == made.expires_at.isoformat()
    assert event.payload["message"] == "the court is flooded"
    assert_consistent()


def test_the_old_check_in_code_is_kept_while_the_customer_thinks(proposed):
    assert proposed.check_in_code.used_at is None
    assert selectors.open_proposal(proposed).message == "the court is flooded"


# Until when it can be answered


def test_an_answer_is_due_an_hour_before_the_earlier_of_both_times(court):
    early, late = f.make_slots(court, 2, start=f.soon(5))
    booking = booked(late)

    assert propose(booking, early).expires_at == early.starts_at - timedelta(hours=1)


def test_there_is_a_quarter_of_an_hour_to_answer_or_no_proposal(court):
    early, late = f.make_slots(court, 2, start=f.soon(5))
    booking = booked(late)
    latest = early.starts_at - timedelta(minutes=75)

    refused(TooLate, booking, lambda: propose(booking, early, now=latest + timedelta(seconds=1)))
    made = propose(booking, early, now=latest)
    assert made.expires_at == latest + timedelta(minutes=15)


def test_staff_may_say_until_when(booking, two):
    now = timezone.now()
    until = now + timedelta(hours=3)

    for wrong in (now + timedelta(minutes=14), two[0].starts_at - timedelta(minutes=59)):
        refused(Invalid, booking, lambda at=wrong: propose(booking, two[1], expires_at=at, now=now))
    assert propose(booking, two[1], expires_at=until, now=now).expires_at == until


# What cannot be proposed


def test_only_a_confirmed_booking_gets_proposals(court, two):
    f.PriceFactory(resource=court)
    customer = f.CustomerFactory(organization=court.organization)
    pending = Booking.objects.get(cart_item__transaction=f.check_out(customer, two[0]))
    third = f.make_slot(court, starts_at=f.soon(24 * 6))
    held = f.hold(customer, third)

    refused(BookingOver, pending, lambda: propose(pending, two[1]))
    refused(BookingOver, held, lambda: propose(held, two[1]))


def test_there_is_one_proposal_at_a_time(court, proposed):
    third = f.make_slot(court, starts_at=f.soon(24 * 6))

    error = refused(ProposalOpen, proposed, lambda: propose(proposed, third))

    assert error.code == "proposal_open"
    assert "take that proposal back" in error.detail
    assert Proposal.objects.count() == 1


def test_nothing_is_proposed_that_cannot_be_booked(court, booking, two):
    other = booked(two[1])
    free_hall = f.make_slot(
        f.ResourceFactory(organization=court.organization), starts_at=f.soon(50), status="closed"
    )

    refused(SlotFull, booking, lambda: propose(booking, two[1]))
    refused(SlotGone, booking, lambda: propose(booking, free_hall))
    refused(Invalid, booking, lambda: propose(booking, booking.slot))
    refused(NotFound, booking, lambda: propose(booking, f.make_slot()))
    refused(Invalid, booking, lambda: propose(booking, two[1], message="x" * 501))
    refused(StaleVersion, booking, lambda: propose(booking, two[1], version=booking.version + 1))
    assert place(other)[1] == "confirmed"
    assert not Proposal.objects.exists()


def test_two_times_of_one_court_that_overlap_cannot_both_be_held(booking, court):
    overlapping = f.make_slot(court, starts_at=booking.slot.starts_at + timedelta(minutes=30))

    error = refused(ResourceTaken, booking, lambda: propose(booking, overlapping))

    assert "Move the booking instead" in error.detail
    move(booking, overlapping)
    assert place(booking)[0] == overlapping.pk


def test_customers_propose_nothing_and_withdraw_nothing(booking, proposed, two):
    refused(Forbidden, booking, lambda: propose(booking, two[1], actor=own(booking)))
    refused(Forbidden, booking, lambda: withdraw(booking, actor=own(booking)))


def test_providers_propose_times_of_their_own_resources(court, booking, two):
    provider = f.MembershipFactory(organization=court.organization, role="provider")
    theirs = f.make_slot(f.ResourceFactory(organization=court.organization))
    as_provider = {"actor": f.actor_of(provider), "provider_id": provider.user_id}

    refused(NotFound, booking, lambda: propose(booking, two[1], **as_provider))
    court.provider = provider.user
    court.save()
    refused(Forbidden, booking, lambda: propose(booking, theirs, **as_provider))
    made = propose(booking, two[1], **as_provider)

    assert made.proposed_by == as_provider["actor"].label
    court.provider = None
    court.save()
    refused(NotFound, booking, lambda: withdraw(booking, **as_provider))


# Answers


def test_who_accepts_has_the_new_seats_and_gives_the_old_ones_back(proposed, two):
    old, new = two
    before = OutboxEvent.objects.count()

    moved = accept(proposed, version=proposed.version)

    assert taken(old, new) == [0, 1]
    assert [o.slot_id for o in Occupancy.objects.all()] == [new.pk]
    assert place(proposed) == (new.pk, "confirmed", proposed.version + 1)
    assert (moved.slot_id, moved.status, moved.version) == place(proposed)
    proposal = Proposal.objects.get()
    assert (proposal.status, proposal.stand_in.status) == ("accepted", "cancelled")
    assert proposal.answered_at is not None
    assert news(before) == ["booking.rescheduled"]
    assert last_line(proposed).actor_label == own(proposed).label
    assert_consistent()


def test_at_no_moment_are_the_accepted_seats_anybody_elses(proposed, two):
    """What hears of free seats, as a waiting list does, hears of the old ones only."""
    old, new = two
    freed = []

    def listen(slot_ids, **kwargs):
        freed.extend(slot_ids)
        assert taken(new) == [1]

    signals.seats_released.connect(listen)
    try:
        accept(proposed)
    finally:
        signals.seats_released.disconnect(listen)

    assert freed == [old.pk]


def test_what_was_picked_for_the_proposed_time_stays_picked(court):
    """A class needs one of two trainers; the one held for the proposal is the one it gets."""
    organization = court.organization
    pool = Pool.objects.create(organization=organization, name="Trainers")
    trainers = f.ResourceFactory.create_batch(2, organization=organization, exclusive=True)
    for trainer in trainers:
        PoolMember.objects.create(pool=pool, resource=trainer)
    lesson = f.ResourceFactory(organization=organization)
    PoolNeed.objects.create(organization=organization, resource=lesson, pool=pool)
    lesson.refresh_from_db()
    old, new = f.make_slots(lesson, 2, start=f.soon(24 * 5))
    booking = booked(old)
    propose(booking, new)
    picked = Slot.objects.get(pk=new.pk).picked
    assert len(picked) == 1

    accept(booking)

    assert Slot.objects.get(pk=new.pk).picked == picked
    assert list(Occupancy.objects.values_list("slot_id", "resource_number")) == [
        (new.pk, picked[0])
    ]
    assert_consistent()


def test_staff_may_accept_for_the_customer(proposed, two):
    accept(proposed, actor=staff_of(proposed))

    assert place(proposed)[:2] == (two[1].pk, "confirmed")


def test_who_declines_stays_and_the_organisation_hears_why(proposed, two):
    old, new = two
    before = OutboxEvent.objects.count()

    decline(proposed, reason="I am away")

    assert taken(old, new) == [1, 0]
    assert place(proposed)[:2] == (old.pk, "confirmed")
    proposal = Proposal.objects.get()
    assert (proposal.status, proposal.stand_in.status) == ("declined", "cancelled")
    [event] = OutboxEvent.objects.order_by("pk")[before:]
    assert (event.kind, event.reply_to) == ("booking.proposal_declined", proposed.customer.email)
    assert event.payload["reason"] == "I am away"
    assert [r["address"] for r in event.recipients] == [proposed.organization.email]
    assert_consistent()


def test_staff_take_it_back_and_the_customer_hears_of_it(proposed, two):
    old, new = two
    before = OutboxEvent.objects.count()

    withdraw(proposed, reason="it is dry again")

    assert taken(old, new) == [1, 0]
    assert place(proposed)[:2] == (old.pk, "confirmed")
    assert Proposal.objects.get().status == "withdrawn"
    [event] = OutboxEvent.objects.order_by("pk")[before:]
    assert event.kind == "booking.proposal_withdrawn"
    assert [r["address"] for r in event.recipients] == [proposed.customer.email]
    assert_consistent()


@pytest.mark.parametrize("act", [accept, decline, withdraw])
def test_what_is_answered_is_not_answered_again(act, proposed):
    decline(proposed)

    refused(NoProposal, proposed, lambda: act(proposed))


@pytest.mark.parametrize("act", [accept, decline, withdraw])
def test_whoever_read_an_old_version_answers_nothing(act, proposed):
    refused(StaleVersion, proposed, lambda: act(proposed, version=proposed.version - 1))


@pytest.mark.parametrize("act", [accept, decline, withdraw])
def test_without_a_proposal_there_is_nothing_to_answer(act, booking):
    refused(NoProposal, booking, lambda: act(booking))
    refused(NotFound, booking, lambda: act(booking, organization_id=f.some_id()))


def test_what_was_held_before_a_slot_was_closed_can_still_be_accepted(proposed, two):
    Slot.objects.filter(pk=two[1].pk).update(status="closed")

    accept(proposed)

    assert place(proposed)[:2] == (two[1].pk, "confirmed")
    assert_consistent()


def test_a_slot_that_no_longer_fits_is_not_moved_into(proposed, two):
    Slot.objects.filter(pk=two[1].pk).update(status="legacy")

    error = refused(SlotGone, proposed, lambda: accept(proposed))

    assert "Decline it" in error.detail
    decline(proposed)
    assert place(proposed)[:2] == (two[0].pk, "confirmed")


@pytest.mark.parametrize("how", ["the hold stays", "too many people", "somebody else's"])
def test_nobody_else_comes_into_a_closed_slot_by_a_stand_in(proposed, two, how):
    """Plain SQL: only the booking it stands for takes over its seats, and only these."""
    stand_in = Booking.objects.get(stands_for=proposed)
    other = booked(f.make_slot(two[0].resource, starts_at=f.soon(90)))
    moved = other if how == "somebody else's" else proposed
    Slot.objects.filter(pk=two[1].pk).update(status="closed")
    ends = "status" if how == "the hold stays" else "'cancelled'"
    units = 2 if how == "too many people" else 1

    with (
        pytest.raises(Exception, match="closed, has started"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(
            "UPDATE bookings_booking SET slot_id = %(slot)s,"
            " units = CASE WHEN id = %(moved)s THEN %(units)s ELSE units END,"
            f" status = CASE WHEN id = %(moved)s THEN 'confirmed' ELSE {ends} END,"
            f" ended_at = CASE WHEN {ends} = 'cancelled' AND id <> %(moved)s THEN now() END"
            " WHERE id IN (%(moved)s, %(stand_in)s)",
            {
                "slot": two[1].pk,
                "moved": moved.pk,
                "units": units,
                "stand_in": stand_in.pk,
            },
        )


# Running out


@pytest.mark.parametrize("act", [accept, decline, withdraw])
def test_after_the_deadline_nothing_is_answered_though_no_sweep_came_by(act, proposed):
    until = Proposal.objects.get().expires_at

    error = refused(NoProposal, proposed, lambda: act(proposed, now=until))

    assert "run out" in error.detail


def test_the_last_moment_counts(proposed, two):
    until = Proposal.objects.get().expires_at

    accept(proposed, now=until - timedelta(microseconds=1))

    assert place(proposed)[0] == two[1].pk


def test_the_sweep_ends_what_ran_out_and_says_so(proposed, two):
    old, new = two
    until, before = Proposal.objects.get().expires_at, OutboxEvent.objects.count()

    assert bookings.expire_holds(actor=f.SYSTEM, now=until - timedelta(seconds=1)) == 0
    assert bookings.expire_holds(actor=f.SYSTEM, now=until) == 1

    assert taken(old, new) == [1, 0]
    assert place(proposed)[:2] == (old.pk, "confirmed")
    proposal = Proposal.objects.get()
    assert (proposal.status, proposal.stand_in.status) == ("expired", "expired")
    assert news(before) == ["booking.proposal_expired"]
    assert_consistent()


def test_whoever_asks_for_the_seats_next_gets_them_on_the_spot(proposed, two):
    old, new = two
    until = Proposal.objects.get().expires_at
    customer = f.CustomerFactory(organization=new.organization)

    with pytest.raises(SlotFull), transaction.atomic():
        f.hold(customer, new, now=until - timedelta(seconds=1))
    f.hold(customer, new, now=until)

    assert place(proposed)[:2] == (old.pk, "confirmed")
    assert Proposal.objects.get().status == "expired"
    assert taken(old, new) == [1, 1]
    assert_consistent()


def test_a_proposal_that_ran_out_stands_in_nobodys_way(court, proposed, two):
    until = Proposal.objects.get().expires_at
    third = f.make_slot(court, starts_at=f.soon(24 * 6))

    propose(proposed, third, now=until)

    assert sorted(Proposal.objects.values_list("status", flat=True)) == ["expired", "open"]
    assert taken(*two, third) == [1, 0, 1]
    move_at = Proposal.objects.get(status="open").expires_at
    move(proposed, two[1], now=move_at)
    assert taken(*two, third) == [0, 1, 0]
    assert_consistent()


# The booking itself


def test_what_waits_for_an_answer_is_not_moved(proposed, two, court):
    third = f.make_slot(court, starts_at=f.soon(24 * 6))

    error = refused(ProposalOpen, proposed, lambda: move(proposed, third))

    assert error.code == "proposal_open"
    assert "Accept or decline it" in error.detail


def test_who_cancels_gives_both_times_back(proposed, two):
    before = OutboxEvent.objects.count()

    cancel(proposed)

    assert taken(*two) == [0, 0]
    assert not Occupancy.objects.exists()
    proposal = Proposal.objects.get()
    assert (proposal.status, proposal.stand_in.status) == ("withdrawn", "cancelled")
    assert news(before) == ["booking.cancelled"]
    assert_consistent()


def test_what_holds_the_proposed_time_has_no_say_of_its_own(proposed, two):
    stand_in = Proposal.objects.get().stand_in

    for act in (cancel, decline, lambda b: move(b, two[0]), lambda b: propose(b, two[0])):
        refused(NotFound, proposed, lambda act=act: act(stand_in))


def test_what_holds_the_proposed_time_is_in_no_list(proposed):
    organization = proposed.organization
    member = f.MembershipFactory(organization=organization)
    for user in (member.user, proposed.customer.user):
        viewer = selectors.viewer(user, organization.slug)
        assert [b.pk for b in selectors.bookings(viewer)] == [proposed.pk]


def test_an_answer_costs_the_same_however_full_the_slots_are():
    def costs(count):
        hall = f.ResourceFactory()
        old, new, more = f.make_slots(hall, 3, start=f.soon(24 * 5), max_bookings=9)
        booking = booked(old)
        for slot in [old, new] * count:
            booked(slot)
        actor, found = staff_of(booking), []
        for step in (
            lambda: propose(booking, new, actor=actor),
            lambda: decline(booking),
            lambda: propose(booking, more, actor=actor),
            lambda: accept(booking),
        ):
            with CaptureQueriesContext(connection) as caught:
                step()
            found.append(len(caught))
        return found

    assert costs(1) == costs(3)
    assert max(costs(1)) <= 20


# Around Python


def refuses(claim, sql, *params):
    with (
        pytest.raises(IntegrityError, match=claim),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(sql, params)


def test_the_database_knows_one_open_proposal_for_a_booking(court, proposed):
    third = f.make_slot(court, starts_at=f.soon(24 * 6))
    hold = f.hold(proposed.customer, third)

    refuses(
        "bookings_proposal_one_open_per_booking",
        "INSERT INTO bookings_proposal (id, organization_id, booking_id, stand_in_id, status,"
        " expires_at, message, terms, proposed_by, created_at)"
        " VALUES (gen_random_uuid(), %s, %s, %s, 'open', now(), '', '', '', now())",
        proposed.organization_id,
        proposed.pk,
        hold.pk,
    )


def test_the_database_confirms_nothing_that_stands_for_another_booking(proposed):
    stand_in = Proposal.objects.get().stand_in

    refuses(
        "bookings_booking_stand_in_is_only_held",
        "UPDATE bookings_booking SET status = 'pending' WHERE id = %s",
        stand_in.pk,
    )


def test_the_database_lets_no_answer_be_changed(proposed):
    decline(proposed)

    refuses(
        "declined cannot become accepted",
        "UPDATE bookings_proposal SET status = 'accepted' WHERE booking_id = %s",
        proposed.pk,
    )
    refuses(
        "bookings_proposal_answered_says_when",
        "UPDATE bookings_proposal SET answered_at = NULL WHERE booking_id = %s",
        proposed.pk,
    )
