"""Organisations and the people who work in them (F1, F3)."""

from __future__ import annotations

from typing import Any, ClassVar

import structlog
from allauth.account.internal.flows.password_reset import request_password_reset
from allauth.account.models import EmailAddress
from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminEmailInputWidget, UnfoldAdminTextInputWidget

from audit.admin.scope import staff_actor
from audit.errors import Unavailable
from bookings.admin.base import (
    AuditedForm,
    OwnOrganizationFilter,
    ScopedModelAdmin,
    person,
)
from bookings.models import Membership, Organization, Role, User
from bookings.services import organizations as services

log = structlog.get_logger("holdfast.admin")

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
        widgets = {"reminder_hours": UnfoldAdminTextInputWidget}


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
        (
            _("How long seats are kept"),
            {
                "fields": (("hold_minutes", "pending_hours"),),
                "description": _(
                    "What nobody of you has confirmed expires after the same hours; managers are"
                    " told before."
                ),
            },
        ),
        (_("Reminders"), {"fields": ("reminder_hours",)}),
        (
            _("Who does not come"),
            {"fields": ("no_show_minutes", ("no_show_limit", "no_show_days"))},
        ),
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        return person(request).is_superuser

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Addresses that customers' apps use, and whether it exists, are the operator's."""
        found = super().get_readonly_fields(request, obj)
        return found if person(request).is_superuser else (*found, "slug", "is_active")


class NewMemberForm(AuditedForm):
    """Somebody joins: by e-mail address, with an account that exists or a new one.

    Only who reads the mail of the address may ever sign in with the role: an account that exists
    must have proven it, and a new one has no password until its owner follows a link.
    """

    #: Whether an account may join that has not proven its address; the operator answers for it.
    trusted: ClassVar[bool] = False

    email = forms.EmailField(
        label=_("E-mail address"),
        widget=UnfoldAdminEmailInputWidget,
        help_text=_(
            "Of their account. If there is none, one is made, and they get an e-mail with a link"
            " to choose their password."
        ),
    )
    name = forms.CharField(
        label=_("Name"),
        max_length=200,
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("For a new account."),
    )

    class Meta:
        model = Membership
        fields = ("organization", "role")

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean() or {}
        email = cleaned.get("email")
        self.user = account_of(email) if email else None
        if self.user is None or email is None:
            return cleaned
        if not self.user.is_active:
            raise ValidationError({"email": gettext("This account is closed.")})
        if not (self.trusted or confirmed(self.user, email) or nobody_can_sign_in(self.user)):
            raise ValidationError(
                {
                    "email": gettext(
                        "This address was never confirmed. Ask them to confirm it first."
                    )
                }
            )
        organization = cleaned.get("organization")
        if organization and self.user.memberships.filter(organization=organization).exists():
            raise ValidationError(
                {"email": gettext("They work here already: open them in the list instead.")}
            )
        return cleaned


def account_of(email: str) -> User | None:
    """Whose address this is: of their account, or another that they have confirmed."""
    found = User.objects.filter(email__iexact=email).first()
    if found is None:
        other = EmailAddress.objects.filter(email__iexact=email, verified=True).first()
        found = other.user if other else None
    return found


def confirmed(user: User, email: str) -> bool:
    """Whether they have shown that they read the mail of this address."""
    mine = EmailAddress.objects.filter(user=user, email__iexact=email, verified=True)
    return bool(mine.exists())


def nobody_can_sign_in(user: User) -> bool:
    """Whether it is an account without a password, made here and not yet taken over."""
    return not user.has_usable_password()


def invite(request: HttpRequest, user: User) -> None:
    """Mail them a link to choose a password, and tell the person at the form."""
    try:
        request_password_reset(request, user.email, [user], None)
    except (OSError, Unavailable) as error:  # the mail server's trouble is not the colleague's
        log.warning("invitation_failed", user=str(user.pk), error=type(error).__name__)
        messages.warning(
            request,
            gettext(
                "They were added, but the e-mail to %s could not be sent. They can ask for one"
                " themselves: with “Forgot password” on the sign-in page."
            )
            % user.email,
        )
    else:
        messages.info(
            request,
            gettext("An e-mail with a link to choose a password was sent to %s.") % user.email,
        )


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
        if obj is not None:
            return super().get_form(request, obj, change=change, **kwargs)
        made = super().get_form(request, obj, change=change, **{**kwargs, "form": NewMemberForm})
        made.trusted = person(request).is_superuser  # type: ignore[attr-defined]
        return made

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"role": Role.FRONT_DESK, **super().get_changeform_initial_data(request)}

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return ("organization", "email", "name", "role")
        return ("user", "organization", "role")

    def save_model(self, request: HttpRequest, obj: Membership, form: Any, change: bool) -> None:
        actor = staff_actor(request)
        if change:
            user = obj.user
        else:
            user = form.user or self._new_account(form.cleaned_data)
            if nobody_can_sign_in(user):
                transaction.on_commit(lambda: invite(request, user))
        made = services.add_member(
            organization=obj.organization,
            user=user,
            role=obj.role,
            actor=actor,
            reason=form.cleaned_data.get("change_reason", ""),
        )
        obj.pk, obj.user = made.pk, user

    @staticmethod
    def _new_account(typed: dict[str, Any]) -> User:
        """An account that nobody can sign in to before its address is proven."""
        made = User.objects.create_user(typed["email"], password=None, name=typed["name"])
        EmailAddress.objects.create(user=made, email=made.email, primary=True, verified=False)
        return made

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
