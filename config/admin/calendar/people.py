"""Finding a customer by what they say: a name, an address, a phone number (F3)."""

from __future__ import annotations

import re

from django.db.models import Q, QuerySet

from bookings.models import Customer

MOST = 8
SHORTEST = 2
FEWEST_DIGITS = 4


def search(customers: QuerySet[Customer], text: str) -> list[Customer]:
    """The first customers whose name, e-mail address or phone number has this in it.

    A phone number is found as people say it: ``0151 23 45`` is in ``+4915123456``.

    Args:
        customers: of one organisation, as far as the person may see them.
    """
    text = text.strip()
    if len(text) < SHORTEST:
        return []
    found = Q(name__icontains=text) | Q(email__icontains=text)
    digits = re.sub(r"\D", "", text).lstrip("0")
    if len(digits) >= FEWEST_DIGITS and re.fullmatch(r"[\d\s()+/.-]+", text):
        found |= Q(phone__contains=digits)
    return list(customers.filter(found).order_by("name", "pk")[: MOST + 1])
