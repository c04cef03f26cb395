"""Transactions over HTTP: follow, decide, cancel, take payment. Serves A4, A5, A7, B10, B11."""

from __future__ import annotations

import pytest

from bookings.models import Slot
from payments.models import CartTransaction
from tests import factories as f
from tests.api.client import new_key

pytestmark = pytest.mark.django_db


def act(place, transaction, word, *, role="manager", **body):
    headers = {"If-Match": "*"} if word == "cancel" else {}
    path = f"transactions/{transaction.pk}/{word}/"
    return place.as_role(role).post(path, body, headers=headers)


def read(place, transaction):
    return place.as_role("manager").get(f"transactions/{transaction.pk}/")


def test_an_approval_confirms_every_booking_and_gives_each_its_code(world):
    transaction, proof = world.here.submitted(3)

    answer = act(world.here, transaction, "approve", reason="Seen on the account")

    assert (answer.data["status"], answer.data["payment_status"]) == ("approved", "paid")
    assert answer.data["decision_reason"] == "Seen on the account"
    assert answer.data["decided_by"]
    assert {b["status"] for b in answer.data["bookings"]} == {"confirmed"}
    assert [p["status"] for p in answer.data["proofs"]] == ["accepted"]
    mine = world.here.as_customer().get(f"transactions/{transaction.pk}/").data["bookings"]
    assert len({b["check_in_code"] for b in mine}) == 3
    assert proof.transaction == transaction


def test_a_rejection_gives_the_seats_back(world):
    transaction, _ = world.here.submitted(2)

    answer = act(world.here, transaction, "reject", reason="Unreadable")

    assert (answer.data["status"], answer.data["payment_status"]) == ("rejected", "failed")
    assert answer.data["decision_reason"] == "Unreadable"
    assert {b["status"] for b in answer.data["bookings"]} == {"rejected"}
    assert set(Slot.objects.values_list("taken_bookings", flat=True)) == {0}


def test_a_cancellation_cancels_every_booking(world):
    transaction = world.here.approved(2)

    answer = world.here.as_customer().post(
        f"transactions/{transaction.pk}/cancel/",
        {"reason": "Ill"},
        headers={"If-Match": f'"v{transaction.version}"'},
    )

    assert answer.data["status"] == "cancelled"
    assert {b["status"] for b in answer.data["bookings"]} == {"cancelled"}


def test_a_cancellation_says_which_version_was_seen(world):
    transaction = world.here.approved(2)

    answer = world.here.as_customer().post(
        f"transactions/{transaction.pk}/cancel/", {"reason": "Ill"}
    )

    assert answer.problem() == (428, "precondition_required")
    transaction.refresh_from_db()
    assert transaction.status == "approved"


def test_payment_on_arrival_is_taken_once(world):
    transaction = f.approve(world.here.transaction(method="pay_on_arrival"))

    first = act(world.here, transaction, "take-payment", role="front_desk", note="cash")
    second = act(world.here, transaction, "take-payment", role="front_desk")

    assert first.data["payment_status"] == "paid"
    assert first.data["paid_at"]
    assert second.problem() == (409, "not_payable")


@pytest.mark.parametrize(
    ("word", "body"),
    [
        ("approve", {}),
        ("reject", {"reason": "No"}),
        ("cancel", {"reason": "No"}),
    ],
)
def test_the_answer_of_a_decision_is_what_is_read_afterwards(world, word, body):
    transaction, _ = world.here.submitted(2)

    answer = act(world.here, transaction, word, **body)
    after = read(world.here, transaction)

    assert answer.status == 200, answer
    assert answer.data == after.data
    assert answer.headers["ETag"] == after.headers["ETag"] == f'"v{after.data["version"]}"'
    assert after.data["version"] > transaction.version


@pytest.mark.parametrize("word", ["approve", "reject", "cancel"])
def test_a_decision_on_what_somebody_changed_meanwhile_is_refused(world, word):
    transaction, _ = world.here.submitted()
    client = world.here.as_role("manager")
    seen = client.get(f"transactions/{transaction.pk}/").headers["ETag"]
    f.submit_proof(transaction)
    CartTransaction.objects.filter(pk=transaction.pk).update(note="changed")

    answer = client.post(
        f"transactions/{transaction.pk}/{word}/", {"reason": "x"}, headers={"If-Match": seen}
    )

    assert answer.problem() == (412, "stale_version")
    transaction.refresh_from_db()
    assert transaction.status == "under_review"


@pytest.mark.parametrize("word", ["reject", "cancel"])
@pytest.mark.parametrize(
    "reason", [None, "", " ", 1, [], {}, "x" * 1_001, "a\x00b", "\ud800", True]
)
def test_a_reason_is_asked_for_and_checked(world, word, reason):
    transaction, _ = world.here.submitted()
    before = CartTransaction.objects.values().get()

    answer = act(world.here, transaction, word, reason=reason)

    assert answer.problem() == (400, "invalid")
    assert list(answer.data["errors"]) == ["reason"]
    assert CartTransaction.objects.values().get() == before


@pytest.mark.parametrize("word", ["approve", "take-payment"])
def test_these_need_no_body_at_all(world, word):
    if word == "approve":
        transaction, _ = world.here.submitted()
    else:
        transaction = f.approve(world.here.transaction(method="pay_on_arrival"))
    client = world.here.as_role("manager")

    answer = client.send("POST", f"transactions/{transaction.pk}/{word}/", raw=b"")

    assert answer.status == 200, answer


def test_the_one_who_lost_the_race_is_told_who_won(world):
    transaction, _ = world.here.submitted()
    winner = world.here.staff("manager")
    world.here.client(winner).post(f"transactions/{transaction.pk}/approve/", {})

    answer = act(world.here, transaction, "reject", reason="No")

    assert answer.problem() == (409, "already_decided")
    assert str(winner.user) in answer.data["detail"]
    assert answer.data["transaction_status"] == "approved"


def test_staff_see_all_and_customers_their_own(world):
    mine = world.here.transaction()
    other = f.CustomerFactory(organization=world.here.organization)
    theirs = f.check_out(other, world.here.slot())

    def listed(client):
        return {t["id"] for t in client.get("transactions/").data["results"]}

    assert listed(world.here.as_customer()) == {str(mine.pk)}
    assert listed(world.here.client(other)) == {str(theirs.pk)}
    assert listed(world.here.as_role("reviewer")) == {str(mine.pk), str(theirs.pk)}
    assert listed(world.here.as_role("provider")) == set()


def test_transactions_are_filtered_by_status(world):
    pending = world.here.transaction()
    review, _ = world.here.submitted()
    approved = world.here.approved()
    client = world.here.as_role("manager")

    def listed(**query):
        return {t["id"] for t in client.get("transactions/", query=query).data["results"]}

    assert listed(status="pending") == {str(pending.pk)}
    assert listed(status="pending,under_review") == {str(pending.pk), str(review.pk)}
    assert listed(payment_status="paid") == {str(approved.pk)}
    assert listed(status="approved", payment_status="failed") == set()


@pytest.mark.parametrize(
    "query",
    [{"status": "open"}, {"status": ","}, {"payment_status": "maybe"}, {"stat": "pending"}],
)
def test_a_filter_that_cannot_be_is_refused(world, query):
    answer = world.here.as_role("manager").get("transactions/", query=query)

    assert answer.problem() == (400, "invalid")
    assert list(answer.data["errors"]) == list(query)


def test_instructions_are_shown_while_there_is_something_to_pay(world):
    from payments.models import PaymentPolicy

    PaymentPolicy.objects.create(organization=world.here.organization, instructions="Transfer")
    transaction, _ = world.here.submitted()
    path = f"transactions/{transaction.pk}/"

    assert world.here.as_customer().get(path).data["payment_instructions"] == "Transfer"
    act(world.here, transaction, "approve")
    assert world.here.as_customer().get(path).data["payment_instructions"] == ""


def test_a_refused_decision_is_kept_under_its_key_and_not_tried_again(world):
    transaction = world.here.approved()
    client, key = world.here.as_role("manager"), new_key()
    path = f"transactions/{transaction.pk}/approve/"

    first, second = client.post(path, {}, key=key), client.post(path, {}, key=key)

    assert first.problem() == (409, "already_decided")
    assert second.body == first.body
    assert second.headers["Idempotent-Replay"] == "true"
