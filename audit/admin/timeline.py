"""The history of one object, readable: who changed what, when, from where and why (B7, B8)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib.admin.utils import unquote
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from unfold.utils import display_for_field

from audit.admin.scope import moment
from audit.history import tracked_fields, trail_of

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin as AdminBase
else:
    AdminBase = object

PAGE = 50
LONGEST_VALUE = 400
NOTHING = "-"


@dataclass(frozen=True)
class Change:
    """One field of one line: what it was and what it became, in words."""

    label: str
    before: str
    after: str


@dataclass(frozen=True)
class Line:
    """One line of the timeline."""

    kind: str
    at: datetime
    actor_kind: str
    actor_label: str
    ip: str | None
    user_agent: str
    request_id: str
    reason: str
    changes: Sequence[Change]


@dataclass(frozen=True)
class Later:
    """One field that says something else since: what and what now, in words, and who did it."""

    name: str
    label: str
    before: str
    after: str
    actor_id: UUID | None
    actor_label: str
    at: datetime


class TimelineMixin(AdminBase):
    """Replaces a ModelAdmin's history page by a timeline made from the trail. Read-only.

    The object is looked up in ``self.get_queryset(request)``, so that whoever cannot see it in
    the list cannot see its history either. Put it before ``ModelAdmin`` in the bases.
    """

    timeline_template = "admin/audit/timeline.html"
    #: Names of fields that tell nobody anything, such as a version that counts changes.
    timeline_hidden: Sequence[str] = ("version",)

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        found = self.get_object(request, unquote(object_id))
        if found is None:
            raise Http404
        if not self.has_view_or_change_permission(request, found):
            raise PermissionDenied
        lines, older = timeline(
            found, before=_line_number(request.GET.get("before")), hidden=self.timeline_hidden
        )
        request.current_app = self.admin_site.name
        return TemplateResponse(
            request,
            self.timeline_template,
            {
                **self.admin_site.each_context(request),
                "title": _("History: %s") % found,
                "subtitle": None,
                "lines": lines,
                "older": older,
                "newest": "before" not in request.GET,
                "module_name": str(capfirst(self.opts.verbose_name_plural)),
                "object": found,
                "original": found,
                "opts": self.opts,
                "preserved_filters": self.get_preserved_filters(request),
                **(extra_context or {}),
            },
        )


def timeline(
    found: models.Model, *, before: int | None = None, hidden: Sequence[str] = ()
) -> tuple[list[Line], int | None]:
    """A page of an object's trail, newest first, and where the next page begins.

    Costs one query for the lines and one for each kind of object that a changed field points at.

    Args:
        found: an object of a tracked model.
        before: only lines older than the one with this number.
        hidden: names of fields to leave out.
    """
    model = type(found)
    trail: Any = trail_of(model)
    pk = model._meta.pk.attname
    records = trail.objects.filter(**{pk: found.pk}).order_by("-history_id")
    if before is not None:
        records = records.filter(history_id__lt=before)
    page = list(records[: PAGE + 1])
    older = page[PAGE - 1].history_id if len(page) > PAGE else None
    fields = _fields(model, hidden)
    raw = [
        (record, _differences(fields, record, page[index + 1] if index + 1 < len(page) else None))
        for index, record in enumerate(page[:PAGE])
    ]
    names = _names(fields, raw)
    return [_line(record, differences, names) for record, differences in raw], older


def changed_since(
    model: type[models.Model], records: Sequence[Any], *, hidden: Sequence[str] = ()
) -> list[Later]:
    """What the last of some lines of one object says otherwise than the first, field by field.

    What was changed and changed back is not in it.

    Args:
        records: lines of the object's trail, oldest first.
        hidden: names of fields to leave out.
    """
    first, last = records[0], records[-1]
    fields = [f for f in _fields(model, hidden) if f.editable]
    found = [
        (field, getattr(first, field.attname), getattr(last, field.attname))
        for field in fields
        if getattr(first, field.attname) != getattr(last, field.attname)
    ]
    names = _names(fields, [(last, found)])
    return [
        Later(
            name=field.name,
            label=str(capfirst(str(field.verbose_name))),
            before=_show(field, before, names),
            after=_show(field, after, names),
            actor_id=by.actor_id,
            actor_label=by.actor_label,
            at=by.history_date,
        )
        for field, before, after in found
        for by in [_last_to_change(field, records)]
    ]


def _last_to_change(field: Any, records: Sequence[Any]) -> Any:
    pairs = list(pairwise(records))
    return next(
        later
        for earlier, later in reversed(pairs)
        if getattr(earlier, field.attname) != getattr(later, field.attname)
    )


def _fields(model: type[models.Model], hidden: Sequence[str]) -> list[Any]:
    trail: Any = trail_of(model)
    return [
        trail._meta.get_field(f.name)
        for f in tracked_fields(model)
        if f.name not in hidden and not f.primary_key
    ]


Difference = tuple[Any, Any, Any]  # field, before, after
Names = dict[type[models.Model], dict[Any, str]]


def _differences(fields: Iterable[Any], record: Any, previous: Any) -> list[Difference]:
    if record.history_type == "-":
        return []
    found = []
    for field in fields:
        after = getattr(record, field.attname)
        before = getattr(previous, field.attname) if previous is not None else None
        if record.history_type == "+":
            before = None
            if after is None or after == "":
                continue
        if before != after:
            found.append((field, before, after))
    return found


def _names(fields: Iterable[Any], raw: Iterable[tuple[Any, list[Difference]]]) -> Names:
    """What the objects that changed fields point at are called, if they still exist."""
    wanted: dict[type[models.Model], set[Any]] = defaultdict(set)
    for _record, differences in raw:
        for field, before, after in differences:
            if field.remote_field:
                wanted[field.remote_field.model] |= {before, after} - {None}
    return {
        model: {pk: str(found) for pk, found in model._base_manager.in_bulk(list(ids)).items()}
        for model, ids in wanted.items()
    }


def _line(record: Any, differences: Iterable[Difference], names: Names) -> Line:
    return Line(
        kind=record.history_type,
        at=record.history_date,
        actor_kind=record.actor_kind,
        actor_label=record.actor_label,
        ip=record.ip,
        user_agent=record.user_agent,
        request_id=record.request_id,
        reason=record.history_change_reason,
        changes=[
            Change(
                label=capfirst(str(field.verbose_name)),
                before=_show(field, before, names),
                after=_show(field, after, names),
            )
            for field, before, after in differences
        ],
    )


def _show(field: Any, value: Any, names: Names) -> str:
    if value is None or value == "":
        return NOTHING
    if field.remote_field:
        return names[field.remote_field.model].get(value, str(value))
    if isinstance(field, ArrayField):
        return ", ".join(_show(field.base_field, one, names) for one in value) or NOTHING
    if isinstance(field, models.BooleanField):
        return _("yes") if value else _("no")
    if isinstance(value, datetime):
        return moment(value)
    shown = str(display_for_field(value, field, NOTHING))
    return (
        shown if len(shown) <= LONGEST_VALUE else shown[:LONGEST_VALUE] + "\N{HORIZONTAL ELLIPSIS}"
    )


def _line_number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 19 else None
