"""The profile of whoever is signed in. Serves F2, B7."""

from __future__ import annotations

import pytest

from bookings.models import User
from tests import factories as f

pytestmark = pytest.mark.django_db
ME = "/api/v1/me/"


def test_it_says_who_i_am_and_where_i_am_what(world):
    staff = world.here.staff("manager")
    customer = f.CustomerFactory(organization=world.there.organization, user=staff.user)
    f.MembershipFactory(user=staff.user, organization=f.OrganizationFactory(is_active=False))

    data = world.here.client(staff).get(ME).data

    assert data["email"] == staff.user.email
    assert data["organizations"] == [
        {"slug": "here", "name": "Here", "role": "manager", "customer": None},
        {"slug": "there", "name": "There", "role": None, "customer": str(customer.pk)},
    ]


def test_a_changed_name_and_language_count_everywhere_and_are_in_the_trail(world):
    client = world.here.as_customer()

    answer = client.patch(ME, {"name": "Ada", "language": "de"})

    assert (answer.data["name"], answer.data["language"]) == ("Ada", "de")
    user = User.objects.get(pk=client.user.pk)
    assert (user.name, user.language) == ("Ada", "de")
    world.here.customer.refresh_from_db()
    assert (world.here.customer.name, world.here.customer.language) == ("Ada", "de")
    line = user.history.latest("history_id")
    assert (line.actor_id, line.history_change_reason) == (user.pk, "own profile")


def test_what_is_not_sent_stays(world):
    client = world.here.as_customer()
    before = client.get(ME).data

    assert client.patch(ME, {}).data == before
    assert client.patch(ME, {"language": "de"}).data == before | {"language": "de"}


def test_nobody_changes_what_is_not_theirs_to_change(world):
    client = world.here.as_customer()
    before = client.get(ME).data

    answer = client.patch(
        ME, {"email": "root@example.com", "is_staff": True, "is_superuser": True, "id": "x"}
    )

    assert answer.data == before
    user = User.objects.get(pk=client.user.pk)
    assert not user.is_staff
    assert not user.is_superuser


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "x" * 201}, "name"),
        ({"name": 1}, "name"),
        ({"name": "\x00"}, "name"),
        ({"name": "\udfff"}, "name"),
        ({"name": "Ada\x1b[31m"}, "name"),
        ({"name": "Ada\x7f"}, "name"),
        ({"language": "xx"}, "language"),
        ({"language": ["de"]}, "language"),
    ],
)
def test_bad_values_are_named_and_nothing_changes(world, body, field):
    client = world.here.as_customer()
    before = client.get(ME).data

    answer = client.patch(ME, body)

    assert answer.problem() == (400, "invalid")
    assert list(answer.data["errors"]) == [field]
    assert client.get(ME).data == before


def test_a_name_is_one_line(world):
    client = world.here.as_customer()

    answer = client.patch(ME, {"name": "  Ada\r\nBcc: all@example.com\t Lovelace\u2028 "})

    assert answer.data["name"] == "Ada Bcc: all@example.com Lovelace"
    assert User.objects.get(pk=client.user.pk).name == "Ada Bcc: all@example.com Lovelace"
    world.here.customer.refresh_from_db()
    assert world.here.customer.name == "Ada Bcc: all@example.com Lovelace"


def test_a_name_of_nothing_but_space_is_no_name(world):
    client = world.here.as_customer()
    before = client.get(ME).data

    assert client.patch(ME, {"name": " \n "}).data == before
