"""The review queue, the page of a transaction, and the decisions made on it (A4, A5, B11, F3)."""

from __future__ import annotations

import io
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from PIL import Image

from audit.history import trail_of
from bookings.models import Booking, CheckInCode, User
from payments import files
from payments.models import CartTransaction, Proof, Refund
from payments.models.proof import proof_storage
from payments.services import proofs
from tests import factories as f
from tests.admin.conftest import (
    Venue,
    as_role,
    confirmed_today,
    make_venue,
    more_under_review,
    signed_in,
    staff,
)

# Refusals end real transactions, and files stay only after real commits.
pytestmark = pytest.mark.django_db(transaction=True)

QUEUE = "admin:payments_review"


def page(transaction: CartTransaction) -> str:
    return reverse("admin:payments_carttransaction_change", args=[transaction.pk])


def decide(client, transaction: CartTransaction, decision: str, **data):
    fields = {"decision": decision, "version": transaction.version, "proofs": 1, **data}
    return client.post(reverse("admin:payments_decide", args=[transaction.pk]), fields)


def test_the_queue_shows_the_oldest_first_with_what_a_reviewer_needs(venue):
    others = more_under_review(venue, 2)
    CartTransaction.objects.filter(pk=others[1].pk).update(
        submitted_at=timezone.now() - timedelta(days=2, hours=3, minutes=1),
        review_due_at=timezone.now() - timedelta(days=1, hours=3, minutes=1),
    )

    response = as_role(venue, "reviewer").get(reverse(QUEUE))

    rows = response.context["rows"]
    assert [r.transaction.pk for r in rows] == [others[1].pk, venue.transaction.pk, others[0].pk]
    assert (rows[0].waiting, rows[0].late) == ("2 days 3\N{NO-BREAK SPACE}h", True)
    assert (rows[1].late, rows[1].transaction.item_count) == (False, 1)
    assert rows[1].amount.kind == "match"
    assert rows[0].amount.kind == "unknown"
    text = response.content.decode()
    assert venue.transaction.reference in text
    assert "Ours Customer" in text
    assert "20.00\N{NO-BREAK SPACE}EUR" in text


def test_the_queue_is_searched_by_reference_and_by_name(venue):
    other = more_under_review(venue, 1)[0]
    client = as_role(venue, "manager")

    for query in (other.reference.lower(), "waiting 0"):
        rows = client.get(reverse(QUEUE), {"q": query}).context["rows"]
        assert [r.transaction.pk for r in rows] == [other.pk]


def test_what_waits_without_a_proof_is_under_its_own_tab(venue):
    slot = f.make_slot(venue.resource, starts_at=f.soon(60))
    request = f.check_out(venue.customer, slot, method="pay_on_arrival")
    client = as_role(venue, "manager")

    proofs_tab = client.get(reverse(QUEUE)).context["rows"]
    requests_tab = client.get(reverse(QUEUE), {"tab": "requests"}).context["rows"]

    assert [r.transaction.pk for r in proofs_tab] == [venue.transaction.pk]
    assert [r.transaction.pk for r in requests_tab] == [request.pk]


def test_an_empty_queue_says_so_in_plain_words(venue):
    f.approve(venue.transaction)

    assert "All done" in as_role(venue, "manager").get(reverse(QUEUE)).content.decode()


@pytest.mark.parametrize("many", [1, 30])
def test_the_queue_costs_the_same_number_of_queries_for_any_length(venue, many):
    client = as_role(venue, "reviewer")
    client.get(reverse(QUEUE))
    with CaptureQueriesContext(
        connection,
    ) as one:
        client.get(reverse(QUEUE))

    more_under_review(venue, many)
    with CaptureQueriesContext(connection) as more:
        rows = client.get(reverse(QUEUE)).context["rows"]

    assert len(rows) == many + 1
    assert len(more) == len(one)


def test_the_page_shows_the_proof_beside_the_bookings(venue):
    earlier = f.check_out(venue.customer, f.make_slot(venue.resource, starts_at=f.soon(70)))
    CartTransaction.objects.filter(pk=venue.transaction.pk).update(note="Two of us come late.")

    response = as_role(venue, "reviewer").get(page(venue.transaction))

    text = response.content.decode()
    for expected in (
        reverse("admin:payments_proof_image", args=[venue.proof.pk]),
        reverse("admin:payments_proof_file", args=[venue.proof.pk]),
        venue.booking.reference,
        "Ours hall",
        "Ours-transfer",
        "Two of us come late.",
        earlier.reference,
        "The amounts agree",
    ):
        assert expected in text


@pytest.mark.parametrize(
    ("stated", "kind", "words"),
    [("16.00", "less", "4.00"), ("25.50", "more", "5.50"), ("20.00", "match", "agree")],
)
def test_a_difference_between_expected_and_stated_is_named(venue, stated, kind, words):
    Proof.objects.filter(pk=venue.proof.pk).update(amount=Decimal(stated))

    response = as_role(venue, "reviewer").get(page(venue.transaction))

    assert response.context["amount"].kind == kind
    assert words in response.content.decode()


def test_the_same_file_sent_for_another_transaction_is_pointed_out(venue):
    other = more_under_review(venue, 1)[0]  # the factory draws the same picture

    text = as_role(venue, "reviewer").get(page(other)).content.decode()

    assert "The very same file was sent before" in text
    assert venue.transaction.reference in text


def test_the_same_file_in_another_organisation_is_not_told(venue, foreign):
    text = as_role(venue, "reviewer").get(page(venue.transaction)).content.decode()

    assert "The very same file" not in text
    assert foreign.transaction.reference not in text


def test_approving_confirms_the_bookings_and_opens_the_next(venue):
    first, second = more_under_review(venue, 2)
    user = staff(venue, "reviewer")
    client = signed_in(user)

    response = decide(client, venue.transaction, "approve", queue="1")

    assert response["Location"] == page(first) + "?queue=1"
    venue.transaction.refresh_from_db()
    venue.booking.refresh_from_db()
    assert (venue.transaction.status, venue.transaction.payment_status) == ("approved", "paid")
    assert venue.transaction.decided_by_id == user.pk
    assert venue.booking.status == "confirmed"
    assert CheckInCode.objects.filter(booking=venue.booking).exists()
    line = (
        trail_of(CartTransaction)
        ._default_manager.filter(id=venue.transaction.pk)
        .latest("history_id")
    )
    assert (line.actor_kind, line.actor_id, line.status) == ("staff", user.pk, "approved")
    assert decide(client, first, "approve", queue="1")["Location"] == page(second) + "?queue=1"
    assert decide(client, second, "approve", queue="1")["Location"] == reverse(QUEUE)


def test_after_the_last_of_the_queue_the_list_opens(venue):
    response = decide(as_role(venue, "reviewer"), venue.transaction, "approve", queue="1")

    assert response["Location"] == reverse(QUEUE)


def test_rejecting_needs_a_reason_and_keeps_what_is_open(venue):
    response = decide(as_role(venue, "reviewer"), venue.transaction, "reject", reason="  ")

    assert response.status_code == 409
    assert "Say why" in response.content.decode()
    assert "<details" in response.content.decode()
    venue.transaction.refresh_from_db()
    assert venue.transaction.status == "under_review"


def test_rejecting_gives_the_seats_back_and_keeps_the_reason(venue):
    response = decide(
        as_role(venue, "reviewer"),
        venue.transaction,
        "reject",
        common="The picture cannot be read. Please send a clear one.",
        reason="Half of it is dark.",
    )

    assert response.status_code == 302
    venue.transaction.refresh_from_db()
    venue.slot.refresh_from_db()
    assert venue.transaction.status == "rejected"
    assert venue.transaction.decision_reason == (
        "The picture cannot be read. Please send a clear one. Half of it is dark."
    )
    assert venue.slot.taken_bookings == 0


def test_a_stale_page_decides_nothing_says_what_changed_and_keeps_the_text(venue):
    version = venue.transaction.version
    CartTransaction.objects.filter(pk=venue.transaction.pk).update(note="Please hurry")
    venue.transaction.refresh_from_db()
    assert venue.transaction.version > version

    response = as_role(venue, "reviewer").post(
        reverse("admin:payments_decide", args=[venue.transaction.pk]),
        {"decision": "reject", "version": version, "reason": "A long and careful reason."},
    )

    text = response.content.decode()
    assert response.status_code == 409
    assert "changed while the page was open" in text
    assert "Please hurry" in text
    assert "A long and careful reason." in text
    assert f'name="version" value="{venue.transaction.version}"' in text
    venue.transaction.refresh_from_db()
    assert venue.transaction.status == "under_review"


def test_somebody_faster_is_named(venue):
    colleague = f.MembershipFactory(
        organization=venue.organization, role="manager", user__name="Quick Colleague"
    )
    seen = venue.transaction.version
    f.approve(venue.transaction, colleague)

    response = as_role(venue, "reviewer").post(
        reverse("admin:payments_decide", args=[venue.transaction.pk]),
        {"decision": "reject", "version": seen, "proofs": 1, "reason": "too late"},
    )

    assert response.status_code == 409
    assert "approved already by Quick Colleague" in response.content.decode()
    venue.transaction.refresh_from_db()
    assert venue.transaction.status == "approved"


def test_a_proof_that_came_meanwhile_is_looked_at_before_approval(venue):
    f.submit_proof(venue.transaction, reference="second transfer")

    response = decide(as_role(venue, "reviewer"), venue.transaction, "approve", proofs=1)

    assert response.status_code == 409
    assert "Another proof of payment came in" in response.content.decode()
    assert "second transfer" in response.content.decode()
    venue.transaction.refresh_from_db()
    assert venue.transaction.status == "under_review"


@pytest.mark.parametrize("version", ["", "x", "-1", "9" * 30])
def test_a_decision_without_the_version_that_was_read_is_refused(venue, version):
    response = decide(as_role(venue, "reviewer"), venue.transaction, "approve", version=version)

    assert response.status_code == 400
    venue.transaction.refresh_from_db()
    assert venue.transaction.status == "under_review"


def test_nobody_decides_on_their_own_order(venue):
    membership = f.MembershipFactory(
        organization=venue.organization, role="manager", user=venue.customer.user
    )
    User.objects.filter(pk=membership.user_id).update(is_staff=True)
    client = signed_in(membership.user)

    text = client.get(page(venue.transaction)).content.decode()
    response = decide(client, venue.transaction, "approve")

    assert "This is your own order" in text
    assert 'value="approve"' not in text
    assert response.status_code == 409
    venue.transaction.refresh_from_db()
    assert venue.transaction.status == "under_review"


def test_nobody_takes_the_payment_of_their_own_order(venue):
    booking = confirmed_today(venue)
    transaction = booking.cart_item.transaction
    user = staff(venue, "manager")
    booking.customer.user = user
    booking.customer.save()
    client = signed_in(user)
    take = reverse("admin:payments_take", args=[transaction.pk])

    shown = client.get(page(transaction)).content.decode()
    refused = client.post(take, follow=True)

    assert "Ask a colleague to take the payment" in shown
    assert take not in shown
    assert "nobody decides on their own order" in " ".join(map(str, refused.context["messages"]))
    transaction.refresh_from_db()
    assert transaction.payment_status == "pending"
    assert take in as_role(venue, "owner").get(page(transaction)).content.decode()


def test_a_pending_payment_is_called_a_payment(venue):
    transaction = confirmed_today(venue).cart_item.transaction

    assert "Payment: pending" in as_role(venue, "owner").get(page(transaction)).content.decode()


@pytest.mark.parametrize("role", ["front_desk", "provider"])
def test_roles_that_do_not_decide_get_no_button_and_no_way_around_it(venue, role):
    client = as_role(venue, role)

    shown = client.get(page(venue.transaction))
    answer = decide(client, venue.transaction, "approve")

    assert 'value="approve"' not in shown.content.decode()
    assert answer.status_code in (403, 404)
    venue.transaction.refresh_from_db()
    assert venue.transaction.status == "under_review"


def test_a_transaction_is_not_changed_by_posting_its_fields(venue):
    for role in ("owner", "manager"):
        client = as_role(venue, role)
        response = client.post(page(venue.transaction), {"status": "approved", "amount": "0.01"})
        assert response.status_code == 403

    venue.transaction.refresh_from_db()
    assert (venue.transaction.status, venue.transaction.amount) == ("under_review", Decimal(20))


def test_cancelling_a_transaction_frees_its_seats(venue):
    client = as_role(venue, "front_desk")
    address = reverse("admin:payments_cancel", args=[venue.transaction.pk])
    fields = {"version": venue.transaction.version, "cancel_reason": ""}

    refused = client.post(address, fields)
    done = client.post(address, {**fields, "cancel_reason": "called us"})

    assert (refused.status_code, done.status_code) == (409, 302)
    venue.transaction.refresh_from_db()
    venue.slot.refresh_from_db()
    assert (venue.transaction.status, venue.slot.taken_units) == ("cancelled", 0)


def test_payment_on_arrival_is_taken_once(venue):
    slot = f.make_slot(venue.resource, starts_at=f.soon(60))
    made = f.approve(f.check_out(venue.customer, slot, method="pay_on_arrival"))
    user = staff(venue, "front_desk")
    client = signed_in(user)
    assert "was paid on arrival" in client.get(page(made)).content.decode()

    address = reverse("admin:payments_take", args=[made.pk])
    client.post(address, {"note": "cash"})
    again = client.post(address, {"note": "cash"}, follow=True)

    made.refresh_from_db()
    assert made.payment_status == "paid"
    assert "its payment is paid" in again.content.decode()
    lines = trail_of(CartTransaction)._default_manager.filter(id=made.pk, payment_status="paid")
    assert [(li.actor_id, li.history_change_reason) for li in lines] == [(user.pk, "cash")]


# --- files -----------------------------------------------------------------------------------


def test_a_picture_is_served_sealed_and_its_original_as_a_download(venue):
    client = as_role(venue, "reviewer")

    image = client.get(reverse("admin:payments_proof_image", args=[venue.proof.pk]))
    original = client.get(reverse("admin:payments_proof_file", args=[venue.proof.pk]))

    for response in (image, original):
        assert response["X-Content-Type-Options"] == "nosniff"
        assert "sandbox" in response["Content-Security-Policy"]
        assert "default-src 'none'" in response["Content-Security-Policy"]
        assert "no-store" in response["Cache-Control"]
    assert image["Content-Type"] == "image/png"
    assert Image.open(io.BytesIO(image.content)).size == (60, 40)
    assert original["Content-Disposition"].startswith("attachment;")
    assert b"".join(original.streaming_content) == image.content  # type: ignore[attr-defined]


def test_the_first_page_of_a_pdf_is_shown_as_a_picture(venue):
    proof = submit_pdf(venue)
    client = as_role(venue, "reviewer")

    image = client.get(reverse("admin:payments_proof_image", args=[proof.pk]))
    original = client.get(reverse("admin:payments_proof_file", args=[proof.pk]))

    assert image["Content-Type"] == "image/png"
    assert max(Image.open(io.BytesIO(image.content)).size) == files.PREVIEW_PIXELS
    assert original["Content-Type"] == "application/pdf"
    assert original["Content-Disposition"].startswith("attachment;")
    original.close()


def submit_pdf(venue: Venue) -> Proof:
    from pypdf import PdfWriter

    out = io.BytesIO()
    writer = PdfWriter()
    writer.add_blank_page(width=300, height=400)
    writer.write(out)
    with files.stored(files.examine(out.getvalue(), "transfer.pdf")) as file:
        return proofs.submit(
            transaction_id=venue.transaction.pk,
            organization_id=venue.organization.pk,
            customer=venue.customer,
            file=file,
            actor=f.actor_of(venue.customer),
            now=timezone.now(),
        )


def test_a_missing_file_is_a_clear_404(venue):
    proof_storage().delete(venue.proof.file.name)
    client = as_role(venue, "reviewer")

    for name in ("admin:payments_proof_image", "admin:payments_proof_file"):
        assert client.get(reverse(name, args=[venue.proof.pk])).status_code == 404


def test_providers_and_strangers_get_no_file(venue, client):
    address = reverse("admin:payments_proof_file", args=[venue.proof.pk])

    assert as_role(venue, "provider").get(address).status_code == 404
    assert client.get(address).status_code == 302


# --- many ------------------------------------------------------------------------------------

MANY = "admin:payments_review_many"


def test_many_are_confirmed_with_sums_before_anything_happens(venue):
    others = more_under_review(venue, 2)
    ids = [t.pk for t in (venue.transaction, *others)]

    response = as_role(venue, "reviewer").post(reverse(MANY), {"ids": ids, "decision": "approve"})

    text = response.content.decode()
    assert response.context["sums"] == ["60.00\N{NO-BREAK SPACE}EUR"]
    assert "3 transactions" in text
    assert "3 bookings are confirmed" in text
    assert set(CartTransaction.objects.values_list("status", flat=True)) == {"under_review"}


def test_one_bad_row_does_not_stop_the_others(venue, monkeypatch):
    """Decided by a colleague, one's own order, changed meanwhile, a bug, and two good ones."""
    user = staff(venue, "reviewer")
    rows = more_under_review(venue, 5)
    decided, own, changed, broken, good = rows
    versions = {f"version_{t.pk}": t.version for t in (venue.transaction, *rows)}
    f.approve(decided, f.MembershipFactory(organization=venue.organization, user__name="Colleague"))
    own.customer.user = user
    own.customer.save()
    CartTransaction.objects.filter(pk=changed.pk).update(note="new")
    from payments.services import decisions

    honest = decisions.approve

    def with_a_bug(**kwargs):
        if kwargs["transaction_id"] == broken.pk:
            raise RuntimeError("a bug")
        return honest(**kwargs)

    monkeypatch.setattr(decisions, "approve", with_a_bug)

    response = signed_in(user).post(
        reverse(MANY),
        {
            "ids": [venue.transaction.pk, *(t.pk for t in rows)],
            "decision": "approve",
            "confirmed": "yes",
            **versions,
        },
    )

    outcomes = {o.transaction.pk: o for o in response.context["outcomes"]}
    assert outcomes[venue.transaction.pk].kind == outcomes[good.pk].kind == "done"
    assert "already by Colleague" in outcomes[decided.pk].words
    assert "nobody decides on their own" in outcomes[own.pk].words
    assert "You read version" in outcomes[changed.pk].words
    assert outcomes[broken.pk].kind == "failed"
    assert (response.context["done"], response.context["others"]) == (2, 4)
    statuses = dict(CartTransaction.objects.values_list("pk", "status"))
    assert statuses[venue.transaction.pk] == statuses[good.pk] == "approved"
    assert {statuses[t.pk] for t in (own, changed, broken)} == {"under_review"}


def test_rejecting_many_needs_one_reason_for_all(venue):
    other = more_under_review(venue, 1)[0]
    client = as_role(venue, "reviewer")
    fields = {
        "ids": [venue.transaction.pk, other.pk],
        "decision": "reject",
        "confirmed": "yes",
        f"version_{venue.transaction.pk}": venue.transaction.version,
        f"version_{other.pk}": other.version,
    }

    refused = client.post(reverse(MANY), fields)
    assert "Say why" in refused.content.decode()
    assert set(CartTransaction.objects.values_list("status", flat=True)) == {"under_review"}

    client.post(reverse(MANY), {**fields, "reason": "No money came."})
    reasons = CartTransaction.objects.values_list("status", "decision_reason")
    assert set(reasons) == {("rejected", "No money came.")}
    assert set(Booking.objects.values_list("status", flat=True)) == {"rejected"}


def test_rejecting_many_can_note_that_their_money_came(venue):
    other = more_under_review(venue, 1)[0]
    client = as_role(venue, "reviewer")
    both = (venue.transaction, other)
    fields = {"ids": [t.pk for t in both], "decision": "reject"}
    assert "has arrived" in client.post(reverse(MANY), fields).content.decode()

    versions = {f"version_{t.pk}": t.version for t in both}
    said = {"confirmed": "yes", "reason": "Closed.", "refund": "on"}
    client.post(reverse(MANY), {**fields, **versions, **said})

    assert set(CartTransaction.objects.values_list("status", "payment_status")) == {
        ("rejected", "paid")
    }
    owed = Refund.objects.filter(transaction__in=both)
    assert list(owed.values_list("amount", "verified")) == [(Decimal(20), True)] * 2


def test_requests_that_are_not_paid_first_have_no_money_that_came(venue):
    slot = f.make_slot(venue.resource, starts_at=f.soon(500))
    made = f.check_out(venue.customer, slot, method="pay_on_arrival")
    client = as_role(venue, "reviewer")
    fields = {"ids": [made.pk], "decision": "reject"}
    assert "has arrived" not in client.post(reverse(MANY), fields).content.decode()
    queue = client.get(f"{reverse(QUEUE)}?tab=requests").content.decode()
    assert "expires in" in queue

    said = {"confirmed": "yes", "reason": "Closed.", "refund": "on"}
    client.post(reverse(MANY), {**fields, **said, f"version_{made.pk}": made.version})

    made.refresh_from_db()
    assert made.status == "rejected"


@pytest.mark.parametrize("role", ["front_desk", "provider"])
def test_many_are_not_for_roles_that_do_not_decide(venue, role):
    response = as_role(venue, role).post(
        reverse(MANY),
        {"ids": [venue.transaction.pk], "decision": "approve", "confirmed": "yes"},
    )

    assert response.status_code == 403
    venue.transaction.refresh_from_db()
    assert venue.transaction.status == "under_review"


def test_choosing_nothing_or_nonsense_changes_nothing(venue):
    client = as_role(venue, "reviewer")

    for data in ({}, {"ids": ["x"], "decision": "approve"}, {"decision": "approve"}):
        response = client.post(reverse(MANY), data, follow=True)
        assert "Choose at least one" in response.content.decode()


def test_a_foreign_next_transaction_is_never_opened(venue):
    make_venue("Another")

    response = decide(as_role(venue, "reviewer"), venue.transaction, "approve", queue="1")

    assert response["Location"] == reverse(QUEUE)
