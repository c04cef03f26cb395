"""Staff book and move at any time a resource is free (B1, B5, B6, F3)."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from bookings.models import Booking, Resource, Slot
from bookings.services.free_times import FreeTime
from config.admin.calendar import wanted
from payments.services import desk
from tests import factories as f
from tests.admin.conftest import as_role, signed_in, staff

pytestmark = pytest.mark.django_db(transaction=True)

BERLIN = ZoneInfo("Europe/Berlin")
BOOK = "admin:calendar_book"


def open_court(
    venue: Any,
    *,
    name: str = "Court 1",
    from_time: time = time(9),
    until_time: time = time(18),
    **fields: Any,
) -> Resource:
    given = {
        "mode": "free_times",
        "exclusive": True,
        "grid_minutes": 30,
        "shortest_minutes": 60,
        "longest_minutes": 180,
    }
    made = f.ResourceFactory(organization=venue.organization, name=name, **given | fields)
    return f.open_hours(made, from_time, until_time)


def at(hour: int, minute: int = 0) -> datetime:
    day = datetime.now(BERLIN) + timedelta(days=3)
    return day.replace(hour=hour, minute=minute, second=0, microsecond=0)


def booked(
    venue: Any, court: Resource, start: datetime, *, minutes: int = 60, name: str = "Guest"
) -> Booking:
    made = desk.book_for(
        organization=venue.organization,
        customer=f.CustomerFactory(organization=venue.organization, name=name),
        slot_id=FreeTime(court.pk, start, minutes),
        units=1,
        payment_method="pay_on_arrival",
        may_approve=True,
        actor=f.actor_of(venue.membership),
        now=timezone.now(),
    )
    found: Booking = Booking.objects.select_related("slot").get(cart_item__transaction=made)
    return found


@pytest.fixture
def court(venue):
    return open_court(venue)


def value(court: Resource, start: datetime, minutes: int = 60) -> str:
    return wanted.value_of(FreeTime(court.pk, start, minutes))


def blocks(client: Any, name: str = "Court 1", **asked: Any) -> list[tuple[str, str]]:
    asked = {"day": at(9).date().isoformat()} | asked
    response = client.get(reverse("admin:calendar"), asked)
    assert response.status_code == 200
    for column in response.context["columns"]:
        if column["title"] == name or column["url"] == name:
            return [(b.hours, b.state) for b in column["blocks"]]
    raise AssertionError(f"no column {name}")


def form(client: Any, **asked: Any) -> Any:
    response = client.get(reverse(BOOK), asked)
    assert response.status_code == 200
    return response.context


def said(context: Any, venue: Any, **more: Any) -> dict[str, Any]:
    return {
        "token": context["typed"]["token"],
        "resource": context["typed"]["resource"],
        "day": context["typed"]["day"],
        "slot": context["typed"]["slot"],
        "who": "known",
        "customer": venue.customer.pk,
        "units": 1,
        "method": "pay_on_arrival",
        "step": "book",
    } | more


def shown(context: Any) -> list[str]:
    return [choice.hours for choice in context["picker"].choices]


# --- what is shown ------------------------------------------------------------------------------


def test_what_is_open_and_free_is_shown_between_what_is_booked(venue, court):
    booked(venue, court, at(10), minutes=90)
    booked(venue, court, at(12))
    client = as_role(venue, "front_desk")

    assert blocks(client) == [
        ("09:00–10:00", "free"),
        ("10:00–11:30", "full"),
        ("12:00–13:00", "full"),
        ("13:00–18:00", "free"),
    ]  # half past eleven is too short for anybody


def test_what_is_past_closed_or_for_those_who_may_not_book_is_no_way_in(venue, court):
    text = as_role(venue, "reviewer").get(
        reverse("admin:calendar"), {"day": at(9).date().isoformat()}
    )
    yesterday = (at(9) - timedelta(days=4)).date().isoformat()
    Resource.objects.filter(pk=court.pk).update(provider=staff(venue, "provider"))
    provider = signed_in(Resource.objects.get(pk=court.pk).provider)

    assert "data-hf-gap " in text.content.decode()
    page = provider.get(reverse("admin:calendar"), {"day": at(9).date().isoformat()})
    assert "09:00–18:00" in page.content.decode()
    assert "data-hf-gap " not in page.content.decode()
    assert blocks(as_role(venue, "manager"), day=yesterday) == []


def test_a_week_shows_each_day_s_free_times(venue, court):
    booked(venue, court, at(9), minutes=180)
    response = as_role(venue, "manager").get(
        reverse("admin:calendar"),
        {"view": "week", "day": at(9).date().isoformat(), "resource": court.pk},
    )

    column = response.context["columns"][at(9).weekday()]
    assert [(b.hours, b.state) for b in column["blocks"]] == [
        ("09:00–12:00", "full"),
        ("12:00–18:00", "free"),
    ]


def test_a_time_that_is_open_over_midnight_is_in_both_its_days(venue):
    open_court(venue, name="Night court", from_time=time(20), until_time=time(2))
    client = as_role(venue, "manager")

    (early, late) = blocks(client, "Night court")

    assert early == ("00:00–02:00", "free")
    assert late == (f"20:00–{at(9) + timedelta(days=1):%a} 00:30", "free")  # the last start: 23:30


def test_courts_of_a_hall_are_not_free_while_the_hall_is_taken(venue, court):
    from bookings.models import ResourcePart

    hall = f.ResourceFactory(organization=venue.organization, name="Hall", exclusive=True)
    ResourcePart.objects.create(organization=venue.organization, whole=hall, part=court)
    hall.refresh_from_db()
    f.hold(venue.customer, f.make_slot(hall, starts_at=at(11), minutes=120))

    assert blocks(as_role(venue, "manager")) == [
        ("09:00–11:00", "free"),
        ("11:00–13:00", "taken"),
        ("13:00–18:00", "free"),
    ]


def test_a_page_costs_the_same_for_any_number_of_courts(venue, court):
    client = as_role(venue, "front_desk")

    def statements() -> int:
        client.get(reverse("admin:calendar"), {"day": at(9).date().isoformat()})
        with CaptureQueriesContext(connection) as queries:
            client.get(reverse("admin:calendar"), {"day": at(9).date().isoformat()})
        return len(queries)

    booked(venue, court, at(9))
    few = statements()
    for number in range(2, 8):
        another = open_court(venue, name=f"Court {number}")
        booked(venue, another, at(9 + number))

    assert statements() == few


# --- booking ------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["manager", "front_desk"])
def test_a_free_time_is_booked_for_somebody(venue, court, role):
    client = as_role(venue, role)
    context = form(client, slot=value(court, at(11, 30), 90))
    assert "11:30" in context["headline"]
    assert [c.hours for c in context["picker"].choices if c.is_chosen] == ["11:30–13:00"]

    response = client.post(reverse(BOOK), said(context, venue), follow=True)

    assert "Booked for Ours Customer and confirmed" in response.content.decode()
    slot = Booking.objects.get(slot__resource=court).slot
    assert (slot.starts_at, slot.ends_at, slot.source) == (at(11, 30), at(13), "free")


def test_the_form_offers_what_is_free_for_so_long(venue, court):
    booked(venue, court, at(11), minutes=120)
    client = as_role(venue, "front_desk")
    day = at(9).date().isoformat()

    short = form(client, resource=court.pk, day=day)
    long = form(client, resource=court.pk, day=day, minutes=180)
    odd = form(client, resource=court.pk, day=day, minutes=77)

    assert shown(short)[:4] == ["09:00–10:00", "09:30–10:30", "10:00–11:00", "13:00–14:00"]
    assert shown(long) == [
        "13:00–16:00",
        "13:30–16:30",
        "14:00–17:00",
        "14:30–17:30",
        "15:00–18:00",
    ]
    assert short["picker"].lengths[0] == (60, "1 hour")
    assert [m for m, _ in short["picker"].lengths] == [60, 90, 120, 150, 180]
    assert odd["picker"].minutes == 60


def test_staff_see_times_that_customers_cannot_have_yet_and_need_a_reason(venue):
    court = open_court(venue, notice_minutes=60 * 24 * 9)
    client = as_role(venue, "front_desk")
    context = form(client, slot=value(court, at(10)))
    assert "10:00–11:00" in shown(context)

    refused = client.post(reverse(BOOK), said(context, venue))

    assert "Not booked, by the rules of Court 1" in refused.content.decode()
    assert not Slot.objects.filter(resource=court).exists()
    again = said(refused.context, venue, anyway="on", reason="The boss said so.")
    assert client.post(reverse(BOOK), again).status_code == 302
    assert Booking.objects.filter(slot__resource=court).exists()


def test_a_time_that_was_taken_meanwhile_is_refused_and_nothing_typed_is_lost(venue, court):
    client = as_role(venue, "front_desk")
    context = form(client, slot=value(court, at(11), 90))
    booked(venue, court, at(12))
    before = Slot.objects.count()

    response = client.post(reverse(BOOK), said(context, venue, note="called at nine"))

    text = response.content.decode()
    assert "taken at that time" in text
    assert "called at nine" in text
    assert response.context["picker"].minutes == 90
    assert Slot.objects.count() == before


def test_pressed_twice_it_books_once(venue, court):
    client = as_role(venue, "front_desk")
    sent = said(form(client, slot=value(court, at(11))), venue)

    for _ in range(2):
        assert client.post(reverse(BOOK), sent).status_code == 302

    assert Booking.objects.filter(slot__resource=court).count() == 1


def test_a_time_of_another_resource_than_the_one_that_is_shown_is_not_booked(venue, court):
    other = open_court(venue, name="Court 2")
    client = as_role(venue, "front_desk")
    sent = said(form(client, slot=value(court, at(11))), venue, resource=other.pk)

    response = client.post(reverse(BOOK), sent)

    assert "Choose a time." in response.content.decode()
    assert not Slot.objects.filter(resource__in=[court, other]).exists()


def test_a_court_of_another_organisation_is_not_booked(venue, court, foreign):
    theirs = open_court(foreign, name="Theirs")
    client = as_role(venue, "front_desk")
    context = form(client, resource=court.pk)

    sent = said(context, venue, slot=value(theirs, at(11)), resource=theirs.pk)
    response = client.post(reverse(BOOK), sent)

    assert response.status_code == 200
    assert not Slot.objects.filter(resource=theirs).exists()


@pytest.mark.parametrize(
    "odd",
    [
        "x",
        "a/b/c",
        "{court}/2030-01-01T10:00:00Z",
        "{court}/soon/60",
        "{court}/2030-01-01T10:00:00Z/sixty",
        "{court}/2030-01-01T10:00:00Z/-60",
        "{court}/0001-01-01T00:00:00+14:00/60",
        "{court}/9999-12-31T23:59:59-12:00/60",
        "{court}/2030-01-01T10:00:00Z/99999999999",
        "\0/\0/1",
    ],
)
def test_what_makes_no_sense_still_shows_the_page(venue, court, odd):
    client = as_role(venue, "front_desk")
    odd = odd.format(court=court.pk)

    context = form(client, resource=court.pk, slot=odd)
    response = client.post(reverse(BOOK), said(context, venue, slot=odd))

    assert response.status_code == 200
    assert "Choose a time." in response.content.decode()


# --- moving -------------------------------------------------------------------------------------


def move_page(booking: Booking) -> str:
    return reverse("admin:calendar_move", args=[booking.pk])


def sent_to(booking: Booking, to: str, step: str = "move") -> dict[str, Any]:
    return {"step": step, "slot": to, "version": booking.version, "reason": "the court is wet"}


def when(booking: Booking) -> tuple[datetime, datetime]:
    slot = Booking.objects.select_related("slot").get(pk=booking.pk).slot
    return slot.starts_at, slot.ends_at


def test_a_booking_moves_to_a_free_time_also_across_its_own(venue, court):
    booking = booked(venue, court, at(10), minutes=90)
    client = as_role(venue, "front_desk")

    context = client.get(move_page(booking)).context

    assert context["picker"].minutes == 90
    hours = {c.hours: c.words for c in context["picker"].choices}
    assert "10:00–11:30" not in hours  # where it is
    assert hours["10:30–12:00"] == "overlaps its own time"

    response = client.post(move_page(booking), sent_to(booking, value(court, at(10, 30), 90)))

    assert response.status_code == 302
    assert when(booking) == (at(10, 30), at(12))


def test_moved_twice_by_one_button_it_complains_about_nothing(venue, court):
    booking = booked(venue, court, at(10))
    client = as_role(venue, "front_desk")
    sent = sent_to(booking, value(court, at(14)))

    assert [client.post(move_page(booking), sent).status_code for _ in range(2)] == [302, 302]
    assert when(booking)[0] == at(14)


def test_it_moves_to_another_court_and_to_a_slot_and_back(venue, court):
    other = open_court(venue, name="Court 2")
    slot = f.make_slot(venue.resource, starts_at=at(9))
    booking = booked(venue, court, at(10))
    f.PriceFactory(resource=other, amount=0)
    client = as_role(venue, "manager")

    for to in (value(other, at(11)), str(slot.pk), value(court, at(9), 120)):
        booking.refresh_from_db()
        keep = {"keep_price": "on"}
        assert client.post(move_page(booking), sent_to(booking, to) | keep).status_code == 302

    assert when(booking) == (at(9), at(11))


def test_a_free_time_is_proposed_and_shown_as_held(venue, court):
    booking = booked(venue, court, at(10))
    client = as_role(venue, "front_desk")

    client.post(move_page(booking), sent_to(booking, value(court, at(14)), "propose"))

    booking.refresh_from_db()
    assert booking.status == "reschedule_proposed"
    assert blocks(client) == [
        ("09:00–10:00", "free"),
        ("10:00–11:00", "full"),
        ("11:00–14:00", "free"),
        ("14:00–15:00", "full"),
        ("15:00–18:00", "free"),
    ]


def test_a_move_that_is_refused_leaves_nothing_behind(venue, court):
    booking = booked(venue, court, at(10))
    booked(venue, court, at(14))
    client = as_role(venue, "front_desk")
    slots = Slot.objects.count()

    for to in (value(court, at(13, 30)), value(court, at(20)), value(court, at(12, 7))):
        response = client.post(move_page(booking), sent_to(booking, to))
        assert response.status_code == 200
        assert response.context["form"].non_field_errors()

    assert when(booking)[0] == at(10)
    assert Slot.objects.count() == slots
