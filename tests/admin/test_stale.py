"""Two people at one form: the second is told what the first changed, and nothing of either is
lost (B11)."""

from __future__ import annotations

import html
import json
import re
from decimal import Decimal
from typing import Any

import pytest
from django.contrib import admin
from django.db import connection
from django.http import QueryDict
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from audit.history import tracked_models, trail_of
from bookings import locks
from bookings.admin import merge, stale
from bookings.admin.base import AuditedModelAdmin
from bookings.models import Customer, Membership, Organization, Resource, User
from payments.models import PaymentPolicy, Price
from tests import concurrency
from tests import factories as f
from tests.admin.conftest import as_role, signed_in, staff, superuser

pytestmark = pytest.mark.django_db(transaction=True)


def change(obj) -> str:
    meta = obj._meta
    return reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[obj.pk])


def browser_sends(response) -> dict[str, Any]:
    """What a browser sends that submits the page's form without touching anything."""
    context = response.context
    sent: dict[str, Any] = {}
    marks = re.search(r'name="seen_lines" value="([^"]*)"', response.content.decode())
    if marks:
        sent["seen_lines"] = [html.unescape(marks[1])]
    bound = list(context["adminform"].form)
    for inline in context["inline_admin_formsets"]:
        bound += list(inline.formset.management_form)
        if not inline.has_change_permission:
            continue
        for form in inline.formset.initial_forms + inline.formset.extra_forms:
            bound += [b for b in form if b.name != "DELETE" or b.value()]
    query = QueryDict(mutable=True)
    for one in bound:
        if not one.field.disabled:
            merge.put(query, one)
    return sent | {key: query.getlist(key) for key in query}


def open_form(client, obj) -> dict[str, Any]:
    response = client.get(change(obj))
    assert response.status_code == 200
    return browser_sends(response)


@pytest.fixture
def colleague(venue) -> Any:
    return f.MembershipFactory(
        organization=venue.organization, role="manager", user__name="Quick Colleague"
    ).user


def by(colleague, obj, **changes) -> None:
    """A colleague opens the form, changes something and saves."""
    client = signed_in(colleague)
    sent = open_form(client, obj) | changes
    response = client.post(change(obj), sent)
    if response.status_code == 200 and "seen" in response.context:  # what it does to slots
        sent |= {"step": "apply", "seen": response.context["seen"]}
        response = client.post(change(obj), sent)
    assert response.status_code == 302, response.context and response.context["errors"]


def said(response) -> dict[str, tuple[str, str, str]]:
    """Label → before, now, verdict."""
    return {
        o.later.label: (o.later.before, o.later.after, o.verdict)
        for row in response.context["meanwhile"].rows
        for o in row.outcomes
    }


def test_the_second_is_told_field_by_field_what_the_first_changed(venue, colleague):
    client = as_role(venue, "manager")
    mine = open_form(client, venue.customer) | {"name": "Mine"}
    by(colleague, venue.customer, name="Theirs", language="de")

    response = client.post(change(venue.customer), mine)

    text = response.content.decode()
    assert response.status_code == 409
    assert "Nothing is saved yet: Quick Colleague changed this while you had it open." in text
    assert said(response) == {
        "Name": ("Ours Customer", "Theirs", "kept"),
        "Language": ("en", "de", "taken"),
    }
    at = trail_of(Customer).objects.filter(id=venue.customer.pk).latest("history_id").history_date
    assert response.context["meanwhile"].rows[0].outcomes[0].later.at == at
    assert 'value="Mine"' in text
    assert "Please correct the error" not in text
    venue.customer.refresh_from_db()
    assert (venue.customer.name, venue.customer.language) == ("Theirs", "de")


def test_saving_again_keeps_what_was_typed_and_what_the_other_changed_elsewhere(venue, colleague):
    client = as_role(venue, "manager")
    mine = open_form(client, venue.customer) | {"name": "Mine", "notes": "Line 1\r\nLine 2"}
    by(colleague, venue.customer, name="Theirs", language="de", email="new@example.com")

    again = browser_sends(client.post(change(venue.customer), mine))
    response = client.post(change(venue.customer), again)

    assert response.status_code == 302
    venue.customer.refresh_from_db()
    found = venue.customer
    assert (found.name, found.language, found.email) == ("Mine", "de", "new@example.com")
    assert found.notes == "Line 1\r\nLine 2"


def test_a_field_that_both_changed_is_marked_and_says_what_the_other_wrote(venue, colleague):
    client = as_role(venue, "manager")
    mine = open_form(client, venue.customer) | {"name": "Mine"}
    by(colleague, venue.customer, name="Theirs")

    response = client.post(change(venue.customer), mine)

    assert response.context["adminform"].form.errors == {
        "name": ["Quick Colleague changed this too: “Theirs”."]
    }


def test_a_third_change_between_the_two_saves_is_told_too(venue, colleague):
    client = as_role(venue, "manager")
    mine = open_form(client, venue.customer) | {"name": "Mine"}
    by(colleague, venue.customer, name="Theirs")
    again = browser_sends(client.post(change(venue.customer), mine))
    by(colleague, venue.customer, name="Theirs once more")

    response = client.post(change(venue.customer), again)

    assert response.status_code == 409
    assert said(response) == {"Name": ("Theirs", "Theirs once more", "kept")}
    venue.customer.refresh_from_db()
    assert venue.customer.name == "Theirs once more"


def test_of_several_others_each_field_says_who_it_was(venue, colleague):
    other = f.MembershipFactory(
        organization=venue.organization, role="front_desk", user__name="Late Colleague"
    ).user
    client = as_role(venue, "manager")
    mine = open_form(client, venue.customer) | {"name": "Mine"}
    by(colleague, venue.customer, name="Theirs", language="de")
    by(other, venue.customer, notes="Calls back")

    response = client.post(change(venue.customer), mine)

    [row] = response.context["meanwhile"].rows
    assert {o.later.name: o.later.actor_label for o in row.outcomes} == {
        "name": "Quick Colleague",
        "language": "Quick Colleague",
        "notes": "Late Colleague",
    }
    assert "Late Colleague and Quick Colleague changed this" in response.content.decode()


def test_a_mistake_of_ones_own_is_still_told_beside_what_others_did(venue, colleague):
    client = as_role(venue, "manager")
    mine = open_form(client, venue.customer) | {"name": "Mine", "email": "no address"}
    by(colleague, venue.customer, language="de")

    response = client.post(change(venue.customer), mine)

    text = response.content.decode()
    assert "Please correct the error" in text
    assert set(response.context["adminform"].form.errors) == {"email"}
    assert 'value="no address"' in text
    assert said(response) == {"Language": ("en", "de", "taken")}


def test_one_who_changed_it_in_another_window_is_told_so(venue):
    user = staff(venue, "manager")
    client = signed_in(user)
    mine = open_form(client, venue.customer) | {"name": "Mine"}
    by(user, venue.customer, name="Mine, earlier")

    response = client.post(change(venue.customer), mine)

    assert "you changed this elsewhere in the meantime" in response.content.decode()


def test_related_objects_choices_and_booleans_are_told_in_words(venue, colleague):
    provider = f.MembershipFactory(
        organization=venue.organization, role="provider", user__name="Dr Jane Roe"
    ).user
    client = as_role(venue, "manager")
    mine = open_form(client, venue.resource) | {"description": "Mine"}
    by(colleague, venue.resource, provider=str(provider.pk), kind="person", is_active=[])

    response = client.post(change(venue.resource), mine)

    assert said(response) == {
        "Provider": ("-", "Dr Jane Roe", "taken"),
        "Kind": ("place", "person", "taken"),
        "Active": ("yes", "no", "taken"),
    }
    assert client.post(change(venue.resource), browser_sends(response)).status_code == 302
    venue.resource.refresh_from_db()
    assert (venue.resource.provider, venue.resource.kind) == (provider, "person")
    assert (venue.resource.is_active, venue.resource.description) == (False, "Mine")


# --- what is not stale -----------------------------------------------------------------------


def test_a_form_that_nobody_else_touched_saves_at_once(venue):
    client = as_role(venue, "manager")
    mine = open_form(client, venue.customer) | {"name": "Mine"}

    assert client.post(change(venue.customer), mine).status_code == 302
    venue.customer.refresh_from_db()
    assert venue.customer.name == "Mine"


def test_a_row_that_was_written_without_a_change_is_not_stale(venue, colleague):
    client = as_role(venue, "manager")
    mine = open_form(client, venue.customer) | {"name": "Mine"}
    by(colleague, venue.customer)
    Customer.objects.filter(pk=venue.customer.pk).update(name=venue.customer.name)

    assert client.post(change(venue.customer), mine).status_code == 302


def test_a_change_that_was_taken_back_is_not_stale(venue, colleague):
    client = as_role(venue, "manager")
    mine = open_form(client, venue.customer) | {"name": "Mine"}
    by(colleague, venue.customer, name="Slip")
    by(colleague, venue.customer, name="Ours Customer")

    assert client.post(change(venue.customer), mine).status_code == 302


def test_pressing_save_twice_is_not_stale(venue):
    client = as_role(venue, "manager")
    mine = open_form(client, venue.customer) | {"name": "Mine"}

    assert client.post(change(venue.customer), mine).status_code == 302
    assert client.post(change(venue.customer), mine).status_code == 302


def test_what_is_not_in_the_form_is_neither_written_over_nor_stale(venue):
    client = as_role(venue, "owner")
    mine = open_form(client, venue.organization) | {"name": "Mine"}
    Organization.objects.filter(pk=venue.organization.pk).update(slug="moved")

    assert client.post(change(venue.organization), mine).status_code == 302
    venue.organization.refresh_from_db()
    assert (venue.organization.name, venue.organization.slug) == ("Mine", "moved")


@pytest.mark.parametrize("marks", ["", "nonsense", "[]", '{"bookings.customer": {"x": "1"}}', "{}"])
def test_marks_that_are_none_of_ours_break_nothing(venue, marks):
    client = as_role(venue, "manager")
    mine = open_form(client, venue.customer) | {"name": "Mine", "seen_lines": marks}

    assert client.post(change(venue.customer), mine).status_code in (302, 409)


# --- every form ------------------------------------------------------------------------------


def editable(venue) -> list[tuple[str, Any]]:
    walk_in = f.CustomerFactory(
        organization=venue.organization,
        user=None,
        email="walk-in@example.com",
        name="Walk In",
        phone="+4930123456",
        time_zone="Europe/Berlin",
    )
    f.PriceFactory(
        resource=venue.resource,
        name="Weekend",
        weekdays=[6, 7],
        from_time="10:00",
        until_time="18:30",
        valid_from="2026-01-01",
        tax_percent=Decimal("7.5"),
    )
    return [
        ("organization", venue.organization),
        ("policy", venue.policy),
        ("resource", venue.resource),
        ("customer", walk_in),
        ("membership", venue.membership),
        ("user", venue.membership.user),
    ]


def test_every_form_carries_its_marks_and_sent_untouched_it_changes_nothing(venue):
    client = signed_in(superuser())

    for name, obj in editable(venue):
        before = {m: trail_of(m).objects.count() for m in tracked_models()}
        sent = open_form(client, obj)
        marks = json.loads(sent["seen_lines"][0])
        assert str(obj.pk) in marks[obj._meta.label_lower], name

        response = client.post(change(obj), sent)

        assert response.status_code == 302, (name, response.context["errors"])
        after = {m: trail_of(m).objects.count() for m in tracked_models()}
        assert after == before, name


def test_no_editable_form_of_a_tracked_model_is_left_out(venue):
    """Whoever adds an admin page for a tracked model gets the check, or says why not."""
    request = RequestFactory().get("/")
    request.user = superuser()
    tested = {type(obj) for _name, obj in editable(venue)}

    found = {
        model
        for model, page in admin.site._registry.items()
        if model in tracked_models() and page.has_change_permission(request)
    }

    assert tested <= found
    for model in found:
        assert isinstance(admin.site._registry[model], AuditedModelAdmin), model
        assert not admin.site._registry[model].list_editable, model


def test_a_policy_and_a_role_are_checked_too(venue):
    root = superuser()
    client = signed_in(root)
    reviewer = f.MembershipFactory(organization=venue.organization, role="reviewer")
    for obj, mine, theirs, model in (
        (venue.policy, {"instructions": "Mine"}, {"instructions": "Theirs"}, PaymentPolicy),
        (reviewer, {"role": "front_desk"}, {"role": "manager"}, Membership),
        (venue.membership.user, {"name": "Mine"}, {"name": "Theirs"}, User),
        (venue.organization, {"name": "Mine"}, {"name": "Theirs"}, Organization),
    ):
        sent = open_form(client, obj) | mine
        model.objects.filter(pk=obj.pk).update(**theirs)

        response = client.post(change(obj), sent)

        assert response.status_code == 409, obj
        (name, value), *_ = theirs.items()
        obj.refresh_from_db()
        assert getattr(obj, name) == value
        assert client.post(change(obj), browser_sends(response)).status_code == 302
        obj.refresh_from_db()
        assert getattr(obj, name) == mine[name]


# --- rows below ------------------------------------------------------------------------------


def test_a_price_that_both_changed_is_marked_and_the_rest_is_merged(venue, colleague):
    weekend = f.PriceFactory(resource=venue.resource, name="Weekend", amount=Decimal("30.00"))
    client = as_role(venue, "manager")
    mine = open_form(client, venue.resource)
    rows = {mine[f"prices-{n}-id"][0]: f"prices-{n}" for n in range(2)}
    first, second = rows[str(venue.price.pk)], rows[str(weekend.pk)]
    mine |= {f"{first}-amount": "21", f"{first}-tax_percent": "19", f"{second}-priority": "7"}
    Price.objects.filter(pk=venue.price.pk).update(amount=Decimal("25.00"), weekdays=[1, 7])
    by(colleague, venue.resource, **{f"{second}-amount": "33.00"})

    response = client.post(change(venue.resource), mine)

    assert response.status_code == 409
    told = {
        row.title: {o.later.label: (o.later.after, o.verdict) for o in row.outcomes}
        for row in response.context["meanwhile"].rows
    }
    assert told == {
        "Price Standard: 25.00 EUR": {
            "Amount": ("25.00", "kept"),
            "Weekdays": ("Monday, Sunday", "taken"),
        },
        "Price Weekend: 33.00 EUR": {"Amount": ("33.00", "taken")},
    }
    text = response.content.decode()
    assert "changed this too: “25.00”." in text
    assert client.post(change(venue.resource), browser_sends(response)).status_code == 302
    venue.price.refresh_from_db()
    weekend.refresh_from_db()
    assert (venue.price.amount, venue.price.tax_percent) == (Decimal(21), Decimal(19))
    assert venue.price.weekdays == [1, 7]
    assert (weekend.amount, weekend.priority) == (Decimal(33), 7)


def test_a_price_that_was_deleted_meanwhile_comes_back_only_if_it_was_worked_on(venue, colleague):
    weekend = f.PriceFactory(resource=venue.resource, name="Weekend", amount=Decimal("30.00"))
    night = f.PriceFactory(resource=venue.resource, name="Night", amount=Decimal("9.00"))
    client = as_role(venue, "manager")
    mine = open_form(client, venue.resource)
    rows = {mine[f"prices-{n}-name"][0]: f"prices-{n}" for n in range(3)}
    mine |= {f"{rows['Weekend']}-amount": "31", f"{rows['Standard']}-amount": "22"}
    Price.objects.filter(pk__in=[weekend.pk, night.pk]).delete()

    response = client.post(change(venue.resource), mine)

    assert response.status_code == 409
    told = {row.title: row.anew for row in response.context["meanwhile"].rows}
    assert told == {"Price Weekend: 30.00 EUR": True, "Price Night: 9.00 EUR": False}
    assert set(venue.resource.prices.values_list("name", flat=True)) == {"Standard"}
    saved = client.post(change(venue.resource), browser_sends(response))
    assert saved.status_code == 302, saved.context["errors"]
    assert dict(venue.resource.prices.values_list("name", "amount")) == {
        "Standard": Decimal(22),
        "Weekend": Decimal(31),
    }


def test_a_price_that_both_deleted_is_nothing_to_talk_about(venue):
    client = as_role(venue, "manager")
    mine = open_form(client, venue.resource) | {"prices-0-DELETE": "on", "description": "Mine"}
    Price.objects.filter(pk=venue.price.pk).delete()

    assert client.post(change(venue.resource), mine).status_code == 302
    venue.resource.refresh_from_db()
    assert venue.resource.description == "Mine"


def test_a_price_is_not_deleted_unseen_after_somebody_changed_it(venue):
    client = as_role(venue, "manager")
    mine = open_form(client, venue.resource) | {"prices-0-DELETE": "on"}
    Price.objects.filter(pk=venue.price.pk).update(amount=Decimal("25.00"))

    response = client.post(change(venue.resource), mine)

    assert response.status_code == 409
    assert Price.objects.filter(pk=venue.price.pk).exists()
    again = browser_sends(response) | {"prices-0-DELETE": "on"}
    assert client.post(change(venue.resource), again).status_code == 302
    assert not Price.objects.filter(pk=venue.price.pk).exists()


def test_a_price_that_somebody_added_meanwhile_stays(venue):
    client = as_role(venue, "manager")
    mine = open_form(client, venue.resource) | {"description": "Mine"}
    f.PriceFactory(resource=venue.resource, name="Weekend")

    assert client.post(change(venue.resource), mine).status_code == 302
    assert venue.resource.prices.count() == 2


# --- deleted ---------------------------------------------------------------------------------


def test_what_was_deleted_meanwhile_says_so_keeps_what_was_typed_and_can_be_made_again(
    venue, colleague
):
    unused = f.ResourceFactory(organization=venue.organization, name="Court 9")
    f.PriceFactory(resource=unused, name="Standard", amount=Decimal("20.00"))
    client = as_role(venue, "manager")
    mine = open_form(client, unused) | {"description": "Long & careful", "prices-0-amount": "24"}
    signed_in(colleague).post(
        reverse("admin:bookings_resource_delete", args=[unused.pk]), {"post": "yes"}
    )

    response = client.post(change(unused), mine)

    text = response.content.decode()
    assert response.status_code == 410
    assert "Quick Colleague deleted this while you had it open." in text
    assert "Long &amp; careful" in text
    add = response.context["add"]
    again = QueryDict(mutable=True)
    for key, value in add["sent"]:
        again.appendlist(key, value)
    made = client.post(add["url"], dict(again.lists()))
    assert made.status_code == 302, made.context["errors"]
    found = Resource.objects.get(name="Court 9")
    assert found.description == "Long & careful"
    assert [p.amount for p in found.prices.all()] == [Decimal(24)]


def test_a_role_that_was_taken_away_meanwhile_says_so(venue):
    reviewer = f.MembershipFactory(organization=venue.organization, role="reviewer")
    client = as_role(venue, "owner")
    mine = open_form(client, reviewer) | {"role": "front_desk"}
    client.post(reverse("admin:bookings_membership_delete", args=[reviewer.pk]), {"post": "yes"})

    response = client.post(change(reviewer), mine)

    text = response.content.decode()
    assert response.status_code == 410
    assert "you deleted this elsewhere" in text
    assert "front desk" in text
    assert response.context["add"] is None
    assert not Membership.objects.filter(pk=reviewer.pk).exists()


def test_what_was_deleted_elsewhere_stays_unknown_to_strangers(venue, foreign):
    unused = f.ResourceFactory(organization=foreign.organization, name="Secret")
    Resource.objects.filter(pk=unused.pk).delete()

    response = as_role(venue, "manager").post(change(unused), {"name": "x"})

    assert response.status_code == 302
    assert "Secret" not in response.content.decode()


# --- at the same moment ----------------------------------------------------------------------


def save_beside(venue, colleague) -> tuple[Any, Any]:
    """One saves; right after the check of their form, the other saves the same row."""
    first, second = as_role(venue, "manager"), signed_in(colleague)
    mine = open_form(first, venue.customer) | {"name": "First"}
    theirs = open_form(second, venue.customer) | {"name": "Second", "language": "de"}
    return concurrency.interleave(
        lambda: first.post(change(venue.customer), mine),
        after=(stale, "newest_lines"),
        second=lambda: second.post(change(venue.customer), theirs),
    )


def test_of_two_who_save_at_the_same_moment_the_second_is_told(venue, colleague):
    first, second = save_beside(venue, colleague)

    assert (first.status_code, second.status_code) == (302, 409)
    assert said(second) == {"Name": ("Ours Customer", "First", "kept")}
    venue.customer.refresh_from_db()
    assert (venue.customer.name, venue.customer.language) == ("First", "en")


def test_without_the_lock_the_change_of_one_of_them_is_lost(venue, colleague):
    """The control: the check alone lets both pass, and one change is gone without a word."""
    with concurrency.locks_off():
        first, second = save_beside(venue, colleague)

    assert (first.status_code, second.status_code) == (302, 302)
    venue.customer.refresh_from_db()
    assert (venue.customer.name, venue.customer.language) == ("First", "en")


def test_of_many_who_save_at_once_one_passes_and_the_others_are_told(venue):
    clients = [as_role(venue, "manager") for _ in range(6)]
    forms_open = [
        open_form(client, venue.customer) | {"name": f"Version {n}"}
        for n, client in enumerate(clients)
    ]

    outcomes = concurrency.race(
        *[
            lambda c=c, sent=sent: c.post(change(venue.customer), sent)
            for c, sent in zip(clients, forms_open, strict=True)
        ]
    )

    assert sorted(r.status_code for r in outcomes) == [302] + [409] * 5
    winner = next(n for n, r in enumerate(outcomes) if r.status_code == 302)
    venue.customer.refresh_from_db()
    assert venue.customer.name == f"Version {winner}"
    assert trail_of(Customer).objects.filter(id=venue.customer.pk).count() == 2


def test_a_price_is_locked_with_its_form(venue, colleague):
    """Another page than the resource's changes a price between the check and the save."""
    client = as_role(venue, "manager")
    mine = open_form(client, venue.resource) | {"prices-0-amount": "21"}

    def elsewhere() -> None:
        Price.objects.filter(pk=venue.price.pk).update(priority=9)

    first, _ = concurrency.interleave(
        lambda: client.post(change(venue.resource), mine),
        after=(stale, "newest_lines"),
        second=elsewhere,
    )

    assert first.status_code == 302
    venue.price.refresh_from_db()
    assert (venue.price.amount, venue.price.priority) == (Decimal(21), 9)


def test_roles_are_changed_and_taken_away_at_once_without_a_deadlock(venue):
    reviewer = f.MembershipFactory(organization=venue.organization, role="reviewer")
    client, other = as_role(venue, "owner"), signed_in(superuser())
    mine = open_form(client, reviewer) | {"role": "front_desk"}
    delete = reverse("admin:bookings_membership_delete", args=[reviewer.pk])

    first, second = concurrency.interleave(
        lambda: client.post(change(reviewer), mine),
        after=(locks, "row_of_form"),
        second=lambda: other.post(delete, {"post": "yes"}),
    )

    assert (first.status_code, second.status_code) == (302, 302)
    assert not Membership.objects.filter(pk=reviewer.pk).exists()


# --- what it costs ---------------------------------------------------------------------------


def statements(client, method: str, *args) -> list[str]:
    with CaptureQueriesContext(connection) as seen:
        response = getattr(client, method)(*args)
    assert response.status_code in (200, 302)
    return [query["sql"] for query in seen.captured_queries]


@pytest.mark.parametrize("prices", [0, 5])
def test_the_check_costs_one_statement_to_show_and_two_to_save(venue, monkeypatch, prices):
    f.PriceFactory.create_batch(prices, resource=venue.resource)
    client = as_role(venue, "manager")
    client.get(change(venue.resource))  # whatever is read once in a process is read now
    shown = statements(client, "get", change(venue.resource))
    sent = open_form(client, venue.resource) | {"description": "A"}
    saved = statements(client, "post", change(venue.resource), sent)

    monkeypatch.setattr(stale, "newest_lines", lambda *rows: {})
    monkeypatch.setattr(locks, "row_of_form", lambda rows: True)
    bare = statements(client, "get", change(venue.resource))
    sent |= {"description": "B"}
    bare_saved = statements(client, "post", change(venue.resource), sent)

    assert (len(shown) - len(bare), len(saved) - len(bare_saved)) == (1, 2)
