"""What has to leave the database, and every try to deliver it.

An event is written in the transaction of the change that it tells of; deliveries are made from
it after the commit, one for each channel and address, and tried until they succeed or their
budget is used up.
"""

from __future__ import annotations

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from audit.ids import uuid7

MAX_ATTEMPTS = 12


class OutboxEvent(models.Model):
    """Something that happened, to be told to somebody outside of the database."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(_("kind"), max_length=64)
    organization_id = models.UUIDField(_("organisation"), null=True)
    subject_type = models.CharField(_("subject type"), max_length=64)
    subject_id = models.CharField(_("subject id"), max_length=64)
    payload = models.JSONField(_("payload"), default=dict, encoder=DjangoJSONEncoder)
    recipients = models.JSONField(
        _("recipients"),
        default=list,
        help_text=_("Addresses, until there is a delivery for each of them."),
    )
    reply_to = models.CharField(_("reply to"), max_length=254, default="", blank=True)
    actor_label = models.CharField(_("by"), max_length=200, default="", blank=True)
    request_id = models.CharField(_("request"), max_length=64, default="", blank=True)
    created_at = models.DateTimeField(_("written at"), db_default=Now())
    dispatched_at = models.DateTimeField(_("handed out at"), null=True)
    error = models.CharField(
        _("error"),
        max_length=200,
        default="",
        blank=True,
        help_text=_("Why no deliveries could be made from this event."),
    )

    class Meta:
        verbose_name = _("event")
        verbose_name_plural = _("events")
        ordering = ("-created_at", "-id")
        indexes = [
            models.Index(
                fields=["created_at"],
                condition=Q(dispatched_at__isnull=True),
                name="audit_outboxevent_to_dispatch",
            ),
            models.Index(
                fields=["subject_type", "subject_id", "created_at"],
                name="audit_outboxevent_by_subject",
            ),
            models.Index(fields=["kind", "created_at"], name="audit_outboxevent_by_kind"),
            models.Index(fields=["organization_id", "created_at"], name="audit_outboxevent_by_org"),
            models.Index(
                fields=["created_at"], condition=~Q(error=""), name="audit_outboxevent_with_error"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} ({self.subject_type} {self.subject_id})"


class DeliveryStatus(models.TextChoices):
    QUEUED = "queued", _("queued")
    SENDING = "sending", _("sending")
    FAILED = "failed", _("failed, retry due")
    DELIVERED = "delivered", _("delivered")
    DEAD = "dead", _("given up")
    CANCELLED = "cancelled", _("cancelled")


OPEN = (DeliveryStatus.QUEUED, DeliveryStatus.SENDING, DeliveryStatus.FAILED)


class Delivery(models.Model):
    """One event on its way to one address over one channel.

        queued → sending → delivered
                    ↓ ↑
                  failed   → dead   (budget used up, or refused for good)
        queued, failed, dead → cancelled;  dead, cancelled, delivered → queued (resend)

    ``next_attempt_at`` is when the relay may take the row: at once when queued, after the
    backoff when failed, and when sending after the lease of whoever took it has run out.
    ``attempts`` is counted when the row is taken, so that it also names who holds the lease:
    a result is recorded only by the attempt that it belongs to.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    event = models.ForeignKey(
        OutboxEvent, on_delete=models.CASCADE, related_name="deliveries", db_index=False
    )
    organization_id = models.UUIDField(_("organisation"), null=True)
    channel = models.CharField(_("channel"), max_length=20)
    address = models.CharField(_("to"), max_length=320)
    language = models.CharField(_("language"), max_length=12, default="", blank=True)
    time_zone = models.CharField(_("time zone"), max_length=64, default="", blank=True)
    status = models.CharField(
        _("status"), max_length=10, choices=DeliveryStatus.choices, default=DeliveryStatus.QUEUED
    )
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    max_attempts = models.PositiveSmallIntegerField(_("of at most"), default=MAX_ATTEMPTS)
    next_attempt_at = models.DateTimeField(_("next attempt at"), db_default=Now())
    last_error = models.CharField(_("last error"), max_length=300, default="", blank=True)
    delivered_at = models.DateTimeField(_("delivered at"), null=True)
    created_at = models.DateTimeField(_("created at"), db_default=Now())
    queued_at = models.DateTimeField(
        _("queued at"),
        db_default=Now(),
        help_text=_("When this budget of attempts began: at its creation, or when it was resent."),
    )

    class Meta:
        verbose_name = _("delivery")
        verbose_name_plural = _("deliveries")
        ordering = ("-created_at", "-id")
        constraints = [
            models.UniqueConstraint(
                fields=["event", "channel", "address"], name="audit_delivery_once_per_address"
            ),
            models.CheckConstraint(
                condition=Q(status__in=DeliveryStatus.values), name="audit_delivery_status_is_known"
            ),
            models.CheckConstraint(
                condition=~Q(status=DeliveryStatus.DELIVERED) | Q(delivered_at__isnull=False),
                name="audit_delivery_delivered_says_when",
            ),
            models.CheckConstraint(
                condition=Q(attempts__lte=F("max_attempts")),
                name="audit_delivery_attempts_within_budget",
            ),
        ]
        indexes = [
            models.Index(
                fields=["next_attempt_at"],
                condition=Q(status__in=[s.value for s in OPEN]),
                name="audit_delivery_due",
            ),
            models.Index(
                fields=["created_at"],
                condition=Q(status=DeliveryStatus.DEAD),
                name="audit_delivery_dead",
            ),
            models.Index(fields=["organization_id", "created_at"], name="audit_delivery_by_org"),
            models.Index(fields=["created_at"], name="audit_delivery_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.channel} to {self.address}"
