"""What is measured: each scenario makes, for every client, the requests it will send."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any, TypeVar
from urllib.parse import urlencode

from bookings.models import Slot
from tests.benchmarks.ceilings.models import SLOTS
from tests.benchmarks.load import KEY, Script
from tests.benchmarks.world import Person, World

LEVELS = (1, 8, 16)
CART = 20  # items that one customer puts into a cart

T = TypeVar("T")


@dataclass(frozen=True)
class Call:
    """One request, before it is bytes."""

    method: str
    path: str
    token: str = ""
    body: Any = None

    @property
    def headers(self) -> dict[str, str]:
        """Headers of a good client: a session token, and a new key on every POST to the product."""
        found = {"User-Agent": "holdfast-benchmark", "Accept": "application/json"}
        if self.token:
            found["X-Session-Token"] = self.token
            if self.method == "POST":
                found["Idempotency-Key"] = KEY.decode()
        return found

    def raw(self) -> bytes:
        """The request as it goes over the wire."""
        lines = [f"{self.method} {self.path} HTTP/1.1", "Host: 127.0.0.1"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        content = b""
        if self.body is not None:
            content = json.dumps(self.body).encode()
            lines += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
        return "\r\n".join([*lines, "", ""]).encode() + content


@dataclass(frozen=True)
class Scenario:
    """One thing to measure.

    Args:
        name: for ``--only``.
        title: for the reader.
        expect: the status every answer must have.
        make: given the world, the number of clients and how many requests each may send at most,
            returns one list of calls for each client.
        repeat: the calls can be made again and again; otherwise each is used up.
        most: the most calls, of all clients together, that are made ready for one round.
        ceiling: not the product, but what it is compared with.
    """

    name: str
    title: str
    expect: int
    make: Callable[[World, int, int], list[list[Call]]]
    repeat: bool = False
    most: int = 4_000
    ceiling: bool = False

    def calls(self, world: World, clients: int, each: int) -> list[list[Call]]:
        """One list of calls for each client; ``each`` is limited by ``most``."""
        return self.make(world, clients, max(1, min(each, self.most // clients)))

    def scripts(self, world: World, clients: int, each: int) -> list[Script]:
        return [
            Script([call.raw() for call in calls], repeat=self.repeat)
            for calls in self.calls(world, clients, each)
        ]


def base(world: World) -> str:
    return f"/api/v1/organizations/{world.organization.slug}/"


# -- ceilings ---------------------------------------------------------------------------------------


def static(world: World, clients: int, each: int) -> list[list[Call]]:
    return [[Call("GET", "/static-answer")] for _ in range(clients)]


def one_select(world: World, clients: int, each: int) -> list[list[Call]]:
    return [[Call("GET", "/ceilings/select/")] for _ in range(clients)]


def ceiling_hot(path: str) -> Callable[[World, int, int], list[list[Call]]]:
    def make(world: World, clients: int, each: int) -> list[list[Call]]:
        return [[Call("POST", path, body={"slot": 1})] for _ in range(clients)]

    return make


def ceiling_spread(path: str) -> Callable[[World, int, int], list[list[Call]]]:
    def make(world: World, clients: int, each: int) -> list[list[Call]]:
        calls = [Call("POST", path, body={"slot": 2 + n}) for n in range(SLOTS - 1)]
        return [_turned(calls, number, clients) for number in range(clients)]

    return make


# -- the product ------------------------------------------------------------------------------------


def add(slots: Callable[[World], Sequence[Slot]]) -> Callable[[World, int, int], list[list[Call]]]:
    """Fill carts of ``CART`` items, one after the other; the first item of each makes the cart."""

    def make(world: World, clients: int, each: int) -> list[list[Call]]:
        keys = [str(slot.pk) for slot in slots(world)]
        carts = -(-each // CART)
        people = world.people(clients * carts)
        made = []
        for number in range(clients):
            mine = people[number * carts : (number + 1) * carts]
            turned = cycle(_turned(keys, number, clients))
            made.append([_add(world, p, next(turned)) for p in mine for _ in range(CART)])
        return made

    return make


def _add(world: World, person: Person, slot: str) -> Call:
    body = {"slot": slot, "units": 1}
    return Call("POST", base(world) + "cart/items/", person.token, body)


def check_out(items: int) -> Callable[[World, int, int], list[list[Call]]]:
    def make(world: World, clients: int, each: int) -> list[list[Call]]:
        path = base(world) + "cart/checkout/"
        body = {"payment_method": "pay_now"}
        return [
            [Call("POST", path, p.token, body) for p in world.carts(each, items, lane=number)]
            for number in range(clients)
        ]

    return make


def approve(bookings: int) -> Callable[[World, int, int], list[list[Call]]]:
    def make(world: World, clients: int, each: int) -> list[list[Call]]:
        waiting = world.transactions(clients * each, bookings)
        calls = [
            Call("POST", f"{base(world)}transactions/{pk}/approve/", staff.token, {})
            for pk, staff in zip(waiting, cycle(world.staff[:clients]), strict=False)
        ]
        return [calls[number::clients] for number in range(clients)]

    return make


def check_in(world: World, clients: int, each: int) -> list[list[Call]]:
    path = base(world) + "check-ins/"
    calls = [
        Call("POST", path, staff.token, {"code": code})
        for code, staff in zip(
            world.confirmed_codes(clients * each), cycle(world.staff[:clients]), strict=False
        )
    ]
    return [calls[number::clients] for number in range(clients)]


def availability(slots: int) -> Callable[[World, int, int], list[list[Call]]]:
    def make(world: World, clients: int, each: int) -> list[list[Call]]:
        query = urlencode(
            {
                "from": world.listed_from.isoformat(),
                "to": world.listed_until.isoformat(),
                "page_size": slots,
            }
        )
        path = f"{base(world)}slots/?{query}"
        return [[Call("GET", path, person.token)] for person in world.people(clients)]

    return make


def _turned(calls: Sequence[T], number: int, clients: int) -> list[T]:
    """The same ones, begun at another place by each client."""
    first = number * len(calls) // clients
    return list(islice(cycle(calls), first, first + len(calls)))


SCENARIOS = [
    Scenario("static", "an answer that costs nothing", 200, static, repeat=True, ceiling=True),
    Scenario("select", "trivial view, one SELECT", 200, one_select, repeat=True, ceiling=True),
    Scenario(
        "orm-hot",
        "minimal booking by ORM, one slot",
        201,
        ceiling_hot("/ceilings/orm/"),
        repeat=True,
        ceiling=True,
    ),
    Scenario("add-hot", "add to cart, one slot", 201, add(lambda world: [world.hot])),
    Scenario(
        "orm-spread",
        "minimal booking by ORM, 1,000 slots",
        201,
        ceiling_spread("/ceilings/orm/"),
        repeat=True,
        ceiling=True,
    ),
    Scenario("add-spread", "add to cart, 1,000 slots", 201, add(lambda world: world.spread)),
    Scenario("check-in", "check in", 200, check_in),
    Scenario(
        "sql-hot",
        "the booking as one statement, one slot",
        201,
        ceiling_hot("/ceilings/sql/"),
        repeat=True,
        ceiling=True,
    ),
    Scenario(
        "sql-spread",
        "the booking as one statement, 1,000 slots",
        201,
        ceiling_spread("/ceilings/sql/"),
        repeat=True,
        ceiling=True,
    ),
    Scenario("checkout-1", "check out 1 item", 201, check_out(1)),
    Scenario("checkout-100", "check out 100 items", 201, check_out(100), most=32),
    Scenario("approve-1", "approve 1 booking", 200, approve(1)),
    Scenario("approve-10", "approve 10 bookings", 200, approve(10), most=300),
    Scenario("approve-100", "approve 100 bookings", 200, approve(100), most=32),
    Scenario("slots-50", "availability of 50 slots", 200, availability(50), repeat=True),
    Scenario("slots-500", "availability of 500 slots", 200, availability(500), repeat=True),
]
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}
