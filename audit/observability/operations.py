"""The operation log: a structured line when a status-changing operation starts and one when
it ends, with who, what, how many rows, how long, and how it ended (A12).

The lines carry ids and never names or addresses.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import structlog
from django.db import DatabaseError

from audit.context import Actor, current_origin
from audit.delivery import alerts
from audit.errors import DomainError, constraint_name, translate

log = structlog.get_logger("holdfast.operations")


@dataclass
class Operation:
    """One running operation; set ``rows`` to the number of rows it changed."""

    name: str
    rows: int = 0
    facts: dict[str, Any] = field(default_factory=dict)

    def note(self, **facts: Any) -> None:
        """Add ids or figures to the closing line. No personal data."""
        self.facts.update(facts)


@contextmanager
def operation(
    name: str,
    *,
    actor: Actor,
    organization_id: UUID | None = None,
    alert_on_failure: bool = False,
    **ids: Any,
) -> Iterator[Operation]:
    """Log the start and the end of an operation. Use around the service's transaction.

        with operation("transaction.approve", actor=actor, alert_on_failure=True,
                       transaction=transaction_id) as op, transaction.atomic(), ...:
            op.rows = len(bookings) + 1

    A :class:`DomainError` (or a constraint that answers for one) ends it as ``refused``; any
    other exception as ``failed``, which alerts administrators if ``alert_on_failure`` says so.
    Both are raised on.

    Args:
        name: ``noun.verb``.
        actor: who does it; kind and id are logged, the label is not.
        organization_id: whose operation it is.
        alert_on_failure: send ``operation.failed`` to administrators at once.
        ids: keys of what it is about; the first one is the subject of the alert.
    """
    known = {key: str(value) for key, value in ids.items()}
    bound = log.bind(
        operation=name,
        actor_kind=actor.kind,
        actor_id=str(actor.id) if actor.id else None,
        organization_id=str(organization_id) if organization_id else None,
        request_id=current_origin().request_id,
        **known,
    )
    running = Operation(name)
    began = time.perf_counter()
    bound.info("operation_started")
    try:
        yield running
    except Exception as error:
        ended = {"duration_ms": _since(began), "rows": 0, **running.facts}
        refusal = _refusal(error)
        if refusal is not None:
            bound.info("operation_finished", outcome="refused", error_code=refusal.code, **ended)
        else:
            kind = type(error).__name__
            bound.error(
                "operation_failed",
                outcome="failed",
                error_code=kind,
                constraint=constraint_name(error),
                exc_info=_traceback_only(error),
                **ended,
            )
            if alert_on_failure:
                _alert(name, kind, actor, organization_id, known)
        raise
    bound.info(
        "operation_finished",
        outcome="done",
        rows=running.rows,
        duration_ms=_since(began),
        **running.facts,
    )


def _since(began: float) -> float:
    return round((time.perf_counter() - began) * 1000, 1)


def _refusal(error: Exception) -> DomainError | None:
    if isinstance(error, DomainError):
        return error if error.status < 500 else None
    return translate(error) if isinstance(error, DatabaseError) else None


def _traceback_only(error: Exception) -> tuple[type[BaseException], BaseException, Any]:
    """The traceback without the message: a database error quotes the row, personal data and all."""
    return RuntimeError, RuntimeError(type(error).__name__), error.__traceback__


def _alert(
    name: str, error: str, actor: Actor, organization_id: UUID | None, ids: dict[str, str]
) -> None:
    first = next(iter(ids.values()), name)
    alerts.alert_after_failure(
        "operation.failed",
        subject=(name[:64], first[:64]),
        organization_id=organization_id,
        payload={
            "operation": name,
            "ids": ids,
            "error": error,
            "actor": actor.label,
            "request_id": current_origin().request_id,
        },
    )
