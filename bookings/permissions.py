"""What each role may do, in one table, and the backend that answers Django's questions.

Permissions are Django's own (``app.action_model``), so the admin, the API and templates ask
the same way. Apps above add their lines with :func:`grant` when they load.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from django.contrib.auth.backends import ModelBackend

from bookings.models.organization import Role

_granted: dict[str, set[str]] = defaultdict(set)


def grant(roles: Sequence[str], *permissions: str) -> None:
    """Let ``roles`` do ``permissions`` ("app.action_model")."""
    for role in roles:
        _granted[role].update(permissions)


def roles_with(permission: str) -> set[str]:
    return {role for role, permissions in _granted.items() if permission in permissions}


EVERYBODY = list(Role)
LEADERS = [Role.OWNER, Role.MANAGER]
DESK = [*LEADERS, Role.FRONT_DESK]

grant(
    EVERYBODY,
    "bookings.view_booking",
    "bookings.view_slot",
    "bookings.view_resource",
    "bookings.view_organization",
    "bookings.view_schedule",
    "bookings.view_scheduleexception",
    "bookings.view_pool",
    "bookings.view_series",
)
grant([*DESK, Role.REVIEWER], "bookings.view_customer")
grant([*DESK, Role.PROVIDER], "bookings.check_in_booking", "bookings.propose_booking")
grant(DESK, "bookings.add_customer", "bookings.change_customer")
grant([*DESK, Role.REVIEWER], "bookings.change_booking")
grant(
    LEADERS,
    "bookings.add_slot",
    "bookings.change_slot",
    "bookings.add_resource",
    "bookings.change_resource",
    "bookings.delete_resource",
    "bookings.change_schedule",
    "bookings.add_scheduleexception",
    "bookings.change_scheduleexception",
    "bookings.add_pool",
    "bookings.change_pool",
    "bookings.delete_pool",
    "bookings.view_membership",
    "audit.view_delivery",
    "audit.change_delivery",
    "audit.view_outboxevent",
    "audit.view_finding",
    "audit.view_consistencyreport",
)
grant(
    [Role.OWNER],
    "bookings.change_organization",
    "bookings.add_membership",
    "bookings.change_membership",
    "bookings.delete_membership",
)


class MembershipBackend(ModelBackend):
    """Signs in by e-mail and password; permissions come from roles, per organisation."""

    def has_perm(self, user_obj: Any, perm: str, obj: Any = None) -> bool:
        """Whether a role of this person grants ``perm``, in ``obj``'s organisation if given."""
        if not user_obj.is_active or user_obj.is_anonymous:
            return False
        if obj is None:
            return any(perm in _granted[role] for role in user_obj.roles.values())
        return may(user_obj, perm, organization_of(obj))

    def has_module_perms(self, user_obj: Any, app_label: str) -> bool:
        if not user_obj.is_active or user_obj.is_anonymous:
            return False
        return any(
            p.startswith(app_label + ".")
            for role in user_obj.roles.values()
            for p in _granted[role]
        )


def organization_of(obj: Any) -> uuid.UUID | None:
    """The organisation an object belongs to (an organisation belongs to itself)."""
    found = getattr(obj, "organization_id", None)
    if found is None and obj._meta.label == "bookings.Organization":
        found = obj.pk
    return found


def role_may(role: str | None, permission: str) -> bool:
    """Whether a role (None: none) may do ``permission`` in its organisation."""
    return role is not None and permission in _granted[role]


def may(user: Any, permission: str, organization_id: uuid.UUID | None) -> bool:
    """Whether ``user`` may do ``permission`` in one organisation."""
    if not user.is_active:
        return False
    if user.is_superuser:
        return True
    return role_may(user.roles.get(organization_id), permission)


def organizations_with(user: Any, permission: str) -> set[uuid.UUID] | None:
    """Organisations in which ``user`` may do ``permission``; None means every one."""
    if user.is_superuser:
        return None
    return {org for org, role in user.roles.items() if permission in _granted[role]}
