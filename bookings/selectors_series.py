"""Series as a person may see them."""

from __future__ import annotations

from django.db.models import Q, QuerySet

from bookings.models import Role, Series
from bookings.selectors import Viewer


def series(viewer: Viewer) -> QuerySet[Series]:
    """Staff see the organisation's series (providers their own resources'), customers their own."""
    found = Series.objects.filter(organization=viewer.organization).select_related(
        "resource", "customer"
    )
    if viewer.is_staff and viewer.role != Role.PROVIDER:
        return found
    mine = Q(pk__in=[])
    if viewer.role == Role.PROVIDER:
        mine = Q(resource__provider=viewer.user)
    if viewer.customer is not None:
        mine |= Q(customer=viewer.customer)
    return found.filter(mine)
