"""Rows of a purchase belong together: no orphans, nothing across customers or organisations.

None of it can be repaired without knowing which of the two rows is wrong, so people decide.
"""

from __future__ import annotations

from collections.abc import Iterator

from audit.consistency.registry import Problem, Scope, check, rows
from bookings.consistency.parts import literals, mine, params
from bookings.lifecycle import ENDED, BookingStatus
from payments.lifecycle import CartStatus, ItemStatus, TransactionStatus

WITHOUT_TRANSACTION = (ItemStatus.IN_CART, ItemStatus.EXPIRED, ItemStatus.CANCELLED)


def _problems(sql: str, scope: Scope) -> Iterator[Problem]:
    """Rows with ``type``, ``id``, ``organization_id`` and ``wrong``, a list of sentences."""
    for row in rows(sql, params(scope)):
        yield Problem(
            subject_type=row["type"],
            subject_id=row["id"],
            message=f"This row is not where it belongs: {', '.join(row['wrong'])}.",
            organization_id=row["organization_id"],
            details={"wrong": row["wrong"]},
        )


_ITEMS = f"""
    SELECT 'payments.cartitem' AS type, w.id, w.organization_id, w.wrong
    FROM (
        SELECT i.id::text, i.organization_id, array_remove(ARRAY[
            CASE WHEN b.id IS NULL THEN 'its booking is missing'
                 WHEN b.organization_id <> i.organization_id
                 THEN 'its booking is another organisation''s' END,
            CASE WHEN i.transaction_id IS NOT NULL AND t.id IS NULL
                 THEN 'its transaction is missing'
                 WHEN t.organization_id <> i.organization_id
                 THEN 'its transaction is another organisation''s'
                 WHEN t.customer_id <> b.customer_id
                 THEN 'its transaction is another customer''s' END,
            CASE WHEN i.cart_id IS NOT NULL AND c.id IS NULL THEN 'its cart is missing'
                 WHEN c.organization_id <> i.organization_id
                 THEN 'its cart is another organisation''s'
                 WHEN c.customer_id <> b.customer_id THEN 'its cart is another customer''s'
                 WHEN c.status = '{CartStatus.CHECKED_OUT}' AND i.status = '{ItemStatus.IN_CART}'
                 THEN 'its cart is checked out and it is not' END,
            CASE WHEN i.transaction_id IS NULL
                  AND i.status NOT IN ({literals(WITHOUT_TRANSACTION)})
                 THEN 'it is past the cart and has no transaction' END,
            CASE WHEN i.transaction_id IS NULL AND i.cart_id IS NULL
                 THEN 'it is in no cart and in no transaction' END
        ], NULL) AS wrong
        FROM payments_cartitem i
        LEFT JOIN bookings_booking b ON b.id = i.booking_id
        LEFT JOIN payments_carttransaction t ON t.id = i.transaction_id
        LEFT JOIN payments_cart c ON c.id = i.cart_id
        WHERE {mine("i.organization_id", "b.organization_id", "t.organization_id")}
    ) w
    WHERE w.wrong <> '{{}}'
    ORDER BY w.id
"""  # noqa: S608


@check(
    id="payments.item_links",
    title="A cart item, its booking, its cart and its transaction belong together",
    help=(
        "Somebody pays for what is not theirs, or a booking is paid by nobody. The trail of the"
        " rows says which link was changed; set that one right."
    ),
    severity="critical",
)
def item_links(scope: Scope) -> Iterator[Problem]:
    return _problems(_ITEMS, scope)


_TRANSACTIONS = f"""
    SELECT 'payments.carttransaction' AS type, w.id, w.organization_id, w.wrong
    FROM (
        SELECT t.id::text, t.organization_id, array_remove(ARRAY[
            CASE WHEN c.id IS NULL THEN 'its customer is missing'
                 WHEN c.organization_id <> t.organization_id
                 THEN 'its customer is another organisation''s' END,
            CASE WHEN t.status <> '{TransactionStatus.APPROVED}' AND NOT EXISTS (
                     SELECT 1 FROM payments_cartitem i WHERE i.transaction_id = t.id
                 ) THEN 'there is nothing in it' END
        ], NULL) AS wrong
        FROM payments_carttransaction t
        LEFT JOIN bookings_customer c ON c.id = t.customer_id
        WHERE {mine("t.organization_id", "c.organization_id")}
    ) w
    WHERE w.wrong <> '{{}}'
    UNION ALL
    SELECT 'payments.cart', k.id::text, k.organization_id,
           ARRAY[CASE WHEN c.id IS NULL THEN 'its customer is missing'
                      ELSE 'its customer is another organisation''s' END]
    FROM payments_cart k
    LEFT JOIN bookings_customer c ON c.id = k.customer_id
    WHERE (c.id IS NULL OR c.organization_id <> k.organization_id)
      AND {mine("k.organization_id", "c.organization_id")}
    ORDER BY 1, 2
"""  # noqa: S608


@check(
    id="payments.transaction_links",
    title="Carts and transactions have a customer of their organisation, and something in them",
    help=(
        "A transaction without items can be paid and gives nothing. Find its items in the trail;"
        " give them back, or cancel the transaction and pay the customer back."
    ),
    severity="critical",
)
def transaction_links(scope: Scope) -> Iterator[Problem]:
    return _problems(_TRANSACTIONS, scope)


_EMPTY = f"""
    SELECT t.id::text, t.reference, t.organization_id
    FROM payments_carttransaction t
    WHERE t.status = '{TransactionStatus.APPROVED}' AND {mine("t.organization_id")}
      AND NOT EXISTS (
          SELECT 1 FROM payments_cartitem i JOIN bookings_booking b ON b.id = i.booking_id
          WHERE i.transaction_id = t.id
      )
    ORDER BY t.id
"""  # noqa: S608


@check(
    id="payments.approved_without_bookings",
    title="Every approved transaction has bookings",
    help=(
        "Somebody has paid, was told so, and has nothing. The trail of cart items and bookings"
        " says what it was for: make it good, or pay the customer back."
    ),
    severity="critical",
)
def approved_without_bookings(scope: Scope) -> Iterator[Problem]:
    for row in rows(_EMPTY, params(scope)):
        yield Problem(
            subject_type="payments.carttransaction",
            subject_id=row["id"],
            message=f"Transaction {row['reference']} is approved and has no bookings.",
            organization_id=row["organization_id"],
        )


# A hold may be a waitlist's offer, and so may one that ran out before it was checked out.
_UNPAID_FOR = f"""
    SELECT b.id::text, b.reference, b.organization_id, b.status
    FROM bookings_booking b
    WHERE b.status <> '{BookingStatus.HELD}'
      AND (b.status NOT IN ({literals(ENDED)}) OR b.requested_at IS NOT NULL)
      AND NOT EXISTS (SELECT 1 FROM payments_cartitem i WHERE i.booking_id = b.id)
      AND {mine("b.organization_id")}
    ORDER BY b.id
"""  # noqa: S608


@check(
    id="payments.booking_without_item",
    title="Every booking past the hold was checked out",
    help=(
        "A booking is in no transaction, so nobody pays for it. The trail says what became of"
        " its item; cancel the booking, or book it again at the desk."
    ),
)
def booking_without_item(scope: Scope) -> Iterator[Problem]:
    for row in rows(_UNPAID_FOR, params(scope)):
        yield Problem(
            subject_type="bookings.booking",
            subject_id=row["id"],
            message=f"Booking {row['reference']} is {row['status']} and in no transaction.",
            organization_id=row["organization_id"],
        )


_PROOFS = f"""
    SELECT 'payments.proof' AS type, w.id, w.organization_id, w.wrong
    FROM (
        SELECT p.id::text, p.organization_id, array_remove(ARRAY[
            CASE WHEN t.id IS NULL THEN 'its transaction is missing'
                 WHEN t.organization_id <> p.organization_id
                 THEN 'its transaction is another organisation''s'
                 WHEN t.customer_id <> p.customer_id
                 THEN 'its transaction is another customer''s' END,
            CASE WHEN p.booking_id IS NOT NULL AND NOT EXISTS (
                     SELECT 1 FROM payments_cartitem i
                     WHERE i.booking_id = p.booking_id AND i.transaction_id = p.transaction_id
                 ) THEN 'its booking is not in its transaction' END
        ], NULL) AS wrong
        FROM payments_proof p
        LEFT JOIN payments_carttransaction t ON t.id = p.transaction_id
        WHERE {mine("p.organization_id", "t.organization_id")}
    ) w
    WHERE w.wrong <> '{{}}'
    ORDER BY w.id
"""  # noqa: S608


@check(
    id="payments.proof_links",
    title="A proof of payment is for its customer's own transaction and bookings",
    help=(
        "A file could be shown to somebody who must not see it, or pay for what it does not"
        " name. The trail of the proof says what it was uploaded for."
    ),
    severity="critical",
)
def proof_links(scope: Scope) -> Iterator[Problem]:
    return _problems(_PROOFS, scope)
