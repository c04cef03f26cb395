"""How places in line and offers look."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext

from bookings.admin.show import NOTHING, ago, badge, slot_time, when
from waitlist.lifecycle import EntryStatus, OfferStatus
from waitlist.models import Offer, WaitlistEntry

COLOURS = {
    EntryStatus.WAITING.value: "info",
    EntryStatus.OFFERED.value: "warning",
    EntryStatus.ACCEPTED.value: "success",
    EntryStatus.FULFILLED.value: "primary",
    EntryStatus.SETTLED.value: "default",
    EntryStatus.DECLINED.value: "default",
    EntryStatus.EXPIRED.value: "danger",
    EntryStatus.LEFT.value: "default",
    EntryStatus.CLOSED.value: "default",
}
OFFER_COLOURS = {
    OfferStatus.OPEN.value: "warning",
    OfferStatus.ACCEPTED.value: "success",
    OfferStatus.DECLINED.value: "default",
    OfferStatus.EXPIRED.value: "danger",
    OfferStatus.WITHDRAWN.value: "default",
}
SOON = timedelta(hours=1)


def entry_badge(entry: WaitlistEntry) -> SafeString:
    return badge(entry.get_status_display(), COLOURS[entry.status])


def offer_badge(offer: Offer) -> SafeString:
    return badge(offer.get_status_display(), OFFER_COLOURS[offer.status])


def wanted(entry: WaitlistEntry) -> str:
    """What somebody waits for; slot and resource must be loaded."""
    if entry.slot is not None:
        entry.slot.resource = entry.resource
        return slot_time(entry.slot)
    zone = entry.resource.time_zone
    return gettext("any time from %(since)s to %(until)s") % {
        "since": when(entry.from_at, zone),
        "until": when(entry.until_at, zone),
    }


def left(until: datetime, *, now: datetime) -> SafeString:
    """How long somebody still has, coloured when it is short."""
    if until <= now:
        return badge(gettext("over"), "danger")
    words = gettext("%s left") % ago(now, now=until)
    return badge(words, "danger" if until - now <= SOON else "warning")


def passed_over(entry: WaitlistEntry) -> SafeString | str:
    """How often somebody behind was served, with the reason of the last time."""
    if not entry.passed_over:
        return NOTHING
    times = ngettext("%d time", "%d times", entry.passed_over) % entry.passed_over
    return format_html('{}<br><span class="hf-quiet">{}</span>', times, entry.passed_over_reason)


def contact(entry: WaitlistEntry) -> SafeString | str:
    """How to reach somebody; who has no e-mail address has to be called."""
    customer = entry.customer
    if customer.email:
        return str(customer.email)
    if customer.phone:
        return badge(gettext("call %s") % customer.phone, "warning")
    return badge(gettext("cannot be reached"), "danger")
