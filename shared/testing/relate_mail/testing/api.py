"""Requests to the API."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import ProxyHandler, Request, build_opener

REQUEST_SECONDS = 30.0  # beside the time that the server waits for a message
DIRECT_OPENER = build_opener(ProxyHandler({}))  # uses no proxy of the environment, because the server is local


class ApiError(Exception):
    """The API refused a request: the status, and the problem's detail."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(f"{status}: {detail}")
        self.status = status
        self.detail = detail


class NoMessage(AssertionError):
    """No such message arrived in time."""


class Api:
    """The API as one login sees it."""

    def __init__(self, url: str, login: str) -> None:
        self._url = url
        self._login = login

    def request(
        self, method: str, path: str, *, query: Mapping[str, object] | None = None, body: object = None, wait: float = 0
    ) -> bytes:
        """Send a request whose answer may take `wait` seconds; returns the content. Raises ApiError, OSError."""
        parameters = f"?{urlencode(query)}" if query else ""
        content = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self._login}", "Content-Type": "application/json"}
        request = Request(self._url + path + parameters, content, headers, method=method)  # noqa: S310 - http only
        try:
            with DIRECT_OPENER.open(request, timeout=wait + REQUEST_SECONDS) as response:
                answer: bytes = response.read()
        except HTTPError as error:
            with error:
                raise ApiError(error.code, _detail(error.read())) from None
        return answer

    def call(self, method: str, path: str, **options: Any) -> Any:
        """The JSON of an answer; None for an empty one. Raises ApiError, OSError."""
        content = self.request(method, path, **options)
        return json.loads(content) if content else None

    def wait(self, query: Mapping[str, object], seconds: float) -> Any:
        """Wait for a message. Raises NoMessage, ApiError, OSError."""
        try:
            return self.call("GET", "/api/wait", query={**query, "timeout": seconds}, wait=seconds)
        except ApiError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                raise NoMessage(error.detail) from None
            raise


def _detail(content: bytes) -> str:
    try:
        problem = json.loads(content)
    except ValueError:
        return content.decode("utf-8", "replace")
    errors = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in problem.get("errors", ()))
    return errors or str(problem.get("detail", problem.get("title", "")))
