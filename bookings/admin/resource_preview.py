"""What a change of a resource does to its slots, shown before it is saved (B2, F3).

Some fields of a resource are rules that its slots follow. Where saving one changes slots, or
concerns people, the form is not saved at once: a page shows what would happen and carries all
that was typed, and only what was shown is done.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.db import transaction
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext

from audit.admin.scope import staff_actor
from audit.errors import DomainError
from bookings import locks
from bookings.admin import schedule_preview
from bookings.admin.stale import HeldBack
from bookings.admin.two_steps import DO
from bookings.lifecycle import LIVE
from bookings.models import Booking, Resource, Schedule
from bookings.regeneration import fingerprint
from bookings.services import regenerating
from bookings.services.regenerating import Preview

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin as AdminBase
else:
    AdminBase = object

EDIT = "edit"
# What the slots of a schedule follow: if one of these changes, they are made anew.
FOLLOWED = ("mode", "horizon_days", "observes_holidays", "is_active")
OURS = ("csrfmiddlewaretoken", "step", "seen")


class _MustLook(Exception):
    """What was typed does something to slots that nobody has looked at yet."""

    def __init__(self, resource: Resource, preview: Preview, seen: str) -> None:
        self.resource, self.preview, self.seen = resource, preview, seen


class ShownBeforeSaved(AdminBase):
    """Put before the admin of resources; its form is saved in two steps where slots change."""

    def _changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None,
        form_url: str,
        extra_context: dict[str, Any],
    ) -> Any:
        """Inside the transaction that saves."""
        step = request.POST.get("step", "") if object_id is not None else ""
        if step == DO:
            self._lock_slots(request, str(object_id))
        try:
            response: Any = super()._changeform_view(request, object_id, form_url, extra_context)  # type: ignore[misc]
        except _MustLook as found:
            return self._look(request, found)
        if step == EDIT and response.status_code == 200:
            response.context_data["errors"] = []
        return response

    def _lock_slots(self, request: HttpRequest, object_id: str) -> None:
        """Nobody comes into the slots meanwhile. In the order of locks: before the resource."""
        found = self.get_object_or_none(request, object_id)  # type: ignore[attr-defined]
        if found is not None:
            locks.schedules_of(found.organization_id)
            locks.planning([found.pk])
            locks.slots_to_come([found.pk], now=timezone.now())

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        form = super().get_form(request, obj, change=change, **kwargs)
        if change and request.POST.get("step") == EDIT and not issubclass(form, HeldBack):
            return type(form.__name__, (HeldBack, form), {})
        return form

    def save_model(self, request: HttpRequest, obj: Resource, form: Any, change: bool) -> None:
        if not change or not set(FOLLOWED) & set(form.changed_data):
            super().save_model(request, obj, form, change)
            return
        now = timezone.now()
        preview = _preview(obj, form, now=now)
        if preview is None:
            super().save_model(request, obj, form, change)
            # Afterwards: it takes the planning lock, which comes before the lock on the row.
            transaction.on_commit(partial(self._follow, request, obj))
            return
        facts = [(name, getattr(obj, name)) for name in FOLLOWED]
        seen = f"{preview.seen}.{hashlib.sha256(repr(facts).encode()).hexdigest()}"
        if request.POST.get("step") != DO or request.POST.get("seen") != seen:
            raise _MustLook(obj, preview, seen)
        super().save_model(request, obj, form, change)
        if obj.is_active:
            done = regenerating.apply([obj], seen=preview.seen, now=now)
            self.message_user(request, schedule_preview.done(done.counts()), messages.SUCCESS)

    def _follow(self, request: HttpRequest, resource: Resource) -> None:
        """Let the slots follow rules that are not part of the schedule."""
        if not resource.is_active or not Schedule.objects.filter(resource=resource).exists():
            return
        try:
            done = regenerating.regenerate(
                resource_id=resource.pk, actor=staff_actor(request), now=timezone.now()
            )
        except DomainError as error:
            self.message_user(request, error.detail, messages.ERROR)
        else:
            counts = schedule_preview.done(done.counts())
            self.message_user(request, counts, messages.SUCCESS)

    def _look(self, request: HttpRequest, found: _MustLook) -> HttpResponse:
        """The page that shows what would happen; nothing has been written."""
        sent = [
            (name, value)
            for name, values in request.POST.lists()
            if name not in OURS
            for value in values
        ]
        again = request.POST.get("step") == DO
        return TemplateResponse(
            request,
            "admin/schedules/resource_preview.html",
            {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "title": gettext("What this does to %s") % found.resource,
                "resource": found.resource,
                "preview": schedule_preview.context(found.preview),
                "seen": found.seen,
                "sent": sent,
                "again": again,
            },
            status=409 if again else 200,
        )


def _preview(resource: Resource, form: Any, *, now: datetime) -> Preview | None:
    """What saving a resource with other rules does to slots and people; None for nothing."""
    if not resource.is_active:
        if "is_active" not in form.changed_data:
            return None
        # Slots stay as they are; whoever has booked still comes.
        mine = Q(slot__resource=resource, slot__ends_at__gt=now, status__in=LIVE)
        slots = Booking.objects.filter(mine).values_list("slot_id", flat=True)
        people = regenerating.people_in(set(slots))
        found = Preview([], people, fingerprint([], [b.pk for b in people]))
    elif Schedule.objects.filter(resource=resource).exists():
        found = regenerating.preview(resources=[resource], now=now)
    else:
        return None
    changes = {name: n for name, n in found.counts().items() if name not in ("keep", "bookings")}
    return found if found.affected or any(changes.values()) else None
