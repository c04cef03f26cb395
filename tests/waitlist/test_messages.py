"""What people in line read: where they stand, what is offered, until when (A5, B9)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from audit.delivery.email import Rendered, render
from audit.models import OutboxEvent
from bookings.models import Customer, Resource, Slot
from bookings.services import bookings as booking_services
from bookings.services import slots as slot_services
from payments.services import carts
from tests.factories import SYSTEM, CustomerFactory, PriceFactory, ResourceFactory, actor_of
from tests.waitlist.line import STAFF, accept, cancel, free, fresh, full_slot, join, offer_of
from waitlist.services import line, sweeps
from waitlist.services.joining import Window

pytestmark = pytest.mark.django_db

NOW = datetime(2030, 5, 1, 8, 0, tzinfo=UTC)
START = datetime(2030, 5, 3, 16, 0, tzinfo=UTC)  # a Friday, 18:00 in Berlin


@pytest.fixture(autouse=True)
def _it_is_the_first_of_may():
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def court() -> Resource:
    made: Resource = ResourceFactory(name="Court <1>", time_zone="Europe/Berlin")
    return made


def person(resource: Resource, **kwargs: Any) -> Customer:
    made: Customer = CustomerFactory(
        organization=resource.organization, name="Ana", **({"language": "en"} | kwargs)
    )
    return made


def mail(kind: str, customer: Customer) -> Rendered:
    """The mail of this kind to somebody, as the one delivery of it is rendered."""
    found = [
        (event, recipient)
        for event in OutboxEvent.objects.filter(kind=kind)
        for recipient in event.recipients
        if recipient["address"] == customer.email
    ]
    ((event, recipient),) = found
    return render(event, language=recipient["language"], time_zone=recipient["time_zone"])


def everywhere(message: Rendered, words: str) -> bool:
    return words in message.text and words in message.html


def full(court: Resource, **kwargs: Any) -> Slot:
    return full_slot(court, starts_at=START, **kwargs)[0]


def any_time(court: Resource) -> Window:
    return Window(court.pk, START - timedelta(hours=6), START + timedelta(days=1))


def test_joining_says_where_one_stands(court: Resource) -> None:
    slot, customer = full(court), person(court)
    join(slot)
    join(slot, customer, now=NOW + timedelta(seconds=1))

    message = mail("waitlist.joined", customer)

    assert message.subject == "Waitlist: Court <1>"
    assert everywhere(message, "You are 2nd in line.")
    assert everywhere(message, "Friday, 3 May 2030, 18:00 \N{EN DASH} 19:00 (Europe/Berlin)")
    assert "Court &lt;1&gt;" in message.html
    assert "fewer seats" not in message.text  # nobody is smaller than one


def test_a_party_is_told_that_smaller_ones_may_be_served_before(court: Resource) -> None:
    slot, customer = full(court, seats=3), person(court)
    join(slot, customer, units=3)

    message = mail("waitlist.joined", customer)

    assert everywhere(message, "You are 1st in line.")
    assert everywhere(message, "If fewer seats come free than you need")
    assert "Court <1> x 3" in message.text


def test_joining_for_any_time_says_which(court: Resource) -> None:
    full(court)
    customer = person(court)
    join(any_time(court), customer, resource=court)

    message = mail("waitlist.joined", customer)

    assert everywhere(message, "You are 1st in line.")
    assert everywhere(
        message,
        "At any time: Friday, 3 May 2030, 12:00 \N{EN DASH} Saturday, 4 May 2030, 18:00"
        " (Europe/Berlin)",
    )


def test_an_offer_says_until_when_in_the_readers_time_zone(court: Resource) -> None:
    slot, customer = full(court), person(court, time_zone="America/New_York")
    join(slot, customer)
    free(slot, now=NOW)

    message = mail("waitlist.offered", customer)

    assert message.subject == "Free for you: Court <1>"
    assert everywhere(message, "answer until Wednesday, 1 May 2030, 16:00 (America/New_York)")
    assert everywhere(message, "Friday, 3 May 2030, 18:00 \N{EN DASH} 19:00 (Europe/Berlin)")
    assert everywhere(message, "Accept or decline it in the app, which also says what it costs.")


def test_whoever_never_said_their_time_zone_reads_that_of_the_place(court: Resource) -> None:
    slot, customer = full(court), person(court, time_zone="")
    join(slot, customer)
    free(slot, now=NOW)

    message = mail("waitlist.offered", customer)

    assert everywhere(message, "answer until Wednesday, 1 May 2030, 22:00 (Europe/Berlin)")


def test_an_offer_for_any_time_says_which_it_became(court: Resource) -> None:
    slot, customer = full(court), person(court)
    join(any_time(court), customer, resource=court)
    free(slot, now=NOW)

    message = mail("waitlist.offered", customer)

    assert everywhere(message, "Friday, 3 May 2030, 18:00 \N{EN DASH} 19:00 (Europe/Berlin)")
    assert "At any time" not in message.text


def test_days_and_places_are_in_the_readers_language(court: Resource) -> None:
    slot, customer = full(court), person(court, language="de")
    join(slot, customer)
    free(slot, now=NOW)

    assert everywhere(mail("waitlist.joined", customer), "Sie stehen an 1. Stelle der Warteliste.")
    offer = mail("waitlist.offered", customer)
    assert offer.subject == "Frei für Sie: Court <1>"
    assert everywhere(offer, "Freitag, 3. Mai 2030, 18:00 \N{EN DASH} 19:00 Uhr (Europe/Berlin)")
    assert everywhere(offer, "antworten Sie bis Mittwoch, 1. Mai 2030, 22:00 Uhr (Europe/Berlin)")
    assert 'lang="de"' in mail("waitlist.offered", customer).html


@pytest.mark.parametrize("wish", ["slot", "any time"])
def test_an_offer_that_ran_out_says_which(court: Resource, wish: str) -> None:
    slot, customer = full(court), person(court)
    join(slot if wish == "slot" else any_time(court), customer, resource=court)
    free(slot, now=NOW)
    booking_services.expire_holds(actor=SYSTEM, now=NOW + timedelta(hours=12))

    message = mail("waitlist.offer_expired", customer)

    assert message.subject == "No longer held for you: Court <1>"
    assert everywhere(message, "You did not accept this and check out in time")
    assert everywhere(message, "Friday, 3 May 2030, 18:00 \N{EN DASH} 19:00 (Europe/Berlin)")


def test_so_does_one_that_was_accepted_and_never_checked_out(court: Resource) -> None:
    PriceFactory(resource=court)
    slot, customer = full(court), person(court)
    entry = join(slot, customer)
    free(slot, now=NOW)
    accept(entry, now=NOW)
    booking_services.expire_holds(actor=SYSTEM, now=NOW + timedelta(hours=12))

    assert everywhere(mail("waitlist.offer_expired", customer), "check out in time")


def test_a_place_that_staff_close_comes_with_their_reason(court: Resource) -> None:
    slot, customer = full(court), person(court)
    entry = join(slot, customer)
    line.close(
        entry_id=entry.pk,
        organization_id=entry.organization_id,
        reason="The roof leaks & drips.",
        actor=STAFF,
        now=NOW,
    )

    message = mail("waitlist.closed", customer)

    assert message.subject == "No longer on the waitlist: Court <1>"
    assert "The roof leaks & drips." in message.text
    assert "The roof leaks &amp; drips." in message.html


def test_an_offer_that_the_house_takes_back_is_said_to_be(court: Resource) -> None:
    slot, customer = full(court), person(court)
    entry = join(any_time(court), customer, resource=court)
    free(slot, now=NOW)
    slot_services.close_slots(
        slot_ids=[slot.pk], actor=STAFF, reason="The roof leaks.", now=timezone.now()
    )
    cancel(offer_of(entry).booking, now=NOW)

    message = mail("waitlist.offer_withdrawn", customer)

    assert message.subject == "Not available after all: Court <1>"
    assert everywhere(message, "Friday, 3 May 2030, 18:00 \N{EN DASH} 19:00 (Europe/Berlin)")
    assert everywhere(message, "Changed plans.")
    assert everywhere(message, "still on the waitlist")
    assert fresh(entry).status == "waiting"


def test_so_is_one_that_was_in_the_cart_already(court: Resource) -> None:
    PriceFactory(resource=court)
    slot, customer = full(court), person(court)
    entry = join(slot, customer)
    free(slot, now=NOW)
    cancel(accept(entry, now=NOW).item.booking, now=NOW)

    assert everywhere(mail("waitlist.closed", customer), "Changed plans.")
    assert fresh(entry).status == "closed"


def test_whoever_is_refused_a_time_that_is_offered_is_not_offered_it_again(court: Resource) -> None:
    slot, customer = full(court), person(court)
    entry = join(any_time(court), customer, resource=court)
    free(slot, now=NOW)
    cancel(offer_of(entry).booking, now=NOW)

    assert everywhere(mail("waitlist.closed", customer), "Changed plans.")
    assert fresh(entry).status == "closed"
    assert offer_of(entry) is None


def test_nothing_that_came_free_in_time_is_said_as_well(court: Resource) -> None:
    slot, customer = full(court), person(court)
    join(slot, customer)
    sweeps.end_overdue(actor=SYSTEM, now=START - timedelta(minutes=30))
    assert slot.starts_at == START

    assert everywhere(mail("waitlist.closed", customer), "No seats came free in time.")


def test_what_they_do_themselves_needs_no_mail(court: Resource) -> None:
    PriceFactory(resource=court)
    slot, customer = full(court), person(court)
    entry = join(slot, customer)
    free(slot, now=NOW)
    assert offer_of(entry)
    item = accept(entry, now=NOW).item
    carts.remove_item(customer=customer, item_id=item.pk, actor=actor_of(customer), now=NOW)

    kinds = {e.kind for e in OutboxEvent.objects.all() if e.recipients and _is_to(e, customer)}

    assert kinds == {"waitlist.joined", "waitlist.offered"}


def _is_to(event: OutboxEvent, customer: Customer) -> bool:
    return any(r["address"] == customer.email for r in event.recipients)
