"""What can be waited for (A5, B1)."""

from __future__ import annotations

import pytest

from bookings.errors import TooFarAhead, TooSoon
from bookings.models import Resource, Slot
from tests.factories import ResourceFactory, make_slot, soon
from tests.invariants import assert_consistent, refusal
from tests.waitlist.line import also_in, free, fresh, full_slot, join, somebody, window
from waitlist.errors import AlreadyWaiting, SeatsAvailable
from waitlist.services.joining import Window

pytestmark = pytest.mark.django_db


def test_a_window_is_judged_by_what_can_be_booked_in_it() -> None:
    """A slot too near to be booked, and one too far ahead, neither forbid to wait nor are room."""
    resource = ResourceFactory(notice_minutes=60 * 24, horizon_days=5)
    make_slot(resource, starts_at=soon(12))
    make_slot(resource, starts_at=soon(24 * 6))
    full_slot(resource, starts_at=soon(60))

    assert join(window(resource)).position == 1

    make_slot(resource, starts_at=soon(61))
    with refusal(SeatsAvailable):
        join(window(resource))


@pytest.mark.parametrize(("hours", "refused"), [(12, TooSoon), (24 * 6, TooFarAhead)])
def test_nobody_waits_for_a_window_in_which_nothing_can_be_booked(
    hours: int, refused: type[Exception]
) -> None:
    resource = ResourceFactory(notice_minutes=60 * 24, horizon_days=5)
    make_slot(resource, starts_at=soon(hours))

    with refusal(refused):
        join(window(resource))


# Once in line for the same seats


def between(resource: Resource, since: int, until: int) -> Window:
    return Window(resource.pk, soon(since), soon(until))


@pytest.mark.parametrize(
    ("first", "second"),
    [((20, 60), (20, 80)), ((20, 60), (30, 40)), ((20, 60), (50, 90)), ("slot", (20, 60))],
)
@pytest.mark.parametrize("swapped", [False, True])
def test_nobody_is_twice_in_line_for_the_same_time(first, second, swapped) -> None:
    resource = ResourceFactory()
    for hours in (30, 55, 70, 85):
        full_slot(resource, starts_at=soon(hours))
    slot = Slot.objects.order_by("starts_at")[0]
    wanted = [slot if w == "slot" else between(resource, *w) for w in (first, second)]
    one, other = reversed(wanted) if swapped else wanted
    person = somebody(resource)
    join(one, person)

    with refusal(AlreadyWaiting, "some of this time already"):
        join(other, person)

    assert join(other).status == "waiting"  # somebody else may
    assert_consistent()


def test_times_that_do_not_meet_are_waited_for_side_by_side() -> None:
    resource, elsewhere = ResourceFactory(), ResourceFactory()
    slots = [full_slot(resource, starts_at=soon(hours))[0] for hours in (30, 55)]
    full_slot(elsewhere, starts_at=soon(30))
    person = somebody(resource)

    join(between(resource, 20, 40), person)
    join(between(resource, 40, 60), person)
    join(between(elsewhere, 20, 40), somebody(elsewhere))
    join(slots[0])

    with refusal(AlreadyWaiting, "more or fewer people"):
        join(between(resource, 40, 60), person, units=1)


@pytest.mark.parametrize("seats", [2, 3])
def test_nobody_gets_two_seats_of_a_slot_by_two_places(seats: int) -> None:
    """As some are in line from before places were compared."""
    slot, _ = full_slot(seats=seats)
    person = somebody(slot)
    own = [join(slot, person), also_in(window(slot.resource), person)]
    own.append(also_in(window(slot.resource, days=11), person))
    other = join(slot)

    free(slot)  # so that the first is offered before the second is looked at
    free(slot, seats - 1)

    assert [fresh(e).status for e in (*own, other)] == ["offered", "waiting", "waiting", "offered"]
    own[1].refresh_from_db()
    assert own[1].passed_over_reason == "Is offered seats here already."
    assert_consistent()
