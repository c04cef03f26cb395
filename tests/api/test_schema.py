"""The OpenAPI document, the guide and the list of problems are what the code is. Serves F2."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from django.conf import settings
from django.core.management import CommandError, call_command
from drf_spectacular.validation import validate_schema

from audit.errors import DomainError
from bookings import lifecycle
from config.schema import document
from tests.api.client import Client
from tests.api.operations import operations

DOCS = Path(settings.BASE_DIR) / "docs"


def test_the_documents_in_the_repository_are_current():
    call_command("render_api", "--check")


def test_it_is_noticed_when_they_are_not(settings, tmp_path):
    (tmp_path / "docs").mkdir()
    for name in ("openapi.yaml", "api.md"):
        text = (DOCS / name).read_text().replace("`wrong_day` | 409", "`wrong_day` | 404")
        (tmp_path / "docs" / name).write_text(text)
    settings.BASE_DIR = tmp_path

    with pytest.raises(CommandError, match=r"docs/api\.md is stale"):
        call_command("render_api", "--check")
    call_command("render_api")
    call_command("render_api", "--check")


def test_it_is_valid_openapi_3_1():
    assert document()["openapi"].startswith("3.1")
    validate_schema(document())


def test_making_it_warns_of_nothing(capsys):
    from drf_spectacular.generators import SchemaGenerator

    SchemaGenerator().get_schema(request=None, public=True)

    assert capsys.readouterr().err == ""


def test_it_knows_the_statuses_of_a_booking():
    found = document()["components"]["schemas"]["BookingStatus"]["enum"]

    assert set(found) == set(lifecycle.BookingStatus.values)


def test_every_operation_says_who_may_and_what_it_is_for():
    for method, path in operations().values():
        operation = document()["paths"][path][method.lower()]
        assert operation["security"] == [{"sessionToken": []}], path
        assert operation["description"], path
        assert operation["tags"], path
        assert not any(key.startswith("x-") for key in operation), path


@pytest.mark.parametrize("name", sorted(n for n, (m, _) in operations().items() if m == "POST"))
def test_every_post_takes_a_key(name):
    method, path = operations()[name]
    parameters = document()["paths"][path][method.lower()]["parameters"]

    assert "Idempotency-Key" in {p["name"] for p in parameters}


@pytest.mark.django_db
def test_it_is_served_to_everybody_and_the_same_in_every_language():
    for language in ("de", "en"):
        answer = Client().get("/api/schema/?format=json", headers={"Accept-Language": language})
        assert answer.status == 200
        assert answer.data == document() if answer.data else yaml.safe_load(answer.body)


@pytest.mark.django_db
def test_the_documentation_opens_without_the_internet():
    answer = Client().get("/api/docs/")

    assert answer.status == 200
    assert not re.search(rb'(src|href)="https?://', answer.body)


@pytest.mark.django_db
def test_the_type_of_every_problem_leads_to_its_explanation():
    page = Client().get("/api/docs/problems/").body.decode()

    for code, error in DomainError.catalogue().items():
        assert f'id="{code}"' in page
        assert str(error.status) in page


@pytest.mark.django_db
@pytest.mark.parametrize(
    "path",
    [
        "/api/nothing/",
        "/api/v1/",
        "/api/v2/organizations/here/",
        "/api/v1/organizations/here/nothing/",
        "/api/v1/organizations/here/bookings/not-a-uuid/",
        "/api/v1/organizations/a b/cart/",
        "/api/v1/organizations/%00/cart/",
        "/api/v1/organizations/here/cart",
        "/_allauth/app/v1/nothing",
    ],
)
def test_an_address_that_there_is_not_is_a_problem_too(world, path):
    answer = world.here.as_customer().get(path)

    assert answer.problem() == (404, "not_found")


@pytest.mark.django_db
def test_elsewhere_it_is_a_page(world):
    answer = Client().get("/nothing/", check=False)

    assert answer.status == 404
    assert answer.headers["Content-Type"].startswith("text/html")


@pytest.mark.django_db
def test_a_host_that_is_not_ours_is_malformed(settings):
    settings.ALLOWED_HOSTS = ["testserver"]

    answer = Client().get("/api/v1/me/", headers={"Host": "evil.example"}, check=False)

    assert answer.problem() == (400, "malformed")
    assert b"evil" not in answer.body


@pytest.mark.django_db
def test_the_first_page_leads_to_the_admin():
    answer = Client().get("/", check=False)

    assert (answer.status, answer.headers["Location"]) == (302, "/admin/")
    assert Client().get("/healthz/", check=False).data == {"status": "ok"}
    assert Client().get("/readyz/", check=False).status == 200
