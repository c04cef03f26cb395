"""Staff pass on what a customer said to a proposed time: for who has no e-mail (B6, F3).

A page that shows both times and asks once more, as neither answer can be taken back.
"""

from __future__ import annotations

import uuid
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin import site
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from audit.admin.scope import staff_actor
from audit.errors import DomainError, StaleVersion
from bookings import selectors
from bookings.admin import show
from bookings.admin.base import LONGEST_REASON, person, refusal
from bookings.models import Booking, Slot
from bookings.services import reschedule as services
from config.admin.calendar.rights import ACCEPT, DECLINE, booking_of, may_answer, terms_of


class AnswerForm(forms.Form):
    """Which version of the booking was seen, and who said what."""

    version = forms.IntegerField(min_value=1)
    note = forms.CharField(max_length=LONGEST_REASON, required=False)


def page(request: HttpRequest, booking_id: uuid.UUID, answer: str) -> HttpResponse:
    """Ask; when it is sent, answer."""
    booking = booking_of(request, booking_id)
    if answer not in (ACCEPT, DECLINE):
        raise Http404
    if not may_answer(person(request), booking):
        raise PermissionDenied
    form = AnswerForm(request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        try:
            words = _answer(request, booking, answer, form.cleaned_data)
        except StaleVersion:
            form.add_error(
                None,
                _(
                    "Nothing was done: somebody changed this booking while the page was open. It"
                    " is shown as it is now; look it over and press the button again."
                ),
            )
        except (DomainError, DatabaseError) as error:
            refused = refusal(error)
            if refused is None:
                raise
            form.add_error(None, refused)
        else:
            messages.success(request, words)
            return HttpResponseRedirect(_url_of(booking))
    return _show(request, booking_of(request, booking_id), answer, form)


def _answer(request: HttpRequest, booking: Booking, answer: str, said: dict[str, Any]) -> str:
    """Call the one service, and say what it did."""
    service = services.accept if answer == ACCEPT else services.decline
    done = service(
        booking_id=booking.pk,
        organization_id=booking.organization_id,
        actor=staff_actor(request),
        reason=services.by_phone(said["note"]),
        now=timezone.now(),
        version=said["version"],
    )
    about = {"who": booking.customer, "when": _place(done.slot)}
    if answer == ACCEPT:
        return _("Accepted for %(who)s: the booking is now %(when)s.") % about
    return _("Declined for %(who)s: the booking stays %(when)s.") % about


def _show(request: HttpRequest, booking: Booking, answer: str, form: AnswerForm) -> HttpResponse:
    proposal = selectors.open_proposal(booking)
    return TemplateResponse(
        request,
        "admin/calendar/answer.html",
        {
            **site.each_context(request),
            "title": _("Accept the proposed time")
            if answer == ACCEPT
            else _("Decline the proposed time"),
            "is_accept": answer == ACCEPT,
            "booking": booking,
            "booking_url": _url_of(booking),
            "status": show.booking_badge(booking),
            "now": _place(booking.slot),
            "proposal": proposal,
            "proposed": _place(proposal.stand_in.slot) if proposal else "",
            "until": show.when(proposal.expires_at) if proposal else "",
            "terms": terms_of(request, proposal),
            "form": form,
            "version": booking.version,
            "note": request.POST.get("note", ""),
        },
    )


def _place(slot: Slot) -> str:
    return f"{slot.resource.name}, {show.slot_time(slot)}"


def _url_of(booking: Booking) -> str:
    return reverse("admin:bookings_booking_change", args=[booking.pk])
