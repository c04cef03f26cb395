"""What must hold of the line, and what is done where it does not (A6, A9, A10).

``offers`` asks whether entries, offers and held bookings agree; ``gates`` whether slots and
resources know who waits for them; ``line`` whether everybody in it has something to wait for.
docs/runbook.md has a section for each check.
"""

from waitlist.consistency import gates, line, offers

__all__ = ["gates", "line", "offers"]
