"""Staff book for somebody at the desk or on the phone (B1, B5, F3)."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from audit.errors import Forbidden, Invalid, NotFound
from audit.models import OutboxEvent
from bookings import locks
from bookings.errors import (
    CustomerKnown,
    ResourceTaken,
    SlotFull,
    SlotGone,
    TooFarAhead,
    TooManyBookings,
    TooSoon,
)
from bookings.models import Booking, CheckInCode, Customer
from payments.errors import MethodNotOffered
from payments.models import CartItem, CartTransaction
from payments.services import desk
from tests import factories as f
from tests.concurrency import interleave, lost, race
from tests.invariants import assert_consistent, refusal

pytestmark = pytest.mark.django_db

D = Decimal


@pytest.fixture
def resource():
    resource = f.ResourceFactory()
    f.PriceFactory(resource=resource, amount=D("20.00"))
    return resource


@pytest.fixture
def customer(resource):
    return f.CustomerFactory(organization=resource.organization)


@pytest.fixture
def staff(resource):
    return f.MembershipFactory(organization=resource.organization, role="front_desk")


def book_for(staff, customer, slot, method="pay_on_arrival", **kwargs):
    return desk.book_for(
        organization=staff.organization,
        customer=customer,
        slot_id=slot.pk,
        units=kwargs.pop("units", 1),
        payment_method=method,
        actor=f.actor_of(staff),
        now=kwargs.pop("now", timezone.now()),
        **kwargs,
    )


# What comes of it


def test_what_staff_book_to_be_paid_on_arrival_is_confirmed_at_once(staff, customer, resource):
    slot = f.make_slot(resource, max_units=4)

    order = book_for(staff, customer, slot, units=2, note="by phone")

    assert (order.status, order.payment_status, order.note) == ("approved", "pending", "by phone")
    assert (order.amount, order.customer, order.decided_by) == (
        D("20.00"),
        customer,
        f.actor_of(staff).label,
    )
    booking = Booking.objects.get()
    assert (booking.status, booking.units, booking.customer) == ("confirmed", 2, customer)
    assert CartItem.objects.get().status == "approved"
    assert CheckInCode.objects.get().booking == booking
    assert_consistent()


def test_what_needs_approval_is_confirmed_by_who_may_approve_and_waits_otherwise(staff, customer):
    f.PolicyFactory(organization=staff.organization, confirms_free=False)
    free = f.ResourceFactory(organization=staff.organization, needs_approval=True)

    waiting = book_for(staff, customer, f.make_slot(free))
    later = f.make_slot(free, starts_at=f.soon(50))
    order = book_for(staff, customer, later, may_approve=True)

    assert (waiting.payment_method, waiting.status) == ("free", "pending")
    assert (order.payment_method, order.status) == ("free", "approved")
    assert_consistent()


def test_nobody_goes_beyond_the_rules_for_themselves(staff, resource):
    me = f.CustomerFactory(organization=staff.organization, user=staff.user)

    with refusal(Forbidden):
        book_for(staff, me, f.make_slot(resource), overriding="I want it.")
    assert not Booking.objects.exists()


def test_what_is_paid_in_advance_waits_for_its_proof_and_the_customer_is_told_how(
    staff, customer, resource
):
    f.PolicyFactory(organization=staff.organization, instructions="To account 123")
    now = timezone.now()

    order = book_for(
        staff, customer, f.make_slot(resource, starts_at=f.soon(100)), "pay_now", now=now
    )

    assert (order.status, order.payment_status) == ("pending", "pending")
    assert order.due_at == now + timedelta(hours=staff.organization.pending_hours)
    booking = Booking.objects.get()
    assert (booking.status, booking.pending_until) == ("pending", order.due_at)
    event = OutboxEvent.objects.get(kind="transaction.received")
    assert event.recipients[0]["address"] == customer.email
    assert event.payload["payment_instructions"] == "To account 123"
    f.submit_proof(order)
    assert f.approve(order).status == "approved"
    assert_consistent()


def test_what_the_service_returns_is_what_is_in_the_database(staff, customer, resource):
    order = book_for(staff, customer, f.make_slot(resource))

    stored = CartTransaction.objects.get()
    for field in CartTransaction._meta.concrete_fields:
        assert getattr(order, field.attname) == getattr(stored, field.attname), field.name


def test_the_trail_names_the_staff_member(staff, customer, resource):
    book_for(staff, customer, f.make_slot(resource))

    first = Booking.history.order_by("history_id").first()
    assert (first.actor_kind, first.actor_id) == ("staff", staff.user.pk)
    assert first.history_change_reason == "booked by staff"


def test_staff_who_book_for_themselves_wait_for_a_colleague(staff, resource):
    me = f.CustomerFactory(organization=staff.organization, user=staff.user)

    assert book_for(staff, me, f.make_slot(resource)).status == "pending"
    assert_consistent()


# Somebody new


def test_somebody_new_becomes_a_customer_without_an_account(staff, resource):
    new = desk.NewCustomer(" Ada \n Lovelace ", "ada@example.com", "+49 151 23456789")

    order = book_for(staff, new, f.make_slot(resource))

    made = Customer.objects.get(pk=order.customer_id)
    assert (made.name, made.email, str(made.phone)) == (
        "Ada Lovelace",
        "ada@example.com",
        "+4915123456789",
    )
    assert (made.user, made.organization) == (None, staff.organization)
    assert Booking.objects.get().customer == made
    assert_consistent()


def test_somebody_without_an_address_is_booked_and_gets_no_mail(staff, resource):
    order = book_for(staff, desk.NewCustomer("Ada"), f.make_slot(resource))

    assert order.status == "approved"
    assert all(e.recipients == [] for e in OutboxEvent.objects.all())


@pytest.mark.parametrize(
    ("new", "field"),
    [
        (desk.NewCustomer("  "), "name"),
        (desk.NewCustomer("x" * 201), "name"),
        (desk.NewCustomer("Ada", email="not an address"), "email"),
        (desk.NewCustomer("Ada", phone="12"), "phone"),
    ],
)
def test_data_that_cannot_be_somebody_s_is_refused(staff, resource, new, field):
    slot = f.make_slot(resource)

    with refusal(Invalid) as caught:
        book_for(staff, new, slot)
    assert list(caught.value.extra["errors"]) == [field]


def test_a_new_customer_is_not_kept_if_the_slot_is_full(staff, customer, resource):
    slot = f.make_slot(resource)
    book_for(staff, customer, slot)

    with refusal(SlotFull):
        book_for(staff, desk.NewCustomer("Ada"), slot)


# Somebody new whom the organisation knows


ADA = ("Ada", "ada@example.com", "+49 151 23456789")


@pytest.mark.parametrize(
    ("email", "phone"),
    [
        ("ada@example.com", ""),
        ("  ADA@Example.com ", ""),
        ("", "+4915123456789"),
        ("", "+49 (151) 234-567 89"),
        ("other@example.com", "+49 151 23456789"),
    ],
)
def test_an_address_or_a_number_that_is_known_is_asked_about(staff, resource, email, phone):
    order = book_for(staff, desk.NewCustomer(*ADA), f.make_slot(resource))
    slot = f.make_slot(resource, starts_at=f.soon(50))
    new = desk.NewCustomer("A. Lovelace", email, phone)

    with refusal(CustomerKnown) as caught:
        book_for(staff, new, slot)
    assert caught.value.extra["customers"] == [str(order.customer_id)]
    assert "Ada" in caught.value.detail
    assert desk.known(staff.organization, new) == [order.customer]


def test_somebody_else_with_the_same_number_becomes_a_customer(staff, resource):
    ada = book_for(staff, desk.NewCustomer(*ADA), f.make_slot(resource)).customer
    slot = f.make_slot(resource, starts_at=f.soon(50))
    son = desk.NewCustomer("Byron", "", ADA[2], frozenset([ada.pk]))

    order = book_for(staff, son, slot)

    assert order.customer != ada
    assert Customer.objects.filter(phone=ADA[2].replace(" ", "")).count() == 2


def test_who_turned_up_meanwhile_is_asked_about_too(staff, resource):
    first = book_for(staff, desk.NewCustomer(*ADA), f.make_slot(resource)).customer
    seen = frozenset([first.pk])
    slot = f.make_slot(resource, starts_at=f.soon(50))
    second = book_for(staff, desk.NewCustomer("Byron", "", ADA[2], seen), slot).customer
    third = f.make_slot(resource, starts_at=f.soon(52))

    with refusal(CustomerKnown) as caught:
        book_for(staff, desk.NewCustomer("Claire", "", ADA[2], seen), third)
    assert caught.value.extra["customers"] == [str(second.pk)]


def test_another_organisation_s_customers_are_nobody_s_business(staff, resource):
    f.CustomerFactory(email=ADA[1])

    order = book_for(staff, desk.NewCustomer(*ADA), f.make_slot(resource))

    assert order.customer.email == ADA[1]


def test_customers_with_nothing_to_reach_them_at_are_not_one(staff, resource):
    first = book_for(staff, desk.NewCustomer("Ada"), f.make_slot(resource))
    slot = f.make_slot(resource, starts_at=f.soon(50))

    assert book_for(staff, desk.NewCustomer("Ada"), slot).customer != first.customer


def two_desks(resource, staff, after):
    slots = [f.make_slot(resource, starts_at=f.soon(50 + n)) for n in range(2)]
    first, second = (
        lambda s=s, e=e: book_for(staff, desk.NewCustomer("Ada", e, ADA[2]), s)
        for s, e in zip(slots, ("ada@example.com", "ADA@example.com"), strict=True)
    )
    return interleave(first, after=after, second=second)


@pytest.mark.django_db(transaction=True)
def test_two_desks_at_once_do_not_make_the_same_customer_twice(staff, resource):
    made, asked = two_desks(resource, staff, (desk, "_known"))

    assert isinstance(made, CartTransaction)
    assert isinstance(asked, CustomerKnown)
    assert asked.extra["customers"] == [str(made.customer_id)]
    assert Customer.objects.count() == 1
    assert_consistent()


@pytest.mark.django_db(transaction=True)
def test_control_without_the_lock_both_make_one(staff, resource, monkeypatch):
    monkeypatch.setattr(locks, "addresses", lambda *_: None)

    outcomes = two_desks(resource, staff, (desk, "_known"))

    assert lost(outcomes) == []
    assert Customer.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_many_desks_at_once_make_one_customer(staff, resource):
    slots = [f.make_slot(resource, starts_at=f.soon(50 + n)) for n in range(6)]
    said = [("ada@example.com", ADA[2]), ("ada@example.com", ""), ("", ADA[2])] * 2

    outcomes = race(
        *[
            lambda s=s, e=e, p=p: book_for(staff, desk.NewCustomer("Ada", e, p), s)
            for s, (e, p) in zip(slots, said, strict=True)
        ]
    )

    assert {type(e) for e in lost(outcomes)} <= {CustomerKnown}
    assert Customer.objects.filter(email="ada@example.com").count() <= 1
    assert Customer.objects.filter(phone=ADA[2].replace(" ", "")).count() <= 1
    assert_consistent()


# The rules, and what goes beyond them


@pytest.fixture(params=["too soon", "too far ahead", "too many"])
def against_the_rules(request, resource, staff, customer):
    """A slot that the customer may not book, and the error that says so."""
    errors = {"too soon": TooSoon, "too far ahead": TooFarAhead, "too many": TooManyBookings}
    if request.param == "too soon":
        resource.notice_minutes = 60 * 72
    elif request.param == "too far ahead":
        resource.horizon_days = 1
    else:
        resource.most_live_bookings = 1
        book_for(staff, customer, f.make_slot(resource, starts_at=f.soon(60)))
    resource.save()
    return f.make_slot(resource, starts_at=f.soon(48)), errors[request.param]


def test_the_booking_rules_hold_at_the_desk_too(staff, customer, against_the_rules):
    slot, error = against_the_rules

    with refusal(error):
        book_for(staff, customer, slot)


def test_staff_go_beyond_the_rules_with_a_reason_that_the_trail_keeps(
    staff, customer, against_the_rules
):
    slot, _ = against_the_rules

    order = book_for(staff, customer, slot, overriding="The manager agreed.")

    assert order.status == "approved"
    booking = Booking.objects.get(slot=slot)
    first = Booking.history.filter(id=booking.pk).order_by("history_id").first()
    assert first.history_change_reason == ("booked by staff, beyond the rules: The manager agreed.")
    assert_consistent()


def test_a_blank_reason_is_none(staff, customer, against_the_rules):
    slot, error = against_the_rules

    with refusal(error):
        book_for(staff, customer, slot, overriding="  ")


WHY = {"overriding": "I insist."}


def test_no_reason_makes_a_full_slot_larger(staff, customer, resource):
    slot = f.make_slot(resource, max_units=2)

    with refusal(SlotFull):
        book_for(staff, customer, slot, units=3, **WHY)


def test_no_reason_books_an_exclusive_resource_twice(staff, customer):
    court = f.ResourceFactory(organization=staff.organization, exclusive=True)
    start = f.soon()
    book_for(staff, customer, f.make_slot(court, starts_at=start))
    other = f.make_slot(court, starts_at=start + timedelta(minutes=30))

    with refusal(ResourceTaken):
        book_for(staff, customer, other, **WHY)


@pytest.mark.parametrize("status", ["closed", "legacy"])
def test_no_reason_opens_a_slot(staff, customer, resource, status):
    slot = f.make_slot(resource)
    type(slot).objects.filter(pk=slot.pk).update(status=status)

    with refusal(SlotGone):
        book_for(staff, customer, slot, **WHY)


def test_no_reason_brings_the_past_back(staff, customer, resource):
    slot = f.make_slot(resource)

    with refusal(SlotGone):
        book_for(staff, customer, slot, now=slot.ends_at, **WHY)


# Other refusals


def test_a_slot_or_a_customer_of_another_organisation_is_not_found(staff, customer, resource):
    slot = f.make_slot(resource)
    theirs = f.make_slot()
    stranger = f.CustomerFactory()

    with refusal(NotFound):
        book_for(staff, customer, theirs)
    with refusal(NotFound):
        book_for(staff, stranger, slot)


def test_a_way_to_pay_that_is_not_offered_is_refused(staff, customer, resource):
    f.PolicyFactory(organization=staff.organization, accepts_pay_now=False)
    slot = f.make_slot(resource)

    with refusal(MethodNotOffered):
        book_for(staff, customer, slot, "pay_now")
    with refusal(MethodNotOffered):
        book_for(staff, customer, slot, "free")


@pytest.mark.parametrize("odd", [{"units": 0}, {"note": "x" * 2_001}, {"overriding": "x" * 1_001}])
def test_values_out_of_their_bounds_are_refused(staff, customer, resource, odd):
    slot = f.make_slot(resource)

    with refusal(Invalid):
        book_for(staff, customer, slot, **odd)
