"""Pages that neither skip nor repeat rows while others write.

A cursor names the last row that was seen by what the list is ordered by and its primary key;
the next page is what comes after it. No offsets: the thousandth page costs what the first does.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.utils.http import urlencode

from audit.api.fields import Fields, to_moment, to_uuid
from audit.errors import Invalid

Row = TypeVar("Row", bound=Model)

PAGE_SIZE = 50
LARGEST_PAGE = 500


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page begins: after this row, or before it."""

    value: datetime | str
    pk: UUID
    backwards: bool = False

    def encode(self) -> str:
        value = self.value.isoformat() if isinstance(self.value, datetime) else self.value
        raw = json.dumps([value, str(self.pk), self.backwards], separators=(",", ":"))
        return base64.urlsafe_b64encode(raw.encode()).decode().rstrip("=")


@dataclass(frozen=True, slots=True)
class Page:
    """Which page of a list somebody asks for."""

    size: int
    cursor: Cursor | None


def page_in(fields: Fields, *, by_time: bool = True) -> Page:
    """Read ``page_size`` and ``cursor``; what is wrong with them is noted in ``fields``."""
    size = fields.integer("page_size", least=1, most=LARGEST_PAGE, default=PAGE_SIZE)
    text = fields.text("cursor", longest=1_000)
    cursor = _decode(text, by_time=by_time) if text else None
    if text and cursor is None:
        fields.refuse("cursor", "Follow the links of the answers; this cursor is not one of them.")
    return Page(size, cursor)


def _decode(text: str, *, by_time: bool) -> Cursor | None:
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        value, pk, backwards = json.loads(raw)
    except (binascii.Error, ValueError, TypeError, RecursionError):
        return None
    found, key = (to_moment(value) if by_time else value), to_uuid(pk)
    if not isinstance(found, (datetime, str)) or key is None or not isinstance(backwards, bool):
        return None
    if isinstance(found, str) and ("\x00" in found or not found.isprintable()):
        return None
    return Cursor(found, key, backwards)


def paginate(
    rows: QuerySet[Row], page: Page, *, order: str, request: HttpRequest
) -> tuple[list[Row], dict[str, str | None]]:
    """One page of a list, ordered by a field and then by primary key.

    Args:
        order: the name of the field, with ``-`` before it for falling order.

    Returns:
        The rows in the list's order, and the links ``next`` and ``previous``.
    """
    falling, name = order.startswith("-"), order.removeprefix("-")
    cursor = page.cursor
    backwards = cursor is not None and cursor.backwards
    if cursor is not None:
        beyond = "lt" if falling != backwards else "gt"
        rows = rows.filter(
            Q(**{f"{name}__{beyond}e": cursor.value})
            & (Q(**{f"{name}__{beyond}": cursor.value}) | Q(**{f"pk__{beyond}": cursor.pk}))
        )
    sign = "-" if falling != backwards else ""
    found = list(rows.order_by(f"{sign}{name}", f"{sign}pk")[: page.size + 1])
    more = len(found) > page.size
    del found[page.size :]
    if backwards:
        found.reverse()

    def link(row: Row, back: bool) -> str:
        parameters = request.GET.dict()
        parameters["cursor"] = Cursor(getattr(row, name), row.pk, back).encode()
        return request.build_absolute_uri(f"{request.path}?{urlencode(parameters)}")

    has_next = bool(found) and (more or backwards)
    has_previous = bool(found) and (more if backwards else cursor is not None)
    return found, {
        "next": link(found[-1], False) if has_next else None,
        "previous": link(found[0], True) if has_previous else None,
    }


def refuse_unknown(request: HttpRequest) -> None:
    """Refuse any query parameter, for lists that have none."""
    if request.GET:
        raise Invalid(
            "There is no such parameter.",
            errors={name[:100]: ["There is no such parameter."] for name in request.GET},
        )
