"""What cancelling costs, and that nobody pays what they have not seen (A7, B9)."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from audit.models import OutboxEvent
from bookings.errors import BookingOver, TooLate
from bookings.models import Booking
from bookings.services import reschedule
from payments import cancelling, selectors
from payments.cancelling import Money
from payments.errors import FeeDue, OwnTransaction
from payments.models import CartItem, Refund
from payments.services import series
from tests import factories as f
from tests.invariants import assert_consistent, refusal
from tests.payments import money as m

pytestmark = pytest.mark.django_db

FEE = Decimal("10.00")


def item_of(booking):
    return CartItem.objects.get(booking=booking)


def cost_of(made, *, now=None, **who):
    (booking,) = m.bookings_of(made)
    found = selectors.costs([booking], now=now or timezone.now(), **({"by_customer": True} | who))
    return found[0]


# The terms


@pytest.mark.parametrize(
    ("terms", "frozen"),
    [
        ({"free_until_minutes": 60, "fee_percent": Decimal(50)}, (60, "10.00")),
        ({"free_until_minutes": 0, "fee_percent": Decimal(100)}, (0, "20.00")),
        ({"free_until_minutes": 60, "least_fee": Decimal(5)}, (60, "5.00")),
        (
            {"free_until_minutes": 60, "fee_percent": Decimal(50), "least_fee": Decimal(12)},
            (60, "12.00"),
        ),
        ({"free_until_minutes": 60, "least_fee": Decimal(500)}, (60, "20.00")),
        ({"free_until_minutes": 60, "fee_percent": Decimal("33.33")}, (60, "6.67")),
        ({"free_until_minutes": 60}, (60, "0.00")),
    ],
)
def test_the_terms_are_frozen_at_checkout_with_the_fee_in_money(terms, frozen):
    made = m.ordered(m.priced(policy=terms))

    item = made.items.get()
    assert (item.free_until_minutes, str(item.late_fee)) == frozen


def test_without_a_policy_cancelling_is_free_at_any_time():
    made = m.paid(m.priced(policy=False))

    assert (made.items.get().free_until_minutes, made.items.get().late_fee) == (None, 0)
    assert (cost_of(made).free_until, cost_of(made).fee) == (None, 0)


def test_a_policy_that_changes_later_changes_no_order():
    resource = m.priced()
    made = m.paid(resource)
    m.set_policy(resource, free_until_minutes=10_000, fee_percent=Decimal(100))

    assert cost_of(made).fee == FEE


@pytest.mark.parametrize(("seconds", "fee"), [(-60, 0), (-1, 0), (0, 0), (1, FEE), (60, FEE)])
def test_the_last_free_moment_is_still_free(seconds, fee):
    made = m.paid(hours=72)
    (booking,) = m.bookings_of(made)
    last = booking.slot.starts_at - timedelta(days=1)

    found = cost_of(made, now=last + timedelta(seconds=seconds))

    assert found.free_until == last
    assert (found.fee, found.refund, found.late_fee) == (fee, 20 - fee, FEE)


def test_the_terms_move_with_a_booking_that_the_house_moves():
    resource = m.priced()
    made = m.paid(resource, hours=3)
    (booking,) = m.bookings_of(made)
    assert cost_of(made).fee == FEE
    other = f.make_slot(resource, starts_at=f.soon(72))
    reschedule.reschedule(
        booking_id=booking.pk,
        slot_id=other.pk,
        organization_id=booking.organization_id,
        actor=f.SYSTEM,
        now=timezone.now(),
    )

    found = cost_of(made)

    assert (found.fee, found.free_until) == (0, other.starts_at - timedelta(days=1))


@pytest.mark.parametrize(
    ("order", "money", "fee", "refund"),
    [
        (m.ordered, Money.NONE, 0, 0),
        (m.under_review, Money.CLAIMED, 0, 20),
        (m.paid, Money.SEEN, 10, 10),
        (m.on_arrival, Money.NONE, 0, 0),
    ],
)
def test_a_fee_is_only_kept_of_what_was_paid(order, money, fee, refund):
    made = order()

    found = cost_of(made)

    assert cancelling.money_in(made) == money
    assert (found.fee, found.refund) == (fee, refund)
    assert found.verified == (money == Money.SEEN)


def test_what_is_paid_on_arrival_counts_once_it_is_paid():
    made = m.on_arrival()
    m.take(made)

    assert (cost_of(made).fee, cost_of(made).refund) == (10, 10)


@pytest.mark.parametrize(
    ("who", "fee"),
    [
        ({"by_customer": False}, 0),
        ({"by_customer": False, "keep_fee": True}, 10),
        ({"by_customer": True}, 10),
    ],
)
def test_the_house_cancels_for_nothing_unless_it_keeps_the_fee(who, fee):
    assert cost_of(m.paid(), **who).fee == fee


def test_what_cannot_be_cancelled_says_why():
    resource = m.priced()
    made = m.paid(resource)
    resource.cancel_until_minutes = m.DAY
    resource.save()
    assert isinstance(cost_of(made).refused, TooLate)
    assert cost_of(made, by_customer=False).refused is None

    resource.cancel_until_minutes = 0
    resource.customers_may_cancel = False
    resource.save()
    assert isinstance(cost_of(made).refused, TooLate)
    assert "Only the staff" in cost_of(made).refused.detail

    m.cancel_order(made)
    assert isinstance(cost_of(made).refused, BookingOver)


def test_what_is_in_a_cart_costs_nothing_to_let_go():
    slot = f.make_slot(m.priced(), starts_at=f.soon(3))
    booking = f.hold(f.CustomerFactory(organization=slot.organization), slot)

    (found,) = selectors.costs([booking], by_customer=True, now=timezone.now())

    assert found.refused is None
    assert not found.fee
    assert not found.refund
    m.cancel(booking, actor=f.actor_of(booking.customer))
    assert not Refund.objects.exists()


# Agreeing


@pytest.mark.parametrize("accepted", [None, Decimal(0), Decimal("9.99"), Decimal(20)])
def test_a_customer_pays_no_fee_that_was_not_shown(accepted):
    made = m.paid()
    (booking,) = m.bookings_of(made)

    with refusal(FeeDue) as caught:
        m.cancel(booking, actor=f.actor_of(made.customer), accepted_fee=accepted)

    assert caught.value.extra == {"fee": "10.00", "refund": "10.00", "currency": "EUR"}
    assert_consistent()


def test_a_customer_who_accepts_the_fee_gets_the_rest_back():
    made = m.paid()
    (booking,) = m.bookings_of(made)

    m.cancel(booking, actor=f.actor_of(made.customer), accepted_fee=Decimal("10"))

    assert item_of(booking).fee == FEE
    assert m.owed(made) == [("10.00", "owed", True)]
    assert_consistent()


def test_nothing_has_to_be_accepted_where_nothing_is_due():
    for made in (m.paid(hours=72), m.ordered(), m.under_review()):
        (booking,) = m.bookings_of(made)
        m.cancel(booking, actor=f.actor_of(made.customer), accepted_fee=FEE)
        assert item_of(booking).fee == 0
    assert_consistent()


def test_a_fee_of_the_whole_price_leaves_nothing_to_pay_back():
    made = m.paid(m.priced(policy={"free_until_minutes": m.DAY, "fee_percent": Decimal(100)}))
    (booking,) = m.bookings_of(made)

    m.cancel(booking, actor=f.actor_of(made.customer), accepted_fee=Decimal(20))

    assert item_of(booking).fee == 20
    assert not Refund.objects.exists()
    assert_consistent()


def test_staff_may_keep_the_fee():
    made = m.paid()
    (booking,) = m.bookings_of(made)
    staff = f.MembershipFactory(organization=made.organization)

    m.cancel(booking, actor=f.actor_of(staff), keep_fee=True)

    assert item_of(booking).fee == FEE
    assert m.owed(made) == [("10.00", "owed", True)]


@pytest.mark.parametrize("keep", [True, False])
def test_staff_do_not_waive_their_own_fee(keep):
    resource = m.priced()
    staff = f.MembershipFactory(organization=resource.organization, role="front_desk")
    mine = f.CustomerFactory(organization=resource.organization, user=staff.user)
    made = m.paid(resource, customer=mine)
    (booking,) = m.bookings_of(made)

    if keep:
        m.cancel(booking, actor=f.actor_of(staff), keep_fee=True)
        assert item_of(booking).fee == FEE
    else:
        with refusal(OwnTransaction):
            m.cancel(booking, actor=f.actor_of(staff))


def test_a_whole_order_says_its_fee_in_one_sum():
    made = m.paid(count=3)

    with refusal(FeeDue) as caught:
        m.cancel_order(made, actor=f.actor_of(made.customer), accepted_fee=FEE)
    assert caught.value.extra["fee"] == "30.00"

    m.cancel_order(made, actor=f.actor_of(made.customer), accepted_fee=Decimal(30))
    assert [i.fee for i in made.items.all()] == [FEE] * 3
    assert m.owed(made) == [("30.00", "owed", True)]
    assert_consistent()


def test_only_those_that_are_late_cost_a_fee():
    resource = m.priced()
    customer = f.CustomerFactory(organization=resource.organization)
    slots = [f.make_slot(resource, starts_at=f.soon(hours)) for hours in (3, 72)]
    made = f.check_out(customer, *slots)
    f.submit_proof(made)
    f.approve(made)

    m.cancel_order(made, actor=f.actor_of(customer), accepted_fee=FEE)

    soon, far = m.bookings_of(made)
    assert (item_of(soon).fee, item_of(far).fee) == (10, 0)
    assert m.owed(made) == [("30.00", "owed", True)]


def a_paid_series(times=3):
    resource = m.priced(time_zone="UTC")
    start = f.soon(3)
    slots = [f.make_slot(resource, starts_at=start + timedelta(weeks=n)) for n in range(times)]
    customer = f.CustomerFactory(organization=resource.organization)
    made = series.book_series(
        organization=resource.organization,
        customer=customer,
        wish=series.Wish(resource.pk, slots[0].starts_at, times=times),
        payment_method="pay_now",
        all_or_nothing=True,
        actor=f.actor_of(customer),
        now=timezone.now(),
    )
    f.submit_proof(made.transaction)
    return made.series, f.approve(made.transaction)


def cancel_series(found, **kwargs):
    arguments = {
        "series_id": found.pk,
        "organization_id": found.organization_id,
        "actor": f.actor_of(found.customer),
        "reason": "away",
        "now": timezone.now(),
    }
    return series.cancel_series(**(arguments | kwargs))


def test_a_series_says_its_fee_and_is_owed_in_one_refund():
    found, made = a_paid_series()

    with refusal(FeeDue) as caught:
        cancel_series(found)
    assert caught.value.extra == {"fee": "10.00", "refund": "50.00", "currency": "EUR"}

    cancel_series(found, accepted_fee=FEE)
    assert m.owed(made) == [("50.00", "owed", True)]
    told = OutboxEvent.objects.get(kind="series.cancelled").payload
    assert (told["fee"], told["refund"], told["refund_verified"]) == ("10.00", "50.00", True)
    assert_consistent()


# What is said


def test_the_customer_reads_what_is_kept_and_what_comes_back():
    made = m.paid(count=2)
    first, second = m.bookings_of(made)

    m.cancel(first, keep_fee=True)
    m.cancel_order(made)

    one = OutboxEvent.objects.get(kind="booking.cancelled").payload
    rest = OutboxEvent.objects.get(kind="transaction.cancelled").payload
    assert (one["fee"], one["refund"], one["refund_currency"]) == ("10.00", "10.00", "EUR")
    assert (rest["fee"], rest["refund"]) == ("0.00", "20.00")
    assert item_of(second).fee == 0


def test_nothing_is_said_of_money_that_was_never_paid():
    (booking,) = m.bookings_of(m.ordered())

    m.cancel(booking)

    assert "refund" not in OutboxEvent.objects.get(kind="booking.cancelled").payload


# Statements


@pytest.mark.parametrize("who", ["customer", "house", "house that keeps the fee"])
def test_any_number_costs_the_same_number_of_statements(who):
    counts = {}
    for number in (1, 10, 100):
        made = m.paid(m.priced(policy={"free_until_minutes": 10**6, "fee_percent": 50}), number)
        ways: dict[str, dict[str, Any]] = {
            "customer": {
                "actor": f.actor_of(made.customer),
                "accepted_fee": Decimal(10 * number),
            },
            "house": {},
            "house that keeps the fee": {"keep_fee": True},
        }
        with CaptureQueriesContext(connection) as captured:
            m.cancel_order(made, **ways[who])
        counts[number] = len(captured)
        assert Booking.objects.filter(cart_item__transaction=made, status="cancelled").count() == (
            number
        )
        back = number * (20 if who == "house" else 10)
        assert m.owed(made) == [(f"{back}.00", "owed", True)]

    assert len(set(counts.values())) == 1, counts


def test_orders_without_terms_cost_a_customer_one_statement_more_than_the_house():
    def count(**kwargs):
        made = m.paid(m.priced(policy=False))
        actor = kwargs.pop("actor", None) or f.actor_of(made.customer)
        with CaptureQueriesContext(connection) as captured:
            m.cancel_order(made, actor=actor, **kwargs)
        return len(captured)

    assert count() == count(actor=f.SYSTEM) + 1
