"""New versions of schedules, and the slots that follow them (B1, B2, D1)."""

from datetime import UTC, date, datetime, time, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from audit.errors import Invalid, NotFound
from bookings import selectors_schedules, signals
from bookings.errors import PlanChanged, SlotGone
from bookings.models import Booking, Resource, Schedule, Slot
from bookings.regeneration import fingerprint
from bookings.services import closings, regenerating, schedules, slot_plans
from bookings.services import slots as slot_services
from payments.services import cancellation, checkout
from tests import factories as f
from tests.invariants import everything, refusal
from tests.timetable import (
    DAY,
    NOW,
    STAFF,
    TODAY,
    add,
    assert_follows,
    booked,
    change,
    closed,
    regenerate,
    room,
    rule,
    slot_at,
    slots,
    somebody,
    statuses,
    withdraw,
)

pytestmark = pytest.mark.django_db

TOMORROW = TODAY + DAY
HALF_PAST = {"from_time": time(9, 30), "until_time": time(16, 30)}


@pytest.fixture
def court():
    """Open from nine to five for the next ten days."""
    made = room()
    change(made, rule())
    return made


def starts(resource, **conditions):
    return [s.starts_at for s in slots(resource, **conditions)]


def leave(booking):
    cancellation.cancel_booking(
        booking_id=booking.pk,
        organization_id=booking.organization_id,
        actor=STAFF,
        reason="x",
        now=NOW,
    )


def at(day, hour, minute=0):
    return datetime.combine(day, time(hour, minute), UTC)


# The first slots


def test_a_first_schedule_makes_its_slots_up_to_the_horizon():
    resource = room()

    done = change(resource, rule(buffer_before_minutes=5, buffer_after_minutes=10, max_units=7))

    assert starts(resource) == [at(TODAY + d * DAY, h) for d in range(11) for h in range(9, 17)]
    assert done.counts() == {
        "create": 88, "keep": 0, "change": 0, "revive": 0, "retire": 0, "archive": 0, "delete": 0,
        "shut": 0, "reopen": 0, "bookings": 0,
    }  # fmt: skip
    slot = slot_at(resource, TOMORROW, 9)
    assert (slot.ends_at, slot.busy_from, slot.busy_until) == (
        at(TOMORROW, 10),
        at(TOMORROW, 8, 55),
        at(TOMORROW, 10, 10),
    )
    assert (slot.max_bookings, slot.max_units, slot.source, slot.status) == (
        3,
        7,
        "schedule",
        "open",
    )
    assert_follows(resource)


def test_slots_that_have_begun_are_not_made_any_more():
    resource = room(horizon_days=1)

    change(resource, rule(), now=at(TODAY, 11))

    assert starts(resource)[0] == at(TODAY, 12)


def test_regenerating_again_changes_nothing_and_writes_no_line(court):
    before = everything()

    done = regenerate(court)

    assert [p.is_empty for p in done.plans] == [True]
    assert everything() == before


def test_the_horizon_moves_on_with_the_days(court):
    regenerate(court, now=NOW + 3 * DAY)

    assert starts(court)[-1] == at(TODAY + 13 * DAY, 16)
    # What has begun stays as it was.
    assert starts(court)[0] == at(TODAY, 9)
    assert_follows_from(court, NOW + 3 * DAY)


def assert_follows_from(resource, now):
    [plan] = regenerating.preview(resources=[resource], now=now).plans
    assert plan.is_empty


def test_weekdays_gaps_and_days_of_a_rule_count():
    resource = room()

    change(
        resource,
        rule(weekdays=[1, 3], until_time=time(11), slot_minutes=45, gap_minutes=15),
        rule(
            weekdays=[5], from_time=time(20), until_time=time(21), valid_from=TODAY + 5 * DAY,
            valid_until=TODAY + 11 * DAY,
        ),
    )  # fmt: skip

    monday, wednesday, friday = TODAY, TODAY + 2 * DAY, TODAY + 11 * DAY
    assert starts(resource) == [
        at(d, h)
        for d in (monday, wednesday, monday + 7 * DAY, wednesday + 7 * DAY)
        for h in (9, 10)
    ]
    regenerate(resource, now=NOW + DAY)
    assert starts(resource)[-1] == at(friday, 20)


# Slots that stay


def test_slots_that_fit_stay_the_same_rows(court):
    before = {s.pk: s.starts_at for s in slots(court)}

    done = change(court, rule(until_time=time(19)))

    assert before.items() <= {s.pk: s.starts_at for s in slots(court)}.items()
    assert (done.counts()["keep"], done.counts()["create"]) == (88, 22)
    assert_follows(court)


@pytest.fixture
def released():
    """The slots of which it was told that they have room."""
    told: set[object] = set()

    def listen(sender, slot_ids, **kwargs):
        told.update(slot_ids)

    signals.seats_released.connect(listen)
    yield told
    signals.seats_released.disconnect(listen)


def test_capacity_is_raised_and_the_seats_are_told_of(court, released):
    full = slot_at(court, TOMORROW, 9)
    booked(full, units=3)

    change(court, rule(max_bookings=5, max_units=9))

    assert {(s.max_bookings, s.max_units) for s in slots(court)} == {(5, 9)}
    assert released == {s.pk for s in slots(court)}
    booked(full, units=6)
    assert_follows(court)


@pytest.mark.parametrize(("limits", "told"), [((2, 9), True), ((9, 2), True), ((2, 2), False)])
def test_seats_are_told_of_when_either_limit_was_raised(court, released, limits, told):
    change(court, rule(max_bookings=limits[0], max_units=limits[1]))

    assert released == ({s.pk for s in slots(court)} if told else set())


def test_capacity_is_lowered_but_never_below_what_is_taken(court):
    used = slot_at(court, TOMORROW, 9)
    booked(used)
    booked(used)

    change(court, rule(max_bookings=1, max_units=1))

    used.refresh_from_db()
    assert (used.max_bookings, used.max_units, used.status) == (2, 2, "open")
    assert {(s.max_bookings, s.max_units) for s in slots(court) if s != used} == {(1, 1)}
    assert_follows(court)


def test_when_people_leave_the_next_run_lowers_what_they_kept_up(court):
    used = slot_at(court, TOMORROW, 9)
    first, _second = f.hold(somebody(court), used, now=NOW), booked(used)
    change(court, rule(max_bookings=1, max_units=1))
    leave(first)

    regenerate(court)

    used.refresh_from_db()
    assert (used.max_bookings, used.taken_bookings) == (1, 1)


def test_people_keep_the_time_around_them_and_empty_slots_get_new_buffers(court):
    used, empty = slot_at(court, TOMORROW, 9), slot_at(court, TOMORROW, 11)
    booked(used)

    change(court, rule(buffer_before_minutes=20, buffer_after_minutes=30))

    used.refresh_from_db()
    empty.refresh_from_db()
    assert (used.busy_from, used.busy_until) == (at(TOMORROW, 9), at(TOMORROW, 10))
    assert (empty.busy_from, empty.busy_until) == (at(TOMORROW, 10, 40), at(TOMORROW, 12, 30))
    assert_follows(court)


def test_what_staff_closed_stays_closed_and_comes_back_closed_when_it_fits_again(court):
    fits, does_not = slot_at(court, TOMORROW, 10), slot_at(court, TOMORROW, 9)
    slot_services.close_slots(slot_ids=[fits.pk, does_not.pk], actor=STAFF, reason="x", now=NOW)

    change(court, rule(from_time=time(10), max_bookings=9, max_units=9))

    fits.refresh_from_db()
    assert (fits.status, fits.max_bookings) == ("closed", 9)
    does_not.refresh_from_db()
    assert (does_not.status, does_not.stays_closed) == ("legacy", True)

    change(court, rule())

    does_not.refresh_from_db()
    assert (does_not.status, does_not.stays_closed) == ("closed", False)


def capacity(*slots, bookings, units):
    slot_services.change_capacity(
        slot_ids=[s.pk for s in slots],
        max_bookings=bookings,
        max_units=units,
        actor=STAFF,
        reason="a larger room",
        now=NOW,
    )


def follow(*slots):
    return slot_services.follow_schedule(
        slot_ids=[s.pk for s in slots], actor=STAFF, reason="back to the usual", now=NOW
    )


def limits_of(slot):
    slot.refresh_from_db()
    return slot.max_bookings, slot.max_units, slot.limits_by_hand


def test_limits_that_staff_changed_stay_until_the_slot_follows_its_schedule_again(court):
    slot, other = slot_at(court, TOMORROW, 9), slot_at(court, TOMORROW, 10)
    capacity(slot, bookings=5, units=7)

    change(court, rule(max_bookings=9, max_units=9))

    assert limits_of(slot) == (5, 7, True)
    assert limits_of(other) == (9, 9, False)
    assert_follows(court)

    assert follow(slot, other) == [slot]

    assert limits_of(slot) == (9, 9, False)
    assert_follows(court)


def test_a_slot_follows_its_schedule_again_but_keeps_room_for_its_people(court):
    change(court, rule(max_bookings=2, max_units=2))
    slot = slot_at(court, TOMORROW, 9)
    capacity(slot, bookings=5, units=7)
    for _ in range(3):
        booked(slot)

    follow(slot)

    assert limits_of(slot) == (3, 3, False)
    assert_follows(court)


def test_that_one_slot_follows_its_schedule_is_no_news_for_the_others(court):
    slot, moved = slot_at(court, TOMORROW, 9), slot_at(court, TOMORROW, 10)
    capacity(slot, bookings=5, units=7)
    Slot.objects.filter(pk=moved.pk).update(max_bookings=4, max_units=4)  # the next run's work
    before = Resource.objects.values_list("planned_at").get(pk=court.pk)

    follow(slot)

    assert limits_of(moved) == (4, 4, False)
    assert Resource.objects.values_list("planned_at").get(pk=court.pk) == before


def test_any_number_of_slots_follow_their_schedules_in_as_many_statements():
    def statements(rooms, days):
        chosen = [slot_at(r, TOMORROW + n * DAY, 9) for r in rooms for n in range(days)]
        capacity(*chosen, bookings=5, units=7)
        with CaptureQueriesContext(connection) as captured:
            assert len(follow(*chosen)) == len(chosen)
        assert {limits_of(s)[2] for s in chosen} == {False}
        return len(captured)

    rooms = [room() for _ in range(3)]
    for each in rooms:
        change(each, rule())

    assert statements(rooms[:1], 1) == statements(rooms, 3)


def test_limits_of_an_empty_slot_are_remembered_while_it_does_not_fit(court):
    slot = slot_at(court, TOMORROW, 9)
    capacity(slot, bookings=5, units=7)

    change(court, rule(from_time=time(10)))
    slot.refresh_from_db()
    assert slot.status == "legacy"
    change(court, rule())

    assert limits_of(slot) == (5, 7, True)
    assert slot.status == "open"
    assert_follows(court)


def test_what_was_made_by_hand_is_left_alone_whether_it_fits_or_not(court):
    inside = f.make_slot(court, starts_at=at(TODAY + 4 * DAY, 20))
    Slot.objects.filter(pk=slot_at(court, TOMORROW, 9).pk).update(source="hand", max_units=4)
    matching = slot_at(court, TOMORROW, 9)

    change(court, rule(max_bookings=8, max_units=8))
    change(court, rule(from_time=time(12)))
    change(court)

    assert [(s.pk, s.max_units, s.status) for s in slots(court)] == [
        (matching.pk, 4, "open"),
        (inside.pk, 1, "open"),
    ]


# Slots that go


def test_people_keep_their_slot_and_nobody_new_gets_it(court):
    slot = slot_at(court, TOMORROW, 12)
    confirmed, held = booked(slot), f.hold(somebody(court), slot, now=NOW)
    ids = {s.pk for s in slots(court)}

    done = change(court, rule(**HALF_PAST))

    assert [b.pk for b in done.affected] == sorted([confirmed.pk, held.pk])
    assert statuses([confirmed, held]) == ["confirmed", "held"]
    assert statuses([slot]) == ["legacy"]
    assert ids & {s.pk for s in slots(court)} == {slot.pk}
    assert {s.starts_at.minute for s in slots(court, status="open")} == {30}
    with refusal(SlotGone):
        f.hold(somebody(court), slot, now=NOW)
    assert_follows(court)


def test_a_hold_in_a_legacy_slot_can_still_be_checked_out(court):
    slot = slot_at(court, TOMORROW, 12)
    held = f.hold(somebody(court), slot, now=NOW)
    change(court, rule(**HALF_PAST))

    checkout.check_out(
        organization=court.organization,
        customer=held.customer,
        payment_method="pay_now",
        actor=f.actor_of(held.customer),
        now=NOW,
    )

    assert statuses([held]) == ["confirmed"]
    assert statuses([slot]) == ["legacy"]


def test_what_fits_again_is_offered_again_as_the_same_slot(court):
    slot = slot_at(court, TOMORROW, 12)
    booked(slot)
    change(court, rule(**HALF_PAST))

    done = change(court, rule(max_bookings=5, max_units=5))

    slot.refresh_from_db()
    assert (slot.status, slot.taken_bookings, slot.max_bookings) == ("open", 1, 5)
    assert done.counts()["revive"] == 1
    assert starts(court).count(slot.starts_at) == 1
    booked(slot)
    assert_follows(court)


def test_an_empty_slot_that_had_people_becomes_legacy_and_comes_back(court):
    slot = slot_at(court, TOMORROW, 12)
    customer = somebody(court)
    held = f.hold(customer, slot, now=NOW)
    leave(held)

    done = change(court, rule(**HALF_PAST))

    assert (done.counts()["archive"], done.counts()["retire"], done.affected) == (1, 0, [])
    assert statuses([slot]) == ["legacy"]
    assert_follows(court)
    change(court, rule())
    assert statuses([slot]) == ["open"]


def test_empty_slots_that_no_longer_fit_are_deleted(court):
    gone = {s.pk for s in slots(court)}

    done = change(court, valid_from=TOMORROW)

    assert done.counts()["delete"] == 80
    assert {s.starts_at.date() for s in slots(court)} == {TODAY}
    deleted = Slot.history.filter(history_type="-", id__in=gone)
    assert set(deleted.values_list("actor_label", flat=True)) == {"Mia"}
    assert_follows(court)


# Previews


def of_version(resource, **kwargs):
    rules = [rule(**HALF_PAST)]
    return (
        lambda: schedules.preview_version(
            resource=resource, valid_from=TOMORROW, rules=rules, now=NOW
        ),
        lambda **more: change(resource, rule(**HALF_PAST), valid_from=TOMORROW, **more),
    )


def of_closing(resource):
    return (
        lambda: closings.preview_exceptions(
            resources=[resource], exceptions=[closed(resource, TOMORROW)], now=NOW
        ),
        lambda **more: add(resource, closed(resource, TOMORROW), **more),
    )


def of_zone(resource):
    return (
        lambda: schedules.preview_zone(resource=resource, time_zone="Asia/Karachi", now=NOW),
        lambda **more: move_to_zone(resource, "Asia/Karachi", **more),
    )


def move_to_zone(resource, zone, *, now=NOW, **kwargs):
    return schedules.move_to_zone(
        resource_id=resource.pk,
        organization_id=resource.organization_id,
        time_zone=zone,
        actor=STAFF,
        now=now,
        **kwargs,
    )


@pytest.fixture(params=[of_version, of_closing, of_zone], ids=lambda p: p.__name__)
def previewed(request, court):
    """A preview and what it is a preview of; there is something of every kind to do."""
    booked(slot_at(court, TOMORROW, 12))
    customer = somebody(court)
    held = f.hold(customer, slot_at(court, TOMORROW, 13), now=NOW)
    leave(held)
    return request.param(court)


def test_a_preview_says_what_is_then_done_and_changes_nothing(court, previewed):
    look, do = previewed
    before = everything()

    said = look()

    assert everything() == before
    counts = said.counts()
    assert counts["retire"] == counts["bookings"] == counts["archive"] == 1
    done = do(seen=said.seen)
    assert done.counts() == counts
    assert [b.pk for b in done.affected] == [b.pk for b in said.affected]
    assert_follows(court)


@pytest.mark.parametrize("what", ["a booking", "a cancellation", "a capacity", "a new version"])
def test_what_is_not_what_was_previewed_is_not_done(court, previewed, what):
    look, do = previewed
    slot = slot_at(court, TOMORROW, 15)
    leaving = f.hold(somebody(court), slot_at(court, TOMORROW, 16), now=NOW)
    seen = look().seen
    if what == "a booking":
        booked(slot)
    elif what == "a cancellation":
        leave(leaving)
    elif what == "a capacity":
        # By SQL, so that one slot more has to be put right.
        stays = slot_at(court, TODAY, 9)
        Slot.objects.filter(pk=stays.pk).update(max_bookings=7)
    else:
        change(court, rule(from_time=time(11)), valid_from=TOMORROW)

    with refusal(PlanChanged):
        do(seen=seen)

    do(seen=look().seen)


def test_a_preview_of_regenerating_is_what_a_run_does(court):
    said = regenerating.preview(resources=[court], now=NOW + 2 * DAY)

    assert said.counts()["create"] == 16
    assert regenerate(court, now=NOW + 2 * DAY).counts() == said.counts()


# Versions


def test_a_version_counts_from_its_first_day_on(court):
    change(court, rule(**HALF_PAST), valid_from=TODAY + 4 * DAY)

    by_minute = {m: [s for s in starts(court) if s.minute == m] for m in (0, 30)}
    assert {s.date() for s in by_minute[0]} == {TODAY + d * DAY for d in range(4)}
    assert {s.date() for s in by_minute[30]} == {TODAY + d * DAY for d in range(4, 11)}
    assert_follows(court)


def test_a_newer_version_replaces_one_that_was_still_to_begin(court):
    change(court, rule(**HALF_PAST), valid_from=TODAY + 4 * DAY)

    change(court, rule(from_time=time(12)), valid_from=TODAY + 2 * DAY)

    assert {s.minute for s in starts(court)} == {0}
    assert {s.hour for s in starts(court) if s.date() >= TODAY + 2 * DAY} == set(range(12, 17))
    assert list(Schedule.objects.filter(resource=court).values_list("number", flat=True)) == [
        3,
        2,
        1,
    ]
    assert_follows(court)


def test_what_was_in_force_when_a_booking_was_made_can_be_shown(court):
    slot = slot_at(court, TODAY + 5 * DAY, 12)
    early = booked(slot, now=NOW + timedelta(hours=1))
    change(court, rule(max_bookings=9, max_units=9), now=NOW + timedelta(hours=2))
    change(
        court, rule(max_bookings=4, max_units=4), valid_from=TODAY + 6 * DAY,
        now=NOW + timedelta(hours=3),
    )  # fmt: skip
    late = booked(slot, now=NOW + timedelta(hours=4))
    later_day = booked(slot_at(court, TODAY + 6 * DAY, 12), now=NOW + timedelta(hours=4))

    versions = [selectors_schedules.version_for(b) for b in (early, late, later_day)]

    assert [v.number for v in versions if v] == [1, 2, 3]


def test_what_was_in_force_stays_so_when_the_resource_moves_to_where_it_is_the_next_day():
    resource = room()
    change(resource, rule(until_time=time(0)), now=NOW)
    change(resource, rule(), valid_from=TODAY + 5 * DAY, now=NOW + timedelta(hours=1))
    late = booked(slot_at(resource, TODAY + 4 * DAY, 23), now=NOW + timedelta(hours=2))
    assert selectors_schedules.version_for(late).number == 1

    move_to_zone(resource, "Asia/Tokyo", now=NOW + timedelta(hours=3))

    again = Booking.objects.select_related("slot__resource").get(pk=late.pk)
    assert selectors_schedules.version_for(again).number == 1


def test_a_version_of_no_rules_closes_and_who_made_it_is_named(court):
    used = slot_at(court, TOMORROW, 9)
    booked(used)

    change(court, note="We move out.")

    assert starts(court) == [used.starts_at]
    made = Schedule.objects.get(resource=court, number=2)
    assert (made.note, made.created_by, made.created_at) == ("We move out.", "Mia", NOW)
    assert Schedule.history.get(id=made.pk).actor_label == "Mia"


@pytest.mark.parametrize(
    ("fields", "when"),
    [
        ({"slot_minutes": 0}, TODAY),
        ({"slot_minutes": 1441}, TODAY),
        ({"weekdays": [8]}, TODAY),
        ({"max_units": 0}, TODAY),
        ({"valid_from": TOMORROW, "valid_until": TODAY}, TODAY),
        ({}, TODAY - DAY),
        ({}, date(2042, 1, 1)),
    ],
)
def test_rules_that_make_no_sense_are_refused(court, fields, when):
    for look in (
        lambda: change(court, rule(**fields), valid_from=when),
        lambda: schedules.preview_version(
            resource=court, valid_from=when, rules=[rule(**fields)], now=NOW
        ),
    ):
        with refusal(Invalid):
            look()


def test_an_exclusive_resource_takes_one_booking_at_a_time():
    doctor = room(exclusive=True)
    with refusal(Invalid, match="one booking at a time"):
        change(doctor, rule(max_bookings=2))

    change(doctor, rule(max_bookings=1))

    assert {(s.exclusive, s.max_bookings) for s in slots(doctor)} == {(True, 1)}


def test_more_slots_than_anybody_needs_are_refused():
    resource = room(horizon_days=730)

    with refusal(Invalid, match="100000 is the most"):
        change(resource, rule(from_time=time(0), until_time=time(0), slot_minutes=5))


def test_the_schedule_of_another_organisation_is_not_there(court):
    other = f.OrganizationFactory()

    with refusal(NotFound):
        schedules.change_schedule(
            resource_id=court.pk, organization_id=other.pk, valid_from=TODAY, rules=[],
            actor=STAFF, now=NOW,
        )  # fmt: skip
    with refusal(NotFound):
        schedules.move_to_zone(
            resource_id=court.pk, organization_id=other.pk, time_zone="UTC", actor=STAFF, now=NOW
        )
    foreign = closed(court, TOMORROW)
    with refusal(NotFound):
        add(court, foreign, organization_id=other.pk)
    mine = closed(court, TOMORROW)
    add(court, mine)
    with refusal(NotFound):
        withdraw(court, [mine.pk], organization_id=other.pk)


def test_free_times_have_no_slots_of_a_schedule():
    resource = room(exclusive=True, mode="free_times")

    done = change(resource, rule(max_bookings=1))

    assert (done.counts()["create"], slots(resource)) == (0, [])


def test_a_resource_whose_times_become_free_keeps_only_slots_with_people():
    resource = room(exclusive=True)
    change(resource, rule(max_bookings=1))
    used = slot_at(resource, TOMORROW, 9)
    booked(used)
    by_hand = f.make_slot(resource, starts_at=at(TOMORROW, 20))

    resource.mode = "free_times"
    resource.save()
    regenerate(resource)

    assert [(s.pk, s.status) for s in slots(resource)] == [
        (used.pk, "legacy"),
        (by_hand.pk, "open"),
    ]


# Time zones


def test_hours_are_of_the_clock_in_berlin_when_it_is_put_forward():
    now = datetime(2031, 3, 28, 8, tzinfo=UTC)  # it is put forward on the 30th
    resource = room(time_zone="Europe/Berlin", horizon_days=3)

    change(
        resource,
        rule(from_time=time(1), until_time=time(4), max_bookings=1),
        valid_from=now.date(),
        now=now,
    )

    assert starts(resource) == [
        datetime(2031, 3, 29, 0, tzinfo=UTC),
        datetime(2031, 3, 29, 1, tzinfo=UTC),
        datetime(2031, 3, 29, 2, tzinfo=UTC),
        datetime(2031, 3, 30, 0, tzinfo=UTC),  # 01:00; 02:00 does not exist
        datetime(2031, 3, 30, 1, tzinfo=UTC),  # 03:00
        datetime(2031, 3, 30, 23, tzinfo=UTC),
        datetime(2031, 3, 31, 0, tzinfo=UTC),
        datetime(2031, 3, 31, 1, tzinfo=UTC),
    ]
    assert {s.ends_at - s.starts_at for s in slots(resource)} == {timedelta(hours=1)}
    assert_follows(resource, now=now)


def test_hours_are_of_the_clock_in_berlin_when_it_is_put_back():
    now = datetime(2031, 10, 25, 8, tzinfo=UTC)  # it is put back on the 26th
    resource = room(time_zone="Europe/Berlin", horizon_days=1)

    change(
        resource,
        rule(from_time=time(1), until_time=time(4), max_bookings=1),
        valid_from=now.date(),
        now=now,
    )

    assert starts(resource) == [
        datetime(2031, 10, 25, 23, tzinfo=UTC),
        datetime(2031, 10, 26, 0, tzinfo=UTC),
        datetime(2031, 10, 26, 1, tzinfo=UTC),  # 02:00 again
        datetime(2031, 10, 26, 2, tzinfo=UTC),
    ]
    assert_follows(resource, now=now)


@pytest.mark.parametrize(
    ("now", "first_hours"),
    [
        # On Lord Howe Island the clock is put by half an hour: back on 6 April ...
        (datetime(2031, 4, 4, 20, tzinfo=UTC), {date(2031, 4, 5): (22, 0), date(2031, 4, 6): (22, 30)}),
        # ... and forward on 5 October.
        (datetime(2031, 10, 3, 20, tzinfo=UTC), {date(2031, 10, 4): (22, 30), date(2031, 10, 5): (22, 0)}),
    ],
)  # fmt: skip
def test_nine_o_clock_stays_nine_o_clock_on_lord_howe_island(now, first_hours):
    resource = room(time_zone="Australia/Lord_Howe", horizon_days=4)

    change(
        resource, rule(until_time=time(10), max_bookings=1), valid_from=(now + DAY).date(), now=now
    )

    for local_day, (hour, minute) in first_hours.items():
        # Nine in the morning there is the evening before in UTC.
        assert at(local_day - DAY, hour, minute) in starts(resource)
    assert len(starts(resource)) == 5
    assert_follows(resource, now=now)


def test_a_resource_moves_to_another_zone_and_people_keep_their_moment(court):
    change(court, rule(from_time=time(8), until_time=time(9)), valid_from=TODAY + 6 * DAY)
    used = slot_at(court, TOMORROW, 12)
    booking = booked(used)

    done = move_to_zone(court, "America/New_York")

    used.refresh_from_db()
    assert [b.pk for b in done.affected] == [booking.pk]  # it is seven in the morning there
    court.refresh_from_db()
    assert court.time_zone == "America/New_York"
    assert (used.starts_at, used.status, used.taken_bookings) == (at(TOMORROW, 12), "legacy", 1)
    assert statuses([booking]) == ["confirmed"]
    assert {s.hour for s in starts(court, status="open") if s.date() == TOMORROW} == set(
        range(14, 22)
    )
    # From the ninth of March on the clock of New York is an hour further on.
    late = starts(court, status="open", starts_at__gte=at(TODAY + 6 * DAY, 0))
    assert {s.hour for s in late} == {12}
    versions = Schedule.objects.filter(resource=court, number__gt=2).order_by("number")
    assert [(v.time_zone, v.valid_from) for v in versions] == [
        ("America/New_York", TODAY),
        ("America/New_York", TODAY + 6 * DAY),
    ]
    assert_follows(court)


@pytest.mark.parametrize("zone", ["Europe/Atlantis", "", "../etc/passwd"])
def test_there_is_no_such_zone(court, zone):
    with refusal(Invalid):
        move_to_zone(court, zone)
    with refusal(Invalid):
        schedules.preview_zone(resource=court, time_zone=zone, now=NOW)


# In parts (see test_regenerating_in_parts.py)


def assert_parts_make_the_whole(resource, rules):
    """Wherever the time is cut in two, the plans of both make the plan of the whole."""
    since, end = slot_plans.all_to_come(NOW).since, slot_plans.end_of_horizon(resource, now=NOW)

    def plan(*period):
        (made,) = slot_plans.plans(
            [resource], {resource.pk: rules}, part=slot_plans.Part(*period), now=NOW
        )
        return made

    whole = plan(since, None)
    assert (
        fingerprint([whole], [])
        == regenerating.preview_of(
            [resource], {resource.pk: rules}, who=lambda plans: [], now=NOW
        ).seen
    )
    for cut in range(since + 1, end, 3 * 3600 + 17 * 60):
        both = plan(since, cut)
        both.extend(plan(cut, None))
        assert both.counts() == whole.counts()
        assert fingerprint([both], []) == fingerprint([whole], [])
    return whole


def test_slots_that_reach_over_the_border_of_two_parts_belong_to_the_one_they_start_in():
    night = {"from_time": time(19), "until_time": time(5), "slot_minutes": 100, "gap_minutes": 7}
    made = room(horizon_days=4)
    change(made, rule(**night, buffer_after_minutes=30))
    for slot in slots(made)[3:20:5]:
        booked(slot)
    change(made, rule(**{**night, "slot_minutes": 70}))
    for slot in slots(made, status="open")[9:25:5]:
        booked(slot)
    for day in (2, 3, 6):
        f.make_slot(made, starts_at=at(TODAY + day * DAY, 23), minutes=180)
    rules = slot_plans.rules_of([made], now=NOW)[made.pk]
    other = [rule(**night, buffer_after_minutes=10, max_bookings=5)]

    whole = assert_parts_make_the_whole(
        made,
        rules.with_version(schedules._draft(made, TODAY + DAY, other, number=9)).with_exceptions(
            [closed(made, TODAY + 3 * DAY), closed(made, TODAY + 7 * DAY)]
        ),
    )

    found = whole.counts()
    assert all(found[kind] for kind in found if kind not in ("archive", "reopen")), found


def test_free_times_over_midnight_lie_within_the_hours_of_both_days():
    made = room(mode="free_times", exclusive=True, horizon_days=3)
    change(made, rule(from_time=time(0), until_time=time(0), max_bookings=1))
    for day in range(4):  # up to the last night of the horizon
        f.make_slot(made, starts_at=at(TODAY + day * DAY, 23, 30), source="free")
    rules = slot_plans.rules_of([made], now=NOW)[made.pk]

    assert assert_parts_make_the_whole(made, rules).counts()["keep"] == 4


# Costs


def test_the_number_of_statements_does_not_depend_on_the_number_of_slots():
    counts = []
    for days in (3, 90):
        resource = room(horizon_days=days)
        steps = []
        for rules in ([rule(slot_minutes=15)], [rule(slot_minutes=20, max_bookings=9)], []):
            with CaptureQueriesContext(connection) as captured:
                change(resource, *rules)
            steps.append(len(captured))
            for slot in slots(resource, status="open")[40 : 60 if days > 3 else 42]:
                f.hold(somebody(resource), slot, now=NOW)
        with CaptureQueriesContext(connection) as captured:
            schedules.preview_version(resource=resource, valid_from=TODAY, rules=[rule()], now=NOW)
        steps.append(len(captured))
        with CaptureQueriesContext(connection) as captured:
            regenerate(resource)
        counts.append([*steps, len(captured)])

    assert counts[0] == counts[1]
