"""No organisation sees or touches another's anything, on any page (F1, promises 3 and 8)."""

from __future__ import annotations

import zoneinfo
from datetime import UTC, datetime

import pytest
from django.contrib import admin
from django.core import signing
from django.urls import reverse

from bookings import codes
from bookings.models import Booking, Customer, Membership, Resource, Slot
from payments.models import CartTransaction, PaymentPolicy
from tests import factories as f
from tests.admin.conftest import (
    ROLES,
    RULES,
    as_role,
    confirmed_today,
    make_venue,
    signed_in,
    staff,
    superuser,
)

pytestmark = pytest.mark.django_db

SCOPED = [
    m for m in admin.site._registry if m._meta.app_label in ("bookings", "payments", "waitlist")
]
LISTED = [m for m in SCOPED if m._meta.label != "bookings.User"]


def url(obj: object, page: str) -> str:
    meta = obj._meta  # type: ignore[attr-defined]
    return reverse(f"admin:{meta.app_label}_{meta.model_name}_{page}", args=[obj.pk])  # type: ignore[attr-defined]


@pytest.fixture
def venue(venue):
    assert venue.refund
    assert venue.series
    return venue


@pytest.fixture
def foreign(foreign):
    assert foreign.refund
    assert foreign.series
    return foreign


def list_url(model: type) -> str:
    found = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")  # type: ignore[attr-defined]
    return found + {"WaitlistEntry": "?line=all", "Refund": "?state=all"}.get(model.__name__, "")


@pytest.mark.parametrize("model", LISTED, ids=lambda m: m._meta.label)
def test_lists_show_rows_of_ones_own_organisation_only(venue, foreign, model):
    client = as_role(venue, "owner")

    rows = list(client.get(list_url(model)).context["cl"].queryset)

    mine = {str(o.pk) for o in venue.objects()}
    assert rows
    assert {str(r.pk) for r in rows} <= mine | {str(venue.membership.pk)}
    assert not {str(r.pk) for r in rows} & {str(o.pk) for o in foreign.objects()}


def test_a_superuser_sees_both_organisations(venue, foreign):
    client = signed_in(superuser())

    for model in LISTED:
        rows = client.get(list_url(model)).context["cl"].queryset
        assert rows.count() >= 2, model


@pytest.mark.parametrize("role", ROLES)
def test_pages_of_a_foreign_object_open_for_nobody(venue, foreign, role):
    client = as_role(venue, role)

    for obj in foreign.objects():
        for page in ("change", "history", "delete"):
            for method in (client.get, client.post):
                response = method(url(obj, page), {"post": "yes"})
                assert response.status_code in (302, 403, 404), (obj, page)
                if response.status_code == 302:
                    assert response["Location"] == reverse("admin:index"), (obj, page)


@pytest.mark.parametrize("role", ROLES)
def test_buttons_do_nothing_to_a_foreign_object(venue, foreign, role):
    client = as_role(venue, role)
    t, b, s = foreign.transaction, foreign.booking, foreign.slot
    posts = [
        (reverse("admin:payments_decide", args=[t.pk]), {"decision": "approve", "version": 2}),
        (
            reverse("admin:payments_decide", args=[t.pk]),
            {"decision": "reject", "version": 2, "reason": "no"},
        ),
        (reverse("admin:payments_take", args=[t.pk]), {}),
        (reverse("admin:payments_cancel", args=[t.pk]), {"cancel_reason": "no"}),
        (
            reverse("admin:bookings_booking_cancel_this", args=[b.pk]),
            {"_form_submitted": "on", "reason": "no"},
        ),
        (reverse("admin:bookings_booking_check_in_this", args=[b.pk]), {"_form_submitted": "on"}),
        (
            reverse("admin:bookings_slot_close_this", args=[s.pk]),
            {"_form_submitted": "on", "reason": "no"},
        ),
        (
            reverse("admin:payments_refund_reopen_this", args=[foreign.refund.pk]),
            {"_form_submitted": "on", "reason": "no"},
        ),
        (
            reverse("admin:bookings_slot_change_capacity_this", args=[s.pk]),
            {"_form_submitted": "on", "reason": "no", "max_bookings": 99, "max_units": 99},
        ),
    ]

    answers = {client.post(address, data).status_code for address, data in posts}

    assert answers <= {403, 404}
    t.refresh_from_db()
    b.refresh_from_db()
    s.refresh_from_db()
    foreign.refund.refresh_from_db()
    assert foreign.refund.status == "waived"
    assert (t.status, b.status, s.status, s.max_bookings) == ("under_review", "pending", "open", 10)


@pytest.mark.parametrize("role", ROLES)
def test_files_of_another_organisation_are_not_there(venue, foreign, role):
    client = as_role(venue, role)

    for name in ("admin:payments_proof_image", "admin:payments_proof_file"):
        assert client.get(reverse(name, args=[foreign.proof.pk])).status_code == 404


def test_bulk_actions_pass_over_foreign_rows(venue, foreign):
    client = as_role(venue, "manager")
    ids = [venue.slot.pk, foreign.slot.pk]

    client.post(
        reverse("admin:bookings_slot_changelist"),
        {
            "action": "close_chosen",
            "_selected_action": ids,
            "confirmed": "yes",
            "reason": "painting",
        },
    )

    assert Slot.objects.get(pk=venue.slot.pk).status == "closed"
    assert Slot.objects.get(pk=foreign.slot.pk).status == "open"


@pytest.mark.parametrize("confirmed", ["", "yes"])
def test_bulk_approval_passes_over_foreign_rows(venue, foreign, confirmed):
    client = as_role(venue, "reviewer")

    response = client.post(
        reverse("admin:payments_review_many"),
        {"ids": [foreign.transaction.pk], "decision": "approve", "confirmed": confirmed},
    )

    assert response.status_code == 302
    assert CartTransaction.objects.get(pk=foreign.transaction.pk).status == "under_review"


def test_autocomplete_offers_only_ones_own(venue, foreign):
    """The autocomplete view answers for fields of registered forms; none offers foreign rows."""
    client = as_role(venue, "owner")

    for app, model, field in [
        ("bookings", "resource", "organization"),
        ("bookings", "resource", "provider"),
        ("bookings", "slot", "resource"),
        ("payments", "carttransaction", "customer"),
    ]:
        response = client.get(
            reverse("admin:autocomplete"),
            {"app_label": app, "model_name": model, "field_name": field, "term": ""},
        )
        assert foreign.organization.name not in response.content.decode()
        assert foreign.customer.name not in response.content.decode()
        assert "Theirs" not in response.content.decode()


def test_choices_in_forms_are_ones_own(venue, foreign):
    other = f.MembershipFactory(organization=venue.organization, role="provider")
    client = as_role(venue, "owner")

    form = client.get(reverse("admin:bookings_resource_add")).context["adminform"].form

    assert set(form.fields["organization"].queryset) == {venue.organization}
    assert set(form.fields["provider"].queryset) == {venue.membership.user, other.user}
    make = client.get(reverse("admin:bookings_slot_make_slots")).context["form"]
    assert set(make.fields["resource"].queryset) == {venue.resource}


def test_choices_of_filters_are_ones_own(venue, foreign):
    client = as_role(venue, "owner")

    for model in (Slot, Booking, CartTransaction, Customer):
        text = client.get(list_url(model)).content.decode()
        assert "Theirs" not in text, model


def test_a_filter_by_a_foreign_object_shows_nothing(venue, foreign):
    client = as_role(venue, "owner")

    response = client.get(
        list_url(Booking), {"slot__resource__id__exact": str(foreign.resource.pk)}
    )

    assert list(response.context["cl"].result_list) == []


def test_lookups_through_relations_are_refused(venue):
    client = as_role(venue, "owner")

    response = client.get(list_url(Booking), {"customer__user__password__startswith": "p"})

    assert response.status_code == 400


@pytest.mark.parametrize("field", ["organization", "provider"])
def test_a_posted_foreign_key_of_another_organisation_is_refused(venue, foreign, field):
    client = as_role(venue, "owner")
    data = {
        "organization": str(venue.organization.pk),
        "name": "Court 9",
        "kind": "place",
        "time_zone": "Europe/Berlin",
        "buffer_before_minutes": 0,
        "buffer_after_minutes": 0,
        **RULES,
        "prices-TOTAL_FORMS": 0,
        "prices-INITIAL_FORMS": 0,
    }
    foreign_keys = {"organization": foreign.organization, "provider": foreign.membership.user}
    data[field] = str(foreign_keys[field].pk)

    response = client.post(reverse("admin:bookings_resource_add"), data)

    assert response.status_code == 200
    assert field in response.context["adminform"].form.errors
    assert not Resource.objects.filter(name="Court 9").exists()


def test_an_organisation_cannot_be_changed_afterwards(venue, foreign):
    user = staff(venue, "owner")
    Membership.objects.create(user=user, organization=foreign.organization, role="owner")
    client = signed_in(user)

    client.post(
        url(venue.customer, "change"),
        {
            "organization": str(foreign.organization.pk),
            "name": "Moved",
            "language": "en",
        },
    )

    venue.customer.refresh_from_db()
    assert venue.customer.name == "Moved"
    assert venue.customer.organization_id == venue.organization.pk


def test_two_roles_count_each_in_its_own_organisation(venue, foreign):
    """A manager here who is a reviewer there changes settings here only."""
    user = staff(venue, "manager")
    Membership.objects.create(user=user, organization=foreign.organization, role="reviewer")
    client = signed_in(user)

    seen = client.get(list_url(PaymentPolicy)).context["cl"].queryset
    assert set(seen) == {venue.policy, foreign.policy}
    sent = {"instructions": "Bank", "review_hours": 6}
    assert client.post(url(foreign.policy, "change"), sent).status_code == 403
    assert client.post(url(venue.policy, "change"), sent).status_code == 302
    foreign.policy.refresh_from_db()
    venue.policy.refresh_from_db()
    assert (venue.policy.instructions, foreign.policy.instructions) == ("Bank", "")
    assert (venue.policy.review_hours, foreign.policy.review_hours) == (6, 24)


def test_ctrl_k_finds_only_ones_own(venue, foreign):
    client = as_role(venue, "owner")

    def search(term: str) -> str:
        return client.get(reverse("admin:search"), {"s": term, "extended": "1"}).content.decode()

    assert venue.booking.reference in search(venue.booking.reference)
    assert "Ours Customer" in search("Customer")
    assert "Theirs" not in search("Customer")
    assert foreign.booking.reference not in search(foreign.booking.reference[:5])
    assert foreign.transaction.reference not in search(foreign.transaction.reference)


def test_ctrl_k_shows_providers_no_customers_and_no_money(venue):
    client = as_role(venue, "provider")

    text = client.get(reverse("admin:search"), {"s": "Ours", "extended": "1"}).content.decode()

    assert "Ours Customer" not in text
    assert (
        venue.transaction.reference
        not in client.get(
            reverse("admin:search"), {"s": venue.transaction.reference, "extended": "1"}
        ).content.decode()
    )


def test_the_dashboard_counts_only_ones_own(venue, foreign):
    client = as_role(venue, "owner")

    tiles = {t["name"]: t for t in client.get(reverse("admin:index")).context["tiles"]}

    assert tiles["Wait for review"]["figure"] == 1


def test_providers_see_the_people_of_their_own_resources_only(venue):
    user = staff(venue, "provider")
    mine = f.ResourceFactory(organization=venue.organization, name="Mine", provider=user)
    slot = f.make_slot(mine)
    booking = f.hold(venue.customer, slot)
    client = signed_in(user)

    assert set(client.get(list_url(Booking)).context["cl"].queryset) == {booking}
    assert set(client.get(list_url(Slot)).context["cl"].queryset) == {slot}
    assert set(client.get(list_url(Resource)).context["cl"].queryset) == {mine}
    assert client.get(url(venue.booking, "change")).status_code == 302
    assert client.get(url(venue.booking, "history")).status_code == 404
    assert client.get(url(booking, "change")).status_code == 200


def test_a_provider_cannot_check_in_a_colleagues_booking(venue):
    booking = confirmed_today(venue)
    code = codes.derive(booking.pk, booking.check_in_code.nonce)
    client = as_role(venue, "provider")

    response = client.post(reverse("admin:check_in"), {"code": code}, follow=True)

    assert response.context["answer"].kind == "unknown_code"
    assert "Guest of Today" not in response.content.decode()
    booking.refresh_from_db()
    assert booking.status == "confirmed"


def test_a_foreign_code_or_reference_is_unknown_at_check_in(venue, foreign):
    booking = confirmed_today(foreign)
    client = as_role(venue, "front_desk")

    for typed in (codes.derive(booking.pk, booking.check_in_code.nonce), booking.reference):
        response = client.post(reverse("admin:check_in"), {"code": typed}, follow=True)
        assert response.context["answer"].kind == "unknown_code"
        assert "Guest of Today" not in response.content.decode()
    assert client.post(reverse("admin:check_in"), {"booking": booking.pk}).status_code == 404
    assert client.post(reverse("admin:check_in_pay"), {"booking": booking.pk}).status_code == 404
    booking.refresh_from_db()
    assert booking.status == "confirmed"


def test_an_answer_for_another_organisation_shows_no_name(venue, foreign):
    """The signed address of an answer is no key: what it names is looked up in one's own."""
    booking = confirmed_today(foreign)
    signed = signing.dumps(["checked_in", "", str(booking.pk)], salt="holdfast.check-in-answer")

    response = as_role(venue, "owner").get(reverse("admin:check_in"), {"answer": signed})

    assert "Guest of Today" not in response.content.decode()


def test_every_scoped_admin_is_covered_here(venue):
    """A model that is registered later must be in the venue, or these tests miss it."""
    covered = {type(o) for o in venue.objects()}

    assert covered == set(LISTED)


def test_the_control_shows_that_the_venue_is_visible_to_its_own_staff(venue):
    """Without this, a page that shows nothing to anybody would pass every test above."""
    client = as_role(venue, "owner")
    own = make_venue("Third")

    for obj in venue.objects():
        answer = client.get(url(obj, "change"))
        expected = 302 if obj == venue.proof else 200  # a proof leads to its transaction
        assert answer.status_code == expected, obj
        assert client.get(url(obj, "history")).status_code == 200, obj
    assert client.get(url(own.booking, "change")).status_code == 302


# --- what the database cannot take -------------------------------------------------------------

NUL_PAGES = [
    ("admin:check_in", "q"),
    ("admin:check_in", "answer"),
    ("admin:search", "s"),
    ("admin:payments_review", "q"),
    ("admin:payments_review", "page"),
    ("admin:bookings_slot_make_slots", "resource"),
    ("admin:audit_finding_changelist", "status__exact"),
    ("admin:audit_delivery_changelist", "status__exact"),
    *(
        (f"admin:{model}_changelist", name)
        for model, name in [
            ("bookings_booking", "q"),
            ("bookings_booking", "when"),
            ("bookings_booking", "status__exact"),
            ("bookings_customer", "q"),
            ("bookings_customer", "organization__id__exact"),
            ("bookings_resource", "q"),
            ("bookings_slot", "q"),
            ("bookings_slot", "starts_at__gte"),
            ("bookings_membership", "q"),
            ("bookings_organization", "q"),
            ("bookings_user", "q"),
            ("payments_carttransaction", "q"),
            ("payments_carttransaction", "payment_method__exact"),
            ("payments_proof", "q"),
            ("payments_refund", "q"),
            ("payments_refund", "state"),
            ("waitlist_waitlistentry", "q"),
            ("waitlist_waitlistentry", "line"),
            ("waitlist_waitlistentry", "when"),
        ]
    ),
]


@pytest.mark.parametrize(("page", "name"), NUL_PAGES)
def test_a_nul_in_an_address_breaks_no_page(venue, page, name):
    client = signed_in(superuser())

    for text in ("\0", "\0ab", "a\0b"):
        assert client.get(reverse(page), {name: text}, follow=True).status_code == 200


def test_a_nul_among_what_is_typed_is_left_out(venue):
    client = signed_in(superuser())

    assert client.post(reverse("admin:check_in"), {"code": "\0"}, follow=True).status_code == 200
    decided = client.post(
        reverse("admin:payments_decide", args=[venue.transaction.pk]),
        {
            "decision": "reject",
            "reason": "no\0t paid",
            "version": venue.transaction.version,
        },
    )

    assert decided.status_code == 302
    venue.transaction.refresh_from_db()
    assert venue.transaction.status == "rejected"
    assert venue.transaction.decision_reason == "not paid"


def test_a_nul_in_the_reason_of_a_change_is_left_out(venue):
    client = signed_in(superuser())
    url = reverse("admin:bookings_membership_change", args=[venue.membership.pk])

    assert client.post(url, {"role": "owner", "change_reason": "a\0b"}).status_code in (200, 302)


# --- whose clock -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zones", "expected"),
    [
        (("Europe/Berlin", "Europe/Vienna"), "Europe/Berlin"),
        (("Europe/Vienna", "Europe/Vienna"), "Europe/Vienna"),
        (("Europe/Berlin", "Asia/Tokyo"), "UTC"),
    ],
)
def test_whoever_works_in_two_places_reads_their_clock_if_it_is_the_same(
    venue, foreign, zones, expected
):
    user = venue.membership.user
    f.MembershipFactory(organization=foreign.organization, user=user, role="owner")
    for place, zone in zip((venue, foreign), zones, strict=True):
        place.organization.time_zone = zone
        place.organization.save()

    page = signed_in(user).get(reverse("admin:index"))

    assert f"({expected})" in page.content.decode()


def test_moments_are_written_in_one_way(venue):
    from audit.admin.scope import moment

    assert moment(datetime(2026, 3, 4, 17, 5, tzinfo=UTC)) == "Wed 4 Mar 2026, 17:05"
    page = as_role(venue, "owner").get(reverse("admin:bookings_slot_history", args=[venue.slot.pk]))
    shown = page.content.decode()
    starts = venue.slot.starts_at.astimezone(zoneinfo.ZoneInfo("Europe/Berlin"))
    assert f"{starts:%a} {starts.day} {starts:%b %Y, %H:%M}" in shown
    assert "a.m." not in shown
    assert "p.m." not in shown
