"""Making slots, opening, closing, capacity; cancelling and admitting single bookings (B1, B3, F3)."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.urls import reverse
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from audit.history import trail_of
from bookings.admin.make_slots import Plan
from bookings.models import Booking, Slot
from tests import factories as f
from tests.admin.conftest import as_role, confirmed_today, signed_in, staff

BERLIN = "Europe/Berlin"
EVERY_DAY = range(1, 8)


def plan(**changes) -> Plan:
    facts = {
        "zone": BERLIN,
        "first": date(2027, 1, 4),
        "last": date(2027, 1, 4),
        "weekdays": EVERY_DAY,
        "start": time(9),
        "until": time(12),
        "minutes": 60,
    }
    return Plan(**{**facts, **changes})


def clock(periods, zone=BERLIN) -> list[str]:
    return [
        f"{s.astimezone(ZoneInfo(zone)):%H:%M}-{e.astimezone(ZoneInfo(zone)):%H:%M}"
        for s, e in periods
    ]


def test_a_day_is_cut_into_slots_with_gaps():
    assert clock(plan(gap_minutes=30).periods()) == ["09:00-10:00", "10:30-11:30"]


def test_only_the_chosen_weekdays_are_offered():
    found = plan(last=date(2027, 1, 17), weekdays={6, 7}, until=time(10)).periods()

    assert [s.date() for s, _ in found] == [date(2027, 1, d) for d in (9, 10, 16, 17)]


def test_midnight_as_the_end_is_the_end_of_the_day():
    assert clock(plan(start=time(22), until=time(0)).periods()) == ["22:00-23:00", "23:00-00:00"]


def test_the_clock_on_the_wall_stays_when_the_offset_changes():
    """28 March 2027: Berlin goes from UTC+1 to UTC+2."""
    found = plan(first=date(2027, 3, 27), last=date(2027, 3, 29), until=time(10)).periods()

    assert clock(found) == ["09:00-10:00"] * 3
    assert [s.astimezone(UTC).hour for s, _ in found] == [8, 7, 7]


def test_an_hour_that_clocks_skip_is_not_offered():
    night = plan(first=date(2027, 3, 28), last=date(2027, 3, 28), start=time(0), until=time(5))

    assert clock(night.periods()) == ["00:00-01:00", "01:00-03:00", "03:00-04:00", "04:00-05:00"]
    assert all(e - s == timedelta(hours=1) for s, e in night.periods())
    assert night.changes() == [date(2027, 3, 28)]


def test_an_hour_that_clocks_repeat_is_offered_once():
    night = plan(first=date(2027, 10, 31), last=date(2027, 10, 31), start=time(1), until=time(4))

    found = night.periods()

    assert len(found) == 3
    assert all(e - s == timedelta(hours=1) for s, e in found)


@given(
    zone=st.sampled_from(
        [BERLIN, "America/New_York", "Australia/Lord_Howe", "UTC", "Asia/Kolkata"]
    ),
    first=st.dates(date(2026, 1, 1), date(2028, 12, 31)),
    days=st.integers(0, 10),
    start=st.times(),
    until=st.times(),
    minutes=st.integers(5, 600),
    gap=st.integers(0, 120),
)
def test_slots_never_overlap_and_have_their_full_length(
    zone, first, days, start, until, minutes, gap
):
    found = plan(
        zone=zone,
        first=first,
        last=first + timedelta(days=days),
        start=start.replace(second=0, microsecond=0),
        until=until.replace(second=0, microsecond=0),
        minutes=minutes,
        gap_minutes=gap,
    ).periods()

    assert all(e - s == timedelta(minutes=minutes) for s, e in found)
    assert all(b[0] >= a[1] for a, b in itertools.pairwise(found))
    assert all(s.tzinfo is UTC for s, _ in found)


# --- the form ----------------------------------------------------------------------------------


def make_form(venue, **changes) -> dict:
    day = timezone.localdate() + timedelta(days=10)
    facts = {
        "resource": str(venue.resource.pk),
        "first": day.isoformat(),
        "last": (day + timedelta(days=1)).isoformat(),
        "weekdays": ["1", "2", "3", "4", "5", "6", "7"],
        "start": "09:00",
        "until": "12:00",
        "minutes": "60",
        "gap_minutes": "0",
        "max_bookings": "4",
        "max_units": "8",
        "step": "preview",
    }
    return {**facts, **changes}


MAKE = "admin:bookings_slot_make_slots"


@pytest.mark.django_db(transaction=True)
def test_a_preview_counts_and_makes_nothing(venue):
    before = Slot.objects.count()

    response = as_role(venue, "manager").post(reverse(MAKE), make_form(venue))

    preview = response.context["preview"]
    assert (preview["count"], preview["there"], preview["days"]) == (6, 0, 2)
    assert "6 new slots" in response.content.decode()
    assert Slot.objects.count() == before


@pytest.mark.django_db(transaction=True)
def test_what_was_previewed_is_made_and_twice_makes_nothing_new(venue):
    user = staff(venue, "manager")
    client = signed_in(user)
    before = Slot.objects.count()

    client.post(reverse(MAKE), make_form(venue, step="make"))
    again = client.post(reverse(MAKE), make_form(venue))

    made = Slot.objects.filter(max_bookings=4, max_units=8)
    assert (made.count(), Slot.objects.count()) == (6, before + 6)
    assert {s.starts_at.astimezone(ZoneInfo(BERLIN)).hour for s in made} == {9, 10, 11}
    assert again.context["preview"]["count"] == 0
    assert again.context["preview"]["there"] == 6
    line = trail_of(Slot)._default_manager.filter(id=made[0].pk).get()
    assert (line.actor_kind, line.actor_id) == ("staff", user.pk)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"last": "2020-01-01"}, "last"),
        ({"last": "2040-01-01"}, "last"),
        ({"until": "08:00"}, "until"),
        ({"minutes": "0"}, "minutes"),
        ({"weekdays": []}, "weekdays"),
        ({"max_bookings": "0"}, "max_bookings"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(venue, changes, field):
    before = Slot.objects.count()

    response = as_role(venue, "manager").post(
        reverse(MAKE), make_form(venue, step="make", **changes)
    )

    assert field in response.context["form"].errors
    assert Slot.objects.count() == before


@pytest.mark.django_db(transaction=True)
def test_a_foreign_resource_cannot_be_offered(venue, foreign):
    response = as_role(venue, "manager").post(
        reverse(MAKE), make_form(venue, step="make", resource=str(foreign.resource.pk))
    )

    assert "resource" in response.context["form"].errors
    assert Slot.objects.filter(resource=foreign.resource).count() == 1


# --- actions -----------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_slots_are_closed_and_opened_with_a_reason(venue):
    other = f.make_slot(venue.resource, starts_at=f.soon(80))
    user = staff(venue, "manager")
    client = signed_in(user)
    address = reverse("admin:bookings_slot_changelist")
    fields = {"action": "close_chosen", "_selected_action": [venue.slot.pk, other.pk]}

    asked = client.post(address, fields)
    refused = client.post(address, {**fields, "confirmed": "yes", "reason": ""})
    assert asked.status_code == refused.status_code == 200
    assert set(Slot.objects.values_list("status", flat=True)) == {"open"}

    client.post(address, {**fields, "confirmed": "yes", "reason": "new floor"})
    assert set(Slot.objects.values_list("status", flat=True)) == {"closed"}
    line = trail_of(Slot)._default_manager.filter(id=other.pk).latest("history_id")
    assert (line.actor_id, line.history_change_reason) == (user.pk, "new floor")
    venue.booking.refresh_from_db()
    assert venue.booking.status == "pending"

    client.post(
        address, {**fields, "action": "open_chosen", "confirmed": "yes", "reason": "it is dry"}
    )
    assert set(Slot.objects.values_list("status", flat=True)) == {"open"}


@pytest.mark.django_db(transaction=True)
def test_capacity_never_falls_below_what_is_taken_and_then_none_changes(venue):
    crowded = f.make_slot(venue.resource, starts_at=f.soon(80), max_bookings=5)
    f.hold(venue.customer, crowded)
    f.hold(f.CustomerFactory(organization=venue.organization), crowded)
    client = as_role(venue, "manager")

    response = client.post(
        reverse("admin:bookings_slot_changelist"),
        {
            "action": "change_capacity_chosen",
            "_selected_action": [venue.slot.pk, crowded.pk],
            "confirmed": "yes",
            "max_bookings": "1",
            "max_units": "1",
            "reason": "smaller room",
        },
    )

    text = response.content.decode()
    assert "Nothing was changed" in text
    assert "smaller room" in text
    assert set(Slot.objects.values_list("max_bookings", flat=True)) == {10, 5}


@pytest.mark.django_db(transaction=True)
def test_one_slot_is_changed_from_its_own_page(venue):
    client = as_role(venue, "manager")
    args = [venue.slot.pk]
    reason = {"_form_submitted": "on", "reason": "because"}

    client.post(reverse("admin:bookings_slot_close_this", args=args), reason)
    venue.slot.refresh_from_db()
    assert venue.slot.status == "closed"
    client.post(reverse("admin:bookings_slot_open_this", args=args), reason)
    client.post(
        reverse("admin:bookings_slot_change_capacity_this", args=args),
        {**reason, "max_bookings": 3, "max_units": 6},
    )
    venue.slot.refresh_from_db()
    assert (venue.slot.status, venue.slot.max_bookings, venue.slot.max_units) == ("open", 3, 6)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("role", ["reviewer", "front_desk", "provider"])
def test_roles_that_do_not_manage_slots_cannot(venue, role):
    client = as_role(venue, role)
    venue.resource.provider = venue.membership.user
    venue.resource.save()

    page = client.get(reverse("admin:bookings_slot_changelist"))
    client.post(
        reverse("admin:bookings_slot_changelist"),
        {
            "action": "close_chosen",
            "_selected_action": [venue.slot.pk],
            "confirmed": "yes",
            "reason": "x",
        },
    )
    answer = client.post(
        reverse("admin:bookings_slot_close_this", args=[venue.slot.pk]),
        {"_form_submitted": "on", "reason": "x"},
    )

    assert "close_chosen" not in page.content.decode()
    assert answer.status_code in (403, 404)
    venue.slot.refresh_from_db()
    assert venue.slot.status == "open"


# --- single bookings -----------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_booking_is_cancelled_with_a_reason_and_its_item_and_transaction_follow(venue):
    user = staff(venue, "front_desk")
    address = reverse("admin:bookings_booking_cancel_this", args=[venue.booking.pk])
    client = signed_in(user)

    asked = client.get(address)
    refused = client.post(address, {"_form_submitted": "on", "reason": ""})
    venue.booking.refresh_from_db()
    assert venue.booking.status == "pending"
    assert "Its seats are free again" in asked.content.decode()
    assert refused.status_code == 200

    client.post(address, {"_form_submitted": "on", "reason": "fell ill"})
    venue.booking.refresh_from_db()
    venue.transaction.refresh_from_db()
    assert (venue.booking.status, venue.booking.ended_reason) == ("cancelled", "fell ill")
    assert venue.transaction.status == "cancelled"
    line = trail_of(Booking)._default_manager.filter(id=venue.booking.pk).latest("history_id")
    assert (line.actor_id, line.history_change_reason) == (user.pk, "fell ill")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("role", ["provider"])
def test_providers_cancel_nothing_even_of_their_own(venue, role):
    user = staff(venue, role)
    venue.resource.provider = user
    venue.resource.save()

    response = signed_in(user).post(
        reverse("admin:bookings_booking_cancel_this", args=[venue.booking.pk]),
        {"_form_submitted": "on", "reason": "x"},
    )

    assert response.status_code == 403
    venue.booking.refresh_from_db()
    assert venue.booking.status == "pending"


@pytest.mark.django_db(transaction=True)
def test_somebody_without_a_code_is_checked_in_by_hand(venue):
    booking = confirmed_today(venue)
    user = staff(venue, "front_desk")
    address = reverse("admin:bookings_booking_check_in_this", args=[booking.pk])

    signed_in(user).post(address, {"_form_submitted": "on", "reason": "phone is empty"})

    booking.refresh_from_db()
    booking.check_in_code.refresh_from_db()
    assert booking.status == "checked_in"
    assert booking.check_in_code.used_at is not None
    line = trail_of(Booking)._default_manager.filter(id=booking.pk).latest("history_id")
    assert (line.actor_id, line.history_change_reason) == (user.pk, "phone is empty")


@pytest.mark.django_db(transaction=True)
def test_a_booking_for_another_day_is_not_admitted_by_hand(venue):
    f.approve(venue.transaction)
    slot = f.make_slot(
        venue.resource, starts_at=datetime.now(UTC) + timedelta(days=5), max_bookings=5
    )
    made = f.approve(f.check_out(venue.customer, slot, method="pay_on_arrival"))
    booking = Booking.objects.get(cart_item__transaction=made)

    response = as_role(venue, "front_desk").post(
        reverse("admin:bookings_booking_check_in_this", args=[booking.pk]),
        {"_form_submitted": "on"},
        follow=True,
    )

    assert "This booking is for" in response.content.decode()
    booking.refresh_from_db()
    assert booking.status == "confirmed"
