"""Lists that nobody edits, of the organisations a person works in."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import models
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.dateformat import format as date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.paginator import InfinitePaginator

from audit.context import Actor

# No reader takes the day for the month, in whatever country they learned to read dates.
DAY_AND_TIME = "D j M Y, H:i"


def staff_actor(request: HttpRequest) -> Actor:
    """The signed-in person as the actor of a service call."""
    user: Any = request.user
    return Actor("staff", user.pk, user.get_full_name() or str(user))


def go_to(request: HttpRequest, url: str) -> HttpResponse:
    """Go to a page, also from one of unfold's dialogs, which are sent by htmx."""
    if request.headers.get("HX-Request"):
        return HttpResponse(headers={"HX-Redirect": url})
    return HttpResponseRedirect(url)


def pretty(value: Any) -> SafeString:
    """JSON for people."""
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    return format_html(
        '<pre class="text-xs whitespace-pre-wrap" style="font-family: monospace">{}</pre>', text
    )


def badge(text: str, colour: str = "") -> SafeString:
    """A coloured label: info, success, warning, danger, or none."""
    return SafeString(render_to_string("unfold/helpers/label.html", {"text": text, "type": colour}))


def moment(value: datetime | None) -> str:
    """A moment in the reader's zone, written as everywhere in the admin."""
    if value is None:
        return "-"
    return str(date_format(timezone.localtime(value), DAY_AND_TIME))


class ScopedReadOnlyAdmin(ModelAdmin):
    """A list without adding, changing or deleting, cut down to ``organization_ids``.

    The model has a plain ``organization_id``; rows without one are for superusers. Lists are not
    counted, since they are long.
    """

    paginator = InfinitePaginator
    show_full_result_count = False
    list_per_page = 50

    def organization_ids(self, request: HttpRequest) -> set[UUID] | None:
        """Organisations whose rows this person may see; None means every row.

        Asks the user model for ``staff_organization_ids()``, and Django for the view permission
        in each of them.
        """
        user: Any = request.user
        mine: set[UUID] | None = user.staff_organization_ids()
        if mine is None:
            return None
        permission = f"{self.opts.app_label}.view_{self.opts.model_name}"
        return {
            organization_id
            for organization_id in mine
            if user.has_perm(permission, self.model(organization_id=organization_id))
        }

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        queryset: models.QuerySet[Any] = super().get_queryset(request)
        mine = self.organization_ids(request)
        return queryset if mine is None else queryset.filter(organization_id__in=mine)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
