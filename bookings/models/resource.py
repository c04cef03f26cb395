"""What is booked: a court, a class, a doctor."""

from datetime import timedelta
from typing import Any

import pgtrigger
from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Func, Value
from django.utils.translation import gettext_lazy as _

from audit.history import Trail
from audit.ids import uuid7
from bookings.models.organization import Organization, validate_time_zone, without_people
from bookings.triggers import follow_provider

_NOT_BY_HAND = """
    RAISE EXCEPTION 'the parts and pools of resource % are those of its links', NEW.id USING
        ERRCODE = 'check_violation', CONSTRAINT = 'bookings_resource_takes_what_its_links_say';
"""


class Resource(models.Model):
    """Something that slots are offered for.

    An *exclusive* resource is in at most one slot with people at any moment (B5).
    ``number`` stands for it in the exclusion constraint of :class:`Occupancy`, where a UUID
    would need the extension btree_gist.

    ``parts`` and ``pools`` say what else its people take: the numbers of the exclusive
    resources it is made of and of whoever provides it or one of these, and the pools of each of
    which it needs one. Triggers on :class:`ResourcePart`, :class:`PoolNeed` and ``provider`` keep
    them, through any number of levels; nothing else may. When the provider changes, slots to come
    follow in the same statement, and it is refused where that would put somebody in two places.
    """

    class Kind(models.TextChoices):
        PLACE = "place", _("place")
        PERSON = "person", _("person")
        ACTIVITY = "activity", _("activity")

    class Mode(models.TextChoices):
        SLOTS = "slots", _("in fixed slots")
        FREE_TIMES = "free_times", _("from any time, for as long as wanted")

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
        help_text=_(
            "The staff member whose calendar this is. Whoever books takes their time: they are"
            " never booked twice, whatever else they provide here."
        ),
    )
    buffer_before_minutes = models.PositiveSmallIntegerField(
        _("minutes kept free before"), default=0
    )
    buffer_after_minutes = models.PositiveSmallIntegerField(_("minutes kept free after"), default=0)
    parts = ArrayField(models.BigIntegerField(), default=list, editable=False)
    pools = ArrayField(models.UUIDField(), default=list, editable=False)
    mode = models.CharField(_("booked"), max_length=12, choices=Mode, default=Mode.SLOTS)
    # The booking rules: what customers may ask for. Staff may go beyond them, with a reason.
    notice_minutes = models.PositiveIntegerField(
        _("notice in minutes"),
        default=0,
        help_text=_("How long before the start customers may still book."),
    )
    horizon_days = models.PositiveSmallIntegerField(
        _("days ahead"),
        default=365,
        validators=[MinValueValidator(1), MaxValueValidator(730)],
        help_text=_("How far ahead slots are made and customers may book."),
    )
    grid_minutes = models.PositiveSmallIntegerField(
        _("starts every (minutes)"),
        default=15,
        validators=[MinValueValidator(1), MaxValueValidator(1440)],
        help_text=_("Where times are free: a booking may start this often."),
    )
    shortest_minutes = models.PositiveSmallIntegerField(
        _("shortest booking in minutes"), default=15, validators=[MinValueValidator(1)]
    )
    longest_minutes = models.PositiveSmallIntegerField(
        _("longest booking in minutes"), default=240, validators=[MinValueValidator(1)]
    )
    most_live_bookings = models.PositiveSmallIntegerField(
        _("most bookings of one customer at a time"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text=_("Of this, and not over yet. Empty: no limit."),
    )
    cancel_until_minutes = models.PositiveIntegerField(
        _("customers may cancel until (minutes before)"), default=0
    )
    customers_may_cancel = models.BooleanField(
        _("customers may cancel"),
        default=True,
        db_default=True,
        help_text=_("If not, only the staff cancel what is confirmed."),
    )
    reschedule_until_minutes = models.PositiveIntegerField(
        _("customers may reschedule until (minutes before)"), default=0
    )
    needs_approval = models.BooleanField(
        _("needs approval"),
        default=False,
        help_text=_("Staff confirm each booking, even what is free or paid on arrival."),
    )
    observes_holidays = models.BooleanField(_("closed on holidays"), default=True)
    takes_waitlist = models.BooleanField(
        _("has a waitlist"),
        default=True,
        help_text=_("Customers can wait in line for what is full."),
    )
    # How many are in line for any time of it; the waitlist keeps it (see ``Slot.line_units``).
    line = models.PositiveIntegerField(default=0, db_default=0, editable=False)
    planned_at = models.DateTimeField(null=True, editable=False)  # its slots follow the rules
    is_active = models.BooleanField(_("active"), default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    history = Trail(excluded=["planned_at", "line"])

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
            models.CheckConstraint(
                condition=models.Q(mode="slots") | models.Q(mode="free_times", exclusive=True),
                name="bookings_resource_of_free_times_is_exclusive",
                violation_error_message=_("Only what is exclusive can be booked at free times."),
            ),
            models.CheckConstraint(
                condition=models.Q(
                    horizon_days__gte=1,
                    horizon_days__lte=730,
                    grid_minutes__gte=1,
                    grid_minutes__lte=1440,
                    shortest_minutes__gte=1,
                    longest_minutes__gte=models.F("shortest_minutes"),
                )
                & (models.Q(most_live_bookings__isnull=True) | models.Q(most_live_bookings__gte=1)),
                name="bookings_resource_rules_make_sense",
                violation_error_message=_("The longest booking is at least the shortest."),
            ),
        ]
        triggers = [
            pgtrigger.Trigger(
                name="keep_exclusive",
                when=pgtrigger.Before,
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange("exclusive", "organization"),
                func="""
                    IF EXISTS (SELECT 1 FROM bookings_slot WHERE resource_id = OLD.id)
                       OR EXISTS (SELECT 1 FROM bookings_resourcepart WHERE part_id = OLD.id)
                       OR EXISTS (SELECT 1 FROM bookings_poolmember WHERE resource_id = OLD.id)
                       OR NEW.organization_id <> OLD.organization_id
                          AND (OLD.parts <> '{}' OR OLD.pools <> '{}') THEN
                        RAISE EXCEPTION 'resource % has slots', OLD.id USING
                            ERRCODE = 'check_violation',
                            CONSTRAINT = 'bookings_resource_with_slots_keeps_its_kind';
                    END IF;
                    RETURN NEW;
                """,
            ),
            pgtrigger.Trigger(
                name="begin_single",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert,
                condition=pgtrigger.Condition("NEW.parts <> '{}' OR NEW.pools <> '{}'"),
                func=_NOT_BY_HAND,
            ),
            pgtrigger.Trigger(
                name="follow_links",
                when=pgtrigger.Before,
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange("parts", "pools"),
                # Deeper down it is a trigger on the links that writes.
                func=f"IF pg_trigger_depth() < 2 THEN {_NOT_BY_HAND} END IF; RETURN NEW;",
            ),
            pgtrigger.Trigger(
                name="keep_number",
                when=pgtrigger.Before,
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange("number"),
                func="""
                    RAISE EXCEPTION 'what takes resource % knows it by its number', OLD.id USING
                        ERRCODE = 'check_violation',
                        CONSTRAINT = 'bookings_resource_keeps_its_number';
                """,
            ),
            *follow_provider(),
        ]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        super().save(*args, **kwargs)
        written = kwargs.get("update_fields")
        if (self.provider_id or self.parts) and (written is None or "provider" in written):
            self.refresh_from_db(fields=["parts"])  # the database knows what comes of it

    @property
    def takes_others(self) -> bool:
        """Whether its people take other resources than this; who provides it is none."""
        return bool(self.pools or without_people(self.parts))

    @property
    def notice(self) -> timedelta:
        return timedelta(minutes=self.notice_minutes)

    @property
    def horizon(self) -> timedelta:
        return timedelta(days=self.horizon_days)
