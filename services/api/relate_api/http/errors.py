"""Maps every error to problem+json (RFC 9457), in this module alone.

A problem contains no internal detail, and no value that the client sent, because that may be a secret. It names unknown
properties and parameters, so that a misspelt one is found.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import quote

import h11
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import iter_route_contexts
from markupsafe import Markup
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException
from starlette.routing import Match

from relate_accounts.errors import (
    AccountsUnavailable,
    AddressNotFound,
    InvalidAddress,
    KeyNotFound,
    UserExists,
    UserNotFound,
)
from relate_mailstore.errors import (
    FilterNotFound,
    InvalidMailboxName,
    LabelExists,
    LabelNotFound,
    MailboxExists,
    MailboxFull,
    MailboxNotFound,
    MessageChanged,
    MessageNotFound,
    OverQuota,
    StoreUnavailable,
    TooManyFilters,
    TooManyKeywords,
    TooManyLabels,
    TooManyMailboxes,
    WebhookNotFound,
)

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"

# A database restarts in about this time, and the limit on wrong logins admits another attempt by then.
RETRY_AFTER_SECONDS = 10

_STATUS: Mapping[type[Exception], HTTPStatus] = {
    MessageNotFound: HTTPStatus.NOT_FOUND,
    MailboxNotFound: HTTPStatus.NOT_FOUND,
    MessageChanged: HTTPStatus.PRECONDITION_FAILED,
    UserNotFound: HTTPStatus.NOT_FOUND,
    AddressNotFound: HTTPStatus.NOT_FOUND,
    KeyNotFound: HTTPStatus.NOT_FOUND,
    UserExists: HTTPStatus.CONFLICT,
    InvalidAddress: HTTPStatus.UNPROCESSABLE_ENTITY,
    WebhookNotFound: HTTPStatus.NOT_FOUND,
    TooManyKeywords: HTTPStatus.CONFLICT,
    MailboxExists: HTTPStatus.CONFLICT,
    InvalidMailboxName: HTTPStatus.UNPROCESSABLE_ENTITY,
    TooManyMailboxes: HTTPStatus.CONFLICT,
    MailboxFull: HTTPStatus.CONFLICT,
    OverQuota: HTTPStatus.INSUFFICIENT_STORAGE,
    LabelNotFound: HTTPStatus.NOT_FOUND,
    FilterNotFound: HTTPStatus.NOT_FOUND,
    LabelExists: HTTPStatus.CONFLICT,
    TooManyLabels: HTTPStatus.CONFLICT,
    TooManyFilters: HTTPStatus.CONFLICT,
    StoreUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    AccountsUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    Exception: HTTPStatus.INTERNAL_SERVER_ERROR,
}

_CHALLENGE = 'Bearer realm="Relate Mail"'

# Header fields that a status requires (RFC 6750 §3, RFC 9110 §15.6.4, RFC 6585 §4).
_HEADERS: Mapping[HTTPStatus, Mapping[str, str]] = {
    HTTPStatus.UNAUTHORIZED: {"WWW-Authenticate": _CHALLENGE},
    HTTPStatus.TOO_MANY_REQUESTS: {"Retry-After": str(RETRY_AFTER_SECONDS)},
    HTTPStatus.SERVICE_UNAVAILABLE: {"Retry-After": str(RETRY_AFTER_SECONDS)},
}

# In every response: responses may be private, and browsers must not interpret mail as HTML.
RESPONSE_FIELDS: Mapping[str, str] = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}

# Bounds the response to a request that has thousands of errors.
MAX_REPORTED_ERRORS = 20
# Of a name in the location of an error; longer than any that the API has.
MAX_NAME_CHARACTERS = 64

Handler = Callable[[Request, Exception], Awaitable[JSONResponse]]

# A form that is refused leaves the browser at its address, of which a reload or a bookmark asks by GET.
_FORM_ONLY = Markup('Nothing can be shown at this address, because it only receives a form. <a href="{}">Back</a>')


class PageMaker(Protocol):
    """Makes the page that tells a browser of an error, in the sentence `detail` if there is one."""

    def __call__(
        self, request: Request, status: HTTPStatus, detail: str = "", fields: dict[str, str] | None = None
    ) -> Response:
        """`fields` are added to the header."""


class RefusedRecipient(BaseModel):
    """A recipient that is refused, and why. The caller knows the address: it is one of the message."""

    address: str
    reason: str


class RecipientsRefused(Exception):
    """Some of the recipients of a message are refused, so that it is sent to none."""

    def __init__(self, recipients: list[RefusedRecipient]) -> None:
        super().__init__(f"{len(recipients)} recipients")
        self.recipients = recipients


class InvalidInput(BaseModel):
    """An error of the request: its location and what was expected."""

    loc: list[str | int]
    msg: str


class Problem(BaseModel):
    """A problem (RFC 9457)."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str | None = None
    errors: list[InvalidInput] | None = None
    recipients: list[RefusedRecipient] | None = None


_SCHEMA_REFERENCE = "#/components/schemas/{model}"
_PROBLEM_CONTENT = {MEDIA_TYPE: {"schema": {"$ref": _SCHEMA_REFERENCE.format(model="Problem")}}}

RESPONSES: dict[int | str, dict[str, Any]] = {
    "4XX": {"description": "The request was refused.", "content": _PROBLEM_CONTENT},
    "5XX": {"description": "The server failed to process a valid request.", "content": _PROBLEM_CONTENT},
}
"""The error responses of every operation in the OpenAPI document."""

SCHEMAS: Mapping[str, Any] = models_json_schema([(Problem, "serialization")], ref_template=_SCHEMA_REFERENCE)[1][
    "$defs"
]
"""The schemas that `RESPONSES` refers to."""


def invalid_token() -> dict[str, str]:
    """The header field of a response to a key or a token that is not valid (RFC 6750 §3.1)."""
    return {"WWW-Authenticate": f'{_CHALLENGE}, error="invalid_token"'}


def insufficient_scope(scopes: Iterable[str]) -> dict[str, str]:
    """The header field of a response to a key that has none of these scopes (RFC 6750 §3.1)."""
    return {"WWW-Authenticate": f'{_CHALLENGE}, error="insufficient_scope", scope="{" ".join(sorted(scopes))}"'}


def response_status(error: Exception) -> HTTPStatus:
    """The status of the response to an error."""
    if isinstance(error, HTTPException):
        return HTTPStatus(error.status_code)
    if isinstance(error, RequestValidationError | RecipientsRefused):
        return HTTPStatus.UNPROCESSABLE_ENTITY
    return next(_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS)


def install(app: FastAPI, error_page: PageMaker) -> None:
    """Register the error handlers. `error_page` tells browsers of the errors that are outside of the API."""
    for kind, status in _STATUS.items():
        app.add_exception_handler(kind, _status_handler(status))
    app.exception_handler(HTTPException)(_http_exception_handler(error_page))
    app.exception_handler(RequestValidationError)(_handle_validation_error)
    app.exception_handler(RecipientsRefused)(_handle_recipients_refused)


def problem(
    status: HTTPStatus,
    detail: str | None = None,
    errors: list[InvalidInput] | None = None,
    recipients: list[RefusedRecipient] | None = None,
) -> JSONResponse:
    """Create a problem+json response."""
    body = Problem(title=status.phrase, status=status, detail=detail, errors=errors, recipients=recipients)
    return JSONResponse(body.model_dump(exclude_none=True), status, _HEADERS.get(status), MEDIA_TYPE)


def closing_problem(status: HTTPStatus) -> tuple[h11.Response, bytes]:
    """Head and body of a problem+json response that closes the connection, for requests that do not reach the app."""
    body, fields = bytes(problem(status).body), {**_HEADERS.get(status, {}), **RESPONSE_FIELDS}
    head = {"Content-Type": MEDIA_TYPE, "Content-Length": str(len(body)), "Connection": "close", **fields}
    return h11.Response(status_code=status, headers=list(head.items()), reason=status.phrase), body


def _unavailable_response() -> bytes:
    response, body = closing_problem(HTTPStatus.SERVICE_UNAVAILABLE)
    return (h11.Connection(h11.SERVER).send(response) or b"") + body


UNAVAILABLE_RESPONSE = _unavailable_response()
"""The octets of the 503 response to a connection beyond the limits."""


# Their messages are sentences for the client, and contain nothing that it sent.
_EXPLAINED = (AddressNotFound, UserExists, InvalidAddress, InvalidMailboxName)


def status_of(error: Exception) -> HTTPStatus | None:
    """The status of an error of the domain; None for all others."""
    return next((status for kind, status in _STATUS.items() if kind is not Exception and isinstance(error, kind)), None)


def _status_handler(status: HTTPStatus) -> Handler:
    async def handle(_: Request, error: Exception) -> JSONResponse:
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR and status is not HTTPStatus.INSUFFICIENT_STORAGE:
            log.error("request failed", status=int(status), exc_info=error)
        return problem(status, str(error) if isinstance(error, _EXPLAINED) else None)

    return handle


def _http_exception_handler(error_page: PageMaker) -> Callable[[Request, HTTPException], Awaitable[Response]]:
    async def handle(request: Request, error: HTTPException) -> Response:
        """Handle an HTTPException of an endpoint or of the router."""
        status = HTTPStatus(error.status_code)
        is_wrong_method = status is HTTPStatus.METHOD_NOT_ALLOWED
        fields = dict(error.headers or {})
        if is_wrong_method:
            fields["Allow"] = ", ".join(sorted(_allowed_methods(request)))
        if _is_visit(request):
            is_form_only = is_wrong_method and request.method == "GET"
            return error_page(request, status, _form_only(request) if is_form_only else error.detail, fields)
        response = problem(status, error.detail if error.detail != status.phrase else None)
        response.headers.update(fields)
        return response

    return handle


def _is_visit(request: Request) -> bool:
    """Whether a browser asks for what it will show, outside of the API."""
    return "text/html" in request.headers.get("accept", "") and not request.url.path.startswith("/api/")


def _form_only(request: Request) -> Markup:
    """The sentence for the address of a form, with a link to the nearest page above it."""
    path = request.scope["path"]
    while not _has_page(request, path):
        path = path.rpartition("/")[0] or "/"
    return _FORM_ONLY.format(quote(path))


def _has_page(request: Request, path: str) -> bool:
    scope = {**request.scope, "method": "GET", "path": path}
    routes = iter_route_contexts(request.app.routes)
    return path == "/" or any(route.matches(scope)[0] is Match.FULL for route in routes)


async def _handle_validation_error(_: Request, error: RequestValidationError) -> JSONResponse:
    if isinstance(error.body, bytes):  # not parsed, because its Content-Type is not JSON
        return problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send the body as Content-Type: application/json")
    errors = [_describe_error(item) for item in error.errors()[:MAX_REPORTED_ERRORS]]
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, "the request is not valid", errors)


async def _handle_recipients_refused(_: Request, error: RecipientsRefused) -> JSONResponse:
    detail = "nothing was sent, because recipients are refused"
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, recipients=error.recipients)


def _describe_error(item: Mapping[str, Any]) -> InvalidInput:
    location = [_printable(part) if isinstance(part, str) else part for part in item["loc"]]
    return InvalidInput(loc=location, msg=item["msg"])


def _printable(name: str) -> str:
    """The name of a property or parameter, which the client may have chosen, bounded and safe to show."""
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in name[:MAX_NAME_CHARACTERS]
    )


def _allowed_methods(request: Request) -> set[str]:
    """All methods of a path (RFC 9110 §10.2.1); the router's own Allow field lists those of one route only."""
    routes = iter_route_contexts(request.app.routes)
    methods_of_routes = [route.methods or () for route in routes if route.matches(request.scope)[0] is Match.PARTIAL]
    methods = {method for each in methods_of_routes for method in each}
    return methods | {"HEAD"} if "GET" in methods else methods
