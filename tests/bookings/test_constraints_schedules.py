"""What the database refuses of schedules, composed resources, proposals and series (B1, B2, B5,
B6, D1), and of new bookings in the past; every path here goes around Python."""

import re
import uuid
from datetime import date, time, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from bookings.lifecycle import ENDED, LIVE, PROPOSAL, ProposalStatus
from bookings.models import (
    Booking,
    Occupancy,
    Pool,
    PoolMember,
    PoolNeed,
    Proposal,
    ResourcePart,
    Schedule,
    ScheduleException,
    ScheduleRule,
    Series,
    Slot,
)
from bookings.services import resources
from tests import factories as f
from tests.invariants import assert_consistent, everything
from tests.plain_sql import change, copy, moves_the_database_lets_pass, query, refused, sql

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)
DAY = date(2031, 5, 5)
now = timezone.now
new_id = uuid.uuid4


class World:
    """One row of everything that schedules added, to be changed for the worse."""

    def __init__(self) -> None:
        self.hall: Any = f.ResourceFactory(exclusive=True)
        self.organization = self.hall.organization
        self.court, self.room = self.exclusive(), self.exclusive()
        self.course: Any = f.ResourceFactory(organization=self.organization)
        common = {"organization": self.organization}
        self.pool = Pool.objects.create(name="Rooms", **common)
        self.other_pool = Pool.objects.create(name="Beds", **common)
        self.member = PoolMember.objects.create(pool=self.pool, resource=self.room)
        self.part = ResourcePart.objects.create(whole=self.hall, part=self.court, **common)
        self.need = PoolNeed.objects.create(resource=self.course, pool=self.pool, **common)
        self.schedule = Schedule.objects.create(
            resource=self.hall, number=1, valid_from=DAY, created_at=now(), **common
        )
        self.rule = ScheduleRule.objects.create(
            schedule=self.schedule, from_time=time(9), until_time=time(17)
        )
        self.exception = ScheduleException.objects.create(
            kind="holiday", name="May Day", first_day=DAY, last_day=DAY, uid="may@example.com",
            created_at=now(), **common,
        )  # fmt: skip
        self.customer: Any = f.CustomerFactory(**common)
        self.court_slot = f.make_slot(self.again(self.court))
        self.other_court_slot = f.make_slot(self.again(self.court), starts_at=f.soon(60))
        self.hall_slot = f.make_slot(self.again(self.hall))
        self.course_slot = f.make_slot(self.again(self.course), max_bookings=9)
        self.booking = f.hold(
            self.customer, f.make_slot(self.again(self.hall), starts_at=f.soon(99))
        )

    def exclusive(self) -> Any:
        return f.ResourceFactory(organization=self.organization, exclusive=True)

    def again(self, resource: Any) -> Any:
        """A resource with its parts and pools, which triggers keep, as they are now."""
        return type(resource).objects.get(pk=resource.pk)

    def series(self) -> Series:
        return Series.objects.create(
            customer=self.customer, resource=self.hall, starts_at=f.soon(), ends_at=f.soon() + HOUR,
            times=3, created_at=now(), organization=self.organization,
        )  # fmt: skip

    def proposed(self) -> Proposal:
        """A proposal for a confirmed booking, which a hold stands for."""
        slot = f.make_slot(self.again(self.course), starts_at=f.soon(120), max_bookings=9)
        f.check_out(self.customer, slot)
        booking = Booking.objects.exclude(pk=self.booking.pk).get()
        stand_in = Booking.objects.create(
            organization=self.organization, slot=self.other_court_slot, customer=self.customer,
            held_until=now() + HOUR, created_at=now(), stands_for=booking,
        )  # fmt: skip
        change(booking, status="reschedule_proposed")
        return Proposal.objects.create(
            organization=self.organization, booking=booking, stand_in=stand_in,
            expires_at=stand_in.held_until, created_at=now(),
        )  # fmt: skip


@pytest.fixture
def world():
    return World()


def propose_twice(w):
    proposal = w.proposed()
    other = Booking.objects.create(
        organization=w.organization, slot=w.hall_slot, customer=w.customer,
        held_until=now() + HOUR, created_at=now(), stands_for=proposal.booking,
    )  # fmt: skip
    copy(proposal, id=new_id(), stand_in_id=other.pk)


def come_in_without_a_room(w):
    # As if Python had forgotten to pick one: a place in a course that needs a room.
    copy(w.booking, id=new_id(), reference="X", slot_id=w.course_slot.pk)


def come_in_with_a_room(w):
    change(w.course_slot, picked=[w.room.number])
    copy(w.booking, id=new_id(), reference="X", slot_id=w.course_slot.pk)


def leave_the_pool_with_people_in(w):
    come_in_with_a_room(w)
    sql("DELETE FROM bookings_poolmember WHERE id = %s", w.member.pk)


# The claim, and the worst that can be done to it with plain SQL.
CLAIMS = {
    "bookings_organization_proposals_last_an_hour": lambda w: change(
        w.organization, proposal_hours=0
    ),
    "bookings_booking_stand_in_is_only_held": lambda w: change(
        w.proposed().stand_in, status="pending"
    ),
    "bookings_pool_name_is_unique": lambda w: change(w.other_pool, name="Rooms"),
    "bookings_poolmember_named_once": lambda w: copy(w.member, id=new_id()),
    "bookings_poolneed_named_once": lambda w: copy(w.need, id=new_id()),
    "bookings_proposal_one_open_per_booking": propose_twice,
    "bookings_proposal_status_is_known": lambda w: copy(
        w.proposed(), id=new_id(), status="maybe", answered_at=now()
    ),
    "bookings_proposal_answered_says_when": lambda w: change(w.proposed(), status="declined"),
    "bookings_resource_of_free_times_is_exclusive": lambda w: change(
        w.course, mode="free_times"
    ),
    "bookings_resource_rules_make_sense": lambda w: change(w.course, longest_minutes=5),
    "bookings_resourcepart_is_not_itself": lambda w: copy(
        w.part, id=new_id(), part_id=w.hall.pk
    ),
    "bookings_resourcepart_named_once": lambda w: copy(w.part, id=new_id()),
    "bookings_schedule_version_is_unique": lambda w: copy(w.schedule, id=new_id()),
    "bookings_scheduleexception_ends_after_it_starts": lambda w: copy(
        w.exception, id=new_id(), uid="", last_day=DAY - timedelta(days=1)
    ),
    "bookings_scheduleexception_extra_hours_are_of_a_resource": lambda w: copy(
        w.exception, id=new_id(), uid="", kind="extra", from_time="09:00", until_time="10:00"
    ),
    "bookings_scheduleexception_has_both_hours": lambda w: copy(
        w.exception, id=new_id(), uid="", from_time="09:00"
    ),
    "bookings_scheduleexception_imported_once": lambda w: copy(w.exception, id=new_id()),
    "bookings_scheduleexception_kind_is_known": lambda w: copy(
        w.exception, id=new_id(), uid="", kind="siesta"
    ),
    "bookings_scheduleexception_makes_sense": lambda w: copy(
        w.exception, id=new_id(), uid="", slot_minutes=0
    ),
    "bookings_schedulerule_ends_after_it_starts": lambda w: copy(
        w.rule, id=new_id(), valid_from=DAY, valid_until=DAY - timedelta(days=1)
    ),
    "bookings_schedulerule_makes_sense": lambda w: copy(w.rule, id=new_id(), slot_minutes=1441),
    "bookings_schedulerule_weekdays_are_days": lambda w: copy(
        w.rule, id=new_id(), weekdays=[1, 8]
    ),
    "bookings_series_makes_sense": lambda w: change(w.series(), times=101),
    "bookings_slot_follows_a_schedule_or_none": lambda w: change(w.hall_slot, limits_by_hand=True),
    "bookings_slot_opened_by_hand_was_made_by_hand": lambda w: change(
        w.hall_slot, source="schedule", opened_at=now()
    ),
    "bookings_slot_that_comes_back_closed_is_legacy": lambda w: change(
        w.hall_slot, stays_closed=True
    ),
    "bookings_slot_source_is_known": lambda w: change(w.hall_slot, source="magic"),
    "bookings_slot_with_people_has_what_it_needs": come_in_without_a_room,
    # Claims of triggers, which are not among the models' constraints.
    "bookings_poolmember_is_single": lambda w: copy(w.member, id=new_id(), resource_id=w.hall.pk),
    "bookings_poolneed_fits": lambda w: copy(
        w.need, id=new_id(), pool_id=Pool.objects.create(
            name="Theirs", organization=f.OrganizationFactory()).pk,
    ),
    "bookings_resourcepart_fits": lambda w: copy(w.part, id=new_id(), part_id=w.course.pk),
    "bookings_resourcepart_makes_no_circle": lambda w: copy(
        w.part, id=new_id(), whole_id=w.court.pk, part_id=w.hall.pk
    ),
    "bookings_schedule_is_written_once": lambda w: change(w.schedule, note="I never said that."),
    "bookings_schedulerule_is_written_once": lambda w: change(w.rule, slot_minutes=30),
    "bookings_scheduleexception_is_written_once": lambda w: change(w.exception, name="Maybe Day"),
    "bookings_series_stays_in_its_organization": lambda w: change(
        w.series(), customer_id=f.CustomerFactory().pk
    ),
    "bookings_pool_stays_in_its_organization": lambda w: change(
        w.pool, organization_id=f.OrganizationFactory().pk
    ),
    "bookings_poolmember_stays_while_picked": lambda w: leave_the_pool_with_people_in(w),
    "bookings_resource_keeps_its_number": lambda w: change(w.court, number=w.room.number + 9_000),
    "bookings_resource_takes_what_its_links_say": lambda w: change(w.hall, parts=[]),
    "bookings_slot_picked_is_in_its_pools": lambda w: change(
        w.course_slot, picked=[w.court.number]
    ),
}  # fmt: skip


@pytest.mark.parametrize("claim", CLAIMS)
def test_the_database_refuses_what_its_constraint_says(world, claim):
    with refused(claim):
        CLAIMS[claim](world)

    assert_consistent()


def test_every_claim_of_a_trigger_is_proven():
    from tests.bookings.test_constraints import CLAIMS as CORE

    named = set()
    for (definition,) in query(
        "SELECT pg_get_functiondef(p.oid) FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid"
        " JOIN pg_class c ON c.oid = t.tgrelid"
        " WHERE NOT t.tgisinternal AND c.relname LIKE 'bookings\\_%%'"
    ):
        named |= set(re.findall(r"CONSTRAINT = '(bookings_\w+)'", definition))

    lifecycles = {c for c in named if c.endswith("_follows_lifecycle")}
    further_down = {
        "bookings_booking_stays_in_its_organization",
        "bookings_customer_stays_in_its_organization",
    }
    assert named - lifecycles - further_down - set(CORE) - set(CLAIMS) == set()
    assert lifecycles == {
        "bookings_booking_status_follows_lifecycle",
        "bookings_proposal_status_follows_lifecycle",
        "bookings_slot_status_follows_lifecycle",
    }


# What was in force stays as it was written (B1)


@pytest.mark.parametrize("table", ["schedule", "schedulerule", "scheduleexception"])
def test_what_a_schedule_said_is_never_deleted(world, table):
    with refused(f"bookings_{table}_is_written_once"):
        sql(f"DELETE FROM bookings_{table}")


def test_an_exception_is_withdrawn_once_and_nothing_else_changes_with_it(world):
    claim = "bookings_scheduleexception_is_written_once"
    with refused(claim):
        change(world.exception, withdrawn_at=now(), name="Maybe Day")

    change(world.exception, withdrawn_at=now())

    for at in (now(), None):
        with refused(claim):
            change(world.exception, withdrawn_at=at)
    # Withdrawn, it stands in the way of no new import.
    copy(world.exception, id=new_id(), withdrawn_at=None)


def test_a_proposal_changes_its_status_only_along_its_table(world):
    states: dict[str, dict[str, Any]] = {
        s: {"answered_at": None if s == "open" else now()} for s in ProposalStatus.values
    }

    passed = moves_the_database_lets_pass(world.proposed(), PROPOSAL, states)

    assert passed == set(PROPOSAL.pairs())


# What resources are made of (B5)


def made_of(resource):
    resource.refresh_from_db()
    return sorted(resource.parts), sorted(resource.pools)


def link(whole, part):
    return ResourcePart.objects.create(organization=whole.organization, whole=whole, part=part)


def test_parts_and_pools_come_up_through_all_levels_and_go_again(world):
    stadium, corner = world.exclusive(), world.exclusive()
    link(stadium, world.hall)
    below = link(world.court, corner)
    PoolNeed.objects.create(
        organization=world.organization, resource=world.court, pool=world.other_pool
    )

    numbers = sorted([world.hall.number, world.court.number, corner.number])
    assert made_of(stadium) == (numbers, [world.other_pool.pk])
    assert made_of(world.hall) == (
        sorted([world.court.number, corner.number]),
        [world.other_pool.pk],
    )

    sql("DELETE FROM bookings_poolneed WHERE pool_id = %s", world.other_pool.pk)
    sql("DELETE FROM bookings_resourcepart WHERE id = %s", below.pk)
    assert made_of(stadium) == (sorted([world.hall.number, world.court.number]), [])
    sql("UPDATE bookings_resourcepart SET part_id = %s WHERE part_id = %s",
        corner.pk, world.court.pk)  # fmt: skip
    assert made_of(stadium) == (sorted([world.hall.number, corner.number]), [])
    assert made_of(world.court) == ([], [])


def test_a_circle_over_three_levels_is_refused_by_insert_and_by_update(world):
    top, bottom = world.exclusive(), world.exclusive()
    link(top, world.hall)
    link(world.court, bottom)
    before = everything()

    for attempt in (
        lambda: copy(world.part, id=new_id(), whole_id=bottom.pk, part_id=top.pk),
        lambda: change(world.part, part_id=top.pk),
    ):
        with refused("bookings_resourcepart_makes_no_circle"):
            attempt()

    assert everything() == before


@pytest.mark.parametrize("what", ["class", "stranger", "hall", "needs a pool"])
def test_a_pool_takes_nothing_but_single_exclusive_resources_of_its_own(world, what):
    resource = {
        "class": world.course,
        "stranger": f.ResourceFactory(exclusive=True),
        "hall": world.hall,
        "needs a pool": world.exclusive(),
    }[what]
    if what == "needs a pool":
        PoolNeed.objects.create(organization=world.organization, resource=resource, pool=world.pool)

    with refused("bookings_poolmember_is_single"):
        copy(world.member, id=new_id(), resource_id=resource.pk)


@pytest.mark.parametrize("by", ["parts", "a need"])
def test_what_is_in_a_pool_is_not_put_together_later(world, by):
    with refused("bookings_poolmember_is_single"):
        if by == "parts":
            link(world.room, world.exclusive())
        else:
            PoolNeed.objects.create(
                organization=world.organization, resource=world.room, pool=world.other_pool
            )


@pytest.mark.parametrize("role", ["a part", "a member of a pool"])
def test_what_others_take_stays_exclusive_though_it_has_no_slots(world, role):
    resource = world.exclusive()
    if role == "a part":
        link(world.hall, resource)
    else:
        PoolMember.objects.create(pool=world.pool, resource=resource)
    assert not Slot.objects.filter(resource=resource).exists()

    with refused("bookings_resource_with_slots_keeps_its_kind"):
        change(resource, exclusive=False)


def test_parts_and_needs_stay_in_one_organisation(world):
    stranger = f.ResourceFactory(exclusive=True)
    for columns in ({"whole_id": stranger.pk}, {"organization_id": stranger.organization_id}):
        with refused("bookings_resourcepart_fits"):
            copy(world.part, id=new_id(), **({"part_id": world.room.pk} | columns))
        columns["resource_id"] = columns.pop("whole_id", world.hall.pk)
        with refused("bookings_poolneed_fits"):
            copy(world.need, id=new_id(), **columns)


@pytest.mark.parametrize("columns", [{"parts": []}, {"pools": [str(uuid.uuid4())]}])
def test_a_new_slot_takes_what_its_resource_takes(world, columns):
    with refused("bookings_slot_matches_its_resource"):
        copy(
            world.hall_slot, id=new_id(), starts_at=f.soon(70), busy_from=f.soon(70),
            ends_at=f.soon(71), busy_until=f.soon(71), **columns,
        )  # fmt: skip


# What people take, whatever wrote their bookings (B5, D1)


def taken_by(slot):
    rows = Occupancy.objects.filter(slot=slot)
    return sorted(rows.values_list("resource_number", flat=True))


def test_who_books_the_hall_takes_its_courts_and_the_other_way_round(world):
    copy(world.booking, id=new_id(), reference="A", slot_id=world.hall_slot.pk)
    assert taken_by(world.hall_slot) == sorted([world.hall.number, world.court.number])

    with refused("bookings_occupancy_never_overlaps"):
        copy(world.booking, id=new_id(), reference="B", slot_id=world.court_slot.pk)

    sql("DELETE FROM bookings_booking WHERE reference = 'A'")
    copy(world.booking, id=new_id(), reference="B", slot_id=world.court_slot.pk)
    assert taken_by(world.court_slot) == [world.court.number]
    with refused("bookings_occupancy_never_overlaps"):
        copy(world.booking, id=new_id(), reference="A", slot_id=world.hall_slot.pk)
    assert_consistent()


def test_a_class_takes_its_picked_room_once_and_gives_it_back_with_the_last(world):
    change(world.course_slot, picked=[world.room.number])
    for name in "AB":
        copy(world.booking, id=new_id(), reference=name, slot_id=world.course_slot.pk)
    assert taken_by(world.course_slot) == [world.room.number]

    sql("UPDATE bookings_booking SET status = 'expired', ended_at = now() WHERE reference = 'A'")
    assert taken_by(world.course_slot) == [world.room.number]
    sql("UPDATE bookings_booking SET status = 'expired', ended_at = now() WHERE reference = 'B'")
    assert taken_by(world.course_slot) == []


def test_people_keep_the_room_that_was_picked_for_them(world):
    other = world.exclusive()
    PoolMember.objects.create(pool=world.pool, resource=other)
    change(world.course_slot, picked=[world.room.number])
    copy(world.booking, id=new_id(), reference="A", slot_id=world.course_slot.pk)

    with refused("bookings_slot_with_people_keeps_its_time"):
        change(world.course_slot, picked=[other.number])
    with refused("bookings_slot_matches_its_resource"):
        change(world.course_slot, pools=[world.pool.pk, world.other_pool.pk])

    sql("UPDATE bookings_booking SET status = 'expired', ended_at = now() WHERE reference = 'A'")
    change(world.course_slot, picked=[other.number])


# No new booking in the past, and yet a restore (B3)


def past_slot(world):
    return f.make_slot(
        world.again(world.course), starts_at=now() - timedelta(days=3), max_bookings=5,
        picked=[world.room.number],
    )  # fmt: skip


@pytest.mark.parametrize("status", LIVE)
@pytest.mark.parametrize("how", ["started", "closed", "legacy", "foreign"])
def test_nobody_live_is_moved_into_a_slot_that_takes_nobody_new(world, status, how):
    change(world.booking, **_said(status) | {"status": "held"})
    for step in _way_to(status):
        change(world.booking, status=step)
    target = f.make_slot(
        world.again(world.hall), starts_at=f.soon(-30 if how == "started" else 150)
    )
    if how in ("closed", "legacy"):
        change(target, status=how)
    elif how == "foreign":
        target = f.make_slot()

    with refused("bookings_booking_slot_is_bookable"):
        change(world.booking, slot_id=target.pk)

    world.booking.refresh_from_db()
    assert world.booking.slot.starts_at > now()
    assert_consistent_seats()


def _said(status):
    return {"held_until": now() + HOUR, "confirmed_at": now(), "checked_in_at": now()}


def _way_to(status):
    ways = {
        "held": [],
        "pending": ["pending"],
        "confirmed": ["pending", "confirmed"],
        "reschedule_proposed": ["pending", "confirmed", "reschedule_proposed"],
        "checked_in": ["pending", "confirmed", "checked_in"],
    }
    return ways[status]


def assert_consistent_seats():
    wrong = query(
        "SELECT s.id FROM bookings_slot s WHERE s.taken_bookings <> (SELECT count(*) FROM"
        " bookings_booking b WHERE b.slot_id = s.id AND b.status = ANY(%s))",
        [str(s) for s in LIVE],
    )
    assert wrong == []


def test_one_forbidden_move_among_many_moves_nobody(world):
    target = f.make_slot(world.again(world.hall), starts_at=f.soon(-30))
    for name, slot in zip(
        "AB", f.make_slots(world.again(world.court), 2, start=f.soon(200)), strict=True
    ):
        copy(world.booking, id=new_id(), reference=name, slot_id=slot.pk)
    before = everything()

    with refused("bookings_booking_slot_is_bookable"):
        sql(
            "UPDATE bookings_booking SET slot_id = CASE id WHEN %s THEN %s ELSE slot_id END,"
            " units = units",
            world.booking.pk, target.pk,
        )  # fmt: skip

    assert everything() == before


def test_in_a_slot_that_has_begun_people_still_come_and_go(world):
    """Only who comes into a slot is looked at: check-in, end and number of people pass."""
    slot = past_slot(world)
    copy(
        world.booking, id=new_id(), reference="A", slot_id=slot.pk, status="confirmed",
        confirmed_at=now(),
    )  # fmt: skip

    for columns in (
        {"units": 2},
        {"status": "checked_in", "checked_in_at": now()},
        {"status": "completed"},
    ):
        sql(
            "UPDATE bookings_booking SET "
            + ", ".join(f"{c} = %s" for c in columns)
            + " WHERE reference = 'A'",
            *columns.values(),
        )

    slot.refresh_from_db()
    assert slot.taken_bookings == 0


def dump_and_load(tables, *, as_restore):
    """COPY tables out, empty them, and COPY the same rows in again."""
    saved = {}
    with connection.connection.cursor() as cursor:
        for table in tables:
            with cursor.copy(f"COPY {table} TO STDOUT") as out:
                saved[table] = b"".join(bytes(block) for block in out)
        cursor.execute("SET LOCAL session_replication_role = replica")
        for table in reversed(tables):
            cursor.execute(f"DELETE FROM {table}")
        if not as_restore:
            cursor.execute("SET LOCAL session_replication_role = origin")
        for table in tables:
            with cursor.copy(f"COPY {table} FROM STDIN") as into:
                into.write(saved[table])
        cursor.execute("SET LOCAL session_replication_role = origin")


def test_a_restore_brings_back_live_bookings_of_the_past_with_their_counters(world):
    slot = past_slot(world)
    sql("SET LOCAL session_replication_role = replica")  # they were made before it began
    for number, status in enumerate(LIVE):
        copy(
            world.booking, id=new_id(), reference=f"P{number}", slot_id=slot.pk, status=status,
            **_said(status),
        )  # fmt: skip
    change(slot, taken_bookings=len(LIVE), taken_units=len(LIVE))
    sql(
        "INSERT INTO bookings_occupancy (slot_id, resource_number, period)"
        " VALUES (%s, %s, tstzrange(%s, %s, '[)'))",
        slot.pk, world.room.number, slot.busy_from, slot.busy_until,
    )  # fmt: skip
    sql("SET LOCAL session_replication_role = origin")
    before = everything()

    dump_and_load(["bookings_slot", "bookings_booking", "bookings_occupancy"], as_restore=True)

    assert everything() == before
    assert_consistent_seats()


@pytest.mark.parametrize("status", ["held", "pending"])
def test_a_copy_that_is_no_restore_brings_nobody_new_into_the_past(world, status):
    slot = past_slot(world)
    sql("SET LOCAL session_replication_role = replica")
    copy(world.booking, id=new_id(), reference="P", slot_id=slot.pk, status=status, **_said(status))
    sql("SET LOCAL session_replication_role = origin")

    with pytest.raises(Exception, match="slot is closed, has started"), transaction.atomic():
        dump_and_load(["bookings_booking"], as_restore=False)


@pytest.mark.parametrize("status", [s for s in LIVE if s not in ("held", "pending")] + [*ENDED])
def test_what_was_written_down_later_may_be_of_the_past(world, status):
    slot = past_slot(world)

    copy(
        world.booking, id=new_id(), reference="P", slot_id=slot.pk, status=status, **_said(status),
        ended_at=now() if status in ENDED else None,
    )  # fmt: skip

    assert_consistent_seats()


def test_what_sql_changes_of_a_composition_services_see_at_once(world):
    """The numbers are kept by triggers, so a service that comes after plain SQL is not misled."""
    sql("DELETE FROM bookings_resourcepart")

    done = resources.compose(
        resource_id=world.hall.pk, organization_id=world.organization.pk, part_ids=[world.room.pk],
        pool_ids=[], actor=f.SYSTEM, now=now(),
    )  # fmt: skip

    assert done.parts == [world.room.number]
    assert_consistent()
