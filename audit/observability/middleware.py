"""One line in the log for each request."""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog
from django.http import HttpRequest, HttpResponseBase

from audit.context import current_origin
from audit.delivery import alerts

log = structlog.get_logger("holdfast.access")


class AccessLogMiddleware:
    """Log method, route, status, duration and user of each request, and bind its id to the log.

    Belongs right after ``audit.context.OriginMiddleware``. The route is the URL pattern: a path
    may hold a token and a query what somebody searched for, and neither belongs in a log.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        began = time.perf_counter()
        status = 500
        request_id = current_origin().request_id
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                response = self.get_response(request)
                status = response.status_code
                return response
            finally:
                alerts.send_pending()
                match = request.resolver_match
                log.info(
                    "request",
                    method=request.method,
                    route=match.route if match else "",
                    status=status,
                    duration_ms=round((time.perf_counter() - began) * 1000, 1),
                    user=_user_id(request),
                )


def _user_id(request: HttpRequest) -> str | None:
    # Only if something asked for the user anyway: the log must not be the reason for a query.
    user = getattr(request, "_cached_user", None)
    if user is None and "user" in request.__dict__:
        lazy = request.__dict__["user"]
        user = None if hasattr(lazy, "_wrapped") else lazy
    return str(user.pk) if user is not None and user.pk is not None else None
