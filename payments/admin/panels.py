"""What money adds to the pages of bookings and customers."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _

from bookings.admin import schedule_words
from bookings.admin.base import person
from bookings.admin.bookings import BookingAdmin
from bookings.admin.customers import CustomerAdmin
from bookings.admin.resources import ResourceAdmin
from bookings.admin.show import NOTHING, link, link_to, when
from bookings.models import Booking, Customer, Resource
from bookings.permissions import may
from payments.admin import show
from payments.cancelling import owed
from payments.models import CartItem, CartTransaction, Price

TABLE = "admin/holdfast/table_panel.html"
VIEW = "payments.view_carttransaction"
MOST = 20


def payment_of_booking(request: HttpRequest, booking: Booking) -> tuple[str, dict[str, Any]] | None:
    """What a booking costs and how it is paid."""
    if not may(person(request), VIEW, booking.organization_id):
        return None
    item = CartItem.objects.filter(booking=booking).select_related("transaction").first()
    rows = []
    if item and item.transaction:
        rows.append(
            [
                link_to(item.transaction),
                show.money(item.amount or item.transaction.amount, item.currency),
                item.transaction.get_payment_method_display(),
                show.payment_badge(item.transaction),
                show.status_badge(item.transaction),
            ]
        )
    return TABLE, {
        "title": _("Payment"),
        "headers": [_("Transaction"), _("Price"), _("Payment"), _("Paid"), _("Status")],
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
        "headers": [_("Name"), _("Price"), _("When"), _("Priority")],
        "rows": [
            [
                price.name or _("Price"),
                show.money(price.amount, price.currency),
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
    if price.from_time and price.until_time:
        parts.append(schedule_words.hours(price.from_time, price.until_time))
    if price.valid_from or price.valid_until:
        parts.append(schedule_words.span(price.valid_from, price.valid_until))
    return ", ".join(parts)


BookingAdmin.panels += [payment_of_booking, refund_of_booking]
CustomerAdmin.panels.append(transactions_of_customer)
ResourceAdmin.schedule_panels.append(prices_of_resource)
