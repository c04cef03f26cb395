"""What every API view shares: sign-in, problem details, pages, versions.

Errors are RFC 9457 ``application/problem+json``; a domain error declares its own code and
status, and everything else is mapped here, once.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any

import structlog
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, IntegrityError, InterfaceError, OperationalError
from django.http import Http404
from django.utils.crypto import constant_time_compare
from psycopg_pool import PoolTimeout
from rest_framework import exceptions, pagination
from rest_framework.authentication import BaseAuthentication
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from audit.errors import (
    DomainError,
    Invalid,
    NotFound,
    PreconditionRequired,
    Unavailable,
    translate,
)
from audit.idempotency import Answer
from bookings.models import User

log = structlog.get_logger("holdfast.api")

PROBLEM_JSON = "application/problem+json"


class SessionTokenAuthentication(BaseAuthentication):
    """``X-Session-Token`` from sign-up or login; two statements, no cache that may be away.

    A session dies with the password it was opened with.
    """

    def authenticate(self, request: Request) -> tuple[User, str] | None:
        token = request.META.get("HTTP_X_SESSION_TOKEN", "")
        if not token:
            return None
        if not re.fullmatch(r"[a-z0-9]{8,64}", token):
            raise exceptions.AuthenticationFailed
        session = SessionStore(token).load()
        user_id = session.get(SESSION_KEY)
        user = User.objects.filter(pk=user_id, is_active=True).first() if user_id else None
        if user is None or not _opened_with_this_password(user, session.get(HASH_SESSION_KEY, "")):
            raise exceptions.AuthenticationFailed
        user.backend = session.get(BACKEND_SESSION_KEY)  # type: ignore[attr-defined]
        return user, token

    def authenticate_header(self, request: Request) -> str:
        return "X-Session-Token"


def _opened_with_this_password(user: User, session_hash: str) -> bool:
    hashes = (user.get_session_auth_hash(), *user.get_session_auth_fallback_hash())
    return any(constant_time_compare(session_hash, h) for h in hashes)


class CursorPagination(pagination.CursorPagination):
    """Pages that neither skip nor repeat rows while others write; ``page_size`` up to 500."""

    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 500
    ordering = ("-created_at", "-id")


def etag(row: Any) -> str:
    """The ETag of a versioned row."""
    return f'"v{row.version}"'


def version_in(request: Request, *, required: bool = False) -> int | None:
    """The version named by If-Match; None if there is none or it is ``*``.

    Raises:
        PreconditionRequired: it is required and missing.
        Invalid: it is not an ETag of this API.
    """
    header = request.headers.get("If-Match", "").strip()
    if not header:
        if required:
            raise PreconditionRequired
        return None
    if header == "*":
        return None
    match = re.fullmatch(r'"v(\d{1,9})"', header)
    if match is None:
        raise Invalid("If-Match takes one ETag, as it was answered.")
    return int(match[1])


def problem_body(error: DomainError) -> dict[str, Any]:
    """RFC 9457 members of a domain error."""
    return {
        "type": f"/api/docs/problems/#{error.code}",
        "title": str(error.title()),
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
        **error.extra,
    }


def problem_answer(error: DomainError) -> Answer:
    """A domain error as the answer that is kept under an idempotency key."""
    return answer(error.status, problem_body(error), {"Content-Type": PROBLEM_JSON})


def answer(status: int, data: Any, headers: dict[str, str] | None = None) -> Answer:
    """A rendered answer, byte for byte what a replay will send."""
    return Answer(status, JSONRenderer().render(data).decode(), headers or {})


def problem_response(error: DomainError) -> Response:
    response = Response(problem_body(error), status=error.status, content_type=PROBLEM_JSON)
    if error.status == HTTPStatus.SERVICE_UNAVAILABLE:
        response["Retry-After"] = "2"
    return response


def problem_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """Turn what a view raised into problem details; None lets Django answer 500."""
    if isinstance(error, DomainError):
        return problem_response(error)
    if isinstance(error, Http404):
        return problem_response(NotFound())
    if isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    if isinstance(error, exceptions.APIException):
        return _rest_problem(error)
    if isinstance(error, (OperationalError, InterfaceError, PoolTimeout)):
        log.error("database_unavailable", error=type(error).__name__)
        return problem_response(Unavailable())
    if isinstance(error, (IntegrityError, DatabaseError)):
        domain = translate(error)
        if domain is not None:
            return problem_response(domain)
    return None


_CODES = {
    "not_authenticated": "not_authenticated",
    "authentication_failed": "authentication_failed",
    "permission_denied": "permission_denied",
    "not_found": "not_found",
    "method_not_allowed": "method_not_allowed",
    "unsupported_media_type": "unsupported_media_type",
    "not_acceptable": "not_acceptable",
    "throttled": "throttled",
    "parse_error": "malformed",
}


def _rest_problem(error: exceptions.APIException) -> Response:
    headers: dict[str, str] = {}
    body: dict[str, Any] = {"type": "about:blank", "status": error.status_code}
    if isinstance(error, exceptions.ValidationError):
        body |= {
            "title": Invalid.title(),
            "detail": "Some values cannot be used; see errors.",
            "code": "invalid",
            "errors": _field_errors(error.detail),
        }
    else:
        code = str(getattr(error, "default_code", "error"))
        body |= {
            "title": HTTPStatus(error.status_code).phrase,
            "detail": str(error.detail),
            "code": _CODES.get(code, code),
        }
    body["type"] = f"/api/docs/problems/#{body['code']}"
    if wait := getattr(error, "wait", None):
        headers["Retry-After"] = str(max(1, int(wait + 0.999)))
    if auth := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = auth
    return Response(body, status=error.status_code, headers=headers, content_type=PROBLEM_JSON)


def _field_errors(detail: Any) -> dict[str, list[Any]]:
    if isinstance(detail, dict):
        return {k: v if isinstance(v, list) else [v] for k, v in detail.items()}
    return {"non_field_errors": detail if isinstance(detail, list) else [detail]}
