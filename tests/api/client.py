"""A client of the API whose every answer is compared with the OpenAPI document."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection, transaction
from django.http import HttpResponseBase
from django.test import Client as DjangoClient
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from bookings.models import User
from config.schema import document

BACKEND = "bookings.permissions.MembershipBackend"


def session_token(user: User) -> str:
    """What a login answers, without the cost of one."""
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = BACKEND
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.create()
    assert session.session_key
    return session.session_key


class Answer:
    """An answer, with its JSON if it is JSON."""

    def __init__(self, response: HttpResponseBase) -> None:
        self.response = response
        self.status = response.status_code
        self.headers = response.headers
        body = b"".join(response) if response.streaming else response.content  # type: ignore[attr-defined]
        self.body: bytes = body
        self.data: Any = (
            json.loads(body) if "json" in self.headers.get("Content-Type", "") else None
        )

    @property
    def code(self) -> str:
        """The code of a problem."""
        assert self.headers["Content-Type"] == "application/problem+json", self
        assert self.data["status"] == self.status
        assert self.data["type"] == f"/api/docs/problems/#{self.data['code']}"
        return str(self.data["code"])

    def problem(self) -> tuple[int, str]:
        return self.status, self.code

    def __repr__(self) -> str:
        return f"<{self.status} {self.body[:1500]!r}>"


class Client:
    """Sends requests as one person, in one organisation."""

    def __init__(self, user: User | None = None, org: str = "") -> None:
        self.user = user
        self.org = org
        self.token = session_token(user) if user else ""
        self._http = DjangoClient(raise_request_exception=False)

    def url(self, path: str) -> str:
        return path if path.startswith("/") else f"/api/v1/organizations/{self.org}/{path}"

    def send(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        raw: bytes | str | None = None,
        content_type: str = "application/json",
        query: dict[str, Any] | None = None,
        key: str = "",
        headers: dict[str, str] | None = None,
        check: bool = True,
        **extra: Any,
    ) -> Answer:
        known = dict(headers or {})
        if self.token:
            known.setdefault("X-Session-Token", self.token)
        if key:
            known["Idempotency-Key"] = key
        content: Any = raw if raw is not None else ("" if body is None else json.dumps(body))
        with _like_its_own_transaction():
            response = self._http.generic(
                method,
                self.url(path),
                content,
                content_type=content_type,
                query_params=query,
                headers=known,
                **extra,
            )
        answer = Answer(response)
        if check:
            check_answer(method, self.url(path), answer)
        return answer

    def get(self, path: str, **kwargs: Any) -> Answer:
        return self.send("GET", path, **kwargs)

    def post(self, path: str, body: Any = None, **kwargs: Any) -> Answer:
        return self.send("POST", path, body={} if body is None else body, **kwargs)

    def patch(self, path: str, body: Any, **kwargs: Any) -> Answer:
        return self.send("PATCH", path, body=body, **kwargs)

    def delete(self, path: str, **kwargs: Any) -> Answer:
        return self.send("DELETE", path, **kwargs)

    def upload(
        self,
        path: str,
        content: bytes | None,
        name: str = "transfer.png",
        *,
        key: str = "",
        headers: dict[str, str] | None = None,
        **fields: str,
    ) -> Answer:
        form: dict[str, Any] = dict(fields)
        if content is not None:
            form["file"] = SimpleUploadedFile(name, content)
        known = {"X-Session-Token": self.token, **(headers or {})}
        if key:
            known["Idempotency-Key"] = key
        with _like_its_own_transaction():
            response = self._http.post(self.url(path), form, headers=known)
        answer = Answer(response)
        check_answer("POST", self.url(path), answer)
        return answer


@contextmanager
def _like_its_own_transaction() -> Iterator[None]:
    """A request that fails undoes its own changes, also inside the transaction of a test."""
    if not connection.in_atomic_block:
        yield
        return
    block = transaction.atomic()
    block._from_testcase = True  # type: ignore[attr-defined] # as a "durable" one follows
    with block:
        yield


def new_key() -> str:
    return str(uuid.uuid4())


# -- what the OpenAPI document says about an answer ---------------------------------------------


@cache
def _paths() -> list[tuple[re.Pattern[str], str]]:
    # ``series/preview/`` before ``series/{id}/``, as in the URLs.
    paths = sorted(document()["paths"], key=lambda path: path.count("{"))
    return [(re.compile(re.sub(r"\{\w+\}", "[^/]+", path)), path) for path in paths]


def operation_of(method: str, path: str) -> dict[str, Any] | None:
    """The operation of the document that a request is; None if it has none."""
    for pattern, template in _paths():
        if pattern.fullmatch(path.partition("?")[0]):
            found: dict[str, Any] | None = document()["paths"][template].get(method.lower())
            return found
    return None


def check_answer(method: str, path: str, answer: Answer) -> None:
    """Fail if the document does not foresee this answer: status, type, shape, code."""
    if not path.startswith("/api/v1/"):
        return  # allauth has a document of its own, and pages have none
    operation = operation_of(method, path)
    if operation is None:
        assert answer.status in (404, 405), (method, path, answer)
        return
    foreseen = operation["responses"].get(str(answer.status))
    assert foreseen is not None, f"{method} {path} is not said to answer {answer!r}"
    if answer.status == 204:
        assert answer.body == b""
        return
    kind = answer.headers["Content-Type"].split(";")[0]
    contents = foreseen.get("content", {})
    if "application/octet-stream" in contents and not kind.endswith("json"):
        return
    assert kind in contents, f"{method} {path} answered {kind}"
    if answer.status >= 400:
        assert f"`{answer.data['code']}`" in foreseen["description"], answer
    for name in foreseen.get("headers", {}):
        assert name in answer.headers, (method, path, name)
    if answer.data is not None:
        schema = contents[kind]["schema"]
        _validator(json.dumps(schema)).validate(answer.data)
        if answer.status < 400:
            _no_more_than(schema, answer.data)


@cache
def _validator(schema: str) -> Draft202012Validator:
    return Draft202012Validator(
        _absolute(json.loads(schema)),
        registry=Registry().with_resource("urn:api", _resource()),
        format_checker=Draft202012Validator.FORMAT_CHECKER,
    )


@cache
def _resource() -> Resource:
    return Resource.from_contents(document(), default_specification=DRAFT202012)


def _absolute(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {
            k: "urn:api" + v if k == "$ref" and isinstance(v, str) else _absolute(v)
            for k, v in schema.items()
        }
    if isinstance(schema, list):
        return [_absolute(s) for s in schema]
    return schema


def _no_more_than(schema: dict[str, Any], data: Any) -> None:
    """An answer has no member that the document does not know."""
    if "$ref" in schema:
        schema = document()["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    if isinstance(data, list):
        for one in data:
            _no_more_than(schema.get("items", {}), one)
    elif isinstance(data, dict) and "properties" in schema:
        assert set(data) <= set(schema["properties"]), set(data) - set(schema["properties"])
        for name, value in data.items():
            _no_more_than(schema["properties"][name], value)
