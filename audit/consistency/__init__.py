"""What must hold between rows: checks, their repairs, and the runs of both.

from audit.consistency import FixResult, Problem, Scope, check, fix

@check(id="bookings.slot_counters", title="Slot counters match their bookings", ...)
def slot_counters(scope: Scope) -> Iterable[Problem]: ...

@fix("bookings.slot_counters")
def recount(problem: Problem, actor: Actor, now: datetime) -> FixResult: ...
"""

from audit.consistency.registry import (
    Check,
    FixResult,
    Problem,
    Scope,
    check,
    fix,
    rows,
)

__all__ = ["Check", "FixResult", "Problem", "Scope", "check", "fix", "rows"]
