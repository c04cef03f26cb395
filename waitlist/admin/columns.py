"""How a place in line is written, in the list and on its page."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from bookings.admin.show import NOTHING, ago, link_to, slot_time, when
from waitlist import selectors
from waitlist.admin import show
from waitlist.lifecycle import EntryStatus
from waitlist.models import WaitlistEntry


class EntryColumns:
    """What is shown of an entry that ``WaitlistAdmin.prepare`` has prepared."""

    @display(description=_("customer"), ordering="customer__name")
    def who(self, entry: WaitlistEntry) -> str:
        return str(entry.customer)

    @display(description=_("customer"))
    def customer_link(self, entry: WaitlistEntry) -> Any:
        if not getattr(entry, "shows_contact", False):
            return str(entry.customer)
        return link_to(entry.customer)

    @display(description=_("contact"))
    def reach(self, entry: WaitlistEntry) -> Any:
        return show.contact(entry) if getattr(entry, "shows_contact", False) else ""

    @display(description=_("resource"))
    def resource_link(self, entry: WaitlistEntry) -> SafeString:
        return link_to(entry.resource)

    @display(description=_("waits for"), ordering="slot__starts_at")
    def wanted(self, entry: WaitlistEntry) -> SafeString:
        time = show.quiet(show.wanted(entry))
        if entry.slot is not None:
            time = show.whole(time)
        return show.lines(entry.resource, time)

    @display(description=_("for when"))
    def time(self, entry: WaitlistEntry) -> Any:
        if entry.slot is None:
            return show.wanted(entry)
        return link_to(entry.slot, show.wanted(entry))

    @display(description=_("place"), ordering="placed_at")
    def place(self, entry: WaitlistEntry) -> Any:
        return getattr(entry, "position", NOTHING)

    @display(description=_("has waited"), ordering="joined_at")
    def since(self, entry: WaitlistEntry) -> SafeString:
        until = entry.ended_at or timezone.now()
        return format_html(
            '<span class="hf-nowrap" title="{}">{}</span>',
            when(entry.joined_at),
            ago(entry.joined_at, now=until),
        )

    @display(description=_("joined"))
    def joined(self, entry: WaitlistEntry) -> str:
        return when(entry.joined_at)

    @display(description=_("place in line"))
    def placed(self, entry: WaitlistEntry) -> str:
        if entry.placed_at == entry.joined_at:
            return gettext("By when they joined")
        return gettext("Moved by staff; the history says why")

    @display(description=_("passed over"), ordering="passed_over")
    def show_passed_over(self, entry: WaitlistEntry) -> Any:
        return show.passed_over(entry)

    @display(description=_("status"), ordering="status")
    def show_status(self, entry: WaitlistEntry) -> SafeString:
        """With what is offered and until when, while an answer is due."""
        badge = show.entry_badge(entry)
        offer = selectors.open_offer(entry) if entry.status == EntryStatus.OFFERED else None
        if offer is None:
            return badge
        due = show.left(offer.expires_at, now=timezone.now())
        which = show.quiet(slot_time(offer.booking.slot)) if entry.slot_id is None else ""
        return show.lines(badge, which, due)

    @display(description=_("ended"))
    def ended(self, entry: WaitlistEntry) -> str:
        return when(entry.ended_at)
