"""Whatever is broken at once: the second --fix has nothing left to do. Serves A10."""

import random
from datetime import time, timedelta
from typing import Any, cast

import pytest
from django.utils import timezone

from audit.consistency.runner import run_checks
from audit.history import tracked_models, trail_of
from audit.models import Finding
from bookings.lifecycle import BookingStatus
from bookings.models import (
    Booking,
    Membership,
    Occupancy,
    Pool,
    PoolMember,
    Resource,
    ScheduleRule,
    Slot,
)
from bookings.services import resources, schedules
from payments.lifecycle import ItemStatus, ProofStatus, TransactionStatus
from payments.models import CartItem, CartTransaction, Proof
from tests import factories as f
from tests.corruption import AUDITOR, corrupt

pytestmark = pytest.mark.django_db

ENDED = "('rejected', 'expired', 'cancelled')"


def world() -> None:
    """Transactions in every status, for courts and for a class."""
    court: Any = f.ResourceFactory(exclusive=True)
    f.PriceFactory(resource=court)
    lesson: Any = f.ResourceFactory(organization=court.organization)
    f.PriceFactory(resource=lesson)
    f.PolicyFactory(organization=court.organization, proof_required=False)
    reviewer: Any = f.MembershipFactory(organization=court.organization, role="reviewer")
    assert isinstance(reviewer, Membership)
    for number in range(8):
        customer: Any = f.CustomerFactory(organization=court.organization)
        slots = [
            f.make_slot(court, starts_at=f.soon(24 + 2 * number)),
            f.make_slot(lesson, starts_at=f.soon(24 + 2 * number), max_bookings=4),
        ]
        made = f.check_out(customer, *slots)
        if number % 2:
            f.submit_proof(made)
        if number % 4 < 2:
            f.approve(made, reviewer)
    hall(court.organization)


def hall(organization: Any) -> None:
    """A hall made of a court, with one of two caretakers; its schedule; people in some slots."""
    now = timezone.now()
    whole: Any = f.ResourceFactory(organization=organization, exclusive=True, horizon_days=4)
    rule = ScheduleRule(from_time=time(8), until_time=time(20), slot_minutes=60)
    schedules.change_schedule(
        resource_id=whole.pk,
        organization_id=organization.pk,
        valid_from=now.date() + timedelta(days=1),
        rules=[rule],
        actor=AUDITOR,
        now=now,
    )
    part, *carers = (
        cast(Resource, f.ResourceFactory(organization=organization, exclusive=True))
        for _ in range(3)
    )
    pool = Pool.objects.create(organization=organization, name="Caretakers")
    for carer in carers:
        PoolMember.objects.create(pool=pool, resource=carer)
    resources.compose(
        resource_id=whole.pk,
        organization_id=organization.pk,
        part_ids=[part.pk],
        pool_ids=[pool.pk],
        actor=AUDITOR,
        now=now,
    )
    for slot in Slot.objects.filter(resource=whole).order_by("starts_at")[5:9]:
        customer: Any = f.CustomerFactory(organization=organization)
        f.check_out(customer, slot)


def break_a_booking(rng: random.Random) -> None:
    booking = rng.choice(list(Booking.objects.order_by("pk")))
    corrupt(
        "UPDATE bookings_booking SET status = %s, confirmed_at = now(), checked_in_at = now(),"
        " held_until = now() - interval '1 h',"
        f" ended_at = CASE WHEN %s IN {ENDED} THEN now() END,"
        " missed_at = CASE WHEN %s = 'no_show' THEN now() END WHERE id = %s",
        [*[rng.choice(BookingStatus.values)] * 3, booking.pk],
    )


def break_an_item(rng: random.Random) -> None:
    item = rng.choice(list(CartItem.objects.order_by("pk")))
    corrupt(
        "UPDATE payments_cartitem SET status = %s WHERE id = %s",
        [rng.choice(ItemStatus.values), item.pk],
    )


def break_a_transaction(rng: random.Random) -> None:
    transaction = rng.choice(list(CartTransaction.objects.order_by("pk")))
    corrupt(
        "UPDATE payments_carttransaction SET status = %s, submitted_at = now(),"
        " decided_at = now(), payment_status = 'paid', paid_at = now(),"
        f" ended_at = CASE WHEN %s IN {ENDED} THEN now() END,"
        " review_due_at = CASE WHEN %s = 'under_review' THEN now() END WHERE id = %s",
        [*[rng.choice(TransactionStatus.values)] * 3, transaction.pk],
    )


def break_a_proof(rng: random.Random) -> None:
    proof = rng.choice(list(Proof.objects.order_by("pk")))
    corrupt(
        "UPDATE payments_proof SET status = %s WHERE id = %s",
        [rng.choice(ProofStatus.values), proof.pk],
    )


def break_a_slot(rng: random.Random) -> None:
    slot = rng.choice(list(Slot.objects.order_by("pk")))
    corrupt(
        "UPDATE bookings_slot SET taken_bookings = %s, taken_units = %s WHERE id = %s",
        [*[rng.choice([0, 1])] * 2, slot.pk],
        drop=[("bookings_slot", "bookings_slot_with_people_has_what_it_needs")],
    )


def lose_marks(rng: random.Random) -> None:
    mark = rng.choice(list(Occupancy.objects.order_by("pk")) or [None])
    if mark is not None:
        corrupt("DELETE FROM bookings_occupancy WHERE id = %s", [mark.pk])


def lose_codes(rng: random.Random) -> None:
    booking = rng.choice(list(Booking.objects.filter(check_in_code__isnull=False).order_by("pk")))
    corrupt("DELETE FROM bookings_checkincode WHERE booking_id = %s", [booking.pk])


def in_the_hall(rng: random.Random) -> Slot:
    return rng.choice(list(Slot.objects.filter(source="schedule").order_by("pk")))


def move_a_slot(rng: random.Random) -> None:
    corrupt(
        "UPDATE bookings_slot SET starts_at = starts_at + interval '5 minutes' WHERE id = %s",
        [in_the_hall(rng).pk],
    )


def mark_a_slot(rng: random.Random) -> None:
    slot = in_the_hall(rng)
    corrupt(
        "UPDATE bookings_slot SET status = %s, max_units = max_units + 3 WHERE id = %s",
        [rng.choice(["legacy", "open", "closed"]), slot.pk],
    )


def take_a_slot_apart(rng: random.Random) -> None:
    corrupt("UPDATE bookings_slot SET parts = '{}' WHERE id = %s", [in_the_hall(rng).pk])


def take_the_hall_apart(rng: random.Random) -> None:
    corrupt(
        f"UPDATE bookings_resource SET {rng.choice(['parts', 'pools'])} = '{{}}'"
        " WHERE id = (SELECT whole_id FROM bookings_resourcepart)"
    )


WAYS = [
    move_a_slot,
    mark_a_slot,
    take_a_slot_apart,
    take_the_hall_apart,
    break_a_booking,
    break_a_booking,
    break_an_item,
    break_a_transaction,
    break_a_proof,
    break_a_slot,
    lose_marks,
    lose_codes,
]


def everything() -> dict[str, Any]:
    """Every row, and how long every trail is."""
    state: dict[str, Any] = {"occupancies": list(Occupancy.objects.order_by("pk").values())}
    for model in tracked_models():
        state[model._meta.db_table] = list(model._default_manager.order_by("pk").values())
        state[trail_of(model)._meta.db_table] = trail_of(model)._default_manager.count()
    return state


@pytest.mark.parametrize("seed", range(8))
def test_a_second_repair_changes_nothing(seed):
    rng = random.Random(seed)
    world()
    for _ in range(12):
        rng.choice(WAYS)(rng)

    first = run_checks(actor=AUDITOR, now=timezone.now(), fix=True)
    after = everything()
    second = run_checks(actor=AUDITOR, now=timezone.now(), fix=True)

    assert first.report.fixed_count > 0
    assert [(f.check_id, f.message) for f in second.findings if f.status == "fixed"] == []
    assert everything() == after
    assert [(f.check_id, f.message, f.fix_error) for f in first.findings if f.fix_error] == []
    assert {f.status for f in second.findings} <= {Finding.Status.NEEDS_REVIEW}
