"""Organisations and the people who work in them."""

from __future__ import annotations

import uuid

from django.db import transaction

from audit.context import Actor, audited
from bookings import locks
from bookings.errors import LastOwner
from bookings.models import Customer, Membership, Organization, Role, User
from bookings.selectors import Viewer


def add_member(
    *, organization: Organization, user: User, role: str, actor: Actor, reason: str = ""
) -> Membership:
    """Give somebody a role in an organisation, or another role, and let them into the admin.

    Raises:
        LastOwner: they are its only owner and would not be any more.
    """
    with transaction.atomic(savepoint=False), audited(actor, reason=reason):
        if role != Role.OWNER:
            _keep_an_owner(organization.pk, without=user)
        person = locks.user(user.pk)
        membership, _ = Membership.objects.update_or_create(
            organization=organization, user=user, defaults={"role": role}
        )
        if not person.is_staff:
            person.is_staff = True
            person.save(update_fields=["is_staff"])
        user.is_staff = True
    return membership


def remove_member(*, membership: Membership, actor: Actor, reason: str = "") -> None:
    """Take somebody's role away; without any role left they cannot enter the admin.

    Raises:
        LastOwner: they are its only owner.
    """
    user = membership.user
    with transaction.atomic(savepoint=False), audited(actor, reason=reason):
        _keep_an_owner(membership.organization_id, without=user)
        person = locks.user(user.pk)
        membership.delete()
        if not person.is_superuser and not person.memberships.exists():
            person.is_staff = user.is_staff = False
            person.save(update_fields=["is_staff"])


def _keep_an_owner(organization_id: uuid.UUID, *, without: User) -> None:
    owners = locks.owners(organization_id)
    if owners and all(o.user_id == without.pk for o in owners):
        raise LastOwner(
            "This is the only owner. Make somebody else an owner first, then try again."
        )


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
