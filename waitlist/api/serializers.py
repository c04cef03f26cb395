"""Shapes of requests and answers, for the OpenAPI document; see ``bookings/api``."""

from __future__ import annotations

from rest_framework import serializers

from bookings.api.serializers import BookedSlot, BookingCustomer, Page
from waitlist.lifecycle import EntryStatus
from waitlist.services.joining import MOST_UNITS
from waitlist.services.line import LONGEST_REASON


class WaitlistRequest(serializers.Serializer):
    """Either a full slot, or any time of a resource in which everything is full."""

    slot = serializers.UUIDField(
        required=False, allow_null=True, help_text="A slot; or else the three below."
    )
    resource = serializers.UUIDField(
        required=False, allow_null=True, help_text="For any slot of it that lies in between:"
    )
    # ``from`` is no name for an attribute of a class.
    locals()["from"] = serializers.DateTimeField(required=False, allow_null=True)
    until = serializers.DateTimeField(
        required=False, allow_null=True, help_text="At most 92 days after `from`."
    )
    units = serializers.IntegerField(
        min_value=1, max_value=MOST_UNITS, default=1, help_text="People, who stay together."
    )


class WaitlistOfferSerializer(serializers.Serializer):
    slot = BookedSlot(help_text="Its seats are held until the offer is answered or runs out.")
    answer_until = serializers.DateTimeField()
    booking = serializers.UUIDField(help_text="The booking that holds them.")
    price = serializers.DecimalField(
        max_digits=12,
        decimal_places=2,
        allow_null=True,
        help_text="Of all its people, as of now; it is frozen at checkout.",
    )
    currency = serializers.CharField(allow_null=True, min_length=3, max_length=3)


class WaitlistEntrySerializer(serializers.Serializer):
    id = serializers.UUIDField()
    customer = BookingCustomer()
    resource = serializers.UUIDField()
    resource_name = serializers.CharField()
    time_zone = serializers.CharField(help_text="Where it takes place.")
    slot = BookedSlot(allow_null=True, help_text="What they wait for; null: for any time,")
    locals()["from"] = serializers.DateTimeField(allow_null=True, help_text="from then")
    until = serializers.DateTimeField(allow_null=True, help_text="until then.")
    units = serializers.IntegerField(help_text="People, who are offered seats together.")
    status = serializers.ChoiceField(choices=EntryStatus.choices)
    position = serializers.IntegerField(
        allow_null=True,
        help_text="Counted from 1, while waiting. Somebody further back is offered seats earlier"
        " if they are too few for those before.",
    )
    joined_at = serializers.DateTimeField()
    passed_over = serializers.IntegerField(
        help_text="How often somebody further back was offered seats."
    )
    passed_over_reason = serializers.CharField(allow_blank=True, help_text="Why, the last time.")
    offer = WaitlistOfferSerializer(allow_null=True, help_text="That waits for an answer.")
    booking = serializers.UUIDField(
        allow_null=True, help_text="What became of the offer that was accepted."
    )
    ended_at = serializers.DateTimeField(allow_null=True)
    ended_reason = serializers.CharField(allow_blank=True)
    version = serializers.IntegerField(help_text="Counts changes; the ETag says the same.")


class WaitlistPage(Page):
    results = WaitlistEntrySerializer(many=True)


class DeclineOfferRequest(serializers.Serializer):
    reason = serializers.CharField(
        max_length=LONGEST_REASON, required=False, allow_blank=True, allow_null=True
    )
