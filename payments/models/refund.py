"""What is owed back to customers, and money that came too late."""

from decimal import Decimal

import pgtrigger
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from audit.history import Trail
from audit.ids import uuid7
from audit.triggers import FollowLifecycle
from bookings.models import Customer, Organization, Resource
from payments.lifecycle import LATE, REFUND, LateStatus, RefundStatus, RefundWay
from payments.models.price import MOST
from payments.models.proof import Proof
from payments.models.transaction import CartTransaction


class CancellationPolicy(models.Model):
    """What cancelling costs customers; without one it costs nothing.

    It is frozen on the item at checkout, like the price. Until when they may cancel at all is a
    rule of the resource (``customers_may_cancel``, ``cancel_until_minutes``).
    """

    resource = models.OneToOneField(
        Resource, on_delete=models.CASCADE, primary_key=True, related_name="cancellation_policy"
    )
    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, related_name="+", verbose_name=_("organisation")
    )
    free_until_minutes = models.PositiveIntegerField(
        _("free until (minutes before the start)"),
        default=1440,
        help_text=_("Until then everything is paid back."),
    )
    fee_percent = models.DecimalField(
        _("fee after that, in percent of the price"),
        max_digits=5,
        decimal_places=2,
        default=Decimal(0),
        validators=[MinValueValidator(Decimal(0)), MaxValueValidator(Decimal(100))],
    )
    least_fee = models.DecimalField(
        _("but at least"),
        max_digits=12,
        decimal_places=2,
        default=Decimal(0),
        validators=[MinValueValidator(Decimal(0)), MaxValueValidator(MOST)],
        help_text=_("Never more than the price. In the currency of the price."),
    )

    history = Trail()

    class Meta:
        verbose_name = _("cancellation policy")
        verbose_name_plural = _("cancellation policies")
        constraints = [
            models.CheckConstraint(
                condition=Q(fee_percent__gte=0, fee_percent__lte=100),
                name="payments_cancellationpolicy_fee_is_a_percentage",
            ),
            models.CheckConstraint(
                condition=Q(least_fee__gte=0, least_fee__lte=MOST),
                name="payments_cancellationpolicy_least_fee_is_sane",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.resource}" if self.resource_id else ""  # it has none once it is deleted


class Refund(models.Model):
    """Money that is owed back to a customer, until staff say that it was paid, or why not.

    ``items`` are what it is for: each item has at most one. ``verified`` is False while only a
    proof says that the money came, and nobody has looked at the account. ``by_hand`` is what
    somebody noted who saw more money than was to be paid; it has no items.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, related_name="+", verbose_name=_("organisation")
    )
    customer = models.ForeignKey(
        Customer, on_delete=models.PROTECT, related_name="refunds", verbose_name=_("customer")
    )
    transaction = models.ForeignKey(
        CartTransaction,
        on_delete=models.PROTECT,
        related_name="refunds",
        verbose_name=_("transaction"),
    )
    amount = models.DecimalField(_("amount"), max_digits=12, decimal_places=2)
    currency = models.CharField(_("currency"), max_length=3)
    way = models.CharField(_("how"), max_length=10, choices=RefundWay, default=RefundWay.TRANSFER)
    status = models.CharField(
        _("status"), max_length=10, choices=RefundStatus, default=RefundStatus.OWED
    )
    verified = models.BooleanField(_("the money has been seen"), default=True)
    by_hand = models.BooleanField(
        _("noted by hand"), default=False, db_default=False, editable=False
    )
    reason = models.CharField(_("why"), max_length=500, blank=True)
    created_at = models.DateTimeField(_("owed since"))
    settled_at = models.DateTimeField(_("settled at"), null=True, blank=True)
    settled_by_id = models.UUIDField(null=True, blank=True, editable=False)
    settled_by = models.CharField(_("settled by"), max_length=200, blank=True, editable=False)
    reference = models.CharField(
        _("reference"), max_length=100, blank=True, help_text=_("Of the transfer or the credit.")
    )
    note = models.CharField(_("note"), max_length=500, blank=True)

    history = Trail()

    class Meta:
        verbose_name = _("refund")
        verbose_name_plural = _("refunds")
        ordering = ["-created_at", "-id"]
        permissions = [("settle_refund", "Can settle refunds")]
        constraints = [
            models.CheckConstraint(condition=Q(amount__gt=0), name="payments_refund_is_positive"),
            models.CheckConstraint(
                condition=Q(status__in=RefundStatus.values), name="payments_refund_status_is_known"
            ),
            models.CheckConstraint(
                condition=Q(way__in=RefundWay.values), name="payments_refund_way_is_known"
            ),
            models.CheckConstraint(
                condition=Q(status=RefundStatus.OWED, settled_at__isnull=True, reference="")
                | Q(status=RefundStatus.DONE, settled_at__isnull=False, verified=True)
                & ~Q(reference="")
                | Q(status=RefundStatus.WAIVED, settled_at__isnull=False, reference="")
                & ~Q(note=""),
                name="payments_refund_settled_says_when_and_how",
            ),
        ]
        indexes = [
            models.Index(
                fields=["organization", "created_at"],
                condition=Q(status=RefundStatus.OWED),
                name="payments_refunds_owed",
            ),
            models.Index(fields=["organization", "-created_at", "-id"]),
            models.Index(fields=["customer", "-created_at"]),
        ]
        triggers = [
            FollowLifecycle(REFUND),
            pgtrigger.Trigger(
                name="keep_amount",
                when=pgtrigger.Before,
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange(
                    "amount", "currency", "transaction", "customer", "by_hand"
                ),
                func="""
                    RAISE EXCEPTION 'refund % stays what was owed', OLD.id USING
                        ERRCODE = 'check_violation',
                        CONSTRAINT = 'payments_refund_keeps_its_amount';
                """,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.amount} {self.currency}"


class LatePayment(models.Model):
    """A proof came for a transaction that had expired, and its seats were gone: staff decide.

    ``reason`` says why the seats could not be taken again.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, related_name="+", verbose_name=_("organisation")
    )
    transaction = models.OneToOneField(
        CartTransaction,
        on_delete=models.PROTECT,
        related_name="late_payment",
        verbose_name=_("transaction"),
    )
    proof = models.ForeignKey(
        Proof, on_delete=models.PROTECT, related_name="+", verbose_name=_("proof of payment")
    )
    status = models.CharField(
        _("status"), max_length=12, choices=LateStatus, default=LateStatus.OPEN
    )
    reason = models.CharField(_("why the seats are gone"), max_length=500, blank=True)
    created_at = models.DateTimeField(_("came at"))
    resolved_at = models.DateTimeField(_("decided at"), null=True, blank=True)
    resolved_by_id = models.UUIDField(null=True, blank=True, editable=False)
    resolved_by = models.CharField(_("decided by"), max_length=200, blank=True, editable=False)
    note = models.CharField(_("note"), max_length=500, blank=True)
    refund = models.OneToOneField(
        Refund,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="late_payment",
        verbose_name=_("refund"),
    )

    history = Trail()

    class Meta:
        verbose_name = _("late payment")
        verbose_name_plural = _("late payments")
        ordering = ["-created_at", "-id"]
        permissions = [("resolve_latepayment", "Can decide on late payments")]
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=LateStatus.values),
                name="payments_latepayment_status_is_known",
            ),
            models.CheckConstraint(
                condition=Q(status=LateStatus.OPEN, resolved_at__isnull=True)
                | (~Q(status=LateStatus.OPEN) & Q(resolved_at__isnull=False)),
                name="payments_latepayment_resolved_says_when",
            ),
            models.CheckConstraint(
                condition=Q(
                    status__in=[LateStatus.REFUNDED, LateStatus.CREDITED], refund__isnull=False
                )
                | (
                    ~Q(status__in=[LateStatus.REFUNDED, LateStatus.CREDITED])
                    & Q(refund__isnull=True)
                ),
                name="payments_latepayment_money_kept_is_owed",
            ),
        ]
        indexes = [
            models.Index(
                fields=["organization", "created_at"],
                condition=Q(status=LateStatus.OPEN),
                name="payments_late_open",
            ),
            models.Index(fields=["organization", "-created_at", "-id"]),
        ]
        triggers = [FollowLifecycle(LATE)]

    def __str__(self) -> str:
        return f"{self.transaction}, {self.get_status_display()}"
