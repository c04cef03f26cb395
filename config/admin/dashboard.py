"""The first page of the day: today's figures, two plots, who comes next, what is wrong (F3).

Everything is read through the scoped querysets of the admins, in a number of statements that
does not depend on how much there is.
"""

from __future__ import annotations

import json
from datetime import date, datetime, time, timedelta
from typing import Any

from django.contrib.admin import site
from django.db.models import Count, Min, Q, QuerySet, Sum
from django.db.models.functions import TruncDate
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.dateformat import format as date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from audit.models import Delivery, DeliveryStatus, Finding
from bookings.admin import show as show_bookings
from bookings.lifecycle import ADMITTED, BookingStatus, SlotStatus
from bookings.models import Booking, Slot
from payments.admin import queue, show
from payments.lifecycle import LateStatus, PaymentMethod, RefundStatus, TransactionStatus
from payments.models import CartTransaction, LatePayment, Refund
from waitlist.admin.show import SOON
from waitlist.lifecycle import EntryStatus, OfferStatus
from waitlist.models import WaitlistEntry

SOLD = (BookingStatus.PENDING, *ADMITTED)
IN_THE_HOUSE = (BookingStatus.CHECKED_IN, BookingStatus.COMPLETED)
DAYS = 14
RESOURCES = 12
NEXT = 8


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """What the index page shows this person."""
    now = timezone.now()
    today = timezone.localdate(now)
    return {
        **context,
        "title": _("Dashboard"),
        "today": f"{date_format(today, 'l, j F Y')} ({timezone.get_current_timezone()})",
        "tiles": [
            *_bookings_today(request, today, now),
            *_money(request, today, now),
            *_late_payments(request, now),
            *_refunds(request),
            *_line(request, now),
        ],
        "per_day": _bookings_per_day(request, today),
        "occupancy": _occupancy(request, today),
        "next_starts": _next_starts(request, now),
        "problems": _problems(request),
        "may_see_slots": _rows(request, Slot) is not None,
    }


def _rows(request: HttpRequest, model: type[Any]) -> QuerySet[Any] | None:
    """This person's rows of a model, or None if they may see none."""
    model_admin = site._registry[model]
    if not model_admin.has_view_permission(request):
        return None
    return model_admin.get_queryset(request).order_by()


def _day(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time(0)))


def _tile(
    name: str, figure: Any, note: str = "", url: str = "", *, warn: bool = False
) -> dict[str, Any]:
    return {
        "name": name,
        "figure": figure,
        "note": note,
        "url": url,
        "warn": warn,
        "long": len(str(figure)) > 9,
    }


def _bookings_today(request: HttpRequest, today: date, now: datetime) -> list[dict[str, Any]]:
    rows = _rows(request, Booking)
    if rows is None:
        return []
    is_today = Q(
        slot__starts_at__gte=_day(today),
        slot__starts_at__lt=_day(today + timedelta(days=1)),
    )
    found = (
        rows.select_related(None)
        .filter(is_today, status__in=SOLD)
        .aggregate(
            bookings=Count("pk"),
            people=Sum("units"),
            here=Sum("units", filter=Q(status__in=IN_THE_HOUSE)),
        )
    )
    holds = (
        rows.select_related(None)
        .filter(status=BookingStatus.HELD, held_until__gt=now)
        .aggregate(n=Count("pk"), people=Sum("units"))
    )
    people, here = found["people"] or 0, found["here"] or 0
    bookings = reverse("admin:bookings_booking_changelist")
    check_in = request.user.has_perm("bookings.check_in_booking")
    return [
        _tile(
            _("Bookings today"),
            found["bookings"],
            show_bookings.people(people) if people else _("nobody is expected"),
            f"{bookings}?when=today",
        ),
        _tile(
            _("Checked in"),
            f"{here} / {people}" if people else "0",
            (_("everybody is here") if here == people else _("people")) if people else "",
            reverse("admin:check_in") if check_in else "",
        ),
        _tile(
            _("On hold in carts"),
            holds["n"],
            show_bookings.people(holds["people"]) if holds["people"] else "",
            f"{bookings}?status__exact=held",
        ),
    ]


def _money(request: HttpRequest, today: date, now: datetime) -> list[dict[str, Any]]:
    rows = _rows(request, CartTransaction)
    if rows is None:
        return []
    rows = rows.select_related(None)
    waiting = Q(status=TransactionStatus.UNDER_REVIEW)
    unpaid = Q(status=TransactionStatus.PENDING, payment_method=PaymentMethod.PAY_NOW)
    found = rows.filter(waiting | unpaid).aggregate(
        waiting=Count("pk", filter=waiting),
        oldest=Min("submitted_at", filter=waiting),
        overdue=Count("pk", filter=queue.overdue_reviews(now)),
        unpaid=Count("pk", filter=unpaid),
    )
    approved = (
        rows.filter(
            status=TransactionStatus.APPROVED,
            decided_at__gte=_day(today),
            decided_at__lt=_day(today + timedelta(days=1)),
        )
        .values("currency")
        .annotate(total=Sum("amount"), count=Count("pk"))
        .order_by("-total")
    )
    revenue = list(approved)
    count = sum(r["count"] for r in revenue)
    listed = reverse("admin:payments_carttransaction_changelist")
    may_decide = site._registry[CartTransaction].may(request, queue.APPROVE)  # type: ignore[attr-defined]
    oldest = found["oldest"]
    return [
        _tile(
            _("Wait for review"),
            found["waiting"],
            _waiting_words(found["overdue"], oldest, now=now),
            reverse("admin:payments_review")
            if may_decide
            else f"{listed}?status__exact=under_review",
            warn=bool(found["overdue"] or (oldest and now - oldest > queue.LONG_WAIT)),
        ),
        _tile(
            _("Not paid yet"),
            found["unpaid"],
            _("no proof came so far") if found["unpaid"] else "",
            f"{listed}?status__exact=pending&payment_method__exact=pay_now",
        ),
        _tile(
            _("Approved today"),
            ", ".join(show.money(r["total"], r["currency"]) for r in revenue if r["total"]) or "0",
            ngettext("%d transaction", "%d transactions", count) % count if count else "",
            f"{listed}?status__exact=approved",
        ),
    ]


def _late_payments(request: HttpRequest, now: datetime) -> list[dict[str, Any]]:
    """Money that came too late and waits for a decision; nothing where none does."""
    rows = _rows(request, LatePayment)
    if rows is None:
        return []
    waiting = rows.select_related(None).filter(status=LateStatus.OPEN)
    found = waiting.aggregate(n=Count("pk"), oldest=Min("created_at"))
    if not found["n"]:
        return []
    return [
        _tile(
            _("Late payments"),
            found["n"],
            _("oldest: %s") % show_bookings.ago(found["oldest"], now=now),
            f"{reverse('admin:payments_latepayment_changelist')}?status__exact=open",
            warn=True,
        )
    ]


def _refunds(request: HttpRequest) -> list[dict[str, Any]]:
    """What is owed back to customers; nothing where nothing is."""
    rows = _rows(request, Refund)
    if rows is None:
        return []
    owed = list(
        rows.select_related(None)
        .filter(status=RefundStatus.OWED)
        .values("currency")
        .annotate(
            total=Sum("amount"), count=Count("pk"), unseen=Count("pk", filter=Q(verified=False))
        )
        .order_by("-total")
    )
    count, unseen = sum(r["count"] for r in owed), sum(r["unseen"] for r in owed)
    if not count:
        return []
    note = ngettext("%d refund", "%d refunds", count) % count
    if unseen:
        note += ", " + ngettext("%d not seen yet", "%d not seen yet", unseen) % unseen
    return [
        _tile(
            _("To be paid back"),
            ", ".join(show.money(r["total"], r["currency"]) for r in owed),
            note,
            reverse("admin:payments_refund_changelist"),
        )
    ]


def _waiting_words(overdue: int, oldest: datetime | None, *, now: datetime) -> str:
    if oldest is None:
        return _("all done")
    words: str = _("oldest: %s") % show_bookings.ago(oldest, now=now)
    if overdue:
        late = ngettext("%d overdue", "%d overdue", overdue) % overdue
        return f"{late}, {words}"
    return words


def _line(request: HttpRequest, now: datetime) -> list[dict[str, Any]]:
    """Who waits, and what they were offered; nothing where nobody does."""
    rows = _rows(request, WaitlistEntry)
    if rows is None:
        return []
    ends_soon = Q(offers__status=OfferStatus.OPEN, offers__expires_at__lte=now + SOON)
    found = rows.order_by().aggregate(
        waiting=Count("pk", filter=Q(status=EntryStatus.WAITING), distinct=True),
        offered=Count("pk", filter=Q(status=EntryStatus.OFFERED), distinct=True),
        soon=Count("pk", filter=ends_soon, distinct=True),
    )
    if not found["waiting"] and not found["offered"]:
        return []
    listed = reverse("admin:waitlist_waitlistentry_changelist")
    tiles = [
        _tile(
            _("In line"),
            found["waiting"],
            _("wait for seats") if found["waiting"] else "",
            f"{listed}?line=waiting",
        ),
        _tile(
            _("Offers open"),
            found["offered"],
            _("wait for an answer") if found["offered"] else "",
            f"{listed}?line=offered",
        ),
    ]
    if found["soon"]:
        tiles.append(
            _tile(
                _("Offers running out"),
                found["soon"],
                _("within an hour"),
                f"{listed}?line=soon",
                warn=True,
            )
        )
    return tiles


def _bookings_per_day(request: HttpRequest, today: date) -> dict[str, Any] | None:
    """Bookings by the day they are for, from 14 days ago to 14 days ahead."""
    rows = _rows(request, Booking)
    if rows is None:
        return None
    first, last = today - timedelta(days=DAYS), today + timedelta(days=DAYS)
    counted = dict(
        rows.select_related(None)
        .filter(
            status__in=SOLD,
            slot__starts_at__gte=_day(first),
            slot__starts_at__lt=_day(last + timedelta(days=1)),
        )
        .annotate(day=TruncDate("slot__starts_at", tzinfo=timezone.get_current_timezone()))
        .values_list("day")
        .annotate(n=Count("pk"))
    )
    days = [first + timedelta(days=n) for n in range(2 * DAYS + 1)]
    figures = [counted.get(day, 0) for day in days]
    colours = [
        "var(--color-primary-300)"
        if day < today
        else "var(--color-primary-700)"
        if day == today
        else "var(--color-primary-500)"
        for day in days
    ]
    return {
        "empty": not any(figures),
        "data": json.dumps(
            {
                "labels": [date_format(day, "j M") for day in days],
                "datasets": [{"label": _("Bookings"), "data": figures, "backgroundColor": colours}],
            }
        ),
        "options": json.dumps(_chart()),
    }


def _occupancy(request: HttpRequest, today: date) -> dict[str, Any] | None:
    """How full each resource is today and the six days after, the fullest first.

    Counted from bookings: the counters of a slot forget who has come and gone.
    """
    slots, bookings = _rows(request, Slot), _rows(request, Booking)
    if slots is None or bookings is None:
        return None
    week = _day(today), _day(today + timedelta(days=7))
    offered = (
        slots.select_related(None)
        .exclude(status=SlotStatus.LEGACY, taken_units=0)
        .filter(starts_at__gte=week[0], starts_at__lt=week[1])
        .values("resource_id", "resource__name")
        .annotate(most=Sum("max_units"))
    )
    taken = dict(
        bookings.select_related(None)
        .filter(slot__starts_at__gte=week[0], slot__starts_at__lt=week[1], status__in=SOLD)
        .values_list("slot__resource_id")
        .annotate(taken=Sum("units"))
    )
    shares = sorted(
        (
            (min(100, round(100 * taken.get(r["resource_id"], 0) / r["most"])), r["resource__name"])
            for r in offered
        ),
        reverse=True,
    )
    options = _chart(horizontal=True)
    return {
        "empty": not shares,
        "more": max(0, len(shares) - RESOURCES),
        "data": json.dumps(
            {
                "labels": [name for _share, name in shares[:RESOURCES]],
                "datasets": [
                    {
                        "label": _("Percent taken"),
                        "data": [share for share, _name in shares[:RESOURCES]],
                        "backgroundColor": "var(--color-primary-500)",
                    }
                ],
            }
        ),
        "options": json.dumps(options),
    }


def _chart(*, horizontal: bool = False) -> dict[str, Any]:
    ticks: dict[str, Any] = {"color": "#9ca3af", "precision": 0}
    plain: dict[str, Any] = {"grid": {"display": False}, "ticks": {**ticks, "maxRotation": 0}}
    lined: dict[str, Any] = {
        "beginAtZero": True,
        "grid": {"color": "rgba(156, 163, 175, .2)"},
        "border": {"display": False},
        "ticks": ticks,
    }
    if horizontal:
        lined["max"] = 100
    return {
        "animation": False,
        "responsive": True,
        "maintainAspectRatio": False,
        "indexAxis": "y" if horizontal else "x",
        "maxBarThickness": 22,
        "datasets": {"bar": {"borderRadius": 4}},
        "plugins": {"legend": {"display": False}},
        "scales": {"x": lined, "y": plain} if horizontal else {"x": plain, "y": lined},
    }


def _next_starts(request: HttpRequest, now: datetime) -> list[dict[str, Any]] | None:
    rows = _rows(request, Slot)
    if rows is None:
        return None
    following = (
        rows.filter(starts_at__gt=now, taken_bookings__gt=0)
        .select_related("resource")
        .order_by("starts_at", "pk")[:NEXT]
    )
    return [
        {
            "url": reverse("admin:bookings_slot_change", args=[slot.pk]),
            "time": show_bookings.slot_time(slot),
            "resource": slot.resource.name,
            "fill": show_bookings.bar(slot.taken_units, slot.max_units, title=_("people")),
        }
        for slot in following
    ]


def _problems(request: HttpRequest) -> list[dict[str, Any]] | None:
    """What did not get through or does not agree; None for those it does not concern."""
    deliveries, findings = _rows(request, Delivery), _rows(request, Finding)
    if deliveries is None and findings is None:
        return None
    found = []
    if deliveries is not None:
        dead = deliveries.filter(status=DeliveryStatus.DEAD).count()
        if dead:
            url = reverse("admin:audit_delivery_changelist")
            text = ngettext(
                "%d message could not be delivered and was given up.",
                "%d messages could not be delivered and were given up.",
                dead,
            )
            found.append({"text": text % dead, "url": f"{url}?status__exact=dead"})
    if findings is not None:
        wrong = findings.filter(
            status__in=[Finding.Status.OPEN, Finding.Status.NEEDS_REVIEW]
        ).count()
        if wrong:
            url = reverse("admin:audit_finding_changelist")
            text = ngettext(
                "The checks found %d thing that does not agree.",
                "The checks found %d things that do not agree.",
                wrong,
            )
            found.append({"text": text % wrong, "url": f"{url}?status__exact=open"})
    return found
