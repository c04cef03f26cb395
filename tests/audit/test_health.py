"""Health for whoever decides where requests go (B12, F4, promise 9)."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from django.db import connection
from django.test import RequestFactory

from audit.observability import health

REQUEST = RequestFactory().get("/")


def test_being_alive_needs_no_database() -> None:
    response = health.healthz(REQUEST)
    assert response.status_code == 200
    assert json.loads(response.content) == {"status": "ok"}
    assert "no-store" in response["Cache-Control"]


@pytest.mark.django_db
def test_it_is_ready_with_database_and_redis() -> None:
    response = health.readyz(REQUEST)
    assert response.status_code == 200
    assert json.loads(response.content) == {"status": "ok", "database": "ok", "redis": "ok"}


@pytest.mark.django_db
def test_without_redis_it_serves_degraded_and_says_so_soon(settings: Any) -> None:
    redis = {**settings.CACHES["default"], "LOCATION": "redis://127.0.0.1:1/0"}
    settings.CACHES = {"default": redis}
    began = time.perf_counter()
    response = health.readyz(REQUEST)
    assert response.status_code == 200
    assert json.loads(response.content)["redis"] == "away"
    assert time.perf_counter() - began < 3


@pytest.mark.django_db
def test_without_the_database_it_is_a_503_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*args: Any, **kwargs: Any) -> Any:
        raise ConnectionError("gone")

    monkeypatch.setattr(connection, "cursor", gone)
    monkeypatch.setattr(connection, "close", lambda: None)
    response = health.readyz(REQUEST)
    assert response.status_code == 503
    assert response["Content-Type"] == "application/problem+json"
    assert response["Retry-After"]
    problem = json.loads(response.content)
    assert (problem["status"], problem["code"]) == (503, "unavailable")
    assert "gone" not in problem["detail"]


@pytest.mark.django_db
def test_a_database_of_another_release_is_not_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_migrated", False)
    monkeypatch.setattr(health, "_asked_at", -1_000.0)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'audit' AND name >= '0002'")
    assert health.readyz(REQUEST).status_code == 503
