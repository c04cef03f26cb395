"""A late payment is decided on in a real browser, with the keyboard alone (F3)."""

from __future__ import annotations

import os
from typing import Any

import pytest
from playwright.sync_api import Page

from payments.models import LatePayment
from tests import factories as f
from tests.admin.conftest import staff
from tests.admin.test_browser import drive, sign_in  # noqa: F401
from tests.admin.test_late import HOUR, booking_of, lost, page

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.system]


def shot(tab: Page, name: str) -> None:
    """A picture to look at, where somebody wants some."""
    folder = os.environ.get("HOLDFAST_SHOTS")
    if folder:
        tab.screenshot(path=f"{folder}/{name}.png", full_page=True)


def test_another_time_is_booked_with_the_keyboard_alone(venue, live_server, drive):  # noqa: F811
    found = lost(venue)
    booking = booking_of(found)
    start = booking.slot.starts_at
    slots = f.make_slots(venue.resource, 2, start=start + 3 * HOUR)
    sign_in(drive, live_server, staff(venue, "front_desk"))

    def work(tab: Page) -> dict[str, Any]:
        tab.goto(live_server.url + page(found))
        image = tab.locator(".hf-picture img").first
        image.wait_for()
        drawn = image.evaluate("i => i.decode().then(() => i.naturalWidth)")
        shot(tab, "late")
        tab.locator("summary", has_text="Book after all").focus()
        tab.keyboard.press("Enter")
        tab.keyboard.press("Tab")
        tab.keyboard.press("ArrowDown")
        tab.keyboard.press("ArrowDown")
        shot(tab, "late-open")
        tab.keyboard.press("Tab")
        tab.keyboard.type("As on the phone.")
        tab.keyboard.press("Tab")
        tab.keyboard.press("Enter")
        tab.wait_for_url(f"**/{found.transaction_id}/change/**")
        shot(tab, "late-done")
        return {"drawn": drawn, "text": tab.inner_text("body")}

    seen = drive(work)

    assert seen["drawn"] == 60
    assert "booked after all" in seen["text"].lower()
    booking.refresh_from_db()
    assert booking.slot_id == slots[1].pk
    assert LatePayment.objects.get(pk=found.pk).note == "As on the phone."


def test_money_is_owed_only_after_somebody_ticked_that_it_is_there(
    venue,
    live_server,
    drive,  # noqa: F811
):
    found = lost(venue)
    sign_in(drive, live_server, staff(venue, "manager"))

    def work(tab: Page) -> str:
        tab.goto(live_server.url + page(found))
        tab.click("summary:has-text('Pay back')")
        tab.click("text=Pay it back")  # the browser asks for the tick, and sends nothing
        still = tab.url
        tab.check("[name=seen]")
        tab.click("text=Keep it as credit")
        tab.wait_for_selector("text=kept as credit")
        shot(tab, "late-credit")
        return still

    assert drive(work).endswith(page(found))
    assert LatePayment.objects.get(pk=found.pk).status == "credited"
