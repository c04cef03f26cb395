"""Which language a request is answered in."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest
from django.middleware.locale import LocaleMiddleware
from django.utils import translation

FOR_CUSTOMERS = ("/account/", "/_allauth/")


class CustomersLanguageMiddleware(LocaleMiddleware):
    """What customers read in a browser is in the language that the browser asks for.

    The admin and the API have no catalogue of their own. Without this they would be in two
    languages at once: Django's words and those that they share with the messages in the browser's
    language, all others in English; and what they store, such as a reason that was ticked, would
    depend on the browser of whoever ticked it.
    """

    def process_request(self, request: HttpRequest) -> None:
        if request.path_info.startswith(FOR_CUSTOMERS):
            super().process_request(request)
            return
        translation.activate(settings.LANGUAGE_CODE)
        request.LANGUAGE_CODE = settings.LANGUAGE_CODE
