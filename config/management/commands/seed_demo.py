"""`manage.py seed_demo`: two venues with a past, a present and people to sign in as."""

from __future__ import annotations

import logging
import os
import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from typing import IO, Any, cast

from django.apps import apps
from django.core.management import BaseCommand, CommandError
from django.db import connection, transaction
from django.db.models.functions import Now
from django.utils import timezone
from rich.console import Console
from rich.table import Table

from audit.context import Actor, Origin, audited, origin
from audit.models import OutboxEvent
from bookings.models import Organization
from config.demo import (
    seed_late,
    seed_money,
    seed_people,
    seed_present,
    seed_schedules,
    seed_times,
    seed_venues,
    seed_waitlist,
)
from config.demo.seed_files import Files
from config.demo.seed_past import Past
from config.demo.seed_people import Login

__all__ = ["Command", "Login", "seed"]

SEED = 1207
OWN_APPS = {"audit", "bookings", "payments", "waitlist"}


def seed(*, now: datetime | None = None) -> list[Login]:
    """Fill an empty database with the demo, all or nothing, and return who can sign in.

    A database that has the demo already only gets the slots of days that came since; on the
    same day nothing changes.

    Raises:
        CommandError: these are the production settings.
    """
    if os.environ["DJANGO_SETTINGS_MODULE"].endswith(".production"):
        raise CommandError(
            "These are the production settings. The demo's password is public, so it is only"
            " for `make demo` and for tests."
        )
    now = now or timezone.now()
    actor = Actor.system("demo seed")
    # The stack is left last: the files of proofs stay when the transaction has committed.
    with (
        ExitStack() as stack,
        origin(Origin(user_agent="seed_demo")),
        transaction.atomic(),
        audited(actor, reason="demo"),
    ):
        there = {o.slug: o for o in Organization.objects.filter(slug__in=seed_venues.OFFERS)}
        if not there:
            _fill(actor, Files(stack), now=now)
        else:
            seed_schedules.extend(there, actor=actor, now=now)
    return list(seed_people.LOGINS)


def _fill(actor: Actor, files: Files, *, now: datetime) -> None:
    rng = random.Random(SEED)  # noqa: S311  the same demo for everybody
    organizations = seed_venues.create_organizations()
    seed_people.create_staff(organizations)
    seed_people.create_customers(organizations, rng)
    seed_venues.create_resources(organizations, actor=actor, now=now)
    seed_schedules.open_venues(organizations, actor=actor, now=now)
    _count()
    for slug, place in ((seed_venues.RIVERSIDE, "riverside"), (seed_venues.LAKESIDE, "lakeside")):
        reviewer = seed_people.staff_actor(f"reviewer@{place}.example")
        Past(organizations[slug], reviewer=reviewer, files=files, rng=rng, now=now).write()
    _count()
    seed_money.set_terms(organizations)
    seed_present.play(organizations, files=files, rng=rng, now=now)
    seed_waitlist.play(organizations, files=files, rng=rng, now=now)
    seed_money.play(organizations, files=files, rng=rng, now=now)
    seed_times.play(organizations, now=now)
    seed_late.play(organizations, files=files, rng=rng, now=now)
    # Stories of an hour ago, played shortly after midnight, leave the horizon of yesterday.
    seed_schedules.extend(organizations, actor=actor, now=now)
    _tell_few(organizations)


def _count() -> None:
    """Let PostgreSQL count what was written, as autovacuum would if it could see it.

    Plans made for the empty tables would be kept for all that follows in this transaction. Our own
    tables only: the catalogues of the cluster would stay locked for whoever counts another database.
    """
    ours = [m._meta.db_table for m in apps.get_models() if m._meta.app_label in OWN_APPS]
    tables = ", ".join(f'"{table}"' for table in sorted(ours))
    with connection.cursor() as cursor:
        cursor.execute(f"ANALYZE {tables}")


def _tell_few(organizations: dict[str, Organization]) -> None:
    """Leave one event of each kind to be delivered, and mark the others as handed out.

    Seeding writes some two hundred events, and nobody wants that many mails. An event that is
    handed out without recipients is one that had nobody to tell; the few that are left go out
    with the first run of the relay, so that the pages about deliveries show real ones.
    """
    events = OutboxEvent.objects.filter(
        organization_id__in=[o.pk for o in organizations.values()], dispatched_at__isnull=True
    )
    kept = list(events.order_by("kind", "-pk").distinct("kind").values_list("pk", flat=True))
    events.exclude(pk__in=kept).update(dispatched_at=Now(), recipients=[])


class Command(BaseCommand):
    help = (
        "Make the demo's two organisations, with everything in them, and print who can sign in. "
        "On a database that has them, only offer slots for the days that came since."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        with _quiet():
            logins = seed()
        table = Table("Role", "E-mail", "Password", "Organisation")
        for login in logins:
            table.add_row(login.role, login.email, login.password, login.organization or "all")
        Console(file=cast(IO[str], self.stdout), no_color=options["no_color"]).print(table)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the operation log: every story in the demo would write a few lines of it."""
    logging.disable(logging.INFO)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
