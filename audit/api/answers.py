"""JSON answers and RFC 9457 problem details, rendered once and sent as they were rendered."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from django.http import HttpResponse

from audit.errors import DomainError, Invalid, PreconditionRequired
from audit.idempotency import Answer

JSON = "application/json"
PROBLEM_JSON = "application/problem+json"
PROBLEM_TYPE = "/api/docs/problems/#"
RETRY_AFTER = {503: "2", 409: "1"}  # seconds; 409 only for an answer that is still being made


def render(data: Any) -> str:
    """JSON as it goes over the wire. Dates, decimals and ids are strings by now."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def respond(
    data: Any,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    *,
    content_type: str = JSON,
) -> HttpResponse:
    """A JSON answer; nobody may keep it, as it is one person's."""
    return HttpResponse(
        render(data).encode(),
        status=status,
        content_type=content_type,
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


def answer(data: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """An answer that is kept under an idempotency key."""
    return Answer(status, "" if status == 204 else render(data), dict(headers or {}))


def send(answer: Answer) -> HttpResponse:
    """Send an answer, the first time or again."""
    headers = {"Cache-Control": "no-store", **answer.headers}
    if answer.replayed:
        headers["Idempotent-Replay"] = "true"
    content_type = headers.pop("Content-Type", JSON)
    return HttpResponse(
        answer.body.encode(), status=answer.status, content_type=content_type, headers=headers
    )


def problem_body(error: DomainError) -> dict[str, Any]:
    """RFC 9457 members of a domain error."""
    return {
        "type": PROBLEM_TYPE + error.code,
        "title": str(error.title()),
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
        **error.extra,
    }


def problem_answer(error: DomainError) -> Answer:
    """A domain error as the answer that is kept under an idempotency key."""
    return Answer(error.status, render(problem_body(error)), {"Content-Type": PROBLEM_JSON})


def problem_response(error: DomainError, headers: Mapping[str, str] | None = None) -> HttpResponse:
    """A domain error as the answer to a request."""
    known = dict(headers or {})
    if error.status == 503 or error.code == "idempotency_in_progress":
        known.setdefault("Retry-After", RETRY_AFTER[error.status])
    return respond(problem_body(error), error.status, known, content_type=PROBLEM_JSON)


def etag(row: Any) -> str:
    """The ETag of a versioned row."""
    return f'"v{row.version}"'


def version_in(if_match: str, *, required: bool = False) -> int | None:
    """The version that an If-Match header names; None if there is none or it is ``*``.

    Raises:
        PreconditionRequired: it is required and missing.
        Invalid: it is not an ETag of this API.
    """
    header = if_match.strip()
    if not header:
        if required:
            raise PreconditionRequired
        return None
    if header == "*":
        return None
    match = re.fullmatch(r'"v([0-9]{1,9})"', header)
    if match is None:
        raise Invalid("If-Match takes one ETag, as it was answered.")
    return int(match[1])


def stamp(moment: datetime) -> str:
    """A moment as RFC 3339 in UTC."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def stamp_or_none(moment: datetime | None) -> str | None:
    return None if moment is None else stamp(moment)


def money(amount: Decimal) -> str:
    """An amount as a decimal string with two places."""
    return f"{amount:.2f}"


def money_or_none(amount: Decimal | None) -> str | None:
    return None if amount is None else money(amount)
