"""Weekly series: what became of each date, and cancelling one, the rest or all of them (B1, A7, F3)."""

from __future__ import annotations

import hashlib
import uuid
import zoneinfo
from collections.abc import Sequence
from typing import Any, NamedTuple

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError
from django.db.models import Count, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.dateformat import format as date_format
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from audit.admin.scope import staff_actor
from audit.errors import DomainError
from bookings.admin.base import (
    LongListMixin,
    OwnOrganizationFilter,
    OwnRelatedFilter,
    ScopedModelAdmin,
    person,
    refusal,
)
from bookings.admin.bookings import BookingAdmin
from bookings.admin.show import DAY, NOTHING, badge, booking_badge, link_to, slot_time
from bookings.lifecycle import BOOKING, BookingStatus
from bookings.models import Booking, Series
from bookings.permissions import may
from payments import selectors
from payments.admin import words
from payments.admin.cancelling import CancelForm
from payments.services import cancellation, desk
from payments.services import series as services
from payments.services.series import Occurrence, Outcome

CHANGE = "bookings.change_booking"
TABLE = "admin/holdfast/table_panel.html"
ONE, LATER, ALL = "one", "later", "all"
CANCELLABLE = [status for status in BookingStatus if BOOKING.allows("cancel", status)]

OUTCOMES = {
    Outcome.FREE: (_("free"), "success"),
    Outcome.BOOKED: (_("booked"), "success"),
    Outcome.FULL: (_("full"), "warning"),
    Outcome.TAKEN: (_("taken by another booking"), "warning"),
    Outcome.CLOSED: (_("not offered"), "default"),
    Outcome.TOO_SOON: (_("too soon, by the rules"), "warning"),
    Outcome.TOO_FAR_AHEAD: (_("too far ahead, by the rules"), "warning"),
}


def outcome_badge(outcome: Outcome) -> SafeString:
    """What there is on a date, or what became of it."""
    return badge(*OUTCOMES[outcome])


def days(dates: Sequence[Occurrence], zone: str) -> list[tuple[str, SafeString]]:
    """Each date of a series that is only thought of, and what there is."""
    return [(_when(one, zone), outcome_badge(one.outcome)) for one in dates]


def _when(one: Occurrence, zone: str) -> str:
    day = date_format(one.date, DAY)
    if one.starts_at is None:
        return gettext("%s: the clock skips this hour") % day
    return f"{day}, {one.starts_at.astimezone(zoneinfo.ZoneInfo(zone)):%H:%M}"


class Going(NamedTuple):
    """What is to be cancelled: one booking, those from it on, or all that is to come."""

    scope: str
    start: Booking | None
    bookings: list[Booking]

    @property
    def seen(self) -> str:
        """The mark of what was looked at."""
        facts = [(str(b.pk), b.version) for b in self.bookings]
        return hashlib.sha256(repr((self.scope, facts)).encode()).hexdigest()


@admin.register(Series)
class SeriesAdmin(LongListMixin, ScopedModelAdmin):
    """What was asked for stays as it was; each of its bookings has a life of its own."""

    provider_path = "resource__provider"
    list_display = ("customer", "resource", "show_first", "show_rhythm", "units", "show_live")
    list_filter = (
        ("resource", OwnRelatedFilter),
        ("organization", OwnOrganizationFilter),
    )
    list_select_related = ("customer", "resource")
    search_fields = ("customer__name", "customer__email")
    search_help_text = _("Name or e-mail address of the customer")
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("show_customer", "show_resource"),
                    ("show_first", "show_rhythm"),
                    ("units", "organization"),
                )
            },
        ),
    )
    readonly_fields = ("show_customer", "show_resource", "show_first", "show_rhythm")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        going = Q(bookings__status__in=CANCELLABLE, bookings__slot__starts_at__gt=timezone.now())
        to_come = Count("bookings", filter=going & Q(bookings__stands_for__isnull=True))
        found: QuerySet[Any] = super().get_queryset(request)
        counted: QuerySet[Any] = found.annotate(to_come=to_come)
        return counted.select_related("customer", "resource")

    def get_urls(self) -> list[URLPattern]:
        page = path(
            "<uuid:pk>/cancel/",
            self.admin_site.admin_view(self.cancel_page),
            name="bookings_series_cancel",
        )
        return [page, *super().get_urls()]

    # --- cancelling --------------------------------------------------------------------------

    def cancel_page(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        """Show which bookings go and what becomes of the money, ask why, then do it."""
        series: Series | None = self.get_object_or_none(request, str(pk))
        if series is None:
            raise Http404
        if not may(person(request), CHANGE, series.organization_id):
            raise PermissionDenied
        now = timezone.now()
        going = _going(request, series)
        back = reverse("admin:bookings_series_change", args=[series.pk])
        form = CancelForm(request.POST or None)
        costs = selectors.costs(going.bookings, keep_fee=True, now=now)
        if not any(cost.fee for cost in costs):
            del form.fields["keep_fee"]
        else:
            form.fields["keep_fee"].help_text = words.what_is_kept(costs)
        notice, error = "", ""
        if form.is_valid():
            if request.POST.get("seen") != going.seen:
                notice = gettext("Something changed since you looked: this is what goes now.")
            else:
                error = self._cancel(request, series, going, form.cleaned_data)
                if not error:
                    return HttpResponseRedirect(back)
        return TemplateResponse(
            request,
            "admin/payments/series_cancel.html",
            {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "title": _titles()[going.scope],
                "series": series,
                "going": going,
                "rows": [(link_to(b), slot_time(b.slot), booking_badge(b)) for b in going.bookings],
                "money": words.what_is_paid_back(costs),
                "form": form,
                "notice": notice,
                "error": error,
                "back": back,
            },
            status=409 if notice else 200,
        )

    def _cancel(
        self, request: HttpRequest, series: Series, going: Going, said: dict[str, Any]
    ) -> str:
        """Call the service; returns why it was refused, or nothing."""
        common = {
            "organization_id": series.organization_id,
            "actor": staff_actor(request),
            "reason": said["reason"],
            "keep_fee": said.get("keep_fee", False),
            "now": timezone.now(),
        }
        try:
            if going.scope == ONE and going.start is not None:
                start = going.start
                cancellation.cancel_booking(booking_id=start.pk, version=start.version, **common)
                count = 1
            else:
                first = going.start.pk if going.start else None
                done = services.cancel_series(series_id=series.pk, from_booking_id=first, **common)
                count = len(done.cancelled)
        except (DomainError, DatabaseError) as error:
            found = refusal(error)
            if found is None:
                raise
            return found
        text = ngettext(
            "%d booking is cancelled; its seats are free again.",
            "%d bookings are cancelled; their seats are free again.",
            count,
        )
        self.message_user(request, text % count, messages.SUCCESS)
        return ""

    # --- columns -----------------------------------------------------------------------------

    @display(description=_("customer"))
    def show_customer(self, series: Series) -> SafeString:
        return link_to(series.customer)

    @display(description=_("resource"))
    def show_resource(self, series: Series) -> SafeString:
        return link_to(series.resource)

    @display(description=_("first"), ordering="starts_at")
    def show_first(self, series: Series) -> str:
        return first_time(series)

    @display(description=_("how often"), ordering="times")
    def show_rhythm(self, series: Series) -> str:
        return rhythm(series)

    @display(description=_("to come"))
    def show_live(self, series: Any) -> int:
        return int(series.to_come)


def _titles() -> dict[str, str]:
    return {
        ONE: gettext("Cancel one date of a series"),
        LATER: gettext("Cancel the rest of a series"),
        ALL: gettext("Cancel all that is to come of a series"),
    }


def _going(request: HttpRequest, series: Series) -> Going:
    """What the address asks to cancel, of what can be."""
    scope = request.GET.get("scope", ALL)
    if scope not in (ONE, LATER, ALL):
        raise Http404
    now = timezone.now()
    if scope == ALL:
        return Going(scope, None, services.to_come(series, now=now))
    try:
        start = uuid.UUID(request.GET.get("booking", ""))
        bookings = services.to_come(series, from_booking_id=start, now=now)
    except (ValueError, DomainError):
        raise Http404 from None
    if scope == ONE:
        bookings = [b for b in bookings if b.pk == start]
    first = Booking.objects.select_related("slot__resource").get(pk=start)
    return Going(scope, first, bookings)


def first_time(series: Series) -> str:
    start = series.starts_at.astimezone(zoneinfo.ZoneInfo(series.resource.time_zone))
    end = series.ends_at.astimezone(zoneinfo.ZoneInfo(series.resource.time_zone))
    return f"{date_format(start, DAY)}, {start:%H:%M}–{end:%H:%M}"


def rhythm(series: Series) -> str:
    if series.every_weeks == 1:
        return gettext("%d times, every week") % series.times
    return gettext("%(times)d times, every %(weeks)d weeks") % {
        "times": series.times,
        "weeks": series.every_weeks,
    }


def _cancel_url(series: Series, scope: str, booking: Booking | None = None) -> str:
    url = reverse("admin:bookings_series_cancel", args=[series.pk])
    return f"{url}?scope={scope}" + (f"&booking={booking.pk}" if booking else "")


# --- panels -----------------------------------------------------------------------------------


def dates_of_series(request: HttpRequest, series: Series) -> tuple[str, dict[str, Any]]:
    """Each date: its booking, or what there is now; and those that were moved."""
    now = timezone.now()
    found = services.standing(series, now=now)
    zone = series.resource.time_zone
    allowed = may(person(request), desk.BOOK, series.organization_id)
    rows = [
        [_when(one, zone), *_of_date(one, series, allowed=allowed, over=_over(one, now))]
        for one in found.dates
    ]
    rows += [
        [slot_time(b.slot), link_to(b), booking_badge(b), gettext("moved here")]
        for b in found.elsewhere
    ]
    booked = sum(one.booking is not None for one in found.dates) + len(found.elsewhere)
    shown: dict[str, Any] = {
        "title": gettext("%(booked)d of %(times)d dates were booked")
        % {"booked": booked, "times": series.times},
        "headers": [gettext("When"), gettext("Booking"), gettext("Status"), ""],
        "rows": rows,
    }
    if allowed and services.to_come(series, now=now):
        shown["more"] = _cancel_url(series, ALL)
        shown["more_text"] = gettext("Cancel all that is to come")
    return TABLE, shown


def _over(one: Occurrence, now: Any) -> bool:
    return one.starts_at is not None and one.starts_at <= now


def _of_date(one: Occurrence, series: Series, *, allowed: bool, over: bool) -> list[Any]:
    if one.booking is not None:
        return [link_to(one.booking), booking_badge(one.booking), ""]
    if over:
        return [NOTHING, badge(gettext("was not booked")), ""]
    more: Any = ""
    if allowed and one.outcome == Outcome.FREE and one.slot is not None:
        more = link_to(one.slot, gettext("Open the slot"))
    return [NOTHING, outcome_badge(one.outcome), more]


def series_of_booking(request: HttpRequest, booking: Booking) -> tuple[str, dict[str, Any]] | None:
    """The other dates of its series, and ways to cancel one, the rest or all."""
    if booking.series_id is None:
        return None
    series = Series.objects.select_related("resource", "customer").get(pk=booking.series_id)
    if not may(person(request), "bookings.view_series", series.organization_id):
        return None
    found = Booking.objects.filter(series=series, stands_for__isnull=True)
    bookings = found.select_related("slot__resource").order_by("slot__starts_at", "pk")
    coming = services.to_come(series, now=timezone.now())
    ways = []
    if coming and may(person(request), CHANGE, series.organization_id):
        later = services.to_come(series, from_booking_id=booking.pk, now=timezone.now())
        if booking.pk in [b.pk for b in coming]:
            ways.append((_cancel_url(series, ONE, booking), gettext("Cancel this one")))
        if later and len(later) < len(coming):
            text = gettext("Cancel this and what comes after it")
            ways.append((_cancel_url(series, LATER, booking), text))
        ways.append((_cancel_url(series, ALL), gettext("Cancel all that is to come")))
    return "admin/payments/series_panel.html", {
        "series": series,
        "url": reverse("admin:bookings_series_change", args=[series.pk]),
        "rhythm": rhythm(series),
        "rows": [
            (b.pk == booking.pk, slot_time(b.slot), link_to(b), booking_badge(b)) for b in bookings
        ],
        "ways": ways,
    }


SeriesAdmin.panels.append(dates_of_series)
BookingAdmin.panels.append(series_of_booking)
