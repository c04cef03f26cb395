"""Cancel, with what it costs: nothing, or a fee that the customer has seen before (point A7, B9).

The money itself follows wherever bookings are cancelled (``payments/receivers.py``): here is who
may cancel, and which part of what was paid is kept. Decision 22.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from django.db import transaction

from audit.context import Actor, audited
from audit.observability.operations import operation
from bookings import locks as booking_locks
from bookings import transitions as booking_transitions
from bookings.models import Booking
from bookings.services.bookings import check_version
from payments import cancelling, locks, owing, selectors
from payments.errors import FeeDue, OwnTransaction
from payments.models import CartItem, CartTransaction


def cancel_booking(
    *,
    booking_id: uuid.UUID,
    organization_id: uuid.UUID,
    actor: Actor,
    reason: str,
    now: datetime,
    version: int | None = None,
    accepted_fee: Decimal | None = None,
    keep_fee: bool = False,
) -> Booking:
    """Cancel a live booking and give its seats back; its cart item follows (A7).

    A time proposed for it is withdrawn, and its seats go back too. What was paid for it is owed
    back, less the fee.

    Args:
        version: the version the caller read, or None not to compare.
        accepted_fee: the fee that the customer was shown, where there is one.
        keep_fee: staff keep the fee that a customer would pay now.

    Raises:
        BookingOver: it has ended, or its slot has started and the actor is a customer.
        TooLate: the actor is a customer, and the resource's deadline for this has passed.
        FeeDue: the actor is a customer, and this costs another fee than they accepted.
        OwnTransaction: staff do not waive their own fee.
        StaleVersion: somebody changed it since the caller read it.
    """
    with (
        operation("booking.cancel", actor=actor, booking=str(booking_id)) as op,
        transaction.atomic(savepoint=False),
        audited(actor, reason=reason),
    ):
        booking = booking_locks.slot_and_booking(booking_id, organization_id=organization_id)
        items = terms_of([booking], actor=actor, keep_fee=keep_fee)
        cancelling.check(booking, items.get(booking_id), by_customer=is_customer(actor), now=now)
        check_version(booking, version)
        agree([booking], items, actor=actor, accepted_fee=accepted_fee, keep_fee=keep_fee, now=now)
        booking_transitions.cancel([booking], now=now, reason=reason)
        op.rows = 1
    return booking


def terms_of(
    bookings: Sequence[Booking], *, actor: Actor, keep_fee: bool
) -> dict[uuid.UUID, CartItem]:
    """The items of locked bookings, by booking, where their terms matter; none, and no statement,
    where the house cancels for others and keeps nothing."""
    if not (is_customer(actor) or keep_fee or _some_own(bookings, actor)):
        return {}
    return selectors.ordered_items(b.pk for b in bookings)


def _some_own(bookings: Sequence[Booking], actor: Actor) -> bool:
    """Whether staff would cancel something of their own."""
    return not is_customer(actor) and any(actor.is_user(b.customer.user_id) for b in bookings)


def agree(
    bookings: Sequence[Booking],
    items: Mapping[uuid.UUID, CartItem],
    *,
    actor: Actor,
    accepted_fee: Decimal | None,
    keep_fee: bool,
    now: datetime,
) -> None:
    """Note the fees of locked bookings that are about to be cancelled.

    Their transactions are locked, so that nobody pays between the fee and the refund. Two
    statements for any number, and none where nothing could be kept.

    Args:
        items: what :func:`terms_of` says of them, or of more bookings.

    Raises:
        FeeDue, OwnTransaction: see :func:`cancel_booking`. Nothing is changed.
    """
    by_customer, own = is_customer(actor), _some_own(bookings, actor)
    of = {b.pk: b for b in bookings}
    ours = [item for pk, item in items.items() if pk in of]
    if not any(item.late_fee for item in ours):
        return
    locked = locks.transactions(i.transaction_id for i in ours if i.transaction_id)
    found: dict[uuid.UUID | None, CartTransaction] = {t.pk: t for t in locked}
    costs = [
        cancelling.cost(
            of[item.booking_id],
            item,
            found[item.transaction_id],
            by_customer=by_customer or own,
            keep_fee=keep_fee,
            now=now,
        )
        for item in ours
    ]
    fee = sum((c.fee for c in costs), cancelling.NOTHING)
    if by_customer and fee and accepted_fee != fee:
        raise fee_due(cancelling.total(costs))
    if own and not keep_fee and fee:
        raise OwnTransaction("Ask a colleague, or keep the fee: nobody waives their own.")
    owing.keep_fees((item, c.fee) for item, c in zip(ours, costs, strict=True))


def fee_due(total: cancelling.Total) -> FeeDue:
    """What a customer has to agree to first."""
    return FeeDue(
        f"Cancelling now costs {total.fee} {total.currency}; {total.refund} {total.currency} would"
        " be paid back. To go on, say that you accept this fee.",
        fee=str(total.fee),
        refund=str(total.refund),
        currency=total.currency,
    )


def is_customer(actor: Actor) -> bool:
    return actor.kind == "customer"
