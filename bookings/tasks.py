"""What beat starts. Each task is bounded, carries no data, and may run twice."""

from __future__ import annotations

import uuid

from celery import shared_task
from django.utils import timezone

from audit.context import Actor
from audit.leases import Lease
from audit.observability import sweeps
from bookings.services import bookings, no_shows, reminders, schedule_sweeps

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


@shared_task(name="bookings.tasks.mark_no_shows")
def mark_no_shows() -> int:
    """Mark those who did not come; every 15 minutes."""
    return sweeps.run_alone(no_shows.MARK, _mark_no_shows)


def _mark_no_shows(lease: Lease) -> int:
    actor = Actor.system("no-shows")
    passed: set[uuid.UUID] = set()
    return sweeps.run(
        no_shows.MARK,
        lambda failed: no_shows.mark_no_shows(
            actor=actor, now=timezone.now(), failed=failed, passed=passed, lease=lease
        ),
        actor=actor,
        passed=passed,
    )


@shared_task(name="bookings.tasks.send_reminders")
def send_reminders() -> int:
    """Remind customers of what starts soon; every 5 minutes."""
    return sweeps.run_alone(reminders.REMIND, _send_reminders)


def _send_reminders(lease: Lease) -> int:
    actor = Actor.system("reminders")
    return sweeps.run(
        reminders.REMIND,
        lambda failed: reminders.remind(
            actor=actor, now=timezone.now(), failed=failed, lease=lease
        ),
        actor=actor,
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
