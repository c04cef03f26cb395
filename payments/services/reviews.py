"""A proof of payment, or a request, that nobody decides on is brought before the managers (A4, D6)."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from audit import outbox
from audit.context import Actor, audited
from audit.languages import our_reason
from audit.observability import sweeps
from audit.observability.operations import operation
from audit.observability.sweeps import Failures
from payments import locks, notices, selectors, transitions
from payments.models import CartTransaction

ESCALATE = "transaction.escalate"  # as the log and alerts name it
REASON = our_reason("The review is overdue; owners and managers were told.")


def escalate(
    *,
    actor: Actor,
    now: datetime,
    batch: int = 500,
    failed: Failures | None = None,
    passed: set[uuid.UUID] | None = None,
) -> int:
    """Tell owners and managers of decisions that are overdue: one message for each organisation,
    which lists them. They are told again when as many hours have passed as a review may take.

    The batch is one transaction of as many statements for a hundred reviews as for one. It waits
    for nobody, and whoever is told is told once: it is safe to run this twice, in parallel, and
    while staff decide. If one cannot be noted, the others of its organisation still are.

    Args:
        batch: of transactions; an organisation is split over two only if it has more than these.
        failed: transactions to pass over; those that fail now are added.
        passed: the same; those that somebody else holds are added.

    Returns:
        Of how many transactions somebody was told; call again until it is 0 and nothing more
        failed or was passed over.
    """
    failed = {} if failed is None else failed
    passed = set() if passed is None else passed
    found: list[CartTransaction] = []
    try:
        with (
            operation(ESCALATE, actor=actor) as op,
            transaction.atomic(),
            audited(actor, reason=REASON),
        ):
            found = locks.overdue_reviews(now=now, limit=batch, skip=failed, passed=passed)
            tell_managers(found, now=now)
            op.rows = len(found)
            op.note(transactions=[str(one.pk) for one in found])
    except sweeps.NO_ROW_S_FAULT:
        raise
    except Exception:
        if not found:
            raise
        of: dict[uuid.UUID, list[uuid.UUID]] = defaultdict(list)
        for one in found:
            of[one.organization_id].append(one.pk)
        return sum(_escalate_some(ids, actor=actor, now=now, failed=failed) for ids in of.values())
    return len(found)


def _escalate_some(
    ids: Sequence[uuid.UUID], *, actor: Actor, now: datetime, failed: Failures
) -> int:
    """The same for some of one organisation, without those that cannot be noted."""
    able: list[uuid.UUID] = []
    sweeps.each(
        ESCALATE,
        ids,
        lambda pk: _try(pk, able, actor=actor, now=now),
        failed=failed,
        blame=Exception,
    )
    told: list[uuid.UUID] = []

    def tell(_: uuid.UUID) -> bool:
        with (
            operation(ESCALATE, actor=actor) as op,
            transaction.atomic(),
            audited(actor, reason=REASON),
        ):
            found = [t for t in locks.transactions(able) if transitions.is_review_overdue(t, now)]
            tell_managers(found, now=now)
            op.rows = len(found)
        told.extend(one.pk for one in found)
        return bool(found)

    # What fails now is the message, and that is about all of them.
    before = set(failed)
    sweeps.each(ESCALATE, able[:1], tell, failed=failed, blame=Exception)
    for first in set(failed) - before:
        failed.update(dict.fromkeys(able, failed[first]))
    return len(told)


def _try(pk: uuid.UUID, able: list[uuid.UUID], *, actor: Actor, now: datetime) -> bool:
    """Note one, and take it back: whether it can be noted at all."""
    with transaction.atomic(), audited(actor, reason=REASON):
        found = [t for t in locks.transactions([pk]) if transitions.is_review_overdue(t, now)]
        transitions.escalate(found, now=now)
        transaction.set_rollback(True)
    able.extend(one.pk for one in found)
    return bool(found)


def tell_managers(overdue: Sequence[CartTransaction], *, now: datetime) -> None:
    """Note that locked transactions are overdue, and tell those whom it concerns."""
    if not overdue:
        return
    since = {one.pk: one.review_due_at or now for one in overdue}
    transitions.escalate(overdue, now=now)
    organizations = {one.organization_id: one.organization for one in overdue}
    recipients = selectors.told_of_reviews(organizations.values())
    events = []
    for pk, organization in sorted(organizations.items()):
        theirs = [one for one in overdue if one.organization_id == pk]
        events.append(
            notices.reviews_overdue(
                organization, theirs, since=[since[one.pk] for one in theirs], to=recipients[pk]
            )
        )
    outbox.emit_many(events)
