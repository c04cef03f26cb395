"""Two organisations with everything in them, so that one can try to reach into the other."""

from __future__ import annotations

from functools import cached_property

from bookings.models import Booking, Customer, Membership, Role, Slot, User
from payments.models import CartTransaction, Proof
from tests import factories as f
from tests.api.client import Client


class Place:
    """One organisation; everything in it is made when it is asked for."""

    def __init__(self, slug: str) -> None:
        self.organization = f.OrganizationFactory(slug=slug, name=slug.title())

    @cached_property
    def resource(self):
        made = f.ResourceFactory(organization=self.organization)
        f.PriceFactory(resource=made)
        return made

    @cached_property
    def customer(self) -> Customer:
        return f.CustomerFactory(organization=self.organization)

    def staff(self, role: str) -> Membership:
        return f.MembershipFactory(organization=self.organization, role=role)

    def client(self, person: Customer | Membership | User) -> Client:
        user = person if isinstance(person, User) else person.user
        return Client(user, self.organization.slug)

    def as_customer(self) -> Client:
        return self.client(self.customer)

    def as_role(self, role: str) -> Client:
        return self.client(self.staff(role))

    def slot(self, **kwargs) -> Slot:
        self._hours = getattr(self, "_hours", 23) + 1
        return f.make_slot(
            kwargs.pop("resource", self.resource),
            starts_at=kwargs.pop("starts_at", f.soon(self._hours)),
            **kwargs,
        )

    def hold(self, **kwargs) -> Booking:
        return f.hold(self.customer, self.slot(**kwargs))

    def transaction(self, count: int = 1, method: str = "pay_now", **kwargs) -> CartTransaction:
        slots = [self.slot(**kwargs) for _ in range(count)]
        return f.check_out(self.customer, *slots, method=method)

    def submitted(self, count: int = 1) -> tuple[CartTransaction, Proof]:
        made = self.transaction(count)
        proof = f.submit_proof(made)
        made.refresh_from_db()
        return made, proof

    def approved(self, count: int = 1) -> CartTransaction:
        made, _ = self.submitted(count)
        return f.approve(made)

    def confirmed(self, **kwargs) -> Booking:
        """A confirmed booking with its code."""
        made = self.transaction(**kwargs)
        f.submit_proof(made)
        f.approve(made)
        return Booking.objects.get(cart_item__transaction=made)


class World:
    """Here and there."""

    def __init__(self) -> None:
        self.here = Place("here")
        self.there = Place("there")


ROLES = [str(role) for role in Role.values]
