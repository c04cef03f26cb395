"""What the tests of audit share: a real mail server, and recorders in place of channels."""

from __future__ import annotations

import socket
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from django.db import transaction

from audit import outbox
from audit.delivery.channels import ChannelAway
from audit.models import Delivery, OutboxEvent


@pytest.fixture(autouse=True)
def _no_kicks(settings: Any) -> None:
    settings.OUTBOX_KICK = False


@dataclass
class MailServer:
    """Keeps what it is given; answers what ``refuse`` says for a recipient."""

    messages: list[EmailMessage] = field(default_factory=list)
    refuse: dict[str, str] = field(default_factory=dict)

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.refuse:
            return self.refuse[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        self.messages.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 OK"

    def ids(self) -> list[str]:
        return [str(message["Message-ID"]) for message in self.messages]


@pytest.fixture
def mail_server(settings: Any) -> Iterator[MailServer]:
    """A mail server on a port of its own, and the settings that send to it."""
    handler = MailServer()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    controller = Controller(handler, hostname="127.0.0.1", port=port)
    controller.start()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST = "127.0.0.1"
    settings.EMAIL_PORT = port
    yield handler
    controller.stop()


class Recorder:
    """A channel that notes what it sends, from any number of threads."""

    name = "email"

    def __init__(self, *, fail: Exception | None = None, away: bool = False) -> None:
        self.fail, self.away = fail, away
        self.sent: list[uuid.UUID] = []
        self._lock = threading.Lock()

    def deliveries(self, events: Sequence[OutboxEvent]) -> list[Delivery]:
        return [
            Delivery(event=event, channel=self.name, address=recipient["address"])
            for event in events
            for recipient in event.recipients
        ]

    @contextmanager
    def connect(self) -> Iterator[Recorder]:
        if self.away:
            raise ChannelAway("nobody there")
        yield self

    def send(self, delivery: Delivery) -> None:
        if self.fail is not None:
            raise self.fail
        with self._lock:
            self.sent.append(delivery.pk)


def tell(
    *addresses: str,
    kind: str = "booking.cancelled",
    organization_id: uuid.UUID | None = None,
    **payload: Any,
) -> OutboxEvent:
    """An event that is committed with its recipients."""
    with transaction.atomic():
        return outbox.emit(
            kind,
            organization_id=organization_id,
            subject=("test.thing", uuid.uuid4()),
            payload=payload,
            to=[outbox.Recipient(address) for address in addresses],
        )
