"""The command line of the benchmarks: options, the order of a run, and how it ends."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from django.conf import settings
from rich.console import Console

from config.management.commands.demo import only_one
from tests.benchmarks import lines, report
from tests.benchmarks.correctness import CHECKS, Finding
from tests.benchmarks.measure import Results, count_statements, measure
from tests.benchmarks.scenarios import BY_NAME, LEVELS, SCENARIOS, Scenario
from tests.benchmarks.server import BLOCKING_THREADS, WORKERS, System
from tests.benchmarks.studies import STUDIES as OTHERS
from tests.benchmarks.studies import Study
from tests.benchmarks.study_sweep import sweep
from tests.benchmarks.targets import CLIENTS, verdicts
from tests.benchmarks.world import World

STUDIES = {**OTHERS, "waitlist": lines.waitlist, "sweep": sweep}
DESCRIPTION = "Measure Holdfast over HTTP beside what this machine could do at best."
DOCUMENT = Path(settings.BASE_DIR) / "docs" / "performance.md"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench ARGS=...", description=DESCRIPTION)
    parser.add_argument("--quick", action="store_true", help="about a minute, coarser")
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="NAME",
        choices=[*BY_NAME, *STUDIES, "correctness"],
        help=f"one of these, repeatable: {', '.join(BY_NAME)}, {', '.join(STUDIES)}, correctness",
    )
    parser.add_argument("--clients", type=int, action="append", help="only with so many clients")
    parser.add_argument("--rounds", type=int, help="how often everything takes its turn")
    parser.add_argument("--seconds", type=float, help="how long each turn lasts")
    parser.add_argument("--workers", type=int, default=WORKERS, help="granian's worker processes")
    parser.add_argument(
        "--threads", type=int, default=BLOCKING_THREADS, help="blocking threads of each worker"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything as JSON")
    parser.add_argument(
        "--markdown",
        type=Path,
        nargs="?",
        const=DOCUMENT,
        metavar="FILE",
        help="put the tables into docs/performance.md, or into FILE",
    )
    parser.add_argument("--strict", action="store_true", help="fail if a target is missed")
    return parser.parse_args()


def plan(options: argparse.Namespace) -> list[tuple[Scenario, int]]:
    """Which scenarios take turns, with how many clients."""
    chosen = [s for s in SCENARIOS if not options.only or s.name in options.only]
    levels = options.clients or LEVELS
    steps = [(s, clients) for clients in levels for s in chosen]
    if options.quick and not options.clients:
        # Eight clients for everything; one only where a target is about a single request's time.
        single = ("approve-1", "approve-100")
        steps = [(s, n) for s, n in steps if n == CLIENTS or (n == 1 and s.name in single)]
    return steps


def main() -> int:
    options = arguments()
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = max(console.width, 110)
    rounds = options.rounds or (2 if options.quick else 3)
    seconds = options.seconds or (1.0 if options.quick else 1.5)
    load_before, commit = os.getloadavg()[0], report.current_commit()
    steps = plan(options)
    findings: list[Finding] = []
    system = System(workers=options.workers, threads=options.threads)
    with console.status("starting servers") as status, only_one(Path(settings.DATA_DIR)), system:
        status.update("making an organisation")
        world = World()
        results = Results()
        if steps:
            status.update("counting statements")
            count_statements(world, list(dict.fromkeys(s for s, _ in steps)), results)
            measure(
                system,
                world,
                steps,
                rounds=rounds,
                seconds=seconds,
                progress=status.update,
                results=results,
            )
        for check in CHECKS if not options.only or "correctness" in options.only else ():
            status.update((check.__doc__ or check.__name__).splitlines()[0])
            try:
                findings += check(system, world)
            except Exception as error:  # what was measured is shown all the same
                findings.append(Finding(check.__name__, False, f"{type(error).__name__}: {error}"))
        studies: list[Study] = []
        for name, study in STUDIES.items():
            if not options.only or name in options.only:
                status.update((study.__doc__ or name).splitlines()[0])
                try:
                    studies.append(study(system, world, quick=options.quick))
                except Exception as error:
                    findings.append(Finding(name, False, f"{type(error).__name__}: {error}"))
        run = report.describe_run(
            results,
            findings,
            studies,
            server=f"granian, {options.workers} workers with {options.threads} threads each",
            rounds=rounds,
            seconds=seconds,
            load_before=load_before,
            commit=commit,
        )
        if results.failures:
            console.print(system.log(), markup=False)
    report.show(run, console)
    if options.json:
        options.json.write_text(json.dumps(report.as_json(run), indent=2) + "\n")
    if options.markdown:
        report.write_markdown(run, options.markdown)
    findings += [f for study in studies for f in study.findings]
    broken = bool(results.failures) or not all(f.held for f in findings)
    targets = [*verdicts(results), *(v for study in studies for v in study.verdicts)]
    missed = any(v.met is False for v in targets)
    return int(broken or (options.strict and missed))
