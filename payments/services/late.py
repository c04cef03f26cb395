"""Money that comes too late: its seats are taken again, or staff decide. Nothing vanishes (A3)."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.db import transaction

from audit import outbox
from audit.context import Actor, audited
from audit.errors import DomainError, Invalid, NotFound
from audit.languages import our_reason
from audit.observability.operations import Operation, operation
from audit.outbox import Event
from bookings import claiming, holding
from bookings.lifecycle import BookingStatus
from bookings.models import Booking, Slot
from bookings.services.bookings import check_version
from payments import locks, notices, owing, selectors, transitions
from payments.errors import AlreadyDecided, OwnTransaction, SeatsGone
from payments.lifecycle import LateStatus, ProofStatus, RefundWay
from payments.models import CartTransaction, LatePayment, Proof, Refund
from payments.services.decisions import check_reason
from waitlist.services import letting_go, serving

CAME_LATE = our_reason("The proof of payment came late.")
LONGEST_NOTE = 500


def check_may_come(found: CartTransaction) -> LatePayment | None:
    """What is there already of money that came too late for a locked transaction.

    Raises:
        AlreadyDecided: it goes back to the customer, or is kept for them, by now.
    """
    late = LatePayment.objects.filter(transaction=found).first()
    if late is not None and late.refund_id is not None:
        raise AlreadyDecided(
            f"What came too late for {found.reference} is {late.get_status_display()} already."
            " Please ask the staff.",
            transaction_status=found.status,
        )
    return late


def take(
    found: CartTransaction,
    proof: Proof,
    bookings: Sequence[Booking],
    slots: Mapping[uuid.UUID, Slot],
    *,
    late: LatePayment | None,
    actor: Actor,
    now: datetime,
) -> None:
    """A proof came for a transaction that had expired: take its seats again, all or none, or open
    a late payment for the staff to decide on.

    The rules of booking do not count for somebody who has paid; whoever waits in line comes
    first, and what they are offered there themselves they get. Transaction, bookings and slots are
    locked.

    Args:
        late: what is open already, or was dismissed.
    """
    ended = [b for b in bookings if b.status == BookingStatus.EXPIRED]
    gone = _take_seats([(b, slots[b.slot_id]) for b in ended], found.customer_id, now=now)
    if ended and not gone:
        transitions.reinstate(found, ended, now=now)
        if late is not None:
            if late.status == LateStatus.DISMISSED:
                owing.reopen_late(late)
            if late.status == LateStatus.OPEN:
                owing.resolve_late(
                    late, "reinstate", actor=actor, now=now, note=CAME_LATE, proof=proof
                )
        outbox.emit_many([_to_customer("proof.received_late", found, ended)])
        return
    reason = why_gone(ended, gone) or "None of its bookings can be taken again."
    transitions.touch(found)
    owing.open_late(found, proof, now=now, reason=reason)
    others = []
    if not found.organization.email:
        others = selectors.told_of_reviews([found.organization])[found.organization_id]
    outbox.emit_many(
        [
            _to_customer("payment.late", found, ended, reason=reason),
            notices.to_organization(
                "payment.late_opened",
                found,
                ended,
                others=others,
                amount=str(selectors.to_pay(found)),
                reason=reason,
                stated=str(proof.amount) if proof.amount is not None else "",
            ),
        ]
    )


def _take_seats(
    pairs: Sequence[tuple[Booking, Slot]], customer_id: uuid.UUID, *, now: datetime
) -> dict[uuid.UUID, DomainError]:
    """``holding.reinstate``; seats that the customer is offered in line for the same slots are
    theirs, and go into it. If it cannot be, the offers stand."""
    open_ones = [s for _, s in pairs if claiming.is_bookable(s, now=now) and s.concerns_line]
    claiming.serve_lines(open_ones, now=now)  # whoever came first comes first
    offers = letting_go.open_offers([s.pk for s in open_ones], customer_id) if open_ones else []
    if not offers:
        return holding.reinstate(pairs, now=now, reason=CAME_LATE)
    point = transaction.savepoint()
    with serving.held_back() as freed:
        letting_go.let_go(offers, now=now)
        claiming.read_taken(open_ones)
        gone = holding.reinstate(pairs, now=now, reason=CAME_LATE)
    if gone:
        transaction.savepoint_rollback(point)
        claiming.read_taken(open_ones)
    else:
        transaction.savepoint_commit(point)
        serving.serve(freed, now=now)
    return gone


def _to_customer(
    kind: str, found: CartTransaction, bookings: Sequence[Booking], **payload: Any
) -> Event:
    """A message about what was to be paid, which may be less than the order was over."""
    amount = {"amount": str(selectors.to_pay(found))}
    return notices.to_customer(kind, found, bookings, **(amount | payload))


def why_gone(bookings: Sequence[Booking], gone: Mapping[uuid.UUID, DomainError]) -> str:
    """Why seats cannot be taken again, in words: which, and what is in the way of each."""
    found = []
    for booking in bookings:
        if booking.pk in gone:
            resource = booking.slot.resource
            start = booking.slot.starts_at.astimezone(ZoneInfo(resource.time_zone))
            found.append(f"{resource.name}, {start:%Y-%m-%d %H:%M}: {gone[booking.pk].detail}")
    return " ".join(found)


# --- what staff decide ------------------------------------------------------------------------


@dataclass(slots=True)
class _Locked:
    """A late payment with what it hangs on, locked."""

    late: LatePayment
    transaction: CartTransaction
    bookings: Sequence[Booking]
    slots: Mapping[uuid.UUID, Slot]

    @property
    def ended(self) -> list[Booking]:
        return [b for b in self.bookings if b.status == BookingStatus.EXPIRED]


def rebook(
    *,
    late_id: uuid.UUID,
    organization_id: uuid.UUID,
    slots: Mapping[uuid.UUID, uuid.UUID],
    actor: Actor,
    now: datetime,
    note: str = "",
    version: int | None = None,
) -> LatePayment:
    """Book after all what was paid too late, in the same slots or in others of the same resources,
    all or nothing. Its prices stay what was agreed. The transaction is under review again.

    The rules of booking do not count; whoever waits in line for a slot comes first.

    Args:
        slots: where each booking goes, by its primary key; one that is not in it stays.
        version: of the transaction, as the caller read it.

    Raises:
        SeatsGone: not all can have their seats; ``bookings`` says why of each. Nothing is changed.
        LatePaymentDecided: somebody was faster.
        OwnTransaction: staff do not decide on their own order.
        StaleVersion: it changed since the caller read ``version``.
        Invalid: a slot of another resource, or the note is too long.
        NotFound: the organisation has no such late payment, booking or slot.
    """
    _check_note(note)
    with (
        _named("rebook", late_id, actor) as op,
        transaction.atomic(savepoint=False),
        audited(actor, reason=note or "booked after all"),
    ):
        it = _lock(late_id, organization_id, actor, version, also=set(slots.values()))
        pairs = _pairs(it, slots)
        old = {booking.pk: booking.slot for booking, _ in pairs}
        gone = _take_seats(pairs, it.transaction.customer_id, now=now)
        if gone or not pairs:
            wanted = {booking.pk: slot for booking, slot in pairs}
            raise SeatsGone(
                " ".join(
                    f"{wanted[pk].resource.name}: {error.detail}" for pk, error in gone.items()
                )
                or "None of its bookings can be taken again.",
                bookings={str(pk): error.detail for pk, error in gone.items()},
            )
        ended = [booking for booking, _ in pairs]
        moved = [b for b in ended if b.slot_id != old[b.pk].pk]
        owing.move_terms(moved, old, by_customer=False, now=now)
        transitions.reinstate(it.transaction, ended, now=now)
        owing.resolve_late(it.late, "reinstate", actor=actor, now=now, note=note)
        outbox.emit_many(
            [_to_customer("payment.late_rebooked", it.transaction, ended, reason=note)]
        )
        op.rows = 2 + 2 * len(ended)
    return it.late


def pay_back(
    *,
    late_id: uuid.UUID,
    organization_id: uuid.UUID,
    amount: Decimal,
    actor: Actor,
    now: datetime,
    note: str = "",
    version: int | None = None,
) -> LatePayment:
    """The money came, and goes back to the customer: a refund is owed from now on.

    Args:
        amount: at most what its proofs say was paid, or what was to be paid.

    Raises:
        LatePaymentDecided, OwnTransaction, StaleVersion, NotFound: see :func:`rebook`.
        Invalid: the amount cannot be, or the note is too long.
    """
    return _owe(late_id, organization_id, "refund", amount, actor, now, note, version)


def credit(
    *,
    late_id: uuid.UUID,
    organization_id: uuid.UUID,
    amount: Decimal,
    actor: Actor,
    now: datetime,
    note: str = "",
    version: int | None = None,
) -> LatePayment:
    """The money came, and is kept for the customer; otherwise as :func:`pay_back`."""
    return _owe(late_id, organization_id, "credit", amount, actor, now, note, version)


WAYS = {
    "refund": (RefundWay.TRANSFER, "payment.late_refunded"),
    "credit": (RefundWay.CREDIT, "payment.late_credited"),
}


def _owe(
    late_id: uuid.UUID,
    organization_id: uuid.UUID,
    name: str,
    amount: Decimal,
    actor: Actor,
    now: datetime,
    note: str,
    version: int | None,
) -> LatePayment:
    _check_note(note)
    way, kind = WAYS[name]
    with (
        _named(name, late_id, actor) as op,
        transaction.atomic(savepoint=False),
        audited(actor, reason=note or f"late payment: {way.label}"),
    ):
        it = _lock(late_id, organization_id, actor, version)
        found = it.transaction
        most = most_owed(found)
        if not 0 < amount <= most or amount != amount.quantize(Decimal("0.01")):
            raise Invalid(
                f"An amount is more than 0 and at most {most} {found.currency}: what was paid, or"
                " was to be paid.",
                field="amount",
            )
        owing.check_late(it.late, name)
        refund = Refund(
            organization_id=organization_id,
            customer=found.customer,
            transaction=found,
            amount=amount,
            currency=found.currency,
            way=way,
            verified=True,
            reason=owing.shorten(f"{CAME_LATE} {it.late.reason}"),
            created_at=now,
        )
        owing.owe(it.late, refund)
        transitions.decide_proofs([found], "accept", now=now)
        owing.resolve_late(it.late, name, actor=actor, now=now, note=note, refund=refund)
        transitions.touch(found)
        outbox.emit_many(
            [notices.to_customer(kind, found, it.ended, amount=str(amount), reason=note)]
        )
        op.rows = 4
    return it.late


def most_owed(found: CartTransaction) -> Decimal:
    """The most that can be owed for money that came too late: what the proofs that wait say was
    paid, or what was to be paid, if that is more."""
    stated = Proof.objects.filter(transaction=found, status=ProofStatus.SUBMITTED)
    amounts = stated.values_list("amount", flat=True)
    return max(selectors.to_pay(found), sum((a for a in amounts if a is not None), Decimal(0)))


def dismiss(
    *,
    late_id: uuid.UUID,
    organization_id: uuid.UUID,
    reason: str,
    actor: Actor,
    now: datetime,
    version: int | None = None,
) -> LatePayment:
    """No money came. The proofs are rejected, and the customer is told why.

    Raises:
        LatePaymentDecided, OwnTransaction, StaleVersion, NotFound: see :func:`rebook`.
        Invalid: no reason, or it is too long.
    """
    _check_why(reason)
    with (
        _named("dismiss", late_id, actor) as op,
        transaction.atomic(savepoint=False),
        audited(actor, reason=reason),
    ):
        it = _lock(late_id, organization_id, actor, version)
        owing.resolve_late(it.late, "dismiss", actor=actor, now=now, note=reason)
        transitions.decide_proofs([it.transaction], "reject", now=now)
        transitions.touch(it.transaction)
        outbox.emit_many(
            [_to_customer("payment.late_dismissed", it.transaction, it.ended, reason=reason)]
        )
        op.rows = 3
    return it.late


def reopen(
    *,
    late_id: uuid.UUID,
    organization_id: uuid.UUID,
    reason: str,
    actor: Actor,
    now: datetime,
    version: int | None = None,
) -> LatePayment:
    """What was dismissed is decided anew, as the money was found after all; the proofs that were
    rejected with it wait again.

    Raises:
        LatePaymentDecided: it was not dismissed.
        OwnTransaction, StaleVersion, NotFound, Invalid: see :func:`dismiss`.
    """
    _check_why(reason)
    with (
        _named("reopen", late_id, actor) as op,
        transaction.atomic(savepoint=False),
        audited(actor, reason=reason),
    ):
        it = _lock(late_id, organization_id, actor, version)
        owing.reopen_late(it.late)
        transitions.touch(it.transaction)
        outbox.emit_many(
            [_to_customer("payment.late_reopened", it.transaction, it.ended, reason=reason)]
        )
        op.rows = 3
    return it.late


def _named(name: str, late_id: uuid.UUID, actor: Actor) -> AbstractContextManager[Operation]:
    return operation(f"late_payment.{name}", actor=actor, late_payment=str(late_id))


def _lock(
    late_id: uuid.UUID,
    organization_id: uuid.UUID,
    actor: Actor,
    version: int | None,
    *,
    also: set[uuid.UUID] | None = None,
) -> _Locked:
    """Lock what a late payment hangs on; the lock of its transaction is its own.

    Args:
        also: slots to lock with those of its bookings; None: no slot at all.
    """
    rows = LatePayment.objects.filter(pk=late_id, organization=organization_id)
    transaction_id = rows.values_list("transaction_id", flat=True).first()
    if transaction_id is None:
        raise NotFound("There is no such late payment.")
    slots = locks.slots_of(transaction_id, also=also) if also is not None else {}
    bookings = locks.bookings_of(transaction_id)
    found = locks.transaction(transaction_id, organization_id=organization_id)
    late = rows.get()
    late.transaction = found
    if actor.is_user(found.customer.user_id):
        raise OwnTransaction("Ask a colleague: nobody decides on their own order.")
    check_version(found, version)
    return _Locked(late, found, bookings, slots)


def _pairs(it: _Locked, wanted: Mapping[uuid.UUID, uuid.UUID]) -> list[tuple[Booking, Slot]]:
    owing.check_late(it.late, "reinstate")
    ended = {b.pk: b for b in it.ended}
    if not set(wanted) <= set(ended):
        raise NotFound("There is no such booking in this transaction.")
    pairs = []
    for booking in ended.values():
        slot = it.slots.get(wanted.get(booking.pk, booking.slot_id))
        if slot is None or slot.organization_id != booking.organization_id:
            raise NotFound("There is no such slot.")
        if slot.resource_id != booking.slot.resource_id:
            raise Invalid("Choose a time of the same resource.", field="slots")
        pairs.append((booking, slot))
    return pairs


def _check_note(note: str) -> None:
    if len(note) > LONGEST_NOTE:
        raise Invalid(f"A note has at most {LONGEST_NOTE} characters.", field="note")


def _check_why(reason: str) -> None:
    check_reason(reason)
    if len(reason) > LONGEST_NOTE:
        raise Invalid(f"A reason has at most {LONGEST_NOTE} characters.", field="reason")
