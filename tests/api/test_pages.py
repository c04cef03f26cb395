"""Pages that neither skip nor repeat, forwards and back. Serves F2, C9."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from urllib.parse import urlsplit

import pytest

from bookings.models import Booking
from tests import factories as f

pytestmark = pytest.mark.django_db


def follow(client, link):
    parts = urlsplit(link)
    return client.get(f"{parts.path}?{parts.query}")


def walk(client, path, **query):
    """Every page from the first to the last."""
    answer = client.get(path, query=query)
    pages = [answer]
    while answer.data["next"]:
        answer = follow(client, answer.data["next"])
        pages.append(answer)
        assert len(pages) < 100
    return pages


def keys(page):
    return [row["id"] for row in page.data["results"]]


def seen(pages):
    return [key for page in pages for key in keys(page)]


@pytest.mark.parametrize("size", [1, 3, 4, 12, 500])
def test_slots_that_start_together_are_each_seen_once_and_in_order(world, size):
    start = f.soon(48)
    slots = [
        world.here.slot(
            resource=f.ResourceFactory(organization=world.here.organization),
            starts_at=start + timedelta(hours=n // 5),
        )
        for n in range(12)
    ]

    pages = walk(world.here.as_stranger(), "slots/", page_size=size)

    expected = [str(s.pk) for s in sorted(slots, key=lambda s: (s.starts_at, s.pk))]
    assert seen(pages) == expected
    assert all(len(keys(p)) == size for p in pages[:-1])


def test_one_walks_back_to_the_first_page(world):
    for _ in range(7):
        world.here.slot()
    client = world.here.as_stranger()
    pages = walk(client, "slots/", page_size=3)

    back = [pages[-1]]
    while back[-1].data["previous"]:
        back.append(follow(client, back[-1].data["previous"]))

    assert [keys(p) for p in reversed(back)] == [keys(p) for p in pages]
    assert back[-1].data["previous"] is None
    assert back[-1].data["next"]
    assert keys(follow(client, back[-1].data["next"])) == keys(pages[1])


def test_lists_are_newest_first(world):
    made = [world.here.hold() for _ in range(5)]

    pages = walk(world.here.as_customer(), "bookings/", page_size=2)

    assert seen(pages) == [str(b.pk) for b in reversed(made)]


def test_what_is_written_meanwhile_moves_no_page(world):
    for _ in range(4):
        world.here.hold()
    client = world.here.as_customer()
    first = client.get("bookings/", query={"page_size": 2})
    before = keys(first)

    newer = world.here.hold()
    second = follow(client, first.data["next"])

    assert not set(before) & set(keys(second))
    assert str(newer.pk) not in keys(second)
    assert len(set(before) | set(keys(second))) == 4
    assert Booking.objects.count() == 5


def test_links_keep_the_filters(world):
    for _ in range(3):
        world.here.slot()
        world.here.slot(resource=world.here.free_resource)

    pages = walk(
        world.here.as_stranger(), "slots/", page_size=1, resource=str(world.here.resource.pk)
    )

    assert len(seen(pages)) == 3


def test_resources_are_paged_by_name(world):
    for name in ("b", "a", "c"):
        f.ResourceFactory(organization=world.here.organization, name=name)

    pages = walk(world.here.as_stranger(), "resources/", page_size=1)

    assert [p.data["results"][0]["name"] for p in pages] == ["a", "b", "c"]


def test_a_cursor_past_the_end_gives_an_empty_page(world):
    client = world.here.as_stranger()
    world.here.slot()
    raw = json.dumps(["9999-01-01T00:00:00+00:00", str(f.some_id()), False])
    cursor = base64.urlsafe_b64encode(raw.encode()).decode().rstrip("=")

    answer = client.get("slots/", query={"cursor": cursor})

    assert answer.data == {"next": None, "previous": None, "results": []}


@pytest.mark.parametrize(
    "raw",
    [
        "[]",
        "{}",
        "1",
        '"x"',
        "[1,2,3]",
        '["2030-01-01T00:00:00Z","no",false]',
        '["no","01a1fa26-c43b-7e1b-86cd-c264f462872e",false]',
        '["2030-01-01T00:00:00Z","01a1fa26-c43b-7e1b-86cd-c264f462872e","x"]',
        '[null,"01a1fa26-c43b-7e1b-86cd-c264f462872e",false]',
        "[" * 200,
    ],
)
@pytest.mark.parametrize("path", ["slots/", "resources/", "transactions/", "bookings/"])
def test_a_made_up_cursor_is_refused(world, path, raw):
    cursor = base64.urlsafe_b64encode(raw.encode()).decode().rstrip("=")
    answer = world.here.as_stranger().get(path, query={"cursor": cursor})

    if path == "resources/" and raw.startswith('["no"'):
        assert answer.status == 200  # pages by name, and a name may be anything
    elif path == "resources/" and raw.startswith('["2030') and '"x"' not in raw and "no" not in raw:
        assert answer.status == 200
    else:
        assert answer.problem() == (400, "invalid")
