"""Right under load: the last seats, and eight people who decide at once (A4, A9, A13, B4)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from django.core import mail
from django.utils import timezone

from audit.consistency.runner import run_checks
from audit.context import Actor
from audit.delivery import relay
from audit.models import Delivery, OutboxEvent
from bookings.lifecycle import LIVE
from bookings.models import Booking
from payments.models import CartItem, CartTransaction
from tests.benchmarks.load import Outcome, Script
from tests.benchmarks.scenarios import Call, base
from tests.benchmarks.server import System
from tests.benchmarks.world import World

CROWD, SEATS = 400, 50
STAFF, DECISIONS = 8, 10


@dataclass(frozen=True)
class Finding:
    """One claim and whether it held."""

    claim: str
    held: bool
    detail: str


def last_seats(system: System, world: World) -> list[Finding]:
    """400 customers ask for one of 50 seats at the same moment."""
    slot = world.small_slot(SEATS)
    path = base(world) + "cart/items/"
    scripts = [
        Script([Call("POST", path, person.token, {"slot": str(slot.pk), "units": 1}).raw()])
        for person in world.people(CROWD)
    ]
    outcome = system.drive(scripts, seconds=60, expect=201)
    codes = {json.loads(body).get("code") for body in outcome.bodies.get(409, [])}
    slot.refresh_from_db()
    sold = Booking.objects.filter(slot=slot, status__in=LIVE).count()
    items = CartItem.objects.filter(booking__slot=slot).count()
    return [
        Finding(
            f"{CROWD} clients, {SEATS} seats: {SEATS} sold, {CROWD - SEATS} times slot_full",
            outcome.statuses == Counter({201: SEATS, 409: CROWD - SEATS})
            and codes == {"slot_full"},
            _answers(outcome) + f", codes {sorted(map(str, codes))}",
        ),
        Finding(
            "the database says the same: counter, bookings and cart items",
            slot.taken_bookings == sold == items == SEATS,
            f"counter {slot.taken_bookings}, live bookings {sold}, items {items}",
        ),
    ]


def one_decision(system: System, world: World) -> list[Finding]:
    """Eight members of staff approve the same transaction, ten times over."""
    deliver_all()
    waiting = world.transactions(DECISIONS, 3)
    answers: Counter[int] = Counter()
    codes: set[str | None] = set()
    once = True
    for pk in waiting:
        path = f"{base(world)}transactions/{pk}/approve/"
        scripts = [Script([Call("POST", path, p.token, {}).raw()]) for p in world.staff[:STAFF]]
        outcome = system.drive(scripts, seconds=30, expect=200)
        answers += outcome.statuses
        codes |= {json.loads(body).get("code") for body in outcome.bodies.get(409, [])}
        once &= outcome.statuses == Counter({200: 1, 409: STAFF - 1})
    delivered = deliver_all()
    events = Counter(
        OutboxEvent.objects.filter(
            kind="transaction.approved", subject_id__in=[str(pk) for pk in waiting]
        ).values_list("subject_id", flat=True)
    )
    addresses = CartTransaction.objects.filter(pk__in=waiting).values("customer__email")
    mails = Counter(
        Delivery.objects.filter(
            address__in=addresses, event__kind="transaction.approved", status="delivered"
        ).values_list("address", flat=True)
    )
    return [
        Finding(
            f"{STAFF} people approve one transaction: one 200, {STAFF - 1} times already_decided",
            once and codes == {"already_decided"},
            f"{DECISIONS} times: {dict(answers)}, codes {sorted(map(str, codes))}",
        ),
        Finding(
            "exactly one event and one e-mail for each",
            set(events.values()) == set(mails.values()) == {1}
            and len(events) == len(mails) == DECISIONS,
            f"{sum(events.values())} events, {sum(mails.values())} e-mails, {delivered} sent",
        ),
    ]


def nothing_found(system: System, world: World) -> list[Finding]:
    """Every consistency check, over everything that this run has made."""
    run = run_checks(
        actor=Actor.system("benchmark"),
        now=timezone.now(),
        organization_id=world.organization.pk,
    )
    found = [f"{o.check.id}: {o.found} {o.error}" for o in run.outcomes if not o.clean]
    return [
        Finding(
            "the consistency checks find nothing afterwards",
            run.clean and bool(run.outcomes),
            "; ".join(found) or f"{len(run.outcomes)} checks",
        )
    ]


def deliver_all() -> int:
    """Do the worker's job here: hand out and send what is in the outbox; how many went out."""
    before = Delivery.objects.filter(status="delivered").count()
    while True:
        result = relay.run(time_limit=600)
        vars(mail).get("outbox", []).clear()
        if not result.dispatched and not result.delivered:
            return Delivery.objects.filter(status="delivered").count() - before


CHECKS: list[Callable[[System, World], list[Finding]]] = [last_seats, one_decision, nothing_found]


def _answers(outcome: Outcome) -> str:
    return f"{dict(outcome.statuses)}{' ' + outcome.error if outcome.error else ''}"
