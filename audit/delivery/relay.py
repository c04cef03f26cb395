"""From committed events to delivered messages (B9).

First the events are handed out: each becomes one delivery for each channel and address. Then
due deliveries are taken in batches under a lease, sent outside of any transaction, and the
result is recorded. Any number of relays may run at once; whoever dies is replaced when the
lease has run out, so that a message may be sent twice, with one id, and never not at all.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from celery.exceptions import SoftTimeLimitExceeded
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from audit.delivery import locks
from audit.delivery.channels import Channel, ChannelAway, Failed, Refused, Sender, all_channels
from audit.models import Delivery, DeliveryStatus, OutboxEvent

log = logging.getLogger(__name__)

BATCH = 50
TIME_LIMIT = 45.0  # the task's soft limit is 90 s, and one message may take up to 40 of them
LEASE = timedelta(minutes=5)  # longer than a task may live, so that nobody living loses it
BACKOFF_BASE = timedelta(seconds=30)
BACKOFF_CAP = timedelta(hours=6)
AWAY_PAUSE = timedelta(minutes=1)
GIVE_UP_AFTER = timedelta(days=3)  # as mail servers do, when the other side stays away


@dataclass
class Result:
    """What one run of the relay did."""

    dispatched: int = 0
    delivered: int = 0
    failed: int = 0
    dead: int = 0


def run(
    *,
    channels: Sequence[Channel] | None = None,
    batch: int = BATCH,
    time_limit: float = TIME_LIMIT,
) -> Result:
    """Hand out and deliver what is due until nothing is, or until the time is up (seconds)."""
    result = Result()
    deadline = time.monotonic() + time_limit
    open_channels = list(all_channels() if channels is None else channels)
    every_channel = tuple(open_channels)
    while time.monotonic() < deadline:
        dispatched = dispatch(every_channel, limit=batch)
        result.dispatched += dispatched
        taken = 0
        for channel in tuple(open_channels):
            count, away = _deliver(channel, batch, deadline, result)
            taken += count
            if away:
                open_channels.remove(channel)
        if not dispatched and not taken:
            break
    return result


def dispatch(channels: Sequence[Channel], *, limit: int = BATCH) -> int:
    """Make deliveries from the oldest new events; return how many events were handed out."""
    with transaction.atomic():
        events = locks.undispatched_events(limit)
        if not events:
            return 0
        try:
            with transaction.atomic():
                _hand_out(events, channels)
        except (OperationalError, InterfaceError, SoftTimeLimitExceeded):
            raise
        except Exception:
            for event in events:
                _hand_out_alone(event, channels)
    return len(events)


def _hand_out(events: Sequence[OutboxEvent], channels: Sequence[Channel]) -> None:
    deliveries = [d for channel in channels for d in channel.deliveries(events)]
    Delivery.objects.bulk_create(deliveries, ignore_conflicts=True)
    OutboxEvent.objects.filter(pk__in=[e.pk for e in events]).update(
        dispatched_at=Now(), recipients=[]
    )


def _hand_out_alone(event: OutboxEvent, channels: Sequence[Channel]) -> None:
    """An event that cannot be handed out is put aside, with the reason, for a person."""
    try:
        with transaction.atomic():
            _hand_out([event], channels)
    except (OperationalError, InterfaceError, SoftTimeLimitExceeded):
        raise  # says nothing about this event: it stays as it is and is tried again
    except Exception as error:
        log.exception("outbox_event_failed event=%s", event.pk)
        OutboxEvent.objects.filter(pk=event.pk).update(
            dispatched_at=Now(), error=type(error).__name__
        )


def _deliver(channel: Channel, batch: int, deadline: float, result: Result) -> tuple[int, bool]:
    """Deliver one batch; how many were taken, and whether the channel turned out to be away."""
    waiting = _claim(channel, batch, result)
    if not waiting:
        return 0, False
    taken = len(waiting)
    try:
        with channel.connect() as sender:
            while waiting and time.monotonic() < deadline:
                _attempt(sender, waiting[0], result)
                waiting.pop(0)
    except ChannelAway as error:
        log.warning("channel_away channel=%s error=%s", channel.name, error)
        _put_back_away(waiting, str(error), result)
        return taken, True
    _put_back(waiting)
    return taken, False


def _claim(channel: Channel, batch: int, result: Result) -> list[Delivery]:
    """Take due deliveries under a lease; the attempt is counted now, in case it is our last."""
    with transaction.atomic():
        due = locks.due_deliveries(channel.name, batch)
        lost = [d for d in due if d.attempts >= d.max_attempts]
        taken = [d for d in due if d.attempts < d.max_attempts]
        if lost:
            Delivery.objects.filter(pk__in=[d.pk for d in lost]).update(
                status=DeliveryStatus.DEAD,
                last_error="The worker was lost while it sent this, on the last attempt.",
            )
            result.dead += len(lost)
        if taken:
            Delivery.objects.filter(pk__in=[d.pk for d in taken]).update(
                status=DeliveryStatus.SENDING,
                attempts=F("attempts") + 1,
                next_attempt_at=Now() + LEASE,
            )
    for delivery in taken:
        delivery.attempts += 1
    return taken


def _attempt(sender: Sender, delivery: Delivery, result: Result) -> None:
    try:
        sender.send(delivery)
    except ChannelAway:
        raise
    except Refused as error:
        _record(delivery, status=DeliveryStatus.DEAD, last_error=str(error)[:300])
        result.dead += 1
    except Exception as error:
        expected = isinstance(error, Failed)
        text = str(error) if expected else type(error).__name__
        log.warning(
            "delivery_failed delivery=%s error=%s", delivery.pk, text, exc_info=not expected
        )
        if delivery.attempts >= delivery.max_attempts:
            _record(delivery, status=DeliveryStatus.DEAD, last_error=text[:300])
            result.dead += 1
        else:
            _record(
                delivery,
                status=DeliveryStatus.FAILED,
                last_error=text[:300],
                next_attempt_at=timezone.now() + backoff(delivery.attempts),
            )
            result.failed += 1
    else:
        _record(delivery, status=DeliveryStatus.DELIVERED, delivered_at=Now(), last_error="")
        result.delivered += 1


def _record(delivery: Delivery, **changes: object) -> None:
    """Write the result, unless the lease was lost and the row is somebody else's by now."""
    Delivery.objects.filter(
        pk=delivery.pk, status=DeliveryStatus.SENDING, attempts=delivery.attempts
    ).update(**changes)


def _put_back(unsent: Sequence[Delivery]) -> None:
    """There was no time for these: they are due as before."""
    for delivery in unsent:
        _record(
            delivery, status=_before(delivery), attempts=F("attempts") - 1, next_attempt_at=Now()
        )


def _put_back_away(unsent: Sequence[Delivery], error: str, result: Result) -> None:
    """Nobody was there, which says nothing about these messages: no attempt is used up."""
    for delivery in unsent:
        if timezone.now() - delivery.queued_at > GIVE_UP_AFTER:
            _record(delivery, status=DeliveryStatus.DEAD, last_error=error[:300])
            result.dead += 1
            continue
        _record(
            delivery,
            status=DeliveryStatus.FAILED,
            attempts=F("attempts") - 1,
            last_error=error[:300],
            next_attempt_at=timezone.now() + AWAY_PAUSE * random.uniform(0.5, 1.5),  # noqa: S311
        )
        result.failed += 1


def _before(delivery: Delivery) -> DeliveryStatus:
    return DeliveryStatus.FAILED if delivery.last_error else DeliveryStatus.QUEUED


def backoff(attempts: int) -> timedelta:
    """How long to wait after so many attempts: exponential with full jitter, at most six hours."""
    longest = min(BACKOFF_BASE * 2 ** min(attempts - 1, 20), BACKOFF_CAP)
    return timedelta(seconds=random.uniform(0, longest.total_seconds()))  # noqa: S311
