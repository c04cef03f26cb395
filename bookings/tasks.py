"""What beat starts. Each task is bounded, carries no data, and may run twice."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from audit.context import Actor
from bookings.services import bookings

BATCHES = 50


@shared_task(name="bookings.tasks.expire_holds")
def expire_holds() -> int:
    """Give the seats of overdue holds back; every minute."""
    done = 0
    for _ in range(BATCHES):
        count = bookings.expire_holds(actor=Actor.system("hold expiry"), now=timezone.now())
        done += count
        if not count:
            break
    return done


@shared_task(name="bookings.tasks.complete_bookings")
def complete_bookings() -> int:
    """Complete what is over; every 15 minutes."""
    done = 0
    for _ in range(BATCHES):
        count = bookings.complete_bookings(actor=Actor.system("completion"), now=timezone.now())
        done += count
        if not count:
            break
    return done
