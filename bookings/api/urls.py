"""Paths of this app under ``/api/v1/``; those with a price are in ``payments/api/urls.py``."""

from django.urls import path

from bookings.api import availability, check_ins, me, resources, tickets

# Under organizations/{org}/
organization = [
    path("resources/", resources.Resources.as_view()),
    path("resources/<uuid:pk>/", resources.ResourceDetail.as_view()),
    path("availability/", availability.Availability.as_view()),
    path("bookings/<uuid:pk>/qr.svg", tickets.QrSvg.as_view()),
    path("bookings/<uuid:pk>/qr.png", tickets.QrPng.as_view()),
    path("bookings/<uuid:pk>/calendar.ics", tickets.CalendarFile.as_view()),
    path("check-ins/", check_ins.CheckIns.as_view()),
]

person = [path("me/", me.Me.as_view())]
