"""What is the same for every resource: who the client is, HEAD, the size of a request, fields of every response."""

from http import HTTPStatus

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from relate_api.errors import FIELDS
from relate_api.forwarded import client_of
from relate_wire.limits import Network
from relate_wire.ports import Peer

# The largest request is a PATCH with labels; mail itself comes in by SMTP.
MAX_BODY = 64 * 1024


class SeenThroughProxies:
    """Replaces a trusted proxy by the client that it names: in `client`, `scheme` and `state`."""

    def __init__(self, app: ASGIApp, proxies: tuple[Network, ...]) -> None:
        self._app = app
        self._proxies = proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        address, port = scope.get("client") or ("", 0)
        client = client_of(Peer(address, port, scope["scheme"] == "https"), scope["headers"], self._proxies)
        seen = {
            "client": (client.address, client.port),
            "scheme": "https" if client.secure else "http",
            "state": {**scope.get("state", {}), "client": client},
        }
        await self._app({**scope, **seen}, receive, send)


class ResponseFields:
    """Adds the fields that every response has."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""

        async def complete(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(FIELDS)
            await send(message)

        await self._app(scope, receive, complete)


class HeadAsGet:
    """HEAD is GET without the content (RFC 9110 §9.3.2), which the server leaves out."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        await self._app({**scope, "method": "GET"} if scope.get("method") == "HEAD" else scope, receive, send)


class BodyLimit:
    """To read a body of more than MAX_BODY octets, announced or not, raises HTTPException with 413.

    Starlette's own limit answers in plain text, and any other exception would become 400 in FastAPI.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > MAX_BODY:
                raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return message

        await self._app(scope, counted, send)
