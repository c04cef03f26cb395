"""A checkout: what is to be paid together and decided together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from audit.history import Trail
from audit.ids import uuid7
from audit.triggers import BumpVersion, FollowLifecycle
from bookings.models import Booking, Customer, Organization
from bookings.models.booking import new_reference
from payments.lifecycle import (
    METHOD_STATUSES,
    PAYMENT,
    TRANSACTION,
    PaymentMethod,
    PaymentStatus,
    TransactionStatus,
)


def _payment_is_possible() -> Q:
    condition = Q(pk__isnull=True)
    for method, statuses in METHOD_STATUSES.items():
        condition |= Q(payment_method=method, payment_status__in=sorted(statuses))
    return condition


class CartTransaction(models.Model):
    """Bookings checked out together: one payment, one decision (A2, A4, A5)."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    reference = models.CharField(
        _("reference"),
        max_length=11,
        default=new_reference,
        editable=False,
        help_text=_("What the customer writes on the transfer."),
    )
    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, related_name="+", verbose_name=_("organisation")
    )
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="transactions")
    status = models.CharField(
        _("status"), max_length=12, choices=TransactionStatus, default=TransactionStatus.PENDING
    )
    version = models.PositiveIntegerField(default=1, editable=False)
    payment_method = models.CharField(_("payment"), max_length=20, choices=PaymentMethod)
    payment_status = models.CharField(
        _("payment status"), max_length=10, choices=PaymentStatus, default=PaymentStatus.PENDING
    )
    amount = models.DecimalField(_("amount"), max_digits=12, decimal_places=2)
    tax = models.DecimalField(_("tax"), max_digits=12, decimal_places=2)
    discount = models.DecimalField(_("discount"), max_digits=12, decimal_places=2)
    currency = models.CharField(_("currency"), max_length=3)
    note = models.TextField(_("note of the customer"), blank=True)
    due_at = models.DateTimeField(_("to be paid until"), null=True, blank=True)
    created_at = models.DateTimeField(_("made at"))
    submitted_at = models.DateTimeField(_("proof since"), null=True, blank=True)
    # While a proof is under review, or a request waits that is not paid first: by when somebody
    # decides, or the managers are told (again).
    review_due_at = models.DateTimeField(_("review due at"), null=True, blank=True)
    escalations = models.PositiveSmallIntegerField(
        _("times the managers were told"), default=0, db_default=0
    )
    paid_at = models.DateTimeField(_("paid at"), null=True, blank=True)
    decided_at = models.DateTimeField(_("decided at"), null=True, blank=True)
    decided_by_id = models.UUIDField(null=True, blank=True, editable=False)
    decided_by = models.CharField(_("decided by"), max_length=200, blank=True, editable=False)
    decision_reason = models.TextField(_("reason"), blank=True)
    ended_at = models.DateTimeField(_("ended at"), null=True, blank=True)

    history = Trail()

    # The bookings a service locked and changed with this row, so that showing it needs no second read.
    locked_bookings: Sequence[Booking] | None = None
    # The refunds that were noted by hand, where they are known (``selectors.refunds_of``).
    given_back: Sequence[Any] | None = None

    class Meta:
        verbose_name = _("transaction")
        verbose_name_plural = _("transactions")
        ordering = ["-created_at", "-id"]
        permissions = [
            ("approve_carttransaction", "Can approve and reject transactions"),
            ("take_payment_carttransaction", "Can take payment on arrival"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "reference"],
                name="payments_carttransaction_reference_is_unique",
            ),
            models.CheckConstraint(
                condition=Q(status__in=TransactionStatus.values),
                name="payments_carttransaction_status_is_known",
            ),
            models.CheckConstraint(
                condition=_payment_is_possible(),
                name="payments_carttransaction_payment_fits_method",
            ),
            models.CheckConstraint(
                condition=Q(amount__gte=0, tax__gte=0, discount__gte=0),
                name="payments_carttransaction_money_is_not_negative",
            ),
            models.CheckConstraint(
                condition=~Q(payment_method=PaymentMethod.FREE) | Q(amount=0),
                name="payments_carttransaction_free_costs_nothing",
            ),
            models.CheckConstraint(
                condition=~Q(payment_status=PaymentStatus.PAID) | Q(paid_at__isnull=False),
                name="payments_carttransaction_paid_says_when",
            ),
            models.CheckConstraint(
                condition=~Q(status__in=[TransactionStatus.APPROVED, TransactionStatus.REJECTED])
                | Q(decided_at__isnull=False),
                name="payments_carttransaction_decided_says_when",
            ),
            models.CheckConstraint(
                condition=~Q(status=TransactionStatus.UNDER_REVIEW) | Q(submitted_at__isnull=False),
                name="payments_carttransaction_under_review_says_since_when",
            ),
            models.CheckConstraint(
                condition=Q(status=TransactionStatus.UNDER_REVIEW, review_due_at__isnull=False)
                | Q(status=TransactionStatus.PENDING) & ~Q(payment_method=PaymentMethod.PAY_NOW)
                | (~Q(status=TransactionStatus.UNDER_REVIEW) & Q(review_due_at__isnull=True)),
                name="payments_carttransaction_reviews_have_a_deadline",
            ),
            models.CheckConstraint(
                condition=Q(
                    status__in=[
                        TransactionStatus.REJECTED,
                        TransactionStatus.EXPIRED,
                        TransactionStatus.CANCELLED,
                    ],
                    ended_at__isnull=False,
                )
                | Q(
                    status__in=[
                        TransactionStatus.PENDING,
                        TransactionStatus.UNDER_REVIEW,
                        TransactionStatus.APPROVED,
                    ],
                    ended_at__isnull=True,
                ),
                name="payments_carttransaction_ended_says_when",
            ),
            models.CheckConstraint(
                condition=~Q(
                    status=TransactionStatus.APPROVED, payment_method=PaymentMethod.PAY_NOW
                )
                | Q(payment_status=PaymentStatus.PAID),
                name="payments_carttransaction_approved_is_paid",
            ),
        ]
        indexes = [
            models.Index(
                fields=["due_at"],
                condition=Q(status=TransactionStatus.PENDING),
                name="payments_pending_by_deadline",
            ),
            models.Index(fields=["organization", "-created_at", "-id"]),
            models.Index(fields=["customer", "-created_at"]),
            models.Index(
                fields=["organization", "submitted_at"],
                condition=Q(status=TransactionStatus.UNDER_REVIEW),
                name="payments_review_queue",
            ),
            models.Index(
                fields=["review_due_at"],
                condition=Q(review_due_at__isnull=False),
                name="payments_review_by_deadline",
            ),
        ]
        triggers = [
            FollowLifecycle(TRANSACTION),
            FollowLifecycle(PAYMENT, field="payment_status"),
            BumpVersion(),
        ]

    def __str__(self) -> str:
        return self.reference
