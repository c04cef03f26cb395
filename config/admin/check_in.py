"""Check-in: a field for a scanner or a keyboard, and an answer that is read from two metres
away (A8). Works without JavaScript; the answer travels in a signed address, so that a reload
scans nothing twice and two gates never see each other's."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib.admin import site
from django.core import signing
from django.core.exceptions import PermissionDenied
from django.db.models import Case, Q, QuerySet, Value, When
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from audit.admin.scope import staff_actor
from audit.errors import DomainError
from bookings import codes, rules
from bookings.admin import show as show_bookings
from bookings.admin.base import typed
from bookings.lifecycle import BookingStatus
from bookings.models import Booking
from bookings.permissions import may, organizations_with
from bookings.services import check_in as services
from payments.admin import show
from payments.lifecycle import PaymentMethod, PaymentStatus
from payments.models import CartItem
from payments.selectors import to_pay
from payments.services import decisions

CHECK_IN = "bookings.check_in_booking"
TAKE_PAYMENT = "payments.take_payment_carttransaction"
SALT = "holdfast.check-in-answer"
ANSWER_LASTS = 3600
ARRIVALS = 100
RECENT = 20
EXPECTED = (
    BookingStatus.PENDING,
    BookingStatus.CONFIRMED,
    BookingStatus.RESCHEDULE_PROPOSED,
    BookingStatus.CHECKED_IN,
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said about one scan: its kind, and the booking it is about if there is one."""

    kind: str
    words: str = ""
    booking_id: str = ""

    @property
    def colour(self) -> str:
        return {"checked_in": "good", "found": "info", "paid": "good"}.get(
            self.kind, "bad" if self.kind in ("unknown_code", "booking_cancelled") else "warn"
        )

    @property
    def title(self) -> str:
        return {
            "checked_in": _("Come in"),
            "paid": _("Paid"),
            "found": _("Found by its reference"),
            "already_checked_in": _("Already used"),
            "wrong_day": _("Another day"),
            "not_confirmed": _("Not confirmed"),
            "booking_cancelled": _("No longer valid"),
            "unknown_code": _("Unknown code"),
        }.get(self.kind, _("Not possible"))

    @property
    def icon(self) -> str:
        return {"good": "check_circle", "info": "person_search", "warn": "error", "bad": "cancel"}[
            self.colour
        ]


def page(request: HttpRequest) -> HttpResponse:
    """Scan (POST), and see the answer, who came and who is still to come (GET)."""
    organizations = organizations_with(request.user, CHECK_IN)
    if organizations is not None and not organizations:
        raise PermissionDenied
    if request.method == "POST":
        answer = _scan(request)
        signed = signing.dumps([answer.kind, answer.words, answer.booking_id], salt=SALT)
        return HttpResponseRedirect(f"{reverse('admin:check_in')}?answer={signed}")
    now = timezone.now()
    answer_shown = _read_answer(request)
    query = typed(request.GET, "q")
    rows = _mine(request)
    return TemplateResponse(
        request,
        "admin/check_in.html",
        {
            **site.each_context(request),
            "title": _("Check-in"),
            "answer": answer_shown,
            "about": _about(request, rows, answer_shown) if answer_shown else None,
            "q": query,
            "recent": _recent(rows, now),
            **_arrivals(rows, now, query),
        },
    )


def take_payment(request: HttpRequest) -> HttpResponse:
    """Take what is due on arrival, right after the scan."""
    if request.method != "POST":
        return HttpResponseRedirect(reverse("admin:check_in"))
    booking = _mine(request).filter(pk=_uuid(request.POST.get("booking"))).first()
    if booking is None:
        raise Http404
    if not may(request.user, TAKE_PAYMENT, booking.organization_id):
        raise PermissionDenied
    item = CartItem.objects.filter(booking=booking, transaction__isnull=False).first()
    if item is None or item.transaction_id is None:
        raise Http404
    try:
        paid = decisions.take_payment(
            transaction_id=item.transaction_id,
            organization_id=booking.organization_id,
            actor=staff_actor(request),
            now=timezone.now(),
        )
        answer = Answer("paid", show.money(to_pay(paid), paid.currency), str(booking.pk))
    except DomainError as error:
        answer = Answer(error.code, error.detail, str(booking.pk))
    signed = signing.dumps([answer.kind, answer.words, answer.booking_id], salt=SALT)
    return HttpResponseRedirect(f"{reverse('admin:check_in')}?answer={signed}")


def _mine(request: HttpRequest) -> QuerySet[Booking]:
    """Bookings this person may check in: of their organisations; providers, their own."""
    rows: QuerySet[Booking] = site._registry[Booking].get_queryset(request)
    organizations = organizations_with(request.user, CHECK_IN)
    return rows if organizations is None else rows.filter(organization_id__in=organizations)


def _scan(request: HttpRequest) -> Answer:
    by_hand = _uuid(request.POST.get("booking"))
    code = typed(request.POST, "code")
    rows = _mine(request)
    try:
        if by_hand is not None:
            booking = rows.filter(pk=by_hand).first()
            if booking is None:
                raise Http404
            done = services.check_in_by_hand(
                booking_id=booking.pk,
                organization_id=booking.organization_id,
                actor=staff_actor(request),
                now=timezone.now(),
            )
            return Answer("checked_in", "", str(done.pk))
        if not code:
            return Answer("unknown_code", _("Nothing was scanned. Try again."))
        known = rows.filter(check_in_code__code_hash=codes.fingerprint(code))
        if not known.exists():
            found = rows.filter(reference__iexact=code).first()
            if found is not None:
                return Answer("found", "", str(found.pk))
            return Answer(
                "unknown_code",
                _("No booking here has this code. Look for the name among today's arrivals."),
            )
        done = services.check_in(
            code=code,
            organization_ids=organizations_with(request.user, CHECK_IN),
            actor=staff_actor(request),
            now=timezone.now(),
        )
        return Answer("checked_in", "", str(done.pk))
    except DomainError as error:
        return Answer(error.code, error.detail, str(error.extra.get("booking", "")))


def _read_answer(request: HttpRequest) -> Answer | None:
    signed = request.GET.get("answer")
    if not signed:
        return None
    try:
        kind, words, booking_id = signing.loads(signed, salt=SALT, max_age=ANSWER_LASTS)
    except (signing.BadSignature, ValueError):
        return None
    return Answer(kind, words, booking_id)


def _about(request: HttpRequest, rows: QuerySet[Booking], answer: Answer) -> dict[str, Any] | None:
    """The booking of an answer, with what is due, as far as this person may see it."""
    booking = rows.filter(pk=_uuid(answer.booking_id)).first()
    if booking is None:
        return None
    facts: dict[str, Any] = {
        "booking": booking,
        "url": reverse("admin:bookings_booking_change", args=[booking.pk]),
        "time": show_bookings.slot_time(booking.slot),
        "people": show_bookings.people(booking.units),
        "resource": booking.slot.resource.name,
        "status": show_bookings.booking_badge(booking),
        "may_check_in": answer.kind == "found" and booking.status == BookingStatus.CONFIRMED,
        "due": "",
        "missed": _missed(booking),
    }
    if may(request.user, "payments.view_carttransaction", booking.organization_id):
        item = CartItem.objects.filter(booking=booking).select_related("transaction").first()
        paid = item.transaction if item else None
        if (
            paid
            and paid.payment_method == PaymentMethod.PAY_ON_ARRIVAL
            and paid.payment_status == PaymentStatus.PENDING
        ):
            facts["due"] = show.money(to_pay(paid), paid.currency)
            facts["may_take"] = paid.status == "approved" and may(
                request.user, TAKE_PAYMENT, booking.organization_id
            )
    return facts


def _missed(booking: Booking) -> str:
    """That its customer did not come before, if so."""
    count = rules.count_no_shows(booking.customer, now=timezone.now())
    if not count:
        return ""
    words = ngettext("Did not come %(n)d time before.", "Did not come %(n)d times before.", count)
    return words % {"n": count}


def _recent(rows: QuerySet[Booking], now: datetime) -> list[dict[str, Any]]:
    came = rows.filter(checked_in_at__gt=now - timedelta(hours=1)).order_by("-checked_in_at")
    return [
        {
            "at": timezone.localtime(booking.checked_in_at).strftime("%H:%M"),
            "booking": booking,
            "resource": booking.slot.resource.name,
            "url": reverse("admin:bookings_booking_change", args=[booking.pk]),
        }
        for booking in came[:RECENT]
        if booking.checked_in_at
    ]


def _arrivals(rows: QuerySet[Booking], now: datetime, query: str) -> dict[str, Any]:
    start = timezone.localtime(now).replace(hour=0, minute=0, second=0, microsecond=0)
    today = rows.filter(
        slot__starts_at__lt=start + timedelta(days=1),
        slot__ends_at__gt=start,
        status__in=EXPECTED,
    )
    if query:
        today = today.filter(
            Q(reference__istartswith=query)
            | Q(customer__name__icontains=query)
            | Q(customer__email__icontains=query)
        )
    # Whoever is still to come stands first: with a long list, the others would hide them.
    is_here = Case(When(status=BookingStatus.CHECKED_IN, then=Value(1)), default=Value(0))
    found = list(today.order_by(is_here, "slot__starts_at", "customer__name")[: ARRIVALS + 1])
    return {
        "arrivals": [
            {
                "booking": booking,
                "time": show_bookings.slot_hours(booking.slot),
                "resource": booking.slot.resource.name,
                "people": booking.units,
                "status": show_bookings.booking_badge(booking),
                "ready": booking.status == BookingStatus.CONFIRMED,
                "url": reverse("admin:bookings_booking_change", args=[booking.pk]),
            }
            for booking in found[:ARRIVALS]
        ],
        "more_arrivals": len(found) > ARRIVALS,
    }


def _uuid(text: str | None) -> Any:
    try:
        return uuid.UUID(text or "")
    except ValueError:
        return None
