"""Every error as problem+json (RFC 9457), translated in one place.

Nothing internal is told; nothing that was sent is repeated, as it may be a secret.
"""

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any

import h11
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException
from starlette.routing import Match

from relate_accounts.errors import AccountsUnavailable, KeyNotFound, UserNotFound
from relate_mailstore.errors import MailboxNotFound, MessageNotFound, StoreUnavailable, TooManyKeywords

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"

# Seconds until it is worth asking again: a database restarts in about that time, and a client that was refused for
# its wrong logins has one more by then.
RETRY_AFTER = 10

_STATUS: Mapping[type[Exception], HTTPStatus] = {
    MessageNotFound: HTTPStatus.NOT_FOUND,
    MailboxNotFound: HTTPStatus.NOT_FOUND,
    UserNotFound: HTTPStatus.NOT_FOUND,
    KeyNotFound: HTTPStatus.NOT_FOUND,
    TooManyKeywords: HTTPStatus.CONFLICT,
    StoreUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    AccountsUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    Exception: HTTPStatus.INTERNAL_SERVER_ERROR,
}

# The header that an answer of this status carries (RFC 6750 §3, RFC 9110 §15.6.4, RFC 6585 §4).
_HEADERS: Mapping[HTTPStatus, Mapping[str, str]] = {
    HTTPStatus.UNAUTHORIZED: {"WWW-Authenticate": 'Bearer realm="Relate Mail"'},
    HTTPStatus.TOO_MANY_REQUESTS: {"Retry-After": str(RETRY_AFTER)},
    HTTPStatus.SERVICE_UNAVAILABLE: {"Retry-After": str(RETRY_AFTER)},
}

# On every response: it may have been authenticated, and a browser must not take mail for a page.
FIELDS: Mapping[str, str] = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}

# Of all that is wrong with one request, so that the answer to a request of nothing but mistakes is no longer than this.
MAX_EXPLAINED = 20

Handler = Callable[[Request, Exception], Awaitable[JSONResponse]]


class Invalid(BaseModel):
    """One thing that is wrong with a request: where it is, and what was expected there."""

    loc: list[str | int]
    msg: str


class Problem(BaseModel):
    """An error, in the words of RFC 9457."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str | None = None
    errors: list[Invalid] | None = None


_REFERENCE = "#/components/schemas/{model}"
_CONTENT = {MEDIA_TYPE: {"schema": {"$ref": _REFERENCE.format(model="Problem")}}}

RESPONSES: dict[int | str, dict[str, Any]] = {
    "4XX": {"description": "The request was refused.", "content": _CONTENT},
    "5XX": {"description": "Trouble of ours.", "content": _CONTENT},
}
"""What every operation may answer, for the OpenAPI document."""

SCHEMAS: Mapping[str, Any] = models_json_schema([(Problem, "serialization")], ref_template=_REFERENCE)[1]["$defs"]
"""The schemas that they refer to."""


def install(app: FastAPI) -> None:
    """Make every error of this app a problem."""
    for kind, status in _STATUS.items():
        app.add_exception_handler(kind, _answer(status))
    app.exception_handler(HTTPException)(_refuse)
    app.exception_handler(RequestValidationError)(_refuse_invalid)


def problem(status: HTTPStatus, detail: str | None = None, errors: list[Invalid] | None = None) -> JSONResponse:
    """A problem+json response."""
    body = Problem(title=status.phrase, status=status, detail=detail, errors=errors)
    return JSONResponse(body.model_dump(exclude_none=True), status, _HEADERS.get(status), MEDIA_TYPE)


def refusal(status: HTTPStatus) -> tuple[h11.Response, bytes]:
    """The head and the body of a problem+json response that closes the connection: to what is no request."""
    body, fields = bytes(problem(status).body), {**_HEADERS.get(status, {}), **FIELDS}
    head = {"Content-Type": MEDIA_TYPE, "Content-Length": str(len(body)), "Connection": "close", **fields}
    return h11.Response(status_code=status, headers=list(head.items()), reason=status.phrase), body


def _busy() -> bytes:
    response, body = refusal(HTTPStatus.SERVICE_UNAVAILABLE)
    return (h11.Connection(h11.SERVER).send(response) or b"") + body


BUSY = _busy()
"""The response to a connection beyond the limits, as octets."""


def _answer(status: HTTPStatus) -> Handler:
    async def answer(_: Request, error: Exception) -> JSONResponse:
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            log.error("request failed", status=int(status), exc_info=error)
        return problem(status)

    return answer


async def _refuse(request: Request, error: HTTPException) -> JSONResponse:
    """What an endpoint or the router refuses."""
    status = HTTPStatus(error.status_code)
    response = problem(status, error.detail if error.detail != status.phrase else None)
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        response.headers["Allow"] = ", ".join(sorted(_allowed_methods(request)))
    return response


async def _refuse_invalid(_: Request, error: RequestValidationError) -> JSONResponse:
    if isinstance(error.body, bytes):  # nobody has parsed it: its type was another one
        return problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send the body as Content-Type: application/json")
    errors = [_explain(item) for item in error.errors()[:MAX_EXPLAINED]]
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, "the request is not valid", errors)


def _explain(item: Mapping[str, Any]) -> Invalid:
    # The place of an unknown name is that name: it is the client's, and may be anything.
    place = item["loc"][:-1] if item["type"] == "extra_forbidden" else item["loc"]
    return Invalid(loc=list(place), msg=item["msg"])


def _allowed_methods(request: Request) -> set[str]:
    """All methods of a path (RFC 9110 §10.2.1): the router's own answer knows those of one route only."""
    routes = iter_route_contexts(request.app.routes)
    here = [route.methods or () for route in routes if route.matches(request.scope)[0] is Match.PARTIAL]
    methods = {method for each in here for method in each}
    return methods | {"HEAD"} if "GET" in methods else methods
