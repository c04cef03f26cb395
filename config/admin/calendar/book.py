"""Book for somebody who calls or stands at the desk (F3).

One form: looking for a time or a customer sends it with another button, and everything that was
typed comes back. It books once however often it is sent: the form carries a key, and the answer
to that key is kept (audit/idempotency.py).
"""

from __future__ import annotations

import json
import uuid
import zoneinfo
from datetime import date, datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.admin import site
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from audit import idempotency
from audit.admin.scope import staff_actor
from audit.errors import DomainError, IdempotencyInProgress, IdempotencyKeyReused, NotFound
from audit.idempotency import Answer
from bookings.admin import show as show_bookings
from bookings.admin.base import person
from bookings.errors import (
    CustomerKnown,
    SlotGone,
    TooFarAhead,
    TooManyBookings,
    TooManyNoShows,
    TooSoon,
)
from bookings.lifecycle import BookingStatus
from bookings.models import Booking, Customer, Resource, Slot
from bookings.permissions import may, organizations_with
from bookings.services.free_times import FreeTime
from config.admin.calendar import wanted
from config.admin.calendar.asked import clamped, number
from config.admin.calendar.book_form import (
    EVERYTHING,
    KNOWN,
    NEW,
    NOBODY,
    WHAT_IS_FREE,
    BookForm,
    ids_in,
)
from config.admin.calendar.people import MOST, search
from config.admin.calendar.picker import pick
from payments.admin.series import days
from payments.lifecycle import PaymentMethod
from payments.models import CartTransaction
from payments.selectors import policy_of
from payments.services import desk, series
from payments.services.series import Wish

ADD_CUSTOMER = "bookings.add_customer"
APPROVE = "payments.approve_carttransaction"
ROUTE = "POST admin/calendar/book"
SEND = "book"
# What is the same booking when it is sent again.
SENT = (
    "slot",
    "who",
    "customer",
    "name",
    "email",
    "phone",
    "language",
    "same",
    "shown",
    "units",
    "method",
    "note",
    "times",
    "every",
    "dates",
    "anyway",
    "reason",
)


def page(request: HttpRequest) -> HttpResponse:
    """The form; sent with ``step=book``, what is on it is booked."""
    now = timezone.now()
    said = request.POST if request.method == "POST" else request.GET
    desk_of = Desk(request, said)
    typed = desk_of.typed(said, now=now)
    if request.method != "POST" or said.get("step") != SEND:
        return _show(request, desk_of, desk_of.form(initial=typed), typed, now=now)
    form = desk_of.form(data=typed)
    if not form.is_valid():
        return _show(request, desk_of, form, typed, now=now)
    keep_token = False
    try:
        answer = _book(request, desk_of, form.cleaned_data, now=now)
        words = json.loads(answer.body)["detail"]
        if answer.status < 400:
            messages.success(request, words)
            return HttpResponseRedirect(answer.headers["Location"])
    except IdempotencyInProgress:
        keep_token = True
        words = _("This is being booked right now. Press the button again to see the booking.")
    except IdempotencyKeyReused:
        words = _(
            "A booking was made with this form before. If you want another one, look it over and"
            " press the button again."
        )
    except DomainError as error:
        words = error.detail
    form.add_error(None, words)
    return _show(request, desk_of, form, typed, now=now, keep_token=keep_token)


class Desk:
    """Who books, and what they may choose: of one organisation, which the resource decides."""

    def __init__(self, request: HttpRequest, said: QueryDict) -> None:
        """Find the resource, and the slot, that an address or a form names.

        Raises:
            PermissionDenied: there is nothing this person may book for others.
        """
        self.user = person(request)
        self.resources = _resources(request)
        if not self.resources:
            raise PermissionDenied
        self.slots: QuerySet[Slot] = _rows(Slot, request)
        chosen = wanted.read(said.get("slot"))
        self.free = chosen if isinstance(chosen, FreeTime) else None
        self.slot = self.slots.filter(pk=chosen).first() if isinstance(chosen, uuid.UUID) else None
        of = self.free or self.slot
        named = said.get("resource") or (str(of.resource_id) if of else "")
        self.resource = next((r for r in self.resources if str(r.pk) == named), self.resources[0])
        if of and of.resource_id != self.resource.pk:
            self.free = self.slot = None
        self.organization = self.resource.organization
        self.customers: QuerySet[Customer] = _rows(Customer, request).filter(
            organization=self.organization
        )
        self.may_add = may(self.user, ADD_CUSTOMER, self.organization.pk)
        self.may_go_beyond = may(self.user, desk.GO_BEYOND, self.organization.pk)

    @property
    def chosen(self) -> uuid.UUID | FreeTime | None:
        """The time that is chosen, of the resource that is."""
        return self.slot.pk if self.slot else self.free

    def has_begun(self, now: datetime) -> bool:
        """Whether the time that is chosen has started and is not over."""
        if self.slot:
            return self.slot.starts_at <= now < self.slot.ends_at
        free = self.free
        return bool(free and free.starts_at <= now < free.starts_at + free.length)

    def typed(self, said: QueryDict, *, now: datetime) -> dict[str, str]:
        """What stands on the form: what was typed, or what the address presets."""
        if "step" in said:
            found = {name: str(said.get(name, "")) for name in BookForm.base_fields}
        else:
            found = {"units": "1", "who": KNOWN, "language": settings.LANGUAGE_CODE}
            found |= {"times": "1", "every": "1", "dates": EVERYTHING}
        zone = zoneinfo.ZoneInfo(self.resource.time_zone)
        of = self.slot or self.free
        if "step" not in said and self.may_go_beyond and self.has_begun(now):
            found |= {"anyway": "on", "reason": _("walk-in")}
        day = of.starts_at if of else now
        return found | {
            "token": found.get("token") or str(uuid.uuid4()),
            "resource": str(self.resource.pk),
            "day": said.get("day") or day.astimezone(zone).date().isoformat(),
            "minutes": said.get("minutes") or (str(self.free.minutes) if self.free else ""),
            "slot": wanted.value_of(self.chosen) if self.chosen else "",
        }

    def wish(self, times: int, every: int, units: int) -> Wish | None:
        """The series that begins with the time that is chosen; None for a single booking."""
        of = self.slot or self.free
        if of is None or times < 2:
            return None
        length = self.slot.ends_at - self.slot.starts_at if self.slot else None
        minutes = self.free.minutes if self.free else None
        if length is not None and not length % timedelta(minutes=1):
            minutes = length // timedelta(minutes=1)
        return Wish(
            self.resource.pk,
            of.starts_at,
            every_weeks=every,
            times=times,
            units=units,
            minutes=minutes,
        )

    def form(self, **kwargs: Any) -> BookForm:
        return BookForm(
            resources=self.resources,
            customers=self.customers,
            methods=self.methods(),
            may_go_beyond=self.may_go_beyond,
            may_add=self.may_add,
            **kwargs,
        )

    def methods(self) -> list[tuple[str, Any]]:
        """How the organisation lets its customers pay."""
        policy = policy_of(self.organization)
        return [
            (value, words)
            for value, words, offered in (
                (
                    PaymentMethod.PAY_ON_ARRIVAL.value,
                    _("On arrival"),
                    policy.accepts_pay_on_arrival,
                ),
                (
                    PaymentMethod.PAY_NOW.value,
                    _("Now: the customer is sent how to pay"),
                    policy.accepts_pay_now,
                ),
                (PaymentMethod.FREE.value, _("Nothing: it is free of charge"), True),
            )
            if offered
        ]


def _book(request: HttpRequest, at: Desk, said: dict[str, Any], *, now: datetime) -> Answer:
    """Call the one service, once for what stands on the form.

    Returns:
        What was kept for the form's key: where to go and what to say, or why it was refused.

    Raises:
        IdempotencyInProgress, IdempotencyKeyReused: see :func:`audit.idempotency.run`.
        DomainError: what a key does not keep.
    """
    customer = said.get("known") or _new(said)
    times = said.get("times") or 1
    wish = at.wish(times, said.get("every") or 1, said["units"])

    def execute() -> Answer:
        if times > 1:
            if wish is None:
                raise NotFound("This time is not there any more. Choose another.")
            return _book_series(request, at, wish, customer, said, now=now)
        made = desk.book_for(
            organization=at.organization,
            customer=customer,
            slot_id=said["slot"],
            units=said["units"],
            payment_method=said["method"],
            note=said["note"],
            overriding=said["reason"] if said["anyway"] else "",
            may_approve=may(at.user, APPROVE, at.organization.pk),
            actor=staff_actor(request),
            now=now,
        )
        booking = Booking.objects.select_related("customer").get(cart_item__transaction=made)
        url = reverse("admin:bookings_booking_change", args=[booking.pk])
        return Answer(302, json.dumps({"detail": _done(booking, made)}), {"Location": url})

    return idempotency.run(
        user_id=at.user.pk,
        route=ROUTE,
        key=said["token"],
        request_hash=idempotency.request_hash(
            *(f"{name}={said.get(name)}" for name in SENT), f"organization={at.organization.pk}"
        ),
        execute=execute,
        problem=lambda error: Answer(
            error.status, json.dumps({"detail": _refused(at, error, alone=times == 1, now=now)})
        ),
    )


def _book_series(
    request: HttpRequest,
    at: Desk,
    wish: Wish,
    customer: Customer | desk.NewCustomer,
    said: dict[str, Any],
    *,
    now: datetime,
) -> Answer:
    """The same hour again and again: on to the page that says what became of each date."""
    made = series.book_series(
        organization=at.organization,
        customer=customer,
        wish=wish,
        payment_method=said["method"],
        all_or_nothing=said["dates"] != WHAT_IS_FREE,
        note=said["note"],
        overriding=said["reason"] if said["anyway"] else "",
        may_approve=may(at.user, APPROVE, at.organization.pk),
        actor=staff_actor(request),
        now=now,
    )
    booked = [one.booking for one in made.dates if one.booking is not None]
    first = Booking.objects.select_related("customer").get(pk=booked[0].pk)
    words = _("%(booked)d of %(times)d dates are booked.") % {
        "booked": len(booked),
        "times": wish.times,
    }
    url = reverse("admin:bookings_series_change", args=[made.series.pk])
    detail = f"{words} {_done(first, made.transaction)}"
    return Answer(302, json.dumps({"detail": detail}), {"Location": url})


def _new(said: dict[str, Any]) -> desk.NewCustomer:
    none_of = ids_in(said["shown"]) if said["same"] == NOBODY else ()
    phone = str(said["phone"] or "")
    return desk.NewCustomer(
        said["name"], said["email"], phone, frozenset(none_of), said["language"]
    )


def _done(booking: Booking, made: CartTransaction) -> str:
    """What happened, and what is left to do."""
    about = {"who": booking.customer.name, "reference": booking.reference}
    if booking.status == BookingStatus.CONFIRMED:
        return _("Booked for %(who)s and confirmed: %(reference)s.") % about
    if made.payment_method != PaymentMethod.PAY_NOW:
        return _("Booked for %(who)s: %(reference)s. Somebody else has to approve it.") % about
    if booking.customer.email:
        return _("Booked for %(who)s: %(reference)s. How to pay is on its way by e-mail.") % about
    return (
        _("Booked for %(who)s: %(reference)s. They have no e-mail address: tell them how to pay.")
        % about
    )


def _refused(at: Desk, error: DomainError, *, alone: bool, now: datetime) -> str:
    """Why it was not booked; and what to do where only the rules are in the way."""
    if (
        isinstance(error, TooSoon | TooFarAhead | TooManyBookings | TooManyNoShows)
        and at.may_go_beyond
    ):
        return _(
            'Not booked, by the rules of %(resource)s: %(why)s To book it all the same, tick "Book anyway" and say why.'
        ) % {
            "resource": at.resource.name,
            "why": error.detail,
        }
    if isinstance(error, SlotGone) and alone and at.may_go_beyond and at.has_begun(now):
        return _(
            "Not booked: %(resource)s has begun then. To let them in for what is left of it, tick"
            ' "Book anyway" and say why.'
        ) % {"resource": at.resource.name}
    if isinstance(error, CustomerKnown):
        return _(
            "Not booked yet: somebody with this e-mail address or phone number is a customer"
            " already. Say below whether it is them."
        )
    return error.detail


def _resources(request: HttpRequest) -> list[Resource]:
    """What this person may book for others."""
    allowed = organizations_with(person(request), desk.BOOK)
    rows = _rows(Resource, request).select_related("organization").order_by("name", "pk")
    rows = rows.filter(is_active=True, organization__is_active=True)
    return list(rows if allowed is None else rows.filter(organization__in=allowed))


def _rows(model: type[Any], request: HttpRequest) -> QuerySet[Any]:
    return site._registry[model].get_queryset(request).order_by()


def _uuid(text: str | None) -> uuid.UUID | None:
    try:
        return uuid.UUID(text or "")
    except ValueError:
        return None


def _show(
    request: HttpRequest,
    at: Desk,
    form: BookForm,
    typed: dict[str, str],
    *,
    now: datetime,
    keep_token: bool = False,
) -> HttpResponse:
    """The page with everything that was typed, and with what can be chosen from it."""
    if form.is_bound and not keep_token:
        typed = typed | {"token": str(uuid.uuid4())}  # what is sent next may be another booking
    day = _day(typed["day"], now)
    picker = pick(
        at.slots,
        resource=at.resource,
        day=day,
        units=number(typed["units"]),
        now=now,
        minutes=number(typed["minutes"]),
        chosen=at.chosen,
        walk_in=at.may_go_beyond,
    )
    dates, no_dates = _dates(at, typed, now=now)
    people = _people(at, typed)
    same = _same(at, typed)
    if len(people) == 1 and not form.is_bound:
        typed = typed | {"customer": str(people[0].pk)}
    return TemplateResponse(
        request,
        "admin/calendar/book.html",
        {
            **site.each_context(request),
            "title": _("Book for somebody"),
            "form": form,
            "typed": typed,
            "resource": at.resource,
            "resources": at.resources,
            "several": len({r.organization_id for r in at.resources}) > 1,
            "headline": _headline(at),
            "picker": picker,
            "dates": dates,
            "no_dates": no_dates,
            "most_times": series.MOST_TIMES,
            "most_weeks": series.MOST_WEEKS,
            "people": people[:MOST],
            "more_people": len(people) > MOST,
            "same": same,
            "nobody": NOBODY,
            "shown": ",".join(str(one.pk) for one in same),
            "may_go_beyond": at.may_go_beyond,
            "may_add": at.may_add,
            "back_url": f"{reverse('admin:calendar')}?day={day.isoformat()}",
        },
    )


def _dates(
    at: Desk, typed: dict[str, str], *, now: datetime
) -> tuple[list[tuple[str, SafeString]], str]:
    """What there is on each date of the series that is asked for; or why nobody can say."""
    times, every = number(typed.get("times", "")), number(typed.get("every", ""))
    wish = at.wish(times, max(every, 1), max(number(typed["units"]), 1))
    if wish is None:
        return [], ""
    try:
        found = series.plan(
            organization=at.organization,
            wish=wish,
            overriding=bool(typed.get("anyway")),
            now=now,
        )
    except DomainError as error:
        return [], error.detail
    return days(found, at.resource.time_zone), ""


def _day(text: str, now: datetime) -> date:
    return clamped(text, timezone.localdate(now))


def _people(at: Desk, typed: dict[str, str]) -> list[Customer]:
    """Who was searched for; and who was chosen before, whatever is searched for now."""
    found = search(at.customers, typed.get("search", "").replace("\0", ""))
    chosen = _uuid(typed.get("customer"))
    if chosen and chosen not in [c.pk for c in found]:
        found = [*at.customers.filter(pk=chosen), *found]
    return found


def _same(at: Desk, typed: dict[str, str]) -> list[Customer]:
    """Whom somebody new may be: customers with the same address or number."""
    if typed.get("who") != NEW or not at.may_add:
        return []
    clean = {name: typed.get(name, "").replace("\0", "") for name in ("name", "email", "phone")}
    new = desk.NewCustomer(clean["name"] or "?", clean["email"], clean["phone"])
    found = desk.known(at.organization, new)
    return list(at.customers.filter(pk__in=[one.pk for one in found]).order_by("name", "pk"))


def _headline(at: Desk) -> str:
    slot = at.slot
    if at.free:
        ends_at = at.free.starts_at + at.free.length
        slot = Slot(resource=at.resource, starts_at=at.free.starts_at, ends_at=ends_at)
    if slot is None:
        return ""
    slot.resource = at.resource
    return f"{at.resource.name} · {show_bookings.slot_time(slot)}"
