"""Making slots and changing what they offer. Rules that make them come later; this is by hand."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import Case, DateTimeField, Max, Q, Value, When

from audit.context import Actor, audited
from audit.errors import Invalid, StaleVersion
from bookings import locks, signals, slot_rows
from bookings.errors import SlotInUse
from bookings.lifecycle import SLOT, SlotStatus
from bookings.models import Resource, ScheduleException, Slot
from bookings.services import regenerating

MOST_AT_ONCE = 50_000


def create_slots(
    *,
    resource: Resource,
    periods: Iterable[tuple[datetime, datetime]],
    max_bookings: int,
    max_units: int,
    actor: Actor,
    now: datetime,
) -> int:
    """Offer a resource at these times (UTC); times it is offered at already are left alone.

    Returns:
        How many slots are new.
    """
    rows = [
        Slot.at(resource, start, end, max_bookings=max_bookings, max_units=max_units)
        for start, end in periods
    ]
    if len(rows) > MOST_AT_ONCE:
        raise Invalid(f"That would be {len(rows)} slots; {MOST_AT_ONCE} at a time is the most.")
    if resource.exclusive and max_bookings != 1:
        raise Invalid("An exclusive resource takes one booking at a time.", field="max_bookings")
    if any(row.ends_at <= row.starts_at for row in rows):
        raise Invalid("A slot must end after it starts.", field="ends_at")
    with transaction.atomic(savepoint=False), audited(actor):
        locks.planning([resource.pk])  # its schedule makes slots as well
        before = Slot.objects.filter(resource=resource).count()
        Slot.objects.bulk_create(rows, ignore_conflicts=True, batch_size=2_000)
        made = Slot.objects.filter(resource=resource).count() - before
        if made:
            signals.slots_made.send(Slot, resource_ids=[resource.pk], now=now)
    return made


def change_capacity(
    *,
    slot_ids: Sequence[uuid.UUID],
    max_bookings: int,
    max_units: int,
    seen: Mapping[uuid.UUID, tuple[int, int]] | None = None,
    actor: Actor,
    reason: str,
    now: datetime,
) -> list[Slot]:
    """Raise or lower both limits, never below what is taken.

    A schedule leaves them alone from now on; see :func:`follow_schedule`.

    Args:
        seen: the limits that the caller was shown, bookings and people, by slot.

    Raises:
        StaleVersion: a slot has other limits than those; ``slots`` says which. Nothing is changed.
        SlotInUse: more people are in a slot than it would hold; nothing is changed.
    """
    with transaction.atomic(savepoint=False), audited(actor, reason=reason):
        slots = locks.slots(slot_ids)
        known = seen or {}
        stale = [
            s
            for s in slots
            if (s.max_bookings, s.max_units) != known.get(s.pk, (s.max_bookings, s.max_units))
        ]
        if stale:
            raise StaleVersion(
                f"Somebody else changed how many {stale[0]} takes in the meantime.",
                slots=[str(s.pk) for s in stale],
            )
        for slot in slots:
            if slot.taken_bookings > max_bookings or slot.taken_units > max_units:
                raise SlotInUse(
                    f"{slot} has {slot.taken_bookings} bookings for {slot.taken_units} people."
                )
            if slot.exclusive and max_bookings != 1:
                raise Invalid("An exclusive resource takes one booking at a time.")
            slot.max_bookings, slot.max_units = max_bookings, max_units
            slot.limits_by_hand = slot.source == Slot.Source.SCHEDULE
        made_by_schedule = Q(source=Slot.Source.SCHEDULE)
        Slot.objects.filter(pk__in=[s.pk for s in slots]).update(
            max_bookings=max_bookings, max_units=max_units, limits_by_hand=made_by_schedule
        )
        _released(slots, now=now)
    return slots


def _released(slots: Sequence[Slot], *, now: datetime) -> None:
    """Seats in these locked slots may have come free: the waitlist is asked first."""
    if slots:
        ids = sorted(s.pk for s in slots)
        signals.seats_released.send(Slot, slot_ids=ids, now=now)


def follow_schedule(
    *, slot_ids: Iterable[uuid.UUID], actor: Actor, reason: str, now: datetime
) -> list[Slot]:
    """Let slots have the limits again that their schedule says, now and from now on.

    Never below what is taken. Nothing else of their schedules is followed here.
    """
    with transaction.atomic(savepoint=False), audited(actor, reason=reason):
        wanted = list(slot_ids)
        found = Resource.objects.filter(slots__in=wanted, slots__limits_by_hand=True)
        resources = list(found.order_by("number").distinct())
        locks.planning(r.pk for r in resources)
        slots = {s.pk: s for s in locks.slots(wanted) if s.limits_by_hand}
        Slot.objects.filter(pk__in=slots).update(limits_by_hand=False)
        plans = regenerating.preview(resources=resources, now=now).plans
        changes = [pair for plan in plans for pair in plan.change if pair[0].id in slots]
        slot_rows.change(changes)
        for there, limits in changes:
            slot = slots[there.id]
            slot.max_bookings, slot.max_units = limits.max_bookings, limits.max_units
        _released([slots[there.id] for there, _limits in changes], now=now)
    return list(slots.values())


def close_slots(
    *, slot_ids: Iterable[uuid.UUID], actor: Actor, reason: str, now: datetime
) -> list[Slot]:
    """Offer these slots to nobody new; people in them stay."""
    return _move(slot_ids, "close", actor, reason, now=now)


def open_slots(
    *, slot_ids: Iterable[uuid.UUID], actor: Actor, reason: str, now: datetime
) -> list[Slot]:
    """Offer closed slots again.

    Those that were made by hand are meant to be open from now on: only a closure that is made
    later shuts them again.
    """
    wanted = list(slot_ids)
    by_hand = Slot.objects.filter(pk__in=wanted, source=Slot.Source.HAND)
    with transaction.atomic(savepoint=False):
        # Nobody closes their days meanwhile, who would take them for closed.
        locks.planning(by_hand.values_list("resource_id", flat=True))
        return _move(wanted, "open", actor, reason, now=now)


def _meant(slots: Sequence[Slot], now: datetime) -> Case:
    """When slots made by hand are meant to be open: now, and in spite of all that closes them now.

    Who closed a day while we waited for our turn may have a later time than ours.
    """
    closings = ScheduleException.objects.filter(
        organization__in={s.organization_id for s in slots if s.source == Slot.Source.HAND},
        withdrawn_at__isnull=True,
    ).exclude(kind=ScheduleException.Kind.EXTRA)
    newest = closings.aggregate(at=Max("created_at"))["at"]
    made_by_hand = When(source=Slot.Source.HAND, then=Value(max(now, newest or now)))
    return Case(made_by_hand, default=None, output_field=DateTimeField())


def _move(
    slot_ids: Iterable[uuid.UUID], move: str, actor: Actor, reason: str, now: datetime
) -> list[Slot]:
    with transaction.atomic(savepoint=False), audited(actor, reason=reason):
        slots = [s for s in locks.slots(slot_ids) if SLOT.allows(move, s.status)]
        target = SlotStatus(SLOT.target(move))
        is_open = target == SlotStatus.OPEN
        Slot.objects.filter(pk__in=[s.pk for s in slots]).update(
            status=target, shut=False, opened_at=_meant(slots, now) if is_open else None
        )
        for slot in slots:
            slot.status = target
        if is_open:
            _released(slots, now=now)
    return slots
