"""Rounds: every scenario once, then every scenario again, so that noise hits all alike."""

from __future__ import annotations

import re
import statistics
import uuid
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.benchmarks.load import KEY
from tests.benchmarks.scenarios import Call, Scenario
from tests.benchmarks.server import System
from tests.benchmarks.world import World

FIRST_GUESS = 250.0  # requests per second, before a scenario was seen
CONTROL = re.compile(r"\s*(BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE)", re.IGNORECASE)


@dataclass
class Sample:
    """One scenario in one round."""

    round: int
    rate: float
    latencies: list[float]
    processor_ms: dict[str, float]


@dataclass
class Results:
    """Everything that was measured; ``samples`` by scenario name and number of clients."""

    samples: dict[tuple[str, int], list[Sample]] = field(default_factory=lambda: defaultdict(list))
    statements: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def rate(self, name: str, clients: int) -> float | None:
        """The median of the rounds' rates."""
        rates = [s.rate for s in self.samples.get((name, clients), ())]
        return statistics.median(rates) if rates else None

    def latencies(self, name: str, clients: int) -> list[float]:
        """Seconds, of all rounds, sorted."""
        rounds = self.samples.get((name, clients), ())
        return sorted(seconds for sample in rounds for seconds in sample.latencies)

    def median(self, name: str, clients: int) -> float | None:
        found = self.latencies(name, clients)
        return statistics.median(found) if found else None

    def processor_ms(self, name: str, clients: int) -> dict[str, float]:
        """Processor milliseconds per request by ``web``, ``database`` and ``clients``."""
        rounds = [s.processor_ms for s in self.samples.get((name, clients), ()) if s.processor_ms]
        if not rounds:
            return {}
        return {k: statistics.median(r[k] for r in rounds if k in r) for k in rounds[0]}

    def rate_ratios(self, name: str, other: str, clients: int) -> list[float]:
        """Rate of one over rate of the other, for each round that has both."""
        first = {s.round: s.rate for s in self.samples.get((name, clients), ())}
        second = {s.round: s.rate for s in self.samples.get((other, clients), ())}
        return [first[r] / second[r] for r in first if second.get(r)]


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which ``share`` of the sorted values lie."""
    return values[min(len(values) - 1, int(len(values) * share))]


def measure(
    system: System,
    world: World,
    plan: Sequence[tuple[Scenario, int]],
    *,
    rounds: int,
    seconds: float,
    progress: Callable[[str], None],
    results: Results,
) -> None:
    """Run the plan once to warm up and then ``rounds`` times, and add what comes of it.

    Args:
        plan: scenarios with their numbers of clients, in the order in which they take turns.
        progress: told before each step what comes.
    """
    seen: dict[tuple[str, int], float] = {}
    for number in range(rounds + 1):
        warming = number == 0
        for scenario, clients in plan:
            label = "warming up" if warming else f"round {number} of {rounds}"
            progress(f"{label}: {scenario.title}, {clients} clients")
            lasting = min(seconds, 0.5) if warming else seconds
            guess = seen.get((scenario.name, clients), FIRST_GUESS)
            each = int(guess * lasting * 1.3 / clients) + 3
            sample = _take(system, world, scenario, clients, each, lasting, number, results)
            if sample is None:
                continue
            seen[scenario.name, clients] = max(sample.rate, 1.0)
            if not warming:
                results.samples[scenario.name, clients].append(sample)


def _take(
    system: System,
    world: World,
    scenario: Scenario,
    clients: int,
    each: int,
    seconds: float,
    number: int,
    results: Results,
) -> Sample | None:
    scripts = scenario.scripts(world, clients, each)
    before = system.processor_seconds()
    outcome = system.drive(scripts, seconds=seconds, expect=scenario.expect)
    after = system.processor_seconds()
    wrong = {s: n for s, n in outcome.statuses.items() if s != scenario.expect}
    if wrong or outcome.error:
        samples = {s: outcome.bodies.get(s) for s in wrong}
        results.failures.append(
            f"{scenario.name}, {clients} clients: {wrong} {outcome.error} {samples}"
        )
    if not outcome.latencies:
        return None
    used = {k: (after[k] - before[k]) * 1000 / len(outcome.latencies) for k in before}
    return Sample(number, outcome.rate, outcome.latencies, used)


def count_statements(world: World, scenarios: Sequence[Scenario], results: Results) -> None:
    """Count the SQL statements of one request of each scenario, without BEGIN and COMMIT.

    A pass of its own, in this process: counting costs time. It comes first, so that what does
    not work at all is known before anything is measured.
    """
    client = Client(SERVER_NAME="127.0.0.1")
    for scenario in scenarios:
        if scenario.name == "static":
            continue
        calls = scenario.calls(world, 1, 3)[0]
        try:
            _send(client, calls[0], scenario.expect)  # whatever is only done once, is done now
            with CaptureQueriesContext(connection) as captured:
                _send(client, calls[-1], scenario.expect)
        except Exception as error:
            results.failures.append(f"{scenario.name}, counting: {type(error).__name__}: {error}")
            continue
        results.statements[scenario.name] = sum(
            not CONTROL.match(query["sql"]) for query in captured.captured_queries
        )


def _send(client: Client, call: Call, expect: int) -> None:
    key = f"count-{uuid.uuid4().hex}"
    headers = {k: v.replace(KEY.decode(), key) for k, v in call.headers.items()}
    if call.method == "GET":
        response = client.get(call.path, headers=headers)
    else:
        response = client.post(
            call.path, call.body, content_type="application/json", headers=headers
        )
    if response.status_code != expect:
        raise AssertionError(f"{call.path}: {response.status_code} {response.content[:500]!r}")
