"""What the database refuses by itself, on every path that goes around Python (B3, B5, B7, B10, D1)."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from audit.errors import DomainError, translate
from audit.history import tracked_models, trail_of
from bookings.lifecycle import BOOKING, ENDED, SLOT, BookingStatus, SlotStatus
from bookings.models import (
    PEOPLE,
    Booking,
    CheckInCode,
    Occupancy,
    Provider,
    Resource,
    ResourcePart,
    Slot,
)
from tests import factories as f
from tests.bookings.test_constraints_schedules import CLAIMS as SCHEDULE_CLAIMS
from tests.invariants import assert_consistent, everything, problems
from tests.plain_sql import (
    as_a_repair,
    change,
    claims_of,
    copy,
    moves_the_database_lets_pass,
    query,
    refused,
    sql,
)

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


class World:
    """One row of everything, to be changed for the worse."""

    def __init__(self):
        self.resource = f.ResourceFactory()
        self.other_resource = f.ResourceFactory(organization=self.resource.organization)
        self.slot = f.make_slot(self.resource, max_bookings=3, max_units=4)
        self.customer = f.CustomerFactory(organization=self.resource.organization)
        self.booking = f.hold(self.customer, self.slot)
        self.other_booking = f.hold(self.customer, self.slot)
        self.member = f.MembershipFactory(organization=self.resource.organization)
        self.doctor = f.ResourceFactory(
            organization=self.resource.organization, exclusive=True, buffer_after_minutes=15
        )
        self.visit = f.make_slot(self.doctor, starts_at=f.soon(72))
        f.hold(self.customer, self.visit)
        self.occupancy = Occupancy.objects.get()

    @property
    def organization(self):
        return self.resource.organization


@pytest.fixture
def world():
    return World()


now = timezone.now
new_id = uuid.uuid4


def miss_too_early(w):
    change(w.booking, status="pending")
    change(w.booking, status="confirmed", confirmed_at=now())
    change(w.booking, status="no_show", missed_at=w.slot.starts_at - HOUR)


def remind_twice(w):
    for number in (1, 2):
        sql(
            "INSERT INTO bookings_reminder (id, booking_id, slot_id, hours, created_at)"
            " VALUES (%s, %s, %s, 24, now())",
            number,
            w.booking.pk,
            w.slot.pk,
        )


def provided(w):
    """The number of somebody who provides a resource."""
    change(w.doctor, provider_id=w.member.user_id)
    return Provider.objects.get()


def occupy(w, **columns):
    as_a_repair()
    copy(w.occupancy, id=9_999_999, **columns)


def occupy_never(w):
    as_a_repair()
    change(w.occupancy, period="empty")


def book_a_closed_slot(w):
    change(w.slot, status="closed")
    copy(w.booking, id=new_id(), reference="X")


# The claim, and the worst that can be done to it with plain SQL.
CLAIMS = {
    "bookings_booking_reference_is_unique": lambda w: change(
        w.booking, reference=w.other_booking.reference
    ),
    "bookings_booking_has_units": lambda w: change(w.booking, units=0),
    "bookings_booking_status_is_known": lambda w: copy(
        w.booking, id=new_id(), reference="X", status="maybe"
    ),
    "bookings_booking_held_has_a_deadline": lambda w: change(w.booking, held_until=None),
    "bookings_booking_confirmed_says_when": lambda w: copy(
        w.booking, id=new_id(), reference="X", status="confirmed"
    ),
    "bookings_booking_checked_in_says_when": lambda w: copy(
        w.booking, id=new_id(), reference="X", status="checked_in", confirmed_at=now()
    ),
    "bookings_booking_ended_says_when": lambda w: change(w.booking, status="cancelled"),
    "bookings_booking_missed_says_when": lambda w: copy(
        w.booking, id=new_id(), reference="X", status="no_show", confirmed_at=now()
    ),
    "bookings_reminder_once": remind_twice,
    "bookings_customer_one_per_account": lambda w: copy(w.customer, id=new_id()),
    "bookings_membership_one_role_per_person": lambda w: copy(w.member, id=new_id()),
    "bookings_membership_role_is_known": lambda w: change(w.member, role="king"),
    "bookings_occupancy_never_overlaps": lambda w: occupy(w, slot_id=w.slot.pk),
    "bookings_occupancy_once_per_slot": lambda w: occupy(w, period="[2001-01-01, 2001-01-02)"),
    "bookings_occupancy_period_is_real": occupy_never,
    "bookings_organization_holds_last_a_minute": lambda w: change(w.organization, hold_minutes=0),
    "bookings_organization_pending_lasts_an_hour": lambda w: change(
        w.organization, pending_hours=0
    ),
    "bookings_organization_no_shows_count": lambda w: change(w.organization, no_show_limit=0),
    "bookings_organization_no_shows_are_marked_within_a_day": lambda w: change(
        w.organization, no_show_minutes=1_441
    ),
    "bookings_organization_reminders_are_few": lambda w: change(
        w.organization, reminder_hours=[1, 2, 3, 4, 5, 6]
    ),
    "bookings_provider_has_one_number": lambda w: copy(provided(w), number=PEOPLE + 987_654),
    "bookings_provider_number_is_of_a_person": lambda w: copy(
        provided(w), number=987_654, user_id=w.customer.user_id
    ),
    "bookings_resource_kind_is_known": lambda w: change(w.resource, kind="ghost"),
    "bookings_resource_name_is_unique": lambda w: change(w.resource, name=w.other_resource.name),
    "bookings_slot_bookings_within_capacity": lambda w: change(w.slot, max_bookings=1),
    "bookings_slot_units_within_capacity": lambda w: change(w.slot, max_units=1),
    "bookings_slot_buffers_surround_it": lambda w: copy(
        w.slot, id=new_id(), busy_until=w.slot.starts_at
    ),
    "bookings_slot_ends_after_it_starts": lambda w: copy(
        w.slot, id=new_id(), ends_at=w.slot.starts_at
    ),
    "bookings_slot_has_a_capacity": lambda w: copy(
        w.slot,
        id=new_id(),
        ends_at=w.slot.ends_at + HOUR,
        busy_until=w.slot.ends_at + HOUR,
        max_units=0,
        taken_bookings=0,
        taken_units=0,
    ),
    "bookings_slot_of_exclusive_takes_one": lambda w: change(w.visit, max_bookings=2),
    "bookings_slot_offered_once": lambda w: copy(w.slot, id=new_id()),
    "bookings_slot_status_is_known": lambda w: copy(w.slot, id=new_id(), status="ajar"),
    "bookings_user_email_is_unique": lambda w: change(
        w.member.user, email=w.customer.user.email.upper()
    ),
    # Claims of triggers, which are not among the models' constraints.
    "bookings_booking_missed_after_its_start": miss_too_early,
    "bookings_occupancy_follows_its_slot": lambda w: change(
        w.occupancy, period="[2001-01-01, 2001-01-02)"
    ),
    "bookings_slot_counts_its_bookings": lambda w: change(w.slot, taken_bookings=1),
    "bookings_provider_keeps_its_number": lambda w: change(provided(w), number=PEOPLE + 987_654),
    "bookings_slot_matches_its_resource": lambda w: copy(
        w.slot, id=new_id(), resource_id=w.doctor.pk
    ),
    "bookings_slot_with_people_keeps_its_time": lambda w: change(
        w.slot, ends_at=w.slot.ends_at + HOUR, busy_until=w.slot.busy_until + HOUR
    ),
    "bookings_resource_with_slots_keeps_its_kind": lambda w: change(w.resource, exclusive=True),
    "bookings_booking_slot_is_bookable": lambda w: book_a_closed_slot(w),
}


@pytest.mark.parametrize("claim", CLAIMS)
def test_the_database_refuses_what_its_constraint_says(world, claim):
    with refused(claim):
        CLAIMS[claim](world)

    assert_consistent()


def test_every_constraint_of_the_models_is_proven_here_or_with_the_schedules():
    assert claims_of("bookings") - set(CLAIMS) - set(SCHEDULE_CLAIMS) == set()


@pytest.mark.parametrize(
    ("claim", "code"),
    [
        ("bookings_slot_bookings_within_capacity", "slot_full"),
        ("bookings_slot_units_within_capacity", "slot_full"),
        ("bookings_occupancy_never_overlaps", "resource_taken"),
        ("bookings_booking_slot_is_bookable", "slot_gone"),
        ("bookings_slot_with_people_keeps_its_time", "slot_in_use"),
        ("bookings_booking_missed_after_its_start", "not_started"),
    ],
)
def test_a_refusal_that_people_can_meet_has_words_for_them(world, claim, code):
    with pytest.raises(DatabaseError) as caught, transaction.atomic():
        CLAIMS[claim](world)

    error = translate(caught.value)
    assert isinstance(error, DomainError)
    assert error.code == code


# Lifecycles


def test_a_booking_changes_its_status_only_along_its_table(world):
    said: dict[str, Any] = {"held_until": now(), "confirmed_at": now(), "checked_in_at": now()}
    states = {
        s: said
        | {
            "ended_at": now() if s in ENDED else None,
            "missed_at": world.slot.ends_at if s == "no_show" else None,
        }
        for s in BookingStatus.values
    }

    passed = moves_the_database_lets_pass(world.booking, BOOKING, states)

    assert passed == set(BOOKING.pairs())
    assert {pair for pair in passed if pair[0] in ENDED} == {("expired", "pending")}
    assert_consistent()


def test_a_slot_changes_its_status_only_along_its_table(world):
    passed = moves_the_database_lets_pass(world.slot, SLOT, {s: {} for s in SlotStatus.values})

    assert (
        passed
        == set(SLOT.pairs())
        == {
            ("open", "closed"),
            ("closed", "open"),
            ("open", "legacy"),
            ("closed", "legacy"),
            ("legacy", "open"),
            ("legacy", "closed"),
        }
    )


def test_a_bulk_update_with_one_forbidden_move_changes_nothing(world):
    change(world.other_booking, status="cancelled", ended_at=now())

    with refused("bookings_booking_status_follows_lifecycle"):
        sql("UPDATE bookings_booking SET status = 'pending', ended_at = NULL")

    assert sorted(query("SELECT status FROM bookings_booking")) == [
        ("cancelled",),
        ("held",),
        ("held",),
    ]


# Slots keep their promises


@pytest.mark.parametrize(
    "columns",
    [
        {"starts_at": -HOUR, "busy_from": -HOUR},
        {"ends_at": HOUR, "busy_until": HOUR},
        {"busy_from": -HOUR},
        {"busy_until": HOUR},
    ],
    ids=lambda c: " and ".join(c),
)
def test_a_slot_with_people_keeps_its_time_and_an_empty_one_may_move(world, columns):
    moved = {c: getattr(world.slot, c) + by for c, by in columns.items()}
    with refused("bookings_slot_with_people_keeps_its_time"):
        change(world.slot, **moved)

    sql("UPDATE bookings_booking SET status = 'cancelled', ended_at = now()")

    change(world.slot, **moved)


def test_a_slot_never_goes_over_to_another_resource(world):
    empty = f.make_slot(world.resource, starts_at=f.soon(99))

    with refused("bookings_slot_with_people_keeps_its_time"):
        change(empty, resource_id=world.other_resource.pk)


def test_a_slot_with_bookings_cannot_be_deleted(world):
    sql("SET CONSTRAINTS ALL IMMEDIATE")

    with pytest.raises(DatabaseError), transaction.atomic():
        sql("DELETE FROM bookings_slot WHERE id = %s", world.slot.pk)

    assert Slot.objects.filter(pk=world.slot.pk).exists()


def test_a_resource_without_slots_may_become_exclusive():
    resource = f.ResourceFactory()

    change(resource, exclusive=True)

    assert Resource.objects.get().exclusive


@pytest.mark.parametrize("column", ["taken_bookings", "taken_units"])
def test_a_counter_never_goes_below_zero(world, column):
    with pytest.raises(DatabaseError), transaction.atomic():
        change(world.slot, **{column: -1})


# What can be booked at all


@pytest.mark.parametrize("status", ["held", "pending"])
@pytest.mark.parametrize("how", ["closed", "legacy", "started", "foreign slot", "foreign customer"])
def test_no_new_booking_into_a_slot_that_takes_none(world, status, how):
    columns = {"id": new_id(), "reference": "X", "status": status}
    if how in ("closed", "legacy"):
        change(world.slot, status=how)
    elif how == "started":
        past = f.make_slot(world.resource, starts_at=now() - timedelta(seconds=1))
        columns["slot_id"] = past.pk
    elif how == "foreign slot":
        columns["slot_id"] = f.make_slot().pk
    else:
        columns["customer_id"] = f.CustomerFactory().pk

    with refused("bookings_booking_slot_is_bookable"):
        copy(world.booking, **columns)

    assert_consistent()


@pytest.mark.parametrize("status", ["confirmed", "completed", "no_show", "cancelled", "rejected"])
def test_what_was_booked_in_the_past_can_be_restored(world, status):
    past = f.make_slot(world.resource, starts_at=now() - timedelta(days=3))

    copy(
        world.booking,
        id=new_id(),
        reference="X",
        slot_id=past.pk,
        status=status,
        confirmed_at=now(),
        checked_in_at=now(),
        missed_at=now() if status == "no_show" else None,
        ended_at=now() if status in ENDED else None,
    )

    past.refresh_from_db()
    assert past.taken_bookings == (1 if status == "confirmed" else 0)


# Counters and occupancies follow whatever happens


def seats(slot):
    slot.refresh_from_db()
    return slot.taken_bookings, slot.taken_units


@pytest.fixture
def plain():
    """A slot for six people in four bookings, and a booking to make others of."""
    slot = f.make_slot(max_bookings=4, max_units=6)
    booking = f.hold(f.CustomerFactory(organization=slot.organization), slot)
    return slot, booking


def test_an_insert_takes_seats_if_it_is_live(plain):
    slot, booking = plain

    copy(booking, id=new_id(), reference="A", units=2)
    copy(booking, id=new_id(), reference="B", units=3, status="cancelled", ended_at=now())

    assert seats(slot) == (2, 3)


def test_an_insert_of_many_rows_takes_all_their_seats_or_none(plain):
    slot, _booking = plain
    insert = (
        "INSERT INTO bookings_booking SELECT (jsonb_populate_record(b, jsonb_build_object("
        "'id', gen_random_uuid(), 'reference', left(gen_random_uuid()::text, 11)))).*"
        " FROM bookings_booking b, generate_series(1, %s) n"
    )

    sql(insert, 3)
    assert seats(slot) == (4, 4)

    with refused("bookings_slot_bookings_within_capacity"):
        sql(insert, 1)
    assert seats(slot) == (4, 4)


def test_the_units_of_a_booking_count_when_they_change(plain):
    slot, booking = plain

    change(booking, units=6)
    assert seats(slot) == (1, 6)

    with refused("bookings_slot_units_within_capacity"):
        change(booking, units=7)
    assert seats(slot) == (1, 6)


def test_a_delete_gives_seats_back(plain):
    slot, booking = plain
    sql("DELETE FROM payments_cartitem")

    sql("DELETE FROM bookings_booking WHERE id = %s", booking.pk)

    assert seats(slot) == (0, 0)


def test_an_upsert_counts_once(plain):
    slot, booking = plain

    for units in (2, 5):
        sql(
            "INSERT INTO bookings_booking SELECT (jsonb_populate_record(b, jsonb_build_object("
            "'units', %s::int))).* FROM bookings_booking b"
            " ON CONFLICT (id) DO UPDATE SET units = excluded.units",
            units,
        )

    booking.refresh_from_db()
    assert booking.units == 5
    assert seats(slot) == (1, 5)


def test_django_s_bulk_calls_count(plain):
    slot, booking = plain
    more = [
        Booking(
            organization=booking.organization,
            slot=slot,
            customer=booking.customer,
            held_until=now() + HOUR,
            created_at=now(),
        )
        for _ in range(3)
    ]

    Booking.objects.bulk_create(more)
    assert seats(slot) == (4, 4)

    for row in more:
        row.status, row.ended_at = "expired", now()
    Booking.objects.bulk_update(more, ["status", "ended_at"])
    assert seats(slot) == (1, 1)

    Booking.objects.filter(pk__in=[b.pk for b in more]).delete()
    assert seats(slot) == (1, 1)


def test_copy_from_a_file_counts(plain):
    slot, booking = plain
    columns = [
        "id", "reference", "organization_id", "slot_id", "customer_id", "units", "status",
        "version", "held_until", "created_at", "ended_reason",
    ]  # fmt: skip
    rows = [
        [
            new_id(), f"C{n}", booking.organization_id, slot.pk, booking.customer_id, 2, "held",
            1, now() + HOUR, now(), "",
        ]
        for n in range(2)
    ]  # fmt: skip
    into = f"COPY bookings_booking ({', '.join(columns)}) FROM STDIN"

    def load():
        with connection.connection.cursor() as cursor, cursor.copy(into) as copying:
            for row in rows:
                copying.write_row(row)

    load()
    assert seats(slot) == (3, 5)

    for number, row in enumerate(rows):
        row[0], row[1] = new_id(), f"D{number}"
    with pytest.raises(Exception, match="within_capacity"), transaction.atomic():
        load()
    assert seats(slot) == (3, 5)


def test_a_move_to_another_slot_takes_the_seats_along(plain):
    slot, booking = plain
    other = f.make_slot(slot.resource, starts_at=f.soon(50), max_bookings=1, max_units=2)

    change(booking, slot_id=other.pk, units=2)

    assert (seats(slot), seats(other)) == ((0, 0), (1, 2))


def test_a_move_into_a_full_slot_is_refused_and_both_keep_their_people(plain):
    slot, booking = plain
    other = f.make_slot(slot.resource, starts_at=f.soon(50))
    f.hold(booking.customer, other)

    with refused("bookings_slot_bookings_within_capacity"):
        change(booking, slot_id=other.pk)

    assert (seats(slot), seats(other)) == ((1, 1), (1, 1))


def test_two_bookings_that_swap_their_full_slots_in_one_statement_both_arrive():
    resource = f.ResourceFactory()
    one, other = f.make_slots(resource, 2)
    customer = f.CustomerFactory(organization=resource.organization)
    a, b = f.hold(customer, one), f.hold(customer, other)

    sql(
        "UPDATE bookings_booking SET slot_id = CASE id WHEN %s THEN %s ELSE %s END",
        a.pk, other.pk, one.pk,
    )  # fmt: skip

    assert (seats(one), seats(other)) == ((1, 1), (1, 1))
    assert query("SELECT slot_id FROM bookings_booking WHERE id = %s", b.pk) == [(one.pk,)]
    assert_consistent()


@pytest.fixture
def doctor():
    """Two slots of one doctor that overlap; somebody is in the first."""
    resource = f.ResourceFactory(exclusive=True, buffer_after_minutes=10)
    early = f.make_slot(resource)
    late = f.make_slot(resource, starts_at=early.starts_at + timedelta(minutes=30))
    booking = f.hold(f.CustomerFactory(organization=resource.organization), early)
    return early, late, booking


def taken():
    return query("SELECT slot_id, lower(period), upper(period) FROM bookings_occupancy")


def test_an_exclusive_resource_is_taken_for_the_slot_and_its_buffers(doctor):
    early, _late, _booking = doctor

    assert taken() == [(early.pk, early.starts_at, early.ends_at + timedelta(minutes=10))]


def test_a_booking_may_move_between_overlapping_slots_of_one_doctor_in_one_update(doctor):
    _early, late, booking = doctor

    change(booking, slot_id=late.pk)

    assert [row[0] for row in taken()] == [late.pk]
    assert_consistent()


def test_two_people_cannot_be_moved_to_overlapping_slots_of_one_doctor(doctor):
    _early, late, booking = doctor
    far = f.make_slot(late.resource, starts_at=f.soon(200))
    other = f.hold(booking.customer, far)

    with refused("bookings_occupancy_never_overlaps"):
        change(other, slot_id=late.pk)

    assert sorted(row[0] for row in taken()) == sorted([booking.slot_id, far.pk])
    assert_consistent()


def test_who_comes_right_after_the_buffer_is_welcome(doctor):
    early, _late, booking = doctor
    after = f.make_slot(early.resource, starts_at=early.busy_until)

    copy(booking, id=new_id(), reference="N", slot_id=after.pk)

    assert len(taken()) == 2


@pytest.mark.parametrize(
    "end", ["UPDATE bookings_booking SET status = 'expired', ended_at = now()", "DELETE"]
)
def test_the_doctor_is_free_again_when_the_booking_is_gone(doctor, end):
    if end == "DELETE":
        sql("DELETE FROM payments_cartitem")
        end = "DELETE FROM bookings_booking"

    sql(end)

    assert taken() == []


@pytest.mark.parametrize("period", ["empty", "[2030-01-01,)", "(,2030-01-01)", None])
def test_a_period_that_would_slip_through_the_exclusion_is_refused(doctor, period):
    as_a_repair()

    with pytest.raises(DatabaseError), transaction.atomic():
        sql("UPDATE bookings_occupancy SET period = %s::tstzrange", period)


FREE_THE_DOCTOR = [
    "DELETE FROM bookings_occupancy",
    "UPDATE bookings_occupancy SET period = tstzrange('2000-01-01', '2000-01-02')",
    "UPDATE bookings_occupancy SET resource_number = resource_number + 9000",
]
EMPTY_THE_SLOT = (
    "UPDATE bookings_slot SET taken_bookings = 0, taken_units = 0 WHERE taken_bookings > 0"
)


@pytest.mark.parametrize("statement", FREE_THE_DOCTOR)
def test_what_is_taken_is_not_written_by_hand(doctor, statement):
    _early, late, booking = doctor
    before = everything()

    for attempt in (statement, f"DO $$ BEGIN {statement}; END $$"):
        with refused("bookings_occupancy_follows_its_slot"):
            sql(attempt)

    assert everything() == before
    # The control: past the trigger nothing else keeps the doctor from two places.
    as_a_repair()
    sql(statement)
    copy(booking, id=new_id(), reference="L", slot_id=late.pk)
    assert "an exclusive resource is taken twice" in problems()


def test_how_many_are_in_a_slot_is_not_written_by_hand(doctor):
    early, _late, booking = doctor
    before = everything()

    for attempt in (
        EMPTY_THE_SLOT,
        f"DO $$ BEGIN {EMPTY_THE_SLOT}; END $$",
        "UPDATE bookings_slot SET taken_units = taken_units + 1",
        f"UPDATE bookings_slot SET taken_bookings = 0, picked = '{{}}' WHERE id = '{early.pk}'",
    ):
        with refused("bookings_slot_counts_its_bookings"):
            sql(attempt)

    assert everything() == before
    as_a_repair()
    sql(EMPTY_THE_SLOT)
    copy(booking, id=new_id(), reference="E", slot_id=early.pk)
    assert "an exclusive resource is taken twice" in problems()


def test_nobody_writes_beforehand_that_a_time_is_taken_for_less_than_it_will_be(doctor):
    _early, late, _booking = doctor

    with refused("bookings_occupancy_follows_its_slot"):
        sql(
            "INSERT INTO bookings_occupancy (slot_id, resource_number, period)"
            " VALUES (%s, %s, '[2000-01-01, 2000-01-02)')",
            late.pk, late.resource.number,
        )  # fmt: skip


def test_what_people_take_is_not_written_without_its_marks(doctor):
    """The parts of a resource that were made past its slots do not come to people by hand."""
    early, _late, _booking = doctor
    part = f.ResourceFactory(organization=early.organization, exclusive=True)
    ResourcePart.objects.create(organization=early.organization, whole=early.resource, part=part)

    with refused("bookings_slot_with_people_keeps_its_time"):
        change(early, parts=[part.number])


# The trail (B7)


@pytest.mark.parametrize("table", [trail_of(m)._meta.db_table for m in tracked_models()])
@pytest.mark.parametrize(
    "statement",
    ["UPDATE \"{}\" SET history_change_reason = 'x'", 'DELETE FROM "{}"', 'TRUNCATE "{}"'],
)
@pytest.mark.parametrize("role", ["origin", "replica"])
def test_nobody_rewrites_the_trail(table, statement, role):
    with refused("audit_trail_is_append_only"):
        sql(f"SET LOCAL session_replication_role = {role}")
        sql(statement.format(table))


def test_a_change_with_plain_sql_is_in_the_trail_under_the_name_of_the_session(world):
    sql("SET LOCAL holdfast.audit = ''")  # as in a transaction of its own

    change(world.booking, units=2)

    line = Booking.history.filter(id=world.booking.pk).latest()
    assert (line.history_type, line.units, line.actor_kind) == ("~", 2, "system")


def test_bulk_changes_leave_a_line_for_every_row(world):
    before = Booking.history.count()

    sql("UPDATE bookings_booking SET status = 'expired', ended_at = now()")
    sql("UPDATE bookings_booking SET status = status")

    assert Booking.history.count() - before == 3


def test_the_secret_of_a_check_in_code_is_not_in_the_trail():
    assert "nonce" not in {field.name for field in CheckInCode.history.model._meta.fields}


# Organisations


@pytest.mark.parametrize("status", ["held", "pending", "confirmed", "completed", "cancelled"])
def test_no_booking_is_made_across_organisations_whatever_its_status(world, status):
    stranger = f.CustomerFactory()
    now = timezone.now()
    times = {"confirmed_at": now, "checked_in_at": now, "held_until": now}
    times["ended_at"] = now if status == "cancelled" else None

    for columns in ({"customer_id": stranger.pk}, {"organization_id": stranger.organization_id}):
        with refused("bookings_booking_slot_is_bookable"):
            copy(
                world.booking,
                id=f.some_id(),
                reference="AAAAA-BBBBB",
                status=status,
                **times,
                **columns,
            )


def test_bookings_and_customers_stay_in_their_organisation(world):
    stranger = f.CustomerFactory()
    with refused("bookings_booking_stays_in_its_organization"):
        change(world.booking, customer_id=stranger.pk)
    with refused("bookings_booking_stays_in_its_organization"):
        change(world.booking, organization_id=stranger.organization_id)
    with refused("bookings_customer_stays_in_its_organization"):
        change(stranger, organization_id=world.organization.pk)
