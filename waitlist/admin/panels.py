"""What the waitlist adds to pages: the whole line and the offers on those of its entries, who
waits on those of slots, what for on those of customers."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _

from bookings.admin.base import person
from bookings.admin.customers import CustomerAdmin
from bookings.admin.show import NOTHING, ago, link_to, slot_time, when
from bookings.admin.slots import SlotAdmin
from bookings.models import Customer, Slot
from bookings.permissions import may
from waitlist import selectors
from waitlist.admin import show
from waitlist.models import Offer, WaitlistEntry

TABLE = "admin/holdfast/table_panel.html"
VIEW = "waitlist.view_waitlistentry"
MOST = 100
NEWEST = 20

Made = tuple[str, dict[str, Any]]


def whole_line(request: HttpRequest, entry: WaitlistEntry) -> Made:
    """Everybody who waits for what this one waits for, in order, with this one marked."""
    found = list(selectors.with_parts(selectors.same_line(entry, now=timezone.now()))[:MOST])
    mixed = any(e.slot_id != entry.slot_id or e.slot_id is None for e in found)
    return TABLE, {
        "title": _("The line for any time of %s") % entry.resource
        if entry.slot_id is None
        else _("The line for this slot"),
        "headers": _headers(mixed),
        "rows": _rows(found, mixed=mixed, slot_id=entry.slot_id, marked=entry.pk),
        "empty": _("Nobody waits for this any more."),
    }


def offers_made(request: HttpRequest, entry: WaitlistEntry) -> Made:
    """What was offered to this customer, and what became of it."""
    found = Offer.objects.filter(entry=entry).select_related("booking__slot__resource")
    now = timezone.now()
    return TABLE, {
        "title": _("What was offered"),
        "headers": [_("Booking"), _("When"), _("Offered"), _("Answer until"), _("Outcome")],
        "rows": [
            [
                link_to(offer.booking),
                show.whole(slot_time(offer.booking.slot)),
                _by_hand(offer) if offer.by_hand else show.whole(when(offer.made_at)),
                show.due(offer, now=now),
                show.offer_outcome(offer),
            ]
            for offer in found.order_by("-made_at", "-pk")[:MOST]
        ],
        "empty": _("Nothing has been offered yet."),
    }


def _by_hand(offer: Offer) -> Any:
    return show.lines(
        when(offer.made_at), show.quiet(_("out of turn, by %s") % (offer.offered_by or _("staff")))
    )


def line_of_slot(request: HttpRequest, slot: Slot) -> Made | None:
    """Who waits for this slot, in order, with those who wait for any time."""
    if not may(person(request), VIEW, slot.organization_id):
        return None
    found = list(selectors.with_parts(selectors.line_of(slot, now=timezone.now()))[:MOST])
    mixed = any(e.slot_id is None for e in found)
    url = reverse("admin:waitlist_waitlistentry_changelist")
    has_line = slot.resource.takes_waitlist and slot.source != Slot.Source.FREE
    return TABLE, {
        "title": _("Waitlist"),
        "headers": _headers(mixed),
        "rows": _rows(found, mixed=mixed, slot_id=slot.pk),
        "empty": _("Nobody waits for it.")
        if has_line
        else _("Nobody can wait for it: its resource has no waitlist."),
        "more": f"{url}?line=all&slot__id__exact={slot.pk}",
        "more_text": _("Everybody who ever did"),
    }


def entries_of_customer(request: HttpRequest, customer: Customer) -> Made | None:
    """What a customer waits for, and waited for."""
    if not may(person(request), VIEW, customer.organization_id):
        return None
    newest = list(
        selectors.with_parts(WaitlistEntry.objects.filter(customer=customer)).order_by(
            "-joined_at", "-pk"
        )[:NEWEST]
    )
    now = timezone.now()
    selectors.load_positions(newest, now=now)
    url = reverse("admin:waitlist_waitlistentry_changelist")
    return TABLE, {
        "title": _("Waitlist"),
        "headers": [_("What for"), _("When"), _("People"), _("Place"), _("Joined"), _("Status")],
        "rows": [
            [
                link_to(one, one.resource),
                show.whole(show.wanted(one)),
                one.units,
                getattr(one, "position", NOTHING),
                show.whole(when(one.joined_at)),
                _state(one, now),
            ]
            for one in newest
        ],
        "empty": _("Has never waited for anything."),
        "more": f"{url}?line=all&customer__id__exact={customer.pk}",
        "more_text": _("All of them"),
    }


def _rows(
    entries: Sequence[WaitlistEntry],
    *,
    mixed: bool,
    slot_id: uuid.UUID | None,
    marked: uuid.UUID | None = None,
) -> list[list[Any]]:
    """A line as a table: place, who, how many, for what if that differs, and what is offered."""
    now = timezone.now()
    selectors.load_positions(entries, now=now)
    return [
        [
            getattr(entry, "position", NOTHING),
            format_html('<strong class="hf-this">{}</strong>', entry.customer)
            if entry.pk == marked
            else link_to(entry, entry.customer),
            entry.units,
            *([_wanted(entry, slot_id)] if mixed else []),
            format_html(
                '<span class="hf-nowrap" title="{}">{}</span>',
                when(entry.joined_at),
                ago(entry.joined_at, now=now),
            ),
            show.passed_over(entry),
            _state(entry, now),
        ]
        for entry in entries
    ]


def _wanted(entry: WaitlistEntry, slot_id: uuid.UUID | None) -> Any:
    here = slot_id is not None and entry.slot_id == slot_id
    return show.whole(_("this slot") if here else show.wanted(entry))


def _state(entry: WaitlistEntry, now: Any) -> Any:
    offer = selectors.open_offer(entry) if entry.is_going_on else None
    if offer is None:
        return show.entry_badge(entry)
    return format_html("{} {}", show.entry_badge(entry), show.left(offer.expires_at, now=now))


def _headers(mixed: bool) -> list[str]:
    return [
        _("Place"),
        _("Customer"),
        _("People"),
        *([_("Waits for")] if mixed else []),
        _("Has waited"),
        _("Passed over"),
        _("Status"),
    ]


SlotAdmin.panels.append(line_of_slot)
CustomerAdmin.panels.append(entries_of_customer)
