"""A lifecycle is a table of moves. The database trigger, the diagram in the docs and the
tests are generated from it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Move(NamedTuple):
    name: str
    sources: frozenset[str]
    target: str


class Lifecycle:
    """The moves of one noun: ``("confirm", {"pending"}, "confirmed")`` and so on."""

    def __init__(self, noun: str, *moves: tuple[str, Iterable[str], str]) -> None:
        self.noun = noun
        self.moves = {n: Move(n, frozenset(map(str, s)), str(t)) for n, s, t in moves}
        if len(self.moves) != len(moves):
            raise ValueError(f"{noun}: a move is named twice")

    def allows(self, move: str, status: str) -> bool:
        return status in self.moves[move].sources

    def target(self, move: str) -> str:
        return self.moves[move].target

    def pairs(self) -> list[tuple[str, str]]:
        """Every (from, to) the database lets pass, sorted."""
        return sorted({(s, m.target) for m in self.moves.values() for s in m.sources})

    def mermaid(self) -> str:
        """The diagram of the documentation."""
        lines = ["stateDiagram-v2"]
        lines += [
            f"    {source} --> {move.target}: {move.name.replace('_', ' ')}"
            for move in self.moves.values()
            for source in sorted(move.sources)
        ]
        return "\n".join(lines)
