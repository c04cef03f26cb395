"""What must hold after anything: looked at with plain SQL, and with the registered checks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.backends.postgresql.base import ServerBindingCursor
from django.utils import timezone

from audit.consistency.registry import Scope, registry
from audit.sql import prepared_cursor

# Written anew here on purpose: a check that is wrong in the product cannot be right here too.
WRONG = {
    "slot counters differ from the live bookings": """
        SELECT s.id, s.taken_bookings, s.taken_units, count(b.id), coalesce(sum(b.units), 0)
        FROM bookings_slot s LEFT JOIN bookings_booking b ON b.slot_id = s.id AND b.status IN
            ('held', 'pending', 'confirmed', 'reschedule_proposed', 'checked_in')
        GROUP BY s.id HAVING (s.taken_bookings, s.taken_units)
            <> (count(b.id), coalesce(sum(b.units), 0))""",
    "a slot is over one of its limits": """
        SELECT id FROM bookings_slot
        WHERE taken_bookings > max_bookings OR taken_units > max_units""",
    "an occupancy is missing, left over or for another time": """
        SELECT s.id, o.id FROM bookings_occupancy o FULL JOIN (
            SELECT s.*, n.number FROM bookings_slot s JOIN bookings_resource r
            ON r.id = s.resource_id, unnest(s.parts || s.picked || s.picked_parts
                || CASE WHEN s.exclusive THEN ARRAY[r.number] ELSE '{}' END) n (number)
            WHERE s.taken_bookings > 0
        ) s ON s.id = o.slot_id AND s.number = o.resource_number
            AND o.period = tstzrange(s.busy_from, s.busy_until, '[)')
        WHERE s.id IS NULL OR o.id IS NULL""",
    "a slot to come takes something else than its resource": """
        SELECT s.id FROM bookings_slot s JOIN bookings_resource r ON r.id = s.resource_id
        WHERE s.ends_at > now() AND (s.parts <> r.parts OR s.pools <> r.pools)""",
    "a slot with people has not one out of each pool": """
        SELECT s.id FROM bookings_slot s
        WHERE s.taken_bookings > 0 AND s.ends_at > now() AND (
            cardinality(s.picked) <> cardinality(s.pools) OR EXISTS (
                SELECT 1 FROM unnest(s.pools, s.picked) n (pool_id, number) WHERE NOT EXISTS (
                    SELECT 1 FROM bookings_poolmember m JOIN bookings_resource r
                    ON r.id = m.resource_id
                    WHERE m.pool_id = n.pool_id AND r.number = n.number)))""",
    "an exclusive resource is taken twice": """
        SELECT a.id, b.id FROM bookings_booking a JOIN bookings_slot sa ON sa.id = a.slot_id
        JOIN bookings_slot sb ON sb.resource_id = sa.resource_id
        JOIN bookings_booking b ON b.slot_id = sb.id AND b.id > a.id
        WHERE sa.exclusive AND sa.busy_from < sb.busy_until AND sb.busy_from < sa.busy_until
          AND a.status IN ('held', 'pending', 'confirmed', 'reschedule_proposed', 'checked_in')
          AND b.status IN ('held', 'pending', 'confirmed', 'reschedule_proposed', 'checked_in')""",
    "a provider is booked twice": """
        SELECT a.id, b.id FROM bookings_booking a JOIN bookings_slot sa ON sa.id = a.slot_id
        JOIN bookings_resource ra ON ra.id = sa.resource_id
        JOIN bookings_resource rb ON rb.provider_id = ra.provider_id
            AND rb.organization_id = ra.organization_id
        JOIN bookings_slot sb ON sb.resource_id = rb.id AND sb.id > sa.id
        JOIN bookings_booking b ON b.slot_id = sb.id
        WHERE sa.busy_from < sb.busy_until AND sb.busy_from < sa.busy_until
          AND sa.ends_at > now() AND sb.ends_at > now()
          AND a.status IN ('held', 'pending', 'confirmed', 'reschedule_proposed', 'checked_in')
          AND b.status IN ('held', 'pending', 'confirmed', 'reschedule_proposed', 'checked_in')""",
    "an item differs from its booking": """
        SELECT i.id, i.status, b.status FROM payments_cartitem i
        JOIN bookings_booking b ON b.id = i.booking_id
        WHERE i.status <> CASE b.status WHEN 'held' THEN 'in_cart' WHEN 'pending' THEN 'checked_out'
            WHEN 'rejected' THEN 'rejected' WHEN 'expired' THEN 'expired'
            WHEN 'cancelled' THEN 'cancelled' ELSE 'approved' END""",
    "a transaction differs from its items": """
        SELECT t.id, t.status, array_agg(i.status) FROM payments_carttransaction t
        LEFT JOIN payments_cartitem i ON i.transaction_id = t.id
        GROUP BY t.id HAVING NOT coalesce(CASE
            WHEN t.status IN ('pending', 'under_review') THEN bool_or(i.status = 'checked_out')
                AND bool_and(i.status IN ('checked_out', 'cancelled', 'expired'))
            WHEN t.status = 'approved' THEN bool_or(i.status = 'approved')
                AND bool_and(i.status IN ('approved', 'cancelled'))
            WHEN t.status = 'rejected' THEN bool_or(i.status = 'rejected')
                AND bool_and(i.status IN ('rejected', 'cancelled', 'expired'))
            ELSE bool_and(i.status IN ('cancelled', 'expired')) END, false)""",
    "the sum of a transaction differs from its items": """
        SELECT t.id FROM payments_carttransaction t
        JOIN payments_cartitem i ON i.transaction_id = t.id
        GROUP BY t.id HAVING t.amount <> sum(i.amount) OR t.tax <> sum(i.tax)
            OR t.discount <> sum(i.discount)""",
    "a refund differs from what its items were paid less what was kept": """
        SELECT r.id, r.amount, sum(i.amount - i.fee) FROM payments_refund r
        LEFT JOIN payments_cartitem i ON i.refund_id = r.id AND i.transaction_id = r.transaction_id
        WHERE NOT EXISTS (SELECT 1 FROM payments_latepayment l WHERE l.refund_id = r.id)
        GROUP BY r.id HAVING CASE WHEN r.by_hand THEN count(i.id) > 0
            ELSE r.amount IS DISTINCT FROM sum(i.amount - i.fee) END""",
    "more is given back by hand than anybody can have paid": """
        SELECT t.id FROM payments_carttransaction t
        JOIN payments_refund h ON h.transaction_id = t.id AND h.by_hand AND h.status <> 'waived'
        WHERE (SELECT sum(r.amount) FROM payments_refund r
               WHERE r.transaction_id = t.id AND r.status <> 'waived')
            + (SELECT sum(CASE i.status WHEN 'approved' THEN i.amount ELSE i.fee END)
               FROM payments_cartitem i WHERE i.transaction_id = t.id)
            > greatest(2 * t.amount, (SELECT sum(p.amount) FROM payments_proof p
                                      WHERE p.transaction_id = t.id))""",
    "a booking that was never moved has other deadlines than were agreed": """
        SELECT i.id FROM payments_cartitem i JOIN bookings_booking b ON b.id = i.booking_id
        JOIN bookings_slot s ON s.id = b.slot_id
        WHERE b.slot_since IS NULL AND b.status IN ('pending', 'confirmed', 'reschedule_proposed')
          AND (i.cancel_until IS NOT NULL OR i.free_until IS NOT NULL AND
            i.free_until <> s.starts_at - i.free_until_minutes * interval '1 minute')""",
    "an order that was paid and is cancelled is not owed back": """
        SELECT i.id FROM payments_cartitem i
        WHERE i.status = 'cancelled' AND i.amount > i.fee AND i.refund_id IS NULL AND EXISTS (
            SELECT 1 FROM payments_historicalcarttransaction p
            WHERE p.id = i.transaction_id AND p.payment_status = 'paid' AND p.history_date < (
                SELECT min(c.history_date) FROM payments_historicalcartitem c
                WHERE c.id = i.id AND c.status = 'cancelled'))""",
    "a fee was kept of what nobody paid": """
        SELECT i.id FROM payments_cartitem i
        LEFT JOIN payments_carttransaction t ON t.id = i.transaction_id
        WHERE i.fee > 0 AND (t.payment_status IS DISTINCT FROM 'paid' OR i.status <> 'cancelled'
            OR i.fee > i.late_fee)""",
    "a cart that was checked out has things in it": """
        SELECT i.id FROM payments_cartitem i JOIN payments_cart c ON c.id = i.cart_id
        WHERE c.status = 'checked_out' AND i.status = 'in_cart'""",
    "a decided transaction has a proof that waits": """
        SELECT p.id FROM payments_proof p JOIN payments_carttransaction t
            ON t.id = p.transaction_id
        LEFT JOIN payments_latepayment l ON l.transaction_id = t.id AND l.status = 'open'
        WHERE p.status = 'submitted' AND t.status <> 'under_review'
           AND NOT (t.status = 'expired' AND l.id IS NOT NULL)""",
    "a late payment is open, and its transaction is not expired or has no proof that waits": """
        SELECT l.id, t.status FROM payments_latepayment l
        JOIN payments_carttransaction t ON t.id = l.transaction_id
        JOIN payments_proof p ON p.id = l.proof_id
        WHERE l.status = 'open' AND NOT (t.status = 'expired' AND p.status = 'submitted'
            AND p.transaction_id = t.id)""",
    "a late payment that is owed is owed for another transaction or customer": """
        SELECT l.id FROM payments_latepayment l JOIN payments_refund r ON r.id = l.refund_id
        JOIN payments_carttransaction t ON t.id = l.transaction_id
        WHERE r.transaction_id <> t.id OR r.customer_id <> t.customer_id
            OR (r.way = 'credit') <> (l.status = 'credited')""",
    "an admitted booking has no check-in code, or another one has": """
        SELECT b.id, b.status FROM bookings_booking b
        LEFT JOIN bookings_checkincode c ON c.booking_id = b.id
        WHERE c.booking_id IS NULL AND b.status IN
                ('confirmed', 'reschedule_proposed', 'checked_in', 'completed', 'no_show')
           OR c.booking_id IS NOT NULL AND b.confirmed_at IS NULL
           OR (c.used_at IS NULL) <> (b.checked_in_at IS NULL) AND c.booking_id IS NOT NULL""",
    "the gate of a slot differs from who waits for it": """
        SELECT s.id, s.line_units, min(e.units) FROM bookings_slot s
        LEFT JOIN waitlist_waitlistentry e ON e.slot_id = s.id AND e.status = 'waiting'
        GROUP BY s.id HAVING s.line_units IS DISTINCT FROM min(e.units)
            OR (NOT s.waited_for AND count(e.id) > 0)""",
    "the gate of a resource is lower than who is in line for any time of it": """
        SELECT r.id, r.line, count(e.id) FROM bookings_resource r
        LEFT JOIN waitlist_waitlistentry e ON e.resource_id = r.id AND e.slot_id IS NULL
            AND e.status IN ('waiting', 'offered', 'accepted')
        GROUP BY r.id HAVING r.line < count(e.id)""",
    "an open offer, its entry and its booking disagree": """
        SELECT o.id, e.status, b.status FROM waitlist_offer o
        JOIN waitlist_waitlistentry e ON e.id = o.entry_id
        JOIN bookings_booking b ON b.id = o.booking_id
        WHERE o.status = 'open' AND NOT (e.status = 'offered' AND b.status = 'held'
            AND b.held_until = o.expires_at AND b.customer_id = e.customer_id
            AND b.units = e.units)""",
    "an entry says that it was offered seats, or got them, and no booking does": """
        SELECT e.id, e.status FROM waitlist_waitlistentry e
        LEFT JOIN waitlist_offer o ON o.entry_id = e.id
            AND o.status = CASE e.status WHEN 'offered' THEN 'open' ELSE 'accepted' END
        LEFT JOIN bookings_booking b ON b.id = o.booking_id AND CASE e.status
            WHEN 'offered' THEN b.status = 'held' WHEN 'accepted' THEN b.status IN ('held', 'pending')
            ELSE b.confirmed_at IS NOT NULL END
        WHERE e.status IN ('offered', 'accepted', 'fulfilled')
        GROUP BY e.id HAVING count(b.id) <> 1""",
}


def problems() -> dict[str, list[Any]]:
    """What does not hold, by sentence."""
    found = {}
    scope = Scope(now=timezone.now())
    with _kept_plans():
        with connection.cursor() as cursor:
            for sentence, query in WRONG.items():
                cursor.execute(query)
                if rows := cursor.fetchall():
                    found[sentence] = rows
        for check in registry.checks():
            if rows := list(check.function(scope)):
                found[check.id] = rows
    return found


@contextmanager
def _kept_plans() -> Iterator[None]:
    """PostgreSQL keeps the plans of what is asked in here, as it is asked after thousands of tests.

    The tables are small, so that planning was three quarters of the work.
    """
    connection.ensure_connection()
    session = connection.connection
    session.prepared_max = 1000  # with the 100 of psycopg they would crowd one another out
    before, session.cursor_factory = session.cursor_factory, ServerBindingCursor
    try:
        yield
    finally:
        session.cursor_factory = before


def assert_consistent() -> None:
    """Nothing is wrong between any two rows."""
    found = problems()
    assert not found, found


def everything() -> dict[str, list[str]]:
    """Every row of every table as text, sorted: equal if and only if nothing changed."""
    tables = all_tables()
    dump: dict[str, list[str]] = {table: [] for table in tables}
    rows = " UNION ALL ".join(f"SELECT '{t}', t::text FROM \"{t}\" t" for t in tables)
    with prepared_cursor() as cursor:
        cursor.execute(f"{rows} ORDER BY 1, 2")
        for table, row in cursor.fetchall():
            dump[table].append(row)
    return dump


@cache
def all_tables() -> list[str]:
    """Every table of the database, by name; no test makes one."""
    return sorted(connection.introspection.table_names())


@contextmanager
def refusal(
    error: type[Exception] | tuple[type[Exception], ...], match: str | None = None
) -> Iterator[Any]:
    """What is done inside is refused with this error, and nothing has changed."""
    before = everything()
    with pytest.raises(error, match=match) as caught, transaction.atomic():
        yield caught
    assert everything() == before
