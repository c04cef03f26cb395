"""No seat is sold twice: counters, occupancies and holds against the rows they stand for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import UUID

from django.db.backends.postgresql.psycopg_any import DateTimeTZRange
from django.db.models import Count, Sum
from django.db.models.functions import Coalesce

from audit.consistency.registry import FixResult, Problem, Scope, check, fix, rows
from audit.context import Actor
from audit.languages import our_reason
from bookings import locks, transitions
from bookings.consistency.parts import literals, lock_booking, mine, params, recount
from bookings.lifecycle import LIVE, BookingStatus
from bookings.models import Booking, Occupancy
from bookings.triggers import TAKEN, repairing

SWEEP_IS_LATE_AFTER = timedelta(minutes=5)  # it runs every minute

_LIVE = literals(LIVE)

_COUNTERS = f"""
    SELECT s.id::text, s.organization_id, s.taken_bookings, s.taken_units,
           COALESCE(l.bookings, 0) AS live_bookings, COALESCE(l.units, 0) AS live_units,
           COALESCE(l.bookings, 0) <= s.max_bookings AND COALESCE(l.units, 0) <= s.max_units
               AS fits
    FROM bookings_slot s
    LEFT JOIN (
        SELECT slot_id, count(*) AS bookings, sum(units) AS units
        FROM bookings_booking WHERE status IN ({_LIVE}) GROUP BY slot_id
    ) l ON l.slot_id = s.id
    WHERE (s.taken_bookings <> COALESCE(l.bookings, 0) OR s.taken_units <> COALESCE(l.units, 0))
      AND {mine("s.organization_id")}
    ORDER BY s.id
"""  # noqa: S608


@check(
    id="bookings.slot_counters",
    title="The counters of a slot are what its live bookings add up to",
    help=(
        "A counter that is too low can sell a seat twice, one that is too high keeps a seat"
        " empty. Triggers keep them, so somebody wrote with the triggers switched off. --fix"
        " counts again under the slot's lock."
    ),
    severity="critical",
)
def slot_counters(scope: Scope) -> Iterator[Problem]:
    for row in rows(_COUNTERS, params(scope)):
        yield Problem(
            subject_type="bookings.slot",
            subject_id=row["id"],
            message=f"The slot counts {row['taken_bookings']} bookings for {row['taken_units']}"
            f" people; there are {row['live_bookings']} for {row['live_units']}.",
            organization_id=row["organization_id"],
            details={
                "taken": [row["taken_bookings"], row["taken_units"]],
                "live": [row["live_bookings"], int(row["live_units"])],
            },
            fixable=row["fits"],
        )


@fix("bookings.slot_counters")
def fix_slot_counters(problem: Problem, actor: Actor, now: datetime) -> FixResult:
    found = locks.slots([UUID(problem.subject_id)])
    if not found:
        return FixResult.gone()
    [slot] = found
    live = Booking.objects.filter(slot=slot, status__in=LIVE).aggregate(
        bookings=Count("pk"), units=Coalesce(Sum("units"), 0)
    )
    if (slot.taken_bookings, slot.taken_units) == (live["bookings"], live["units"]):
        return FixResult.gone()
    if live["bookings"] > slot.max_bookings or live["units"] > slot.max_units:
        return FixResult.needs_review("There are more people than the slot takes.")
    recount([slot.pk])
    return FixResult.fixed(
        f"{slot.taken_bookings} bookings for {slot.taken_units} people became"
        f" {live['bookings']} for {live['units']}."
    )


_OVERBOOKED = f"""
    SELECT s.id::text, s.organization_id, s.max_bookings, s.max_units,
           l.bookings, l.units, l.ids
    FROM (
        SELECT slot_id, count(*) AS bookings, sum(units) AS units,
               array_agg(id::text ORDER BY created_at, id) AS ids
        FROM bookings_booking WHERE status IN ({_LIVE}) GROUP BY slot_id
    ) l
    JOIN bookings_slot s ON s.id = l.slot_id
    WHERE (l.bookings > s.max_bookings OR l.units > s.max_units) AND {mine("s.organization_id")}
    ORDER BY s.id
"""  # noqa: S608


@check(
    id="bookings.overbooked",
    title="No slot has more bookings or people than it takes",
    help=(
        "Seats were sold twice, or the limits were lowered, with the constraints switched off."
        " Somebody has to be moved or told: that is for people to decide. The details list the"
        " bookings, oldest first."
    ),
    severity="critical",
)
def overbooked(scope: Scope) -> Iterator[Problem]:
    for row in rows(_OVERBOOKED, params(scope)):
        yield Problem(
            subject_type="bookings.slot",
            subject_id=row["id"],
            message=f"{row['bookings']} bookings for {row['units']} people are in a slot that"
            f" takes {row['max_bookings']} for {row['max_units']}.",
            organization_id=row["organization_id"],
            details={"bookings": row["ids"]},
        )


# What takes one number, by its beginning: one overlaps another if it begins before an earlier one
# ends, or ends after the next one begins. A join of each with each would be quadratic.
_OVERLAPS = f"""
    SELECT b.id::text, b.reference, b.organization_id, o.slot_id::text AS slot,
           array_agg(DISTINCT r.id::text) FILTER (WHERE r.id IS NOT NULL) AS resources,
           array_agg(DISTINCT p.user_id::text) FILTER (WHERE p.user_id IS NOT NULL) AS providers
    FROM (
        SELECT t.slot_id, t.number, t.busy_from, t.busy_until,
               max(t.busy_until) OVER (
                   PARTITION BY t.number ORDER BY t.busy_from, t.slot_id
                   ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
               ) AS others_until,
               lead(t.busy_from) OVER (
                   PARTITION BY t.number ORDER BY t.busy_from, t.slot_id
               ) AS next_from
        FROM (
            SELECT DISTINCT s.id AS slot_id, s.busy_from, s.busy_until, taken.number
            FROM bookings_slot s JOIN bookings_resource r ON r.id = s.resource_id
            CROSS JOIN LATERAL (
                SELECT * FROM {TAKEN} UNION
                SELECT unnest(r.parts) WHERE s.ends_at > %(now)s
            ) AS taken (number)
            WHERE {mine("s.organization_id")}
              AND s.id IN (SELECT slot_id FROM bookings_booking WHERE status IN ({_LIVE}))
        ) t
    ) o
    JOIN bookings_booking b ON b.slot_id = o.slot_id AND b.status IN ({_LIVE})
    LEFT JOIN bookings_resource r ON r.number = o.number
    LEFT JOIN bookings_provider p ON p.number = o.number
    WHERE o.others_until > o.busy_from OR o.next_from < o.busy_until
    GROUP BY b.id, b.reference, b.organization_id, o.slot_id
    ORDER BY min(o.busy_from), b.id
"""  # noqa: S608


@check(
    id="bookings.exclusive_overlap",
    title="Nobody and nothing is booked twice at the same time",
    help=(
        "Two live bookings take the same court, doctor or room at overlapping times, as what"
        " is booked, a part of it, what was picked for it, or the person who provides one of"
        " these. Somebody has to be moved or told:"
        " that is for people to decide."
    ),
    severity="critical",
)
def exclusive_overlap(scope: Scope) -> Iterator[Problem]:
    for row in rows(_OVERLAPS, params(scope)):
        yield Problem(
            subject_type="bookings.booking",
            subject_id=row["id"],
            message=f"Booking {row['reference']} overlaps another one that takes the same.",
            organization_id=row["organization_id"],
            details={
                "slot": row["slot"],
                "resources": row["resources"] or [],
                "providers": row["providers"] or [],
            },
        )


_OCCUPANCIES = f"""
    WITH expected AS (
        SELECT DISTINCT s.id AS slot_id, s.organization_id, taken.number,
               tstzrange(s.busy_from, s.busy_until, '[)') AS period
        FROM bookings_slot s JOIN bookings_resource r ON r.id = s.resource_id
        CROSS JOIN LATERAL {TAKEN} AS taken (number)
        WHERE s.id IN (SELECT slot_id FROM bookings_booking WHERE status IN ({_LIVE}))
    ), wrong AS (
        SELECT COALESCE(e.slot_id, o.slot_id) AS slot_id,
               CASE WHEN o.id IS NULL THEN 'missing'
                    WHEN e.slot_id IS NULL THEN 'surplus'
                    ELSE 'wrong period' END AS kind
        FROM expected e
        FULL JOIN bookings_occupancy o
          ON o.slot_id = e.slot_id AND o.resource_number = e.number
        WHERE o.id IS NULL OR e.slot_id IS NULL OR o.period <> e.period
    )
    SELECT w.slot_id::text AS id, s.organization_id, array_agg(DISTINCT w.kind) AS kinds
    FROM wrong w LEFT JOIN bookings_slot s ON s.id = w.slot_id
    WHERE {mine("s.organization_id")}
    GROUP BY w.slot_id, s.organization_id
    ORDER BY w.slot_id
"""  # noqa: S608


@check(
    id="bookings.occupancies",
    title="An exclusive resource is marked as taken when it is, and only then",
    help=(
        "Without its mark, a court or a doctor can be booked twice; with a mark too many, a time"
        " cannot be booked at all. A slot marks its own resource, the parts of it, what was"
        " picked for its people, and who provides these. --fix writes the marks anew from the live bookings, unless they"
        " overlap somebody else's."
    ),
    severity="critical",
)
def occupancies(scope: Scope) -> Iterator[Problem]:
    for row in rows(_OCCUPANCIES, params(scope)):
        yield Problem(
            subject_type="bookings.slot",
            subject_id=row["id"],
            message=f"Marks that the resource is taken are not right: {', '.join(row['kinds'])}.",
            organization_id=row["organization_id"],
            details={"kinds": row["kinds"]},
        )


@fix("bookings.occupancies")
def fix_occupancies(problem: Problem, actor: Actor, now: datetime) -> FixResult:
    slot_id = UUID(problem.subject_id)
    slots = locks.slots([slot_id])
    there = list(Occupancy.objects.filter(slot_id=slot_id))
    expected: set[tuple[int, DateTimeTZRange]] = set()
    if slots and Booking.objects.filter(slot_id=slot_id, status__in=LIVE).exists():
        [slot] = slots
        numbers = set(slot.every_number)
        locks.take_in_turn(numbers)
        period = DateTimeTZRange(slot.busy_from, slot.busy_until, "[)")
        expected = {(number, period) for number in numbers}
        rivals = Occupancy.objects.filter(resource_number__in=numbers, period__overlap=period)
        if rivals.exclude(slot_id=slot_id).exists():
            return FixResult.needs_review("Another slot takes the same at that time.")
    wrong = [o for o in there if (o.resource_number, o.period) not in expected]
    missing = expected - {(o.resource_number, o.period) for o in there}
    if not wrong and not missing:
        return FixResult.gone()
    with repairing():
        Occupancy.objects.filter(pk__in=[o.pk for o in wrong]).delete()
        Occupancy.objects.bulk_create(
            Occupancy(slot_id=slot_id, resource_number=number, period=period)
            for number, period in missing
        )
    return FixResult.fixed(f"{len(wrong)} marks were removed and {len(missing)} were made.")


_OVERDUE = f"""
    SELECT b.id::text, b.reference, b.organization_id, b.held_until
    FROM bookings_booking b
    WHERE b.status = '{BookingStatus.HELD}' AND b.held_until < %(late)s
      AND {mine("b.organization_id")}
    ORDER BY b.held_until, b.id
"""  # noqa: S608


@check(
    id="bookings.holds_overdue",
    title="Holds that ran out are gone within minutes",
    help=(
        "The sweep that expires holds does not run: see that a worker and beat are alive."
        " Whoever asks for such a seat gets it all the same; lists show it as taken until then."
        " --fix expires them."
    ),
    severity="warning",
)
def holds_overdue(scope: Scope) -> Iterator[Problem]:
    for row in rows(_OVERDUE, params(scope, late=scope.now - SWEEP_IS_LATE_AFTER)):
        yield Problem(
            subject_type="bookings.booking",
            subject_id=row["id"],
            message=f"The hold {row['reference']} ran out at {row['held_until']:%Y-%m-%d %H:%M}"
            " UTC and is still counted.",
            organization_id=row["organization_id"],
        )


@fix("bookings.holds_overdue")
def fix_holds_overdue(problem: Problem, actor: Actor, now: datetime) -> FixResult:
    booking = lock_booking(problem)
    if (
        booking is None
        or booking.status != BookingStatus.HELD
        or booking.held_until is None
        or booking.held_until > now
    ):
        return FixResult.gone()
    recount([booking.slot_id])
    transitions.expire([booking], now=now, reason=our_reason("The hold ran out."))
    return FixResult.fixed("The hold was expired.")
