"""Makes rows wrong the way only somebody with the database in their hands can."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import connection
from django.utils import timezone

from audit.consistency.registry import registry
from audit.consistency.runner import Run, run_checks
from audit.context import Actor

AUDITOR = Actor.system("auditor")


def corrupt(sql: str, params: Iterable[Any] = (), *, drop: Iterable[tuple[str, str]] = ()) -> None:
    """Run SQL past every trigger and foreign key, and past the ``(table, constraint)`` in ``drop``.

    Inside a test's transaction: the constraints are back when it is rolled back.
    """
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED")
        for table, constraint in drop:
            cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {constraint}")
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(sql, list(params))
        assert cursor.rowcount > 0, "nothing was corrupted, so the test would prove nothing"
        cursor.execute("SET LOCAL session_replication_role = origin")


def check(*ids: str, organization: Any = None) -> set[str]:
    """The subjects that these checks find (all checks if none is named); nothing is changed."""
    run = _run(ids, organization=organization, fix=False)
    return {f.subject_id for f in run.findings}


def check_rows() -> set[str]:
    """What every check finds but those of the trail, which remembers what was done past it."""
    return check(*[c.id for c in registry.checks() if not c.id.startswith("audit.")])


def fix(*ids: str) -> dict[str, str]:
    """Repair, and return what became of each subject that was found."""
    return {f.subject_id: f.status for f in _run(ids, fix=True).findings}


def _run(ids: Iterable[str], *, fix: bool, organization: Any = None) -> Run:
    run = run_checks(
        actor=AUDITOR,
        now=timezone.now(),
        only=list(ids) or None,
        fix=fix,
        organization_id=organization,
    )
    errors = [o.error for o in run.outcomes if o.error]
    assert not errors, errors
    return run


def last_line(row: Any) -> Any:
    """The newest line of a row's trail."""
    return type(row).history.filter(**{row._meta.pk.attname: row.pk}).latest("history_id")
