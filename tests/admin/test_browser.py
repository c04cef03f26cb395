"""Staff at work in a real browser: approve a payment, check somebody in (A4, A8, F3).

The browser talks to a real HTTP server. Playwright runs an event loop in the thread that drives
it, where Django refuses to touch the database; so the browser has a thread of its own, and the
test asks it to do things.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.urls import reverse
from playwright.sync_api import Page, sync_playwright

from bookings import codes
from bookings.models import Booking
from tests import factories as f
from tests.admin.conftest import confirmed_today, more_under_review, staff

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.system]

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

Drive = Callable[[Callable[[Page], Any]], Any]


@pytest.fixture
def drive() -> Iterator[Drive]:
    """Do something with a page, in the browser's own thread."""
    if CHROMIUM is None:
        pytest.skip("There is no Chromium here; set CHROMIUM to one.")
    thread = ThreadPoolExecutor(max_workers=1)
    errors: list[str] = []

    def start() -> tuple[Any, Any, Page]:
        playwright = sync_playwright().start()
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda error: errors.append(str(error)))
        return playwright, browser, page

    playwright, browser, page = thread.submit(start).result(60)
    yield lambda do: thread.submit(do, page).result(120)
    thread.submit(browser.close).result(60)
    thread.submit(playwright.stop).result(60)
    thread.shutdown()
    assert not errors, errors


def sign_in(drive: Drive, live_server: Any, user: Any) -> None:
    def do(page: Page) -> None:
        page.goto(live_server.url + reverse("admin:login"))
        page.fill("[name=username]", user.email)
        page.fill("[name=password]", f.PASSWORD)
        page.click("#login-form button[type=submit]")
        page.wait_for_url("**/admin/")

    drive(do)


def test_a_reviewer_looks_at_a_proof_zooms_and_approves(venue, live_server, drive):
    following = more_under_review(venue, 1)[0]
    sign_in(drive, live_server, staff(venue, "reviewer"))

    def work(page: Page) -> dict[str, Any]:
        page.click("text=Review queue")
        page.click(f"#review-queue >> text={venue.transaction.reference}")
        image = page.locator(".hf-picture img").first
        image.wait_for()
        drawn = image.evaluate("i => i.decode().then(() => i.naturalWidth)")
        fit = image.evaluate("i => i.clientWidth")
        image.click()
        zoomed = image.evaluate("i => i.clientWidth")
        page.click("text=Approve")
        page.wait_for_url(f"**/{following.pk}/change/**")
        return {"drawn": drawn, "larger": zoomed > fit, "text": page.inner_text("body")}

    seen = drive(work)

    assert (seen["drawn"], seen["larger"]) == (60, True)
    assert f"Approved: {venue.transaction.reference}" in seen["text"]
    venue.transaction.refresh_from_db()
    venue.booking.refresh_from_db()
    assert (venue.transaction.status, venue.booking.status) == ("approved", "confirmed")


def test_many_are_rejected_with_a_common_reason(venue, live_server, drive):
    other = more_under_review(venue, 1)[0]
    sign_in(drive, live_server, staff(venue, "manager"))

    def work(page: Page) -> str:
        page.goto(live_server.url + reverse("admin:payments_review"))
        page.check("[data-hf-all=ids]")
        page.click("text=Reject chosen")
        page.check("text=The payment has not arrived")
        page.click("text=Reject them")
        page.wait_for_selector("#outcomes")
        return page.inner_text("#outcomes")

    assert drive(work).lower().count("rejected") == 2
    for one in (venue.transaction, other):
        one.refresh_from_db()
        assert one.status == "rejected"
        assert one.decision_reason == "The payment has not arrived on our account."


def test_a_scanner_checks_guests_in_with_the_keyboard_alone(venue, live_server, drive):
    bookings = [confirmed_today(venue), confirmed_today(venue)]
    scanned = [codes.derive(b.pk, b.check_in_code.nonce) for b in bookings]
    sign_in(drive, live_server, staff(venue, "front_desk"))

    def work(page: Page) -> list[str]:
        page.goto(live_server.url + reverse("admin:check_in"))
        answers = []
        for code in (*scanned, scanned[0]):
            page.keyboard.type(code)  # as a scanner does: wherever the focus is
            with page.expect_navigation():
                page.keyboard.press("Enter")
            answers.append(page.get_attribute("#answer", "data-answer") or "")
        return answers

    assert drive(work) == ["checked_in", "checked_in", "already_checked_in"]
    statuses = Booking.objects.filter(pk__in=[b.pk for b in bookings])
    assert set(statuses.values_list("status", flat=True)) == {"checked_in"}


def test_a_booking_is_cancelled_in_its_dialog(venue, live_server, drive):
    sign_in(drive, live_server, staff(venue, "manager"))

    def work(page: Page) -> str:
        page.goto(
            live_server.url + reverse("admin:bookings_booking_change", args=[venue.booking.pk])
        )
        page.click("text=Cancel booking")
        page.fill("#dialog [name=reason], [name=reason]", "fell ill")
        page.click("text=Cancel the booking")
        page.wait_for_selector("text=is cancelled; its seats")
        return page.inner_text("body")

    assert "is cancelled" in drive(work)
    venue.booking.refresh_from_db()
    assert (venue.booking.status, venue.booking.ended_reason) == ("cancelled", "fell ill")


def test_the_dashboard_draws_its_plots(venue, live_server, drive):
    sign_in(drive, live_server, staff(venue, "owner"))

    def work(page: Page) -> list[int]:
        page.wait_for_selector("canvas.chart")
        charts = page.locator("canvas.chart").all()
        return [
            chart.evaluate("c => Chart.getChart(c).data.datasets[0].data.length")
            for chart in charts
        ]

    assert drive(work) == [29, 1]


@pytest.mark.parametrize("width", [390, 1024, 1280, 1366, 1440, 1920])
def test_the_button_that_lets_somebody_in_is_on_the_screen(venue, live_server, drive, width):
    confirmed_today(venue)
    sign_in(drive, live_server, staff(venue, "front_desk"))

    def look(page: Page) -> dict[str, float]:
        page.set_viewport_size({"width": width, "height": 900})
        page.goto(live_server.url + reverse("admin:check_in"))
        if folder := os.environ.get("SCREENSHOTS"):
            page.screenshot(path=f"{folder}/check-in-{width}.png", full_page=True)
        button = page.locator("#arrivals button").first
        frame = page.locator(".hf-scroll").first.bounding_box()
        found = button.bounding_box()
        assert found is not None
        assert frame is not None
        return {
            "left": found["x"],
            "right": found["x"] + found["width"],
            "end": min(frame["x"] + frame["width"], width),
        }

    seen = drive(look)

    assert seen["left"] >= 0
    assert seen["right"] <= seen["end"]
