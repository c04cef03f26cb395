"""Schedules at their size: a million slots made anew under load, and a month among a million
bookings (B1, B2, B4, C9)."""

from __future__ import annotations

import random
import resource as limits
import statistics
import threading
import time
import uuid
import zoneinfo
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from datetime import time as clock
from typing import Any
from unittest import mock

import httpx
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from audit.context import Actor
from bookings.lifecycle import LIVE
from bookings.models import Resource, ScheduleRule
from bookings.services import regenerating, schedules
from tests.benchmarks.correctness import Finding
from tests.benchmarks.load import Outcome, Script
from tests.benchmarks.measure import CONTROL, percentile
from tests.benchmarks.scenarios import Call, base
from tests.benchmarks.server import System
from tests.benchmarks.targets import Verdict
from tests.benchmarks.world import World, seeding

SEED = 7
ACTOR = Actor.system("benchmark")
RESOURCES, DAYS, BOOKINGS = 50, 365, 100_000
CLIENTS, CART = 4, 20
LEVELS = (1_000, 10_000, 100_000, 1_000_000)
CROWD_SLOTS = 500  # large ones, for bookings that are only there to be many
REPEATS = 15


@dataclass
class Study:
    """A table, what it has to show, and whether it was right.

    ``rows`` are texts; the first column is a name.
    """

    title: str
    headings: tuple[str, ...]
    rows: list[tuple[str, ...]] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


def regenerate(system: System, world: World, *, quick: bool) -> Study:
    """A year of quarter hours for 50 resources, with 100,000 bookings, made, kept and changed."""
    count, bookings = (5, 2_000) if quick else (RESOURCES, BOOKINGS)
    study = Study(
        f"A year of quarter hours for {count} resources, {bookings:,} bookings in it",
        ("", "seconds", "slots per second", "statements per resource", "what happened"),
    )
    with seeding():
        resources = [_court(world, n) for n in range(count)]
    _timed(study, "make the slots", resources, lambda r: _change(r, _rule(8, 22)))
    with seeding():
        customer = world.people(1)[0].customer
        assert customer is not None
        began = time.perf_counter()
        _book(resources, customer.pk, bookings, hours=(8, 22))
        taken = time.perf_counter() - began
    study.rows.append(
        (f"book {bookings:,} of them by SQL", f"{taken:.1f}", f"{bookings / taken:,.0f}", "", "")
    )
    _timed(study, "again, nothing to do", resources, _regenerate)
    before = _live(resources)
    calm = _drive(system, world, resources, seconds=4 if quick else 8)
    with (
        _beside(lambda: _drive(system, world, resources, seconds=8 if quick else 30)) as busy,
        _probing(resources) as waits,
    ):
        _timed(
            study,
            "move every afternoon by five minutes, while customers book",
            resources,
            lambda r: _change(r, _rule(8, 15), _rule(15, 22, minute=5)),
        )
    study.rows.append(
        (
            "booking beside it, over HTTP (4 clients)",
            "",
            "",
            "",
            f"{_waits(busy[0].latencies)}, {busy[0].rate:.0f}/s;"
            f" alone: {_waits(calm.latencies)}, {calm.rate:.0f}/s",
        )
    )
    study.rows.append(
        ("lock of a slot that has to go", "", "", "", f"{_waits(waits)} of {len(waits)} tries")
    )
    after = _live(resources)
    peak = limits.getrusage(limits.RUSAGE_SELF).ru_maxrss / 1024
    study.rows.append(("largest memory of the process", "", "", "", f"{peak:.0f} MB"))
    statuses = dict(busy[0].statuses)
    study.findings += [
        Finding(
            "every booking is where and when it was",
            before == {k: after.get(k) for k in before} and bool(before),
            f"{len(before):,} bookings",
        ),
        Finding(
            "who books beside it gets the slot",
            set(statuses) == {201} and not busy[0].error,
            f"{statuses} {busy[0].error}",
        ),
        Finding("counters are right", not _wrong_counters(resources), "all slots"),
    ]
    return study


def month(system: System, world: World, *, quick: bool) -> Study:
    """One month of one resource and of many, with more and more bookings in the tables."""
    study = Study(
        "Availability of a month, by the number of bookings in the database",
        ("bookings", "what", "slots", "ms, median", "ms, fastest", "µs per slot", "statements"),
    )
    with seeding():
        few = [_court(world, 100 + n, days=40) for n in range(5 if quick else RESOURCES)]
        for court in few:
            _change(court, _rule(8, 22))
        customer = world.people(1)[0].customer
        assert customer is not None
        crowd = _crowd(world)
    token = world.people(1)[0].token
    since = timezone.now() + timedelta(days=1)
    until = since + timedelta(days=31)
    query = f"from={since:%Y-%m-%dT%H:%M:%SZ}&to={until:%Y-%m-%dT%H:%M:%SZ}"
    asked = {
        "one resource, by day": (f"availability/?{query}&resource={few[0].pk}", few[:1]),
        f"{len(few)} resources, by day": (f"availability/?{query}", few),
        "one resource, its first 500 slots": (
            f"slots/?{query}&resource={few[0].pk}&page_size=500",
            few[:1],
        ),
    }
    costs: dict[str, list[float]] = {name: [] for name in asked}
    statements: dict[str, set[int]] = {name: set() for name in asked}
    there = 0
    for level in LEVELS[:2] if quick else LEVELS:
        with seeding():
            if not there:
                _book(few, customer.pk, min(level, 800 if quick else level), hours=(8, 22))
                there = min(level, 800 if quick else level)
            _fill(crowd, customer.pk, level - there)
            there = level
            with connection.cursor() as cursor:
                cursor.execute("ANALYZE")
        for name, (path, courts) in asked.items():
            slots = _slots_between(courts, since, until)
            slots = min(slots, 500) if "first" in name else slots
            times = _times(system, base(world) + path, token)
            counted = _statements(base(world) + path, token)
            ms, fastest = statistics.median(times) * 1000, times[0] * 1000
            # The fastest, as what others do on the machine in one of the levels is not its size.
            costs[name].append(fastest * 1000 / slots)
            statements[name].add(counted)
            study.rows.append(
                (
                    f"{level:,}",
                    name,
                    f"{slots:,}",
                    f"{ms:.1f}",
                    f"{fastest:.1f}",
                    f"{fastest * 1000 / slots:.1f}",
                    str(counted),
                )
            )
    one = "one resource, by day"
    study.verdicts.append(
        Verdict(
            "a month of one resource: statements, sign-in included",
            max(statements[one]),
            5,
            at_least=False,
        )
    )
    # Of every question: a plan that reads a table from end to end may belong to one of them alone.
    # Against the cheapest level, so that a disturbance of the first one hides nothing.
    study.verdicts += [
        Verdict(
            f"{name}: cost per slot with {LEVELS[len(cost) - 1]:,} bookings, times that of the"
            " cheapest level",
            cost[-1] / min(cost),
            1.25,
            at_least=False,
        )
        for name, cost in costs.items()
    ]
    study.findings.append(
        Finding(
            "the number of statements is the same at every size",
            all(len(found) == 1 for found in statements.values()),
            str({name: sorted(found) for name, found in statements.items()}),
        )
    )
    return study


STUDIES: dict[str, Callable[..., Study]] = {"regenerate": regenerate, "month": month}


# -- schedules --------------------------------------------------------------------------------------


def _court(world: World, number: int, *, days: int = DAYS) -> Resource:
    court = Resource.objects.create(
        organization=world.organization,
        name=f"{'A' if days < DAYS else 'Year'} {number:03} {uuid.uuid4().hex[:4]}",
        exclusive=True,
        time_zone="Europe/Berlin",
        horizon_days=days,
    )
    court.refresh_from_db()
    return court


def _rule(start: int, end: int, *, minute: int = 0) -> ScheduleRule:
    return ScheduleRule(
        from_time=clock(start, minute), until_time=clock(end), slot_minutes=15, weekdays=[]
    )


def _change(court: Resource, *rules: ScheduleRule) -> regenerating.Applied:
    now = timezone.now()
    return schedules.change_schedule(
        resource_id=court.pk,
        organization_id=court.organization_id,
        valid_from=timezone.localtime(now, zoneinfo.ZoneInfo(court.time_zone)).date(),
        rules=list(rules),
        actor=ACTOR,
        now=now,
    )[1]


def _regenerate(court: Resource) -> regenerating.Applied:
    return regenerating.regenerate(resource_id=court.pk, actor=ACTOR, now=timezone.now())


def _timed(
    study: Study,
    name: str,
    resources: Sequence[Resource],
    act: Callable[[Resource], regenerating.Applied],
) -> None:
    done: dict[str, int] = {}
    transactions: list[float] = []
    statements = set()
    began = time.perf_counter()
    for number, court in enumerate(resources):
        with _transactions(transactions):
            if number in (0, len(resources) - 1):
                with CaptureQueriesContext(connection) as captured:
                    applied = act(court)
                statements.add(sum(not CONTROL.match(q["sql"]) for q in captured.captured_queries))
            else:
                applied = act(court)
        assert applied.left is None
        for kind, number_of in applied.counts().items():
            done[kind] = done.get(kind, 0) + number_of
    seconds = time.perf_counter() - began
    slots = sum(n for kind, n in done.items() if kind != "bookings")
    words = ", ".join(f"{kind} {n:,}" for kind, n in done.items() if n)
    study.rows.append(
        (
            name,
            f"{seconds:.1f}",
            f"{slots / seconds:,.0f}",
            " or ".join(map(str, sorted(statements))),
            f"{words}; {len(transactions) / len(resources):.0f} transactions per resource, the longest"
            f" {max(transactions):.2f} s",
        )
    )


@contextmanager
def _transactions(found: list[float]) -> Iterator[None]:
    """Note how long each transaction is that this thread commits, from its first statement on."""
    began: float | None = None
    original = connection._commit  # type: ignore[attr-defined]

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        nonlocal began
        if began is None and connection.in_atomic_block:
            began = time.perf_counter()
        return execute(sql, params, many, context)

    def commit() -> None:
        nonlocal began
        original()
        if began is not None:
            found.append(time.perf_counter() - began)
        began = None

    with connection.execute_wrapper(note), mock.patch.object(connection, "_commit", commit):
        yield


# -- bookings ---------------------------------------------------------------------------------------


_BOOK = """
    INSERT INTO bookings_booking (id, reference, organization_id, slot_id, customer_id, units,
        status, version, created_at, confirmed_at, ended_reason)
    SELECT gen_random_uuid(), upper(substr(md5(random()::text || s.id::text), 1, 11)),
           s.organization_id, s.id, %s, 1, 'confirmed', 1, now(), now(), ''
    FROM (
        SELECT s.id, s.organization_id FROM bookings_slot s
        JOIN bookings_resource r ON r.id = s.resource_id
        WHERE s.resource_id = ANY(%s) AND s.taken_bookings = 0 AND s.starts_at > now()
          AND s.status = 'open'
          AND extract(hour FROM timezone(r.time_zone, s.starts_at)) BETWEEN %s AND %s
        ORDER BY md5(s.id::text) LIMIT %s
    ) s
"""


def _book(
    resources: Sequence[Resource], customer: uuid.UUID, count: int, *, hours: tuple[int, int]
) -> None:
    """Book slots all over the year, through the triggers."""
    with connection.cursor() as cursor:
        cursor.execute(_BOOK, [customer, [r.pk for r in resources], hours[0], hours[1], count])
        assert cursor.rowcount == count, f"{cursor.rowcount} of {count}"
        cursor.execute("ANALYZE")


def _crowd(world: World) -> Resource:
    """A resource with large slots, for bookings elsewhere."""
    hall = Resource.objects.create(
        organization=world.organization,
        name=f"Zeppelin field {uuid.uuid4().hex[:4]}",
        exclusive=False,
        time_zone="Europe/Berlin",
        horizon_days=365,
    )
    hall.refresh_from_db()
    rule = _rule(8, 20)
    rule.slot_minutes, rule.max_bookings, rule.max_units = 240, 1_000_000, 1_000_000
    _change(hall, rule)
    return hall


_FILL = """
    INSERT INTO bookings_booking (id, reference, organization_id, slot_id, customer_id, units,
        status, version, created_at, confirmed_at, ended_reason)
    SELECT gen_random_uuid(), upper(substr(md5(random()::text || n::text), 1, 11)),
           %s, s.id, %s, 1, 'confirmed', 1, now(), now(), ''
    FROM generate_series(1, %s) AS n
    JOIN (
        SELECT id, row_number() OVER (ORDER BY starts_at) AS place FROM bookings_slot
        WHERE resource_id = %s AND starts_at > now() ORDER BY starts_at LIMIT %s
    ) s ON s.place = 1 + n %% %s
"""


def _fill(hall: Resource, customer: uuid.UUID, count: int) -> None:
    with connection.cursor() as cursor:
        while count > 0:
            some = min(count, 100_000)
            cursor.execute(
                _FILL,
                [hall.organization_id, customer, some, hall.pk, CROWD_SLOTS, CROWD_SLOTS],
            )
            assert cursor.rowcount == some
            count -= some


def _live(resources: Sequence[Resource]) -> dict[uuid.UUID, tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT b.id, b.slot_id, s.starts_at, s.ends_at, b.status FROM bookings_booking b"
            " JOIN bookings_slot s ON s.id = b.slot_id WHERE s.resource_id = ANY(%s)"
            " AND b.status = ANY(%s)",
            [[r.pk for r in resources], [str(s) for s in LIVE]],
        )
        return {row[0]: row[1:] for row in cursor.fetchall()}


def _wrong_counters(resources: Sequence[Resource]) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT s.id FROM bookings_slot s LEFT JOIN bookings_booking b ON b.slot_id = s.id"
            " AND b.status = ANY(%s) WHERE s.resource_id = ANY(%s)"
            " GROUP BY s.id HAVING s.taken_bookings <> count(b.id)",
            [[str(s) for s in LIVE], [r.pk for r in resources]],
        )
        return list(cursor.fetchall())


# -- what is measured -------------------------------------------------------------------------------


def _drive(
    system: System, world: World, resources: Sequence[Resource], *, seconds: float
) -> Outcome:
    """Customers put free slots of the mornings, which stay, into their carts."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT s.id FROM bookings_slot s JOIN bookings_resource r ON r.id = s.resource_id"
            " WHERE s.resource_id = ANY(%s) AND s.taken_bookings = 0 AND s.status = 'open'"
            " AND s.starts_at > now() + interval '1 day'"
            # Slots are made up to the end of a day, but bookings taken up to this hour of it.
            " AND s.starts_at < now() + (r.horizon_days - 1) * interval '1 day'"
            " AND extract(hour FROM timezone(r.time_zone, s.starts_at)) < 15"
            " ORDER BY random() LIMIT %s",
            [[r.pk for r in resources], int(seconds * 500)],
        )
        slots = [str(row[0]) for row in cursor.fetchall()]
    with seeding():
        people = world.people(len(slots) // CART + CLIENTS)
    path = base(world) + "cart/items/"
    calls = [
        Call("POST", path, people[n // CART].token, {"slot": slot, "units": 1}).raw()
        for n, slot in enumerate(slots)
    ]
    # A customer's calls stay with one client: two at once would wait for one cart.
    blocks = [calls[i : i + CART] for i in range(0, len(calls), CART)]
    scripts = [
        Script([call for block in blocks[client::CLIENTS] for call in block])
        for client in range(CLIENTS)
    ]
    return system.drive(scripts, seconds=seconds, expect=201)


@contextmanager
def _beside(act: Callable[[], Outcome]) -> Iterator[list[Outcome]]:
    """Do something in a thread of its own meanwhile; what came of it is in the list at the end."""
    found: list[Outcome] = []

    def run() -> None:
        try:
            found.append(act())
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield found
    finally:
        thread.join()


@contextmanager
def _probing(resources: Sequence[Resource]) -> Iterator[list[float]]:
    """Meanwhile lock slots of the afternoons, one after the other, and note how long that takes."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT s.id FROM bookings_slot s JOIN bookings_resource r ON r.id = s.resource_id"
            " WHERE s.resource_id = ANY(%s) AND s.status = 'open'"
            " AND s.starts_at > now() + interval '1 day'"
            " AND extract(hour FROM timezone(r.time_zone, s.starts_at)) >= 16"
            " ORDER BY random() LIMIT 200000",
            [[r.pk for r in resources]],
        )
        ids = [row[0] for row in cursor.fetchall()]
    random.Random(SEED).shuffle(ids)
    waits: list[float] = []
    done = threading.Event()

    def run() -> None:
        try:
            for slot_id in ids:
                if done.wait(0.005):
                    return
                began = time.perf_counter()
                # Who waits longer than the limit is told so, and has waited as long as that.
                with suppress(OperationalError), connection.cursor() as cursor:
                    cursor.execute(
                        "SELECT 1 FROM bookings_slot WHERE id = %s FOR NO KEY UPDATE", [slot_id]
                    )
                waits.append(time.perf_counter() - began)
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield waits
    finally:
        done.set()
        thread.join()


def _waits(seconds: Sequence[float]) -> str:
    if not seconds:
        return "none"
    ordered = sorted(seconds)
    shown = [statistics.median(ordered), percentile(ordered, 0.99), ordered[-1]]
    return "median {:.0f} ms, p99 {:.0f} ms, longest {:.0f} ms".format(*(s * 1000 for s in shown))


def _times(system: System, path: str, token: str) -> list[float]:
    """How long each of some requests took, one after the other, in seconds and in order."""
    times = []
    with httpx.Client(
        base_url=f"http://{system.host}:{system.port}",
        headers={"X-Session-Token": token},
        timeout=60,
        trust_env=False,
    ) as client:
        for _ in range(REPEATS):
            began = time.perf_counter()
            answer = client.get(path)
            times.append(time.perf_counter() - began)
            assert answer.status_code == 200, answer.text
    return sorted(times)


def _statements(path: str, token: str) -> int:
    client = Client(headers={"X-Session-Token": token, "Host": "127.0.0.1"})
    client.get(path)
    with CaptureQueriesContext(connection) as captured:
        assert client.get(path).status_code == 200
    return sum(not CONTROL.match(q["sql"]) for q in captured.captured_queries)


def _slots_between(resources: Sequence[Resource], since: datetime, until: datetime) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM bookings_slot WHERE resource_id = ANY(%s) AND status = 'open'"
            " AND starts_at >= %s AND starts_at < %s",
            [[r.pk for r in resources], since, until],
        )
        return int(cursor.fetchone()[0])
