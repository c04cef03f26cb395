"""The sign-in page of the staff."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import get_adapter
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables
from unfold.forms import AuthenticationForm


class SignInForm(AuthenticationForm):
    """E-mail and password; customers are told that this door is not theirs."""

    error_messages = {
        "invalid_login": _("This e-mail address and password do not fit together. Try again."),
        "inactive": _("This account is closed."),
    }

    @sensitive_variables()
    def clean(self) -> dict[str, Any]:
        """Check the password under the limits that guard the API's sign-in (promise 8).

        Both doors count together: wrong passwords of one are missing at the other.
        """
        typed: dict[str, Any] = self.cleaned_data
        email, password = typed.get("username"), typed.get("password")
        if email and password:
            self.user_cache = get_adapter(self.request).authenticate(
                self.request, email=email, password=password
            )
            if self.user_cache is None:
                raise self.get_invalid_login_error()
            self.confirm_login_allowed(self.user_cache)
        return typed

    def confirm_login_allowed(self, user: Any) -> None:
        if not user.is_active:
            raise ValidationError(self.error_messages["inactive"], code="inactive")
        if not user.is_staff:
            raise ValidationError(
                _(
                    "This page is for the staff, and your account is a customer's. Your bookings"
                    " are where you made them. If you work here, ask an owner to add you under"
                    " Staff members."
                ),
                code="not_staff",
            )
