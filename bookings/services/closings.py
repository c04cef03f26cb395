"""Days that differ: closed, holidays, open longer, and what happens to the people on them (B1, B2)."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, Value
from django.db.models.functions import Now

from audit.context import Actor, audited
from audit.errors import Invalid, NotFound, check_fields
from audit.ids import uuid7s
from audit.observability.operations import operation
from bookings import locks, selectors_schedules, transitions
from bookings.errors import PlanChanged
from bookings.lifecycle import BOOKING
from bookings.models import Booking, Occupancy, PoolMember, Resource, ScheduleException, Slot
from bookings.regeneration import Plan, There
from bookings.selectors_schedules import Rules
from bookings.services import moving, regenerating, slot_plans
from bookings.services.regenerating import Applied, Preview

LONGEST_EXCEPTION = timedelta(days=3_660)


def preview_exceptions(
    *,
    resources: Sequence[Resource],
    exceptions: Sequence[ScheduleException],
    withdraw: Collection[uuid.UUID] = (),
    now: datetime,
) -> Preview:
    """What exceptions (not saved) would do to the slots of resources of one organisation.

    Affected is everybody who has a live booking on a day that is to be closed: also who lost the
    slot's offer before, who is in a slot that was made by hand, and who has what is closed as a
    part of something else or out of a pool.

    Args:
        resources: see :func:`resources_of`.
        withdraw: exceptions that are taken back at the same time.

    Raises:
        Invalid: see :func:`add_exceptions`.
    """
    check_extra_hours(resources, exceptions)
    known = slot_plans.rules_of(resources, without=withdraw, now=now)
    mine = selectors_schedules.exceptions_of(resources, exceptions)
    return regenerating.preview_of(
        resources,
        {r.pk: known[r.pk].with_exceptions(mine[r.pk]) for r in resources},
        who=partial(_shut_out, exceptions, known, now),
        now=now,
    )


def _shut_out(
    exceptions: Sequence[ScheduleException],
    rules: Mapping[uuid.UUID, Rules],
    now: datetime,
    plans: Sequence[Plan],
) -> list[uuid.UUID]:
    """The slots with people that lose their offer, lie on days that exceptions close, or have out
    of a pool what these close by itself."""
    found = set(regenerating.losing(plans))
    closing = [e for e in exceptions if e.kind != ScheduleException.Kind.EXTRA]
    if not closing:
        return sorted(found)
    resources = [plan.resource for plan in plans]
    mine = selectors_schedules.exceptions_of(resources, closing)
    themselves = {e.resource_id for e in closing}
    picked = _picked([r for r in resources if r.pk in themselves], now=now)
    for plan in plans:
        resource = plan.resource
        asked: list[There | _Picked] = [t for t in plan.there if t.taken_bookings]
        asked += picked.get(resource.number, ())
        if not asked:
            continue
        only = replace(rules[resource.pk], closures=()).with_exceptions(mine[resource.pk])
        end = max(t.ends_at for t in asked)
        closed = slot_plans.closed_by(resource, only, start=int(now.timestamp()), end=end)
        found |= {
            t.id
            for t in asked
            if any(slot_plans.overlaps(periods, t) for periods, _made_at in closed)
        }
    return sorted(found)


class _Picked(NamedTuple):
    id: uuid.UUID
    starts_at: int
    ends_at: int


def _picked(resources: Sequence[Resource], *, now: datetime) -> dict[int, list[_Picked]]:
    """The slots to come whose people have one of these out of a pool, by its number."""
    if not resources:
        return {}
    rows = (
        Occupancy.objects.alias(key=locks.number_range(F("resource_number")))
        .filter(
            key__in=[locks.number_range(Value(r.number)) for r in resources],
            period__overlap=(now, None),
            slot__picked__contains=[F("resource_number")],
        )
        .values_list("resource_number", "slot_id", "slot__starts_at", "slot__ends_at")
    )
    found: dict[int, list[_Picked]] = defaultdict(list)
    for number, slot_id, *period in rows:
        found[number].append(_Picked(slot_id, *(int(moment.timestamp()) for moment in period)))
    return found


def _check_picked(
    exceptions: Sequence[ScheduleException],
    rules: Mapping[uuid.UUID, Rules],
    done: Applied,
    *,
    now: datetime,
) -> None:
    """Raise PlanChanged if somebody was just given out of a pool what is being closed.

    Whoever picks takes turns with us by the numbers: they see what is closed, or we see them.
    """
    themselves = {e.resource_id for e in exceptions if e.kind != ScheduleException.Kind.EXTRA}
    members = PoolMember.objects.filter(resource__in=themselves - {None})
    numbers = set(members.order_by().values_list("resource__number", flat=True))
    if not numbers:
        return
    locks.take_in_turn(numbers)
    known = {b.slot_id for b in (*done.affected, *done.proposals)}
    if not known.issuperset(_shut_out(exceptions, rules, now, done.plans)):
        raise PlanChanged("Something was booked meanwhile: look at it again.")


def resources_of(
    organization_id: uuid.UUID, exceptions: Sequence[ScheduleException]
) -> list[Resource]:
    """The active resources that exceptions are about, and what is made of them, in the order of
    their numbers.

    Raises:
        NotFound: one is not of this organisation.
    """
    named = {e.resource_id for e in exceptions if e.resource_id}
    mine = Resource.objects.filter(organization=organization_id)
    condition = Q(pk__in=named)
    if named:
        numbers = list(mine.filter(pk__in=named).values_list("number", flat=True))
        if len(numbers) < len(named):
            raise NotFound("There is no such resource.")
        condition |= Q(parts__overlap=numbers)
    if any(e.resource_id is None for e in exceptions):
        by_hand = Slot.objects.filter(resource=OuterRef("pk"), source=Slot.Source.HAND)
        condition |= Q(pk__in=selectors_schedules.planned().values("pk"))
        condition |= Q(Exists(by_hand.filter(ends_at__gt=Now())))
    return list(mine.filter(condition, is_active=True).order_by("number"))


def add_exceptions(
    *,
    organization_id: uuid.UUID,
    exceptions: Sequence[ScheduleException],
    withdraw: Collection[uuid.UUID] = (),
    then: str = "keep",
    move_by_days: int | None = None,
    reason: str = "",
    seen: str | None = None,
    actor: Actor,
    now: datetime,
) -> Applied:
    """Close days or open longer, and the slots follow at once.

    Args:
        exceptions: not saved yet.
        withdraw: exceptions that these replace, taken back first.
        then: what happens to bookings that lose their time: "keep" (they stay, in legacy slots),
            "move" (to the slot of the same length so many days later at the same hour, where there
            is room; the others stay) or "cancel" (their customers are told why).
        reason: for customers, needed unless they are kept.

    Raises:
        Invalid: no reason, or an exception makes no sense.
        NotFound: a resource is not of this organisation, or what is withdrawn is not there.
        PlanChanged: see :func:`change_schedule`.
    """
    if then not in ("keep", "move", "cancel"):
        raise Invalid("Bookings are kept, moved or cancelled.", field="then")
    if then != "keep" and not reason.strip():
        raise Invalid("Say why: the customers will read it.", field="reason")
    if then == "move" and not move_by_days:
        raise Invalid("Say to which day the bookings move.", field="move_by_days")
    with (
        operation("schedule.add_exceptions", actor=actor) as op,
        transaction.atomic(savepoint=False),
        audited(actor, reason=reason),
    ):
        found = _still_there(organization_id, withdraw)
        _beside_others(organization_id, [*exceptions, *found])
        resources = _resources_of(organization_id, [*exceptions, *found])
        _withdraw(found, now=now)
        for exception, key in zip(exceptions, uuid7s(len(exceptions)), strict=True):
            exception.pk = key
            exception.organization_id = organization_id
            exception.created_at = now
            _check(exception)
        check_extra_hours(resources, exceptions)
        ScheduleException.objects.bulk_create(exceptions)
        by = timedelta(days=move_by_days or 0) if then == "move" else None
        rules = slot_plans.rules_of(resources, now=now)
        done = regenerating.apply(
            resources,
            rules=rules,
            seen=seen,
            who=partial(_shut_out, exceptions, rules, now),
            more=partial(_slots_for, by, then, now),
            tell_affected=then == "keep",
            now=now,
        )
        _check_picked(exceptions, rules, done, now=now)
        if then == "cancel":
            done.cancelled = _cancel(done.affected, reason=reason, now=now)
        elif by is not None:
            moving.move(done, by, actor=actor, reason=reason, now=now)
            ended = {s.stands_for_id for s in done.proposals}
            transitions.tell_proposals_expired([b for b in done.stayed if b.pk in ended], gone=True)
        op.rows = len(exceptions) + len(found) + regenerating.changed_rows(done)
        op.note(**done.counts())
    return done


def withdraw_exceptions(
    *,
    organization_id: uuid.UUID,
    exception_ids: Collection[uuid.UUID],
    seen: str | None = None,
    actor: Actor,
    reason: str = "",
    now: datetime,
) -> Applied:
    """Take exceptions back; what they closed is open again, and what they opened is not.

    Raises:
        NotFound: one is not of this organisation, or is withdrawn already.
        PlanChanged: see :func:`change_schedule`.
    """
    with (
        operation("schedule.withdraw_exceptions", actor=actor) as op,
        transaction.atomic(savepoint=False),
        audited(actor, reason=reason),
    ):
        found = _still_there(organization_id, exception_ids)
        _beside_others(organization_id, found)
        resources = _resources_of(organization_id, found)
        _withdraw(found, now=now)
        done = regenerating.apply(resources, seen=seen, now=now)
        op.rows = len(found) + regenerating.changed_rows(done)
        op.note(**done.counts())
    return done


def check_extra_hours(
    resources: Iterable[Resource], exceptions: Iterable[ScheduleException]
) -> None:
    """Raise Invalid if an exclusive resource would take several bookings in its extra hours."""
    exclusive = {r.pk for r in resources if r.exclusive}
    for exception in exceptions:
        if (
            exception.kind == ScheduleException.Kind.EXTRA
            and exception.resource_id in exclusive
            and exception.max_bookings != 1
        ):
            raise Invalid(
                "An exclusive resource takes one booking at a time.", field="max_bookings"
            )


def _resources_of(
    organization_id: uuid.UUID, exceptions: Sequence[ScheduleException]
) -> list[Resource]:
    """The resources that exceptions are about, each with its planning lock.

    Those that pick one of them have theirs locked too: their people may have to move.
    """
    ids = [r.pk for r in resources_of(organization_id, exceptions)]
    pools = PoolMember.objects.filter(resource__in=ids).values_list("pool", flat=True)
    picking = Resource.objects.filter(pools__overlap=list(pools))
    locks.planning([*ids, *picking.values_list("pk", flat=True)])
    return list(Resource.objects.filter(pk__in=ids).order_by("number"))


def _beside_others(organization_id: uuid.UUID, exceptions: Iterable[ScheduleException]) -> None:
    locks.schedules_of(organization_id, alone=any(e.resource_id is None for e in exceptions))


def _still_there(
    organization_id: uuid.UUID, exception_ids: Collection[uuid.UUID]
) -> list[ScheduleException]:
    found = list(
        ScheduleException.objects.filter(
            organization=organization_id, pk__in=exception_ids, withdrawn_at__isnull=True
        )
    )
    if len(found) < len(set(exception_ids)):
        raise NotFound("There is no such exception any more.")
    return found


def _withdraw(exceptions: Sequence[ScheduleException], *, now: datetime) -> None:
    ids = [e.pk for e in exceptions]
    taken_back = ScheduleException.objects.filter(pk__in=ids, withdrawn_at__isnull=True)
    if ids and taken_back.update(withdrawn_at=now) < len(ids):
        raise NotFound("There is no such exception any more.")  # somebody was faster


def _slots_for(
    by: timedelta | None, then: str, now: datetime, affected: Sequence[Booking]
) -> Collection[uuid.UUID]:
    """The slots to lock for what is to become of these bookings."""
    if by is not None:
        return moving.slots_to_lock(affected, by, now=now)
    if then == "cancel":
        ids = [b.pk for b in affected]
        return locks.slots_around(Q(pk__in=ids), Q(stands_for__in=ids))
    return ()


def _cancel(affected: Sequence[Booking], *, reason: str, now: datetime) -> list[Booking]:
    bookings = [
        b
        for b in locks.bookings_of_orders(b.pk for b in affected)
        if BOOKING.allows("cancel", b.status) and b.stands_for_id is None
    ]
    transitions.cancel(bookings, now=now, reason=reason)
    return bookings


def _check(row: ScheduleException) -> None:
    """Raise Invalid if an exception, not saved, makes no sense."""
    check_fields(row, exclude=("id", "organization", "resource"))
    # The same as the constraints of the table, which Django would ask the database for one by one.
    if not row.first_day <= row.last_day <= row.first_day + LONGEST_EXCEPTION:
        raise Invalid("The last day is not before the first.", field="last_day")
    if (row.from_time is None) != (row.until_time is None):
        raise Invalid("Give both hours, or none for whole days.", field="until_time")
    extra = row.kind == ScheduleException.Kind.EXTRA
    if extra and (row.resource_id is None or row.from_time is None):
        raise Invalid("Extra hours need a resource and hours.", field="resource")
