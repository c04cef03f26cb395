"""Triggers that more than one app declares on its models."""

from __future__ import annotations

from typing import Any

import pgtrigger

from audit.lifecycle import Lifecycle


class FollowLifecycle(pgtrigger.FSM):
    """A status changes only along its table, on every path to the database."""

    def __init__(self, lifecycle: Lifecycle, *, field: str = "status") -> None:
        super().__init__(
            name="follow_lifecycle" if field == "status" else f"{field}_lifecycle",
            field=field,
            transitions=lifecycle.pairs(),
            condition=pgtrigger.AnyChange(field),
        )

    def get_func(self, model: Any) -> str:
        column = model._meta.get_field(self.field).column
        allowed = ", ".join(f"'{a}:{b}'" for a, b in self.transitions)
        name = f"{model._meta.db_table}_{column}_follows_lifecycle"
        return (
            f'IF (OLD."{column}" || \':\' || NEW."{column}") <> ALL (ARRAY[{allowed}]) THEN'
            f" RAISE EXCEPTION '% cannot become % on {model._meta.db_table} %',"
            f' OLD."{column}", NEW."{column}", OLD."{model._meta.pk.column}"'
            f" USING ERRCODE = 'check_violation', CONSTRAINT = '{name}'; END IF; RETURN NEW;"
        )

    def get_declare(self, model: Any) -> list[tuple[str, str]]:
        return []


class BumpVersion(pgtrigger.Trigger):
    """Count every change of a row, so that nobody writes over what they have not read."""

    name = "bump_version"
    when = pgtrigger.Before
    operation = pgtrigger.Update
    condition = pgtrigger.Condition("OLD.* IS DISTINCT FROM NEW.*")
    func = "NEW.version := OLD.version + 1; RETURN NEW;"
