"""Completes the credential of a request by its namespace, so that every route serves the mailbox in the namespace."""

from http import HTTPStatus

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Receive, Scope, Send

from relate_accounts.keys import is_well_formed
from relate_api.developers.namespaces import FIELD, RULE, parse_namespace, within
from relate_api.http.errors import problem

_SCHEME = "bearer"


class NamespaceMiddleware:
    """Moves the login of a request with `X-Relate-Namespace` into that namespace. Keys of the store remain."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        field = Headers(scope=scope).get(FIELD) if scope["type"] == "http" else None
        if field is None:
            await self._app(scope, receive, send)
            return
        namespace = parse_namespace(field)
        if namespace is None:
            await problem(HTTPStatus.BAD_REQUEST, f"{FIELD} has {RULE}")(scope, receive, send)
            return
        await self._app(_moved(scope, namespace), receive, send)


def _moved(scope: Scope, namespace: str) -> Scope:
    moved = {**scope, "headers": list(scope["headers"])}
    headers = MutableHeaders(scope=moved)
    scheme, _, login = headers.get("authorization", "").partition(" ")
    if scheme.lower() == _SCHEME and not is_well_formed(login.strip()):
        headers["authorization"] = f"{scheme} {within(login.strip(), namespace)}"
    return moved
