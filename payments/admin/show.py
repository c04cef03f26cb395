"""How money and the statuses of transactions look in the admin."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from django.utils.formats import number_format
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from bookings.admin.show import badge
from payments.lifecycle import PaymentStatus, ProofStatus, RefundStatus, TransactionStatus
from payments.models import CartTransaction, Proof, Refund

STATUS_COLOURS = {
    TransactionStatus.PENDING.value: "warning",
    TransactionStatus.UNDER_REVIEW.value: "info",
    TransactionStatus.APPROVED.value: "success",
    TransactionStatus.REJECTED.value: "danger",
    TransactionStatus.EXPIRED.value: "default",
    TransactionStatus.CANCELLED.value: "default",
}
PAYMENT_COLOURS = {
    PaymentStatus.PENDING.value: "warning",
    PaymentStatus.PAID.value: "success",
    PaymentStatus.FAILED.value: "danger",
}
REFUND_COLOURS = {
    RefundStatus.OWED.value: "warning",
    RefundStatus.DONE.value: "success",
    RefundStatus.WAIVED.value: "default",
}
PROOF_COLOURS = {
    ProofStatus.SUBMITTED.value: "info",
    ProofStatus.ACCEPTED.value: "success",
    ProofStatus.REJECTED.value: "danger",
}


def money(amount: Decimal, currency: str) -> str:
    """An amount as a person of this language writes it, with its currency."""
    return f"{number_format(amount, 2, use_l10n=True, force_grouping=True)}\N{NO-BREAK SPACE}{currency}"


def sums(several: Iterable[CartTransaction | Refund]) -> list[str]:
    """What transactions or refunds come to, one sum for each currency."""
    found: dict[str, Decimal] = {}
    for one in several:
        found[one.currency] = found.get(one.currency, Decimal(0)) + one.amount
    return [money(amount, currency) for currency, amount in sorted(found.items())]


def status_badge(transaction: CartTransaction) -> SafeString:
    return badge(transaction.get_status_display(), STATUS_COLOURS[transaction.status])


def payment_badge(transaction: CartTransaction) -> SafeString:
    """What the payment is at: with the word, since a booking beside it can be pending too."""
    text = gettext("Payment: %s") % transaction.get_payment_status_display().lower()
    return badge(text, PAYMENT_COLOURS[transaction.payment_status])


def refund_badge(refund: Refund) -> SafeString:
    """What a refund is at; one whose money nobody has seen is not owed for certain."""
    if refund.status == RefundStatus.OWED and not refund.verified:
        return badge(gettext("owed if the money came"), "info")
    return badge(refund.get_status_display(), REFUND_COLOURS[refund.status])


def proof_badge(proof: Proof) -> SafeString:
    return badge(proof.get_status_display(), PROOF_COLOURS[proof.status])
