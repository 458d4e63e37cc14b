"""ASGI middlewares: client address behind proxies, HEAD, limit of the request body, common response fields."""

from http import HTTPStatus

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from relate_api.http.errors import RESPONSE_FIELDS
from relate_api.http.forwarded import resolve_client
from relate_wire.limits import Network
from relate_wire.ports import Peer

# The largest request is a PATCH with labels; messages arrive by SMTP only.
MAX_BODY_OCTETS = 64 * 1024

IS_HEAD = "is_head"
"""In the state of a request that was HEAD."""


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


class ResponseFieldsMiddleware:
    """Adds `RESPONSE_FIELDS` to every response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""

        async def send_with_fields(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(RESPONSE_FIELDS)
            await send(message)

        await self._app(scope, receive, send_with_fields)


class HeadMiddleware:
    """Handles HEAD as GET (RFC 9110 §9.3.2); uvicorn omits the content.

    The state has IS_HEAD, for responses without an end.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope.get("method") == "HEAD":
            scope = {**scope, "method": "GET", "state": {**scope.get("state", {}), IS_HEAD: True}}
        await self._app(scope, receive, send)


class BodyLimitMiddleware:
    """Raises HTTPException with 413 when the app reads more than MAX_BODY_OCTETS of a body.

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
            if received > MAX_BODY_OCTETS:
                raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return message

        await self._app(scope, receive_counted, send)
