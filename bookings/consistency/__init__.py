"""What must hold of slots and bookings, and what is done where it does not (A9, A10).

``seats`` asks whether anything is sold twice; ``statuses`` whether a booking is what it says;
``composition`` whether slots take what their resources are made of; ``schedules`` whether slots
follow their rules. docs/runbook.md has a section for each check.
"""

from bookings.consistency import composition, schedules, seats, statuses

__all__ = ["composition", "schedules", "seats", "statuses"]
