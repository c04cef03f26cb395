"""Customers of an organisation."""

from django.db import models
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _
from phonenumber_field.modelfields import PhoneNumberField

from audit.history import Trail
from audit.ids import uuid7
from bookings.models.organization import Organization, validate_time_zone
from bookings.triggers import stay_in_organization


class Customer(models.Model):
    """A person in the eyes of one organisation, with an account or without (walk-in)."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organization = models.ForeignKey(
        Organization,
        on_delete=models.PROTECT,
        related_name="customers",
        verbose_name=_("organisation"),
    )
    user = models.ForeignKey(
        "bookings.User",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="customers",
        verbose_name=_("account"),
    )
    name = models.CharField(_("name"), max_length=200)
    email = models.EmailField(_("e-mail address"), blank=True)
    phone = PhoneNumberField(_("phone"), blank=True)
    language = models.CharField(_("language"), max_length=10, default="en")
    time_zone = models.CharField(
        _("time zone"),
        max_length=60,
        blank=True,
        validators=[validate_time_zone],
        help_text=_("Empty: the organisation's."),
    )
    notes = models.TextField(_("notes of the staff"), blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    history = Trail()

    class Meta:
        verbose_name = _("customer")
        verbose_name_plural = _("customers")
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["user", "organization"],
                condition=models.Q(user__isnull=False),
                name="bookings_customer_one_per_account",
            ),
        ]
        indexes = [
            models.Index(fields=["organization", "name"]),
            models.Index(
                models.F("organization"),
                Lower("email"),
                condition=~models.Q(email=""),
                name="bookings_customers_by_email",
            ),
            models.Index(
                fields=["organization", "phone"],
                condition=~models.Q(phone=""),
                name="bookings_customers_by_phone",
            ),
        ]
        triggers = [stay_in_organization("bookings_customer", "organization")]

    def __str__(self) -> str:
        return self.name or self.email
