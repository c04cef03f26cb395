"""Fields for days, hours and weekdays, as the forms of slots and schedules have them."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _
from unfold.widgets import INPUT_CLASSES, UnfoldAdminCheckboxSelectMultipleWidget

DAYS = [
    (1, _("Mon")),
    (2, _("Tue")),
    (3, _("Wed")),
    (4, _("Thu")),
    (5, _("Fri")),
    (6, _("Sat")),
    (7, _("Sun")),
]


def day_input() -> forms.DateInput:
    """The browser's own field for a day."""
    attrs = {"type": "date", "class": " ".join(INPUT_CLASSES)}
    return forms.DateInput(format="%Y-%m-%d", attrs=attrs)


def clock_input() -> forms.TimeInput:
    """The browser's own field for a time of day."""
    attrs = {"type": "time", "class": " ".join(INPUT_CLASSES)}
    return forms.TimeInput(format="%H:%M", attrs=attrs)


def weekdays_field(**options: Any) -> forms.TypedMultipleChoiceField:
    """Boxes for the days of the week, 1 (Monday) to 7."""
    return forms.TypedMultipleChoiceField(
        choices=DAYS, coerce=int, widget=UnfoldAdminCheckboxSelectMultipleWidget, **options
    )
