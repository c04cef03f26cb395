"""The checks that exist, registered the way Django's system checks are.

Each app's ``consistency.py`` is imported at start. A check is a set-based query over any number
of rows and yields a :class:`Problem` for each row that is wrong. A check whose problems have
one right answer has a fixer; the others go to people.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from importlib import import_module
from typing import Any, Literal
from uuid import UUID

from django.db import connection
from django.utils.module_loading import autodiscover_modules

from audit.context import Actor

Severity = Literal["info", "warning", "error", "critical"]
SEVERITIES: tuple[Severity, ...] = ("info", "warning", "error", "critical")


@dataclass(frozen=True, slots=True)
class Scope:
    """What a check looks at.

    Args:
        now: the moment that deadlines are compared with.
        organization_id: only this organisation's rows; None for everybody's.
    """

    now: datetime
    organization_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """One row, or group of rows, that is not as it must be.

    Args:
        subject_type: a model's label, such as ``bookings.slot``.
        subject_id: its key.
        message: one sentence for the person who reads the report; no personal data.
        organization_id: whose row it is; None if it is nobody's.
        details: the figures that disagree; what a fixer needs is here. No personal data.
        fixable: False if this one has no single right answer although its check has a fixer.
    """

    subject_type: str
    subject_id: str
    message: str
    organization_id: UUID | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    fixable: bool = True


@dataclass(frozen=True, slots=True)
class FixResult:
    """What became of a problem, as its fixer found it under lock."""

    outcome: Literal["fixed", "gone", "needs_review"]
    note: str = ""

    @classmethod
    def fixed(cls, note: str = "") -> FixResult:
        """It was repaired; ``note`` says how."""
        return cls("fixed", note)

    @classmethod
    def gone(cls, note: str = "") -> FixResult:
        """Under lock there was nothing wrong any more, and nothing was changed."""
        return cls("gone", note)

    @classmethod
    def needs_review(cls, note: str) -> FixResult:
        """Under lock it turned out to have no single right answer; nothing was changed."""
        return cls("needs_review", note)


CheckFunction = Callable[[Scope], Iterable[Problem]]
Fixer = Callable[[Problem, Actor, datetime], FixResult]


@dataclass(frozen=True, slots=True)
class Check:
    """A registered check; ``fixer`` is None if people decide."""

    id: str
    title: str
    help: str
    severity: Severity
    function: CheckFunction
    fixer: Fixer | None = None


class CheckRegistrationError(Exception):
    """Two checks have one id, or a fixer has no check."""


class UnknownCheck(Exception):
    """A check was asked for that is not registered."""


_ID = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")


class Registry:
    """A set of checks and fixers. There is one for the project, :data:`registry`."""

    def __init__(self) -> None:
        self._checks: dict[str, Check] = {}
        self._fixers: dict[str, Fixer] = {}

    def check(
        self, *, id: str, title: str, help: str = "", severity: Severity = "error"
    ) -> Callable[[CheckFunction], CheckFunction]:
        """Register a check under a stable ``app.name`` id.

        It runs in a read-only transaction of its own, in which every statement sees the same
        moment, so that traffic meanwhile makes no false findings.

        Args:
            id: ``app.what_must_hold``; findings, reports and the runbook name it.
            title: what must hold, as a sentence.
            help: what a finding means and what to do about it.
            severity: how bad a finding is.
        """
        if not _ID.fullmatch(id):
            raise CheckRegistrationError(f"{id!r} is not an app.name id")
        if severity not in SEVERITIES:
            raise CheckRegistrationError(f"{severity!r} is not a severity")

        def register(function: CheckFunction) -> CheckFunction:
            if id in self._checks:
                raise CheckRegistrationError(f"there are two checks {id}")
            self._checks[id] = Check(id, str(title), str(help), severity, function)
            return function

        return register

    def fix(self, check_id: str) -> Callable[[Fixer], Fixer]:
        """Register the repair of one problem of ``check_id``.

        It is called in a transaction of its own with the audit context set. It locks the row,
        looks again, changes only what is still wrong, and says which of the three it was. An
        exception undoes this repair alone.
        """

        def register(fixer: Fixer) -> Fixer:
            if check_id in self._fixers:
                raise CheckRegistrationError(f"there are two fixers for {check_id}")
            self._fixers[check_id] = fixer
            return fixer

        return register

    def checks(self, only: Sequence[str] | None = None) -> list[Check]:
        """The checks by id, all or those in ``only``.

        Raises:
            UnknownCheck: an id in ``only`` is not registered.
            CheckRegistrationError: a fixer has no check.
        """
        stray = sorted(set(self._fixers) - set(self._checks))
        if stray:
            raise CheckRegistrationError(f"fixers without a check: {', '.join(stray)}")
        ids = sorted(self._checks) if only is None else list(dict.fromkeys(only))
        unknown = [id for id in ids if id not in self._checks]
        if unknown:
            raise UnknownCheck(f"there is no check {', '.join(unknown)}")
        return [replace(self._checks[id], fixer=self._fixers.get(id)) for id in ids]


registry = Registry()
check = registry.check
fix = registry.fix


def autodiscover() -> None:
    """Import ``consistency`` of each installed app; their decorators register the checks."""
    import_module("audit.consistency.checks")
    autodiscover_modules("consistency")


def rows(sql: str, params: Sequence[Any] | Mapping[str, Any] = ()) -> Iterator[dict[str, Any]]:
    """Run a check's query; each row as a dict by column name."""
    with connection.cursor() as cursor:
        cursor.execute(sql, params or None)
        names = [column.name for column in cursor.description]
        while batch := cursor.fetchmany(500):
            for row in batch:
                yield dict(zip(names, row, strict=True))
