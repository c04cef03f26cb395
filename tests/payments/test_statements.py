"""A hundred bookings cost as many statements as one (A13, C6)."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from bookings.models import Booking, CheckInCode, Slot
from bookings.services import bookings
from payments.services import decisions
from tests import factories as f
from tests.invariants import assert_consistent

pytestmark = pytest.mark.django_db

NUMBERS = (1, 10, 100)


def cart(count):
    resource = f.ResourceFactory()
    f.PriceFactory(resource=resource)
    customer = f.CustomerFactory(organization=resource.organization)
    for slot in f.make_slots(resource, count):
        f.hold(customer, slot)
    return customer


def order(count):
    return f.check_out(cart(count))


def proven_order(count):
    made = order(count)
    f.submit_proof(made)
    return made, f.MembershipFactory(organization=made.organization)


def decide(service, made, **kwargs):
    return service(
        transaction_id=made.pk,
        organization_id=made.organization_id,
        actor=f.SYSTEM,
        now=timezone.now(),
        **kwargs,
    )


def checkout(count):
    customer = cart(count)
    return lambda: f.check_out(customer)


def free_checkout(count):
    customer = f.CustomerFactory()
    for slot in f.make_slots(f.ResourceFactory(organization=customer.organization), count):
        f.hold(customer, slot)
    return lambda: f.check_out(customer)


def proof(count):
    made = order(count)
    return lambda: f.submit_proof(made)


def approve(count):
    made, staff = proven_order(count)
    return lambda: f.approve(made, staff)


def reject(count):
    made, _staff = proven_order(count)
    return lambda: decide(decisions.reject, made, reason="not received")


def cancel(count):
    made, staff = proven_order(count)
    f.approve(made, staff)
    return lambda: decide(decisions.cancel, made, reason="closed")


def expire(count):
    cart(count)
    Booking.objects.update(held_until=timezone.now())
    return lambda: bookings.expire_holds(actor=f.SYSTEM, now=timezone.now())


AFTER = {
    checkout: "pending",
    free_checkout: "confirmed",
    proof: "pending",
    approve: "confirmed",
    reject: "rejected",
    cancel: "cancelled",
    expire: "expired",
}


@pytest.mark.parametrize("prepare", AFTER, ids=lambda p: p.__name__)
def test_any_number_of_bookings_costs_the_same_number_of_statements(prepare):
    counts = {}
    for number in NUMBERS:
        act = prepare(number)
        before = set(Booking.objects.filter(status=AFTER[prepare]).values_list("pk", flat=True))
        with CaptureQueriesContext(
            connection,
        ) as captured:
            act()
        changed = Booking.objects.filter(status=AFTER[prepare]).exclude(pk__in=before).count()
        assert prepare is proof or changed == number
        counts[number] = len(captured)

    assert len(set(counts.values())) == 1, counts
    assert_consistent()


def test_an_approval_of_a_hundred_leaves_a_trail_and_a_code_for_each():
    act = approve(100)

    act()

    assert CheckInCode.objects.count() == CheckInCode.history.count() == 100
    assert Booking.history.filter(status="confirmed").count() == 100
    assert Slot.objects.filter(taken_bookings=1).count() == 100
