"""People in line, for tests."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.utils import timezone

from audit.context import Actor
from bookings.models import Booking, Customer, Resource, Slot
from payments.models import CartTransaction
from payments.services import cancellation
from payments.services import waitlist as accepting
from tests.factories import CustomerFactory, ResourceFactory, actor_of, check_out, make_slot, soon
from waitlist.models import Offer, WaitlistEntry
from waitlist.services import joining, line
from waitlist.services.joining import Window

STAFF = Actor("staff", None, "Somebody at the desk")


def full_slot(
    resource: Resource | None = None, *, seats: int = 1, **fields: Any
) -> tuple[Slot, list[CartTransaction]]:
    """A slot whose seats are all taken, by orders that wait for payment or approval."""
    slot = make_slot(resource or ResourceFactory(), max_bookings=seats, **fields)
    orders = [check_out(somebody(slot), slot, method="pay_on_arrival") for _ in range(seats)]
    return slot, orders


def somebody(slot: Slot | Resource) -> Customer:
    """A customer of the same organisation."""
    made: Customer = CustomerFactory(organization=slot.organization)
    return made


def join(
    slot: Slot | Window,
    customer: Customer | None = None,
    *,
    units: int = 1,
    resource: Resource | None = None,
    now: datetime | None = None,
) -> WaitlistEntry:
    if isinstance(slot, Slot):
        customer = customer or somebody(slot)
    else:
        customer = customer or somebody(resource or Resource.objects.get(pk=slot.resource_id))
    return joining.join(
        organization=customer.organization,
        customer=customer,
        wanted=slot.pk if isinstance(slot, Slot) else slot,
        units=units,
        actor=actor_of(customer),
        now=now or timezone.now(),
    )


def also_in(wanted: Window, customer: Customer, *, units: int = 1) -> WaitlistEntry:
    """A place for any time of somebody who is in line for a slot in it, as it came to be before the
    two were compared: each could have been offered seats, and some are there still."""
    resource = Resource.objects.get(pk=wanted.resource_id)
    now = timezone.now()
    made: WaitlistEntry = WaitlistEntry.objects.create(
        organization_id=customer.organization_id,
        customer=customer,
        resource=resource,
        from_at=wanted.from_at,
        until_at=wanted.until_at,
        units=units,
        joined_at=now,
        placed_at=now,
    )
    return made


def window(resource: Resource, *, days: int = 10) -> Window:
    return Window(resource.pk, timezone.now(), soon(24 * days))


def cancel(booking: Booking, *, now: datetime | None = None, actor: Actor = STAFF) -> Booking:
    return cancellation.cancel_booking(
        booking_id=booking.pk,
        organization_id=booking.organization_id,
        actor=actor,
        reason="Changed plans.",
        now=now or timezone.now(),
    )


def bookings_in(slot: Slot) -> list[Booking]:
    return list(Booking.objects.filter(slot=slot).order_by("created_at", "pk"))


def free(slot: Slot, count: int = 1, *, now: datetime | None = None) -> None:
    """Cancel so many live bookings of a slot, the oldest first."""
    live = Booking.objects.filter(slot=slot, status__in=["pending", "confirmed"])
    for booking in live.order_by("created_at", "pk")[:count]:
        cancel(booking, now=now)


def fresh(entry: WaitlistEntry) -> WaitlistEntry:
    entry.refresh_from_db()
    return entry


def offer_of(entry: WaitlistEntry) -> Offer | None:
    return Offer.objects.filter(entry=entry, status="open").select_related("booking").first()


def accept(entry: WaitlistEntry, *, now: datetime | None = None) -> accepting.Accepted:
    return accepting.accept(
        organization=entry.organization,
        customer=entry.customer,
        entry_id=entry.pk,
        actor=actor_of(entry.customer),
        now=now or timezone.now(),
    )


def accept_for(
    entry: WaitlistEntry,
    *,
    method: str = "pay_on_arrival",
    actor: Actor = STAFF,
    now: datetime | None = None,
) -> CartTransaction:
    return accepting.accept_for(
        organization=entry.organization,
        entry_id=entry.pk,
        payment_method=method,
        actor=actor,
        now=now or timezone.now(),
    )


def decline(entry: WaitlistEntry, *, now: datetime | None = None) -> WaitlistEntry:
    return line.decline(
        entry_id=entry.pk,
        organization_id=entry.organization_id,
        actor=actor_of(entry.customer),
        now=now or timezone.now(),
    )


def leave(entry: WaitlistEntry) -> WaitlistEntry:
    return line.leave(
        entry_id=entry.pk,
        organization_id=entry.organization_id,
        actor=actor_of(entry.customer),
        now=timezone.now(),
    )
