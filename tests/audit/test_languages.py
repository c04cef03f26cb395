"""Every mail in every language: nothing is left in English, and numbers read right (B9, F2)."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils.translation import override

from audit import languages
from audit.models import OutboxEvent
from tests.audit.mails import english_in
from tests.audit.test_email import COURT, KINDS, PAYLOAD, words

ELSEWHEN = {
    "resource": "Platz 2",
    "starts_at": "2026-07-05T09:00:00+00:00",
    "ends_at": "2026-07-05T10:00:00+00:00",
    "time_zone": "Europe/Berlin",
}
#: Whatever any kind may say, so that every branch of every template is taken.
FULL: dict[str, Any] = PAYLOAD | {
    "reason": "Not paid in time.",
    "resource": "Platz 1",
    "proposed": ELSEWHEN,
    "previous": ELSEWHEN,
    "price_stays": {"amount": "1248.50", "currency": "EUR"},
    "message": "Wir bauen um.",
    "actor": "Maria",
    "request_id": "r-1",
    "amount": "1248.00",
    "checks": [{"id": "a.b", "title": "Alles gut", "severity": "error", "found": 3, "error": ""}],
    "examples": ["a.b: eines"],
}
WINDOW = {
    "resource": "Platz 1",
    "from_at": ELSEWHEN["starts_at"],
    "until_at": ELSEWHEN["ends_at"],
    "time_zone": "Europe/Berlin",
    "units": 1,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "payload",
    [FULL, FULL | {"entry": WINDOW, "position": 0, "findings": 1, "checks": [{"error": "x"}]}],
    ids=["all", "other branches"],
)
@pytest.mark.parametrize("reply_to", ["", "office@example.com"])
def test_a_german_reads_german_and_an_english_reader_english(
    kind: str, payload: dict[str, Any], reply_to: str
) -> None:
    event = OutboxEvent(
        kind=kind, payload=payload, reply_to=reply_to, subject_type="test", subject_id="1"
    )
    assert english_in(event, language="de") == []
    assert len(english_in(event, language="en")) >= 3  # or looking for it would find nothing


@pytest.mark.parametrize("kind", KINDS)
def test_no_gap_is_left_open_in_any_language(kind: str) -> None:
    for language in ("de", "en"):
        mail = words(kind, FULL, language=language)
        assert "%(" not in mail.subject + mail.text + mail.html.partition("</style>")[2]


def test_moments_and_stretches_of_time_are_written_as_germans_write_them() -> None:
    mail = words("booking.reschedule_proposed", FULL, language="de")
    for expected in (
        "Samstag, 4. Juli 2026, 00:30 – 01:30 Uhr (Europe/Berlin)",
        "Bitte antworten Sie bis Donnerstag, 2. Juli 2026, 20:00 Uhr (Europe/Berlin).",
    ):
        assert expected in mail.text
        assert expected in mail.html


def test_a_stretch_over_midnight_names_both_days() -> None:
    night = COURT | {"starts_at": "2026-07-03T21:00:00+00:00"}
    mail = words("booking.cancelled", FULL | {"bookings": [night]}, language="de")
    assert (
        "Freitag, 3. Juli 2026, 23:00 – Samstag, 4. Juli 2026, 01:30 Uhr (Europe/Berlin)"
        in mail.text
    )


@pytest.mark.parametrize(
    ("language", "amount", "price"),
    [("en", "1,248.00 EUR", "1,248.50 EUR"), ("de", "1.248,00 EUR", "1.248,50 EUR")],
)
def test_money_is_written_as_the_reader_writes_numbers(
    language: str, amount: str, price: str
) -> None:
    for form in ("text", "html"):
        assert amount in getattr(words("transaction.received", FULL, language=language), form)
        assert price in getattr(words("booking.rescheduled", FULL, language=language), form)


def test_what_is_no_amount_stays_as_it_is() -> None:
    text = words("transaction.received", FULL | {"amount": "free of charge"}, language="de").text
    assert "free of charge EUR" in text


def test_how_it_is_paid_is_said_in_the_readers_language() -> None:
    methods = {"pay_now": "Vorauszahlung", "pay_on_arrival": "Zahlung vor Ort", "free": "Kostenlos"}
    for method, said in methods.items():
        text = words("transaction.received", FULL | {"payment_method": method}, language="de").text
        assert f"Zahlungsart: {said}" in text


@pytest.mark.parametrize(("findings", "said"), [(1, "1 Befund der"), (3, "3 Befunde der")])
def test_one_and_many_are_told_apart(findings: int, said: str) -> None:
    mail = words("consistency.found", FULL | {"findings": findings}, language="de")
    assert said in mail.subject


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        ("Not paid in time.", "Nicht rechtzeitig bezahlt."),
        (
            "Settled: the customer got these seats in another way.",
            "Erledigt: Die Plätze wurden auf anderem Weg gebucht.",
        ),
        # one of two sentences, alone and with what somebody added
        (
            "The picture cannot be read. Please send a clear one.",
            "Das Bild ist nicht lesbar. Bitte senden Sie uns ein scharfes Bild.",
        ),
        (
            "Sorry! The picture cannot be read. Please send a clear one. Call us.",
            "Sorry! Das Bild ist nicht lesbar. Bitte senden Sie uns ein scharfes Bild. Call us.",
        ),
        # what people typed, though its words are in the catalogue, or nearly
        ("Reason", "Reason"),
        ("free", "free"),
        ("not paid in time.", "not paid in time."),
        ("Not paid in time", "Not paid in time"),
        ("Der Platz  ist\nnass. ", "Der Platz  ist\nnass. "),
        ("", ""),
    ],
)
def test_our_own_reasons_are_translated_and_those_of_people_are_theirs(
    stored: str, said: str
) -> None:
    with override("de"):
        assert languages.in_words(stored) == said
    with override("en"):
        assert languages.in_words(stored) == stored


def test_a_reason_is_translated_where_a_mail_says_it() -> None:
    mail = words("booking.expired", FULL, language="de")
    assert "Grund: Nicht rechtzeitig bezahlt." in mail.text
    assert "Nicht rechtzeitig bezahlt." in mail.html
    assert "Not paid" not in mail.text + mail.html


def test_a_reason_that_somebody_typed_is_escaped_as_before() -> None:
    mail = words("booking.expired", FULL | {"reason": "<b>Regen</b> & Wind"}, language="de")
    assert "Grund: <b>Regen</b> & Wind" in mail.text
    assert "&lt;b&gt;Regen&lt;/b&gt; &amp; Wind" in mail.html
