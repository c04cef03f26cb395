"""The demo's two venues: what they offer, when, and for how much.

Slots lie on the wall clock of the place, so that a court opens at seven on both sides of a
change to summer time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from django.db.models import Max

from audit.context import Actor
from bookings.models import Organization, Resource, Slot, User
from bookings.services.slots import create_slots
from payments.models import PaymentPolicy, Price

RIVERSIDE, LAKESIDE = "riverside-sports", "lakeside-clinic"
DAYS_BACK, DAYS_AHEAD = 14, 21
EVERY_DAY, WORKDAYS, WEEKEND = [1, 2, 3, 4, 5, 6, 7], [1, 2, 3, 4, 5], [6, 7]


@dataclass(frozen=True, slots=True)
class Tariff:
    """A price of an offer; see ``payments.models.Price``."""

    name: str
    amount: str
    currency: str
    per_person: bool = False
    discount_percent: int = 0
    weekdays: Sequence[int] = ()
    from_time: time | None = None
    until_time: time | None = None
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Offer:
    """A resource with its timetable. ``people`` is both limits of a slot, and 1 if exclusive."""

    name: str
    kind: str
    description: str
    starts: Sequence[time]
    minutes: int
    people: int = 1
    exclusive: bool = False
    weekdays: Sequence[int] = tuple(EVERY_DAY)
    buffer_after_minutes: int = 0
    provider: str = ""
    tax_percent: str = "0"
    tariffs: Sequence[Tariff] = field(default_factory=list)


def _every(minutes: int, first: str, last: str) -> list[time]:
    """Wall-clock times from ``first`` to ``last``, both included."""
    start, end = (datetime.combine(date(2000, 1, 1), time.fromisoformat(t)) for t in (first, last))
    count = (end - start) // timedelta(minutes=minutes) + 1
    return [(start + timedelta(minutes=minutes * i)).time() for i in range(count)]


def _at(*times: str) -> list[time]:
    return [time.fromisoformat(t) for t in times]


_COURT = [
    Tariff("Daytime", "18.00", "EUR"),
    Tariff("Weekend", "24.00", "EUR", weekdays=WEEKEND, priority=5),
    Tariff(
        "Evening peak", "28.00", "EUR", weekdays=WORKDAYS, from_time=time(17), until_time=time(22),
        priority=10,
    ),
]  # fmt: skip
_EARLY = {"discount_percent": 20, "until_time": time(9), "priority": 5}

OFFERS = {
    RIVERSIDE: [
        *(
            Offer(
                f"Court {number}",
                "place",
                "Clay court, one hour.",
                _every(60, "07:00", "22:00"),
                60,
                exclusive=True,
                tax_percent="19",
                tariffs=_COURT,
            )
            for number in (1, 2, 3, 4)
        ),
        Offer(
            "Yoga",
            "activity",
            "Slow flow for every level; mats are there.",
            _at("09:00", "18:00", "20:15"),
            75,
            people=18,
            tax_percent="7",
            tariffs=[Tariff("Class", "12.00", "EUR", per_person=True)],
        ),
        Offer(
            "Spinning",
            "activity",
            "Forty-five minutes on the bike. The last class of the day starts at half past eleven.",
            _at("07:30", "12:30", "19:00", "21:30", "22:30", "23:30"),
            45,
            people=20,
            tax_percent="7",
            tariffs=[
                Tariff("Class", "10.00", "EUR", per_person=True),
                Tariff("Early bird", "10.00", "EUR", per_person=True, **_EARLY),  # type: ignore[arg-type]
            ],
        ),
        Offer(
            "Open gym",
            "activity",
            "The gym without a class, free for everybody.",
            _at("10:00", "14:00", "16:00", "20:00", "22:00"),
            120,
            people=40,
        ),
    ],
    LAKESIDE: [
        Offer(
            "Dr. Lena Brunner",
            "person",
            "General medicine, 20 minutes.",
            [*_every(25, "08:00", "11:45"), *_every(25, "13:30", "17:15")],
            20,
            exclusive=True,
            weekdays=WORKDAYS,
            buffer_after_minutes=5,
            provider="provider@lakeside.example",
            tariffs=[Tariff("Consultation", "95.00", "CHF")],
        ),
        Offer(
            "Dr. Marco Steiner",
            "person",
            "Physiotherapy, 30 minutes.",
            [*_every(40, "08:00", "11:20"), *_every(40, "13:00", "17:00")],
            30,
            exclusive=True,
            weekdays=WORKDAYS,
            buffer_after_minutes=10,
            provider="steiner@lakeside.example",
            tariffs=[Tariff("Treatment", "78.50", "CHF")],
        ),
        Offer(
            "Dr. Aylin Demir",
            "person",
            "Sports medicine, 30 minutes.",
            [*_every(35, "08:30", "12:00"), *_every(35, "14:00", "17:30")],
            30,
            exclusive=True,
            weekdays=WORKDAYS,
            buffer_after_minutes=5,
            provider="demir@lakeside.example",
            tariffs=[Tariff("Consultation", "120.00", "CHF")],
        ),
    ],
}


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


def create_resources(organizations: dict[str, Organization]) -> None:
    """What the venues offer, with prices. Staff must exist."""
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


def _price(resource: Resource, offer: Offer, tariff: Tariff) -> Price:
    return Price(
        organization_id=resource.organization_id,
        resource=resource,
        name=tariff.name,
        amount=Decimal(tariff.amount),
        currency=tariff.currency,
        basis=Price.Basis.UNIT if tariff.per_person else Price.Basis.BOOKING,
        discount_percent=Decimal(tariff.discount_percent),
        tax_percent=Decimal(offer.tax_percent),
        weekdays=list(tariff.weekdays),
        from_time=tariff.from_time,
        until_time=tariff.until_time,
        priority=tariff.priority,
    )


def offer_slots(*, actor: Actor, now: datetime) -> int:
    """Offer every resource until ``DAYS_AHEAD`` days from today, its own today.

    Days before its last slot are left as they are: a demo that is started again a week later
    gets the days that are new, and nothing back that somebody removed.

    Returns:
        How many slots are new.
    """
    found = (
        Resource.objects.filter(organization__slug__in=OFFERS, is_active=True)
        .select_related("organization")
        .annotate(offered_until=Max("slots__starts_at"))
    )
    count = 0
    for resource in found:
        offers = {offer.name: offer for offer in OFFERS[resource.organization.slug]}
        offer = offers.get(resource.name)
        if offer is None:  # added by whoever plays with the demo
            continue
        count += create_slots(
            resource=resource,
            periods=list(_periods(resource, offer, resource.offered_until, now=now)),
            max_bookings=offer.people,
            max_units=offer.people,
            actor=actor,
        )
    return count


def _periods(
    resource: Resource, offer: Offer, offered_until: datetime | None, *, now: datetime
) -> Iterator[tuple[datetime, datetime]]:
    zone = ZoneInfo(resource.time_zone)
    today = now.astimezone(zone).date()
    first = today - timedelta(days=DAYS_BACK)
    if offered_until is not None:
        first = max(first, offered_until.astimezone(zone).date() + timedelta(days=1))
    days = (today + timedelta(days=DAYS_AHEAD) - first).days + 1
    for day in (first + timedelta(days=i) for i in range(days)):
        if day.isoweekday() not in offer.weekdays:
            continue
        for start in offer.starts:
            # The length is added in UTC: it is the same in the nights that lose or gain an hour.
            starts_at = datetime.combine(day, start, zone).astimezone(UTC)
            yield starts_at, starts_at + timedelta(minutes=offer.minutes)


def slots_of(organization: Organization) -> list[Slot]:
    """Every slot of a venue with its resource, by time."""
    return list(
        Slot.objects.filter(organization=organization)
        .select_related("resource")
        .order_by("starts_at", "resource__name")
    )
