"""Nobody from outside gets seats that may be the line's, by whatever door (A5, B4, D1, D7).

What somebody in line could have is theirs; where that cannot be said at this moment, as somebody
holds what is needed to say it, it is nobody's.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from unittest import mock

import pytest
from django.db import transaction
from django.utils import timezone

from bookings import claiming, holding
from bookings import locks as booking_locks
from bookings.errors import LineFirst, ResourceTaken
from bookings.models import Booking, Pool, PoolMember, PoolNeed, Resource, ResourcePart, Slot
from bookings.services import bookings as booking_services
from bookings.services import slots as slot_services
from payments.errors import SeriesNotFree
from payments.services import reschedule, series
from tests import factories as f
from tests.api.test_statements import counted
from tests.concurrency import interleave, lost
from tests.faults import limited, other_session
from tests.invariants import assert_consistent, refusal
from tests.waitlist.line import STAFF, free, fresh, full_slot, join, somebody, window
from waitlist import locks
from waitlist.models import WaitlistEntry
from waitlist.services import serving, sweeps
from waitlist.services.joining import Window

plain = pytest.mark.django_db
real = pytest.mark.django_db(transaction=True)

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
WEEK = timedelta(weeks=1)


def doctor(*services: str, **fields: Any) -> list[Resource]:
    """Services that one doctor does, one at a time."""
    person = f.ResourceFactory(exclusive=True)
    made: list[Resource] = []
    for name in services:
        service = f.ResourceFactory(organization=person.organization, name=name, **fields)
        ResourcePart.objects.create(organization=person.organization, whole=service, part=person)
        service.refresh_from_db()
        made.append(service)
    return made


def make(resource: Resource, start: datetime) -> Slot:
    """A slot that the services make, and offer to those who wait."""
    slot_services.create_slots(
        resource=resource,
        periods=[(start, start + HOUR)],
        max_bookings=1,
        max_units=1,
        actor=STAFF,
        now=timezone.now(),
    )
    made: Slot = Slot.objects.get(resource=resource, starts_at=start)
    return made


def sweep(now: datetime | None = None, **more: Any) -> None:
    """The two that come every minute."""
    now = now or timezone.now()
    booking_services.expire_holds(actor=f.SYSTEM, now=now)
    sweeps.serve_lines(actor=f.SYSTEM, now=now, **more)


def busy(count: int, *, step: timedelta = HOUR) -> tuple[Resource, WaitlistEntry, datetime]:
    """Somebody waits for any time of a massage, whose doctor has exams at all of these."""
    massage, exam = doctor("Massage", "Exam")
    start = f.soon(48)
    for n in range(count):
        slot = f.make_slot(exam, starts_at=start + n * step)
        f.check_out(somebody(exam), slot, method="pay_on_arrival")
        f.make_slot(massage, starts_at=start + n * step)
    wanted = Window(massage.pk, start - HOUR, start + 80 * DAY)
    return massage, join(wanted, resource=massage), start + count * step


def held_at_last(resource: Resource, start: datetime) -> Slot:
    """Its last slot, with a hold that has run out in half an hour."""
    slot = f.make_slot(resource, starts_at=start)
    f.hold(somebody(resource), slot)
    return slot


# Times that are taken in another way


@plain
@pytest.mark.parametrize("count", [4, 12])
def test_a_wait_for_any_time_is_served_however_many_of_its_times_are_taken_elsewhere(count):
    massage, entry, after = busy(count)

    make(massage, after)

    assert fresh(entry).status == "offered"
    assert_consistent()


@plain
def test_what_is_taken_elsewhere_keeps_nobody_elses_line_from_being_served():
    busy(12)
    slot, _ = full_slot()
    entry = join(slot)
    with mock.patch.object(serving, "serve", return_value=serving.Served()):
        free(slot)  # somebody held the entry, say

    sweep()

    assert fresh(entry).status == "offered"
    assert_consistent()


@plain
def test_times_that_are_taken_elsewhere_cost_no_statement_each():
    taken = []
    for count in (2, 12):
        massage, entry, after = busy(count)
        slot = f.make_slot(massage, starts_at=after)
        with counted() as statements:
            sweep()
        assert fresh(entry).status == "offered"
        assert Booking.objects.filter(slot=slot).exists()
        taken.append(statements)

    assert len(taken[0]) == len(taken[1]), taken


@plain
def test_a_slot_that_cannot_be_settled_is_reported_and_the_others_are_served(monkeypatch):
    """One try is not enough where customers have to be locked before they are counted."""
    slot, _ = full_slot(f.ResourceFactory(most_live_bookings=1))
    other, _ = full_slot()
    entry, served = join(slot), join(other)
    with mock.patch.object(serving, "serve", return_value=serving.Served()):
        free(slot)
        free(other)
    failed: dict[Any, str] = {}

    monkeypatch.setattr(serving, "MOST_TRIES", 1)
    sweep(failed=failed)

    assert failed == {slot.pk: "Unsettled"}
    assert (fresh(entry).status, fresh(served).status) == ("waiting", "offered")
    with refusal(LineFirst, "wait in line first"):
        f.hold(somebody(slot), slot)
    monkeypatch.undo()
    sweep()
    assert fresh(entry).status == "offered"
    assert_consistent()


@plain
@pytest.mark.parametrize("most", [1, 50])
def test_however_many_plans_it_takes_no_court_is_offered_twice(monkeypatch, most):
    """Six times of a court that exclude one another, and six who wait for any of them."""
    monkeypatch.setattr(serving, "MOST_PLANS", most)
    court = f.ResourceFactory(exclusive=True)
    slots = [f.make_slot(court, starts_at=f.soon(48) + n * HOUR / 6) for n in range(6)]
    f.hold(somebody(court), slots[2])
    entries = [join(slots[n]) for n in (4, 0, 5, 1, 3)]

    later = timezone.now() + HOUR
    sweep(later)
    with refusal(ResourceTaken, "taken at that time"):
        f.hold(somebody(court), slots[2], now=later)

    assert [fresh(e).status for e in entries] == ["offered"] + ["waiting"] * 4
    assert_consistent()


# Doors


@plain
def test_a_series_never_gets_what_somebody_in_line_could_have():
    massage, entry, last = busy(6, step=WEEK)
    slot = f.make_slot(massage, starts_at=last)
    person = somebody(massage)

    with refusal(SeriesNotFree, "None of these dates"):
        series.book_series(
            organization=massage.organization,
            customer=person,
            wish=series.Wish(massage.pk, last - 6 * WEEK, times=7),
            payment_method="pay_on_arrival",
            all_or_nothing=False,
            actor=f.actor_of(person),
            now=timezone.now(),
        )

    sweep()
    assert Booking.objects.get(slot=slot).customer == entry.customer
    assert fresh(entry).status == "offered"


Door = Callable[[Booking, Slot, datetime], Any]


def by_hand(booking: Booking, slot: Slot, now: datetime) -> Any:
    return f.hold(booking.customer, slot, now=now)


def many(booking: Booking, slot: Slot, now: datetime) -> Any:
    with transaction.atomic():
        (locked,) = booking_locks.slots([slot.pk])
        made, refused = holding.hold_many(
            [locked], customer=booking.customer, units=1, held_until=now + HOUR, now=now
        )
        return made or refused[slot.pk]


def moved(booking: Booking, slot: Slot, now: datetime) -> Any:
    return reschedule.reschedule(
        booking_id=booking.pk,
        organization_id=booking.organization_id,
        slot_id=slot.pk,
        actor=STAFF,
        now=now,
    )


def moved_with_others(booking: Booking, slot: Slot, now: datetime) -> Any:
    with transaction.atomic():
        slots = {s.pk: s for s in booking_locks.slots([slot.pk, booking.slot_id])}
        (locked,) = booking_locks.bookings([booking.pk])
        return holding.move_many([(locked, slots[slot.pk])], now=now, said={}, reason="") or (
            LineFirst()
        )


def reinstated(booking: Booking, slot: Slot, now: datetime) -> Any:
    with transaction.atomic():
        (locked,) = booking_locks.slots([slot.pk])
        (found,) = booking_locks.bookings([booking.pk])
        gone = holding.reinstate([(found, locked)], now=now, reason="")
        return gone.get(booking.pk, found)


DOORS: list[Door] = [by_hand, many, moved, moved_with_others, reinstated]


def outcome(door: Door, booking: Booking, slot: Slot, now: datetime) -> Any:
    try:
        return door(booking, slot, now)
    except LineFirst as error:
        return error


def held(what: str, resource: Resource, entry: WaitlistEntry) -> tuple[str, Any]:
    if what == "entry":
        return "waitlist_waitlistentry", entry.pk
    Resource.objects.filter(pk=resource.pk).update(most_live_bookings=3)
    return "bookings_customer", entry.customer_id


@real
@pytest.mark.parametrize("what", ["entry", "customer"])
@pytest.mark.parametrize("door", DOORS, ids=lambda d: d.__name__)
def test_while_somebody_holds_who_is_next_in_line_no_door_gives_the_seat_away(door, what):
    resource = f.ResourceFactory()
    elsewhere = f.make_slot(resource, starts_at=f.soon(90))
    f.check_out(somebody(resource), elsewhere, method="pay_on_arrival")
    booking = Booking.objects.select_related("customer", "slot").get(slot=elsewhere)
    slot = held_at_last(resource, f.soon(72))
    entry = join(window(resource, days=4))
    later = timezone.now() + HOUR
    if door is reinstated:
        Booking.objects.filter(pk=booking.pk).update(status="cancelled", ended_at=later)
        booking = expired(resource, elsewhere)
    table, pk = held(what, resource, entry)

    with other_session(autocommit=False) as session, limited("lock_timeout", 2000):
        session.execute(f"SELECT 1 FROM {table} WHERE id = %s FOR NO KEY UPDATE", [pk])
        got = outcome(door, booking, slot, later)

    assert isinstance(got, LineFirst), got
    assert not Booking.objects.filter(slot=slot, customer=booking.customer).exists()
    sweep(later)
    assert fresh(entry).status == "offered"


def expired(resource: Resource, slot: Slot) -> Booking:
    """An order that ran out."""
    with transaction.atomic():
        (locked,) = booking_locks.slots([slot.pk])
    made = Booking.objects.create(
        organization=resource.organization,
        slot=locked,
        customer=somebody(resource),
        units=1,
        status="pending",
        pending_until=timezone.now(),
        requested_at=timezone.now(),
        created_at=timezone.now(),
    )
    Booking.objects.filter(pk=made.pk).update(
        status="expired", ended_at=timezone.now(), pending_until=None
    )
    made.refresh_from_db()
    return made


def two_outsiders() -> tuple[WaitlistEntry, Any]:
    """One who waits for any time, two seats whose holds run out, and two who want them at once."""
    resource = f.ResourceFactory()
    slots = f.make_slots(resource, 2, start=f.soon(72))
    for slot in slots:
        f.hold(somebody(slot), slot)
    entry = join(window(resource))
    one, other = (somebody(s) for s in slots)
    later = timezone.now() + HOUR
    outcomes = interleave(
        lambda: f.hold(one, slots[0], now=later),
        after=(locks, "waiting"),
        second=lambda: f.hold(other, slots[1], now=later),
    )
    return entry, outcomes


@real
def test_of_two_outsiders_at_once_neither_gets_what_the_one_in_line_could_have():
    entry, outcomes = two_outsiders()

    assert [getattr(e, "code", e) for e in lost(outcomes)] == ["slot_full", "line_first"]
    sweep(timezone.now() + HOUR)
    assert fresh(entry).status == "offered"
    assert_consistent()


@real
def test_control_without_the_answer_of_the_line_the_second_outsider_gets_the_seat():
    served = claiming.serve_lines

    def unheard(slots: Any, *, now: datetime) -> set[Any]:
        served(slots, now=now)
        return set()

    with mock.patch.object(claiming, "serve_lines", unheard):
        entry, (refused, got) = two_outsiders()

    assert refused.code == "slot_full"
    assert isinstance(got, Booking)
    assert fresh(entry).status == "waiting"


# What other slots with a line take as well


def in_person(*services: str) -> list[Resource]:
    """Services that one member of the staff provides."""
    organization = f.OrganizationFactory()
    member = f.MembershipFactory(organization=organization, role="provider")
    made: list[Resource] = [
        f.ResourceFactory(
            organization=organization, name=name, exclusive=True, provider=member.user
        )
        for name in services
    ]
    return made


def by_whoever_is_free(massage: str, exam: str) -> list[Resource]:
    """A massage by one out of a pool, in which there is only somebody who provides exams."""
    provided, therapist = in_person(exam, "Therapist")
    pool = Pool.objects.create(organization=therapist.organization, name="Therapists")
    PoolMember.objects.create(pool=pool, resource=therapist)
    wanted = f.ResourceFactory(organization=pool.organization, name=massage)
    PoolNeed.objects.create(organization=pool.organization, resource=wanted, pool=pool)
    wanted.refresh_from_db()
    return [wanted, provided]


def skipped(doing: Callable[..., list[Resource]] = doctor) -> tuple[Slot, Slot, WaitlistEntry]:
    """A doctor who has come free, for whose other service somebody waits whom nobody has served."""
    massage, exam = doing("Massage", "Exam")
    start = f.soon(48)
    wanted, other = f.make_slot(massage, starts_at=start), f.make_slot(exam, starts_at=start)
    f.check_out(somebody(exam), other, method="pay_on_arrival")
    entry = join(wanted)
    with mock.patch.object(serving, "serve", return_value=serving.Served()):
        free(other)  # somebody held the other slot, say
    assert fresh(entry).status == "waiting"
    return wanted, other, entry


@plain
@pytest.mark.parametrize("door", [by_hand, many], ids=lambda d: d.__name__)
@pytest.mark.parametrize(
    "doing", [doctor, in_person, by_whoever_is_free], ids=lambda how: how.__name__
)
def test_who_waits_for_a_doctor_comes_before_whoever_books_another_service(doing, door):
    _, other, entry = skipped(doing)
    stranger = Booking(customer=somebody(other))

    with refusal(ResourceTaken, "at that time"):
        got = door(stranger, other, timezone.now())
        raise got  # where it is returned

    sweep()
    assert fresh(entry).status == "offered"
    assert_consistent()


@real
def test_while_somebody_holds_the_other_service_nobody_gets_the_doctor():
    wanted, other, entry = skipped()

    with other_session(autocommit=False) as session, limited("lock_timeout", 2000):
        session.execute("SELECT 1 FROM bookings_slot WHERE id = %s FOR NO KEY UPDATE", [wanted.pk])
        with refusal(LineFirst, "wait in line first"):
            f.hold(somebody(other), other)

    sweep()
    assert fresh(entry).status == "offered"
    assert_consistent()


@plain
def test_whom_the_doctor_does_not_help_keeps_nobody_from_booking():
    """Two wait for a massage at an hour in part of which the doctor is busy."""
    massage, exam = doctor("Massage", "Exam")
    start = f.soon(48)
    wanted = f.make_slot(massage, starts_at=start)
    busy_then = f.make_slot(exam, starts_at=start + HOUR / 2)
    f.check_out(somebody(exam), busy_then, method="pay_on_arrival")
    entry = join(wanted)
    before = f.make_slot(exam, starts_at=start - HOUR / 2)

    assert f.hold(somebody(exam), before).status == "held"
    assert fresh(entry).status == "waiting"
    assert_consistent()


@plain
def test_a_line_elsewhere_is_asked_in_the_statement_that_waits_for_ones_turn():
    """An exclusive resource costs as many statements as ever where nobody waits beside it, and some
    more, not growing with their number, where somebody does."""
    massage, exam = doctor("Massage", "Exam")
    slots = f.make_slots(exam, 2, start=f.soon(48))
    with counted() as alone:
        f.hold(somebody(exam), slots[0])
    turns = [s for s in alone.statements if "pg_advisory_xact_lock" in s]
    assert len(turns) == 1, alone

    taken = []
    for count in (1, 6):
        massage, exam = doctor("Massage", "Exam")
        start = f.soon(48)
        busy_then = f.make_slot(exam, starts_at=start + HOUR / 2)
        f.check_out(somebody(exam), busy_then, method="pay_on_arrival")
        for n in range(count):
            join(f.make_slot(massage, starts_at=start - n * HOUR / 60))
        before = f.make_slot(exam, starts_at=start - HOUR / 2)
        with counted() as statements:
            f.hold(somebody(exam), before)
        taken.append(statements)
    assert len(taken[0]) == len(taken[1]) <= len(alone) + 12, taken


@plain
def test_staff_offer_out_of_turn_whoever_waits_elsewhere():
    from waitlist.services import by_hand as staff

    massage, exam = doctor("Massage", "Exam")
    start = f.soon(48)
    wanted, other = f.make_slot(massage, starts_at=start), f.make_slot(exam, starts_at=start)
    f.check_out(somebody(exam), other, method="pay_on_arrival")
    first, second = join(wanted), join(other)
    with mock.patch.object(serving, "serve", return_value=serving.Served()):
        free(other)

    staff.offer_by_hand(
        entry_id=second.pk,
        organization_id=second.organization_id,
        reason="In pain.",
        actor=STAFF,
        now=timezone.now(),
    )

    assert (fresh(first).status, fresh(second).status) == ("waiting", "offered")
    assert_consistent()
