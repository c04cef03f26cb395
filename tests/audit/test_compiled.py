"""Statements that are made once find and write what the ORM would (B12, C9)."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import Count
from django.db.transaction import TransactionManagementError
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from audit.compiled import Compiled, Param
from audit.errors import constraint_name
from audit.models import IdempotencyKey, OutboxEvent
from audit.sql import insert, insert_rows
from bookings.models import Booking, CheckInCode, Resource, Slot
from tests import factories as f

pytestmark = pytest.mark.django_db


def slots_of():
    return Compiled(
        lambda: (
            Slot.objects.select_related("resource__provider")
            .filter(resource=Param("resource"), max_units__gte=Param("units"))
            .order_by("starts_at")
        )
    )


def state(instance):
    return {k: v for k, v in vars(instance).items() if k != "_state"}


def test_it_finds_the_instances_of_its_queryset():
    resource = f.ResourceFactory(provider=f.UserFactory())
    f.make_slots(resource, 3)

    found = slots_of().run(resource=resource.pk, units=1)

    expected = list(
        Slot.objects.select_related("resource__provider").filter(resource=resource).order_by()
    )
    assert [state(s) for s in found] == [
        state(s) for s in sorted(expected, key=lambda s: s.starts_at)
    ]
    assert all(not s._state.adding and s._state.db == "default" for s in found)


def test_what_was_selected_along_needs_no_statement(django_assert_num_queries):
    provider = f.UserFactory()
    slot = f.make_slot(f.ResourceFactory(provider=provider))
    (found,) = slots_of().run(resource=slot.resource_id, units=1)

    with django_assert_num_queries(0):
        assert found.resource.name == slot.resource.name
        assert found.resource.provider == provider


def test_a_missing_relation_is_none(django_assert_num_queries):
    slot = f.make_slot()
    (found,) = slots_of().run(resource=slot.resource_id, units=1)

    with django_assert_num_queries(0):
        assert found.resource.provider is None


def test_each_run_has_its_own_values():
    compiled = slots_of()
    small, large = f.make_slot(), f.make_slot(max_bookings=9)

    assert compiled.run(resource=small.resource_id, units=1) == [small]
    assert compiled.run(resource=large.resource_id, units=9) == [large]
    assert compiled.run(resource=small.resource_id, units=9) == []
    assert compiled.first(resource=uuid.uuid4(), units=1) is None


def test_annotations_are_set():
    resource = f.ResourceFactory()
    f.make_slots(resource, 2)
    compiled = Compiled(
        lambda: Resource.objects.annotate(count=Count("slots")).filter(pk=Param("id"))
    )

    found = compiled.first(id=resource.pk)

    assert found == resource
    assert found.count == 2


@pytest.mark.django_db(transaction=True)
def test_a_lock_needs_a_transaction():
    slot = f.make_slot()
    compiled = Compiled(lambda: Slot.objects.select_for_update().filter(pk=Param("id")))

    with transaction.atomic():
        assert compiled.first(id=slot.pk) == slot
    with pytest.raises(TransactionManagementError):
        compiled.first(id=slot.pk)


def test_it_sends_one_statement_with_the_values_in_it():
    slot = f.make_slot()
    with CaptureQueriesContext(connection) as captured:
        slots_of().run(resource=slot.resource_id, units=1)

    (query,) = captured.captured_queries
    assert slot.resource_id.hex in query["sql"]


def test_constants_are_written_into_the_statement_and_percent_signs_survive():
    resource = f.ResourceFactory(name="100 % s%s")
    f.ResourceFactory(name="100 s")
    compiled = Compiled(
        lambda: Resource.objects.filter(
            name__contains="0 % s%", kind="place", organization=Param("organization")
        )
    )

    with CaptureQueriesContext(connection) as captured:
        found = compiled.run(organization=resource.organization_id)

    assert found == [resource]
    assert "'place'" in captured.captured_queries[0]["sql"]


def test_a_statement_that_comes_again_is_kept_by_the_server():
    slot = f.make_slot()
    compiled = slots_of()

    for _ in range(6):
        assert compiled.run(resource=slot.resource_id, units=1) == [slot]

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%max_units%'"
        )
        assert cursor.fetchone()[0] == 1


def test_an_inserted_row_is_what_save_would_have_written():
    slot = f.make_slot()
    fields = {
        "organization_id": slot.organization_id,
        "slot": slot,
        "customer": f.CustomerFactory(organization=slot.resource.organization),
        "held_until": timezone.now() + timedelta(minutes=5),
        "created_at": timezone.now(),
    }
    booking = Booking(**fields)

    insert(booking)

    assert not booking._state.adding
    assert state(Booking.objects.get(pk=booking.pk)) == {
        k: v for k, v in state(booking).items() if k in state(Booking.objects.get(pk=booking.pk))
    }
    slot.refresh_from_db()
    assert slot.taken_bookings == 1


def test_what_the_database_fills_in_is_left_to_it():
    row = IdempotencyKey(
        user_id=uuid.uuid4(), route="r", key="k", request_hash="h", status=200, body="{}"
    )

    insert(row)

    kept = IdempotencyKey.objects.get(key="k")
    assert kept.pk
    assert kept.created_at
    assert kept.headers == {}


def test_a_refused_row_names_its_constraint():
    slot = f.make_slot(max_bookings=1)
    customer = f.CustomerFactory(organization=slot.resource.organization)
    rows = [
        Booking(
            organization_id=slot.organization_id,
            slot=slot,
            customer=customer,
            held_until=timezone.now() + timedelta(minutes=5),
            created_at=timezone.now(),
        )
        for _ in range(2)
    ]
    insert(rows[0])

    with pytest.raises(IntegrityError) as caught, transaction.atomic():
        insert(rows[1])

    assert constraint_name(caught.value) == "bookings_slot_bookings_within_capacity"
    assert Booking.objects.count() == 1


def test_rows_inserted_together_are_what_bulk_create_would_have_written():
    def events(request_id):
        return [
            OutboxEvent(
                kind="booking.confirmed",
                organization_id=organization,
                subject_type="bookings.booking",
                subject_id=str(n),
                payload={"n": n, "text": "“ä”, {x}, \\ and 'y'", "at": moment, "none": None},
                recipients=[{"address": f"{n}@example.com"}] if n else [],
                request_id=request_id,
            )
            for n, organization in enumerate([uuid.uuid4(), None])
        ]

    moment = timezone.now()
    insert_rows(events("mine"))
    OutboxEvent.objects.bulk_create(events("theirs"))

    hidden = {"id", "created_at", "request_id", "organization_id"}
    mine, theirs = (
        [
            {k: v for k, v in row.items() if k not in hidden}
            | {"org": bool(row["organization_id"])}
            for row in OutboxEvent.objects.filter(request_id=who).order_by("subject_id").values()
        ]
        for who in ("mine", "theirs")
    )
    assert mine == theirs
    assert len(mine) == 2
    assert all(e.created_at for e in OutboxEvent.objects.all())


def test_bytes_and_empty_columns_are_inserted_together():
    booking = _free_order().items.get().booking
    nonce = bytes(range(16))
    CheckInCode.objects.filter(booking=booking).delete()

    insert_rows(
        [
            CheckInCode(
                booking=booking,
                nonce=nonce,
                code_hash=b"\x00\xff" * 16,
                created_at=booking.created_at,
            )
        ]
    )

    made = CheckInCode.objects.get(booking=booking)
    assert (bytes(made.nonce), bytes(made.code_hash), made.used_at) == (
        nonce,
        b"\x00\xff" * 16,
        None,
    )


def test_no_rows_are_no_statement(django_assert_num_queries):
    with django_assert_num_queries(0):
        insert_rows([])


def _free_order():
    slot = f.make_slot()
    return f.check_out(f.CustomerFactory(organization=slot.organization), slot, method="free")
