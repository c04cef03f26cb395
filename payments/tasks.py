"""What beat starts."""

from celery import shared_task
from django.utils import timezone

from audit.context import Actor
from audit.observability import sweeps
from payments.services import expiry, proofs

# With a hundred in each, they take less than the time limit of a task.
UNPAID_BATCHES = 20


@shared_task(name="payments.tasks.expire_unpaid")
def expire_unpaid() -> int:
    """End what was not paid in time; every 10 minutes."""
    actor = Actor.system("payment deadline")
    return sweeps.run(
        expiry.EXPIRE,
        lambda failed: expiry.expire_unpaid(actor=actor, now=timezone.now(), failed=failed),
        actor=actor,
        most=UNPAID_BATCHES,
    )


@shared_task(name="payments.tasks.remove_orphan_files")
def remove_orphan_files() -> int:
    """Delete files that a process which died left behind; hourly."""
    return proofs.remove_orphans()
