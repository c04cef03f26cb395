"""What people read: in their language, with times where the booking is (B9, F2)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from audit.delivery import relay
from audit.delivery.email import render
from audit.models import OutboxEvent
from tests.audit.conftest import MailServer, tell

KINDS = sorted(p.name for p in Path("templates/notifications").iterdir() if p.is_dir())

COURT = {
    "reference": "B-1",
    "resource": "Court <1> & hall",
    "starts_at": "2026-07-03T22:30:00+00:00",
    "ends_at": "2026-07-03T23:30:00+00:00",
    "time_zone": "Europe/Berlin",
    "units": 2,
}
ENTRY = {key: value for key, value in COURT.items() if key != "reference"}
PAYLOAD: dict[str, Any] = {
    "organization": "Tennis & Co",
    "customer": "Ana <b>",
    "reference": "T-1",
    "amount": "48.00",
    "currency": "EUR",
    "payment_method": "pay_now",
    "payment_instructions": "IBAN 1\nname the reference",
    "due_at": "2026-07-02T10:00:00+00:00",
    "reason": "It rains & pours",
    "booking": COURT,
    "bookings": [COURT],
    "entry": ENTRY,
    "position": 2,
    "answer_until": "2026-07-02T18:00:00+00:00",
    "operation": "transaction.approve",
    "ids": {"transaction": "42"},
    "error": "OperationalError",
    "findings": 3,
    "checks": [{"id": "a.b", "title": "All is well", "severity": "error", "found": 3, "error": ""}],
    "examples": ["a.b: one is wrong"],
    "started_at": "2026-07-02T02:00:00+00:00",
    "count": 22,
    "more": 20,
    "transactions": [
        {
            "reference": "T-2",
            "customer": "Ana <b>",
            "amount": "48.00",
            "currency": "EUR",
            "due_at": "2026-07-02T10:00:00+00:00",
            "time_zone": "Europe/Berlin",
            "escalations": number,
        }
        for number in (1, 2)
    ],
    "stated": "40.00",
}
OF_PLACES = ("transaction.", "booking.", "waitlist.", "payment.late", "proof.received")
OF_MANY = {"transaction.review_overdue"}  # names transactions, not their times


def words(kind: str, payload: dict[str, Any] = PAYLOAD, **kwargs: str) -> Any:
    event = OutboxEvent(kind=kind, payload=payload, subject_type="test", subject_id="1")
    return render(event, **kwargs)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_subject_a_text_and_a_page(kind: str) -> None:
    mail = words(kind)
    assert mail.subject
    assert "\n" not in mail.subject
    assert mail.text.strip()
    assert mail.html.startswith("<!doctype html>")


@pytest.mark.parametrize("kind", KINDS)
def test_a_payload_with_gaps_makes_a_message_with_gaps(kind: str) -> None:
    mail = words(kind, {})
    assert mail.subject
    assert "None" not in mail.text + mail.html


@pytest.mark.parametrize("kind", KINDS)
def test_what_people_wrote_is_escaped_in_html_and_plain_in_text(kind: str) -> None:
    mail = words(kind)
    assert "Ana <b>" not in mail.html
    assert "Court <1>" not in mail.html
    assert "&amp;" not in mail.text
    assert "&lt;" not in mail.text


@pytest.mark.parametrize("kind", [k for k in KINDS if k.startswith(OF_PLACES) and k not in OF_MANY])
def test_times_are_those_of_the_place(kind: str) -> None:
    mail = words(kind, time_zone="America/New_York")
    assert "4 July 2026, 00:30" in mail.text
    assert "01:30 (Europe/Berlin)" in mail.text
    assert "4 July 2026, 00:30" in mail.html


def test_days_are_named_in_the_readers_language() -> None:
    assert "Saturday" in words("booking.cancelled", language="en").text
    assert "Samstag" in words("booking.cancelled", language="de").text
    assert 'lang="de"' in words("booking.cancelled", language="de").html
    assert "Saturday" in words("booking.cancelled", language="tlh").text


def test_an_unknown_time_zone_does_not_stop_a_message() -> None:
    court = COURT | {"time_zone": "Mars/Olympus"}
    mail = words("booking.cancelled", PAYLOAD | {"bookings": [court]}, time_zone="also/wrong")
    assert "22:30" in mail.text


def test_a_checkout_says_how_much_how_and_until_when() -> None:
    text = words("transaction.received").text
    for expected in ("T-1", "48.00 EUR", "Pay now", "IBAN 1", "2 July 2026, 12:00"):
        assert expected in text


def test_overdue_reviews_are_listed_with_when_they_were_due() -> None:
    mail = words("transaction.review_overdue")
    assert mail.subject.startswith("22 orders wait")
    for expected in ("T-2", "48.00 EUR", "2 July 2026, 12:00", "no. 2", "And 20 more"):
        assert expected in mail.text
        assert expected in mail.html
    assert "/admin/" in mail.text


def test_who_paid_too_late_reads_that_nothing_is_lost() -> None:
    text = words("payment.late").text
    for expected in ("not lost", "money back", "credit", "another time"):
        assert expected in text
    assert "It rains & pours" not in text  # in whose way the seats are is for the staff


def test_an_approval_says_where_the_codes_are() -> None:
    assert "QR code" in words("transaction.approved").text


@pytest.mark.parametrize("kind", ["transaction.rejected", "transaction.cancelled"])
def test_a_refusal_says_why(kind: str) -> None:
    assert "It rains & pours" in words(kind).text


@pytest.mark.django_db
def test_a_mail_has_both_forms_and_says_that_a_machine_sent_it(mail_server: MailServer) -> None:
    event = tell("ana@example.com", kind="transaction.approved", **PAYLOAD)
    OutboxEvent.objects.filter(pk=event.pk).update(reply_to="office@example.com")
    relay.run()
    (message,) = mail_server.messages
    assert message["To"] == "ana@example.com"
    assert message["Reply-To"] == "office@example.com"
    assert message["Auto-Submitted"] == "auto-generated"
    assert re.fullmatch(r"<[0-9a-f]{32}\.[0-9a-f]+@example\.com>", message["Message-ID"])
    assert [part.get_content_type() for part in message.iter_parts()] == [
        "text/plain",
        "text/html",
    ]


@pytest.mark.django_db
def test_a_line_break_in_a_name_adds_no_header(mail_server: MailServer) -> None:
    name = "Court\r\nBcc: everybody@example.com"
    tell("ana@example.com", booking=COURT | {"resource": name})
    relay.run()
    (message,) = mail_server.messages
    assert message["Bcc"] is None
    assert "Bcc: everybody" in message["Subject"]


def test_dates_of_python_work_like_those_of_json() -> None:
    now = timezone.now()
    kind = "consistency.found"
    assert words(kind, PAYLOAD | {"started_at": now}).text == (
        words(kind, PAYLOAD | {"started_at": now.isoformat()}).text
    )
