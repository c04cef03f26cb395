"""Two organisations with one of everything in each, and staff of every role in the first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from bookings.models import (
    Booking,
    Customer,
    Membership,
    Organization,
    Pool,
    Resource,
    ScheduleException,
    Series,
    Slot,
    User,
)
from payments.models import CartTransaction, LatePayment, PaymentPolicy, Price, Proof, Refund
from tests import factories as f
from waitlist.models import WaitlistEntry, WaitlistPolicy

ROLES = ["owner", "manager", "reviewer", "front_desk", "provider"]
BACKEND = "bookings.permissions.MembershipBackend"
# What the form of a resource asks for besides its name: as a browser sends it.
RULES = {
    "mode": "slots",
    "grid_minutes": 15,
    "shortest_minutes": 15,
    "longest_minutes": 240,
    "observes_holidays": "on",
    "takes_waitlist": "on",
    "customers_may_cancel": "on",
    "notice_minutes": 0,
    "horizon_days": 365,
    "most_live_bookings": "",
    "cancel_until_minutes": 0,
    "reschedule_until_minutes": 0,
    "cancellation_policy-TOTAL_FORMS": 0,
    "cancellation_policy-INITIAL_FORMS": 0,
}


@pytest.fixture(autouse=True)
def _nobody_has_tried_before() -> None:
    """The limits on sign-in count in Redis, which outlives a test."""
    cache.clear()


@dataclass
class Venue:
    """An organisation with a transaction under review, made the way customers make one."""

    organization: Organization
    policy: PaymentPolicy
    resource: Resource
    price: Price
    slot: Slot
    customer: Customer
    transaction: CartTransaction
    booking: Booking
    proof: Proof
    membership: Membership
    exception: ScheduleException
    pool: Pool
    entry: WaitlistEntry
    waitlist_policy: WaitlistPolicy
    late_payment: LatePayment

    @cached_property
    def refund(self) -> Refund:
        """Made when it is asked for, as no item says what it is for."""
        return make_refund(self.transaction)

    @cached_property
    def series(self) -> Series:
        """Made when it is asked for, as it has no bookings."""
        made: Series = Series.objects.create(
            organization=self.organization,
            customer=self.customer,
            resource=self.resource,
            starts_at=self.slot.starts_at,
            ends_at=self.slot.ends_at,
            times=2,
            created_at=timezone.now(),
        )
        return made

    def objects(self) -> list[Any]:
        return [
            self.organization,
            self.policy,
            self.resource,
            self.slot,
            self.customer,
            self.transaction,
            self.booking,
            self.proof,
            self.membership,
            self.exception,
            self.pool,
            self.entry,
            self.waitlist_policy,
            self.late_payment,
            self.series,
            self.refund,
        ]


def make_venue(name: str) -> Venue:
    organization = f.OrganizationFactory(name=f"{name} Courts", slug=name.lower())
    policy = f.PolicyFactory(organization=organization)
    resource = f.ResourceFactory(organization=organization, name=f"{name} hall")
    price = f.PriceFactory(resource=resource, amount=Decimal("20.00"))
    customer = f.CustomerFactory(organization=organization, name=f"{name} Customer")
    slot = f.make_slot(resource, max_bookings=10, max_units=20)
    transaction = f.check_out(customer, slot)
    proof = f.submit_proof(transaction, amount=Decimal("20.00"), reference=f"{name}-transfer")
    transaction.refresh_from_db()
    booking = Booking.objects.get(cart_item__transaction=transaction)
    membership = f.MembershipFactory(
        organization=organization,
        role="owner",
        user__name=f"{name} Owner",
        user__is_staff=True,
    )
    day = timezone.localdate() + timedelta(days=60)
    exception = ScheduleException.objects.create(
        organization=organization,
        kind="holiday",
        name=f"{name} holiday",
        first_day=day,
        last_day=day,
        created_at=timezone.now(),
    )
    pool = Pool.objects.create(organization=organization, name=f"{name} rooms")
    entry = WaitlistEntry.objects.create(
        organization=organization,
        customer=customer,
        resource=resource,
        slot=slot,
        status="left",
        joined_at=timezone.now(),
        placed_at=timezone.now(),
        ended_at=timezone.now(),
    )
    waitlist_policy = WaitlistPolicy.objects.create(organization=organization)
    late_payment = LatePayment.objects.create(
        organization=organization,
        transaction=transaction,
        proof=proof,
        status="reinstated",
        created_at=timezone.now(),
        resolved_at=timezone.now(),
    )
    return Venue(
        organization,
        policy,
        resource,
        price,
        slot,
        customer,
        transaction,
        booking,
        proof,
        membership,
        exception,
        pool,
        entry,
        waitlist_policy,
        late_payment,
    )


def make_refund(transaction: CartTransaction) -> Refund:
    """One that was waived, beside the order and with no items of it."""
    made: Refund = Refund.objects.create(
        organization_id=transaction.organization_id,
        customer_id=transaction.customer_id,
        transaction=transaction,
        amount=Decimal("1.00"),
        currency="EUR",
        status="waived",
        note="a test",
        created_at=timezone.now(),
        settled_at=timezone.now(),
    )
    return made


@pytest.fixture
def venue(db: None) -> Venue:
    return make_venue("Ours")


@pytest.fixture
def foreign(db: None) -> Venue:
    return make_venue("Theirs")


def staff(venue: Venue, role: str) -> User:
    if role == "owner":
        return venue.membership.user
    user: User = f.MembershipFactory(organization=venue.organization, role=role).user
    return user


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user, backend=BACKEND)
    return client


def as_role(venue: Venue, role: str) -> Client:
    return signed_in(staff(venue, role))


def superuser() -> User:
    return User.objects.create_superuser("root@example.com", f.PASSWORD, name="Root")


def more_under_review(venue: Venue, count: int) -> list[CartTransaction]:
    """Further transactions of other customers, each with a proof, oldest first."""
    found = []
    for number in range(count):
        customer = f.CustomerFactory(organization=venue.organization, name=f"Waiting {number}")
        slot = f.make_slot(
            venue.resource,
            starts_at=f.soon(48) + timedelta(hours=number),
            max_bookings=5,
        )
        made = f.check_out(customer, slot)
        f.submit_proof(made)
        made.refresh_from_db()
        found.append(made)
    return found


def confirmed_today(venue: Venue, *, method: str = "pay_on_arrival") -> Booking:
    """A confirmed booking whose slot has begun just now."""
    now = timezone.now()
    slot = f.make_slot(venue.resource, starts_at=now + timedelta(seconds=2), max_bookings=5)
    made = f.check_out(
        f.CustomerFactory(organization=venue.organization, name="Guest of Today"),
        slot,
        method=method,
    )
    f.approve(made)
    booking: Booking = Booking.objects.select_related("check_in_code", "customer").get(
        cart_item__transaction=made
    )
    return booking
