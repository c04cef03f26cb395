"""Every row lock of this app, named. Nothing else calls ``select_for_update``.

Order, always, and by primary key within a kind:

    cart → slot → customer → booking → exclusive resource → waitlist entry → offer → cart transaction
    → refund

``FOR NO KEY UPDATE`` everywhere, so that foreign keys to a locked row do not wait. An exclusive
resource is not locked by its row, which everybody reads, but by an advisory lock on its number,
which lasts until the transaction ends. A proposal has no lock of its own: whoever changes one
holds the lock of its booking.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

from django.contrib.postgres.fields import BigIntegerRangeField
from django.db import connection
from django.db.models import Func, Q, QuerySet, Value
from django.db.models.expressions import Combinable

from audit.compiled import Compiled, Param
from audit.errors import NotFound
from audit.sql import prepared_cursor
from bookings.lifecycle import BookingStatus
from bookings.models import (
    Booking,
    CheckInCode,
    Customer,
    Membership,
    Organization,
    PoolMember,
    Resource,
    Role,
    Slot,
    User,
)


def slots(ids: Iterable[uuid.UUID]) -> list[Slot]:
    """Lock slots, with their resources loaded."""
    return list(
        Slot.objects.select_for_update(no_key=True, of=("self",))
        .select_related("resource")
        .filter(pk__in=set(ids))
        .order_by("pk")
    )


def slots_to_come(resource_ids: Iterable[uuid.UUID], *, now: datetime) -> list[Slot]:
    """Lock the slots of resources that are not over, with their resources loaded."""
    return list(
        Slot.objects.select_for_update(no_key=True, of=("self",))
        .select_related("resource")
        .filter(resource__in=set(resource_ids), ends_at__gt=now)
        .order_by("pk")
    )


def slot(slot_id: uuid.UUID, *, organization_id: uuid.UUID) -> Slot:
    """Lock one slot of an organisation."""
    found = _SLOT.first(slot=slot_id, organization=organization_id)
    if found is None:
        raise NotFound("There is no such slot.")
    return found


_SLOT = Compiled(
    lambda: (
        Slot.objects.select_for_update(no_key=True, of=("self",))
        .select_related("resource")
        .filter(pk=Param("slot"), organization=Param("organization"))
        .order_by()
    )
)


def owners(organization_id: uuid.UUID) -> list[Membership]:
    """Lock an organisation, so that its owners change one after the other; who they are."""
    Organization.objects.select_for_update(no_key=True).only("pk").get(pk=organization_id)
    return list(Membership.objects.filter(organization=organization_id, role=Role.OWNER))


def user(user_id: uuid.UUID) -> User:
    """Lock a person, whose roles in all organisations say whether they are staff."""
    return User.objects.select_for_update(no_key=True).get(pk=user_id)


def row_of_form(rows: QuerySet[Any]) -> Any:
    """Lock the one row that a form of the admin changes; None if it is not there.

    Whoever changes who works somewhere holds the organisation first, and so does this.

    Args:
        rows: the row, of any model, as far as the person may see it.
    """
    if rows.model is Membership:
        holder = Organization.objects.select_for_update(no_key=True, of=("self",)).only("pk")
        holder.filter(memberships__in=rows.order_by().values("pk")).first()
    found = rows.model._base_manager.filter(pk__in=rows.order_by().values("pk"))
    return rows_of_form(found).only("pk").first()


def rows_of_form(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Lock the rows that a form shows below its own, when they are read; after ``row_of_form``."""
    return rows.select_for_update(no_key=True, of=("self",))


def customer(customer_id: uuid.UUID) -> Customer:
    """Count what one customer has one after the other, until this transaction ends."""
    return Customer.objects.select_for_update(no_key=True).get(pk=customer_id)


def customers_nobody_holds(ids: Iterable[uuid.UUID]) -> set[uuid.UUID]:
    """Lock customers, as ``customer`` does, passing over those that somebody else holds; which they
    are. It may be called out of the order of locks, as it waits for nobody."""
    locked = Customer.objects.select_for_update(no_key=True, skip_locked=True)
    return set(locked.filter(pk__in=set(ids)).order_by("pk").values_list("pk", flat=True))


def resource(resource_id: uuid.UUID, *, organization_id: uuid.UUID) -> Resource:
    """Lock one resource of an organisation."""
    found = (
        Resource.objects.select_for_update(no_key=True)
        .filter(pk=resource_id, organization_id=organization_id)
        .first()
    )
    if found is None:
        raise NotFound("There is no such resource.")
    return found


def addresses(organization_id: uuid.UUID, texts: Iterable[str]) -> None:
    """Make customers of an organisation with one address or number one after the other.

    It comes after the slots and before the customer, and lasts until the transaction ends.
    """
    keys = sorted(f"bookings_customer {organization_id} {text.lower()}" for text in texts)
    with prepared_cursor() as cursor:
        cursor.execute(_ADDRESSES, [keys])


_ADDRESSES = (
    "SELECT count(pg_advisory_xact_lock(hashtextextended(k, 0))) FROM unnest(%s::text[]) AS k"
)


# Advisory locks are numbers that all applications of a database share; these are ours.
_TAKING, _PLANNING = 0x4846_0001 << 32, 0x4846_0002 << 32


def schedules_of(organization_id: uuid.UUID, *, alone: bool = False) -> None:
    """Change the schedule of one resource, beside others; or, alone, those of all of them.

    So that what closes everything sees a resource whose first schedule is just being made, or is
    seen by it. Before the planning locks.
    """
    lock = "pg_advisory_xact_lock" if alone else "pg_advisory_xact_lock_shared"
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {lock}(hashtextextended(%s, 0))",
            [f"bookings_schedules:{organization_id}"],
        )


def planning(resource_ids: Iterable[uuid.UUID]) -> None:
    """Change the schedules of resources, and the slots they make, one after the other."""
    numbers = Resource.objects.filter(pk__in=set(resource_ids)).values_list("number", flat=True)
    _in_turn(_PLANNING | number for number in numbers)


def hours_stay(resource: Resource) -> None:
    """Leave the schedule of a resource as it is until this transaction ends, beside others who do.

    For whoever makes a slot in its hours, which nobody sees who closes them meanwhile. Before the
    slots, and before the hours are read; a cart may be locked already, as no change of a schedule
    waits for one.
    """
    _in_turn([_PLANNING | resource.number], shared=True)


def composition() -> None:
    """Put resources together one after the other; the triggers on the links hold the same lock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('bookings_composition', 0))")


def take_in_turn(
    numbers: Iterable[int], *, beside: Sequence[Slot] = (), now: datetime | None = None
) -> dict[uuid.UUID, set[uuid.UUID]]:
    """Lock exclusive resources, and people who provide some, by their numbers, in their order.

    Whoever wants one of them through another slot waits here, and then sees us. Without that,
    both would write occupancies that overlap and learn of each other from the database, as a
    violated constraint or as a deadlock.

    Args:
        beside: slots of one organisation that want them. What those need who wait in line beside
            them is locked as well, so that they can be served now.

    Returns:
        By each of these, the empty slots with a line that need something of it at its time.
    """
    if not beside:
        _in_turn(_TAKING | number for number in numbers)
        return {}
    found: dict[uuid.UUID, set[uuid.UUID]] = defaultdict(set)
    with prepared_cursor() as cursor:
        cursor.execute(
            _IN_TURN_BESIDE,
            {
                "slots": [s.pk for s in beside],
                "busy_from": [s.busy_from for s in beside],
                "busy_until": [s.busy_until for s in beside],
                "organization": beside[0].organization_id,
                "numbers": sorted(set(numbers)),
                "taking": _TAKING,
                "now": now,
            },
        )
        for slot_id, other in cursor.fetchall():
            if slot_id is not None:
                found[slot_id].add(other)
    return found


# Slots with a line are few, and so are resources with people who wait for any time, of those that
# need any of it. No slot lasts longer than 23 days (32767 minutes).
_BESIDE = """
    WITH asked AS (
        SELECT * FROM unnest(%(slots)s::uuid[], %(busy_from)s::timestamptz[],
                             %(busy_until)s::timestamptz[]) AS a (id, busy_from, busy_until)
    ), beside AS MATERIALIZED (
        SELECT a.id AS slot_id, c.id, c.pools,
               CASE WHEN c.exclusive THEN r.number || c.parts ELSE c.parts END AS numbers
        FROM asked a JOIN LATERAL (
            SELECT s.* FROM bookings_slot s
            WHERE s.organization_id = %(organization)s AND s.line_units IS NOT NULL
              AND s.starts_at > GREATEST(%(now)s, a.busy_from - interval '24 days')
              AND s.starts_at < a.busy_until + interval '1 day'
            UNION ALL
            SELECT s.* FROM bookings_resource w JOIN bookings_slot s ON s.resource_id = w.id
            WHERE w.organization_id = %(organization)s AND w.line > 0
              AND (w.exclusive AND w.number = ANY(%(numbers)s::bigint[])
                   OR w.parts && %(numbers)s::bigint[] OR w.pools <> '{}')
              AND s.starts_at > GREATEST(%(now)s, a.busy_from - interval '24 days')
              AND s.starts_at < a.busy_until + interval '1 day' AND s.source <> 'free'
        ) c ON c.busy_from < a.busy_until AND c.busy_until > a.busy_from AND c.id <> a.id
        JOIN bookings_resource r ON r.id = c.resource_id AND r.is_active
        WHERE c.taken_bookings = 0 AND c.status = 'open'
    ), needs AS MATERIALIZED (
        SELECT b.slot_id, b.id, unnest(b.numbers) AS number FROM beside b
        UNION
        SELECT b.slot_id, b.id, unnest(p.number || p.parts) FROM beside b
        JOIN bookings_poolmember m ON m.pool_id = ANY(b.pools)
        JOIN bookings_resource p ON p.id = m.resource_id
    ), found AS MATERIALIZED (
        SELECT DISTINCT slot_id, id FROM needs WHERE number = ANY(%(numbers)s::bigint[])
    )
"""
_IN_TURN_BESIDE = f"""{_BESIDE}, turns AS MATERIALIZED (
        SELECT count(pg_advisory_xact_lock(k)) AS taken FROM (
            SELECT %(taking)s::bigint | number AS k FROM (
                SELECT unnest(%(numbers)s::bigint[]) AS number
                UNION SELECT n.number FROM needs n JOIN found f ON f.id = n.id
            ) x ORDER BY k
        ) y
    )
    SELECT f.slot_id, f.id FROM turns LEFT JOIN found f ON turns.taken > 0
"""  # noqa: S608


def _in_turn(keys: Iterable[int], *, shared: bool = False) -> None:
    ordered = sorted(set(keys))
    if ordered:
        with prepared_cursor() as cursor:
            cursor.execute(_IN_TURN_SHARED if shared else _IN_TURN, [ordered])


# The order of an array is the order of its locks, as the function runs on each row in turn.
_IN_TURN = "SELECT count(pg_advisory_xact_lock(k)) FROM unnest(%s::bigint[]) AS k"
_IN_TURN_SHARED = _IN_TURN.replace("xact_lock", "xact_lock_shared")


Members = dict[int, list[int]]
"""By the number of a resource in a pool, all that it takes: its own number, and who provides it."""


def pool_members(pool_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, Members]:
    """The active resources in each pool, in the order of their numbers."""
    found: dict[uuid.UUID, Members] = defaultdict(dict)
    rows = (
        PoolMember.objects.filter(pool__in=set(pool_ids), resource__is_active=True)
        .order_by("resource__number")
        .values_list("pool_id", "resource__number", "resource__parts")
    )
    for pool_id, number, parts in rows:
        found[pool_id][number] = [number, *parts]
    return found


Occupied = dict[int, set[uuid.UUID]]
"""By number, the slots that take it."""


def occupied(slots: Sequence[Slot], numbers: Iterable[int]) -> dict[uuid.UUID, Occupied]:
    """For each slot, which of these numbers other slots take at its time, and which slots."""
    found: dict[uuid.UUID, Occupied] = defaultdict(lambda: defaultdict(set))
    with prepared_cursor() as cursor:
        cursor.execute(
            _OCCUPIED,
            [
                [s.pk for s in slots],
                [s.busy_from for s in slots],
                [s.busy_until for s in slots],
                sorted(set(numbers)),
            ],
        )
        for slot_id, number, rival_id in cursor.fetchall():
            found[slot_id][number].add(rival_id)
    return found


_OCCUPIED = """
    SELECT s.id, n.number, o.slot_id
    FROM unnest(%s::uuid[], %s::timestamptz[], %s::timestamptz[]) AS s (id, busy_from, busy_until)
    CROSS JOIN unnest(%s::bigint[]) AS n (number)
    JOIN bookings_occupancy o
      ON int8range(o.resource_number, o.resource_number, '[]')
         = int8range(n.number, n.number, '[]')
     AND o.period && tstzrange(s.busy_from, s.busy_until, '[)')
    WHERE o.slot_id <> s.id
"""


def rivals(ids: Iterable[uuid.UUID]) -> list[Slot]:
    """Lock those of these slots that nobody else holds.

    They come out of the order of locks, so it never waits for them.
    """
    return list(
        Slot.objects.select_for_update(no_key=True, skip_locked=True)
        .filter(pk__in=set(ids))
        .order_by("pk")
    )


def number_range(number: Combinable) -> Func:
    """A resource's number as the exclusion constraint compares it, so that its index is used."""
    return Func(
        number,
        number,
        Value("[]"),
        function="int8range",
        output_field=BigIntegerRangeField(),
    )


def bookings(ids: Iterable[uuid.UUID]) -> list[Booking]:
    """Lock bookings, with slot, resource and customer loaded."""
    return list(_bookings().filter(pk__in=set(ids)))


def bookings_where(condition: Q, *, limit: int | None = None) -> list[Booking]:
    """Lock the bookings an app above selects by its own links; at most ``limit`` of them."""
    return list(_bookings().filter(condition)[:limit])


def bookings_alone(condition: Q) -> list[Booking]:
    """Lock bookings whose slots are not locked, so that somebody may be moving them.

    Locked first and read then: one that was moved while we waited no longer joins the slot it had,
    and a statement that does both leaves it out.
    """
    locked = Booking.objects.select_for_update(no_key=True, of=("self",)).filter(condition)
    ids = list(locked.order_by("pk").values_list("pk", flat=True))
    return list(_loaded(Booking.objects.filter(pk__in=ids)).order_by("pk")) if ids else []


_together: list[Callable[[Iterable[uuid.UUID]], Q]] = []


def lock_together(condition: Callable[[Iterable[uuid.UUID]], Q]) -> None:
    """Let an app above say which bookings belong to each other: those of one order."""
    if condition not in _together:
        _together.append(condition)


def bookings_of_orders(ids: Iterable[uuid.UUID]) -> list[Booking]:
    """Lock bookings together with all that belong to them, in their order; these are returned.

    Whoever changes several bookings and what hangs on them takes the locks that somebody takes
    who decides on one of the orders, and so neither waits for the other in a circle.
    """
    wanted = set(ids)
    every = set(wanted)
    for condition in _together:
        rows = Booking.objects.filter(condition(wanted)).order_by()
        every |= set(rows.values_list("pk", flat=True))
    return [b for b in bookings_alone(Q(pk__in=every)) if b.pk in wanted]


def bookings_nobody_holds(ids: Iterable[uuid.UUID]) -> list[Booking]:
    """Lock bookings whose slots are locked, passing over those that somebody else holds."""
    rows = Booking.objects.select_for_update(no_key=True, skip_locked=True, of=("self",))
    return list(_loaded(rows).filter(pk__in=set(ids)).order_by("pk"))


def booking(booking_id: uuid.UUID, *, organization_id: uuid.UUID) -> Booking:
    """Lock one booking of an organisation; what stands for another one is none of its own."""
    mine = Q(pk=booking_id, organization_id=organization_id, stands_for__isnull=True)
    for found in bookings_alone(mine):
        return found
    raise NotFound("There is no such booking.")


def slot_and_booking(
    booking_id: uuid.UUID,
    *,
    organization_id: uuid.UUID,
    also: Iterable[uuid.UUID] = (),
    together: Q | None = None,
    stand_in: bool = False,
) -> Booking:
    """Lock a booking's slot, that of a time proposed for it, and others; then the booking.

    Args:
        also: slots to lock with them, in the same order.
        together: bookings to lock with this one, in the same order.
        stand_in: whether it may be one that stands for another one.

    Raises:
        NotFound: the organisation has no such booking.
    """
    condition = Q(pk=booking_id, organization_id=organization_id)
    if not stand_in:
        condition &= Q(stands_for__isnull=True)
    others = set(also)
    seen: set[uuid.UUID] = set()
    while True:  # until nobody moved it while we waited
        wanted = slots_around(condition, Q(stands_for=booking_id))
        if not wanted:
            raise NotFound("There is no such booking.")
        if wanted <= seen:
            break
        locked = slots(wanted | others)
        seen = {s.pk for s in locked}
    if together is None:
        found = bookings_where(condition)
    else:  # their ids first: no index serves one condition or the other
        ids = set(Booking.objects.filter(together).order_by().values_list("pk", flat=True))
        found = bookings_alone(Q(pk__in={*ids, booking_id}, organization_id=organization_id))
    for one in found:
        if one.pk == booking_id:
            return one
    raise NotFound("There is no such booking.")


def slots_and_bookings(condition: Q, stand_ins: Q) -> list[Booking]:
    """Lock the slots of bookings, those of times proposed for them, then the bookings.

    Args:
        condition: which bookings.
        stand_ins: the same, as their stand-ins see it.
    """
    seen: set[uuid.UUID] = set()
    while not (wanted := slots_around(condition, stand_ins)) <= seen:
        seen = {s.pk for s in slots(wanted)}
    return bookings_where(condition)


def slots_around(condition: Q, stand_ins: Q) -> set[uuid.UUID]:
    """The slots in which bookings and their stand-ins have seats; in one statement."""
    own = Booking.objects.filter(condition).order_by().values_list("slot_id")
    held = Booking.objects.filter(stand_ins, status=BookingStatus.HELD).order_by()
    return {row[0] for row in own.union(held.values_list("slot_id"))}


def stand_ins(bookings: Iterable[Booking]) -> list[Booking]:
    """Lock what holds the proposed times of locked bookings, whose slots are locked."""
    return bookings_where(Q(stands_for__in=[b.pk for b in bookings], status=BookingStatus.HELD))


def overdue_holds(
    slot_ids: Iterable[uuid.UUID],
    *,
    now: datetime,
    only: Collection[uuid.UUID] | None = None,
) -> list[Booking]:
    """Lock the holds of locked slots whose time has run out.

    One that stands in for another booking ends with its proposal, and that booking is somewhere
    else: its lock comes out of order. Where somebody else has it (moves an order it is paid with,
    say, and waits for what we hold), the stand-in is passed over, and what it holds is taken.

    Args:
        only: those of these alone; None: all.
    """
    overdue = Q(slot_id__in=list(slot_ids), status=BookingStatus.HELD, held_until__lte=now)
    if only is not None:
        overdue &= Q(pk__in=list(only))
    found = list(_bookings().filter(overdue))
    originals = {b.stands_for_id for b in found if b.stands_for_id}
    if not originals:
        return found
    ours = set(
        Booking.objects.select_for_update(no_key=True, skip_locked=True)
        .filter(pk__in=originals)
        .order_by("pk")
        .values_list("pk", flat=True)
    )
    return [b for b in found if b.stands_for_id is None or b.stands_for_id in ours]


def slots_nobody_holds(ids: Iterable[uuid.UUID]) -> list[uuid.UUID]:
    """Lock slots, passing over those that somebody else holds; which they are."""
    locked = (
        Slot.objects.select_for_update(no_key=True, skip_locked=True)
        .filter(pk__in=set(ids))
        .order_by("pk")
    )
    return [s.pk for s in locked.only("pk")]


def holds_to_expire(
    *,
    now: datetime,
    limit: int,
    skip: Collection[uuid.UUID] = (),
    passed: set[uuid.UUID] | None = None,
) -> list[Booking]:
    """Lock the oldest overdue holds and their slots, passing over slots that somebody else holds.

    Args:
        limit: at most so many.
        skip: bookings that do not count.
        passed: slots that are not looked at; those passed over now are added.
    """
    passed = set() if passed is None else passed
    overdue = (
        Booking.objects.filter(status=BookingStatus.HELD, held_until__lte=now)
        .exclude(pk__in=list(skip))
        .exclude(slot__in=list(passed))
    )
    oldest = dict(overdue.order_by("held_until").values_list("pk", "slot_id")[:limit])
    ours = slots_not_passed(oldest.values(), passed)
    return overdue_holds(ours, now=now, only=oldest) if ours else []


def slots_not_passed(slot_ids: Iterable[uuid.UUID], passed: set[uuid.UUID]) -> list[uuid.UUID]:
    """The same, for sweeps: those passed over are added to ``passed``."""
    wanted = set(slot_ids)
    ours = slots_nobody_holds(wanted) if wanted else []
    passed.update(wanted.difference(ours))
    return ours


def finished_bookings(
    *,
    before: datetime,
    limit: int,
    skip: Collection[uuid.UUID] = (),
    passed: set[uuid.UUID] | None = None,
) -> list[Booking]:
    """Lock checked-in bookings in slots that have ended, and the slots before them.

    Passes over slots that somebody else holds, and bookings in ``skip``. ``limit`` is of
    bookings.

    Args:
        passed: slots that are not looked at; those passed over now are added.
    """
    passed = set() if passed is None else passed
    checked_in = Q(status=BookingStatus.CHECKED_IN) & ~Q(pk__in=list(skip))
    done = Booking.objects.filter(checked_in, slot__ends_at__lte=before)
    ids = done.exclude(slot__in=list(passed)).order_by("slot__ends_at", "pk")
    ours = slots_not_passed(ids.values_list("slot_id", flat=True)[:limit], passed)
    return bookings_where(Q(slot_id__in=ours) & checked_in, limit=limit) if ours else []


def check_in_code(
    code_hash: bytes, *, organization_ids: set[uuid.UUID] | None
) -> CheckInCode | None:
    """Lock the booking a code belongs to, with everything its answer needs."""
    # Twice, as a booking that is moved while we wait for its lock is not found the first time.
    found = _CHECK_IN_CODE.first(code_hash=code_hash) or _CHECK_IN_CODE.first(code_hash=code_hash)
    if found is None or organization_ids is None:
        return found
    return found if found.booking.organization_id in organization_ids else None


_CHECK_IN_CODE = Compiled(
    lambda: (
        CheckInCode.objects.select_for_update(no_key=True, of=("booking",))
        .select_related("booking__slot__resource", "booking__customer")
        .filter(code_hash=Param("code_hash"))
    )
)


def _bookings() -> QuerySet[Booking]:
    return _loaded(Booking.objects.select_for_update(no_key=True, of=("self",))).order_by("pk")


def _loaded(rows: QuerySet[Booking]) -> QuerySet[Booking]:
    return rows.select_related("slot__resource", "customer")
