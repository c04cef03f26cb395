"""How money and the statuses of transactions look in the admin."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from django.utils.formats import number_format
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from bookings.admin.show import badge
from payments.lifecycle import PaymentStatus, ProofStatus, TransactionStatus
from payments.models import CartTransaction, Proof

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
PROOF_COLOURS = {
    ProofStatus.SUBMITTED.value: "info",
    ProofStatus.ACCEPTED.value: "success",
    ProofStatus.REJECTED.value: "danger",
}


def money(amount: Decimal, currency: str) -> str:
    """An amount as a person of this language writes it, with its currency."""
    return f"{number_format(amount, 2, use_l10n=True, force_grouping=True)}\N{NO-BREAK SPACE}{currency}"


def sums(transactions: Iterable[CartTransaction]) -> list[str]:
    """What transactions come to, one sum for each currency."""
    found: dict[str, Decimal] = {}
    for one in transactions:
        found[one.currency] = found.get(one.currency, Decimal(0)) + one.amount
    return [money(amount, currency) for currency, amount in sorted(found.items())]


def status_badge(transaction: CartTransaction) -> SafeString:
    return badge(transaction.get_status_display(), STATUS_COLOURS[transaction.status])


def payment_badge(transaction: CartTransaction) -> SafeString:
    """What the payment is at: with the word, since a booking beside it can be pending too."""
    text = gettext("Payment: %s") % transaction.get_payment_status_display().lower()
    return badge(text, PAYMENT_COLOURS[transaction.payment_status])


def proof_badge(proof: Proof) -> SafeString:
    return badge(proof.get_status_display(), PROOF_COLOURS[proof.status])
