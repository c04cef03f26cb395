"""What the database refuses by itself about the line, and the gates it keeps (A5, A6, C9)."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from tests import factories as f
from tests.plain_sql import change, claims_of, copy, moves_the_database_lets_pass, refused, sql
from tests.waitlist.line import free, full_slot, join, offer_of, somebody, window
from waitlist.lifecycle import ENTRY, GOING_ON, OFFER, EntryStatus, OfferStatus
from waitlist.models import WaitlistEntry, WaitlistPolicy

pytestmark = pytest.mark.django_db

now = timezone.now
new_id = uuid.uuid4


class World:
    """One row of everything, to be changed for the worse."""

    def __init__(self) -> None:
        self.slot, _ = full_slot()
        self.resource = self.slot.resource
        self.offered = join(self.slot)
        free(self.slot)
        self.waiting = join(self.slot)
        self.window = join(window(self.resource))
        self.offer = offer_of(self.offered)
        assert self.offer is not None
        self.policy = WaitlistPolicy.objects.create(organization=self.slot.organization)
        self.other_slot = f.make_slot()
        self.stranger = somebody(self.other_slot)


@pytest.fixture
def world() -> World:
    return World()


def lose(row: Any, *others: str) -> None:
    """A status that is not known, past the constraints that list all statuses too."""
    sql("SET CONSTRAINTS ALL IMMEDIATE")
    for name in others:
        sql(f"ALTER TABLE {row._meta.db_table} DROP CONSTRAINT {name}")
    copy(row, id=new_id(), status="lost")


CLAIMS = {
    "waitlist_entry_is_for_somebody": lambda w: change(w.waiting, units=0),
    "waitlist_entry_status_is_known": lambda w: lose(w.waiting, "waitlist_entry_ended_says_when"),
    "waitlist_entry_is_for_a_slot_or_a_window": lambda w: change(w.waiting, from_at=now()),
    "waitlist_entry_ended_says_when": lambda w: change(w.waiting, status="left"),
    "waitlist_entry_once_per_slot": lambda w: copy(w.waiting, id=new_id()),
    "waitlist_entry_once_per_window": lambda w: copy(w.window, id=new_id()),
    "waitlist_offer_one_open_per_entry": lambda w: copy(
        w.offer, id=new_id(), booking_id=another_hold(w)
    ),
    "waitlist_offer_status_is_known": lambda w: lose(w.offer, "waitlist_offer_answered_says_when"),
    "waitlist_offer_answered_says_when": lambda w: change(w.offer, status="declined"),
    "waitlist_policy_offers_last_an_hour": lambda w: change(w.policy, offer_hours=0),
    # Claims of triggers, which are not among the models' constraints.
    "waitlist_entry_belongs_together": lambda w: change(w.waiting, slot_id=w.other_slot.pk),
    "waitlist_offer_is_for_its_entry": lambda w: copy(
        w.offer, id=new_id(), entry_id=w.waiting.pk, booking_id=another_hold(w)
    ),
}


def another_hold(w: World) -> Any:
    spare = f.make_slot(w.resource, starts_at=f.soon(240 + 30))
    return f.hold(w.offered.customer, spare).pk


@pytest.mark.parametrize("claim", CLAIMS)
def test_the_database_refuses(claim, world):
    with refused(claim):
        CLAIMS[claim](world)


def test_every_constraint_of_the_models_is_proven_here():
    assert claims_of("waitlist") - set(CLAIMS) == set()


@pytest.mark.parametrize(
    "wrong",
    [
        lambda w: change(w.waiting, from_at=now(), until_at=now() + timedelta(hours=1)),
        lambda w: change(w.window, until_at=w.window.from_at),
        lambda w: change(w.window, until_at=None),
        lambda w: change(w.waiting, slot_id=None),
    ],
)
def test_an_entry_is_for_a_slot_or_for_a_real_time_and_never_both(wrong, world):
    with refused("waitlist_entry_is_for_a_slot_or_a_window"):
        wrong(world)


def test_an_entry_is_of_one_organisation(world):
    with refused("waitlist_entry_belongs_together"):
        copy(world.waiting, id=new_id(), customer_id=world.stranger.pk)
    with refused("waitlist_entry_belongs_together"):
        change(world.window, resource_id=world.other_slot.resource_id)


def test_an_entry_stays_in_its_organisation(world):
    with pytest.raises(DatabaseError), transaction.atomic():
        change(world.waiting, organization_id=world.other_slot.organization_id)


def test_a_booking_is_offered_once(world):
    with pytest.raises(DatabaseError, match="booking_id"), transaction.atomic():
        copy(world.offer, id=new_id())


def test_an_entry_changes_its_status_only_along_its_table(world):
    states: dict[str, Any] = {
        s: {"ended_at": None if s in GOING_ON else now()} for s in EntryStatus.values
    }

    assert moves_the_database_lets_pass(world.waiting, ENTRY, states) == set(ENTRY.pairs())


def test_an_offer_changes_its_status_only_along_its_table(world):
    states: dict[str, Any] = {
        s: {"answered_at": None if s == "open" else now()} for s in OfferStatus.values
    }

    assert moves_the_database_lets_pass(world.offer, OFFER, states) == set(OFFER.pairs())


# Gates, on every path


def gate(slot: Any) -> tuple[int | None, bool]:
    slot.refresh_from_db()
    return slot.line_units, slot.waited_for


def line_of(resource: Any) -> int:
    resource.refresh_from_db()
    return int(resource.line)


def entry(slot: Any, units: int = 1, **fields: Any) -> WaitlistEntry:
    return WaitlistEntry(
        organization_id=slot.organization_id,
        customer=somebody(slot),
        resource=slot.resource,
        slot=None if fields else slot,
        units=units,
        joined_at=now(),
        placed_at=now(),
        **fields,
    )


def anytime(slot: Any) -> WaitlistEntry:
    return entry(slot, from_at=now(), until_at=now() + timedelta(days=9))


def test_the_gate_of_a_slot_is_its_smallest_party_after_every_statement():
    slot = f.make_slot()
    assert gate(slot) == (None, False)
    rows = WaitlistEntry.objects.bulk_create([entry(slot, n) for n in (4, 2, 3)])
    assert gate(slot) == (2, True)
    change(rows[1], units=5)
    assert gate(slot) == (3, True)
    change(rows[2], status="left", ended_at=now())
    assert gate(slot) == (4, True)
    sql("DELETE FROM waitlist_waitlistentry WHERE id = %s", rows[0].pk)
    assert gate(slot) == (5, True)
    WaitlistEntry.objects.filter(slot=slot, status="waiting").update(status="offered")
    assert gate(slot) == (None, True)
    sql("DELETE FROM waitlist_waitlistentry WHERE slot_id = %s", slot.pk)
    assert gate(slot) == (None, True)  # it was waited for, and stays so


def test_an_entry_that_changes_its_slot_changes_both_gates():
    slot = f.make_slot()
    other = f.make_slot(slot.resource, starts_at=f.soon(50))
    row = entry(slot, 2)
    row.save()
    change(row, slot_id=other.pk)
    assert (gate(slot), gate(other)) == ((None, True), (2, True))
    change(row, slot_id=None, from_at=now(), until_at=now() + timedelta(days=2))
    assert (gate(other), line_of(slot.resource)) == ((None, True), 1)


def test_the_gate_of_a_resource_counts_those_who_go_on_in_line_for_any_time():
    slot = f.make_slot()
    rows = WaitlistEntry.objects.bulk_create([anytime(slot) for _ in range(3)])
    assert line_of(slot.resource) == 3
    change(rows[0], status="offered")
    assert line_of(slot.resource) == 3
    change(rows[0], status="declined", ended_at=now())
    assert line_of(slot.resource) == 2
    other = f.make_slot(f.ResourceFactory(organization=slot.organization))
    change(rows[1], resource_id=other.resource_id)
    assert (line_of(slot.resource), line_of(other.resource)) == (1, 1)
    sql("DELETE FROM waitlist_waitlistentry WHERE slot_id IS NULL")
    assert (line_of(slot.resource), line_of(other.resource)) == (0, 0)


def test_a_gate_that_was_wrong_keeps_nobody_from_leaving():
    slot = f.make_slot()
    row = anytime(slot)
    row.save()
    sql("UPDATE bookings_resource SET line = 0")
    change(row, status="left", ended_at=now())
    assert line_of(slot.resource) == 0


def test_copy_from_a_file_keeps_the_gates():
    slot = f.make_slot()
    columns = [
        "id", "organization_id", "customer_id", "resource_id", "slot_id", "from_at", "until_at",
        "units", "status", "version", "joined_at", "placed_at", "passed_over",
        "passed_over_reason", "ended_reason",
    ]  # fmt: skip
    people = [somebody(slot) for _ in range(3)]
    common = [slot.organization_id]

    def row(person: Any, slot_id: Any, since: Any, until: Any, units: int) -> list[Any]:
        return [
            new_id(), *common, person.pk, slot.resource_id, slot_id, since, until, units,
            "waiting", 1, now(), now(), 0, "", "",
        ]  # fmt: skip

    into = f"COPY waitlist_waitlistentry ({', '.join(columns)}) FROM STDIN"
    with connection.connection.cursor() as cursor, cursor.copy(into) as copying:
        copying.write_row(row(people[0], slot.pk, None, None, 3))
        copying.write_row(row(people[1], slot.pk, None, None, 2))
        copying.write_row(row(people[2], None, now(), now() + timedelta(days=2), 1))

    assert (gate(slot), line_of(slot.resource)) == ((2, True), 1)


def test_gates_leave_no_line_in_the_trail_of_slots_and_resources():
    slot = f.make_slot()
    before = (slot.history.count(), slot.resource.history.count())
    WaitlistEntry.objects.bulk_create([entry(slot), anytime(slot)])
    assert (slot.history.count(), slot.resource.history.count()) == before
