"""Running checks and repairs, and keeping what they found (A9, A10, A11)."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.utils import timezone

from audit.consistency.registry import Check, FixResult, Problem, Registry, Scope, registry
from audit.context import Actor, audited
from audit.delivery.alerts import alert_administrators
from audit.models import ConsistencyReport, Finding, Severity

log = logging.getLogger(__name__)

MOST_LISTED = 1_000  # problems of one check that are kept; the rest are counted
MOST_ROUNDS = 50  # of that many repairs of one check in one run
MOST_PASSES = 5  # over all checks in one run; each but the first follows from a repair
STATEMENT_TIMEOUT = "5min"


@dataclass
class CheckOutcome:
    """What one check found. ``found`` counts all problems, ``findings`` holds the first of them."""

    check: Check
    findings: list[Finding] = field(default_factory=list)
    found: int = 0
    fixed: int = 0
    gone: int = 0
    left: int = 0
    error: str = ""
    duration_ms: int = 0

    @property
    def clean(self) -> bool:
        return not self.left and not self.error

    def add(self, later: CheckOutcome) -> None:
        """Take over what a later pass found: its view of what is left, and its repairs as well."""
        done = [f for f in self.findings if f.status in (Finding.Status.FIXED, Finding.Status.GONE)]
        self.findings = (done + later.findings)[:MOST_LISTED]
        self.fixed += later.fixed
        self.gone += later.gone
        self.left, self.error = later.left, later.error
        self.found = self.fixed + self.gone + self.left
        self.duration_ms += later.duration_ms

    def figures(self) -> dict[str, Any]:
        return {
            "id": self.check.id,
            "title": self.check.title,
            "severity": self.check.severity,
            "found": self.found,
            "listed": len(self.findings),
            "fixed": self.fixed,
            "left": self.left,
            "duration_ms": self.duration_ms,
            "error": self.error,
        }


@dataclass
class Run:
    """A finished run: its stored report, and what each check found."""

    report: ConsistencyReport
    outcomes: list[CheckOutcome]

    @property
    def findings(self) -> list[Finding]:
        return [finding for outcome in self.outcomes for finding in outcome.findings]

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong now: nothing was found, or all of it was repaired."""
        return all(outcome.clean for outcome in self.outcomes)


def run_checks(
    *,
    actor: Actor,
    now: datetime,
    kind: str = ConsistencyReport.Kind.MANUAL,
    organization_id: UUID | None = None,
    only: Sequence[str] | None = None,
    fix: bool = False,
    checks: Registry = registry,
) -> Run:
    """Run checks, repair if asked to, and store the report with its findings.

    Call it outside of a transaction. A check that fails is reported as a finding of its own and
    the others go on. A scheduled run that found something alerts administrators.

    Raises:
        UnknownCheck: an id in ``only`` is not registered.
    """
    started_at = timezone.now()
    scope = Scope(now=now, organization_id=organization_id)
    outcomes = [_run_one(check, scope, actor, fix) for check in checks.checks(only)]
    _repair_what_became_possible(outcomes, scope, actor)
    report = ConsistencyReport(
        kind=kind,
        organization_id=organization_id,
        fix=fix,
        started_at=started_at,
        finished_at=max(timezone.now(), started_at),
        actor_label=actor.label[:200],
        checks_run=len(outcomes),
        findings_count=sum(o.found + bool(o.error) for o in outcomes),
        fixed_count=sum(o.fixed for o in outcomes),
        figures=[outcome.figures() for outcome in outcomes],
    )
    run = Run(report, outcomes)
    with transaction.atomic():
        report.save(force_insert=True)
        for finding in run.findings:
            finding.report = report
        Finding.objects.bulk_create(run.findings, batch_size=500)
        if kind == ConsistencyReport.Kind.SCHEDULED and report.findings_count:
            _alert(run)
    log.info(
        "consistency_checked report=%s checks=%s found=%s fixed=%s",
        report.pk,
        report.checks_run,
        report.findings_count,
        report.fixed_count,
    )
    return run


def _run_one(check: Check, scope: Scope, actor: Actor, fix: bool) -> CheckOutcome:
    began = time.perf_counter()
    outcome = CheckOutcome(check)
    try:
        if fix and check.fixer is not None:
            _repair(outcome, scope, actor)
        else:
            status = Finding.Status.NEEDS_REVIEW if fix else Finding.Status.OPEN
            problems, outcome.found, _seen = _look(check, scope)
            outcome.left = outcome.found
            outcome.findings = [_finding(check, problem, status) for problem in problems]
    except Exception as error:
        log.exception("consistency_check_failed check=%s", check.id)
        outcome.error = type(error).__name__
        outcome.findings.append(_failure(check, error))
    outcome.duration_ms = round((time.perf_counter() - began) * 1000)
    return outcome


def _repair_what_became_possible(
    outcomes: Sequence[CheckOutcome], scope: Scope, actor: Actor
) -> None:
    """Go over all checks again while something is repaired.

    A repair can make another one possible, or needless, that was tried before it; a person who
    runs this twice must find nothing left to do the second time (A10).
    """
    repaired = sum(outcome.fixed for outcome in outcomes)
    for _pass in range(MOST_PASSES - 1):
        if not repaired:
            break
        repaired = 0
        for outcome in outcomes:
            later = _run_one(outcome.check, scope, actor, fix=True)
            repaired += later.fixed
            outcome.add(later)


Key = tuple[str, str]


def _key(problem: Problem) -> Key:
    return problem.subject_type, problem.subject_id


def _look(
    check: Check, scope: Scope, known: Set[Key] = frozenset()
) -> tuple[list[Problem], int, set[Key]]:
    """The first problems besides the known ones, the number of all, the known ones still there."""
    listed: list[Problem] = []
    seen: set[Key] = set()
    count = 0
    with _one_moment():
        for problem in check.function(scope):
            count += 1
            if _key(problem) in known:
                seen.add(_key(problem))
            elif len(listed) < MOST_LISTED:
                listed.append(problem)
    return listed, count, seen


@contextmanager
def _one_moment() -> Iterator[None]:
    """A read-only transaction in which every statement sees the same snapshot."""
    outermost = not connection.in_atomic_block
    with transaction.atomic(), connection.cursor() as cursor:
        if outermost:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [STATEMENT_TIMEOUT])
        yield


def _repair(outcome: CheckOutcome, scope: Scope, actor: Actor) -> None:
    """Repair what is listed, look again, and go on while there are problems not yet tried."""
    check = outcome.check
    tried: set[Key] = set()
    problems, outcome.left, _seen = _look(check, scope)
    for _round in range(MOST_ROUNDS):
        if not problems:
            break
        results = [(problem, _repair_one(check, problem, scope, actor)) for problem in problems]
        tried.update(_key(problem) for problem in problems)
        problems, outcome.left, seen = _look(check, scope, tried)
        for problem, result in results:
            finding = _repaired(check, problem, result, still_there=_key(problem) in seen)
            outcome.fixed += finding.status == Finding.Status.FIXED
            outcome.gone += finding.status == Finding.Status.GONE
            if len(outcome.findings) < MOST_LISTED:
                outcome.findings.append(finding)
    outcome.found = outcome.fixed + outcome.gone + outcome.left


def _repair_one(check: Check, problem: Problem, scope: Scope, actor: Actor) -> FixResult | str:
    """What the fixer said, or why it failed."""
    assert check.fixer is not None
    if not problem.fixable:
        return FixResult.needs_review("")
    try:
        with transaction.atomic(), audited(actor, reason=f"consistency: {check.id}"):
            return check.fixer(problem, actor, scope.now)
    except Exception as error:
        log.exception("consistency_fix_failed check=%s subject=%s", check.id, problem.subject_id)
        return type(error).__name__


def _finding(check: Check, problem: Problem, status: str) -> Finding:
    return Finding(
        check_id=check.id,
        severity=check.severity,
        organization_id=problem.organization_id,
        subject_type=problem.subject_type[:64],
        subject_id=problem.subject_id[:64],
        message=problem.message,
        details=dict(problem.details),
        fixable=problem.fixable and check.fixer is not None,
        status=status,
    )


def _repaired(
    check: Check, problem: Problem, result: FixResult | str, *, still_there: bool
) -> Finding:
    finding = _finding(check, problem, Finding.Status.NEEDS_REVIEW)
    if isinstance(result, str):
        finding.fix_error = result
    else:
        finding.fix_note = result.note
        if still_there and result.outcome != "needs_review":
            finding.fix_error = "The repair was made, and the problem is there again."
        elif result.outcome == "fixed":
            finding.status, finding.fixed_at = Finding.Status.FIXED, timezone.now()
        elif result.outcome == "gone" or not still_there:
            finding.status = Finding.Status.GONE
    return finding


def _failure(check: Check, error: Exception) -> Finding:
    return Finding(
        check_id=check.id,
        severity=Severity.ERROR,
        subject_type="check",
        subject_id=check.id[:64],
        message=f"The check itself failed with {type(error).__name__}; the log has the details.",
        status=Finding.Status.NEEDS_REVIEW,
    )


def _alert(run: Run) -> None:
    found = [outcome for outcome in run.outcomes if outcome.found or outcome.error]
    alert_administrators(
        "consistency.found",
        subject=run.report,
        payload={
            "findings": run.report.findings_count,
            "fixed": run.report.fixed_count,
            "started_at": run.report.started_at,
            "checks": [outcome.figures() for outcome in found],
            "examples": [f"{f.check_id}: {f.message}" for f in run.findings[:10]],
        },
    )
