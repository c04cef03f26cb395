"""Counters and occupancies, kept by the database (B3, B4, B5, C6, D1).

One statement-level trigger per event on bookings: a batch of N rows costs one extra
statement and not N. The CHECKs on the slot and the exclusion constraint on the occupancy
then refuse what does not fit, on every path.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import pgtrigger

from audit.history import TRACE
from audit.sql import switched_on
from bookings import walk_ins
from bookings.lifecycle import LIVE, BookingStatus

_LIVE = ", ".join(f"'{s}'" for s in LIVE)

# Staff let somebody into a slot that is not over (bookings/walk_ins.py). What was never set is null.
_WALK_IN = f"""s.ends_at > now() AND current_setting('{walk_ins.SETTING}', true) IS NOT DISTINCT FROM 'on'
               AND (SELECT actor_kind FROM audit_context()) = 'staff'"""

REPAIR = "holdfast.repair"

# Somebody writes what triggers keep, and is neither one of them nor a repair.
BY_HAND = f"pg_trigger_depth() = 0 AND current_setting('{REPAIR}', true) IS DISTINCT FROM 'on'"


def repairing() -> AbstractContextManager[None]:
    """Write counters and occupancies, which else only their triggers do, in this transaction."""
    return switched_on(REPAIR)


# The numbers of what the people of slot ``s`` of resource ``r`` take for themselves alone.
TAKEN = (
    "unnest(CASE WHEN s.exclusive THEN r.number || s.parts || s.picked || s.picked_parts"
    " ELSE s.parts || s.picked || s.picked_parts END)"
)

# A booking's slot and customer are of its own organisation, and a new live one needs an open
# slot that has not started. The latter for new ones only: a restore, and history written as it
# was, must work.
_BOOKABLE = f"""
    IF EXISTS (
        SELECT 1 FROM new_rows n
        JOIN bookings_slot s ON s.id = n.slot_id JOIN bookings_customer c ON c.id = n.customer_id
        WHERE s.organization_id <> n.organization_id OR c.organization_id <> n.organization_id
           OR (n.status IN ('{BookingStatus.HELD}', '{BookingStatus.PENDING}')
               AND (s.status <> 'open' OR s.starts_at <= now() AND NOT ({_WALK_IN})))
    ) THEN
        RAISE EXCEPTION 'the slot is closed, has started or belongs to somebody else' USING
            ERRCODE = 'check_violation', CONSTRAINT = 'bookings_booking_slot_is_bookable';
    END IF;
"""

# The same for a booking that moves to another slot, or takes its seats again after it had expired. Into a closed one only by taking over the
# seats that its own stand-in has there, in the statement in which that one lets them go: what was
# held for somebody before the slot was closed stays theirs.
_MOVABLE = f"""
    IF EXISTS (
        SELECT 1 FROM new_rows n
        JOIN old_rows b ON b.id = n.id AND (
            b.slot_id <> n.slot_id
            OR b.status = '{BookingStatus.EXPIRED}' AND n.status = '{BookingStatus.PENDING}'
        )
        JOIN bookings_slot s ON s.id = n.slot_id
        WHERE s.organization_id <> n.organization_id OR s.starts_at <= now()
           OR s.status <> 'open' AND NOT (s.status = 'closed' AND EXISTS (
               SELECT 1 FROM old_rows h JOIN new_rows g ON g.id = h.id
               WHERE h.stands_for_id = n.id AND h.slot_id = n.slot_id AND h.units >= n.units
                 AND h.status = '{BookingStatus.HELD}' AND g.status = '{BookingStatus.CANCELLED}'
           ))
    ) THEN
        RAISE EXCEPTION 'the slot is closed, has started or belongs to somebody else' USING
            ERRCODE = 'check_violation', CONSTRAINT = 'bookings_booking_slot_is_bookable';
    END IF;
"""

_GIVE_BACK = """
    DELETE FROM bookings_occupancy o USING bookings_slot s
    WHERE s.id IN (SELECT slot_id FROM old_rows) AND s.taken_bookings = 0 AND o.slot_id = s.id;
"""


def occupy(which: str) -> str:
    """The statement that takes what the people of those slots ``s`` take and have not yet."""
    return f"""
    INSERT INTO bookings_occupancy (slot_id, resource_number, period)
    SELECT s.id, taken.number, tstzrange(s.busy_from, s.busy_until, '[)')
    FROM bookings_slot s JOIN bookings_resource r ON r.id = s.resource_id
    CROSS JOIN LATERAL {TAKEN} AS taken (number)
    WHERE {which} AND s.taken_bookings > 0
    ON CONFLICT (slot_id, resource_number) DO NOTHING;
    """


_TAKE = occupy("s.id IN (SELECT slot_id FROM new_rows)")


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
            func=_MOVABLE + _count(old=True, new=True) + _GIVE_BACK + _TAKE + "RETURN NULL;",
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


# What each resource of the organisation is made of, through any number of levels, who provides it
# and its parts, and which pools these need. One at a time: two links made at once could close a
# circle.
_COMPOSE = """
    PERFORM pg_advisory_xact_lock(hashtextextended('bookings_composition', 0));
    WITH RECURSIVE made (whole_id, part_id) AS (
        SELECT whole_id, part_id FROM bookings_resourcepart
        UNION
        SELECT m.whole_id, p.part_id FROM made m
        JOIN bookings_resourcepart p ON p.whole_id = m.part_id
    )
    SELECT count(*) INTO circles FROM made WHERE whole_id = part_id;
    IF circles > 0 THEN
        RAISE EXCEPTION 'a resource cannot be a part of itself' USING
            ERRCODE = 'check_violation', CONSTRAINT = 'bookings_resourcepart_makes_no_circle';
    END IF;
    INSERT INTO bookings_provider (organization_id, user_id)
    SELECT DISTINCT r.organization_id, r.provider_id FROM bookings_resource r
    WHERE r.provider_id IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM bookings_provider p
        WHERE p.organization_id = r.organization_id AND p.user_id = r.provider_id
    );
    WITH RECURSIVE made (whole_id, part_id) AS (
        SELECT whole_id, part_id FROM bookings_resourcepart
        UNION
        SELECT m.whole_id, p.part_id FROM made m
        JOIN bookings_resourcepart p ON p.whole_id = m.part_id
    ), its AS (
        SELECT whole_id AS id, part_id AS its_id FROM made UNION SELECT id, id FROM bookings_resource
    ), parts AS (
        SELECT x.id, array_agg(DISTINCT x.number ORDER BY x.number) AS parts FROM (
            SELECT m.whole_id AS id, r.number
            FROM made m JOIN bookings_resource r ON r.id = m.part_id
            UNION ALL
            SELECT i.id, p.number FROM its i JOIN bookings_resource r ON r.id = i.its_id
            JOIN bookings_provider p
              ON p.organization_id = r.organization_id AND p.user_id = r.provider_id
        ) x GROUP BY x.id
    ), needs AS (
        SELECT x.id, array_agg(DISTINCT x.pool_id) AS pools FROM (
            SELECT resource_id AS id, pool_id FROM bookings_poolneed
            UNION ALL
            SELECT m.whole_id, n.pool_id FROM made m
            JOIN bookings_poolneed n ON n.resource_id = m.part_id
        ) x GROUP BY x.id
    )
    UPDATE bookings_resource r
    SET parts = COALESCE(p.parts, '{}'), pools = COALESCE(n.pools, '{}')
    FROM bookings_resource o
    LEFT JOIN parts p ON p.id = o.id LEFT JOIN needs n ON n.id = o.id
    WHERE r.id = o.id AND (r.parts <> COALESCE(p.parts, '{}') OR r.pools <> COALESCE(n.pools, '{}'));
    IF EXISTS (
        SELECT 1 FROM bookings_poolmember m JOIN bookings_resource r ON r.id = m.resource_id
        WHERE r.pools <> '{}'
           OR EXISTS (SELECT 1 FROM bookings_resourcepart l WHERE l.whole_id = r.id)
    ) THEN
        RAISE EXCEPTION 'a pool takes single, exclusive resources' USING
            ERRCODE = 'check_violation', CONSTRAINT = 'bookings_poolmember_is_single';
    END IF;
"""

_FITTING = {
    "whole_id": """
    PERFORM 1 FROM bookings_resource
    WHERE id IN (SELECT part_id FROM new_rows) ORDER BY id FOR SHARE;
    IF EXISTS (
        SELECT 1 FROM new_rows n JOIN bookings_resource w ON w.id = n.whole_id
        JOIN bookings_resource p ON p.id = n.part_id
        WHERE NOT p.exclusive OR w.organization_id <> n.organization_id
           OR p.organization_id <> n.organization_id
    ) THEN
        RAISE EXCEPTION 'a part is exclusive and of the same organisation' USING
            ERRCODE = 'check_violation', CONSTRAINT = 'bookings_resourcepart_fits';
    END IF;
    """,
    "resource_id": """
    IF EXISTS (
        SELECT 1 FROM new_rows n JOIN bookings_resource r ON r.id = n.resource_id
        JOIN bookings_pool p ON p.id = n.pool_id
        WHERE r.organization_id <> n.organization_id OR p.organization_id <> n.organization_id
    ) THEN
        RAISE EXCEPTION 'a pool is of the same organisation' USING
            ERRCODE = 'check_violation', CONSTRAINT = 'bookings_poolneed_fits';
    END IF;
    """,
}


def keep_composition(owner: str) -> list[pgtrigger.Trigger]:
    """Keep ``Resource.parts`` and ``Resource.pools``, and refuse circles.

    Args:
        owner: the column that names the resource that takes the other, "whole_id" or
            "resource_id".
    """
    common: dict[str, Any] = {
        "level": pgtrigger.Statement,
        "when": pgtrigger.After,
        "declare": [("circles", "bigint")],
    }
    return [
        pgtrigger.Trigger(
            name="compose_insert",
            operation=pgtrigger.Insert,
            referencing=pgtrigger.Referencing(new="new_rows"),
            func=_FITTING[owner] + _COMPOSE + "RETURN NULL;",
            **common,
        ),
        pgtrigger.Trigger(
            name="compose_update",
            operation=pgtrigger.Update,
            referencing=pgtrigger.Referencing(new="new_rows"),
            func=_FITTING[owner] + _COMPOSE + "RETURN NULL;",
            **common,
        ),
        pgtrigger.Trigger(
            name="compose_delete",
            operation=pgtrigger.Delete,
            func=_COMPOSE + "RETURN NULL;",
            **common,
        ),
    ]


# Slots to come of the resources, of what they are a part of, and those that picked them out of a
# pool take the new provider from now on, people in them included; where these are booked elsewhere,
# the exclusion constraint refuses. Whoever picks one at the moment holds its memberships.
_FOLLOW = f"""
    IF changed IS NULL THEN RETURN NULL; END IF;
    {_COMPOSE}
    PERFORM 1 FROM bookings_poolmember m JOIN bookings_resource r ON r.id = m.resource_id
    WHERE r.number = ANY (changed) ORDER BY m.id FOR NO KEY UPDATE OF m;
    SELECT array_agg(x.id) INTO theirs FROM (
        SELECT s.id FROM bookings_slot s JOIN bookings_resource r ON r.id = s.resource_id
        WHERE s.organization_id IN (
              SELECT organization_id FROM bookings_resource WHERE number = ANY (changed)
          )
          AND s.starts_at > now() - interval '7 days' AND s.ends_at > now()
          AND (s.picked && changed
               OR (r.number = ANY (changed) OR r.parts && changed)
                  AND s.parts <> r.parts AND s.pools = r.pools)
        ORDER BY s.id FOR NO KEY UPDATE OF s
    ) x;
    IF theirs IS NULL THEN RETURN NULL; END IF;
    PERFORM set_config('{TRACE}', 'on', true);
    UPDATE bookings_slot s
    SET parts = CASE WHEN s.pools = r.pools THEN r.parts ELSE s.parts END, picked_parts = ARRAY(
        SELECT DISTINCT n FROM bookings_resource p CROSS JOIN unnest(p.parts) AS n
        WHERE p.number = ANY (s.picked) ORDER BY n
    )
    FROM bookings_resource r WHERE s.id = ANY (theirs) AND r.id = s.resource_id;
    PERFORM set_config('{TRACE}', '', true);
    DELETE FROM bookings_occupancy o
    USING bookings_slot s JOIN bookings_resource r ON r.id = s.resource_id
    WHERE s.id = ANY (theirs) AND o.slot_id = s.id
      AND o.resource_number NOT IN (SELECT number FROM {TAKEN} AS taken (number));
    {occupy("s.id = ANY (theirs)")}
    RETURN NULL;
"""


def follow_provider() -> list[pgtrigger.Trigger]:
    """Whatever a resource provides takes its provider, as it takes its parts (D1).

    Triggers run in the order of their names: these come after the trail's, whose newest line is
    that of what they change.
    """
    common: dict[str, Any] = {
        "level": pgtrigger.Statement,
        "when": pgtrigger.After,
        "declare": [("circles", "bigint"), ("changed", "bigint[]"), ("theirs", "uuid[]")],
    }
    return [
        pgtrigger.Trigger(
            name="with_provider_insert",
            operation=pgtrigger.Insert,
            referencing=pgtrigger.Referencing(new="new_rows"),
            func="SELECT array_agg(number) INTO changed FROM new_rows"
            " WHERE provider_id IS NOT NULL;" + _FOLLOW,
            **common,
        ),
        pgtrigger.Trigger(
            name="with_provider_update",
            operation=pgtrigger.Update,
            referencing=pgtrigger.Referencing(old="old_rows", new="new_rows"),
            func="SELECT array_agg(n.number) INTO changed FROM new_rows n"
            " JOIN old_rows o ON o.id = n.id"
            " WHERE n.provider_id IS DISTINCT FROM o.provider_id;" + _FOLLOW,
            **common,
        ),
    ]
