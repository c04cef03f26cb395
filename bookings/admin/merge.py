"""What others changed while a form was open, put together with what was typed into it (B11).

The trail tells what each row was when the form was made and who changed what since. A field that
nobody touched here takes the newer value, one that both changed keeps what was typed, and the
person is told of each. ``bookings/admin/stale.py`` says when this happens.
"""

from __future__ import annotations

import copy
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django import forms
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.functions import Cast
from django.http import HttpRequest, QueryDict
from django.utils.text import capfirst, get_text_list
from django.utils.translation import gettext

from audit.admin.timeline import Later, changed_since
from audit.history import tracked_fields, trail_of

MARKS = "seen_lines"
HIGHEST = 2**63

Model = type[models.Model]
# Model, then primary key, then the number of a line of its trail.
Marks = dict[str, dict[str, int]]


# --- marks ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ticks:
    """Check-boxes that are kept as rows of another model: the members of a pool, say."""

    field: str
    model: Model
    owner: str  # the column that names the row whose form it is
    other: str  # the column that names what is ticked

    @property
    def kind(self) -> str:
        """What their marks are filed under: they are of the owner, as rows come and go."""
        return f"{self.model._meta.label_lower}.{self.owner}"


def newest_lines(
    rows: Iterable[tuple[Model, Any]], ticks: Iterable[tuple[Ticks, Any]] = ()
) -> Marks:
    """The newest line of each row, and of all rows behind some check-boxes, in one statement.

    Args:
        rows: tracked models, each with primary keys or a query for them.
        ticks: each with the primary key of their owner.
    """
    parts = []
    wanted = [(m._meta.label_lower, m, m._meta.pk.attname, pks) for m, pks in rows]
    wanted += [(one.kind, one.model, one.owner, [owner]) for one, owner in ticks]
    for kind, model, pk, pks in wanted:
        trail: Any = trail_of(model)
        parts.append(
            trail.objects.filter(**{f"{pk}__in": pks})
            .order_by()
            .values(pk)
            .annotate(
                kind=models.Value(kind, output_field=models.TextField()),
                row=Cast(pk, models.TextField()),
                line=models.Max("history_id"),
            )
            .values_list("kind", "row", "line")
        )
    marks: Marks = defaultdict(dict)
    for kind, row, line in parts[0].union(*parts[1:], all=True):
        marks[kind][row] = line
    return dict(marks)


def as_text(marks: Marks) -> str:
    """What a form carries in its field ``MARKS``."""
    return json.dumps(marks, separators=(",", ":"))


def marks_in(sent: QueryDict) -> Marks | None:
    """The marks that a form brings back; None if it brings none that could be ours."""
    try:
        found = json.loads(sent.get(MARKS, ""))
    except ValueError:
        return None
    good = isinstance(found, dict) and all(
        isinstance(rows, dict)
        and all(type(line) is int and 0 <= line < HIGHEST for line in rows.values())
        for rows in found.values()
    )
    return found if good else None


def _lines_since(model: Model, marks: dict[str, int]) -> dict[str, list[Any]]:
    """The marked line of each row and those after it, oldest first."""
    pk = model._meta.pk.attname
    trail: Any = trail_of(model)
    wanted = models.Q()
    for row, line in marks.items():
        wanted |= models.Q(**{pk: row}, history_id__gte=line)
    found: dict[str, list[Any]] = defaultdict(list)
    for record in trail.objects.filter(wanted).order_by("history_id"):
        found[str(getattr(record, pk))].append(record)
    return found


# --- what happened meanwhile ------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """What somebody changed in one field, and what stands in the form now."""

    later: Later
    #: taken: their value, as nobody here touched it. kept: what was typed here instead.
    #: same: both wrote the same. elsewhere: the form does not have the field.
    verdict: str


@dataclass(frozen=True)
class Row:
    """What happened to one row: the form's own (without a title), or one below it."""

    title: str
    outcomes: Sequence[Outcome]
    #: The line that says who deleted it and when.
    deleted: Any = None
    #: It was deleted, and the form keeps what was typed, as a new one.
    anew: bool = False


@dataclass
class Meanwhile:
    """What others changed while a form was open, and the form as it is to be shown again."""

    sent: QueryDict
    marks: Marks
    rows: list[Row] = field(default_factory=list)
    #: Prefix of a form, then field, then what to say there.
    conflicts: dict[str | None, dict[str, str]] = field(default_factory=dict)
    holds_back: bool = False

    def headline(self, reader: UUID | None) -> str:
        """Who it was, the last one first, for ``reader``."""
        acts = [
            (o.later.at, o.later.actor_id, o.later.actor_label)
            for row in self.rows
            for o in row.outcomes
        ]
        acts += [
            (r.deleted.history_date, r.deleted.actor_id, r.deleted.actor_label)
            for r in self.rows
            if r.deleted
        ]
        acts.sort(key=lambda act: act[0], reverse=True)
        names = list(dict.fromkeys(name for _at, who, name in acts if who != reader))
        if not names:
            return gettext("Nothing is saved yet: you changed this elsewhere in the meantime.")
        return gettext("Nothing is saved yet: %(who)s changed this while you had it open.") % {
            "who": get_text_list(names, gettext("and"))
        }


# --- merging ----------------------------------------------------------------------------------


class Merge:
    """Put together what was typed and what others saved, row by row, into ``found.sent``."""

    def __init__(self, request: HttpRequest, found: Meanwhile, hidden: Sequence[str]) -> None:
        self.request = request
        self.found = found
        self.hidden = hidden

    def row(
        self,
        title: str,
        now: Any,
        records: Sequence[Any],
        make: Callable[..., Any],
        *,
        prefix: str | None,
    ) -> None:
        """One row that others changed: their values where nobody touched the field here.

        Args:
            now: the row as it is, locked.
            records: the lines since it was shown, oldest first; the first is what was shown.
            make: makes its form.
        """
        sent = self.found.sent
        then = restored(copy.copy(now), records[0])
        mine = make(data=sent, files=self.request.FILES, instance=then, prefix=prefix)
        theirs = make(data=sent, files=self.request.FILES, instance=copy.copy(now), prefix=prefix)
        fresh = make(instance=copy.copy(now), prefix=prefix)
        deletes = prefix is not None and f"{prefix}-DELETE" in sent
        touched, unlike = set(mine.changed_data), set(theirs.changed_data)
        outcomes = []
        for later in changed_since(type(now), records, hidden=self.hidden):
            if later.name not in fresh.fields or fresh.fields[later.name].disabled:
                outcomes.append(Outcome(later, "elsewhere"))
                continue
            if later.name not in unlike:
                outcomes.append(Outcome(later, "same"))
                continue
            if later.name in touched:
                outcomes.append(Outcome(later, "kept"))
                words = self.words(later)
                self.found.conflicts.setdefault(prefix, {})[later.name] = words
            else:
                outcomes.append(Outcome(later, "taken"))
                put(sent, fresh[later.name])
            self.found.holds_back = True
        ours = [o for o in outcomes if o.verdict != "elsewhere"]
        self.found.holds_back |= bool(deletes and ours)
        if ours:
            self.found.rows.append(Row(title, outcomes))

    def ticks(self, ticks: Ticks, owner: UUID, marks: Marks) -> None:
        """Check-boxes of which others ticked some, or took the tick away, since they were shown.

        One that nobody touched here says what they said; there is no third thing to say, so
        that two people never want something else of one box.
        """
        known = marks.get(ticks.kind, {}).get(str(owner), 0)
        trail: Any = trail_of(ticks.model)
        lines: dict[str, list[Any]] = defaultdict(list)
        since = trail.objects.filter(**{ticks.owner: owner}, history_id__gt=known)
        for record in since.order_by("history_id"):
            lines[str(getattr(record, ticks.other))].append(record)
        field: Any = ticks.model._meta.get_field(ticks.other.removesuffix("_id"))
        names = {
            str(pk): str(one)
            for pk, one in field.related_model.objects.in_bulk(list(lines)).items()
        }
        ticked = self.found.sent.getlist(ticks.field)
        outcomes = []
        for key, records in lines.items():
            had, has = records[0].history_type == "-", records[-1].history_type != "-"
            if had == has:
                continue
            said = {False: gettext("not ticked"), True: gettext("ticked")}
            by = records[-1]
            later = Later(
                name=ticks.field,
                label=names.get(key, key),
                before=said[had],
                after=said[has],
                actor_id=by.actor_id,
                actor_label=by.actor_label,
                at=by.history_date,
            )
            if (key in ticked) == has:
                outcomes.append(Outcome(later, "same"))
                continue
            outcomes.append(Outcome(later, "taken"))
            ticked = [*ticked, key] if has else [one for one in ticked if one != key]
            self.found.holds_back = True
        if outcomes:
            self.found.sent.setlist(ticks.field, ticked)
            self.found.rows.append(Row("", outcomes))

    def words(self, later: Later) -> str:
        if later.actor_id == self.request.user.pk:
            text = gettext("You changed this elsewhere too: “%(value)s”.")
        else:
            text = gettext("%(who)s changed this too: “%(value)s”.")
        return text % {"who": later.actor_label, "value": later.after}

    def formset(
        self,
        formset: Any,
        inline: Any,
        below: dict[int, str],
        lines: dict[str, list[Any]],
        obj: Any,
    ) -> None:
        """The rows below: changed ones are merged, deleted ones leave or become new ones."""
        called = capfirst(str(formset.model._meta.verbose_name))
        there = {str(one.pk): one for one in formset.get_queryset()}
        leave: set[int] = set()
        anew: set[int] = set()
        for number, pk in below.items():
            records = lines.get(pk)
            prefix = formset.add_prefix(number)
            kwargs = formset.get_form_kwargs(number)
            make = _maker(formset.form, kwargs)
            if pk in there:
                if records:
                    title = f"{called} {there[pk]}"
                    self.row(title, there[pk], records, make, prefix=prefix)
                continue
            if not records or records[-1].history_type != "-":
                continue
            was = restored(formset.model(), records[0])
            mine = make(data=self.found.sent, instance=was, prefix=prefix)
            wanted = f"{prefix}-DELETE" not in self.found.sent
            if wanted and mine.has_changed() and inline.has_add_permission(self.request, obj):
                anew.add(number)
            else:
                leave.add(number)
            if wanted:
                row = Row(f"{called} {was}", [], deleted=records[-1], anew=number in anew)
                self.found.rows.append(row)
                self.found.holds_back = True
        if leave or anew:
            self._renumber(formset, leave, anew)

    def _renumber(self, formset: Any, leave: set[int], anew: set[int]) -> None:
        """Django wants the rows that exist first, and then the new ones, without a gap."""
        sent, prefix = self.found.sent, formset.prefix
        rows: dict[int, dict[str, list[str]]] = defaultdict(dict)
        for key in list(sent):
            match = re.fullmatch(rf"{re.escape(prefix)}-(\d+)-(.+)", key)
            if match:
                rows[int(match[1])][match[2]] = sent.pop(key)
        known = formset.initial_form_count()
        kept = [n for n in range(known) if n not in leave | anew]
        order = [*kept, *sorted(anew), *range(known, formset.total_form_count())]
        for number in anew:
            rows[number].pop(formset.model._meta.pk.name, None)
        for new, old in enumerate(order):
            for name, values in rows[old].items():
                sent.setlist(f"{prefix}-{new}-{name}", values)
            self._move_conflicts(formset.add_prefix(old), formset.add_prefix(new))
        sent[f"{prefix}-TOTAL_FORMS"] = str(len(order))
        sent[f"{prefix}-INITIAL_FORMS"] = str(len(kept))

    def _move_conflicts(self, old: str, new: str) -> None:
        if old != new and old in self.found.conflicts:
            self.found.conflicts[new] = self.found.conflicts.pop(old)


def _maker(form: Any, kwargs: dict[str, Any]) -> Callable[..., Any]:
    return lambda **more: form(**more, **kwargs)


def newer(model: Model, marks: Marks, newest: Marks) -> dict[str, list[Any]]:
    """Of the rows of a model that have newer lines than their marks: those lines."""
    known = marks.get(model._meta.label_lower, {})
    changed = {
        row: known.get(row, 0)
        for row, line in newest.get(model._meta.label_lower, {}).items()
        if line > known.get(row, 0)
    }
    return _lines_since(model, changed) if changed else {}


def rows_in(formset: Any) -> dict[int, str]:
    """Number and primary key of the rows that a formset was made from."""
    pk = formset.model._meta.pk
    found = {}
    for number in range(formset.initial_form_count()):
        sent = formset.data.get(f"{formset.add_prefix(number)}-{pk.name}")
        try:
            value = pk.to_python(sent)
        except ValidationError:
            continue
        if value is not None:
            found[number] = str(value)
    return found


def numbers_in(sent: QueryDict, prefix: str) -> list[int]:
    """The numbers of the rows below that were sent and are not to be deleted."""
    found = {
        int(m[1]) for key in sent if (m := re.fullmatch(rf"{re.escape(prefix)}-(\d+)-.+", key))
    }
    return sorted(n for n in found if f"{prefix}-{n}-DELETE" not in sent)


def restored(row: Any, record: Any) -> Any:
    """``row`` with what a line of the trail says."""
    for one in tracked_fields(type(row)):
        setattr(row, one.attname, getattr(record, one.attname))
    return row


# --- forms as they are sent and read ----------------------------------------------------------


def put(sent: QueryDict, bound: Any) -> None:
    """Write what a field of an unbound form shows into ``sent``, as a browser would send it."""
    for name, values in _as_sent(bound.field.widget, bound.html_name, bound.value()).items():
        sent.pop(name, None)
        if values:
            sent.setlist(name, values)


def _as_sent(widget: Any, name: str, value: Any) -> dict[str, list[str]]:
    while hasattr(widget, "widget"):  # the one that adds links for related objects
        widget = widget.widget
    if isinstance(widget, forms.MultiWidget):
        parts: Any = widget
        values = value if isinstance(value, list | tuple) else parts.decompress(value)
        found: dict[str, list[str]] = {}
        for part, suffix, one in zip(parts.widgets, parts.widgets_names, values, strict=True):
            found |= _as_sent(part, f"{name}{suffix}", one)
        return found
    if isinstance(widget, forms.CheckboxInput):
        return {name: ["on"] if widget.check_test(value) else []}
    shown = widget.format_value(value)
    if isinstance(shown, list | tuple):
        return {name: [str(one) for one in shown]}
    return {name: [] if shown is None else [str(shown)]}
