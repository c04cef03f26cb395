"""Statuses of carts, items, transactions and proofs, and how items mirror bookings."""

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _

from audit.lifecycle import Lifecycle
from bookings.lifecycle import BookingStatus as B


class CartStatus(TextChoices):
    OPEN = "open", _("open")
    CHECKED_OUT = "checked_out", _("checked out")
    CLOSED = "closed", _("closed")


class ItemStatus(TextChoices):
    IN_CART = "in_cart", _("in the cart")
    CHECKED_OUT = "checked_out", _("checked out")
    APPROVED = "approved", _("approved")
    REJECTED = "rejected", _("rejected")
    EXPIRED = "expired", _("expired")
    CANCELLED = "cancelled", _("cancelled")


class TransactionStatus(TextChoices):
    PENDING = "pending", _("pending")
    UNDER_REVIEW = "under_review", _("under review")
    APPROVED = "approved", _("approved")
    REJECTED = "rejected", _("rejected")
    EXPIRED = "expired", _("expired")
    CANCELLED = "cancelled", _("cancelled")


class RefundStatus(TextChoices):
    OWED = "owed", _("owed")
    DONE = "done", _("done")
    WAIVED = "waived", _("waived")


class RefundWay(TextChoices):
    TRANSFER = "transfer", _("paid back")
    CREDIT = "credit", _("kept as credit")


class LateStatus(TextChoices):
    OPEN = "open", _("waiting for a decision")
    REINSTATED = "reinstated", _("booked after all")
    REFUNDED = "refunded", _("to be paid back")
    CREDITED = "credited", _("kept as credit")
    DISMISSED = "dismissed", _("dismissed")


class ProofStatus(TextChoices):
    SUBMITTED = "submitted", _("submitted")
    ACCEPTED = "accepted", _("accepted")
    REJECTED = "rejected", _("rejected")


class PaymentMethod(TextChoices):
    PAY_NOW = "pay_now", _("pay now, by proof of payment")
    PAY_ON_ARRIVAL = "pay_on_arrival", _("pay on arrival")
    FREE = "free", _("free")


class PaymentStatus(TextChoices):
    PENDING = "pending", _("pending")
    PAID = "paid", _("paid")
    FAILED = "failed", _("failed")


# Which payment status each method knows (B10).
METHOD_STATUSES = {
    PaymentMethod.PAY_NOW: {PaymentStatus.PENDING, PaymentStatus.PAID, PaymentStatus.FAILED},
    PaymentMethod.PAY_ON_ARRIVAL: {PaymentStatus.PENDING, PaymentStatus.PAID},
    PaymentMethod.FREE: {PaymentStatus.PAID},
}

T, Item = TransactionStatus, ItemStatus

UNDECIDED = (T.PENDING, T.UNDER_REVIEW)
LIVE_ITEMS = (Item.IN_CART, Item.CHECKED_OUT, Item.APPROVED)

CART = Lifecycle(
    "cart",
    ("check_out", {CartStatus.OPEN}, CartStatus.CHECKED_OUT),
    ("close", {CartStatus.OPEN}, CartStatus.CLOSED),
)

ITEM = Lifecycle(
    "cart item",
    ("check_out", {Item.IN_CART}, Item.CHECKED_OUT),
    ("approve", {Item.CHECKED_OUT}, Item.APPROVED),
    ("reject", {Item.CHECKED_OUT}, Item.REJECTED),
    ("expire", {Item.IN_CART, Item.CHECKED_OUT}, Item.EXPIRED),
    ("reinstate", {Item.EXPIRED}, Item.CHECKED_OUT),
    ("cancel", {Item.IN_CART, Item.CHECKED_OUT, Item.APPROVED}, Item.CANCELLED),
)

TRANSACTION = Lifecycle(
    "cart transaction",
    ("submit_proof", {T.PENDING}, T.UNDER_REVIEW),
    ("approve", {T.PENDING, T.UNDER_REVIEW}, T.APPROVED),
    ("reject", {T.PENDING, T.UNDER_REVIEW}, T.REJECTED),
    ("expire", {T.PENDING, T.UNDER_REVIEW}, T.EXPIRED),
    ("reinstate", {T.EXPIRED}, T.UNDER_REVIEW),
    ("cancel", {T.PENDING, T.UNDER_REVIEW, T.APPROVED}, T.CANCELLED),
)

PROOF = Lifecycle(
    "proof of payment",
    ("accept", {ProofStatus.SUBMITTED}, ProofStatus.ACCEPTED),
    ("reject", {ProofStatus.SUBMITTED}, ProofStatus.REJECTED),
    ("reopen", {ProofStatus.REJECTED}, ProofStatus.SUBMITTED),
)

REFUND = Lifecycle(
    "refund",
    ("settle", {RefundStatus.OWED}, RefundStatus.DONE),
    ("waive", {RefundStatus.OWED}, RefundStatus.WAIVED),
    ("reopen", {RefundStatus.DONE, RefundStatus.WAIVED}, RefundStatus.OWED),
)

LATE = Lifecycle(
    "late payment",
    ("reinstate", {LateStatus.OPEN}, LateStatus.REINSTATED),
    ("refund", {LateStatus.OPEN}, LateStatus.REFUNDED),
    ("credit", {LateStatus.OPEN}, LateStatus.CREDITED),
    ("dismiss", {LateStatus.OPEN}, LateStatus.DISMISSED),
    ("reopen", {LateStatus.DISMISSED}, LateStatus.OPEN),
)

PAYMENT = Lifecycle(
    "payment",
    ("pay", {PaymentStatus.PENDING}, PaymentStatus.PAID),
    ("fail", {PaymentStatus.PENDING}, PaymentStatus.FAILED),
)

# The status of an item is a function of the status of its booking (A7).
ITEM_OF_BOOKING: dict[str, str] = {
    B.HELD: Item.IN_CART,
    B.PENDING: Item.CHECKED_OUT,
    B.CONFIRMED: Item.APPROVED,
    B.RESCHEDULE_PROPOSED: Item.APPROVED,
    B.CHECKED_IN: Item.APPROVED,
    B.COMPLETED: Item.APPROVED,
    B.NO_SHOW: Item.APPROVED,
    B.REJECTED: Item.REJECTED,
    B.EXPIRED: Item.EXPIRED,
    B.CANCELLED: Item.CANCELLED,
}
