"""What must hold of slots and bookings, and what is done where it does not (A9, A10).

``seats`` asks whether anything is sold twice; ``statuses`` whether a booking is what it says.
docs/runbook.md has a section for each check.
"""

from bookings.consistency import seats, statuses

__all__ = ["seats", "statuses"]
