"""Telling administrators that something needs a person.

An alert is an outbox event like any other, addressed to ``settings.ADMIN_ALERT_EMAILS``.
A failure rolls its transaction back, and would take an alert written there along:
:func:`alert_after_failure` waits until that transaction is over.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from asgiref.local import Local
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Count, Q
from django.utils import timezone

from audit import outbox
from audit.models import OutboxEvent

log = logging.getLogger(__name__)

THROTTLE = timedelta(minutes=5)
MOST_OF_A_KIND = 20

_waiting = Local(thread_critical=True)


def alert_administrators(
    kind: str,
    *,
    subject: outbox.Subject,
    payload: Mapping[str, Any],
    organization_id: UUID | None = None,
) -> OutboxEvent:
    """Write an alert in the caller's transaction, for something that is true if it commits."""
    return outbox.emit_many([_event(kind, subject, payload, organization_id)])[0]


def alert_after_failure(
    kind: str,
    *,
    subject: tuple[str, Any],
    payload: Mapping[str, Any],
    organization_id: UUID | None = None,
) -> None:
    """Write an alert about a failure in a transaction of its own. Never raises.

    Inside a transaction it is kept in memory until :func:`send_pending`, which
    ``idempotency.run``, the end of a request and the end of a task call. The same kind about
    the same subject is written once in five minutes, and at most twenty of a kind in all.
    """
    event = _event(kind, subject, payload, organization_id)
    if _in_transaction():
        _pending().append(event)
    else:
        _store(event)


def send_pending() -> None:
    """Write the alerts that waited for their transaction to end. Never raises."""
    if _in_transaction():
        return
    pending = _pending()
    while pending:
        _store(pending.pop(0))


def _pending() -> list[outbox.Event]:
    if not hasattr(_waiting, "events"):
        _waiting.events = []
    return _waiting.events  # type: ignore[no-any-return]


def _in_transaction() -> bool:
    # Django's own tests run inside a block that it marks, and that its durable=True overlooks too.
    return any(not getattr(b, "_from_testcase", False) for b in connection.atomic_blocks)


def _event(
    kind: str, subject: outbox.Subject, payload: Mapping[str, Any], organization_id: UUID | None
) -> outbox.Event:
    recipients = [outbox.Recipient(address) for address in settings.ADMIN_ALERT_EMAILS]
    return outbox.Event(kind, organization_id, subject, payload, to=recipients)


def _store(event: outbox.Event) -> None:
    try:
        with transaction.atomic():
            if _is_throttled(event):
                log.warning("alert_throttled kind=%s subject=%s", event.kind, event.subject)
            else:
                outbox.emit_many([event])
    except Exception as error:
        # Where the alert cannot be kept, the log is the only place left.
        log.critical(
            "alert_not_stored kind=%s subject=%s error=%s",
            event.kind,
            event.subject,
            type(error).__name__,
        )


def _is_throttled(event: outbox.Event) -> bool:
    assert isinstance(event.subject, tuple)
    subject_type, subject_id = event.subject
    recent = OutboxEvent.objects.filter(
        kind=event.kind, created_at__gt=timezone.now() - THROTTLE
    ).aggregate(
        same=Count("pk", filter=Q(subject_type=subject_type, subject_id=str(subject_id))),
        all=Count("pk"),
    )
    return bool(recent["same"] or recent["all"] >= MOST_OF_A_KIND)
