"""What resources are made of and need (B5). Slots to come follow at once, people in them included."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.db.models import Q

from audit.context import Actor, audited
from audit.errors import NotFound
from audit.observability.operations import operation
from bookings import claiming, locks, selectors_closures, selectors_schedules
from bookings.errors import ResourceTaken
from bookings.models import Occupancy, Pool, PoolNeed, Provider, Resource, ResourcePart, Slot
from bookings.selectors_schedules import Rules
from bookings.services import regenerating
from bookings.triggers import occupy, repairing

FOLLOWING = ("parts", "pools", "picked", "picked_parts")


def compose(
    *,
    resource_id: uuid.UUID,
    organization_id: uuid.UUID,
    part_ids: Collection[uuid.UUID],
    pool_ids: Collection[uuid.UUID],
    actor: Actor,
    reason: str = "",
    now: datetime,
) -> Resource:
    """Say what a resource is made of, and from which pools it needs one each.

    Slots to come of the resource, and of what it is a part of, take the new parts from now on.
    Where people are in them, the parts are taken for these people now.

    Raises:
        MadeInCircles, DoesNotFit: see there.
        ResourceTaken: a new part, or all of a new pool, is taken while people are in a slot;
            ``slots`` says in which. Nothing is changed.
        NotFound: a resource or pool is not of this organisation.
    """
    with (
        operation("resource.compose", actor=actor, resource=str(resource_id)) as op,
        transaction.atomic(savepoint=False),
        audited(actor, reason=reason),
    ):
        _check_known(organization_id, {resource_id, *part_ids}, set(pool_ids))
        # Nobody closes what becomes a part meanwhile, and whose slots would not follow.
        locks.schedules_of(organization_id, alone=True)
        # Nobody makes it a part of something else meanwhile, whose slots would not follow.
        locks.composition()
        affected = _with_wholes(resource_id)
        locks.planning(affected)
        before = _rules_of(affected, now=now)
        _relink(resource_id, organization_id, set(part_ids), set(pool_ids))
        slots = locks.slots_to_come(affected, now=now)
        with_them = _parts_of(s.picked for s in slots)
        stale = [
            s
            for s in slots
            if s.parts != s.resource.parts
            or s.pools != s.resource.pools
            or s.picked_parts != _come_with(s.picked, with_them)
        ]
        _follow(stale)
        op.rows = len(stale) + _plan_anew(affected, before, now=now)
        return Resource.objects.get(pk=resource_id)


def _rules_of(ids: Collection[uuid.UUID], *, now: datetime) -> dict[uuid.UUID, Rules]:
    resources = list(Resource.objects.filter(pk__in=ids))
    return selectors_schedules.rules_of(resources, since=now.date())


def _plan_anew(
    ids: Collection[uuid.UUID], before: Mapping[uuid.UUID, Rules], *, now: datetime
) -> int:
    """What closes a part closes the whole: let slots follow where that makes a difference."""
    rules = _rules_of(ids, now=now)
    other = [pk for pk in ids if rules[pk] != before[pk]]
    if not other:
        return 0
    resources = Resource.objects.filter(pk__in=other, is_active=True).order_by("number")
    return regenerating.changed_rows(regenerating.apply(list(resources), rules=rules, now=now))


def _check_known(
    organization_id: uuid.UUID, resource_ids: set[uuid.UUID], pool_ids: set[uuid.UUID]
) -> None:
    resources = Resource.objects.filter(organization=organization_id, pk__in=resource_ids)
    if resources.count() < len(resource_ids):
        raise NotFound("There is no such resource.")
    if pool_ids and (
        Pool.objects.filter(organization=organization_id, pk__in=pool_ids).count() < len(pool_ids)
    ):
        raise NotFound("There is no such pool.")


def check_provider(resource: Resource, *, now: datetime) -> None:
    """Whether somebody can provide a resource from now on, as it is to be saved.

    Saving it lets slots to come follow, and the database refuses what this refuses; but this says
    where. Nothing is locked.

    Raises:
        ResourceTaken: they are booked for something else, or for two at once, while people are in
            slots that would take them; ``slots`` says in which.
    """
    if resource.provider_id is None:
        return
    known = Provider.objects.filter(
        organization=resource.organization_id, user=resource.provider_id
    )
    theirs = Q(resource__in=_with_wholes(resource.pk)) | Q(picked__contains=[resource.number])
    slots = list(
        Slot.objects.filter(theirs, ends_at__gt=now, taken_bookings__gt=0)
        .select_related("resource")
        .order_by("busy_from", "pk")
    )
    elsewhere = locks.occupied(slots, known.values_list("number", flat=True))
    ours = {s.pk for s in slots}
    refused: list[Slot] = []
    before: Slot | None = None  # of those so far, the one that ends last
    for slot in slots:
        rivals = {r for some in elsewhere[slot.pk].values() for r in some} - ours
        if rivals or (before is not None and slot.busy_from < before.busy_until):
            refused.append(slot)
        if before is None or slot.busy_until > before.busy_until:
            before = slot
    if refused:
        raise ResourceTaken(
            f"In {len(refused)} slots with people {resource.provider} is booked for something else"
            f" at that time; the first is {refused[0]}. Move one of them first.",
            slots=[str(s.pk) for s in refused[:100]],
        )


def _with_wholes(resource_id: uuid.UUID) -> set[uuid.UUID]:
    """A resource and everything it is a part of."""
    number = Resource.objects.values_list("number", flat=True).get(pk=resource_id)
    wholes = Resource.objects.filter(parts__contains=[number]).values_list("pk", flat=True)
    return {resource_id, *wholes}


def _relink(
    resource_id: uuid.UUID,
    organization_id: uuid.UUID,
    part_ids: set[uuid.UUID],
    pool_ids: set[uuid.UUID],
) -> None:
    parts = ResourcePart.objects.filter(whole=resource_id)
    known = set(parts.values_list("part_id", flat=True))
    parts.exclude(part__in=part_ids).delete()
    ResourcePart.objects.bulk_create(
        ResourcePart(organization_id=organization_id, whole_id=resource_id, part_id=part_id)
        for part_id in part_ids - known
    )
    needs = PoolNeed.objects.filter(resource=resource_id)
    needed = set(needs.values_list("pool_id", flat=True))
    needs.exclude(pool__in=pool_ids).delete()
    PoolNeed.objects.bulk_create(
        PoolNeed(organization_id=organization_id, resource_id=resource_id, pool_id=pool_id)
        for pool_id in pool_ids - needed
    )


def _follow(slots: Sequence[Slot]) -> None:
    """Give locked slots what their resources take now, and take it for the people in them."""
    with_people = [s for s in slots if s.taken_bookings]
    picks = _picks(with_people) if with_people else {}
    with_them = _parts_of(picks.values())
    for slot in slots:
        slot.parts, slot.pools = slot.resource.parts, slot.resource.pools
        slot.picked = picks.get(slot.pk, [])
        slot.picked_parts = _come_with(slot.picked, with_them)
    _write([s for s in slots if not s.taken_bookings])
    if with_people:
        with repairing():
            # Give back first: what one slot lets go another may need.
            Occupancy.objects.filter(slot__in=[s.pk for s in with_people]).delete()
            _write(with_people)
            _occupy([s.pk for s in with_people])


def _parts_of(picks: Iterable[Sequence[int]]) -> dict[int, list[int]]:
    """What those take that were picked out of pools: who provides them. By their numbers."""
    numbers = {n for picked in picks for n in picked}
    found = Resource.objects.filter(number__in=numbers)
    return dict(found.values_list("number", "parts")) if numbers else {}


def _come_with(picked: Sequence[int], parts: Mapping[int, Sequence[int]]) -> list[int]:
    return sorted({n for number in picked for n in parts.get(number, ())})


def _picks(slots: Sequence[Slot]) -> dict[uuid.UUID, list[int]]:
    """One out of each pool for each slot with people; everything they need must be free."""
    pools = locks.pool_members({p for s in slots for p in s.resource.pools})
    with_them = _parts_of(s.picked for s in slots)
    wanted = {s.pk: _static(s, with_them) for s in slots}
    numbers = {n for some in wanted.values() for n in some} | claiming.numbers_in(pools)
    locks.take_in_turn(numbers)
    ours = {s.pk for s in slots}
    occupied = locks.occupied(slots, numbers)
    closures = selectors_closures.of_slots(slots)
    given: list[tuple[Slot, set[int]]] = []
    picks: dict[uuid.UUID, list[int]] = {}
    refused: list[Slot] = []
    for slot in slots:
        taken = {n for n, rivals in occupied[slot.pk].items() if rivals - ours}
        for other, numbers_of_other in given:
            if other.busy_from < slot.busy_until and slot.busy_from < other.busy_until:
                taken |= numbers_of_other
        picked: list[int] | None = slot.picked
        new: set[int] = set()
        if slot.pools != slot.resource.pools:
            needed = slot.resource.pools
            unavailable = {*taken, *wanted[slot.pk], *closures.at(slot)}
            picked = claiming.pick(needed, pools, taken=unavailable)
            chosen = zip(needed, picked or (), strict=False)
            new = {n for pool, number in chosen for n in pools[pool][number]}
        if picked is None or taken & wanted[slot.pk]:
            refused.append(slot)
            continue
        picks[slot.pk] = picked
        given.append((slot, wanted[slot.pk] | new))
    if refused:
        raise ResourceTaken(
            f"In {len(refused)} slots with people something they would take is taken by others;"
            f" the first is {refused[0]}. Move one of them first.",
            slots=[str(s.pk) for s in refused[:100]],
        )
    return picks


def _static(slot: Slot, with_them: Mapping[int, Sequence[int]]) -> set[int]:
    """What a slot will take without a choice; what was picked for its people stays theirs."""
    own = {slot.resource.number} if slot.exclusive else set()
    same = slot.pools == slot.resource.pools
    kept = {*slot.picked, *_come_with(slot.picked, with_them)} if same else set()
    return own | set(slot.resource.parts) | kept


def _write(slots: Sequence[Slot]) -> None:
    by_kind: dict[tuple[tuple[Any, ...], ...], list[Slot]] = {}
    for slot in slots:
        key = tuple(tuple(getattr(slot, name)) for name in FOLLOWING)
        by_kind.setdefault(key, []).append(slot)
    for values, same in by_kind.items():
        given = {name: list(value) for name, value in zip(FOLLOWING, values, strict=True)}
        Slot.objects.filter(pk__in=[s.pk for s in same]).update(**given)


def _occupy(slot_ids: Sequence[uuid.UUID]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(occupy("s.id = ANY (%s)"), [list(slot_ids)])
