"""Sign-up and sign-in for the API (django-allauth headless)."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django import forms
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction
from django.http import HttpRequest

from audit.context import audited
from bookings.models import User
from bookings.services.accounts import actor_of


class SignUpForm(forms.Form):
    """What may be sent with a sign-up besides e-mail address and password."""

    name = forms.CharField(max_length=200, required=False)
    language = forms.ChoiceField(choices=settings.LANGUAGES, required=False)

    def signup(self, request: HttpRequest, user: User) -> None:
        """allauth asks for this method; the adapter has saved both fields already."""


class AccountAdapter(DefaultAccountAdapter):
    """Accounts with a name and a language, and with a line in the trail for each."""

    def save_user(
        self, request: HttpRequest, user: AbstractBaseUser, form: Any, commit: bool = True
    ) -> AbstractBaseUser:
        assert isinstance(user, User)
        user.name = form.cleaned_data.get("name") or ""
        user.language = form.cleaned_data.get("language") or settings.LANGUAGE_CODE
        super().save_user(request, user, form, commit=False)
        if commit:
            with transaction.atomic(), audited(actor_of(user), reason="sign-up"):
                user.save()
        return user

    def get_client_ip(self, request: HttpRequest) -> str:
        """The address that the trail notes too: only trusted proxies may say another."""
        return getattr(request, "client_ip", None) or "0.0.0.0"  # noqa: S104  nothing is bound
