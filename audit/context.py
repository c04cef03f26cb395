"""Who acts, and from where.

The actor of a change is an argument of the service that makes it. Where the request came
from (address, user agent, request id) is ambient: middleware and Celery headers set it.
:func:`audited` hands both to the database for the length of the transaction, where the
triggers of the trail read them (see ``audit/history.py``).
"""

from __future__ import annotations

import ipaddress
import json
import re
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Literal

from django.db import connection

SETTING = "holdfast.audit"

ActorKind = Literal["customer", "staff", "system"]


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody or something that changes data. ``label`` is what a person reads."""

    kind: ActorKind
    id: uuid.UUID | None
    label: str

    @classmethod
    def system(cls, label: str = "system") -> Actor:
        """A task or a command: ``label`` names it."""
        return cls("system", None, label)

    def is_user(self, user_id: uuid.UUID | None) -> bool:
        """Whether it is this person who acts: what is theirs is not theirs to decide as staff."""
        return user_id is not None and self.id == user_id


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request or a task came from."""

    request_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    ip: str | None = None
    user_agent: str = ""


_origin: ContextVar[Origin | None] = ContextVar("holdfast_origin", default=None)
_audited: ContextVar[str | None] = ContextVar("holdfast_audited", default=None)


def current_origin() -> Origin:
    return _origin.get() or Origin(request_id="")


def current_actor_label() -> str:
    """Who acts in this transaction, for people; empty outside of ``audited``."""
    told = _audited.get()
    return str(json.loads(told)["actor_label"]) if told else ""


def current_actor_kind() -> str:
    """What kind of actor acts in this transaction; empty outside of ``audited``."""
    told = _audited.get()
    return str(json.loads(told)["actor_kind"]) if told else ""


@contextmanager
def origin(value: Origin) -> Iterator[Origin]:
    """Everything inside comes from ``value``."""
    token = _origin.set(value)
    try:
        yield value
    finally:
        _origin.reset(token)


@contextmanager
def audited(actor: Actor, *, reason: str = "") -> Iterator[None]:
    """Give the changes of this transaction a name and a reason. Use inside ``atomic``.

    One statement; an inner ``audited`` replaces the outer one and gives it back at its end.
    """
    if not connection.in_atomic_block:
        raise RuntimeError("audited() belongs inside transaction.atomic()")
    payload = context_of(actor, reason=reason)
    outer = _audited.get()
    if payload != outer:
        _tell(payload)
    token = _audited.set(payload)
    try:
        yield
    except BaseException:
        _audited.reset(token)
        raise  # the rollback takes the setting back
    _audited.reset(token)
    if outer is not None and outer != payload:
        _tell(outer)


def context_of(actor: Actor, *, reason: str = "") -> str:
    """What the triggers of the trail read: the value of the setting ``SETTING``."""
    where = current_origin()
    return json.dumps(
        {
            "actor_kind": actor.kind,
            "actor_id": str(actor.id) if actor.id else None,
            "actor_label": actor.label[:200],
            "ip": where.ip,
            "user_agent": where.user_agent[:400],
            "request_id": where.request_id[:64],
            "reason": reason,
        }
    )


@contextmanager
def told(payload: str) -> Iterator[None]:
    """The database has been told ``payload`` for this transaction, by the caller's statement."""
    token = _audited.set(payload)
    try:
        yield
    finally:
        _audited.reset(token)


def _tell(payload: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config(%s, %s, true)", [SETTING, payload])


_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{8,64}")


class OriginMiddleware:
    """Note where each request comes from, for the trail and the log.

    ``X-Forwarded-For`` and ``X-Request-Id`` count only as far as they were written by
    proxies in ``settings.TRUSTED_PROXIES``: anybody can send them.
    """

    def __init__(self, get_response: Any) -> None:
        from django.conf import settings

        self.get_response = get_response
        self.trusted = [ipaddress.ip_network(n) for n in settings.TRUSTED_PROXIES]

    def __call__(self, request: Any) -> Any:
        peer = request.META.get("REMOTE_ADDR") or None
        ip = client_ip(peer, request.META.get("HTTP_X_FORWARDED_FOR", ""), self.trusted)
        sent = request.META.get("HTTP_X_REQUEST_ID", "")
        trusted_peer = peer is not None and _inside(peer, self.trusted)
        request_id = sent if trusted_peer and _REQUEST_ID.fullmatch(sent) else uuid.uuid4().hex
        request.request_id, request.client_ip = request_id, ip
        agent = request.META.get("HTTP_USER_AGENT", "")
        with origin(Origin(request_id=request_id, ip=ip, user_agent=agent)):
            response = self.get_response(request)
        response["X-Request-Id"] = request_id
        return response


Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text.strip())
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _inside(text: str, networks: Sequence[Network]) -> bool:
    address = _address(text)
    return address is not None and any(address in network for network in networks)


def client_ip(peer: str | None, forwarded: str, trusted: Sequence[Network]) -> str | None:
    """The nearest address that no trusted proxy vouches further for, or None."""
    address = _address(peer or "")
    if address is None:
        return None
    for hop in reversed([h for h in forwarded.split(",") if h.strip()]):
        if not _inside(str(address), trusted):
            break
        previous = _address(hop)
        if previous is None:
            break
        address = previous
    return str(address)
