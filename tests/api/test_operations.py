"""What is true of every operation: it works, it needs sign-in, it has limits, and each kind of
bad request gets the problem that the OpenAPI document says. Serves F2; promises 1, 3, 8, 26.

Every answer in these tests is also compared with the document (``tests/api/client.py``).
"""

from __future__ import annotations

import pytest
from django.db import OperationalError
from django.urls import URLPattern, URLResolver, get_resolver

from audit.idempotency import _Slot
from audit.models import IdempotencyKey
from bookings import selectors
from bookings.models import User
from tests.api.client import Client, new_key
from tests.api.operations import EXAMPLES, codes_of, operations

pytestmark = pytest.mark.django_db
ALL = sorted(operations())
IN_ORGANIZATION = [name for name in ALL if "{org}" in operations()[name][1]]
WITH_BODY = [name for name in ALL if operations()[name][0] in ("POST", "PATCH")]
WITH_JSON = [name for name in WITH_BODY if not name.startswith("upload")]
POSTS = [name for name in ALL if operations()[name][0] == "POST"]
SUCCESS = {"201", "200", "204"}


def patterns(resolver=None, before=""):
    """Every URL pattern below /api/v1/, as it stands in the document."""
    for part in (resolver or get_resolver()).url_patterns:
        route = before + str(part.pattern)
        if isinstance(part, URLResolver):
            yield from patterns(part, route)
        elif isinstance(part, URLPattern) and route.startswith("api/v1/"):
            yield "/" + route.replace("<slug:", "{").replace("<uuid:", "{").replace(">", "}")


def test_every_address_is_documented():
    documented = {path for _, path in operations().values()}

    assert {p.replace("{pk}", "{id}") for p in patterns()} == {
        p.replace("{pk}", "{id}") for p in documented
    }


def test_every_operation_has_an_example():
    assert set(EXAMPLES) == set(operations())


@pytest.mark.parametrize("name", ALL)
def test_it_works(world, name):
    answer = EXAMPLES[name](world.here).send()

    assert str(answer.status) in SUCCESS, answer


@pytest.mark.parametrize("name", POSTS)
def test_a_repeated_post_is_answered_the_same_and_done_once(world, name):
    call, key = EXAMPLES[name](world.here), new_key()

    first, second = call.send(key=key), call.send(key=key)

    assert str(first.status) in SUCCESS, first
    assert (second.status, second.body) == (first.status, first.body)
    assert second.headers.get("ETag") == first.headers.get("ETag")
    assert "Idempotent-Replay" not in first.headers
    assert second.headers["Idempotent-Replay"] == "true"
    assert IdempotencyKey.objects.filter(key=key).count() == 1


@pytest.mark.parametrize("name", POSTS)
def test_a_key_that_belongs_to_another_request_is_refused(world, name):
    call, key = EXAMPLES[name](world.here), new_key()
    first = call.send(key=key)
    IdempotencyKey.objects.filter(key=key).update(request_hash="another")

    answer = call.send(key=key)

    assert first.status < 300
    assert answer.problem() == (422, "idempotency_key_reused")


@pytest.mark.parametrize("name", POSTS)
def test_while_the_first_is_worked_on_the_second_is_told_so(world, name, monkeypatch):
    """Here the lock is said to be taken; ``test_idempotency.py`` takes it for real."""
    call = EXAMPLES[name](world.here)
    monkeypatch.setattr(_Slot, "CLAIM", _Slot.CLAIM.replace("lock.taken,", "false,"))

    answer = call.send(key=new_key())

    assert answer.problem() == (409, "idempotency_in_progress")
    assert answer.headers["Retry-After"] == "1"


@pytest.mark.parametrize("name", POSTS)
@pytest.mark.parametrize("key", ["x" * 256, "a\tb", "é\x7f"])
def test_a_key_that_cannot_be_one_is_invalid(world, name, key):
    answer = EXAMPLES[name](world.here).send(key=key)

    assert answer.problem() == (400, "invalid")


@pytest.mark.parametrize("name", ALL)
def test_it_needs_a_sign_in(world, name):
    call = EXAMPLES[name](world.here)

    answer = call.send(Client(org="here"))

    assert answer.problem() == (401, "not_authenticated")
    assert answer.headers["WWW-Authenticate"] == "X-Session-Token"


@pytest.mark.parametrize("name", ALL)
def test_it_refuses_an_unknown_session(world, name):
    call, nobody = EXAMPLES[name](world.here), Client(org="here")
    nobody.token = "abcdefghijklmnopqrstuvwxyz012345"

    assert call.send(nobody).problem() == (401, "authentication_failed")


@pytest.mark.parametrize("name", ALL)
def test_it_refuses_somebody_who_was_switched_off(world, name):
    call = EXAMPLES[name](world.here)
    User.objects.update(is_active=False)

    assert call.send().problem() == (401, "authentication_failed")


@pytest.mark.parametrize("name", IN_ORGANIZATION)
def test_it_knows_no_organisation_of_that_name(world, name):
    call = EXAMPLES[name](world.here)
    call.client.org = "nowhere"

    assert call.send().problem() == (404, "not_found")


@pytest.mark.parametrize("name", IN_ORGANIZATION)
def test_it_does_not_serve_an_organisation_that_was_switched_off(world, name):
    call = EXAMPLES[name](world.here)
    world.here.organization.is_active = False
    world.here.organization.save()

    assert call.send().problem() == (404, "not_found")


@pytest.mark.parametrize("name", ALL)
def test_it_has_a_limit(world, name, settings):
    call = EXAMPLES[name](world.here)
    settings.THROTTLE_RATES = dict.fromkeys(settings.THROTTLE_RATES, 0)

    answer = call.send()

    assert answer.problem() == (429, "throttled")
    assert 1 <= int(answer.headers["Retry-After"]) <= 60


@pytest.mark.parametrize("name", ALL)
def test_it_says_so_when_the_database_is_away(world, name, monkeypatch):
    call = EXAMPLES[name](world.here)

    def away(*args):
        raise OperationalError("connection refused by 10.0.0.5")

    monkeypatch.setattr(selectors, "user_and_viewer", away)

    answer = call.send()

    assert answer.problem() == (503, "unavailable")
    assert answer.headers["Retry-After"] == "2"
    assert b"10.0.0.5" not in answer.body


@pytest.mark.parametrize("name", ALL)
def test_an_error_of_ours_says_nothing_but_its_request_id(world, name, monkeypatch):
    call = EXAMPLES[name](world.here)

    def broken(*args):
        raise RuntimeError("secret")

    monkeypatch.setattr(selectors, "user_and_viewer", broken)

    answer = call.send(check=False) if call.file is None else None

    if answer is not None:
        assert answer.problem() == (500, "internal")
        assert answer.data["request_id"] == answer.headers["X-Request-Id"]
        assert b"secret" not in answer.body


@pytest.mark.parametrize("name", WITH_JSON)
@pytest.mark.parametrize(
    "raw", [b"{", b"\xff\xfe", b'{"a": NaN}', b"[" * 50_000, b'{"a": 1' + b"0" * 5_000 + b"}"]
)
def test_a_body_that_cannot_be_read_is_malformed(world, name, raw):
    answer = EXAMPLES[name](world.here).send(raw=raw)

    assert answer.problem() == (400, "malformed")


@pytest.mark.parametrize("name", WITH_JSON)
@pytest.mark.parametrize("raw", ["[]", '"text"', "1", "null", "true"])
def test_a_body_that_is_no_object_is_invalid(world, name, raw):
    assert EXAMPLES[name](world.here).send(raw=raw).problem() == (400, "invalid")


@pytest.mark.parametrize("name", WITH_JSON)
def test_a_body_may_not_be_huge(world, name):
    answer = EXAMPLES[name](world.here).send(body={"reason": "x" * 1_100_000})

    assert answer.problem() == (413, "too_large")


@pytest.mark.parametrize("name", WITH_BODY)
def test_another_media_type_is_refused(world, name):
    call = EXAMPLES[name](world.here)

    answer = call.send(raw="<a/>", content_type="application/xml")

    assert answer.problem() == (415, "unsupported_media_type")


@pytest.mark.parametrize("name", ALL)
def test_an_accept_header_is_not_held_against_the_client(world, name):
    answer = EXAMPLES[name](world.here).send(headers={"Accept": "text/html"})

    assert str(answer.status) in SUCCESS


@pytest.mark.parametrize("path", sorted({path for _, path in operations().values()}))
def test_another_method_is_refused_and_told_which_there_are(world, path):
    url = path.replace("{org}", "here").replace("{id}", "01a1fa26-c43b-7e1b-86cd-c264f462872e")
    allowed = {method for method, p in operations().values() if p == path}

    if "GET" in allowed:
        allowed.add("HEAD")

    answer = world.here.as_customer().send("PUT", url)

    assert answer.problem() == (405, "method_not_allowed")
    assert set(answer.headers["Allow"].split(", ")) == allowed


@pytest.mark.parametrize("name", [n for n in ALL if "stale_version" in codes_of(n)])
def test_a_stale_version_is_refused_and_the_right_one_works(world, name):
    call = EXAMPLES[name](world.here)

    stale = call.send(headers={"If-Match": '"v99"'}, key=new_key())
    bad = call.send(headers={"If-Match": "v1"})
    right = call.send(headers={"If-Match": f'"v{stale.data["current_version"]}"'})

    assert stale.problem() == (412, "stale_version")
    assert bad.problem() == (400, "invalid")
    assert right.status == 200


def test_nothing_declares_a_code_that_does_not_exist():
    assert all(codes_of(name) for name in ALL)
