"""Each check of payments names what was made wrong, and nothing else; repairs it, or leaves it.

Serves A3, A4, A5, A7, A9, A10.
"""

import os
import time
import uuid
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from audit.consistency.registry import Problem, registry
from audit.models import OutboxEvent
from bookings import codes
from bookings.lifecycle import ADMITTED, ENDED, BookingStatus
from bookings.models import Booking, CheckInCode, Slot
from bookings.services import check_in
from payments.consistency.agreement import right_answer
from payments.files import examine
from payments.lifecycle import TransactionStatus
from payments.models import Cart, CartItem, CartTransaction, PaymentPolicy, Proof
from payments.models.proof import proof_storage
from payments.services import cancellation, decisions
from payments.services import proofs as proof_services
from tests import factories as f
from tests.corruption import AUDITOR, check, check_rows, corrupt, fix, last_line

pytestmark = pytest.mark.django_db


@pytest.fixture
def court():
    """A court that costs something; proofs are not needed for approval."""
    resource: Any = f.ResourceFactory(exclusive=True)
    f.PriceFactory(resource=resource)
    f.PolicyFactory(organization=resource.organization, proof_required=False)
    return resource


@pytest.fixture
def customer(court):
    return f.CustomerFactory(organization=court.organization)


@pytest.fixture
def healthy(court):
    """A transaction of each kind that no check may name."""
    somebody: Any = f.CustomerFactory(organization=court.organization)
    slots = f.make_slots(court, 6, start=f.soon(300))
    made = [f.check_out(somebody, slot) for slot in slots[:4]]
    f.approve(made[0])
    for decide, ended in ((decisions.reject, made[1]), (decisions.cancel, made[2])):
        decide(
            transaction_id=ended.pk,
            organization_id=ended.organization_id,
            actor=AUDITOR,
            reason="test",
            now=timezone.now(),
        )
    f.approve(f.check_out(somebody, slots[4], method="pay_on_arrival"))
    f.hold(somebody, slots[5])
    assert check() == set()
    return made


def order(customer, court, count: int = 1, **kwargs: Any) -> CartTransaction:
    """A pending transaction with some bookings, in slots that no test has used yet."""
    start = f.soon(24 + 10 * Slot.objects.filter(resource=court).count())
    return f.check_out(customer, *f.make_slots(court, count, start=start), **kwargs)


def bookings_of(transaction: CartTransaction) -> list[Booking]:
    return list(Booking.objects.filter(cart_item__transaction=transaction).order_by("pk"))


def statuses(transaction: CartTransaction) -> tuple[str, set[str], set[str]]:
    """Of the transaction, its bookings and its items."""
    transaction.refresh_from_db()
    items = CartItem.objects.filter(transaction=transaction)
    return (
        transaction.status,
        set(items.values_list("booking__status", flat=True)),
        set(items.values_list("status", flat=True)),
    )


def set_booking(booking: Booking, status: str, more: str = "") -> None:
    """Give a booking another status behind everybody's back, its item along with it."""
    item = {"held": "in_cart", "pending": "checked_out"}.get(
        status, status if status in ENDED else "approved"
    )
    corrupt(f"UPDATE bookings_booking SET status = %s{more} WHERE id = %s", [status, booking.pk])
    corrupt("UPDATE payments_cartitem SET status = %s WHERE booking_id = %s", [item, booking.pk])


def set_transaction(transaction: CartTransaction, status: str, more: str = "") -> None:
    due = "now() + interval '1 day'" if status == "under_review" else "NULL"
    corrupt(
        f"UPDATE payments_carttransaction SET status = %s, review_due_at = {due}{more}"
        " WHERE id = %s",
        [status, transaction.pk],
    )


def same(*rows: Any) -> list[dict[str, Any]]:
    """Everything that rows say, to compare before and after."""
    return [type(row).objects.filter(pk=row.pk).values().get() for row in rows]


# -- transaction and bookings -------------------------------------------------------------------


def test_what_is_approved_and_paid_is_confirmed(customer, court, healthy):
    made = f.approve(order(customer, court, 3))
    [first, *others] = bookings_of(made)
    set_booking(first, "pending", ", confirmed_at = NULL")
    # Its code stays behind, as after any such edit; it must not stand in the way.

    assert check("payments.transaction_bookings") == {str(made.pk)}
    assert fix("payments.transaction_bookings") == {str(made.pk): "fixed"}

    assert statuses(made) == ("approved", {"confirmed"}, {"approved"})
    assert CheckInCode.objects.filter(booking__in=[first, *others]).count() == 3
    line = last_line(first)
    assert (line.actor_label, line.status) == ("auditor", "confirmed")
    assert line.history_change_reason == "consistency: payments.transaction_bookings"
    assert fix("payments.transaction_bookings") == {}
    assert check() == set()


@pytest.mark.parametrize(
    ("decided", "booking", "ends"),
    [
        ("rejected", "pending", "rejected"),
        ("expired", "pending", "expired"),
        ("cancelled", "pending", "cancelled"),
        ("cancelled", "confirmed", "cancelled"),
        ("rejected", "confirmed", "cancelled"),
        ("expired", "held", "expired"),
        ("rejected", "held", "cancelled"),
    ],
)
def test_bookings_end_as_their_transaction_did(decided, booking, ends, customer, court, healthy):
    made = order(customer, court, 2)
    set_transaction(made, decided, ", decided_at = now(), ended_at = now()")
    for one in bookings_of(made):
        set_booking(one, booking, ", confirmed_at = now(), held_until = now() + interval '1 h'")
    slots = [b.slot_id for b in bookings_of(made)]
    assert sum(Slot.objects.filter(pk__in=slots).values_list("taken_bookings", flat=True)) == 2

    assert check("payments.transaction_bookings") == {str(made.pk)}
    assert fix("payments.transaction_bookings") == {str(made.pk): "fixed"}

    assert statuses(made) == (decided, {ends}, {ends})
    assert sum(Slot.objects.filter(pk__in=slots).values_list("taken_bookings", flat=True)) == 0
    assert last_line(bookings_of(made)[0]).actor_label == "auditor"
    assert fix("payments.transaction_bookings") == {}


@pytest.mark.parametrize(
    ("was", "bookings", "becomes"),
    [
        ("pending", "expired", "expired"),
        ("pending", "cancelled", "cancelled"),
        ("under_review", "rejected", "rejected"),
        ("approved", "cancelled", "cancelled"),
        ("approved", "expired", "cancelled"),
    ],
)
def test_a_transaction_ends_when_all_its_bookings_have(
    was, bookings, becomes, customer, court, healthy
):
    made = order(customer, court, 2)
    set_transaction(
        made,
        was,
        ", submitted_at = now(), decided_at = now()"
        + (", payment_status = 'paid', paid_at = now()" if was == "approved" else ""),
    )
    for one in bookings_of(made):
        set_booking(one, bookings, ", ended_at = now()")
    fix("bookings.slot_counters", "bookings.occupancies")

    assert check("payments.transaction_bookings") == {str(made.pk)}
    assert fix("payments.transaction_bookings") == {str(made.pk): "fixed"}

    assert statuses(made) == (becomes, {bookings}, {bookings})
    made.refresh_from_db()
    assert made.ended_at is not None
    assert (made.payment_status == "failed") == (becomes == "rejected")
    assert last_line(made).actor_label == "auditor"
    assert check_rows() == set()


@pytest.mark.parametrize(
    ("transaction", "booking"),
    [
        ("pending", "confirmed"),
        ("under_review", "checked_in"),
        ("pending", "held"),
        ("approved", "held"),
        ("rejected", "checked_in"),
        ("cancelled", "completed"),
        ("expired", "no_show"),
    ],
)
def test_a_contradiction_is_left_to_people(transaction, booking, customer, court, healthy):
    made = order(customer, court, 2)
    set_transaction(
        made,
        transaction,
        ", submitted_at = now(), decided_at = now()"
        + (", ended_at = now()" if transaction in ("rejected", "cancelled", "expired") else "")
        + (", payment_status = 'paid', paid_at = now()" if transaction == "approved" else ""),
    )
    more = ", confirmed_at = now(), checked_in_at = now(), held_until = now() + interval '1 h'"
    if booking == "no_show":
        more += ", missed_at = now() + interval '400 d'"
    for one in bookings_of(made):
        set_booking(one, booking, more)
    before = same(made, *bookings_of(made))

    assert check("payments.transaction_bookings") == {str(made.pk)}
    assert fix("payments.transaction_bookings") == {str(made.pk): "needs_review"}
    assert fix("payments.transaction_bookings") == {str(made.pk): "needs_review"}

    assert same(made, *bookings_of(made)) == before


def test_a_confirmed_booking_that_has_begun_is_not_taken_away(customer, court, healthy):
    made = f.approve(order(customer, court))
    set_transaction(made, "cancelled", ", ended_at = now()")
    [booking] = bookings_of(made)
    corrupt(
        "UPDATE bookings_slot SET starts_at = now() - interval '10 min',"
        " busy_from = now() - interval '10 min' WHERE id = %s",
        [booking.slot_id],
    )

    assert fix("payments.transaction_bookings") == {str(made.pk): "needs_review"}

    assert Booking.objects.get(pk=booking.pk).status == "confirmed"


def test_approved_and_never_paid_is_not_confirmed(customer, court, healthy):
    made = order(customer, court)
    corrupt(
        "UPDATE payments_carttransaction SET status = 'approved', decided_at = now() WHERE id = %s",
        [made.pk],
        drop=[("payments_carttransaction", "payments_carttransaction_approved_is_paid")],
    )

    assert check("payments.transaction_bookings", "payments.unpaid_approved") == {str(made.pk)}
    assert fix("payments.transaction_bookings") == {str(made.pk): "needs_review"}

    assert statuses(made) == ("approved", {"pending"}, {"checked_out"})


def test_the_rule_knows_every_combination():
    """The rule is total, and an answer once carried out leads to agreement."""
    for status in TransactionStatus:
        for booking in BookingStatus:
            for paid in (True, False):
                for started in (True, False):
                    answer = right_answer(
                        status, paid=paid, bookings=[booking], any_started=started
                    )
                    after: tuple[str, str]
                    if answer == "confirm":
                        after = (status, "confirmed")
                    elif answer == "end bookings":
                        after = (status, "cancelled")
                    elif answer == "end transaction":
                        after = ("cancelled", booking)
                    else:
                        continue
                    assert booking not in ADMITTED or not started
                    assert (
                        right_answer(after[0], paid=paid, bookings=[after[1]], any_started=started)
                        == "agree"
                    )


# -- items --------------------------------------------------------------------------------------


def test_an_item_follows_its_booking(customer, court, healthy):
    made = f.approve(order(customer, court, 4))
    items = list(CartItem.objects.filter(transaction=made).order_by("pk"))
    wrong = {"checked_out": items[0], "in_cart": items[1], "cancelled": items[2]}
    for status, item in wrong.items():
        corrupt("UPDATE payments_cartitem SET status = %s WHERE id = %s", [status, item.pk])
    named = {str(i.pk) for i in wrong.values()}

    assert check("payments.item_booking") == named
    assert fix("payments.item_booking") == dict.fromkeys(named, "fixed")

    assert statuses(made) == ("approved", {"confirmed"}, {"approved"})
    for item in wrong.values():
        line = last_line(item)
        assert (line.actor_label, line.status) == ("auditor", "approved")
        assert line.history_change_reason == "consistency: payments.item_booking"
    assert fix("payments.item_booking") == {}
    assert check() == set()


def test_the_lifecycle_holds_again_after_an_item_went_past_it(customer, court):
    made = f.approve(order(customer, court, 2))
    first, second = CartItem.objects.filter(transaction=made).order_by("pk")
    corrupt("UPDATE payments_cartitem SET status = 'cancelled' WHERE id = %s", [first.pk])
    assert fix("payments.item_booking") == {str(first.pk): "fixed"}

    with pytest.raises(IntegrityError, match="cannot become"), transaction.atomic():
        CartItem.objects.filter(pk=second.pk).update(status="in_cart")


def test_an_item_that_cannot_follow_is_left_to_people(customer, court, healthy):
    made = f.approve(order(customer, court))
    [item] = CartItem.objects.filter(transaction=made)
    corrupt(
        "UPDATE payments_cartitem SET status = 'cancelled', transaction_id = NULL WHERE id = %s",
        [item.pk],
    )
    before = same(item)

    assert fix("payments.item_booking") == {str(item.pk): "needs_review"}

    assert same(item) == before


# -- links --------------------------------------------------------------------------------------


def test_an_approved_transaction_without_bookings_is_named(customer, court, healthy):
    lost, gone = f.approve(order(customer, court)), f.approve(order(customer, court))
    [booking] = bookings_of(gone)
    corrupt("DELETE FROM payments_cartitem WHERE transaction_id = %s", [lost.pk])
    corrupt("DELETE FROM bookings_booking WHERE id = %s", [booking.pk])
    named = {str(lost.pk), str(gone.pk)}

    assert check("payments.approved_without_bookings") == named
    assert fix("payments.approved_without_bookings") == dict.fromkeys(named, "needs_review")


def test_a_booking_that_nobody_pays_for_is_named(customer, court, healthy):
    made = order(customer, court)
    [booking] = bookings_of(made)
    held = f.hold(customer, f.make_slot(court))
    corrupt("DELETE FROM payments_cartitem WHERE booking_id = %s", [booking.pk])
    # A hold without an item may be the waitlist's; so may one that ran out.
    corrupt("DELETE FROM payments_cartitem WHERE booking_id = %s", [held.pk])

    assert check("payments.booking_without_item") == {str(booking.pk)}
    assert fix("payments.booking_without_item") == {str(booking.pk): "needs_review"}


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ("organization_id = %s", ""),
        ("transaction_id = %s", ""),
        ("booking_id = %s", ""),
        ("cart_id = %s", ""),
        ("transaction_id = NULL", "payments_cartitem_checked_out_has_a_transaction"),
        (
            "transaction_id = NULL, cart_id = NULL, status = 'cancelled'",
            "payments_cartitem_belongs_somewhere",
        ),
    ],
)
def test_items_that_belong_nowhere_are_named(change, constraint, customer, court, healthy):
    made = order(customer, court, 2)
    item = CartItem.objects.filter(transaction=made).order_by("pk")[0]
    corrupt(
        f"UPDATE payments_cartitem SET {change} WHERE id = %s",
        [*([uuid.uuid4()] if "%s" in change else []), item.pk],
        drop=[("payments_cartitem", constraint)] if constraint else [],
    )
    before = same(item)

    assert check("payments.item_links") == {str(item.pk)}
    assert fix("payments.item_links") == {str(item.pk): "needs_review"}

    assert same(item) == before


def test_items_of_somebody_else_are_named(customer, court, healthy):
    other: Any = f.CustomerFactory(organization=court.organization)
    foreign = f.make_slot(court)
    f.hold(other, foreign)
    theirs = Cart.objects.get(customer=other, status="open")
    mine = f.hold(customer, f.make_slot(court, starts_at=f.soon(30)))
    item = CartItem.objects.get(booking=mine)
    corrupt("UPDATE payments_cartitem SET cart_id = %s WHERE id = %s", [theirs.pk, item.pk])
    bought = order(other, court)
    paid_by_others = CartItem.objects.filter(transaction=bought).first()
    assert paid_by_others is not None
    corrupt(
        "UPDATE payments_carttransaction SET customer_id = %s WHERE id = %s",
        [customer.pk, bought.pk],
    )

    assert check("payments.item_links") >= {str(item.pk), str(paid_by_others.pk)}
    assert check("payments.item_links") <= {
        str(i.pk) for i in [item, *CartItem.objects.filter(transaction=bought)]
    }


def test_carts_and_transactions_of_other_organisations_are_named(customer, court, healthy):
    stranger: Any = f.CustomerFactory()
    strange, empty = order(customer, court), order(customer, court)
    cart = Cart.objects.create(
        organization=court.organization, customer=customer, created_at=timezone.now()
    )
    corrupt(
        "UPDATE payments_carttransaction SET customer_id = %s WHERE id = %s",
        [stranger.pk, strange.pk],
    )
    corrupt("DELETE FROM payments_cartitem WHERE transaction_id = %s", [empty.pk])
    corrupt("UPDATE payments_cart SET customer_id = %s WHERE id = %s", [stranger.pk, cart.pk])
    named = {str(strange.pk), str(empty.pk), str(cart.pk)}

    assert check("payments.transaction_links") == named
    assert fix("payments.transaction_links") == dict.fromkeys(named, "needs_review")


# -- money --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("payments_carttransaction", "amount = amount + 1"),
        ("payments_carttransaction", "tax = tax + 1"),
        ("payments_carttransaction", "discount = discount + 1"),
        ("payments_carttransaction", "currency = 'CHF'"),
        ("payments_cartitem", "amount = amount - 1"),
        ("payments_cartitem", "unit_price = unit_price + 1"),
        ("payments_cartitem", "tax = amount + 1"),
    ],
)
def test_a_sum_that_is_not_its_parts_is_named(table, change, customer, court, healthy):
    made = order(customer, court, 2)
    row = made if table.endswith("transaction") else CartItem.objects.filter(transaction=made)[0]
    corrupt(f"UPDATE {table} SET {change} WHERE id = %s", [row.pk])
    before = same(made, row)

    assert check("payments.amounts") == {str(made.pk)}
    assert fix("payments.amounts") == {str(made.pk): "needs_review"}

    assert same(made, row) == before


def test_what_is_free_has_no_currency_to_agree_with(customer, court):
    free: Any = f.ResourceFactory(organization=court.organization)
    court.prices.update(currency="CHF")
    f.check_out(customer, f.make_slot(free), f.make_slot(court))

    assert check("payments.amounts") == set()


def test_what_was_approved_past_the_policy_is_named(customer, court, healthy):
    allowed = f.approve(order(customer, court))
    PaymentPolicy.objects.filter(pk=court.organization_id).update(proof_required=True)
    proven = order(customer, court)
    f.submit_proof(proven)
    f.approve(proven)
    unproven = order(customer, court)
    f.submit_proof(unproven)
    f.approve(unproven)
    corrupt("DELETE FROM payments_proof WHERE transaction_id = %s", [unproven.pk])
    unpaid = f.approve(order(customer, court, method="pay_on_arrival"))
    no_longer_free = order(customer, court, method="pay_on_arrival")
    corrupt(
        "UPDATE payments_carttransaction SET payment_method = 'free', payment_status = 'paid',"
        " paid_at = now(), status = 'approved', decided_at = now(), review_due_at = NULL"
        " WHERE id = %s",
        [no_longer_free.pk],
        drop=[("payments_carttransaction", "payments_carttransaction_free_costs_nothing")],
    )
    named = {str(unproven.pk), str(no_longer_free.pk)}

    assert check("payments.unpaid_approved") == named
    assert not named & {str(allowed.pk), str(unpaid.pk), str(proven.pk)}
    assert fix("payments.unpaid_approved") == dict.fromkeys(named, "needs_review")


# -- deadlines ----------------------------------------------------------------------------------


def test_what_was_not_paid_in_time_is_named_and_expires(customer, court, healthy):
    late, waits, reviewed, endless = (order(customer, court, 2) for _ in range(4))
    with_file(reviewed)
    for made, due in ((late, "61 min"), (waits, "59 min"), (reviewed, "9 days")):
        corrupt(
            "UPDATE payments_carttransaction SET due_at = now() - %s::interval WHERE id = %s",
            [due, made.pk],
        )
    corrupt("UPDATE payments_carttransaction SET due_at = NULL WHERE id = %s", [endless.pk])

    assert check("payments.unpaid_overdue") == {str(late.pk)}
    assert fix("payments.unpaid_overdue") == {str(late.pk): "fixed"}

    assert statuses(late) == ("expired", {"expired"}, {"expired"})
    assert statuses(waits) == ("pending", {"pending"}, {"checked_out"})
    assert OutboxEvent.objects.filter(kind="transaction.expired").count() == 1
    line = last_line(late)
    assert (line.actor_label, line.status) == ("auditor", "expired")
    assert line.history_change_reason == "consistency: payments.unpaid_overdue"
    assert fix("payments.unpaid_overdue") == {}


def test_a_wrong_counter_does_not_keep_what_is_overdue(customer, court, healthy):
    late = order(customer, court, 2)
    set_transaction(late, "pending", ", due_at = now() - interval '1 h'")
    slots = [b.slot_id for b in bookings_of(late)]
    corrupt("UPDATE bookings_slot SET taken_bookings = 0 WHERE id = ANY (%s)", [slots])

    assert fix("payments.unpaid_overdue") == {str(late.pk): "fixed"}

    assert statuses(late) == ("expired", {"expired"}, {"expired"})
    assert check_rows() == set()


def test_what_is_overdue_and_half_confirmed_is_left_to_people(customer, court, healthy):
    late = order(customer, court, 2)
    set_transaction(late, "pending", ", due_at = now() - interval '1 h'")
    set_booking(bookings_of(late)[0], "confirmed", ", confirmed_at = now()")
    before = same(late, *bookings_of(late))

    assert check("payments.unpaid_overdue") == {str(late.pk)}
    assert fix("payments.unpaid_overdue") == {str(late.pk): "needs_review"}

    assert same(late, *bookings_of(late)) == before


# -- proofs -------------------------------------------------------------------------------------


def with_file(transaction: CartTransaction, **kwargs: Any) -> Proof:
    """A proof whose file is there although the test's transaction never commits."""
    proof = f.submit_proof(transaction, **kwargs)
    path_of(proof).parent.mkdir(parents=True, exist_ok=True)
    path_of(proof).write_bytes(examine(f.png(), "transfer.png").content)
    return proof


def path_of(proof: Proof) -> Path:
    return Path(proof_storage().path(str(proof.file)))


def test_files_that_are_gone_or_changed_are_named(customer, court, healthy):
    right, gone, short, changed, old = (with_file(order(customer, court)) for _ in range(5))
    assert check() == set()
    path_of(gone).unlink()
    path_of(short).write_bytes(b"x")
    for proof in (changed, old):
        content = path_of(proof).read_bytes()
        path_of(proof).write_bytes(content[:-1] + b"x")
    corrupt(
        "UPDATE payments_proof SET uploaded_at = uploaded_at - interval '2 days' WHERE id = %s",
        [old.pk],
    )
    named = {str(p.pk) for p in (gone, short, changed)}

    assert str(right.pk) not in check("payments.proofs")
    assert check("payments.proofs") == named
    assert fix("payments.proofs") == dict.fromkeys(named, "needs_review")


def test_a_file_that_no_proof_names_is_removed(customer, court, healthy):
    named = with_file(order(customer, court))
    orphan, fresh = (Path(proof_storage().path(f"ab/{n}.png")) for n in ("orphan", "fresh"))
    orphan.parent.mkdir(parents=True, exist_ok=True)
    for path in (orphan, fresh):
        path.write_bytes(b"x")
    two_hours_ago = time.time() - 7200
    for path in (orphan, path_of(named)):
        os.utime(path, (two_hours_ago, two_hours_ago))

    assert check("payments.orphan_files") == {"ab/orphan.png"}
    assert check("payments.orphan_files", organization=court.organization_id) == set()
    assert fix("payments.orphan_files") == {"ab/orphan.png": "fixed"}

    assert not orphan.exists()
    assert fresh.exists()
    assert path_of(named).exists()
    assert fix("payments.orphan_files") == {}


def test_proofs_are_decided_as_their_transactions(customer, court, healthy):
    approved, rejected, pending, untouched = (order(customer, court) for _ in range(4))
    proofs = [with_file(t) for t in (approved, rejected, pending, untouched)]
    f.approve(approved)
    decisions.reject(
        transaction_id=rejected.pk,
        organization_id=rejected.organization_id,
        actor=AUDITOR,
        reason="test",
        now=timezone.now(),
    )
    for proof in proofs[:2]:
        corrupt("UPDATE payments_proof SET status = 'submitted' WHERE id = %s", [proof.pk])
    set_transaction(pending, "pending", ", submitted_at = NULL")
    outcomes = {str(t.pk): "fixed" for t in (approved, rejected, pending)}

    assert check("payments.proof_status") == set(outcomes)
    assert fix("payments.proof_status") == outcomes

    assert [p.status for p in Proof.objects.order_by("uploaded_at", "pk")] == [
        "accepted",
        "rejected",
        "submitted",
        "submitted",
    ]
    pending.refresh_from_db()
    assert (pending.status, pending.submitted_at) == ("under_review", proofs[2].uploaded_at)
    assert pending.review_due_at == proofs[2].uploaded_at + timedelta(hours=24)
    assert {b.pending_until for b in bookings_of(pending)} == {None}
    assert last_line(proofs[0]).history_change_reason == "consistency: payments.proof_status"
    assert last_line(pending).actor_label == "auditor"
    assert fix("payments.proof_status") == {}
    assert check() == set()


def test_a_proof_against_its_transaction_is_left_to_people(customer, court, healthy):
    accepted, nothing = order(customer, court), order(customer, court)
    proof = with_file(accepted)
    corrupt("UPDATE payments_proof SET status = 'accepted' WHERE id = %s", [proof.pk])
    set_transaction(nothing, "under_review", ", submitted_at = now()")
    named = {str(accepted.pk), str(nothing.pk)}
    before = same(accepted, nothing, proof)

    assert check("payments.proof_status") == named
    assert fix("payments.proof_status") == dict.fromkeys(named, "needs_review")

    assert same(accepted, nothing, proof) == before


def test_proofs_for_what_they_do_not_name_are_named(customer, court, healthy):
    right = with_file(order(customer, court))
    wrong_booking, wrong_customer = (with_file(order(customer, court)) for _ in range(2))
    [elsewhere] = bookings_of(right.transaction)
    other: Any = f.CustomerFactory(organization=court.organization)
    corrupt(
        "UPDATE payments_proof SET booking_id = %s WHERE id = %s", [elsewhere.pk, wrong_booking.pk]
    )
    corrupt(
        "UPDATE payments_proof SET customer_id = %s WHERE id = %s", [other.pk, wrong_customer.pk]
    )
    named = {str(wrong_booking.pk), str(wrong_customer.pk)}

    assert check("payments.proof_links") == named
    assert fix("payments.proof_links") == dict.fromkeys(named, "needs_review")


# -- all of them --------------------------------------------------------------------------------


def test_a_repair_that_another_one_makes_possible_is_made_in_the_same_run(customer, court):
    """The hold cannot expire while its item is in a status that nothing leads out of."""
    booking = f.hold(customer, f.make_slot(court))
    item = CartItem.objects.get(booking=booking)
    corrupt(
        "UPDATE bookings_booking SET held_until = now() - interval '1 h' WHERE id = %s",
        [booking.pk],
    )
    corrupt("UPDATE payments_cartitem SET status = 'cancelled' WHERE id = %s", [item.pk])

    assert fix("bookings.holds_overdue") == {str(booking.pk): "needs_review"}
    assert fix() == {str(booking.pk): "fixed", str(item.pk): "fixed"}

    booking.refresh_from_db()
    item.refresh_from_db()
    assert (booking.status, item.status) == ("expired", "expired")
    assert check() == set()


def test_repairs_tell_customers_whose_bookings_end_and_nobody_else(customer, court, healthy):
    made = f.approve(order(customer, court))
    set_transaction(made, "cancelled", ", ended_at = now()")
    before = OutboxEvent.objects.count()

    fix("payments.transaction_bookings")

    told = OutboxEvent.objects.order_by("-created_at", "-id")[
        : OutboxEvent.objects.count() - before
    ]
    assert [(e.kind, e.recipients[0]["address"]) for e in told] == [
        ("booking.cancelled", customer.email)
    ]


def test_a_fixer_that_comes_too_late_changes_nothing(customer, court, healthy):
    made = f.approve(order(customer, court))
    [booking] = bookings_of(made)
    item = booking.cart_item
    for one in registry.checks():
        if not one.id.startswith("payments.") or one.fixer is None:
            continue
        for subject in (made.pk, booking.pk, item.pk, uuid.uuid4()):
            before = same(made, booking, item)
            problem = Problem(
                "row",
                str(subject),
                "",
                organization_id=court.organization_id,
                details={"booking": str(subject)},
            )
            assert one.fixer(problem, AUDITOR, timezone.now()).outcome == "gone", one.id
            assert same(made, booking, item) == before


def test_an_organisation_sees_its_own_findings_only(customer, court):
    elsewhere: Any = f.CustomerFactory()
    resource: Any = f.ResourceFactory(organization=elsewhere.organization)
    f.PriceFactory(resource=resource)
    mine, theirs = order(customer, court), order(elsewhere, resource)
    for made in (mine, theirs):
        corrupt("UPDATE payments_carttransaction SET amount = 1 WHERE id = %s", [made.pk])

    assert check("payments.amounts", organization=court.organization_id) == {str(mine.pk)}
    assert check("payments.amounts") == {str(mine.pk), str(theirs.pk)}


def test_nothing_is_found_on_the_way_from_the_cart_to_the_door(customer, court):
    PaymentPolicy.objects.filter(pk=court.organization_id).update(proof_required=True)
    made = order(customer, court, 3)
    assert check() == set()
    with_file(made, amount=Decimal("20.00"), booking_id=bookings_of(made)[0].pk)
    assert check() == set()
    f.approve(made)
    assert check() == set()
    [first, second, third] = bookings_of(made)
    code = codes.derive(first.pk, bytes(first.check_in_code.nonce))
    check_in.check_in(code=code, organization_ids=None, actor=AUDITOR, now=first.slot.starts_at)
    assert check() == set()

    for booking in (second, third):
        cancellation.cancel_booking(
            booking_id=booking.pk,
            organization_id=court.organization_id,
            actor=AUDITOR,
            reason="ill",
            now=timezone.now(),
        )
        assert check() == set()
    assert statuses(made) == ("approved", {"checked_in", "cancelled"}, {"approved", "cancelled"})
    assert proof_services.remove_orphans() == 0


def test_a_check_costs_the_same_for_one_row_and_for_many(customer, court):
    def statements() -> dict[str, int]:
        cost = {}
        for id in [c.id for c in registry.checks() if c.id.startswith("payments.")]:
            with CaptureQueriesContext(connection) as queries:
                check(id)
            cost[id] = len(queries)
        return cost

    def spoil(count: int) -> None:
        for _ in range(count):
            made = order(customer, court, 2)
            with_file(made)
            set_transaction(made, "cancelled", ", ended_at = now(), amount = 1")
            corrupt(
                "UPDATE payments_cartitem SET status = 'expired', organization_id = %s"
                " WHERE transaction_id = %s",
                [uuid.uuid4(), made.pk],
            )

    spoil(1)
    one = statements()
    spoil(5)

    assert statements() == one
    assert len(check("payments.transaction_bookings")) == 6


# -- prices -------------------------------------------------------------------------------------


def test_prices_by_time_are_in_one_currency_at_a_time(court, healthy):
    f.PriceFactory(resource=court, basis="hour", valid_until=date(2026, 12, 31))
    f.PriceFactory(resource=court, basis="hour", currency="CHF", valid_from=date(2027, 1, 1))
    f.PriceFactory(resource=court, basis="booking", currency="USD")
    assert check("payments.price_currencies") == set()

    f.PriceFactory(resource=court, basis="unit_hour", currency="CHF")

    assert check("payments.price_currencies") == {str(court.pk)}
    assert check("payments.price_currencies", organization=f.OrganizationFactory().pk) == set()
