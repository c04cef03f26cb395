"""Answers that were given to requests with an Idempotency-Key."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class IdempotencyKey(models.Model):
    """The answer to one request, given again to every repetition of it."""

    user_id = models.UUIDField(_("user"))
    route = models.CharField(_("route"), max_length=200)
    key = models.CharField(_("key"), max_length=255)
    request_hash = models.CharField(_("request hash"), max_length=64)
    status = models.PositiveSmallIntegerField(_("status"))
    body = models.TextField(_("body"), help_text=_("Exactly as it was sent."))
    headers = models.JSONField(_("headers"), default=dict)
    created_at = models.DateTimeField(_("answered at"), db_default=Now())

    class Meta:
        verbose_name = _("idempotency key")
        verbose_name_plural = _("idempotency keys")
        constraints = [
            models.UniqueConstraint(
                fields=["user_id", "route", "key"], name="audit_idempotencykey_one_answer_per_key"
            ),
            models.CheckConstraint(
                condition=Q(status__gte=200, status__lte=499),
                name="audit_idempotencykey_keeps_no_server_error",
            ),
        ]
        indexes = [models.Index(fields=["created_at"], name="audit_idempotencykey_by_age")]

    def __str__(self) -> str:
        return f"{self.route} {self.key}"
