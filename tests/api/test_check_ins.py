"""Checking people in over HTTP. Serves A8; promise 19."""

from __future__ import annotations

import pytest

from bookings.models import Booking
from tests.api.client import new_key
from tests.api.world import booking_of, code_of

pytestmark = pytest.mark.django_db


def scan(place, code, **kwargs):
    return place.as_role("front_desk").post("check-ins/", {"code": code}, **kwargs)


def test_a_valid_code_checks_in(world):
    booking = world.here.confirmed_today()

    answer = scan(world.here, code_of(booking))

    assert answer.status == 200, answer
    assert answer.data["status"] == "checked_in"
    assert answer.data["booking"]["status"] == "checked_in"
    assert answer.data["booking"]["check_in_code"] is None
    booking.refresh_from_db()
    assert booking.status == "checked_in"
    assert booking.checked_in_at is not None
    assert answer.headers["ETag"] == f'"v{booking.version}"'


def test_a_code_may_be_typed_with_spaces_dashes_and_small_letters(world):
    code = code_of(world.here.confirmed_today()).lower()
    typed = "-".join(code[n : n + 5] for n in range(0, 26, 5)).replace("-", " - ")

    assert scan(world.here, typed).status == 200


def test_the_second_scan_says_when_the_first_was(world):
    booking = world.here.confirmed_today()
    scan(world.here, code_of(booking))

    answer = scan(world.here, code_of(booking))

    booking.refresh_from_db()
    assert answer.problem() == (409, "already_checked_in")
    assert answer.data["checked_in_at"] == booking.checked_in_at.isoformat()
    assert answer.data["reference"] == booking.reference


def test_a_repeated_scan_with_its_key_is_the_same_success(world):
    code, key = code_of(world.here.confirmed_today()), new_key()
    client = world.here.as_role("front_desk")

    first = client.post("check-ins/", {"code": code}, key=key)
    second = client.post("check-ins/", {"code": code}, key=key)

    assert first.status == second.status == 200
    assert second.body == first.body


@pytest.mark.parametrize(
    "body",
    [{}, {"code": None}, {"code": ""}, {"code": 1}, {"code": []}, {"code": "x" * 65}]
    + [{"code": c} for c in ("\x00" * 26, "A\ud800", "é\x00")],
)
def test_a_bad_code_is_refused(world, body):
    answer = world.here.as_role("front_desk").post("check-ins/", body)

    assert answer.problem() == (400, "invalid")
    assert list(answer.data["errors"]) == ["code"]


@pytest.mark.parametrize("code", ["A" * 26, "é", "'; --", "-" * 20, "🎾"])
def test_any_other_code_is_unknown(world, code):
    world.here.confirmed_today()

    assert scan(world.here, code).problem() == (404, "unknown_code")
    assert not Booking.objects.filter(status="checked_in").exists()


def test_a_customer_cannot_even_try_codes(world):
    code = code_of(world.here.confirmed_today())

    answer = world.here.as_customer().post("check-ins/", {"code": code})

    assert answer.problem() == (403, "permission_denied")


def test_a_pending_booking_has_no_code_to_scan(world):
    assert not hasattr(booking_of(world.here.transaction()), "check_in_code")
