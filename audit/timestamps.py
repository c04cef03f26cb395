"""Timestamps from the database, read by the interpreter's own parser.

Django's loader takes every timestamp apart with a regular expression in Python: 7 µs instead of
0.5. An approval of a hundred bookings reads three thousand of them, a page of slots as many.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.db.backends.postgresql.psycopg_any import BaseTzLoader, get_adapters_template


class UtcLoader(BaseTzLoader):
    """``2026-11-20 18:06:47.295766+00`` as a datetime in UTC; anything else is Django's to read."""

    timezone = UTC

    def load(self, data: Any) -> datetime:
        text = bytes(data)
        if text.endswith(b"+00") and text[4:5] == b"-":  # not infinite, not before year 1
            return datetime.fromisoformat(text.decode())
        made: datetime = super().load(data)
        return made


def install() -> None:
    """Use it for every connection made from now on."""
    get_adapters_template(settings.USE_TZ, UTC).register_loader("timestamptz", UtcLoader)
