"""From the cart to an order: all or nothing, at the prices of that moment (A2, A9, B10)."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from audit.errors import Invalid
from audit.models import OutboxEvent
from bookings.errors import HoldExpired, SlotGone
from bookings.models import Booking, CheckInCode
from payments.errors import CartEmpty, MethodNotOffered, MixedCurrencies
from payments.models import CartItem, CartTransaction
from payments.services import checkout
from tests import factories as f
from tests.invariants import assert_consistent, refusal

pytestmark = pytest.mark.django_db

D = Decimal


@pytest.fixture
def resource():
    resource = f.ResourceFactory()
    f.PriceFactory(
        resource=resource, amount=D("19.99"), basis="unit", discount_percent=10, tax_percent=19
    )
    return resource


@pytest.fixture
def customer(resource):
    return f.CustomerFactory(organization=resource.organization)


def check_out(customer, method="pay_now", **kwargs):
    return checkout.check_out(
        organization=customer.organization,
        customer=customer,
        payment_method=method,
        actor=f.actor_of(customer),
        now=kwargs.pop("now", timezone.now()),
        **kwargs,
    )


def fill(customer, resource, count=2, units=1, **kwargs):
    slots = f.make_slots(resource, count, max_bookings=3, max_units=20)
    return [f.hold(customer, slot, units, **kwargs) for slot in slots]


def test_a_cart_becomes_one_order_with_one_pending_booking_for_each_item(customer, resource):
    fill(customer, resource, 3)
    now = timezone.now()

    order = check_out(customer, note="a racket, please", now=now)

    assert CartTransaction.objects.get() == order
    assert (order.status, order.payment_status, order.note) == (
        "pending",
        "pending",
        "a racket, please",
    )
    items = list(CartItem.objects.filter(transaction=order))
    assert [i.status for i in items] == ["checked_out"] * 3
    for booking in Booking.objects.all():
        assert (booking.status, booking.requested_at, booking.held_until) == ("pending", now, None)
        assert booking.pending_until == order.due_at
    assert items[0].cart is not None
    assert items[0].cart.status == "checked_out"
    assert CheckInCode.objects.count() == 0
    assert_consistent()


def test_what_the_service_returns_is_what_is_in_the_database(customer, resource):
    fill(customer, resource)

    order = check_out(customer)

    stored = CartTransaction.objects.get()
    for field in CartTransaction._meta.concrete_fields:
        assert getattr(order, field.attname) == getattr(stored, field.attname), field.name


def test_price_tax_and_discount_are_frozen_on_each_item_and_add_up(customer, resource):
    fill(customer, resource, 2, units=3)

    order = check_out(customer)

    for item in CartItem.objects.all():
        assert (item.unit_price, item.quantity) == (D("19.99"), 3)
        assert (item.discount, item.amount) == (D("6.00"), D("53.97"))  # of 59.97
        assert (item.tax_percent, item.tax, item.currency) == (D("19"), D("8.62"), "EUR")
    assert (order.amount, order.discount, order.tax) == (D("107.94"), D("12.00"), D("17.24"))


def test_a_price_that_changes_later_changes_nothing(customer, resource):
    fill(customer, resource)
    order = check_out(customer)
    amount = order.amount

    resource.prices.update(amount=1)

    order.refresh_from_db()
    assert order.amount == amount
    assert {i.unit_price for i in order.items.all()} == {D("19.99")}


def test_a_price_that_changed_since_the_item_was_added_is_today_s(customer, resource):
    fill(customer, resource, 1)
    resource.prices.update(amount=D("50.00"), discount_percent=0)

    assert check_out(customer).amount == D("50.00")


def test_the_customer_is_told_what_to_pay_and_how(customer, resource):
    f.PolicyFactory(organization=customer.organization, instructions="To account 123")
    fill(customer, resource)

    order = check_out(customer)

    event = OutboxEvent.objects.get(kind="transaction.received")
    assert event.recipients[0]["address"] == customer.email
    assert event.payload["payment_instructions"] == "To account 123"
    assert event.payload["amount"] == str(order.amount)
    assert len(event.payload["bookings"]) == 2


# When it is due


def test_an_order_is_due_within_the_hours_of_the_organisation(customer, resource):
    now = timezone.now()
    f.hold(customer, f.make_slot(resource, starts_at=f.soon(100)))

    assert check_out(customer, now=now).due_at == now + timedelta(hours=24)


def test_an_order_is_due_before_its_first_slot_starts(customer, resource):
    slots = [f.make_slot(resource, starts_at=f.soon(h)) for h in (200, 5, 100)]
    for slot in slots:
        f.hold(customer, slot)

    assert check_out(customer).due_at == slots[1].starts_at


@pytest.mark.parametrize(("hours", "within"), [(100, True), (5, False)])
def test_a_request_waits_for_the_house_no_longer_than_the_hours_or_its_start(
    customer, resource, hours, within
):
    now = timezone.now()
    slot = f.make_slot(resource, starts_at=f.soon(hours))
    f.hold(customer, slot)

    made = check_out(customer, "pay_on_arrival", now=now)

    assert made.due_at == (now + timedelta(hours=24) if within else slot.starts_at)
    assert made.review_due_at == now + (made.due_at - now) / 2


# Refusals


def test_an_empty_cart_cannot_be_checked_out(customer):
    with refusal(CartEmpty):
        check_out(customer)


def test_a_cart_out_of_which_everything_was_taken_is_empty(customer, resource):
    (booking,) = fill(customer, resource, 1)
    from payments.services import carts

    carts.empty(customer=customer, actor=f.SYSTEM, now=timezone.now())

    with refusal(CartEmpty):
        check_out(customer)
    booking.refresh_from_db()
    assert booking.status == "cancelled"


def test_if_one_hold_ran_out_nothing_is_checked_out_and_it_is_named(customer, resource):
    slots = f.make_slots(resource, 2)
    now = timezone.now()
    late = f.hold(customer, slots[0], now=now - timedelta(minutes=15))
    f.hold(customer, slots[1], now=now)

    with refusal(HoldExpired, "1 of 2 items") as caught:
        check_out(customer, now=now)

    assert caught.value.extra["items"] == [str(late.cart_item.pk)]


def test_a_slot_that_has_started_cannot_be_checked_out(customer, resource):
    slot = f.make_slot(resource)
    f.hold(customer, slot, now=slot.starts_at - timedelta(minutes=5))

    with refusal((SlotGone, HoldExpired)):
        check_out(customer, now=slot.starts_at)


@pytest.mark.parametrize("method", ["pay_now", "pay_on_arrival"])
def test_a_way_to_pay_that_is_not_offered_is_refused(customer, resource, method):
    f.PolicyFactory(
        organization=customer.organization,
        accepts_pay_now=False,
        accepts_pay_on_arrival=False,
    )
    fill(customer, resource)

    with refusal(MethodNotOffered):
        check_out(customer, method)


def test_what_costs_something_is_not_free(customer, resource):
    fill(customer, resource)

    with refusal(MethodNotOffered, "35.98"):
        check_out(customer, "free")


def test_two_currencies_cannot_be_paid_together(customer, resource):
    fill(customer, resource, 1)
    abroad = f.ResourceFactory(organization=resource.organization)
    f.PriceFactory(resource=abroad, currency="CHF")
    fill(customer, abroad, 1)

    with refusal(MixedCurrencies, "CHF and EUR"):
        check_out(customer)


def test_what_is_free_goes_with_any_currency(customer, resource):
    fill(customer, resource, 1)
    abroad = f.ResourceFactory(organization=resource.organization)
    f.PriceFactory(resource=abroad, currency="CHF", amount=0)
    fill(customer, abroad, 1)

    assert check_out(customer).currency == "EUR"


def test_a_note_that_is_too_long_is_refused(customer, resource):
    fill(customer, resource)

    with refusal(Invalid) as caught:
        check_out(customer, note="x" * 2_001)
    assert "note" in caught.value.extra["errors"]


def test_a_sum_beyond_all_reason_is_refused(customer, resource):
    resource.prices.update(amount=1_000_000, discount_percent=100)
    slots = [
        f.make_slot(resource, starts_at=f.soon(h), max_bookings=1, max_units=10_000)
        for h in (10, 20)
    ]
    for slot in slots:
        f.hold(customer, slot, 10_000)

    with refusal(Invalid, "check out in parts"):
        check_out(customer)


# Free, and on arrival


def test_what_is_free_is_approved_at_once_with_codes(customer):
    free = f.ResourceFactory(organization=customer.organization)
    fill(customer, free)

    order = check_out(customer, "pay_now")

    order.refresh_from_db()
    assert (order.payment_method, order.status, order.payment_status) == (
        "free",
        "approved",
        "paid",
    )
    assert order.paid_at is not None
    assert order.decided_by == "payment policy"
    assert CheckInCode.objects.count() == 2
    kinds = set(OutboxEvent.objects.values_list("kind", flat=True))
    assert {"transaction.received", "transaction.approved"} <= kinds
    assert_consistent()


def test_a_discount_of_everything_makes_it_free(customer, resource):
    resource.prices.update(discount_percent=100)
    fill(customer, resource)

    order = check_out(customer)

    assert (order.payment_method, order.status, order.amount) == ("free", "approved", 0)
    assert order.discount == D("39.98")


def test_what_is_free_waits_for_a_decision_where_the_organisation_wants_it(customer):
    f.PolicyFactory(organization=customer.organization, confirms_free=False)
    free = f.ResourceFactory(organization=customer.organization)
    fill(customer, free)

    assert check_out(customer, "free").status == "pending"
    assert_consistent()


@pytest.mark.parametrize(("at_once", "status"), [(True, "approved"), (False, "pending")])
def test_what_is_paid_on_arrival_is_approved_at_once_if_the_organisation_says_so(
    customer, resource, at_once, status
):
    f.PolicyFactory(organization=customer.organization, confirms_pay_on_arrival=at_once)
    fill(customer, resource)

    order = check_out(customer, "pay_on_arrival")

    assert (order.status, order.payment_status) == (status, "pending")
    assert_consistent()


# Booking directly


def book(customer, slot, method="pay_on_arrival", units=1):
    return checkout.book(
        organization=customer.organization,
        customer=customer,
        slot_id=slot.pk,
        units=units,
        payment_method=method,
        actor=f.actor_of(customer),
        now=timezone.now(),
    )


def test_one_slot_can_be_booked_without_a_cart(customer, resource):
    order = book(customer, f.make_slot(resource, max_bookings=2), units=2)

    item = order.items.get()
    assert (item.cart, item.status, item.amount) == (None, "checked_out", D("35.98"))
    assert_consistent()


def test_booking_directly_leaves_the_cart_as_it_is(customer, resource):
    (held,) = fill(customer, resource, 1)

    book(customer, f.make_slot(resource, starts_at=f.soon(90)))

    held.refresh_from_db()
    assert held.status == "held"


def test_what_is_paid_in_advance_goes_through_the_cart(customer, resource):
    slot = f.make_slot(resource)

    with refusal(MethodNotOffered, "through the cart"):
        book(customer, slot, "pay_now")


def test_booking_directly_is_refused_as_a_whole(customer, resource):
    f.PolicyFactory(organization=customer.organization, accepts_pay_on_arrival=False)
    slot = f.make_slot(resource)

    with refusal(MethodNotOffered):
        book(customer, slot)
