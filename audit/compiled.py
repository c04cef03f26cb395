"""Queries whose SQL is made once.

For a short query the ORM takes several times longer to write the SQL than PostgreSQL takes to
answer it. Where every request comes by, a :class:`Compiled` keeps the SQL and fills in the
parameters. What it runs is still a queryset, and what it returns are that queryset's instances.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, Generic, TypeVar

from django.db import DEFAULT_DB_ALIAS, connection, models
from django.db.models.expressions import Expression
from django.db.models.query import get_related_populators
from django.db.transaction import TransactionManagementError
from psycopg.sql import Literal

from audit.sql import prepared_cursor

M = TypeVar("M", bound=models.Model)


class Param(Expression):
    """Stands in a queryset for a value that each run brings: ``filter(pk=Param("id"))``.

    The value goes to the database as it is, so it must be what the column takes: the key of a
    row and not the row.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:  # type: ignore[override]
        return "%s", [self]


class Compiled(Generic[M]):
    """A queryset with parameters::

        OPEN = Compiled(lambda: Cart.objects.filter(customer=Param("customer"), status="open"))
        OPEN.run(customer=customer.pk)

    Made for queries that read whole rows: filters, ``select_related``, ``order_by``, locks,
    annotations. Not for slices, ``values``, ``only``, prefetches or ``in`` with a list.
    """

    def __init__(self, build: Callable[[], models.QuerySet[M]]) -> None:
        self._build = build

    def plan(self) -> _Plan:
        """What is kept: made anew."""
        return _Plan(self._build())

    @cached_property
    def _plan(self) -> _Plan:
        return self.plan()

    def run(self, **values: Any) -> list[M]:
        """The instances that the queryset finds with these values.

        Raises:
            TransactionManagementError: it locks rows, and there is no transaction.
        """
        return self._plan.run(values)

    def first(self, **values: Any) -> M | None:
        """The first of them; the queryset itself must not find many."""
        return next(iter(self.run(**values)), None)


class _Plan:
    """The SQL of one queryset, and how its rows become instances (see Django's ModelIterable)."""

    def __init__(self, queryset: models.QuerySet[Any]) -> None:
        compiler: Any = queryset.query.get_compiler(connection=connection)
        self.sql, self.params = _with_constants(*compiler.as_sql())
        info, select = compiler.klass_info, compiler.select
        fields: Sequence[int] = info["select_fields"]
        self.model = info["model"]
        self.columns = slice(fields[0], fields[-1] + 1)
        self.names = [column[0].target.attname for column in select[self.columns]]
        self.related = get_related_populators(info, select, DEFAULT_DB_ALIAS)  # type: ignore[call-arg]
        self.annotations = dict(compiler.annotation_col_map or {})
        self.converters = compiler.get_converters([c[0] for c in select[: compiler.col_count]])
        self.convert = compiler.apply_converters
        self.locks = queryset.query.select_for_update

    def run(self, values: dict[str, Any]) -> list[Any]:
        if self.locks and not connection.in_atomic_block:
            raise TransactionManagementError(
                "select_for_update cannot be used outside of a transaction."
            )
        with prepared_cursor() as cursor:
            cursor.execute(self.sql, [values[name] for name in self.params])
            rows = cursor.fetchall()
        if self.converters:
            rows = self.convert(rows, self.converters)
        return [self._instance(row) for row in rows]

    def _instance(self, row: Sequence[Any]) -> Any:
        made = self.model.from_db(DEFAULT_DB_ALIAS, self.names, row[self.columns])
        for populator in self.related:
            populator.populate(row, made)
        for name, column in self.annotations.items():
            setattr(made, name, row[column])
        return made


def _with_constants(sql: str, params: Sequence[Any]) -> tuple[str, list[str]]:
    """The SQL with everything written into it but the :class:`Param`, and their names.

    A plan that is kept has to do for every value of a parameter, so it could not use a partial
    index whose condition came as one.
    """
    left, names = iter(params), []

    def fill(placeholder: re.Match[str]) -> str:
        if placeholder[0] == "%%":
            return "%%"
        value = next(left)
        if isinstance(value, Param):
            names.append(value.name)
            return "%s"
        return Literal(value).as_string(connection.connection).replace("%", "%%")

    connection.ensure_connection()
    return re.sub("%[s%]", fill, sql), names
