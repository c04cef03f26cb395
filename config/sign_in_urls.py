"""The addresses of django-allauth that Holdfast means to have.

Its own list has more: an e-mail address that changes without being verified and without a line
in the trail, sign-in by code, phones. What is not here is a 404.
"""

from allauth.headless.account import views as account
from allauth.headless.base.views import ConfigView
from allauth.headless.constants import Client
from django.urls import include, path

APP = Client.APP

_app = [
    path("config", ConfigView.as_api_view(client=APP), name="config"),
    path("auth/signup", account.SignupView.as_api_view(client=APP), name="signup"),
    path("auth/login", account.LoginView.as_api_view(client=APP), name="login"),
    path("auth/session", account.SessionView.as_api_view(client=APP), name="current_session"),
    path("auth/email/verify", account.VerifyEmailView.as_api_view(client=APP), name="verify_email"),
    path(
        "auth/password/request",
        account.RequestPasswordResetView.as_api_view(client=APP),
        name="request_password_reset",
    ),
    path(
        "auth/password/reset",
        account.ResetPasswordView.as_api_view(client=APP),
        name="reset_password",
    ),
    path(
        "account/password/change",
        account.ChangePasswordView.as_api_view(client=APP),
        name="change_password",
    ),
]

app_name = "headless"
urlpatterns = [path("app/v1/", include((_app, "headless"), namespace="app"))]
