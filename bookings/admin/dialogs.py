"""Questions that are asked before something happens: in a dialog for one object, and on a page
of its own for many."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext_lazy as _
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminTextInputWidget

from audit.errors import DomainError
from bookings.admin.base import LONGEST_REASON, refusal


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


class Capacity(forms.Form):
    """Both limits of a slot, and why they change."""

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
    """One slot: how many it takes, and why."""


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
) -> HttpResponse | None:
    """Ask once for many, then call a service once for all of them.

    Returns:
        The page that asks, with what the service refused on it; None when it is done.
    """
    error = ""
    form = form_class(request.POST if "confirmed" in request.POST else None)
    if form.is_bound and form.is_valid():
        try:
            outcome = call(form.cleaned_data)
        except (DomainError, DatabaseError) as raised:
            found = refusal(raised)
            if found is None:
                raise
            error = found
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
    )
