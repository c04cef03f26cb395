"""The same hour of the week, again and again (B1, B4, B5, A7, D1)."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from audit.errors import Invalid, NotFound
from audit.models import OutboxEvent
from bookings import holding, rules
from bookings import locks as booking_locks
from bookings.errors import BookingOver, NotOffered, SlotGone, TooLate, TooManyBookings
from bookings.models import Booking, Pool, PoolMember, Resource, Series, Slot
from bookings.services import resources as resource_services
from bookings.services import slots as slot_services
from payments.errors import MethodNotOffered, SeriesNotFree
from payments.models import CartItem, CartTransaction
from payments.services import cancellation, series
from tests import factories as f
from tests import timetable
from tests.concurrency import interleave, locks_off, lost, race, won
from tests.invariants import assert_consistent, refusal

pytestmark = pytest.mark.django_db

D = Decimal
BERLIN = ZoneInfo("Europe/Berlin")
RACE = pytest.mark.django_db(transaction=True)


@pytest.fixture
def court():
    resource = f.ResourceFactory(exclusive=True)
    f.PriceFactory(resource=resource, amount=D("20.00"))
    return resource


@pytest.fixture
def customer(court):
    return f.CustomerFactory(organization=court.organization)


def of(resource):
    return f.CustomerFactory(organization=resource.organization)


def weekly(resource, times, *, every=1, first=None, **kwargs):
    """Slots at the same hour of the clock on the wall."""
    start = (first or f.soon(48)).astimezone(BERLIN)
    starts = [start + timedelta(weeks=every * number) for number in range(times)]
    return [f.make_slot(resource, starts_at=at.astimezone(UTC), **kwargs) for at in starts]


def wish(slot, times, **kwargs):
    return series.Wish(slot.resource_id, slot.starts_at, times=times, **kwargs)


def book(customer, slot, times, *, method="pay_now", everything=True, staff=None, **kwargs):
    more = {k: kwargs.pop(k) for k in ("note", "overriding", "now") if k in kwargs}
    more.setdefault("now", timezone.now())
    return series.book_series(
        organization=customer.organization,
        customer=customer,
        wish=wish(slot, times, **kwargs),
        payment_method=method,
        all_or_nothing=everything,
        actor=f.actor_of(staff or customer),
        **more,
    )


def plan(slot, times, *, now=None, overriding=False, **kwargs):
    return series.plan(
        organization=slot.resource.organization,
        wish=wish(slot, times, **kwargs),
        overriding=overriding,
        now=now or timezone.now(),
    )


def cancel(made, *, actor=f.SYSTEM, now=None, first=None):
    return series.cancel_series(
        series_id=made.pk,
        organization_id=made.organization_id,
        from_booking_id=first,
        actor=actor,
        reason="Away",
        now=now or timezone.now(),
    )


def outcomes(dates):
    return [str(d.outcome) for d in dates]


def close(slot):
    Slot.objects.filter(pk=slot.pk).update(status="closed")


# What is booked


def test_a_series_is_one_order_with_an_ordinary_booking_for_each_date(court, customer):
    slots = weekly(court, 3)

    made = book(customer, slots[0], 3, note="a racket")

    stored = Series.objects.get()
    assert stored == made.series
    assert (stored.resource, stored.customer, stored.times) == (court, customer, 3)
    assert (stored.starts_at, stored.ends_at) == (slots[0].starts_at, slots[0].ends_at)
    order = CartTransaction.objects.get()
    assert (order, order.amount, order.status, order.note) == (
        made.transaction,
        D("60.00"),
        "pending",
        "a racket",
    )
    assert outcomes(made.dates) == ["booked"] * 3
    for found, slot in zip(made.dates, slots, strict=True):
        booking = Booking.objects.get(pk=found.booking.pk)
        assert (booking.slot, booking.series, booking.status) == (slot, stored, "pending")
        assert booking.pending_until == order.due_at
    assert {i.transaction for i in CartItem.objects.all()} == {order}
    assert OutboxEvent.objects.filter(kind="transaction.received").count() == 1
    assert_consistent()


def test_what_is_free_is_confirmed_at_once_unless_it_needs_approval(customer):
    for needs, status in ((False, "confirmed"), (True, "pending")):
        room = f.ResourceFactory(organization=customer.organization, needs_approval=needs)
        book(customer, weekly(room, 2)[0], 2, method="free")
        found = Booking.objects.filter(slot__resource=room)
        assert set(found.values_list("status", flat=True)) == {status}
    assert_consistent()


def test_every_other_week_leaves_the_weeks_between_alone(court, customer):
    slots = weekly(court, 5)

    book(customer, slots[0], 3, every_weeks=2)

    taken = Slot.objects.filter(taken_bookings=1).order_by("starts_at")
    assert list(taken) == slots[::2]


def test_a_series_has_the_length_of_the_slot_that_starts_first(court, customer):
    first, second = weekly(court, 2)
    short = f.make_slot(court, starts_at=second.starts_at, minutes=30)

    book(customer, first, 2)

    short.refresh_from_db()
    assert short.taken_bookings == 0


def test_where_several_slots_start_one_says_how_long_it_is(court, customer):
    first, second = weekly(court, 2)
    short = weekly(court, 2, minutes=30)

    with refusal(Invalid, "say how long"):
        book(customer, first, 2)
    made = book(customer, first, 2, minutes=30)
    assert [d.slot for d in made.dates] == short
    assert {first.taken_bookings, second.taken_bookings} == {0}


def test_the_hour_on_the_wall_stays_the_same_when_the_clock_is_changed():
    room = f.ResourceFactory(horizon_days=730)
    now = datetime(2031, 3, 1, tzinfo=UTC)
    first = datetime(2031, 3, 20, 9, tzinfo=BERLIN).astimezone(UTC)
    weekly(room, 3, first=first)

    found = series.plan(
        organization=room.organization, wish=series.Wish(room.pk, first, times=3), now=now
    )

    assert [d.starts_at.hour for d in found] == [8, 8, 7]
    assert [d.starts_at.astimezone(BERLIN).hour for d in found] == [9, 9, 9]
    assert outcomes(found) == ["free"] * 3


def test_an_hour_that_the_clock_skips_is_closed_that_week():
    room = f.ResourceFactory(horizon_days=730)
    now = datetime(2031, 3, 1, tzinfo=UTC)
    first = datetime(2031, 3, 23, 2, 30, tzinfo=BERLIN).astimezone(UTC)
    f.make_slot(room, starts_at=first)
    f.make_slot(room, starts_at=datetime(2031, 3, 30, 1, 0, tzinfo=UTC))  # 3 o'clock

    found = series.plan(
        organization=room.organization, wish=series.Wish(room.pk, first, times=2), now=now
    )

    assert [(d.date, d.starts_at) for d in found] == [
        (date(2031, 3, 23), first),
        (date(2031, 3, 30), None),
    ]
    assert outcomes(found) == ["free", "closed"]


# What is not free


@pytest.fixture
def mixed(court):
    """One date of each kind, and the slot of the first."""
    Resource.objects.filter(pk=court.pk).update(horizon_days=40)
    slots = weekly(court, 6)
    f.hold(of(court), slots[1])  # full
    close(slots[2])
    Slot.objects.filter(pk=slots[3].pk).delete()
    rival = f.make_slot(court, starts_at=slots[4].starts_at + timedelta(minutes=30))
    f.hold(of(court), rival)  # taken
    f.make_slot(court, starts_at=slots[5].starts_at + timedelta(weeks=1))
    return slots[0]


MIXED = ["free", "full", "closed", "closed", "taken", "free", "too_far_ahead"]


def test_a_plan_says_what_there_is_on_each_date_and_holds_nothing(mixed):
    before = Booking.objects.count()

    dates = plan(mixed, 7)

    assert outcomes(dates) == MIXED
    assert dates[0].slot == mixed
    assert dates[3].slot is None
    assert Booking.objects.count() == before


def test_a_plan_and_the_booking_of_it_agree(mixed, customer):
    made = book(customer, mixed, 7, everything=False)

    assert outcomes(made.dates) == ["booked" if o == "free" else o for o in MIXED]
    assert made.series.bookings.count() == 2
    assert made.transaction.amount == D("40.00")
    assert_consistent()


def test_all_or_nothing_books_nothing_if_one_date_is_not_free(mixed, customer):
    with refusal(SeriesNotFree, "Only 2 of 7") as caught:
        book(customer, mixed, 7)

    assert [d["outcome"] for d in caught.value.extra["dates"]] == MIXED


def test_a_series_of_which_nothing_is_free_is_none(court, customer):
    slots = weekly(court, 2)
    for slot in slots:
        f.hold(of(court), slot)

    with refusal(SeriesNotFree, "None of these"):
        book(customer, slots[0], 2, everything=False)


def test_holds_that_ran_out_are_in_nobody_s_way(court, customer):
    slots = weekly(court, 2)
    rival = f.make_slot(court, starts_at=slots[1].starts_at + timedelta(minutes=30))
    past = timezone.now() - timedelta(minutes=16)
    f.hold(of(court), slots[0], now=past)
    f.hold(of(court), rival, now=past)

    assert outcomes(plan(slots[0], 2)) == ["free", "free"]
    assert outcomes(book(customer, slots[0], 2).dates) == ["booked"] * 2
    assert_consistent()


def test_dates_so_long_that_they_meet_are_taken_by_those_before_them(court, customer):
    first, *_ = weekly(court, 3, minutes=60 * 24 * 8)

    made = book(customer, first, 3, everything=False)

    assert outcomes(made.dates) == ["booked", "taken", "booked"]
    assert_consistent()


def test_more_people_than_fit_are_full(customer):
    room = f.ResourceFactory(organization=customer.organization)
    first, _ = weekly(room, 2, max_bookings=2, max_units=4)

    assert outcomes(plan(first, 2, units=5)) == ["full", "full"]
    assert outcomes(plan(first, 2, units=4)) == ["free", "free"]


def test_notice_counts_for_each_date(court, customer):
    Resource.objects.filter(pk=court.pk).update(notice_minutes=60 * 24 * 4)
    first, _ = weekly(court, 2)

    assert outcomes(plan(first, 2)) == ["too_soon", "free"]
    assert outcomes(book(customer, first, 2, everything=False).dates) == ["too_soon", "booked"]


def test_a_series_counts_against_the_most_bookings_at_a_time(court, customer):
    Resource.objects.filter(pk=court.pk).update(most_live_bookings=3)
    slots = weekly(court, 4)
    f.hold(customer, slots[3])

    with refusal(TooManyBookings):
        book(customer, slots[0], 3)
    assert outcomes(book(customer, slots[0], 2).dates) == ["booked"] * 2


@pytest.mark.parametrize(
    "odd",
    [{"times": 0}, {"times": 101}, {"every_weeks": 0}, {"every_weeks": 53}, {"units": 0}],
)
def test_numbers_out_of_their_bounds_are_refused(court, customer, odd):
    (slot,) = weekly(court, 1)
    given = {"times": 1, **odd}

    with refusal(Invalid):
        book(customer, slot, **given)
    with refusal(Invalid):
        plan(slot, **given)


def test_a_start_that_is_over_or_that_nothing_has_is_refused(court, customer):
    (slot,) = weekly(court, 1)

    with refusal(SlotGone):
        book(customer, slot, 1, now=slot.starts_at)
    slot.starts_at += timedelta(minutes=5)
    with refusal(NotOffered):
        book(customer, slot, 1)


@pytest.mark.parametrize("by_hand", [False, True], ids=["the day is closed", "the slot is"])
def test_a_first_date_that_is_closed_is_one_date_like_the_others(by_hand):
    room = timetable.room(horizon_days=60)
    timetable.change(room, timetable.rule(slot_minutes=90))
    day = timetable.TODAY + timedelta(days=4)
    slot = timetable.slot_at(room, day, 12)
    if by_hand:
        slot_services.close_slots(slot_ids=[slot.pk], actor=f.SYSTEM, reason="x", now=timetable.NOW)
    else:
        timetable.add(room, timetable.closed(room, day))
    somebody = of(room)

    dates = plan(slot, 3, now=timetable.NOW)
    made = book(somebody, slot, 3, method="pay_on_arrival", everything=False, now=timetable.NOW)

    assert [d.outcome for d in dates] == ["closed", "free", "free"]
    assert [d.outcome for d in made.dates] == ["closed", "booked", "booked"]
    assert made.series.ends_at - made.series.starts_at == timedelta(minutes=90)
    assert_consistent()


def test_a_way_to_pay_that_is_not_offered_is_refused(court, customer):
    f.PolicyFactory(organization=court.organization, accepts_pay_now=False)

    with refusal(MethodNotOffered):
        book(customer, weekly(court, 2)[0], 2)


def test_what_is_another_organisation_s_is_not_found(court, customer):
    theirs = f.make_slot(f.ResourceFactory(exclusive=True))
    (slot,) = weekly(court, 1)
    made = book(customer, slot, 1).series

    with refusal(NotFound):
        book(customer, theirs, 1)
    with refusal(NotFound):
        series.book_series(
            organization=theirs.organization,
            customer=customer,
            wish=wish(theirs, 1),
            payment_method="free",
            all_or_nothing=True,
            actor=f.SYSTEM,
            now=timezone.now(),
        )
    with refusal(NotFound):
        made.organization_id = theirs.organization_id
        cancel(made)


# Staff


def test_what_staff_book_for_a_customer_is_confirmed_and_may_go_beyond_the_rules(court, customer):
    Resource.objects.filter(pk=court.pk).update(horizon_days=5, most_live_bookings=1)
    staff = f.MembershipFactory(organization=court.organization, role="front_desk")
    first, _ = weekly(court, 2)

    with refusal(SeriesNotFree):
        book(customer, first, 2, method="pay_on_arrival", staff=staff)
    made = book(customer, first, 2, method="pay_on_arrival", staff=staff, overriding="A league")

    assert made.transaction.status == "approved"
    reasons = set(Booking.history.values_list("history_change_reason", flat=True))
    assert "booked by staff, beyond the rules: A league" in reasons
    assert_consistent()


def test_a_customer_cannot_go_beyond_the_rules(court, customer):
    Resource.objects.filter(pk=court.pk).update(horizon_days=5)
    first, _ = weekly(court, 2)

    with refusal(SeriesNotFree):
        book(customer, first, 2, overriding="I want to")


# Cancelling


def test_a_series_is_cancelled_with_its_order_and_one_message_says_so(court, customer):
    slots = weekly(court, 3)
    made = book(customer, slots[0], 3)

    done = cancel(made.series, actor=f.actor_of(customer))

    assert len(done.cancelled) == 3
    assert set(Booking.objects.values_list("status", flat=True)) == {"cancelled"}
    made.transaction.refresh_from_db()
    assert made.transaction.status == "cancelled"
    assert set(Slot.objects.values_list("taken_bookings", flat=True)) == {0}
    event = OutboxEvent.objects.get(kind="series.cancelled")
    assert event.recipients[0]["address"] == customer.email
    assert len(event.payload["bookings"]) == 3
    assert not OutboxEvent.objects.filter(kind="booking.cancelled").exists()
    assert_consistent()


def test_a_series_can_be_cancelled_from_one_booking_on(court, customer):
    slots = weekly(court, 3)
    made = book(customer, slots[0], 3)

    done = cancel(made.series, first=made.dates[1].booking.pk)

    assert [b.slot for b in done.cancelled] == slots[1:]
    assert Booking.objects.get(slot=slots[0]).status == "pending"
    made.transaction.refresh_from_db()
    assert made.transaction.status == "pending"
    assert_consistent()


def test_what_has_started_or_ended_stays_as_it_is(court, customer):
    slots = weekly(court, 3)
    made = book(customer, slots[0], 3, method="pay_on_arrival")
    f.approve(made.transaction)
    cancellation.cancel_booking(
        booking_id=made.dates[1].booking.pk,
        organization_id=court.organization_id,
        actor=f.SYSTEM,
        reason="Rain",
        now=timezone.now(),
    )

    done = cancel(made.series, now=slots[0].starts_at)

    assert [b.slot for b in done.cancelled] == [slots[2]]
    assert Booking.objects.get(slot=slots[0]).status == "confirmed"
    assert Booking.objects.get(slot=slots[1]).ended_reason == "Rain"
    assert_consistent()


def test_a_customer_keeps_what_is_too_late_to_cancel_and_staff_do_not(court, customer):
    Resource.objects.filter(pk=court.pk).update(cancel_until_minutes=60 * 24 * 5)
    slots = weekly(court, 2)
    made = book(customer, slots[0], 2)

    done = cancel(made.series, actor=f.actor_of(customer))

    assert [b.slot for b in done.cancelled] == [slots[1]]
    assert [b.slot for b in done.too_late] == [slots[0]]
    assert Booking.objects.get(slot=slots[0]).status == "pending"
    with refusal(TooLate):
        cancel(made.series, actor=f.actor_of(customer))
    assert [b.slot for b in cancel(made.series).cancelled] == [slots[0]]
    assert_consistent()


def test_a_series_of_which_nothing_is_to_come_cannot_be_cancelled(court, customer):
    made = book(customer, weekly(court, 2)[0], 2)
    cancel(made.series)

    with refusal(BookingOver):
        cancel(made.series)
    with refusal(NotFound):
        cancel(made.series, first=f.some_id())


# Statements


def pooled(customer, times):
    """A room that needs one of two beamers; every other week the first is elsewhere."""
    room = f.ResourceFactory(organization=customer.organization)
    pool = Pool.objects.create(organization=customer.organization, name=f"Beamers {room.number}")
    beamers = [
        f.ResourceFactory(organization=customer.organization, exclusive=True) for _ in range(2)
    ]
    for beamer in beamers:
        PoolMember.objects.create(pool=pool, resource=beamer)
    need(room, pool)
    slots = weekly(room, times)
    first = min(beamers, key=lambda b: b.number)
    for slot in slots[1::2]:
        f.hold(of(first), f.make_slot(first, starts_at=slot.starts_at))
    return slots, beamers


def need(room, pool):
    resource_services.compose(
        resource_id=room.pk,
        organization_id=room.organization_id,
        part_ids=[],
        pool_ids=[pool.pk],
        actor=f.SYSTEM,
        now=timezone.now(),
    )
    room.refresh_from_db()


def test_each_date_gets_what_is_free_out_of_a_pool(customer):
    slots, beamers = pooled(customer, 4)

    made = book(customer, slots[0], 4, method="free")

    one, two = sorted(b.number for b in beamers)
    assert [d.slot.picked for d in made.dates] == [[one], [two], [one], [two]]
    assert_consistent()


@pytest.mark.parametrize("kind", ["priced", "free", "cancelled"])
def test_any_number_of_dates_costs_the_same_number_of_statements(kind):
    counts = {}
    for times in (1, 10, 100):
        court = f.ResourceFactory(exclusive=True, horizon_days=730)
        if kind != "free":
            f.PriceFactory(resource=court)
        first = weekly(court, times)[0]
        customer = of(court)
        made = book(customer, first, times) if kind == "cancelled" else None
        with CaptureQueriesContext(connection) as captured:
            if made:
                cancel(made.series)
            else:
                book(customer, first, times)
        assert Booking.objects.filter(customer=customer).count() == times
        counts[times] = len(captured)

    assert len(set(counts.values())) == 1, counts
    assert_consistent()


def test_a_plan_of_a_hundred_costs_what_one_of_one_does(django_assert_max_num_queries):
    court = f.ResourceFactory(exclusive=True, horizon_days=730)
    first = weekly(court, 100)[0]

    with django_assert_max_num_queries(6):
        assert set(outcomes(plan(first, 100))) == {"free"}


# Races


@RACE
def test_series_over_the_same_slots_go_to_one_each_and_never_wait_in_a_circle(court):
    slots = weekly(court, 12)
    wishes = [(slots[0], 12, 1), (slots[0], 6, 2), (slots[2], 10, 1), (slots[1], 5, 2)] * 2
    people = [of(court) for _ in wishes]

    found = race(
        *[
            lambda c=c, s=s, t=t, e=e: book(c, s, t, every_weeks=e, everything=False)
            for c, (s, t, e) in zip(people, wishes, strict=True)
        ]
    )

    assert {type(e) for e in lost(found)} <= {SeriesNotFree}
    assert won(found)
    assert Booking.objects.count() == 12
    assert Series.objects.count() == len(won(found))
    assert_consistent()


@RACE
def test_of_many_who_want_all_of_a_series_one_gets_it(court):
    slots = weekly(court, 5)

    people = [of(court) for _ in range(6)]

    found = race(*[lambda c=c: book(c, slots[0], 5) for c in people])

    assert len(won(found)) == 1
    assert {type(e) for e in lost(found)} == {SeriesNotFree}
    assert Booking.objects.count() == 5
    assert_consistent()


def series_and_the_last_seat(court):
    slots = weekly(court, 3)
    customer, rival = of(court), of(court)
    return interleave(
        lambda: book(customer, slots[0], 3, everything=False),
        after=(booking_locks, "slots"),
        second=lambda: f.hold(rival, slots[1]),
    )


@RACE
def test_who_wants_a_seat_of_a_series_that_is_being_booked_comes_too_late(court):
    made, rival = series_and_the_last_seat(court)

    assert outcomes(made.dates) == ["booked"] * 3
    assert rival.code == "slot_full"
    assert_consistent()


@RACE
def test_control_without_locks_the_seat_goes_to_the_other_and_the_series_fails(court):
    with locks_off():
        made, rival = series_and_the_last_seat(court)

    assert isinstance(rival, Booking)
    assert isinstance(made, Exception)
    assert Booking.objects.count() == 1
    assert_consistent()


def two_series_at_the_limit(court):
    Resource.objects.filter(pk=court.pk).update(most_live_bookings=3)
    early, late = weekly(court, 2), weekly(court, 2, first=f.soon(60))
    customer = of(court)
    return interleave(
        lambda: book(customer, early[0], 2),
        after=(rules, "count_live"),
        second=lambda: book(customer, late[0], 2),
    )


@RACE
def test_of_two_series_that_are_too_many_together_one_is_made(court):
    first, second = two_series_at_the_limit(court)

    assert isinstance(first, series.Made)
    assert isinstance(second, TooManyBookings)
    assert Booking.objects.count() == 2


@RACE
def test_control_without_locks_both_are_made(court):
    with locks_off():
        first, second = two_series_at_the_limit(court)

    assert isinstance(first, series.Made)
    assert isinstance(second, series.Made)
    assert Booking.objects.count() == 4


@RACE
def test_a_series_is_cancelled_once_by_however_many(court, customer):
    made = book(customer, weekly(court, 4)[0], 4)

    found = race(*[lambda: cancel(made.series)] * 4)

    assert len(won(found)) == 1
    assert {type(e) for e in lost(found)} == {BookingOver}
    assert_consistent()


@RACE
def test_a_slot_that_is_closed_meanwhile_is_closed_in_the_series(court, customer):
    slots = weekly(court, 2)

    made, _ = interleave(
        lambda: book(customer, slots[0], 2, everything=False),
        after=(series, "_look"),
        second=lambda: close(slots[1]),
    )

    assert outcomes(made.dates) == ["booked", "closed"]
    assert_consistent()


@RACE
def test_a_slot_that_moves_meanwhile_is_not_booked_at_its_new_time(court, customer):
    slots = weekly(court, 2)
    hour = timedelta(hours=1)

    made, _ = interleave(
        lambda: book(customer, slots[0], 2, everything=False),
        after=(series, "_look"),
        second=lambda: Slot.objects.filter(pk=slots[1].pk).update(
            **{n: F(n) + hour for n in ("starts_at", "ends_at", "busy_from", "busy_until")}
        ),
    )

    assert outcomes(made.dates) == ["booked", "closed"]
    assert_consistent()


def test_hold_many_does_for_each_slot_what_hold_does_for_one(court, customer):
    slots = weekly(court, 3)
    f.hold(of(court), slots[1])
    locked = booking_locks.slots(s.pk for s in slots)

    bookings, refused = holding.hold_many(
        locked,
        customer=customer,
        units=1,
        held_until=timezone.now() + timedelta(minutes=5),
        now=timezone.now(),
    )

    assert {b.slot_id for b in bookings} == {slots[0].pk, slots[2].pk}
    assert {pk: e.code for pk, e in refused.items()} == {slots[1].pk: "slot_full"}
    assert {b.slot.taken_bookings for b in bookings} == {1}
