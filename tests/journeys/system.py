"""The whole system, really running: web server, worker, beat, Valkey and a mail server.

It works on the database of the test run. Everything is a child of this process and ends with it.
"""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from django.conf import settings
from django.db import connection
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from config.beat import FIRST_TICK
from config.celery import CELERY_BEAT_SCHEDULE
from config.demo.processes import Process, free_port
from config.embedded import Servers, urls

READY_SECONDS = 60.0
HURRIED = ("expire-holds", "complete-bookings", "relay-outbox")


def eventually(what: Callable[[], Any], *, seconds: float = 30.0) -> Any:
    """What ``what`` returns as soon as that is true.

    Raises:
        AssertionError: it was not within that time; says what it was last.
    """
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {found!r}"
        time.sleep(0.05)
    return found


class MailServer:
    """Takes every mail; ``before_each`` is called before a mail is accepted."""

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []
        self.before_each: Callable[[], None] = lambda: None
        self.port = free_port(0)
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.before_each()
        assert isinstance(envelope.content, bytes)
        self.messages.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 OK"

    def start(self) -> None:
        self._controller.start()

    def stop(self) -> None:
        self._controller.stop()

    def to(self, address: str) -> list[EmailMessage]:
        return [m for m in self.messages if address in str(m["to"])]

    def ids(self) -> Counter[str]:
        """How often each message came."""
        return Counter(str(m["Message-ID"]) for m in self.messages)

    def forget(self) -> None:
        self.messages.clear()


class System:
    """Started and stopped as a whole; each part can be killed and started again.

    Attributes:
        url: of the web server.
        mail: the mail server.
        proofs: where proofs of payment are stored.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.proofs = directory / "proofs"
        self.mail = MailServer()
        port = free_port(0)
        self.url = f"http://127.0.0.1:{port}"
        self.valkey = Servers(directory / "valkey", postgres=False)
        web = "granian --interface wsgi --no-ws --host 127.0.0.1 --workers 2 --blocking-threads 4"
        worker = "celery -A config.celery worker --concurrency 2 --without-gossip --without-mingle"
        beat = "celery -A config.celery beat --pidfile= --scheduler config.beat:Scheduler"
        loud = "--loglevel INFO"
        self._parts = {
            "web": self._part(
                "web",
                f"{web} --respawn-failed-workers --port {port} config.wsgi:application",
                lambda log: self._answers(),
            ),
            "worker": self._part(
                "worker",
                f"{worker} --queues default --hostname journey{os.getpid()}@localhost {loud}",
                lambda log: " ready." in log,
            ),
            "beat": self._part("beat", f"{beat} {loud}", lambda log: FIRST_TICK in log),
        }

    def _part(self, name: str, command: str, ready: Callable[[str], bool]) -> Process:
        return Process(name, command.split(), log=self.directory / f"{name}.log", ready=ready)

    def _environment(self) -> dict[str, str]:
        data = Path(str(settings.DATA_DIR))
        whole = os.environ.get("DATABASE_URL") or urls(data).database_url
        name = connection.settings_dict["NAME"]
        return {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.journeys.settings",
            "DATABASE_URL": urlsplit(whole)._replace(path=f"/{name}").geturl(),
            "REDIS_URL": urls(self.directory / "valkey").redis_url,
            "JOURNEY_EMAIL_PORT": str(self.mail.port),
            "JOURNEY_PROOF_ROOT": str(self.proofs),
            "DATABASE_POOL_SIZE": "8",
            "PUBLIC_URL": self.url,
            "PYTHONUNBUFFERED": "1",
        }

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz/", timeout=5).is_success
        except httpx.TransportError:
            return False

    def start(self) -> None:
        self.mail.start()
        self.valkey.start()
        hurry()
        for name in self._parts:
            self.start_part(name)
        for name in self._parts:
            self.wait_for(name)

    def stop(self) -> None:
        for name in ("beat", "web", "worker"):
            self._parts[name].ask_to_stop()
        for name in ("beat", "web", "worker"):
            self._parts[name].wait_until_stopped()
        self.valkey.stop()
        self.mail.stop()

    def start_part(self, name: str) -> None:
        self._parts[name].start(self._environment())

    def wait_for(self, name: str) -> None:
        part = self._parts[name]

        def ready() -> bool:
            assert not part.died, f"{name} ended:\n{self.log(name)}"
            return part.is_ready()

        eventually(ready, seconds=READY_SECONDS)

    def kill(self, name: str) -> None:
        """SIGKILL for a part and all its children at once, as by the kernel or a power cut."""
        process = self._parts[name]._process
        assert process is not None
        os.killpg(process.pid, signal.SIGKILL)
        self._parts[name].wait_until_stopped()

    def kill_a_web_worker(self) -> None:
        """SIGKILL for one of the processes that answer requests; granian starts another."""
        process = self._parts["web"]._process
        assert process is not None
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(children[0]), signal.SIGKILL)

    def kill_valkey(self) -> None:
        """SIGKILL; what it held is gone, as it keeps nothing on disk."""
        (server,) = self.valkey._servers
        assert server._process is not None
        server._process.kill()
        self.valkey.stop()

    def log(self, name: str) -> str:
        return self._parts[name].log.read_text(errors="replace")[-5_000:]

    def errors(self) -> list[str]:
        """What the processes logged as errors since they were started."""
        return [
            f"{name}: {line}"
            for name, part in self._parts.items()
            for line in part.log.read_text(errors="replace").splitlines()
            if '"level": "error"' in line or "Traceback" in line
        ]


def hurry() -> None:
    """Let what beat starts every minute come every two seconds, as an administrator could."""
    every, _ = IntervalSchedule.objects.get_or_create(every=2, period=IntervalSchedule.SECONDS)
    for name in HURRIED:
        PeriodicTask.objects.create(
            name=name, task=CELERY_BEAT_SCHEDULE[name]["task"], interval=every, expire_seconds=10
        )


OPEN: list[httpx.Client] = []  # closed at the end of each test


def hang_up() -> None:
    """Close what the people of a test have left open."""
    while OPEN:
        OPEN.pop().close()


class Person:
    """Somebody who uses one organisation's API over HTTP."""

    def __init__(self, system: System, organization: str, token: str = "") -> None:
        self.http = httpx.Client(
            base_url=f"{system.url}/api/v1/organizations/{organization}/",
            headers={"X-Session-Token": token} if token else {},
            timeout=30,
            verify=False,  # there is no TLS here; reading the certificates costs 20 ms a client
        )
        OPEN.append(self.http)
        self._url = system.url
        self.email = ""

    def sign(self, how: str, email: str, password: str) -> None:
        """``signup`` or ``login``."""
        answer = self.http.post(
            f"{self._url}/_allauth/app/v1/auth/{how}", json={"email": email, "password": password}
        )
        assert answer.status_code == 200, answer.text
        self.http.headers["X-Session-Token"] = answer.json()["meta"]["session_token"]

    def get(self, path: str, **params: Any) -> Any:
        answer = self.http.get(path, params=params)
        assert answer.status_code == 200, (path, answer.text)
        return answer.json()

    def post(self, path: str, body: Any = None, *, key: str = "", **kwargs: Any) -> httpx.Response:
        if not kwargs:
            kwargs["json"] = body or {}
        headers = {"Idempotency-Key": key} if key else {}
        return self.http.post(path, headers=headers, **kwargs)

    def did(self, path: str, body: Any = None, **kwargs: Any) -> Any:
        """The answer to a POST that must succeed."""
        answer = self.post(path, body, **kwargs)
        assert answer.is_success, (path, answer.status_code, answer.text)
        return answer.json()

    def refused(self, path: str, body: Any = None, **kwargs: Any) -> tuple[int, str]:
        """Status and code of a POST that must be refused."""
        answer = self.post(path, body, **kwargs)
        assert 400 <= answer.status_code < 500, (path, answer.status_code, answer.text)
        return answer.status_code, answer.json()["code"]


def noon_zone() -> str:
    """A time zone in which it is about noon now, so that today lasts long enough for a test."""
    offset = 12 - datetime.now(UTC).hour
    return f"Etc/GMT{-offset:+d}" if offset else "UTC"  # the signs of these names are reversed
