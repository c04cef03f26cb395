"""The line as staff see it, and what they do about it (F3, A5)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from bookings.admin.show import HARD
from tests import factories as f
from tests.admin.conftest import ROLES, as_role, signed_in
from tests.invariants import assert_consistent
from tests.waitlist.line import free, fresh, full_slot, join, somebody
from waitlist import selectors
from waitlist.models import Offer, WaitlistEntry, WaitlistPolicy
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
    assert found(line="over") == found(line="left") == {venue.entry.pk}
    assert found(line="all") == {first.pk, second.pk, venue.entry.pk}
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
    assert "has room for 2 people right now" in refused.content.decode()
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


@pytest.mark.django_db(transaction=True)
def test_nobody_changes_the_line_for_themselves(venue, resource):
    slot, _ = full_slot(resource)
    other, mine = join(slot), join(slot)
    f.MembershipFactory(organization=venue.organization, role="manager", user=mine.customer.user)
    mine.customer.user.is_staff = True
    mine.customer.user.save()

    refused = press(signed_in(mine.customer.user), "place_this", mine, position=1, reason="me")

    assert "Ask a colleague" in refused.content.decode()
    assert [e.pk for e in selectors.same_line(mine, now=timezone.now())] == [other.pk, mine.pk]


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


def test_an_empty_list_says_what_appears_there(venue):
    text = listed(as_role(venue, "reviewer")).content.decode()

    assert "Nobody is in line. Customers wait here for what is full" in text


def test_one_line_is_listed_after_the_other(venue, resource):
    later, _ = full_slot(resource, starts_at=f.soon(96))
    sooner, _ = full_slot(resource, starts_at=f.soon(72))
    entries = [join(later), join(sooner), join(later), join(sooner)]

    rows = listed(as_role(venue, "manager")).context["cl"].result_list

    assert [r.pk for r in rows] == [entries[n].pk for n in (1, 3, 0, 2)]
    assert [r.position for r in rows] == [1, 2, 1, 2]


def test_the_list_is_narrowed_to_a_day_with_who_waits_for_any_time_of_it(venue, resource):
    near, _ = full_slot(resource, starts_at=timezone.now() + timedelta(hours=23, minutes=55))
    far, _ = full_slot(resource, starts_at=f.soon(24 * 20))
    soon, any_time, late = join(near), join_window(resource, near), join(far)
    client = as_role(venue, "manager")

    def found(when):
        return {r.pk for r in listed(client, when=when).context["cl"].result_list}

    assert found("week") == {soon.pk, any_time.pk}
    assert found("future") == {soon.pk, any_time.pk, late.pk}


@pytest.mark.parametrize("by", ["name", "email", "phone", "reference"])
def test_somebody_is_found_once_by_what_they_say_on_the_phone(venue, resource, by):
    """Also who was offered seats twice, of which one offer has this reference."""
    slot, _ = full_slot(resource, starts_at=f.soon(72))
    entry, _other = join(slot), join(slot)
    type(entry.customer).objects.filter(pk=entry.customer_id).update(phone="+4915112345678")
    free(slot)
    asked = {
        "name": entry.customer.name,
        "email": entry.customer.email,
        "phone": "15112345678",
        "reference": Offer.objects.get().booking.reference,
    }

    rows = listed(as_role(venue, "front_desk"), q=asked[by]).context["cl"].result_list

    assert [r.pk for r in rows] == [entry.pk]


def test_who_has_no_address_is_to_be_called(venue, resource):
    slot, _ = full_slot(resource)
    called, lost = join(slot), join(slot)
    customers = type(called.customer).objects
    customers.filter(pk=called.customer_id).update(phone="+4915112345678", email="")
    customers.filter(pk=lost.customer_id).update(phone="", email="")

    text = listed(as_role(venue, "front_desk")).content.decode()

    assert "tel:+4915112345678" in text
    assert "cannot be reached" in text


def provider_of(venue, resource):
    user = f.MembershipFactory(organization=venue.organization, role="provider").user
    type(resource).objects.filter(pk=resource.pk).update(provider=user)
    return signed_in(user)


def test_providers_see_the_lines_of_their_own_resources_without_how_to_reach_anybody(
    venue, resource
):
    other = f.ResourceFactory(organization=venue.organization, name="Spinning")
    slot, _ = full_slot(resource)
    mine, theirs = join(slot), join(full_slot(other)[0])
    client = provider_of(venue, resource)

    response = listed(client)

    assert [r.pk for r in response.context["cl"].result_list] == [mine.pk]
    for text in (response.content.decode(), client.get(page(mine)).content.decode()):
        assert mine.customer.name in text
        assert mine.customer.email not in text
    assert client.get(page(theirs)).status_code == 302
    tiles = {t["name"]: t for t in client.get(reverse("admin:index")).context["tiles"]}
    assert tiles["In line"]["figure"] == 1


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("button", ["offer", "place", "decline", "close", "accept"])
def test_buttons_do_nothing_to_a_foreign_line(venue, foreign, role, button):
    slot, _ = full_slot(f.ResourceFactory(organization=foreign.organization))
    entry, _next = join(slot), join(slot)
    free(slot)
    client = as_role(venue, role)
    typed = {"reason": "x", "position": 1, "slot": slot.pk, "method": "free"}

    assert press(client, f"{button}_this", entry, **typed).status_code in (403, 404)

    chosen = {"action": "close_chosen", "_selected_action": [entry.pk]}
    client.post(
        reverse("admin:waitlist_waitlistentry_changelist"),
        {**chosen, "confirmed": "yes", "reason": "x"},
    )
    assert fresh(entry).status == "offered"


def test_who_calls_and_does_not_want_them_passes_the_seats_on(venue, resource):
    slot, _ = full_slot(resource)
    first, second = join(slot), join(slot)
    free(slot)
    client = as_role(venue, "front_desk")

    press(client, "decline_this", second, reason="")
    press(client, "decline_this", first, reason="")

    assert (fresh(first).status, first.ended_reason) == ("declined", "declined by phone")
    assert fresh(second).status == "offered"
    assert_consistent()


def test_who_calls_and_wants_them_is_booked(venue, resource):
    f.PriceFactory(resource=resource)
    slot, _ = full_slot(resource)
    first, second = join(slot), join(slot)
    free(slot)
    client = as_role(venue, "front_desk")
    button = reverse("admin:waitlist_waitlistentry_accept_this", args=[first.pk])

    asked = client.get(button).content.decode()
    assert "Pay on arrival" in asked
    assert "EUR" in asked
    assert press(client, "accept_this", second, method="pay_on_arrival").status_code == 403
    press(client, "accept_this", first, method="pay_on_arrival")

    assert fresh(first).status == "fulfilled"
    assert Offer.objects.get(entry=first).booking.status == "confirmed"
    shown = client.get(page(first)).content.decode()
    assert "They accept" not in shown
    assert_consistent()


def test_the_page_of_who_waits_for_any_time_shows_everybody_before_them(venue, resource):
    slot, _ = full_slot(resource, starts_at=f.soon(72))
    first = join(slot)
    any_time = join_window(resource, slot)
    client = as_role(venue, "front_desk")

    text = client.get(page(any_time)).content.decode()

    assert "The line for any time of Yoga" in text
    assert first.customer.name in text
    assert f'<strong class="hf-this">{any_time.customer}</strong>' in text


def test_offers_that_run_out_within_an_hour_have_a_figure_of_their_own(venue, resource):
    slot, _ = full_slot(resource, seats=2, starts_at=f.soon(72))
    first, _second, _third = join(slot), join(slot), join(slot)
    free(slot, 2)
    client = as_role(venue, "manager")

    def tiles():
        return {t["name"]: t for t in client.get(reverse("admin:index")).context["tiles"]}

    assert "Offers running out" not in tiles()
    Offer.objects.filter(entry=first).update(expires_at=timezone.now() + timedelta(minutes=30))
    shown = tiles()
    for name in ("In line", "Offers open", "Offers running out"):
        rows = client.get(shown[name]["url"]).context["cl"].result_list
        assert len(rows) == shown[name]["figure"] > 0, name
    assert shown["Offers running out"]["warn"]


def test_managers_make_rules_once_where_there_are_none(venue):
    client = as_role(venue, "manager")
    add = reverse("admin:waitlist_waitlistpolicy_add")
    assert client.get(add).status_code == 403

    WaitlistPolicy.objects.all().delete()
    sent = {"organization": venue.organization.pk, "offer_hours": 4, "offer_until_minutes": 60}
    client.post(add, sent)

    assert WaitlistPolicy.objects.get().offer_hours == 4
