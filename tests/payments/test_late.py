"""Money that comes too late: seats are taken again, or staff decide. Nothing vanishes. Serves A3."""

from datetime import time, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from structlog.testing import capture_logs

from audit.errors import Invalid, NotFound, StaleVersion
from audit.models import OutboxEvent
from bookings import claiming
from bookings.errors import SlotFull
from bookings.models import Booking, Resource, Slot
from bookings.services.free_times import FreeTime
from payments import selectors
from payments.errors import (
    AlreadyDecided,
    LatePaymentDecided,
    OwnTransaction,
    QuotaExceeded,
    SeatsGone,
)
from payments.models import CartTransaction, LatePayment, Proof, Refund
from payments.models.proof import proof_storage
from payments.services import carts, checkout, decisions, expiry, late, proofs
from tests import factories as f
from tests.concurrency import interleave, locks_off, lost, race, without, won
from tests.corruption import check, corrupt, fix, last_line
from tests.faults import raising, striking
from tests.invariants import assert_consistent, everything
from tests.payments import money as m
from waitlist.models import Offer, WaitlistPolicy
from waitlist.services import joining, line

pytestmark = pytest.mark.django_db

real = pytest.mark.django_db(transaction=True)
LIMITS = ("bookings_slot_bookings_within_capacity", "bookings_slot_units_within_capacity")


def shop(**resource):
    made: Any = f.ResourceFactory(**resource)
    f.PriceFactory(resource=made)
    return made


def customer_of(resource) -> Any:
    return f.CustomerFactory(organization=resource.organization)


def make_overdue(*orders):
    CartTransaction.objects.filter(pk__in=[o.pk for o in orders]).update(due_at=timezone.now())


def sweep():
    return expiry.expire_unpaid(actor=f.SYSTEM, now=timezone.now())


def expired(resource=None, count=2, *, slots=None, units=1):
    """An order that was not paid in time."""
    resource = resource or shop()
    slots = slots or f.make_slots(resource, count, start=f.soon(200))
    made = f.check_out(customer_of(resource), *slots, units=units)
    make_overdue(made)
    assert sweep() == 1
    made.refresh_from_db()
    assert made.status == "expired"
    return made


def taken(slot):
    """Somebody else books what is left of a slot."""
    slot.refresh_from_db()
    return f.check_out(customer_of(slot.resource), slot, units=slot.max_units - slot.taken_units)


def slots_of(made):
    return list(Slot.objects.filter(bookings__cart_item__transaction=made).order_by("starts_at"))


def lost_seats(**kwargs):
    """A late payment that waits: of two slots, the first was taken meanwhile."""
    made = expired(**kwargs)
    taken(slots_of(made)[0])
    f.submit_proof(made, amount=Decimal("40.00"))
    made.refresh_from_db()
    return made, LatePayment.objects.get(transaction=made)


def statuses(made):
    made.refresh_from_db()
    rows = made.items.values_list("booking__status", "status")
    return made.status, {b for b, _ in rows}, {i for _, i in rows}


EXPIRED = ("expired", {"expired"}, {"expired"})
REVIEWED = ("under_review", {"pending"}, {"checked_out"})


def told(kind):
    return list(OutboxEvent.objects.filter(kind=kind).order_by("pk"))


def files():
    root = Path(proof_storage().path(""))
    return {str(p.relative_to(root)) for p in root.rglob("*") if p.is_file()}


def member(made, role="manager"):
    return f.MembershipFactory(organization=made.organization, role=role)


def decide(service, found, actor=None, **kwargs):
    return service(
        late_id=found.pk,
        organization_id=found.organization_id,
        actor=actor or f.actor_of(member(found)),
        now=timezone.now(),
        **kwargs,
    )


# The seats are still free


def test_seats_that_are_still_free_are_taken_again():
    made = expired()
    assert made.ended_at is not None

    proof = f.submit_proof(made)

    assert statuses(made) == REVIEWED
    assert (made.submitted_at, made.ended_at, made.decision_reason) == (proof.uploaded_at, None, "")
    assert made.review_due_at == made.submitted_at + timedelta(hours=24)
    assert set(Slot.objects.values_list("taken_bookings", flat=True)) == {1}
    booking = made.items.first().booking
    assert (booking.pending_until, booking.ended_at, booking.ended_reason) == (None, None, "")
    assert not LatePayment.objects.exists()
    (mail,) = told("proof.received_late")
    assert mail.recipients[0]["address"] == made.customer.email
    assert len(mail.payload["bookings"]) == 2
    assert not told("proof.received")
    assert last_line(booking).history_change_reason == "proof of payment"
    assert_consistent()
    f.approve(made)
    assert statuses(made) == ("approved", {"confirmed"}, {"approved"})
    assert_consistent()


def test_a_sweep_leaves_what_was_taken_again_alone():
    made = expired()
    f.submit_proof(made)

    assert sweep() == 0

    assert statuses(made) == REVIEWED


def test_the_rules_of_booking_do_not_count_for_who_has_paid():
    resource = shop()
    made = expired(resource)
    Resource.objects.filter(pk=resource.pk).update(
        notice_minutes=60 * 24 * 60, most_live_bookings=1, horizon_days=1
    )

    f.submit_proof(made)

    assert statuses(made) == REVIEWED


def test_a_hold_that_ran_out_stands_in_nobody_s_way():
    resource = shop()
    made = expired(resource, 1)
    f.hold(customer_of(resource), slots_of(made)[0], now=timezone.now() - timedelta(hours=1))

    f.submit_proof(made)

    assert statuses(made) == REVIEWED
    assert_consistent()


def test_what_is_overdue_and_was_not_swept_yet_is_paid_as_ever():
    resource = shop()
    made = f.check_out(customer_of(resource), *f.make_slots(resource, 2))
    make_overdue(made)

    f.submit_proof(made)

    assert statuses(made) == REVIEWED
    assert told("proof.received")


@pytest.mark.parametrize("end", ["reject", "cancel"])
def test_what_was_decided_against_is_not_taken_again(end):
    resource = shop()
    made = f.check_out(customer_of(resource), *f.make_slots(resource, 2))
    getattr(decisions, end)(
        transaction_id=made.pk,
        organization_id=made.organization_id,
        actor=f.SYSTEM,
        reason="x",
        now=timezone.now(),
    )
    before = everything()

    with pytest.raises(AlreadyDecided), transaction.atomic():
        f.submit_proof(made)

    assert everything() == before
    assert not files()


# The seats are gone


def test_if_one_seat_is_gone_nothing_is_taken_and_staff_decide():
    made = expired()
    first, second = slots_of(made)
    taken(first)
    version = made.version

    proof = f.submit_proof(made, amount=Decimal("40.00"))

    assert statuses(made) == EXPIRED
    assert made.version == version + 1
    second.refresh_from_db()
    assert second.taken_bookings == 0
    found = LatePayment.objects.get()
    assert (found.transaction_id, found.proof_id, found.status) == (made.pk, proof.pk, "open")
    assert proof.status == "submitted"
    assert first.resource.name in found.reason
    assert "This slot is full." in found.reason
    assert found.reason.count(first.resource.name) == 1  # of the other there is nothing to say
    (customer,) = told("payment.late")
    assert customer.recipients[0]["address"] == made.customer.email
    assert customer.payload["reason"] == found.reason
    (office,) = told("payment.late_opened")
    assert office.recipients[0]["address"] == made.organization.email
    assert office.reply_to == made.customer.email
    assert_consistent()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"status": "closed"}, "This slot is closed."),
        ({"starts_at": timedelta(hours=-1)}, "This slot has already started."),
    ],
)
def test_it_says_what_is_in_the_way(change, words):
    made = expired(count=1)
    slot = slots_of(made)[0]
    if "starts_at" in change:
        corrupt(
            "UPDATE bookings_slot SET starts_at = now() - interval '1 hour',"
            " busy_from = now() - interval '1 hour' WHERE id = %s",
            [slot.pk],
        )
    else:
        Slot.objects.filter(pk=slot.pk).update(**change)

    f.submit_proof(made)

    assert words in LatePayment.objects.get().reason
    assert made.status == "expired"


def test_what_takes_the_same_resource_is_in_the_way():
    resource = shop(exclusive=True)
    made = expired(resource, 1)
    slot = slots_of(made)[0]
    rival = f.make_slot(resource, starts_at=slot.starts_at + timedelta(minutes=30))
    f.check_out(customer_of(resource), rival)

    f.submit_proof(made)

    assert "is taken at that time" in LatePayment.objects.get().reason
    assert statuses(made) == EXPIRED
    assert_consistent()


def test_another_proof_is_added_to_it_and_takes_the_seats_if_they_are_free_by_then():
    made, found = lost_seats()
    second = f.submit_proof(made)

    found.refresh_from_db()
    assert (found.proof_id, found.status) == (second.pk, "open")
    assert LatePayment.objects.count() == 1
    assert made.proofs.filter(status="submitted").count() == 2
    assert_consistent()

    rival = CartTransaction.objects.exclude(pk=made.pk).get()
    decisions.cancel(
        transaction_id=rival.pk,
        organization_id=rival.organization_id,
        actor=f.SYSTEM,
        reason="x",
        now=timezone.now(),
    )
    third = f.submit_proof(made)

    found.refresh_from_db()
    assert (found.status, found.proof_id) == ("reinstated", third.pk)
    assert found.resolved_at == third.uploaded_at
    assert statuses(made) == REVIEWED
    assert_consistent()


def test_an_organisation_without_an_address_hears_through_its_leaders():
    made = expired()
    made.organization.email = ""
    made.organization.save()
    owner = member(made, "owner")
    taken(slots_of(made)[0])

    f.submit_proof(made)

    assert [r["address"] for r in told("payment.late_opened")[0].recipients] == [owner.user.email]


def test_whoever_waits_in_line_comes_first():
    resource = shop()
    WaitlistPolicy.objects.create(organization=resource.organization)
    slot = f.make_slot(resource, starts_at=f.soon(200))
    made = f.check_out(customer_of(resource), slot)
    waiting = customer_of(resource)
    joining.join(
        organization=waiting.organization,
        customer=waiting,
        wanted=slot.pk,
        units=1,
        actor=f.actor_of(waiting),
        now=timezone.now(),
    )
    make_overdue(made)
    sweep()  # the seat goes to the line in the same transaction

    f.submit_proof(made)

    assert statuses(made) == EXPIRED
    assert LatePayment.objects.get().status == "open"
    assert Offer.objects.get().booking.customer == waiting
    assert_consistent()


@pytest.mark.parametrize("count", [1, 30])
def test_it_costs_the_same_for_one_booking_and_for_many(count):
    counts = {}
    for number in (2, count + 2):
        made = expired(count=number)
        with CaptureQueriesContext(connection) as captured:
            f.submit_proof(made)
        counts[number] = len(captured)
        assert statuses(made) == REVIEWED
    assert len(set(counts.values())) == 1


def test_the_file_and_the_quota_count_as_ever(settings):
    made = expired()
    settings.PROOF_QUOTA_BYTES = 1

    with pytest.raises(QuotaExceeded), transaction.atomic():
        f.submit_proof(made)

    assert statuses(made) == EXPIRED
    assert not files()


# What staff decide


def test_it_is_booked_after_all_in_another_slot_at_the_price_that_was_agreed():
    made, found = lost_seats()
    first, second = slots_of(made)
    booking = Booking.objects.get(cart_item__transaction=made, slot=first)
    dearer = f.make_slot(first.resource, starts_at=f.soon(300))
    first.resource.prices.update(amount=Decimal(90))
    amounts = list(made.items.values_list("amount", flat=True))

    decide(late.rebook, found, slots={booking.pk: dearer.pk}, note="as on the phone")

    assert statuses(made) == REVIEWED
    assert set(slots_of(made)) == {second, dearer}
    assert list(made.items.values_list("amount", flat=True)) == amounts
    found.refresh_from_db()
    assert (found.status, found.note) == ("reinstated", "as on the phone")
    assert found.resolved_by.startswith("Person")
    (mail,) = told("payment.late_rebooked")
    assert {b["starts_at"] for b in mail.payload["bookings"]} == {
        second.starts_at.isoformat(),
        dearer.starts_at.isoformat(),
    }
    assert_consistent()
    f.approve(made)
    assert_consistent()


def refuses(error, service, found, *, actor=None, **kwargs):
    """The decision is refused, and nothing has changed."""
    actor = actor or f.actor_of(member(found.transaction))
    before = everything()
    with pytest.raises(error) as caught, transaction.atomic():
        decide(service, found, actor=actor, **kwargs)
    assert everything() == before
    return caught.value


def test_if_one_seat_is_still_gone_nothing_is_booked():
    made, found = lost_seats()

    error = refuses(SeatsGone, late.rebook, found, slots={})

    [(booking_id, words)] = error.extra["bookings"].items()
    assert words == "This slot is full."
    assert Booking.objects.get(pk=booking_id).slot == slots_of(made)[0]


def test_another_resource_another_organisation_or_another_booking_is_refused():
    made, found = lost_seats()
    booking = made.items.first().booking
    elsewhere = f.make_slot(shop(organization=made.organization), starts_at=f.soon(300))
    foreign = f.make_slot(shop(), starts_at=f.soon(300))

    refuses(Invalid, late.rebook, found, slots={booking.pk: elsewhere.pk})
    refuses(NotFound, late.rebook, found, slots={booking.pk: foreign.pk})
    refuses(NotFound, late.rebook, found, slots={booking.pk: f.some_id()})
    refuses(NotFound, late.rebook, found, slots={f.some_id(): elsewhere.pk})


@pytest.mark.parametrize(
    ("service", "status", "way", "kind"),
    [
        (late.pay_back, "refunded", "transfer", "payment.late_refunded"),
        (late.credit, "credited", "credit", "payment.late_credited"),
    ],
)
def test_the_money_goes_back_or_is_kept(service, status, way, kind):
    made, found = lost_seats()

    decide(service, found, amount=Decimal("35.00"), note="less the fee of the bank")

    found.refresh_from_db()
    refund = Refund.objects.get()
    assert (found.status, found.refund) == (status, refund)
    assert (refund.way, refund.amount, refund.currency) == (way, Decimal(35), "EUR")
    assert (refund.status, refund.verified, refund.transaction) == ("owed", True, made)
    assert refund.customer == made.customer
    assert set(made.items.values_list("refund", flat=True)) == {refund.pk}
    assert statuses(made) == EXPIRED
    assert set(made.proofs.values_list("status", flat=True)) == {"accepted"}
    (mail,) = told(kind)
    assert (mail.payload["amount"], mail.payload["reason"]) == ("35.00", "less the fee of the bank")
    assert_consistent()


def test_no_more_is_owed_than_was_paid_or_was_to_be_paid():
    made, found = lost_seats()
    f.submit_proof(made, amount=Decimal("20.00"))
    assert late.most_owed(made) == Decimal(60)

    for amount in ("60.01", "0", "-1", "1.001"):
        error = refuses(Invalid, late.pay_back, found, amount=Decimal(amount))
        assert "amount" in error.extra["errors"]
    decide(late.pay_back, found, amount=Decimal(60))
    assert_consistent()


def test_a_proof_without_an_amount_stands_for_what_was_to_be_paid():
    made = expired()
    taken(slots_of(made)[0])
    f.submit_proof(made)

    assert late.most_owed(made) == made.amount


def partly_cancelled():
    """Of two bookings one was cancelled before anybody paid, and the other expired: 20 were due."""
    slots = f.make_slots(shop(), 2, start=f.soon(200))
    made = f.check_out(customer_of(slots[0].resource), *slots)
    m.cancel(m.bookings_of(made)[0], actor=f.actor_of(made.customer))
    make_overdue(made)
    assert sweep() == 1
    taken(slots[1])
    f.submit_proof(made)
    made.refresh_from_db()
    return made, LatePayment.objects.get(transaction=made)


def test_what_was_cancelled_before_anybody_paid_was_not_to_be_paid():
    made, found = partly_cancelled()

    assert made.amount == 40
    assert late.most_owed(made) == selectors.to_pay(made) == 20
    for kind in ("transaction.expired", "payment.late", "payment.late_opened"):
        assert told(kind)[0].payload["amount"] == "20.00", kind
    refuses(Invalid, late.pay_back, found, amount=Decimal("20.01"))
    done = decide(late.pay_back, found, amount=Decimal(20))
    assert done.refund.amount == 20
    assert_consistent()


def test_every_proof_that_was_dismissed_waits_again():
    made, found = lost_seats()
    earlier = made.proofs.get()
    decide(late.dismiss, found, reason="not on the account")
    f.submit_proof(made, amount=Decimal("40.00"))  # opens it again; the first stays dismissed
    f.submit_proof(made, amount=Decimal("40.00"))
    found.refresh_from_db()
    assert late.most_owed(made) == 80
    decide(late.dismiss, found, reason="not on the account")

    found.refresh_from_db()
    decide(late.reopen, found, reason="both were found")

    assert late.most_owed(made) == 80
    earlier.refresh_from_db()
    assert earlier.status == "rejected"
    assert made.proofs.filter(status="submitted", decided_at=None).count() == 2
    decide(late.pay_back, found, amount=Decimal(80))
    assert_consistent()


# What the customer is offered in line themselves


def offered_own_seat(seats=1, wants=1):
    """An order expired, somebody took its seat, its customer joined the line, and is offered it."""
    slot = f.make_slot(shop(), starts_at=f.soon(200), max_bookings=seats)
    made = expired(slot.resource, slots=[slot])
    rival = taken(slot)
    entry = joining.join(
        organization=made.organization,
        customer=made.customer,
        wanted=slot.pk,
        units=wants,
        actor=f.actor_of(made.customer),
        now=timezone.now(),
    )
    decisions.cancel(
        transaction_id=rival.pk,
        organization_id=rival.organization_id,
        actor=f.SYSTEM,
        reason="ill",
        now=timezone.now(),
    )
    entry.refresh_from_db()
    assert entry.status == "offered"
    return made, slot, entry


def test_who_is_offered_the_seat_in_line_gets_it_for_the_late_money():
    made, slot, entry = offered_own_seat()

    f.submit_proof(made)

    assert statuses(made) == REVIEWED
    assert not LatePayment.objects.exists()
    entry.refresh_from_db()
    slot.refresh_from_db()
    assert (entry.status, Offer.objects.get().status) == ("settled", "withdrawn")
    assert slot.taken_bookings == 1
    assert_consistent()


def test_and_staff_book_it_after_all():
    made, slot, entry = offered_own_seat()
    line.leave(
        entry_id=entry.pk,
        organization_id=made.organization_id,
        actor=f.actor_of(made.customer),
        now=timezone.now(),
    )
    rival = taken(slot)
    f.submit_proof(made)
    found = LatePayment.objects.get()
    again = joining.join(
        organization=made.organization,
        customer=made.customer,
        wanted=slot.pk,
        units=1,
        actor=f.actor_of(made.customer),
        now=timezone.now(),
    )
    make_overdue(rival)
    sweep()
    (booking,) = m.bookings_of(made)
    times = selectors.other_times([booking], now=timezone.now())[booking.pk]
    assert [s.pk for s, _ in times] == [slot.pk]

    decide(late.rebook, found, slots={})

    assert statuses(made) == REVIEWED
    again.refresh_from_db()
    assert again.status == "settled"
    assert_consistent()


def test_what_is_left_of_the_offer_goes_to_the_next_in_line():
    made, slot, entry = offered_own_seat(seats=2, wants=2)
    behind = joining.join(
        organization=made.organization,
        customer=customer_of(slot.resource),
        wanted=slot.pk,
        units=1,
        actor=f.SYSTEM,
        now=timezone.now(),
    )

    f.submit_proof(made)

    assert statuses(made) == REVIEWED
    for one, status in ((entry, "settled"), (behind, "offered")):
        one.refresh_from_db()
        assert one.status == status
    assert_consistent()


def test_if_not_all_seats_can_be_had_the_offer_stands():
    first = f.make_slot(shop(), starts_at=f.soon(200))
    second = f.make_slot(first.resource, starts_at=f.soon(210))
    made = expired(first.resource, slots=[first, second])
    rival = taken(first)
    taken(second)
    entry = joining.join(
        organization=made.organization,
        customer=made.customer,
        wanted=first.pk,
        units=1,
        actor=f.actor_of(made.customer),
        now=timezone.now(),
    )
    make_overdue(rival)
    sweep()

    f.submit_proof(made)

    assert statuses(made) == EXPIRED
    reason = LatePayment.objects.get().reason
    assert reason.count("full") == 1  # not of the seat that is theirs
    entry.refresh_from_db()
    assert (entry.status, Offer.objects.get().status) == ("offered", "open")
    assert_consistent()


def test_what_goes_back_takes_no_further_proof():
    made, found = lost_seats()
    decide(late.pay_back, found, amount=Decimal(40))
    before = Proof.objects.count()

    with pytest.raises(AlreadyDecided, match="paid back"), transaction.atomic():
        f.submit_proof(made)

    assert Proof.objects.count() == before
    assert statuses(made) == EXPIRED


def test_where_no_money_came_the_proof_is_rejected_and_the_customer_told_why():
    made, found = lost_seats()

    decide(late.dismiss, found, reason="Nothing is on our account.")

    found.refresh_from_db()
    assert (found.status, found.note) == ("dismissed", "Nothing is on our account.")
    assert set(made.proofs.values_list("status", flat=True)) == {"rejected"}
    assert told("payment.late_dismissed")[0].payload["reason"] == "Nothing is on our account."
    assert last_line(found).history_change_reason == "Nothing is on our account."
    assert_consistent()


def test_what_was_dismissed_is_opened_again_by_staff_and_can_be_booked():
    made, found = lost_seats()
    decide(late.dismiss, found, reason="Nothing came.")

    decide(late.reopen, found, reason="It came today.")

    found.refresh_from_db()
    assert (found.status, found.resolved_at, found.resolved_by) == ("open", None, "")
    assert [p.status for p in made.proofs.all()] == ["submitted"]
    assert told("payment.late_reopened")
    assert_consistent()
    other = f.make_slot(slots_of(made)[0].resource, starts_at=f.soon(300))
    gone = Booking.objects.get(cart_item__transaction=made, slot=slots_of(made)[0])
    decide(late.rebook, found, slots={gone.pk: other.pk})
    assert statuses(made) == REVIEWED
    assert_consistent()


def test_and_by_another_proof_of_the_customer():
    made, found = lost_seats()
    decide(late.dismiss, found, reason="Nothing came.")

    proof = f.submit_proof(made)

    found.refresh_from_db()
    assert (found.status, found.proof_id, found.resolved_at) == ("open", proof.pk, None)
    assert_consistent()


def test_another_proof_after_a_dismissal_takes_the_seats_if_they_are_free():
    made, found = lost_seats()
    decide(late.dismiss, found, reason="Nothing came.")
    rival = CartTransaction.objects.exclude(pk=made.pk).get()
    make_overdue(rival)
    sweep()

    f.submit_proof(made)

    found.refresh_from_db()
    assert found.status == "reinstated"
    assert statuses(made) == REVIEWED
    assert_consistent()


SERVICES: dict[str, tuple[Any, dict[str, Any]]] = {
    "pay_back": (late.pay_back, {"amount": Decimal(10)}),
    "credit": (late.credit, {"amount": Decimal(10)}),
    "dismiss": (late.dismiss, {"reason": "no"}),
    "reopen": (late.reopen, {"reason": "yes"}),
}


@pytest.mark.parametrize("name", SERVICES)
def test_a_decision_is_logged_named_and_made_once(name):
    made, found = lost_seats()
    if name == "reopen":
        decide(late.dismiss, found, reason="no")
    made.refresh_from_db()
    service, kwargs = SERVICES[name]
    somebody = member(made)

    refuses(StaleVersion, service, found, version=made.version - 1, **kwargs)
    with capture_logs() as logged:
        decide(service, found, actor=f.actor_of(somebody), version=made.version, **kwargs)

    names = {"pay_back": "refund"}
    assert f"late_payment.{names.get(name, name)}" in [e.get("operation") for e in logged]
    assert last_line(found).actor_id == somebody.user_id
    refuses(LatePaymentDecided, service, found, **kwargs)


@pytest.mark.parametrize("name", ["rebook", *SERVICES])
def test_nobody_decides_on_their_own_order_or_another_organisation_s(name):
    made, found = lost_seats()
    services = {"rebook": (late.rebook, {"slots": {}}), **SERVICES}
    service, kwargs = services[name]
    own = f.MembershipFactory(organization=made.organization, user=made.customer.user)

    refuses(OwnTransaction, service, found, actor=f.actor_of(own), **kwargs)
    found.organization_id = f.OrganizationFactory().pk
    refuses(NotFound, service, found, actor=f.SYSTEM, **kwargs)


@pytest.mark.parametrize("service", [late.dismiss, late.reopen])
@pytest.mark.parametrize("reason", ["", "  ", "x" * 501])
def test_a_reason_is_given(service, reason):
    _made, found = lost_seats()

    refuses(Invalid, service, found, reason=reason)


def test_a_note_has_a_length():
    _made, found = lost_seats()

    refuses(Invalid, late.rebook, found, slots={}, note="x" * 501)
    refuses(Invalid, late.credit, found, amount=Decimal(1), note="x" * 501)


# Other times


def test_other_times_are_the_free_ones_of_the_same_resource_with_their_prices():
    made = expired(count=1, units=1)
    own = slots_of(made)[0]
    resource = own.resource
    near = f.make_slot(resource, starts_at=own.starts_at + timedelta(hours=3))
    full = f.make_slot(resource, starts_at=own.starts_at + timedelta(hours=5))
    taken(full)
    f.make_slot(resource, starts_at=own.starts_at + timedelta(days=8))
    f.make_slot(shop(organization=made.organization), starts_at=near.starts_at)
    resource.prices.update(amount=Decimal("25.00"))
    booking = Booking.objects.select_related("slot__resource").get(cart_item__transaction=made)

    found = selectors.other_times([booking], now=timezone.now())[booking.pk]

    assert [slot for slot, _ in found] == [own, near]
    assert {(c.now, c.then) for _, c in found} == {(Decimal(20), Decimal(25))}
    taken(own)
    found = selectors.other_times([booking], now=timezone.now())[booking.pk]
    assert [slot for slot, _ in found] == [near]


def test_other_times_cost_five_statements_for_any_number():
    made = expired(count=6)
    bookings = list(
        Booking.objects.filter(cart_item__transaction=made).select_related("slot__resource")
    )

    for number in (1, 6):
        with CaptureQueriesContext(connection) as captured:
            selectors.other_times(bookings[:number], now=timezone.now())
        assert len(captured) <= 6


# Races


def submitting(made, **kwargs):
    return lambda: f.submit_proof(made, **kwargs)


def booking_it(slot):
    customer = customer_of(slot.resource)
    return lambda: f.check_out(customer, slot)


@real
def test_of_a_late_proof_and_somebody_who_books_the_last_seat_one_gets_it():
    for _ in range(4):
        made = expired(count=1)
        slot = slots_of(made)[0]

        outcomes = race(submitting(made), booking_it(slot))

        slot.refresh_from_db()
        assert slot.taken_bookings == 1
        assert isinstance(outcomes[0], Proof)
        if statuses(made) == REVIEWED:
            assert isinstance(outcomes[1], SlotFull)
        else:
            assert LatePayment.objects.get(transaction=made).status == "open"
    assert_consistent()


@real
def test_at_the_worst_moment_whoever_books_waits_for_the_late_proof():
    made = expired(count=1)
    slot = slots_of(made)[0]

    first, second = interleave(
        submitting(made), after=(proofs, "_check_quota"), second=booking_it(slot)
    )

    assert isinstance(first, Proof)
    assert isinstance(second, SlotFull)
    assert statuses(made) == REVIEWED
    assert_consistent()


@real
def test_control_without_locks_and_limits_the_seat_is_sold_twice():
    made = expired(count=1)
    slot = slots_of(made)[0]

    with without(*LIMITS), locks_off():
        interleave(
            submitting(made),
            after=(claiming, "claim_many"),
            second=booking_it(slot),
        )
        slot.refresh_from_db()
        assert slot.taken_bookings == 2


@real
def test_two_late_proofs_at_once_take_the_seats_once_or_wait_together():
    free, gone = expired(), expired()
    taken(slots_of(gone)[0])

    outcomes = race(*[submitting(free)] * 3, *[submitting(gone)] * 3)

    assert not lost(outcomes)
    assert statuses(free) == REVIEWED
    assert free.proofs.filter(status="submitted").count() == 3
    assert LatePayment.objects.get().transaction == gone
    assert gone.proofs.filter(status="submitted").count() == 3
    assert len(told("proof.received_late")) == 1
    assert_consistent()


@real
def test_a_proof_and_the_sweep_at_once_lose_neither_money_nor_seats():
    made = []
    for _ in range(4):
        resource = shop()
        order = f.check_out(customer_of(resource), *f.make_slots(resource, 2))
        make_overdue(order)
        made.append(order)

    outcomes = race(*[submitting(o) for o in made], sweep, sweep)

    assert not lost(outcomes)
    assert [statuses(o)[0] for o in made] == ["under_review"] * 4
    assert_consistent()


@real
def test_what_expires_between_the_look_and_the_lock_is_tried_again_with_its_slots():
    resource = shop()
    made = f.check_out(customer_of(resource), *f.make_slots(resource, 2))
    make_overdue(made)

    first, second = interleave(submitting(made), after=(selectors, "status_of"), second=sweep)

    assert isinstance(first, Proof)
    assert second == 1
    assert statuses(made) == REVIEWED
    assert told("transaction.expired")
    assert told("proof.received_late")
    assert files() == {first.file.name}
    assert_consistent()


@real
def test_the_same_within_the_transaction_of_an_idempotency_key():
    resource = shop()
    made = f.check_out(customer_of(resource), *f.make_slots(resource, 2))
    make_overdue(made)

    def kept():
        with transaction.atomic():
            return f.submit_proof(made)

    first, second = interleave(kept, after=(selectors, "status_of"), second=sweep)

    assert isinstance(first, Proof)
    assert second == 1
    assert statuses(made) == REVIEWED
    assert_consistent()


@real
def test_a_late_proof_and_an_approval_leave_one_answer():
    made = expired()
    f.submit_proof(made)
    reviewer = member(made, "reviewer")

    outcomes = race(submitting(made), lambda: f.approve(made, reviewer))

    assert isinstance(outcomes[1], CartTransaction)
    assert statuses(made) == ("approved", {"confirmed"}, {"approved"})
    assert not made.proofs.filter(status="submitted").exists()
    assert_consistent()


@real
def test_a_late_proof_and_the_line_leave_the_seat_to_who_waited():
    resource = shop()
    WaitlistPolicy.objects.create(organization=resource.organization)
    slot = f.make_slot(resource, starts_at=f.soon(200))
    made = f.check_out(customer_of(resource), slot)
    waiting = customer_of(resource)
    joining.join(
        organization=waiting.organization,
        customer=waiting,
        wanted=slot.pk,
        units=1,
        actor=f.actor_of(waiting),
        now=timezone.now(),
    )
    make_overdue(made)

    outcomes = race(sweep, submitting(made), submitting(made))

    assert not lost(outcomes)
    slot.refresh_from_db()
    assert slot.taken_bookings == 1
    if statuses(made) == EXPIRED:
        assert Offer.objects.get().status == "open"
        assert LatePayment.objects.get().status == "open"
    else:  # the first proof was there before the sweep
        assert not Offer.objects.exists()
    assert_consistent()


@real
@pytest.mark.parametrize("other", ["rebook", "pay_back", "credit", "dismiss"])
def test_of_two_who_decide_at_once_one_does(other):
    made, found = lost_seats()
    first, _second = slots_of(made)
    gone = Booking.objects.get(cart_item__transaction=made, slot=first)
    free = f.make_slot(first.resource, starts_at=f.soon(300))
    services = {"rebook": (late.rebook, {"slots": {gone.pk: free.pk}}), **SERVICES}
    service, kwargs = services[other]
    people = [f.actor_of(member(made)) for _ in range(4)]

    outcomes = race(
        *[
            lambda a=a: decide(late.pay_back, found, actor=a, amount=Decimal(40))
            for a in people[:2]
        ],
        *[lambda a=a: decide(service, found, actor=a, **kwargs) for a in people[2:]],
    )

    assert len(won(outcomes)) == 1
    assert {type(e) for e in lost(outcomes)} <= {LatePaymentDecided, SeatsGone}
    found.refresh_from_db()
    assert found.status in ("refunded", "reinstated", "credited", "dismissed")
    assert Refund.objects.count() == (found.status in ("refunded", "credited"))
    assert_consistent()


@real
def test_at_the_worst_moment_the_second_decision_waits_and_is_refused():
    made, found = lost_seats()
    one, other = f.actor_of(member(made)), f.actor_of(member(made))

    first, second = interleave(
        lambda: decide(late.pay_back, found, actor=one, amount=Decimal(40)),
        after=(late, "most_owed"),
        second=lambda: decide(late.dismiss, found, actor=other, reason="no"),
    )

    assert isinstance(first, LatePayment)
    assert isinstance(second, LatePaymentDecided)
    assert_consistent()


@real
def test_control_without_locks_and_lifecycle_money_is_owed_twice():
    made, found = lost_seats()
    one, other = f.actor_of(member(made)), f.actor_of(member(made))

    with without("payments_latepayment.follow_lifecycle"), locks_off():
        interleave(
            lambda: decide(late.pay_back, found, actor=one, amount=Decimal(40)),
            after=(late, "most_owed"),
            second=lambda: decide(late.credit, found, actor=other, amount=Decimal(40)),
        )
        assert Refund.objects.count() == 2


@real
def test_a_decision_and_another_proof_at_once_agree():
    for service, kwargs in (SERVICES["pay_back"], SERVICES["dismiss"]):
        made, found = lost_seats()
        act = partial(decide, service, found, actor=f.actor_of(member(made)), **kwargs)

        outcomes = race(submitting(made), act)

        assert {type(e) for e in lost(outcomes)} <= {AlreadyDecided}
        assert_consistent()


# Failures


def state():
    found: dict[str, Any] = everything()
    found["audit_outboxevent"] = [
        e for e in found["audit_outboxevent"] if "operation.failed" not in e
    ]
    found["files"] = sorted(files())
    return found


def taking_again():
    made = expired()
    return lambda: f.submit_proof(made)


def coming_too_late():
    made = expired()
    taken(slots_of(made)[0])
    return lambda: f.submit_proof(made)


def closing_it_with_the_seats():
    made, _found = lost_seats()
    make_overdue(rival := CartTransaction.objects.exclude(pk=made.pk).get())
    sweep()
    rival.refresh_from_db()
    return lambda: f.submit_proof(made)


def using_the_own_offer():
    made, _slot, _entry = offered_own_seat()
    return lambda: f.submit_proof(made)


def deciding(service, **kwargs):
    made, found = lost_seats()
    actor = f.actor_of(member(made))
    return lambda: decide(service, found, actor=actor, **kwargs)


def rebooking():
    made, found = lost_seats()
    first, _second = slots_of(made)
    gone = Booking.objects.get(cart_item__transaction=made, slot=first)
    free = f.make_slot(first.resource, starts_at=f.soon(300))
    actor = f.actor_of(member(made))
    return lambda: decide(late.rebook, found, actor=actor, slots={gone.pk: free.pk})


def reopening():
    made, found = lost_seats()
    actor = f.actor_of(member(made))
    decide(late.dismiss, found, actor=actor, reason="no")
    return lambda: decide(late.reopen, found, actor=actor, reason="yes")


@real
@pytest.mark.parametrize(
    "scene",
    [
        taking_again,
        coming_too_late,
        closing_it_with_the_seats,
        using_the_own_offer,
        rebooking,
        lambda: deciding(late.pay_back, amount=Decimal(40)),
        lambda: deciding(late.credit, amount=Decimal(40)),
        lambda: deciding(late.dismiss, reason="no"),
        reopening,
    ],
)
def test_a_failure_at_any_statement_leaves_nothing_half_done(scene):
    act = scene()
    before = state()

    for at in range(1, 200):
        try:
            with striking(at, raising(RuntimeError("struck"))) as injector:
                act()
        except RuntimeError:
            assert state() == before, injector.statements[-1]
        if not injector.struck:
            break

    assert at > 8
    assert state() != before
    assert_consistent()


# The checks


def test_a_proof_that_came_too_late_and_waits_for_nobody_is_found():
    made = expired()
    f.submit_proof(f.check_out(made.customer, f.make_slot(slots_of(made)[0].resource)))
    unseen, dismissed, owed = expired(), lost_seats(), lost_seats()
    decide(late.dismiss, dismissed[1], reason="no")
    decide(late.credit, owed[1], amount=Decimal(1))
    corrupt(
        "UPDATE payments_proof SET status = 'submitted' WHERE transaction_id IN (%s, %s)",
        [dismissed[0].pk, owed[0].pk],
    )
    corrupt(
        "UPDATE payments_proof SET transaction_id = %s, booking_id = NULL, customer_id = %s,"
        " organization_id = %s WHERE transaction_id NOT IN (%s, %s)",
        [
            unseen.pk,
            unseen.customer_id,
            unseen.organization_id,
            dismissed[0].pk,
            owed[0].pk,
        ],
    )

    wrong = {str(t.pk) for t in (unseen, dismissed[0], owed[0])}
    assert check("payments.late_proofs") == wrong
    assert fix("payments.late_proofs") == {
        str(unseen.pk): "fixed",
        str(dismissed[0].pk): "fixed",
        str(owed[0].pk): "needs_review",
    }

    assert LatePayment.objects.get(transaction=unseen).status == "open"
    assert LatePayment.objects.get(transaction=dismissed[0]).status == "open"
    assert fix("payments.late_proofs") == {str(owed[0].pk): "needs_review"}


def test_a_late_payment_that_is_open_although_its_order_goes_on_is_closed():
    made, found = lost_seats()
    rival = CartTransaction.objects.exclude(pk=made.pk).get()
    make_overdue(rival)
    sweep()
    f.submit_proof(made)
    found.refresh_from_db()
    assert found.status == "reinstated"
    corrupt(
        "UPDATE payments_latepayment SET status = 'open', resolved_at = NULL WHERE id = %s",
        [found.pk],
    )

    assert check("payments.late_open") == {str(found.pk)}
    assert fix("payments.late_open") == {str(found.pk): "fixed"}

    found.refresh_from_db()
    assert found.status == "reinstated"
    assert check("payments.late_open") == set()


# At free times


def test_a_free_time_is_taken_again_if_nobody_is_there():
    court = f.open_hours(
        shop(mode="free_times", exclusive=True, horizon_days=60), time(9), time(17)
    )
    customer = customer_of(court)
    start = f.soon(0).replace(hour=11) + timedelta(days=5)

    def booked():
        carts.add_item(
            organization=court.organization,
            customer=customer,
            slot_id=FreeTime(court.pk, start, 60),
            units=1,
            actor=f.actor_of(customer),
            now=timezone.now(),
        )
        return checkout.check_out(
            organization=court.organization,
            customer=customer,
            payment_method="pay_now",
            actor=f.actor_of(customer),
            now=timezone.now(),
        )

    first = booked()
    make_overdue(first)
    sweep()
    second = booked()

    f.submit_proof(first)
    assert "taken" in LatePayment.objects.get().reason or "full" in LatePayment.objects.get().reason
    make_overdue(second)
    sweep()
    f.submit_proof(first)

    assert statuses(first) == REVIEWED
    assert LatePayment.objects.get().status == "reinstated"
    assert_consistent()
