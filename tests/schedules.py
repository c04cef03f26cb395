"""Schedules for tests, in few words: rules, changes, days that differ, and what is offered then."""

from __future__ import annotations

import zoneinfo
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.utils import timezone

from audit.context import Actor
from bookings.models import Resource, ScheduleException, ScheduleRule, Slot
from bookings.services import schedules
from bookings.services.schedules import Applied
from tests import factories as f

STAFF = Actor("staff", None, "Mia")
DAY = timedelta(days=1)


def court(**fields: Any) -> Any:
    """A resource in UTC, planned ten days ahead, with no schedule yet."""
    return f.ResourceFactory(**{"horizon_days": 10, "time_zone": "UTC", **fields})


def rule(hours: str = "09-17", **fields: Any) -> ScheduleRule:
    """A rule, not saved: slots of an hour on every day."""
    return ScheduleRule(**{**_hours(hours), "slot_minutes": 60, **fields})


def _hours(text: str) -> dict[str, time]:
    """What "09-17" and "09:30-17" say."""
    opens, closes = (time.fromisoformat(part) for part in text.split("-"))
    return {"from_time": opens, "until_time": closes}


def change(resource: Resource, *rules: ScheduleRule, in_days: int = 0, **kwargs: Any) -> Applied:
    """A new version of a schedule, from today in the resource's zone or so many days later."""
    now = kwargs.pop("now", None) or timezone.now()
    given = {
        "resource_id": resource.pk,
        "organization_id": resource.organization_id,
        "valid_from": today(resource, now) + in_days * DAY,
        "rules": list(rules),
        "actor": STAFF,
        "now": now,
    }
    return schedules.change_schedule(**(given | kwargs))[1]


def today(resource: Resource, now: datetime | None = None) -> date:
    return (now or timezone.now()).astimezone(zoneinfo.ZoneInfo(resource.time_zone)).date()


def in_days(days: int, resource: Resource | None = None) -> date:
    return (today(resource) if resource else timezone.now().astimezone(UTC).date()) + days * DAY


def exception(
    kind: str, resource: Resource | None, day: date, hours: str = "", **fields: Any
) -> ScheduleException:
    """A day that differs, not saved."""
    given: dict[str, Any] = {"name": kind, "first_day": day, "last_day": day, "slot_minutes": 60}
    given |= _hours(hours) if hours else {}
    return ScheduleException(**{**given, "kind": kind, "resource": resource, **fields})


def add(organization: Any, *exceptions: ScheduleException, **kwargs: Any) -> Applied:
    given = {
        "organization_id": organization.pk,
        "exceptions": list(exceptions),
        "actor": STAFF,
        "now": timezone.now(),
    }
    return schedules.add_exceptions(**(given | kwargs))


def close(resource: Resource, day: date, hours: str = "", **kwargs: Any) -> Applied:
    """Close a resource on a day, or in these hours of it."""
    return add(resource.organization, exception("closed", resource, day, hours), **kwargs)


def regenerate(resource: Resource, now: datetime | None = None) -> Applied:
    return schedules.regenerate(resource_id=resource.pk, actor=STAFF, now=now or timezone.now())


def slots_of(resource: Resource, **where: Any) -> list[Slot]:
    return list(Slot.objects.filter(resource=resource, **where).order_by("starts_at", "pk"))


def slot_at(resource: Resource, day: date, at: str = "11:00", **where: Any) -> Slot:
    """The only slot that starts at this time of the clock on the wall."""
    start = datetime.combine(day, time.fromisoformat(at), zoneinfo.ZoneInfo(resource.time_zone))
    return Slot.objects.get(resource=resource, starts_at=start, **where)


def times(resource: Resource, day: date, status: str = "open") -> list[str]:
    """When slots start on a day, as the clock on the wall shows it."""
    zone = zoneinfo.ZoneInfo(resource.time_zone)
    starts = [s.starts_at.astimezone(zone) for s in slots_of(resource, status=status)]
    return [f"{start:%H:%M}" for start in starts if start.date() == day]


def every_hour(first: int, last: int) -> list[str]:
    """What ``times`` shows of hourly slots, the last one included."""
    return [f"{hour:02}:00" for hour in range(first, last + 1)]


def somebody(resource: Resource) -> Any:
    return f.CustomerFactory(organization=resource.organization)


def hold(slot: Slot, units: int = 1) -> Any:
    """A hold of somebody new in a slot as it is now."""
    return f.hold(somebody(slot.resource), Slot.objects.get(pk=slot.pk), units)


def confirmed(slot: Slot, units: int = 1) -> Any:
    """A confirmed booking of somebody new; the resource has no price."""
    transaction = f.check_out(somebody(slot.resource), slot, units=units)
    return transaction.items.get().booking
