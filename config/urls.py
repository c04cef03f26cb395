"""Every address of Holdfast."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularSwaggerView

from audit.observability.health import healthz, readyz
from bookings.api import urls as bookings
from config import api, docs
from payments.api import urls as payments

handler400 = api.bad_request
handler403 = api.permission_denied
handler404 = api.page_not_found
handler500 = api.server_error

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
    path("healthz/", healthz),
    path("readyz/", readyz),
    path("_allauth/", include("allauth.headless.urls")),
    path("api/schema/", docs.SchemaView.as_view(), name="schema"),
    path("api/docs/", SpectacularSwaggerView.as_view(url_name="schema"), name="api-docs"),
    path("api/docs/problems/", docs.problems, name="api-problems"),
    path("api/v1/", include(bookings.person)),
    path(
        "api/v1/organizations/<slug:org>/",
        include(bookings.organization + payments.organization),
    ),
]
