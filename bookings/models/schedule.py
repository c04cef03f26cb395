"""When a resource is offered: versions of its rules, and the days that differ (B1)."""

import pgtrigger
from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from audit.history import Trail
from audit.ids import uuid7
from bookings.models.organization import Organization, validate_time_zone
from bookings.models.resource import Resource

WEEKDAYS = [
    (1, _("Monday")),
    (2, _("Tuesday")),
    (3, _("Wednesday")),
    (4, _("Thursday")),
    (5, _("Friday")),
    (6, _("Saturday")),
    (7, _("Sunday")),
]
DAY_MINUTES = 1440


def _written_once(name: str) -> pgtrigger.Trigger:
    return pgtrigger.Trigger(
        name="written_once",
        when=pgtrigger.Before,
        operation=pgtrigger.Update | pgtrigger.Delete,
        func=f"""
            RAISE EXCEPTION 'a schedule is not changed; a new version replaces it' USING
                ERRCODE = 'check_violation', CONSTRAINT = '{name}_is_written_once';
        """,
    )


class Schedule(models.Model):
    """One version of a resource's rules, from a day on.

    On a day counts the version with the highest ``number`` whose ``valid_from`` is not after
    it. Versions are never changed, so what was in force when a booking was made can always be
    shown: look only at versions made before.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, related_name="+", verbose_name=_("organisation")
    )
    resource = models.ForeignKey(
        Resource, on_delete=models.PROTECT, related_name="schedules", verbose_name=_("resource")
    )
    number = models.PositiveIntegerField(_("version"))
    valid_from = models.DateField(_("valid from"))
    time_zone = models.CharField(_("time zone"), max_length=60, validators=[validate_time_zone])
    note = models.CharField(_("what changed"), max_length=500, blank=True)
    created_at = models.DateTimeField(_("made at"))
    created_by = models.CharField(_("made by"), max_length=200, blank=True)

    history = Trail()

    class Meta:
        verbose_name = _("schedule")
        verbose_name_plural = _("schedules")
        ordering = ["resource", "-number"]
        constraints = [
            models.UniqueConstraint(
                fields=["resource", "number"], name="bookings_schedule_version_is_unique"
            )
        ]
        triggers = [_written_once("bookings_schedule")]

    def __str__(self) -> str:
        return f"{self.resource}, version {self.number}"


class Opening(models.Model):
    """The slots that are made in some hours, as rules and extra hours have them in common."""

    slot_minutes = models.PositiveSmallIntegerField(
        _("slot length in minutes"),
        default=60,
        validators=[MinValueValidator(1), MaxValueValidator(DAY_MINUTES)],
    )
    gap_minutes = models.PositiveSmallIntegerField(
        _("minutes between slots"), default=0, validators=[MaxValueValidator(DAY_MINUTES)]
    )
    buffer_before_minutes = models.PositiveSmallIntegerField(
        _("minutes kept free before"), default=0, validators=[MaxValueValidator(DAY_MINUTES)]
    )
    buffer_after_minutes = models.PositiveSmallIntegerField(
        _("minutes kept free after"), default=0, validators=[MaxValueValidator(DAY_MINUTES)]
    )
    max_bookings = models.PositiveIntegerField(
        _("most bookings"), default=1, validators=[MinValueValidator(1)]
    )
    max_units = models.PositiveIntegerField(
        _("most people"), default=1, validators=[MinValueValidator(1)]
    )

    class Meta:
        abstract = True


_OPENING = Q(
    slot_minutes__gte=1,
    slot_minutes__lte=DAY_MINUTES,
    gap_minutes__lte=DAY_MINUTES,
    buffer_before_minutes__lte=DAY_MINUTES,
    buffer_after_minutes__lte=DAY_MINUTES,
    max_bookings__gte=1,
    max_units__gte=1,
)


class ScheduleRule(Opening):
    """Hours on some weekdays, all the time or between two days.

    Hours are of the clock on the wall; an end that is not after the start is on the next day,
    and equal ends mean 24 hours. See docs/time.md.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    schedule = models.ForeignKey(Schedule, on_delete=models.PROTECT, related_name="rules")
    from_time = models.TimeField(_("from"))
    until_time = models.TimeField(_("until"))
    weekdays = ArrayField(
        models.PositiveSmallIntegerField(choices=WEEKDAYS),
        verbose_name=_("weekdays"),
        default=list,
        blank=True,
        help_text=_("1 is Monday, 7 is Sunday. Empty: every day."),
    )
    valid_from = models.DateField(_("valid from"), null=True, blank=True)
    valid_until = models.DateField(_("valid until"), null=True, blank=True)

    history = Trail()

    class Meta:
        verbose_name = _("rule")
        verbose_name_plural = _("rules")
        ordering = ["from_time", "id"]
        constraints = [
            models.CheckConstraint(condition=_OPENING, name="bookings_schedulerule_makes_sense"),
            models.CheckConstraint(
                condition=Q(weekdays__contained_by=[1, 2, 3, 4, 5, 6, 7]),
                name="bookings_schedulerule_weekdays_are_days",
            ),
            models.CheckConstraint(
                condition=Q(valid_until__isnull=True)
                | Q(valid_from__isnull=True)
                | Q(valid_until__gte=F("valid_from")),
                name="bookings_schedulerule_ends_after_it_starts",
            ),
        ]
        triggers = [_written_once("bookings_schedulerule")]

    def __str__(self) -> str:
        return f"{self.from_time:%H:%M}–{self.until_time:%H:%M}"


class ScheduleException(Opening):
    """Days that differ: closed, or open longer. Of one resource, or of the whole organisation.

    Never changed or deleted, only withdrawn, for the same reason as versions.
    """

    class Kind(models.TextChoices):
        CLOSED = "closed", _("closed")
        HOLIDAY = "holiday", _("holiday")
        EXTRA = "extra", _("extra hours")

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organization = models.ForeignKey(
        Organization,
        on_delete=models.PROTECT,
        related_name="schedule_exceptions",
        verbose_name=_("organisation"),
    )
    resource = models.ForeignKey(
        Resource,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="schedule_exceptions",
        verbose_name=_("resource"),
        help_text=_("Empty: all resources."),
    )
    kind = models.CharField(_("kind"), max_length=10, choices=Kind)
    name = models.CharField(_("name"), max_length=200)
    first_day = models.DateField(_("first day"))
    last_day = models.DateField(_("last day"))
    from_time = models.TimeField(_("from"), null=True, blank=True)
    until_time = models.TimeField(_("until"), null=True, blank=True)
    uid = models.CharField(max_length=255, blank=True, editable=False)
    created_at = models.DateTimeField(_("made at"))
    withdrawn_at = models.DateTimeField(_("withdrawn at"), null=True, blank=True, editable=False)

    history = Trail()

    class Meta:
        verbose_name = _("exception")
        verbose_name_plural = _("exceptions")
        ordering = ["first_day", "id"]
        constraints = [
            models.CheckConstraint(
                condition=_OPENING, name="bookings_scheduleexception_makes_sense"
            ),
            models.CheckConstraint(
                condition=Q(kind__in=["closed", "holiday", "extra"]),
                name="bookings_scheduleexception_kind_is_known",
            ),
            models.CheckConstraint(
                condition=Q(last_day__gte=F("first_day")) & Q(last_day__lte=F("first_day") + 3660),
                name="bookings_scheduleexception_ends_after_it_starts",
                violation_error_message=_("The last day is not before the first."),
            ),
            models.CheckConstraint(
                condition=Q(from_time__isnull=True, until_time__isnull=True)
                | Q(from_time__isnull=False, until_time__isnull=False),
                name="bookings_scheduleexception_has_both_hours",
                violation_error_message=_("Give both hours, or none for whole days."),
            ),
            models.CheckConstraint(
                condition=~Q(kind="extra")
                | Q(resource__isnull=False, from_time__isnull=False, until_time__isnull=False),
                name="bookings_scheduleexception_extra_hours_are_of_a_resource",
                violation_error_message=_("Extra hours need a resource and hours."),
            ),
            models.UniqueConstraint(
                fields=["organization", "uid"],
                condition=Q(withdrawn_at__isnull=True) & ~Q(uid=""),
                name="bookings_scheduleexception_imported_once",
            ),
        ]
        indexes = [
            models.Index(
                fields=["organization", "last_day"],
                condition=Q(withdrawn_at__isnull=True),
                name="bookings_exceptions_in_force",
            )
        ]
        triggers = [
            pgtrigger.Trigger(
                name="written_once",
                when=pgtrigger.Before,
                operation=pgtrigger.Update | pgtrigger.Delete,
                func="""
                    IF TG_OP = 'UPDATE' AND OLD.withdrawn_at IS NULL
                       AND NEW.withdrawn_at IS NOT NULL THEN
                        OLD.withdrawn_at := NEW.withdrawn_at;
                        IF OLD IS NOT DISTINCT FROM NEW THEN RETURN NEW; END IF;
                    END IF;
                    RAISE EXCEPTION 'an exception is withdrawn, not changed' USING
                        ERRCODE = 'check_violation',
                        CONSTRAINT = 'bookings_scheduleexception_is_written_once';
                """,
            )
        ]

    def __str__(self) -> str:
        return self.name
