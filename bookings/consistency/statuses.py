"""A booking is what it says: its codes, its links, its times."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from audit.consistency.registry import FixResult, Problem, Scope, check, fix, rows
from audit.context import Actor
from bookings import transitions
from bookings.consistency.parts import literals, lock_booking, mine, params, recount
from bookings.lifecycle import ADMITTED, ENDED, BookingStatus
from bookings.models import Booking, CheckInCode

NOT_COMPLETED_AFTER = timedelta(days=1)
B = BookingStatus
WAS_THERE = (B.CHECKED_IN, B.COMPLETED)
NEVER_CONFIRMED = (B.HELD, B.PENDING, B.REJECTED, B.EXPIRED)


def _problem(row: dict[str, object], message: str, *, fixable: bool = True) -> Problem:
    """A booking that is wrong; the row has ``id``, ``organization_id`` and ``kind``."""
    return Problem(
        subject_type="bookings.booking",
        subject_id=str(row["id"]),
        message=message,
        organization_id=row["organization_id"],  # type: ignore[arg-type]
        details={"kind": row["kind"], "status": row["status"]},
        fixable=fixable,
    )


_WITHOUT_CODE = f"""
    SELECT b.id::text, b.reference, b.organization_id, b.status, 'missing' AS kind
    FROM bookings_booking b
    WHERE b.status IN ({literals(ADMITTED)}) AND {mine("b.organization_id")}
      AND NOT EXISTS (SELECT 1 FROM bookings_checkincode c WHERE c.booking_id = b.id)
    ORDER BY b.id
"""  # noqa: S608


@check(
    id="bookings.confirmed_without_code",
    title="Every confirmed booking has its check-in code",
    help=(
        "Whoever comes without a code cannot be checked in by scanner. --fix issues the code;"
        " the customer finds it where they find all of theirs."
    ),
)
def confirmed_without_code(scope: Scope) -> Iterator[Problem]:
    for row in rows(_WITHOUT_CODE, params(scope)):
        yield _problem(row, f"Booking {row['reference']} is confirmed and has no check-in code.")


@fix("bookings.confirmed_without_code")
def fix_confirmed_without_code(problem: Problem, actor: Actor, now: datetime) -> FixResult:
    booking = lock_booking(problem)
    if (
        booking is None
        or booking.status not in ADMITTED
        or CheckInCode.objects.filter(booking=booking).exists()
    ):
        return FixResult.gone()
    transitions.issue_codes([booking], now=now)
    if booking.status in WAS_THERE:
        CheckInCode.objects.filter(booking=booking).update(used_at=booking.checked_in_at)
    return FixResult.fixed("A code was issued.")


_CODES = f"""
    SELECT b.id::text, b.reference, b.organization_id, b.status, w.kind
    FROM bookings_checkincode c
    JOIN bookings_booking b ON b.id = c.booking_id
    CROSS JOIN LATERAL (
        SELECT CASE
            WHEN b.status IN ({literals(WAS_THERE)}) AND c.used_at IS NULL THEN 'not used'
            WHEN b.status NOT IN ({literals(WAS_THERE)}) AND c.used_at IS NOT NULL THEN 'used'
            WHEN b.status IN ({literals(NEVER_CONFIRMED)}) THEN 'too early'
        END AS kind
    ) w
    WHERE w.kind IS NOT NULL AND {mine("b.organization_id")}
    ORDER BY b.id
"""  # noqa: S608
_CODE_MESSAGES = {
    "not used": "Booking {reference} is checked in, and its code is not marked as used.",
    "used": "The code of booking {reference} was used, and the booking is {status}.",
    "too early": "Booking {reference} is {status} and has a check-in code.",
}


@check(
    id="bookings.code_use_agrees",
    title="A check-in code is used exactly when its booking is checked in",
    help=(
        "A code that is not marked as used could let somebody in twice: --fix marks it. A code"
        " of a booking that was never confirmed would stop its approval: --fix removes it. A"
        " used code of a booking that is not checked in needs a person: was somebody there?"
    ),
)
def code_use_agrees(scope: Scope) -> Iterator[Problem]:
    for row in rows(_CODES, params(scope)):
        message = _CODE_MESSAGES[row["kind"]].format_map(row)
        yield _problem(row, message, fixable=row["kind"] != "used")


@fix("bookings.code_use_agrees")
def fix_code_use_agrees(problem: Problem, actor: Actor, now: datetime) -> FixResult:
    booking = lock_booking(problem)
    code = CheckInCode.objects.filter(booking=booking).first() if booking else None
    if booking is None or code is None:
        return FixResult.gone()
    if booking.status in WAS_THERE:
        if code.used_at is not None:
            return FixResult.gone()
        CheckInCode.objects.filter(pk=code.pk).update(used_at=booking.checked_in_at)
        return FixResult.fixed("The code was marked as used when the booking was checked in.")
    if code.used_at is not None:
        return FixResult.needs_review("The code was used, and the booking is not checked in.")
    if booking.status not in NEVER_CONFIRMED:
        return FixResult.gone()
    code.delete()
    return FixResult.fixed("The code was removed; approval issues a new one.")


_LINKS = f"""
    SELECT 'bookings.booking' AS type, b.id::text, b.organization_id,
           array_remove(ARRAY[
               CASE WHEN s.id IS NULL THEN 'its slot is missing'
                    WHEN s.organization_id <> b.organization_id
                    THEN 'its slot is another organisation''s' END,
               CASE WHEN c.id IS NULL THEN 'its customer is missing'
                    WHEN c.organization_id <> b.organization_id
                    THEN 'its customer is another organisation''s' END
           ], NULL) AS wrong
    FROM bookings_booking b
    LEFT JOIN bookings_slot s ON s.id = b.slot_id
    LEFT JOIN bookings_customer c ON c.id = b.customer_id
    WHERE (s.id IS NULL OR c.id IS NULL
           OR s.organization_id <> b.organization_id OR c.organization_id <> b.organization_id)
      AND {mine("b.organization_id", "s.organization_id", "c.organization_id")}
    UNION ALL
    SELECT 'bookings.slot', s.id::text, s.organization_id,
           ARRAY[CASE WHEN r.id IS NULL THEN 'its resource is missing'
                      WHEN r.organization_id <> s.organization_id
                      THEN 'its resource is another organisation''s'
                      ELSE 'it is not exclusive as its resource is, or the other way round' END]
    FROM bookings_slot s
    LEFT JOIN bookings_resource r ON r.id = s.resource_id
    WHERE (r.id IS NULL OR r.organization_id <> s.organization_id OR r.exclusive <> s.exclusive)
      AND {mine("s.organization_id", "r.organization_id")}
    UNION ALL
    SELECT 'bookings.checkincode', c.booking_id::text, NULL, ARRAY['its booking is missing']
    FROM bookings_checkincode c
    WHERE NOT EXISTS (SELECT 1 FROM bookings_booking b WHERE b.id = c.booking_id)
      AND %(organization)s::uuid IS NULL
    ORDER BY 1, 2
"""  # noqa: S608


@check(
    id="bookings.booking_links",
    title="A booking, its slot and its customer belong to one organisation",
    help=(
        "A row points at nothing, or across organisations: somebody could see what is not"
        " theirs. Find out from the trail which of the rows was changed; correct or restore"
        " that one."
    ),
    severity="critical",
)
def booking_links(scope: Scope) -> Iterator[Problem]:
    for row in rows(_LINKS, params(scope)):
        yield Problem(
            subject_type=row["type"],
            subject_id=row["id"],
            message=f"This row has a wrong link: {', '.join(row['wrong'])}.",
            organization_id=row["organization_id"],
            details={"wrong": row["wrong"]},
        )


# What the constraints of the tables refuse; it can only be there if they were switched off.
_TIMES = f"""
    SELECT 'bookings.booking' AS type, b.id::text, b.organization_id,
           array_remove(ARRAY[
               CASE WHEN b.status NOT IN ({literals(B.values)}) THEN 'its status is unknown' END,
               CASE WHEN b.units < 1 THEN 'it is for nobody' END,
               CASE WHEN b.status = '{B.HELD}' AND b.held_until IS NULL
                    THEN 'it is held without a deadline' END,
               CASE WHEN b.status IN ({literals(ADMITTED)}) AND b.confirmed_at IS NULL
                    THEN 'it does not say when it was confirmed' END,
               CASE WHEN b.status IN ({literals(WAS_THERE)}) AND b.checked_in_at IS NULL
                    THEN 'it does not say when it was checked in' END,
               CASE WHEN b.status IN ({literals(ENDED)}) AND b.ended_at IS NULL
                    THEN 'it does not say when it ended' END,
               CASE WHEN b.status NOT IN ({literals(ENDED)}) AND b.ended_at IS NOT NULL
                    THEN 'it has ended and goes on' END,
               CASE WHEN (b.status = '{B.NO_SHOW}') <> (b.missed_at IS NOT NULL)
                    THEN 'it is a no-show and does not say since when, or says so and is none' END,
               CASE WHEN b.status = '{B.NO_SHOW}' AND b.excused_at IS NOT NULL
                    THEN 'it is a no-show that was excused' END
           ], NULL) AS wrong
    FROM bookings_booking b
    WHERE (b.status NOT IN ({literals(B.values)}) OR b.units < 1
           OR (b.status = '{B.HELD}' AND b.held_until IS NULL)
           OR (b.status IN ({literals(ADMITTED)}) AND b.confirmed_at IS NULL)
           OR (b.status IN ({literals(WAS_THERE)}) AND b.checked_in_at IS NULL)
           OR ((b.status IN ({literals(ENDED)})) <> (b.ended_at IS NOT NULL))
           OR ((b.status = '{B.NO_SHOW}') <> (b.missed_at IS NOT NULL))
           OR (b.status = '{B.NO_SHOW}' AND b.excused_at IS NOT NULL))
      AND {mine("b.organization_id")}
    UNION ALL
    SELECT 'bookings.slot', s.id::text, s.organization_id,
           array_remove(ARRAY[
               CASE WHEN s.ends_at <= s.starts_at THEN 'it ends before it starts' END,
               CASE WHEN s.busy_from > s.starts_at OR s.busy_until < s.ends_at
                    THEN 'its buffers do not surround it' END,
               CASE WHEN s.max_bookings < 1 OR s.max_units < 1 THEN 'it takes nobody' END,
               CASE WHEN s.exclusive AND s.max_bookings <> 1
                    THEN 'it is exclusive and takes several bookings' END
           ], NULL)
    FROM bookings_slot s
    WHERE (s.ends_at <= s.starts_at OR s.busy_from > s.starts_at OR s.busy_until < s.ends_at
           OR s.max_bookings < 1 OR s.max_units < 1 OR (s.exclusive AND s.max_bookings <> 1))
      AND {mine("s.organization_id")}
    ORDER BY 1, 2
"""  # noqa: S608


@check(
    id="bookings.times",
    title="Statuses and times of bookings and slots are possible ones",
    help=(
        "The database refuses such rows, so its constraints were switched off when this was"
        " written. Correct the row from its trail, and see that the constraints are back."
    ),
    severity="critical",
)
def times(scope: Scope) -> Iterator[Problem]:
    for row in rows(_TIMES, params(scope)):
        yield Problem(
            subject_type=row["type"],
            subject_id=row["id"],
            message=f"This row is not possible: {', '.join(row['wrong'])}.",
            organization_id=row["organization_id"],
            details={"wrong": row["wrong"]},
        )


_NOT_COMPLETED = f"""
    SELECT b.id::text, b.reference, b.organization_id, b.status, 'not completed' AS kind
    FROM bookings_booking b JOIN bookings_slot s ON s.id = b.slot_id
    WHERE b.status = '{B.CHECKED_IN}' AND s.ends_at < %(late)s AND {mine("b.organization_id")}
    ORDER BY b.id
"""  # noqa: S608


@check(
    id="bookings.checked_in_not_completed",
    title="Who was checked in is completed after the end",
    help=(
        "The sweep that completes bookings does not run: see that a worker and beat are alive."
        " --fix completes them."
    ),
    severity="warning",
)
def checked_in_not_completed(scope: Scope) -> Iterator[Problem]:
    for row in rows(_NOT_COMPLETED, params(scope, late=scope.now - NOT_COMPLETED_AFTER)):
        yield _problem(
            row, f"Booking {row['reference']} ended more than a day ago and is still checked in."
        )


@fix("bookings.checked_in_not_completed")
def fix_checked_in_not_completed(problem: Problem, actor: Actor, now: datetime) -> FixResult:
    booking = lock_booking(problem)
    if booking is None or not _is_over(booking, now=now):
        return FixResult.gone()
    recount([booking.slot_id])
    transitions.complete([booking], now=now)
    return FixResult.fixed("The booking was completed.")


def _is_over(booking: Booking, *, now: datetime) -> bool:
    return booking.status == B.CHECKED_IN and booking.slot.ends_at <= now
