"""What a payload says in data, in words: moments in ISO 8601, and codes.

    {% load moments %}
    {% span booking.starts_at booking.ends_at booking.time_zone %}   a stretch of time there
    {{ due_at|moment }}                                              in the reader's zone
    {{ due_at|moment:booking.time_zone }}                            in another
    {{ payment_method|words }}                                       a code such as bank_transfer

Whatever is not a moment becomes nothing: a message with a gap is better than none.
"""

from __future__ import annotations

import re
import zoneinfo
from datetime import datetime, tzinfo
from typing import Any

from django import template
from django.utils import timezone
from django.utils.dateformat import format as date_format
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext

register = template.Library()


@register.filter
def moment(value: Any, zone: str = "") -> str:
    """Day and time, as ``Friday, 20 November 2026, 14:00 (Europe/Berlin)``."""
    local = _local(value, zone)
    return f"{_day(local)}, {_clock(local)} ({_name(local)})" if local else ""


@register.filter
def day(value: Any, zone: str = "") -> str:
    """The day, as ``Friday, 20 November 2026``."""
    local = _local(value, zone)
    return _day(local) if local else ""


@register.filter
def words(code: Any) -> str:
    """A code as words in the reader's language; text that is no code stays as it is."""
    text = str(code or "")
    if not re.fullmatch(r"[a-z0-9_]+", text):
        return text
    return gettext(text.replace("_", " ").capitalize())


@register.simple_tag
def span(starts_at: Any, ends_at: Any, zone: Any = "") -> str:
    """From when to when, as ``Friday, 20 November 2026, 14:00 to 15:00 (Europe/Berlin)``."""
    start, end = _local(starts_at, zone), _local(ends_at, zone)
    if start is None or end is None:
        return moment(starts_at, zone)
    until = _clock(end) if end.date() == start.date() else f"{_day(end)}, {_clock(end)}"
    return f"{_day(start)}, {_clock(start)} \N{EN DASH} {until} ({_name(start)})"


def _local(value: Any, zone: Any) -> datetime | None:
    try:
        parsed = value if isinstance(value, datetime) else parse_datetime(value)
    except (TypeError, ValueError):
        return None
    if parsed is None:
        return None
    if timezone.is_naive(parsed):
        parsed = parsed.replace(tzinfo=zoneinfo.ZoneInfo("UTC"))
    return timezone.localtime(parsed, _zone(zone))


def _zone(name: Any) -> tzinfo:
    try:
        return zoneinfo.ZoneInfo(name) if name else timezone.get_current_timezone()
    except (zoneinfo.ZoneInfoNotFoundError, TypeError, ValueError, OSError):
        return timezone.get_current_timezone()


def _day(local: datetime) -> str:
    # Translators: a date in full, in the letters of Django's date filter.
    return date_format(local, gettext("l, j F Y"))


def _clock(local: datetime) -> str:
    # Translators: a time of day, in the letters of Django's date filter.
    return date_format(local, gettext("H:i"))


def _name(local: datetime) -> str:
    return str(getattr(local.tzinfo, "key", None) or local.tzname() or "")
