"""What was told to whom, and what did not get through (B9, F3)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.db import models
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateTimeFilter
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm

from audit.admin.scope import ScopedReadOnlyAdmin, badge, go_to, moment, pretty, staff_actor
from audit.delivery.email import EmailChannel, render
from audit.delivery.resend import cancel, resend
from audit.models import OPEN, Delivery, DeliveryStatus, OutboxEvent

STATUS_COLOURS = {
    DeliveryStatus.QUEUED.value: "info",
    DeliveryStatus.SENDING.value: "info",
    DeliveryStatus.FAILED.value: "warning",
    DeliveryStatus.DELIVERED.value: "success",
    DeliveryStatus.DEAD.value: "danger",
}


class ChannelFilter(admin.SimpleListFilter):
    """The ways out that exist; a list of all values would read the whole table."""

    title = _("channel")
    parameter_name = "channel"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(EmailChannel.name, _("E-mail"))]

    def queryset(
        self, request: HttpRequest, queryset: models.QuerySet[Delivery]
    ) -> models.QuerySet[Delivery]:
        return queryset.filter(channel=self.value()) if self.value() else queryset


@admin.register(Delivery)
class DeliveryAdmin(ScopedReadOnlyAdmin):
    empty_text = _(
        "No messages yet: they appear when something happens that somebody is told about."
    )
    list_display = ("show_created_at", "kind", "address", "show_status", "tries", "show_error")
    list_select_related = ("event",)
    list_filter = (
        ("status", ChoicesDropdownFilter),
        ChannelFilter,
        ("created_at", RangeDateTimeFilter),
    )
    list_filter_submit = True
    search_fields = ("address", "event__kind", "event__subject_id", "event__request_id")
    search_help_text = _("Address, kind of event, id of what it is about, or request id")
    actions = ("resend_selected", "cancel_selected")
    actions_detail = ("resend_this", "cancel_this")
    fieldsets = (
        (None, {"fields": ("kind", "about", "channel", "address", "show_status", "last_error")}),
        (
            _("Attempts"),
            {"fields": ("tries", "next_try", "created_at", "queued_at", "delivered_at")},
        ),
        (_("The message"), {"fields": ("language", "time_zone", "preview")}),
    )
    readonly_fields = ("kind", "about", "show_status", "tries", "next_try", "preview")

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Delivery]:
        return super().get_queryset(request).select_related("event")

    @display(description=_("created at"), ordering="created_at")
    def show_created_at(self, delivery: Delivery) -> str:
        return moment(delivery.created_at)

    @display(description=_("event"), ordering="event__kind")
    def kind(self, delivery: Delivery) -> str:
        return delivery.event.kind

    @display(description=_("about"))
    def about(self, delivery: Delivery) -> str:
        return f"{delivery.event.subject_type} {delivery.event.subject_id}"

    @display(description=_("status"), ordering="status")
    def show_status(self, delivery: Delivery) -> SafeString:
        return badge(delivery.get_status_display(), STATUS_COLOURS.get(delivery.status, ""))

    @display(description=_("attempts"), ordering="attempts")
    def tries(self, delivery: Delivery) -> str:
        return gettext("%(tries)d of %(most)d") % {
            "tries": delivery.attempts,
            "most": delivery.max_attempts,
        }

    @display(description=_("next attempt"))
    def next_try(self, delivery: Delivery) -> str:
        return moment(delivery.next_attempt_at if delivery.status in OPEN else None)

    @display(description=_("last error"))
    def show_error(self, delivery: Delivery) -> str:
        return Truncator(delivery.last_error).chars(60) or "-"

    @display(description=_("preview"))
    def preview(self, delivery: Delivery) -> SafeString | str:
        """The mail as its reader gets it, in a frame that can run nothing."""
        try:
            shown = render(delivery.event, language=delivery.language, time_zone=delivery.time_zone)
        except Exception as error:
            return gettext("The message cannot be rendered: %s") % type(error).__name__
        return format_html(
            '<p class="font-semibold mb-3 text-important">{}</p>'
            '<iframe sandbox="" srcdoc="{}" title="{}" style="width:100%;height:640px;border:0;'
            'border-radius:6px;background:#fff;color-scheme:light"></iframe>',
            shown.subject,
            escape(shown.html),
            shown.subject,
        )

    def has_manage_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("audit.change_delivery")

    def _mine(self, request: HttpRequest, deliveries: models.QuerySet[Delivery]) -> list[UUID]:
        """Of these, the ones in whose organisation this person may resend."""
        may = request.user.has_perm
        return [d.pk for d in deliveries if may("audit.change_delivery", d)]

    @admin.action(description=_("Resend"), permissions=["manage"])
    def resend_selected(self, request: HttpRequest, deliveries: models.QuerySet[Delivery]) -> None:
        count = resend(delivery_ids=self._mine(request, deliveries), actor=staff_actor(request))
        self._say_resent(request, count)

    @admin.action(description=_("Give up"), permissions=["manage"])
    def cancel_selected(self, request: HttpRequest, deliveries: models.QuerySet[Delivery]) -> None:
        count = cancel(delivery_ids=self._mine(request, deliveries), actor=staff_actor(request))
        self._say_cancelled(request, count)

    @action(
        description=_("Resend"),
        icon="send",
        url_path="resend",
        permissions=["manage"],
        dialog={
            "title": _("Send this message again?"),
            "description": _("It is queued with a new budget of attempts."),
            "form_class": BaseDialogForm,
            "form_submit_text": _("Resend"),
        },
    )
    def resend_this(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        count = resend(delivery_ids=self._one(request, object_id), actor=staff_actor(request))
        self._say_resent(request, count)
        return go_to(request, reverse("admin:audit_delivery_change", args=[object_id]))

    @action(
        description=_("Give up"),
        icon="cancel",
        url_path="cancel",
        permissions=["manage"],
        dialog={
            "title": _("Stop trying to deliver this message?"),
            "description": _("It can be resent later."),
            "form_class": BaseDialogForm,
            "form_submit_text": _("Give up"),
        },
    )
    def cancel_this(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        count = cancel(delivery_ids=self._one(request, object_id), actor=staff_actor(request))
        self._say_cancelled(request, count)
        return go_to(request, reverse("admin:audit_delivery_change", args=[object_id]))

    def _one(self, request: HttpRequest, object_id: str) -> list[UUID]:
        delivery = self.get_object(request, object_id)
        if delivery is None:
            raise Http404
        return self._mine(request, self.get_queryset(request).filter(pk=delivery.pk))

    def _say_resent(self, request: HttpRequest, count: int) -> None:
        text = ngettext("%d message is queued again.", "%d messages are queued again.", count)
        level = messages.SUCCESS if count else messages.WARNING
        self.message_user(request, text % count, level)

    def _say_cancelled(self, request: HttpRequest, count: int) -> None:
        text = ngettext("%d message was given up.", "%d messages were given up.", count)
        level = messages.SUCCESS if count else messages.WARNING
        self.message_user(request, text % count, level)


class DeliveryInline(TabularInline):
    model = Delivery
    fields = ("channel", "address", "status", "attempts", "last_error", "delivered_at")
    readonly_fields = fields
    extra = 0
    can_delete = False
    show_change_link = True

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(OutboxEvent)
class OutboxEventAdmin(ScopedReadOnlyAdmin):
    empty_text = _("No events yet: they appear when something happens that somebody is told about.")
    list_display = ("show_created_at", "kind", "about", "show_state", "actor_label")
    list_filter = (("created_at", RangeDateTimeFilter),)
    list_filter_submit = True
    search_fields = ("kind", "subject_id", "request_id", "actor_label")
    search_help_text = _("Kind, id of what it is about, request id, or who caused it")
    fieldsets = (
        (None, {"fields": ("kind", "about", "show_state", "error")}),
        (_("Cause"), {"fields": ("actor_label", "request_id", "created_at", "dispatched_at")}),
        (_("Contents"), {"fields": ("show_payload",)}),
    )
    readonly_fields = ("about", "show_state", "show_payload")
    inlines = (DeliveryInline,)

    @display(description=_("written at"), ordering="created_at")
    def show_created_at(self, event: OutboxEvent) -> str:
        return moment(event.created_at)

    @display(description=_("about"))
    def about(self, event: OutboxEvent) -> str:
        return f"{event.subject_type} {event.subject_id}"

    @display(description=_("status"))
    def show_state(self, event: OutboxEvent) -> SafeString:
        if event.error:
            return badge(gettext("failed"), "danger")
        if event.dispatched_at is None:
            age = timezone.now() - event.created_at
            return badge(gettext("waiting for %d s") % age.total_seconds(), "warning")
        return badge(gettext("handed out"), "success")

    @display(description=_("payload"))
    def show_payload(self, event: OutboxEvent) -> SafeString:
        return pretty(event.payload)
