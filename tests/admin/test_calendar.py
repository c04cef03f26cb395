"""The calendar shows a day and a week as they are, to those who may see them (B2, F3)."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from bookings.models import Booking, Membership, ResourcePart, ScheduleException, Slot
from config.admin.calendar.axis import Axis, Day
from config.admin.calendar.blocks import Block, _side_by_side
from payments.services import cancellation
from tests import factories as f
from tests.admin.conftest import ROLES, as_role, signed_in, staff, superuser

pytestmark = pytest.mark.django_db

BERLIN = ZoneInfo("Europe/Berlin")
ROOT = Path(__file__).resolve().parent.parent.parent


def local_day(moment: datetime, zone: ZoneInfo = BERLIN) -> str:
    return moment.astimezone(zone).date().isoformat()


def look(client: Any, **asked: Any) -> Any:
    response = client.get(reverse("admin:calendar"), asked)
    assert response.status_code == 200
    return response


def blocks_of(response: Any, title: str) -> Any:
    found = [c for c in response.context["columns"] if c["title"] == title]
    assert len(found) == 1, [c["title"] for c in response.context["columns"]]
    return found[0]["blocks"]


def only_block(response: Any, title: str) -> Any:
    (block,) = blocks_of(response, title)
    return block


# --- what is shown ------------------------------------------------------------------------------


def test_a_slot_shows_its_people_with_name_units_status_and_how_full_it_is(venue):
    f.hold(f.CustomerFactory(organization=venue.organization, name="Ada Held"), venue.slot, 3)

    response = look(as_role(venue, "front_desk"), day=local_day(venue.slot.starts_at))

    block = only_block(response, "Ours hall")
    assert [(p.name, p.units, p.status) for p in block.people] == [
        ("Ours Customer", 1, "pending"),
        ("Ada Held", 3, "held"),
    ]
    assert (block.filled, block.state, block.words) == ("4/20", "some", "16 places left")
    assert block.start == venue.slot.starts_at
    text = response.content.decode()
    assert reverse("admin:bookings_booking_change", args=[venue.booking.pk]) in text
    assert reverse("admin:bookings_slot_change", args=[venue.slot.pk]) in text
    assert "pending</em>" in text


def test_free_full_closed_and_legacy_slots_are_told_apart_in_words(venue):
    start = f.soon(72)
    hall = f.ResourceFactory(organization=venue.organization, name="Kinds")
    free, full, closed, legacy, gone = [
        f.make_slot(hall, starts_at=start + timedelta(hours=n)) for n in range(5)
    ]
    for slot in (full, legacy):
        f.hold(venue.customer, slot)
    Slot.objects.filter(pk=closed.pk).update(status="closed")
    Slot.objects.filter(pk__in=[legacy.pk, gone.pk]).update(status="legacy")
    client = as_role(venue, "manager")

    days = {local_day(start), local_day(start + timedelta(hours=4))}
    found = [b for day in days for b in blocks_of(look(client, day=day), "Kinds")]

    assert {b.start: (b.state, b.words) for b in found} == {
        free.starts_at: ("free", "free"),
        full.starts_at: ("full", "full"),
        closed.starts_at: ("closed", "closed"),
        legacy.starts_at: ("legacy", "legacy: no longer offered"),
    }


def test_seats_whose_hold_ran_out_are_free_and_nobody_sits_on_them(venue):
    slot = f.make_slot(venue.resource, starts_at=f.soon(72))
    booking = f.hold(venue.customer, slot)
    Booking.objects.filter(pk=booking.pk).update(held_until=timezone.now() - timedelta(minutes=1))

    block = only_block(look(as_role(venue, "manager"), day=local_day(slot.starts_at)), "Ours hall")

    assert (block.state, block.filled, block.people) == ("free", "0/1", [])


def test_whoever_cancelled_is_not_there_any_more(venue):
    cancellation.cancel_booking(
        booking_id=venue.booking.pk,
        organization_id=venue.organization.pk,
        actor=f.actor_of(venue.membership),
        reason="ill",
        now=timezone.now(),
    )

    block = only_block(
        look(as_role(venue, "manager"), day=local_day(venue.slot.starts_at)), "Ours hall"
    )

    assert (block.people, block.filled) == ([], "0/20")


def test_a_full_class_names_the_first_and_counts_the_others(venue):
    slot = f.make_slot(venue.resource, starts_at=f.soon(72), max_bookings=30)
    for number in range(15):
        customer = f.CustomerFactory(organization=venue.organization, name=f"Guest {number:02}")
        f.hold(customer, slot)

    response = look(as_role(venue, "manager"), day=local_day(slot.starts_at))

    block = only_block(response, "Ours hall")
    assert [p.name for p in block.people] == [f"Guest {n:02}" for n in range(12)]
    assert (block.unnamed, block.filled) == (3, "15/30")
    assert block.fits + block.hidden == 15
    assert "3 more</a>" in response.content.decode()


def test_a_court_says_when_it_is_in_use_with_its_hall(venue):
    hall = f.ResourceFactory(organization=venue.organization, name="Hall", exclusive=True)
    court = f.ResourceFactory(organization=venue.organization, name="Court", exclusive=True)
    bare = f.ResourceFactory(organization=venue.organization, name="Bare", exclusive=True)
    for part in (court, bare):
        ResourcePart.objects.create(organization=venue.organization, whole=hall, part=part)
    hall.refresh_from_db()
    start = f.soon(72)
    f.hold(venue.customer, f.make_slot(hall, starts_at=start))
    f.make_slot(court, starts_at=start)

    response = look(as_role(venue, "manager"), day=local_day(start))

    for name in ("Court", "Bare"):
        block = only_block(response, name)
        assert (block.state, block.words, block.start) == ("taken", "in use with Hall", start)
    assert only_block(response, "Hall").state == "full"


def test_what_is_booked_at_free_times_is_there_while_somebody_is_in_it(venue):
    room = f.ResourceFactory(
        organization=venue.organization, name="Room", exclusive=True, mode="free_times"
    )
    start = f.soon(72)
    booking = f.hold(venue.customer, f.make_slot(room, starts_at=start))
    f.make_slot(room, starts_at=start + timedelta(hours=1), source="free")
    Slot.objects.filter(pk=booking.slot_id).update(source="free")
    client = as_role(venue, "manager")
    days = {local_day(start), local_day(start + timedelta(hours=1))}

    found = [b for day in days for b in blocks_of(look(client, day=day), "Room")]

    assert [(b.start, b.state, b.words, b.book_url) for b in found] == [
        (start, "full", "booked", "")
    ]
    empty = look(client, day="2024-06-03", names="room").content.decode()
    assert "Booked at free times; nobody is booked on this day." in empty
    assert "Nothing is offered" not in empty


def test_slots_at_the_same_time_stand_side_by_side():
    start = datetime(2030, 1, 1, tzinfo=UTC)
    blocks = [
        Block(start, start, top, height, "", "free", "")
        for top, height in [(0, 60), (30, 60), (60, 30), (120, 30)]
    ]

    _side_by_side(blocks)

    assert [(b.lane, b.lanes) for b in blocks] == [(0, 2), (1, 2), (0, 2), (0, 1)]


def test_a_week_has_seven_days_from_monday_with_the_slot_on_its_own(venue):
    day = venue.slot.starts_at.astimezone(BERLIN).date()

    response = look(
        as_role(venue, "manager"),
        view="week",
        day=day.isoformat(),
        resource=venue.resource.pk,
    )

    columns = response.context["columns"]
    assert [bool(c["blocks"]) for c in columns] == [n == day.weekday() for n in range(7)]
    assert columns[0]["title"].startswith("Mon ")


# --- time -----------------------------------------------------------------------------------------


def axis_of(*days: date, zone: ZoneInfo = BERLIN) -> tuple[Axis, list[Day]]:
    made = [Day.of(day, zone) for day in days]
    return Axis(made, zone, [(day.start, day.end) for day in made]), made


@pytest.mark.parametrize(
    ("day", "zone", "hours", "labels"),
    [
        (date(2024, 10, 27), "Europe/Berlin", 25, ["01:00", "02:00 +02:00", "02:00 +01:00"]),
        (date(2024, 3, 31), "Europe/Berlin", 23, ["00:00", "01:00", "03:00"]),
        (date(2024, 11, 3), "America/New_York", 25, ["00:00", "01:00 -04:00", "01:00 -05:00"]),
        (date(2018, 11, 4), "America/Sao_Paulo", 23, ["01:00", "02:00", "03:00"]),
        (date(2024, 4, 7), "Australia/Lord_Howe", 24.5, ["00:00", "01:00", "02:00"]),
        (date(2024, 6, 1), "Asia/Kathmandu", 24, ["00:00", "01:00", "02:00"]),
    ],
)
def test_the_axis_has_the_hours_that_really_pass(day, zone, hours, labels):
    axis, (only,) = axis_of(day, zone=ZoneInfo(zone))

    shown = [label.text for label in axis.labels()]
    assert only.hours == hours
    assert axis.minutes == hours * 60
    at = shown.index(labels[0])
    assert shown[at : at + 3] == labels
    for minutes in range(0, int(hours * 60), 7):
        assert axis.top(only.start + timedelta(minutes=minutes)) == minutes
    assert axis.bottom(only.end) == axis.minutes


def test_days_side_by_side_have_the_same_hour_at_the_same_height():
    axis, days = axis_of(*(date(2024, 10, 21) + timedelta(days=n) for n in range(7)))

    nine = [axis.top(datetime(2024, 10, 21 + n, 9, tzinfo=BERLIN)) for n in range(7)]

    assert set(nine) == {600}
    assert axis.minutes == 25 * 60
    assert [axis.missing(day) for day in days] == [[(180, 240)]] * 6 + [[]]


def test_a_day_that_lacks_an_hour_leaves_it_empty_beside_the_others():
    axis, days = axis_of(*(date(2024, 3, 25) + timedelta(days=n) for n in range(7)))

    assert [axis.missing(day) for day in days] == [[]] * 6 + [[(120, 180)]]
    assert axis.top(datetime(2024, 3, 31, 9, tzinfo=BERLIN)) == 540


def test_both_two_o_clocks_of_the_long_night_have_a_place_of_their_own(venue):
    first = datetime(2024, 10, 27, 0, tzinfo=UTC)  # 02:00 +02:00
    for n in range(2):
        f.make_slot(venue.resource, starts_at=first + timedelta(hours=n))

    response = look(as_role(venue, "manager"), day="2024-10-27")

    summer, winter = blocks_of(response, "Ours hall")
    assert (summer.hours, winter.hours) == ("02:00–02:00", "02:00–03:00")
    assert winter.top - summer.top == summer.height == winter.height == 60
    text = response.content.decode()
    assert "02:00 +02:00" in text
    assert "02:00 +01:00" in text
    assert "that day has 25 hours" in text


def test_a_slot_past_midnight_is_on_both_days_up_to_its_end(venue):
    start = datetime(2024, 6, 1, 23, 30, tzinfo=BERLIN)
    f.make_slot(venue.resource, starts_at=start, minutes=60)
    client = as_role(venue, "manager")

    late = only_block(look(client, day="2024-06-01"), "Ours hall")
    early = only_block(look(client, day="2024-06-02"), "Ours hall")

    assert (late.height, late.hours) == (30, "23:30–Sun 00:30")
    assert (early.top, early.height, early.hours) == (0, 30, "Sat 23:30–00:30")


def test_resources_with_other_clocks_are_named_and_the_axis_is_the_organisations(venue):
    far = f.ResourceFactory(
        organization=venue.organization, name="Far away", time_zone="Asia/Tokyo"
    )
    start = datetime(2024, 6, 3, 12, tzinfo=BERLIN)
    f.make_slot(far, starts_at=start)
    client = as_role(venue, "manager")

    mixed = look(client, day="2024-06-03")
    alone = look(client, day="2024-06-03", names="far")

    assert only_block(mixed, "Far away").hours == "12:00–13:00"
    assert (mixed.context["zone"], mixed.context["mixed"]) == ("Europe/Berlin", True)
    assert "Asia/Tokyo" in mixed.content.decode()
    assert only_block(alone, "Far away").hours == "19:00–20:00"
    assert (alone.context["zone"], alone.context["mixed"]) == ("Asia/Tokyo", False)


# --- who sees what --------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ROLES)
def test_nobody_sees_another_organisations_calendar(venue, foreign, role):
    client = as_role(venue, role)
    day = local_day(venue.slot.starts_at)

    for asked in (
        {},
        {"organization": foreign.organization.slug},
        {"view": "week", "resource": foreign.resource.pk},
        {"resource": foreign.resource.pk},
    ):
        text = look(client, day=day, **asked).content.decode()
        assert "Theirs" not in text
        assert ("Ours hall" in text) == (role != "provider")


def test_a_provider_sees_their_own_resources_only(venue):
    user = staff(venue, "provider")
    mine = f.ResourceFactory(organization=venue.organization, name="Mine", provider=user)
    slot = f.make_slot(mine, starts_at=venue.slot.starts_at)
    f.hold(venue.customer, slot)

    response = look(signed_in(user), day=local_day(slot.starts_at))

    assert [c["title"] for c in response.context["columns"]] == ["Mine"]
    assert [p.name for p in only_block(response, "Mine").people] == ["Ours Customer"]


def test_whoever_works_in_two_organisations_chooses_one(venue, foreign):
    user = staff(venue, "manager")
    Membership.objects.create(user=user, organization=foreign.organization, role="manager")

    for client in (signed_in(user), signed_in(superuser())):
        for place, other in ((venue, foreign), (foreign, venue)):
            response = look(client, organization=place.organization.slug)
            titles = [c["title"] for c in response.context["columns"]]
            assert titles == [place.resource.name]
            assert other.organization.name in response.content.decode()  # can be chosen


def test_staff_without_a_role_and_strangers_are_kept_out(venue):
    nobody = f.UserFactory(is_staff=True)

    assert signed_in(nobody).get(reverse("admin:calendar")).status_code == 403
    answer = signed_in(venue.customer.user).get(reverse("admin:calendar"))
    assert answer.status_code == 302
    assert "login" in answer["Location"]


def test_the_calendar_stands_in_the_sidebar(venue):
    text = as_role(venue, "provider").get(reverse("admin:index")).content.decode()

    assert f'href="{reverse("admin:calendar")}"' in text


# --- choosing -------------------------------------------------------------------------------------


def test_resources_are_chosen_by_kind_and_by_name(venue):
    f.ResourceFactory(organization=venue.organization, name="Yoga", kind="activity")
    f.ResourceFactory(organization=venue.organization, name="Doctor", kind="person")
    client = as_role(venue, "manager")

    def titles(**asked: Any) -> list[str]:
        return [c["title"] for c in look(client, **asked).context["columns"]]

    assert titles() == ["Doctor", "Ours hall", "Yoga"]
    assert titles(kind="person") == ["Doctor"]
    assert titles(names="yo, HALL") == ["Ours hall", "Yoga"]
    assert titles(resource=venue.resource.pk) == ["Ours hall"]
    nothing = client.get(reverse("admin:calendar"), {"names": "zzz"}).content.decode()
    assert "No resource is like that" in nothing


def test_twelve_columns_are_shown_at_a_time(venue):
    for number in range(20):
        f.ResourceFactory(organization=venue.organization, name=f"R {number:02}")
    client = as_role(venue, "manager")

    pages = [look(client, page=n).context["columns"] for n in (1, 2, 9)]

    assert [len(columns) for columns in pages] == [12, 9, 9]
    assert len({c["title"] for page in pages for c in page}) == 21


@pytest.mark.parametrize(
    "asked",
    [
        {"day": "yesterday"},
        {"day": "0001-01-01"},
        {"day": "9999-12-31", "view": "week"},
        {"view": "year", "page": "-1", "kind": "\0", "organization": "x"},
        {"resource": "no-uuid", "page": "10" * 30, "names": "%_\0'"},
    ],
)
def test_an_address_that_makes_no_sense_is_read_as_far_as_it_does(venue, asked):
    assert as_role(venue, "manager").get(reverse("admin:calendar"), asked).status_code == 200


def test_an_empty_day_says_so_and_leads_to_the_schedule(venue):
    client = as_role(venue, "manager")

    day = look(client, day="2024-06-03").content.decode()
    week = look(client, view="week", day="2024-06-03").content.decode()

    assert "Nothing is offered on this day. Open the schedule" in " ".join(
        re.sub(r"\s+", " ", day).split(" ")
    )
    assert "Nothing is offered in this week." in week
    assert reverse("admin:bookings_resource_schedule", args=[venue.resource.pk]) in week


def test_a_holiday_is_named_above_what_it_closes(venue):
    ScheduleException.objects.create(
        organization=venue.organization,
        kind="holiday",
        name="Midsummer",
        first_day=date(2024, 6, 21),
        last_day=date(2024, 6, 22),
        created_at=timezone.now(),
    )
    working = f.ResourceFactory(
        organization=venue.organization, name="Always", observes_holidays=False
    )

    response = look(as_role(venue, "manager"), day="2024-06-22")

    shown = {c["title"]: c["closed"] for c in response.context["columns"]}
    assert shown == {"Ours hall": "Midsummer", working.name: ""}
    assert "Closed: Midsummer" in response.content.decode()


def test_an_organisation_without_resources_gets_plain_words(db):
    membership = f.MembershipFactory(role="owner", user__is_staff=True)

    response = signed_in(membership.user).get(reverse("admin:calendar"))

    assert "There is nothing to show yet" in response.content.decode()


# --- how it is made -------------------------------------------------------------------------------


def statements(client: Any, **asked: Any) -> list[str]:
    client.get(reverse("admin:calendar"), asked)
    with CaptureQueriesContext(connection) as queries:
        assert client.get(reverse("admin:calendar"), asked).status_code == 200
    return [q["sql"] for q in queries]


@pytest.mark.parametrize("view", ["day", "week"])
def test_a_page_costs_the_same_for_any_number_of_rows(venue, view):
    client = as_role(venue, "front_desk")
    court = f.ResourceFactory(organization=venue.organization, exclusive=True)
    day = datetime.now(BERLIN).date() + timedelta(days=3)
    start = datetime(day.year, day.month, day.day, 6, tzinfo=BERLIN)
    f.make_slot(court, starts_at=start)
    few = statements(client, view=view, day=day.isoformat())

    for number in range(8):
        resource = f.ResourceFactory(organization=venue.organization, exclusive=bool(number % 2))
        for n in range(8):
            slot = f.make_slot(
                resource,
                starts_at=start + timedelta(hours=n),
                max_bookings=1 if resource.exclusive else 5,
            )
            if n % 2:
                f.hold(f.CustomerFactory(organization=venue.organization), slot)
    many = statements(client, view=view, day=day.isoformat())

    assert len(many) == len(few), many
    of_anybody = (
        "django_session",
        "bookings_user",
        "bookings_membership",
        "auth_permission",
        "payments_latepayment",  # how many wait, beside its entry in the menu
    )
    own = [sql for sql in many if not re.search(rf'FROM "({"|".join(of_anybody)})"', sql)]
    assert len(own) <= 8, own


def test_no_page_of_the_calendar_needs_styles_or_handlers_in_its_markup():
    """A content security policy refuses both."""
    templates = list((ROOT / "templates/admin/calendar").glob("*.html"))

    assert templates
    for template in templates:
        text = template.read_text()
        assert not re.search(r"\s(style|on[a-z]+)=", text), template
        assert "http" not in text, template
        assert "<script>" not in text, template
