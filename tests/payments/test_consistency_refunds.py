"""Each check of refunds names what was made wrong, and nothing else; repairs it, or leaves it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from payments.models import CartItem, Refund
from payments.services import decisions, refunds
from tests import factories as f
from tests.corruption import check, check_rows, corrupt, fix, last_line
from tests.payments import money as m

pytestmark = pytest.mark.django_db

MISSING, AMOUNTS, LINKS = (f"payments.refund_{name}" for name in ("missing", "amounts", "links"))


@pytest.fixture(autouse=True)
def healthy() -> list[Refund]:
    """Everything that can become of money, which no check may name."""
    paid = m.paid(count=2)
    m.cancel(m.bookings_of(paid)[0], keep_fee=True)
    m.cancel_order(paid)
    m.cancel_order(m.ordered())
    part_paid = m.on_arrival(count=2)
    m.cancel(m.bookings_of(part_paid)[0])  # before anybody paid
    m.take(part_paid)
    some_later = m.ordered(count=2)
    m.cancel(m.bookings_of(some_later)[0])  # before its proof came
    f.submit_proof(some_later)
    f.approve(some_later)
    for more in ({}, {"refund": True}):
        rejected = m.under_review(count=2)
        m.cancel(m.bookings_of(rejected)[0])
        decisions.reject(
            transaction_id=rejected.pk,
            organization_id=rejected.organization_id,
            actor=f.SYSTEM,
            reason="no",
            now=timezone.now(),
            **more,
        )
    m.cancel_order(m.under_review())
    m.give_back(m.paid())
    found = list(Refund.objects.order_by("created_at", "pk"))
    m.change(refunds.settle, found[0])
    assert check() == set()
    return found


def forget(made: Any) -> list[str]:
    """Somebody deletes the refunds of an order; the items that are left without, in order."""
    items = CartItem.objects.filter(transaction=made, refund__isnull=False)
    ids = [str(pk) for pk in items.order_by("pk").values_list("pk", flat=True)]
    corrupt("UPDATE payments_cartitem SET refund_id = NULL WHERE transaction_id = %s", [made.pk])
    corrupt("DELETE FROM payments_refund WHERE transaction_id = %s", [made.pk])
    return ids


@pytest.mark.parametrize(
    ("order", "owed"),
    [
        (lambda: m.paid(), ("20.00", "owed", True)),
        (lambda: m.under_review(), ("20.00", "owed", False)),
    ],
)
def test_a_refund_that_is_missing_is_noted(order, owed):
    made = order()
    m.cancel_order(made)
    items = forget(made)

    assert check_rows() == check(MISSING) == set(items)
    assert fix(MISSING) == dict.fromkeys(items, "fixed")

    assert m.owed(made) == [owed]
    assert check_rows() == set()
    (refund,) = made.refunds.all()
    assert last_line(refund).actor_label == "auditor"


def test_only_what_was_not_kept_is_missing():
    made = m.paid(count=2)
    m.cancel_order(made, keep_fee=True)
    items = forget(made)

    fix(MISSING)

    assert m.owed(made) == [("10.00", "owed", True)] * 2
    assert CartItem.objects.filter(pk__in=items, refund__isnull=False).count() == 2


def test_what_was_rejected_after_it_was_cancelled_is_not_missing():
    made = m.under_review(count=2)
    m.cancel(m.bookings_of(made)[0])
    decisions.reject(
        transaction_id=made.pk,
        organization_id=made.organization_id,
        actor=f.SYSTEM,
        reason="no",
        now=timezone.now(),
    )
    forget(made)

    assert check(MISSING) == set()


def test_a_refund_that_was_noted_meanwhile_is_not_noted_twice():
    made = m.paid()
    m.cancel_order(made)
    forget(made)
    fix(MISSING)

    assert fix(MISSING) == {}
    assert len(m.owed(made)) == 1


@pytest.mark.parametrize("amount", ["19.99", "20.01", "0.01"])
def test_a_refund_that_differs_from_its_items_is_named_and_left(amount):
    made = m.paid()
    m.cancel_order(made)
    refund = made.refunds.get()
    corrupt("UPDATE payments_refund SET amount = %s WHERE id = %s", [amount, refund.pk])

    assert check_rows() == check(AMOUNTS) == {str(refund.pk)}
    assert set(fix(AMOUNTS).values()) <= {"open", "needs_review"}
    refund.refresh_from_db()
    assert refund.amount == Decimal(amount)


def test_a_refund_without_items_is_named():
    made = m.paid()
    m.cancel_order(made)
    refund, item = made.refunds.get(), made.items.get()
    corrupt("UPDATE payments_cartitem SET refund_id = NULL WHERE id = %s", [item.pk])

    assert check(AMOUNTS) == {str(refund.pk)}
    assert check(MISSING) == {str(item.pk)}


def test_an_item_that_is_paid_back_with_another_order_is_named(healthy):
    made = m.paid()
    m.cancel_order(made)
    item, other = made.items.get(), healthy[0]
    corrupt("UPDATE payments_cartitem SET refund_id = %s WHERE id = %s", [other.pk, item.pk])

    assert check(LINKS) == {str(item.pk)}
    assert check(AMOUNTS) == {str(other.pk), str(made.refunds.get().pk)}


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("customer_id", lambda: f.CustomerFactory().pk),
        ("organization_id", lambda: f.OrganizationFactory().pk),
        ("transaction_id", f.some_id),
    ],
)
def test_a_refund_for_somebody_else_is_named(column, value):
    made = m.paid()
    m.cancel_order(made)
    refund = made.refunds.get()
    corrupt(f"UPDATE payments_refund SET {column} = %s WHERE id = %s", [value(), refund.pk])

    assert str(refund.pk) in check(LINKS)


def test_an_item_whose_refund_is_gone_is_named():
    made = m.paid()
    m.cancel_order(made)
    corrupt("DELETE FROM payments_refund WHERE transaction_id = %s", [made.pk])

    assert check(LINKS) == {str(made.items.get().pk)}


def test_more_by_hand_than_can_have_been_paid_is_named_and_left():
    made, fine = m.paid(), m.paid()
    for one in (made, fine):
        m.give_back(one, "20.00")
    refund = made.refunds.get()
    corrupt("UPDATE payments_refund SET amount = 20.01 WHERE id = %s", [refund.pk])

    assert check_rows() == check("payments.refunds_by_hand") == {str(made.pk)}
    m.change(refunds.waive, refund)
    assert check("payments.refunds_by_hand") == set()


def test_a_refund_by_hand_that_names_an_item_is_named():
    made = m.paid()
    m.give_back(made)
    refund, item = made.refunds.get(), made.items.get()
    corrupt(
        "UPDATE payments_cartitem SET refund_id = %s, status = 'cancelled' WHERE id = %s",
        [refund.pk, item.pk],
    )

    assert str(refund.pk) in check(AMOUNTS)


def test_each_organisation_s_checks_name_its_own():
    mine, theirs = m.paid(), m.paid()
    for made in (mine, theirs):
        m.cancel_order(made)
    items = forget(mine)
    forget(theirs)

    assert check(MISSING, organization=mine.organization_id) == set(items)
