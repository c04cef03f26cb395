"""The product's WSGI application, and one answer in front of it that costs nothing.

``/static-answer`` is for measuring the clients: whatever they reach there, they can drive.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from config.wsgi import application as product

_BODY = b"{}"
_HEADERS = [("Content-Type", "application/json"), ("Content-Length", str(len(_BODY)))]


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    if environ["PATH_INFO"] == "/static-answer":
        start_response("200 OK", list(_HEADERS))
        return [_BODY]
    return product(environ, start_response)
