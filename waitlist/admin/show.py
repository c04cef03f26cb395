"""How places in line and offers look."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext

from bookings.admin.show import NOTHING, ago, badge, local, slot_time, when
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


def lines(*parts: Any) -> SafeString:
    """What stands below each other in one cell, on a phone as well."""
    return format_html(
        '<div class="hf-lines">{}</div>',
        format_html_join(SafeString("<br>"), "{}", ((p,) for p in parts if p)),
    )


def whole(text: Any) -> SafeString:
    """A time that is not broken into several lines."""
    return format_html('<span class="hf-nowrap">{}</span>', text)


def quiet(text: Any) -> SafeString:
    return format_html('<span class="hf-quiet">{}</span>', text)


def wanted(entry: WaitlistEntry) -> str:
    """When somebody wants it; slot and resource must be loaded."""
    if entry.slot is not None:
        entry.slot.resource = entry.resource
        return slot_time(entry.slot)
    assert entry.from_at is not None
    assert entry.until_at is not None
    zone = entry.resource.time_zone
    since, until = local(entry.from_at, zone), local(entry.until_at, zone)
    if since.date() == until.date():
        return gettext("any time %(since)s–%(until)s") % {
            "since": when(entry.from_at, zone),
            "until": f"{until:%H:%M}",
        }
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


def due(offer: Offer, *, now: datetime) -> SafeString:
    """The deadline of an offer; how long that is, if it still can be answered."""
    if offer.status != OfferStatus.OPEN:
        return whole(when(offer.expires_at))
    return lines(whole(when(offer.expires_at)), left(offer.expires_at, now=now))


def offer_outcome(offer: Offer) -> SafeString:
    if offer.answered_at is None:
        return offer_badge(offer)
    return lines(offer_badge(offer), whole(quiet(when(offer.answered_at))))


def passed_over(entry: WaitlistEntry) -> SafeString | str:
    """How often somebody behind was served, with the reason of the last time."""
    if not entry.passed_over:
        return NOTHING
    times = ngettext("%d time", "%d times", entry.passed_over) % entry.passed_over
    return lines(times, quiet(entry.passed_over_reason))


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
        return lines(mail, phone)
    if phone:
        return format_html("{} {}", badge(gettext("call"), "warning"), phone)
    return badge(gettext("cannot be reached"), "danger")
