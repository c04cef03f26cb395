"""The person who asks: profile, and where they are customer or staff."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from audit.api import answers
from audit.api.fields import Fields
from audit.api.views import ApiView
from bookings import selectors
from bookings.api import serializers
from bookings.api.views import signed_in
from bookings.models import User
from bookings.services import accounts


class Me(ApiView):
    """My profile."""

    @extend_schema(operation_id="get_me", tags=["Me"], responses={200: serializers.Me})
    def get(self, request: Request) -> HttpResponse:
        return answers.respond(_me(signed_in(request)))

    @extend_schema(
        operation_id="change_me",
        tags=["Me"],
        request=serializers.MyChanges,
        responses={200: serializers.Me},
    )
    def patch(self, request: Request) -> HttpResponse:
        fields = Fields(request.data)
        name = fields.text("name", longest=200, one_line=True)
        language = fields.choice("language", [code for code, _ in settings.LANGUAGES])
        fields.check()
        user = accounts.change_profile(user=signed_in(request), name=name, language=language)
        return answers.respond(_me(user))


def _me(user: User) -> dict[str, Any]:
    return {
        "id": str(user.pk),
        "email": user.email,
        "name": user.name,
        "language": user.language,
        "organizations": [
            {
                "slug": known.slug,
                "name": known.name,
                "role": known.role,
                "customer": str(known.customer_id) if known.customer_id else None,
            }
            for known in selectors.known_organizations(user)
        ],
    }
