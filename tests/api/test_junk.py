"""Whatever is sent to whichever endpoint, the answer is one the OpenAPI document foresees.

Serves F2. Requests are made from the document: known fields and parameters with values of every
kind, at every operation, as somebody who may do nearly everything.
"""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config.schema import document
from tests import factories as f
from tests.api.client import Client
from tests.api.operations import operations
from tests.api.world import Place

pytestmark = pytest.mark.django_db

NASTY = st.sampled_from(
    [
        "",
        " ",
        "\x00",
        "a\x00b",
        "\ud800",
        "💥" * 50,
        "x" * 5_000,
        "-1",
        "1e400",
        "NaN",
        "9" * 400,
        "true",
        "null",
        "2030-02-30",
        "2030-01-01T00:00:00Z",
        "9999-12-31T23:59:59-14:00",
        "0001-01-01T00:00:00+14:00",
        "' OR 1=1 --",
        "%",
        "../..",
        "\r\nX: y",
        "00000000-0000-0000-0000-000000000000",
        "pay_now",
        "pending",
    ]
)
NUMBERS = st.one_of(
    st.integers(-5, 5), st.sampled_from([2**31, 2**63, -(2**63), 10**300, 0.1, 1e308])
)
VALUES = st.recursive(
    st.one_of(NASTY, NUMBERS, st.booleans(), st.none(), st.text(max_size=20)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "Idempotency-Key": st.sampled_from(["k", "", "é", "x" * 255, "x" * 256, "a b"]),
        "If-Match": st.sampled_from(["*", '"v1"', '"v0"', "junk", '"v999999999"', '"v²"']),
        "Accept": st.sampled_from(["*/*", "text/html", "junk"]),
        "Accept-Language": st.sampled_from(["de", "xx", "*", "é"]),
        "Content-Type": st.sampled_from(
            ["application/json", "application/json; charset=junk", "text/plain", "junk", ""]
        ),
    },
)


def schema_of(name):
    method, path = operations()[name]
    return document()["paths"][path][method.lower()]


def field_names(name):
    content = schema_of(name).get("requestBody", {}).get("content", {})
    names = set()
    for kind in content.values():
        reference = kind["schema"].get("$ref", "").rsplit("/", 1)[-1]
        names |= set(document()["components"]["schemas"].get(reference, {}).get("properties", {}))
    return sorted(names)


def query_names(name):
    parameters = schema_of(name).get("parameters", [])
    return sorted(p["name"] for p in parameters if p["in"] == "query")


def parts(names, values):
    if not names:
        return st.just({})
    return st.dictionaries(
        st.one_of(st.sampled_from(names), st.text(max_size=8)), values, max_size=4
    )


@pytest.fixture
def ids():
    """Ids of things that there are, so that junk comes further than the first look-up."""
    place = Place("here")
    transaction, proof = place.submitted()
    booking = place.confirmed()
    person = f.MembershipFactory(
        organization=place.organization, role="owner", user=place.customer.user
    )
    client = place.client(person)
    known = [transaction.pk, proof.pk, booking.pk, place.resource.pk, place.hold().cart_item.pk]
    known += [place.waiting().pk, place.offered().pk, place.full_slot()[0].pk]
    return client, [str(pk) for pk in known], str(place.slot(max_bookings=99).pk)


@pytest.mark.parametrize("name", sorted(operations()))
@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_junk_gets_an_answer_that_was_foreseen(name, ids, data):
    client, known, slot = ids
    method, path = operations()[name]
    values = st.one_of(VALUES, st.just(slot), st.sampled_from(known))
    url = path.replace("{org}", "here").replace("{id}", data.draw(st.sampled_from(known)))
    body = data.draw(st.one_of(parts(field_names(name), values), VALUES))
    query = data.draw(parts(query_names(name), NASTY))
    query = {k: v for k, v in query.items() if _encodes(k) and _encodes(v)}
    headers = data.draw(HEADERS)
    content_type = headers.pop("Content-Type", "application/json")
    raw = data.draw(st.one_of(st.just(json.dumps(body).encode()), st.binary(max_size=30)))

    answer = client.send(
        method,
        url,
        raw=raw,
        query=query,
        headers=headers,
        content_type=content_type,
        check=False,
    )

    assert answer.status < 500, answer
    if answer.status >= 400:
        assert answer.code
    assert isinstance(client, Client)


def _encodes(text):
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
