"""Queries compiled once find what their querysets find (B12, C9)."""

from __future__ import annotations

import uuid

import pytest
from django.db import connection, transaction
from django.db.models import Count
from django.db.transaction import TransactionManagementError
from django.test.utils import CaptureQueriesContext

from audit.compiled import Compiled, Param
from bookings.models import Resource, Slot
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
