"""What staff see of money: the review queue, transactions, proofs, prices and policies."""

from payments.admin import cancelling, panels, prices, waitlist
from payments.admin.late import LatePaymentAdmin
from payments.admin.prices import CancellationInline, PolicyAdmin, PolicyInline, PriceInline
from payments.admin.proofs import ProofAdmin
from payments.admin.refunds import RefundAdmin
from payments.admin.series import SeriesAdmin
from payments.admin.transactions import TransactionAdmin

__all__ = [
    "CancellationInline",
    "LatePaymentAdmin",
    "PolicyAdmin",
    "PolicyInline",
    "PriceInline",
    "ProofAdmin",
    "RefundAdmin",
    "SeriesAdmin",
    "TransactionAdmin",
    "cancelling",
    "panels",
    "prices",
    "waitlist",
]
