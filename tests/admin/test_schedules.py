"""The schedule editor: looked at first, then applied, and never more than was shown (B1, B2, F3).

Time zones, what a resource is made of, pools, booking rules and what slots say of their making
are here too.
"""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from typing import Any
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from audit.context import Actor
from audit.history import trail_of
from bookings import selectors_schedules, slot_rows
from bookings.admin import schedule_preview, schedule_words
from bookings.models import (
    Booking,
    Pool,
    PoolMember,
    Resource,
    ResourcePart,
    Schedule,
    ScheduleException,
    ScheduleRule,
    Slot,
)
from bookings.planning import Planned
from bookings.regeneration import Plan
from bookings.services import closings, regenerating, schedule_sweeps, schedules
from bookings.services import resources as composition
from bookings.services import slots as slot_services
from tests import factories as f
from tests.admin.conftest import ROLES, RULES, Venue, as_role, signed_in, staff
from tests.invariants import assert_consistent

# Refusals of the database end real transactions.
pytestmark = pytest.mark.django_db(transaction=True)

BERLIN = ZoneInfo("Europe/Berlin")
MIA = Actor("staff", None, "Mia")
WEEK = [1, 2, 3, 4, 5, 6, 7]
HOURS = {
    "weekdays": ["1", "2", "3", "4", "5", "6", "7"],
    "from_time": "09:00",
    "until_time": "17:00",
    "slot_minutes": "60",
    "gap_minutes": "0",
    "buffer_before_minutes": "0",
    "buffer_after_minutes": "0",
    "max_bookings": "2",
    "max_units": "4",
    "valid_from": "",
    "valid_until": "",
}
EMPTY = {**HOURS, "weekdays": [], "from_time": "", "until_time": "", "max_bookings": "1"} | {
    "max_units": "1"
}


def today() -> date:
    return timezone.localtime(timezone.now(), BERLIN).date()


def page(name: str, resource: Resource) -> str:
    return reverse(f"admin:bookings_resource_{name}", args=[resource.pk])


def rule(**fields: Any) -> ScheduleRule:
    given = {"weekdays": WEEK, "from_time": time(9), "until_time": time(17), "max_bookings": 2}
    return ScheduleRule(**{**given, "max_units": 4, **fields})


def give(resource: Resource, *rules: ScheduleRule, day: date | None = None, note: str = "") -> Any:
    return schedules.change_schedule(
        resource_id=resource.pk,
        organization_id=resource.organization_id,
        valid_from=day or today(),
        rules=list(rules),
        note=note,
        actor=MIA,
        now=timezone.now(),
    )


def typed(*rows: dict[str, Any], there: int | None = None, **more: str) -> dict[str, Any]:
    """The editor's form as a browser sends it."""
    sent = {
        "step": "preview",
        "valid_from": today().isoformat(),
        "note": "",
        "rules-TOTAL_FORMS": str(len(rows)),
        "rules-INITIAL_FORMS": str(len(rows) if there is None else there),
        **more,
    }
    for number, row in enumerate(rows):
        sent |= {f"rules-{number}-{name}": value for name, value in row.items()}
    return sent


def apply(client: Client, url: str, form: dict[str, Any], **changes: Any) -> Any:
    """Look, then apply what was seen, with changes in between."""
    looked = client.post(url, form)
    assert looked.context["outcome"].preview is not None, looked.context["form"].errors
    seen = looked.context["outcome"].seen
    return client.post(url, {**form, "step": "apply", "seen": seen, **changes})


def text(response: Any) -> str:
    return re.sub(r"\s+", " ", response.content.decode())


@pytest.fixture
def court(venue: Venue) -> Resource:
    made: Resource = f.ResourceFactory(
        organization=venue.organization, name="Court", horizon_days=14
    )
    return made


@pytest.fixture
def slots(court: Resource) -> list[Slot]:
    """Those of a schedule from 9 to 17, earliest first."""
    give(court, rule())
    return list(Slot.objects.filter(resource=court).order_by("starts_at"))


def book(venue: Venue, slot: Slot, name: str = "Guest") -> Booking:
    customer = f.CustomerFactory(organization=venue.organization, name=name)
    made = f.check_out(customer, slot, method="pay_on_arrival")
    found: Booking = Booking.objects.get(cart_item__transaction=made)
    return found


# --- in words ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("days", "words"),
    [
        ([1, 2, 3, 4, 5], "Mon–Fri"),
        ([6], "Sat"),
        ([7, 1, 3], "Mon, Wed, Sun"),
        ([1, 2, 4, 6, 7], "Mon–Tue, Thu, Sat–Sun"),
        ([], "Every day"),
        (WEEK, "Every day"),
    ],
)
def test_weekdays_are_named_as_people_say_them(days, words):
    assert schedule_words.weekdays(days) == words


@pytest.mark.parametrize(
    ("start", "until", "words"),
    [
        (time(9), time(17, 30), "09:00–17:30"),
        (time(22), time(2), "22:00–02:00 the next day"),
        (time(22), time(0), "22:00 until midnight"),
        (time(8), time(8), "from 08:00 for 24 hours"),
        (None, None, "the whole day"),
    ],
)
def test_hours_say_when_they_end_on_the_next_day(start, until, words):
    assert schedule_words.hours(start, until) == words


def test_a_rule_is_one_sentence():
    plain = rule(weekdays=[1, 2, 3, 4, 5], max_bookings=1, max_units=1)
    long = rule(
        weekdays=[6],
        gap_minutes=10,
        buffer_after_minutes=5,
        valid_from=date(2027, 5, 1),
        valid_until=date(2027, 9, 30),
    )

    assert schedule_words.rule(plain) == "Mon–Fri 09:00–17:00, 60 minutes, 1 booking"
    assert schedule_words.rule(long) == (
        "Sat 09:00–17:00, 60 minutes, 10 between, 5 kept free after, 2 bookings, 4 people,"
        " Sat 1 May 2027 – Thu 30 Sep 2027"
    )


def test_where_each_version_stands():
    """On a day counts the highest number that has begun."""
    day = date(2027, 6, 1)
    begins = {1: day - timedelta(90), 2: day + timedelta(5), 3: day, 4: day + timedelta(30)}
    versions = [Schedule(number=n, valid_from=on) for n, on in begins.items()]

    found = {
        s.version.number: (s.state, s.until) for s in schedule_words.standings(versions, today=day)
    }

    assert found == {
        1: ("over", day),
        2: ("replaced", None),
        3: ("now", day + timedelta(30)),
        4: ("later", None),
    }


# --- the page ------------------------------------------------------------------------------------


def test_the_page_shows_what_counts_what_comes_and_what_was(venue, court):
    give(court, rule(until_time=time(12)), note="Mornings only")
    give(court, rule(weekdays=[1, 2, 3, 4, 5]), note="The whole day")
    give(court, rule(from_time=time(8)), day=today() + timedelta(days=40))

    shown = as_role(venue, "front_desk").get(page("schedule", court))

    cards = {k: [c["number"] for c in shown.context[k]] for k in ("current", "later", "past")}
    assert cards == {"current": [2], "later": [3], "past": [1]}
    words = text(shown)
    assert "“Mornings only”" in words
    assert "Mia" in words
    assert "Sat–Sun" in words  # named as closed
    assert "Change the schedule" not in words


def test_a_resource_without_a_schedule_says_what_to_do(venue, court):
    shown = text(as_role(venue, "manager").get(page("schedule", court)))

    assert "There is no schedule yet" in shown
    assert "Make a schedule" in shown
    assert "Make a schedule" not in text(as_role(venue, "reviewer").get(page("schedule", court)))


def test_prices_stand_beside_the_schedule_for_those_who_may_see_them(venue, court):
    f.PriceFactory(
        resource=court, name="Evening", weekdays=[6, 7], from_time=time(18), until_time=time(22)
    )
    court.provider = staff(venue, "provider")
    court.save()

    seen = text(as_role(venue, "manager").get(page("schedule", court)))
    provider = text(signed_in(court.provider).get(page("schedule", court)))

    assert "Evening" in seen
    assert "Sat–Sun, 18:00–22:00" in seen
    assert "Evening" not in provider


def test_the_resource_shows_the_hours_in_force(venue, court, slots):
    shown = text(as_role(venue, "manager").get(page("change", court)))

    assert 'id="schedule"' in shown
    assert "09:00–17:00" in shown


# --- preview -------------------------------------------------------------------------------------


def test_the_form_begins_with_the_hours_in_force(venue, court, slots):
    form = as_role(venue, "manager").get(page("schedule_change", court)).context["rows"]

    first, spare = form.forms
    assert (first["from_time"].value(), first["weekdays"].value()) == (time(9), WEEK)
    assert spare["from_time"].value() is None


def test_another_version_can_be_the_beginning(venue, court, slots):
    give(court, rule(from_time=time(11)))

    shown = as_role(venue, "manager").get(page("schedule_change", court) + "?version=1")

    assert shown.context["rows"].forms[0]["from_time"].value() == time(9)


def test_a_preview_counts_and_changes_nothing(venue, court, slots):
    afternoons = [s for s in slots if s.starts_at.astimezone(BERLIN).hour >= 12]
    booking = book(venue, next(s for s in slots[20:] if s not in afternoons))
    before = set(Slot.objects.values_list("pk", "status", "max_units"))
    form = typed({**HOURS, "from_time": "12:00", "max_units": "6"})

    shown = as_role(venue, "manager").post(page("schedule_change", court), form)

    kinds = {k.name: k.count for k in shown.context["preview"]["kinds"]}
    mornings = len(slots) - len(afternoons)
    assert kinds == {"changed": len(afternoons), "removed": mornings - 1, "legacy": 1}
    assert shown.context["outcome"].preview.affected == [booking]
    assert set(Slot.objects.values_list("pk", "status", "max_units")) == before
    assert Schedule.objects.filter(resource=court).count() == 1


def test_affected_bookings_are_listed_with_links(venue, court, slots):
    booking = book(venue, slots[20], "Anna Affected")

    shown = as_role(venue, "manager").post(
        page("schedule_change", court), typed({**HOURS, "from_time": "09:30"})
    )

    words = text(shown)
    assert "One booking is at a time that is no longer offered" in words
    assert "Anna Affected" in words
    assert reverse("admin:bookings_booking_change", args=[booking.pk]) in words


def test_only_the_first_of_very_many_are_shown(venue):
    """35,040 quarter hours of a year: counted and drawn, not listed."""
    quarter = 900
    start = int(datetime(2027, 1, 1, tzinfo=BERLIN).timestamp())
    made = [
        Planned(at, at + quarter, at, at + quarter, 1, 1)
        for at in range(start, start + 35_040 * quarter, quarter)
    ]
    preview = regenerating.Preview([Plan(venue.resource, create=made)])

    shown = schedule_preview.context(preview)

    new = shown["kinds"][0]
    assert (new.count, len(new.samples), new.more) == (35_040, 50, 34_990)
    assert "35,040 new slots" in new.words
    assert len(shown["plot"]["columns"]) == 53
    assert sum(c.come for c in shown["plot"]["columns"]) == 35_040


def test_the_plot_has_a_text_and_the_same_as_a_table(venue, court, slots):
    shown = as_role(venue, "manager").post(
        page("schedule_change", court), typed({**HOURS, "from_time": "12:00"})
    )

    svg = re.search(r"<svg.*?</svg>", shown.content.decode(), re.S)
    assert svg is not None
    drawn = ElementTree.fromstring(svg.group())
    ids = {one.get("id") for one in drawn.iter()}
    assert drawn.get("role") == "img"
    assert set(drawn.get("aria-labelledby", "").split()) <= ids
    bars = [r for r in drawn.iter("rect") if r.get("class") == "hf-plot-removed"]
    gone = [c for c in shown.context["preview"]["plot"]["columns"] if c.go]
    assert len(bars) == len(gone) >= 14
    assert all(0 <= float(r.get("y", "-1")) <= 160 for r in bars)
    assert f"<td>{gone[0].go}</td>" in shown.content.decode()


def test_a_version_that_would_never_begin_is_named(venue, court, slots):
    give(court, rule(from_time=time(10)), day=today() + timedelta(days=20))

    sooner = as_role(venue, "manager").post(page("schedule_change", court), typed(HOURS))
    later = as_role(venue, "manager").post(
        page("schedule_change", court),
        typed(HOURS, valid_from=(today() + timedelta(days=30)).isoformat()),
    )

    assert "Version 2, which was to count" in text(sooner)
    assert "which was to count" not in text(later)


def test_looking_costs_the_same_for_few_slots_and_for_many(venue, court):
    client = as_role(venue, "manager")

    def cost(days: int, until: str) -> int:
        Resource.objects.filter(pk=court.pk).update(horizon_days=days)
        with CaptureQueriesContext(connection) as queries:
            client.post(page("schedule_change", court), typed({**HOURS, "until_time": until}))
        return len(queries)

    give(court, rule())
    late = [
        s for s in Slot.objects.filter(resource=court) if s.starts_at.astimezone(BERLIN).hour == 16
    ]
    book(venue, min(late, key=lambda s: s.starts_at))
    first = cost(3, "16:00")
    Resource.objects.filter(pk=court.pk).update(horizon_days=300)
    give(court, rule())
    for slot in late[:8]:
        slot.refresh_from_db()
        book(venue, slot)

    assert cost(300, "16:00") == first


def test_who_applies_is_told_when_slots_are_still_to_follow(venue, slots, court, monkeypatch):
    monkeypatch.setattr(regenerating, "MOST_CHANGED", 40)
    original, calls = slot_rows.lock, []

    def lock(ids):
        calls.append(ids)
        if len(calls) == 2:
            raise OperationalError("somebody holds one for too long")
        original(ids)

    monkeypatch.setattr(slot_rows, "lock", lock)
    url, client = page("schedule_change", court), as_role(venue, "manager")

    shown = text(client.get(apply(client, url, typed({**HOURS, "slot_minutes": "40"})).url))

    assert Schedule.objects.filter(resource=court).count() == 2
    assert "Version 2 counts from" in shown
    assert "Not all of its slots follow yet; the others do so within ten minutes." in shown
    assert selectors_schedules.out_of_date().get() == court
    schedule_sweeps.follow(actor=MIA, now=timezone.now())
    assert regenerating.preview(resources=[court], now=timezone.now()).plans[0].is_empty


def test_applying_costs_the_same_for_few_slots_and_for_many(venue, court):
    client = as_role(venue, "manager")
    url = page("schedule_change", court)

    def cost(days: int, minutes: str) -> int:
        Resource.objects.filter(pk=court.pk).update(horizon_days=days)
        form = typed({**HOURS, "slot_minutes": minutes})
        seen = client.post(url, form).context["outcome"].seen
        with CaptureQueriesContext(connection) as queries:
            done = client.post(url, {**form, "step": "apply", "seen": seen})
        assert done.status_code == 302
        return len(queries)

    give(court, rule())
    few = cost(3, "50")
    regenerating.regenerate(resource_id=court.pk, actor=MIA, now=timezone.now())

    assert cost(3, "60") == few
    assert cost(150, "50") <= few + 1  # as much as one part takes


# --- apply ---------------------------------------------------------------------------------------


def test_what_was_seen_is_applied_with_name_and_note(venue, court, slots):
    user = staff(venue, "manager")
    booking = book(venue, slots[20])
    form = typed({**HOURS, "from_time": "09:30"}, note="Later in winter")

    done = apply(signed_in(user), page("schedule_change", court), form)

    assert done.status_code == 302
    version = Schedule.objects.get(resource=court, number=2)
    assert (version.note, version.created_by) == ("Later in winter", user.name)
    booking.slot.refresh_from_db()
    assert booking.slot.status == "legacy"
    open_slots = Slot.objects.filter(resource=court, status="open")
    assert {s.starts_at.minute for s in open_slots} == {30}
    line = trail_of(Slot)._default_manager.filter(id=open_slots[0].pk).get()
    assert (line.actor_id, line.history_change_reason) == (user.pk, "Later in winter")
    assert_consistent()


def test_a_booking_in_between_shows_it_anew_and_changes_nothing(venue, court, slots):
    client = as_role(venue, "manager")
    form = typed({**HOURS, "from_time": "09:30"}, note="typed with care")
    seen = client.post(page("schedule_change", court), form).context["outcome"].seen
    book(venue, slots[20], "Came Meanwhile")

    shown = client.post(page("schedule_change", court), {**form, "step": "apply", "seen": seen})

    words = text(shown)
    assert "Something was booked, changed or has started meanwhile" in words
    assert "Came Meanwhile" in words
    assert "typed with care" in words
    assert Schedule.objects.filter(resource=court).count() == 1
    again = shown.context["outcome"].seen
    assert (
        client.post(
            page("schedule_change", court), {**form, "step": "apply", "seen": again}
        ).status_code
        == 302
    )


def test_what_was_typed_after_looking_is_looked_at_first(venue, court, slots):
    form = typed(HOURS)

    shown = apply(
        as_role(venue, "manager"),
        page("schedule_change", court),
        form,
        **{"rules-0-from_time": "13:00"},
    )

    assert "You changed the form since you looked" in text(shown)
    assert Schedule.objects.filter(resource=court).count() == 1
    assert shown.context["outcome"].preview.counts()["delete"] > 0


def test_without_having_looked_nothing_is_applied(venue, court, slots):
    shown = as_role(venue, "manager").post(
        page("schedule_change", court), typed({**HOURS, "from_time": "10:00"}, step="apply")
    )

    assert shown.status_code == 200
    assert Schedule.objects.filter(resource=court).count() == 1


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"until_time": ""}, "until_time"),
        ({"from_time": "25:00"}, "from_time"),
        ({"slot_minutes": "0"}, "slot_minutes"),
        ({"slot_minutes": "600"}, "slot_minutes"),
        ({"max_bookings": "0"}, "max_bookings"),
        ({"weekdays": ["8"]}, "weekdays"),
        ({"valid_until": "soon"}, "valid_until"),
    ],
)
def test_a_row_that_makes_no_sense_is_marked_and_nothing_is_lost(venue, court, change, field):
    form = typed({**HOURS, "gap_minutes": "17", **change}, note="typed with care")

    shown = as_role(venue, "manager").post(page("schedule_change", court), form)

    assert field in shown.context["rows"].forms[0].errors
    assert "typed with care" in text(shown)
    assert 'value="17"' in text(shown)
    assert not Schedule.objects.filter(resource=court).exists()


def test_days_of_a_rule_in_the_wrong_order_are_refused_in_words(venue, court):
    row = {**HOURS, "valid_from": "2027-05-02", "valid_until": "2027-05-01"}

    shown = as_role(venue, "manager").post(page("schedule_change", court), typed(row))

    assert shown.context["rows"].forms[0].non_field_errors()
    assert shown.context["preview"] is None


@pytest.mark.parametrize("days", [-1, 4000])
def test_a_day_in_the_past_or_far_away_is_refused(venue, court, days):
    day = (today() + timedelta(days=days)).isoformat()

    shown = as_role(venue, "manager").post(
        page("schedule_change", court), typed(HOURS, valid_from=day)
    )

    assert "valid_from" in shown.context["form"].errors
    assert shown.context["preview"] is None


def test_too_many_slots_are_refused_with_what_to_do(venue, court):
    Resource.objects.filter(pk=court.pk).update(horizon_days=730)
    row = {**HOURS, "from_time": "00:00", "until_time": "00:00", "slot_minutes": "1"}

    shown = as_role(venue, "manager").post(page("schedule_change", court), typed(row))

    assert "Make slots longer or the horizon shorter" in text(shown)
    assert not Schedule.objects.filter(resource=court).exists()


def test_rows_are_added_without_a_script(venue, court):
    form = typed({**HOURS, "gap_minutes": "7"}, step="more")

    shown = as_role(venue, "manager").post(page("schedule_change", court), form)

    rows = shown.context["rows"]
    assert len(rows.forms) == 2
    assert rows.forms[0]["gap_minutes"].value() == "7"
    assert rows.forms[1]["slot_minutes"].value() == "60"
    assert not rows.forms[1].has_changed()
    assert shown.context["preview"] is None


def test_empty_rows_do_not_count_and_ticked_ones_go(venue, court):
    night = {**HOURS, "from_time": "22:00", "until_time": "02:00"}
    form = typed(HOURS, night, EMPTY, there=1)
    client = as_role(venue, "manager")

    assert apply(client, page("schedule_change", court), form).status_code == 302
    form = typed(HOURS, night, there=2) | {"rules-0-DELETE": "on"}
    assert apply(client, page("schedule_change", court), form).status_code == 302

    first, second = Schedule.objects.filter(resource=court).order_by("number")
    assert [r.from_time for r in first.rules.order_by("from_time")] == [time(9), time(22)]
    assert [r.from_time for r in second.rules.all()] == [time(22)]
    assert "22:00–02:00 the next day" in text(client.get(page("schedule", court)))


def test_no_hours_close_and_the_page_says_so_before(venue, court, slots):
    form = typed(HOURS) | {"rules-0-DELETE": "on"}
    client = as_role(venue, "manager")

    looked = text(client.post(page("schedule_change", court), form))
    apply(client, page("schedule_change", court), form)

    assert "There are no hours: nothing is offered from this day on." in looked
    assert not Slot.objects.filter(resource=court, status="open").exists()
    assert "Closed: nothing is offered." in text(client.get(page("schedule", court)))


def test_what_takes_one_at_a_time_is_not_asked_how_many(venue):
    doctor = f.ResourceFactory(organization=venue.organization, exclusive=True, horizon_days=5)
    client = as_role(venue, "manager")
    shown = client.get(page("schedule_change", doctor))
    assert "max_bookings" not in shown.context["rows"].forms[0].fields

    # Whoever sends it all the same does not get it.
    apply(client, page("schedule_change", doctor), typed({**HOURS, "max_bookings": "5"}))

    assert set(Slot.objects.filter(resource=doctor).values_list("max_bookings", flat=True)) == {1}


def test_free_times_ask_for_hours_only(venue):
    room = f.ResourceFactory(organization=venue.organization, exclusive=True, mode="free_times")

    shown = as_role(venue, "manager").get(page("schedule_change", room))

    assert not {"slot_minutes", "gap_minutes"} & set(shown.context["rows"].forms[0].fields)


@pytest.mark.parametrize("sent", [{"rules-TOTAL_FORMS": "x"}, {"rules-TOTAL_FORMS": "9" * 9}, {}])
def test_a_form_that_no_page_of_ours_made_breaks_nothing(venue, court, sent):
    for step in ("preview", "apply", "more", "nonsense"):
        shown = as_role(venue, "manager").post(
            page("schedule_change", court), {"step": step, "seen": "x.y.z", **sent}
        )
        assert shown.status_code == 200
    assert not Schedule.objects.filter(resource=court).exists()


# --- who may -------------------------------------------------------------------------------------

READ = ["schedule"]
WRITE = ["schedule_change", "time_zone", "made_of"]


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("name", READ + WRITE)
def test_everybody_sees_and_leaders_change(venue, court, role, name):
    user = staff(venue, role)
    court.provider = user
    court.save()
    client = signed_in(user)
    expected = 200 if name in READ or role in ("owner", "manager") else 403

    assert client.get(page(name, court)).status_code == expected
    if expected == 403:
        assert client.post(page(name, court), typed(HOURS, step="apply")).status_code == 403
        assert not Schedule.objects.filter(resource=court).exists()


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("name", READ + WRITE)
def test_pages_of_another_organisation_are_not_there(venue, foreign, role, name):
    client = as_role(venue, role)

    assert client.get(page(name, foreign.resource)).status_code == 404
    assert client.post(page(name, foreign.resource), typed(HOURS)).status_code == 404
    assert not Schedule.objects.filter(resource=foreign.resource).exists()


def test_providers_see_the_schedules_of_their_own_resources_only(venue, court):
    user = staff(venue, "provider")
    court.provider = user
    court.save()

    assert signed_in(user).get(page("schedule", court)).status_code == 200
    assert signed_in(user).get(page("schedule", venue.resource)).status_code == 404


def test_who_has_not_signed_in_is_asked_to(court):
    assert Client().get(page("schedule", court)).status_code == 302


# --- time zones ----------------------------------------------------------------------------------


def test_the_zone_of_a_resource_with_a_schedule_has_a_page_of_its_own(venue, court, slots):
    form = as_role(venue, "manager").get(page("change", court)).context["adminform"].form

    assert "time_zone" not in form.fields
    assert "time_zone" in (
        as_role(venue, "manager")
        .get(page("change", venue.resource))
        .context["adminform"]
        .form.fields
    )


def test_another_zone_is_looked_at_and_then_taken(venue, court, slots):
    booking = book(venue, slots[20])
    client = as_role(venue, "manager")
    form = {"step": "preview", "time_zone": "Asia/Tokyo"}

    looked = client.post(page("time_zone", court), form)
    court.refresh_from_db()
    assert court.time_zone == "Europe/Berlin"
    assert looked.context["preview"]["changes"] > 0
    done = apply(client, page("time_zone", court), form)

    assert done.status_code == 302
    court.refresh_from_db()
    assert court.time_zone == "Asia/Tokyo"
    tokyo = ZoneInfo("Asia/Tokyo")
    # The far end of the horizon comes earlier in Tokyo; what is behind it follows with the days.
    soon = timezone.now() + timedelta(days=3)
    offered = Slot.objects.filter(resource=court, status="open", starts_at__lt=soon)
    assert {s.starts_at.astimezone(tokyo).hour for s in offered} == set(range(9, 17))
    booking.slot.refresh_from_db()
    assert booking.slot.starts_at == slots[20].starts_at
    assert_consistent()


def test_a_zone_that_does_not_exist_is_refused(venue, court, slots):
    shown = as_role(venue, "manager").post(
        page("time_zone", court), {"step": "preview", "time_zone": "Mars/Base"}
    )

    assert "time_zone" in shown.context["form"].errors


# --- what it is made of --------------------------------------------------------------------------


@pytest.fixture
def hall(venue: Venue) -> Resource:
    made: Resource = f.ResourceFactory(organization=venue.organization, name="Hall", exclusive=True)
    return made


def test_a_preview_says_which_slots_come_back_closed(venue, court, slots):
    closed = slots[-1]
    slot_services.close_slots(slot_ids=[closed.pk], actor=MIA, reason="x", now=timezone.now())
    Slot.objects.filter(pk=closed.pk).update(status="legacy", stays_closed=True)

    said = regenerating.preview(resources=[court], now=timezone.now())
    shown = {kind.name: kind.words for kind in schedule_preview.context(said)["kinds"]}

    assert shown["closed"] == "1 slot fits again and comes back closed, as staff had closed it"
    assert "again" not in shown


@pytest.fixture
def half(venue: Venue) -> Resource:
    made: Resource = f.ResourceFactory(organization=venue.organization, name="Half", exclusive=True)
    return made


def test_a_resource_is_put_together_and_taken_apart(venue, hall, half):
    pool = Pool.objects.create(organization=venue.organization, name="Keys")
    PoolMember.objects.create(
        pool=pool, resource=f.ResourceFactory(organization=venue.organization, exclusive=True)
    )
    client = as_role(venue, "manager")

    client.post(page("made_of", hall), {"parts": [half.pk], "pools": [pool.pk], "reason": "new"})
    hall.refresh_from_db()
    assert (hall.parts, hall.pools) == ([half.number], [pool.pk])
    shown = client.get(page("made_of", hall)).context["form"]
    assert list(shown["parts"].value()) == [half.pk]
    assert "Part of" in text(client.get(page("change", half)))

    client.post(page("made_of", hall), {"reason": ""})
    hall.refresh_from_db()
    assert (hall.parts, hall.pools) == ([], [])


def test_a_circle_is_refused_in_words_and_the_ticks_stay(venue, hall, half):
    client = as_role(venue, "manager")
    client.post(page("made_of", hall), {"parts": [half.pk]})

    shown = client.post(page("made_of", half), {"parts": [hall.pk], "reason": "because"})

    assert "cannot be a part of itself" in text(shown)
    assert shown.context["form"]["parts"].value() == [str(hall.pk)]
    assert ResourcePart.objects.count() == 1


def test_what_is_taken_meanwhile_is_named_with_a_link(venue, hall, half):
    at = f.soon(48)
    whole, part = f.make_slot(hall, starts_at=at), f.make_slot(half, starts_at=at)
    book(venue, whole)
    book(venue, part)

    shown = as_role(venue, "manager").post(page("made_of", hall), {"parts": [half.pk]})

    assert reverse("admin:bookings_slot_change", args=[whole.pk]) in text(shown)
    hall.refresh_from_db()
    assert hall.parts == []


def test_nothing_of_another_organisation_can_be_a_part(venue, foreign, hall):
    theirs = f.ResourceFactory(organization=foreign.organization, exclusive=True)

    shown = as_role(venue, "manager").post(
        page("made_of", hall), {"parts": [theirs.pk], "pools": [foreign.pool.pk]}
    )

    assert {"parts", "pools"} <= set(shown.context["form"].errors)
    assert not ResourcePart.objects.exists()


def test_a_pool_has_members_that_are_ticked(venue, hall, half):
    client = as_role(venue, "manager")
    url = reverse("admin:bookings_pool_change", args=[venue.pool.pk])

    client.post(url, {"name": "Rooms", "resources": [hall.pk, half.pk]})
    assert set(venue.pool.members.values_list("resource", flat=True)) == {hall.pk, half.pk}
    client.post(url, {"name": "Rooms", "resources": [half.pk]})

    assert list(venue.pool.members.values_list("resource", flat=True)) == [half.pk]
    line = trail_of(PoolMember)._default_manager.latest("history_id")
    assert line.history_type == "-"
    assert line.actor_kind == "staff"


def test_a_new_pool_goes_on_to_its_members(venue):
    done = as_role(venue, "manager").post(
        reverse("admin:bookings_pool_add"),
        {"organization": str(venue.organization.pk), "name": "Trainers"},
    )

    made = Pool.objects.get(name="Trainers")
    assert done["Location"] == reverse("admin:bookings_pool_change", args=[made.pk])


def test_a_pool_takes_nothing_shared_or_foreign(venue, foreign):
    url = reverse("admin:bookings_pool_change", args=[venue.pool.pk])
    theirs = f.ResourceFactory(organization=foreign.organization, exclusive=True)

    for other in (venue.resource, theirs):
        shown = as_role(venue, "manager").post(url, {"name": "Rooms", "resources": [other.pk]})
        assert "resources" in shown.context["adminform"].form.errors
    assert not PoolMember.objects.exists()


def test_a_pool_that_is_needed_is_not_emptied(venue, hall, half):
    PoolMember.objects.create(pool=venue.pool, resource=half)
    composition.compose(
        resource_id=hall.pk,
        organization_id=venue.organization.pk,
        part_ids=[],
        pool_ids=[venue.pool.pk],
        actor=MIA,
        now=timezone.now(),
    )

    shown = as_role(venue, "manager").post(
        reverse("admin:bookings_pool_change", args=[venue.pool.pk]), {"name": "Rooms"}
    )

    assert "so it cannot be empty" in text(shown)
    assert venue.pool.members.count() == 1


def test_a_room_that_people_to_come_were_given_stays_in_its_pool(venue, hall, half):
    for resource in (half, f.ResourceFactory(organization=venue.organization, exclusive=True)):
        PoolMember.objects.create(pool=venue.pool, resource=resource)
    composed = composition.compose(
        resource_id=hall.pk,
        organization_id=venue.organization.pk,
        part_ids=[],
        pool_ids=[venue.pool.pk],
        actor=MIA,
        now=timezone.now(),
    )
    slot = f.make_slot(composed)
    book(venue, slot)
    slot.refresh_from_db()
    given = Resource.objects.get(number=slot.picked[0])
    [other] = venue.pool.members.exclude(resource=given).values_list("resource", flat=True)
    url = reverse("admin:bookings_pool_change", args=[venue.pool.pk])
    client = as_role(venue, "manager")

    shown = client.post(url, {"name": "Rooms", "resources": [other]})

    assert f"{given} was given to people who are still to come" in text(shown)
    assert venue.pool.members.count() == 2
    client.post(url, {"name": "Rooms", "resources": [given.pk]})
    assert [m.resource for m in venue.pool.members.all()] == [given]


@pytest.mark.parametrize("role", ["reviewer", "front_desk", "provider"])
def test_pools_are_read_by_everybody_and_changed_by_leaders(venue, half, role):
    url = reverse("admin:bookings_pool_change", args=[venue.pool.pk])
    client = as_role(venue, role)

    assert client.get(url).status_code == 200
    assert client.post(url, {"name": "Mine", "resources": [half.pk]}).status_code == 403
    venue.pool.refresh_from_db()
    assert (venue.pool.name, venue.pool.members.count()) == ("Ours rooms", 0)


# --- booking rules -------------------------------------------------------------------------------


def resource_form(resource: Resource, **changes: Any) -> dict[str, Any]:
    return {
        "name": resource.name,
        "kind": resource.kind,
        "is_active": "on",
        "buffer_before_minutes": 0,
        "buffer_after_minutes": 0,
        **RULES,
        "prices-TOTAL_FORMS": 0,
        "prices-INITIAL_FORMS": 0,
        **changes,
    }


def test_booking_rules_are_kept(venue, court):
    wanted = {"notice_minutes": 120, "most_live_bookings": 3, "cancel_until_minutes": 1440}

    done = as_role(venue, "manager").post(
        page("change", court),
        resource_form(court, time_zone=court.time_zone, needs_approval="on", **wanted),
    )

    assert done.status_code == 302, done.context["errors"]
    court.refresh_from_db()
    assert {name: getattr(court, name) for name in wanted} == wanted
    assert court.needs_approval


def test_slots_follow_a_longer_horizon_once_it_was_looked_at(venue, court, slots):
    user = staff(venue, "manager")
    client = signed_in(user)
    sent = resource_form(court, horizon_days=20)

    looked = client.post(page("change", court), sent)
    assert next((k.name, k.count) for k in looked.context["preview"]["kinds"]) == ("new", 48)
    assert Slot.objects.filter(resource=court).count() == len(slots)
    sent |= {"step": "apply", "seen": looked.context["seen"]}
    done = client.post(page("change", court), sent, follow=True)

    made = Slot.objects.filter(resource=court).count()
    assert made == len(slots) + 6 * 8
    assert "Slots: 48 new." in text(done)
    newest = Slot.objects.filter(resource=court).latest("starts_at")
    assert trail_of(Slot)._default_manager.get(id=newest.pk).actor_id == user.pk


@pytest.fixture
def holiday(court: Resource, slots: list[Slot]) -> Booking:
    """A court that is open on holidays, and a booking on one."""
    court.observes_holidays = False
    court.save()
    day = today() + timedelta(days=3)
    made = ScheduleException(kind="holiday", name="May Day", first_day=day, last_day=day)
    closings.add_exceptions(
        organization_id=court.organization_id, exceptions=[made], actor=MIA, now=timezone.now()
    )
    found = Slot.objects.filter(resource=court).select_related("resource__organization")
    slot = next(
        s for s in found.order_by("starts_at") if s.starts_at.astimezone(BERLIN).date() == day
    )
    customer = f.CustomerFactory(organization=court.organization, name="Anna Affected")
    order = f.check_out(customer, slot, method="pay_on_arrival")
    booking: Booking = Booking.objects.get(cart_item__transaction=order)
    return booking


def test_whom_closing_on_holidays_concerns_is_shown_before_it_is_saved(venue, court, holiday):
    client = as_role(venue, "manager")
    sent = resource_form(court, observes_holidays="on", description="Typed <b>")

    looked = client.post(page("change", court), sent)

    words = text(looked)
    assert ("Anna Affected" in words, holiday.reference in words) == (True, True)
    assert 'name="description" value="Typed &lt;b&gt;"' in words
    court.refresh_from_db()
    holiday.slot.refresh_from_db()
    assert (court.observes_holidays, court.description, holiday.slot.status) == (False, "", "open")

    back = client.post(page("change", court), sent | {"step": "edit"})
    assert back.context["adminform"].form["description"].value() == "Typed <b>"
    assert not back.context["errors"]

    sent |= {"step": "apply", "seen": looked.context["seen"]}
    assert client.post(page("change", court), sent).status_code == 302
    court.refresh_from_db()
    holiday.slot.refresh_from_db()
    assert (court.observes_holidays, court.description) == (True, "Typed <b>")
    assert holiday.slot.status == "legacy"
    assert_consistent()


def test_who_books_between_the_look_and_the_save_is_shown(venue, court, holiday):
    client = as_role(venue, "manager")
    sent = resource_form(court, observes_holidays="on")
    seen = client.post(page("change", court), sent).context["seen"]
    same_day = Slot.objects.filter(resource=court, starts_at__gt=holiday.slot.starts_at)
    book(venue, same_day.earliest("starts_at"), "Came Meanwhile")

    held = client.post(page("change", court), sent | {"step": "apply", "seen": seen})

    assert held.status_code == 409
    assert "Came Meanwhile" in text(held)
    court.refresh_from_db()
    assert not court.observes_holidays


def test_whoever_is_booked_is_shown_before_a_resource_is_taken_out(venue, court, holiday):
    client = as_role(venue, "manager")
    sent = resource_form(court, is_active=[], observes_holidays=[])

    looked = client.post(page("change", court), sent)
    assert "Anna Affected" in text(looked)
    court.refresh_from_db()
    assert court.is_active

    client.post(page("change", court), sent | {"step": "apply", "seen": looked.context["seen"]})
    court.refresh_from_db()
    assert not court.is_active


def test_the_longest_booking_is_not_shorter_than_the_shortest(venue, hall):
    shown = as_role(venue, "manager").post(
        page("change", hall),
        resource_form(
            hall,
            exclusive="on",
            time_zone="Europe/Berlin",
            mode="free_times",
            shortest_minutes=60,
            longest_minutes=30,
        ),
    )

    assert "The longest booking is at least the shortest." in text(shown)
    hall.refresh_from_db()
    assert hall.mode == "slots"


# --- slots ---------------------------------------------------------------------------------------


def test_a_slot_says_what_made_it(venue, court, slots):
    client = as_role(venue, "front_desk")

    by_rule = text(client.get(reverse("admin:bookings_slot_change", args=[slots[0].pk])))
    by_hand = text(client.get(reverse("admin:bookings_slot_change", args=[venue.slot.pk])))

    assert "by the schedule" in by_rule
    assert "What is changed here by hand stays" in by_rule
    assert page("schedule", court) in by_rule
    assert "by hand" in by_hand
    assert "stays when the schedule changes" not in by_hand


def test_a_slot_whose_limits_were_changed_by_hand_says_so_and_offers_to_follow(venue, court, slots):
    slot, client = slots[-1], as_role(venue, "manager")
    url = reverse("admin:bookings_slot_change", args=[slot.pk])
    assert "Limits of the schedule" not in text(client.get(url))
    slot_services.change_capacity(
        slot_ids=[slot.pk], max_bookings=5, max_units=7, actor=MIA, reason="x", now=timezone.now()
    )

    shown = text(client.get(url))
    assert "Its limits were changed by hand; the schedule leaves them alone." in shown
    assert "Limits of the schedule" in shown
    client.post(
        reverse("admin:bookings_slot_changelist"),
        {
            "action": "follow_schedule_chosen",
            "_selected_action": [str(slot.pk)],
            "confirmed": "yes",
            "reason": "as usual",
        },
    )

    slot.refresh_from_db()
    assert (slot.max_bookings, slot.limits_by_hand) == (slots[0].max_bookings, False)
    assert "leaves them alone" not in text(client.get(url))
