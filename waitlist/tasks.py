"""What beat starts."""

from __future__ import annotations

import uuid

from celery import shared_task
from django.utils import timezone

from audit.context import Actor
from audit.observability import sweeps as runner
from waitlist.services import sweeps

LINE = Actor.system("waitlist")


@shared_task(name="waitlist.tasks.serve_lines")
def serve_lines() -> int:
    """Offer free seats to those who wait for them; every minute."""
    seen: set[uuid.UUID] = set()
    return runner.run(
        sweeps.SERVE,
        lambda failed: sweeps.serve_lines(actor=LINE, now=timezone.now(), seen=seen, failed=failed),
        actor=LINE,
    )


@shared_task(name="waitlist.tasks.end_overdue")
def end_overdue() -> int:
    """End entries that nothing can be offered to any more; every five minutes."""
    sweeps.recount_lines(actor=LINE, now=timezone.now())
    passed: set[uuid.UUID] = set()
    return runner.run(
        sweeps.END,
        lambda failed: sweeps.end_overdue(
            actor=LINE, now=timezone.now(), failed=failed, passed=passed
        ),
        actor=LINE,
        passed=passed,
    )
