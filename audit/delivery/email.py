"""E-mail: rendered for its reader, sent over Django's mail backend."""

from __future__ import annotations

import re
import smtplib
import zoneinfo
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.utils import parseaddr
from typing import Any

from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.template import Context, TemplateDoesNotExist
from django.template.loader import get_template
from django.utils import timezone, translation

from audit.delivery.channels import ChannelAway, Failed, Refused
from audit.languages import supported
from audit.models import Delivery, OutboxEvent


class EmailChannel:
    """Sends to the recipients that an event names."""

    name = "email"

    def deliveries(self, events: Sequence[OutboxEvent]) -> list[Delivery]:
        return [
            Delivery(
                event=event,
                organization_id=event.organization_id,
                channel=self.name,
                address=recipient["address"],
                language=recipient.get("language", ""),
                time_zone=recipient.get("time_zone", ""),
            )
            for event in events
            for recipient in event.recipients
        ]

    @contextmanager
    def connect(self) -> Iterator[EmailSender]:
        backend = get_connection()
        _open(backend)
        try:
            yield EmailSender(backend)
        finally:
            with suppress(Exception):
                backend.close()


@dataclass
class EmailSender:
    """A connection to the mail server, opened anew after a message broke it."""

    backend: BaseEmailBackend
    broken: bool = False

    def send(self, delivery: Delivery) -> None:
        message = compose(delivery)
        if self.broken:
            _open(self.backend)
            self.broken = False
        try:
            self.backend.send_messages([message])
        except Exception as error:
            self.broken = True
            with suppress(Exception):
                self.backend.close()
            code = _permanent_code(error)
            if code is not None:
                raise Refused(f"The mail server refused this for good: {code}") from error
            if isinstance(error, (smtplib.SMTPException, OSError)):
                raise Failed(_describe(error)) from error
            raise


def _open(backend: BaseEmailBackend) -> None:
    try:
        backend.open()
    except (smtplib.SMTPException, OSError) as error:
        raise ChannelAway(f"The mail server cannot be used: {_describe(error)}") from error


def _permanent_code(error: Exception) -> str | None:
    """The status of a refusal that is about this message, if it is permanent (RFC 5321, 4.2.1).

    A refused sender address is not: that is our configuration, and will be corrected.
    """
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        answers = list(error.recipients.values())
        if answers and all(500 <= code < 600 for code, _text in answers):
            return _status(*answers[0])
    elif isinstance(error, smtplib.SMTPDataError) and 500 <= error.smtp_code < 600:
        return _status(error.smtp_code, error.smtp_error)
    return None


_ENHANCED = re.compile(rb"^\d\.\d{1,3}\.\d{1,3}")


def _status(code: int, text: bytes | str) -> str:
    """The numbers of an SMTP answer. Its words often quote the address."""
    raw = text.encode() if isinstance(text, str) else text
    enhanced = _ENHANCED.match(raw)
    return f"{code} {enhanced[0].decode()}" if enhanced else str(code)


def _describe(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        answer = next(iter(error.recipients.values()), None)
        return f"recipient refused, {_status(*answer)}" if answer else "recipient refused"
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{type(error).__name__} {_status(error.smtp_code, error.smtp_error)}"
    return type(error).__name__


@dataclass(frozen=True, slots=True)
class Rendered:
    """One message, as its reader gets it."""

    subject: str
    text: str
    html: str


def compose(delivery: Delivery) -> EmailMultiAlternatives:
    """The message of one delivery. Its Message-ID is the same on every attempt."""
    rendered = render(delivery.event, language=delivery.language, time_zone=delivery.time_zone)
    event = delivery.event
    message = EmailMultiAlternatives(
        subject=rendered.subject,
        body=rendered.text,
        to=[delivery.address],
        reply_to=[event.reply_to] if event.reply_to else None,
        headers={
            "Message-ID": message_id(delivery),
            "Auto-Submitted": "auto-generated",
            "X-Auto-Response-Suppress": "All",
        },
    )
    message.attach_alternative(rendered.html, "text/html")
    return message


def message_id(delivery: Delivery) -> str:
    """Made from the delivery, and from when it was queued: a resend is another message."""
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2] or "localhost"
    queued = int(delivery.queued_at.timestamp() * 1_000)
    return f"<{delivery.pk.hex}.{queued:x}@{domain}>"


def render(event: OutboxEvent, *, language: str = "", time_zone: str = "") -> Rendered:
    """The words of an event in a language, with times that have no zone of their own in one.

    Templates are ``templates/notifications/<kind>/{subject.txt,body.txt,body.html}``; they see the
    payload's members, and a single ``booking`` also as ``bookings``. What the payload does not
    have is left out.

    Raises:
        Failed: there are no templates for this kind.
    """
    folder = f"notifications/{event.kind}"
    context = {**event.payload, "event": event, "public_url": settings.PUBLIC_URL}
    if "booking" in context:
        context.setdefault("bookings", [context["booking"]])
    with translation.override(supported(language)), timezone.override(_zone(time_zone)):
        context["language_code"] = translation.get_language()
        try:
            subject = _render(f"{folder}/subject.txt", context, escape=False)
            text = _render(f"{folder}/body.txt", context, escape=False)
            html = _render(f"{folder}/body.html", context, escape=True)
        except TemplateDoesNotExist as error:
            raise Failed(f"There is no template {error}") from error
    return Rendered(" ".join(subject.split()), _tidy(text), html)


def _render(name: str, context: dict[str, Any], *, escape: bool) -> str:
    template = get_template(name, using="django").template  # type: ignore[attr-defined]
    rendered = template.render(Context(context, autoescape=escape))
    return str.__str__(rendered)  # not marked as safe: it is no part of anybody's page


def _tidy(text: str) -> str:
    """At most one empty line in a row, which template tags would leave behind."""
    lines = [line.rstrip() for line in text.strip().splitlines()]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)) + "\n"


def _zone(name: str) -> zoneinfo.ZoneInfo:
    try:
        return zoneinfo.ZoneInfo(name or settings.TIME_ZONE)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return zoneinfo.ZoneInfo(settings.TIME_ZONE)
