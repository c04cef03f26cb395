"""What beat starts."""

from __future__ import annotations

import uuid

from celery import shared_task
from django.utils import timezone

from audit.context import Actor
from audit.leases import Lease
from audit.observability import sweeps
from audit.observability.sweeps import Failures
from payments.services import expiry, proofs, reviews


@shared_task(name="payments.tasks.expire_unpaid")
def expire_unpaid() -> int:
    """End what was not paid in time; every 30 minutes, and never two at a time (D6)."""
    return sweeps.run_alone(expiry.EXPIRE, _expire_unpaid)


def _expire_unpaid(lease: Lease) -> int:
    actor = Actor.system("payment deadline")
    passed: set[uuid.UUID] = set()
    done = sweeps.run(
        expiry.EXPIRE,
        lambda failed: expiry.expire_unpaid(
            actor=actor, now=timezone.now(), failed=failed, passed=passed, lease=lease
        ),
        actor=actor,
        passed=passed,
    )

    def held_up(failed: Failures) -> int:
        """What somebody held, such as a slot that many want: its next turn is in half an hour."""
        return expiry.expire_singly(
            passed, actor=actor, now=timezone.now(), failed=failed, lease=lease
        )

    return done + (sweeps.run(expiry.EXPIRE, held_up, actor=actor, most=1) if passed else 0)


@shared_task(name="payments.tasks.escalate_reviews")
def escalate_reviews() -> int:
    """Tell owners and managers of proofs that nobody has decided on in time; every 5 minutes."""
    actor = Actor.system("review deadline")
    passed: set[uuid.UUID] = set()
    return sweeps.run(
        reviews.ESCALATE,
        lambda failed: reviews.escalate(
            actor=actor, now=timezone.now(), failed=failed, passed=passed
        ),
        actor=actor,
        passed=passed,
    )


@shared_task(name="payments.tasks.remove_orphan_files")
def remove_orphan_files() -> int:
    """Delete files that a process which died left behind; hourly."""
    return proofs.remove_orphans()
