"""What audit itself has to keep: a trail that tells the truth, and events that get out."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from django.db import models

from audit.consistency.registry import FixResult, Problem, Scope, check, fix, rows
from audit.context import Actor
from audit.history import tracked_fields, tracked_models, trail_of
from audit.models import Lease

UNDISPATCHED_AFTER = timedelta(minutes=10)
UNDELIVERED_AFTER = timedelta(hours=6)


@check(
    id="audit.trail_matches_rows",
    title="Every row is as the newest line of its trail says",
    help=(
        "Somebody changed a table with its triggers switched off, or restored a table without "
        "its trail. Find out who has such access; the row and its trail need a person, because "
        "either of them can be the wrong one."
    ),
    severity="critical",
)
def trail_matches_rows(scope: Scope) -> Iterator[Problem]:
    for model in tracked_models():
        yield from _compare_with_trail(model, scope)


_WRONG = {
    "unrecorded": "There is no trail of this row.",
    "vanished": "The row is gone, and its trail does not say that it was deleted.",
    "undead": "The trail says that this row was deleted, and it is there.",
    "different": "The row differs from the newest line of its trail.",
}


def _compare_with_trail(model: type[models.Model], scope: Scope) -> Iterator[Problem]:
    pk = model._meta.pk.column
    columns = [f.column for f in tracked_fields(model)]
    organization = "organization_id" if "organization_id" in columns else None
    if scope.organization_id and not organization:
        return
    differing = ", ".join(
        f'CASE WHEN r."{c}" IS DISTINCT FROM t."{c}" THEN \'{c}\' END' for c in columns
    )
    # Names of tables and columns come from the models; values are parameters.
    sql = f"""
        SELECT wrong.* FROM (
            SELECT COALESCE(r."{pk}", t."{pk}")::text AS pk,
                   {f'COALESCE(r."{organization}", t."{organization}")' if organization else "NULL"}
                       AS organization_id,
                   t.history_id,
                   CASE WHEN t.history_id IS NULL THEN 'unrecorded'
                        WHEN r."{pk}" IS NULL AND t.history_type <> '-' THEN 'vanished'
                        WHEN r."{pk}" IS NULL THEN NULL
                        WHEN t.history_type = '-' THEN 'undead'
                        ELSE 'different' END AS kind,
                   array_remove(ARRAY[{differing}], NULL) AS fields
            FROM "{model._meta.db_table}" r
            FULL JOIN (
                SELECT DISTINCT ON ("{pk}") * FROM "{trail_of(model)._meta.db_table}"
                ORDER BY "{pk}", history_id DESC
            ) t ON t."{pk}" = r."{pk}"
        ) wrong
        WHERE kind IS NOT NULL AND (kind <> 'different' OR fields <> '{{}}')
    """  # noqa: S608
    params: list[Any] = []
    if scope.organization_id:
        sql += " AND organization_id = %s"
        params.append(scope.organization_id)
    for row in rows(sql, params):
        fields = row["fields"] if row["kind"] == "different" else []
        yield Problem(
            subject_type=model._meta.label_lower,
            subject_id=row["pk"],
            message=_WRONG[row["kind"]] + (f" Fields: {', '.join(fields)}." if fields else ""),
            organization_id=row["organization_id"],
            details={"kind": row["kind"], "fields": fields, "history_id": row["history_id"]},
        )


@check(
    id="audit.trail_is_protected",
    title="Every trail is written by its triggers and refuses changes",
    help=(
        "A trigger is missing or switched off, so that changes go unrecorded or the record can "
        "be rewritten. Run `manage.py migrate` and `manage.py pgtrigger enable`, then find out "
        "who switched it off."
    ),
    severity="critical",
)
def trail_is_protected(scope: Scope) -> Iterator[Problem]:
    if scope.organization_id:
        return
    expected = {
        (model._meta.db_table, f"pgtrigger_{name}_%", "O"): model
        for model in tracked_models()
        for name in ("trail_insert", "trail_update", "trail_delete")
    } | {
        (trail_of(model)._meta.db_table, "audit_append_only", "A"): model
        for model in tracked_models()
    }
    found = list(
        rows(
            "SELECT tgrelid::regclass::text AS name, tgname, tgenabled FROM pg_trigger"
            " WHERE NOT tgisinternal"
        )
    )
    for (table, name, enabled), model in expected.items():
        prefix = name.removesuffix("%")
        if not any(
            row["name"].strip('"') == table
            and row["tgname"].startswith(prefix)
            and row["tgenabled"] in (enabled, "A")
            for row in found
        ):
            yield Problem(
                subject_type=model._meta.label_lower,
                subject_id=f"{table}.{prefix.strip('_')}"[-64:],
                message=f"The trigger {prefix.strip('_')} of the table {table} is missing or off.",
            )


_MINE = "(%(organization)s::uuid IS NULL OR organization_id = %(organization)s)"
_STUCK_EVENTS = (  # noqa: S608
    "SELECT id::text, organization_id, kind, error, created_at FROM audit_outboxevent"
    " WHERE ((dispatched_at IS NULL AND created_at < %(undispatched)s) OR error <> '') AND "
) + _MINE
_STUCK_DELIVERIES = (  # noqa: S608
    "SELECT id::text, organization_id, channel, status, attempts, last_error"
    " FROM audit_delivery"
    " WHERE (status = 'dead' OR (status IN ('queued', 'sending', 'failed')"
    " AND created_at < %(undelivered)s)) AND "
) + _MINE


@check(
    id="audit.outbox_stuck",
    title="Every event is on its way within minutes, and none was given up",
    help=(
        "Undispatched events mean that no worker runs the relay. A delivery that was given up "
        "is in Deliveries with its last error: correct the cause and resend it, or cancel it."
    ),
    severity="warning",
)
def outbox_stuck(scope: Scope) -> Iterator[Problem]:
    params = {
        "organization": scope.organization_id,
        "undispatched": scope.now - UNDISPATCHED_AFTER,
        "undelivered": scope.now - UNDELIVERED_AFTER,
    }
    for row in rows(_STUCK_EVENTS, params):
        what = f"failed: {row['error']}" if row["error"] else "was not handed out yet"
        yield Problem(
            subject_type="audit.outboxevent",
            subject_id=row["id"],
            message=f"The event {row['kind']} of {row['created_at']:%Y-%m-%d %H:%M} {what}.",
            organization_id=row["organization_id"],
        )
    for row in rows(_STUCK_DELIVERIES, params):
        state = "was given up" if row["status"] == "dead" else "is still not delivered"
        yield Problem(
            subject_type="audit.delivery",
            subject_id=row["id"],
            message=f"A delivery by {row['channel']} {state} after {row['attempts']} attempts:"
            f" {row['last_error'] or 'no error noted'}",
            organization_id=row["organization_id"],
        )


LONGEST_LEASE = timedelta(hours=1)

_LEASES = """
    SELECT name, until FROM audit_lease
    WHERE until > %(late)s AND %(organization)s::uuid IS NULL ORDER BY name
"""


@check(
    id="audit.leases_run_out",
    title="A lease that nobody uses runs out within minutes",
    help=(
        "A lease says that some work is being done, and would keep everybody from it for more"
        " than an hour: a clock was wrong, or somebody wrote it by hand. --fix lets it run out"
        " now; whoever holds it finds that out before they change anything."
    ),
    severity="warning",
)
def leases_run_out(scope: Scope) -> Iterator[Problem]:
    late = scope.now + LONGEST_LEASE
    for row in rows(_LEASES, {"late": late, "organization": scope.organization_id}):
        yield Problem(
            subject_type="audit.lease",
            subject_id=row["name"],
            message=f"The lease of {row['name']} lasts until {row['until']:%Y-%m-%d %H:%M} UTC.",
        )


@fix("audit.leases_run_out")
def fix_leases_run_out(problem: Problem, actor: Actor, now: datetime) -> FixResult:
    stuck = Lease.objects.filter(pk=problem.subject_id, until__gt=now + LONGEST_LEASE)
    if not stuck.update(until=now, holder=uuid4()):
        return FixResult.gone()
    return FixResult.fixed("It has run out.")
