"""What beat starts. Each task is bounded, carries no data, and may run twice."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from audit.context import Actor
from audit.observability import sweeps
from bookings.services import bookings


@shared_task(name="bookings.tasks.expire_holds")
def expire_holds() -> int:
    """Give the seats of overdue holds back; every minute."""
    actor = Actor.system("hold expiry")
    return sweeps.run(
        bookings.EXPIRE_HOLDS,
        lambda failed: bookings.expire_holds(actor=actor, now=timezone.now(), failed=failed),
        actor=actor,
    )


@shared_task(name="bookings.tasks.complete_bookings")
def complete_bookings() -> int:
    """Complete what is over; every 15 minutes."""
    actor = Actor.system("completion")
    return sweeps.run(
        bookings.COMPLETE,
        lambda failed: bookings.complete_bookings(actor=actor, now=timezone.now(), failed=failed),
        actor=actor,
    )
