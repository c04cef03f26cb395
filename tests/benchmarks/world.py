"""The organisation the benchmarks book at, and fresh people, carts and orders for each round.

Rows are written in bulk, as the services would have left them: the consistency checks at the end
of a run look at these rows too.
"""

from __future__ import annotations

import base64
import hashlib
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.db import connection, transaction
from django.utils import timezone
from django.utils.crypto import get_random_string

from audit.context import Actor, audited
from bookings import codes
from bookings.models import (
    Booking,
    CheckInCode,
    Customer,
    Membership,
    Organization,
    Resource,
    Role,
    Slot,
    User,
)
from payments.models import Cart, CartItem, CartTransaction, PaymentPolicy, Price, Proof

PLENTY = 1_000_000_000
SPREAD = 1_000
LANES, LANE = 16, 100  # slots of large orders: each client has its own, so that nobody waits
RESOURCES_LISTED, HOURS_LISTED = 10, 50
AMOUNT = Decimal("20.00")
PICTURE = base64.b64decode(  # a PNG of one pixel
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
)
BACKEND = "bookings.permissions.MembershipBackend"


@dataclass(frozen=True)
class Person:
    """Somebody signed in: their user, their customer (None for staff), their session token."""

    user: User
    customer: Customer | None
    token: str


class World:
    """One organisation with its slots; methods make people and what they have in their hands."""

    def __init__(self) -> None:
        self.now = timezone.now().replace(minute=0, second=0, microsecond=0)
        self.run = uuid.uuid4().hex[:8]
        with seeding():
            self._make_organization()
            self._make_slots()
            self.staff = self._make_staff(LANES)
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")

    # -- what is there from the beginning -------------------------------------------------------

    def _make_organization(self) -> None:
        self.organization = Organization.objects.create(
            name="Benchmark", slug=f"bench-{self.run}", time_zone="Europe/Berlin", hold_minutes=240
        )
        PaymentPolicy.objects.create(organization=self.organization, instructions="To the desk.")

    def _make_slots(self) -> None:
        hall = self._resource("Hall", exclusive=False)
        day = self.now + timedelta(days=2)
        self.hot = self._slots(hall, day, 1)[0]
        self.spread = self._slots(hall, day + timedelta(hours=2), SPREAD)
        shop = self._resource("Shop", exclusive=False)
        lanes = self._slots(shop, day, LANES * LANE)
        self.lanes = [lanes[i : i + LANE] for i in range(0, len(lanes), LANE)]
        # Open now and for more than a day, so that a run over midnight checks in as well.
        # Its clock shows about noon, so that what starts in two hours is today.
        noon = f"Etc/GMT{self.now.astimezone(UTC).hour - 12:+d}"
        door = self._resource("Door", exclusive=False, time_zone=noon)
        self.door = self._slots(door, self.now + timedelta(hours=2), 1, hours=40)[0]
        self._make_list()

    def _make_list(self) -> None:
        """Ten resources, every other one exclusive, each with fifty slots at the same hours."""
        self.listed_from = self.now + timedelta(days=400)
        self.listed_until = self.listed_from + timedelta(hours=HOURS_LISTED)
        taken = []
        for number in range(RESOURCES_LISTED):
            resource = self._resource(f"Court {number}", exclusive=number % 2 == 0)
            capacity = 1 if resource.exclusive else 12
            slots = self._slots(resource, self.listed_from, HOURS_LISTED, capacity=capacity)
            taken += slots[::3]
        guest = self.people(1)[0].customer
        assert guest is not None
        self._orders([(guest, taken)], confirmed=True)

    def _resource(
        self, name: str, *, exclusive: bool, time_zone: str = "Europe/Berlin"
    ) -> Resource:
        resource = Resource.objects.create(
            organization=self.organization,
            name=name,
            exclusive=exclusive,
            time_zone=time_zone,
        )
        resource.refresh_from_db(fields=["number"])
        Price.objects.create(organization=self.organization, resource=resource, amount=AMOUNT)
        return resource

    def _slots(
        self,
        resource: Resource,
        start: datetime,
        count: int,
        *,
        hours: int = 1,
        capacity: int = PLENTY,
    ) -> list[Slot]:
        slots = [
            Slot.at(
                resource,
                start + timedelta(hours=i),
                start + timedelta(hours=i + hours),
                max_bookings=capacity,
                max_units=capacity,
            )
            for i in range(count)
        ]
        return Slot.objects.bulk_create(slots)

    def small_slot(self, capacity: int) -> Slot:
        """A new slot with few seats."""
        with seeding():
            resource = self._resource(f"Room {uuid.uuid4().hex[:8]}", exclusive=False)
            return self._slots(resource, self.now + timedelta(days=3), 1, capacity=capacity)[0]

    # -- people ---------------------------------------------------------------------------------

    def people(self, count: int) -> list[Person]:
        """New customers, signed in."""
        with seeding():
            users = self._users(count)
            customers = Customer.objects.bulk_create(
                [
                    Customer(organization=self.organization, user=u, name=u.name, email=u.email)
                    for u in users
                ]
            )
            tokens = self._sign_in(users)
        return [Person(*row) for row in zip(users, customers, tokens, strict=True)]

    def _make_staff(self, count: int) -> list[Person]:
        users = self._users(count, is_staff=True)
        Membership.objects.bulk_create(
            [Membership(organization=self.organization, user=u, role=Role.MANAGER) for u in users]
        )
        return [Person(u, None, t) for u, t in zip(users, self._sign_in(users), strict=True)]

    def _users(self, count: int, **fields: bool) -> list[User]:
        names = [f"bench-{uuid.uuid4().hex}" for _ in range(count)]
        return User.objects.bulk_create(
            [User(email=f"{n}@example.com", name=n, password=f"!{n}", **fields) for n in names]
        )

    def _sign_in(self, users: Sequence[User]) -> list[str]:
        """Sessions as a login leaves them; the token is the session's key."""
        tokens = [get_random_string(32, "abcdefghijklmnopqrstuvwxyz0123456789") for _ in users]
        Session.objects.bulk_create(
            [
                Session(
                    session_key=token,
                    session_data=SessionStore().encode(
                        {
                            SESSION_KEY: str(user.pk),
                            BACKEND_SESSION_KEY: BACKEND,
                            HASH_SESSION_KEY: user.get_session_auth_hash(),
                        }
                    ),
                    expire_date=timezone.now() + timedelta(days=14),
                )
                for user, token in zip(users, tokens, strict=True)
            ]
        )
        return tokens

    # -- what they have in their hands ----------------------------------------------------------

    def carts(self, count: int, items: int, *, lane: int = 0) -> list[Person]:
        """New customers, each with a cart that holds seats in ``items`` slots of a lane."""
        people = self.people(count)
        now = timezone.now()
        held_until = now + timedelta(minutes=self.organization.hold_minutes)
        slots = self.lanes[lane][:items] if items > 1 else self.spread
        bookings, rows = [], []
        with seeding():
            carts = Cart.objects.bulk_create(
                [
                    Cart(organization=self.organization, customer=p.customer, created_at=now)
                    for p in people
                ]
            )
            for number, (person, cart) in enumerate(zip(people, carts, strict=True)):
                for slot in slots if items > 1 else [slots[number % len(slots)]]:
                    booking = Booking(
                        organization=self.organization,
                        slot=slot,
                        customer=person.customer,
                        held_until=held_until,
                        created_at=now,
                    )
                    bookings.append(booking)
                    rows.append(
                        CartItem(
                            organization=self.organization,
                            cart=cart,
                            booking=booking,
                            created_at=now,
                        )
                    )
            Booking.objects.bulk_create(bookings)
            CartItem.objects.bulk_create(rows)
        return people

    def transactions(self, count: int, bookings: int) -> list[uuid.UUID]:
        """Orders of new customers that wait for a decision, each with a proof of payment."""
        people = self.people(count)
        orders = []
        for number, person in enumerate(people):
            assert person.customer is not None
            slots = self.lanes[number % LANES]
            orders.append((person.customer, [slots[i % LANE] for i in range(bookings)]))
        with seeding():
            return [t.pk for t in self._orders(orders)]

    def confirmed_codes(self, count: int) -> list[str]:
        """Check-in codes of new confirmed bookings for today."""
        guest = self.people(1)[0].customer
        assert guest is not None
        with seeding():
            made = self._orders([(guest, [self.door] * count)], confirmed=True)
            rows = CheckInCode.objects.filter(booking__cart_item__transaction__in=made)
            return [codes.derive(row.booking_id, bytes(row.nonce)) for row in rows]

    def _orders(
        self, orders: Sequence[tuple[Customer, Sequence[Slot]]], *, confirmed: bool = False
    ) -> list[CartTransaction]:
        now = timezone.now()
        decided = {"decided_at": now, "decided_by": "benchmark", "paid_at": now}
        carts, transactions, bookings, items, proofs = [], [], [], [], []
        for customer, slots in orders:
            total = AMOUNT * len(slots)
            transaction_ = CartTransaction(
                organization=self.organization,
                customer=customer,
                status="approved" if confirmed else "under_review",
                payment_method="pay_now",
                payment_status="paid" if confirmed else "pending",
                amount=total,
                tax=0,
                discount=0,
                currency="EUR",
                created_at=now,
                submitted_at=now,
                review_due_at=None if confirmed else now + timedelta(days=1),
                **(decided if confirmed else {}),
            )
            transactions.append(transaction_)
            cart = Cart(
                organization=self.organization,
                customer=customer,
                status="checked_out",
                created_at=now,
                checked_out_at=now,
            )
            carts.append(cart)
            proofs.append(
                Proof(
                    organization=self.organization,
                    customer=customer,
                    transaction=transaction_,
                    file=_proof_file(transaction_.pk),
                    content_type="image/png",
                    size=len(PICTURE),
                    sha256=hashlib.sha256(PICTURE).hexdigest(),
                    original_name="proof.png",
                    amount=total,
                    status="accepted" if confirmed else "submitted",
                    uploaded_at=now,
                )
            )
            for slot in slots:
                booking = Booking(
                    organization=self.organization,
                    slot=slot,
                    customer=customer,
                    status="confirmed" if confirmed else "pending",
                    created_at=now,
                    requested_at=now,
                    confirmed_at=now if confirmed else None,
                )
                bookings.append(booking)
                items.append(
                    CartItem(
                        organization=self.organization,
                        cart=cart,
                        transaction=transaction_,
                        booking=booking,
                        status="approved" if confirmed else "checked_out",
                        unit_price=AMOUNT,
                        quantity=1,
                        amount=AMOUNT,
                        currency="EUR",
                        created_at=now,
                    )
                )
        Cart.objects.bulk_create(carts)
        CartTransaction.objects.bulk_create(transactions)
        Booking.objects.bulk_create(bookings)
        CartItem.objects.bulk_create(items)
        Proof.objects.bulk_create(proofs)
        if confirmed:
            _issue_codes(bookings, now)
        return transactions


def _proof_file(pk: uuid.UUID) -> str:
    """A file of its own for each proof: the consistency checks look for it."""
    name = f"{pk.hex[-2:]}/{pk.hex}.png"
    path = Path(settings.PROOF_ROOT) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(PICTURE)
    return name


def _issue_codes(bookings: Sequence[Booking], now: datetime) -> None:
    rows = []
    for booking in bookings:
        nonce = codes.new_nonce()
        code_hash = codes.fingerprint(codes.derive(booking.pk, nonce))
        rows.append(CheckInCode(booking=booking, nonce=nonce, code_hash=code_hash, created_at=now))
    CheckInCode.objects.bulk_create(rows)


@contextmanager
def seeding() -> Iterator[None]:
    """One transaction, in the trail under the benchmark's name, whose statements may take long."""
    with transaction.atomic(), audited(Actor.system("benchmark")):
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = 0")
        yield
