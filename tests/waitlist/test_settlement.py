"""What an approval settles: entries, offers, held bookings, cart items and carts (A6)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from audit.models import OutboxEvent
from bookings.models import Booking
from payments.models import Cart, CartItem, CartTransaction, PaymentPolicy
from payments.services import decisions
from tests import factories as f
from tests import timetable as t
from tests.invariants import assert_consistent
from tests.waitlist.line import (
    STAFF,
    accept,
    accept_for,
    also_in,
    bookings_in,
    cancel,
    free,
    fresh,
    full_slot,
    join,
    offer_of,
    somebody,
    window,
)
from waitlist.models import WaitlistEntry, WaitlistPolicy

pytestmark = pytest.mark.django_db


def priced(**fields: Any) -> Any:
    resource = f.ResourceFactory(**fields)
    f.PriceFactory(resource=resource)
    return resource


def ordered(entry: WaitlistEntry) -> CartTransaction:
    """An order of what was offered to an entry."""
    accept(entry)
    return f.check_out(entry.customer, method="pay_on_arrival")


def test_an_approval_fulfils_the_entry_whose_offer_it_was():
    slot, _ = full_slot(priced())
    entry = join(slot)
    free(slot)
    order = ordered(entry)
    assert fresh(entry).status == "accepted"

    f.approve(order)

    assert fresh(entry).status == "fulfilled"
    assert entry.ended_reason == "The booking was approved."
    assert_consistent()


def other_way(accepted: bool) -> tuple[WaitlistEntry, WaitlistEntry, CartTransaction]:
    """Somebody in line twice: for one slot, and for any time, with an offer of another slot."""
    resource = priced()
    one, other = full_slot(resource)[0], full_slot(resource, starts_at=f.soon(30))[0]
    first = join(one)
    second = also_in(window(resource), first.customer)
    free(one)
    order = ordered(first)
    free(other)
    assert fresh(second).status == "offered"
    if accepted:
        accept(second)
    return first, second, order


@pytest.mark.parametrize("accepted", [False, True])
def test_an_approval_settles_the_same_customers_other_entry_with_all_that_was_made_for_it(accepted):
    first, second, order = other_way(accepted)
    (held,) = Booking.objects.filter(offer__entry=second)

    f.approve(order)

    assert (fresh(first).status, fresh(second).status) == ("fulfilled", "settled")
    assert second.ended_reason == "Settled: the customer got these seats in another way."
    held.refresh_from_db()
    assert (held.status, held.offer.status) == (
        "cancelled",
        "accepted" if accepted else "withdrawn",
    )
    items = CartItem.objects.filter(booking=held)
    assert [i.status for i in items] == (["cancelled"] if accepted else [])
    carts = Cart.objects.filter(customer=first.customer).exclude(status="checked_out")
    assert [c.status for c in carts] == (["closed"] if accepted else [])
    assert_consistent()


def test_the_seats_that_a_settled_offer_held_go_to_the_next_in_line():
    _first, second, order = other_way(accepted=True)
    held = Booking.objects.get(offer__entry=second)
    behind = join(held.slot)

    f.approve(order)

    assert fresh(behind).status == "offered"
    assert_consistent()


def test_a_cart_with_something_else_in_it_stays_open():
    first, second, order = other_way(accepted=True)
    extra = f.make_slot(second.resource, starts_at=f.soon(24 * 12))
    f.hold(first.customer, extra)

    f.approve(order)

    cart = Cart.objects.get(customer=first.customer, status="open")
    assert [i.booking.slot_id for i in cart.items.filter(status="in_cart")] == [extra.pk]
    assert_consistent()


def test_everything_happens_at_once_and_the_trail_says_so():
    _, second, order = other_way(accepted=True)
    before = WaitlistEntry.history.count()

    f.approve(order)

    last = WaitlistEntry.history.filter(id=second.pk).latest("history_id")
    assert last.actor_kind == "staff"
    assert WaitlistEntry.history.count() == before + 2


def test_other_customers_and_larger_parties_are_not_settled():
    resource = priced()
    slot, _ = full_slot(resource, seats=3)
    entry, somebody_else = join(slot), join(slot)
    larger = also_in(window(resource), entry.customer, units=2)
    free(slot)
    order = ordered(entry)

    f.approve(order)

    assert fresh(larger).status == "waiting"  # one seat is not two
    assert fresh(somebody_else).status == "waiting"
    assert_consistent()


def test_an_order_made_before_joining_settles_nothing():
    resource = priced()
    slot = f.make_slot(resource, max_bookings=1)
    person = somebody(slot)
    order = f.check_out(person, slot, method="pay_on_arrival")
    entry = join(slot, person)  # for a friend

    f.approve(order)

    assert fresh(entry).status == "waiting"


# Full for good


def full_for_good(**resource: Any) -> tuple[Any, list[CartTransaction], WaitlistEntry]:
    slot, orders = full_slot(priced(**resource), seats=2)
    return slot, orders, join(slot)


def test_a_line_stays_while_somebody_in_the_slot_may_cancel():
    _slot, orders, entry = full_for_good()
    for order in orders:
        f.approve(order)
    assert fresh(entry).status == "waiting"


def test_a_line_closes_with_the_last_approval_where_the_organisation_says_so():
    slot, orders, entry = full_for_good()
    WaitlistPolicy.objects.create(organization=slot.organization, closes_when_approved=True)
    f.approve(orders[0])
    assert fresh(entry).status == "waiting"

    f.approve(orders[1])

    assert fresh(entry).status == "settled"
    (message,) = OutboxEvent.objects.filter(kind="waitlist.closed")
    assert "full" in message.payload["reason"]
    slot.refresh_from_db()
    assert (slot.line_units, slot.waited_for) == (None, True)
    assert_consistent()


def test_a_line_closes_when_nobody_may_cancel_any_more():
    slot, orders, entry = full_for_good(cancel_until_minutes=60 * 24 * 7)
    assert slot.starts_at < timezone.now() + timedelta(days=7)
    for order in orders:
        f.approve(order)
    assert fresh(entry).status == "settled"
    assert_consistent()


def test_a_line_stays_while_one_booking_of_the_slot_is_held_or_pending():
    resource = priced()
    slot, orders = full_slot(resource, seats=2)
    WaitlistPolicy.objects.create(organization=slot.organization, closes_when_approved=True)
    entry, other = join(slot), join(slot)
    free(slot)
    f.approve(orders[1])
    assert (fresh(entry).status, fresh(other).status) == ("offered", "waiting")
    assert_consistent()


def test_a_slot_with_room_keeps_its_line():
    slot, orders = full_slot(priced(), seats=2)
    WaitlistPolicy.objects.create(organization=slot.organization, closes_when_approved=True)
    entry = join(slot, units=2)
    free(slot)
    f.approve(orders[1])
    assert fresh(entry).status == "waiting"
    assert offer_of(entry) is None
    assert len(bookings_in(slot)) == 2


@pytest.mark.parametrize(
    ("end", "status"),
    [("approve", "fulfilled"), ("reject", "closed"), ("cancel", "closed")],
)
def test_an_order_from_the_line_that_a_closing_day_moves_still_ends_its_entry(end, status):
    room = t.room(exclusive=False)
    t.change(room, t.rule(max_bookings=1, max_units=1))
    f.PriceFactory(resource=room)
    PaymentPolicy.objects.create(organization=room.organization, proof_required=False)
    day = t.TODAY + 2 * t.DAY
    slot = t.slot_at(room, day, 9)
    order = f.check_out(somebody(room), slot, method="pay_on_arrival", now=t.NOW)
    entry = join(slot, now=t.NOW)
    cancel(Booking.objects.get(cart_item__transaction=order), now=t.NOW)
    made = accept_for(entry, method="pay_now", now=t.NOW)

    done = t.add(room, t.closed(room, day), then="move", move_by_days=1, reason="roof")

    assert len(done.moved) == 1
    assert fresh(entry).status == "accepted"
    said = {"transaction_id": made.pk, "organization_id": made.organization_id}
    more = {} if end == "approve" else {"reason": "no money"}
    getattr(decisions, end)(**said, **more, actor=STAFF, now=t.NOW)
    assert fresh(entry).status == status
    assert_consistent()
