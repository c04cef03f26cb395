"""How times, statuses and fill levels look in the admin."""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.urls import reverse
from django.utils import timezone
from django.utils.dateformat import format as date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext

from bookings.lifecycle import BookingStatus, SlotStatus
from bookings.models import Booking, Slot

BOOKING_COLOURS = {
    BookingStatus.HELD.value: "info",
    BookingStatus.PENDING.value: "warning",
    BookingStatus.CONFIRMED.value: "success",
    BookingStatus.RESCHEDULE_PROPOSED.value: "warning",
    BookingStatus.CHECKED_IN.value: "primary",
    BookingStatus.COMPLETED.value: "primary",
    BookingStatus.NO_SHOW.value: "danger",
    BookingStatus.REJECTED.value: "danger",
    BookingStatus.EXPIRED.value: "default",
    BookingStatus.CANCELLED.value: "default",
}
SLOT_COLOURS = {
    SlotStatus.OPEN.value: "success",
    SlotStatus.CLOSED.value: "warning",
    SlotStatus.LEGACY.value: "default",
}

DAY = "D j M Y"
DAY_AND_TIME = "D j M Y, H:i"
NOTHING = "–"
HARD = "\N{NO-BREAK SPACE}"


def local(moment: datetime, zone: str = "") -> datetime:
    """A moment on the clock of a place, or of the reader if none is named."""
    return timezone.localtime(moment, zoneinfo.ZoneInfo(zone) if zone else None)


def when(moment: datetime | None, zone: str = "") -> str:
    """Day and time; with the zone's name where its clock differs from the reader's."""
    if moment is None:
        return NOTHING
    there = local(moment, zone)
    return date_format(there, DAY_AND_TIME) + _zone_name(there, moment)


def slot_time(slot: Slot) -> str:
    """From when to when, on the clock of the resource; it must be loaded."""
    zone = slot.resource.time_zone
    start, end = local(slot.starts_at, zone), local(slot.ends_at, zone)
    same_day = (end - timedelta(microseconds=1)).date() == start.date()  # midnight ends a day
    last = f"{end:%H:%M}" if same_day else date_format(end, DAY_AND_TIME)
    return f"{date_format(start, DAY_AND_TIME)}–{last}{_zone_name(start, slot.starts_at)}"


def slot_hours(slot: Slot) -> str:
    """The hours alone, for lists of one day."""
    zone = slot.resource.time_zone
    start, end = local(slot.starts_at, zone), local(slot.ends_at, zone)
    return f"{start:%H:%M}–{end:%H:%M}{_zone_name(start, slot.starts_at)}"


def _zone_name(there: datetime, moment: datetime) -> str:
    here = timezone.localtime(moment)
    return "" if here.utcoffset() == there.utcoffset() else f" ({there.tzinfo})"


def ago(moment: datetime | None, *, now: datetime) -> str:
    """How long something waits: ``3 h 20 min``, ``2 days 4 h``."""
    if moment is None:
        return NOTHING
    minutes = max(0, int((now - moment).total_seconds() // 60))
    days, hours = divmod(minutes // 60, 24)
    if days:
        text = ngettext("%(days)d day", "%(days)d days", days) % {"days": days}
        return f"{text} {hours}{HARD}h" if hours else text
    if hours:
        return f"{hours}{HARD}h {minutes % 60}{HARD}min"
    return gettext("%d min") % minutes


def people(count: int) -> str:
    return ngettext("%d person", "%d people", count) % count


def bar(taken: int, most: int, *, title: str = "") -> SafeString:
    """A fill level in words and as a bar."""
    share = min(100, round(100 * taken / most)) if most else 0
    return format_html(
        '<span class="hf-bar{}" title="{}"><span class="hf-bar-text">{} / {}</span>'
        '<span class="hf-bar-track"><span class="hf-bar-fill hf-w-{}"></span></span></span>',
        " hf-bar-full" if taken >= most else "",
        title,
        taken,
        most,
        5 * round(share / 5),
    )


def link(url: str, text: Any) -> SafeString:
    return format_html('<a class="hf-link" href="{}">{}</a>', url, text)


def link_to(obj: Any, text: Any = None) -> SafeString:
    """A link to an object's own page."""
    meta = obj._meta
    url = reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[obj.pk])
    return link(url, obj if text is None else text)


def badge(text: Any, colour: str = "default") -> SafeString:
    return format_html('<span class="hf-badge hf-{}">{}</span>', colour, text)


def booking_badge(booking: Booking) -> SafeString:
    return badge(booking.get_status_display(), BOOKING_COLOURS[booking.status])


def slot_badge(slot: Slot) -> SafeString:
    return badge(slot.get_status_display(), SLOT_COLOURS[slot.status])


def lines(values: Iterable[Any]) -> SafeString:
    return format_html_join(SafeString("<br>"), "{}", ((v,) for v in values))
