"""Proof files of the demo: each is examined and stored like an upload."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import datetime
from decimal import Decimal

from config.demo import seed_slips
from payments import files
from payments.models import CartTransaction


class Files:
    """Stores receipts. They stay if the surrounding transaction commits, and go if it does not.

    The stack is left after that transaction, see ``payments.files.stored``.
    """

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._count = 0

    def receipt(
        self,
        transaction: CartTransaction,
        *,
        paid_at: datetime,
        kind: seed_slips.Format = "png",
        amount: Decimal | None = None,
    ) -> files.StoredFile:
        """A receipt over the transaction's amount, or over a wrong one if ``amount`` is given."""
        banks = list(seed_slips.BANKS)
        slip = seed_slips.Slip(
            bank=banks[self._count % len(banks)],
            payer=transaction.customer.name,
            payee=transaction.organization.name,
            amount=transaction.amount if amount is None else amount,
            currency=transaction.currency,
            reference=transaction.reference,
            paid_at=paid_at,
        )
        self._count += 1
        clean = files.examine(seed_slips.draw(slip, kind), f"receipt-{paid_at:%Y-%m-%d}.{kind}")
        return self._stack.enter_context(files.stored(clean))
