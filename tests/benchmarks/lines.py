"""A thousand in line, a hundred seats free at once (A5, C9)."""

from __future__ import annotations

import statistics
import time
from datetime import timedelta

from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from audit.context import Actor
from bookings.models import Slot
from bookings.services import slots as slot_services
from tests.benchmarks.correctness import Finding
from tests.benchmarks.measure import CONTROL
from tests.benchmarks.server import System
from tests.benchmarks.studies import Study
from tests.benchmarks.targets import Verdict
from tests.benchmarks.world import World, seeding
from waitlist.models import Offer, WaitlistEntry

ACTOR = Actor.system("benchmark")
SECONDS, STATEMENTS = 0.25, 30  # for a hundred of a thousand
SIZES = ((3, 10), (100, 1_000))
REPEATS = 5


def waitlist(system: System, world: World, *, quick: bool) -> Study:
    """Seats that come free at once, and everybody they are offered to."""
    study = Study(
        "Seats that come free at once, in one transaction with all offers",
        ("seats", "in line", "ms (median)", "ms (slowest)", "statements"),
    )
    found: dict[int, tuple[float, int]] = {}
    for seats, waiting in SIZES:
        taken, counted = [], set()
        for _ in range(2 if quick else REPEATS):
            slot = _slot_with_a_line(world, waiting)
            began = time.perf_counter()
            _raise(slot, seats)
            taken.append(time.perf_counter() - began)
            study.findings.append(_in_order(slot, seats))
        slot = _slot_with_a_line(world, waiting)
        with CaptureQueriesContext(connection) as captured:
            _raise(slot, seats)
        counted.add(sum(not CONTROL.match(q["sql"]) for q in captured.captured_queries))
        median = statistics.median(taken)
        found[seats] = median, max(counted)
        study.rows.append(
            (
                str(seats),
                f"{waiting:,}",
                f"{median * 1000:.0f}",
                f"{max(taken) * 1000:.0f}",
                " or ".join(map(str, sorted(counted))),
            )
        )
    seconds, statements = found[100]
    study.verdicts += [
        Verdict("100 seats for 1,000 in line: seconds", seconds, SECONDS, at_least=False),
        Verdict("100 seats for 1,000 in line: statements", statements, STATEMENTS, at_least=False),
    ]
    return study


def _slot_with_a_line(world: World, waiting: int) -> Slot:
    """A slot with one seat, which is taken, and people who wait for others."""
    slot = world.small_slot(1)
    now = timezone.now()
    people = [p.customer for p in world.people(waiting + 1)]
    with seeding():
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO bookings_booking (id, reference, organization_id, slot_id, customer_id,"
                " units, status, version, created_at, confirmed_at, ended_reason)"
                " VALUES (gen_random_uuid(), upper(substr(md5(random()::text), 1, 11)), %s, %s, %s,"
                " 1, 'confirmed', 1, now(), now(), '')",
                [slot.organization_id, slot.pk, people[0].pk if people[0] else None],
            )
        WaitlistEntry.objects.bulk_create(
            [
                WaitlistEntry(
                    organization_id=slot.organization_id,
                    customer=person,
                    resource_id=slot.resource_id,
                    slot=slot,
                    joined_at=now + timedelta(microseconds=n),
                    placed_at=now + timedelta(microseconds=n),
                )
                for n, person in enumerate(people[1:])
            ]
        )
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE waitlist_waitlistentry")
    return slot


def _raise(slot: Slot, seats: int) -> None:
    slot_services.change_capacity(
        slot_ids=[slot.pk],
        max_bookings=1 + seats,
        max_units=1 + seats,
        actor=ACTOR,
        reason="a larger room",
        now=timezone.now(),
    )


def _in_order(slot: Slot, seats: int) -> Finding:
    line = list(WaitlistEntry.objects.filter(slot=slot).order_by("placed_at", "pk"))
    right = [e.status for e in line] == ["offered"] * seats + ["waiting"] * (len(line) - seats)
    offers = Offer.objects.filter(entry__slot=slot, status="open").count()
    slot.refresh_from_db()
    return Finding(
        "the first in line are offered the seats, and nobody else",
        right and offers == seats and slot.taken_units == 1 + seats,
        f"{seats} of {len(line):,}",
    )
