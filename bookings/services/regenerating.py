"""Slots follow the rules of their resources: what would change, and doing it (B2).

Whoever changes rules holds the planning locks of the resources, so that two changes come one
after the other. The locks on slots are taken all at once, in their order, when it is known which
slots change.
"""

from __future__ import annotations

import uuid
import zoneinfo
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import partial
from operator import itemgetter

from django.db import transaction
from django.db.models import Q
from django.utils.timezone import localtime

from audit.context import Actor, audited
from audit.errors import Invalid
from audit.languages import our_reason
from audit.observability.operations import operation
from bookings import locks, planning, selectors_schedules, signals, slot_rows, transitions
from bookings.errors import PlanChanged
from bookings.lifecycle import LIVE, BookingStatus
from bookings.models import Booking, Resource, Slot
from bookings.regeneration import Plan, There, compare, fingerprint
from bookings.selectors_schedules import Rules

REGENERATE = "slots.regenerate"
MOST_VERSIONS = 20  # the newest are those that count
MOST_SLOTS = 100_000  # of one resource within its horizon: a slot each ten minutes for two years
_FOREVER = 1 << 62


@dataclass
class Preview:
    """What a change would do, before it is done.

    Attributes:
        plans: for each resource.
        affected: the live bookings in slots that would become legacy.
        seen: hand it to the service that does it, which then refuses to do anything else.
    """

    plans: list[Plan]
    affected: list[Booking] = field(default_factory=list)
    seen: str = ""

    def counts(self) -> dict[str, int]:
        """How many slots each thing happens to, all resources together."""
        total: dict[str, int] = {}
        for plan in self.plans:
            for name, count in plan.counts().items():
                total[name] = total.get(name, 0) + count
        return total | {"bookings": len(self.affected)}


@dataclass
class Applied(Preview):
    """What was done."""

    cancelled: list[Booking] = field(default_factory=list)
    moved: list[Booking] = field(default_factory=list)
    stayed: list[Booking] = field(default_factory=list)


def preview(*, resources: Sequence[Resource], now: datetime) -> Preview:
    """What regenerating these resources of one organisation would do."""
    return preview_of(resources, rules_of(resources, now=now), now=now)


def regenerate(*, resource_id: uuid.UUID, actor: Actor, now: datetime) -> Applied:
    """Let the slots of one resource follow its rules up to its horizon.

    Idempotent, and safe to run twice and beside bookings.
    """
    with (
        operation(REGENERATE, actor=actor, resource=str(resource_id)) as op,
        transaction.atomic(),
        audited(actor, reason="schedule"),
    ):
        locks.planning([resource_id])
        done = apply([Resource.objects.get(pk=resource_id)], now=now)
        op.rows = changed_rows(done)
        op.note(**done.counts())
    return done


def rules_of(
    resources: Sequence[Resource], *, without: Collection[uuid.UUID] = (), now: datetime
) -> dict[uuid.UUID, Rules]:
    return selectors_schedules.rules_of(resources, since=now.date(), without=without)


def _plans(
    resources: Sequence[Resource], rules: dict[uuid.UUID, Rules], *, now: datetime
) -> list[Plan]:
    start = int(now.timestamp()) + 1
    ends = {r.pk: end_of_horizon(r, now=now) for r in resources}
    existing = slot_rows.read(ends, start=start)
    plans = []
    for resource in resources:
        of, end = rules[resource.pk], ends[resource.pk]
        within = [there for there in existing[resource.pk] if there.starts_at < end]
        beyond = existing[resource.pk][len(within) :]
        last = max([end, *(there.ends_at for there in beyond)])
        planned: list[planning.Planned] = []
        hours: list[tuple[int, int]] = []
        if resource.mode == Resource.Mode.SLOTS:
            _check_size(resource, of)
            planned = planning.plan(of.versions, of.closures, of.extras, start=start, end=end)
            if resource.exclusive:  # whatever the rules said before it was
                planned = [p._replace(max_bookings=1) if p.max_bookings > 1 else p for p in planned]
        else:
            hours = _joined(
                planning.windows(of.versions, of.closures, of.extras, start=start, end=end)
            )
        plans.append(
            compare(
                resource,
                planned,
                within,
                beyond=beyond,
                is_open=partial(_lies_in, hours),
                is_closed=partial(_is_closed, closed_by(resource, of, start=start, end=last)),
            )
        )
    return plans


def _check_size(resource: Resource, rules: Rules) -> None:
    """Raise Invalid if there could be far too many slots to plan them all.

    Estimated from above: the rules of every version, on every day of the horizon they count on.
    """
    for version in rules.versions[-MOST_VERSIONS:]:
        a_week = sum(
            planning.minutes(hours)
            // (hours.slot_minutes + hours.gap_minutes)
            * len(hours.weekdays or range(7))
            for hours in version.hours
        )
        count = a_week * (resource.horizon_days + 7) // 7
        if count > MOST_SLOTS:
            raise Invalid(
                f"{resource.name} would have about {count} slots; {MOST_SLOTS} is the most."
                " Make slots longer or the horizon shorter."
            )


def _joined(windows: Iterable[planning.Window]) -> list[tuple[int, int]]:
    """Opening periods, in order, those that adjoin or overlap as one."""
    found: list[tuple[int, int]] = []
    for window in windows:
        if found and window.opens_at <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], window.closes_at)
        else:
            found.append((window.opens_at, window.closes_at))
    return found


Closed = list[tuple[list[tuple[int, int]], int | None]]
"""For each closure the periods it closes, and when it was made; None: it is being made."""


def closed_by(resource: Resource, rules: Rules, *, start: int, end: int) -> Closed:
    """What closures close of a resource, extra hours cut out; days are those of its clock."""
    versions = rules.versions or (
        planning.Version(number=0, valid_from=date.min, time_zone=resource.time_zone, hours=()),
    )
    periods = planning.closed(versions, rules.closures, rules.extras, start=start, end=end)
    return [
        (found, closure.made_at)
        for found, closure in zip(periods, rules.closures, strict=True)
        if found
    ]


def overlaps(periods: Sequence[tuple[int, int]], there: There) -> bool:
    """Whether a slot lies in one of these periods, wholly or in part."""
    at = bisect_right(periods, there.starts_at, key=itemgetter(1))
    return at < len(periods) and periods[at][0] < there.ends_at


def _is_closed(closed: Closed, there: There) -> bool:
    """Made or opened by hand on a day that was closed already, a slot is meant to be open.

    Only a closure that was made after that closes it.
    """
    return any(
        (made_at is None or made_at > there.meant_at) and overlaps(periods, there)
        for periods, made_at in closed
    )


def _lies_in(hours: Sequence[tuple[int, int]], there: There) -> bool:
    at = bisect_right(hours, (there.starts_at, _FOREVER)) - 1
    return at >= 0 and there.ends_at <= hours[at][1]


def end_of_horizon(resource: Resource, *, now: datetime) -> int:
    """The end of the last day of the horizon."""
    zone = zoneinfo.ZoneInfo(resource.time_zone)
    day = localtime(now, zone).date() + timedelta(days=resource.horizon_days + 1)
    return planning.instant(zone, day, time(0))


Who = Callable[[Sequence[Plan]], list[uuid.UUID]]
"""The slots whose people a change concerns."""


def losing(plans: Sequence[Plan]) -> list[uuid.UUID]:
    """The slots whose people keep what is offered to nobody new."""
    return [t.id for p in plans for t in (*p.retire, *p.shut) if t.taken_bookings]


def preview_of(
    resources: Sequence[Resource],
    rules: dict[uuid.UUID, Rules],
    *,
    who: Who = losing,
    now: datetime,
) -> Preview:
    """What these rules would do to the slots of resources."""
    plans = _plans(resources, rules, now=now)
    affected = people_in(who(plans))
    return Preview(plans, affected, fingerprint(plans, [b.pk for b in affected]))


def people_in(slot_ids: Collection[uuid.UUID]) -> list[Booking]:
    """The live bookings in slots, in the order of time, without what stands in for others."""
    if not slot_ids:
        return []
    return list(
        Booking.objects.filter(slot__in=slot_ids, status__in=LIVE, stands_for__isnull=True)
        .select_related("slot__resource", "customer")
        .order_by("slot__starts_at", "pk")
    )


def apply(
    resources: Sequence[Resource],
    *,
    rules: dict[uuid.UUID, Rules] | None = None,
    seen: str | None = None,
    who: Who = losing,
    more: Callable[[Sequence[Booking]], Iterable[uuid.UUID]] | None = None,
    now: datetime,
) -> Applied:
    """Let the slots of resources follow their rules, all at once; planning locks are held.

    Args:
        rules: theirs as they are now, if the caller has read them. Read once: nobody changes them
            who does not hold the planning locks.
        who: the slots whose people are told of; they are locked as well.
        more: slots to lock for what is done with these people next, in the same order.
    """
    rules = rules_of(resources, now=now) if rules is None else rules
    plans = _plans(resources, rules, now=now)
    concerned = who(plans)
    touched = [slot_id for plan in plans for slot_id in plan.touched] + concerned
    if more is not None:
        touched += more(people_in(concerned))
    if touched:
        # Nobody comes into these slots any more, or leaves; what happened since is seen now.
        slot_rows.lock(touched)
        plans = _plans(resources, rules, now=now)
        known = set(touched)
        for plan in plans:
            _only(plan, known)
    affected = people_in([pk for pk in who(plans) if pk in set(touched)])
    if seen is not None and seen != fingerprint(plans, [b.pk for b in affected]):
        raise PlanChanged(
            "Something was booked, changed or has started meanwhile: look at it again."
        )
    _write(plans, now=now)
    Resource.objects.filter(pk__in=[r.pk for r in resources]).update(planned_at=now)
    _tell(plans, now=now)
    return Applied(plans, affected)


def _write(plans: Sequence[Plan], *, now: datetime) -> None:
    """Change the locked slots. What goes first, as what comes may have its time."""
    slot_rows.retire([there.id for plan in plans for there in (*plan.retire, *plan.archive)])
    slot_rows.shut([there.id for plan in plans for there in plan.shut])
    slot_rows.delete([there.id for plan in plans for there in plan.delete])
    slot_rows.change([pair for plan in plans for pair in plan.change])
    slot_rows.revive([there.id for plan in plans for there in plan.revive])
    slot_rows.reopen([there.id for plan in plans for there in plan.reopen])
    slot_rows.create((plan.resource, wanted) for plan in plans for wanted in plan.create)
    _end_proposals([there.id for plan in plans for there in plan.retire], now=now)


def _tell(plans: Sequence[Plan], *, now: datetime) -> None:
    """Say which slots have room that had none, and which resources have new ones."""
    roomier = {
        there.id
        for plan in plans
        for there, limits in plan.change
        if limits.max_bookings > there.max_bookings or limits.max_units > there.max_units
    } | {there.id for plan in plans for there in (*plan.revive, *plan.reopen)}
    if roomier:
        signals.seats_released.send(Slot, slot_ids=sorted(roomier), now=now)
    made = sorted(p.resource.pk for p in plans if p.create or p.revive or p.reopen)
    if made:
        signals.slots_made.send(Slot, resource_ids=made, now=now)


def _end_proposals(slot_ids: Sequence[uuid.UUID], *, now: datetime) -> None:
    """Proposed times in locked slots that are not offered any more: their customers are told."""
    if slot_ids:
        held = Q(slot__in=slot_ids, stands_for__isnull=False, status=BookingStatus.HELD)
        transitions.expire(
            locks.bookings_where(held),
            now=now,
            reason=our_reason("The proposed time is not offered any more."),
        )


def _only(plan: Plan, known: set[uuid.UUID]) -> None:
    """Leave out what was not to change a moment ago and is not locked: the next run does it."""
    plan.change = [pair for pair in plan.change if pair[0].id in known]
    for rows in plan.moves:
        rows[:] = [there for there in rows if there.id in known]


def changed_rows(done: Applied) -> int:
    return sum(len(p.create) + len(p.touched) for p in done.plans)
