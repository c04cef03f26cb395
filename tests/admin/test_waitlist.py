"""The line as staff see it, and what they do about it (F3, A5)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from audit.context import Actor
from audit.errors import Forbidden
from bookings.admin.show import HARD
from tests import factories as f
from tests.admin.conftest import ROLES, as_role, signed_in
from tests.invariants import assert_consistent, refusal
from tests.waitlist.line import free, fresh, full_slot, join, somebody
from waitlist.models import Offer, WaitlistEntry
from waitlist.services import line

pytestmark = pytest.mark.django_db


def listed(client, **asked):
    return client.get(reverse("admin:waitlist_waitlistentry_changelist"), asked)


def page(entry):
    return reverse("admin:waitlist_waitlistentry_change", args=[entry.pk])


def press(client, button, entry, **typed):
    return client.post(
        reverse(f"admin:waitlist_waitlistentry_{button}", args=[entry.pk]),
        {"_form_submitted": "on", **typed},
        follow=True,
    )


@pytest.fixture
def resource(venue):
    return f.ResourceFactory(organization=venue.organization, name="Yoga")


def test_the_list_shows_who_is_in_line_in_their_order_with_place_and_offer(venue, resource):
    slot, _ = full_slot(resource, seats=2, starts_at=f.soon(72))
    large, small, last = join(slot, units=2), join(slot), join(slot)
    free(slot)

    response = listed(as_role(venue, "front_desk"))

    rows = list(response.context["cl"].result_list)
    assert [r.pk for r in rows] == [large.pk, small.pk, last.pk]
    text = response.content.decode()
    assert "1 time" in text
    assert "Needs 2 seats; 1 came free." in text
    assert f"11{HARD}h" in text
    assert [getattr(r, "position", None) for r in rows] == [1, None, 2]


def test_the_list_can_be_narrowed(venue, resource):
    slot, _ = full_slot(resource, starts_at=f.soon(72))
    first, second = join(slot), join(slot)
    free(slot)
    Offer.objects.update(expires_at=timezone.now() + timedelta(minutes=30))
    client = as_role(venue, "manager")

    def found(**asked):
        return {r.pk for r in listed(client, **asked).context["cl"].result_list}

    assert found() == {first.pk, second.pk}
    assert found(line="waiting") == {second.pk}
    assert found(line="offered") == found(line="soon") == {first.pk}
    assert found(line="over") == {venue.entry.pk}
    assert found(q=second.customer.name) == {second.pk}


def test_a_long_line_takes_the_statements_of_a_short_one(venue, resource):
    slot, _ = full_slot(resource)
    client = as_role(venue, "manager")
    join(slot), join(slot)
    taken = []
    for more in (0, 20):
        for _n in range(more):
            join(slot)
        with CaptureQueriesContext(connection) as queries:
            listed(client)
        taken.append(len(queries))

    assert taken[0] == taken[1]


def test_the_page_shows_the_whole_line_and_what_was_offered(venue, resource):
    slot, _ = full_slot(resource)
    first, second = join(slot), join(slot)
    free(slot)
    client = as_role(venue, "front_desk")

    text = client.get(page(second)).content.decode()
    offered = client.get(page(first)).content.decode()

    assert str(first.customer) in text
    assert "Nothing has been offered yet." in text
    assert Offer.objects.get().booking.reference in offered


def test_the_desk_moves_somebody_to_the_front_with_a_reason(venue, resource):
    slot, _ = full_slot(resource)
    _first, second = join(slot), join(slot)

    press(as_role(venue, "front_desk"), "place_this", second, position=1, reason="wheelchair")
    free(slot)

    assert fresh(second).status == "offered"
    reasons = WaitlistEntry.history.filter(id=second.pk).values_list(
        "history_change_reason", flat=True
    )
    assert "wheelchair" in list(reasons)
    assert_consistent()


@pytest.mark.django_db(transaction=True)
def test_the_desk_offers_seats_out_of_turn(venue, resource):
    slot, _ = full_slot(resource, seats=3)
    large, small = join(slot, units=3), join(slot, units=2)
    free(slot)
    third = join(slot, units=2)
    client = as_role(venue, "front_desk")

    refused = press(client, "offer_this", third, slot=slot.pk, reason="regular guest")
    assert "Only 1 left" in refused.content.decode()
    assert fresh(third).status == "waiting"

    line.close(
        entry_id=small.pk,
        organization_id=slot.organization_id,
        reason="x",
        actor=f.SYSTEM,
        now=timezone.now(),
    )
    window_entry = join_window(resource, slot)
    press(client, "offer_this", window_entry, slot=slot.pk, reason="regular guest")

    assert fresh(window_entry).status == "offered"
    offer = Offer.objects.get(entry=window_entry)
    assert offer.by_hand
    assert offer.offered_by
    assert fresh(large).status == "waiting"
    assert_consistent()


def join_window(resource, slot):
    """Somebody who waits for any time, joined while all were full."""
    return WaitlistEntry.objects.create(
        organization=resource.organization,
        customer=somebody(resource),
        resource=resource,
        from_at=slot.starts_at - timedelta(days=1),
        until_at=slot.ends_at + timedelta(days=1),
        joined_at=timezone.now(),
        placed_at=timezone.now(),
    )


def test_taking_somebody_out_passes_the_offer_on_and_needs_a_reason(venue, resource):
    slot, _ = full_slot(resource)
    first, second = join(slot), join(slot)
    free(slot)
    client = as_role(venue, "manager")

    press(client, "close_this", first, reason="")
    assert fresh(first).status == "offered"

    press(client, "close_this", first, reason="They called.")
    assert (fresh(first).status, first.ended_reason) == ("closed", "They called.")
    assert fresh(second).status == "offered"
    assert_consistent()


def test_many_are_taken_out_with_one_reason(venue, resource):
    slot, _ = full_slot(resource)
    entries = [join(slot) for _ in range(3)]
    client = as_role(venue, "manager")
    chosen = {"action": "close_chosen", "_selected_action": [e.pk for e in entries[:2]]}

    asked = client.post(reverse("admin:waitlist_waitlistentry_changelist"), chosen)
    assert "Take these customers out of the line" in asked.content.decode()
    client.post(
        reverse("admin:waitlist_waitlistentry_changelist"),
        {**chosen, "confirmed": "yes", "reason": "The class is moved."},
    )

    assert [fresh(e).status for e in entries] == ["closed", "closed", "waiting"]


def test_nobody_changes_the_line_for_themselves(venue, resource):
    slot, _ = full_slot(resource)
    other, mine = join(slot), join(slot)
    member = f.MembershipFactory(
        organization=venue.organization, role="manager", user=mine.customer.user
    )
    actor = Actor("staff", member.user.pk, str(member.user))

    for act in (
        lambda: line.place(
            entry_id=mine.pk,
            organization_id=slot.organization_id,
            position=1,
            reason="me first",
            actor=actor,
            now=timezone.now(),
        ),
        lambda: line.offer_by_hand(
            entry_id=mine.pk,
            organization_id=slot.organization_id,
            reason="me first",
            actor=actor,
            now=timezone.now(),
        ),
    ):
        with refusal((Forbidden, Exception)):
            act()
    assert fresh(other).status == fresh(mine).status == "waiting"


@pytest.mark.parametrize("role", ROLES)
def test_who_may_change_the_line_sees_the_buttons(venue, resource, role):
    slot, _ = full_slot(resource)
    entry = join(slot)
    if role == "provider":
        user = f.MembershipFactory(organization=venue.organization, role=role).user
        type(resource).objects.filter(pk=resource.pk).update(provider=user)
        client = signed_in(user)
    else:
        client = as_role(venue, role)

    text = client.get(page(entry)).content.decode()
    press(client, "close_this", entry, reason="x")

    may_do = role in ("owner", "manager", "front_desk")
    assert ("Take out of the line" in text) == may_do
    assert (fresh(entry).status == "closed") == may_do


def test_slots_customers_and_the_dashboard_tell_of_the_line(venue, resource):
    slot, _ = full_slot(resource)
    entry = join(slot)
    client = as_role(venue, "owner")

    on_slot = client.get(reverse("admin:bookings_slot_change", args=[slot.pk])).content.decode()
    on_customer = client.get(
        reverse("admin:bookings_customer_change", args=[entry.customer_id])
    ).content.decode()
    tiles = {t["name"]: t for t in client.get(reverse("admin:index")).context["tiles"]}

    assert str(entry.customer) in on_slot
    assert page(entry) in on_customer
    assert tiles["In line"]["figure"] == 1
    assert client.get(tiles["In line"]["url"]).status_code == 200


def test_managers_say_how_long_offers_stand(venue):
    client = as_role(venue, "manager")
    url = reverse("admin:waitlist_waitlistpolicy_change", args=[venue.organization.pk])

    client.post(url, {"offer_hours": 3, "offer_until_minutes": 30, "change_reason": "busy"})

    venue.waitlist_policy.refresh_from_db()
    assert venue.waitlist_policy.offer_hours == 3
