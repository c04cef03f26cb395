"""What is going on at the demo's venues now: every story goes through the services.

Each begins a few hours ago, which services take as their ``now``; the slots lie ahead, so the
database sees nothing unusual. Trail, codes and events are therefore what they would be.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from audit.context import Actor, Origin, origin
from bookings import codes
from bookings.models import Booking, Customer, Organization, ScheduleException, Slot
from bookings.services import bookings as booking_services
from bookings.services import check_in as check_in_service
from bookings.services import closings
from bookings.services import reschedule as proposals
from config.demo.seed_files import Files
from config.demo.seed_people import CUSTOMER, staff_actor
from config.demo.seed_slips import Format
from config.demo.seed_venues import LAKESIDE, RIVERSIDE, slots_of
from payments.models import CartTransaction
from payments.services import cancellation, carts, checkout, decisions, proofs, reschedule, series

HOUR = timedelta(hours=1)
BROWSERS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:141.0) Gecko/20100101 Firefox/141.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 Mobile Safari",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/138.0 Safari/537.36",
)


class Venue:
    """A venue's customers and staff, acting; each call is one service."""

    def __init__(
        self,
        organization: Organization,
        *,
        reviewer: Actor,
        desk: Actor,
        files: Files,
        rng: random.Random,
        now: datetime,
    ) -> None:
        self.organization = organization
        self.reviewer = reviewer
        self.desk = desk
        self.now = now
        self._files = files
        self._rng = rng
        self._slots = [
            slot
            for slot in slots_of(organization)
            if slot.starts_at > now + HOUR and not slot.taken_bookings and slot.status == "open"
        ]
        customers = Customer.objects.filter(organization=organization).select_related("user")
        self.regular = customers.get(email=CUSTOMER.email)
        self._people = list(customers.exclude(email=CUSTOMER.email).order_by("email"))
        rng.shuffle(self._people)

    def somebody(self) -> Customer:
        """The next customer; everybody has their turn before the first comes again."""
        customer = self._people.pop(0)
        self._people.append(customer)
        return customer

    def member(self) -> Customer:
        """The next customer who has an account, and so does everything without the desk."""
        while (customer := self.somebody()).user is None:
            pass
        return customer

    def slot(self, resource: str, *, days: int = 3, today: bool = False) -> Slot | None:
        """A slot nobody was given before, some days from now; None if there is none today."""
        zone = ZoneInfo(self.organization.time_zone)
        from_day = self.now.astimezone(zone).date() + timedelta(days=0 if today else days)
        for slot in self._slots:
            day = slot.starts_at.astimezone(zone).date()
            if slot.resource.name.startswith(resource) and (
                day == from_day if today else day >= from_day
            ):
                self._slots.remove(slot)
                return slot
        return None

    def whole(self, resource: str, *, days: int) -> Slot | None:
        """A slot of what is made of others, at a time when nobody was given any of these."""
        while (slot := self.slot(resource, days=days)) is not None:
            parts = [s for s in self._slots if s.resource.number in slot.parts and _meet(s, slot)]
            hours = (slot.ends_at - slot.starts_at) // HOUR
            if len(parts) == hours * len(slot.parts):
                self._slots = [s for s in self._slots if s not in parts]
                return slot
        return None

    def fill_cart(
        self, customer: Customer, *slots: Slot | None, at: datetime, units: int = 1
    ) -> None:
        for slot in slots:
            if slot is not None:
                with self._from(customer):
                    carts.add_item(
                        organization=self.organization,
                        customer=customer,
                        slot_id=slot.pk,
                        units=units,
                        actor=self._actor(customer),
                        now=at,
                    )

    def order(
        self,
        customer: Customer,
        *slots: Slot | None,
        at: datetime,
        method: str = "pay_now",
        units: int = 1,
        note: str = "",
    ) -> CartTransaction:
        self.fill_cart(customer, *slots, at=at, units=units)
        with self._from(customer):
            return checkout.check_out(
                organization=self.organization,
                customer=customer,
                payment_method=method,
                note=note,
                actor=self._actor(customer),
                now=at + timedelta(minutes=4),
            )

    def book(self, customer: Customer, slot: Slot, *, at: datetime, method: str) -> CartTransaction:
        with self._from(customer):
            return checkout.book(
                organization=self.organization,
                customer=customer,
                slot_id=slot.pk,
                units=1,
                payment_method=method,
                actor=self._actor(customer),
                now=at,
            )

    def book_weekly(
        self, customer: Customer, slot: Slot, *, times: int, at: datetime
    ) -> CartTransaction:
        with self._from(customer):
            made = series.book_series(
                organization=self.organization,
                customer=customer,
                wish=series.Wish(
                    resource_id=slot.resource_id, starts_at=slot.starts_at, times=times
                ),
                payment_method="pay_on_arrival",
                all_or_nothing=True,
                actor=self._actor(customer),
                now=at,
            )
        return made.transaction

    def pay(
        self,
        transaction: CartTransaction,
        *,
        at: datetime,
        kind: Format = "png",
        amount: Decimal | None = None,
        booking: Booking | None = None,
    ) -> None:
        """Upload a receipt; ``amount`` is what it shows, if that is not what was asked for."""
        file = self._files.receipt(transaction, paid_at=at, kind=kind, amount=amount)
        with self._from(transaction.customer):
            proofs.submit(
                transaction_id=transaction.pk,
                organization_id=self.organization.pk,
                customer=transaction.customer,
                file=file,
                booking_id=booking.pk if booking else None,
                amount=transaction.amount if amount is None else amount,
                reference=transaction.reference,
                actor=self._actor(transaction.customer),
                now=at,
            )

    def approve(self, transaction: CartTransaction, *, at: datetime, reason: str = "") -> None:
        with self._from_office():
            decisions.approve(
                transaction_id=transaction.pk,
                organization_id=self.organization.pk,
                actor=self.reviewer,
                now=at,
                reason=reason,
            )

    def reject(self, transaction: CartTransaction, *, at: datetime, reason: str) -> None:
        with self._from_office():
            decisions.reject(
                transaction_id=transaction.pk,
                organization_id=self.organization.pk,
                actor=self.reviewer,
                reason=reason,
                now=at,
            )

    def cancel(self, transaction: CartTransaction, *, at: datetime, reason: str) -> None:
        with self._from(transaction.customer):
            decisions.cancel(
                transaction_id=transaction.pk,
                organization_id=self.organization.pk,
                actor=self._actor(transaction.customer),
                reason=reason,
                now=at,
            )

    def cancel_booking(self, booking: Booking, *, at: datetime, reason: str) -> None:
        with self._from_office():
            cancellation.cancel_booking(
                booking_id=booking.pk,
                organization_id=self.organization.pk,
                actor=self.desk,
                reason=reason,
                now=at,
            )

    def move(self, booking: Booking, slot: Slot, *, at: datetime) -> None:
        """The customer moves a booking to another time of the same price."""
        with self._from(booking.customer):
            reschedule.reschedule(
                booking_id=booking.pk,
                organization_id=self.organization.pk,
                slot_id=slot.pk,
                actor=self._actor(booking.customer),
                now=at,
            )

    def propose(
        self, booking: Booking, slot: Slot, *, by: Actor, at: datetime, message: str
    ) -> None:
        """A provider asks for another time; the customer has not answered yet."""
        with self._from_office():
            proposals.propose(
                booking_id=booking.pk,
                organization_id=self.organization.pk,
                slot_id=slot.pk,
                message=message,
                actor=by,
                now=at,
            )

    def accept(self, booking: Booking, *, at: datetime) -> None:
        with self._from(booking.customer):
            proposals.accept(
                booking_id=booking.pk,
                organization_id=self.organization.pk,
                actor=self._actor(booking.customer),
                now=at,
            )

    def close(self, slot: Slot, *, by: Actor, at: datetime, name: str) -> None:
        """The resource of a slot is closed on its day; who has booked keeps their time."""
        day = slot.starts_at.astimezone(ZoneInfo(slot.resource.time_zone)).date()
        with self._from_office():
            closings.add_exceptions(
                organization_id=self.organization.pk,
                exceptions=[
                    ScheduleException(
                        resource=slot.resource,
                        kind="closed",
                        name=name,
                        first_day=day,
                        last_day=day,
                    )
                ],
                actor=by,
                now=at,
            )

    def take_payment(self, transaction: CartTransaction, *, at: datetime) -> None:
        with self._from_office():
            decisions.take_payment(
                transaction_id=transaction.pk,
                organization_id=self.organization.pk,
                actor=self.desk,
                now=at,
                note="paid by card at the desk",
            )

    def check_in(self, booking: Booking) -> None:
        code = codes.derive(booking.pk, bytes(booking.check_in_code.nonce))
        with self._from_office():
            check_in_service.check_in(
                code=code,
                organization_ids={self.organization.pk},
                actor=self.desk,
                now=self.now,
            )

    @contextmanager
    def acting_for(self, customer: Customer) -> Iterator[Actor]:
        """What is done inside comes from where this customer is."""
        with self._from(customer):
            yield self._actor(customer)

    def _actor(self, customer: Customer) -> Actor:
        """Who acts for a customer: they themselves, or the desk if they have no account."""
        if customer.user is None:
            return self.desk
        return Actor("customer", customer.user.pk, str(customer.user))

    def _from(self, customer: Customer) -> AbstractContextManager[Origin]:
        """A network made for examples (RFC 5737), and somebody's browser."""
        if customer.user is None:
            return self._from_office()
        number = int(customer.pk) % 250 + 1
        browser = BROWSERS[number % len(BROWSERS)]
        return origin(Origin(ip=f"203.0.113.{number}", user_agent=browser))

    def _from_office(self) -> AbstractContextManager[Origin]:
        return origin(Origin(ip="198.51.100.7", user_agent=BROWSERS[0]))


def first_booking(transaction: CartTransaction) -> Booking:
    return Booking.objects.filter(cart_item__transaction=transaction).order_by("pk")[0]


def play(
    organizations: dict[str, Organization], *, files: Files, rng: random.Random, now: datetime
) -> None:
    """Every story at both venues."""
    common = {"files": files, "rng": rng, "now": now}
    riverside = Venue(
        organizations[RIVERSIDE],
        reviewer=staff_actor("reviewer@riverside.example"),
        desk=staff_actor("desk@riverside.example"),
        **common,  # type: ignore[arg-type]
    )
    lakeside = Venue(
        organizations[LAKESIDE],
        reviewer=staff_actor("reviewer@lakeside.example"),
        desk=staff_actor("desk@lakeside.example"),
        **common,  # type: ignore[arg-type]
    )
    _holds_that_ran_out(riverside)
    _waiting_for_payment(riverside)
    _under_review(riverside)
    _decided(riverside)
    _called_off(riverside)
    _today(riverside)
    _at_the_clinic(lakeside)
    _moved(riverside)
    _proposed(lakeside)
    _in_the_hall(riverside)
    _every_week(riverside)
    _in_carts(riverside)
    _closed_under_people(riverside)


def _holds_that_ran_out(venue: Venue) -> None:
    for resource in ("Court 1", "Yoga"):
        venue.fill_cart(venue.somebody(), venue.slot(resource), at=venue.now - HOUR)
    booking_services.expire_holds(actor=Actor.system("hold expiry"), now=venue.now - HOUR / 2)


def _waiting_for_payment(venue: Venue) -> None:
    now = venue.now
    venue.order(venue.somebody(), venue.slot("Court 2"), at=now - 3 * HOUR)
    venue.order(venue.somebody(), venue.slot("Yoga", days=4), units=2, at=now - 7 * HOUR)
    venue.order(venue.regular, venue.slot("Court 3", days=5), at=now - HOUR, note="With rackets.")
    for days in (2, 6):
        slot = venue.slot("Court 4", days=days)
        venue.order(venue.somebody(), slot, at=now - 5 * HOUR, method="pay_on_arrival")


def _under_review(venue: Venue) -> None:
    now = venue.now
    kinds: tuple[Format, ...] = ("png", "jpg", "pdf", "png")
    for number, kind in enumerate(kinds):
        slots = [venue.slot("Court", days=3 + number) for _ in range(1 + number % 3)]
        waiting = venue.order(venue.somebody(), *slots, at=now - (4 + 3 * number) * HOUR)
        venue.pay(waiting, at=now - (3 + 2 * number) * HOUR, kind=kind)
    # 10 less than was asked for: the reviewer sees the difference.
    short = venue.order(venue.somebody(), venue.slot("Court 1", days=8), at=now - 9 * HOUR)
    venue.pay(short, at=now - 8 * HOUR, amount=short.amount - 10)
    # Two files: one for a booking alone, then one for the rest.
    pair = [venue.slot("Spinning", days=6), venue.slot("Yoga", days=6)]
    split = venue.order(venue.regular, *pair, at=now - 6 * HOUR)
    first = first_booking(split)
    part = first.cart_item.amount or Decimal(0)
    venue.pay(split, at=now - 5 * HOUR, kind="jpg", booking=first, amount=part)
    venue.pay(split, at=now - 4 * HOUR, kind="pdf", amount=split.amount - part)


def _decided(venue: Venue) -> None:
    now = venue.now
    people = [venue.regular, *(venue.somebody() for _ in range(7))]
    for number, customer in enumerate(people):
        resource = ("Court 1", "Spinning", "Court 3", "Yoga")[number % 4]
        slots = [venue.slot(resource, days=1 + number % 6) for _ in range(1 + number % 2)]
        made = venue.order(customer, *slots, at=now - (30 + number) * HOUR, units=1)
        venue.pay(made, at=now - (28 + number) * HOUR, kind="jpg")
        venue.approve(made, at=now - (10 + number) * HOUR)
    for number in range(3):
        slot = venue.slot("Court 2", days=2 + number)
        made = venue.order(venue.somebody(), slot, at=now - 20 * HOUR, method="pay_on_arrival")
        venue.approve(made, at=now - 18 * HOUR, reason="A regular.")
        if not number:
            venue.take_payment(made, at=now - HOUR)
    for reason in ("The amount is wrong: 8.00 are missing.", "This receipt was used before."):
        made = venue.order(venue.somebody(), venue.slot("Court 4", days=7), at=now - 26 * HOUR)
        venue.pay(made, at=now - 25 * HOUR, amount=made.amount - 8)
        venue.reject(made, at=now - 12 * HOUR, reason=reason)


def _called_off(venue: Venue) -> None:
    now = venue.now
    made = venue.order(venue.somebody(), venue.slot("Court 2", days=9), at=now - 15 * HOUR)
    venue.cancel(made, at=now - 11 * HOUR, reason="My partner is injured.")
    paid = venue.order(venue.somebody(), venue.slot("Court 3", days=9), at=now - 30 * HOUR)
    venue.pay(paid, at=now - 29 * HOUR)
    venue.approve(paid, at=now - 27 * HOUR)
    venue.cancel(paid, at=now - 2 * HOUR, reason="I have to travel.")
    # One of three: the others stay.
    three = [venue.slot("Spinning", days=days) for days in (4, 5, 7)]
    made = venue.order(venue.somebody(), *three, at=now - 22 * HOUR, method="pay_on_arrival")
    venue.approve(made, at=now - 20 * HOUR)
    venue.cancel_booking(first_booking(made), at=now - 3 * HOUR, reason="Called: cannot come.")


def _today(venue: Venue) -> None:
    """Who comes today, and who is there already. Shortly before midnight nobody is."""
    for resource, count in (("Open gym", 4), ("Spinning", 3), ("Court 1", 1)):
        slot = venue.slot(resource, today=True)
        if slot is None:
            continue
        for number in range(count):
            made = venue.book(
                venue.somebody(), slot, at=venue.now - 8 * HOUR, method="pay_on_arrival"
            )
            if made.status == "pending":
                venue.approve(made, at=venue.now - 6 * HOUR)
            if not number:
                venue.check_in(first_booking(made))
    # Longer ago than a day before it begins, and so reminded, whatever the time is.
    soon = venue.order(venue.somebody(), venue.slot("Court 4", days=0), at=venue.now - 40 * HOUR)
    venue.pay(soon, at=venue.now - 38 * HOUR)
    venue.approve(soon, at=venue.now - 36 * HOUR)


def _at_the_clinic(venue: Venue) -> None:
    now = venue.now
    for number in range(14):
        doctor = ("Dr. Lena", "Dr. Marco", "Dr. Aylin")[number % 3]
        slot = venue.slot(doctor, days=1 + number // 4)
        assert slot is not None
        customer = venue.regular if number == 4 else venue.somebody()
        venue.book(customer, slot, at=now - (3 + number) * HOUR, method="pay_on_arrival")
    for doctor in ("Dr. Lena", "Dr. Aylin"):
        made = venue.order(venue.somebody(), venue.slot(doctor, days=5), at=now - 9 * HOUR)
        venue.pay(made, at=now - 7 * HOUR, kind="pdf")
    venue.order(venue.somebody(), venue.slot("Dr. Marco", days=5), at=now - 2 * HOUR)


def _moved(venue: Venue) -> None:
    """Somebody found a better day, at the same price."""
    now = venue.now
    class_, later = venue.slot("Yoga", days=3), venue.slot("Yoga", days=5)
    assert class_ is not None
    assert later is not None
    made = venue.order(venue.somebody(), class_, at=now - 16 * HOUR, method="pay_on_arrival")
    venue.approve(made, at=now - 14 * HOUR)
    venue.move(first_booking(made), later, at=now - 4 * HOUR)


def _proposed(venue: Venue) -> None:
    """Doctors ask for another time: one is waiting for the answer, one was accepted."""
    now = venue.now
    for doctor, email, customer in (
        ("Dr. Lena", "provider@lakeside.example", venue.regular),
        ("Dr. Marco", "steiner@lakeside.example", venue.somebody()),
    ):
        slot, other = venue.slot(doctor, days=6), venue.slot(doctor, days=8)
        assert slot is not None
        assert other is not None
        made = venue.book(customer, slot, at=now - 20 * HOUR, method="pay_on_arrival")
        booking = first_booking(made)
        message = "I am at a congress on that day. Could you come later in the week?"
        venue.propose(booking, other, by=staff_actor(email), at=now - 3 * HOUR, message=message)
        if customer != venue.regular:
            venue.accept(booking, at=now - 2 * HOUR)


def _in_the_hall(venue: Venue) -> None:
    """A club has both courts of the hall for an evening."""
    slot = venue.whole("Hall", days=3)
    made = venue.order(venue.somebody(), slot, at=venue.now - 24 * HOUR, method="pay_on_arrival")
    venue.approve(made, at=venue.now - 22 * HOUR)


def _every_week(venue: Venue) -> None:
    """A class on the same evening, three weeks in a row."""
    slot = venue.slot("Yoga", days=2)
    assert slot is not None
    made = venue.book_weekly(venue.somebody(), slot, times=3, at=venue.now - 13 * HOUR)
    if made.status == "pending":  # what the desk books is confirmed at once
        venue.approve(made, at=venue.now - 12 * HOUR)


def _closed_under_people(venue: Venue) -> None:
    """A court gets new sand on a day for which somebody has booked: they keep their hour."""
    slot = venue.slot("Court 4", days=11)
    assert slot is not None
    made = venue.order(venue.somebody(), slot, at=venue.now - 19 * HOUR, method="pay_on_arrival")
    venue.approve(made, at=venue.now - 17 * HOUR)
    manager = staff_actor("manager@riverside.example")
    venue.close(slot, by=manager, at=venue.now - HOUR, name="New sand")


def _meet(one: Slot, other: Slot) -> bool:
    return one.starts_at < other.ends_at and other.starts_at < one.ends_at


def _in_carts(venue: Venue) -> None:
    """Seats that are held while somebody thinks it over; they run out by themselves."""
    for days in (2, 3):
        slots = [venue.slot("Court", days=days), venue.slot("Yoga", days=days)]
        venue.fill_cart(venue.somebody(), *slots, at=venue.now)
