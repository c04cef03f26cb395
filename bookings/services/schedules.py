"""Schedules: new versions, days that differ, and slots that follow them (B1, B2).

Whoever changes the schedule of a resource holds its planning lock, so that two changes come one
after the other. The locks on slots are taken all at once, in their order, when it is known which
slots change.
"""

from __future__ import annotations

import copy
import uuid
import zoneinfo
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import partial

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Max, Q
from django.utils.timezone import localtime

from audit.context import Actor, audited
from audit.errors import DomainError, Invalid, NotFound
from audit.ids import uuid7
from audit.observability.operations import operation
from bookings import locks, planning, selectors_schedules, signals, slot_rows, transitions
from bookings.errors import PlanChanged, SlotGone
from bookings.lifecycle import BOOKING, LIVE, BookingStatus, SlotStatus
from bookings.models import (
    Booking,
    Resource,
    Schedule,
    ScheduleException,
    ScheduleRule,
    Slot,
)
from bookings.regeneration import Plan, There, compare, fingerprint
from bookings.selectors_schedules import Rules

REGENERATE = "slots.regenerate"
MOST_VERSIONS = 20  # the newest are those that count
MOST_SLOTS = 100_000  # of one resource within its horizon: a slot each ten minutes for two years
MOST_DAYS_AHEAD = 3_650
LONGEST_EXCEPTION = timedelta(days=3_660)
_FOREVER = 1 << 62
MOVABLE = (BookingStatus.PENDING, BookingStatus.CONFIRMED)


@dataclass
class Preview:
    """What a change would do, before it is done.

    Attributes:
        plans: for each resource.
        affected: the live bookings in slots that would become legacy.
        seen: hand it to the service that does it, which then refuses to do anything else.
    """

    plans: list[Plan]
    affected: list[Booking] = field(default_factory=list)
    seen: str = ""

    def counts(self) -> dict[str, int]:
        """How many slots each thing happens to, all resources together."""
        total: dict[str, int] = {}
        for plan in self.plans:
            for name, count in plan.counts().items():
                total[name] = total.get(name, 0) + count
        return total | {"bookings": len(self.affected)}


@dataclass
class Applied(Preview):
    """What was done."""

    cancelled: list[Booking] = field(default_factory=list)
    moved: list[Booking] = field(default_factory=list)
    stayed: list[Booking] = field(default_factory=list)


# Previews: the same comparison as what is done, read only.


def preview_version(
    *, resource: Resource, valid_from: date, rules: Sequence[ScheduleRule], now: datetime
) -> Preview:
    """What a new version would do to the slots of a resource.

    Raises:
        Invalid: see :func:`change_schedule`.
    """
    check_rules(resource, valid_from, rules, now=now)
    known = _rules([resource], now=now)
    draft = _draft(resource, valid_from, rules, number=1_000_000)
    return _preview([resource], {resource.pk: known[resource.pk].with_version(draft)}, now=now)


def preview_exceptions(
    *,
    resources: Sequence[Resource],
    exceptions: Sequence[ScheduleException],
    withdraw: Collection[uuid.UUID] = (),
    now: datetime,
) -> Preview:
    """What exceptions (not saved) would do to the slots of resources of one organisation.

    Args:
        resources: see :func:`resources_of`.
        withdraw: exceptions that are taken back at the same time.

    Raises:
        Invalid: see :func:`add_exceptions`.
    """
    check_extra_hours(resources, exceptions)
    known = _rules(resources, without=withdraw, now=now)
    return _preview(
        resources,
        {r.pk: known[r.pk].with_exceptions(_of(r, exceptions)) for r in resources},
        now=now,
    )


def preview_zone(*, resource: Resource, time_zone: str, now: datetime) -> Preview:
    """What :func:`move_to_zone` would do.

    Raises:
        Invalid: there is no such time zone.
    """
    today = _today_in(time_zone, now=now)
    moved = copy.copy(resource)
    moved.time_zone = time_zone
    known = _rules([resource], now=now)[resource.pk]
    for number, old in enumerate(_to_copy(_all_versions(resource), today), start=1_000_000):
        rules = list(old.rules.all())
        draft = _draft(moved, max(old.valid_from, today), rules, number=number)
        known = known.with_version(draft)
    return _preview([moved], {moved.pk: known}, now=now)


def fitting(previewed: Preview, *, days: int) -> int:
    """How many of the affected bookings find room so many days later, as it looks now."""
    gone = {
        there.id
        for plan in previewed.plans
        for rows in (plan.retire, plan.archive, plan.delete)
        for there in rows
    }
    targets = _targets(previewed.affected, timedelta(days=days))
    come: dict[uuid.UUID, list[int]] = defaultdict(lambda: [0, 0])
    for booking in previewed.affected:
        slot = targets.get(booking.pk)
        movable = booking.status in MOVABLE and not booking.stands_for_id
        if slot is None or slot.pk in gone or not movable:
            continue
        bookings, units = come[slot.pk]
        if (
            slot.taken_bookings + bookings < slot.max_bookings
            and slot.taken_units + units + booking.units <= slot.max_units
        ):
            come[slot.pk] = [bookings + 1, units + booking.units]
    return sum(bookings for bookings, _units in come.values())


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
        condition |= Q(pk__in=selectors_schedules.planned().values("pk"))
    return list(mine.filter(condition, is_active=True).order_by("number"))


def preview(*, resources: Sequence[Resource], now: datetime) -> Preview:
    """What regenerating these resources of one organisation would do."""
    return _preview(resources, _rules(resources, now=now), now=now)


# Changes


def change_schedule(
    *,
    resource_id: uuid.UUID,
    organization_id: uuid.UUID,
    valid_from: date,
    rules: Sequence[ScheduleRule],
    note: str = "",
    seen: str | None = None,
    actor: Actor,
    now: datetime,
) -> tuple[Schedule, Applied]:
    """Make a new version of a resource's schedule from a day on, and its slots follow at once.

    Args:
        rules: not saved yet; none closes the resource from that day on.
        seen: what the preview said, or None to do whatever has to be done.

    Raises:
        Invalid: a rule makes no sense, or there would be too many slots; nothing is changed.
        PlanChanged: it would do something else by now than what was previewed.
    """
    with (
        operation("schedule.change", actor=actor, resource=str(resource_id)) as op,
        transaction.atomic(savepoint=False),
        audited(actor, reason=note),
    ):
        resource = _in_turn(resource_id, organization_id)
        check_rules(resource, valid_from, rules, now=now)
        last = Schedule.objects.filter(resource=resource).aggregate(n=Max("number"))["n"] or 0
        made = Schedule.objects.create(
            organization_id=organization_id,
            resource=resource,
            number=last + 1,
            valid_from=valid_from,
            time_zone=resource.time_zone,
            note=note,
            created_at=now,
            created_by=actor.label[:200],
        )
        for rule, key in zip(_in_order(rules), _keys(rules), strict=True):
            rule.pk, rule.schedule = key, made
        ScheduleRule.objects.bulk_create(rules)
        done = _apply([resource], seen=seen, now=now)
        op.rows = 1 + len(rules) + _rows(done)
        op.note(**done.counts())
    return made, done


def move_to_zone(
    *,
    resource_id: uuid.UUID,
    organization_id: uuid.UUID,
    time_zone: str,
    seen: str | None = None,
    actor: Actor,
    now: datetime,
) -> Applied:
    """Give a resource another time zone; its hours mean that zone's clock from today on.

    Bookings keep the moment they were made for.

    Raises:
        Invalid: there is no such time zone.
        PlanChanged: see :func:`change_schedule`.
    """
    with (
        operation("resource.move_to_zone", actor=actor, resource=str(resource_id)) as op,
        transaction.atomic(savepoint=False),
        audited(actor, reason=f"time zone {time_zone}"),
    ):
        resource = _in_turn(resource_id, organization_id)
        today = _today_in(time_zone, now=now)
        Resource.objects.filter(pk=resource.pk).update(time_zone=time_zone)
        resource.time_zone = time_zone
        _copy_versions(resource, today, actor=actor, now=now)
        done = _apply([resource], seen=seen, now=now)
        op.rows = 1 + _rows(done)
        op.note(**done.counts())
    return done


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
        for exception, key in zip(exceptions, _keys(exceptions), strict=True):
            exception.pk = key
            exception.organization_id = organization_id
            exception.created_at = now
            _check(exception, "id", "organization", "resource")
        check_extra_hours(resources, exceptions)
        ScheduleException.objects.bulk_create(exceptions)
        by = timedelta(days=move_by_days or 0) if then == "move" else None
        done = _apply(resources, seen=seen, move_by=by, cancels=then == "cancel", now=now)
        if then == "cancel":
            done.cancelled = _cancel(done.affected, reason=reason, now=now)
        elif by is not None:
            _move(done, by, reason=reason, now=now)
        op.rows = len(exceptions) + len(found) + _rows(done)
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
        done = _apply(resources, seen=seen, now=now)
        op.rows = len(found) + _rows(done)
        op.note(**done.counts())
    return done


def regenerate(*, resource_id: uuid.UUID, actor: Actor, now: datetime) -> Applied:
    """Let the slots of one resource follow its rules up to its horizon.

    Idempotent, and safe to run twice and beside bookings.
    """
    with (
        operation(REGENERATE, actor=actor, resource=str(resource_id)) as op,
        transaction.atomic(),
        audited(actor, reason="schedule"),
    ):
        locks.planning([resource_id])
        done = _apply([Resource.objects.get(pk=resource_id)], now=now)
        op.rows = _rows(done)
        op.note(**done.counts())
    return done


def check_rules(
    resource: Resource, valid_from: date, rules: Sequence[ScheduleRule], *, now: datetime
) -> None:
    """Raise Invalid if these rules, not saved, cannot be a version of a resource's schedule."""
    today = localtime(now, zoneinfo.ZoneInfo(resource.time_zone)).date()
    if valid_from < today:
        raise Invalid("What was is not changed: choose today or later.", field="valid_from")
    if valid_from > today + timedelta(days=MOST_DAYS_AHEAD):
        raise Invalid("That is more than ten years ahead.", field="valid_from")
    for rule in rules:
        _check(rule, "id", "schedule")
        if resource.exclusive and rule.max_bookings != 1:
            raise Invalid(
                "An exclusive resource takes one booking at a time.", field="max_bookings"
            )


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


# How


def _check(row: ScheduleRule | ScheduleException, *links: str) -> None:
    """Raise Invalid if a row, not saved, makes no sense; whether its links exist is not asked."""
    try:
        row.clean_fields(exclude=links)
    except ValidationError as error:
        raise Invalid(" ".join(error.messages), errors=error.message_dict) from error
    # The same as the constraints of the tables, which Django would ask the database for one by one.
    if isinstance(row, ScheduleRule):
        if row.valid_from and row.valid_until and row.valid_until < row.valid_from:
            raise Invalid("The last day is not before the first.", field="valid_until")
        return
    if not row.first_day <= row.last_day <= row.first_day + LONGEST_EXCEPTION:
        raise Invalid("The last day is not before the first.", field="last_day")
    if (row.from_time is None) != (row.until_time is None):
        raise Invalid("Give both hours, or none for whole days.", field="until_time")
    extra = row.kind == ScheduleException.Kind.EXTRA
    if extra and (row.resource_id is None or row.from_time is None):
        raise Invalid("Extra hours need a resource and hours.", field="resource")


def _rules(
    resources: Sequence[Resource], *, without: Collection[uuid.UUID] = (), now: datetime
) -> dict[uuid.UUID, Rules]:
    return selectors_schedules.rules_of(resources, since=now.date(), without=without)


def _today_in(time_zone: str, *, now: datetime) -> date:
    try:
        return localtime(now, zoneinfo.ZoneInfo(time_zone)).date()
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise Invalid(f"{time_zone} is not a time zone.", field="time_zone") from error


def _draft(
    resource: Resource, valid_from: date, rules: Sequence[ScheduleRule], *, number: int
) -> planning.Version:
    return planning.Version(
        number=number,
        valid_from=valid_from,
        time_zone=resource.time_zone,
        hours=tuple(
            selectors_schedules.hours(r, r.weekdays, r.valid_from, r.valid_until)
            for r in _in_order(rules)
        ),
    )


def _in_order(rules: Iterable[ScheduleRule]) -> list[ScheduleRule]:
    """Rules as they will be read when they are saved; the first counts where two say the same."""
    return sorted(rules, key=lambda rule: rule.from_time)


def _keys(rows: Sequence[object]) -> list[uuid.UUID]:
    """As many new keys, in the order in which they are read; those of one moment have none."""
    return sorted(uuid7() for _ in rows)


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


def _in_turn(resource_id: uuid.UUID, organization_id: uuid.UUID) -> Resource:
    """A resource with its planning lock and then its row locked, always in this order."""
    locks.schedules_of(organization_id)
    locks.planning([resource_id])
    return locks.resource(resource_id, organization_id=organization_id)


def _plans(
    resources: Sequence[Resource], rules: dict[uuid.UUID, Rules], *, now: datetime
) -> list[Plan]:
    start = int(now.timestamp()) + 1
    ends = {r.pk: _end(r, now=now) for r in resources}
    existing = slot_rows.read(ends, start=start)
    plans = []
    for resource in resources:
        of, end = rules[resource.pk], ends[resource.pk]
        planned: list[planning.Planned] = []
        hours: list[tuple[int, int]] = []
        if resource.mode == Resource.Mode.SLOTS:
            _check_size(resource, of)
            planned = planning.plan(of.versions, of.closures, of.extras, start=start, end=end)
            if resource.exclusive:  # whatever the rules said before it was
                planned = [p._replace(max_bookings=1) if p.max_bookings > 1 else p for p in planned]
        else:
            hours = _joined(
                planning.windows(of.versions, of.closures, of.extras, start=start, end=end)
            )
        plans.append(
            compare(resource, planned, existing[resource.pk], is_open=partial(_lies_in, hours))
        )
    return plans


def _check_size(resource: Resource, rules: Rules) -> None:
    """Raise Invalid if there could be far too many slots to plan them all.

    Estimated from above: the rules of every version, on every day of the horizon they count on.
    """
    for version in rules.versions[-MOST_VERSIONS:]:
        a_week = sum(
            planning.minutes(hours)
            // (hours.slot_minutes + hours.gap_minutes)
            * len(hours.weekdays or range(7))
            for hours in version.hours
        )
        count = a_week * (resource.horizon_days + 7) // 7
        if count > MOST_SLOTS:
            raise Invalid(
                f"{resource.name} would have about {count} slots; {MOST_SLOTS} is the most."
                " Make slots longer or the horizon shorter."
            )


def _joined(windows: Iterable[planning.Window]) -> list[tuple[int, int]]:
    """Opening periods, in order, those that adjoin or overlap as one."""
    found: list[tuple[int, int]] = []
    for window in windows:
        if found and window.opens_at <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], window.closes_at)
        else:
            found.append((window.opens_at, window.closes_at))
    return found


def _lies_in(hours: Sequence[tuple[int, int]], there: There) -> bool:
    at = bisect_right(hours, (there.starts_at, _FOREVER)) - 1
    return at >= 0 and there.ends_at <= hours[at][1]


def _end(resource: Resource, *, now: datetime) -> int:
    """The end of the last day of the horizon."""
    zone = zoneinfo.ZoneInfo(resource.time_zone)
    day = localtime(now, zone).date() + timedelta(days=resource.horizon_days + 1)
    return planning.instant(zone, day, time(0))


def _preview(
    resources: Sequence[Resource], rules: dict[uuid.UUID, Rules], *, now: datetime
) -> Preview:
    plans = _plans(resources, rules, now=now)
    affected = _affected(plans)
    return Preview(plans, affected, fingerprint(plans, [b.pk for b in affected]))


def _affected(plans: Iterable[Plan]) -> list[Booking]:
    ids = [there.id for plan in plans for there in plan.retire]
    if not ids:
        return []
    return list(
        Booking.objects.filter(slot__in=ids, status__in=LIVE, stands_for__isnull=True)
        .select_related("slot__resource", "customer")
        .order_by("slot__starts_at", "pk")
    )


def _apply(
    resources: Sequence[Resource],
    *,
    seen: str | None = None,
    move_by: timedelta | None = None,
    cancels: bool = False,
    now: datetime,
) -> Applied:
    """Let the slots of resources follow their rules, all at once; planning locks are held.

    Args:
        move_by: the slots to which affected bookings may move are locked as well.
        cancels: and so are those of the times proposed for them.
    """
    plans = _plans(resources, _rules(resources, now=now), now=now)
    touched = [slot_id for plan in plans for slot_id in plan.touched]
    if move_by is not None:
        touched += [s.pk for s in _targets(_affected(plans), move_by).values()]
    if cancels:
        ids = [b.pk for b in _affected(plans)]
        touched += locks.slots_around(Q(pk__in=ids), Q(stands_for__in=ids))
    if touched:
        # Nobody comes into these slots any more, or leaves; what happened since is seen now.
        slot_rows.lock(touched)
        plans = _plans(resources, _rules(resources, now=now), now=now)
        known = set(touched)
        for plan in plans:
            _only(plan, known)
    affected = _affected(plans)
    if seen is not None and seen != fingerprint(plans, [b.pk for b in affected]):
        raise PlanChanged(
            "Something was booked, changed or has started meanwhile: look at it again."
        )
    # What goes first, as what comes may have its time.
    slot_rows.retire([there.id for plan in plans for there in (*plan.retire, *plan.archive)])
    slot_rows.delete([there.id for plan in plans for there in plan.delete])
    slot_rows.change([pair for plan in plans for pair in plan.change])
    slot_rows.revive([there.id for plan in plans for there in plan.revive])
    for plan in plans:
        slot_rows.create(plan.resource, plan.create)
    _end_proposals([there.id for plan in plans for there in plan.retire], now=now)
    Resource.objects.filter(pk__in=[r.pk for r in resources]).update(planned_at=now)
    roomier = [
        there.id
        for plan in plans
        for there, limits in plan.change
        if limits.max_bookings > there.max_bookings or limits.max_units > there.max_units
    ] + [there.id for plan in plans for there in plan.revive]
    if roomier:
        signals.seats_released.send(Slot, slot_ids=sorted(set(roomier)), now=now)
    made = sorted(p.resource.pk for p in plans if p.create or p.revive)
    if made:
        signals.slots_made.send(Slot, resource_ids=made, now=now)
    return Applied(plans, affected)


def _end_proposals(slot_ids: Sequence[uuid.UUID], *, now: datetime) -> None:
    """Proposed times in locked slots that are not offered any more: their customers are told."""
    if slot_ids:
        held = Q(slot__in=slot_ids, stands_for__isnull=False, status=BookingStatus.HELD)
        transitions.expire(
            locks.bookings_where(held), now=now, reason="The proposed time is not offered any more."
        )


def _only(plan: Plan, known: set[uuid.UUID]) -> None:
    """Leave out what was not to change a moment ago and is not locked: the next run does it."""
    plan.change = [pair for pair in plan.change if pair[0].id in known]
    for rows in (plan.revive, plan.retire, plan.archive, plan.delete):
        rows[:] = [there for there in rows if there.id in known]


def _rows(done: Applied) -> int:
    return sum(len(p.create) + len(p.touched) for p in done.plans)


def _copy_versions(resource: Resource, today: date, *, actor: Actor, now: datetime) -> None:
    """The versions in force today and later, again, in the resource's new zone."""
    every = _all_versions(resource)
    if not every:
        return
    number = every[-1].number
    for old in _to_copy(every, today):
        number += 1
        made = Schedule.objects.create(
            organization_id=resource.organization_id,
            resource=resource,
            number=number,
            valid_from=max(old.valid_from, today),
            time_zone=resource.time_zone,
            note=f"Version {old.number} in the time zone {resource.time_zone}.",
            created_at=now,
            created_by=actor.label[:200],
        )
        rules = list(old.rules.all())
        for rule, key in zip(rules, _keys(rules), strict=True):
            rule.pk, rule.schedule = key, made
            rule._state.adding = True
        ScheduleRule.objects.bulk_create(rules)


def _all_versions(resource: Resource) -> list[Schedule]:
    return list(
        Schedule.objects.filter(resource=resource).prefetch_related("rules").order_by("number")
    )


def _to_copy(every: Sequence[Schedule], today: date) -> list[Schedule]:
    """Of all versions, in order, the one in force on a day and those still to come."""
    begun = [s for s in every if s.valid_from <= today]
    first = begun[-1:] if begun else []
    later = [s for s in every if s.valid_from > today and (not first or s.number > first[0].number)]
    return [*first, *later]


def _cancel(affected: Sequence[Booking], *, reason: str, now: datetime) -> list[Booking]:
    bookings = [
        b
        for b in locks.bookings(b.pk for b in affected)
        if BOOKING.allows("cancel", b.status) and b.stands_for_id is None
    ]
    transitions.cancel(bookings, now=now, reason=reason)
    return bookings


def _move(done: Applied, by: timedelta, *, reason: str, now: datetime) -> None:
    """Move the affected bookings so many days; where there is no room they stay."""
    targets = _targets(done.affected, by)
    slots = {s.pk: s for s in locks.slots(s.pk for s in targets.values())}
    bookings = {b.pk: b for b in locks.bookings(b.pk for b in done.affected)}
    members = locks.pool_members({p for s in slots.values() for p in s.pools})
    locks.take_in_turn(
        [n for s in slots.values() for n in s.numbers]
        + [n for some in members.values() for n in some]
    )
    for affected in done.affected:
        booking = bookings[affected.pk]
        target = targets.get(affected.pk)
        try:
            if target is None or booking.status not in MOVABLE or booking.stands_for_id:
                raise SlotGone
            transitions.move(booking, slots[target.pk], now=now, reason=reason)
        except DomainError:
            done.stayed.append(booking)
        else:
            done.moved.append(booking)


def _targets(bookings: Sequence[Booking], by: timedelta) -> dict[uuid.UUID, Slot]:
    """For each booking the open slot of its resource at the same hour so many days later."""
    wanted = {b.pk: _shifted(b.slot, by) for b in bookings}
    found: dict[tuple[uuid.UUID, int], Slot] = {}
    slots = Slot.objects.filter(
        resource__in={b.slot.resource_id for b in bookings},
        starts_at__in={datetime.fromtimestamp(start, UTC) for start in wanted.values()},
        status=SlotStatus.OPEN,
    ).exclude(source=Slot.Source.FREE)
    for slot in slots.order_by("ends_at", "pk"):
        found.setdefault((slot.resource_id, int(slot.starts_at.timestamp())), slot)
    return {
        b.pk: found[b.slot.resource_id, wanted[b.pk]]
        for b in bookings
        if (b.slot.resource_id, wanted[b.pk]) in found
    }


def _shifted(slot: Slot, by: timedelta) -> int:
    zone = zoneinfo.ZoneInfo(slot.resource.time_zone)
    start = localtime(slot.starts_at, zone)
    return planning.instant(zone, start.date() + by, start.time())
