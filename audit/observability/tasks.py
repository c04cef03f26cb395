"""A task continues the request that caused it: same request id in its log and in the trail."""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack
from typing import Any

import structlog
from celery import signals

from audit.context import Origin, current_origin, origin
from audit.delivery import alerts

REQUEST_ID = "holdfast_request_id"

_running: dict[str, AbstractContextManager[Any]] = {}


def connect() -> None:
    """Connect the handlers; called when the app is ready."""
    signals.before_task_publish.connect(_publish, dispatch_uid="audit.tasks.publish")
    signals.task_prerun.connect(_begin, dispatch_uid="audit.tasks.begin")
    signals.task_postrun.connect(_end, dispatch_uid="audit.tasks.end")


def _publish(headers: dict[str, Any] | None = None, **kwargs: Any) -> None:
    request_id = current_origin().request_id
    if headers is not None and request_id:
        headers.setdefault(REQUEST_ID, request_id)


def _begin(task_id: str, task: Any, **kwargs: Any) -> None:
    sent = task.request.get(REQUEST_ID)
    where = Origin(request_id=sent) if isinstance(sent, str) and sent else Origin()
    stack = ExitStack()
    stack.enter_context(origin(where))
    stack.enter_context(
        structlog.contextvars.bound_contextvars(
            request_id=where.request_id, task=task.name, task_id=task_id
        )
    )
    _running[task_id] = stack


def _end(task_id: str, **kwargs: Any) -> None:
    alerts.send_pending()
    stack = _running.pop(task_id, None)
    if stack is not None:
        stack.__exit__(None, None, None)
