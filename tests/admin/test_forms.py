"""Changes by form: a name and a reason in the trail, refusals as messages, nothing typed over
that a service owns (B7, B10, F1, promise 6)."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from allauth.account.models import EmailAddress
from django.contrib.admin.models import LogEntry
from django.urls import reverse

from audit.history import trail_of
from bookings.models import Customer, Membership, Organization, Resource, Slot, User
from payments.models import PaymentPolicy, Price
from tests import factories as f
from tests.admin.conftest import RULES, as_role, signed_in, staff, superuser

# Refusals of the database end real transactions.
pytestmark = pytest.mark.django_db(transaction=True)

NO_PRICES = {"prices-TOTAL_FORMS": 0, "prices-INITIAL_FORMS": 0}


def change(obj) -> str:
    meta = obj._meta
    return reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[obj.pk])


def add(model) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_add")


def newest(obj):
    """The newest line of an object's trail."""
    return (
        trail_of(type(obj))
        ._default_manager.filter(**{obj._meta.pk.attname: obj.pk})
        .latest("history_id")
    )


def resource_form(resource: Resource, **changes) -> dict:
    return {
        "organization": str(resource.organization_id),
        "name": resource.name,
        "kind": resource.kind,
        "is_active": "on",
        "time_zone": resource.time_zone,
        "buffer_before_minutes": 0,
        "buffer_after_minutes": 0,
        **RULES,
        **NO_PRICES,
        **changes,
    }


def test_a_change_carries_the_name_the_reason_and_the_origin(venue):
    user = staff(venue, "manager")

    response = signed_in(user).post(
        change(venue.customer),
        {"name": "New Name", "language": "en", "change_reason": "misspelt on the phone"},
        HTTP_USER_AGENT="Desk 1",
    )

    assert response.status_code == 302
    line = newest(venue.customer)
    assert (line.actor_kind, line.actor_id, line.actor_label) == ("staff", user.pk, user.name)
    assert line.history_change_reason == "misspelt on the phone"
    assert (line.name, line.user_agent, line.ip) == ("New Name", "Desk 1", "127.0.0.1")
    assert line.request_id


def test_the_reason_may_stay_empty(venue):
    signed_in(staff(venue, "manager")).post(
        change(venue.customer), {"name": "Other", "language": "en"}
    )

    assert newest(venue.customer).history_change_reason == ""


def test_a_new_row_carries_the_name_too(venue):
    user = staff(venue, "front_desk")

    signed_in(user).post(
        add(Customer),
        {"organization": str(venue.organization.pk), "name": "Walk-in", "language": "en"},
    )

    made = Customer.objects.get(name="Walk-in")
    assert made.organization_id == venue.organization.pk
    assert newest(made).actor_id == user.pk


def test_djangos_own_log_is_not_written_beside_the_trail(venue):
    signed_in(staff(venue, "manager")).post(
        change(venue.customer), {"name": "Other", "language": "en"}
    )

    assert not LogEntry.objects.exists()


def test_the_history_page_tells_who_and_why(venue):
    client = signed_in(staff(venue, "manager"))
    client.post(
        change(venue.customer),
        {"name": "New Name", "language": "en", "change_reason": "asked for it"},
    )

    address = reverse("admin:bookings_customer_history", args=[venue.customer.pk])
    text = client.get(address).content.decode()

    assert "asked for it" in text
    assert "New Name" in text


def test_a_violated_constraint_is_a_message_and_nothing_typed_is_lost(venue):
    """The name is unique per organisation; the form cannot know (the organisation is fixed)."""
    other = f.ResourceFactory(organization=venue.organization, name="Taken")
    client = as_role(venue, "manager")

    response = client.post(
        change(venue.resource),
        resource_form(venue.resource, name="Taken", description="Long and careful"),
    )

    text = response.content.decode()
    assert response.status_code == 200
    assert "resource" in text
    assert "Long and careful" in text
    assert response.context["adminform"].form.errors
    venue.resource.refresh_from_db()
    assert venue.resource.name == "Ours hall"
    assert trail_of(Resource)._default_manager.filter(id=venue.resource.pk).count() == 1
    assert other.name == "Taken"


def test_what_only_the_database_refuses_is_a_message_too(venue):
    """A resource with slots keeps its kind: a trigger says so, no form does."""
    client = signed_in(superuser())
    free = f.ResourceFactory(organization=venue.organization, exclusive=False)
    page = client.get(change(free))
    assert "exclusive" in page.context["adminform"].form.fields
    f.make_slot(free)  # a colleague makes a slot while the form is open

    response = client.post(
        change(free), resource_form(free, exclusive="on", description="typed"), follow=True
    )

    free.refresh_from_db()
    assert free.exclusive is False
    assert response.status_code == 200


def test_a_database_refusal_keeps_the_form_with_its_reason(venue, monkeypatch):
    """The rule named on the form is the one the database named."""
    from bookings.admin.resources import ResourceAdmin

    monkeypatch.setattr(
        ResourceAdmin,
        "save_model",
        lambda self, request, obj, form, change: Resource.objects.filter(pk=obj.pk).update(
            exclusive=True
        ),
    )

    response = as_role(venue, "manager").post(
        change(venue.resource), resource_form(venue.resource, description="typed")
    )

    text = response.content.decode()
    assert response.status_code == 200
    assert "The database refused this change" in text
    assert "with slots keeps its kind" in text
    assert "typed" in text
    venue.resource.refresh_from_db()
    assert venue.resource.exclusive is False


def test_status_and_counters_are_not_in_any_form(venue):
    """Posting what a service owns is refused as a whole, whoever posts it."""
    for role in ("owner", "manager"):
        client = as_role(venue, role)
        for obj in (venue.slot, venue.booking, venue.transaction):
            response = client.post(
                change(obj),
                {"status": "cancelled", "taken_units": 0, "units": 99, "amount": "0", "version": 9},
            )
            assert response.status_code == 403, obj
    root = signed_in(superuser())
    for obj in (venue.slot, venue.booking, venue.transaction):
        obj.refresh_from_db()
        assert root.post(change(obj), {"status": "cancelled"}).status_code == 403
        before = {fld.attname: getattr(obj, fld.attname) for fld in obj._meta.fields}
        obj.refresh_from_db()
        assert {fld.attname: getattr(obj, fld.attname) for fld in obj._meta.fields} == before


def test_nothing_that_people_rely_on_can_be_deleted(venue):
    root = signed_in(superuser())

    for obj in (
        venue.booking,
        venue.transaction,
        venue.proof,
        venue.slot,
        venue.customer,
        venue.organization,
        venue.customer.user,
    ):
        meta = obj._meta
        address = reverse(f"admin:{meta.app_label}_{meta.model_name}_delete", args=[obj.pk])
        assert root.post(address, {"post": "yes"}).status_code == 403, obj
        assert type(obj).objects.filter(pk=obj.pk).exists()


def test_extra_fields_in_a_customers_form_do_nothing(venue, foreign):
    as_role(venue, "manager").post(
        change(venue.customer),
        {
            "name": "Same",
            "language": "en",
            "user": str(foreign.customer.user_id),
            "organization": str(foreign.organization.pk),
        },
    )

    user_id = venue.customer.user_id
    venue.customer.refresh_from_db()
    assert venue.customer.name == "Same"
    assert venue.customer.user_id == user_id
    assert venue.customer.organization_id == venue.organization.pk


# --- prices and policies ---------------------------------------------------------------------


def test_prices_are_kept_beside_their_resource_with_name_and_reason(venue):
    user = staff(venue, "manager")

    response = signed_in(user).post(
        change(venue.resource),
        resource_form(
            venue.resource,
            **{
                "prices-TOTAL_FORMS": 2,
                "prices-INITIAL_FORMS": 1,
                "prices-0-id": str(venue.price.pk),
                "prices-0-resource": str(venue.resource.pk),
                "prices-0-name": "Standard",
                "prices-0-amount": "22.50",
                "prices-0-currency": "EUR",
                "prices-0-basis": "booking",
                "prices-0-discount_percent": "0",
                "prices-0-tax_percent": "0",
                "prices-0-priority": "0",
                "prices-1-resource": str(venue.resource.pk),
                "prices-1-name": "Weekend",
                "prices-1-amount": "30",
                "prices-1-currency": "EUR",
                "prices-1-basis": "unit",
                "prices-1-discount_percent": "0",
                "prices-1-tax_percent": "19",
                "prices-1-priority": "5",
                "prices-1-weekdays": ["6", "7"],
                "change_reason": "new season",
            },
        ),
    )

    assert response.status_code == 302, response.context["errors"]
    venue.price.refresh_from_db()
    weekend = Price.objects.get(name="Weekend")
    assert venue.price.amount == Decimal("22.50")
    assert (weekend.weekdays, weekend.organization_id) == ([6, 7], venue.organization.pk)
    for price in (venue.price, weekend):
        line = newest(price)
        assert (line.actor_id, line.history_change_reason) == (user.pk, "new season")


@pytest.mark.parametrize("amount", ["-1", "1000001", "NaN", "1e9"])
def test_a_price_that_makes_no_sense_is_refused(venue, amount):
    response = as_role(venue, "manager").post(
        change(venue.resource),
        resource_form(
            venue.resource,
            **{
                "prices-TOTAL_FORMS": 1,
                "prices-0-resource": str(venue.resource.pk),
                "prices-0-name": "Odd",
                "prices-0-amount": amount,
                "prices-0-currency": "EUR",
                "prices-0-basis": "booking",
                "prices-0-discount_percent": "0",
                "prices-0-tax_percent": "0",
                "prices-0-priority": "0",
            },
        ),
    )

    assert response.status_code == 200
    assert not Price.objects.filter(name="Odd").exists()


def by_the_hour(resource: Resource, currency: str) -> dict:
    """Two new prices by the hour, the second from noon."""
    fields: dict[str, object] = {"prices-TOTAL_FORMS": 2}
    for n, more in enumerate(
        [{"currency": "EUR"}, {"currency": currency, "amount": "40", "from_time": "12:00"}]
    ):
        row: dict[str, object] = {
            "name": f"Hour {n}",
            "amount": "10",
            "basis": "hour",
            "discount_percent": "0",
        }
        row |= {"tax_percent": "0", "priority": n, "resource": str(resource.pk)} | more
        fields |= {f"prices-{n}-{name}": value for name, value in row.items()}
    return fields


def test_prices_by_the_hour_are_kept_and_the_page_says_what_lengths_cost(venue):
    client = as_role(venue, "manager")
    court = f.ResourceFactory(organization=venue.organization, exclusive=True)
    free = {"mode": "free_times", "grid_minutes": 30, "longest_minutes": 180, "exclusive": "on"}

    answer = client.post(
        change(court), resource_form(court, **{**by_the_hour(court, "EUR"), **free})
    )

    assert answer.status_code == 302, answer.context["errors"]
    assert Price.objects.filter(basis="hour").count() == 2
    page = client.get(change(court)).content.decode()
    table = page[page.index("What it costs") :]
    # From ten in the morning and from noon, for as long as three hours: 2 × 10 + 1 × 40.
    assert "60.00" in table
    assert "120.00" in table


def test_prices_by_the_hour_that_cannot_be_added_are_refused(venue):
    answer = as_role(venue, "manager").post(
        change(venue.resource), resource_form(venue.resource, **by_the_hour(venue.resource, "CHF"))
    )

    assert answer.status_code == 200
    assert "one currency" in answer.content.decode()
    assert not Price.objects.filter(basis="hour").exists()


def test_reviewers_see_prices_but_do_not_change_them(venue):
    client = as_role(venue, "reviewer")

    assert client.get(change(venue.resource)).status_code == 200
    assert client.post(change(venue.resource), resource_form(venue.resource)).status_code == 403


def test_an_owner_changes_the_policy_beside_the_organisation(venue):
    user = staff(venue, "owner")

    response = signed_in(user).post(
        change(venue.organization),
        {
            "name": "Ours Courts",
            "email": "new@example.com",
            "time_zone": "Europe/Berlin",
            "hold_minutes": 20,
            "pending_hours": 12,
            "no_show_minutes": "",
            "no_show_limit": 3,
            "no_show_days": 90,
            "reminder_hours": "48, 4",
            "slug": "stolen",
            "waitlist_policy-TOTAL_FORMS": 0,
            "waitlist_policy-INITIAL_FORMS": 0,
            "payment_policy-TOTAL_FORMS": 1,
            "payment_policy-INITIAL_FORMS": 1,
            "payment_policy-0-organization": str(venue.organization.pk),
            "payment_policy-0-accepts_pay_now": "on",
            "payment_policy-0-instructions": "Bank, IBAN",
            "payment_policy-0-review_hours": 6,
        },
    )

    assert response.status_code == 302, response.context["errors"]
    venue.organization.refresh_from_db()
    venue.policy.refresh_from_db()
    assert (venue.organization.hold_minutes, venue.organization.slug) == (20, "ours")
    assert (venue.organization.no_show_minutes, venue.organization.no_show_limit) == (None, 3)
    assert (venue.organization.no_show_days, venue.organization.reminder_hours) == (90, [48, 4])
    assert venue.policy.instructions == "Bank, IBAN"
    assert newest(venue.policy).actor_id == user.pk


def test_what_marks_nobody_as_a_no_show_is_refused_with_the_way_out(venue):
    user = staff(venue, "owner")
    before = venue.organization.no_show_minutes

    response = signed_in(user).post(
        change(venue.organization),
        {
            "name": "Ours Courts",
            "time_zone": "Europe/Berlin",
            "hold_minutes": 20,
            "pending_hours": 12,
            "no_show_minutes": 1_441,
            "no_show_days": 90,
            "reminder_hours": "48, 4",
            "waitlist_policy-TOTAL_FORMS": 0,
            "waitlist_policy-INITIAL_FORMS": 0,
            "payment_policy-TOTAL_FORMS": 0,
            "payment_policy-INITIAL_FORMS": 0,
        },
    )

    assert response.context["adminform"].form.errors["no_show_minutes"] == [
        "At most 1440 minutes, which is a day. Empty: only the staff mark somebody."
    ]
    venue.organization.refresh_from_db()
    assert venue.organization.no_show_minutes == before


def test_an_organisation_made_by_the_operator_gets_its_policy_at_once(venue):
    client = signed_in(superuser())

    response = client.post(
        add(Organization),
        {
            "name": "Brand new",
            "slug": "brand-new",
            "time_zone": "UTC",
            "hold_minutes": 15,
            "pending_hours": 24,
            "no_show_days": 365,
            "reminder_hours": "",
            "is_active": "on",
            "waitlist_policy-TOTAL_FORMS": 0,
            "waitlist_policy-INITIAL_FORMS": 0,
            "payment_policy-TOTAL_FORMS": 1,
            "payment_policy-INITIAL_FORMS": 0,
            "payment_policy-0-accepts_pay_now": "on",
            "payment_policy-0-review_hours": 24,
        },
    )

    assert response.status_code == 302, response.context["errors"]
    assert PaymentPolicy.objects.filter(organization__slug="brand-new").exists()


# --- people ----------------------------------------------------------------------------------


def member_form(venue, **changes) -> dict:
    return {"organization": str(venue.organization.pk), "role": "reviewer", **changes}


def test_a_new_colleague_gets_an_account_a_role_and_a_link_to_choose_a_password(venue, mailoutbox):
    user = staff(venue, "owner")

    response = signed_in(user).post(
        add(Membership), member_form(venue, email="New@Example.com", name="New Colleague")
    )

    assert response.status_code == 302, response.context["errors"]
    made = User.objects.get(email="new@example.com")
    assert (made.name, made.is_staff, made.is_superuser) == ("New Colleague", True, False)
    assert not made.has_usable_password()
    address = EmailAddress.objects.get(user=made)
    assert (address.email, address.primary, address.verified) == ("new@example.com", True, False)
    membership = made.memberships.get()
    assert (membership.role, membership.organization_id) == ("reviewer", venue.organization.pk)
    assert newest(membership).actor_id == user.pk
    assert newest(made).actor_id == user.pk
    [mail] = mailoutbox
    assert mail.to == ["new@example.com"]
    assert "/account/password/reset/key/" in mail.body


def test_the_mailed_link_sets_a_password_and_proves_the_address(venue, foreign, mailoutbox, client):
    as_role(venue, "owner").post(add(Membership), member_form(venue, email="new@example.com"))
    link = re.search(r"/account/password/reset/key/\S+", mailoutbox[0].body)

    done = client.post(
        link[0], {"password1": "a long first one 7", "password2": "a long first one 7"}
    )
    entered = client.post(
        reverse("admin:login"),
        {"username": "new@example.com", "password": "a long first one 7"},
    )

    assert done.status_code == 200
    assert (entered.status_code, entered["Location"]) == (302, reverse("admin:index"))
    assert EmailAddress.objects.get(email="new@example.com").verified
    as_role(foreign, "owner").post(add(Membership), member_form(foreign, email="new@example.com"))
    assert User.objects.get(email="new@example.com").memberships.count() == 2


def test_a_password_that_an_owner_types_for_a_colleague_opens_nothing(venue, client):
    as_role(venue, "owner").post(
        add(Membership),
        member_form(venue, email="new@example.com", password="a long first one 7"),
    )

    client.post(
        reverse("admin:login"),
        {"username": "new@example.com", "password": "a long first one 7"},
    )

    assert User.objects.get(email="new@example.com").is_staff
    assert "_auth_user_id" not in client.session


def test_a_colleague_joins_although_the_mail_server_is_away(venue, monkeypatch):
    def away(*args, **kwargs):
        raise ConnectionRefusedError

    monkeypatch.setattr("django.core.mail.message.EmailMessage.send", away)

    response = as_role(venue, "owner").post(
        add(Membership), member_form(venue, email="new@example.com"), follow=True
    )

    assert User.objects.get(email="new@example.com").memberships.exists()
    assert "could not be sent" in " ".join(map(str, response.context["messages"]))


def test_somebody_with_a_confirmed_account_joins_and_keeps_their_password(venue, mailoutbox):
    user = venue.customer.user
    EmailAddress.objects.create(user=user, email=user.email, verified=True)

    as_role(venue, "owner").post(add(Membership), member_form(venue, email=user.email.upper()))

    user.refresh_from_db()
    assert user.is_staff
    assert user.check_password(f.PASSWORD)
    assert user.memberships.get().role == "reviewer"
    assert mailoutbox == []


@pytest.mark.parametrize("rows", ["none", "unverified", "another address"])
def test_an_account_whose_address_nobody_confirmed_does_not_become_staff(venue, rows):
    user = venue.customer.user
    if rows == "unverified":
        EmailAddress.objects.create(user=user, email=user.email, verified=False)
    if rows == "another address":
        EmailAddress.objects.create(user=user, email="elsewhere@example.com", verified=True)

    response = as_role(venue, "owner").post(add(Membership), member_form(venue, email=user.email))

    user.refresh_from_db()
    assert "never confirmed" in str(response.context["adminform"].form.errors["email"])
    assert not user.is_staff
    assert not user.memberships.exists()


def test_a_superuser_answers_for_an_account_that_is_not_confirmed(venue):
    user = venue.customer.user

    signed_in(superuser()).post(add(Membership), member_form(venue, email=user.email))

    user.refresh_from_db()
    assert user.is_staff


def test_somebody_who_never_followed_the_link_is_invited_once_more(venue, foreign, mailoutbox):
    as_role(venue, "owner").post(add(Membership), member_form(venue, email="new@example.com"))
    as_role(foreign, "owner").post(add(Membership), member_form(foreign, email="new@example.com"))

    made = User.objects.get(email="new@example.com")
    assert made.memberships.count() == 2
    assert [mail.to for mail in mailoutbox] == [["new@example.com"]] * 2


def test_a_further_confirmed_address_leads_to_the_account_that_has_it(venue):
    user = venue.customer.user
    EmailAddress.objects.create(user=user, email="second@example.com", verified=True)

    as_role(venue, "owner").post(add(Membership), member_form(venue, email="second@example.com"))

    assert user.memberships.get().role == "reviewer"
    assert not User.objects.filter(email="second@example.com").exists()


def test_a_colleague_without_a_proper_address_is_refused(venue):
    response = as_role(venue, "owner").post(
        add(Membership), member_form(venue, email="not an address")
    )

    assert "email" in response.context["adminform"].form.errors
    assert venue.organization.memberships.count() == 1


def test_a_manager_sees_the_staff_and_changes_nobody(venue):
    client = as_role(venue, "manager")

    assert client.get(change(venue.membership)).status_code == 200
    assert client.post(change(venue.membership), {"role": "provider"}).status_code == 403
    assert (
        client.post(add(Membership), member_form(venue, email="x@example.com")).status_code == 403
    )


def test_a_role_is_changed_with_a_name_on_it(venue):
    reviewer = f.MembershipFactory(organization=venue.organization, role="reviewer")
    owner = staff(venue, "owner")

    signed_in(owner).post(change(reviewer), {"role": "front_desk", "change_reason": "moved"})

    reviewer.refresh_from_db()
    line = newest(reviewer)
    assert reviewer.role == "front_desk"
    assert (line.actor_id, line.history_change_reason) == (owner.pk, "moved")


def test_the_last_owner_stays(venue):
    client = as_role(venue, "owner")
    delete = reverse("admin:bookings_membership_delete", args=[venue.membership.pk])

    demoted = client.post(change(venue.membership), {"role": "manager"})
    removed = client.post(delete, {"post": "yes"}, follow=True)

    assert "the only owner" in demoted.content.decode()
    assert "the only owner" in removed.content.decode()
    venue.membership.refresh_from_db()
    assert venue.membership.role == "owner"


def test_somebody_without_a_role_left_cannot_enter(venue):
    reviewer = f.MembershipFactory(organization=venue.organization, role="reviewer")
    address = reverse("admin:bookings_membership_delete", args=[reviewer.pk])

    as_role(venue, "owner").post(address, {"post": "yes"})

    assert not Membership.objects.filter(pk=reviewer.pk).exists()
    reviewer.user.refresh_from_db()
    assert reviewer.user.is_staff is False


def test_superusers_make_and_change_accounts(venue):
    root = superuser()
    client = signed_in(root)

    response = client.post(
        add(User),
        {
            "email": "made@example.com",
            "name": "Made",
            "usable_password": "true",
            "password1": "a long first one 7",
            "password2": "a long first one 7",
        },
    )
    assert response.status_code == 302, response.context["errors"]
    made = User.objects.get(email="made@example.com")
    assert made.check_password("a long first one 7")
    assert newest(made).actor_id == root.pk
    page = client.get(change(made))
    assert page.status_code == 200
    password = reverse("admin:auth_user_password_change", args=[made.pk])
    assert client.get(password).status_code == 200


# --- resources and slots ---------------------------------------------------------------------


def test_a_resource_with_slots_keeps_its_kind_and_cannot_be_deleted(venue):
    client = as_role(venue, "manager")

    client.post(change(venue.resource), resource_form(venue.resource, exclusive="on"))
    delete = reverse("admin:bookings_resource_delete", args=[venue.resource.pk])
    client.post(delete, {"post": "yes"})

    venue.resource.refresh_from_db()
    assert venue.resource.exclusive is False
    assert Slot.objects.filter(resource=venue.resource).exists()


def test_an_unused_resource_can_be_deleted_and_the_trail_says_by_whom(venue):
    unused = f.ResourceFactory(organization=venue.organization)
    user = staff(venue, "manager")

    signed_in(user).post(
        reverse("admin:bookings_resource_delete", args=[unused.pk]), {"post": "yes"}
    )

    assert not Resource.objects.filter(pk=unused.pk).exists()
    line = newest(unused)
    assert (line.history_type, line.actor_id) == ("-", user.pk)


# --- small things ----------------------------------------------------------------------------


def test_a_language_is_chosen_among_those_with_texts(venue):
    client = as_role(venue, "manager")
    field = client.get(change(venue.customer)).context["adminform"].form.fields["language"]
    assert list(field.choices) == [("en", "English"), ("de", "Deutsch")]

    refused = client.post(change(venue.customer), {"name": "Same", "language": "klingon"})
    assert "language" in refused.context["adminform"].form.errors

    client.post(change(venue.customer), {"name": "Same", "language": "de"})
    venue.customer.refresh_from_db()
    assert venue.customer.language == "de"


def test_a_language_that_came_from_elsewhere_is_kept(venue):
    Customer.objects.filter(pk=venue.customer.pk).update(language="fr")

    as_role(venue, "manager").post(change(venue.customer), {"name": "Other", "language": "fr"})

    venue.customer.refresh_from_db()
    assert (venue.customer.name, venue.customer.language) == ("Other", "fr")


def test_the_language_of_an_account_is_chosen_too(venue):
    page = signed_in(superuser()).get(change(venue.membership.user))

    assert ("de", "Deutsch") in page.context["adminform"].form.fields["language"].choices


def test_hours_past_midnight_are_refused_in_words(venue):
    response = as_role(venue, "manager").post(
        change(venue.resource),
        resource_form(
            venue.resource,
            **{
                "prices-TOTAL_FORMS": 1,
                "prices-0-resource": str(venue.resource.pk),
                "prices-0-name": "Night",
                "prices-0-amount": "10",
                "prices-0-currency": "EUR",
                "prices-0-basis": "booking",
                "prices-0-discount_percent": "0",
                "prices-0-tax_percent": "0",
                "prices-0-priority": "0",
                "prices-0-from_time": "22:00",
                "prices-0-until_time": "02:00",
            },
        ),
    )

    assert response.status_code == 200
    assert "Hours past midnight need two prices" in response.content.decode()
    assert not Price.objects.filter(name="Night").exists()
