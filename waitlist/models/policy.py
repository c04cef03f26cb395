"""How an organisation offers what came free."""

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from audit.history import Trail
from bookings.models import Organization


class WaitlistPolicy(models.Model):
    """How long offers stand, and when a line is over."""

    organization = models.OneToOneField(
        Organization, on_delete=models.CASCADE, primary_key=True, related_name="waitlist_policy"
    )
    offer_hours = models.PositiveSmallIntegerField(
        _("hours to answer an offer"), default=12, validators=[MinValueValidator(1)]
    )
    offer_until_minutes = models.PositiveIntegerField(
        _("minutes before the start when offers end"),
        default=60,
        help_text=_("Nothing is offered later than that, and every offer ends then."),
    )
    closes_when_approved = models.BooleanField(
        _("close a line when its slot is full with approved bookings"),
        default=False,
        help_text=_(
            "If not, a line stays as long as somebody in the slot may still cancel and give"
            " seats back."
        ),
    )

    history = Trail()

    class Meta:
        verbose_name = _("waitlist policy")
        verbose_name_plural = _("waitlist policies")
        constraints = [
            models.CheckConstraint(
                condition=Q(offer_hours__gte=1), name="waitlist_policy_offers_last_an_hour"
            )
        ]

    def __str__(self) -> str:
        return f"{self.organization}"
