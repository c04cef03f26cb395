"""Slots follow the rules of their resource (B1, B2)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.db.models import F

from audit.consistency.registry import FixResult, Problem, Scope, check, fix, rows
from audit.context import Actor
from bookings import locks, selectors_schedules
from bookings.consistency.parts import mine, params
from bookings.lifecycle import SlotStatus
from bookings.models import Booking, Resource
from bookings.planning import Planned
from bookings.regeneration import Limits, Plan, There, lie_across
from bookings.services import regenerating, slot_plans

MOST_NAMED = 1_000  # of each kind, in the details
SWEEP_IS_LATE_AFTER = timedelta(hours=1)  # it runs every ten minutes
HORIZON_IS_LATE_AFTER = timedelta(days=2)  # it moves every night

Wrong = dict[str, list[str]]

SAYS = {
    "not planned": "{n} open slots are not in its rules",
    "missing": "{n} slots of its rules are not there",
    "other limits": "{n} slots have other limits than its rules say",
    "wrongly legacy": "{n} legacy slots are in its rules",
    "not closed": "{n} slots made by hand are open while their resource is closed",
    "not opened": "{n} slots made by hand are closed although their resource is open again",
    "not legacy": "{n} slots with people are not in its rules and are not marked as legacy",
}


@check(
    id="bookings.slots_follow_rules",
    title="Slots are those that the rules of their resource make",
    help=(
        "Somebody can book a time that is closed, or nobody can book one that is open. Whatever"
        " changes rules lets the slots follow, so somebody wrote past it. The details name the"
        " slots, and the times of those that are missing. --fix regenerates the resource, as the"
        " command regenerate_slots does: people keep their slots, which become legacy."
    ),
    severity="error",
)
def slots_follow_rules(scope: Scope) -> Iterator[Problem]:
    """Plans every resource again in Python; five statements for each organisation.

    A thousand slots cost some twenty milliseconds, most of it to read them.
    """
    late = selectors_schedules.out_of_date().values("pk")
    found = selectors_schedules.planned().exclude(pk__in=late)
    if scope.organization_id is not None:
        found = found.filter(organization=scope.organization_id)
    by_organization: dict[UUID, list[Resource]] = defaultdict(list)
    for resource in found:
        by_organization[resource.organization_id].append(resource)
    for resources in by_organization.values():
        for resource, wrong in _wrong(resources, now=scope.now):
            said = [SAYS[kind].format(n=len(names)) for kind, names in wrong.items()]
            yield Problem(
                subject_type="bookings.resource",
                subject_id=str(resource.pk),
                message=f"Of {resource.name}: {'; '.join(said)}.",
                organization_id=resource.organization_id,
                details={kind: names[:MOST_NAMED] for kind, names in wrong.items()},
            )


@fix("bookings.slots_follow_rules")
def fix_slots_follow_rules(problem: Problem, actor: Actor, now: datetime) -> FixResult:
    resource = _in_turn(problem)
    if resource is None or not list(_wrong([resource], now=now)):
        return FixResult.gone()
    return _regenerate(resource, actor, now)


def _in_turn(problem: Problem) -> Resource | None:
    """The resource, while nobody else changes its schedule; None if it is not planned any more."""
    resource_id = UUID(problem.subject_id)
    locks.planning([resource_id])
    return selectors_schedules.planned().filter(pk=resource_id).first()


def _regenerate(resource: Resource, actor: Actor, now: datetime) -> FixResult:
    done = regenerating.regenerate(resource_id=resource.pk, actor=actor, now=now)
    counts = ", ".join(f"{name} {n}" for name, n in done.counts().items() if n and name != "keep")
    return FixResult.fixed(f"The slots follow the rules: {counts or 'nothing to change'}.")


def _wrong(resources: Sequence[Resource], *, now: datetime) -> Iterator[tuple[Resource, Wrong]]:
    """What is wrong with the slots of resources of one organisation, kind by kind."""
    plans = regenerating.preview(resources=resources, now=now).plans
    left = _left_since_planned(plans)
    for plan in plans:
        crossed = lie_across(
            t
            for t in plan.across
            if t.status == SlotStatus.LEGACY or t.starts_at <= now.timestamp()
        )
        horizon = _horizon_when_planned(plan.resource)
        ends = slot_plans.end_of_horizon(plan.resource, now=now)
        # Planned by a clock that is ahead of ours, they are not behind the horizon.
        dropped = [t for t in (*plan.archive, *plan.delete) if not ends <= t.starts_at < horizon]
        found = {
            "not planned": _ids([t for t in dropped if t.status == SlotStatus.OPEN]),
            "missing": _missing([p for p in plan.create if not crossed(p)], before=horizon),
            "other limits": _ids(
                [
                    there
                    for there, limits in plan.change
                    if there.status != SlotStatus.LEGACY
                    and not _may_wait(there, limits, left=there.id in left, crossed=crossed(there))
                ]
            ),
            "wrongly legacy": _ids([t for t in plan.revive if t.taken_bookings or not crossed(t)]),
            "not closed": _ids(plan.shut),
            "not opened": _ids(plan.reopen),
            "not legacy": _ids(plan.retire),
        }
        wrong = {kind: names for kind, names in found.items() if names}
        if wrong:
            yield plan.resource, wrong


def _ids(found: Sequence[There]) -> list[str]:
    return [str(there.id) for there in found]


def _horizon_when_planned(resource: Resource) -> int:
    if resource.planned_at is None:
        return 0
    return slot_plans.end_of_horizon(resource, now=resource.planned_at)


def _missing(wanted: Iterable[Planned], *, before: int) -> list[str]:
    """When planned slots would start that should be there since the resource was planned."""
    starts = [one.starts_at for one in wanted if one.starts_at < before]
    return [datetime.fromtimestamp(start, UTC).isoformat() for start in starts]


def _may_wait(there: There, limits: Limits, *, left: bool, crossed: bool) -> bool:
    """Whether limits are others only because people left since; the next night puts them right.

    Those who left the slot itself no longer keep its limits up, nor the time around it. Those who
    left a legacy slot across it no longer keep them down.
    """
    lower = limits.max_bookings < there.max_bookings or limits.max_units < there.max_units
    higher = limits.max_bookings > there.max_bookings or limits.max_units > there.max_units
    buffers = (limits.busy_from, limits.busy_until) != (there.busy_from, there.busy_until)
    return (left or not (lower or buffers)) and (crossed or not higher)


def _left_since_planned(plans: Sequence[Plan]) -> set[UUID]:
    """Slots that somebody left since they were planned.

    They kept limits, or time around them, for people who are gone; the next night takes it back.
    """
    ids = [there.id for plan in plans for there, _limits in plan.change]
    rows = Booking.objects.filter(
        slot__in=ids, ended_at__gt=F("slot__resource__planned_at")
    ).values_list("slot_id", flat=True)
    return set(rows)


_LATE = f"""
    SELECT r.id::text, r.organization_id, r.planned_at, changed.at AS changed_at
    FROM bookings_resource r
    JOIN bookings_organization o ON o.id = r.organization_id AND o.is_active
    CROSS JOIN LATERAL (
        SELECT min(c.at) AS at FROM (
            SELECT s.created_at AS at FROM bookings_schedule s WHERE s.resource_id = r.id
            UNION ALL
            SELECT unnest(ARRAY[e.created_at, e.withdrawn_at])
            FROM bookings_scheduleexception e
            WHERE e.resource_id = r.id
               OR (e.resource_id IS NULL AND e.organization_id = r.organization_id)
        ) c
        WHERE c.at > COALESCE(r.planned_at, '-infinity')
    ) changed
    WHERE r.is_active AND {mine("r.organization_id")}
      AND EXISTS (SELECT 1 FROM bookings_schedule s WHERE s.resource_id = r.id)
      AND (r.planned_at < %(horizon)s OR changed.at < %(late)s)
    ORDER BY r.planned_at NULLS FIRST, r.id
"""  # noqa: S608


@check(
    id="bookings.schedules_followed",
    title="Rules that changed are followed within the hour, and horizons move every night",
    help=(
        "The sweeps that let slots follow their rules do not run, or cannot do this resource:"
        " see that a worker and beat are alive, and what the log says of the resource. --fix"
        " regenerates it."
    ),
    severity="warning",
)
def schedules_followed(scope: Scope) -> Iterator[Problem]:
    for row in rows(_LATE, _late(scope)):
        when, changed = _moment(row["planned_at"]), _moment(row["changed_at"])
        yield Problem(
            subject_type="bookings.resource",
            subject_id=row["id"],
            message=f"When its slots last followed the rules: {when}. First change since: {changed}.",
            organization_id=row["organization_id"],
        )


def _moment(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC" if at else "never"


@fix("bookings.schedules_followed")
def fix_schedules_followed(problem: Problem, actor: Actor, now: datetime) -> FixResult:
    resource = _in_turn(problem)
    late = {row["id"] for row in rows(_LATE, _late(Scope(now=now)))} if resource else set()
    if resource is None or str(resource.pk) not in late:
        return FixResult.gone()
    return _regenerate(resource, actor, now)


def _late(scope: Scope) -> dict[str, object]:
    return params(
        scope, horizon=scope.now - HORIZON_IS_LATE_AFTER, late=scope.now - SWEEP_IS_LATE_AFTER
    )
