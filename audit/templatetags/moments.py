"""What a payload says in data, in the reader's words: moments, amounts, codes and reasons.

    {% load moments %}
    {% span booking.starts_at booking.ends_at booking.time_zone %}   a stretch of time there
    {{ due_at|moment }}                                              in the reader's zone
    {{ due_at|moment:booking.time_zone }}                            in another
    {{ amount|money:currency }}                                      as the reader writes numbers
    {{ payment_method|words }}                                       a code such as pay_now
    {{ reason|in_words }}                                            ours translated, others as typed

Whatever is not a moment becomes nothing: a message with a gap is better than none.
"""

from __future__ import annotations

import re
import zoneinfo
from contextlib import suppress
from datetime import datetime, tzinfo
from decimal import Decimal, InvalidOperation
from typing import Any

from django import template
from django.utils import timezone
from django.utils.dateformat import format as date_format
from django.utils.dateparse import parse_datetime
from django.utils.formats import number_format
from django.utils.translation import gettext, pgettext

from audit import languages

register = template.Library()
CODE = "code"  # the context of codes in the catalogue


@register.filter
def moment(value: Any, zone: str = "") -> str:
    """Day and time, as ``Friday, 20 November 2026, 14:00 (Europe/Berlin)``."""
    local = _local(value, zone)
    if local is None:
        return ""
    return gettext("%(day)s, %(clock)s (%(zone)s)") % {
        "day": _day(local),
        "clock": _clock(local),
        "zone": _name(local),
    }


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
    return pgettext(CODE, spelled(text))


def spelled(code: str) -> str:
    """A code as English words, which is how the catalogue knows it."""
    return code.replace("_", " ").capitalize()


@register.filter
def money(amount: Any, currency: Any = "") -> str:
    """An amount with its currency, as ``1,248.00 EUR``; what is no amount stays as it is."""
    text = str(amount or "")
    with suppress(InvalidOperation):
        text = number_format(Decimal(text), use_l10n=True, force_grouping=True)
    return f"{text} {currency or ''}".strip()


@register.filter
def in_words(reason: Any) -> str:
    """Why something is so, in the reader's language where the words are ours."""
    return languages.in_words(str(reason or ""))


@register.simple_tag
def span(starts_at: Any, ends_at: Any, zone: Any = "") -> str:
    """From when to when, as ``Friday, 20 November 2026, 14:00 to 15:00 (Europe/Berlin)``."""
    start, end = _local(starts_at, zone), _local(ends_at, zone)
    if start is None or end is None:
        return moment(starts_at, zone)
    until = _clock(end) if end.date() == start.date() else f"{_day(end)}, {_clock(end)}"
    return gettext("%(day)s, %(clock)s – %(until)s (%(zone)s)") % {
        "day": _day(start),
        "clock": _clock(start),
        "until": until,
        "zone": _name(start),
    }


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
