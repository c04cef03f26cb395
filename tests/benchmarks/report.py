"""What a run says: tables for the terminal, Markdown for docs/performance.md, JSON for scripts."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.db import connection
from rich.console import Console
from rich.table import Table

from tests.benchmarks.correctness import Finding
from tests.benchmarks.measure import Results, percentile
from tests.benchmarks.scenarios import BY_NAME
from tests.benchmarks.studies import Study
from tests.benchmarks.targets import Verdict, verdicts

BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"


@dataclass
class Run:
    """Where and how a run was made, and what came of it."""

    date: str
    commit: str
    machine: str
    system: str
    server: str
    rounds: int
    seconds: float
    load_before: float
    results: Results
    findings: list[Finding]
    studies: list[Study]


def describe_run(
    results: Results,
    findings: list[Finding],
    studies: list[Study],
    *,
    server: str,
    rounds: int,
    seconds: float,
    load_before: float,
    commit: str,
) -> Run:
    """Add date and machine to the results."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        postgres = cursor.fetchone()[0]
        cursor.execute("SELECT current_setting('fsync'), current_setting('synchronous_commit')")
        fsync, synchronous = cursor.fetchone()
    return Run(
        date=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        commit=commit,
        machine=f"{_processor()}, {os.cpu_count()} cores, {_memory_gb():.0f} GB",
        system=f"Python {platform.python_version()}, PostgreSQL {postgres}"
        f" (fsync {fsync}, synchronous_commit {synchronous})",
        server=server,
        rounds=rounds,
        seconds=seconds,
        load_before=load_before,
        results=results,
        findings=findings,
        studies=studies,
    )


# -- rows -------------------------------------------------------------------------------------------

HEADINGS = (
    "",
    "clients",
    "per second",
    "median ms",
    "p95 ms",
    "p99 ms",
    "web CPU ms",
    "database CPU ms",
    "statements",
)


def rows(results: Results, *, short: bool = False) -> list[tuple[str, ...]]:
    """One row per scenario and number of clients; ``short`` names scenarios as ``--only`` does."""
    order = list(BY_NAME)
    found = []
    for name, clients in sorted(results.samples, key=lambda k: (order.index(k[0]), k[1])):
        latencies = results.latencies(name, clients)
        used = results.processor_ms(name, clients)
        found.append(
            (
                name if short else BY_NAME[name].title,
                str(clients),
                _figure(results.rate(name, clients)),
                *(_ms(percentile(latencies, share)) for share in (0.5, 0.95, 0.99)),
                f"{used['web']:.2f}" if "web" in used else "",
                f"{used['database']:.2f}" if "database" in used else "",
                str(results.statements.get(name, "")),
            )
        )
    return found


def _figure(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 20 else f"{value:.1f}"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f}"


def _value(verdict: Verdict) -> str:
    if verdict.value is None:
        return "–"
    return f"{verdict.value:.0f}" if float(verdict.value).is_integer() else f"{verdict.value:.2f}"


def _limit(verdict: Verdict) -> str:
    return f"{'≥' if verdict.at_least else '≤'} {verdict.limit:g}"


def _word(held: bool | None) -> str:
    return {True: "pass", False: "miss", None: "not measured"}[held]


# -- the terminal -----------------------------------------------------------------------------------


def show(run: Run, console: Console) -> None:
    """Print everything."""
    table = Table(*HEADINGS, title="Over HTTP", title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    previous = ""
    for row in rows(run.results, short=True):
        if previous and row[0] != previous:
            table.add_section()
        table.add_row(row[0] if row[0] != previous else "", *row[1:])
        previous = row[0]
    if run.results.samples:
        console.print(table)
        console.print(_targets(run))
    _show_studies(run, console)
    for finding in [*run.findings, *(f for study in run.studies for f in study.findings)]:
        mark = "[green]✓[/]" if finding.held else "[red]✗[/]"
        console.print(f"{mark} {finding.claim} [dim]({finding.detail})[/]")
    for failure in run.results.failures:
        console.print("[red]✗ unexpected answers:[/] ", end="")
        console.print(failure, markup=False)
    console.print(
        f"[dim]{run.machine}; load before {run.load_before:.2f}\n{run.system}\n{run.server}[/]"
    )


def _targets(run: Run) -> Table:
    targets = Table(
        "target", "limit", "is", "rounds", "margin", "", title="Targets", title_justify="left"
    )
    for verdict in verdicts(run.results):
        colour = {True: "green", False: "red", None: "dim"}[verdict.met]
        targets.add_row(
            verdict.claim,
            _limit(verdict),
            _value(verdict),
            verdict.spread,
            verdict.margin,
            f"[{colour}]{_word(verdict.met)}[/]",
        )
    return targets


def _show_studies(run: Run, console: Console) -> None:
    for study in run.studies:
        figures = Table(*study.headings, title=study.title, title_justify="left")
        for row in study.rows:
            figures.add_row(*row)
        console.print(figures)
        for verdict in study.verdicts:
            colour = {True: "green", False: "red", None: "dim"}[verdict.met]
            console.print(
                f"[{colour}]{_word(verdict.met)}[/] {verdict.claim}:"
                f" {_value(verdict)} ({_limit(verdict)})"
            )


# -- files ------------------------------------------------------------------------------------------


def write_markdown(run: Run, path: Path) -> None:
    """Put the tables between the markers of a document.

    Raises:
        ValueError: the document has no markers.
    """
    text = path.read_text()
    if BEGIN not in text or END not in text:
        raise ValueError(f"{path} has no {BEGIN} and {END}")
    head, rest = text.split(BEGIN)
    tail = rest.split(END)[1]
    path.write_text(f"{head}{BEGIN}\n\n{markdown(run)}\n{END}{tail}")


def markdown(run: Run) -> str:
    lines = [
        f"Measured {run.date} at commit `{run.commit}`: {run.rounds} rounds of {run.seconds:g} s.",
        f"Machine: {run.machine}; load average before the run {run.load_before:.2f}.",
        f"{run.system}. {run.server}.",
        "",
        *_markdown_table(HEADINGS, rows(run.results), numbers_from=1),
        "",
        *_markdown_table(
            ("target", "limit", "is", "margin", ""),
            [
                (v.claim, _limit(v), _value(v), v.margin, _word(v.met))
                for v in verdicts(run.results)
            ],
            numbers_from=9,
        ),
        "",
        *(f"- {'Held' if f.held else '**Broken**'}: {f.claim} ({f.detail})." for f in run.findings),
        *(f"- **Unexpected answers**: {failure}" for failure in run.results.failures),
        "",
        *(line for study in run.studies for line in _markdown_study(study)),
    ]
    return "\n".join(lines)


def _markdown_study(study: Study) -> list[str]:
    targets = [(v.claim, _limit(v), _value(v), v.margin, _word(v.met)) for v in study.verdicts]
    headings = ("target", "limit", "is", "margin", "")
    return [
        f"### {study.title}",
        "",
        *_markdown_table(study.headings, study.rows, numbers_from=9),
        "",
        *(_markdown_table(headings, targets, numbers_from=9) if targets else ()),
        *([""] if targets else ()),
        *(
            f"- {'Held' if f.held else '**Broken**'}: {f.claim} ({f.detail})."
            for f in study.findings
        ),
        "",
    ]


def _markdown_table(
    headings: tuple[str, ...], cells: Sequence[tuple[str, ...]], *, numbers_from: int
) -> list[str]:
    rule = ["---" if i < numbers_from else "---:" for i in range(len(headings))]
    return [f"| {' | '.join(row)} |" for row in (headings, tuple(rule), *cells)]


def as_json(run: Run) -> dict[str, Any]:
    """Everything, latencies as percentiles."""
    return {
        **{k: v for k, v in vars(run).items() if k not in ("results", "findings", "studies")},
        "scenarios": [
            {
                "name": name,
                "clients": clients,
                "rate": run.results.rate(name, clients),
                "rates": [s.rate for s in samples],
                "requests": sum(len(s.latencies) for s in samples),
                **{
                    f"p{share}": percentile(run.results.latencies(name, clients), share / 100)
                    for share in (50, 95, 99)
                },
                "processor_ms": run.results.processor_ms(name, clients),
            }
            for (name, clients), samples in run.results.samples.items()
        ],
        "statements": run.results.statements,
        "targets": [{**asdict(v), "met": v.met, "margin": v.margin} for v in verdicts(run.results)],
        "correctness": [asdict(f) for f in run.findings],
        "studies": [
            asdict(study) | {"verdicts": [{**asdict(v), "met": v.met} for v in study.verdicts]}
            for study in run.studies
        ],
        "failures": run.results.failures,
    }


# -- the machine ------------------------------------------------------------------------------------


def current_commit() -> str:
    """The commit of the working tree. Ask before a run: others may commit while it lasts.

    BENCH_COMMIT names it where there is no repository, as in an exported copy.
    """
    if named := os.environ.get("BENCH_COMMIT"):
        return named
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--exclude", "*"],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or "unknown"


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _memory_gb() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
