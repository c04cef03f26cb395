"""The product's URLs and the ceilings."""

from django.urls import include, path

from tests.benchmarks.ceilings import views

urlpatterns = [
    path("ceilings/select/", views.OneSelect.as_view()),
    path("ceilings/orm/", views.MinimalBooking.as_view()),
    path("ceilings/sql/", views.SingleStatementBooking.as_view()),
    path("", include("config.urls")),
]
