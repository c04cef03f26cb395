"""Staff mark who did not come, and take it back: one and many (F3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action
from unfold.enums import ActionVariant

from audit.admin.scope import go_to, staff_actor
from bookings import rules
from bookings.admin.base import person
from bookings.admin.dialogs import (
    OptionalReasonDialog,
    Reason,
    ReasonDialog,
    ask,
    attempt,
    reason_field,
)
from bookings.lifecycle import BOOKING
from bookings.models import Booking, Customer
from bookings.permissions import may
from bookings.services import no_shows as services

MISS, EXCUSE = "bookings.check_in_booking", "bookings.change_booking"


class OptionalReason(forms.Form):
    """A note that may stay empty; it goes into the history."""

    reason = reason_field(required=False)


class NoShowActions:
    """The buttons of a booking and the actions of the list; comes before ``ModelAdmin``."""

    def has_miss_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        booking = self._seen(request, object_id)
        return (
            booking is not None
            and BOOKING.allows("miss", booking.status)
            and booking.slot.starts_at <= timezone.now()
            and may(person(request), MISS, booking.organization_id)
        )

    def has_excuse_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        booking = self._seen(request, object_id)
        return (
            booking is not None
            and BOOKING.allows("excuse", booking.status)
            and may(person(request), EXCUSE, booking.organization_id)
        )

    def has_miss_some_permission(self, request: HttpRequest) -> bool:
        return self.may(request, MISS)  # type: ignore[attr-defined, no-any-return]

    def has_excuse_some_permission(self, request: HttpRequest) -> bool:
        return self.may(request, EXCUSE)  # type: ignore[attr-defined, no-any-return]

    def _seen(self, request: HttpRequest, object_id: Any) -> Booking | None:
        if not object_id:
            return None
        return self.get_object_or_none(request, object_id)  # type: ignore[attr-defined, no-any-return]

    @action(
        description=_("Did not come"),
        icon="person_off",
        url_path="no-show",
        permissions=["miss"],
        dialog={
            "title": _("Mark as a no-show?"),
            "description": _("The customer gets an e-mail. You can take it back with a reason."),
            "form_class": OptionalReasonDialog,
            "form_submit_text": _("Mark as a no-show"),
        },
    )
    def miss_this(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        return self._one(
            request,
            object_id,
            services.miss,
            form,
            gettext("Booking %s is marked as a no-show, and the customer is told."),
        )

    @action(
        description=_("Excuse"),
        icon="undo",
        url_path="excuse",
        permissions=["excuse"],
        variant=ActionVariant.PRIMARY,
        dialog={
            "title": _("Was this no no-show?"),
            "description": _(
                "The booking is confirmed again and does not count as missed. The customer gets an"
                " e-mail; the reason stays in the history."
            ),
            "form_class": ReasonDialog,
            "form_submit_text": _("Excuse"),
        },
    )
    def excuse_this(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        return self._one(
            request,
            object_id,
            services.excuse,
            form,
            gettext("Booking %s does not count as missed any more, and the customer is told."),
        )

    def _one(
        self,
        request: HttpRequest,
        object_id: str,
        service: Callable[..., services.Outcome],
        form: Any,
        done: str,
    ) -> HttpResponse:
        booking = self._booking(request, object_id)  # type: ignore[attr-defined]

        def call() -> None:
            outcome = service(
                booking_ids=[booking.pk],
                organization_ids=[booking.organization_id],
                actor=staff_actor(request),
                reason=form.cleaned_data["reason"],
                now=timezone.now(),
            )
            for error in outcome.refused.values():
                raise error

        attempt(self, request, call, done % booking.reference)  # type: ignore[arg-type]
        return go_to(request, reverse("admin:bookings_booking_change", args=[object_id]))

    @admin.action(description=_("Mark as no-shows"), permissions=["miss_some"])
    def miss_chosen(
        self, request: HttpRequest, queryset: models.QuerySet[Booking]
    ) -> HttpResponse | None:
        return self._many(
            request,
            queryset,
            services.miss,
            name="miss_chosen",
            permission=MISS,
            title=_("Mark as no-shows"),
            words=_(
                "Those that are confirmed and have started are marked, and each customer gets an"
                " e-mail. The others stay as they are."
            ),
            form=OptionalReason,
            done=lambda n: ngettext(
                "%d booking is marked as a no-show.", "%d bookings are marked as no-shows.", n
            ),
        )

    @admin.action(description=_("Excuse no-shows"), permissions=["excuse_some"])
    def excuse_chosen(
        self, request: HttpRequest, queryset: models.QuerySet[Booking]
    ) -> HttpResponse | None:
        return self._many(
            request,
            queryset,
            services.excuse,
            name="excuse_chosen",
            permission=EXCUSE,
            title=_("Excuse no-shows"),
            words=_(
                "No-shows among them are confirmed again and do not count as missed; each customer"
                " gets an e-mail. The others stay as they are."
            ),
            form=Reason,
            done=lambda n: ngettext(
                "%d booking does not count as missed any more.",
                "%d bookings do not count as missed any more.",
                n,
            ),
        )

    def _many(
        self,
        request: HttpRequest,
        queryset: models.QuerySet[Booking],
        service: Callable[..., services.Outcome],
        *,
        name: str,
        permission: str,
        title: Any,
        words: Any,
        form: type[forms.Form],
        done: Callable[[int], str],
    ) -> HttpResponse | None:
        chosen: Sequence[Booking] = [
            b for b in queryset if may(person(request), permission, b.organization_id)
        ]

        def call(given: dict[str, Any]) -> services.Outcome:
            return service(
                booking_ids=[b.pk for b in chosen],
                organization_ids={b.organization_id for b in chosen},
                actor=staff_actor(request),
                now=timezone.now(),
                **given,
            )

        def tell(outcome: services.Outcome) -> str:
            for error in outcome.refused.values():
                messages.warning(request, error.detail)
            return done(len(outcome.done)) % len(outcome.done)

        return ask(
            self,  # type: ignore[arg-type]
            request,
            chosen,
            action=name,
            title=title,
            words=words,
            form_class=form,
            call=call,
            done=tell,
        )


def no_shows_of(customer: Customer) -> str:
    """How often a customer did not come, and what follows from it."""
    count = rules.count_no_shows(customer, now=timezone.now())
    days, limit = customer.organization.no_show_days, customer.organization.no_show_limit
    words = ngettext("%(n)d in %(days)d days", "%(n)d in %(days)d days", count) % {
        "n": count,
        "days": days,
    }
    if limit is not None and count >= limit:
        return gettext("%s: cannot book without the staff") % words
    return words
