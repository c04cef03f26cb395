"""The OpenAPI document: what the views declare, and what is true of every operation."""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from typing import Any

from django.conf import settings
from django.utils.translation import override
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema

from audit.api.answers import PROBLEM_JSON
from audit.api.pages import LARGEST_PAGE, PAGE_SIZE
from audit.errors import DomainError

ALWAYS = ["not_authenticated", "authentication_failed", "not_found", "throttled", "unavailable"]
WITH_BODY = ["invalid", "malformed", "unsupported_media_type", "too_large"]
WITH_KEY = ["idempotency_in_progress", "idempotency_key_reused"]

IDEMPOTENCY_KEY = {
    "in": "header",
    "name": "Idempotency-Key",
    "schema": {"type": "string", "maxLength": 255},
    "description": (
        "Anything unique, such as a UUID. The same key with the same request gives the same answer"
        " for 24 hours, marked `Idempotent-Replay: true`, and nothing is done twice."
    ),
}
PAGE_PARAMETERS = [
    {
        "in": "query",
        "name": "page_size",
        "schema": {"type": "integer", "minimum": 1, "maximum": LARGEST_PAGE, "default": PAGE_SIZE},
    },
    {
        "in": "query",
        "name": "cursor",
        "schema": {"type": "string"},
        "description": "Where the page begins; follow the links `next` and `previous`.",
    },
]
ETAG = {"ETag": {"schema": {"type": "string"}, "description": "The version, for If-Match."}}
PROBLEM = {
    "type": "object",
    "description": "RFC 9457 problem details. Some codes have members of their own.",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string", "description": "Where the code is explained."},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "For people; it may change."},
        "code": {"type": "string", "description": "For programs; it is stable."},
        "errors": {
            "type": "object",
            "description": "With code `invalid`: what is wrong, by field.",
            "additionalProperties": {"type": "array", "items": {"type": "string"}},
        },
    },
}


class SessionTokenScheme(OpenApiAuthenticationExtension):
    target_class = "bookings.api.authentication.SessionTokenAuthentication"
    name = "sessionToken"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        return {
            "type": "apiKey",
            "in": "header",
            "name": "X-Session-Token",
            "description": "`meta.session_token` of the answer to sign-up or login.",
        }


class HoldfastSchema(AutoSchema):
    """Adds what every operation has: problems by status, keys, pages, versions.

    A view says what is special about it in ``extensions`` of ``extend_schema``:
    ``x-problems`` (codes), ``x-paged``, ``x-etag``, ``x-if-match`` (required or optional).
    """

    def get_operation(self, *args: Any, **kwargs: Any) -> dict[str, Any] | None:
        operation = super().get_operation(*args, **kwargs)
        if operation is None:
            return None
        method = self.method
        parameters = operation.setdefault("parameters", [])
        codes = [*ALWAYS, *operation.pop("x-problems", [])]
        if method in ("POST", "PATCH", "PUT"):
            codes += WITH_BODY
        if method == "POST":
            parameters.append(IDEMPOTENCY_KEY)
            codes += WITH_KEY
        if operation.pop("x-paged", False):
            parameters += PAGE_PARAMETERS
            codes.append("invalid")
        if operation.pop("x-etag", False):
            self._add_etag(operation)
        if if_match := operation.pop("x-if-match", ""):
            parameters.append(self._if_match(required=if_match == "required"))
            codes.append("stale_version")
            if if_match == "required":
                codes.append("precondition_required")
        operation["responses"] |= _problems(codes)
        return operation

    @staticmethod
    def _add_etag(operation: dict[str, Any]) -> None:
        for status, response in operation["responses"].items():
            if status.startswith("2"):
                response.setdefault("headers", {}).update(ETAG)

    @staticmethod
    def _if_match(*, required: bool) -> dict[str, Any]:
        return {
            "in": "header",
            "name": "If-Match",
            "required": required,
            "schema": {"type": "string"},
            "description": (
                "The ETag you read: if somebody has changed it since, the answer is 412 and nothing"
                " changes. `*` for whatever it is now."
            ),
        }


def _problems(codes: list[str]) -> dict[str, Any]:
    """Responses by status, each with the codes it can have."""
    catalogue = DomainError.catalogue()
    by_status: dict[int, list[str]] = defaultdict(list)
    for code in dict.fromkeys(codes):
        by_status[catalogue[code].status].append(code)
    return {
        str(status): {
            "description": "\n".join(f"- `{c}`: {catalogue[c].title()}" for c in found),
            "content": {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status, found in sorted(by_status.items())
    }


def add_shared_parts(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """A postprocessing hook: the problem schema, and the two addresses that allauth serves."""
    result["components"].setdefault("schemas", {})["Problem"] = PROBLEM
    result["paths"] |= _sign_in_paths()
    return result


def _sign_in_paths() -> dict[str, Any]:
    credentials = {
        "email": {"type": "string", "format": "email"},
        "password": {"type": "string", "format": "password"},
    }
    profile = {
        "name": {"type": "string"},
        "language": {"type": "string", "enum": [*dict(settings.LANGUAGES)]},
    }
    answer = {
        "description": "`meta.session_token` goes into `X-Session-Token`.",
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["meta"],
                    "properties": {
                        "meta": {
                            "type": "object",
                            "properties": {"session_token": {"type": "string"}},
                        },
                        "data": {"type": "object"},
                    },
                }
            }
        },
    }
    refused = {
        "400": {"description": "What is wrong, in `errors`."},
        "401": {
            "description": "Something is still to be done first, such as verifying an address."
        },
        "409": {"description": "This session is signed in already."},
        "429": {"description": "Too many attempts."},
    }

    def operation(name: str, title: str, properties: dict[str, Any]) -> dict[str, Any]:
        schema = {
            "type": "object",
            "required": ["email", "password"],
            "properties": properties,
        }
        return {
            "post": {
                "operationId": name,
                "description": title,
                "tags": ["Sign-in"],
                "security": [{}],
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": schema}},
                },
                "responses": {"200": answer, **refused},
            }
        }

    return {
        "/_allauth/app/v1/auth/signup": operation("sign_up", "Register.", credentials | profile),
        "/_allauth/app/v1/auth/login": operation("sign_in", "Sign in.", credentials),
    }


@cache
def document() -> dict[str, Any]:
    """The document; it is the same for everybody and made once per process."""
    with override(settings.LANGUAGE_CODE):
        found: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
    return found
