"""What the results should be, and by how much they are or are not."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass

from tests.benchmarks.measure import Results

CLIENTS = 8


@dataclass(frozen=True)
class Verdict:
    """One target. ``value`` is None if this run did not measure it."""

    claim: str
    value: float | None
    limit: float
    at_least: bool
    spread: str = ""

    @property
    def met(self) -> bool | None:
        if self.value is None:
            return None
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    @property
    def margin(self) -> str:
        """How far from the limit, in percent of it; positive is good."""
        if self.value is None:
            return ""
        share = (self.value - self.limit) / self.limit * (1 if self.at_least else -1)
        return f"{share:+.0%}"


def verdicts(results: Results) -> list[Verdict]:
    """Every target, in the order in which they are shown."""
    return list(_verdicts(results))


def _verdicts(results: Results) -> Iterator[Verdict]:
    for name, other, claim in (
        ("add-hot", "orm-hot", "add to cart, one slot: share of the minimal ORM booking"),
        ("add-spread", "orm-spread", "add to cart, 1,000 slots: share of the minimal ORM booking"),
        ("check-in", "orm-spread", "check in: share of the minimal ORM booking (1,000 slots)"),
    ):
        ratios = results.rate_ratios(name, other, CLIENTS)
        yield Verdict(
            claim,
            statistics.median(ratios) if ratios else None,
            0.5,
            at_least=True,
            spread=f"{min(ratios):.2f}–{max(ratios):.2f}" if len(ratios) > 1 else "",
        )
    for clients in (1, CLIENTS):
        yield Verdict(
            f"approve 100: times as long as approve 1, {clients} at once",
            _quotient(results, "approve-100", "approve-1", clients),
            4,
            at_least=False,
        )
    counted = results.statements
    for name, claim, limit in (
        ("add-hot", "add to cart: statements", 12),
        ("check-in", "check in: statements", 12),
        ("approve-100", "approve 100: statements", 25),
        ("checkout-100", "check out 100 items: statements", 25),
        ("slots-500", "availability of 500 slots: statements", 6),
    ):
        yield Verdict(claim, counted.get(name), limit, at_least=False)
    both = "approve-1" in counted and "approve-100" in counted
    yield Verdict(
        "approve 100: statements more than approve 1",
        abs(counted["approve-100"] - counted["approve-1"]) if both else None,
        2,
        at_least=False,
    )


def _quotient(results: Results, name: str, other: str, clients: int) -> float | None:
    first, second = results.median(name, clients), results.median(other, clients)
    return first / second if first and second else None
