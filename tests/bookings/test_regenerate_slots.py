"""`manage.py regenerate_slots` shows what the admin's preview shows, and does it. Serves B2, F4."""

import io
import json
import uuid
from datetime import time, timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from audit.context import Actor
from bookings.models import ScheduleException, ScheduleRule, Slot
from bookings.services import schedules, slot_plans
from tests import factories as f
from tests.corruption import corrupt
from tests.invariants import assert_consistent, everything

pytestmark = pytest.mark.django_db

STAFF = Actor("staff", None, "Mia")


def court(**fields) -> Any:
    """A court that is open from nine to five for the next days."""
    made: Any = f.ResourceFactory(horizon_days=4, time_zone="UTC", **fields)
    schedules.change_schedule(
        resource_id=made.pk,
        organization_id=made.organization_id,
        valid_from=timezone.now().date(),
        rules=[ScheduleRule(from_time=time(9), until_time=time(17), slot_minutes=60)],
        actor=STAFF,
        now=timezone.now(),
    )
    return made


def run(*args) -> tuple[int, str, str]:
    """Exit status, what it printed, and what it said on standard error."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("regenerate_slots", *args, "--no-color", stdout=out, stderr=err)
    assert isinstance(ended.value.code, int)
    return ended.value.code, out.getvalue(), err.getvalue()


def answer(*args) -> dict[str, Any]:
    status, out, _err = run(*args, "--json")
    found: dict[str, Any] = json.loads(out)
    assert status == (1 if found["failed"] else 0)
    return found


def close_a_day(resource) -> list[Slot]:
    """A closure nobody followed yet; the slots of its day."""
    day = timezone.now().date() + timedelta(days=2)
    ScheduleException.objects.create(
        organization=resource.organization,
        resource=resource,
        kind="closed",
        name="Works",
        first_day=day,
        last_day=day,
        created_at=timezone.now(),
    )
    return list(Slot.objects.filter(resource=resource, starts_at__date=day).order_by("starts_at"))


NOTHING = dict.fromkeys(
    [
        "created",
        "changed",
        "revived",
        "legacy",
        "archived",
        "deleted",
        "closed",
        "opened",
        "bookings",
    ],
    0,
)


def test_a_dry_run_shows_the_plan_and_changes_nothing():
    resource = court()
    slots = close_a_day(resource)
    held = f.hold(f.CustomerFactory(organization=resource.organization), slots[3])
    before = everything()

    found = answer("--dry-run")

    assert everything() == before
    assert found["dry_run"]
    [shown] = found["resources"]
    assert (shown["name"], shown["organization"]) == (resource.name, resource.organization.slug)
    assert shown["counts"] == {
        "created": 0,
        "kept": Slot.objects.filter(resource=resource, starts_at__gt=timezone.now()).count() - 8,
        "changed": 0,
        "revived": 0,
        "legacy": 1,
        "archived": 0,
        "deleted": 7,
        "closed": 0,
        "opened": 0,
    }
    assert shown["bookings"] == [
        {
            "reference": held.reference,
            "starts_at": slots[3].starts_at.isoformat().replace("+00:00", "Z"),
            "customer": str(held.customer_id),
        }
    ]
    assert found["totals"] == {**shown["counts"], "bookings": 1}


def test_it_does_what_the_dry_run_showed_and_the_next_one_finds_nothing_to_do():
    resource = court()
    slots = close_a_day(resource)
    held = f.hold(f.CustomerFactory(organization=resource.organization), slots[3])
    plan = answer("--dry-run")

    done = answer()

    assert done == {**plan, "dry_run": False}
    left = Slot.objects.get(resource=resource, starts_at__date=slots[0].starts_at.date())
    assert (left.pk, left.status) == (held.slot_id, "legacy")
    line = Slot.history.filter(id=left.pk).latest("history_id")
    assert (line.actor_label, line.actor_kind) == ("regenerate_slots", "system")
    assert_consistent()
    again = answer()["totals"]
    assert {k: v for k, v in again.items() if k != "kept"} == NOTHING


def test_slots_that_take_fewer_people_because_of_earlier_ones_are_counted():
    resource = court()
    tomorrow = timezone.now().date() + timedelta(days=1)
    old = Slot.objects.get(resource=resource, starts_at__date=tomorrow, starts_at__hour=12)
    f.hold(f.CustomerFactory(organization=resource.organization), old)
    change = ScheduleRule(from_time=time(9, 30), until_time=time(17), slot_minutes=60)
    schedules.change_schedule(
        resource_id=resource.pk,
        organization_id=resource.organization_id,
        valid_from=timezone.now().date(),
        rules=[change],
        actor=STAFF,
        now=timezone.now(),
    )

    [found] = answer("--dry-run")["resources"]

    assert found["fewer"] == 2
    assert "earlier slots still have people in them: 2." in " ".join(run("--dry-run")[1].split())


def test_names_of_customers_are_shown_only_when_asked_for():
    resource = court()
    customer: Any = f.CustomerFactory(organization=resource.organization, name="Zoe Quill")
    held = f.hold(customer, close_a_day(resource)[0])

    for style in ([], ["--json"]):
        _status, plain, _err = run("--dry-run", *style)
        assert held.reference in plain
        assert "Quill" not in plain
        assert "Quill" in run("--dry-run", "-v", "2", *style)[1]


def test_only_what_is_named_is_done():
    first, second, other = court(), court(), court()
    for resource in (first, second, other):
        Slot.objects.filter(resource=resource).delete()

    named = answer("--resource", first.name, str(second.pk))

    assert [r["id"] for r in named["resources"]] == [str(first.pk), str(second.pk)]
    assert Slot.objects.filter(resource=second).exists()
    assert not Slot.objects.filter(resource=other).exists()
    of_one = answer("--organization", other.organization.slug)
    assert [r["id"] for r in of_one["resources"]] == [str(other.pk)]


def test_a_name_nobody_has_is_refused_and_nothing_is_changed():
    resource = court()
    idle: Any = f.ResourceFactory(name="Broom cupboard")
    close_a_day(resource)
    before = everything()

    for args, words in [
        (["--organization", "nowhere"], "no organisation nowhere"),
        (["--resource", "Court 99"], "no resource Court 99"),
        (["--resource", str(uuid.uuid4())], "no resource"),
        (["--resource", resource.name, "--organization", idle.organization.slug], "no resource"),
        (["--resource", idle.name], "no schedule"),
        # One of two is enough: nothing is done by half.
        (["--resource", resource.name, "Court 99"], "no resource Court 99"),
    ]:
        status, out, err = run(*args)
        assert (status, out) == (2, "")
        assert words in err

    assert everything() == before


def test_a_name_that_two_organisations_have_needs_the_organisation():
    mine, theirs = court(name="Court"), court(name="Court")

    status, _out, err = run("--resource", "Court")

    assert status == 2
    assert mine.organization.slug in err
    assert theirs.organization.slug in err
    [only] = answer("--resource", "Court", "--organization", mine.organization.slug)["resources"]
    assert only["id"] == str(mine.pk)


def test_a_resource_that_fails_is_reported_and_the_others_are_done():
    good, bad, another = court(name="A"), court(name="B"), court(name="C")
    corrupt(
        "UPDATE bookings_schedulerule SET slot_minutes = 0 WHERE schedule_id IN"
        " (SELECT id FROM bookings_schedule WHERE resource_id = %s)",
        [bad.pk],
        drop=[("bookings_schedulerule", "bookings_schedulerule_makes_sense")],
    )
    for resource in (good, bad, another):
        Slot.objects.filter(resource=resource).delete()

    found = answer()

    assert found["failed"] == 1
    assert {r["name"]: r["error"] for r in found["resources"]} == {
        "A": "",
        "B": "ValueError",
        "C": "",
    }
    assert {s.resource_id for s in Slot.objects.all()} == {good.pk, another.pk}
    status, out, _err = run()
    assert status == 1
    assert "B does not follow its schedule yet" in out


def test_a_resource_with_too_many_slots_says_so(monkeypatch):
    resource = court()
    monkeypatch.setattr(slot_plans, "MOST_SLOTS", 3)

    [shown] = answer("--dry-run")["resources"]

    assert f"{resource.name} would have about" in shown["error"]


def test_progress_goes_to_standard_error_so_that_the_json_stays_whole():
    for number in range(11):
        court(name=f"Court {number}")

    status, out, err = run("--dry-run", "--json")

    assert status == 0
    assert len(json.loads(out)["resources"]) == 11
    assert err.splitlines() == ["10 of 11 resources …"]
