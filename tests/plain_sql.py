"""Going around Python: rows written as a person with an SQL prompt would, and what refuses them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import DatabaseError, connection, models, transaction
from psycopg.types.json import Jsonb

from audit.errors import constraint_name
from audit.lifecycle import Lifecycle


def sql(statement: str, *params: Any) -> int:
    """Run a statement; the number of rows it changed."""
    with connection.cursor() as cursor:
        cursor.execute(statement, params or None)
        return int(cursor.rowcount)


def query(statement: str, *params: Any) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(statement, params or None)
        return list(cursor.fetchall())


@contextmanager
def refused(claim: str) -> Iterator[None]:
    """What is done inside violates the named constraint; it is undone."""
    with pytest.raises(DatabaseError) as caught, transaction.atomic():  # noqa: PT012
        yield
        sql("SET CONSTRAINTS ALL IMMEDIATE")
    assert constraint_name(caught.value) == claim, caught.value


def as_a_repair() -> None:
    """Let what follows, in this transaction, write what only triggers and repairs may."""
    sql("SET LOCAL holdfast.repair = 'on'")


def change(row: models.Model, **columns: Any) -> None:
    """UPDATE one row."""
    sets = ", ".join(f'"{c}" = %s' for c in columns)
    table, pk = row._meta.db_table, row._meta.pk.column
    done = sql(f'UPDATE "{table}" SET {sets} WHERE "{pk}" = %s', *columns.values(), row.pk)
    assert done == 1


def copy(row: models.Model, **columns: Any) -> None:
    """INSERT a row like this one, with other values in some columns."""
    table, pk = row._meta.db_table, row._meta.pk.column
    other = json.loads(json.dumps(columns, default=str))
    sql(
        f'INSERT INTO "{table}" SELECT (jsonb_populate_record(r, %s)).* FROM "{table}" r'
        f' WHERE "{pk}" = %s',
        Jsonb(other),
        row.pk,
    )


def moves_the_database_lets_pass(
    row: models.Model,
    lifecycle: Lifecycle,
    states: Mapping[str, Mapping[str, Any]],
    *,
    field: str = "status",
) -> set[tuple[str, str]]:
    """Try every move between two statuses on a row with plain SQL.

    Args:
        states: for each status, the other columns that a row in it needs.

    Returns:
        The moves that passed. A move that is refused for another reason fails the test.
    """
    table = row._meta.db_table
    claim = f"{table}_{field}_follows_lifecycle"
    trigger = "follow_lifecycle" if field == "status" else f"{field}_lifecycle"
    ((name,),) = query(
        "SELECT tgname FROM pg_trigger WHERE tgrelid = %s::regclass AND tgname LIKE %s",
        table,
        f"pgtrigger_{trigger}_%",
    )
    passed = set()
    for source in states:
        for target in states:
            if source == target:
                continue
            with transaction.atomic():
                sql("SET CONSTRAINTS ALL IMMEDIATE")
                sql(f'ALTER TABLE "{table}" DISABLE TRIGGER "{name}"')
                change(row, **{field: source}, **states[source])
                sql(f'ALTER TABLE "{table}" ENABLE TRIGGER "{name}"')
                refusal = None
                try:
                    with transaction.atomic():
                        change(row, **{field: target}, **states[target])
                        passed.add((source, target))
                except DatabaseError as error:
                    refusal = constraint_name(error)
                assert refusal in (None, claim), (source, target, refusal)
                transaction.set_rollback(True)
    return passed


def claims_of(app_label: str) -> set[str]:
    """The names of every constraint the models of an app declare."""
    from django.apps import apps

    return {
        constraint.name
        for model in apps.get_app_config(app_label).get_models()
        if not hasattr(model, "history_object")
        for constraint in model._meta.constraints
    }
