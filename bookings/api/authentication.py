"""Who sends a request, and what they are in the organisation it is about."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from audit.compiled import Compiled, Param
from bookings import selectors
from bookings.models import User
from bookings.selectors import Viewer


@dataclass(frozen=True, slots=True)
class SignIn:
    """How somebody is signed in; ``viewer`` is set where the URL names an organisation that
    there is."""

    session_key: str
    viewer: Viewer | None


class SessionTokenAuthentication(BaseAuthentication):
    """``X-Session-Token`` from sign-up or login; two statements, no cache that may be away.

    The second one reads the person together with the organisation in the URL. A session dies
    with the password it was opened with.
    """

    def authenticate(self, request: Request) -> tuple[User, SignIn] | None:
        token = request.META.get("HTTP_X_SESSION_TOKEN", "")
        if not token:
            return None
        if not re.fullmatch(r"[a-z0-9]{8,64}", token):
            raise exceptions.AuthenticationFailed
        session = _session(token)
        user_id = session.get(SESSION_KEY)
        slug = request.parser_context["kwargs"].get("org")
        user, viewer = selectors.user_and_viewer(user_id, slug) if user_id else (None, None)
        if user is None or not _opened_with_this_password(user, session.get(HASH_SESSION_KEY, "")):
            raise exceptions.AuthenticationFailed
        user.backend = str(session.get(BACKEND_SESSION_KEY))
        return user, SignIn(token, viewer)

    def authenticate_header(self, request: Request) -> str:
        return "X-Session-Token"


_SESSION = Compiled(
    lambda: Session.objects.filter(session_key=Param("key"), expire_date__gt=Param("now"))
)


def _session(token: str) -> dict[str, Any]:
    """What a session holds; nothing if it is unknown or over."""
    found = _SESSION.first(key=token, now=timezone.now())
    return SessionStore().decode(found.session_data) if found else {}


def _opened_with_this_password(user: User, session_hash: str) -> bool:
    hashes = (user.get_session_auth_hash(), *user.get_session_auth_fallback_hash())
    return any(constant_time_compare(session_hash, h) for h in hashes)
