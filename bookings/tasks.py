"""What beat starts. Each task is bounded, carries no data, and may run twice."""

from __future__ import annotations

import uuid

from celery import shared_task
from django.utils import timezone

from audit.context import Actor
from audit.observability import sweeps
from bookings.services import bookings, schedule_sweeps

MOST_BATCHES_OF_RESOURCES = 1_000


@shared_task(name="bookings.tasks.expire_holds")
def expire_holds() -> int:
    """Give the seats of overdue holds back; every minute."""
    actor = Actor.system("hold expiry")
    passed: set[uuid.UUID] = set()
    return sweeps.run(
        bookings.EXPIRE_HOLDS,
        lambda failed: bookings.expire_holds(
            actor=actor, now=timezone.now(), failed=failed, passed=passed
        ),
        actor=actor,
        passed=passed,
    )


@shared_task(name="bookings.tasks.complete_bookings")
def complete_bookings() -> int:
    """Complete what is over; every 15 minutes."""
    actor = Actor.system("completion")
    passed: set[uuid.UUID] = set()
    return sweeps.run(
        bookings.COMPLETE,
        lambda failed: bookings.complete_bookings(
            actor=actor, now=timezone.now(), failed=failed, passed=passed
        ),
        actor=actor,
        passed=passed,
    )


@shared_task(name="bookings.tasks.extend_schedules")
def extend_schedules() -> int:
    """Fill the horizon of every resource for which a new day has begun; every hour."""
    actor, now = Actor.system("schedules"), timezone.now()
    return sweeps.run(
        schedule_sweeps.EXTEND,
        lambda failed: schedule_sweeps.extend(actor=actor, now=now, failed=failed),
        actor=actor,
        most=MOST_BATCHES_OF_RESOURCES,
    )


@shared_task(name="bookings.tasks.follow_schedules")
def follow_schedules() -> int:
    """Let slots follow rules that changed without them; every 10 minutes."""
    actor, now = Actor.system("schedules"), timezone.now()
    return sweeps.run(
        schedule_sweeps.FOLLOW,
        lambda failed: schedule_sweeps.follow(actor=actor, now=now, failed=failed),
        actor=actor,
    )
