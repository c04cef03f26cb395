"""Sign-up, sign-in and the sessions they open. Serves F2."""

import pytest
from allauth.account.models import EmailAddress
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.db import transaction
from django.utils import timezone

from audit.context import Actor, audited
from bookings.models import User
from bookings.notices import recipient
from bookings.selectors import Viewer
from bookings.services.organizations import customer_of
from tests import factories as f
from tests.api.client import Client

pytestmark = pytest.mark.django_db
SIGNUP, LOGIN = "/_allauth/app/v1/auth/signup", "/_allauth/app/v1/auth/login"
CREDENTIALS = {"email": "new@example.com", "password": "Xq9-plenty-of-letters"}


@pytest.fixture(autouse=True)
def _nobody_was_counted_yet():
    """Sign-ups are limited by address, and all tests have the same."""
    cache.clear()


def token_of(answer):
    return answer.data["meta"]["session_token"]


def test_it_signs_up_without_cookies_and_the_token_works(world):
    answer = Client().post(SIGNUP, CREDENTIALS)

    assert answer.status == 200, answer
    me = Client().get("/api/v1/me/", headers={"X-Session-Token": token_of(answer)})
    assert me.status == 200
    assert me.data["email"] == "new@example.com"
    assert "Set-Cookie" not in answer.headers


def test_sign_up_takes_name_and_language(world):
    answer = Client().post(SIGNUP, CREDENTIALS | {"name": "Ada", "language": "de"})

    assert answer.status == 200, answer
    user = User.objects.get(email="new@example.com")
    assert (user.name, user.language) == ("Ada", "de")


@pytest.mark.parametrize(
    ("accept", "said", "language"),
    [
        ("de-AT,de;q=0.9,en;q=0.5", {}, "de"),
        ("fr-FR,de;q=0.5", {}, "de"),
        ("fr", {}, "en"),
        ("*", {}, "en"),
        ("", {}, "en"),
        ("x" * 20_000, {}, "en"),
        ("de", {"language": "en"}, "en"),
        ("en", {"language": "de"}, "de"),
        ("de", {"language": ""}, "de"),
    ],
)
def test_who_says_no_language_gets_that_of_the_app_if_there_are_texts_in_it(
    world, accept, said, language
):
    answer = Client().post(SIGNUP, CREDENTIALS | said, headers={"Accept-Language": accept})

    assert answer.status == 200, answer
    assert User.objects.get(email="new@example.com").language == language


def test_the_language_of_a_sign_up_is_that_of_the_customer_whom_mails_go_to(world):
    Client().post(SIGNUP, CREDENTIALS, headers={"Accept-Language": "de"})

    user = User.objects.get(email="new@example.com")
    customer = customer_of(Viewer(user, world.here.organization, customer=None, role=None))

    assert [r.language for r in recipient(customer)] == ["de"]


def test_the_name_of_a_sign_up_is_one_line(world):
    answer = Client().post(SIGNUP, CREDENTIALS | {"name": "Ada\r\nBcc:  x\t"})

    assert answer.status == 200, answer
    assert User.objects.get(email="new@example.com").name == "Ada Bcc: x"


def test_a_sign_up_has_a_line_in_the_trail_with_its_name(world):
    Client().post(SIGNUP, CREDENTIALS, headers={"User-Agent": "app/1"})

    user = User.objects.get(email="new@example.com")
    first = user.history.earliest("history_id")
    assert (first.actor_kind, first.actor_id, first.user_agent) == ("customer", user.pk, "app/1")


@pytest.mark.parametrize("role", ["owner", "front_desk"])
def test_staff_sign_in_with_the_same_address(world, role):
    staff = world.here.staff(role)

    answer = Client().post(LOGIN, {"email": staff.user.email, "password": f.PASSWORD})

    assert answer.status == 200, answer
    client = Client(org="here")
    client.token = token_of(answer)
    assert client.get("transactions/").status == 200


def sign_in(user):
    answer = Client().post(LOGIN, {"email": user.email, "password": f.PASSWORD})
    assert answer.status == 200, answer
    client = Client(org="here")
    client.token = token_of(answer)
    return client


def test_the_address_is_not_case_sensitive(world):
    answer = Client().post(
        LOGIN, {"email": world.here.customer.user.email.upper(), "password": f.PASSWORD}
    )

    assert answer.status == 200, answer


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"email": "new@example.com"},
        {"email": "no address", "password": "Xq9-plenty-of-letters"},
        {"email": "new@example.com", "password": "short"},
        {"email": "new@example.com", "password": "1234567890"},
        {"email": "new@example.com", "password": "password123"},
        CREDENTIALS | {"language": "xx"},
        CREDENTIALS | {"name": "x" * 201},
        CREDENTIALS | {"name": "a\x00b"},
        CREDENTIALS | {"name": "a\x1b[31mb"},
        CREDENTIALS | {"email": "a\x00@example.com"},
        CREDENTIALS | {"email": ["new@example.com"]},
    ],
)
def test_a_bad_sign_up_makes_nobody(world, body):
    answer = Client().post(SIGNUP, body)

    assert answer.status == 400, answer
    assert not User.objects.filter(email="new@example.com").exists()


@pytest.mark.parametrize("raw", ["", "[]", "{", '"x"', "\xff", "null"])
@pytest.mark.parametrize("path", [SIGNUP, LOGIN])
def test_a_body_that_is_none_is_refused(path, raw):
    assert Client().send("POST", path, raw=raw.encode("latin-1")).status == 400


def test_a_name_cannot_be_taken_twice(world):
    taken = world.here.customer.user.email

    answer = Client().post(SIGNUP, CREDENTIALS | {"email": taken.upper()})

    assert answer.status in (400, 401, 409), answer
    assert User.objects.filter(email__iexact=taken).count() == 1


def test_a_wrong_password_opens_nothing(world):
    answer = Client().post(LOGIN, {"email": world.here.customer.user.email, "password": "wrong"})

    assert answer.status == 400
    assert "session_token" not in str(answer.data)


def test_somebody_who_was_switched_off_cannot_sign_in(world):
    user = world.here.customer.user
    user.is_active = False
    user.save()

    answer = Client().post(LOGIN, {"email": user.email, "password": f.PASSWORD})

    assert answer.status in (400, 401), answer
    assert not (answer.data.get("meta") or {}).get("is_authenticated")


def test_a_changed_password_ends_every_session(world):
    """Promise 10."""
    user = world.here.customer.user
    phone, laptop = sign_in(user), sign_in(user)
    assert phone.get("cart/").status == laptop.get("cart/").status == 200

    user.set_password("another-correct-horse")
    user.save()

    assert phone.get("cart/").problem() == (401, "authentication_failed")
    assert laptop.get("cart/").problem() == (401, "authentication_failed")


def test_changing_it_through_the_api_ends_the_others(world):
    user = world.here.customer.user
    phone, laptop = sign_in(user), sign_in(user)

    answer = phone.post(
        "/_allauth/app/v1/account/password/change",
        {"current_password": f.PASSWORD, "new_password": "another-correct-horse"},
    )

    assert answer.status == 200, answer
    assert laptop.get("cart/").problem() == (401, "authentication_failed")


def test_signing_out_ends_the_session(world):
    client = sign_in(world.here.customer.user)

    assert client.delete("/_allauth/app/v1/auth/session").status == 401  # says: signed out

    assert client.get("cart/").problem() == (401, "authentication_failed")


def test_a_session_that_is_over_opens_nothing(world):
    client = sign_in(world.here.customer.user)
    Session.objects.update(expire_date=timezone.now())

    assert client.get("cart/").problem() == (401, "authentication_failed")


@pytest.mark.parametrize(
    "token", ["x", "X" * 32, "../../etc/passwd", "a" * 65, "é" * 20, "' OR 1=1 --", "0" * 32]
)
def test_no_made_up_token_opens_anything(world, token):
    client = Client(org="here")
    client.token = token

    assert client.get("cart/").problem() == (401, "authentication_failed")


def test_a_session_of_the_admin_site_is_no_cookie_for_the_api(world):
    """Cookies do not sign in to the API, so no other site can send a request as somebody."""
    client = Client(org="here")
    client._http.force_login(world.here.staff("owner").user)

    assert client.get("transactions/").problem() == (401, "not_authenticated")


@pytest.mark.parametrize(
    "path",
    [
        "account/email",
        "account/phone",
        "account/authenticators",
        "account/providers",
        "auth/code/request",
        "auth/code/confirm",
        "auth/reauthenticate",
        "auth/phone/verify",
        "auth/email/verify/resend",
        "auth/sessions",
        "auth/provider/token",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_what_allauth_could_do_besides_is_not_there(world, method, path):
    client = world.here.as_customer()
    before = client.user.email

    answer = client.send(method, f"/_allauth/app/v1/{path}", body={"email": "other@example.com"})

    assert answer.problem() == (404, "not_found")
    assert User.objects.get(pk=client.user.pk).email == before
    assert not EmailAddress.objects.filter(email="other@example.com").exists()


@pytest.mark.parametrize("client", ["browser", "any"])
def test_there_is_no_sign_in_with_cookies(client):
    answer = Client().post(f"/_allauth/{client}/v1/auth/login", CREDENTIALS)

    assert answer.problem() == (404, "not_found")


def test_the_trail_says_who_signed_up_and_with_which_request(world):
    answer = Client().post(SIGNUP, CREDENTIALS)

    user = User.objects.get(email="new@example.com")
    first = user.history.earliest("history_id")
    assert (first.actor_label, first.history_change_reason) == ("new@example.com", "sign-up")
    assert first.request_id == answer.headers["X-Request-Id"]


@pytest.mark.django_db
def test_a_new_password_is_in_the_trail_without_the_password():
    user = f.UserFactory()

    with transaction.atomic(), audited(Actor("customer", user.pk, "Ana"), reason="forgot it"):
        user.set_password("another correct horse")
        user.save()

    line = User.history.filter(id=user.pk).latest()
    assert (line.history_type, line.actor_label) == ("~", "Ana")
    assert line.password_changed_at == user.password_changed_at
    assert not hasattr(line, "password")
