"""Failures at a chosen statement: raised, or by cutting the connection to PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg.pq import TransactionStatus

from payments.models.proof import proof_storage


class Injector:
    """Counts the statements of this thread's connection and strikes at one of them."""

    def __init__(self, strike_at: int, strike: Callable[[], None]) -> None:
        self.strike_at = strike_at
        self.strike = strike
        self.statements: list[str] = []

    @property
    def struck(self) -> bool:
        return len(self.statements) >= self.strike_at

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        self.statements.append(sql)
        if len(self.statements) == self.strike_at:
            self.strike()
        return execute(sql, params, many, context)


@contextmanager
def striking(at: int, strike: Callable[[], None]) -> Iterator[Injector]:
    """``strike`` is called right before statement number ``at`` (from 1) would be sent."""
    injector = Injector(at, strike)
    with connection.execute_wrapper(injector):
        yield injector


def raising(error: Exception) -> Callable[[], None]:
    def strike() -> None:
        raise error

    return strike


def cut_connection() -> None:
    """The server ends our session, as a restart or a failover does."""
    assert connection.connection is not None
    pid = connection.connection.info.backend_pid
    with other_session() as session:
        session.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])


@contextmanager
def other_session(*, autocommit: bool = True) -> Iterator[psycopg.Connection[Any]]:
    """A connection that Django knows nothing of."""
    parameters = {
        k: v
        for k, v in connection.get_connection_params().items()
        if k in ("dbname", "user", "password", "host", "port")
    }
    with psycopg.connect(**parameters, autocommit=autocommit) as session:
        yield session


@contextmanager
def limited(setting: str, milliseconds: int) -> Iterator[None]:
    """A limit on what the transactions of this thread's connection wait for.

    Never longer than the transaction it is in: a limit of the session would stay on a connection
    whose test failed, and stop whatever comes next on it.
    """

    def limit(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        session = connection.connection
        failed = session.info.transaction_status == TransactionStatus.INERROR
        if connection.in_atomic_block and not failed:
            session.execute(f"SET LOCAL {setting} = {milliseconds}")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(limit):
        yield


def settings_left() -> dict[str, str]:
    """What somebody set on this thread's connection and did not take back; it is taken back.

    The pool gives a connection to the next one as it is. What Django sets on each, and what
    belongs to the transaction, does not count.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT name, setting FROM pg_settings WHERE source = 'session'"
            " AND name <> 'TimeZone' AND name NOT LIKE 'transaction\\_%'"
        )
        left = dict(cursor.fetchall())
        for name in left:
            cursor.execute(f'RESET "{name}"')
    return left


def at_commit(monkeypatch: pytest.MonkeyPatch, strike: Callable[[], None], *, after: bool) -> None:
    """``strike`` is called before or after the next COMMIT of this process, once."""
    original = BaseDatabaseWrapper._commit  # type: ignore[attr-defined]
    struck = False

    def commit(self: Any) -> None:
        nonlocal struck
        first, struck = not struck, True
        if first and not after:
            strike()
        original(self)
        if first and after:
            strike()

    monkeypatch.setattr(BaseDatabaseWrapper, "_commit", commit)


@contextmanager
def proofs_in(location: Path) -> Iterator[None]:
    """Proofs are stored there inside, also by models, which keep the storage they began with."""
    storage: Any = proof_storage()

    def use(place: str) -> None:
        storage._location = place
        for cached in ("base_location", "location"):
            storage.__dict__.pop(cached, None)

    before = storage._location
    use(str(location))
    try:
        yield
    finally:
        use(before)
