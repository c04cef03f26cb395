"""Sign-up, sign-in, passwords and e-mail addresses (django-allauth): who writes what, and why.

The API (config/sign_in_urls.py) and the pages that mails lead to (config/account_pages.py) both
come here, so each change has a name in the trail whichever way it comes.
"""

from __future__ import annotations

from typing import Any

import structlog
from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.models import EmailAddress
from django import forms
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction
from django.http import HttpRequest
from django.utils.translation import get_language, get_language_from_request, override

from audit.api.fields import NOT_ONE_LINE, is_one_line
from audit.context import audited
from audit.errors import Unavailable
from audit.languages import supported
from audit.observability.operations import operation
from bookings.models import User
from bookings.services.accounts import actor_of, tidy_name

log = structlog.get_logger("holdfast.accounts")


class SignUpForm(forms.Form):
    """What may be sent with a sign-up besides e-mail address and password."""

    name = forms.CharField(max_length=200, required=False)
    language = forms.ChoiceField(choices=settings.LANGUAGES, required=False)

    def clean_name(self) -> str:
        name = tidy_name(self.cleaned_data["name"])
        if not is_one_line(name):
            raise forms.ValidationError(NOT_ONE_LINE)
        return name

    def signup(self, request: HttpRequest, user: User) -> None:
        """allauth asks for this method; the adapter has saved both fields already."""


def _language_of(user: User | None, email: str) -> str:
    owner = user or User.objects.filter(email__iexact=email).first()
    return supported(owner.language) if owner else get_language() or settings.LANGUAGE_CODE


class AccountAdapter(DefaultAccountAdapter):
    """Accounts with a name and a language, and with a line in the trail for each."""

    def save_user(
        self, request: HttpRequest, user: AbstractBaseUser, form: Any, commit: bool = True
    ) -> AbstractBaseUser:
        assert isinstance(user, User)
        user.name = form.cleaned_data.get("name") or ""
        user.language = form.cleaned_data.get("language") or get_language_from_request(request)
        super().save_user(request, user, form, commit=False)
        if commit:
            with transaction.atomic(), audited(actor_of(user), reason="sign-up"):
                user.save()
        return user

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Send an account's mail, in the language of its owner.

        Who has no account reads it in the language of the request.

        Raises:
            Unavailable: the mail server is away. Whoever signed up has an account by then, and
                gets the mail by signing in or by asking for a new password.
        """
        try:
            with override(_language_of(context.get("user"), email)):
                super().send_mail(template_prefix, email, context)
        except OSError as error:  # of which those of smtplib are
            log.warning("account_mail_failed", mail=template_prefix, exc_info=error)
            raise Unavailable("The mail could not be sent right now.") from error

    def set_password(self, user: AbstractBaseUser, password: str) -> None:
        """Set a password; every session of the person ends with it."""
        assert isinstance(user, User)
        actor = actor_of(user)
        with (
            operation("account.set_password", actor=actor, user=user.pk),
            transaction.atomic(),
            audited(actor, reason="set a new password"),
        ):
            super().set_password(user, password)

    def reset_password(self, user: User, password: str) -> None:
        """Set a password with the key of a mail, which also proves that the address is theirs."""
        with transaction.atomic():
            self.set_password(user, password)
            EmailAddress.objects.filter(user=user).exclude(email__iexact=user.email).update(
                primary=False
            )
            address, _ = EmailAddress.objects.get_or_create(
                user=user, email=user.email.lower(), defaults={"primary": True}
            )
            if address.set_verified(commit=False):
                address.primary = True
                address.save()

    def confirm_email(self, request: HttpRequest, email_address: EmailAddress) -> bool:
        """Mark an address as confirmed; False if somebody else has confirmed it before."""
        actor = actor_of(email_address.user)
        with (
            operation("account.confirm_address", actor=actor, user=email_address.user_id),
            transaction.atomic(),
            audited(actor, reason="confirmed the address"),
        ):
            return bool(super().confirm_email(request, email_address))

    def add_message(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: answers say it themselves, and a kept message would turn up in the admin."""

    def get_client_ip(self, request: HttpRequest) -> str:
        """The address that the trail notes too: only trusted proxies may say another."""
        return getattr(request, "client_ip", None) or "0.0.0.0"  # noqa: S104  nothing is bound
