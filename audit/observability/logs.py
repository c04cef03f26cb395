"""What goes into the log of an error: where it happened and of what kind, and no values.

A database error quotes the row it is about, and a library says in its message what it was given:
names, addresses, keys. The log keeps the kinds of the errors and their frames, and instead of the
address of a request its route.
"""

from __future__ import annotations

import sys
from collections.abc import MutableMapping
from types import TracebackType
from typing import Any

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]
SHORTEST = 4  # a message as short as this may be part of any word


def without_values(
    logger: Any, name: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """A processor of structlog that belongs before ``format_exc_info``."""
    found = _exc_info(event.get("exc_info"))
    text = event.get("event")
    if found is not None:
        event["exc_info"] = frames_only(found[1], found[2])
        if isinstance(text, str):
            event["event"] = text = _without_messages(text, found[1])
    request = getattr(event.get("_record"), "request", None)
    path = getattr(request, "path", None)
    if isinstance(text, str) and isinstance(path, str) and len(path) > 1:
        match = getattr(request, "resolver_match", None)
        event["event"] = text.replace(path, f"/{match.route}" if match else "an unknown address")
    return event


def frames_only(error: BaseException, traceback: TracebackType | None = None) -> ExcInfo:
    """The same error, and those that caused it, with their kinds for messages."""
    bare = _bare(error, set())
    return type(bare), bare.with_traceback(traceback or error.__traceback__), bare.__traceback__


class Failure(Exception):
    """Stands in the log for an error, whose kind is its message."""


def _bare(error: BaseException, seen: set[int]) -> BaseException:
    seen.add(id(error))
    bare = Failure(_kind(error)).with_traceback(error.__traceback__)
    cause = error.__cause__
    context = None if error.__suppress_context__ else error.__context__
    if cause is not None and id(cause) not in seen:
        bare.__cause__ = _bare(cause, seen)
    elif context is not None and id(context) not in seen:
        bare.__context__ = _bare(context, seen)
    return bare


def _kind(error: BaseException) -> str:
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else _full_name(kind)


def _full_name(kind: type[BaseException]) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _without_messages(text: str, error: BaseException) -> str:
    """Celery writes the error into the line itself."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        for said in (repr(link), str(link)):
            if len(said) > SHORTEST:
                text = text.replace(said, _kind(link))
        link = link.__cause__ or link.__context__
    return text


def _exc_info(value: Any) -> ExcInfo | None:
    if isinstance(value, BaseException):
        return type(value), value, value.__traceback__
    if isinstance(value, tuple) and len(value) == 3:
        return value if value[1] is not None else None
    found = sys.exc_info() if value else (None, None, None)
    return found if found[1] is not None else None
