"""Schedules by the clock: horizons that stay filled, and changes nobody followed (B1, B2, D7).

A resource is regenerated in transactions of its own, and one that cannot be does not keep the
others. What a run leaves half done, the next one goes on with. Both sweeps are safe to run twice and
in parallel: who comes second waits for the planning lock of a resource and then finds nothing to do.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.db.models import Q
from django.utils.timezone import localtime

from audit.context import Actor
from audit.observability import sweeps
from audit.observability.sweeps import Failures
from bookings import selectors_schedules
from bookings.services import regenerating

EXTEND, FOLLOW = "slots.extend", "slots.follow"  # as the log and alerts name them


def extend(*, actor: Actor, now: datetime, batch: int = 100, failed: Failures | None = None) -> int:
    """Fill the horizon of resources for which a new day has begun, one batch; returns how many.

    A horizon ends with a day of the resource's own calendar, so each is due after its midnight,
    and again when a run was missed or cut short.

    Args:
        failed: resources to pass over; those that fail now are added.
    """
    failed = {} if failed is None else failed
    rows = selectors_schedules.planned().exclude(pk__in=list(failed))
    due = [
        pk
        for pk, zone, planned_at in rows.values_list("pk", "time_zone", "planned_at").iterator()
        if planned_at is None or _is_another_day(planned_at, now, zone)
    ]
    return _each(EXTEND, due[:batch], actor=actor, now=now, failed=failed)


def follow(*, actor: Actor, now: datetime, batch: int = 100, failed: Failures | None = None) -> int:
    """Let slots follow rules that changed since they were made, one batch; returns how many.

    The services that change rules do this themselves. It is for what they could not do to the end,
    and for rules that came another way: an import, a restore, or versions that begin to count for
    resources made anew.

    Args:
        failed: resources to pass over; those that fail now are added.
    """
    failed = {} if failed is None else failed
    rows = selectors_schedules.out_of_date().exclude(pk__in=list(failed))
    # What another machine's clock dates ahead of ours is done once in a run, and not for ever.
    rows = rows.filter(Q(planned_at__isnull=True) | Q(planned_at__lt=now))
    due = list(rows.values_list("pk", flat=True)[:batch])
    return _each(FOLLOW, due, actor=actor, now=now, failed=failed)


def _each(
    name: str, ids: Sequence[uuid.UUID], *, actor: Actor, now: datetime, failed: Failures
) -> int:
    def act(resource_id: uuid.UUID) -> bool:
        regenerating.regenerate(resource_id=resource_id, actor=actor, now=now)
        return True

    # Whatever is wrong with the rules of one resource, it is that resource's.
    return sweeps.each(name, ids, act, failed=failed)


def _is_another_day(planned_at: datetime, now: datetime, name: str) -> bool:
    try:
        zone = ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return True  # it fails in its own turn, and does not keep the others
    return localtime(planned_at, zone).date() < localtime(now, zone).date()
