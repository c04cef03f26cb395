"""The pages that account mails lead to: confirm an address, ask for and set a new password.

They need no sign-in and no script. A key stays in the address, so each answer forbids caches and
tells no page where it came from; the log has routes and never addresses. The policy is
``strict-origin`` and not ``no-referrer``: with the latter, browsers send ``Origin: null`` with a
form, which the protection against forged requests refuses.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from allauth.account.adapter import get_adapter
from allauth.account.forms import ResetPasswordForm, UserTokenForm
from allauth.account.models import EmailConfirmationHMAC
from allauth.core import ratelimit
from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from audit.errors import Unavailable
from bookings.models import User

HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "strict-origin",
    "X-Robots-Tag": "noindex",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none';"
        " frame-ancestors 'none'"
    ),
}
TOO_MANY = _("Too many attempts from here. Wait a minute, then try again.")
View = Callable[..., HttpResponse]


def _private(view: View) -> View:
    """A page whose address may be a secret, and which only forms of its own post to."""

    @require_http_methods(["GET", "HEAD", "POST"])
    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = view(request, *args, **kwargs)
        for name, value in HEADERS.items():
            response[name] = value
        return response

    return answer


class ForgottenForm(ResetPasswordForm):
    """Whose password is to be set anew."""

    email = forms.EmailField(
        label=_("Your e-mail address"),
        max_length=254,
        widget=forms.EmailInput(attrs={"autocomplete": "email", "autofocus": True}),
    )


class PasswordForm(forms.Form):
    """A new password, twice, as strong as the rules ask."""

    password1 = forms.CharField(
        label=_("New password"),
        strip=False,
        max_length=1_000,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password", "autofocus": True}),
    )
    password2 = forms.CharField(
        label=_("The same once more"),
        strip=False,
        max_length=1_000,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def __init__(self, user: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        first, second = data.get("password1"), data.get("password2")
        if first and second and first != second:
            self.add_error("password2", _("This is not the same password. Type it once more."))
        elif first:
            try:
                get_adapter().clean_password(first, user=self.user)
            except ValidationError as error:
                self.add_error("password1", error)
        return data


@_private
def verify_email(request: HttpRequest, key: str) -> HttpResponse:
    """Confirm an e-mail address, with a button: what mail scanners open changes nothing."""
    found = EmailConfirmationHMAC.from_key(key)
    if found is None:
        return render(request, "account/verify_email.html", {"state": "over"}, status=404)
    address = found.email_address
    state, status = "ask", 200
    if request.method == "POST":
        confirmed = found.confirm(request) is not None
        state, status = ("done", 200) if confirmed else ("taken", 409)
    context = {"state": state, "email": address.email, "staff": address.user.is_staff}
    return render(request, "account/verify_email.html", context, status=status)


@_private
def forgot_password(request: HttpRequest) -> HttpResponse:
    """Send a mail with a key; the page says the same whether there is such an account or not."""
    template = "account/forgot_password.html"
    form = ForgottenForm(request.POST if request.method == "POST" else None)
    if request.method != "POST" or not form.is_valid():
        return render(request, template, {"form": form}, status=400 if form.errors else 200)
    email = form.cleaned_data["email"]
    if not ratelimit.consume(request, action="reset_password", key=email.lower()):
        form.add_error(None, TOO_MANY)
        return render(request, template, {"form": form}, status=429)
    try:
        form.save(request)
    except Unavailable:
        form.add_error(None, _("The mail could not be sent right now. Try again in some minutes."))
        return render(request, template, {"form": form}, status=503)
    return render(request, template, {"sent": True, "email": email})


@_private
def set_password(request: HttpRequest, key: str) -> HttpResponse:
    """Set a new password with the key of a mail, which works once."""
    template = "account/set_password.html"
    if request.method == "POST" and not ratelimit.consume(
        request, action="reset_password_from_key"
    ):
        return render(request, template, {"error": TOO_MANY}, status=429)
    user = _owner_of(key)
    if user is None:
        return render(request, template, {"over": True}, status=404)
    form = PasswordForm(user, request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        get_adapter().reset_password(user, form.cleaned_data["password1"])
        return render(request, template, {"done": True, "staff": user.is_staff})
    context = {"form": form, "email": user.email}
    return render(request, template, context, status=400 if form.errors else 200)


def _owner_of(key: str) -> User | None:
    """Whose key this is; None if it is no key, was used, is too old or its account is closed."""
    user_id, _dash, token = key.partition("-")
    form = UserTokenForm({"uidb36": user_id, "key": token})
    try:
        valid = form.is_valid()
    except (ValueError, ValidationError):
        return None
    user = form.reset_user
    return user if valid and isinstance(user, User) and user.is_active else None
