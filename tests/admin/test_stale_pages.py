"""Pages that are no plain form of one row: of two people the second is told what the first changed,
and nothing that either typed is lost (B11)."""

from __future__ import annotations

import html
import re
from datetime import time
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from bookings.models import Pool, PoolMember, Resource, ResourcePart, Schedule, ScheduleRule, Slot
from bookings.services import schedules
from tests import factories as f
from tests.admin.conftest import as_role, signed_in
from tests.admin.test_schedules import HOURS, MIA, today, typed

# Refusals end real transactions.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def colleague(venue: Any) -> Any:
    made = f.MembershipFactory(
        organization=venue.organization, role="manager", user__name="Quick Colleague"
    )
    return signed_in(made.user)


@pytest.fixture
def courts(venue: Any) -> list[Resource]:
    return [
        f.ResourceFactory(organization=venue.organization, name=f"Court {n}", exclusive=True)
        for n in (1, 2, 3)
    ]


def hidden(response: Any, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', response.content.decode())
    assert found, name
    return html.unescape(found[1])


def told(response: Any) -> dict[str, tuple[str, str, str]]:
    """Label → who, what now, verdict."""
    return {
        o.later.label: (o.later.actor_label, o.later.after, o.verdict)
        for row in response.context["meanwhile"].rows
        for o in row.outcomes
    }


# --- check-boxes that are rows of their own -----------------------------------------------------


def test_what_a_hall_is_made_of_keeps_the_part_that_a_colleague_added(venue, colleague, courts):
    hall = f.ResourceFactory(organization=venue.organization, name="Hall", exclusive=True)
    url = reverse("admin:bookings_resource_made_of", args=[hall.pk])
    mine = as_role(venue, "manager")
    one, two, three = (str(court.pk) for court in courts)
    f_marks = hidden(mine.get(url), "seen_lines")
    colleague.post(url, {"parts": [three], "seen_lines": f_marks})
    marks = hidden(mine.get(url), "seen_lines")
    theirs = hidden(colleague.get(url), "seen_lines")
    assert colleague.post(url, {"parts": [two], "seen_lines": theirs}).status_code == 302

    held = mine.post(url, {"parts": [one, three], "reason": "typed", "seen_lines": marks})

    assert held.status_code == 409
    assert "Quick Colleague changed this while you had it open." in held.content.decode()
    assert told(held) == {
        "Court 2": ("Quick Colleague", "ticked", "taken"),
        "Court 3": ("Quick Colleague", "not ticked", "taken"),
    }
    assert set(held.context["form"]["parts"].value()) == {one, two}
    assert held.context["form"]["reason"].value() == "typed"
    parts = ResourcePart.objects.filter(whole=hall)
    assert {str(p.part_id) for p in parts} == {two}

    again = {"parts": held.context["form"]["parts"].value()}
    assert mine.post(url, again | {"seen_lines": hidden(held, "seen_lines")}).status_code == 302
    assert {str(p.part_id) for p in parts.all()} == {one, two}


def test_the_members_of_a_pool_are_part_of_its_form(venue, colleague, courts):
    pool = Pool.objects.create(organization=venue.organization, name="Rooms")
    url = reverse("admin:bookings_pool_change", args=[pool.pk])
    mine = as_role(venue, "manager")
    one, two, _three = (str(court.pk) for court in courts)
    sent: dict[str, Any] = {"name": "Rooms", "seen_lines": hidden(mine.get(url), "seen_lines")}
    assert colleague.post(url, {**sent, "resources": [two]}).status_code == 302

    held = mine.post(url, {**sent, "name": "Cabins", "resources": [one]})

    assert held.status_code == 409
    assert told(held) == {"Court 2": ("Quick Colleague", "ticked", "taken")}
    form = held.context["adminform"].form
    assert (form["name"].value(), set(form["resources"].value())) == ("Cabins", {one, two})
    members = PoolMember.objects.filter(pool=pool)
    assert [str(m.resource_id) for m in members] == [two]

    sent |= {"name": "Cabins", "resources": [one, two], "seen_lines": hidden(held, "seen_lines")}
    assert mine.post(url, sent).status_code == 302
    assert {str(m.resource_id) for m in members.all()} == {one, two}


def test_who_ticks_the_same_as_a_colleague_is_not_held_back(venue, colleague, courts):
    hall = f.ResourceFactory(organization=venue.organization, name="Hall", exclusive=True)
    url = reverse("admin:bookings_resource_made_of", args=[hall.pk])
    mine = as_role(venue, "manager")
    sent: dict[str, Any] = {
        "parts": [str(courts[0].pk)],
        "seen_lines": hidden(mine.get(url), "seen_lines"),
    }
    colleague.post(url, sent)

    assert mine.post(url, sent).status_code == 302


# --- schedules --------------------------------------------------------------------------------


def test_a_version_made_meanwhile_is_shown_before_anything_is_previewed_or_applied(venue):
    court = f.ResourceFactory(organization=venue.organization, name="Court", horizon_days=10)
    _version(court, time(9), time(12))
    mine = as_role(venue, "manager")
    url = reverse("admin:bookings_resource_schedule_change", args=[court.pk])
    form: Any = typed({**HOURS, "until_time": "11:00"}, note="Mine", valid_from=today().isoformat())
    form["base"] = hidden(mine.get(url), "base")
    looked = mine.post(url, {**form, "step": "preview"})
    seen = looked.context["outcome"].seen
    _version(court, time(9), time(20), note="Longer")

    for step in ("preview", "apply"):
        held = mine.post(url, {**form, "step": step, "seen": seen})
        assert held.status_code == 409
        words = held.content.decode()
        assert "somebody made another version while you had this open" in words
        assert ("Version 2" in words, "“Longer”" in words, "Mia" in words) == (True, True, True)
        assert held.context["preview"] is None
        assert held.context["form"]["note"].value() == "Mine"
    assert Schedule.objects.filter(resource=court).count() == 2

    form["base"] = hidden(held, "base")
    looked = mine.post(url, {**form, "step": "preview"})
    assert "It takes over from version 2" in looked.content.decode()
    done = mine.post(url, {**form, "step": "apply", "seen": looked.context["outcome"].seen})
    assert done.status_code == 302


def _version(court: Resource, start: time, until: time, note: str = "") -> None:
    schedules.change_schedule(
        resource_id=court.pk,
        organization_id=court.organization_id,
        valid_from=today(),
        rules=[ScheduleRule(from_time=start, until_time=until, max_bookings=2, max_units=4)],
        note=note,
        actor=MIA,
        now=timezone.now(),
    )


# --- how many a slot takes ----------------------------------------------------------------------


def test_limits_that_a_colleague_changed_meanwhile_are_told_in_the_dialog(venue, colleague):
    slot = f.make_slot(venue.resource, starts_at=f.soon(72), max_bookings=2, max_units=4)
    url = reverse("admin:bookings_slot_change_capacity_this", args=[slot.pk])
    mine = as_role(venue, "manager")
    sent = {"_form_submitted": "on", "seen": hidden(mine.get(url), "seen"), "reason": "Rain"}
    colleague.post(url, {**sent, "max_bookings": 9, "max_units": 4})

    held = mine.post(url, {**sent, "max_bookings": 3, "max_units": 6})

    assert "Quick Colleague changed this to 9 while you had it open." in held.content.decode()
    assert 'value="6"' in held.content.decode()
    slot.refresh_from_db()
    assert (slot.max_bookings, slot.max_units) == (9, 4)

    mine.post(url, {**sent, "seen": hidden(held, "seen"), "max_bookings": 3, "max_units": 6})
    slot.refresh_from_db()
    assert (slot.max_bookings, slot.max_units) == (3, 6)


def test_and_on_the_page_for_many(venue, colleague):
    slots = [f.make_slot(venue.resource, starts_at=f.soon(hours)) for hours in (72, 73)]
    url = reverse("admin:bookings_slot_changelist")
    mine = as_role(venue, "manager")
    many: dict[str, Any] = {
        "action": "change_capacity_chosen",
        "_selected_action": [s.pk for s in slots],
    }
    many["seen"] = hidden(mine.post(url, many), "seen")
    many |= {"confirmed": "yes", "max_units": 6, "reason": "Rain"}
    colleague.post(url, {**many, "max_bookings": 9})

    held = mine.post(url, {**many, "max_bookings": 3})

    assert held.status_code == 409
    assert "Quick Colleague changed how many" in held.content.decode()
    assert 'value="Rain"' in held.content.decode()
    assert set(Slot.objects.filter(pk__in=[s.pk for s in slots]).values_list("max_bookings")) == {
        (9,)
    }
    mine.post(url, {**many, "max_bookings": 3, "seen": hidden(held, "seen")})
    assert not Slot.objects.filter(pk__in=[s.pk for s in slots], max_bookings=9).exists()
