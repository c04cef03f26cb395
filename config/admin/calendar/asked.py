"""What an address of the calendar asks for, and the addresses that lead on from it."""

from __future__ import annotations

import uuid
import zoneinfo
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from urllib.parse import urlencode

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse

from bookings.admin.base import typed
from bookings.models import Organization, Resource, Slot

DAY, WEEK = "day", "week"
COLUMNS = 12
EARLIEST, LATEST = date(2000, 1, 1), date(2200, 1, 1)


@dataclass(frozen=True, slots=True)
class Asked:
    """One organisation, its resources, and which of them on which days."""

    view: str
    day: date
    today: date
    organization: Organization | None
    organizations: list[Organization]
    kind: str
    names: str
    chosen: frozenset[uuid.UUID]
    page: int
    pages: int
    offered: list[Resource]  # everything of the organisation that this person may see
    found: list[Resource]  # what of it is asked for

    @property
    def shown(self) -> list[Resource]:
        """The resources with a column on this page; the one of a week."""
        if self.view == WEEK:
            return self.found[:1]
        return self.found[(self.page - 1) * COLUMNS : self.page * COLUMNS]

    @property
    def days(self) -> list[date]:
        if self.view == DAY:
            return [self.day]
        monday = self.day - timedelta(days=self.day.weekday())
        return [monday + timedelta(days=n) for n in range(7)]

    @property
    def step(self) -> timedelta:
        return timedelta(days=1 if self.view == DAY else 7)

    @property
    def is_filtered(self) -> bool:
        return bool(self.kind or self.names or self.chosen)

    def url(self, **changes: object) -> str:
        """This address with some of it changed; None leaves a part out."""
        parts: dict[str, object] = {
            "view": self.view,
            "day": self.day.isoformat(),
            "organization": self.organization.slug
            if self.organization and len(self.organizations) > 1
            else None,
            "kind": self.kind or None,
            "names": self.names or None,
            "resource": [str(r.pk) for r in self.offered if r.pk in self.chosen] or None,
            "page": self.page if self.page > 1 and self.view == DAY else None,
            **changes,
        }
        left = {name: value for name, value in parts.items() if value is not None}
        return f"{reverse('admin:calendar')}?{urlencode(left, doseq=True)}"


def read(request: HttpRequest, resources: QuerySet[Resource], *, now: datetime) -> Asked:
    """What is asked for, in one statement; what makes no sense counts as not asked.

    Args:
        resources: as far as this person may see them.
    """
    still_used = Slot.objects.filter(resource=OuterRef("pk"), taken_bookings__gt=0)
    everything = list(
        resources.select_related(None)
        .select_related("organization")
        .filter(Q(is_active=True) | Exists(still_used), organization__is_active=True)
        .order_by("name", "pk")
    )
    organizations = sorted(
        {r.organization_id: r.organization for r in everything}.values(), key=lambda o: o.name
    )
    slug = typed(request.GET, "organization")
    named = [one for one in organizations if one.slug == slug]
    organization = next(iter(named or organizations), None)
    offered = [r for r in everything if organization and r.organization_id == organization.pk]
    view = WEEK if request.GET.get("view") == WEEK else DAY
    kind = typed(request.GET, "kind")
    names = typed(request.GET, "names")
    wanted = set(request.GET.getlist("resource")[:500])
    chosen = frozenset(r.pk for r in offered if str(r.pk) in wanted)
    found = _matching(offered, kind=kind, names=names, chosen=chosen)
    zone = zoneinfo.ZoneInfo(organization.time_zone if organization else "UTC")
    today = now.astimezone(zone).date()
    pages = max(1, -(-len(found) // COLUMNS))
    return Asked(
        view=view,
        day=clamped(typed(request.GET, "day"), today),
        today=today,
        organization=organization,
        organizations=organizations,
        kind=kind if kind in Resource.Kind.values else "",
        names=names,
        chosen=chosen,
        page=min(max(1, number(typed(request.GET, "page"))), pages),
        pages=1 if view == WEEK else pages,
        offered=offered,
        found=found,
    )


def _matching(
    offered: Sequence[Resource], *, kind: str, names: str, chosen: frozenset[uuid.UUID]
) -> list[Resource]:
    """Those of a kind, with one of the names in their own, and among the chosen if any are."""
    texts = [text.strip().lower() for text in names.split(",") if text.strip()]
    return [
        r
        for r in offered
        if (kind not in Resource.Kind.values or r.kind == kind)
        and (not texts or any(text in r.name.lower() for text in texts))
        and (not chosen or r.pk in chosen)
    ]


def clamped(text: str, today: date) -> date:
    """The day of a text, between the years 2000 and 2200; ``today`` if it is none."""
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return today
    return min(max(found, EARLIEST), LATEST)


def number(text: str, otherwise: int = 1) -> int:
    """The whole number of a text, up to six digits; ``otherwise`` if it is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else otherwise
