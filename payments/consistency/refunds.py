"""What was paid for cancelled bookings is owed back, and refunds are what they are for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from uuid import UUID

from audit.consistency.registry import FixResult, Problem, Scope, check, fix, rows
from audit.context import Actor
from audit.languages import our_reason
from bookings.consistency.parts import mine, params
from payments import cancelling, locks, owing
from payments.cancelling import Money
from payments.lifecycle import ItemStatus, PaymentStatus, RefundStatus, TransactionStatus
from payments.models import CartItem

# What came too late is owed as it came, and its own checks look at it; so is what somebody noted by
# hand, which is for no item.
_AMOUNTS = f"""
    SELECT r.id::text, t.reference, r.organization_id, r.amount::text,
           COALESCE(sum(i.amount - i.fee), 0)::text AS items
    FROM payments_refund r
    JOIN payments_carttransaction t ON t.id = r.transaction_id
    LEFT JOIN payments_cartitem i ON i.refund_id = r.id
    WHERE NOT EXISTS (SELECT 1 FROM payments_latepayment l WHERE l.refund_id = r.id)
      AND {mine("r.organization_id")}
    GROUP BY r.id, t.id
    HAVING NOT r.by_hand AND r.amount <> COALESCE(sum(i.amount - i.fee), 0)
        OR r.by_hand AND count(i.id) > 0
        OR bool_or(i.amount > 0 AND i.currency <> r.currency)
    ORDER BY r.id
"""  # noqa: S608


@check(
    id="payments.refund_amounts",
    title="A refund is what was paid for its items, less what was kept",
    help=(
        "A customer is paid back another sum than they are owed. The trail of the refund and of"
        " its items says which side was changed later."
    ),
    severity="critical",
)
def refund_amounts(scope: Scope) -> Iterator[Problem]:
    for row in rows(_AMOUNTS, params(scope)):
        yield Problem(
            subject_type="payments.refund",
            subject_id=row["id"],
            message=f"A refund for transaction {row['reference']} is {row['amount']}, and its items"
            f" come to {row['items']}.",
            organization_id=row["organization_id"],
            details={"amount": row["amount"], "items": row["items"]},
        )


# Whether money was there when an item was cancelled is what the trail of its transaction said at
# that moment: what was paid later was paid for the others. While a proof is under review the money
# may be there; once it was rejected, it was not.
_MISSING = f"""
    SELECT i.id::text, t.id::text AS transaction, t.reference, t.organization_id,
           (i.amount - i.fee)::text AS due, i.currency
    FROM payments_cartitem i
    JOIN payments_carttransaction t ON t.id = i.transaction_id
    CROSS JOIN LATERAL (
        SELECT h.history_date AS at FROM payments_historicalcartitem h
        WHERE h.id = i.id AND h.status = '{ItemStatus.CANCELLED}'
        ORDER BY h.history_id LIMIT 1
    ) gone
    CROSS JOIN LATERAL (
        SELECT h.status, h.payment_status FROM payments_historicalcarttransaction h
        WHERE h.id = t.id AND h.history_date <= gone.at
        ORDER BY h.history_id DESC LIMIT 1
    ) was
    WHERE i.status = '{ItemStatus.CANCELLED}' AND i.refund_id IS NULL AND i.amount > i.fee
      AND (was.payment_status = '{PaymentStatus.PAID}'
           OR was.status = '{TransactionStatus.UNDER_REVIEW}'
              AND t.payment_status <> '{PaymentStatus.FAILED}')
      AND {mine("t.organization_id")}
    ORDER BY i.id
"""  # noqa: S608


@check(
    id="payments.refund_missing",
    title="What was paid for a cancelled booking is owed back",
    help=(
        "A booking was cancelled after its money came, and nobody is told to pay it back. --fix"
        " notes the refund; whoever has paid it back already marks it as done."
    ),
    severity="critical",
)
def refund_missing(scope: Scope) -> Iterator[Problem]:
    for row in rows(_MISSING, params(scope)):
        yield Problem(
            subject_type="payments.cartitem",
            subject_id=row["id"],
            message=f"Of transaction {row['reference']} {row['due']} {row['currency']} are not"
            " noted to be paid back.",
            organization_id=row["organization_id"],
            details={"transaction": row["transaction"], "due": row["due"]},
        )


@fix("payments.refund_missing")
def fix_refund_missing(problem: Problem, actor: Actor, now: datetime) -> FixResult:
    mine = CartItem.objects.filter(pk=UUID(problem.subject_id))
    seen = mine.first()
    if seen is None or seen.transaction_id is None:
        return FixResult.gone()
    locks.bookings_of(seen.transaction_id)
    found = locks.transactions([seen.transaction_id])
    item = mine.first()
    if not found or item is None or item.status != ItemStatus.CANCELLED:
        return FixResult.gone()
    if item.refund_id is not None or cancelling.owed(item) <= 0:
        return FixResult.gone()
    paid = found[0].payment_status == PaymentStatus.PAID
    owing.owe_refunds(
        found,
        [item],
        now=now,
        reason=our_reason("It was found that this was not paid back."),
        known=Money.SEEN if paid else Money.CLAIMED,
    )
    return FixResult.fixed("The refund is noted.")


_BY_HAND = f"""
    SELECT t.id::text, t.reference, t.organization_id, t.currency,
           (used.sum + r.sum)::text AS given, possible.sum::text AS possible
    FROM payments_carttransaction t
    CROSS JOIN LATERAL (
        SELECT COALESCE(sum(r.amount) FILTER (WHERE r.status <> '{RefundStatus.WAIVED}'), 0) AS sum,
               bool_or(r.by_hand AND r.status <> '{RefundStatus.WAIVED}') AS by_hand
        FROM payments_refund r WHERE r.transaction_id = t.id
    ) r
    CROSS JOIN LATERAL (
        SELECT COALESCE(sum(CASE WHEN i.status = '{ItemStatus.APPROVED}' THEN i.amount
                                 ELSE i.fee END), 0) AS sum
        FROM payments_cartitem i WHERE i.transaction_id = t.id
    ) used
    CROSS JOIN LATERAL (
        SELECT GREATEST(2 * t.amount, sum(p.amount)) AS sum
        FROM payments_proof p WHERE p.transaction_id = t.id
    ) possible
    WHERE r.by_hand AND used.sum + r.sum > possible.sum AND {mine("t.organization_id")}
    ORDER BY t.id
"""  # noqa: S608


@check(
    id="payments.refunds_by_hand",
    title="No more is given back by hand than can have been paid",
    help=(
        "What is owed back of a transaction, with what was noted by hand, and what it was for come"
        " to more than anybody can have paid for it. See the account, and waive what is too much."
    ),
)
def refunds_by_hand(scope: Scope) -> Iterator[Problem]:
    for row in rows(_BY_HAND, params(scope)):
        yield Problem(
            subject_type="payments.carttransaction",
            subject_id=row["id"],
            message=f"Of transaction {row['reference']} {row['given']} {row['currency']} are booked,"
            f" kept or owed back, and {row['possible']} can have been paid.",
            organization_id=row["organization_id"],
            details={"given": row["given"], "possible": row["possible"]},
        )


_LINKS = f"""
    SELECT w.* FROM (
        SELECT 'payments.refund' AS type, r.id::text, r.organization_id, array_remove(ARRAY[
            CASE WHEN t.id IS NULL THEN 'its transaction is missing'
                 WHEN t.organization_id <> r.organization_id
                 THEN 'its transaction is another organisation''s'
                 WHEN t.customer_id <> r.customer_id
                 THEN 'its transaction is another customer''s'
                 WHEN t.currency <> r.currency THEN 'its transaction has another currency' END
        ], NULL) AS wrong
        FROM payments_refund r
        LEFT JOIN payments_carttransaction t ON t.id = r.transaction_id
        WHERE {mine("r.organization_id", "t.organization_id")}
        UNION ALL
        SELECT 'payments.cartitem', i.id::text, i.organization_id, array_remove(ARRAY[
            CASE WHEN r.id IS NULL THEN 'its refund is missing'
                 WHEN r.transaction_id IS DISTINCT FROM i.transaction_id
                 THEN 'its refund is another transaction''s' END
        ], NULL)
        FROM payments_cartitem i
        LEFT JOIN payments_refund r ON r.id = i.refund_id
        WHERE i.refund_id IS NOT NULL AND {mine("i.organization_id", "r.organization_id")}
    ) w
    WHERE w.wrong <> '{{}}'
    ORDER BY w.type, w.id
"""  # noqa: S608


@check(
    id="payments.refund_links",
    title="A refund is for items of its own transaction, and for its customer",
    help=(
        "Money could go to somebody else than who paid. The trail of the refund and of the item"
        " says what belongs together; settle nothing before it is right."
    ),
    severity="critical",
)
def refund_links(scope: Scope) -> Iterator[Problem]:
    for row in rows(_LINKS, params(scope)):
        yield Problem(
            subject_type=row["type"],
            subject_id=row["id"],
            message=f"{', '.join(row['wrong']).capitalize()}.",
            organization_id=row["organization_id"],
            details={"wrong": row["wrong"]},
        )
