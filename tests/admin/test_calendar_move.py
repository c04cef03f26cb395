"""Staff move a booking or propose another time, and lose no seat by it (B6, B11, F3)."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.urls import reverse
from django.utils import timezone

from audit.history import trail_of
from bookings.models import Booking, Proposal, Slot
from bookings.services import reschedule as services
from tests import factories as f
from tests.admin.conftest import as_role, signed_in, staff

pytestmark = pytest.mark.django_db(transaction=True)

BERLIN = ZoneInfo("Europe/Berlin")


def confirmed(venue: Any, slot: Slot | None = None) -> Booking:
    slot = slot or f.make_slot(venue.resource, starts_at=f.soon(72))
    made = f.check_out(
        f.CustomerFactory(organization=venue.organization, name="Mira Moved"),
        slot,
        method="pay_on_arrival",
    )
    if made.status != "approved":  # what is free is confirmed at once
        f.approve(made)
    booking: Booking = Booking.objects.select_related("slot").get(cart_item__transaction=made)
    return booking


def address(booking: Booking) -> str:
    return reverse("admin:calendar_move", args=[booking.pk])


def asked(booking: Booking, slot: Slot, step: str = "move", **more: Any) -> dict[str, Any]:
    return {
        "step": step,
        "slot": slot.pk,
        "version": booking.version,
        "reason": "the court is flooded",
    } | more


def place_of(booking: Booking) -> tuple[Any, str, int]:
    booking.refresh_from_db()
    return booking.slot_id, booking.status, booking.version


def taken(slot: Slot) -> int:
    slot.refresh_from_db()
    return slot.taken_bookings


@pytest.mark.parametrize("role", ["manager", "front_desk"])
def test_a_booking_is_moved_with_the_reason_in_its_history(venue, role):
    booking = confirmed(venue)
    old, new = booking.slot, f.make_slot(venue.resource, starts_at=f.soon(96))
    client = as_role(venue, role)

    response = client.post(address(booking), asked(booking, new), follow=True)

    assert place_of(booking)[:2] == (new.pk, "confirmed")
    assert (taken(old), taken(new)) == (0, 1)
    assert "Mira Moved is moved to" in response.content.decode()
    trail: Any = trail_of(Booking)
    line = trail.objects.filter(id=booking.pk).latest("history_id")
    assert (line.actor_kind, line.history_change_reason) == ("staff", "the court is flooded")


def test_the_page_shows_times_with_room_and_what_they_cost_beside_the_price(venue):
    booking = confirmed(venue)
    dear = f.ResourceFactory(organization=venue.organization, name="Dear hall")
    f.PriceFactory(resource=dear, amount=Decimal("25.00"))
    start = booking.slot.starts_at
    open_slot = f.make_slot(dear, starts_at=start)
    full = f.make_slot(dear, starts_at=start + timedelta(hours=1), minutes=30)
    f.hold(venue.customer, full)
    day = start.astimezone(BERLIN).date().isoformat()

    response = as_role(venue, "manager").get(address(booking), {"resource": dear.pk, "day": day})

    shown = {c.slot.pk: c for c in response.context["picker"].choices}
    assert shown[open_slot.pk].fits
    assert shown[open_slot.pk].difference == "5.00\xa0EUR more"
    same_day = (start + timedelta(hours=1)).astimezone(BERLIN).date() == start.astimezone(
        BERLIN
    ).date()
    assert not same_day or not shown[full.pk].fits
    assert [r.name for r in response.context["resources"]][:2] == ["Ours hall", "Dear hall"]


def test_a_time_of_another_price_needs_a_tick_and_keeps_what_was_agreed(venue):
    booking = confirmed(venue)
    old = booking.slot
    dear = f.ResourceFactory(organization=venue.organization, name="Dear hall")
    f.PriceFactory(resource=dear, amount=Decimal("25.00"))
    new = f.make_slot(dear, starts_at=f.soon(96))
    client = as_role(venue, "manager")
    before = place_of(booking)

    refused = client.post(address(booking), asked(booking, new))

    assert place_of(booking) == before
    text = refused.content.decode()
    assert "the booking costs 20.00, and that time costs 25.00 EUR" in text
    assert "the court is flooded" in text  # nothing typed is lost

    client.post(address(booking), asked(booking, new, keep_price="on"))

    assert place_of(booking)[0] == new.pk
    assert booking.cart_item.amount == Decimal("20.00")
    assert (taken(old), taken(new)) == (0, 1)


def test_a_page_that_is_out_of_date_moves_nothing_and_says_so(venue):
    booking = confirmed(venue)
    first, second = (f.make_slot(venue.resource, starts_at=f.soon(h)) for h in (96, 120))
    client = as_role(venue, "manager")
    stale = asked(booking, second)
    client.post(address(booking), asked(booking, first))
    moved = place_of(booking)

    response = client.post(address(booking), stale)

    assert place_of(booking) == moved
    assert "Nothing was done: somebody changed this booking" in response.content.decode()
    assert response.context["typed"]["version"] == moved[2]
    assert taken(second) == 0
    client.post(address(booking), asked(booking, second, version=moved[2]))
    assert place_of(booking)[0] == second.pk


def test_a_button_pressed_twice_moves_once_and_complains_about_nothing(venue):
    booking = confirmed(venue)
    new = f.make_slot(venue.resource, starts_at=f.soon(96))
    client = as_role(venue, "manager")
    sent = asked(booking, new)

    answers = [client.post(address(booking), sent) for _ in range(2)]

    assert [a.status_code for a in answers] == [302, 302]
    assert place_of(booking) == (new.pk, "confirmed", sent["version"] + 1)
    assert taken(new) == 1


def test_a_slot_without_room_is_refused_in_plain_words(venue):
    booking = confirmed(venue)
    full = f.make_slot(venue.resource, starts_at=f.soon(96))
    f.hold(venue.customer, full)
    before = place_of(booking)

    response = as_role(venue, "manager").post(address(booking), asked(booking, full))

    assert response.status_code == 200
    assert place_of(booking) == before
    assert response.context["form"].non_field_errors()
    assert "the court is flooded" in response.content.decode()
    assert taken(full) == 1


@pytest.mark.parametrize(("missing", "words"), [("slot", "Choose a time."), ("reason", "Say why")])
def test_what_is_missing_is_said_beside_it(venue, missing, words):
    booking = confirmed(venue)
    new = f.make_slot(venue.resource, starts_at=f.soon(96))
    before = place_of(booking)
    sent = asked(booking, new)
    sent[missing] = ""

    response = as_role(venue, "manager").post(address(booking), sent)

    assert words in response.content.decode()
    assert place_of(booking) == before


def test_another_time_is_proposed_and_both_are_held_until_it_is_taken_back(venue):
    booking = confirmed(venue)
    old, new = booking.slot, f.make_slot(venue.resource, starts_at=f.soon(96))
    client = as_role(venue, "front_desk")

    client.post(address(booking), asked(booking, new, "propose"))

    assert place_of(booking)[:2] == (old.pk, "reschedule_proposed")
    assert (taken(old), taken(new)) == (1, 1)
    proposal = Proposal.objects.get(booking=booking)
    assert (proposal.status, proposal.message) == ("open", "the court is flooded")
    page = client.get(address(booking)).content.decode()
    assert "is proposed already" in page
    assert "Move the booking" not in page

    client.post(
        address(booking),
        {"step": "withdraw", "version": booking.version, "reason": "dry again"},
    )

    assert place_of(booking)[:2] == (old.pk, "confirmed")
    assert (taken(old), taken(new)) == (1, 0)


def test_the_seats_of_a_proposal_are_shown_as_such_in_the_calendar(venue):
    booking = confirmed(venue)
    new = f.make_slot(venue.resource, starts_at=f.soon(96))
    services.propose(
        booking_id=booking.pk,
        organization_id=venue.organization.pk,
        slot_id=new.pk,
        actor=f.actor_of(venue.membership),
        now=timezone.now(),
    )
    day = new.starts_at.astimezone(BERLIN).date().isoformat()

    response = as_role(venue, "manager").get(reverse("admin:calendar"), {"day": day})

    (block,) = response.context["columns"][0]["blocks"]
    assert [(p.name, p.words, p.move_url) for p in block.people] == [
        ("Mira Moved", "proposed time", "")
    ]


@pytest.mark.parametrize("role", ["owner", "manager", "reviewer", "front_desk", "provider"])
def test_a_booking_of_another_organisation_cannot_be_moved(venue, foreign, role):
    booking = foreign.booking
    slot = f.make_slot(foreign.resource, starts_at=f.soon(96))
    own = f.make_slot(venue.resource, starts_at=f.soon(96))
    before = place_of(booking)
    client = as_role(venue, role)

    for target in (slot, own):
        assert client.get(address(booking)).status_code == 404
        assert client.post(address(booking), asked(booking, target)).status_code == 404
    assert place_of(booking) == before


def test_nobody_moves_a_booking_into_another_organisation(venue, foreign):
    booking = confirmed(venue)
    there = f.make_slot(foreign.resource, starts_at=f.soon(96))
    before = place_of(booking)

    response = as_role(venue, "owner").post(address(booking), asked(booking, there))

    assert response.status_code == 200
    assert place_of(booking) == before
    assert taken(there) == 0


def test_a_provider_proposes_times_of_their_own_and_moves_nobody(venue):
    user = staff(venue, "provider")
    mine = f.ResourceFactory(organization=venue.organization, name="Mine", provider=user)
    booking = confirmed(venue, f.make_slot(mine, starts_at=f.soon(72)))
    new = f.make_slot(mine, starts_at=f.soon(96))
    others = f.make_slot(venue.resource, starts_at=f.soon(96))
    before = place_of(booking)
    client = signed_in(user)

    assert client.post(address(booking), asked(booking, new)).status_code == 403
    client.post(address(booking), asked(booking, others, "propose"))
    assert place_of(booking) == before
    assert "Move the booking" not in client.get(address(booking)).content.decode()

    client.post(address(booking), asked(booking, new, "propose"))

    assert place_of(booking)[:2] == (before[0], "reschedule_proposed")
    assert (taken(new), taken(others)) == (1, 0)


def test_a_reviewer_moves_but_does_not_propose(venue):
    booking = confirmed(venue)
    new = f.make_slot(venue.resource, starts_at=f.soon(96))
    client = as_role(venue, "reviewer")
    before = place_of(booking)

    assert client.post(address(booking), asked(booking, new, "propose")).status_code == 403
    assert place_of(booking) == before
    assert client.post(address(booking), asked(booking, new)).status_code == 302
    assert place_of(booking)[0] == new.pk


def test_what_is_over_offers_no_move(venue):
    booking = confirmed(venue)
    Booking.objects.filter(pk=booking.pk).update(
        status="cancelled", ended_at=timezone.now(), ended_reason="ill"
    )

    page = as_role(venue, "manager").get(address(booking)).content.decode()

    assert "Only what is pending or confirmed can be moved." in page
    assert 'value="move"' not in page


@pytest.mark.parametrize("said", [{"day": "soon"}, {"slot": "x"}, {"resource": "\0"}])
def test_an_address_that_makes_no_sense_still_shows_the_page(venue, said):
    assert as_role(venue, "manager").get(address(confirmed(venue)), said).status_code == 200
