"""Who stands at the desk is let into a slot that has started, by staff alone (B10, F3).

The database takes a new booking in a slot that has started only inside :func:`let_in`, only from
staff, and never in one that is over (bookings/triggers.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

SETTING = "holdfast.walk_in"


@contextmanager
def let_in() -> Iterator[None]:
    """The bookings inserted here may be in slots that have started. Use inside ``audited``."""
    _tell("on")
    yield
    _tell("")  # after an error the rollback takes the setting back


def _tell(value: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config(%s, %s, true)", [SETTING, value])
