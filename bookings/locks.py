"""Every row lock of this app, named. Nothing else calls ``select_for_update``.

Order, always, and by primary key within a kind:

    cart → slot → booking → exclusive resource → waitlist entry → offer → cart transaction

``FOR NO KEY UPDATE`` everywhere, so that foreign keys to a locked row do not wait.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable
from datetime import datetime

from django.contrib.postgres.fields import BigIntegerRangeField
from django.db.models import F, Func, Q, QuerySet, Value
from django.db.models.expressions import Combinable

from audit.compiled import Compiled, Param
from audit.errors import NotFound
from bookings.lifecycle import BookingStatus
from bookings.models import (
    Booking,
    CheckInCode,
    Membership,
    Occupancy,
    Organization,
    Resource,
    Role,
    Slot,
    User,
)


def slots(ids: Iterable[uuid.UUID]) -> list[Slot]:
    """Lock slots, with their resources loaded."""
    return list(
        Slot.objects.select_for_update(no_key=True, of=("self",))
        .select_related("resource")
        .filter(pk__in=set(ids))
        .order_by("pk")
    )


def slot(slot_id: uuid.UUID, *, organization_id: uuid.UUID) -> Slot:
    """Lock one slot of an organisation."""
    found = _SLOT.first(slot=slot_id, organization=organization_id)
    if found is None:
        raise NotFound("There is no such slot.")
    return found


_SLOT = Compiled(
    lambda: (
        Slot.objects.select_for_update(no_key=True, of=("self",))
        .select_related("resource")
        .filter(pk=Param("slot"), organization=Param("organization"))
        .order_by()
    )
)


def owners(organization_id: uuid.UUID) -> list[Membership]:
    """Lock an organisation, so that its owners change one after the other; who they are."""
    Organization.objects.select_for_update(no_key=True).only("pk").get(pk=organization_id)
    return list(Membership.objects.filter(organization=organization_id, role=Role.OWNER))


def user(user_id: uuid.UUID) -> User:
    """Lock a person, whose roles in all organisations say whether they are staff."""
    return User.objects.select_for_update(no_key=True).get(pk=user_id)


def rival_slots(slot: Slot) -> tuple[list[Slot], bool]:
    """Lock an exclusive resource, and the slots whose people take it at the time of ``slot``.

    Whoever wants the resource through another slot waits for its row, and then sees us. Without
    that, both would write occupancies that overlap and learn of each other from the database, as
    a violated constraint or as a deadlock.

    Returns those it could lock at once, and whether it could not lock all: they come out of
    the order of locks, so it never waits for them.
    """
    Resource.objects.select_for_update(no_key=True).only("pk").get(pk=slot.resource_id)
    ids = set(
        Occupancy.objects.alias(key=number_range(F("resource_number")))
        .filter(
            key=number_range(Value(slot.resource.number)),
            period__overlap=(slot.busy_from, slot.busy_until),
        )
        .exclude(slot_id=slot.pk)
        .values_list("slot_id", flat=True)
    )
    if not ids:
        return [], False
    locked = list(
        Slot.objects.select_for_update(no_key=True, skip_locked=True)
        .filter(pk__in=ids)
        .order_by("pk")
    )
    return locked, len(locked) < len(ids)


def number_range(number: Combinable) -> Func:
    """A resource's number as the exclusion constraint compares it, so that its index is used."""
    return Func(
        number,
        number,
        Value("[]"),
        function="int8range",
        output_field=BigIntegerRangeField(),
    )


def bookings(ids: Iterable[uuid.UUID]) -> list[Booking]:
    """Lock bookings, with slot, resource and customer loaded."""
    return list(_bookings().filter(pk__in=set(ids)))


def bookings_where(condition: Q) -> list[Booking]:
    """Lock the bookings an app above selects by its own links."""
    return list(_bookings().filter(condition))


def booking(booking_id: uuid.UUID, *, organization_id: uuid.UUID) -> Booking:
    """Lock one booking of an organisation."""
    found = _bookings().filter(pk=booking_id, organization_id=organization_id).first()
    if found is None:
        raise NotFound("There is no such booking.")
    return found


def slot_and_booking(booking_id: uuid.UUID, *, organization_id: uuid.UUID) -> Booking:
    """Lock a booking's slot, then the booking."""
    slot_id = (
        Booking.objects.filter(pk=booking_id, organization_id=organization_id)
        .values_list("slot_id", flat=True)
        .first()
    )
    if slot_id is None:
        raise NotFound("There is no such booking.")
    slots([slot_id])
    found = booking(booking_id, organization_id=organization_id)
    if found.slot_id != slot_id:  # moved while we waited: take the new slot in its turn
        return slot_and_booking(booking_id, organization_id=organization_id)
    return found


def overdue_holds(
    slot_ids: Iterable[uuid.UUID], *, now: datetime, skip: Collection[uuid.UUID] = ()
) -> list[Booking]:
    """Lock the holds of locked slots whose time has run out, but for those in ``skip``."""
    return list(
        _bookings()
        .filter(slot_id__in=list(slot_ids), status=BookingStatus.HELD, held_until__lte=now)
        .exclude(pk__in=list(skip))
    )


def slots_nobody_holds(ids: Iterable[uuid.UUID]) -> list[uuid.UUID]:
    """Lock slots, passing over those that somebody else holds; which they are."""
    locked = (
        Slot.objects.select_for_update(no_key=True, skip_locked=True)
        .filter(pk__in=set(ids))
        .order_by("pk")
    )
    return [s.pk for s in locked.only("pk")]


def slots_with_overdue_holds(
    *, now: datetime, limit: int, skip: Collection[uuid.UUID] = ()
) -> list[uuid.UUID]:
    """Lock slots that have overdue holds, passing over those somebody else holds.

    Args:
        limit: of holds, the oldest first.
        skip: bookings that do not count.
    """
    overdue = Booking.objects.filter(status=BookingStatus.HELD, held_until__lte=now)
    ids = (
        overdue.exclude(pk__in=list(skip)).order_by("held_until").values_list("slot_id", flat=True)
    )
    return slots_nobody_holds(list(ids[:limit]))


def finished_bookings(
    *, before: datetime, limit: int, skip: Collection[uuid.UUID] = ()
) -> list[Booking]:
    """Lock checked-in bookings in slots that have ended, and the slots before them.

    Passes over slots that somebody else holds, and bookings in ``skip``. ``limit`` is of
    bookings; those of the last slot come together.
    """
    checked_in = Q(status=BookingStatus.CHECKED_IN) & ~Q(pk__in=list(skip))
    done = Booking.objects.filter(checked_in, slot__ends_at__lte=before)
    ids = set(done.order_by("slot__ends_at", "pk").values_list("slot_id", flat=True)[:limit])
    if not ids:
        return []
    return bookings_where(Q(slot_id__in=slots_nobody_holds(ids)) & checked_in)


def check_in_code(
    code_hash: bytes, *, organization_ids: set[uuid.UUID] | None
) -> CheckInCode | None:
    """Lock the booking a code belongs to, with everything its answer needs."""
    found = _CHECK_IN_CODE.first(code_hash=code_hash)
    if found is None or organization_ids is None:
        return found
    return found if found.booking.organization_id in organization_ids else None


_CHECK_IN_CODE = Compiled(
    lambda: (
        CheckInCode.objects.select_for_update(no_key=True, of=("booking",))
        .select_related("booking__slot__resource", "booking__customer")
        .filter(code_hash=Param("code_hash"))
    )
)


def _bookings() -> QuerySet[Booking]:
    return (
        Booking.objects.select_for_update(no_key=True, of=("self",))
        .select_related("slot__resource", "customer")
        .order_by("pk")
    )
