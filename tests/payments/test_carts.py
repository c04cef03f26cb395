"""Carts: putting in, taking out (A1)."""

from datetime import timedelta

import pytest
from django.utils import timezone

from audit.errors import Invalid, NotFound
from audit.models import OutboxEvent
from bookings.errors import BookingOver, SlotFull
from bookings.models import Booking
from payments import locks, selectors
from payments.errors import CartFull
from payments.models import Cart, CartItem
from payments.services import carts
from tests import factories as f
from tests.invariants import assert_consistent, refusal

pytestmark = pytest.mark.django_db


@pytest.fixture
def slot():
    resource = f.ResourceFactory()
    f.PriceFactory(resource=resource, basis="unit")
    return f.make_slot(resource, max_bookings=5, max_units=8)


@pytest.fixture
def customer(slot):
    return f.CustomerFactory(organization=slot.organization)


def add(customer, slot, units=1, **kwargs):
    return carts.add_item(
        organization=customer.organization,
        customer=customer,
        slot_id=slot.pk,
        units=units,
        actor=f.actor_of(customer),
        now=kwargs.pop("now", timezone.now()),
    )


def in_cart_of(customer):
    cart = selectors.open_cart(customer)
    return len(selectors.items_in_cart(cart)) if cart else 0


def remove(customer, item):
    carts.remove_item(
        customer=customer, item_id=item.pk, actor=f.actor_of(customer), now=timezone.now()
    )


def test_an_item_holds_its_seats_and_says_until_when_and_what_it_costs(customer, slot):
    now = timezone.now()

    item, quote = add(customer, slot, 3, now=now)

    slot.refresh_from_db()
    assert (slot.taken_bookings, slot.taken_units) == (1, 3)
    assert item.booking.held_until == now + timedelta(minutes=15)
    assert (quote.amount, quote.currency) == (60, "EUR")
    assert_consistent()


def test_a_customer_has_one_open_cart(customer, slot):
    for _ in range(3):
        add(customer, slot)

    assert Cart.objects.count() == 1
    assert in_cart_of(customer) == 3


def test_customers_have_carts_of_their_own(customer, slot):
    other = f.CustomerFactory(organization=slot.organization)
    add(customer, slot)
    add(other, slot)

    assert in_cart_of(customer) == in_cart_of(other) == 1


@pytest.mark.parametrize("units", [0, -1, 10_001])
def test_a_number_of_people_that_cannot_be_is_refused(customer, slot, units):
    with refusal(Invalid) as caught:
        add(customer, slot, units)

    assert "units" in caught.value.extra["errors"]


def test_what_does_not_fit_leaves_not_even_an_empty_cart(customer, slot):
    with refusal(SlotFull):
        add(customer, slot, 9)

    assert Cart.objects.count() == 0


def test_another_organisation_s_slot_does_not_exist(customer):
    elsewhere = f.make_slot()

    with refusal(NotFound):
        add(customer, elsewhere)


def test_a_cart_takes_no_more_than_it_can_hold(customer, slot, monkeypatch):
    monkeypatch.setattr(carts, "MOST_ITEMS", 2)
    add(customer, slot)
    item, _ = add(customer, slot)

    with refusal(CartFull):
        add(customer, slot)

    remove(customer, item)
    add(customer, slot)


def test_an_item_that_is_taken_out_gives_its_seats_back_and_nobody_is_mailed(customer, slot):
    item, _ = add(customer, slot, 3)

    remove(customer, item)

    item.refresh_from_db()
    slot.refresh_from_db()
    assert (item.status, slot.taken_units) == ("cancelled", 0)
    assert OutboxEvent.objects.count() == 0
    assert_consistent()


def test_nobody_takes_anything_out_of_another_s_cart(customer, slot):
    item, _ = add(customer, slot)
    other = f.CustomerFactory(organization=slot.organization)
    add(other, slot)

    with refusal(NotFound):
        remove(other, item)


def test_what_was_taken_out_cannot_be_taken_out_again(customer, slot):
    item, _ = add(customer, slot)
    remove(customer, item)

    with refusal(NotFound):
        remove(customer, item)


def test_what_was_checked_out_is_not_in_the_cart_any_more(customer, slot):
    item, _ = add(customer, slot)
    f.check_out(customer)

    with refusal(NotFound):
        remove(customer, item)


def test_an_item_that_ran_out_but_was_not_swept_can_be_taken_out(customer, slot):
    item, _ = add(customer, slot, now=timezone.now() - timedelta(minutes=16))

    remove(customer, item)

    assert Booking.objects.get().status == "cancelled"
    assert_consistent()


def test_an_item_that_expired_in_between_says_that_it_has_run_out(customer, slot, monkeypatch):
    item, _ = add(customer, slot)
    stale = list(CartItem.objects.select_related("booking__slot").filter(pk=item.pk))
    monkeypatch.setattr(locks, "items_in", lambda cart: stale)
    Booking.objects.update(status="expired", ended_at=timezone.now())
    CartItem.objects.update(status="expired")

    with refusal(BookingOver, "run out"):
        remove(customer, item)


def test_emptying_a_cart_gives_everything_back_with_as_many_statements_as_one_item(
    customer, slot, django_assert_max_num_queries
):
    for _ in range(4):
        add(customer, slot)

    with django_assert_max_num_queries(14):
        assert carts.empty(customer=customer, actor=f.SYSTEM, now=timezone.now()) == 4

    slot.refresh_from_db()
    assert slot.taken_bookings == 0
    assert carts.empty(customer=customer, actor=f.SYSTEM, now=timezone.now()) == 0
    assert_consistent()


def test_who_put_something_in_is_in_the_trail(customer, slot):
    add(customer, slot)

    for model in (Cart, CartItem, Booking):
        line = model.history.latest()
        assert (line.actor_kind, line.actor_id) == ("customer", customer.user_id)
