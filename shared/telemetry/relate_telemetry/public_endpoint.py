"""Keeps a client's `traceparent` from becoming the parent of its request's span; after a login the span links to it.

OpenTelemetry calls such a service a public endpoint. Otherwise any client could add spans to a trace of ours, collect
all its requests in one endless trace, or decide on sampling.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from contextvars import ContextVar
from typing import Any

from opentelemetry.propagate import get_global_textmap

_TRACEPARENT = b"traceparent"
# W3C Trace Context and Baggage. The configured propagators may read further fields, such as B3's.
_CONTEXT_FIELDS = frozenset({_TRACEPARENT, b"tracestate", b"baggage"})

_traceparent: ContextVar[str | None] = ContextVar("request_traceparent", default=None)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


def request_traceparent() -> str | None:
    """The `traceparent` of the current request, if any."""
    return _traceparent.get()


class PublicEndpoint:
    """An ASGI middleware, outside of any instrumentation, that removes trace context and baggage from requests."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self._app = app
        self._fields = _CONTEXT_FIELDS | {field.lower().encode() for field in get_global_textmap().fields}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on one request without these header fields."""
        headers = [header for header in scope.get("headers", ()) if header[0] not in self._fields]
        token = _traceparent.set(_find_traceparent(scope))
        try:
            await self._app({**scope, "headers": headers}, receive, send)
        finally:
            _traceparent.reset(token)


def _find_traceparent(scope: Scope) -> str | None:
    values = [value for name, value in scope.get("headers", ()) if name == _TRACEPARENT]
    return values[0].decode("latin-1") if len(values) == 1 else None
