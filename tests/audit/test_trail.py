"""Every change is recorded with its cause, and the record cannot be rewritten (B7, promise 6)."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from audit.context import Actor, Origin, audited, origin
from audit.errors import constraint_name
from audit.history import tracked_models, trail_of
from bookings.models import Organization, User
from tests.concurrency import race
from tests.factories import OrganizationFactory, ResourceFactory, UserFactory

TRAIL: Any = trail_of(Organization)
ANA = Actor("staff", uuid.UUID(int=1), "Ana")


class Undo(Exception):
    pass


def lines(found: Any) -> list[Any]:
    """The trail of one row, oldest first."""
    trail: Any = trail_of(type(found))
    return list(trail.objects.filter(id=found.pk).order_by("history_id"))


def kinds(found: Any) -> str:
    return "".join(line.history_type for line in lines(found))


def execute(*statements: str) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


@pytest.mark.django_db
def test_making_changing_and_deleting_a_row_is_recorded_with_its_values() -> None:
    organization = OrganizationFactory(name="One")
    organization.name = "Two"
    organization.save()
    pk = organization.pk
    organization.delete()
    organization.pk = pk
    assert kinds(organization) == "+~-"
    assert [line.name for line in lines(organization)] == ["One", "Two", "Two"]


@pytest.mark.django_db
def test_bulk_calls_are_recorded_row_by_row() -> None:
    made = Organization.objects.bulk_create(
        [Organization(name=f"n{i}", slug=f"s{i}") for i in range(3)]
    )
    Organization.objects.filter(pk__in=[o.pk for o in made]).update(email="x@example.com")
    for organization in made:
        organization.name += "!"
    Organization.objects.bulk_update(made, ["name"])
    Organization.objects.filter(pk__in=[o.pk for o in made]).delete()
    assert [kinds(organization) for organization in made] == ["+~~-"] * 3


@pytest.mark.django_db
def test_recording_a_batch_costs_the_statement_nothing_more(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(1):
        Organization.objects.bulk_create(
            [Organization(name=f"n{i}", slug=f"s{i}") for i in range(100)]
        )
    assert TRAIL.objects.count() == 100


@pytest.mark.django_db
def test_plain_sql_is_recorded_too() -> None:
    organization = OrganizationFactory()
    execute("UPDATE bookings_organization SET name = 'by hand'")
    newest = lines(organization)[-1]
    assert (newest.history_type, newest.name) == ("~", "by hand")
    assert newest.actor_kind == "system"
    assert newest.actor_label.startswith("SQL session of ")


@pytest.mark.django_db
def test_a_change_that_changes_nothing_is_not_recorded() -> None:
    organization = OrganizationFactory()
    organization.save()
    Organization.objects.update(name=organization.name)
    assert kinds(organization) == "+"


@pytest.mark.django_db
def test_what_is_kept_out_of_the_trail_makes_no_line() -> None:
    user = UserFactory()
    user.last_login = timezone.now()
    user.save()
    assert kinds(user) == "+"
    assert not hasattr(trail_of(User), "password")


@pytest.mark.django_db
def test_a_line_says_who_from_where_and_why() -> None:
    where = Origin(request_id="request-1", ip="203.0.113.7", user_agent="a browser")
    with origin(where), transaction.atomic(), audited(ANA, reason="because"):
        organization = OrganizationFactory()
    (line,) = lines(organization)
    assert (line.actor_kind, line.actor_id, line.actor_label) == ("staff", ANA.id, "Ana")
    assert (line.ip, line.user_agent) == ("203.0.113.7", "a browser")
    assert (line.request_id, line.history_change_reason) == ("request-1", "because")


@pytest.mark.django_db
def test_a_reason_may_be_long() -> None:
    reason = "why " * 2000
    with transaction.atomic(), audited(ANA, reason=reason):
        organization = OrganizationFactory()
    assert lines(organization)[0].history_change_reason == reason


@pytest.mark.django_db
def test_an_inner_reason_gives_the_outer_one_back() -> None:
    with transaction.atomic(), audited(ANA, reason="outer"):
        first = OrganizationFactory()
        with audited(Actor.system("sweep"), reason="inner"):
            second = OrganizationFactory()
        third = OrganizationFactory()
    said = [(lines(o)[0].actor_label, lines(o)[0].history_change_reason) for o in (first, second)]
    assert said == [("Ana", "outer"), ("sweep", "inner")]
    assert lines(third)[0].history_change_reason == "outer"


@pytest.mark.django_db(transaction=True)
def test_a_name_does_not_outlive_its_transaction() -> None:
    with transaction.atomic(), audited(ANA, reason="mine"):
        OrganizationFactory()
    later = OrganizationFactory()
    assert lines(later)[0].actor_label.startswith("SQL session of ")


@pytest.mark.django_db(transaction=True)
def test_names_of_transactions_at_the_same_time_do_not_mix() -> None:
    def act(name: str) -> Organization:
        actor = Actor("staff", uuid.uuid4(), name)
        with origin(Origin(request_id=name)), transaction.atomic(), audited(actor, reason=name):
            made: Organization = OrganizationFactory(name=name, slug=name)
        return made

    names = [f"person-{i}" for i in range(6)]
    for organization in race(*[lambda name=name: act(name) for name in names]):
        (line,) = lines(organization)
        assert {line.actor_label, line.request_id, line.history_change_reason} == {
            organization.name
        }


@pytest.mark.django_db(transaction=True)
def test_what_is_rolled_back_leaves_no_line() -> None:
    organization = OrganizationFactory()

    def change() -> None:
        with transaction.atomic(), audited(ANA):
            Organization.objects.update(name="never")
            raise Undo

    with pytest.raises(Undo):
        change()
    assert kinds(organization) == "+"


def test_an_actor_outside_of_a_transaction_is_refused() -> None:
    with pytest.raises(RuntimeError), audited(ANA):
        pass


@pytest.mark.django_db
@pytest.mark.parametrize("model", tracked_models(), ids=lambda m: m._meta.label)
@pytest.mark.parametrize("statement", ["UPDATE {} SET history_id = history_id", "DELETE FROM {}"])
def test_no_trail_can_be_changed_even_by_sql(model: Any, statement: str) -> None:
    sql = statement.format(trail_of(model)._meta.db_table)
    with pytest.raises(DatabaseError) as refused:
        execute(sql)
    assert constraint_name(refused.value) == "audit_trail_is_append_only"


@pytest.mark.django_db
def test_no_trail_can_be_emptied_or_changed_by_a_session_that_switches_triggers_off() -> None:
    organization = OrganizationFactory()
    table = TRAIL._meta.db_table
    for sql in (f"TRUNCATE {table}", f"DELETE FROM {table}", f"UPDATE {table} SET name = ''"):
        with pytest.raises(DatabaseError):
            execute("SET LOCAL session_replication_role = replica", sql)
    assert [line.name for line in lines(organization)] == [organization.name]


@pytest.mark.django_db
def test_the_orm_cannot_change_a_line_either() -> None:
    organization = OrganizationFactory()
    line = lines(organization)[0]
    line.name = "forged"
    with pytest.raises(DatabaseError), transaction.atomic():
        line.save()
    with pytest.raises(DatabaseError), transaction.atomic():
        line.delete()
    assert lines(organization)[0].name == organization.name


@pytest.mark.django_db
def test_the_state_at_any_moment_can_be_read_back() -> None:
    resource = ResourceFactory(name="Court")
    between = lines(resource)[0].history_date
    resource.name = "Hall"
    resource.save()
    assert resource.history.as_of(between).name == "Court"
    assert resource.history.as_of(lines(resource)[-1].history_date).name == "Hall"
