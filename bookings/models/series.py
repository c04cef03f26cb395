"""Bookings that were made together, week after week."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from audit.history import Trail
from audit.ids import uuid7
from bookings.models.customer import Customer
from bookings.models.organization import Organization
from bookings.models.resource import Resource
from bookings.triggers import stay_in_organization

MOST_BOOKINGS = 100


class Series(models.Model):
    """A weekly series: the same hour of the wall clock, every so many weeks.

    It only says what was asked for. Each of its bookings is an ordinary one with a life of its
    own, and what could not be booked has none.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, related_name="+", verbose_name=_("organisation")
    )
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="series")
    resource = models.ForeignKey(Resource, on_delete=models.PROTECT, related_name="series")
    starts_at = models.DateTimeField(_("first start"))
    ends_at = models.DateTimeField(_("first end"))
    every_weeks = models.PositiveSmallIntegerField(
        _("every (weeks)"), default=1, validators=[MinValueValidator(1), MaxValueValidator(52)]
    )
    times = models.PositiveSmallIntegerField(
        _("how often"), validators=[MinValueValidator(1), MaxValueValidator(MOST_BOOKINGS)]
    )
    units = models.PositiveIntegerField(_("people"), default=1)
    created_at = models.DateTimeField(_("made at"))

    history = Trail()

    class Meta:
        verbose_name = _("series")
        verbose_name_plural = _("series")
        ordering = ["-created_at", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(
                    every_weeks__gte=1, every_weeks__lte=52, times__gte=1, times__lte=MOST_BOOKINGS
                )
                & Q(units__gte=1, ends_at__gt=F("starts_at")),
                name="bookings_series_makes_sense",
            )
        ]
        indexes = [models.Index(fields=["organization", "-created_at", "-id"])]
        triggers = [stay_in_organization("bookings_series", "organization", "customer")]

    def __str__(self) -> str:
        return f"{self.resource}, {self.times} ×"
