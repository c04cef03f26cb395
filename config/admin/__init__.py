"""The staff's site: everything that several apps share a page of (F3).

Pages import the apps' admins, which import this site to register with it: so the site imports
its pages only when they are asked for.
"""

from __future__ import annotations

import zoneinfo
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.db.models.base import ModelBase
from django.http import HttpRequest, HttpResponse, QueryDict
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.module_loading import import_string
from unfold.sites import UnfoldAdminSite

# What other packages register looks like the rest of the site, or is left out (None).
IN_OUR_CLOTHES: dict[str, str | None] = {
    "auth.Group": None,  # roles are memberships; see bookings/permissions.py
    "account.EmailAddress": "config.admin.others.Plain",
    "account.EmailConfirmation": "config.admin.others.Plain",
    "django_celery_beat.PeriodicTask": "config.admin.others.ScheduledTask",
    "django_celery_beat.CrontabSchedule": "config.admin.others.Plain",
    "django_celery_beat.IntervalSchedule": "config.admin.others.Plain",
    "django_celery_beat.ClockedSchedule": "config.admin.others.Plain",
    "django_celery_beat.SolarSchedule": None,
}


class HoldfastAdminSite(UnfoldAdminSite):
    """Django's admin for the staff of all organisations, each seeing their own."""

    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        one = isinstance(model_or_iterable, ModelBase)
        models: list[Any] = [model_or_iterable] if one else list(model_or_iterable)
        for model in models:
            ours = IN_OUR_CLOTHES.get(model._meta.label, "")
            if ours is None:
                continue
            chosen = admin_class
            if ours:
                chosen = type(admin_class.__name__, (import_string(ours), admin_class), {})
            super().register(model, chosen, **options)

    def admin_view(
        self, view: Callable[..., HttpResponse], cacheable: bool = False
    ) -> Callable[..., HttpResponse]:
        """Every page is on the clock of the person's organisation, also while it is rendered.

        And no address asks the database for a NUL, which it refuses.
        """
        inner = super().admin_view(view, cacheable)

        @wraps(inner)
        def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            request.GET = without_nul(request.GET)  # type: ignore[assignment]
            with timezone.override(zone_of(request)):
                response: Any = inner(request, *args, **kwargs)
                if hasattr(response, "render") and not response.is_rendered:
                    response.render()
                return response  # type: ignore[no-any-return]

        return wrapped

    def extra_urls(self) -> list[URLPattern]:
        from config.admin import check_in
        from config.admin.calendar import answer, book, move, panels  # noqa: F401
        from config.admin.calendar import page as calendar

        return [
            path("calendar/", self.admin_view(calendar.page), name="calendar"),
            path("calendar/book/", self.admin_view(book.page), name="calendar_book"),
            path(
                "calendar/move/<uuid:booking_id>/",
                self.admin_view(move.page),
                name="calendar_move",
            ),
            path(
                "calendar/answer/<uuid:booking_id>/<str:answer>/",
                self.admin_view(answer.page),
                name="calendar_answer",
            ),
            path("check-in/", self.admin_view(check_in.page), name="check_in"),
            path("check-in/payment/", self.admin_view(check_in.take_payment), name="check_in_pay"),
        ]

    def search(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        from config.admin import search

        return search.results(self, request)


def without_nul(sent: QueryDict) -> QueryDict:
    """The same without NUL characters, in which no address of ours has a use for them."""
    if not any("\0" in text for name, texts in sent.lists() for text in (name, *texts)):
        return sent
    clean = QueryDict(mutable=True)
    for name, texts in sent.lists():
        clean.setlist(name.replace("\0", ""), [str(text).replace("\0", "") for text in texts])
    clean._mutable = False
    return clean


def zone_of(request: HttpRequest) -> zoneinfo.ZoneInfo:
    """The time zone of the organisations somebody works in, or UTC if their clocks differ."""
    from bookings.models import Organization

    utc = zoneinfo.ZoneInfo("UTC")
    user: Any = request.user
    if not user.is_authenticated or not user.is_staff:
        return utc
    mine = user.staff_organization_ids()
    found = Organization.objects.filter(is_active=True)
    if mine is not None:
        found = found.filter(pk__in=mine)
    names = found.order_by("time_zone").values_list("time_zone", flat=True).distinct()
    zones = [zoneinfo.ZoneInfo(name) for name in names]
    now = timezone.now()
    clocks = {now.astimezone(zone).utcoffset() for zone in zones}
    return zones[0] if len(clocks) == 1 else utc
