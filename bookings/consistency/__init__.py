"""What must hold of slots and bookings, and what is done where it does not (A9, A10).

``seats`` asks whether anything is sold twice; ``statuses`` whether a booking is what it says;
``proposals`` whether proposed times are held; ``composition`` whether slots take what their
resources are made of; ``schedules`` whether slots follow their rules; ``series`` whether a series
and its bookings belong together; ``clock`` whether no-shows are marked and reminders sent.
docs/runbook.md has a section for each check.
"""

from bookings.consistency import clock, composition, proposals, schedules, seats, series, statuses

__all__ = ["clock", "composition", "proposals", "schedules", "seats", "series", "statuses"]
