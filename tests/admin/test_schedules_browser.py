"""The schedule editor in a real browser: with a script and without, wide, narrow and by keyboard
(B1, B2, F3)."""

from __future__ import annotations

from datetime import time, timedelta
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Page

from audit.context import Actor
from bookings.models import Booking, Resource, Schedule, ScheduleException, ScheduleRule, Slot
from bookings.services import schedules
from tests import factories as f
from tests.admin.conftest import Venue, staff
from tests.admin.test_browser import Drive, drive, sign_in  # noqa: F401  (a fixture)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.system]

PREVIEW = "button[value=preview]:not(.hf-first)"
APPLY = "button[value=apply]"
PHONE = {"width": 390, "height": 844}
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture
def court(venue: Venue) -> Resource:
    made: Resource = f.ResourceFactory(
        organization=venue.organization, name="Court", horizon_days=20, time_zone="UTC"
    )
    schedules.change_schedule(
        resource_id=made.pk,
        organization_id=made.organization_id,
        valid_from=timezone.localdate(),
        rules=[ScheduleRule(from_time=time(9), until_time=time(12), max_bookings=2, max_units=4)],
        actor=Actor("staff", None, "Mia"),
        now=timezone.now(),
    )
    return made


def book(venue: Venue, court: Resource) -> Booking:
    """A booking of a slot in about five days."""
    start = timezone.now() + timedelta(days=5)
    slot = Slot.objects.filter(resource=court, starts_at__gt=start).earliest("starts_at")
    customer = f.CustomerFactory(organization=venue.organization, name="Anna Affected")
    made = f.check_out(customer, slot, method="pay_on_arrival")
    found: Booking = Booking.objects.get(cart_item__transaction=made)
    return found


def go(page: Page, selector: str) -> None:
    """Press something that leads to another page, and wait for that."""
    with page.expect_navigation():
        page.click(selector)


def test_hours_are_added_looked_at_and_applied(venue, court, live_server, drive):  # noqa: F811
    booking = book(venue, court)
    sign_in(drive, live_server, staff(venue, "manager"))
    url = live_server.url + reverse("admin:bookings_resource_schedule", args=[court.pk])

    def work(page: Page) -> dict[str, Any]:
        page.goto(url)
        go(page, "text=Change the schedule")
        page.fill("[name=valid_from]", timezone.localdate().isoformat())
        page.fill("[name=rules-0-from_time]", "09:30")
        page.click("text=More hours >> nth=-1")
        added = page.locator("[name=rules-2-from_time]")
        added.wait_for()
        focused = page.evaluate("document.activeElement.name")
        added.fill("22:00")
        hint = page.locator("[data-hf-row]:has([name=rules-2-from_time]) [data-hf-next-day]")
        before = hint.is_visible()
        page.fill("[name=rules-2-until_time]", "02:00")
        after = hint.is_visible()
        go(page, PREVIEW)
        shown = page.inner_text("main, #content, body")
        drawn = page.locator(".hf-plot svg rect").count()
        go(page, APPLY)
        return {
            "focused": focused,
            "hint": (before, after),
            "shown": shown,
            "drawn": drawn,
            "end": page.inner_text("body"),
        }

    seen = drive(work)

    assert seen["focused"].startswith("rules-2-")
    assert seen["hint"] == (False, True)
    assert "22:00–02:00 the next day" in seen["shown"]
    assert "Anna Affected" in seen["shown"]
    assert seen["drawn"] > 10
    assert "Version 2 counts from" in seen["end"]
    assert Schedule.objects.get(resource=court, number=2).rules.count() == 2
    booking.slot.refresh_from_db()
    assert booking.slot.status == "legacy"


def test_the_editor_works_without_a_script(venue, court, live_server, drive):  # noqa: F811
    sign_in(drive, live_server, staff(venue, "manager"))
    url = live_server.url + reverse("admin:bookings_resource_schedule_change", args=[court.pk])

    def work(page: Page) -> list[int]:
        assert page.context.browser is not None
        plain = page.context.browser.new_context(
            java_script_enabled=False, storage_state=page.context.storage_state()
        )
        try:
            quiet = plain.new_page()
            quiet.goto(url)
            quiet.fill("[name=valid_from]", timezone.localdate().isoformat())
            assert quiet.is_visible("h1.hf-title")
            counts = [quiet.locator("[data-hf-row]").count()]
            go(quiet, "button[value=more]")
            counts.append(quiet.locator("[data-hf-row]").count())
            quiet.check("[name=rules-0-DELETE]")
            quiet.fill("[name=rules-2-from_time]", "14:00")
            quiet.fill("[name=rules-2-until_time]", "16:00")
            go(quiet, PREVIEW)
            go(quiet, APPLY)
            return counts
        finally:
            plain.close()

    assert drive(work) == [2, 3]
    version = Schedule.objects.get(resource=court, number=2)
    assert [r.from_time for r in version.rules.all()] == [time(14)]


def test_enter_looks_and_never_applies(venue, court, live_server, drive):  # noqa: F811
    sign_in(drive, live_server, staff(venue, "manager"))
    url = live_server.url + reverse("admin:bookings_resource_schedule_change", args=[court.pk])

    def work(page: Page) -> int:
        page.goto(url)
        looked = 0
        for _time in range(2):
            page.focus("[name=note]")
            with page.expect_navigation():
                page.keyboard.press("Enter")
            looked += page.locator("#preview").count()
        return looked

    assert drive(work) == 2
    assert Schedule.objects.filter(resource=court).count() == 1


def test_bookings_of_a_closing_day_are_cancelled_by_keyboard(
    venue,
    court,
    live_server,
    drive,  # noqa: F811
):
    booking = book(venue, court)
    day = timezone.localtime(booking.slot.starts_at, timezone.get_default_timezone()).date()
    sign_in(drive, live_server, staff(venue, "manager"))
    url = live_server.url + reverse("admin:bookings_scheduleexception_add")

    def work(page: Page) -> str:
        page.goto(url)
        page.fill("[name=name]", "Repairs")
        page.fill("[name=first_day]", day.isoformat())
        page.focus("[name=name]")
        with page.expect_navigation():
            page.keyboard.press("Enter")
        page.focus("[name=then][value=keep]")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowDown")
        page.focus("[name=sure]")
        page.keyboard.press("Space")
        page.focus("[name=reason]")
        page.keyboard.type("Water damage")
        page.focus(APPLY)
        with page.expect_navigation():
            page.keyboard.press("Enter")
        return page.inner_text("body")

    assert "Cancelled: 1 booking. Their customers are told." in drive(work)
    booking.refresh_from_db()
    assert (booking.status, booking.ended_reason) == ("cancelled", "Water damage")
    assert ScheduleException.objects.filter(name="Repairs").exists()


def test_every_page_fits_a_phone(venue, court, live_server, drive):  # noqa: F811
    book(venue, court)
    sign_in(drive, live_server, staff(venue, "manager"))
    resource = [
        reverse(f"admin:bookings_resource_{name}", args=[court.pk])
        for name in ("schedule", "schedule_change", "time_zone", "made_of", "change")
    ]
    closing = "admin:bookings_scheduleexception"
    pages = [
        *resource,
        reverse(f"{closing}_changelist"),
        reverse(f"{closing}_add"),
        reverse(f"{closing}_import_holidays"),
        reverse(f"{closing}_change", args=[venue.exception.pk]),
        reverse(f"{closing}_withdraw") + f"?id={venue.exception.pk}",
        reverse("admin:bookings_pool_changelist"),
        reverse("admin:bookings_pool_change", args=[venue.pool.pk]),
    ]

    def work(page: Page) -> dict[str, int]:
        page.set_viewport_size(PHONE)  # type: ignore[arg-type]
        wide = {}
        for address in pages:
            page.goto(live_server.url + address)
            wide[address] = page.evaluate(OVERFLOW)
        page.goto(live_server.url + resource[1])
        page.fill("[name=rules-0-from_time]", "09:30")
        go(page, PREVIEW)
        wide["preview"] = page.evaluate(OVERFLOW)
        return wide

    assert {address: by for address, by in drive(work).items() if by > 0} == {}
