"""Models of other packages, for superusers, in the clothes of the rest of the site.

Each class is put in front of the one its package registers; see ``HoldfastAdminSite.register``.
"""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from bookings.admin.base import SuperuserOnly


class Plain(SuperuserOnly, ModelAdmin):
    """Nothing but the looks, and superusers only."""


class ScheduledTask(Plain):
    """When sweeps and checks run (A11): a change holds from the next minute on."""

    date_hierarchy = None
    list_filter = ("enabled", "one_off")
    change_form_template = None

    def get_form(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, **kwargs)
        if "task" in form.base_fields:
            form.base_fields["task"].widget = UnfoldAdminTextInputWidget()
        if "regtask" in form.base_fields:
            names = form.base_fields["regtask"].widget.tasks_as_choices()
            form.base_fields["regtask"].widget = UnfoldAdminSelectWidget(choices=names)
        return form
