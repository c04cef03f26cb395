"""What money adds to the page of a place in line: staff accept for who calls, and how it is paid."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminSelectWidget

from audit.admin.scope import go_to, staff_actor
from bookings.admin.dialogs import attempt
from bookings.admin.show import slot_time
from payments import selectors
from payments.admin import queue, show
from payments.lifecycle import PaymentMethod
from payments.prices import quote
from payments.services import waitlist as services
from waitlist.admin.dialogs import entry_of
from waitlist.admin.entries import WaitlistAdmin
from waitlist.models import WaitlistEntry
from waitlist.selectors import open_offer

BOOK = "bookings.change_booking"


class AcceptDialog(BaseDialogForm):
    """How it is paid, with what is offered and what it costs."""

    method = forms.ChoiceField(label=_("Payment"), widget=UnfoldAdminSelectWidget)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        entry = entry_of(self.request)
        offer = open_offer(entry) if entry is not None else None
        field: Any = self.fields["method"]
        if entry is None or offer is None:
            field.choices = [("", gettext("Nothing is offered any more."))]
            return
        booking = offer.booking
        price = quote(
            booking.slot, booking.units, selectors.price_rules([booking.slot.resource_id])
        )
        field.choices = _methods(entry) if price.amount else [_choice(PaymentMethod.FREE)]
        field.help_text = gettext("%(resource)s, %(when)s: %(price)s") % {
            "resource": booking.slot.resource,
            "when": slot_time(booking.slot),
            "price": show.money(price.amount, price.currency),
        }


def _choice(method: PaymentMethod) -> tuple[str, str]:
    return method.value, capfirst(str(method.label))


def _methods(entry: WaitlistEntry) -> list[tuple[str, str]]:
    """On arrival first: who calls seldom has paid."""
    policy = selectors.policy_of(entry.organization)
    ways = [
        (policy.accepts_pay_on_arrival, PaymentMethod.PAY_ON_ARRIVAL),
        (policy.accepts_pay_now, PaymentMethod.PAY_NOW),
    ]
    return [_choice(method) for offered, method in ways if offered]


@action(
    description=_("They accept"),
    icon="thumb_up",
    url_path="accept",
    permissions=["accept"],
    variant=ActionVariant.PRIMARY,
    dialog={
        "title": _("Book the seats for this customer?"),
        "description": _(
            "For somebody who calls. What is free or paid on arrival is confirmed at once; what is"
            " paid in advance waits for the proof of payment."
        ),
        "form_class": AcceptDialog,
        "form_submit_text": _("Book them"),
    },
)
def accept_this(
    self: WaitlistAdmin, request: HttpRequest, form: Any, object_id: str
) -> HttpResponse:
    entry = self.get_object_or_none(request, object_id)
    if entry is None:
        raise Http404
    attempt(
        self,
        request,
        lambda: services.accept_for(
            organization=entry.organization,
            entry_id=entry.pk,
            payment_method=form.cleaned_data["method"],
            may_approve=self.may(request, queue.APPROVE, entry),
            actor=staff_actor(request),
            now=timezone.now(),
        ),
        gettext("The seats are booked for %s.") % entry.customer,
    )
    return go_to(request, reverse("admin:waitlist_waitlistentry_change", args=[object_id]))


def has_accept_permission(self: WaitlistAdmin, request: HttpRequest, object_id: Any = None) -> bool:
    """Whoever may answer for customers and book for them."""
    if not object_id or not self.has_answer_permission(request, object_id):
        return False
    return self.may(request, BOOK, self.get_object_or_none(request, object_id))


WaitlistAdmin.accept_this = accept_this
WaitlistAdmin.has_accept_permission = has_accept_permission
WaitlistAdmin.actions_detail = ("accept_this", *WaitlistAdmin.actions_detail)
