"""Races with real connections."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from django.db import connection


def race(*actions: Callable[[], Any], timeout: float = 30) -> list[Any]:
    """Run actions at the same moment, each on a connection of its own.

    Returns:
        What each returned, or the exception it raised, in the order given.
    """
    barrier = threading.Barrier(len(actions))
    outcomes: list[Any] = [None] * len(actions)

    def run(index: int, action: Callable[[], Any]) -> None:
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


def lost(outcomes: Sequence[Any]) -> list[BaseException]:
    """The exceptions."""
    return [o for o in outcomes if isinstance(o, BaseException)]
