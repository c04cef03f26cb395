"""The whole life of bookings, over HTTP, with everything running (A1 to A8, A13, B4, B9, D7, F2).

After each step every check finds nothing.
"""

import uuid
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from bookings.models import Booking
from payments.models import CartItem, CartTransaction
from tests import factories as f
from tests.invariants import assert_consistent
from tests.journeys.people import (
    add,
    all_at_once,
    check_out,
    crowd,
    customer_of,
    nothing_is_owed,
    staff_of,
    upload,
)
from tests.journeys.system import Person, eventually, noon_zone
from waitlist.models import Offer

pytestmark = [
    pytest.mark.system,
    pytest.mark.xdist_group("system"),
    pytest.mark.django_db(transaction=True),
]


def soon_today(resource):
    return f.make_slot(resource, starts_at=timezone.now() + timedelta(minutes=30), max_bookings=3)


@pytest.fixture(autouse=True)
def nothing_goes_wrong_that_nobody_notices(system):
    """No process logs an error, every mail that is owed is sent, and none twice."""
    before = len(system.errors())
    system.mail.forget()
    yield
    eventually(nothing_is_owed)
    assert system.errors()[before:] == []
    assert set(system.mail.ids().values()) <= {1}


def one_mail(system, person, words):
    """The mail with these words in its subject; there is exactly one."""
    (found,) = eventually(
        lambda: [m for m in system.mail.to(person.email) if words in m["subject"].lower()]
    )
    return found


def text(mail):
    return mail.get_body(("plain",)).get_content()


def test_from_sign_up_to_the_end_of_the_visit(system, shop):
    today, later = soon_today(shop), f.make_slot(shop, starts_at=f.soon(48))
    customer = Person(system, shop.organization.slug)
    customer.email = f"{uuid.uuid4().hex}@example.com"
    customer.sign("signup", customer.email, f.PASSWORD)

    # The cart
    listed = customer.get("slots/", resource=str(shop.pk))["results"]
    assert {s["id"] for s in listed} == {str(today.pk), str(later.pk)}
    assert "hold_expires_at" in add(customer, today, units=2)
    add(customer, later)
    assert len(customer.get("cart/")["items"]) == 2
    assert_consistent()

    # Checkout
    order = customer.did("cart/checkout/", {"payment_method": "pay_now"})
    assert (order["status"], order["amount"]) == ("pending", "40.00")
    assert_consistent()

    # Proof
    upload(customer, order)
    order = customer.get(f"transactions/{order['id']}/")
    assert order["status"] == "under_review"
    assert_consistent()

    # Approval
    reviewer = staff_of(system, shop, "reviewer")
    assert reviewer.did(f"transactions/{order['id']}/approve/")["status"] == "approved"
    order = customer.get(f"transactions/{order['id']}/")
    assert (order["status"], order["payment_status"]) == ("approved", "paid")
    assert {b["status"] for b in order["bookings"]} == {"confirmed"}
    one_mail(system, customer, "is confirmed")
    assert_consistent()

    # The code
    booking = next(b for b in order["bookings"] if b["slot"]["id"] == str(today.pk))
    qr = customer.http.get(f"bookings/{booking['id']}/qr.svg")
    assert qr.headers["content-type"].startswith("image/svg")
    code = customer.get(f"bookings/{booking['id']}/")["check_in_code"]

    # The door
    desk = staff_of(system, shop, "front_desk")
    assert desk.did("check-ins/", {"code": code})["status"] == "checked_in"
    assert desk.refused("check-ins/", {"code": code}) == (409, "already_checked_in")
    other = next(b for b in order["bookings"] if b["slot"]["id"] == str(later.pk))
    assert desk.refused("check-ins/", {"code": other["check_in_code"]}) == (409, "wrong_day")
    assert_consistent()

    # The end
    move_into_the_past(today)
    eventually(lambda: Booking.objects.get(pk=booking["id"]).status == "completed")
    assert_consistent()


def move_into_the_past(slot):
    """Let the time of a slot pass; its people would keep it from moving otherwise."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tgname FROM pg_trigger WHERE tgrelid = 'bookings_slot'::regclass"
            " AND tgname LIKE 'pgtrigger_keep_promises_%'"
        )
        (name,) = cursor.fetchone()
        cursor.execute(
            f'BEGIN; ALTER TABLE bookings_slot DISABLE TRIGGER "{name}";'
            " UPDATE bookings_slot SET starts_at = starts_at - interval '1 day',"
            "  ends_at = ends_at - interval '1 day', busy_from = busy_from - interval '1 day',"
            f"  busy_until = busy_until - interval '1 day' WHERE id = '{slot.pk}';"
            f' ALTER TABLE bookings_slot ENABLE TRIGGER "{name}"; COMMIT'
        )


def test_a_rejection_with_a_reason_gives_the_seats_to_the_next(system, shop):
    slot = f.make_slot(shop)
    customer, next_one = customer_of(system, shop), customer_of(system, shop)
    order = check_out(customer, slot)
    upload(customer, order)
    assert next_one.refused("cart/items/", {"slot": str(slot.pk)}) == (409, "slot_full")

    staff = staff_of(system, shop, "reviewer")
    assert staff.refused(f"transactions/{order['id']}/reject/", {"reason": " "})[0] == 400
    staff.did(f"transactions/{order['id']}/reject/", {"reason": "No such transfer arrived."})

    add(next_one, slot)
    assert "No such transfer arrived." in text(one_mail(system, customer, "could not be confirmed"))
    assert_consistent()


def test_a_hold_ends_by_itself(system, shop):
    slot = f.make_slot(shop)
    customer = customer_of(system, shop)
    add(customer, slot)
    booking = Booking.objects.get(slot=slot)

    Booking.objects.update(held_until=timezone.now())

    eventually(lambda: Booking.objects.get(pk=booking.pk).status == "expired")
    slot.refresh_from_db()
    assert slot.taken_bookings == 0
    assert customer.get("cart/")["items"] == []
    assert customer.refused("cart/checkout/", {"payment_method": "pay_now"}) == (409, "cart_empty")
    line = Booking.history.filter(id=booking.pk).latest()
    assert (line.actor_kind, line.actor_label) == ("system", "hold expiry")
    assert_consistent()


def test_what_is_paid_on_arrival_is_approved_and_paid_at_the_desk(system, shop):
    customer, desk = customer_of(system, shop), staff_of(system, shop)
    order = check_out(customer, soon_today(shop), method="pay_on_arrival")

    desk.did(f"transactions/{order['id']}/approve/")
    code = customer.get(f"transactions/{order['id']}/")["bookings"][0]["check_in_code"]
    desk.did("check-ins/", {"code": code})
    paid = desk.did(f"transactions/{order['id']}/take-payment/")

    assert (paid["status"], paid["payment_status"]) == ("approved", "paid")
    assert desk.refused(f"transactions/{order['id']}/take-payment/")[1] == "not_payable"
    assert_consistent()


def test_what_is_free_is_confirmed_at_once(system):
    resource = f.ResourceFactory(time_zone=noon_zone())
    customer, desk = customer_of(system, resource), staff_of(system, resource, "front_desk")

    order = check_out(customer, soon_today(resource), method="free")

    assert (order["status"], order["payment_method"]) == ("approved", "free")
    one_mail(system, customer, "is confirmed")
    booking = customer.get(f"bookings/{order['bookings'][0]['id']}/")
    desk.did("check-ins/", {"code": booking["check_in_code"]})
    assert_consistent()


def test_whoever_waits_in_line_gets_what_another_gives_back(system, shop):
    slot = f.make_slot(shop, starts_at=f.soon(48))
    first, second, third = (customer_of(system, shop) for _ in range(3))
    order = check_out(first, slot, method="pay_on_arrival")

    # The slot is full, and says that there is a line
    refused = second.post("cart/items/", {"slot": str(slot.pk)})
    assert (refused.status_code, refused.json()["code"]) == (409, "slot_full")
    assert refused.json()["waitlist"] is True
    entry = second.did("waitlist/", {"slot": str(slot.pk)})
    assert (entry["status"], entry["position"]) == ("waiting", 1)
    assert third.did("waitlist/", {"slot": str(slot.pk)})["position"] == 2
    assert second.refused("waitlist/", {"slot": str(slot.pk)}) == (409, "already_waiting")
    assert "You are 1st in line." in text(one_mail(system, second, "waitlist"))
    assert_consistent()

    # A seat comes free: it is theirs, and nobody else's
    booking = order["bookings"][0]["id"]
    etag = first.http.get(f"bookings/{booking}/").headers["ETag"]
    first.http.post(
        f"bookings/{booking}/cancel/", json={"reason": "ill"}, headers={"If-Match": etag}
    ).raise_for_status()
    entry = second.get(f"waitlist/{entry['id']}/")
    assert (entry["status"], entry["offer"]["price"]) == ("offered", "20.00")
    assert entry["offer"]["slot"]["id"] == str(slot.pk)
    assert "Please answer until" in text(one_mail(system, second, "free for you"))
    assert first.refused("cart/items/", {"slot": str(slot.pk)}) == (409, "slot_full")
    assert third.refused(f"waitlist/{entry['id']}/accept/") == (404, "not_found")
    assert [e["position"] for e in third.get("waitlist/")["results"]] == [1]
    assert_consistent()

    # Accepted, checked out, paid on arrival
    accepted = second.did(f"waitlist/{entry['id']}/accept/")
    assert accepted["status"] == "accepted"
    assert accepted["item"]["hold_expires_at"] == entry["offer"]["answer_until"]
    assert_consistent()
    order = second.did("cart/checkout/", {"payment_method": "pay_on_arrival"})
    assert order["bookings"][0]["id"] == accepted["booking"]
    assert_consistent()
    desk = staff_of(system, shop)
    assert desk.did(f"transactions/{order['id']}/approve/")["status"] == "approved"
    desk.did(f"transactions/{order['id']}/take-payment/")
    assert second.get(f"waitlist/{entry['id']}/")["status"] == "fulfilled"
    assert_consistent()


def test_an_offer_that_nobody_answers_goes_to_the_next(system):
    resource = f.ResourceFactory(time_zone=noon_zone())
    slot = f.make_slot(resource, starts_at=f.soon(48))
    first, second, third = (customer_of(system, resource) for _ in range(3))
    order = check_out(first, slot, method="free")
    entries = [p.did("waitlist/", {"slot": str(slot.pk)}) for p in (second, third)]
    etag = first.http.get(f"transactions/{order['id']}/").headers["ETag"]
    first.http.post(
        f"transactions/{order['id']}/cancel/", json={"reason": "ill"}, headers={"If-Match": etag}
    ).raise_for_status()
    offer = second.get(f"waitlist/{entries[0]['id']}/")["offer"]

    Offer.objects.filter(booking=offer["booking"]).update(expires_at=timezone.now())
    Booking.objects.filter(pk=offer["booking"]).update(held_until=timezone.now())

    eventually(lambda: third.get(f"waitlist/{entries[1]['id']}/")["status"] == "offered")
    assert second.get(f"waitlist/{entries[0]['id']}/")["status"] == "expired"
    assert second.refused(f"waitlist/{entries[0]['id']}/accept/") == (409, "no_offer")
    one_mail(system, second, "no longer held")
    booked = third.did(f"waitlist/{entries[1]['id']}/accept/")
    assert (booked["status"], booked["transaction"]["status"]) == ("fulfilled", "approved")
    one_mail(system, third, "is confirmed")
    assert_consistent()


def test_bookings_are_cancelled_one_by_one_and_the_last_takes_the_order_along(system, shop):
    customer = customer_of(system, shop)
    order = check_out(customer, *f.make_slots(shop, 3))
    upload(customer, order)

    for number, booking in enumerate(order["bookings"], start=1):
        etag = customer.http.get(f"bookings/{booking['id']}/").headers["ETag"]
        answer = customer.http.post(
            f"bookings/{booking['id']}/cancel/",
            json={"reason": "ill"},
            headers={"If-Match": etag},
        )
        assert answer.status_code == 200, answer.text
        status = customer.get(f"transactions/{order['id']}/")["status"]
        assert status == ("cancelled" if number == 3 else "under_review")
        assert_consistent()

    eventually(
        lambda: (
            len([m for m in system.mail.to(customer.email) if "cancel" in m["subject"].lower()])
            >= 3
        )
    )


def test_of_eight_staff_who_approve_at_once_one_does_and_one_mail_goes_out(system, shop):
    customer = customer_of(system, shop)
    order = check_out(customer, *f.make_slots(shop, 3))
    upload(customer, order)
    staff = [staff_of(system, shop, "reviewer") for _ in range(8)]

    answers = all_at_once(
        [lambda s=s: s.post(f"transactions/{order['id']}/approve/") for s in staff], 8
    )

    assert sorted(a.status_code for a in answers) == [200] + [409] * 7
    assert {a.json()["code"] for a in answers if a.status_code == 409} == {"already_decided"}
    mail = one_mail(system, customer, "is confirmed")
    eventually(nothing_is_owed)
    assert one_mail(system, customer, "is confirmed") is mail
    assert_consistent()


def test_of_four_hundred_who_want_fifty_seats_fifty_get_one(system, shop):
    slot = f.make_slot(shop, max_bookings=50)
    people = crowd(system, shop, 400)

    answers = all_at_once(
        [lambda p=p: p.post("cart/items/", {"slot": str(slot.pk), "units": 1}) for p in people], 32
    )

    codes = [a.status_code for a in answers]
    assert (codes.count(201), codes.count(409), len(codes)) == (50, 350, 400)
    assert {a.json()["code"] for a in answers if a.status_code == 409} == {"slot_full"}
    slot.refresh_from_db()
    assert (slot.taken_bookings, slot.taken_units) == (50, 50)
    assert Booking.objects.filter(slot=slot, status="held").count() == 50
    assert_consistent()

    lucky = [p for p, a in zip(people, answers, strict=True) if a.status_code == 201]
    done = all_at_once(
        [lambda p=p: p.post("cart/checkout/", {"payment_method": "pay_now"}) for p in lucky], 16
    )
    assert {a.status_code for a in done} == {201}
    assert CartTransaction.objects.filter(items__booking__slot=slot).count() == 50
    for person in people:
        person.http.close()
    assert_consistent()


def test_a_request_that_is_sent_eight_times_has_one_effect(system, shop):
    slot = f.make_slot(shop, max_bookings=9)
    customer = customer_of(system, shop)
    add(customer, f.make_slot(shop, starts_at=f.soon(90)))
    key = uuid.uuid4().hex

    answers = all_at_once(
        [lambda: customer.post("cart/items/", {"slot": str(slot.pk)}, key=key)] * 8, 8
    )

    made = {a.text for a in answers if a.status_code == 201}
    assert len(made) == 1
    assert {a.json()["code"] for a in answers if a.status_code != 201} <= {
        "idempotency_in_progress"
    }
    assert CartItem.objects.filter(booking__slot=slot).count() == 1
    again = customer.post("cart/items/", {"slot": str(slot.pk)}, key=key)
    assert (again.status_code, again.headers["Idempotent-Replay"]) == (201, "true")
    assert again.text in made
    assert_consistent()
