"""What audit does by the clock. Each is bounded, and running one twice does no harm."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from uuid import UUID

from celery import shared_task
from django.core.cache import cache
from django.utils import timezone

from audit import idempotency, outbox
from audit.consistency.runner import run_checks
from audit.context import Actor
from audit.delivery import relay
from audit.errors import Unavailable
from audit.models import ConsistencyReport


@shared_task(name="audit.tasks.relay_outbox", soft_time_limit=90, time_limit=120)
def relay_outbox() -> None:
    """Bring what was written to the outbox to its recipients."""
    with suppress(Exception):
        cache.delete(outbox.WANTED)
    relay.run()


@shared_task(name="audit.tasks.check_consistency_daily", soft_time_limit=540, time_limit=570)
def check_consistency_daily() -> None:
    """Run every check, keep the report, and alert administrators when something is found (A11)."""
    run_checks(
        actor=Actor.system("check_consistency_daily"),
        now=timezone.now(),
        kind=ConsistencyReport.Kind.SCHEDULED,
    )


@shared_task(name="audit.tasks.check_consistency", soft_time_limit=540, time_limit=570)
def check_consistency(organization_id: str | None, actor_id: str | None, actor_label: str) -> None:
    """Run every check for somebody who asked for it in the admin."""
    run_checks(
        actor=Actor("staff", UUID(actor_id) if actor_id else None, actor_label),
        now=timezone.now(),
        organization_id=UUID(organization_id) if organization_id else None,
    )


def ask_for_checks(*, organization_ids: Sequence[UUID | None], actor: Actor) -> None:
    """Have a worker run every check, for each of these organisations (None: for all at once).

    Raises:
        Unavailable: the broker does not answer; waited for at most a few seconds.
    """
    app = check_consistency.app
    patience = {"socket_timeout": 2, "socket_connect_timeout": 2}
    try:
        with app.connection_for_write(transport_options=patience) as connection:
            for organization_id in organization_ids:
                check_consistency.apply_async(
                    args=[
                        str(organization_id) if organization_id else None,
                        str(actor.id) if actor.id else None,
                        actor.label,
                    ],
                    connection=connection,
                    retry=False,
                    expires=600,
                )
    except Exception as error:
        raise Unavailable("The workers cannot be reached right now.") from error


@shared_task(name="audit.tasks.purge_idempotency_keys")
def purge_idempotency_keys() -> None:
    """Forget answers that are older than a day."""
    idempotency.purge(now=timezone.now())
