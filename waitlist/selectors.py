"""Reads: who waits for what, and where somebody stands in line."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta

from django.db import connection
from django.db.models import F, Prefetch, Q, QuerySet

from bookings import rules
from bookings.lifecycle import SlotStatus
from bookings.models import Organization, Role, Slot
from bookings.selectors import Viewer
from waitlist import planning
from waitlist.lifecycle import GOING_ON, GOING_ON_SQL, IN_LINE, EntryStatus, OfferStatus
from waitlist.models import Offer, WaitlistEntry, WaitlistPolicy
from waitlist.planning import Waiting

SHORTEST_OFFER = timedelta(minutes=10)  # what could not be answered that long is not offered


def policies_of(organization_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, WaitlistPolicy]:
    """How organisations offer; the defaults where one never said. One statement."""
    ids = set(organization_ids)
    known = WaitlistPolicy.objects.in_bulk(ids)
    return {pk: known.get(pk) or WaitlistPolicy(organization_id=pk) for pk in ids}


def policy_of(organization: Organization) -> WaitlistPolicy:
    """How an organisation offers; the defaults if it never said."""
    return policies_of([organization.pk])[organization.pk]


# Slots with a line that these could serve: they themselves, and those that take at their time
# what their people took for themselves alone (a court of the hall, another service of the doctor).
_SERVED = """
    WITH freed AS (
        SELECT s.id, s.organization_id, s.busy_from, s.busy_until, s.status, s.source, s.starts_at,
               s.line_units, r.line, r.is_active,
               CASE WHEN s.exclusive THEN r.number || s.parts || s.picked || s.picked_parts
                    ELSE s.parts || s.picked || s.picked_parts END AS numbers
        FROM bookings_slot s JOIN bookings_resource r ON r.id = s.resource_id
        WHERE s.id = ANY(%(slots)s)
    )
    SELECT f.id FROM freed f
    WHERE (f.line_units IS NOT NULL OR f.line > 0) AND f.status = 'open' AND f.source <> 'free'
      AND f.starts_at > %(now)s AND f.is_active
    UNION
    SELECT c.id FROM freed f
    JOIN LATERAL (
        SELECT s.id, s.resource_id, s.exclusive, s.parts, s.pools, s.busy_from, s.busy_until
        FROM bookings_slot s
        WHERE s.organization_id = f.organization_id AND s.line_units IS NOT NULL
          AND s.starts_at > %(now)s AND s.status = 'open'
        UNION ALL
        SELECT s.id, s.resource_id, s.exclusive, s.parts, s.pools, s.busy_from, s.busy_until
        FROM bookings_resource w JOIN bookings_slot s ON s.resource_id = w.id
        WHERE w.organization_id = f.organization_id AND w.line > 0
          AND s.starts_at > GREATEST(%(now)s, f.busy_from - interval '24 days')
          AND s.starts_at < f.busy_until + interval '1 day'
          AND s.status = 'open' AND s.source <> 'free'
    ) c ON c.busy_from < f.busy_until AND c.busy_until > f.busy_from AND c.id <> f.id
    JOIN bookings_resource r ON r.id = c.resource_id AND r.is_active
    WHERE f.numbers <> '{}' AND (
        c.exclusive AND r.number = ANY(f.numbers) OR c.parts && f.numbers
        OR EXISTS (
            SELECT 1 FROM bookings_poolmember m JOIN bookings_resource p ON p.id = m.resource_id
            WHERE m.pool_id = ANY(c.pools)
              AND (p.number = ANY(f.numbers) OR p.parts && f.numbers)
        )
    )
"""


def slots_to_serve(slot_ids: Collection[uuid.UUID], *, now: datetime) -> list[uuid.UUID]:
    """Of slots in which seats came free, and of those that need what their people had, the ones
    that somebody waits for; one statement."""
    with connection.cursor() as cursor:
        cursor.execute(_SERVED, {"slots": list(slot_ids), "now": now})
        return [row[0] for row in cursor.fetchall()]


# Slots to come with a line and with room for the smallest party in it, by the counters. Where
# the time itself is taken, serving finds that out.
_UNSERVED = """
    SELECT s.id FROM bookings_slot s JOIN bookings_resource r ON r.id = s.resource_id
    WHERE s.line_units IS NOT NULL AND s.status = 'open' AND s.starts_at > %(soon)s
      AND s.taken_bookings < s.max_bookings AND s.taken_units + s.line_units <= s.max_units
      AND NOT s.id = ANY(%(skip)s)
      AND (%(resources)s::uuid[] IS NULL OR s.resource_id = ANY(%(resources)s))
      AND (%(organization)s::uuid IS NULL OR s.organization_id = %(organization)s)
    UNION
    SELECT s.id FROM waitlist_waitlistentry e
    JOIN bookings_resource r ON r.id = e.resource_id
    JOIN bookings_slot s ON s.resource_id = e.resource_id AND s.starts_at >= e.from_at
         AND s.starts_at < e.until_at AND s.ends_at <= e.until_at
    WHERE e.slot_id IS NULL AND e.status = 'waiting' AND s.status = 'open' AND s.source <> 'free'
      AND s.starts_at > %(soon)s
      AND s.starts_at >= %(soon)s + make_interval(mins => r.notice_minutes)
      AND s.starts_at <= %(soon)s + make_interval(hours => 24 * r.horizon_days)
      AND s.taken_bookings < s.max_bookings
      AND s.taken_units + e.units <= s.max_units AND NOT s.id = ANY(%(skip)s)
      AND (%(resources)s::uuid[] IS NULL OR e.resource_id = ANY(%(resources)s))
      AND (%(organization)s::uuid IS NULL OR e.organization_id = %(organization)s)
    LIMIT %(limit)s
"""


def unserved_slots(
    *,
    now: datetime,
    limit: int,
    skip: Collection[uuid.UUID] = (),
    resources: Collection[uuid.UUID] | None = None,
    organization: uuid.UUID | None = None,
) -> list[uuid.UUID]:
    """Slots with room that somebody waits for: what a sweep serves.

    Args:
        resources: only slots of these; None for all.
        organization: only slots of this one; None for all.
    """
    only = None if resources is None else list(resources)
    with connection.cursor() as cursor:
        cursor.execute(
            _UNSERVED,
            {
                "soon": now,
                "limit": limit,
                "skip": list(skip),
                "resources": only,
                "organization": organization,
            },
        )
        return [row[0] for row in cursor.fetchall()]


# Entries for what is over, or so near that nothing is offered any more, or not offered any more.
_OVERDUE = """
    SELECT e.id, e.slot_id FROM waitlist_waitlistentry e
    LEFT JOIN bookings_slot s ON s.id = e.slot_id
    LEFT JOIN waitlist_waitlistpolicy p ON p.organization_id = e.organization_id
    WHERE e.status = 'waiting' AND NOT e.id = ANY(%(skip)s) AND (
        s.status = 'legacy'
        OR COALESCE(s.starts_at, e.until_at)
           < %(answered)s + make_interval(mins => COALESCE(p.offer_until_minutes, %(minutes)s))
    )
    ORDER BY e.id LIMIT %(limit)s
"""


def overdue_entries(
    *, now: datetime, limit: int, skip: Collection[uuid.UUID] = ()
) -> list[tuple[uuid.UUID, uuid.UUID | None]]:
    """Entries that nothing can be offered to any more, with their slots."""
    minutes = WaitlistPolicy._meta.get_field("offer_until_minutes").get_default()
    with connection.cursor() as cursor:
        cursor.execute(
            _OVERDUE,
            {
                "answered": now + SHORTEST_OFFER,
                "limit": limit,
                "skip": list(skip),
                "minutes": minutes,
            },
        )
        return [(row[0], row[1]) for row in cursor.fetchall()]


_MISCOUNTED = f"""
    SELECT r.id FROM bookings_resource r
    LEFT JOIN (
        SELECT resource_id, count(*) AS entries FROM waitlist_waitlistentry
        WHERE slot_id IS NULL AND status IN ({GOING_ON_SQL})
        GROUP BY resource_id
    ) e ON e.resource_id = r.id
    WHERE r.line <> COALESCE(e.entries, 0)
    ORDER BY r.id
"""  # noqa: S608  our own statuses


def miscounted_lines() -> list[uuid.UUID]:
    """Resources that count more or fewer people in line for any time than there are."""
    with connection.cursor() as cursor:
        cursor.execute(_MISCOUNTED)
        return [row[0] for row in cursor.fetchall()]


_FIELDS = Waiting._fields


def line_for(slots: Sequence[Slot]) -> list[Waiting]:
    """Everybody who waits for one of these slots, in the order of the line; one statement."""
    if not slots:
        return []
    first, last = min(s.starts_at for s in slots), max(s.ends_at for s in slots)
    rows = (
        WaitlistEntry.objects.filter(
            Q(slot__in=[s.pk for s in slots])
            | Q(
                slot__isnull=True,
                resource__in={s.resource_id for s in slots},
                from_at__lt=last,
                until_at__gt=first,
            ),
            status=EntryStatus.WAITING,
        )
        .order_by("placed_at", "pk")
        .values_list(*_FIELDS)
    )
    return [Waiting(*row) for row in rows]


def still_waiting(ids: Iterable[uuid.UUID]) -> set[uuid.UUID]:
    """Those of these entries that wait."""
    rows = WaitlistEntry.objects.filter(pk__in=set(ids), status=EntryStatus.WAITING).order_by()
    return set(rows.values_list("pk", flat=True))


def holding(slot_ids: Iterable[uuid.UUID]) -> set[tuple[uuid.UUID, uuid.UUID]]:
    """Who was offered seats in these slots and has not got them for good: customer and slot."""
    rows = Offer.objects.filter(
        booking__slot__in=set(slot_ids),
        status__in=[OfferStatus.OPEN, OfferStatus.ACCEPTED],
        entry__status__in=[EntryStatus.OFFERED, EntryStatus.ACCEPTED],
    )
    return set(rows.order_by().values_list("booking__customer_id", "booking__slot_id"))


def same_line(entry: WaitlistEntry, *, now: datetime) -> QuerySet[WaitlistEntry]:
    """Everybody in line for something that this one waits for as well, in the order of the line:
    those whom ``load_positions`` counts, and those whom something is offered; it is one of them.

    Who waits for any time waits for what customers may book now: not for what is over, nor for
    what starts too soon or too far ahead.
    """
    if entry.slot is not None:
        entry.slot.resource = entry.resource
        return line_of(entry.slot, now=now)
    assert entry.from_at is not None
    assert entry.until_at is not None
    resource = entry.resource
    same = Q(
        slot__starts_at__gte=max(entry.from_at, now + resource.notice),
        slot__starts_at__lte=now + resource.horizon,
        slot__ends_at__lte=entry.until_at,
    ) | Q(slot__isnull=True, from_at__lt=entry.until_at, until_at__gt=max(entry.from_at, now))
    # It is one of them even if its time is over and no sweep has looked yet.
    return _going_on(same | Q(pk=entry.pk), resource.pk)


def line_of(slot: Slot, *, now: datetime) -> QuerySet[WaitlistEntry]:
    """Everybody in line for a slot, in order; also who waits for any time that it lies in, as
    long as customers may book it."""
    same = Q(slot=slot)
    if rules.may_be_booked(slot, now=now):
        same |= Q(slot__isnull=True, from_at__lte=slot.starts_at, until_at__gte=slot.ends_at)
    return _going_on(same, slot.resource_id)


def own_rivals(entries: Sequence[WaitlistEntry], user_id: uuid.UUID) -> list[WaitlistEntry]:
    """Where a person is in line for what these wait for as well; one statement. Slots are loaded."""
    mine = list(
        WaitlistEntry.objects.filter(
            customer__user=user_id,
            resource__in={e.resource_id for e in entries},
            status__in=IN_LINE,
        )
        .select_related("slot")
        .order_by()
    )
    slots = {e.slot.pk: e.slot for e in [*entries, *mine] if e.slot is not None}
    return [m for m in mine if any(planning.rivals(m, e, slots=slots) for e in entries)]


def _going_on(same: Q, resource_id: uuid.UUID) -> QuerySet[WaitlistEntry]:
    return WaitlistEntry.objects.filter(same, resource=resource_id, status__in=GOING_ON).order_by(
        "placed_at", "pk"
    )


def slots_with_room(entry: WaitlistEntry, *, now: datetime) -> QuerySet[Slot]:
    """Slots to come that this one waits for and that have room for all of them, by the counters;
    the earliest first, with their resources."""
    slots = Slot.objects.filter(
        resource=entry.resource_id,
        status=SlotStatus.OPEN,
        starts_at__gt=now,
        taken_bookings__lt=F("max_bookings"),
        taken_units__lte=F("max_units") - entry.units,
    )
    if entry.slot_id is not None:
        slots = slots.filter(pk=entry.slot_id)
    else:
        slots = slots.filter(starts_at__gte=entry.from_at, ends_at__lte=entry.until_at)
    return (
        slots.exclude(source=Slot.Source.FREE)
        .select_related("resource")
        .order_by("starts_at", "pk")
    )


def entries(viewer: Viewer) -> QuerySet[WaitlistEntry]:
    """The entries a person may see: staff the organisation's (providers their own resources'),
    customers their own."""
    found = WaitlistEntry.objects.filter(organization=viewer.organization)
    return with_parts(found.filter(visible(viewer)))


def with_parts(found: QuerySet[WaitlistEntry]) -> QuerySet[WaitlistEntry]:
    """Entries with what is shown of them; one statement more, for their offers."""
    offers = Offer.objects.filter(
        status__in=[OfferStatus.OPEN, OfferStatus.ACCEPTED]
    ).select_related("booking__slot__resource")
    return found.select_related("customer", "resource", "slot__resource").prefetch_related(
        Prefetch("offers", queryset=offers.order_by("made_at"), to_attr="going_on")
    )


def visible(viewer: Viewer) -> Q:
    """The condition that keeps a person to what is theirs."""
    mine = Q(customer=viewer.customer) if viewer.customer else Q(pk__in=[])
    if viewer.role == Role.PROVIDER:
        return mine | Q(resource__provider=viewer.user)
    return Q() if viewer.is_staff else mine


def open_offer(entry: WaitlistEntry) -> Offer | None:
    """The offer that an entry has not answered, with booking and slot; None if there is none."""
    for offer in offers_of(entry):
        if offer.status == OfferStatus.OPEN:
            return offer
    return None


def offers_of(entry: WaitlistEntry) -> list[Offer]:
    """The open and accepted offers of an entry, oldest first."""
    known: list[Offer] | None = getattr(entry, "going_on", None)
    if known is None:
        known = list(
            Offer.objects.filter(entry=entry, status__in=[OfferStatus.OPEN, OfferStatus.ACCEPTED])
            .select_related("booking__slot__resource")
            .order_by("made_at")
        )
    return known


# Who would be offered seats before: everybody who waits, came earlier, and waits for something
# that this one waits for as well. Any time means what customers may book now.
_POSITIONS = """
    SELECT e.id, 1 + CASE WHEN e.slot_id IS NOT NULL THEN (
        SELECT count(*) FROM waitlist_waitlistentry o
        WHERE o.slot_id = e.slot_id AND o.status = 'waiting'
          AND (o.placed_at, o.id) < (e.placed_at, e.id)
    ) + (
        SELECT count(*) FROM waitlist_waitlistentry o
        WHERE o.slot_id IS NULL AND o.resource_id = e.resource_id AND o.status = 'waiting'
          AND o.from_at <= es.starts_at AND es.ends_at <= o.until_at
          AND es.starts_at BETWEEN l.first AND l.last
          AND (o.placed_at, o.id) < (e.placed_at, e.id)
    ) ELSE (
        SELECT count(*) FROM bookings_slot s
        JOIN waitlist_waitlistentry o ON o.slot_id = s.id AND o.status = 'waiting'
        WHERE s.resource_id = e.resource_id AND s.line_units IS NOT NULL
          AND s.starts_at >= GREATEST(e.from_at, l.first) AND s.starts_at <= l.last
          AND s.starts_at < e.until_at AND s.ends_at <= e.until_at
          AND (o.placed_at, o.id) < (e.placed_at, e.id)
    ) + (
        SELECT count(*) FROM waitlist_waitlistentry o
        WHERE o.slot_id IS NULL AND o.resource_id = e.resource_id AND o.status = 'waiting'
          AND o.from_at < e.until_at AND GREATEST(e.from_at, %(now)s) < o.until_at
          AND (o.placed_at, o.id) < (e.placed_at, e.id)
    ) END
    FROM waitlist_waitlistentry e LEFT JOIN bookings_slot es ON es.id = e.slot_id
    JOIN bookings_resource r ON r.id = e.resource_id
    CROSS JOIN LATERAL (
        SELECT %(now)s + make_interval(mins => r.notice_minutes) AS first,
               %(now)s + make_interval(hours => 24 * r.horizon_days) AS last
    ) l
    WHERE e.id = ANY(%(entries)s)
"""


def load_positions(rows: Sequence[WaitlistEntry], *, now: datetime) -> None:
    """Set ``position`` on entries that wait, counted from 1; one statement for any number.

    Somebody further back may be offered seats earlier, if these are too few for those before.
    """
    waiting = [e for e in rows if e.status == EntryStatus.WAITING]
    if not waiting:
        return
    with connection.cursor() as cursor:
        cursor.execute(_POSITIONS, {"entries": [e.pk for e in waiting], "now": now})
        found = dict(cursor.fetchall())
    for entry in waiting:
        entry.position = found[entry.pk]
