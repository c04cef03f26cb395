"""Each check of bookings names what was made wrong, and nothing else; repairs it, or leaves it.

Serves A9, A10, B10, B12.
"""

import io
import json
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from audit.consistency.registry import Problem, registry
from bookings import codes
from bookings.models import Booking, CheckInCode, Occupancy, Slot
from bookings.services import bookings as booking_services
from bookings.services import check_in
from payments.services import cancellation
from tests import factories as f
from tests.corruption import AUDITOR, check, corrupt, fix, last_line

pytestmark = pytest.mark.django_db


@pytest.fixture
def organization():
    organization = f.OrganizationFactory()
    f.PolicyFactory(organization=organization, proof_required=False)
    return organization


@pytest.fixture
def customer(organization):
    return f.CustomerFactory(organization=organization)


@pytest.fixture
def court(organization):
    return f.PriceFactory(
        resource=f.ResourceFactory(organization=organization, exclusive=True)
    ).resource


@pytest.fixture
def healthy(court):
    """Two bookings of a court, one held and one confirmed, that no check may name."""
    customer: Any = f.CustomerFactory(organization=court.organization)
    held, taken = f.make_slots(court, 2, start=f.soon(100))
    f.approve(f.check_out(customer, taken))
    f.hold(customer, held)
    assert check() == set()
    return [held, taken]


def booked(customer, slot, **kwargs) -> Booking:
    """A confirmed booking."""
    made = f.check_out(customer, slot, **kwargs)
    if made.status != "approved":  # what is free is approved at once
        f.approve(made)
    return Booking.objects.get(cart_item__transaction=made)


def checked_in(customer, slot) -> Booking:
    booking = booked(customer, slot)
    code = codes.derive(booking.pk, bytes(booking.check_in_code.nonce))
    check_in.check_in(code=code, organization_ids=None, actor=AUDITOR, now=slot.starts_at)
    return Booking.objects.get(pk=booking.pk)


def class_slot(organization, **kwargs) -> Slot:
    resource: Any = f.ResourceFactory(organization=organization)
    return f.make_slot(resource, max_bookings=5, **kwargs)


def same(row) -> dict[str, Any]:
    """Everything a row says."""
    found: dict[str, Any] = type(row).objects.filter(pk=row.pk).values().get()
    return found


def test_a_wrong_counter_is_found_and_counted_again(organization, customer, healthy):
    slots = [class_slot(organization) for _ in range(3)]
    for slot in slots:
        booked(customer, slot, units=2)
    too_low, too_high, _right = slots
    corrupt("UPDATE bookings_slot SET taken_units = 1 WHERE id = %s", [too_low.pk])
    corrupt("UPDATE bookings_slot SET taken_bookings = 4 WHERE id = %s", [too_high.pk])
    empty = class_slot(organization)
    corrupt("UPDATE bookings_slot SET taken_bookings = 1 WHERE id = %s", [empty.pk])
    wrong = {str(s.pk) for s in (too_low, too_high, empty)}

    assert check("bookings.slot_counters") == wrong
    assert fix("bookings.slot_counters") == dict.fromkeys(wrong, "fixed")

    for slot, counters in zip([*slots, empty], [(1, 2), (1, 2), (1, 2), (0, 0)], strict=True):
        slot.refresh_from_db()
        assert (slot.taken_bookings, slot.taken_units) == counters
    assert fix("bookings.slot_counters") == {}


def test_a_counter_that_the_slot_cannot_hold_is_left_to_people(organization, customer):
    slot = class_slot(organization)
    for _ in range(2):
        booked(f.CustomerFactory(organization=organization), slot)
    corrupt(
        "UPDATE bookings_slot SET taken_bookings = 1, taken_units = 1, max_bookings = 1,"
        " max_units = 1 WHERE id = %s",
        [slot.pk],
    )
    before = same(slot)

    assert check("bookings.overbooked") == {str(slot.pk)}
    assert fix("bookings.slot_counters") == {str(slot.pk): "needs_review"}
    assert fix("bookings.overbooked") == {str(slot.pk): "needs_review"}

    assert same(slot) == before


def test_marks_of_an_exclusive_resource_are_written_anew(customer, court, organization, healthy):
    slots = f.make_slots(court, 3)
    for slot in slots[:2]:
        booked(customer, slot)
    missing, moved, empty = slots
    corrupt("DELETE FROM bookings_occupancy WHERE slot_id = %s", [missing.pk])
    corrupt(
        "UPDATE bookings_occupancy SET period = tstzrange(lower(period), upper(period)"
        " - interval '30 minutes', '[)') WHERE slot_id = %s",
        [moved.pk],
    )
    corrupt(
        "INSERT INTO bookings_occupancy (slot_id, resource_number, period)"
        " SELECT id, %s, tstzrange(busy_from, busy_until, '[)') FROM bookings_slot WHERE id = %s",
        [court.number, empty.pk],
    )
    wrong = {str(s.pk) for s in slots}

    assert check("bookings.occupancies") == wrong
    assert fix("bookings.occupancies") == dict.fromkeys(wrong, "fixed")

    marks = {o.slot_id: o.period for o in Occupancy.objects.filter(slot__in=slots)}
    assert set(marks) == {missing.pk, moved.pk}
    for slot in (missing, moved):
        assert (marks[slot.pk].lower, marks[slot.pk].upper) == (slot.busy_from, slot.busy_until)
    assert fix("bookings.occupancies") == {}
    assert check() == set()


def test_two_bookings_of_one_court_at_one_time_are_named_and_left_to_people(
    customer, court, organization, healthy
):
    start = f.soon()
    early = f.make_slot(court, starts_at=start, minutes=60)
    late = f.make_slot(court, starts_at=start + timedelta(minutes=120), minutes=60)
    after = f.make_slot(court, starts_at=start + timedelta(minutes=180), minutes=60)
    first, second, third = (booked(customer, s) for s in (early, late, after))
    corrupt(
        "UPDATE bookings_slot SET starts_at = %s, busy_from = %s WHERE id = %s",
        [start + timedelta(minutes=30), start + timedelta(minutes=30), late.pk],
    )
    before = [same(b) for b in (first, second, third)]

    assert check("bookings.exclusive_overlap") == {str(first.pk), str(second.pk)}
    assert fix("bookings.exclusive_overlap") == {
        str(first.pk): "needs_review",
        str(second.pk): "needs_review",
    }
    # The mark cannot be written either: it would overlap the other slot's.
    assert fix("bookings.occupancies") == {str(late.pk): "needs_review"}

    assert [same(b) for b in (first, second, third)] == before


def test_holds_that_the_sweep_forgot_are_expired(customer, court):
    now = timezone.now()
    forgotten, just_over, running = f.make_slots(court, 3, start=f.soon(2))
    old = f.hold(customer, forgotten, now=now - timedelta(minutes=21))
    new = f.hold(customer, just_over, now=now - timedelta(minutes=16))
    live = f.hold(customer, running)

    assert check("bookings.holds_overdue") == {str(old.pk)}
    assert fix("bookings.holds_overdue") == {str(old.pk): "fixed"}

    assert Booking.objects.get(pk=old.pk).status == "expired"
    assert old.cart_item.__class__.objects.get(booking=old).status == "expired"
    assert {same(b)["status"] for b in (new, live)} == {"held"}
    line = last_line(old)
    assert (line.actor_label, line.actor_kind) == ("auditor", "system")
    assert line.history_change_reason == "consistency: bookings.holds_overdue"
    assert fix("bookings.holds_overdue") == {}
    assert check() == set()


def test_a_confirmed_booking_gets_the_code_it_lost(customer, court, healthy):
    slot, other = f.make_slots(court, 2)
    booking, was_there = booked(customer, slot), checked_in(customer, other)
    lost = {str(booking.pk), str(was_there.pk)}
    corrupt(
        "DELETE FROM bookings_checkincode WHERE booking_id IN (%s, %s)",
        [booking.pk, was_there.pk],
    )

    assert check("bookings.confirmed_without_code") == lost
    assert fix("bookings.confirmed_without_code") == dict.fromkeys(lost, "fixed")

    made = CheckInCode.objects.get(booking=booking)
    code = codes.derive(booking.pk, bytes(made.nonce))
    assert bytes(made.code_hash) == codes.fingerprint(code)
    assert made.used_at is None
    assert CheckInCode.objects.get(booking=was_there).used_at == was_there.checked_in_at
    assert last_line(made).actor_label == "auditor"
    assert fix("bookings.confirmed_without_code") == {}
    assert check("bookings.code_use_agrees") == set()


def test_codes_say_what_their_bookings_say(customer, court, healthy):
    unmarked_slot, used_slot, early_slot = f.make_slots(court, 3)
    unmarked = checked_in(customer, unmarked_slot)
    used = booked(customer, used_slot)
    early = f.hold(customer, early_slot)
    corrupt("UPDATE bookings_checkincode SET used_at = NULL WHERE booking_id = %s", [unmarked.pk])
    corrupt("UPDATE bookings_checkincode SET used_at = now() WHERE booking_id = %s", [used.pk])
    corrupt(
        "INSERT INTO bookings_checkincode (booking_id, nonce, code_hash, created_at)"
        " VALUES (%s, '\\x01', '\\x02', now())",
        [early.pk],
    )
    outcomes = {
        str(unmarked.pk): "fixed",
        str(used.pk): "needs_review",
        str(early.pk): "fixed",
    }

    assert check("bookings.code_use_agrees") == set(outcomes)
    assert fix("bookings.code_use_agrees") == outcomes

    assert CheckInCode.objects.get(booking=unmarked).used_at == unmarked.checked_in_at
    assert CheckInCode.objects.get(booking=used).used_at is not None
    assert not CheckInCode.objects.filter(booking=early).exists()
    line = last_line(CheckInCode(pk=early.pk))
    assert (line.history_type, line.actor_label) == ("-", "auditor")
    assert fix("bookings.code_use_agrees") == {str(used.pk): "needs_review"}


def test_links_across_organisations_and_into_nothing_are_named(customer, court, healthy):
    other: Any = f.CustomerFactory()
    strangers_slot, orphan_slot, lost_slot = f.make_slots(court, 3)
    strange, orphan, lost = (booked(customer, s) for s in (strangers_slot, orphan_slot, lost_slot))
    corrupt("UPDATE bookings_booking SET customer_id = %s WHERE id = %s", [other.pk, strange.pk])
    corrupt("UPDATE bookings_booking SET slot_id = %s WHERE id = %s", [uuid.uuid4(), orphan.pk])
    corrupt(
        "UPDATE bookings_slot SET organization_id = %s WHERE id = %s",
        [other.organization_id, lost_slot.pk],
    )
    corrupt(
        "INSERT INTO bookings_checkincode (booking_id, nonce, code_hash, created_at)"
        " VALUES (%s, '\\x01', '\\x02', now())",
        [stray := uuid.uuid4()],
    )
    wrong = {str(i) for i in (strange.pk, orphan.pk, lost.pk, lost_slot.pk, stray)}

    assert check("bookings.booking_links") == wrong
    assert fix("bookings.booking_links") == dict.fromkeys(wrong, "needs_review")
    # Both sides of a crossing see it, and nobody else does.
    assert str(strange.pk) in check("bookings.booking_links", organization=other.organization_id)
    assert check("bookings.booking_links", organization=uuid.uuid4()) == set()


IMPOSSIBLE = [
    ("units = 0", "bookings_booking_has_units"),
    ("status = 'lost'", "bookings_booking_status_is_known"),
    ("confirmed_at = NULL", "bookings_booking_confirmed_says_when"),
    ("status = 'checked_in'", "bookings_booking_checked_in_says_when"),
    ("status = 'held'", "bookings_booking_held_has_a_deadline"),
    ("status = 'cancelled'", "bookings_booking_ended_says_when"),
    ("ended_at = now()", "bookings_booking_ended_says_when"),
]


@pytest.mark.parametrize(("change", "constraint"), IMPOSSIBLE)
def test_what_the_constraints_refuse_is_named_when_they_were_off(
    change, constraint, customer, court, healthy
):
    booking = booked(customer, f.make_slot(court))
    corrupt(
        f"UPDATE bookings_booking SET {change} WHERE id = %s",
        [booking.pk],
        drop=[("bookings_booking", constraint)],
    )
    before = same(booking)

    assert check("bookings.times") == {str(booking.pk)}
    assert fix("bookings.times") == {str(booking.pk): "needs_review"}

    assert same(booking) == before


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ("ends_at = starts_at", "bookings_slot_ends_after_it_starts"),
        ("busy_until = starts_at", "bookings_slot_buffers_surround_it"),
        ("max_units = 0", "bookings_slot_has_a_capacity"),
        ("max_bookings = 2", "bookings_slot_of_exclusive_takes_one"),
    ],
)
def test_impossible_slots_are_named_when_the_constraints_were_off(
    change, constraint, court, healthy
):
    slot = f.make_slot(court)
    corrupt(
        f"UPDATE bookings_slot SET {change} WHERE id = %s",
        [slot.pk],
        drop=[("bookings_slot", constraint)],
    )

    assert check("bookings.times") == {str(slot.pk)}


def test_who_was_checked_in_days_ago_is_completed(customer, court, healthy):
    slot, recent = f.make_slots(court, 2)
    old, new = checked_in(customer, slot), checked_in(customer, recent)
    for row, days in ((slot, 3), (recent, 0)):
        corrupt(
            "UPDATE bookings_slot SET starts_at = now() - %s, ends_at = now() - %s,"
            " busy_from = now() - %s, busy_until = now() - %s WHERE id = %s",
            [
                *(timedelta(days=days, hours=h) for h in (3, 2, 3, 2)),
                row.pk,
            ],
        )

    assert check("bookings.checked_in_not_completed") == {str(old.pk)}
    assert fix("bookings.checked_in_not_completed") == {str(old.pk): "fixed"}

    assert same(old)["status"] == "completed"
    assert same(new)["status"] == "checked_in"
    assert last_line(old).history_change_reason == "consistency: bookings.checked_in_not_completed"
    assert fix("bookings.checked_in_not_completed") == {}


def test_a_fixer_that_comes_too_late_changes_nothing(customer, court, healthy):
    """Between the look and the lock somebody else repaired it."""
    slot = f.make_slot(court)
    booking = booked(customer, slot)
    for check_ in registry.checks():
        if not check_.id.startswith("bookings.") or check_.fixer is None:
            continue
        for subject in (slot.pk, booking.pk, uuid.uuid4()):
            before = [same(slot), same(booking), same(booking.check_in_code)]
            problem = Problem("row", str(subject), "", organization_id=court.organization_id)
            assert check_.fixer(problem, AUDITOR, timezone.now()).outcome == "gone", check_.id
            assert [same(slot), same(booking), same(booking.check_in_code)] == before


def test_an_organisation_sees_its_own_findings_only(customer, court):
    mine, other = f.make_slot(court), f.make_slot()
    for slot in (mine, other):
        corrupt("UPDATE bookings_slot SET taken_units = 1 WHERE id = %s", [slot.pk])

    assert check("bookings.slot_counters", organization=court.organization_id) == {str(mine.pk)}
    assert check("bookings.slot_counters") == {str(mine.pk), str(other.pk)}


def test_nothing_is_found_on_the_way_from_the_hold_to_the_end(customer, court, organization):
    now = timezone.now()
    slot, spare = f.make_slots(court, 2)
    seen = [check()]
    f.hold(customer, slot)
    seen.append(check())
    f.hold(customer, spare)
    made = f.check_out(customer)
    seen.append(check())
    f.submit_proof(made)
    seen.append(check() - _files_of_tests())
    f.approve(made)
    seen.append(check() - _files_of_tests())
    booking = Booking.objects.get(slot=slot)
    cancellation.cancel_booking(
        booking_id=Booking.objects.get(slot=spare).pk,
        organization_id=organization.pk,
        actor=AUDITOR,
        reason="ill",
        now=now,
    )
    seen.append(check() - _files_of_tests())
    code = codes.derive(booking.pk, bytes(booking.check_in_code.nonce))
    check_in.check_in(code=code, organization_ids=None, actor=AUDITOR, now=slot.starts_at)
    seen.append(check() - _files_of_tests())
    booking_services.complete_bookings(actor=AUDITOR, now=slot.ends_at)
    seen.append(check() - _files_of_tests())

    assert seen == [set()] * 8
    assert same(booking)["status"] == "completed"


def _files_of_tests() -> set[str]:
    """A test's transaction never commits, so its proofs lose their files."""
    from payments.models import Proof

    return {str(pk) for pk in Proof.objects.values_list("pk", flat=True)}


def test_a_check_costs_the_same_for_one_row_and_for_many(organization, customer, court):
    def statements() -> dict[str, int]:
        cost = {}
        for id in [c.id for c in registry.checks() if c.id.startswith("bookings.")]:
            with CaptureQueriesContext(connection) as queries:
                check(id)
            cost[id] = len(queries)
        return cost

    def make(count: int) -> None:
        for slot in f.make_slots(court, count, start=f.soon(24 + 200 * count)):
            booking = booked(customer, slot)
            corrupt("UPDATE bookings_slot SET taken_units = 0 WHERE id = %s", [slot.pk])
            corrupt("DELETE FROM bookings_checkincode WHERE booking_id = %s", [booking.pk])
            corrupt("DELETE FROM bookings_occupancy WHERE slot_id = %s", [slot.pk])

    make(1)
    one = statements()
    make(6)

    assert statements() == one


def test_the_command_says_by_its_exit_status_whether_something_was_found(court):
    output = io.StringIO()
    with pytest.raises(SystemExit) as clean:
        call_command("check_consistency", "--format", "json", stdout=output)
    assert clean.value.code == 0
    assert json.loads(output.getvalue())["findings"] == []

    slot = f.make_slot(court)
    corrupt("UPDATE bookings_slot SET taken_bookings = 1 WHERE id = %s", [slot.pk])
    output = io.StringIO()
    with pytest.raises(SystemExit) as found:
        call_command("check_consistency", "--format", "json", stdout=output)
    assert found.value.code == 1
    answer = json.loads(output.getvalue())
    assert not answer["clean"]
    [finding] = answer["findings"]
    assert finding["check"] == "bookings.slot_counters"
    assert finding["subject_id"] == str(slot.pk)
    assert finding["fixable"]

    for _ in range(2):
        with pytest.raises(SystemExit) as repaired:
            call_command("check_consistency", "--fix", stdout=io.StringIO())
        assert repaired.value.code == 0
    slot.refresh_from_db()
    assert slot.taken_bookings == 0
