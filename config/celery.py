"""The Celery app, and everything that runs by the clock.

Tasks carry ids, and what is due is a row in the database. A task that is lost, late or run twice
therefore costs nothing, and each tick is only a reason to look.

DJANGO_SETTINGS_MODULE has no default here: a worker that guessed could work on the wrong database.
"""

from __future__ import annotations

from typing import Any

from celery import Celery
from celery.schedules import crontab

app = Celery("holdfast")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

MINUTE = 60
HOUR = 60 * MINUTE


def tick(task: str, schedule: float | crontab, *, expires: int) -> dict[str, Any]:
    """Describe a beat entry whose message is dropped when no worker took it for `expires` seconds.

    Without that, the ticks of a night without a worker would all be worked off in the morning.
    The option is called `expire_seconds` by django-celery-beat, which ignores Celery's `expires`.
    """
    return {"task": task, "schedule": schedule, "options": {"expire_seconds": expires}}


# The whole beat table. `config.beat` copies it into the database when beat starts, and leaves
# alone what an administrator changed there.
CELERY_BEAT_SCHEDULE = {
    # Deliver what was written and not yet told. After a commit the relay is called at once; this
    # is what makes it a promise.
    "relay-outbox": tick("audit.tasks.relay_outbox", 10, expires=10),
    # Give back seats that nobody asked for since their hold ran out.
    "expire-holds": tick("bookings.tasks.expire_holds", MINUTE, expires=MINUTE),
    # Offer seats to those in line whom the transaction that freed them could not reach, and end
    # what is over. Offers that run out are holds that run out: see above.
    "serve-waitlist": tick("waitlist.tasks.serve_lines", MINUTE, expires=MINUTE),
    "end-waitlist": tick("waitlist.tasks.end_overdue", 5 * MINUTE, expires=5 * MINUTE),
    # End what was not paid in time (D6).
    "expire-unpaid": tick("payments.tasks.expire_unpaid", 30 * MINUTE, expires=30 * MINUTE),
    # Tell owners and managers of proofs of payment that nobody has decided on in time.
    "escalate-reviews": tick("payments.tasks.escalate_reviews", 5 * MINUTE, expires=5 * MINUTE),
    # Close bookings whose time is over.
    "complete-bookings": tick("bookings.tasks.complete_bookings", 15 * MINUTE, expires=15 * MINUTE),
    # Remind customers of what starts soon.
    "send-reminders": tick("bookings.tasks.send_reminders", 5 * MINUTE, expires=5 * MINUTE),
    # Mark those who did not come, as long after the end as their organisation says.
    "mark-no-shows": tick("bookings.tasks.mark_no_shows", 15 * MINUTE, expires=15 * MINUTE),
    # Make the slots of the day that comes into each resource's horizon, in the resource's own
    # night. Every hour, as it is midnight somewhere; who has had their new day is passed over.
    "extend-schedules": tick("bookings.tasks.extend_schedules", crontab(minute="7"), expires=HOUR),
    # Let slots follow rules that were changed past the services that do it at once.
    "follow-schedules": tick("bookings.tasks.follow_schedules", 10 * MINUTE, expires=10 * MINUTE),
    # Delete uploads whose database work failed.
    "remove-orphan-files": tick("payments.tasks.remove_orphan_files", HOUR, expires=HOUR),
    # Forget answers that were kept for retries.
    "purge-idempotency-keys": tick("audit.tasks.purge_idempotency_keys", HOUR, expires=HOUR),
    # Check everything once a day, when the least is going on (A11).
    "check-consistency-daily": tick(
        "audit.tasks.check_consistency_daily",
        crontab(hour="2", minute="0"),
        expires=6 * HOUR,
    ),
}
app.conf.beat_schedule = CELERY_BEAT_SCHEDULE
