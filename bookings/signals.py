"""What the apps above must follow, in the same transaction.

Each signal is sent with the whole batch, never one row at a time. An exception in a
receiver undoes the whole operation: that is the point.
"""

from django.dispatch import Signal

# Bookings took a move of their lifecycle. Sent by every step in ``transitions``.
# Arguments: ``bookings`` (list, already changed), ``move`` (its name), ``now``, ``reason``.
# Received by payments: cart items mirror their bookings, and the last one that is
# cancelled or expires takes its transaction with it (A7).
bookings_moved = Signal()

# Seats came free, or somebody from outside asks for seats in slots with a line. Arguments:
# ``slot_ids`` (sorted list, rows locked), ``now``.
# Received by the waitlist: the next in line are offered them (A5, A6).
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
# moved), ``now``.
# Received by payments: what is due before the start follows the start.
bookings_rescheduled = Signal()
