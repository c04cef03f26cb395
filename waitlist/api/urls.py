"""Paths of this app under ``/api/v1/organizations/{org}/``; the others, where offers have a
price, are in ``payments/api/urls.py``."""

from django.urls import path

from waitlist.api import entries

organization = [path("waitlist/<uuid:pk>/decline/", entries.Decline.as_view())]
