"""One effect and one answer per Idempotency-Key (F2, promise 3)."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from audit import idempotency
from audit.errors import (
    DomainError,
    IdempotencyInProgress,
    IdempotencyKeyReused,
    Invalid,
    NotFound,
    Unavailable,
)
from audit.idempotency import Answer, request_hash
from audit.models import IdempotencyKey
from bookings.models import Organization
from tests.concurrency import lost, race, won

USER = uuid.uuid4()


class NoRoom(DomainError):
    """There is no room in this test."""

    code = "test_no_room"


def problem(error: DomainError) -> Answer:
    return Answer(error.status, f'{{"detail": "{error.detail}"}}')


def ask(
    execute: Callable[[], Answer],
    *,
    key: str | None = "key-1",
    user: uuid.UUID = USER,
    route: str = "POST things",
    body: str = "body",
) -> Answer:
    return idempotency.run(
        user_id=user,
        route=route,
        key=key,
        request_hash=request_hash(body),
        execute=execute,
        problem=problem,
    )


def make(slug: str = "made", answer: Answer | None = None) -> Callable[[], Answer]:
    """An effect that can be counted."""

    def execute() -> Answer:
        Organization.objects.create(name=slug, slug=slug)
        return answer or Answer(201, '{"made":  "é"}', {"ETag": '"1"', "Location": "/made"})

    return execute


def refuse(error: DomainError, slug: str = "undone") -> Callable[[], Answer]:
    def execute() -> Answer:
        make(slug)()
        raise error

    return execute


def made() -> int:
    return Organization.objects.count()


@pytest.mark.django_db
def test_a_repeated_request_gets_the_same_bytes_and_happens_once() -> None:
    first = ask(make())
    again = ask(make())
    assert not first.replayed
    assert again.replayed
    assert (again.status, again.body, again.headers) == (first.status, first.body, first.headers)
    assert made() == 1


@pytest.mark.django_db
def test_another_request_with_the_same_key_is_refused() -> None:
    ask(make())
    with pytest.raises(IdempotencyKeyReused):
        ask(make("other"), body="other")
    assert made() == 1


@pytest.mark.django_db
@pytest.mark.parametrize("other", [{"user": uuid.uuid4()}, {"route": "POST others"}])
def test_keys_of_other_users_and_routes_do_not_meet(other: dict[str, Any]) -> None:
    ask(make("one"))
    assert not ask(make("two"), **other).replayed
    assert made() == 2


@pytest.mark.django_db
def test_without_a_key_every_request_happens() -> None:
    ask(make("one"), key=None)
    ask(make("two"), key=None)
    assert made() == 2
    assert not IdempotencyKey.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("key", ["x" * 256, "line\nbreak", "nul\0"])
def test_a_key_that_cannot_be_kept_is_an_invalid_request(key: str) -> None:
    with pytest.raises(Invalid):
        ask(make(), key=key)
    assert made() == 0


@pytest.mark.django_db
def test_a_key_costs_two_statements(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(4):  # and a savepoint and its release, for lack of a transaction
        ask(lambda: Answer(200, "{}"))


@pytest.mark.django_db
def test_a_conflict_is_undone_and_kept() -> None:
    first = ask(refuse(NoRoom("full")))
    again = ask(make())
    assert (first.status, first.body) == (409, '{"detail": "full"}')
    assert again.replayed
    assert (again.status, again.body) == (first.status, first.body)
    assert made() == 0


@pytest.mark.django_db
def test_a_violated_constraint_with_a_domain_error_is_a_conflict_too() -> None:
    class SlugTaken(DomainError):
        """That name is taken in this test."""

        code = "test_slug_taken"
        constraints = ("bookings_organization_slug_key",)

    ask(make("same"), key="first")
    answer = ask(make("same"), key="second")
    assert answer.status == 409
    assert ask(make("same"), key="second").replayed
    assert made() == 1


@pytest.mark.django_db
@pytest.mark.parametrize("error", [NotFound(), Invalid("bad"), Unavailable()])
def test_what_may_go_better_next_time_is_not_kept(error: DomainError) -> None:
    with pytest.raises(type(error)):
        ask(refuse(error))
    assert made() == 0
    assert not ask(make()).replayed
    assert made() == 1


@pytest.mark.django_db
def test_a_bug_undoes_everything_and_is_not_kept() -> None:
    def broken() -> Answer:
        make()()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ask(broken)
    assert made() == 0
    assert not ask(make()).replayed


@pytest.mark.django_db(transaction=True)
def test_a_second_request_while_the_first_is_working_is_told_so() -> None:
    begun, go_on = threading.Event(), threading.Event()
    answers: list[Answer] = []

    def slow() -> Answer:
        begun.set()
        assert go_on.wait(10)
        return make()()

    def first() -> None:
        try:
            answers.append(ask(slow))
        finally:
            connection.close()

    worker = threading.Thread(target=first)
    worker.start()
    assert begun.wait(10)
    with pytest.raises(IdempotencyInProgress):
        ask(make())
    go_on.set()
    worker.join(10)
    assert ask(make()).body == answers[0].body
    assert made() == 1


@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_one_has_an_effect() -> None:
    outcomes = race(*[lambda: ask(make())] * 8)
    answers = won(outcomes)
    assert len({answer.body for answer in answers}) == 1
    assert sum(not answer.replayed for answer in answers) == 1
    assert all(isinstance(error, IdempotencyInProgress) for error in lost(outcomes))
    assert made() == 1


@pytest.mark.django_db(transaction=True)
def test_an_answer_that_came_first_wins_over_ours() -> None:
    """The look at what is kept can be older than the lock; then the constraint decides."""

    def overtaken() -> Answer:
        other = threading.Thread(target=commit_elsewhere)
        other.start()
        other.join(10)
        return make("ours")()

    def commit_elsewhere() -> None:
        try:
            IdempotencyKey.objects.create(
                user_id=USER,
                route="POST things",
                key="key-1",
                request_hash=request_hash("body"),
                status=201,
                body="theirs",
            )
        finally:
            connection.close()

    answer = ask(overtaken)
    assert answer.replayed
    assert answer.body == "theirs"
    assert made() == 0


@pytest.mark.django_db(transaction=True)
def test_an_answer_that_came_first_wins_over_our_refusal() -> None:
    def overtaken() -> Answer:
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join(10)
        raise NoRoom("full")

    def elsewhere() -> None:
        try:
            IdempotencyKey.objects.create(
                user_id=USER,
                route="POST things",
                key="key-1",
                request_hash=request_hash("body"),
                status=201,
                body="theirs",
            )
        finally:
            connection.close()

    assert ask(overtaken).body == "theirs"


@pytest.mark.django_db(transaction=True)
def test_it_refuses_to_work_inside_another_transaction() -> None:
    with transaction.atomic(), pytest.raises(RuntimeError):
        ask(make())


@pytest.mark.django_db
def test_keys_are_forgotten_after_a_day_and_not_before() -> None:
    now = timezone.now()
    for number, age in enumerate([23, 25, 48]):
        ask(lambda: Answer(200, "{}"), key=f"k{number}")
        IdempotencyKey.objects.filter(key=f"k{number}").update(
            created_at=now - timedelta(hours=age)
        )
    assert idempotency.purge(now=now, batch=1) == 2
    assert list(IdempotencyKey.objects.values_list("key", flat=True)) == ["k0"]


def test_the_hash_tells_parts_from_their_concatenation() -> None:
    assert request_hash("ab", "c") != request_hash("a", "bc")
    assert request_hash("ab", b"c") == request_hash(b"ab", "c")
