"""Move a booking to another time, or propose one to its customer (B6, B11, F3)."""

from __future__ import annotations

import uuid
import zoneinfo
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin import site
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from audit.admin.scope import staff_actor
from audit.errors import DomainError, StaleVersion
from bookings import selectors
from bookings.admin import show as show_bookings
from bookings.admin.base import LONGEST_REASON, person, refusal
from bookings.lifecycle import BOOKING
from bookings.models import Booking, Resource, Role, Slot, User
from bookings.permissions import may
from bookings.services import reschedule as services
from bookings.services.free_times import FreeTime
from config.admin.calendar import wanted
from config.admin.calendar.asked import clamped, number
from config.admin.calendar.picker import pick, resources_by_nearness
from config.admin.calendar.rights import SEE_MONEY, answers_to, booking_of, terms_of, what_may
from config.admin.calendar.wanted import WantedField
from payments.admin import show
from payments.errors import PriceDiffers
from payments.models import CartItem
from payments.services import reschedule as money

MOVE, PROPOSE, WITHDRAW = "move", "propose", "withdraw"


class WithdrawForm(forms.Form):
    """Why a proposal is taken back, and which version of the booking was seen."""

    version = forms.IntegerField(min_value=1)
    reason = forms.CharField(
        max_length=LONGEST_REASON,
        error_messages={"required": gettext_lazy("Say why; the customer and the history show it.")},
    )


class MoveForm(WithdrawForm):
    """Also to which slot or free time."""

    slot = WantedField()
    keep_price = forms.BooleanField(required=False)


def page(request: HttpRequest, booking_id: uuid.UUID) -> HttpResponse:
    """Choose a time; with ``step=move`` or ``step=propose`` it is done."""
    now = timezone.now()
    booking = booking_of(request, booking_id)
    step = request.POST.get("step")
    may_do = what_may(person(request), booking.organization_id)
    if not any(may_do) or (step == MOVE and not may_do.move):
        raise PermissionDenied
    if step in (PROPOSE, WITHDRAW) and not may_do.propose:
        raise PermissionDenied
    if step == WITHDRAW:
        form: forms.Form = WithdrawForm(request.POST)
    elif step in (MOVE, PROPOSE):
        form = MoveForm(request.POST)
    else:
        return _show(request, booking, MoveForm(), now=now)
    if form.is_valid():
        try:
            words = _do(request, booking, step, form.cleaned_data, now=now)
        except StaleVersion:
            if _is_done(booking, step, form.cleaned_data):  # the button was pressed twice
                return _to_booking(booking)
            words = _(
                "Nothing was done: somebody changed this booking while the page was open. It is"
                " shown as it is now; look it over and press the button again."
            )
            form.add_error(None, words)
        except PriceDiffers as error:
            words = _(
                "Nothing was done: the booking costs %(amount)s, and that time costs"
                " %(new_amount)s %(currency)s. Tick the box below to move it at the price it has."
            )
            form.add_error(None, words % error.extra)
        except (DomainError, DatabaseError) as error:
            refused = refusal(error)
            if refused is None:
                raise
            form.add_error(None, refused)
        else:
            messages.success(request, words)
            return _to_booking(booking)
    return _show(request, booking_of(request, booking_id), form, now=now)


def _do(
    request: HttpRequest, booking: Booking, step: str, said: dict[str, Any], *, now: datetime
) -> str:
    """Call the one service, and say what it did."""
    about: dict[str, Any] = {
        "booking_id": booking.pk,
        "organization_id": booking.organization_id,
        "actor": staff_actor(request),
        "now": now,
        "version": said["version"],
    }
    if step == MOVE:
        moved = money.reschedule(
            slot_id=said["slot"], reason=said["reason"], accept_price=said["keep_price"], **about
        )
        return _("%(who)s is moved to %(when)s.") % {
            "who": booking.customer,
            "when": f"{moved.slot.resource.name}, {show_bookings.slot_time(moved.slot)}",
        }
    about["provider_id"] = _provider(person(request), booking.organization_id)
    if step == PROPOSE:
        made = money.propose(
            slot_id=said["slot"],
            message=said["reason"],
            accept_price=said["keep_price"],
            **about,
        )
        return _("Proposed to %(who)s, who can answer until %(until)s. Both times are held.") % {
            "who": booking.customer,
            "until": show_bookings.when(made.expires_at),
        }
    services.withdraw(reason=said["reason"], **about)
    return _("The proposal is taken back; the booking stays where it is.")


def _provider(user: User, organization_id: uuid.UUID) -> uuid.UUID | None:
    """Whose resources alone somebody may propose; None means any."""
    mine = not user.is_superuser and user.roles.get(organization_id) == Role.PROVIDER
    return user.pk if mine else None


def _is_done(booking: Booking, step: str, said: dict[str, Any]) -> bool:
    """Whether a booking is where somebody wanted to move it already."""
    to = said.get("slot")
    if step != MOVE or to is None:
        return False
    there = {"slot": to}
    if isinstance(to, FreeTime):
        there = {
            "slot__resource": to.resource_id,
            "slot__starts_at": to.starts_at,
            "slot__ends_at": to.starts_at + to.length,
        }
    return Booking.objects.filter(pk=booking.pk, **there).exists()


def _to_booking(booking: Booking) -> HttpResponse:
    return HttpResponseRedirect(reverse("admin:bookings_booking_change", args=[booking.pk]))


def _show(
    request: HttpRequest, booking: Booking, form: forms.Form, *, now: datetime
) -> HttpResponse:
    said: Mapping[str, Any] = request.POST if request.method == "POST" else request.GET
    resources = _resources(request, booking)
    named = said.get("resource", "")
    nearest = resources[0] if resources else booking.slot.resource
    resource = next((r for r in resources if str(r.pk) == named), nearest)
    day = _day(said.get("day", ""), booking.slot, resource, now=now)
    lasts = (booking.slot.ends_at - booking.slot.starts_at) // timedelta(minutes=1)
    minutes = number(str(said.get("minutes", "")), lasts)
    proposal = selectors.open_proposal(booking)
    may_do = what_may(person(request), booking.organization_id)
    paid, paid_words = _paid(request, booking)
    slots: QuerySet[Slot] = site._registry[Slot].get_queryset(request).order_by()
    typed = {
        "version": booking.version,
        "day": day.isoformat(),
        "reason": said.get("reason", ""),
        "keep_price": said.get("keep_price", ""),
    }
    return TemplateResponse(
        request,
        "admin/calendar/move.html",
        {
            **site.each_context(request),
            "title": _("Move a booking"),
            "booking": booking,
            "booking_url": reverse("admin:bookings_booking_change", args=[booking.pk]),
            "here": reverse("admin:calendar_move", args=[booking.pk]),
            "time": show_bookings.slot_time(booking.slot),
            "status": show_bookings.booking_badge(booking),
            "paid_words": paid_words,
            "form": form,
            "typed": typed,
            "resources": resources,
            "picker": pick(
                slots,
                resource=resource,
                day=day,
                units=booking.units,
                now=now,
                minutes=minutes,
                chosen=wanted.read(said.get("slot")),
                leaving=booking.slot,
                paid=paid,
            ),
            "is_movable": booking.status in services.MOVABLE,
            "may_move": may_do.move and booking.status in services.MOVABLE,
            "proposal": proposal,
            "proposed": show_bookings.slot_time(proposal.stand_in.slot) if proposal else "",
            "answer_until": show_bookings.when(proposal.expires_at) if proposal else "",
            "terms": terms_of(request, proposal),
            "may_propose": may_do.propose and BOOKING.allows("propose", booking.status),
            "may_withdraw": may_do.propose and proposal is not None,
            "answers": answers_to(request, booking) if proposal else [],
        },
    )


def _resources(request: HttpRequest, booking: Booking) -> list[Resource]:
    rows: QuerySet[Resource] = site._registry[Resource].get_queryset(request)
    found = rows.filter(organization=booking.organization_id, is_active=True)
    return resources_by_nearness(list(found), booking.slot.resource)


def _day(text: str, slot: Slot, resource: Resource, *, now: datetime) -> date:
    zone = zoneinfo.ZoneInfo(resource.time_zone)
    return clamped(text, max(slot.starts_at, now).astimezone(zone).date())


def _paid(request: HttpRequest, booking: Booking) -> tuple[Decimal | None, str]:
    """What the booking costs, for those who may see money."""
    if not may(person(request), SEE_MONEY, booking.organization_id):
        return None, ""
    item = CartItem.objects.filter(booking=booking, amount__isnull=False).first()
    if item is None or not item.amount:
        return Decimal(0), _("free of charge")
    return item.amount, show.money(item.amount, item.currency)
