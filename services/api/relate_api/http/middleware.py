"""ASGI middlewares: client address behind proxies, HEAD, limit of the request body, common response fields."""

from contextlib import suppress
from http import HTTPStatus

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from relate_api.http.errors import RESPONSE_FIELDS
from relate_api.http.forwarded import resolve_client
from relate_wire.limits import Network
from relate_wire.ports import Peer

# Enough for lists of ids and labels. Endpoints that take messages raise it for their request, once the caller is known.
MAX_BODY_OCTETS = 64 * 1024
BODY_LIMIT = "max_body_octets"
"""The name in the request's state of a limit that an endpoint has raised."""


class ProxyHeadersMiddleware:
    """Replaces a trusted proxy by the client that it reports, in `client`, `scheme` and `state` of the scope."""

    def __init__(self, app: ASGIApp, proxies: tuple[Network, ...]) -> None:
        self._app = app
        self._proxies = proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        address, port = scope.get("client") or ("", 0)
        client = resolve_client(Peer(address, port, scope["scheme"] == "https"), scope["headers"], self._proxies)
        overrides = {
            "client": (client.address, client.port),
            "scheme": "https" if client.secure else "http",
            "state": {**scope.get("state", {}), "client": client},
        }
        await self._app({**scope, **overrides}, receive, send)


EXTRA_FIELDS = "response_fields"
"""The name in the request's state of further fields of the response, whatever its status."""


class ResponseFieldsMiddleware:
    """Adds `RESPONSE_FIELDS` to every response; an endpoint may have set one of them otherwise. And `EXTRA_FIELDS`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""

        async def send_with_fields(message: Message) -> None:
            if message["type"] == "http.response.start":
                fields = MutableHeaders(scope=message)
                for name, value in RESPONSE_FIELDS.items():
                    fields.setdefault(name, value)
                fields.update(scope.get("state", {}).get(EXTRA_FIELDS, {}))
            await send(message)

        await self._app(scope, receive, send_with_fields)


class _HeadSentError(Exception):
    """The head of the response to HEAD was sent: its content is not needed."""


class HeadMiddleware:
    """Handles HEAD as GET (RFC 9110 §9.3.2), without a Range, which GET alone has (§14.2), and without the content.

    The app is stopped after the head of its response, because a download would be read to its end.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope.get("method") != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            await send(message)
            if message["type"] == "http.response.start":
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                raise _HeadSentError

        headers = [(name, value) for name, value in scope["headers"] if name != b"range"]
        with suppress(_HeadSentError):
            await self._app({**scope, "method": "GET", "headers": headers}, receive, send_head)


class BodyLimitMiddleware:
    """Raises HTTPException with 413 when the app reads more than MAX_BODY_OCTETS of a body, or than `BODY_LIMIT`.

    Starlette's own limit responds in plain text, and FastAPI would turn any other exception into 400.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        received = 0

        async def receive_counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > scope.get("state", {}).get(BODY_LIMIT, MAX_BODY_OCTETS):
                raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return message

        await self._app(scope, receive_counted, send)
