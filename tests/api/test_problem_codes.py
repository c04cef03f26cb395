"""Every problem code an operation declares of its own can be provoked, and changes nothing.

Serves F2. The codes that every operation has are in ``test_operations.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from unittest import mock

import pytest
import time_machine
from django.utils import timezone

from bookings.models import Booking, Organization, Resource, Series, Slot
from bookings.services import slots as slot_services
from config.schema import ALWAYS, WITH_BODY, WITH_KEY
from payments.models import CartTransaction, PaymentPolicy, Proof, Refund
from payments.services import cancellation, carts, refunds
from tests import factories as f
from tests.api.client import Answer, Client
from tests.api.operations import EXAMPLES, codes_of, operations
from tests.api.test_reschedule import court_booking, free_time
from tests.api.world import Place, booking_of, code_of
from tests.payments import money as m
from tests.waitlist import line as in_line
from waitlist.models import WaitlistEntry
from waitlist.services import joining, serving

pytestmark = pytest.mark.django_db
COMMON = {*ALWAYS, *WITH_BODY, *WITH_KEY, "stale_version", "precondition_required"}
SPECIAL = {(name, code) for name in operations() for code in codes_of(name) if code not in COMMON}
PROVOKED: dict[tuple[str, str], Callable[[Place], Answer]] = {}


def provokes(code: str, *names: str):
    def register(build):
        for name in names:
            PROVOKED[name, code] = partial(build, name=name)
        return build

    return register


def unchanged(send: Callable[[], Answer]) -> Answer:
    """Send something that is refused, and see that it changed nothing."""

    def state():
        return (
            list(Booking.objects.order_by("pk").values_list("pk", "status", "version")),
            list(Slot.objects.order_by("pk").values_list("pk", "taken_bookings", "taken_units")),
            list(CartTransaction.objects.order_by("pk").values_list("pk", "status", "version")),
            Proof.objects.count(),
            list(Refund.objects.order_by("pk").values_list("pk", "status", "verified")),
            list(WaitlistEntry.objects.order_by("pk").values_list("pk", "status", "version")),
        )

    before = state()
    answer = send()
    assert answer.status >= 400
    assert state() == before
    return answer


def cancel(booking: Booking) -> Booking:
    return cancellation.cancel_booking(
        booking_id=booking.pk,
        organization_id=booking.organization_id,
        actor=f.SYSTEM,
        reason="Ill",
        now=timezone.now(),
    )


def take(place: Place, slot: Slot) -> Answer:
    return place.as_customer().post("cart/items/", {"slot": str(slot.pk)})


def book(place: Place, slot: Slot, method: str = "pay_on_arrival") -> Answer:
    body = {"slot": str(slot.pk), "payment_method": method}
    return place.as_customer().post("bookings/", body)


SLOT_USERS = {"add_to_cart": take, "book": book}


@provokes("slot_full", *SLOT_USERS)
def slot_full(place, name):
    slot = place.slot()
    f.hold(f.CustomerFactory(organization=place.organization), slot)
    answer = unchanged(lambda: SLOT_USERS[name](place, slot))
    assert answer.data["waitlist"] is True
    return answer


def while_the_line_cannot_be_settled(place: Place, send: Callable[[Slot], Answer]) -> Answer:
    """In a slot with a line and a seat that nobody has offered yet."""
    slot, _ = place.full_slot()
    in_line.join(slot)
    Resource.objects.filter(pk=slot.resource_id).update(most_live_bookings=50)
    Slot.objects.filter(pk=slot.pk).update(max_bookings=2, max_units=2)  # past the services
    with mock.patch.object(serving, "MOST_TRIES", 1):  # as if somebody changed it all the time
        return send(slot)


@provokes("line_first", *SLOT_USERS)
def line_that_cannot_be_settled(place, name):
    return while_the_line_cannot_be_settled(
        place, lambda slot: unchanged(lambda: SLOT_USERS[name](place, slot))
    )


@provokes("slot_gone", *SLOT_USERS)
def slot_gone(place, name):
    slot = place.slot()
    slot_services.close_slots(slot_ids=[slot.pk], actor=f.SYSTEM, reason="", now=timezone.now())
    return unchanged(lambda: SLOT_USERS[name](place, slot))


@provokes("resource_taken", *SLOT_USERS)
def resource_taken(place, name):
    doctor = f.ResourceFactory(organization=place.organization, exclusive=True)
    start = f.soon()
    slot = f.make_slot(doctor, starts_at=start)
    rival = f.make_slot(doctor, starts_at=start + timedelta(minutes=30))
    f.hold(f.CustomerFactory(organization=place.organization), rival)
    f.PriceFactory(resource=doctor)
    return unchanged(lambda: SLOT_USERS[name](place, slot))


@provokes("too_soon", *SLOT_USERS)
def too_soon(place, name):
    slot = place.slot()
    Resource.objects.filter(pk=slot.resource_id).update(notice_minutes=60 * 24 * 7)
    answer = unchanged(lambda: SLOT_USERS[name](place, slot))
    assert answer.data["notice_minutes"] == 60 * 24 * 7
    return answer


@provokes("too_far_ahead", *SLOT_USERS)
def too_far_ahead(place, name):
    slot = place.slot(starts_at=f.soon(72))
    Resource.objects.filter(pk=slot.resource_id).update(horizon_days=1)
    answer = unchanged(lambda: SLOT_USERS[name](place, slot))
    assert answer.data["horizon_days"] == 1
    return answer


@provokes("too_many_bookings", *SLOT_USERS)
def too_many_bookings(place, name):
    slot = place.hold(max_bookings=2).slot
    Resource.objects.filter(pk=slot.resource_id).update(most_live_bookings=1)
    return unchanged(lambda: SLOT_USERS[name](place, slot))


def miss_one(place):
    """The place's customer did not come once, which is once too often there."""
    mine = Booking.objects.filter(pk=place.hold().pk)
    mine.update(status="pending")
    mine.update(status="confirmed", confirmed_at=timezone.now())
    mine.update(status="no_show", missed_at=mine.get().slot.ends_at)
    Organization.objects.filter(pk=place.organization.pk).update(no_show_limit=1)


@provokes("too_many_no_shows", *SLOT_USERS)
def too_many_no_shows(place, name):
    slot = place.slot()
    miss_one(place)
    answer = unchanged(lambda: SLOT_USERS[name](place, slot))
    assert (answer.data["no_shows"], answer.data["limit"]) == (1, 1)
    return answer


@provokes("not_offered", *SLOT_USERS)
def off_the_grid(place, name):
    body = {
        "resource": str(place.court.pk),
        "starts_at": (place.opening + timedelta(minutes=7)).isoformat(),
        "minutes": 60,
    }
    path = {"add_to_cart": "cart/items/", "book": "bookings/"}[name]
    body |= {"payment_method": "pay_on_arrival"}
    return unchanged(lambda: place.as_customer().post(path, body))


@provokes("not_offered", "list_free_times")
def in_fixed_slots(place, name):
    path = f"resources/{place.resource.pk}/free-times/?from=2030-01-01&to=2030-01-02"
    return unchanged(lambda: place.as_customer().get(path))


@provokes("cart_full", "add_to_cart")
def cart_full(place, name):
    slot = place.slot(max_bookings=carts.MOST_ITEMS + 1)
    for _ in range(carts.MOST_ITEMS):
        f.hold(place.customer, slot)
    return unchanged(lambda: take(place, slot))


@provokes("booking_over", "remove_from_cart")
def item_over(place, name):
    item = place.hold().cart_item
    Booking.objects.filter(pk=item.booking_id).update(
        status="expired", ended_at=timezone.now()
    )  # the item still says that it is in the cart
    return unchanged(lambda: place.as_customer().delete(f"cart/items/{item.pk}/"))


def check_out(place: Place, method: str = "pay_now") -> Answer:
    return place.as_customer().post("cart/checkout/", {"payment_method": method})


@provokes("cart_empty", "check_out")
def cart_empty(place, name):
    return unchanged(lambda: check_out(place))


@provokes("hold_expired", "check_out")
def hold_expired(place, name):
    booking = place.hold()
    Booking.objects.filter(pk=booking.pk).update(held_until=timezone.now())
    answer = unchanged(lambda: check_out(place))
    assert answer.data["items"] == [str(booking.cart_item.pk)]
    return answer


@provokes("slot_gone", "check_out")
def started_in_the_cart(place, name):
    slot = place.hold().slot
    client = place.as_customer()
    with time_machine.travel(slot.starts_at + timedelta(seconds=1), tick=False):
        return unchanged(lambda: client.post("cart/checkout/", {"payment_method": "pay_now"}))


@provokes("payment_method_not_offered", "check_out")
def method_not_offered(place, name):
    place.hold()
    PaymentPolicy.objects.create(organization=place.organization, accepts_pay_now=False)
    return unchanged(lambda: check_out(place))


@provokes("payment_method_not_offered", "book")
def pay_now_is_not_direct(place, name):
    slot = place.slot()
    return unchanged(lambda: book(place, slot, "pay_now"))


@provokes("mixed_currencies", "check_out")
def mixed_currencies(place, name):
    place.hold()
    swiss = f.ResourceFactory(organization=place.organization)
    f.PriceFactory(resource=swiss, currency="CHF")
    place.hold(resource=swiss)
    return unchanged(lambda: check_out(place))


DECISIONS = ("approve_transaction", "reject_transaction")


def decide(
    place: Place, name: str, transaction: CartTransaction, client: Client | None = None
) -> Answer:
    word = {"approve_transaction": "approve", "reject_transaction": "reject"}.get(name, "cancel")
    client = client or place.as_role("manager")
    headers = {"If-Match": "*"} if word == "cancel" else {}
    path = f"transactions/{transaction.pk}/{word}/"
    return client.post(path, {"reason": "Because"}, headers=headers)


@provokes("already_decided", *DECISIONS)
def already_decided(place, name):
    transaction = place.approved()
    return unchanged(lambda: decide(place, name, transaction))


@provokes("already_decided", "cancel_transaction")
def already_cancelled(place, name):
    transaction = place.transaction()
    assert decide(place, "cancel", transaction).status == 200
    return unchanged(lambda: decide(place, name, transaction))


@provokes("own_transaction", *DECISIONS)
def own_transaction(place, name):
    transaction, _ = place.submitted()
    f.MembershipFactory(organization=place.organization, user=place.customer.user, role="manager")
    return unchanged(lambda: decide(place, name, transaction, place.as_customer()))


@provokes("proof_missing", "approve_transaction")
def proof_missing(place, name):
    transaction = place.transaction()
    return unchanged(lambda: decide(place, name, transaction))


@provokes(
    "permission_denied",
    *DECISIONS,
    "take_payment",
    "check_in",
)
def permission_denied(place, name):
    call = EXAMPLES[name](place)
    return unchanged(lambda: call.send(place.as_customer()))


@provokes("permission_denied", "cancel_booking")
def provider_may_not_cancel(place, name):
    provider = place.staff("provider")
    place.resource.provider = provider.user
    place.resource.save()
    client, call = place.client(provider), EXAMPLES[name](place)
    return unchanged(lambda: call.send(client))


@provokes("booking_over", "cancel_transaction")
def somebody_is_in_already(place, name):
    booking = place.confirmed_today()
    place.as_role("front_desk").post("check-ins/", {"code": code_of(booking)})
    transaction = booking.cart_item.transaction
    return unchanged(lambda: decide(place, name, transaction, place.as_customer()))


@provokes("booking_over", "cancel_booking")
def cancelled_before(place, name):
    booking = cancel(booking_of(place.transaction()))
    client = place.as_customer()
    path = f"bookings/{booking.pk}/cancel/"
    return unchanged(lambda: client.post(path, {"reason": "Ill"}, headers={"If-Match": "*"}))


@provokes("not_payable", "take_payment")
def not_paid_on_arrival(place, name):
    path = f"transactions/{place.approved().pk}/take-payment/"
    return unchanged(lambda: place.as_role("front_desk").post(path, {}))


@provokes("own_transaction", "take_payment")
def paid_by_oneself(place, name):
    order = place.transaction(method="pay_on_arrival")
    f.approve(order)
    f.MembershipFactory(
        organization=place.organization, role="front_desk", user=order.customer.user
    )
    path = f"transactions/{order.pk}/take-payment/"
    return unchanged(lambda: place.as_customer().post(path, {}))


UPLOADS = ("upload_proof", "upload_proof_of_booking")


def upload_path(transaction: CartTransaction, name: str) -> str:
    if name == "upload_proof":
        return f"transactions/{transaction.pk}/proofs/"
    return f"bookings/{booking_of(transaction).pk}/proofs/"


@provokes("already_decided", *UPLOADS)
def proof_too_late(place, name):
    path = upload_path(place.approved(), name)
    return unchanged(lambda: place.as_customer().upload(path, f.png()))


@provokes("not_payable", *UPLOADS)
def proof_not_needed(place, name):
    path = upload_path(place.transaction(method="pay_on_arrival"), name)
    return unchanged(lambda: place.as_customer().upload(path, f.png()))


@provokes("file_refused", *UPLOADS)
def no_picture(place, name):
    path = upload_path(place.transaction(), name)
    return unchanged(lambda: place.as_customer().upload(path, b"MZ\x90", "transfer.png"))


@provokes("file_too_large", *UPLOADS)
def too_large(place, name):
    path = upload_path(place.transaction(), name)
    content = b"\x89PNG\r\n\x1a\n" + bytes(10 * 1024 * 1024)
    return unchanged(lambda: place.as_customer().upload(path, content))


@provokes("quota_exceeded", *UPLOADS)
def quota_exceeded(place, name):
    transaction = place.transaction()
    proof = f.submit_proof(transaction)
    Proof.objects.filter(pk=proof.pk).update(size=100 * 1024 * 1024)
    path = upload_path(transaction, name)
    return unchanged(lambda: place.as_customer().upload(path, f.png()))


TICKETS = {"get_qr_svg": "qr.svg", "get_qr_png": "qr.png", "get_calendar_file": "calendar.ics"}


@provokes("booking_over", *TICKETS)
def no_ticket_for_what_is_over(place, name):
    booking = cancel(booking_of(place.transaction()))
    return place.as_customer().get(f"bookings/{booking.pk}/{TICKETS[name]}")


@provokes("not_confirmed", "get_qr_svg", "get_qr_png")
def no_code_yet(place, name):
    booking = booking_of(place.transaction())
    return place.as_customer().get(f"bookings/{booking.pk}/{TICKETS[name]}")


def scan(place: Place, code: str) -> Answer:
    return place.as_role("front_desk").post("check-ins/", {"code": code})


@provokes("unknown_code", "check_in")
def unknown_code(place, name):
    return unchanged(lambda: scan(place, "A" * 26))


@provokes("already_checked_in", "check_in")
def already_checked_in(place, name):
    code = code_of(place.confirmed_today())
    assert scan(place, code).status == 200
    answer = unchanged(lambda: scan(place, code))
    assert answer.data["checked_in_at"]
    return answer


@provokes("wrong_day", "check_in")
def wrong_day(place, name):
    booking = place.confirmed(starts_at=f.soon(60))
    return unchanged(lambda: scan(place, code_of(booking)))


@provokes("booking_cancelled", "check_in")
def booking_cancelled(place, name):
    booking = place.confirmed_today()
    code = code_of(booking)
    cancel(booking)
    return unchanged(lambda: scan(place, code))


@provokes("not_confirmed", "check_in")
def not_confirmed(place, name):
    """No way leads there today but through the database: codes come with confirmation."""
    from bookings import transitions

    booking = booking_of(place.transaction(slot=place.slot_today()))
    transitions.issue_codes([booking], now=timezone.now())
    return unchanged(lambda: scan(place, code_of(booking)))


def book_series(place: Place, slot: Slot, times: int = 2, **more: object) -> Answer:
    body = {
        "resource": str(slot.resource_id),
        "starts_at": slot.starts_at.isoformat(),
        "times": times,
        "payment_method": "pay_on_arrival",
    }
    return place.as_customer().post("series/", body | more)


def preview_series(place: Place, slot: Slot) -> Answer:
    body = {"resource": str(slot.resource_id), "starts_at": slot.starts_at.isoformat(), "times": 2}
    return place.as_customer().post("series/preview/", body)


SERIES_USERS: dict[str, Callable[[Place, Slot], Answer]] = {
    "book_series": book_series,
    "preview_series": preview_series,
}


@provokes("series_not_free", "book_series")
def series_not_free(place, name):
    first, second = place.weekly(2)
    f.hold(f.CustomerFactory(organization=place.organization), second)
    answer = unchanged(lambda: book_series(place, first))
    assert [d["outcome"] for d in answer.data["dates"]] == ["free", "full"]
    return answer


@provokes("slot_gone", *SERIES_USERS)
def series_began(place, name):
    first, _ = place.weekly(2)
    client = place.as_customer()
    body = {"resource": str(first.resource_id), "starts_at": first.starts_at.isoformat()}
    path = "series/" if name == "book_series" else "series/preview/"
    with time_machine.travel(first.starts_at, tick=False):
        body |= {"times": 2, "payment_method": "free"}
        return unchanged(lambda: client.post(path, body))


@provokes("not_offered", *SERIES_USERS)
def nothing_starts_then(place, name):
    first, _ = place.weekly(2)
    first.starts_at += timedelta(minutes=1)
    return unchanged(lambda: SERIES_USERS[name](place, first))


@provokes("too_many_bookings", "book_series")
def series_too_long(place, name):
    first, _ = place.weekly(2)
    Resource.objects.filter(pk=first.resource_id).update(most_live_bookings=1)
    answer = unchanged(lambda: book_series(place, first))
    assert (answer.data["most"], answer.data["left"]) == (1, 1)
    return answer


@provokes("too_many_no_shows", "book_series")
def series_of_somebody_who_does_not_come(place, name):
    first, _ = place.weekly(2)
    miss_one(place)
    return unchanged(lambda: book_series(place, first))


@provokes("payment_method_not_offered", "book_series")
def series_paid_otherwise(place, name):
    PaymentPolicy.objects.create(organization=place.organization, accepts_pay_on_arrival=False)
    first, _ = place.weekly(2)
    return unchanged(lambda: book_series(place, first))


@provokes("permission_denied", "book_series")
def series_for_somebody(place, name):
    first, _ = place.weekly(2)
    return unchanged(lambda: book_series(place, first, customer=str(place.customer.pk)))


def cancel_series(place: Place, client: Client | None = None) -> Answer:
    series = Series.objects.get()
    client = client or place.as_customer()
    return client.post(f"series/{series.pk}/cancel/", {"reason": "Ill"})


@provokes("booking_over", "cancel_series")
def series_over(place, name):
    place.series()
    assert cancel_series(place).status == 200
    return unchanged(lambda: cancel_series(place))


@provokes("too_late", "cancel_series")
def series_too_late(place, name):
    place.series()
    Resource.objects.update(cancel_until_minutes=60 * 24 * 30)
    return unchanged(lambda: cancel_series(place))


@provokes("permission_denied", "cancel_series")
def series_of_the_provider(place, name):
    series = place.series()
    provider = place.staff("provider")
    Resource.objects.filter(pk=series.resource_id).update(provider=provider.user)
    return unchanged(lambda: cancel_series(place, place.client(provider)))


MOVES = ("reschedule_booking", "propose_reschedule")
ANSWERS = ("accept_proposal", "decline_proposal", "withdraw_proposal")
STEPS = dict(
    zip([*MOVES, *ANSWERS], ["reschedule", "propose", "accept", "decline", "withdraw"], strict=True)
)


def step(place: Place, name: str, booking: Booking, client: Client | None = None, **body: object):
    """One of these, by its customer, or by staff where it is theirs."""
    if client is None:
        by_staff = name in ("propose_reschedule", "withdraw_proposal")
        client = place.as_role("manager") if by_staff else place.as_customer()
    path = f"bookings/{booking.pk}/{STEPS[name]}/"
    return unchanged(lambda: client.post(path, body, headers={"If-Match": "*"}))


def to(slot: Slot) -> str:
    return str(slot.pk)


@provokes("slot_full", *MOVES)
def moved_where_it_is_full(place, name):
    full = place.slot()
    f.hold(f.CustomerFactory(organization=place.organization), full)
    return step(place, name, place.confirmed(), slot=to(full))


@provokes("line_first", *MOVES)
def moved_where_the_line_comes_first(place, name):
    booking = place.confirmed()
    return while_the_line_cannot_be_settled(
        place, lambda slot: step(place, name, booking, slot=to(slot))
    )


@provokes("slot_gone", *MOVES)
def moved_where_it_is_closed(place, name):
    closed = place.slot(status="closed")
    return step(place, name, place.confirmed(), slot=to(closed))


@provokes("resource_taken", *MOVES)
def moved_where_the_doctor_is_busy(place, name):
    doctor = f.ResourceFactory(organization=place.organization, exclusive=True)
    f.PriceFactory(resource=doctor)
    mine, theirs = f.make_slots(doctor, 2, start=f.soon(48))
    late = f.make_slot(doctor, starts_at=theirs.starts_at + timedelta(minutes=30))
    f.hold(f.CustomerFactory(organization=place.organization), theirs)
    return step(place, name, place.confirmed(slot=mine), slot=to(late))


@provokes("not_offered", *MOVES)
def moved_off_the_grid(place, name):
    odd = place.opening + timedelta(minutes=7)
    body = {"resource": str(place.court.pk), "starts_at": odd.isoformat(), "minutes": 60}
    return step(place, name, place.confirmed(), **body)


@provokes("proposal_open", *MOVES)
def moved_while_an_answer_is_awaited(place, name):
    return step(place, name, place.proposed(), slot=to(place.slot()))


@provokes("booking_over", *MOVES)
def moved_when_it_is_cancelled(place, name):
    booking = cancel(place.confirmed())
    return step(place, name, booking, slot=to(place.slot()))


@provokes("price_differs", "reschedule_booking")
def moved_where_it_costs_more(place, name):
    booking, slot = place.confirmed(), place.slot()
    f.PriceFactory(resource=place.resource, amount=25, priority=9)
    answer = step(place, name, booking, slot=to(slot), accept_price=True)
    assert (answer.data["amount"], answer.data["new_amount"]) == ("20.00", "25.00")
    return answer


@provokes("price_differs", "propose_reschedule")
def proposed_where_it_costs_more(place, name):
    booking, slot = place.confirmed(), place.slot()
    f.PriceFactory(resource=place.resource, amount=25, priority=9)
    return step(place, name, booking, slot=to(slot))


@provokes("length_differs", "reschedule_booking")
def moved_to_a_longer_time_for_the_same_price(place, name):
    answer = step(place, name, court_booking(place), **free_time(place, 12, 120))
    assert (answer.data["minutes"], answer.data["new_minutes"]) == (60, 120)
    return answer


@provokes("too_late", "reschedule_booking")
def moved_after_the_deadline(place, name):
    booking, slot = place.confirmed(), place.slot()
    Resource.objects.update(reschedule_until_minutes=60 * 24 * 30)
    return step(place, name, booking, slot=to(slot))


@provokes("too_late", "propose_reschedule")
def proposed_too_near(place, name):
    near = place.slot(starts_at=timezone.now() + timedelta(minutes=70))
    return step(place, name, place.confirmed(), slot=to(near))


@provokes("too_soon", "reschedule_booking")
def moved_without_notice(place, name):
    booking, slot = place.confirmed(), place.slot()
    Resource.objects.update(notice_minutes=60 * 24 * 7)
    return step(place, name, booking, slot=to(slot))


@provokes("too_far_ahead", "reschedule_booking")
def moved_beyond_the_horizon(place, name):
    booking, slot = place.confirmed(), place.slot(starts_at=f.soon(72))
    Resource.objects.update(horizon_days=1)
    return step(place, name, booking, slot=to(slot))


@provokes("no_proposal", *ANSWERS)
def answered_without_a_proposal(place, name):
    return step(place, name, place.confirmed())


@provokes("slot_gone", "accept_proposal")
def accepted_when_its_rules_have_changed(place, name):
    booking = place.proposed()
    slot_id = booking.proposals.get().stand_in.slot_id
    Slot.objects.filter(pk=slot_id).update(status="legacy")
    return step(place, name, booking)


@provokes("permission_denied", "reschedule_booking", "accept_proposal", "decline_proposal")
def provider_may_not_decide_for_the_customer(place, name):
    provider = place.staff("provider")
    place.resource.provider = provider.user
    place.resource.save()
    client, call = place.client(provider), EXAMPLES[name](place)
    return unchanged(lambda: call.send(client))


@provokes("permission_denied", "propose_reschedule", "withdraw_proposal")
def customer_may_not_propose(place, name):
    call = EXAMPLES[name](place)
    return unchanged(lambda: call.send(place.as_customer()))


CANCELS = ("cancel_booking", "cancel_transaction", "cancel_series")


def cancel_late(place: Place, name: str, client: Client, body: dict | None = None) -> Answer:
    """Cancel what costs a fee of 10 euros."""
    made = place.late() if name != "cancel_series" else late_series(place)
    path = {
        "cancel_booking": lambda: f"bookings/{booking_of(made).pk}",
        "cancel_transaction": lambda: f"transactions/{made.pk}",
        "cancel_series": lambda: f"series/{booking_of(made).series_id}",
    }[name]()
    headers = {} if name == "cancel_series" else {"If-Match": "*"}
    said = {"reason": "Ill"} | (body or {})
    return unchanged(lambda: client.post(f"{path}/cancel/", said, headers=headers))


def late_series(place: Place) -> CartTransaction:
    """A series of one date with such an order."""
    made = place.late()
    booking = booking_of(made)
    found = Series.objects.create(
        organization=place.organization,
        resource=booking.slot.resource,
        customer=booking.customer,
        starts_at=booking.slot.starts_at,
        ends_at=booking.slot.ends_at,
        every_weeks=1,
        times=1,
        units=1,
        created_at=timezone.now(),
    )
    Booking.objects.filter(pk=booking.pk).update(series=found)
    return made


@provokes("fee_due", *CANCELS)
def fee_that_was_not_shown(place, name):
    answer = cancel_late(place, name, place.as_customer(), {"fee": "9.00"})
    assert answer.data["fee"] == answer.data["refund"] == "10.00"
    assert answer.data["currency"] == "EUR"
    return answer


@provokes("own_transaction", *CANCELS)
def fee_that_staff_waive_for_themselves(place, name):
    staff = place.staff("manager")
    place.customer.user = staff.user
    place.customer.save()
    return cancel_late(place, name, place.client(staff))


WAYS = {
    "settle_refund": ("settle", {"reference": "SEPA 1"}),
    "waive_refund": ("waive", {"note": "None wanted"}),
    "reopen_refund": ("reopen", {"reason": "It came back"}),
    "verify_refund": ("verify", {}),
}


def change_refund(place: Place, name: str, refund: Refund, client: Client) -> Answer:
    word, body = WAYS[name]
    return unchanged(lambda: client.post(f"refunds/{refund.pk}/{word}/", body))


@provokes("refund_settled", *WAYS)
def refund_that_is_settled_or_owed(place, name):
    refund = place.refund()
    if name != "reopen_refund":
        m.change(refunds.settle, refund)
    return change_refund(place, name, refund, place.as_role("reviewer"))


@provokes("refund_unverified", "settle_refund")
def refund_of_money_that_nobody_has_seen(place, name):
    return change_refund(place, name, place.refund(seen=False), place.as_role("reviewer"))


@provokes("own_transaction", *WAYS)
def refund_of_ones_own(place, name):
    staff = place.staff("manager")
    refund = place.refund()
    if name == "reopen_refund":
        m.change(refunds.settle, refund)
    place.customer.user = staff.user
    place.customer.save()
    return change_refund(place, name, refund, place.client(staff))


@provokes("permission_denied", *WAYS)
def refund_that_only_others_may_settle(place, name):
    return change_refund(place, name, place.refund(), place.as_role("front_desk"))


def give_back(place: Place, client: Client, made: CartTransaction) -> Answer:
    body = {"amount": "5.00", "reason": "Paid twice"}
    return unchanged(lambda: client.post(f"transactions/{made.pk}/give-back/", body))


@provokes("refund_not_possible", "give_back")
def money_back_before_a_decision(place, name):
    return give_back(place, place.as_role("reviewer"), place.submitted()[0])


@provokes("own_transaction", "give_back")
def money_back_to_oneself(place, name):
    staff = place.staff("manager")
    made = place.approved()
    place.customer.user = staff.user
    place.customer.save()
    return give_back(place, place.client(staff), made)


@provokes("permission_denied", "give_back")
def money_back_that_only_others_may_note(place, name):
    return give_back(place, place.as_role("front_desk"), place.approved())


@provokes("permission_denied", "get_cancellation_of_booking")
def provider_may_not_ask_what_it_costs(place, name):
    provider = place.staff("provider")
    booking = booking_of(place.transaction())
    Resource.objects.filter(pk=booking.slot.resource_id).update(provider=provider.user)
    return unchanged(lambda: place.client(provider).get(f"bookings/{booking.pk}/cancellation/"))


@provokes("too_late", "cancel_booking", "cancel_transaction")
def cancelled_after_the_deadline(place, name):
    call = EXAMPLES[name](place)
    Resource.objects.update(cancel_until_minutes=60 * 24 * 30)
    return unchanged(lambda: call.send(place.as_customer()))


def join(place: Place, slot: Slot) -> Answer:
    return unchanged(lambda: place.as_customer().post("waitlist/", {"slot": str(slot.pk)}))


@provokes("seats_available", "join_waitlist")
def waiting_for_what_has_room(place, name):
    slot = place.slot()
    answer = join(place, slot)
    assert answer.data["slot"] == str(slot.pk)
    return answer


@provokes("no_waitlist", "join_waitlist")
def waiting_where_nobody_can(place, name):
    slot, _ = place.full_slot()
    Resource.objects.filter(pk=slot.resource_id).update(takes_waitlist=False)
    return join(place, slot)


@provokes("already_waiting", "join_waitlist")
def waiting_twice(place, name):
    return join(place, place.waiting().slot)


@provokes("too_many_entries", "join_waitlist")
def waiting_everywhere(place, name):
    slot, _ = place.full_slot()
    resource, far = place.free_resource, timezone.now() + timedelta(days=3)
    WaitlistEntry.objects.bulk_create(
        WaitlistEntry(
            organization=place.organization,
            customer=place.customer,
            resource=resource,
            from_at=far,
            until_at=far + timedelta(hours=hours),
            joined_at=timezone.now(),
            placed_at=timezone.now(),
        )
        for hours in range(1, joining.MOST_ENTRIES + 1)
    )
    return join(place, slot)


@provokes("slot_gone", "join_waitlist")
def waiting_for_what_is_closed(place, name):
    slot, _ = place.full_slot()
    slot_services.close_slots(slot_ids=[slot.pk], actor=f.SYSTEM, reason="", now=timezone.now())
    return join(place, slot)


@provokes("too_soon", "join_waitlist")
def waiting_without_notice(place, name):
    slot, _ = place.full_slot()
    Resource.objects.filter(pk=slot.resource_id).update(notice_minutes=60 * 24 * 7)
    return join(place, slot)


@provokes("too_far_ahead", "join_waitlist")
def waiting_beyond_the_horizon(place, name):
    slot, _ = place.full_slot(starts_at=f.soon(72))
    Resource.objects.filter(pk=slot.resource_id).update(horizon_days=1)
    return join(place, slot)


@provokes("too_many_no_shows", "join_waitlist")
def waiting_after_too_many_no_shows(place, name):
    slot, _ = place.full_slot()
    miss_one(place)
    answer = join(place, slot)
    assert (answer.data["no_shows"], answer.data["limit"]) == (1, 1)
    return answer


@provokes("no_longer_waiting", "leave_waitlist")
def leaving_twice(place, name):
    path, client = f"waitlist/{place.waiting().pk}/", place.as_customer()
    assert client.delete(path).status == 204
    return unchanged(lambda: client.delete(path))


OFFERED = {"accept_offer": "accept", "decline_offer": "decline"}


@provokes("no_offer", *OFFERED)
def answering_what_was_not_asked(place, name):
    path = f"waitlist/{place.waiting().pk}/{OFFERED[name]}/"
    return unchanged(lambda: place.as_customer().post(path, {}))


@provokes("cart_full", "accept_offer")
def accepting_into_a_full_cart(place, name):
    entry = place.offered()
    slot = place.slot(max_bookings=carts.MOST_ITEMS)
    for _ in range(carts.MOST_ITEMS):
        f.hold(place.customer, slot)
    return unchanged(lambda: place.as_customer().post(f"waitlist/{entry.pk}/accept/", {}))


@provokes("too_many_no_shows", "accept_offer")
def accepting_after_too_many_no_shows(place, name):
    entry = place.offered()
    miss_one(place)
    return unchanged(lambda: place.as_customer().post(f"waitlist/{entry.pk}/accept/", {}))


@provokes("permission_denied", "leave_waitlist", *OFFERED)
def answering_for_somebody_else(place, name):
    call = EXAMPLES[name](place)
    return unchanged(lambda: call.send(place.as_role("owner")))


def test_every_declared_code_is_provoked():
    assert set(PROVOKED) == SPECIAL


@pytest.mark.parametrize(("name", "code"), sorted(PROVOKED))
def test_it_is_answered_and_nothing_has_changed(world, name, code):
    answer = PROVOKED[name, code](world.here)

    assert answer.code == code
    assert len(answer.data["detail"]) > 10
