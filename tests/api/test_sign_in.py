"""Sign-up, sign-in and the sessions they open. Serves F2."""

import pytest

from bookings.models import User
from tests import factories as f
from tests.api.client import Client

pytestmark = pytest.mark.django_db
SIGNUP, LOGIN = "/_allauth/app/v1/auth/signup", "/_allauth/app/v1/auth/login"
CREDENTIALS = {"email": "new@example.com", "password": "Xq9-plenty-of-letters"}


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
