"""Organisations and the people who work in them (F1, F3)."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display
from unfold.widgets import (
    UnfoldAdminEmailInputWidget,
    UnfoldAdminPasswordWidget,
    UnfoldAdminTextInputWidget,
)

from audit.admin.scope import staff_actor
from bookings.admin.base import (
    AuditedForm,
    OwnOrganizationFilter,
    ScopedModelAdmin,
    person,
)
from bookings.models import Membership, Organization, Role, User
from bookings.services import organizations as services

ROLE_COLOURS = {
    Role.OWNER.value: "primary",
    Role.MANAGER.value: "info",
    Role.REVIEWER.value: "success",
    Role.FRONT_DESK.value: "warning",
    Role.PROVIDER.value: "default",
}


class OrganizationForm(AuditedForm):
    class Meta:
        model = Organization
        fields = "__all__"


@admin.register(Organization)
class OrganizationAdmin(ScopedModelAdmin):
    form = OrganizationForm
    organization_path = "pk"
    fixed_fields = ()
    list_display = ("name", "slug", "time_zone", "email", "is_active")
    search_fields = ("name", "slug")
    inlines: ClassVar[Any] = ()
    fieldsets = (
        (None, {"fields": (("name", "slug"), ("email", "time_zone"), "is_active")}),
        (_("How long seats are kept"), {"fields": (("hold_minutes", "pending_hours"),)}),
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        return person(request).is_superuser

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Addresses that customers' apps use, and whether it exists, are the operator's."""
        found = super().get_readonly_fields(request, obj)
        return found if person(request).is_superuser else (*found, "slug", "is_active")


class NewMemberForm(AuditedForm):
    """Somebody joins: by e-mail address, with an account that exists or a new one."""

    email = forms.EmailField(
        label=_("E-mail address"),
        widget=UnfoldAdminEmailInputWidget,
        help_text=_("Of their account; if there is none, one is made."),
    )
    name = forms.CharField(
        label=_("Name"),
        max_length=200,
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("For a new account."),
    )
    password = forms.CharField(
        label=_("First password"),
        required=False,
        strip=False,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
        help_text=_("For a new account; they change it after signing in."),
    )

    class Meta:
        model = Membership
        fields = ("organization", "role")

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean() or {}
        email = cleaned.get("email")
        user = User.objects.filter(email__iexact=email).first() if email else None
        if user is None and email:
            if not cleaned.get("password"):
                raise ValidationError(
                    {
                        "password": gettext(
                            "There is no account with this address: give it a first password."
                        )
                    }
                )
            try:
                validate_password(
                    cleaned["password"], User(email=email, name=cleaned.get("name", ""))
                )
            except ValidationError as error:
                self.add_error("password", error)
        elif user is not None and not user.is_active:
            raise ValidationError({"email": gettext("This account is closed.")})
        organization = cleaned.get("organization")
        if user and organization and user.memberships.filter(organization=organization).exists():
            raise ValidationError(
                {"email": gettext("They work here already: open them in the list instead.")}
            )
        self.user = user
        return cleaned


class MemberForm(AuditedForm):
    class Meta:
        model = Membership
        fields = ("role",)


@admin.register(Membership)
class MembershipAdmin(ScopedModelAdmin):
    form = MemberForm
    fixed_fields = ("organization", "user")
    list_display = ("user", "email", "show_role", "organization")
    list_filter = (("role", ChoicesDropdownFilter), ("organization", OwnOrganizationFilter))
    list_select_related = ("user", "organization")
    search_fields = ("user__name", "user__email")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.may(request, self.permission("delete"), obj)

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> type[forms.ModelForm]:
        if obj is None:
            kwargs["form"] = NewMemberForm
        return super().get_form(request, obj, change=change, **kwargs)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"role": Role.FRONT_DESK, **super().get_changeform_initial_data(request)}

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return ("organization", "email", "name", "password", "role")
        return ("user", "organization", "role")

    def save_model(self, request: HttpRequest, obj: Membership, form: Any, change: bool) -> None:
        actor = staff_actor(request)
        if change:
            user = obj.user
        else:
            typed = form.cleaned_data
            user = form.user or User.objects.create_user(
                typed["email"], password=typed["password"], name=typed["name"]
            )
        made = services.add_member(
            organization=obj.organization,
            user=user,
            role=obj.role,
            actor=actor,
            reason=form.cleaned_data.get("change_reason", ""),
        )
        obj.pk, obj.user = made.pk, user

    def delete_model(self, request: HttpRequest, obj: Membership) -> None:
        services.remove_member(
            membership=obj, actor=staff_actor(request), reason=gettext("removed in the admin")
        )

    @display(description=_("e-mail address"), ordering="user__email")
    def email(self, membership: Membership) -> str:
        return membership.user.email

    @display(description=_("role"), ordering="role", label=ROLE_COLOURS)
    def show_role(self, membership: Membership) -> tuple[str, str]:
        return membership.role, membership.get_role_display()
