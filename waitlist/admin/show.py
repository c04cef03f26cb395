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
    """When somebody wants it; slot and resource must be loaded."""
    if entry.slot is not None:
        entry.slot.resource = entry.resource
        return slot_time(entry.slot)
    zone = entry.resource.time_zone
    return gettext("any time from %(since)s to %(until)s") % {
        "since": when(entry.from_at, zone),
        "until": when(entry.until_at, zone),
    }


def left(until: datetime, *, now: datetime) -> SafeString:
    """Until when and how long somebody still has, coloured when it is short."""
    if until <= now:
        return format_html(
            '<span class="hf-due hf-due-soon">{}</span>', gettext("time is up, goes to the next")
        )
    return format_html(
        '<span class="hf-due{}" title="{}">{}</span>',
        " hf-due-soon" if until - now <= SOON else "",
        gettext("until %s") % when(until),
        gettext("%s left") % ago(now, now=until),
    )


def due(offer: Offer, *, now: datetime) -> SafeString | str:
    """The deadline of an offer; how long that is, if it still can be answered."""
    if offer.status != OfferStatus.OPEN:
        return when(offer.expires_at)
    return format_html("{}<br>{}", when(offer.expires_at), left(offer.expires_at, now=now))


def offer_outcome(offer: Offer) -> SafeString:
    if offer.answered_at is None:
        return offer_badge(offer)
    return format_html(
        '{}<br><span class="hf-quiet">{}</span>', offer_badge(offer), when(offer.answered_at)
    )


def passed_over(entry: WaitlistEntry) -> SafeString | str:
    """How often somebody behind was served, with the reason of the last time."""
    if not entry.passed_over:
        return NOTHING
    times = ngettext("%d time", "%d times", entry.passed_over) % entry.passed_over
    return format_html('{}<br><span class="hf-quiet">{}</span>', times, entry.passed_over_reason)


def contact(entry: WaitlistEntry) -> SafeString:
    """How to reach somebody, as links; who has no e-mail address hears of an offer by a call."""
    customer = entry.customer
    phone = (
        format_html(
            '<a class="hf-link" href="tel:{}">{}</a>', customer.phone.as_e164, customer.phone
        )
        if customer.phone
        else ""
    )
    if customer.email:
        mail = format_html('<a class="hf-link" href="mailto:{0}">{0}</a>', customer.email)
        return format_html("{}<br>{}", mail, phone) if phone else mail
    if phone:
        return format_html("{} {}", badge(gettext("call"), "warning"), phone)
    return badge(gettext("cannot be reached"), "danger")
