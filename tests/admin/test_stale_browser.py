"""Two people at one form, in a real browser: the page says what happened and fits a phone (B11)."""

from __future__ import annotations

import os
from decimal import Decimal
from typing import Any

import pytest
from django.urls import reverse
from playwright.sync_api import Page

from bookings.models import Resource
from tests import factories as f
from tests.admin.conftest import signed_in, staff
from tests.admin.test_browser import drive, sign_in
from tests.admin.test_stale import by, change

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.system]

__all__ = ["drive"]


def picture(page: Page, name: str) -> None:
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)


@pytest.mark.parametrize("width", [390, 1280])
def test_somebody_sees_what_changed_looks_it_over_and_saves(venue, live_server, drive, width):
    """The price that both changed stands on a tab of its own."""
    colleague = f.MembershipFactory(
        organization=venue.organization, role="manager", user__name="Quick Colleague"
    ).user
    sign_in(drive, live_server, staff(venue, "manager"))
    address = live_server.url + change(venue.resource)

    def open_and_type(page: Page) -> None:
        page.set_viewport_size({"width": width, "height": 900})
        page.goto(address)
        page.fill("[name=name]", "Great hall")
        page.fill("[name=description]", "Typed slowly")
        page.evaluate("document.querySelector('[name=prices-0-amount]').value = '21.00'")

    def save(page: Page) -> dict[str, Any]:
        page.click("button[name=_save], input[name=_save]")
        page.wait_for_selector("#meanwhile")
        picture(page, f"stale-{width}")
        return {
            "text": page.inner_text("#meanwhile"),
            "fits": page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"),
            "name": page.input_value("[name=name]"),
            "kind": page.input_value("[name=kind]"),
            "marked": page.locator(".errors [name=name]").count(),
        }

    def save_again(page: Page) -> str:
        page.click("button[name=_save], input[name=_save]")
        page.wait_for_selector("text=was changed successfully")
        return page.inner_text("body")

    drive(open_and_type)
    by(colleague, venue.resource, name="Blue hall", kind="person", **{"prices-0-amount": "25.00"})
    seen = drive(save)
    after = drive(save_again)

    assert "Quick Colleague changed this while you had it open" in seen["text"]
    for words in ("Name", "Ours hall", "Blue hall", "Kind", "place", "person", "Amount", "25.00"):
        assert words in seen["text"]
    assert (seen["name"], seen["kind"], seen["marked"]) == ("Great hall", "person", 1)
    assert seen["fits"]
    assert "Great hall" in after
    venue.resource.refresh_from_db()
    venue.price.refresh_from_db()
    assert (venue.resource.name, venue.resource.kind) == ("Great hall", "person")
    assert venue.resource.description == "Typed slowly"
    assert venue.price.amount == Decimal("21.00")


@pytest.mark.parametrize("width", [390, 1280])
def test_what_was_deleted_is_made_again_with_one_button(venue, live_server, drive, width):
    unused = f.ResourceFactory(organization=venue.organization, name="Court 9")
    f.PriceFactory(resource=unused, amount=Decimal("20.00"))
    sign_in(drive, live_server, staff(venue, "manager"))

    def open_and_type(page: Page) -> None:
        page.set_viewport_size({"width": width, "height": 900})
        page.goto(live_server.url + change(unused))
        page.fill("[name=description]", "Typed slowly")

    def save(page: Page) -> str:
        page.click("button[name=_save], input[name=_save]")
        page.wait_for_selector("text=What you typed")
        picture(page, f"gone-{width}")
        words = page.inner_text("body")
        page.click("text=Make it again")
        page.wait_for_selector("text=was added successfully")
        return words

    drive(open_and_type)
    signed_in(f.MembershipFactory(organization=venue.organization, role="manager").user).post(
        reverse("admin:bookings_resource_delete", args=[unused.pk]), {"post": "yes"}
    )
    words = drive(save)

    assert "deleted this while you had it open" in words
    assert "Typed slowly" in words
    made = Resource.objects.get(name="Court 9")
    assert (made.description, made.prices.get().amount) == ("Typed slowly", Decimal("20.00"))
