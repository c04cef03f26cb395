"""Joining, waiting, being offered, answering (A5, the waitlist of the API)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from audit.models import OutboxEvent
from bookings import holding
from bookings import locks as booking_locks
from bookings.errors import SlotFull, SlotGone
from bookings.models import Booking
from bookings.services import bookings as booking_services
from bookings.services import slots as slot_services
from payments.models import CartItem
from payments.services import cancellation
from tests.api.test_statements import counted
from tests.factories import (
    SYSTEM,
    PriceFactory,
    ResourceFactory,
    hold,
    make_slot,
    make_slots,
    soon,
)
from tests.invariants import assert_consistent, refusal
from tests.waitlist.line import (
    STAFF,
    accept,
    bookings_in,
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
from waitlist.errors import AlreadyWaiting, NoLongerWaiting, NoOffer, NoWaitlist, SeatsAvailable
from waitlist.models import WaitlistEntry, WaitlistPolicy
from waitlist.selectors import load_positions
from waitlist.services import by_hand, line
from waitlist.services.joining import Window

pytestmark = pytest.mark.django_db


def told(kind: str) -> list[dict]:
    return [e.payload for e in OutboxEvent.objects.filter(kind=kind).order_by("pk")]


def test_whoever_joins_a_full_slot_knows_their_place() -> None:
    slot, _ = full_slot()
    first, second = join(slot), join(slot)
    assert (first.position, second.position) == (1, 2)
    slot.refresh_from_db()
    assert (slot.line_units, slot.waited_for) == (1, True)
    assert [p["position"] for p in told("waitlist.joined")] == [1, 2]
    assert_consistent()


def test_nobody_waits_for_what_has_room() -> None:
    slot = make_slot(max_bookings=2)
    with refusal(SeatsAvailable):
        join(slot)


def test_a_customer_is_once_in_a_line() -> None:
    slot, _ = full_slot()
    customer = somebody(slot)
    join(slot, customer)
    with refusal(AlreadyWaiting):
        join(slot, customer, units=1)


def test_nobody_waits_for_a_resource_without_a_waitlist() -> None:
    slot, _ = full_slot(ResourceFactory(takes_waitlist=False))
    with refusal(NoWaitlist):
        join(slot)


def test_nobody_joins_so_late_that_nothing_could_be_offered() -> None:
    slot, _ = full_slot(starts_at=soon(0))
    late = slot.starts_at - timedelta(minutes=65)
    with refusal(NoWaitlist, match="1 hour before"):
        join(slot, now=late)


def test_a_full_slot_says_that_there_is_a_waitlist() -> None:
    slot, _ = full_slot()
    with refusal(SlotFull) as caught:
        hold(somebody(slot), slot)
    assert caught.value.extra["waitlist"] is True


@pytest.mark.parametrize(("minutes", "waitlist"), [(70, True), (69, False), (1, False)])
def test_a_full_slot_offers_a_waitlist_as_long_as_one_can_join(minutes, waitlist) -> None:
    """Offers end an hour before the start, and take ten minutes to answer."""
    slot, _ = full_slot()
    late = slot.starts_at - timedelta(minutes=minutes)

    with refusal(SlotFull) as caught:
        hold(somebody(slot), slot, now=late)

    assert caught.value.extra["waitlist"] is waitlist
    if waitlist:
        assert join(slot, now=late).position == 1
    else:
        with refusal(NoWaitlist):
            join(slot, now=late)


def test_whether_full_slots_have_a_waitlist_takes_one_statement_for_any_number() -> None:
    def statements(count: int) -> int:
        resource = ResourceFactory()
        slots = make_slots(resource, count, max_bookings=1)
        for slot in slots:
            hold(somebody(slot), slot)
        with transaction.atomic(), counted() as found:
            locked = booking_locks.slots([s.pk for s in slots])
            _, refused = holding.hold_many(
                locked,
                customer=somebody(resource),
                units=1,
                held_until=soon(1),
                now=timezone.now(),
            )
        assert {e.extra["waitlist"] for e in refused.values()} == {True}
        assert len(refused) == count
        return len(found)

    assert statements(2) == statements(9)


def test_a_freed_seat_is_held_for_the_first_in_line_in_the_same_transaction() -> None:
    slot, _ = full_slot()
    first, second = join(slot), join(slot)
    free(slot)
    assert fresh(first).status == "offered"
    assert fresh(second).status == "waiting"
    offer = offer_of(first)
    assert offer is not None
    assert (offer.booking.status, offer.booking.customer_id) == ("held", first.customer_id)
    assert offer.expires_at == offer.booking.held_until
    slot.refresh_from_db()
    assert slot.taken_bookings == 1
    (message,) = told("waitlist.offered")
    assert message["answer_until"] == offer.expires_at.isoformat()
    assert_consistent()


def test_the_trail_says_that_the_waitlist_offered_it_and_not_who_cancelled() -> None:
    slot, _ = full_slot()
    entry = join(slot)
    free(slot)
    line_of_trail = WaitlistEntry.history.filter(id=entry.pk).latest("history_id")
    assert (line_of_trail.actor_kind, line_of_trail.actor_label) == ("system", "waitlist")


def test_an_offer_lasts_twelve_hours_and_never_into_the_last_hour_before_the_start() -> None:
    far, _ = full_slot(starts_at=soon(72))
    near, _ = full_slot(starts_at=soon(5))
    now = timezone.now()
    entries = [join(far), join(near)]
    free(far, now=now)
    free(near, now=now)
    assert offer_of(entries[0]).expires_at == now + timedelta(hours=12)
    assert offer_of(entries[1]).expires_at == near.starts_at - timedelta(hours=1)


def test_an_organisation_says_how_long_offers_last() -> None:
    slot, _ = full_slot(starts_at=soon(72))
    WaitlistPolicy.objects.create(organization=slot.organization, offer_hours=2)
    now = timezone.now()
    entry = join(slot)
    free(slot, now=now)
    assert offer_of(entry).expires_at == now + timedelta(hours=2)


def test_who_does_not_fit_keeps_the_place_and_the_reason_is_recorded() -> None:
    slot, _ = full_slot(seats=3)
    large, small = join(slot, units=2), join(slot, units=1)
    free(slot, 1)
    assert fresh(small).status == "offered"
    assert fresh(large).status == "waiting"
    assert large.passed_over == 1
    assert large.passed_over_reason == "Needs 2 seats; 1 came free."
    load_positions([large], now=timezone.now())
    assert large.position == 1
    free(slot, 2)
    assert fresh(large).status == "offered"
    assert_consistent()


def test_several_seats_are_several_offers() -> None:
    slot, _ = full_slot(seats=3)
    entries = [join(slot) for _ in range(5)]
    free(slot, 3)
    assert [fresh(e).status for e in entries] == ["offered"] * 3 + ["waiting"] * 2
    assert_consistent()


def test_nobody_outside_the_line_takes_a_seat_that_somebody_waits_for() -> None:
    """A hold that ran out counts as free for whoever asks next: that is the line."""
    slot = make_slot()
    hold(somebody(slot), slot)
    entry = join(slot)
    later = timezone.now() + timedelta(minutes=20)
    outsider = somebody(slot)
    with refusal(SlotFull):
        hold(outsider, slot, now=later)
    # What was refused is undone, the offer with it: the sweep makes it within a minute.
    booking_services.expire_holds(actor=SYSTEM, now=later)
    assert fresh(entry).status == "offered"
    with refusal(SlotFull):
        hold(outsider, slot, now=later)
    assert_consistent()


def test_what_fits_nobody_in_line_is_anybodys() -> None:
    slot, _ = full_slot(seats=3)
    entry = join(slot, units=3)
    free(slot, 1)
    hold(somebody(slot), slot)
    assert fresh(entry).status == "waiting"
    assert_consistent()


def test_accepting_puts_the_seats_into_the_cart() -> None:
    resource = ResourceFactory()
    slot, _ = full_slot(resource)
    PriceFactory(resource=resource)
    entry = join(slot)
    free(slot)
    done = accept(entry)
    assert done.transaction is None
    assert done.item.cart.customer_id == entry.customer_id
    assert fresh(entry).status == "accepted"
    assert CartItem.objects.get(pk=done.item.pk).status == "in_cart"
    assert_consistent()


def test_accepting_what_is_free_books_it_at_once() -> None:
    slot, _ = full_slot()
    entry = join(slot)
    free(slot)
    done = accept(entry)
    assert done.transaction is not None
    assert done.transaction.status == "approved"
    assert (done.entry.status, fresh(entry).status) == ("fulfilled", "fulfilled")
    assert_consistent()


def test_an_accepted_offer_lasts_at_least_as_long_as_a_cart_holds() -> None:
    resource = ResourceFactory()
    slot, _ = full_slot(resource)
    PriceFactory(resource=resource)
    entry = join(slot)
    free(slot)
    offer = offer_of(entry)
    last_minute = offer.expires_at - timedelta(minutes=1)
    done = accept(entry, now=last_minute)
    assert done.item.booking.held_until == last_minute + timedelta(minutes=15)
    assert_consistent()


def test_declining_passes_the_seats_on() -> None:
    slot, _ = full_slot()
    first, second = join(slot), join(slot)
    free(slot)
    decline(first)
    assert (fresh(first).status, fresh(second).status) == ("declined", "offered")
    assert_consistent()


def test_an_offer_that_runs_out_is_the_next_ones() -> None:
    slot, _ = full_slot(starts_at=soon(72))
    first, second = join(slot), join(slot)
    free(slot)
    later = offer_of(first).expires_at + timedelta(seconds=1)
    booking_services.expire_holds(actor=SYSTEM, now=later)
    assert (fresh(first).status, fresh(second).status) == ("expired", "offered")
    assert len(told("waitlist.offer_expired")) == 1
    with refusal(NoOffer):
        accept(first, now=later)
    assert_consistent()


def test_who_leaves_with_an_offer_passes_it_on() -> None:
    slot, _ = full_slot()
    first, second = join(slot), join(slot)
    free(slot)
    leave(first)
    assert (fresh(first).status, fresh(second).status) == ("left", "offered")
    with refusal(NoLongerWaiting):
        leave(first)
    assert_consistent()


def test_what_is_removed_from_the_cart_after_accepting_is_the_next_ones() -> None:
    from payments.services import carts
    from tests.factories import actor_of

    resource = ResourceFactory()
    slot, _ = full_slot(resource)
    PriceFactory(resource=resource)
    first, second = join(slot), join(slot)
    free(slot)
    item = accept(first).item
    carts.remove_item(
        customer=first.customer,
        item_id=item.pk,
        actor=actor_of(first.customer),
        now=timezone.now(),
    )
    assert (fresh(first).status, fresh(second).status) == ("declined", "offered")
    assert_consistent()


def test_raising_the_capacity_serves_the_line() -> None:
    slot, _ = full_slot()
    entries = [join(slot), join(slot)]
    slot_services.change_capacity(
        slot_ids=[slot.pk],
        max_bookings=2,
        max_units=2,
        actor=STAFF,
        reason="a larger room",
        now=timezone.now(),
    )
    assert [fresh(e).status for e in entries] == ["offered", "waiting"]
    assert_consistent()


def test_any_time_of_a_resource_is_offered_when_one_comes_free() -> None:
    resource = ResourceFactory()
    slots = make_slots(resource, 3)
    for slot in slots:
        hold(somebody(slot), slot)
    entry = join(window(resource))
    resource.refresh_from_db()
    assert resource.line == 1
    booking = bookings_in(slots[1])[0]
    cancellation.cancel_booking(
        booking_id=booking.pk,
        organization_id=booking.organization_id,
        actor=STAFF,
        reason="x",
        now=timezone.now(),
    )
    assert fresh(entry).status == "offered"
    assert offer_of(entry).booking.slot_id == slots[1].pk
    assert_consistent()


def test_a_court_that_comes_free_is_offered_to_those_who_wait_for_the_other_time() -> None:
    """Two times of an exclusive resource that overlap: the people of one keep the other shut."""
    resource = ResourceFactory(exclusive=True)
    start = soon(48)
    one = make_slot(resource, starts_at=start, minutes=60)
    other = make_slot(resource, starts_at=start + timedelta(minutes=30), minutes=60)
    booking = hold(somebody(one), one)
    entry = join(other)
    cancellation.cancel_booking(
        booking_id=booking.pk,
        organization_id=booking.organization_id,
        actor=STAFF,
        reason="x",
        now=timezone.now(),
    )
    assert fresh(entry).status == "offered"
    assert Booking.objects.get(offer__entry=entry).slot_id == other.pk
    assert_consistent()


def test_staff_offer_by_hand_move_and_close() -> None:
    slot, _ = full_slot(seats=2)
    first, second, third = join(slot, units=2), join(slot, units=2), join(slot)
    by_hand.place(
        entry_id=second.pk,
        organization_id=slot.organization_id,
        position=1,
        reason="came by wheelchair",
        actor=STAFF,
        now=timezone.now(),
    )
    load_positions([first, second, third], now=timezone.now())
    assert [e.position for e in (second, first, third)] == [1, 2, 3]
    line.close(
        entry_id=third.pk,
        organization_id=slot.organization_id,
        reason="They called.",
        actor=STAFF,
        now=timezone.now(),
    )
    assert fresh(third).status == "closed"
    free(slot, 2)
    assert (fresh(second).status, fresh(first).status) == ("offered", "waiting")
    line.close(
        entry_id=second.pk,
        organization_id=slot.organization_id,
        reason="Asked to be taken off.",
        actor=STAFF,
        now=timezone.now(),
    )
    assert fresh(first).status == "offered"
    assert_consistent()


def test_an_offer_by_hand_needs_seats_and_skips_the_line() -> None:
    slot, _ = full_slot(seats=3)
    large, small = join(slot, units=3), join(slot, units=2)
    with refusal(SlotFull):
        by_hand.offer_by_hand(
            entry_id=large.pk,
            organization_id=slot.organization_id,
            reason="a friend",
            actor=STAFF,
            now=timezone.now(),
        )
    del small
    free(slot, 1)
    third = join(slot, units=2)
    slot_services.close_slots(slot_ids=[slot.pk], actor=STAFF, reason="x", now=timezone.now())
    free(slot, 1)
    slot.status = "closed"
    assert fresh(third).status == "waiting"  # closed slots offer nothing
    with refusal(SlotGone):
        by_hand.offer_by_hand(
            entry_id=third.pk,
            organization_id=slot.organization_id,
            reason="a friend",
            actor=STAFF,
            now=timezone.now(),
        )


def test_a_window_must_make_sense() -> None:
    resource = ResourceFactory()
    make_slot(resource)
    now = timezone.now()
    with refusal(Exception, match="ends after"):
        join(Window(resource.pk, now + timedelta(days=2), now + timedelta(days=1)))
    with refusal(SeatsAvailable):
        join(window(resource))


def test_a_closed_slot_that_opens_again_serves_the_line() -> None:
    slot, _ = full_slot()
    entry = join(slot)
    slot_services.close_slots(slot_ids=[slot.pk], actor=STAFF, reason="a leak", now=timezone.now())
    free(slot)
    assert fresh(entry).status == "waiting"
    slot_services.open_slots(slot_ids=[slot.pk], actor=STAFF, reason="mended", now=timezone.now())
    assert fresh(entry).status == "offered"
    assert_consistent()


def test_new_slots_are_offered_to_those_who_wait_for_any_time() -> None:
    resource = ResourceFactory()
    full_slot(resource)
    entry = join(window(resource))
    start = soon(30)
    slot_services.create_slots(
        resource=resource,
        periods=[(start, start + timedelta(hours=1))],
        max_bookings=1,
        max_units=1,
        actor=STAFF,
        now=timezone.now(),
    )
    assert fresh(entry).status == "offered"
    assert offer_of(entry).booking.slot.starts_at == start
    assert_consistent()
