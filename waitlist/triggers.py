"""Gates: what a slot and a resource say of those who wait for them, kept by the database.

``Slot.line_units`` is the smallest party waiting for the slot, ``Resource.line`` how many are in
line for any time of the resource, with those who were offered seats and have not got them yet.
``bookings.transitions`` asks them before anybody from outside gets
seats. One statement-level trigger per event: a batch of N entries costs two statements more.
"""

from __future__ import annotations

from typing import Any

import pgtrigger


def _gates(old: bool, new: bool) -> str:
    names = [name for name, there in (("old_rows", old), ("new_rows", new)) if there]
    slots = " UNION ".join(f"SELECT slot_id FROM {n} WHERE slot_id IS NOT NULL" for n in names)
    resources = " UNION ".join(f"SELECT resource_id FROM {n} WHERE slot_id IS NULL" for n in names)
    return f"""
    UPDATE bookings_slot s SET line_units = g.units, waited_for = TRUE
    FROM (
        SELECT t.slot_id, min(e.units) AS units
        FROM ({slots}) t (slot_id)
        LEFT JOIN waitlist_waitlistentry e ON e.slot_id = t.slot_id AND e.status = 'waiting'
        GROUP BY t.slot_id
    ) g
    WHERE s.id = g.slot_id AND (s.line_units IS DISTINCT FROM g.units OR NOT s.waited_for);
    UPDATE bookings_resource r SET line = g.entries
    FROM (
        SELECT t.resource_id, count(e.id)::int AS entries
        FROM ({resources}) t (resource_id)
        LEFT JOIN waitlist_waitlistentry e ON e.resource_id = t.resource_id
             AND e.slot_id IS NULL AND e.status IN ('waiting', 'offered', 'accepted')
        GROUP BY t.resource_id
    ) g
    WHERE r.id = g.resource_id AND r.line <> g.entries;
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
