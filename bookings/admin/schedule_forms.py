"""The forms of the schedule editor: a day, and any number of rows of hours (B1, F3)."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from django import forms
from django.forms import BaseFormSet, formset_factory
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminTextInputWidget

from audit.ids import uuid7
from bookings.admin.base import LONGEST_REASON
from bookings.admin.inputs import clock_input, day_input, weekdays_field
from bookings.models import Resource, ScheduleRule

MOST_ROWS = 60
SPARE_ROWS = 1
NUMBERS = (
    "slot_minutes",
    "gap_minutes",
    "buffer_before_minutes",
    "buffer_after_minutes",
    "max_bookings",
    "max_units",
)


class ChangeForm(forms.Form):
    """From which day on, and what the reader of the history should know."""

    valid_from = forms.DateField(
        label=_("From which day on?"),
        widget=day_input(),
        help_text=_("From this day on the hours below count, until you change them again."),
    )
    note = forms.CharField(
        label=_("What changes?"),
        required=False,
        max_length=LONGEST_REASON,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("Optional. It stands beside this version for as long as it is kept."),
    )

    def __init__(self, *args: Any, today: date, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.today = today

    def clean_valid_from(self) -> date:
        found: date = self.cleaned_data["valid_from"]
        if found < self.today:
            raise forms.ValidationError(_("What was is not changed: choose today or later."))
        return found


class OpeningForm(forms.ModelForm):
    """What slots are made in some hours; for rules and extra hours."""

    def fit(self, resource: Resource) -> None:
        """Ask only what makes sense for a resource."""
        if resource.exclusive:
            self.fields.pop("max_bookings", None)
        if resource.mode == Resource.Mode.FREE_TIMES:
            for name in ("slot_minutes", "gap_minutes"):
                self.fields.pop(name, None)

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean() or {}
        start, until = cleaned.get("from_time"), cleaned.get("until_time")
        minutes = cleaned.get("slot_minutes")
        if start is not None and until is not None and minutes:
            first = timedelta(hours=start.hour, minutes=start.minute)
            last = timedelta(hours=until.hour, minutes=until.minute)
            if last <= first:
                last += timedelta(days=1)
            if timedelta(minutes=minutes) > last - first:
                text = _("No slot this long fits between these hours.")
                self.add_error("slot_minutes", text)
        return cleaned

    @property
    def ends_next_day(self) -> bool:
        """Whether what stands in the form ends on the day after."""
        try:
            start, until = (
                forms.TimeField(required=False).clean(self[name].value())
                for name in ("from_time", "until_time")
            )
        except forms.ValidationError:
            return False
        return bool(start and until is not None and until <= start)


class RuleForm(OpeningForm):
    weekdays = weekdays_field(label=_("On"), required=False, help_text=_("None ticked: every day."))

    class Meta:
        model = ScheduleRule
        fields = ("weekdays", "from_time", "until_time", *NUMBERS, "valid_from", "valid_until")
        widgets = {
            "from_time": clock_input(),
            "until_time": clock_input(),
            "valid_from": day_input(),
            "valid_until": day_input(),
            **{name: UnfoldAdminIntegerFieldWidget() for name in NUMBERS},
        }
        labels = {
            "valid_from": _("only from (day)"),
            "valid_until": _("only until (day, included)"),
        }

    def __init__(self, *args: Any, resource: Resource, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fit(resource)

    @property
    def has_more(self) -> bool:
        """Whether there is something in the part that is folded away at first."""
        names = ("buffer_before_minutes", "buffer_after_minutes", "valid_from", "valid_until")
        return any(self[n].errors or self[n].value() not in (None, "", 0, "0") for n in names)


class RuleFormSet(BaseFormSet):
    """Any number of rows; some are empty, some are to go."""

    deletion_widget = forms.CheckboxInput

    def rules(self) -> list[ScheduleRule]:
        """The rules that were typed, in the order in which they will be read."""
        kept = [
            form.instance
            for form in self.forms
            if form.has_changed_or_was_there and not form.cleaned_data.get("DELETE")
        ]
        kept.sort(key=lambda r: r.from_time)
        for rule, key in zip(kept, sorted(uuid7() for _rule in kept), strict=True):
            rule.pk = key  # rules of one time are read in the order of their keys
        return kept

    def _construct_form(self, i: int, **kwargs: Any) -> Any:
        form: Any = super()._construct_form(i, **kwargs)  # type: ignore[misc]
        form.has_changed_or_was_there = i < self.initial_form_count() or (
            self.is_bound and form.has_changed()
        )
        return form


Rules: Any = formset_factory(
    RuleForm,
    formset=RuleFormSet,
    extra=SPARE_ROWS,
    can_delete=True,
    max_num=MOST_ROWS,
    validate_max=True,
    absolute_max=MOST_ROWS + 40,
)
