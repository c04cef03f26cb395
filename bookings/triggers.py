"""Counters and occupancies, kept by the database (B3, B4, B5, C6).

One statement-level trigger per event on bookings: a batch of N rows costs one extra
statement and not N. The CHECKs on the slot and the exclusion constraint on the occupancy
then refuse what does not fit, on every path.
"""

from __future__ import annotations

from typing import Any

import pgtrigger

from bookings.lifecycle import LIVE, BookingStatus

_LIVE = ", ".join(f"'{s}'" for s in LIVE)

# A booking's slot and customer are of its own organisation, and a new live one needs an open
# slot that has not started. The latter for new ones only: a restore, and history written as it
# was, must work.
_BOOKABLE = f"""
    IF EXISTS (
        SELECT 1 FROM new_rows n
        JOIN bookings_slot s ON s.id = n.slot_id JOIN bookings_customer c ON c.id = n.customer_id
        WHERE s.organization_id <> n.organization_id OR c.organization_id <> n.organization_id
           OR (n.status IN ('{BookingStatus.HELD}', '{BookingStatus.PENDING}')
               AND (s.status <> 'open' OR s.starts_at <= now()))
    ) THEN
        RAISE EXCEPTION 'the slot is closed, has started or belongs to somebody else' USING
            ERRCODE = 'check_violation', CONSTRAINT = 'bookings_booking_slot_is_bookable';
    END IF;
"""

_GIVE_BACK = """
    DELETE FROM bookings_occupancy o USING bookings_slot s
    WHERE s.id IN (SELECT slot_id FROM old_rows) AND s.taken_bookings = 0 AND o.slot_id = s.id;
"""

_TAKE = """
    INSERT INTO bookings_occupancy (slot_id, resource_number, period)
    SELECT s.id, r.number, tstzrange(s.busy_from, s.busy_until, '[)')
    FROM bookings_slot s JOIN bookings_resource r ON r.id = s.resource_id
    WHERE s.id IN (SELECT slot_id FROM new_rows) AND s.exclusive AND s.taken_bookings > 0
    ON CONFLICT (slot_id, resource_number) DO NOTHING;
"""


def stay_in_organization(model: str, *fields: str) -> pgtrigger.Trigger:
    """Refuse to move a row to another organisation, or to somebody else's customer."""
    return pgtrigger.Trigger(
        name="stay_in_organization",
        when=pgtrigger.Before,
        operation=pgtrigger.Update,
        condition=pgtrigger.AnyChange(*fields),
        func=f"""
            RAISE EXCEPTION '{model} % stays with whom it belongs to', OLD.id USING
                ERRCODE = 'check_violation', CONSTRAINT = '{model}_stays_in_its_organization';
        """,
    )


def _count(old: bool, new: bool) -> str:
    parts = []
    if new:
        parts.append(f"SELECT slot_id, 1 AS b, units AS u FROM new_rows WHERE status IN ({_LIVE})")
    if old:
        parts.append(f"SELECT slot_id, -1, -units FROM old_rows WHERE status IN ({_LIVE})")
    return f"""
    UPDATE bookings_slot s
    SET taken_bookings = s.taken_bookings + d.b, taken_units = s.taken_units + d.u
    FROM (
        SELECT slot_id, sum(b)::int AS b, sum(u)::int AS u FROM ({" UNION ALL ".join(parts)}) x (slot_id, b, u)
        GROUP BY slot_id HAVING sum(b) <> 0 OR sum(u) <> 0
    ) d
    WHERE s.id = d.slot_id;
    IF NOT FOUND THEN RETURN NULL; END IF;
    """


def count_seats() -> list[pgtrigger.Trigger]:
    """The three triggers of a model with ``slot_id``, ``units`` and ``status``."""
    common: dict[str, Any] = {"level": pgtrigger.Statement, "when": pgtrigger.After}
    return [
        pgtrigger.Trigger(
            name="count_seats_insert",
            operation=pgtrigger.Insert,
            referencing=pgtrigger.Referencing(new="new_rows"),
            func=_BOOKABLE + _count(old=False, new=True) + _TAKE + "RETURN NULL;",
            **common,
        ),
        pgtrigger.Trigger(
            name="count_seats_update",
            operation=pgtrigger.Update,
            referencing=pgtrigger.Referencing(old="old_rows", new="new_rows"),
            func=_count(old=True, new=True) + _GIVE_BACK + _TAKE + "RETURN NULL;",
            **common,
        ),
        pgtrigger.Trigger(
            name="count_seats_delete",
            operation=pgtrigger.Delete,
            referencing=pgtrigger.Referencing(old="old_rows"),
            func=_count(old=True, new=False) + _GIVE_BACK + "RETURN NULL;",
            **common,
        ),
    ]
