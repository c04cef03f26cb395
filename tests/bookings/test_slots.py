"""Making slots and changing what they offer (B1, B2, B3)."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from audit.errors import Invalid, NotFound
from bookings import locks
from bookings.errors import SlotFull, SlotGone, SlotInUse
from bookings.models import Slot
from bookings.services import slots
from tests import factories as f
from tests.invariants import refusal

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


def make(resource, *starts, length=HOUR, **kwargs):
    kwargs = {"max_bookings": 1, "max_units": 1} | kwargs
    return slots.create_slots(
        resource=resource,
        periods=[(s, s + length) for s in starts],
        actor=f.SYSTEM,
        **kwargs,
        now=timezone.now(),
    )


def test_slots_are_made_with_the_buffers_and_the_kind_of_their_resource():
    resource = f.ResourceFactory(exclusive=True, buffer_before_minutes=10, buffer_after_minutes=20)
    at = f.soon()

    assert make(resource, at) == 1

    slot = Slot.objects.get()
    assert (slot.starts_at, slot.ends_at) == (at, at + HOUR)
    assert (slot.busy_from, slot.busy_until) == (
        at - timedelta(minutes=10),
        at + timedelta(minutes=80),
    )
    assert slot.exclusive
    assert slot.organization_id == resource.organization_id


def test_making_slots_again_adds_only_what_is_missing():
    resource = f.ResourceFactory()
    at = f.soon()
    make(resource, at, at + HOUR)

    assert make(resource, at, at + HOUR, at + 2 * HOUR) == 1
    assert Slot.objects.count() == 3


def test_who_made_slots_is_in_their_trail():
    make(f.ResourceFactory(), f.soon())

    line = Slot.history.get()
    assert (line.history_type, line.actor_kind, line.actor_label) == ("+", "system", "test")


@pytest.mark.parametrize(
    ("exclusive", "length", "limits", "field"),
    [
        (False, -HOUR, {}, "ends_at"),
        (False, timedelta(0), {}, "ends_at"),
        (True, HOUR, {"max_bookings": 2}, "max_bookings"),
    ],
)
def test_slots_that_cannot_be_are_refused_and_none_is_made(exclusive, length, limits, field):
    resource = f.ResourceFactory(exclusive=exclusive)

    with refusal(Invalid) as caught:
        make(resource, f.soon(), length=length, **limits)

    assert field in caught.value.extra["errors"]
    assert Slot.objects.count() == 0


def test_more_slots_at_once_than_anybody_needs_are_refused(monkeypatch):
    monkeypatch.setattr(slots, "MOST_AT_ONCE", 2)

    resource = f.ResourceFactory()

    with refusal(Invalid, "3 slots"):
        make(resource, *[f.soon(h) for h in range(3)])

    assert Slot.objects.count() == 0


@pytest.fixture
def busy():
    """A slot for four bookings and six people with two bookings for three people in it."""
    slot = f.make_slot(max_bookings=4, max_units=6)
    for units in (1, 2):
        f.hold(f.CustomerFactory(organization=slot.organization), slot, units)
    return slot


def resize(slot, bookings, units):
    return slots.change_capacity(
        slot_ids=[slot.pk],
        max_bookings=bookings,
        max_units=units,
        actor=f.SYSTEM,
        reason="another room",
        now=timezone.now(),
    )


@pytest.mark.parametrize(("bookings", "units"), [(2, 3), (9, 9), (2, 100)])
def test_limits_may_be_raised_and_lowered_down_to_what_is_taken(busy, bookings, units):
    resize(busy, bookings, units)

    busy.refresh_from_db()
    assert (busy.max_bookings, busy.max_units) == (bookings, units)


@pytest.mark.parametrize(("bookings", "units"), [(1, 6), (4, 2)])
def test_limits_below_what_is_taken_are_refused_and_nothing_changes(busy, bookings, units):
    with refusal(SlotInUse, "2 bookings for 3 people"):
        resize(busy, bookings, units)


def test_an_exclusive_slot_keeps_its_limit_of_one():
    slot = f.make_slot(f.ResourceFactory(exclusive=True))

    with refusal(Invalid):
        resize(slot, 2, 2)


def close(*found, move=slots.close_slots):
    return move(slot_ids=[s.pk for s in found], actor=f.SYSTEM, reason="rain", now=timezone.now())


def test_a_closed_slot_keeps_its_people_and_takes_nobody_new(busy):
    assert len(close(busy)) == 1

    newcomer = f.CustomerFactory(organization=busy.organization)
    with refusal(SlotGone, "closed"):
        f.hold(newcomer, busy)
    busy.refresh_from_db()
    assert (busy.status, busy.taken_bookings) == ("closed", 2)


def test_a_closed_slot_can_be_opened_again(busy):
    close(busy)

    close(busy, move=slots.open_slots)

    f.hold(f.CustomerFactory(organization=busy.organization), busy)


def test_closing_passes_over_slots_that_cannot_be_closed(busy):
    legacy = f.make_slot(busy.resource, starts_at=f.soon(50), status="legacy")

    assert [s.pk for s in close(busy, legacy)] == [busy.pk]


# Holding seats


def test_a_hold_is_refused_with_how_many_places_are_left(busy):
    newcomer = f.CustomerFactory(organization=busy.organization)
    with refusal(SlotFull) as caught:
        f.hold(newcomer, busy, units=4)

    assert caught.value.extra["available_units"] == 3
    assert "Only 3 left" in caught.value.detail


def test_a_slot_without_bookings_left_is_full_whatever_places_it_has():
    slot = f.make_slot(max_bookings=1, max_units=10)
    f.hold(f.CustomerFactory(organization=slot.organization), slot)

    newcomer = f.CustomerFactory(organization=slot.organization)
    with refusal(SlotFull) as caught:
        f.hold(newcomer, slot)

    assert caught.value.extra["available_units"] == 0


def test_a_group_that_never_fits_is_told_what_the_slot_takes(busy):
    newcomer = f.CustomerFactory(organization=busy.organization)
    with refusal(SlotFull, "takes 6 at most"):
        f.hold(newcomer, busy, units=7)


@pytest.mark.parametrize("why", ["legacy", "started", "inactive"])
def test_what_cannot_be_booked_any_more_says_so_and_changes_nothing(why):
    slot = f.make_slot()
    customer = f.CustomerFactory(organization=slot.organization)
    now = timezone.now()
    if why == "legacy":
        Slot.objects.update(status="legacy")
    elif why == "started":
        now = slot.starts_at
    else:
        slot.resource.is_active = False
        slot.resource.save()

    with refusal(SlotGone):
        f.hold(customer, slot, now=now)


def test_another_organisation_s_slot_does_not_exist():
    slot, elsewhere = f.make_slot(), f.OrganizationFactory()

    with refusal(NotFound):
        locks.slot(slot.pk, organization_id=elsewhere.pk)


# Times are instants: the clocks of the resource do not matter to who overlaps


def test_slots_on_the_night_the_clocks_go_back_are_hours_apart():
    resource = f.ResourceFactory(exclusive=True, time_zone="Europe/Berlin")
    first = datetime(2027, 10, 31, 0, 0, tzinfo=UTC)  # 02:00 summer time
    again = first + HOUR  # 02:00 winter time
    make(resource, first, again)
    early, late = Slot.objects.order_by("starts_at")

    for slot in (early, late):
        f.hold(f.CustomerFactory(organization=resource.organization), slot)
