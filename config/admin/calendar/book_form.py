"""What somebody at the desk says when they book for a customer (F3)."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from django import forms
from django.conf import settings
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from phonenumber_field.formfields import PhoneNumberField

from bookings.admin.base import LONGEST_REASON
from bookings.models import Customer, Resource
from config.admin.calendar.wanted import WantedField
from payments.services.checkout import LONGEST_NOTE
from payments.services.series import MOST_TIMES, MOST_WEEKS

KNOWN, NEW = "known", "new"
EVERYTHING, WHAT_IS_FREE = "all", "free"
NOBODY = "nobody"  # of those who have the same address or number


def ids_in(text: str) -> list[uuid.UUID]:
    """The ids in a text that a page of ours wrote; none of what is no id."""
    found = []
    for part in text.split(","):
        try:
            found.append(uuid.UUID(part))
        except ValueError:
            continue
    return found


class BookForm(forms.Form):
    """One booking, or one every so many weeks: when, for whom, how many, how it is paid.

    ``resource``, ``day``, ``minutes`` and ``search`` only lead to what can be chosen.
    """

    token = forms.CharField(max_length=64, widget=forms.HiddenInput)
    resource = forms.ModelChoiceField(Resource.objects.none())
    day = forms.DateField()
    minutes = forms.CharField(required=False, max_length=6)
    slot = WantedField()
    who = forms.ChoiceField(
        choices=[(KNOWN, gettext_lazy("A customer we know")), (NEW, gettext_lazy("Somebody new"))]
    )
    search = forms.CharField(required=False, max_length=200)
    customer = forms.UUIDField(required=False)
    name = forms.CharField(required=False, max_length=200)
    email = forms.EmailField(required=False)
    phone = PhoneNumberField(
        required=False,
        error_messages={
            "invalid": gettext_lazy("Write the number with its country: +49 151 23456789.")
        },
    )
    language = forms.ChoiceField(required=False, choices=settings.LANGUAGES)
    same = forms.CharField(required=False, max_length=36)
    shown = forms.CharField(required=False, max_length=4_000)
    units = forms.IntegerField(min_value=1, max_value=100_000)
    method = forms.ChoiceField()
    note = forms.CharField(required=False, max_length=LONGEST_NOTE)
    times = forms.IntegerField(required=False, min_value=1, max_value=MOST_TIMES)
    every = forms.IntegerField(required=False, min_value=1, max_value=MOST_WEEKS)
    dates = forms.ChoiceField(
        required=False,
        choices=[
            (EVERYTHING, gettext_lazy("all of them, or nothing")),
            (WHAT_IS_FREE, gettext_lazy("those that are free")),
        ],
    )
    anyway = forms.BooleanField(required=False)
    reason = forms.CharField(required=False, max_length=LONGEST_REASON)

    def __init__(
        self,
        *args: Any,
        resources: Sequence[Resource],
        customers: QuerySet[Customer],
        methods: Sequence[tuple[str, Any]],
        may_go_beyond: bool,
        may_add: bool,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.customers = customers
        self.may_go_beyond = may_go_beyond
        if not may_add:
            known: Any = self.fields["who"]
            known.choices = [one for one in known.choices if one[0] == KNOWN]
        choices: Any = self.fields["resource"]
        choices.queryset = Resource.objects.filter(pk__in=[r.pk for r in resources])
        ways: Any = self.fields["method"]
        ways.choices = methods

    def clean(self) -> dict[str, Any]:
        said = super().clean() or {}
        if said.get("who") == NEW and said.get("same") not in (None, "", NOBODY):
            self._clean_same(said)
        elif said.get("who") == NEW:
            self._clean_new(said)
        elif said.get("who") == KNOWN:
            self._clean_known(said)
        if said.get("anyway"):
            if not self.may_go_beyond:
                self.add_error("anyway", _("Your role does not let you go beyond the rules."))
            elif not said.get("reason"):
                self.add_error("reason", _("Say why this is booked against the rules."))
        return said

    def _clean_known(self, said: dict[str, Any]) -> None:
        wanted: uuid.UUID | None = said.get("customer")
        if wanted is None:
            self.add_error("customer", _("Search for the customer and choose one, or make one."))
            return
        said["known"] = self.customers.filter(pk=wanted).first()
        if said["known"] is None:
            self.add_error("customer", _("This customer is not there any more. Search again."))

    def _clean_same(self, said: dict[str, Any]) -> None:
        """Somebody new turned out to be one of those with the same address or number."""
        wanted = next(iter(ids_in(said["same"])), None)
        said["known"] = self.customers.filter(pk=wanted).first() if wanted else None
        if said["known"] is None:
            self.add_error("same", _("This customer is not there any more. Say who it is."))

    def _clean_new(self, said: dict[str, Any]) -> None:
        if not said.get("name"):
            self.add_error("name", _("Write the name."))
        reachable = said.get("email") or said.get("phone")
        if not reachable and not {"email", "phone"} & set(self.errors):
            self.add_error("email", _("Write an e-mail address or a phone number."))
