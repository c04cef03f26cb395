"""Check-in codes: derived, not stored (A8).

A code is 26 characters of base 32 (130 bits) of an HMAC over the booking and a random
nonce. The database keeps the nonce and the SHA-256 of the code: without the key, which
lives in the environment, a copy of the database opens no door.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
import secrets
import uuid

import segno
from django.conf import settings

LENGTH = 26


def new_nonce() -> bytes:
    return secrets.token_bytes(16)


def derive(booking_id: uuid.UUID, nonce: bytes | memoryview) -> str:
    """The code of a booking, upper case, without separators."""
    key = settings.CHECK_IN_KEY.encode()
    digest = hmac.digest(key, b"check-in:" + booking_id.bytes + bytes(nonce), "sha256")
    return base64.b32encode(digest).decode()[:LENGTH]


def fingerprint(code: str) -> bytes:
    """What is stored of a code. Case, spaces and dashes a person may type do not count."""
    plain = code.strip().upper().replace("-", "").replace(" ", "")
    return hashlib.sha256(plain.encode()).digest()


def qr_svg(code: str) -> bytes:
    """The code as a QR image, SVG."""
    out = io.BytesIO()
    segno.make_qr(code, error="m").save(out, kind="svg", scale=8, border=4, xmldecl=False)
    return out.getvalue()


def qr_png(code: str) -> bytes:
    """The code as a QR image, PNG."""
    out = io.BytesIO()
    segno.make_qr(code, error="m").save(out, kind="png", scale=10, border=4)
    return out.getvalue()
