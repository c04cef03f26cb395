"""Who stands at the desk is let into a slot that has started, by staff alone (B10, F3).

The database takes a new booking in a slot that has started only inside :func:`let_in`, only from
staff, and never in one that is over (bookings/triggers.py).
"""

from __future__ import annotations

from contextlib import AbstractContextManager

from audit.sql import switched_on

SETTING = "holdfast.walk_in"


def let_in() -> AbstractContextManager[None]:
    """The bookings inserted here may be in slots that have started. Use inside ``audited``."""
    return switched_on(SETTING)
