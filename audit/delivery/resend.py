"""What staff may do with deliveries."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now

from audit import outbox
from audit.context import Actor
from audit.delivery import locks
from audit.models import Delivery, DeliveryStatus
from audit.models.outbox import MAX_ATTEMPTS
from audit.observability.operations import operation


def resend(*, delivery_ids: Iterable[UUID], actor: Actor) -> int:
    """Queue deliveries again with a new budget of attempts; return how many.

    Those that are being sent right now are left alone. The message gets a new Message-ID, since
    mail programs hide a second message with the id of one that they know.
    """
    return _change(
        "delivery.resend",
        delivery_ids,
        actor,
        but_not={DeliveryStatus.SENDING},
        status=DeliveryStatus.QUEUED,
        attempts=0,
        max_attempts=MAX_ATTEMPTS,
        queued_at=Now(),
        next_attempt_at=Now(),
        delivered_at=None,
    )


def cancel(*, delivery_ids: Iterable[UUID], actor: Actor) -> int:
    """Give up deliveries that are not delivered, so that nothing reports them; return how many."""
    return _change(
        "delivery.cancel",
        delivery_ids,
        actor,
        but_not={DeliveryStatus.SENDING, DeliveryStatus.DELIVERED, DeliveryStatus.CANCELLED},
        status=DeliveryStatus.CANCELLED,
    )


def _change(
    name: str,
    delivery_ids: Iterable[UUID],
    actor: Actor,
    *,
    but_not: set[DeliveryStatus],
    **changes: object,
) -> int:
    with operation(name, actor=actor) as op, transaction.atomic():
        chosen = [d.pk for d in locks.deliveries(delivery_ids) if d.status not in but_not]
        Delivery.objects.filter(pk__in=chosen).update(**changes)
        transaction.on_commit(outbox.kick, robust=True)
        op.rows = len(chosen)
        op.note(deliveries=[str(pk) for pk in chosen[:20]])
    return len(chosen)
