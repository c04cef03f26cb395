"""What customers read of fees and refunds (B9)."""

from decimal import Decimal

import pytest

from audit.delivery.email import render
from audit.models import OutboxEvent
from payments.models import Refund
from payments.services import refunds
from tests.payments import money as m

pytestmark = pytest.mark.django_db


def mail(kind):
    event = OutboxEvent.objects.get(kind=kind)
    return render(event, language="en", time_zone="Europe/Berlin")


def everywhere(message, words):
    return words in message.text and words in message.html


def test_a_cancelled_booking_says_what_is_kept_and_what_comes_back():
    (booking,) = m.bookings_of(m.paid())
    m.cancel(booking, keep_fee=True)

    message = mail("booking.cancelled")

    assert everywhere(message, "A fee of 10.00 EUR is kept.")
    assert everywhere(message, "We will pay 10.00 EUR back to you.")


def test_where_everything_comes_back_no_fee_is_named():
    m.cancel_order(m.paid(count=2))

    message = mail("transaction.cancelled")

    assert everywhere(message, "We will pay 40.00 EUR back to you.")
    assert "fee" not in message.text
    assert "If you have already paid" not in message.text


def test_where_everything_is_kept_nothing_is_promised():
    made = m.paid(m.priced(policy={"free_until_minutes": m.DAY, "fee_percent": Decimal(100)}))
    m.cancel(m.bookings_of(made)[0], keep_fee=True)

    message = mail("booking.cancelled")

    assert everywhere(message, "A fee of 20.00 EUR is kept.")
    assert "pay" not in message.text.replace("kept.", "").lower()


def test_what_nobody_has_seen_comes_back_if_it_has_arrived():
    m.cancel(m.bookings_of(m.under_review())[0])

    message = mail("booking.cancelled")

    assert everywhere(message, "Your payment has not been checked yet.")
    assert everywhere(message, "If it has arrived, we will pay 20.00 EUR back to you.")


def test_where_nothing_was_paid_money_is_not_spoken_of():
    m.cancel(m.bookings_of(m.ordered())[0])

    assert "EUR" not in mail("booking.cancelled").text


def test_whoever_is_paid_back_reads_how_much_and_how_to_find_it():
    made = m.paid()
    m.cancel_order(made)
    m.change(refunds.settle, made.refunds.get(), reference="SEPA <1>")

    message = mail("refund.settled")

    assert message.subject == "20.00 EUR paid back"
    assert everywhere(message, f"for your order {made.reference}")
    assert "SEPA <1>" in message.text
    assert "SEPA &lt;1&gt;" in message.html


def test_a_credit_is_not_called_a_transfer():
    made = m.paid()
    m.cancel_order(made)
    Refund.objects.update(way="credit")
    m.change(refunds.settle, Refund.objects.get())

    message = mail("refund.settled")

    assert everywhere(message, "kept for you as a credit")
    assert "transfer" not in message.text.lower()


def test_a_customer_without_an_address_is_told_nothing_and_nothing_fails():
    made = m.paid()
    made.customer.email = ""
    made.customer.save()
    m.cancel_order(made)
    m.change(refunds.settle, made.refunds.get())

    assert OutboxEvent.objects.get(kind="refund.settled").recipients == []
