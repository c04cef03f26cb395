"""What things cost, and how an organisation is paid."""

from __future__ import annotations

from datetime import time
from decimal import Decimal

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from audit.history import Trail
from audit.ids import uuid7
from bookings.models import Organization, Resource

MOST = Decimal("1000000")
MIDNIGHT = time(0)  # as the end of a price: until the day is over
WEEKDAYS = [
    (1, _("Monday")),
    (2, _("Tuesday")),
    (3, _("Wednesday")),
    (4, _("Thursday")),
    (5, _("Friday")),
    (6, _("Saturday")),
    (7, _("Sunday")),
]


class PaymentPolicy(models.Model):
    """How an organisation wants to be paid."""

    organization = models.OneToOneField(
        Organization, on_delete=models.CASCADE, primary_key=True, related_name="payment_policy"
    )
    accepts_pay_now = models.BooleanField(_("accepts proofs of payment"), default=True)
    accepts_pay_on_arrival = models.BooleanField(_("accepts payment on arrival"), default=True)
    instructions = models.TextField(
        _("how to pay"),
        blank=True,
        help_text=_("Shown and mailed after checkout: bank account, wallet, reference."),
    )
    proof_required = models.BooleanField(
        _("needs a proof before approval"),
        default=True,
        help_text=_("If not, staff may approve what they see on the account without a file."),
    )
    confirms_pay_on_arrival = models.BooleanField(
        _("confirms payment on arrival at once"), default=False
    )
    review_hours = models.PositiveSmallIntegerField(
        _("hours to review a proof"),
        default=24,
        db_default=24,
        validators=[MinValueValidator(1)],
        help_text=_("Then the managers are told, and again each time so many hours have passed."),
    )
    confirms_free = models.BooleanField(_("confirms what is free at once"), default=True)

    history = Trail()

    class Meta:
        verbose_name = _("payment policy")
        verbose_name_plural = _("payment policies")
        constraints = [
            models.CheckConstraint(
                condition=Q(review_hours__gte=1), name="payments_policy_reviews_take_an_hour"
            )
        ]

    def __str__(self) -> str:
        return f"{self.organization}"


class Price(models.Model):
    """A price of a resource, for all its slots or for some days and hours.

    Of those that fit a moment, in the resource's time zone, the one with the highest ``priority``
    counts, and of several such the newest. No price means free. A price per booking or per person
    counts for who starts then, whatever the length; one by time for the minutes it covers. How
    these go together is said in ``payments/prices.py``.
    """

    class Basis(models.TextChoices):
        BOOKING = "booking", _("per booking")
        UNIT = "unit", _("per person")
        HOUR = "hour", _("per hour")
        UNIT_HOUR = "unit_hour", _("per person and hour")

    BY_TIME = (Basis.HOUR, Basis.UNIT_HOUR)
    PER_PERSON = (Basis.UNIT, Basis.UNIT_HOUR)

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, related_name="+", verbose_name=_("organisation")
    )
    resource = models.ForeignKey(Resource, on_delete=models.CASCADE, related_name="prices")
    name = models.CharField(_("name"), max_length=100, default="Standard")
    amount = models.DecimalField(
        _("amount"),
        max_digits=12,
        decimal_places=2,
        validators=[MinValueValidator(Decimal(0)), MaxValueValidator(MOST)],
        help_text=_("With tax."),
    )
    currency = models.CharField(
        _("currency"), max_length=3, default="EUR", validators=[RegexValidator("^[A-Z]{3}$")]
    )
    basis = models.CharField(_("charged"), max_length=10, choices=Basis, default=Basis.BOOKING)
    discount_percent = models.DecimalField(
        _("discount in percent"),
        max_digits=5,
        decimal_places=2,
        default=Decimal(0),
        validators=[MinValueValidator(Decimal(0)), MaxValueValidator(Decimal(100))],
    )
    tax_percent = models.DecimalField(
        _("tax in percent, within the amount"),
        max_digits=5,
        decimal_places=2,
        default=Decimal(0),
        validators=[MinValueValidator(Decimal(0)), MaxValueValidator(Decimal(100))],
    )
    weekdays = ArrayField(
        models.PositiveSmallIntegerField(choices=WEEKDAYS),
        verbose_name=_("weekdays"),
        default=list,
        blank=True,
        help_text=_("1 is Monday, 7 is Sunday. Empty: every day."),
    )
    from_time = models.TimeField(_("from"), null=True, blank=True)
    until_time = models.TimeField(_("until"), null=True, blank=True)
    valid_from = models.DateField(_("valid from"), null=True, blank=True)
    valid_until = models.DateField(_("valid until"), null=True, blank=True)
    priority = models.SmallIntegerField(_("priority"), default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    history = Trail()

    class Meta:
        verbose_name = _("price")
        verbose_name_plural = _("prices")
        ordering = ["resource", "-priority", "-created_at"]
        constraints = [
            models.CheckConstraint(
                condition=Q(amount__gte=0, amount__lte=MOST), name="payments_price_amount_is_sane"
            ),
            models.CheckConstraint(
                condition=Q(discount_percent__gte=0, discount_percent__lte=100),
                name="payments_price_discount_is_a_percentage",
            ),
            models.CheckConstraint(
                condition=Q(tax_percent__gte=0, tax_percent__lte=100),
                name="payments_price_tax_is_a_percentage",
            ),
            models.CheckConstraint(
                condition=Q(currency__regex="^[A-Z]{3}$"), name="payments_price_currency_is_iso"
            ),
            models.CheckConstraint(
                condition=Q(basis__in=["booking", "unit", "hour", "unit_hour"]),
                name="payments_price_basis_is_known",
            ),
            models.CheckConstraint(
                condition=Q(from_time__isnull=True)
                | Q(until_time__isnull=True)
                | Q(until_time=MIDNIGHT)
                | Q(until_time__gt=F("from_time")),
                name="payments_price_hours_are_in_one_day",
                violation_error_message=_(
                    "Hours past midnight need two prices: one until 00:00, one from 00:00."
                ),
            ),
            models.CheckConstraint(
                condition=Q(valid_until__isnull=True)
                | Q(valid_from__isnull=True)
                | Q(valid_until__gte=F("valid_from")),
                name="payments_price_ends_after_it_starts",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name}: {self.amount} {self.currency}"

    @property
    def is_by_time(self) -> bool:
        return self.basis in self.BY_TIME

    def is_valid_with(self, other: Price) -> bool:
        """Whether there is a day on which both may count, by their first and last days."""
        return all(
            one.valid_from is None or two.valid_until is None or one.valid_from <= two.valid_until
            for one, two in ((self, other), (other, self))
        )

    def people(self, units: int) -> int:
        """How often the amount is charged for so many people."""
        return units if self.basis in self.PER_PERSON else 1
