"""What is booked: a court, a class, a doctor."""

import pgtrigger
from django.db import models
from django.db.models import Func, Value
from django.utils.translation import gettext_lazy as _

from audit.history import Trail
from audit.ids import uuid7
from bookings.models.organization import Organization, validate_time_zone


class Resource(models.Model):
    """Something that slots are offered for.

    An *exclusive* resource is in at most one slot with people at any moment (B5).
    ``number`` stands for it in the exclusion constraint of :class:`Occupancy`, where a UUID
    would need the extension btree_gist.
    """

    class Kind(models.TextChoices):
        PLACE = "place", _("place")
        PERSON = "person", _("person")
        ACTIVITY = "activity", _("activity")

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    number = models.BigIntegerField(
        unique=True,
        editable=False,
        db_default=Func(
            Value("bookings_resource_number"),
            function="nextval",
            output_field=models.BigIntegerField(),
        ),
    )
    organization = models.ForeignKey(
        Organization,
        on_delete=models.PROTECT,
        related_name="resources",
        verbose_name=_("organisation"),
    )
    name = models.CharField(_("name"), max_length=200)
    kind = models.CharField(_("kind"), max_length=20, choices=Kind, default=Kind.PLACE)
    description = models.TextField(_("description"), blank=True)
    time_zone = models.CharField(
        _("time zone"), max_length=60, default="UTC", validators=[validate_time_zone]
    )
    exclusive = models.BooleanField(
        _("exclusive"),
        default=True,
        help_text=_("At most one booking at a time, like a court or a doctor."),
    )
    provider = models.ForeignKey(
        "bookings.User",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="provided_resources",
        verbose_name=_("provider"),
        help_text=_("The staff member whose calendar this is."),
    )
    buffer_before_minutes = models.PositiveSmallIntegerField(
        _("minutes kept free before"), default=0
    )
    buffer_after_minutes = models.PositiveSmallIntegerField(_("minutes kept free after"), default=0)
    is_active = models.BooleanField(_("active"), default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    history = Trail()

    class Meta:
        verbose_name = _("resource")
        verbose_name_plural = _("resources")
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "name"], name="bookings_resource_name_is_unique"
            ),
            models.CheckConstraint(
                condition=models.Q(kind__in=["place", "person", "activity"]),
                name="bookings_resource_kind_is_known",
            ),
        ]
        triggers = [
            pgtrigger.Trigger(
                name="keep_exclusive",
                when=pgtrigger.Before,
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange("exclusive", "organization"),
                func="""
                    IF EXISTS (SELECT 1 FROM bookings_slot WHERE resource_id = OLD.id) THEN
                        RAISE EXCEPTION 'resource % has slots', OLD.id USING
                            ERRCODE = 'check_violation',
                            CONSTRAINT = 'bookings_resource_with_slots_keeps_its_kind';
                    END IF;
                    RETURN NEW;
                """,
            )
        ]

    def __str__(self) -> str:
        return self.name
