"""Shapes of requests and answers, for the OpenAPI document.

Answers are built by ``representations.py`` and requests are read by ``audit.api.fields``;
tests compare both with what is written here.
"""

from __future__ import annotations

from django.conf import settings
from rest_framework import serializers

from bookings.lifecycle import BookingStatus
from bookings.models import Resource, Role


class Page(serializers.Serializer):
    """Links of a page; follow them as they are."""

    next = serializers.URLField(allow_null=True, help_text="The next page, if there is one.")
    previous = serializers.URLField(allow_null=True, help_text="The page before, if there is one.")


class BookingRulesSerializer(serializers.Serializer):
    notice_minutes = serializers.IntegerField(
        help_text="How long before the start customers may still book."
    )
    horizon_days = serializers.IntegerField(help_text="How many days ahead customers may book.")
    grid_minutes = serializers.IntegerField(
        help_text="Where times are free: how often a booking may start, from opening on."
    )
    shortest_minutes = serializers.IntegerField(help_text="Where times are free.")
    longest_minutes = serializers.IntegerField(help_text="Where times are free.")
    most_live_bookings = serializers.IntegerField(
        allow_null=True, help_text="Of one customer at a time; null: no limit."
    )
    customers_may_cancel = serializers.BooleanField(
        help_text="If not, only the staff cancel what is confirmed."
    )
    cancel_until_minutes = serializers.IntegerField(
        help_text="Until how long before the start customers may cancel."
    )
    reschedule_until_minutes = serializers.IntegerField(
        help_text="Until how long before the start customers may reschedule."
    )
    needs_approval = serializers.BooleanField(help_text="Staff confirm each booking.")


class ResourceSerializer(serializers.Serializer):
    id = serializers.UUIDField()
    name = serializers.CharField()
    kind = serializers.ChoiceField(choices=Resource.Kind.choices)
    description = serializers.CharField(allow_blank=True)
    time_zone = serializers.CharField(help_text="An IANA name, such as Europe/Berlin.")
    exclusive = serializers.BooleanField(
        help_text="At most one booking at a time, like a court or a doctor."
    )
    mode = serializers.ChoiceField(
        choices=Resource.Mode.choices,
        help_text="Booked in fixed slots (slots/) or at free times (resources/{id}/free-times/).",
    )
    takes_waitlist = serializers.BooleanField(
        help_text="Whether customers can wait in line where it is full (waitlist/)."
    )
    rules = BookingRulesSerializer(help_text="What customers may ask for; staff may go beyond.")


class ResourcePage(Page):
    results = ResourceSerializer(many=True)


class AvailableDay(serializers.Serializer):
    resource = serializers.UUIDField()
    date = serializers.DateField(help_text="A day of the resource's time zone.")
    slots = serializers.IntegerField(help_text="That start on this day and can be booked.")
    available = serializers.IntegerField(help_text="Of these, with room for `units`.")
    first_available = serializers.DateTimeField(
        allow_null=True, help_text="When the first of these starts. UTC."
    )


class AvailabilitySerializer(serializers.Serializer):
    results = AvailableDay(many=True)


class BookedSlot(serializers.Serializer):
    id = serializers.UUIDField()
    starts_at = serializers.DateTimeField(help_text="UTC.")
    ends_at = serializers.DateTimeField(help_text="UTC.")
    time_zone = serializers.CharField(help_text="Where it takes place.")
    resource = serializers.UUIDField()
    resource_name = serializers.CharField()


class BookingCustomer(serializers.Serializer):
    id = serializers.UUIDField()
    name = serializers.CharField(allow_blank=True)


class ProposalSerializer(serializers.Serializer):
    slot = BookedSlot(help_text="The proposed time; its seats are held.")
    answer_until = serializers.DateTimeField()
    message = serializers.CharField(allow_blank=True)
    terms = serializers.CharField(
        allow_blank=True,
        help_text="What stays as it was agreed when the customer accepts: that the booking keeps"
        " its price where that time costs something else. Empty where nothing differs.",
    )


class BookingSerializer(serializers.Serializer):
    id = serializers.UUIDField()
    reference = serializers.CharField(help_text="What people say over the phone.")
    status = serializers.ChoiceField(choices=BookingStatus.choices)
    units = serializers.IntegerField(help_text="People.")
    slot = BookedSlot()
    customer = BookingCustomer()
    check_in_code = serializers.CharField(
        allow_null=True,
        help_text="What its QR code says; only for its customer, once confirmed. Answers to POST"
        " are kept for retries and leave it out: read the booking.",
    )
    hold_expires_at = serializers.DateTimeField(
        allow_null=True, help_text="Until when the seats are held in the cart."
    )
    expires_at = serializers.DateTimeField(
        allow_null=True,
        help_text="When a pending booking expires; null while a proof is under review.",
    )
    created_at = serializers.DateTimeField()
    confirmed_at = serializers.DateTimeField(allow_null=True)
    checked_in_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(
        allow_null=True, help_text="When it was cancelled, rejected or expired."
    )
    ended_reason = serializers.CharField(allow_blank=True)
    series = serializers.UUIDField(allow_null=True, help_text="Made together with others.")
    proposal = ProposalSerializer(
        allow_null=True, help_text="Another time that waits for the customer's answer."
    )
    version = serializers.IntegerField(help_text="Counts changes; the ETag says the same.")


class Reason(serializers.Serializer):
    reason = serializers.CharField(
        max_length=1000, help_text="Why; it is kept, and the other side reads it."
    )


class OptionalReason(serializers.Serializer):
    reason = serializers.CharField(
        max_length=1000, required=False, allow_blank=True, allow_null=True
    )


class CheckInRequest(serializers.Serializer):
    code = serializers.CharField(
        max_length=64, help_text="What the QR code says. Case, spaces and dashes do not count."
    )


class CheckedIn(serializers.Serializer):
    status = serializers.ChoiceField(choices=["checked_in"])
    booking = BookingSerializer()


class MyOrganization(serializers.Serializer):
    slug = serializers.CharField()
    name = serializers.CharField()
    role = serializers.ChoiceField(choices=Role.choices, allow_null=True)
    customer = serializers.UUIDField(allow_null=True, help_text="Me as their customer.")


class Me(serializers.Serializer):
    id = serializers.UUIDField()
    email = serializers.EmailField()
    name = serializers.CharField(allow_blank=True)
    language = serializers.CharField()
    organizations = MyOrganization(many=True)


class MyChanges(serializers.Serializer):
    name = serializers.CharField(max_length=200, required=False)
    language = serializers.ChoiceField(choices=[*dict(settings.LANGUAGES)], required=False)
