"""The answers at the door (A8)."""

import base64
import zoneinfo
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.utils import timezone

from bookings import codes
from bookings.errors import (
    AlreadyCheckedIn,
    BookingCancelled,
    NotConfirmed,
    UnknownCode,
    WrongDay,
)
from bookings.models import Booking, CheckInCode
from bookings.services import bookings, check_in
from payments.services import cancellation
from tests import factories as f
from tests.invariants import assert_consistent, everything, refusal

pytestmark = pytest.mark.django_db


def confirmed(starts_at=None, *, minutes=60, zone="Europe/Berlin"):
    resource = f.ResourceFactory(time_zone=zone)
    slot = f.make_slot(resource, starts_at=starts_at, minutes=minutes)
    f.check_out(f.CustomerFactory(organization=resource.organization), slot)
    return Booking.objects.select_related("slot", "check_in_code").get()


def code_of(booking):
    return codes.derive(booking.pk, booking.check_in_code.nonce)


def scan(code, *, now, organizations=None):
    return check_in.check_in(code=code, organization_ids=organizations, actor=f.SYSTEM, now=now)


def refuses(error, code, **kwargs):
    with refusal(error) as caught:
        scan(code, **kwargs)
    return caught.value


def test_a_valid_code_lets_in_once_and_says_when_it_was_used():
    booking = confirmed()
    now = booking.slot.starts_at

    assert scan(code_of(booking), now=now).status == "checked_in"
    error = refuses(AlreadyCheckedIn, code_of(booking), now=now + timedelta(minutes=5))

    booking.refresh_from_db()
    assert (booking.status, booking.checked_in_at) == ("checked_in", now)
    assert CheckInCode.objects.get().used_at == now
    assert error.extra["checked_in_at"] == now.isoformat()
    local = timezone.localtime(now, zoneinfo.ZoneInfo("Europe/Berlin"))
    assert f"{local:%H:%M}" in error.detail
    assert_consistent()


@pytest.mark.parametrize(
    "typed", [str.lower, lambda c: f" {c[:13]} {c[13:]}\n", lambda c: "-".join([c[:5], c[5:]])]
)
def test_a_code_may_be_typed_by_hand(typed):
    booking = confirmed()

    assert scan(typed(code_of(booking)), now=booking.slot.starts_at).pk == booking.pk


@pytest.mark.parametrize("code", ["", "x", "A" * 26, "A" * 10_000, "ÄÖÜ€\x00", "' OR 1=1 --"])
def test_a_code_nobody_has_is_unknown(code):
    confirmed()

    refuses(UnknownCode, code, now=timezone.now())


def test_the_code_of_another_organisation_is_unknown():
    booking = confirmed()
    elsewhere = {f.OrganizationFactory().pk}

    refuses(UnknownCode, code_of(booking), now=booking.slot.starts_at, organizations=elsewhere)
    refuses(UnknownCode, code_of(booking), now=booking.slot.starts_at, organizations=set())

    mine = elsewhere | {booking.organization_id}
    scan(code_of(booking), now=booking.slot.starts_at, organizations=mine)


def test_a_cancelled_booking_is_not_let_in():
    booking = confirmed()
    cancellation.cancel_booking(
        booking_id=booking.pk,
        organization_id=booking.organization_id,
        actor=f.SYSTEM,
        reason="ill",
        now=timezone.now(),
    )

    error = refuses(BookingCancelled, code_of(booking), now=booking.slot.starts_at)
    assert "cancelled" in error.detail


@pytest.mark.parametrize("status", ["reschedule_proposed", "no_show"])
def test_a_booking_that_is_in_question_is_not_let_in(status):
    booking = confirmed()
    missed_at = booking.slot.ends_at if status == "no_show" else None
    Booking.objects.update(status=status, missed_at=missed_at)

    refuses(NotConfirmed, code_of(booking), now=booking.slot.starts_at)


def test_a_completed_booking_was_let_in_already():
    booking = confirmed()
    scan(code_of(booking), now=booking.slot.starts_at)
    bookings.complete_bookings(actor=f.SYSTEM, now=booking.slot.ends_at)

    refuses(AlreadyCheckedIn, code_of(booking), now=booking.slot.starts_at)


# The day is the day of the resource


DAYS = [
    # starts (UTC), minutes, zone, scanned (UTC), right day?
    ("2027-01-15 22:30", 60, "Europe/Berlin", "2027-01-14 22:59", False),  # 23:59 the day before
    ("2027-01-15 22:30", 60, "Europe/Berlin", "2027-01-14 23:00", True),  # 00:00 of the day
    ("2027-01-15 22:30", 20, "Europe/Berlin", "2027-01-15 22:59", True),  # 23:59 of the day
    ("2027-01-15 22:30", 20, "Europe/Berlin", "2027-01-15 23:00", False),  # 00:00 the day after
    ("2027-01-15 22:30", 60, "Europe/Berlin", "2027-01-15 23:20", True),  # over midnight
    ("2027-01-15 22:00", 60, "Europe/Berlin", "2027-01-15 23:00", False),  # ends at midnight
    ("2027-01-15 22:30", 20, "America/New_York", "2027-01-16 04:59", True),
    ("2027-01-15 22:30", 20, "America/New_York", "2027-01-16 05:00", False),
    ("2027-01-15 12:00", 20, "Pacific/Kiritimati", "2027-01-15 09:59", False),  # UTC+14
    ("2027-01-15 12:00", 20, "Pacific/Kiritimati", "2027-01-15 10:00", True),
    # The nights on which the clocks of Berlin change: 23 and 25 hours long.
    ("2027-03-28 12:00", 60, "Europe/Berlin", "2027-03-27 22:59", False),
    ("2027-03-28 12:00", 60, "Europe/Berlin", "2027-03-27 23:00", True),
    ("2027-03-28 12:00", 60, "Europe/Berlin", "2027-03-28 21:59", True),
    ("2027-03-28 12:00", 60, "Europe/Berlin", "2027-03-28 22:00", False),
    ("2027-10-31 12:00", 60, "Europe/Berlin", "2027-10-30 21:59", False),
    ("2027-10-31 12:00", 60, "Europe/Berlin", "2027-10-30 22:00", True),
    ("2027-10-31 12:00", 60, "Europe/Berlin", "2027-10-31 22:59", True),
    ("2027-10-31 12:00", 60, "Europe/Berlin", "2027-10-31 23:00", False),
]


@pytest.mark.parametrize(("starts", "minutes", "zone", "scanned", "right"), DAYS)
def test_a_code_is_good_on_its_day_in_the_time_zone_of_the_resource(
    starts, minutes, zone, scanned, right
):
    starts_at = datetime.fromisoformat(starts).replace(tzinfo=UTC)
    now = datetime.fromisoformat(scanned).replace(tzinfo=UTC)
    booking = confirmed(starts_at, minutes=minutes, zone=zone)

    if right:
        scan(code_of(booking), now=now)
    else:
        error = refuses(WrongDay, code_of(booking), now=now)
        assert error.extra["starts_at"] == starts_at.isoformat()


def test_a_wrong_day_says_the_right_one_in_the_words_of_the_resource():
    booking = confirmed(datetime(2027, 7, 1, 22, 30, tzinfo=UTC))

    error = refuses(WrongDay, code_of(booking), now=datetime(2027, 7, 1, 12, 0, tzinfo=UTC))

    assert "Friday, 02 July 2027 at 00:30" in error.detail


# Codes


def test_a_code_has_a_hundred_and_thirty_bits_and_is_not_in_the_database():
    booking = confirmed()
    code = code_of(booking)

    assert len(code) == 26
    base64.b32decode(code + "=" * 6)
    assert not any(code in row or code.lower() in row for t in everything().values() for row in t)


def test_codes_of_another_key_are_worthless(settings):
    booking = confirmed()
    code = code_of(booking)
    settings.CHECK_IN_KEY = "another key"

    assert code_of(booking) != code


def test_every_booking_has_a_code_of_its_own():
    resource = f.ResourceFactory()
    f.check_out(f.CustomerFactory(organization=resource.organization), *f.make_slots(resource, 20))

    found = {code_of(b) for b in Booking.objects.select_related("check_in_code")}
    assert len(found) == 20


@pytest.mark.parametrize("draw", [codes.qr_svg, codes.qr_png])
def test_a_code_is_drawn(draw):
    image = draw("A" * 26)

    assert image.startswith((b"<svg", b"\x89PNG"))


def test_the_clock_of_the_machine_does_not_matter():
    booking = confirmed()

    with time_machine.travel(datetime(2020, 1, 1, tzinfo=UTC), tick=False):
        scan(code_of(booking), now=booking.slot.starts_at)


def test_a_provider_lets_in_who_comes_to_them_and_nobody_else():
    provider = f.MembershipFactory(role="provider")
    organization = provider.organization
    mine = f.ResourceFactory(organization=organization, provider=provider.user)
    other = f.ResourceFactory(organization=organization)
    customer = f.CustomerFactory(organization=organization)
    now = timezone.now()
    start = now + timedelta(minutes=5)
    my_booking, other_booking = (
        f.check_out(customer, f.make_slot(r, starts_at=start), method="free").items.get().booking
        for r in (mine, other)
    )

    def scan(booking):
        code = codes.derive(booking.pk, CheckInCode.objects.get(booking=booking).nonce)
        return check_in.check_in(
            code=code,
            organization_ids={organization.pk},
            own_only=True,
            actor=f.actor_of(provider),
            now=start,
        )

    assert scan(my_booking).status == "checked_in"
    with refusal(UnknownCode):
        scan(other_booking)
    other_booking.refresh_from_db()
    assert other_booking.status == "confirmed"
