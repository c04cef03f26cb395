"""What a customer is about to book, item by item."""

from decimal import Decimal

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from audit.history import Trail
from audit.ids import uuid7
from audit.triggers import FollowLifecycle
from bookings.models import Booking, Customer, Organization
from payments.lifecycle import CART, ITEM, CartStatus, ItemStatus


class Cart(models.Model):
    """A customer has one open cart; its row is the lock of everything they put in or take out."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, related_name="+", verbose_name=_("organisation")
    )
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="carts")
    status = models.CharField(
        _("status"), max_length=12, choices=CartStatus, default=CartStatus.OPEN
    )
    created_at = models.DateTimeField()
    checked_out_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)

    history = Trail()

    class Meta:
        verbose_name = _("cart")
        verbose_name_plural = _("carts")
        constraints = [
            models.UniqueConstraint(
                fields=["customer"],
                condition=Q(status=CartStatus.OPEN),
                name="payments_cart_one_open_per_customer",
            ),
            models.CheckConstraint(
                condition=Q(
                    status__in=[CartStatus.OPEN, CartStatus.CLOSED], checked_out_at__isnull=True
                )
                | Q(status=CartStatus.CHECKED_OUT, checked_out_at__isnull=False),
                name="payments_cart_checked_out_says_when",
            ),
            models.CheckConstraint(
                condition=Q(status=CartStatus.CLOSED, closed_at__isnull=False)
                | (~Q(status=CartStatus.CLOSED) & Q(closed_at__isnull=True)),
                name="payments_cart_closed_says_when",
            ),
        ]
        triggers = [FollowLifecycle(CART)]

    def __str__(self) -> str:
        return f"{self.customer}, {self.get_status_display()}"


class CartItem(models.Model):
    """One booking in a cart, and later in a transaction; its price is frozen at checkout (A2).

    ``amount`` is what is to be paid: (``unit_price`` × quantity) − ``discount``; ``tax`` is
    the part of it that is tax. ``quantity`` is the number of people, or 1 if the price is per
    booking or by time; by time, ``unit_price`` is the sum for all of the time.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, related_name="+", verbose_name=_("organisation")
    )
    cart = models.ForeignKey(
        Cart, on_delete=models.PROTECT, null=True, blank=True, related_name="items"
    )
    transaction = models.ForeignKey(
        "payments.CartTransaction",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="items",
    )
    booking = models.OneToOneField(Booking, on_delete=models.PROTECT, related_name="cart_item")
    status = models.CharField(
        _("status"), max_length=12, choices=ItemStatus, default=ItemStatus.IN_CART
    )
    price_name = models.CharField(_("price"), max_length=100, blank=True)
    unit_price = models.DecimalField(max_digits=12, decimal_places=2, null=True, blank=True)
    quantity = models.PositiveIntegerField(null=True, blank=True)
    discount = models.DecimalField(max_digits=12, decimal_places=2, default=Decimal(0))
    tax_percent = models.DecimalField(max_digits=5, decimal_places=2, default=Decimal(0))
    tax = models.DecimalField(max_digits=12, decimal_places=2, default=Decimal(0))
    amount = models.DecimalField(
        _("amount"), max_digits=12, decimal_places=2, null=True, blank=True
    )
    currency = models.CharField(max_length=3, blank=True)
    # What was agreed about cancelling: free until so many minutes before the start (empty: at any
    # time), and what is kept after that.
    free_until_minutes = models.PositiveIntegerField(null=True, blank=True)
    late_fee = models.DecimalField(max_digits=12, decimal_places=2, default=Decimal(0))
    # The last free moment, as checkout and later moves have left it; and, where a move has left
    # another than the rule of the resource says, the last one at which its customer may cancel.
    free_until = models.DateTimeField(_("cancelling is free until"), null=True, blank=True)
    cancel_until = models.DateTimeField(_("customers may cancel until"), null=True, blank=True)
    # What was kept when it was cancelled; the rest of what was paid is the refund's.
    fee = models.DecimalField(_("fee"), max_digits=12, decimal_places=2, default=Decimal(0))
    refund = models.ForeignKey(
        "payments.Refund", on_delete=models.PROTECT, null=True, blank=True, related_name="items"
    )
    created_at = models.DateTimeField()

    history = Trail()

    class Meta:
        verbose_name = _("cart item")
        verbose_name_plural = _("cart items")
        ordering = ["created_at", "id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=ItemStatus.values), name="payments_cartitem_status_is_known"
            ),
            models.CheckConstraint(
                condition=Q(
                    status__in=[ItemStatus.IN_CART, ItemStatus.EXPIRED, ItemStatus.CANCELLED]
                )
                | Q(transaction__isnull=False),
                name="payments_cartitem_checked_out_has_a_transaction",
            ),
            models.CheckConstraint(
                condition=Q(transaction__isnull=True)
                | Q(amount__isnull=False, unit_price__isnull=False, quantity__isnull=False)
                & ~Q(currency=""),
                name="payments_cartitem_price_is_frozen",
            ),
            models.CheckConstraint(
                condition=Q(cart__isnull=False) | Q(transaction__isnull=False),
                name="payments_cartitem_belongs_somewhere",
            ),
            models.CheckConstraint(
                condition=(Q(amount__isnull=True) | Q(amount__gte=0))
                & Q(discount__gte=0, tax__gte=0),
                name="payments_cartitem_money_is_not_negative",
            ),
            models.CheckConstraint(
                condition=Q(fee=0, late_fee=0)
                | Q(fee__gte=0, fee__lte=F("amount"), late_fee__gte=0, late_fee__lte=F("amount")),
                name="payments_cartitem_fee_is_part_of_the_amount",
            ),
            models.CheckConstraint(
                condition=Q(
                    free_until__isnull=False, free_until_minutes__isnull=False, late_fee__gt=0
                )
                | Q(free_until__isnull=True)
                & (Q(free_until_minutes__isnull=True) | Q(late_fee__lte=0)),
                name="payments_cartitem_a_late_fee_says_since_when",
            ),
            models.CheckConstraint(
                condition=Q(refund__isnull=True)
                | Q(status__in=[ItemStatus.CANCELLED, ItemStatus.REJECTED, ItemStatus.EXPIRED]),
                name="payments_cartitem_refunded_has_ended",
            ),
        ]
        triggers = [FollowLifecycle(ITEM)]

    def __str__(self) -> str:
        return f"{self.booking_id}, {self.get_status_display()}"
