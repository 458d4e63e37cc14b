"""A client's `traceparent` becomes no parent of its request's span; after a login the span has a link to it.

OpenTelemetry calls such a service a public endpoint. Otherwise a stranger could add spans to a trace of ours, collect
all its requests in one endless trace, or decide on sampling.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from contextvars import ContextVar
from typing import Any

from opentelemetry.propagate import get_global_textmap

_TRACEPARENT = b"traceparent"
# W3C Trace Context and Baggage. The configured propagators may read others: those of B3, Jaeger …
_CONTEXT_FIELDS = frozenset({_TRACEPARENT, b"tracestate", b"baggage"})

_claimed: ContextVar[str | None] = ContextVar("claimed_traceparent", default=None)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


def claimed_traceparent() -> str | None:
    """The `traceparent` that came with the request under way, if any."""
    return _claimed.get()


class PublicEndpoint:
    """An ASGI middleware that takes trace context and baggage out of requests, outside of any instrumentation."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self._app = app
        self._fields = _CONTEXT_FIELDS | {field.lower().encode() for field in get_global_textmap().fields}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        headers = [header for header in scope.get("headers", ()) if header[0] not in self._fields]
        token = _claimed.set(_single_traceparent(scope))
        try:
            await self._app({**scope, "headers": headers}, receive, send)
        finally:
            _claimed.reset(token)


def _single_traceparent(scope: Scope) -> str | None:
    values = [value for name, value in scope.get("headers", ()) if name == _TRACEPARENT]
    return values[0].decode("latin-1") if len(values) == 1 else None
