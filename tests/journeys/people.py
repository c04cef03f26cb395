"""People of a journey and what they do, over HTTP."""

import io
import uuid
from concurrent.futures import ThreadPoolExecutor

from django.db import connection

from bookings.models import Customer, User
from tests import factories as f
from tests.api.client import session_token
from tests.journeys.system import Person

PICTURE = f.png()


def customer_of(system, resource):
    user = f.UserFactory(email=f"{uuid.uuid4().hex}@example.com")
    person = Person(system, resource.organization.slug, session_token(user))
    person.email = user.email
    return person


def staff_of(system, resource, role="manager"):
    member = f.MembershipFactory(organization=resource.organization, role=role)
    return Person(system, resource.organization.slug, session_token(member.user))


def add(person, slot, units=1):
    return person.did("cart/items/", {"slot": str(slot.pk), "units": units})


def check_out(person, *slots, method="pay_now"):
    for slot in slots:
        add(person, slot)
    return person.did("cart/checkout/", {"payment_method": method})


def upload(person, order):
    return person.did(
        f"transactions/{order['id']}/proofs/",
        files={"file": ("transfer.png", io.BytesIO(PICTURE), "image/png")},
        data={"reference": "transfer 7"},
    )


def nothing_is_owed():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT (SELECT count(*) FROM audit_outboxevent WHERE dispatched_at IS NULL)"
            " + (SELECT count(*) FROM audit_delivery WHERE status <> 'delivered')"
        )
        return cursor.fetchone()[0] == 0


def all_at_once(actions, threads):
    with ThreadPoolExecutor(threads) as pool:
        return [future.result() for future in [pool.submit(action) for action in actions]]


def crowd(system, resource, size):
    """Customers with open sessions, made in bulk."""
    users = User.objects.bulk_create(
        User(email=f"{uuid.uuid4().hex}@example.com", password="!") for _ in range(size)
    )
    Customer.objects.bulk_create(
        Customer(organization=resource.organization, user=u, name="x", email=u.email) for u in users
    )
    return [Person(system, resource.organization.slug, session_token(u)) for u in users]
