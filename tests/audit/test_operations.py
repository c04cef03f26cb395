"""Operations are logged with their outcome, and failures reach administrators (A12)."""

from __future__ import annotations

import traceback
import uuid
from typing import Any

import pytest
import structlog
from celery import signals
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from audit import idempotency
from audit.context import Actor, Origin, OriginMiddleware, current_origin, origin
from audit.delivery import alerts
from audit.errors import DomainError, StaleVersion, Unavailable
from audit.models import OutboxEvent
from audit.observability.middleware import AccessLogMiddleware
from audit.observability.operations import operation
from bookings.models import Organization

ANA = Actor("staff", uuid.UUID(int=1), "ana@example.com")


@pytest.fixture(autouse=True)
def administrators(settings: Any) -> None:
    settings.ADMIN_ALERT_EMAILS = ["admin@example.com"]


def approve(error: Exception | None = None, *, transaction_id: str = "t-1", **kwargs: Any) -> None:
    with (
        operation(
            "transaction.approve",
            actor=ANA,
            transaction=transaction_id,
            alert_on_failure=True,
            **kwargs,
        ) as op,
        transaction.atomic(),
    ):
        Organization.objects.create(name="x", slug="x")
        op.rows = 3
        if error:
            raise error


def alerted() -> list[OutboxEvent]:
    return list(OutboxEvent.objects.filter(kind="operation.failed"))


@pytest.mark.django_db
def test_an_operation_is_logged_at_its_start_and_end() -> None:
    with structlog.testing.capture_logs() as logs, origin(Origin(request_id="request-1")):
        approve()
    started, finished = logs
    assert started["event"] == "operation_started"
    assert finished["event"] == "operation_finished"
    assert finished["outcome"] == "done"
    assert finished["rows"] == 3
    assert finished["duration_ms"] >= 0
    for line in logs:
        assert line["operation"] == "transaction.approve"
        assert line["transaction"] == "t-1"
        assert (line["actor_kind"], line["actor_id"]) == ("staff", str(ANA.id))
        assert line["request_id"] == "request-1"


@pytest.mark.django_db
def test_a_refusal_is_logged_by_its_code_and_alerts_nobody() -> None:
    with structlog.testing.capture_logs() as logs, pytest.raises(StaleVersion):
        approve(StaleVersion())
    assert logs[-1]["outcome"] == "refused"
    assert logs[-1]["error_code"] == "stale_version"
    assert alerted() == []


@pytest.mark.django_db
def test_a_violated_constraint_that_has_a_domain_error_is_a_refusal() -> None:
    class Taken(DomainError):
        """Taken in this test."""

        code = "test_taken"
        constraints = ("bookings_organization_slug_key",)

    Organization.objects.create(name="x", slug="x")
    with structlog.testing.capture_logs() as logs, pytest.raises(IntegrityError):
        approve()
    assert logs[-1]["error_code"] == "test_taken"
    assert alerted() == []


@pytest.mark.django_db
@pytest.mark.parametrize("error", [ZeroDivisionError(), Unavailable()])
def test_a_failure_alerts_administrators_at_once(error: Exception) -> None:
    with (
        structlog.testing.capture_logs() as logs,
        origin(Origin(request_id="request-1")),
        pytest.raises(type(error)),
    ):
        approve(error)
    assert logs[-1]["event"] == "operation_failed"
    assert logs[-1]["error_code"] == type(error).__name__
    (alert,) = alerted()
    assert [r["address"] for r in alert.recipients] == ["admin@example.com"]
    assert alert.payload["operation"] == "transaction.approve"
    assert alert.payload["ids"] == {"transaction": "t-1"}
    assert alert.payload["request_id"] == "request-1"


@pytest.mark.django_db(transaction=True)
def test_an_alert_survives_the_rollback_of_the_transaction_around_it() -> None:
    def execute() -> idempotency.Answer:
        approve(ZeroDivisionError())
        raise AssertionError

    with pytest.raises(ZeroDivisionError):
        idempotency.run(
            user_id=uuid.uuid4(),
            route="POST",
            key=None,
            request_hash="",
            execute=execute,
            problem=lambda error: idempotency.Answer(500, ""),
        )
    assert len(alerted()) == 1
    assert not Organization.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_an_alert_inside_any_transaction_is_written_at_the_end_of_the_request() -> None:
    def view(request: HttpRequest) -> HttpResponse:
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            approve(ZeroDivisionError())
        assert alerted() == []
        return HttpResponse()

    AccessLogMiddleware(view)(RequestFactory().get("/"))
    assert len(alerted()) == 1


@pytest.mark.django_db
def test_the_same_failure_alerts_once_in_five_minutes() -> None:
    for number in range(3):
        for transaction_id in ("t-1", "t-2"):
            with pytest.raises(ZeroDivisionError):
                approve(ZeroDivisionError(), transaction_id=transaction_id)
        assert len(alerted()) == 2, number


@pytest.mark.django_db
def test_a_storm_of_failures_sends_a_bounded_number_of_alerts() -> None:
    for number in range(40):
        with pytest.raises(ZeroDivisionError):
            approve(ZeroDivisionError(), transaction_id=f"t-{number}")
    assert len(alerted()) == alerts.MOST_OF_A_KIND


@pytest.mark.django_db
def test_no_line_has_personal_data_in_it() -> None:
    with structlog.testing.capture_logs() as logs, pytest.raises(IntegrityError):
        approve(IntegrityError("Key (email)=(customer@example.com) already exists"))
    text = repr(logs) + "".join(traceback.format_exception(*logs[-1]["exc_info"]))
    assert "example.com" not in text


@pytest.mark.django_db
def test_a_request_is_logged_by_its_route_and_not_its_query(client: Any) -> None:
    with structlog.testing.capture_logs() as logs:
        response = OriginMiddleware(AccessLogMiddleware(lambda request: HttpResponse(status=204)))(
            RequestFactory().get("/customers/secret-token/?search=somebody")
        )
    assert response.status_code == 204
    (line,) = [line for line in logs if line["event"] == "request"]
    assert (line["method"], line["status"]) == ("GET", 204)
    assert "secret-token" not in repr(line)
    assert "somebody" not in repr(line)


def test_a_request_that_ends_in_an_error_is_logged_as_one() -> None:
    def broken(request: HttpRequest) -> HttpResponse:
        raise ZeroDivisionError

    with structlog.testing.capture_logs() as logs, pytest.raises(ZeroDivisionError):
        AccessLogMiddleware(broken)(RequestFactory().get("/"))
    assert logs[-1]["status"] == 500


def test_a_task_continues_the_request_that_caused_it() -> None:
    headers: dict[str, Any] = {}
    with origin(Origin(request_id="request-1")):
        signals.before_task_publish.send("a.task", headers=headers)

    class Task:
        name = "a.task"
        request = headers

    signals.task_prerun.send(Task, task_id="id-1", task=Task())
    try:
        assert current_origin().request_id == "request-1"
        assert structlog.contextvars.get_contextvars()["request_id"] == "request-1"
    finally:
        signals.task_postrun.send(Task, task_id="id-1")
    assert current_origin().request_id == ""
    assert "request_id" not in structlog.contextvars.get_contextvars()
