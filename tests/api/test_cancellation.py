"""What cancelling costs is shown, accepted and owed back, over HTTP (A7, B9, F2)."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from bookings.models import Resource
from payments.models import CancellationPolicy, CartItem, Refund
from payments.services import refunds
from tests import factories as f
from tests.api.client import new_key
from tests.api.test_statements import counted
from tests.api.world import booking_of
from tests.payments import money as m

pytestmark = pytest.mark.django_db


def test_slots_carts_and_orders_say_what_cancelling_costs(world):
    here = world.here
    resource = f.ResourceFactory(organization=here.organization, cancel_until_minutes=60)
    f.PriceFactory(resource=resource)
    CancellationPolicy.objects.create(
        resource=resource,
        organization=here.organization,
        free_until_minutes=1440,
        least_fee=Decimal("7.50"),
    )
    slot = here.slot(resource=resource)
    client = here.as_customer()

    (listed,) = client.get("slots/", query={"resource": str(resource.pk)}).data["results"]
    item = client.post("cart/items/", {"slot": str(slot.pk)}).data
    cart = client.get("cart/").data

    for found in (listed, item, cart["items"][0]):
        terms = found["cancellation"]
        assert terms["late_fee"] == "7.50"
        assert terms["free_until"] == (slot.starts_at - timedelta(days=1)).strftime(
            "%Y-%m-%dT%H:%M:%SZ"
        )
        assert terms["possible_until"] == (slot.starts_at - timedelta(hours=1)).strftime(
            "%Y-%m-%dT%H:%M:%SZ"
        )


def test_where_only_staff_cancel_the_terms_say_so(world):
    resource = f.ResourceFactory(organization=world.here.organization, customers_may_cancel=False)
    world.here.slot(resource=resource)
    client = world.here.as_customer()

    (listed,) = client.get("slots/", query={"resource": str(resource.pk)}).data["results"]
    rules = client.get(f"resources/{resource.pk}/").data["rules"]

    assert listed["cancellation"] == {
        "possible_until": None,
        "free_until": None,
        "late_fee": "0.00",
    }
    assert rules["customers_may_cancel"] is False


def test_a_fee_is_shown_then_accepted(world):
    made = world.here.late()
    booking, client = booking_of(made), world.here.as_customer()
    path = f"bookings/{booking.pk}"

    shown = client.get(f"{path}/cancellation/").data
    refused = client.post(f"{path}/cancel/", {"reason": "Ill"}, headers={"If-Match": "*"})
    done = client.post(
        f"{path}/cancel/", {"reason": "Ill", "fee": shown["fee"]}, headers={"If-Match": "*"}
    )

    assert shown["may_cancel"]
    assert (shown["fee"], shown["refund"], shown["currency"]) == ("10.00", "10.00", "EUR")
    assert refused.problem() == (409, "fee_due")
    assert {k: refused.data[k] for k in ("fee", "refund", "currency")} == {
        k: shown[k] for k in ("fee", "refund", "currency")
    }
    assert done.status == 200
    assert (done.data["fee"], done.data["refund"]) == ("10.00", "10.00")
    (refund,) = client.get(f"transactions/{made.pk}/").data["refunds"]
    assert (refund["amount"], refund["status"], refund["verified"]) == ("10.00", "owed", True)
    assert refund["settled_by"] is None


def test_staff_see_and_keep_the_fee(world):
    made = world.here.late()
    client, path = world.here.as_role("front_desk"), f"bookings/{booking_of(made).pk}"

    free = client.get(f"{path}/cancellation/").data
    kept = client.get(f"{path}/cancellation/?keep_fee=true").data
    client.post(f"{path}/cancel/", {"reason": "No", "keep_fee": True}, headers={"If-Match": "*"})

    assert (free["fee"], free["refund"], free["late_fee"]) == ("0.00", "20.00", "10.00")
    assert (kept["fee"], kept["refund"]) == ("10.00", "10.00")
    assert CartItem.objects.get(transaction=made).fee == 10


def test_what_a_whole_order_costs_is_the_sum_of_its_bookings(world):
    made = world.here.late(count=3)
    client, path = world.here.as_customer(), f"transactions/{made.pk}"

    shown = client.get(f"{path}/cancellation/").data
    done = client.post(
        f"{path}/cancel/", {"reason": "Ill", "fee": shown["fee"]}, headers={"If-Match": "*"}
    )

    assert (shown["fee"], shown["refund"]) == ("30.00", "30.00")
    assert [b["fee"] for b in shown["bookings"]] == ["10.00"] * 3
    assert done.data["status"] == "cancelled"
    assert [r["amount"] for r in done.data["refunds"]] == ["30.00"]


@pytest.mark.parametrize("path", ["bookings/{b}/cancellation/", "transactions/{t}/cancellation/"])
def test_what_cannot_be_cancelled_says_with_which_problem(world, path):
    made = world.here.transaction()
    path = path.format(b=booking_of(made).pk, t=made.pk)
    Resource.objects.update(cancel_until_minutes=60 * 24 * 30)

    mine = world.here.as_customer().get(path).data
    staff = world.here.as_role("manager").get(path).data

    assert (mine["may_cancel"], mine["problem"]) == (False, "too_late")
    assert "before the start" in mine["reason"]
    assert (staff["may_cancel"], staff["problem"], staff["reason"]) == (True, None, "")

    m.cancel_order(made)
    over = world.here.as_customer().get(path).data
    assert over["problem"] in ("booking_over", "already_decided")


@pytest.mark.parametrize("fee", ["ten", "1.234", True, [], "1e3"])
def test_a_fee_is_an_amount(world, fee):
    booking = booking_of(world.here.late())

    answer = world.here.as_customer().post(
        f"bookings/{booking.pk}/cancel/", {"reason": "Ill", "fee": fee}, headers={"If-Match": "*"}
    )

    assert answer.problem() == (400, "invalid")
    assert list(answer.data["errors"]) == ["fee"]


def test_another_fee_is_another_request(world):
    booking, key = booking_of(world.here.late()), new_key()
    client, path = world.here.as_customer(), f"bookings/{booking.pk}/cancel/"
    send = {"headers": {"If-Match": "*"}, "key": key}

    client.post(path, {"reason": "Ill", "fee": "10.00"}, **send)
    other = client.post(path, {"reason": "Ill", "fee": "9.00"}, **send)

    assert other.problem() == (422, "idempotency_key_reused")


def test_a_rejection_can_say_that_the_money_came(world):
    made, _ = world.here.submitted(2)

    answer = world.here.as_role("reviewer").post(
        f"transactions/{made.pk}/reject/", {"reason": "Closed", "refund": True}
    )

    assert (answer.data["status"], answer.data["payment_status"]) == ("rejected", "paid")
    assert [r["amount"] for r in answer.data["refunds"]] == ["40.00"]
    assert [b["refund"] for b in answer.data["bookings"]] == ["20.00"] * 2


def test_a_booking_says_what_counts_for_it_also_after_a_move(world):
    made = world.here.late()
    booking = booking_of(made)
    client, path = world.here.as_customer(), f"bookings/{booking.pk}"
    before = client.get(f"{path}/")
    quote = client.get(f"{path}/cancellation/").data
    terms = before.data["cancellation"]
    assert terms["late_fee"] == "10.00"
    assert {k: quote[k] for k in ("possible_until", "free_until")} == {
        k: terms[k] for k in ("possible_until", "free_until")
    }

    other = world.here.slot(resource=booking.slot.resource, starts_at=f.soon(24 * 20))
    moved = client.post(
        f"{path}/reschedule/",
        {"slot": str(other.pk)},
        headers={"If-Match": before.headers["ETag"]},
    )

    assert moved.data["cancellation"]["free_until"] == terms["free_until"]
    assert moved.data["cancellation"]["possible_until"] > terms["possible_until"]
    assert client.get(f"{path}/cancellation/").data["fee"] == "10.00"


def test_money_by_hand_is_in_the_order_and_in_the_list(world):
    made = world.here.approved()
    client = world.here.as_role("reviewer")
    path = f"transactions/{made.pk}"

    answer = client.post(f"{path}/give-back/", {"amount": "20.00", "reason": "Paid twice"})

    (refund,) = answer.data["refunds"]
    assert (refund["amount"], refund["by_hand"], refund["reason"]) == ("20.00", True, "Paid twice")
    mine = world.here.as_customer()
    assert [r["id"] for r in mine.get(f"{path}/").data["refunds"]] == [refund["id"]]
    listed = mine.get("transactions/").data["results"]
    assert [r["id"] for t in listed for r in t["refunds"]] == [refund["id"]]
    assert [r["id"] for r in mine.get("refunds/").data["results"]] == [refund["id"]]
    too_much = client.post(f"{path}/give-back/", {"amount": "0.01", "reason": "More"})
    assert too_much.problem() == (400, "invalid")
    assert client.post(f"{path}/give-back/", {"reason": "More"}).problem() == (400, "invalid")


# Refunds


def test_each_sees_what_is_theirs_to_see(world):
    refund = world.here.refund()
    m.change(refunds.waive, refund, note="came back twice")
    path = "refunds/"

    (mine,) = world.here.as_customer().get(path).data["results"]
    (staff,) = world.here.as_role("front_desk").get(path).data["results"]

    assert (mine["note"], mine["settled_by"]) == ("", None)
    assert (staff["note"], staff["settled_by"]) == ("came back twice", "test")
    assert staff["transaction_reference"] == refund.transaction.reference
    for who in (world.here.as_role("provider"), world.here.as_other_customer()):
        assert who.get(path).data["results"] == []


def test_refunds_are_filtered_by_status_and_come_in_pages(world):
    found = [world.here.refund() for _ in range(3)]
    m.change(refunds.settle, found[0])
    client = world.here.as_role("manager")

    owed = client.get("refunds/", query={"status": "owed", "page_size": 1}).data
    rest = client.get(owed["next"].removeprefix("http://testserver")).data
    settled = client.get("refunds/", query={"status": "done,waived"}).data

    assert [r["id"] for r in owed["results"] + rest["results"]] == [
        str(found[2].pk),
        str(found[1].pk),
    ]
    assert [r["id"] for r in settled["results"]] == [str(found[0].pk)]
    assert client.get("refunds/", query={"status": "lost"}).problem() == (400, "invalid")


def test_a_refund_goes_from_unseen_to_paid_back(world):
    refund = world.here.refund(seen=False)
    client, path = world.here.as_role("reviewer"), f"refunds/{refund.pk}"

    assert client.post(f"{path}/verify/").data["verified"] is True
    done = client.post(f"{path}/settle/", {"reference": "SEPA 1"}).data
    assert (done["status"], done["reference"]) == ("done", "SEPA 1")
    again = client.post(f"{path}/reopen/", {"reason": "Wrong account"}).data
    assert (again["status"], again["reference"], again["settled_at"]) == ("owed", "", None)
    waived = client.post(f"{path}/waive/", {"note": "They want none"}).data
    assert (waived["status"], waived["note"]) == ("waived", "They want none")
    assert Refund.objects.get().settled_at <= timezone.now()


@pytest.mark.parametrize("count", [1, 12])
def test_a_list_of_refunds_takes_the_same_for_any_number(world, count):
    for _ in range(count):
        world.here.refund()
    client = world.here.as_role("manager")

    with counted() as statements:
        answer = client.get("refunds/")

    assert len(answer.data["results"]) == count
    assert len(statements) == 3, statements


def test_what_is_due_is_less_once_a_part_is_cancelled(world):
    made, _ = world.here.submitted(2)
    other = world.here.transaction(3)
    m.cancel(m.bookings_of(other)[0])
    client = world.here.as_customer()

    def due(found):
        answer = client.get(f"transactions/{found.pk}/").data
        return answer["amount"], answer["amount_due"]

    assert due(made) == ("40.00", "40.00")
    assert due(other) == ("60.00", "40.00")
    f.approve(made)
    m.cancel_order(other)
    assert due(made) == ("40.00", "0.00")
    assert due(other) == ("60.00", "0.00")
