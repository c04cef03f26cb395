"""Everybody in line has something to wait for, and nobody waits beside a free seat."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Q

from audit.consistency.registry import FixResult, Problem, Scope, check, fix, rows
from audit.context import Actor
from bookings import locks as booking_locks
from bookings.consistency.parts import literals, mine, params
from bookings.lifecycle import ADMITTED, LIVE, BookingStatus
from bookings.models import Booking
from waitlist import locks, selectors
from waitlist.lifecycle import GOING_ON, GOING_ON_SQL, EntryStatus, OfferStatus
from waitlist.models import WaitlistEntry
from waitlist.services import serving, settlement, sweeps

SWEEP_IS_LATE_AFTER = timedelta(minutes=15)  # it runs every five
MOST = 10_000  # slots that one look plans

_WAITING = f"e.status = '{EntryStatus.WAITING}'"

_OVERDUE = f"""
    SELECT e.id::text, e.organization_id, COALESCE(s.starts_at, e.until_at) AS over_at,
           s.status = 'legacy' AS legacy
    FROM waitlist_waitlistentry e LEFT JOIN bookings_slot s ON s.id = e.slot_id
    WHERE {_WAITING} AND {mine("e.organization_id")}
      AND (s.status = 'legacy' OR COALESCE(s.starts_at, e.until_at) <= %(late)s)
    ORDER BY e.id
"""  # noqa: S608


@check(
    id="waitlist.overdue",
    title="Nobody waits for what is over",
    help=(
        "The sweep ends such entries within five minutes, so it is not running, or fails at them."
        " --fix ends the entry and tells the customer."
    ),
    severity="warning",
)
def overdue(scope: Scope) -> Iterator[Problem]:
    late = scope.now - SWEEP_IS_LATE_AFTER
    for row in rows(_OVERDUE, params(scope, late=late)):
        why = (
            "is not offered any more" if row["legacy"] else f"was over at {row['over_at']:%F %H:%M}"
        )
        yield Problem(
            subject_type="waitlist.waitlistentry",
            subject_id=row["id"],
            message=f"It waits for what {why}.",
            organization_id=row["organization_id"],
        )


@fix("waitlist.overdue")
def fix_overdue(problem: Problem, actor: Actor, now: datetime) -> FixResult:
    pk = UUID(problem.subject_id)
    booking_locks.slots(
        WaitlistEntry.objects.filter(pk=pk, slot__isnull=False).values_list("slot_id", flat=True)
    )
    for entry in locks.entries_where(Q(pk=pk, status=EntryStatus.WAITING)):
        over_at = entry.slot.starts_at if entry.slot else entry.until_at
        assert over_at is not None
        if over_at <= now or (entry.slot and entry.slot.status == "legacy"):
            sweeps.end([entry], actor=actor, now=now)
            return FixResult.fixed("It has ended.")
    return FixResult.gone()


_GOT = (
    f"b.customer_id = e.customer_id AND b.status IN ({literals(ADMITTED)})"
    " AND b.created_at >= e.joined_at AND b.units >= e.units"
)

# What is accepted and ordered is decided with its order.
_UNDECIDED = f"""
    e.status IN ({GOING_ON_SQL}) AND (e.status <> '{EntryStatus.ACCEPTED}' OR EXISTS (
        SELECT 1 FROM waitlist_offer o JOIN bookings_booking h ON h.id = o.booking_id
        WHERE o.entry_id = e.id AND o.status = '{OfferStatus.ACCEPTED}'
          AND h.status = '{BookingStatus.HELD}'
    ))
"""  # noqa: S608

# Whoever got seats they waited for in another way, and lines that the last approval should have
# closed: everything in the slot is approved, and either that is enough or it was too late for
# customers to cancel already. What time alone has settled since stays until the start.
_SETTLED = f"""
    SELECT e.id::text, e.organization_id, b.id::text AS booking_id, 'got' AS why
    FROM waitlist_waitlistentry e JOIN bookings_booking b ON b.slot_id = e.slot_id AND {_GOT}
    WHERE {_UNDECIDED} AND {mine("e.organization_id")}
    UNION ALL
    SELECT e.id::text, e.organization_id, b.id::text, 'got'
    FROM waitlist_waitlistentry e
    JOIN bookings_slot s ON s.resource_id = e.resource_id AND s.starts_at >= e.from_at
         AND s.starts_at < e.until_at AND s.ends_at <= e.until_at
    JOIN bookings_booking b ON b.slot_id = s.id AND {_GOT}
    WHERE {_UNDECIDED} AND e.slot_id IS NULL AND {mine("e.organization_id")}
    UNION ALL
    SELECT e.id::text, e.organization_id, l.booking_id, 'full'
    FROM bookings_slot s
    JOIN bookings_resource r ON r.id = s.resource_id
    LEFT JOIN waitlist_waitlistpolicy p ON p.organization_id = s.organization_id
    CROSS JOIN LATERAL (
        SELECT max(b.confirmed_at) AS at, bool_and(b.status IN ('confirmed', 'checked_in')) AS final,
               (array_agg(b.id::text ORDER BY b.confirmed_at DESC))[1] AS booking_id
        FROM bookings_booking b WHERE b.slot_id = s.id AND b.status IN ({literals(LIVE)})
    ) l
    JOIN waitlist_waitlistentry e ON e.slot_id = s.id AND {_WAITING} AND e.joined_at <= l.at
    WHERE s.line_units IS NOT NULL AND {mine("s.organization_id")} AND s.starts_at > %(now)s
      AND (s.taken_bookings >= s.max_bookings OR s.taken_units >= s.max_units) AND l.final
      AND (COALESCE(p.closes_when_approved, FALSE)
           OR s.starts_at - make_interval(mins => r.cancel_until_minutes) < l.at)
    ORDER BY 1
"""  # noqa: S608


@check(
    id="waitlist.settled",
    title="Nobody waits for what they got, or for what is settled",
    help=(
        "An approval passed over slots that somebody else held at that moment, so that an entry,"
        " its offer or its cart stayed open. --fix settles it now, as the approval would have."
    ),
)
def settled(scope: Scope) -> Iterator[Problem]:
    seen = set()
    for row in rows(_SETTLED, params(scope)):
        if row["id"] in seen:
            continue
        seen.add(row["id"])
        words = (
            "The customer got these seats in another way."
            if row["why"] == "got"
            else "The slot is full, and nobody in it can give seats back any more."
        )
        yield Problem(
            subject_type="waitlist.waitlistentry",
            subject_id=row["id"],
            message=words,
            organization_id=row["organization_id"],
            details={"booking": row["booking_id"], "why": row["why"]},
        )


@fix("waitlist.settled")
def fix_settled(problem: Problem, actor: Actor, now: datetime) -> FixResult:
    pk = UUID(problem.subject_id)
    booking_id = UUID(problem.details["booking"])
    slots = set(
        WaitlistEntry.objects.filter(pk=pk).values_list("slot_id", "offers__booking__slot_id")
    )
    of_booking = Booking.objects.filter(pk=booking_id).values_list("slot_id", flat=True)
    booking_locks.slots({s for row in slots for s in row if s} | set(of_booking))
    bookings = [b for b in booking_locks.bookings([booking_id]) if b.status in ADMITTED]
    settlement.settle(bookings, now=now)
    still = WaitlistEntry.objects.filter(pk=pk, status__in=GOING_ON).exists()
    if still:
        return FixResult.needs_review("Under lock it still had something to wait for.")
    return FixResult.fixed("It is settled.")


@check(
    id="waitlist.unserved",
    title="Nobody waits beside free seats that would be enough",
    help=(
        "Seats that come free are offered at once, and what that cannot reach within a minute. So"
        " the sweep is not running, or it fails at the slot: its log has the reason. --fix offers"
        " the seats to the first in line whom they fit."
    ),
    severity="warning",
)
def unserved(scope: Scope) -> Iterator[Problem]:
    found = selectors.unserved_slots(now=scope.now, limit=MOST, organization=scope.organization_id)
    for slot, waiting in serving.unserved(found, now=scope.now):
        yield Problem(
            subject_type="bookings.slot",
            subject_id=str(slot.pk),
            message=f"Seats are free for {waiting} who wait for them.",
            organization_id=slot.organization_id,
            details={"waiting": waiting},
        )


@fix("waitlist.unserved")
def fix_unserved(problem: Problem, actor: Actor, now: datetime) -> FixResult:
    slots = booking_locks.slots([UUID(problem.subject_id)])
    made = serving.serve([s.pk for s in slots], now=now).offers
    if not made:
        return FixResult.gone()
    return FixResult.fixed(f"{len(made)} were offered seats.")
