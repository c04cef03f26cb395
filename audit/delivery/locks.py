"""The rows that the relay and its callers lock. A relay skips what another one holds."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from django.db.models.functions import Now

from audit.models import OPEN, Delivery, OutboxEvent

# Deadlines are compared with the clock of the database, which all workers share.


def undispatched_events(limit: int) -> list[OutboxEvent]:
    """The oldest events that have no deliveries yet and that nobody else is working on."""
    return list(
        OutboxEvent.objects.select_for_update(skip_locked=True)
        .filter(dispatched_at__isnull=True)
        .order_by("created_at")[:limit]
    )


def due_deliveries(channel: str, limit: int) -> list[Delivery]:
    """Deliveries whose time has come, or whose sender was lost, with their events."""
    return list(
        Delivery.objects.select_for_update(skip_locked=True, of=("self",))
        .select_related("event")
        .filter(status__in=OPEN, next_attempt_at__lte=Now(), channel=channel)
        .order_by("next_attempt_at")[:limit]
    )


def deliveries(ids: Iterable[UUID]) -> list[Delivery]:
    """These deliveries, in the order of their ids."""
    return list(Delivery.objects.select_for_update().filter(pk__in=list(ids)).order_by("pk"))
