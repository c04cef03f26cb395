"""Late payments in the admin: the list, the page and its choices; deadlines of reviews (F3, A3)."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from bookings.models import Booking
from payments.models import CartTransaction, LatePayment, Refund
from payments.services import expiry, late
from tests import factories as f
from tests.admin.conftest import (
    ROLES,
    Venue,
    as_role,
    make_venue,
    more_under_review,
    signed_in,
    staff,
)
from tests.invariants import assert_consistent

# Refusals end real transactions, and files stay only after real commits.
pytestmark = pytest.mark.django_db(transaction=True)

LIST = "admin:payments_latepayment_changelist"
HOUR = timedelta(hours=1)
QUEUE = "admin:payments_review"


def page(found: LatePayment) -> str:
    return reverse("admin:payments_latepayment_change", args=[found.pk])


def lost(venue: Venue, name: str = "Late Larry", *, count: int = 1, own=None) -> LatePayment:
    """Money that came too late, for bookings whose seats somebody else has by now."""
    customer = own or f.CustomerFactory(organization=venue.organization, name=name)
    number = CartTransaction.objects.count()
    slots = f.make_slots(venue.resource, count, start=f.soon(200 + 10 * number))
    made = f.check_out(customer, *slots)
    CartTransaction.objects.filter(pk=made.pk).update(due_at=timezone.now())
    assert expiry.expire_unpaid(actor=f.SYSTEM, now=timezone.now()) == 1
    f.check_out(f.CustomerFactory(organization=venue.organization), *slots)
    f.submit_proof(made, amount=Decimal("18.00"))
    return LatePayment.objects.select_related("transaction").get(transaction=made)


def decide(client, found: LatePayment, decision: str, **data):
    version = CartTransaction.objects.get(pk=found.transaction_id).version
    fields = {"decision": decision, "version": version, **data}
    return client.post(reverse("admin:payments_late_decide", args=[found.pk]), fields)


def status(found: LatePayment) -> str:
    return LatePayment.objects.get(pk=found.pk).status


def booking_of(found: LatePayment) -> Booking:
    return Booking.objects.get(cart_item__transaction=found.transaction_id)


# The list


def test_the_list_shows_what_waits_first_and_the_oldest_of_it(venue):
    newer, older = lost(venue, "New"), lost(venue, "Old")
    LatePayment.objects.filter(pk=older.pk).update(created_at=timezone.now() - 30 * HOUR)

    response = as_role(venue, "front_desk").get(reverse(LIST))

    rows = [r.pk for r in response.context["cl"].result_list]
    assert rows == [older.pk, newer.pk, venue.late_payment.pk]
    text = response.content.decode()
    for expected in ("1 day 6\N{NO-BREAK SPACE}h", "18.00", "20.00", "This slot is full.", "Old"):
        assert expected in text


def test_an_empty_list_says_what_will_be_here(venue):
    client = signed_in(f.MembershipFactory(role="manager").user)

    assert "No payment came too late" in client.get(reverse(LIST)).content.decode()


def test_the_list_costs_the_same_for_any_number(venue):
    client = as_role(venue, "manager")
    client.get(reverse(LIST))
    with CaptureQueriesContext(connection) as one:
        client.get(reverse(LIST))
    for _ in range(6):
        lost(venue)
    with CaptureQueriesContext(connection) as many:
        client.get(reverse(LIST))

    assert len(many) == len(one)


# The page


def test_the_page_shows_the_proof_beside_the_choices(venue):
    found = lost(venue)
    proof = found.proof
    other = f.make_slot(venue.resource, starts_at=booking_of(found).slot.starts_at + 3 * HOUR)
    venue.resource.prices.update(amount=Decimal("25.00"))

    text = as_role(venue, "reviewer").get(page(found)).content.decode()

    for expected in (
        reverse("admin:payments_proof_image", args=[proof.pk]),
        "This slot is full.",
        str(other.pk),
        "today 25.00\N{NO-BREAK SPACE}EUR, 5.00\N{NO-BREAK SPACE}EUR more",
        "Book these times",
        "Pay it back",
        "Keep it as credit",
        "Dismiss and tell the customer",
        "This cannot be undone",
    ):
        assert expected in text


def test_every_field_has_a_label_and_every_form_works_without_a_mouse(venue):
    found = lost(venue, count=2)

    text = as_role(venue, "manager").get(page(found)).content.decode()

    fields = set(re.findall(r'<(?:input|select|textarea) class="hf-input"[^>]* id="([^"]+)"', text))
    labels = set(re.findall(r'<label class="hf-label" for="([^"]+)"', text))
    assert len(fields) >= 5
    assert fields <= labels
    assert text.count("<summary") >= 3


def test_the_page_costs_the_same_for_one_booking_and_for_many(venue):
    client = as_role(venue, "manager")
    client.get(page(lost(venue)))
    counts = []
    for count in (1, 8):
        found = lost(venue, count=count)
        f.make_slots(venue.resource, 5, start=f.soon(230) + HOUR / 2 * count)
        with CaptureQueriesContext(connection) as captured:
            client.get(page(found))
        counts.append(len(captured))

    assert counts[0] == counts[1]


@pytest.mark.parametrize("role", ROLES)
def test_each_role_sees_and_decides_what_it_may(venue, role):
    found = lost(venue)
    client = as_role(venue, role)

    seen = client.get(page(found))
    answer = decide(client, found, "dismiss", reason="Nothing came.")

    if role == "provider":
        assert (seen.status_code, answer.status_code) in {(403, 404), (404, 404), (302, 404)}
        assert status(found) == "open"
    else:
        assert "Book after all" in seen.content.decode()
        assert answer.status_code == 302
        assert status(found) == "dismissed"


def test_whoever_may_look_but_not_decide_has_no_buttons(venue, monkeypatch):
    from bookings import permissions

    found = lost(venue)
    monkeypatch.setitem(
        permissions._granted,
        "reviewer",
        permissions._granted["reviewer"] - {"payments.resolve_latepayment"},
    )
    client = as_role(venue, "reviewer")

    assert "Book after all" not in client.get(page(found)).content.decode()
    assert decide(client, found, "dismiss", reason="x").status_code == 403
    assert status(found) == "open"


def test_another_organisation_s_is_not_there(venue, foreign):
    found = lost(foreign)
    client = as_role(venue, "owner")

    assert client.get(page(found)).status_code in (302, 404)
    assert decide(client, found, "dismiss", reason="x").status_code == 404
    assert status(found) == "open"


def test_nobody_decides_on_their_own(venue):
    manager = staff(venue, "manager")
    own = f.CustomerFactory(organization=venue.organization, user=manager)
    found = lost(venue, own=own)
    client = signed_in(manager)

    text = client.get(page(found)).content.decode()
    answer = decide(client, found, "dismiss", reason="x")

    assert "your own order" in text
    assert "Book after all" not in text
    assert answer.status_code == 409
    assert status(found) == "open"


# The choices


def test_another_time_is_booked_and_the_transaction_opens(venue):
    found = lost(venue)
    booking = booking_of(found)
    other = f.make_slot(venue.resource, starts_at=booking.slot.starts_at + 3 * HOUR)
    client = as_role(venue, "front_desk")

    answer = decide(client, found, "rebook", **{f"slot_{booking.pk}": other.pk, "note": "hi"})

    assert answer["Location"] == reverse(
        "admin:payments_carttransaction_change", args=[found.transaction_id]
    )
    assert status(found) == "reinstated"
    booking.refresh_from_db()
    assert (booking.slot_id, booking.status) == (other.pk, "pending")
    text = client.get(answer["Location"]).content.decode()
    assert "booked after all" in text
    assert_consistent()


def test_a_time_that_was_taken_meanwhile_is_refused_and_nothing_typed_is_lost(venue):
    found = lost(venue)
    booking = booking_of(found)
    other = f.make_slot(venue.resource, starts_at=booking.slot.starts_at + 3 * HOUR)
    f.check_out(f.CustomerFactory(organization=venue.organization), other)

    answer = decide(
        as_role(venue, "manager"),
        found,
        "rebook",
        **{f"slot_{booking.pk}": other.pk, "note": "as on the phone"},
    )

    text = answer.content.decode()
    assert answer.status_code == 409
    assert "This slot is full." in text
    assert "as on the phone" in text
    assert status(found) == "open"


@pytest.mark.parametrize("value", ["", "nonsense"])
def test_a_time_must_be_chosen(venue, value):
    found = lost(venue)

    answer = decide(
        as_role(venue, "manager"), found, "rebook", **{f"slot_{booking_of(found).pk}": value}
    )

    assert answer.status_code == 409
    assert "Choose a time for every booking." in answer.content.decode()
    assert status(found) == "open"


@pytest.mark.parametrize(("decision", "becomes"), [("refund", "refunded"), ("credit", "credited")])
def test_money_goes_back_only_if_somebody_has_seen_it(venue, decision, becomes):
    found = lost(venue)
    client = as_role(venue, "manager")

    unseen = decide(client, found, decision, amount="18.00", note="sorry")
    assert (unseen.status_code, status(found)) == (400, "open")
    assert 'value="sorry"' in unseen.content.decode()

    decide(client, found, decision, amount="18.00", seen="yes")

    assert status(found) == becomes
    assert Refund.objects.get().amount == Decimal(18)
    text = client.get(page(found)).content.decode()
    assert "18.00\N{NO-BREAK SPACE}EUR" in text
    assert "Pay it back" not in text
    assert_consistent()


@pytest.mark.parametrize("amount", ["", "much", "NaN", "1e400", "20.01", "-3"])
def test_an_amount_that_cannot_be_is_refused(venue, amount):
    found = lost(venue)

    answer = decide(as_role(venue, "manager"), found, "refund", amount=amount, seen="yes")

    assert answer.status_code == 409
    assert status(found) == "open"


def test_what_was_dismissed_can_be_opened_again(venue):
    found = lost(venue)
    client = as_role(venue, "manager")
    refused = decide(client, found, "dismiss", reason="")
    assert (refused.status_code, status(found)) == (409, "open")

    decide(client, found, "dismiss", reason="Nothing came.")
    text = client.get(page(found)).content.decode()
    assert "Open it again" in text
    assert "Nothing came." in text
    decide(client, found, "reopen", reason="It came.")

    assert status(found) == "open"
    assert_consistent()


def test_what_changed_while_the_page_was_open_is_not_decided(venue):
    found = lost(venue)
    client = as_role(venue, "manager")
    version = found.transaction.version

    f.submit_proof(found.transaction)
    answer = client.post(
        reverse("admin:payments_late_decide", args=[found.pk]),
        {"decision": "dismiss", "version": version, "reason": "Nothing came."},
    )

    assert answer.status_code == 409
    text = answer.content.decode()
    assert "something changed while the page was open" in text
    assert "Nothing came." in text
    assert status(found) == "open"


@pytest.mark.parametrize("sent", [{"decision": "x"}, {"decision": "dismiss", "version": "²"}, {}])
def test_nonsense_decides_nothing(venue, sent):
    found = lost(venue)

    answer = as_role(venue, "manager").post(
        reverse("admin:payments_late_decide", args=[found.pk]), sent
    )

    assert answer.status_code == 400
    assert status(found) == "open"


def test_the_database_and_the_service_have_the_last_word(venue):
    found = lost(venue)
    client = as_role(venue, "manager")
    late.dismiss(
        late_id=found.pk,
        organization_id=venue.organization.pk,
        reason="x",
        actor=f.SYSTEM,
        now=timezone.now(),
    )

    answer = decide(client, found, "refund", amount="1.00", seen="yes")

    assert answer.status_code == 409
    assert "This late payment is dismissed" in answer.content.decode()


# Where else it is seen


def test_dashboard_sidebar_and_transaction_lead_there(venue):
    found = lost(venue)
    client = as_role(venue, "front_desk")

    home = client.get(reverse("admin:index"))
    tile = next(t for t in home.context["tiles"] if t["name"] == "Late payments")
    assert (tile["figure"], tile["warn"]) == (1, True)
    listed = client.get(tile["url"]).context["cl"].result_list
    assert [r.pk for r in listed] == [found.pk]
    entries = [
        item
        for group in home.context["sidebar_navigation"]
        for item in group["items"]
        if item["title"] == "Late payments"
    ]
    assert [e["badge"] for e in entries] == ["1"]
    url = reverse("admin:payments_carttransaction_change", args=[found.transaction_id])
    assert page(found) in client.get(url).content.decode()


def test_where_none_waits_the_dashboard_says_nothing(venue):
    home = as_role(venue, "manager").get(reverse("admin:index"))

    assert "Late payments" not in [t["name"] for t in home.context["tiles"]]


# Deadlines of reviews


def due(found: CartTransaction, hours: float, *, told: int = 0) -> None:
    CartTransaction.objects.filter(pk=found.pk).update(
        review_due_at=timezone.now() + timedelta(hours=hours, minutes=1), escalations=told
    )


def test_the_queue_says_what_is_due_when_and_shows_what_is_overdue_first(venue):
    others = more_under_review(venue, 3)
    due(venue.transaction, 20)
    due(others[0], 3)
    due(others[1], -2)
    due(others[2], 22, told=2)
    CartTransaction.objects.filter(pk=others[2].pk).update(
        submitted_at=timezone.now() - timedelta(days=2)
    )

    rows = as_role(venue, "reviewer").get(reverse(QUEUE)).context["rows"]

    assert [r.transaction.pk for r in rows] == [
        others[2].pk,
        others[1].pk,
        others[0].pk,
        venue.transaction.pk,
    ]
    assert [r.late for r in rows] == [True, True, False, False]
    assert rows[0].deadline.startswith("overdue since ")
    assert rows[0].deadline.endswith(", managers told twice")
    assert rows[1].deadline.startswith("overdue since ")
    assert "told" not in rows[1].deadline
    assert rows[2].deadline == "due in 3\N{NO-BREAK SPACE}h 0\N{NO-BREAK SPACE}min"
    assert "managers told twice" in as_role(venue, "manager").get(reverse(QUEUE)).content.decode()


def test_the_page_says_it_too(venue):
    due(venue.transaction, -1, told=1)
    url = reverse("admin:payments_carttransaction_change", args=[venue.transaction.pk])

    assert "managers told once" in as_role(venue, "reviewer").get(url).content.decode()


def test_the_dashboard_says_how_many_are_overdue(venue):
    due(more_under_review(venue, 1)[0], 5, told=1)
    client = as_role(venue, "manager")

    tile = next(
        t
        for t in client.get(reverse("admin:index")).context["tiles"]
        if t["name"] == "Wait for review"
    )

    assert tile["note"].startswith("1 overdue, oldest: ")
    assert tile["warn"]


def test_after_a_decision_the_next_one_of_the_queue_opens(venue):
    others = more_under_review(venue, 2)
    due(venue.transaction, 1)
    due(others[0], 2)
    due(others[1], 3)
    client = as_role(venue, "reviewer")

    answer = client.post(
        reverse("admin:payments_decide", args=[others[0].pk]),
        {
            "decision": "approve",
            "queue": "1",
            "version": CartTransaction.objects.get(pk=others[0].pk).version,
        },
    )

    assert str(others[1].pk) in answer["Location"]


def test_a_venue_of_another_name_changes_nothing(venue):
    make_venue("Else")
    due(venue.transaction, 1)

    rows = as_role(venue, "reviewer").get(reverse(QUEUE)).context["rows"]

    assert [r.transaction.pk for r in rows] == [venue.transaction.pk]
