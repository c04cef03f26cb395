"""Who may open which page: every role, every page (F1, F3, promise 8)."""

import uuid

import pytest
from django.contrib.staticfiles import finders
from django.test import Client
from django.urls import reverse

from tests import factories as f
from tests.admin.conftest import ROLES, as_role, signed_in, superuser

pytestmark = pytest.mark.django_db

EVERYBODY = set(ROLES)
LEADERS = {"owner", "manager"}
DESK = {*LEADERS, "front_desk"}
MONEY = EVERYBODY - {"provider"}

# Page → the roles that may open it. Superusers may open them all; nobody else any.
PAGES: dict[str, set[str]] = {
    "admin:index": EVERYBODY,
    "admin:check_in": DESK | {"provider"},
    "admin:payments_review": LEADERS | {"reviewer"},
    "admin:payments_carttransaction_changelist": MONEY,
    "admin:payments_proof_changelist": MONEY,
    "admin:payments_latepayment_changelist": MONEY,
    "admin:payments_refund_changelist": MONEY,
    "admin:payments_paymentpolicy_changelist": MONEY,
    "admin:bookings_booking_changelist": EVERYBODY,
    "admin:bookings_series_changelist": EVERYBODY,
    "admin:bookings_slot_changelist": EVERYBODY,
    "admin:bookings_slot_make_slots": LEADERS,
    "admin:waitlist_waitlistentry_changelist": EVERYBODY,
    "admin:waitlist_waitlistpolicy_changelist": EVERYBODY,
    "admin:bookings_resource_changelist": EVERYBODY,
    "admin:bookings_resource_add": LEADERS,
    "admin:bookings_customer_changelist": DESK | {"reviewer"},
    "admin:bookings_customer_add": DESK,
    "admin:bookings_organization_changelist": EVERYBODY,
    "admin:bookings_organization_add": set(),
    "admin:bookings_membership_changelist": LEADERS,
    "admin:bookings_membership_add": {"owner"},
    "admin:bookings_user_changelist": set(),
    "admin:account_emailaddress_changelist": set(),
    "admin:django_celery_beat_periodictask_changelist": set(),
    "admin:django_celery_beat_periodictask_add": set(),
    "admin:django_celery_beat_crontabschedule_changelist": set(),
    "admin:django_celery_beat_intervalschedule_changelist": set(),
    "admin:django_celery_beat_clockedschedule_changelist": set(),
    "admin:audit_delivery_changelist": LEADERS,
    "admin:audit_outboxevent_changelist": LEADERS,
    "admin:audit_finding_changelist": LEADERS,
    "admin:audit_consistencyreport_changelist": LEADERS,
}


@pytest.mark.parametrize("role", ROLES)
def test_each_role_opens_its_pages_and_no_others(venue, role):
    client = as_role(venue, role)

    opened = {page for page in PAGES if client.get(reverse(page)).status_code == 200}
    refused = {page for page in PAGES if client.get(reverse(page)).status_code == 403}

    assert opened == {page for page, roles in PAGES.items() if role in roles}
    assert refused == set(PAGES) - opened


def test_superusers_open_every_page(venue):
    client = signed_in(superuser())

    assert {client.get(reverse(page)).status_code for page in PAGES} == {200}


def test_nobody_opens_a_page_without_signing_in(venue, client):
    for page in PAGES:
        response = client.get(reverse(page))
        assert response.status_code == 302, page
        assert response["Location"].startswith(reverse("admin:login"))


@pytest.mark.parametrize("role", ROLES)
def test_the_sidebar_offers_only_pages_that_open(venue, role):
    client = as_role(venue, role)
    context = client.get(reverse("admin:index")).context

    links = [item["link"] for group in context["sidebar_navigation"] for item in group["items"]]

    assert len(links) >= 4
    assert {client.get(link).status_code for link in links} == {200}


def test_groups_are_not_there_because_roles_are_memberships(venue):
    assert signed_in(superuser()).get("/admin/auth/group/").status_code == 404


def test_a_customer_is_told_that_the_staff_page_is_not_theirs(venue, client):
    user = venue.customer.user

    response = client.post(reverse("admin:login"), {"username": user.email, "password": f.PASSWORD})

    assert response.status_code == 200
    assert "your account is a customer" in response.content.decode()
    assert "_auth_user_id" not in client.session


def test_a_wrong_password_says_nothing_about_the_account(venue, client):
    for email in (venue.customer.user.email, "nobody@example.com"):
        response = client.post(reverse("admin:login"), {"username": email, "password": "wrong"})
        assert "do not fit together" in response.content.decode()
        assert "customer&#x27;s" not in response.content.decode()


def sign_in(email, password, address="203.0.113.1"):
    return Client(REMOTE_ADDR=address).post(
        reverse("admin:login"), {"username": email, "password": password, "next": "/admin/"}
    )


def never_seen(venue):
    """Somebody whose address no earlier run has counted."""
    return f.MembershipFactory(
        organization=venue.organization,
        user__email=f"{uuid.uuid4()}@example.com",
        user__is_staff=True,
    ).user


def test_passwords_cannot_be_guessed_at_the_staff_door(venue, foreign):
    user, other = never_seen(venue), foreign.membership.user

    guesses = [sign_in(user.email, "wrong", f"203.0.113.{n}") for n in range(6)]

    assert [("Too many" in g.content.decode()) for g in guesses] == [False] * 5 + [True]
    right = sign_in(user.email, f.PASSWORD, "203.0.113.77")
    assert right.status_code == 200
    assert "Too many" in right.content.decode()
    assert "sessionid" not in right.cookies
    assert sign_in(other.email, f.PASSWORD, "203.0.113.77").status_code == 302


def test_wrong_passwords_count_at_both_doors_together(venue):
    user = never_seen(venue)
    for n in range(5):
        Client(REMOTE_ADDR=f"203.0.113.{n}").post(
            "/_allauth/app/v1/auth/login",
            {"email": user.email, "password": "wrong"},
            content_type="application/json",
        )

    assert sign_in(user.email, f.PASSWORD).status_code == 200


def test_right_passwords_are_not_counted(venue):
    user = venue.membership.user

    assert {sign_in(user.email, f.PASSWORD).status_code for _ in range(12)} == {302}


def test_staff_sign_in_and_land_on_the_dashboard(venue, client):
    page = client.get(reverse("admin:login"))
    user = venue.membership.user

    response = client.post(
        reverse("admin:login"),
        {"username": user.email.upper(), "password": f.PASSWORD, "next": page.context["next"]},
    )

    assert response.status_code == 302
    assert response["Location"] == reverse("admin:index")


def test_a_role_that_is_taken_away_closes_the_pages_at_once(venue):
    client = as_role(venue, "reviewer")
    assert client.get(reverse("admin:payments_review")).status_code == 200

    venue.organization.memberships.filter(role="reviewer").delete()

    assert client.get(reverse("admin:payments_review")).status_code == 403


def test_a_closed_organisation_gives_its_staff_nothing(venue):
    client = as_role(venue, "manager")
    venue.organization.is_active = False
    venue.organization.save()

    assert client.get(reverse("admin:bookings_booking_changelist")).status_code == 403


@pytest.mark.parametrize("address", ["https://elsewhere.example/", "//elsewhere.example", ""])
def test_a_foreign_address_after_signing_in_leads_to_the_dashboard(venue, client, address):
    response = client.post(
        reverse("admin:login"),
        {"username": venue.membership.user.email, "password": f.PASSWORD, "next": address},
    )

    assert response.status_code == 302
    assert response["Location"] == reverse("admin:index")


def test_the_pages_have_an_icon(client):
    page = client.get(reverse("admin:login")).content.decode()

    assert "holdfast/favicon.svg" in page
    assert finders.find("holdfast/favicon.svg")


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("admin:audit_finding_changelist", "everything that was checked agrees"),
        ("admin:audit_consistencyreport_changelist", "No check has run yet"),
        ("admin:audit_delivery_changelist", "No messages yet"),
        ("admin:audit_outboxevent_changelist", "No events yet"),
        ("admin:payments_review", "No proof of payment waits"),
        ("admin:bookings_customer_changelist", "There is nothing here yet"),
    ],
)
def test_an_empty_list_says_what_that_means(db, page, words):
    client = signed_in(superuser())

    text = client.get(reverse(page)).content.decode()

    assert words in text
    assert "yielded into" not in text


def test_a_list_that_filters_emptied_says_so(venue):
    client = signed_in(superuser())

    text = client.get(reverse("admin:bookings_customer_changelist"), {"q": "nobody"}).content

    assert "Nothing matches this search" in text.decode()
    assert "There is nothing here yet" not in text.decode()
