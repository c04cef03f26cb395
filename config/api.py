"""Every error of the API as RFC 9457 ``application/problem+json``.

A domain error declares its own code and status; whatever else is raised is mapped here, once,
for views (``problem_handler``) and for what never reaches one (``handler404`` and so on).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import DatabaseError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.views import defaults
from psycopg_pool import PoolTimeout
from rest_framework import exceptions

from audit.api import errors
from audit.api.answers import problem_response
from audit.errors import DomainError, Forbidden, Invalid, NotFound, Unavailable, translate

log = structlog.get_logger("holdfast.api")

_AWAY = (OperationalError, InterfaceError, PoolTimeout)


def problem_handler(error: Exception, context: Mapping[str, Any]) -> HttpResponse | None:
    """Turn what a view raised into problem details; None lets Django answer 500."""
    known = known_problem(error)
    if known is None:
        return None
    headers = {}
    if wait := getattr(error, "wait", None):
        headers["Retry-After"] = str(max(1, int(wait + 0.999)))
    if challenge := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if isinstance(error, exceptions.MethodNotAllowed):
        headers["Allow"] = ", ".join(context["view"].allowed_methods)
    return problem_response(known, headers)


def known_problem(error: BaseException | None) -> DomainError | None:
    """The domain error that says what this one means to the client, if it means anything."""
    if isinstance(error, DomainError):
        return error
    if isinstance(error, _AWAY):
        log.error("database_unavailable", error=type(error).__name__)
        return Unavailable()
    if isinstance(error, DatabaseError):
        return translate(error)
    for kind, make in _MEANINGS:
        if isinstance(error, kind):
            return make(error)
    return None


_MEANINGS: list[tuple[type[Exception], Callable[[Any], DomainError]]] = [
    (Http404, lambda e: NotFound()),
    (PermissionDenied, lambda e: Forbidden()),
    (exceptions.NotAuthenticated, lambda e: errors.NotAuthenticated()),
    (exceptions.AuthenticationFailed, lambda e: errors.AuthenticationFailed()),
    (exceptions.PermissionDenied, lambda e: Forbidden()),
    (exceptions.NotFound, lambda e: NotFound()),
    (exceptions.MethodNotAllowed, lambda e: errors.MethodNotAllowed(str(e.detail))),
    (exceptions.UnsupportedMediaType, lambda e: errors.UnsupportedMediaType(str(e.detail))),
    (exceptions.Throttled, lambda e: errors.Throttled()),
    (exceptions.ParseError, lambda e: errors.Malformed(str(e.detail))),
    (exceptions.ValidationError, lambda e: Invalid("Some values cannot be used.")),
    (RequestDataTooBig, lambda e: errors.TooLarge()),
    (SuspiciousOperation, lambda e: errors.Malformed()),
]


def is_api(request: HttpRequest) -> bool:
    return request.path.startswith(("/api/", "/_allauth/"))


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if is_api(request):
        return problem_response(known_problem(exception) or errors.Malformed())
    return defaults.bad_request(request, exception)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    if is_api(request):
        return problem_response(Forbidden())
    return defaults.permission_denied(request, exception)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    if is_api(request):
        detail = "There is nothing at this address."
        if not request.path.endswith("/"):
            detail += " Addresses of the API end with a slash."
        return problem_response(NotFound(detail))
    return defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    """500, or 503 when the database is away; the log has the rest under the request id."""
    if not is_api(request):
        return defaults.server_error(request)
    known = known_problem(sys.exc_info()[1])
    if known is not None and known.status == Unavailable.status:
        return problem_response(known)
    return problem_response(errors.Internal(request_id=getattr(request, "request_id", "")))
