"""Refuses requests whose Host is a name that a stranger may have in the DNS (DNS rebinding).

Every login is valid, and a browser lets a page send any request to the page's own host. If the owner of that name
points it at the address of this server, the page reads mail here. The Host field then still has the stranger's name.
"""

from http import HTTPStatus
from ipaddress import ip_address

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from relate_api.http.errors import problem

# Names that the public DNS does not have: RFC 6761 §6.3; reserved by ICANN for private use, as host.docker.internal.
PRIVATE_DOMAINS = (".localhost", ".internal")
DETAIL = "the Host is not an address, localhost, a name without a dot, or Smtp__ServerName"


class HostMiddleware:
    """Answers 421 (RFC 9110 §15.5.20) if the Host is not `server_name` or one that `is_own_host`."""

    def __init__(self, app: ASGIApp, server_name: str) -> None:
        self._app = app
        self._server_name = server_name.lower()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http":
            host = _host(Headers(scope=scope).get("host", ""))
            if host != self._server_name and not is_own_host(host):
                await problem(HTTPStatus.MISDIRECTED_REQUEST, DETAIL)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def is_own_host(host: str) -> bool:
    """Whether no stranger can have this name: an address, a private name, or one without a dot, as services of Compose.

    It has no port, brackets or capitals. A missing one is empty, which no browser sends.
    """
    if "." not in host or host.endswith(PRIVATE_DOMAINS):
        return True
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _host(field: str) -> str:
    """The host of a well-formed Host field (RFC 9110 §7.2), without port, brackets and the dot of the root."""
    host = field[1:].partition("]")[0] if field.startswith("[") else field.partition(":")[0]
    return host.lower().removesuffix(".")
