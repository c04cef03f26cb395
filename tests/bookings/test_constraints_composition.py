"""What resources are made of, and what people are given out of pools, whatever the SQL (B5, B10)."""

import uuid

import pytest

from bookings.models import Pool, PoolMember, PoolNeed
from tests import factories as f
from tests.bookings.test_constraints_schedules import World, come_in_with_a_room, link, new_id
from tests.invariants import assert_consistent, everything
from tests.plain_sql import change, copy, refused, sql

pytestmark = pytest.mark.django_db


@pytest.fixture
def world():
    return World()


NUMBER, POOL = 987_654, uuid.UUID("0193b5f0-0000-7000-8000-000000000001")


@pytest.mark.parametrize(
    "columns",
    [
        {"parts": []},
        {"parts": [NUMBER]},
        {"pools": [POOL]},
        {"parts": [NUMBER], "pools": [POOL]},
    ],
)
def test_parts_and_pools_of_a_resource_are_written_by_its_links_alone(world, columns):
    before = everything()
    # A statement of its own, one among many rows, and one within a block.
    sets = ", ".join(f"{c} = %s" for c in columns)
    for attempt in (
        lambda: change(world.hall, **columns),
        lambda: sql(f"UPDATE bookings_resource SET {sets}", *columns.values()),
        lambda: sql("DO $$ BEGIN UPDATE bookings_resource SET parts = parts || 1::bigint; END $$"),
    ):
        with refused("bookings_resource_takes_what_its_links_say"):
            attempt()

    assert everything() == before


@pytest.mark.parametrize("columns", [{"parts": [NUMBER]}, {"pools": [str(POOL)]}])
def test_a_new_resource_is_made_of_nothing(world, columns):
    with refused("bookings_resource_takes_what_its_links_say"):
        copy(world.court, id=new_id(), name="New", number=NUMBER, **columns)


def test_what_is_made_of_others_stays_in_its_organisation(world):
    stadium, desk = world.exclusive(), world.exclusive()
    link(stadium, world.hall)
    PoolNeed.objects.create(organization=world.organization, resource=desk, pool=world.pool)
    elsewhere = f.OrganizationFactory()

    for resource in (stadium, desk):
        with refused("bookings_resource_with_slots_keeps_its_kind"):
            change(resource, organization_id=elsewhere.pk)


@pytest.mark.parametrize("columns", [{"parts": []}, {"parts": [NUMBER]}, {"pools": [POOL]}])
def test_a_slot_takes_nothing_else_than_its_resource_later(world, columns):
    before = everything()

    with refused("bookings_slot_matches_its_resource"):
        change(world.hall_slot, **columns)

    assert everything() == before


def test_a_slot_may_follow_its_resource(world):
    corner = world.exclusive()
    link(world.hall, corner)

    change(world.hall_slot, parts=sorted([world.court.number, corner.number]))

    with refused("bookings_slot_matches_its_resource"):
        change(world.hall_slot, parts=[world.court.number])


@pytest.mark.parametrize("what", ["class", "stranger", "hall"])
def test_a_membership_does_not_become_one_that_could_not_be_made(world, what):
    resource = {
        "class": world.course,
        "stranger": f.ResourceFactory(exclusive=True),
        "hall": world.hall,
    }[what]

    with refused("bookings_poolmember_is_single"):
        change(world.member, resource_id=resource.pk)


def test_a_membership_does_not_move_to_a_pool_of_strangers(world):
    theirs = Pool.objects.create(name="Theirs", organization=f.OrganizationFactory())

    with refused("bookings_poolmember_is_single"):
        change(world.member, pool_id=theirs.pk)


def picks(world):
    """Numbers that nobody can pick for the course, which needs one room."""
    other = world.exclusive()
    PoolMember.objects.create(pool=world.other_pool, resource=other)
    return {
        "of another pool": [other.number],
        "of no pool": [world.court.number],
        "two": [world.room.number, other.number],
        "the same twice": [world.room.number, world.room.number],
    }


@pytest.mark.parametrize("what", ["of another pool", "of no pool", "two", "the same twice"])
def test_what_is_picked_is_one_out_of_each_pool(world, what):
    picked = picks(world)[what]

    with refused("bookings_slot_picked_is_in_its_pools"):
        change(world.course_slot, picked=picked)
    with refused("bookings_slot_picked_is_in_its_pools"):
        copy(
            world.course_slot, id=new_id(), starts_at=f.soon(70), busy_from=f.soon(70),
            ends_at=f.soon(71), busy_until=f.soon(71), picked=picked,
        )  # fmt: skip


@pytest.mark.parametrize("how", ["gone", "another resource", "another pool"])
def test_what_was_picked_for_people_to_come_stays_in_its_pool(world, how):
    other = world.exclusive()
    come_in_with_a_room(world)

    def leave():
        if how == "gone":
            sql("DELETE FROM bookings_poolmember WHERE id = %s", world.member.pk)
        elif how == "another resource":
            change(world.member, resource_id=other.pk)
        else:
            change(world.member, pool_id=world.other_pool.pk)

    with refused("bookings_poolmember_stays_while_picked"):
        leave()

    sql("UPDATE bookings_booking SET status = 'expired', ended_at = now() WHERE reference = 'X'")
    leave()
    assert_consistent()


def test_a_room_leaves_its_pool_when_those_who_had_it_are_gone_or_have_another(world):
    other = world.exclusive()
    more = PoolMember.objects.create(pool=world.pool, resource=other)
    come_in_with_a_room(world)
    sql("DELETE FROM bookings_poolmember WHERE id = %s", more.pk)  # picked for nobody
    sql("SET LOCAL session_replication_role = replica")  # so long ago it was
    sql(
        "UPDATE bookings_slot SET starts_at = starts_at - interval '9 d', ends_at = ends_at -"
        " interval '9 d', busy_from = busy_from - interval '9 d', busy_until = busy_until -"
        " interval '9 d' WHERE id = %s", world.course_slot.pk,
    )  # fmt: skip
    sql(
        "UPDATE bookings_occupancy SET period = tstzrange(lower(period) - interval '9 d',"
        " upper(period) - interval '9 d')"
    )
    sql("SET LOCAL session_replication_role = origin")

    sql("DELETE FROM bookings_poolmember WHERE id = %s", world.member.pk)
