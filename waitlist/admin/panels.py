"""What the waitlist adds to the pages of slots, customers and bookings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import Q
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from bookings.admin.base import person
from bookings.admin.customers import CustomerAdmin
from bookings.admin.show import NOTHING, link_to, when
from bookings.admin.slots import SlotAdmin
from bookings.models import Customer, Slot
from bookings.permissions import may
from waitlist import selectors
from waitlist.admin import show
from waitlist.lifecycle import GOING_ON
from waitlist.models import WaitlistEntry

TABLE = "admin/holdfast/table_panel.html"
VIEW = "waitlist.view_waitlistentry"
MOST = 100


def line_rows(entries: Sequence[WaitlistEntry], *, marked: Any = None) -> list[list[Any]]:
    """A line as a table: place, who, how many, what is offered."""
    now = timezone.now()
    selectors.load_positions(entries)
    rows = []
    for entry in entries:
        offer = selectors.open_offer(entry)
        place = getattr(entry, "position", None)
        who: SafeString | Any = link_to(entry, entry.customer)
        if entry.pk == marked:
            who = format_html("<strong>{}</strong> ←", entry.customer)
        rows.append(
            [
                place or NOTHING,
                who,
                entry.units,
                when(entry.joined_at),
                show.passed_over(entry),
                show.left(offer.expires_at, now=now) if offer else show.entry_badge(entry),
            ]
        )
    return rows


def headers() -> list[str]:
    return [_("Place"), _("Customer"), _("People"), _("Since"), _("Passed over"), _("State")]


def line_of_slot(request: HttpRequest, slot: Slot) -> tuple[str, dict[str, Any]] | None:
    """Who waits for this slot, in order, with those who wait for any time."""
    if not may(person(request), VIEW, slot.organization_id):
        return None
    wants = Q(slot=slot) | Q(
        slot__isnull=True,
        resource=slot.resource_id,
        from_at__lte=slot.starts_at,
        until_at__gte=slot.ends_at,
    )
    found = selectors.with_parts(
        WaitlistEntry.objects.filter(wants, status__in=GOING_ON).order_by("placed_at", "pk")
    )[:MOST]
    url = reverse("admin:waitlist_waitlistentry_changelist")
    return TABLE, {
        "title": _("Waitlist"),
        "headers": headers(),
        "rows": line_rows(list(found)),
        "empty": _("Nobody waits for it."),
        "more": f"{url}?line=all&slot__id__exact={slot.pk}",
        "more_text": _("Everybody who ever did"),
    }


def entries_of_customer(
    request: HttpRequest, customer: Customer
) -> tuple[str, dict[str, Any]] | None:
    """What a customer waits for, and waited for."""
    if not may(person(request), VIEW, customer.organization_id):
        return None
    newest = (
        WaitlistEntry.objects.filter(customer=customer)
        .select_related("slot", "resource", "customer")
        .order_by("-joined_at", "-pk")[:20]
    )
    url = reverse("admin:waitlist_waitlistentry_changelist")
    return TABLE, {
        "title": _("Waitlist"),
        "headers": [_("What for"), _("When"), _("People"), _("Since"), _("State")],
        "rows": [
            [
                link_to(one, one.resource),
                show.wanted(one),
                one.units,
                when(one.joined_at),
                show.entry_badge(one),
            ]
            for one in newest
        ],
        "empty": _("Has never waited for anything."),
        "more": f"{url}?line=all&customer__id__exact={customer.pk}",
        "more_text": _("All of them"),
    }


SlotAdmin.panels.append(line_of_slot)
CustomerAdmin.panels.append(entries_of_customer)
