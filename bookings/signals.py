"""What the apps above must follow, in the same transaction.

Each signal is sent with the whole batch, never one row at a time. An exception in a
receiver undoes the whole operation: that is the point.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from django.dispatch import Signal

# Bookings took a move of their lifecycle. Sent by every step in ``transitions``.
# Arguments: ``bookings`` (list, already changed), ``move`` (its name), ``now``, ``reason``.
# Whoever has to say something of a move returns it, as for ``bookings_moving`` below.
# Received by payments: cart items mirror their bookings, and the last one that is
# cancelled or expires takes its transaction with it (A7); what was paid is owed back.
bookings_moved = Signal()

# Seats came free, or somebody from outside asks for seats in slots with a line. Arguments:
# ``slot_ids`` (sorted list, rows locked), ``now``; and ``only``, where somebody asks for what other
# slots with a line take: these alone are looked at, and none of them needs to be locked.
# Received by the waitlist: the next in line are offered them (A5, A6). It returns the slots whose
# line it could not settle, as somebody holds what is needed for it.
seats_released = Signal()

# Slots were made or are offered again. Arguments: ``resource_ids`` (sorted list), ``now``.
# Received by the waitlist: who waits for any time of a resource is offered one of them.
slots_made = Signal()

# Bookings are to move to other slots. Arguments: ``pairs`` (list of booking and slot). Whoever
# has to say something of a move returns it, by the primary key of the booking, as a dict that
# goes into the message to its customer and is shown to the staff. Nothing is changed.
# Received by payments: the price that was frozen stays, and the slot has another.
bookings_moving = Signal()

# Bookings moved to other slots, their status as it was. Arguments: ``bookings`` (list, already
# moved), ``old`` (the slot of each before, by its primary key), ``by_customer`` (their customer
# wanted it, not the house), ``now``. Whoever has to say something of it returns it, as above.
# Received by payments: what is due before the start follows the start, and so do the deadlines
# of cancelling, as far as they may.
bookings_rescheduled = Signal()


def merged(answers: Iterable[tuple[Any, Any]]) -> dict[uuid.UUID, dict[str, Any]]:
    """What all receivers returned, by the primary key of the booking."""
    said: dict[uuid.UUID, dict[str, Any]] = defaultdict(dict)
    for _receiver, told in answers:
        for booking_id, facts in (told or {}).items():
            said[booking_id] |= facts
    return said
