"""One good request for every operation of the OpenAPI document, by its ``operationId``.

Tests that hold for every endpoint take them from here; a test fails when one is missing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bookings.models import Booking
from config.schema import document
from payments.services import refunds
from tests import factories as f
from tests.api.client import Answer, Client
from tests.api.world import Place, booking_of, code_of
from tests.payments import money as m

METHODS = ("get", "post", "patch", "put", "delete")


@dataclass
class Call:
    """A request that works, and who may send it."""

    client: Client
    method: str
    path: str
    body: Any = None
    file: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def send(self, client: Client | None = None, **kwargs: Any) -> Answer:
        """Send it, as somebody else if ``client`` says so."""
        sender = client or self.client
        headers = self.headers | kwargs.pop("headers", {})
        if self.file is not None and "raw" not in kwargs and "body" not in kwargs:
            return sender.upload(self.path, self.file, headers=headers, **kwargs)
        kwargs.setdefault("body", self.body)
        return sender.send(self.method, self.path, headers=headers, **kwargs)


def operations() -> dict[str, tuple[str, str]]:
    """Method and path of every operation of ours."""
    return {
        operation["operationId"]: (method.upper(), path)
        for path, item in document()["paths"].items()
        for method, operation in item.items()
        if method in METHODS and path.startswith("/api/")
    }


def of_operation(name: str) -> dict[str, Any]:
    method, path = operations()[name]
    found: dict[str, Any] = document()["paths"][path][method.lower()]
    return found


def codes_of(name: str) -> set[str]:
    """The problem codes an operation is said to have."""
    found = set()
    for response in of_operation(name)["responses"].values():
        for line in response.get("description", "").splitlines():
            if line.startswith("- `"):
                found.add(line.split("`")[1])
    return found


def if_match(booking: Booking) -> dict[str, str]:
    return {"If-Match": f'"v{booking.version}"'}


EXAMPLES: dict[str, Callable[[Place], Call]] = {}


def example(build: Callable[[Place], Call]) -> Callable[[Place], Call]:
    EXAMPLES[build.__name__] = build
    return build


@example
def list_availability(place: Place) -> Call:
    place.slot()
    return Call(
        place.as_stranger(),
        "GET",
        "availability/?from=2020-01-01T00:00:00Z&to=2020-02-01T00:00:00Z",
    )


@example
def list_free_times(place: Place) -> Call:
    query = f"from={place.opening.isoformat()}&to={place.closing.isoformat()}".replace("+", "%2B")
    path = f"resources/{place.court.pk}/free-times/?{query}"
    return Call(place.as_stranger(), "GET", path)


@example
def list_resources(place: Place) -> Call:
    assert place.resource
    return Call(place.as_stranger(), "GET", "resources/")


@example
def get_resource(place: Place) -> Call:
    return Call(place.as_stranger(), "GET", f"resources/{place.resource.pk}/")


@example
def list_slots(place: Place) -> Call:
    place.slot()
    return Call(place.as_stranger(), "GET", "slots/")


@example
def get_cart(place: Place) -> Call:
    place.hold()
    return Call(place.as_customer(), "GET", "cart/")


@example
def empty_cart(place: Place) -> Call:
    place.hold()
    return Call(place.as_customer(), "DELETE", "cart/")


@example
def add_to_cart(place: Place) -> Call:
    return Call(place.as_customer(), "POST", "cart/items/", {"slot": str(place.slot().pk)})


@example
def remove_from_cart(place: Place) -> Call:
    item = place.hold().cart_item
    return Call(place.as_customer(), "DELETE", f"cart/items/{item.pk}/")


@example
def check_out(place: Place) -> Call:
    place.hold()
    return Call(place.as_customer(), "POST", "cart/checkout/", {"payment_method": "pay_now"})


@example
def list_transactions(place: Place) -> Call:
    place.submitted()
    return Call(place.as_customer(), "GET", "transactions/")


@example
def get_transaction(place: Place) -> Call:
    transaction, _ = place.submitted()
    return Call(place.as_customer(), "GET", f"transactions/{transaction.pk}/")


@example
def approve_transaction(place: Place) -> Call:
    transaction, _ = place.submitted()
    return Call(place.as_role("reviewer"), "POST", f"transactions/{transaction.pk}/approve/", {})


@example
def reject_transaction(place: Place) -> Call:
    transaction, _ = place.submitted()
    path = f"transactions/{transaction.pk}/reject/"
    return Call(place.as_role("reviewer"), "POST", path, {"reason": "Unreadable"})


@example
def cancel_transaction(place: Place) -> Call:
    transaction = place.transaction()
    headers = {"If-Match": f'"v{transaction.version}"'}
    path = f"transactions/{transaction.pk}/cancel/"
    return Call(place.as_customer(), "POST", path, {"reason": "Ill"}, headers=headers)


@example
def take_payment(place: Place) -> Call:
    transaction = f.approve(place.transaction(method="pay_on_arrival"))
    path = f"transactions/{transaction.pk}/take-payment/"
    return Call(place.as_role("front_desk"), "POST", path, {})


@example
def give_back(place: Place) -> Call:
    path = f"transactions/{place.approved().pk}/give-back/"
    body = {"amount": "5.00", "reason": "Paid twice"}
    return Call(place.as_role("reviewer"), "POST", path, body)


@example
def upload_proof(place: Place) -> Call:
    path = f"transactions/{place.transaction().pk}/proofs/"
    return Call(place.as_customer(), "POST", path, file=f.png())


@example
def upload_proof_of_booking(place: Place) -> Call:
    path = f"bookings/{booking_of(place.transaction()).pk}/proofs/"
    return Call(place.as_customer(), "POST", path, file=f.png())


@example
def download_proof(place: Place) -> Call:
    """Outside of a real transaction the file is gone at once, so it is put there again."""
    from django.core.files.base import ContentFile

    from payments.models.proof import proof_storage

    _, proof = place.submitted()
    if not proof_storage().exists(str(proof.file.name)):
        proof_storage().save(proof.file.name, ContentFile(f.png()))
    return Call(place.as_customer(), "GET", f"proofs/{proof.pk}/file/")


@example
def list_bookings(place: Place) -> Call:
    place.confirmed()
    return Call(place.as_customer(), "GET", "bookings/")


@example
def get_booking(place: Place) -> Call:
    return Call(place.as_customer(), "GET", f"bookings/{place.confirmed().pk}/")


@example
def book(place: Place) -> Call:
    body = {"slot": str(place.slot().pk), "payment_method": "pay_on_arrival"}
    return Call(place.as_customer(), "POST", "bookings/", body)


@example
def cancel_booking(place: Place) -> Call:
    booking = booking_of(place.transaction())
    headers = {"If-Match": f'"v{booking.version}"'}
    path = f"bookings/{booking.pk}/cancel/"
    return Call(place.as_customer(), "POST", path, {"reason": "Ill"}, headers=headers)


@example
def get_cancellation_of_booking(place: Place) -> Call:
    return Call(place.as_customer(), "GET", f"bookings/{booking_of(place.late()).pk}/cancellation/")


@example
def get_cancellation_of_transaction(place: Place) -> Call:
    return Call(place.as_customer(), "GET", f"transactions/{place.late().pk}/cancellation/")


@example
def list_refunds(place: Place) -> Call:
    place.refund()
    return Call(place.as_customer(), "GET", "refunds/")


@example
def settle_refund(place: Place) -> Call:
    path = f"refunds/{place.refund().pk}/settle/"
    return Call(place.as_role("reviewer"), "POST", path, {"reference": "SEPA 4711"})


@example
def waive_refund(place: Place) -> Call:
    path = f"refunds/{place.refund().pk}/waive/"
    return Call(place.as_role("reviewer"), "POST", path, {"note": "They took a voucher"})


@example
def reopen_refund(place: Place) -> Call:
    refund = place.refund()
    m.change(refunds.settle, refund)
    path = f"refunds/{refund.pk}/reopen/"
    return Call(place.as_role("reviewer"), "POST", path, {"reason": "It came back"})


@example
def verify_refund(place: Place) -> Call:
    path = f"refunds/{place.refund(seen=False).pk}/verify/"
    return Call(place.as_role("reviewer"), "POST", path, {})


@example
def reschedule_booking(place: Place) -> Call:
    booking = booking_of(place.transaction())
    return Call(
        place.as_customer(),
        "POST",
        f"bookings/{booking.pk}/reschedule/",
        {"slot": str(place.slot().pk)},
        headers=if_match(booking),
    )


@example
def propose_reschedule(place: Place) -> Call:
    booking = place.confirmed()
    return Call(
        place.as_role("manager"),
        "POST",
        f"bookings/{booking.pk}/propose/",
        {"slot": str(place.slot().pk), "message": "The doctor is away"},
        headers=if_match(booking),
    )


@example
def accept_proposal(place: Place) -> Call:
    booking = place.proposed()
    path = f"bookings/{booking.pk}/accept/"
    return Call(place.as_customer(), "POST", path, headers=if_match(booking))


@example
def decline_proposal(place: Place) -> Call:
    booking = place.proposed()
    path = f"bookings/{booking.pk}/decline/"
    return Call(place.as_customer(), "POST", path, {"reason": "No"}, headers=if_match(booking))


@example
def withdraw_proposal(place: Place) -> Call:
    booking = place.proposed()
    path = f"bookings/{booking.pk}/withdraw/"
    return Call(place.as_role("manager"), "POST", path, {}, headers=if_match(booking))


def series_body(place: Place, times: int = 2) -> dict[str, Any]:
    """A weekly series over slots that are there."""
    return {
        "resource": str(place.resource.pk),
        "starts_at": place.weekly(times)[0].starts_at.isoformat(),
        "times": times,
    }


@example
def list_series(place: Place) -> Call:
    assert place.series()
    return Call(place.as_customer(), "GET", "series/")


@example
def preview_series(place: Place) -> Call:
    return Call(place.as_stranger(), "POST", "series/preview/", series_body(place))


@example
def book_series(place: Place) -> Call:
    body = series_body(place) | {"payment_method": "pay_now"}
    return Call(place.as_customer(), "POST", "series/", body)


@example
def get_series(place: Place) -> Call:
    return Call(place.as_customer(), "GET", f"series/{place.series().pk}/")


@example
def cancel_series(place: Place) -> Call:
    path = f"series/{place.series().pk}/cancel/"
    return Call(place.as_customer(), "POST", path, {"reason": "Ill"})


@example
def list_waitlist(place: Place) -> Call:
    assert place.waiting()
    return Call(place.as_customer(), "GET", "waitlist/")


@example
def join_waitlist(place: Place) -> Call:
    slot, _ = place.full_slot()
    return Call(place.as_customer(), "POST", "waitlist/", {"slot": str(slot.pk)})


@example
def get_waitlist_entry(place: Place) -> Call:
    return Call(place.as_customer(), "GET", f"waitlist/{place.offered().pk}/")


@example
def leave_waitlist(place: Place) -> Call:
    return Call(place.as_customer(), "DELETE", f"waitlist/{place.waiting().pk}/")


@example
def accept_offer(place: Place) -> Call:
    return Call(place.as_customer(), "POST", f"waitlist/{place.offered().pk}/accept/", {})


@example
def decline_offer(place: Place) -> Call:
    path = f"waitlist/{place.offered().pk}/decline/"
    return Call(place.as_customer(), "POST", path, {"reason": "No time"})


@example
def get_qr_svg(place: Place) -> Call:
    return Call(place.as_customer(), "GET", f"bookings/{place.confirmed().pk}/qr.svg")


@example
def get_qr_png(place: Place) -> Call:
    return Call(place.as_customer(), "GET", f"bookings/{place.confirmed().pk}/qr.png")


@example
def get_calendar_file(place: Place) -> Call:
    return Call(place.as_customer(), "GET", f"bookings/{place.confirmed().pk}/calendar.ics")


@example
def check_in(place: Place) -> Call:
    code = code_of(place.confirmed_today())
    return Call(place.as_role("front_desk"), "POST", "check-ins/", {"code": code})


@example
def get_me(place: Place) -> Call:
    return Call(place.as_customer(), "GET", "/api/v1/me/")


@example
def change_me(place: Place) -> Call:
    return Call(place.as_customer(), "PATCH", "/api/v1/me/", {"name": "Ada"})
