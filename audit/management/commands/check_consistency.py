"""``manage.py check_consistency``: is everything as it must be, and can it be put right?

Exit status: 0 when nothing is wrong (or all of it was repaired), 1 when something is,
2 when the command could not do its work or a check failed.

``--format json`` prints one object::

    {
      "clean": bool,                 nothing is wrong now
      "report": "uuid",              the stored report, shown in admin
      "checks": [{"id", "title", "severity", "found", "listed", "fixed", "left",
                  "duration_ms", "error"}],
      "findings": [{"check", "severity", "organization", "subject_type", "subject_id",
                    "message", "details", "fixable", "status", "fix_note", "fix_error"}],
      "fixed": int
    }

Of each check at most a thousand findings are listed; ``found`` counts all of them.
"""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from typing import IO, Any, cast
from uuid import UUID

from django.core.management.base import BaseCommand
from django.core.serializers.json import DjangoJSONEncoder
from django.db import DatabaseError, InterfaceError, OperationalError, connection
from django.utils import timezone
from psycopg_pool import PoolTimeout
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from audit.consistency.registry import UnknownCheck, registry
from audit.consistency.runner import Run, run_checks
from audit.context import Actor, Origin, origin
from audit.models import Finding

CLEAN, FOUND, BROKEN = 0, 1, 2
AWAY = "The database does not answer. Is the demo running (make demo), or is DATABASE_URL set?"
STYLE = {"info": "cyan", "warning": "yellow", "error": "red", "critical": "bold red"}


class Command(BaseCommand):
    help = (
        "Check that all rows agree with each other; with --fix, repair what has one right answer."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--fix", action="store_true", help="repair what has one right answer")
        parser.add_argument("--format", choices=["table", "json"], default="table")
        parser.add_argument("--only", nargs="+", metavar="ID", help="run only these checks")
        parser.add_argument("--organization", type=UUID, metavar="UUID", help="only its rows")
        parser.add_argument("--list", action="store_true", help="list the checks and stop")

    def handle(self, *args: Any, **options: Any) -> None:
        console = Console(
            file=cast(IO[str], self.stdout), no_color=options["no_color"], soft_wrap=False
        )
        if options["list"]:
            self._list(console, options["format"])
            return
        try:
            connection.ensure_connection()  # else each check would wait for it anew
            with origin(Origin()):
                run = run_checks(
                    actor=Actor.system("check_consistency"),
                    now=timezone.now(),
                    organization_id=options["organization"],
                    only=options["only"],
                    fix=options["fix"],
                )
        except UnknownCheck as error:
            self.stderr.write(self.style.ERROR(f"{error}. --list shows those that exist."))
            sys.exit(BROKEN)
        except (OperationalError, InterfaceError, PoolTimeout):
            self.stderr.write(self.style.ERROR(AWAY))
            sys.exit(BROKEN)
        except DatabaseError as error:
            self.stderr.write(self.style.ERROR(f"The check could not be done: {error}"))
            sys.exit(BROKEN)
        if options["format"] == "json":
            self.stdout.write(json.dumps(as_json(run), indent=2, cls=DjangoJSONEncoder))
        else:
            _show(console, run, options["verbosity"])
        if any(outcome.error for outcome in run.outcomes):
            sys.exit(BROKEN)
        sys.exit(CLEAN if run.clean else FOUND)

    def _list(self, console: Console, style: str) -> None:
        checks = registry.checks()
        if style == "json":
            listed = [
                {
                    "id": check.id,
                    "title": check.title,
                    "help": check.help,
                    "severity": check.severity,
                    "fixable": check.fixer is not None,
                }
                for check in checks
            ]
            self.stdout.write(json.dumps(listed, indent=2))
            return
        table = Table("Check", "Severity", "What must hold", "Repair")
        for check in checks:
            severity = f"[{STYLE[check.severity]}]{check.severity}[/]"
            table.add_row(
                check.id, severity, escape(check.title), "yes" if check.fixer else "by a person"
            )
        console.print(table)


def as_json(run: Run) -> dict[str, Any]:
    """The machine-readable form; the module's docstring describes it."""
    return {
        "clean": run.clean,
        "report": str(run.report.pk),
        "checks": [outcome.figures() for outcome in run.outcomes],
        "findings": [
            {
                "check": finding.check_id,
                "severity": finding.severity,
                "organization": finding.organization_id,
                "subject_type": finding.subject_type,
                "subject_id": finding.subject_id,
                "message": finding.message,
                "details": finding.details,
                "fixable": finding.fixable,
                "status": finding.status,
                "fix_note": finding.fix_note,
                "fix_error": finding.fix_error,
            }
            for finding in run.findings
        ],
        "fixed": run.report.fixed_count,
    }


def _show(console: Console, run: Run, verbosity: int) -> None:
    table = Table("Check", "Found", "Repaired", "Left", "Time")
    for column in table.columns[1:]:
        column.justify = "right"
    for outcome in run.outcomes:
        if verbosity < 2 and outcome.clean and not outcome.found:
            continue
        left = "failed" if outcome.error else str(outcome.left)
        table.add_row(
            outcome.check.id,
            str(outcome.found),
            str(outcome.fixed),
            left if outcome.clean else f"[{STYLE[outcome.check.severity]}]{left}[/]",
            f"{outcome.duration_ms} ms",
        )
    if table.row_count and verbosity:
        console.print(table)
    if run.findings and verbosity:
        _show_findings(console, run.findings, verbosity)
    if run.clean:
        done = f", {run.report.fixed_count} repaired" if run.report.fixed_count else ""
        console.print(f"[green]Clean:[/] {run.report.checks_run} checks{done}.")
    else:
        count = sum(outcome.left + bool(outcome.error) for outcome in run.outcomes)
        console.print(f"[red]{count} left to look at[/] (report {run.report.pk}).")


def _show_findings(console: Console, findings: list[Finding], verbosity: int) -> None:
    table = Table("Check", "What", "Which", "Status", show_lines=verbosity > 1)
    shown = findings if verbosity > 1 else findings[:50]
    for finding in shown:
        message = escape(finding.message)
        if finding.fix_error:
            message += f"\n[red]{escape(finding.fix_error)}[/]"
        if verbosity > 1 and finding.details:
            message += f"\n[dim]{escape(json.dumps(finding.details, cls=DjangoJSONEncoder))}[/]"
        which = f"{finding.subject_type}\n{escape(finding.subject_id)}"
        status = str(Finding.Status(finding.status).label)
        table.add_row(finding.check_id, message, which, status)
    console.print(table)
    if len(shown) < len(findings):
        console.print(f"… and {len(findings) - len(shown)} more; -v 2 shows all.")
