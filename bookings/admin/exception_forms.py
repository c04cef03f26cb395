"""The forms of closing days and extra hours, and of what happens to bookings on them (B1, B2)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.db.models import QuerySet
from django.http import QueryDict
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminRadioSelectWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from bookings.admin import schedule_preview, two_steps
from bookings.admin.base import LONGEST_REASON
from bookings.admin.inputs import clock_input, day_input
from bookings.admin.schedule_forms import NUMBERS, OpeningForm
from bookings.models import Organization, Resource, ScheduleException
from bookings.services import moving
from bookings.services.regenerating import Preview


class ExceptionForm(OpeningForm):
    """Which days differ, and how; what is only asked for extra hours may stay as it is."""

    class Meta:
        model = ScheduleException
        fields = (
            "kind",
            "organization",
            "resource",
            "name",
            "first_day",
            "last_day",
            "from_time",
            "until_time",
            *NUMBERS,
        )
        widgets = {
            "kind": UnfoldAdminRadioSelectWidget(),
            "organization": UnfoldAdminSelectWidget(),
            "resource": UnfoldAdminSelectWidget(),
            "name": UnfoldAdminTextInputWidget(),
            "first_day": day_input(),
            "last_day": day_input(),
            "from_time": clock_input(),
            "until_time": clock_input(),
            **{name: UnfoldAdminIntegerFieldWidget() for name in NUMBERS},
        }
        help_texts = {
            "name": _("What people read, such as “Repairs” or “Christmas”."),
            "from_time": _("Leave both hours empty for whole days."),
            "resource": _("Extra hours are of one resource."),
        }

    def __init__(
        self,
        *args: Any,
        organizations: QuerySet[Organization],
        resources: QuerySet[Resource],
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        fields: dict[str, Any] = self.fields
        fields["kind"].choices = [
            ("closed", _("Closed")),
            ("holiday", _("Holiday: closed, but only what closes on holidays")),
            ("extra", _("Extra hours: open although it would be closed")),
        ]
        fields["kind"].initial = "closed"
        fields["resource"].queryset = resources
        fields["resource"].empty_label = gettext("All resources")
        fields["organization"].queryset = organizations
        fields["last_day"].required = False
        fields["last_day"].help_text = _("Empty: the first day only.")
        only = list(organizations[:2])
        self.one_organization = len(only) == 1
        if self.one_organization:
            fields["organization"].required = False
            fields["organization"].widget = forms.HiddenInput()
            self.instance.organization = only[0]
        for name in NUMBERS:
            fields[name].required = False

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean() or {}
        if self.one_organization:
            cleaned["organization"] = self.instance.organization
        first, last = cleaned.get("first_day"), cleaned.get("last_day")
        if first and not last and "last_day" not in self.errors:
            cleaned["last_day"] = first
        if cleaned.get("last_day") and cleaned["last_day"] < timezone.localdate() - timedelta(1):
            self.add_error("last_day", _("What was is not changed: choose today or later."))
        resource, organization = cleaned.get("resource"), cleaned.get("organization")
        if resource and organization and resource.organization_id != organization.pk:
            self.add_error("resource", _("This is not of that organisation."))
        for name in NUMBERS:
            if cleaned.get(name) is None and name not in self.errors:
                field: Any = ScheduleException._meta.get_field(name)
                cleaned[name] = field.get_default()
        takes_many = cleaned.get("kind") == "extra" and cleaned.get("max_bookings") != 1
        if resource and resource.exclusive and takes_many:
            self.add_error("max_bookings", _("This resource takes one booking at a time."))
        return cleaned


class ThenForm(forms.Form):
    """What happens to the bookings of closing days."""

    KEEP, MOVE, CANCEL = "keep", "move", "cancel"

    then = forms.ChoiceField(
        label=_("What happens to these bookings?"),
        choices=[
            (KEEP, _("They stay: we serve these people although it is closed")),
            (MOVE, _("They move so many days later, to the same hour")),
            (CANCEL, _("They are cancelled, and their customers are told why")),
        ],
        initial=KEEP,
        required=False,
        widget=UnfoldAdminRadioSelectWidget,
    )
    move_by_days = forms.IntegerField(
        label=_("Days later"),
        required=False,
        min_value=-365,
        max_value=365,
        initial=7,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text=_("Preview again to see how many find room."),
    )
    reason = forms.CharField(
        label=_("Why? Customers read this"),
        required=False,
        max_length=LONGEST_REASON,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("Needed to move or cancel bookings."),
    )
    sure = forms.BooleanField(label=_("Yes, cancel all of these bookings"), required=False)

    @classmethod
    def of(cls, sent: QueryDict | None) -> ThenForm:
        """The form as it was sent; as it stands at first where nothing was asked yet."""
        if sent is not None and "then" not in sent:
            begin = {"then": cls.KEEP, "move_by_days": "7"}
            return cls({**sent.dict(), **begin})
        return cls(sent)

    def clean_then(self) -> str:
        return self.cleaned_data["then"] or self.KEEP

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean() or {}
        if cleaned.get("then") == self.MOVE and not cleaned.get("move_by_days"):
            self.add_error("move_by_days", _("Say how many days later."))
        return cleaned

    def missing(self, preview: Preview) -> str:
        """What must still be said before bookings are touched."""
        typed = self.cleaned_data
        if not preview.affected or typed["then"] == self.KEEP:
            return ""
        if not typed["reason"].strip():
            return gettext("Say why: the customers will read it.")
        if typed["then"] == self.CANCEL and not typed["sure"]:
            count = len(preview.affected)
            text = ngettext(
                "Tick that you want to cancel %d booking.",
                "Tick that you want to cancel all %d bookings.",
                count,
            )
            return text % count
        return ""


class WithdrawForm(forms.Form):
    reason = forms.CharField(
        label=_("Why?"), max_length=LONGEST_REASON, widget=UnfoldAdminTextInputWidget
    )


def shown(outcome: two_steps.Outcome, then: ThenForm) -> dict[str, Any]:
    """The preview, and how many of its bookings would find room another day."""
    if outcome.preview is None:
        return {"preview": None}
    found: dict[str, Any] = {"preview": schedule_preview.context(outcome.preview)}
    days = then.cleaned_data.get("move_by_days") if then.is_bound else None
    if outcome.preview.affected and days:
        fit = moving.fitting(outcome.preview, days=days, now=timezone.now())
        found["fit"] = len(fit)
        found["other_prices"] = len(moving.what_is_said(fit))
        found["fit_days"] = days
    return found
