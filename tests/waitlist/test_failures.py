"""Whatever fails, and wherever, in the line: all of it happened, or none of it (A5, A6, C6, C9).

And how many statements the line costs, which is the same for any number of people in it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from django.db import InterfaceError, OperationalError, connection
from django.utils import timezone

from bookings.models import Booking, Slot
from bookings.services import bookings as booking_services
from bookings.services import slots as slot_services
from payments.services import carts
from tests import factories as f
from tests.api.test_statements import counted
from tests.faults import cut_connection, raising, striking
from tests.invariants import assert_consistent
from tests.payments.test_failures import state
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
    somebody,
    window,
)
from tests.waitlist.test_races import join_many, priced
from waitlist.models import Offer, WaitlistEntry
from waitlist.services import by_hand, line, sweeps

pytestmark = pytest.mark.django_db(transaction=True)

MOST_STATEMENTS = 80


def joining() -> Callable[[], Any]:
    slot, _ = full_slot()
    person = somebody(slot)
    return lambda: join(slot, person)


def joining_for_any_time() -> Callable[[], Any]:
    slot, _ = full_slot()
    person, wanted = somebody(slot), window(slot.resource)
    return lambda: join(wanted, person)


def cancelling_what_serves() -> Callable[[], Any]:
    """The longest way: somebody is passed over, and another time of the same court is served."""
    slot, _ = full_slot(seats=2)
    join(slot, units=2)
    join(slot)
    join(window(slot.resource))
    (booking, _) = bookings_in(slot)
    return lambda: cancel(booking)


def expiring_what_was_offered() -> Callable[[], Any]:
    slot, _ = full_slot(starts_at=f.soon(72))
    join(slot)
    join(slot)
    free(slot)
    later = timezone.now() + timedelta(hours=13)
    return lambda: booking_services.expire_holds(actor=f.SYSTEM, now=later)


def offered(resource: Any = None) -> Any:
    slot, _ = full_slot(resource)
    first = join(slot)
    join(slot)
    free(slot)
    return first


def accepting_into_the_cart() -> Callable[[], Any]:
    entry = offered(priced())
    return lambda: accept(entry)


def accepting_what_is_free() -> Callable[[], Any]:
    entry = offered()
    return lambda: accept(entry)


def accepting_for_who_calls() -> Callable[[], Any]:
    entry = offered(priced())
    return lambda: accept_for(entry)


def declining() -> Callable[[], Any]:
    entry = offered()
    return lambda: decline(entry)


def leaving_with_an_offer() -> Callable[[], Any]:
    entry = offered()
    return lambda: leave(entry)


def removing_from_the_cart() -> Callable[[], Any]:
    entry = offered(priced())
    item = accept(entry).item
    return lambda: carts.remove_item(
        customer=entry.customer,
        item_id=item.pk,
        actor=f.actor_of(entry.customer),
        now=timezone.now(),
    )


def approving_what_settles() -> Callable[[], Any]:
    """An own entry, another one of the same customer with an offer in the cart, and others."""
    resource = priced()
    one, other = full_slot(resource)[0], full_slot(resource, starts_at=f.soon(30))[0]
    first = join(one)
    second = also_in(window(resource), first.customer)
    join(other)
    join(one)
    free(one)
    accept(first)
    order = f.check_out(first.customer, method="pay_on_arrival")
    free(other)
    assert fresh(second).status == "offered"
    accept(second)
    staff = f.MembershipFactory(organization=order.organization, role="reviewer")
    return lambda: f.approve(order, staff)


def offering_by_hand() -> Callable[[], Any]:
    slot, _ = full_slot(seats=2)
    entry = join(slot, units=2)
    free(slot)
    other = join(slot, units=2)
    slot_services.change_capacity(
        slot_ids=[slot.pk], max_bookings=2, max_units=2, actor=STAFF, reason="x", now=timezone.now()
    )
    Slot.objects.filter(pk=slot.pk).update(max_units=3)  # past the services: the sweep's to serve
    del entry
    return lambda: by_hand.offer_by_hand(
        entry_id=other.pk,
        organization_id=other.organization_id,
        reason="a friend",
        actor=STAFF,
        now=timezone.now(),
    )


def placing() -> Callable[[], Any]:
    slot, _ = full_slot()
    join(slot)
    entry = join(slot)
    return lambda: by_hand.place(
        entry_id=entry.pk,
        organization_id=entry.organization_id,
        position=1,
        reason="came by wheelchair",
        actor=STAFF,
        now=timezone.now(),
    )


def closing() -> Callable[[], Any]:
    entry = offered()
    return lambda: line.close(
        entry_id=entry.pk,
        organization_id=entry.organization_id,
        reason="They called.",
        actor=STAFF,
        now=timezone.now(),
    )


def closing_many() -> Callable[[], Any]:
    first = offered()
    entries = WaitlistEntry.objects.filter(slot=first.slot_id)
    return lambda: line.close_many(
        entry_ids=[e.pk for e in entries],
        organization_id=first.organization_id,
        reason="The trainer is ill.",
        actor=STAFF,
        now=timezone.now(),
    )


def ending_what_is_over() -> Callable[[], Any]:
    slot, _ = full_slot()
    join(slot)
    join(window(slot.resource))
    late = slot.starts_at - timedelta(minutes=30)
    return lambda: sweeps.end_overdue(actor=f.SYSTEM, now=late)


SWEEPS = (expiring_what_was_offered, ending_what_is_over)
OPERATIONS = [
    joining,
    joining_for_any_time,
    cancelling_what_serves,
    expiring_what_was_offered,
    accepting_into_the_cart,
    accepting_what_is_free,
    accepting_for_who_calls,
    declining,
    leaving_with_an_offer,
    removing_from_the_cart,
    approving_what_settles,
    offering_by_hand,
    placing,
    closing,
    closing_many,
    ending_what_is_over,
]
each_operation = pytest.mark.parametrize("prepare", OPERATIONS, ids=lambda p: p.__name__)


@each_operation
@pytest.mark.parametrize(
    "error", [RuntimeError("a bug"), OperationalError("the database is ill")], ids=repr
)
def test_a_failure_at_any_statement_leaves_everything_as_it_was(prepare, error):
    act = prepare()
    before = state()

    for number in range(1, MOST_STATEMENTS):
        with striking(number, raising(error)) as injector, suppress(type(error)):
            act()
        if not injector.struck:
            break
        if prepare in SWEEPS and isinstance(error, RuntimeError) and state() != before:
            # What is no database's fault is a row's: each was tried again by itself, and done.
            assert_consistent()
            act = prepare()
            before = state()
            continue
        assert state() == before, f"after a failure at {injector.statements[-1]}"

    assert number > 3, "it was never struck"
    assert not injector.struck, "it never came through"
    assert state() != before
    assert_consistent()


@pytest.mark.parametrize(
    "prepare", [cancelling_what_serves, accepting_what_is_free, approving_what_settles]
)
def test_a_connection_cut_at_any_statement_leaves_everything_as_it_was(prepare):
    act = prepare()
    before = state()

    for number in range(1, MOST_STATEMENTS):
        with striking(number, cut_connection) as injector:
            try:
                act()
            except (OperationalError, InterfaceError):
                connection.close()
        if not injector.struck:
            break
        assert state() == before, f"after a cut at {injector.statements[-1]}"

    assert not injector.struck, "it never came through"
    assert state() != before
    assert_consistent()


# What it costs


def serving(seats: int, waiting: int) -> int:
    slot, (order, *_) = crowded(seats)
    join_many(slot, waiting)
    order.refresh_from_db()
    with counted() as statements:
        raise_capacity(slot, 2 * seats)
    assert Offer.objects.filter(entry__slot=slot, status="open").count() == seats
    return len(statements)


def crowded(seats: int) -> Any:
    """One order holds all seats, so that a hundred need no hundred orders."""
    resource = f.ResourceFactory()
    slot = f.make_slot(resource, max_bookings=seats)
    order = f.check_out(somebody(slot), slot, method="pay_on_arrival", units=seats)
    Slot.objects.filter(pk=slot.pk).update(max_bookings=1)
    return slot, [order]


def raise_capacity(slot: Slot, seats: int) -> None:
    slot_services.change_capacity(
        slot_ids=[slot.pk],
        max_bookings=seats,
        max_units=seats,
        actor=STAFF,
        reason="x",
        now=timezone.now(),
    )


def test_serving_a_hundred_of_a_thousand_takes_the_statements_of_three_of_ten():
    few, many = serving(3, 10), serving(100, 1_000)

    assert few == many
    assert many <= 20


def test_joining_and_answering_take_a_handful():
    slot, _ = full_slot(priced())
    person = somebody(slot)
    with counted() as joined:
        entry = join(slot, person)
    free(slot)
    with counted() as accepted:
        accept(entry)
    assert len(joined) <= 14, joined
    assert len(accepted) == 15, accepted
    assert locked(accepted) == [
        "payments_cart",  # there was none,
        "payments_cart",  # so it was made
        "bookings_slot",
        "bookings_booking",
        "waitlist_waitlistentry",
    ]


def locked(statements: Any) -> list[str]:
    """The tables in which a statement locked rows, in its order."""
    found = [re.search(r'FROM "(\w+)".*FOR NO KEY UPDATE', s) for s in statements.statements]
    return [match[1] for match in found if match]


def test_accepting_what_is_free_and_confirmed_at_once_takes_twice_as_many():
    """With the order, its approval, what that settles, and three messages."""
    entry = offered()
    with counted() as accepted:
        accept(entry)
    assert fresh(entry).status == "fulfilled"
    assert len(accepted) <= 36, accepted


def test_cancelling_where_nobody_waits_takes_one_statement_more_than_without_a_waitlist():
    slot, _ = full_slot(seats=2)
    one, other = bookings_in(slot)
    from unittest import mock

    from waitlist.services import serving as services

    with counted() as plain:
        cancel(one)
    with mock.patch.object(services, "serve", return_value=services.Served()), counted() as without:
        cancel(other)
    assert len(plain) == len(without) + 1


@pytest.mark.parametrize("count", [1, 10, 100])
def test_an_approval_that_settles_takes_the_same_for_any_number_of_bookings(count):
    resource = priced()
    slots = f.make_slots(resource, count, start=f.soon(48), max_bookings=1)
    person = somebody(resource)
    order = f.check_out(person, *slots, method="pay_on_arrival")
    for slot in slots[: min(count, 5)]:
        join(slot)
    staff = f.MembershipFactory(organization=order.organization, role="reviewer")
    with counted() as statements:
        f.approve(order, staff)
    assert Booking.objects.filter(status="confirmed").count() == count
    assert len(statements) <= 24, statements
