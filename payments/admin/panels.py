"""What money adds to the pages of bookings and customers."""

from __future__ import annotations

import zoneinfo
from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.timezone import localdate
from django.utils.translation import gettext as _

from bookings import planning
from bookings.admin import schedule_words
from bookings.admin.base import person
from bookings.admin.bookings import BookingAdmin
from bookings.admin.customers import CustomerAdmin
from bookings.admin.resources import ResourceAdmin
from bookings.admin.show import NOTHING, link, link_to, when
from bookings.models import Booking, Customer, Resource, Slot
from bookings.permissions import may
from bookings.selectors_free_times import lengths_of
from payments import selectors
from payments.admin import show, words
from payments.cancelling import owed
from payments.models import CartItem, CartTransaction, Price
from payments.models.price import MIDNIGHT
from payments.prices import quote, rule_for

TABLE = "admin/holdfast/table_panel.html"
VIEW = "payments.view_carttransaction"
MOST = 20
COLUMNS = 4
MORNING = time(10)


def payment_of_booking(request: HttpRequest, booking: Booking) -> tuple[str, dict[str, Any]] | None:
    """What a booking costs and how it is paid."""
    if not may(person(request), VIEW, booking.organization_id):
        return None
    item = CartItem.objects.filter(booking=booking).select_related("transaction").first()
    rows = []
    if item and item.transaction:
        item.booking = booking
        rows.append(
            [
                link_to(item.transaction),
                show.money(item.amount or item.transaction.amount, item.currency),
                item.transaction.get_payment_method_display(),
                show.payment_badge(item.transaction),
                show.status_badge(item.transaction),
                words.until_when(item, now=timezone.now()) or NOTHING,
            ]
        )
    return TABLE, {
        "title": _("Payment"),
        "headers": [
            _("Transaction"),
            _("Price"),
            _("Payment"),
            _("Paid"),
            _("Status"),
            _("Cancelling"),
        ],
        "rows": rows,
        "empty": _("It is still in the customer's cart: nothing is to be paid yet."),
    }


def refund_of_booking(request: HttpRequest, booking: Booking) -> tuple[str, dict[str, Any]] | None:
    """What was kept and what is owed back of a cancelled booking; nothing where no money was."""
    if not may(person(request), "payments.view_refund", booking.organization_id):
        return None
    item = CartItem.objects.filter(booking=booking).select_related("refund").first()
    if item is None or not (item.refund or item.fee):
        return None
    refund = item.refund
    return TABLE, {
        "title": _("Refund"),
        "headers": [_("Kept"), _("To be paid back"), _("Status"), _("Reference")],
        "rows": [
            [
                show.money(item.fee, item.currency),
                link(
                    reverse("admin:payments_refund_change", args=[refund.pk]),
                    show.money(owed(item), item.currency),
                )
                if refund
                else NOTHING,
                show.refund_badge(refund) if refund else NOTHING,
                (refund.reference if refund else "") or NOTHING,
            ]
        ],
    }


def transactions_of_customer(
    request: HttpRequest, customer: Customer
) -> tuple[str, dict[str, Any]] | None:
    """The newest transactions of a customer."""
    if not may(person(request), VIEW, customer.organization_id):
        return None
    newest = CartTransaction.objects.filter(customer=customer).order_by("-created_at", "-pk")[:MOST]
    url = reverse("admin:payments_carttransaction_changelist")
    return TABLE, {
        "title": _("Transactions"),
        "headers": [_("Reference"), _("Made"), _("Amount"), _("Paid"), _("Status")],
        "rows": [
            [
                link_to(one),
                when(one.created_at),
                format_html("<strong>{}</strong>", show.money(one.amount, one.currency)),
                show.payment_badge(one),
                show.status_badge(one),
            ]
            for one in newest
        ],
        "empty": _("Nothing has been checked out yet."),
        "more": f"{url}?customer__id__exact={customer.pk}",
        "more_text": _("All of them"),
    }


def prices_of_resource(
    request: HttpRequest, resource: Resource
) -> tuple[str, dict[str, Any]] | None:
    """What a resource costs and when, beside its schedule."""
    if not may(person(request), "payments.view_price", resource.organization_id):
        return None
    prices = Price.objects.filter(resource=resource).order_by("-priority", "name", "pk")[:MOST]
    url = reverse("admin:bookings_resource_change", args=[resource.pk])
    return TABLE, {
        "title": _("Prices"),
        "headers": [_("Name"), _("Price"), _("Charged"), _("When"), _("Priority")],
        "rows": [
            [
                price.name or _("Price"),
                show.money(price.amount, price.currency),
                price.get_basis_display(),
                _price_hours(price),
                price.priority,
            ]
            for price in prices
        ],
        "empty": _("It has no price: whoever books it pays nothing."),
        "more": f"{url}#prices",
        "more_text": _("Change the prices"),
    }


def _price_hours(price: Price) -> str:
    parts = [schedule_words.weekdays(price.weekdays)]
    if price.from_time or price.until_time:
        parts.append(
            schedule_words.hours(price.from_time or MIDNIGHT, price.until_time or MIDNIGHT)
        )
    if price.valid_from or price.valid_until:
        parts.append(schedule_words.span(price.valid_from, price.valid_until))
    return ", ".join(parts)


def costs_by_length(request: HttpRequest, resource: Resource) -> tuple[str, dict[str, Any]] | None:
    """What one person pays for how long, from when each price by time begins to count."""
    if resource.mode != Resource.Mode.FREE_TIMES:
        return None
    if not may(person(request), "payments.view_price", resource.organization_id):
        return None
    rules = selectors.price_rules([resource.pk])
    lengths = _some(lengths_of(resource))
    by_time = [rule for rule in rules if rule.is_by_time]
    starts = {s for s in (_example(resource, rule, rules) for rule in by_time) if s is not None}
    if not starts or not lengths:
        return None
    slots = [[_slot(resource, start, length) for length in lengths] for start in sorted(starts)]
    return TABLE, {
        "title": _("What it costs"),
        "headers": [_("From"), *(_("%d minutes") % length for length in lengths)],
        "rows": [
            [
                when(its[0].starts_at, resource.time_zone),
                *(show.money(q.amount, q.currency) for q in (quote(s, 1, rules) for s in its)),
            ]
            for its in slots
        ],
    }


def _some(lengths: list[int]) -> list[int]:
    """A few of many lengths, with the shortest and the longest."""
    if len(lengths) <= COLUMNS:
        return lengths
    return [lengths[i * (len(lengths) - 1) // (COLUMNS - 1)] for i in range(COLUMNS)]


def _example(resource: Resource, rule: Price, rules: Sequence[Price]) -> datetime | None:
    """When a price counts next, at its first hour or in the morning; None: not for two weeks."""
    zone = zoneinfo.ZoneInfo(resource.time_zone)
    today = localdate(timezone=zone)
    for day in (today + timedelta(days=n) for n in range(1, 15)):
        for at in (rule.from_time or MORNING, MIDNIGHT):
            start = datetime.fromtimestamp(planning.instant(zone, day, at), UTC)
            if rule_for(_slot(resource, start, 1), rules) == rule:
                return start
    return None


def _slot(resource: Resource, start: datetime, minutes: int) -> Slot:
    """A slot that is only thought of."""
    end = start + timedelta(minutes=minutes)
    return Slot.at(resource, start, end, max_bookings=1, max_units=1)


BookingAdmin.panels += [payment_of_booking, refund_of_booking]
CustomerAdmin.panels.append(transactions_of_customer)
ResourceAdmin.panels.append(costs_by_length)
ResourceAdmin.schedule_panels += [prices_of_resource, costs_by_length]
