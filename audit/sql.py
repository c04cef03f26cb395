"""Set-based writes that the ORM has no words for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import connection, models


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
