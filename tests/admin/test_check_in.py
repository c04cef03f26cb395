"""The check-in page: each answer has its own clear words (A8, F3)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from audit.history import trail_of
from bookings import codes
from bookings.models import Booking
from payments.services import cancellation, decisions
from tests import factories as f
from tests.admin.conftest import as_role, confirmed_today, signed_in, staff

pytestmark = pytest.mark.django_db(transaction=True)

PAGE = "admin:check_in"


def code_of(booking: Booking) -> str:
    return codes.derive(booking.pk, booking.check_in_code.nonce)


def scan(client, code: str):
    return client.post(reverse(PAGE), {"code": code}, follow=True)


def test_a_valid_code_lets_somebody_in_and_says_who_where_and_when(venue):
    booking = confirmed_today(venue)
    user = staff(venue, "front_desk")

    response = scan(signed_in(user), code_of(booking))

    text = response.content.decode()
    assert response.context["answer"].kind == "checked_in"
    assert "hf-answer-good" in text
    for expected in ("Come in", "Guest of Today", "Ours hall", "1 person"):
        assert expected in text
    booking.refresh_from_db()
    assert booking.status == "checked_in"
    line = trail_of(Booking)._default_manager.filter(id=booking.pk).latest("history_id")
    assert (line.actor_kind, line.actor_id) == ("staff", user.pk)


def test_a_code_is_read_with_dashes_spaces_and_in_small_letters(venue):
    booking = confirmed_today(venue)
    code = code_of(booking).lower()

    response = scan(as_role(venue, "front_desk"), f" {code[:8]}-{code[8:16]} {code[16:]} ")

    assert response.context["answer"].kind == "checked_in"


def test_a_used_code_says_when_it_was_used(venue):
    booking = confirmed_today(venue)
    client = as_role(venue, "front_desk")
    scan(client, code_of(booking))
    booking.refresh_from_db()

    response = scan(client, code_of(booking))

    text = response.content.decode()
    at = timezone.localtime(booking.checked_in_at, timezone.get_fixed_timezone(0))
    assert response.context["answer"].kind == "already_checked_in"
    assert "Already used" in text
    assert "Checked in already at" in text
    assert f"{at:%M}" in text
    assert "Guest of Today" in text


def test_reloading_the_answer_scans_nothing_again(venue):
    booking = confirmed_today(venue)
    client = as_role(venue, "front_desk")
    shown = scan(client, code_of(booking))
    address = shown.redirect_chain[-1][0]

    again = client.get(address)

    assert again.context["answer"].kind == "checked_in"
    assert "Already used" not in again.content.decode()


def test_a_forged_or_old_answer_is_not_shown(venue):
    client = as_role(venue, "front_desk")

    for answer in ("x", "checked_in", "WyJjaGVja2VkX2luIiwiIiwiIl0:1abc:forged"):
        response = client.get(reverse(PAGE), {"answer": answer})
        assert response.status_code == 200
        assert response.context["answer"] is None


def test_another_day_says_which(venue):
    slot = f.make_slot(venue.resource, starts_at=f.soon(96), max_bookings=5)
    made = f.approve(f.check_out(venue.customer, slot, method="pay_on_arrival"))
    booking = Booking.objects.get(cart_item__transaction=made)

    response = scan(as_role(venue, "front_desk"), code_of(booking))

    assert response.context["answer"].kind == "wrong_day"
    assert "This booking is for" in response.content.decode()
    assert "Another day" in response.content.decode()
    booking.refresh_from_db()
    assert booking.status == "confirmed"


def test_a_cancelled_booking_says_so(venue):
    booking = confirmed_today(venue)
    code = code_of(booking)
    cancellation.cancel_booking(
        booking_id=booking.pk,
        organization_id=venue.organization.pk,
        actor=f.SYSTEM,
        reason="closed",
        now=timezone.now(),
    )

    response = scan(as_role(venue, "front_desk"), code)

    assert response.context["answer"].kind == "booking_cancelled"
    assert "No longer valid" in response.content.decode()
    assert "hf-answer-bad" in response.content.decode()


@pytest.mark.parametrize("typed", ["", "WIFI:S:cafe;T:WPA;P:secret;;", "A" * 26, "<b>x</b>"])
def test_an_unknown_code_says_what_to_do(venue, typed):
    response = scan(as_role(venue, "front_desk"), typed)

    assert response.context["answer"].kind == "unknown_code"
    assert "Unknown code" in response.content.decode()
    assert "<b>x</b>" not in response.content.decode()


def test_a_booking_that_is_not_confirmed_is_found_by_its_reference_but_not_admitted(venue):
    client = as_role(venue, "front_desk")

    found = scan(client, venue.booking.reference.lower())
    answer = client.post(reverse(PAGE), {"booking": venue.booking.pk}, follow=True)

    assert found.context["answer"].kind == "found"
    assert "Check in without a code" not in found.content.decode()
    assert answer.context["answer"].kind == "not_confirmed"
    venue.booking.refresh_from_db()
    assert venue.booking.status == "pending"


def test_a_reference_finds_the_guest_who_is_then_let_in(venue):
    booking = confirmed_today(venue)
    client = as_role(venue, "front_desk")

    found = scan(client, booking.reference)
    assert "Check in without a code" in found.content.decode()
    booking.refresh_from_db()
    assert booking.status == "confirmed"

    done = client.post(reverse(PAGE), {"booking": booking.pk}, follow=True)
    assert done.context["answer"].kind == "checked_in"
    booking.refresh_from_db()
    assert booking.status == "checked_in"


def test_what_is_due_on_arrival_is_shown_and_taken(venue):
    booking = confirmed_today(venue)
    user = staff(venue, "front_desk")
    client = signed_in(user)

    shown = scan(client, code_of(booking))
    assert "20.00\N{NO-BREAK SPACE}EUR to be paid now" in shown.content.decode()

    paid = client.post(reverse("admin:check_in_pay"), {"booking": booking.pk}, follow=True)
    assert paid.context["answer"].kind == "paid"
    assert "to be paid now" not in paid.content.decode()
    booking.cart_item.transaction.refresh_from_db()
    assert booking.cart_item.transaction.payment_status == "paid"

    again = client.post(reverse("admin:check_in_pay"), {"booking": booking.pk}, follow=True)
    assert again.context["answer"].kind == "not_payable"


def test_who_takes_no_money_sends_the_guest_on(venue):
    venue.resource.provider = staff(venue, "provider")
    venue.resource.save()
    booking = confirmed_today(venue)
    client = signed_in(venue.resource.provider)

    text = scan(client, code_of(booking)).content.decode()
    answer = client.post(reverse("admin:check_in_pay"), {"booking": booking.pk})

    assert "Come in" in text
    assert "to be paid now" not in text  # providers see no money
    assert answer.status_code == 403
    booking.cart_item.transaction.refresh_from_db()
    assert booking.cart_item.transaction.payment_status == "pending"


def test_arrivals_of_today_are_listed_and_searched(venue):
    booking = confirmed_today(venue)
    client = as_role(venue, "front_desk")

    listed = client.get(reverse(PAGE)).context["arrivals"]
    found = client.get(reverse(PAGE), {"q": "guest of"}).context["arrivals"]
    nobody = client.get(reverse(PAGE), {"q": "somebody else"})

    assert [a["booking"].pk for a in listed] == [booking.pk]
    assert [a["booking"].pk for a in found] == [booking.pk]
    assert "Nobody of today has this name" in nobody.content.decode()


def test_who_came_in_the_last_hour_is_listed(venue):
    booking = confirmed_today(venue)
    client = as_role(venue, "front_desk")
    scan(client, code_of(booking))

    assert [r["booking"].pk for r in client.get(reverse(PAGE)).context["recent"]] == [booking.pk]

    Booking.objects.filter(pk=booking.pk).update(checked_in_at=timezone.now() - timedelta(hours=2))
    assert client.get(reverse(PAGE)).context["recent"] == []


def test_a_reviewer_does_not_scan(venue):
    booking = confirmed_today(venue)
    client = as_role(venue, "reviewer")

    assert client.post(reverse(PAGE), {"code": code_of(booking)}).status_code == 403
    booking.refresh_from_db()
    assert booking.status == "confirmed"


def test_the_page_needs_no_script(venue):
    text = as_role(venue, "front_desk").get(reverse(PAGE)).content.decode()

    assert 'name="code"' in text
    assert "autofocus" in text
    assert '<form class="hf-scan-form" method="post"' in text


def test_a_rejected_transaction_lets_nobody_in(venue):
    f.approve(venue.transaction)
    code = code_of(Booking.objects.select_related("check_in_code").get(pk=venue.booking.pk))
    decisions.cancel(
        transaction_id=venue.transaction.pk,
        organization_id=venue.organization.pk,
        actor=f.SYSTEM,
        reason="double",
        now=timezone.now(),
    )

    assert scan(as_role(venue, "front_desk"), code).context["answer"].kind == "booking_cancelled"


def test_whoever_is_still_to_come_stands_above_those_who_are_here(venue):
    early, late = confirmed_today(venue), confirmed_today(venue)
    client = as_role(venue, "front_desk")
    scan(client, code_of(early))

    shown = client.get(reverse(PAGE)).context["arrivals"]

    assert [(one["booking"].pk, one["ready"]) for one in shown] == [
        (late.pk, True),
        (early.pk, False),
    ]


def test_nobody_takes_the_payment_of_their_own_order(venue):
    booking = confirmed_today(venue)
    user = staff(venue, "manager")
    booking.customer.user = user
    booking.customer.save()

    response = signed_in(user).post(
        reverse("admin:check_in_pay"), {"booking": str(booking.pk)}, follow=True
    )

    assert "nobody decides on their own order" in response.content.decode()
    assert "Paid</h2>" not in response.content.decode()
    booking.cart_item.transaction.refresh_from_db()
    assert booking.cart_item.transaction.payment_status == "pending"
