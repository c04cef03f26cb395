"""What the database refuses by itself about carts, money and proofs (A2, A3, A7, B10)."""

import itertools
import uuid
from decimal import Decimal
from typing import Any

import pytest
from django.db import DatabaseError, transaction
from django.utils import timezone

from payments.lifecycle import (
    CART,
    ITEM,
    LATE,
    METHOD_STATUSES,
    PAYMENT,
    PROOF,
    REFUND,
    TRANSACTION,
    CartStatus,
    ItemStatus,
    LateStatus,
    PaymentMethod,
    PaymentStatus,
    ProofStatus,
    TransactionStatus,
)
from payments.models import (
    CancellationPolicy,
    Cart,
    CartItem,
    CartTransaction,
    LatePayment,
    PaymentPolicy,
    Refund,
)
from tests import factories as f
from tests.plain_sql import change, claims_of, copy, moves_the_database_lets_pass, refused, sql

pytestmark = pytest.mark.django_db

now = timezone.now
new_id = uuid.uuid4


class World:
    """One row of everything, to be changed for the worse."""

    def __init__(self):
        resource = f.ResourceFactory()
        self.price = f.PriceFactory(resource=resource)
        self.customer = f.CustomerFactory(organization=resource.organization)
        slots = f.make_slots(resource, 3)
        self.transaction = f.check_out(self.customer, slots[0])
        self.other = f.check_out(f.CustomerFactory(organization=resource.organization), slots[1])
        self.item = CartItem.objects.get(transaction=self.transaction)
        f.submit_proof(self.other)
        self.proof = self.other.proofs.get()
        f.hold(self.customer, slots[2])
        self.cart = Cart.objects.get(customer=self.customer, status="open")
        self.held = self.cart.items.get()
        self.gone = Cart.objects.get(customer=self.customer, status="checked_out")
        self.policy = CancellationPolicy.objects.create(
            resource=resource, organization=resource.organization
        )
        self.pay = PaymentPolicy.objects.create(organization=resource.organization)
        self.refund = Refund.objects.create(
            organization=resource.organization,
            customer=self.customer,
            transaction=self.transaction,
            amount=Decimal("20.00"),
            currency="EUR",
            created_at=now(),
        )
        self.late = LatePayment.objects.create(
            organization=resource.organization,
            transaction=self.other,
            proof=self.proof,
            created_at=now(),
        )


@pytest.fixture
def world():
    return World()


def lose(w):
    # Another constraint lists all statuses too, and is looked at first.
    sql("SET CONSTRAINTS ALL IMMEDIATE")
    sql(
        "ALTER TABLE payments_carttransaction"
        " DROP CONSTRAINT payments_carttransaction_ended_says_when"
    )
    copy(w.transaction, id=new_id(), reference="X", status="lost")


def lose_refund(w):
    sql("SET CONSTRAINTS ALL IMMEDIATE")
    sql("ALTER TABLE payments_refund DROP CONSTRAINT payments_refund_settled_says_when_and_how")
    copy(w.refund, id=new_id(), status="lost")


CLAIMS = {
    "payments_cart_checked_out_says_when": lambda w: change(w.cart, checked_out_at=now()),
    "payments_cart_closed_says_when": lambda w: change(w.cart, closed_at=now()),
    "payments_cart_one_open_per_customer": lambda w: copy(w.cart, id=new_id()),
    "payments_cartitem_belongs_somewhere": lambda w: change(w.held, cart_id=None),
    "payments_cartitem_checked_out_has_a_transaction": lambda w: change(
        w.held, status="checked_out"
    ),
    "payments_cartitem_money_is_not_negative": lambda w: change(w.item, amount=Decimal("-0.01")),
    "payments_cartitem_price_is_frozen": lambda w: change(w.item, amount=None),
    "payments_cartitem_status_is_known": lambda w: copy(w.item, id=new_id(), status="lost"),
    "payments_carttransaction_approved_is_paid": lambda w: change(
        w.transaction, status="approved", decided_at=now()
    ),
    "payments_carttransaction_decided_says_when": lambda w: change(
        w.transaction, status="approved", payment_status="paid", paid_at=now()
    ),
    "payments_carttransaction_ended_says_when": lambda w: change(w.transaction, ended_at=now()),
    "payments_carttransaction_free_costs_nothing": lambda w: change(
        w.transaction, payment_method="free", payment_status="paid", paid_at=now()
    ),
    "payments_carttransaction_money_is_not_negative": lambda w: change(
        w.transaction, amount=Decimal("-0.01")
    ),
    "payments_carttransaction_paid_says_when": lambda w: change(
        w.transaction, payment_status="paid"
    ),
    "payments_carttransaction_payment_fits_method": lambda w: change(
        w.transaction, payment_method="gold"
    ),
    "payments_carttransaction_reference_is_unique": lambda w: change(
        w.transaction, reference=w.other.reference
    ),
    "payments_carttransaction_status_is_known": lambda w: lose(w),
    "payments_carttransaction_under_review_says_since_when": lambda w: change(
        w.transaction, status="under_review", review_due_at=now()
    ),
    "payments_carttransaction_reviews_have_a_deadline": lambda w: change(
        w.other, review_due_at=None
    ),
    "payments_cartitem_fee_is_part_of_the_amount": lambda w: change(w.item, fee=Decimal("20.01")),
    "payments_cartitem_a_late_fee_says_since_when": lambda w: change(
        w.item, late_fee=Decimal(1), free_until_minutes=60
    ),
    "payments_cartitem_refunded_has_ended": lambda w: change(w.item, refund_id=w.refund.pk),
    "payments_cancellationpolicy_fee_is_a_percentage": lambda w: change(w.policy, fee_percent=101),
    "payments_cancellationpolicy_least_fee_is_sane": lambda w: change(w.policy, least_fee=-1),
    "payments_policy_reviews_take_an_hour": lambda w: change(w.pay, review_hours=0),
    "payments_refund_is_positive": lambda w: copy(w.refund, id=new_id(), amount=0),
    "payments_refund_status_is_known": lambda w: lose_refund(w),
    "payments_refund_way_is_known": lambda w: change(w.refund, way="pigeon"),
    "payments_refund_settled_says_when_and_how": lambda w: change(
        w.refund, status="done", settled_at=now()
    ),
    "payments_latepayment_status_is_known": lambda w: copy(
        w.late, id=new_id(), transaction_id=w.transaction.pk, status="lost", resolved_at=now()
    ),
    "payments_latepayment_resolved_says_when": lambda w: change(w.late, status="dismissed"),
    "payments_latepayment_money_kept_is_owed": lambda w: change(
        w.late, status="refunded", resolved_at=now()
    ),
    "payments_price_amount_is_sane": lambda w: change(w.price, amount=Decimal("1000000.01")),
    "payments_price_basis_is_known": lambda w: change(w.price, basis="mood"),
    "payments_price_currency_is_iso": lambda w: change(w.price, currency="eur"),
    "payments_price_discount_is_a_percentage": lambda w: change(w.price, discount_percent=101),
    "payments_price_tax_is_a_percentage": lambda w: change(w.price, tax_percent=-1),
    "payments_price_hours_are_in_one_day": lambda w: change(
        w.price, from_time="22:00", until_time="02:00"
    ),
    "payments_price_ends_after_it_starts": lambda w: change(
        w.price, valid_from="2030-01-02", valid_until="2030-01-01"
    ),
    "payments_proof_amount_is_positive": lambda w: change(w.proof, amount=0),
    "payments_proof_file_is_its_own": lambda w: copy(w.proof, id=new_id()),
    "payments_proof_status_is_known": lambda w: copy(w.proof, id=new_id(), file="x", status="lost"),
}


@pytest.mark.parametrize("claim", CLAIMS)
def test_the_database_refuses_what_its_constraint_says(world, claim):
    with refused(claim):
        CLAIMS[claim](world)


def test_every_constraint_of_the_models_is_proven_here():
    assert claims_of("payments") - set(CLAIMS) == set()


# Lifecycles


def test_a_cart_changes_its_status_only_along_its_table(world):
    columns: dict[str, dict[str, Any]] = {
        CartStatus.OPEN: {"checked_out_at": None, "closed_at": None},
        CartStatus.CHECKED_OUT: {"checked_out_at": now(), "closed_at": None},
        CartStatus.CLOSED: {"checked_out_at": None, "closed_at": now()},
    }

    assert moves_the_database_lets_pass(world.cart, CART, columns) == set(CART.pairs())


def test_an_item_changes_its_status_only_along_its_table(world):
    states: dict[str, Any] = {s: {} for s in ItemStatus.values}

    assert moves_the_database_lets_pass(world.item, ITEM, states) == set(ITEM.pairs())


ENDED = {"rejected", "expired", "cancelled"}


def test_a_transaction_changes_its_status_only_along_its_table(world):
    said: dict[str, Any] = {
        "decided_at": now(),
        "submitted_at": now(),
        "payment_status": "paid",
        "paid_at": now(),
    }
    states = {
        s: said
        | {
            "ended_at": now() if s in ENDED else None,
            "review_due_at": now() if s == "under_review" else None,
        }
        for s in TransactionStatus.values
    }

    passed = moves_the_database_lets_pass(world.transaction, TRANSACTION, states)

    assert passed == set(TRANSACTION.pairs())
    assert {pair for pair in passed if pair[0] in ENDED} == {("expired", "under_review")}


def test_a_payment_changes_its_status_only_along_its_table(world):
    states = {s: {"paid_at": now()} for s in PaymentStatus.values}

    passed = moves_the_database_lets_pass(
        world.transaction, PAYMENT, states, field="payment_status"
    )

    assert passed == set(PAYMENT.pairs()) == {("pending", "paid"), ("pending", "failed")}


def test_a_proof_changes_its_status_only_along_its_table(world):
    passed = moves_the_database_lets_pass(world.proof, PROOF, {s: {} for s in ProofStatus.values})

    assert passed == {
        ("submitted", "accepted"),
        ("submitted", "rejected"),
        ("rejected", "submitted"),
    }


def test_a_refund_changes_its_status_only_along_its_table(world):
    states: dict[str, Any] = {
        "owed": {"settled_at": None, "reference": ""},
        "done": {"settled_at": now(), "reference": "SEPA 7"},
        "waived": {"settled_at": now(), "reference": "", "note": "never came"},
    }

    assert moves_the_database_lets_pass(world.refund, REFUND, states) == set(REFUND.pairs())


def test_a_late_payment_changes_its_status_only_along_its_table(world):
    states: dict[str, Any] = {
        s: {
            "resolved_at": None if s == "open" else now(),
            "refund_id": world.refund.pk if s in ("refunded", "credited") else None,
        }
        for s in LateStatus.values
    }

    assert moves_the_database_lets_pass(world.late, LATE, states) == set(LATE.pairs())


@pytest.mark.parametrize("field", ["amount", "currency", "customer_id"])
def test_a_refund_stays_what_was_owed(world, field):
    other = {"amount": Decimal("19.00"), "currency": "CHF", "customer_id": world.other.customer_id}

    with refused("payments_refund_keeps_its_amount"):
        change(world.refund, **{field: other[field]})


# Payment method × payment status


@pytest.mark.parametrize(
    ("method", "status"), [*itertools.product(PaymentMethod.values, PaymentStatus.values)]
)
def test_each_way_to_pay_knows_only_its_own_payment_statuses(world, method, status):
    columns = {"id": new_id(), "reference": "X", "payment_method": method}
    columns |= {"payment_status": status, "paid_at": now(), "amount": 0}

    if status in METHOD_STATUSES[method]:
        copy(world.transaction, **columns)
    else:
        with refused("payments_carttransaction_payment_fits_method"):
            copy(world.transaction, **columns)


def test_the_table_of_methods_and_statuses_is_the_one_of_the_requirements():
    assert {str(m): {str(s) for s in statuses} for m, statuses in METHOD_STATUSES.items()} == {
        "pay_now": {"pending", "paid", "failed"},
        "pay_on_arrival": {"pending", "paid"},
        "free": {"paid"},
    }


# Money


@pytest.mark.parametrize("column", ["amount", "tax", "discount"])
def test_no_money_of_an_order_or_an_item_is_negative(world, column):
    with refused("payments_carttransaction_money_is_not_negative"):
        change(world.transaction, **{column: Decimal("-0.01")})
    with refused("payments_cartitem_money_is_not_negative"):
        change(world.item, **{column: Decimal("-0.01")})


def test_no_price_is_negative(world):
    with refused("payments_price_amount_is_sane"):
        change(world.price, amount=Decimal("-0.01"))


@pytest.mark.parametrize("column", ["unit_price", "quantity"])
def test_what_was_checked_out_says_what_it_cost(world, column):
    with refused("payments_cartitem_price_is_frozen"):
        change(world.item, **{column: None})
    with refused("payments_cartitem_price_is_frozen"):
        change(world.item, currency="")


# Links


def test_a_booking_is_in_one_item_only(world):
    with pytest.raises(DatabaseError), transaction.atomic():
        copy(world.item, id=new_id())


@pytest.mark.parametrize(
    "table", ["payments_carttransaction", "payments_cart", "bookings_booking", "bookings_customer"]
)
def test_nothing_that_others_point_at_can_be_deleted(world, table):
    sql("SET CONSTRAINTS ALL IMMEDIATE")

    with pytest.raises(DatabaseError, match="foreign key"), transaction.atomic():
        sql(f"DELETE FROM {table}")

    assert CartTransaction.objects.count() == 2


# Versions (B11)


def test_every_change_of_a_transaction_counts_and_no_change_does_not(world):
    version = world.transaction.version

    change(world.transaction, note="please hurry")
    change(world.transaction, note="please hurry")

    world.transaction.refresh_from_db()
    assert world.transaction.version == version + 1


def test_nobody_sets_a_version_by_hand(world):
    before = CartTransaction.objects.get(pk=world.transaction.pk).version

    change(world.transaction, version=99)

    world.transaction.refresh_from_db()
    assert world.transaction.version == before + 1
