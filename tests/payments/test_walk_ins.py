"""Who comes to the desk after the start gets what is left, from staff and with a reason (B10, F3)."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from audit.context import Actor, audited
from audit.errors import Forbidden
from bookings import locks_times, walk_ins
from bookings.errors import SlotGone
from bookings.models import Booking, Slot
from bookings.services import check_in
from bookings.services.free_times import FreeTime
from payments.errors import MethodNotOffered
from payments.models import CartTransaction
from payments.services import checkout, desk
from tests import factories as f
from tests.invariants import assert_consistent, refusal

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)


@pytest.fixture
def court() -> Any:
    made = f.ResourceFactory(exclusive=True)
    f.PriceFactory(resource=made, amount=Decimal("20.00"))
    return made


@pytest.fixture
def staff(court):
    return f.MembershipFactory(organization=court.organization, role="front_desk")


@pytest.fixture
def guest(court):
    return f.CustomerFactory(organization=court.organization)


@pytest.fixture
def running(court) -> Slot:
    """An hour that began five minutes ago."""
    return f.make_slot(court, starts_at=timezone.now() - 5 * MINUTE)


def let_in(staff, guest, wanted, **said) -> CartTransaction:
    with transaction.atomic():  # a refusal undoes what it did
        return desk.book_for(
            organization=staff.organization,
            customer=guest,
            slot_id=getattr(wanted, "pk", wanted),
            units=1,
            payment_method=said.pop("method", "pay_on_arrival"),
            overriding=said.pop("why", "walk-in"),
            actor=f.actor_of(staff),
            now=timezone.now(),
            **said,
        )


def test_a_walk_in_is_confirmed_pays_here_and_is_checked_in_at_once(staff, guest, running):
    order = let_in(staff, guest, running)

    booking = Booking.objects.get(slot=running)
    assert (booking.status, order.status, order.payment_status) == (
        "confirmed",
        "approved",
        "pending",
    )
    assert (order.amount, booking.pending_until) == (Decimal("20.00"), None)
    assert locks_times.due_reminders(now=timezone.now(), limit=10) == []
    check_in.check_in_by_hand(
        booking_id=booking.pk,
        organization_id=booking.organization_id,
        actor=f.actor_of(staff),
        now=timezone.now(),
    )
    assert_consistent()


def test_without_a_reason_or_after_the_end_nobody_is_let_in(staff, guest, court, running):
    with pytest.raises(SlotGone, match="already started"):
        let_in(staff, guest, running, why="")
    over = f.make_slot(court, starts_at=timezone.now() - 3 * timedelta(hours=1))
    with pytest.raises(SlotGone, match="over"):
        let_in(staff, guest, over)

    assert not Booking.objects.exists()


def test_customers_stay_outside(guest, running):
    with pytest.raises(SlotGone), transaction.atomic():
        checkout.book(
            organization=guest.organization,
            customer=guest,
            slot_id=running.pk,
            units=1,
            payment_method="pay_on_arrival",
            actor=f.actor_of(guest),
            now=timezone.now(),
        )


def test_what_would_wait_for_money_or_for_an_approval_is_refused(staff, guest, court, running):
    f.PolicyFactory(organization=court.organization, accepts_pay_now=True)
    with pytest.raises(MethodNotOffered, match="take the money here"):
        let_in(staff, guest, running, method="pay_now")
    court.needs_approval = True
    court.save()
    with pytest.raises(Forbidden, match="needs approval"):
        let_in(staff, guest, running, may_approve=False)

    assert not Booking.objects.exists()
    let_in(staff, guest, running, may_approve=True)


def test_a_free_time_that_has_begun_is_let_out_for_what_is_left(staff, guest):
    hall = f.ResourceFactory(
        organization=staff.organization, mode="free_times", exclusive=True, grid_minutes=60
    )
    f.open_hours(hall)
    hour = f.soon(-1)
    with pytest.raises(SlotGone):
        let_in(staff, guest, FreeTime(hall.pk, hour, 60), why="")

    let_in(staff, guest, FreeTime(hall.pk, hour, 60))

    assert Booking.objects.get().slot.starts_at == hour


@pytest.mark.parametrize(
    ("kind", "minutes", "told"),
    [
        ("staff", 5, True),
        ("staff", 5, False),  # not as a walk-in
        ("staff", 90, True),  # over
        ("customer", 5, True),
        ("system", 5, True),
    ],
)
def test_the_database_lets_in_only_staff_only_walk_ins_and_only_until_the_end(
    guest, court, kind, minutes, told
):
    now = timezone.now()
    slot = f.make_slot(court, starts_at=now - minutes * MINUTE)
    row = Booking(
        organization=court.organization,
        slot=slot,
        customer=guest,
        held_until=now + MINUTE,
        created_at=now,
    )

    def insert() -> None:
        with transaction.atomic(), audited(Actor(kind, None, "A test")):
            if told:
                with walk_ins.let_in():
                    row.save(force_insert=True)
            else:
                row.save(force_insert=True)

    if (kind, minutes, told) == ("staff", 5, True):
        insert()
        return
    with pytest.raises(IntegrityError, match="has started"):
        insert()
    assert not Booking.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_session_that_never_let_anybody_in_lets_nobody_in(guest, court, running):
    """There the setting is not off: it is null."""
    connection.close()
    connection.close_pool()  # type: ignore[attr-defined]

    with (
        refusal(IntegrityError, "has started"),
        transaction.atomic(),
        audited(Actor("staff", None, "A test")),
    ):
        Booking(
            organization=court.organization,
            slot=running,
            customer=guest,
            held_until=timezone.now() + MINUTE,
            created_at=timezone.now(),
        ).save(force_insert=True)


def test_whoever_is_booked_after_a_walk_in_needs_to_be_one(staff, guest, court, running):
    """What lets one in is over with that one."""
    slot = f.make_slot(
        f.ResourceFactory(organization=court.organization), starts_at=running.starts_at
    )
    let_in(staff, guest, running)
    row = Booking(
        organization=court.organization,
        slot=slot,
        customer=guest,
        held_until=timezone.now() + MINUTE,
        created_at=timezone.now(),
    )

    with pytest.raises(IntegrityError), transaction.atomic(), audited(f.actor_of(staff)):
        row.save(force_insert=True)
