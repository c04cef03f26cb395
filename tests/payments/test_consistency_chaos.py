"""Whatever is broken at once: the second --fix has nothing left to do. Serves A10."""

import random
from typing import Any

import pytest
from django.utils import timezone

from audit.consistency.runner import run_checks
from audit.history import tracked_models, trail_of
from audit.models import Finding
from bookings.lifecycle import BookingStatus
from bookings.models import Booking, Membership, Occupancy, Slot
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


def break_a_booking(rng: random.Random) -> None:
    booking = rng.choice(list(Booking.objects.order_by("pk")))
    corrupt(
        "UPDATE bookings_booking SET status = %s, confirmed_at = now(), checked_in_at = now(),"
        " held_until = now() - interval '1 h',"
        f" ended_at = CASE WHEN %s IN {ENDED} THEN now() END WHERE id = %s",
        [*[rng.choice(BookingStatus.values)] * 2, booking.pk],
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
        f" ended_at = CASE WHEN %s IN {ENDED} THEN now() END WHERE id = %s",
        [*[rng.choice(TransactionStatus.values)] * 2, transaction.pk],
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
    )


def lose_marks(rng: random.Random) -> None:
    mark = rng.choice(list(Occupancy.objects.order_by("pk")) or [None])
    if mark is not None:
        corrupt("DELETE FROM bookings_occupancy WHERE id = %s", [mark.pk])


def lose_codes(rng: random.Random) -> None:
    booking = rng.choice(list(Booking.objects.filter(check_in_code__isnull=False).order_by("pk")))
    corrupt("DELETE FROM bookings_checkincode WHERE booking_id = %s", [booking.pk])


WAYS = [
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
