"""Closing days, extra hours and holidays, and what becomes of bookings on them (B1, B2, F3)."""

from __future__ import annotations

import re
from datetime import date, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from audit.context import Actor
from audit.history import trail_of
from bookings.models import Booking, Resource, ScheduleException, ScheduleRule, Slot
from bookings.services import closings, reschedule, schedules
from tests import factories as f
from tests.admin.conftest import ROLES, Venue, as_role, signed_in, staff
from tests.invariants import assert_consistent

# Refusals of the database end real transactions.
pytestmark = pytest.mark.django_db(transaction=True)

BERLIN = ZoneInfo("Europe/Berlin")
MIA = Actor("staff", None, "Mia")
LIST = "admin:bookings_scheduleexception_changelist"
ADD = "admin:bookings_scheduleexception_add"
IMPORT = "admin:bookings_scheduleexception_import_holidays"


def in_days(days: int) -> date:
    return timezone.localtime(timezone.now(), BERLIN).date() + timedelta(days=days)


def scheduled(venue: Venue, name: str, **fields: Any) -> Resource:
    """A resource that is open from 9 to 12 on every day, for two bookings at a time."""
    made: Resource = f.ResourceFactory(
        organization=venue.organization, name=name, horizon_days=20, **fields
    )
    schedules.change_schedule(
        resource_id=made.pk,
        organization_id=made.organization_id,
        valid_from=in_days(0),
        rules=[ScheduleRule(from_time=time(9), until_time=time(12), max_bookings=2, max_units=4)],
        actor=MIA,
        now=timezone.now(),
    )
    return made


@pytest.fixture
def court(venue: Venue) -> Resource:
    return scheduled(venue, "Court")


def on(resource: Resource, day: date, status: str = "open") -> list[Slot]:
    """The slots of a day, earliest first."""
    found = Slot.objects.filter(resource=resource, status=status).order_by("starts_at")
    return [s for s in found if s.starts_at.astimezone(BERLIN).date() == day]


def book(venue: Venue, slot: Slot, name: str = "Guest", units: int = 1) -> Booking:
    customer = f.CustomerFactory(organization=venue.organization, name=name)
    made = f.check_out(customer, slot, method="pay_on_arrival", units=units)
    found: Booking = Booking.objects.get(cart_item__transaction=made)
    return found


def form(**changes: Any) -> dict[str, Any]:
    """The form of a closing day in five days, as a browser sends it."""
    return {
        "step": "preview",
        "kind": "closed",
        "organization": "",
        "resource": "",
        "name": "Repairs",
        "first_day": in_days(5).isoformat(),
        "last_day": "",
        "from_time": "",
        "until_time": "",
        "slot_minutes": "60",
        "gap_minutes": "0",
        "buffer_before_minutes": "0",
        "buffer_after_minutes": "0",
        "max_bookings": "1",
        "max_units": "1",
        **changes,
    }


def apply(client: Client, url: str, sent: dict[str, Any], **changes: Any) -> Any:
    looked = client.post(url, sent)
    outcome = looked.context["outcome"]
    assert outcome.preview is not None, looked.context["form"].errors
    return client.post(url, {**sent, "step": "apply", "seen": outcome.seen, **changes})


def text(response: Any) -> str:
    return re.sub(r"\s+", " ", response.content.decode())


def mine(venue: Venue) -> Any:
    return ScheduleException.objects.filter(organization=venue.organization).exclude(
        pk=venue.exception.pk
    )


# --- closing -------------------------------------------------------------------------------------


def test_looking_at_a_closing_day_changes_nothing(venue, court):
    shown = as_role(venue, "manager").post(reverse(ADD), form())

    assert [(k.name, k.count) for k in shown.context["preview"]["kinds"]][-1] == ("removed", 3)
    assert len(on(court, in_days(5))) == 3
    assert not mine(venue).exists()


def test_a_day_is_closed_for_one_resource(venue, court):
    other = scheduled(venue, "Other")
    user = staff(venue, "manager")

    done = apply(signed_in(user), reverse(ADD), form(resource=str(court.pk)))

    assert done.status_code == 302
    made = mine(venue).get()
    assert (made.name, made.first_day, made.last_day) == ("Repairs", in_days(5), in_days(5))
    assert (on(court, in_days(5)), len(on(other, in_days(5)))) == ([], 3)
    assert trail_of(ScheduleException)._default_manager.get(id=made.pk).actor_id == user.pk


def test_days_are_closed_for_all_resources(venue, court):
    other = scheduled(venue, "Other")

    apply(as_role(venue, "owner"), reverse(ADD), form(last_day=in_days(6).isoformat()))

    for resource in (court, other):
        assert on(resource, in_days(5)) == on(resource, in_days(6)) == []
        assert len(on(resource, in_days(7))) == 3


def test_a_holiday_closes_only_what_closes_on_holidays(venue, court):
    always = scheduled(venue, "Always open", observes_holidays=False)

    apply(as_role(venue, "owner"), reverse(ADD), form(kind="holiday"))

    assert on(court, in_days(5)) == []
    assert len(on(always, in_days(5))) == 3


def test_hours_of_a_day_are_closed(venue, court):
    sent = form(from_time="09:00", until_time="10:00")

    apply(as_role(venue, "manager"), reverse(ADD), sent)

    assert [s.starts_at.astimezone(BERLIN).hour for s in on(court, in_days(5))] == [10, 11]


def test_extra_hours_are_open_although_it_is_closed(venue, court):
    client = as_role(venue, "manager")
    apply(client, reverse(ADD), form())
    extra = form(
        kind="extra", resource=str(court.pk), from_time="20:00", until_time="22:00", max_units="7"
    )

    apply(client, reverse(ADD), {**extra, "slot_minutes": "30", "max_bookings": "3"})

    made = on(court, in_days(5))
    assert [f"{s.starts_at.astimezone(BERLIN):%H:%M}" for s in made] == [
        "20:00",
        "20:30",
        "21:00",
        "21:30",
    ]
    assert {(s.max_bookings, s.max_units) for s in made} == {(3, 7)}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": ""}, "This field is required."),
        ({"first_day": ""}, "This field is required."),
        ({"last_day": "2020-01-01"}, "What was is not changed"),
        ({"from_time": "09:00"}, "Give both hours, or none for whole days."),
        ({"kind": "extra"}, "Extra hours need a resource and hours."),
        ({"kind": "party"}, "Select a valid choice."),
        ({"then": "run"}, "Select a valid choice."),
        ({"then": "move", "move_by_days": "0"}, "Say how many days later."),
        ({"last_day": "9999-12-31"}, "The last day is not before the first"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words_and_nothing_is_lost(venue, court, changes, words):
    shown = as_role(venue, "manager").post(
        reverse(ADD), form(**{"gap_minutes": "17", "reason": "typed with care", **changes})
    )

    errors = [*shown.context["form"].errors.values(), *shown.context["then"].errors.values()]
    assert words in str(errors)
    assert shown.context["preview"] is None
    assert 'value="17"' in text(shown)
    assert not mine(venue).exists()


def test_a_resource_of_another_organisation_cannot_be_closed(venue, foreign, court):
    for field, value in (
        ("resource", foreign.resource.pk),
        ("organization", foreign.organization.pk),
    ):
        apply_to = form(**{field: str(value)}, step="apply")
        as_role(venue, "manager").post(reverse(ADD), apply_to)

    assert ScheduleException.objects.filter(organization=foreign.organization).count() == 1
    assert not mine(venue).exists()


# --- bookings on closing days ------------------------------------------------------------------


def test_bookings_on_a_closing_day_are_shown_with_what_can_be_done(venue, court):
    booking = book(venue, on(court, in_days(5))[0], "Anna Affected")

    shown = text(as_role(venue, "manager").post(reverse(ADD), form()))

    assert "Anna Affected" in shown
    assert reverse("admin:bookings_booking_change", args=[booking.pk]) in shown
    assert "1 of 1 find room 7 days later" in shown
    for choice in ("keep", "move", "cancel"):
        assert f'value="{choice}"' in shown
    assert re.search(r'value="keep"[^>]*checked', shown)


def test_proposals_that_end_with_a_closing_day_are_listed(venue, court):
    booking = book(venue, on(court, in_days(6))[0], "Paula Proposed")
    reschedule.propose(
        booking_id=booking.pk,
        organization_id=venue.organization.pk,
        slot_id=on(court, in_days(5))[0].pk,
        actor=Actor("staff", None, "Mia"),
        now=timezone.now(),
    )

    shown = text(as_role(venue, "owner").post(reverse(ADD), form()))

    assert "No booking is affected" in shown
    assert "One proposed time is no longer offered" in shown
    assert "Paula Proposed" in shown


def test_kept_bookings_stay_where_they_are(venue, court):
    booking = book(venue, on(court, in_days(5))[0])

    apply(as_role(venue, "manager"), reverse(ADD), form(then="keep"))

    booking.refresh_from_db()
    booking.slot.refresh_from_db()
    assert (booking.status, booking.slot.status) == ("confirmed", "legacy")
    assert_consistent()


def test_bookings_move_together_and_those_without_room_are_named(venue, court):
    there = on(court, in_days(5))[0]
    moved, stays = book(venue, there, "Moves"), book(venue, there, "Stays")
    later = next(s for s in on(court, in_days(8)) if s.starts_at.astimezone(BERLIN).hour == 9)
    book(venue, later)
    sent = form(then="move", move_by_days="3", reason="New floor")
    client = as_role(venue, "manager")

    looked = client.post(reverse(ADD), sent)
    assert "1 of 2 find room 3 days later" in text(looked)
    sent |= {"step": "apply", "seen": looked.context["outcome"].seen}
    done = client.post(reverse(ADD), sent, follow=True)

    slots = {b.pk: b.slot_id for b in Booking.objects.filter(pk__in=[moved.pk, stays.pk])}
    assert sorted(slots.values()) == sorted([later.pk, there.pk])
    assert "Moved: 1 booking." in text(done)
    kept = next(b for b in (moved, stays) if slots[b.pk] == there.pk)
    assert f"1 booking kept their time ({kept.reference})" in text(done)
    assert_consistent()


def test_bookings_are_cancelled_with_a_reason_and_a_tick(venue, court):
    booking = book(venue, on(court, in_days(5))[0])
    client = as_role(venue, "manager")
    sent = form(then="cancel")

    for missing, words in (
        ({"reason": "", "sure": "on"}, "Say why: the customers will read it."),
        ({"reason": "Water damage"}, "Tick that you want to cancel 1 booking."),
    ):
        refused = apply(client, reverse(ADD), {**sent, **missing})
        assert words in text(refused)
        booking.refresh_from_db()
        assert booking.status == "confirmed"
        assert not mine(venue).exists()

    done = apply(client, reverse(ADD), {**sent, "reason": "Water damage", "sure": "on"})

    assert done.status_code == 302
    booking.refresh_from_db()
    assert (booking.status, booking.ended_reason) == ("cancelled", "Water damage")
    assert_consistent()


def test_a_booking_in_between_is_shown_and_nothing_is_cancelled(venue, court):
    first = book(venue, on(court, in_days(5))[0])
    sent = form(then="cancel", reason="Water damage", sure="on")
    client = as_role(venue, "manager")
    seen = client.post(reverse(ADD), sent).context["outcome"].seen
    book(venue, on(court, in_days(5))[1], "Came Meanwhile")

    shown = client.post(reverse(ADD), {**sent, "step": "apply", "seen": seen})

    assert "Something was booked, changed or has started meanwhile" in text(shown)
    assert "Came Meanwhile" in text(shown)
    assert "Water damage" in text(shown)
    first.refresh_from_db()
    assert first.status == "confirmed"
    assert not mine(venue).exists()


def test_looking_costs_the_same_for_one_resource_and_for_many(venue, court):
    client = as_role(venue, "manager")

    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            client.post(reverse(ADD), form())
        return len(queries)

    book(venue, on(court, in_days(5))[0])
    one = cost()
    for number in range(5):
        other = scheduled(venue, f"Other {number}")
        book(venue, on(other, in_days(5))[0])

    assert cost() == one


# --- withdrawing ---------------------------------------------------------------------------------


@pytest.fixture
def closed(venue: Venue, court: Resource) -> ScheduleException:
    made = ScheduleException(
        resource=court, kind="closed", name="Repairs", first_day=in_days(5), last_day=in_days(5)
    )
    closings.add_exceptions(
        organization_id=venue.organization.pk, exceptions=[made], actor=MIA, now=timezone.now()
    )
    return made


def withdraw_url(*exceptions: ScheduleException) -> str:
    ids = "&".join(f"id={one.pk}" for one in exceptions)
    return f"{reverse('admin:bookings_scheduleexception_withdraw')}?{ids}"


def test_withdrawing_shows_what_comes_back_and_asks_why(venue, court, closed):
    user = staff(venue, "manager")
    client = signed_in(user)

    looked = client.get(withdraw_url(closed))
    assert ("new", 3) in [(k.name, k.count) for k in looked.context["preview"]["kinds"]]
    seen = looked.context["outcome"].seen
    refused = client.post(withdraw_url(closed), {"step": "apply", "seen": seen, "reason": ""})
    assert "reason" in refused.context["form"].errors
    closed.refresh_from_db()
    assert closed.withdrawn_at is None

    again = refused.context["outcome"].seen
    done = client.post(withdraw_url(closed), {"step": "apply", "seen": again, "reason": "Done"})

    assert done.status_code == 302
    closed.refresh_from_db()
    assert closed.withdrawn_at is not None
    assert len(on(court, in_days(5))) == 3
    line = trail_of(ScheduleException)._default_manager.filter(id=closed.pk).latest("history_id")
    assert (line.actor_id, line.history_change_reason) == (user.pk, "Done")


def test_several_are_withdrawn_from_the_list(venue, court, closed):
    client = as_role(venue, "manager")

    sent = {"action": "withdraw_chosen", "_selected_action": [closed.pk, venue.exception.pk]}
    asked = client.post(reverse(LIST), sent)
    looked = client.get(asked["Location"])
    form_sent = {"step": "apply", "seen": looked.context["outcome"].seen, "reason": "Mistake"}
    client.post(asked["Location"], form_sent)

    assert not ScheduleException.objects.filter(
        organization=venue.organization, withdrawn_at__isnull=True
    ).exists()


def test_what_changed_since_looking_is_shown_again(venue, court, closed):
    client = as_role(venue, "manager")
    seen = client.get(withdraw_url(closed)).context["outcome"].seen
    schedules.change_schedule(
        resource_id=court.pk,
        organization_id=court.organization_id,
        valid_from=in_days(0),
        rules=[ScheduleRule(from_time=time(9), until_time=time(11))],
        actor=MIA,
        now=timezone.now(),
    )

    shown = client.post(withdraw_url(closed), {"step": "apply", "seen": seen, "reason": "Done"})

    assert "meanwhile" in text(shown)
    closed.refresh_from_db()
    assert closed.withdrawn_at is None


def test_what_is_withdrawn_foreign_or_nonsense_is_not_there(venue, foreign, closed):
    client = as_role(venue, "manager")
    base = reverse("admin:bookings_scheduleexception_withdraw")
    closings.withdraw_exceptions(
        organization_id=venue.organization.pk,
        exception_ids=[closed.pk],
        actor=MIA,
        now=timezone.now(),
    )

    for url in (withdraw_url(closed), withdraw_url(foreign.exception), base, f"{base}?id=x"):
        assert client.get(url).status_code == 404
        assert client.post(url, {"step": "apply", "reason": "x"}).status_code == 404
    foreign.exception.refresh_from_db()
    assert foreign.exception.withdrawn_at is None


# --- the list ------------------------------------------------------------------------------------


def test_the_list_begins_with_those_to_come(venue, court, closed):
    past = ScheduleException.objects.create(
        organization=venue.organization,
        kind="closed",
        name="Long ago",
        first_day=date(2020, 1, 1),
        last_day=date(2020, 1, 2),
        created_at=timezone.now(),
    )
    closings.withdraw_exceptions(
        organization_id=venue.organization.pk,
        exception_ids=[closed.pk],
        actor=MIA,
        now=timezone.now(),
    )
    client = as_role(venue, "front_desk")

    def listed(**asked: str) -> set[Any]:
        return {one.pk for one in client.get(reverse(LIST), asked).context["cl"].queryset}

    assert listed() == {venue.exception.pk}
    assert listed(when="past") == {past.pk}
    assert listed(when="withdrawn") == {closed.pk}
    assert listed(when="all") == {venue.exception.pk, past.pk, closed.pk}


def test_providers_see_their_own_and_what_is_of_all(venue, court, closed):
    user = staff(venue, "provider")
    own = scheduled(venue, "Own", provider=user)
    theirs = ScheduleException.objects.create(
        organization=venue.organization,
        resource=own,
        kind="closed",
        name="Away",
        first_day=in_days(3),
        last_day=in_days(3),
        created_at=timezone.now(),
    )

    found = signed_in(user).get(reverse(LIST)).context["cl"].queryset

    assert {one.pk for one in found} == {venue.exception.pk, theirs.pk}


@pytest.mark.parametrize("role", ROLES)
def test_everybody_sees_and_leaders_change(venue, role):
    client = as_role(venue, role)
    leads = role in ("owner", "manager")
    change = reverse("admin:bookings_scheduleexception_change", args=[venue.exception.pk])
    expected = 200 if leads else 403

    assert client.get(reverse(LIST)).status_code == 200
    assert client.get(change).status_code == 200
    assert client.post(change, {"name": "Other"}).status_code == 403  # written once, for all
    for url in (reverse(ADD), reverse(IMPORT), withdraw_url(venue.exception)):
        assert client.get(url).status_code == expected
        if not leads:
            sent = form(step="apply", reason="x")
            assert client.post(url, sent).status_code == 403
    assert ("Withdraw" in text(client.get(change))) is leads
    venue.exception.refresh_from_db()
    assert (venue.exception.name, venue.exception.withdrawn_at) == ("Ours holiday", None)
    assert not mine(venue).exists()


# --- holidays ------------------------------------------------------------------------------------


def calendar(*events: tuple[str, str, date]) -> SimpleUploadedFile:
    """A calendar file with whole days: identifier, name, day."""
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Test//EN"]
    for uid, name, day in events:
        lines += ["BEGIN:VEVENT", f"UID:{uid}", f"SUMMARY:{name}"]
        lines += [f"DTSTART;VALUE=DATE:{day:%Y%m%d}", "END:VEVENT"]
    lines += ["BEGIN:VEVENT", "UID:party", "SUMMARY:Party", f"DTSTART:{in_days(4):%Y%m%d}T180000Z"]
    lines += ["END:VEVENT", "END:VCALENDAR", ""]
    return SimpleUploadedFile("days.ics", "\r\n".join(lines).encode(), "text/calendar")


def take_over(client: Client, file: SimpleUploadedFile) -> Any:
    looked = client.post(reverse(IMPORT), {"step": "preview", "file": file})
    sent = {
        "step": "apply",
        "kept": looked.context["kept"],
        "seen": looked.context["outcome"].seen,
    }
    return client.post(reverse(IMPORT), sent, follow=True)


def test_a_file_is_shown_with_what_was_left_out_and_changes_nothing(venue, court):
    file = calendar(("a", "New Year", in_days(5)), ("b", "Labour Day", in_days(6)))

    shown = as_role(venue, "manager").post(reverse(IMPORT), {"step": "preview", "file": file})

    words = text(shown)
    assert "2 holidays were read" in words
    assert "New Year" in words
    assert "It has hours; only whole days are read." in words
    assert ("removed", 6) in [(k.name, k.count) for k in shown.context["preview"]["kinds"]]
    assert not mine(venue).exists()
    assert len(on(court, in_days(5))) == 3


def test_holidays_are_taken_over_once(venue, court):
    file = ("a", "New Year", in_days(5)), ("b", "Labour Day", in_days(6))
    client = as_role(venue, "manager")

    done = take_over(client, calendar(*file))
    assert "2 holidays are taken over." in text(done)
    assert sorted(mine(venue).values_list("uid", "kind")) == [("a", "holiday"), ("b", "holiday")]
    assert on(court, in_days(5)) == []

    again = client.post(reverse(IMPORT), {"step": "preview", "file": calendar(*file)})
    assert "Nothing in it is new" in text(again)
    assert again.context["preview"] is None
    take_over(client, calendar(*file))
    assert mine(venue).count() == 2


def test_a_holiday_on_another_day_is_withdrawn_and_made_anew(venue, court):
    client = as_role(venue, "manager")
    take_over(client, calendar(("a", "Easter", in_days(5)), ("b", "Labour Day", in_days(6))))

    take_over(client, calendar(("a", "Easter", in_days(8)), ("b", "Labour Day", in_days(6))))

    in_force = mine(venue).filter(withdrawn_at__isnull=True)
    assert sorted(in_force.values_list("uid", "first_day")) == [
        ("a", in_days(8)),
        ("b", in_days(6)),
    ]
    assert mine(venue).filter(withdrawn_at__isnull=False).get().first_day == in_days(5)
    assert len(on(court, in_days(5))) == 3
    assert on(court, in_days(8)) == []
    assert_consistent()


def test_only_what_is_ticked_is_taken_over_and_bookings_on_it_move(venue, court):
    booking = book(venue, on(court, in_days(5))[0], "Anna Affected")
    client = as_role(venue, "manager")
    file = calendar(("a", "New Year", in_days(5)), ("b", "Labour Day", in_days(6)))
    looked = client.post(reverse(IMPORT), {"step": "preview", "file": file})
    assert "Anna Affected" in text(looked)
    sent = {"kept": looked.context["kept"], "ticked": "yes", "take": ["a"], "then": "move"}
    sent |= {"move_by_days": "3", "reason": "New Year"}

    looked = client.post(reverse(IMPORT), {**sent, "step": "preview"})
    assert "1 of 1 find room 3 days later" in text(looked)
    seen = looked.context["outcome"].seen
    changed = client.post(reverse(IMPORT), {**sent, "take": ["b"], "step": "apply", "seen": seen})
    assert "You changed the form since you looked" in text(changed)
    assert not mine(venue).exists()
    done = client.post(reverse(IMPORT), {**sent, "step": "apply", "seen": seen}, follow=True)

    assert "1 holiday is taken over." in text(done)
    assert [one.uid for one in mine(venue)] == ["a"]
    booking.refresh_from_db()
    assert booking.slot.starts_at.astimezone(BERLIN).date() == in_days(8)
    assert_consistent()


def test_what_staff_withdrew_is_not_taken_over_again_unless_it_is_ticked(venue, court):
    client = as_role(venue, "manager")
    file = ("a", "New Year", in_days(5)), ("b", "Labour Day", in_days(6))
    take_over(client, calendar(*file))
    closings.withdraw_exceptions(
        organization_id=venue.organization.pk,
        exception_ids=[mine(venue).get(uid="a").pk],
        actor=MIA,
        now=timezone.now(),
    )

    again = client.post(reverse(IMPORT), {"step": "preview", "file": calendar(*file)})

    assert [(b.value, b.ticked) for b in again.context["withdrawn"]] == [("a", False)]
    assert "Withdrawn by the staff" in text(again)
    assert again.context["preview"] is None
    sent = {"kept": again.context["kept"], "ticked": "yes", "take": ["a"]}
    looked = client.post(reverse(IMPORT), {**sent, "step": "preview"})
    seen = looked.context["outcome"].seen
    client.post(reverse(IMPORT), {**sent, "step": "apply", "seen": seen})
    assert mine(venue).filter(uid="a", withdrawn_at__isnull=True).count() == 1


def test_what_left_the_file_is_offered_to_be_withdrawn_and_stays_if_it_is_not(venue, court):
    client = as_role(venue, "manager")
    old, new = ("a", "Old Day", in_days(5)), ("b", "Labour Day", in_days(6))
    take_over(client, calendar(old, new))

    shown = client.post(reverse(IMPORT), {"step": "preview", "file": calendar(new)})

    (gone,) = shown.context["gone"]
    assert (gone.name, gone.ticked, shown.context["preview"]) == ("Old Day", False, None)
    sent = {"kept": shown.context["kept"], "ticked": "yes", "drop": [gone.value]}
    looked = client.post(reverse(IMPORT), {**sent, "step": "preview"})
    assert ("new", 3) in [(k.name, k.count) for k in looked.context["preview"]["kinds"]]
    assert mine(venue).filter(withdrawn_at__isnull=True).count() == 2
    seen = looked.context["outcome"].seen
    client.post(reverse(IMPORT), {**sent, "step": "apply", "seen": seen})

    assert [e.uid for e in mine(venue).filter(withdrawn_at__isnull=True)] == ["b"]
    assert len(on(court, in_days(5))) == 3


def test_two_organisations_can_have_the_same_holidays(venue, foreign, court):
    for place in (venue, foreign):
        take_over(as_role(place, "owner"), calendar(("a", "New Year", in_days(5))))

    assert ScheduleException.objects.filter(uid="a").count() == 2


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ({}, "Choose a file."),
        ({"kept": "made:up"}, "Choose a file."),
        ({"file": b"no calendar"}, "not a whole iCalendar file"),
    ],
)
def test_what_is_no_calendar_is_refused_in_words(venue, sent, words):
    for step in ("preview", "apply"):
        files = {"file": SimpleUploadedFile("x.ics", sent["file"])} if "file" in sent else {}
        given = {"step": step, **sent, **files}
        shown = as_role(venue, "manager").post(reverse(IMPORT), given)
        assert words in str(shown.context["form"].errors)
    assert not mine(venue).exists()


def test_nobody_imports_for_another_organisation(venue, foreign):
    file = calendar(("a", "New Year", in_days(5)))
    client = as_role(venue, "manager")
    looked = client.post(
        reverse(IMPORT),
        {"step": "preview", "file": file, "organization": str(foreign.organization.pk)},
    )

    sent = {"organization": str(foreign.organization.pk), "kept": looked.context["kept"]}
    client.post(reverse(IMPORT), {**sent, "step": "apply", "seen": looked.context["outcome"].seen})

    assert not ScheduleException.objects.filter(organization=foreign.organization, uid="a").exists()
