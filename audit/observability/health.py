"""Is this process alive, and can it serve?"""

from __future__ import annotations

import time

from django.core.cache import cache
from django.db import connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse

NO_STORE = {"Cache-Control": "no-store"}
PATIENCE_MS = 2_000
ASK_AGAIN_SECONDS = 5.0

_migrated = False
_asked_at = 0.0


def healthz(request: HttpRequest) -> JsonResponse:
    """The process answers. Looks at nothing else: restarting it would not mend a database."""
    return JsonResponse({"status": "ok"}, headers=NO_STORE)


def readyz(request: HttpRequest) -> JsonResponse:
    """Whether requests should be sent here.

    503 when the database is away or its tables are not those of this release. Without Redis
    the answer is ``degraded`` and 200: bookings go on.
    """
    problem = _database_problem()
    if problem:
        return JsonResponse(
            {
                "type": "about:blank",
                "title": "Holdfast cannot serve requests right now.",
                "status": 503,
                "detail": problem,
                "code": "unavailable",
            },
            status=503,
            headers=NO_STORE | {"Retry-After": "5"},
            content_type="application/problem+json",
        )
    redis = _redis_answers()
    return JsonResponse(
        {
            "status": "ok" if redis else "degraded",
            "database": "ok",
            "redis": "ok" if redis else "away",
        },
        headers=NO_STORE,
    )


def _database_problem() -> str:
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [f"{PATIENCE_MS}ms"])
            cursor.execute("SELECT 1")
        if not _is_migrated():
            return "The database has not been migrated to this release yet."
    except Exception:
        connection.close()
        return "The database does not answer."
    return ""


def _is_migrated() -> bool:
    """Asked until it is true: a database does not go back while this process runs."""
    global _migrated, _asked_at
    if not _migrated and time.monotonic() - _asked_at > ASK_AGAIN_SECONDS:
        executor = MigrationExecutor(connection)
        _migrated = not executor.migration_plan(executor.loader.graph.leaf_nodes())
        _asked_at = time.monotonic()
    return _migrated


def _redis_answers() -> bool:
    try:
        cache.get("readyz")
    except Exception:
        return False
    return True
