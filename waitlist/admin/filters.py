"""What the list of the line can be narrowed to."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import DropdownFilter

from bookings.admin.bookings import StartFilter
from waitlist.admin import show
from waitlist.lifecycle import GOING_ON, EntryStatus, OfferStatus
from waitlist.models import Offer

SOON, OVER, ALL = "soon", "over", "all"  # besides a status


class LineFilter(DropdownFilter):
    """Who is in line, unless somebody asks for others."""

    title = _("status")
    parameter_name = "line"
    all_option = None

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            ("", _("In line")),
            (SOON, _("Offer ends within an hour")),
            *((value, capfirst(str(label))) for value, label in EntryStatus.choices),
            (OVER, _("Over")),
            (ALL, _("All")),
        ]

    def queryset(self, request: HttpRequest, queryset: models.QuerySet) -> models.QuerySet:
        value = self.value()
        if value in EntryStatus.values:
            return queryset.filter(status=value)
        if value == SOON:
            soon = Offer.objects.filter(
                status=OfferStatus.OPEN, expires_at__lte=timezone.now() + show.SOON
            )
            return queryset.filter(pk__in=soon.values("entry"))
        if value == OVER:
            return queryset.exclude(status__in=GOING_ON)
        return queryset if value == ALL else queryset.filter(status__in=GOING_ON)


class WantedFilter(StartFilter):
    """When the slots lie that somebody waits for; also who waits for any time on that day."""

    title = _("for when")

    def queryset(self, request: HttpRequest, queryset: models.QuerySet) -> models.QuerySet:
        start, end = self.span()
        slot, window = Q(slot__isnull=False), Q(slot__isnull=True)
        if start:
            slot, window = slot & Q(slot__starts_at__gte=start), window & Q(until_at__gt=start)
        if end:
            slot, window = slot & Q(slot__starts_at__lt=end), window & Q(from_at__lt=end)
        return queryset.filter(slot | window) if start or end else queryset
