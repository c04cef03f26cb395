"""What cancelling does to the money is shown before, and refunds are settled, one and many (F3)."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from bookings.models import Booking
from payments.models import CancellationPolicy, CartItem, Refund
from payments.services import refunds
from tests import factories as f
from tests.admin.conftest import ROLES, RULES, as_role, signed_in, staff
from tests.admin.test_forms import resource_form
from tests.payments import money as m

pytestmark = pytest.mark.django_db

LIST = "admin:payments_refund_changelist"
MAY = {"owner", "manager", "reviewer"}


@pytest.fixture
def late(venue):
    """A paid order of somebody, which a customer could cancel for 10 of its 20 euros."""
    m.set_policy(venue.resource, free_until_minutes=10**6, fee_percent=Decimal(50))
    return m.paid(venue.resource, hours=48)


def refund_of(made):
    m.cancel_order(made)
    return Refund.objects.get(transaction=made)


def some_refunds(venue, count, hours=48):
    return [refund_of(m.paid(venue.resource, hours=hours + n)) for n in range(count)]


def address(obj, name):
    return reverse(f"admin:{obj._meta.app_label}_{obj._meta.model_name}_{name}", args=[obj.pk])


def press(client, obj, name, **fields):
    return client.post(address(obj, name), {"_form_submitted": "on", **fields}, follow=True)


def choose(client, name, chosen, **fields):
    data = {"action": name, "_selected_action": [r.pk for r in chosen], **fields}
    return client.post(f"{reverse(LIST)}?state=all", data, follow=True)


# Cancelling


def test_the_dialog_of_a_booking_says_what_is_paid_back_and_what_could_be_kept(venue, late):
    (booking,) = m.bookings_of(late)
    client = as_role(venue, "front_desk")

    page = client.get(address(booking, "cancel_this")).content.decode()

    assert "20.00\N{NO-BREAK SPACE}EUR is noted to be paid back." in page
    assert "A customer would pay 10.00\N{NO-BREAK SPACE}EUR now." in page
    assert 'name="keep_fee"' in page


def test_the_dialog_offers_no_fee_where_there_is_none(venue):
    page = as_role(venue, "owner").get(address(venue.booking, "cancel_this")).content.decode()

    assert "once the money has been seen" in page
    assert "keep_fee" not in page


@pytest.mark.parametrize(("ticked", "back"), [({}, "20.00"), ({"keep_fee": "on"}, "10.00")])
def test_staff_keep_the_fee_if_they_tick_it(venue, late, ticked, back):
    (booking,) = m.bookings_of(late)

    press(as_role(venue, "front_desk"), booking, "cancel_this", reason="ill", **ticked)

    assert m.owed(late) == [(back, "owed", True)]


@pytest.mark.parametrize(("ticked", "back"), [({}, "20.00"), ({"keep_fee": "on"}, "10.00")])
def test_a_whole_order_says_it_too(venue, late, ticked, back):
    client = as_role(venue, "manager")
    page = client.get(address(late, "change")).content.decode()
    late.refresh_from_db()

    client.post(
        reverse("admin:payments_cancel", args=[late.pk]),
        {"version": late.version, "cancel_reason": "closed", **ticked},
    )

    assert "20.00\N{NO-BREAK SPACE}EUR is noted to be paid back." in page
    assert "A customer would pay 10.00" in page
    assert m.owed(late) == [(back, "owed", True)]


def test_a_rejection_can_note_that_the_money_came(venue):
    client = as_role(venue, "reviewer")
    assert (
        "The money has arrived" in client.get(address(venue.transaction, "change")).content.decode()
    )

    client.post(
        reverse("admin:payments_decide", args=[venue.transaction.pk]),
        {
            "decision": "reject",
            "reason": "closed",
            "refund": "on",
            "version": venue.transaction.version,
        },
    )

    (refund,) = Refund.objects.exclude(pk=venue.refund.pk)
    assert (str(refund.amount), refund.verified) == ("20.00", True)


def test_the_pages_of_order_and_booking_show_what_is_owed(venue, late):
    (booking,) = m.bookings_of(late)
    m.cancel(booking, keep_fee=True)
    refund = Refund.objects.get(transaction=late)
    client = as_role(venue, "front_desk")

    order = client.get(address(late, "change")).content.decode()
    alone = client.get(address(booking, "change")).content.decode()

    for page in (order, alone):
        assert address(refund, "change") in page
    assert "10.00\N{NO-BREAK SPACE}EUR kept" in order


# By hand


def giving_back(client, made, **fields):
    made.refresh_from_db()
    sent = {"version": made.version, "amount": "20.00", "reason": "paid twice", "seen": "yes"}
    return client.post(reverse("admin:payments_give_back", args=[made.pk]), {**sent, **fields})


def test_money_that_was_not_to_be_paid_is_noted_on_a_page_of_its_own(venue, late):
    client, path = as_role(venue, "reviewer"), reverse("admin:payments_give_back", args=[late.pk])
    assert path in client.get(address(late, "change")).content.decode()
    page = client.get(path).content.decode()
    assert "at most 20.00\N{NO-BREAK SPACE}EUR" in page

    answer = giving_back(client, late)

    assert answer["Location"] == address(late, "change")
    refund = Refund.objects.get(transaction=late)
    assert (str(refund.amount), refund.by_hand, refund.reason) == ("20.00", True, "paid twice")
    shown = client.get(address(late, "change")).content.decode()
    assert address(refund, "change") in shown
    assert path not in shown  # nothing more can have been paid
    assert "noted by hand" in client.get(address(refund, "change")).content.decode()


@pytest.mark.django_db(transaction=True)
def test_what_cannot_be_noted_is_said_and_what_was_typed_stays(venue, late):
    client = as_role(venue, "manager")
    for fields, status, words in (
        ({"seen": ""}, 400, "first say that you have seen the money"),
        ({"amount": "20.01"}, 409, "at most 20.00 EUR"),
        ({"amount": "x"}, 409, "This is no amount"),
        ({"reason": " "}, 409, "Say why"),
        ({"version": "1"}, 409, "something changed"),
    ):
        answer = giving_back(client, late, **fields)

        page = answer.content.decode()
        assert answer.status_code == status
        assert words in page
        assert f'value="{fields.get("amount", "20.00")}"' in page
    assert not Refund.objects.filter(transaction=late).exists()


@pytest.mark.parametrize("role", ["front_desk", "provider"])
def test_whoever_may_not_settle_refunds_gives_nothing_back(venue, late, role):
    client = as_role(venue, role)

    assert giving_back(client, late).status_code in (403, 404)
    assert not Refund.objects.filter(transaction=late).exists()
    if role == "front_desk":
        assert "give-back" not in client.get(address(late, "change")).content.decode()


def test_the_pages_of_order_and_booking_say_until_when_cancelling_is_free(venue):
    m.set_policy(venue.resource, free_until_minutes=60, fee_percent=Decimal(50))
    made = m.paid(venue.resource, hours=48)
    (booking,) = m.bookings_of(made)
    client = as_role(venue, "front_desk")

    for page in (address(made, "change"), address(booking, "change")):
        text = client.get(page).content.decode()
        assert "free to cancel until" in text
        assert "then 10.00\N{NO-BREAK SPACE}EUR" in text


# The list


def test_what_is_owed_comes_first_with_its_sums(venue):
    first, second, done = some_refunds(venue, 3)
    m.change(refunds.settle, done)
    made = m.under_review(venue.resource, hours=72)
    m.cancel_order(made)
    client = as_role(venue, "manager")

    page = client.get(reverse(LIST))

    assert [r.pk for r in page.context["cl"].result_list][:2] == [first.pk, second.pk]
    assert done.pk not in [r.pk for r in page.context["cl"].result_list]
    text = page.content.decode()
    assert "60.00\N{NO-BREAK SPACE}EUR owed, of which nobody has seen 20.00" in text
    assert "owed if the money came" in text
    unseen = client.get(reverse(LIST), {"state": "unseen"}).context["cl"].result_list
    assert [r.transaction_id for r in unseen] == [made.pk]
    settled = client.get(reverse(LIST), {"state": "done"}).context["cl"].result_list
    assert [r.pk for r in settled] == [done.pk]


def test_a_refund_is_found_by_order_transfer_and_person(venue):
    one, two = some_refunds(venue, 2)
    m.change(refunds.settle, one, reference="SEPA 99")
    client = as_role(venue, "manager")

    for words in (one.transaction.reference, "SEPA 99", one.customer.name, one.customer.email):
        found = client.get(reverse(LIST), {"state": "all", "q": words}).context["cl"].result_list
        assert one.pk in [r.pk for r in found], words
        assert two.pk not in [r.pk for r in found], words


def test_the_list_takes_the_same_for_any_number(venue):
    client = as_role(venue, "manager")
    counts = []
    for hours in (48, 60):
        some_refunds(venue, 3, hours)
        with CaptureQueriesContext(connection) as captured:
            client.get(reverse(LIST))
        counts.append(len(captured))

    assert len(set(counts)) == 1, counts


# One


def test_one_is_paid_back_in_its_dialog(venue):
    (refund,) = some_refunds(venue, 1)
    client = as_role(venue, "reviewer")

    page = press(client, refund, "settle_this", reference="SEPA 1")

    assert "It is marked as paid back" in page.content.decode()
    refund.refresh_from_db()
    assert (refund.status, refund.reference) == ("done", "SEPA 1")
    history = client.get(address(refund, "history")).content.decode()
    assert "SEPA 1" in history


def test_one_is_waived_and_owed_again(venue):
    (refund,) = some_refunds(venue, 1)
    client = as_role(venue, "manager")

    press(client, refund, "waive_this", note="they took a voucher")
    refund.refresh_from_db()
    assert (refund.status, refund.note) == ("waived", "they took a voucher")

    press(client, refund, "reopen_this", reason="they did not")
    refund.refresh_from_db()
    assert (refund.status, refund.note) == ("owed", "")


def test_what_nobody_has_seen_is_verified_before_it_is_paid_back(venue):
    made = m.under_review(venue.resource, hours=72)
    m.cancel_order(made)
    refund = Refund.objects.get(transaction=made)
    client = as_role(venue, "manager")
    assert press(client, refund, "settle_this", reference="SEPA 1").status_code == 403

    client.post(address(refund, "verify_this"), {"_form_submitted": "on"})

    refund.refresh_from_db()
    assert refund.verified
    press(client, refund, "settle_this", reference="SEPA 1")
    assert m.owed(made) == [("20.00", "done", True)]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("role", ROLES)
def test_who_may_settle(venue, role):
    (refund,) = some_refunds(venue, 1)
    client = as_role(venue, role)

    one = press(client, refund, "settle_this", reference="SEPA 1")
    many = choose(client, "settle_chosen", [refund], confirmed="yes", reference="SEPA 2")

    refund.refresh_from_db()
    if role in MAY:
        assert (refund.status, refund.reference) == ("done", "SEPA 1")
    else:
        assert one.status_code in (403, 404)
        assert refund.status == "owed"
        assert many.status_code in (200, 403)


@pytest.mark.django_db(transaction=True)
def test_nobody_settles_what_is_owed_to_themselves(venue, late):
    refund = refund_of(late)
    user = staff(venue, "manager")
    late.customer.user = user
    late.customer.save()

    page = press(signed_in(user), refund, "settle_this", reference="SEPA 1")

    assert "nobody decides on money owed to themselves" in page.content.decode()
    refund.refresh_from_db()
    assert refund.status == "owed"


# Many


def test_many_are_paid_back_after_they_were_shown_with_their_sum(venue):
    chosen = some_refunds(venue, 3)
    client = as_role(venue, "reviewer")

    asked = choose(client, "settle_chosen", chosen).content.decode()
    assert Refund.objects.filter(status="owed").count() == 3
    page = choose(client, "settle_chosen", chosen, confirmed="yes", reference="run 17")

    assert "Together: 60.00\N{NO-BREAK SPACE}EUR." in asked
    for refund in chosen:
        assert refund.transaction.reference in asked
    assert "3 refunds are marked as paid back." in page.content.decode()
    assert set(
        Refund.objects.filter(pk__in=[r.pk for r in chosen]).values_list("status", "reference")
    ) == {("done", "run 17")}


@pytest.mark.parametrize(
    ("name", "said", "before", "after"),
    [
        ("waive_chosen", {"note": "vouchers"}, None, "waived"),
        ("reopen_chosen", {"reason": "came back"}, refunds.settle, "owed"),
        ("verify_chosen", {}, None, "owed"),
    ],
)
def test_the_other_ways_for_many(venue, name, said, before, after):
    chosen = some_refunds(venue, 2)
    if before:
        m.change(before, *chosen)
    if name == "verify_chosen":
        Refund.objects.update(verified=False)

    choose(as_role(venue, "owner"), name, chosen, confirmed="yes", **said)

    for refund in chosen:
        refund.refresh_from_db()
        assert (refund.status, refund.verified) == (after, True)


@pytest.mark.django_db(transaction=True)
def test_one_that_was_settled_meanwhile_stops_them_all_and_says_which(venue):
    first, second = some_refunds(venue, 2)
    m.change(refunds.settle, first)

    page = choose(
        as_role(venue, "owner"), "settle_chosen", [first, second], confirmed="yes", reference="x"
    ).content.decode()

    assert first.transaction.reference in page
    assert "Nothing was changed." in page
    second.refresh_from_db()
    assert second.status == "owed"


def test_many_pass_over_what_is_another_organisation_s(venue, foreign):
    (mine,) = some_refunds(venue, 1)
    (theirs,) = some_refunds(foreign, 1)

    choose(as_role(venue, "owner"), "settle_chosen", [mine, theirs], confirmed="yes", reference="x")

    mine.refresh_from_db()
    theirs.refresh_from_db()
    assert (mine.status, theirs.status) == ("done", "owed")


# The dashboard


@pytest.mark.parametrize("role", ROLES)
def test_the_dashboard_says_what_is_owed(venue, role):
    client = as_role(venue, role)
    assert "To be paid back" not in client.get(reverse("admin:index")).content.decode()
    some_refunds(venue, 2)
    m.cancel_order(m.under_review(venue.resource, hours=72))

    text = client.get(reverse("admin:index")).content.decode()

    if role == "provider":
        assert "To be paid back" not in text
    else:
        assert "60.00\N{NO-BREAK SPACE}EUR" in text
        assert "3 refunds, 1 not seen yet" in text


# The policy


def policy_form(**fields):
    return {
        "cancellation_policy-TOTAL_FORMS": 1,
        "cancellation_policy-INITIAL_FORMS": 0,
        **{f"cancellation_policy-0-{name}": value for name, value in fields.items()},
    }


def test_managers_say_what_cancelling_costs_on_the_page_of_the_resource(venue):
    client = as_role(venue, "manager")
    terms = {"free_until_minutes": 2880, "fee_percent": "25", "least_fee": "3.00"}

    sent = resource_form(venue.resource, **RULES | policy_form(**terms))
    answer = client.post(address(venue.resource, "change"), sent)

    assert answer.status_code == 302, answer.context["errors"]
    made = CancellationPolicy.objects.get()
    assert (made.resource, made.organization) == (venue.resource, venue.organization)
    assert made.free_until_minutes == 2880
    assert (made.fee_percent, made.least_fee) == (Decimal(25), Decimal(3))


def test_the_policy_is_changed_and_taken_away(venue):
    m.set_policy(venue.resource, free_until_minutes=60, fee_percent=Decimal(10))
    client = as_role(venue, "manager")
    found = policy_form(
        resource=venue.resource.pk, free_until_minutes=60, fee_percent="20", least_fee="0"
    ) | {"cancellation_policy-INITIAL_FORMS": 1}

    client.post(address(venue.resource, "change"), resource_form(venue.resource, **found))
    assert CancellationPolicy.objects.get().fee_percent == 20
    gone = found | {"cancellation_policy-0-DELETE": "on"}
    client.post(address(venue.resource, "change"), resource_form(venue.resource, **gone))

    assert not CancellationPolicy.objects.exists()


@pytest.mark.parametrize("fee", ["-1", "101", "lots"])
def test_a_fee_that_cannot_be_is_said_at_its_field(venue, fee):
    sent = policy_form(free_until_minutes=60, fee_percent=fee, least_fee="0")

    answer = as_role(venue, "manager").post(
        address(venue.resource, "change"), resource_form(venue.resource, **sent)
    )

    assert answer.status_code == 200
    assert not CancellationPolicy.objects.exists()


def test_the_front_desk_reads_the_policy_and_cannot_change_it(venue):
    m.set_policy(venue.resource, free_until_minutes=60, fee_percent=Decimal(10))
    client = as_role(venue, "front_desk")

    page = client.get(address(venue.resource, "change"))
    sent = resource_form(venue.resource) | policy_form(fee_percent="0")

    assert "Cancellation polic" in page.content.decode()
    assert client.post(address(venue.resource, "change"), sent).status_code == 403
    assert CancellationPolicy.objects.get().fee_percent == 10


def test_whether_customers_may_cancel_is_a_rule_of_the_resource(venue):
    sent = resource_form(venue.resource)
    del sent["customers_may_cancel"]

    as_role(venue, "manager").post(address(venue.resource, "change"), sent)

    venue.resource.refresh_from_db()
    assert not venue.resource.customers_may_cancel
    assert Booking.objects.count() == CartItem.objects.count() == 1


# What is due


def test_review_and_desk_ask_for_what_is_left_of_an_order(venue):
    late_proof = m.ordered(venue.resource, 2, hours=48)
    m.cancel(m.bookings_of(late_proof)[0])
    f.submit_proof(late_proof, amount=Decimal("20.00"))
    at_desk = m.on_arrival(venue.resource, 2, hours=60)
    m.cancel(m.bookings_of(at_desk)[0])
    client = as_role(venue, "manager")

    queue = client.get(reverse("admin:payments_review"))
    order = client.get(address(late_proof, "change"))
    desk = client.get(address(at_desk, "change")).content.decode()
    taken = client.post(reverse("admin:payments_take", args=[at_desk.pk]), follow=True)

    (row,) = [r for r in queue.context["rows"] if r.transaction.pk == late_proof.pk]
    assert (row.amount.kind, order.context["amount"].kind) == ("match", "match")
    assert "20.00\N{NO-BREAK SPACE}EUR was paid on arrival" in desk
    assert "20.00\N{NO-BREAK SPACE}EUR was taken" in taken.content.decode()
