"""Finding customers by what they can be reached at."""

from __future__ import annotations

import uuid

from django.db.models import Q, QuerySet
from django.db.models.functions import Lower

from bookings.models import Customer


def reached_at(organization_id: uuid.UUID, *, email: str, phone: str) -> QuerySet[Customer]:
    """Who of an organisation has this e-mail address, however it is written, or this number.

    Args:
        phone: as it is stored: ``+4915123456789``.
    """
    found = Q(pk__in=[])
    if email:
        found |= Q(address=email.lower()) & ~Q(email="")
    if phone:
        found |= Q(phone=phone) & ~Q(phone="")
    return (
        Customer.objects.alias(address=Lower("email"))
        .filter(found, organization=organization_id)
        .order_by("created_at", "pk")
    )
