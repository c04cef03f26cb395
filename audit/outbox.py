"""Events that leave the database, written in the transaction of the change they tell of.

``emit`` is one INSERT for any number of events and recipients; the relay
(``audit/delivery/relay.py``) makes deliveries from them after the commit. A rolled back
change tells nobody, a committed one is told at least once. Why: docs/decisions/0004.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.cache import cache
from django.db import connection, models, transaction

from audit import context
from audit.models import OutboxEvent
from audit.sql import insert_rows

log = logging.getLogger(__name__)

Subject = models.Model | tuple[str, Any]


@dataclass(frozen=True, slots=True)
class Recipient:
    """Who is told, in which language, and with times in which zone."""

    address: str
    language: str = ""
    time_zone: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing to tell.

    Args:
        kind: ``noun.participle``, the name of the templates under ``templates/notifications/``.
        organization_id: whose event it is; None for the operators' own.
        subject: the object it is about, or its ``(type, id)``.
        payload: what the templates show. JSON values, dates, decimals and UUIDs.
        to: recipients of the e-mail. Other channels find their own (webhook endpoints).
        reply_to: an address that answers go to.
    """

    kind: str
    organization_id: UUID | None
    subject: Subject
    payload: Mapping[str, Any] = field(default_factory=dict)
    to: Sequence[Recipient] = ()
    reply_to: str = ""


def emit(
    kind: str,
    *,
    organization_id: UUID | None,
    subject: Subject,
    payload: Mapping[str, Any],
    to: Iterable[Recipient] = (),
    reply_to: str = "",
) -> OutboxEvent:
    """Write one event in the caller's transaction. See :class:`Event` and :func:`emit_many`."""
    event = Event(kind, organization_id, subject, payload, tuple(to), reply_to)
    return emit_many([event])[0]


def emit_many(events: Iterable[Event]) -> list[OutboxEvent]:
    """Write events in the caller's transaction, with one INSERT; none when there are none.

    Raises:
        RuntimeError: there is no transaction, so the event could be told without its change.
        ValueError: a recipient's address cannot be one.
    """
    if not connection.in_atomic_block:
        raise RuntimeError("an event is emitted inside the transaction.atomic() of its change")
    request_id = context.current_origin().request_id[:64]
    actor_label = context.current_actor_label()
    rows = [_row(event, request_id, actor_label) for event in events]
    if not rows:
        return []
    insert_rows(rows)
    if not any(entry[1] is kick for entry in connection.run_on_commit):
        transaction.on_commit(kick, robust=True)
    return rows


def _row(event: Event, request_id: str, actor_label: str) -> OutboxEvent:
    if isinstance(event.subject, models.Model):
        subject_type = event.subject._meta.label_lower
        subject_id = str(event.subject.pk)
    else:
        subject_type, subject_id = event.subject[0], str(event.subject[1])
    for recipient in event.to:
        if not 3 <= len(recipient.address) <= 320 or any(c in recipient.address for c in "\r\n\0"):
            raise ValueError("a recipient's address is empty, too long or has a line break")
    return OutboxEvent(
        kind=event.kind,
        organization_id=event.organization_id,
        subject_type=subject_type,
        subject_id=subject_id,
        payload=dict(event.payload),
        recipients=[asdict(recipient) for recipient in event.to],
        reply_to=event.reply_to,
        request_id=request_id,
        actor_label=actor_label,
    )


def kick() -> None:
    """Ask a worker to run the relay now. A hint: the sweep every ten seconds is the promise.

    Costs microseconds and never raises: a thread of its own does the asking, so that a broker
    that is away or frozen delays nobody's booking.
    """
    if getattr(settings, "OUTBOX_KICK", True):
        _kicker.kick()


# Set while a relay is asked for and has not begun, by whichever process: one is enough, and a
# queue that no worker reads does not grow.
WANTED = "audit.relay_wanted"
WANTED_SECONDS = 10
EVERY_SECONDS = 0.05
PAUSE_SECONDS = 10.0  # after the broker did not answer


class _Kicker:
    """Turns any number of kicks into at most one message every ``EVERY_SECONDS``."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pid = 0
        self._wanted = threading.Event()
        self._connection: Any = None

    def kick(self) -> None:
        if self._pid != os.getpid():
            self._begin()
        self._wanted.set()

    def _begin(self) -> None:
        """Start the thread, also in a process that was forked from one that had it."""
        with self._lock:
            if self._pid == os.getpid():
                return
            self._wanted, self._connection = threading.Event(), None
            threading.Thread(target=self._work, name="outbox-kick", daemon=True).start()
            self._pid = os.getpid()

    def _work(self) -> None:
        while True:
            self._wanted.wait()
            self._wanted.clear()
            try:
                if cache.add(WANTED, 1, timeout=WANTED_SECONDS):
                    self._publish()
                pause = EVERY_SECONDS
            except Exception as error:
                self._connection, pause = None, PAUSE_SECONDS
                log.warning("outbox_kick_failed error=%s", type(error).__name__)
            time.sleep(pause)

    def _publish(self) -> None:
        from audit.tasks import relay_outbox

        if self._connection is None:
            self._connection = relay_outbox.app.connection_for_write(
                transport_options={"socket_timeout": 2, "socket_connect_timeout": 2}
            )
        relay_outbox.apply_async(connection=self._connection, retry=False, expires=WANTED_SECONDS)


_kicker = _Kicker()
