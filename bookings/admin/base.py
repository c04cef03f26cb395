"""What every admin page of an organisation's rows has in common (F1, promise 3).

:class:`AuditedModelAdmin` gives each change a name and a reason in the trail, and turns what
the database refuses into a message on the form. :class:`ScopedModelAdmin` also keeps a person
to the organisations in which a role of theirs allows it, and providers to what is theirs.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.admin.options import InlineModelAdmin
from django.core.exceptions import ValidationError
from django.db import DatabaseError, models, transaction
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import RelatedDropdownFilter
from unfold.paginator import InfinitePaginator
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from audit.admin.scope import staff_actor
from audit.admin.timeline import TimelineMixin
from audit.context import audited
from audit.errors import DomainError, constraint_name, translate
from bookings.admin.stale import StaleForms
from bookings.models import Organization, Role, User
from bookings.permissions import may, organization_of, organizations_with

LONGEST_REASON = 500

# A part of a detail page: what is shown below the form, made by this app or one above.
Panel = Callable[[HttpRequest, Any], "tuple[str, dict[str, Any]] | None"]


def refusal(error: Exception) -> str | None:
    """What to tell the person whose change was refused, or None if it is a bug of ours."""
    if isinstance(error, DomainError):
        return error.detail
    if isinstance(error, models.ProtectedError | models.RestrictedError):
        return gettext("Other records still need this one, so it cannot be deleted.")
    if isinstance(error, DatabaseError):
        found = translate(error)
        if found is not None:
            return found.detail
        name = constraint_name(error)
        if name is not None:
            rule = name.split("_", 2)[-1].replace("_", " ")
            return gettext("The database refused this change; the rule is: %s.") % rule
    return None


@contextmanager
def audited_by(request: HttpRequest, reason: str = "") -> Iterator[None]:
    """A transaction whose changes carry the signed-in person and their reason."""
    with transaction.atomic(), audited(staff_actor(request), reason=reason[:LONGEST_REASON]):
        yield


def typed(sent: QueryDict, name: str, longest: int = 200) -> str:
    """What somebody typed into a field that no form checks, as the database can take it."""
    return str(sent.get(name, "")).replace("\0", "").strip()[:longest]


def person(request: HttpRequest) -> User:
    """The signed-in person; admin views are never reached without one."""
    return request.user  # type: ignore[return-value]


class AuditedForm(forms.ModelForm):
    """A form with room for the reason of the change, which goes into the trail."""

    change_reason = forms.CharField(
        label=_("Reason for this change"),
        required=False,
        max_length=LONGEST_REASON,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("Optional. It is kept in the history of this record."),
    )
    refused: ClassVar[str] = ""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._keep_language()

    def _keep_language(self) -> None:
        """Offer what the record has, although we have no texts in it."""
        field: Any = self.fields.get("language")
        kept = getattr(self.instance, "language", "")
        if field is not None and kept and kept not in dict(settings.LANGUAGES):
            field.choices = [*settings.LANGUAGES, (kept, kept)]

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        if self.refused:
            raise ValidationError(self.refused)
        return cleaned


class AuditedModelAdmin(StaleForms, TimelineMixin, ModelAdmin):
    """Saves and deletes in one transaction with the staff member's name and reason on it.

    What somebody else changed while a form was open is never written over unseen.
    """

    form = AuditedForm
    list_per_page = 50
    show_full_result_count = False
    warn_unsaved_form = True
    compressed_fields = True
    #: Shown below the detail page; apps above append theirs.
    panels: ClassVar[list[Panel]] = []

    change_form_before_template = "admin/holdfast/form_top.html"
    change_form_outer_after_template = "admin/holdfast/panels.html"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.panels = list(cls.__dict__.get("panels", []))

    # The trail says who did what, from the database itself; Django's own log would say it
    # again, and only for what went through these pages.
    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> None: ...  # type: ignore[override]

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> None: ...  # type: ignore[override]

    def log_deletions(self, request: HttpRequest, queryset: Any) -> None: ...  # type: ignore[override]

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Languages are chosen among those we have texts in."""
        if db_field.name != "language":
            return super().formfield_for_dbfield(db_field, request, **kwargs)
        return forms.ChoiceField(
            label=capfirst(db_field.verbose_name),
            choices=settings.LANGUAGES,
            initial=settings.LANGUAGE_CODE,
            help_text=db_field.help_text,
            widget=UnfoldAdminSelectWidget,
        )

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        found = super().get_actions(request)
        found.pop("delete_selected", None)
        return found

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> type[forms.ModelForm]:
        form = super().get_form(request, obj, change=change, **kwargs)
        form.refused = getattr(request, "_refused", "")  # type: ignore[attr-defined]
        return form

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        found = list(super().get_fieldsets(request, obj))
        found = [
            (name, {**options, "fields": [f for f in options["fields"] if f != "change_reason"]})
            for name, options in found
        ]
        may_save = (
            self.has_change_permission(request, obj) if obj else self.has_add_permission(request)
        )
        if may_save and issubclass(self.form, AuditedForm):
            found.append((None, {"fields": ["change_reason"]}))
        return found

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        extra_context = {
            **(extra_context or {}),
            "holdfast_panels": self._panels(request, object_id),
        }
        if request.method != "POST":
            return super().changeform_view(request, object_id, form_url, extra_context)
        try:
            with audited_by(request, typed(request.POST, "change_reason", LONGEST_REASON)):
                return super().changeform_view(request, object_id, form_url, extra_context)
        except (DomainError, DatabaseError) as error:
            detail = refusal(error)
            if detail is None:
                raise
            # Show the form again with everything that was typed, and with the reason.
            request._refused = detail  # type: ignore[attr-defined]
            with transaction.atomic():
                return super().changeform_view(request, object_id, form_url, extra_context)

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> Any:
        if request.method != "POST":
            return super().delete_view(request, object_id, extra_context)
        try:
            with audited_by(request, gettext("deleted in the admin")):
                return super().delete_view(request, object_id, extra_context)
        except (DomainError, DatabaseError) as error:
            detail = refusal(error)
            if detail is None:
                raise
            self.message_user(request, detail, messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())

    def get_object_or_none(self, request: HttpRequest, object_id: str) -> Any:
        """The object if this person may see it; asked for once in a request."""
        kept = request.__dict__.setdefault("_holdfast_objects", {})
        key = (self.model, str(object_id))
        if key not in kept:
            kept[key] = self.get_object(request, str(object_id))
        return kept[key]

    def _panels(self, request: HttpRequest, object_id: str | None) -> list[SafeString]:
        if object_id is None or not self.panels or request.method != "GET":
            return []
        found = self.get_object_or_none(request, object_id)
        if found is None or not self.has_view_or_change_permission(request, found):
            return []
        shown = [panel(request, found) for panel in self.panels]
        return [SafeString(render_to_string(*made, request=request)) for made in shown if made]


class ScopedModelAdmin(AuditedModelAdmin):
    """Rows of the organisations a person works in, as far as their role there allows."""

    #: The lookup that leads to the organisation.
    organization_path = "organization_id"
    #: The lookup that leads to the provider whose rows these are; providers see only theirs.
    provider_path = ""
    #: Foreign keys that are chosen once, when a row is made.
    fixed_fields: Sequence[str] = ("organization",)

    # --- what somebody may -----------------------------------------------------------------

    def permission(self, action: str) -> str:
        return f"{self.opts.app_label}.{action}_{self.opts.model_name}"

    def may(self, request: HttpRequest, permission: str, obj: Any = None) -> bool:
        """Whether this person may, in the object's organisation or (without one) in any."""
        if not request.user.is_authenticated:
            return False  # the sign-in page asks too
        if obj is None:
            found = organizations_with(person(request), permission)
            return found is None or bool(found)
        return may(person(request), permission, organization_of(obj))

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.may(request, self.permission("view"), obj)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.may(request, self.permission("add"))

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.may(request, self.permission("change"), obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    # --- which rows ------------------------------------------------------------------------

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        return super().get_queryset(request).filter(self.scope(request))

    def scope(self, request: HttpRequest) -> Q:
        """The condition that keeps a person to the rows they may see."""
        user = person(request)
        mine = organizations_with(user, self.permission("view"))
        if mine is None:
            return Q()
        path = f"{self.organization_path}__in"
        if not self.provider_path:
            return Q(**{path: mine})
        provided = {org for org in mine if user.roles[org] == Role.PROVIDER}
        return Q(**{path: mine - provided}) | Q(**{path: provided, self.provider_path: user})

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fixed = self.fixed_fields if obj is not None else ()
        return (*super().get_readonly_fields(request, obj), *fixed)

    # --- what can be chosen ----------------------------------------------------------------

    def choices_for(
        self, request: HttpRequest, db_field: models.ForeignKey
    ) -> models.QuerySet[Any] | None:
        """What a foreign key may be set to; None leaves Django's own answer."""
        if db_field.related_model is Organization:
            return organizations_where(request, self.permission("add"), self.permission("change"))
        related = self.admin_site._registry.get(db_field.related_model)
        return related.get_queryset(request) if related else None

    def formfield_for_foreignkey(
        self, db_field: models.ForeignKey, request: HttpRequest, **kwargs: Any
    ) -> Any:
        limited = self.choices_for(request, db_field)
        if limited is not None:
            kwargs["queryset"] = limited
        field = super().formfield_for_foreignkey(db_field, request, **kwargs)
        if db_field.related_model is Organization and limited is not None and field is not None:
            only = list(limited[:2])
            if len(only) == 1:
                field.initial = only[0].pk
        return field


class ScopedInline(InlineModelAdmin):
    """Rows below their parent, allowed by the role in the parent's organisation."""

    def _may(self, request: HttpRequest, action: str, parent: Any) -> bool:
        permission = f"{self.opts.app_label}.{action}_{self.opts.model_name}"
        if parent is None:
            found = organizations_with(person(request), permission)
            return found is None or bool(found)
        return may(person(request), permission, organization_of(parent))

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, "view", obj)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, "add", obj)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, "change", obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, "delete", obj)


class LongListMixin:
    """A list that can be very long: pages are not counted."""

    paginator = InfinitePaginator
    list_disable_select_all = True


def organizations_where(request: HttpRequest, *permissions: str) -> models.QuerySet[Organization]:
    """The organisations in which this person may do one of these."""
    ids: set[uuid.UUID] = set()
    for permission in permissions:
        found = organizations_with(person(request), permission)
        if found is None:
            return Organization.objects.all()
        ids |= found
    return Organization.objects.filter(pk__in=ids)


class OwnRelatedFilter(RelatedDropdownFilter):
    """A filter by a related object that offers only what this person may see."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> Any:
        related = model_admin.admin_site._registry.get(field.related_model)
        limit = (
            {"pk__in": related.get_queryset(request).values("pk")} if related else {"pk__in": []}
        )
        ordering = self.field_admin_ordering(field, request, model_admin)
        return field.get_choices(include_blank=False, ordering=ordering, limit_choices_to=limit)

    def has_output(self) -> bool:
        """With one choice there is nothing to choose; but what an address asks for holds."""
        return bool(self.value()) or len(self.lookup_choices) > 1


class OwnOrganizationFilter(OwnRelatedFilter):
    """Organisations, for those who work in several."""


class SuperuserOnly:
    """What only superusers see; put it before ``ModelAdmin`` in the bases."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        return person(request).is_superuser

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return person(request).is_superuser

    has_add_permission = has_change_permission = has_delete_permission = has_view_permission


def go_back(request: HttpRequest, default: str) -> HttpResponse:
    """To the page a form names in ``next``, if it is one of ours."""
    from django.utils.http import url_has_allowed_host_and_scheme

    url = request.POST.get("next", "")
    safe = url_has_allowed_host_and_scheme(
        url, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return HttpResponseRedirect(url if url and safe else default)
