"""Shapes of requests and answers, for the OpenAPI document; see ``bookings/api``."""

from __future__ import annotations

from drf_spectacular.utils import inline_serializer
from rest_framework import serializers

from bookings.api.serializers import BookedSlot, BookingCustomer, BookingSerializer, Page, Reason
from bookings.lifecycle import SlotStatus
from payments.lifecycle import (
    LateStatus,
    PaymentMethod,
    PaymentStatus,
    ProofStatus,
    RefundStatus,
    RefundWay,
    TransactionStatus,
)
from payments.models import Proof
from payments.services.carts import MOST_UNITS
from payments.services.series import MOST_MINUTES, MOST_TIMES, MOST_WEEKS, Outcome
from waitlist.api.serializers import WaitlistEntrySerializer


class Money(serializers.DecimalField):
    """An amount as a decimal string."""

    def __init__(self, **kwargs: object) -> None:
        super().__init__(max_digits=12, decimal_places=2, **kwargs)  # type: ignore[arg-type]


class CancellationTerms(serializers.Serializer):
    possible_until = serializers.DateTimeField(
        allow_null=True, help_text="For customers; null: only the staff cancel it."
    )
    free_until = serializers.DateTimeField(
        allow_null=True, help_text="Inclusive; null: as long as it is possible."
    )
    late_fee = Money(help_text="Kept after that, of what was paid.")


class SlotSerializer(BookedSlot):
    status = serializers.ChoiceField(choices=SlotStatus.choices)
    bookable = serializers.BooleanField(
        help_text="Neither too soon nor too far ahead for customers; staff may overrule that."
    )
    capacity = serializers.IntegerField(help_text="People that fit in.")
    max_bookings = serializers.IntegerField()
    available_units = serializers.IntegerField(help_text="People that still fit in.")
    available_bookings = serializers.IntegerField()
    price = Money(help_text="Of one booking for as many people as `units` says.")
    currency = serializers.CharField(min_length=3, max_length=3)
    cancellation = CancellationTerms(help_text="Of one booking at this price.")


class SlotPage(Page):
    results = SlotSerializer(many=True)


class FreeTimeSerializer(serializers.Serializer):
    starts_at = serializers.DateTimeField(help_text="UTC.")
    ends_at = serializers.DateTimeField(help_text="UTC.")
    price = Money(help_text="Of one booking for as many people as `units` says.")
    currency = serializers.CharField(min_length=3, max_length=3)


class FreeTimesSerializer(serializers.Serializer):
    minutes = serializers.IntegerField(help_text="How long each is.")
    time_zone = serializers.CharField(help_text="The resource's.")
    starts = serializers.ListField(
        child=serializers.DateTimeField(), help_text="When it can be started, in order. UTC."
    )
    times = FreeTimeSerializer(many=True, help_text="The same, each with what it costs.")


class TimeRequest(serializers.Serializer):
    """Either a slot, or a time of a resource that is booked at free times."""

    slot = serializers.UUIDField(
        required=False, allow_null=True, help_text="A slot; or else the three below."
    )
    resource = serializers.UUIDField(
        required=False, allow_null=True, help_text="One that is booked at free times."
    )
    starts_at = serializers.DateTimeField(required=False, allow_null=True)
    minutes = serializers.IntegerField(
        min_value=1, max_value=MOST_MINUTES, required=False, allow_null=True, help_text="How long."
    )


class ItemRequest(TimeRequest):
    units = serializers.IntegerField(
        min_value=1, max_value=MOST_UNITS, default=1, help_text="People."
    )


class ItemPrice(serializers.Serializer):
    name = serializers.CharField(
        allow_blank=True, help_text="By time, of all prices that count in it: Day + Evening."
    )
    unit_price = Money(help_text="By time, the sum for all of the time.")
    quantity = serializers.IntegerField(
        help_text="People; 1 where the price is per booking or by time."
    )
    discount = Money()
    tax = Money(help_text="Within the amount.")


class ItemSerializer(serializers.Serializer):
    id = serializers.UUIDField()
    booking = serializers.UUIDField()
    slot = BookedSlot()
    units = serializers.IntegerField()
    hold_expires_at = serializers.DateTimeField(
        help_text="Past it, the seats are free for whoever asks next."
    )
    price = ItemPrice(help_text="As of now; it is frozen at checkout.")
    amount = Money()
    currency = serializers.CharField(min_length=3, max_length=3)
    cancellation = CancellationTerms(help_text="As of now; frozen at checkout, like the price.")


class Total(serializers.Serializer):
    currency = serializers.CharField(min_length=3, max_length=3)
    amount = Money()


class CartSerializer(serializers.Serializer):
    items = ItemSerializer(many=True)
    totals = Total(many=True, help_text="One line per currency.")


class CheckoutRequest(serializers.Serializer):
    payment_method = serializers.ChoiceField(choices=PaymentMethod.choices)
    note = serializers.CharField(max_length=2000, required=False, allow_blank=True, allow_null=True)


class BookRequest(CheckoutRequest, TimeRequest):
    units = serializers.IntegerField(
        min_value=1, max_value=MOST_UNITS, default=1, help_text="People."
    )


class RescheduleRequest(TimeRequest):
    """Where to: a slot, or a time of a resource that is booked at free times."""

    reason = serializers.CharField(
        max_length=500, required=False, allow_blank=True, allow_null=True
    )
    accept_price = serializers.BooleanField(
        required=False, help_text="Staff: the booking keeps its price where the slot has another."
    )


class ProposeRequest(TimeRequest):
    """What is proposed: a slot, or a time of a resource that is booked at free times."""

    message = serializers.CharField(
        max_length=500, required=False, allow_blank=True, allow_null=True, help_text="To read."
    )
    accept_price = serializers.BooleanField(
        required=False, help_text="The booking keeps its price where the slot has another."
    )


class PricedBooking(BookingSerializer):
    transaction = serializers.UUIDField(allow_null=True)
    amount = Money(allow_null=True, help_text="Frozen at checkout.")
    currency = serializers.CharField(allow_null=True, min_length=3, max_length=3)
    fee = Money(help_text="Kept when it was cancelled.")
    refund = Money(allow_null=True, help_text="The part of a refund that is for it.")
    cancellation = CancellationTerms(
        allow_null=True,
        help_text="As it was agreed, and as moves have left it; null before checkout and once it is"
        " over. Who moves their own booking gets new deadlines, but one that has passed does not"
        " come back; if the house moves it, the later of both counts.",
    )


class BookingPage(Page):
    results = PricedBooking(many=True)


class ProofSerializer(serializers.Serializer):
    id = serializers.UUIDField()
    transaction = serializers.UUIDField()
    booking = serializers.UUIDField(allow_null=True, help_text="If it is for one booking alone.")
    status = serializers.ChoiceField(choices=ProofStatus.choices)
    amount = Money(allow_null=True)
    reference = serializers.CharField(allow_blank=True)
    original_name = serializers.CharField()
    content_type = serializers.ChoiceField(choices=Proof.ContentType.choices)
    size = serializers.IntegerField(help_text="Bytes.")
    uploaded_at = serializers.DateTimeField()
    file = serializers.CharField(help_text="Where it is downloaded, with the same sign-in.")


class ProofRequest(serializers.Serializer):
    file = serializers.FileField(help_text="JPEG, PNG, WebP or PDF.")
    amount = Money(required=False)
    reference = serializers.CharField(max_length=100, required=False, allow_blank=True)


class LatePaymentSerializer(serializers.Serializer):
    status = serializers.ChoiceField(choices=LateStatus.choices)
    reason = serializers.CharField(allow_blank=True, help_text="Why the seats are gone.")
    created_at = serializers.DateTimeField(help_text="When the proof came too late.")
    resolved_at = serializers.DateTimeField(allow_null=True, help_text="When staff decided.")


class CancelRequest(Reason):
    fee = Money(
        required=False,
        allow_null=True,
        help_text="Customers: the fee they were shown and accept, where there is one.",
    )
    keep_fee = serializers.BooleanField(
        required=False, allow_null=True, help_text="Staff: keep what a customer would pay now."
    )


class CancellationPart(serializers.Serializer):
    may_cancel = serializers.BooleanField()
    problem = serializers.CharField(
        allow_null=True, help_text="The code that cancelling would be refused with."
    )
    reason = serializers.CharField(allow_blank=True, help_text="The same in words.")
    fee = Money(help_text="What would be kept of what was paid.")
    refund = Money(help_text="What would be owed back.")
    currency = serializers.CharField(allow_null=True, min_length=3, max_length=3)
    verified = serializers.BooleanField(
        help_text="The money has been seen. While a proof is under review, a refund depends on it."
    )


class CancellationOfBooking(CancellationPart):
    booking = serializers.UUIDField()
    possible_until = serializers.DateTimeField(
        allow_null=True, help_text="For its customer; null: only the staff cancel it."
    )
    free_until = serializers.DateTimeField(
        allow_null=True, help_text="Inclusive; null: as long as it is possible."
    )
    late_fee = Money(help_text="Kept after that, of what was paid.")


class CancellationOfTransaction(CancellationPart):
    transaction = serializers.UUIDField()
    bookings = CancellationOfBooking(many=True, help_text="Those that are live.")


class RefundSerializer(serializers.Serializer):
    id = serializers.UUIDField()
    transaction = serializers.UUIDField()
    amount = Money()
    currency = serializers.CharField(min_length=3, max_length=3)
    way = serializers.ChoiceField(choices=RefundWay.choices)
    status = serializers.ChoiceField(choices=RefundStatus.choices)
    verified = serializers.BooleanField(
        help_text="The money has been seen; false while only a proof says that it came."
    )
    by_hand = serializers.BooleanField(
        help_text="Staff saw more money than was to be paid, and noted it; no booking is named."
    )
    reason = serializers.CharField(allow_blank=True, help_text="Why it is owed.")
    created_at = serializers.DateTimeField(help_text="Owed since.")
    settled_at = serializers.DateTimeField(allow_null=True)
    settled_by = serializers.CharField(allow_null=True, help_text="For staff only.")
    reference = serializers.CharField(allow_blank=True, help_text="Of the transfer or the credit.")
    note = serializers.CharField(allow_blank=True, help_text="Why it was waived; for staff only.")


class RefundOfCustomer(RefundSerializer):
    transaction_reference = serializers.CharField()
    customer = BookingCustomer()


class RefundPage(Page):
    results = RefundOfCustomer(many=True)


class SettleRequest(serializers.Serializer):
    reference = serializers.CharField(max_length=100, help_text="Of the transfer; it is told.")


class WaiveRequest(serializers.Serializer):
    note = serializers.CharField(
        max_length=500, help_text="Why it is not paid back; the customer is told."
    )


class ReopenRequest(serializers.Serializer):
    reason = serializers.CharField(max_length=500, help_text="Why; the customer is told.")


class GiveBackRequest(serializers.Serializer):
    amount = Money(help_text="At most what can have been paid besides what it was for.")
    reason = serializers.CharField(max_length=500, help_text="Why; the customer is told.")


class RejectRequest(Reason):
    refund = serializers.BooleanField(
        required=False,
        allow_null=True,
        help_text="The money has arrived all the same: owe all of it back.",
    )


class TransactionInList(serializers.Serializer):
    id = serializers.UUIDField()
    reference = serializers.CharField(help_text="What to write on the transfer.")
    status = serializers.ChoiceField(choices=TransactionStatus.choices)
    payment_method = serializers.ChoiceField(choices=PaymentMethod.choices)
    payment_status = serializers.ChoiceField(choices=PaymentStatus.choices)
    amount = Money(help_text="What it was made over, with tax and less discount.")
    amount_due = Money(
        help_text="Still to be paid: without what was cancelled before, and 0 once it is paid or over."
    )
    tax = Money()
    discount = Money()
    currency = serializers.CharField(min_length=3, max_length=3)
    note = serializers.CharField(allow_blank=True)
    customer = BookingCustomer()
    due_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()
    submitted_at = serializers.DateTimeField(allow_null=True, help_text="Under review since.")
    review_due_at = serializers.DateTimeField(
        allow_null=True, help_text="For staff only: when managers are told that it waits too long."
    )
    paid_at = serializers.DateTimeField(allow_null=True)
    decided_at = serializers.DateTimeField(allow_null=True)
    decided_by = serializers.CharField(allow_null=True, help_text="For staff only.")
    decision_reason = serializers.CharField(allow_blank=True)
    ended_at = serializers.DateTimeField(allow_null=True)
    late_payment = LatePaymentSerializer(
        allow_null=True, help_text="If a proof came after it had expired, and the seats were gone."
    )
    version = serializers.IntegerField(help_text="Counts changes; the ETag says the same.")
    bookings = PricedBooking(many=True)
    proofs = ProofSerializer(many=True)
    refunds = RefundSerializer(many=True)


class TransactionSerializer(TransactionInList):
    payment_instructions = serializers.CharField(
        allow_blank=True, help_text="How to pay, while something is to be paid in advance."
    )


class TransactionPage(Page):
    results = TransactionInList(many=True)


class PaymentNote(serializers.Serializer):
    note = serializers.CharField(max_length=500, required=False, allow_blank=True, allow_null=True)


class SeriesRequest(serializers.Serializer):
    resource = serializers.UUIDField()
    starts_at = serializers.DateTimeField(
        help_text="The first start. The others are at the same hour of the resource's clock."
    )
    minutes = serializers.IntegerField(
        min_value=1,
        max_value=MOST_MINUTES,
        required=False,
        allow_null=True,
        help_text="How long; as long as the slot that starts first, if it is left out.",
    )
    every_weeks = serializers.IntegerField(min_value=1, max_value=MOST_WEEKS, default=1)
    times = serializers.IntegerField(min_value=1, max_value=MOST_TIMES)
    units = serializers.IntegerField(
        min_value=1, max_value=MOST_UNITS, default=1, help_text="People."
    )


class BookSeriesRequest(SeriesRequest):
    payment_method = serializers.ChoiceField(choices=PaymentMethod.choices)
    all_or_nothing = serializers.BooleanField(
        default=True, help_text="Book every date or none; if false, those that are free."
    )
    note = serializers.CharField(max_length=2000, required=False, allow_blank=True, allow_null=True)
    customer = serializers.UUIDField(
        required=False, allow_null=True, help_text="Staff: for whom; left out, for oneself."
    )
    overriding = serializers.CharField(
        max_length=1000,
        required=False,
        allow_blank=True,
        allow_null=True,
        help_text="Staff, for a customer: why the booking rules do not count this time.",
    )


class SeriesDate(serializers.Serializer):
    date = serializers.DateField(help_text="Of the resource's time zone.")
    starts_at = serializers.DateTimeField(
        allow_null=True, help_text="Null where the clock is put forward over this hour."
    )
    outcome = serializers.ChoiceField(
        choices=[(str(o), str(o)) for o in Outcome],
        help_text="What there is on this date, or what became of it. `taken`: by another booking of"
        " the resource, or of something it needs.",
    )
    slot = serializers.UUIDField(allow_null=True)
    booking = serializers.UUIDField(allow_null=True)


class SeriesPreview(serializers.Serializer):
    dates = SeriesDate(many=True)


class SeriesSerializer(serializers.Serializer):
    id = serializers.UUIDField()
    resource = serializers.UUIDField()
    resource_name = serializers.CharField()
    time_zone = serializers.CharField()
    customer = BookingCustomer()
    starts_at = serializers.DateTimeField(help_text="The first start.")
    ends_at = serializers.DateTimeField(help_text="The first end.")
    every_weeks = serializers.IntegerField()
    times = serializers.IntegerField(help_text="As often as was asked for.")
    units = serializers.IntegerField()
    created_at = serializers.DateTimeField()


class SeriesPage(Page):
    results = SeriesSerializer(many=True)


class SeriesMade(SeriesSerializer):
    transaction = serializers.UUIDField()
    dates = SeriesDate(many=True)


class SeriesDetail(SeriesSerializer):
    bookings = PricedBooking(many=True)


# ``from`` is no name for an attribute of a class.
CancelSeriesRequest = inline_serializer(
    "CancelSeriesRequest",
    {
        "reason": serializers.CharField(
            max_length=1000, help_text="Why; it is kept, and the other side reads it."
        ),
        "from": serializers.UUIDField(
            required=False, allow_null=True, help_text="The first booking that is cancelled."
        ),
        "fee": Money(
            required=False,
            allow_null=True,
            help_text="Customers: the fee of all of them that they were shown and accept.",
        ),
        "keep_fee": serializers.BooleanField(
            required=False, allow_null=True, help_text="Staff: keep what a customer would pay now."
        ),
    },
)


class SeriesCancelled(serializers.Serializer):
    cancelled = serializers.ListField(child=serializers.UUIDField())
    too_late = serializers.ListField(
        child=serializers.UUIDField(),
        help_text="Bookings whose deadline for customers has passed; they stay.",
    )


class AcceptedOffer(WaitlistEntrySerializer):
    item = ItemSerializer(allow_null=True, help_text="In the cart, to be checked out.")
    transaction = TransactionInList(
        allow_null=True, help_text="Where nothing was to be paid: what was booked at once."
    )
