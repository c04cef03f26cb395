"""What the consistency checks found, and what became of it."""

from __future__ import annotations

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from audit.ids import uuid7


class Severity(models.TextChoices):
    INFO = "info", _("info")
    WARNING = "warning", _("warning")
    ERROR = "error", _("error")
    CRITICAL = "critical", _("critical")


class ConsistencyReport(models.Model):
    """One run of the checks."""

    class Kind(models.TextChoices):
        MANUAL = "manual", _("by hand")
        SCHEDULED = "scheduled", _("scheduled")

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(_("kind"), max_length=10, choices=Kind.choices)
    organization_id = models.UUIDField(
        _("organisation"), null=True, help_text=_("Empty: everything was checked.")
    )
    fix = models.BooleanField(_("with repairs"), default=False)
    started_at = models.DateTimeField(_("started at"))
    finished_at = models.DateTimeField(_("finished at"))
    actor_label = models.CharField(_("by"), max_length=200)
    checks_run = models.PositiveIntegerField(_("checks"), default=0)
    findings_count = models.PositiveIntegerField(_("found"), default=0)
    fixed_count = models.PositiveIntegerField(_("repaired"), default=0)
    figures = models.JSONField(
        _("figures"), default=list, help_text=_("Per check: found, fixed, milliseconds, error.")
    )

    class Meta:
        verbose_name = _("consistency report")
        verbose_name_plural = _("consistency reports")
        ordering = ("-started_at", "-id")
        constraints = [
            models.CheckConstraint(
                condition=Q(finished_at__gte=F("started_at")),
                name="audit_consistencyreport_ends_after_start",
            ),
        ]
        indexes = [
            models.Index(fields=["started_at"], name="audit_consistencyrep_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.started_at:%Y-%m-%d %H:%M}"


class Finding(models.Model):
    """One thing that is not as it must be. Findings past the limit of a check are only counted."""

    class Status(models.TextChoices):
        OPEN = "open", _("open")
        FIXED = "fixed", _("repaired")
        NEEDS_REVIEW = "needs_review", _("needs review")
        GONE = "gone", _("gone by itself")

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    report = models.ForeignKey(ConsistencyReport, on_delete=models.CASCADE, related_name="findings")
    check_id = models.CharField(_("check"), max_length=100)
    severity = models.CharField(_("severity"), max_length=10, choices=Severity.choices)
    organization_id = models.UUIDField(_("organisation"), null=True)
    subject_type = models.CharField(_("subject type"), max_length=64)
    subject_id = models.CharField(_("subject id"), max_length=64)
    message = models.TextField(_("what is wrong"))
    details = models.JSONField(_("details"), default=dict, encoder=DjangoJSONEncoder)
    fixable = models.BooleanField(_("can be repaired"), default=False)
    status = models.CharField(
        _("status"), max_length=12, choices=Status.choices, default=Status.OPEN
    )
    fixed_at = models.DateTimeField(_("repaired at"), null=True)
    fix_note = models.TextField(_("what was done"), default="", blank=True)
    fix_error = models.TextField(_("repair failed"), default="", blank=True)

    class Meta:
        verbose_name = _("finding")
        verbose_name_plural = _("findings")
        ordering = ("-id",)
        constraints = [
            models.CheckConstraint(
                condition=~Q(status="fixed") | Q(fixed_at__isnull=False),
                name="audit_finding_fixed_says_when",
            ),
        ]
        indexes = [
            models.Index(fields=["organization_id", "status"], name="audit_finding_by_org"),
            models.Index(fields=["subject_type", "subject_id"], name="audit_finding_by_subject"),
        ]

    def __str__(self) -> str:
        return f"{self.check_id}: {self.message}"
