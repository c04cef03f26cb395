"""The dashboard's figures, and what pages cost: the same for one row as for fifty (F3)."""

from __future__ import annotations

import json
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from audit.models import ConsistencyReport, Delivery, Finding, OutboxEvent
from bookings.models import Booking, Customer, Membership, Resource, Slot
from payments.models import CartTransaction, Proof
from tests import factories as f
from tests.admin.conftest import as_role, confirmed_today, more_under_review, signed_in

pytestmark = pytest.mark.django_db

INDEX = "admin:index"


def tiles(client) -> dict[str, dict]:
    return {t["name"]: t for t in client.get(reverse(INDEX)).context["tiles"]}


def test_todays_figures_are_counted_from_the_rows(venue):
    first, second = confirmed_today(venue), confirmed_today(venue)
    Booking.objects.filter(pk=first.pk).update(status="checked_in", checked_in_at=timezone.now())
    f.hold(venue.customer, f.make_slot(venue.resource, starts_at=f.soon(90)), units=1)
    other = f.CustomerFactory(organization=venue.organization)
    f.check_out(other, f.make_slot(venue.resource, starts_at=f.soon(91)))
    CartTransaction.objects.filter(pk=venue.transaction.pk).update(
        submitted_at=timezone.now() - timedelta(hours=30)
    )

    found = tiles(as_role(venue, "owner"))

    assert found["Bookings today"]["figure"] == 2
    assert found["Bookings today"]["note"] == "2 people"
    assert found["Checked in"]["figure"] == "1 / 2"
    assert found["Checked in"]["note"] == "people"
    assert found["On hold in carts"]["figure"] == 1
    assert found["Wait for review"]["figure"] == 1
    assert found["Wait for review"]["note"] == "oldest: 1 day 6\N{NO-BREAK SPACE}h"
    assert found["Wait for review"]["warn"] is True
    assert found["Not paid yet"]["figure"] == 1
    assert found["Approved today"]["figure"] == "40.00\N{NO-BREAK SPACE}EUR"
    assert second.status == "confirmed"


def test_holds_that_ran_out_are_not_counted(venue):
    booking = f.hold(venue.customer, f.make_slot(venue.resource, starts_at=f.soon(90)))
    Booking.objects.filter(pk=booking.pk).update(held_until=timezone.now() - timedelta(seconds=1))

    assert tiles(as_role(venue, "owner"))["On hold in carts"]["figure"] == 0


def test_the_plots_show_days_and_resources(venue):
    confirmed_today(venue)

    context = as_role(venue, "owner").get(reverse(INDEX)).context

    per_day = json.loads(context["per_day"]["data"])
    occupancy = json.loads(context["occupancy"]["data"])
    assert len(per_day["labels"]) == 29
    assert per_day["datasets"][0]["data"][14] == 1  # today
    assert sum(per_day["datasets"][0]["data"]) == 2
    assert occupancy["labels"] == ["Ours hall"]
    assert 0 < occupancy["datasets"][0]["data"][0] <= 100


def test_people_who_came_and_went_still_fill_the_week(venue):
    booking = confirmed_today(venue)
    client = as_role(venue, "owner")

    def share() -> int:
        context = client.get(reverse(INDEX)).context
        return int(json.loads(context["occupancy"]["data"])["datasets"][0]["data"][0])

    before = share()
    now = timezone.now()
    Booking.objects.filter(pk=booking.pk).update(status="checked_in", checked_in_at=now)
    Booking.objects.filter(pk=booking.pk).update(status="completed")
    booking.slot.refresh_from_db()

    assert booking.slot.taken_units == 0
    assert share() == before > 0


def test_providers_and_reviewers_get_the_figures_that_are_theirs(venue):
    provider = tiles(as_role(venue, "provider"))
    reviewer = as_role(venue, "reviewer").get(reverse(INDEX)).context

    assert set(provider) == {"Bookings today", "Checked in", "On hold in carts"}
    assert provider["Bookings today"]["figure"] == 0
    assert "Wait for review" in {t["name"] for t in reviewer["tiles"]}
    assert reviewer["problems"] is None


def test_problems_are_said_with_a_link(venue):
    client = as_role(venue, "manager")
    assert client.get(reverse(INDEX)).context["problems"] == []
    event = OutboxEvent.objects.create(
        kind="test", organization_id=venue.organization.pk, subject_type="x", subject_id="1"
    )
    Delivery.objects.create(
        event=event,
        organization_id=venue.organization.pk,
        channel="email",
        address="a@example.com",
        status="dead",
    )
    now = timezone.now()
    report = ConsistencyReport.objects.create(
        kind="manual", started_at=now, finished_at=now, actor_label="test"
    )
    Finding.objects.create(
        report=report,
        organization_id=venue.organization.pk,
        check_id="x",
        severity="error",
        subject_type="x",
        subject_id="1",
        message="wrong",
    )

    problems = client.get(reverse(INDEX)).context["problems"]

    assert len(problems) == 2
    assert {client.get(p["url"]).status_code for p in problems} == {200}


def test_an_empty_organisation_gets_plain_words(db):
    membership = f.MembershipFactory(role="owner", user__is_staff=True)
    text = signed_in(membership.user).get(reverse(INDEX)).content.decode()

    assert "Nobody is booked in these four weeks" in text
    assert "No slots are offered in the next seven days" in text
    assert "Nobody is booked from now on" in text


def test_times_are_on_the_clock_of_the_organisation(venue):
    """Berlin is never on UTC: what a page shows is not what the database keeps."""
    page = reverse("admin:bookings_slot_change", args=[venue.slot.pk])

    text = as_role(venue, "manager").get(page).content.decode()

    local = venue.slot.starts_at.astimezone(ZoneInfo("Europe/Berlin"))
    assert f"{local:%H:%M}–" in text
    assert "(Europe/Berlin)" not in text  # the reader's own clock needs no name


def test_a_reader_of_several_zones_is_told_which(venue):
    other = f.OrganizationFactory(time_zone="America/New_York")
    membership = f.MembershipFactory(organization=venue.organization, role="manager")
    Membership.objects.create(user=membership.user, organization=other, role="manager")
    text = (
        signed_in(membership.user)
        .get(reverse("admin:bookings_slot_change", args=[venue.slot.pk]))
        .content.decode()
    )

    assert "(Europe/Berlin)" in text


# --- what pages cost ---------------------------------------------------------------------------

LISTS = [CartTransaction, Proof, Booking, Slot, Customer, Resource, Membership]


def cost(client, address: str, **data) -> int:
    client.get(address, data)
    with CaptureQueriesContext(connection) as queries:
        assert client.get(address, data).status_code == 200
    return len(queries)


def fill(venue, count: int) -> None:
    more_under_review(venue, count)
    for number in range(count):
        f.MembershipFactory(organization=venue.organization, role="front_desk")
        f.ResourceFactory(organization=venue.organization, name=f"Extra {number}")


def test_lists_dashboard_and_check_in_cost_the_same_for_any_number_of_rows(venue):
    client = as_role(venue, "owner")
    confirmed_today(venue)
    pages = {
        model._meta.label: reverse(
            f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"
        )
        for model in LISTS
    }
    pages |= {
        "dashboard": reverse(INDEX),
        "check-in": reverse("admin:check_in"),
        "queue": reverse("admin:payments_review"),
    }
    f.ResourceFactory(organization=venue.organization)  # a filter with two choices is shown
    before = {name: cost(client, address) for name, address in pages.items()}

    fill(venue, 40)
    for _ in range(10):
        confirmed_today(venue)
    after = {name: cost(client, address) for name, address in pages.items()}

    assert after == before
    assert max(before.values()) <= 30, before


def test_the_page_of_a_transaction_costs_the_same_for_many_bookings(venue):
    client = as_role(venue, "owner")
    slots = [
        f.make_slot(venue.resource, starts_at=f.soon(100 + n), max_bookings=5) for n in range(20)
    ]
    large = f.check_out(venue.customer, *slots)
    for _ in range(5):
        f.submit_proof(large)
    fill(venue, 5)

    def page(transaction) -> str:
        return reverse("admin:payments_carttransaction_change", args=[transaction.pk])

    small = cost(client, page(venue.transaction), queue="1")

    assert cost(client, page(large), queue="1") == small
    assert small <= 25


def test_ctrl_k_is_bounded(venue):
    client = as_role(venue, "owner")
    address = reverse("admin:search")
    before = cost(client, address, s="waiting", extended="1")
    more_under_review(venue, 30)

    assert cost(client, address, s="waiting", extended="1") == before
    text = client.get(address, {"s": "waiting", "extended": "1"}).content.decode()
    assert 0 < text.count("data-title=") <= 6 * 3
