"""Two organisations with everything in them, so that one can try to reach into the other."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from django.utils import timezone

from audit.context import Actor
from bookings import codes
from bookings.models import Booking, Customer, Membership, Resource, Role, Series, Slot, User
from bookings.services import reschedule
from payments.models import CancellationPolicy, CartTransaction, Proof, Refund
from payments.services import cancellation, series
from tests import factories as f
from tests.api.client import Client
from tests.waitlist import line as in_line
from waitlist.models import WaitlistEntry

ROLES = [str(role) for role in Role.values]


class Place:
    """One organisation; everything in it is made when it is asked for."""

    def __init__(self, slug: str) -> None:
        self.organization = f.OrganizationFactory(slug=slug, name=slug.title())
        self._hours = 23

    @cached_property
    def resource(self) -> Resource:
        """Costs 20 euros and takes any number of bookings at a time."""
        made: Resource = f.ResourceFactory(organization=self.organization)
        f.PriceFactory(resource=made)
        return made

    @cached_property
    def free_resource(self) -> Resource:
        made: Resource = f.ResourceFactory(organization=self.organization)
        return made

    @cached_property
    def midday_resource(self) -> Resource:
        """Where it is about noon now, so that the next hours are today whenever this runs."""
        west = timezone.now().hour - 12
        zone = f"Etc/GMT{west:+d}" if west else "UTC"
        made: Resource = f.ResourceFactory(organization=self.organization, time_zone=zone)
        f.PriceFactory(resource=made)
        return made

    @cached_property
    def court(self) -> Resource:
        """Booked at free times, from midnight to midnight of every day; costs 20 euros."""
        made: Resource = f.ResourceFactory(
            organization=self.organization, mode="free_times", exclusive=True, time_zone="UTC"
        )
        f.PriceFactory(resource=made)
        f.open_hours(made)
        return made

    @cached_property
    def opening(self) -> datetime:
        """A midnight at which the court opens."""
        return f.soon(48).replace(hour=0)

    @property
    def closing(self) -> datetime:
        return self.opening + timedelta(days=1)

    @cached_property
    def customer(self) -> Customer:
        made: Customer = f.CustomerFactory(organization=self.organization)
        return made

    def staff(self, role: str) -> Membership:
        made: Membership = f.MembershipFactory(organization=self.organization, role=role)
        return made

    def client(self, person: Customer | Membership | User) -> Client:
        user = person if isinstance(person, User) else person.user
        return Client(user, self.organization.slug)

    def as_customer(self) -> Client:
        return self.client(self.customer)

    def as_other_customer(self) -> Client:
        return self.client(f.CustomerFactory(organization=self.organization))

    def as_stranger(self) -> Client:
        """Somebody with an account who was never here."""
        return self.client(f.UserFactory())

    def as_role(self, role: str) -> Client:
        return self.client(self.staff(role))

    def slot(self, resource: Resource | None = None, **kwargs: Any) -> Slot:
        """A slot at a time of its own."""
        self._hours += 1
        kwargs.setdefault("starts_at", f.soon(self._hours))
        return f.make_slot(resource or self.resource, **kwargs)

    def slot_today(self) -> Slot:
        return f.make_slot(self.midday_resource, starts_at=f.soon(0), max_bookings=9)

    def hold(self, **kwargs: Any) -> Booking:
        return f.hold(self.customer, self.slot(**kwargs))

    def transaction(
        self, count: int = 1, method: str = "pay_now", slot: Slot | None = None, **kwargs: Any
    ) -> CartTransaction:
        slots = [slot] if slot else [self.slot(**kwargs) for _ in range(count)]
        return f.check_out(self.customer, *slots, method=method)

    def submitted(self, count: int = 1, **kwargs: Any) -> tuple[CartTransaction, Proof]:
        made = self.transaction(count, **kwargs)
        proof = f.submit_proof(made)
        made.refresh_from_db()
        return made, proof

    def approved(self, count: int = 1, **kwargs: Any) -> CartTransaction:
        made, _ = self.submitted(count, **kwargs)
        f.approve(made)
        made.refresh_from_db()
        return made

    def confirmed(self, **kwargs: Any) -> Booking:
        """A confirmed booking with its code."""
        return booking_of(self.approved(**kwargs))

    def proposed(self) -> Booking:
        """A confirmed booking for which another time is proposed."""
        booking = self.confirmed()
        made = reschedule.propose(
            booking_id=booking.pk,
            organization_id=self.organization.pk,
            slot_id=self.slot().pk,
            actor=Actor("staff", None, "Mia"),
            now=timezone.now(),
        )
        return made.booking

    def full_slot(self, resource: Resource | None = None, **kwargs: Any) -> tuple[Slot, Booking]:
        """A slot whose only seat somebody else has ordered, and that booking."""
        slot = self.slot(resource, **kwargs)
        somebody = f.CustomerFactory(organization=self.organization)
        order = f.check_out(somebody, slot, method="pay_on_arrival")
        return slot, booking_of(order)

    def waiting(self, resource: Resource | None = None, **kwargs: Any) -> WaitlistEntry:
        """A place in line of the customer, who is the first."""
        slot, _ = self.full_slot(resource, **kwargs)
        return in_line.join(slot, self.customer)

    def offered(self, resource: Resource | None = None, **kwargs: Any) -> WaitlistEntry:
        """A place in line of the customer, to whom the seat is offered that just came free."""
        slot, taken = self.full_slot(resource, **kwargs)
        entry = in_line.join(slot, self.customer)
        in_line.cancel(taken)
        return in_line.fresh(entry)

    def weekly(self, times: int, **kwargs: Any) -> list[Slot]:
        """Slots at the same hour of as many weeks."""
        first = self.slot(**kwargs)
        zone = ZoneInfo(first.resource.time_zone)
        start = first.starts_at.astimezone(zone)
        later = [start + timedelta(weeks=number) for number in range(1, times)]
        return [first, *(self.slot(starts_at=at.astimezone(UTC), **kwargs) for at in later)]

    def late(self, **kwargs: Any) -> CartTransaction:
        """An approved and paid order of one booking, which a customer cancels for 10 euros."""
        resource: Resource = f.ResourceFactory(organization=self.organization)
        f.PriceFactory(resource=resource)
        CancellationPolicy.objects.create(
            resource=resource,
            organization=self.organization,
            free_until_minutes=60 * 24 * 30,
            fee_percent=Decimal(50),
        )
        return self.approved(resource=resource, **kwargs)

    def refund(self, *, seen: bool = True) -> Refund:
        """20 euros that are owed to the customer."""
        made = self.approved() if seen else self.submitted()[0]
        cancellation.cancel_booking(
            booking_id=booking_of(made).pk,
            organization_id=self.organization.pk,
            actor=f.SYSTEM,
            reason="closed",
            now=timezone.now(),
        )
        return Refund.objects.get(transaction=made)

    def series(self, times: int = 2, **kwargs: Any) -> Series:
        """A series of the customer, to be paid on arrival."""
        first = self.weekly(times, **kwargs)[0]
        made = series.book_series(
            organization=self.organization,
            customer=self.customer,
            wish=series.Wish(first.resource_id, first.starts_at, times=times),
            payment_method="pay_on_arrival",
            all_or_nothing=True,
            actor=f.actor_of(self.customer),
            now=timezone.now(),
        )
        return made.series

    def confirmed_today(self) -> Booking:
        return self.confirmed(slot=self.slot_today())


def booking_of(transaction: CartTransaction) -> Booking:
    return Booking.objects.get(cart_item__transaction=transaction)


def code_of(booking: Booking) -> str:
    return codes.derive(booking.pk, bytes(booking.check_in_code.nonce))


class World:
    """Here and there."""

    def __init__(self) -> None:
        self.here = Place("here")
        self.there = Place("there")
