"""Staff pass on what a customer said on the phone to a proposed time (B6, B11, F1, F3)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from audit.history import trail_of
from bookings.models import Booking, Proposal
from bookings.services import reschedule as services
from payments.services import reschedule as money
from tests import factories as f
from tests.admin.conftest import as_role, signed_in, staff
from tests.admin.test_calendar_move import confirmed, place_of, taken

pytestmark = pytest.mark.django_db(transaction=True)


def propose(venue: Any, booking: Booking, **more: Any) -> Booking:
    money.propose(
        **more,
        booking_id=booking.pk,
        organization_id=booking.organization_id,
        slot_id=f.make_slot(booking.slot.resource, starts_at=f.soon(96)).pk,
        actor=f.actor_of(venue.membership),
        now=timezone.now(),
    )
    booking.refresh_from_db()
    return booking


@pytest.fixture
def proposed(venue) -> Booking:
    return propose(venue, confirmed(venue))


def address(booking: Booking, answer: str) -> str:
    return reverse("admin:calendar_answer", args=[booking.pk, answer])


def said(booking: Booking, **more: Any) -> dict[str, Any]:
    return {"version": booking.version, "note": "called at nine"} | more


@pytest.mark.parametrize("role", ["owner", "manager", "front_desk", "reviewer"])
@pytest.mark.parametrize("answer", ["accept", "decline"])
def test_the_answer_is_passed_on_and_the_history_says_how(venue, proposed, role, answer):
    old, new = proposed.slot, Proposal.objects.get().stand_in.slot
    client = as_role(venue, role)

    asked = client.get(address(proposed, answer)).content.decode()
    response = client.post(address(proposed, answer), said(proposed), follow=True)

    assert "This cannot be undone." in asked
    words = "Accepted for Mira Moved" if answer == "accept" else "Declined for Mira Moved"
    assert words in response.content.decode()
    at = new if answer == "accept" else old
    assert place_of(proposed)[:2] == (at.pk, "confirmed")
    assert taken(old) + taken(new) == 1
    line: Any = trail_of(Booking).objects.filter(id=proposed.pk).latest("history_id")
    assert line.actor_kind == "staff"
    assert "answered by phone: called at nine" in line.history_change_reason


def test_every_page_about_a_proposal_says_that_the_price_stays(venue):
    user = staff(venue, "provider")
    mine = f.ResourceFactory(organization=venue.organization, name="Mine", provider=user)
    f.PriceFactory(resource=mine, amount=20)
    booking = confirmed(venue, f.make_slot(mine, starts_at=f.soon(72)))
    f.PriceFactory(resource=mine, amount=25, priority=9)
    propose(venue, booking, accept_price=True)
    client = as_role(venue, "front_desk")
    own, move = (
        reverse(page, args=[booking.pk])
        for page in ("admin:bookings_booking_change", "admin:calendar_move")
    )

    for page in (own, move, address(booking, "accept")):
        text = client.get(page).content.decode()
        assert "The price stays 20.00 EUR, today it would be 25.00 EUR." in text
    assert "The price stays" not in client.get(address(booking, "decline")).content.decode()
    for page in (own, move):  # who sees no money reads no amount
        text = signed_in(user).get(page).content.decode()
        assert "The price stays as it was agreed." in text
        assert "25.00" not in text

    client.post(address(booking, "accept"), said(booking))

    assert place_of(booking)[1] == "confirmed"
    assert booking.cart_item.amount == Decimal("20.00")


def test_a_note_is_not_needed(venue, proposed):
    client = as_role(venue, "front_desk")

    assert client.post(address(proposed, "accept"), said(proposed, note="")).status_code == 302
    line: Any = trail_of(Booking).objects.filter(id=proposed.pk).latest("history_id")
    assert line.history_change_reason.endswith("answered by phone")


def test_the_ways_are_on_the_booking_and_where_it_is_moved(venue, proposed):
    client = as_role(venue, "front_desk")

    for page in ("admin:bookings_booking_change", "admin:calendar_move"):
        text = client.get(reverse(page, args=[proposed.pk])).content.decode()
        for answer in ("accept", "decline"):
            assert address(proposed, answer) in text
    other = confirmed(venue, f.make_slot(venue.resource, starts_at=f.soon(99)))
    text = client.get(reverse("admin:bookings_booking_change", args=[other.pk])).content.decode()
    assert "calendar/answer" not in text


@pytest.mark.parametrize("answer", ["accept", "decline"])
def test_nobody_answers_for_themselves(venue, answer):
    user = staff(venue, "manager")
    booking = confirmed(venue)
    type(booking.customer).objects.filter(pk=booking.customer_id).update(user=user)
    propose(venue, booking)
    client = signed_in(user)
    before = place_of(booking)

    assert client.get(address(booking, answer)).status_code == 403
    assert client.post(address(booking, answer), said(booking)).status_code == 403
    text = client.get(reverse("admin:bookings_booking_change", args=[booking.pk])).content.decode()
    assert "calendar/answer" not in text
    assert place_of(booking) == before


def test_who_may_not_move_a_booking_answers_for_nobody(venue):
    user = staff(venue, "provider")
    mine = f.ResourceFactory(organization=venue.organization, name="Mine", provider=user)
    booking = propose(venue, confirmed(venue, f.make_slot(mine, starts_at=f.soon(72))))
    before = place_of(booking)
    client = signed_in(user)

    assert client.post(address(booking, "accept"), said(booking)).status_code == 403
    assert place_of(booking) == before


@pytest.mark.parametrize("role", ["owner", "front_desk", "provider"])
def test_a_booking_of_another_organisation_is_not_there(venue, foreign, role):
    booking = propose(foreign, confirmed(foreign))
    before = place_of(booking)
    client = as_role(venue, role)

    assert client.get(address(booking, "accept")).status_code == 404
    assert client.post(address(booking, "accept"), said(booking)).status_code == 404
    assert place_of(booking) == before


def test_a_page_that_is_out_of_date_answers_nothing(venue, proposed):
    """Another time was proposed since: a yes to the first is none to the second."""
    client = as_role(venue, "front_desk")
    stale = said(proposed)
    services.withdraw(
        booking_id=proposed.pk,
        organization_id=proposed.organization_id,
        actor=f.SYSTEM,
        now=timezone.now(),
    )
    proposed.refresh_from_db()
    later = f.make_slot(venue.resource, starts_at=f.soon(120))
    services.propose(
        booking_id=proposed.pk,
        organization_id=proposed.organization_id,
        slot_id=later.pk,
        actor=f.SYSTEM,
        now=timezone.now(),
    )
    before = place_of(proposed)

    response = client.post(address(proposed, "accept"), stale)

    text = response.content.decode()
    assert "Nothing was done: somebody changed this booking" in text
    assert "called at nine" in text
    assert place_of(proposed) == before
    assert response.context["version"] == before[2]


def test_what_was_answered_meanwhile_is_said(venue, proposed):
    client = as_role(venue, "front_desk")
    services.decline(
        booking_id=proposed.pk,
        organization_id=proposed.organization_id,
        actor=f.SYSTEM,
        now=timezone.now(),
    )
    before = place_of(proposed)

    page = client.get(address(proposed, "accept")).content.decode()
    sent = client.post(address(proposed, "accept"), said(proposed))

    assert "There is nothing to answer." in page
    assert "No other time is proposed for this booking" in sent.content.decode()
    assert place_of(proposed) == before


@pytest.mark.parametrize("odd", [{"version": "x"}, {"version": ""}, {"note": "x" * 501}])
def test_what_makes_no_sense_changes_nothing(venue, proposed, odd):
    before = place_of(proposed)

    response = as_role(venue, "manager").post(address(proposed, "accept"), said(proposed, **odd))

    assert response.status_code == 200
    assert place_of(proposed) == before


def test_there_is_no_third_answer(venue, proposed):
    assert as_role(venue, "manager").get(address(proposed, "perhaps")).status_code == 404
