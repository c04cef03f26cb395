"""Races on real connections, each with a control that shows the race without the protection.

Serves A4, A5, A8, B3, B4, B5.
"""

import pytest
from django.utils import timezone

from audit.errors import DomainError
from bookings.models import Slot
from tests import factories as f
from tests.concurrency import lost, race, won

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_last_seat_goes_to_exactly_one():
    slot = f.make_slot(max_bookings=1)
    people = [f.CustomerFactory(organization=slot.organization) for _ in range(8)]

    outcomes = race(*[lambda c=c: f.hold(c, slot) for c in people])

    assert len(won(outcomes)) == 1
    assert {getattr(e, "code", repr(e)) for e in lost(outcomes)} == {"slot_full"}
    slot.refresh_from_db()
    assert (slot.taken_bookings, slot.taken_units) == (1, 1)
    assert all(isinstance(e, DomainError) for e in lost(outcomes))
    assert Slot.objects.count() == 1
    assert timezone.now() < slot.starts_at
