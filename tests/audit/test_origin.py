"""Where a request comes from is believed only as far as trusted proxies say (B7, security 9)."""

from __future__ import annotations

import ipaddress
import re
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from audit.context import Origin, OriginMiddleware, client_ip, current_origin

PROXIES = [ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8")]


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("203.0.113.7", "", "203.0.113.7"),
        ("203.0.113.7", "198.51.100.1", "203.0.113.7"),
        ("10.0.0.1", "203.0.113.7", "203.0.113.7"),
        ("10.0.0.1", "1.1.1.1, 203.0.113.7, 10.0.0.2", "203.0.113.7"),
        ("10.0.0.1", "198.51.100.1, 203.0.113.7", "203.0.113.7"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "nonsense", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.7, nonsense, 10.0.0.2", "10.0.0.2"),
        ("::ffff:10.0.0.1", "203.0.113.7", "203.0.113.7"),
        ("fd00::1", "2001:db8::7", "2001:db8::7"),
        (None, "203.0.113.7", None),
        ("/a/unix/socket", "203.0.113.7", None),
    ],
)
def test_the_client_is_the_nearest_address_nobody_vouches_further_for(
    peer: str | None, forwarded: str, address: str | None
) -> None:
    assert client_ip(peer, forwarded, PROXIES) == address


def seen(settings: Any, **headers: str) -> tuple[Origin, HttpResponse]:
    """What a view learns of its request's origin, and the answer it got."""
    settings.TRUSTED_PROXIES = ["10.0.0.0/8"]
    origins: list[Origin] = []

    def view(request: HttpRequest) -> HttpResponse:
        origins.append(current_origin())
        return HttpResponse()

    response = OriginMiddleware(view)(RequestFactory().get("/", **headers))  # type: ignore[arg-type]
    return origins[0], response


def test_a_request_id_is_taken_over_from_a_trusted_proxy(settings: Any) -> None:
    origin, response = seen(settings, REMOTE_ADDR="10.0.0.1", HTTP_X_REQUEST_ID="abcdef-123456")
    assert origin.request_id == "abcdef-123456"
    assert response["X-Request-Id"] == "abcdef-123456"


@pytest.mark.parametrize(
    ("peer", "sent"), [("203.0.113.7", "abcdef-123456"), ("10.0.0.1", "a\nb"), ("10.0.0.1", "x")]
)
def test_any_other_request_gets_an_id_of_its_own(settings: Any, peer: str, sent: str) -> None:
    origin, _response = seen(settings, REMOTE_ADDR=peer, HTTP_X_REQUEST_ID=sent)
    assert origin.request_id != sent
    assert re.fullmatch("[0-9a-f]{32}", origin.request_id)


def test_the_origin_ends_with_the_request(settings: Any) -> None:
    origin, _response = seen(settings, REMOTE_ADDR="203.0.113.7", HTTP_USER_AGENT="a browser")
    assert (origin.ip, origin.user_agent) == ("203.0.113.7", "a browser")
    assert current_origin().request_id == ""
