"""Delivered at least once with one id, whatever dies in between (B9, promises 7 and 9)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from audit.context import Actor
from audit.delivery import relay
from audit.delivery.channels import Failed, Refused
from audit.delivery.resend import cancel, resend
from audit.models import Delivery, DeliveryStatus, OutboxEvent
from tests.audit.conftest import MailServer, Recorder, tell
from tests.concurrency import race

PROJECT = Path(__file__).parents[2]
STAFF = Actor("staff", None, "Ana")


def make_due() -> None:
    Delivery.objects.update(next_attempt_at=timezone.now() - timedelta(seconds=1))


def only() -> Delivery:
    return Delivery.objects.get()


@pytest.mark.django_db
def test_an_event_reaches_each_of_its_recipients() -> None:
    event = tell("a@example.com", "b@example.com")
    channel = Recorder()
    result = relay.run(channels=[channel])
    assert (result.dispatched, result.delivered) == (1, 2)
    deliveries = {d.address: d for d in Delivery.objects.all()}
    assert sorted(channel.sent) == sorted(d.pk for d in deliveries.values())
    assert {d.status for d in deliveries.values()} == {DeliveryStatus.DELIVERED}
    assert all(d.delivered_at for d in deliveries.values())
    event.refresh_from_db()
    assert event.dispatched_at is not None
    assert event.recipients == []


@pytest.mark.django_db
def test_a_second_run_finds_nothing_to_do() -> None:
    tell("a@example.com")
    channel = Recorder()
    relay.run(channels=[channel])
    again = relay.run(channels=[channel])
    assert (again.dispatched, again.delivered) == (0, 0)
    assert len(channel.sent) == 1


@pytest.mark.django_db
def test_naming_an_address_twice_makes_one_message() -> None:
    tell("a@example.com", "a@example.com")
    channel = Recorder()
    relay.run(channels=[channel])
    assert len(channel.sent) == 1


@pytest.mark.django_db(transaction=True)
def test_relays_at_the_same_time_send_each_message_once() -> None:
    for number in range(60):
        tell(f"person{number}@example.com")
    channel = Recorder()
    race(*[lambda: relay.run(channels=[channel], batch=5)] * 4)
    assert len(channel.sent) == len(set(channel.sent)) == 60
    assert Delivery.objects.filter(status=DeliveryStatus.DELIVERED).count() == 60
    assert set(Delivery.objects.values_list("attempts", flat=True)) == {1}


@pytest.mark.django_db(transaction=True)
def test_without_the_claim_relays_send_twice() -> None:
    """The control: the race is real, and only the claim prevents it."""
    for number in range(30):
        tell(f"person{number}@example.com")
    channel = Recorder()
    relay.dispatch([channel])

    def naive() -> None:
        for delivery in Delivery.objects.filter(status=DeliveryStatus.QUEUED):
            channel.send(delivery)
            Delivery.objects.filter(pk=delivery.pk).update(
                status=DeliveryStatus.DELIVERED, delivered_at=timezone.now()
            )

    race(*[naive] * 4)
    assert len(channel.sent) > 30


@pytest.mark.django_db
def test_a_failure_is_noted_and_tried_again_later() -> None:
    tell("a@example.com")
    relay.run(channels=[Recorder(fail=Failed("the server said 451"))])
    failed = only()
    assert (failed.status, failed.attempts) == (DeliveryStatus.FAILED, 1)
    assert failed.last_error == "the server said 451"
    assert failed.next_attempt_at <= timezone.now() + relay.BACKOFF_BASE
    make_due()
    channel = Recorder()
    relay.run(channels=[channel])
    assert channel.sent == [failed.pk]
    delivered = only()
    assert (delivered.status, delivered.attempts) == (DeliveryStatus.DELIVERED, 2)
    assert delivered.last_error == ""


def test_the_backoff_doubles_is_jittered_and_has_a_cap() -> None:
    for attempts in range(1, 40):
        longest = min(relay.BACKOFF_BASE * 2 ** (attempts - 1), relay.BACKOFF_CAP)
        waits = [relay.backoff(attempts) for _ in range(200)]
        assert all(timedelta() <= wait <= longest for wait in waits)
        assert max(waits) > longest * 0.8
        assert min(waits) < longest * 0.2


@pytest.mark.django_db
def test_it_is_given_up_when_the_budget_is_used_up() -> None:
    tell("a@example.com")
    for _ in range(30):
        relay.run(channels=[Recorder(fail=Failed("no"))])
        make_due()
    assert (only().status, only().attempts) == (DeliveryStatus.DEAD, only().max_attempts)


@pytest.mark.django_db
def test_a_refusal_for_good_is_not_tried_again() -> None:
    tell("a@example.com")
    result = relay.run(channels=[Recorder(fail=Refused("550"))])
    assert result.dead == 1
    assert (only().status, only().attempts) == (DeliveryStatus.DEAD, 1)


@pytest.mark.django_db
def test_a_server_that_is_away_uses_up_no_attempts() -> None:
    tell("a@example.com")
    for _ in range(20):
        relay.run(channels=[Recorder(away=True)])
        make_due()
    assert (only().status, only().attempts) == (DeliveryStatus.FAILED, 0)
    channel = Recorder()
    relay.run(channels=[channel])
    assert len(channel.sent) == 1


@pytest.mark.django_db
def test_a_server_that_stays_away_for_days_is_given_up() -> None:
    tell("a@example.com")
    relay.run(channels=[Recorder(away=True)])
    Delivery.objects.update(queued_at=timezone.now() - relay.GIVE_UP_AFTER - timedelta(hours=1))
    make_due()
    relay.run(channels=[Recorder(away=True)])
    assert only().status == DeliveryStatus.DEAD


@pytest.mark.django_db
def test_a_worker_lost_on_the_last_attempt_is_not_replaced_for_ever() -> None:
    tell("a@example.com")
    relay.dispatch([Recorder()])
    Delivery.objects.update(status=DeliveryStatus.SENDING, attempts=12)
    make_due()
    channel = Recorder()
    relay.run(channels=[channel])
    assert only().status == DeliveryStatus.DEAD
    assert channel.sent == []


@pytest.mark.django_db
def test_a_message_being_sent_by_a_living_worker_is_left_alone() -> None:
    tell("a@example.com")
    relay.dispatch([Recorder()])
    Delivery.objects.update(
        status=DeliveryStatus.SENDING,
        attempts=1,
        next_attempt_at=timezone.now() + timedelta(minutes=1),
    )
    channel = Recorder()
    relay.run(channels=[channel])
    assert channel.sent == []


@pytest.mark.django_db
def test_what_there_was_no_time_for_is_still_due() -> None:
    tell("a@example.com", "b@example.com")

    class Slow(Recorder):
        def send(self, delivery: Delivery) -> None:
            super().send(delivery)
            time.sleep(0.3)

    slow = Slow()
    relay.run(channels=[slow], time_limit=0.25)
    assert len(slow.sent) == 1
    waiting = Delivery.objects.exclude(pk__in=slow.sent).get()
    assert (waiting.status, waiting.attempts) == (DeliveryStatus.QUEUED, 0)
    relay.run(channels=[slow])
    assert len(slow.sent) == 2


@pytest.mark.django_db
def test_a_poisoned_message_does_not_stop_the_others(mail_server: MailServer) -> None:
    tell("a@example.com")
    tell("b@example.com", kind="there.are_no_templates")
    tell("c@example.com", checks="not what the template expects", kind="consistency.found")
    tell("d@example.com")
    relay.run()
    assert {m["To"] for m in mail_server.messages} >= {"a@example.com", "d@example.com"}
    poisoned = Delivery.objects.get(address="b@example.com")
    assert poisoned.status == DeliveryStatus.FAILED
    assert "there.are_no_templates" in poisoned.last_error


@pytest.mark.django_db
def test_an_event_that_cannot_be_handed_out_is_put_aside() -> None:
    good, bad = tell("a@example.com"), tell("b@example.com")
    OutboxEvent.objects.filter(pk=bad.pk).update(recipients=[{"no": "address"}])
    channel = Recorder()
    relay.run(channels=[channel])
    assert list(Delivery.objects.values_list("event", flat=True)) == [good.pk]
    bad.refresh_from_db()
    assert bad.error == "KeyError"


@pytest.mark.django_db
def test_a_mail_server_refusing_one_recipient_gets_the_others(mail_server: MailServer) -> None:
    mail_server.refuse = {
        "gone@example.com": "550 5.1.1 <gone@example.com> is unknown",
        "later@example.com": "451 4.7.1 later please",
    }
    tell("a@example.com", "gone@example.com", "later@example.com", "z@example.com")
    relay.run()
    status = dict(Delivery.objects.values_list("address", "status"))
    assert status == {
        "a@example.com": DeliveryStatus.DELIVERED,
        "gone@example.com": DeliveryStatus.DEAD,
        "later@example.com": DeliveryStatus.FAILED,
        "z@example.com": DeliveryStatus.DELIVERED,
    }
    errors = dict(Delivery.objects.values_list("address", "last_error"))
    assert "550 5.1.1" in errors["gone@example.com"]
    assert "451 4.7.1" in errors["later@example.com"]
    assert not any("example.com" in error for error in errors.values())


@pytest.mark.django_db
def test_without_a_mail_server_mail_waits(settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    tell("a@example.com")
    relay.run()
    assert (only().status, only().attempts) == (DeliveryStatus.FAILED, 0)


RELAY_IN_A_PROCESS = """
import os, signal, sys
import django
django.setup()
from audit.delivery import relay
if sys.argv[1] == "die after sending":
    relay._record = lambda *args, **kwargs: os.kill(os.getpid(), signal.SIGKILL)
relay.run()
"""


def relay_process(mail_server: MailServer, settings: Any, mode: str) -> int:
    where = connection.settings_dict
    url = (
        f"postgresql://{where['USER']}:{where['PASSWORD']}@/{where['NAME']}"
        f"?host={where['HOST'] or where['OPTIONS'].get('host', '')}&port={where['PORT'] or 5432}"
    )
    environment = os.environ | {
        "DATABASE_URL": url,
        "DJANGO_SETTINGS_MODULE": "tests.audit.mail_settings",
        "TEST_EMAIL_PORT": str(settings.EMAIL_PORT),
        "PYTHONPATH": str(PROJECT),
    }
    return subprocess.run(
        [sys.executable, "-c", RELAY_IN_A_PROCESS, mode],
        cwd=PROJECT,
        env=environment,
        timeout=60,
        check=False,
    ).returncode


@pytest.mark.django_db(transaction=True)
def test_a_relay_killed_after_sending_is_replaced_with_the_same_message_id(
    mail_server: MailServer, settings: Any
) -> None:
    tell("a@example.com")
    assert relay_process(mail_server, settings, "die after sending") == -signal.SIGKILL
    assert len(mail_server.messages) == 1
    assert only().status == DeliveryStatus.SENDING
    assert relay_process(mail_server, settings, "live") == 0
    assert len(mail_server.messages) == 1, "the lease had not run out yet"
    make_due()
    assert relay_process(mail_server, settings, "live") == 0
    first, second = mail_server.ids()
    assert first == second
    assert (only().status, only().attempts) == (DeliveryStatus.DELIVERED, 2)


@pytest.mark.django_db
def test_a_late_result_does_not_overwrite_a_newer_attempt() -> None:
    tell("a@example.com")
    relay.dispatch([Recorder()])

    class LosesItsLease(Recorder):
        def send(self, delivery: Delivery) -> None:
            Delivery.objects.update(attempts=2)  # another relay took it meanwhile
            raise Failed("late")

    relay.run(channels=[LosesItsLease()])
    assert (only().status, only().last_error) == (DeliveryStatus.SENDING, "")


@pytest.mark.django_db
def test_resending_gives_a_new_budget_and_a_new_message_id(mail_server: MailServer) -> None:
    tell("a@example.com")
    relay.run()
    Delivery.objects.update(
        queued_at=timezone.now() - timedelta(hours=1), attempts=12, status=DeliveryStatus.DEAD
    )
    assert resend(delivery_ids=[only().pk], actor=STAFF) == 1
    assert (only().status, only().attempts) == (DeliveryStatus.QUEUED, 0)
    relay.run()
    assert only().status == DeliveryStatus.DELIVERED
    assert len(set(mail_server.ids())) == 2


@pytest.mark.django_db
def test_what_is_being_sent_is_neither_resent_nor_cancelled() -> None:
    tell("a@example.com")
    relay.dispatch([Recorder()])
    Delivery.objects.update(status=DeliveryStatus.SENDING)
    assert resend(delivery_ids=[only().pk], actor=STAFF) == 0
    assert cancel(delivery_ids=[only().pk], actor=STAFF) == 0
    assert only().status == DeliveryStatus.SENDING


@pytest.mark.django_db
def test_a_cancelled_message_is_not_sent() -> None:
    tell("a@example.com")
    relay.dispatch([Recorder()])
    assert cancel(delivery_ids=[only().pk], actor=STAFF) == 1
    channel = Recorder()
    relay.run(channels=[channel])
    assert channel.sent == []
    assert only().status == DeliveryStatus.CANCELLED


@pytest.mark.django_db(transaction=True)
def test_a_database_that_is_slow_for_a_moment_loses_no_event() -> None:
    event = tell("a@example.com")

    def slow(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith('INSERT INTO "audit_delivery"'):
            raise OperationalError("canceling statement due to statement timeout")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(slow), pytest.raises(OperationalError):
        relay.run(channels=[Recorder()])
    event.refresh_from_db()
    assert (event.dispatched_at, event.error) == (None, "")

    assert relay.run(channels=[Recorder()]).delivered == 1
