"""One effect per Idempotency-Key: the answer is kept in the transaction of the effect.

Both commit or neither does, so that a client that lost the answer can ask again after any
crash and gets it, byte for byte. Why not a cache entry: docs/decisions/0005.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from django.db import DatabaseError, transaction

from audit.context import SETTING, Actor, context_of, told
from audit.delivery import alerts
from audit.errors import (
    DomainError,
    IdempotencyInProgress,
    IdempotencyKeyReused,
    Invalid,
    constraint_name,
    translate,
)
from audit.models import IdempotencyKey
from audit.sql import insert, prepared_cursor

KEPT_FOR = timedelta(hours=24)
KEPT_ERRORS = frozenset({409, 412, 422})
LONGEST_KEY = 255

ONE_ANSWER_PER_KEY = "audit_idempotencykey_one_answer_per_key"


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer as it goes over the wire.

    Args:
        status: the HTTP status.
        body: the rendered JSON; what is sent is ``body.encode()``, so that a replay is the same.
        headers: those that belong to the answer: Content-Type, ETag, Location.
        replayed: the effect happened earlier; the view adds ``Idempotent-Replay: true``.
    """

    status: int
    body: str
    headers: Mapping[str, str] = field(default_factory=dict)
    replayed: bool = False


def request_hash(*parts: bytes | str) -> str:
    """A hash over the parts of a request that make it the same request when repeated.

    Pass what was parsed, not what was sent: a repeated upload has another multipart boundary.
    """
    digest = hashlib.sha256()
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        digest.update(len(raw).to_bytes(8, "big") + raw)
    return digest.hexdigest()


def run(
    *,
    user_id: UUID,
    route: str,
    key: str | None,
    request_hash: str,
    execute: Callable[[], Answer],
    problem: Callable[[DomainError], Answer],
    actor: Actor | None = None,
    reason: str = "",
) -> Answer:
    """Do the work of one POST in one transaction, once per key; call it outside of any.

    Args:
        user_id: who sent it; keys of different users never meet.
        route: what was called, such as ``"POST cart/items"``; object ids belong in
            ``request_hash``, so that a key used for another object is refused.
        key: the Idempotency-Key header, or None.
        request_hash: see :func:`request_hash`.
        execute: calls one service and renders its result. It runs inside
            ``transaction.atomic()``; a service's ``atomic(savepoint=False)`` adds no statement.
        problem: renders a domain error. Called for 409, 412 and 422 when there is a key.
        actor: whom the trail is told of together with the claim of the key, so that a service
            whose ``audited()`` says the same sends no statement for it.
        reason: what the trail is told as well; the one that the service gives.

    Returns:
        What ``execute`` returned, the problem it ended in, or what is kept under the key
        (``replayed``). Two statements more than ``execute`` when there is a key.

    Raises:
        IdempotencyInProgress: the first request with this key is not finished.
        IdempotencyKeyReused: the key belongs to another request.
        DomainError: any other, and every one when there is no key. Nothing was changed.
    """
    if not key:
        try:
            with transaction.atomic(durable=True):
                return execute()
        finally:
            alerts.send_pending()
    if len(key) > LONGEST_KEY or not key.isprintable():
        raise Invalid(f"An Idempotency-Key has 1 to {LONGEST_KEY} printable characters.")
    slot = _Slot(user_id, route, key, request_hash)
    try:
        with transaction.atomic(durable=True):
            payload = context_of(actor, reason=reason) if actor else ""
            kept = slot.claim(payload)
            if kept is not None:
                return kept
            with told(payload) if payload else nullcontext():
                answer = execute()
            if _is_kept(answer.status):
                slot.keep(answer)
            return answer
    except (IdempotencyInProgress, IdempotencyKeyReused):
        raise
    except DomainError as error:
        return slot.keep_problem(error, problem)
    except DatabaseError as error:
        if constraint_name(error) == ONE_ANSWER_PER_KEY:
            kept = slot.read()
            if kept is not None:
                return kept
        domain_error = translate(error)
        if domain_error is None:
            raise
        return slot.keep_problem(domain_error, problem)
    finally:
        alerts.send_pending()


def _is_kept(status: int) -> bool:
    return 200 <= status < 400 or status in KEPT_ERRORS


@dataclass(frozen=True, slots=True)
class _Slot:
    """The place where the answer to one key is kept."""

    user_id: UUID
    route: str
    key: str
    request_hash: str

    # The lock and the look at what is kept are one statement. Its snapshot may be older than
    # the lock: an answer that is committed in between is caught by the constraint in `keep`.
    CLAIM = """
        WITH lock AS MATERIALIZED (
            SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0)) AS taken
        )
        SELECT lock.taken, k.request_hash, k.status, k.body, k.headers,
               set_config(%s, %s, true)
        FROM lock
        LEFT JOIN audit_idempotencykey k ON k.user_id = %s AND k.route = %s AND k.key = %s
    """

    def claim(self, context: str = "") -> Answer | None:
        """Take the key for this transaction; return the answer that it has, if it has one.

        Args:
            context: what the trail is told of this transaction, in the same statement.
        """
        name = "\x1f".join(("idempotency", str(self.user_id), self.route, self.key))
        with prepared_cursor() as cursor:
            parameters: list[UUID | str] = [
                name,
                SETTING,
                context,
                self.user_id,
                self.route,
                self.key,
            ]
            cursor.execute(self.CLAIM, parameters)
            taken, kept_hash, status, body, headers, _ = cursor.fetchone()
        if kept_hash is not None:
            return self._replay(kept_hash, Answer(status, body, json.loads(headers)))
        if not taken:
            raise IdempotencyInProgress()
        return None

    def read(self) -> Answer | None:
        row = IdempotencyKey.objects.filter(
            user_id=self.user_id, route=self.route, key=self.key
        ).first()
        if row is None:
            return None
        return self._replay(row.request_hash, Answer(row.status, row.body, row.headers))

    def _replay(self, kept_hash: str, answer: Answer) -> Answer:
        if kept_hash != self.request_hash:
            raise IdempotencyKeyReused()
        return replace(answer, replayed=True)

    def _row(self, answer: Answer) -> IdempotencyKey:
        return IdempotencyKey(
            user_id=self.user_id,
            route=self.route,
            key=self.key,
            request_hash=self.request_hash,
            status=answer.status,
            body=answer.body,
            headers=dict(answer.headers),
        )

    def keep(self, answer: Answer) -> None:
        insert(self._row(answer))

    def keep_problem(self, error: DomainError, problem: Callable[[DomainError], Answer]) -> Answer:
        """Keep a refusal after its rollback; an answer that came first is the answer."""
        if error.status not in KEPT_ERRORS:
            raise error
        answer = problem(error)
        with transaction.atomic(durable=True):
            IdempotencyKey.objects.bulk_create([self._row(answer)], ignore_conflicts=True)
            kept = self.read()
        if kept is None or (kept.status, kept.body) == (answer.status, answer.body):
            return answer
        return kept


def purge(*, now: datetime, batch: int = 5_000, batches: int = 200) -> int:
    """Delete keys older than a day, in short transactions; return how many."""
    deleted = 0
    for _ in range(batches):
        old = IdempotencyKey.objects.filter(created_at__lt=now - KEPT_FOR).order_by("created_at")
        count, _by_model = IdempotencyKey.objects.filter(pk__in=old.values("pk")[:batch]).delete()
        deleted += count
        if count < batch:
            break
    return deleted
