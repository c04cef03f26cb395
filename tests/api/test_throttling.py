"""Limits hold for all processes together, and without Redis nothing waits for them.

Serves C7; promises 8, 9, 26.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import subprocess
import sys
import time
import uuid

import pytest
from django.core.cache import cache, caches

from config import throttling
from config.throttling import Counter, SignInLimits
from tests import factories as f
from tests.api.client import Client

pytestmark = pytest.mark.django_db


@pytest.fixture
def no_redis(settings):
    """Redis is really away: the cache's address is one where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings.CACHES = {
        "default": settings.CACHES["default"] | {"LOCATION": f"redis://127.0.0.1:{port}/0"}
    }
    throttling.counter = Counter()
    yield
    throttling.counter = Counter()


@pytest.fixture
def frozen_redis(settings):
    """Something listens and never answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(64)
        port = server.getsockname()[1]
        settings.CACHES = {
            "default": settings.CACHES["default"] | {"LOCATION": f"redis://127.0.0.1:{port}/0"}
        }
        throttling.counter = Counter()
        yield
    throttling.counter = Counter()


def limit(settings, **rates):
    settings.THROTTLE_RATES = dict.fromkeys(settings.THROTTLE_RATES, 1_000_000) | rates


@pytest.fixture
def one_minute(monkeypatch):
    """No window ends during a test."""
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)


def nobodys_address():
    """An address that no other test comes from in this minute."""
    return str(ipaddress.IPv6Address(uuid.uuid4().int))


def test_reading_and_writing_are_counted_apart(world, settings, one_minute):
    limit(settings, read=2, write=1)
    client = world.here.as_customer()

    reads = [client.get("cart/").status for _ in range(3)]
    writes = [client.delete("cart/").status for _ in range(2)]

    assert reads == [200, 200, 429]
    assert writes == [204, 429]


def test_everybody_has_a_limit_of_their_own(world, settings, one_minute):
    limit(settings, read=1)
    first, second = world.here.as_customer(), world.here.as_other_customer()

    assert [first.get("cart/").status, first.get("cart/").status] == [200, 429]
    assert second.get("cart/").status == 200


@pytest.mark.parametrize("token", ["", "x" * 32])
def test_the_signed_out_are_counted_by_address(settings, one_minute, token):
    limit(settings, anonymous=2)
    client = Client()
    client.token = token
    address = {"REMOTE_ADDR": nobodys_address()}

    answers = [client.get("/api/v1/me/", **address).status for _ in range(3)]

    assert answers == [401, 401, 429]
    assert client.get("/api/v1/me/", REMOTE_ADDR="198.51.100.7").status == 401


def test_the_next_minute_begins_anew(world, settings, monkeypatch):
    limit(settings, read=1)
    client = world.here.as_customer()
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    assert [client.get("cart/").status, client.get("cart/").status] == [200, 429]

    answer = client.get("cart/")
    monkeypatch.setattr(time, "time", lambda: now + int(answer.headers["Retry-After"]) + 0.01)

    assert client.get("cart/").status == 200


def test_counters_vanish_by_themselves():
    key = f"test:{uuid.uuid4()}"
    counter = Counter()

    assert [counter.add(key), counter.add(key)] == [1, 2]
    redis = cache._cache.get_client(None)  # type: ignore[attr-defined]
    assert 0 < redis.ttl(cache.make_key(key)) <= 120


COUNT = """
import django, sys
django.setup()
from config.throttling import counter
print(counter.add(sys.argv[1]))
"""


def test_two_processes_count_together():
    key = f"test:{uuid.uuid4()}"
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "config.settings.test"}
    run = [sys.executable, "-W", "ignore", "-c", COUNT, key]
    mine = Counter().add(key)

    theirs = subprocess.run(run, env=environment, capture_output=True, text=True, timeout=60)

    assert mine == 1
    assert theirs.stdout.strip() == "2", theirs.stderr[-2000:]
    assert Counter().add(key) == 3


def test_without_redis_everything_goes_on(world, settings, no_redis):
    limit(settings, read=0, write=0)
    client = world.here.as_customer()

    answer = client.post("cart/items/", {"slot": str(world.here.slot().pk)})

    assert answer.status == 201
    assert client.get("cart/").status == 200


def test_a_frozen_redis_costs_one_request_half_a_second_and_the_others_nothing(
    world, settings, frozen_redis
):
    client = world.here.as_customer()
    client.get("cart/")

    began = time.monotonic()
    for _ in range(5):
        assert client.get("cart/").status == 200

    assert time.monotonic() - began < 0.5


def test_redis_is_asked_again_after_a_pause(world, settings, no_redis, monkeypatch):
    asked = []

    def away(self, key):
        asked.append(key)
        raise ConnectionError

    monkeypatch.setattr(Counter, "_increment", away)
    counter = Counter()
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])

    assert [counter.add("x"), counter.add("x")] == [0, 0]
    assert len(asked) == 1
    clock[0] += throttling.PAUSE_SECONDS
    assert counter.add("x") == 0
    assert len(asked) == 2
    monkeypatch.setattr(Counter, "_increment", lambda self, key: 7)
    clock[0] += throttling.PAUSE_SECONDS
    assert [counter.add("x"), counter.add("x")] == [7, 7]


# -- sign-in ------------------------------------------------------------------------------------

LOGIN = "/_allauth/app/v1/auth/login"


def guess(email, **address):
    return Client().post(LOGIN, {"email": email, "password": "wrong"}, **address).status


def test_passwords_cannot_be_guessed_for_long():
    user = f.UserFactory()

    answers = [guess(user.email, REMOTE_ADDR=f"203.0.113.{n}") for n in range(8)]

    assert answers[:5] == [400] * 5
    right = Client().post(LOGIN, {"email": user.email, "password": f.PASSWORD})
    assert right.status != 200


def test_that_holds_without_redis_too(no_redis, monkeypatch):
    from allauth.core.internal import ratelimit

    monkeypatch.setattr(ratelimit, "cache", SignInLimits())
    user = f.UserFactory()

    answers = [guess(user.email, REMOTE_ADDR=f"203.0.113.{n}") for n in range(8)]

    assert answers[:5] == [400] * 5
    right = Client().post(LOGIN, {"email": user.email, "password": f.PASSWORD})
    assert right.status != 200
    other = f.UserFactory()
    assert Client().post(LOGIN, {"email": other.email, "password": f.PASSWORD}).status == 200


def test_allauth_counts_where_we_say():
    from allauth.core.internal import ratelimit

    assert isinstance(ratelimit.cache, SignInLimits)
    assert caches["default"] is not None
