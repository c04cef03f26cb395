"""``manage.py regenerate_slots``: let slots follow their schedules, or show what that would do.

The plan is the one of the admin's preview. Each resource is done in transactions of its own; one
that fails is reported, and the others go on. It may have been done in part: the next run, or the
nightly one, does the rest.

Exit status: 0 when all went well, 1 when a resource failed, 2 when the command could not do its
work: a name nobody has, or no database.

``--json`` prints one object::

    {
      "dry_run": bool,
      "resources": [{"id", "name", "organization": "slug", "counts": {…}, "fewer", "error": "",
                     "bookings": [{"reference", "starts_at", "customer"}]}],
      "totals": {"created", "kept", "changed", "revived", "legacy", "archived", "deleted",
                 "bookings"},
      "failed": int
    }

``fewer`` is how many slots take fewer people than the rules say, or are not there, while slots that
the rules made earlier still have people in them. ``bookings`` are the live ones whose slots become legacy. ``customer`` is an id; names are shown
with ``-v 2`` only, in JSON as ``customer_name``.
"""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from dataclasses import dataclass, field
from typing import IO, Any, cast
from uuid import UUID

from django.core.management.base import BaseCommand
from django.core.serializers.json import DjangoJSONEncoder
from django.db import InterfaceError, OperationalError, connection
from django.db.models import Q
from django.utils import timezone
from psycopg_pool import PoolTimeout
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from audit.context import Actor, Origin, origin
from audit.errors import DomainError
from bookings import selectors_schedules
from bookings.models import Booking, Organization, Resource
from bookings.regeneration import Plan
from bookings.services import regenerating

DONE, FAILED, BROKEN = 0, 1, 2
AWAY = "The database does not answer. Is the demo running (make demo), or is DATABASE_URL set?"
PROGRESS_EVERY = 10
# What a plan calls what it does, and what was done of it.
WORDS = {
    "create": "created",
    "keep": "kept",
    "change": "changed",
    "revive": "revived",
    "retire": "legacy",
    "archive": "archived",
    "delete": "deleted",
    "shut": "closed",
    "reopen": "opened",
}


class Unknown(Exception):
    """There is nothing, or more than one thing, of that name."""


@dataclass
class Outcome:
    """What became of one resource."""

    resource: Resource
    counts: dict[str, int] = field(default_factory=dict)
    fewer: int = 0
    bookings: list[Booking] = field(default_factory=list)
    error: str = ""


class Command(BaseCommand):
    help = (
        "Let the slots of resources follow their schedules up to their horizons; with --dry-run,"
        " show what that would do."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--organization", metavar="SLUG", help="only its resources")
        parser.add_argument(
            "--resource", nargs="+", metavar="NAME-OR-ID", help="only these resources"
        )
        parser.add_argument("--dry-run", action="store_true", help="change nothing, show the plan")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            connection.ensure_connection()
            resources = _chosen(options["organization"], options["resource"])
            with origin(Origin()):
                outcomes = self._do(resources, dry_run=options["dry_run"])
        except Unknown as error:
            self.stderr.write(self.style.ERROR(str(error)))
            sys.exit(BROKEN)
        except (OperationalError, InterfaceError, PoolTimeout):
            self.stderr.write(self.style.ERROR(AWAY))
            sys.exit(BROKEN)
        names = options["verbosity"] > 1
        if options["json"]:
            answer = as_json(outcomes, dry_run=options["dry_run"], names=names)
            self.stdout.write(json.dumps(answer, indent=2, cls=DjangoJSONEncoder))
        else:
            console = Console(file=cast(IO[str], self.stdout), no_color=options["no_color"])
            _show(console, outcomes, dry_run=options["dry_run"], names=names)
        sys.exit(FAILED if any(o.error for o in outcomes) else DONE)

    def _do(self, resources: list[Resource], *, dry_run: bool) -> list[Outcome]:
        outcomes = []
        for number, resource in enumerate(resources, start=1):
            outcomes.append(_one(resource, dry_run=dry_run))
            if number % PROGRESS_EVERY == 0 and number < len(resources):
                self.stderr.write(f"{number} of {len(resources)} resources …", lambda text: text)
        return outcomes


def _chosen(slug: str | None, names: list[str] | None) -> list[Resource]:
    """The resources that are asked for, all that have a schedule if none is named."""
    found = Resource.objects.select_related("organization").order_by("organization__slug", "name")
    if slug is not None:
        if not Organization.objects.filter(slug=slug).exists():
            known = ", ".join(Organization.objects.order_by("slug").values_list("slug", flat=True))
            raise Unknown(f"There is no organisation {slug}. There are: {known or 'none'}.")
        found = found.filter(organization__slug=slug)
    planned = set(selectors_schedules.planned().values_list("pk", flat=True))
    if names is None:
        return [r for r in found if r.pk in planned]
    chosen: dict[UUID, Resource] = {}
    for name in names:
        same = list(found.filter(_named(name)))
        if not same:
            raise Unknown(f"There is no resource {name}{f' in {slug}' if slug else ''}.")
        if len(same) > 1:
            where = ", ".join(r.organization.slug for r in same)
            raise Unknown(f"{name} is a resource of {where}: say which with --organization.")
        if same[0].pk not in planned:
            raise Unknown(f"{name} has no schedule, or is not active: no slots are made for it.")
        chosen[same[0].pk] = same[0]
    return list(chosen.values())


def _named(name: str) -> Q:
    try:
        return Q(pk=UUID(name)) | Q(name=name)
    except ValueError:
        return Q(name=name)


def _one(resource: Resource, *, dry_run: bool) -> Outcome:
    outcome = Outcome(resource)
    now = timezone.now()
    try:
        if dry_run:
            done = regenerating.preview(resources=[resource], now=now)
        else:
            actor = Actor.system("regenerate_slots")
            done = regenerating.regenerate(resource_id=resource.pk, actor=actor, now=now)
    except (InterfaceError, PoolTimeout):
        raise  # the database is away, for the others as well
    except DomainError as error:
        outcome.error = str(error)
    except Exception as error:
        # The message of a database error quotes the row; the log has the traceback.
        outcome.error = type(error).__name__
    else:
        outcome.counts = _counts(done.plans)
        outcome.fewer = sum(len(plan.fewer) for plan in done.plans)
        outcome.bookings = done.affected
    return outcome


def _counts(plans: list[Plan]) -> dict[str, int]:
    [plan] = plans
    counts = plan.counts()
    return {word: counts[name] for name, word in WORDS.items()}


def _totals(outcomes: list[Outcome]) -> dict[str, int]:
    totals = {word: sum(o.counts.get(word, 0) for o in outcomes) for word in WORDS.values()}
    return totals | {"bookings": sum(len(o.bookings) for o in outcomes)}


def as_json(outcomes: list[Outcome], *, dry_run: bool, names: bool) -> dict[str, Any]:
    """The machine-readable form; the module's docstring describes it."""
    return {
        "dry_run": dry_run,
        "resources": [
            {
                "id": o.resource.pk,
                "name": o.resource.name,
                "organization": o.resource.organization.slug,
                "counts": o.counts,
                "fewer": o.fewer,
                "error": o.error,
                "bookings": [
                    {
                        "reference": b.reference,
                        "starts_at": b.slot.starts_at,
                        "customer": b.customer_id,
                    }
                    | ({"customer_name": b.customer.name} if names else {})
                    for b in o.bookings
                ],
            }
            for o in outcomes
        ],
        "totals": _totals(outcomes),
        "failed": sum(bool(o.error) for o in outcomes),
    }


def _show(console: Console, outcomes: list[Outcome], *, dry_run: bool, names: bool) -> None:
    table = Table("Resource", *(word.capitalize() for word in WORDS.values()), "Bookings")
    for column in table.columns[1:]:
        column.justify = "right"
    for o in outcomes:
        name = f"{escape(o.resource.name)} [dim]{escape(o.resource.organization.slug)}[/]"
        if not o.error:
            table.add_row(name, *map(str, o.counts.values()), str(len(o.bookings)))
    table.add_section()
    table.add_row("All", *map(str, _totals(outcomes).values()))
    console.print(table)
    fewer = sum(o.fewer for o in outcomes)
    if fewer:
        console.print(
            f"Slots that take fewer people, or none, while earlier slots still have people in"
            f" them: {fewer}."
        )
    _show_bookings(console, outcomes, names=names)
    failed = [o for o in outcomes if o.error]
    for o in failed:
        name, error = escape(o.resource.name), escape(o.error)
        console.print(f"[red]{name} does not follow its schedule yet:[/] {error}")
    if dry_run:
        console.print("Nothing was changed; this is what regenerating would do.")
    elif not failed:
        console.print(f"[green]Done:[/] {len(outcomes)} resources follow their schedules.")


def _show_bookings(console: Console, outcomes: list[Outcome], *, names: bool) -> None:
    bookings = [b for o in outcomes for b in o.bookings]
    if not bookings:
        return
    table = Table("Booking", "Resource", "Starts (UTC)", "Customer", title="In legacy slots")
    for b in bookings:
        who = f"{b.customer_id}" + (f"\n{escape(b.customer.name)}" if names else "")
        when = f"{b.slot.starts_at:%Y-%m-%d %H:%M}"
        table.add_row(b.reference, escape(b.slot.resource.name), when, who)
    console.print(table)
