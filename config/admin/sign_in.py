"""The sign-in page of the staff."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _
from unfold.forms import AuthenticationForm


class SignInForm(AuthenticationForm):
    """E-mail and password; customers are told that this door is not theirs."""

    error_messages = {
        "invalid_login": _("This e-mail address and password do not fit together. Try again."),
        "inactive": _("This account is closed."),
    }

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
