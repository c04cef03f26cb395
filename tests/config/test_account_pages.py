"""The pages that account mails lead to, and the mails. Serves F2, A12."""

from __future__ import annotations

import re
import smtplib
from html import unescape
from typing import Any
from urllib.parse import urlsplit

import pytest
import structlog
from allauth.account.models import EmailAddress
from django.conf import settings as django_settings
from django.core import mail
from django.core.cache import cache
from django.test import Client

from bookings.models import User
from tests import catalogue
from tests import factories as f

pytestmark = pytest.mark.django_db
SIGNUP, REQUEST = "/_allauth/app/v1/auth/signup", "/_allauth/app/v1/auth/password/request"
FORGOT = "/account/password/forgot/"
PASSWORD = "Xq9-plenty-of-letters"


@pytest.fixture(autouse=True)
def _nobody_was_counted_yet() -> None:
    cache.clear()


@pytest.fixture
def http() -> Client:
    return Client(enforce_csrf_checks=True, raise_request_exception=False)


def post(http: Client, path: str, **fields: str) -> Any:
    """Open a page and send its form, as a browser does."""
    http.get(path)
    token = http.cookies["csrftoken"].value
    return http.post(path, {"csrfmiddlewaretoken": token, **fields})


def sign_up(email: str = "new@example.com") -> User:
    answer = Client().post(
        SIGNUP, {"email": email, "password": PASSWORD}, content_type="application/json"
    )
    assert answer.status_code in (200, 401), answer.content
    return User.objects.get(email=email)


def link() -> str:
    """The path of the one link in the last mail."""
    (found,) = re.findall(r"https?://\S+", str(mail.outbox[-1].body))
    assert found.startswith(django_settings.PUBLIC_URL)
    return str(urlsplit(found).path)


def person(**kwargs: Any) -> User:
    user = f.UserFactory(**kwargs)
    EmailAddress.objects.filter(user=user).delete()
    EmailAddress.objects.create(user=user, email=user.email, primary=True)
    return user


def address_of(user: User) -> EmailAddress:
    return EmailAddress.objects.get(user=user)


def is_private(answer: Any) -> bool:
    return (
        answer["Cache-Control"] == "no-store"
        and answer["Referrer-Policy"] == "strict-origin"
        and "default-src 'none'" in answer["Content-Security-Policy"]
    )


def test_the_mail_of_a_sign_up_leads_to_a_page_that_confirms_the_address(http: Client) -> None:
    user = sign_up()
    page = link()
    assert mail.outbox[-1].subject == "Holdfast: confirm your e-mail address"

    shown = http.get(page)
    assert shown.status_code == 200
    assert "Confirm my address" in shown.content.decode()
    assert is_private(shown)
    assert not address_of(user).verified, "opening the page must change nothing"

    done = post(http, page)

    assert done.status_code == 200
    assert "Your address is confirmed" in done.content.decode()
    assert address_of(user).verified
    assert http.get(page).status_code == 404, "the link works once"


def test_no_form_from_elsewhere_confirms_an_address(http: Client) -> None:
    user = sign_up()

    assert http.post(link()).status_code == 403

    assert not address_of(user).verified


def test_an_address_that_somebody_else_confirmed_is_not_confirmed_twice(http: Client) -> None:
    user = sign_up()
    page = link()
    EmailAddress.objects.create(user=f.UserFactory(), email=user.email, verified=True)

    assert post(http, page).status_code == 409

    assert not address_of(user).verified


@pytest.mark.parametrize("key", ["x", "MQ:1abc:def", "a:b", "é", "0" * 500, "-", "x-y-z"])
@pytest.mark.parametrize("page", ["/account/verify-email/", "/account/password/reset/key/"])
def test_a_made_up_key_opens_nothing(http: Client, page: str, key: str) -> None:
    answer = http.get(f"{page}{key}/")

    assert answer.status_code == 404
    assert "This link no longer works" in answer.content.decode()
    assert is_private(answer)


def test_a_forgotten_password_is_set_anew_and_proves_the_address(http: Client) -> None:
    user = person()
    sent = post(http, FORGOT, email=user.email)
    assert sent.status_code == 200
    assert mail.outbox[-1].subject == "Holdfast: set a new password"
    page = link()
    assert is_private(http.get(page))

    done = post(http, page, password1=PASSWORD, password2=PASSWORD)

    assert "Your new password is set" in done.content.decode()
    assert "/admin/" not in done.content.decode()
    assert User.objects.get(pk=user.pk).check_password(PASSWORD)
    address = address_of(user)
    assert (address.verified, address.primary) == (True, True)
    assert http.get(page).status_code == 404, "the link works once"


def test_staff_are_led_back_to_their_pages_even_without_a_known_address(http: Client) -> None:
    user = f.UserFactory(is_staff=True)
    EmailAddress.objects.filter(user=user).delete()
    post(http, FORGOT, email=user.email.upper())

    done = post(http, link(), password1=PASSWORD, password2=PASSWORD)

    assert 'href="/admin/"' in done.content.decode()
    assert address_of(user).verified


def test_the_mail_of_the_api_leads_to_the_same_page(http: Client) -> None:
    user = person()
    Client().post(REQUEST, {"email": user.email}, content_type="application/json")

    assert "Set a new password" in http.get(link()).content.decode()


@pytest.mark.parametrize(
    ("first", "second", "why"),
    [
        (PASSWORD, "another", "not the same"),
        ("short", "short", "too short"),
        ("password123", "password123", "too common"),
        ("8273645182", "8273645182", "entirely numeric"),
        ("", "", "required"),
    ],
)
def test_a_bad_password_is_not_set_and_the_page_says_why(
    http: Client, first: str, second: str, why: str
) -> None:
    user = person()
    post(http, FORGOT, email=user.email)

    answer = post(http, link(), password1=first, password2=second)

    assert answer.status_code == 400
    assert why in answer.content.decode()
    kept = User.objects.get(pk=user.pk)
    assert kept.password == user.password
    assert not address_of(user).verified


def test_a_closed_account_gets_no_password(http: Client) -> None:
    user = person()
    post(http, FORGOT, email=user.email)
    User.objects.filter(pk=user.pk).update(is_active=False)

    assert http.get(link()).status_code == 404


def test_nobody_learns_who_has_an_account(http: Client) -> None:
    user = person(email="known@example.com")

    known = post(http, FORGOT, email=user.email).content.decode()
    unknown = post(http, FORGOT, email="nobody@example.com").content.decode()

    assert known.replace(user.email, "") == unknown.replace("nobody@example.com", "")
    assert mail.outbox[-1].subject == "Holdfast: there is no account with this address"


def test_asking_often_for_one_address_is_stopped(http: Client) -> None:
    user = person()
    answers = [post(http, FORGOT, email=user.email).status_code for _ in range(7)]

    assert answers[0] == 200
    assert answers[-1] == 429
    assert len(mail.outbox) == answers.count(200)


def test_without_a_mail_server_the_page_says_so(
    http: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*args: Any, **kwargs: Any) -> None:
        raise smtplib.SMTPServerDisconnected

    monkeypatch.setattr("django.core.mail.message.EmailMessage.send", away)

    answer = post(http, FORGOT, email=person().email)

    assert answer.status_code == 503
    assert "could not be sent" in answer.content.decode()


def test_without_a_mail_server_a_sign_up_is_no_error_of_ours(
    http: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*args: Any, **kwargs: Any) -> None:
        raise smtplib.SMTPServerDisconnected

    with monkeypatch.context() as patch:
        patch.setattr("django.core.mail.message.EmailMessage.send", away)
        answer = http.post(
            SIGNUP,
            {"email": "new@example.com", "password": PASSWORD},
            content_type="application/json",
        )

    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    # Nothing is half done: the account is there, and a new mail can be asked for.
    post(http, FORGOT, email="new@example.com")
    post(http, link(), password1=PASSWORD + "2", password2=PASSWORD + "2")
    user = User.objects.get(email="new@example.com")
    assert user.check_password(PASSWORD + "2")
    assert address_of(user).verified


def test_mails_name_holdfast_and_no_host_of_a_request(http: Client) -> None:
    sign_up()
    Client(headers={"host": "evil.example"}).post(FORGOT, {"email": "new@example.com"})
    Client(headers={"host": "evil.example"}).post(FORGOT, {"email": "nobody@example.com"})

    assert len(mail.outbox) == 3
    for message in mail.outbox:
        assert "Holdfast" in str(message.body)
        assert "evil.example" not in f"{message.subject} {message.body}"


@pytest.mark.parametrize("mandatory", [True, False])
def test_signing_up_again_ends_well_whatever_the_settings(settings: Any, mandatory: bool) -> None:
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory" if mandatory else "optional"
    body = {"email": person(email="known@example.com").email, "password": PASSWORD}

    answer = Client().post(SIGNUP, body, content_type="application/json")
    fresh = Client().post(
        SIGNUP, body | {"email": "fresh@example.com"}, content_type="application/json"
    )

    assert User.objects.filter(email="known@example.com").count() == 1
    if mandatory:  # then the answer is the same for both
        assert answer.status_code == fresh.status_code == 401
        told = next(m for m in mail.outbox if m.to == ["known@example.com"])
        assert told.subject == "Holdfast: you have an account already"
        assert f"{django_settings.PUBLIC_URL}/account/password/forgot/" in str(told.body)
    else:
        assert (answer.status_code, fresh.status_code) == (400, 200)


def test_the_log_has_routes_and_no_keys(http: Client) -> None:
    sign_up()
    page = link()

    with structlog.testing.capture_logs() as logs:
        http.get(page)

    assert [line["route"] for line in logs] == ["account/verify-email/<str:key>/"]
    assert page.split("/")[3] not in str(logs)


def test_each_change_of_an_account_is_in_the_operation_log_with_a_name(http: Client) -> None:
    with structlog.testing.capture_logs() as logs:
        user = sign_up()
        post(http, link())
        post(http, FORGOT, email=user.email)
        post(http, link(), password1=PASSWORD + "2", password2=PASSWORD + "2")

    done = [line for line in logs if line["event"] == "operation_finished"]
    assert [(line["operation"], line["actor_id"], line["outcome"]) for line in done] == [
        ("account.confirm_address", str(user.pk), "done"),
        ("account.set_password", str(user.pk), "done"),
    ]
    assert all(line["request_id"] for line in done)
    assert user.email not in str(done)


def test_where_addresses_must_be_confirmed_the_page_opens_the_way_to_sign_in(
    http: Client, settings: Any
) -> None:
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    sign_up()
    page = link()

    def sign_in() -> Any:
        credentials = {"email": "new@example.com", "password": PASSWORD}
        return Client().post(
            "/_allauth/app/v1/auth/login", credentials, content_type="application/json"
        )

    refused = sign_in()
    post(http, page)

    assert refused.status_code == 401
    pending = [flow["id"] for flow in refused.json()["data"]["flows"] if flow.get("is_pending")]
    assert pending == ["verify_email"]
    assert sign_in().status_code == 200


# --- languages -------------------------------------------------------------------------------


def test_the_mails_of_an_account_are_in_the_language_of_its_owner(settings: Any) -> None:
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    owner = person(email="anna@example.com", language="de")
    english = Client(headers={"accept-language": "en"})

    sign_up_in("de", "new@example.com")
    english.post(REQUEST, {"email": owner.email}, content_type="application/json")
    english.post(
        SIGNUP, {"email": owner.email, "password": PASSWORD}, content_type="application/json"
    )

    assert [m.subject for m in mail.outbox] == [
        "Holdfast: Bitte bestätigen Sie Ihre E-Mail-Adresse",
        "Holdfast: Neues Passwort festlegen",
        "Holdfast: Sie haben bereits ein Konto",
    ]
    for message in mail.outbox:
        assert "vermutlich Sie selbst" in str(message.body)
        assert "Diese E-Mail wurde von Holdfast gesendet" in str(message.body)
        assert "%(" not in str(message.body)


def test_an_english_owner_reads_english_whoever_asks() -> None:
    owner = person(language="en")
    Client(headers={"accept-language": "de"}).post(
        REQUEST, {"email": owner.email}, content_type="application/json"
    )

    assert mail.outbox[-1].subject == "Holdfast: set a new password"


@pytest.mark.parametrize(
    ("accept", "subject"),
    [
        ("de", "Holdfast: Zu dieser Adresse gibt es kein Konto"),
        ("en", "Holdfast: there is no account with this address"),
    ],
)
def test_who_has_no_account_is_told_so_in_the_language_of_the_request(
    accept: str, subject: str
) -> None:
    Client(headers={"accept-language": accept}).post(
        REQUEST, {"email": "nobody@example.com"}, content_type="application/json"
    )

    assert mail.outbox[-1].subject == subject


def test_an_owner_whose_language_has_no_texts_reads_english_throughout() -> None:
    owner = person(language="fr")
    Client(headers={"accept-language": "de"}).post(
        REQUEST, {"email": owner.email}, content_type="application/json"
    )

    assert mail.outbox[-1].subject == "Holdfast: set a new password"


def test_the_pages_are_in_the_language_of_the_browser() -> None:
    http = Client(enforce_csrf_checks=True, headers={"accept-language": "de-DE"})
    user = sign_up_in("de", "new@example.com")
    asked = http.get(link()).content.decode()
    done = post(http, link()).content.decode()
    sent = post(http, FORGOT, email=user.email).content.decode()
    form = http.get(link()).content.decode()
    wrong = post(http, link(), password1=PASSWORD + "2", password2="other").content.decode()

    assert '<html lang="de">' in asked
    assert "Ist das Ihre E-Mail-Adresse?" in asked
    assert "Vielen Dank. Ihre Adresse ist bestätigt." in done
    assert f"Wir haben eine E-Mail an <strong>{user.email}</strong> gesendet." in sent
    assert "Neues Passwort festlegen" in form
    assert "Neues Passwort wiederholen" in form
    assert "Die Passwörter stimmen nicht überein." in wrong
    for page in (asked, done, sent, form, wrong):
        assert page_in_english(page) == []


def sign_up_in(language: str, email: str) -> User:
    Client(headers={"accept-language": language}).post(
        SIGNUP, {"email": email, "password": PASSWORD}, content_type="application/json"
    )
    return User.objects.get(email=email)


def page_in_english(page: str) -> list[str]:
    """The sentences of the catalogue that a page says in English."""
    return [
        message.text
        for message, files in catalogue.messages().items()
        if any(file.startswith("templates/account") for file in files)
        and "%(" not in message.text
        and message.text in unescape(page)
    ]


@pytest.mark.parametrize("path", ["/admin/login/", "/api/v1/me/", "/api/docs/problems/"])
def test_what_has_no_catalogue_is_in_one_language(path: str) -> None:
    answers = [Client(headers={"accept-language": language}).get(path) for language in ("en", "de")]

    english, german = (
        re.sub(
            r'(value|nonce|content|data-token)="[^"]{20,}"|"request_id": ?"[^"]*"',
            "",
            a.content.decode(),
        )
        for a in answers
    )
    assert english == german
    assert [a.headers["Content-Language"] for a in answers] == ["en", "en"]


def test_too_many_failed_sign_ins_are_a_400_as_the_guide_says() -> None:
    wrong = {"email": person().email, "password": "wrong"}
    answers = [
        Client().post("/_allauth/app/v1/auth/login", wrong, content_type="application/json")
        for _ in range(12)
    ]

    assert {answer.status_code for answer in answers} == {400}
    assert answers[-1].json()["errors"][0]["code"] == "too_many_login_attempts"
