"""Two people at one form: nothing that the first saved is lost through the second (B11).

A form carries *marks*: the number of the newest line in the trail of each row it shows. When it
comes back, its rows are locked and the newest lines are read once more, in the transaction that
saves. What others changed meanwhile holds the save back, once: the form is shown again with
everything that was typed, with what the others changed in the fields that were left alone, and
with a list of who changed what. The marks are advanced, so saving again means it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib.admin.options import TO_FIELD_VAR
from django.contrib.admin.utils import unquote
from django.core.exceptions import ValidationError
from django.forms.models import _get_foreign_key
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.text import capfirst
from django.utils.translation import gettext

from audit.history import tracked_models, trail_of
from bookings import locks
from bookings.admin.merge import (
    MARKS,
    Marks,
    Meanwhile,
    Merge,
    Model,
    Ticks,
    as_text,
    marks_in,
    newer,
    newest_lines,
    numbers_in,
    put,
    restored,
    rows_in,
)

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin as AdminBase
else:
    AdminBase = object

#: Code of the errors that mark a field that two people changed; nothing is wrong with it.
CONFLICT = "changed_by_two"


@dataclass
class Editing:
    """A form that has come back."""

    marks: Marks | None
    found: Meanwhile | None = None


class _Changed(Exception):
    """Others changed what the form shows."""


class HeldBack:
    """Put before a form that must not be saved this time, however valid."""

    conflicts: ClassVar[dict[str, str]] = {}

    def full_clean(self) -> None:
        super().full_clean()  # type: ignore[misc]
        mark_conflicts(self, self.conflicts)

    def is_valid(self) -> bool:
        super().is_valid()  # type: ignore[misc]
        return False


def mark_conflicts(form: Any, conflicts: dict[str, str]) -> None:
    for name, words in conflicts.items():
        if name in form.fields:
            form.add_error(name, ValidationError(words, code=CONFLICT))


# --- the pages --------------------------------------------------------------------------------


class StaleForms(AdminBase):
    """Locks what a form changes, and holds it back once if somebody else changed that meanwhile.

    Costs a page one statement to be shown, and two to be saved: the lock, and the newest lines.
    Inlines are part of it; their rows are locked by the statement that reads them anyway. A
    form that brings no marks is none of ours: it is saved as it is, under the lock.
    """

    #: Fields of the form that are kept as rows of other models; who saves them holds our row.
    ticks: ClassVar[Sequence[Ticks]] = ()

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        extra_context = dict(extra_context or {})
        if object_id is not None:
            # Before the rows are read: a mark may be older than what is shown, never newer.
            extra_context["holdfast_marks"] = (
                request.POST.get(MARKS, "")
                if request.method == "POST"
                else self._marks_of(request, object_id)
            )
        return super().changeform_view(request, object_id, form_url, extra_context)

    def _marks_of(self, request: HttpRequest, object_id: str) -> str:
        if not self.has_change_permission(request):
            return ""
        try:
            pk = self.opts.pk.to_python(unquote(object_id))
        except ValidationError:
            return ""
        tracked = tracked_models()
        rows: list[tuple[Model, Any]] = [(self.model, [pk])] if self.model in tracked else []
        for inline in self.inlines:
            if inline.model in tracked:
                key = _get_foreign_key(self.model, inline.model, fk_name=inline.fk_name)
                below = inline.model._base_manager.filter(**{key.attname: pk})
                rows.append((inline.model, below.values("pk")))
        boxes = [(ticks, pk) for ticks in self.ticks]
        return as_text(newest_lines(rows, boxes)) if rows or boxes else ""

    def _changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None,
        form_url: str,
        extra_context: dict[str, Any],
    ) -> Any:
        """Inside the transaction that saves."""
        if request.method != "POST" or object_id is None or "_saveasnew" in request.POST:
            return super()._changeform_view(request, object_id, form_url, extra_context)  # type: ignore[misc]
        editing = Editing(marks_in(request.POST))
        request._editing = editing  # type: ignore[attr-defined]
        if not self._lock(request, object_id):
            gone = self._gone(request, object_id)
            if gone is not None:
                return gone
        try:
            return super()._changeform_view(request, object_id, form_url, extra_context)  # type: ignore[misc]
        except _Changed:
            found = editing.found
            assert found is not None
            # Nothing has been written, and the locks are still held.
            request.POST = found.sent  # type: ignore[assignment]
            extra_context |= {"holdfast_marks": as_text(found.marks)}
            if found.holds_back:
                extra_context |= {
                    "meanwhile": found,
                    "meanwhile_headline": found.headline(request.user.pk),
                }
            response = super()._changeform_view(request, object_id, form_url, extra_context)  # type: ignore[misc]
            return _as_held_back(response) if found.holds_back else response

    def _lock(self, request: HttpRequest, object_id: str) -> bool:
        """Lock the row, if it is there and the person may see it."""
        to_field = request.POST.get(TO_FIELD_VAR, request.GET.get(TO_FIELD_VAR))
        if to_field and not self.to_field_allowed(request, to_field):
            return False
        key: Any = self.opts.get_field(to_field) if to_field else self.opts.pk
        try:
            value = key.to_python(unquote(object_id))
        except (ValidationError, ValueError):
            return False
        rows = self.get_queryset(request).filter(**{key.name: value})
        return locks.row_of_form(rows) is not None

    def get_formset_kwargs(
        self, request: HttpRequest, obj: Any, inline: Any, prefix: str
    ) -> dict[str, Any]:
        found: dict[str, Any] = super().get_formset_kwargs(request, obj, inline, prefix)
        if hasattr(request, "_editing"):
            found["queryset"] = locks.rows_of_form(found["queryset"])
        return found

    def _create_formsets(self, request: HttpRequest, obj: Any, change: bool) -> Any:
        """By now all rows are locked and read, and nothing is written into them yet."""
        formsets, inlines = super()._create_formsets(request, obj, change)  # type: ignore[misc]
        editing: Editing | None = getattr(request, "_editing", None)
        if editing is None or not change:
            return formsets, inlines
        if editing.found is None:
            editing.found = self._meanwhile(request, obj, editing.marks, formsets, inlines)
            if editing.found is not None:
                raise _Changed
        elif editing.found.holds_back:
            for formset in formsets:
                for form in formset.forms:
                    conflicts = editing.found.conflicts.get(form.prefix)
                    if conflicts and form.errors is not None:  # looking at them checks the form
                        mark_conflicts(form, conflicts)
        return formsets, inlines

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> type[forms.ModelForm]:
        form = super().get_form(request, obj, change=change, **kwargs)
        editing: Editing | None = getattr(request, "_editing", None)
        if editing is None or editing.found is None or not editing.found.holds_back:
            return form
        conflicts = editing.found.conflicts.get(None, {})
        return type(form.__name__, (HeldBack, form), {"conflicts": conflicts})

    # --- what happened meanwhile -------------------------------------------------------------

    def _meanwhile(
        self,
        request: HttpRequest,
        obj: Any,
        marks: Marks | None,
        formsets: Sequence[Any],
        inlines: Sequence[Any],
    ) -> Meanwhile | None:
        """What others changed since the marks that matters to this form, or None."""
        tracked = tracked_models()
        if marks is None or self.model not in tracked:
            return None
        shown: list[tuple[Model, list[str]]] = [(self.model, [str(obj.pk)])]
        pairs = [
            (formset, inline)
            for formset, inline in zip(formsets, inlines, strict=True)
            if formset.model in tracked
            and (
                inline.has_change_permission(request, obj)
                or inline.has_delete_permission(request, obj)
            )
        ]
        below = {formset.prefix: rows_in(formset) for formset, _inline in pairs}
        shown += [(formset.model, list(below[formset.prefix].values())) for formset, _ in pairs]
        boxes = [(ticks, obj.pk) for ticks in self.ticks]
        newest = newest_lines([(model, pks) for model, pks in shown if pks], boxes)
        if not any(
            line > marks.get(kind, {}).get(row, 0)
            for kind, rows in newest.items()
            for row, line in rows.items()
        ):
            return None

        found = Meanwhile(request.POST.copy(), newest)
        hidden = getattr(self, "timeline_hidden", ())
        merge = Merge(request, found, hidden)
        lines = newer(self.model, marks, newest)
        if records := lines.get(str(obj.pk)):
            form = self.get_form(request, obj, change=True)
            merge.row("", obj, records, form, prefix=None)
        for ticks in self.ticks:
            merge.ticks(ticks, obj.pk, marks)
        for formset, inline in pairs:
            merge.formset(
                formset, inline, below[formset.prefix], newer(formset.model, marks, newest), obj
            )
        return found if found.rows or found.sent != request.POST else None

    # --- a row that is not there any more ----------------------------------------------------

    def _gone(self, request: HttpRequest, object_id: str) -> TemplateResponse | None:
        """A page that says who deleted it and shows what was typed, if that is what happened."""
        if self.model not in tracked_models():
            return None
        pk = self.opts.pk
        trail: Any = trail_of(self.model)
        try:
            key = pk.to_python(unquote(object_id))
        except ValidationError:
            return None
        last = trail.objects.filter(**{pk.attname: key}).order_by("-history_id").first()
        if last is None or last.history_type != "-":
            return None
        was = restored(self.model(), last)
        if not self.has_change_permission(request, was):
            return None
        changing = self.get_form(request, was, change=True)
        request.current_app = self.admin_site.name
        return TemplateResponse(
            request,
            "admin/holdfast/gone.html",
            {
                **self.admin_site.each_context(request),
                "title": gettext("%s was deleted") % was,
                "opts": self.opts,
                "last": last,
                "by_you": last.actor_id == request.user.pk,
                "typed": _in_words(changing(request.POST, instance=was)),
                "below": self._typed_below(request, was),
                "add": self._add_again(request, was, changing),
            },
            status=410,
        )

    def _typed_below(self, request: HttpRequest, was: Any) -> list[tuple[str, list[Any]]]:
        found = []
        for formset, inline in self.get_formsets_with_inlines(request, was):
            if not inline.has_change_permission(request, was):
                continue
            prefix = formset.get_default_prefix()
            for number, name in enumerate(numbers_in(request.POST, prefix), start=1):
                form = formset.form(request.POST, prefix=f"{prefix}-{name}")
                title = f"{capfirst(inline.model._meta.verbose_name)} {number}"
                found.append((title, _in_words(form)))
        return found

    def _add_again(
        self, request: HttpRequest, was: Any, changing: type[forms.ModelForm]
    ) -> dict[str, Any] | None:
        """Where to make it anew with what was typed, if the form for that needs nothing more."""
        if not self.has_add_permission(request):
            return None
        adding = self.get_form(request, None, change=False)
        rest = adding(instance=was)
        sent = request.POST.copy()
        for name in adding.base_fields:
            if name not in changing.base_fields:
                if name not in {f.name for f in self.opts.fields}:
                    return None
                put(sent, rest[name])
        for name in ("csrfmiddlewaretoken", MARKS):
            sent.pop(name, None)
        sent["_saveasnew"] = "1"  # what stands below is made anew too
        url = reverse(f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}_add")
        return {"url": url, "sent": [(k, v) for k, values in sent.lists() for v in values]}


def _as_held_back(response: Any) -> Any:
    """409, and no word of errors to correct where the form says only who changed what."""
    response.status_code = 409
    context = response.context_data
    shown = [context["adminform"].form]
    for inline in context["inline_admin_formsets"]:
        shown += inline.formset.forms
        if inline.formset.non_form_errors():
            return response
    codes = {
        error.code
        for form in shown
        if form.is_bound
        for errors in getattr(form.errors, "as_data", dict)().values()  # a row that is only shown
        for error in errors
    }
    if codes <= {CONFLICT}:
        context["errors"] = []
    return response


def _in_words(form: Any) -> list[tuple[str, str]]:
    """What was typed into a form: labels, and values as people read them."""
    return [
        (str(capfirst(bound.label)), words)
        for bound in form.visible_fields()
        if not bound.field.disabled and (words := _value_in_words(bound))
    ]


def _value_in_words(bound: Any) -> str:
    if isinstance(bound.field, forms.BooleanField):
        return gettext("yes") if bound.data else gettext("no")
    values = bound.data if isinstance(bound.data, list) else [bound.data]
    if isinstance(bound.field, forms.ModelChoiceField):
        try:
            return str(bound.field.clean(bound.data) or "")
        except ValidationError:
            return ""
    names = {str(k): str(v) for k, v in getattr(bound.field, "choices", ())}
    return ", ".join(names.get(str(one), str(one)) for one in values if one not in (None, ""))
