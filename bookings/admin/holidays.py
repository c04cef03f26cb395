"""Holidays out of a calendar file: read, looked at, then taken over (B1, F3).

A holiday is known by the identifier it has in its file. What is there already is left alone; what
has other days now is withdrawn and made anew. A file that is read twice adds nothing.
"""

from __future__ import annotations

import json
import zlib
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from django import forms
from django.core import signing
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action
from unfold.widgets import UnfoldAdminFileFieldWidget, UnfoldAdminSelectWidget

from audit.admin.scope import staff_actor
from audit.errors import DomainError
from bookings import holidays
from bookings.admin import schedule_preview, schedule_words, two_steps
from bookings.admin.base import organizations_where
from bookings.models import Organization, ScheduleException
from bookings.services import closings

ADD = "bookings.add_scheduleexception"
YEARS_AHEAD = timedelta(days=3 * 366)
MOST_SHOWN = 50
SALT = "bookings.holidays"


@dataclass
class Comparison:
    """What a file says, beside what is there."""

    new: list[holidays.Holiday] = field(default_factory=list)
    changed: list[tuple[ScheduleException, holidays.Holiday]] = field(default_factory=list)
    known: int = 0

    @property
    def to_add(self) -> list[holidays.Holiday]:
        return [*self.new, *(holiday for _old, holiday in self.changed)]

    @property
    def to_withdraw(self) -> list[ScheduleException]:
        return [old for old, _holiday in self.changed]

    @property
    def is_empty(self) -> bool:
        return not self.new and not self.changed


def compare(organization: Organization, read: Sequence[holidays.Holiday]) -> Comparison:
    """Which holidays are new, which have other days or another name, and how many are known."""
    there = {
        one.uid: one
        for one in ScheduleException.objects.filter(
            organization=organization,
            uid__in=[holiday.uid for holiday in read],
            withdrawn_at__isnull=True,
        )
    }
    found = Comparison()
    for holiday in read:
        old = there.get(holiday.uid)
        if old is None:
            found.new.append(holiday)
        elif (old.name, old.first_day, old.last_day) != (
            holiday.name,
            holiday.first_day,
            holiday.last_day,
        ):
            found.changed.append((old, holiday))
        else:
            found.known += 1
    return found


class ImportForm(forms.Form):
    """A calendar file, or what was read out of it a moment ago."""

    organization = forms.ModelChoiceField(
        Organization.objects.none(), label=_("Organisation"), widget=UnfoldAdminSelectWidget
    )
    file = forms.FileField(
        label=_("Calendar file (.ics)"),
        required=False,
        widget=UnfoldAdminFileFieldWidget(attrs={"accept": ".ics,text/calendar"}),
        help_text=_("As public calendars offer it. Only whole days are read."),
    )
    kept = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(
        self, *args: Any, organizations: QuerySet[Organization], today: date, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.today = today
        chosen: Any = self.fields["organization"]
        chosen.queryset = organizations
        only = list(organizations[:2])
        if len(only) == 1:
            chosen.required = False
            chosen.widget = forms.HiddenInput()
            self.only: Organization | None = only[0]
        else:
            self.only = None

    def clean_organization(self) -> Organization:
        found: Organization = self.only or self.cleaned_data["organization"]
        return found

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean() or {}
        sent = cleaned.get("file")
        if sent is None and cleaned.get("kept"):
            cleaned["read"] = _unpack(cleaned["kept"])
        if sent is not None:
            try:
                cleaned["read"] = holidays.read(
                    sent.read(holidays.MAX_BYTES + 1),
                    first_day=self.today,
                    last_day=self.today + YEARS_AHEAD,
                )
            except DomainError as error:
                self.add_error("file", error.detail)
        if cleaned.get("read") is None and not self.errors:
            self.add_error("file", _("Choose a file."))
        return cleaned


class HolidayPages:
    """The page that takes holidays over, beside the list of exceptions."""

    @action(
        description=_("Import holidays"),
        icon="calendar_add_on",
        url_path="import",
        permissions=["import"],
    )
    def import_holidays(self, request: HttpRequest) -> HttpResponse:
        """Choose a file, look at what was read and what it changes, then take it over."""
        now = timezone.now()
        form = ImportForm(
            request.POST or None,
            request.FILES or None,
            organizations=organizations_where(request, ADD),
            today=timezone.localdate(),
        )
        outcome, found = two_steps.Outcome(), Comparison()
        read: holidays.Read | None = None
        if form.is_valid():
            organization, read = form.cleaned_data["organization"], form.cleaned_data["read"]
            found = compare(organization, read.holidays)
            outcome = _take(request, organization, read, found, now=now)
            two_steps.put_error(form, outcome)
        if outcome.done is not None:
            self._say_taken(request, found, outcome.done)
            return HttpResponseRedirect(reverse("admin:bookings_scheduleexception_changelist"))
        site: Any = self.admin_site  # type: ignore[attr-defined]
        return TemplateResponse(
            request,
            "admin/schedules/import.html",
            {
                **site.each_context(request),
                "opts": ScheduleException._meta,
                "title": gettext("Import holidays"),
                "form": form,
                "outcome": outcome,
                "read": read,
                "kept": _pack(read) if read else "",
                "found": found,
                "new": _lines(found.new[:MOST_SHOWN]),
                "more": max(0, len(found.new) - MOST_SHOWN),
                "changed": [
                    (holiday.name, schedule_words.when(old), _days(holiday))
                    for old, holiday in found.changed[:MOST_SHOWN]
                ],
                "skipped": read.skipped[:MOST_SHOWN] if read else [],
                "more_skipped": max(0, len(read.skipped) - MOST_SHOWN) if read else 0,
                "preview": outcome.preview and schedule_preview.context(outcome.preview),
                "back": reverse("admin:bookings_scheduleexception_changelist"),
            },
        )

    def _say_taken(self, request: HttpRequest, found: Comparison, done: Any) -> None:
        count = len(found.new)
        text = ngettext("%d holiday is new.", "%d holidays are new.", count) % count
        if found.changed:
            moved = len(found.changed)
            text += " " + ngettext("%d has changed.", "%d have changed.", moved) % moved
        self._tell(request, text, done)  # type: ignore[attr-defined]


def _take(
    request: HttpRequest,
    organization: Organization,
    read: holidays.Read,
    found: Comparison,
    *,
    now: datetime,
) -> two_steps.Outcome:
    """Preview or apply; with nothing new there is nothing to look at."""
    if found.is_empty:
        return two_steps.Outcome()
    made = [
        ScheduleException(
            organization=organization,
            kind=ScheduleException.Kind.HOLIDAY,
            name=holiday.name,
            first_day=holiday.first_day,
            last_day=holiday.last_day,
            uid=holiday.uid,
        )
        for holiday in found.to_add
    ]
    withdraw = {one.pk for one in found.to_withdraw}
    return two_steps.take(
        request,
        facts=(organization.pk, found.to_add, sorted(map(str, withdraw))),
        look=lambda: closings.preview_exceptions(
            resources=closings.resources_of(organization.pk, made),
            exceptions=made,
            withdraw=withdraw,
            now=now,
        ),
        do=lambda seen: closings.add_exceptions(
            organization_id=organization.pk,
            exceptions=made,
            withdraw=withdraw,
            seen=seen,
            actor=staff_actor(request),
            now=now,
        ),
    )


def _days(holiday: holidays.Holiday) -> str:
    return schedule_words.span(holiday.first_day, holiday.last_day)


def _lines(found: Sequence[holidays.Holiday]) -> list[tuple[str, str]]:
    return [(holiday.name, _days(holiday)) for holiday in found]


# A browser does not send a file twice: the page keeps what was read, signed.


def _pack(read: holidays.Read) -> str:
    rows = [
        [[h.uid, h.name, h.first_day.isoformat(), h.last_day.isoformat()] for h in read.holidays],
        [[s.name, s.day.isoformat() if s.day else "", s.reason] for s in read.skipped],
    ]
    packed = b64encode(zlib.compress(json.dumps(rows).encode())).decode()
    return signing.Signer(salt=SALT).sign(packed)


def _unpack(kept: str) -> holidays.Read | None:
    try:
        packed = signing.Signer(salt=SALT).unsign(kept)
    except signing.BadSignature:
        return None
    known, skipped = json.loads(zlib.decompress(b64decode(packed)))
    day = date.fromisoformat
    return holidays.Read(
        [holidays.Holiday(uid, name, day(first), day(last)) for uid, name, first, last in known],
        [holidays.Skipped(name, day(on) if on else None, why) for name, on, why in skipped],
    )
