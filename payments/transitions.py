"""Steps of items, transactions and proofs. They take rows whose bookings are locked."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from django.db.models import F

from audit.context import Actor
from payments.errors import AlreadyDecided
from payments.lifecycle import PROOF, TRANSACTION, ProofStatus
from payments.models import CartItem, CartTransaction, Proof


def mirror_items(booking_ids: Collection[uuid.UUID], status: str) -> int:
    """Give the items of locked bookings the status that follows from their bookings'."""
    return (
        CartItem.objects.filter(booking_id__in=booking_ids)
        .exclude(status=status)
        .update(status=status)
    )


def check(transaction: CartTransaction, move: str) -> None:
    """Raise AlreadyDecided if a locked transaction cannot take a move."""
    if not TRANSACTION.allows(move, transaction.status):
        when = f" at {transaction.decided_at:%Y-%m-%d %H:%M} UTC" if transaction.decided_at else ""
        by = f" by {transaction.decided_by}" if transaction.decided_by else ""
        raise AlreadyDecided(
            f"Transaction {transaction.reference} is {transaction.get_status_display()}"
            f" already{by}{when}.",
            transaction_status=transaction.status,
        )


def move(transactions: Sequence[CartTransaction], name: str, **changes: Any) -> None:
    """Take one move of the lifecycle with a whole batch of locked transactions."""
    for transaction in transactions:
        check(transaction, name)
    target = TRANSACTION.target(name)
    CartTransaction.objects.filter(pk__in=[t.pk for t in transactions]).update(
        status=target, **changes
    )
    for transaction in transactions:
        transaction.status = target
        transaction.version += 1
        for field, value in changes.items():
            setattr(transaction, field, value)


def touch(transaction: CartTransaction) -> None:
    """Make it a new version: who read it before has not seen all that belongs to it now."""
    CartTransaction.objects.filter(pk=transaction.pk).update(version=F("version") + 1)
    transaction.version += 1


def decided(actor: Actor, *, now: datetime, reason: str) -> dict[str, Any]:
    """The columns that say who decided."""
    return {
        "decided_at": now,
        "decided_by_id": actor.id,
        "decided_by": actor.label[:200],
        "decision_reason": reason,
    }


def decide_proofs(transaction: CartTransaction, name: str) -> int:
    """Accept or reject the proofs that wait for this decision."""
    return Proof.objects.filter(transaction=transaction, status=ProofStatus.SUBMITTED).update(
        status=PROOF.target(name)
    )
