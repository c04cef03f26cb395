"""What things cost and how an organisation is paid, beside what they belong to (F3)."""

from __future__ import annotations

from itertools import combinations
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.forms import BaseInlineFormSet
from django.forms.formsets import DELETION_FIELD_NAME
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.admin import StackedInline
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from bookings.admin.base import AuditedForm, ScopedInline, ScopedModelAdmin
from bookings.admin.organizations import OrganizationAdmin
from bookings.admin.resources import ResourceAdmin
from payments.models import CancellationPolicy, PaymentPolicy, Price
from payments.models.price import WEEKDAYS


class PriceForm(forms.ModelForm):
    weekdays = forms.TypedMultipleChoiceField(
        label=_("weekdays"),
        choices=WEEKDAYS,
        coerce=int,
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text=_("None ticked: every day."),
    )

    class Meta:
        model = Price
        fields = (
            "name",
            "amount",
            "currency",
            "basis",
            "discount_percent",
            "tax_percent",
            "weekdays",
            "from_time",
            "until_time",
            "valid_from",
            "valid_until",
            "priority",
        )
        help_texts: ClassVar = {
            "basis": _(
                "Per booking or per person: the price at the start counts, whatever the length. Per"
                " hour: each minute costs what is charged then. At 10.00 an hour, and 40.00 from"
                " 12:00 on, 11:30 to 13:00 costs 5.00 + 40.00 = 45.00."
            ),
        }

    def save(self, commit: bool = True) -> Price:
        self.instance.organization_id = self.instance.resource.organization_id
        return super().save(commit=commit)  # type: ignore[no-any-return]


class PriceFormSet(BaseInlineFormSet):
    """All prices of a resource."""

    def clean(self) -> None:
        """What is charged by time is added up, so it is in one currency at a time."""
        super().clean()
        added = [
            form
            for form in self.forms
            if form.is_valid()
            and not form.cleaned_data.get(DELETION_FIELD_NAME)
            and form.instance.is_by_time
        ]
        for one, other in combinations(added, 2):
            mine, theirs = one.instance, other.instance
            if mine.currency != theirs.currency and mine.is_valid_with(theirs):
                other.add_error(
                    None,
                    _("Prices per hour are added up: give those of one day one currency."),
                )


class PriceInline(ScopedInline, StackedInline):
    model = Price
    form = PriceForm
    formset = PriceFormSet
    extra = 0
    tab = True
    fieldsets = (
        (
            None,
            {
                "fields": (("name", "amount", "currency"), ("basis", "priority")),
                "description": _(
                    "Of several prices that fit a time, the one with the highest priority counts."
                    " Where a booking starts at a price per hour, each minute costs what the price"
                    " per hour at that minute says. Moving a booking compares what both times cost."
                ),
            },
        ),
        (_("Discount and tax"), {"fields": (("discount_percent", "tax_percent"),)}),
        (
            _("Only at some times"),
            {"fields": ("weekdays", ("from_time", "until_time"), ("valid_from", "valid_until"))},
        ),
    )


class CancellationForm(forms.ModelForm):
    class Meta:
        model = CancellationPolicy
        fields = ("free_until_minutes", "fee_percent", "least_fee")

    def save(self, commit: bool = True) -> CancellationPolicy:
        self.instance.organization_id = self.instance.resource.organization_id
        return super().save(commit=commit)  # type: ignore[no-any-return]


class CancellationInline(ScopedInline, StackedInline):
    """What cancelling costs customers; nothing, where there is no such row."""

    model = CancellationPolicy
    form = CancellationForm
    extra = 1
    max_num = 1
    tab = True
    fieldsets = (
        (
            None,
            {
                "fields": ("free_until_minutes", ("fee_percent", "least_fee")),
                "description": _(
                    "The fee is kept of what was paid; staff may waive it. Who has checked out"
                    " keeps the terms of that day. 60 minutes are an hour, 1440 a day."
                ),
            },
        ),
    )


class PolicyInline(ScopedInline, StackedInline):
    model = PaymentPolicy
    can_delete = False
    max_num = 1
    min_num = 1
    tab = True
    verbose_name_plural = _("Payment")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


ResourceAdmin.inlines = (*ResourceAdmin.inlines, PriceInline, CancellationInline)
OrganizationAdmin.inlines = (*OrganizationAdmin.inlines, PolicyInline)


class PolicyForm(AuditedForm):
    class Meta:
        model = PaymentPolicy
        fields = "__all__"


@admin.register(PaymentPolicy)
class PolicyAdmin(ScopedModelAdmin):
    """For managers, who may say how to pay but not change the organisation itself."""

    form = PolicyForm
    list_display = (
        "organization",
        "accepts_pay_now",
        "accepts_pay_on_arrival",
        "proof_required",
        "confirms_pay_on_arrival",
        "confirms_free",
    )
    list_select_related = ("organization",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False
