"""Proofs of payment over HTTP. Serves A3; promises 2, 11, 12, 13, 14."""

from __future__ import annotations

import hashlib
import io
from datetime import datetime

import pytest
from django.utils import timezone
from PIL import Image

from audit.models import IdempotencyKey
from payments.models import CartTransaction, LatePayment, Proof
from payments.models.proof import proof_storage
from payments.services import expiry, late
from tests import factories as f
from tests.api.client import new_key
from tests.api.world import World, booking_of


def stored_files():
    from pathlib import Path

    root = Path(proof_storage().path(""))
    return [p for p in root.rglob("*") if p.is_file()] if root.exists() else []


class TestWithRealCommits:
    """A file stays only if its row was committed, so these commit."""

    pytestmark = pytest.mark.django_db(transaction=True)

    @pytest.fixture
    def place(self):
        return World().here

    def test_an_upload_puts_the_transaction_under_review_and_keeps_the_file(self, place):
        transaction = place.transaction()
        client = place.as_customer()

        answer = client.upload(
            f"transactions/{transaction.pk}/proofs/", f.png(), amount="20.00", reference="R-1"
        )

        assert answer.status == 201, answer
        assert (answer.data["amount"], answer.data["reference"]) == ("20.00", "R-1")
        assert answer.data["original_name"] == "transfer.png"
        transaction.refresh_from_db()
        assert transaction.status == "under_review"
        [file] = stored_files()
        assert Proof.objects.get().sha256 == hashlib.sha256(file.read_bytes()).hexdigest()

    def test_it_is_downloaded_as_an_attachment_that_nothing_runs(self, place):
        transaction = place.transaction()
        client = place.as_customer()
        sent = client.upload(f"transactions/{transaction.pk}/proofs/", f.png()).data

        for reader in (client, place.as_role("reviewer")):
            answer = reader.get(sent["file"])
            assert answer.status == 200
            assert Image.open(io.BytesIO(answer.body)).format == "PNG"
            assert answer.headers["Content-Disposition"] == 'attachment; filename="transfer.png"'
            assert answer.headers["Content-Type"] == "image/png"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert "sandbox" in answer.headers["Content-Security-Policy"]
            assert answer.headers["Cache-Control"] == "private, no-store"

    def test_a_name_with_anything_in_it_stays_one_header(self, place):
        transaction = place.transaction()
        client = place.as_customer()
        raw = (
            b"--x\r\nContent-Disposition: form-data; name=file;"
            b" filename*=UTF-8''a%22%0D%0AX-Evil%3A%201%C3%A9.png\r\n\r\n" + f.png() + b"\r\n--x--"
        )

        sent = client.send(
            "POST",
            f"transactions/{transaction.pk}/proofs/",
            raw=raw,
            content_type="multipart/form-data; boundary=x",
        )

        answer = client.get(sent.data["file"])
        assert answer.status == 200
        assert "X-Evil" not in answer.headers
        assert "1%C3%A9.png" in answer.headers["Content-Disposition"]

    def test_a_repeated_upload_is_one_proof_and_one_file(self, place):
        transaction = place.transaction()
        client, key = place.as_customer(), new_key()
        path = f"transactions/{transaction.pk}/proofs/"

        first = client.upload(path, f.png(), key=key)
        second = client.upload(path, f.png(), key=key)
        other = client.upload(path, f.png("red"), key=key)

        assert first.status == second.status == 201
        assert second.body == first.body
        assert second.headers["Idempotent-Replay"] == "true"
        assert other.problem() == (422, "idempotency_key_reused")
        assert Proof.objects.count() == len(stored_files()) == 1

    def test_a_refused_upload_leaves_no_file(self, place):
        transaction = place.transaction(method="pay_on_arrival")
        client = place.as_customer()
        path = f"transactions/{transaction.pk}/proofs/"

        for key in ("", new_key()):
            assert client.upload(path, f.png(), key=key).problem() == (409, "not_payable")

        assert stored_files() == []
        assert not Proof.objects.exists()

    def test_a_lost_file_is_not_found_and_no_error_of_ours(self, place):
        transaction = place.transaction()
        client = place.as_customer()
        sent = client.upload(f"transactions/{transaction.pk}/proofs/", f.png()).data
        stored_files()[0].unlink()

        assert client.get(sent["file"]).problem() == (404, "not_found")


@pytest.mark.django_db
def expire(transaction):
    CartTransaction.objects.filter(pk=transaction.pk).update(due_at=timezone.now())
    assert expiry.expire_unpaid(actor=f.SYSTEM, now=timezone.now()) == 1


def test_a_proof_that_comes_late_takes_the_seats_that_are_still_free(world):
    place = world.here
    transaction = place.transaction(2)
    expire(transaction)
    client = place.as_customer()

    answer = client.upload(f"transactions/{transaction.pk}/proofs/", f.png())

    assert answer.status == 201, answer
    seen = client.get(f"transactions/{transaction.pk}/").data
    assert (seen["status"], seen["late_payment"], seen["ended_at"]) == ("under_review", None, None)
    assert {b["status"] for b in seen["bookings"]} == {"pending"}


def test_if_the_seats_are_gone_the_transaction_says_that_staff_decide(world):
    place = world.here
    transaction = place.transaction()
    expire(transaction)
    slot = booking_of(transaction).slot
    slot.refresh_from_db()
    f.check_out(
        f.CustomerFactory(organization=place.organization),
        slot,
        units=slot.max_units - slot.taken_units,
    )
    client = place.as_customer()
    key = new_key()

    answers = [
        client.upload(f"transactions/{transaction.pk}/proofs/", f.png(), key=key) for _ in range(2)
    ]

    assert [a.status for a in answers] == [201, 201]
    assert answers[0].data == answers[1].data
    assert answers[0].data["status"] == "submitted"
    found = LatePayment.objects.get()
    for reader in (client, place.as_role("front_desk")):
        seen = reader.get(f"transactions/{transaction.pk}/").data
        assert seen["status"] == "expired"
        assert seen["late_payment"]["status"] == "open"
        assert "This slot is full." in seen["late_payment"]["reason"]
        assert seen["late_payment"]["resolved_at"] is None
        [listed] = [t for t in reader.get("transactions/").data["results"] if t["id"] == seen["id"]]
        assert listed["late_payment"] == seen["late_payment"]
    dismiss(found, reason="Nothing came.")
    assert client.get(f"transactions/{transaction.pk}/").data["late_payment"]["status"] == (
        "dismissed"
    )


def test_after_a_decision_the_answer_still_says_that_the_money_came_late(world):
    place = world.here
    transaction = place.transaction()
    expire(transaction)
    slot = booking_of(transaction).slot
    slot.refresh_from_db()
    rival = f.check_out(
        f.CustomerFactory(organization=place.organization),
        slot,
        units=slot.max_units - slot.taken_units,
    )
    client = place.as_customer()
    client.upload(f"transactions/{transaction.pk}/proofs/", f.png())
    expire(rival)
    client.upload(f"transactions/{transaction.pk}/proofs/", f.png())

    approved = place.as_role("reviewer").post(f"transactions/{transaction.pk}/approve/", {})

    assert (approved.status, approved.data["status"]) == (200, "approved")
    assert approved.data["late_payment"]["status"] == "reinstated"


def test_only_staff_see_by_when_a_proof_is_decided_on(world):
    place = world.here
    transaction, _proof = place.submitted()
    url = f"transactions/{transaction.pk}/"

    transaction.refresh_from_db()
    assert place.as_customer().get(url).data["review_due_at"] is None
    seen = place.as_role("reviewer").get(url).data["review_due_at"]
    assert datetime.fromisoformat(seen) == transaction.review_due_at


def dismiss(found, *, reason):
    late.dismiss(
        late_id=found.pk,
        organization_id=found.organization_id,
        reason=reason,
        actor=f.SYSTEM,
        now=timezone.now(),
    )


def test_a_proof_of_one_booking_says_which(world):
    transaction = world.here.transaction()
    booking = booking_of(transaction)

    answer = world.here.as_customer().upload(f"bookings/{booking.pk}/proofs/", f.png())

    assert answer.status == 201
    assert answer.data["booking"] == str(booking.pk)
    assert answer.data["transaction"] == str(transaction.pk)


@pytest.mark.django_db
def test_a_booking_in_the_cart_has_nothing_to_prove_yet(world):
    booking = world.here.hold()

    answer = world.here.as_customer().upload(f"bookings/{booking.pk}/proofs/", f.png())

    assert answer.problem() == (409, "not_payable")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("content", "name", "code"),
    [
        (b"", "a.png", "file_refused"),
        (b"GIF89a", "a.gif", "file_refused"),
        (f.png(), "a.pdf", "file_refused"),
        (f.png(), "a.jpg", "file_refused"),
        (f.png(), "png", "file_refused"),
        (f.png()[:60], "a.png", "file_refused"),
        (b"%PDF-1.7 nothing", "a.pdf", "file_refused"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "a.svg", "file_refused"),
    ],
)
def test_a_file_that_is_not_what_it_should_be_is_refused(world, content, name, code):
    transaction = world.here.transaction()

    answer = world.here.as_customer().upload(
        f"transactions/{transaction.pk}/proofs/", content, name
    )

    assert answer.problem() == (400, code)
    assert not Proof.objects.exists()
    assert CartTransaction.objects.get().status == "pending"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"amount": "0"}, "amount"),
        ({"amount": "-5"}, "amount"),
        ({"amount": "1e9"}, "amount"),
        ({"amount": "NaN"}, "amount"),
        ({"amount": "12.345"}, "amount"),
        ({"amount": "9" * 13}, "amount"),
        ({"amount": "9" * 12}, "amount"),
        ({"reference": "x" * 101}, "reference"),
        ({"reference": "a\x00b"}, "reference"),
    ],
)
def test_bad_fields_beside_a_file_are_named(world, fields, field):
    transaction = world.here.transaction()

    answer = world.here.as_customer().upload(
        f"transactions/{transaction.pk}/proofs/", f.png(), **fields
    )

    assert answer.problem() == (400, "invalid")
    assert list(answer.data["errors"]) == [field]
    assert not Proof.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["transactions", "bookings"])
def test_a_form_without_a_file_is_refused(world, name):
    transaction = world.here.transaction()
    pk = transaction.pk if name == "transactions" else booking_of(transaction).pk

    answer = world.here.as_customer().upload(f"{name}/{pk}/proofs/", None, reference="x")

    assert answer.problem() == (400, "invalid")
    assert list(answer.data["errors"]) == ["file"]


@pytest.mark.django_db
def test_a_form_that_is_cut_is_malformed_or_has_no_file(world):
    transaction = world.here.transaction()
    raw = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\nabc'

    for content_type in ("multipart/form-data; boundary=x", "multipart/form-data"):
        answer = world.here.as_customer().send(
            "POST",
            f"transactions/{transaction.pk}/proofs/",
            raw=raw,
            content_type=content_type,
        )
        assert answer.status == 400, answer


@pytest.mark.django_db
def test_a_large_body_is_refused_before_it_is_read(world, monkeypatch):
    transaction = world.here.transaction()
    client = world.here.as_customer()

    def read(*args):
        raise AssertionError("it was read")

    monkeypatch.setattr("rest_framework.parsers.MultiPartParser.parse", read)
    answer = client.send(
        "POST",
        f"transactions/{transaction.pk}/proofs/",
        raw=b"x",
        content_type="multipart/form-data; boundary=x",
        CONTENT_LENGTH=str(11 * 1024 * 1024),
    )

    assert answer.problem() == (413, "file_too_large")


@pytest.mark.django_db
def test_too_many_fields_are_refused(world):
    transaction = world.here.transaction()

    answer = world.here.as_customer().upload(
        f"transactions/{transaction.pk}/proofs/", f.png(), **{f"f{n}": "x" for n in range(1_100)}
    )

    assert answer.problem() == (400, "malformed")
    assert not IdempotencyKey.objects.exists()


@pytest.mark.django_db
def test_uploads_have_a_limit_of_their_own(world, settings):
    settings.THROTTLE_RATES = settings.THROTTLE_RATES | {"upload": 0}
    transaction = world.here.transaction()
    client = world.here.as_customer()

    assert client.upload(f"transactions/{transaction.pk}/proofs/", f.png()).status == 429
    assert client.get("transactions/").status == 200
