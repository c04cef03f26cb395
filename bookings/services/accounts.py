"""A person's own account."""

from __future__ import annotations

from django.db import transaction

from audit.context import Actor, audited
from bookings.models import Customer, User


def actor_of(user: User) -> Actor:
    """Who somebody is in the trail when they change their own account."""
    return Actor("staff" if user.is_staff else "customer", user.pk, str(user))


def tidy_name(name: str) -> str:
    """A name as it may stand in a line: white space, line breaks too, becomes one space."""
    return " ".join(name.split())


def change_profile(*, user: User, name: str = "", language: str = "") -> User:
    """Change a person's own name and language, also where they are a customer.

    Args:
        name, language: the new values; an empty one is left as it is.
    """
    new = {"name": tidy_name(name), "language": language}
    changes = {k: v for k, v in new.items() if v}
    if not changes:
        return user
    with transaction.atomic(savepoint=False), audited(actor_of(user), reason="own profile"):
        User.objects.filter(pk=user.pk).update(**changes)
        Customer.objects.filter(user=user).update(**changes)
    for field, value in changes.items():
        setattr(user, field, value)
    return user
