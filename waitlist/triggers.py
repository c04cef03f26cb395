"""Gates: what a slot and a resource say of those who wait for them, kept by the database.

``Slot.line_units`` is the smallest party waiting for the slot, ``Resource.line`` how many are in
line for any time of the resource, with those who were offered seats and have not got them yet.
``bookings.claiming`` asks them before anybody from outside gets
seats. One statement-level trigger per event: a batch of N entries costs two statements more.

A slot's is counted anew, under the slot's lock. A resource's is counted up and down, as those who
join and leave at once hold no lock in common. Who ends never waits for the resource, whose row
others may hold while they wait for an entry: where somebody holds it, the count stays too high,
which keeps nobody behind anything, until a sweep counts anew (``sweeps.recount_lines``).
"""

from __future__ import annotations

from typing import Any

import pgtrigger

from waitlist.lifecycle import GOING_ON_SQL


def _gates(old: bool, new: bool) -> str:
    if old and new:
        slots = """
            SELECT unnest(ARRAY[o.slot_id, n.slot_id]) AS slot_id
            FROM old_rows o FULL JOIN new_rows n ON n.id = o.id
            WHERE (o.slot_id, o.units, o.status = 'waiting')
                  IS DISTINCT FROM (n.slot_id, n.units, n.status = 'waiting')"""
    else:
        slots = f"SELECT slot_id FROM {'new_rows' if new else 'old_rows'}"
    counted = " UNION ALL ".join(
        f"SELECT resource_id, {sign} AS n FROM {name}"
        f" WHERE slot_id IS NULL AND status IN ({GOING_ON_SQL})"
        for name, sign, there in (("old_rows", -1, old), ("new_rows", 1, new))
        if there
    )
    return f"""
    PERFORM 1 FROM bookings_slot WHERE id IN ({slots}) ORDER BY id FOR NO KEY UPDATE;
    UPDATE bookings_slot s SET line_units = g.units, waited_for = TRUE
    FROM (
        SELECT t.slot_id, min(e.units) AS units
        FROM (SELECT DISTINCT slot_id FROM ({slots}) x WHERE slot_id IS NOT NULL) t
        LEFT JOIN waitlist_waitlistentry e ON e.slot_id = t.slot_id AND e.status = 'waiting'
        GROUP BY t.slot_id
    ) g
    WHERE s.id = g.slot_id AND (s.line_units IS DISTINCT FROM g.units OR NOT s.waited_for);
    WITH d AS (
        SELECT resource_id, sum(n)::int AS n FROM ({counted}) x
        GROUP BY resource_id HAVING sum(n) <> 0
    )
    UPDATE bookings_resource r SET line = GREATEST(r.line + d.n, 0)
    FROM d
    WHERE r.id = d.resource_id AND (d.n > 0 OR r.id IN (
        SELECT id FROM bookings_resource WHERE id IN (SELECT resource_id FROM d WHERE n < 0)
        FOR NO KEY UPDATE SKIP LOCKED
    ));
    RETURN NULL;
    """


_BELONG = """
    IF EXISTS (
        SELECT 1 FROM new_rows n
        JOIN bookings_customer c ON c.id = n.customer_id
        JOIN bookings_resource r ON r.id = n.resource_id
        LEFT JOIN bookings_slot s ON s.id = n.slot_id
        WHERE c.organization_id <> n.organization_id OR r.organization_id <> n.organization_id
           OR s.resource_id <> n.resource_id
    ) THEN
        RAISE EXCEPTION 'an entry is of one organisation, and its slot of its resource' USING
            ERRCODE = 'check_violation', CONSTRAINT = 'waitlist_entry_belongs_together';
    END IF;
"""


def keep_gates() -> list[pgtrigger.Trigger]:
    """The three triggers of entries."""
    common: dict[str, Any] = {"level": pgtrigger.Statement, "when": pgtrigger.After}
    return [
        pgtrigger.Trigger(
            name="gates_insert",
            operation=pgtrigger.Insert,
            referencing=pgtrigger.Referencing(new="new_rows"),
            func=_BELONG + _gates(old=False, new=True),
            **common,
        ),
        pgtrigger.Trigger(
            name="gates_update",
            operation=pgtrigger.Update,
            referencing=pgtrigger.Referencing(old="old_rows", new="new_rows"),
            func=_BELONG + _gates(old=True, new=True),
            **common,
        ),
        pgtrigger.Trigger(
            name="gates_delete",
            operation=pgtrigger.Delete,
            referencing=pgtrigger.Referencing(old="old_rows"),
            func=_gates(old=True, new=False),
            **common,
        ),
    ]


def offer_to_whom_it_is_for() -> pgtrigger.Trigger:
    """Refuse an offer whose booking is another customer's than its entry."""
    return pgtrigger.Trigger(
        name="offer_to_whom_it_is_for",
        level=pgtrigger.Statement,
        when=pgtrigger.After,
        operation=pgtrigger.Insert,
        referencing=pgtrigger.Referencing(new="new_rows"),
        func="""
            IF EXISTS (
                SELECT 1 FROM new_rows n
                JOIN waitlist_waitlistentry e ON e.id = n.entry_id
                JOIN bookings_booking b ON b.id = n.booking_id
                WHERE e.organization_id <> n.organization_id OR b.customer_id <> e.customer_id
            ) THEN
                RAISE EXCEPTION 'an offer is for whom it was made' USING
                    ERRCODE = 'check_violation', CONSTRAINT = 'waitlist_offer_is_for_its_entry';
            END IF;
            RETURN NULL;
        """,
    )
