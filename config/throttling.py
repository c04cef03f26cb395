"""How many requests somebody may send in a minute.

One counter per person (or address), scope and minute in Redis: a fixed window, one round
trip, the same for every process. Without Redis everything passes and nothing waits: limits
protect the service, and bookings go on (promises 9 and 26). Limits on sign-in protect people,
so those stay.
"""

from __future__ import annotations

import threading
import time
from typing import Any

import structlog
from django.conf import settings
from django.core.cache import cache
from django.core.cache.backends.locmem import LocMemCache
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

log = structlog.get_logger("holdfast.throttling")

WINDOW_SECONDS = 60
# How long a process does without Redis after it did not answer.
PAUSE_SECONDS = 10.0


class Patience:
    """When to ask Redis again after it did not answer.

    One thread at a time finds out whether it is back; the others do not wait for it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._again_at = 0.0

    def may_ask(self) -> bool:
        if not self._again_at:
            return True
        with self._lock:
            if self._again_at and time.monotonic() < self._again_at:
                return False
            self._again_at = time.monotonic() + PAUSE_SECONDS
            return True

    def answered(self) -> None:
        self._again_at = 0.0

    def failed(self, error: Exception) -> None:
        self._again_at = time.monotonic() + PAUSE_SECONDS
        log.warning("limits_without_redis", error=type(error).__name__)


class _Redis(threading.local):
    """The Redis client behind the cache, which Django would make anew for every command."""

    _cache: Any = None
    _client: Any = None

    def client(self) -> Any:
        current = cache._cache  # type: ignore[attr-defined]
        if self._cache is not current:
            self._cache, self._client = current, current.get_client(None, write=True)
        return self._client


class Counter:
    """Counts in Redis, or not at all while it is away."""

    def __init__(self) -> None:
        self._patience = Patience()
        self._redis = _Redis()

    def add(self, key: str) -> int:
        """Count one more; 0 if nobody counts at the moment."""
        if not self._patience.may_ask():
            return 0
        try:
            count = self._increment(key)
        except Exception as error:
            self._patience.failed(error)
            return 0
        self._patience.answered()
        return count

    def _increment(self, key: str) -> int:
        redis = self._redis.client()
        name = cache.make_key(key)
        count = int(redis.incr(name))
        if count == 1:
            # Two round trips for the first of a minute. A key names its minute, so that one
            # which is left behind between the two does no harm.
            redis.expire(name, 2 * WINDOW_SECONDS)
        return count


counter = Counter()


class SignInLimits:
    """The cache of allauth's limits on sign-in, which must hold without Redis too: then each
    process counts for itself (promise 8)."""

    def __init__(self) -> None:
        self._patience = Patience()
        self._memory = LocMemCache("sign-in-limits", {})

    def add(self, key: str, value: Any, timeout: float | None = None) -> Any:
        return self._do("add", key, value, timeout)

    def get(self, key: str, default: Any = None) -> Any:
        return self._do("get", key, default)

    def set(self, key: str, value: Any, timeout: float | None = None) -> Any:
        return self._do("set", key, value, timeout)

    def delete(self, key: str) -> Any:
        return self._do("delete", key)

    def _do(self, command: str, *arguments: Any) -> Any:
        if self._patience.may_ask():
            try:
                answer = getattr(cache, command)(*arguments)
            except Exception as error:
                self._patience.failed(error)
            else:
                self._patience.answered()
                return answer
        return getattr(self._memory, command)(*arguments)


def keep_sign_in_limits() -> None:
    """Give allauth's limits their cache; it has no setting for it."""
    from allauth.core.internal import ratelimit

    ratelimit.cache = SignInLimits()


class UserThrottle(BaseThrottle):
    """Limits per minute from ``settings.THROTTLE_RATES``.

    A view's ``throttle_scope`` names its own; otherwise reading and writing have one each.
    Whoever is signed out has the scope ``anonymous`` and is counted by address.
    """

    def __init__(self) -> None:
        self._wait = 0.0

    def allow_request(self, request: Request, view: Any) -> bool:
        if request.user.is_authenticated:
            scope = getattr(view, "throttle_scope", "") or (
                "read" if request.method in ("GET", "HEAD", "OPTIONS") else "write"
            )
            who = str(request.user.pk)
        else:
            scope = "anonymous"
            who = str(getattr(request, "client_ip", None))
        now = time.time()
        window = int(now // WINDOW_SECONDS)
        count = counter.add(f"throttle:{scope}:{who}:{window}")
        self._wait = (window + 1) * WINDOW_SECONDS - now
        return count <= int(settings.THROTTLE_RATES[scope])

    def wait(self) -> float:
        """Seconds until the next window."""
        return self._wait
