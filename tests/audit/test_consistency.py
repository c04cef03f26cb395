"""Checks find what is wrong, repairs mend what has one right answer (A9, A10, A11)."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone

from audit import tasks
from audit.consistency import FixResult, Problem, Scope, rows
from audit.consistency.registry import (
    CheckRegistrationError,
    Registry,
    UnknownCheck,
    registry,
)
from audit.consistency.runner import MOST_LISTED, Run, run_checks
from audit.context import Actor
from audit.delivery import relay
from audit.history import tracked_models, trail_of
from audit.models import ConsistencyReport, Delivery, Finding, OutboxEvent
from bookings.models import Organization, Resource
from tests.audit.conftest import Recorder, tell
from tests.concurrency import race
from tests.factories import OrganizationFactory, ResourceFactory, make_slot

ANA = Actor("staff", None, "Ana")


def run(checks: Registry = registry, **kwargs: Any) -> Run:
    return run_checks(actor=ANA, now=timezone.now(), checks=checks, **kwargs)


@pytest.fixture
def checks() -> Registry:
    """Organisations must not be called "bad"; it is repaired by calling them "good"."""
    made = Registry()

    @made.check(id="test.names", title="Names are good", help="Rename it.", severity="warning")
    def names(scope: Scope) -> Iterator[Problem]:
        for row in rows(
            "SELECT id, name FROM bookings_organization WHERE name LIKE 'bad%%'"
            " AND (%(only)s::uuid IS NULL OR id = %(only)s) ORDER BY slug",
            {"only": scope.organization_id},
        ):
            yield Problem(
                subject_type="bookings.organization",
                subject_id=str(row["id"]),
                message=f"It is called {row['name']}.",
                organization_id=row["id"],
                details={"name": row["name"]},
                fixable=row["name"] != "bad beyond repair",
            )

    @made.fix("test.names")
    def rename(problem: Problem, actor: Actor, now: datetime) -> FixResult:
        found = Organization.objects.select_for_update().get(pk=problem.subject_id)
        if not found.name.startswith("bad"):
            return FixResult.gone("It has a good name.")
        if found.name == "bad luck":
            raise ZeroDivisionError
        if found.name == "bad but who knows":
            return FixResult.needs_review("Somebody has to decide.")
        if found.name == "bad habit":
            return FixResult.fixed("It was told not to.")
        found.name = "good"
        found.save()
        return FixResult.fixed("It is called good now.")

    return made


def statuses(run: Run) -> dict[str, str]:
    return {finding.details["name"]: finding.status for finding in run.findings}


def test_two_checks_or_fixers_of_one_name_are_refused(checks: Registry) -> None:
    with pytest.raises(CheckRegistrationError):
        checks.check(id="test.names", title="again")(lambda scope: [])
    with pytest.raises(CheckRegistrationError):
        checks.fix("test.names")(lambda problem, actor, now: FixResult.fixed())
    with pytest.raises(CheckRegistrationError):
        checks.check(id="No Name", title="bad id")
    with pytest.raises(CheckRegistrationError):
        checks.check(id="test.other", title="bad severity", severity="awful")  # type: ignore[arg-type]


def test_a_fixer_without_a_check_is_refused(checks: Registry) -> None:
    checks.fix("test.nothing")(lambda problem, actor, now: FixResult.fixed())
    with pytest.raises(CheckRegistrationError):
        checks.checks()


def test_an_unknown_check_is_refused(checks: Registry) -> None:
    with pytest.raises(UnknownCheck):
        checks.checks(["test.nothing"])


@pytest.mark.django_db
def test_every_app_says_what_its_checks_mean() -> None:
    for check in registry.checks():
        assert check.title
        assert check.help, f"{check.id} does not say what a finding means"


@pytest.mark.django_db
def test_a_clean_run_keeps_a_report_without_findings(checks: Registry) -> None:
    OrganizationFactory(name="good")
    result = run(checks)
    assert result.clean
    report = ConsistencyReport.objects.get()
    assert (report.checks_run, report.findings_count, report.actor_label) == (1, 0, "Ana")
    assert report.figures[0]["id"] == "test.names"
    assert not Finding.objects.exists()


@pytest.mark.django_db
def test_what_is_found_is_kept_with_its_report(checks: Registry) -> None:
    bad = OrganizationFactory(name="bad")
    result = run(checks)
    assert not result.clean
    finding = Finding.objects.get()
    assert finding.report == ConsistencyReport.objects.get()
    assert (finding.check_id, finding.severity) == ("test.names", "warning")
    assert (finding.subject_id, finding.organization_id) == (str(bad.pk), bad.pk)
    assert finding.status == Finding.Status.OPEN
    assert finding.fixable
    bad.refresh_from_db()
    assert bad.name == "bad", "a check changes nothing"


@pytest.mark.django_db
def test_one_organisation_can_be_checked_alone(checks: Registry) -> None:
    bad, _other = OrganizationFactory(name="bad"), OrganizationFactory(name="bad")
    result = run(checks, organization_id=bad.pk)
    assert [finding.organization_id for finding in result.findings] == [bad.pk]


@pytest.mark.django_db
def test_a_check_that_fails_is_a_finding_and_the_others_go_on(checks: Registry) -> None:
    OrganizationFactory(name="bad")

    @checks.check(id="test.broken", title="This check works")
    def broken(scope: Scope) -> Iterator[Problem]:
        yield from rows("SELECT nonsense")  # type: ignore[misc]

    result = run(checks)
    assert not result.clean
    assert {finding.check_id for finding in result.findings} == {"test.broken", "test.names"}
    failure = Finding.objects.get(check_id="test.broken")
    assert failure.severity == "error"
    assert "ProgrammingError" in failure.message


@pytest.mark.django_db(transaction=True)
def test_a_check_cannot_write(checks: Registry) -> None:
    organization = OrganizationFactory(name="good")

    @checks.check(id="test.writes", title="Checks only read")
    def writes(scope: Scope) -> list[Problem]:
        Organization.objects.update(name="changed")
        return []

    run(checks)
    organization.refresh_from_db()
    assert organization.name == "good"
    assert Finding.objects.get().check_id == "test.writes"


@pytest.mark.django_db(transaction=True)
def test_each_statement_of_a_check_sees_the_same_moment(checks: Registry) -> None:
    @checks.check(id="test.moment", title="Nothing changes meanwhile")
    def moment(scope: Scope) -> Iterator[Problem]:
        before = Organization.objects.count()
        race(OrganizationFactory)
        if Organization.objects.count() != before:
            yield Problem("test", "1", "It changed.")

    assert run(checks, only=["test.moment"]).clean
    assert Organization.objects.count() == 1


@pytest.mark.django_db
def test_of_very_many_problems_all_are_counted_and_some_are_kept(checks: Registry) -> None:
    @checks.check(id="test.many", title="There are few")
    def many(scope: Scope) -> Iterator[Problem]:
        for number in range(MOST_LISTED + 500):
            yield Problem("test.thing", str(number), "One of many.")

    result = run(checks, only=["test.many"])
    assert result.report.findings_count == MOST_LISTED + 500
    assert Finding.objects.count() == MOST_LISTED


@pytest.mark.django_db
def test_a_repair_is_made_recorded_and_not_needed_twice(checks: Registry) -> None:
    bad = OrganizationFactory(name="bad")
    first = run(checks, fix=True)
    assert first.clean
    assert first.report.fixed_count == 1
    finding = Finding.objects.get()
    assert (finding.status, finding.fix_note) == (Finding.Status.FIXED, "It is called good now.")
    assert finding.fixed_at
    trail: Any = trail_of(Organization)
    line = trail.objects.filter(id=bad.pk).latest("history_id")
    assert (line.actor_label, line.history_change_reason) == ("Ana", "consistency: test.names")
    lines_before = trail.objects.count()
    second = run(checks, fix=True)
    assert (second.report.findings_count, second.report.fixed_count) == (0, 0)
    assert trail.objects.count() == lines_before


@pytest.mark.django_db
def test_what_cannot_be_repaired_goes_to_people_and_stops_no_other_repair(
    checks: Registry,
) -> None:
    for name in ("bad", "bad luck", "bad beyond repair", "bad but who knows", "bad habit", "bad 2"):
        OrganizationFactory(name=name)
    result = run(checks, fix=True)
    assert not result.clean
    assert statuses(result) == {
        "bad": "fixed",
        "bad 2": "fixed",
        "bad luck": "needs_review",
        "bad beyond repair": "needs_review",
        "bad but who knows": "needs_review",
        "bad habit": "needs_review",
    }
    findings = {finding.details["name"]: finding for finding in result.findings}
    assert findings["bad luck"].fix_error == "ZeroDivisionError"
    assert findings["bad but who knows"].fix_note == "Somebody has to decide."
    assert findings["bad habit"].fix_error, "the fixer said that it was repaired, and it was not"
    assert result.report.fixed_count == 2
    assert result.outcomes[0].left == 4


@pytest.mark.django_db
def test_a_problem_that_another_repair_solved_is_gone(checks: Registry) -> None:
    first, second = OrganizationFactory(name="bad"), OrganizationFactory(name="bad")

    mending = Registry()
    mending.check(id="test.names", title="t", help="h")(checks.checks()[0].function)

    @mending.fix("test.names")
    def rename_all(problem: Problem, actor: Actor, now: datetime) -> FixResult:
        changed = Organization.objects.filter(name="bad").update(name="good")
        return FixResult.fixed() if changed else FixResult.gone()

    result = run(mending, fix=True)
    assert result.clean
    assert sorted(f.status for f in result.findings) == ["fixed", "gone"]
    assert {f.subject_id for f in result.findings} == {str(first.pk), str(second.pk)}


@pytest.mark.django_db
def test_more_problems_than_are_kept_are_all_repaired(checks: Registry) -> None:
    Organization.objects.bulk_create(
        [Organization(name="bad", slug=f"s{i}") for i in range(MOST_LISTED + 20)]
    )
    result = run(checks, fix=True)
    assert result.clean
    assert result.report.fixed_count == MOST_LISTED + 20
    assert not Organization.objects.filter(name="bad").exists()


@pytest.mark.django_db(transaction=True)
def test_two_repairs_at_once_repair_once(checks: Registry) -> None:
    for _ in range(5):
        OrganizationFactory(name="bad")
    results = race(lambda: run(checks, fix=True), lambda: run(checks, fix=True))
    assert all(result.clean for result in results)
    trail: Any = trail_of(Organization)
    assert trail.objects.filter(history_type="~").count() == 5


@pytest.mark.django_db
def test_the_daily_check_keeps_its_report_and_alerts_when_something_is_found(
    settings: Any,
) -> None:
    settings.ADMIN_ALERT_EMAILS = ["admin@example.com"]
    tasks.check_consistency_daily()
    assert not OutboxEvent.objects.filter(kind="consistency.found").exists()
    forge("DELETE FROM bookings_organization", OrganizationFactory())
    tasks.check_consistency_daily()
    assert ConsistencyReport.objects.filter(kind="scheduled").count() == 2
    alert = OutboxEvent.objects.get(kind="consistency.found")
    assert alert.recipients[0]["address"] == "admin@example.com"
    assert alert.payload["findings"] >= 1


# The checks of audit itself.


def forge(sql: str, *_rows: Any) -> None:
    """Change tables behind the back of their triggers, as somebody with too much access could."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(sql)
        cursor.execute("SET LOCAL session_replication_role = DEFAULT")


def trail_findings(**kwargs: Any) -> dict[str, tuple[str, list[str]]]:
    found = run(only=["audit.trail_matches_rows"], **kwargs).findings
    return {f.subject_id: (f.details["kind"], f.details["fields"]) for f in found}


@pytest.mark.django_db
def test_rows_that_agree_with_their_trail_are_clean() -> None:
    resource = ResourceFactory()
    make_slot(resource)
    resource.name = "Another name"
    resource.save()
    OrganizationFactory().delete()
    assert trail_findings() == {}


@pytest.mark.django_db
def test_a_row_changed_behind_its_trail_is_found_with_the_fields_that_differ() -> None:
    resource = ResourceFactory()
    forge("UPDATE bookings_resource SET name = 'forged', description = 'forged'")
    assert trail_findings() == {str(resource.pk): ("different", ["description", "name"])} or (
        trail_findings() == {str(resource.pk): ("different", ["name", "description"])}
    )


@pytest.mark.django_db
def test_a_null_that_became_a_value_is_a_difference() -> None:
    resource = ResourceFactory(provider=None)
    forge(f"UPDATE bookings_resource SET provider_id = '{uuid.uuid4()}'")
    assert trail_findings() == {str(resource.pk): ("different", ["provider_id"])}


@pytest.mark.django_db
def test_a_row_without_a_trail_is_found() -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        organization = OrganizationFactory()
        cursor.execute("SET LOCAL session_replication_role = DEFAULT")
    assert trail_findings() == {str(organization.pk): ("unrecorded", [])}


@pytest.mark.django_db
def test_a_row_deleted_behind_its_trail_is_found() -> None:
    organization = OrganizationFactory()
    forge("DELETE FROM bookings_organization")
    assert trail_findings() == {str(organization.pk): ("vanished", [])}


@pytest.mark.django_db
def test_a_row_back_after_its_recorded_deletion_is_found() -> None:
    organization = OrganizationFactory()
    pk = organization.pk
    organization.delete()
    organization.pk = pk
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        organization.save(force_insert=True)
        cursor.execute("SET LOCAL session_replication_role = DEFAULT")
    assert trail_findings() == {str(pk): ("undead", [])}


@pytest.mark.django_db
def test_only_the_asked_organisations_rows_are_compared() -> None:
    mine, other = ResourceFactory(), ResourceFactory()
    forge("UPDATE bookings_resource SET name = 'forged'")
    assert set(trail_findings(organization_id=mine.organization_id)) == {str(mine.pk)}
    assert set(trail_findings()) == {str(mine.pk), str(other.pk)}


@pytest.mark.django_db
def test_comparing_costs_one_statement_for_each_model(django_assert_num_queries: Any) -> None:
    for _ in range(5):
        ResourceFactory()
    check = registry.checks(["audit.trail_matches_rows"])[0]
    with django_assert_num_queries(len(tracked_models())):
        assert list(check.function(Scope(now=timezone.now()))) == []


@pytest.mark.django_db
@pytest.mark.parametrize(
    "sql",
    [
        f'ALTER TABLE "{Resource._meta.db_table}" DISABLE TRIGGER USER',
        f'ALTER TABLE "{trail_of(Resource)._meta.db_table}" DISABLE TRIGGER ALL',
        f'DROP TRIGGER audit_append_only ON "{trail_of(Resource)._meta.db_table}"',
        f'ALTER TABLE "{trail_of(Resource)._meta.db_table}" ENABLE TRIGGER audit_append_only',
    ],
)
def test_a_trail_whose_triggers_are_off_is_found(sql: str) -> None:
    assert run(only=["audit.trail_is_protected"]).clean
    with connection.cursor() as cursor:
        cursor.execute(sql)
    found = run(only=["audit.trail_is_protected"]).findings
    assert {finding.subject_type for finding in found} == {"bookings.resource"}


@pytest.mark.django_db
def test_events_and_deliveries_that_do_not_get_through_are_found() -> None:
    waiting, failed = tell("a@example.com"), tell("b@example.com")
    tell("c@example.com")
    OutboxEvent.objects.filter(pk=waiting.pk).update(
        created_at=timezone.now() - timedelta(minutes=11)
    )
    OutboxEvent.objects.filter(pk=failed.pk).update(error="KeyError", dispatched_at=timezone.now())
    found = run(only=["audit.outbox_stuck"]).findings
    assert {finding.subject_id for finding in found} == {str(waiting.pk), str(failed.pk)}


@pytest.mark.django_db
def test_a_delivery_that_was_given_up_is_found_until_it_is_resent_or_cancelled() -> None:
    tell("a@example.com")
    relay.dispatch([Recorder()])
    assert run(only=["audit.outbox_stuck"]).clean
    Delivery.objects.update(status="dead")
    assert not run(only=["audit.outbox_stuck"]).clean
    Delivery.objects.update(status="cancelled")
    assert run(only=["audit.outbox_stuck"]).clean


# The command.


def command(*arguments: str) -> tuple[int, str]:
    out = io.StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("check_consistency", *arguments, stdout=out, stderr=out, no_color=True)
    return int(ended.value.code or 0), out.getvalue()


@pytest.mark.django_db
def test_the_command_ends_with_0_when_nothing_is_wrong() -> None:
    status, text = command()
    assert status == 0
    assert "Clean" in text


@pytest.mark.django_db
def test_the_command_ends_with_1_and_names_what_is_wrong() -> None:
    organization = OrganizationFactory()
    forge("DELETE FROM bookings_organization")
    status, text = command("-v", "2")
    assert status == 1
    assert "audit.trail_matches_rows" in text
    assert str(organization.pk)[:8] in text


@pytest.mark.django_db
def test_the_command_speaks_json() -> None:
    organization = OrganizationFactory()
    forge("DELETE FROM bookings_organization")
    status, text = command("--format", "json")
    answer = json.loads(text)
    assert status == 1
    assert answer["clean"] is False
    assert answer["fixed"] == 0
    assert {check["id"] for check in answer["checks"]} == {c.id for c in registry.checks()}
    (finding,) = [f for f in answer["findings"] if f["check"] == "audit.trail_matches_rows"]
    assert finding["subject_id"] == str(organization.pk)
    assert finding["subject_type"] == "bookings.organization"
    assert ConsistencyReport.objects.filter(pk=answer["report"]).exists()


@pytest.mark.django_db
def test_the_command_can_be_limited_to_checks_and_an_organisation() -> None:
    status, text = command(
        "--only", "audit.outbox_stuck", "--organization", str(uuid.uuid4()), "--format", "json"
    )
    assert status == 0
    assert [check["id"] for check in json.loads(text)["checks"]] == ["audit.outbox_stuck"]


@pytest.mark.django_db
def test_the_command_ends_with_2_when_it_cannot_check() -> None:
    assert command("--only", "no.such_check")[0] == 2


def test_the_command_gives_up_soon_without_a_database() -> None:
    nowhere = {
        "DJANGO_SETTINGS_MODULE": "config.settings.demo",
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing",
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "DATABASE_POOL_TIMEOUT": "1",
    }

    done = subprocess.run(
        [sys.executable, "manage.py", "check_consistency", "--no-color"],
        cwd=settings.BASE_DIR,
        env=os.environ | nowhere,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 2
    assert "Is the demo running (make demo), or is DATABASE_URL set?" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.django_db
def test_the_command_lists_the_checks() -> None:
    out = io.StringIO()
    call_command("check_consistency", "--list", "--format", "json", stdout=out)
    assert {c["id"] for c in json.loads(out.getvalue())} == {c.id for c in registry.checks()}
