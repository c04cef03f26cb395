"""The desk books, shows and cancels weekly series (B1, A7, F3)."""

from __future__ import annotations

import re
from datetime import UTC, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.urls import reverse

from bookings.models import Booking, Customer, Series, Slot
from tests import factories as f
from tests.admin.conftest import as_role, signed_in, staff
from tests.admin.test_calendar_book import known, new
from tests.invariants import assert_consistent

# Refusals end real transactions.
pytestmark = pytest.mark.django_db(transaction=True)

PAGE = "admin:calendar_book"
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture
def weeks(venue: Any) -> list[Slot]:
    """The same hour in three weeks of four: the second week is full, the fourth is not offered."""
    start = f.soon(72).astimezone(BERLIN)
    slots = [
        f.make_slot(venue.resource, starts_at=(start + timedelta(weeks=n)).astimezone(UTC))
        for n in range(3)
    ]
    f.check_out(f.CustomerFactory(organization=venue.organization), slots[1])
    return slots


def text(response: Any) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.content.decode()))


def booked(client: Any, venue: Any, weeks: list[Slot], **said: Any) -> Any:
    sent = known(client, weeks[0], venue.customer, times="4", dates="free") | said
    return client.post(reverse(PAGE), sent, follow=True)


def live(series: Series) -> list[Slot]:
    found = Booking.objects.filter(series=series, status="confirmed").select_related("slot")
    return sorted((b.slot for b in found), key=lambda s: s.starts_at)


def test_the_dates_are_shown_before_anything_is_booked(venue, weeks):
    client = as_role(venue, "front_desk")
    sent = known(client, weeks[0], venue.customer, times="4", step="look")

    shown = client.post(reverse(PAGE), sent)

    there = [str(words) for _when, words in shown.context["dates"]]
    assert [re.sub("<[^>]+>", "", words) for words in there] == [
        "free",
        "full",
        "free",
        "not offered",
    ]
    assert not Booking.objects.filter(series__isnull=False).exists()


def test_what_is_free_is_booked_and_the_page_says_what_became_of_each_date(venue, weeks):
    client = as_role(venue, "front_desk")

    page = booked(client, venue, weeks)

    made = Series.objects.get()
    assert page.redirect_chain[-1][0] == reverse("admin:bookings_series_change", args=[made.pk])
    assert live(made) == [weeks[0], weeks[2]]
    words = text(page)
    assert "2 of 4 dates are booked. Booked for Ours Customer and confirmed" in words
    assert "2 of 4 dates were booked" in words
    for said in ("confirmed", "full", "not offered"):
        assert said in words
    assert_consistent()


def test_all_or_nothing_books_nothing_keeps_what_was_typed_and_books_once(venue, weeks):
    client = as_role(venue, "front_desk")
    sent = new(client, weeks[0], times="4", dates="all", note="club night")

    page = client.post(reverse(PAGE), sent)

    assert "Only 2 of 4 dates are free. Nothing was booked." in text(page)
    assert len(page.context["dates"]) == 4
    assert page.context["typed"]["note"] == "club night"
    assert not Customer.objects.filter(name="Walk In").exists()

    sent |= {"dates": "free", "token": page.context["typed"]["token"]}
    for _again in range(2):
        client.post(reverse(PAGE), sent)
    assert Booking.objects.filter(customer__name="Walk In").count() == 2


@pytest.fixture
def series(venue: Any) -> Series:
    start = f.soon(72).astimezone(BERLIN)
    slots = [
        f.make_slot(venue.resource, starts_at=(start + timedelta(weeks=n)).astimezone(UTC))
        for n in range(3)
    ]
    booked(as_role(venue, "front_desk"), venue, slots, times="3", dates="all")
    found: Series = Series.objects.get()
    return found


def cancel(client: Any, url: str, **said: Any) -> Any:
    seen = client.get(url).context["going"].seen
    return client.post(url, {"seen": seen, "reason": "Moved away", **said})


@pytest.mark.parametrize(
    ("which", "left"),
    [("Cancel this one", 2), ("Cancel this and what", 1), ("Cancel all", 0)],
)
def test_one_the_rest_or_all_are_cancelled_from_the_page_of_a_booking(venue, series, which, left):
    client = as_role(venue, "front_desk")
    second = Booking.objects.filter(series=series).order_by("slot__starts_at")[1]
    page = client.get(reverse("admin:bookings_booking_change", args=[second.pk]))
    ways = re.findall(r'<a class="hf-button" href="([^"]+)">([^<]+)</a>', page.content.decode())
    (url,) = [address for address, words in ways if words.startswith(which)]
    url = url.replace("&amp;", "&")

    assert "reason" in client.post(url, {"reason": ""}).context["form"].errors
    assert len(live(series)) == 3
    assert cancel(client, url).status_code == 302

    assert len(live(series)) == left
    second.refresh_from_db()
    assert (second.status, second.ended_reason) == ("cancelled", "Moved away")
    assert_consistent()


def test_what_changed_since_it_was_looked_at_is_shown_again(venue, series):
    client = as_role(venue, "front_desk")
    url = reverse("admin:bookings_series_cancel", args=[series.pk])
    seen = client.get(url).context["going"].seen
    first = Booking.objects.filter(series=series).earliest("slot__starts_at")
    cancel(client, f"{url}?scope=one&booking={first.pk}")

    held = client.post(url, {"seen": seen, "reason": "Moved away"})

    assert held.status_code == 409
    assert "Something changed since you looked" in text(held)
    assert 'value="Moved away"' in held.content.decode()
    assert len(live(series)) == 2


def test_providers_look_at_the_series_of_their_own_resources_only(venue, series):
    provider = staff(venue, "provider")
    page = reverse("admin:bookings_series_change", args=[series.pk])
    assert signed_in(provider).get(page).status_code == 302
    venue.resource.provider = provider
    venue.resource.save()
    client = signed_in(provider)

    shown = client.get(page)

    assert "3 of 3 dates were booked" in text(shown)
    assert "Cancel all" not in text(shown)
    url = reverse("admin:bookings_series_cancel", args=[series.pk])
    assert client.post(url, {"reason": "Mine"}).status_code == 403
    assert len(live(series)) == 3
