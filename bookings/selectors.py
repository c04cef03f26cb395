"""Reads, scoped to an organisation."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection
from django.db.models import Count, F, FilteredRelation, Q, QuerySet, Sum

from audit.context import Actor
from bookings.lifecycle import BookingStatus, SlotStatus
from bookings.models import Booking, Customer, Organization, Resource, Role, Slot, User


@dataclass(slots=True)
class Viewer:
    """A signed-in person in one organisation: a customer, staff, both, or a stranger yet."""

    user: User
    organization: Organization
    customer: Customer | None
    role: str | None

    @property
    def is_staff(self) -> bool:
        return self.role is not None or self.user.is_superuser

    @property
    def actor(self) -> Actor:
        """Who this is in the trail."""
        return Actor("staff" if self.is_staff else "customer", self.user.pk, str(self.user))


def viewer(user: User, slug: str) -> Viewer | None:
    """The organisation with this person's customer and role in it, in one statement.

    None if there is no such active organisation.
    """
    organization = (
        Organization.objects.filter(slug=slug, is_active=True)
        .annotate(
            me=FilteredRelation("customers", condition=Q(customers__user=user)),
            work=FilteredRelation("memberships", condition=Q(memberships__user=user)),
            role=F("work__role"),
        )
        .select_related("me")  # type: ignore[misc]
        .first()
    )
    if organization is None:
        return None
    return Viewer(user, organization, organization.me, organization.role)


def resources(organization_id: uuid.UUID) -> QuerySet[Resource]:
    """What an organisation offers."""
    return Resource.objects.filter(organization_id=organization_id, is_active=True)


def bookable_slots(organization_id: uuid.UUID, *, now: datetime) -> QuerySet[Slot]:
    """Slots that new customers may see: open, not over, of active resources."""
    return Slot.objects.filter(
        organization_id=organization_id,
        status=SlotStatus.OPEN,
        starts_at__gt=now,
        resource__is_active=True,
    ).select_related("resource")


@dataclass(frozen=True, slots=True)
class Availability:
    """What is left in a slot, counting holds past their deadline as free."""

    bookings: int
    units: int


def availability(slots: Sequence[Slot], *, now: datetime) -> dict[uuid.UUID, Availability]:
    """What is left in each slot; two statements for any number of slots.

    A slot of an exclusive resource has nothing left while another slot with people takes the
    resource at its time.
    """
    overdue = {
        slot_id: (count, units)
        for slot_id, count, units in Booking.objects.filter(
            slot__in=[s.pk for s in slots], status=BookingStatus.HELD, held_until__lte=now
        )
        .order_by()
        .values_list("slot_id")
        .annotate(Count("pk"), Sum("units"))
    }
    blocked = _blocked([s for s in slots if s.exclusive], now=now)
    found = {}
    for slot in slots:
        late_bookings, late_units = overdue.get(slot.pk, (0, 0))
        bookings = slot.max_bookings - slot.taken_bookings + late_bookings
        units = slot.max_units - slot.taken_units + late_units
        if bookings <= 0 or slot.pk in blocked:
            bookings = units = 0
        found[slot.pk] = Availability(bookings, units)
    return found


_BLOCKED = """
SELECT DISTINCT s.id FROM bookings_slot s
JOIN bookings_resource r ON r.id = s.resource_id
JOIN bookings_occupancy o
  ON int8range(o.resource_number, o.resource_number, '[]') = int8range(r.number, r.number, '[]')
 AND o.period && tstzrange(s.busy_from, s.busy_until, '[)')
WHERE s.id = ANY(%s) AND o.slot_id <> s.id
  AND EXISTS (SELECT 1 FROM bookings_booking b WHERE b.slot_id = o.slot_id
              AND (b.status IN ('pending', 'confirmed', 'reschedule_proposed', 'checked_in')
                   OR (b.status = 'held' AND b.held_until > %s)))
"""


def _blocked(slots: Sequence[Slot], *, now: datetime) -> set[uuid.UUID]:
    if not slots:
        return set()
    with connection.cursor() as cursor:
        cursor.execute(_BLOCKED, [[s.pk for s in slots], now])
        return {row[0] for row in cursor.fetchall()}


def bookings(viewer: Viewer) -> QuerySet[Booking]:
    """The bookings a person may see: staff the organisation's (providers their own
    resources'), customers their own."""
    found = Booking.objects.filter(organization=viewer.organization).select_related(
        "slot__resource", "customer", "check_in_code"
    )
    return found.filter(visible(viewer))


def visible(viewer: Viewer, prefix: str = "") -> Q:
    """The condition that keeps a person to what is theirs; ``prefix`` leads to the booking."""
    if viewer.role == Role.PROVIDER:
        mine = Q(**{f"{prefix}slot__resource__provider": viewer.user})
    elif viewer.is_staff:
        return Q()
    else:
        mine = Q(pk__in=[])
    if viewer.customer is not None:
        mine |= Q(**{f"{prefix}customer": viewer.customer})
    return mine


def organizations_by_id(ids: Iterable[uuid.UUID] | None) -> QuerySet[Organization]:
    """Organisations a staff member works in; None means every one."""
    found = Organization.objects.all()
    return found if ids is None else found.filter(pk__in=set(ids))
