"""Reads, scoped to an organisation."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet, Sum

from audit.compiled import Compiled, Param
from audit.outbox import Recipient
from audit.sql import prepared_cursor
from bookings.lifecycle import BookingStatus, SlotStatus
from bookings.models import Booking, Customer, Membership, Organization, Role, Slot
from bookings.permissions import LEADERS
from bookings.selectors import Viewer, availability, bookable_slots, with_room
from payments import cancelling
from payments.cancelling import Cost, cost
from payments.lifecycle import (
    UNDECIDED,
    CartStatus,
    ItemStatus,
    LateStatus,
    PaymentMethod,
    RefundStatus,
    TransactionStatus,
)
from payments.models import (
    Cart,
    CartItem,
    CartTransaction,
    LatePayment,
    PaymentPolicy,
    Price,
    Proof,
    Refund,
)
from payments.prices import Quote, quote
from waitlist.lifecycle import OfferStatus
from waitlist.models import Offer


def price_rules(resource_ids: Iterable[uuid.UUID]) -> list[Price]:
    """Every price of some resources, with what cancelling costs there."""
    return list(_prices().filter(resource__in=set(resource_ids)))


def _prices() -> QuerySet[Price]:
    return Price.objects.select_related("resource__cancellation_policy").order_by()


def price_rules_of_slot(slot_id: uuid.UUID) -> list[Price]:
    """Every price of a slot's resource, before the slot itself is read and locked."""
    return _PRICES_OF_SLOT.run(slot=slot_id)


_PRICES_OF_SLOT = Compiled(
    lambda: _prices().filter(resource=Slot.objects.filter(pk=Param("slot")).values("resource")[:1])
)


def quotes(slots: Sequence[Slot], units: int = 1) -> dict[uuid.UUID, Quote]:
    """What one booking for ``units`` people costs in each slot; one statement."""
    rules = price_rules(s.resource_id for s in slots)
    return {s.pk: quote(s, units, rules) for s in slots}


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a booking costs, and what it would cost in another slot if it were booked today.

    ``by_time`` says whether the other slot is charged by its length.
    """

    now: Decimal
    then: Decimal
    currency: str
    then_currency: str
    by_time: bool

    @property
    def differs(self) -> bool:
        return self.now != self.then or (self.then > 0 and self.currency != self.then_currency)


def compare_prices(pairs: Sequence[tuple[Booking, Slot]]) -> dict[uuid.UUID, Comparison]:
    """The price that was frozen for each booking beside today's of its other slot; two statements.

    A booking without an item, or that was free, costs nothing.
    """
    frozen = agreed_prices(b.pk for b, _ in pairs)
    rules = price_rules(s.resource_id for _, s in pairs)
    return {booking.pk: _comparison(booking, slot, frozen, rules) for booking, slot in pairs}


Agreed = dict[uuid.UUID, tuple[Decimal | None, str]]


def agreed_prices(booking_ids: Iterable[uuid.UUID]) -> Agreed:
    """Amount and currency that were frozen for bookings; one statement."""
    rows = CartItem.objects.filter(booking__in=list(booking_ids), amount__isnull=False)
    return {
        booking_id: (amount, currency)
        for booking_id, amount, currency in rows.values_list("booking_id", "amount", "currency")
    }


def _comparison(booking: Booking, slot: Slot, frozen: Agreed, rules: Sequence[Price]) -> Comparison:
    then = quote(slot, booking.units, rules)
    amount, currency = frozen.get(booking.pk, (None, then.currency))
    return Comparison(amount or Decimal("0.00"), then.amount, currency, then.currency, then.by_time)


def concerns_line(transaction_id: uuid.UUID) -> bool:
    """Whether approving a transaction may settle anything in the waitlist, as it looks before any
    lock. Then its slots are locked before its bookings, so that nothing is passed over."""
    rows = CartItem.objects.filter(transaction=transaction_id).order_by()
    found = rows.values_list("booking__slot__waited_for", "booking__slot__resource__line")
    return any(waited_for or line for waited_for, line in found)


def policy_of(organization: Organization) -> PaymentPolicy:
    """How an organisation is paid; the defaults if it never said. Read once for an instance."""
    try:
        return organization.payment_policy
    except PaymentPolicy.DoesNotExist:
        return PaymentPolicy(organization=organization)


def open_cart(customer: Customer) -> Cart | None:
    """A customer's open cart with its items, their bookings and slots."""
    items = (
        CartItem.objects.filter(status=ItemStatus.IN_CART)
        .select_related("booking__slot__resource")
        .order_by("created_at", "pk")
    )
    return (
        Cart.objects.filter(customer=customer, status=CartStatus.OPEN)
        .prefetch_related(Prefetch("items", queryset=items, to_attr="in_cart"))
        .first()
    )


def count_items(cart: Cart) -> int:
    """How many items are in a cart."""
    with prepared_cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM payments_cartitem WHERE cart_id = %s AND status = %s",
            [cart.pk, ItemStatus.IN_CART],
        )
        return int(cursor.fetchone()[0])


def items_in_cart(cart: Cart) -> list[CartItem]:
    """The items that :func:`open_cart` has loaded."""
    items: list[CartItem] = cart.in_cart  # type: ignore[attr-defined]
    return items


def ordered_items(booking_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, CartItem]:
    """The items of bookings that were checked out, by booking, in the order of their keys."""
    rows = CartItem.objects.filter(booking__in=list(booking_ids), transaction__isnull=False)
    return {item.booking_id: item for item in rows.order_by("pk")}


def costs(
    bookings: Sequence[Booking], *, by_customer: bool = False, keep_fee: bool = False, now: datetime
) -> list[Cost]:
    """What cancelling each of these bookings now would cost, in their order; one statement.

    Args:
        bookings: with slot and resource loaded.
        by_customer, keep_fee: see ``cancelling.cost``.
    """
    rows = CartItem.objects.filter(booking__in=[b.pk for b in bookings]).select_related(
        "transaction"
    )
    items = {item.booking_id: item for item in rows}
    found = []
    for booking in bookings:
        item = items.get(booking.pk)
        found.append(
            cost(
                booking,
                item,
                item.transaction if item else None,
                by_customer=by_customer,
                keep_fee=keep_fee,
                now=now,
            )
        )
    return found


def transactions(viewer: Viewer) -> QuerySet[CartTransaction]:
    """The transactions a person may see: staff the organisation's, customers their own.

    Providers see no money but their own orders.
    """
    found = CartTransaction.objects.filter(organization=viewer.organization)
    if not viewer.is_staff or viewer.role == Role.PROVIDER:
        found = found.filter(customer=viewer.customer) if viewer.customer else found.none()
    return with_parts(found)


def with_parts(found: QuerySet[CartTransaction]) -> QuerySet[CartTransaction]:
    """Transactions with items, bookings and proofs, in three statements for any number."""
    by_hand = Refund.objects.filter(transaction=OuterRef("pk"), by_hand=True)
    return (
        found.select_related("customer", "late_payment")
        .annotate(has_given_back=Exists(by_hand))
        .prefetch_related(
            Prefetch("items", queryset=_items()),
            Prefetch("proofs", queryset=Proof.objects.order_by("uploaded_at", "pk")),
        )
    )


def _items() -> QuerySet[CartItem]:
    return CartItem.objects.select_related(
        "booking__slot__resource", "booking__customer", "booking__check_in_code", "refund"
    ).order_by("created_at", "pk")


def items_of(transaction: CartTransaction) -> list[CartItem]:
    """The items of one transaction, with their bookings; those a service has just locked are
    taken as they are, without their codes."""
    if transaction.locked_bookings is None:
        items = list(_items().filter(transaction=transaction))
    else:
        known = {b.pk: b for b in transaction.locked_bookings}
        rows = CartItem.objects.filter(transaction=transaction).select_related("refund")
        items = list(rows.order_by("created_at", "pk"))
        for item in items:
            item.booking = known[item.booking_id]
    for item in items:
        item.transaction = transaction
    return items


def to_pay(transaction: CartTransaction) -> Decimal:
    """What a transaction costs without what ended before it was paid; one statement."""
    return to_pay_of([transaction])[transaction.pk]


def to_pay_of(transactions: Collection[CartTransaction]) -> dict[uuid.UUID, Decimal]:
    """The same of several, by their primary keys; one statement."""
    items: dict[uuid.UUID, list[CartItem]] = {t.pk: [] for t in transactions}
    for item in CartItem.objects.filter(transaction__in=list(items)):
        if item.transaction_id is not None:
            items[item.transaction_id].append(item)
    return {t.pk: cancelling.to_pay(t, items[t.pk]) for t in transactions}


def asked_for(transaction: CartTransaction, bookings: Sequence[Booking]) -> Decimal:
    """The same, where all its bookings are known; no statement if none of them was cancelled."""
    if all(b.status != BookingStatus.CANCELLED for b in bookings):
        return transaction.amount
    return to_pay(transaction)


def refunds_of(transaction: CartTransaction, items: Iterable[CartItem]) -> list[Refund]:
    """What is owed back of a transaction, the oldest first: for its items, whose refunds are
    loaded, and by hand."""
    found = {i.refund.pk: i.refund for i in items if i.refund is not None}
    if transaction.given_back is None:
        load_given_back([transaction])
    found |= {r.pk: r for r in transaction.given_back or ()}
    return sorted(found.values(), key=lambda r: (r.created_at, r.pk))


def load_given_back(transactions: Iterable[CartTransaction]) -> None:
    """Read what was given back by hand of several; one statement, or none where that cannot be.

    Nothing is before a decision, and :func:`with_parts` says whether there is any.
    """
    rows = list(transactions)
    of: dict[uuid.UUID, list[Refund]] = {
        t.pk: [] for t in rows if t.status not in UNDECIDED and getattr(t, "has_given_back", True)
    }
    if of:
        by_hand = Refund.objects.filter(transaction__in=list(of), by_hand=True)
        for refund in by_hand.order_by("created_at", "pk"):
            of[refund.transaction_id].append(refund)
    for one in rows:
        one.given_back = of.get(one.pk, [])


def most_by_hand(transaction: CartTransaction) -> Decimal:
    """The most that may be given back by hand of a transaction now; three statements."""
    proofs = Proof.objects.filter(transaction=transaction).aggregate(n=Sum("amount"))
    refunds = Refund.objects.filter(transaction=transaction).exclude(status=RefundStatus.WAIVED)
    return cancelling.most_by_hand(
        transaction,
        CartItem.objects.filter(transaction=transaction),
        stated=proofs["n"] or Decimal(0),
        owed=refunds.aggregate(n=Sum("amount"))["n"] or Decimal(0),
    )


def refunds(viewer: Viewer) -> QuerySet[Refund]:
    """The refunds a person may see: staff the organisation's, customers their own.

    Providers see no money but their own.
    """
    found = Refund.objects.filter(organization=viewer.organization)
    if not viewer.may("payments.view_refund"):
        found = found.filter(customer=viewer.customer) if viewer.customer else found.none()
    return found.select_related("transaction", "customer")


def proofs_of(transaction: CartTransaction) -> list[Proof]:
    """The proofs of one transaction; and, in the same statement, what became of one that came too
    late, for :func:`late_payment_of`."""
    rows = Proof.objects.filter(transaction=transaction).order_by("uploaded_at", "pk")
    found = list(rows.select_related("transaction__late_payment"))
    late = getattr(found[0].transaction, "late_payment", None) if found else None
    CartTransaction._meta.get_field("late_payment").set_cached_value(transaction, late)
    return found


def transaction_of(viewer: Viewer, transaction_id: uuid.UUID) -> CartTransaction | None:
    """A transaction the person may see, without its parts."""
    return transactions(viewer).prefetch_related(None).filter(pk=transaction_id).first()


def owns(viewer: Viewer, transaction_id: uuid.UUID) -> bool:
    """Whether a transaction is this person's own order."""
    if viewer.customer is None:
        return False
    return CartTransaction.objects.filter(pk=transaction_id, customer=viewer.customer).exists()


def proofs(viewer: Viewer) -> QuerySet[Proof]:
    """The proofs a person may download."""
    found = Proof.objects.filter(organization=viewer.organization)
    if viewer.is_staff and viewer.role != Role.PROVIDER:
        return found
    return found.filter(customer=viewer.customer) if viewer.customer else found.none()


def uploaded_bytes(customer_id: uuid.UUID, *, since: datetime) -> int:
    """How much a customer has uploaded since then."""
    return sum(
        Proof.objects.filter(customer_id=customer_id, uploaded_at__gte=since).values_list(
            "size", flat=True
        )
    )


def belongs_to(transaction: CartTransaction, viewer: Viewer) -> bool:
    """Whether a transaction is this person's own order."""
    return viewer.customer is not None and transaction.customer_id == viewer.customer.pk


def told_of_reviews(organizations: Iterable[Organization]) -> dict[uuid.UUID, list[Recipient]]:
    """Who hears that a review is overdue: owners and managers, each in their own language; where
    there is none, the organisation itself. One statement."""
    known = {o.pk: o for o in organizations}
    found: dict[uuid.UUID, list[Recipient]] = {pk: [] for pk in known}
    leaders = Membership.objects.filter(
        organization__in=list(known), role__in=LEADERS, user__is_active=True
    )
    for member in leaders.select_related("user").order_by("user__email"):
        found[member.organization_id].append(
            Recipient(
                member.user.email,
                member.user.language,
                known[member.organization_id].time_zone,
            )
        )
    for pk, told in found.items():
        if not told and known[pk].email:
            told.append(Recipient(known[pk].email, time_zone=known[pk].time_zone))
    return found


def status_of(transaction_id: uuid.UUID) -> str | None:
    """The status of a transaction as it looks before any lock."""
    rows = CartTransaction.objects.filter(pk=transaction_id)
    return rows.values_list("status", flat=True).first()


def late_payment_of(transaction: CartTransaction) -> LatePayment | None:
    """What became of the money that came too late for a transaction, if any did.

    Only what has expired has one, so what never went further than pending, or is not paid in
    advance, costs no statement.
    """
    never = transaction.payment_method != PaymentMethod.PAY_NOW
    if never or transaction.status == TransactionStatus.PENDING:
        return None
    found: LatePayment | None = getattr(transaction, "late_payment", None)
    return found


MOST_TIMES = 24
TIMES_WITHIN = timedelta(days=7)
MOST_SLOTS = 1_000


def other_times(
    bookings: Sequence[Booking], *, now: datetime
) -> dict[uuid.UUID, list[tuple[Slot, Comparison]]]:
    """For each booking, slots of its resource that have room for it, from a week before to a week
    after its own: the nearest ones by their start, each with what it costs beside what was agreed.
    Its own is among them if it is free, or offered to its customer in line. Five statements for any
    number, and one more where somebody waits.

    Args:
        bookings: whose seats are given back; slot and resource must be loaded.
    """
    if not bookings:
        return {}
    around = Q(pk__in=[])
    for booking in bookings:
        start = booking.slot.starts_at
        around |= Q(
            resource=booking.slot.resource_id,
            starts_at__range=(start - TIMES_WITHIN, start + TIMES_WITHIN),
        )
    organization_id = bookings[0].organization_id
    offered = bookable_slots(organization_id, now=now).filter(around)
    own = Slot.objects.filter(
        pk__in=[b.slot_id for b in bookings], status=SlotStatus.OPEN, starts_at__gt=now
    ).select_related("resource")
    fewest = min(b.units for b in bookings)
    slots = {
        s.pk: s
        for s in with_room(offered, fewest, organization_id=organization_id, now=now).order_by(
            "starts_at"
        )[:MOST_SLOTS]
    }
    slots |= {s.pk: s for s in own if s.resource.is_active}
    left = availability(list(slots.values()), now=now) if slots else {}
    mine = _offered(bookings, [s for s in slots.values() if s.concerns_line], now=now)
    pairs: list[tuple[Booking, Slot]] = []
    for booking in bookings:
        start = booking.slot.starts_at
        fit = [
            slot
            for slot in slots.values()
            if slot.resource_id == booking.slot.resource_id
            and abs(slot.starts_at - start) <= TIMES_WITHIN
            and left[slot.pk].bookings + mine[booking.customer_id, slot.pk][0] > 0
            and left[slot.pk].units + mine[booking.customer_id, slot.pk][1] >= booking.units
        ]
        fit.sort(key=lambda slot: (abs(slot.starts_at - start), slot.starts_at))
        pairs += [(booking, slot) for slot in fit[:MOST_TIMES]]
    frozen = agreed_prices(b.pk for b in bookings)
    rules = price_rules(s.resource_id for s in slots.values())
    found: dict[uuid.UUID, list[tuple[Slot, Comparison]]] = {b.pk: [] for b in bookings}
    for booking, slot in sorted(pairs, key=lambda pair: pair[1].starts_at):
        found[booking.pk].append((slot, _comparison(booking, slot, frozen, rules)))
    return found


def _offered(
    bookings: Sequence[Booking], slots: Sequence[Slot], *, now: datetime
) -> dict[tuple[uuid.UUID, uuid.UUID], tuple[int, int]]:
    """How many bookings and people these customers are offered seats for in line, by customer and
    slot."""
    found: dict[tuple[uuid.UUID, uuid.UUID], tuple[int, int]] = defaultdict(lambda: (0, 0))
    if not slots:
        return found
    offers = Offer.objects.filter(
        status=OfferStatus.OPEN,
        expires_at__gt=now,
        booking__slot__in=[s.pk for s in slots],
        booking__customer__in={b.customer_id for b in bookings},
    ).order_by()
    rows = offers.values_list("booking__customer", "booking__slot", "booking__units")
    for customer_id, slot_id, units in rows:
        bookings_so_far, units_so_far = found[customer_id, slot_id]
        found[customer_id, slot_id] = (bookings_so_far + 1, units_so_far + units)
    return found


def late_payments(organization_ids: set[uuid.UUID] | None) -> Q:
    """The condition of late payments that wait for a decision."""
    condition = Q(status=LateStatus.OPEN)
    if organization_ids is not None:
        condition &= Q(organization_id__in=organization_ids)
    return condition


def waiting_for_review(organization_ids: set[uuid.UUID] | None) -> Q:
    """The condition of the review queue."""
    condition = Q(status="under_review")
    if organization_ids is not None:
        condition &= Q(organization_id__in=organization_ids)
    return condition
