"""The class of the page's routes: errors become pages, and a visitor without a session is led to the sign-in.

`join` makes one router of the modules of a folder.
"""

from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode, urlsplit

import structlog
from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse
from fastapi.routing import APIRoute

from relate_api.http.errors import RETRY_AFTER_SECONDS, status_of
from relate_api.page.rendering import render
from relate_api.page.visitors import SignInNeeded

SIGN_IN = "/sign-in"
ADMINISTRATION = "/admin"
MAX_TARGET_CHARACTERS = 2_000
"""Of the address that a sign-in leads back to."""

log = structlog.get_logger(__name__)

_SENTENCES = {
    HTTPStatus.NOT_FOUND: "There is nothing at this address. It may have been moved or deleted.",
    HTTPStatus.CONFLICT: "A limit is reached: delete something that is no longer needed first.",
    HTTPStatus.SERVICE_UNAVAILABLE: "The server is not available at the moment.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "The address or the form is not valid.",
}

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def join(*modules: Any) -> APIRouter:
    """One router with the routes of modules, which FastAPI would analyse again at each level of `include_router`."""
    return APIRouter(routes=[route for module in modules for route in module.router.routes])


class PageRoute(APIRoute):
    """A route of the page."""

    def get_route_handler(self) -> Handler:
        """See `APIRoute`."""
        handle = super().get_route_handler()

        async def handle_as_page(request: Request) -> Response:
            try:
                return await handle(request)
            except SignInNeeded:
                return lead_to_sign_in(request)
            except HTTPException as error:
                return error_page(request, HTTPStatus(error.status_code), error.detail, dict(error.headers or {}))
            except RequestValidationError:
                return error_page(request, HTTPStatus.UNPROCESSABLE_ENTITY)
            except Exception as error:
                status = status_of(error)
                if status is None:
                    raise
                if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                    log.error("request failed", status=int(status), exc_info=error)
                return error_page(request, status)

        return handle_as_page


def lead_to_sign_in(request: Request) -> Response:
    """Lead to the sign-in, and from there back to the page, or to that of the form, if both have one path."""
    if "hx-request" in request.headers:  # htmx would show the sign-in as the content that it has requested
        return Response(status_code=HTTPStatus.UNAUTHORIZED, headers={"HX-Redirect": SIGN_IN})
    parameters = {}
    shown = request.url.components
    if request.method == "POST":
        parameters["ended"] = "true"
        shown = urlsplit(request.headers.get("referer", ""))
    path = own_path(f"{shown.path}?{shown.query}" if shown.query else shown.path)
    if path != "/" and shown.path == request.url.path and len(path) <= MAX_TARGET_CHARACTERS:
        parameters["next"] = path
    return RedirectResponse(f"{SIGN_IN}?{urlencode(parameters)}" if parameters else SIGN_IN, HTTPStatus.SEE_OTHER)


def own_path(target: str) -> str:
    """A path of this page; "/" for all else, such as another site's address."""
    is_path = target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable()
    return target if is_path else "/"


def error_page(
    request: Request, status: HTTPStatus, detail: str = "", fields: dict[str, str] | None = None
) -> Response:
    """A page that tells of an error, in the sentence `detail` if there is one. `fields` are added to the header."""
    sentence = detail if detail and detail != status.phrase else _SENTENCES.get(status, "")
    response = render(request, "error.html", status=status, sentence=sentence)
    response.status_code = status
    response.headers.update(fields or {})
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response
