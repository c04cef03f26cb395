"""Cancelling a booking: what it does to the money is shown before it is done (A7, B9, F3)."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldBooleanWidget

from audit.admin.scope import go_to, staff_actor
from bookings.admin.bookings import BookingAdmin
from bookings.admin.dialogs import Reason, ReasonDialog, attempt
from bookings.models import Booking
from payments import selectors
from payments.admin import words
from payments.services import cancellation


def keep_fee_field() -> forms.BooleanField:
    return forms.BooleanField(label=_("Keep the fee"), required=False, widget=UnfoldBooleanWidget)


class CancelForm(Reason):
    """Why, and what becomes of the money."""

    keep_fee = keep_fee_field()


class CancelDialog(ReasonDialog):
    """The same in a dialog, of one booking."""

    keep_fee = keep_fee_field()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        booking = _booking_of(self.request)
        costs = selectors.costs([booking], keep_fee=True, now=timezone.now()) if booking else []
        if not any(c.fee for c in costs):
            del self.fields["keep_fee"]
        else:
            self.fields["keep_fee"].help_text = words.what_is_kept(costs)
        self.fields["reason"].help_text = words.what_is_paid_back(costs)


def _booking_of(request: HttpRequest | None) -> Booking | None:
    """The booking that the address of a dialog names."""
    match = getattr(request, "resolver_match", None)
    named = match.kwargs.get("object_id") if match else None
    if request is None or named is None:
        return None
    page: Any = admin.site._registry[Booking]
    found: Booking | None = page.get_object_or_none(request, named)
    return found


@action(
    description=_("Cancel booking"),
    icon="event_busy",
    url_path="cancel",
    permissions=["cancel"],
    variant=ActionVariant.DANGER,
    dialog={
        "title": _("Cancel this booking?"),
        "description": _(
            "Its seats are free again at once, and the customer is told why. This cannot be undone."
        ),
        "form_class": CancelDialog,
        "form_submit_text": _("Cancel the booking"),
    },
)
def cancel_this(
    self: BookingAdmin, request: HttpRequest, form: Any, object_id: str
) -> HttpResponse:
    booking = self.get_object_or_none(request, object_id)
    if booking is None:
        raise Http404
    attempt(
        self,
        request,
        lambda: cancellation.cancel_booking(
            booking_id=booking.pk,
            organization_id=booking.organization_id,
            actor=staff_actor(request),
            reason=form.cleaned_data["reason"],
            keep_fee=form.cleaned_data.get("keep_fee", False),
            now=timezone.now(),
        ),
        gettext("Booking %s is cancelled; its seats are free again.") % booking.reference,
    )
    return go_to(request, reverse("admin:bookings_booking_change", args=[object_id]))


BookingAdmin.cancel_this = cancel_this
BookingAdmin.actions_detail = (*BookingAdmin.actions_detail, "cancel_this")
