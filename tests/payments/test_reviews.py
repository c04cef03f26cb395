"""A proof that nobody decides on in time comes before the managers. Serves A4, D6."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from audit.delivery.email import render
from audit.models import OutboxEvent
from bookings import signals
from bookings.models import Booking, Slot, User
from config.celery import CELERY_BEAT_SCHEDULE
from payments import locks, tasks
from payments.models import CartTransaction, PaymentPolicy
from payments.services import expiry, reschedule, reviews
from tests import factories as f
from tests.concurrency import interleave, locks_off, race
from tests.corruption import check, corrupt, fix, last_line
from tests.faults import other_session, raising, striking
from tests.invariants import assert_consistent, everything

pytestmark = pytest.mark.django_db

HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)
KIND = "transaction.review_overdue"


@pytest.fixture
def room():
    resource: Any = f.ResourceFactory(organization__time_zone="Asia/Tokyo")
    f.PriceFactory(resource=resource)
    return resource


def under_review(room, *, hours=300, count=1):
    customer: Any = f.CustomerFactory(organization=room.organization)
    start = f.soon(hours + 10 * Slot.objects.filter(resource=room).count())
    made = f.check_out(customer, *f.make_slots(room, count, start=start))
    f.submit_proof(made)
    made.refresh_from_db()
    return made


def leader(room, role="manager", **user):
    return f.MembershipFactory(organization=room.organization, role=role, **user)


def escalate(now, **kwargs):
    return reviews.escalate(actor=f.SYSTEM, now=now, **kwargs)


def make_overdue(*made, since=HOUR):
    CartTransaction.objects.filter(pk__in=[m.pk for m in made]).update(
        review_due_at=timezone.now() - since
    )


def told():
    return list(OutboxEvent.objects.filter(kind=KIND).order_by("pk"))


# The deadline


def test_a_proof_is_decided_on_within_the_hours_of_the_organisation(room):
    f.PolicyFactory(organization=room.organization, review_hours=6)

    made = under_review(room)

    assert made.review_due_at == made.submitted_at + timedelta(hours=6)


def test_and_an_hour_before_the_first_start(room):
    slots = f.make_slots(room, 2, start=f.soon(5))
    made = f.check_out(f.CustomerFactory(organization=room.organization), *slots)
    f.submit_proof(made)

    made.refresh_from_db()
    assert made.review_due_at == slots[0].starts_at - HOUR


def test_what_starts_within_the_hour_is_due_at_once(room):
    now = timezone.now()
    slot = f.make_slot(room, starts_at=now + timedelta(minutes=30))
    made = f.check_out(f.CustomerFactory(organization=room.organization), slot)
    proof = f.submit_proof(made)

    made.refresh_from_db()
    assert made.review_due_at == proof.uploaded_at


def move(booking, slot):
    member = f.MembershipFactory(organization=booking.organization, role="manager")
    return reschedule.reschedule(
        booking_id=booking.pk,
        organization_id=booking.organization_id,
        slot_id=slot.pk,
        actor=f.actor_of(member),
        reason="asked for it",
        now=timezone.now(),
    )


def test_the_deadline_follows_the_first_start_both_ways(room):
    made = under_review(room)
    usual = made.review_due_at
    sooner = f.make_slot(room, starts_at=f.soon(5))
    booking = made.items.get().booking

    move(booking, sooner)
    made.refresh_from_db()
    assert made.review_due_at == sooner.starts_at - HOUR

    move(booking, f.make_slot(room, starts_at=f.soon(500)))
    made.refresh_from_db()
    assert made.review_due_at == usual
    assert made.items.get().booking.pending_until is None
    assert_consistent()


def test_once_managers_were_told_a_move_changes_nothing_of_when_they_hear_again(room):
    made = under_review(room)
    escalate(made.review_due_at)
    made.refresh_from_db()
    again = made.review_due_at

    move(made.items.get().booking, f.make_slot(room, starts_at=f.soon(5)))

    made.refresh_from_db()
    assert made.review_due_at == again


def test_moving_many_costs_the_same_as_moving_one(room):
    made = [under_review(room) for _ in range(6)]
    corrupt("UPDATE payments_carttransaction SET review_due_at = submitted_at")
    bookings = list(Booking.objects.select_related("slot__resource", "customer").order_by("pk"))
    counts = []
    for some in (bookings[:1], bookings[1:]):
        with CaptureQueriesContext(connection) as captured, transaction.atomic():
            signals.bookings_rescheduled.send(Booking, bookings=some, now=timezone.now())
        counts.append(len(captured))

    assert counts[0] == counts[1]
    for one in made:
        one.refresh_from_db()
        assert one.review_due_at == one.submitted_at + timedelta(hours=24)


# Requests that are not paid first


def requested(room, **kwargs):
    made = f.check_out(
        f.CustomerFactory(organization=room.organization),
        f.make_slot(room, starts_at=f.soon(24 * 20)),
        method="pay_on_arrival",
        **kwargs,
    )
    assert made.status == "pending"
    return made


def test_a_request_comes_before_the_managers_before_it_expires(room):
    leader(room)
    made = requested(room)
    assert made.due_at == made.created_at + 24 * HOUR
    assert made.review_due_at == made.created_at + 12 * HOUR

    assert escalate(made.review_due_at - SECOND) == 0
    assert escalate(made.review_due_at) == 1

    (event,) = told()
    (row,) = event.payload["transactions"]
    assert (row["reference"], row["expires_at"]) == (made.reference, made.due_at.isoformat())
    assert "expires at" in render(event, language="en").text
    assert_consistent()


def test_a_request_that_nobody_answers_expires_and_its_customer_reads_whose_fault_it_was(room):
    made = requested(room)

    assert expiry.expire_unpaid(actor=f.SYSTEM, now=made.due_at - SECOND) == 0
    assert expiry.expire_unpaid(actor=f.SYSTEM, now=made.due_at) == 1

    made.refresh_from_db()
    assert (made.status, made.review_due_at) == ("expired", None)
    mail = OutboxEvent.objects.get(kind="transaction.expired")
    assert mail.payload["reason"] == "Not confirmed in time."
    assert "none of us got to it in time" in render(mail, language="en").text
    assert_consistent()


def test_a_request_that_is_confirmed_is_nobody_s_worry(room):
    made = f.approve(requested(room))

    made.refresh_from_db()
    assert made.review_due_at is None
    assert escalate(timezone.now() + 48 * HOUR) == 0


def test_a_request_that_nobody_told_of_is_found_by_the_check(room):
    leader(room)
    made = requested(room)
    make_overdue(made, since=3 * HOUR)

    assert check("payments.reviews_overdue") == {str(made.pk)}
    assert fix("payments.reviews_overdue") == {str(made.pk): "fixed"}
    assert len(told()) == 1


# The sweep


def test_at_the_deadline_owners_and_managers_are_told_in_their_language(room):
    owner = leader(room, "owner")
    manager = leader(room)
    User.objects.filter(pk=manager.user_id).update(language="de")
    leader(room, "reviewer")
    leader(room, user__is_active=False)
    f.MembershipFactory(role="owner")  # somewhere else
    made = under_review(room)
    due = made.review_due_at

    assert escalate(due) == 1

    (event,) = told()
    assert event.recipients == sorted(
        [
            {"address": owner.user.email, "language": "en", "time_zone": "Asia/Tokyo"},
            {"address": manager.user.email, "language": "de", "time_zone": "Asia/Tokyo"},
        ],
        key=lambda r: r["address"],
    )
    (row,) = event.payload["transactions"]
    assert (row["reference"], row["customer"]) == (made.reference, made.customer.name)
    assert row["due_at"] == due.isoformat()
    made.refresh_from_db()
    assert (made.escalations, made.review_due_at) == (1, due + timedelta(hours=24))
    line = last_line(made)
    assert (line.actor_label, line.history_change_reason) == (f.SYSTEM.label, reviews.REASON)
    assert_consistent()


def test_before_the_deadline_nobody_is_told(room):
    made = under_review(room)
    before = everything()

    assert escalate(made.review_due_at - SECOND) == 0

    assert everything() == before


def test_they_are_told_again_after_as_many_hours_and_not_before(room):
    leader(room)
    PaymentPolicy.objects.create(organization=room.organization, review_hours=3)
    made = under_review(room)
    first = made.review_due_at

    assert escalate(first) == 1
    assert escalate(first + 3 * HOUR - SECOND) == 0
    assert escalate(first + 3 * HOUR) == 1

    made.refresh_from_db()
    assert made.escalations == 2
    assert [e.payload["transactions"][0]["escalations"] for e in told()] == [1, 2]


def test_forty_overdue_proofs_are_one_message_for_each_organisation(room):
    leader(room)
    other: Any = f.ResourceFactory()
    f.PriceFactory(resource=other)
    made = [under_review(room) for _ in range(40)] + [under_review(other) for _ in range(2)]
    make_overdue(*made)
    make_overdue(made[7], since=9 * HOUR)

    assert escalate(timezone.now()) == 42

    events = {e.organization_id: e.payload for e in told()}
    assert len(told()) == 2
    ours = events[room.organization_id]
    assert (ours["count"], ours["more"], len(ours["transactions"])) == (40, 20, 20)
    assert ours["transactions"][0]["reference"] == made[7].reference  # the longest overdue
    assert events[other.organization_id]["count"] == 2


def test_a_batch_leaves_an_organisation_whole(room):
    other: Any = f.ResourceFactory()
    f.PriceFactory(resource=other)
    make_overdue(*[under_review(r) for r in (room, other) for _ in range(3)])

    counts = [escalate(timezone.now(), batch=5) for _ in range(3)]

    assert counts == [3, 3, 0]
    assert [e.payload["count"] for e in told()] == [3, 3]


def test_where_there_are_no_leaders_the_organisation_is_told(room):
    make_overdue(under_review(room))

    escalate(timezone.now())

    assert [r["address"] for r in told()[0].recipients] == [room.organization.email]


def test_what_is_decided_is_nobody_s_worry_any_more(room):
    made = under_review(room)
    make_overdue(made)
    f.approve(made)

    assert escalate(timezone.now()) == 0
    made.refresh_from_db()
    assert made.review_due_at is None


def test_a_batch_costs_the_same_for_one_review_and_for_many(room):
    counts = []
    for number in (1, 12):
        make_overdue(*[under_review(room) for _ in range(number)])
        with CaptureQueriesContext(connection) as captured:
            assert escalate(timezone.now()) == number
        counts.append(len(captured))

    assert counts[0] == counts[1]


def poison(made):
    """It was told so often that the column cannot count on."""
    corrupt("UPDATE payments_carttransaction SET escalations = 32767 WHERE id = %s", [made.pk])


def test_one_that_cannot_be_noted_does_not_keep_the_others(room):
    made = [under_review(room) for _ in range(3)]
    make_overdue(*made)
    poison(made[1])
    failed: dict[Any, str] = {}

    assert escalate(timezone.now(), failed=failed) == 2

    assert failed == {made[1].pk: "DataError"}
    (event,) = told()
    assert {t["reference"] for t in event.payload["transactions"]} == {
        made[0].reference,
        made[2].reference,
    }
    assert escalate(timezone.now(), failed=failed) == 0


def test_an_organisation_that_cannot_be_told_does_not_keep_the_others(room):
    broken = leader(room)
    corrupt("UPDATE bookings_user SET email = 'x' WHERE id = %s", [broken.user_id])
    other: Any = f.ResourceFactory()
    f.PriceFactory(resource=other)
    made, fine = [under_review(room) for _ in range(2)], under_review(other)
    make_overdue(*made, fine)
    failed: dict[Any, str] = {}

    assert escalate(timezone.now(), failed=failed) == 1

    assert failed == dict.fromkeys([m.pk for m in made], "ValueError")
    assert [e.organization_id for e in told()] == [other.organization_id]
    made[0].refresh_from_db()
    assert made[0].escalations == 0


def test_the_task_goes_on_past_what_fails_and_tells_administrators(room, settings):
    settings.ADMIN_ALERT_EMAILS = ["admin@example.com"]
    made = [under_review(room) for _ in range(2)]
    make_overdue(*made)
    poison(made[0])

    assert tasks.escalate_reviews() == 1
    assert tasks.escalate_reviews() == 0

    alert = OutboxEvent.objects.get(kind="operation.failed")
    assert alert.payload["operation"] == reviews.ESCALATE


def test_a_database_that_is_away_blames_no_row(room):
    make_overdue(under_review(room))
    failed: dict[Any, str] = {}

    with (
        striking(3, raising(OperationalError("the database is ill"))),
        pytest.raises(OperationalError),
    ):
        escalate(timezone.now(), failed=failed)

    assert failed == {}
    assert told() == []


def test_it_runs_every_five_minutes():
    entry = CELERY_BEAT_SCHEDULE["escalate-reviews"]

    assert entry["task"] == tasks.escalate_reviews.name
    assert entry["schedule"] == entry["options"]["expire_seconds"] == 300


# Never told twice


def overdue(count, room):
    made = [under_review(room) for _ in range(count)]
    make_overdue(*made)
    return made


@pytest.mark.django_db(transaction=True)
def test_two_sweeps_at_once_tell_once(room):
    overdue(6, room)

    outcomes = race(*[lambda: escalate(timezone.now())] * 4)

    assert sum(outcomes) == 6
    assert sum(e.payload["count"] for e in told()) == 6
    assert set(CartTransaction.objects.values_list("escalations", flat=True)) == {1}


@pytest.mark.django_db(transaction=True)
def test_a_second_sweep_at_the_worst_moment_passes_over_what_the_first_holds(room):
    overdue(2, room)

    first, second = interleave(
        lambda: escalate(timezone.now()),
        after=(locks, "overdue_reviews"),
        second=lambda: escalate(timezone.now()),
    )

    assert (first, second) == (2, 0)
    assert len(told()) == 1


@pytest.mark.django_db(transaction=True)
def test_control_without_locks_managers_are_told_twice(room):
    overdue(1, room)

    with locks_off():
        interleave(
            lambda: escalate(timezone.now()),
            after=(locks, "overdue_reviews"),
            second=lambda: escalate(timezone.now()),
        )

    assert len(told()) == 2


@pytest.mark.django_db(transaction=True)
def test_what_somebody_decides_on_at_this_moment_is_left_to_them(room):
    held, free = overdue(2, room)
    passed: set[Any] = set()

    with other_session(autocommit=False) as session:
        session.execute(
            "SELECT 1 FROM payments_carttransaction WHERE id = %s FOR NO KEY UPDATE", [held.pk]
        )
        assert escalate(timezone.now(), passed=passed) == 1

    assert passed == {held.pk}
    assert told()[0].payload["transactions"][0]["reference"] == free.reference


@pytest.mark.django_db(transaction=True)
def test_a_failure_anywhere_leaves_nobody_told_and_nothing_noted(room):
    overdue(2, room)
    before = everything()

    for at in range(1, 60):
        try:
            with striking(at, raising(OperationalError("gone"))) as injector:
                escalate(timezone.now())
        except OperationalError:
            assert everything() == before
        if not injector.struck:
            break

    assert len(told()) == 1
    assert at > 5


# The check


def test_a_sweep_that_does_not_run_is_found_and_made_up_for(room):
    fresh, late = under_review(room), under_review(room)
    make_overdue(fresh, since=timedelta(minutes=59))
    make_overdue(late, since=timedelta(minutes=61))

    assert check("payments.reviews_overdue") == {str(late.pk)}
    assert fix("payments.reviews_overdue") == {str(late.pk): "fixed"}

    assert [e.payload["count"] for e in told()] == [1]
    assert fix("payments.reviews_overdue") == {}
    late.refresh_from_db()
    assert late.escalations == 1
