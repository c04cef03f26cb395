"""A person who uses the demo over HTTP."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

import httpx


class TourFailed(Exception):
    """The main job went wrong; the text says where."""


class Visitor:
    """Somebody who uses one organisation's API, signed in or not."""

    def __init__(self, url: str, organization: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=30)
        self._base = f"/api/v1/organizations/{organization}/"

    def sign_up(self, *, email: str, password: str) -> None:
        self._authenticate("signup", email=email, password=password)

    def sign_in(self, *, email: str, password: str) -> None:
        self._authenticate("login", email=email, password=password)

    def get(self, path: str, **parameters: str) -> Any:
        answer = self._client.get(self._base + path, params=parameters)
        return self._expected(answer, {200}).json()

    def download(self, path: str) -> httpx.Response:
        return self._expected(self._client.get(self._base + path), {200})

    def post(self, path: str, body: Mapping[str, Any], *, expect: int = 200) -> dict[str, Any]:
        return self._post(self._base + path, expect=expect, json=body)

    def change(self, path: str, step: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Read what is at `path`, and take a step with it, unless somebody changed it since."""
        seen = self._expected(self._client.get(self._base + path), {200}).headers["ETag"]
        return self._post(self._base + path + step, expect=200, if_match=seen, json=body)

    def upload(
        self, path: str, fields: Mapping[str, str], file: tuple[str, bytes, str]
    ) -> dict[str, Any]:
        return self._post(self._base + path, expect=201, data=fields, files={"file": file})

    def close(self) -> None:
        self._client.close()

    def _authenticate(self, how: str, **credentials: str) -> None:
        answer = self._post(f"/_allauth/app/v1/auth/{how}", expect=200, json=credentials)
        self._client.headers["X-Session-Token"] = answer["meta"]["session_token"]

    def _post(
        self, path: str, *, expect: int, if_match: str = "", **content: Any
    ) -> dict[str, Any]:
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        if if_match:
            headers["If-Match"] = if_match
        answer = self._client.post(path, headers=headers, **content)
        data: dict[str, Any] = self._expected(answer, {expect}).json()
        return data

    @staticmethod
    def _expected(answer: httpx.Response, statuses: set[int]) -> httpx.Response:
        if answer.status_code not in statuses:
            asked = f"{answer.request.method} {answer.request.url.path}"
            raise TourFailed(f"{asked} answered {answer.status_code}: {answer.text[:1000]}")
        return answer
