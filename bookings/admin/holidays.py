"""Holidays out of a calendar file: read, looked at, then taken over (B1, F3).

A holiday is known by the identifier it has in its file. What is there already is left alone; what
has other days now is withdrawn and made anew. A file that is read twice adds nothing. Each line has a
check-box: what staff withdrew, and what is not in the file any more, is left as it is unless
somebody ticks it.
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
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
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
from bookings.admin import schedule_words, two_steps
from bookings.admin.base import organizations_where
from bookings.admin.exception_forms import ThenForm, shown
from bookings.admin.show import when
from bookings.models import Organization, ScheduleException
from bookings.services import closings

ADD = "bookings.add_scheduleexception"
YEARS_AHEAD = timedelta(days=3 * 366)
MOST_SHOWN = 50
MOST_TICKED = 300  # a form has at most 1,000 fields
SALT = "bookings.holidays"


@dataclass
class Comparison:
    """What a file says, beside what is there."""

    new: list[holidays.Holiday] = field(default_factory=list)
    changed: list[tuple[ScheduleException, holidays.Holiday]] = field(default_factory=list)
    #: Staff took them back, on these very days: they meant it.
    withdrawn: list[tuple[ScheduleException, holidays.Holiday]] = field(default_factory=list)
    #: They came out of a file, and this one, which reaches that far, does not have them.
    gone: list[ScheduleException] = field(default_factory=list)
    known: int = 0

    @property
    def is_empty(self) -> bool:
        return not (self.new or self.changed or self.withdrawn or self.gone)


def compare(
    organization: Organization, read: Sequence[holidays.Holiday], *, today: date
) -> Comparison:
    """Which holidays are new, have other days or another name, were withdrawn, or are gone; and
    how many are known."""
    ours = ScheduleException.objects.filter(organization=organization).exclude(uid="")
    rows = ours.filter(uid__in=[holiday.uid for holiday in read]).order_by("withdrawn_at")
    there: dict[str, ScheduleException] = {}
    taken_back: dict[tuple[str, date, date], ScheduleException] = {}
    for one in rows:
        if one.withdrawn_at is None:
            there[one.uid] = one
        else:
            taken_back[one.uid, one.first_day, one.last_day] = one
    found = Comparison()
    for holiday in read:
        old = there.get(holiday.uid)
        before = taken_back.get((holiday.uid, holiday.first_day, holiday.last_day))
        if old is None and before is not None:
            found.withdrawn.append((before, holiday))
        elif old is None:
            found.new.append(holiday)
        elif (old.name, old.first_day, old.last_day) != (
            holiday.name,
            holiday.first_day,
            holiday.last_day,
        ):
            found.changed.append((old, holiday))
        else:
            found.known += 1
    if read:
        last = max(holiday.last_day for holiday in read)
        in_force = ours.filter(kind=ScheduleException.Kind.HOLIDAY, withdrawn_at__isnull=True)
        within = in_force.filter(last_day__gte=today, first_day__lte=last, resource__isnull=True)
        rest = within.exclude(uid__in=[holiday.uid for holiday in read])
        found.gone = list(rest.order_by("first_day", "pk")[:MOST_TICKED])
    return found


@dataclass
class Chosen:
    """What of it is ticked."""

    to_add: list[holidays.Holiday]
    to_withdraw: list[ScheduleException]
    values: set[str]
    rest: bool  # those that are too many to have a box each

    @property
    def is_empty(self) -> bool:
        return not (self.to_add or self.to_withdraw)


def choose(found: Comparison, sent: QueryDict | None) -> Chosen:
    """What is ticked; at first what is new and what has changed, and nothing that undoes what
    staff have said."""
    usual = found.new + [holiday for _old, holiday in found.changed]
    if sent is None:
        values, rest = {holiday.uid for holiday in usual[:MOST_TICKED]}, True
    else:
        values = {*sent.getlist("take"), *sent.getlist("drop")}
        rest = "rest" in sent
    wanted = [h for h in usual[:MOST_TICKED] if h.uid in values]
    wanted += usual[MOST_TICKED:] if rest else []
    wanted += [holiday for _old, holiday in found.withdrawn if holiday.uid in values]
    adding = {holiday.uid for holiday in wanted}
    dropping = [old for old, holiday in found.changed if holiday.uid in adding]
    dropping += [one for one in found.gone if str(one.pk) in values]
    return Chosen(wanted, dropping, values, rest)


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
        then = ThenForm.of(request.POST if request.method == "POST" else None)
        outcome, found, chosen = two_steps.Outcome(), Comparison(), choose(Comparison(), None)
        read: holidays.Read | None = None
        if form.is_valid():
            organization, read = form.cleaned_data["organization"], form.cleaned_data["read"]
            found = compare(organization, read.holidays, today=form.today)
            # The boxes of another file say nothing of this one.
            ticked = "ticked" in request.POST and not request.FILES
            chosen = choose(found, request.POST if ticked else None)
            if then.is_valid():
                outcome = _take(request, organization, chosen, then, now=now)
            two_steps.put_error(form, outcome)
        if outcome.done is not None:
            self._say_taken(request, chosen, outcome.done)
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
                "chosen": chosen,
                "then": then,
                **_boxes(found, chosen),
                "skipped": read.skipped[:MOST_SHOWN] if read else [],
                "more_skipped": max(0, len(read.skipped) - MOST_SHOWN) if read else 0,
                **shown(outcome, then),
                "back": reverse("admin:bookings_scheduleexception_changelist"),
            },
        )

    def _say_taken(self, request: HttpRequest, chosen: Chosen, done: Any) -> None:
        count = len(chosen.to_add)
        text = ngettext("%d holiday is taken over.", "%d holidays are taken over.", count) % count
        if chosen.to_withdraw:
            gone = len(chosen.to_withdraw)
            text += " " + ngettext("%d is withdrawn.", "%d are withdrawn.", gone) % gone
        self._tell(request, text, done)  # type: ignore[attr-defined]


def _take(
    request: HttpRequest,
    organization: Organization,
    chosen: Chosen,
    then: ThenForm,
    *,
    now: datetime,
) -> two_steps.Outcome:
    """Preview or apply; with nothing ticked there is nothing to look at."""
    if chosen.is_empty:
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
        for holiday in chosen.to_add
    ]
    withdraw = {one.pk for one in chosen.to_withdraw}
    said = then.cleaned_data
    return two_steps.take(
        request,
        facts=(organization.pk, chosen.to_add, sorted(map(str, withdraw))),
        look=lambda: closings.preview_exceptions(
            resources=closings.resources_of(organization.pk, [*made, *chosen.to_withdraw]),
            exceptions=made,
            withdraw=withdraw,
            now=now,
        ),
        do=lambda seen: closings.add_exceptions(
            organization_id=organization.pk,
            exceptions=made,
            withdraw=withdraw,
            then=said["then"],
            move_by_days=said["move_by_days"],
            reason=said["reason"],
            seen=seen,
            actor=staff_actor(request),
            now=now,
        ),
        missing=then.missing,
    )


@dataclass(frozen=True)
class Box:
    """A line with a check-box."""

    value: str
    ticked: bool
    name: str
    days: str
    before: str = ""


def _boxes(found: Comparison, chosen: Chosen) -> dict[str, Any]:
    """The lines of the page, each with its box; of very many new ones, one box for the rest."""

    def box(holiday: holidays.Holiday, before: str = "") -> Box:
        ticked = holiday.uid in chosen.values
        return Box(holiday.uid, ticked, holiday.name, _days(holiday), before)

    changed = max(0, MOST_TICKED - len(found.new))
    return {
        "new": [box(holiday) for holiday in found.new[:MOST_TICKED]],
        "changed": [
            box(holiday, f"{old.name}, {schedule_words.when(old)}")
            for old, holiday in found.changed[:changed]
        ],
        "rest": max(0, len(found.new) + len(found.changed) - MOST_TICKED),
        "withdrawn": [
            box(holiday, when(old.withdrawn_at)) for old, holiday in found.withdrawn[:MOST_TICKED]
        ],
        "gone": [
            Box(str(one.pk), str(one.pk) in chosen.values, one.name, schedule_words.when(one))
            for one in found.gone
        ],
    }


def _days(holiday: holidays.Holiday) -> str:
    return schedule_words.span(holiday.first_day, holiday.last_day)


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
