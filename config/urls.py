"""Every address of Holdfast."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularSwaggerView

from audit.observability.health import healthz, readyz
from bookings.api import urls as bookings
from config import account_pages, api, docs, sign_in_urls
from payments.api import urls as payments
from waitlist.api import urls as waitlist

handler400 = api.bad_request
handler403 = api.permission_denied
handler404 = api.page_not_found
handler500 = api.server_error

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
    path("healthz/", healthz),
    path("readyz/", readyz),
    path("_allauth/", include(sign_in_urls)),
    path("account/verify-email/<str:key>/", account_pages.verify_email, name="verify-email"),
    path("account/password/forgot/", account_pages.forgot_password, name="forgot-password"),
    path("account/password/reset/key/<str:key>/", account_pages.set_password, name="set-password"),
    path("api/schema/", docs.SchemaView.as_view(), name="schema"),
    path("api/docs/", SpectacularSwaggerView.as_view(url_name="schema"), name="api-docs"),
    path("api/docs/problems/", docs.problems, name="api-problems"),
    path("api/v1/", include(bookings.person)),
    path(
        "api/v1/organizations/<slug:org>/",
        include(bookings.organization + waitlist.organization + payments.organization),
    ),
]
