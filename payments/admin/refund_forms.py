"""What is asked before a refund changes, and how their list is filtered (F3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django import forms
from django.db import models
from django.http import HttpRequest
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import DropdownFilter
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminTextInputWidget

from payments.lifecycle import RefundStatus
from payments.services import refunds

ALL, UNSEEN = "all", "unseen"


class StateFilter(DropdownFilter):
    """What is owed, unless somebody asks for the rest."""

    title = _("status")
    parameter_name = "state"
    all_option = None

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            ("", _("Owed")),
            (UNSEEN, _("Owed, but nobody has seen the money")),
            (RefundStatus.DONE, capfirst(str(RefundStatus.DONE.label))),
            (RefundStatus.WAIVED, capfirst(str(RefundStatus.WAIVED.label))),
            (ALL, _("All")),
        ]

    def queryset(self, request: HttpRequest, queryset: models.QuerySet) -> models.QuerySet:
        value = self.value()
        if value == ALL:
            return queryset
        if value in (RefundStatus.DONE, RefundStatus.WAIVED):
            return queryset.filter(status=value)
        owed = queryset.filter(status=RefundStatus.OWED)
        return owed.filter(verified=False) if value == UNSEEN else owed


def reference_field() -> forms.CharField:
    return forms.CharField(
        label=_("Reference"),
        max_length=refunds.LONGEST_REFERENCE,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("Of the transfer, or whatever finds it again. The customer reads it."),
    )


def note_field() -> forms.CharField:
    return forms.CharField(
        label=_("Why is it not paid back?"),
        max_length=refunds.LONGEST_NOTE,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("The customer reads it."),
    )


class Reference(forms.Form):
    """How refunds were paid back."""

    reference = reference_field()


class Note(forms.Form):
    """Why refunds are not paid back."""

    note = note_field()


class ReferenceDialog(Reference, BaseDialogForm):
    """The same for one."""


class NoteDialog(Note, BaseDialogForm):
    """The same for one."""


class Nothing(forms.Form):
    """Nothing is asked but whether it is meant."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A refund on the page that asks."""

    pk: UUID
    words: str

    def __str__(self) -> str:
        return self.words
