"""Rows for tests, made the way the services make them where that matters."""

from __future__ import annotations

import io
import uuid
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import factory
from django.test import TestCase
from django.utils import timezone
from PIL import Image

from audit.context import Actor
from bookings.models import (
    Booking,
    Customer,
    Membership,
    Organization,
    Resource,
    ScheduleRule,
    Slot,
    User,
)
from bookings.services import schedules
from payments import files
from payments.models import CartTransaction, PaymentPolicy, Price, Proof
from payments.services import carts, checkout, decisions, proofs

PASSWORD = "correct horse battery staple"
SYSTEM = Actor.system("test")


class OrganizationFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Organization

    name = factory.Sequence(lambda n: f"Organisation {n}")
    slug = factory.Sequence(lambda n: f"org-{n}")
    time_zone = "Europe/Berlin"
    email = "office@example.com"


class UserFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = User

    email = factory.Sequence(lambda n: f"person{n}@example.com")
    name = factory.Sequence(lambda n: f"Person {n}")

    @classmethod
    def _create(cls, model_class: Any, *args: Any, **kwargs: Any) -> User:
        password = kwargs.pop("password", PASSWORD)
        return User.objects.create_user(password=password, **kwargs)


class CustomerFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Customer

    organization = factory.SubFactory(OrganizationFactory)
    user = factory.SubFactory(UserFactory)
    name = factory.SelfAttribute("user.name")
    email = factory.SelfAttribute("user.email")


class MembershipFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Membership

    organization = factory.SubFactory(OrganizationFactory)
    user = factory.SubFactory(UserFactory, is_staff=True)
    role = "manager"


class ResourceFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Resource

    organization = factory.SubFactory(OrganizationFactory)
    name = factory.Sequence(lambda n: f"Resource {n}")
    time_zone = "Europe/Berlin"
    exclusive = False

    @classmethod
    def _create(cls, model_class: Any, *args: Any, **kwargs: Any) -> Resource:
        made: Resource = super()._create(model_class, *args, **kwargs)
        made.refresh_from_db(fields=["number"])
        return made


class PriceFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Price

    resource = factory.SubFactory(ResourceFactory)
    organization = factory.SelfAttribute("resource.organization")
    amount = Decimal("20.00")


class PolicyFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = PaymentPolicy

    organization = factory.SubFactory(OrganizationFactory)


def soon(hours: float = 24, *, now: datetime | None = None) -> datetime:
    """A full hour some hours from now, UTC."""
    at = (now or timezone.now()) + timedelta(hours=hours)
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)


def make_slot(
    resource: Resource | None = None,
    *,
    starts_at: datetime | None = None,
    minutes: int = 60,
    max_bookings: int = 1,
    max_units: int | None = None,
    **fields: Any,
) -> Slot:
    resource = resource or ResourceFactory()
    start = starts_at or soon()
    slot = Slot.at(
        resource,
        start,
        start + timedelta(minutes=minutes),
        max_bookings=max_bookings,
        max_units=max_units or max_bookings,
        **fields,
    )
    slot.save()
    return slot


def make_slots(
    resource: Resource, count: int, *, start: datetime | None = None, **kw: Any
) -> list[Slot]:
    first = start or soon()
    return [make_slot(resource, starts_at=first + timedelta(hours=i), **kw) for i in range(count)]


def open_hours(
    resource: Resource, from_time: time = time(0), until_time: time = time(0), **fields: Any
) -> Resource:
    """Opening hours of every day from today on, by the resource's clock."""
    now = timezone.now()
    given = {"slot_minutes": 60, "from_time": from_time, "until_time": until_time, **fields}
    schedules.change_schedule(
        resource_id=resource.pk,
        organization_id=resource.organization_id,
        valid_from=timezone.localtime(now, ZoneInfo(resource.time_zone)).date(),
        rules=[ScheduleRule(**given)],
        actor=SYSTEM,
        now=now,
    )
    return resource


def actor_of(person: Customer | Membership | User) -> Actor:
    """Who a person is in the trail."""
    user = person if isinstance(person, User) else person.user
    assert user is not None
    return Actor("staff" if isinstance(person, Membership) else "customer", user.pk, str(user))


def hold(customer: Customer, slot: Slot, units: int = 1, *, now: datetime | None = None) -> Booking:
    """A held booking in the customer's cart."""
    item, _ = carts.add_item(
        organization=customer.organization,
        customer=customer,
        slot_id=slot.pk,
        units=units,
        actor=actor_of(customer),
        now=now or timezone.now(),
    )
    return item.booking


def check_out(
    customer: Customer,
    *slots: Slot,
    method: str = "pay_now",
    units: int = 1,
    now: datetime | None = None,
) -> CartTransaction:
    """A transaction over these slots; give the resource a price first, or it is free."""
    for slot in slots:
        hold(customer, slot, units, now=now)
    return checkout.check_out(
        organization=customer.organization,
        customer=customer,
        payment_method=method,
        actor=actor_of(customer),
        now=now or timezone.now(),
    )


def png(color: str = "white", size: tuple[int, int] = (60, 40)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, color).save(out, "PNG")
    return out.getvalue()


def submit_proof(transaction: CartTransaction, **kwargs: Any) -> Proof:
    """A PNG proof. Its file stays, as after a commit, also where a test never commits."""
    clean = files.examine(png(), "transfer.png")
    with files.stored(clean) as file, TestCase.captureOnCommitCallbacks(execute=True):
        return proofs.submit(
            transaction_id=transaction.pk,
            organization_id=transaction.organization_id,
            customer=transaction.customer,
            file=file,
            actor=actor_of(transaction.customer),
            now=timezone.now(),
            **kwargs,
        )


def approve(transaction: CartTransaction, staff: Membership | None = None) -> CartTransaction:
    staff = staff or MembershipFactory(organization=transaction.organization, role="reviewer")
    return decisions.approve(
        transaction_id=transaction.pk,
        organization_id=transaction.organization_id,
        actor=actor_of(staff),
        now=timezone.now(),
    )


def some_id() -> uuid.UUID:
    return uuid.uuid4()
