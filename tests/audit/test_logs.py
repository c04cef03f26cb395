"""The log tells where an error happened and never about whom (A12)."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

import pytest
import structlog
from django.conf import settings
from django.db import IntegrityError, transaction
from django.test import RequestFactory
from django.urls import resolve

from bookings.models import User
from tests import factories as f

SECRET = "ada@example.com"


def line_of(record: logging.LogRecord) -> dict[str, Any]:
    """What the console handler would write of a record."""
    options = dict(settings.LOGGING["formatters"]["json"])
    formatter = options.pop("()")(**options)
    found: dict[str, Any] = json.loads(formatter.format(record))
    return found


def record(message: str = "Went wrong", *args: Any, **extra: Any) -> logging.LogRecord:
    return logging.getLogger("django.request").makeRecord(
        "django.request", logging.ERROR, __file__, 1, message, args, sys.exc_info(), extra=extra
    )


def fail_deep_inside() -> None:
    try:
        int(SECRET)
    except ValueError as error:
        raise LookupError(f"nobody like {SECRET}") from error


def test_an_unhandled_error_is_logged_with_its_traceback_and_no_value() -> None:
    try:
        fail_deep_inside()
    except LookupError:
        line = line_of(record())

    assert line["event"] == "Went wrong"
    assert "fail_deep_inside" in line["exception"]
    assert "LookupError" in line["exception"]
    assert "ValueError" in line["exception"], "the cause belongs to it"
    assert SECRET not in json.dumps(line)


@pytest.mark.django_db
def test_what_the_database_quotes_is_not_logged() -> None:
    user = f.UserFactory(email=SECRET)
    try:
        with transaction.atomic():
            User.objects.create(email=user.email)
    except IntegrityError as error:
        quoted = str(error)
        line = line_of(record("Task t[1] raised unexpected: %r", error))

    assert SECRET in quoted
    assert "IntegrityError" in line["exception"]
    assert "Task t[1] raised unexpected: django.db.utils.IntegrityError" in line["event"]
    assert SECRET not in json.dumps(line)


def test_the_error_itself_is_left_as_it_was() -> None:
    try:
        fail_deep_inside()
    except LookupError as error:
        line_of(record())
        kept: BaseException = error

    assert str(kept) == f"nobody like {SECRET}"
    assert isinstance(kept.__cause__, ValueError)


def test_the_route_stands_for_an_address_with_a_key() -> None:
    request = RequestFactory().get("/account/password/reset/key/1-secret-key/")
    request.resolver_match = resolve(request.path)

    line = line_of(record("%s: %s", "Internal Server Error", request.path, request=request))

    assert "secret-key" not in json.dumps(line, default=str)
    assert "account/password/reset/key/<str:key>/" in line["event"]


def test_an_address_nobody_knows_is_not_repeated() -> None:
    request = RequestFactory().get("/secret-key/")

    line = line_of(record("%s: %s", "Not Found", request.path, request=request))

    assert line["event"] == "Not Found: an unknown address"


def test_a_line_without_an_error_stays_as_it_is() -> None:
    assert line_of(record("All is %s", "well"))["event"] == "All is well"
    assert "exception" not in line_of(record("All is %s", "well"))


def test_lines_of_our_own_keep_to_it_too() -> None:
    processors = structlog.get_config()["processors"]
    names = [getattr(p, "__name__", type(p).__name__) for p in processors]

    assert names.index("without_values") < processors.index(structlog.processors.format_exc_info)
