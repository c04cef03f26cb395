"""Organisations and who works in them."""

import zoneinfo
from collections.abc import Iterable

import pgtrigger
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Func, Value
from django.utils.translation import gettext_lazy as _

from audit.history import Trail
from audit.ids import uuid7


def validate_time_zone(value: str) -> None:
    try:
        zoneinfo.ZoneInfo(value)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValidationError(
            _("%(value)s is not a time zone."), params={"value": value}
        ) from error


MOST_REMINDERS = 5
LONGEST_REMINDER = 30 * 24  # hours
# The sweep looks back two days, so that with more than these nobody would ever be marked.
LONGEST_NO_SHOW = 24 * 60  # minutes


def default_reminders() -> list[int]:
    return [24, 2]


def validate_reminders(hours: list[int]) -> None:
    if len(set(hours)) != len(hours):
        raise ValidationError(_("The same reminder is there twice."))


class Organization(models.Model):
    """A venue or a clinic. Everything belongs to exactly one."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(_("name"), max_length=200)
    slug = models.SlugField(_("short name in addresses"), max_length=60, unique=True)
    time_zone = models.CharField(
        _("time zone"), max_length=60, default="UTC", validators=[validate_time_zone]
    )
    email = models.EmailField(_("contact e-mail"), blank=True)
    hold_minutes = models.PositiveSmallIntegerField(
        _("minutes a cart holds seats"), default=15, validators=[MinValueValidator(1)]
    )
    pending_hours = models.PositiveSmallIntegerField(
        _("hours until an unpaid booking expires"), default=24, validators=[MinValueValidator(1)]
    )
    proposal_hours = models.PositiveSmallIntegerField(
        _("hours to answer a proposed time"), default=48, validators=[MinValueValidator(1)]
    )
    no_show_minutes = models.PositiveSmallIntegerField(
        _("minutes after the end until who did not come is a no-show"),
        default=60,
        null=True,
        blank=True,
        validators=[
            MaxValueValidator(
                LONGEST_NO_SHOW,
                _(
                    "At most %(limit_value)s minutes, which is a day. Empty: only the staff mark somebody."
                ),
            )
        ],
        help_text=_("Empty: only the staff mark somebody as a no-show."),
    )
    no_show_limit = models.PositiveSmallIntegerField(
        _("no-shows after which customers cannot book themselves"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text=_("Staff can still book for them, with a reason. Empty: no limit."),
    )
    no_show_days = models.PositiveSmallIntegerField(
        _("days for which a no-show counts"), default=365, validators=[MinValueValidator(1)]
    )
    reminder_hours = ArrayField(
        models.PositiveSmallIntegerField(
            validators=[MinValueValidator(1), MaxValueValidator(LONGEST_REMINDER)]
        ),
        verbose_name=_("hours before the start at which customers are reminded"),
        size=MOST_REMINDERS,
        default=default_reminders,
        blank=True,
        validators=[validate_reminders],
        help_text=_("Separated by commas, such as 24,2. Empty: nobody is reminded."),
    )
    is_active = models.BooleanField(_("active"), default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    history = Trail()

    class Meta:
        verbose_name = _("organisation")
        verbose_name_plural = _("organisations")
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(hold_minutes__gte=1),
                name="bookings_organization_holds_last_a_minute",
            ),
            models.CheckConstraint(
                condition=models.Q(pending_hours__gte=1),
                name="bookings_organization_pending_lasts_an_hour",
            ),
            models.CheckConstraint(
                condition=models.Q(proposal_hours__gte=1),
                name="bookings_organization_proposals_last_an_hour",
            ),
            models.CheckConstraint(
                condition=(models.Q(no_show_limit__isnull=True) | models.Q(no_show_limit__gte=1))
                & models.Q(no_show_days__gte=1),
                name="bookings_organization_no_shows_count",
            ),
            models.CheckConstraint(
                condition=models.Q(no_show_minutes__isnull=True)
                | models.Q(no_show_minutes__lte=LONGEST_NO_SHOW),
                name="bookings_organization_no_shows_are_marked_within_a_day",
            ),
            models.CheckConstraint(
                condition=models.Q(reminder_hours__len__lte=MOST_REMINDERS)
                & ~models.Q(reminder_hours__contains=[0]),
                name="bookings_organization_reminders_are_few",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Role(models.TextChoices):
    OWNER = "owner", _("owner")
    MANAGER = "manager", _("manager")
    REVIEWER = "reviewer", _("reviewer")
    FRONT_DESK = "front_desk", _("front desk")
    PROVIDER = "provider", _("provider")


class Membership(models.Model):
    """Somebody works in an organisation, with one role."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organization = models.ForeignKey(
        Organization,
        on_delete=models.CASCADE,
        related_name="memberships",
        verbose_name=_("organisation"),
    )
    user = models.ForeignKey("bookings.User", on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(_("role"), max_length=20, choices=Role)
    created_at = models.DateTimeField(auto_now_add=True)

    history = Trail()

    class Meta:
        verbose_name = _("staff member")
        verbose_name_plural = _("staff members")
        ordering = ["organization", "user"]
        constraints = [
            models.UniqueConstraint(
                fields=["user", "organization"], name="bookings_membership_one_role_per_person"
            ),
            models.CheckConstraint(
                condition=models.Q(role__in=Role.values), name="bookings_membership_role_is_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} · {self.get_role_display()}"


#: Numbers of people are those of the sequence of resources' numbers, so much higher: a number says
#: whose it is. Below 2³², as locks on numbers put a prefix above that.
PEOPLE = 2**31


def without_people(numbers: Iterable[int]) -> list[int]:
    """Those of resources."""
    return [number for number in numbers if number < PEOPLE]


class Provider(models.Model):
    """Somebody who provides resources of an organisation, by the number that stands for their time.

    Whatever they provide takes it, as it takes its parts, so that nobody is booked twice at a
    time (D1). A trigger on resources makes the row when it is first needed. It is of one
    organisation: when somebody is booked elsewhere is nobody's business here.
    """

    number = models.BigIntegerField(
        primary_key=True,
        editable=False,
        db_default=Func(
            Value("bookings_resource_number"),
            Value(PEOPLE),
            template="(nextval(%(expressions)s))",
            arg_joiner=") + (",
            output_field=models.BigIntegerField(),
        ),
    )
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="+")
    user = models.ForeignKey("bookings.User", on_delete=models.CASCADE, related_name="+")

    class Meta:
        verbose_name = _("provider")
        verbose_name_plural = _("providers")
        constraints = [
            models.UniqueConstraint(
                fields=["user", "organization"], name="bookings_provider_has_one_number"
            ),
            models.CheckConstraint(
                condition=models.Q(number__gt=PEOPLE),
                name="bookings_provider_number_is_of_a_person",
            ),
        ]
        triggers = [
            pgtrigger.Trigger(
                name="keep_number",
                when=pgtrigger.Before,
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange("number", "organization", "user"),
                func="""
                    RAISE EXCEPTION 'what provider % provides knows them by their number',
                        OLD.number USING
                        ERRCODE = 'check_violation',
                        CONSTRAINT = 'bookings_provider_keeps_its_number';
                """,
            ),
            pgtrigger.Trigger(
                name="leave_resources",
                when=pgtrigger.After,
                operation=pgtrigger.Delete,
                func="""
                    UPDATE bookings_resource SET provider_id = NULL
                    WHERE provider_id = OLD.user_id AND organization_id = OLD.organization_id;
                    RETURN NULL;
                """,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.number} {self.user}"
