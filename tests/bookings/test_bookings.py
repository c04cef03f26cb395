"""Holds, cancellation, expiry, completion and what is left of a slot (A1, A7, B3, B11, D7)."""

import json
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone
from structlog.testing import capture_logs

from audit.errors import NotFound, StaleVersion
from audit.models import OutboxEvent
from audit.observability import sweeps
from bookings import selectors, tasks
from bookings.errors import BookingOver, SlotFull
from bookings.lifecycle import BOOKING
from bookings.models import Booking, Slot
from bookings.models.booking import ALPHABET, new_reference
from bookings.services import bookings
from payments.services import cancellation
from tests import factories as f
from tests.corruption import corrupt
from tests.faults import raising, striking
from tests.invariants import assert_consistent, everything, refusal

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)


def held(minutes_ago=0, *, slot=None, units=1):
    slot = slot or f.make_slot(max_bookings=3, max_units=5)
    customer = f.CustomerFactory(organization=slot.organization)
    return f.hold(customer, slot, units, now=timezone.now() - minutes_ago * MINUTE)


def cancel(booking, *, actor=f.SYSTEM, now=None, **kwargs):
    return cancellation.cancel_booking(
        booking_id=booking.pk,
        organization_id=booking.organization_id,
        actor=actor,
        reason="ill",
        now=now or timezone.now(),
        **kwargs,
    )


def test_a_hold_lasts_as_long_as_the_organisation_says():
    slot = f.make_slot(max_bookings=3)
    slot.organization.hold_minutes = 7
    slot.organization.save()
    now = timezone.now()

    booking = f.hold(f.CustomerFactory(organization=slot.organization), slot, now=now)

    assert booking.held_until == now + 7 * MINUTE


def test_a_hold_ends_at_the_latest_when_its_slot_starts():
    slot = f.make_slot()

    booking = f.hold(
        f.CustomerFactory(organization=slot.organization), slot, now=slot.starts_at - 5 * MINUTE
    )

    assert booking.held_until == slot.starts_at


def test_an_overdue_hold_is_free_for_whoever_asks_next_although_no_sweep_has_run():
    slot = f.make_slot()
    overdue = held(15, slot=slot)

    mine = held(slot=slot)

    overdue.refresh_from_db()
    assert (overdue.status, overdue.ended_reason) == ("expired", "The hold ran out.")
    assert mine.status == "held"
    assert_consistent()


def test_a_hold_that_still_runs_is_not():
    slot = f.make_slot()
    running = held(14, slot=slot)

    newcomer = f.CustomerFactory(organization=slot.organization)
    with refusal(SlotFull):
        f.hold(newcomer, slot)

    running.refresh_from_db()
    assert running.status == "held"


def test_the_overdue_hold_of_a_rival_slot_is_free_too():
    resource = f.ResourceFactory(exclusive=True)
    slot = f.make_slot(resource)
    rival = f.make_slot(resource, starts_at=slot.starts_at + 30 * MINUTE)
    overdue = held(15, slot=rival)

    held(slot=slot)

    overdue.refresh_from_db()
    assert overdue.status == "expired"
    assert_consistent()


def test_only_as_many_overdue_holds_are_taken_as_stand_in_the_way_of_nobody():
    slot = f.make_slot(max_bookings=3)
    overdue = held(15, slot=slot)

    held(slot=slot)  # there is room without it

    overdue.refresh_from_db()
    assert overdue.status == "held"


# Cancel


def test_a_cancelled_booking_gives_its_seats_back_and_says_why():
    booking = held(units=2)

    done = cancel(booking)

    booking.refresh_from_db()
    assert (booking.status, booking.ended_reason) == ("cancelled", "ill")
    assert done.version == booking.version
    booking.slot.refresh_from_db()
    assert (booking.slot.taken_bookings, booking.slot.taken_units) == (0, 0)
    assert_consistent()


@pytest.mark.parametrize(
    "status", sorted(set(BOOKING.moves["cancel"].sources) | {"checked_in", "completed", "expired"})
)
def test_what_can_be_cancelled_is_what_the_lifecycle_says(status):
    booking = held()
    at = timezone.now()
    said = {"confirmed_at": at, "checked_in_at": at}
    path = {
        "held": [],
        "pending": ["pending"],
        "confirmed": ["pending", "confirmed"],
        "reschedule_proposed": ["pending", "confirmed", "reschedule_proposed"],
        "checked_in": ["pending", "confirmed", "checked_in"],
        "completed": ["pending", "confirmed", "checked_in", "completed"],
        "expired": ["expired"],
    }[status]
    for step in path:
        ended = at if step == "expired" else None
        Booking.objects.update(status=step, ended_at=ended, **said)

    if BOOKING.allows("cancel", status):
        assert cancel(booking).status == "cancelled"
    else:
        with refusal(BookingOver):
            cancel(booking)


def test_a_customer_cannot_cancel_what_has_started_and_staff_can():
    booking = held()
    start = booking.slot.starts_at

    with refusal(BookingOver, "ask the staff"):
        cancel(booking, actor=f.actor_of(booking.customer), now=start)

    assert cancel(booking, now=start).status == "cancelled"


def test_a_cancellation_of_something_else_than_was_read_is_refused():
    booking = held()

    with refusal(StaleVersion) as caught:
        cancel(booking, version=booking.version - 1)

    assert caught.value.extra["current_version"] == booking.version
    cancel(booking, version=booking.version)


def test_another_organisation_s_booking_does_not_exist():
    booking = held()
    booking.organization_id = f.OrganizationFactory().pk

    with refusal(NotFound):
        cancel(booking)


def test_the_trail_says_who_cancelled_and_why():
    booking = held()
    staff = f.MembershipFactory(organization=booking.organization)

    cancel(booking, actor=f.actor_of(staff))

    line = Booking.history.filter(id=booking.pk).latest()
    assert (line.status, line.actor_kind, line.actor_id) == ("cancelled", "staff", staff.user_id)
    assert line.history_change_reason == "ill"


def test_nobody_is_mailed_about_a_hold():
    cancel(held())

    assert not OutboxEvent.objects.filter(kind__startswith="booking.cancel").exists()


# Sweeps


def test_a_sweep_expires_overdue_holds_and_no_others():
    overdue, running = held(15), held(14)

    assert bookings.expire_holds(actor=f.SYSTEM, now=timezone.now()) == 1

    overdue.refresh_from_db()
    running.refresh_from_db()
    assert (overdue.status, running.status) == ("expired", "held")
    assert_consistent()


def test_a_sweep_that_runs_twice_does_nothing_the_second_time():
    held(15)
    now = timezone.now()
    bookings.expire_holds(actor=f.SYSTEM, now=now)
    before = everything()

    assert bookings.expire_holds(actor=f.SYSTEM, now=now) == 0
    assert everything() == before


def test_a_sweep_takes_what_it_can_carry_and_the_next_one_the_rest():
    for _ in range(5):
        held(15)

    counts = [bookings.expire_holds(actor=f.SYSTEM, now=timezone.now(), batch=2) for _ in range(4)]

    assert counts == [2, 2, 1, 0]
    assert_consistent()


def test_a_sweep_carries_no_more_than_it_can_of_one_large_slot():
    """However many sit in one slot: a batch, its locks and its memory have a size."""
    slot = f.make_slot(max_bookings=9)
    for _ in range(5):
        held(slot=slot)
    later = timezone.now() + 16 * MINUTE

    counts = [bookings.expire_holds(actor=f.SYSTEM, now=later, batch=2) for _ in range(4)]

    assert counts == [2, 2, 1, 0]
    assert_consistent()


def test_a_hold_that_ran_out_is_the_system_s_doing_in_the_trail():
    held(15)

    bookings.expire_holds(actor=f.SYSTEM, now=timezone.now())

    line = Booking.history.latest()
    assert (line.actor_kind, line.history_change_reason) == ("system", "The hold ran out.")


# Sweeps that meet a row they cannot change


def poison(booking):
    """Its slot says that nobody is in it, so that nobody can be taken out."""
    corrupt(
        "UPDATE bookings_slot SET taken_bookings = 0, taken_units = 0 WHERE id = %s",
        [booking.slot_id],
    )


def statuses(rows):
    return [Booking.objects.get(pk=b.pk).status for b in rows]


def finished():
    """A checked-in booking whose slot has ended."""
    slot = f.make_slot()
    f.check_out(f.CustomerFactory(organization=slot.organization), slot)
    booking = Booking.objects.get(slot=slot)
    corrupt(
        "UPDATE bookings_booking SET status = 'checked_in', checked_in_at = now() WHERE id = %s",
        [booking.pk],
    )
    corrupt(
        "UPDATE bookings_slot SET starts_at = starts_at - interval '90 d', ends_at = ends_at"
        " - interval '90 d', busy_from = busy_from - interval '90 d', busy_until = busy_until"
        " - interval '90 d' WHERE id = %s",
        [slot.pk],
    )
    return booking


SWEEPS = [
    (lambda: held(15), bookings.expire_holds, tasks.expire_holds, ("held", "expired")),
    (
        finished,
        bookings.complete_bookings,
        tasks.complete_bookings,
        ("checked_in", "completed"),
    ),
]
each_sweep = pytest.mark.parametrize(
    ("make", "sweep", "task", "status"), SWEEPS, ids=["holds", "completion"]
)


@each_sweep
def test_one_booking_that_cannot_be_changed_does_not_keep_the_others(make, sweep, task, status):
    rows = [make() for _ in range(4)]
    poison(rows[1])
    failed: dict[Any, str] = {}

    assert sweep(actor=f.SYSTEM, now=timezone.now(), failed=failed) == 3

    before, after = status
    assert statuses(rows) == [after, before, after, after]
    assert failed == {rows[1].pk: "IntegrityError"}
    line = Booking.history.filter(id=rows[0].pk).latest("history_id")
    assert (line.status, line.actor_label) == (after, f.SYSTEM.label)


@each_sweep
def test_bookings_that_cannot_be_changed_do_not_fill_every_batch(
    make, sweep, task, status, monkeypatch
):
    rows = [make() for _ in range(4)]
    for row in rows[:3]:
        poison(row)
    monkeypatch.setattr(bookings, sweep.__name__, partial(sweep, batch=2))

    assert task() == 1

    before, after = status
    assert statuses(rows) == [before, before, before, after]


@each_sweep
def test_administrators_are_told_once_which_cannot_be_changed(make, sweep, task, status, settings):
    settings.ADMIN_ALERT_EMAILS = ["admin@example.com"]
    rows = [make() for _ in range(3)]
    poison(rows[0])
    poison(rows[2])

    assert [task(), task()] == [1, 0]

    (alert,) = OutboxEvent.objects.filter(kind="operation.failed")
    assert alert.recipients[0]["address"] == "admin@example.com"
    assert set(alert.payload["failed"]) == {str(rows[0].pk), str(rows[2].pk)}


@each_sweep
def test_the_log_names_the_row_and_the_constraint_and_no_person(make, sweep, task, status):
    row = make()
    poison(row)

    with capture_logs() as lines:
        task()

    (line,) = [x for x in lines if x["event"] == "sweep_row_failed"]
    assert (line["row"], line["error_code"]) == (str(row.pk), "IntegrityError")
    assert line["constraint"].startswith("bookings_slot_")
    assert row.customer.name not in str(line)
    assert row.customer.email not in str(line)


@each_sweep
def test_a_database_in_trouble_stops_the_sweep_and_blames_no_booking(make, sweep, task, status):
    rows = [make() for _ in range(2)]
    failed: dict[Any, str] = {}

    with (
        refusal(OperationalError, "ill"),
        striking(5, raising(OperationalError("the database is ill"))),
    ):
        sweep(actor=f.SYSTEM, now=timezone.now(), failed=failed)

    assert failed == {}
    assert statuses(rows) == [status[0]] * 2


@each_sweep
def test_the_second_look_leaves_alone_what_somebody_ended_meanwhile(
    make, sweep, task, status, monkeypatch
):
    rows = [make() for _ in range(2)]
    poison(rows[0])
    original = sweeps.each

    def each(name, ids, act, **kwargs):
        corrupt(
            "UPDATE bookings_booking SET status = 'cancelled', ended_at = now() WHERE id = %s",
            [rows[1].pk],
        )
        return original(name, ids, act, **kwargs)

    monkeypatch.setattr(sweeps, "each", each)

    assert sweep(actor=f.SYSTEM, now=timezone.now()) == 0

    assert statuses(rows) == [status[0], "cancelled"]


# What is left


def left(slot, *, now=None):
    found = selectors.availability([slot], now=now or timezone.now())[slot.pk]
    return found.bookings, found.units


def test_what_is_left_counts_overdue_holds_as_free():
    slot = f.make_slot(max_bookings=3, max_units=5)
    held(slot=slot, units=2)
    held(15, slot=slot, units=1)
    slot.refresh_from_db()

    assert left(slot) == (2, 3)


def test_nothing_is_left_where_all_bookings_are_taken():
    slot = f.make_slot(max_bookings=1, max_units=5)
    held(slot=slot)
    slot.refresh_from_db()

    assert left(slot) == (0, 0)


def test_nothing_is_left_of_a_doctor_who_is_elsewhere():
    resource = f.ResourceFactory(exclusive=True)
    slot = f.make_slot(resource)
    rival = f.make_slot(resource, starts_at=slot.starts_at + 30 * MINUTE)
    booking = held(slot=rival)

    assert left(slot) == (0, 0)
    assert left(slot, now=booking.held_until) == (1, 1)


def test_what_is_left_is_what_can_be_had():
    slot = f.make_slot(max_bookings=4, max_units=6)
    for units, ago in ((1, 0), (2, 15), (1, 14)):
        held(ago, slot=slot, units=units)
    slot.refresh_from_db()
    _bookings, units = left(slot)

    held(slot=slot, units=units)
    slot.refresh_from_db()
    assert left(slot)[1] == 0


# References


def test_a_reference_can_be_read_over_the_phone():
    found = {new_reference() for _ in range(500)}

    assert len(found) == 500
    for reference in found:
        assert len(reference) == 11
        assert reference[5] == "-"
        assert set(reference.replace("-", "")) <= set(ALPHABET)
    assert not set("01OIL") & set(ALPHABET)


def with_room(slots, *, now):
    mine = slots.first().organization_id
    return selectors.with_room(slots, 1, organization_id=mine, now=now)


def looked_up(slots):
    """How often the holds that ran out are looked up to say which of these slots have room."""
    question = with_room(slots, now=timezone.now())
    [answer] = json.loads(question.explain(format="json", analyze=True))
    return sum(
        node["Actual Loops"]
        for node in nodes(answer["Plan"])
        if node.get("Relation Name") == "bookings_booking" and "held_until <=" in str(node)
    )


def nodes(node):
    yield node
    for part in node.get("Plans", []):
        yield from nodes(part)


def test_holds_that_ran_out_are_looked_up_only_for_slots_that_would_be_full():
    """A month of fifty resources has eighty thousand slots, most of them free (B12)."""
    resource = f.ResourceFactory()
    free = f.make_slots(resource, 9, max_bookings=2)
    now = timezone.now()
    for _ in range(2):
        held(slot=free[0])
    asked = Slot.objects.filter(resource=resource)

    assert looked_up(asked) <= 2  # bookings and people
    assert with_room(asked, now=now).count() == 8
    assert with_room(asked, now=now + timedelta(hours=2)).count() == 9
