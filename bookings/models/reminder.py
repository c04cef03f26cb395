"""Who was reminded of what, and how long before."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from bookings.models.booking import Booking
from bookings.models.slot import Slot


class Reminder(models.Model):
    """A booking was reminded of its slot, some hours before the start.

    Its row is what makes a reminder go out once: it is written in the transaction of the message,
    and nobody can write it a second time. After a move to another slot there are new ones.
    """

    booking = models.ForeignKey(
        Booking, on_delete=models.CASCADE, related_name="reminders", db_index=False
    )
    # Only compared: a slot may go when everybody has left it.
    slot = models.ForeignKey(
        Slot,
        on_delete=models.DO_NOTHING,
        related_name="+",
        db_constraint=False,
        db_index=False,
    )
    hours = models.PositiveSmallIntegerField(_("hours before the start"))
    created_at = models.DateTimeField(_("reminded at"))

    class Meta:
        verbose_name = _("reminder")
        verbose_name_plural = _("reminders")
        constraints = [
            models.UniqueConstraint(
                fields=["booking", "slot", "hours"], name="bookings_reminder_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.booking_id}, {self.hours} h"
