"""Days that differ: closed, holidays, open longer, and what happens to the people on them (B1, B2)."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now

from audit.context import Actor, audited
from audit.errors import Invalid, NotFound, check_fields
from audit.ids import uuid7s
from audit.observability.operations import operation
from bookings import locks, selectors_schedules, transitions
from bookings.lifecycle import BOOKING
from bookings.models import Booking, Resource, ScheduleException, Slot
from bookings.regeneration import Plan
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
    slot's offer before, and who is in a slot that was made by hand.

    Args:
        resources: see :func:`resources_of`.
        withdraw: exceptions that are taken back at the same time.

    Raises:
        Invalid: see :func:`add_exceptions`.
    """
    check_extra_hours(resources, exceptions)
    known = slot_plans.rules_of(resources, without=withdraw, now=now)
    return regenerating.preview_of(
        resources,
        {r.pk: known[r.pk].with_exceptions(_of(r, exceptions)) for r in resources},
        who=partial(_shut_out, exceptions, known, now),
        now=now,
    )


def _shut_out(
    exceptions: Sequence[ScheduleException],
    rules: Mapping[uuid.UUID, Rules],
    now: datetime,
    plans: Sequence[Plan],
) -> list[uuid.UUID]:
    """The slots with people that lose their offer, or lie on days that exceptions close."""
    found = set(regenerating.losing(plans))
    closing = [e for e in exceptions if e.kind != ScheduleException.Kind.EXTRA]
    for plan in plans:
        with_people = [t for t in plan.there if t.taken_bookings]
        if not closing or not with_people:
            continue
        of = rules[plan.resource.pk]
        only = replace(of, closures=()).with_exceptions(_of(plan.resource, closing))
        end = max(t.ends_at for t in with_people)
        closed = slot_plans.closed_by(plan.resource, only, start=int(now.timestamp()), end=end)
        found |= {
            t.id
            for t in with_people
            if any(slot_plans.overlaps(periods, t) for periods, _made_at in closed)
        }
    return sorted(found)


def resources_of(
    organization_id: uuid.UUID, exceptions: Sequence[ScheduleException]
) -> list[Resource]:
    """The active resources that exceptions are about, in the order of their numbers.

    Raises:
        NotFound: one is not of this organisation.
    """
    named = {e.resource_id for e in exceptions if e.resource_id}
    mine = Resource.objects.filter(organization=organization_id)
    if named and mine.filter(pk__in=named).count() < len(named):
        raise NotFound("There is no such resource.")
    condition = Q(pk__in=named)
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
            "move" (to the slot so many days later at the same hour, where there is room; the
            others stay) or "cancel" (their customers are told why).
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
            more=partial(_slots_for, by, then),
            tell_affected=then == "keep",
            now=now,
        )
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


def _of(resource: Resource, exceptions: Iterable[ScheduleException]) -> list[ScheduleException]:
    return [
        e
        for e in exceptions
        if e.resource_id in (None, resource.pk)
        and (e.kind != ScheduleException.Kind.HOLIDAY or resource.observes_holidays)
    ]


def _resources_of(
    organization_id: uuid.UUID, exceptions: Sequence[ScheduleException]
) -> list[Resource]:
    """The resources that exceptions are about, each with its planning lock."""
    ids = [r.pk for r in resources_of(organization_id, exceptions)]
    locks.planning(ids)
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
    by: timedelta | None, then: str, affected: Sequence[Booking]
) -> Collection[uuid.UUID]:
    """The slots to lock for what is to become of these bookings."""
    if by is not None:
        return {s.pk for s in moving.targets(affected, by).values()}
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
