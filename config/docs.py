"""Pages about the API: the OpenAPI document and the list of problem codes."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from drf_spectacular.views import SpectacularAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from audit.errors import DomainError
from config.schema import document


class SchemaView(SpectacularAPIView):
    """The OpenAPI document."""

    def _get_schema_response(self, request: Request) -> Response:
        return Response(document(), headers={"Cache-Control": "public, max-age=300"})


def problems(request: HttpRequest) -> HttpResponse:
    """The list of codes that the ``type`` of every problem points into."""
    catalogue = sorted(DomainError.catalogue().items())
    found = [{"code": c, "status": e.status, "title": e.title()} for c, e in catalogue]
    return render(request, "api/problems.html", {"problems": found})
