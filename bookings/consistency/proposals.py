"""A proposed time is held exactly as long as its proposal is open (B6)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from audit.consistency.registry import FixResult, Problem, Scope, check, fix, rows
from audit.context import Actor
from audit.languages import our_reason
from bookings import locks, transitions
from bookings.consistency.parts import lock_booking, mine, params, recount
from bookings.lifecycle import BookingStatus, ProposalStatus
from bookings.models import Proposal

B, P = BookingStatus, ProposalStatus

# One row for each booking that is proposed another time, as far as one of the three says so: its
# own status, an open proposal, or a hold that stands for it.
_OPEN = f"""
    WITH said AS (
        SELECT b.id AS booking_id, 1 AS proposed, 0 AS open, 0 AS held, NULL::uuid AS stand_in
        FROM bookings_booking b WHERE b.status = '{B.RESCHEDULE_PROPOSED}'
        UNION ALL
        SELECT p.booking_id, 0, 1, 0, p.stand_in_id FROM bookings_proposal p
        WHERE p.status = '{P.OPEN}'
        UNION ALL
        SELECT h.stands_for_id, 0, 0, 1, h.id FROM bookings_booking h
        WHERE h.stands_for_id IS NOT NULL AND h.status = '{B.HELD}'
    )
    SELECT b.id::text, b.reference, b.organization_id, b.status,
           sum(s.proposed) AS proposed, sum(s.open) AS open, sum(s.held) AS held,
           count(DISTINCT s.stand_in) AS stand_ins
    FROM said s JOIN bookings_booking b ON b.id = s.booking_id
    WHERE {mine("b.organization_id")}
    GROUP BY b.id
    HAVING (sum(s.proposed), sum(s.open), sum(s.held), count(DISTINCT s.stand_in))
        <> (1, 1, 1, 1)
    ORDER BY b.id
"""  # noqa: S608


@check(
    id="bookings.proposals",
    title="A booking with a proposed time has one open proposal, and one hold for it",
    help=(
        "A customer could be asked for a time that is not held, or seats be held that nobody was"
        " asked about. --fix takes the proposal back: the booking stays where it is, and what is"
        " held for another time is free again."
    ),
)
def proposals(scope: Scope) -> Iterator[Problem]:
    for row in rows(_OPEN, params(scope)):
        yield Problem(
            subject_type="bookings.booking",
            subject_id=row["id"],
            message=f"Booking {row['reference']} is {row['status']}, has {row['open']} open"
            f" proposals, and {row['held']} holds stand for it.",
            organization_id=row["organization_id"],
            details={"status": row["status"], "open": row["open"], "held": row["held"]},
        )


@fix("bookings.proposals")
def fix_proposals(problem: Problem, actor: Actor, now: datetime) -> FixResult:
    booking = lock_booking(problem)
    if booking is None:
        return FixResult.gone()
    held = locks.stand_ins([booking])
    opened = list(Proposal.objects.filter(booking=booking, status=P.OPEN))
    is_proposed = booking.status == B.RESCHEDULE_PROPOSED
    stand_ins = {s.pk for s in held} | {p.stand_in_id for p in opened}
    if (is_proposed, len(opened), len(held), len(stand_ins)) in ((True, 1, 1, 1), (False, 0, 0, 0)):
        return FixResult.gone()
    recount({s.slot_id for s in held})
    transitions.cancel(held, now=now, reason=our_reason("The proposal was taken back."), tell=False)
    if is_proposed:
        transitions.settle([booking], "withdraw", now=now)
    else:
        transitions.forget_proposals([booking], now=now)
    return FixResult.fixed(
        f"{len(opened)} proposals and {len(held)} holds ended; the booking is"
        f" {booking.get_status_display()}."
    )


_LINK = f"""
    SELECT h.id::text, h.organization_id, array_remove(ARRAY[
        CASE WHEN b.id IS NULL THEN 'what it stands for is missing'
             WHEN b.organization_id <> h.organization_id
             THEN 'what it stands for is another organisation''s'
             WHEN b.customer_id <> h.customer_id
             THEN 'what it stands for is another customer''s'
             WHEN b.stands_for_id IS NOT NULL THEN 'it stands for a stand-in'
             WHEN h.status = '{B.HELD}' AND b.units <> h.units
             THEN 'it is for another number of people' END,
        CASE WHEN h.status NOT IN ('{B.HELD}', '{B.EXPIRED}', '{B.CANCELLED}')
             THEN 'it is no hold' END,
        CASE WHEN p.id IS NULL THEN 'there is no proposal'
             WHEN p.organization_id <> h.organization_id
             THEN 'its proposal is another organisation''s'
             WHEN p.booking_id <> h.stands_for_id THEN 'its proposal is for another booking'
             WHEN h.status = '{B.HELD}' AND p.expires_at <> h.held_until
             THEN 'its proposal runs out at another time' END
    ], NULL) AS wrong
    FROM bookings_booking h
    LEFT JOIN bookings_booking b ON b.id = h.stands_for_id
    LEFT JOIN bookings_proposal p ON p.stand_in_id = h.id
    WHERE h.stands_for_id IS NOT NULL AND {mine("h.organization_id", "b.organization_id")}
    UNION ALL
    SELECT p.stand_in_id::text, p.organization_id, ARRAY[
        CASE WHEN h.id IS NULL THEN 'its proposal has no hold'
             ELSE 'it has a proposal and stands for nothing' END
    ]
    FROM bookings_proposal p LEFT JOIN bookings_booking h ON h.id = p.stand_in_id
    WHERE h.stands_for_id IS NULL AND {mine("p.organization_id", "h.organization_id")}
"""  # noqa: S608
_LINKS = f"SELECT * FROM ({_LINK}) w WHERE w.wrong <> '{{}}' ORDER BY w.id"  # noqa: S608


@check(
    id="bookings.stand_ins",
    title="What holds a proposed time belongs to its booking and its proposal",
    help=(
        "Somebody could accept what is held for another one, or longer or shorter than they were"
        " told. The trail of the rows says which was changed: correct that one, or withdraw the"
        " proposal and make another."
    ),
    severity="critical",
)
def stand_ins(scope: Scope) -> Iterator[Problem]:
    for row in rows(_LINKS, params(scope)):
        yield Problem(
            subject_type="bookings.booking",
            subject_id=row["id"],
            message=f"What holds a proposed time is wrong: {', '.join(row['wrong'])}.",
            organization_id=row["organization_id"],
            details={"wrong": row["wrong"]},
        )
