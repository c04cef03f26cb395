"""What audit does by the clock. Each is bounded, and running one twice does no harm."""

from __future__ import annotations

from contextlib import suppress

from celery import shared_task
from django.core.cache import cache
from django.utils import timezone

from audit import idempotency, outbox
from audit.consistency.runner import run_checks
from audit.context import Actor
from audit.delivery import relay
from audit.models import ConsistencyReport


@shared_task(name="audit.tasks.relay_outbox", soft_time_limit=90, time_limit=120)  # type: ignore[misc]
def relay_outbox() -> None:
    """Bring what was written to the outbox to its recipients."""
    with suppress(Exception):
        cache.delete(outbox.WANTED)
    relay.run()


@shared_task(  # type: ignore[misc]
    name="audit.tasks.check_consistency_daily", soft_time_limit=540, time_limit=570
)
def check_consistency_daily() -> None:
    """Run every check, keep the report, and alert administrators when something is found (A11)."""
    run_checks(
        actor=Actor.system("check_consistency_daily"),
        now=timezone.now(),
        kind=ConsistencyReport.Kind.SCHEDULED,
    )


@shared_task(name="audit.tasks.purge_idempotency_keys")  # type: ignore[misc]
def purge_idempotency_keys() -> None:
    """Forget answers that are older than a day."""
    idempotency.purge(now=timezone.now())
