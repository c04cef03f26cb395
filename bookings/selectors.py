"""Reads, scoped to an organisation."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from typing import Any, TypeVar

from django.contrib.postgres.fields import DateTimeRangeField
from django.db import connection
from django.db.models import (
    Count,
    DateField,
    DateTimeField,
    DurationField,
    Exists,
    F,
    FilteredRelation,
    Func,
    Min,
    Model,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Sum,
    Value,
)
from django.db.models.expressions import RawSQL
from django.db.models.functions import Coalesce

from audit.context import Actor
from audit.errors import NotFound
from audit.sql import prepared_cursor
from bookings import selectors_closures
from bookings.lifecycle import LIVE, BookingStatus, ProposalStatus, SlotStatus
from bookings.locks import number_range
from bookings.models import (
    Booking,
    Customer,
    Occupancy,
    Organization,
    Proposal,
    Resource,
    Role,
    Slot,
    User,
)
from bookings.permissions import role_may
from bookings.selectors_closures import IS_CLOSED, IS_PART_CLOSED

T = TypeVar("T")


@dataclass(slots=True)
class Viewer:
    """A signed-in person in one organisation: a customer, staff, both, or a stranger yet."""

    user: User
    organization: Organization
    customer: Customer | None
    role: str | None

    @property
    def is_staff(self) -> bool:
        return self.role is not None or self.user.is_superuser

    def may(self, permission: str) -> bool:
        """Whether this person may do ``permission`` ("app.action_model") here."""
        return self.user.is_superuser or role_may(self.role, permission)

    @property
    def actor(self) -> Actor:
        """Who this is in the trail."""
        return Actor("staff" if self.is_staff else "customer", self.user.pk, str(self.user))

    @property
    def as_customer(self) -> Actor:
        """Who this is where only being the owner lets them act, whatever else they are."""
        return Actor("customer", self.user.pk, str(self.user))


def viewer(user: User, slug: str) -> Viewer | None:
    """What a person is in the organisation with this slug; None if there is no such active one."""
    return user_and_viewer(user.pk, slug)[1]


def user_and_viewer(
    user_id: uuid.UUID | str, slug: str | None
) -> tuple[User | None, Viewer | None]:
    """An active person, and what they are in an active organisation, in one statement.

    Args:
        user_id: the key as a session holds it.
        slug: the organisation's, or None for the person alone.
    """
    with prepared_cursor() as cursor:
        cursor.execute(_viewer_sql(), [slug, user_id])
        row = cursor.fetchone()
    if row is None:
        return None, None
    (user, organization, customer), role = _models_of(row[:-1]), row[-1]
    if organization is None:
        return user, None
    if customer is not None:
        customer.organization = organization  # what its rules ask costs no statement
    return user, Viewer(user, organization, customer, role)


_VIEWER_MODELS: tuple[type[Model], ...] = (User, Organization, Customer)


@cache
def _viewer_sql() -> str:
    columns = ", ".join(
        f'{alias}."{field.column}"'
        for alias, model in zip("uoc", _VIEWER_MODELS, strict=True)
        for field in model._meta.concrete_fields
    )
    return f"""
        SELECT {columns}, m.role
        FROM bookings_user u
        LEFT JOIN bookings_organization o ON o.slug = %s AND o.is_active
        LEFT JOIN bookings_customer c ON c.organization_id = o.id AND c.user_id = u.id
        LEFT JOIN bookings_membership m ON m.organization_id = o.id AND m.user_id = u.id
        WHERE u.id = %s AND u.is_active
    """  # noqa: S608  names come from models


def _models_of(row: Sequence[Any]) -> list[Any]:
    """The instances in a row of ``_VIEWER_MODELS``' columns; None where nothing was joined."""
    found: list[Any] = []
    start = 0
    for model in _VIEWER_MODELS:
        fields = model._meta.concrete_fields
        values = row[start : start + len(fields)]
        start += len(fields)
        there = values[0] is not None  # the primary key is every model's first column
        found.append(
            model.from_db(connection.alias, [f.attname for f in fields], values) if there else None
        )
    return found


@dataclass(frozen=True, slots=True)
class KnownOrganization:
    """An organisation in which somebody is a customer, staff, or both."""

    slug: str
    name: str
    role: str | None
    customer_id: uuid.UUID | None


def known_organizations(user: User) -> list[KnownOrganization]:
    """The active organisations in which a person is a customer or works, by name."""
    rows = (
        Organization.objects.filter(is_active=True)
        .alias(
            me=FilteredRelation("customers", condition=Q(customers__user=user)),
            work=FilteredRelation("memberships", condition=Q(memberships__user=user)),
        )
        .filter(Q(me__isnull=False) | Q(work__isnull=False))
        .order_by("name", "pk")
        .values_list("slug", "name", "work__role", "me__pk")
    )
    return [KnownOrganization(*row) for row in rows]


def resources(
    organization_id: uuid.UUID, *, kind: str = "", search: str = ""
) -> QuerySet[Resource]:
    """What an organisation offers, of one kind and with some text in name or description."""
    found = Resource.objects.filter(organization_id=organization_id, is_active=True)
    if kind:
        found = found.filter(kind=kind)
    if search:
        found = found.filter(Q(name__icontains=search) | Q(description__icontains=search))
    return found


def bookable_slots(organization_id: uuid.UUID, *, now: datetime) -> QuerySet[Slot]:
    """Slots that new customers may see: open, not over, of active resources.

    Those that were made with a booking of a free time are not offered by themselves.
    """
    return Slot.objects.filter(
        organization_id=organization_id,
        status=SlotStatus.OPEN,
        source__in=[Slot.Source.SCHEDULE, Slot.Source.HAND],
        starts_at__gt=now,
        resource__is_active=True,
    ).select_related("resource")


def in_time(slots: QuerySet[Slot], *, now: datetime) -> QuerySet[Slot]:
    """Of these slots, those that are neither too soon nor too far ahead for customers.

    The same rule as ``rules.may_be_booked``, for the database.
    """
    moment = Value(now, output_field=DateTimeField())
    return slots.filter(
        starts_at__gte=moment + _interval("mins => %(expressions)s", "notice_minutes"),
        starts_at__lte=moment + _interval("hours => 24 * %(expressions)s", "horizon_days"),
    )


def _interval(template: str, name: str) -> Func:
    return Func(
        F(f"resource__{name}"),
        template=f"make_interval({template})",
        output_field=DurationField(),
    )


@dataclass(frozen=True, slots=True)
class Availability:
    """What is left in a slot, counting holds past their deadline as free."""

    bookings: int
    units: int


def availability(
    slots: Sequence[Slot], *, with_room: bool = False, now: datetime
) -> dict[uuid.UUID, Availability]:
    """What is left in each slot; two statements for any number of slots, three where some take
    more than their resource.

    A slot has nothing left while another slot with people takes its exclusive resource, a part
    of it, its provider, or all of a pool it needs one of, at its time; or while these are closed
    or not active.

    Args:
        with_room: they were found by :func:`with_room` just now, so that nothing is in their way;
            one statement then.
    """
    overdue = {
        slot_id: (count, units)
        for slot_id, count, units in Booking.objects.filter(
            slot__in=[s.pk for s in slots], status=BookingStatus.HELD, held_until__lte=now
        )
        .order_by()
        .values_list("slot_id")
        .annotate(Count("pk"), Sum("units"))
    }
    exclusive = [] if with_room else [s for s in slots if s.takes_exclusively]
    blocked = _blocked(exclusive, now=now)
    found = {}
    for slot in slots:
        # What ran out is the line's, where somebody waits.
        late_bookings, late_units = (0, 0) if slot.has_line else overdue.get(slot.pk, (0, 0))
        bookings = slot.max_bookings - slot.taken_bookings + late_bookings
        units = slot.max_units - slot.taken_units + late_units
        if bookings <= 0 or slot.pk in blocked:
            bookings = units = 0
        found[slot.pk] = Availability(bookings, units)
    return found


def with_room(
    slots: QuerySet[Slot], units: int, *, organization_id: uuid.UUID, now: datetime
) -> QuerySet[Slot]:
    """Of these slots of an organisation, those that have room for one more booking of ``units``
    people. It costs one statement to ask.

    The same rule as :func:`availability`, for the database, so that pages stay full.
    """
    closures = selectors_closures.of_organizations([organization_id], now)
    late = (
        Booking.objects.filter(slot=OuterRef("pk"), status=BookingStatus.HELD, held_until__lte=now)
        .order_by()
        .values("slot")
    )
    has_room = Q(taken_bookings__lt=F("max_bookings"), taken_units__lte=F("max_units") - units)
    # What ran out is counted where it matters: in a slot that would be full, for whose seats
    # nobody waits in line.
    will_have_room = Q(
        line_units__isnull=True,
        resource__line=0,
        taken_bookings__lt=F("max_bookings") + F("late_bookings"),
        taken_units__lte=F("max_units") + F("late_units") - units,
    )
    rivals = (
        Occupancy.objects.alias(key=number_range(F("resource_number")))
        .filter(
            Exists(
                Booking.objects.filter(
                    Q(status__in=[s for s in LIVE if s != BookingStatus.HELD])
                    | Q(status=BookingStatus.HELD, held_until__gt=now),
                    slot=OuterRef("slot"),
                )
            ),
            key=number_range(OuterRef("resource__number")),
            period__overlap=Func(
                OuterRef("busy_from"),
                OuterRef("busy_until"),
                Value("[)"),
                function="tstzrange",
                output_field=DateTimeRangeField(),
            ),
        )
        .exclude(slot=OuterRef("pk"))
    )
    return slots.alias(
        late_bookings=Coalesce(Subquery(late.annotate(n=Count("pk")).values("n")), 0),
        late_units=Coalesce(Subquery(late.annotate(n=Sum("units")).values("n")), 0),
        others_are_taken=RawSQL(  # noqa: S611  constant text
            _OTHERS_ARE_TAKEN, _others_params(closures, now=now)
        ),
    ).filter(
        has_room | will_have_room,
        Q(exclusive=False) | ~Exists(rivals),
        others_are_taken=False,
    )


@dataclass(frozen=True, slots=True)
class DayOfSlots:
    """How many slots that customers may book start on a day of a resource's time zone, and how many
    have room."""

    resource_id: uuid.UUID
    date: date
    slots: int
    available: int
    first_available: datetime | None


def availability_by_day(
    organization_id: uuid.UUID,
    resource_ids: Collection[uuid.UUID],
    since: datetime,
    until: datetime,
    *,
    units: int,
    now: datetime,
) -> list[DayOfSlots]:
    """What is left on each day, by resource and day; two statements whatever their number.

    Args:
        units: how many people a slot must have room for.
    """
    local = Func(
        F("resource__time_zone"),
        F("starts_at"),
        template="(timezone(%(expressions)s))::date",
        output_field=DateField(),
    )
    every = (
        in_time(bookable_slots(organization_id, now=now), now=now)
        .select_related(None)
        .filter(resource__in=resource_ids, starts_at__gte=since, starts_at__lt=until)
        .order_by()
    )
    roomy = with_room(every, units, organization_id=organization_id, now=now)

    def by_day(slots: QuerySet[Slot], *, free: bool) -> Any:
        return slots.values("resource_id", date=local).annotate(
            slots=Count("pk"), first=Min("starts_at"), free=Value(free)
        )

    rows = list(by_day(every, free=False).union(by_day(roomy, free=True), all=True))
    left = {(row["resource_id"], row["date"]): row for row in rows if row["free"]}
    found = []
    for row in rows:
        if row["free"]:
            continue
        free = left.get((row["resource_id"], row["date"]))
        found.append(
            DayOfSlots(
                row["resource_id"],
                row["date"],
                row["slots"],
                free["slots"] if free else 0,
                free["first"] if free else None,
            )
        )
    return sorted(found, key=lambda day: (day.resource_id, day.date))


# Whether an occupancy ``o`` has people in it who are not overdue holds.
IS_LIVE = """EXISTS (
    SELECT 1 FROM bookings_booking b WHERE b.slot_id = o.slot_id
    AND (b.status IN ('pending', 'confirmed', 'reschedule_proposed', 'checked_in')
         OR (b.status = 'held' AND b.held_until > %s))
)"""

# Whether somebody else takes the number ``{n}`` at the time of the slot ``{s}``.
_IS_TAKEN = f"""EXISTS (
    SELECT 1 FROM bookings_occupancy o
    WHERE int8range(o.resource_number, o.resource_number, '[]') = int8range({{n}}, {{n}}, '[]')
      AND o.period && tstzrange({{s}}.busy_from, {{s}}.busy_until, '[)')
      AND o.slot_id <> {{s}}.id AND {IS_LIVE}
)"""  # noqa: S608  constant text

# Whether a part or the provider of the slot ``{s}`` is taken or a part closed, or nothing is left of
# a pool it needs one of, or what its people have out of one is closed. Where pools share members
# this may be too hopeful: who books is told.
_OTHERS = f"""CASE WHEN {{s}}.parts = '{{{{}}}}' AND {{s}}.pools = '{{{{}}}}' THEN FALSE ELSE
    EXISTS (
        SELECT 1 FROM unnest({{s}}.parts) AS part (number) WHERE {_IS_TAKEN} OR {IS_PART_CLOSED}
    )
    OR {{s}}.taken_bookings = 0 AND EXISTS (
        SELECT 1 FROM unnest({{s}}.pools) AS needed (pool_id) WHERE NOT EXISTS (
            SELECT 1 FROM bookings_poolmember m JOIN bookings_resource r ON r.id = m.resource_id
            WHERE m.pool_id = needed.pool_id AND r.is_active
              AND NOT {_IS_TAKEN.replace("{n}", "r.number")}
              AND NOT {IS_CLOSED.replace("{n}", "r.number")}
              AND (r.parts = '{{{{}}}}' OR NOT EXISTS (
                  SELECT 1 FROM unnest(r.parts) AS person (number)
                  WHERE {_IS_TAKEN.replace("{n}", "person.number")}
              ))
        )
    )
    OR {{s}}.taken_bookings > 0 AND EXISTS (
        SELECT 1 FROM unnest({{s}}.picked) AS picked (number)
        WHERE {IS_CLOSED.replace("{n}", "picked.number")}
    )
END""".replace("{n}", "part.number")  # noqa: S608  constant text


def _others_params(closures: selectors_closures.Closures, *, now: datetime) -> list[Any]:
    columns = closures.columns()
    return [now, *columns, now, *columns, now, *columns]


_OTHERS_ARE_TAKEN = _OTHERS.format(s="bookings_slot")

# Asked slot by slot: nothing is known of how the expressions of the index are spread, and a join
# was seen to read every occupancy there is for each slot. OFFSET 0 keeps it from becoming one.
_BLOCKED = f"""
    SELECT s.id FROM bookings_slot s JOIN bookings_resource r ON r.id = s.resource_id
    WHERE s.id = ANY(%s) AND s.exclusive AND EXISTS (
        SELECT 1 FROM bookings_occupancy o
        WHERE int8range(o.resource_number, o.resource_number, '[]')
              = int8range(r.number, r.number, '[]')
          AND o.period && tstzrange(s.busy_from, s.busy_until, '[)')
          AND o.slot_id <> s.id AND {IS_LIVE}
        OFFSET 0
    )
"""  # noqa: S608  constant text

_BLOCKED_WITH_OTHERS = (
    _BLOCKED  # noqa: S608  constant text
    + f" UNION SELECT s.id FROM bookings_slot s WHERE s.id = ANY(%s) AND {_OTHERS.format(s='s')}"  # noqa: S608  constant text
)


def _blocked(slots: Sequence[Slot], *, now: datetime) -> set[uuid.UUID]:
    if not slots:
        return set()
    sql = _BLOCKED
    params: list[Any] = [[s.pk for s in slots], now]
    others = [s.pk for s in slots if s.parts or s.pools]
    if others:
        closures = selectors_closures.of_slots(slots)
        sql = _BLOCKED_WITH_OTHERS
        params += [others, *_others_params(closures, now=now)]
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return {row[0] for row in cursor.fetchall()}


def bookings(viewer: Viewer) -> QuerySet[Booking]:
    """The bookings a person may see: staff the organisation's (providers their own
    resources'), customers their own."""
    found = Booking.objects.filter(
        organization=viewer.organization, stands_for__isnull=True
    ).select_related("slot__resource", "customer", "check_in_code")
    return found.filter(visible(viewer))


def slot_of(organization_id: uuid.UUID, slot_id: uuid.UUID) -> Slot:
    """A slot of an organisation with its resource.

    Raises:
        NotFound: there is none.
    """
    found = Slot.objects.select_related("resource").filter(pk=slot_id, organization=organization_id)
    return _the(found.first(), "slot")


def booking_of(organization_id: uuid.UUID, booking_id: uuid.UUID) -> Booking:
    """A booking of an organisation with slot, resource and customer.

    Raises:
        NotFound: there is none.
    """
    found = Booking.objects.select_related("slot__resource", "customer").filter(
        pk=booking_id, organization=organization_id, stands_for__isnull=True
    )
    return _the(found.first(), "booking")


def _the(found: T | None, noun: str) -> T:
    if found is None:
        raise NotFound(f"There is no such {noun}.")
    return found


def open_proposal(booking: Booking) -> Proposal | None:
    """The time that is proposed for a booking and not answered yet."""
    return (
        Proposal.objects.filter(booking=booking, status=ProposalStatus.OPEN)
        .select_related("stand_in__slot__resource")
        .first()
    )


def load_proposals(bookings: Iterable[Booking]) -> None:
    """Set ``open_proposal`` on those for which another time is proposed; at most one statement."""
    waiting = [b for b in bookings if b.status == BookingStatus.RESCHEDULE_PROPOSED]
    if not waiting:
        return
    found = Proposal.objects.filter(
        booking__in=[b.pk for b in waiting], status=ProposalStatus.OPEN
    ).select_related("stand_in__slot__resource")
    by_booking = {proposal.booking_id: proposal for proposal in found}
    for booking in waiting:
        booking.open_proposal = by_booking.get(booking.pk)


def visible(viewer: Viewer, prefix: str = "") -> Q:
    """The condition that keeps a person to what is theirs; ``prefix`` leads to the booking."""
    if viewer.role == Role.PROVIDER:
        mine = Q(**{f"{prefix}slot__resource__provider": viewer.user})
    elif viewer.is_staff:
        return Q()
    else:
        mine = Q(pk__in=[])
    if viewer.customer is not None:
        mine |= Q(**{f"{prefix}customer": viewer.customer})
    return mine


def organizations_by_id(ids: Iterable[uuid.UUID] | None) -> QuerySet[Organization]:
    """Organisations a staff member works in; None means every one."""
    found = Organization.objects.all()
    return found if ids is None else found.filter(pk__in=set(ids))
