"""What became of refunds: paid back, waived, owed again; and money given back by hand (A7, B9).
Decision 22.

Each but the last takes many at once and does all or nothing; the number of statements is the same.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import transaction

from audit import outbox
from audit.context import Actor, audited
from audit.errors import Invalid
from audit.observability.operations import operation
from bookings.services.bookings import check_version
from payments import locks, notices, owing, selectors, transitions
from payments.errors import (
    OwnTransaction,
    RefundNotPossible,
    RefundSettled,
    RefundUnverified,
)
from payments.lifecycle import UNDECIDED, LateStatus, RefundStatus
from payments.models import CartTransaction, LatePayment, Refund

LONGEST_REFERENCE = 100
LONGEST_NOTE = 500


def settle(
    *,
    refund_ids: Collection[uuid.UUID],
    organization_ids: Collection[uuid.UUID] | None,
    reference: str,
    actor: Actor,
    now: datetime,
) -> list[Refund]:
    """Note that refunds were paid back; their customers are told.

    Args:
        organization_ids: whose refunds the actor may settle; None: everybody's.
        reference: of the transfer, or whatever finds it again.

    Raises:
        RefundSettled: one of them is not owed any more. Nothing is changed.
        RefundUnverified: of one of them nobody has seen the money; see :func:`verify`.
        OwnTransaction: one of them is owed to the actor.
        Invalid: no reference.
        NotFound: one of them is not there, or another organisation's.
    """
    reference = _text(reference, "reference", LONGEST_REFERENCE, "Say how to find it again.")

    def step(found: Sequence[Refund]) -> None:
        for refund in found:
            if refund.status == RefundStatus.OWED and not refund.verified:
                raise RefundUnverified(
                    f"The money for {refund.transaction.reference} has not been seen yet: see the"
                    " account, and say so first.",
                    refund=str(refund.pk),
                )
        owing.move_refunds(found, "settle", reference=reference, **_settled(actor, now=now))
        outbox.emit_many(notices.refunds("refund.settled", found, reference=reference))

    return _change(
        "refund.settle", refund_ids, organization_ids, step, actor=actor, reason=reference
    )


def waive(
    *,
    refund_ids: Collection[uuid.UUID],
    organization_ids: Collection[uuid.UUID] | None,
    note: str,
    actor: Actor,
    now: datetime,
) -> list[Refund]:
    """Note that refunds are not paid, and why: the money never came, or the customer wants none.
    Their customers are told.

    Raises:
        RefundSettled, OwnTransaction, NotFound: see :func:`settle`.
        Invalid: no note.
    """
    note = _text(note, "note", LONGEST_NOTE, "Say why it is not paid back.")

    def step(found: Sequence[Refund]) -> None:
        owing.move_refunds(found, "waive", note=note, **_settled(actor, now=now))
        outbox.emit_many(notices.refunds("refund.waived", found, reason=note))

    return _change("refund.waive", refund_ids, organization_ids, step, actor=actor, reason=note)


def reopen(
    *,
    refund_ids: Collection[uuid.UUID],
    organization_ids: Collection[uuid.UUID] | None,
    reason: str,
    actor: Actor,
    now: datetime,
) -> list[Refund]:
    """Settled by mistake, or the transfer came back: refunds are owed again, and their customers
    are told.

    Raises:
        RefundSettled: one of them is owed. Nothing is changed.
        OwnTransaction, NotFound: see :func:`settle`.
        Invalid: no reason.
    """
    reason = _text(reason, "reason", LONGEST_NOTE, "Say why: the customer will read it.")

    def step(found: Sequence[Refund]) -> None:
        owing.move_refunds(
            found,
            "reopen",
            reference="",
            note="",
            settled_at=None,
            settled_by_id=None,
            settled_by="",
        )
        outbox.emit_many(notices.refunds("refund.owed_again", found, reason=reason))

    return _change("refund.reopen", refund_ids, organization_ids, step, actor=actor, reason=reason)


def give_back(
    *,
    transaction_id: uuid.UUID,
    organization_id: uuid.UUID,
    amount: Decimal,
    reason: str,
    actor: Actor,
    now: datetime,
    version: int | None = None,
) -> CartTransaction:
    """Note by hand that money came which was not to be paid, and goes back: somebody paid twice,
    or what they had cancelled before. It is owed from now on, as a refund without items, and the
    customer is told.

    Args:
        amount: at most ``selectors.most_by_hand``.
        version: of the transaction, as the caller read it.

    Raises:
        RefundNotPossible: nobody has decided on the transaction, or on what came too late for it;
            that decision says what is owed.
        OwnTransaction: staff do not owe money to themselves.
        StaleVersion: it changed since the caller read ``version``.
        Invalid: no reason, or an amount that cannot be.
        NotFound: the organisation has no such transaction.
    """
    reason = _text(reason, "reason", LONGEST_NOTE, "Say why: the customer will read it.")
    with (
        operation("refund.give_back", actor=actor, transaction=str(transaction_id)) as op,
        transaction.atomic(savepoint=False),
        audited(actor, reason=reason),
    ):
        found = locks.transaction(transaction_id, organization_id=organization_id)
        if actor.is_user(found.customer.user_id):
            raise OwnTransaction("Ask a colleague: nobody decides on money owed to themselves.")
        check_version(found, version)
        check_can_give_back(found)
        most = selectors.most_by_hand(found)
        if not 0 < amount <= most or amount != amount.quantize(Decimal("0.01")):
            raise Invalid(
                f"An amount is more than 0 and at most {most} {found.currency}: what can have been"
                " paid, less what it was for and what is owed back already.",
                field="amount",
            )
        refund = Refund(
            organization_id=organization_id,
            customer=found.customer,
            transaction=found,
            amount=amount,
            currency=found.currency,
            by_hand=True,
            reason=reason,
            created_at=now,
        )
        refund.organization = found.organization
        refund.save(force_insert=True)
        transitions.touch(found)
        outbox.emit_many(notices.refunds("refund.owed", [refund], reason=reason))
        op.rows = 2
    return found


def check_can_give_back(found: CartTransaction) -> None:
    """Raise RefundNotPossible while a decision is open that says what is owed of a transaction."""
    if found.status in UNDECIDED:
        raise RefundNotPossible("Decide on it first: approve or reject it.")
    late = LatePayment.objects.filter(transaction=found, status=LateStatus.OPEN)
    if late.exists():
        raise RefundNotPossible("Decide first on the payment that came too late for it.")


def verify(
    *,
    refund_ids: Collection[uuid.UUID],
    organization_ids: Collection[uuid.UUID] | None,
    actor: Actor,
    now: datetime,
) -> list[Refund]:
    """Note that the money of refunds was found on the account, so that they can be paid back.

    Raises:
        RefundSettled: one of them is not owed any more. Nothing is changed.
        OwnTransaction, NotFound: see :func:`settle`.
    """

    def step(found: Sequence[Refund]) -> None:
        for refund in found:
            if refund.status != RefundStatus.OWED:
                raise RefundSettled(
                    f"The refund for {refund.transaction.reference} is"
                    f" {refund.get_status_display()}."
                )
        Refund.objects.filter(pk__in=[r.pk for r in found]).update(verified=True)
        for refund in found:
            refund.verified = True

    return _change(
        "refund.verify",
        refund_ids,
        organization_ids,
        step,
        actor=actor,
        reason="the money has been seen",
    )


def _change(
    name: str,
    ids: Collection[uuid.UUID],
    organization_ids: Collection[uuid.UUID] | None,
    step: Callable[[Sequence[Refund]], None],
    *,
    actor: Actor,
    reason: str,
) -> list[Refund]:
    with (
        operation(name, actor=actor, refunds=len(ids)) as op,
        transaction.atomic(savepoint=False),
        audited(actor, reason=reason),
    ):
        found = locks.refunds(ids, organization_ids=organization_ids)
        for refund in found:
            if actor.is_user(refund.customer.user_id):
                raise OwnTransaction("Ask a colleague: nobody decides on money owed to themselves.")
        step(found)
        op.rows = len(found)
    return found


def _settled(actor: Actor, *, now: datetime) -> dict[str, Any]:
    return {"settled_at": now, "settled_by_id": actor.id, "settled_by": actor.label[:200]}


def _text(text: str, field: str, longest: int, missing: str) -> str:
    text = text.strip()
    if not text:
        raise Invalid(missing, field=field)
    if len(text) > longest:
        raise Invalid(f"At most {longest} characters.", field=field)
    return text
