"""Booked from any time, for as long as wanted (B1, B5, D1)."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import IntegrityError
from django.utils import timezone

from audit.errors import NotFound
from bookings import locks, selectors_free_times
from bookings.errors import (
    NotOffered,
    ResourceTaken,
    SlotFull,
    SlotGone,
    TooFarAhead,
    TooManyBookings,
    TooSoon,
)
from bookings.models import Booking, Customer, Pool, PoolMember, Resource, ScheduleException, Slot
from bookings.services import closings, free_times, resources
from bookings.services.free_times import FreeTime
from payments.errors import SeriesNotFree
from payments.models import CartItem
from payments.services import cancellation, carts, checkout, desk, series
from tests import factories as f
from tests import timetable
from tests.concurrency import interleave, locks_off, lost, race, without, won
from tests.invariants import assert_consistent, problems, refusal

pytestmark = pytest.mark.django_db
RACE = pytest.mark.django_db(transaction=True)
HOUR = timedelta(hours=1)
TODAY = f.soon(0).replace(hour=0)  # looked at once, so that no test sees two days


def open_court(organization=None, *, hours=None, **fields):
    """A court that is open from nine to five, in UTC, booked by the quarter of an hour."""
    given = {"mode": "free_times", "exclusive": True, "time_zone": "UTC", "horizon_days": 60}
    if organization is not None:
        given["organization"] = organization
    made = f.ResourceFactory(**{**given, **fields})
    return f.open_hours(made, **{"from_time": time(9), "until_time": time(17), **(hours or {})})


@pytest.fixture
def court():
    return open_court()


def of(resource):
    return f.CustomerFactory(organization=resource.organization)


def day(days=3):
    """A midnight to come."""
    return TODAY + timedelta(days=days)


def at(hour, minute=0, days=3):
    return day(days) + timedelta(hours=hour, minutes=minute)


def hold(customer, resource, start, minutes=60, *, now=None, units=1):
    item, _ = carts.add_item(
        organization=customer.organization,
        customer=customer,
        slot_id=FreeTime(resource.pk, start, minutes),
        units=units,
        actor=f.actor_of(customer),
        now=now or timezone.now(),
    )
    return item.booking


def starts(resource, *, minutes=60, since=None, until=None, now=None):
    return selectors_free_times.free_starts(
        Resource.objects.get(pk=resource.pk),
        since or day(),
        until or day() + timedelta(days=1),
        timedelta(minutes=minutes),
        now=now or timezone.now(),
    )


def quarters(first, last):
    """Every quarter of an hour from one start to another, both included."""
    return [
        first + timedelta(minutes=15 * n)
        for n in range((last - first) // timedelta(minutes=15) + 1)
    ]


# What is offered


def test_every_start_on_the_grid_whose_end_lies_in_the_opening_hours_is_offered(court):
    assert starts(court) == quarters(at(9), at(16))
    assert starts(court, minutes=240) == quarters(at(9), at(13))


def test_the_grid_begins_when_it_opens():
    court = open_court(hours={"from_time": time(9, 10), "until_time": time(11)})

    assert starts(court) == [at(9, 10), at(9, 25), at(9, 40), at(9, 55)]


def test_a_closure_moves_no_start(court):
    add_closed(court, from_time=time(12), until=time(13, 5))

    assert starts(court) == quarters(at(9), at(11)) + quarters(at(13, 15), at(16))
    with refusal(NotOffered):
        hold(of(court), court, at(13, 5))
    assert hold(of(court), court, at(13, 15)).status == "held"


def test_what_is_always_open_is_booked_through_midnight():
    court = open_court(hours={"from_time": time(0), "until_time": time(0)})
    night = {"since": at(22), "until": at(26)}

    assert starts(court, minutes=120, **night) == quarters(at(22), at(25, 45))
    booking = hold(of(court), court, at(23), 120)
    assert booking.slot.ends_at == at(25)
    assert starts(court, **night) == quarters(at(22), at(22)) + quarters(at(25), at(25, 45))
    [before, after] = selectors_free_times.openings([court], at(20), at(26), now=timezone.now())[
        court.pk
    ]
    assert (before.starts_at, before.ends_at) == (at(20), at(23))
    assert (after.starts_at, after.ends_at) == (at(25), at(26))

    add_closed(court, date=day(4).date(), from_time=time(2), until=time(6))
    assert starts(court, minutes=120, since=at(24), until=day(5))[0] == at(30)


def test_only_hours_on_the_same_terms_go_on_in_one_another():
    night = {"from_time": time(20), "until_time": time(0)}
    for buffer, expected in ((0, [at(23, 15)]), (5, [])):
        court = open_court(hours=night)
        morning = {"from_time": time(0), "until_time": time(4), "buffer_after_minutes": buffer}
        timetable.change(
            court,
            timetable.rule(max_bookings=1, max_units=1, **night),
            timetable.rule(max_bookings=1, max_units=1, **morning),
            valid_from=timezone.now().date(),
            now=timezone.now(),
        )

        found = starts(court, since=at(23, 15), until=at(23, 30))

        assert found == expected


def test_what_is_taken_and_the_buffers_around_it_are_not_offered(court):
    hold(of(court), court, at(12))
    assert starts(court) == quarters(at(9), at(11)) + quarters(at(13), at(16))

    buffered = open_court(hours={"buffer_before_minutes": 15, "buffer_after_minutes": 30})
    hold(of(buffered), buffered, at(12))
    assert starts(buffered) == quarters(at(9), at(10, 15)) + quarters(at(13, 45), at(16))


def test_a_hold_that_ran_out_is_in_nobody_s_way(court):
    hold(of(court), court, at(12), now=timezone.now() - timedelta(minutes=16))

    assert at(12) in starts(court)
    assert hold(of(court), court, at(12, 15)).status == "held"
    assert_consistent()


def test_notice_horizon_and_the_present_leave_starts_out(court):
    now = at(10, 7, days=2)
    today = {"since": day(2), "until": day(3), "now": now}

    assert starts(court, **today)[0] == at(10, 15, days=2)
    assert starts(court, since=day(2), until=day(3), now=at(10, 15, days=2))[0] == at(
        10, 30, days=2
    )
    Resource.objects.filter(pk=court.pk).update(notice_minutes=120)
    assert starts(court, **today)[0] == at(12, 15, days=2)
    Resource.objects.filter(pk=court.pk).update(horizon_days=1, notice_minutes=0)
    assert starts(court, now=now)[-1] == at(10, 0)


def test_closed_days_are_not_offered_and_extra_hours_are(court):
    for kind, first, hours in (("closed", 3, (None, None)), ("extra", 4, (time(20), time(22)))):
        closings.add_exceptions(
            organization_id=court.organization_id,
            exceptions=[
                exception(court, kind, date=day(first).date(), from_time=hours[0], until=hours[1])
            ],
            actor=f.SYSTEM,
            now=timezone.now(),
        )

    assert starts(court) == []
    assert starts(court, since=at(18, days=4), until=day(5)) == quarters(
        at(20, days=4), at(21, days=4)
    )
    with refusal(NotOffered):
        hold(of(court), court, at(12))


def add_closed(court, *, date=None, from_time, until):
    one = exception(court, "closed", date=date or day().date(), from_time=from_time, until=until)
    closings.add_exceptions(
        organization_id=court.organization_id,
        exceptions=[one],
        actor=f.SYSTEM,
        now=timezone.now(),
    )


def exception(court, kind, *, date: date, from_time, until):
    return ScheduleException(
        organization=court.organization,
        resource=court,
        kind=kind,
        name="Special",
        first_day=date,
        last_day=date,
        from_time=from_time,
        until_time=until,
        slot_minutes=60,
    )


def test_hours_of_the_clock_on_the_wall_move_with_it():
    court = open_court(time_zone="Europe/Berlin", horizon_days=730)
    berlin = ZoneInfo("Europe/Berlin")
    now = timezone.now()
    year = now.year + 1
    spring = next(d for d in range(25, 32) if date(year, 3, d).isoweekday() == 7)

    for number in (spring - 1, spring):
        opens = datetime(year, 3, number, 9, tzinfo=berlin).astimezone(UTC)
        found = starts(court, since=opens - 3 * HOUR, until=opens + 3 * HOUR)
        assert found[0] == opens


def test_a_part_that_is_taken_takes_the_whole(court):
    half = open_court(court.organization)
    compose(court, parts=[half])
    hold(of(court), half, at(12))

    assert starts(court) == quarters(at(9), at(11)) + quarters(at(13), at(16))
    with refusal(ResourceTaken):
        hold(of(court), court, at(12, 30))
    hold(of(court), court, at(14))
    assert starts(half) == [*quarters(at(9), at(11)), at(13), *quarters(at(15), at(16))]
    assert_consistent()


def test_one_of_each_pool_must_be_free(court):
    pool = Pool.objects.create(organization=court.organization, name="Trainers")
    trainers = [f.ResourceFactory(organization=court.organization, exclusive=True) for _ in "12"]
    for trainer in trainers:
        PoolMember.objects.create(pool=pool, resource=trainer)
    compose(court, pools=[pool])
    f.hold(of(court), f.make_slot(trainers[0], starts_at=at(12), minutes=120))
    f.hold(of(court), f.make_slot(trainers[1], starts_at=at(13)))

    assert starts(court) == quarters(at(9), at(12)) + quarters(at(14), at(16))
    booking = hold(of(court), court, at(12))
    assert booking.slot.picked == [trainers[1].number]
    assert_consistent()


def compose(resource, *, parts=(), pools=()):
    resources.compose(
        resource_id=resource.pk,
        organization_id=resource.organization_id,
        part_ids=[p.pk for p in parts],
        pool_ids=[p.pk for p in pools],
        actor=f.SYSTEM,
        now=timezone.now(),
    )


# What is booked


def test_a_slot_is_made_for_the_time_that_is_booked(court):
    booking = hold(of(court), court, at(12, 15), 90)

    slot = Slot.objects.get()
    assert (booking.slot, slot.source, slot.status) == (slot, "free", "open")
    assert (slot.starts_at, slot.ends_at) == (at(12, 15), at(13, 45))
    assert (slot.max_bookings, slot.taken_bookings) == (1, 1)
    assert_consistent()


def test_the_slot_of_a_time_that_became_free_is_used_again_with_today_s_buffers(court):
    first = hold(of(court), court, at(12))
    cancellation.cancel_booking(
        booking_id=first.pk,
        organization_id=court.organization_id,
        actor=f.SYSTEM,
        reason="Ill",
        now=timezone.now(),
    )
    f.open_hours(court, time(9), time(17), buffer_after_minutes=30)

    second = hold(of(court), court, at(12))

    slot = Slot.objects.get(source="free")
    assert (first.slot_id, second.slot_id) == (slot.pk, slot.pk)
    assert slot.busy_until == at(13, 30)
    assert_consistent()


@pytest.mark.parametrize(
    ("start", "minutes"),
    [
        (at(8, 45), 60),
        (at(16, 15), 60),
        (at(9, 5), 60),
        (at(9), 20),
        (at(9), 0),
        (at(9), 255),
        (at(9) + timedelta(seconds=1), 60),
        (at(9) + timedelta(days=4000), 60),
        (datetime(9999, 12, 31, 23, tzinfo=UTC), 240),
    ],
    ids=str,
)
def test_what_is_not_offered_is_refused(court, start, minutes):
    with refusal(NotOffered):
        hold(of_(court), court, start, minutes)


def of_(resource):
    found = Customer.objects.filter(organization=resource.organization).first()
    return found or of(resource)


@pytest.fixture(autouse=True)
def _somebody(court):
    of(court)


def test_what_is_booked_in_slots_is_not_booked_at_free_times(court):
    other = f.ResourceFactory(organization=court.organization, exclusive=True)

    with refusal(NotOffered, "fixed slots"):
        hold(of_(court), other, at(9))
    with pytest.raises(NotOffered):
        starts(other)


def test_another_organisation_s_resource_is_not_found(court):
    theirs = open_court()

    with refusal(NotFound):
        hold(of_(court), theirs, at(9))


def test_the_booking_rules_hold(court):
    customer = of(court)
    Resource.objects.filter(pk=court.pk).update(notice_minutes=60)
    with refusal(TooSoon):
        hold(customer, court, at(12), now=at(11, 1))
    with refusal(SlotGone):
        hold(customer, court, at(12), now=at(12))
    Resource.objects.filter(pk=court.pk).update(horizon_days=1, most_live_bookings=1)
    with refusal(TooFarAhead):
        hold(customer, court, at(12))
    Resource.objects.filter(pk=court.pk).update(horizon_days=60)
    hold(customer, court, at(12))
    with refusal(TooManyBookings):
        hold(customer, court, at(14))


def test_what_overlaps_is_taken_and_what_adjoins_is_not(court):
    hold(of(court), court, at(12))

    with refusal(ResourceTaken):
        hold(of_(court), court, at(11, 30))
    with refusal(SlotFull):
        hold(of_(court), court, at(12))
    hold(of(court), court, at(11))
    hold(of(court), court, at(13))
    assert_consistent()


def test_it_is_booked_directly_and_at_the_desk_too(court):
    f.PriceFactory(resource=court)
    customer, staff = of(court), f.MembershipFactory(organization=court.organization)
    checkout.book(
        organization=court.organization,
        customer=customer,
        slot_id=FreeTime(court.pk, at(9), 60),
        units=1,
        payment_method="pay_on_arrival",
        actor=f.actor_of(customer),
        now=timezone.now(),
    )
    order = desk.book_for(
        organization=court.organization,
        customer=customer,
        slot_id=FreeTime(court.pk, at(10), 60),
        units=1,
        payment_method="pay_on_arrival",
        actor=f.actor_of(staff),
        now=timezone.now(),
    )

    assert order.status == "approved"
    assert sorted(Booking.objects.values_list("status", flat=True)) == ["confirmed", "pending"]
    assert set(CartItem.objects.values_list("amount", flat=True)) == {20}
    with refusal(NotOffered):
        desk.book_for(
            organization=court.organization,
            customer=customer,
            slot_id=FreeTime(court.pk, at(20), 60),
            units=1,
            payment_method="pay_on_arrival",
            overriding="I insist",
            actor=f.actor_of(staff),
            now=timezone.now(),
        )


# Series


def book_series(customer, court, times, *, everything=False, minutes=60):
    return series.book_series(
        organization=court.organization,
        customer=customer,
        wish=series.Wish(court.pk, at(12), times=times, minutes=minutes),
        payment_method="free",
        all_or_nothing=everything,
        actor=f.actor_of(customer),
        now=timezone.now(),
    )


def test_a_series_of_free_times_makes_a_slot_for_each_date_that_is_free(court):
    hold(of(court), court, at(12, 30, days=10))
    hold(of(court), court, at(12, days=17))
    closings.add_exceptions(
        organization_id=court.organization_id,
        exceptions=[exception(court, "closed", date=day(24).date(), from_time=None, until=None)],
        actor=f.SYSTEM,
        now=timezone.now(),
    )
    customer = of(court)
    wish = series.Wish(court.pk, at(12), times=6, minutes=60)

    planned = series.plan(organization=court.organization, wish=wish, now=timezone.now())
    with refusal(SeriesNotFree):
        book_series(customer, court, 6, everything=True)
    made = book_series(customer, court, 6)

    outcomes = ["free", "taken", "taken", "closed", "free", "free"]
    assert [str(d.outcome) for d in planned] == outcomes
    assert [str(d.outcome) for d in made.dates] == [o.replace("free", "booked") for o in outcomes]
    assert Slot.objects.filter(source="free", taken_bookings=0).count() == 0
    assert Slot.objects.filter(source="free").count() == 5
    assert_consistent()


def test_a_series_of_free_times_costs_the_same_for_any_number(django_assert_max_num_queries):
    counts = []
    for times in (1, 8):
        court = open_court()
        customer = of(court)
        with django_assert_max_num_queries(60) as captured:
            book_series(customer, court, times, everything=True)
        counts.append(len(captured))

    assert len(set(counts)) == 1, counts


# Races


@RACE
@pytest.mark.parametrize("steps", [0, 1])
def test_of_many_at_the_same_or_overlapping_times_one_gets_it(court, steps):
    people = [of(court) for _ in range(6)]

    found = race(
        *[
            lambda c=c, n=n: hold(c, court, at(12, 5 * 3 * n % 45 * steps))
            for n, c in enumerate(people)
        ]
    )

    assert len(won(found)) == 1
    assert {type(e) for e in lost(found)} <= {SlotFull, ResourceTaken}
    assert Slot.objects.filter(taken_bookings=1).count() == 1
    assert Slot.objects.count() == 1
    assert_consistent()


def two_that_overlap(court):
    one, other = of(court), of(court)
    return interleave(
        lambda: hold(one, court, at(12)),
        after=(locks, "occupied"),
        second=lambda: hold(other, court, at(12, 30)),
    )


@RACE
def test_who_wants_an_overlapping_time_waits_and_is_told(court):
    first, second = two_that_overlap(court)

    assert isinstance(first, Booking)
    assert isinstance(second, ResourceTaken)
    assert_consistent()


def without_turns(monkeypatch):
    monkeypatch.setattr(locks, "take_in_turn", lambda numbers, **beside: {})


@RACE
def test_without_the_locks_the_constraint_still_refuses_one(court, monkeypatch):
    without_turns(monkeypatch)
    with locks_off():
        first, second = two_that_overlap(court)

    assert isinstance(second, Booking)
    assert isinstance(first, IntegrityError)
    assert "bookings_occupancy_never_overlaps" in str(first)
    assert_consistent()


@RACE
def test_control_without_locks_and_constraint_both_get_it(court, monkeypatch):
    without_turns(monkeypatch)
    with without("bookings_occupancy_never_overlaps"), locks_off():
        first, second = two_that_overlap(court)

        assert isinstance(first, Booking)
        assert isinstance(second, Booking)
        assert "an exclusive resource is taken twice" in problems()


@RACE
def test_two_who_want_the_same_start_share_its_slot_and_one_gets_it(court):
    one, other = of(court), of(court)

    first, second = interleave(
        lambda: hold(one, court, at(12)),
        after=r'INSERT INTO "bookings_slot"',
        second=lambda: hold(other, court, at(12)),
    )

    assert isinstance(first, Booking)
    assert isinstance(second, SlotFull)
    assert Slot.objects.count() == 1
    assert_consistent()


@RACE
def test_if_the_first_gives_up_the_second_gets_the_same_start(court):
    one, other = of(court), of(court)

    first, second = interleave(
        lambda: hold(one, court, at(12), units=99),
        after=r'INSERT INTO "bookings_slot"',
        second=lambda: hold(other, court, at(12)),
    )

    assert isinstance(first, SlotFull)
    assert isinstance(second, Booking)
    assert Slot.objects.get().taken_bookings == 1
    assert_consistent()


def close_while_it_is_booked(court):
    booking, done = interleave(
        lambda: hold(of(court), court, at(12)),
        after=(free_times, "find"),
        second=lambda: close(court),
    )
    booking.refresh_from_db()
    return booking, done


def close(court):
    return timetable.add(
        court,
        timetable.closed(court, day().date()),
        then="cancel",
        reason="The net is torn.",
        now=timezone.now(),
    )


@RACE
def test_closing_a_day_waits_for_who_just_books_on_it_and_concerns_them(court):
    booking, done = close_while_it_is_booked(court)

    assert done.affected == done.cancelled == [booking]
    assert (booking.status, booking.slot.status) == ("cancelled", "legacy")
    assert_consistent()


@RACE
def test_without_locks_closing_a_day_misses_who_just_books_on_it(court):
    with locks_off():
        booking, done = close_while_it_is_booked(court)

    assert done.affected == []
    assert (booking.status, booking.slot.status) == ("held", "open")


@RACE
@pytest.mark.parametrize("series_too", [False, True])
def test_who_books_on_a_day_that_is_just_closed_waits_and_is_told(court, series_too):
    def book():
        return book_series(of(court), court, 1) if series_too else hold(of(court), court, at(12))

    _done, error = interleave(lambda: close(court), after=(locks, "planning"), second=book)

    assert isinstance(error, SeriesNotFree if series_too else NotOffered)
    assert not Slot.objects.exists()


@RACE
def test_two_book_at_free_times_beside_each_other(court):
    def other():
        return hold(of(court), court, at(15))

    found = interleave(
        lambda: hold(of(court), court, at(12)), after=(free_times, "find"), second=other
    )

    assert [type(one) for one in found] == [Booking, Booking]


@RACE
def test_series_of_overlapping_free_times_never_wait_in_a_circle(court):
    people = [of(court) for _ in range(6)]

    found = race(
        *[
            lambda c=c, n=n: book_series(c, court, 5, minutes=60 + 15 * (n % 3))
            for n, c in enumerate(people)
        ]
    )

    assert len(won(found)) == 1
    assert {type(e) for e in lost(found)} == {SeriesNotFree}
    assert Booking.objects.count() == 5
    assert_consistent()
