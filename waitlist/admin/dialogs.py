"""What staff are asked before the line changes."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminSelectWidget

from bookings.admin.dialogs import reason_field
from bookings.admin.show import people, slot_time
from waitlist import selectors
from waitlist.models import WaitlistEntry

MOST_SLOTS = 100


class PlaceDialog(BaseDialogForm):
    """Another place in line, and why."""

    position = forms.IntegerField(
        label=_("Place"), min_value=1, widget=UnfoldAdminIntegerFieldWidget
    )
    reason = reason_field()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        entry = entry_of(self.request)
        place = getattr(entry, "position", None)
        if place is not None:
            self.fields["position"].help_text = (
                gettext("Now: %d. The first is 1; beyond the end is the end.") % place
            )


class OfferDialog(BaseDialogForm):
    """Seats out of turn, in which slot, and why."""

    slot = forms.ChoiceField(
        label=_("Slot"),
        widget=UnfoldAdminSelectWidget,
        error_messages={"required": _("There are not enough free seats to offer.")},
    )
    reason = reason_field()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        entry = entry_of(self.request)
        field: Any = self.fields["slot"]
        field.choices = slots_for(entry) if entry is not None else []
        if entry is not None and not field.choices:
            field.help_text = (
                gettext("Nothing they wait for has room for %s right now.") % people(entry.units)
                + " "
                + gettext("More seats come free when somebody cancels or the slot takes more.")
            )


def entry_of(request: HttpRequest | None) -> WaitlistEntry | None:
    """The entry that the address of a dialog names."""
    match = getattr(request, "resolver_match", None)
    named = match.kwargs.get("object_id") if match else None
    if request is None or named is None:
        return None
    page: Any = admin.site._registry[WaitlistEntry]
    found: WaitlistEntry | None = page.get_object_or_none(request, named)
    return found


def slots_for(entry: WaitlistEntry) -> list[tuple[str, str]]:
    """What can be offered now: slots with room for all of them, the earliest first."""
    slots = selectors.slots_with_room(entry, now=timezone.now())[:MOST_SLOTS]
    return [
        (str(slot.pk), f"{slot_time(slot)} · {_free(slot.max_units - slot.taken_units)}")
        for slot in slots
    ]


def _free(count: int) -> str:
    return ngettext("%d seat free", "%d seats free", count) % count
