"""Proofs of payment."""

import secrets

from django.core.files.storage import storages
from django.core.files.storage.base import Storage
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from audit.history import Trail
from audit.ids import uuid7
from audit.triggers import FollowLifecycle
from bookings.models import Booking, Customer, Organization
from payments.lifecycle import PROOF, ProofStatus
from payments.models.transaction import CartTransaction


def proof_storage() -> Storage:
    """Private storage: never under a public URL."""
    return storages["proofs"]


def random_name(proof: models.Model, original: str) -> str:
    """A name that says nothing and cannot be guessed, spread over 256 folders."""
    name = secrets.token_hex(20)
    return f"{name[:2]}/{name}.{proof.extension}"  # type: ignore[attr-defined]


class Proof(models.Model):
    """A file that shows a payment, for a transaction or for one of its bookings alone (A3)."""

    class ContentType(models.TextChoices):
        JPEG = "image/jpeg", "JPEG"
        PNG = "image/png", "PNG"
        WEBP = "image/webp", "WebP"
        PDF = "application/pdf", "PDF"

    EXTENSIONS = {
        ContentType.JPEG: "jpg",
        ContentType.PNG: "png",
        ContentType.WEBP: "webp",
        ContentType.PDF: "pdf",
    }

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, related_name="+", verbose_name=_("organisation")
    )
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="proofs")
    transaction = models.ForeignKey(
        CartTransaction, on_delete=models.PROTECT, related_name="proofs"
    )
    booking = models.ForeignKey(
        Booking, on_delete=models.PROTECT, null=True, blank=True, related_name="proofs"
    )
    file = models.FileField(storage=proof_storage, upload_to=random_name, max_length=100)
    content_type = models.CharField(max_length=20, choices=ContentType)
    size = models.PositiveIntegerField(_("bytes"))
    sha256 = models.CharField(max_length=64)
    original_name = models.CharField(_("file name"), max_length=200)
    amount = models.DecimalField(
        _("amount paid"), max_digits=12, decimal_places=2, null=True, blank=True
    )
    reference = models.CharField(_("payment reference"), max_length=100, blank=True)
    status = models.CharField(
        _("status"), max_length=10, choices=ProofStatus, default=ProofStatus.SUBMITTED
    )
    uploaded_at = models.DateTimeField(_("uploaded at"))
    decided_at = models.DateTimeField(_("decided at"), null=True, blank=True)

    history = Trail()

    class Meta:
        verbose_name = _("proof of payment")
        verbose_name_plural = _("proofs of payment")
        ordering = ["uploaded_at", "id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=ProofStatus.values), name="payments_proof_status_is_known"
            ),
            models.CheckConstraint(
                condition=Q(amount__isnull=True) | Q(amount__gt=0),
                name="payments_proof_amount_is_positive",
            ),
            models.UniqueConstraint(fields=["file"], name="payments_proof_file_is_its_own"),
        ]
        indexes = [
            models.Index(fields=["customer", "uploaded_at"]),
            models.Index(fields=["organization", "sha256"]),
        ]
        triggers = [FollowLifecycle(PROOF)]

    def __str__(self) -> str:
        return self.original_name

    @property
    def extension(self) -> str:
        return self.EXTENSIONS[self.ContentType(self.content_type)]

    @property
    def is_image(self) -> bool:
        return self.content_type != self.ContentType.PDF
