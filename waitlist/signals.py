"""What the apps above must follow, in the same transaction."""

from django.dispatch import Signal

# An approval settled entries, and the held bookings made for them were cancelled. Arguments:
# ``bookings`` (list, already cancelled), ``now``.
# Received by payments: a cart that held nothing but these is closed (A6).
entries_settled = Signal()
