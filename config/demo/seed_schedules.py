"""When the demo's venues are open: versions of rules, and the days that differ.

Everything goes through the service, which takes the days on which it was done as its ``now``:
resources were opened two weeks ago, so that there is a past to fill, and what came later came
later. Slots lie on the wall clock of the place, so that a court opens at seven on both sides of
a change to summer time.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from audit.context import Actor
from bookings import selectors_schedules
from bookings.models import Organization, Resource, ScheduleException
from bookings.services import closings, regenerating, schedules
from config.demo.seed_people import staff_actor
from config.demo.seed_venues import LAKESIDE, OFFERS, RIVERSIDE, Offer, Open

DAYS_BACK = 14
DAY = timedelta(days=1)
# The courts closed earlier until a week ago, and will open later in two weeks.
COURTS_BEFORE, COURTS_LATER = Open("07:00", "21:00", 60), Open("08:00", "23:00", 60)
HALL_DAYS_BACK = 3  # it is new
# Month and day; next time they come.
HOLIDAYS = {
    RIVERSIDE: {"New Year's Day": (1, 1), "Labour Day": (5, 1), "Christmas Day": (12, 25)},
    LAKESIDE: {"New Year's Day": (1, 1), "National Day": (8, 1), "Christmas Day": (12, 25)},
}


def open_venues(organizations: dict[str, Organization], *, actor: Actor, now: datetime) -> None:
    """Give every resource its schedule, and fill its horizon."""
    resources = {
        (r.organization_id, r.name): r
        for r in Resource.objects.filter(organization__in=organizations.values())
    }
    managers = {
        RIVERSIDE: staff_actor("manager@riverside.example"),
        LAKESIDE: staff_actor("owner@riverside.example"),  # who owns both
    }
    for slug, organization in organizations.items():
        for offer in OFFERS[slug]:
            if offer.hours:
                resource = resources[organization.pk, offer.name]
                _open(resource, offer, actor=managers[slug], now=now)
        _add_days(organization, resources, slug, actor=managers[slug], now=now)
    extend(organizations, actor=actor, now=now)


def extend(organizations: dict[str, Organization], *, actor: Actor, now: datetime) -> None:
    """Fill the horizons, as the nightly sweep does; on the same day nothing changes."""
    planned = selectors_schedules.planned().filter(organization__in=organizations.values())
    for resource_id in planned.values_list("pk", flat=True):
        regenerating.regenerate(resource_id=resource_id, actor=actor, now=now)


def _open(resource: Resource, offer: Offer, *, actor: Actor, now: datetime) -> None:
    if offer.name.startswith("Court"):
        first, last = now - DAYS_BACK * DAY, now - 7 * DAY
        coming = _today(resource, now) + 14 * DAY
        _version(resource, offer, [COURTS_BEFORE], "Opened.", actor=actor, now=first)
        _version(resource, offer, offer.hours, "Open until eleven.", actor=actor, now=last)
        _version(
            resource, offer, [COURTS_LATER], "Winter hours.", actor=actor, now=now - DAY, day=coming
        )
    else:
        begun = now - (HALL_DAYS_BACK if offer.parts else DAYS_BACK) * DAY
        _version(resource, offer, offer.hours, "Opened.", actor=actor, now=begun)


def _version(
    resource: Resource,
    offer: Offer,
    hours: Sequence[Open],
    note: str,
    *,
    actor: Actor,
    now: datetime,
    day: date | None = None,
) -> None:
    schedules.change_schedule(
        resource_id=resource.pk,
        organization_id=resource.organization_id,
        valid_from=day or _today(resource, now),
        rules=[each.rule(offer) for each in hours],
        note=note,
        actor=actor,
        now=now,
    )


def _add_days(
    organization: Organization,
    resources: dict[tuple[UUID, str], Resource],
    slug: str,
    *,
    actor: Actor,
    now: datetime,
) -> None:
    """Holidays of a venue, and at the clinic an afternoon that is closed and extra hours."""
    today = now.astimezone(ZoneInfo(organization.time_zone)).date()
    exceptions = [
        ScheduleException(kind="holiday", name=name, first_day=day, last_day=day)
        for name, day in ((n, _next(today, *when)) for n, when in HOLIDAYS[slug].items())
    ]
    if slug == LAKESIDE:
        outing = _next_weekday(today + 9 * DAY, 4)
        saturday = _next_weekday(today + 2 * DAY, 6)
        lena = resources[organization.pk, "Dr. Lena Brunner"]
        exceptions += [
            ScheduleException(
                kind="closed",
                name="Team outing",
                first_day=outing,
                last_day=outing,
                from_time=time(13),
                until_time=time(18),
            ),
            ScheduleException(
                kind="extra",
                name="Flu vaccinations",
                resource=lena,
                first_day=saturday,
                last_day=saturday,
                from_time=time(9),
                until_time=time(12),
                slot_minutes=20,
                gap_minutes=5,
                buffer_after_minutes=5,
            ),
        ]
    closings.add_exceptions(
        organization_id=organization.pk, exceptions=exceptions, actor=actor, now=now - 2 * DAY
    )


def _today(resource: Resource, now: datetime) -> date:
    return now.astimezone(ZoneInfo(resource.time_zone)).date()


def _next(today: date, month: int, day: int) -> date:
    this_year = date(today.year, month, day)
    return this_year if this_year >= today else date(today.year + 1, month, day)


def _next_weekday(day: date, weekday: int) -> date:
    return day + (weekday - day.isoweekday()) % 7 * DAY
