"""What can be waited for (A5, B1)."""

from __future__ import annotations

import pytest

from bookings.errors import TooFarAhead, TooSoon
from tests.factories import ResourceFactory, make_slot, soon
from tests.invariants import refusal
from tests.waitlist.line import full_slot, join, window
from waitlist.errors import SeatsAvailable

pytestmark = pytest.mark.django_db


def test_a_window_is_judged_by_what_can_be_booked_in_it() -> None:
    """A slot too near to be booked, and one too far ahead, neither forbid to wait nor are room."""
    resource = ResourceFactory(notice_minutes=60 * 24, horizon_days=5)
    make_slot(resource, starts_at=soon(12))
    make_slot(resource, starts_at=soon(24 * 6))
    full_slot(resource, starts_at=soon(60))

    assert join(window(resource)).position == 1

    make_slot(resource, starts_at=soon(61))
    with refusal(SeatsAvailable):
        join(window(resource))


@pytest.mark.parametrize(("hours", "refused"), [(12, TooSoon), (24 * 6, TooFarAhead)])
def test_nobody_waits_for_a_window_in_which_nothing_can_be_booked(
    hours: int, refused: type[Exception]
) -> None:
    resource = ResourceFactory(notice_minutes=60 * 24, horizon_days=5)
    make_slot(resource, starts_at=soon(hours))

    with refusal(refused):
        join(window(resource))
