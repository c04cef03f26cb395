"""Slots follow the rules of their resources: what would change, and doing it (B2).

Whoever changes rules holds the planning locks of the resources, so that two changes come one
after the other. The locks on slots are taken all at once, in their order, when it is known which
slots change. What is too much for that is done in parts, each a period of time and a transaction of
its own, so that nobody waits long for a slot (decision 30).
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import Q

from audit.context import Actor, audited
from audit.languages import our_reason
from audit.observability.operations import operation
from bookings import locks, signals, slot_rows, transitions
from bookings.errors import PlanChanged
from bookings.lifecycle import LIVE, BookingStatus
from bookings.models import Booking, Resource, Slot
from bookings.regeneration import Plan, borders, fingerprint
from bookings.selectors_schedules import Rules
from bookings.services import slot_plans
from bookings.services.slot_plans import Part

REGENERATE = "slots.regenerate"
MOST_CHANGED, MOST_MADE = 500, 2_000  # slots in one part; whoever wants one that changes waits
MOST_STEPS = 2_000  # several times as many as the largest resource has parts


@dataclass
class Preview:
    """What a change would do, before it is done.

    Attributes:
        plans: for each resource.
        affected: the live bookings in slots that would become legacy.
        proposals: what holds times there that are proposed for bookings elsewhere: they end.
        rules: what was planned by, by resource.
        seen: hand it to the service that does it, which then refuses to do anything else.
    """

    plans: list[Plan]
    affected: list[Booking] = field(default_factory=list)
    seen: str = ""
    proposals: list[Booking] = field(default_factory=list)
    rules: dict[uuid.UUID, Rules] = field(default_factory=dict, repr=False)

    def counts(self) -> dict[str, int]:
        """How many slots each thing happens to, all resources together."""
        total: dict[str, int] = {}
        for plan in self.plans:
            for name, count in plan.counts().items():
                total[name] = total.get(name, 0) + count
        return total | {"bookings": len(self.affected)}


@dataclass(frozen=True)
class Course:
    """What is to be done part by part, as long as what is known of the resource is true."""

    resource_id: uuid.UUID
    known: tuple[object, ...]
    parts: list[Part]


@dataclass
class Applied(Preview):
    """What was done.

    Attributes:
        left: what is still to be done; if it is in what a service returns, a sweep goes on with it.
    """

    cancelled: list[Booking] = field(default_factory=list)
    moved: list[Booking] = field(default_factory=list)
    stayed: list[Booking] = field(default_factory=list)
    left: Course | None = None

    def add(self, later: Applied) -> None:
        """Add what was done to the slots of the same resources after that."""
        if not self.plans:
            self.plans = later.plans
        else:
            for plan, more in zip(self.plans, later.plans, strict=True):
                plan.extend(more)
        self.affected += later.affected
        self.proposals += later.proposals
        self.left = later.left


def preview(*, resources: Sequence[Resource], now: datetime) -> Preview:
    """What regenerating these resources of one organisation would do."""
    return preview_of(resources, slot_plans.rules_of(resources, now=now), now=now)


def regenerate(*, resource_id: uuid.UUID, actor: Actor, now: datetime) -> Applied:
    """Let the slots of one resource follow its rules up to its horizon.

    Idempotent, and safe to run twice and beside bookings. If it fails it may have been done in
    part, and nothing is wrong with that part; the next run does the rest.

    Raises:
        Invalid: there would be too many slots.
        PlanChanged: others are changing the rules again and again.
    """
    done = Applied([])
    _regenerate(done, resource_id, actor=actor, reason="schedule", now=now)
    return done


def may_divide() -> bool:
    """Whether what comes now may be done in parts: not in the transaction of a caller.

    Nothing is gained there, and the locks on slots would not be taken in their order.
    """
    return not connection.in_atomic_block


def begin(resource: Resource, *, in_parts: bool, seen: str | None, now: datetime) -> Applied:
    """Let slots follow rules, in the transaction that changes them; if that is too much, later.

    What is left then, :func:`finish` does, after that transaction.

    Args:
        resource: its planning lock is held.
        in_parts: what :func:`may_divide` said before the transaction.
    """
    rules = slot_plans.rules_of([resource], now=now)
    if not rules[resource.pk].versions or not resource.is_active:
        in_parts = False  # no sweep would go on with it
    done = _start(resource, rules, in_parts=in_parts, seen=seen, now=now)
    if done.left is not None:
        # So that sweep and checks see that its slots do not follow, whatever becomes of us.
        Resource.objects.filter(pk=resource.pk, planned_at__gte=now).update(
            planned_at=now - timedelta(microseconds=1)
        )
    return done


def finish(done: Applied, *, actor: Actor, reason: str, now: datetime) -> Applied:
    """Do what was left, if anything was; the rules are changed by now, so this never fails.

    What cannot be done is logged, and left to the sweep.
    """
    if done.left is not None:
        with suppress(Exception):  # the operation logs it
            _regenerate(done, done.left.resource_id, actor=actor, reason=reason, now=now)
    return done


def _regenerate(
    done: Applied, resource_id: uuid.UUID, *, actor: Actor, reason: str, now: datetime
) -> None:
    """Do what is left or, if nothing is known of that, all; add to ``done`` what is done."""
    in_parts = may_divide()
    with operation(REGENERATE, actor=actor, resource=str(resource_id)) as op:
        try:
            for _ in range(MOST_STEPS):
                with transaction.atomic(), audited(actor, reason=reason):
                    some = _step(resource_id, done.left, in_parts=in_parts, now=now)
                done.add(some)
                if done.left is None:
                    break
            else:
                raise PlanChanged("Its rules are being changed again and again.")
        finally:
            op.rows = changed_rows(done)
            op.note(**done.counts())


def _step(resource_id: uuid.UUID, left: Course | None, *, in_parts: bool, now: datetime) -> Applied:
    """Do one part of what is left; if the rules are others by now, begin again."""
    locks.planning([resource_id])
    resource = Resource.objects.get(pk=resource_id)
    rules = slot_plans.rules_of([resource], now=now)
    if left is None or left.known != _known(resource, rules):
        return _start(resource, rules, in_parts=in_parts, now=now)
    part, *others = left.parts
    done = apply([resource], rules=rules, part=part, now=now)
    done.left = replace(left, parts=others) if others else None
    return done


def _start(
    resource: Resource,
    rules: dict[uuid.UUID, Rules],
    *,
    in_parts: bool,
    seen: str | None = None,
    now: datetime,
) -> Applied:
    """Do everything; or nothing yet, and say in which parts it is to be done."""
    plans = slot_plans.plans([resource], rules, now=now)
    course = _course(resource, rules, plans, now=now)
    if not in_parts or len(course.parts) == 1:
        return apply([resource], rules=rules, plans=plans, seen=seen, now=now)
    concerned = losing(plans)
    _check_seen(seen, plans, people_in(concerned), proposals_in(concerned))
    return Applied([Plan(resource)], left=course)


def _course(
    resource: Resource, rules: dict[uuid.UUID, Rules], plans: Sequence[Plan], *, now: datetime
) -> Course:
    """In which parts a plan is done."""
    since, until = slot_plans.all_to_come(now)
    cuts = borders(plans[0], most_changed=MOST_CHANGED, most_made=MOST_MADE)
    periods = zip([since, *cuts], [*cuts, until], strict=True)
    return Course(resource.pk, _known(resource, rules), [Part(a, b) for a, b in periods])


def _known(resource: Resource, rules: dict[uuid.UUID, Rules]) -> tuple[object, ...]:
    """What a plan depends on."""
    return resource.mode, resource.exclusive, resource.time_zone, resource.horizon_days, rules


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
    plans = slot_plans.plans(resources, rules, now=now)
    concerned = who(plans)
    affected, proposals = people_in(concerned), proposals_in(concerned)
    seen = _fingerprint(plans, affected, proposals)
    return Preview(plans, affected, seen, proposals, rules)


def people_in(slot_ids: Collection[uuid.UUID]) -> list[Booking]:
    """The live bookings in slots, in the order of time, without what stands in for others."""
    if not slot_ids:
        return []
    return list(
        Booking.objects.filter(slot__in=slot_ids, status__in=LIVE, stands_for__isnull=True)
        .select_related("slot__resource", "customer")
        .order_by("slot__starts_at", "pk")
    )


def proposals_in(slot_ids: Collection[uuid.UUID]) -> list[Booking]:
    """What holds proposed times in slots, in the order of time, each with what it stands for."""
    if not slot_ids:
        return []
    return list(
        Booking.objects.filter(
            slot__in=slot_ids, status=BookingStatus.HELD, stands_for__isnull=False
        )
        .select_related("slot__resource", "customer", "stands_for")
        .order_by("slot__starts_at", "pk")
    )


def apply(
    resources: Sequence[Resource],
    *,
    rules: dict[uuid.UUID, Rules] | None = None,
    plans: list[Plan] | None = None,
    part: Part | None = None,
    seen: str | None = None,
    who: Who = losing,
    more: Callable[[Sequence[Booking]], Iterable[uuid.UUID]] | None = None,
    tell_affected: bool = True,
    now: datetime,
) -> Applied:
    """Let the slots of resources follow their rules, all at once; planning locks are held.

    Args:
        rules: theirs as they are now, if the caller has read them. Read once: nobody changes them
            who does not hold the planning locks.
        plans: what is to be done as it looks without locks, if the caller knows.
        part: only the slots that start then. Parts are done in their order, up to the last.
        who: the slots whose people are told of; they are locked as well.
        more: slots to lock for what is done with these people next, in the same order.
        tell_affected: whether these people hear from here that what was proposed to them is over.
    """
    rules = slot_plans.rules_of(resources, now=now) if rules is None else rules
    if plans is None:
        plans = slot_plans.plans(resources, rules, part=part, for_good=True, now=now)
    concerned = who(plans)
    touched = [slot_id for plan in plans for slot_id in plan.touched] + concerned
    touched += [there.id for plan in plans for there in plan.beside]
    if more is not None:
        touched += more(people_in(concerned))
    if touched:
        # Nobody comes into these slots any more, or leaves; what happened since is seen now.
        slot_rows.lock(touched)
        plans = slot_plans.plans(resources, rules, part=part, for_good=True, now=now)
        known = set(touched)
        for plan in plans:
            _only(plan, known)
    concerned = [pk for pk in who(plans) if pk in set(touched)]
    affected, proposals = people_in(concerned), proposals_in(concerned)
    _check_seen(seen, plans, affected, proposals)
    _write(plans, now=now)
    _end_proposals(proposals, affected, tell_affected=tell_affected, now=now)
    if part is None or part.until is None:
        Resource.objects.filter(pk__in=[r.pk for r in resources]).update(planned_at=now)
    _tell(plans, now=now)
    return Applied(plans, affected, proposals=proposals)


def _check_seen(
    seen: str | None,
    plans: Sequence[Plan],
    affected: Sequence[Booking],
    proposals: Sequence[Booking],
) -> None:
    if seen is not None and seen != _fingerprint(plans, affected, proposals):
        raise PlanChanged(
            "Something was booked, changed or has started meanwhile: look at it again."
        )


def _fingerprint(
    plans: Sequence[Plan], affected: Sequence[Booking], proposals: Sequence[Booking]
) -> str:
    return fingerprint(plans, [b.pk for b in (*affected, *proposals)])


def _write(plans: Sequence[Plan], *, now: datetime) -> None:
    """Change the locked slots. What goes first, as what comes may have its time."""
    slot_rows.retire([there.id for plan in plans for there in (*plan.retire, *plan.archive)])
    slot_rows.shut([there.id for plan in plans for there in plan.shut])
    slot_rows.delete([there.id for plan in plans for there in plan.delete])
    slot_rows.change([pair for plan in plans for pair in plan.change])
    slot_rows.revive([there.id for plan in plans for there in plan.revive])
    slot_rows.reopen([there.id for plan in plans for there in plan.reopen])
    slot_rows.create((plan.resource, wanted) for plan in plans for wanted in plan.create)


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


def _end_proposals(
    stand_ins: Sequence[Booking],
    affected: Sequence[Booking],
    *,
    tell_affected: bool,
    now: datetime,
) -> None:
    """Proposed times in locked slots that are not offered any more: their customers are told."""
    if not stand_ins:
        return
    # With what is done to the others next, so that nobody who decides on an order waits in a circle.
    waiting = {s.stands_for_id for s in stand_ins if s.stands_for_id}
    locks.bookings_of_orders(waiting | {b.pk for b in affected})
    transitions.expire(
        locks.bookings_where(Q(pk__in=[s.pk for s in stand_ins], status=BookingStatus.HELD)),
        now=now,
        reason=our_reason("The proposed time is not offered any more."),
        gone=True,
        untold=() if tell_affected else {b.pk for b in affected},
    )


def _only(plan: Plan, known: set[uuid.UUID]) -> None:
    """Leave out what was not to change a moment ago and is not locked: the next run does it."""
    plan.change = [pair for pair in plan.change if pair[0].id in known]
    for rows in plan.moves:
        rows[:] = [there for there in rows if there.id in known]


def changed_rows(done: Applied) -> int:
    return sum(len(p.create) + len(p.touched) for p in done.plans)
