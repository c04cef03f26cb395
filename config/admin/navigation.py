"""The sidebar: what this person may open, most used first, and what waits for them."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext as _

from bookings.permissions import organizations_with
from payments.admin import late, queue


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """The groups of the sidebar with the entries this person may open."""
    user: Any = request.user
    groups: list[tuple[str, list[tuple[str, str, str, str]]]] = [
        (
            _("Today"),
            [
                (_("Dashboard"), "dashboard", "admin:index", ""),
                (_("Calendar"), "calendar_month", "admin:calendar", "bookings.view_booking"),
                (
                    _("Review queue"),
                    "fact_check",
                    "admin:payments_review",
                    "payments.approve_carttransaction",
                ),
                (_("Check-in"), "qr_code_scanner", "admin:check_in", "bookings.check_in_booking"),
            ],
        ),
        (
            _("Bookings"),
            [
                _list(_("Bookings"), "event_available", "bookings_booking"),
                _list(_("Series"), "event_repeat", "bookings_series"),
                _list(_("Slots"), "schedule", "bookings_slot"),
                _list(_("Waitlist"), "hourglass_top", "waitlist_waitlistentry"),
                _list(_("Customers"), "groups", "bookings_customer"),
            ],
        ),
        (
            _("Payments"),
            [
                _list(_("Transactions"), "receipt_long", "payments_carttransaction"),
                _list(_("Late payments"), "running_with_errors", "payments_latepayment"),
                _list(_("Refunds"), "currency_exchange", "payments_refund"),
                _list(_("Proofs of payment"), "image", "payments_proof"),
            ],
        ),
        (
            _("Set up"),
            [
                _list(_("Resources"), "sports_tennis", "bookings_resource"),
                _list(_("Closing days"), "event_busy", "bookings_scheduleexception"),
                _list(_("Pools"), "workspaces", "bookings_pool"),
                _list(_("Organisation"), "domain", "bookings_organization"),
                (
                    _("How the waitlist works"),
                    "hourglass_empty",
                    "admin:waitlist_waitlistpolicy_changelist",
                    "waitlist.change_waitlistpolicy",
                ),
                (
                    _("How we are paid"),
                    "payments",
                    "admin:payments_paymentpolicy_changelist",
                    "payments.change_paymentpolicy",
                ),
                _list(_("Staff members"), "badge", "bookings_membership"),
            ],
        ),
        (
            _("Record"),
            [
                _list(_("Deliveries"), "outgoing_mail", "audit_delivery"),
                _list(_("Events"), "bolt", "audit_outboxevent"),
                _list(_("Findings"), "troubleshoot", "audit_finding"),
                _list(_("Reports"), "summarize", "audit_consistencyreport"),
            ],
        ),
        (
            _("Operation"),
            [
                (_("Accounts"), "person", "admin:bookings_user_changelist", "superuser"),
                (
                    _("E-mail addresses"),
                    "alternate_email",
                    "admin:account_emailaddress_changelist",
                    "superuser",
                ),
                (
                    _("Scheduled tasks"),
                    "schedule",
                    "admin:django_celery_beat_periodictask_changelist",
                    "superuser",
                ),
                (
                    _("Schedules"),
                    "timer",
                    "admin:django_celery_beat_crontabschedule_changelist",
                    "superuser",
                ),
            ],
        ),
    ]
    here = request.path
    if "queue" in request.GET:  # a transaction that was opened from the queue
        here = reverse("admin:payments_review")
    found: list[dict[str, Any]] = []
    for title, entries in groups:
        shown = []
        for name, icon, url_name, permission in entries:
            link = _link(url_name)
            if link is None or not _may(user, permission):
                continue
            item = {"title": name, "icon": icon, "link": link, "active": _active(link, here)}
            if url_name == "admin:payments_review" and (count := queue.queue(user).count()):
                item |= {"badge": str(count), "badge_variant": "warning"}
            if url_name == "admin:payments_latepayment_changelist" and (
                count := late.waiting(user).count()
            ):
                item |= {"badge": str(count), "badge_variant": "warning"}
            shown.append(item)
        if shown:
            found.append({"title": title, "separator": bool(found), "items": shown})
    return found


def items(request: HttpRequest) -> list[dict[str, Any]]:
    """The entries of the sidebar in one list, each with the title of its group."""
    return [
        {**item, "group": group["title"]} for group in sidebar(request) for item in group["items"]
    ]


def _list(title: str, icon: str, name: str) -> tuple[str, str, str, str]:
    app, model = name.split("_", 1)
    return title, icon, f"admin:{name}_changelist", f"{app}.view_{model}"


def _link(url_name: str) -> str | None:
    try:
        return reverse(url_name)
    except NoReverseMatch:  # an app that is not installed
        return None


def _may(user: Any, permission: str) -> bool:
    if user.is_superuser or not permission:
        return True
    return permission != "superuser" and bool(organizations_with(user, permission))


def _active(link: str, here: str) -> bool:
    index, review = reverse("admin:index"), reverse("admin:payments_review")
    if link == index:
        return here == index
    if here.startswith(review):
        return link == review
    return here.startswith(link)
