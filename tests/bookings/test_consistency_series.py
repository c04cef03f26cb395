"""What is wrong between a series and its bookings is named (A9, A10, B1)."""

import uuid

import pytest
from django.utils import timezone

from bookings.models import Booking, Series
from payments.services import series
from tests import factories as f
from tests.corruption import check, corrupt, fix
from tests.invariants import assert_consistent

pytestmark = pytest.mark.django_db
CHECK = "bookings.series"


def booked(resource=None) -> Series:
    slot = f.make_slot(resource or f.ResourceFactory(), max_bookings=2)
    customer = f.CustomerFactory(organization=slot.organization)
    made = series.book_series(
        organization=slot.organization,
        customer=customer,
        wish=series.Wish(slot.resource_id, slot.starts_at, times=2),
        payment_method="free",
        all_or_nothing=False,
        actor=f.actor_of(customer),
        now=timezone.now(),
    )
    return made.series


def set_(table, column, value, pk):
    corrupt(f"UPDATE {table} SET {column} = %s WHERE id = %s", [value, pk])


WRONG = {
    "its customer is missing": lambda s: set_("bookings_series", "customer_id", uuid.uuid4(), s.pk),
    "its customer is another organisation's": lambda s: set_(
        "bookings_series", "customer_id", f.CustomerFactory().pk, s.pk
    ),
    "its resource is missing": lambda s: set_("bookings_series", "resource_id", uuid.uuid4(), s.pk),
    "its resource is another organisation's": lambda s: set_(
        "bookings_series", "resource_id", f.ResourceFactory().pk, s.pk
    ),
    "it has no booking": lambda s: corrupt(
        "UPDATE bookings_booking SET series_id = NULL WHERE series_id = %s", [s.pk]
    ),
    "of its bookings are another customer's": lambda s: corrupt(
        "UPDATE bookings_booking SET customer_id = %s WHERE series_id = %s",
        [f.CustomerFactory(organization=s.organization).pk, s.pk],
    ),
    "of its bookings are another organisation's": lambda s: corrupt(
        "UPDATE bookings_booking SET organization_id = %s WHERE series_id = %s",
        [f.OrganizationFactory().pk, s.pk],
    ),
    "it is missing": lambda s: corrupt("DELETE FROM bookings_series WHERE id = %s", [s.pk]),
}


@pytest.mark.parametrize("words", WRONG)
def test_what_does_not_belong_together_is_named_and_left_to_a_person(words):
    other, made = booked(), booked()
    assert check(CHECK) == set()

    WRONG[words](made)

    assert check(CHECK) == {str(made.pk)}
    assert fix(CHECK) == {str(made.pk): "needs_review"}
    assert check(CHECK, organization=made.organization_id) == {str(made.pk)}
    assert check(CHECK, organization=other.organization_id) == set()


def test_more_bookings_than_were_asked_for_are_named():
    made, other, third = booked(), booked(), booked()
    corrupt(
        "UPDATE bookings_booking SET series_id = %s, customer_id = %s, organization_id = %s",
        [made.pk, made.customer_id, made.organization_id],
    )

    assert str(made.pk) in check(CHECK)
    assert {str(other.pk), str(third.pk)} <= check(CHECK)  # they have none any more


def test_a_booking_that_staff_moved_to_another_resource_is_right():
    made = booked()
    booking = Booking.objects.get(series=made)
    other = f.make_slot(f.ResourceFactory(organization=made.organization))
    Booking.objects.filter(pk=booking.pk).update(slot=other)

    assert check(CHECK) == set()
    assert_consistent()
