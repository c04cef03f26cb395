"""Schedules: new versions, other time zones, and slots that follow them (B1, B2)."""

from __future__ import annotations

import copy
import uuid
import zoneinfo
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta

from django.db import transaction
from django.db.models import Max
from django.utils.timezone import localtime

from audit.context import Actor, audited
from audit.errors import Invalid, StaleVersion, check_fields
from audit.ids import uuid7s
from audit.observability.operations import operation
from bookings import locks, planning, selectors_schedules
from bookings.models import Resource, Schedule, ScheduleRule
from bookings.services import regenerating, slot_plans
from bookings.services.regenerating import Applied, Preview

MOST_DAYS_AHEAD = 3_650


def preview_version(
    *, resource: Resource, valid_from: date, rules: Sequence[ScheduleRule], now: datetime
) -> Preview:
    """What a new version would do to the slots of a resource.

    Raises:
        Invalid: see :func:`change_schedule`.
    """
    check_rules(resource, valid_from, rules, now=now)
    known = slot_plans.rules_of([resource], now=now)
    draft = _draft(resource, valid_from, rules, number=1_000_000)
    return regenerating.preview_of(
        [resource], {resource.pk: known[resource.pk].with_version(draft)}, now=now
    )


def preview_zone(*, resource: Resource, time_zone: str, now: datetime) -> Preview:
    """What :func:`move_to_zone` would do.

    Raises:
        Invalid: there is no such time zone.
    """
    today = _today_in(time_zone, now=now)
    moved = copy.copy(resource)
    moved.time_zone = time_zone
    known = slot_plans.rules_of([resource], now=now)[resource.pk]
    for number, old in enumerate(_to_copy(_all_versions(resource), today), start=1_000_000):
        rules = list(old.rules.all())
        draft = _draft(moved, max(old.valid_from, today), rules, number=number)
        known = known.with_version(draft)
    return regenerating.preview_of([moved], {moved.pk: known}, now=now)


def change_schedule(
    *,
    resource_id: uuid.UUID,
    organization_id: uuid.UUID,
    valid_from: date,
    rules: Sequence[ScheduleRule],
    note: str = "",
    after: int | None = None,
    seen: str | None = None,
    actor: Actor,
    now: datetime,
) -> tuple[Schedule, Applied]:
    """Make a new version of a resource's schedule from a day on, and its slots follow at once.

    If that is too much for one transaction, it is made first and the slots follow in parts after it.
    Who books meanwhile a slot that is about to go keeps it, as those do who were in it before. If a
    part fails, the version stands, and the sweep lets the other slots follow.

    Args:
        rules: not saved yet; none closes the resource from that day on.
        after: the newest version the caller knows of (0: none), or None for whatever there is.
        seen: what the preview said, or None to do whatever has to be done.

    Raises:
        Invalid: a rule makes no sense, or there would be too many slots; nothing is changed.
        PlanChanged: it would do something else by now than what was previewed; nothing is changed.
        StaleVersion: there is a newer version than the caller knows of; nothing is changed.
    """
    in_parts = regenerating.may_divide()
    with (
        operation("schedule.change", actor=actor, resource=str(resource_id)) as op,
        transaction.atomic(savepoint=False),
        audited(actor, reason=note),
    ):
        resource = _in_turn(resource_id, organization_id)
        check_rules(resource, valid_from, rules, now=now)
        last = newest_number(resource)
        if after is not None and last > after:
            raise StaleVersion("Somebody else changed this schedule in the meantime.")
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
        for rule, key in zip(_in_order(rules), uuid7s(len(rules)), strict=True):
            rule.pk, rule.schedule = key, made
        ScheduleRule.objects.bulk_create(rules)
        done = regenerating.begin(resource, in_parts=in_parts, seen=seen, now=now)
        op.rows = 1 + len(rules) + regenerating.changed_rows(done)
        op.note(**done.counts())
    return made, regenerating.finish(done, actor=actor, reason=note, now=now)


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
        PlanChanged: see :func:`change_schedule`, as for slots that follow in parts.
    """
    in_parts, reason = regenerating.may_divide(), f"time zone {time_zone}"
    with (
        operation("resource.move_to_zone", actor=actor, resource=str(resource_id)) as op,
        transaction.atomic(savepoint=False),
        audited(actor, reason=reason),
    ):
        resource = _in_turn(resource_id, organization_id)
        today = _today_in(time_zone, now=now)
        Resource.objects.filter(pk=resource.pk).update(time_zone=time_zone)
        resource.time_zone = time_zone
        _copy_versions(resource, today, actor=actor, now=now)
        done = regenerating.begin(resource, in_parts=in_parts, seen=seen, now=now)
        op.rows = 1 + regenerating.changed_rows(done)
        op.note(**done.counts())
    return regenerating.finish(done, actor=actor, reason=reason, now=now)


def newest_number(resource: Resource) -> int:
    """The number of the newest version of a resource's schedule; 0 if it has none."""
    found = Schedule.objects.filter(resource=resource).aggregate(n=Max("number"))["n"]
    return int(found or 0)


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
        check_fields(rule, exclude=("id", "schedule"))
        # The same as the constraint of the table, which Django would ask the database for.
        if rule.valid_from and rule.valid_until and rule.valid_until < rule.valid_from:
            raise Invalid("The last day is not before the first.", field="valid_until")
        if resource.exclusive and rule.max_bookings != 1:
            raise Invalid(
                "An exclusive resource takes one booking at a time.", field="max_bookings"
            )


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


def _in_turn(resource_id: uuid.UUID, organization_id: uuid.UUID) -> Resource:
    """A resource with its planning lock and then its row locked, always in this order."""
    locks.schedules_of(organization_id)
    locks.planning([resource_id])
    return locks.resource(resource_id, organization_id=organization_id)


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
        for rule, key in zip(rules, uuid7s(len(rules)), strict=True):
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
