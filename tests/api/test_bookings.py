"""Bookings over HTTP: follow, book directly, cancel, take along. Serves A7, A8, B11, F2."""

from __future__ import annotations

import io
from datetime import timedelta

import icalendar
import pytest
import time_machine
from PIL import Image

from audit.models import IdempotencyKey
from bookings.models import Booking, Slot
from payments.models import CartItem, CartTransaction, PaymentPolicy
from tests import factories as f
from tests.api.client import new_key
from tests.api.world import booking_of, code_of

pytestmark = pytest.mark.django_db


def listed(client, **query):
    answer = client.get("bookings/", query=query)
    assert answer.status == 200, answer
    return {b["id"] for b in answer.data["results"]}


def test_staff_see_all_providers_their_resources_and_customers_their_own(world):
    mine = world.here.hold()
    other = f.CustomerFactory(organization=world.here.organization)
    theirs = f.hold(other, world.here.slot(resource=world.here.free_resource))
    provider = world.here.staff("provider")
    world.here.free_resource.provider = provider.user
    world.here.free_resource.save()

    assert listed(world.here.as_customer()) == {str(mine.pk)}
    assert listed(world.here.client(other)) == {str(theirs.pk)}
    assert listed(world.here.as_role("front_desk")) == {str(mine.pk), str(theirs.pk)}
    assert listed(world.here.client(provider)) == {str(theirs.pk)}
    assert listed(world.here.as_stranger()) == set()


def test_bookings_are_filtered_by_status_and_start(world):
    pending, held = booking_of(world.here.transaction()), world.here.hold()
    client = world.here.as_customer()

    assert listed(client, status="held") == {str(held.pk)}
    assert listed(client, status="held,pending") == {str(held.pk), str(pending.pk)}
    assert listed(client, **{"from": held.slot.starts_at.isoformat()}) == {str(held.pk)}
    assert listed(client, to=held.slot.starts_at.isoformat()) == {str(pending.pk)}


@pytest.mark.parametrize(
    "query", [{"status": "lost"}, {"from": "\x00"}, {"to": "then"}, {"customer": "x"}]
)
def test_a_filter_that_cannot_be_is_refused(world, query):
    answer = world.here.as_customer().get("bookings/", query=query)

    assert answer.problem() == (400, "invalid")
    assert list(answer.data["errors"]) == list(query)


def test_a_booking_says_where_it_stands(world):
    booking = world.here.confirmed()

    answer = world.here.as_customer().get(f"bookings/{booking.pk}/")

    booking.refresh_from_db()
    assert answer.headers["ETag"] == f'"v{booking.version}"'
    assert answer.data["status"] == "confirmed"
    assert answer.data["check_in_code"] == code_of(booking)
    assert answer.data["slot"]["id"] == str(booking.slot_id)
    assert (answer.data["amount"], answer.data["currency"]) == ("20.00", "EUR")
    assert answer.data["transaction"] == str(booking.cart_item.transaction_id)


# -- booking directly ---------------------------------------------------------------------------


def test_what_is_free_is_booked_at_once(world):
    slot = world.here.slot(resource=world.here.free_resource)

    answer = world.here.as_stranger().post(
        "bookings/", {"slot": str(slot.pk), "payment_method": "free"}, key=new_key()
    )

    assert answer.status == 201, answer
    assert answer.data["status"] == "confirmed"
    assert CartTransaction.objects.get().status == "approved"


def test_the_answer_that_is_kept_under_a_key_has_no_code_in_it(world):
    slot = world.here.slot(resource=world.here.free_resource)
    client = world.here.as_customer()

    made = client.post("bookings/", {"slot": str(slot.pk), "payment_method": "free"}, key=new_key())

    assert made.data["check_in_code"] is None
    code = client.get(f"bookings/{made.data['id']}/").data["check_in_code"]
    assert code == code_of(Booking.objects.select_related("check_in_code").get())
    assert code not in IdempotencyKey.objects.get().body


@pytest.mark.parametrize("at_once", [False, True])
def test_pay_on_arrival_waits_for_staff_unless_the_organisation_says_otherwise(world, at_once):
    PaymentPolicy.objects.create(
        organization=world.here.organization, confirms_pay_on_arrival=at_once
    )
    slot = world.here.slot()
    client = world.here.as_customer()

    answer = client.post("bookings/", {"slot": str(slot.pk), "payment_method": "pay_on_arrival"})

    assert answer.data["status"] == ("confirmed" if at_once else "pending")
    read = client.get(f"bookings/{answer.data['id']}/")
    assert read.data == answer.data | {"check_in_code": read.data["check_in_code"]}
    assert bool(read.data["check_in_code"]) == at_once
    assert read.headers["ETag"] == answer.headers["ETag"]
    assert CartTransaction.objects.get().payment_status == "pending"


@pytest.mark.parametrize("method", [None, "", "cash", 1, []])
def test_a_direct_booking_needs_a_way_to_pay(world, method):
    slot = world.here.slot()

    answer = world.here.as_customer().post(
        "bookings/", {"slot": str(slot.pk), "payment_method": method}
    )

    assert answer.problem() == (400, "invalid")
    assert not Booking.objects.exists()


# -- cancelling ---------------------------------------------------------------------------------


def cancel(client, booking, if_match="*", reason="Ill", **kwargs):
    headers = {"If-Match": if_match} if if_match else {}
    path = f"bookings/{booking.pk}/cancel/"
    return client.post(path, {"reason": reason}, headers=headers, **kwargs)


def test_a_cancelled_booking_takes_its_item_and_the_last_one_its_transaction(world):
    transaction = world.here.transaction(2)
    client = world.here.as_customer()
    first, second = Booking.objects.order_by("pk")

    assert cancel(client, first).data["status"] == "cancelled"
    transaction.refresh_from_db()
    assert transaction.status == "pending"
    assert cancel(client, second).data["status"] == "cancelled"

    transaction.refresh_from_db()
    assert transaction.status == "cancelled"
    assert set(CartItem.objects.values_list("status", flat=True)) == {"cancelled"}
    assert set(Slot.objects.values_list("taken_bookings", flat=True)) == {0}


def test_cancelling_what_is_in_the_cart_takes_it_out(world):
    booking = world.here.hold()
    client = world.here.as_customer()

    assert cancel(client, booking).status == 200

    assert client.get("cart/").data["items"] == []


def test_the_answer_is_what_is_read_afterwards(world):
    booking = booking_of(world.here.transaction())
    client = world.here.as_customer()

    answer = cancel(client, booking, f'"v{booking.version}"')

    read = client.get(f"bookings/{booking.pk}/")
    assert answer.data == read.data
    assert answer.headers["ETag"] == read.headers["ETag"]
    assert answer.data["ended_reason"] == "Ill"


def test_cancelling_asks_which_version_was_read(world):
    booking = booking_of(world.here.transaction())

    answer = cancel(world.here.as_customer(), booking, if_match="")

    assert answer.problem() == (428, "precondition_required")
    booking.refresh_from_db()
    assert booking.status == "pending"


def test_a_stale_cancellation_is_refused_and_changes_nothing(world):
    transaction, _ = world.here.submitted()
    booking = booking_of(transaction)
    seen = f'"v{booking.version}"'
    f.approve(transaction)

    answer = cancel(world.here.as_customer(), booking, seen)

    assert answer.problem() == (412, "stale_version")
    booking.refresh_from_db()
    assert booking.status == "confirmed"
    assert answer.data["current_version"] == booking.version


@pytest.mark.parametrize("if_match", ["v1", '"1"', '"v1", "v2"', 'W/"v1"', '"v"', '"v99999999999"'])
def test_an_if_match_that_is_no_etag_of_ours_is_refused(world, if_match):
    booking = booking_of(world.here.transaction())

    assert cancel(world.here.as_customer(), booking, if_match).problem() == (400, "invalid")


@pytest.mark.parametrize("reason", [None, "", 1, "x" * 1_001, "\x00"])
def test_cancelling_needs_a_reason(world, reason):
    booking = booking_of(world.here.transaction())

    answer = cancel(world.here.as_customer(), booking, reason=reason)

    assert answer.problem() == (400, "invalid")
    assert list(answer.data["errors"]) == ["reason"]
    booking.refresh_from_db()
    assert booking.status == "pending"


def test_once_it_has_started_only_staff_cancel(world):
    booking = world.here.confirmed()
    customer, staff = world.here.as_customer(), world.here.as_role("front_desk")

    with time_machine.travel(booking.slot.starts_at + timedelta(minutes=1), tick=False):
        assert cancel(customer, booking).problem() == (409, "booking_over")
        assert cancel(staff, booking).status == 200


def test_staff_without_the_right_cancel_their_own_as_customers_do(world):
    booking = world.here.confirmed()
    f.MembershipFactory(
        organization=world.here.organization, user=booking.customer.user, role="provider"
    )

    with time_machine.travel(booking.slot.starts_at + timedelta(minutes=1), tick=False):
        assert cancel(world.here.as_customer(), booking).problem() == (409, "booking_over")


# -- to take along ------------------------------------------------------------------------------


def test_the_qr_code_is_a_picture_of_the_code(world):
    booking = world.here.confirmed()
    client = world.here.as_customer()

    svg = client.get(f"bookings/{booking.pk}/qr.svg", headers={"Accept": "image/svg+xml"})
    png = client.get(f"bookings/{booking.pk}/qr.png", headers={"Accept": "image/*"})

    assert svg.headers["Content-Type"] == "image/svg+xml"
    assert svg.body.startswith(b"<svg")
    assert png.headers["Content-Type"] == "image/png"
    assert Image.open(io.BytesIO(png.body)).size[0] > 200
    for answer in (svg, png):
        assert answer.headers["Cache-Control"] == "private, no-store"


def test_staff_have_no_qr_code_of_others(world):
    booking = world.here.confirmed()

    for name in ("qr.svg", "qr.png", "calendar.ics"):
        answer = world.here.as_role("owner").get(f"bookings/{booking.pk}/{name}")
        assert answer.problem() == (404, "not_found")


def test_the_calendar_file_has_one_event_that_keeps_its_uid(world):
    transaction = world.here.transaction()
    booking = booking_of(transaction)
    client = world.here.as_customer()
    path = f"bookings/{booking.pk}/calendar.ics"

    before = client.get(path)
    f.submit_proof(transaction)
    f.approve(transaction)
    after = client.get(path)

    [first] = icalendar.Calendar.from_ical(before.body).walk("VEVENT")
    [second] = icalendar.Calendar.from_ical(after.body).walk("VEVENT")
    assert str(first["UID"]) == str(second["UID"]) == f"{booking.pk}@holdfast"
    assert (str(first["STATUS"]), str(second["STATUS"])) == ("TENTATIVE", "CONFIRMED")
    assert second.decoded("sequence") > first.decoded("sequence")
    assert second.decoded("dtstart") == booking.slot.starts_at
    assert second.decoded("dtend") == booking.slot.ends_at
    assert "attachment" in after.headers["Content-Disposition"]
