"""The audit trail: django-simple-history's tables, written by the database itself.

``Trail`` is simple-history's ``HistoricalRecords`` with the audit columns added and with
its signal handlers replaced by statement-level triggers. A trigger sees what signals miss
(``update()``, bulk calls, imports, plain SQL), costs one statement for any number of rows,
and commits with the change or not at all. What simple-history offers for reading (history
managers, ``as_of``, differences) works unchanged. Why: docs/decisions/0002.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

import pgtrigger
from django.apps import apps
from django.contrib.postgres.indexes import BrinIndex
from django.db import connection, models
from simple_history.models import HistoricalRecords

#: Set to ``on`` by a trigger whose change of a counted row is to be in the trail.
TRACE = "holdfast.trace"

CONTEXT_COLUMNS = ("actor_kind", "actor_id", "actor_label", "ip", "user_agent", "request_id")


class AuditRecord(models.Model):
    """What every line of the trail says besides the row itself."""

    actor_kind = models.CharField(
        max_length=10,
        choices=[("customer", "customer"), ("staff", "staff"), ("system", "system")],
    )
    actor_id = models.UUIDField(null=True)
    actor_label = models.CharField(max_length=200)
    ip = models.GenericIPAddressField(null=True)
    user_agent = models.CharField(max_length=400)
    request_id = models.CharField(max_length=64)

    class Meta:
        abstract = True


class Trail(HistoricalRecords):
    """Declare on a model as ``history = Trail()``; tables and triggers come with it.

    Args:
        excluded: names of fields that are derived by the database (counters), kept out of
            the trail because each is provable from rows that are in it.
        counted: a trigger of another table keeps some of ``excluded``. Its updates write no
            line, so the trail's trigger is not even called for them, unless that trigger says
            that its change is one for the trail (``TRACE``).
    """

    def __init__(
        self, *, excluded: Iterable[str] = (), counted: bool = False, **kwargs: Any
    ) -> None:
        self.counted = counted
        kwargs.setdefault("bases", [AuditRecord])
        kwargs.setdefault("excluded_fields", list(excluded))
        kwargs.setdefault("history_id_field", models.BigAutoField())
        kwargs.setdefault("history_user_id_field", models.UUIDField(null=True))
        kwargs.setdefault("history_change_reason_field", models.TextField(default="", blank=True))
        super().__init__(**kwargs)

    def copy_fields(self, model: type[models.Model]) -> dict[str, Any]:
        fields: dict[str, Any] = super().copy_fields(model)
        for field in fields.values():
            field.db_index = False  # one index over (object, line) below serves every reader
        return fields

    def get_meta_options(self, model: type[models.Model]) -> dict[str, Any]:
        options: dict[str, Any] = super().get_meta_options(model)
        options["indexes"] = [
            models.Index(fields=[model._meta.pk.attname, "history_id"]),
            BrinIndex(fields=["history_date"]),
        ]
        return options

    @property
    def _date_indexing(self) -> bool:
        return False

    def finalize(self, sender: type[models.Model], **kwargs: Any) -> None:
        super().finalize(sender, **kwargs)
        if self.cls is sender:
            triggers = [WriteTrail("+"), WriteTrail("~", direct_only=self.counted), WriteTrail("-")]
            pgtrigger.register(*triggers)(sender)

    def post_save(self, *args: Any, **kwargs: Any) -> None:
        """The trigger has written the line already."""

    def post_delete(self, *args: Any, **kwargs: Any) -> None:
        """The trigger has written the line already."""


_EVENTS = {"+": pgtrigger.Insert, "~": pgtrigger.Update, "-": pgtrigger.Delete}
_NAMES = {"+": "trail_insert", "~": "trail_update", "-": "trail_delete"}


class WriteTrail(pgtrigger.Trigger):
    """Write one trail line for each row that a statement inserted, changed or deleted."""

    level = pgtrigger.Statement
    when = pgtrigger.After

    def __init__(self, kind: str, *, direct_only: bool = False) -> None:
        self.kind = kind
        direct = pgtrigger.Condition(
            f"pg_trigger_depth() = 0 OR current_setting('{TRACE}', true) = 'on'"
        )
        super().__init__(
            name=_NAMES[kind],
            operation=_EVENTS[kind],
            condition=direct if direct_only else None,
            referencing=pgtrigger.Referencing(
                old="old_rows" if kind != "+" else None,
                new="new_rows" if kind != "-" else None,
            ),
        )

    def get_func(self, model: Any) -> str:
        model = apps.get_model(model._meta.label)  # migrations pass one without a trail
        history = trail_of(model)._meta
        columns = [f.column for f in tracked_fields(model)]
        pk = model._meta.pk.column
        quoted = ", ".join(f'"{c}"' for c in columns)
        row = "o" if self.kind == "-" else "n"
        picked = ", ".join(f'{row}."{c}"' for c in columns)
        source = {
            "+": "new_rows n",
            "-": "old_rows o",
            "~": f'new_rows n JOIN old_rows o ON o."{pk}" = n."{pk}"',
        }[self.kind]
        where = ""
        if self.kind == "~":
            old = ", ".join(f'o."{c}"' for c in columns)
            where = f" WHERE ROW({picked}) IS DISTINCT FROM ROW({old})"
        return (
            f'INSERT INTO "{history.db_table}" ({quoted}, history_date, history_type,'
            " history_change_reason, history_user_id, actor_kind, actor_id, actor_label, ip,"
            f" user_agent, request_id) SELECT {picked}, clock_timestamp(), '{self.kind}',"
            " COALESCE(c.reason, ''), c.actor_id, c.actor_kind, c.actor_id, c.actor_label, c.ip,"
            " COALESCE(c.user_agent, ''), COALESCE(c.request_id, '')"
            f" FROM {source}, audit_context() c{where}; RETURN NULL;"
        )


def trail_of(model: type[models.Model]) -> type[Any]:
    """The historical model of a tracked model."""
    return _trail_of(model)


@cache  # simple_history makes a new class of managers each time it is asked
def _trail_of(model: type[models.Model]) -> type[Any]:
    manager = getattr(model, model._meta.simple_history_manager_attribute)  # type: ignore[attr-defined]
    return manager.model  # type: ignore[no-any-return]


def tracked_fields(model: type[models.Model]) -> list[models.Field[Any, Any]]:
    """The fields of a tracked model whose values are in its trail."""
    return list(trail_of(model).tracked_fields)


def tracked_models() -> list[type[models.Model]]:
    """Every model that has a trail, in a stable order."""
    found = [m for m in apps.get_models() if hasattr(m._meta, "simple_history_manager_attribute")]
    return sorted(found, key=lambda m: m._meta.db_table)


def protect_trails(**kwargs: Any) -> None:
    """Make every trail table append-only, for every session (ENABLE ALWAYS). Idempotent.

    Runs after each ``migrate``, so that a new table cannot be forgotten.
    """
    existing = set(connection.introspection.table_names())
    with connection.cursor() as cursor:
        for model in tracked_models():
            table = trail_of(model)._meta.db_table
            if table in existing:
                append_only(cursor, table)


def append_only(cursor: Any, table: str) -> None:
    cursor.execute(
        f'CREATE OR REPLACE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON "{table}"'
        " FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_change()"
    )
    cursor.execute(f'ALTER TABLE "{table}" ENABLE ALWAYS TRIGGER audit_append_only')
