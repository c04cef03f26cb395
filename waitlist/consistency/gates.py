"""Slots and resources know who waits for them, so that nobody comes before the line."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from uuid import UUID

from audit.consistency.registry import FixResult, Problem, Scope, check, fix, rows
from audit.context import Actor
from bookings import locks as booking_locks
from bookings.consistency.parts import literals, mine, params
from waitlist import locks
from waitlist.lifecycle import GOING_ON, EntryStatus

# From both sides: slots that say that somebody waits, and slots that somebody waits for.
_SLOTS = f"""
    WITH line AS (
        SELECT slot_id, min(units) AS units FROM waitlist_waitlistentry
        WHERE slot_id IS NOT NULL AND status = '{EntryStatus.WAITING}' GROUP BY slot_id
    )
    SELECT s.id::text, s.organization_id, s.line_units, l.units FROM line l
    JOIN bookings_slot s ON s.id = l.slot_id
    WHERE (s.line_units IS DISTINCT FROM l.units OR NOT s.waited_for)
      AND {mine("s.organization_id")}
    UNION ALL
    SELECT s.id::text, s.organization_id, s.line_units, NULL FROM bookings_slot s
    WHERE s.line_units IS NOT NULL AND {mine("s.organization_id")}
      AND NOT EXISTS (SELECT 1 FROM line l WHERE l.slot_id = s.id)
    ORDER BY 1
"""  # noqa: S608

_RESOURCES = f"""
    SELECT r.id::text, r.organization_id, r.line, COALESCE(e.entries, 0) AS entries
    FROM bookings_resource r
    LEFT JOIN (
        SELECT resource_id, count(*) AS entries FROM waitlist_waitlistentry
        WHERE slot_id IS NULL AND status IN ({literals(GOING_ON)}) GROUP BY resource_id
    ) e ON e.resource_id = r.id
    WHERE r.line <> COALESCE(e.entries, 0) AND {mine("r.organization_id")}
    ORDER BY r.id
"""  # noqa: S608


@check(
    id="waitlist.gates",
    title="Slots and resources know who waits in line for them",
    help=(
        "A gate that is too low lets people from outside come before the line; one that is too"
        " high costs a look. Triggers keep them, so somebody wrote with the triggers switched off,"
        " or somebody left a line within the last five minutes while the resource was in use."
        " --fix counts again under lock."
    ),
    severity="critical",
)
def gates(scope: Scope) -> Iterator[Problem]:
    for row in rows(_SLOTS, params(scope)):
        yield Problem(
            subject_type="bookings.slot",
            subject_id=row["id"],
            message=f"The smallest party in line for the slot is {_words(row['units'])}; the slot"
            f" says {_words(row['line_units'])}.",
            organization_id=row["organization_id"],
            details={"says": row["line_units"], "is": row["units"]},
        )
    for row in rows(_RESOURCES, params(scope)):
        yield Problem(
            subject_type="bookings.resource",
            subject_id=row["id"],
            message=f"{row['entries']} are in line for any time of the resource; it says"
            f" {row['line']}.",
            organization_id=row["organization_id"],
            details={"says": row["line"], "is": row["entries"]},
        )


def _words(units: int | None) -> str:
    return "nobody" if units is None else str(units)


@fix("waitlist.gates")
def fix_gates(problem: Problem, actor: Actor, now: datetime) -> FixResult:
    pk = UUID(problem.subject_id)
    if problem.subject_type == "bookings.slot":
        booking_locks.slots([pk])
        done = locks.recount_slot(pk)
    else:
        done = locks.recount_lines([pk])
    return FixResult.fixed("Counted again.") if done else FixResult.gone()
