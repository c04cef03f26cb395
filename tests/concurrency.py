"""Races with real connections, at the worst moment, and with the protection taken away.

``race`` lets many act at once. ``interleave`` does not leave the moment to chance: it stops one
actor at a named point and lets another one act there. ``locks_off`` and ``without`` take away
what protects, so that a test can show that the race it runs is a real one.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import Any
from unittest import mock

from django.db import connection
from django.db.models import QuerySet
from django.test import TransactionTestCase

from audit.compiled import Compiled
from bookings import locks

Action = Callable[[], Any]


def race(*actions: Action, timeout: float = 30) -> list[Any]:
    """Run actions at the same moment, each on a connection of its own (at most 15: the pool).

    Returns:
        What each returned, or the exception it raised, in the order given.
    """
    assert len(actions) < connection.settings_dict["OPTIONS"]["pool"]["max_size"]
    barrier = threading.Barrier(len(actions))
    outcomes: list[Any] = [None] * len(actions)

    def run(index: int, action: Action) -> None:
        try:
            connection.ensure_connection()
            barrier.wait(timeout)
            outcomes[index] = action()
        except BaseException as error:
            outcomes[index] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(actions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout)
    assert not any(t.is_alive() for t in threads), "a racer never came back"
    return outcomes


def won(outcomes: Sequence[Any]) -> list[Any]:
    """The outcomes that are not exceptions."""
    return [o for o in outcomes if not isinstance(o, BaseException)]


def lost(outcomes: Sequence[Any]) -> list[Any]:
    """The exceptions."""
    return [o for o in outcomes if isinstance(o, BaseException)]


class _Beside:
    """An action on another thread and connection."""

    def __init__(self, action: Action) -> None:
        self.outcome: Any = None
        self._action = action
        self._pid = 0
        self._connected = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            connection.ensure_connection()
            self._pid = connection.connection.info.backend_pid
            self._connected.set()
            self.outcome = self._action()
        except BaseException as error:
            self.outcome = error
        finally:
            self._connected.set()
            connection.close()

    def run_until_it_ends_or_waits(self, timeout: float = 15) -> None:
        """Start it; return when it is done, or when it waits for a lock of ours."""
        self._thread.start()
        self._connected.wait(timeout)
        deadline = time.monotonic() + timeout
        while self._thread.is_alive() and not self._waits():
            assert time.monotonic() < deadline, "the second actor neither ended nor waited"
            self._thread.join(0.01)

    def _waits(self) -> bool:
        if not self._pid:
            return False
        with connection.cursor() as cursor:
            # For us, and not for a moment for a vacuum.
            cursor.execute("SELECT pg_backend_pid() = ANY(pg_blocking_pids(%s))", [self._pid])
            return bool(cursor.fetchone()[0])

    def join(self, timeout: float = 30) -> Any:
        self._thread.join(timeout)
        assert not self._thread.is_alive(), "the second actor never came back"
        return self.outcome


def interleave(
    first: Action, *, after: tuple[ModuleType, str] | str, second: Action
) -> tuple[Any, Any]:
    """Let ``second`` act while ``first`` stands right behind a point of its work.

    Where locks protect, ``second`` comes to wait for one; ``first`` then goes on. Where they do
    not, ``second`` does all of its work in between.

    Args:
        after: a function ``first`` calls, as module and name, or a regular expression for an SQL
            statement of its; the first time counts.

    Returns:
        What each returned, or the exception it raised.
    """
    beside = _Beside(second)
    mine = threading.get_ident()
    stopped = False

    def stop() -> None:
        nonlocal stopped
        if threading.get_ident() == mine and not stopped:
            stopped = True
            beside.run_until_it_ends_or_waits()

    with ExitStack() as stack:
        if isinstance(after, str):

            def watch(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
                result = execute(sql, params, many, context)
                if re.search(after, sql, re.DOTALL):
                    stop()
                return result

            stack.enter_context(connection.execute_wrapper(watch))
        else:
            original = getattr(*after)

            def call(*args: Any, **kwargs: Any) -> Any:
                result = original(*args, **kwargs)
                stop()
                return result

            stack.enter_context(mock.patch.object(*after, call))
        outcome = _outcome(first)
    assert stopped, f"the first actor never came to {after}: {outcome!r}"
    return outcome, beside.join()


def _outcome(action: Action) -> Any:
    try:
        return action()
    except Exception as error:
        return error


@contextmanager
def locks_off() -> Iterator[None]:
    """Every row lock is a plain read, and nobody waits for a turn."""

    def plain(self: QuerySet[Any], **kwargs: Any) -> QuerySet[Any]:
        return self.all()

    # Compiled queries are made anew, and none that was made in here is kept.
    anew = property(lambda compiled: compiled.plan())
    with (
        mock.patch.object(QuerySet, "select_for_update", plain),
        mock.patch.object(Compiled, "_plan", anew),
        mock.patch.object(locks, "_in_turn"),
        mock.patch.object(
            locks, "_IN_TURN_BESIDE", locks._BESIDE + "SELECT slot_id, id FROM found"
        ),
    ):
        yield


@contextmanager
def without(*claims: str) -> Iterator[None]:
    """Named constraints and triggers (``table.trigger``) do not exist inside.

    The database is emptied at the end, before they come back, so look at what happened inside.
    """
    undo = []
    with connection.cursor() as cursor:
        for claim in claims:
            away, back = _trigger(cursor, claim) if "." in claim else _constraint(cursor, claim)
            cursor.execute(away)
            undo.append(back)
    try:
        yield
    finally:
        TransactionTestCase._fixture_teardown(None)  # type: ignore[attr-defined]
        with connection.cursor() as cursor:
            for back in reversed(undo):
                cursor.execute(back)


def _constraint(cursor: Any, name: str) -> tuple[str, str]:
    cursor.execute(
        "SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE conname = %s",
        [name],
    )
    table, definition = cursor.fetchone()
    return (
        f'ALTER TABLE {table} DROP CONSTRAINT "{name}"',
        f'ALTER TABLE {table} ADD CONSTRAINT "{name}" {definition}',
    )


def _trigger(cursor: Any, claim: str) -> tuple[str, str]:
    table, name = claim.split(".")
    cursor.execute(
        "SELECT tgname FROM pg_trigger WHERE tgrelid = %s::regclass AND tgname LIKE %s",
        [table, f"pgtrigger_{name}_%"],
    )
    (found,) = [row[0] for row in cursor.fetchall()]
    return (
        f'ALTER TABLE {table} DISABLE TRIGGER "{found}"',
        f'ALTER TABLE {table} ENABLE TRIGGER "{found}"',
    )
