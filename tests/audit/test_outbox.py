"""Events are written with their change, and only with it (B9, promise 7)."""

from __future__ import annotations

import socket
import time
import uuid
from typing import Any

import pytest
from django.conf import settings as project
from django.core.cache import cache
from django.db import transaction

from audit import outbox, tasks
from audit.context import Actor, Origin, audited, origin
from audit.models import OutboxEvent
from audit.outbox import Event, Recipient
from bookings.models import Organization


class Undo(Exception):
    pass


def event(**changes: Any) -> Event:
    values: dict[str, Any] = {
        "kind": "thing.done",
        "organization_id": None,
        "subject": ("test.thing", "7"),
        "payload": {"n": 1},
    }
    return Event(**values | changes)


@pytest.mark.django_db(transaction=True)
def test_what_is_rolled_back_tells_nobody() -> None:
    def change() -> None:
        with transaction.atomic():
            outbox.emit_many([event()])
            raise Undo

    with pytest.raises(Undo):
        change()
    assert not OutboxEvent.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_an_event_without_a_transaction_is_refused() -> None:
    with pytest.raises(RuntimeError):
        outbox.emit_many([event()])
    assert not OutboxEvent.objects.exists()


@pytest.mark.django_db
def test_a_hundred_events_are_one_statement(django_assert_num_queries: Any) -> None:
    events = [event(to=[Recipient("a@example.com"), Recipient("b@example.com")])] * 100
    with django_assert_num_queries(1):
        outbox.emit_many(events)
    with django_assert_num_queries(0):
        outbox.emit_many([])


@pytest.mark.django_db
def test_an_event_knows_its_subject_its_cause_and_its_recipients() -> None:
    organization = Organization.objects.create(name="One", slug="one")
    actor = Actor("staff", uuid.uuid4(), "Ana")
    with origin(Origin(request_id="request-1")), transaction.atomic(), audited(actor):
        outbox.emit(
            "organization.made",
            organization_id=organization.pk,
            subject=organization,
            payload={"name": "One"},
            to=[Recipient("a@example.com", "de", "Europe/Berlin")],
            reply_to="office@example.com",
        )
    stored = OutboxEvent.objects.get()
    assert stored.subject_type == "bookings.organization"
    assert stored.subject_id == str(organization.pk)
    assert (stored.request_id, stored.actor_label) == ("request-1", "Ana")
    assert stored.recipients == [
        {"address": "a@example.com", "language": "de", "time_zone": "Europe/Berlin"}
    ]
    assert stored.reply_to == "office@example.com"
    assert stored.dispatched_at is None


@pytest.mark.django_db
@pytest.mark.parametrize("address", ["", "a@b.c\nBcc: x@y.z", "a" * 400])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(ValueError):
        outbox.emit_many([event(to=[Recipient(address)])])
    assert not OutboxEvent.objects.exists()


@pytest.fixture
def kicks(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kicks as in production, from a process that has not kicked yet."""
    settings.OUTBOX_KICK = True
    monkeypatch.setattr(outbox, "_kicker", outbox._Kicker())


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("kicks")
def test_commits_ask_a_worker_for_the_relay_once_until_it_runs() -> None:
    queue = cache._cache.get_client()  # type: ignore[attr-defined]
    name = project.CELERY_TASK_DEFAULT_QUEUE
    queue.delete(name)
    cache.delete(outbox.WANTED)

    def commit_some() -> None:
        for _ in range(3):
            with transaction.atomic():
                outbox.emit_many([event()])
                outbox.emit_many([event()])

    def asked(times: int) -> bool:
        deadline = time.monotonic() + 10
        while queue.llen(name) < times and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(3 * outbox.EVERY_SECONDS)
        return bool(queue.llen(name) == times)

    commit_some()
    assert asked(1)
    commit_some()
    assert asked(1)
    tasks.relay_outbox()
    commit_some()
    assert asked(2)
    queue.delete(name)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("kicks")
@pytest.mark.parametrize("broker", ["refuses", "is frozen"])
def test_a_broker_that_is_away_costs_a_booking_nothing(broker: str, settings: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:  # accepts, and never answers
        port = nobody.getsockname()[1] if broker == "is frozen" else 1
        redis = f"redis://127.0.0.1:{port}/0"
        settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": redis}}
        began = time.perf_counter()
        for _ in range(20):
            with transaction.atomic():
                outbox.emit_many([event()])
        assert time.perf_counter() - began < 1
    assert OutboxEvent.objects.count() == 20
