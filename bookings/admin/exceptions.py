"""Days that differ: closing days, holidays and extra hours, and what happens to bookings on them
(B1, B2, F3)."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import action, display

from audit.admin.scope import staff_actor
from bookings.admin import schedule_preview, schedule_words, two_steps
from bookings.admin.base import (
    OwnOrganizationFilter,
    OwnRelatedFilter,
    ScopedModelAdmin,
    organizations_where,
    person,
)
from bookings.admin.exception_forms import ExceptionForm, ThenForm, WithdrawForm, shown
from bookings.admin.holidays import HolidayPages
from bookings.admin.schedule_forms import NUMBERS
from bookings.admin.show import badge, lines, link_to, when
from bookings.models import Booking, Resource, Role, ScheduleException
from bookings.permissions import may, organizations_with
from bookings.services import closings
from bookings.services.regenerating import Applied, Preview

ADD = "bookings.add_scheduleexception"
CHANGE = "bookings.change_scheduleexception"
COLOURS = {"closed": "danger", "holiday": "info", "extra": "success"}
MOST_AT_ONCE = 200
MOST_NAMED = 10


class InForceFilter(admin.SimpleListFilter):
    """Those to come, unless somebody asks for others."""

    title = _("when")
    parameter_name = "when"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("past", _("Past")), ("withdrawn", _("Withdrawn")), ("all", _("All"))]

    def choices(self, changelist: Any) -> Any:
        first, *others = super().choices(changelist)
        yield {**first, "display": _("Now and to come")}
        yield from others

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        today = timezone.localdate()
        if self.value() == "all":
            return queryset
        if self.value() == "withdrawn":
            return queryset.filter(withdrawn_at__isnull=False)
        queryset = queryset.filter(withdrawn_at__isnull=True)
        if self.value() == "past":
            return queryset.filter(last_day__lt=today)
        return queryset.filter(last_day__gte=today)


@admin.register(ScheduleException)
class ScheduleExceptionAdmin(HolidayPages, ScopedModelAdmin):
    """Written once and withdrawn, never changed; each step shows what it does first."""

    list_display = ("name", "show_kind", "show_when", "show_whom", "show_state")
    list_filter = (
        InForceFilter,
        ("kind", ChoicesDropdownFilter),
        ("resource", OwnRelatedFilter),
        ("organization", OwnOrganizationFilter),
    )
    list_select_related = ("resource", "organization")
    search_fields = ("name",)
    ordering = ("first_day", "id")
    actions = ("withdraw_chosen",)
    actions_list = ("import_holidays",)
    actions_detail = ("withdraw_this",)
    fieldsets = (
        (None, {"fields": (("name", "show_kind"), ("show_when", "show_whom"), "show_slots")}),
        (None, {"fields": (("organization", "created_at"), "show_state")}),
    )
    readonly_fields = ("show_kind", "show_when", "show_whom", "show_slots", "show_state")

    # --- what somebody may ---------------------------------------------------------------------

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_withdraw_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        if object_id is None:
            return self.may(request, CHANGE)
        found = self.get_object_or_none(request, object_id)
        return found is not None and not found.withdrawn_at and self.may(request, CHANGE, found)

    def has_import_permission(self, request: HttpRequest) -> bool:
        return self.may(request, ADD)

    def scope(self, request: HttpRequest) -> Q:
        """Providers see what concerns their own resources: their own and what is of all."""
        user = person(request)
        mine = organizations_with(user, self.permission("view"))
        if mine is None:
            return Q()
        provided = {org for org in mine if user.roles[org] == Role.PROVIDER}
        theirs = Q(resource__provider=user) | Q(resource__isnull=True)
        return Q(organization__in=mine - provided) | Q(organization__in=provided) & theirs

    # --- adding ------------------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        page = path(
            "withdraw/",
            self.admin_site.admin_view(self.withdraw_page),
            name="bookings_scheduleexception_withdraw",
        )
        return [page, *super().get_urls()]

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Say which days differ, look at what that does, choose what happens to bookings."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        now = timezone.now()
        sent = request.POST if request.method == "POST" else None
        form = ExceptionForm(
            sent,
            organizations=organizations_where(request, ADD),
            resources=self._resources(request),
            initial={k: request.GET[k] for k in ("resource", "kind") if k in request.GET},
        )
        then = ThenForm.of(sent)
        outcome = two_steps.Outcome()
        if sent is not None and all([form.is_valid(), then.is_valid()]):
            made = form.instance
            typed = then.cleaned_data
            outcome = two_steps.take(
                request,
                facts=[(name, form.cleaned_data.get(name)) for name in ExceptionForm.Meta.fields],
                look=lambda: _look(made.organization_id, [made], now=now),
                do=lambda seen: closings.add_exceptions(
                    organization_id=made.organization_id,
                    exceptions=[made],
                    then=typed["then"],
                    move_by_days=typed["move_by_days"],
                    reason=typed["reason"],
                    seen=seen,
                    actor=staff_actor(request),
                    now=now,
                ),
                missing=then.missing,
            )
            two_steps.put_error(form, outcome)
        if outcome.done is not None:
            text = f"{form.instance}: {schedule_words.when(form.instance)}."
            self._tell(request, text, outcome.done)
            return HttpResponseRedirect(reverse("admin:bookings_scheduleexception_changelist"))
        return TemplateResponse(
            request,
            "admin/schedules/exception_add.html",
            {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "title": gettext("Close days or open longer"),
                "form": form,
                "then": then,
                "outcome": outcome,
                **shown(outcome, then),
                "numbers": [form[name] for name in NUMBERS],
                "back": reverse("admin:bookings_scheduleexception_changelist"),
            },
        )

    def _resources(self, request: HttpRequest) -> QuerySet[Resource]:
        mine = organizations_where(request, ADD)
        return Resource.objects.filter(organization__in=mine, is_active=True).order_by("name")

    def _tell(self, request: HttpRequest, text: str, done: Applied) -> None:
        counts = schedule_preview.done(done.counts())
        self.message_user(request, f"{text} {counts}", messages.SUCCESS)
        for bookings, words in (
            (done.moved, gettext("Moved: %s.")),
            (done.cancelled, gettext("Cancelled: %s. Their customers are told.")),
        ):
            if bookings:
                self.message_user(request, words % _counted(bookings), messages.SUCCESS)
        if done.stayed:
            named = ", ".join(one.reference for one in done.stayed[:MOST_NAMED])
            text = gettext("No room at the other day: %(count)s kept their time (%(named)s).")
            words = text % {"count": _counted(done.stayed), "named": named}
            self.message_user(request, words, messages.WARNING)

    # --- withdrawing -------------------------------------------------------------------------

    @admin.action(description=_("Withdraw: as if they had not been"), permissions=["withdraw"])
    def withdraw_chosen(self, request: HttpRequest, queryset: QuerySet) -> HttpResponse:
        ids = queryset.values_list("pk", flat=True)[: MOST_AT_ONCE + 1]
        return HttpResponseRedirect(_withdraw_url(ids))

    @action(description=_("Withdraw"), icon="undo", url_path="withdraw", permissions=["withdraw"])
    def withdraw_this(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return HttpResponseRedirect(_withdraw_url([object_id]))

    def withdraw_page(self, request: HttpRequest) -> HttpResponse:
        """Show what comes back and what goes, ask why, then do it."""
        found = self._to_withdraw(request)
        organization_id = found[0].organization_id
        now = timezone.now()
        form = WithdrawForm(request.POST or None)
        reason = form.cleaned_data["reason"] if form.is_valid() else ""
        outcome = two_steps.take(
            request,
            facts=sorted(str(one.pk) for one in found),
            look=lambda: _look(organization_id, [], withdraw=found, now=now),
            do=lambda seen: closings.withdraw_exceptions(
                organization_id=organization_id,
                exception_ids=[one.pk for one in found],
                seen=seen,
                reason=reason,
                actor=staff_actor(request),
                now=now,
            ),
            missing=lambda _preview: "" if reason else gettext("Say why you withdraw them."),
        )
        if outcome.done is not None:
            text = ngettext(
                "%d exception is withdrawn.", "%d exceptions are withdrawn.", len(found)
            )
            self._tell(request, text % len(found), outcome.done)
            return HttpResponseRedirect(reverse("admin:bookings_scheduleexception_changelist"))
        return TemplateResponse(
            request,
            "admin/schedules/withdraw.html",
            {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "title": gettext("Withdraw exceptions"),
                "form": form,
                "chosen": [
                    (one, schedule_words.when(one), schedule_words.whom(one)) for one in found
                ],
                "outcome": outcome,
                "preview": outcome.preview and schedule_preview.context(outcome.preview),
                "back": reverse("admin:bookings_scheduleexception_changelist"),
            },
        )

    def _to_withdraw(self, request: HttpRequest) -> list[ScheduleException]:
        """Those that the address names, if they are all there and of one organisation."""
        ids = set()
        for text in request.GET.getlist("id")[:MOST_AT_ONCE]:
            try:
                ids.add(uuid.UUID(text))
            except ValueError:
                raise Http404 from None
        found = list(
            self.get_queryset(request)
            .filter(pk__in=ids, withdrawn_at__isnull=True)
            .select_related("resource")
        )
        if not found or len({one.organization_id for one in found}) > 1:
            raise Http404
        if not may(person(request), CHANGE, found[0].organization_id):
            raise PermissionDenied
        return found

    # --- columns -----------------------------------------------------------------------------

    @display(description=_("kind"), ordering="kind")
    def show_kind(self, one: ScheduleException) -> SafeString:
        return badge(one.get_kind_display(), COLOURS[one.kind])

    @display(description=_("when"), ordering="first_day")
    def show_when(self, one: ScheduleException) -> str:
        return schedule_words.when(one)

    @display(description=_("for"), ordering="resource__name")
    def show_whom(self, one: ScheduleException) -> Any:
        return link_to(one.resource) if one.resource_id else schedule_words.whom(one)

    @display(description=_("slots"))
    def show_slots(self, one: ScheduleException) -> Any:
        if one.kind != ScheduleException.Kind.EXTRA:
            return gettext("none")
        return lines([schedule_words.length(one), schedule_words.room(one)])

    @display(description=_("state"), ordering="withdrawn_at")
    def show_state(self, one: ScheduleException) -> SafeString:
        if one.withdrawn_at:
            return badge(gettext("withdrawn %s") % when(one.withdrawn_at))
        if one.last_day < timezone.localdate():
            return badge(gettext("past"))
        return badge(gettext("counts"), "success")


def _look(
    organization_id: uuid.UUID,
    exceptions: Sequence[ScheduleException],
    *,
    withdraw: Sequence[ScheduleException] = (),
    now: Any,
) -> Preview:
    return closings.preview_exceptions(
        resources=closings.resources_of(organization_id, [*exceptions, *withdraw]),
        exceptions=exceptions,
        withdraw={one.pk for one in withdraw},
        now=now,
    )


def _counted(bookings: Sequence[Booking]) -> str:
    return ngettext("%d booking", "%d bookings", len(bookings)) % len(bookings)


def _withdraw_url(ids: Any) -> str:
    chosen = "&".join(f"id={one}" for one in ids)
    return f"{reverse('admin:bookings_scheduleexception_withdraw')}?{chosen}"
