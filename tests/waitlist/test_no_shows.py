"""Who did not come too often does not join, is not offered seats, and does not accept (B1, A5)."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from bookings.errors import TooManyNoShows
from bookings.models import Customer, Slot
from tests import factories as f
from tests.api.test_statements import counted
from tests.bookings.test_no_shows import missing
from tests.corruption import check
from tests.invariants import assert_consistent, refusal
from tests.waitlist.line import (
    STAFF,
    accept,
    accept_for,
    free,
    fresh,
    full_slot,
    join,
    somebody,
    window,
)
from waitlist.models import Offer, WaitlistEntry
from waitlist.services import joining
from waitlist.services.by_hand import offer_by_hand

pytestmark = pytest.mark.django_db


def strict(*, seats: int = 1, **fields: Any) -> Slot:
    """A full slot of a house where one who missed two bookings books with the staff."""
    organization = f.OrganizationFactory(no_show_limit=2)
    return full_slot(f.ResourceFactory(organization=organization), seats=seats, **fields)[0]


def unreliable(slot: Slot, times: int = 2) -> Customer:
    found = somebody(slot)
    missing(found, times)
    return found


def by_staff(slot: Slot, customer: Customer) -> WaitlistEntry:
    return joining.join(
        organization=slot.organization,
        customer=customer,
        wanted=slot.pk,
        units=1,
        actor=STAFF,
        now=timezone.now(),
    )


def by_hand(entry: WaitlistEntry) -> Offer:
    return offer_by_hand(
        entry_id=entry.pk,
        organization_id=entry.organization_id,
        reason="They promised.",
        actor=STAFF,
        now=timezone.now(),
    )


@pytest.mark.parametrize("what", ["slot", "window"])
def test_they_do_not_join_themselves_and_staff_may_put_them_in(what: str) -> None:
    slot = strict()
    person = unreliable(slot)

    with refusal(TooManyNoShows, "2 bookings were missed") as caught:
        join(slot if what == "slot" else window(slot.resource), person)

    assert caught.value.extra == {"no_shows": 2, "limit": 2}
    assert by_staff(slot, person).status == "waiting"


def test_below_the_limit_or_without_one_nothing_changes() -> None:
    slot = strict()
    entry = join(slot, unreliable(slot, 1))
    free(slot)
    assert fresh(entry).status == "offered"
    assert accept(entry).transaction is not None

    other, _ = full_slot()
    careless = somebody(other)
    missing(careless, 3)
    assert join(other, careless).status == "waiting"


@pytest.mark.parametrize("what", ["slot", "window"])
def test_they_are_passed_over_and_keep_the_place_and_the_reason_is_recorded(what: str) -> None:
    slot = strict()
    person = somebody(slot)
    first = join(slot if what == "slot" else window(slot.resource), person)
    second = join(slot)
    missing(person, 2)

    free(slot)

    assert (fresh(first).status, fresh(second).status) == ("waiting", "offered")
    assert (first.passed_over, first.passed_over_reason) == (
        1,
        "Missed 2 bookings; ask the staff.",
    )
    assert_consistent()


def test_alone_in_line_they_keep_nobody_from_the_seat() -> None:
    slot = strict()
    person = somebody(slot)
    entry = join(slot, person)
    missing(person, 2)

    free(slot)

    assert (fresh(entry).status, entry.passed_over) == ("waiting", 0)
    assert check("waitlist.unserved") == set()
    assert f.hold(somebody(slot), slot).status == "held"
    assert_consistent()


def test_what_was_offered_before_is_accepted_by_staff_alone() -> None:
    slot = strict()
    person = somebody(slot)
    entry = join(slot, person)
    free(slot)
    missing(person, 2)

    with refusal(TooManyNoShows):
        accept(entry)
    assert accept_for(entry).status == "approved"
    assert_consistent()


def test_what_staff_offered_by_hand_they_accept_themselves() -> None:
    slot = strict()
    person = somebody(slot)
    entry = join(slot, person)
    missing(person, 2)
    free(slot)

    by_hand(entry)

    assert accept(entry).entry.status == "fulfilled"
    assert_consistent()


def test_another_houses_limit_and_those_of_others_do_not_count() -> None:
    slot, other = strict(), strict()
    missing(somebody(slot), 2)
    missing(somebody(other), 2)
    entry = join(slot)
    free(slot)
    assert fresh(entry).status == "offered"


def test_asking_who_missed_too_much_takes_one_statement_for_any_number() -> None:
    def statements(waiting: int, limit: int | None) -> int:
        organization = f.OrganizationFactory(no_show_limit=limit)
        slot, _ = full_slot(f.ResourceFactory(organization=organization))
        for _ in range(waiting):
            join(slot)
        with counted() as found:
            free(slot)
        assert Offer.objects.filter(entry__slot=slot).count() == 1
        return len(found)

    assert statements(2, 1) == statements(8, 1) == statements(2, None) + 1
