"""The calendar in a real browser: on a desk, on a phone, and by keyboard alone (F3)."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.urls import reverse
from playwright.sync_api import Page

from tests import factories as f
from tests.admin.conftest import staff
from tests.admin.test_browser import drive, sign_in

__all__ = ["drive"]

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.system]

BERLIN = ZoneInfo("Europe/Berlin")


def calendar(live_server: Any, **asked: Any) -> str:
    query = "&".join(f"{name}={value}" for name, value in asked.items())
    return f"{live_server.url}{reverse('admin:calendar')}?{query}"


def in_three_days(hour: int) -> datetime:
    day = datetime.now(BERLIN) + timedelta(days=3)
    return day.replace(hour=hour, minute=0, second=0, microsecond=0)


def shoot(page: Page, name: str) -> None:
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=f"{folder}/calendar-{name}.png")


def test_a_block_stands_beside_its_hour_and_is_as_long_as_it_lasts(venue, live_server, drive):
    start = in_three_days(9)
    f.make_slot(venue.resource, starts_at=start, minutes=60)
    f.make_slot(venue.resource, starts_at=start + timedelta(hours=3), minutes=120)
    sign_in(drive, live_server, staff(venue, "front_desk"))

    def look(page: Page) -> dict[str, Any]:
        page.goto(calendar(live_server, day=start.date().isoformat()))
        shoot(page, "day")
        blocks = page.locator(".hf-cal-block").all()
        boxes = [block.bounding_box() for block in blocks]
        labels = {
            one.inner_text(): one.bounding_box() for one in page.locator(".hf-cal-axis li").all()
        }
        return {"boxes": boxes, "labels": labels}

    seen = drive(look)

    first, second = seen["boxes"]
    assert second["height"] + 2 == pytest.approx(2 * (first["height"] + 2), abs=1)
    three_hours = seen["labels"]["12:00"]["y"] - seen["labels"]["09:00"]["y"]
    assert second["y"] - first["y"] == pytest.approx(three_hours, abs=1)
    assert first["y"] == pytest.approx(seen["labels"]["09:00"]["y"], abs=4)


def test_arrow_keys_go_from_block_to_block_and_enter_opens_one(venue, live_server, drive):
    start = in_three_days(9)
    other = f.ResourceFactory(organization=venue.organization, name="Zebra room")
    f.make_slot(venue.resource, starts_at=start)
    f.make_slot(venue.resource, starts_at=start + timedelta(hours=1))
    last = f.make_slot(other, starts_at=start + timedelta(hours=1))
    sign_in(drive, live_server, staff(venue, "manager"))

    def work(page: Page) -> tuple[list[str], str]:
        page.goto(calendar(live_server, day=start.date().isoformat()))
        page.locator(".hf-cal-when").first.focus()
        met = []
        for key in ("ArrowDown", "ArrowUp", "ArrowDown", "ArrowRight", "ArrowLeft", "ArrowRight"):
            for _ in range(4):  # past the other links of a block
                page.keyboard.press(key)
                if page.evaluate("document.activeElement.matches('.hf-cal-when')"):
                    break
            met.append(page.evaluate("document.activeElement.closest('section').innerText"))
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        page.keyboard.press("Enter")
        page.wait_for_url("**/bookings/slot/**")
        return [text.split("\n")[0] for text in met] + [outline], page.url

    met, url = drive(work)

    assert met == [*["Ours hall"] * 3, "Zebra room", "Ours hall", "Zebra room", "solid"]
    assert str(last.pk) in url


def test_a_chosen_kind_is_shown_at_once_and_the_days_are_turned(venue, live_server, drive):
    f.ResourceFactory(organization=venue.organization, name="Yoga", kind="activity")
    sign_in(drive, live_server, staff(venue, "manager"))

    def work(page: Page) -> tuple[list[str], list[str]]:
        page.goto(calendar(live_server, day="2024-02-28"))
        with page.expect_navigation():
            page.select_option("[name=kind]", "activity")
        titles = page.locator(".hf-cal-head h3 a").all_inner_texts()
        days = []
        for _ in range(2):
            with page.expect_navigation():
                page.click("[rel=next]")
            days.append(page.inner_text("#heading"))
        return titles, days

    titles, days = drive(work)

    assert [title.split()[0].rstrip(",") for title in titles] == ["Yoga"]
    assert days == ["Thursday, 29 February 2024", "Friday, 1 March 2024"]


@pytest.mark.parametrize("view", ["day", "week"])
def test_on_a_phone_it_is_a_list_that_fits_the_screen(venue, live_server, drive, view):
    start = in_three_days(9)
    for hour in range(3):
        slot = f.make_slot(venue.resource, starts_at=start + timedelta(hours=hour), max_bookings=9)
        f.hold(f.CustomerFactory(organization=venue.organization, name="Guest"), slot)
    sign_in(drive, live_server, staff(venue, "front_desk"))

    def look(page: Page) -> dict[str, Any]:
        page.set_viewport_size({"width": 390, "height": 844})
        page.goto(
            calendar(
                live_server, view=view, day=start.date().isoformat(), resource=venue.resource.pk
            )
        )
        shoot(page, f"phone-{view}")
        boxes = [one.bounding_box() for one in page.locator(".hf-cal-block").all()]
        return {
            "boxes": [box for box in boxes if box],
            "axis": page.locator(".hf-cal-axis").is_visible(),
            "wide": page.evaluate("document.documentElement.scrollWidth"),
            "people": page.locator(".hf-cal-person:visible").count(),
        }

    seen = drive(look)

    assert seen["wide"] <= 390
    assert not seen["axis"]
    assert seen["people"] >= 3
    assert all(box["x"] >= 0 and box["x"] + box["width"] <= 390 for box in seen["boxes"])
    tops = [box["y"] for box in seen["boxes"]]
    assert tops == sorted(tops)


def test_somebody_who_calls_is_booked_from_the_calendar_and_moved(venue, live_server, drive):
    start = in_three_days(9)
    free = f.make_slot(venue.resource, starts_at=start)
    later = f.make_slot(venue.resource, starts_at=start + timedelta(hours=2))
    sign_in(drive, live_server, staff(venue, "front_desk"))

    def work(page: Page) -> tuple[str, str]:
        page.goto(calendar(live_server, day=start.date().isoformat()))
        page.locator(".hf-cal-free").first.click()  # anywhere on it
        page.wait_for_selector("#times :checked")
        page.fill("[name=search]", "ours cust")
        with page.expect_navigation():
            page.keyboard.press("Enter")  # looks; books nothing
        page.fill("[name=note]", "called at nine")
        shoot(page, "book")
        with page.expect_navigation():
            page.click("button[value=book]")
        told = page.inner_text("body")
        page.click("text=Move or propose another time")
        page.check(f"[name=slot][value='{later.pk}']")
        page.fill("[name=reason]", "called again")
        shoot(page, "move")
        with page.expect_navigation():
            page.click("button[value=move]")
        return told, page.inner_text("body")

    booked, moved = drive(work)

    assert "Booked for Ours Customer and confirmed" in booked
    assert "Ours Customer is moved to Ours hall" in moved
    assert list(later.bookings.values_list("customer__name", "status")) == [
        ("Ours Customer", "confirmed")
    ]
    assert not free.bookings.exists()


@pytest.mark.parametrize("page_name", ["book", "move"])
def test_the_desks_forms_fit_a_phone(venue, live_server, drive, page_name):
    slot = f.make_slot(venue.resource, starts_at=in_three_days(9))
    address = {
        "book": f"{reverse('admin:calendar_book')}?slot={slot.pk}",
        "move": reverse("admin:calendar_move", args=[venue.booking.pk]),
    }[page_name]
    sign_in(drive, live_server, staff(venue, "front_desk"))

    def look(page: Page) -> tuple[int, dict[str, float]]:
        page.set_viewport_size({"width": 390, "height": 844})
        page.goto(live_server.url + address)
        shoot(page, f"phone-{page_name}")
        box: Any = page.locator(f"button[value={page_name}]").bounding_box()
        return page.evaluate("document.documentElement.scrollWidth"), box

    wide, button = drive(look)

    assert wide <= 390
    assert button["x"] >= 0
    assert button["x"] + button["width"] <= 390


def test_everything_is_there_without_javascript(venue, live_server, drive):
    """The server draws it; the script only adds comforts."""
    sign_in(drive, live_server, staff(venue, "front_desk"))
    day = venue.slot.starts_at.astimezone(BERLIN).date().isoformat()

    def look(page: Page) -> dict[str, Any]:
        context = page.context.browser.new_context(java_script_enabled=False)
        kept: Any = page.context.cookies()
        context.add_cookies(kept)
        plain = context.new_page()
        plain.goto(calendar(live_server, day=day))
        box = plain.locator(".hf-cal-block").first.bounding_box()
        plain.locator(".hf-cal-person a").first.click()
        url = plain.url
        context.close()
        return {"box": box, "url": url}

    seen = drive(look)

    assert seen["box"]["height"] > 40
    assert str(venue.booking.pk) in seen["url"]
