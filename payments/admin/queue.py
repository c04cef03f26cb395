"""Reads of the review queue and of the page on which a transaction is decided (A4, A5, F3)."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import (
    Case,
    Count,
    F,
    Min,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Sum,
    Value,
    When,
)
from django.db.models.functions import Coalesce, Now
from django.utils.translation import gettext

from audit.admin.timeline import Line, timeline
from audit.history import trail_of
from bookings.admin import show as show_bookings
from bookings.permissions import organizations_with
from payments import cancelling, selectors, transitions
from payments.admin import show, words
from payments.lifecycle import UNDECIDED, ItemStatus, PaymentMethod, ProofStatus, TransactionStatus
from payments.models import CartItem, CartTransaction, Proof
from payments.selectors import refunds_of, waiting_for_review, with_parts

APPROVE = "payments.approve_carttransaction"
LONG_WAIT = timedelta(hours=12)
EARLIER = 6


def queue(user: Any, *, requests: bool = False) -> QuerySet[CartTransaction]:
    """What waits for this person's decision: what is overdue first, then what is due first; of
    requests, what expires first.

    Args:
        requests: those that wait without a proof (paid on arrival, or free), instead of the
            proofs of payment under review.
    """
    mine = organizations_with(user, APPROVE)
    if not requests:
        return CartTransaction.objects.filter(waiting_for_review(mine)).order_by(*in_turn())
    condition = Q(
        status=TransactionStatus.PENDING,
        payment_method__in=[PaymentMethod.PAY_ON_ARRIVAL, PaymentMethod.FREE],
    )
    if mine is not None:
        condition &= Q(organization_id__in=mine)
    return CartTransaction.objects.filter(condition).order_by("due_at", "pk")


def in_turn() -> tuple[Any, ...]:
    """The order of reviews: those overdue by how long they wait, then the others by when they are
    due. Nothing is due any more once the managers were told, but when they are told again."""
    overdue = Q(escalations__gt=0) | Q(review_due_at__lte=Now())
    return (
        Case(When(overdue, then=Value(0)), default=Value(1)),
        Case(When(overdue, then=F("submitted_at")), default=F("review_due_at")),
        "pk",
    )


def is_overdue(one: CartTransaction, *, now: datetime) -> bool:
    """Whether a proof waits longer than its organisation allows."""
    return one.review_due_at is not None and (one.escalations > 0 or one.review_due_at <= now)


def overdue_reviews(now: datetime) -> Q:
    """The condition of the same."""
    return Q(status=TransactionStatus.UNDER_REVIEW) & (
        Q(escalations__gt=0) | Q(review_due_at__lte=now)
    )


def with_figures(found: QuerySet[CartTransaction]) -> QuerySet[Any]:
    """Transactions with what their rows in a list say, in one statement for any number."""
    items = CartItem.objects.filter(transaction=OuterRef("pk")).order_by().values("transaction")
    proofs = (
        Proof.objects.filter(transaction=OuterRef("pk"), status=ProofStatus.SUBMITTED)
        .order_by()
        .values("transaction")
    )
    return found.select_related("customer", "organization__payment_policy").annotate(
        item_count=Coalesce(Subquery(items.annotate(n=Count("pk")).values("n")), 0),
        first_start=Subquery(items.annotate(n=Min("booking__slot__starts_at")).values("n")),
        proof_count=Coalesce(Subquery(proofs.annotate(n=Count("pk")).values("n")), 0),
        stated=Subquery(proofs.annotate(n=Sum("amount")).values("n")),
        not_due=Coalesce(
            Subquery(
                items.filter(
                    status__in=[ItemStatus.CANCELLED, ItemStatus.EXPIRED],
                    refund__isnull=True,
                    fee=0,
                )
                .annotate(n=Sum("amount"))
                .values("n")
            ),
            Decimal(0),
        ),
    )


@dataclass(frozen=True, slots=True)
class Stated:
    """What the customer says they paid, against what is to be paid."""

    expected: str
    stated: str
    difference: str
    kind: str  # match, more, less or unknown


def compare(transaction: CartTransaction, due: Decimal, stated: Decimal | None) -> Stated:
    expected = show.money(due, transaction.currency)
    if stated is None:
        return Stated(expected, "", "", "unknown")
    difference = stated - due
    kind = "match" if not difference else "more" if difference > 0 else "less"
    shown = show.money(abs(difference), transaction.currency)
    return Stated(expected, show.money(stated, transaction.currency), shown, kind)


@dataclass(frozen=True, slots=True)
class QueueRow:
    """One line of the queue, ready to be shown."""

    transaction: Any
    waiting: str
    late: bool
    amount: Stated
    first_start: str
    deadline: str


def rows(page: Sequence[Any], *, now: datetime) -> list[QueueRow]:
    found = []
    for one in page:
        since = one.submitted_at or one.created_at
        found.append(
            QueueRow(
                transaction=one,
                waiting=show_bookings.ago(since, now=now),
                late=is_overdue(one, now=now) or now - since > LONG_WAIT,
                amount=compare(one, one.amount - one.not_due, one.stated),
                first_start=show_bookings.when(one.first_start),
                deadline=deadline(one, one.first_start, now=now),
            )
        )
    return found


def deadline(one: CartTransaction, first_start: datetime | None, *, now: datetime) -> str:
    """By when somebody decides, in plain words, and when a request expires; the policy must be
    loaded.

    Args:
        first_start: of its bookings.
    """
    if one.review_due_at is None:
        return ""
    words = _decision_due(one, first_start, now=now)
    if one.status != TransactionStatus.PENDING or one.due_at is None or one.due_at <= now:
        return words
    return gettext("%(due)s, expires in %(time)s") % {
        "due": words,
        "time": show_bookings.ago(now, now=one.due_at),
    }


def _decision_due(one: CartTransaction, first_start: datetime | None, *, now: datetime) -> str:
    assert one.review_due_at is not None
    if not is_overdue(one, now=now):
        return gettext("due in %s") % show_bookings.ago(now, now=one.review_due_at)
    if not one.escalations:
        return gettext("overdue since %s") % show_bookings.when(one.review_due_at)
    hours = selectors.policy_of(one.organization).review_hours
    since: datetime | None = one.review_due_at
    if one.submitted_at is not None:
        starts = [first_start] if first_start else []
        since = transitions.review_due_at(starts, hours=hours, since=one.submitted_at)
    elif one.due_at is not None:
        since = transitions.request_due_at(
            one.payment_method, hours=hours, since=one.created_at, due=one.due_at
        )
    told = {1: gettext("managers told once"), 2: gettext("managers told twice")}
    return gettext("overdue since %(since)s, %(told)s") % {
        "since": show_bookings.when(since),
        "told": told.get(one.escalations, gettext("managers told %d times") % one.escalations),
    }


def position(user: Any, transaction: CartTransaction) -> tuple[int, CartTransaction | None]:
    """How many wait for this person, and the one after this in the queue; one statement."""
    requests = transaction.submitted_at is None
    waiting = list(queue(user, requests=requests).only("pk", "created_at")[:500])
    others = [t for t in waiting if t.pk != transaction.pk]
    place = next((n for n, t in enumerate(waiting) if t.pk == transaction.pk), len(waiting))
    after = waiting[place + 1 :]
    return len(others), next(iter(after or others), None)


def detail(transaction_id: uuid.UUID, *, now: datetime) -> dict[str, Any]:
    """Everything on the page of one transaction; the number of statements does not grow."""
    found: Any = with_parts(
        CartTransaction.objects.filter(pk=transaction_id).select_related(
            "organization__payment_policy", "customer__user"
        )
    ).get()
    proofs = list(found.proofs.all())
    submitted = [p for p in proofs if p.status == ProofStatus.SUBMITTED]
    stated = [p.amount for p in (submitted or proofs) if p.amount is not None]
    again = _seen_before(found, proofs)
    items = list(found.items.all())
    return {
        "transaction": found,
        "undecided": found.status in UNDECIDED,
        "status": show.status_badge(found),
        "payment": show.payment_badge(found),
        "amount": compare(
            found, cancelling.to_pay(found, items), sum(stated, Decimal(0)) if stated else None
        ),
        "tax": show.money(found.tax, found.currency) if found.tax else "",
        "discount": show.money(found.discount, found.currency) if found.discount else "",
        "waiting": show_bookings.ago(found.submitted_at or found.created_at, now=now),
        "made": show_bookings.when(found.created_at),
        "due": show_bookings.when(found.due_at) if found.due_at else "",
        "deadline": deadline(
            found, min((i.booking.slot.starts_at for i in items), default=None), now=now
        ),
        "review_overdue": is_overdue(found, now=now),
        "overdue": bool(found.due_at and found.due_at < now),
        "decided": show_bookings.when(found.decided_at) if found.decided_at else "",
        "ended": show_bookings.when(found.ended_at) if found.ended_at else "",
        "paid": show_bookings.when(found.paid_at) if found.paid_at else "",
        "items": [
            {
                "booking": item.booking,
                "resource": item.booking.slot.resource.name,
                "time": show_bookings.slot_time(item.booking.slot),
                "started": item.booking.slot.starts_at <= now,
                "people": show_bookings.people(item.booking.units),
                "status": show_bookings.booking_badge(item.booking),
                "price": show.money(item.amount, item.currency),
                "fee": show.money(item.fee, item.currency) if item.fee else "",
                "terms": words.until_when(item, now=now),
            }
            for item in items
        ],
        "proofs": [
            {
                "proof": proof,
                "status": show.proof_badge(proof),
                "amount": show.money(proof.amount, found.currency) if proof.amount else "",
                "uploaded": show_bookings.when(proof.uploaded_at),
                "booking": next(
                    (i.booking.reference for i in items if i.booking_id == proof.booking_id), ""
                ),
                "again": again.get(proof.sha256, []),
            }
            for proof in proofs
        ],
        "proof_count": len(proofs),
        "late_payment": getattr(found, "late_payment", None),
        "refunds": [
            {
                "refund": refund,
                "amount": show.money(refund.amount, refund.currency),
                "status": show.refund_badge(refund),
                "since": show_bookings.when(refund.created_at),
                "settled": show_bookings.when(refund.settled_at) if refund.settled_at else "",
            }
            for refund in refunds_of(found, items)
        ],
        "cancelling": _cancelling(found, items, now=now),
        "earlier": _earlier(found),
        "proof_required": getattr(
            getattr(found.organization, "payment_policy", None), "proof_required", True
        ),
    }


def _cancelling(
    found: CartTransaction, items: Sequence[CartItem], *, now: datetime
) -> dict[str, str]:
    """What becomes of the money if all that is live is cancelled now."""
    costs = [
        cancelling.cost(item.booking, item, found, by_customer=False, keep_fee=True, now=now)
        for item in items
        if cancelling.is_live(item.booking)
    ]
    sums = cancelling.total(costs)
    return {
        "back": words.what_is_paid_back(costs),
        "keep": words.what_is_kept(costs) if sums.fee else "",
    }


def _seen_before(found: CartTransaction, proofs: Sequence[Proof]) -> dict[str, list[Proof]]:
    """Proofs of other transactions with the very same file."""
    again: dict[str, list[Proof]] = {}
    if proofs:
        others = (
            Proof.objects.filter(
                organization_id=found.organization_id, sha256__in={p.sha256 for p in proofs}
            )
            .exclude(transaction=found)
            .select_related("transaction")
        )
        for other in others[:20]:
            again.setdefault(other.sha256, []).append(other)
    return again


def _earlier(found: CartTransaction) -> list[dict[str, Any]]:
    others = (
        CartTransaction.objects.filter(customer_id=found.customer_id)
        .exclude(pk=found.pk)
        .order_by("-created_at")[:EARLIER]
    )
    return [
        {
            "transaction": other,
            "made": show_bookings.when(other.created_at),
            "amount": show.money(other.amount, other.currency),
            "status": show.status_badge(other),
        }
        for other in others
    ]


def changes_since(transaction: CartTransaction, version: int) -> list[Line]:
    """What happened to a transaction after somebody read this version of it, newest first."""
    trail: Any = trail_of(CartTransaction)
    count = trail.objects.filter(id=transaction.pk, version__gt=version).count()
    return timeline(transaction, hidden=("version",))[0][:count] if count else []
