"""Staff book for somebody who calls: once, by the rules, and with nothing typed lost (F3)."""

from __future__ import annotations

import html
import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from django.urls import reverse
from django.utils import timezone

from audit.history import trail_of
from audit.models import OutboxEvent
from bookings.models import Booking, Customer, Slot
from payments.models import CartTransaction
from tests import factories as f
from tests.admin.conftest import as_role, signed_in, staff

pytestmark = pytest.mark.django_db(transaction=True)

PAGE = "admin:calendar_book"


@pytest.fixture
def slot(venue: Any) -> Slot:
    return f.make_slot(venue.resource, starts_at=f.soon(72), max_bookings=2, max_units=4)


def form(client: Any, slot: Slot, **said: Any) -> dict[str, Any]:
    """What the page presets, with what somebody says."""
    shown = client.get(reverse(PAGE), {"slot": slot.pk}).context["typed"]
    filled: dict[str, Any] = shown | {"step": "book", "method": "pay_on_arrival"} | said
    return filled


def known(client: Any, slot: Slot, customer: Customer, **said: Any) -> dict[str, Any]:
    return form(client, slot, who="known", customer=customer.pk, **said)


def new(client: Any, slot: Slot, **said: Any) -> dict[str, Any]:
    return form(client, slot, who="new") | {"name": "Walk In", "email": "walk@example.com"} | said


def booked(slot: Slot) -> list[tuple[str, str, int]]:
    found = Booking.objects.filter(slot=slot).order_by("created_at")
    return [(b.customer.name, b.status, b.units) for b in found.select_related("customer")]


@pytest.mark.parametrize("role", ["owner", "manager", "front_desk", "reviewer"])
def test_a_customer_is_booked_and_confirmed_at_once_by_who_did_it(venue, slot, role):
    client = as_role(venue, role)

    response = client.post(
        reverse(PAGE), known(client, slot, venue.customer, units=2, note="by phone"), follow=True
    )

    assert booked(slot) == [("Ours Customer", "confirmed", 2)]
    assert "Booked for Ours Customer and confirmed" in response.content.decode()
    made = CartTransaction.objects.get(items__booking__slot=slot)
    assert (made.payment_method, made.note) == ("pay_on_arrival", "by phone")
    trail: Any = trail_of(Booking)
    line = trail.objects.filter(slot_id=slot.pk).earliest("history_id")
    assert (line.actor_kind, line.history_change_reason) == ("staff", "booked by staff")


@pytest.mark.parametrize(
    "how", [{"email": "walk@example.com", "phone": ""}, {"email": "", "phone": "+49 151 23456789"}]
)
def test_somebody_new_becomes_a_customer_with_a_name_and_a_way_to_reach_them(venue, slot, how):
    client = as_role(venue, "front_desk")

    client.post(reverse(PAGE), new(client, slot, **how))

    made = Customer.objects.get(name="Walk In")
    assert made.organization_id == venue.organization.pk
    assert (made.email, str(made.phone)) == (how["email"], how["phone"].replace(" ", ""))
    assert booked(slot) == [("Walk In", "confirmed", 1)]


@pytest.mark.parametrize(("said", "language"), [("de", "de"), ("en", "en"), ("", "en")])
def test_somebody_new_is_written_to_in_the_language_that_was_chosen(venue, slot, said, language):
    client = as_role(venue, "front_desk")
    page = client.get(reverse(PAGE), {"slot": slot.pk})
    assert '<option value="de">Deutsch</option>' in page.content.decode()

    client.post(reverse(PAGE), new(client, slot, language=said))

    assert Customer.objects.get(name="Walk In").language == language
    (told,) = OutboxEvent.objects.filter(kind="transaction.approved")
    assert [r["language"] for r in told.recipients] == [language]


def test_a_language_without_texts_is_refused_and_nothing_is_booked(venue, slot):
    client = as_role(venue, "front_desk")

    answer = client.post(reverse(PAGE), new(client, slot, language="xx"))

    assert "language" in answer.context["form"].errors
    assert booked(slot) == []
    assert not Customer.objects.filter(name="Walk In").exists()


def test_what_is_paid_in_advance_waits_and_staff_are_told_whom_to_tell(venue, slot):
    client = as_role(venue, "front_desk")

    response = client.post(
        reverse(PAGE),
        new(client, slot, method="pay_now", email="", phone="+49 151 23456789"),
        follow=True,
    )

    assert booked(slot) == [("Walk In", "pending", 1)]
    assert "They have no e-mail address: tell them how to pay." in response.content.decode()


def test_a_form_that_is_sent_twice_books_once(venue, slot):
    client = as_role(venue, "front_desk")
    sent = new(client, slot)

    answers = [client.post(reverse(PAGE), sent) for _ in range(3)]

    assert len({(a.status_code, a["Location"]) for a in answers}) == 1
    assert answers[0].status_code == 302
    assert booked(slot) == [("Walk In", "confirmed", 1)]
    assert Customer.objects.filter(name="Walk In").count() == 1


def test_a_form_that_was_used_books_nobody_else_before_it_is_looked_over(venue, slot):
    client = as_role(venue, "front_desk")
    sent = new(client, slot)
    client.post(reverse(PAGE), sent)

    second = {"name": "Second Person", "email": "second@example.com"}
    again = client.post(reverse(PAGE), sent | second)

    assert "A booking was made with this form before" in again.content.decode()
    assert [name for name, *_ in booked(slot)] == ["Walk In"]
    token = again.context["typed"]["token"]
    client.post(reverse(PAGE), sent | second | {"token": token})
    assert [name for name, *_ in booked(slot)] == ["Walk In", "Second Person"]


def test_a_full_slot_is_refused_in_plain_words_and_nothing_typed_is_lost(venue, slot):
    client = as_role(venue, "front_desk")
    sent = new(client, slot, units=3, note="needs a ramp")
    f.hold(venue.customer, slot, 2)

    response = client.post(reverse(PAGE), sent)

    assert response.status_code == 200
    assert [name for name, *_ in booked(slot)] == ["Ours Customer"]
    assert not Customer.objects.filter(name="Walk In").exists()
    assert response.context["form"].non_field_errors()
    text = response.content.decode()
    for typed in ('value="Walk In"', 'value="walk@example.com"', 'value="3"', "needs a ramp"):
        assert typed in text
    assert response.context["typed"]["token"] != sent["token"]


@pytest.mark.parametrize(
    ("said", "field", "words"),
    [
        ({"slot": ""}, "slot", "Choose a time."),
        ({"who": "known", "customer": ""}, "customer", "Search for the customer"),
        ({"name": ""}, "name", "Write the name."),
        ({"email": "", "phone": ""}, "email", "Write an e-mail address or a phone number."),
        ({"email": "nonsense"}, "email", "valid email"),
        ({"email": "", "phone": "12"}, "phone", "with its country"),
        ({"units": "0"}, "units", "greater than or equal to 1"),
        ({"anyway": "on", "reason": ""}, "reason", "Say why"),
    ],
)
def test_what_is_missing_is_said_beside_it_and_nothing_is_booked(venue, slot, said, field, words):
    client = as_role(venue, "front_desk")

    response = client.post(reverse(PAGE), new(client, slot) | said)

    assert words in " ".join(response.context["form"].errors[field])
    assert booked(slot) == []
    assert not Customer.objects.filter(name="Walk In").exists()


@pytest.mark.parametrize("rule", ["notice", "horizon", "most"])
def test_the_rules_for_customers_hold_until_staff_say_why_they_do_not(venue, slot, rule):
    resource = venue.resource
    if rule == "notice":
        resource.notice_minutes = 60 * 24 * 30
    elif rule == "horizon":
        resource.horizon_days = 1
    else:
        resource.most_live_bookings = 1
    resource.save()
    client = as_role(venue, "front_desk")

    refused = client.post(reverse(PAGE), known(client, slot, venue.customer))

    assert booked(slot) == []
    assert "Not booked, by the rules of Ours hall" in refused.content.decode()
    sent = refused.context["typed"] | {"anyway": "on", "reason": "regular guest", "step": "book"}
    client.post(reverse(PAGE), sent)
    assert booked(slot) == [("Ours Customer", "confirmed", 1)]
    trail: Any = trail_of(Booking)
    line = trail.objects.filter(slot_id=slot.pk).earliest("history_id")
    assert "regular guest" in line.history_change_reason


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("otto", ["Otto Other"]),
        ("SPECIAL@", ["Otto Other"]),
        ("0151 23 45", ["Otto Other"]),
        ("+49 151 23456789", ["Otto Other"]),
        ("zzz", []),
        ("o", []),
    ],
)
def test_customers_are_found_by_what_they_say_and_what_was_typed_stays(
    venue, foreign, slot, text, found
):
    f.CustomerFactory(
        organization=venue.organization,
        name="Otto Other",
        email="special@example.com",
        phone="+4915123456789",
    )
    f.CustomerFactory(organization=foreign.organization, name="Otto Foreign")
    client = as_role(venue, "front_desk")
    sent = form(client, slot, step="look", search=text, units=3, note="keep me")

    response = client.post(reverse(PAGE), sent)

    assert [c.name for c in response.context["people"]] == found
    assert response.context["typed"]["units"] == "3"
    assert "keep me" in response.content.decode()
    assert not response.context["form"].is_bound  # looking is not sending: no complaints
    assert booked(slot) == []


def test_the_only_one_who_is_found_is_chosen_already(venue, slot):
    sole = f.CustomerFactory(organization=venue.organization, name="Otto Other")
    client = as_role(venue, "front_desk")

    one = client.post(reverse(PAGE), form(client, slot, step="look", search="otto"))
    f.CustomerFactory(organization=venue.organization, name="Otto Second")
    two = client.post(reverse(PAGE), form(client, slot, step="look", search="otto"))

    assert one.context["typed"]["customer"] == str(sole.pk)
    assert two.context["typed"]["customer"] == ""


def test_times_of_another_day_and_resource_are_looked_up_with_prices(venue, slot):
    other = f.ResourceFactory(organization=venue.organization, name="Other hall")
    there = f.make_slot(other, starts_at=slot.starts_at + timedelta(days=1))
    client = as_role(venue, "front_desk")
    day = there.starts_at.astimezone(timezone.get_fixed_timezone(60)).date()

    response = client.get(reverse(PAGE), {"resource": other.pk, "day": day.isoformat()})

    assert [c.slot.pk for c in response.context["picker"].choices] == [there.pk]
    chosen = client.get(reverse(PAGE), {"slot": slot.pk})
    assert [c.price for c in chosen.context["picker"].choices if c.is_chosen] == ["20.00\xa0EUR"]


@pytest.mark.parametrize("role", ["owner", "front_desk", "reviewer"])
def test_nothing_of_another_organisation_is_booked_or_seen(venue, foreign, slot, role):
    client = as_role(venue, role)
    there = f.make_slot(foreign.resource, starts_at=f.soon(72))

    page = client.get(reverse(PAGE), {"slot": there.pk, "resource": foreign.resource.pk})
    client.post(reverse(PAGE), known(client, slot, venue.customer) | {"slot": there.pk})
    client.post(reverse(PAGE), known(client, slot, foreign.customer))

    assert "Theirs" not in page.content.decode()
    assert booked(there) == []
    assert booked(slot) == []


def test_providers_and_strangers_book_for_nobody(venue, slot):
    provider = signed_in(staff(venue, "provider"))
    customer = signed_in(venue.customer.user)

    assert provider.get(reverse(PAGE)).status_code == 403
    assert provider.post(reverse(PAGE), {"step": "book"}).status_code == 403
    assert customer.get(reverse(PAGE)).status_code == 302
    assert booked(slot) == []


def test_a_reviewer_makes_no_new_customers(venue, slot):
    client = as_role(venue, "reviewer")

    response = client.post(reverse(PAGE), new(client, slot))

    assert "who" in response.context["form"].errors
    assert not Customer.objects.filter(name="Walk In").exists()


def test_the_calendar_leads_to_the_form_only_where_it_may_be_sent(venue, slot):
    day = slot.starts_at.astimezone(timezone.get_fixed_timezone(60)).date().isoformat()
    address = f"{reverse(PAGE)}?slot={slot.pk}"

    def shown(role: str) -> str:
        page = as_role(venue, role).get(reverse("admin:calendar"), {"day": day})
        return page.content.decode()

    assert address in shown("front_desk")
    assert address not in shown("provider")


def test_two_at_the_desk_take_the_last_place_and_one_is_told(venue):
    """Both have the form open with the place free; both press the button at once."""
    last = f.make_slot(venue.resource, starts_at=f.soon(72))
    clients = [as_role(venue, "front_desk"), as_role(venue, "manager")]
    forms = [
        new(client, last, name=f"Caller {n}", email=f"caller{n}@example.com")
        for n, client in enumerate(clients)
    ]
    barrier = threading.Barrier(2, timeout=30)
    answers: list[Any] = [None, None]

    def press(n: int) -> None:
        try:
            barrier.wait()
            answers[n] = clients[n].post(reverse(PAGE), forms[n])
        finally:
            connections.close_all()

    threads = [threading.Thread(target=press, args=(n,)) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    won, lost = sorted(answers, key=lambda a: a.status_code, reverse=True)
    assert (won.status_code, lost.status_code) == (302, 200)
    assert len(booked(last)) == 1
    assert lost.context["form"].non_field_errors()
    assert Customer.objects.filter(name__startswith="Caller").count() == 1
    last.refresh_from_db()
    assert (last.taken_bookings, last.taken_units) == (1, 1)


# --- somebody whom the organisation knows ---------------------------------------------------------


def known_address(venue: Any) -> Customer:
    made: Customer = f.CustomerFactory(
        organization=venue.organization,
        name="Ada Known",
        email="Walk@Example.com",
        phone="+4915123456789",
    )
    return made


@pytest.mark.parametrize(
    "how", [{"email": "walk@example.com"}, {"email": "", "phone": "+49 151 234 56789"}]
)
def test_a_known_address_is_shown_and_asked_about_before_anything_is_booked(venue, slot, how):
    ada = known_address(venue)
    client = as_role(venue, "front_desk")

    response = client.post(reverse(PAGE), new(client, slot, note="by phone", **how))

    text = response.content.decode()
    assert booked(slot) == []
    assert "Not booked yet: somebody with this e-mail address" in text
    assert response.context["same"] == [ada]
    assert "Ada Known" in text
    assert "No, Walk In is somebody else" in text
    assert "by phone" in text


def test_it_is_them(venue, slot):
    ada = known_address(venue)
    client = as_role(venue, "front_desk")
    asked = client.post(reverse(PAGE), new(client, slot)).context
    sent = asked["typed"] | {"step": "book", "same": str(ada.pk), "shown": asked["shown"]}

    client.post(reverse(PAGE), sent)

    assert booked(slot) == [("Ada Known", "confirmed", 1)]
    assert not Customer.objects.filter(name="Walk In").exists()


def test_it_is_somebody_else_with_the_same_address(venue, slot):
    known_address(venue)
    client = as_role(venue, "front_desk")
    asked = client.post(reverse(PAGE), new(client, slot)).context
    sent = asked["typed"] | {"step": "book", "same": "nobody", "shown": asked["shown"]}

    client.post(reverse(PAGE), sent)

    assert booked(slot) == [("Walk In", "confirmed", 1)]


def test_nobody_is_said_blindly(venue, slot):
    """Who was not shown is asked about, whatever a form says."""
    known_address(venue)
    client = as_role(venue, "front_desk")

    response = client.post(reverse(PAGE), new(client, slot, same="nobody", shown=""))

    assert booked(slot) == []
    assert response.context["same"]


@pytest.mark.parametrize("same", ["x", "\0", "theirs"])
def test_an_answer_that_names_nobody_here_books_nobody(venue, foreign, slot, same):
    known_address(venue)
    client = as_role(venue, "front_desk")
    same = str(foreign.customer.pk) if same == "theirs" else same

    response = client.post(reverse(PAGE), new(client, slot, same=same))

    assert response.status_code == 200
    assert booked(slot) == []


def test_looking_shows_who_it_may_be(venue, slot):
    ada = known_address(venue)
    client = as_role(venue, "front_desk")

    response = client.post(reverse(PAGE), new(client, slot, step="look"))

    assert response.context["same"] == [ada]
    assert booked(slot) == []


# --- who comes after the start --------------------------------------------------------------


@pytest.fixture
def running(venue: Any) -> Slot:
    """An hour that began five minutes ago, with two places."""
    start = timezone.now() - timedelta(minutes=5)
    return f.make_slot(venue.resource, starts_at=start, max_bookings=2, max_units=4)


def test_the_calendar_offers_what_is_left_of_a_running_slot(venue, running):
    client = as_role(venue, "front_desk")

    page = client.get(reverse("admin:calendar")).content.decode()
    shown = client.get(reverse(PAGE), {"slot": running.pk})

    assert "running, and free" in page
    assert f"{reverse(PAGE)}?slot={running.pk}" in page
    typed = shown.context["typed"]
    assert (typed["anyway"], typed["reason"]) == ("on", "walk-in")
    assert "has begun, 4 places left" in shown.content.decode()

    answer = client.post(reverse(PAGE), known(client, running, venue.customer), follow=True)

    assert "Booked for Ours Customer and confirmed" in answer.content.decode()
    assert booked(running) == [("Ours Customer", "confirmed", 1)]
    reasons = trail_of(Booking).objects.filter(slot_id=running.pk)
    assert reasons.earliest("history_id").history_change_reason.endswith("walk-in")


def test_who_took_the_tick_away_is_told_what_to_do(venue, running):
    client = as_role(venue, "front_desk")

    answer = client.post(
        reverse(PAGE), known(client, running, venue.customer, anyway="", reason="")
    )

    assert "has begun then. To let them in" in html.unescape(answer.content.decode())
    assert booked(running) == []
