"""Schedules for tests: a morning in March 2031, when nothing has begun, and rules in one line."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from audit.consistency.registry import Scope, registry
from audit.context import Actor
from bookings import planning, selectors_schedules
from bookings.models import Booking, Resource, ScheduleException, ScheduleRule, Slot
from bookings.services import closings, regenerating, schedules, slot_plans
from tests import factories as f
from tests.invariants import assert_consistent

STAFF = Actor("staff", None, "Mia")
# For the database all of this is far ahead, so that people can be put into any slot.
NOW = datetime(2031, 3, 3, 7, 30, tzinfo=UTC)  # a Monday
TODAY = NOW.date()
DAY = timedelta(days=1)


def room(**fields: Any) -> Resource:
    """A resource for several people at a time, in UTC, planned for ten days and today."""
    made: Resource = f.ResourceFactory(**{"horizon_days": 10, "time_zone": "UTC", **fields})
    return made


def rule(**fields: Any) -> ScheduleRule:
    """From nine to five every day, hour by hour, three bookings each."""
    given: dict[str, Any] = {"from_time": time(9), "until_time": time(17), "max_bookings": 3}
    given = {**given, "max_units": 3, **fields}
    return ScheduleRule(**given)


def change(
    resource: Resource,
    *rules: ScheduleRule,
    valid_from: date = TODAY,
    now: datetime = NOW,
    **kwargs: Any,
) -> regenerating.Applied:
    """A new version."""
    return schedules.change_schedule(
        resource_id=resource.pk,
        organization_id=resource.organization_id,
        valid_from=valid_from,
        rules=rules,
        actor=STAFF,
        now=now,
        **kwargs,
    )[1]


def regenerate(resource: Resource, *, now: datetime = NOW) -> regenerating.Applied:
    return regenerating.regenerate(resource_id=resource.pk, actor=STAFF, now=now)


def closed(resource: Resource | None, first: date, last: date | None = None, **fields: Any) -> Any:
    """A closure, not saved."""
    given = {"kind": "closed", "name": "Closed", **fields}
    return ScheduleException(resource=resource, first_day=first, last_day=last or first, **given)


def extra(resource: Resource, day: date, start: int, end: int, **fields: Any) -> Any:
    """Extra hours, not saved."""
    hours = {"from_time": time(start), "until_time": time(end), "max_bookings": 3, "max_units": 3}
    return closed(resource, day, kind="extra", **{**hours, **fields})


def add(
    resource: Resource, *exceptions: ScheduleException, now: datetime = NOW, **kwargs: Any
) -> regenerating.Applied:
    return closings.add_exceptions(
        organization_id=kwargs.pop("organization_id", resource.organization_id),
        exceptions=exceptions,
        actor=STAFF,
        now=now,
        **kwargs,
    )


def withdraw(
    resource: Resource, ids: Collection[Any], *, now: datetime = NOW, **kwargs: Any
) -> regenerating.Applied:
    return closings.withdraw_exceptions(
        organization_id=kwargs.pop("organization_id", resource.organization_id),
        exception_ids=ids,
        actor=STAFF,
        now=now,
        **kwargs,
    )


def slots(resource: Resource, **conditions: Any) -> list[Slot]:
    return list(Slot.objects.filter(resource=resource, **conditions).order_by("starts_at", "pk"))


def slot_at(resource: Resource, day: date, hour: int, minute: int = 0) -> Slot:
    """The one slot of a resource that starts then, UTC."""
    start = datetime.combine(day, time(hour, minute), UTC)
    return Slot.objects.get(resource=resource, starts_at=start)


def somebody(resource: Resource) -> Any:
    return f.CustomerFactory(organization=resource.organization)


def booked(slot: Slot, customer: Any = None, *, units: int = 1, now: datetime = NOW) -> Booking:
    """A confirmed booking."""
    customer = customer or somebody(slot.resource)
    done = f.check_out(customer, slot, units=units, now=now)
    booking: Booking = done.items.select_related("booking__slot__resource").get().booking
    assert booking.status == "confirmed"
    return booking


def offered(resource: Resource) -> set[tuple[int, int]]:
    """When the slots that a schedule offers start and end, in seconds."""
    return {
        (int(s.starts_at.timestamp()), int(s.ends_at.timestamp()))
        for s in slots(resource, status="open", source="schedule")
    }


def planned(resource: Resource, *, now: datetime = NOW) -> set[tuple[int, int]]:
    """When the rules say that slots start and end."""
    return {(p.starts_at, p.ends_at) for p in planned_slots(resource, now=now)}


def planned_slots(resource: Resource, *, now: datetime = NOW) -> list[planning.Planned]:
    """The slots that the rules make, as if nobody were anywhere else."""
    resource.refresh_from_db()
    rules = selectors_schedules.rules_of([resource], since=now.date())[resource.pk]
    return planning.plan(
        rules.versions,
        rules.closures,
        rules.extras,
        start=int(now.timestamp()) + 1,
        end=slot_plans.end_of_horizon(resource, now=now),
    )


def assert_follows(*resources: Resource, now: datetime = NOW) -> None:
    """Slots are as the rules say, nothing is left to do, and nothing is wrong anywhere.

    What is planned is missing only where people in legacy slots take the room.
    """
    assert_consistent()
    checks = registry.checks(["bookings.slots_follow_rules"])
    assert [p for check in checks for p in check.function(Scope(now=now))] == []
    for resource in resources:
        [plan] = regenerating.preview(resources=[resource], now=now).plans
        taken = {(p.starts_at, p.ends_at) for p in plan.fewer}
        wanted = planned(resource, now=now)
        assert wanted - taken <= offered(resource) <= wanted
        assert plan.is_empty, plan.counts()


def statuses(rows: Sequence[Any]) -> list[str]:
    """Of rows, as they are now."""
    found = type(rows[0]).objects.in_bulk([r.pk for r in rows])
    return [found[r.pk].status for r in rows]
