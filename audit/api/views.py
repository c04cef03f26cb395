"""The base of every API view."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from rest_framework import exceptions
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request
from rest_framework.views import APIView

from audit import idempotency
from audit.api import answers
from audit.api.parsers import JsonParser
from audit.context import Actor
from audit.idempotency import Answer


class OnlyWhatThereIs(BaseContentNegotiation):
    """Every answer has one form; an ``Accept`` header that wants another is not held against
    the client (RFC 9110, section 12.4.1)."""

    def select_parser(self, request: HttpRequest, parsers: Any) -> Any:
        from rest_framework.utils.mediatypes import media_type_matches

        for parser in parsers:
            if media_type_matches(parser.media_type, request.content_type or ""):
                return parser
        return None

    def select_renderer(
        self, request: HttpRequest, renderers: Any, format_suffix: Any = None
    ) -> Any:
        return renderers[0], renderers[0].media_type


class ApiView(APIView):
    """Signed in, throttled, JSON; answers are rendered by the view and sent as they are."""

    content_negotiation_class = OnlyWhatThereIs
    parser_classes = [JsonParser]
    http_method_names = ["get", "head", "post", "put", "patch", "delete"]
    throttle_scope = ""  # empty: read or write, by method

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Any:
        view: Any = super().as_view(**initkwargs)
        # A redirect to the address with a slash would turn a POST into a GET.
        view.should_append_slash = False
        return view

    @property
    def actor(self) -> Actor | None:
        """Who the person is in the trail, where that is known."""
        return None

    def perform_authentication(self, request: Request) -> None:
        """Who is it? Whoever is nobody counts against the limit of their address."""
        try:
            known = request.user.is_authenticated
        except exceptions.AuthenticationFailed:
            self.check_throttles(request)
            raise
        if not known:
            self.check_throttles(request)
            raise exceptions.NotAuthenticated

    def once(
        self, request: Request, data: Any, execute: Callable[[], Answer], *, reason: str = ""
    ) -> HttpResponse:
        """Do the work of a POST once per Idempotency-Key, and answer it.

        Args:
            data: what the client asked for, parsed: JSON values, ids, dates.
            execute: calls one service and renders its result, in one transaction.
            reason: why, as the service tells the trail; saying it here spares it a statement.
        """
        key = request.headers.get("Idempotency-Key")
        match, user_id = request.resolver_match, request.user.pk
        assert match is not None
        assert user_id is not None
        fingerprint = ""
        if key:
            told = json.dumps([match.kwargs, data], default=str, sort_keys=True)
            fingerprint = idempotency.request_hash(told)
        return answers.send(
            idempotency.run(
                user_id=user_id,
                route=f"{request.method} {match.route}",
                key=key,
                request_hash=fingerprint,
                execute=execute,
                problem=answers.problem_answer,
                actor=self.actor,
                reason=reason,
            )
        )
