"""What the ORM has no words for: set-based writes, and statements that PostgreSQL keeps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from types import SimpleNamespace
from typing import Any, Self

from django.db import DEFAULT_DB_ALIAS, connection, connections, models
from django.db.backends.postgresql.base import ServerBindingCursor
from django.db.backends.postgresql.psycopg_any import mogrify
from django.db.backends.utils import CursorWrapper


class _PreparedCursor(ServerBindingCursor):
    """Tells Django's query log what it sent, values included, as Django's own cursors do."""

    def execute(self, query: Any, params: Any = None, **options: Any) -> Self:
        super().execute(query, params, **options)  # type: ignore[misc]
        if connection.queries_logged:
            self._query: Any = SimpleNamespace(query=mogrify(query, params, connection).encode())
        return self


def prepared_cursor() -> CursorWrapper:
    """A cursor for short statements that come again and again with other parameters.

    PostgreSQL parses and plans such a statement a few times in each session and then never
    again, which is most of the work of a short one. Django's own cursors write the parameters
    into the text, so that every statement is a new one. Whether statements are kept is said by
    ``prepare_threshold`` in the settings; without it this cursor works as well.
    """
    database = connections[DEFAULT_DB_ALIAS]  # looked up once: the proxy does so at every touch
    database.ensure_connection()
    # What Django's cursor() does, with another class of cursor.
    found: CursorWrapper = database._prepare_cursor(_PreparedCursor(database.connection))  # type: ignore[attr-defined, call-arg]
    return found


@contextmanager
def switched_on(setting: str) -> Iterator[None]:
    """A setting of ours, which triggers ask for, is ``on`` inside, for this transaction alone."""

    def switch(value: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config(%s, %s, true)", [setting, value])

    switch("on")
    yield
    switch("")  # where an error undoes the transaction, it undoes the setting


def insert(row: models.Model) -> None:
    """Insert one new row, as ``save(force_insert=True)`` does, by a statement that is kept.

    No signals are sent. Columns that the database fills in are left to it, and are not read
    back: take what you need from the row as it was made.
    """
    sql, fields = _insert_sql(type(row))
    database = connections[DEFAULT_DB_ALIAS]
    values = [f.get_db_prep_save(f.pre_save(row, add=True), database) for f in fields]
    with prepared_cursor() as cursor:
        cursor.execute(sql, values)
    row._state.adding, row._state.db = False, DEFAULT_DB_ALIAS


def insert_rows(rows: Sequence[models.Model]) -> None:
    """Insert new rows of one model, as ``bulk_create`` does, by one statement that is kept.

    The same statement for any number of rows: each column goes over as one array. As with
    :func:`insert`, no signals, and what the database fills in is not read back.
    """
    if not rows:
        return
    sql, fields = _insert_rows_sql(type(rows[0]))
    database = connections[DEFAULT_DB_ALIAS]
    values = [
        [f.get_db_prep_save(f.pre_save(row, add=True), database) for row in rows] for f in fields
    ]
    with prepared_cursor() as cursor:
        cursor.execute(sql, values)
    for row in rows:
        row._state.adding, row._state.db = False, DEFAULT_DB_ALIAS


def insert_new(
    model: type[models.Model], rows: Sequence[models.Model], *, returning: Sequence[str]
) -> list[tuple[Any, ...]]:
    """Insert those of these rows that are not there yet, in one statement; values of those.

    Whoever inserts the same at the same time is waited for, and then was first.

    Args:
        returning: columns.
    """
    if not rows:
        return []
    sql, fields = _insert_rows_sql(model)
    database = connections[DEFAULT_DB_ALIAS]
    values = [
        [f.get_db_prep_save(f.pre_save(row, add=True), database) for row in rows] for f in fields
    ]
    columns = ", ".join(f'"{name}"' for name in returning)
    with prepared_cursor() as cursor:
        cursor.execute(f"{sql} ON CONFLICT DO NOTHING RETURNING {columns}", values)
        return list(cursor.fetchall())


@cache
def _insert_rows_sql(model: type[models.Model]) -> tuple[str, list[Any]]:
    fields = [f for f in model._meta.local_concrete_fields if not _filled_in_by_database(f)]
    columns = ", ".join(f'"{f.column}"' for f in fields)
    arrays = ", ".join(f"%s::{_cast_type(f)}[]" for f in fields)
    table = model._meta.db_table
    return f'INSERT INTO "{table}" ({columns}) SELECT * FROM unnest({arrays})', fields  # noqa: S608  from models


@cache
def _insert_sql(model: type[models.Model]) -> tuple[str, list[Any]]:
    fields = [f for f in model._meta.local_concrete_fields if not _filled_in_by_database(f)]
    columns = ", ".join(f'"{f.column}"' for f in fields)
    values = ", ".join(["%s"] * len(fields))
    table = model._meta.db_table
    return f'INSERT INTO "{table}" ({columns}) VALUES ({values})', fields  # noqa: S608  from models


def _filled_in_by_database(field: models.Field[Any, Any]) -> bool:
    return field.has_db_default() or isinstance(field, models.AutoField)


def update_rows(
    model: type[models.Model], fields: Sequence[str], rows: Iterable[Sequence[Any]]
) -> int:
    """Give each row its own values in one statement, whatever their number.

    Args:
        fields: names of the fields to set.
        rows: for each row its primary key, then one value per field.

    Returns:
        The number of rows changed. ``bulk_update`` does the same with one CASE per row and
        field, which costs tens of milliseconds for a hundred rows; this is one join.
    """
    columns = [model._meta.pk, *(model._meta.get_field(f) for f in fields)]
    values: list[list[Any]] = [[] for _ in columns]
    for row in rows:
        for column, value in zip(columns, row, strict=True):
            prepared = column.get_db_prep_save(value, connection)  # type: ignore[union-attr]
            values[columns.index(column)].append(prepared)
    if not values[0]:
        return 0
    names = [f'"{c.column}"' for c in columns]  # type: ignore[union-attr]
    types = [_cast_type(c) for c in columns]
    sets = ", ".join(f"{n} = v.{n}" for n in names[1:])
    arrays = ", ".join(f"%s::{t}[]" for t in types)
    table = f'"{model._meta.db_table}"'
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {table} t SET {sets} FROM unnest({arrays}) AS v({', '.join(names)})"  # noqa: S608  names come from models
            f" WHERE t.{names[0]} = v.{names[0]}",
            values,
        )
        return int(cursor.rowcount)


def _cast_type(field: Any) -> str:
    kind = str(field.db_type(connection))
    return kind.split("(")[0] if kind.startswith(("varchar", "numeric")) else kind
