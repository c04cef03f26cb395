"""Questions that are asked before something happens: in a dialog for one object, and on a page
of its own for many."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminTextInputWidget

from audit.errors import DomainError, StaleVersion
from audit.history import trail_of
from bookings.admin.base import LONGEST_REASON, refusal
from bookings.models import Slot

MOST_LINES = 20


def reason_field(*, required: bool = True) -> forms.CharField:
    return forms.CharField(
        label=_("Why?"),
        max_length=LONGEST_REASON,
        required=required,
        widget=UnfoldAdminTextInputWidget,
    )


class Reason(forms.Form):
    """Why something is done; it goes into the history."""

    reason = reason_field()


Limits = tuple[int, int]


class SeenField(forms.CharField):
    """The limits that slots had when they were shown, by slot: hidden, and no reason to refuse."""

    widget = forms.HiddenInput

    def clean(self, value: Any) -> dict[uuid.UUID, Limits]:
        try:
            found = json.loads(value or "{}")
            return {uuid.UUID(pk): (int(limits[0]), int(limits[1])) for pk, limits in found.items()}
        except (ValueError, TypeError, LookupError, AttributeError):
            return {}

    @staticmethod
    def text(slots: Iterable[Slot]) -> str:
        return json.dumps({str(s.pk): [s.max_bookings, s.max_units] for s in slots})


class Capacity(forms.Form):
    """Both limits of a slot, and why they change."""

    seen = SeenField(required=False)

    max_bookings = forms.IntegerField(
        label=_("Most bookings"), min_value=1, widget=UnfoldAdminIntegerFieldWidget
    )
    max_units = forms.IntegerField(
        label=_("Most people"), min_value=1, widget=UnfoldAdminIntegerFieldWidget
    )
    reason = reason_field()


class ReasonDialog(Reason, BaseDialogForm):
    """One object: why."""


class OptionalReasonDialog(BaseDialogForm):
    """One object: a note that may stay empty."""

    reason = reason_field(required=False)


class CapacityDialog(Capacity, BaseDialogForm):
    """One slot: how many it takes, and why; what somebody else changed while it was open is said
    once, beside the field. The dialog is shown again as it is any time, as 200: htmx shows no
    other answer."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        slot = Slot.objects.filter(pk=self.object_id).first()
        if slot is None:
            return  # the action says so
        self.slot = slot
        self.initial["max_bookings"], self.initial["max_units"] = slot.max_bookings, slot.max_units
        self.initial["seen"] = SeenField.text([slot])

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean() or {}
        seen = cleaned.get("seen", {})
        slot = getattr(self, "slot", None)
        if slot is None or slot.pk not in seen:
            return cleaned
        for name, was in zip(("max_bookings", "max_units"), seen[slot.pk], strict=True):
            if getattr(slot, name) != was:
                self.add_error(name, _meanwhile(slot, name))
                sent: Any = self.data
                sent = sent.copy()  # told once; sent again, it is meant
                sent["seen"] = self.initial["seen"]
                self.data = sent
        return cleaned


def _meanwhile(slot: Slot, name: str) -> str:
    return gettext(
        "%(who)s changed this to %(value)d while you had it open. Press the button again to"
        " change it all the same."
    ) % {"who": who_changed(slot, name), "value": getattr(slot, name)}


def who_changed(slot: Slot, *names: str) -> str:
    """Who it was that gave these fields their values."""
    trail: Any = trail_of(Slot)
    lines = list(trail.objects.filter(id=slot.pk).order_by("-history_id")[:MOST_LINES])
    for later, earlier in pairwise(lines):
        if any(getattr(later, name) != getattr(earlier, name) for name in names):
            return str(later.actor_label)
    return gettext("Somebody")


def attempt(
    model_admin: ModelAdmin, request: HttpRequest, call: Callable[[], Any], done: str
) -> bool:
    """Call a service and tell how it went; returns whether it was done."""
    try:
        call()
    except (DomainError, DatabaseError) as error:
        words = refusal(error)
        if words is None:
            raise
        model_admin.message_user(request, words, messages.ERROR)
        return False
    model_admin.message_user(request, done, messages.SUCCESS)
    return True


def ask(
    model_admin: ModelAdmin,
    request: HttpRequest,
    chosen: Sequence[Any],
    *,
    action: str,
    title: Any,
    words: Any,
    form_class: type[forms.Form],
    call: Callable[[dict[str, Any]], Any],
    done: Callable[[Any], str],
    marks: Callable[[], dict[str, str]] = dict,
) -> HttpResponse | None:
    """Ask once for many, then call a service once for all of them.

    Args:
        marks: hidden fields that say what was shown; they are advanced when somebody else
            changed that, so that asking again means it.

    Returns:
        The page that asks, with what the service refused on it; None when it is done.
    """
    error, status = "", 200
    form = form_class(request.POST if "confirmed" in request.POST else None, initial=marks())
    if form.is_bound and form.is_valid():
        try:
            outcome = call(form.cleaned_data)
        except (DomainError, DatabaseError) as raised:
            found = refusal(raised)
            if found is None:
                raise
            error = found
            if isinstance(raised, StaleVersion):
                form, status = form_class({**request.POST.dict(), **marks()}), 409
        else:
            model_admin.message_user(request, done(outcome), messages.SUCCESS)
            return None
    return TemplateResponse(
        request,
        "admin/holdfast/ask.html",
        {
            **model_admin.admin_site.each_context(request),
            "title": title,
            "words": words,
            "form": form,
            "error": error,
            "chosen": chosen,
            "action": action,
            "checkbox_name": ACTION_CHECKBOX_NAME,
        },
        status=status,
    )
