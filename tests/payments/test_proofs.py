"""Proofs of payment: file, row, order and bookings change together (A3)."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import transaction
from django.utils import timezone

from audit.errors import Invalid, NotFound
from audit.models import OutboxEvent
from bookings.models import Booking
from payments import files
from payments.errors import AlreadyDecided, NotPayable, QuotaExceeded
from payments.models import Proof
from payments.models.proof import proof_storage
from payments.services import decisions, proofs
from tests import factories as f
from tests.invariants import assert_consistent, everything

pytestmark = pytest.mark.django_db


@pytest.fixture
def order():
    resource = f.ResourceFactory()
    f.PriceFactory(resource=resource)
    customer = f.CustomerFactory(organization=resource.organization)
    return f.check_out(customer, *f.make_slots(resource, 2))


def refuses(error, order, **kwargs):
    """The upload is refused; neither a row nor a file has changed."""
    before = everything()
    with pytest.raises(error) as caught, transaction.atomic():
        f.submit_proof(order, **kwargs)
    assert everything() == before
    assert on_disk() == set(Proof.objects.values_list("file", flat=True))
    return caught.value


def on_disk():
    root = proof_storage().path("")
    from pathlib import Path

    return {str(p.relative_to(root)) for p in Path(root).rglob("*") if p.is_file()}


def test_a_proof_puts_its_order_under_review_and_stops_the_clock(order):
    assert {b.pending_until for b in Booking.objects.all()} == {order.due_at}

    proof = f.submit_proof(order, amount=Decimal("40.00"), reference="transfer 7")

    order.refresh_from_db()
    assert (order.status, order.submitted_at) == ("under_review", proof.uploaded_at)
    assert {(b.status, b.pending_until) for b in Booking.objects.all()} == {("pending", None)}
    assert (proof.status, proof.amount, proof.reference) == (
        "submitted",
        Decimal(40),
        "transfer 7",
    )
    assert OutboxEvent.objects.filter(kind="proof.received").count() == 1
    assert_consistent()


@pytest.mark.django_db(transaction=True)
def test_the_file_is_kept_as_it_was_examined():
    resource = f.ResourceFactory()
    f.PriceFactory(resource=resource)
    order = f.check_out(
        f.CustomerFactory(organization=resource.organization), f.make_slot(resource)
    )

    proof = f.submit_proof(order)

    with proof.file.open() as opened:
        content = opened.read()
    clean = files.examine(f.png(), "transfer.png")
    assert content == clean.content
    assert (proof.size, proof.sha256) == (len(content), clean.sha256)
    assert (proof.original_name, proof.content_type) == ("transfer.png", "image/png")
    assert on_disk() == {proof.file.name}


def test_more_proofs_may_follow_and_the_first_one_s_time_counts(order):
    first = f.submit_proof(order)
    f.submit_proof(order)

    order.refresh_from_db()
    assert order.submitted_at == first.uploaded_at
    assert order.proofs.count() == 2
    assert_consistent()


def test_a_proof_may_be_for_one_booking_alone(order):
    booking = Booking.objects.all()[0]

    proof = f.submit_proof(order, booking_id=booking.pk)

    assert proof.booking_id == booking.pk
    order.refresh_from_db()
    assert order.status == "under_review"


def test_the_booking_of_a_proof_must_be_in_the_order(order):
    resource = f.ResourceFactory(organization=order.organization)
    f.PriceFactory(resource=resource)
    other = f.check_out(order.customer, f.make_slot(resource, starts_at=f.soon(99)))

    refuses(NotFound, order, booking_id=other.items.get().booking_id)


def test_nobody_pays_another_s_order(order):
    order.customer = f.CustomerFactory(organization=order.organization)

    refuses(NotFound, order)


def test_the_order_of_another_organisation_does_not_exist(order):
    order.organization_id = f.OrganizationFactory().pk

    refuses(NotFound, order)


@pytest.mark.parametrize("end", ["approve", "reject", "cancel"])
def test_what_has_been_decided_takes_no_proof_any_more(order, end):
    f.submit_proof(order)
    if end == "approve":
        f.approve(order)
    else:
        getattr(decisions, end)(
            transaction_id=order.pk,
            organization_id=order.organization_id,
            actor=f.SYSTEM,
            reason="x",
            now=timezone.now(),
        )

    error = refuses(AlreadyDecided, order)

    order.refresh_from_db()
    assert error.extra["transaction_status"] == order.status


@pytest.mark.parametrize("method", ["pay_on_arrival", "free"])
def test_what_is_not_paid_in_advance_needs_no_proof(method):
    resource = f.ResourceFactory()
    if method != "free":
        f.PriceFactory(resource=resource)
    customer = f.CustomerFactory(organization=resource.organization)
    order = f.check_out(customer, f.make_slot(resource), method=method)

    refuses(NotPayable, order)


@pytest.mark.parametrize("amount", ["0", "-1", "1000000.01"])
def test_an_amount_that_cannot_be_is_refused(order, amount):
    error = refuses(Invalid, order, amount=Decimal(amount))

    assert "amount" in error.extra["errors"]


def test_a_reference_that_is_too_long_is_refused(order):
    error = refuses(Invalid, order, reference="x" * 101)

    assert "reference" in error.extra["errors"]


def test_a_customer_uploads_so_much_in_thirty_days_and_no_more(order, settings):
    proof = f.submit_proof(order)
    settings.PROOF_QUOTA_BYTES = 2 * proof.size
    f.submit_proof(order)

    refuses(QuotaExceeded, order)

    Proof.objects.filter(pk=proof.pk).update(uploaded_at=timezone.now() - timedelta(days=31))
    f.submit_proof(order)


def test_one_customer_s_uploads_do_not_count_for_another(order, settings):
    proof = f.submit_proof(order)
    settings.PROOF_QUOTA_BYTES = proof.size
    resource = f.ResourceFactory(organization=order.organization)
    f.PriceFactory(resource=resource)
    neighbour = f.CustomerFactory(organization=order.organization)

    f.submit_proof(f.check_out(neighbour, f.make_slot(resource)))


def test_the_trail_says_who_uploaded(order):
    f.submit_proof(order)

    line = Proof.history.get()
    assert (line.actor_kind, line.actor_id) == ("customer", order.customer.user_id)


# Which order a booking is paid in


def test_a_booking_knows_its_order(order):
    booking = Booking.objects.all()[0]

    found = proofs.transaction_of_booking(booking_id=booking.pk, customer=order.customer)

    assert found == order.pk


def test_the_booking_of_somebody_else_does_not_exist(order):
    stranger = f.CustomerFactory(organization=order.organization)

    with pytest.raises(NotFound):
        proofs.transaction_of_booking(booking_id=Booking.objects.all()[0].pk, customer=stranger)


def test_what_is_still_in_the_cart_cannot_be_paid(order):
    slot = f.make_slot(f.ResourceFactory(organization=order.organization))
    booking = f.hold(order.customer, slot)

    with pytest.raises(NotPayable):
        proofs.transaction_of_booking(booking_id=booking.pk, customer=order.customer)


# The sweep


@pytest.mark.django_db(transaction=True)
def test_the_sweep_deletes_files_without_a_row_and_no_others():
    resource = f.ResourceFactory()
    f.PriceFactory(resource=resource)
    order = f.check_out(
        f.CustomerFactory(organization=resource.organization), f.make_slot(resource)
    )
    proof = f.submit_proof(order)
    from django.core.files.base import ContentFile

    left = proof_storage().save("ab/left.png", ContentFile(b"x"))

    assert proofs.remove_orphans() == 0
    assert proofs.remove_orphans(older_than_seconds=-1) == 1
    assert on_disk() == {proof.file.name}
    assert not proof_storage().exists(left)
