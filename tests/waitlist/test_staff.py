"""What staff do with the line: move, offer by hand, close (A5, F3)."""

from __future__ import annotations

import random

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from audit.context import Actor
from audit.errors import Forbidden, Invalid
from audit.models import OutboxEvent
from bookings.models import Booking, Resource, Slot, User
from tests.concurrency import interleave
from tests.factories import PriceFactory, ResourceFactory, hold, make_slot, soon
from tests.invariants import assert_consistent, refusal
from tests.waitlist.line import STAFF, accept_for, free, fresh, full_slot, join, leave, window
from waitlist import selectors
from waitlist.errors import NoOffer
from waitlist.models import Offer, WaitlistEntry
from waitlist.selectors import load_positions, same_line
from waitlist.services import by_hand, line
from waitlist.services.joining import Window

pytestmark = pytest.mark.django_db


def place(entry: WaitlistEntry, position: int, *, actor: Actor = STAFF) -> WaitlistEntry:
    return by_hand.place(
        entry_id=entry.pk,
        organization_id=entry.organization_id,
        position=position,
        reason="They asked nicely.",
        actor=actor,
        now=timezone.now(),
    )


def offer(entry: WaitlistEntry, *, actor: Actor = STAFF) -> Offer:
    return by_hand.offer_by_hand(
        entry_id=entry.pk,
        organization_id=entry.organization_id,
        reason="They called.",
        actor=actor,
        now=timezone.now(),
    )


def positions(*entries: WaitlistEntry) -> list[int]:
    found = list(WaitlistEntry.objects.in_bulk([e.pk for e in entries]).values())
    load_positions(found, now=timezone.now())
    by_id = {e.pk: e.position for e in found}
    return [by_id[e.pk] for e in entries]


@pytest.mark.parametrize("position", [1, 2, 3, 4, 9])
def test_the_place_that_staff_choose_is_the_one_that_is_shown(position: int) -> None:
    """Who waits for any time stands in the same line, and is counted."""
    slot, _ = full_slot()
    first = join(slot)
    any_time = join(window(slot.resource))
    third = join(slot)
    last = join(slot)
    assert positions(first, any_time, third, last) == [1, 2, 3, 4]

    place(last, position)

    assert positions(last) == [min(position, 4)]
    assert [e.pk for e in same_line(fresh(last), now=timezone.now())].index(last.pk) == min(
        position, 4
    ) - 1
    assert sorted(positions(first, any_time, third, last)) == [1, 2, 3, 4]
    assert_consistent()


def test_who_waits_for_any_time_is_moved_among_those_who_wait_for_a_slot_in_it() -> None:
    slot, _ = full_slot()
    first, second = join(slot), join(slot)
    any_time = join(window(slot.resource))

    place(any_time, 2)

    assert positions(first, any_time, second) == [1, 2, 3]
    assert_consistent()


def test_nobody_moves_or_offers_to_themselves() -> None:
    slot, _ = full_slot(seats=2)
    join(slot)
    own = join(slot)
    myself = Actor("staff", own.customer.user_id, "Who waits and works here")
    # The limits are raised behind everybody's back, so that nobody was offered the seats.
    Slot.objects.filter(pk=slot.pk).update(max_bookings=9, max_units=9)

    for call in (lambda: place(own, 1, actor=myself), lambda: offer(own, actor=myself)):
        with refusal(Forbidden, "Ask a colleague"):
            call()

    assert positions(own) == [2]
    colleague = User.objects.create_user("desk@example.com", password=None, name="Desk")
    place(own, 1, actor=Actor("staff", colleague.pk, "Desk"))
    assert positions(own) == [1]
    made = offer(own, actor=Actor("staff", colleague.pk, "Desk"))
    assert (made.by_hand, made.offered_by) == (True, "Desk")


def close(entry: WaitlistEntry, *, actor: Actor) -> WaitlistEntry:
    return line.close(
        entry_id=entry.pk,
        organization_id=entry.organization_id,
        reason="They called.",
        actor=actor,
        now=timezone.now(),
    )


def decline_for(entry: WaitlistEntry, *, actor: Actor) -> WaitlistEntry:
    return line.decline(
        entry_id=entry.pk,
        organization_id=entry.organization_id,
        actor=actor,
        now=timezone.now(),
    )


LINES = ["slot, slot", "slot, window", "window, slot", "window, window"]


def in_one_line(which: str) -> tuple[WaitlistEntry, WaitlistEntry, Actor]:
    """Somebody, and behind them somebody who works here and acts as staff."""
    slot, _ = full_slot(seats=2)
    theirs, own = (
        join(slot if what == "slot" else window(slot.resource)) for what in which.split(", ")
    )
    return theirs, own, Actor("staff", own.customer.user_id, "Who waits and works here")


@pytest.mark.parametrize("which", LINES)
def test_nobody_changes_a_line_in_which_they_wait_themselves(which: str) -> None:
    theirs, own, myself = in_one_line(which)
    slot = Slot.objects.get()

    for call in (
        lambda: place(theirs, 2, actor=myself),
        lambda: close(theirs, actor=myself),
        lambda: close(own, actor=myself),
        lambda: close_many(theirs, actor=myself),
        lambda: close_many(theirs, own, actor=myself),
    ):
        with refusal(Forbidden, "Ask a colleague"):
            call()
    Slot.objects.filter(pk=slot.pk).update(max_bookings=9, max_units=9)
    with refusal(Forbidden, "you are in this line yourself"):
        by_hand.offer_by_hand(
            entry_id=theirs.pk,
            organization_id=theirs.organization_id,
            slot_id=slot.pk,
            reason="They called.",
            actor=myself,
            now=timezone.now(),
        )

    colleague = User.objects.create_user("desk@example.com", password=None, name="Desk")
    assert close(theirs, actor=Actor("staff", colleague.pk, "Desk")).status == "closed"


@pytest.mark.parametrize("which", LINES)
def test_nobody_declines_for_others_in_a_line_in_which_they_wait_themselves(which: str) -> None:
    theirs, own, myself = in_one_line(which)
    free(Slot.objects.get())
    assert (fresh(theirs).status, fresh(own).status) == ("offered", "waiting")

    with refusal(Forbidden, "Ask a colleague"):
        decline_for(theirs, actor=myself)

    customer = Actor("customer", theirs.customer.user_id, theirs.customer.name)
    decline_for(theirs, actor=customer)
    assert fresh(own).status == "offered"


def test_who_works_here_and_waits_changes_other_lines_and_leaves_their_own() -> None:
    theirs, own, myself = in_one_line("slot, slot")
    elsewhere, _ = full_slot(theirs.resource, starts_at=soon(80))
    other, behind = join(elsewhere), join(elsewhere)

    place(behind, 1, actor=myself)
    close(other, actor=myself)
    leave(own)
    close(theirs, actor=myself)

    assert [fresh(e).status for e in (other, theirs)] == ["closed", "closed"]
    assert_consistent()


def test_an_actor_is_nobody_s_account_by_chance() -> None:
    """Customers without an account and actors without one are not each other."""
    user = User.objects.create_user("desk@example.com", password=None, name="Desk")
    assert Actor("staff", user.pk, "Desk").is_user(user.pk)
    assert not Actor("staff", user.pk, "Desk").is_user(None)
    assert not STAFF.is_user(None)
    assert not STAFF.is_user(user.pk)


def test_there_is_no_place_before_the_first() -> None:
    slot, _ = full_slot()

    with pytest.raises(Invalid, match="first place is 1"):
        place(join(slot), 0)


def priced() -> Resource:
    """What costs something: nothing is ordered before somebody says how it is paid."""
    resource: Resource = ResourceFactory()
    PriceFactory(resource=resource)
    return resource


def close_many(
    *entries: WaitlistEntry, reason: str = "The trainer is ill.", actor: Actor = STAFF
) -> int:
    found = line.close_many(
        entry_ids=[e.pk for e in entries],
        organization_id=entries[0].organization_id,
        reason=reason,
        actor=actor,
        now=timezone.now(),
    )
    return len(found)


def test_several_are_closed_at_once_and_what_they_were_offered_goes_to_the_next() -> None:
    slot, _ = full_slot()
    other, _ = full_slot()
    first, second, third = join(slot), join(slot), join(slot)
    elsewhere, left = join(slot, now=timezone.now()), join(slot)
    foreign = join(other)
    leave(left)
    free(slot)
    assert fresh(first).status == "offered"

    assert close_many(first, second, elsewhere, left, foreign) == 3

    assert [fresh(e).status for e in (first, second, elsewhere)] == ["closed"] * 3
    assert (fresh(left).status, fresh(foreign).status) == ("left", "waiting")
    assert fresh(third).status == "offered"
    told = OutboxEvent.objects.filter(kind="waitlist.closed")
    assert {e.payload["reason"] for e in told} == {"The trainer is ill."}
    assert told.count() == 3
    assert_consistent()


def test_closing_many_needs_a_reason_that_customers_can_read() -> None:
    slot, _ = full_slot()
    entry = join(slot)

    with refusal(Invalid, "customer will read it"):
        close_many(entry, reason="  ")


def test_closing_many_takes_as_many_statements_for_ten_as_for_two() -> None:
    slot, _ = full_slot(seats=2)
    entries = [join(slot) for _ in range(12)]

    def statements(*chosen: WaitlistEntry) -> int:
        with CaptureQueriesContext(connection) as queries:
            assert close_many(*chosen) == len(chosen)
        return len(queries)

    assert statements(*entries[:2]) == statements(*entries[2:])


def test_who_calls_gets_what_was_offered_and_pays_on_arrival() -> None:
    """It is ordered alone: what else is in the cart stays there."""
    slot, _ = full_slot(priced())
    entry = join(slot)
    other = make_slot(slot.resource, starts_at=soon(100))
    hold(entry.customer, other)
    free(slot)

    made = accept_for(entry)

    assert (made.status, made.payment_method) == ("approved", "pay_on_arrival")
    booking = Booking.objects.get(offer__entry=entry)
    assert booking.status == "confirmed"
    assert booking.cart_item.transaction_id == made.pk
    assert (fresh(entry).status, made.items.count()) == ("fulfilled", 1)
    assert Booking.objects.get(slot=other).status == "held"
    assert_consistent()


def test_who_calls_and_pays_in_advance_has_to_prove_it() -> None:
    slot, _ = full_slot(priced())
    entry = join(slot)
    free(slot)

    made = accept_for(entry, method="pay_now")

    assert (made.status, fresh(entry).status) == ("pending", "accepted")
    assert_consistent()


def test_nobody_accepts_as_staff_what_was_offered_to_themselves_or_is_not_offered() -> None:
    slot, _ = full_slot()
    entry, waiting = join(slot), join(slot)
    free(slot)
    myself = Actor("staff", entry.customer.user_id, "Who waits and works here")

    with refusal(Forbidden, "Ask a colleague"):
        accept_for(entry, actor=myself)
    with refusal(NoOffer):
        accept_for(waiting)
    with refusal(NoOffer):
        accept_for(entry, now=Offer.objects.get(entry=entry).expires_at)


def test_places_that_are_given_again_and_again_are_the_places_that_were_meant() -> None:
    """Also when no moment is left between two of them; who waits elsewhere as well stays in order."""
    slot, _ = full_slot()
    elsewhere, _ = full_slot(slot.resource, starts_at=soon(90))
    narrow = Window(slot.resource_id, slot.starts_at, slot.ends_at)
    before, *entries = join(elsewhere), join(slot), join(narrow), join(slot), join(slot)
    both, behind = join(window(slot.resource)), join(elsewhere)
    tied = [e.pk for e in entries[1:3]]
    WaitlistEntry.objects.filter(pk__in=tied).update(placed_at=entries[1].placed_at)
    order = [e.pk for e in (*entries, both)]
    by_id = {e.pk: e for e in entries}
    chance = random.Random(7)
    moves = [(order[0], 3), *[(order[n % 2], 2) for n in range(30)], *[(order[1], 5)] * 4]
    moves += [(chance.choice(order[:4]), chance.randint(1, 5)) for _ in range(12)]

    for number, (pk, position) in enumerate(moves):
        order.remove(pk)
        place(by_id[pk], position)
        order.insert(position - 1, pk)
        assert [e.pk for e in line_of_slot(slot)] == order, f"after move {number}"

    assert [e.pk for e in line_of_slot(elsewhere)] == [e.pk for e in (before, both, behind)]
    assert_consistent()


def line_of_slot(slot: Slot) -> list[WaitlistEntry]:
    return list(selectors.line_of(slot, now=timezone.now()))


def test_room_between_two_is_made_in_one_statement() -> None:
    slot, _ = full_slot()
    entries = [join(slot) for _ in range(12)]
    moment = fresh(entries[0]).placed_at
    WaitlistEntry.objects.filter(pk__in=[e.pk for e in entries[:11]]).update(placed_at=moment)

    def statements(position: int) -> list[str]:
        with CaptureQueriesContext(connection) as queries:
            place(entries[11], position)
        assert positions(entries[11]) == [position]
        return [q["sql"] for q in queries if q["sql"].startswith("UPDATE")]

    assert len(statements(9)) == 2
    assert len(statements(2)) == 2


@pytest.mark.django_db(transaction=True)
def test_who_makes_room_in_a_line_and_who_closes_it_wait_for_each_other_in_one_order() -> None:
    slot, _ = full_slot()
    resource = slot.resource
    entries = [join(window(resource)) for _ in range(4)]
    moment = fresh(entries[0]).placed_at
    WaitlistEntry.objects.filter(pk__in=[e.pk for e in entries[:3]]).update(placed_at=moment)

    outcomes = interleave(
        lambda: place(entries[3], 2),
        after=(line, "check_no_rival"),
        second=lambda: close_many(*entries),
    )

    # It let go of the one it had, and then found it closed.
    assert getattr(outcomes[0], "code", outcomes[0]) == "no_longer_waiting"
    assert outcomes[1] == 4
    assert_consistent()
