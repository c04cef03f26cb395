"""Who works at the demo's venues, and who books there. All names are invented."""

from __future__ import annotations

import random
from dataclasses import dataclass

from allauth.account.models import EmailAddress
from django.contrib.auth.hashers import make_password

from audit.context import Actor
from bookings.models import Customer, Membership, Organization, User
from config.demo.seed_venues import LAKESIDE, RIVERSIDE

PASSWORD = "holdfast-demo"


@dataclass(frozen=True, slots=True)
class Login:
    """Somebody to sign in as. ``organization`` is a slug; empty means every organisation."""

    role: str
    email: str
    password: str
    organization: str


@dataclass(frozen=True, slots=True)
class Person:
    """A member of the staff, with the role in each organisation they work in."""

    email: str
    name: str
    roles: dict[str, str]


ADMIN = Person("admin@holdfast.example", "Robin Adler", {})
STAFF = [
    Person("owner@riverside.example", "Johanna Reuter", {RIVERSIDE: "owner", LAKESIDE: "owner"}),
    Person("manager@riverside.example", "Tobias Lindner", {RIVERSIDE: "manager"}),
    Person("reviewer@riverside.example", "Miriam Falk", {RIVERSIDE: "reviewer"}),
    Person("desk@riverside.example", "Jonas Petri", {RIVERSIDE: "front_desk"}),
    Person("provider@lakeside.example", "Dr. Lena Brunner", {LAKESIDE: "provider"}),
    Person("steiner@lakeside.example", "Dr. Marco Steiner", {LAKESIDE: "provider"}),
    Person("demir@lakeside.example", "Dr. Aylin Demir", {LAKESIDE: "provider"}),
    Person("reviewer@lakeside.example", "Ursina Caduff", {LAKESIDE: "reviewer"}),
    Person("desk@lakeside.example", "Beat Zwicky", {LAKESIDE: "front_desk"}),
]
# Who books at both venues, and is the example of a customer.
CUSTOMER = Person("customer@example.com", "Emil Sanders", {})

LOGINS = [
    Login("admin", ADMIN.email, PASSWORD, ""),
    Login("owner", "owner@riverside.example", PASSWORD, RIVERSIDE),
    Login("manager", "manager@riverside.example", PASSWORD, RIVERSIDE),
    Login("reviewer", "reviewer@riverside.example", PASSWORD, RIVERSIDE),
    Login("front_desk", "desk@riverside.example", PASSWORD, RIVERSIDE),
    Login("provider", "provider@lakeside.example", PASSWORD, LAKESIDE),
    Login("customer", CUSTOMER.email, PASSWORD, RIVERSIDE),
]

GIVEN = [
    "Ada",
    "Albin",
    "Amelie",
    "Anouk",
    "Arne",
    "Bastian",
    "Carla",
    "Cedric",
    "Clara",
    "Dario",
    "Elena",
    "Elif",
    "Fabio",
    "Finn",
    "Greta",
    "Hanna",
    "Henrik",
    "Ida",
    "Ilja",
    "Jana",
    "Jasper",
    "Juno",
    "Kaya",
    "Lars",
    "Lea",
    "Leon",
    "Lina",
    "Luca",
    "Malte",
    "Mara",
    "Marek",
    "Mila",
    "Nele",
    "Nico",
    "Noah",
    "Nora",
    "Oskar",
    "Paula",
    "Pia",
    "Rasmus",
    "Rosa",
    "Samir",
    "Selma",
    "Silas",
    "Tara",
    "Theo",
    "Tilda",
    "Vera",
    "Yara",
]
FAMILY = [
    "Abegg",
    "Ahrens",
    "Bachmair",
    "Behrendt",
    "Brandis",
    "Cavelti",
    "Dahlmann",
    "Eggers",
    "Engler",
    "Fenner",
    "Gessner",
    "Gruber",
    "Hagedorn",
    "Halder",
    "Ingold",
    "Jansohn",
    "Kaltenbach",
    "Kessler",
    "Kowal",
    "Lauber",
    "Lenz",
    "Marthaler",
    "Mertens",
    "Nauer",
    "Novakova",
    "Oertli",
    "Osterloh",
    "Pohl",
    "Quandt",
    "Rademann",
    "Rieder",
    "Sahin",
    "Schubiger",
    "Sommer",
    "Tanner",
    "Thorsen",
    "Uhlig",
    "Vogelsang",
    "Wanner",
    "Weidner",
    "Yilmaz",
    "Zeller",
]
CUSTOMERS = {RIVERSIDE: 40, LAKESIDE: 22}
WITH_ACCOUNT = 0.5


def create_staff(organizations: dict[str, Organization]) -> None:
    """The superuser and everybody who works at the venues."""
    password = make_password(PASSWORD)  # hashing is slow on purpose, and all share one password
    users = [
        User(
            email=person.email,
            name=person.name,
            password=password,
            is_staff=True,
            is_superuser=person is ADMIN,
        )
        for person in (ADMIN, *STAFF)
    ]
    User.objects.bulk_create(users)
    _confirm_addresses(users)
    by_email = {user.email: user for user in users}
    Membership.objects.bulk_create(
        Membership(organization=organizations[slug], user=by_email[person.email], role=role)
        for person in STAFF
        for slug, role in person.roles.items()
    )


def create_customers(organizations: dict[str, Organization], rng: random.Random) -> None:
    """Some sixty customers, about half of them with an account."""
    password = make_password(PASSWORD)
    pairs = [(given, family) for given in GIVEN for family in FAMILY]
    names = [f"{given} {family}" for given, family in rng.sample(pairs, sum(CUSTOMERS.values()))]
    regular = User(email=CUSTOMER.email, name=CUSTOMER.name, password=password)
    users = [regular]
    customers = []
    for slug, count in CUSTOMERS.items():
        customers.append(_customer(organizations[slug], regular.name, regular.email, regular))
        for _ in range(count - 1):
            name = names.pop()
            email = f"{name.lower().replace(' ', '.')}@example.com"
            user = None
            if rng.random() < WITH_ACCOUNT:
                user = User(email=email, name=name, password=password)
                users.append(user)
            customers.append(_customer(organizations[slug], name, email, user))
            # Numbers that the German regulator keeps for films: they ring nowhere.
            if rng.random() < 0.6:
                customers[-1].phone = f"+493023125{rng.randrange(1000):03}"
    User.objects.bulk_create(users)
    _confirm_addresses(users)
    Customer.objects.bulk_create(customers)


def _customer(organization: Organization, name: str, email: str, user: User | None) -> Customer:
    return Customer(organization=organization, name=name, email=email, user=user)


def _confirm_addresses(users: list[User]) -> None:
    EmailAddress.objects.bulk_create(
        EmailAddress(user=user, email=user.email, verified=True, primary=True) for user in users
    )


def staff_actor(email: str) -> Actor:
    """A member of the staff, as the trail names them."""
    user = User.objects.get(email=email)
    return Actor("staff", user.pk, str(user))
