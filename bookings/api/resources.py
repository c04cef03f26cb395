"""What an organisation offers."""

from __future__ import annotations

import uuid

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from audit.api import answers
from audit.api.fields import Fields
from audit.api.pages import page_in, paginate
from audit.errors import NotFound
from bookings import selectors
from bookings.api import representations, serializers
from bookings.api.views import OrganizationView
from bookings.models import Resource


class Resources(OrganizationView):
    """Resources by name."""

    @extend_schema(
        operation_id="list_resources",
        tags=["Offer"],
        parameters=[
            OpenApiParameter("kind", enum=Resource.Kind.values, description="Only this kind."),
            OpenApiParameter("search", description="Part of the name or of the description."),
        ],
        responses={200: serializers.ResourcePage},
        extensions={"x-paged": True},
    )
    def get(self, request: Request, org: str) -> HttpResponse:
        fields = Fields(request.query_params)
        kind = fields.choice("kind", Resource.Kind.values)
        search = fields.text("search", longest=100)
        page = page_in(fields, by_time=False)
        fields.check(known=True)
        found = selectors.resources(self.viewer.organization.pk, kind=kind, search=search)
        rows, links = paginate(found, page, order="name", request=request)
        return answers.respond(links | {"results": [representations.resource(r) for r in rows]})


class ResourceDetail(OrganizationView):
    """One resource."""

    @extend_schema(
        operation_id="get_resource",
        tags=["Offer"],
        responses={200: serializers.ResourceSerializer},
    )
    def get(self, request: Request, org: str, pk: uuid.UUID) -> HttpResponse:
        found = selectors.resources(self.viewer.organization.pk).filter(pk=pk).first()
        if found is None:
            raise NotFound("There is no such resource.")
        return answers.respond(representations.resource(found))
