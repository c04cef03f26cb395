"""Who does something that must never be done by two at a time, and until when at the latest."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class Lease(models.Model):
    """The right to do one kind of work alone (``audit/leases.py``).

    It runs out by itself at ``until``, by the clock of the database. Whoever finds it run out
    takes it by writing another ``holder``.
    """

    name = models.CharField(_("work"), max_length=64, primary_key=True)
    holder = models.UUIDField(_("holder"))
    worker = models.CharField(_("worker"), max_length=200)
    taken_at = models.DateTimeField(_("taken at"))
    until = models.DateTimeField(_("until"))

    class Meta:
        verbose_name = _("lease")
        verbose_name_plural = _("leases")
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name
