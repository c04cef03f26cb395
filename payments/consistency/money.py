"""Sums are right, and what was approved was paid. People decide about money."""

from __future__ import annotations

from collections.abc import Iterator

from audit.consistency.registry import Problem, Scope, check, rows
from bookings.consistency.parts import mine, params
from payments.lifecycle import PaymentMethod, PaymentStatus, ProofStatus, TransactionStatus

# What is free has no price, and therefore not the currency of what it was bought with.
_AMOUNTS = f"""
    SELECT w.id, w.reference, w.organization_id, w.wrong, w.amount, w.items
    FROM (
        SELECT t.id::text, t.reference, t.organization_id,
               t.amount::text, sum(i.amount)::text AS items,
               array_remove(ARRAY[
                   CASE WHEN t.amount <> sum(i.amount) THEN 'amount' END,
                   CASE WHEN t.tax <> sum(i.tax) THEN 'tax' END,
                   CASE WHEN t.discount <> sum(i.discount) THEN 'discount' END,
                   CASE WHEN bool_or(i.amount > 0 AND i.currency <> t.currency)
                        THEN 'currency' END,
                   CASE WHEN bool_or(i.amount IS NULL
                                     OR i.amount <> i.unit_price * i.quantity - i.discount)
                        THEN 'amount of an item' END,
                   CASE WHEN bool_or(i.tax > i.amount) THEN 'tax of an item' END
               ], NULL) AS wrong
        FROM payments_carttransaction t
        JOIN payments_cartitem i ON i.transaction_id = t.id
        WHERE {mine("t.organization_id")}
        GROUP BY t.id
    ) w
    WHERE w.wrong <> '{{}}'
    ORDER BY w.id
"""  # noqa: S608


@check(
    id="payments.amounts",
    title="A transaction costs what its frozen items add up to",
    help=(
        "A customer is asked for another sum than their items cost. Prices are frozen at"
        " checkout, so somebody changed one side later; the trail says which and when."
    ),
    severity="critical",
)
def amounts(scope: Scope) -> Iterator[Problem]:
    for row in rows(_AMOUNTS, params(scope)):
        yield Problem(
            subject_type="payments.carttransaction",
            subject_id=row["id"],
            message=f"Transaction {row['reference']} and its items differ:"
            f" {', '.join(row['wrong'])}.",
            organization_id=row["organization_id"],
            details={"wrong": row["wrong"], "amount": row["amount"], "items": row["items"]},
        )


# Whether a proof was needed is what the policy said when the transaction was approved; an
# organisation that never said anything needs one (payments.models.PaymentPolicy).
_UNPAID = f"""
    SELECT t.id::text, t.reference, t.organization_id, w.wrong
    FROM payments_carttransaction t
    LEFT JOIN LATERAL (
        SELECT h.proof_required FROM payments_historicalpaymentpolicy h
        WHERE h.organization_id = t.organization_id AND h.history_date <= t.decided_at
        ORDER BY h.history_id DESC LIMIT 1
    ) policy ON t.payment_method = '{PaymentMethod.PAY_NOW}'
    CROSS JOIN LATERAL (
        SELECT CASE
            WHEN t.payment_method <> '{PaymentMethod.PAY_ON_ARRIVAL}'
                 AND t.payment_status <> '{PaymentStatus.PAID}' THEN 'it is not paid'
            WHEN t.payment_method = '{PaymentMethod.FREE}' AND t.amount > 0
                 THEN 'it counts as free and costs something'
            WHEN t.payment_method = '{PaymentMethod.PAY_NOW}'
                 AND COALESCE(policy.proof_required, true)
                 AND NOT EXISTS (
                     SELECT 1 FROM payments_proof p
                     WHERE p.transaction_id = t.id AND p.status <> '{ProofStatus.REJECTED}'
                 ) THEN 'there is no proof of its payment'
        END AS wrong
    ) w
    WHERE t.status = '{TransactionStatus.APPROVED}' AND w.wrong IS NOT NULL
      AND {mine("t.organization_id")}
    ORDER BY t.id
"""  # noqa: S608


@check(
    id="payments.unpaid_approved",
    title="What is approved was paid for, as the organisation wants it",
    help=(
        "A transaction was approved past the payment policy of that day. See the account: note"
        " the payment, or cancel the transaction and tell the customer."
    ),
    severity="critical",
)
def unpaid_approved(scope: Scope) -> Iterator[Problem]:
    for row in rows(_UNPAID, params(scope)):
        yield Problem(
            subject_type="payments.carttransaction",
            subject_id=row["id"],
            message=f"Transaction {row['reference']} is approved, but {row['wrong']}.",
            organization_id=row["organization_id"],
            details={"wrong": row["wrong"]},
        )
