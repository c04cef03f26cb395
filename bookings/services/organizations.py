"""Organisations and the people who work in them."""

from __future__ import annotations

from django.db import transaction

from audit.context import Actor, audited
from bookings.models import Customer, Membership, Organization, User
from bookings.selectors import Viewer


def add_member(
    *, organization: Organization, user: User, role: str, actor: Actor, reason: str = ""
) -> Membership:
    """Give somebody a role in an organisation, or another role, and let them into the admin."""
    with transaction.atomic(savepoint=False), audited(actor, reason=reason):
        membership, _ = Membership.objects.update_or_create(
            organization=organization, user=user, defaults={"role": role}
        )
        if not user.is_staff:
            user.is_staff = True
            user.save(update_fields=["is_staff"])
    return membership


def remove_member(*, membership: Membership, actor: Actor, reason: str = "") -> None:
    """Take somebody's role away; without any role left they cannot enter the admin."""
    user = membership.user
    with transaction.atomic(savepoint=False), audited(actor, reason=reason):
        membership.delete()
        if not user.is_superuser and not user.memberships.exists():
            user.is_staff = False
            user.save(update_fields=["is_staff"])


def customer_of(viewer: Viewer) -> Customer:
    """This person's customer in the organisation, made at their first need of one."""
    if viewer.customer is None:
        with transaction.atomic(savepoint=False), audited(viewer.actor):
            Customer.objects.bulk_create(
                [
                    Customer(
                        organization=viewer.organization,
                        user=viewer.user,
                        name=viewer.user.get_full_name(),
                        email=viewer.user.email,
                        language=viewer.user.language,
                    )
                ],
                ignore_conflicts=True,  # two first requests at once: one of them makes it
            )
            viewer.customer = Customer.objects.get(
                organization=viewer.organization, user=viewer.user
            )
    return viewer.customer
