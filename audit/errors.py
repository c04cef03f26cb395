"""Errors a person can do something about, declared once and rendered once.

A subclass of :class:`DomainError` is a stable code, an HTTP status and a title (the first
line of its docstring). It is raised deep in a service, turned into RFC 9457 problem details
by the API and into a message by the admin, and never into a 500. An error that names a
database constraint also answers for it: whatever slips past the checks in Python is
translated back by :func:`translate`.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection
from typing import Any, ClassVar

from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import DatabaseError


class DomainError(Exception):
    """Something about this request is not possible."""

    code: ClassVar[str] = "conflict"
    status: ClassVar[int] = 409
    constraints: ClassVar[tuple[str, ...]] = ()

    _by_constraint: ClassVar[dict[str, type[DomainError]]] = {}
    _by_code: ClassVar[dict[str, type[DomainError]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        DomainError._by_code[cls.code] = cls
        for name in cls.constraints:
            DomainError._by_constraint[name] = cls

    def __init__(self, detail: str = "", **extra: Any) -> None:
        """``detail`` is what a person reads; ``extra`` becomes members of the problem."""
        self.detail = str(detail) if detail else self.title()
        self.extra = extra
        super().__init__(self.detail)

    @classmethod
    def title(cls) -> str:
        return (inspect.getdoc(cls) or cls.code).splitlines()[0]

    @classmethod
    def catalogue(cls) -> dict[str, type[DomainError]]:
        """Every error that an installed app declares, by its code, for the documentation."""
        ours = {code: e for code, e in DomainError._by_code.items() if _is_installed(e)}
        return dict(sorted(ours.items()))


def _is_installed(error: type[DomainError]) -> bool:
    return apps.get_containing_app_config(error.__module__) is not None


class NotFound(DomainError):
    """There is no such thing, or it is not yours to see."""

    code = "not_found"
    status = 404


class Forbidden(DomainError):
    """Your role does not allow this."""

    code = "permission_denied"
    status = 403


class Invalid(DomainError):
    """The request has a value that cannot be used."""

    code = "invalid"
    status = 400

    def __init__(self, detail: str = "", *, field: str = "", **extra: Any) -> None:
        if field:
            extra["errors"] = {field: [str(detail)]}
        super().__init__(detail, **extra)


def check_fields(row: Any, *, exclude: Collection[str] = ()) -> None:
    """Raise Invalid, with what is wrong field by field, if the values of a row, not saved, cannot
    be; its constraints are not looked at."""
    try:
        row.clean_fields(exclude=exclude)
    except ValidationError as error:
        raise Invalid(" ".join(error.messages), errors=error.message_dict) from error


class StaleVersion(DomainError):
    """Somebody changed this since you read it."""

    code = "stale_version"
    status = 412


class PreconditionRequired(DomainError):
    """Say which version you read: send its ETag in If-Match."""

    code = "precondition_required"
    status = 428


class IdempotencyKeyReused(DomainError):
    """This Idempotency-Key was used before with another request."""

    code = "idempotency_key_reused"
    status = 422


class IdempotencyInProgress(DomainError):
    """The first request with this Idempotency-Key is still being worked on."""

    code = "idempotency_in_progress"
    status = 409


class Unavailable(DomainError):
    """Holdfast cannot do this right now. Try again shortly, with the same Idempotency-Key."""

    code = "unavailable"
    status = 503


def constraint_name(error: BaseException) -> str | None:
    """The constraint a database error names, also when Django or psycopg wrapped it."""
    cause: BaseException | None = error
    while cause is not None:
        diag = getattr(cause, "diag", None)
        if diag is not None and diag.constraint_name:
            return str(diag.constraint_name)
        cause = cause.__cause__
    return None


def translate(error: DatabaseError) -> DomainError | None:
    """The domain error that answers for a violated constraint, or None if there is none."""
    name = constraint_name(error)
    found = DomainError._by_constraint.get(name) if name else None
    return found() if found else None
