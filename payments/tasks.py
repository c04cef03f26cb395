"""What beat starts."""

from celery import shared_task

from payments.services import proofs


@shared_task(name="payments.tasks.remove_orphan_files")
def remove_orphan_files() -> int:
    """Delete files that a process which died left behind; hourly."""
    return proofs.remove_orphans()
