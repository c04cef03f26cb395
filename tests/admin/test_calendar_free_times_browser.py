"""Free times in a real browser: pointed at, drawn, by keyboard, on a phone, without a script."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any

import pytest
from django.urls import reverse
from playwright.sync_api import Page

from bookings.models import Booking
from tests import factories as f
from tests.admin.conftest import staff
from tests.admin.test_browser import drive, sign_in
from tests.admin.test_calendar_browser import BERLIN, calendar, in_three_days, shoot
from tests.admin.test_calendar_free_times import booked, open_court

__all__ = ["drive"]

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.system]


def without_script(page: Page) -> Page:
    """Another page with the same session and no JavaScript."""
    context = page.context.browser.new_context(
        java_script_enabled=False, viewport={"width": 1280, "height": 900}
    )
    kept: Any = page.context.cookies()
    context.add_cookies(kept)
    return context.new_page()


def point(page: Page, hour: float, link: Any) -> tuple[float, float]:
    """Where an hour is in a free time that begins at nine, on the screen."""
    link.scroll_into_view_if_needed()
    box: Any = link.bounding_box()
    last = float(link.get_attribute("data-clock").split(" ")[-1].split(":")[0]) + 1
    y = box["y"] + (hour - 9) / (last - 9) * box["height"]
    return box["x"] + box["width"] / 2, y


def when(booking: Booking) -> tuple[datetime, int]:
    booking = Booking.objects.select_related("slot").get(pk=booking.pk)
    slot = booking.slot
    return slot.starts_at.astimezone(BERLIN), (slot.ends_at - slot.starts_at).seconds // 60


@pytest.fixture
def court(venue):
    return open_court(venue)


def test_a_free_time_is_drawn_and_booked(venue, court, live_server, drive):
    start = in_three_days(9)
    booked(venue, court, start + timedelta(hours=8))  # at five
    sign_in(drive, live_server, staff(venue, "front_desk"))

    def work(page: Page) -> tuple[str, str, str]:
        page.goto(calendar(live_server, day=start.date().isoformat()))
        link = page.locator("[data-hf-gap]").first
        x, y = point(page, 11.1, link)
        page.mouse.move(x, y)
        pointed = page.inner_text(".hf-cal-at:visible")
        page.mouse.down()
        page.mouse.move(x, point(page, 12.4, link)[1], steps=4)
        shoot(page, "free-drawn")
        page.mouse.up()
        page.wait_for_selector("#times :checked")
        chosen = page.inner_text("#chosen")
        page.fill("[name=search]", "ours cust")
        with page.expect_navigation():
            page.keyboard.press("Enter")
        shoot(page, "free-book")
        with page.expect_navigation():
            page.click("button[value=book]")
        return pointed, chosen, page.inner_text("body")

    pointed, chosen, told = drive(work)

    assert pointed == "11:00–12:00"
    assert "11:00" in chosen
    assert "Booked for Ours Customer and confirmed" in told
    made = Booking.objects.get(customer=venue.customer, slot__resource=court)
    assert when(made) == (start + timedelta(hours=2), 90)


def test_a_free_time_is_chosen_with_the_keyboard_alone(venue, court, live_server, drive):
    start = in_three_days(9)
    sign_in(drive, live_server, staff(venue, "front_desk"))

    def work(page: Page) -> tuple[str, str, str]:
        page.goto(calendar(live_server, day=start.date().isoformat(), names="court"))
        page.keyboard.press("Tab")
        skip = page.evaluate("document.activeElement.innerText")
        page.keyboard.press("Enter")
        for _ in range(6):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.matches('[data-hf-gap]')"):
                break
        for key in ("ArrowDown", "ArrowDown", "ArrowDown", "ArrowUp", "Shift+ArrowDown"):
            page.keyboard.press(key)
        said = page.inner_text("[data-hf-gap-said]")
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        shoot(page, "free-keyboard")
        with page.expect_navigation():
            page.keyboard.press("Enter")
        return skip, f"{said} {outline}", page.inner_text("#chosen")

    skip, said, chosen = drive(work)

    assert skip == "Skip to the calendar"
    assert said == "10:00–11:30 solid"
    assert "10:00" in chosen
    assert "11:30" in chosen


@pytest.mark.parametrize("width", [1400, 390])
def test_it_is_booked_and_moved_without_javascript(venue, court, live_server, drive, width):
    start = in_three_days(9)
    booking = booked(venue, court, start)
    sign_in(drive, live_server, staff(venue, "front_desk"))

    def work(page: Page) -> list[Any]:
        plain = without_script(page)
        plain.set_viewport_size({"width": width, "height": 844})
        plain.goto(calendar(live_server, day=start.date().isoformat(), names="court"))
        shoot(plain, f"plain-{width}")
        plain.locator("a[data-hf-gap]").first.click()
        plain.select_option("[name=minutes]", "120")
        plain.click("#when-look")
        plain.fill("[name=search]", "ours cust")
        plain.click("#who-look")
        plain.check("#times label:has-text('13:00–15:00') input")
        shoot(plain, f"plain-book-{width}")
        plain.click("button[value=book]")
        told = plain.inner_text("body")
        plain.goto(live_server.url + reverse("admin:calendar_move", args=[booking.pk]))
        plain.check("#times label:has-text('09:30–10:30') input")
        plain.fill("[name=reason]", "comes later")
        shoot(plain, f"plain-move-{width}")
        wide = plain.evaluate("document.documentElement.scrollWidth")
        plain.click("button[value=move]")
        told += plain.inner_text("body")
        plain.context.close()
        return [told, wide]

    told, wide = drive(work)

    assert "Booked for Ours Customer and confirmed" in told
    assert "is moved to" in told
    assert wide <= width
    assert when(booking) == (start + timedelta(minutes=30), 60)
    made = Booking.objects.get(customer=venue.customer, slot__resource=court)
    assert when(made) == (start + timedelta(hours=4), 120)


@pytest.mark.parametrize("view", ["day", "week"])
@pytest.mark.parametrize("width", [1400, 390])
def test_free_times_fit_the_screen(venue, court, live_server, drive, width, view):
    start = in_three_days(9)
    for hours, minutes in ((1, 60), (3, 90), (7, 60)):
        booked(venue, court, start + timedelta(hours=hours), minutes=minutes, name="Mira Moved")
    other = open_court(venue, name="Court 2", from_time=time(7), until_time=time(12))
    booked(venue, other, start, name="Alexandra von und zu Langenname")
    f.make_slot(venue.resource, starts_at=start, max_bookings=5)
    sign_in(drive, live_server, staff(venue, "front_desk"))

    def look(page: Page) -> int:
        page.set_viewport_size({"width": width, "height": 844 if width == 390 else 900})
        page.goto(
            calendar(live_server, view=view, day=start.date().isoformat(), resource=court.pk)
            if view == "week"
            else calendar(live_server, view=view, day=start.date().isoformat())
        )
        shoot(page, f"free-{view}-{width}")
        return int(page.evaluate("document.documentElement.scrollWidth"))

    assert drive(look) <= width


def test_the_sign_in_page_works_without_javascript(venue, live_server, drive):
    user = staff(venue, "front_desk")

    def work(page: Page) -> list[Any]:
        plain = without_script(page)
        plain.goto(live_server.url + reverse("admin:login"))
        shoot(plain, "plain-sign-in")
        plain.fill("[name=username]", user.email)
        plain.fill("[name=password]", f.PASSWORD)
        plain.click("#login-form button[type=submit]")
        seen = [plain.url.split("/")[-2], plain.locator("#content").is_visible()]
        shoot(plain, "plain-dashboard")
        plain.goto(live_server.url + reverse("admin:bookings_booking_changelist"))
        seen.append(plain.locator("#result_list").is_visible())
        plain.context.close()
        return seen

    assert drive(work) == ["admin", True, True]


@pytest.mark.parametrize("width", [1400, 390])
def test_a_known_number_is_asked_about_and_an_answer_is_passed_on(
    venue, court, live_server, drive, width
):
    start = in_three_days(9)
    f.CustomerFactory(
        organization=venue.organization, name="Ada Known", email="", phone="+4915123456789"
    )
    sign_in(drive, live_server, staff(venue, "front_desk"))

    def book(page: Page) -> list[str]:
        page.set_viewport_size({"width": width, "height": 844 if width == 390 else 900})
        page.goto(calendar(live_server, day=start.date().isoformat(), names="court"))
        page.locator("a[data-hf-gap]").first.click()
        page.check("[name=who][value=new]")
        page.fill("[name=name]", "A. Known")
        page.fill("[name=phone]", "+49 151 234 567 89")
        with page.expect_navigation():
            page.click("button[value=book]")
        asked = page.inner_text("#same")
        page.locator("#same").scroll_into_view_if_needed()
        shoot(page, f"known-{width}")
        page.check("#same label:has-text('Ada Known') input")
        with page.expect_navigation():
            page.click("button[value=book]")
        told = page.inner_text("body")
        page.click("text=Move or propose another time")
        page.locator("#times label:has-text('16:00–17:00')").first.click()
        page.fill("[name=reason]", "the court is wet")
        shoot(page, f"free-move-{width}")
        with page.expect_navigation():
            page.click("button[value=propose]")
        shoot(page, f"proposed-{width}")
        page.click("text=They said yes, by phone")
        page.fill("[name=note]", "called at nine")
        shoot(page, f"answer-{width}")
        with page.expect_navigation():
            page.click("button:has-text('Accept for the customer')")
        return [asked, told, page.inner_text("body")]

    asked, told, answered = drive(book)

    assert "Is it them?" in asked
    assert "Booked for Ada Known and confirmed" in told
    assert "Accepted for Ada Known" in answered
    booking = Booking.objects.get(customer__name="Ada Known", stands_for=None)
    assert when(booking)[0].hour == 16
