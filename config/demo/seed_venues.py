"""The demo's two venues: what they offer, when, and for how much. ``seed_schedules`` opens it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, time
from decimal import Decimal
from typing import Any

from audit.context import Actor
from bookings.models import Organization, Pool, PoolMember, Resource, ScheduleRule, Slot, User
from bookings.services.resources import compose
from payments.models import PaymentPolicy, Price

RIVERSIDE, LAKESIDE = "riverside-sports", "lakeside-clinic"
DAYS_AHEAD = 21
WORKDAYS, WEEKEND = [1, 2, 3, 4, 5], [6, 7]


@dataclass(frozen=True, slots=True)
class Tariff:
    """A price of an offer; see ``payments.models.Price``."""

    name: str
    amount: str
    currency: str
    basis: Price.Basis = Price.Basis.BOOKING
    discount_percent: int = 0
    weekdays: Sequence[int] = ()
    from_time: time | None = None
    until_time: time | None = None
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Open:
    """Hours of the clock on the wall with the slots in them; see ``bookings.models.ScheduleRule``."""

    from_time: str
    until_time: str
    minutes: int
    gap: int = 0
    weekdays: Sequence[int] = ()

    def rule(self, offer: Offer) -> ScheduleRule:
        """The same as a rule that is not saved."""
        return ScheduleRule(
            from_time=time.fromisoformat(self.from_time),
            until_time=time.fromisoformat(self.until_time),
            slot_minutes=self.minutes,
            gap_minutes=self.gap,
            weekdays=list(self.weekdays),
            buffer_after_minutes=offer.buffer_after_minutes,
            max_bookings=offer.people,
            max_units=offer.people,
        )


@dataclass(frozen=True, slots=True)
class Offer:
    """A resource with its hours. ``people`` is both limits of a slot, and 1 if exclusive.

    ``parts`` are names of what it is made of, ``one_of`` that of the pool of which it needs one,
    ``rules`` further fields of the resource: how it may be booked.
    """

    name: str
    kind: str
    description: str
    hours: Sequence[Open] = ()
    people: int = 1
    exclusive: bool = False
    buffer_after_minutes: int = 0
    provider: str = ""
    tax_percent: str = "0"
    tariffs: Sequence[Tariff] = field(default_factory=list)
    parts: Sequence[str] = ()
    one_of: str = ""
    rules: dict[str, Any] = field(default_factory=dict)


def _practice(
    opens: str, noon: str, after: str, closes: str, *, minutes: int, gap: int
) -> list[Open]:
    """The hours of a doctor, with a break for lunch."""
    return [
        Open(opens, noon, minutes, gap, WORKDAYS),
        Open(after, closes, minutes, gap, WORKDAYS),
    ]


_COURT = [
    Tariff("Daytime", "18.00", "EUR"),
    Tariff("Weekend", "24.00", "EUR", weekdays=WEEKEND, priority=5),
    Tariff(
        "Evening peak", "28.00", "EUR", weekdays=WORKDAYS, from_time=time(17), until_time=time(22),
        priority=10,
    ),
]  # fmt: skip
_SEMINAR = [
    Tariff("Seminar", "28.00", "EUR", Price.Basis.HOUR),
    Tariff("Evening", "36.00", "EUR", Price.Basis.HOUR, from_time=time(17), priority=5),
]
_CLASSES = [("09:00", "10:15"), ("18:00", "19:15"), ("20:15", "21:30")]
_EARLY = {"discount_percent": 20, "until_time": time(9), "priority": 5}

_COURT_RULES = {"cancel_until_minutes": 120, "reschedule_until_minutes": 120}
_DOCTOR_RULES = {
    "notice_minutes": 60,
    "cancel_until_minutes": 24 * 60,
    "reschedule_until_minutes": 24 * 60,
    "most_live_bookings": 3,
}
ROOMS = "Treatment rooms"

OFFERS = {
    RIVERSIDE: [
        *(
            Offer(
                f"Court {number}",
                "place",
                "Clay court, one hour.",
                [Open("07:00", "23:00", 60)],
                exclusive=True,
                tax_percent="19",
                tariffs=_COURT,
                rules=_COURT_RULES,
            )
            for number in (1, 2, 3, 4)
        ),
        Offer(
            "Hall",
            "place",
            "Courts 3 and 4 without the net between them, for two hours.",
            [Open("18:00", "22:00", 120, weekdays=[2, 4, 6])],
            exclusive=True,
            tax_percent="19",
            tariffs=[Tariff("Hall", "110.00", "EUR")],
            parts=["Court 3", "Court 4"],
            rules=_COURT_RULES,
        ),
        Offer(
            "Yoga",
            "activity",
            "Slow flow for every level; mats are there.",
            [Open(start, end, 75) for start, end in _CLASSES],
            people=18,
            tax_percent="7",
            tariffs=[Tariff("Class", "12.00", "EUR", basis=Price.Basis.UNIT)],
        ),
        Offer(
            "Spinning",
            "activity",
            "Forty-five minutes on the bike. The last class of the day starts at half past eleven.",
            [
                Open("07:30", "08:15", 45),
                Open("12:30", "13:15", 45),
                Open("19:00", "19:45", 45),
                # Over midnight: the last class is over at a quarter past.
                Open("21:30", "00:30", 45, gap=15),
            ],
            people=20,
            tax_percent="7",
            tariffs=[
                Tariff("Class", "10.00", "EUR", basis=Price.Basis.UNIT),
                Tariff("Early bird", "10.00", "EUR", basis=Price.Basis.UNIT, **_EARLY),  # type: ignore[arg-type]
            ],
        ),
        Offer(
            "Open gym",
            "activity",
            "The gym without a class, free for everybody.",
            [
                Open("10:00", "12:00", 120),
                Open("14:00", "18:00", 120),
                Open("20:00", "00:00", 120),
            ],
            people=40,
        ),
        Offer(
            "Seminar room",
            "place",
            "For twelve people, with a screen. From any half hour, paid by the hour.",
            [Open("08:00", "12:00", 60), Open("12:30", "21:00", 60)],
            exclusive=True,
            tax_percent="19",
            tariffs=_SEMINAR,
            rules={
                "mode": Resource.Mode.FREE_TIMES,
                "grid_minutes": 30,
                "shortest_minutes": 30,
                "longest_minutes": 180,
                "needs_approval": True,
            },
        ),
    ],
    LAKESIDE: [
        Offer(
            "Dr. Lena Brunner",
            "person",
            "General medicine, 20 minutes.",
            _practice("08:00", "12:05", "13:30", "17:35", minutes=20, gap=5),
            exclusive=True,
            buffer_after_minutes=5,
            provider="provider@lakeside.example",
            tariffs=[Tariff("Consultation", "95.00", "CHF")],
            one_of=ROOMS,
            rules=_DOCTOR_RULES,
        ),
        Offer(
            "Dr. Marco Steiner",
            "person",
            "Physiotherapy, 30 minutes.",
            _practice("08:00", "11:50", "13:00", "17:30", minutes=30, gap=10),
            exclusive=True,
            buffer_after_minutes=10,
            provider="steiner@lakeside.example",
            tariffs=[Tariff("Treatment", "78.50", "CHF")],
            one_of=ROOMS,
            rules=_DOCTOR_RULES,
        ),
        Offer(
            "Dr. Aylin Demir",
            "person",
            "Sports medicine, 30 minutes.",
            _practice("08:30", "12:30", "14:00", "18:00", minutes=30, gap=5),
            exclusive=True,
            buffer_after_minutes=5,
            provider="demir@lakeside.example",
            tariffs=[Tariff("Consultation", "120.00", "CHF")],
            one_of=ROOMS,
            rules=_DOCTOR_RULES,
        ),
        *(
            Offer(
                f"Room {number}",
                "place",
                "For treatments; whoever is booked has one.",
                exclusive=True,
            )
            for number in (1, 2, 3)
        ),
    ],
}
POOLS = {LAKESIDE: {ROOMS: ["Room 1", "Room 2", "Room 3"]}}


def create_organizations() -> dict[str, Organization]:
    """Both venues, by slug, and how each is paid."""
    riverside = Organization.objects.create(
        slug=RIVERSIDE,
        name="Riverside Sports Centre",
        time_zone="Europe/Berlin",
        email="hello@riverside.example",
    )
    lakeside = Organization.objects.create(
        slug=LAKESIDE,
        name="Lakeside Clinic",
        time_zone="Europe/Zurich",
        email="praxis@lakeside.example",
        hold_minutes=10,
        pending_hours=48,
    )
    PaymentPolicy.objects.create(
        organization=riverside,
        instructions=(
            "Transfer the amount to Riverside Sports Centre, Meridian Savings Bank,"
            " DE00 1111 2222 3333 4444 55, and write the reference on it."
        ),
    )
    PaymentPolicy.objects.create(
        organization=lakeside,
        confirms_pay_on_arrival=True,
        instructions=(
            "Pay at the reception, or transfer the amount to Lakeside Clinic, Alpine Cantonal"
            " Bank, CH00 5555 6666 7777 8888 9."
        ),
    )
    return {RIVERSIDE: riverside, LAKESIDE: lakeside}


def create_resources(
    organizations: dict[str, Organization], *, actor: Actor, now: datetime
) -> None:
    """What the venues offer, with prices. Staff must exist.

    What others take is made with them: a hall of its courts, doctors with the pool of rooms.
    """
    users = {user.email: user for user in User.objects.filter(is_staff=True)}
    resources = {
        (slug, offer.name): Resource(
            organization=organizations[slug],
            name=offer.name,
            kind=offer.kind,
            description=offer.description,
            time_zone=organizations[slug].time_zone,
            exclusive=offer.exclusive,
            provider=users.get(offer.provider),
            buffer_after_minutes=offer.buffer_after_minutes,
            horizon_days=DAYS_AHEAD,
            # Sports go on when offices rest.
            observes_holidays=slug == LAKESIDE,
            **offer.rules,
        )
        for slug, offers in OFFERS.items()
        for offer in offers
    }
    Resource.objects.bulk_create(resources.values())
    Price.objects.bulk_create(
        _price(resources[slug, offer.name], offer, tariff)
        for slug, offers in OFFERS.items()
        for offer in offers
        for tariff in offer.tariffs
    )
    pools = _create_pools(organizations, resources)
    for slug, offers in OFFERS.items():
        for offer in offers:
            if offer.parts or offer.one_of:
                compose(
                    resource_id=resources[slug, offer.name].pk,
                    organization_id=organizations[slug].pk,
                    part_ids=[resources[slug, name].pk for name in offer.parts],
                    pool_ids=[pools[slug, offer.one_of].pk] if offer.one_of else [],
                    actor=actor,
                    reason="demo",
                    now=now,
                )


def _create_pools(
    organizations: dict[str, Organization], resources: dict[tuple[str, str], Resource]
) -> dict[tuple[str, str], Pool]:
    pools = {
        (slug, name): Pool(organization=organizations[slug], name=name)
        for slug, named in POOLS.items()
        for name in named
    }
    Pool.objects.bulk_create(pools.values())
    PoolMember.objects.bulk_create(
        PoolMember(pool=pools[slug, name], resource=resources[slug, member])
        for slug, named in POOLS.items()
        for name, members in named.items()
        for member in members
    )
    return pools


def _price(resource: Resource, offer: Offer, tariff: Tariff) -> Price:
    return Price(
        organization_id=resource.organization_id,
        resource=resource,
        name=tariff.name,
        amount=Decimal(tariff.amount),
        currency=tariff.currency,
        basis=tariff.basis,
        discount_percent=Decimal(tariff.discount_percent),
        tax_percent=Decimal(offer.tax_percent),
        weekdays=list(tariff.weekdays),
        from_time=tariff.from_time,
        until_time=tariff.until_time,
        priority=tariff.priority,
    )


def slots_of(organization: Organization) -> list[Slot]:
    """Every slot of a venue with its resource, by time."""
    return list(
        Slot.objects.filter(organization=organization)
        .select_related("resource")
        .order_by("starts_at", "resource__name")
    )
